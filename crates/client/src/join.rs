//! Joining a server with the line of an invite.
//!
//! ```text
//!  join.pending         POST /join           GET /status           embedded replica         membership
//!  our private key ─> under the invite's ─> under the new     ─>  its changes into   ─>  from here on this ─> pending
//!  is on the disk      key: a credential     credential            the new replica       machine has joined   is removed
//! ```
//!
//! Each step may be the last one of a process that is killed, or of a network that goes: the same line again takes it up
//! where it was. Until the membership is there the machine is what it was before, and nothing of it was touched.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::Cursor;
use suibi_journal::admission::{INVITE_ENDED, JoinAnswer, JoinRequest, check_name};
use suibi_oscore::{
    ClientContext, InviteLine, JoinSecret, KeyId, Secret, Transcript, credential, invite_key,
};
use suibi_store::{JournalId, SqliteStore, Store as _};
use zeroize::Zeroizing;

use crate::client::open_replica;
use crate::error::{ClientError, SyncError};
use crate::join_error::JoinError;
use crate::link::Epoch;
use crate::membership::Membership;
use crate::pending::Pending;
use crate::place;
use crate::private::PrivateFileError;
use crate::remote::{Remote, RemoteError};
use crate::{carry, host, live, remember};

/// Clocks that differ by less are told nobody about.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// What the first use of the new credential gets at least: it would be a pity to stop there.
const CONFIRM_WITHIN: Duration = Duration::from_secs(3);

/// How long to look for somebody who says no to everything unprotected.
const PROBE_WITHIN: Duration = Duration::from_millis(1500);

/// A join that is done.
#[derive(Debug)]
pub struct Joined {
    /// What is kept from now on.
    pub membership: Membership,
    /// Notes that this machine had before. Where this device may write they go along: they are in the new replica, and
    /// the next sync delivers them. Otherwise they stay where they are.
    pub carried: u64,
    /// What does not go along and stays in its file: notes that this device may not write there, or changes that the
    /// server of another journal, which was left ([`join_again`]), does not have yet.
    pub left_behind: u64,
    /// How far the server's clock is ahead of ours, if that is more than two minutes; negative when it is behind.
    pub clock_off: Option<SignedDuration>,
}

/// Joins the server of an invite's line, as `device`, with all waits for the network together not much longer than
/// `within`.
///
/// The notes that this machine has so far go along; see [`Joined::carried`]. Nothing is removed: the replica and the
/// data of the embedded server stay as they are. A join that was cut short is taken up by the same line again.
///
/// # Errors
///
/// Each wrong way has its own. Until it is done the machine is what it was.
pub fn join(
    data_dir: &Path,
    line: &InviteLine,
    device: &str,
    within: Duration,
) -> Result<Joined, JoinError> {
    Joining::begin(data_dir, line, device, within, false)?.run()
}

/// The same on a machine that has joined before: the new membership replaces the old one. A replica of the same
/// journal is kept; one of another journal is left where it is, with what it had not delivered.
///
/// # Errors
///
/// Those of [`join`], but not [`JoinError::AlreadyJoined`].
pub fn join_again(
    data_dir: &Path,
    line: &InviteLine,
    device: &str,
    within: Duration,
) -> Result<Joined, JoinError> {
    Joining::begin(data_dir, line, device, within, true)?.run()
}

/// A join in progress.
struct Joining<'a> {
    data_dir: &'a Path,
    line: &'a InviteLine,
    device: &'a str,
    deadline: Instant,
    /// The membership that will be replaced.
    old: Option<Membership>,
    pending: Pending,
    /// Keeps other processes from joining on the same data; free again when this is dropped.
    _lock: File,
}

/// What the server gave us.
struct Admitted {
    /// Complete but for the replica.
    membership: Membership,
    epoch: Epoch,
    clock_off: Option<SignedDuration>,
}

impl<'a> Joining<'a> {
    /// Looks whether this may be, and puts our private key on the disk.
    fn begin(
        data_dir: &'a Path,
        line: &'a InviteLine,
        device: &'a str,
        within: Duration,
        replaces: bool,
    ) -> Result<Self, JoinError> {
        check_name(device).map_err(|_| JoinError::Device(device.to_owned()))?;
        let unusable = |source| PrivateFileError::Io { path: data_dir.to_owned(), source };
        suibi_store::create_directory(data_dir).map_err(unusable)?;
        let lock = File::open(data_dir).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JoinError::InProgress),
            Err(TryLockError::Error(source)) => return Err(unusable(source).into()),
        }
        let old = Membership::load(data_dir)?;
        let begun = Pending::load(data_dir)?.filter(|pending| pending.invite == line.id);
        let pending = match (begun, &old) {
            // A membership that is there by now is what this very join led to, or what it is to replace.
            (Some(pending), _) => pending,
            (None, Some(old)) if !replaces => {
                return Err(JoinError::AlreadyJoined(Box::new(old.clone())));
            }
            (None, _) => {
                let mut bytes = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *bytes).map_err(|error| {
                    ClientError::from(RemoteError::Io(io::Error::other(error.to_string())))
                })?;
                let secret = JoinSecret::from_bytes(*bytes);
                let pending = Pending { invite: line.id, secret, replaces: old.is_some() };
                pending.store(data_dir)?;
                pending
            }
        };
        let old = old.filter(|_| pending.replaces);
        let deadline = Instant::now() + within;
        Ok(Self { data_dir, line, device, deadline, old, pending, _lock: lock })
    }

    fn run(self) -> Result<Joined, JoinError> {
        let candidates = self.look_up()?;
        let Admitted { mut membership, epoch, clock_off } = self.ask(&candidates)?;
        let mut remote = self.confirm(&candidates, &membership, epoch)?;
        membership.replica = self.replica(&mut remote, &membership)?;
        drop(remote);

        let (data_dir, device) = (self.data_dir, membership.device.as_str());
        let path = data_dir.join(&membership.replica);
        let mut replica = open_replica(&path, device).map_err(ClientError::from)?;
        remember::keep_epoch(&mut replica, membership.id, epoch).map_err(ClientError::from)?;
        carry::gather(data_dir, device).map_err(JoinError::Carry)?;
        let before = carry::may_go_to(data_dir, device, &membership.replica);
        let mut before = before.map_err(|error| JoinError::Carry(error.into()))?;
        let mut carried = 0;
        // What went along with the membership that is replaced is in that replica already.
        let went_before = self
            .old
            .as_ref()
            .is_some_and(|old| old.replica == membership.replica && old.rights.write);
        if let Some(before) = &mut before {
            if !went_before {
                carried = count(before).map_err(JoinError::Carry)?;
            }
            if membership.rights.write {
                carry::carry(before, &mut replica)
                    .map_err(|error| JoinError::Carry(error.into()))?;
            }
        }
        let mut left_behind = 0;
        if let Some(old) = self.old.as_ref().filter(|old| old.replica != membership.replica) {
            let mut old = open_replica(&data_dir.join(&old.replica), &old.device)
                .map_err(ClientError::from)?;
            left_behind = old.waiting().map_err(ClientError::from)?;
        }

        membership.store(data_dir)?;
        if let Some(before) = &mut before
            && membership.rights.write
        {
            carry::seal(before, &membership.replica).map_err(ClientError::from)?;
        }
        Pending::remove(data_dir)?;
        Ok(Joined { membership, carried, left_behind, clock_off })
    }

    fn look_up(&self) -> Result<Vec<SocketAddr>, JoinError> {
        let address = address(self.line);
        let candidates = place::look_up(&address, self.left()).map_err(|source| {
            let host = self.line.host.clone();
            JoinError::Unresolvable { host, source }
        })?;
        let is_own = host::listens_at(self.data_dir, &candidates).map_err(ClientError::from)?;
        if is_own { Err(JoinError::OwnServer) } else { Ok(candidates) }
    }

    /// Asks to be let in, under the key of the invite. Asked again, the answer is the same.
    fn ask(&self, candidates: &[SocketAddr]) -> Result<Admitted, JoinError> {
        let Self { line, pending, .. } = self;
        let (mut remote, context) = remote(candidates, line.id, invite_key(&line.secret), None)?;
        let (public, name) = (pending.secret.public(), self.device.to_owned());
        let request = JoinRequest { public, name, time: millis() };
        let request = Request::new(Code::POST)
            .path("/join")
            .content_format(ContentFormat::CBOR)
            .accept(ContentFormat::CBOR)
            .payload(request.encode());
        let response = match remote.call(&request, self.left()) {
            Ok(response) => response,
            // Only who knows the invite could tell us the half of an ID Context.
            Err(error) => {
                return Err(self.unanswered(candidates, error, context.epoch().is_some()));
            }
        };
        if !response.code.is_success() {
            return Err(refusal(&response));
        }
        let answer = JoinAnswer::decode(&response.payload)
            .map_err(|error| JoinError::Nonsense(error.to_string()))?;
        let nonsense = |what: &str| JoinError::Nonsense(what.to_owned());
        let id = KeyId::from_slice(&answer.id).ok_or_else(|| nonsense("a key id that is none"))?;
        let (joiner, server) = (public, answer.public);
        let transcript = Transcript { invite: line.id, device: id, joiner, server };
        let secret = credential(&line.secret, &pending.secret, &server, &transcript)
            .ok_or_else(|| nonsense("a public key that adds nothing"))?;
        let membership = Membership {
            address: address(line),
            server: answer.server,
            journal: answer.journal,
            device: answer.name,
            rights: answer.rights,
            id,
            secret,
            replica: String::new(),
        };
        let clock_off = clock_off(answer.time, millis());
        Ok(Admitted { membership, epoch: answer.epoch, clock_off })
    }

    /// Uses the new credential for the first time: whatever the answer says, the server has it.
    fn confirm(
        &self,
        candidates: &[SocketAddr],
        membership: &Membership,
        epoch: Epoch,
    ) -> Result<Remote, JoinError> {
        let Membership { id, secret, rights, .. } = membership;
        let (mut remote, _) = remote(candidates, *id, secret.clone(), Some(epoch))?;
        match remote.call(&live::ask_alive(*rights), self.left().max(CONFIRM_WITHIN)) {
            Ok(_) => Ok(remote),
            Err(RemoteError::Io(error)) => Err(ClientError::from(RemoteError::Io(error)).into()),
            Err(_) => Err(JoinError::NotConfirmed { address: candidates[0] }),
        }
    }

    /// The replica of the journal: the one that is there already, if it is of the same journal.
    ///
    /// A server may have moved: where the name is another one, the feed tells. Only the same feed has our cursor, since
    /// a cursor is a hash over all of it.
    fn replica(&self, remote: &mut Remote, new: &Membership) -> Result<String, JoinError> {
        let named = place::joined_replica(&new.address, &new.journal);
        let Some(old) = &self.old else { return Ok(named) };
        if place::joined_replica(&old.address, &old.journal) == named {
            return Ok(old.replica.clone());
        }
        let path = self.data_dir.join(&old.replica);
        let cursor = open_replica(&path, &old.device)
            .and_then(|mut replica| replica.cursor())
            .map_err(ClientError::from)?;
        if cursor == Cursor::START || !new.rights.read {
            return Ok(named);
        }
        let request = Request::new(Code::GET)
            .path("/feed")
            .query("after", &cursor.to_string())
            .query("max", "1");
        match remote.call(&request, self.left().max(CONFIRM_WITHIN)) {
            Ok(response) if response.code.is_success() => Ok(old.replica.clone()),
            Ok(response) if response.code == Code::CONFLICT => Ok(named),
            Ok(response) => Err(refusal(&response)),
            Err(_) => {
                let address = remote.address().expect("it has just answered");
                Err(JoinError::NotConfirmed { address })
            }
        }
    }

    /// Finds out what silence means, as far as that can be found out.
    fn unanswered(
        &self,
        candidates: &[SocketAddr],
        error: RemoteError,
        knows_invite: bool,
    ) -> JoinError {
        let is_loopback = candidates.iter().all(|address| address.ip().is_loopback());
        let (address, waited) = match error {
            RemoteError::Unreachable(address) if is_loopback => {
                return JoinError::LoopbackElsewhere { address };
            }
            RemoteError::Unreachable(address) => return JoinError::Unreachable { address },
            RemoteError::NoAnswer { address, waited } => (address, waited),
            RemoteError::Failed { address, .. } => (address, Duration::ZERO),
            RemoteError::Io(source) => {
                return JoinError::Offline { address: candidates[0], source };
            }
            error => return ClientError::from(error).into(),
        };
        if knows_invite {
            return JoinError::NoAnswer { address, waited };
        }
        // A server keeps silent to an invite that it does not know, and says without protection that it wants some.
        let probe = Request::new(Code::GET).path("/.well-known/core");
        let probed =
            Remote::to(candidates).and_then(|mut remote| remote.call(&probe, PROBE_WITHIN));
        match probed {
            Ok(_) | Err(RemoteError::Failed { .. }) => JoinError::NotOurs { address },
            Err(_) if is_loopback => JoinError::LoopbackElsewhere { address },
            Err(RemoteError::Unreachable(address)) => JoinError::Unreachable { address },
            Err(_) => JoinError::NoAnswer { address, waited },
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A way to the server under this key.
fn remote(
    candidates: &[SocketAddr],
    id: KeyId,
    secret: Secret,
    epoch: Option<Epoch>,
) -> Result<(Remote, ClientContext), JoinError> {
    let made = || -> Result<_, RemoteError> {
        let mut remote = Remote::new()?;
        let context = ClientContext::new(id, secret, epoch, crate::remote::seed()?);
        remote.protect(&context)?;
        Ok((remote, context))
    };
    let (mut remote, context) = made().map_err(ClientError::from)?;
    // Connecting sends nothing; it fails where the system knows no way.
    match remote.connect(candidates) {
        Ok(()) => Ok((remote, context)),
        Err(RemoteError::Io(source)) => Err(JoinError::Offline { address: candidates[0], source }),
        Err(error) => Err(ClientError::from(error).into()),
    }
}

/// What a server that knows the invite says against it.
fn refusal(response: &Response) -> JoinError {
    let (code, text) = (response.code, response.text().trim().to_owned());
    match code {
        Code::CONFLICT => JoinError::Used { text },
        Code::FORBIDDEN if text.starts_with(INVITE_ENDED) => JoinError::Expired { text },
        _ => match SyncError::of(response) {
            SyncError::Busy { code, text } => JoinError::Busy { code, text },
            _ => JoinError::Refused { code, text },
        },
    }
}

/// How far the server's clock is ahead, if that is worth telling.
fn clock_off(server: i64, ours: i64) -> Option<SignedDuration> {
    let off = SignedDuration::from_millis(server.saturating_sub(ours));
    (off.abs() > CLOCK_TOLERANCE).then_some(off)
}

/// The line's host and port, as everything that takes an address takes it.
fn address(InviteLine { host, port, .. }: &InviteLine) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Notes in a replica, deleted ones not counted.
fn count(store: &mut SqliteStore) -> Result<u64, ClientError> {
    Ok(store.reader()?.count(JournalId::FIRST)?)
}

/// Milliseconds since 1970, by the clock of this machine.
fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_of_when_it_matters() {
        let now = 1_795_000_000_000;
        assert_eq!(clock_off(now, now), None);
        assert_eq!(clock_off(now + 60_000, now), None);
        let year = 365 * 24 * 3_600_000;
        assert_eq!(clock_off(now + year, now), Some(SignedDuration::from_millis(year)));
        assert_eq!(clock_off(now - year, now), Some(SignedDuration::from_millis(-year)));
    }

    #[test]
    fn each_no_of_a_server_has_its_own_name() {
        let no = |code, text: &str| refusal(&Response::diagnostic(code, text));
        assert!(matches!(no(Code::CONFLICT, "used"), JoinError::Used { .. }));
        assert!(matches!(
            no(Code::FORBIDDEN, &format!("{INVITE_ENDED} at")),
            JoinError::Expired { .. }
        ));
        assert!(matches!(no(Code::FORBIDDEN, "withdrawn"), JoinError::Refused { .. }));
        assert!(matches!(no(Code::SERVICE_UNAVAILABLE, "full"), JoinError::Busy { .. }));
        assert!(matches!(no(Code::TOO_MANY_REQUESTS, "slow down"), JoinError::Busy { .. }));
        assert!(matches!(no(Code::NOT_FOUND, ""), JoinError::Refused { .. }));
    }

    #[test]
    fn an_address_of_either_kind_is_one() {
        let line = |host: &str| InviteLine {
            host: host.into(),
            port: 7,
            id: KeyId::default(),
            secret: Secret::from_bytes(&[1; 16]).unwrap(),
        };
        assert_eq!(address(&line("2001:db8::1")), "[2001:db8::1]:7");
        assert_eq!(address(&line("notes.example")), "notes.example:7");
    }
}
