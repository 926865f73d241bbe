//! `/tags`: the tags, and how many notes have them.

use serde_json::json;
use suibi_coap::{Code, Response};
use suibi_store::Reader;

use super::represent::{self, TEXT_JSON_CBOR, in_format, unless_known};
use super::{Ask, JOURNAL, Link, Resource};
use crate::problem::Problem;

pub(super) struct Tags;

impl Resource for Tags {
    fn link(&self) -> Link {
        Link { title: "Tags", formats: TEXT_JSON_CBOR, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(TEXT_JSON_CBOR)?;
        let etag = represent::feed_etag(reader, format)?;
        unless_known(ask, &etag, || {
            let tags = reader.tags(JOURNAL)?;
            let text = || tags.iter().map(|(tag, notes)| format!("{tag} {notes}\n")).collect();
            let value = || {
                let tags: Vec<_> =
                    tags.iter().map(|(tag, notes)| json!({ "tag": tag, "notes": notes })).collect();
                json!({ "version": 1, "tags": tags })
            };
            Ok(in_format(format, text, value))
        })
    }
}
