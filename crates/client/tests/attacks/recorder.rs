//! Looks at every datagram for what must never be: two messages under one key and nonce.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use suibi_coap::{Message, Token, wire};
use suibi_oscore::{OscoreOption, SERVER_ID};

/// Everything that goes into a cipher besides the plaintext. A key follows from the credential, the ID Context and the
/// sender's id (RFC 8613 §3.2.1), a nonce from an id and a Partial IV (§5.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyAndNonce {
    kid: Vec<u8>,
    id_context: Vec<u8>,
    sender: Vec<u8>,
    nonce_id: Vec<u8>,
    partial_iv: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// What the requests said, by where they came from and their token.
    asked: BTreeMap<(SocketAddr, Token), OscoreOption>,
    seen: BTreeMap<KeyAndNonce, Bytes>,
    used_twice: Vec<KeyAndNonce>,
}

impl Recorder {
    /// A request as its sender sent it.
    pub(crate) fn request(&mut self, client: SocketAddr, datagram: &[u8]) {
        let Some((message, option)) = protected(datagram) else { return };
        if !message.code.is_request() {
            return;
        }
        let kid = option.kid.unwrap().as_slice().to_vec();
        let id_context = id_context(&option);
        let partial_iv = option.partial_iv.unwrap();
        let (sender, nonce_id) = (kid.clone(), kid.clone());
        self.note(KeyAndNonce { kid, id_context, sender, nonce_id, partial_iv }, message.payload);
        self.arrives(client, datagram);
    }

    /// A request as it goes on to the server, altered perhaps.
    pub(crate) fn arrives(&mut self, client: SocketAddr, datagram: &[u8]) {
        if let Some((message, option)) = protected(datagram)
            && message.code.is_request()
        {
            self.asked.insert((client, message.token), option);
        }
    }

    /// An answer as the server sent it to that client.
    pub(crate) fn answer(&mut self, client: SocketAddr, datagram: &[u8]) {
        let Some((message, option)) = protected(datagram) else { return };
        let Some(asked) = self.asked.get(&(client, message.token)) else { return };
        let kid = asked.kid.unwrap().as_slice().to_vec();
        let sender = SERVER_ID.as_slice().to_vec();
        // A challenge: R2, then what the request had.
        let id_context = [id_context(&option), id_context(asked)].concat();
        let (nonce_id, partial_iv) = match option.partial_iv {
            Some(own) => (sender.clone(), own),
            None => (kid.clone(), asked.partial_iv.unwrap()),
        };
        self.note(KeyAndNonce { kid, id_context, sender, nonce_id, partial_iv }, message.payload);
    }

    fn note(&mut self, key_and_nonce: KeyAndNonce, ciphertext: Bytes) {
        let before = self.seen.insert(key_and_nonce.clone(), ciphertext.clone());
        // The same message once more is a retransmission, and tells nobody anything.
        if before.is_some_and(|before| before != ciphertext) {
            self.used_twice.push(key_and_nonce);
        }
    }

    /// How many messages were protected.
    pub(crate) fn messages(&self) -> usize {
        self.seen.len()
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        assert!(self.used_twice.is_empty(), "a key and nonce used twice: {:x?}", self.used_twice);
    }
}

/// The message and what it says about its protection, if it has one.
pub(crate) fn protected(datagram: &[u8]) -> Option<(Message, OscoreOption)> {
    let message = wire::decode(&Bytes::copy_from_slice(datagram)).ok()?;
    let option = OscoreOption::of(&message.options)?.ok()?;
    Some((message, option))
}

fn id_context(option: &OscoreOption) -> Vec<u8> {
    option.kid_context.as_ref().map(|context| context.as_slice().to_vec()).unwrap_or_default()
}

#[test]
fn the_recorder_tells_a_nonce_used_twice_from_a_retransmission() {
    use suibi_coap::{Code, MessageId, Request, Type};
    use suibi_oscore::{Context, KeyId, Parameters, Secret};

    let client: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let datagram = |text: &'static str| {
        let mut context = Context::derive(&Parameters {
            secret: &Secret::from_bytes(&[7; 32]).unwrap(),
            salt: b"",
            id_context: Some(&[1; 16]),
            sender: KeyId::from_slice(b"phone").unwrap(),
            recipient: SERVER_ID,
        });
        let request = Request::new(Code::POST).payload(text);
        let (outer, _) = context.protect_request(&request, true).unwrap();
        let message = Message {
            kind: Type::Confirmable,
            code: outer.method,
            id: MessageId(1),
            token: Token::EMPTY,
            options: outer.options,
            payload: outer.payload,
        };
        wire::encode(&message)
    };
    let mut recorder = Recorder::default();
    recorder.request(client, &datagram("one"));
    recorder.request(client, &datagram("one"));
    recorder.check();
    recorder.request(client, &datagram("two"));
    assert_eq!((recorder.messages(), recorder.used_twice.len()), (1, 1));
}
