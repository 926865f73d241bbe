//! Proof that nothing is missing, backups, and what happens when a store was put back to an older state.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machinery::{
    Finished, Home, PATIENCE, Server, Terminal, assert_documented, assert_each_once, free_port,
    run, told, wait_until,
};
use serde_json::Value;
use suibi_net::relay::{Faults, Relay};

/// A server for invited devices, which can be stopped, put back, and started again at the same address.
struct Place {
    data: tempfile::TempDir,
    address: SocketAddr,
    owner: Home,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let owner = Home::of_owner(data.path());
        Self { data, address: free_port(), owner }
    }

    fn start(&self) -> Server {
        let address = self.address.to_string();
        let mut command = Server::command(self.data.path(), &["--listen", &address]);
        Server::spawn(command.env("SUIBI_DEVICE", "home"))
    }

    fn join(&self, server: &Server, name: &str) -> Home {
        let home = Home::new();
        home.join(&self.owner.invite(server, &[]), name);
        home
    }

    /// A file that is not there yet.
    fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// What the server keeps is there no more.
    fn empty(&self) {
        for name in fs::read_dir(self.data.path()).unwrap() {
            let path = name.unwrap().path();
            if path.extension().is_some_and(|extension| extension != "backup") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `home` was told, without this place's port and directory and without the ids of chains.
fn settled(place: &Place, home: &Home, finished: &Finished) -> String {
    let told = told(home, finished)
        .replace(text(place.data.path()), "DATA")
        .replace(&place.address.port().to_string(), "5683");
    let is_id = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = told.split_inclusive([' ', '\n']).map(|word| match is_id(word.trim_end()) {
        true => word.replace(word.trim_end(), "0a1b…"),
        false => word.to_owned(),
    });
    words.collect()
}

fn json(finished: &Finished) -> Value {
    assert_documented(&finished.out);
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:#?}"))
}

#[test]
fn where_nothing_is_missing_verify_says_so() {
    let place = Place::new();
    let server = place.start();
    let laptop = place.join(&server, "laptop");
    laptop.save("first");
    laptop.save("第二条");
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["verify"])), @"
    ✓ here: 2 changes in 1 chain, 2 notes; every hash and link is right
    with the server as well: suibi verify --server
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["verify", "--server"])), @"
    ✓ here: 2 changes in 1 chain, 2 notes; every hash and link is right
    ✓ server: 2 changes in 1 chain; both have the same
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["verify", "--all"])), @"
    ✓ here: 2 changes in 1 chain, 2 notes; every hash and link is right
    ✓ server: 2 changes in 1 chain read again; all are right, and here as well
    --- 0
    ");
    let clean = json(&laptop.suibi(&["verify", "--server", "--json"]).expect_success());
    assert_eq!((&clean["ok"], &clean["server"]["changes"]), (&true.into(), &2.into()));
    assert!(json(&laptop.suibi(&["verify", "--json"]))["server"].is_null());

    server.kill();
    laptop.add("while nobody answers");
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["verify"])), @"
    ✓ here: 3 changes in 1 chain, 3 notes; every hash and link is right
    · 1 change waits for the server: that is no gap, suibi sync takes it there
    with the server as well: suibi verify --server
    --- 0
    ");
    laptop.suibi(&["verify", "--server"]).expect_refusal(&[5]);
}

#[test]
fn a_receipt_can_be_checked_at_any_time() {
    let place = Place::new();
    let server = place.start();
    let laptop = place.join(&server, "laptop");
    let saved = laptop.suibi(&["buy tea 茶"]).expect_success().err;
    let receipt = saved.split_once("· #").unwrap().1.trim().to_owned();
    let (position, hash) = receipt.split_once(" · ").unwrap();
    let whole = format!("#{receipt}");
    for spelled in [&[position][..], &[hash], &[&whole], &[position, "·", hash], &[position, hash]]
    {
        let kept = laptop.suibi(&[&["verify"], spelled].concat()).expect_success();
        let wanted = format!("✓ {whole} is on the server\n  change 1 of laptop\n");
        assert!(kept.out.starts_with(&wanted), "{spelled:?}: {kept:#?}");
        assert!(kept.out.contains("buy tea 茶"), "{kept:#?}");
    }
    let kept = json(&laptop.suibi(&["verify", "--json", hash]).expect_success());
    assert_eq!((&kept["ok"], &kept["server"]["position"]), (&true.into(), &1.into()));
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["verify", "77"])), @"
    ✗ no change with the receipt #77, neither here nor on the server
    --- 1
    hint: another device may have it: suibi sync there; so may a backup
    ");
    laptop.suibi(&["verify", "last"]).expect_refusal(&[2]);
    server.kill();
    let alone = laptop.suibi(&["verify", position]).expect_refusal(&[5]);
    assert!(alone.out.contains("is on this device; the server could not be asked"), "{alone:#?}");
}

#[test]
fn a_server_that_was_put_back_is_told_so_by_its_devices_and_gets_everything_again() {
    let place = Place::new();
    let server = place.start();
    let laptop = place.join(&server, "laptop");
    let phone = place.join(&server, "手机");
    laptop.save("before the backup");
    let backup = place.file("early.backup");
    insta::assert_snapshot!(
        settled(&place, &place.owner, &place.owner.suibi(&["backup", "create", text(&backup)])), @"
    ✓ DATA/early.backup: made, and checked
      a server's data, 2026-11-23 09:05: 1 change, 1 note, 102.4 kB
    --- 0
    the keys of all devices are in it: keep it where only you can read it
    "
    );
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it has keys in it");

    let saved = laptop.suibi(&["after the backup"]).expect_success().err;
    let receipt = saved.split_once("· #").unwrap().1.trim().replace(" · ", " ");
    laptop.save("and one more");
    phone.save("电话里的");
    laptop.sync().expect_success();
    server.kill();

    place.empty();
    let restored = place.owner.suibi(&["backup", "restore", text(&backup)]);
    insta::assert_snapshot!(
        settled(&place, &place.owner, &restored), @"
    --- 0
    ✓ restored to DATA/server.db, as of 2026-11-23 09:05: 1 note
      start it: suibi serve; its devices give back what is newer when they come by
    "
    );
    let server = place.start();

    let gap = laptop.suibi(&["verify", "--server"]);
    insta::assert_snapshot!(settled(&place, &laptop, &gap), @"
    ✓ here: 4 changes in 2 chains, 4 notes; every hash and link is right
    ✗ server: 1 change in 1 chain; 2 problems
      the server lacks changes 2 to 3 of chain 0a1b… («laptop»), for which there were receipts
      hint: suibi sync gives them back
      the server lacks change 1 of chain 0a1b… («手机»), for which there were receipts
      hint: suibi sync gives them back
    --- 1
    ");
    let gap = json(&laptop.suibi(&["verify", "--server", "--json"]));
    assert_eq!((&gap["ok"], &gap["problems"][0]["side"]), (&false.into(), &"server".into()));
    let receipt: Vec<&str> = receipt.split(' ').collect();
    let lost = laptop.suibi(&[&["verify"], &receipt[..]].concat()).expect_refusal(&[1]);
    assert!(lost.out.contains("is on this device, and not on the server"), "{lost:#?}");

    insta::assert_snapshot!(told(&laptop, &laptop.sync()), @"
    --- 0
    ✓ in step with the server · 3 sent, 1 received
      3 changes given back to the server, which had been put back to an older state
    ");
    phone.sync().expect_success();
    laptop.sync().expect_success();
    let all = ["before the backup", "after the backup", "and one more", "电话里的"];
    for home in [&laptop, &phone] {
        assert_each_once(&home.log(), &all.map(String::from));
        home.suibi(&["verify", "--all"]).expect_success();
    }
    laptop.suibi(&[&["verify"], &receipt[..]].concat()).expect_success();
    let audit = place.owner.suibi(&["audit"]).expect_success();
    assert!(audit.out.contains("recovered"), "{audit:#?}");
    drop(server);
}

#[test]
fn a_device_that_was_put_back_writes_on_and_loses_nothing() {
    let place = Place::new();
    let server = place.start();
    let laptop = place.join(&server, "laptop");
    laptop.save("before");
    server.kill();
    laptop.add("waits when the backup is made");
    let backup = place.file("laptop.backup");
    let made = laptop.suibi(&["backup", "create", text(&backup)]).expect_success();
    insta::assert_snapshot!(
        settled(&place, &laptop, &made), @"
    ✓ DATA/laptop.backup: made, and checked
      a device's notes and its membership, 2026-11-23 09:05: 2 changes, 2 notes, 102.4 kB
    --- 0
    this device's key is in it: keep it where only you can read it
    "
    );
    let server = place.start();
    laptop.sync().expect_success();
    laptop.save("after the backup");

    // Another disk, the same device.
    let again = Home::new();
    let restored = again.suibi(&["backup", "restore", text(&backup)]).expect_success();
    insta::assert_snapshot!(settled(&place, &again, &restored), @"
    --- 0
    ✓ restored to ~/data/suibi/joined-127.0.0.1+5683-notes.db, as of 2026-11-23 09:05: 2 notes
      this machine is the device that it was; what is newer comes from the server: suibi sync
    ");
    again.add("written on the new disk");
    again.sync().expect_success();
    again.sync().expect_success();
    let all =
        ["before", "waits when the backup is made", "after the backup", "written on the new disk"];
    assert_each_once(&again.log(), &all.map(String::from));
    again.suibi(&["verify", "--all"]).expect_success();
    laptop.sync().expect_success();
    assert_each_once(&laptop.log(), &all.map(String::from));
    drop(server);
}

#[test]
fn backups_replace_nothing_and_are_checked() {
    let home = Home::new();
    let file = home.path().join("one.backup");
    let nothing = home.suibi(&["backup", "create", text(&file)]);
    insta::assert_snapshot!(told(&home, &nothing), @"
    --- 1
    error: ~/data/suibi holds no notes yet
    hint: --data-dir names another directory
    ");
    home.save("unmistakable");
    home.suibi(&["backup", "create", text(&file)]).expect_success();
    insta::assert_snapshot!(told(&home, &home.suibi(&["backup", "create", text(&file)])), @"
    --- 2
    error: ~/one.backup is there already; nothing was done
    hint: choose another name: a backup never replaces a file
    ");
    let checked = home.suibi(&["backup", "check", text(&file)]).expect_success();
    assert!(checked.out.contains("a server's data, "), "{checked:#?}");
    let checked = json(&home.suibi(&["backup", "check", "--json", text(&file)]));
    assert_eq!((&checked["role"], &checked["notes"]), (&"server".into(), &1.into()));
    assert_eq!(checked["ok"], true);
    insta::assert_snapshot!(told(&home, &home.suibi(&["backup", "restore", text(&file)])), @"
    --- 2
    error: server.db is there in ~/data/suibi; nothing was restored
    hint: a backup goes where nothing is: --data-dir names an empty place, or move the files there away
    ");
    let other = Home::new();
    let restored = json(&other.suibi(&["backup", "restore", "--json", text(&file)]));
    assert_eq!(restored["role"], "server");
    assert_eq!(other.log_in_step(), ["unmistakable"]);

    // A few bytes in the middle of it are wrong.
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(12).position(|window| window == b"unmistakable").unwrap();
    bytes[at] ^= 1;
    let damaged = home.path().join("damaged.backup");
    fs::write(&damaged, bytes).unwrap();
    let told = home.suibi(&["backup", "check", text(&damaged)]);
    assert_eq!(told.status.code(), Some(1), "{told:#?}");
    let third = Home::new();
    third.suibi(&["backup", "restore", text(&damaged)]).expect_refusal(&[6]);
    assert_eq!(third.log(), [""; 0]);
    home.suibi(&["backup", "check", "/etc/hostname"]).expect_refusal(&[6]);
    home.suibi(&["backup", "check", "/nowhere/at/all"]).expect_refusal(&[6]);
    home.suibi(&["backup", "create", "/nowhere/at/all"]).expect_refusal(&[6]);
}

#[test]
fn where_a_machine_serves_and_has_joined_the_role_is_asked_for() {
    let place = Place::new();
    let server = place.start();
    let laptop = Home::new();
    laptop.add("from when it was its own server");
    laptop.join(&place.owner.invite(&server, &[]), "laptop");
    laptop.sync().expect_success();
    let file = laptop.path().join("both.backup");
    insta::assert_snapshot!(
        settled(&place, &laptop, &laptop.suibi(&["backup", "create", text(&file)])), @"
    --- 2
    error: ~/data/suibi holds two things: a server's data, and the notes of 127.0.0.1:5683 that it has joined
    hint: say which: suibi backup create --server FILE, or --replica FILE
    "
    );
    for (role, wanted) in [("--server", "a server's data, "), ("--replica", "its membership, ")] {
        let file = laptop.path().join(role);
        let made = laptop.suibi(&["backup", "create", role, text(&file)]).expect_success();
        assert!(made.out.contains(wanted), "{made:#?}");
    }
    let named = laptop.suibi(&["backup", "create", "--server=coap://127.0.0.1:9", text(&file)]);
    named.expect_refusal(&[2]);
}

#[test]
fn a_long_sync_shows_a_bar_and_ctrl_c_keeps_what_is_done() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let writer = Home::with_server(server.address());
    let notes: String = (0..3000).map(|note| format!("note {note} 号\n")).collect();
    run(&mut writer.command(&[]), notes.as_bytes(), PATIENCE).expect_success();
    wait_until("all are delivered", || writer.sync().status.success());

    // A long way: each page takes its time.
    let far = Faults { delay: Duration::from_millis(150), ..Faults::default() };
    let relay = Relay::start(server.address(), far).unwrap();
    let reader = Home::with_server(relay.address());
    let terminal = Terminal::open(&reader, "sync");
    let screen = terminal.expect(" of 3,000 changes");
    assert!(screen.contains("left"), "{screen}");
    terminal.key("C-c");
    let screen = terminal.expect("ended 130");
    assert!(screen.contains("! stopped: 0 sent, "), "{screen}");
    assert!(screen.contains("all of that is kept"), "{screen}");
    wait_until("the rest comes", || reader.sync().status.success());
    assert_eq!(reader.log().len(), 3000);
    reader.suibi(&["verify", "--server"]).expect_success();
}

#[test]
fn two_copies_of_one_device_come_together_and_say_what_was_repaired() {
    let place = Place::new();
    let server = place.start();
    let laptop = place.join(&server, "laptop");
    laptop.save("before the copy");
    let copy = Home::new();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(laptop.path().join("data"))
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    server.kill();
    for (home, text) in [(&laptop, "of the one"), (&copy, "of the other")] {
        home.add(text);
    }
    let server = place.start();
    laptop.sync().expect_success();
    let told = copy.sync().expect_success();
    assert!(told.err.contains("1 change saved from a copy of this device"), "{told:#?}");
    let status = copy.suibi(&["status"]).expect_success();
    let repaired = status.out.lines().find(|line| line.starts_with("repaired  "));
    assert!(repaired.is_some_and(|line| line.contains("rescued")), "{status:#?}");
    let json = json(&copy.suibi(&["status", "--json"]).expect_success());
    assert_eq!(json["repairs"][0]["what"], "rescued");
    for home in [&laptop, &copy, &laptop] {
        home.sync().expect_success();
    }
    let all = ["before the copy", "of the one", "of the other"].map(String::from);
    for home in [&laptop, &copy] {
        assert_each_once(&home.log(), &all);
        home.suibi(&["verify", "--all"]).expect_success();
    }
    drop(server);
}
