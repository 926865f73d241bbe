//! How long a note takes to its receipt on lines that lose packets, beside the same note sent by HTTPS.
//!
//! Both go through a [`Mirror`], so it is the kernel's own TCP that meets the losses. The figures are taken in a child
//! of this process that has a network of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use suibi_client::{Client, ClientConfig};
use suibi_journal::Extras;
use suibi_store::{JournalId, Store as _};

use crate::device::{Home, PATIENCE};
use crate::feed;
use crate::mirror::{HERE, Mirror, THERE, Weather};
use crate::server::Server;
use crate::table::Table;
use crate::{Failure, Options, sqlite};

pub(crate) const NAME: &str = "loss";

/// The first argument of the child.
pub(crate) const INSIDE: &str = "loss-inside";

const ROUND_TRIPS: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(50), Duration::from_millis(200)];

const LOSSES: [f64; 4] = [0.0, 0.01, 0.1, 0.3];

/// Who writes at the same time. Where a round trip takes no time, more would only wait for a processor.
const WRITERS: usize = 8;
const WRITERS_NEARBY: usize = 2;

/// How many times as long as the other cases' turns each of them writes.
const TURNS: u32 = 2;

/// Notes over one connection: the first pays for it.
const NOTES_EACH: usize = 4;

/// Notes that are there from the start.
const NOTES: u32 = 100;

/// Answers, in seconds, in the order of the columns: ours, HTTPS on a new connection, on one that is kept.
type Took = [Vec<f64>; 3];

/// Every line once.
///
/// # Errors
/// When a note does not get through. Where the network cannot be made, the table says so.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let mut table = Table::new(
        NAME,
        &[
            "round trip, loss each way",
            "suibi, s: median / 99 %",
            "HTTPS, new connection, s: median / 99 %",
            "HTTPS, kept connection, s: median / 99 %",
            "new HTTPS / suibi: median, 99 %",
            "notes: suibi, new, kept",
        ],
    );
    if let Some(missing) = missing() {
        table.row(
            [format!("not measured: {missing}")].into_iter().chain((1..6).map(|_| String::new())),
        );
        return Ok(table);
    }
    let child = Command::new("unshare")
        .args(["--net", "--map-root-user"])
        .arg(std::env::current_exe()?)
        .args([INSIDE, "--seconds", &options.turn.as_secs_f64().to_string()])
        .arg("--server")
        .arg(&options.server)
        .arg("--dir")
        .arg(&options.dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()?;
    if !child.status.success() {
        return Err(format!("the network of its own: {}", child.status).into());
    }
    let mut lines: Vec<Took> = serde_json::from_slice(&child.stdout)?;
    let weathers = ROUND_TRIPS.iter().flat_map(|rtt| LOSSES.map(|loss| (rtt, loss)));
    for ((rtt, loss), took) in weathers.zip(&mut lines) {
        took.iter_mut().for_each(|took| took.sort_by(f64::total_cmp));
        let name = format!("{} ms, {:.0} %", rtt.as_millis(), 100.0 * loss);
        let [ours, new, kept] = &*took;
        table.fact(format!("{NAME}, {name}, s"), [at(ours, 0.5)]);
        table.row([
            name,
            format!("**{:.3}** / {:.2}", at(ours, 0.5), at(ours, 0.99)),
            format!("**{:.3}** / {:.2}", at(new, 0.5), at(new, 0.99)),
            format!("**{:.3}** / {:.2}", at(kept, 0.5), at(kept, 0.99)),
            format!("{:.1}, {:.1}", at(new, 0.5) / at(ours, 0.5), at(new, 0.99) / at(ours, 0.99)),
            format!("{}, {}, {}", ours.len(), new.len(), kept.len()),
        ]);
    }
    Ok(table)
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// What this machine lacks for it.
fn missing() -> Option<String> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".to_owned());
    }
    if !works("unshare", &["--net", "--map-root-user", "true"]) {
        return Some("a process may not have a network of its own here (unshare)".to_owned());
    }
    let programs = [("ip", "-V"), ("curl", "--version"), ("openssl", "version"), ("python3", "-V")];
    let absent = programs.into_iter().find(|(program, asked)| !works(program, &[asked]));
    absent.map(|(program, _)| format!("{program} is not installed"))
}

/// In the child: measures, and prints a [`Took`] for each line.
pub(crate) fn inside(options: &Options) -> Result<(), Failure> {
    let mirror = Mirror::start()?;
    let directory = tempfile::tempdir_in(&options.dir)?;
    let mut home = Home::listening(&options.server, directory.path(), NOTES, &format!("{HERE}:0"))?;
    let there = (THERE.parse::<std::net::IpAddr>()?, home.server.address.port()).into();
    let writers = (0..WRITERS).map(|_| home.joined(there)).collect::<Result<Vec<_>, _>>()?;
    let https = Https::start(directory.path())?;
    let mut lines: Vec<Took> = Vec::new();
    for rtt in ROUND_TRIPS {
        for loss in LOSSES {
            let name = format!("{NAME}, {} ms, {:.0} %", rtt.as_millis(), 100.0 * loss);
            options.tell(1, &name);
            mirror.set(Weather { loss, delay: rtt / 2 });
            let at_once = if rtt < Duration::from_millis(10) { WRITERS_NEARBY } else { WRITERS };
            let turn = options.turn * TURNS;
            let ours = all(&writers[..at_once], turn, |config| {
                Ok(vec![write(config).map_err(|failure| format!("{name}: {failure}"))?])
            })?;
            let theirs = all(&vec![(); at_once], turn, |()| https.write(NOTES_EACH))?;
            let new = theirs.iter().filter_map(|took| took.first().copied()).collect();
            let kept = theirs.iter().flat_map(|took| took[1..].iter().copied()).collect();
            lines.push([ours.concat(), new, kept]);
        }
    }
    mirror.set(Weather::default());
    home.server.stop()?;
    let written = lines.iter().map(|[ours, ..]| ours.len() as u64).sum::<u64>();
    let kept = sqlite::open(&directory.path().join("server"))?.reader()?.count(JournalId::FIRST)?;
    if kept != u64::from(NOTES) + written {
        return Err(format!("{written} notes have receipts, and {kept} are there").into());
    }
    println!("{}", serde_json::to_string(&lines)?);
    Ok(())
}

/// Each of these does it again and again until the turn is over, and brings to its end what it has begun.
fn all<T: Sync, R: Send>(
    who: &[T],
    turn: Duration,
    what: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let start = Instant::now();
    let one = |who| -> Result<Vec<R>, Failure> {
        let mut done = Vec::new();
        while start.elapsed() < turn {
            done.push(what(who)?);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = who.iter().map(|who| scope.spawn(|| one(who))).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a writer panicked")??);
        }
        Ok(all)
    })
}

/// One note by a client that was not there before, as a command's, to its receipt. Where the command would have said
/// that the note is kept here, it goes on trying.
fn write(config: &ClientConfig) -> Result<f64, Failure> {
    let begun = Instant::now();
    let mut device = Client::open(config.clone())?;
    let added = device.add(&feed::plausible(0), None, Extras::default())?;
    let mut took = added.receipt.map(|_| begun.elapsed());
    while took.is_none() {
        if begun.elapsed() > PATIENCE {
            return Err("a note never got through".into());
        }
        // What fails on a bad line is tried again.
        let _ = device.sync(PATIENCE, |report| {
            if !report.receipts.is_empty() {
                took.get_or_insert_with(|| begun.elapsed());
            }
        });
        if device.waiting()? == 0 {
            took.get_or_insert_with(|| begun.elapsed());
        }
    }
    Ok(took.unwrap_or_default().as_secs_f64())
}

/// A server for the same notes, and `curl` to send them.
struct Https {
    server: Server,
    certificate: PathBuf,
    note: PathBuf,
}

impl Https {
    fn start(directory: &Path) -> Result<Self, Failure> {
        let file = |name: &str| directory.join(name);
        let (certificate, key, note) = (file("certificate.pem"), file("key.pem"), file("note"));
        fs::write(&note, feed::plausible(0))?;
        fs::write(file("server.py"), include_str!("https_server.py"))?;
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=suibi-bench"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-addext", &format!("subjectAltName=IP:{THERE}")])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(format!("openssl req: {made}").into());
        }
        let mut command = Command::new("python3");
        command.arg(file("server.py")).arg(HERE).arg(&certificate).arg(&key).arg(file("journal"));
        Ok(Self { server: Server::start(&mut command)?, certificate, note })
    }

    /// So many notes over one connection, each after the answer to the one before. As `curl` counts, without its start.
    fn write(&self, notes: usize) -> Result<Vec<f64>, Failure> {
        let url = format!("https://{THERE}:{}/notes", self.server.address.port());
        let mut body = std::ffi::OsString::from("@");
        body.push(&self.note);
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--http1.1"])
            .args([
                "--write-out",
                "%{time_total}\\n",
                "--max-time",
                &PATIENCE.as_secs().to_string(),
            ])
            .arg("--cacert")
            .arg(&self.certificate)
            .arg("--data-binary")
            .arg(body)
            .args(vec![url; notes])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let said = String::from_utf8(output.stdout)?;
        Ok(said.lines().map(str::parse).collect::<Result<_, _>>()?)
    }
}
