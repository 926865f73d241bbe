//! Requests whose sender is somebody else, so that the answers hit him: never more than three times what came.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use suibi_coap::{Code, Message, MessageId, Request, Token, Type, wire};
use suibi_server::{Config, Listen, ListenerKind, Server, StopSignal};

use crate::scene::add;
use crate::support::World;

fn datagram(id: u16, kind: Type, request: Request) -> Vec<u8> {
    let Request { method: code, options, payload } = request;
    let token = Token::new(&id.to_be_bytes()).unwrap();
    wire::encode(&Message { kind, code, id: MessageId(id), token, options, payload }).to_vec()
}

/// Loopback stands for the Internet here: the server is told not to trust it.
#[test]
fn a_spoofed_source_that_asks_for_the_history_gets_no_more_than_three_times_what_it_sent() {
    let world = World::new();
    let mut config = Config::new(world.dir("server"));
    config.trusts_loopback = false;
    let listen = || Listen { address: "127.0.0.1:0".to_owned() };
    config.listen.push(listen());
    config.coap.push(listen());
    let server = Server::bind(config).unwrap();
    let at =
        |kind| server.listeners().iter().find(|listener| listener.kind == kind).unwrap().address;
    let doors = [at(ListenerKind::Coap), at(ListenerKind::Oscore)];
    let handle = server.handle();
    let thread = thread::spawn(move || server.run(StopSignal::new().unwrap()).unwrap());
    let mut owner = world.client("owner", doors[0]);
    for n in 0..40 {
        assert!(add(&mut owner, &format!("{n} {}", "long ".repeat(100))).receipt.is_some());
    }

    let asked = [
        Request::new(Code::GET).path("/notes"),
        Request::new(Code::GET).path("/feed").query("after", ""),
        Request::new(Code::GET).path("/notes").observe(true),
        Request::new(Code::GET).path("/.well-known/core"),
        Request::new(Code::GET).path("/nowhere/to/be/found"),
        Request::new(Code::POST).path("/notes").payload("from nobody"),
    ];
    for door in doors {
        for kind in [Type::Confirmable, Type::NonConfirmable] {
            for (number, request) in asked.iter().enumerate() {
                // A victim of its own for each, who sends nothing by himself.
                let victim = UdpSocket::bind("127.0.0.1:0").unwrap();
                victim.connect(door).unwrap();
                victim.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
                let mut sent = 0;
                for again in 0..5 {
                    let id = (number * 10 + again) as u16;
                    let datagram = datagram(id, kind, request.clone());
                    sent += victim.send(&datagram).unwrap();
                }
                let mut buf = [0; 65_536];
                let received: usize = std::iter::from_fn(|| victim.recv(&mut buf).ok()).sum();
                assert!(received <= 3 * sent, "{request:?} {kind:?}: {received} for {sent}");
                // A new note is no news to who may not be there.
                assert!(add(&mut owner, "news").receipt.is_some());
            }
        }
    }
    handle.stop();
    thread.join().unwrap();
}
