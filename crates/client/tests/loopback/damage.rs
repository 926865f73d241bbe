//! Replicas that are damaged, lost, put back to an older copy, or used twice: in the end everybody has the same notes.

use std::fs;
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use suibi_client::{Client, ClientConfig, Place, Scope, Synced};
use suibi_journal::Extras;
use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

use crate::support::{PATIENCE, Serving, World, copy, eventually, texts};

fn add(client: &mut Client, text: &str) -> suibi_client::Added {
    client.add(text, None, Extras::new()).unwrap()
}

#[track_caller]
fn sync(client: &mut Client) -> Synced {
    client.sync(PATIENCE, |_| {}).unwrap()
}

fn shown(client: &Client) -> Vec<String> {
    texts(&mut *client.reader().unwrap())
}

fn replica(world: &World, device: &str) -> PathBuf {
    let mut files = fs::read_dir(world.dir(device)).unwrap().map(|file| file.unwrap().path());
    files
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with(".db") && !name.contains("-index")
        })
        .unwrap()
}

/// Writes nonsense over a part of a file.
fn damage(path: &Path, from: u64, len: usize) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xa5; len]).unwrap();
}

/// Damages a replica beyond use: its file, and its log in these places.
fn destroy(path: &Path, places: &[(u64, usize)]) {
    damage(path, 0, fs::metadata(path).unwrap().len() as usize);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for (from, len) in places {
        damage(Path::new(&log), *from, *len);
    }
}

fn remove_files(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = fs::remove_file(name);
    }
}

/// All of them have the same notes, and everything verifies.
#[track_caller]
fn all_alike(clients: &mut [&mut Client], expected: &[&str]) {
    for _ in 0..2 {
        for client in &mut *clients {
            sync(client);
        }
    }
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    for client in clients {
        assert_eq!(shown(client), expected);
        let found = client.verify(Scope::All, PATIENCE, &mut |_, _| {}).unwrap();
        assert_eq!((found.problems, found.waiting), (Vec::new(), 0));
    }
}

/// A phone with notes on the server and, since that is gone, some that are not.
fn phone_with_outbox(world: &World) -> (Serving, Vec<String>) {
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let mut laptop = world.client("laptop", server.address);
    let mut expected = Vec::new();
    for i in 0..3 {
        for (client, name) in [(&mut phone, "phone"), (&mut laptop, "laptop")] {
            let text = format!("{name} {i}");
            add(client, &text);
            expected.push(text);
        }
    }
    sync(&mut phone);
    let address = server.stop();
    for i in 0..3 {
        let text = format!("waiting {i}");
        assert!(add(&mut phone, &text).receipt.is_none());
        expected.push(text);
    }
    drop((phone, laptop));
    (world.serve(address), expected)
}

#[test]
fn a_damaged_replica_is_put_aside_and_filled_anew() {
    // Behind the damaged place in the log nothing can be read by the database any more.
    for (what, places) in [("begin", [(0, 64), (0, 0)]), ("more", [(0, 64), (8_000, 3_000)])] {
        let world = World::new();
        let (server, mut expected) = phone_with_outbox(&world);
        destroy(&replica(&world, "phone"), &places);
        let mut phone = world.client("phone", server.address);
        let rebuilt = phone.rebuilt().cloned();
        let synced = sync(&mut phone);
        let told = synced.rebuilt.as_ref().unwrap_or_else(|| panic!("{what}: nothing was done"));
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.aside).as_ref(), Some(&told.aside));
        assert!(told.aside.to_string_lossy().contains(".damaged-1"), "{told:?}");
        assert!(told.aside.exists(), "{what}: nothing of it is removed");
        assert_eq!((told.kept, synced.waiting), (3, 0), "{what}");
        let repairs = phone.status(PATIENCE).unwrap().repairs;
        assert!(repairs.iter().any(|repair| repair.what.word() == "rebuilt"), "{repairs:?}");

        assert!(add(&mut phone, "after").receipt.is_some());
        expected.push("after".into());
        let mut laptop = world.client("laptop", server.address);
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        all_alike(&mut [&mut phone, &mut laptop], &expected);
    }
}

#[test]
fn damage_that_is_met_while_working_is_repaired_on_the_way() {
    let world = World::new();
    let server = world.serve(None);
    let mut laptop = world.client("laptop", server.address);
    let events = laptop.live().unwrap();
    let expected: Vec<String> =
        (0..400).map(|i| format!("note {i:03} {}", "x".repeat(400))).collect();
    for text in &expected {
        add(&mut laptop, text);
    }
    eventually("the notes are on the server", || laptop.waiting().unwrap() == 0);
    laptop.stop_live();
    drop(events);
    drop(laptop);
    let path = replica(&world, "laptop");
    let len = fs::metadata(&path).unwrap().len();
    assert!(len > 50 * 4096, "{len} bytes are in the file and not in its log");
    // Everything but the header and the schema.
    damage(&path, 2 * 4096, (len - 2 * 4096) as usize);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::write(&log, []).unwrap();

    let mut laptop = world.client("laptop", server.address);
    let mut phone = world.client("phone", server.address);
    let added = add(&mut laptop, "new");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    let synced = sync(&mut laptop);
    assert!(synced.rebuilt.is_some());
    let mut expected: Vec<_> = expected.iter().map(String::as_str).collect();
    expected.push("new");
    all_alike(&mut [&mut phone, &mut laptop], &expected);
}

#[test]
fn without_a_server_what_waited_is_there_all_the_same() {
    let world = World::new();
    let (server, mut expected) = phone_with_outbox(&world);
    let address = server.stop();
    destroy(&replica(&world, "phone"), &[(0, 64)]);
    let mut phone = world.client("phone", address);
    assert!(phone.sync(PATIENCE, |_| {}).is_err());
    // With it what could not be told from it: where the receipts are gone, everything may be waiting.
    let here = shown(&phone);
    assert!((0..3).all(|i| here.contains(&format!("waiting {i}"))), "{here:?}");
    assert_eq!(phone.waiting().unwrap(), here.len() as u64);
    let server = world.serve(address);
    sync(&mut phone);
    let mut laptop = world.client("laptop", server.address);
    expected.sort();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    all_alike(&mut [&mut phone, &mut laptop], &expected);
}

/// Everything in the file, without a log, and its first page gone: what is left is found by its bytes, but for what is
/// long.
fn lose_the_first_page(path: &Path) {
    // A server empties the log of a file that it opens.
    drop(opened(path, OwnChain::Fresh));
    damage(path, 0, 4096);
}

fn opened(path: &Path, own_chain: OwnChain) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions { own_chain, device: "phone".into() }).unwrap()
}

fn long() -> String {
    "a long one ".repeat(1_000)
}

#[test]
fn a_repair_that_was_stopped_anywhere_is_completed_by_the_next_process() {
    for renamed in 0..4 {
        let world = World::new();
        let (server, mut expected) = phone_with_outbox(&world);
        let path = replica(&world, "phone");
        let beside = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
        let aside = beside(".damaged-1");
        let name = aside.file_name().unwrap().to_str().unwrap();
        fs::write(beside(".rebuild"), format!("{name}\n")).unwrap();
        if renamed >= 1 {
            fs::rename(beside("-wal"), beside(".damaged-1-wal")).unwrap();
        }
        if renamed >= 2 {
            fs::rename(&path, &aside).unwrap();
        }
        if renamed >= 3 {
            drop(opened(&path, OwnChain::Kept));
        }
        let mut phone = world.client("phone", server.address);
        assert_eq!(phone.rebuilt().unwrap().aside, aside, "{renamed} steps were done");
        assert_eq!(fs::read(beside(".rebuild")).unwrap(), b"");
        assert_eq!(sync(&mut phone).rebuilt.unwrap().kept, 3, "{renamed} steps were done");
        drop(phone);
        let mut phone = world.client("phone", server.address);
        assert!(phone.rebuilt().is_none(), "once is enough");
        let mut laptop = world.client("laptop", server.address);
        expected.sort();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        all_alike(&mut [&mut phone, &mut laptop], &expected);
    }
}

#[test]
fn a_good_replica_stays_whatever_error_is_met() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    let error = suibi_store::StoreError::Corrupt("a mistake of ours".into());
    assert!(phone.rebuild(error).is_err());
    assert!(phone.rebuilt().is_none());
    all_alike(&mut [&mut phone], &["one"]);
}

#[test]
fn what_the_server_has_is_not_written_anew_because_nobody_could_be_asked() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let mut laptop = world.client("laptop", server.address);
    let deleted = add(&mut phone, "deleted").note;
    add(&mut phone, &long());
    let seen: Vec<_> =
        phone.history(deleted).unwrap().iter().map(|past| past.entry.hash()).collect();
    phone.remove(deleted, &seen).unwrap();
    add(&mut phone, "after it");
    sync(&mut phone);
    sync(&mut laptop);
    let before = laptop.status(PATIENCE).unwrap().head.unwrap();
    let address = server.stop();
    drop(phone);
    lose_the_first_page(&replica(&world, "phone"));
    let mut phone = world.client("phone", address);
    for _ in 0..2 {
        assert!(phone.sync(PATIENCE, |_| {}).is_err());
        assert_eq!(shown(&phone), ["deleted"], "as far as its chain can be read");
    }
    let server = world.serve(address);
    assert!(sync(&mut phone).rebuilt.is_some());
    assert_eq!(phone.status(PATIENCE).unwrap().head.unwrap(), before, "nothing was written anew");
    let mut laptop = world.client("laptop", server.address);
    all_alike(&mut [&mut phone, &mut laptop], &[&long(), "after it"]);
    assert_eq!(phone.status(PATIENCE).unwrap().head.unwrap(), before);
}

#[test]
fn a_drop_whose_replica_is_damaged_delivers_what_is_left_and_nothing_twice() {
    let world = World::new();
    let server = world.serve(None);
    world.join("laptop", &world.invite("read,write"));
    world.join("drop", &world.invite("write"));
    let mut drop = world.joined("drop");
    for text in ["one", &long(), "two"] {
        assert!(add(&mut drop, text).receipt.is_some());
    }
    let replica = drop.status(PATIENCE).unwrap().replica;
    std::mem::drop(drop);
    lose_the_first_page(&replica);
    let mut drop = world.joined("drop");
    assert_eq!(drop.rebuilt().unwrap().kept, 2, "as nobody can tell what the server has");
    let synced = sync(&mut drop);
    assert_eq!((synced.waiting, synced.rescued, synced.refused), (0, 0, Vec::new()));

    // This time there is one in between that nobody has.
    let (address, oscore) = (server.address, server.oscore);
    server.stop();
    std::mem::drop(drop);
    for file in fs::read_dir(world.dir("drop")).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains(".damaged-") {
            fs::remove_file(path).unwrap();
        }
    }
    opened(&replica, OwnChain::Kept).set_meta("rebuilt", "0").unwrap();
    let mut drop = world.joined("drop");
    for text in ["three", &"lost ".repeat(2_000), "four"] {
        assert!(add(&mut drop, text).receipt.is_none());
    }
    std::mem::drop(drop);
    lose_the_first_page(&replica);
    let _server = Serving::start_at(world.dir("server"), Some(address), Some(oscore));
    let mut drop = world.joined("drop");
    assert!(drop.rebuilt().is_some());
    let synced = sync(&mut drop);
    assert_eq!((synced.waiting, synced.rescued, synced.refused), (0, 1, Vec::new()));
    let mut laptop = world.joined("laptop");
    sync(&mut laptop);
    assert_eq!(shown(&laptop), [&long(), "four", "one", "three", "two"]);
}

#[test]
fn a_live_view_goes_on_with_the_new_replica() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let mut laptop = world.client("laptop", server.address);
    add(&mut phone, "one");
    let events = phone.live().unwrap();
    let path = replica(&world, "phone");
    // As another process does that meets the damage first.
    drop(world.client("phone", server.address));
    destroy(&path, &[(0, 64)]);
    let mut other = world.client("phone", server.address);
    sync(&mut other);
    assert!(other.rebuilt().is_some());
    add(&mut laptop, "two");
    eventually("the other process is followed", || shown(&phone).len() == 2);
    add(&mut phone, "three");
    eventually("what is written goes to the new replica", || phone.waiting().unwrap() == 0);
    phone.stop_live();
    drop(events);
    all_alike(&mut [&mut phone, &mut laptop, &mut other], &["one", "two", "three"]);
}

#[test]
fn a_lost_replica_comes_back_from_the_server() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    add(&mut phone, "two");
    drop(phone);
    remove_files(&replica(&world, "phone"));
    let mut phone = world.client("phone", server.address);
    assert!(phone.rebuilt().is_none(), "there was nothing to put aside");
    add(&mut phone, "three");
    all_alike(&mut [&mut phone], &["one", "two", "three"]);
}

#[test]
fn a_replica_put_back_to_an_older_copy_loses_nothing() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    drop(phone);
    copy(&world.dir("phone"), &world.dir("backup"));
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "two");
    add(&mut phone, "three");
    drop(phone);
    fs::remove_dir_all(world.dir("phone")).unwrap();
    copy(&world.dir("backup"), &world.dir("phone"));

    // Its chain goes on elsewhere: offline and online.
    let address = server.stop();
    let mut phone = world.client("phone", address);
    assert!(add(&mut phone, "four").receipt.is_none());
    let server = world.serve(address);
    assert!(add(&mut phone, "five").receipt.is_some());
    let mut laptop = world.client("laptop", server.address);
    all_alike(&mut [&mut phone, &mut laptop], &["one", "two", "three", "four", "five"]);
}

#[test]
fn two_copies_of_one_replica_write_on_and_edit_the_same_note() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let note = add(&mut phone, "tea").note;
    drop(phone);
    copy(&world.dir("phone"), &world.dir("clone"));
    let place = Place::Server { address: server.address.to_string() };
    let data_dir = world.dir("clone");
    let config = ClientConfig { data_dir, place, device: "phone".into() };
    let mut phone = world.client("phone", server.address);
    let mut clone = Client::open(config).unwrap();
    let heads =
        phone.history(note).unwrap().iter().map(|past| past.entry.hash()).collect::<Vec<_>>();
    assert!(phone.edit(note, &heads, "tea\nand milk").unwrap().receipt.is_some());
    assert!(clone.edit(note, &heads, "green tea").unwrap().receipt.is_some());
    sync(&mut phone);
    let history = phone.history(note).unwrap();
    let told: Vec<_> = history.iter().map(|past| past.device.as_str()).collect();
    assert_eq!(told, ["phone", "phone", "phone"]);
    assert_eq!(shown(&phone), shown(&clone));
    assert_eq!(shown(&phone).len(), 1);
    assert!(shown(&phone)[0].contains("green tea") && shown(&phone)[0].contains("and milk"));
}
