//! A server and any number of replicas that write, push and pull as it comes, are copied, and lose
//! answers: in the end all have the same notes, and no text is lost but that of purged notes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use suibi_journal::{Body, Cursor, Entry, Extras, Hash, Note, NoteId, Query, Refusal};
use suibi_store::verify::verify;
use suibi_store::{Expect, Outcome, SqliteStore, Store, Write};

use crate::support::{HERE, at, commit};
use crate::{replica, server};

/// More copies would only make it slower.
const MAX_REPLICAS: usize = 4;

#[derive(Debug, Clone)]
enum Act {
    /// A new note of so many lines, by the server or a replica.
    Create {
        lines: usize,
    },
    /// A line of a note becomes another, or one comes to it, and perhaps it gets another day.
    Edit {
        note: Index,
        line: Index,
        replaces: bool,
        day: Option<u8>,
    },
    Delete {
        note: Index,
    },
    /// The server purges a note.
    Purge {
        note: Index,
    },
    /// A replica sends the first part of its outbox; the answer may be lost.
    Push {
        max_bytes: usize,
        is_lost: bool,
    },
    /// A replica takes a page of the feed, or the same page twice.
    Pull {
        max_bytes: usize,
        is_double: bool,
    },
    /// A replica is copied, and both go on.
    Copy,
    /// Somebody searches, so that there is an index.
    Search,
}

fn act() -> impl Strategy<Value = Act> {
    let max_bytes = prop_oneof![1..600_usize, Just(1 << 20)];
    let (push_bytes, pull_bytes) = (max_bytes.clone(), max_bytes);
    prop_oneof![
        4 => (1..4_usize).prop_map(|lines| Act::Create { lines }),
        8 => (any::<Index>(), any::<Index>(), any::<bool>(), proptest::option::weighted(0.2, 1..4_u8))
            .prop_map(|(note, line, replaces, day)| Act::Edit { note, line, replaces, day }),
        2 => any::<Index>().prop_map(|note| Act::Delete { note }),
        1 => any::<Index>().prop_map(|note| Act::Purge { note }),
        4 => (push_bytes, prop::bool::weighted(0.2))
            .prop_map(|(max_bytes, is_lost)| Act::Push { max_bytes, is_lost }),
        4 => (pull_bytes, prop::bool::weighted(0.2))
            .prop_map(|(max_bytes, is_double)| Act::Pull { max_bytes, is_double }),
        1 => Just(Act::Copy),
        1 => Just(Act::Search),
    ]
}

struct World {
    dir: tempfile::TempDir,
    server: SqliteStore,
    replicas: Vec<SqliteStore>,
    /// What was said of each note, ever.
    said: Vec<(NoteId, String)>,
    purged: BTreeSet<NoteId>,
    words: u32,
}

impl World {
    fn new(replicas: usize) -> Self {
        // Nothing here is about the disk, which would only be slow.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let server = server(&dir.path().join("server").join("server.db"));
        let replicas = (0..replicas).map(|number| replica(&place(dir.path(), number))).collect();
        let (said, purged) = (Vec::new(), BTreeSet::new());
        Self { dir, server, replicas, said, purged, words: 0 }
    }

    /// No word begins like another, and none comes twice.
    fn line(&mut self) -> String {
        self.words += 1;
        let letter = char::from(b'a' + (self.words % 26) as u8);
        format!("{letter}word{:05} 秘密{:05}", self.words, self.words)
    }

    /// The server is the first, then come the replicas.
    fn store(&mut self, who: &Index) -> &mut SqliteStore {
        match who.index(self.replicas.len() + 1) {
            0 => &mut self.server,
            number => &mut self.replicas[number - 1],
        }
    }

    fn act(&mut self, who: &Index, act: &Act) {
        let number = who.index(self.replicas.len());
        match act {
            Act::Create { lines } => {
                let text = (0..*lines).map(|_| self.line()).collect::<Vec<_>>().join("\n");
                self.write(who, None, Body::Text(text), Some(1));
            }
            Act::Edit { note, line, replaces, day } => {
                let Some(note) = self.chosen(who, note) else { return };
                let mut lines: Vec<String> = note.text.split('\n').map(str::to_owned).collect();
                let at = line.index(lines.len());
                let new = self.line();
                match replaces {
                    true => lines[at] = new,
                    false => lines.insert(at, new),
                }
                self.write(who, Some(note.id), Body::Text(lines.join("\n")), *day);
            }
            Act::Delete { note } => {
                let Some(note) = self.chosen(who, note) else { return };
                self.write(who, Some(note.id), Body::Deleted, None);
            }
            Act::Purge { note } => {
                let all = self.server.reader().unwrap().notes(HERE, &Query::default()).unwrap();
                if let Some(note) = all.get(note.index(all.len().max(1))) {
                    let now = at("2026-11-24T08:00:00.000+08:00");
                    let purge = Write::Purge { note: note.id, now, audit: None };
                    commit(&mut self.server, vec![purge]).unwrap();
                    self.purged.insert(note.id);
                }
            }
            Act::Push { max_bytes, is_lost } => {
                let _ = self.push(number, *max_bytes, *is_lost);
            }
            Act::Pull { max_bytes, is_double } => {
                let times = if *is_double { 2 } else { 1 };
                self.pull(number, *max_bytes, times);
            }
            Act::Copy if self.replicas.len() < MAX_REPLICAS => {
                let from = place(self.dir.path(), number);
                let to = place(self.dir.path(), self.replicas.len());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                for end in ["", "-wal"] {
                    let name = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
                    fs::copy(name(&from), name(&to)).unwrap();
                }
                self.replicas.push(replica(&to));
            }
            Act::Copy => {}
            Act::Search => {
                let query = Query { text: Some("word1".to_owned()), ..Query::default() };
                self.store(who).reader().unwrap().notes(HERE, &query).unwrap();
            }
        }
    }

    fn chosen(&mut self, who: &Index, note: &Index) -> Option<Note> {
        let mut all = notes(self.store(who));
        (!all.is_empty()).then(|| all.swap_remove(note.index(all.len())))
    }

    fn write(&mut self, who: &Index, id: Option<NoteId>, body: Body, day: Option<u8>) {
        let time = day.map(|day| at(&format!("2026-11-{day:02}T09:05:00.000+08:00")));
        let now = at("2026-11-24T08:00:00.000+08:00");
        let (expect, extras) = (Expect::Any, Extras::new());
        let write = Write::Note { id, expect, body: body.clone(), time, extras, now };
        let outcome = commit(self.store(who), vec![write]).unwrap().remove(0);
        let Outcome::Note(Ok(written)) = outcome else { panic!("{outcome:?}") };
        if let Body::Text(text) = body {
            self.said.push((written.id, text));
        }
    }

    /// Sends a part of the outbox and says what was refused.
    fn push(&mut self, number: usize, max_bytes: usize, is_lost: bool) -> Vec<(Entry, Refusal)> {
        let entries = self.replicas[number].outbox(max_bytes).unwrap();
        let push = Write::Push {
            device: format!("device {number}"),
            entries: entries.clone(),
            only_new: false,
            may_purge: false,
        };
        let outcome = commit(&mut self.server, vec![push]).unwrap().remove(0);
        let Outcome::Pushed(answers) = outcome else { panic!("{outcome:?}") };
        let receipts: Vec<_> = answers.iter().flatten().copied().collect();
        if !is_lost {
            self.replicas[number].apply_receipts(&receipts).unwrap();
        }
        let refused = entries.into_iter().zip(answers);
        refused.filter_map(|(entry, answer)| answer.err().map(|refusal| (entry, refusal))).collect()
    }

    /// Takes a page, so many times.
    fn pull(&mut self, number: usize, max_bytes: usize, times: usize) -> u64 {
        let to = &mut self.replicas[number];
        let cursor = to.cursor().unwrap();
        let page = self.server.reader().unwrap().feed(HERE, cursor, max_bytes).unwrap().unwrap();
        for _ in 0..times {
            to.apply_page(cursor, &page).unwrap();
        }
        page.remaining
    }

    /// What a client does until nothing is left to do.
    fn sync(&mut self, number: usize) {
        for _ in 0..50 {
            let refused = self.push(number, 1 << 20, false);
            while self.pull(number, 4096, 1) > 0 {}
            for (entry, refusal) in refused {
                match refusal {
                    // The page has healed it.
                    Refusal::Fork { .. } => {}
                    Refusal::Gap { have_seq, .. } => {
                        let chain = entry.change().chain;
                        self.replicas[number].requeue_after(chain, have_seq).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            if self.replicas[number].waiting().unwrap() == 0 {
                return;
            }
        }
        panic!("replica {number} comes to no end");
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            (0..self.replicas.len()).for_each(|number| self.sync(number));
        }
        for store in self.replicas.iter_mut().chain([&mut self.server]) {
            let mut reader = store.reader().unwrap();
            while reader.catch_up(usize::MAX).unwrap() > 0 {}
        }
        // Whoever could not empty a log because somebody read it can do it now.
        let now = at("2026-11-25T08:00:00.000+08:00");
        let purge = Write::Purge { note: NoteId::from_bytes([0; 16]), now, audit: None };
        let _ = commit(&mut self.server, vec![purge]).unwrap();
    }
}

fn place(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("replica-{number}")).join("replica.db")
}

fn notes(store: &SqliteStore) -> Vec<Note> {
    store.reader().unwrap().notes(HERE, &Query::default()).unwrap()
}

/// What is the same on every store.
fn state(store: &SqliteStore) -> BTreeMap<NoteId, Note> {
    let no_place = |note: Note| Note { receipt: None, device: String::new(), ..note };
    notes(store).into_iter().map(|note| (note.id, no_place(note))).collect()
}

/// All changes that a store has, with what they say.
fn changes(store: &SqliteStore) -> BTreeMap<Hash, Entry> {
    let page = store.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START));
    page.entries.into_iter().map(|(_, entry)| (entry.hash(), entry)).collect()
}

/// The numbers of the words that stand anywhere in the files below a directory.
fn numbers_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.append(&mut numbers_below(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for before in ["word".as_bytes(), "秘密".as_bytes()] {
            let words = bytes.windows(before.len() + 5).filter(|word| word.starts_with(before));
            found.extend(
                words.map(|word| String::from_utf8_lossy(&word[before.len()..]).into_owned()),
            );
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 300, ..Default::default() })]

    #[test]
    fn all_stores_end_with_the_same_notes_and_every_text(
        replicas in 1..4_usize,
        acts in vec((any::<Index>(), act()), 1..60),
    ) {
        let mut world = World::new(replicas);
        for (who, act) in &acts {
            world.act(who, act);
        }
        world.settle();

        let (expected, all) = (state(&world.server), changes(&world.server));
        for replica in &world.replicas {
            prop_assert_eq!(&state(replica), &expected);
            prop_assert_eq!(&changes(replica), &all);
            for note in expected.keys() {
                let of = |store: &SqliteStore| store.reader().unwrap().history(HERE, *note).unwrap();
                let heads = |store| {
                    of(store).into_iter().filter(|r| r.is_head).map(|r| r.entry.hash()).collect()
                };
                let (here, there): (BTreeSet<_>, BTreeSet<_>) = (heads(replica), heads(&world.server));
                prop_assert_eq!(here, there);
            }
        }
        let is_said = |note: &NoteId, text: &String| {
            all.values().any(|entry| {
                entry.change().note == *note
                    && entry.content().is_some_and(|c| c.body == Body::Text(text.clone()))
            })
        };
        for (note, text) in &world.said {
            prop_assert_eq!(is_said(note, text), !world.purged.contains(note), "{}", text);
            prop_assert!(!(world.purged.contains(note) && expected.contains_key(note)));
        }
        let mut paths = vec![world.dir.path().join("server").join("server.db")];
        paths.extend((0..world.replicas.len()).map(|number| place(world.dir.path(), number)));
        for path in paths {
            let found = verify(&path, None, &mut |_, _| {}).unwrap();
            prop_assert!(found.is_clean(), "{:?}", found.problems);
        }
        let found = numbers_below(world.dir.path());
        for (note, text) in &world.said {
            let is_kept = !world.purged.contains(note);
            for line in text.split('\n') {
                prop_assert_eq!(found.contains(&line[line.len() - 5..]), is_kept, "{}", line);
            }
        }
    }
}
