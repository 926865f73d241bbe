//! A note through time, and how it is named.

use suibi_journal::{Body, Hash, NoteId};
use suibi_store::{Expect, Revision, Store};

use crate::edit;
use crate::support::{Device, HERE, id, pushed, text, written};

const TIME: &str = "2026-11-23T09:05:00.000+08:00";

fn history(store: &dyn Store, note: NoteId) -> Vec<Revision> {
    store.reader().unwrap().history(HERE, note).unwrap()
}

fn find(store: &dyn Store, name: &str) -> Vec<NoteId> {
    store.reader().unwrap().find(HERE, &name.parse().unwrap()).unwrap()
}

fn hashes(revisions: &[Revision]) -> Vec<Hash> {
    revisions.iter().map(|revision| revision.entry.hash()).collect()
}

pub(crate) fn tell(store: &mut dyn Store) {
    every_change_of_a_note_is_told_parents_first(store);
    notes_go_by_several_names(store);
}

fn every_change_of_a_note_is_told_parents_first(store: &mut dyn Store) {
    assert_eq!(history(store, id(1)), []);
    let (mut laptop, mut phone) = (Device::new("laptop"), Device::new("phone"));
    let tea = laptop.note(1, TIME, "tea");
    let green = laptop.change(id(1), &[tea.hash()], TIME, Body::Text("green tea".into()));
    let gone = phone.change(id(1), &[tea.hash()], TIME, Body::Deleted);
    // The deletion comes first.
    pushed(store, phone.push(std::slice::from_ref(&gone)));
    pushed(store, laptop.push(&[tea.clone(), green.clone()]));

    let told = history(store, id(1));

    assert_eq!(hashes(&told), [tea.hash(), gone.hash(), green.hash()]);
    assert_eq!(told[0].entry, tea, "with all that it says");
    let devices: Vec<_> = told.iter().map(|revision| revision.device.as_str()).collect();
    assert_eq!(devices, ["laptop", "phone", "laptop"]);
    assert_eq!(
        told.iter().map(|revision| revision.is_head).collect::<Vec<_>>(),
        [false, true, true]
    );
    for revision in &told {
        assert_eq!((revision.receipt, revision.waiting), (Some(revision.position), false));
    }
    let note = store.reader().unwrap().note(HERE, id(1)).unwrap().unwrap();
    assert_eq!((note.text.as_str(), note.undeleted), ("green tea", true), "and the note says so");

    written(store, edit(id(1), Expect::Any, None)).unwrap();
    let told = history(store, id(1));
    assert_eq!(told.len(), 4, "a deleted note has its history");
    assert!(told[3].is_head && !told[2].is_head);
    assert_eq!(told[3].entry.content().unwrap().body, Body::Deleted);
}

fn notes_go_by_several_names(store: &mut dyn Store) {
    let note = written(store, text("the last one", "2026-11-24T09:05:00.000+08:00")).unwrap();
    let edited = written(store, edit(note.id, Expect::Any, Some("edited"))).unwrap();
    for receipt in [note.receipt, edited.receipt] {
        for name in [
            receipt.to_string(),
            format!("#{}", receipt.position),
            receipt.position.to_string(),
            receipt.hash.short(),
            receipt.hash.to_string(),
        ] {
            assert_eq!(find(store, &name), [note.id], "{name}");
        }
    }
    let uuid = note.id.to_string();
    for name in ["last", &uuid, &uuid[..23], &uuid.replace('-', "")] {
        assert_eq!(find(store, name), [note.id], "{name}");
    }
    // The notes of the devices here have ids of the same second.
    pushed(store, {
        let mut tablet = Device::new("tablet");
        let one = tablet.note(2, TIME, "one");
        tablet.push(&[one])
    });
    assert_eq!(find(store, &id(1).to_string()[..9]), [id(1), id(2)], "more has to be said");
    assert_eq!(find(store, &id(2).to_string()), [id(2)]);

    let deleted = history(store, id(1));
    assert_eq!(find(store, &deleted[0].entry.hash().short()), [id(1)], "deleted notes as well");
    written(store, edit(note.id, Expect::Any, None)).unwrap();
    assert_eq!(find(store, "last"), [id(2)], "but not as the last");

    let other = if edited.receipt.hash.short() == "000000" { "111111" } else { "000000" };
    let wrong = format!("#{} · {other}", edited.receipt.position);
    for name in
        [&wrong[..], "#999999", "9223372036854775807", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    {
        assert_eq!(find(store, name), [], "{name}");
    }
}
