//! Somebody who alters what passes, exchanges it, or sends it back: nothing wrong is believed, and each note arrives in
//! the end, once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use suibi_client::LiveEvent;
use suibi_coap::{Code, Message, Request, wire};
use suibi_net::relay::{Direction, Faults};
use suibi_oscore::ClientContext;

use crate::scene::{Scene, add, deliver, everything, seed};
use crate::support::PATIENCE;

/// So many scenes try their share of the bytes at the same time: most of it is waiting.
const SHARES: usize = 4;

/// Flips a bit in each byte of the datagrams that go `towards`, one byte per note. How many bytes that were.
fn flip_each_byte(towards: Direction) -> usize {
    thread::scope(|scope| {
        let shares = [0, 1, 2, 3].map(|first| scope.spawn(move || flip_bytes(towards, first)));
        shares.map(|share| share.join().unwrap()).iter().sum()
    })
}

/// The same for the bytes `first`, `first + SHARES` and so on.
fn flip_bytes(towards: Direction, first: usize) -> usize {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    let mut phone = scene.process("phone");
    deliver(&mut phone, "before");
    // Of the next datagram that goes there, this byte.
    let at = Arc::new(AtomicUsize::new(usize::MAX));
    let shortest = Arc::new(AtomicUsize::new(usize::MAX));
    scene.hands({
        let (at, shortest) = (Arc::clone(&at), Arc::clone(&shortest));
        move |direction, _, mut datagram| {
            if direction == towards {
                let at = at.swap(usize::MAX, Ordering::SeqCst);
                if at != usize::MAX {
                    let len = datagram.len();
                    shortest.fetch_min(len, Ordering::SeqCst);
                    datagram[at % len] ^= 1 << (at / SHARES % 8);
                }
            }
            vec![(direction, datagram)]
        }
    });
    let mut expected = vec!["before".to_owned()];
    let mut next = first;
    while next < shortest.load(Ordering::SeqCst) {
        let text = format!("note {next:03}");
        at.store(next, Ordering::SeqCst);
        let added = add(&mut phone, &text);
        assert_eq!(at.load(Ordering::SeqCst), usize::MAX, "nothing passed");
        assert!(added.refused.is_empty(), "{:?}", added.refused);
        if let Some(trouble) = &added.trouble {
            assert!(trouble.is_offline(), "byte {next} made it believe: {trouble}");
        }
        // What did not get through in its second goes with the next, under a number of its own.
        everything(&mut phone);
        expected.push(text);
        next += SHARES;
    }
    assert_eq!(scene.notes(), expected);
    expected.len() - 1
}

#[test]
fn a_bit_flipped_in_any_byte_of_a_request_changes_nothing() {
    let bytes = flip_each_byte(Direction::Up);
    assert!(bytes > 100, "{bytes}");
}

#[test]
fn a_bit_flipped_in_any_byte_of_an_answer_changes_nothing() {
    let bytes = flip_each_byte(Direction::Down);
    assert!(bytes > 30, "{bytes}");
}

#[test]
fn whatever_is_sent_back_to_where_it_came_from_is_ignored() {
    let mut scene = Scene::new();
    scene.hands(|direction, _, datagram| {
        let back = match direction {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        };
        vec![(back, datagram.clone()), (direction, datagram)]
    });
    scene.join("phone", "read,write");
    let mut phone = scene.process("phone");
    let texts: Vec<_> = (0..10).map(|n| format!("note {n}")).collect();
    texts.iter().for_each(|text| deliver(&mut phone, text));
    assert_eq!(scene.notes(), texts);
    assert_eq!(scene.facts().devices, 1);
}

/// The last answer to the same or any other device, in the clothes of this one.
fn in_the_clothes_of(answer: &Message, other: &Message) -> Vec<u8> {
    let (options, payload) = (other.options.clone(), other.payload.clone());
    wire::encode(&Message { options, payload, ..answer.clone() }).to_vec()
}

#[test]
fn an_answer_to_another_request_or_another_device_is_not_believed() {
    let scene = Scene::new();
    let devices = ["phone", "laptop"].map(|device| scene.join(device, "read,write"));
    let contexts = devices
        .each_ref()
        .map(|device| ClientContext::new(device.id, device.secret.clone(), None, seed()));
    let mut remotes = [0, 1].map(|at| scene.bare_process(&devices[at], &contexts[at]));
    let get = |path: &str| Request::new(Code::GET).path(path);
    let paths = ["/notes", "/tags", "/heads", "/days"];
    add(&mut scene.process("phone"), "one #tag");
    let mut honest = BTreeMap::new();
    for path in paths {
        let response = remotes[0].call(&get(path), PATIENCE).unwrap();
        assert_eq!(response.code, Code::CONTENT, "{path}");
        honest.insert(path, response.payload);
    }
    assert!(honest["/notes"] != honest["/tags"]);

    // Where `swaps` says so, an answer comes first as all those that came before, to the same device and the other,
    // and as it is with the next transmission only.
    let (swaps, swapped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    scene.hands({
        let (swaps, swapped) = (Arc::clone(&swaps), Arc::clone(&swapped));
        let mut before: BTreeMap<SocketAddr, Message> = BTreeMap::new();
        move |direction, client, datagram| {
            let answer = wire::decode(&Bytes::copy_from_slice(&datagram)).unwrap();
            if direction == Direction::Up || answer.payload.is_empty() {
                return vec![(direction, datagram)];
            }
            let mut instead = vec![(direction, datagram)];
            if swaps.swap(false, Ordering::SeqCst) {
                instead = before
                    .values()
                    .map(|other| (direction, in_the_clothes_of(&answer, other)))
                    .collect();
                swapped.fetch_add(instead.len(), Ordering::SeqCst);
            }
            before.insert(client, answer);
            instead
        }
    });
    for _ in 0..4 {
        for path in paths {
            for remote in &mut remotes {
                for swap in [false, true] {
                    swaps.store(swap, Ordering::SeqCst);
                    let response = remote.call(&get(path), PATIENCE).unwrap();
                    assert_eq!((response.code, &response.payload), (Code::CONTENT, &honest[path]));
                }
            }
        }
    }
    assert!(swapped.load(Ordering::SeqCst) > 50);
}

/// Nobody who means harm, and everything that a network does: notifications with numbers of their own, bodies in blocks,
/// requests that are repeated under new keys. The recorder looks at all of it.
#[test]
fn a_network_that_loses_doubles_and_reorders_makes_nobody_use_a_nonce_twice() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    scene.join("laptop", "read,write");
    let (mut phone, mut laptop) = (scene.process("phone"), scene.process("laptop"));
    let events = phone.live().unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), LiveEvent::Online));
    scene.weather(Faults { loss: 0.1, double: 0.2, reorder: 0.2, seed: 8613, ..Faults::default() });
    let mut expected: Vec<_> = (0..20).map(|n| format!("note {n:02}")).collect();
    expected.push("large ".repeat(5_000));
    for (n, text) in expected.iter().enumerate() {
        if n == 10 {
            scene.restart();
        }
        add(&mut laptop, text);
    }
    everything(&mut laptop);
    expected.sort();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        if let LiveEvent::NewNotes(notes) = events.recv_timeout(PATIENCE).unwrap() {
            seen.extend(notes.into_iter().map(|note| note.text));
        }
    }
    seen.sort();
    assert_eq!(seen, expected);
    assert_eq!(scene.notes(), expected);
}
