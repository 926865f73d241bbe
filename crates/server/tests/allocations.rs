//! What the net thread allocates for a request: in the steady state a few small things that stay, and nothing else.
//!
//! A [`Machine`] does in one thread what a server does in three; what is counted is the net thread's part alone.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use bytes::Bytes;
use suibi_coap::{
    Binding, Code, Message, MessageId, OptionNumber, Peer, Protection, Request, Response, Token,
    Type, UnprotectedResponse, wire,
};
use suibi_oscore::ClientContext;
use suibi_server::ListenerKind;
use suibi_server::machine::{Clock, Machine, MachineConfig};
use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

/// Requests that wait for one commit, each from an address of its own.
const CLIENTS: u8 = 32;

fn machine(now: Instant, path: &Path, kind: ListenerKind) -> Machine {
    let file = path.join("server.db");
    let config = MachineConfig::new(vec![kind], Clock::System, path.to_owned());
    Machine::new(now, [1; 32], config, move || {
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
        Ok(Box::new(SqliteStore::open(&file, options)?))
    })
    .unwrap()
}

/// Somebody with a note in each turn, under keys of their own or without any.
struct Client {
    peer: Peer,
    keys: Option<Box<dyn Protection>>,
    binding: Option<Binding>,
}

impl Client {
    fn new(number: u8, server: &Machine, kind: ListenerKind) -> Self {
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000 + u16::from(number))).into();
        let owner = server.local();
        let keys = (kind == ListenerKind::Oscore).then(|| {
            let epoch = Some(owner.epoch);
            ClientContext::new(owner.id, owner.secret.clone(), epoch, [number; 32]).protection()
        });
        Self { peer, keys, binding: None }
    }

    fn request(&mut self, now: Instant, turn: u16) -> Vec<u8> {
        let text = format!("note {turn} of {} 今天 #tea", self.peer.address.port());
        let mut request = Request::new(Code::POST).path("/notes").payload(text);
        request.options.add(OptionNumber::CONTENT_FORMAT, "");
        if let Some(keys) = &mut self.keys {
            let (outer, binding) = keys.protect_request(now, self.peer, request).unwrap();
            (request, self.binding) = (outer, Some(binding));
        }
        let token = Token::new(&turn.to_be_bytes()).unwrap();
        let Request { method: code, options, payload } = request;
        let (kind, id) = (Type::Confirmable, MessageId(turn));
        wire::encode(&Message { kind, code, id, token, options, payload }).to_vec()
    }

    fn check(&mut self, now: Instant, answer: Bytes) {
        let Message { mut code, options, payload, .. } = wire::decode(&answer).unwrap();
        if let (Some(keys), Some(binding)) = (&mut self.keys, &mut self.binding) {
            let outer = Response { code, options, payload };
            let opened = keys.unprotect_response(now, self.peer, binding, outer);
            let UnprotectedResponse::Response(inner) = opened else { panic!("{opened:?}") };
            code = inner.code;
        }
        assert_eq!(code, Code::CREATED);
    }
}

/// A turn of the net thread with a request of each client, and one with the answers to all of them.
fn turn(
    now: Instant,
    number: u16,
    server: &mut Machine,
    clients: &mut [Client],
) -> [AllocationInfo; 2] {
    let requests: Vec<_> =
        clients.iter_mut().map(|client| (client.peer, client.request(now, number))).collect();
    let asked = allocation_counter::measure(|| {
        for (peer, bytes) in &requests {
            server.handle_datagram(now, 0, *peer, bytes);
        }
    });
    while server.write() || server.read() {}
    let mut answers = Vec::with_capacity(clients.len());
    let answered = allocation_counter::measure(|| {
        while server.tell(now) {}
        answers.extend(std::iter::from_fn(|| server.poll_transmit()));
    });
    assert_eq!(answers.len(), clients.len());
    for (client, (_, transmit)) in clients.iter_mut().zip(answers) {
        assert_eq!(transmit.peer, client.peer);
        client.check(now, transmit.bytes);
    }
    [asked, answered]
}

/// Allocations per note on its way in, and on its answer's way out.
fn allocations(kind: ListenerKind) -> [f64; 2] {
    let dir = tempfile::tempdir().unwrap();
    let mut now = Instant::now();
    let mut server = machine(now, dir.path(), kind);
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|number| Client::new(number, &server, kind)).collect();
    let mut turns = 0..;
    let mut go_on = |count: usize| -> [f64; 2] {
        let mut total = [0; 2];
        for number in turns.by_ref().take(count) {
            now += Duration::from_millis(500);
            let counts = turn(now, number, &mut server, &mut clients);
            total = [0, 1].map(|part| total[part] + counts[part].count_total);
        }
        total.map(|total| total as f64 / count as f64 / f64::from(CLIENTS))
    };
    // Until the first answers are forgotten, and tables no longer grow.
    go_on(700);
    go_on(100)
}

// Less than one means that nothing counts.

#[test]
fn a_note_costs_the_net_thread_a_handful_of_allocations() {
    let [asked, answered] = allocations(ListenerKind::Coap);
    // The datagram and the list of its options, which the handler may keep, and the text, which the writer gets. Beside
    // these the growth of a tree of timers, now and then.
    assert!((1.0..3.5).contains(&asked), "{asked:.2} allocations to take a note in");
    // The datagram, which is remembered for duplicates.
    assert!((1.0..1.1).contains(&answered), "{answered:.2} allocations to answer it");
}

#[test]
fn oscore_costs_it_a_few_more() {
    let [asked, answered] = allocations(ListenerKind::Oscore);
    assert!((1.0..5.5).contains(&asked), "{asked:.2} allocations to take a note in");
    assert!((1.0..5.1).contains(&answered), "{answered:.2} allocations to answer it");
}
