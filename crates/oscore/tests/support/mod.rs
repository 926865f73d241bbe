//! Clients and servers without a network, and a recorder of everything they protect.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use suibi_coap::{
    Binding, Code, OptionNumber, Peer, Protection, Request, Response, Subject, UnprotectedRequest,
    UnprotectedResponse,
};
use suibi_oscore::{
    ClientContext, ContextLimits, FixedContext, KeyId, OscoreOption, SERVER_ID, Secret,
    ServerContexts,
};

/// Any moment; the tests count from it.
pub fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    Instant::now()
}

pub fn peer() -> Peer {
    Peer::from(SocketAddr::from(([127, 0, 0, 1], 5683)))
}

pub fn id(name: &str) -> KeyId {
    KeyId::from_slice(name.as_bytes()).unwrap()
}

/// The credential of this name.
pub fn secret(name: &str) -> Secret {
    let mut bytes = [0x5e; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Secret::from_bytes(&bytes).unwrap()
}

pub fn option(options: &suibi_coap::Options) -> OscoreOption {
    OscoreOption::of(options).expect("protected").expect("well formed")
}

/// A request whose body tells it from all others.
pub fn note(text: &str) -> Request {
    Request::new(Code::POST).path("/notes").payload(text.to_owned())
}

/// Everything that goes into a cipher besides the plaintext: which key, which nonce.
///
/// A key follows from the credential, the ID Context and the sender's id (RFC 8613 §3.2.1), a nonce
/// from an id and a Partial IV (§5.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyAndNonce {
    kid: Vec<u8>,
    id_context: Vec<u8>,
    sender: Vec<u8>,
    nonce_id: Vec<u8>,
    partial_iv: u64,
}

/// Fails the test when anything is protected under a key and nonce that were used before, no
/// matter by which process and in which life of it.
#[derive(Default)]
pub struct Recorder {
    seen: BTreeMap<KeyAndNonce, Bytes>,
}

impl Recorder {
    pub fn request(&mut self, outer: &Request) {
        let option = option(&outer.options);
        let kid = option.kid.unwrap().as_slice().to_vec();
        self.note(
            KeyAndNonce {
                kid: kid.clone(),
                id_context: id_context(&option),
                sender: kid.clone(),
                nonce_id: kid,
                partial_iv: option.partial_iv.unwrap(),
            },
            &outer.payload,
        );
    }

    /// An answer to that request, as both travel.
    pub fn response(&mut self, request: &Request, outer: &Response) {
        let asked = option(&request.options);
        let answered = option(&outer.options);
        let kid = asked.kid.unwrap().as_slice().to_vec();
        let server = SERVER_ID.as_slice().to_vec();
        let mut id_context = id_context(&asked);
        if let Some(epoch) = &answered.kid_context {
            id_context.splice(0..0, epoch.as_slice().iter().copied());
        }
        let (nonce_id, partial_iv) = match answered.partial_iv {
            Some(own) => (server.clone(), own),
            None => (kid.clone(), asked.partial_iv.unwrap()),
        };
        self.note(
            KeyAndNonce { kid, id_context, sender: server, nonce_id, partial_iv },
            &outer.payload,
        );
    }

    fn note(&mut self, key_and_nonce: KeyAndNonce, ciphertext: &Bytes) {
        let before = self.seen.insert(key_and_nonce.clone(), ciphertext.clone());
        assert_eq!(before, None, "a key and nonce used twice: {key_and_nonce:x?}, {ciphertext:x?}");
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }
}

fn id_context(option: &OscoreOption) -> Vec<u8> {
    option.kid_context.as_ref().map(|context| context.as_slice().to_vec()).unwrap_or_default()
}

/// Everybody's tests look at everything that was protected, and at everything that was carried out.
#[derive(Default)]
pub struct World {
    pub recorder: Recorder,
    /// Requests that were carried out, by what names them on the wire.
    carried_out: BTreeSet<(Vec<u8>, Vec<u8>, u64)>,
    pub bodies: Vec<String>,
    seed: u64,
}

/// A server in one life.
pub struct Server {
    pub contexts: ServerContexts,
    pub protection: Box<dyn Protection>,
    pub now: Instant,
}

/// A client process.
pub struct Client {
    pub context: ClientContext,
    pub protection: Box<dyn Protection>,
    pub now: Instant,
}

/// A request on its way, with what its sender keeps of it.
#[derive(Clone)]
pub struct Sent {
    pub outer: Request,
    pub binding: Binding,
    pub plain: Request,
}

/// What a server does about a request.
#[derive(Debug)]
pub enum Did {
    /// Carried out, with what is needed to answer.
    CarriedOut(Binding),
    /// Not carried out, but answered.
    Answered(Response),
    Nothing,
}

impl Did {
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub fn is_carried_out(&self) -> bool {
        matches!(self, Self::CarriedOut(_))
    }

    pub fn answer(self) -> Response {
        match self {
            Self::Answered(response) => response,
            other => panic!("{other:?}"),
        }
    }
}

impl World {
    /// Bytes that never come twice, as those of the system's randomness.
    pub fn seed(&mut self) -> [u8; 32] {
        self.seed += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed
    }

    /// A server that starts now and knows these devices.
    pub fn server(&mut self, names: &[&str]) -> Server {
        self.server_with(names, ContextLimits::default())
    }

    pub fn server_with(&mut self, names: &[&str], limits: ContextLimits) -> Server {
        let contexts = ServerContexts::with_limits(self.seed(), limits);
        for (number, name) in names.iter().enumerate() {
            contexts.add_paired(Subject(number as u64), id(name), secret(name));
        }
        Server { protection: contexts.protection(), contexts, now: start() }
    }

    /// A server that starts now and knows this foreign client.
    pub fn server_of(&mut self, fixed: FixedContext) -> Server {
        let contexts = ServerContexts::new(self.seed());
        contexts.add_fixed(Subject(0), fixed);
        Server { protection: contexts.protection(), contexts, now: start() }
    }

    /// A process of that device that starts now.
    pub fn client(&mut self, name: &str, epoch: Option<[u8; 8]>) -> Client {
        let context = ClientContext::new(id(name), secret(name), epoch, self.seed());
        Client { protection: context.protection(), context, now: start() }
    }

    pub fn send(&mut self, client: &mut Client, request: Request) -> Sent {
        let (outer, binding) =
            client.protection.protect_request(client.now, peer(), request.clone()).unwrap();
        self.recorder.request(&outer);
        Sent { outer, binding, plain: request }
    }

    /// Hands a request to the server, as it comes from the wire.
    pub fn deliver(&mut self, server: &mut Server, outer: &Request) -> Did {
        match server.protection.unprotect_request(server.now, peer(), outer.clone()) {
            UnprotectedRequest::Request { request, binding, .. } => {
                let named = option(&outer.options);
                let name = (
                    named.kid.unwrap().as_slice().to_vec(),
                    id_context(&named),
                    named.partial_iv.unwrap(),
                );
                let is_first = self.carried_out.insert(name);
                assert!(is_first, "carried out twice: {outer:?}");
                self.bodies.push(String::from_utf8(request.payload.to_vec()).unwrap());
                Did::CarriedOut(binding)
            }
            UnprotectedRequest::Respond(response) => {
                if response.options.has(OptionNumber::OSCORE) {
                    self.recorder.response(outer, &response);
                }
                Did::Answered(response)
            }
            UnprotectedRequest::Ignore => Did::Nothing,
        }
    }

    /// The server's answer to a request that it carried out.
    pub fn answer(
        &mut self,
        server: &mut Server,
        outer: &Request,
        binding: &mut Binding,
        mut response: Response,
        observe: Option<u32>,
    ) -> Option<Response> {
        if let Some(observe) = observe {
            response.options.set_uint(OptionNumber::OBSERVE, observe);
        }
        let protected =
            server.protection.protect_response(server.now, binding, response, observe)?;
        self.recorder.response(outer, &protected);
        Some(protected)
    }

    /// Delivers a request and answers it, with its own body.
    pub fn serve(&mut self, server: &mut Server, outer: &Request) -> Option<Response> {
        match self.deliver(server, outer) {
            Did::CarriedOut(mut binding) => {
                let body = self.bodies.last().unwrap().clone();
                let response = Response::new(Code::CHANGED).payload(body);
                self.answer(server, outer, &mut binding, response, None)
            }
            Did::Answered(response) => Some(response),
            Did::Nothing => None,
        }
    }

    /// Asks until there is an answer; how many round trips that took.
    pub fn ask(&mut self, client: &mut Client, server: &mut Server, text: &str) -> usize {
        for round_trips in 1..=4 {
            let mut sent = self.send(client, note(text));
            let response = self.serve(server, &sent.outer).expect("an answer");
            match client.receive(&mut sent, &response) {
                UnprotectedResponse::Response(response) => {
                    assert_eq!((response.code, response.text()), (Code::CHANGED, text.to_owned()));
                    return round_trips;
                }
                UnprotectedResponse::Repeat => {}
                UnprotectedResponse::Ignore => panic!("ignores {response:?}"),
            }
        }
        panic!("never an answer");
    }
}

impl Server {
    pub fn later(&mut self, time: Duration) {
        self.now += time;
    }
}

impl Client {
    pub fn receive(&mut self, sent: &mut Sent, response: &Response) -> UnprotectedResponse {
        self.protection.unprotect_response(self.now, peer(), &mut sent.binding, response.clone())
    }
}
