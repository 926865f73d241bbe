//! The resources of the registry without a transport: who is let in, who is told what, and what is kept of it.

mod devices;
mod invites;
mod join;
mod lists;
mod rights;

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
use crate::clock::Clock;
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
        let about = About::new(Instant::now(), "server".to_owned(), data_dir, Clock::System);
        let reader = store.reader().unwrap();
        Self { store, reader, registry, about, _dir: dir }
    }

    fn caller(&mut self, subject: Subject) -> Caller {
        let address = SocketAddr::from(([192, 0, 2, 7], 40112));
        self.registry.caller(Clock::System.millis(), subject, address).unwrap()
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
        if let Err(problem) = route.admit(caller) {
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
        let now = Clock::System.millis();
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
    let time = Clock::System.millis();
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
