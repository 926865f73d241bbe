//! The command line without a server: what is a command and what a note, help, settings, exit codes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

use machinery::{BOUND, Finished, Home, Server, assert_documented, free_port, run, wait_until};

/// Exit code and both streams in one text, with the home written as `~`.
fn told(home: &Home, finished: &Finished) -> String {
    let code = finished.status.code().map_or("by a signal".to_owned(), |code| code.to_string());
    let text = format!("{}--- {code}\n{}", finished.out, finished.err);
    text.replace(&home.path().display().to_string(), "~")
}

fn config_path(home: &Home) -> PathBuf {
    home.path().join("config/suibi/config.toml")
}

/// A home whose configuration file says `text`.
fn configured(text: &str) -> Home {
    let home = Home::new();
    fs::create_dir_all(config_path(&home).parent().unwrap()).unwrap();
    fs::write(config_path(&home), text).unwrap();
    home
}

#[test]
fn help_of_every_command() {
    let home = Home::new();
    for command in [
        "",
        "add",
        "log",
        "today",
        "on",
        "search",
        "show",
        "history",
        "edit",
        "rm",
        "restore",
        "undo",
        "star",
        "unstar",
        "purge",
        "tags",
        "tasks",
        "tick",
        "on-this-day",
        "random",
        "stats",
        "sync",
        "status",
        "verify",
        "backup",
        "backup create",
        "backup check",
        "backup restore",
        "watch",
        "serve",
        "invite",
        "join",
        "devices",
        "devices rename",
        "devices revoke",
        "devices export",
        "audit",
        "demo",
        "config",
        "info",
        "doctor",
        "init",
        "completions",
        "man",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let name = if command.is_empty() { "suibi".to_owned() } else { command.replace(' ', "_") };
        for (lang, file) in [("en", format!("help_{name}")), ("zh", format!("help_zh_{name}"))] {
            let help = run(home.command(&arguments).env("SUIBI_LANG", lang), b"", BOUND);
            let help = help.expect_success();
            assert_eq!(help.err, "");
            match lang {
                "en" => insta::assert_snapshot!(file, help.out),
                _ => assert!(help.out.contains("用法：") && !help.out.contains("Usage:"), "{file}"),
            }
            let widest = help.out.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= 100, "{command} --help is {widest} columns wide in {lang}");
        }
    }
    assert!(home.suibi(&["--version"]).expect_success().out.starts_with("suibi 0."));
}

#[test]
fn a_command_with_words_that_do_not_fit_does_nothing_and_offers_the_note() {
    let home = Home::new();
    for (line, offered) in [
        (&["today", "was", "good"][..], "suibi add today was good"),
        (&["on", "the", "way", "home"], "suibi add on the way home"),
        (&["on", "time"], "suibi add on time"),
        (&["status", "quo"], "suibi add status quo"),
        (&["help", "me"], "suibi add help me"),
        (&["list", "of", "it's"], r"suibi add log of 'it'\''s'"),
        (&["config", "is", "broken"], "suibi add config is broken"),
        (&["undo", "that"], "suibi add undo that"),
        (&["star", "wars", "tonight"], "suibi add star wars tonight"),
        (&["stats", "homework"], "suibi add stats homework"),
        (&["show", "me", "the", "way"], "suibi add show me the way"),
        (&["history", "lesson"], "suibi add history lesson"),
        (&["edit", "the", "draft"], "suibi add edit the draft"),
        (&["rm", "this"], "suibi add rm this"),
        (&["restore", "order"], "suibi add restore order"),
        (&["purge", "everything"], "suibi add purge everything"),
        (&["verify", "that", "it", "works"], "suibi add verify that it works"),
        (&["backup", "the", "server"], "suibi add backup the server"),
        (&["info", "desk", "closed"], "suibi add info desk closed"),
        (&["doctor", "at", "nine"], "suibi add doctor at nine"),
        (&["init", "the", "project"], "suibi add init the project"),
        (&["completions", "are", "nice"], "suibi add completions are nice"),
        (&["man", "of", "the", "year"], "suibi add man of the year"),
        (&["history", "1284", "1285"], "suibi add history 1284 1285"),
    ] {
        let refused = home.suibi(line).expect_refusal(&[2]);
        assert!(refused.err.contains(offered), "{refused:#?}");
        assert!(refused.err.starts_with("error: "), "{refused:#?}");
        assert!(refused.err.contains("\nhint: "), "{refused:#?}");
        assert_eq!(refused.out, "");
    }
    let refused = home.suibi(&["today", "was", "good"]);
    insta::assert_snapshot!(told(&home, &refused), @r#"
    --- 2
    error: `today` is a command, and "was good" does not fit it; nothing was done
    hint: to write it as a note: suibi add today was good
    "#);
    let refused = home.suibi(&["show", "3f9"]);
    insta::assert_snapshot!(told(&home, &refused), @r#"
    --- 2
    error: `show` is a command, and "3f9" does not fit it; nothing was done
    caused by: "3f9" is too short for a note: write all six digits of its receipt, such as `3f9ac1`, or its number, such as `#1284`
    hint: to write it as a note: suibi add show 3f9
    "#);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");
}

#[test]
fn an_option_among_the_words_of_a_note_is_a_slip() {
    let home = Home::new();
    let refused = home.suibi(&["bought", "milk", "--json"]);
    insta::assert_snapshot!(told(&home, &refused), @r"
    --- 2
    error: `--json` stands among the words of the note; nothing was written
    hint: options come first: suibi --json … TEXT; to write it down: suibi -- bought milk --json
    ");
    home.suibi(&["add", "milk", "--data-dir=/tmp"]).expect_refusal(&[2]);
    let edit = home.suibi(&["edit", "1284", "bought", "--quiet"]).expect_refusal(&[2]);
    assert!(edit.err.contains("suibi edit 1284 -- bought --quiet"), "{edit:#?}");
    let cold = home.suibi(&["-5", "degrees", "outside"]).expect_refusal(&[2]);
    assert!(cold.err.contains("suibi -- -5 degrees outside"), "{cold:#?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");
}

#[test]
fn what_cannot_be_a_note_is_refused() {
    let home = Home::new();
    home.suibi(&["add", " "]).expect_refusal(&[2]);
    home.suibi(&["--", ""]).expect_refusal(&[2]);
    home.suibi_with_input(b"\n\n", &["-"]).expect_refusal(&[2]);
    let long = home.suibi_with_input("x".repeat(1 << 21).as_bytes(), &["-"]).expect_refusal(&[2]);
    insta::assert_snapshot!(told(&home, &long), @r"
    --- 2
    error: a note has at most 1048576 bytes (1 MiB), this one has 2097152; nothing was written
    ");
}

#[test]
fn mistakes_end_with_two_and_a_sentence() {
    let home = Home::new();
    for (line, said) in [
        (&["log", "--since", "2026-02-30"][..], "the calendar has no such day: 2026-02-30"),
        (&["on", "2026-13-01"], "the calendar has no such day: 2026-13-01"),
        (&["log", "--no-such-option"], "--no-such-option"),
        (&["log", "-n", "many"], "N is a whole number"),
        (&["log", "-n", "0"], "N is 1 or more"),
        (&["search", "-n", "0", "milk"], "N is 1 or more"),
        (&["watch", "-n", "0"], "N is 1 or more"),
        (&["--server", "coap://nowhere:x", "log"], "no port"),
        (&["--server", "http://example.org", "log"], "coap://HOST:PORT"),
        (&["--server", "coap://192.0.2.1", "log"], "not encrypted"),
        (&["config", "get", "colour"], "there is no setting called `colour`"),
        (&["config", "set", "plain-max", "1000000"], "from 16 to 65507"),
        (&["serve", "--listen", "5683"], "5683"),
        (&["invite", "--rights", "fly"], "read, write and admin"),
        (&["invite", "--expires", "soon"], "90s, 15m, 2h or 7d"),
        (&["devices", "export", "kettle", "--format", "pdf"], "aiocoap"),
        (&["audit", "-n", "0"], "N is 1 or more"),
        (&["--server", "coap://127.0.0.1:9", "devices"], "leave it out"),
        (&["serve", "--plain", "127.0.0.1:0,reply=maybe"], "reply=maybe"),
        (&["search"], "WORDS"),
        (&["search"], "hint: suibi search --help says more"),
    ] {
        let refused = home.suibi(line).expect_refusal(&[2]);
        assert!(refused.err.contains(said), "{line:?}: {refused:#?}");
        assert!(refused.err.starts_with("error: "), "{line:?}: {refused:#?}");
        assert_eq!(refused.out, "", "{line:?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");
}

#[test]
fn flag_goes_before_environment_before_file_before_default() {
    let color = |home: &Home, flags: &[&str], environment: Option<&str>| {
        let mut command = home.command(&[flags, &["config", "get", "data-dir"]].concat());
        command.envs(environment.map(|value| ("SUIBI_DATA_DIR", value)));
        told(home, &run(&mut command, b"", BOUND))
    };
    let bare = Home::new();
    assert_eq!(color(&bare, &[], None), "~/data/suibi\n--- 0\nfrom: default\n");
    let home = configured("data-dir = '/from/file'\n");
    let file = "~/config/suibi/config.toml";
    assert_eq!(color(&home, &[], None), format!("/from/file\n--- 0\nfrom: {file}\n"));
    assert_eq!(color(&home, &[], Some("/from/env")), "/from/env\n--- 0\nfrom: SUIBI_DATA_DIR\n");
    assert_eq!(
        color(&home, &["--data-dir", "/flag"], Some("/from/env")),
        "/flag\n--- 0\nfrom: command line\n"
    );
}

#[test]
fn settings_are_written_and_comments_stay() {
    let home = configured("# mine\ndevice = \"old\" # a name\n\n[later]\nx = 1\n");
    home.suibi(&["config", "set", "device", "书桌"]).expect_success();
    home.suibi(&["config", "set", "plain", "127.0.0.1:4242", ":4243,anyone"]).expect_success();
    home.suibi(&["config", "set", "plain_max", "2048"]).expect_success();
    home.suibi(&["config", "set", "insecure", "yes"]).expect_success();
    insta::assert_snapshot!(fs::read_to_string(config_path(&home)).unwrap(), @r#"
    # mine
    device = "书桌" # a name
    plain = ["127.0.0.1:4242", ":4243,anyone"]
    plain-max = 2048
    insecure = true

    [later]
    x = 1
    "#);
    let unset = home.suibi(&["config", "unset", "plain-max"]).expect_success();
    assert!(!fs::read_to_string(config_path(&home)).unwrap().contains("plain-max"), "{unset:#?}");
    assert_eq!(home.suibi(&["config", "unset", "plain-max"]).status.code(), Some(1));
    assert_eq!(home.suibi(&["config", "get", "server"]).status.code(), Some(1));
    home.suibi(&["config", "set", "server", "http://x"]).expect_refusal(&[2]);
}

#[test]
fn a_server_beyond_this_machine_is_set_with_a_word_about_what_is_missing() {
    let home = Home::new();
    let hinted = |arguments: &[&str]| {
        home.suibi(arguments).expect_success().err.contains("suibi config set insecure true")
    };
    assert!(!hinted(&["config", "set", "server", "coap://127.0.0.1:5683"]));
    assert!(hinted(&["config", "set", "server", "coap://192.0.2.1:5683"]));
    home.suibi(&["config", "set", "insecure", "true"]).expect_success();
    assert!(!hinted(&["config", "set", "server", "coap://192.0.2.1:5683"]));
}

#[test]
fn every_setting_is_listed_with_its_origin() {
    let home = configured("device = \"desk\"\nplain = ['127.0.0.1:4242']\ncolour = 'red'\n");
    let mut command = home.command(&["config", "list"]);
    let listed = run(command.env("SUIBI_PLAIN_MAX", "2000"), b"", BOUND);
    insta::assert_snapshot!(told(&home, &listed), @r"
    insecure = false  # default
    data-dir = ~/data/suibi  # default
    device = desk  # ~/config/suibi/config.toml
    color = auto  # default
    lang = auto  # default
    fold = script width pinyin  # default
    plain = 127.0.0.1:4242  # ~/config/suibi/config.toml
    plain-words = course  # default
    plain-reply = auto  # default
    plain-max = 2000  # SUIBI_PLAIN_MAX
    plain-anyone = false  # default
    --- 0
    `colour` in ~/config/suibi/config.toml is no setting that I know
    config file: ~/config/suibi/config.toml
    ");
    let mut command = home.command(&["config", "list", "--json"]);
    let listed = run(command.env("SUIBI_PLAIN_MAX", "2000"), b"", BOUND);
    insta::assert_snapshot!(listed.out.replace(&home.path().display().to_string(), "~"), @r#"
    {
      "version": 1,
      "settings": [
        {
          "key": "insecure",
          "value": false,
          "origin": "default"
        },
        {
          "key": "data-dir",
          "value": "~/data/suibi",
          "origin": "default"
        },
        {
          "key": "device",
          "value": "desk",
          "origin": "~/config/suibi/config.toml"
        },
        {
          "key": "color",
          "value": "auto",
          "origin": "default"
        },
        {
          "key": "lang",
          "value": "auto",
          "origin": "default"
        },
        {
          "key": "fold",
          "value": [
            "script",
            "width",
            "pinyin"
          ],
          "origin": "default"
        },
        {
          "key": "plain",
          "value": [
            "127.0.0.1:4242"
          ],
          "origin": "~/config/suibi/config.toml"
        },
        {
          "key": "plain-words",
          "value": "course",
          "origin": "default"
        },
        {
          "key": "plain-reply",
          "value": "auto",
          "origin": "default"
        },
        {
          "key": "plain-max",
          "value": 2000,
          "origin": "SUIBI_PLAIN_MAX"
        },
        {
          "key": "plain-anyone",
          "value": false,
          "origin": "default"
        }
      ]
    }
    "#);
}

#[test]
fn a_broken_configuration_is_named_with_its_place() {
    let home = configured("server = coap\n");
    let refused = home.suibi(&["log"]).expect_refusal(&[2]);
    assert!(refused.err.contains("config.toml is not valid TOML"), "{refused:#?}");
    assert!(refused.err.contains("line 1"), "{refused:#?}");
    let home = configured("plain-max = 7\n");
    let refused = home.suibi(&["config", "list"]).expect_refusal(&[2]);
    assert!(refused.err.contains("it comes from:"), "{refused:#?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut command = std::process::Command::new("bash");
    let line = format!("set -o pipefail; '{}' config list | true", env!("CARGO_BIN_EXE_suibi"));
    let finished =
        run(command.arg("-c").arg(line).env_clear().env("HOME", home.path()), b"", BOUND);
    assert!(finished.status.success(), "{finished:#?}");
    assert_eq!(finished.err.lines().filter(|line| line.contains("error")).count(), 0);
}

#[test]
fn a_slip_in_the_name_of_a_setting_is_understood() {
    let home = Home::new();
    let refused = home.suibi(&["config", "set", "colour", "never"]);
    insta::assert_snapshot!(told(&home, &refused), @"
    --- 2
    error: there is no setting called `colour`
    hint: did you mean `color`?
    ");
    let refused = home.suibi(&["config", "set", "color", "red"]).expect_refusal(&[2]);
    assert!(refused.err.contains("auto, always, never"), "{refused:#?}");
    let refused = home.suibi(&["config", "get", "telemetry"]).expect_refusal(&[2]);
    assert!(refused.err.contains("plain-anyone"), "{refused:#?}");
}

#[test]
fn the_configuration_file_is_edited_as_a_whole_and_checked() {
    let home = Home::new();
    let edit = |editor: &str| {
        let mut command = home.command(&["config", "edit"]);
        run(command.env("EDITOR", editor), b"", BOUND)
    };
    // A new file names what there is, and sets nothing.
    edit("true").expect_success();
    let made = fs::read_to_string(config_path(&home)).unwrap();
    assert!(made.lines().all(|line| line.is_empty() || line.starts_with("# ")), "{made}");
    assert!(made.contains("# color = "), "{made}");
    let path = home.suibi(&["config", "path"]).expect_success();
    assert_eq!(path.out.trim_end(), config_path(&home).display().to_string());

    insta::assert_snapshot!(told(&home, &edit("echo color = 7 >>")), @"
    --- 2
    error: `7` is no color: it is one of auto, always, never
    hint: it comes from: ~/config/suibi/config.toml
    ");
    let broken = edit("echo colour = >").expect_refusal(&[2]);
    assert!(broken.err.contains("hint: put it right: suibi config edit"), "{broken:#?}");
    // What cannot be understood can be put right.
    insta::assert_snapshot!(told(&home, &edit("echo 'colour = \"never\"' >")), @"
    --- 2
    error: there is no setting called `colour`
    hint: did you mean `color`?
    ");
    edit("echo 'color = \"never\"' >").expect_success();
    assert_eq!(edit("false").status.code(), Some(1));
}

#[test]
fn what_is_here_in_a_few_lines() {
    let home = Home::new();
    let mut command = home.command(&["secret words @diary"]);
    run(command.env("SUIBI_NOW", "2026-11-23T09:05:00.000+08:00"), b"", BOUND).expect_success();
    let info = home.suibi(&["info"]).expect_success();
    for line in ["on 1 day", "since     2026-11-23 – 2026-11-23\n", "server    this machine\n"] {
        assert!(info.out.contains(line), "{info:#?}");
    }
    let json = home.suibi(&["info", "--json"]).expect_success().out;
    assert_documented(&json);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["notes"], &json["first"]), (&1.into(), &"2026-11-23".into()), "{json}");
    let chinese = home.suibi(&["--lang", "zh", "info"]).expect_success();
    assert!(chinese.out.contains("1 天，共 1 条"), "{chinese:#?}");
}

#[test]
fn the_doctor_finds_what_is_wrong_and_tells_no_secrets() {
    let home = Home::new();
    let healthy = home.suibi(&["doctor"]).expect_success();
    assert_eq!(healthy.err, "nothing is wrong\n", "{healthy:#?}");
    assert!(healthy.out.contains("data      ~/data/suibi is not there yet"), "{healthy:#?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "it left something behind");

    // Joined: both ways are tried, and the clocks compared.
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    home.join(&Home::of_owner(data.path()).invite(&server, &[]), "phone");
    home.save("secret words @diary");
    let mut report = String::new();
    wait_until("the server answers the doctor in time", || {
        report = home.suibi(&["doctor"]).out;
        ["encrypted", "UDP and TCP pass", "less than a minute"].iter().all(|it| report.contains(it))
    });
    assert!(report.lines().all(|line| !line.starts_with(['!', '✗'])), "{report}");
    let membership = fs::read_to_string(home.path().join("data/suibi/membership")).unwrap();
    let secret = membership.lines().find_map(|line| line.strip_prefix("secret")).unwrap();
    let json = home.suibi(&["--json", "doctor"]).out;
    assert_documented(&json);
    for text in [&report, &json] {
        for secret in [secret.trim(), "words", "diary", &home.path().display().to_string()] {
            assert!(!text.contains(secret), "{secret:?} in {text}");
        }
    }

    // What others may read, a setting that is none, a server that is gone.
    fs::create_dir_all(config_path(&home).parent().unwrap()).unwrap();
    fs::write(config_path(&home), "colour = \"never\"\nplain-max = 7\n").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(home.path().join("data/suibi"), open).unwrap();
    server.kill();
    let ill = home.suibi(&["doctor"]);
    assert_eq!(ill.status.code(), Some(1), "{ill:#?}");
    for line in [
        "✗ settings  `7` is no plain-max: it is a whole number from 16 to 65507\n",
        "!           `colour` in ~/config/suibi/config.toml is no setting\n",
        "hint: chmod 700 ~/data/suibi\n",
        "✗ server    127.0.0.1:",
    ] {
        assert!(ill.out.contains(line), "{line:?} is not in {ill:#?}");
    }
    assert!(ill.err.ends_with("something is wrong: see the hints\n"), "{ill:#?}");
}

/// Each line of the table in docs/cli.md has its command here.
#[test]
fn every_documented_exit_code_is_reached() {
    let home = Home::new();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let drop = Home::new();
    drop.join(&Home::of_owner(data.path()).invite(&server, &["--rights", "write"]), "drop");
    fs::write(home.path().join("file"), "in the way").unwrap();
    let nobody = format!("coap://{}", free_port());
    let interrupted = || {
        let mut watch = home.command(&["watch"]);
        let mut watch = watch.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(watch.stderr.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut String::new()).unwrap();
        let id = watch.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        watch.wait().unwrap().code()
    };
    let code = |home: &Home, line: &[&str]| home.suibi(line).status.code();
    let reached = [
        code(&home, &["config", "list"]),
        code(&home, &["log"]),
        code(&home, &["log", "--sorce"]),
        code(&home, &["--server", &nobody, "--require-server", "milk"]),
        code(&drop, &["devices"]),
        code(&home, &["--server", &nobody, "sync"]),
        code(&home, &["--data-dir", "file", "log"]),
        interrupted(),
    ];

    let document = include_str!("../../../docs/cli.md");
    let rows = document.lines().skip_while(|line| *line != "| code | meaning |").skip(2);
    let documented: Vec<Option<i32>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| Some(line.split('|').nth(1).unwrap().trim().parse().unwrap()))
        .collect();
    assert_eq!(reached.as_slice(), documented);
}

/// What scripts may rely on: a version in each document, and each member described in docs/cli.md.
#[test]
fn every_document_has_a_version_and_its_members_are_described() {
    let home = Home::new();
    let file = home.path().join("copy.suibi").display().to_string();
    let added = home.suibi(&["--json", "add", "bought milk @shop"]).expect_success().out;
    let note: serde_json::Value = serde_json::from_str(&added).unwrap();
    assert_documented(&added);
    let id = note["note"]["id"].as_str().unwrap();
    for line in [
        &["edit", id, "bought milk and bread @shop"][..],
        &["log"],
        &["today"],
        &["on", "today"],
        &["search", "milk"],
        &["show", id],
        &["history", id],
        &["rm", id],
        &["restore", id],
        &["tags"],
        &["sync"],
        &["status"],
        &["info"],
        &["doctor"],
        &["verify"],
        &["backup", "create", &file],
        &["backup", "check", &file],
        &["config", "list"],
    ] {
        let mut command = home.command(&[&["--json"], line].concat());
        let told = run(&mut command, b"", BOUND).expect_success();
        let document: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(document["version"], 1, "{line:?}: {told:#?}");
        assert_documented(&told.out);
    }
}
