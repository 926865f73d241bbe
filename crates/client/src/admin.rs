//! Owner's commands: invites, devices, the audit trail.

use std::path::Path;
use std::time::{Duration, Instant};

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::admission::{ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest};
use suibi_journal::{
    AuditEntry, DeviceInfo, InviteInfo, decode_audit, decode_devices, decode_invites,
};

use crate::error::{ClientError, SyncError};
use crate::host;
use crate::link::Link;
use crate::membership::Membership;
use crate::place::Place;
use crate::remote::Patience;

/// The way to the server whose owner asks: the one that runs on this data, as its local admin device; else the one that
/// this machine has joined; else the embedded one, in this process.
pub struct Admin {
    link: Link,
    within: Duration,
}

impl Admin {
    /// Finds out which server it is. Sends nothing. Each question then takes at most `within`.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotAdmin`] when this machine has joined a server without the right to administer it.
    pub fn open(data_dir: &Path, device: &str, within: Duration) -> Result<Self, ClientError> {
        let place = if host::is_running(data_dir)? {
            Place::Embedded { data_dir: data_dir.to_owned() }
        } else {
            Place::of(data_dir)?
        };
        let membership = match &place {
            Place::Joined { data_dir } => Membership::load(data_dir)?,
            _ => None,
        };
        membership.as_ref().map_or(Ok(()), Membership::check_admin)?;
        let link = Link::new(place, device.to_owned(), membership, None)?;
        Ok(Self { link, within })
    }

    /// Which server it is.
    pub fn place(&self) -> &Place {
        self.link.place()
    }

    /// Makes an invite.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn invite(&mut self, invite: &InviteRequest) -> Result<InviteAnswer, ClientError> {
        let request = Request::new(Code::POST).path("/invites");
        let answer = self.ask(cbor(request, invite.encode()))?;
        InviteAnswer::decode(&answer.payload).map_err(nonsense)
    }

    /// The invites that the server still knows, used and expired ones among them.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn invites(&mut self) -> Result<Vec<InviteInfo>, ClientError> {
        let answer = self.ask(get("/invites"))?;
        decode_invites(&answer.payload).map_err(nonsense)
    }

    /// Withdraws an invite; `id` as in [`InviteInfo::id`].
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn withdraw(&mut self, id: &str) -> Result<(), ClientError> {
        let request = Request::new(Code::DELETE).path(&format!("/invites/{id}"));
        self.ask(request).map(drop)
    }

    /// The devices that the server knows, revoked ones among them.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn devices(&mut self) -> Result<Vec<DeviceInfo>, ClientError> {
        let answer = self.ask(get("/devices"))?;
        decode_devices(&answer.payload).map_err(nonsense)
    }

    /// Gives a device another name; `id` as in [`DeviceInfo::id`].
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), ClientError> {
        let request = Request::new(Code::PUT).path(&format!("/devices/{id}"));
        let request = request.content_format(ContentFormat::TEXT_PLAIN).payload(name.to_owned());
        self.ask(request).map(drop)
    }

    /// Cuts a device off; `id` as in [`DeviceInfo::id`].
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn revoke(&mut self, id: &str) -> Result<(), ClientError> {
        let request = Request::new(Code::DELETE).path(&format!("/devices/{id}"));
        self.ask(request).map(drop)
    }

    /// Makes a key for a foreign client.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn export(&mut self, foreign: &ForeignRequest) -> Result<ForeignAnswer, ClientError> {
        let request = Request::new(Code::POST).path("/devices");
        let answer = self.ask(cbor(request, foreign.encode()))?;
        ForeignAnswer::decode(&answer.payload).map_err(nonsense)
    }

    /// The end of the audit trail, `limit` entries at most.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn audit(&mut self, limit: u32) -> Result<Vec<AuditEntry>, ClientError> {
        let answer = self.ask(get("/audit").query("limit", &limit.to_string()))?;
        decode_audit(&answer.payload).map_err(nonsense)
    }

    /// Anything else; an answer that says no is an error.
    ///
    /// # Errors
    ///
    /// No answer, or one that says no.
    pub fn ask(&mut self, request: Request) -> Result<Response, ClientError> {
        let deadline = Instant::now() + self.within;
        let patience = Patience { deadline, silence: self.within };
        let response = self.link.call(&request, patience)?;
        if response.code.is_success() { Ok(response) } else { Err(SyncError::of(&response).into()) }
    }
}

fn get(path: &str) -> Request {
    Request::new(Code::GET).path(path).accept(ContentFormat::CBOR_SEQ)
}

fn cbor(request: Request, body: Vec<u8>) -> Request {
    request.content_format(ContentFormat::CBOR).accept(ContentFormat::CBOR).payload(body)
}

fn nonsense(error: suibi_journal::DecodeError) -> ClientError {
    SyncError::Nonsense(error.to_string()).into()
}
