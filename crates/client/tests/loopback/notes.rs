//! Writing to notes that are there, and the proof that nothing is missing.

use std::time::Duration;

use suibi_client::{Client, ClientError, Scope, Side, Verification};
use suibi_journal::{Extras, Hash, NoteId};
use suibi_store::JournalId;

use crate::support::{PATIENCE, World, copy, texts};

fn add(client: &mut Client, text: &str) -> NoteId {
    client.add(text, None, Extras::new()).unwrap().note
}

fn heads(client: &Client, note: NoteId) -> Vec<Hash> {
    client.reader().unwrap().note(JournalId::FIRST, note).unwrap().unwrap().heads
}

fn shown(client: &Client) -> Vec<String> {
    texts(&mut *client.reader().unwrap())
}

#[track_caller]
fn verify(client: &mut Client, scope: Scope) -> Verification {
    client.verify(scope, PATIENCE, &mut |_, _| {}).unwrap()
}

#[test]
fn a_note_is_edited_deleted_and_comes_back() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let note = add(&mut phone, "tea");
    let time = phone.reader().unwrap().note(JournalId::FIRST, note).unwrap().unwrap().time;

    let seen = heads(&phone, note);
    let edited = phone.edit(note, &seen, "green tea").unwrap();
    assert_eq!((edited.note, edited.time), (note, time), "it keeps its time");
    assert!(edited.receipt.is_some(), "{:?}", edited.trouble);
    assert_eq!(shown(&phone), ["green tea"]);

    // The heads of before are not the ones that are there.
    let error = phone.edit(note, &seen, "black tea").unwrap_err();
    assert!(matches!(error, ClientError::Changed(changed) if changed == note), "{error}");
    let error = phone.remove(note, &seen).unwrap_err();
    assert!(matches!(error, ClientError::Changed(_)), "{error}");
    assert!(matches!(phone.restore(note), Err(ClientError::NotDeleted(_))));

    assert!(phone.remove(note, &heads(&phone, note)).unwrap().receipt.is_some());
    assert!(shown(&phone).is_empty());
    let restored = phone.restore(note).unwrap();
    assert_eq!((restored.note, restored.time), (note, time));
    let history = phone.history(note).unwrap();
    assert_eq!(history.iter().filter(|past| past.is_head).count(), 1);
    assert_eq!(history.len(), 4);
    let name = format!("#{}", history[0].receipt.unwrap()).parse().unwrap();
    assert_eq!(phone.find(&name).unwrap(), [note]);
    assert_eq!(shown(&phone), ["green tea"]);

    let mut laptop = world.client("laptop", server.address);
    laptop.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(shown(&laptop), ["green tea"]);
    assert!(phone.restore(NoteId::new(1, [9; 10])).is_err(), "there never was such a note");
}

#[test]
fn everything_verifies_and_a_gap_is_named_exactly() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    phone.sync(PATIENCE, |_| {}).unwrap();
    let address = server.stop();
    let (data, backup) = (world.dir("server"), world.dir("backup"));
    copy(&data, &backup);
    let server = world.serve(address);
    for text in ["two", "three"] {
        add(&mut phone, text);
    }
    let mut laptop = world.client("laptop", server.address);
    add(&mut laptop, "four");
    phone.sync(PATIENCE, |_| {}).unwrap();
    for scope in [Scope::Local, Scope::Server, Scope::All] {
        let found = verify(&mut phone, scope);
        assert_eq!(found.problems, [], "{scope:?}");
        let server = (scope != Scope::Local).then_some((4, 2));
        assert_eq!(found.server.map(|checked| (checked.changes, checked.chains)), server);
    }
    let found = verify(&mut phone, Scope::All);
    assert_eq!((found.here.changes, found.here.chains, found.here.notes), (4, 2, 4));

    // The server is put back to a backup: what it lacks is named, and a sync gives it back.
    server.stop();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    let _server = world.serve(address);
    assert_eq!(verify(&mut phone, Scope::Local).problems, []);
    for scope in [Scope::Server, Scope::All] {
        let mut problems = verify(&mut phone, scope).problems;
        problems.sort_by_key(|problem| problem.device.clone());
        let gaps: Vec<_> =
            problems.iter().map(|gap| (gap.side, gap.device.as_deref(), gap.seqs)).collect();
        let there = |device, seqs| (Side::Server, Some(device), Some(seqs));
        assert_eq!(gaps, [there("laptop", (1, 1)), there("phone", (2, 3))], "{scope:?}");
        let text = problems[1].to_string();
        assert!(text.starts_with("the server lacks changes 2 to 3 of chain"), "{text}");
    }
    phone.sync(PATIENCE, |_| {}).unwrap();
    for scope in [Scope::Server, Scope::All] {
        assert_eq!(verify(&mut phone, scope).problems, [], "{scope:?}");
    }
}

#[test]
fn a_receipt_is_found_on_both_sides() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let added = phone.add("tea", None, Extras::new()).unwrap();
    let receipt = added.receipt.unwrap();
    for text in [receipt.to_string(), format!("#{}", receipt.position), receipt.hash.to_string()] {
        let check = phone.verify_receipt(&text, PATIENCE).unwrap();
        assert_eq!(check.server.as_ref().unwrap().unwrap(), receipt, "{text}");
        let here = check.here.as_ref().unwrap();
        assert_eq!((here.note, here.seq, here.device.as_str()), (added.note, 1, "phone"));
        assert!(check.is_kept());
    }
    // A server that was filled anew has given the positions in another order.
    let address = server.stop();
    std::fs::remove_dir_all(world.dir("server")).unwrap();
    let server = world.serve(address);
    let mut laptop = world.client("laptop", server.address);
    add(&mut laptop, "first now");
    phone.sync(PATIENCE, |_| {}).unwrap();
    let check = phone.verify_receipt(&receipt.to_string(), PATIENCE).unwrap();
    let found = check.server.unwrap().unwrap();
    assert_eq!((check.position, found.position, found.hash), (Some(1), 2, receipt.hash));
    let check = laptop.verify_receipt(&receipt.to_string(), PATIENCE).unwrap();
    assert!(check.here.is_none() && check.is_kept(), "not here, but there");

    let check = phone.verify_receipt("#9 · 00aaaa", PATIENCE).unwrap();
    assert!(check.here.is_none() && !check.is_kept());
    assert!(matches!(
        phone.verify_receipt("tea", Duration::ZERO),
        Err(ClientError::Receipt(text)) if text == "tea"
    ));
}

#[test]
fn a_purged_note_is_gone_everywhere_and_everything_verifies() {
    let world = World::new();
    let server = world.serve(None);
    world.join("owner", &world.invite("read,write,admin"));
    world.join("phone", &world.invite("read,write"));
    let (mut owner, mut phone) = (world.joined("owner"), world.joined("phone"));
    let note = add(&mut phone, "a secret");
    let heads = heads(&phone, note);
    phone.edit(note, &heads, "a greater secret").unwrap();
    owner.sync(PATIENCE, |_| {}).unwrap();
    let error = phone.purge(note, PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::NotAdmin { .. }), "{error}");
    let purged = owner.purge(note, PATIENCE).unwrap();
    assert!(purged.trouble.is_none(), "{:?}", purged.trouble);
    phone.sync(PATIENCE, |_| {}).unwrap();
    for client in [&mut owner, &mut phone] {
        assert!(shown(client).is_empty());
        let history = client.history(note).unwrap();
        let texts = history.iter().filter_map(|past| match &past.entry.content()?.body {
            suibi_journal::Body::Text(text) => Some(text.clone()),
            _ => None,
        });
        assert_eq!(texts.count(), 0);
        assert!(matches!(client.restore(note), Err(ClientError::NothingToRestore(_))));
        let found = verify(client, Scope::All);
        assert_eq!((found.problems, found.here.purged), (Vec::new(), 2));
    }
    drop(server);
}
