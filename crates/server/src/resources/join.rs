//! `/join`: an invite becomes a device.
//!
//! The invite's key protects the request and its answer; what comes of it is a credential that neither of them
//! holds ([`suibi_oscore::credential`]). Who is refused with 4.03 or 4.09 is written into the trail by the net thread.

use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::AuditKind;
use suibi_journal::admission::{INVITE_ENDED, JoinAnswer, JoinRequest, MAX_NAME_BYTES};
use suibi_journal::hex::to_hex;
use suibi_oscore::{JoinSecret, KeyId, Secret, Transcript, credential};
use suibi_store::{AccessChange, DeviceRow, InviteRow, Joiner, JournalId};
use zeroize::Zeroizing;

use super::table::moment;
use super::{Ask, Decision, Link, Resource, access, devices};
use crate::caller::{Need, Who};
use crate::problem::Problem;
use crate::registry::Registry;

/// So long after its use the same joiner is answered again, in milliseconds.
const ANSWERED_AGAIN: i64 = 24 * 3_600_000;
/// Clocks that differ by less are taken to show the same, in milliseconds.
const SAME_TIME: i64 = 60_000;

pub(super) struct Join;

impl Resource for Join {
    fn link(&self) -> Link {
        Link { title: "Joining", formats: &[ContentFormat::CBOR], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::POST]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Join
    }

    fn is_of_registry(&self) -> bool {
        true
    }

    fn change(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Decision, Problem> {
        let Who::Invite(number) = ask.caller.who else {
            return Err(Problem::new(Code::FORBIDDEN, "joining needs an invite"));
        };
        let [] = ask.arguments([])?;
        let request = access::decoded(ask, JoinRequest::decode)?;
        let invite = registry.invite(number).ok_or_else(|| {
            Problem::new(Code::FORBIDDEN, "this invite was withdrawn; ask for a new one")
        })?;
        let now = ask.now.millis();
        if let Some(joiner) = &invite.joiner {
            let is_same = joiner.public == request.public && now < joiner.at + ANSWERED_AGAIN;
            return match is_same {
                true => again(ask, registry, joiner).map(Decision::Answer),
                false => Err(used(joiner.at)),
            };
        }
        if now >= invite.expires {
            return Err(ended(invite, now, request.time));
        }
        join(ask, registry, invite, &request)
    }
}

/// A device is made of an invite that is still good.
fn join(
    ask: &Ask<'_>,
    registry: &Registry,
    invite: &InviteRow,
    request: &JoinRequest,
) -> Result<Decision, Problem> {
    let wanted = invite.name.as_deref().unwrap_or(&request.name);
    access::named(wanted)?;
    devices::room(registry, invite.journal)?;
    let name = free_name(registry, invite.journal, &ask.about.device, wanted);
    let id = registry.free_key_id().map_err(|_| access::no_random())?;
    let invite_id = KeyId::from_slice(&invite.key_id).expect("the store keeps no other ids");
    // Drawn for this join alone, and wiped when this function ends: what was recorded opens nothing later.
    let mut drawn = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *drawn).map_err(|_| access::no_random())?;
    let own = JoinSecret::from_bytes(*drawn);
    let own_public = own.public();
    let transcript =
        Transcript { invite: invite_id, device: id, joiner: request.public, server: own_public };
    let secret = Secret::from_bytes(&invite.secret).expect("the store keeps no empty secret");
    let Some(secret) = credential(&secret, &own, &request.public, &transcript) else {
        return Err(Problem::bad_request(
            "this public key is no good (RFC 7748, section 6.1); join with a newer program",
        ));
    };
    let row = DeviceRow {
        number: 0,
        key_id: id.as_slice().to_vec(),
        name,
        journal: invite.journal,
        rights: invite.rights,
        secret: secret.as_bytes().into(),
        salt: None,
        reserved: 0,
        joined: ask.now.millis(),
        revoked: None,
    };
    let journal = registry.journal_name(invite.journal);
    let detail = format!("with invite {}, {}", to_hex(&invite.key_id), row.rights);
    let trail = access::audit(ask, AuditKind::Joined, &row.name, journal, detail);
    let change = AccessChange::Join {
        invite: invite.number,
        joiner_public: request.public.to_vec(),
        own_public: own_public.to_vec(),
        device: row,
    };
    let (server, now) = (ask.about.device.clone(), ask.now.millis());
    Ok(access::keep(change, trail, move |registry, done| {
        let joiner = done.joiner.as_ref().expect("an invite that was used has a joiner");
        let answered = answer(registry, joiner, server, now);
        Decision::Answer(answered.unwrap_or_else(Response::from))
    }))
}

/// What the joiner was told before: the answer may have been lost.
fn again(ask: &Ask<'_>, registry: &Registry, joiner: &Joiner) -> Result<Response, Problem> {
    answer(registry, joiner, ask.about.device.clone(), ask.now.millis())
}

fn answer(
    registry: &Registry,
    joiner: &Joiner,
    server: String,
    now: i64,
) -> Result<Response, Problem> {
    let row = registry.device(joiner.device).ok_or_else(|| {
        let text = "the device that joined with this invite is not known here any more; ask for a new invite";
        Problem::new(Code::FORBIDDEN, text)
    })?;
    if let Some(at) = row.revoked {
        let text = format!(
            "the device that joined with this invite was revoked, at {}; ask for a new invite",
            moment(at)
        );
        return Err(Problem::new(Code::FORBIDDEN, text));
    }
    let public = joiner.own_public.as_slice().try_into().expect("a public key has 32 bytes");
    let epoch = registry.epoch(row.number).expect("a device that joined has a context");
    let answer = JoinAnswer {
        public,
        id: row.key_id.clone(),
        epoch,
        name: row.name.clone(),
        journal: registry.journal_name(row.journal).to_owned(),
        rights: row.rights,
        server,
        time: now,
    };
    Ok(access::created(["devices", &to_hex(&row.key_id)], answer.encode()))
}

/// The name that is wanted, or with a number if a device of the journal has it. So has the server itself, which writes
/// the notes that come in without a device.
fn free_name(registry: &Registry, journal: JournalId, server: &str, wanted: &str) -> String {
    let is_free = |name: &str| name != server && !access::is_taken(registry, journal, name);
    if is_free(wanted) {
        return wanted.to_owned();
    }
    let numbered = |number: u32| {
        let number = format!(" {number}");
        let room = wanted.floor_char_boundary(MAX_NAME_BYTES - number.len());
        format!("{}{number}", wanted[..room].trim_end())
    };
    (2..).map(numbered).find(|name| is_free(name)).expect("there are fewer devices than numbers")
}

fn used(at: i64) -> Problem {
    let text = format!("this invite was used already, at {}", moment(at));
    Problem::new(Code::CONFLICT, text)
}

fn ended(invite: &InviteRow, now: i64, theirs: i64) -> Problem {
    let mut text = format!(
        "{INVITE_ENDED} at {} by the server's clock, which now shows {}",
        moment(invite.expires),
        moment(now)
    );
    if theirs.abs_diff(now) > SAME_TIME.unsigned_abs() {
        text.push_str(&format!(" (yours shows {})", moment(theirs)));
    }
    Problem::new(Code::FORBIDDEN, text)
}
