//! A thousand clients with a socket each on one server thread: all of them add, a tenth observes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use coap_lite::{CoapOption, MessageType, Packet};
use machinery::wire::{POST, acknowledgement, request};
use machinery::{PATIENCE, Server, assert_each_once};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

const CLIENTS: usize = 1_000;
const OBSERVERS: usize = CLIENTS / 10;
const NOTES_EACH: usize = 5;
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the server may hold for all this, beside what it has anyway. A bound against leaks, not a
/// measurement.
const MEMORY_KIB: u64 = 200 * 1024;

/// One client: it observes if it is of that kind, then adds its notes one after the other.
struct Client {
    socket: UdpSocket,
    number: usize,
    message_id: u16,
    /// Requests answered so far.
    answered: usize,
    waiting: Packet,
    sent: Instant,
    observing: bool,
    hints: usize,
}

impl Client {
    fn observes(&self) -> bool {
        self.number < OBSERVERS
    }

    fn text(number: usize, note: usize) -> String {
        format!("note {note} of client {number}")
    }

    fn is_done(&self) -> bool {
        self.answered == NOTES_EACH + usize::from(self.observes())
    }

    /// The request whose turn it is.
    fn next(&mut self) -> io::Result<()> {
        self.message_id += 1;
        let token = u32::from(self.message_id).to_be_bytes();
        let note = self.answered.checked_sub(usize::from(self.observes()));
        self.waiting = if let Some(note) = note {
            let mut packet = request(self.message_id, &token, POST, &["notes"], &[]);
            packet.add_option(CoapOption::ContentFormat, Vec::new());
            packet.payload = Self::text(self.number, note).into_bytes();
            packet
        } else {
            let mut packet = request(self.message_id, b"obs", 1, &["feed", "head"], &[]);
            packet.add_option(CoapOption::Observe, Vec::new());
            packet
        };
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        self.sent = Instant::now();
        self.socket.send(&self.waiting.to_bytes().unwrap()).map(drop)
    }

    fn on_readable(&mut self) {
        let mut buf = [0; 2048];
        while let Ok(len) = self.socket.recv(&mut buf) {
            let packet = Packet::from_bytes(&buf[..len]).unwrap();
            if packet.header.get_type() == MessageType::Confirmable {
                let _ = self.socket.send(&acknowledgement(packet.header.message_id));
            }
            if packet.header.get_code() == "0.00" {
                continue;
            }
            if self.observing && packet.get_token() == b"obs" {
                assert_eq!(packet.header.get_code(), "2.05");
                self.hints += 1;
                continue;
            }
            if self.is_done() || packet.get_token() != self.waiting.get_token() {
                continue;
            }
            if packet.get_token() == b"obs" {
                assert_eq!(packet.header.get_code(), "2.05");
                assert!(packet.get_option(CoapOption::Observe).is_some(), "not taken as observer");
                self.observing = true;
            } else {
                let said = String::from_utf8_lossy(&packet.payload).into_owned();
                assert_eq!(packet.header.get_code(), "2.01", "{said}");
            }
            self.answered += 1;
            if !self.is_done() {
                self.next().unwrap();
            }
        }
    }
}

struct Crowd {
    poll: Poll,
    clients: Vec<Client>,
}

impl Crowd {
    fn new(server: SocketAddr) -> Self {
        let poll = Poll::new().unwrap();
        let clients = (0..CLIENTS).map(|number| {
            let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.connect(server).unwrap();
            poll.registry().register(&mut socket, Token(number), Interest::READABLE).unwrap();
            Client {
                socket,
                number,
                message_id: 0,
                answered: 0,
                waiting: Packet::new(),
                sent: Instant::now(),
                observing: false,
                hints: 0,
            }
        });
        let clients = clients.collect();
        Self { poll, clients }
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Client) -> bool) {
        let start = Instant::now();
        let mut events = Events::with_capacity(CLIENTS);
        while !self.clients.iter().all(&done) {
            assert!(start.elapsed() < 2 * PATIENCE, "waited in vain until {what}");
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
            for event in &events {
                self.clients[event.token().0].on_readable();
            }
            for client in &mut self.clients {
                if !client.is_done() && client.sent.elapsed() > RETRY_AFTER {
                    client.send().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_thousand_clients_add_and_a_tenth_of_them_observes() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    let (cpu_before, memory_before) = (server.cpu(), server.memory_kib());

    let mut crowd = Crowd::new(server.address());
    for client in &mut crowd.clients {
        client.next().unwrap();
    }
    crowd.run_until("every client is done", Client::is_done);
    crowd.run_until("every observer has had a hint", |client| {
        !client.observes() || client.hints > 0
    });

    let (cpu, memory) = (server.cpu() - cpu_before, server.memory_kib());
    let requests = CLIENTS * NOTES_EACH + OBSERVERS;
    println!(
        "{requests} requests of {CLIENTS} clients: {:.1} us CPU each, {memory_before} -> {memory} KiB resident",
        cpu.as_secs_f64() * 1e6 / requests as f64,
    );
    assert!(memory < memory_before + MEMORY_KIB, "{memory} KiB resident");
    let expected: Vec<_> = (0..CLIENTS)
        .flat_map(|number| (0..NOTES_EACH).map(move |note| Client::text(number, note)))
        .collect();
    assert_each_once(&server.notes(), &expected);
    assert!(server.is_running());

    let hints: BTreeMap<_, _> =
        crowd.clients[..OBSERVERS].iter().fold(BTreeMap::new(), |mut hints, client| {
            *hints.entry(client.hints).or_insert(0) += 1;
            hints
        });
    println!("hints per observer: {hints:?}");
    assert!(server.stop().success());
}
