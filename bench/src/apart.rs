//! Two devices that were apart: each wrote 5,000 notes and edited 300 of those that both had. How long until both have
//! everything, and the same.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use suibi_client::Client;
use suibi_journal::{Body, Extras, NoteId, NoteTime, Query};
use suibi_net::relay::{Faults, Line, Relay};
use suibi_store::{Expect, JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _, Write};

use crate::device::{Home, PATIENCE};
use crate::feed::plausible;
use crate::table::{Table, spread};
use crate::{Failure, Options};

pub(crate) const NAME: &str = "apart";

/// What both have before, and what each does alone.
const BEFORE: u32 = 1_000;
const NOTES: u32 = 5_000;
const EDITS: usize = 300;
/// So many of the edits change the same line on both.
const CLASHES: usize = 100;

/// When it happens.
const MILLIS: i64 = 1_796_000_000_000;

/// All ways, round after round.
///
/// # Errors
/// When the devices do not show the same in the end.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let ways = [("loopback", Duration::ZERO), ("50 ms round trip", Duration::from_millis(25))];
    let mut turns = ways.map(|_| Vec::new());
    for round in 1..=options.rounds {
        for ((name, delay), turns) in ways.iter().zip(&mut turns) {
            options.tell(round, &format!("{NAME}, {name}"));
            turns.push(turn(options, *delay).map_err(|failure| format!("{name}: {failure}"))?);
        }
    }
    let mut table = Table::new(
        NAME,
        &[
            "two devices, each 5,000 notes and 300 edits",
            "first gives, s",
            "second meets, s",
            "first meets, s",
            "together, s",
        ],
    );
    for ((name, _), turns) in ways.iter().zip(&turns) {
        let seconds = |show: &dyn Fn(&[Duration; 3]) -> Duration| {
            spread(turns.iter().map(|turn| show(turn).as_secs_f64()), |s| format!("{s:.2}"))
        };
        table.row([
            (*name).to_owned(),
            seconds(&|turn| turn[0]),
            seconds(&|turn| turn[1]),
            seconds(&|turn| turn[2]),
            seconds(&|turn| turn.iter().sum()),
        ]);
    }
    Ok(table)
}

/// How long each of the three syncs took.
fn turn(options: &Options, delay: Duration) -> Result<[Duration; 3], Failure> {
    let directory = tempfile::tempdir_in(&options.dir)?;
    let mut home = Home::with_notes(&options.server, directory.path(), BEFORE)?;
    let relay = Relay::start(home.server.address, Faults::default())?;
    let address = relay.address();
    let mut devices = [device(&mut home, address)?, device(&mut home, address)?];
    for (which, device) in devices.iter_mut().enumerate() {
        write_alone(which, device)?;
    }
    relay.set_line(Line::of_delay(delay));
    let mut took = [Duration::ZERO; 3];
    for (took, which) in took.iter_mut().zip([0, 1, 0]) {
        let start = Instant::now();
        devices[which].sync(PATIENCE, |_| {})?;
        *took = start.elapsed();
    }
    let [first, second] = devices.each_ref().map(shown);
    let (first, second) = (first?, second?);
    let conflicts = first.iter().filter(|(_, _, conflict)| *conflict).count();
    if first.len() != (BEFORE + 2 * NOTES) as usize || conflicts != CLASHES || first != second {
        let counts = (first.len(), second.len());
        return Err(format!("{counts:?} notes are shown, {conflicts} in conflict").into());
    }
    home.server.stop()?;
    Ok(took)
}

fn device(home: &mut Home, address: SocketAddr) -> Result<Client, Failure> {
    let mut device = home.device(address)?;
    device.sync(PATIENCE, |_| {})?;
    Ok(device)
}

/// What is on the screen: texts with their notes, and which are in conflict.
fn shown(device: &Client) -> Result<Vec<(NoteId, String, bool)>, Failure> {
    let notes = device.reader()?.notes(JournalId::FIRST, &Query::default())?;
    let mut shown: Vec<_> =
        notes.into_iter().map(|note| (note.id, note.text, note.conflict)).collect();
    shown.sort();
    Ok(shown)
}

/// What a device does offline, straight into its replica: as its own commands would, without their looking for the
/// server 5,300 times.
fn write_alone(which: usize, device: &mut Client) -> Result<(), Failure> {
    let common = device.reader()?.notes(JournalId::FIRST, &Query::default())?;
    let replica = device.status(Duration::from_secs(1))?.replica;
    let mut store = open(&replica, &device.config().device)?;
    let time = |n: u32| NoteTime::new(MILLIS + i64::from(n) * 1_000, 480);
    let write = |id, text, time| Write::Note {
        id,
        expect: Expect::Any,
        body: Body::Text(text),
        time: id.is_none().then_some(time),
        extras: Extras::default(),
        now: time,
    };
    let mut writes = Vec::new();
    for n in 0..NOTES {
        let text = plausible(1_000_000 * (which as u32 + 1) + n);
        writes.push((JournalId::FIRST, write(None, text, time(n)?)));
    }
    for (n, note) in common.iter().take(EDITS).enumerate() {
        // A clash, or a line before on one device and a line behind on the other.
        let text = match (n < CLASHES, which) {
            (true, _) => format!("{}, or rather {which}", note.text),
            (false, 0) => format!("before\n\n{}", note.text),
            (false, _) => format!("{}\n\nbehind", note.text),
        };
        writes.push((JournalId::FIRST, write(Some(note.id), text, time(NOTES + n as u32)?)));
    }
    store.commit(writes)?;
    Ok(())
}

fn open(replica: &Path, device: &str) -> Result<SqliteStore, Failure> {
    let options = SqliteOptions { own_chain: OwnChain::Kept, device: device.to_owned() };
    Ok(SqliteStore::open(replica, options)?)
}
