//! A device joins a server: the way it should go, and each way in which it goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::net::UdpSocket;
use std::time::Duration;

use machinery::home::Added;
use machinery::{BOUND, Home, Server, Terminal, assert_each_once, masked, run, told};

/// A server that devices can join, and its owner.
struct Place {
    data: tempfile::TempDir,
    server: Server,
    owner: Home,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_encrypted(data.path());
        let owner = Home::of_owner(data.path());
        Self { data, server, owner }
    }

    fn invite(&self, arguments: &[&str]) -> String {
        self.owner.invite(&self.server, arguments)
    }

    /// A device that has joined with the rights that the arguments say.
    fn device(&self, name: &str, arguments: &[&str]) -> Home {
        let home = Home::new();
        home.join(&self.invite(arguments), name);
        home
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_new_device_joins_with_two_commands_and_takes_its_notes_along() {
    let place = Place::new();
    place.owner.add("written at the server");
    let home = Home::new();
    assert_eq!(home.add("written before, alone"), Added::Saved);
    assert_eq!(home.add("和这一条"), Added::Saved);

    let invited = place.owner.suibi(&["invite", "--host", &place.server.oscore[0].to_string()]);
    insta::assert_snapshot!(told(&place.owner, &invited), @"");
    let line = invited.out.trim();
    let joined = home.suibi(&["join", "--name", "laptop", line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"");

    let all = texts(&["written at the server", "written before, alone", "和这一条"]);
    assert_each_once(&home.log(), &all);
    assert_each_once(&place.owner.log(), &all);
    assert_eq!(home.add("written after"), Added::Saved);
    assert_each_once(&place.owner.log(), &[all, texts(&["written after"])].concat());
    let status = home.suibi(&["status"]).expect_success();
    for line in [", encrypted\n", "answers", "this device may read and write", "laptop"] {
        assert!(status.out.contains(line), "{line:?}: {status:#?}");
    }
    let from = place.owner.suibi(&["log", "--from", "laptop"]).expect_success();
    assert!(from.out.contains("written after"), "{from:#?}");
}

#[test]
fn the_line_comes_from_a_pipe_from_a_paste_and_with_what_a_chat_makes_of_it() {
    let place = Place::new();
    let line = place.invite(&[]);
    let home = Home::new();
    home.suibi_with_input(format!("{line}\n").as_bytes(), &["join"]).expect_success();
    let line = place.invite(&[]);
    let home = Home::new();
    let (start, end) = line.split_at(40);
    home.suibi_with_input(format!("“{start}\n  {end}”").as_bytes(), &["join", "-"])
        .expect_success();
    let line = place.invite(&[]);
    let home = Home::new();
    let (start, end) = line.split_at(50);
    home.suibi(&["join", start, end]).expect_success();

    let line = place.invite(&[]);
    let home = Home::new();
    let terminal = Terminal::open(&home, "join --name phone");
    terminal.expect("Paste the line");
    terminal.line(&line);
    let screen = terminal.expect("ended 0");
    assert!(screen.contains("✓ joined 127.0.0.1:"), "{screen}");
    assert!(screen.contains("✓ in step with the server"), "{screen}");
}

#[test]
fn a_drop_adds_notes_and_sees_none() {
    let place = Place::new();
    place.owner.add("a secret");
    let home = Home::new();
    let line = place.invite(&["--rights", "write", "--name", "thermometer"]);
    let joined = home.suibi(&["join", &line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"");
    assert_eq!(home.add("21 °C"), Added::Saved);
    let log = home.suibi(&["log"]).expect_success();
    assert!(!log.out.contains("a secret") && log.out.contains("21 °C"), "{log:#?}");
    assert!(log.err.contains("this device is a drop"), "{log:#?}");
    home.sync().expect_success();
    home.suibi(&["devices"]).expect_refusal(&[4]);
    assert_each_once(&place.owner.log(), &texts(&["a secret", "21 °C"]));
    let files = std::process::Command::new("grep")
        .args(["-rl", "a secret"])
        .arg(home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(files.stdout).unwrap(), "", "it has what it must not see");
}

#[test]
fn a_reader_sees_everything_and_writes_nothing() {
    let place = Place::new();
    place.owner.add("to be seen");
    let home = place.device("screen", &["--rights", "read"]);
    assert_each_once(&home.log(), &texts(&["to be seen"]));
    let refused = home.suibi(&["add", "not to be"]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"");
    assert_each_once(&home.log(), &texts(&["to be seen"]));
    assert_each_once(&place.owner.log(), &texts(&["to be seen"]));
}

#[test]
fn journals_on_one_server_are_kept_apart() {
    let place = Place::new();
    place.owner.add("in the first");
    let mine = place.device("mine", &[]);
    let family = place.device("kitchen", &["--journal", "family"]);
    let other = place.device("sofa", &["--journal", "family"]);
    family.add("in the second");
    other.sync().expect_success();
    assert_each_once(&other.log(), &texts(&["in the second"]));
    assert_each_once(&mine.log(), &texts(&["in the first"]));
    assert_each_once(&place.owner.log(), &texts(&["in the first"]));
}

#[test]
fn a_line_that_is_none_is_refused_before_anybody_is_asked() {
    let place = Place::new();
    let line = place.invite(&[]);
    let home = Home::new();
    let mistyped = match line.strip_suffix('A') {
        Some(start) => format!("{start}B"),
        None => format!("{}A", &line[..line.len() - 1]),
    };
    // A line of version 2, with its check right.
    let newer = "suibi://h/#AgABcoS7";
    let mut all = String::new();
    for wrong in ["lunch", &line[..line.len() - 7], "suibi://", &mistyped, newer] {
        let refused = home.suibi(&["join", wrong]).expect_refusal(&[2]);
        all.push_str(&format!("\n{}", told(&home, &refused)));
    }
    let refused = home.suibi(&["join", "us", "for", "lunch"]).expect_refusal(&[2]);
    all.push_str(&format!("\n{}", told(&home, &refused)));
    let refused = home.suibi_with_input(b"\n", &["join"]).expect_refusal(&[2]);
    all.push_str(&format!("\n{}", told(&home, &refused)));
    insta::assert_snapshot!(all, @"");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");
    home.join(&line, "laptop");
}

#[test]
fn an_invite_that_has_expired() {
    let place = Place::new();
    let line = place.invite(&["--expires", "1s"]);
    std::thread::sleep(Duration::from_millis(1_200));
    let home = Home::new();
    let refused = home.suibi(&["join", &line]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"");
}

#[test]
fn an_invite_that_was_used() {
    let place = Place::new();
    let line = place.invite(&[]);
    Home::new().join(&line, "the first");
    let home = Home::new();
    let refused = home.suibi(&["join", "--name", "the second", &line]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"");
    let devices = place.owner.suibi(&["devices"]).expect_success();
    assert!(!devices.out.contains("the second"), "{devices:#?}");
}

#[test]
fn a_machine_that_has_joined_already() {
    let place = Place::new();
    let home = place.device("laptop", &[]);
    let line = place.invite(&[]);
    let refused = home.suibi(&["join", &line]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&home, &refused), @"");

    let elsewhere = Place::new();
    home.add("in the first place");
    let line = elsewhere.invite(&[]);
    let joined = home.suibi(&["join", "--again", "--name", "laptop", &line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"");
    home.add("in the second place");
    assert_each_once(&place.owner.log(), &texts(&["in the first place"]));
}

#[test]
fn a_name_that_no_device_can_have() {
    let place = Place::new();
    let line = place.invite(&[]);
    let home = Home::new();
    let refused = home.suibi(&["join", "--name", &"长".repeat(22), &line]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&home, &refused), @"");
    home.join(&line, "short");
}

#[test]
fn a_server_that_is_down_or_elsewhere_on_loopback() {
    let place = Place::new();
    let line = place.invite(&[]);
    let Place { server, data, .. } = place;
    let address = server.oscore[0];
    server.kill();
    let home = Home::new();
    let refused = home.suibi_within(2 * BOUND, &["join", &line]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&home, &refused), @"");
    // The line is not lost by it.
    let server = Server::start_with(data.path(), &["--listen", &address.to_string()]);
    home.join(&line, "laptop");
    drop(server);
}

#[test]
fn a_server_that_does_not_answer() {
    let place = Place::new();
    // Whoever has this port says nothing. The name is not loopback's, whatever it leads to.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let code = place.invite(&[]).rsplit_once('#').unwrap().1.to_owned();
    let home = Home::new();
    let line = format!("suibi://{address}/#{code}");
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&home, &refused), @"");
}

#[test]
fn a_host_that_is_not_known() {
    let place = Place::new();
    let code = place.invite(&[]).rsplit_once('#').unwrap().1.to_owned();
    let home = Home::new();
    let line = format!("suibi://no-such-host.invalid:5683/#{code}");
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[5]);
    let text = told(&home, &refused);
    // What the resolver says differs from machine to machine.
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("caused by"))
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(text, @"");
}

#[test]
fn another_server_than_the_one_that_made_the_line() {
    let (place, other) = (Place::new(), Place::new());
    let line = place
        .invite(&[])
        .replace(&place.server.oscore[0].to_string(), &other.server.oscore[0].to_string());
    let home = Home::new();
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"");
}

#[test]
fn a_clock_that_is_wrong_by_a_year_is_told() {
    let place = Place::new();
    let home = Home::new();
    let line = place.invite(&[]);
    let mut command = home.command(&["join", "--name", "laptop", &line]);
    let joined = run(command.env("SUIBI_NOW", "2020-11-23T09:05:00.000+00:00"), b"", BOUND);
    insta::assert_snapshot!(told(&home, &joined.expect_success()), @"");
}

#[test]
fn an_unprotected_listener_in_the_settings_goes_before_and_is_named() {
    let place = Place::new();
    let home = Home::new();
    home.suibi(&["config", "set", "server", "coap://127.0.0.1:9"]).expect_success();
    let line = place.invite(&[]);
    let joined =
        home.suibi_within(3 * BOUND, &["join", "--name", "laptop", &line]).expect_success();
    assert!(joined.err.contains("suibi config unset server"), "{joined:#?}");
}

#[test]
fn a_server_that_nobody_else_reaches_makes_no_useless_line() {
    let place = Place::new();
    let refused = place.owner.suibi(&["invite"]).expect_refusal(&[5]);
    let id = place.server.id().to_string();
    insta::assert_snapshot!(told(&place.owner, &refused).replace(&id, "1234"), @"");
    assert_eq!(refused.out, "");
    let none = Home::new();
    let refused = none.suibi(&["invite"]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&none, &refused), @"");
    for (host, port) in [("h:0", true), ("coap://h", true), ("", true)] {
        let refused = place.owner.suibi(&["invite", "--host", host]).expect_refusal(&[2]);
        assert_eq!(refused.err.contains("HOST:PORT"), port, "{refused:#?}");
    }
}

#[test]
fn what_programs_are_told() {
    let place = Place::new();
    let host = place.server.oscore[0].to_string();
    let invited = place.owner.suibi(&["invite", "--host", &host, "--json"]).expect_success();
    insta::assert_snapshot!(masked(&invited.out), @"");
    assert_eq!(invited.err, "");
    let json: serde_json::Value = serde_json::from_str(&invited.out).unwrap();
    let home = Home::new();
    let line = json["line"].as_str().unwrap();
    let joined = home.suibi(&["join", "--name", "laptop", "--json", line]).expect_success();
    insta::assert_snapshot!(masked(&joined.out), @"");
    let status = home.suibi(&["status", "--json"]).expect_success();
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["server"]["encrypted"], true);
    assert_eq!(status["server"]["embedded"], false);
    assert_eq!(status["server"]["joined"]["rights"], serde_json::json!(["read", "write"]));
    assert_eq!(status["device"], "laptop");
}
