//! `/days`: how many notes each day has. `/days/{date}`: one day as Markdown.

use std::fmt::Write as _;

use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::{Day, Note, Query, render};
use suibi_store::Reader;

use super::represent::{self, TEXT_JSON_CBOR, counts, unless_known};
use super::{Ask, Link, Resource, ask};
use crate::problem::Problem;

pub(super) struct Days;

impl Resource for Days {
    fn link(&self) -> Link {
        Link { title: "Days with notes", formats: TEXT_JSON_CBOR, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(TEXT_JSON_CBOR)?;
        let etag = represent::feed_etag(ask, reader, format)?;
        unless_known(ask, &etag, || {
            Ok(counts(format, ("days", "day"), &reader.days(ask.caller.journal)?))
        })
    }
}

pub(super) struct OneDay;

impl Resource for OneDay {
    fn link(&self) -> Link {
        Link { title: "One day", formats: &[ContentFormat::TEXT_PLAIN], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(self.link().formats)?;
        let day = ask::day(&ask.segment)?;
        let etag = represent::feed_etag(ask, reader, format)?;
        unless_known(ask, &etag, || {
            let notes = reader.notes(ask.caller.journal, &Query::on(day))?;
            Ok(Response::new(Code::CONTENT).content_format(format).payload(markdown(day, &notes)))
        })
    }
}

/// A heading, and a list item for each note.
fn markdown(day: Day, notes: &[Note]) -> String {
    let mut page = format!("# {day}\n");
    for note in notes {
        let (hour, minute) = note.time.hour_minute();
        let _ = write!(page, "\n- {hour:02}:{minute:02} ");
        for (number, line) in note.text.trim_end().lines().enumerate() {
            if number > 0 {
                page.push('\n');
            }
            if number > 0 && !line.is_empty() {
                page.push_str("  ");
            }
            page.extend(line.chars().map(render::visible));
        }
        page.push('\n');
    }
    page
}
