//! The server is killed in mid-work fifty times. What it had acknowledged is there, and nothing is
//! there twice.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use machinery::home::Added;
use machinery::{Home, Server, Wire, assert_each_once, count, dice, free_port};
use rand::Rng as _;

const KILLS: usize = 50;
const DEVICES: usize = 20;
/// Foreign clients that send each note once and never again, so that nothing but the server itself
/// can make up for what it lost.
const FOREIGN: usize = 4;
const NOTES_AT_LEAST: usize = 200;

/// What was written so far, and what came back.
#[derive(Default)]
struct Record {
    by_devices: Mutex<Vec<String>>,
    tried_by_foreign: Mutex<Vec<String>>,
    acknowledged: Mutex<Vec<String>>,
    stop: AtomicBool,
}

#[test]
fn what_was_acknowledged_survives_fifty_kills_and_nothing_is_there_twice() {
    let (mut dice, _) = dice();
    let data = tempfile::tempdir().unwrap();
    let address = free_port();
    let homes: Vec<_> = (0..DEVICES).map(|_| Home::with_server(address)).collect();
    let record = Record::default();

    let server = thread::scope(|scope| {
        let mut server = Server::start_at(data.path(), address);
        for (device, home) in homes.iter().enumerate() {
            let record = &record;
            scope.spawn(move || write_as_device(home, device, record));
        }
        for client in 0..FOREIGN {
            let record = &record;
            scope.spawn(move || write_as_foreign(address, client, record));
        }
        // The writers must end whatever happens here, or the scope never does.
        let end = StopOnDrop(&record.stop);
        for kill in 1..=KILLS {
            thread::sleep(Duration::from_millis(dice.random_range(5..300)));
            let acknowledged = record.acknowledged.lock().unwrap().clone();
            server.kill();
            // Asked before the devices can bring back what is missing.
            assert_kept(data.path(), &acknowledged, kill);
            server = Server::start_at(data.path(), address);
        }
        drop(end);
        server
    });

    let mut written = record.by_devices.into_inner().unwrap();
    assert!(written.len() >= NOTES_AT_LEAST, "only {} notes were written", written.len());
    let acknowledged = record.acknowledged.into_inner().unwrap();
    println!("{} notes by devices, {} acknowledged", written.len(), acknowledged.len());
    for home in &homes {
        home.sync().expect_success();
    }
    // A foreign note without an answer may be there or not.
    let found = server.notes();
    let unsure = record.tried_by_foreign.into_inner().unwrap();
    written.extend(
        unsure.into_iter().filter(|text| found.contains(text) || acknowledged.contains(text)),
    );
    assert_each_once(&found, &written);
    homes[0].sync().expect_success();
    assert_each_once(&homes[0].log(), &written);
    assert!(server.stop().success());
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write_as_device(home: &Home, device: usize, record: &Record) {
    for note in 0.. {
        if record.stop.load(Ordering::Relaxed) && note >= NOTES_AT_LEAST / DEVICES {
            return;
        }
        let text = format!("note {note} of device {device}");
        let added = home.add(&text);
        record.by_devices.lock().unwrap().push(text.clone());
        if added == Added::Saved {
            record.acknowledged.lock().unwrap().push(text);
        }
    }
}

fn write_as_foreign(address: std::net::SocketAddr, client: usize, record: &Record) {
    for note in 0.. {
        if record.stop.load(Ordering::Relaxed) {
            return;
        }
        let text = format!("note {note} of foreign client {client}");
        record.tried_by_foreign.lock().unwrap().push(text.clone());
        let mut wire = Wire::connect(address);
        wire.tries = 1;
        wire.retry_after = Duration::from_millis(300);
        if wire.post(&text).is_some_and(|answer| answer.header.get_code() == "2.01") {
            record.acknowledged.lock().unwrap().push(text);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The database, as the killed server left it, holds all of these, each once.
fn assert_kept(data_dir: &Path, acknowledged: &[String], kill: usize) {
    let found = machinery::stored_notes(data_dir);
    let counts = count(&found);
    let lost: Vec<_> =
        acknowledged.iter().filter(|text| !counts.contains_key(text.as_str())).collect();
    assert!(lost.is_empty(), "kill {kill} lost {lost:?} of {}", acknowledged.len());
    let doubled: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "after kill {kill} there are twice: {doubled:?}");
}
