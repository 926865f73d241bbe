//! The prompt in a real terminal, 80 by 24: tmux holds the keyboard and reads the screen.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::process::Command;
use std::time::{Duration, Instant};

use machinery::{Home, Server, assert_each_once};

/// A terminal with a prompt in it. Its tmux server ends with it.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens one that runs `suibi` as `home` would; the exit code appears when it has ended.
    fn open(home: &Home, arguments: &str) -> Self {
        let socket = home.path().join("tmux").display().to_string();
        let terminal = Self { socket };
        let program = home.command(&[]);
        let variables: String = program
            .get_envs()
            .filter(|(name, _)| *name != "NO_COLOR")
            .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
            .map(|(name, value)| format!("{name}='{value}' "))
            .collect();
        let line = format!(
            "cd '{}'; env -i {variables} TERM=\"$TERM\" TZ=Asia/Shanghai SUIBI_DEVICE=laptop '{}' {arguments}; echo \"ended $?\"; sleep 600",
            home.path().display(),
            env!("CARGO_BIN_EXE_suibi"),
        );
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "sh",
            "-c",
            &line,
        ]);
        terminal
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-S", &self.socket])
            .args(arguments)
            .env("LANG", "C.UTF-8")
            .output()
            .expect("tmux is needed; scripts/test installs it");
        assert!(output.status.success(), "tmux {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn typed(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn line(&self, text: &str) {
        self.typed(text);
        self.key("Enter");
    }

    /// Everything shown so far, without the empty rest of the screen.
    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-100"]).trim_end().to_owned()
    }

    /// Waits until `text` is shown.
    #[track_caller]
    fn expect(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(started.elapsed() < machinery::PATIENCE, "{text:?} never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

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
    terminal.expect("unprotected on loopback");
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
