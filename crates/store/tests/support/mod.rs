//! What the stories need: a device that writes, and short ways to ask.

use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extras, Hash, NoteId, NoteTime, Query, Receipt, Refusal,
};
use suibi_store::{
    Expect, JournalId, NoteRefused, NoteWritten, Outcome, Reader, Store, StoreError, Write,
};

pub(crate) const HERE: JournalId = JournalId::FIRST;

/// A device that makes changes, as a client does.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) name: &'static str,
    pub(crate) chain: ChainId,
    pub(crate) seq: u64,
    pub(crate) previous: Option<Hash>,
}

impl Device {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut id = [0; 16];
        id[..name.len()].copy_from_slice(name.as_bytes());
        Self { name, chain: ChainId::from_bytes(id), seq: 0, previous: None }
    }

    pub(crate) fn change(
        &mut self,
        note: NoteId,
        parents: &[Hash],
        time: &str,
        body: Body,
    ) -> Entry {
        self.seq += 1;
        let mut parents = parents.to_vec();
        parents.sort();
        let change = Change {
            chain: self.chain,
            seq: self.seq,
            previous: self.previous,
            note,
            parents,
            time: at(time),
            content: Hash::ZERO,
        };
        let content = Content { salt: [self.seq as u8; 16], body, extras: Extras::new() };
        let entry = Entry::new(change, content);
        self.previous = Some(entry.hash());
        entry
    }

    pub(crate) fn note(&mut self, number: u32, time: &str, text: &str) -> Entry {
        self.change(id(number), &[], time, Body::Text(text.to_owned()))
    }

    pub(crate) fn push(&self, entries: &[Entry]) -> Write {
        Write::Push {
            device: self.name.to_owned(),
            entries: entries.to_vec(),
            only_new: false,
            may_purge: false,
        }
    }
}

pub(crate) fn id(number: u32) -> NoteId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    NoteId::new(1_700_000_000_000 + i64::from(number), random)
}

pub(crate) fn at(time: &str) -> NoteTime {
    time.parse().unwrap()
}

pub(crate) fn pushed(store: &mut dyn Store, write: Write) -> Vec<Result<Receipt, Refusal>> {
    match commit(store, vec![write]).unwrap().remove(0) {
        Outcome::Pushed(answers) => answers,
        Outcome::Note(_) => panic!("a push was answered as a note"),
    }
}

/// Everything into the first journal.
pub(crate) fn commit(
    store: &mut dyn Store,
    writes: Vec<Write>,
) -> Result<Vec<Outcome>, StoreError> {
    store.commit(writes.into_iter().map(|write| (HERE, write)).collect())
}

pub(crate) fn written(store: &mut dyn Store, write: Write) -> Result<NoteWritten, NoteRefused> {
    match commit(store, vec![write]).unwrap().remove(0) {
        Outcome::Note(answer) => answer,
        Outcome::Pushed(_) => panic!("a note was answered as a push"),
    }
}

pub(crate) fn text(text: &str, now: &str) -> Write {
    Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text(text.to_owned()),
        time: None,
        extras: Extras::new(),
        now: at(now),
    }
}

pub(crate) fn texts(reader: &mut dyn Reader, query: Query) -> Vec<String> {
    reader.notes(HERE, &query).unwrap().into_iter().map(|note| note.text).collect()
}
