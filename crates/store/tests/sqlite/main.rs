//! What is special about the SQLite engine: replicas, its index, several processes, and the ways
//! in which processes and disks end.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

mod access;
mod backup;
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
