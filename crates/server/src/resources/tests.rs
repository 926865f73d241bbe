//! Every resource without a transport: requests in, responses out, on a real store.

mod feed;
mod purge;

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;
use suibi_coap::{Code, ContentFormat, OptionNumber, Request, Response};
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, Extras, FeedPage, Hash, NoteId, decode_answers,
    decode_heads, encode_batch,
};
use suibi_store::{OwnChain, SqliteOptions, SqliteStore, Store};

use super::*;
use crate::clock::Clock;
use crate::writer::{WriteDone, WriteJob, Writer};

/// A server without net and threads.
struct Scene {
    writer: Writer,
    reader: Box<dyn Reader>,
    about: About,
    caller: Caller,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let writer = Writer::new(
            Box::new(move |_| {
                let options =
                    SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
                Ok(Box::new(SqliteStore::open(&path, options)?) as Box<dyn Store>)
            }),
            true,
        )
        .unwrap();
        let reader = writer.reader().unwrap();
        let data_dir = dir.path().to_owned();
        let about = About::new(Instant::now(), "server".to_owned(), data_dir, Clock::System);
        let caller = Caller::anyone("192.0.2.7:4711".parse().unwrap());
        Self { writer, reader, about, caller, _dir: dir }
    }

    fn ask(&mut self, request: Request) -> Response {
        let route = match Route::find(&request) {
            Ok(route) => route,
            Err(problem) => return problem.into(),
        };
        if let Err(problem) = route.admit(&self.caller) {
            return problem.into();
        }
        if route.kind(request.method) == Kind::Read {
            return route.read(&request, &self.caller, &self.about, &mut *self.reader);
        }
        match route.write(&request, &self.caller, &self.about) {
            Err(response) => response,
            Ok(writing) => self.commit(writing),
        }
    }

    fn commit(&mut self, writing: Writing) -> Response {
        let journal = self.caller.journal;
        let job = WriteJob::Notes { ticket: 1, bytes: 0, journal, writing };
        match self.writer.carry_out(&mut VecDeque::from([job])) {
            Some(WriteDone::Notes { mut answers, .. }) => answers.remove(0).response,
            _ => panic!("nobody changed who may do what"),
        }
    }

    fn get(&mut self, path: &str) -> Response {
        self.ask(request(Code::GET, path))
    }

    fn json(&mut self, path: &str) -> Value {
        let response = self.ask(request(Code::GET, path).accept(ContentFormat::JSON));
        assert_eq!(response.code, Code::CONTENT, "{}", response.text());
        assert_eq!(response.format(), Some(ContentFormat::JSON));
        serde_json::from_slice(&response.payload).unwrap()
    }

    /// Posts a note and gives its path.
    #[track_caller]
    fn post(&mut self, text: &str) -> String {
        let response = self.ask(post(text));
        assert_eq!(response.code, Code::CREATED, "{}", response.text());
        format!("/{}", response.location_segments().join("/"))
    }

    fn texts(&mut self, path: &str) -> Vec<String> {
        let page = self.json(path);
        let notes = page["notes"].as_array().unwrap().iter();
        notes.map(|note| note["text"].as_str().unwrap().to_owned()).collect()
    }
}

/// `/path?query` as a request.
fn request(method: Code, path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(method).path(path);
    for argument in query.split('&').filter(|argument| !argument.is_empty()) {
        request.options.add(OptionNumber::URI_QUERY, argument.to_owned());
    }
    request
}

fn post(text: &str) -> Request {
    request(Code::POST, "/notes").content_format(ContentFormat::TEXT_PLAIN).payload(text.to_owned())
}

fn put(path: &str, text: &str) -> Request {
    request(Code::PUT, path).payload(text.to_owned())
}

#[track_caller]
fn refused(response: &Response, code: Code, sentence: &str) {
    assert_eq!((response.code, response.text().as_str()), (code, sentence));
}

const ID: &str = "/notes/01940000-0000-7000-8000-00000000c0a8";

#[test]
fn a_posted_note_has_a_place_a_receipt_and_a_source() {
    let mut scene = Scene::new();
    let response = scene.ask(post("第一条 #trip"));
    assert_eq!(response.code, Code::CREATED);
    assert!(response.text().starts_with("#1 · "), "{}", response.text());
    let path = format!("/{}", response.location_segments().join("/"));
    let note = scene.get(&path);
    assert_eq!((note.code, note.text().as_str()), (Code::CONTENT, "第一条 #trip"));
    assert_eq!(note.etag_value(), response.etag_value());
    assert_eq!(scene.json(&path)["source"], "192.0.2.7:4711");
}

#[test]
fn the_history_is_text_one_note_a_line() {
    let mut scene = Scene::new();
    assert_eq!(scene.get("/notes").text(), "");
    scene.post("first");
    scene.post("第二条\nwith a second line");
    let response = scene.get("/notes");
    assert_eq!(response.format(), Some(ContentFormat::TEXT_PLAIN));
    let text = response.text();
    let lines: Vec<_> = text.lines().map(|line| &line[16..]).collect();
    assert_eq!(lines, [" first", " 第二条", " with a second line"]);
}

#[test]
fn the_json_shape_is_as_documented() {
    let mut scene = Scene::new();
    let path = scene.post("buy milk @shop");
    let page = scene.json("/notes");
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&page), ["more", "notes", "version"]);
    assert_eq!((&page["version"], &page["more"]), (&1.into(), &false.into()));
    let note = &page["notes"][0];
    assert_eq!(
        members(note),
        [
            "conflict",
            "day",
            "device",
            "id",
            "receipt",
            "source",
            "tags",
            "text",
            "time",
            "undeleted",
            "waiting"
        ]
    );
    assert_eq!(note["id"], path["/notes/".len()..]);
    assert_eq!(note["text"], "buy milk @shop");
    assert_eq!(note["tags"], serde_json::json!(["shop"]));
    assert_eq!(note["device"], "server");
    assert_eq!((&note["conflict"], &note["waiting"]), (&false.into(), &false.into()));
    assert_eq!(note["time"].as_str().unwrap()[..10], *note["day"].as_str().unwrap());
    assert_eq!(members(&note["receipt"]), ["hash", "position"]);
    assert_eq!(note["receipt"]["position"], 1);
    assert_eq!(note["receipt"]["hash"].as_str().unwrap().len(), 64);
    assert_eq!(scene.json(&path), *note);

    assert_eq!(
        scene.json("/days")["days"],
        serde_json::json!([{ "day": note["day"], "notes": 1 }])
    );
    assert_eq!(scene.json("/tags")["tags"], serde_json::json!([{ "tag": "@shop", "notes": 1 }]));
    assert_eq!(members(&scene.json("/heads")["heads"][0]), ["chain", "device", "hash", "seq"]);
    assert_eq!(
        members(&scene.json("/status")),
        [
            "device",
            "disk_bytes",
            "notes",
            "position",
            "protocols",
            "recovered",
            "running",
            "time",
            "uptime_seconds",
            "version"
        ]
    );
}

#[test]
fn cbor_says_the_same_as_json() {
    let mut scene = Scene::new();
    scene.post("one");
    scene.post("二");
    let cbor = |scene: &mut Scene, path| {
        let response = scene.ask(request(Code::GET, path).accept(ContentFormat::CBOR));
        assert_eq!(response.format(), Some(ContentFormat::CBOR));
        response.payload
    };
    let json = scene.json("/notes");
    let bytes = cbor(&mut scene, "/notes");
    let mut decoder = minicbor::Decoder::new(&bytes);
    assert_eq!(decoder.map().unwrap(), Some(3));
    assert_eq!((decoder.str().unwrap(), decoder.u8().unwrap()), ("version", 1));
    assert_eq!((decoder.str().unwrap(), decoder.bool().unwrap()), ("more", false));
    assert_eq!((decoder.str().unwrap(), decoder.array().unwrap()), ("notes", Some(2)));
    let rest = &bytes[decoder.position()..];
    let notes = json["notes"].as_array().unwrap();
    assert_eq!(rest, notes.iter().flat_map(represent::cbor).collect::<Vec<_>>());
    let bytes = cbor(&mut scene, "/days");
    assert_eq!(bytes, represent::cbor(&scene.json("/days")));
}

#[test]
fn queries_narrow_the_history() {
    let mut scene = Scene::new();
    for text in ["one #a", "two #b 茶", "three #a"] {
        scene.post(text);
    }
    let today = Clock::System.now().day();
    assert_eq!(scene.texts("/notes?tag=a"), ["one #a", "three #a"]);
    assert_eq!(scene.texts("/notes?tag=#a"), ["one #a", "three #a"]);
    assert_eq!(scene.texts("/notes?q=茶"), ["two #b 茶"]);
    assert_eq!(scene.texts("/notes?q=two&tag=a"), [""; 0]);
    assert_eq!(scene.texts(&format!("/notes?day={today}")).len(), 3);
    assert_eq!(scene.texts(&format!("/notes?day={}", today.add(1))).len(), 0);
    assert_eq!(scene.texts(&format!("/notes?since={}", today.add(1))).len(), 0);
    assert_eq!(scene.texts(&format!("/notes?since={today}&until={today}")).len(), 3);
    assert_eq!(scene.texts("/notes?from=server").len(), 3);
    assert_eq!(scene.texts("/notes?from=nobody").len(), 0);
}

#[test]
fn a_long_history_is_paged_from_the_newest() {
    let mut scene = Scene::new();
    let texts: Vec<_> = (0..300).map(|number| format!("note {number}")).collect();
    for text in &texts {
        scene.post(text);
    }
    assert_eq!(scene.texts("/notes"), texts[250..]);
    assert_eq!(scene.texts("/notes?limit=1000000"), texts);
    let mut collected = Vec::new();
    let mut before = String::new();
    loop {
        let page = scene.json(&format!("/notes?limit=140{before}"));
        let mut notes: Vec<_> =
            page["notes"].as_array().unwrap().iter().map(|note| note["text"].clone()).collect();
        notes.append(&mut collected);
        collected = notes;
        before = format!("&before={}", page["notes"][0]["id"].as_str().unwrap());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(collected, texts);
}

#[test]
fn a_history_that_is_too_long_for_one_answer_keeps_its_newest_notes() {
    let mut scene = Scene::new();
    for number in 0..6 {
        scene.post(&format!("{number} {}", "x".repeat(500_000)));
    }
    let page = scene.json("/notes");
    assert_eq!(page["more"], true);
    let texts = scene.texts("/notes");
    let first: Vec<_> = texts.iter().map(|text| &text[..1]).collect();
    assert_eq!(first, ["2", "3", "4", "5"]);
}

#[test]
fn an_unchanged_history_is_not_sent_again() {
    let mut scene = Scene::new();
    scene.post("one");
    let etag = scene.get("/notes").etag_value().unwrap().clone();
    let again = scene.ask(request(Code::GET, "/notes").etag(b"other").etag(&etag));
    assert_eq!((again.code, again.payload.len()), (Code::VALID, 0));
    assert_eq!(again.etag_value(), Some(&etag));
    // Another format is another representation.
    let json = request(Code::GET, "/notes").accept(ContentFormat::JSON).etag(&etag);
    assert_eq!(scene.ask(json).code, Code::CONTENT);
    scene.post("two");
    assert_eq!(scene.ask(request(Code::GET, "/notes").etag(&etag)).code, Code::CONTENT);
}

#[test]
fn a_note_with_an_id_of_the_clients_own_is_made_once_however_often_it_is_sent() {
    let mut scene = Scene::new();
    let first = scene.ask(put(ID, "made once").if_none_match());
    assert_eq!(first.code, Code::CREATED, "{}", first.text());
    let again = scene.ask(put(ID, "made once").if_none_match());
    assert_eq!(again, first);
    let other = scene.ask(put(ID, "made twice").if_none_match());
    refused(&other, Code::PRECONDITION_FAILED, "there is a note with this id already");
    assert_eq!(scene.get("/feed/head").payload, scene.get("/feed/head").payload);
    assert_eq!(scene.json("/status")["position"], 1);
}

#[test]
fn an_edit_that_is_sent_again_is_done_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.ask(put(ID, "as written")).code, Code::CREATED);
    let first = scene.ask(put(ID, "as edited"));
    assert_eq!(first.code, Code::CHANGED);
    assert_eq!(scene.ask(put(ID, "as edited")), first);
    assert_eq!(scene.json("/status")["position"], 2);
    assert_eq!(scene.get(ID).text(), "as edited");
}

#[test]
fn if_match_guards_an_edit() {
    let mut scene = Scene::new();
    refused(
        &scene.ask(put(ID, "text").if_match(b"")),
        Code::PRECONDITION_FAILED,
        "there is no such note",
    );
    scene.ask(put(ID, "as written"));
    let etag = scene.get(ID).etag_value().unwrap().clone();
    assert_eq!(scene.ask(put(ID, "as edited").if_match(&etag)).code, Code::CHANGED);
    // The answer was lost, and it is asked again.
    assert_eq!(scene.ask(put(ID, "as edited").if_match(&etag)).code, Code::CHANGED);
    refused(
        &scene.ask(put(ID, "too late").if_match(&etag)),
        Code::PRECONDITION_FAILED,
        "the note was changed in the meantime",
    );
    assert_eq!(scene.ask(put(ID, "whatever it was").if_match(b"")).code, Code::CHANGED);
    refused(
        &scene.ask(put(ID, "x").if_match(&etag).if_none_match()),
        Code::BAD_REQUEST,
        "If-Match and If-None-Match exclude each other",
    );
}

#[test]
fn a_note_is_deleted_once_and_deleting_it_again_is_as_good() {
    let mut scene = Scene::new();
    let path = scene.post("soon gone");
    let etag = scene.get(&path).etag_value().unwrap().clone();
    refused(
        &scene.ask(request(Code::DELETE, &path).if_match(b"other")),
        Code::PRECONDITION_FAILED,
        "the note was changed in the meantime",
    );
    assert_eq!(scene.ask(request(Code::DELETE, &path).if_match(&etag)).code, Code::DELETED);
    assert_eq!(scene.ask(request(Code::DELETE, &path)).code, Code::DELETED);
    assert_eq!(scene.get(&path).code, Code::NOT_FOUND);
    assert_eq!(scene.get("/notes").text(), "");
    assert_eq!(scene.ask(put(&path, "back again")).code, Code::CREATED);
}

#[test]
fn days_are_counted_and_one_day_is_markdown() {
    let mut scene = Scene::new();
    scene.post("first");
    scene.post("second\nline");
    let today = Clock::System.now().day();
    assert_eq!(scene.get("/days").text(), format!("{today} 2\n"));
    let page = scene.get(&format!("/days/{today}")).text();
    let page: Vec<_> = page.lines().collect();
    assert_eq!(page[0], format!("# {today}"));
    assert!(page[2].starts_with("- ") && page[2].ends_with(" first"), "{page:?}");
    assert_eq!(page[5], "  line");
    assert_eq!(scene.get("/tags").text(), "");
}

/// The first change of a chain on some device.
fn change(chain: u8, seq: u64, previous: Option<Hash>, text: &str) -> Entry {
    let content =
        Content { salt: [chain; 16], body: Body::Text(text.to_owned()), extras: Extras::new() };
    let change = Change {
        chain: ChainId::from_bytes([chain; 16]),
        seq,
        previous,
        note: NoteId::new(i64::from(chain) + seq as i64, [chain; 10]),
        parents: Vec::new(),
        time: Clock::System.now(),
        content: Hash::ZERO,
    };
    Entry::new(change, content)
}

#[test]
fn a_batch_is_pushed_pulled_and_pushed_again_without_harm() {
    let mut scene = Scene::new();
    let first = change(1, 1, None, "one");
    let second = change(1, 2, Some(first.hash()), "two");
    let gap = change(2, 7, Some(first.hash()), "from nowhere");
    let batch = encode_batch(&[first.clone(), second.clone(), gap]);
    let push = request(Code::POST, "/feed?device=laptop")
        .content_format(ContentFormat::CBOR_SEQ)
        .payload(batch);
    let answer = scene.ask(push.clone());
    assert_eq!(answer.code, Code::CHANGED, "{}", answer.text());
    let answers = decode_answers(&answer.payload).unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].as_ref().unwrap().hash, first.hash());
    assert_eq!(answers[1].as_ref().unwrap().position, 2);
    assert!(answers[2].is_err());
    assert_eq!(scene.ask(push).payload, answer.payload);

    let page = FeedPage::decode(&scene.get("/feed").payload).unwrap();
    let hashes: Vec<_> = page.entries.iter().map(|(_, entry)| entry.hash()).collect();
    assert_eq!((hashes, page.remaining), (vec![first.hash(), second.hash()], 0));
    let head = Cursor::decode(&scene.get("/feed/head").payload).unwrap();
    assert_eq!(head, page.next);

    let page = FeedPage::decode(&scene.get("/feed?max=1").payload).unwrap();
    assert_eq!((page.entries.len(), page.remaining), (1, 1));
    let rest = scene.get(&format!("/feed?after={}", page.next));
    assert_eq!(FeedPage::decode(&rest.payload).unwrap().entries[0].1, second);
    let fetch = request(Code::FETCH, "/feed").payload(page.next.encode());
    assert_eq!(scene.ask(fetch).payload, rest.payload);

    let heads = decode_heads(&scene.get("/heads").payload).unwrap();
    assert_eq!((heads[0].device.as_str(), heads[0].seq), ("laptop", 2));
    assert_eq!(heads[0].hash, second.hash());
    assert_eq!(scene.texts("/notes?from=laptop"), ["one", "two"]);
}

#[test]
fn a_cursor_of_another_feed_is_a_conflict() {
    let mut scene = Scene::new();
    scene.post("one");
    let head = scene.ask(request(Code::GET, "/feed/head").accept(ContentFormat::TEXT_PLAIN)).text();
    let foreign = format!("/feed?after=1-{}", "0".repeat(64));
    refused(
        &scene.get(&foreign),
        Code::CONFLICT,
        &format!(
            "the cursor is not one of this feed, which ends at {head}; compare /heads and start again"
        ),
    );
}

#[test]
fn what_is_here_is_listed() {
    let mut scene = Scene::new();
    let core = scene.get("/.well-known/core");
    assert_eq!(core.format(), Some(ContentFormat::LINK_FORMAT));
    let core = core.text();
    assert!(core.contains("</notes>;title=\"Notes\";ct=\"0 50 60\";obs,"), "{core}");
    assert!(core.contains("</feed/head>;") && !core.contains('{'), "{core}");
    assert_eq!(
        core.split(",<").count(),
        ROUTES.iter().filter(|(path, _)| !path.contains('{')).count()
    );
}

#[test]
fn nothing_is_asked_of_a_place_that_does_not_know_it() {
    let mut scene = Scene::new();
    refused(
        &scene.get("/nowhere/at/all"),
        Code::NOT_FOUND,
        "there is no /nowhere/at/all; /.well-known/core lists what is here",
    );
    for path in ["/notes/", "/notes/a/b", "/", "/notes/01900000-0000-7000-8000-000000000000"] {
        assert!(matches!(scene.get(path).code, Code::NOT_FOUND | Code::BAD_REQUEST), "{path}");
    }
    refused(
        &scene.ask(request(Code::DELETE, "/notes")),
        Code::METHOD_NOT_ALLOWED,
        "/notes knows GET, POST",
    );
    for (method, path) in [(Code::FETCH, "/tags"), (Code::PUT, "/feed"), (Code::POST, "/days")] {
        assert_eq!(scene.ask(request(method, path)).code, Code::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut scene = Scene::new();
    let bad = Code::BAD_REQUEST;
    refused(
        &scene.get("/notes?colour=red"),
        bad,
        "unknown query argument \"colour\"; known here: day, since, until, tag, q, from, limit, before",
    );
    refused(&scene.get("/tags?x"), bad, "unknown query argument \"x\"; none is known here");
    refused(&scene.get("/notes?limit=1&limit=2"), bad, "the query has \"limit\" twice");
    refused(&scene.get("/notes?limit=many"), bad, "limit=\"many\" is no number of notes");
    refused(
        &scene.get("/notes?day=2026-11-23&since=2026-11-23"),
        bad,
        "day= stands alone, without since= and until=",
    );
    for path in ["/notes?day=2026-02-30", "/notes?until=2026-02-30", "/days/2026-02-30"] {
        let response = scene.get(path);
        assert_eq!(response.code, bad);
        assert!(response.text().starts_with("\"2026-02-30\" is no day: "), "{}", response.text());
    }
    refused(&scene.ask(post(" \n")), bad, "a note needs a text");
    let mut not_utf8 = post("");
    not_utf8.payload = (&b"caf\xe9 \xff"[..]).into();
    refused(&scene.ask(not_utf8), bad, "the text is not UTF-8: byte 4 is wrong");
    refused(
        &scene.ask(post("{}").content_format(ContentFormat::JSON)),
        Code::UNSUPPORTED_CONTENT_FORMAT,
        "format 50 is not taken; send 0 (text/plain)",
    );
    refused(
        &scene.ask(request(Code::GET, "/notes").accept(ContentFormat::LINK_FORMAT)),
        Code::NOT_ACCEPTABLE,
        "format 40 is not offered; there is 0 (text/plain), 50 (application/json), 60 (application/cbor)",
    );
    let long = scene.ask(post(&"x".repeat((1 << 20) + 1)));
    refused(
        &long,
        Code::REQUEST_ENTITY_TOO_LARGE,
        "the text has 1048577 bytes; a note may have 1048576, split it",
    );
    assert_eq!(long.options.uint(OptionNumber::SIZE1), Some(1 << 20));
    assert_eq!(scene.ask(post(&"x".repeat(1 << 20))).code, Code::CREATED);
    for payload in [&[0x9f][..], &[0xbf, 0xff], b"text", &[0x80], &[0xf6]] {
        let response = scene.ask(request(Code::POST, "/feed").payload(payload.to_vec()));
        assert_eq!(response.code, bad, "{payload:x?}");
        assert!(response.text().starts_with("no batch of changes: "), "{}", response.text());
    }
    assert_eq!(scene.ask(request(Code::POST, "/feed?device=")).code, bad);
    assert_eq!(scene.get("/feed?after=here").code, bad);
    assert_eq!(scene.get("/feed?max=-1").code, bad);
}

const PROTOCOL: &str = include_str!("../../../../docs/protocol.md");

#[test]
fn the_documentation_knows_every_resource_and_the_json_shape() {
    for (path, _) in ROUTES {
        assert!(PROTOCOL.contains(&format!("| `{path}` |")), "{path}");
    }
    let (_, rest) = PROTOCOL.split_once("```json").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let documented: Value = serde_json::from_str(example).unwrap();
    let mut scene = Scene::new();
    scene.post("buy milk @shop");
    assert_eq!(shape(&documented), shape(&scene.json("/notes")));
    for path in ["/days", "/tags", "/heads", "/status"] {
        let (_, rest) = PROTOCOL.split_once(&format!("- `{path}`: `")).unwrap();
        let documented = serde_json::from_str(rest.split_once('`').unwrap().0).unwrap();
        assert_eq!(shape(&documented), shape(&scene.json(path)), "{path}");
    }
}

/// The value with each text and number replaced by its kind.
fn shape(value: &Value) -> Value {
    match value {
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
        other => other.clone(),
    }
}
