//! A real server on loopback, and clients of both languages.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod stream;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_coap::{Code, Endpoint, Event, Protection, Request, RequestId, Response};
use suibi_net::{ReceiveBatch, Received, UdpSocket};
use suibi_oscore::{ClientContext, KeyId, Secret};
use suibi_server::plain::{PlainRules, Reply, Words};
use suibi_server::{
    Config, Listen, ListenerKind, LocalCredential, PlainListen, ServeError, Server, ServerHandle,
    StopSignal,
};
use suibi_store::{
    AccessChange, DeviceRow, JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _,
};
use tempfile::TempDir;

use self::stream::StreamClient;

pub(crate) const NOTES: JournalId = JournalId::FIRST;

/// So long nothing takes, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a thread, stopped when dropped.
pub(crate) struct Running {
    pub(crate) oscore: Vec<SocketAddr>,
    pub(crate) coap: Vec<SocketAddr>,
    pub(crate) plain: Vec<SocketAddr>,
    data_dir: PathBuf,
    handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

pub(crate) fn config(data_dir: &Path) -> Config {
    let mut config = Config::new(data_dir);
    config.coap.push(Listen { address: "127.0.0.1:0".to_owned() });
    config.plain.push(plain(Words::Course, Reply::Auto));
    config
}

/// Only what is protected comes in.
pub(crate) fn protected(data_dir: &Path) -> Config {
    let mut config = Config::new(data_dir);
    config.listen.push(Listen { address: "127.0.0.1:0".to_owned() });
    config
}

/// A device that may read and write, and its server, which runs as long as it is kept.
pub(crate) fn phone_and_server() -> (TempDir, Credential, Running) {
    let dir = tempfile::tempdir().unwrap();
    let phone = add_device(dir.path(), "phone", NOTES, "read,write");
    let server = Running::start(protected(dir.path()));
    (dir, phone, server)
}

pub(crate) fn get(path: &str) -> Request {
    Request::new(Code::GET).path(path)
}

pub(crate) fn post(text: impl Into<String>) -> Request {
    Request::new(Code::POST).path("/notes").payload(text.into())
}

/// The answer to a note that was taken.
#[track_caller]
pub(crate) fn created(response: Response) -> Response {
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    response
}

pub(crate) fn plain(words: Words, reply: Reply) -> PlainListen {
    let rules = PlainRules { words, reply, ..PlainRules::default() };
    PlainListen { address: "127.0.0.1:0".to_owned(), rules, anyone: false }
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        let data_dir = config.data_dir.clone();
        let server = Server::bind(config).unwrap();
        let of = |kind| {
            let listeners = server.listeners().iter();
            listeners.filter(|l| l.kind == kind).map(|l| l.address).collect()
        };
        let oscore = of(ListenerKind::Oscore);
        let (coap, plain) = (of(ListenerKind::Coap), of(ListenerKind::Plain));
        let handle = server.handle();
        let thread = thread::spawn(move || server.run(StopSignal::new().unwrap()));
        Self { oscore, coap, plain, data_dir, handle, thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.coap[0])
    }

    /// What the owner's own commands prove themselves with.
    pub(crate) fn local(&self) -> LocalCredential {
        let running = suibi_server::running(&self.data_dir).unwrap().unwrap();
        assert_eq!(running.oscore, self.oscore);
        running.local.unwrap()
    }

    /// One of the owner's own commands.
    pub(crate) fn owner(&self) -> Client {
        let LocalCredential { id, secret, epoch } = self.local();
        self.device(&ClientContext::new(id, secret, Some(epoch), random()))
    }

    /// A client process of a device.
    pub(crate) fn device(&self, context: &ClientContext) -> Client {
        self.client_with(context.protection())
    }

    /// A client that is protected in a way of its own.
    pub(crate) fn client_with(&self, protection: Box<dyn Protection>) -> Client {
        let mut client = Client::new(*self.oscore.last().unwrap());
        client.endpoint.set_protection(Some(protection));
        client
    }

    /// A stream to the unprotected door.
    pub(crate) fn stream(&self) -> StreamClient {
        StreamClient::new(self.coap[0], None)
    }

    /// A stream of a device.
    pub(crate) fn device_stream(&self, context: &ClientContext) -> StreamClient {
        StreamClient::new(*self.oscore.last().unwrap(), Some(context.protection()))
    }

    /// Stops it, and says how long that took.
    pub(crate) fn stop(mut self) -> Duration {
        let start = Instant::now();
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
        start.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}

/// What a device proves itself with.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) id: KeyId,
    pub(crate) secret: Secret,
}

impl Credential {
    /// A new process of this device; `epoch` is what it remembers of the server.
    pub(crate) fn process(&self, epoch: Option<[u8; 8]>) -> ClientContext {
        ClientContext::new(self.id, self.secret.clone(), epoch, random())
    }
}

/// The store of a server that does not run.
pub(crate) fn store(data_dir: &Path) -> SqliteStore {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
    SqliteStore::open(&data_dir.join("server.db"), options).unwrap()
}

pub(crate) fn add_journal(data_dir: &Path, name: &str) -> JournalId {
    let change = AccessChange::AddJournal { name: name.to_owned() };
    store(data_dir).change_access(&change, None).unwrap().unwrap().journal.unwrap()
}

/// Lets a device in before the server starts, without an invite.
pub(crate) fn add_device(
    data_dir: &Path,
    name: &str,
    journal: JournalId,
    rights: &str,
) -> Credential {
    let (id, secret) = (random::<4>(), random::<32>());
    let row = DeviceRow {
        number: 0,
        key_id: id.to_vec(),
        name: name.to_owned(),
        journal,
        rights: rights.parse().unwrap(),
        secret: secret.to_vec().into(),
        salt: None,
        reserved: 0,
        joined: 0,
        revoked: None,
    };
    store(data_dir).change_access(&AccessChange::AddDevice(row), None).unwrap().unwrap();
    Credential { id: KeyId::from_slice(&id).unwrap(), secret: Secret::from_bytes(&secret).unwrap() }
}

/// A note under this context as it would travel; it has not been sent.
pub(crate) fn datagram(context: &ClientContext, text: &str) -> Vec<u8> {
    let mut endpoint = Endpoint::new(suibi_coap::Config::own(), random());
    endpoint.set_protection(Some(context.protection()));
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 5683));
    endpoint.request(Instant::now(), anywhere.into(), post(text));
    endpoint.poll_transmit().unwrap().bytes.to_vec()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// A CoAP client that waits for its answers.
pub(crate) struct Client {
    /// Datagrams that have left.
    pub(crate) sent: usize,
    socket: UdpSocket,
    endpoint: Endpoint,
    server: SocketAddr,
    batch: ReceiveBatch,
    events: VecDeque<Event>,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let seed = std::array::from_fn(|i| (i as u8) ^ (server.port() as u8));
        Self {
            sent: 0,
            socket: UdpSocket::connect(server).unwrap(),
            endpoint: Endpoint::new(suibi_coap::Config::own(), seed),
            server,
            batch: ReceiveBatch::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn send(&mut self, request: Request) -> RequestId {
        self.endpoint.request(Instant::now(), self.server.into(), request)
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: Request) -> Response {
        let id = self.send(request);
        self.answer(id)
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, wanted: RequestId) -> Response {
        self.wait_for(|event| match event {
            Event::Response { id, response } if *id == wanted => Some(response.clone()),
            Event::Failed { id, error } if *id == wanted => panic!("{error}"),
            _ => None,
        })
    }

    /// Nothing comes for this, not even a refusal, while somebody who is known is answered.
    pub(crate) fn expect_silence(&mut self, id: RequestId) {
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            self.turn();
            assert_eq!(self.events.pop_front(), None, "{id:?}");
        }
    }

    /// What an observation tells next.
    #[track_caller]
    pub(crate) fn notification(&mut self, wanted: RequestId) -> Response {
        self.wait_for(|event| match event {
            Event::Notification { id, response } if *id == wanted => Some(response.clone()),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn post(&mut self, text: &str) -> Response {
        created(self.ask(post(text)))
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(get(path))
    }

    /// The texts of the newest notes, oldest first; only for notes of one line.
    #[track_caller]
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let request = Request::new(Code::GET).path("/notes").query("limit", "100000");
        let response = self.ask(request);
        assert_eq!(response.code, Code::CONTENT, "{}", response.text());
        response.text().lines().map(|line| line[17..].to_owned()).collect()
    }

    #[track_caller]
    fn wait_for<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            self.turn();
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
            assert!(start.elapsed() < PATIENCE, "nothing came");
        }
    }

    fn flush(&mut self) {
        let mut outgoing: VecDeque<_> =
            std::iter::from_fn(|| self.endpoint.poll_transmit()).collect();
        self.sent += outgoing.len();
        self.socket.send(&mut outgoing).unwrap();
    }

    fn turn(&mut self) {
        self.flush();
        let until = self.endpoint.poll_timeout();
        let wait = until.map_or(Duration::from_millis(50), |at| {
            at.saturating_duration_since(Instant::now()).min(Duration::from_millis(50))
        });
        self.socket.wait(Some(wait)).unwrap();
        while let Received::Datagrams(_) = self.socket.receive(&mut self.batch).unwrap() {
            for (_, bytes) in self.batch.iter() {
                self.endpoint.handle_datagram(Instant::now(), self.server.into(), bytes);
            }
        }
        self.endpoint.handle_timeout(Instant::now());
        self.flush();
        self.events.extend(std::iter::from_fn(|| self.endpoint.poll_event()));
    }
}

/// A ten-line client of the plain dialect.
pub(crate) struct Old(pub(crate) StdSocket);

impl Old {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        self.0.send(bytes.as_ref()).unwrap();
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut buf = vec![0; 65_536];
        let len = self.0.recv(&mut buf).expect("no answer");
        buf.truncate(len);
        buf
    }

    pub(crate) fn ask(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.send(bytes);
        self.receive()
    }

    /// Nothing has been sent here; of what was asked before, all has been answered.
    #[track_caller]
    pub(crate) fn expect_silence(&self) {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut buf = [0; 2048];
        let result = self.0.recv(&mut buf);
        assert!(result.is_err(), "{}", String::from_utf8_lossy(&buf));
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}
