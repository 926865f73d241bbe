//! `/devices`: who may use the journals, and keys for foreign clients. `/devices/{id}`: one of them.

use serde_json::json;
use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::admission::{ForeignAnswer, ForeignRequest};
use suibi_journal::hex::to_hex;
use suibi_journal::{AuditKind, DeviceInfo, encode_devices};
use suibi_oscore::SERVER_ID;
use suibi_store::{AccessChange, DeviceRow, JournalId};

use super::access::{self, TEXT_JSON_SEQ, listed};
use super::table::{heading, minute, moment, table};
use super::{Ask, Decision, Link, Resource};
use crate::caller::Need;
use crate::problem::Problem;
use crate::registry::{RESERVED_AT_ONCE, Registry};

/// The most devices of one journal, revoked ones counted.
pub(super) const MAX_DEVICES: usize = 10_000;

pub(super) struct Devices;

impl Resource for Devices {
    fn link(&self) -> Link {
        Link { title: "Devices", formats: TEXT_JSON_SEQ, observable: false }
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
        let rows = registry.devices().filter(|row| ask.caller.manages(row.journal));
        let devices: Vec<_> = rows.map(|row| registry.device_info(row)).collect();
        Ok(listed(
            format,
            || text(&devices),
            || json!({ "version": 1, "devices": devices.iter().map(value).collect::<Vec<_>>() }),
            || encode_devices(&devices),
        ))
    }

    /// A fixed context for a foreign client (RFC 8613 Appendix B.1).
    fn change(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Decision, Problem> {
        let [] = ask.arguments([])?;
        let request = access::decoded(ask, ForeignRequest::decode)?;
        access::named(&request.name)?;
        let journal = match &request.journal {
            None => ask.caller.journal,
            Some(name) => match registry.journal_named(name) {
                Some(journal) if ask.caller.is_local() || journal == ask.caller.journal => journal,
                None if ask.caller.is_local() => {
                    let text = format!("there is no journal \"{name}\"; an invite to it makes it");
                    return Err(Problem::new(Code::NOT_FOUND, text));
                }
                _ => return Err(access::elsewhere(ask, registry)),
            },
        };
        access::unused(registry, journal, &request.name)?;
        room(registry, journal)?;
        let id = registry.free_key_id().map_err(|_| access::no_random())?;
        let (secret, salt) = (access::random::<16>()?, access::random::<8>()?);
        let row = DeviceRow {
            number: 0,
            key_id: id.as_slice().to_vec(),
            name: request.name.clone(),
            journal,
            rights: request.rights,
            secret: secret.as_slice().into(),
            salt: Some(salt.to_vec()),
            // The first numbers are there as soon as the device is (RFC 8613 Appendix B.1.1).
            reserved: RESERVED_AT_ONCE,
            joined: ask.now.millis(),
            revoked: None,
        };
        let answer = ForeignAnswer {
            id: row.key_id.clone(),
            server_id: SERVER_ID.as_slice().to_vec(),
            secret,
            salt,
            name: request.name,
            journal: registry.journal_name(journal).to_owned(),
            rights: request.rights,
        };
        let detail = format!("{}, {}", answer.rights, access::by(ask));
        let trail = access::audit(ask, AuditKind::Exported, &row.name, &answer.journal, detail);
        Ok(access::keep(AccessChange::AddDevice(row), trail, move |_, _| {
            let path = ["devices", &to_hex(&answer.id)];
            Decision::Answer(access::created(path, answer.encode()))
        }))
    }
}

/// Refuses a device more where there are as many as there may be.
pub(super) fn room(registry: &Registry, journal: JournalId) -> Result<(), Problem> {
    if registry.devices().filter(|row| row.journal == journal).count() < MAX_DEVICES {
        return Ok(());
    }
    let text = format!("this journal has {MAX_DEVICES} devices, which is as many as there may be");
    Err(Problem::new(Code::FORBIDDEN, text))
}

pub(super) fn text(devices: &[DeviceInfo]) -> String {
    if devices.is_empty() {
        return "no devices yet\n".to_owned();
    }
    let head = heading(["ID", "NAME", "RIGHTS", "JOURNAL", "JOINED", "LAST SEEN"]);
    let rows = devices.iter().map(|device| {
        let state = match device.revoked {
            Some(at) => format!("revoked {}", minute(at)),
            None if device.foreign => "foreign client".to_owned(),
            None => String::new(),
        };
        vec![
            device.id.clone(),
            device.name.clone(),
            device.rights.to_string(),
            device.journal.clone(),
            minute(device.joined),
            device.seen.map_or("-".to_owned(), minute),
            state,
        ]
    });
    table(std::iter::once(head).chain(rows))
}

fn value(device: &DeviceInfo) -> serde_json::Value {
    json!({
        "id": device.id,
        "name": device.name,
        "rights": access::rights(device.rights),
        "journal": device.journal,
        "joined": access::time(device.joined),
        "seen": access::time_or_null(device.seen),
        "revoked": access::time_or_null(device.revoked),
        "foreign": device.foreign,
    })
}

pub(super) struct OneDevice;

impl Resource for OneDevice {
    fn link(&self) -> Link {
        Link { title: "One device", formats: &[ContentFormat::TEXT_PLAIN], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::PUT, Code::DELETE]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Admin
    }

    fn is_of_registry(&self) -> bool {
        true
    }

    fn change(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Decision, Problem> {
        let [] = ask.arguments([])?;
        if registry.is_local_id(&ask.segment) {
            let text = "this is the server's own device, which cannot be renamed or revoked";
            return Err(Problem::new(Code::FORBIDDEN, text));
        }
        let row = registry
            .device_by_id(&ask.segment)
            .filter(|row| ask.caller.manages(row.journal))
            .ok_or_else(|| {
                let text = format!("there is no device {}; /devices lists them", ask.segment);
                Problem::new(Code::NOT_FOUND, text)
            })?;
        if ask.request.method == Code::DELETE {
            Ok(revoke(ask, registry, row))
        } else {
            rename(ask, registry, row)
        }
    }
}

fn rename(ask: &Ask<'_>, registry: &Registry, row: &DeviceRow) -> Result<Decision, Problem> {
    ask.payload_in(ContentFormat::TEXT_PLAIN)?;
    let name = str::from_utf8(&ask.request.payload)
        .map_err(|_| Problem::bad_request("the name is not UTF-8"))?;
    access::named(name)?;
    let text = format!("{} is now called {name}", row.name);
    // As it was asked for: perhaps the answer was lost.
    if name == row.name {
        return Ok(Decision::Answer(access::done(Code::CHANGED, text)));
    }
    if let Some(at) = row.revoked {
        let text = format!("this device was revoked, at {}, and keeps its name", moment(at));
        return Err(Problem::new(Code::CONFLICT, text));
    }
    access::unused(registry, row.journal, name)?;
    let detail = format!("was {}, {}", row.name, access::by(ask));
    let journal = registry.journal_name(row.journal);
    let trail = access::audit(ask, AuditKind::Renamed, name, journal, detail);
    let change = AccessChange::Rename { device: row.number, name: name.to_owned() };
    Ok(access::keep(change, trail, move |_, _| Decision::Answer(access::done(Code::CHANGED, text))))
}

fn revoke(ask: &Ask<'_>, registry: &Registry, row: &DeviceRow) -> Decision {
    if let Some(at) = row.revoked {
        let text = format!("{} was revoked already, at {}", row.name, moment(at));
        return Decision::Answer(access::done(Code::DELETED, text));
    }
    let journal = registry.journal_name(row.journal);
    let trail = access::audit(ask, AuditKind::Revoked, &row.name, journal, access::by(ask));
    let text = format!("{} is revoked; its notes stay", row.name);
    let change = AccessChange::Revoke { device: row.number, at: ask.now.millis() };
    access::keep(change, trail, move |_, _| Decision::Answer(access::done(Code::DELETED, text)))
}
