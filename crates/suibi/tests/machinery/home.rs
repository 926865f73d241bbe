//! A person's home directory, with nothing of the real one shining through.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Finished, run};
use super::{BOUND, Server, texts_of_json};

/// One device: an empty home directory, and where its server is, if that is not itself.
#[derive(Debug)]
pub(crate) struct Home {
    dir: TempDir,
    server: Option<String>,
    data_dir: Option<PathBuf>,
}

impl Home {
    /// A device on which nothing is set up: it will be its own server.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: None, data_dir: None }
    }

    /// A device whose server has an unprotected listener at `address`.
    pub(crate) fn with_server(address: SocketAddr) -> Self {
        Self { server: Some(format!("coap://{address}")), ..Self::new() }
    }

    /// The owner of the server on `data_dir`, at its machine.
    pub(crate) fn of_owner(data_dir: &Path) -> Self {
        Self { data_dir: Some(data_dir.to_owned()), ..Self::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The command `suibi ARGUMENTS…` on this device.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suibi"));
        hermetic(&mut command, self.path()).args(arguments);
        if let Some(server) = &self.server {
            command.env("SUIBI_SERVER", server);
        }
        if let Some(data_dir) = &self.data_dir {
            command.env("SUIBI_DATA_DIR", data_dir);
        }
        command
    }

    /// Runs `suibi ARGUMENTS…` with nothing on standard input.
    #[track_caller]
    pub(crate) fn suibi(&self, arguments: &[&str]) -> Finished {
        self.suibi_within(BOUND, arguments)
    }

    #[track_caller]
    pub(crate) fn suibi_within(&self, bound: Duration, arguments: &[&str]) -> Finished {
        run(&mut self.command(arguments), b"", bound)
    }

    #[track_caller]
    pub(crate) fn suibi_with_input(&self, input: &[u8], arguments: &[&str]) -> Finished {
        run(&mut self.command(arguments), input, BOUND)
    }

    /// The line of an invite to `server`, at whose machine this is, made with these further arguments.
    #[track_caller]
    pub(crate) fn invite(&self, server: &Server, arguments: &[&str]) -> String {
        self.invite_to(server.oscore[0], arguments)
    }

    /// The same to the server here as it is reached from elsewhere.
    #[track_caller]
    pub(crate) fn invite_to(&self, host: SocketAddr, arguments: &[&str]) -> String {
        let host = host.to_string();
        let arguments = [&["invite", "--host", &host], arguments].concat();
        let line = self.suibi(&arguments).expect_success().out;
        assert!(line.starts_with("suibi://") && line.lines().count() == 1, "{line:?}");
        line.trim_end().to_owned()
    }

    /// Joins with a line under this name.
    #[track_caller]
    pub(crate) fn join(&self, line: &str, name: &str) -> Finished {
        self.suibi(&["join", "--name", name, line]).expect_success()
    }

    /// Adds a note and tells whether the server has acknowledged it.
    #[track_caller]
    pub(crate) fn add(&self, text: &str) -> Added {
        Added::of(&self.suibi(&["add", text]).expect_success())
    }

    /// Adds a note and sees that it reaches the server, however busy the machine is.
    #[track_caller]
    pub(crate) fn save(&self, text: &str) {
        if self.add(text) == Added::Kept {
            self.sync().expect_success();
        }
    }

    /// [`Home::log`] after all that the server has was fetched.
    #[track_caller]
    pub(crate) fn log_in_step(&self) -> Vec<String> {
        self.sync().expect_success();
        self.log()
    }

    /// Delivers and fetches until there is nothing more to do.
    #[track_caller]
    pub(crate) fn sync(&self) -> Finished {
        self.suibi_within(super::PATIENCE, &["sync"])
    }

    /// The texts of all notes that this device lists.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self.suibi(&["log", "--json"]);
        // An empty list is exit code 1, as with grep.
        assert!(matches!(log.status.code(), Some(0 | 1)), "{log:#?}");
        texts_of_json(&log.out)
    }
}

/// Lets `command` see `home` as the home directory, and nothing of who runs the test.
pub(crate) fn hermetic<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("TMPDIR", home)
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "1")
        .current_dir(home)
}

/// What a device said when a note was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// The server has it on disk.
    Saved,
    /// It is in the outbox.
    Kept,
}

impl Added {
    #[track_caller]
    pub(crate) fn of(finished: &Finished) -> Self {
        let said = format!("{}{}", finished.out, finished.err);
        match (said.contains("saved"), said.contains("kept here")) {
            (true, false) => Self::Saved,
            (false, true) => Self::Kept,
            _ => panic!("neither saved nor kept: {finished:#?}"),
        }
    }
}
