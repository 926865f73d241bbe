//! The programs of others that are measured beside ours: where they are, and how their servers start.
//!
//! `scripts/bench` installs them; it asks [`crate::parse`]'s `--needs` which of them a run is about.

use std::fmt;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::server::Server;
use crate::{Failure, Options};

/// Somebody else's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Libcoap,
    CoapRs,
    Aiocoap,
    Redis,
    Jrnl,
    Atuin,
}

/// All of them, by the names that `--without` takes.
const NAMES: [(Peer, &str); 6] = [
    (Peer::Libcoap, "libcoap"),
    (Peer::CoapRs, "coap-rs"),
    (Peer::Aiocoap, "aiocoap"),
    (Peer::Redis, "redis"),
    (Peer::Jrnl, "jrnl"),
    (Peer::Atuin, "atuin"),
];

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(peer, _)| peer == self);
        f.write_str(named.expect("each has a name").1)
    }
}

impl FromStr for Peer {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(peer, _)| *peer).ok_or(())
    }
}

impl Peer {
    /// The program that is run.
    ///
    /// # Errors
    /// When it is not there: nothing is left out unasked.
    pub(crate) fn program(self, options: &Options) -> Result<PathBuf, Failure> {
        let installed = |path: &str| options.peers.join(path);
        let path = match self {
            Self::Libcoap => PathBuf::from("/usr/bin/coap-server-notls"),
            Self::Redis => PathBuf::from("/usr/bin/redis-server"),
            Self::CoapRs => installed("coap-rs/release/coap-rs-server"),
            Self::Aiocoap => installed("bin/python"),
            Self::Jrnl => installed("bin/jrnl"),
            Self::Atuin => installed("bin/atuin"),
        };
        if path.exists() {
            Ok(path)
        } else {
            let path = path.display();
            Err(format!(
                "{self} is not at {path}; scripts/bench installs it, --without {self} leaves it out"
            )
            .into())
        }
    }

    /// Its server, ready, on a port of its own; nothing of it outlives `data`.
    pub(crate) fn serve(self, options: &Options, data: &Path) -> Result<Server, Failure> {
        let mut command = Command::new(self.program(options)?);
        command.current_dir(data);
        match self {
            Self::Libcoap => {
                let port = free_port()?;
                command.args(["-A", "127.0.0.1", "-p", &port.to_string()]);
                Server::answers_pings(&mut command, port)
            }
            Self::Redis => {
                let port = free_port()?;
                // The rewriting of its log is off: it would cost, and a short turn does not need it.
                command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
                command.args(["--auto-aof-rewrite-percentage", "0", "--loglevel", "warning"]);
                Server::accepts(&mut command, port)
            }
            Self::CoapRs => Server::start(&mut command),
            Self::Aiocoap => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/aiocoap_server.py");
                Server::start(command.arg(script))
            }
            Self::Jrnl | Self::Atuin => Err(format!("{self} has no server here").into()),
        }
    }
}

/// A port that nobody has at the moment.
fn free_port() -> Result<u16, Failure> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}
