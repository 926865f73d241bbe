//! Ten thousand clients on one server, each with a socket of its own: a tenth of them writes, a tenth observes, the
//! others are only known. What does one cost, and is any of them served worse than the others?

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use suibi_coap::{
    Code, Config, ContentFormat, Endpoint, Event, Peer, Request, RequestId, Response,
};
use suibi_journal::Rights;
use suibi_oscore::{ClientContext, KeyId, Secret};
use suibi_store::{AccessChange, DeviceRow, JournalId, Store as _};

use crate::report::grouped;
use crate::server::Server;
use crate::table::Table;
use crate::{Failure, Options, cpu, feed, kernel, sqlite};

pub(crate) const NAME: &str = "many clients";

const CLIENTS: usize = 10_000;

/// A tenth writes, the next tenth observes.
const WRITERS: Range<usize> = 0..CLIENTS / 10;
const OBSERVERS: Range<usize> = CLIENTS / 10..CLIENTS / 5;

/// Files that are open beside the sockets of the clients.
const OTHER_FILES: usize = 100;

/// So many clients at a time say hello.
const ARRIVING: usize = 64;

/// How often each writer writes when it is not in a hurry.
const PAUSE: Duration = Duration::from_secs(1);

/// By how many places everybody moves on from one pause to the next.
const MOVES: u32 = 377;

/// How many times as long as the other cases' turns each load lasts.
const TURNS: u32 = 3;

/// How often the timers of all clients are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the writers write.
#[derive(Clone, Copy)]
enum Load {
    /// One note each in a [`PAUSE`], spread evenly. A late answer does not put off the next note's time.
    Paced,
    /// The next note as soon as the last one is answered.
    FlatOut,
}

/// Whose turn the n-th note is: everybody's once in a pause, and not at the same moment of each. What a server does some
/// times a second, such as telling observers, would meet the same writers each time, and they would look worse served.
fn writer(given: u32) -> usize {
    let (pause, place) = (given / WRITERS.len() as u32, given % WRITERS.len() as u32);
    (place + pause % WRITERS.len() as u32 * MOVES) as usize % WRITERS.len()
}

/// Both ways to talk, each with both loads.
///
/// # Errors
/// When somebody is not answered, a note is not there afterwards, or the system does not allow so many files.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    kernel::open_files(CLIENTS + OTHER_FILES)?;
    let mut table = Table::new(
        NAME,
        &[
            "10,000 clients, 1,000 observe, 1,000 write",
            "KiB a client",
            "server, MB",
            "us CPU to arrive",
            "notes/s",
            "us CPU a note",
            "of it the net thread",
            "answer p50 / p99 / longest, ms",
            "p50 of a client, 1 % - 99 % of them, ms",
            "longest wait of a client, 1 % - 99 %, ms",
            "notes of a client",
            "hints an observer",
        ],
    );
    for (way, is_protected) in [("plain", false), ("OSCORE, 10,000 devices", true)] {
        options.tell(1, &format!("{NAME}, {way}"));
        let directory = tempfile::tempdir_in(&options.dir)?;
        let mut scene = Scene::start(options, directory.path(), is_protected)?;
        let arrived = scene.arrive()?;
        table.fact(format!("{NAME}, {way}, KiB each"), [arrived.kib_each]);
        for (load, how) in [(Load::Paced, "a note a second each"), (Load::FlatOut, "all at once")] {
            options.tell(1, &format!("{NAME}, {way}, {how}"));
            let served = scene.load(load, options.turn * TURNS)?;
            let name = format!("{way}, {how}");
            let (p50, p99) = (served.all.at(0.5), served.all.at(0.99));
            table.fact(format!("{NAME}, {name}, p99 in ms"), [p99]);
            table.row([
                name,
                format!("**{:.2}**", arrived.kib_each),
                format!("{:.1}", cpu::resident_kib(scene.server.id())? as f64 / 1024.0),
                format!("{:.0}", arrived.micros_each),
                format!("**{}**", grouped(served.all.0.len() as f64 / served.wall.as_secs_f64())),
                format!("**{:.1}**", served.micros_each),
                format!("{:.0} %", 100.0 * served.net_share),
                format!("**{p50:.1}** / **{p99:.1}** / {:.1}", served.all.at(1.0)),
                format!("{:.1} - {:.1}", served.medians.at(0.01), served.medians.at(0.99)),
                format!("{:.1} - {:.1}", served.longest.at(0.01), served.longest.at(0.99)),
                format!("{:.0} - {:.0}", served.counts.at(0.0), served.counts.at(1.0)),
                format!("{:.0} - {:.0}", served.hints.at(0.0), served.hints.at(1.0)),
            ]);
        }
        let acknowledged = scene.crowd.next_number;
        scene.server.stop()?;
        sqlite::verify(&directory.path().join("server"), 0..acknowledged)?;
    }
    Ok(table)
}

/// Figures in order of size.
struct Sorted(Vec<f64>);

impl Sorted {
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The one that this share of the others does not exceed.
    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// What it took to get to know everybody.
struct Arrived {
    kib_each: f64,
    micros_each: f64,
}

/// How the writers were served, in milliseconds.
struct Served {
    wall: Duration,
    micros_each: f64,
    net_share: f64,
    all: Sorted,
    /// Of each writer.
    medians: Sorted,
    longest: Sorted,
    counts: Sorted,
    /// Of each observer.
    hints: Sorted,
}

struct Scene {
    server: Server,
    crowd: Crowd,
}

impl Scene {
    fn start(options: &Options, directory: &Path, is_protected: bool) -> Result<Self, Failure> {
        let data = directory.join("server");
        let credentials: Vec<_> = match is_protected {
            true => (0..CLIENTS).map(credential).collect(),
            false => Vec::new(),
        };
        let server = if is_protected {
            add_devices(&data, &credentials)?;
            Server::protected(&options.server, &data)?.0
        } else {
            Server::suibi(&options.server, &data)?
        };
        let mut crowd = Crowd::new(server.address)?;
        for (client, (id, secret)) in crowd.clients.iter_mut().zip(credentials) {
            let context = ClientContext::new(id, secret, None, seed()?);
            client.endpoint.set_protection(Some(context.protection()));
        }
        Ok(Self { server, crowd })
    }

    /// Everybody asks once, and a tenth goes on observing.
    fn arrive(&mut self) -> Result<Arrived, Failure> {
        let (before, cpu_before) = (cpu::resident_kib(self.server.id())?, self.cpu()?);
        let mut next = 0;
        self.crowd.run("everybody has arrived", PATIENCE, |crowd, _| {
            while next < CLIENTS && crowd.outstanding < ARRIVING {
                let head = Request::new(Code::GET).path("/feed/head");
                let head = if OBSERVERS.contains(&next) { head.observe(true) } else { head };
                crowd.begin(next, Instant::now(), head);
                next += 1;
            }
            next == CLIENTS
        })?;
        let (after, cpu_after) = (cpu::resident_kib(self.server.id())?, self.cpu()?);
        self.crowd.clients.iter_mut().for_each(|client| client.took.clear());
        Ok(Arrived {
            kib_each: after.saturating_sub(before) as f64 / CLIENTS as f64,
            micros_each: (cpu_after - cpu_before).as_secs_f64() * 1e6 / CLIENTS as f64,
        })
    }

    fn load(&mut self, load: Load, turn: Duration) -> Result<Served, Failure> {
        let cpu_before = cpu::by_thread(self.server.id())?;
        self.crowd.clients.iter_mut().for_each(Client::forget_figures);
        let start = Instant::now();
        let (mut given, mut due) = (0u32, Vec::new());
        self.crowd.run("every note is answered", turn + PATIENCE, |crowd, finished| {
            let is_over = start.elapsed() >= turn;
            match load {
                Load::Paced => {
                    let now = Instant::now();
                    loop {
                        let at = start + PAUSE * given / WRITERS.len() as u32;
                        if at >= start + turn || at > now {
                            break;
                        }
                        due.push((writer(given), at));
                        given += 1;
                    }
                    // Whoever still waits has the next note later, and that counts from when it was to be.
                    due.retain(|&(writer, at)| {
                        let is_free = crowd.is_free(writer);
                        if is_free {
                            crowd.write(writer, at);
                        }
                        !is_free
                    });
                }
                Load::FlatOut => {
                    let begins = if given == 0 { WRITERS.collect() } else { finished.to_vec() };
                    given = 1;
                    for writer in begins.into_iter().filter(|_| !is_over) {
                        crowd.write(writer, Instant::now());
                    }
                }
            }
            is_over && due.is_empty()
        })?;
        let wall = start.elapsed();
        self.tell_all()?;
        let used = |threads: &dyn Fn(&str) -> bool| -> Result<f64, Failure> {
            let now = cpu::by_thread(self.server.id())?;
            let since = now.iter().filter(|(name, _)| threads(name)).map(|(name, used)| {
                used.saturating_sub(cpu_before.get(name).copied().unwrap_or_default())
            });
            Ok(since.sum::<Duration>().as_secs_f64())
        };
        let (all_threads, net) = (used(&|_| true)?, used(&|name| name == "suibi")?);
        let writers = &self.crowd.clients[WRITERS];
        let each = |of: fn(&Sorted) -> f64| {
            Sorted::of(writers.iter().map(|writer| of(&Sorted::of(writer.took.iter().copied()))))
        };
        let all = Sorted::of(writers.iter().flat_map(|writer| writer.took.iter().copied()));
        Ok(Served {
            wall,
            micros_each: all_threads * 1e6 / all.0.len() as f64,
            net_share: net / all_threads,
            medians: each(|took| took.at(0.5)),
            longest: each(|took| took.at(1.0)),
            counts: each(|took| took.0.len() as f64),
            hints: Sorted::of(self.crowd.clients[OBSERVERS].iter().map(|one| f64::from(one.hints))),
            all,
        })
    }

    /// Waits until every observer knows what there is.
    fn tell_all(&mut self) -> Result<(), Failure> {
        let head = Request::new(Code::GET).path("/feed/head");
        self.crowd.begin(CLIENTS - 1, Instant::now(), head);
        self.crowd.run("the head is known", PATIENCE, |_, _| true)?;
        let head = self.crowd.clients[CLIENTS - 1].last.clone();
        self.crowd.run("every observer was told", PATIENCE, |crowd, _| {
            crowd.clients[OBSERVERS].iter().all(|observer| observer.last == head)
        })
    }

    fn cpu(&self) -> Result<Duration, Failure> {
        Ok(cpu::by_thread(self.server.id())?.into_values().sum())
    }
}

/// The clients, driven by one thread.
struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    outstanding: usize,
    next_number: u32,
    looked: Instant,
}

struct Client {
    socket: UdpSocket,
    peer: Peer,
    endpoint: Endpoint,
    /// What waits for its answer, and since when.
    waiting: Option<(RequestId, Instant)>,
    /// From when each was to be sent to its answer, in milliseconds.
    took: Vec<f64>,
    hints: u32,
    /// What came last.
    last: Vec<u8>,
}

impl Crowd {
    fn new(server: SocketAddr) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let client = |number| {
            let mut socket = UdpSocket::bind("127.0.0.1:0".parse()?)?;
            socket.connect(server)?;
            poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
            let endpoint = Endpoint::new(Config::own(), seed()?);
            let (took, last) = (Vec::new(), Vec::new());
            let peer = server.into();
            Ok(Client { socket, peer, endpoint, waiting: None, took, hints: 0, last })
        };
        let clients = (0..CLIENTS).map(client).collect::<Result<_, Failure>>()?;
        let (events, looked) = (Events::with_capacity(1_024), Instant::now());
        Ok(Self { poll, events, clients, outstanding: 0, next_number: 0, looked })
    }

    fn is_free(&self, client: usize) -> bool {
        self.clients[client].waiting.is_none()
    }

    /// Asks; the time that it takes counts from `since`.
    fn begin(&mut self, client: usize, since: Instant, request: Request) {
        let client = &mut self.clients[client];
        let id = client.endpoint.request(Instant::now(), client.peer, request);
        client.waiting = Some((id, since));
        self.outstanding += 1;
        client.send();
    }

    fn write(&mut self, client: usize, since: Instant) {
        let text = feed::text(self.next_number);
        self.next_number += 1;
        let note = Request::new(Code::POST).path("/notes");
        self.begin(client, since, note.content_format(ContentFormat::TEXT_PLAIN).payload(text));
    }

    /// Goes on until `step`, which hears who was answered just now, has nothing more to begin and nothing waits.
    fn run(
        &mut self,
        what: &str,
        within: Duration,
        mut step: impl FnMut(&mut Self, &[usize]) -> bool,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let mut finished = Vec::new();
        while !(step(self, &finished) && self.outstanding == 0) {
            if start.elapsed() > within {
                let waiting = self.outstanding;
                return Err(format!("waited in vain until {what}; {waiting} wait").into());
            }
            finished.clear();
            self.poll.poll(&mut self.events, Some(Duration::from_millis(1)))?;
            for event in &self.events {
                let Token(number) = event.token();
                if self.clients[number].receive()? {
                    finished.push(number);
                }
            }
            if self.looked.elapsed() >= LOOK_EVERY {
                self.looked = Instant::now();
                for client in &mut self.clients {
                    client.look(self.looked);
                }
            }
            self.outstanding -= finished.len();
        }
        Ok(())
    }
}

impl Client {
    fn forget_figures(&mut self) {
        self.took.clear();
        self.hints = 0;
    }

    fn send(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // What finds the buffer full is lost, as it may be anywhere.
            let _ = self.socket.send(&transmit.bytes);
        }
    }

    fn look(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.send();
        }
    }

    /// Takes what came; whether it was the answer that was waited for.
    fn receive(&mut self) -> Result<bool, Failure> {
        let mut buf = [0; 2_048];
        while let Ok(len) = self.socket.recv(&mut buf) {
            self.endpoint.handle_datagram(Instant::now(), self.peer, &buf[..len]);
        }
        let mut is_answered = false;
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Response { id, response } => is_answered |= self.on_answer(id, response)?,
                Event::Notification { response, .. } => {
                    self.hints += 1;
                    self.last = response.payload.to_vec();
                }
                Event::Failed { error, .. } => return Err(error.into()),
                Event::Request { .. } | Event::ObservationEnded { .. } => {}
            }
        }
        self.send();
        Ok(is_answered)
    }

    fn on_answer(&mut self, id: RequestId, response: Response) -> Result<bool, Failure> {
        if !response.code.is_success() {
            return Err(format!("{}: {}", response.code, response.text()).into());
        }
        self.last = response.payload.to_vec();
        let Some((_, since)) = self.waiting.take_if(|(waiting, _)| *waiting == id) else {
            return Ok(false);
        };
        self.took.push(since.elapsed().as_secs_f64() * 1e3);
        Ok(true)
    }
}

fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// Nobody else gets into this server, so it need not be random.
fn credential(number: usize) -> (KeyId, Secret) {
    let bytes = (number as u64).to_be_bytes();
    let id = KeyId::from_slice(&bytes[1..]).expect("seven bytes");
    (id, Secret::from_bytes(&[&bytes[..], b"suibi bench"].concat()).expect("not too long"))
}

/// As if all of them had joined.
fn add_devices(data: &Path, credentials: &[(KeyId, Secret)]) -> Result<(), Failure> {
    let mut store = sqlite::open(data)?;
    for (number, (id, secret)) in credentials.iter().enumerate() {
        let device = DeviceRow {
            number: 0,
            key_id: id.as_slice().to_vec(),
            name: format!("device {number}"),
            journal: JournalId::FIRST,
            rights: Rights::READ_WRITE,
            secret: secret.as_bytes().into(),
            salt: None,
            reserved: 0,
            joined: 0,
            revoked: None,
        };
        store.change_access(&AccessChange::AddDevice(device), None)??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_writes_once_a_pause_and_at_other_moments_each_time() {
        let all = WRITERS.len() as u32;
        for pause in 0..3 {
            let writers: BTreeSet<_> = (pause * all..(pause + 1) * all).map(writer).collect();
            assert_eq!(writers, WRITERS.collect());
        }
        let places = (0..5 * all).filter(|given| writer(*given) == 7).map(|given| given % all);
        assert_eq!(places.collect::<BTreeSet<_>>().len(), 5);
    }
}
