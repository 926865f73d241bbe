//! A client with one fixed OSCORE context, as foreign programs have (RFC 8613 Appendix B.1).

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use suibi_coap::{
    Binding, Config, Endpoint, Event, Peer, Protection, ProtectionError, Request, Response,
    UnprotectedRequest, UnprotectedResponse,
};
use suibi_oscore::{Context, KeyId, Parameters, RequestId, Secret};

/// The protection, without any of the rules that our own contexts have.
#[derive(Debug)]
struct Fixed(Context);

impl Protection for Fixed {
    fn protect_request(
        &mut self,
        _now: Instant,
        _peer: Peer,
        request: Request,
    ) -> Result<(Request, Binding), ProtectionError> {
        let (outer, id) = self.0.protect_request(&request, false).map_err(|_| ProtectionError)?;
        Ok((outer, Binding { context: 0, request: id.piv, state: 0 }))
    }

    fn unprotect_response(
        &mut self,
        _now: Instant,
        _peer: Peer,
        binding: &mut Binding,
        response: Response,
    ) -> UnprotectedResponse {
        let request = RequestId { kid: self.0.sender(), piv: binding.request };
        // `state` is the newest notification's number, and one more.
        let newest = binding.state.checked_sub(1);
        match self.0.unprotect_response(&response, request, newest) {
            Ok((response, number)) => {
                binding.state = number.map_or(binding.state, |number| number + 1);
                UnprotectedResponse::Response(response)
            }
            Err(_) => UnprotectedResponse::Ignore,
        }
    }
}

/// The client, on a socket of its own.
pub(crate) struct FixedClient {
    endpoint: Endpoint,
    socket: UdpSocket,
    server: Peer,
    /// What happened while an answer was waited for.
    inbox: VecDeque<Event>,
}

impl FixedClient {
    pub(crate) fn connect(server: SocketAddr, secret: &[u8], salt: &[u8], ids: [&[u8]; 2]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        let [sender, recipient] = ids.map(|id| KeyId::from_slice(id).unwrap());
        let context = Context::derive(&Parameters {
            secret: &Secret::from_bytes(secret).unwrap(),
            salt,
            id_context: None,
            sender,
            recipient,
        });
        let mut endpoint = Endpoint::new(Config::rfc(), [3; 32]);
        endpoint.set_protection(Some(Box::new(Fixed(context))));
        Self { endpoint, socket, server: server.into(), inbox: VecDeque::new() }
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: Request) -> Response {
        let asked = self.endpoint.request(Instant::now(), self.server, request);
        loop {
            match self.turn() {
                Event::Response { id, response } if id == asked => return response,
                Event::Failed { id, error } if id == asked => panic!("no answer: {error}"),
                other => self.inbox.push_back(other),
            }
        }
    }

    /// Begins to observe; [`FixedClient::next`] tells what comes of it.
    pub(crate) fn observe(&mut self, request: Request) {
        self.endpoint.request(Instant::now(), self.server, request.observe(true));
    }

    /// What happens next.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        self.inbox.pop_front().unwrap_or_else(|| self.turn())
    }

    #[track_caller]
    fn turn(&mut self) -> Event {
        let start = Instant::now();
        let mut buf = [0; 2048];
        loop {
            if let Some(event) = self.endpoint.poll_event() {
                return event;
            }
            assert!(start.elapsed() < super::PATIENCE, "nothing happens");
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.socket.send(&transmit.bytes).unwrap();
            }
            let due = self.endpoint.poll_timeout();
            let wait = due
                .map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()));
            self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
            if let Ok(len) = self.socket.recv(&mut buf) {
                self.endpoint.handle_datagram(Instant::now(), self.server, &buf[..len]);
            }
            self.endpoint.handle_timeout(Instant::now());
        }
    }
}
