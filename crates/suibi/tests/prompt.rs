//! The prompt in a real terminal, 80 by 24: tmux holds the keyboard and reads the screen.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::process::Command;

use machinery::{Home, Server, Terminal, assert_each_once};

#[test]
fn each_line_is_a_note_and_words_of_the_exercise_are_commands() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let home = Home::with_server(server.address());
    let terminal = Terminal::open(&home, "");
    terminal.expect("No notes yet.");
    terminal.line("我想买牛奶 @shop");
    terminal.expect("@shop · #1 · ");
    terminal.line("second");
    terminal.expect("· #2 · ");
    terminal.line("/nothing to keep");
    terminal.expect("there is no /nothing");
    terminal.line("//etc is full");
    terminal.expect("· #3 · ");
    terminal.line("/search 牛奶");
    terminal.expect("· today");
    terminal.line("?");
    terminal.expect("/search WORDS");
    terminal.line("s");
    terminal.expect("in step with the server");
    terminal.line("q");
    terminal.expect("ended 0");
    assert_each_once(
        &server.notes(),
        &["我想买牛奶 @shop", "second", "/etc is full"].map(String::from),
    );

    // The next one begins with what there is.
    let terminal = Terminal::open(&home, "");
    let screen = terminal.expect("? helps, Ctrl-D leaves.");
    assert!(screen.contains("我想买牛奶 @shop"), "{screen}");
    // From here on the keys are its own; before, this one would end nothing.
    terminal.expect("›");
    terminal.key("C-d");
    terminal.expect("ended 0");
    let hidden = Command::new("grep").arg("-rl").arg("nothing to keep").arg(home.path()).output();
    assert_eq!(
        String::from_utf8(hidden.unwrap().stdout).unwrap(),
        "",
        "the input was written down"
    );
}

#[test]
fn others_appear_above_the_line_that_is_being_typed() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let home = Home::with_server(server.address());
    let terminal = Terminal::open(&home, "");
    terminal.expect("? helps");
    terminal.line("here");
    terminal.expect("#1");
    terminal.typed("half a li");
    let phone = Home::with_server(server.address());
    let mut command = phone.command(&["晚饭吃什么？"]);
    machinery::run(command.env("SUIBI_DEVICE", "手机"), b"", machinery::BOUND).expect_success();
    let screen = terminal.expect("手机  晚饭吃什么？");
    assert!(screen.ends_with("› half a li"), "{screen}");
    terminal.line("ne");
    terminal.expect("#3");
    assert!(server.notes().contains(&"half a line".to_owned()));
}

#[test]
fn ctrl_c_clears_the_line_and_twice_leaves() {
    let home = Home::new();
    let terminal = Terminal::open(&home, "");
    terminal.expect("This machine is its own server.");
    terminal.typed("not this");
    terminal.expect("not this");
    terminal.key("C-c");
    terminal.expect("brings the line back");
    terminal.key("Up");
    terminal.expect("\n› not this");
    terminal.line(" but that");
    terminal.expect("✓ saved");
    terminal.key("C-c");
    terminal.expect("(Ctrl-C again leaves)");
    terminal.key("C-c");
    terminal.expect("ended 130");
    assert_eq!(home.log(), ["not this but that"]);
}

#[test]
fn a_server_that_dies_and_comes_back_costs_no_line() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let address = server.address();
    let home = Home::with_server(address);
    let terminal = Terminal::open(&home, "");
    terminal.expect("? helps");
    terminal.line("before");
    terminal.expect("#1");
    server.kill();
    terminal.line("while nobody answers");
    terminal.expect("kept here, not yet on the server (1 waiting)");
    let server = Server::start_at(data.path(), address);
    terminal.expect("1 waiting note reached the server");
    terminal.line("after");
    terminal.expect("#3");
    terminal.key("C-d");
    terminal.expect("ended 0");
    assert_each_once(
        &server.notes(),
        &["before", "while nobody answers", "after"].map(String::from),
    );
}

/// What `suibi init` is for, in each shell as its documentation says to set it up.
#[test]
fn shells_keep_no_note_in_their_history_and_complete_commands() {
    for (shell, program, startup, lines, history) in [
        (
            "bash",
            "bash --noprofile --rcfile startup -i",
            "startup",
            "PS1='ready> '; HISTFILE=~/history\neval \"$(suibi init bash --alias jot)\"\n",
            "history",
        ),
        (
            "zsh",
            "zsh -i",
            ".zshrc",
            "PS1='ready> '; HISTFILE=~/history; HISTSIZE=99; SAVEHIST=99\nautoload -Uz compinit; compinit -uD\n\
             eval \"$(suibi init zsh --alias jot)\"\n",
            "history",
        ),
        (
            "fish",
            "fish -i",
            "config/fish/config.fish",
            "function fish_prompt; echo 'ready> '; end; set fish_greeting\n\
             suibi init fish --alias jot | source\n",
            "data/fish/fish_history",
        ),
    ] {
        let home = Home::new();
        let programs = home.path().join("programs");
        fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_suibi"), programs.join("suibi")).unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let startup = home.path().join(startup);
        fs::create_dir_all(startup.parent().unwrap()).unwrap();
        fs::write(startup, lines).unwrap();
        let terminal = Terminal::open_program(&home, program, (80, 24), &[("PATH", &path)]);
        terminal.expect("ready>");

        let diary = [
            "suibi diary one",
            "true && suibi diary two",
            "true;suibi diary three",
            "echo diary four | suibi",
            "jot diary five",
            "suibi 'diary six\nand its second line'",
            "suibi search diary ",
        ];
        for (at, line) in diary.iter().enumerate() {
            terminal.line(line);
            // The first character of a line: not where it is typed.
            terminal.line(&format!("echo step{at}"));
            terminal.expect(&format!("\nstep{at}"));
        }
        terminal.typed("suibi completi");
        terminal.key("Tab");
        terminal.expect("suibi completions");
        terminal.typed("ba");
        terminal.key("Tab");
        terminal.expect("suibi completions bash");
        terminal.key("C-u");
        terminal.line("exit");
        terminal.expect("ended 0");

        let kept = fs::read_to_string(home.path().join(history)).unwrap();
        assert!(!kept.contains("diary") && !kept.contains("second line"), "{shell}: {kept}");
        for at in 0..diary.len() {
            assert!(kept.contains(&format!("echo step{at}")), "{shell}: {kept}");
        }
        assert_eq!(home.log().len(), 6, "{shell}");
    }
}
