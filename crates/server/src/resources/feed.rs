//! `/feed`: changes in both directions. `/feed/head`: whether there are new ones.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::coding::{self, CodingError};
use suibi_journal::{
    Cursor, FeedPage, MAX_DEVICE_BYTES, Receipt, Refusal, decode_batch, encode_answers,
};
use suibi_store::{CursorMismatch, JournalId, Outcome, Reader, Write};

use super::{Ask, Link, Resource, Writing};
use crate::caller::Need;
use crate::problem::Problem;

/// A page without `max=`.
const DEFAULT_PAGE_BYTES: usize = 64 << 10;
/// The longest page there is; one change of the longest note is longer still.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// The longest batch, and the longest page with a change of the longest note at its end; both before compression.
const MAX_BATCH_BYTES: usize = 2 << 20;

/// What travels compressed.
const CODED: &[ContentFormat] = &[ContentFormat::OCTET_STREAM];

pub(super) struct Feed;

impl Resource for Feed {
    fn link(&self) -> Link {
        Link { title: "Changes", formats: &[ContentFormat::CBOR_SEQ], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET, Code::FETCH, Code::POST]
    }

    fn needs(&self, method: Code) -> Need {
        if method.is_safe() { Need::Read } else { Need::Add }
    }

    /// A page after a cursor, in the query or with FETCH in the payload, or after a position.
    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [after, until, coding, max] = ask.arguments(["after", "until", "coding", "max"])?;
        let coded = is_coded(coding)?;
        let format = ask.accepted(if coded { CODED } else { self.link().formats })?;
        let after = match after {
            Some(text) => After::parse(&text)?,
            None if ask.request.method == Code::FETCH && !ask.request.payload.is_empty() => {
                ask.payload_in(ContentFormat::CBOR)?;
                let cursor = Cursor::decode(&ask.request.payload)
                    .map_err(|error| Problem::bad_request(format!("no cursor: {error}")))?;
                After::Cursor(cursor)
            }
            None => After::Cursor(Cursor::START),
        };
        let until = until
            .map(|text| {
                position(&text)
                    .ok_or_else(|| Problem::bad_request(format!("until=\"{text}\" is no position")))
            })
            .transpose()?;
        let max = match max {
            Some(text) => text.parse().map_err(|_| {
                Problem::bad_request(format!("max=\"{text}\" is no number of bytes"))
            })?,
            None => DEFAULT_PAGE_BYTES,
        };
        let max = max.min(MAX_PAGE_BYTES);
        let run = Run { journal: ask.caller.journal, after, until };
        let payload = if coded { run.coded(reader, max)? } else { run.page(reader, max)?.encode() };
        Ok(Response::new(Code::CONTENT).content_format(format).payload(payload))
    }

    /// A batch of changes from one device, in one commit.
    fn write(&self, ask: &Ask<'_>) -> Result<Writing, Problem> {
        let [device, coding, again] = ask.arguments(["device", "coding", "again"])?;
        let is_again = match again.as_deref() {
            None => false,
            Some("yes") => true,
            Some(_) => return Err(Problem::bad_request("again=yes is the only one that is known")),
        };
        let payload = if is_coded(coding)? {
            ask.payload_in(CODED[0])?;
            let bytes = coding::decompress(&ask.request.payload, MAX_BATCH_BYTES);
            Cow::Owned(bytes.map_err(|error| match error {
                CodingError::TooLong { .. } => {
                    Problem::new(Code::REQUEST_ENTITY_TOO_LARGE, error.to_string())
                }
                CodingError::Damaged => Problem::bad_request(error.to_string()),
            })?)
        } else {
            ask.payload_in(ContentFormat::CBOR_SEQ)?;
            Cow::Borrowed(&*ask.request.payload)
        };
        // A device is who its credential says, whatever it calls itself. What it gives back is another's, perhaps.
        let giver = match ask.caller.device() {
            Some(name) => name.to_owned(),
            None => device.clone().unwrap_or_else(|| ask.caller.source().text()),
        };
        let gives_back = is_again && !ask.caller.is_drop();
        let device = device.filter(|_| gives_back).unwrap_or_else(|| giver.clone());
        if device.is_empty()
            || device.len() > MAX_DEVICE_BYTES
            || device.contains(|c: char| c.is_control())
        {
            return Err(Problem::bad_request(format!(
                "a device's name has 1 to {MAX_DEVICE_BYTES} bytes and no control characters"
            )));
        }
        let entries = decode_batch(&payload)
            .map_err(|error| Problem::bad_request(format!("no batch of changes: {error}")))?;
        let write = Write::Push {
            device,
            entries,
            only_new: ask.caller.is_drop(),
            may_purge: ask.caller.is_allowed(Need::Admin),
        };
        let answer = |outcome, _: &mut dyn Reader| Ok(answered(&pushed(outcome)));
        if !is_again {
            return Ok(Writing { write, source: None, already: None, answer: Box::new(answer) });
        }
        // What gets a position beyond the end of the feed before this commit was not here any more.
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let journal = ask.caller.journal;
        let already: super::Already = Box::new({
            let end = Arc::clone(&end);
            move |reader: &mut dyn Reader| {
                end.store(reader.head(journal)?.position, Ordering::Relaxed);
                Ok(None)
            }
        });
        let recovered = Arc::clone(&ask.about.recovered);
        let address = ask.caller.address;
        let answer = move |outcome, _: &mut dyn Reader| {
            let answers = pushed(outcome);
            let end = end.load(Ordering::Relaxed);
            let new = answers.iter().flatten().filter(|receipt| receipt.position > end).count();
            recovered.handle_changes(journal, &giver, address, new as u64);
            Ok(answered(&answers))
        };
        Ok(Writing { write, source: None, already: Some(already), answer: Box::new(answer) })
    }
}

fn pushed(outcome: Outcome) -> Vec<Result<Receipt, Refusal>> {
    match outcome {
        Outcome::Pushed(answers) => answers,
        Outcome::Note(_) => unreachable!("a push has the outcome of a push"),
    }
}

fn answered(answers: &[Result<Receipt, Refusal>]) -> Response {
    Response::new(Code::CHANGED)
        .content_format(ContentFormat::CBOR_SEQ)
        .payload(encode_answers(answers))
}

/// Whether pages and batches travel compressed.
fn is_coded(coding: Option<String>) -> Result<bool, Problem> {
    match coding.as_deref() {
        None => Ok(false),
        Some("zstd") => Ok(true),
        Some(other) => Err(Problem::bad_request(format!("coding=\"{other}\" is not zstd"))),
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
enum After {
    /// After this cursor, if it is one of this feed.
    Cursor(Cursor),
    /// After this position, whatever was there.
    Position(u64),
}

impl After {
    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(position) = position(text) {
            return Ok(Self::Position(position));
        }
        let cursor = text.parse().map_err(|error| {
            Problem::bad_request(format!("\"{text}\" is no cursor and no position: {error}"))
        })?;
        Ok(Self::Cursor(cursor))
    }
}

/// One spelling each: no sign, no leading zero.
fn position(text: &str) -> Option<u64> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

/// What is asked for of a feed.
#[derive(Debug, Clone, Copy)]
struct Run {
    journal: JournalId,
    after: After,
    until: Option<u64>,
}

impl Run {
    fn page(self, reader: &mut dyn Reader, max: usize) -> Result<FeedPage, Problem> {
        let Self { journal, after, until } = self;
        let after = match after {
            After::Position(position) => position,
            After::Cursor(cursor) => {
                // Where there is an end, the cursor alone is looked at here.
                let max = if until.is_none() { max } else { 0 };
                match reader.feed(journal, cursor, max)? {
                    Err(mismatch) => return Err(conflict(mismatch)),
                    Ok(page) if until.is_none() => return Ok(page),
                    Ok(_) => cursor.position,
                }
            }
        };
        Ok(reader.feed_range(journal, after, until, max)?)
    }

    /// A page that is `max` bytes long once compressed, or somewhat shorter; a single change may be longer.
    fn coded(self, reader: &mut dyn Reader, max: usize) -> Result<Vec<u8>, Problem> {
        // As long as if nothing got shorter: that fits, and tells how much shorter it gets here.
        let mut page = self.page(reader, max)?;
        let mut bytes = page.encode();
        let mut frame = coding::compress(&bytes);
        while frame.len() > max && page.entries.len() > 1 {
            // At least the last one has to go.
            let len: usize = page.entries.iter().map(|(_, entry)| entry.encoded_len()).sum();
            page = self.page(reader, shorten(bytes.len(), max, frame.len()).min(len - 1))?;
            bytes = page.encode();
            frame = coding::compress(&bytes);
        }
        let wanted = shorten(bytes.len(), max, frame.len()).min(MAX_PAGE_BYTES);
        if page.remaining == 0 || wanted <= bytes.len() + bytes.len() / 4 {
            return Ok(frame);
        }
        let rest = wanted - bytes.len();
        let more = reader.feed_range(self.journal, page.next.position, self.until, rest)?;
        page.entries.extend(more.entries);
        let page = FeedPage { entries: page.entries, ..more };
        let bytes = page.encode();
        let longer = coding::compress(&bytes);
        Ok(if longer.len() <= max && bytes.len() <= MAX_BATCH_BYTES { longer } else { frame })
    }
}

/// How long something may be that gets as much shorter as `len` bytes that became `coded_len`, to become `max` at most.
fn shorten(len: usize, max: usize, coded_len: usize) -> usize {
    // A tenth less, as not everything is alike.
    len.saturating_mul(max) / coded_len.max(1) / 10 * 9
}

fn conflict(mismatch: CursorMismatch) -> Problem {
    let text =
        format!("{mismatch}, which ends at {}; compare /heads and start again", mismatch.head);
    Problem::new(Code::CONFLICT, text)
}

pub(super) struct Head;

impl Resource for Head {
    fn link(&self) -> Link {
        let formats = &[ContentFormat::CBOR, ContentFormat::TEXT_PLAIN];
        Link { title: "The newest cursor", formats, observable: true }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(self.link().formats)?;
        let head = reader.head(ask.caller.journal)?;
        let payload = match format {
            ContentFormat::TEXT_PLAIN => head.to_string().into_bytes(),
            _ => head.encode(),
        };
        Ok(Response::new(Code::CONTENT).content_format(format).payload(payload))
    }
}
