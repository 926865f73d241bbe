//! From an invite to a device, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use suibi_coap::{
    Binding, Code, ContentFormat, OptionNumber, Peer, Protection, ProtectionError, Request,
    Response, UnprotectedRequest, UnprotectedResponse,
};
use suibi_journal::Rights;
use suibi_journal::admission::{
    ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest, JoinAnswer, JoinRequest,
};
use suibi_oscore::{
    ClientContext, Context, JoinSecret, KeyId, OscoreOption, Parameters, RequestId, Secret,
    Transcript, credential, invite_key,
};
use support::{Client, Credential, PATIENCE, Running, protected, random};

fn post(path: &str, payload: Vec<u8>) -> Request {
    Request::new(Code::POST).path(path).content_format(ContentFormat::CBOR).payload(payload)
}

/// An invite of the owner's.
#[track_caller]
fn invite(server: &Running) -> InviteAnswer {
    let request =
        InviteRequest { journal: None, rights: Rights::READ_WRITE, lasts: None, name: None };
    let response = server.owner().ask(post("/invites", request.encode()));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    InviteAnswer::decode(&response.payload).unwrap()
}

/// Somebody who was given the line.
fn holder(server: &Running, invite: &InviteAnswer) -> Client {
    let id = KeyId::from_slice(&invite.id).unwrap();
    let key = invite_key(&Secret::from_bytes(&invite.secret).unwrap());
    server.device(&ClientContext::new(id, key, None, random()))
}

fn join_request(own: &JoinSecret, name: &str) -> Request {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    post("/join", JoinRequest { public: own.public(), name: name.to_owned(), time }.encode())
}

/// What the joiner makes of the answer.
#[track_caller]
fn joined(invite: &InviteAnswer, own: &JoinSecret, response: &Response) -> (Credential, [u8; 8]) {
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let answer = JoinAnswer::decode(&response.payload).unwrap();
    let id = KeyId::from_slice(&answer.id).unwrap();
    let transcript = Transcript {
        invite: KeyId::from_slice(&invite.id).unwrap(),
        device: id,
        joiner: own.public(),
        server: answer.public,
    };
    let secret = Secret::from_bytes(&invite.secret).unwrap();
    let secret = credential(&secret, own, &answer.public, &transcript).unwrap();
    (Credential { id, secret }, answer.epoch)
}

#[test]
fn a_device_joins_and_its_first_note_takes_one_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(protected(dir.path()));
    let invite = invite(&server);
    let own = JoinSecret::from_bytes(random());
    let mut joiner = holder(&server, &invite);
    let response = joiner.ask(join_request(&own, "小米手机"));
    assert_eq!(joiner.sent, 2, "a joiner knows no R2 yet");
    let (phone, epoch) = joined(&invite, &own, &response);
    let mut phone = server.device(&phone.process(Some(epoch)));
    phone.post("第一条");
    assert_eq!(phone.sent, 1);
    assert_eq!(phone.texts(), ["第一条"]);
    // The invite is good for nothing else, then and later.
    assert_eq!(joiner.get("/notes").code, Code::FORBIDDEN);
    let devices = server.owner().get("/devices").text();
    assert!(devices.contains("小米手机  read,write  notes"), "{devices}");
}

#[test]
fn of_two_who_use_one_invite_at_once_one_joins() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(protected(dir.path()));
    let invite = invite(&server);
    let mut holders = [(); 2].map(|()| {
        let mut holder = holder(&server, &invite);
        let id = holder.send(join_request(&JoinSecret::from_bytes(random()), "laptop"));
        (holder, id)
    });
    let mut codes = holders.each_mut().map(|(holder, id)| holder.answer(*id).code);
    codes.sort_unstable_by_key(|code| code.byte());
    assert_eq!(codes, [Code::CREATED, Code::CONFLICT]);
    let devices = server.owner().get("/devices").text();
    assert_eq!(devices.lines().count(), 2, "{devices}");
    // A refusal is written down after it is said.
    let mut owner = server.owner();
    let told = Instant::now();
    while !owner.get("/audit").text().contains("this invite was used already") {
        assert!(told.elapsed() < PATIENCE, "{}", owner.get("/audit").text());
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(protected(dir.path()));
    let invite = invite(&server);
    let own = JoinSecret::from_bytes(random());
    let lost = holder(&server, &invite).ask(join_request(&own, "laptop"));
    let (lost, _) = joined(&invite, &own, &lost);
    server.stop();

    let server = Running::start(protected(dir.path()));
    let again = holder(&server, &invite).ask(join_request(&own, "laptop"));
    let (laptop, epoch) = joined(&invite, &own, &again);
    assert_eq!((laptop.id, &laptop.secret), (lost.id, &lost.secret));
    let mut laptop = server.device(&laptop.process(Some(epoch)));
    laptop.post("here I am");
    assert_eq!(laptop.sent, 1, "the R2 in the answer is of the new server");
    let thief = JoinSecret::from_bytes(random());
    let response = holder(&server, &invite).ask(join_request(&thief, "thief"));
    assert_eq!(response.code, Code::CONFLICT);
}

#[test]
fn a_withdrawn_invite_gets_silence() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(protected(dir.path()));
    let invite = invite(&server);
    let id: String = invite.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let withdraw = Request::new(Code::DELETE).path(&format!("/invites/{id}"));
    assert_eq!(server.owner().ask(withdraw).code, Code::DELETED);
    let mut late = holder(&server, &invite);
    let asked = late.send(join_request(&JoinSecret::from_bytes(random()), "late"));
    late.expect_silence(asked);
}

/// A client that knows RFC 8613 and nothing of suibi: one context for ever.
#[derive(Debug)]
struct Foreign {
    context: Context,
    asked: BTreeMap<u64, RequestId>,
}

impl Foreign {
    fn new(told: &ForeignAnswer, next: u64) -> Self {
        let context = Context::derive(&Parameters {
            secret: &Secret::from_bytes(&told.secret).unwrap(),
            salt: &told.salt,
            id_context: None,
            sender: KeyId::from_slice(&told.id).unwrap(),
            recipient: KeyId::from_slice(&told.server_id).unwrap(),
        });
        Self { context: context.with_next(next), asked: BTreeMap::new() }
    }
}

impl Protection for Foreign {
    fn protect_request(
        &mut self,
        _: Instant,
        _: Peer,
        request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        let (outer, id) = self.context.protect_request(&request, false).unwrap();
        self.asked.insert(id.piv, id);
        Ok((outer, Binding { context: 0, request: id.piv, state: 0 }))
    }

    fn unprotect_response(
        &mut self,
        _: Instant,
        _: Peer,
        binding: &mut Binding,
        response: Response,
    ) -> UnprotectedResponse {
        let asked = self.asked[&binding.request];
        match self.context.unprotect_response(&response, asked, None) {
            Ok((response, _)) => UnprotectedResponse::Response(response),
            Err(_) => UnprotectedResponse::Ignore,
        }
    }

    fn unprotect_request(&mut self, _: Instant, _: Peer, request: Request) -> UnprotectedRequest {
        assert!(OscoreOption::of(&request.options).is_none(), "nobody asks a client");
        UnprotectedRequest::Ignore
    }

    fn protect_response(
        &mut self,
        _: Instant,
        _: &mut Binding,
        _: Response,
        _: Option<u32>,
    ) -> Option<Response> {
        None
    }
}

#[test]
fn a_foreign_client_uses_what_it_was_told_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(protected(dir.path()));
    let request = ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() };
    let response = server.owner().ask(post("/devices", request.encode()));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let told = ForeignAnswer::decode(&response.payload).unwrap();
    let write = |server: &Running, next, text: &str| {
        let mut sensor = server.client_with(Box::new(Foreign::new(&told, next)));
        sensor.post(text);
        assert_eq!(sensor.sent, 2, "asked, and asked again with the echo");
        assert_eq!(sensor.get("/notes").code, Code::FORBIDDEN);
    };
    write(&server, 0, "21 degrees");
    server.stop();
    let server = Running::start(protected(dir.path()));
    write(&server, 10, "22 degrees");
    let notes =
        server.owner().ask(Request::new(Code::GET).path("/notes").accept(ContentFormat::JSON));
    assert!(notes.options.get(OptionNumber::ECHO).is_none());
    assert_eq!(notes.text().matches("\"source\":\"sensor\"").count(), 2, "{}", notes.text());
    assert_eq!(server.owner().texts(), ["21 degrees", "22 degrees"]);
}
