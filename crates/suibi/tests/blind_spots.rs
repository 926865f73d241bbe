//! What the exercise left open: a server that hears and says nothing, a client that is there before
//! its server, and a server that stops in the middle of an answer. No command hangs, and each note
//! is there once when both are up.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coap_lite::{CoapOption, MessageClass, MessageType, Packet};
use machinery::home::Added;
use machinery::wire::{acknowledgement, uint};
use machinery::{Home, Server, assert_each_once, free_port, wait_until};

/// Each of these promises its line within one second; the rest is for a busy machine. What hangs,
/// hangs for longer.
const BOUND: Duration = Duration::from_secs(30);

/// Syncing tries for longer, then says what is wrong.
const SYNC_BOUND: Duration = Duration::from_secs(90);

/// A server that is none: it receives, counts, and answers as it is told.
struct Pretender {
    address: SocketAddr,
    heard: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pretender {
    fn start(answer: fn(&Packet) -> Option<Vec<u8>>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (heard, stop) = (Arc::clone(&heard), Arc::clone(&stop));
            thread::spawn(move || {
                let mut buf = [0; 2048];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, from)) = socket.recv_from(&mut buf) else { continue };
                    heard.fetch_add(1, Ordering::Relaxed);
                    let packet = Packet::from_bytes(&buf[..len]).unwrap();
                    if let Some(answer) = answer(&packet) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            })
        };
        Self { address, heard, stop, thread: Some(thread) }
    }

    /// Ends it, so that its port is free, and tells how much it has heard.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.heard.load(Ordering::Relaxed)
    }
}

/// What [`every_command_returns`] writes.
const WRITTEN: [&str; 5] = ["by add", "by plain words", "by pipe 1", "by pipe 2", "all of\nit"];

/// Whether "all of it" ends with a line end is not asked here.
#[track_caller]
fn assert_written(found: Vec<String>) {
    let found: Vec<_> = found.iter().map(|text| text.trim_end().to_owned()).collect();
    assert_each_once(&found, &WRITTEN.map(str::to_owned));
}

/// A real server starts at `address`, and it has what was written, once.
#[track_caller]
fn it_is_delivered_once(home: &Home, address: SocketAddr) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_at(data.path(), address);
    wait_until("the notes are delivered", || home.sync().status.success());
    assert_written(server.notes());
    home.sync().expect_success();
    assert_written(server.notes());
    assert_written(home.log());
}

/// Writes in every way there is, lists in every way there is, each within its bound.
#[track_caller]
fn every_command_returns(home: &Home) {
    let added = home.suibi_within(BOUND, &["add", "by add"]).expect_success();
    assert_eq!(Added::of(&added), Added::Kept);
    let added = home.suibi_within(BOUND, &["by", "plain", "words"]).expect_success();
    assert_eq!(Added::of(&added), Added::Kept);
    home.suibi_with_input(b"by pipe 1\nby pipe 2\n", &[]).expect_success();
    home.suibi_with_input(b"all of\nit\n", &["-"]).expect_success();
    for listing in [
        &["log"][..],
        &["log", "--json"],
        &["log", "--source"],
        &["today"],
        &["search", "pipe"],
        &["status"],
    ] {
        let finished = home.suibi_within(BOUND, listing).expect_success();
        assert!(finished.out.contains("by pipe 1") || listing == ["status"], "{finished:#?}");
    }
    // Nothing was written on that day, which is exit code 1, as with grep.
    home.suibi_within(BOUND, &["on", "2026-01-01"]).expect_refusal(&[1]);
    // It may call that a failure; it may not hang or lie.
    let sync = home.suibi_within(SYNC_BOUND, &["sync"]);
    assert!(!sync.status.success(), "nothing was synced: {sync:#?}");
    assert_written(home.log());
}

#[test]
fn a_server_that_receives_and_never_answers() {
    let silent = Pretender::start(|_| None);
    let address = silent.address;
    let home = Home::with_server(address);
    every_command_returns(&home);
    assert!(silent.end() > 0, "nobody asked it");
    it_is_delivered_once(&home, address);
}

#[test]
fn a_client_that_is_started_before_its_server() {
    let address = free_port();
    let home = Home::with_server(address);
    every_command_returns(&home);
    it_is_delivered_once(&home, address);
}

#[test]
fn a_server_that_acknowledges_and_then_says_nothing() {
    let pretender = Pretender::start(|packet| {
        (packet.header.get_type() == MessageType::Confirmable)
            .then(|| acknowledgement(packet.header.message_id).to_vec())
    });
    let address = pretender.address;
    let home = Home::with_server(address);
    every_command_returns(&home);
    assert!(pretender.end() > 0, "nobody asked it");
    it_is_delivered_once(&home, address);
}

#[test]
fn a_server_that_stops_in_the_middle_of_an_answer() {
    // The first block of many, for ever.
    let pretender = Pretender::start(|packet| {
        let asks_later_block = packet
            .get_first_option(CoapOption::Block2)
            .is_some_and(|value| value.iter().any(|byte| *byte > 0x0f));
        if asks_later_block || packet.header.get_type() != MessageType::Confirmable {
            return None;
        }
        let mut answer = Packet::new();
        answer.header.message_id = packet.header.message_id;
        answer.header.set_type(MessageType::Acknowledgement);
        answer.header.code = MessageClass::from(0x45);
        answer.set_token(packet.get_token().to_vec());
        answer.add_option(CoapOption::Block2, uint(0b1110));
        answer.payload = vec![b'x'; 1024];
        Some(answer.to_bytes_unlimited().unwrap())
    });
    let address = pretender.address;
    let home = Home::with_server(address);
    every_command_returns(&home);
    assert!(pretender.end() > 0, "nobody asked it");
    it_is_delivered_once(&home, address);
}
