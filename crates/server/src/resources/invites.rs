//! `/invites`: letting new devices in. `/invites/{id}`: one invite.

use serde_json::json;
use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::admission::{InviteAnswer, InviteRequest};
use suibi_journal::hex::to_hex;
use suibi_journal::{AuditKind, InviteInfo, encode_invites};
use suibi_store::{AccessChange, InviteRow, JournalId};

use super::access::{self, TEXT_JSON_SEQ, listed};
use super::table::{heading, minute, table};
use super::{Ask, Decision, Link, Resource};
use crate::caller::Need;
use crate::problem::Problem;
use crate::registry::Registry;

/// How long an invite lasts that does not say so, in seconds.
const DEFAULT_LASTS: u64 = 15 * 60;
/// The shortest and the longest that one may last, in seconds.
const LASTS: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;
/// The most invites of one journal that are remembered, used ones and ended ones counted.
const MAX_INVITES: usize = 1000;

pub(super) struct Invites;

impl Resource for Invites {
    fn link(&self) -> Link {
        Link { title: "Invites", formats: TEXT_JSON_SEQ, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET, Code::POST]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Admin
    }

    fn is_of_registry(&self) -> bool {
        true
    }

    fn tell(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(TEXT_JSON_SEQ)?;
        let rows = registry.invites().filter(|row| ask.caller.manages(row.journal));
        let invites: Vec<_> = rows.map(|row| registry.invite_info(row)).collect();
        Ok(listed(
            format,
            || text(&invites, ask.now.millis()),
            || json!({ "version": 1, "invites": invites.iter().map(value).collect::<Vec<_>>() }),
            || encode_invites(&invites),
        ))
    }

    fn change(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Decision, Problem> {
        let [] = ask.arguments([])?;
        let request = access::decoded(ask, InviteRequest::decode)?;
        let lasts = request.lasts.unwrap_or(DEFAULT_LASTS);
        if !LASTS.contains(&lasts) {
            let text = format!("an invite lasts 60 to 604800 seconds (7 days), not {lasts}");
            return Err(Problem::bad_request(text));
        }
        if let Some(name) = &request.name {
            access::named(name)?;
        }
        let wanted = Wanted {
            rights: request.rights,
            name: request.name,
            made: ask.now.millis(),
            // At most seven days in milliseconds.
            expires: ask.now.millis() + lasts as i64 * 1000,
            address: ask.caller.address.to_string(),
            by: access::by(ask),
        };
        let Some(name) = request.journal else {
            return wanted.make(registry, ask.caller.journal, false);
        };
        match registry.journal_named(&name) {
            Some(journal) if ask.caller.is_local() || journal == ask.caller.journal => {
                wanted.make(registry, journal, false)
            }
            None if ask.caller.is_local() => {
                access::named(&name)?;
                let trail =
                    access::audit(ask, AuditKind::JournalAdded, "", &name, wanted.by.clone());
                let change = AccessChange::AddJournal { name };
                Ok(access::keep(change, trail, move |registry, done| {
                    let journal = done.journal.expect("a journal that was added has an id");
                    let next = wanted.make(registry, journal, true);
                    next.unwrap_or_else(|problem| Decision::Answer(problem.into()))
                }))
            }
            _ => Err(access::elsewhere(ask, registry)),
        }
    }
}

/// An invite that is to be made.
struct Wanted {
    rights: suibi_journal::Rights,
    name: Option<String>,
    made: i64,
    expires: i64,
    address: String,
    by: String,
}

impl Wanted {
    fn make(
        self,
        registry: &Registry,
        journal: JournalId,
        is_new_journal: bool,
    ) -> Result<Decision, Problem> {
        if registry.invites().filter(|row| row.journal == journal).count() >= MAX_INVITES {
            let text = format!(
                "this journal has {MAX_INVITES} invites, which is as many as there may be; withdraw some, \
                 or wait a day"
            );
            return Err(Problem::new(Code::FORBIDDEN, text));
        }
        let id = registry.free_key_id().map_err(|_| access::no_random())?;
        let secret = access::random::<16>()?;
        let row = InviteRow {
            number: 0,
            key_id: id.as_slice().to_vec(),
            secret: secret.as_slice().into(),
            journal,
            rights: self.rights,
            name: self.name.clone(),
            made: self.made,
            expires: self.expires,
            joiner: None,
        };
        let answer = InviteAnswer {
            id: row.key_id.clone(),
            secret,
            journal: registry.journal_name(journal).to_owned(),
            is_new_journal,
            rights: self.rights,
            name: self.name,
            expires: self.expires,
            time: self.made,
        };
        let place = to_hex(&answer.id);
        let trail = suibi_journal::AuditEntry {
            at: self.made,
            what: AuditKind::Invited,
            device: answer.name.clone().unwrap_or_default(),
            journal: answer.journal.clone(),
            address: self.address,
            detail: format!(
                "invite {place}, {}, until {}, {}",
                self.rights,
                minute(self.expires),
                self.by
            ),
        };
        Ok(access::keep(AccessChange::AddInvite(row), trail, move |_, _| {
            Decision::Answer(access::created(["invites", &place], answer.encode()))
        }))
    }
}

pub(super) fn text(invites: &[InviteInfo], now: i64) -> String {
    if invites.is_empty() {
        return "no invites\n".to_owned();
    }
    let head = heading(["ID", "FOR", "RIGHTS", "JOURNAL", "MADE", "ENDS"]);
    let rows = invites.iter().map(|invite| {
        let state = match invite.used {
            Some(at) => format!("used {}", minute(at)),
            None if invite.expires <= now => "ended".to_owned(),
            None => "open".to_owned(),
        };
        vec![
            invite.id.clone(),
            invite.name.clone().unwrap_or_else(|| "-".to_owned()),
            invite.rights.to_string(),
            invite.journal.clone(),
            minute(invite.made),
            minute(invite.expires),
            state,
        ]
    });
    table(std::iter::once(head).chain(rows))
}

fn value(invite: &InviteInfo) -> serde_json::Value {
    json!({
        "id": invite.id,
        "name": invite.name,
        "rights": access::rights(invite.rights),
        "journal": invite.journal,
        "made": access::time(invite.made),
        "expires": access::time(invite.expires),
        "used": access::time_or_null(invite.used),
    })
}

pub(super) struct OneInvite;

impl Resource for OneInvite {
    fn link(&self) -> Link {
        Link { title: "One invite", formats: &[ContentFormat::TEXT_PLAIN], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::DELETE]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Admin
    }

    fn is_of_registry(&self) -> bool {
        true
    }

    /// To withdraw what is not there is as good as done (RFC 7252 §5.8.4).
    fn change(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Decision, Problem> {
        let [] = ask.arguments([])?;
        let invite =
            registry.invite_by_id(&ask.segment).filter(|row| ask.caller.manages(row.journal));
        let Some(row) = invite else {
            let text = format!("there is no invite {}", ask.segment);
            return Ok(Decision::Answer(access::done(Code::DELETED, text)));
        };
        let journal = registry.journal_name(row.journal);
        let name = row.name.as_deref().unwrap_or_default();
        let detail = format!("invite {}, {}", ask.segment, access::by(ask));
        let trail = access::audit(ask, AuditKind::Withdrawn, name, journal, detail);
        let text = match row.joiner {
            None => format!("invite {} is withdrawn", ask.segment),
            Some(_) => format!(
                "invite {} is forgotten; the device that joined with it stays, see /devices",
                ask.segment
            ),
        };
        Ok(access::keep(AccessChange::DropInvite(row.number), trail, move |_, _| {
            Decision::Answer(access::done(Code::DELETED, text))
        }))
    }
}
