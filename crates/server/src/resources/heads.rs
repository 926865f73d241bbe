//! `/heads`: the last change of every chain, for sync and `verify`.

use serde_json::json;
use suibi_coap::{Code, ContentFormat, Response};
use suibi_journal::encode_heads;
use suibi_store::Reader;

use super::{Ask, Link, Resource};
use crate::problem::Problem;

pub(super) struct Heads;

impl Resource for Heads {
    fn link(&self) -> Link {
        let formats = &[ContentFormat::CBOR_SEQ, ContentFormat::JSON];
        Link { title: "The last change of each chain", formats, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(self.link().formats)?;
        let heads = reader.heads(ask.caller.journal)?;
        let payload = if format == ContentFormat::JSON {
            let heads: Vec<_> = heads
                .iter()
                .map(|head| {
                    json!({
                        "chain": head.chain.to_string(),
                        "device": head.device,
                        "seq": head.seq,
                        "hash": head.hash.to_string(),
                    })
                })
                .collect();
            json!({ "version": 1, "heads": heads }).to_string().into_bytes()
        } else {
            encode_heads(&heads)
        };
        Ok(Response::new(Code::CONTENT).content_format(format).payload(payload))
    }
}
