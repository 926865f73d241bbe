//! Two devices and one bulk transfer over TCP share a narrow line: do notes get through, how soon, and what do they
//! cost the line?

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_client::Client;
use suibi_journal::Extras;
use suibi_net::relay::{Direction, Faults, Line, Rate, Relay};

use crate::device::{Home, PATIENCE};
use crate::feed::plausible;
use crate::table::Table;
use crate::{Failure, Options};

pub(crate) const NAME: &str = "narrow link";

/// 1 Mbit/s, both directions together.
const BYTES_PER_SECOND: u64 = 125_000;

/// The way there and back when nothing waits.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// How often each device writes a note.
const PAUSE: Duration = Duration::from_millis(700);

/// The bulk transfer is at full speed after this.
const WARM_UP: Duration = Duration::from_secs(4);

/// How many times as long as the other cases' turns it lasts: notes are few.
const TURNS: u32 = 8;

/// One row.
struct Case {
    name: &'static str,
    queue_bytes: u64,
    is_loaded: bool,
}

const CASES: [Case; 3] = [
    Case { name: "nobody else, queue 64 KB", queue_bytes: 64_000, is_loaded: false },
    Case { name: "a TCP flow, queue 16 KB (0.13 s)", queue_bytes: 16_000, is_loaded: true },
    Case { name: "a TCP flow, queue 64 KB (0.5 s)", queue_bytes: 64_000, is_loaded: true },
];

/// Each case once.
///
/// # Errors
/// When a note does not get through.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let mut table = Table::new(
        NAME,
        &[
            "1 Mbit/s, two devices, one note each 0.7 s, and",
            "notes",
            "receipt after, s: median / 99 % / longest",
            "acknowledged at once",
            "datagrams sent per note",
            "datagrams lost in the queue",
            "the flow's share of the line",
        ],
    );
    for case in &CASES {
        options.tell(1, &format!("{NAME}, {}", case.name));
        table.row(case.run(options).map_err(|failure| format!("{}: {failure}", case.name))?);
    }
    Ok(table)
}

impl Case {
    fn run(&self, options: &Options) -> Result<Vec<String>, Failure> {
        let directory = tempfile::tempdir_in(&options.dir)?;
        let mut home = Home::with_notes(&options.server, directory.path(), 100)?;
        let sent = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&sent);
        let relay = Relay::start_through(
            home.server.address,
            Faults::default(),
            move |direction, _, datagram| {
                counts.fetch_add(u64::from(direction == Direction::Up), Ordering::Relaxed);
                vec![(direction, datagram)]
            },
        )?;
        let devices = [home.device(relay.address())?, home.device(relay.address())?];
        let rate = Rate { bytes_per_second: BYTES_PER_SECOND, queue_bytes: self.queue_bytes };
        let mut line = Line::narrow(rate);
        (line.up.delay, line.down.delay) = (ROUND_TRIP / 2, ROUND_TRIP / 2);
        relay.set_line(line);
        let bulk = self.is_loaded.then(|| Bulk::start(&relay)).transpose()?;
        thread::sleep(WARM_UP);

        let (before, stats_before) = (sent.load(Ordering::Relaxed), relay.stats());
        let bulk_before = bulk.as_ref().map_or(0, Bulk::copied);
        let start = Instant::now();
        let turn = options.turn * TURNS;
        let writers = devices.map(|device| thread::spawn(move || write(device, turn)));
        let mut notes: Vec<Note> = Vec::new();
        for writer in writers {
            notes.extend(writer.join().map_err(|_| "a device panicked")??);
        }
        let took = start.elapsed();
        let copied = bulk.as_ref().map_or(0, Bulk::copied) - bulk_before;
        let datagrams = sent.load(Ordering::Relaxed) - before;
        drop(bulk);
        home.server.stop()?;

        notes.sort_by_key(|note| note.after);
        let after = |share: f64| {
            let last = notes.len().saturating_sub(1);
            notes[(last as f64 * share).round() as usize].after.as_secs_f64()
        };
        let at_once = notes.iter().filter(|note| note.at_once).count();
        Ok(vec![
            self.name.to_owned(),
            notes.len().to_string(),
            format!("**{:.2}** / {:.2} / {:.2}", after(0.5), after(0.99), after(1.0)),
            format!("{:.0} %", 100.0 * at_once as f64 / notes.len() as f64),
            format!("**{:.2}**", datagrams as f64 / notes.len() as f64),
            (relay.stats().dropped - stats_before.dropped).to_string(),
            format!(
                "{:.0} %",
                100.0 * copied as f64 / (BYTES_PER_SECOND as f64 * took.as_secs_f64())
            ),
        ])
    }
}

/// What became of a note.
struct Note {
    /// From the key to the receipt.
    after: Duration,
    /// The command that wrote it had the receipt.
    at_once: bool,
}

/// Writes notes for so long, and waits for the last receipt.
fn write(mut device: Client, turn: Duration) -> Result<Vec<Note>, Failure> {
    let begun = Instant::now();
    let mut notes = Vec::new();
    let mut waiting: Vec<Instant> = Vec::new();
    for number in 0.. {
        let at = begun + PAUSE * number;
        if at.duration_since(begun) >= turn {
            break;
        }
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let written = Instant::now();
        let added = device.add(&plausible(number), None, Extras::default())?;
        waiting.push(written);
        if added.waiting == 0 {
            let at_once = waiting.len() == 1 && added.receipt.is_some();
            notes.extend(
                waiting.drain(..).map(|written| Note { after: written.elapsed(), at_once }),
            );
        }
    }
    let start = Instant::now();
    while !waiting.is_empty() {
        if start.elapsed() > PATIENCE {
            return Err("a note never got through".into());
        }
        // It fails when the line is slow, and then it is tried again.
        if device.sync(PATIENCE, |_| {}).is_ok() && device.waiting()? == 0 {
            notes.extend(
                waiting.drain(..).map(|written| Note { after: written.elapsed(), at_once: false }),
            );
        }
    }
    Ok(notes)
}

/// A transfer over the same line that takes all it gets.
struct Bulk {
    copied: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// Its own way over the line; it ends with this.
    _relay: Relay,
    _threads: [JoinHandle<io::Result<()>>; 2],
}

impl Bulk {
    fn start(line: &Relay) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = line.start_beside(listener.local_addr()?)?;
        let mut client = TcpStream::connect(relay.address())?;
        let (copied, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let stops = Arc::clone(&stop);
        let source = thread::spawn(move || {
            let chunk = vec![0; 16 << 10];
            while !stops.load(Ordering::Relaxed) {
                client.write_all(&chunk)?;
            }
            Ok(())
        });
        let counts = Arc::clone(&copied);
        let sink = thread::spawn(move || {
            let (mut server, _) = listener.accept()?;
            let mut buf = vec![0; 16 << 10];
            loop {
                match server.read(&mut buf)? {
                    0 => return Ok(()),
                    len => counts.fetch_add(len as u64, Ordering::Relaxed),
                };
            }
        });
        Ok(Self { copied, stop, _relay: relay, _threads: [source, sink] })
    }

    fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        // The threads end when the relay, which goes next, resets their stream.
        self.stop.store(true, Ordering::Relaxed);
    }
}
