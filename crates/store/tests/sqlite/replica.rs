//! A replica and its server: what waits, what is acknowledged, what comes back.

use suibi_journal::{Cursor, Entry, FeedPage, Head, Note, Query, Receipt};
use suibi_store::{PageError, Reader, SqliteStore, Store, StoreError};

use crate::support::{Device, HERE, pushed, text, texts, written};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";

/// Sends the outbox to a server and takes the receipts.
fn deliver(from: &mut SqliteStore, to: &mut SqliteStore) -> Vec<Receipt> {
    let entries = from.outbox(usize::MAX).unwrap();
    let device = Device::new("laptop");
    let receipts: Vec<_> =
        pushed(to, device.push(&entries)).into_iter().map(|answer| answer.unwrap()).collect();
    from.apply_receipts(&receipts).unwrap();
    receipts
}

/// Reads the server's feed from where the replica is, a few changes at a time.
fn pull(to: &mut SqliteStore, from: &mut dyn Reader) -> u64 {
    let mut new = 0;
    loop {
        let cursor = to.cursor().unwrap();
        let page = from.feed(HERE, cursor, 500).unwrap().unwrap();
        new += to.apply_page(cursor, &page).unwrap().new;
        if page.remaining == 0 {
            return new;
        }
    }
}

fn notes(store: &SqliteStore) -> Vec<Note> {
    store.reader().unwrap().notes(HERE, &Query::default()).unwrap()
}

#[test]
fn a_note_waits_in_the_outbox_until_the_server_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut server = server(&dir.path().join("server.db"));
    pushed(&mut server, {
        let mut phone = Device::new("phone");
        let entry = phone.note(1, NOW, "of the phone");
        phone.push(&[entry])
    });

    let here = written(&mut laptop, text("kept here", NOW)).unwrap();
    assert_eq!(laptop.waiting().unwrap(), 1);
    let note = notes(&laptop).remove(0);
    assert!(note.waiting && note.receipt.is_none());

    let receipts = deliver(&mut laptop, &mut server);

    assert_eq!((receipts[0].chain, receipts[0].seq), (here.receipt.chain, 1));
    assert_eq!(receipts[0].position, 2, "the server's position, not ours");
    assert_eq!(laptop.waiting().unwrap(), 0);
    let note = notes(&laptop).remove(0);
    assert!(!note.waiting);
    assert_eq!(note.receipt, Some((2, here.receipt.hash)));
    laptop.apply_receipts(&receipts).unwrap();
    assert!(laptop.outbox(usize::MAX).unwrap().is_empty());
}

#[test]
fn a_replica_knows_its_notes_by_the_positions_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut server = server(&dir.path().join("server.db"));
    let mut phone = Device::new("phone");
    let theirs = phone.note(1, NOW, "of the phone");
    pushed(&mut server, phone.push(std::slice::from_ref(&theirs)));
    let here = written(&mut laptop, text("kept here", NOW)).unwrap();
    let find = |laptop: &SqliteStore, name: &str| {
        laptop.reader().unwrap().find(HERE, &name.parse().unwrap()).unwrap()
    };
    assert_eq!(find(&laptop, "#1"), [], "the server has no position for it yet");
    assert_eq!(find(&laptop, &here.receipt.hash.short()), [here.id]);
    let waiting = laptop.reader().unwrap().history(HERE, here.id).unwrap().remove(0);
    assert_eq!((waiting.position, waiting.receipt, waiting.waiting), (1, None, true));

    deliver(&mut laptop, &mut server);
    pull(&mut laptop, &mut *server.reader().unwrap());

    assert_eq!(find(&laptop, "#1"), [theirs.change().note]);
    assert_eq!(find(&laptop, "#2"), [here.id]);
    let known = laptop.reader().unwrap().history(HERE, here.id).unwrap().remove(0);
    assert_eq!((known.position, known.receipt, known.waiting), (1, Some(2), false));
}

#[test]
fn the_outbox_comes_in_order_and_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    for number in 0..5 {
        written(&mut replica(&path), text(&format!("note {number}"), NOW)).unwrap();
    }
    let mut laptop = replica(&path);

    let all = laptop.outbox(usize::MAX).unwrap();

    let seqs: Vec<_> = all.iter().map(|entry| entry.change().seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5], "one chain, though five openings");
    assert_eq!(laptop.outbox(0).unwrap(), all[..1]);
    let two = all[..2].iter().map(Entry::encoded_len).sum();
    assert_eq!(laptop.outbox(two).unwrap(), all[..2]);
}

#[test]
fn what_comes_back_counts_as_a_receipt_and_what_is_new_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut server = server(&dir.path().join("server.db"));
    written(&mut laptop, text("acknowledged, but the answer was lost", NOW)).unwrap();
    let entries = laptop.outbox(usize::MAX).unwrap();
    pushed(&mut server, Device::new("laptop").push(&entries));
    let mut phone = Device::new("phone");
    for number in 1..20 {
        let entry = phone.note(number, NOW, &format!("note {number} of the phone"));
        pushed(&mut server, phone.push(&[entry]));
    }

    let mut reader = server.reader().unwrap();
    assert_eq!(pull(&mut laptop, &mut *reader), 19);

    assert_eq!(laptop.waiting().unwrap(), 0);
    assert_eq!(laptop.cursor().unwrap(), reader.head(HERE).unwrap());
    let ours = texts(&mut *laptop.reader().unwrap(), Query::default());
    assert_eq!(ours, texts(&mut *reader, Query::default()));
    let receipts: Vec<_> = notes(&laptop).iter().map(|note| note.receipt).collect();
    let theirs: Vec<_> = notes(&server).iter().map(|note| note.receipt).collect();
    assert_eq!(receipts, theirs);

    // Read once more from the beginning: nothing is new, nothing is there twice.
    laptop.reset_cursor().unwrap();
    assert_eq!(laptop.cursor().unwrap(), Cursor::START);
    assert_eq!(pull(&mut laptop, &mut *reader), 0);
    assert_eq!(notes(&laptop).len(), 20);
}

#[test]
fn a_page_that_does_not_follow_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut server = server(&dir.path().join("server.db"));
    let mut phone = Device::new("phone");
    let entries = [phone.note(1, NOW, "one"), phone.note(2, NOW, "two")];
    pushed(&mut server, phone.push(&entries));
    let page = server.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();

    let mut lacking = FeedPage { entries: page.entries[1..].to_vec(), ..page.clone() };
    let error = laptop.apply_page(Cursor::START, &lacking).unwrap_err();
    assert!(matches!(error, StoreError::Page(PageError::RunningHash)), "{error}");
    lacking.entries = page.entries.iter().rev().cloned().collect();
    let error = laptop.apply_page(Cursor::START, &lacking).unwrap_err();
    assert!(matches!(error, StoreError::Page(PageError::Order)), "{error}");
    lacking.entries = vec![(u64::MAX, page.entries[0].1.clone())];
    assert!(laptop.apply_page(Cursor::START, &lacking).is_err());
    assert!(notes(&laptop).is_empty());
    assert_eq!(laptop.cursor().unwrap(), Cursor::START);

    // Another process was faster: what it brought is known, and its cursor stays.
    assert_eq!(laptop.apply_page(Cursor::START, &page).unwrap().new, 2);
    assert_eq!(laptop.apply_page(Cursor::START, &page).unwrap().new, 0);
    assert_eq!(laptop.cursor().unwrap(), page.next);
}

#[test]
fn a_restored_server_gets_back_what_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut lost = server(&dir.path().join("lost.db"));
    let mut restored = server(&dir.path().join("restored.db"));
    let mut phone = Device::new("phone");
    let of_phone = [phone.note(1, NOW, "phone 1"), phone.note(2, NOW, "phone 2")];
    pushed(&mut lost, phone.push(&of_phone));
    pushed(&mut restored, phone.push(&of_phone[..1]));
    for number in 0..3 {
        written(&mut laptop, text(&format!("laptop {number}"), NOW)).unwrap();
    }
    let receipts = deliver(&mut laptop, &mut lost);
    pull(&mut laptop, &mut *lost.reader().unwrap());
    assert_eq!(laptop.waiting().unwrap(), 0);

    assert_eq!(laptop.requeue_after(receipts[0].chain, 1).unwrap(), 2);
    assert_eq!(laptop.requeue_after(receipts[0].chain, 0).unwrap(), 1);
    assert_eq!(laptop.requeue_after(receipts[0].chain, 0).unwrap(), 0);
    assert_eq!(laptop.requeue_after(phone.chain, 1).unwrap(), 1, "of others, too");
    assert_eq!(laptop.waiting().unwrap(), 4);
    assert_eq!(notes(&laptop).iter().filter(|note| note.waiting).count(), 4);
    laptop.reset_cursor().unwrap();
    deliver(&mut laptop, &mut restored);
    pull(&mut laptop, &mut *restored.reader().unwrap());

    let mut here = texts(&mut *laptop.reader().unwrap(), Query::default());
    let mut there = texts(&mut *restored.reader().unwrap(), Query::default());
    here.sort();
    there.sort();
    assert_eq!(here, there);
    assert_eq!(here.len(), 5);
    assert_eq!(laptop.waiting().unwrap(), 0);
}

#[test]
fn chains_get_the_names_of_their_devices() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut server = server(&dir.path().join("server.db"));
    let mut phone = Device::new("phone");
    let entry = phone.note(1, NOW, "of the phone");
    pushed(&mut server, phone.push(&[entry]));
    pull(&mut laptop, &mut *server.reader().unwrap());
    assert_eq!(notes(&laptop)[0].device, "");

    let mut heads = server.reader().unwrap().heads(HERE).unwrap();
    let unknown =
        Head { chain: Device::new("tablet").chain, device: "tablet".into(), ..heads[0].clone() };
    heads.push(unknown);
    laptop.apply_heads(&heads).unwrap();

    let mut reader = laptop.reader().unwrap();
    assert_eq!(notes(&laptop)[0].device, "phone");
    assert_eq!(reader.heads(HERE).unwrap().len(), 1, "of a chain without changes nothing is said");
    let from = Query { from: Some("phone".to_owned()), ..Query::default() };
    assert_eq!(texts(&mut *reader, from), ["of the phone"]);
    heads[0].device = "pocket phone".to_owned();
    laptop.apply_heads(&heads).unwrap();
    assert_eq!(notes(&laptop)[0].device, "pocket phone");
}

#[test]
fn a_chain_that_gets_its_name_late_keeps_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let mut server = server(&dir.path().join("server.db"));
    let mut phone = Device::new("phone");
    let entries = [phone.note(1, NOW, "one"), phone.note(2, NOW, "two")];
    pushed(&mut server, phone.push(&entries));
    let mut reader = server.reader().unwrap();
    pull(&mut replica(&path), &mut *reader);

    // Another process hears whose it is, and then reads the feed once more.
    let mut laptop = replica(&path);
    laptop.apply_heads(&reader.heads(HERE).unwrap()).unwrap();
    laptop.reset_cursor().unwrap();
    assert_eq!(pull(&mut laptop, &mut *reader), 0, "nothing is new");
    assert_eq!(laptop.reader().unwrap().heads(HERE).unwrap()[0].seq, 2);
}

#[test]
fn small_things_are_kept_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    assert_eq!(replica(&path).meta("rtt").unwrap(), None);
    replica(&path).set_meta("rtt", "12 ms").unwrap();
    replica(&path).set_meta("rtt", "15 ms").unwrap();
    assert_eq!(replica(&path).meta("rtt").unwrap().as_deref(), Some("15 ms"));
}
