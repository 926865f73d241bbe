//! Garbage and altered messages by the million, while a device goes on writing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use suibi_coap::{
    Code, Config, Endpoint, Event, Peer, Request, RequestId, Response, Subject, Transmit,
};
use suibi_net::UdpSocket;
use suibi_oscore::{ClientContext, KeyId, Secret, ServerContexts};

use crate::recorder::protected;
use crate::scene::{Scene, add, deliver, everything};

/// What a flood may make this process grow by, in bytes; all bounds of an endpoint together are less.
const GROWTH: usize = 100 << 20;

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Bytes of any length; most look like a request at first glance.
fn random(rng: &mut StdRng) -> Bytes {
    let mut bytes = vec![0; rng.random_range(0..160)];
    rng.fill_bytes(&mut bytes);
    if bytes.len() > 12 && rng.random_bool(0.8) {
        // Version 1, POST, an OSCORE option.
        bytes[0] = 0x40 | rng.random_range(0..=8) | rng.random_range(0..2) << 4;
        bytes[1] = 0x02;
        let at = 4 + usize::from(bytes[0] & 0x0f);
        if at < bytes.len() {
            bytes[at] = 0x90 | rng.random_range(0..14);
        }
    }
    bytes.into()
}

/// One of these with some bytes changed, now and then cut short.
fn mutated(rng: &mut StdRng, of: &[Bytes]) -> Bytes {
    let mut bytes = of[rng.random_range(0..of.len())].to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= rng.random_range(1..=255_u8);
    }
    if rng.random_bool(0.05) {
        bytes.truncate(rng.random_range(0..bytes.len()));
    }
    bytes.into()
}

/// One of these as the first request of a process that there never was: the server has to derive keys to find that out.
fn forged_first(rng: &mut StdRng, of: &[Bytes]) -> Bytes {
    let mut bytes = of[rng.random_range(0..of.len())].to_vec();
    let (_, option) = protected(&bytes).unwrap();
    let kid_context = option.kid_context.unwrap();
    let is_it = |part: &[u8]| part == kid_context.as_slice();
    let at = bytes.windows(kid_context.as_slice().len()).position(is_it).unwrap();
    // The server's half stays as it is.
    rng.fill_bytes(&mut bytes[at + 8..at + 16]);
    bytes.into()
}

/// A device and a server without a network between them.
struct Pair {
    now: Instant,
    phone: Endpoint,
    server: Endpoint,
    /// What the phone has sent.
    sent: Vec<Bytes>,
    served: Vec<Bytes>,
    answered: Vec<RequestId>,
    /// Bytes in and out by address, the phone's left out.
    traffic: BTreeMap<Peer, (usize, usize)>,
}

impl Pair {
    const PHONE: [u8; 4] = [192, 0, 2, 1];

    fn phone_at() -> Peer {
        SocketAddr::from((Self::PHONE, 5683)).into()
    }

    fn ask(&mut self, text: String) {
        let request = Request::new(Code::POST).path("/notes").payload(text);
        let server = SocketAddr::from(([192, 0, 2, 9], 5683)).into();
        let id = self.phone.request(self.now, server, request);
        while let Some(transmit) = self.phone.poll_transmit() {
            self.sent.push(transmit.bytes.clone());
            self.server.handle_datagram(self.now, Self::phone_at(), &transmit.bytes);
            self.settle();
        }
        assert_eq!(self.answered.pop(), Some(id), "not answered");
    }

    fn hear(&mut self, from: Peer, bytes: &Bytes) {
        self.traffic.entry(from).or_default().0 += bytes.len();
        self.server.handle_datagram(self.now, from, bytes);
        self.settle();
    }

    /// The server does what it has to; what goes to others than the phone is counted and thrown away.
    fn settle(&mut self) {
        let server = SocketAddr::from(([192, 0, 2, 9], 5683));
        while let Some(event) = self.server.poll_event() {
            if let Event::Request { exchange, request, .. } = event {
                self.served.push(request.payload.clone());
                let response = Response::new(Code::CREATED).payload(request.payload);
                self.server.respond(self.now, exchange, response);
            }
        }
        while let Some(transmit) = self.server.poll_transmit() {
            if transmit.peer == Self::phone_at() {
                self.phone.handle_datagram(self.now, server.into(), &transmit.bytes);
            } else {
                self.traffic.entry(transmit.peer).or_default().1 += transmit.bytes.len();
            }
        }
        while let Some(event) = self.phone.poll_event() {
            match event {
                Event::Response { id, response } if response.code == Code::CREATED => {
                    self.answered.push(id);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Without sockets, which two million datagrams would keep busy for minutes; through them a tenth of it, below.
#[test]
fn a_million_random_and_a_million_mutated_datagrams_leave_a_server_as_it_was() {
    const EACH: usize = 1_000_000;
    let mut rng = StdRng::seed_from_u64(8613);
    let (id, secret) = (KeyId::from_slice(b"tel").unwrap(), Secret::from_bytes(&[9; 32]).unwrap());
    let contexts = ServerContexts::new([1; 32]);
    contexts.add_paired(Subject(7), id, secret.clone());
    let phone = ClientContext::new(id, secret, None, [2; 32]);
    let mut pair = Pair {
        now: Instant::now(),
        phone: Endpoint::new(Config::own(), [3; 32]),
        server: Endpoint::new(Config::own(), [4; 32]),
        sent: Vec::new(),
        served: Vec::new(),
        answered: Vec::new(),
        traffic: BTreeMap::new(),
    };
    pair.phone.set_protection(Some(phone.protection()));
    pair.server.set_protection(Some(contexts.protection()));
    for n in 0..100 {
        pair.ask(format!("before {n}"));
    }
    let before = resident();
    let known = pair.sent.clone();
    let mut asked = 100;
    for n in 0..2 * EACH {
        let bytes = if n % 2 == 0 { random(&mut rng) } else { mutated(&mut rng, &known) };
        // Four thousand addresses, one of them the phone's own.
        let host = [10, 0, rng.random_range(0..16), rng.random_range(0..=255)];
        let from = if n % 4096 == 1 { Pair::PHONE } else { host };
        pair.now += Duration::from_micros(20);
        pair.hear(SocketAddr::from((from, 5683)).into(), &bytes);
        if n % 20_000 == 0 {
            pair.server.handle_timeout(pair.now);
            pair.phone.handle_timeout(pair.now);
            pair.ask(format!("meanwhile {asked}"));
            asked += 1;
        }
    }
    for (peer, (heard, told)) in &pair.traffic {
        assert!(*told <= 3 * heard, "{peer:?}: {told} for {heard}");
    }
    assert!(pair.traffic.values().any(|(_, told)| *told > 0));
    // They got as far as they could: to each reason for being thrown away.
    let stats = contexts.stats();
    let reasons = [stats.unprotected, stats.unknown, stats.refused, stats.replayed, stats.limited];
    assert!(reasons.iter().all(|count| *count > 1_000), "{stats:?}");
    assert_eq!(stats.verified, asked as u64);
    // Each once and nothing else, however a message of the phone was altered.
    assert_eq!(pair.served.len(), asked);
    pair.served.sort_unstable();
    pair.served.dedup();
    assert_eq!(pair.served.len(), asked);
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more");
}

#[test]
fn a_flood_of_random_mutated_and_forged_datagrams_keeps_no_device_from_writing() {
    const EACH: usize = 100_000;
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    scene.join("laptop", "read,write");
    let mut phone = scene.process("phone");
    scene.take();
    deliver(&mut phone, "phone 0");
    deliver(&mut scene.process("laptop"), "laptop 0");
    let known: Vec<Bytes> = scene.take_requests().into_iter().map(Bytes::from).collect();
    let server = scene.server_address();
    let before = resident();
    let is_over = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        // A process that was there before the flood.
        let of_phone = scope.spawn(|| {
            let mut written = 1;
            let mut at_once = 1;
            while !is_over.load(Ordering::Relaxed) {
                let text = format!("phone {written}");
                at_once += u32::from(add(&mut phone, &text).receipt.is_some());
                written += 1;
                thread::sleep(Duration::from_millis(10));
            }
            assert!(written > 10 && at_once * 3 > written, "{at_once} of {written} at once");
            everything(&mut phone);
            written
        });
        // A new process for each note, told from the forged ones by its keys alone.
        let of_laptop = scope.spawn(|| {
            let mut written = 1;
            while !is_over.load(Ordering::Relaxed) {
                deliver(&mut scene.process("laptop"), &format!("laptop {written}"));
                written += 1;
            }
            assert!(written > 3, "{written}");
            written
        });
        let mut rng = StdRng::seed_from_u64(5);
        let mut sockets: Vec<_> = (0..16).map(|_| UdpSocket::connect(server).unwrap()).collect();
        let mut queue = VecDeque::new();
        for batch in 0..3 * EACH / 66 {
            for _ in 0..22 {
                let three =
                    [random(&mut rng), mutated(&mut rng, &known), forged_first(&mut rng, &known)];
                queue.extend(three.map(|bytes| Transmit { peer: server.into(), bytes }));
            }
            let socket = &mut sockets[batch % 16];
            while !queue.is_empty() {
                socket.send(&mut queue).unwrap();
            }
            // Not faster than a server without optimisation reads on a machine that others use as well: what the kernel
            // throws away tries nothing.
            thread::sleep(Duration::from_millis(2));
        }
        is_over.store(true, Ordering::Relaxed);
        [("phone", of_phone.join().unwrap()), ("laptop", of_laptop.join().unwrap())]
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more");
    let numbered = |(who, count)| (0..count).map(move |n| format!("{who} {n}"));
    let mut expected: Vec<String> = written.into_iter().flat_map(numbered).collect();
    expected.sort();
    assert_eq!(scene.notes(), expected);
}
