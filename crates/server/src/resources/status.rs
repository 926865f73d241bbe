//! `/status`: how the server is.

use serde_json::json;
use suibi_coap::{Code, ContentFormat, Response};
use suibi_store::Reader;

use super::represent::in_format;
use super::{Ask, Link, Resource};
use crate::files;
use crate::problem::Problem;

pub(super) struct Status;

/// JSON goes without saying here.
const FORMATS: &[ContentFormat] =
    &[ContentFormat::JSON, ContentFormat::TEXT_PLAIN, ContentFormat::CBOR];

/// The versions of the formats in `docs/formats.md` that this server speaks.
const PROTOCOLS: &[u32] = &[1];

impl Resource for Status {
    fn link(&self) -> Link {
        Link { title: "How the server is", formats: FORMATS, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(FORMATS)?;
        let head = reader.head(ask.caller.journal)?;
        let notes = reader.count(ask.caller.journal)?;
        let disk = files::disk_bytes(&ask.about.data_dir);
        let recovered = ask.about.recovered.changes(ask.caller.journal);
        let uptime = ask.about.started.elapsed().as_secs();
        let version = env!("CARGO_PKG_VERSION");
        let device = &ask.about.device;
        let text = || {
            format!(
                "suibi {version} on {device}\nprotocol 1\nnotes {notes}\nposition {}\n\
                 disk {disk} bytes\nup {uptime} s\n{}",
                head.position,
                match recovered {
                    0 => String::new(),
                    _ => format!("recovered {recovered}\n"),
                }
            )
        };
        let value = || {
            json!({
                "version": version,
                "protocols": PROTOCOLS,
                "device": device,
                "notes": notes,
                "position": head.position,
                "running": head.running.to_string(),
                "disk_bytes": disk,
                "time": ask.now.to_string(),
                "uptime_seconds": uptime,
                "recovered": recovered,
            })
        };
        Ok(in_format(format, text, value))
    }
}
