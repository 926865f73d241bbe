//! `suibi audit`: who joined, who was cut off, who was refused.

use std::io::Write as _;

use clap::Args;
use serde::Serialize;
use suibi_journal::{AuditEntry, AuditKind};

use super::Context;
use super::owner::Owner;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::table::table;
use crate::say::audit as say;

/// `suibi audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only the newest N entries
    #[arg(short = 'n', long = "limit", value_name = "N", default_value = "100", value_parser = super::count)]
    limit: usize,
}

/// What `audit` prints with `--json`.
#[derive(Debug, Serialize)]
struct AuditJson {
    version: u32,
    entries: Vec<EntryJson>,
}

/// One entry.
#[derive(Debug, Serialize)]
pub(super) struct EntryJson {
    time: Option<String>,
    what: &'static str,
    reason: Option<String>,
    device: String,
    journal: String,
    address: String,
    detail: String,
}

impl From<AuditEntry> for EntryJson {
    fn from(entry: AuditEntry) -> Self {
        Self {
            time: clock::at(entry.at).map(|time| time.to_string()),
            what: entry.what.word(),
            reason: entry.what.reason().map(str::to_owned),
            device: entry.device,
            journal: entry.journal,
            address: entry.address,
            detail: entry.detail,
        }
    }
}

pub(super) fn run(args: AuditArgs, context: &mut Context) -> Result<Exit, Failure> {
    let entries = Owner::of_any_server(context)?.audit(args.limit)?;
    let ui = &mut context.ui;
    let is_empty = entries.is_empty();
    if ui.json {
        let entries = entries.into_iter().map(EntryJson::from).collect();
        ui.json(&AuditJson { version: VERSION, entries })?;
    } else if !is_empty {
        ui.out().write_all(text(&entries).as_bytes())?;
    }
    ui.flush()?;
    if is_empty {
        ui.say(say::NothingYet);
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

/// A row for each.
fn text(entries: &[AuditEntry]) -> String {
    let several = entries.windows(2).any(|pair| pair[0].journal != pair[1].journal);
    let rows: Vec<[String; 6]> = entries
        .iter()
        .map(|entry| {
            let detail = match (entry.what.reason(), entry.detail.as_str()) {
                (Some(reason), "") => reason.to_owned(),
                (Some(reason), detail) => format!("{reason}: {detail}"),
                (None, detail) => detail.to_owned(),
            };
            [
                clock::minute(entry.at),
                what_happened(entry),
                entry.device.clone(),
                if several { entry.journal.clone() } else { String::new() },
                entry.address.clone(),
                detail,
            ]
        })
        .collect();
    let heading = [
        say::When.to_string(),
        say::What.to_string(),
        say::Device.to_string(),
        say::Journal.to_string(),
        say::From.to_string(),
        say::More.to_string(),
    ];
    table(heading.each_ref().map(String::as_str), &rows)
}

/// One word or two for it, for people.
pub(super) fn what_happened(entry: &AuditEntry) -> String {
    match entry.what {
        AuditKind::Invited => say::Invited.to_string(),
        AuditKind::Withdrawn => say::Withdrawn.to_string(),
        AuditKind::Joined => say::Joined.to_string(),
        AuditKind::Renamed => say::Renamed.to_string(),
        AuditKind::Revoked => say::Revoked.to_string(),
        AuditKind::Exported => say::Exported.to_string(),
        AuditKind::JournalAdded => say::JournalAdded.to_string(),
        AuditKind::Refused(_) => say::Refused.to_string(),
        AuditKind::Recovered => say::Recovered.to_string(),
        AuditKind::Rescued => say::Rescued.to_string(),
        AuditKind::Rebuilt => say::Rebuilt.to_string(),
        AuditKind::Purged => say::Purged.to_string(),
    }
}
