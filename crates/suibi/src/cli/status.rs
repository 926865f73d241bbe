//! `suibi status`: where the notes are, and whether the server answers.

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use suibi_client::Status;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::style::{DIM, GOOD, WAITING};
use crate::render::wrap::harmless;
use crate::session::{self, Session};

/// So long the server has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What `status` prints with `--json`.
#[derive(Debug, Serialize)]
struct StatusJson {
    version: u32,
    suibi: &'static str,
    device: String,
    server: ServerJson,
    replica: ReplicaJson,
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
        return format!("{WAITING}{named}, not encrypted{WAITING:#}");
    }
    match session.membership() {
        Some(membership) => {
            let journal = harmless(&membership.journal);
            let limits = match membership.rights.read && membership.rights.write {
                true => String::new(),
                false => format!(" This device may {}.", super::may(membership.rights)),
            };
            format!("{DIM}Journal {journal} on {}, encrypted.{limits}{DIM:#}", membership.address)
        }
        None => format!(
            "{DIM}This machine is its own server. For other devices, too: suibi serve{DIM:#}"
        ),
    }
}

/// A line for each thing worth knowing.
pub(crate) fn text(session: &Session, named: Option<&str>, status: &Status) -> String {
    let label = |name: &str| format!("{DIM}{name:<8}{DIM:#}  ");
    let membership = session.membership();
    let found = status.server.map(|address| address.to_string());
    let mut text = label("server");
    match (named, membership, status.is_host) {
        (Some(named), ..) => text.push_str(named),
        (None, Some(membership), _) => {
            text.push_str(&format!("{} ({})", membership.address, harmless(&membership.server)));
        }
        (None, None, is_host) => {
            text.push_str("this machine");
            text.push_str(if is_host { " itself, " } else { ", in another suibi, " });
            text.push_str(found.as_deref().unwrap_or("not found"));
        }
    }
    text.push_str(&match session.is_encrypted() {
        true => ", encrypted\n".to_owned(),
        false => format!(", {WAITING}not encrypted{WAITING:#}\n"),
    });
    text.push_str(&label(""));
    match &status.head {
        Ok(head) => {
            let rtt = status.rtt.map(|rtt| format!(" in {}", milliseconds(rtt)));
            let rtt = rtt.unwrap_or_default();
            text.push_str(&format!("{GOOD}answers{GOOD:#}{rtt}"));
            if session.rights().read {
                text.push_str(&format!(", feed at #{}", head.position));
            }
            text.push('\n');
        }
        Err(error) => {
            text.push_str(&format!("{WAITING}{}{WAITING:#}\n", session::chain(error)));
        }
    }
    if let Some(membership) = membership {
        text.push_str(&format!(
            "{}{}: this device may {}\n",
            label("journal"),
            harmless(&membership.journal),
            super::may(membership.rights)
        ));
    }
    let waiting = match status.waiting {
        0 => "all on the server".to_owned(),
        waiting => format!("{WAITING}{waiting} not yet on the server{WAITING:#}"),
    };
    text.push_str(&format!("{}{}, {waiting}\n", label("notes"), status.notes));
    text.push_str(&format!("{}{}\n", label("device"), harmless(session.device())));
    text.push_str(&format!("{}{}\n", label("replica"), status.replica.display()));
    text
}

fn milliseconds(duration: Duration) -> String {
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
        },
        replica: ReplicaJson {
            path: status.replica.display().to_string(),
            notes: status.notes,
            waiting: status.waiting,
            position: status.cursor.position,
        },
    }
}
