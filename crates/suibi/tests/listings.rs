//! What commands print about notes: for people, for programs, and as exit codes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::net::SocketAddr;

use machinery::{BOUND, Finished, Home, Server, free_port, run};
use serde_json::Value;

/// A device at a fixed moment.
struct Device {
    home: Home,
    name: &'static str,
}

impl Device {
    fn new(name: &'static str, server: SocketAddr) -> Self {
        Self { home: Home::with_server(server), name }
    }

    fn suibi_at(&self, now: &str, input: &str, arguments: &[&str]) -> Finished {
        let mut command = self.home.command(arguments);
        command.env("SUIBI_NOW", now).env("SUIBI_DEVICE", self.name);
        run(&mut command, input.as_bytes(), BOUND)
    }

    fn suibi(&self, arguments: &[&str]) -> Finished {
        self.suibi_at("2026-11-23T09:05:00.000+08:00", "", arguments)
    }
}

/// Exit code and both streams in one text.
fn told(finished: &Finished) -> String {
    let code = finished.status.code().map_or("by a signal".to_owned(), |code| code.to_string());
    format!("{}--- {code}\n{}", finished.out, finished.err)
}

/// The document with what no two runs share written as `…`.
fn settled(json: &str) -> String {
    fn settle(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(settle),
            Value::Object(members) => {
                for (key, value) in members {
                    match (key.as_str(), &value) {
                        (
                            "id" | "hash" | "path" | "address" | "suibi" | "last_contact",
                            Value::String(_),
                        ) => {
                            *value = "…".into();
                        }
                        ("round_trip_ms", Value::Number(_)) => *value = 0.into(),
                        _ => settle(value),
                    }
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    settle(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

/// A server and two devices that have written a little.
fn two_devices() -> (tempfile::TempDir, Server, Device, Device) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let laptop = Device::new("laptop", server.address());
    let phone = Device::new("手机", server.address());
    let yesterday = "2026-11-22T23:50:00.000+08:00";
    laptop.suibi_at(yesterday, "", &["late", "夜宵", "@food"]).expect_success();
    phone
        .suibi_at("2026-11-23T08:15:00.000+08:00", "第一行\n\nthird line @todo\n", &["-"])
        .expect_success();
    laptop.suibi(&["bought", "milk", "@shop", "and", "@food"]).expect_success();
    (data, server, laptop, phone)
}

#[test]
fn a_long_listing_is_made_in_pieces_and_looks_the_same() {
    let home = Home::new();
    let at = |now: &str, input: &str, arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("SUIBI_NOW", now);
        run(&mut command, input.as_bytes(), BOUND)
    };
    // More than are listed in one piece, on three days.
    for day in 21..24 {
        let lines: String = (0..120).map(|n| format!("note {n} of the {day} #work\n")).collect();
        let now = format!("2026-11-{day}T09:05:00.000+08:00");
        assert!(at(&now, &lines, &[]).status.success());
    }
    let now = "2026-11-23T10:00:00.000+08:00";
    for words in [
        &["log"][..],
        &["log", "--reverse"],
        &["search", "note"],
        &["log", "--tag", "work"],
        &["log", "--source"],
    ] {
        let whole = at(now, "", &[words, &["-n", "1000"]].concat());
        assert_eq!(whole.out.lines().count(), 3 + 2 + 3 * 120, "{words:?}");
        assert_eq!(at(now, "", words).out, whole.out, "{words:?}");
    }
    for words in [&["log", "--json"][..], &["log", "--json", "--reverse"]] {
        let whole = at(now, "", &[words, &["-n", "1000"]].concat());
        assert_eq!(at(now, "", words).out, whole.out, "{words:?}");
        let document: Value = serde_json::from_str(&whole.out).unwrap();
        assert_eq!(document["notes"].as_array().unwrap().len(), 3 * 120);
    }
    let two = at(now, "", &["log", "--since", "2026-11-22"]);
    assert_eq!(two.out.lines().count(), 2 + 1 + 2 * 120);
}

#[test]
fn notes_for_people() {
    let (_data, _server, laptop, _phone) = two_devices();
    insta::assert_snapshot!(told(&laptop.suibi(&["log"])), @r"
    2026-11-22 Sunday · yesterday
    23:50  late 夜宵 @food

    2026-11-23 Monday · today
    08:15  第一行

           third line @todo
    09:05  bought milk @shop and @food
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["log", "--source", "--reverse", "-n", "2"])), @r"
    2026-11-23 Monday · today
    09:05  laptop  bought milk @shop and @food
    08:15  手机    第一行

                   third line @todo
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["on", "昨天"])), @r"
    2026-11-22 Sunday · yesterday
    23:50  late 夜宵 @food
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["search", "第一"])), @r"
    2026-11-23 Monday · today
    08:15  第一行

           third line @todo
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["log", "--from", "手机"])), @r"
    2026-11-23 Monday · today
    08:15  第一行

           third line @todo
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["log", "--tag", "@FOOD", "--until", "11-22"])), @r"
    2026-11-22 Sunday · yesterday
    23:50  late 夜宵 @food
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["tags"])), @r"
    2  @food
    1  @shop
    1  @todo
    --- 0
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["sync"])), @r"
    --- 0
    ✓ in step with the server · 0 sent, 0 received
    ");
}

#[test]
fn notes_for_programs() {
    let (_data, _server, laptop, phone) = two_devices();
    insta::assert_snapshot!(settled(&laptop.suibi(&["log", "--json"]).out), @r#"
    {
      "notes": [
        {
          "conflict": false,
          "day": "2026-11-22",
          "device": "laptop",
          "id": "…",
          "receipt": {
            "hash": "…",
            "position": 1
          },
          "source": null,
          "starred": false,
          "tags": [
            "food"
          ],
          "text": "late 夜宵 @food",
          "time": "2026-11-22T23:50:00.000+08:00",
          "undeleted": false,
          "waiting": false
        },
        {
          "conflict": false,
          "day": "2026-11-23",
          "device": "手机",
          "id": "…",
          "receipt": {
            "hash": "…",
            "position": 2
          },
          "source": null,
          "starred": false,
          "tags": [
            "todo"
          ],
          "text": "第一行\n\nthird line @todo",
          "time": "2026-11-23T08:15:00.000+08:00",
          "undeleted": false,
          "waiting": false
        },
        {
          "conflict": false,
          "day": "2026-11-23",
          "device": "laptop",
          "id": "…",
          "receipt": {
            "hash": "…",
            "position": 3
          },
          "source": null,
          "starred": false,
          "tags": [
            "shop",
            "food"
          ],
          "text": "bought milk @shop and @food",
          "time": "2026-11-23T09:05:00.000+08:00",
          "undeleted": false,
          "waiting": false
        }
      ],
      "version": 1
    }
    "#);
    for listing in [&["today"][..], &["on", "yesterday"], &["search", "milk"]] {
        let json = laptop.suibi(&[&["--json"], listing].concat()).expect_success().out;
        let document: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["version"], 1, "{listing:?}");
        assert!(!document["notes"].as_array().unwrap().is_empty(), "{listing:?}");
    }
    insta::assert_snapshot!(settled(&laptop.suibi(&["tags", "--json"]).out), @r#"
    {
      "tags": [
        {
          "notes": 2,
          "tag": "food"
        },
        {
          "notes": 1,
          "tag": "shop"
        },
        {
          "notes": 1,
          "tag": "todo"
        }
      ],
      "version": 1
    }
    "#);
    insta::assert_snapshot!(settled(&laptop.suibi(&["status", "--json"]).out), @r#"
    {
      "device": "laptop",
      "devices": [
        {
          "chains": 1,
          "changes": 2,
          "last": "2026-11-23T09:05:00.000+08:00",
          "name": "laptop"
        },
        {
          "chains": 1,
          "changes": 1,
          "last": "2026-11-23T08:15:00.000+08:00",
          "name": "手机"
        }
      ],
      "repairs": [],
      "replica": {
        "notes": 3,
        "path": "…",
        "position": 3,
        "waiting": 0
      },
      "server": {
        "address": "…",
        "answers": true,
        "embedded": false,
        "encrypted": false,
        "joined": null,
        "last_contact": "…",
        "position": 3,
        "round_trip_ms": 0,
        "transport": "udp",
        "trouble": null
      },
      "suibi": "…",
      "version": 1
    }
    "#);
    insta::assert_snapshot!(settled(&laptop.suibi(&["sync", "--json"]).out), @r#"
    {
      "delivered": 0,
      "fetched": 0,
      "rebuilt": null,
      "recovered": 0,
      "refused": 0,
      "rescued": 0,
      "version": 1,
      "waiting": 0
    }
    "#);
    insta::assert_snapshot!(settled(&phone.suibi(&["add", "--json", "a", "note"]).out), @r#"
    {
      "note": {
        "conflict": false,
        "day": "2026-11-23",
        "device": "手机",
        "id": "…",
        "receipt": {
          "hash": "…",
          "position": 4
        },
        "source": null,
        "starred": false,
        "tags": [],
        "text": "a note",
        "time": "2026-11-23T09:05:00.000+08:00",
        "undeleted": false,
        "waiting": false
      },
      "version": 1,
      "waiting": 0
    }
    "#);
}

#[test]
fn an_empty_journal_is_friendly_and_ends_with_one() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let laptop = Device::new("laptop", server.address());
    insta::assert_snapshot!(told(&laptop.suibi(&["log"])), @r"
    --- 1
    no notes yet — write one: suibi had a good idea
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["today"])), @r"
    --- 1
    nothing yet today — write one: suibi had a good idea
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["search", "milk"])), @r"
    --- 1
    no note has milk
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["tags"])), @r"
    --- 1
    no tags yet — write one: suibi bought milk @shop
    ");
    insta::assert_snapshot!(told(&laptop.suibi(&["log", "--json"])), @r#"
    {
      "version": 1,
      "notes": []
    }
    --- 1
    no notes yet — write one: suibi had a good idea
    "#);
}

#[test]
fn saving_says_so_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let laptop = Device::new("laptop", server.address());
    let saved = laptop.suibi(&["bought", "milk", "@shop"]).expect_success();
    assert_eq!(saved.out, "");
    let line = saved.err.strip_prefix("✓ saved 2026-11-23 09:05 @shop · #1 · ").unwrap();
    assert_eq!(line.trim_end().len(), 6, "{saved:#?}");
    assert!(line.trim_end().chars().all(|c| c.is_ascii_hexdigit()), "{saved:#?}");
    assert_eq!(laptop.suibi(&["-q", "silent"]).expect_success().err, "");
    let piped = laptop.suibi_at("2026-11-23T09:06:00.000+08:00", "a\n\n  \nb\r\n第三\n", &[]);
    assert_eq!(told(&piped), "--- 0\n✓ 3 notes saved\n");
    assert_eq!(laptop.home.log(), ["bought milk @shop", "silent", "a", "b", "第三"]);
}

#[test]
fn what_is_not_utf_8_is_refused_and_the_rest_is_kept() {
    use std::os::unix::ffi::OsStrExt as _;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let home = Home::with_server(server.address());
    let gbk = b"\xc5\xa3\xc4\xcc";
    let piped = home.suibi_with_input(&[b"before\n", &gbk[..], b"\nafter\n"].concat(), &[]);
    insta::assert_snapshot!(told(&piped), @r"
    --- 2
    line 2: error: this is not UTF-8 (byte 3 is wrong); it was not written
    hint: text has to be UTF-8; what is in another encoding can be converted: iconv -f GB18030 -t UTF-8
    ✓ 2 notes saved
    ");
    let none = home.suibi_with_input(gbk, &[]).expect_refusal(&[2]);
    assert!(!none.err.contains("saved"), "{none:#?}");
    let whole = home.suibi_with_input(&[b"milk ", &gbk[..]].concat(), &["-"]);
    insta::assert_snapshot!(told(&whole), @r"
    --- 2
    error: this is not UTF-8 (byte 8 is wrong); it was not written
    hint: text has to be UTF-8; what is in another encoding can be converted: iconv -f GB18030 -t UTF-8
    ");
    let mut words = home.command(&["milk"]);
    let words = run(words.arg(std::ffi::OsStr::from_bytes(gbk)), b"", BOUND);
    assert_eq!(told(&words), told(&whole));
    assert_eq!(home.log(), ["before", "after"]);
}

#[test]
fn without_a_server_the_exit_codes_tell_kept_from_failed() {
    let laptop = Device::new("laptop", free_port());
    let kept = laptop.suibi(&["one"]);
    assert_eq!(told(&kept), "--- 0\n✓ kept here, not yet on the server (1 waiting)\n");
    assert_eq!(laptop.suibi(&["--require-server", "two"]).status.code(), Some(3));
    let piped = laptop.suibi_at("2026-11-23T09:06:00.000+08:00", "a\nb\n", &["--require-server"]);
    assert_eq!(piped.status.code(), Some(3), "{piped:#?}");
    let listed = laptop.suibi(&["search", "one"]);
    assert!(listed.out.ends_with("09:05  one\n"), "{listed:#?}");
    assert_eq!(
        listed.err,
        "the server did not answer; this is what is kept here; 4 notes wait for the server\n"
    );
    assert_eq!(laptop.suibi(&["-q", "log"]).expect_success().err, "");
    let sync = laptop.suibi(&["sync"]);
    assert_eq!(sync.status.code(), Some(5), "{sync:#?}");
    assert!(sync.err.starts_with("error: the server is out of reach\ncaused by: "), "{sync:#?}");
    let data = laptop.home.path().join("data/suibi");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "in the way").unwrap();
    let broken = laptop.suibi(&["three"]);
    assert_eq!(broken.status.code(), Some(6), "{broken:#?}");
    assert!(broken.err.contains("data/suibi is a file, not a directory\nhint: "), "{broken:#?}");
}

#[test]
fn watch_prints_what_others_write_and_ends_with_ctrl_c() {
    let (_data, _server, laptop, phone) = two_devices();
    let mut watch = laptop.home.command(&["watch", "-n", "1"]);
    watch.env("SUIBI_NOW", "2026-11-23T09:05:00.000+08:00").env("SUIBI_DEVICE", "laptop");
    let watching = std::thread::spawn(move || run(&mut watch, b"", machinery::PATIENCE));
    // It may start after a few of these: the first one that it sees ends it.
    while !watching.is_finished() {
        phone.suibi(&["晚饭吃什么？"]).expect_success();
    }
    let seen = watching.join().unwrap().expect_success();
    assert_eq!(seen.out, "2026-11-23 Monday · today\n09:05  手机  晚饭吃什么？\n");

    let mut watch = laptop.home.command(&["watch"]);
    watch.stderr(std::process::Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let mut first = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut first).unwrap();
    assert_eq!(first, "waiting for notes; Ctrl-C ends\n");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn on_a_machine_where_nothing_is_set_up_everything_works() {
    let home = Home::new();
    let written = home.suibi_with_input("first\n第二条\n".as_bytes(), &[]).expect_success();
    insta::assert_snapshot!(written.err, @"✓ 2 notes saved");
    let third = home.suibi(&["third"]).expect_success();
    assert!(third.err.starts_with("✓ saved") && third.err.lines().count() == 1, "{third:#?}");
    assert_eq!(Home::new().suibi(&["-q", "hush"]).expect_success().err, "");
    assert_eq!(home.log(), ["first", "第二条", "third"]);
}

#[test]
fn every_option_of_serve_is_understood() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(
        data.path(),
        &[
            "--insecure-coap",
            "localhost:0",
            "--insecure-coap",
            "[::1]:0",
            "--plain",
            "127.0.0.1:0,reply=never,words=compat,max=4096",
            "--plain",
            "127.0.0.1:0",
            "--plain-words",
            "compat",
            "--plain-reply",
            "always",
            "--plain-max",
            "2048",
        ],
    );
    let said = server.said();
    assert!(
        said[..said.len() - 2].iter().all(|line| line.contains("this machine only")),
        "{said:#?}"
    );
    assert!(said.iter().filter(|line| line.contains("encrypted")).count() == 1, "{said:#?}");
    assert_eq!(server.plain.len(), 2, "{said:#?}");
    assert!(server.coap.len() >= 2, "{said:#?}");

    // A second one on the same data is refused, and told whose it is.
    let second =
        run(&mut Server::command(data.path(), &["--insecure-coap", "127.0.0.1:0"]), b"", BOUND);
    let second = second.expect_refusal(&[5]);
    assert!(second.err.contains(&format!("process {}", server.id())), "{second:#?}");

    // An address in use, one that is not ours, a name that is none, one that others could reach.
    let other = tempfile::tempdir().unwrap();
    let taken = server.address().to_string();
    for (arguments, code) in [
        (["--insecure-coap", taken.as_str()], 5),
        (["--insecure-coap", "192.0.2.1:5683"], 5),
        (["--insecure-coap", "no.such.host.invalid:5683"], 5),
        (["--insecure-coap", "127.0.0.1:70000"], 2),
        (["--plain", "0.0.0.0:0"], 2),
    ] {
        let refused = run(&mut Server::command(other.path(), &arguments), b"", machinery::PATIENCE)
            .expect_refusal(&[code]);
        assert_eq!(refused.err.lines().filter(|line| line.starts_with("error: ")).count(), 1);
        assert!(!refused.err.contains("ready"), "{refused:#?}");
    }
    assert!(server.stop().success());
}

#[test]
fn serve_takes_its_listeners_from_the_environment_too() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Server::command(data.path(), &[]);
    command
        .env("SUIBI_INSECURE_COAP", "127.0.0.1:0")
        .env("SUIBI_PLAIN", "127.0.0.1:0,anyone [::1]:0");
    let server = Server::spawn(&mut command);
    assert_eq!((server.coap.len(), server.plain.len()), (1, 2), "{:#?}", server.said());
}

#[test]
fn a_search_finds_what_was_meant_and_marks_it_where_somebody_looks() {
    let (_data, _server, laptop, phone) = two_devices();
    phone.suibi_at("2026-11-21T08:00:00.000+08:00", "", &["在北京買牛奶 @旅行"]).expect_success();
    let search = |arguments: &[&str]| told(&laptop.suibi(&[&["search"], arguments].concat()));

    // Traditional and simplified, pinyin whole and its first letters, without a word, with a tag.
    let beijing = "2026-11-21 Saturday\n08:00  在北京買牛奶 @旅行\n--- 0\n";
    for words in
        [&["买牛奶"][..], &["beijing"], &["bj"], &["@旅行", "niunai"], &["niunai", "-milk"]]
    {
        assert_eq!(search(words), beijing, "{words:?}");
    }
    let nothing = |words: &str| format!("--- 1\nno note has {words}\n");
    assert_eq!(search(&["--fold", "script,width", "beijing"]), nothing("beijing"));
    assert_eq!(
        search(&["--fold", "none", "买牛奶"]),
        nothing("买牛奶") + "did you mean: suibi search 買牛奶\n"
    );
    assert_eq!(search(&["milk", "-@shop"]), nothing("milk -@shop"));
    assert_eq!(search(&["-bought milk", "-n", "5", "@shop"]), nothing("-\"bought milk\" @shop"));

    insta::assert_snapshot!(search(&["mikl", "@shop"]), @"
    --- 1
    no note has mikl @shop
    did you mean: suibi search milk @shop
    ");
    insta::assert_snapshot!(search(&["--best", "food"]), @"
    2026-11-22 23:50  late 夜宵 @food
    2026-11-23 09:05  bought milk @shop and @food
    --- 0
    ");
    let marked = laptop.suibi(&["--color", "always", "search", "bj"]).out;
    assert!(marked.contains("在\u{1b}[1m\u{1b}[35m北京\u{1b}[0m買牛奶"), "{marked:?}");
    let settings = laptop.suibi(&["config", "set", "fold", "script", "width"]);
    assert!(settings.status.success());
    assert_eq!(search(&["bj"]), nothing("bj"));
    let chinese = laptop.suibi(&["--lang", "zh", "search", "mikl"]);
    assert_eq!(chinese.err, "没有随笔包含 mikl\n是不是要找：suibi search milk\n");
}

#[test]
fn a_time_in_front_of_a_note_is_its_time_and_the_confirmation_says_so() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let laptop = Device::new("laptop", server.address());
    let said = |arguments: &[&str]| {
        let finished = laptop.suibi(arguments);
        assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
        // Up to the receipt.
        finished.err.split(" · #").next().unwrap().to_owned()
    };
    assert_eq!(said(&["yesterday at 3pm: tea @lin"]), "✓ saved for Sunday 2026-11-22 15:00 @lin");
    assert_eq!(said(&["昨天下午四点半：跑步"]), "✓ saved for Sunday 2026-11-22 16:30");
    assert_eq!(
        said(&["last", "fri", "9:30:", "#work/plans", "done"]),
        "✓ saved for Friday 2026-11-20 09:30 #work/plans"
    );
    assert_eq!(
        said(&["add", "--at", "前天", "yesterday: a song"]),
        "✓ saved for Saturday 2026-11-21 09:05"
    );
    assert_eq!(said(&["今天的书：好看"]), "✓ saved 2026-11-23 09:05");
    assert_eq!(said(&["March is over: yes"]), "✓ saved 2026-11-23 09:05");
    let piped = laptop.suibi_at("2026-11-23T09:05:00.000+08:00", "三天前：雨\n10:30 sun\n", &[]);
    assert!(piped.err.contains("1 of them at the time that it begins with"), "{piped:#?}");
    let refused = laptop.suibi(&["add", "--at", "milk", "tea"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.err.contains("--at: `milk` is no time"), "{refused:#?}");

    let listed = |arguments: &[&str]| {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let told: Value = serde_json::from_str(&laptop.suibi(&all).out).unwrap();
        let notes = told["notes"].as_array().unwrap().clone();
        notes.iter().map(|note| note["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (arguments, texts) in [
        (&["on", "yesterday"][..], &["tea @lin", "跑步"][..]),
        (&["on", "昨天下午四点半"], &["跑步"]),
        (&["on", "last", "week", "#work"], &["#work/plans done"]),
        (&["log", "上周", "--not", "tea", "--not", "#work"], &["雨", "yesterday: a song", "跑步"]),
        (&["log", "--since", "yesterday 3pm", "--until", "yesterday 4pm"], &["tea @lin"]),
        (&["log", "--tag", "work"], &["#work/plans done"]),
        (&["log", "--on", "2026-11..2026-12", "-n", "1", "--reverse"], &["10:30 sun"]),
        (&["log", "2026-11-20..前天"], &["雨", "#work/plans done", "yesterday: a song"][..]),
        (&["search", "tea", "--until", "last month"], &[]),
        (&["search", "tea", "--from", "laptop", "--on", "this month"], &["tea @lin"]),
        (&["today", "--text", "sun"], &["10:30 sun"]),
        (&["today", "@lin"], &[]),
        (&["log", "--starred"], &[]),
    ] {
        let mut found = listed(arguments);
        let mut expected: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{arguments:?}");
    }
    for line in [
        &["on", "2026-02-30"][..],
        &["log", "--since", "nov 5", "yesterday"],
        &["log", "--on", "a..b"],
    ] {
        assert_eq!(laptop.suibi(line).status.code(), Some(2), "{line:?}");
    }
}
