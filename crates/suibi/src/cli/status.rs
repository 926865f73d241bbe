//! `suibi status`: where the notes are, and whether the server answers.

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use suibi_client::{DeviceSeen, Status};
use suibi_journal::AuditEntry;

use super::Context;
use super::audit::{EntryJson, what_happened};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::style::{DIM, GOOD, WAITING};
use crate::render::wrap::{columns, harmless, padded};
use crate::say::{common, status as say};
use crate::session::{self, Session};
use crate::story::minute;

/// So long the server has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Columns of what stands before each line.
const LABEL: usize = 8;

/// Of longer lists, the newest.
const MOST_OTHERS: usize = 8;
const MOST_REPAIRS: usize = 5;

/// What `status` prints with `--json`.
#[derive(Debug, Serialize)]
struct StatusJson {
    version: u32,
    suibi: &'static str,
    device: String,
    server: ServerJson,
    replica: ReplicaJson,
    devices: Vec<DeviceJson>,
    repairs: Vec<EntryJson>,
}

/// How far a device was seen.
#[derive(Debug, Serialize)]
struct DeviceJson {
    name: String,
    chains: u64,
    changes: u64,
    last: Option<String>,
}

/// The server's side.
#[derive(Debug, Serialize)]
struct ServerJson {
    embedded: bool,
    encrypted: bool,
    joined: Option<JoinedJson>,
    address: Option<String>,
    answers: bool,
    trouble: Option<String>,
    position: Option<u64>,
    round_trip_ms: Option<f64>,
    transport: Option<String>,
    last_contact: Option<String>,
}

/// What this machine has joined.
#[derive(Debug, Serialize)]
struct JoinedJson {
    server: String,
    journal: String,
    rights: Vec<&'static str>,
}

/// This device's side.
#[derive(Debug, Serialize)]
struct ReplicaJson {
    path: String,
    notes: u64,
    waiting: u64,
    position: u64,
}

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    let named = context.settings.server()?.map(|server| server.to_string());
    let status = session.status(ANSWER_WITHIN)?;
    if context.ui.json {
        context.ui.json(&json(&session, named, &status))?;
    } else {
        let text = text(&session, named.as_deref(), &status);
        context.ui.out().write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Where the notes go, in one dim line, for a greeting.
pub(crate) fn place(session: &Session, named: Option<&str>) -> String {
    if let Some(named) = named {
        return format!("{WAITING}{}{WAITING:#}", say::NamedNotEncrypted { named });
    }
    match session.membership() {
        Some(membership) => {
            let journal = harmless(&membership.journal);
            let address = &membership.address;
            let place = match membership.rights.read && membership.rights.write {
                true => say::Greeting { journal, address }.to_string(),
                false => {
                    let may = super::may(membership.rights);
                    say::GreetingLimits { journal, address, may }.to_string()
                }
            };
            format!("{DIM}{place}{DIM:#}")
        }
        None => format!("{DIM}{}{DIM:#}", say::GreetingOwn),
    }
}

/// A line for each thing worth knowing.
pub(crate) fn text(session: &Session, named: Option<&str>, status: &Status) -> String {
    let label = |name: String| format!("{DIM}{}{DIM:#}  ", padded(&name, LABEL));
    let none = || label(String::new());
    let membership = session.membership();
    let found = status.server.map(|address| address.to_string());
    let mut text = label(say::Server.to_string());
    match (named, membership, status.is_host) {
        (Some(named), ..) => text.push_str(named),
        (None, Some(membership), _) => {
            text.push_str(&format!("{} ({})", membership.address, harmless(&membership.server)));
        }
        (None, None, is_host) => {
            let address = found.unwrap_or_else(|| say::NotFound.to_string());
            text.push_str(&match is_host {
                true => say::ThisMachineItself { address }.to_string(),
                false => say::ThisMachineOther { address }.to_string(),
            });
        }
    }
    text.push_str(&match session.is_encrypted() {
        true => format!("{}\n", say::Encrypted),
        false => format!("{}{WAITING}{}{WAITING:#}\n", common::Comma, say::NotEncrypted),
    });
    text.push_str(&none());
    match &status.head {
        Ok(head) => {
            let rtt = status.rtt.map(|rtt| say::Within { time: milliseconds(rtt) }.to_string());
            let rtt = rtt.unwrap_or_default();
            text.push_str(&format!("{GOOD}{}{GOOD:#}{rtt}", say::Answers));
            if let Some(transport) = status.transport {
                let transport = transport.to_string().to_uppercase();
                text.push_str(&say::Over { transport }.to_string());
            }
            if session.rights().read {
                text.push_str(&say::Feed { position: head.position }.to_string());
            }
            text.push('\n');
        }
        Err(error) => {
            text.push_str(&format!("{WAITING}{}{WAITING:#}\n", session::chain(error)));
            text.push_str(&format!("{}{}\n", none(), last_contact(status)));
        }
    }
    if let Some(membership) = membership {
        let journal = harmless(&membership.journal);
        let may = say::ThisDeviceMay { journal, may: super::may(membership.rights) };
        text.push_str(&format!("{}{may}\n", label(say::Journal.to_string())));
    }
    let notes = status.notes;
    let kept = match status.waiting {
        0 => say::AllOnServer { notes }.to_string(),
        waiting => {
            let waiting = say::NotYet { notes: waiting };
            format!("{} {WAITING}{waiting}{WAITING:#}", say::Count { notes })
        }
    };
    text.push_str(&format!("{}{kept}\n", label(say::Notes.to_string())));
    text.push_str(&format!(
        "{}{}{}\n",
        label(say::Device.to_string()),
        harmless(session.device()),
        read_up_to(status)
    ));
    for (at, row) in others(status, session.device()).iter().enumerate() {
        text.push_str(&format!(
            "{}{row}\n",
            if at == 0 { label(say::Others.to_string()) } else { none() }
        ));
    }
    for (at, repair) in status.repairs.iter().rev().take(MOST_REPAIRS).enumerate() {
        text.push_str(&format!(
            "{}{}\n",
            if at == 0 { label(say::Repaired.to_string()) } else { none() },
            repaired(repair)
        ));
    }
    text.push_str(&format!("{}{}\n", label(say::Replica.to_string()), status.replica.display()));
    text
}

/// How far the feed was read, where the server says that there is more.
fn read_up_to(status: &Status) -> String {
    match &status.head {
        Ok(head) if head.position == status.cursor.position => String::new(),
        Ok(_) if status.cursor.position == 0 => {
            format!("{WAITING}{}{WAITING:#}", say::ReadNothing)
        }
        Ok(_) => {
            let position = status.cursor.position;
            format!("{WAITING}{}{WAITING:#}", say::ReadUpTo { position })
        }
        Err(_) if status.cursor.position == 0 => String::new(),
        Err(_) => say::HasReadUpTo { position: status.cursor.position }.to_string(),
    }
}

/// When the server answered last.
fn last_contact(status: &Status) -> String {
    let Some(at) = status.last_contact else { return say::NeverAnswered.to_string() };
    let ago = clock::now().map_or(0, |now| now.millis().saturating_sub(at));
    match ago {
        ..60_000 => say::AnsweredJustNow.to_string(),
        ago => {
            let (ago, when) = (clock::stretch(ago), clock::minute(at));
            say::AnsweredAgo { ago, when }.to_string()
        }
    }
}

/// How far each other device was seen: columns, the one that wrote last first.
fn others(status: &Status, own: &str) -> Vec<String> {
    let mut others: Vec<_> = status.devices.iter().filter(|device| device.name != own).collect();
    others.sort_by_key(|device| std::cmp::Reverse(device.last));
    let hidden = others.len().saturating_sub(MOST_OTHERS);
    others.truncate(MOST_OTHERS);
    let name = |device: &DeviceSeen| harmless(&device.name).replace('\n', " ");
    let width = others.iter().map(|device| columns(&name(device))).max().unwrap_or(0);
    let digits = others.iter().map(|device| device.changes.to_string().len()).max().unwrap_or(0);
    let row = |device: &&DeviceSeen| {
        let name = name(device);
        let padding = " ".repeat(width - columns(&name));
        let count = device.changes;
        let changes = say::Changes { count };
        let last = device.last.map(|time| say::LastNote { when: minute(time) }.to_string());
        format!("{name}{padding}  {count:>digits$} {changes}{}", last.unwrap_or_default())
    };
    let mut rows: Vec<String> = others.iter().map(row).collect();
    if hidden > 0 {
        rows.push(format!("{DIM}{}{DIM:#}", say::More { count: hidden }));
    }
    rows
}

/// `2026-11-23 09:05 rescued: 3 changes …`.
fn repaired(entry: &AuditEntry) -> String {
    let detail = if entry.detail.is_empty() { &entry.device } else { &entry.detail };
    let detail = harmless(detail).replace('\n', " ");
    {
        let what = format!("{} {}", clock::minute(entry.at), what_happened(entry));
        common::Because { what, why: detail }.to_string()
    }
}

pub(super) fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

fn json(session: &Session, named: Option<String>, status: &Status) -> StatusJson {
    let found = status.server.map(|address| format!("coap://{address}"));
    let membership = session.membership();
    let joined = membership.map(|membership| format!("coap://{}", membership.address));
    StatusJson {
        version: VERSION,
        suibi: env!("CARGO_PKG_VERSION"),
        device: session.device().to_owned(),
        server: ServerJson {
            embedded: session.is_embedded(),
            encrypted: session.is_encrypted(),
            joined: membership.map(|membership| JoinedJson {
                server: membership.server.clone(),
                journal: membership.journal.clone(),
                rights: rights_json(membership.rights),
            }),
            address: named.or(joined).or(found),
            answers: status.head.is_ok(),
            trouble: status.head.as_ref().err().map(|error| session::chain(error)),
            position: status.head.as_ref().ok().map(|head| head.position),
            round_trip_ms: status.rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
            transport: status.transport.map(|transport| transport.to_string()),
            last_contact: status.last_contact.and_then(clock::at).map(|time| time.to_string()),
        },
        replica: ReplicaJson {
            path: status.replica.display().to_string(),
            notes: status.notes,
            waiting: status.waiting,
            position: status.cursor.position,
        },
        devices: status
            .devices
            .iter()
            .map(|device| DeviceJson {
                name: device.name.clone(),
                chains: device.chains,
                changes: device.changes,
                last: device.last.map(|time| time.to_string()),
            })
            .collect(),
        repairs: status.repairs.iter().cloned().map(EntryJson::from).collect(),
    }
}
