//! The notes here, and the server behind them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use suibi_client::{Status, Transport};
use suibi_coap::{Code, Request};

use super::{Area, Finding, reach, say, size};
use crate::cli::Context;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::session::{self, Session};

/// So long the server has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Clocks that differ by less are as good as the same.
const CLOSE: SignedDuration = SignedDuration::from_mins(1);

/// So many repairs are told, the newest.
const REPAIRS: usize = 5;

pub(super) fn look(context: &Context, findings: &mut Vec<Finding>) {
    // Looking makes nothing: where there are no notes yet, there will be none afterwards.
    let Ok(data_dir) = context.settings.data_dir() else { return };
    if !data_dir.exists() {
        return;
    }
    let looked = session::open(&context.settings).and_then(|mut session| {
        let status = session.status(ANSWER_WITHIN)?;
        notes(&mut session, &status, &data_dir, findings)?;
        server(context, &mut session, &status, findings)?;
        Ok(status)
    });
    match looked {
        Ok(status) => {
            for entry in status.repairs.iter().rev().take(REPAIRS) {
                let (when, what) = (clock::minute(entry.at), entry.what.word());
                let of = if entry.detail.is_empty() { &entry.device } else { &entry.detail };
                findings.push(Finding::fine(Area::Repairs, format!("{when} {what}: {of}")));
            }
        }
        Err(failure) => findings.push(Finding::trouble(Area::Notes, &failure)),
    }
}

fn notes(
    session: &mut Session,
    status: &Status,
    data_dir: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let (notes, waiting, size) = (status.notes, status.waiting, size(disk_bytes(data_dir)));
    findings.push(match waiting {
        0 => Finding {
            hint: Some(say::NotesWholeHint.to_string()),
            ..Finding::fine(Area::Notes, say::NotesAre { notes, size })
        },
        waiting => Finding::warning(
            Area::Notes,
            say::NotesWait { notes, size, waiting },
            say::NotesWaitHint,
        ),
    });
    findings.push(match session.unindexed()? {
        0 => Finding::fine(Area::Index, say::IndexIs),
        changes => Finding::fine(Area::Index, say::IndexBehind { changes }),
    });
    Ok(())
}

/// What the files of a directory take, those in its folders not counted.
pub(in crate::cli) fn disk_bytes(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum()
}

fn server(
    context: &Context,
    session: &mut Session,
    status: &Status,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let named = context.settings.server()?.map(|server| server.to_string());
    let joined = session.membership().map(|membership| membership.address.clone());
    let server = named.or(joined).unwrap_or_else(|| say::Here.to_string());
    let found = status.server.filter(|_| !session.is_embedded());
    match &status.head {
        Ok(_) => {
            let time =
                status.rtt.map_or_else(|| "?".to_owned(), super::super::status::milliseconds);
            let way =
                status.transport.map_or_else(String::new, |way| way.to_string().to_uppercase());
            let protection = match session.is_encrypted() {
                true => say::Encrypted.to_string(),
                false => say::NotEncrypted.to_string(),
            };
            let what = say::ServerAnswers { server, time, way, protection };
            findings.push(match session.is_encrypted() {
                true => Finding::fine(Area::Server, what),
                false => Finding::warning(Area::Server, what, say::NotEncryptedHint),
            });
        }
        Err(error) => {
            let why = session::chain(error);
            let last = status.last_contact.map(clock::minute);
            let what = match last {
                Some(last) => say::ServerSilentLast { server, why, last }.to_string(),
                None => say::ServerSilent { server, why }.to_string(),
            };
            let failure = Failure::new(Exit::Network, what).hint(say::ServerSilentHint);
            findings.push(Finding::trouble(Area::Server, &failure));
        }
    }
    let Some(address) = found else { return Ok(()) };
    let by_datagram = (status.transport == Some(Transport::Udp)) || reach::datagrams_pass(address);
    match (by_datagram, reach::streams_pass(address)) {
        (true, true) => findings.push(Finding::fine(Area::Server, say::WaysOpen { address })),
        (false, true) => findings.push(Finding::warning(
            Area::Server,
            say::DatagramsLost { address },
            say::DatagramsLostHint,
        )),
        (true, false) => findings.push(Finding::warning(
            Area::Server,
            say::StreamsLost { address },
            say::StreamsLostHint,
        )),
        // It was said that nobody answers.
        (false, false) => {}
    }
    if status.head.is_ok() && session.rights().read {
        findings.extend(clocks(session));
    }
    Ok(())
}

/// How far the server's clock is from ours; nothing where it does not say, as older ones do not.
fn clocks(session: &mut Session) -> Option<Finding> {
    let request = Request::new(Code::GET).path("/status");
    let (begun, asked) = (Timestamp::now(), Instant::now());
    let response = session.ask(&request, ANSWER_WITHIN).ok()?;
    let half = SignedDuration::try_from(asked.elapsed() / 2).ok()?;
    let status: serde_json::Value = serde_json::from_slice(&response.payload).ok()?;
    let theirs: Timestamp = status["time"].as_str()?.parse().ok()?;
    let ahead = begun.checked_add(half).ok()?.duration_since(theirs);
    if ahead.abs() < CLOSE {
        return Some(Finding::fine(Area::Clock, say::ClockFits));
    }
    let time = clock::stretch(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX));
    let what = match ahead.is_positive() {
        true => say::ClockAhead { time }.to_string(),
        false => say::ClockBehind { time }.to_string(),
    };
    Some(Finding::warning(Area::Clock, what, say::ClockHint))
}
