//! A purged note is gone for good, in whatever order its changes come, and its changes are not.

use suibi_journal::{
    Body, Cursor, Entry, Extra, Extras, NoteId, Query, Refusal, extra, verify_chain,
};
use suibi_store::{Expect, NoteRefused, Reader, Store, Write, etag};

use crate::edit;
use crate::support::{Device, HERE, at, commit, id, pushed, text, texts, written};

const TIME: &str = "2026-11-23T09:05:00.000+08:00";
const OTHER_DAY: &str = "2026-11-20T09:05:00.000+08:00";
const NOW: &str = "2026-11-24T08:00:00.000+08:00";

fn purge(note: NoteId) -> Write {
    Write::Purge { note, now: at(NOW), audit: None }
}

fn says(text: &str) -> Body {
    Body::Text(text.to_owned())
}

fn feed(reader: &mut dyn Reader) -> Vec<Entry> {
    let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START), "the hashes stay");
    page.entries.into_iter().map(|(_, entry)| entry).collect()
}

/// `open` gives an empty store each time.
pub(crate) fn tell(open: &mut dyn FnMut() -> Box<dyn Store>) {
    a_purge_leaves_the_changes_and_nothing_that_they_said(&mut *open());
    nothing_comes_back(&mut *open());
    only_who_may_can_push_one(&mut *open());
    every_order_ends_alike(open);
}

fn a_purge_leaves_the_changes_and_nothing_that_they_said(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let kept = written(store, text("tea @shop", TIME)).unwrap();
    let note = written(store, text("the secret of @lin", TIME)).unwrap();
    let edited = written(store, edit(note.id, Expect::Any, Some("a secret of @lin"))).unwrap();
    assert_eq!(texts(&mut *reader, search("secret")).len(), 1);

    let purged = written(store, purge(note.id)).unwrap();

    assert_eq!((purged.id, purged.created, purged.time), (note.id, false, note.time));
    assert_eq!(purged.receipt.seq, 1, "a chain of its own");
    assert_eq!(purged.heads, [purged.receipt.hash]);
    assert_eq!(reader.note(HERE, note.id).unwrap(), None);
    assert_eq!(texts(&mut *reader, Query::default()), ["tea @shop"]);
    assert!(texts(&mut *reader, search("secret")).is_empty());
    assert_eq!(reader.tags(HERE).unwrap(), [("@shop".to_owned(), 1)]);
    assert_eq!(reader.count(HERE).unwrap(), 1);
    assert_eq!(reader.days(HERE).unwrap()[0].1, 1);

    let told = reader.history(HERE, note.id).unwrap();
    let hashes: Vec<_> = told.iter().map(|revision| revision.entry.hash()).collect();
    assert_eq!(hashes, [note.receipt.hash, edited.receipt.hash, purged.receipt.hash]);
    assert!(told[..2].iter().all(|revision| revision.entry.content().is_none()));
    assert!(told.iter().all(|revision| revision.device == "server"));
    let content = told[2].entry.content().unwrap();
    assert_eq!(content.body, Body::Purged);
    assert_eq!(content.extras[extra::WRITTEN], Extra::Text(NOW.to_owned()), "when it was done");
    assert_eq!(told[2].entry.change().parents, [edited.receipt.hash]);

    let all = feed(&mut *reader);
    assert_eq!(all.len(), 4);
    let own: Vec<_> = all[..3].to_vec();
    verify_chain(&own).unwrap();
    let left: Vec<_> = all.iter().map(|entry| entry.content().is_some()).collect();
    assert_eq!(left, [true, false, false, true]);
    assert_eq!(reader.find(HERE, &note.receipt.to_string().parse().unwrap()).unwrap(), [note.id]);
    assert_eq!(reader.find(HERE, &"last".parse().unwrap()).unwrap(), [kept.id]);
}

fn search(text: &str) -> Query {
    Query { text: Some(text.to_owned()), ..Query::default() }
}

fn nothing_comes_back(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    assert_eq!(written(store, purge(id(1))), Err(NoteRefused::NotFound));
    let note = written(store, text("secret", TIME)).unwrap();
    // A deleted note can be purged: its text is still in its history.
    written(store, edit(note.id, Expect::Any, None)).unwrap();
    let purged = written(store, purge(note.id)).unwrap();

    let again = written(store, purge(note.id)).unwrap();
    assert_eq!((again.receipt, again.heads), (purged.receipt, purged.heads.clone()));
    let tag = etag(&purged.heads);
    for expect in [Expect::Any, Expect::Absent, Expect::Exists, Expect::Heads(vec![tag])] {
        let refused = written(store, edit(note.id, expect, Some("again")));
        assert_eq!(refused, Err(NoteRefused::Purged), "what would not be kept is not acknowledged");
    }
    assert_eq!(written(store, edit(note.id, Expect::Any, None)), Err(NoteRefused::NotFound));
    assert_eq!(feed(&mut *reader).len(), 3, "nothing of this was written");

    // A device that has not heard of it goes on in its chain, and is not stopped.
    let mut phone = Device::new("phone");
    let late = phone.change(note.id, &[note.receipt.hash], TIME, says("late"));
    let next = phone.note(2, TIME, "another note");
    assert!(pushed(store, phone.push(&[late.clone(), next])).iter().all(Result::is_ok));
    assert_eq!(reader.note(HERE, note.id).unwrap(), None);
    assert_eq!(texts(&mut *reader, Query::default()), ["another note"]);
    let told = reader.history(HERE, note.id).unwrap();
    assert_eq!(told.len(), 4);
    assert!(told.iter().filter(|revision| revision.entry.content().is_some()).count() == 1);
    let again = pushed(store, phone.push(&[late]));
    assert!(again[0].is_ok(), "its receipt is given again");
    assert_eq!(written(store, purge(note.id)).unwrap().receipt, purged.receipt);
}

fn only_who_may_can_push_one(store: &mut dyn Store) {
    let mut phone = Device::new("phone");
    let note = phone.note(1, TIME, "secret");
    pushed(store, phone.push(std::slice::from_ref(&note)));
    let mut of_purge = Device::new("of the purge");
    let entry = of_purge.change(id(1), &[note.hash()], TIME, Body::Purged);

    let refused = pushed(store, of_purge.push(std::slice::from_ref(&entry)));
    let reason = "only a device with the right admin can purge a note".to_owned();
    assert_eq!(refused, [Err(Refusal::Invalid(reason))]);
    let inside = phone.change(id(1), &[note.hash()], TIME, Body::Purged);
    let refused = pushed(store, allowed(&phone, &[inside]));
    let reason = "a purge stands in a chain of its own".to_owned();
    assert_eq!(refused, [Err(Refusal::Invalid(reason))]);
    assert_eq!(texts(&mut *store.reader().unwrap(), Query::default()), ["secret"]);

    assert!(pushed(store, allowed(&of_purge, &[entry]))[0].is_ok());
    assert!(texts(&mut *store.reader().unwrap(), Query::default()).is_empty());
}

fn allowed(device: &Device, entries: &[Entry]) -> Write {
    let (device, entries) = (device.name.to_owned(), entries.to_vec());
    Write::Push { device, entries, only_new: false, may_purge: true }
}

/// The changes of one note by several devices in every order that their chains allow.
fn every_order_ends_alike(open: &mut dyn FnMut() -> Box<dyn Store>) {
    let (mut laptop, mut phone) = (Device::new("laptop"), Device::new("phone"));
    let mut of_purge = ["of a purge", "of another purge"].map(Device::new);
    let create = laptop.note(1, TIME, "one\ntwo\nthree");
    let edit = laptop.change(id(1), &[create.hash()], OTHER_DAY, says("one\ntwo\n三"));
    let apart = phone.change(id(1), &[create.hash()], TIME, says("eins\ntwo\nthree"));
    let purge = of_purge[0].change(id(1), &[edit.hash()], OTHER_DAY, Body::Purged);
    let again = of_purge[1].change(id(1), &[apart.hash()], TIME, Body::Purged);
    let chains = [
        (&laptop, vec![create, edit]),
        (&phone, vec![apart]),
        (&of_purge[0], vec![purge]),
        (&of_purge[1], vec![again]),
    ];
    let mut orders = vec![Vec::<usize>::new()];
    for _ in 0..5 {
        let longer = |order: Vec<usize>| {
            let chains = &chains;
            (0..chains.len()).filter_map(move |next| {
                let taken = order.iter().filter(|&&chain| chain == next).count();
                (taken < chains[next].1.len()).then(|| [&order[..], &[next]].concat())
            })
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 60);

    let mut ends = Vec::new();
    for order in orders {
        let mut store = open();
        let mut taken = [0; 4];
        let mut writes = Vec::new();
        for chain in &order {
            let (device, entries) = &chains[*chain];
            writes.push(allowed(device, &entries[taken[*chain]..=taken[*chain]]));
            taken[*chain] += 1;
        }
        commit(&mut *store, writes).unwrap();
        let mut reader = store.reader().unwrap();
        let mut left: Vec<Entry> = feed(&mut *reader);
        left.sort_by_key(Entry::hash);
        let left: Vec<_> = left.into_iter().map(|entry| entry.content().cloned()).collect();
        let notes = reader.notes(HERE, &Query::default()).unwrap();
        assert_eq!(reader.count(HERE).unwrap(), 0, "{order:?}");
        ends.push((left, notes, reader.days(HERE).unwrap()));
    }
    let (left, notes, days) = &ends[0];
    assert_eq!(left.iter().flatten().filter(|content| content.body == Body::Purged).count(), 2);
    assert_eq!((left.iter().flatten().count(), notes.len(), days.len()), (2, 0, 0));
    assert!(ends.iter().all(|end| end == &ends[0]), "all orders end alike");
    assert!(left.iter().flatten().all(|content| content.extras == Extras::new()));
}
