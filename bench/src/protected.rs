//! Any work under OSCORE: each socket is a client process with keys of its own.

use std::collections::HashMap;
use std::time::Instant;

use suibi_coap::{
    Binding, Message, Peer, Protection, Request, Response, UnprotectedResponse, wire,
};
use suibi_oscore::ClientContext;
use suibi_server::LocalCredential;

use crate::Failure;
use crate::load::Work;
use crate::message::Answer;

/// Protects the requests of another work, and undoes it for the answers.
///
/// Unlike the rest of the generator this leans on the server's own code: what OSCORE's bytes are
/// is checked against the RFC's vectors elsewhere.
pub(crate) struct Protected<W> {
    work: W,
    peer: Peer,
    sockets: Vec<Box<dyn Protection>>,
    /// By the request's number: on which socket it went, and what ties the answer to it.
    waiting: HashMap<u32, (usize, Binding)>,
}

impl<W: Work> Protected<W> {
    /// So many clients of the server, all with the credential of its machine's owner.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn new(
        work: W,
        peer: Peer,
        sockets: usize,
        owner: &LocalCredential,
    ) -> Result<Self, Failure> {
        let client = |_| {
            let mut seed = [0; 32];
            // Two clients of one seed would have the same keys, and the server would take one for a replay.
            getrandom::fill(&mut seed)?;
            let epoch = Some(owner.epoch);
            Ok(ClientContext::new(owner.id, owner.secret.clone(), epoch, seed).protection())
        };
        let sockets = (0..sockets).map(client).collect::<Result<_, Failure>>()?;
        Ok(Self { work, peer, sockets, waiting: HashMap::new() })
    }
}

impl<W: Work> Work for Protected<W> {
    fn request(&mut self, socket: usize, id: u16, number: u32) -> Vec<u8> {
        let plain = self.work.request(socket, id, number);
        let message = wire::decode(&plain.into()).expect("the generator's own request");
        let Message { kind, code: method, id, token, options, payload } = message;
        let request = Request { method, options, payload };
        let (Request { method: code, options, payload }, binding) = self.sockets[socket]
            .protect_request(Instant::now(), self.peer, request)
            .expect("a turn is over before the numbers are");
        self.waiting.insert(number, (socket, binding));
        wire::encode(&Message { kind, code, id, token, options, payload }).to_vec()
    }

    fn check(&mut self, number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        let (socket, mut binding) = self.waiting.remove(&number).ok_or("an answer to nothing")?;
        let message = wire::decode(&answer.bytes.to_vec().into())?;
        let Message { kind, code, id, token, options, payload } = message;
        let response = Response { code, options, payload };
        let unprotected = self.sockets[socket].unprotect_response(
            Instant::now(),
            self.peer,
            &mut binding,
            response,
        );
        let UnprotectedResponse::Response(Response { code, options, payload }) = unprotected else {
            return Err(format!("the answer does not verify: {unprotected:?}").into());
        };
        let plain = wire::encode(&Message { kind, code, id, token, options, payload });
        let answer = Answer::decode(&plain).ok_or("not an answer, once it is opened")?;
        self.work.check(number, &answer)
    }

    fn may_stop(&self, socket: usize) -> bool {
        self.work.may_stop(socket)
    }
}
