//! A purge, from the command of an admin to the last byte on every device.

use std::fs;
use std::path::Path;

use suibi_client::{Client, ClientError, Scope};
use suibi_journal::{AuditKind, Body, Extras, NoteId};
use suibi_store::{JournalId, NoteRefused};

use crate::support::{PATIENCE, Serving, World, eventually, texts};

fn add(client: &mut Client, text: &str) -> NoteId {
    client.add(text, None, Extras::new()).unwrap().note
}

#[track_caller]
fn sync(client: &mut Client) {
    let synced = client.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!((synced.waiting, synced.refused.len()), (0, 0));
}

fn edit(client: &mut Client, note: NoteId, text: &str) {
    let heads = client.reader().unwrap().note(JournalId::FIRST, note).unwrap().unwrap().heads;
    client.edit(note, &heads, text).unwrap();
}

fn shown(client: &Client) -> Vec<String> {
    texts(&mut *client.reader().unwrap())
}

/// Whether a word stands anywhere in the files of a directory.
fn is_in(directory: &Path, word: &str) -> bool {
    fs::read_dir(directory).unwrap().any(|file| {
        let path = file.unwrap().path();
        match path.is_dir() {
            true => is_in(&path, word),
            false => fs::read(&path).unwrap().windows(word.len()).any(|w| w == word.as_bytes()),
        }
    })
}

#[test]
fn a_purge_reaches_the_server_at_once_and_each_device_at_its_next_contact() {
    let world = World::new();
    let server = world.serve(None);
    world.join("laptop", &world.invite("read,write,admin"));
    world.join("phone", &world.invite("read,write"));
    let (mut laptop, mut phone) = (world.joined("laptop"), world.joined("phone"));
    add(&mut phone, "kept");
    let note = add(&mut phone, "quokkaword");
    sync(&mut laptop);
    edit(&mut laptop, note, "zebraword");

    let error = phone.purge(note, PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::NotAdmin { .. }), "{error}");
    drop(phone);
    let purged = laptop.purge(note, PATIENCE).unwrap();
    assert!(purged.trouble.is_none(), "{:?}", purged.trouble);

    assert_eq!(shown(&laptop), ["kept"]);
    for word in ["quokkaword", "zebraword"] {
        eventually("the text is gone", || {
            !is_in(&world.dir("server"), word) && !is_in(&world.dir("laptop"), word)
        });
    }
    assert!(is_in(&world.dir("phone"), "quokkaword"), "it has not come yet");

    let mut phone = world.joined("phone");
    sync(&mut phone);
    assert_eq!(shown(&phone), ["kept"]);
    assert!(!is_in(&world.dir("phone"), "quokkaword") && !is_in(&world.dir("phone"), "zebraword"));
    let repairs = phone.reader().unwrap().audit(10).unwrap();
    assert_eq!(repairs.last().unwrap().what, AuditKind::Purged);

    // Who and when is still told, and nothing is missing.
    let history = phone.history(note).unwrap();
    assert_eq!(history.len(), 3);
    assert!(history[..2].iter().all(|revision| revision.entry.content().is_none()));
    assert_eq!(history[2].entry.content().unwrap().body, Body::Purged);
    for client in [&mut laptop, &mut phone] {
        let verification = client.verify(Scope::All, PATIENCE, &mut |_, _| {}).unwrap();
        assert_eq!(verification.problems, []);
        let refused = client.edit(note, &[], "again").unwrap_err();
        assert!(
            matches!(refused, ClientError::Note(NoteRefused::NotFound | NoteRefused::Purged)),
            "{refused}"
        );
    }
    let trail = world.admin("server").audit(50).unwrap();
    let entry = trail.iter().find(|entry| entry.what == AuditKind::Purged).unwrap();
    assert_eq!((&*entry.device, entry.detail.clone()), ("laptop", format!("note {note}")));
    drop(server);
}

#[test]
fn what_was_written_to_a_purged_note_elsewhere_goes_with_it_and_blocks_nothing() {
    let world = World::new();
    let server = world.serve(None);
    world.join("laptop", &world.invite("read,write,admin"));
    world.join("phone", &world.invite("read,write"));
    let (mut laptop, mut phone) = (world.joined("laptop"), world.joined("phone"));
    let note = add(&mut laptop, "quokkaword");
    sync(&mut phone);
    let (address, oscore) = (server.address, server.oscore);
    drop(server);
    edit(&mut phone, note, "zebraword");
    add(&mut phone, "written after it");
    let server = Serving::start_at(world.dir("server"), Some(address), Some(oscore));
    drop(laptop);
    let mut laptop = world.joined("laptop");
    laptop.purge(note, PATIENCE).unwrap();

    let mut phone = world.joined("phone");
    sync(&mut phone);
    sync(&mut laptop);

    for client in [&phone, &laptop] {
        assert_eq!(shown(client), ["written after it"]);
        assert_eq!(client.history(note).unwrap().len(), 3);
    }
    for place in ["server", "laptop", "phone"] {
        eventually("the text is gone", || !is_in(&world.dir(place), "zebraword"));
        assert!(!is_in(&world.dir(place), "quokkaword"), "{place}");
    }
    drop(server);
}
