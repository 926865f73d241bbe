//! `/notes`: the history, and new notes. `/notes/{id}`: one note.

use std::io::{Cursor, Write as _};

use serde_json::json;
use suibi_coap::{Code, ContentFormat, OptionNumber, Request, Response};
use suibi_journal::{AuditKind, Body, Extras, MAX_TEXT_BYTES, Note, NoteId, Query, render};
use suibi_store::{
    Expect, JournalId, NoteRefused, NoteWritten, Outcome, Reader, StoreError, Write, etag,
};

use super::represent::{self, TEXT_JSON_CBOR, in_format, unless_known};
use super::{Ask, Link, Resource, Writing, access, ask};
use crate::caller::Need;
use crate::problem::Problem;

/// The newest notes, where the query names neither days nor a number.
const DEFAULT_LIMIT: usize = 50;
/// The most that one answer lists; what is older is asked for with `before=`. It leaves room below the
/// 2 MiB of a body for what stands around the notes.
const MAX_LIST_BYTES: usize = (2 << 20) - (64 << 10);
/// Notes taken from the store at once, so that long ones do not fill the memory.
const CHUNK: usize = 128;

pub(super) struct Notes;

impl Resource for Notes {
    fn link(&self) -> Link {
        Link { title: "Notes", formats: TEXT_JSON_CBOR, observable: true }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET, Code::POST]
    }

    fn needs(&self, method: Code) -> Need {
        if method.is_safe() { Need::Read } else { Need::Add }
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let (query, limit) = query(ask)?;
        let format = ask.accepted(TEXT_JSON_CBOR)?;
        let etag = represent::feed_etag(ask, reader, format)?;
        unless_known(ask, &etag, || {
            let journal = ask.caller.journal;
            let (items, more) =
                items(reader, journal, query, limit, MAX_LIST_BYTES, |note| match format {
                    ContentFormat::JSON => represent::note(note).to_string().into_bytes(),
                    ContentFormat::CBOR => represent::cbor(&represent::note(note)),
                    _ => render::note(note).into_bytes(),
                })?;
            Ok(Response::new(Code::CONTENT)
                .content_format(format)
                .payload(list(format, &items, more)))
        })
    }

    fn write(&self, ask: &Ask<'_>) -> Result<Writing, Problem> {
        let [] = ask.arguments([])?;
        let write = note_write(ask, None, Expect::Any, Body::Text(text(ask)?));
        let answer = |outcome, _: &mut dyn Reader| {
            Ok(created(&note_outcome(outcome).map_err(|refused| refusal(&refused))?))
        };
        let source = Some(ask.caller.source());
        Ok(Writing { write, source, already: None, answer: Box::new(answer) })
    }
}

/// What the query asks for, and how many notes at most.
fn query(ask: &Ask<'_>) -> Result<(Query, usize), Problem> {
    let [on, since, until, tag, text, from, limit, before] =
        ask.arguments(["day", "since", "until", "tag", "q", "from", "limit", "before"])?;
    let day = |text: Option<String>| text.as_deref().map(ask::day).transpose();
    let (on, since, until) = (day(on)?, day(since)?, day(until)?);
    if on.is_some() && (since.is_some() || until.is_some()) {
        return Err(Problem::bad_request("day= stands alone, without since= and until="));
    }
    let days_named = on.is_some() || since.is_some() || until.is_some();
    let limit = match limit {
        Some(text) => text
            .parse()
            .map_err(|_| Problem::bad_request(format!("limit=\"{text}\" is no number of notes")))?,
        None if days_named => usize::MAX,
        None => DEFAULT_LIMIT,
    };
    let before = before.as_deref().map(id).transpose()?;
    let (since, until) = (on.or(since), on.or(until));
    let tags = tag.into_iter().collect();
    Ok((Query { since, until, tags, text, from, before, ..Query::default() }, limit))
}

/// The newest notes that fit `limit` and `max_bytes` as `write` writes them, but one at least, oldest first;
/// and whether there are more before them.
fn items(
    reader: &mut dyn Reader,
    journal: JournalId,
    mut query: Query,
    limit: usize,
    max_bytes: usize,
    write: impl Fn(&Note) -> Vec<u8>,
) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
    let mut items = Vec::new();
    let mut bytes = 0;
    loop {
        // One more than is wanted tells whether there are more.
        let wanted = (limit - items.len()).saturating_add(1).min(CHUNK);
        query.limit = Some(wanted);
        let notes = reader.notes(journal, &query)?;
        for note in notes.iter().rev() {
            let item = write(note);
            bytes += item.len() + 1;
            let is_full = bytes > max_bytes && !items.is_empty();
            if items.len() == limit || is_full {
                items.reverse();
                return Ok((items, true));
            }
            items.push(item);
        }
        match notes.first() {
            Some(oldest) if notes.len() == wanted => query.before = Some(oldest.id),
            _ => break,
        }
    }
    items.reverse();
    Ok((items, false))
}

/// The items put together in their format.
fn list(format: ContentFormat, items: &[Vec<u8>], more: bool) -> Vec<u8> {
    match format {
        ContentFormat::JSON => {
            let mut page = format!("{{\"version\":1,\"more\":{more},\"notes\":[").into_bytes();
            page.extend(items.join(&b','));
            page.extend(b"]}");
            page
        }
        ContentFormat::CBOR => {
            // The same shape: the empty array in it is the last thing, and gets its items here.
            let mut page = represent::cbor(&json!({ "version": 1 }));
            page[0] = 0xa3;
            page.extend(represent::cbor(&json!("more")));
            page.extend(represent::cbor(&json!(more)));
            page.extend(represent::cbor(&json!("notes")));
            let mut header = minicbor::Encoder::new(Vec::new());
            header.array(items.len() as u64).expect("writing to memory does not fail");
            page.extend(header.into_writer());
            page.extend(items.concat());
            page
        }
        _ => items.concat(),
    }
}

/// The newest notes as text, about `max_bytes` of them, for a history datagram.
pub(crate) fn recent_text(reader: &mut dyn Reader, max_bytes: usize) -> Result<String, StoreError> {
    let journal = JournalId::FIRST;
    let write = |note: &Note| render::note(note).into_bytes();
    // One note more than fits, of which the last lines may still fit.
    let (mut items, more) = items(reader, journal, Query::default(), usize::MAX, max_bytes, write)?;
    if more {
        let limit = Some(items.len() + 1);
        let notes = reader.notes(journal, &Query { limit, ..Query::default() })?;
        items = notes.iter().map(write).collect();
    }
    Ok(items.into_iter().flat_map(|item| String::from_utf8(item).ok()).collect())
}

pub(super) struct OneNote;

impl Resource for OneNote {
    fn link(&self) -> Link {
        Link { title: "One note", formats: TEXT_JSON_CBOR, observable: false }
    }

    fn methods(&self) -> &'static [Code] {
        &[Code::GET, Code::PUT, Code::DELETE]
    }

    fn needs_for(&self, request: &Request) -> Need {
        let is_purge = || request.queries().iter().any(|(name, _)| name == "purge");
        match request.method {
            Code::DELETE if is_purge() => Need::Admin,
            method => self.needs(method),
        }
    }

    fn read(&self, ask: &Ask<'_>, reader: &mut dyn Reader) -> Result<Response, Problem> {
        let [] = ask.arguments([])?;
        let format = ask.accepted(TEXT_JSON_CBOR)?;
        let id = id(&ask.segment)?;
        let note = reader.note(ask.caller.journal, id)?.ok_or_else(|| no_note(id))?;
        unless_known(ask, &etag(&note.heads), || {
            Ok(in_format(format, || note.text.clone(), || represent::note(&note)))
        })
    }

    fn write(&self, ask: &Ask<'_>) -> Result<Writing, Problem> {
        let id = id(&ask.segment)?;
        let expect = expect(ask)?;
        if ask.request.method == Code::DELETE {
            return delete_or_purge(ask, id, expect);
        }
        let [] = ask.arguments([])?;
        let text = text(ask)?;
        let journal = ask.caller.journal;
        let already: Option<super::Already> = (expect == Expect::Any).then(|| {
            let text = text.clone();
            Box::new(move |reader: &mut dyn Reader| {
                Ok(same(reader, journal, id, &text)?.map(|note| of_same(Code::CHANGED, &note)))
            }) as super::Already
        });
        let write = note_write(ask, Some(id), expect, Body::Text(text.clone()));
        let answer = move |outcome, reader: &mut dyn Reader| {
            let refused = match note_outcome(outcome) {
                Ok(written) if written.created => return Ok(created(&written)),
                Ok(written) => return Ok(receipt(Code::CHANGED, &written)),
                Err(refused) => refused,
            };
            // What is asked again, because the answer was lost, is answered as the first time, even if
            // the first time made the condition untrue.
            let code = match refused {
                NoteRefused::Exists(_) => Code::CREATED,
                _ => Code::CHANGED,
            };
            match same(reader, journal, id, &text)? {
                Some(note) => Ok(of_same(code, &note)),
                None => Err(refusal(&refused)),
            }
        };
        let source = Some(ask.caller.source());
        Ok(Writing { write, source, already, answer: Box::new(answer) })
    }
}

fn delete_or_purge(ask: &Ask<'_>, id: NoteId, expect: Expect) -> Result<Writing, Problem> {
    let [purge] = ask.arguments(["purge"])?;
    match purge.as_deref() {
        None => Ok(delete(ask, id, expect)),
        Some("yes") if expect == Expect::Any => Ok(self::purge(ask, id)),
        Some("yes") => Err(Problem::bad_request("a purge knows no conditions")),
        Some(other) => {
            Err(Problem::bad_request(format!("purge=\"{other}\" is not known; purge=yes is")))
        }
    }
}

/// Erases a note for good. Asked once more, because the answer was lost, it is answered as the first time.
fn purge(ask: &Ask<'_>, note: NoteId) -> Writing {
    let (device, by) = match ask.caller.device() {
        Some(name) => (name, String::new()),
        None => ("", format!(" {}", access::by(ask))),
    };
    let detail = format!("note {note}{by}");
    let audit = access::audit(ask, AuditKind::Purged, device, &ask.caller.journal_name, detail);
    let answer = move |outcome, _: &mut dyn Reader| match note_outcome(outcome) {
        Ok(written) => Ok(Response::new(Code::DELETED)
            .content_format(ContentFormat::TEXT_PLAIN)
            .payload(written.receipt.to_string())),
        Err(NoteRefused::NotFound) => Err(no_note(note)),
        Err(refused) => Err(refusal(&refused)),
    };
    let write = Write::Purge { note, now: ask.now, audit: Some(audit) };
    Writing { write, source: None, already: None, answer: Box::new(answer) }
}

/// To delete what is not there is as good as done (RFC 7252 §5.8.4), unless a condition says otherwise.
fn delete(ask: &Ask<'_>, id: NoteId, expect: Expect) -> Writing {
    let unconditional = expect == Expect::Any;
    let answer = move |outcome, _: &mut dyn Reader| match note_outcome(outcome) {
        Err(NoteRefused::NotFound) if unconditional => Ok(Response::new(Code::DELETED)),
        Err(refused) => Err(refusal(&refused)),
        Ok(written) => Ok(Response::new(Code::DELETED)
            .content_format(ContentFormat::TEXT_PLAIN)
            .payload(written.receipt.to_string())),
    };
    let write = note_write(ask, Some(id), expect, Body::Deleted);
    let source = Some(ask.caller.source());
    Writing { write, source, already: None, answer: Box::new(answer) }
}

/// The conditions of a request (RFC 7252 §5.10.8).
fn expect(ask: &Ask<'_>) -> Result<Expect, Problem> {
    match (ask.request.if_match_etags(), ask.request.is_if_none_match()) {
        (Some(_), true) => {
            Err(Problem::bad_request("If-Match and If-None-Match exclude each other"))
        }
        (None, true) => Ok(Expect::Absent),
        (None, false) => Ok(Expect::Any),
        (Some(etags), false) if etags.iter().any(|etag| etag.is_empty()) => Ok(Expect::Exists),
        (Some(etags), false) => Ok(Expect::Heads(etags.iter().map(|etag| etag.to_vec()).collect())),
    }
}

fn no_note(id: NoteId) -> Problem {
    Problem::new(Code::NOT_FOUND, format!("there is no note {id}"))
}

fn id(text: &str) -> Result<NoteId, Problem> {
    text.parse()
        .map_err(|error| Problem::bad_request(format!("\"{text}\" is no note's id: {error}")))
}

/// The payload as the text of a note.
fn text(ask: &Ask<'_>) -> Result<String, Problem> {
    ask.payload_in(ContentFormat::TEXT_PLAIN)?;
    let payload = &ask.request.payload;
    if payload.len() > MAX_TEXT_BYTES {
        return Err(Problem::text_too_long(payload.len()));
    }
    let text = str::from_utf8(payload).map_err(|error| {
        Problem::bad_request(format!(
            "the text is not UTF-8: byte {} is wrong",
            error.valid_up_to() + 1
        ))
    })?;
    if text.trim().is_empty() {
        return Err(Problem::bad_request("a note needs a text"));
    }
    Ok(text.to_owned())
}

fn note_write(ask: &Ask<'_>, id: Option<NoteId>, expect: Expect, body: Body) -> Write {
    Write::Note { id, expect, body, time: None, extras: Extras::new(), now: ask.now }
}

fn note_outcome(outcome: Outcome) -> Result<NoteWritten, NoteRefused> {
    match outcome {
        Outcome::Note(result) => result,
        Outcome::Pushed(_) => unreachable!("a note has the outcome of a note"),
    }
}

/// The note, if it says just this.
fn same(
    reader: &mut dyn Reader,
    journal: JournalId,
    id: NoteId,
    text: &str,
) -> Result<Option<Note>, StoreError> {
    Ok(reader.note(journal, id)?.filter(|note| note.text == text && !note.conflict))
}

/// Where it is, its state, and its receipt for a person to see.
fn receipt(code: Code, written: &NoteWritten) -> Response {
    Response::new(code)
        .etag(&etag(&written.heads))
        .content_format(ContentFormat::TEXT_PLAIN)
        .payload(written.receipt.to_string())
}

/// The same with its path. This answers each new note, so all that it says is one allocation.
fn created(written: &NoteWritten) -> Response {
    let mut said = Cursor::new([0; 128]);
    let room = "there is room for an etag, an id, a number and a short hash";
    said.write_all(&etag(&written.heads)).expect(room);
    let id = said.position() as usize;
    write!(said, "{}", written.id).expect(room);
    let receipt = said.position() as usize;
    write!(said, "{}", written.receipt).expect(room);
    let said = suibi_coap::shared(&said.get_ref()[..said.position() as usize]);
    let mut response = Response::new(Code::CREATED)
        .content_format(ContentFormat::TEXT_PLAIN)
        .payload(said.slice(receipt..));
    response.options.add(OptionNumber::ETAG, said.slice(..id));
    response.options.add(OptionNumber::LOCATION_PATH, "notes");
    response.options.add(OptionNumber::LOCATION_PATH, said.slice(id..receipt));
    response
}

/// The answer for a note that says already what it should say.
fn of_same(code: Code, note: &Note) -> Response {
    let response = Response::new(code).etag(&etag(&note.heads));
    let response = match note.receipt {
        Some((position, hash)) => response
            .content_format(ContentFormat::TEXT_PLAIN)
            .payload(format!("#{position} · {}", hash.short())),
        None => response,
    };
    if code == Code::CREATED {
        return response.location_path(&["notes", &note.id.to_string()]);
    }
    response
}

fn refusal(refused: &NoteRefused) -> Problem {
    let code = match refused {
        NoteRefused::Exists(_) | NoteRefused::PreconditionFailed | NoteRefused::NotFound => {
            Code::PRECONDITION_FAILED
        }
        NoteRefused::Purged => Code::CONFLICT,
        NoteRefused::TooLarge => Code::REQUEST_ENTITY_TOO_LARGE,
    };
    let problem = Problem::new(code, refused.to_string());
    match refused {
        NoteRefused::Exists(etag) => problem.etag(etag),
        _ => problem,
    }
}
