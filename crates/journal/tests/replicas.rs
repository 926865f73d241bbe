//! Whatever is written on any number of replicas and however it is exchanged: in the end all have the same notes,
//! and no text is lost from the history but that of purged notes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extra, Extras, Folded, Hash, MAX_PARENTS, NoteId,
    Revision, extra, fold, verify_chain,
};
use support::at;

/// What happens to one replica.
#[derive(Debug, Clone)]
enum Act {
    /// A new note of so many lines.
    Create { lines: usize },
    /// One of its notes gets another text, made of what the replica shows of it.
    Edit { note: Index, change: Edit, line: Index, to_day: u8 },
    /// One of its notes is deleted.
    Delete { note: Index },
    /// One of its notes is purged.
    Purge { note: Index },
    /// It takes some of what another one has, in some order, some of it twice.
    Take { from: Index, entries: Vec<Index> },
    /// It takes all that another one has.
    TakeAll { from: Index },
}

#[derive(Debug, Clone, Copy)]
enum Edit {
    Replace,
    Append,
    Remove,
    Word,
}

fn act() -> impl Strategy<Value = Act> {
    let edit =
        prop_oneof![Just(Edit::Replace), Just(Edit::Append), Just(Edit::Remove), Just(Edit::Word)];
    prop_oneof![
        2 => (1usize..5).prop_map(|lines| Act::Create { lines }),
        8 => (any::<Index>(), edit, any::<Index>(), 1u8..4)
            .prop_map(|(note, change, line, to_day)| Act::Edit { note, change, line, to_day }),
        2 => any::<Index>().prop_map(|note| Act::Delete { note }),
        1 => any::<Index>().prop_map(|note| Act::Purge { note }),
        3 => (any::<Index>(), vec(any::<Index>(), 1..12))
            .prop_map(|(from, entries)| Act::Take { from, entries }),
        2 => any::<Index>().prop_map(|from| Act::TakeAll { from }),
    ]
}

/// How many replicas, what each does, and in which order they meet in the end.
fn stories() -> impl Strategy<Value = (usize, Vec<(Index, Act)>, Vec<Index>)> {
    (1usize..6, vec((any::<Index>(), act()), 1..40), vec(any::<Index>(), 1..40))
}

struct Replica {
    chain: ChainId,
    seq: u64,
    previous: Option<Hash>,
    purges: u64,
    /// By hash; contents of purged notes are not kept.
    entries: BTreeMap<Hash, Entry>,
    /// In the order in which they came, doubles as well.
    came: Vec<Hash>,
    purged: BTreeSet<NoteId>,
}

impl Replica {
    fn new(number: usize) -> Self {
        let chain = ChainId::from_bytes([number as u8; 16]);
        let (entries, purged) = (BTreeMap::new(), BTreeSet::new());
        Self { chain, seq: 0, previous: None, purges: 0, entries, came: Vec::new(), purged }
    }

    fn notes(&self) -> Vec<NoteId> {
        let ids: BTreeSet<NoteId> =
            self.entries.values().map(|entry| entry.change().note).collect();
        ids.into_iter().collect()
    }

    fn folded(&self, note: NoteId) -> Option<Folded> {
        let came = self.came.iter().map(|hash| &self.entries[hash]);
        fold(came.filter(|entry| entry.change().note == note).map(Revision::from))
    }

    fn take(&mut self, entry: Entry) {
        let note = entry.change().note;
        self.came.push(entry.hash());
        if is_purge(&entry) && self.purged.insert(note) {
            for known in self.entries.values_mut().filter(|known| known.change().note == note) {
                *known = erased(known);
            }
        }
        let entry = if self.purged.contains(&note) { erased(&entry) } else { entry };
        // What came erased is kept as it is only as long as nobody brings the content.
        let known = self.entries.entry(entry.hash()).or_insert_with(|| entry.clone());
        if known.content().is_none() {
            *known = entry;
        }
    }

    /// The hash of the new change.
    fn write(&mut self, note: NoteId, parents: Vec<Hash>, day: u8, body: Body) -> Hash {
        let is_purge = body == Body::Purged;
        let (chain, seq, previous) = if is_purge {
            self.purges += 1;
            // A chain of its own, which nobody has used.
            (ChainId::from_bytes(unique(self.chain, self.purges)), 1, None)
        } else {
            self.seq += 1;
            (self.chain, self.seq, self.previous)
        };
        let change = Change {
            chain,
            seq,
            previous,
            note,
            parents,
            time: at(&format!("2026-11-{day:02}T09:05:00.000+08:00")),
            content: Hash::ZERO,
        };
        let extras = Extras::from([(extra::STAR.to_owned(), Extra::Bool(day > 2))]);
        let entry = Entry::new(change, Content { salt: unique(chain, seq), body, extras });
        let hash = entry.hash();
        if !is_purge {
            self.previous = Some(hash);
        }
        self.take(entry);
        hash
    }
}

fn unique(chain: ChainId, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let seed = [&chain.as_bytes()[..], &number.to_be_bytes()].concat();
    bytes.copy_from_slice(&Hash::of(&seed).as_bytes()[..16]);
    bytes
}

fn is_purge(entry: &Entry) -> bool {
    entry.content().is_some_and(|content| content.body == Body::Purged)
}

fn erased(entry: &Entry) -> Entry {
    match is_purge(entry) {
        true => entry.clone(),
        false => Entry::from_bytes(entry.change_bytes(), None).unwrap(),
    }
}

/// What everybody wrote: the text of each change, by its hash.
#[derive(Default)]
struct World {
    replicas: Vec<Replica>,
    written: BTreeMap<Hash, (NoteId, Body)>,
    words: u32,
}

impl World {
    fn new(count: usize) -> Self {
        Self { replicas: (1..=count).map(Replica::new).collect(), ..Self::default() }
    }

    fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}", self.words)
    }

    fn line(&mut self) -> String {
        (0..4).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn act(&mut self, who: usize, act: &Act) {
        match act {
            Act::Create { lines } => {
                let text = (0..*lines).map(|_| self.line()).collect::<Vec<_>>().join("\n");
                let random = [self.words.to_be_bytes().as_slice(), &[who as u8; 6]].concat();
                let note = NoteId::new(0, random.try_into().unwrap());
                self.write(who, note, Vec::new(), 1, Body::Text(text));
            }
            Act::Edit { note, change, line, to_day } => {
                let Some((note, folded)) = self.chosen(who, note) else { return };
                let Body::Text(text) = &folded.body else {
                    // A deleted note comes back with a text of its own, a purged one never.
                    if folded.body == Body::Deleted {
                        let text = self.line();
                        self.write(who, note, heads(&folded), *to_day, Body::Text(text));
                    }
                    return;
                };
                let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
                let at = line.index(lines.len());
                match change {
                    Edit::Replace => lines[at] = self.line(),
                    Edit::Append => lines.push(self.line()),
                    Edit::Remove => drop(lines.remove(at)),
                    Edit::Word => lines[at] = format!("{} {}", lines[at], self.word()),
                }
                self.write(who, note, heads(&folded), *to_day, Body::Text(lines.join("\n")));
            }
            Act::Delete { note } => {
                let Some((note, folded)) = self.chosen(who, note) else { return };
                if folded.body != Body::Purged {
                    self.write(who, note, heads(&folded), 1, Body::Deleted);
                }
            }
            Act::Purge { note } => {
                let Some((note, folded)) = self.chosen(who, note) else { return };
                if folded.body != Body::Purged {
                    self.write(who, note, heads(&folded), 1, Body::Purged);
                }
            }
            Act::Take { from, entries } => {
                let all = self.all(from.index(self.replicas.len()));
                for entry in entries {
                    if !all.is_empty() {
                        self.replicas[who].take(entry.get(&all).clone());
                    }
                }
            }
            Act::TakeAll { from } => {
                let all = self.all(from.index(self.replicas.len()));
                all.into_iter().for_each(|entry| self.replicas[who].take(entry));
            }
        }
    }

    fn all(&self, who: usize) -> Vec<Entry> {
        self.replicas[who].entries.values().cloned().collect()
    }

    fn chosen(&self, who: usize, note: &Index) -> Option<(NoteId, Folded)> {
        let notes = self.replicas[who].notes();
        let id = *notes.get(note.index(notes.len().max(1)))?;
        Some((id, self.replicas[who].folded(id).unwrap()))
    }

    fn write(&mut self, who: usize, note: NoteId, parents: Vec<Hash>, day: u8, body: Body) {
        let hash = self.replicas[who].write(note, parents, day, body.clone());
        self.written.insert(hash, (note, body));
    }

    /// All meet in this order, again and again, until nobody has anything that another one lacks.
    fn meet(&mut self, order: &[Index]) {
        for pair in order.windows(2) {
            let who = pair[0].index(self.replicas.len());
            self.act(who, &Act::TakeAll { from: pair[1] });
        }
        for _ in 0..2 {
            for who in 0..self.replicas.len() {
                for from in 0..self.replicas.len() {
                    let mut all = self.all(from);
                    if from % 2 == 0 {
                        all.reverse();
                    }
                    let twice = all.clone();
                    all.into_iter().chain(twice).for_each(|e| self.replicas[who].take(e));
                }
            }
        }
    }
}

fn heads(folded: &Folded) -> Vec<Hash> {
    folded.heads.iter().map(|head| head.hash).take(MAX_PARENTS).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn all_replicas_end_with_the_same_notes_and_every_text(
        (count, acts, order) in stories()
    ) {
        let mut world = World::new(count);
        for (who, act) in &acts {
            world.act(who.index(count), act);
        }
        world.meet(&order);

        let purged: BTreeSet<NoteId> = world
            .written
            .values()
            .filter(|(_, body)| *body == Body::Purged)
            .map(|(note, _)| *note)
            .collect();
        let first = &world.replicas[0];
        for replica in &world.replicas {
            prop_assert_eq!(&replica.entries, &first.entries);
            for note in replica.notes() {
                let folded = replica.folded(note);
                prop_assert_eq!(&folded, &first.folded(note));
                let is_purged = folded.unwrap().body == Body::Purged;
                prop_assert_eq!(is_purged, purged.contains(&note));
            }
            for (hash, (note, body)) in &world.written {
                let content = replica.entries[hash].content();
                match purged.contains(note) && *body != Body::Purged {
                    true => prop_assert!(content.is_none(), "purged, and still there"),
                    false => prop_assert_eq!(&content.unwrap().body, body),
                }
            }
        }
        // Chains verify, whatever was purged in them.
        let mut chains = BTreeMap::<ChainId, Vec<Entry>>::new();
        for entry in first.entries.values() {
            chains.entry(entry.change().chain).or_default().push(entry.clone());
        }
        for chain in chains.values_mut() {
            chain.sort_by_key(|entry| entry.change().seq);
            prop_assert_eq!(verify_chain(chain.as_slice()), Ok(()));
        }
    }
}
