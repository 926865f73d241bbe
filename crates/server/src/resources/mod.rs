//! The resources, one file each, and the table in which they are found.
//!
//! A handler knows no transport: it gets a [`Request`] and gives a [`Response`]. What a resource works on decides where
//! its handlers run:
//!
//! ```text
//!                    asks (GET, FETCH)                       changes (POST, PUT, DELETE)
//!   journals         Resource::read, on the reader thread    Resource::write, on the net thread: gives a Writing, which
//!   (notes, audit)   with a Reader                           the writer thread carries out and answers
//!   the registry     Resource::tell, on the net thread       Resource::change, on the net thread: gives a Decision; a
//!   (devices, …)     from the Registry, without a disk       change is made durable, applied, and then answered
//! ```
//!
//! [`Resource::is_of_registry`] says which row. [`Resource::needs`] says what a caller must be allowed to, and
//! [`Route::admit`] is the one place where that is checked, before any handler runs.
//!
//! A new resource of the registry is a file here, its line in the table, and `docs/protocol.md`:
//!
//! ```text
//! impl Resource for Devices {
//!     fn is_of_registry(&self) -> bool { true }
//!     fn needs(&self, _method: Code) -> Need { Need::Admin }
//!     fn tell(&self, ask, registry) -> Result<Response, Problem>   { … registry.devices() … }
//!     fn change(&self, ask, registry) -> Result<Decision, Problem> {
//!         Ok(Decision::change(AccessChange::Revoke { … }, Some(audit), |registry, result| Decision::Answer(…)))
//!     }
//! }
//! ```

mod access;
mod ask;
mod audit;
mod days;
mod devices;
mod feed;
mod heads;
mod invites;
mod join;
mod journals;
mod notes;
mod represent;
mod status;
mod table;
mod tags;
mod well_known;

use std::fmt;

use suibi_coap::{Code, ContentFormat, OptionNumber, Request, Response};
use suibi_journal::{AuditEntry, Entry, Extra, extra};
use suibi_store::{AccessChange, AccessDone, AccessRefused, Outcome, Reader, Write};

pub(crate) use ask::{About, Ask};
pub(crate) use notes::recent_text;

use crate::caller::{Caller, Need, Source};
use crate::problem::Problem;
use crate::registry::Registry;

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
    ("/join", &join::Join),
    ("/devices", &devices::Devices),
    ("/devices/{id}", &devices::OneDevice),
    ("/invites", &invites::Invites),
    ("/invites/{id}", &invites::OneInvite),
    ("/journals", &journals::Journals),
    ("/audit", &audit::Audit),
];

/// Something with a path.
trait Resource: Sync {
    /// What `/.well-known/core` tells of it.
    fn link(&self) -> Link;

    /// What may be asked of it.
    fn methods(&self) -> &'static [Code];

    /// What a caller must be allowed to.
    fn needs(&self, method: Code) -> Need {
        if method.is_safe() { Need::Read } else { Need::Write }
    }

    /// What a caller must be allowed to for this very request, where its query makes a difference.
    fn needs_for(&self, request: &Request) -> Need {
        self.needs(request.method)
    }

    /// Whether it is one of the [`Registry`]: [`Self::tell`] and [`Self::change`] are asked then, not [`Self::read`]
    /// and [`Self::write`].
    fn is_of_registry(&self) -> bool {
        false
    }

    /// GET and FETCH, on the reader thread. The journal is [`Caller::journal`].
    fn read(&self, _ask: &Ask<'_>, _reader: &mut dyn Reader) -> Result<Response, Problem> {
        Err(Problem::new(Code::METHOD_NOT_ALLOWED, "this cannot be read"))
    }

    /// The other methods. The journal is [`Caller::journal`].
    fn write(&self, _ask: &Ask<'_>) -> Result<Writing, Problem> {
        Err(Problem::new(Code::METHOD_NOT_ALLOWED, "this can only be read"))
    }

    /// GET of something in the registry, on the net thread: no disk, no waiting.
    fn tell(&self, _ask: &Ask<'_>, _registry: &Registry) -> Result<Response, Problem> {
        Err(Problem::new(Code::METHOD_NOT_ALLOWED, "this cannot be read"))
    }

    /// The other methods on something in the registry, on the net thread. They are carried out one after the other:
    /// no other change comes between this decision and its last answer, so what is decided here is still right then.
    fn change(&self, _ask: &Ask<'_>, _registry: &Registry) -> Result<Decision, Problem> {
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
    /// Where a note comes from, for [`Self::note_source`].
    pub(crate) source: Option<Source>,
    /// The answer without writing anything, if things are already as they should be.
    pub(crate) already: Option<Already>,
    /// The answer, once the outcome is durable. The reader sees what was committed.
    pub(crate) answer: Answer,
}

impl Writing {
    /// Puts where a note comes from among its extras. This is for the writer thread to do, which soon throws the extras
    /// away: what one thread allocates and another one gives back costs an allocator several times as much.
    pub(crate) fn note_source(&mut self) {
        if let (Write::Note { extras, .. }, Some(source)) = (&mut self.write, &self.source) {
            extras.insert(extra::SOURCE.to_owned(), Extra::Text(source.text()));
        }
    }

    /// About how many bytes it brings.
    pub(crate) fn bytes(&self) -> usize {
        match &self.write {
            Write::Push { entries, .. } => entries.iter().map(Entry::encoded_len).sum(),
            _ => 0,
        }
    }
}

pub(crate) type Already =
    Box<dyn FnOnce(&mut dyn Reader) -> Result<Option<Response>, Problem> + Send>;
pub(crate) type Answer =
    Box<dyn FnOnce(Outcome, &mut dyn Reader) -> Result<Response, Problem> + Send>;

/// What is to become of a request to change the registry.
pub(crate) enum Decision {
    /// It is answered; nothing is written.
    Answer(Response),
    /// Something is written first.
    Change(Box<AccessWriting>),
}

/// A change of who may do what.
pub(crate) struct AccessWriting {
    /// What is to be kept.
    pub(crate) change: AccessChange,
    /// What the trail says of it, kept in the same transaction.
    pub(crate) audit: Option<AuditEntry>,
    /// What comes next, once the change is durable and in the [`Registry`], or refused by the store: the answer, or a
    /// further change. (Trouble with the disk is answered without it.)
    pub(crate) then: Then,
}

pub(crate) type Then =
    Box<dyn FnOnce(&Registry, Result<AccessDone, AccessRefused>) -> Decision + Send>;

impl Decision {
    /// Keep this, then go on.
    pub(crate) fn change(
        change: AccessChange,
        audit: Option<AuditEntry>,
        then: impl FnOnce(&Registry, Result<AccessDone, AccessRefused>) -> Self + Send + 'static,
    ) -> Self {
        Self::Change(Box::new(AccessWriting { change, audit, then: Box::new(then) }))
    }
}

/// The way of a request to its handler.
#[derive(Clone)]
pub(crate) struct Route {
    resource: &'static dyn Resource,
    /// The path's open segment, empty where it has none.
    segment: String,
    need: Need,
}

/// What kind of handler is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// [`Route::read`].
    Read,
    /// [`Route::write`].
    Write,
    /// [`Route::tell`].
    Tell,
    /// [`Route::change`].
    Change,
}

impl Route {
    /// The way of this request, if its path leads to something that knows the method.
    pub(crate) fn find(request: &Request) -> Result<Self, Problem> {
        let path = || request.options.get_all(OptionNumber::URI_PATH).map(|segment| &**segment);
        let written = || request.path_segments().join("/");
        let (resource, segment) = ROUTES
            .iter()
            .find_map(|(pattern, resource)| Some((*resource, fit(pattern, path())?)))
            .ok_or_else(|| {
                let text =
                    format!("there is no /{}; /.well-known/core lists what is here", written());
                Problem::new(Code::NOT_FOUND, text)
            })?;
        let methods = resource.methods();
        if !methods.contains(&request.method) {
            let known: Vec<_> = methods.iter().map(|&method| name(method)).collect();
            let text = format!("/{} knows {}", written(), known.join(", "));
            return Err(Problem::new(Code::METHOD_NOT_ALLOWED, text));
        }
        let need = resource.needs_for(request);
        Ok(Self { resource, segment: String::from_utf8_lossy(segment).into_owned(), need })
    }

    /// Whether the caller may go this way: the one gate for all rights.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        caller.may(self.need)
    }

    /// What a caller must be allowed to.
    pub(crate) fn needs(&self) -> Need {
        self.need
    }

    pub(crate) fn kind(&self, method: Code) -> Kind {
        match (self.resource.is_of_registry(), method.is_safe()) {
            (false, true) => Kind::Read,
            (false, false) => Kind::Write,
            (true, true) => Kind::Tell,
            (true, false) => Kind::Change,
        }
    }

    /// Whether a request on this way may become an observation.
    pub(crate) fn is_observable(&self) -> bool {
        self.resource.link().observable
    }

    /// Answers a question about a journal.
    pub(crate) fn read(
        self,
        request: &Request,
        caller: &Caller,
        about: &About,
        reader: &mut dyn Reader,
    ) -> Response {
        let ask = Ask::new(request, self.segment, caller, about);
        self.resource.read(&ask, reader).unwrap_or_else(Response::from)
    }

    /// What a request wants to have written to a journal, or why that cannot be.
    pub(crate) fn write(
        self,
        request: &Request,
        caller: &Caller,
        about: &About,
    ) -> Result<Writing, Response> {
        let ask = Ask::new(request, self.segment, caller, about);
        self.resource.write(&ask).map_err(Response::from)
    }

    /// Answers a question about the registry.
    pub(crate) fn tell(
        self,
        request: &Request,
        caller: &Caller,
        about: &About,
        registry: &Registry,
    ) -> Response {
        let ask = Ask::new(request, self.segment, caller, about);
        self.resource.tell(&ask, registry).unwrap_or_else(Response::from)
    }

    /// What becomes of a request to change the registry.
    pub(crate) fn change(
        self,
        request: &Request,
        caller: &Caller,
        about: &About,
        registry: &Registry,
    ) -> Decision {
        let ask = Ask::new(request, self.segment, caller, about);
        let decision = self.resource.change(&ask, registry);
        decision.unwrap_or_else(|problem| Decision::Answer(problem.into()))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("segment", &self.segment).finish_non_exhaustive()
    }
}

/// The open segment (empty where there is none), if the path is one of this pattern. This runs for each request, up to
/// its line in the table, and copies nothing.
fn fit<'a>(pattern: &str, mut path: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let mut open: &[u8] = b"";
    for part in pattern.as_bytes()[1..].split(|&byte| byte == b'/') {
        let segment = path.next()?;
        if part.starts_with(b"{") {
            open = segment;
        } else if part != segment {
            return None;
        }
    }
    path.next().is_none().then_some(open)
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
