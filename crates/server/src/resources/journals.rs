//! `/journals`: the journals of this server.

use serde_json::json;
use suibi_coap::{Code, Response};

use super::represent::{TEXT_JSON_CBOR, in_format};
use super::table::{heading, table};
use super::{Ask, Link, Resource};
use crate::caller::Need;
use crate::problem::Problem;
use crate::registry::Registry;

pub(super) struct Journals;

impl Resource for Journals {
    fn link(&self) -> Link {
        Link { title: "Journals", formats: TEXT_JSON_CBOR, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Admin
    }

    fn is_of_registry(&self) -> bool {
        true
    }

    fn tell(&self, ask: &Ask<'_>, registry: &Registry) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(TEXT_JSON_CBOR)?;
        let devices = |journal| {
            let counts =
                |row: &&suibi_store::DeviceRow| row.journal == journal && row.revoked.is_none();
            registry.devices().filter(counts).count()
        };
        let journals: Vec<_> = registry
            .journals()
            .filter(|(id, _)| ask.caller.manages(*id))
            .map(|(id, name)| (name, devices(id)))
            .collect();
        let text = || {
            let rows = journals
                .iter()
                .map(|(name, devices)| vec![(*name).to_owned(), devices.to_string()]);
            table(std::iter::once(heading(["NAME", "DEVICES"])).chain(rows))
        };
        let value = || {
            let one = |(name, devices): &(&str, usize)| json!({ "name": name, "devices": devices });
            json!({ "version": 1, "journals": journals.iter().map(one).collect::<Vec<_>>() })
        };
        Ok(in_format(format, text, value))
    }
}
