//! `suibi info`: what is here, in a few lines. Nobody on the network is asked.

use std::io::Write as _;

use serde::Serialize;

use super::Context;
use super::doctor::{disk_bytes, size};
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::style::DIM;
use crate::render::wrap::{columns, hanging, harmless};
use crate::say::info as say;
use crate::session;

/// What `info` prints with `--json`.
#[derive(Debug, Serialize)]
struct InfoJson {
    version: u32,
    suibi: &'static str,
    notes: u64,
    days: usize,
    first: Option<String>,
    last: Option<String>,
    waiting: u64,
    bytes: u64,
    devices: Vec<String>,
    /// `null` where this machine is its own.
    server: Option<String>,
    data: String,
    config: String,
}

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    let days = session.days()?;
    let named = context.settings.server()?.map(|server| server.authority());
    let joined = session.membership().map(|membership| membership.address.clone());
    let data_dir = context.settings.data_dir()?;
    let day = |day: Option<&(suibi_journal::Day, u64)>| day.map(|(day, _)| day.to_string());
    let info = InfoJson {
        version: VERSION,
        suibi: env!("CARGO_PKG_VERSION"),
        notes: days.iter().map(|(_, notes)| notes).sum(),
        days: days.len(),
        first: day(days.first()),
        last: day(days.last()),
        waiting: session.waiting()?,
        bytes: disk_bytes(&data_dir),
        devices: session.devices()?,
        server: named.or(joined),
        data: data_dir.display().to_string(),
        config: context.settings.path().display().to_string(),
    };
    session.leave();
    let ui = &mut context.ui;
    match ui.json {
        true => ui.json(&info)?,
        false => {
            let text = text(&info, ui.width());
            ui.out().write_all(text.as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

fn text(info: &InfoJson, width: Option<usize>) -> String {
    let (notes, days, waiting) = (info.notes, info.days, info.waiting);
    let notes = match waiting {
        0 => say::NotesAre { notes, days }.to_string(),
        waiting => say::NotesWait { notes, days, waiting }.to_string(),
    };
    let mut rows = vec![(say::Notes.to_string(), notes)];
    if let (Some(first), Some(last)) = (&info.first, &info.last) {
        rows.push((say::Since.to_string(), format!("{first} – {last}")));
    }
    let server = info.server.clone().unwrap_or_else(|| say::Here.to_string());
    rows.extend([
        (say::Size.to_string(), size(info.bytes)),
        (say::Devices.to_string(), info.devices.join(", ")),
        (say::Server.to_string(), server),
        (say::Data.to_string(), info.data.clone()),
        (say::Settings.to_string(), info.config.clone()),
    ]);
    let widest = rows.iter().map(|(label, _)| columns(label)).max().unwrap_or(0);
    let line = |(label, what): &(String, String)| {
        let padding = " ".repeat(widest - columns(label));
        let what = harmless(what).replace('\n', " ");
        hanging(&format!("{DIM}{label}{DIM:#}{padding}  "), widest + 2, &what, width)
    };
    rows.iter().filter(|(_, what)| !what.is_empty()).map(line).collect()
}
