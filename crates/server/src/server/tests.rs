//! Stores that fail, behind real sockets: nothing is acknowledged that is not kept, and reading goes on.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use suibi_journal::AuditEntry;
use suibi_store::{
    Access, AccessChange, AccessDone, AccessRefused, JournalId, Outcome, Reader, Write,
};

use super::*;
use crate::config::{Listen, PlainListen};
use crate::plain::PlainRules;

/// What a commit fails with.
type Failure = fn() -> StoreError;

/// What the next commits fail with, and how often the store was opened.
#[derive(Clone, Default)]
struct Trouble {
    error: Arc<Mutex<Option<Failure>>>,
    opened: Arc<AtomicUsize>,
}

struct Troubled {
    store: SqliteStore,
    trouble: Trouble,
}

impl Store for Troubled {
    fn commit(&mut self, writes: Vec<(JournalId, Write)>) -> Result<Vec<Outcome>, StoreError> {
        if let Some(error) = *self.trouble.error.lock().unwrap() {
            return Err(error());
        }
        self.store.commit(writes)
    }

    fn access(&mut self) -> Result<Access, StoreError> {
        self.store.access()
    }

    fn change_access(
        &mut self,
        change: &AccessChange,
        audit: Option<&AuditEntry>,
    ) -> Result<Result<AccessDone, AccessRefused>, StoreError> {
        if let Some(error) = *self.trouble.error.lock().unwrap() {
            return Err(error());
        }
        self.store.change_access(change, audit)
    }

    fn is_sound(&self) -> bool {
        self.store.is_sound()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }
}

/// A server on such a store, and a socket for each of its doors.
struct Scene {
    trouble: Trouble,
    coap: UdpSocket,
    plain: UdpSocket,
    handle: ServerHandle,
    thread: Option<thread::JoinHandle<Result<(), ServeError>>>,
    next_id: u16,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let trouble = Trouble::default();
        let address = || "127.0.0.1:0".to_owned();
        let mut config = Config::new(dir.path());
        config.coap.push(Listen { address: address() });
        let rules = PlainRules::default();
        config.plain.push(PlainListen { address: address(), rules, anyone: false });
        let (path, shared) = (files::database(dir.path()), trouble.clone());
        let server = Server::bind_with(
            config,
            Box::new(move |_| {
                shared.opened.fetch_add(1, Ordering::SeqCst);
                let options =
                    SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
                let store = SqliteStore::open(&path, options)?;
                Ok(Box::new(Troubled { store, trouble: shared.clone() }) as Box<dyn Store>)
            }),
        )
        .unwrap();
        let [coap, plain] = [0, 1].map(|at| client(server.listeners()[at].address));
        let handle = server.handle();
        let thread = Some(thread::spawn(move || server.run(StopSignal::new().unwrap())));
        Self { trouble, coap, plain, handle, thread, next_id: 0, dir }
    }

    fn fail_with(&self, error: Failure) {
        *self.trouble.error.lock().unwrap() = Some(error);
    }

    fn recover(&self) {
        *self.trouble.error.lock().unwrap() = None;
    }

    /// A confirmable request by hand (RFC 7252 §3): code byte and the bytes that follow the options and payload.
    fn ask(&mut self, code: u8, payload: &str) -> (u8, String) {
        self.next_id += 1;
        let mut message = vec![0x40, code];
        message.extend(self.next_id.to_be_bytes());
        message.push(0xb5);
        message.extend(b"notes");
        if !payload.is_empty() {
            message.push(0xff);
            message.extend(payload.as_bytes());
        }
        self.coap.send(&message).unwrap();
        let mut buf = [0; 2048];
        let len = self.coap.recv(&mut buf).expect("no answer");
        // The last marker: an ETag may have such a byte, UTF-8 has none.
        let marker = buf[..len].iter().rposition(|byte| *byte == 0xff);
        let text = marker.map_or(&[][..], |at| &buf[at + 1..len]);
        (buf[1], String::from_utf8_lossy(text).into_owned())
    }

    fn post(&mut self, text: &str) -> (u8, String) {
        self.ask(0x02, text)
    }

    fn list(&mut self) -> String {
        let (code, text) = self.ask(0x01, "");
        assert_eq!(code, 0x45, "{text}");
        text
    }

    fn say(&self, text: &str) -> String {
        self.plain.send(text.as_bytes()).unwrap();
        let mut buf = [0; 2048];
        let len = self.plain.recv(&mut buf).expect("no answer");
        String::from_utf8_lossy(&buf[..len]).into_owned()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.handle.stop();
        let Some(thread) = self.thread.take() else { return };
        let result = thread.join();
        if !thread::panicking() {
            result.unwrap().unwrap();
        }
    }
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

const CREATED: u8 = 0x41;
const INTERNAL_SERVER_ERROR: u8 = 0xa0;
const SERVICE_UNAVAILABLE: u8 = 0xa3;

#[test]
fn a_full_disk_refuses_and_serves_what_is_there_until_there_is_room() {
    let mut scene = Scene::new();
    assert_eq!(scene.post("before").0, CREATED);
    scene.fail_with(|| StoreError::Full);
    for _ in 0..3 {
        let refused = (SERVICE_UNAVAILABLE, "not kept: the disk is full".to_owned());
        assert_eq!(scene.post("lost?"), refused);
        assert_eq!(scene.say("lost?"), "not kept: the disk is full");
    }
    assert!(scene.list().ends_with(" before\n"));
    assert!(scene.say("r").ends_with(" before"));
    scene.recover();
    assert_eq!(scene.post("after").0, CREATED);
    assert_eq!(scene.say("plain after"), "plain after");
    assert_eq!(scene.list().lines().count(), 3);
}

#[test]
fn a_read_only_store_refuses_for_good() {
    let mut scene = Scene::new();
    assert_eq!(scene.post("before").0, CREATED);
    scene.fail_with(|| StoreError::ReadOnly("the file system".to_owned()));
    let (code, text) = scene.post("lost?");
    assert_eq!(code, INTERNAL_SERVER_ERROR);
    assert_eq!(text, "not kept: the database may not be written: the file system");
    assert!(scene.list().ends_with(" before\n"));
}

#[test]
fn a_store_whose_disk_failed_is_opened_again() {
    let mut scene = Scene::new();
    assert_eq!(scene.post("before").0, CREATED);
    scene.fail_with(|| StoreError::Broken("fsync".to_owned()));
    assert_eq!(scene.post("lost?").0, INTERNAL_SERVER_ERROR);
    assert_eq!(scene.trouble.opened.load(Ordering::SeqCst), 1);
    scene.recover();
    assert_eq!(scene.post("after").0, CREATED);
    assert_eq!(scene.trouble.opened.load(Ordering::SeqCst), 2);
    assert_eq!(scene.list().lines().count(), 2);
}

#[test]
fn a_server_whose_writer_panics_acknowledges_nothing_and_ends() {
    let mut scene = Scene::new();
    assert_eq!(scene.post("before").0, CREATED);
    scene.fail_with(|| panic!("a bug, for the test"));
    scene.plain.send(b"lost?").unwrap();
    let result = scene.thread.take().unwrap().join().unwrap();
    assert!(matches!(result, Err(ServeError::Crashed("writer"))), "{result:?}");
    // Nothing was sent before the end, and nobody listens after it.
    scene.plain.set_nonblocking(true).unwrap();
    assert!(scene.plain.recv(&mut [0; 2048]).is_err());
    assert!(Lock::take(scene.dir.path()).is_ok(), "the data is free for the next one");
}

/// Asks as one of the owner's own commands does.
fn owner(scene: &Scene, request: suibi_coap::Request) -> suibi_coap::Response {
    let running = lock::running(scene.dir.path()).unwrap().unwrap();
    let LocalCredential { id, secret, epoch } = running.local.unwrap();
    let context =
        suibi_oscore::ClientContext::new(id, secret, Some(epoch), listen::random().unwrap());
    let mut endpoint =
        suibi_coap::Endpoint::new(suibi_coap::Config::own(), listen::random().unwrap());
    endpoint.set_protection(Some(context.protection()));
    let socket = client(running.oscore[0]);
    let peer = running.oscore[0].into();
    endpoint.request(Instant::now(), peer, request);
    let mut buf = [0; 2048];
    loop {
        while let Some(transmit) = endpoint.poll_transmit() {
            socket.send(&transmit.bytes).unwrap();
        }
        if let Some(suibi_coap::Event::Response { response, .. }) = endpoint.poll_event() {
            return response;
        }
        let len = socket.recv(&mut buf).expect("no answer");
        endpoint.handle_datagram(Instant::now(), peer, &buf[..len]);
    }
}

#[test]
fn a_full_disk_lets_nobody_in_and_nobody_who_is_in_is_kept_out() {
    use suibi_coap::{Code, Request};
    let mut scene = Scene::new();
    assert_eq!(scene.post("before").0, CREATED);
    let wanted = suibi_journal::admission::InviteRequest {
        journal: None,
        rights: suibi_journal::Rights::READ_WRITE,
        lasts: None,
        name: None,
    };
    let invite = || {
        Request::new(Code::POST)
            .path("/invites")
            .content_format(suibi_coap::ContentFormat::CBOR)
            .payload(wanted.encode())
    };
    let invites =
        || Request::new(Code::GET).path("/invites").accept(suibi_coap::ContentFormat::JSON);
    let none = owner(&scene, invites()).payload;
    assert!(none.starts_with(b"{"), "{none:?}");
    scene.fail_with(|| StoreError::Full);
    let refused = owner(&scene, invite());
    assert_eq!(
        (refused.code, refused.text().as_str()),
        (Code::SERVICE_UNAVAILABLE, "not kept: the disk is full")
    );
    assert_eq!(owner(&scene, invites()).payload, none, "what is not kept does not count");
    assert!(owner(&scene, Request::new(Code::GET).path("/notes")).text().ends_with(" before\n"));
    scene.recover();
    let made = owner(&scene, invite());
    assert_eq!(made.code, Code::CREATED, "{}", made.text());
    assert_ne!(owner(&scene, invites()).payload, none);
}
