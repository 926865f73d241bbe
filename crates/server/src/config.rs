//! What a server is told to do, and where it listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::limits::Rate;
use crate::plain::{PlainRules, Reply, Words};

/// The port of CoAP (RFC 7252 §12.6), where an address names none.
pub const COAP_PORT: u16 = 5683;
/// The port of the exercise, where the address of a plain listener names none.
pub const PLAIN_PORT: u16 = 4242;

/// What a server is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the notes are; made if it is not there.
    pub data_dir: PathBuf,
    /// Listeners that speak CoAP under OSCORE and nothing else (RFC 8613): for devices that were invited.
    ///
    /// Where none of them can be reached from this machine over loopback, one more is opened there.
    pub listen: Vec<Listen>,
    /// Listeners that speak CoAP without encryption.
    pub coap: Vec<Listen>,
    /// Listeners that speak the plain dialect.
    pub plain: Vec<PlainListen>,
    /// How many requests an address from beyond loopback may send to an unprotected CoAP listener; what goes beyond is
    /// answered 4.29. Default: 400 at once, 100 a second.
    pub unproven: Rate,
    /// Whether addresses of loopback count as proved at once, so that they may be sent more than three times what came
    /// from them. Not so where a program on this machine forwards datagrams of others. Default: true.
    pub trusts_loopback: bool,
    /// The name of this server among the devices that write notes.
    pub device: String,
    /// Whether it may live no longer than one command of this machine. Default: false.
    pub is_brief: bool,
}

impl Config {
    /// A server that is called "server", without any listener.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: Vec::new(),
            coap: Vec::new(),
            plain: Vec::new(),
            unproven: Rate { burst: 400, every: Duration::from_millis(10) },
            trusts_loopback: true,
            device: "server".to_owned(),
            is_brief: false,
        }
    }
}

/// A CoAP listener, protected or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// In any form that [`suibi_net::resolve`] knows.
    pub address: String,
}

/// A plain listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainListen {
    /// In any form that [`suibi_net::resolve`] knows.
    pub address: String,
    /// What it makes of datagrams.
    pub rules: PlainRules,
    /// Whether it may be reached from other machines.
    pub anyone: bool,
}

/// A listener that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerInfo {
    /// What it speaks.
    pub kind: ListenerKind,
    /// Where it is, as the system tells.
    pub address: SocketAddr,
    /// Who can reach it.
    pub reach: Reach,
    /// Whether it takes CoAP over TCP as well (RFC 8323), at the same number.
    pub tcp: bool,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// CoAP under OSCORE.
    Oscore,
    /// CoAP, unprotected.
    Coap,
    /// The plain dialect.
    Plain,
}

/// Who can reach a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Programs on this machine.
    ThisMachine,
    /// Whoever has a way to this one address.
    OneAddress,
    /// Whoever has a way to any address of this machine.
    EveryInterface,
}

impl Reach {
    /// Who can reach a listener at this address, firewalls aside.
    pub fn of(address: SocketAddr) -> Self {
        match address.ip() {
            ip if ip.is_loopback() => Self::ThisMachine,
            ip if ip.is_unspecified() => Self::EveryInterface,
            _ => Self::OneAddress,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisMachine => "this machine only",
            Self::OneAddress => "everybody who reaches this address",
            Self::EveryInterface => "everybody who reaches any address of this machine",
        })
    }
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oscore => "oscore",
            Self::Coap => "coap",
            Self::Plain => "plain",
        })
    }
}

/// `oscore 0.0.0.0:5683, CoAP over UDP and TCP, encrypted, for invited devices, at every address of this machine`;
/// `coap 127.0.0.1:5683, CoAP over UDP and TCP, unprotected, open to this machine only`.
impl fmt::Display for ListenerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, address, reach, tcp } = self;
        write!(f, "{kind} {address}, ")?;
        match (kind, tcp) {
            (ListenerKind::Plain, _) => {}
            (_, true) => f.write_str("CoAP over UDP and TCP, ")?,
            (_, false) => f.write_str("CoAP over UDP only (its TCP port is taken), ")?,
        }
        if *kind != ListenerKind::Oscore {
            return write!(f, "unprotected, open to {reach}");
        }
        let who = match reach {
            Reach::ThisMachine => "for this machine only",
            Reach::OneAddress => "for invited devices, at this address",
            Reach::EveryInterface => "for invited devices, at every address of this machine",
        };
        write!(f, "encrypted, {who}")
    }
}

/// A word that is none of those that were possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct ChoiceError(&'static str);

impl FromStr for Words {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "course" => Ok(Self::Course),
            "compat" => Ok(Self::Compat),
            _ => Err(ChoiceError("course or compat")),
        }
    }
}

impl FromStr for Reply {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(ChoiceError("auto, always or never")),
        }
    }
}
