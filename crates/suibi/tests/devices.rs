//! The owner's commands: who may do what, who is cut off, what happened.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use machinery::home::Added;
use machinery::{Home, Server, Terminal, assert_each_once, masked, told};

/// A server with a laptop, a phone and a drop, in this order.
fn server_with_three() -> (tempfile::TempDir, Server, Home, [Home; 3]) {
    let data = tempfile::tempdir().unwrap();
    let mut command = Server::command(data.path(), &["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command.env("SUIBI_DEVICE", "home"));
    let owner = Home::of_owner(data.path());
    let join = |name: &str, rights: &str| {
        let home = Home::new();
        home.join(&owner.invite(&server, &["--rights", rights]), name);
        home
    };
    let homes = [join("laptop", "read,write"), join("手机", "read"), join("sensor", "write")];
    (data, server, owner, homes)
}

#[test]
fn devices_are_listed_renamed_and_cut_off() {
    let (_data, _server, owner, [laptop, _, sensor]) = server_with_three();
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["devices"])), @"");
    laptop.add("from the laptop");

    let renamed = owner.suibi(&["devices", "rename", "laptop", "desk"]).expect_success();
    insta::assert_snapshot!(told(&owner, &renamed), @"");
    owner.sync().expect_success();
    let from = owner.suibi(&["log", "--from", "desk"]).expect_success();
    assert!(from.out.contains("from the laptop"), "{from:#?}");

    assert_eq!(sensor.add("21 °C"), Added::Saved);
    let asked = owner.suibi(&["devices", "revoke", "sensor"]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&owner, &asked), @"");
    let revoked = owner.suibi(&["devices", "revoke", "--yes", "sensor"]).expect_success();
    insta::assert_snapshot!(told(&owner, &revoked), @"");
    let refused = sensor.suibi(&["add", "22 °C"]);
    insta::assert_snapshot!(told(&sensor, &refused), @"");
    insta::assert_snapshot!(told(&sensor, &sensor.suibi(&["sync"]).expect_refusal(&[4])), @"");
    assert_each_once(&owner.log(), &["from the laptop".to_owned(), "21 °C".to_owned()]);
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["devices"])), @"");
    let again = owner.suibi(&["devices", "revoke", "sensor"]).expect_success();
    insta::assert_snapshot!(told(&owner, &again), @"");
}

#[test]
fn who_is_cut_off_is_asked_for_on_a_terminal() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    let terminal = Terminal::open(&owner, "devices revoke laptop");
    terminal.expect("[y/N]");
    terminal.line("n");
    terminal.expect("nothing was done");
    terminal.expect("ended 1");
    drop(terminal);
    assert_eq!(laptop.add("still in"), Added::Saved);
    let terminal = Terminal::open(&owner, "devices revoke laptop");
    terminal.expect("[y/N]");
    terminal.line("y");
    terminal.expect("✓ laptop is cut off");
    terminal.expect("ended 0");
    assert_eq!(laptop.add("no more"), Added::Kept);
}

#[test]
fn names_that_are_nobodys_and_names_that_cannot_be() {
    let (_data, _server, owner, _homes) = server_with_three();
    let mut all = String::new();
    for (line, code) in [
        (&["devices", "rename", "nobody", "somebody"][..], 1),
        (&["devices", "revoke", "--yes", "nobody"], 1),
        (&["devices", "rename", "laptop", "a\tb"], 2),
        (&["devices", "rename", "laptop", "手机"], 2),
        (&["devices", "are", "broken"], 2),
    ] {
        let refused = owner.suibi(line).expect_refusal(&[code]);
        all.push_str(&format!("{}\n", told(&owner, &refused)));
    }
    insta::assert_snapshot!(all, @"");
}

#[test]
fn where_nobody_has_joined_that_is_said() {
    let home = Home::new();
    insta::assert_snapshot!(told(&home, &home.suibi(&["devices"])), @"");
    insta::assert_snapshot!(told(&home, &home.suibi(&["audit"])), @"");
}

#[test]
fn a_device_without_the_right_administers_nothing() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    for line in [&["devices"][..], &["invite"], &["audit"], &["devices", "revoke", "--yes", "x"]] {
        laptop.suibi(line).expect_refusal(&[4]);
    }
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["devices"])), @"");
    let _ = owner;
}

#[test]
fn an_administrator_invites_and_revokes_from_afar() {
    let (_data, server, owner, _homes) = server_with_three();
    let admin = Home::new();
    admin.join(&owner.invite(&server, &["--rights", "read,write,admin"]), "admin");
    let invited = admin.suibi(&["invite", "--name", "tablet"]).expect_success();
    let tablet = Home::new();
    tablet.suibi(&["join", invited.out.trim()]).expect_success();
    assert_eq!(tablet.add("from the tablet"), Added::Saved);
    admin.suibi(&["devices", "revoke", "--yes", "tablet"]).expect_success();
    assert_eq!(tablet.add("not any more"), Added::Kept);
}

#[test]
fn the_audit_trail_tells_who_came_and_who_went() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    owner.suibi(&["devices", "revoke", "--yes", "laptop"]).expect_success();
    laptop.add("no more");
    let audit = owner.suibi(&["audit"]).expect_success();
    let words: Vec<&str> =
        audit.out.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(
        words,
        ["invited", "joined", "invited", "joined", "invited", "joined", "revoked", "refused"],
        "{audit:#?}"
    );
    assert!(audit.out.contains("127.0.0.1:"), "{audit:#?}");
    let last = owner.suibi(&["audit", "--limit", "2", "--json"]).expect_success();
    insta::assert_snapshot!(masked(&last.out), @"");
}

#[test]
fn what_programs_are_told_about_devices() {
    let (_data, _server, owner, _homes) = server_with_three();
    let listed = owner.suibi(&["devices", "--json"]).expect_success();
    insta::assert_snapshot!(masked(&listed.out), @"");
    let renamed = owner.suibi(&["--json", "devices", "rename", "sensor", "kettle"]);
    insta::assert_snapshot!(masked(&renamed.expect_success().out), @"");
    let revoked = owner.suibi(&["--json", "devices", "revoke", "-y", "kettle"]).expect_success();
    let json: serde_json::Value = serde_json::from_str(&revoked.out).unwrap();
    assert!(json["device"]["revoked"].is_string(), "{json}");
}

#[test]
fn keys_for_other_programs_are_files_for_their_owner_alone() {
    let (_data, _server, owner, _homes) = server_with_three();
    let export = ["devices", "export", "kettle", "--rights", "write", "--host", "192.0.2.7"];
    let at = |format, dir| [&export[..], &["--format", format, "--dir", dir]].concat();
    let libcoap = owner.suibi(&at("libcoap", "keys")).expect_success();
    insta::assert_snapshot!(told(&owner, &libcoap), @"");
    let path = owner.path().join("keys/oscore.conf");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    for word in
        ["master_secret,hex,", "master_salt,hex,", "recipient_id,hex,\"73\"", "aead_alg,integer,10"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    owner.suibi(&at("aiocoap", "keys")).expect_refusal(&[2]);
    owner.suibi(&at("aiocoap", "more")).expect_success();
    for file in ["client.json", "context/settings.json", "context/secret.json"] {
        let text = fs::read_to_string(owner.path().join("more").join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    let printed = owner.suibi(&[&export[..], &["--format", "libcoap"]].concat()).expect_success();
    assert!(printed.out.contains("master_secret,hex,"), "{printed:#?}");
    assert!(printed.err.contains("Never copy them"), "{printed:#?}");
    let devices = owner.suibi(&["devices"]).expect_success();
    assert!(devices.out.contains("foreign"), "{devices:#?}");
}
