//! A real terminal: tmux holds the keyboard and reads the screen.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Home, PATIENCE};

/// A terminal with suibi in it. Its tmux server ends with it.
#[derive(Debug)]
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens one, 80 by 24, that runs `suibi` as `home` would; the exit code appears when it has ended.
    pub(crate) fn open(home: &Home, arguments: &str) -> Self {
        Self::open_with(home, arguments, (80, 24), &[])
    }

    /// The same with a shell that runs this line, in which `suibi` is the command.
    pub(crate) fn open_line(home: &Home, line: &str, environment: &[(&str, &str)]) -> Self {
        let suibi = env!("CARGO_BIN_EXE_suibi");
        let program = format!("sh -c 'suibi() {{ {suibi} \"$@\"; }}; {line}'");
        Self::open_program(home, &program, (80, 24), environment)
    }

    /// The same of another size, columns first, and with further environment variables.
    pub(crate) fn open_with(
        home: &Home,
        arguments: &str,
        size: (u32, u32),
        environment: &[(&str, &str)],
    ) -> Self {
        let program = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_suibi"));
        Self::open_program(home, &program, size, environment)
    }

    /// The same with any program, in the words of a shell.
    pub(crate) fn open_program(
        home: &Home,
        program: &str,
        (columns, rows): (u32, u32),
        environment: &[(&str, &str)],
    ) -> Self {
        let socket = home.path().join("tmux").display().to_string();
        let terminal = Self { socket };
        let variables: String = home
            .command(&[])
            .get_envs()
            .filter(|(name, _)| *name != "NO_COLOR")
            .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
            .chain(environment.iter().copied())
            .map(|(name, value)| format!("{name}='{value}' "))
            .collect();
        let line = format!(
            "trap : INT; cd '{}'; env -i {variables} TERM=\"$TERM\" TZ=Asia/Shanghai SUIBI_DEVICE=laptop {program}; echo \"ended $?\"; sleep 600",
            home.path().display(),
        );
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns.to_string(),
            "-y",
            &rows.to_string(),
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

    pub(crate) fn typed(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    pub(crate) fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn line(&self, text: &str) {
        self.typed(text);
        self.key("Enter");
    }

    /// Everything shown so far, without the empty rest of the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-100"]).trim_end().to_owned()
    }

    /// What is visible now, with colours, row by row.
    pub(crate) fn picture(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until `text` is shown.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(started.elapsed() < PATIENCE, "{text:?} never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}
