//! Bytes that no honest client sends, and requests that ask for the impossible: the server goes on,
//! and says what is wrong where there is somebody to tell.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use coap_lite::CoapOption;
use machinery::wire::{self, DELETE, FETCH, GET, POST, PUT, option};
use machinery::{Home, PATIENCE, Server, Wire, assert_each_once, dice};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _};

const RANDOM_DATAGRAMS: usize = 1_000_000;

/// As many as any socket buffer holds; after each such handful the server is asked whether it is
/// still there, so that all of them are really read.
const HANDFUL: usize = 128;

/// What the server may hold after all this. A bound against leaks, not a measurement.
const MEMORY_KIB: u64 = 300 * 1024;

fn socket_to(server: std::net::SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Answers to rude datagrams are nobody's concern, but they must not pile up.
fn drain(socket: &UdpSocket) {
    let mut buf = [0; 2048];
    while socket.recv(&mut buf).is_ok() {}
}

/// Something that begins like a message: right version, a code that exists, a short token.
fn nearly_a_message(dice: &mut StdRng, buf: &mut [u8]) -> usize {
    const CODES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 0x45, 0x44, 0x5f, 0x80];
    let len = dice.random_range(0..=buf.len());
    dice.fill_bytes(&mut buf[..len]);
    if len >= 2 && dice.random_bool(0.8) {
        buf[0] = 0x40 | dice.random_range(0..4) << 4 | dice.random_range(0..10);
        buf[1] = CODES[dice.random_range(0..CODES.len())];
    }
    len
}

#[test]
fn a_million_random_datagrams_leave_it_serving() {
    let (mut dice, _) = dice();
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    let mut honest = Wire::connect(server.address());
    let mut rude = socket_to(server.address());
    let mut buf = [0; 64];
    let mut unsent = 0;
    for sent in 0..RANDOM_DATAGRAMS {
        let len = nearly_a_message(&mut dice, &mut buf);
        unsent += usize::from(rude.send(&buf[..len]).is_err());
        if sent % HANDFUL == 0 {
            honest.expect_alive();
            drain(&rude);
        }
        if sent % 1_000 == 0 {
            rude = socket_to(server.address());
        }
    }
    honest.expect_alive();
    assert!(server.is_running());
    let (memory, unseen) = (server.memory_kib(), server.unseen());
    println!("{memory} KiB resident afterwards; {unsent} not sent, {unseen} not seen");
    assert!(unsent as u64 + unseen < RANDOM_DATAGRAMS as u64 / 100, "{unsent} + {unseen} lost");
    assert!(memory < MEMORY_KIB, "{memory} KiB resident");
    let answer = honest.post("still here").unwrap();
    assert_eq!(answer.header.get_code(), "2.01");
    assert!(server.notes().contains(&"still here".to_owned()));
    assert!(server.stop().success());
}

#[test]
fn datagrams_of_every_length_leave_both_doors_open() {
    let (mut dice, _) = dice();
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--insecure-coap", "127.0.0.1:0", "--plain", "127.0.0.1:0"];
    let mut server = Server::start_with(data.path(), &arguments);
    let mut honest = Wire::connect(server.address());
    let rude = socket_to(server.address());
    let plain = socket_to(server.plain[0]);
    // Every length up to a page of Ethernet and more, then some up to the longest that UDP has.
    let lengths = (0..=2_048).chain((2_049..65_507).step_by(499)).chain([65_506, 65_507]);
    let mut buf = vec![0; 65_507];
    for len in lengths {
        dice.fill_bytes(&mut buf[..len]);
        let _ = rude.send(&buf[..len]);
        // The same length as a request with one long payload, and as one with a broken option.
        for begin in [[0x40, 0x02, 0, 1, 0xff], [0x40, 0x01, 0, 2, 0xdf]] {
            for (to, from) in buf[..len].iter_mut().zip(begin) {
                *to = from;
            }
            let _ = rude.send(&buf[..len]);
        }
        let _ = plain.send(&buf[..len]);
        if len % 16 == 0 || len > 2_048 {
            honest.expect_alive();
            drain(&rude);
            drain(&plain);
        }
    }
    assert!(server.is_running());
    assert_eq!(honest.post("still here").unwrap().header.get_code(), "2.01");
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.connect(server.plain[0]).unwrap();
    asker.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let start = Instant::now();
    let mut history = [0; 2048];
    loop {
        asker.send(b"r").unwrap();
        if let Ok(len) = asker.recv(&mut history) {
            assert!(len > 0);
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the plain listener does not answer");
    }
    assert!(server.stop().success());
}

/// A request that must be refused with one of these codes and a word why.
#[track_caller]
fn refused(wire: &mut Wire, request: &coap_lite::Packet, codes: &[&str]) {
    let Some(answer) = wire.ask(request) else { panic!("no answer to {request:?}") };
    let code = answer.header.get_code();
    let said = String::from_utf8_lossy(&answer.payload).into_owned();
    assert!(codes.contains(&code.as_str()), "{code} {said} for {request:?}");
    assert!(!said.trim().is_empty(), "{code} without a word for {request:?}");
}

#[test]
fn what_cannot_be_is_refused_with_a_word_why() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    let mut wire = Wire::connect(server.address());
    let before = "there before";
    let answer = wire.post(before).unwrap();
    let location = wire::location(&answer);
    let location: Vec<_> = location.iter().map(String::as_str).collect();

    // Text that is none.
    let mut request = wire.request(POST, &["notes"], &[]);
    request.add_option(CoapOption::ContentFormat, Vec::new());
    request.payload = b"caf\xe9 \xff\xfe".to_vec();
    refused(&mut wire, &request, &["4.00"]);

    // A format in which nobody writes notes: application/exi.
    let mut request = wire.request(POST, &["notes"], &[]);
    request.add_option(CoapOption::ContentFormat, vec![47]);
    request.payload = b"text".to_vec();
    refused(&mut wire, &request, &["4.15"]);

    // CBOR that ends too early, that is not deterministic, that is something else.
    for body in
        [&[0x9f][..], &[0xbf, 0xff], &[0x82, 0x58, 0x20], b"text", &[0xff], &[0x80], &[0xf6]]
    {
        let mut request = wire.request(POST, &["feed"], &[]);
        request.add_option(CoapOption::ContentFormat, vec![63]);
        request.payload = body.to_vec();
        refused(&mut wire, &request, &["4.00"]);
    }

    // Days that never were, and things that are no day.
    for day in ["2026-02-30", "2026-13-01", "0000-00-00", "tomorrow", "２０２６-01-01"] {
        let query = format!("day={day}");
        let request = wire.request(GET, &["notes"], &[&query]);
        refused(&mut wire, &request, &["4.00"]);
        let request = wire.request(GET, &["days", day], &[]);
        refused(&mut wire, &request, &["4.00", "4.04"]);
    }

    // A query whose number is none.
    let request = wire.request(GET, &["notes"], &["limit=many"]);
    refused(&mut wire, &request, &["4.00"]);

    // An option that nobody knows and that must be understood (RFC 7252 §5.4.1).
    let mut request = wire.request(GET, &["notes"], &[]);
    request.add_option(CoapOption::Unknown(65_001), vec![1]);
    refused(&mut wire, &request, &["4.02"]);

    // A place that does not exist, a note that does not, an id that is none.
    let request = wire.request(GET, &["nowhere"], &[]);
    refused(&mut wire, &request, &["4.04"]);
    let request = wire.request(GET, &["notes", "01900000-0000-7000-8000-000000000000"], &[]);
    refused(&mut wire, &request, &["4.04"]);
    let request = wire.request(GET, &["notes", "no-id"], &[]);
    refused(&mut wire, &request, &["4.00", "4.04"]);

    // Methods where they mean nothing.
    for (method, path) in [(DELETE, "status"), (PUT, "feed"), (FETCH, "tags"), (POST, "days")] {
        let request = wire.request(method, &[path], &[]);
        refused(&mut wire, &request, &["4.05"]);
    }

    // An edit of something else than what is there.
    let mut request = wire.request(PUT, &location, &[]);
    request.add_option(CoapOption::IfMatch, vec![1, 2, 3, 4]);
    request.add_option(CoapOption::ContentFormat, Vec::new());
    request.payload = b"an edit".to_vec();
    refused(&mut wire, &request, &["4.12"]);
    let mut request = wire.request(PUT, &location, &[]);
    request.add_option(CoapOption::Unknown(option::IF_NONE_MATCH), Vec::new());
    request.add_option(CoapOption::ContentFormat, Vec::new());
    request.payload = b"the same once more".to_vec();
    refused(&mut wire, &request, &["4.12"]);

    // A page after a cursor of another feed, or after none.
    let cursor = format!("after=1-{}", "0".repeat(64));
    let request = wire.request(GET, &["feed"], &[&cursor]);
    refused(&mut wire, &request, &["4.09"]);
    let request = wire.request(GET, &["feed"], &["after=here"]);
    refused(&mut wire, &request, &["4.00"]);

    // Two MiB of text, and one byte more than is allowed.
    for len in [2 << 20, (1 << 20) + 1] {
        let answer = wire.upload(POST, &["notes"], &vec![b'x'; len]);
        let said = String::from_utf8_lossy(&answer.payload).into_owned();
        assert_eq!(answer.header.get_code(), "4.13", "{said}");
    }

    // A block out of nowhere.
    let mut request = wire.request(POST, &["notes"], &[]);
    request.add_option(CoapOption::Block1, wire::uint(7 << 4 | 6));
    request.payload = vec![b'x'; 1024];
    refused(&mut wire, &request, &["4.08"]);

    assert_each_once(&server.notes(), &[before.to_owned()]);
    assert!(server.is_running());
    assert!(server.stop().success());
}

#[test]
fn commands_refuse_what_cannot_be_and_keep_nothing_of_it() {
    let home = Home::new();
    home.suibi(&["on", "2026-02-30"]).expect_refusal(&[2]);
    home.suibi(&["log", "--no-such-option"]).expect_refusal(&[2]);
    home.suibi_with_input(&vec![b'x'; 2 << 20], &["-"]).expect_refusal(&[1, 2]);
    for address in ["coap://", "coap://[::1", "http://127.0.0.1:1", "coap://127.0.0.1:99999"] {
        home.suibi(&["--server", address, "status"]).expect_refusal(&[1, 2, 5]);
    }
    assert_each_once(&home.log(), &[]);
}
