//! What commands do with one note: show it, tell its history, edit, delete, restore and erase it.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use machinery::{
    BOUND, Finished, Home, Server, Terminal, assert_documented, free_port, masked, run, told,
    wait_until,
};
use serde_json::Value;

/// A server that can be killed and started again at the same address.
struct Place {
    data: tempfile::TempDir,
    address: SocketAddr,
}

impl Place {
    fn new() -> Self {
        Self { data: tempfile::tempdir().unwrap(), address: free_port() }
    }

    fn start(&self) -> Server {
        Server::start_at(self.data.path(), self.address)
    }
}

/// A device with a name.
struct Device {
    home: Home,
    name: &'static str,
}

/// The moment of all notes whose time is shown; edits, deletions and the like tell the real one.
const NOW: &str = "2026-11-23T09:05:00.000+08:00";

/// What `home` says at that moment, as the laptop.
fn at_nine(home: &Home, arguments: &[&str]) -> Finished {
    let mut command = home.command(arguments);
    run(command.env("SUIBI_NOW", NOW).env("SUIBI_DEVICE", "laptop"), b"", BOUND)
}

impl Device {
    fn new(name: &'static str, server: SocketAddr) -> Self {
        Self { home: Home::with_server(server), name }
    }

    fn suibi(&self, arguments: &[&str]) -> Finished {
        self.suibi_with_input("", arguments)
    }

    fn suibi_with_input(&self, input: &str, arguments: &[&str]) -> Finished {
        let mut command = self.home.command(arguments);
        command.env("SUIBI_NOW", NOW).env("SUIBI_DEVICE", self.name);
        run(&mut command, input.as_bytes(), BOUND)
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Finished {
        self.suibi(arguments).expect_success()
    }

    /// Exit code and both streams, without what differs from run to run.
    fn told(&self, arguments: &[&str]) -> String {
        told(&self.home, &self.suibi(arguments))
    }

    #[track_caller]
    fn in_step(&self) {
        wait_until("it is in step", || self.suibi(&["sync"]).status.success());
    }
}

/// Two devices whose server was away while each of them did something.
fn apart(text: &str, laptop_does: &[&str], phone_does: &[&str]) -> (Place, Server, [Device; 2]) {
    let place = Place::new();
    let server = place.start();
    let laptop = Device::new("laptop", place.address);
    let phone = Device::new("手机", place.address);
    laptop.done(&["add", text]);
    laptop.in_step();
    phone.in_step();
    server.kill();
    laptop.done(laptop_does);
    phone.done(phone_does);
    let server = place.start();
    for device in [&laptop, &phone, &laptop] {
        device.in_step();
    }
    (place, server, [laptop, phone])
}

fn json(finished: &Finished) -> Value {
    assert_documented(&finished.out);
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:#?}"))
}

/// A command that is run as the person's editor, on a device.
fn editor(home: &Home, script: &str) -> String {
    let path = home.path().join("editor.sh");
    fs::write(&path, script).unwrap();
    format!("sh {}", path.display())
}

#[test]
fn a_note_is_shown_edited_deleted_and_brought_back() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["buy", "milk", "@shop"]);
    insta::assert_snapshot!(laptop.told(&["show", "last"]), @"
    2026-11-23 Monday · today
    09:05  buy milk @shop

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
    tags      @shop
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    ");
    insta::assert_snapshot!(laptop.told(&["edit", "1", "买", "milk", "and", "面包", "@shop"]), @"
    --- 0
    ✓ edited 2026-11-23 09:05 @shop · #2 · 3f9ac1
    ");
    insta::assert_snapshot!(laptop.told(&["history", "#1"]), @"
    2026-11-23 09:05 written on laptop · #1 · 3f9ac1
      + buy milk @shop

    2026-11-23 09:05 edited on laptop · #2 · 3f9ac1
      - buy milk @shop
      + 买 milk and 面包 @shop
    --- 0
    ");
    insta::assert_snapshot!(laptop.told(&["rm", "1"]), @"
    --- 0
    ✓ deleted 2026-11-23 09:05 @shop · #3 · 3f9ac1
      买 milk and 面包 @shop
      to bring it back: suibi restore '#1'
    ");
    assert_eq!(laptop.home.log(), [""; 0]);
    insta::assert_snapshot!(laptop.told(&["show", "2"]), @"
    2026-11-23 Monday · today
    09:05  (deleted)
           买 milk and 面包 @shop

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
    deleted   2026-11-23 09:05 on laptop · #3 · 3f9ac1
              3 changes in all: suibi history '#1'
    tags      @shop
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    to bring it back: suibi restore '#1'
    ");
    insta::assert_snapshot!(laptop.told(&["restore", "1"]), @"
    --- 0
    ✓ restored 2026-11-23 09:05 @shop · #4 · 3f9ac1
      买 milk and 面包 @shop
    ");
    assert_eq!(laptop.home.log(), ["买 milk and 面包 @shop"]);

    // What is so already is no mistake.
    insta::assert_snapshot!(laptop.told(&["restore", "1"]), @"
    --- 0
    note '#1' is not deleted
    ");
    laptop.done(&["rm", "1"]);
    insta::assert_snapshot!(laptop.told(&["rm", "1"]), @"
    --- 0
    note '#1' was deleted before
    ");
    insta::assert_snapshot!(laptop.told(&["edit", "1", "more"]), @"
    --- 1
    error: note '#1' is deleted; nothing was written
    hint: bring it back first: suibi restore '#1'
    ");
}

#[test]
fn one_note_for_programs() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["buy milk @shop"]);
    let edited = json(&laptop.done(&["edit", "--json", "last", "buy oat milk"]));
    assert_eq!(edited["changed"], true);
    assert_eq!(edited["note"]["text"], "buy oat milk");
    assert_eq!(edited["note"]["receipt"]["position"], 2);
    let same = json(&laptop.done(&["edit", "--json", "last", "buy oat milk"]));
    assert_eq!((&same["changed"], &same["waiting"]), (&Value::from(false), &Value::from(0)));

    let shown = json(&laptop.done(&["show", "--json", "1", "2", "1"]));
    assert_eq!(shown["notes"].as_array().unwrap().len(), 1, "each note once: {shown}");
    let note = &shown["notes"][0];
    assert_eq!(note["versions"][0]["change"], "edited");
    assert_eq!(note["versions"].as_array().unwrap().len(), 1);

    let history = json(&laptop.done(&["history", "--json", "1"]));
    let changes: Vec<_> = history["revisions"].as_array().unwrap().iter().collect();
    assert_eq!(changes.iter().map(|one| &one["change"]).collect::<Vec<_>>(), ["written", "edited"]);
    assert_eq!(changes[1]["parents"][0], changes[0]["hash"]);
    assert_eq!(
        (&changes[0]["text"], &changes[0]["head"]),
        (&"buy milk @shop".into(), &false.into())
    );

    let id = note["id"].as_str().unwrap();
    let removed = json(&laptop.done(&["rm", "--json", id]));
    assert_eq!(removed["notes"][0]["deleted"], true);
    let restored = json(&laptop.done(&["restore", "--json", &id[..20]]));
    assert_eq!(restored["notes"][0]["versions"][0]["change"], "restored");
}

#[test]
fn a_note_has_many_names_and_one_that_fits_several_does_nothing() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["first"]);
    laptop.done(&["edit", "last", "first, edited"]);
    let shown = json(&laptop.done(&["show", "--json", "1"]));
    let (id, hash) = (&shown["notes"][0]["id"], &shown["notes"][0]["receipt"]["hash"]);
    let (id, hash) = (id.as_str().unwrap(), hash.as_str().unwrap());
    let receipt = format!("#2 · {}", &hash[..6]);
    for name in ["1", "2", "#1", "last", id, &id[..13], &hash[..12], &receipt] {
        let shown = laptop.done(&["show", name]);
        assert!(shown.out.contains(id), "{name}: {shown:#?}");
    }
    let words = laptop.done(&["edit", "2", "·", &hash[..6], "first,", "once", "more"]);
    assert!(words.err.contains("edited"), "{words:#?}");
    assert_eq!(laptop.home.log(), ["first, once more"]);

    insta::assert_snapshot!(laptop.told(&["show", "77"]), @"
    --- 1
    error: no note here is called 77; nothing was done
    hint: suibi search WORDS finds notes; suibi log --json tells each one's receipt and id
    ");
    insta::assert_snapshot!(laptop.told(&["rm", "1", "77"]), @"
    --- 1
    error: no note here is called 77; nothing was done
    hint: suibi search WORDS finds notes; suibi log --json tells each one's receipt and id
    ");
    assert_eq!(laptop.home.log().len(), 1, "nothing is deleted unless all are found");

    // Ids begin with their time: two that were made within a minute begin alike.
    let begin = |device: &Device| {
        let shown = json(&device.done(&["show", "--json", "last"]));
        shown["notes"][0]["id"].as_str().unwrap()[..9].to_owned()
    };
    let mut before = id[..9].to_owned();
    let twice = loop {
        laptop.done(&["one more"]);
        let now = begin(&laptop);
        if now == before {
            break now;
        }
        before = now;
    };
    let refused = laptop.suibi(&["rm", &twice]).expect_refusal(&[2]);
    assert!(refused.err.contains("nothing was done\nhint: say which"), "{refused:#?}");
    assert!(refused.err.contains("  one more"), "{refused:#?}");
    assert!(refused.err.lines().all(|line| line.chars().count() <= 80), "{refused:#?}");
    assert!(laptop.home.log().len() > 1, "nothing is deleted");
}

#[test]
fn where_there_is_no_note_there_is_a_friendly_word() {
    let home = Home::new();
    insta::assert_snapshot!(told(&home, &home.suibi(&["show", "last"])), @"
    --- 1
    error: there is no note yet
    hint: write one: suibi had a good idea
    ");
    insta::assert_snapshot!(told(&home, &home.suibi(&["edit", "last"])), @"
    --- 2
    error: no text, and no terminal for an editor; nothing was done
    hint: from standard input: suibi edit NOTE -
    ");
}

#[test]
fn texts_come_from_words_and_from_standard_input() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["first"]);
    laptop.suibi_with_input("line one\n\n第三行\n", &["edit", "last", "-"]).expect_success();
    assert_eq!(laptop.home.log(), ["line one\n\n第三行"]);
    laptop.done(&["edit", "last", "--", "--json", "is", "a", "word"]);
    assert_eq!(laptop.home.log(), ["--json is a word"]);
    let empty = laptop.suibi_with_input("\n \n", &["edit", "last", "-"]);
    insta::assert_snapshot!(told(&laptop.home, &empty), @"
    --- 2
    error: the text is empty; nothing was written
    hint: to delete the note: suibi rm '#1'
    ");
    let long = laptop.suibi_with_input(&"x".repeat(1 << 21), &["edit", "last", "-"]);
    long.expect_refusal(&[2]);
    assert_eq!(laptop.home.log(), ["--json is a word"]);
}

#[test]
fn a_clash_shows_both_versions_and_an_edit_settles_it_everywhere() {
    let (_place, _server, [laptop, phone]) = apart(
        "buy milk",
        &["edit", "last", "buy milk and bread"],
        &["edit", "last", "buy milk and 鸡蛋"],
    );
    let shown = laptop.told(&["show", "last"]);
    insta::assert_snapshot!(shown, @"
    2026-11-23 Monday · today
    09:05  Two versions, written apart

           2026-11-23 09:05 on laptop · #2 · 3f9ac1
           buy milk and bread

           2026-11-23 09:05 on 手机 · #3 · 3f9ac1
           buy milk and 鸡蛋

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
              3 changes in all: suibi history '#1'
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    both are kept; to settle it, edit it: suibi edit '#1'
    ");
    assert_eq!(phone.told(&["show", "last"]), shown);
    insta::assert_snapshot!(laptop.told(&["history", "1"]), @"
    2026-11-23 09:05 written on laptop · #1 · 3f9ac1
      + buy milk

    2026-11-23 09:05 edited on laptop · #2 · 3f9ac1
      - buy milk
      + buy milk and bread

    2026-11-23 09:05 edited on 手机 · #3 · 3f9ac1
      by a device that did not know of the one above yet
      - buy milk
      + buy milk and 鸡蛋
    --- 0
    both are kept; to settle it, edit it: suibi edit '#1'
    ");
    let note = &json(&laptop.done(&["show", "--json", "1"]))["notes"][0];
    assert_eq!((&note["conflict"], &note["merged"]), (&true.into(), &false.into()));
    assert_eq!(note["versions"].as_array().unwrap().len(), 2);

    insta::assert_snapshot!(phone.told(&["edit", "1", "buy milk, bread and 鸡蛋"]), @"
    --- 0
    ✓ settled 2026-11-23 09:05 · #4 · 3f9ac1
    ");
    phone.in_step();
    laptop.in_step();
    let settled = laptop.told(&["show", "1"]);
    insta::assert_snapshot!(settled, @"
    2026-11-23 Monday · today
    09:05  buy milk, bread and 鸡蛋

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
    edited    2026-11-23 09:05 on 手机 · #4 · 3f9ac1
              4 changes in all: suibi history '#1'
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    ");
    assert_eq!(phone.told(&["show", "1"]), settled);
}

#[test]
fn what_does_not_clash_comes_together_by_itself() {
    let (_place, _server, [laptop, phone]) = apart(
        "milk\nbread\ntea",
        &["edit", "last", "oat milk\nbread\ntea"],
        &["edit", "last", "milk\nbread\ngreen tea"],
    );
    for device in [laptop, phone] {
        assert_eq!(device.home.log(), ["oat milk\nbread\ngreen tea"]);
        let shown = device.done(&["show", "last"]);
        assert!(shown.out.contains("merged    from 2 versions"), "{shown:#?}");
    }
}

#[test]
fn an_edit_wins_against_a_deletion_and_says_so() {
    let (_place, _server, [laptop, phone]) =
        apart("buy milk", &["edit", "last", "buy oat milk"], &["rm", "last"]);
    let shown = phone.told(&["show", "last"]);
    insta::assert_snapshot!(shown, @"
    2026-11-23 Monday · today
    09:05  buy oat milk

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
    edited    2026-11-23 09:05 on laptop · #2 · 3f9ac1
    deleted   2026-11-23 09:05 on 手机 · #3 · 3f9ac1
              by a device that did not know of the edit yet: the edit wins
              3 changes in all: suibi history '#1'
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    to delete it all the same: suibi rm '#1'
    ");
    assert_eq!(laptop.told(&["show", "last"]), shown);
    laptop.done(&["rm", "1"]);
    laptop.in_step();
    phone.in_step();
    assert_eq!(phone.home.log(), [""; 0]);
}

#[test]
fn without_a_server_everything_is_done_here_and_said_to_wait() {
    let place = Place::new();
    let server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["first"]);
    server.kill();
    insta::assert_snapshot!(laptop.told(&["edit", "last", "second"]), @"
    --- 0
    the server did not answer; this is what is kept here
    ✓ edited here, not yet on the server (1 waiting)
    ");
    let kept = laptop.suibi(&["--require-server", "rm", "last"]);
    assert_eq!(kept.status.code(), Some(3), "{kept:#?}");
    let refused = laptop.suibi(&["purge", "--yes", "1"]).expect_refusal(&[5]);
    assert!(refused.err.contains("it is not known to be erased"), "{refused:#?}");
}

#[test]
fn an_editor_opens_on_a_terminal_and_what_is_saved_is_the_note() {
    let home = Home::new();
    home.add("buy milk @shop");
    let editor = editor(&home, "printf 'buy milk\\n面包 @shop\\n' > \"$1\"; ls -l \"$1\" > seen\n");
    let terminal = Terminal::open_with(
        &home,
        "edit last",
        (80, 24),
        &[("VISUAL", &editor), ("EDITOR", "false")],
    );
    terminal.expect("ended 0");
    let screen = terminal.expect("✓ edited");
    assert!(screen.contains("@shop · #2 · "), "{screen}");
    assert_eq!(home.log(), ["buy milk\n面包 @shop"]);
    let seen = fs::read_to_string(home.path().join("seen")).unwrap();
    assert!(seen.starts_with("-rw------- "), "{seen}");
    assert!(drafts(&home).is_empty(), "nothing is left behind: {:?}", drafts(&home));
}

#[test]
fn an_editor_that_changes_nothing_or_fails_writes_nothing() {
    let home = Home::new();
    home.add("buy milk");
    // All of them live until the end, in one tmux.
    let mut terminals = Vec::new();
    for (script, said) in [
        ("true\n", "the text is the same; nothing was written"),
        ("exit 1\n", "nothing was written"),
        (": > \"$1\"\n", "the text is empty; nothing was written"),
    ] {
        let editor = editor(&home, script);
        let terminal = Terminal::open_with(&home, "edit last", (80, 24), &[("EDITOR", &editor)]);
        terminal.expect(said);
        terminal.expect("ended ");
        assert_eq!(home.log(), ["buy milk"]);
        assert!(drafts(&home).is_empty(), "{script}: {:?}", drafts(&home));
        terminals.push(terminal);
    }
    // It crashed over a text that was saved already.
    let editor = editor(&home, "echo half a thought > \"$1\"; exit 3\n");
    let terminal = Terminal::open_with(&home, "edit last", (80, 24), &[("EDITOR", &editor)]);
    terminal.expect("ended 1");
    terminal.expect("your text is kept in");
    let [draft] = &drafts(&home)[..] else { panic!("{:?}", drafts(&home)) };
    assert_eq!(fs::read_to_string(draft).unwrap(), "half a thought\n");
    terminals.push(terminal);

    // The next edit says that it is there.
    let editor = self::editor(&home, "true\n");
    let terminal = Terminal::open_with(&home, "edit last", (80, 24), &[("EDITOR", &editor)]);
    terminal.expect("a text of this note that was not written is in");
    terminal.expect("ended 0");
    assert!(Path::new(draft).exists());
}

#[test]
fn a_note_that_changed_while_it_was_edited_is_not_overwritten_and_no_text_is_lost() {
    let home = Home::new();
    home.add("buy milk");
    let nested = format!(
        "'{}' edit last somebody was faster > /dev/null 2>&1; echo mine > \"$1\"\n",
        env!("CARGO_BIN_EXE_suibi")
    );
    let editor = editor(&home, &nested);
    let terminal = Terminal::open_with(&home, "edit last", (80, 24), &[("EDITOR", &editor)]);
    let screen = terminal.expect("ended 1");
    assert!(screen.contains("note '#1' was changed meanwhile (edited "), "{screen}");
    assert!(screen.contains("suibi edit '#1' - < "), "{screen}");
    assert_eq!(home.log(), ["somebody was faster"]);
    let [draft] = &drafts(&home)[..] else { panic!("{:?}", drafts(&home)) };
    let mine = fs::read(draft).unwrap();
    home.suibi_with_input(&mine, &["edit", "1", "-"]).expect_success();
    assert_eq!(home.log(), ["mine"]);
}

/// The texts that are kept for `edit`.
fn drafts(home: &Home) -> Vec<String> {
    let Ok(directories) = fs::read_dir(home.path().join("data/suibi/drafts")) else {
        return Vec::new();
    };
    directories.map(|one| one.unwrap().path().join("note.md").display().to_string()).collect()
}

/// A server whose owner is at its machine, and a device that has joined it without the right to administer.
fn owner_and_laptop() -> (tempfile::TempDir, Server, Home, Home) {
    let data = tempfile::tempdir().unwrap();
    let mut command = Server::command(data.path(), &["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command.env("SUIBI_DEVICE", "home"));
    let owner = Home::of_owner(data.path());
    let laptop = Home::new();
    laptop.join(&owner.invite(&server, &[]), "laptop");
    (data, server, owner, laptop)
}

/// Whether any file below `directory` has these bytes in it.
fn is_somewhere_in(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => is_somewhere_in(&path, bytes),
            false => fs::read(&path)
                .is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes)),
        }
    })
}

#[test]
fn a_purge_reaches_the_server_and_every_device_and_needs_the_right() {
    let (data, _server, owner, laptop) = owner_and_laptop();
    let secret = "hunter2hunter2";
    laptop.save("harmless");
    at_nine(&laptop, &["add", &format!("my password is {secret}")]).expect_success();
    laptop.sync().expect_success();
    laptop.suibi(&["edit", "2", &format!("oops, {secret}")]).expect_success();
    owner.sync().expect_success();
    assert!(is_somewhere_in(laptop.path(), secret.as_bytes()));
    assert!(is_somewhere_in(data.path(), secret.as_bytes()));

    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["purge", "--yes", "2"])), @"
    --- 4
    error: «laptop» may not administer the server «home» that this machine has joined
    hint: do it on the machine where the server runs, or on a device with the right `admin`
    ");
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["purge", "2"])), @"
    --- 2
    error: nothing was erased: nobody can be asked here
    hint: say that it is meant: suibi purge --yes '#2'
    ");
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["purge", "--yes", "2"])), @"
    --- 0
    ✓ note '#2' is erased for good, on the server and here
      other devices erase it at their next contact
    ");
    insta::assert_snapshot!(told(&owner, &at_nine(&owner, &["show", "2"])), @"
    2026-11-23 Monday · today
    09:05  (erased for good)

    written   2026-11-23 09:05 on laptop · #2 · 3f9ac1
    purged    2026-11-23 09:05 on home · #4 · 3f9ac1
              3 changes in all: suibi history '#2'
    id        019a0b5e-8c68-7000-8000-000000000001
    --- 0
    ");
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["restore", "2"])), @"
    --- 1
    error: note '#2' was erased for good: nothing is left to restore
    hint: a backup from before it was erased may have it
    ");
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["edit", "2", "more"])), @"
    --- 1
    error: note '#2' was erased for good
    hint: write a new note: suibi TEXT
    ");
    let again = json(&owner.suibi(&["purge", "--json", "--yes", "2"]).expect_success());
    assert_eq!((&again["purged"], &again["here"]), (&true.into(), &true.into()));

    laptop.sync().expect_success();
    assert_eq!(laptop.log(), ["harmless"]);
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["history", "2"])), @"
    2026-11-23 09:05 written on laptop · #2 · 3f9ac1
      its text was erased for good; its hash proves that it was there

    2026-11-23 09:05 changed on laptop · #3 · 3f9ac1
      its text was erased for good; its hash proves that it was there

    2026-11-23 09:05 purged on home · #4 · 3f9ac1
    --- 0
    ");
    for home in [&laptop, &owner] {
        let verified = home.suibi(&["verify", "--all"]).expect_success();
        assert!(verified.out.contains("2 erased for good"), "{verified:#?}");
    }
    assert!(!is_somewhere_in(laptop.path(), secret.as_bytes()), "it is on the laptop still");
    assert!(!is_somewhere_in(data.path(), secret.as_bytes()), "it is on the server still");
    let audit = owner.suibi(&["audit"]).expect_success();
    assert!(audit.out.contains("purged"), "{audit:#?}");
}

#[test]
fn a_purge_asks_on_a_terminal_and_no_is_no() {
    let home = Home::new();
    at_nine(&home, &["add", "my password is hunter2 @oops"]).expect_success();
    at_nine(&home, &["edit", "last", "my password was hunter2 @oops"]).expect_success();
    let now = [("SUIBI_NOW", NOW)];
    let terminal = Terminal::open_with(&home, "purge last", (80, 24), &now);
    let screen = terminal.expect("Erase it for good? [y/N]");
    insta::assert_snapshot!(masked(&screen), @"
    2026-11-23 Monday · today
    09:05  my password was hunter2 @oops

    written   2026-11-23 09:05 on laptop · #1 · 3f9ac1
    edited    2026-11-23 09:05 on laptop · #2 · 3f9ac1
    tags      @oops
    id        019a0b5e-8c68-7000-8000-000000000001

    Its 2 revisions go from the server and from this device now, from every other
    device at its next contact, and cannot be brought back. Backups, exports and
    what somebody copied stay as they are. To hide a note and keep it: suibi rm '#1'
    Erase it for good? [y/N]
    ");
    terminal.line("n");
    terminal.expect("ended 1");
    assert_eq!(home.log().len(), 1);
    let again = Terminal::open(&home, "purge last");
    again.expect("[y/N]");
    again.line("y");
    again.expect("✓ note '#1' is erased for good");
    again.expect("ended 0");
    assert_eq!(home.log(), [""; 0]);
}

#[test]
fn watch_tells_edits_and_deletions_from_new_notes() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    let phone = Device::new("手机", place.address);
    let environment = [("SUIBI_NOW", NOW)];
    let terminal = Terminal::open_with(&laptop.home, "watch", (80, 24), &environment);
    terminal.expect("waiting for notes; Ctrl-C ends");
    phone.done(&["buy", "milk"]);
    terminal.expect("09:05  手机  buy milk");
    phone.done(&["edit", "last", "buy oat milk"]);
    terminal.expect("09:05  手机  buy oat milk · edited");
    phone.done(&["rm", "last"]);
    terminal.expect("09:05  手机  buy oat milk · deleted");
    phone.done(&["restore", "1"]);
    terminal.expect("09:05  手机  buy oat milk · restored");
    terminal.key("C-c");
    terminal.expect("ended 130");

    // The same for programs.
    let mut watch = laptop.home.command(&["watch", "--json", "--from", "手机", "-n", "1"]);
    let watching =
        std::thread::spawn(move || run(watch.env("SUIBI_NOW", NOW), b"", machinery::PATIENCE));
    while !watching.is_finished() {
        phone.done(&["rm", "1"]);
        phone.done(&["restore", "1"]);
    }
    let news = json(&watching.join().unwrap().expect_success());
    assert!(["deleted", "restored"].contains(&news["change"].as_str().unwrap()), "{news}");
    assert_eq!((&news["by"], &news["text"]), (&"手机".into(), &"buy oat milk".into()));
}

#[test]
fn nobody_erases_over_an_unprotected_listener() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    laptop.done(&["stays"]);
    let refused = laptop.suibi(&["purge", "--yes", "last"]).expect_refusal(&[4]);
    assert!(refused.err.contains("does not let this device erase notes"), "{refused:#?}");
    assert_eq!(laptop.home.log(), ["stays"]);
}

#[test]
fn what_was_done_last_here_is_taken_back_and_that_as_well() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    let text = || {
        let shown = json(&laptop.done(&["--json", "show", "last"]));
        shown["notes"][0]["text"].as_str().unwrap().to_owned()
    };
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 1
    error: nothing was done on this device yet
    ");
    laptop.done(&["buy", "milk", "@shop"]);
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 0
    ✓ undone: written 2026-11-23 09:05 @shop · #2 · 3f9ac1
      buy milk @shop
      it is deleted now; to take this back as well: suibi undo
    ");
    assert_eq!(laptop.suibi(&["log"]).status.code(), Some(1));
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 0
    ✓ undone: deleted 2026-11-23 09:05 @shop · #3 · 3f9ac1
      buy milk @shop
      it is there again; to take this back as well: suibi undo
    ");
    laptop.done(&["edit", "last", "buy", "tea"]);
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 0
    ✓ undone: edited 2026-11-23 09:05 @shop · #5 · 3f9ac1
      buy milk @shop
      it says this again; to take this back as well: suibi undo
    ");
    assert_eq!(text(), "buy milk @shop");
    insta::assert_snapshot!(laptop.told(&["--lang", "zh", "undo"]), @"
    --- 0
    ✓ 已撤销编辑 2026-11-23 09:05 · #6 · 3f9ac1
      buy tea
      内容又是这样了，想反悔：suibi undo
    ");
    assert_eq!(text(), "buy tea");
    laptop.done(&["star", "last"]);
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 0
    ✓ undone: starred 2026-11-23 09:05 · #8 · 3f9ac1
      buy tea
      to take this back as well: suibi undo
    ");
    let starred = json(&laptop.done(&["--json", "undo"]));
    assert_eq!(starred["undone"][0]["change"], "unstarred");
    assert_eq!(starred["undone"][0]["note"]["starred"], true);
    laptop.done(&["rm", "last"]);
    laptop.done(&["undo"]);
    assert_eq!(text(), "buy tea");
    let restored = json(&laptop.done(&["--json", "log"]));
    assert_eq!(restored["notes"][0]["starred"], true, "it came back with its star");

    // Several at once are taken back at once.
    laptop.done(&["add", "second"]);
    let notes = json(&laptop.done(&["--json", "log"]));
    let ids = [0, 1].map(|at| notes["notes"][at]["id"].as_str().unwrap().to_owned());
    laptop.done(&["rm", &ids[0], &ids[1]]);
    assert_eq!(laptop.suibi(&["log"]).status.code(), Some(1));
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 0
    ✓ undone: deleted 2026-11-23 09:05 · #15 · 3f9ac1
      buy tea
    ✓ undone: deleted 2026-11-23 09:05 · #16 · 3f9ac1
      second
      to take this back as well: suibi undo
    ");
    let texts = |log: &Value| [0, 1].map(|at| log["notes"][at]["text"].clone());
    assert_eq!(texts(&json(&laptop.done(&["--json", "log"]))), texts(&notes));
}

#[test]
fn nothing_is_taken_back_of_what_another_device_has_changed_since() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    let phone = Device::new("手机", place.address);
    laptop.done(&["buy", "milk"]);
    phone.in_step();
    phone.done(&["edit", "last", "buy", "milk", "and", "bread"]);
    insta::assert_snapshot!(laptop.told(&["undo"]), @"
    --- 1
    error: note '#1' was changed by another device since; nothing was taken back
    hint: see what it says now: suibi show '#1'; each change: suibi history '#1'
    ");
    insta::assert_snapshot!(phone.told(&["undo"]), @"
    --- 0
    ✓ undone: edited 2026-11-23 09:05 · #3 · 3f9ac1
      buy milk
      it says this again; to take this back as well: suibi undo
    ");
}

#[test]
fn a_star_is_seen_found_and_stays_over_edits_and_merges() {
    let (_place, _server, devices) =
        apart("buy milk", &["star", "last"], &["edit", "last", "buy", "milk", "and", "tea"]);
    for device in &devices {
        let log = json(&device.done(&["--json", "log"]));
        assert_eq!(log["notes"][0]["text"], "buy milk and tea");
        assert_eq!(log["notes"][0]["starred"], true, "on {}", device.name);
    }
    let [laptop, phone] = devices;
    phone.done(&["edit", "last", "buy", "tea"]);
    phone.done(&["add", "plain"]);
    insta::assert_snapshot!(phone.told(&["star", "last"]), @"
    --- 0
    ✓ starred 2026-11-23 09:05 · #6 · 3f9ac1
      plain
    ");
    insta::assert_snapshot!(phone.told(&["star", "last"]), @"
    --- 0
    note '#5' has a star already
    ");
    insta::assert_snapshot!(phone.told(&["unstar", "last"]), @"
    --- 0
    ✓ unstarred 2026-11-23 09:05 · #7 · 3f9ac1
      plain
    ");
    insta::assert_snapshot!(phone.told(&["history", "last"]), @"
    2026-11-23 09:05 written on 手机 · #5 · 3f9ac1
      + plain

    2026-11-23 09:05 starred on 手机 · #6 · 3f9ac1

    2026-11-23 09:05 unstarred on 手机 · #7 · 3f9ac1
    --- 0
    ");
    laptop.in_step();
    assert!(laptop.done(&["verify"]).status.success());
}

#[test]
fn the_numbers_of_a_listing_name_its_notes_in_the_next_command() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    for text in ["first", "second", "third", "fourth"] {
        laptop.done(&["add", text]);
    }
    laptop.done(&["rm", "#1"]);
    // Without a listing it is a receipt's.
    assert!(laptop.done(&["show", "3"]).out.contains("third"));
    let line = "suibi log; suibi star 3; suibi rm 1 2; suibi edit 3 the fourth; suibi log";
    let terminal = Terminal::open_line(&laptop.home, line, &[("SUIBI_NOW", NOW)]);
    let screen = terminal.expect("ended 0");
    insta::assert_snapshot!(masked(&screen), @"
    2026-11-23 Monday · today
     1  09:05  second
     2  09:05  third
     3  09:05  fourth
    ✓ starred 2026-11-23 09:05 · #6 · 3f9ac1
      fourth
    ✓ deleted 2026-11-23 09:05 · #7 · 3f9ac1
      second
      to bring it back: suibi restore '#2'
    ✓ deleted 2026-11-23 09:05 · #8 · 3f9ac1
      third
      to bring it back: suibi restore '#3'
    3 is 2026-11-23 09:05 fourth
    ✓ edited 2026-11-23 09:05 · #9 · 3f9ac1
    2026-11-23 Monday · today
     1  09:05  ★ the fourth
    ended 0
    ");
}

#[test]
fn tasks_are_listed_and_ticked_off_and_what_was_written_once_is_told() {
    let place = Place::new();
    let _server = place.start();
    let laptop = Device::new("laptop", place.address);
    insta::assert_snapshot!(laptop.told(&["tasks"]), @"
    --- 1
    nothing is left to do — write a task: suibi '- [ ] call mum'
    ");
    laptop.done(&["add", "for the weekend\n- [ ] call mum @home\n- [ ] 买牛奶\n- [x] sleep"]);
    laptop.done(&["add", "- [ ] one more"]);
    insta::assert_snapshot!(laptop.told(&["tasks"]), @"
    2026-11-23 Monday · today
    - [ ] call mum @home
    - [ ] 买牛奶
    - [ ] one more
    --- 0
    ");
    let tasks = json(&laptop.done(&["--json", "tasks", "--all"]));
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 4);
    // A note with one task is named like any other; one with several says so.
    assert_eq!(laptop.suibi(&["tick", "#1"]).status.code(), Some(2));
    laptop.done(&["tick", "#2"]);
    laptop.done(&["undo"]);
    let line = "suibi tasks; suibi tick 1 2; suibi tasks --all; suibi undo; suibi tasks";
    let terminal = Terminal::open_line(&laptop.home, line, &[("SUIBI_NOW", NOW)]);
    let screen = terminal.expect("ended 0");
    for line in [
        " 1  [ ] call mum @home",
        " 1  [x] call mum @home",
        " 2  [x] 买牛奶",
        " 3  [x] sleep",
        " 3  [ ] one more",
        "✓ done 2026-11-23 09:05 @home · #",
        "✓ undone: edited 2026-11-23 09:05 @home · #",
    ] {
        assert!(screen.contains(line), "{line:?} is missing:\n{screen}");
    }
    assert!(!screen.contains("error: "), "{screen}");

    let stats = json(&laptop.done(&["--json", "stats"]));
    assert_eq!([&stats["notes"], &stats["all"], &stats["streak"]["now"]], [2, 2, 1]);
    assert_eq!(stats["hours"][9], 2);
    assert_eq!(laptop.suibi(&["stats", "2019"]).status.code(), Some(1));
    assert_eq!(laptop.suibi(&["on-this-day"]).status.code(), Some(1));
    let later = laptop.done(&["on-this-day", "2027-11-23"]);
    assert!(later.out.starts_with("2026-11-23 Monday · today · a year ago\n09:05  "), "{later:#?}");
    let two = json(&laptop.done(&["--json", "random", "-n", "5"]));
    assert_eq!(two["notes"].as_array().unwrap().len(), 2);
}
