//! A protection that hides nothing from anybody serious, with the manners of a real one: keys,
//! numbers, tags, a list of what was seen, and a panic where a nonce would be used twice.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use bytes::Bytes;
use suibi_coap::{
    Binding, Code, Message, MessageId, OptionNumber, Options, Peer, Protection, ProtectionError,
    Request, Response, Subject, Token, Type, UnprotectedRequest, UnprotectedResponse, wire,
};

/// The OSCORE option of an answer that asks for the request once more.
const ONCE_MORE: u8 = 0xff;

/// One side's keys and numbers. A clone is the same side, for a test to look at.
#[derive(Debug, Clone, Default)]
pub struct Toy(Arc<Mutex<Side>>);

#[derive(Debug, Default)]
pub struct Side {
    /// Which key our requests use.
    pub own: u8,
    pub keys: BTreeMap<u8, u64>,
    pub next: u64,
    pub max_len: usize,
    /// Requests that were opened.
    seen: BTreeSet<(u8, u64)>,
    nonces: BTreeSet<(u8, u64, bool)>,
    /// How many of the next requests are to come once more.
    pub once_more: u32,
    /// What happened, to be counted.
    pub requests: u32,
    pub responses: u32,
    pub forged: u32,
    pub replayed: u32,
    pub observe: Vec<Option<u32>>,
    /// What the bindings of answers and of notifications carried along.
    pub states: Vec<u64>,
}

impl Toy {
    /// A side whose requests go out under this key.
    pub fn new(own: u8, keys: &[u8]) -> Self {
        let keys = keys.iter().map(|key| (*key, secret(*key))).collect();
        Self(Arc::new(Mutex::new(Side { own, keys, max_len: usize::MAX, ..Side::default() })))
    }

    pub fn side(&self) -> MutexGuard<'_, Side> {
        self.0.lock().unwrap()
    }

    pub fn protection(&self) -> Option<Box<dyn Protection>> {
        Some(Box::new(self.clone()))
    }
}

fn secret(key: u8) -> u64 {
    u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What a message says, as bytes.
fn plain(code: Code, options: &Options, payload: &Bytes) -> Vec<u8> {
    let mut message = Message::empty(Type::Confirmable, MessageId(0));
    (message.code, message.token) = (code, Token::EMPTY);
    (message.options, message.payload) = (options.clone(), payload.clone());
    wire::encode(&message).to_vec()
}

fn read(bytes: Vec<u8>) -> Option<(Code, Options, Bytes)> {
    let message = wire::decode(&bytes.into()).ok()?;
    Some((message.code, message.options, message.payload))
}

fn tag(secret: u64, nonce: impl Hash, plain: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (secret, nonce, plain).hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

fn mask(secret: u64, bytes: &mut [u8]) {
    for (byte, key) in bytes.iter_mut().zip(secret.to_be_bytes().iter().cycle()) {
        *byte ^= key;
    }
}

fn seal(secret: u64, nonce: impl Hash, mut plain: Vec<u8>) -> Bytes {
    let tag = tag(secret, nonce, &plain);
    mask(secret, &mut plain);
    plain.extend(tag);
    plain.into()
}

fn open(secret: u64, nonce: impl Hash, sealed: &[u8]) -> Option<Vec<u8>> {
    let (masked, sent) = sealed.split_at_checked(sealed.len().checked_sub(8)?)?;
    let mut plain = masked.to_vec();
    mask(secret, &mut plain);
    (tag(secret, nonce, &plain) == sent).then_some(plain)
}

impl Side {
    fn take_nonce(&mut self, key: u8, number: u64, is_own: bool) {
        assert!(self.nonces.insert((key, number, is_own)), "nonce {number} of {key} twice");
    }

    fn take_number(&mut self, key: u8) -> u64 {
        self.next += 1;
        self.take_nonce(key, self.next, true);
        self.next
    }
}

impl Protection for Toy {
    fn max_len(&self) -> usize {
        self.side().max_len
    }

    fn protect_request(
        &mut self,
        _now: Instant,
        _peer: Peer,
        request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        let mut side = self.side();
        let own = side.own;
        let secret = *side.keys.get(&own).ok_or(ProtectionError)?;
        let number = side.take_number(own);
        side.requests += 1;
        let mut outer = Request::new(Code::POST);
        let option = [&[own][..], &number.to_be_bytes()].concat();
        outer.options.set(OptionNumber::OSCORE, option);
        let inner = plain(request.method, &request.options, &request.payload);
        outer.payload = seal(secret, ("request", number), inner);
        Ok((outer, Binding { context: own.into(), request: number, state: 0 }))
    }

    fn unprotect_response(
        &mut self,
        _now: Instant,
        _peer: Peer,
        binding: &mut Binding,
        response: Response,
    ) -> UnprotectedResponse {
        let mut side = self.side();
        let opened = || {
            let option = response.options.get(OptionNumber::OSCORE)?;
            let secret = side.keys.get(&(binding.context as u8))?;
            let nonce = ("response", binding.request, option);
            let opened = open(*secret, nonce, &response.payload)?;
            Some((option.to_vec(), read(opened)?))
        };
        let Some((option, (code, mut options, payload))) = opened() else {
            side.forged += 1;
            return UnprotectedResponse::Ignore;
        };
        if option == [ONCE_MORE] {
            return UnprotectedResponse::Repeat;
        }
        if options.has(OptionNumber::OBSERVE) {
            let number = u64::from_be_bytes(option.try_into().expect("its own number"));
            side.states.push(binding.state);
            binding.state = binding.state.max(number);
            options.set_uint(OptionNumber::OBSERVE, number as u32);
        }
        UnprotectedResponse::Response(Response { code, options, payload })
    }

    fn unprotect_request(
        &mut self,
        _now: Instant,
        _peer: Peer,
        request: Request,
    ) -> UnprotectedRequest {
        let mut side = self.side();
        let Some(option) = request.options.get(OptionNumber::OSCORE) else {
            return UnprotectedRequest::Respond(Response::new(Code::UNAUTHORIZED));
        };
        let opened = || {
            let (key, number) = option.split_first()?;
            let number = u64::from_be_bytes(number.try_into().ok()?);
            let opened = open(*side.keys.get(key)?, ("request", number), &request.payload)?;
            Some((*key, number, read(opened)?))
        };
        let Some((key, number, (method, options, payload))) = opened() else {
            side.forged += 1;
            return UnprotectedRequest::Ignore;
        };
        if !side.seen.insert((key, number)) {
            side.replayed += 1;
            return UnprotectedRequest::Ignore;
        }
        if side.once_more > 0 {
            side.once_more -= 1;
            let mut response = Response::new(Code::UNAUTHORIZED);
            response.options.set(OptionNumber::OSCORE, vec![ONCE_MORE]);
            let nonce = ("response", number, &Bytes::from_static(&[ONCE_MORE]));
            let inner = plain(Code::UNAUTHORIZED, &Options::new(), &Bytes::new());
            response.payload = seal(side.keys[&key], nonce, inner);
            return UnprotectedRequest::Respond(response);
        }
        let binding = Binding { context: key.into(), request: number, state: 0 };
        let request = Request { method, options, payload };
        UnprotectedRequest::Request { request, binding, subject: Subject(key.into()) }
    }

    fn protect_response(
        &mut self,
        _now: Instant,
        binding: &mut Binding,
        response: Response,
        observe: Option<u32>,
    ) -> Option<Response> {
        let mut side = self.side();
        let key = binding.context as u8;
        let secret = *side.keys.get(&key)?;
        assert_eq!(response.options.uint(OptionNumber::OBSERVE), observe);
        side.responses += 1;
        side.observe.push(observe);
        side.states.push(binding.state);
        binding.state += 1;
        let mut outer = Response::new(Code::CHANGED);
        let option = match observe {
            Some(observe) => {
                outer.options.set_uint(OptionNumber::OBSERVE, observe);
                Bytes::copy_from_slice(&side.take_number(key).to_be_bytes())
            }
            None => {
                side.take_nonce(key, binding.request, false);
                Bytes::new()
            }
        };
        let inner = plain(response.code, &response.options, &response.payload);
        outer.payload = seal(secret, ("response", binding.request, &option), inner);
        outer.options.set(OptionNumber::OSCORE, option);
        Some(outer)
    }
}
