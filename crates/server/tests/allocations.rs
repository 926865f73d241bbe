//! What the net thread allocates for a request: in the steady state a few small things that stay, and nothing else.
//!
//! A [`Machine`] does in one thread what a server does in three; what is counted is the net thread's part alone.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use suibi_coap::{Code, Message, MessageId, OptionNumber, Options, Peer, Token, Type, wire};
use suibi_server::ListenerKind;
use suibi_server::machine::{Clock, Machine, MachineConfig};
use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

/// Requests that wait for one commit, each from an address of its own.
const CLIENTS: u16 = 32;

fn machine(now: Instant, path: &Path) -> Machine {
    let file = path.join("server.db");
    let config = MachineConfig::new(vec![ListenerKind::Coap], Clock::System, path.to_owned());
    Machine::new(now, [1; 32], config, move || {
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
        Ok(Box::new(SqliteStore::open(&file, options)?))
    })
    .unwrap()
}

fn request(turn: u16, text: String) -> Vec<u8> {
    let mut options = Options::new();
    options.add(OptionNumber::URI_PATH, "notes");
    options.add(OptionNumber::CONTENT_FORMAT, "");
    let token = Token::new(&turn.to_be_bytes()).unwrap();
    let (kind, code, id) = (Type::Confirmable, Code::POST, MessageId(turn));
    wire::encode(&Message { kind, code, id, token, options, payload: text.into() }).to_vec()
}

/// A turn of the net thread with a request of each client, and one with the answers to all of them.
fn turn(now: Instant, number: u16, server: &mut Machine) -> [AllocationInfo; 2] {
    let clients: Vec<(Peer, Vec<u8>)> = (0..CLIENTS)
        .map(|client| {
            let address = SocketAddr::from(([127, 0, 0, 1], 40_000 + client));
            (address.into(), request(number, format!("note {number} of {client} 今天 #tea")))
        })
        .collect();
    let asked = allocation_counter::measure(|| {
        for (peer, bytes) in &clients {
            server.handle_datagram(now, 0, *peer, bytes);
        }
    });
    while server.write() || server.read() {}
    let mut answers = 0;
    let answered = allocation_counter::measure(|| {
        while server.tell(now) {}
        while let Some((_, transmit)) = server.poll_transmit() {
            assert_eq!(transmit.bytes[1], Code::CREATED.byte());
            answers += 1;
        }
    });
    assert_eq!(answers, CLIENTS);
    [asked, answered]
}

#[test]
fn a_note_costs_the_net_thread_a_handful_of_allocations() {
    let dir = tempfile::tempdir().unwrap();
    let mut now = Instant::now();
    let mut server = machine(now, dir.path());
    let mut turns = 0..;
    let mut go_on = |count: usize| -> [f64; 2] {
        let mut total = [0; 2];
        for number in turns.by_ref().take(count) {
            now += Duration::from_millis(500);
            let counts = turn(now, number, &mut server);
            total = [0, 1].map(|part| total[part] + counts[part].count_total);
        }
        total.map(|total| total as f64 / count as f64 / f64::from(CLIENTS))
    };
    // Until the first answers are forgotten, and tables no longer grow.
    go_on(700);
    let [asked, answered] = go_on(100);
    // The datagram and the list of its options, which the handler may keep. Of the note, which the writer gets: its
    // text, where it came from, the name of that and the map that holds the two. Beside these the growth of a tree of
    // timers, now and then. Less than one means that nothing counts.
    assert!((1.0..6.5).contains(&asked), "{asked:.2} allocations to take a note in");
    // The datagram, which is remembered for duplicates.
    assert!((1.0..1.1).contains(&answered), "{answered:.2} allocations to answer it");
}
