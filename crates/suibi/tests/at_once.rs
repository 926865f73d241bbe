//! Twenty processes write at the same time; every note is there, each once.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::sync::Barrier;
use std::thread;

use machinery::home::Added;
use machinery::{Home, Server, assert_each_once, wait_until};

const PROCESSES: usize = 20;
const NOTES_EACH: usize = 10;

fn text(process: usize, note: usize) -> String {
    format!("note {note} of process {process}")
}

fn all_texts() -> Vec<String> {
    (0..PROCESSES).flat_map(|p| (0..NOTES_EACH).map(move |n| text(p, n))).collect()
}

/// Runs as many adds at the same time as there are processes; which home each takes says `home_of`.
fn add_all(homes: &[Home], home_of: impl Fn(usize) -> usize + Sync) {
    let start = Barrier::new(PROCESSES);
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let home = &homes[home_of(process)];
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for note in 0..NOTES_EACH {
                    home.add(&text(process, note));
                }
            });
        }
    });
}

#[test]
fn twenty_devices_at_once_lose_nothing_and_double_nothing() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let homes: Vec<_> = (0..PROCESSES).map(|_| Home::with_server(server.address())).collect();
    add_all(&homes, |process| process);
    // On a busy machine some of them may have given up waiting after their second.
    for home in &homes {
        home.sync().expect_success();
    }
    assert_each_once(&server.notes(), &all_texts());
    homes[0].sync().expect_success();
    assert_each_once(&homes[0].log(), &all_texts());
}

#[test]
fn twenty_processes_of_one_device_share_its_chain() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let homes = [Home::with_server(server.address())];
    add_all(&homes, |_| 0);
    homes[0].sync().expect_success();
    assert_each_once(&server.notes(), &all_texts());
    assert_each_once(&homes[0].log(), &all_texts());
}

#[test]
fn twenty_processes_on_a_machine_where_nothing_is_set_up_find_one_server_among_them() {
    let homes = [Home::new()];
    add_all(&homes, |_| 0);
    assert_each_once(&homes[0].log(), &all_texts());
    // One more, alone, takes everything that may still wait with it.
    wait_until("nothing waits", || homes[0].add("the last one") == Added::Saved);
    let mut log = homes[0].log();
    log.retain(|text| text != "the last one");
    assert_each_once(&log, &all_texts());
}
