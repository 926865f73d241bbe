//! Peers that do not behave, in a time of their own.

use std::net::SocketAddr;
use std::path::Path;

use suibi_coap::{Code, End, Request, RequestId};
use suibi_oscore::ClientContext;
use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

use super::*;
use crate::lock::LocalCredential;
use crate::machine::{Clock, Machine, MachineConfig, StreamAction};

const PROTECTED: usize = 0;
const OPEN: usize = 1;

/// The head of a message that says it is a megabyte long (RFC 8323 §3.2).
const LONG: [u8; 6] = [0xf0, 0x00, 0x10, 0x00, 0x00, 0x02];

fn machine(now: Instant, path: &Path) -> Machine {
    let file = path.join("server.db");
    let doors = vec![ListenerKind::Oscore, ListenerKind::Coap];
    let config = MachineConfig::new(doors, Clock::System, path.to_owned());
    Machine::new(now, [1; 32], config, move || {
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
        Ok(Box::new(SqliteStore::open(&file, options)?))
    })
    .unwrap()
}

/// A server and the other ends of its streams.
struct Scene {
    now: Instant,
    server: Machine,
    ends: BTreeMap<StreamId, Connection>,
    closed: BTreeSet<StreamId>,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let server = machine(now, dir.path());
        Self { now, server, ends: BTreeMap::new(), closed: BTreeSet::new(), _dir: dir }
    }

    /// Somebody who opens a stream and says nothing yet.
    fn open(&mut self, door: usize, host: u8) -> Option<StreamId> {
        let peer = SocketAddr::from(([127, 0, 0, host], 5683));
        let id = self.server.handle_opened(self.now, door, peer.into())?;
        let mut end = Connection::new(self.now, StreamConfig::default(), peer.into(), [host; 32]);
        if door == PROTECTED {
            let LocalCredential { id, secret, epoch } = self.server.local().clone();
            let context =
                ClientContext::new(id, secret, Some(epoch), crate::listen::random().unwrap());
            end.set_protection(Some(context.protection()));
        }
        self.ends.insert(id, end);
        Some(id)
    }

    /// Asks, and sees to it that everybody has heard everything.
    fn ask(&mut self, id: StreamId, path: &str) -> RequestId {
        let now = self.now;
        let asked = self.end(id).request(now, Request::new(Code::GET).path(path));
        self.settle();
        asked
    }

    fn end(&mut self, id: StreamId) -> &mut Connection {
        self.ends.get_mut(&id).unwrap()
    }

    fn answer(&mut self, id: StreamId) -> Option<Code> {
        std::iter::from_fn(|| self.end(id).poll_event()).find_map(|event| match event {
            Event::Response { response, .. } => Some(response.code),
            _ => None,
        })
    }

    fn is_answered(&mut self, id: StreamId) -> bool {
        self.answer(id) == Some(Code::CONTENT)
    }

    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for (id, end) in &mut self.ends {
                while self.server.wants_bytes(*id)
                    && let Some(bytes) = end.poll_transmit()
                {
                    self.server.handle_bytes(self.now, *id, &bytes);
                    is_quiet = false;
                }
            }
            self.server.work(self.now);
            while let Some((id, action)) = self.server.poll_stream() {
                is_quiet = false;
                match action {
                    StreamAction::Send(bytes) => {
                        if let Some(end) = self.ends.get_mut(&id) {
                            end.handle_bytes(self.now, &bytes);
                        }
                    }
                    StreamAction::Close => {
                        self.closed.insert(id);
                        if let Some(end) = self.ends.get_mut(&id) {
                            end.handle_closed(self.now);
                        }
                    }
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.server.poll_timeout()
            && at <= until
        {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            for end in self.ends.values_mut() {
                end.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = until;
    }
}

#[test]
fn who_proves_nothing_is_gone_after_twenty_seconds_however_busy() {
    let mut scene = Scene::new();
    let silent = scene.open(PROTECTED, 1).unwrap();
    let dribbling = scene.open(PROTECTED, 2).unwrap();
    let honest = scene.open(PROTECTED, 3).unwrap();
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest));
    // A megabyte is announced, and comes at ten thousand bytes a second.
    let now = scene.now;
    scene.server.handle_bytes(now, dribbling, &csm());
    scene.server.handle_bytes(now, dribbling, &LONG);
    for _ in 0..11 {
        scene.wait(Duration::from_secs(1));
        let now = scene.now;
        scene.server.handle_bytes(now, dribbling, &[7; 10_000]);
        scene.settle();
        assert!(!scene.closed.contains(&dribbling));
    }
    scene.wait(Duration::from_secs(8));
    assert!(!scene.closed.contains(&dribbling));
    scene.wait(Duration::from_secs(2));
    assert!(scene.closed.contains(&silent) && scene.closed.contains(&dribbling));
    assert!(!scene.closed.contains(&honest));
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest));
}

/// What a peer says first.
fn csm() -> Vec<u8> {
    let now = Instant::now();
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    Connection::new(now, StreamConfig::default(), peer.into(), [0; 32])
        .poll_transmit()
        .unwrap()
        .to_vec()
}

#[test]
fn who_has_proved_nothing_may_not_leave_much_behind() {
    let mut scene = Scene::new();
    let id = scene.open(PROTECTED, 1).unwrap();
    let now = scene.now;
    scene.server.handle_bytes(now, id, &csm());
    scene.server.handle_bytes(now, id, &LONG);
    scene.server.handle_bytes(now, id, &vec![7; MAX_UNPROVED_BYTES - 100]);
    scene.settle();
    assert!(!scene.closed.contains(&id));
    scene.server.handle_bytes(now, id, &[7; 200]);
    scene.settle();
    assert!(scene.closed.contains(&id));
    // At an open door somebody may post a long note at once.
    let id = scene.open(OPEN, 1).unwrap();
    scene.server.handle_bytes(now, id, &csm());
    scene.server.handle_bytes(now, id, &LONG);
    scene.server.handle_bytes(now, id, &vec![7; 1_000_000]);
    scene.settle();
    assert!(!scene.closed.contains(&id));
}

#[test]
fn all_together_keep_no_more_than_they_may_and_who_keeps_most_goes_first() {
    let mut scene = Scene::new();
    let honest = scene.open(PROTECTED, 200).unwrap();
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest));
    let now = scene.now;
    for number in 0..100 {
        let id = scene.open(OPEN, number).unwrap();
        scene.server.handle_bytes(now, id, &csm());
        scene.server.handle_bytes(now, id, &LONG);
        scene.server.handle_bytes(now, id, &vec![7; 1_000_000 + usize::from(number)]);
        assert!(scene.server.streams_keep() <= MAX_BYTES);
    }
    scene.settle();
    let gone = scene.closed.len();
    assert!((30..40).contains(&gone), "{gone}");
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest) && !scene.closed.contains(&honest));
    // What was kept is given back.
    for id in scene.ends.keys().copied().collect::<Vec<_>>() {
        scene.server.handle_closed(now, id);
    }
    assert_eq!(scene.server.streams_keep(), 0);
}

#[test]
fn answers_that_nobody_fetches_are_bounded_for_all_together() {
    let mut scene = Scene::new();
    let writer = scene.open(OPEN, 200).unwrap();
    let now = scene.now;
    let text = "一行, a line\n".repeat(60_000);
    let note = "/notes/01940000-0000-7000-8000-00000000c0a8";
    let put = Request::new(Code::PUT).path(note).payload(text);
    scene.end(writer).request(now, put);
    scene.settle();
    assert_eq!(scene.answer(writer), Some(Code::CREATED));
    scene.server.is_stuck = true;
    for host in 0..20 {
        let id = scene.open(OPEN, host).unwrap();
        for _ in 0..16 {
            scene.end(id).request(now, Request::new(Code::GET).path(note));
        }
        while let Some(bytes) = scene.end(id).poll_transmit() {
            scene.server.handle_bytes(now, id, &bytes);
        }
        while scene.server.wants_work() {
            scene.server.work(now);
            assert!(scene.server.streams_keep() <= MAX_BYTES);
        }
    }
    // They have asked for five times as much.
    assert!(scene.server.streams_keep() > MAX_BYTES / 2);
    scene.server.is_stuck = false;
    scene.server.handle_timeout(now);
    scene.ask(writer, "/status");
    assert!(scene.is_answered(writer));
}

#[test]
fn one_host_has_so_many_streams_and_a_new_one_takes_the_place_of_the_oldest_that_proved_nothing() {
    let mut scene = Scene::new();
    let proved = scene.open(PROTECTED, 1).unwrap();
    scene.ask(proved, "/status");
    let first = scene.open(PROTECTED, 1).unwrap();
    let other = scene.open(PROTECTED, 2).unwrap();
    for _ in 0..500 {
        scene.open(PROTECTED, 1).unwrap();
        scene.settle();
    }
    assert!(scene.closed.contains(&first));
    assert!(!scene.closed.contains(&proved) && !scene.closed.contains(&other));
    assert_eq!(scene.ends.len() - scene.closed.len(), MAX_OF_HOST + 1);
    // Somebody honest of that host comes in and stays.
    let honest = scene.open(PROTECTED, 1).unwrap();
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest));
    for _ in 0..500 {
        scene.open(PROTECTED, 1).unwrap();
        scene.settle();
    }
    assert!(!scene.closed.contains(&honest));
}

#[test]
fn where_all_have_proved_something_nobody_goes_for_a_newcomer_unless_long_idle() {
    let mut scene = Scene::new();
    for number in 0..MAX_OF_HOST {
        let id = scene.open(OPEN, 1).unwrap();
        scene.ask(id, "/status");
        assert!(scene.is_answered(id), "{number}");
    }
    assert_eq!(scene.open(OPEN, 1), None);
    scene.wait(IDLE / 3 + Duration::from_secs(1));
    assert!(scene.open(OPEN, 1).is_some());
    scene.settle();
    assert_eq!(scene.closed.len(), 1);
}

#[test]
fn all_hosts_together_have_so_many() {
    let mut scene = Scene::new();
    for host in 0..20 {
        for _ in 0..MAX_OF_HOST {
            scene.open(PROTECTED, host).unwrap();
            scene.settle();
        }
    }
    assert_eq!(scene.ends.len() - scene.closed.len(), MAX_STREAMS);
}

#[test]
fn who_is_idle_is_released_and_who_observes_is_asked_whether_it_is_there() {
    let mut scene = Scene::new();
    let [idle, watching, gone] = [1, 2, 3].map(|host| scene.open(PROTECTED, host).unwrap());
    scene.ask(idle, "/status");
    let now = scene.now;
    for id in [watching, gone] {
        let observe = Request::new(Code::GET).path("/feed/head").observe(true);
        scene.end(id).request(now, observe);
        scene.settle();
        assert!(scene.is_answered(id));
    }
    // The other end of this one hears and says nothing any more.
    scene.ends.remove(&gone);
    for _ in 0..10 {
        scene.wait(IDLE);
    }
    assert!(scene.closed.contains(&idle) && scene.closed.contains(&gone));
    assert_eq!(scene.end(idle).ended(), Some(&End::Released));
    assert!(!scene.closed.contains(&watching));
    scene.ask(watching, "/status");
    assert!(scene.is_answered(watching));
}

#[test]
fn thousands_of_requests_in_one_piece_are_answered_in_little_room() {
    let mut scene = Scene::new();
    let id = scene.open(OPEN, 1).unwrap();
    let mut bytes = csm();
    // GET /status and GET /devices, the latter refused without asking anybody; no token.
    for _ in 0..5000 {
        bytes.extend(b"\x70\x01\xb6status");
        bytes.extend(b"\x80\x01\xb7devices");
    }
    let now = scene.now;
    let mut rest = &bytes[..];
    let mut answered = 0;
    while !rest.is_empty() || scene.server.wants_work() {
        while scene.server.wants_bytes(id) && !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(64 << 10));
            scene.server.handle_bytes(now, id, piece);
            rest = more;
        }
        scene.server.work(now);
        while let Some((_, action)) = scene.server.poll_stream() {
            answered += usize::from(matches!(action, StreamAction::Send(_)));
        }
    }
    assert_eq!(answered, 10_000 + 1);
}

#[test]
fn rude_bytes_end_their_own_stream_alone() {
    let mut scene = Scene::new();
    let honest = scene.open(OPEN, 1).unwrap();
    for seed in 0..2000u64 {
        let id = scene.open(OPEN, 2).unwrap();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = if seed % 2 == 0 { csm() } else { Vec::new() };
        bytes.extend((0..300).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        }));
        let now = scene.now;
        for piece in bytes.chunks(seed as usize % 7 + 1) {
            scene.server.handle_bytes(now, id, piece);
        }
        scene.settle();
        scene.server.handle_closed(now, id);
    }
    scene.ask(honest, "/status");
    assert!(scene.is_answered(honest));
    assert_eq!(scene.server.streams_keep(), 0);
}
