//! The owner's commands: which server they speak to, and where others find it.

use std::net::SocketAddr;
use std::time::Duration;

use suibi_client::{Admin, ClientError, DEFAULT_PORT, Membership, Place, SyncError};
use suibi_coap::Code;
use suibi_journal::admission::{ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest};
use suibi_journal::{AuditEntry, DeviceInfo};
use suibi_server::{Running, running};

use super::Context;
use super::invite::host::{self, Chosen, Host, NoHost};
use crate::failure::{Exit, Failure};
use crate::say::owner as say;
use crate::session;
use crate::settings::{Key, Origin};

/// How long the server may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The server whose owner asks.
pub(super) struct Owner {
    admin: Admin,
    /// What runs on this machine's data.
    running: Option<Running>,
    /// What this machine has joined, where nothing runs on its data.
    membership: Option<Membership>,
}

impl Owner {
    /// The server of this machine, be it that one has to run for it just now, or the one that it has joined.
    pub(super) fn of_any_server(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        let data_dir = settings.journal_dir()?;
        if let Some(found) = settings.find(Key::Server)?
            && found.origin == Origin::Flag
        {
            return Err(Failure::usage(say::ServerFlag).hint(say::ServerFlagHint));
        }
        let running = running(&data_dir)
            .map_err(|error| Failure::new(Exit::Data, say::CannotSee).because(&error))?;
        if running.is_none()
            && let Some(server) = settings.server()?
        {
            return Err(Failure::new(Exit::NotAllowed, say::Unprotected { server })
                .hint(say::UnprotectedHint));
        }
        let admin = Admin::open(&data_dir, &settings.device()?, ANSWER_WITHIN)
            .map_err(|error| failure(&error))?;
        let membership = match admin.place() {
            Place::Joined { data_dir } => Membership::load(data_dir)
                .map_err(|error| Failure::new(Exit::Data, say::Membership).because(&error))?,
            _ => None,
        };
        Ok(Self { admin, running, membership })
    }

    /// The same, where it has to go on running after this command: others come to it later.
    pub(super) fn of_a_server_that_runs(context: &Context) -> Result<Self, Failure> {
        let owner = Self::of_any_server(context)?;
        if owner.running.is_none() && owner.membership.is_none() {
            return Err(
                Failure::new(Exit::Network, say::NobodyCouldCome).hint(say::NobodyCouldComeHint)
            );
        }
        Ok(owner)
    }

    /// Where others find the server: as `--host` says, or as its listeners tell.
    ///
    /// # Errors
    ///
    /// A name that is none, or a server that nobody else can reach.
    pub(super) fn host(&self, named: Option<&str>) -> Result<Host, Failure> {
        let listeners = self.listeners();
        if let Some(named) = named {
            return Host::parse(named, self.port());
        }
        if let Some(membership) = &self.membership {
            let host = Host::parse(&membership.address, DEFAULT_PORT)?;
            return Ok(Host { chosen: Chosen::Joined, ..host });
        }
        let pid = self.running.as_ref().and_then(|running| running.pid);
        let which = pid.map(|id| say::Process { id }.to_string()).unwrap_or_default();
        Host::of_listeners(listeners, host::outward).map_err(|no_host| match no_host {
            NoHost::LoopbackOnly => {
                Failure::new(Exit::Network, say::LoopbackOnly { which }).hint(say::LoopbackOnlyHint)
            }
            NoHost::NoOutward => {
                Failure::new(Exit::Network, say::NoOutward).hint(say::NoOutwardHint)
            }
        })
    }

    /// [`Owner::host`] for a program that may well run on this machine.
    pub(super) fn host_for_a_program(&self, named: Option<&str>) -> Result<Host, Failure> {
        if named.is_none()
            && self.membership.is_none()
            && Host::of_listeners(self.listeners(), host::outward).is_err()
        {
            return Host::parse("127.0.0.1", self.port());
        }
        self.host(named)
    }

    /// Whether no other machine reaches the server by itself.
    pub(super) fn is_on_loopback_only(&self) -> bool {
        self.membership.is_none() && self.listeners().iter().all(|at| at.ip().is_loopback())
    }

    fn listeners(&self) -> &[SocketAddr] {
        self.running.as_ref().map_or(&[], |running| &running.oscore)
    }

    /// The port that goes with a host that names none: of the listener for others, else of any.
    fn port(&self) -> u16 {
        if let Some(membership) = &self.membership {
            return Host::parse(&membership.address, DEFAULT_PORT)
                .map_or(DEFAULT_PORT, |host| host.port);
        }
        let listeners = self.listeners();
        let beyond = listeners.iter().find(|address| !address.ip().is_loopback());
        beyond.or(listeners.first()).map_or(DEFAULT_PORT, |address| address.port())
    }

    pub(super) fn invite(&mut self, invite: &InviteRequest) -> Result<InviteAnswer, Failure> {
        self.admin.invite(invite).map_err(|error| failure(&error))
    }

    pub(super) fn devices(&mut self) -> Result<Vec<DeviceInfo>, Failure> {
        self.admin.devices().map_err(|error| failure(&error))
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) -> Result<(), Failure> {
        self.admin.rename(id, name).map_err(|error| failure(&error))
    }

    pub(super) fn revoke(&mut self, id: &str) -> Result<(), Failure> {
        self.admin.revoke(id).map_err(|error| failure(&error))
    }

    pub(super) fn export(&mut self, foreign: &ForeignRequest) -> Result<ForeignAnswer, Failure> {
        self.admin.export(foreign).map_err(|error| failure(&error))
    }

    /// In the order in which it happened.
    pub(super) fn audit(&mut self, limit: usize) -> Result<Vec<AuditEntry>, Failure> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.admin.audit(limit).map_err(|error| failure(&error))
    }
}

/// What the owner is told when it was not done.
fn failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Sync(SyncError::Refused { code, text }) => {
            let text =
                if text.is_empty() { say::Refuses { code }.to_string() } else { text.clone() };
            match *code {
                Code::FORBIDDEN | Code::UNAUTHORIZED => Failure::new(Exit::NotAllowed, text),
                Code::BAD_REQUEST | Code::CONFLICT | Code::NOT_FOUND => Failure::usage(text),
                code => Failure::new(Exit::Network, format!("{text} ({code})")),
            }
        }
        ClientError::Sync(SyncError::Busy { .. }) => {
            Failure::new(Exit::Network, say::NotNow).because(error).hint(say::NotNowHint)
        }
        error if error.is_offline() => {
            Failure::new(Exit::Network, say::NoAnswer).because(error).hint(say::NoAnswerHint)
        }
        error => session::failure(error),
    }
}
