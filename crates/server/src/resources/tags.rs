//! `/tags`: the tags, and how many notes have them.

use suibi_coap::{Code, Response};
use suibi_store::Reader;

use super::represent::{self, TEXT_JSON_CBOR, counts, unless_known};
use super::{Ask, Link, Resource};
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
        let etag = represent::feed_etag(ask, reader, format)?;
        unless_known(ask, &etag, || {
            Ok(counts(format, ("tags", "tag"), &reader.tags(ask.caller.journal)?))
        })
    }
}
