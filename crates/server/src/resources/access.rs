//! What the resources of the registry have in common: whose they are, names, ids, the audit trail.

use serde_json::{Value, json};
use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::admission::check_name;
use suibi_journal::{AuditEntry, AuditKind, DecodeError, Rights};
use suibi_store::{AccessChange, AccessDone, AccessRefused, JournalId};

use super::{Ask, Decision};
use crate::caller::Who;
use crate::clock;
use crate::problem::Problem;
use crate::registry::Registry;

/// What lists of the registry offer; text goes without saying.
pub(super) const TEXT_JSON_SEQ: &[ContentFormat] =
    &[ContentFormat::TEXT_PLAIN, ContentFormat::JSON, ContentFormat::CBOR_SEQ];

/// The list in the format that is wanted, one of [`TEXT_JSON_SEQ`].
pub(super) fn listed(
    format: ContentFormat,
    text: impl FnOnce() -> String,
    value: impl FnOnce() -> Value,
    sequence: impl FnOnce() -> Vec<u8>,
) -> Response {
    let payload = match format {
        ContentFormat::JSON => value().to_string().into_bytes(),
        ContentFormat::CBOR_SEQ => sequence(),
        _ => text().into_bytes(),
    };
    Response::new(Code::CONTENT).content_format(format).payload(payload)
}

/// Keep this, then go on; what the store refuses after all is answered.
pub(super) fn keep(
    change: AccessChange,
    trail: AuditEntry,
    then: impl FnOnce(&Registry, &AccessDone) -> Decision + Send + 'static,
) -> Decision {
    Decision::change(change, Some(trail), move |registry, result| match result {
        Ok(done) => then(registry, &done),
        Err(refused) => Decision::Answer(refusal(&refused).into()),
    })
}

/// What was decided holds until it is kept, so this is for a store that knows better.
fn refusal(refused: &AccessRefused) -> Problem {
    let code = match refused {
        AccessRefused::Used { .. }
        | AccessRefused::DeviceName(_)
        | AccessRefused::JournalName(_)
        | AccessRefused::Revoked { .. } => Code::CONFLICT,
        AccessRefused::BadName { .. } | AccessRefused::NoRights => Code::BAD_REQUEST,
        AccessRefused::NoJournal | AccessRefused::NoDevice | AccessRefused::NoInvite => {
            Code::NOT_FOUND
        }
        AccessRefused::KeyId | AccessRefused::BadKey => Code::INTERNAL_SERVER_ERROR,
    };
    Problem::new(code, refused.to_string())
}

/// The payload, read by `decode`, of a POST that is answered in CBOR as well.
pub(super) fn decoded<T>(
    ask: &Ask<'_>,
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, Problem> {
    ask.payload_in(ContentFormat::CBOR)?;
    ask.accepted(&[ContentFormat::CBOR])?;
    decode(&ask.request.payload)
        .map_err(|error| Problem::bad_request(format!("the request cannot be read: {error}")))
}

/// 2.01 with a place, and what is told about it only once.
pub(super) fn created(path: [&str; 2], payload: Vec<u8>) -> Response {
    Response::new(Code::CREATED)
        .location_path(&path)
        .content_format(ContentFormat::CBOR)
        .payload(payload)
}

/// A sentence about something that was done.
pub(super) fn done(code: Code, text: impl Into<String>) -> Response {
    Response::new(code).content_format(ContentFormat::TEXT_PLAIN).payload(text.into())
}

/// Refuses what is no name.
pub(super) fn named(name: &str) -> Result<(), Problem> {
    check_name(name).map_err(|error| Problem::bad_request(error.to_string()))
}

/// Refuses a name that a device of this journal has; one that was revoked has it still, since its notes do.
pub(super) fn unused(registry: &Registry, journal: JournalId, name: &str) -> Result<(), Problem> {
    if !is_taken(registry, journal, name) {
        return Ok(());
    }
    Err(Problem::new(
        Code::CONFLICT,
        format!("a device of this journal is called \"{name}\" already; choose another name"),
    ))
}

/// Whether a device of this journal has the name, be it revoked or not.
pub(super) fn is_taken(registry: &Registry, journal: JournalId, name: &str) -> bool {
    registry.devices().any(|row| row.journal == journal && row.name == name)
}

/// An admin asks for a journal that is not its own; whether there is such a journal is not its business.
pub(super) fn elsewhere(ask: &Ask<'_>, registry: &Registry) -> Problem {
    let own = registry.journal_name(ask.caller.journal);
    Problem::new(
        Code::FORBIDDEN,
        format!(
            "this device manages its own journal, \"{own}\", and no other; ask the owner of the server"
        ),
    )
}

/// Random bytes for secrets.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| no_random())?;
    Ok(bytes)
}

/// Without randomness there are no secrets.
pub(super) fn no_random() -> Problem {
    Problem::new(Code::INTERNAL_SERVER_ERROR, "the system has no random bytes to give")
}

/// A line for the audit trail about something that is asked now.
pub(super) fn audit(
    ask: &Ask<'_>,
    what: AuditKind,
    device: &str,
    journal: &str,
    detail: String,
) -> AuditEntry {
    AuditEntry {
        at: ask.now.millis(),
        what,
        device: device.to_owned(),
        journal: journal.to_owned(),
        address: ask.caller.address.to_string(),
        detail,
    }
}

/// Who did it, for the audit trail.
pub(super) fn by(ask: &Ask<'_>) -> String {
    match &ask.caller.who {
        Who::Device { name, .. } => format!("by {name}"),
        Who::Local => "by the owner".to_owned(),
        Who::Anyone | Who::Invite(_) => String::new(),
    }
}

/// Rights as JSON shows them: a list of their names.
pub(super) fn rights(rights: Rights) -> Value {
    let names = [(rights.read, "read"), (rights.write, "write"), (rights.admin, "admin")];
    names.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect()
}

/// A time as JSON shows it.
pub(super) fn time(millis: i64) -> Value {
    json!(clock::at(millis).to_string())
}

/// A time that may not be, as JSON shows it.
pub(super) fn time_or_null(millis: Option<i64>) -> Value {
    millis.map_or(Value::Null, time)
}

#[cfg(test)]
mod tests;
