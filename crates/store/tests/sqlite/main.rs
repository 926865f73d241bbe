//! What is special about the SQLite engine: replicas, its index, several processes, and the ways
//! in which processes and disks end.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

mod access;
mod backup;
mod batches;
mod bilingual;
mod disk;
mod index;
mod processes;
mod purge;
mod replica;
mod replicas;
mod rescue;
mod salvage;
#[path = "../support/mod.rs"]
mod support;
mod verify;
mod worlds;

use std::path::Path;

use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

use crate::support::{text, written};

fn server(path: &Path) -> SqliteStore {
    open(path, OwnChain::Fresh)
}

fn replica(path: &Path) -> SqliteStore {
    open(path, OwnChain::Kept)
}

fn open(path: &Path, own_chain: OwnChain) -> SqliteStore {
    let options = SqliteOptions { own_chain, device: "laptop".to_owned() };
    SqliteStore::open(path, options).unwrap()
}

/// A server's file of more than 300 kB: some pages can be damaged, and it can still be opened.
fn many_pages(path: &Path) {
    let mut store = server(path);
    let long = "words ".repeat(300);
    for number in 0..100 {
        let note = text(&format!("{number} {long}"), "2026-11-23T09:05:00.000+08:00");
        written(&mut store, note).unwrap();
    }
}
