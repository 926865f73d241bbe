//! `suibi serve` as a child process that can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use suibi_client::{Admin, ClientError};
use suibi_journal::Rights;
use suibi_journal::admission::InviteRequest;
use suibi_oscore::{InviteLine, KeyId, Secret};

use crate::failure::{Exit, Failure};
use crate::say::demo as say;

/// So long it may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// So long it may take for an invite.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A server that is ready. It is killed when this is dropped.
pub(super) struct ServerProcess {
    child: Child,
    data_dir: PathBuf,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts this program as a server on `data_dir`, on a loopback port that the system picks.
    ///
    /// # Errors
    ///
    /// When it does not become ready; with its own words.
    pub(super) fn start(data_dir: &Path) -> Result<Self, Failure> {
        let failure = |said: &str| Failure::new(Exit::Network, say::NoStart { said });
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        // What the person has configured for themselves is none of the demo's business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SUIBI_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["serve", "--color", "never", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .env("SUIBI_DEVICE", "server")
            // Its first lines are read here.
            .env("SUIBI_LANG", "en")
            .env("SUIBI_CONFIG", data_dir.join("no-config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let (sender, said) = mpsc::channel();
        // It ends with the child.
        thread::spawn(move || lines.map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let data_dir = data_dir.to_owned();
        let mut server = Self { child, data_dir, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let mut last = String::new();
        while let Ok(line) = said.recv_timeout(READY_WITHIN) {
            if line == "ready" && server.address.port() != 0 {
                // Later lines have a reader that never hangs up, so that the server never stumbles over them.
                thread::spawn(move || said.into_iter().count());
                return Ok(server);
            }
            let words = line.strip_prefix("oscore ").unwrap_or_default().split([' ', ',']);
            if let Some(address) = words.filter_map(|word| word.parse().ok()).next() {
                server.address = address;
            }
            last = line;
        }
        Err(failure(&last))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An invite for one device, as its owner makes it; `through` is where the device finds the server.
    ///
    /// # Errors
    ///
    /// When the server does not make one.
    pub(super) fn invite(&self, through: SocketAddr) -> Result<InviteLine, Failure> {
        let failure =
            |error: &ClientError| Failure::new(Exit::Network, say::NoInvite).because(error);
        let mut admin =
            Admin::open(&self.data_dir, "demo", ANSWER_WITHIN).map_err(|error| failure(&error))?;
        let rights = Rights::READ_WRITE;
        let wanted = InviteRequest { journal: None, rights, lasts: None, name: None };
        let answer = admin.invite(&wanted).map_err(|error| failure(&error))?;
        Ok(InviteLine {
            host: through.ip().to_string(),
            port: through.port(),
            id: KeyId::from_slice(&answer.id).expect("an answer's id has been checked"),
            secret: Secret::from_bytes(&answer.secret).expect("16 bytes are a secret"),
        })
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// As a power cut would: without a chance to finish anything.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
