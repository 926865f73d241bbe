//! The command line without a server: what is a command and what a note, help, settings, exit codes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::path::PathBuf;

use machinery::{BOUND, Finished, Home, run};

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
        "purge",
        "tags",
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
        "init",
        "completions",
        "man",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = home.suibi(&arguments).expect_success();
        assert_eq!(help.err, "");
        let name = if command.is_empty() { "suibi".to_owned() } else { command.replace(' ', "_") };
        insta::assert_snapshot!(format!("help_{name}"), help.out);
        let widest = help.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{command} --help is {widest} columns wide");
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
        (&["show", "me", "the", "way"], "suibi add show me the way"),
        (&["history", "lesson"], "suibi add history lesson"),
        (&["edit", "the", "draft"], "suibi add edit the draft"),
        (&["rm", "this"], "suibi add rm this"),
        (&["restore", "order"], "suibi add restore order"),
        (&["purge", "everything"], "suibi add purge everything"),
        (&["verify", "that", "it", "works"], "suibi add verify that it works"),
        (&["backup", "the", "server"], "suibi add backup the server"),
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
        (&["log", "--since", "2026-02-30"][..], "February 2026 has 28 days"),
        (&["on", "2026-13-01"], "there is no month 13"),
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
