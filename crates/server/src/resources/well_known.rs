//! `/.well-known/core`: what is here (RFC 6690).

use std::fmt::Write as _;

use suibi_coap::{Code, ContentFormat, Response};
use suibi_store::Reader;

use super::{Ask, Link, ROUTES, Resource};
use crate::caller::Need;
use crate::problem::Problem;

pub(super) struct Core;

impl Resource for Core {
    fn link(&self) -> Link {
        Link { title: "What is here", formats: &[ContentFormat::LINK_FORMAT], observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET]
    }

    fn needs(&self, _method: Code) -> Need {
        Need::Nothing
    }

    /// The filters of RFC 6690 §4.1 may be ignored, and are: the list is short.
    fn read(&self, ask: &Ask<'_>, _reader: &mut dyn Reader) -> Result<Response, Problem> {
        let format = ask.accepted(self.link().formats)?;
        let mut links = String::new();
        for (path, resource) in ROUTES.iter().filter(|(path, _)| !path.contains('{')) {
            let Link { title, formats, observable } = resource.link();
            if !links.is_empty() {
                links.push(',');
            }
            let _ = write!(links, "<{path}>;title=\"{title}\"");
            let formats: Vec<_> = formats.iter().map(|format| format.0.to_string()).collect();
            let _ = match formats.as_slice() {
                [one] => write!(links, ";ct={one}"),
                several => write!(links, ";ct=\"{}\"", several.join(" ")),
            };
            if observable {
                links.push_str(";obs");
            }
        }
        Ok(Response::new(Code::CONTENT).content_format(format).payload(links))
    }
}
