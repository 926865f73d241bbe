//! Notes in a store on disk, and the whole way of a note through a server without sockets and threads.

use std::cell::RefCell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use suibi_coap::Peer;
use suibi_journal::{Body, Cursor, Extras, NoteTime, Query};
use suibi_server::ListenerKind;
use suibi_server::machine::{Clock, Machine, MachineConfig};
use suibi_store::{
    Expect, JournalId, OwnChain, Reader, SqliteOptions, SqliteStore, Store, StoreError, Write,
};
use tempfile::TempDir;

use super::{Calls, Work, protocol, text};

/// Notes a commit: as many as wait when 64 clients have one note under way each.
const BATCH: u64 = 64;

const START: i64 = 1_763_800_000_000;

pub(super) fn all(notes: u64) -> Vec<Work> {
    vec![
        Work::new("store: 64 notes are committed, per note", BATCH, commit),
        Work::new("store: the index is caught up, per note", BATCH, index),
        Work::new("store: a page of the feed, 16 kB", 1, move || feed(notes)),
        Work::new("store: the latest 50 are listed", 1, move || latest(notes)),
        Work::new("store: a rare word is found", 1, move || rare(notes)),
        Work::new("store: two Chinese characters are found", 1, move || chinese(notes)),
        Work::new("server: a note, 64 a commit, per note", BATCH, serve),
    ]
}

/// A store in a directory of its own, which goes with it. Seeded, so that it makes the same ids each time.
struct Temporary {
    store: SqliteStore,
    next: u64,
    _dir: TempDir,
}

fn open(dir: &Path) -> Result<SqliteStore, StoreError> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "bench".to_owned() };
    SqliteStore::open_seeded(&dir.join("server.db"), options, 7)
}

impl Temporary {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { store: open(dir.path()).expect("an empty store"), next: 0, _dir: dir }
    }

    /// A batch of new notes, a second apart.
    fn batch(&mut self) -> Vec<(JournalId, Write)> {
        let numbers = self.next..self.next + BATCH;
        self.next = numbers.end;
        numbers
            .map(|number| {
                let now = NoteTime::new(START + 1_000 * number as i64, 480).expect("a time");
                let body = Body::Text(text(number));
                let (id, expect, time, extras) = (None, Expect::Any, None, Extras::new());
                (JournalId::FIRST, Write::Note { id, expect, body, time, extras, now })
            })
            .collect()
    }

    fn commit(&mut self) {
        let batch = self.batch();
        self.store.commit(batch).expect("there is room");
    }

    /// A store with so many notes in it, and a reader whose index knows them all.
    fn with_notes(notes: u64) -> (Self, Box<dyn Reader>) {
        let mut temporary = Self::new();
        for _ in 0..notes / BATCH {
            temporary.commit();
        }
        let mut reader = temporary.store.reader().expect("a reader");
        while reader.catch_up(10_000).expect("an index") > 0 {}
        (temporary, reader)
    }
}

fn commit() -> Calls {
    let temporary = Rc::new(RefCell::new(Temporary::new()));
    Box::new(move || {
        let batch = temporary.borrow_mut().batch();
        let temporary = Rc::clone(&temporary);
        Box::new(move || drop(temporary.borrow_mut().store.commit(batch).expect("there is room")))
    })
}

fn index() -> Calls {
    let temporary = Temporary::new();
    let reader = temporary.store.reader().expect("a reader");
    let both = Rc::new(RefCell::new((temporary, reader)));
    Box::new(move || {
        let both = Rc::clone(&both);
        both.borrow_mut().0.commit();
        Box::new(move || {
            let mut both = both.borrow_mut();
            while both.1.catch_up(10_000).expect("an index") > 0 {}
        })
    })
}

/// What is asked of a store with notes in it.
fn asking(notes: u64, ask: impl Fn(&mut dyn Reader) + 'static) -> Calls {
    let (temporary, reader) = Temporary::with_notes(notes);
    let all = Rc::new((temporary, RefCell::new(reader), ask));
    Box::new(move || {
        let all = Rc::clone(&all);
        Box::new(move || all.2(&mut **all.1.borrow_mut()))
    })
}

fn listing(notes: u64, query: Query, found: usize) -> Calls {
    asking(notes, move |reader| {
        let notes = reader.notes(JournalId::FIRST, &query).expect("a list");
        assert_eq!(notes.len(), found);
        black_box(notes);
    })
}

fn latest(notes: u64) -> Calls {
    listing(notes, Query { limit: Some(50), ..Query::default() }, 50)
}

fn rare(notes: u64) -> Calls {
    listing(notes, Query { text: Some(format!("{:010}", 77)), ..Query::default() }, 1)
}

fn chinese(notes: u64) -> Calls {
    listing(notes, Query { text: Some("茶叶".to_owned()), limit: Some(20), ..Query::default() }, 20)
}

fn feed(notes: u64) -> Calls {
    asking(notes, |reader| {
        let page = reader.feed(JournalId::FIRST, Cursor::START, 16_000).expect("a feed");
        black_box(page.expect("the beginning is always there"));
    })
}

/// Requests by an unprotected door, one after the other; a commit; the answers.
fn serve() -> Calls {
    let dir = tempfile::tempdir().expect("a directory");
    let now = Instant::now();
    let clock = Clock::Set(Arc::new(AtomicI64::new(START)));
    let config = MachineConfig::new(vec![ListenerKind::Coap], clock, dir.path().to_owned());
    let path = dir.path().to_owned();
    let machine = Machine::new(now, [1; 32], config, move || Ok(Box::new(open(&path)?)));
    let all = Rc::new((RefCell::new(machine.expect("an empty store")), dir));
    let mut number = 0;
    Box::new(move || {
        let datagrams: Vec<_> = (number..number + BATCH).map(protocol::datagram).collect();
        number += BATCH;
        let all = Rc::clone(&all);
        Box::new(move || {
            let mut machine = all.0.borrow_mut();
            for (port, datagram) in (1..).zip(&datagrams) {
                let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], port)));
                machine.handle_datagram(now, 0, peer, datagram);
            }
            machine.work(now);
            let mut answers = 0;
            while let Some((_, answer)) = machine.poll_transmit() {
                assert_eq!(answer.bytes[1], suibi_coap::Code::CREATED.byte());
                answers += 1;
            }
            assert_eq!(answers, datagrams.len(), "all at once");
        })
    })
}
