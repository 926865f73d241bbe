//! `/feed`: changes in both directions. `/feed/head`: whether there are new ones.

use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::{Cursor, MAX_DEVICE_BYTES, decode_batch, encode_answers};
use suibi_store::{Outcome, Reader, Write};

use super::{Ask, Link, Resource, Writing};
use crate::caller::Need;
use crate::problem::Problem;

/// A page without `max=`.
const DEFAULT_PAGE_BYTES: usize = 64 << 10;
/// The longest page there is; one change of the longest note is longer still.
const MAX_PAGE_BYTES: usize = 1 << 20;

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

    /// A page after a cursor: in the query, or with FETCH in the payload.
    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [after, max] = ask.arguments(["after", "max"])?;
        let format = ask.accepted(self.link().formats)?;
        let after = match after {
            Some(text) => text.parse().map_err(|error| {
                Problem::bad_request(format!("\"{text}\" is no cursor: {error}"))
            })?,
            None if ask.request.method == Code::FETCH && !ask.request.payload.is_empty() => {
                ask.payload_in(ContentFormat::CBOR)?;
                Cursor::decode(&ask.request.payload)
                    .map_err(|error| Problem::bad_request(format!("no cursor: {error}")))?
            }
            None => Cursor::START,
        };
        let max = match max {
            Some(text) => text.parse().map_err(|_| {
                Problem::bad_request(format!("max=\"{text}\" is no number of bytes"))
            })?,
            None => DEFAULT_PAGE_BYTES,
        };
        match reader.feed(ask.caller.journal, after, max.min(MAX_PAGE_BYTES))? {
            Ok(page) => {
                Ok(Response::new(Code::CONTENT).content_format(format).payload(page.encode()))
            }
            Err(mismatch) => Err(Problem::new(
                Code::CONFLICT,
                format!(
                    "{mismatch}, which ends at {}; compare /heads and start again",
                    mismatch.head
                ),
            )),
        }
    }

    /// A batch of changes from one device, in one commit.
    fn write(&self, ask: &Ask<'_>) -> Result<Writing, Problem> {
        let [device] = ask.arguments(["device"])?;
        ask.payload_in(ContentFormat::CBOR_SEQ)?;
        // A device is who its credential says, whatever it calls itself.
        let device = match ask.caller.device() {
            Some(name) => name.to_owned(),
            None => device.unwrap_or_else(|| ask.caller.source()),
        };
        if device.is_empty()
            || device.len() > MAX_DEVICE_BYTES
            || device.contains(|c: char| c.is_control())
        {
            return Err(Problem::bad_request(format!(
                "a device's name has 1 to {MAX_DEVICE_BYTES} bytes and no control characters"
            )));
        }
        let entries = decode_batch(&ask.request.payload)
            .map_err(|error| Problem::bad_request(format!("no batch of changes: {error}")))?;
        Ok(Writing {
            write: Write::Push { device, entries, only_new: ask.caller.is_drop() },
            already: None,
            answer: Box::new(|outcome, _| match outcome {
                Outcome::Pushed(answers) => Ok(Response::new(Code::CHANGED)
                    .content_format(ContentFormat::CBOR_SEQ)
                    .payload(encode_answers(&answers))),
                Outcome::Note(_) => unreachable!("a push has the outcome of a push"),
            }),
        })
    }
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
