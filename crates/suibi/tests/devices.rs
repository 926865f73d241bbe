//! The owner's commands: who may do what, who is cut off, what happened.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use machinery::home::Added;
use machinery::{
    Home, Server, Terminal, assert_documented, assert_each_once, masked, told, wait_until,
};

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
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["devices"])), @"
    NAME    MAY           JOINED            LAST HEARD OF  ID
    laptop  read, write   2026-11-23 09:05  just now       0a1b2c3d
    手机    read          2026-11-23 09:05  just now       0a1b2c3d
    sensor  add (a drop)  2026-11-23 09:05  just now       0a1b2c3d
    --- 0
    ");
    laptop.save("from the laptop");

    let renamed = owner.suibi(&["devices", "rename", "laptop", "desk"]).expect_success();
    insta::assert_snapshot!(told(&owner, &renamed), @"
    --- 0
    ✓ laptop is called desk now
    ");
    owner.sync().expect_success();
    let from = owner.suibi(&["log", "--from", "desk"]).expect_success();
    assert!(from.out.contains("from the laptop"), "{from:#?}");

    sensor.save("21 °C");
    let asked = owner.suibi(&["devices", "revoke", "sensor"]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&owner, &asked), @"
    --- 2
    error: sensor was not cut off: nobody can be asked here
    hint: say that it is meant: suibi devices revoke --yes sensor
    ");
    let revoked = owner.suibi(&["devices", "revoke", "--yes", "sensor"]).expect_success();
    insta::assert_snapshot!(told(&owner, &revoked), @"
    --- 0
    ✓ sensor is cut off, from this moment on; what it wrote stays
    ");
    let refused = sensor.suibi(&["add", "22 °C"]);
    assert_eq!(Added::of(&refused), Added::Kept);
    insta::assert_snapshot!(told(&sensor, &refused), @"
    --- 0
    the server «home» has cut this device off (it knows it as «sensor»)
    ✓ kept here, not yet on the server (1 waiting)
    ");
    insta::assert_snapshot!(told(&sensor, &sensor.suibi(&["sync"]).expect_refusal(&[4])), @"
    --- 4
    error: the server «home» has cut this device off (it knows it as «sensor»)
    hint: what you wrote is kept on this device; with a new invite it goes along: suibi join --again LINE
    ");
    assert_each_once(&owner.log_in_step(), &["from the laptop".to_owned(), "21 °C".to_owned()]);
    insta::assert_snapshot!(told(&owner, &owner.suibi(&["devices"])), @"
    NAME    MAY           JOINED            LAST HEARD OF             ID
    desk    read, write   2026-11-23 09:05  just now                  0a1b2c3d
    手机    read          2026-11-23 09:05  just now                  0a1b2c3d
    sensor  add (a drop)  2026-11-23 09:05  cut off 2026-11-23 09:05  0a1b2c3d
    --- 0
    ");
    let again = owner.suibi(&["devices", "revoke", "sensor"]).expect_success();
    insta::assert_snapshot!(told(&owner, &again), @"
    --- 0
    sensor was cut off already, 2026-11-23 09:05
    ");
}

#[test]
fn who_is_cut_off_is_asked_for_on_a_terminal() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    let terminal = Terminal::open(&owner, "devices revoke laptop");
    terminal.expect("[y/N]");
    terminal.line("n");
    terminal.expect("nothing was done");
    terminal.expect("ended 1");
    laptop.save("still in");
    // Beside the first one, whose tmux goes on.
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
    insta::assert_snapshot!(all, @r#"
    --- 1
    error: no device is called nobody
    hint: suibi devices shows all of them

    --- 1
    error: no device is called nobody
    hint: suibi devices shows all of them

    --- 2
    error: a name has 1 to 64 bytes, no control characters, and no space at its ends

    --- 2
    error: a device of this journal is called "手机" already; choose another name

    --- 2
    error: `devices` is a command, and "are broken" does not fit it; nothing was done
    hint: to write it as a note: suibi add devices are broken
    "#);
}

#[test]
fn where_nobody_has_joined_that_is_said() {
    let home = Home::new();
    insta::assert_snapshot!(told(&home, &home.suibi(&["devices"])), @"
    --- 1
    no device has joined yet — let one in: suibi invite
    ");
    insta::assert_snapshot!(told(&home, &home.suibi(&["audit"])), @"
    --- 1
    nothing has happened yet: nobody was invited, nobody joined, nobody was refused
    ");
}

#[test]
fn a_device_without_the_right_administers_nothing() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    for line in [&["devices"][..], &["invite"], &["audit"], &["devices", "revoke", "--yes", "x"]] {
        laptop.suibi(line).expect_refusal(&[4]);
    }
    insta::assert_snapshot!(told(&laptop, &laptop.suibi(&["devices"])), @"
    --- 4
    error: «laptop» may not administer the server «home» that this machine has joined
    hint: do it on the machine where the server runs, or on a device with the right `admin`
    ");
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
    tablet.save("from the tablet");
    admin.suibi(&["devices", "revoke", "--yes", "tablet"]).expect_success();
    assert_eq!(tablet.add("not any more"), Added::Kept);
}

#[test]
fn the_audit_trail_tells_who_came_and_who_went() {
    let (_data, _server, owner, [laptop, ..]) = server_with_three();
    owner.suibi(&["devices", "revoke", "--yes", "laptop"]).expect_success();
    laptop.add("no more");
    laptop.sync().expect_refusal(&[4]);
    // A refusal is written down when there is time.
    wait_until("it is in the trail", || owner.suibi(&["audit"]).out.contains("refused"));
    let audit = owner.suibi(&["audit"]).expect_success();
    let mut words: Vec<&str> =
        audit.out.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).collect();
    // As often as it tried.
    words.dedup_by(|later, earlier| *later == "refused" && earlier == later);
    assert_eq!(
        words,
        ["invited", "joined", "invited", "joined", "invited", "joined", "revoked", "refused"],
        "{audit:#?}"
    );
    assert!(audit.out.contains("127.0.0.1:"), "{audit:#?}");
    let last = owner.suibi(&["audit", "--limit", "1", "--json"]).expect_success();
    assert_documented(&last.out);
    insta::assert_snapshot!(masked(&last.out), @r#"
    {
      "version": 1,
      "entries": [
        {
          "time": "2026-11-23T09:05:00.000+00:00",
          "what": "refused",
          "reason": "this device was revoked",
          "device": "laptop",
          "journal": "notes",
          "address": "127.0.0.1:5683",
          "detail": ""
        }
      ]
    }
    "#);
}

#[test]
fn what_programs_are_told_about_devices() {
    let (_data, _server, owner, _homes) = server_with_three();
    let listed = owner.suibi(&["devices", "--json"]).expect_success();
    assert_documented(&listed.out);
    insta::assert_snapshot!(masked(&listed.out), @r#"
    {
      "version": 1,
      "devices": [
        {
          "id": "0a1b2c3d",
          "name": "laptop",
          "journal": "notes",
          "rights": [
            "read",
            "write"
          ],
          "joined": "2026-11-23T09:05:00.000+00:00",
          "seen": "2026-11-23T09:05:00.000+00:00",
          "revoked": null,
          "foreign": false
        },
        {
          "id": "0a1b2c3d",
          "name": "手机",
          "journal": "notes",
          "rights": [
            "read"
          ],
          "joined": "2026-11-23T09:05:00.000+00:00",
          "seen": "2026-11-23T09:05:00.000+00:00",
          "revoked": null,
          "foreign": false
        },
        {
          "id": "0a1b2c3d",
          "name": "sensor",
          "journal": "notes",
          "rights": [
            "write"
          ],
          "joined": "2026-11-23T09:05:00.000+00:00",
          "seen": "2026-11-23T09:05:00.000+00:00",
          "revoked": null,
          "foreign": false
        }
      ]
    }
    "#);
    let renamed = owner.suibi(&["--json", "devices", "rename", "sensor", "kettle"]);
    insta::assert_snapshot!(masked(&renamed.expect_success().out), @r#"
    {
      "version": 1,
      "device": {
        "id": "0a1b2c3d",
        "name": "kettle",
        "journal": "notes",
        "rights": [
          "write"
        ],
        "joined": "2026-11-23T09:05:00.000+00:00",
        "seen": "2026-11-23T09:05:00.000+00:00",
        "revoked": null,
        "foreign": false
      }
    }
    "#);
    let revoked = owner.suibi(&["--json", "devices", "revoke", "-y", "kettle"]).expect_success();
    let json: serde_json::Value = serde_json::from_str(&revoked.out).unwrap();
    assert!(json["device"]["revoked"].is_string(), "{json}");
}

#[test]
fn keys_for_other_programs_are_files_for_their_owner_alone() {
    let (_data, _server, owner, _homes) = server_with_three();
    let options = ["--rights", "write", "--host", "192.0.2.7:5683"];
    let export = |name, more: &[&'static str]| {
        owner.suibi(&[&["devices", "export", name], &options[..], more].concat())
    };
    let libcoap = export("kettle", &["--format", "libcoap", "--dir", "keys"]).expect_success();
    insta::assert_snapshot!(told(&owner, &libcoap), @"
    --- 0
    ✓ kettle may add notes and see none (a drop) in the journal notes
    coap-client -E keys/oscore.conf,keys/oscore.seq -m post -e 'hello' coap://192.0.2.7/notes
    ! These keys are for one program in one place. Never copy them, never restore them from a backup: two programs that count alike, or one that counts again, give their notes away. Make new ones instead.
    ");
    let path = owner.path().join("keys/oscore.conf");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    for word in
        ["master_secret,hex,", "master_salt,hex,", "recipient_id,hex,\"73\"", "aead_alg,integer,10"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    export("lamp", &["--format", "aiocoap", "--dir", "keys"]).expect_refusal(&[2]);
    export("kettle", &["--format", "aiocoap"]).expect_refusal(&[2]);
    export("lamp", &["--format", "aiocoap", "--dir", "more"]).expect_success();
    for file in ["client.json", "context/settings.json", "context/secret.json"] {
        let text = fs::read_to_string(owner.path().join("more").join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    let json = export("lock", &["--format", "libcoap", "--json"]).expect_success();
    assert_documented(&json.out);
    let printed = export("door", &["--format", "libcoap"]).expect_success();
    assert!(printed.out.contains("master_secret,hex,"), "{printed:#?}");
    assert!(printed.err.contains("Never copy them"), "{printed:#?}");
    let devices = owner.suibi(&["devices"]).expect_success();
    assert!(devices.out.contains("foreign"), "{devices:#?}");
}
