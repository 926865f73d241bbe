//! The resources, one file each, and the table in which they are found.
//!
//! A handler knows no transport: it gets a [`Request`] and gives a [`Response`]. What only reads runs on the
//! reader thread ([`read`]); what writes becomes a [`Writing`] for the writer thread ([`write`]).

mod ask;
mod days;
mod feed;
mod heads;
mod notes;
mod represent;
mod status;
mod tags;
mod well_known;

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_store::{JournalId, Outcome, Reader, Write};

pub(crate) use ask::{About, Ask, Caller};
pub(crate) use notes::recent_text;

use crate::problem::Problem;

/// The one journal of this server.
pub(crate) const JOURNAL: JournalId = JournalId::FIRST;

/// Where everything is found; `{…}` stands for one segment that the handler reads.
const ROUTES: &[(&str, &dyn Resource)] = &[
    ("/.well-known/core", &well_known::Core),
    ("/notes", &notes::Notes),
    ("/notes/{id}", &notes::OneNote),
    ("/days", &days::Days),
    ("/days/{date}", &days::OneDay),
    ("/tags", &tags::Tags),
    ("/feed", &feed::Feed),
    ("/feed/head", &feed::Head),
    ("/heads", &heads::Heads),
    ("/status", &status::Status),
];

/// Something with a path.
trait Resource: Sync {
    /// What `/.well-known/core` tells of it.
    fn link(&self) -> Link;

    /// What may be asked of it.
    fn methods(&self) -> &'static [Code];

    /// GET and FETCH.
    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem>;

    /// The other methods.
    fn write(&self, _ask: &Ask<'_>) -> Result<Writing, Problem> {
        Err(Problem::new(Code::METHOD_NOT_ALLOWED, "this can only be read"))
    }
}

/// The attributes of a link (RFC 6690 §3).
struct Link {
    title: &'static str,
    formats: &'static [ContentFormat],
    observable: bool,
}

/// What the writer thread is to do for one request.
pub(crate) struct Writing {
    /// What is to be kept.
    pub(crate) write: Write,
    /// The answer without writing anything, if things are already as they should be.
    pub(crate) already: Option<Already>,
    /// The answer, once the outcome is durable. The reader sees what was committed.
    pub(crate) answer: Answer,
}

pub(crate) type Already =
    Box<dyn FnOnce(&mut dyn Reader) -> Result<Option<Response>, Problem> + Send>;
pub(crate) type Answer =
    Box<dyn FnOnce(Outcome, &mut dyn Reader) -> Result<Response, Problem> + Send>;

/// Answers a request that changes nothing.
pub(crate) fn read(
    request: &Request,
    caller: &Caller,
    about: &About,
    reader: &mut dyn Reader,
) -> Response {
    find(request)
        .and_then(|(resource, segment)| {
            resource.read(&Ask::new(request, segment, caller, about), reader)
        })
        .unwrap_or_else(Response::from)
}

/// What a request wants to have written, or why that can not be.
pub(crate) fn write(
    request: &Request,
    caller: &Caller,
    about: &About,
) -> Result<Writing, Response> {
    find(request)
        .and_then(|(resource, segment)| resource.write(&Ask::new(request, segment, caller, about)))
        .map_err(Response::from)
}

/// Whether this request may become an observation.
pub(crate) fn is_observable(request: &Request) -> bool {
    find(request).is_ok_and(|(resource, _)| resource.link().observable)
}

/// The resource of this path, if it knows the method, and the path's open segment.
fn find(request: &Request) -> Result<(&'static dyn Resource, String), Problem> {
    let path = request.path_segments();
    let (resource, segment) = ROUTES
        .iter()
        .find_map(|(pattern, resource)| Some((*resource, fit(pattern, &path)?)))
        .ok_or_else(|| {
            Problem::new(
                Code::NOT_FOUND,
                format!("there is no /{}; /.well-known/core lists what is here", path.join("/")),
            )
        })?;
    let methods = resource.methods();
    if !methods.contains(&request.method) {
        let known: Vec<_> = methods.iter().map(|&method| name(method)).collect();
        return Err(Problem::new(
            Code::METHOD_NOT_ALLOWED,
            format!("/{} knows {}", path.join("/"), known.join(", ")),
        ));
    }
    Ok((resource, segment))
}

/// The open segment (empty where there is none), if the path is one of this pattern.
fn fit(pattern: &str, path: &[String]) -> Option<String> {
    let mut open = String::new();
    let mut rest = path.iter();
    for part in pattern[1..].split('/') {
        let segment = rest.next()?;
        if part.starts_with('{') {
            open.clone_from(segment);
        } else if part != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(open)
}

fn name(method: Code) -> &'static str {
    match method {
        Code::GET => "GET",
        Code::POST => "POST",
        Code::PUT => "PUT",
        Code::DELETE => "DELETE",
        Code::FETCH => "FETCH",
        _ => "another method",
    }
}

#[cfg(test)]
mod tests;
