//! The resources of the registry without a transport: who is let in, who is told what, and what is kept of it.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;
use suibi_coap::{OptionNumber, Request, Subject};
use suibi_journal::admission::{
    ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest, JoinAnswer, JoinRequest,
};
use suibi_journal::hex::to_hex;
use suibi_journal::{decode_audit, decode_devices, decode_invites};
use suibi_oscore::{JoinSecret, KeyId, Secret, ServerContexts, Transcript, credential};
use suibi_store::{AccessChange, InviteRow, OwnChain, Reader, SqliteOptions, SqliteStore, Store};

use super::super::{About, Decision, Kind, Route};
use super::*;
use crate::caller::{Caller, LOCAL, of_device, of_invite};
use crate::gate::Gate;

const HOUR: i64 = 3_600_000;

/// A server's registry and store, without net and threads.
struct Scene {
    store: SqliteStore,
    reader: Box<dyn Reader>,
    registry: Registry,
    about: About,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
        let mut store = SqliteStore::open(&dir.path().join("server.db"), options).unwrap();
        let access = store.access().unwrap();
        let contexts = ServerContexts::new([7; 32]);
        let local = KeyId::from_slice(b"loca").unwrap();
        let secret = Secret::from_bytes(&[1; 32]).unwrap();
        let registry = Registry::new(access, contexts, Gate::default(), local, secret);
        let data_dir = dir.path().to_owned();
        let about = About { device: "server".to_owned(), data_dir, started: Instant::now() };
        let reader = store.reader().unwrap();
        Self { store, reader, registry, about, _dir: dir }
    }

    fn caller(&mut self, subject: Subject) -> Caller {
        let address = SocketAddr::from(([192, 0, 2, 7], 40112));
        self.registry.caller(subject, address).unwrap()
    }

    /// What the net thread and the writer do with a request.
    fn ask(&mut self, subject: Subject, request: Request) -> Response {
        let caller = self.caller(subject);
        self.ask_as(&caller, request)
    }

    fn ask_as(&mut self, caller: &Caller, request: Request) -> Response {
        let route = match Route::find(&request) {
            Ok(route) => route,
            Err(problem) => return problem.into(),
        };
        if let Err(problem) = route.admit(request.method, caller) {
            return problem.into();
        }
        let mut decision = match route.kind(request.method) {
            Kind::Read => return route.read(&request, caller, &self.about, &mut *self.reader),
            Kind::Tell => return route.tell(&request, caller, &self.about, &self.registry),
            Kind::Change => route.change(&request, caller, &self.about, &self.registry),
            Kind::Write => panic!("none of these resources is a journal's"),
        };
        loop {
            let writing = match decision {
                Decision::Answer(response) => return response,
                Decision::Change(writing) => writing,
            };
            let done = self.store.change_access(&writing.change, writing.audit.as_ref());
            let done = done.unwrap().expect("what was decided can be kept");
            self.registry.apply(writing.change, &done);
            decision = (writing.then)(&self.registry, Ok(done));
        }
    }

    /// The owner's own commands.
    fn local(&mut self, request: Request) -> Response {
        self.ask(LOCAL, request)
    }

    #[track_caller]
    fn invite_as(&mut self, subject: Subject, request: &InviteRequest) -> InviteAnswer {
        let response = self.ask(subject, post("/invites", request.encode()));
        assert_eq!(response.code, Code::CREATED, "{}", response.text());
        let answer = InviteAnswer::decode(&response.payload).unwrap();
        assert_eq!(response.location_segments(), ["invites", &to_hex(&answer.id)]);
        answer
    }

    /// An invite of the owner's, and how it is known to the Protection.
    #[track_caller]
    fn invite(&mut self, rights: Rights) -> (InviteAnswer, Subject) {
        let request = InviteRequest { journal: None, rights, lasts: None, name: None };
        let invite = self.invite_as(LOCAL, &request);
        let subject = self.of(&invite.id);
        (invite, subject)
    }

    /// How the invite with this id is known to the Protection.
    fn of(&self, id: &[u8]) -> Subject {
        of_invite(self.registry.invite_by_id(&to_hex(id)).unwrap().number)
    }

    /// A device of this name, from the invite to its credential.
    #[track_caller]
    fn join(&mut self, name: &str, rights: Rights) -> (JoinAnswer, Subject) {
        let (_, subject) = self.invite(rights);
        let response = self.ask(subject, join_request(&own_secret(), name));
        assert_eq!(response.code, Code::CREATED, "{}", response.text());
        let answer = JoinAnswer::decode(&response.payload).unwrap();
        let number = self.registry.device_by_id(&to_hex(&answer.id)).unwrap().number;
        (answer, of_device(number))
    }

    /// An invite of another time: made, ended and used so long ago, in milliseconds.
    fn old_invite(&mut self, ended: i64, used: Option<(&JoinSecret, i64)>) -> Subject {
        let now = clock::millis();
        let row = InviteRow {
            number: 0,
            key_id: b"old!".to_vec(),
            secret: vec![5; 16].into(),
            journal: JournalId::FIRST,
            rights: Rights::READ_WRITE,
            name: None,
            made: now - ended - HOUR,
            expires: now - ended,
            joiner: None,
        };
        let change = AccessChange::AddInvite(row);
        let done = self.store.change_access(&change, None).unwrap().unwrap();
        self.registry.apply(change, &done);
        let invite = done.invite.unwrap();
        if let Some((secret, ago)) = used {
            let change = AccessChange::Join {
                invite,
                joiner_public: secret.public().to_vec(),
                own_public: vec![9; 32],
                device: suibi_store::DeviceRow {
                    number: 0,
                    key_id: b"dev!".to_vec(),
                    name: "old laptop".to_owned(),
                    journal: JournalId::FIRST,
                    rights: Rights::READ_WRITE,
                    secret: vec![6; 32].into(),
                    salt: None,
                    reserved: 0,
                    joined: now - ago,
                    revoked: None,
                },
            };
            let done = self.store.change_access(&change, None).unwrap().unwrap();
            self.registry.apply(change, &done);
        }
        of_invite(invite)
    }

    fn json(&mut self, subject: Subject, path: &str) -> Value {
        let response = self.ask(subject, get(path).accept(ContentFormat::JSON));
        assert_eq!(response.code, Code::CONTENT, "{}", response.text());
        serde_json::from_slice(&response.payload).unwrap()
    }

    /// One member of each thing in a list.
    fn all(&mut self, subject: Subject, path: &str, member: &str) -> Vec<String> {
        let page = self.json(subject, path);
        let list = page.as_object().unwrap().values().find_map(Value::as_array).unwrap();
        list.iter().map(|item| item[member].as_str().unwrap_or_default().to_owned()).collect()
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

fn get(path: &str) -> Request {
    request(Code::GET, path)
}

fn post(path: &str, payload: Vec<u8>) -> Request {
    request(Code::POST, path).content_format(ContentFormat::CBOR).payload(payload)
}

fn own_secret() -> JoinSecret {
    JoinSecret::from_bytes(random().unwrap())
}

fn join_request(secret: &JoinSecret, name: &str) -> Request {
    let time = clock::millis();
    let request = JoinRequest { public: secret.public(), name: name.to_owned(), time };
    post("/join", request.encode())
}

#[track_caller]
fn refused(response: &Response, code: Code, sentence: &str) {
    assert_eq!((response.code, response.text().as_str()), (code, sentence));
}

/// The text with each time replaced by `T`.
fn timeless(text: &str) -> String {
    let mut timeless = String::new();
    let mut rest = text;
    // `2026-11-23 12:05:02 +08:00`
    while let Some(at) = rest.find(" +").or_else(|| rest.find(" -")).filter(|at| *at >= 19) {
        timeless.push_str(&rest[..at - 19]);
        timeless.push('T');
        rest = &rest[at + 7..];
    }
    timeless + rest
}

#[test]
fn an_invite_becomes_a_device_and_both_sides_derive_the_same_credential() {
    let mut scene = Scene::new();
    let (invite, subject) = scene.invite(Rights::READ_WRITE);
    assert_eq!((invite.journal.as_str(), invite.is_new_journal), ("notes", false));
    assert_eq!(invite.expires - invite.time, 15 * 60_000);

    let own = own_secret();
    let response = scene.ask(subject, join_request(&own, "小米手机"));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let answer = JoinAnswer::decode(&response.payload).unwrap();
    assert_eq!(response.location_segments(), ["devices", &to_hex(&answer.id)]);
    assert_eq!((answer.name.as_str(), answer.journal.as_str()), ("小米手机", "notes"));
    assert_eq!((answer.rights, answer.server.as_str()), (Rights::READ_WRITE, "server"));
    assert!(answer.time.abs_diff(clock::millis()) < 60_000);

    let row = scene.registry.device_by_id(&to_hex(&answer.id)).unwrap().clone();
    let transcript = Transcript {
        invite: KeyId::from_slice(&invite.id).unwrap(),
        device: KeyId::from_slice(&answer.id).unwrap(),
        joiner: own.public(),
        server: answer.public,
    };
    let secret = Secret::from_bytes(&invite.secret).unwrap();
    let derived = credential(&secret, &own, &answer.public, &transcript).unwrap();
    assert_eq!(derived.as_bytes(), &*row.secret);
    assert_eq!(scene.registry.epoch(row.number), Some(answer.epoch));
    // It is on disk, and what would derive it again is not.
    let kept = scene.store.access().unwrap();
    assert_eq!(kept.devices, [row]);
    assert_eq!(kept.invites[0].joiner.as_ref().unwrap().own_public, answer.public);

    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["小米手机"]);
    assert_ne!(scene.all(LOCAL, "/invites", "used"), [""]);
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "joined"]);
    assert_eq!(scene.all(LOCAL, "/audit", "device"), ["", "小米手机"]);
    assert_eq!(scene.all(LOCAL, "/audit", "address")[1], "192.0.2.7:40112");
}

#[test]
fn a_lost_answer_is_given_again_to_the_same_joiner_and_to_nobody_else() {
    let mut scene = Scene::new();
    let (_, subject) = scene.invite(Rights::READ_WRITE);
    let own = own_secret();
    let first = scene.ask(subject, join_request(&own, "laptop"));
    // Whatever it would like to be called by now.
    let again = scene.ask(subject, join_request(&own, "another name"));
    let [first, again] = [first, again].map(|response| {
        let answer = JoinAnswer::decode(&response.payload).unwrap();
        JoinAnswer { time: 0, ..answer }
    });
    assert_eq!(again, first);
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop"]);

    let stranger = scene.ask(subject, join_request(&own_secret(), "thief"));
    assert_eq!(stranger.code, Code::CONFLICT);
    let text = "this invite was used already, at T";
    assert_eq!(timeless(&stranger.text()), text);
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop"]);
}

#[test]
fn an_invite_answers_for_a_day_after_its_use_even_if_it_has_ended() {
    let own = own_secret();
    let mut scene = Scene::new();
    let subject = scene.old_invite(22 * HOUR, Some((&own, 23 * HOUR)));
    let answer = scene.ask(subject, join_request(&own, "laptop"));
    assert_eq!(answer.code, Code::CREATED, "{}", answer.text());
    let answer = JoinAnswer::decode(&answer.payload).unwrap();
    assert_eq!((answer.public, answer.name.as_str()), ([9; 32], "old laptop"));

    let mut scene = Scene::new();
    let subject = scene.old_invite(24 * HOUR, Some((&own, 25 * HOUR)));
    assert_eq!(scene.ask(subject, join_request(&own, "laptop")).code, Code::CONFLICT);
}

#[test]
fn an_invite_that_has_ended_says_when_by_which_clock() {
    let mut scene = Scene::new();
    let subject = scene.old_invite(HOUR, None);
    let late = scene.ask(subject, join_request(&own_secret(), "laptop"));
    assert_eq!(late.code, Code::FORBIDDEN);
    let text = "this invite ended at T by the server's clock, which now shows T";
    assert_eq!(timeless(&late.text()), text);

    let time = clock::millis() - 365 * 24 * HOUR;
    let wrong = JoinRequest { public: own_secret().public(), name: "laptop".to_owned(), time };
    let late = scene.ask(subject, post("/join", wrong.encode()));
    let text = "this invite ended at T by the server's clock, which now shows T (yours shows T)";
    assert_eq!(timeless(&late.text()), text);
    assert!(late.text().contains(&format!("yours shows {}", super::super::table::moment(time))));
    assert_eq!(scene.all(LOCAL, "/devices", "name"), [""; 0]);
}

#[test]
fn a_revoked_device_does_not_come_back_by_asking_again() {
    let mut scene = Scene::new();
    let (_, subject) = scene.invite(Rights::READ_WRITE);
    let own = own_secret();
    let joined = scene.ask(subject, join_request(&own, "laptop"));
    let id = to_hex(&JoinAnswer::decode(&joined.payload).unwrap().id);
    assert_eq!(scene.local(request(Code::DELETE, &format!("/devices/{id}"))).code, Code::DELETED);
    let again = scene.ask(subject, join_request(&own, "laptop"));
    let text = "the device that joined with this invite was revoked, at T; ask for a new invite";
    assert_eq!((again.code, timeless(&again.text()).as_str()), (Code::FORBIDDEN, text));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut scene = Scene::new();
    let names: Vec<_> = (0..3).map(|_| scene.join("laptop", Rights::READ_WRITE).0.name).collect();
    assert_eq!(names, ["laptop", "laptop 2", "laptop 3"]);
    assert_eq!(scene.join("server", Rights::READ_WRITE).0.name, "server 2");
    let long = "水".repeat(21);
    assert_eq!(scene.join(&long, Rights::READ_WRITE).0.name, long);
    assert_eq!(scene.join(&long, Rights::READ_WRITE).0.name, format!("{} 2", "水".repeat(20)));

    // Its notes have the name still.
    let id = scene.all(LOCAL, "/devices", "id")[1].clone();
    scene.local(request(Code::DELETE, &format!("/devices/{id}")));
    assert_eq!(scene.join("laptop 2", Rights::READ_WRITE).0.name, "laptop 2 2");

    // Elsewhere it is free; and the name in an invite goes before the device's own.
    let wanted = InviteRequest {
        journal: Some("family".to_owned()),
        rights: Rights::READ_WRITE,
        lasts: None,
        name: Some("laptop".to_owned()),
    };
    let invite = scene.invite_as(LOCAL, &wanted);
    let subject = scene.of(&invite.id);
    let joined = scene.ask(subject, join_request(&own_secret(), "whatever"));
    let joined = JoinAnswer::decode(&joined.payload).unwrap();
    assert_eq!((joined.name.as_str(), joined.journal.as_str()), ("laptop", "family"));
}

#[test]
fn a_journal_is_made_by_the_first_invite_to_it_and_by_the_owner_alone() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = |journal: &str| InviteRequest {
        journal: Some(journal.to_owned()),
        rights: Rights::READ_WRITE,
        lasts: Some(3600),
        name: None,
    };
    assert!(scene.invite_as(LOCAL, &wanted("family")).is_new_journal);
    let second = scene.invite_as(LOCAL, &wanted("family"));
    assert_eq!((second.is_new_journal, second.expires - second.time), (false, HOUR));
    assert_eq!(scene.all(LOCAL, "/journals", "name"), ["notes", "family"]);
    assert!(scene.all(LOCAL, "/audit", "what").contains(&"journal-added".to_owned()));

    let text =
        "this device manages its own journal, \"notes\", and no other; ask the owner of the server";
    for journal in ["family", "nowhere"] {
        let response = scene.ask(admin, post("/invites", wanted(journal).encode()));
        refused(&response, Code::FORBIDDEN, text);
        let foreign = ForeignRequest {
            journal: Some(journal.to_owned()),
            rights: Rights::DROP,
            name: "sensor".to_owned(),
        };
        let response = scene.ask(admin, post("/devices", foreign.encode()));
        refused(&response, Code::FORBIDDEN, text);
    }
    assert!(!scene.invite_as(admin, &wanted("notes")).is_new_journal);
    let bad = scene.local(post("/invites", wanted(" family").encode()));
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    refused(&bad, Code::BAD_REQUEST, text);
}

#[test]
fn an_admin_sees_and_manages_its_own_journal_and_the_owner_all() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = InviteRequest {
        journal: Some("family".to_owned()),
        rights: Rights::ALL,
        lasts: None,
        name: None,
    };
    let family = scene.invite_as(LOCAL, &wanted);
    let subject = scene.of(&family.id);
    let tablet = scene.ask(subject, join_request(&own_secret(), "tablet"));
    let tablet = to_hex(&JoinAnswer::decode(&tablet.payload).unwrap().id);

    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop", "tablet"]);
    assert_eq!(scene.all(admin, "/devices", "name"), ["laptop"]);
    assert_eq!(scene.all(LOCAL, "/invites", "journal"), ["notes", "family"]);
    assert_eq!(scene.all(admin, "/invites", "journal"), ["notes"]);
    assert_eq!(scene.all(LOCAL, "/journals", "name"), ["notes", "family"]);
    assert_eq!(scene.all(admin, "/journals", "name"), ["notes"]);
    assert_eq!(
        scene.all(LOCAL, "/audit", "journal"),
        ["notes", "notes", "family", "family", "family"]
    );
    assert_eq!(scene.all(admin, "/audit", "journal"), ["notes", "notes"]);
    assert_eq!(scene.all(admin, "/audit?limit=1", "what"), ["joined"]);
    assert_eq!(scene.all(LOCAL, "/audit?limit=2", "what"), ["invited", "joined"]);

    let path = format!("/devices/{tablet}");
    let text = format!("there is no device {tablet}; /devices lists them");
    for foreign in [request(Code::DELETE, &path), request(Code::PUT, &path).payload("mine")] {
        refused(&scene.ask(admin, foreign), Code::NOT_FOUND, &text);
    }
    let withdrawn =
        scene.ask(admin, request(Code::DELETE, &format!("/invites/{}", to_hex(&family.id))));
    assert_eq!(withdrawn.code, Code::DELETED);
    assert_eq!(scene.all(LOCAL, "/invites", "journal"), ["notes", "family"]);
    assert_eq!(scene.local(request(Code::DELETE, &path)).code, Code::DELETED);
}

#[test]
fn only_an_admin_administers_and_an_invite_is_good_for_joining_alone() {
    let mut scene = Scene::new();
    let (_, writer) = scene.join("laptop", Rights::READ_WRITE);
    let (_, invite) = scene.invite(Rights::READ_WRITE);
    let anyone = Caller::anyone(SocketAddr::from(([127, 0, 0, 1], 9)));
    let requests = || {
        let lists = ["/devices", "/invites", "/journals", "/audit"].map(get);
        let posts = ["/devices", "/invites"].map(|path| post(path, Vec::new()));
        let one = [
            request(Code::PUT, "/devices/00"),
            request(Code::DELETE, "/devices/00"),
            request(Code::DELETE, "/invites/00"),
        ];
        lists.into_iter().chain(posts).chain(one)
    };
    for request in requests() {
        let path = request.path_segments();
        assert_eq!(scene.ask(writer, request.clone()).code, Code::FORBIDDEN, "{path:?}");
        assert_eq!(scene.ask(invite, request.clone()).code, Code::FORBIDDEN, "{path:?}");
        assert_eq!(scene.ask_as(&anyone, request).code, Code::FORBIDDEN, "{path:?}");
    }
    for subject in [writer, LOCAL] {
        let response = scene.ask(subject, join_request(&own_secret(), "again"));
        assert_eq!(response.code, Code::FORBIDDEN);
    }
    assert_eq!(scene.ask_as(&anyone, join_request(&own_secret(), "x")).code, Code::FORBIDDEN);
}

#[test]
fn a_device_is_renamed_and_the_name_is_its_own() {
    let mut scene = Scene::new();
    let (laptop, _) = scene.join("laptop", Rights::READ_WRITE);
    scene.join("phone", Rights::READ_WRITE);
    let path = format!("/devices/{}", to_hex(&laptop.id));
    let to = |name: &str| request(Code::PUT, &path).payload(name.to_owned());
    let renamed = scene.local(to("办公室"));
    refused(&renamed, Code::CHANGED, "laptop is now called 办公室");
    refused(&scene.local(to("办公室")), Code::CHANGED, "办公室 is now called 办公室");
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["办公室", "phone"]);
    assert_eq!(scene.store.access().unwrap().devices[0].name, "办公室");
    let text = "a device of this journal is called \"phone\" already; choose another name";
    refused(&scene.local(to("phone")), Code::CONFLICT, text);
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    refused(&scene.local(to("a\nb")), Code::BAD_REQUEST, text);
    let not_utf8 = request(Code::PUT, &path).payload(vec![0xff]);
    refused(&scene.local(not_utf8), Code::BAD_REQUEST, "the name is not UTF-8");
    assert_eq!(scene.all(LOCAL, "/audit", "what")[4..], ["renamed"]);
    assert_eq!(scene.all(LOCAL, "/audit", "detail")[4], "was laptop, by the owner");

    scene.local(request(Code::DELETE, &path));
    let response = scene.local(to("laptop"));
    let text = "this device was revoked, at T, and keeps its name";
    assert_eq!((response.code, timeless(&response.text()).as_str()), (Code::CONFLICT, text));
}

#[test]
fn a_device_is_revoked_once_and_an_admin_may_revoke_itself() {
    let mut scene = Scene::new();
    let (laptop, admin) = scene.join("laptop", Rights::ALL);
    let path = format!("/devices/{}", to_hex(&laptop.id));
    let response = scene.ask(admin, request(Code::DELETE, &path));
    refused(&response, Code::DELETED, "laptop is revoked; its notes stay");
    let again = scene.local(request(Code::DELETE, &path));
    assert_eq!(again.code, Code::DELETED);
    assert_eq!(timeless(&again.text()), "laptop was revoked already, at T");
    assert!(scene.store.access().unwrap().devices[0].revoked.is_some());
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "joined", "revoked"]);
    assert_eq!(scene.all(LOCAL, "/audit", "detail")[2], "by laptop");

    let text = "this is the server's own device, which cannot be renamed or revoked";
    let local = format!("/devices/{}", to_hex(b"loca"));
    for own in [request(Code::DELETE, &local), request(Code::PUT, &local).payload("x")] {
        refused(&scene.local(own), Code::FORBIDDEN, text);
    }
    refused(
        &scene.local(request(Code::DELETE, "/devices/laptop")),
        Code::NOT_FOUND,
        "there is no device laptop; /devices lists them",
    );
}

#[test]
fn an_invite_that_is_withdrawn_opens_nothing() {
    let mut scene = Scene::new();
    let (invite, subject) = scene.invite(Rights::READ_WRITE);
    let path = format!("/invites/{}", to_hex(&invite.id));
    for text in ["is withdrawn", "there is no invite"] {
        let response = scene.local(request(Code::DELETE, &path));
        assert_eq!(response.code, Code::DELETED);
        assert!(response.text().contains(text), "{}", response.text());
    }
    let address = SocketAddr::from(([192, 0, 2, 7], 40112));
    assert!(scene.registry.caller(subject, address).is_none());
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "withdrawn"]);
}

#[test]
fn a_foreign_client_gets_a_context_that_is_told_once() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() };
    let response = scene.ask(admin, post("/devices", wanted.encode()));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let answer = ForeignAnswer::decode(&response.payload).unwrap();
    assert_eq!(answer.server_id, b"s");
    let row = scene.registry.device_by_id(&to_hex(&answer.id)).unwrap();
    assert_eq!(*row.secret, answer.secret);
    assert_eq!(row.salt.as_deref(), Some(&answer.salt[..]));
    assert_eq!((row.rights, row.name.as_str()), (Rights::DROP, "sensor"));
    assert_eq!(scene.store.access().unwrap().devices[1].salt, Some(answer.salt.to_vec()));
    assert_eq!(scene.json(LOCAL, "/devices")["devices"][1]["foreign"], true);
    assert_eq!(scene.all(LOCAL, "/audit", "what")[2..], ["exported"]);

    let text = "a device of this journal is called \"sensor\" already; choose another name";
    refused(&scene.local(post("/devices", wanted.encode())), Code::CONFLICT, text);
    let nowhere = ForeignRequest { journal: Some("nowhere".to_owned()), ..wanted };
    let text = "there is no journal \"nowhere\"; an invite to it makes it";
    refused(&scene.local(post("/devices", nowhere.encode())), Code::NOT_FOUND, text);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut scene = Scene::new();
    let wanted = |lasts, name: Option<&str>| {
        let name = name.map(str::to_owned);
        InviteRequest { journal: None, rights: Rights::READ_WRITE, lasts: Some(lasts), name }
    };
    for lasts in [0, 59, 7 * 24 * 3600 + 1, u64::MAX] {
        let text = format!("an invite lasts 60 to 604800 seconds (7 days), not {lasts}");
        let response = scene.local(post("/invites", wanted(lasts, None).encode()));
        refused(&response, Code::BAD_REQUEST, &text);
    }
    for lasts in [60, 7 * 24 * 3600] {
        scene.invite_as(LOCAL, &wanted(lasts, None));
    }
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    let named = wanted(60, Some("\u{1b}[2J"));
    refused(&scene.local(post("/invites", named.encode())), Code::BAD_REQUEST, text);
    refused(
        &scene.local(post("/invites", vec![0xa0])),
        Code::BAD_REQUEST,
        "the request cannot be read: the version of the request is missing",
    );
    let json = post("/invites", b"{}".to_vec()).content_format(ContentFormat::JSON);
    refused(
        &scene.local(json),
        Code::UNSUPPORTED_CONTENT_FORMAT,
        "format 50 is not taken; send 60 (application/cbor)",
    );
    refused(
        &scene.local(get("/devices").accept(ContentFormat::CBOR)),
        Code::NOT_ACCEPTABLE,
        "format 60 is not offered; there is 0 (text/plain), 50 (application/json), 63 (application/cbor-seq)",
    );
    refused(
        &scene.local(get("/audit?limit=many")),
        Code::BAD_REQUEST,
        "limit=\"many\" is no number of entries",
    );

    let (_, subject) = scene.invite(Rights::READ_WRITE);
    refused(&scene.ask(subject, join_request(&own_secret(), "")), Code::BAD_REQUEST, text);
    // A point of small order: the shared value would be zero whatever our key is.
    let none = JoinRequest { public: [0; 32], name: "laptop".to_owned(), time: clock::millis() };
    refused(
        &scene.ask(subject, post("/join", none.encode())),
        Code::BAD_REQUEST,
        "this public key is no good (RFC 7748, section 6.1); join with a newer program",
    );
    assert_eq!(scene.all(LOCAL, "/devices", "name"), [""; 0]);
    // The invite is as good as before.
    assert_eq!(scene.ask(subject, join_request(&own_secret(), "laptop")).code, Code::CREATED);
}

#[test]
fn cbor_says_the_same_as_json() {
    let mut scene = Scene::new();
    scene.join("laptop", Rights::READ_WRITE);
    scene.join("sensor", Rights::DROP);
    let mut cbor = |path: &str| {
        let response = scene.local(get(path).accept(ContentFormat::CBOR_SEQ));
        assert_eq!(response.format(), Some(ContentFormat::CBOR_SEQ));
        response.payload
    };
    let devices = decode_devices(&cbor("/devices")).unwrap();
    let invites = decode_invites(&cbor("/invites")).unwrap();
    let audit = decode_audit(&cbor("/audit")).unwrap();
    let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
    assert_eq!(names, scene.all(LOCAL, "/devices", "name"));
    let ids: Vec<_> = invites.iter().map(|invite| invite.id.clone()).collect();
    assert_eq!(ids, scene.all(LOCAL, "/invites", "id"));
    let details: Vec<_> = audit.iter().map(|entry| entry.detail.clone()).collect();
    assert_eq!(details, scene.all(LOCAL, "/audit", "detail"));
    assert_eq!(devices[1].rights, Rights::DROP);
}

#[test]
fn no_secret_is_in_a_list_or_in_the_trail() {
    let mut scene = Scene::new();
    let (invite, _) = scene.invite(Rights::READ_WRITE);
    scene.join("laptop", Rights::ALL);
    let foreign = ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() };
    let answer = scene.local(post("/devices", foreign.encode()));
    let answer = ForeignAnswer::decode(&answer.payload).unwrap();
    let kept = scene.store.access().unwrap();
    let secrets: Vec<Vec<u8>> = kept
        .devices
        .iter()
        .map(|row| row.secret.to_vec())
        .chain([invite.secret.to_vec(), answer.secret.to_vec(), answer.salt.to_vec()])
        .collect();
    for path in ["/devices", "/invites", "/journals", "/audit"] {
        for format in [ContentFormat::TEXT_PLAIN, ContentFormat::JSON, ContentFormat::CBOR_SEQ] {
            let payload = scene.local(get(path).accept(format)).payload;
            for secret in &secrets {
                assert!(!payload.windows(secret.len()).any(|window| window == secret), "{path}");
                assert!(!String::from_utf8_lossy(&payload).contains(&to_hex(secret)), "{path}");
            }
        }
    }
}

const PROTOCOL: &str = include_str!("../../../../../docs/protocol.md");

/// The block of this name in the documentation.
fn block(name: &str) -> &str {
    let (_, rest) = PROTOCOL.split_once(&format!("```{name}\n")).expect(name);
    rest.split_once("```").unwrap().0
}

/// The time that the server's clock shows so.
fn at(text: &str) -> i64 {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    civil.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_millisecond()
}

#[test]
fn the_documentation_shows_the_json_shapes() {
    let mut scene = Scene::new();
    let wanted = InviteRequest {
        journal: None,
        rights: Rights::READ_WRITE,
        lasts: None,
        name: Some("小米手机".to_owned()),
    };
    scene.invite_as(LOCAL, &wanted);
    let (laptop, _) = scene.join("laptop", Rights::READ_WRITE);
    scene.local(request(Code::DELETE, &format!("/devices/{}", to_hex(&laptop.id))));
    for (path, list) in [
        ("/devices", "devices"),
        ("/invites", "invites"),
        ("/journals", "journals"),
        ("/audit", "entries"),
    ] {
        let (_, rest) = PROTOCOL.split_once(&format!("- `{path}`: `")).unwrap();
        let documented: Value = serde_json::from_str(rest.split_once('`').unwrap().0).unwrap();
        let page = scene.json(LOCAL, path);
        assert_eq!(page["version"], documented["version"]);
        assert_eq!(kinds(&page[list][0]), kinds(&documented[list][0]), "{path}");
        assert_eq!(documented.as_object().unwrap().len(), 2);
    }
}

/// The members of an object, each with its kind.
fn kinds(value: &Value) -> Vec<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), kind(value))).collect()
}

#[test]
fn the_documentation_shows_the_tables() {
    use suibi_journal::{DeviceInfo, InviteInfo};
    let device = |id: &str, name: &str, rights, joined| DeviceInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        journal: "notes".to_owned(),
        rights,
        joined: at(joined),
        seen: None,
        revoked: None,
        foreign: false,
    };
    let devices = [
        DeviceInfo {
            seen: Some(at("2026-11-23T12:04")),
            ..device("07d1e2c3", "laptop", Rights::READ_WRITE, "2026-11-23T09:05")
        },
        DeviceInfo {
            revoked: Some(at("2026-11-23T11:30")),
            ..device("5e0c91fa", "小米手机", Rights::READ_WRITE, "2026-11-23T09:10")
        },
        DeviceInfo {
            seen: Some(at("2026-11-23T12:05")),
            foreign: true,
            ..device("a1b2c3d4", "sensor", Rights::DROP, "2026-11-23T09:12")
        },
    ];
    assert_eq!(super::super::devices::text(&devices), block("devices.txt"));

    let invite = |id: &str, rights, made, expires| InviteInfo {
        id: id.to_owned(),
        journal: "notes".to_owned(),
        rights,
        name: None,
        made: at(made),
        expires: at(expires),
        used: None,
    };
    let invites = [
        InviteInfo {
            used: Some(at("2026-11-23T09:06")),
            ..invite("07d1e2c3", Rights::READ_WRITE, "2026-11-23T09:05", "2026-11-23T09:20")
        },
        InviteInfo {
            journal: "family".to_owned(),
            name: Some("小米手机".to_owned()),
            ..invite("5e0c91fa", Rights::READ_WRITE, "2026-11-23T12:04", "2026-11-23T12:19")
        },
        invite("a1b2c3d4", Rights::DROP, "2026-11-22T12:00", "2026-11-22T12:15"),
    ];
    let now = at("2026-11-23T12:05");
    assert_eq!(super::super::invites::text(&invites, now), block("invites.txt"));

    let entry = |time, what, device: &str, address: &str, detail: &str| AuditEntry {
        at: at(time),
        what,
        device: device.to_owned(),
        journal: "family".to_owned(),
        address: address.to_owned(),
        detail: detail.to_owned(),
    };
    let used = "this invite was used already, at 2026-11-23 12:05:02 +08:00";
    let entries = [
        entry(
            "2026-11-23T12:04:31",
            AuditKind::Invited,
            "小米手机",
            "127.0.0.1:40112",
            "invite 5e0c91fa, read,write, until 2026-11-23 12:19, by the owner",
        ),
        entry(
            "2026-11-23T12:05:02",
            AuditKind::Joined,
            "小米手机",
            "192.0.2.7:40112",
            "with invite 5e0c91fa, read,write",
        ),
        entry(
            "2026-11-23T12:06:40",
            AuditKind::Refused(used.to_owned()),
            "小米手机",
            "192.0.2.9:51000",
            "",
        ),
        entry(
            "2026-11-23T12:30:00",
            AuditKind::Renamed,
            "Xiaomi",
            "127.0.0.1:40117",
            "was 小米手机, by the owner",
        ),
    ];
    assert_eq!(super::super::audit::text(&entries), block("audit.txt"));
}

#[test]
fn a_list_without_anything_says_so() {
    let mut scene = Scene::new();
    assert_eq!(scene.local(get("/devices")).text(), "no devices yet\n");
    assert_eq!(scene.local(get("/invites")).text(), "no invites\n");
    assert_eq!(scene.local(get("/audit")).text(), "");
    assert_eq!(scene.local(get("/journals")).text(), "NAME   DEVICES\nnotes  0\n");
}
