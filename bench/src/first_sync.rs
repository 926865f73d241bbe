//! How long a new device takes to have everything, beside what cannot be left out: the database that takes the same
//! rows, and a bare TCP copy of as many bytes over the same way.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use suibi_net::relay::{Faults, Lane, Line, Rate, Relay};
use suibi_store::JournalId;

use crate::device::{Home, PATIENCE};
use crate::report::grouped;
use crate::table::{Table, spread};
use crate::{Failure, Options, cpu, sqlite};

pub(crate) const NAME: &str = "first sync";

/// How many notes there are to bring, unless it is said.
const NOTES: u32 = 100_000;

/// As many notes a commit as the database alone gets in the other cases.
const BATCH: usize = 1_024;

/// One way to the server.
struct Way {
    name: &'static str,
    /// None: no relay at all.
    line: Option<Line>,
}

fn ways() -> [Way; 6] {
    let long = Line::of_delay(Duration::from_millis(25));
    // 100 Mbit/s and a queue of 50 ms: an ordinary connection of a home.
    let rate = Some(Rate { bytes_per_second: 12_500_000, queue_bytes: 625_000 });
    let delay = long.up.delay;
    let lane = Lane { delay, rate };
    let narrow = Line { up: lane, down: lane, ..Line::default() };
    let without_udp = |line: Line| Line { udp_is_blocked: true, ..line };
    [
        Way { name: "loopback", line: None },
        Way { name: "loopback, through the relay", line: Some(Line::default()) },
        Way { name: "loopback, UDP blocked", line: Some(without_udp(Line::default())) },
        Way { name: "50 ms round trip", line: Some(long) },
        Way { name: "50 ms round trip, UDP blocked", line: Some(without_udp(long)) },
        Way { name: "50 ms round trip, 100 Mbit/s", line: Some(narrow) },
    ]
}

/// What one turn on one way came to.
struct Turn {
    sync: Duration,
    client_cpu: Duration,
    server_cpu: Duration,
    /// The database alone.
    alone: sqlite::Inserted,
    /// The copy, and its bytes; none where there is no relay to count them.
    copy: Option<(Duration, u64)>,
    datagrams: u64,
}

/// All ways, round after round.
///
/// # Errors
/// When a device does not have everything in the end: there is no figure then.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let notes = options.notes.unwrap_or(NOTES);
    let directory = tempfile::tempdir_in(&options.dir)?;
    let mut home = Home::with_notes(&options.server, directory.path(), notes)?;
    let ways = ways();
    let mut turns: Vec<Vec<Turn>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (way, turns) in ways.iter().zip(&mut turns) {
            options.tell(round, &format!("{NAME}, {}", way.name));
            let turn = way.turn(&mut home, directory.path(), notes);
            turns.push(turn.map_err(|failure| format!("{}: {failure}", way.name))?);
        }
    }
    home.server.stop()?;
    let mut table = Table::new(
        NAME,
        &[
            "first sync",
            "notes/s",
            "s",
            "share of SQLite alone, by the clock",
            "by the device's CPU",
            "times a TCP copy",
            "MB on streams",
            "datagrams",
            "s of CPU: device, server",
        ],
    );
    for (way, turns) in ways.iter().zip(&turns) {
        let seconds = |turn: &Turn| turn.sync.as_secs_f64();
        let share = |turn: &Turn| turn.alone.wall.as_secs_f64() / seconds(turn);
        table.fact(format!("{NAME}, {}, share of SQLite alone", way.name), turns.iter().map(share));
        let middle = |values: Vec<f64>| crate::report::Spread::of(values).map_or(0.0, |s| s.median);
        let copied = turns.iter().filter_map(|turn| Some((turn, turn.copy?)));
        let cpu =
            |of: fn(&Turn) -> Duration| middle(turns.iter().map(|t| of(t).as_secs_f64()).collect());
        table.fact(
            format!("{NAME}, {}, times a TCP copy", way.name),
            copied.clone().map(|(turn, (copy, _))| seconds(turn) / copy.as_secs_f64()),
        );
        let bytes: Vec<f64> = copied.clone().map(|(_, (_, bytes))| bytes as f64 / 1e6).collect();
        table.row([
            format!("{} notes, {}", grouped(f64::from(notes)), way.name),
            spread(turns.iter().map(|turn| f64::from(notes) / seconds(turn)), grouped),
            format!("{:.2}", middle(turns.iter().map(seconds).collect())),
            spread(turns.iter().map(|turn| 100.0 * share(turn)), |share| format!("{share:.0} %")),
            spread(
                turns.iter().map(|turn| {
                    100.0 * turn.alone.cpu.as_secs_f64() / turn.client_cpu.as_secs_f64()
                }),
                |share| format!("{share:.0} %"),
            ),
            spread(copied.map(|(turn, (copy, _))| seconds(turn) / copy.as_secs_f64()), |times| {
                format!("{times:.1}")
            }),
            if bytes.is_empty() { String::new() } else { format!("{:.1}", middle(bytes)) },
            format!("{:.0}", middle(turns.iter().map(|turn| turn.datagrams as f64).collect())),
            format!("{:.2}, {:.2}", cpu(|turn| turn.client_cpu), cpu(|turn| turn.server_cpu)),
        ]);
    }
    Ok(table)
}

impl Way {
    fn turn(&self, home: &mut Home, directory: &Path, notes: u32) -> Result<Turn, Failure> {
        let server = home.server.address;
        let relay = self.line.map(|_| Relay::start(server, Faults::default())).transpose()?;
        let address = relay.as_ref().map_or(server, Relay::address);
        let mut device = home.device(address)?;
        if let (Some(relay), Some(line)) = (&relay, self.line) {
            relay.set_line(line);
        }
        let before = relay.as_ref().map(Relay::stats).unwrap_or_default();

        let cpu_before = (cpu::of_this_thread()?, home.cpu()?);
        let start = Instant::now();
        device.sync(PATIENCE, |_| {})?;
        let sync = start.elapsed();
        let client_cpu = cpu::of_this_thread()? - cpu_before.0;
        let server_cpu = home.cpu()? - cpu_before.1;

        let after = relay.as_ref().map(Relay::stats).unwrap_or_default();
        let here = device.reader()?.count(JournalId::FIRST)?;
        if here != u64::from(notes) {
            return Err(format!("{here} notes of {notes} are here").into());
        }
        let replica = device.status(Duration::from_secs(1))?.replica;
        drop(device);
        let alone = sqlite::again(&replica, &directory.join("alone"), notes, BATCH)?;
        if let Some(data_dir) = replica.parent() {
            std::fs::remove_dir_all(data_dir)?;
        }
        let bytes = after.stream_bytes - before.stream_bytes;
        let copy = match &relay {
            Some(relay) if bytes > 0 => Some((copy(relay, bytes)?, bytes)),
            _ => None,
        };
        let datagrams = after.carried - before.carried;
        Ok(Turn { sync, client_cpu, server_cpu, alone, copy, datagrams })
    }
}

/// How long so many bytes take from a program that only writes to one that only reads, from the connection to the
/// last byte.
fn copy(relay: &Relay, bytes: u64) -> Result<Duration, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    relay.set_target(listener.local_addr()?);
    let source = std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // It is asked first, as a server is.
        stream.read_exact(&mut [0])?;
        let chunk = vec![0x5a; 64 << 10];
        let mut left = bytes;
        while left > 0 {
            let len = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            stream.write_all(&chunk[..len])?;
            left -= len as u64;
        }
        Ok(())
    });
    let took = read_all(relay.address(), bytes)?;
    source.join().map_err(|_| "the source of the copy panicked")??;
    Ok(took)
}

fn read_all(address: SocketAddr, bytes: u64) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(&[1])?;
    let mut buf = vec![0; 64 << 10];
    let mut read = 0;
    loop {
        match stream.read(&mut buf)? {
            0 => break,
            len => read += len as u64,
        }
    }
    let took = start.elapsed();
    if read == bytes {
        Ok(took)
    } else {
        Err(format!("{read} bytes of {bytes} were copied").into())
    }
}
