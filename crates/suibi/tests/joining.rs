//! A device joins a server: the way it should go, and each way in which it goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use machinery::{
    BOUND, Home, Server, Terminal, assert_documented, assert_each_once, free_port, masked, run,
    told,
};

/// A server that devices can join, and its owner.
struct Place {
    data: tempfile::TempDir,
    server: Server,
    owner: Home,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = Server::command(data.path(), &["--listen", "127.0.0.1:0"]);
        let server = Server::spawn(command.env("SUIBI_DEVICE", "home"));
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
    place.owner.save("written at the server");
    let home = Home::new();
    home.save("written before, alone");
    home.save("和这一条");

    let invited = place.owner.suibi(&["invite", "--host", &place.server.oscore[0].to_string()]);
    insta::assert_snapshot!(told(&place.owner, &invited), @"
    suibi://127.0.0.1:5683/#…
    --- 0
    Copy the line below. On the other device:

        suibi join

    journal  notes
    may      read and write
    valid    once, until 09:05 (15 min)
    server   127.0.0.1:5683

    Only this machine finds it there.
    ");
    let line = invited.out.trim();
    let joined = home.suibi(&["join", "--name", "laptop", line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"
    --- 0
    ✓ joined 127.0.0.1:5683 as laptop, encrypted
      journal notes: this device may read and write
      2 notes written here before go along
    ✓ in step with the server · 2 sent, 1 received
    ");

    let all = texts(&["written at the server", "written before, alone", "和这一条"]);
    assert_each_once(&home.log_in_step(), &all);
    assert_each_once(&place.owner.log_in_step(), &all);
    home.save("written after");
    assert_each_once(&place.owner.log_in_step(), &[all, texts(&["written after"])].concat());
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
    place.owner.save("a secret");
    let home = Home::new();
    let line = place.invite(&["--rights", "write", "--name", "thermometer"]);
    let joined = home.suibi(&["join", &line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"
    --- 0
    ✓ joined 127.0.0.1:5683 as thermometer, encrypted
      journal notes: this device may add notes and see none (a drop)
    ✓ in step with the server · 0 sent
    ");
    home.save("21 °C");
    let log = home.suibi(&["log"]).expect_success();
    assert!(!log.out.contains("a secret") && log.out.contains("21 °C"), "{log:#?}");
    assert!(log.err.contains("this device is a drop"), "{log:#?}");
    home.sync().expect_success();
    home.suibi(&["devices"]).expect_refusal(&[4]);
    assert_each_once(&place.owner.log_in_step(), &texts(&["a secret", "21 °C"]));
    let files = Command::new("grep").args(["-rl", "a secret"]).arg(home.path()).output().unwrap();
    assert_eq!(String::from_utf8(files.stdout).unwrap(), "", "it has what it must not see");
}

#[test]
fn a_reader_sees_everything_and_writes_nothing() {
    let place = Place::new();
    place.owner.save("to be seen");
    let home = place.device("screen", &["--rights", "read"]);
    assert_each_once(&home.log_in_step(), &texts(&["to be seen"]));
    let refused = home.suibi(&["add", "not to be"]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 4
    error: «screen» may read the journal «notes» on «home» and not write there; nothing was written
    hint: another invite can allow it: suibi invite --rights read,write on the server
    ");
    assert_each_once(&home.log_in_step(), &texts(&["to be seen"]));
    assert_each_once(&place.owner.log_in_step(), &texts(&["to be seen"]));
}

#[test]
fn journals_on_one_server_are_kept_apart() {
    let place = Place::new();
    place.owner.save("in the first");
    let mine = place.device("mine", &[]);
    let family = place.device("kitchen", &["--journal", "family"]);
    let other = place.device("sofa", &["--journal", "family"]);
    family.save("in the second");
    other.sync().expect_success();
    assert_each_once(&other.log_in_step(), &texts(&["in the second"]));
    assert_each_once(&mine.log_in_step(), &texts(&["in the first"]));
    assert_each_once(&place.owner.log_in_step(), &texts(&["in the first"]));
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
    let newer = "suibi://h/#AgECA1KTe9M";
    let mut all = String::new();
    for wrong in ["lunch", &line[..line.len() - 7], "suibi://", &mistyped, newer] {
        let refused = home.suibi(&["join", wrong]).expect_refusal(&[2]);
        all.push_str(&format!("\n{}", told(&home, &refused)));
    }
    let refused = home.suibi(&["join", "us", "for", "lunch"]).expect_refusal(&[2]);
    all.push_str(&format!("\n{}", told(&home, &refused)));
    let refused = home.suibi_with_input(b"\n", &["join"]).expect_refusal(&[2]);
    all.push_str(&format!("\n{}", told(&home, &refused)));
    insta::assert_snapshot!(all, @"

    --- 2
    error: that is no line of an invite; nothing was done
    hint: the line begins with suibi:// and is printed by `suibi invite` on the server; to write it as a note: suibi add join lunch

    --- 2
    error: the line is cut off: its end is missing; nothing was done
    hint: copy all of it once more, from suibi:// to its last character

    --- 2
    error: the line is cut off: its end is missing; nothing was done
    hint: copy all of it once more, from suibi:// to its last character

    --- 2
    error: the line has a slip in it: a character is wrong, missing or too many; nothing was done
    hint: copy all of it once more, from suibi:// to its last character

    --- 2
    error: the line was made by a newer suibi than this one; nothing was done
    hint: update suibi on this machine, then join with the same line

    --- 2
    error: that is no line of an invite; nothing was done
    hint: the line begins with suibi:// and is printed by `suibi invite` on the server; to write it as a note: suibi add join us for lunch

    --- 2
    error: no line came in; nothing was done
    hint: `suibi invite` on the server prints one: suibi join LINE, or suibi join and paste it
    ");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");
    home.join(&line, "laptop");
}

/// `command` with another clock, such as `+1d`. Not through the program `faketime`, which outlives what it started.
fn with_clock(offset: &str, command: &Command) -> Command {
    let mut faked = Command::new(command.get_program());
    faked.env_clear().args(command.get_args());
    faked.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    faked.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1").env("FAKETIME", offset);
    // Timeouts are none of its business.
    faked.env("DONT_FAKE_MONOTONIC", "1").current_dir(command.get_current_dir().unwrap());
    faked
}

#[test]
fn an_invite_that_has_expired() {
    let place = Place::new();
    let line = place.invite(&[]);
    let Place { server, data, .. } = place;
    let address = server.oscore[0].to_string();
    server.kill();
    // Two hours later by the server's clock.
    let command = Server::command(data.path(), &["--listen", &address]);
    let _server = Server::spawn(&mut with_clock("+2h", &command));
    let home = Home::new();
    let mut command = with_clock("+2h", &home.command(&["join", "--name", "laptop", &line]));
    let refused = run(&mut command, b"", BOUND).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 4
    error: this invite ended at 2026-11-23 09:05:00 +00:00 by the server's clock, which now shows 2026-11-23 09:05:00 +00:00
    hint: ask for another one: suibi invite on the server; --expires 1h lasts longer
    ");
}

#[test]
fn an_invite_that_was_used() {
    let place = Place::new();
    let line = place.invite(&[]);
    Home::new().join(&line, "the first");
    let home = Home::new();
    let refused = home.suibi(&["join", "--name", "the second", &line]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 4
    error: this invite was used already, at 2026-11-23 09:05:00 +00:00
    hint: an invite lets one device in: ask for another one (suibi invite on the server); if it was not you who used it, suibi devices there shows who did
    ");
    let devices = place.owner.suibi(&["devices"]).expect_success();
    assert!(!devices.out.contains("the second"), "{devices:#?}");
}

#[test]
fn a_machine_that_has_joined_already() {
    let place = Place::new();
    let home = place.device("laptop", &[]);
    let line = place.invite(&[]);
    let refused = home.suibi(&["join", &line]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 2
    error: this machine has joined the server «home» (127.0.0.1:5683) as «laptop» already
    hint: suibi status shows it; suibi join --again LINE leaves it for the one of the line
    ");

    let elsewhere = Place::new();
    home.save("in the first place");
    let line = elsewhere.invite(&[]);
    let joined = home.suibi(&["join", "--again", "--name", "laptop", &line]).expect_success();
    insta::assert_snapshot!(told(&home, &joined), @"
    --- 0
    ✓ joined 127.0.0.1:5683 as laptop, encrypted
      journal notes: this device may read and write
    ✓ in step with the server · 0 sent, 0 received
    ");
    home.save("in the second place");
    assert_each_once(&place.owner.log_in_step(), &texts(&["in the first place"]));
}

#[test]
fn a_name_that_no_device_can_have() {
    let place = Place::new();
    let line = place.invite(&[]);
    let home = Home::new();
    let refused = home.suibi(&["join", "--name", &"长".repeat(22), &line]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 2
    error: «长长长长长长长长长长长长长长长长长长长长长长» is no name for a device: 1 to 64 bytes, no control characters, no space at its ends
    hint: choose another one: suibi join --name NAME LINE
    ");
    home.join(&line, "short");
}

#[test]
fn a_line_that_leads_to_loopback_where_no_server_is() {
    let place = Place::new();
    let line = place.invite(&[]);
    let Place { server, data, .. } = place;
    let address = server.oscore[0];
    server.kill();
    let home = Home::new();
    let refused = home.suibi_within(2 * BOUND, &["join", &line]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 5
    error: the line leads to 127.0.0.1:5683, which is this machine itself, and its server is not here
    hint: on the server: suibi serve --listen :5683, then suibi invite --host NAME with a name or an address that others can reach
    ");
    // The line is not lost by it.
    let server = Server::start_with(data.path(), &["--listen", &address.to_string()]);
    home.join(&line, "laptop");
    drop(server);
}

/// The line with another place in it. 0.0.0.0 is this machine, and not what loopback is taken for.
fn elsewhere(line: &str, address: SocketAddr) -> String {
    let (_, code) = line.rsplit_once('#').unwrap();
    format!("suibi://0.0.0.0:{}/#{code}", address.port())
}

#[test]
fn a_server_that_is_down() {
    let place = Place::new();
    let line = place.invite(&[]);
    let line = elsewhere(&line, free_port());
    let home = Home::new();
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 5
    error: nobody listens at 0.0.0.0:5683
    hint: start the server (suibi serve), or ask for a line with its right port; then join with the same line again
    ");
}

#[test]
fn a_server_that_does_not_answer() {
    let place = Place::new();
    // Whoever has this port says nothing, as a firewall does.
    let silent = UdpSocket::bind("0.0.0.0:0").unwrap();
    let line = elsewhere(&place.invite(&[]), silent.local_addr().unwrap());
    let home = Home::new();
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 5
    error: nobody answers at 0.0.0.0:5683 (waited 10 s)
    hint: is the server running, and does its firewall let UDP in? Then join with the same line again; the invite is not lost
    ");
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
    insta::assert_snapshot!(text, @"
    --- 5
    error: the address of «no-such-host.invalid» is not found
    hint: is this machine online, and the host spelled right? suibi invite --host ADDRESS on the server makes a line with an address in digits
    ");
}

#[test]
fn another_server_than_the_one_that_made_the_line() {
    let (place, other) = (Place::new(), Place::new());
    let line = place
        .invite(&[])
        .replace(&place.server.oscore[0].to_string(), &other.server.oscore[0].to_string());
    let home = Home::new();
    let refused = home.suibi_within(3 * BOUND, &["join", &line]).expect_refusal(&[4]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 4
    error: a server answers at 127.0.0.1:5683, and does not know this invite
    hint: is it the server that made the line? It may be another one, or its data older than the invite: ask for another one (suibi invite on the server)
    ");
}

#[test]
fn a_clock_that_is_wrong_by_a_year_is_told() {
    let place = Place::new();
    let mut told_both = String::new();
    for offset in ["-366d", "+800d"] {
        let home = Home::new();
        let line = place.invite(&[]);
        let mut command = with_clock(offset, &home.command(&["join", "--name", "laptop", &line]));
        let joined = run(&mut command, b"", BOUND).expect_success();
        told_both.push_str(&told(&home, &joined));
    }
    insta::assert_snapshot!(told_both, @"
    --- 0
    ✓ joined 127.0.0.1:5683 as laptop, encrypted
      journal notes: this device may read and write
    ! this machine's clock (2026-11-23 09:05) is 365 days behind the server's: new notes would be dated by it
    hint: set the clock of whichever is wrong, for example: timedatectl set-ntp true
    ✓ in step with the server · 0 sent, 0 received
    --- 0
    ✓ joined 127.0.0.1:5683 as laptop 2, encrypted
      journal notes: this device may read and write
      «laptop» was taken: this device is «laptop 2» there
    ! this machine's clock (2026-11-23 09:05) is 2 years ahead of the server's: new notes would be dated by it
    hint: set the clock of whichever is wrong, for example: timedatectl set-ntp true
    ✓ in step with the server · 0 sent, 0 received
    ");
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
    insta::assert_snapshot!(told(&place.owner, &refused).replace(&id, "1234"), @"
    --- 5
    error: the server (process 1234) listens on loopback only: no other device can reach it
    hint: end it, and start it for others: suibi serve --listen :5683
    ");
    assert_eq!(refused.out, "");
    let none = Home::new();
    let refused = none.suibi(&["invite"]).expect_refusal(&[5]);
    insta::assert_snapshot!(told(&none, &refused), @"
    --- 5
    error: no server runs on this machine, so nobody could come in
    hint: start one, and leave it running: suibi serve
    ");
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
    assert_documented(&invited.out);
    insta::assert_snapshot!(masked(&invited.out), @r#"
    {
      "version": 1,
      "line": "suibi://127.0.0.1:5683/#…",
      "id": "0a1b2c3d",
      "journal": "notes",
      "rights": [
        "read",
        "write"
      ],
      "name": null,
      "expires": "2026-11-23T09:05:00.000+00:00"
    }
    "#);
    assert_eq!(invited.err, "");
    let json: serde_json::Value = serde_json::from_str(&invited.out).unwrap();
    let home = Home::new();
    let line = json["line"].as_str().unwrap();
    let joined = home.suibi(&["join", "--name", "laptop", "--json", line]).expect_success();
    assert_documented(&joined.out);
    insta::assert_snapshot!(masked(&joined.out), @r#"
    {
      "version": 1,
      "address": "127.0.0.1:5683",
      "server": "home",
      "journal": "notes",
      "device": "laptop",
      "rights": [
        "read",
        "write"
      ],
      "carried": 0,
      "left_behind": 0,
      "clock_off": null,
      "waiting": 0
    }
    "#);
    let status = home.suibi(&["status", "--json"]).expect_success();
    assert_documented(&status.out);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["server"]["encrypted"], true);
    assert_eq!(status["server"]["embedded"], false);
    assert_eq!(status["server"]["joined"]["rights"], serde_json::json!(["read", "write"]));
    assert_eq!(status["device"], "laptop");
}

#[test]
fn one_note_goes_along_and_a_name_that_is_taken_is_told() {
    let place = Place::new();
    place.device("laptop", &[]);
    let home = Home::new();
    home.save("the only one");
    let joined = home.join(&place.invite(&[]), "laptop");
    insta::assert_snapshot!(told(&home, &joined), @"
    --- 0
    ✓ joined 127.0.0.1:5683 as laptop 2, encrypted
      journal notes: this device may read and write
      «laptop» was taken: this device is «laptop 2» there
      1 note written here before goes along
    ✓ in step with the server · 1 sent, 0 received
    ");
    let home = Home::new();
    home.save("another one");
    let joined = home.join(&place.invite(&["--rights", "read", "--name", "屏幕"]), "screen");
    insta::assert_snapshot!(told(&home, &joined), @"
    --- 0
    ✓ joined 127.0.0.1:5683 as 屏幕, encrypted
      journal notes: this device may read only
      the server calls it «屏幕», not «screen»
    ! 1 note written here before stays on this machine: it may only read there
    ✓ in step with the server · 1 received
    ");
}
