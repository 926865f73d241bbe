//! What devices write apart comes together, and an edit here takes all of it in.

use suibi_journal::{Body, Cursor, Entry, Hash, MAX_PARENTS, Note, Query};
use suibi_store::{Expect, NoteRefused, Reader, Store, etag};

use crate::edit;
use crate::support::{Device, HERE, at, id, pushed, texts, written};

const NINE: &str = "2026-11-23T09:00:00.000+08:00";
const TEN: &str = "2026-11-22T10:00:00.000+08:00";

fn says(text: &str) -> Body {
    Body::Text(text.to_owned())
}

fn note(reader: &mut dyn Reader, number: u32) -> Note {
    reader.note(HERE, id(number)).unwrap().unwrap()
}

/// What the last change of the feed replaces.
fn last_parents(reader: &mut dyn Reader) -> Vec<Hash> {
    let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    page.entries.last().unwrap().1.change().parents.clone()
}

fn found(reader: &mut dyn Reader, text: &str) -> Vec<String> {
    texts(reader, Query { text: Some(text.to_owned()), ..Query::default() })
}

/// Two empty stores, which hear of the same in another order.
pub(crate) fn tell(store: &mut dyn Store, other: &mut dyn Store) {
    edits_apart_are_one_note_and_found_as_such(store, other);
    an_edit_replaces_all_heads(store);
    a_deletion_is_of_all_heads(store);
    more_heads_than_an_edit_can_name_are_taken_in_by_several(store);
}

fn edits_apart_are_one_note_and_found_as_such(store: &mut dyn Store, other: &mut dyn Store) {
    let (mut laptop, mut phone) = (Device::new("laptop"), Device::new("手机"));
    let list = laptop.note(1, NINE, "shopping\nmilk\nbread");
    let milk = laptop.change(id(1), &[list.hash()], NINE, says("shopping\noat milk\nbread"));
    let tea = phone.change(id(1), &[list.hash()], TEN, says("shopping\nmilk\nbread\n绿茶"));

    let in_order = |store: &mut dyn Store, writes: Vec<(&Device, Vec<Entry>)>| {
        for (device, entries) in writes {
            for answer in pushed(store, device.push(&entries)) {
                answer.unwrap();
            }
        }
    };
    in_order(store, vec![(&laptop, vec![list.clone(), milk.clone()]), (&phone, vec![tea.clone()])]);
    in_order(other, vec![(&phone, vec![tea]), (&laptop, vec![list, milk])]);

    for reader in [&mut store.reader().unwrap(), &mut other.reader().unwrap()] {
        let note = note(&mut **reader, 1);
        assert_eq!(note.text, "shopping\noat milk\nbread\n绿茶");
        assert_eq!((note.conflict, note.heads.len()), (false, 2));
        assert_eq!(note.time, at(TEN), "only the phone changed it");
        let day = Query::on("2026-11-22".parse().unwrap());
        assert_eq!(texts(&mut **reader, day), std::slice::from_ref(&note.text));
        assert_eq!(found(&mut **reader, "oat 绿茶"), [note.text]);
    }
}

fn an_edit_replaces_all_heads(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let (mut laptop, mut tablet) = (Device::new("work"), Device::new("tablet"));
    let plan = laptop.note(2, NINE, "周三开会");
    pushed(store, laptop.push(std::slice::from_ref(&plan)));
    let seen_by_one = note(&mut *reader, 2).heads;
    let thursday = laptop.change(id(2), &[plan.hash()], NINE, says("周四开会"));
    let friday = tablet.change(id(2), &[plan.hash()], NINE, says("周五开会"));
    pushed(store, laptop.push(std::slice::from_ref(&thursday)));
    pushed(store, tablet.push(std::slice::from_ref(&friday)));

    let clashing = note(&mut *reader, 2);
    let mut lines: Vec<&str> = clashing.text.split('\n').collect();
    lines.sort_unstable();
    assert_eq!((lines, clashing.conflict), (vec!["周五开会", "周四开会"], true));

    let stale = edit(id(2), Expect::Heads(vec![etag(&seen_by_one)]), Some("no"));
    assert_eq!(written(store, stale), Err(NoteRefused::PreconditionFailed));
    let seen = Expect::Heads(vec![etag(&clashing.heads)]);
    let resolved = written(store, edit(id(2), seen, Some("周四下午开会"))).unwrap();
    assert_eq!(last_parents(&mut *reader), clashing.heads);
    let note = note(&mut *reader, 2);
    assert_eq!((note.text.as_str(), note.conflict), ("周四下午开会", false));
    assert_eq!(note.heads, resolved.heads);
}

fn a_deletion_is_of_all_heads(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let (mut laptop, mut tablet) = (Device::new("attic"), Device::new("cellar"));
    let lamp = laptop.note(3, NINE, "lamp");
    let one = laptop.change(id(3), &[lamp.hash()], NINE, says("old lamp"));
    let other = tablet.change(id(3), &[lamp.hash()], NINE, says("lamp, 旧"));
    pushed(store, laptop.push(&[lamp, one]));
    pushed(store, tablet.push(std::slice::from_ref(&other)));
    written(store, edit(id(3), Expect::Exists, None)).unwrap();
    assert_eq!(reader.note(HERE, id(3)).unwrap(), None);

    // Somebody who had not heard of it wrote on: the edit wins.
    let kept = tablet.change(id(3), &[other.hash()], NINE, says("lamp, 旧, keep"));
    pushed(store, tablet.push(std::slice::from_ref(&kept)));
    let note = note(&mut *reader, 3);
    assert_eq!((note.text.as_str(), note.conflict), ("lamp, 旧, keep", false));
    written(store, edit(id(3), Expect::Exists, Some("lamp, kept"))).unwrap();
    assert_eq!(last_parents(&mut *reader), note.heads);
}

fn more_heads_than_an_edit_can_name_are_taken_in_by_several(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let mut first = Device::new("first");
    let start = first.note(4, NINE, "list");
    pushed(store, first.push(std::slice::from_ref(&start)));
    let names: Vec<String> = (0..MAX_PARENTS + 6).map(|number| format!("line {number}")).collect();
    for name in &names {
        let mut device = Device::new(Box::leak(name.clone().into_boxed_str()));
        let added =
            device.change(id(4), &[start.hash()], NINE, says(&format!("list\n{name} added")));
        pushed(store, device.push(&[added]));
    }
    let many = note(&mut *reader, 4);
    assert_eq!((many.heads.len(), many.conflict), (names.len(), false));
    let all_there = |text: &str| {
        names.iter().all(|name| text.split('\n').any(|line| line == format!("{name} added")))
    };
    assert!(all_there(&many.text), "{}", many.text);

    written(store, edit(id(4), Expect::Exists, Some(&many.text))).unwrap();
    assert_eq!(last_parents(&mut *reader), many.heads[..MAX_PARENTS]);
    let fewer = note(&mut *reader, 4);
    assert_eq!((fewer.heads.len(), fewer.conflict), (7, false));
    assert!(all_there(&fewer.text), "{}", fewer.text);
    written(store, edit(id(4), Expect::Exists, Some("list of all"))).unwrap();
    let one = note(&mut *reader, 4);
    assert_eq!((one.text.as_str(), one.heads.len()), ("list of all", 1));
}
