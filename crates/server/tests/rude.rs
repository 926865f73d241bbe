//! Bytes that no honest client sends.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use suibi_server::{Config, Listen};
use suibi_store::JournalId;
use support::{Old, Running, add_device, config, datagram, random};

/// So many fit into any socket buffer; after each handful the server is asked whether it is there, so
/// that all of them are really read.
const HANDFUL: usize = 128;

#[test]
fn datagrams_of_every_length_leave_it_serving() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut dice = StdRng::seed_from_u64(1);
    let mut honest = server.client();
    let rude = Old::new(server.coap[0]);
    let mut buf = [0; 1500];
    for len in 0..=buf.len() {
        dice.fill_bytes(&mut buf);
        rude.send(&buf[..len]);
        // Nearly a message: right version, a method, a short token.
        buf[0] = 0x40 | (dice.random_range(0..4) << 4) | dice.random_range(0..9);
        buf[1] = dice.random_range(0..8);
        rude.send(&buf[..len]);
        if len % (HANDFUL / 2) == 0 {
            honest.get("/feed/head");
        }
    }
    assert_eq!(honest.texts(), [""; 0]);
}

#[test]
fn a_million_random_datagrams_leave_it_serving() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut dice = StdRng::seed_from_u64(2);
    let mut honest = server.client();
    let mut rude = Old::new(server.coap[0]);
    let mut buf = [0; 48];
    for sent in 1..=1_000_000 {
        dice.fill_bytes(&mut buf);
        let len = dice.random_range(0..buf.len());
        if dice.random_bool(0.8) {
            buf[0] = 0x40 | (dice.random_range(0..4) << 4) | dice.random_range(0..9);
            buf[1] = dice.random_range(0..8);
        }
        rude.send(&buf[..len]);
        if sent % HANDFUL == 0 {
            honest.get("/feed/head");
            // What it was answered does not matter; a new socket has an empty buffer.
            rude = Old::new(server.coap[0]);
        }
    }
    honest.post("still serving");
    assert!(server.stop() < Duration::from_secs(2));
}

#[test]
fn a_million_altered_protected_datagrams_leave_it_serving_its_devices() {
    let dir = tempfile::tempdir().unwrap();
    let device = |name| add_device(dir.path(), name, JournalId::FIRST, "read,write");
    let (attacked, other) = (device("attacked"), device("other"));
    let mut config = Config::new(dir.path());
    config.listen.push(Listen { address: "127.0.0.1:0".to_owned() });
    let server = Running::start(config);
    let door = server.oscore[0];
    let context = attacked.process(None);
    let mut honest = server.device(&context);
    honest.post("before");
    // Some would open a context of their own, some name a server that is gone, most are of one that is alive.
    let strange = attacked.process(Some(random()));
    let new = attacked.process(context.epoch());
    let recorded: Vec<Vec<u8>> = (0..64)
        .map(|number| match number % 8 {
            0 => datagram(&strange, "altered"),
            1 => datagram(&new, "altered"),
            _ => datagram(&context, "altered"),
        })
        .collect();
    let mut dice = StdRng::seed_from_u64(4);
    let mut rude = Old::new(door);
    let memory = resident_bytes();
    for sent in 1..=1_000_000 {
        let mut datagram = recorded[dice.random_range(0..recorded.len())].clone();
        // Another message each time; what follows the token is what OSCORE answers for.
        dice.fill_bytes(&mut datagram[2..4]);
        match dice.random_range(0..4) {
            0 => datagram.truncate(dice.random_range(HEADER..datagram.len())),
            1 => datagram.extend([0; 7]),
            _ => {
                let at = dice.random_range(HEADER..datagram.len());
                datagram[at] ^= 1 << dice.random_range(0..8);
            }
        }
        rude.send(&datagram);
        if sent % HANDFUL == 0 {
            honest.get("/feed/head");
            rude = Old::new(door);
        }
    }
    let grown = resident_bytes().saturating_sub(memory);
    assert!(grown < 128 << 20, "{grown} bytes more");
    server.device(&other.process(None)).post("after");
    assert_eq!(honest.texts(), ["before", "after"], "nothing altered was carried out");
}

/// The header of a message and a token of eight bytes.
const HEADER: usize = 12;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn rude_plain_datagrams_are_notes_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let old = Old::new(server.plain[0]);
    let mut dice = StdRng::seed_from_u64(3);
    let mut buf = vec![0; 1500];
    for len in (1..1500).step_by(7) {
        dice.fill_bytes(&mut buf);
        // Not a word, and not empty when the line ends are gone.
        buf[0] = 0xff;
        assert_eq!(old.ask(&buf[..len]), buf[..len], "length {len}");
    }
    // The largest that there is.
    assert_eq!(old.ask(vec![b'x'; 65_507]).len(), 65_507);
    let count = (1..1500).step_by(7).count() + 1;
    let request = suibi_coap::Request::new(suibi_coap::Code::GET).path("/status");
    let status = server.client().ask(request.accept(suibi_coap::ContentFormat::TEXT_PLAIN));
    assert!(status.text().contains(&format!("\nnotes {count}\n")), "{}", status.text());
}

#[test]
fn streams_of_every_kind_leave_it_serving_its_devices() {
    let dir = tempfile::tempdir().unwrap();
    let phone = add_device(dir.path(), "phone", JournalId::FIRST, "read,write");
    let mut config = Config::new(dir.path());
    config.listen.push(Listen { address: "127.0.0.1:0".to_owned() });
    let server = Running::start(config);
    let context = phone.process(None);
    let (mut datagrams, mut honest) = (server.device(&context), server.device_stream(&context));
    honest.post("before");
    let mut dice = StdRng::seed_from_u64(5);
    let mut rude: Vec<TcpStream> = Vec::new();
    let mut buf = [0; 400];
    for number in 0..1000 {
        // Who is closed by the server may not be written to any more.
        let mut stream = TcpStream::connect(server.oscore[0]).unwrap();
        dice.fill_bytes(&mut buf);
        let len = dice.random_range(0..buf.len());
        match number % 4 {
            // A CSM, and the first half of a request that is never ended.
            0 => drop(stream.write_all(&[0x00, 0xe1, 0xd0, 0x90, 0x02, 0x01, 0x02])),
            1 => drop(stream.write_all(&buf[..len])),
            2 => drop(stream.write_all(&[0x00, 0xe1])),
            _ => {}
        }
        match number % 3 {
            0 => drop(stream),
            _ => rude.push(stream),
        }
        if number % 50 == 0 {
            honest.get("/status");
            datagrams.get("/status");
        }
    }
    // One is a megabyte long, and comes at ten thousand bytes a second.
    let mut dribbling = TcpStream::connect(server.oscore[0]).unwrap();
    dribbling.write_all(&[0x00, 0xe1, 0xf0, 0x00, 0x10, 0x00, 0x00, 0x02]).unwrap();
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        dribbling.write_all(&[7; 100]).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(honest.get("/feed/head").code, suibi_coap::Code::CONTENT);
    }
    server.device_stream(&context).post("from a new stream of the same host");
    honest.post("after");
    assert_eq!(datagrams.texts().len(), 3);
    assert!(server.stop() < Duration::from_secs(2));
}
