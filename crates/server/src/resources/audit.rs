//! `/audit`: what became of invites and devices, and who was refused.

use serde_json::json;
use suibi_coap::{Code, Response};
use suibi_journal::{AuditEntry, encode_audit};
use suibi_store::{MAX_AUDIT, Reader};

use super::access::{self, TEXT_JSON_SEQ, listed};
use super::table::{second, table};
use super::{Ask, Link, Resource};
use crate::caller::Need;
use crate::problem::Problem;

/// The newest entries, where the query names no number.
const DEFAULT_LIMIT: usize = 50;

pub(super) struct Audit;

impl Resource for Audit {
    fn link(&self) -> Link {
        Link { title: "Audit trail", formats: TEXT_JSON_SEQ, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Admin
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [limit] = ask.arguments(["limit"])?;
        let format = ask.accepted(TEXT_JSON_SEQ)?;
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => text.parse().map_err(|_| {
                Problem::bad_request(format!("limit=\"{text}\" is no number of entries"))
            })?,
        };
        let entries = if ask.caller.is_of_all {
            reader.audit(limit)?
        } else {
            let mut entries = reader.audit(MAX_AUDIT)?;
            entries.retain(|entry| *entry.journal == *ask.caller.journal_name);
            let older = entries.len().saturating_sub(limit);
            entries.split_off(older)
        };
        Ok(listed(
            format,
            || text(&entries),
            || json!({ "version": 1, "entries": entries.iter().map(value).collect::<Vec<_>>() }),
            || encode_audit(&entries),
        ))
    }
}

pub(super) fn text(entries: &[AuditEntry]) -> String {
    table(entries.iter().map(row))
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let more = [entry.what.reason().unwrap_or_default(), &entry.detail];
    let more: Vec<_> = more.into_iter().filter(|text| !text.is_empty()).collect();
    vec![
        second(entry.at),
        entry.what.word().to_owned(),
        entry.device.clone(),
        entry.journal.clone(),
        entry.address.clone(),
        more.join(", "),
    ]
}

fn value(entry: &AuditEntry) -> serde_json::Value {
    json!({
        "at": access::time(entry.at),
        "what": entry.what.word(),
        "device": entry.device,
        "journal": entry.journal,
        "address": entry.address,
        "detail": entry.detail,
        "reason": entry.what.reason(),
    })
}
