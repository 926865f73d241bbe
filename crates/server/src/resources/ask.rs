//! A request as the handlers see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use suibi_coap::{Code, ContentFormat, Request};
use suibi_journal::{Day, NoteTime};

use crate::caller::Caller;
use crate::clock::Clock;
use crate::problem::Problem;
use crate::recovered::Recovered;

/// The server, for those who ask about it.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) device: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) started: Instant,
    pub(crate) clock: Clock,
    pub(crate) recovered: Arc<Recovered>,
}

impl About {
    /// A server that starts now.
    pub(crate) fn new(now: Instant, device: String, data_dir: PathBuf, clock: Clock) -> Self {
        Self { device, data_dir, started: now, clock, recovered: Arc::default() }
    }
}

/// A request, and what is known beside it.
pub(crate) struct Ask<'a> {
    pub(crate) request: &'a Request,
    /// The path's open segment, empty where it has none.
    pub(crate) segment: String,
    pub(crate) caller: &'a Caller,
    pub(crate) about: &'a About,
    pub(crate) now: NoteTime,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        request: &'a Request,
        segment: String,
        caller: &'a Caller,
        about: &'a About,
    ) -> Self {
        Self { request, segment, caller, about, now: about.clock.now() }
    }

    /// The query's arguments: each of `known` at most once, and no others. In the order of `known`.
    pub(super) fn arguments<const N: usize>(
        &self,
        known: [&str; N],
    ) -> Result<[Option<String>; N], Problem> {
        let mut values = [const { None }; N];
        for (name, value) in self.request.queries() {
            let Some(at) = known.iter().position(|&known| known == name) else {
                let known = match N {
                    0 => "none is known here".to_owned(),
                    _ => format!("known here: {}", known.join(", ")),
                };
                return Err(Problem::bad_request(format!(
                    "unknown query argument \"{name}\"; {known}"
                )));
            };
            if values[at].replace(value).is_some() {
                return Err(Problem::bad_request(format!("the query has \"{name}\" twice")));
            }
        }
        Ok(values)
    }

    /// The one of `offered` that is wanted; the first goes without saying.
    pub(super) fn accepted(&self, offered: &[ContentFormat]) -> Result<ContentFormat, Problem> {
        match self.request.accept_format() {
            None => Ok(offered[0]),
            Some(wanted) if offered.contains(&wanted) => Ok(wanted),
            Some(wanted) => Err(Problem::new(
                Code::NOT_ACCEPTABLE,
                format!("format {} is not offered; there is {}", wanted.0, names(offered)),
            )),
        }
    }

    /// Refuses a payload that says to be in another format; one that says nothing is taken for the right one.
    pub(super) fn payload_in(&self, format: ContentFormat) -> Result<(), Problem> {
        match self.request.format() {
            Some(other) if other != format => Err(Problem::new(
                Code::UNSUPPORTED_CONTENT_FORMAT,
                format!("format {} is not taken; send {}", other.0, names(&[format])),
            )),
            _ => Ok(()),
        }
    }
}

/// A day from a path or a query.
pub(super) fn day(text: &str) -> Result<Day, Problem> {
    text.parse().map_err(|error| Problem::bad_request(format!("\"{text}\" is no day: {error}")))
}

/// Formats as RFC 7252 §12.3 numbers them, with their names.
fn names(formats: &[ContentFormat]) -> String {
    let name = |format: &ContentFormat| match *format {
        ContentFormat::TEXT_PLAIN => "0 (text/plain)".to_owned(),
        ContentFormat::LINK_FORMAT => "40 (application/link-format)".to_owned(),
        ContentFormat::OCTET_STREAM => "42 (application/octet-stream)".to_owned(),
        ContentFormat::JSON => "50 (application/json)".to_owned(),
        ContentFormat::CBOR => "60 (application/cbor)".to_owned(),
        ContentFormat::CBOR_SEQ => "63 (application/cbor-seq)".to_owned(),
        other => other.0.to_string(),
    };
    formats.iter().map(name).collect::<Vec<_>>().join(", ")
}
