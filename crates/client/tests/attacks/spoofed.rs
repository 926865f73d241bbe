//! Requests whose sender is somebody else, so that the answers hit him: never more than three times what came.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use suibi_coap::{Code, Message, MessageId, Request, Token, Type, wire};
use suibi_server::{Config, Listen, ListenerKind, Server, StopSignal};

use crate::scene::add;
use crate::support::World;

/// An address of this machine that is none of loopback, to which nothing leaves the machine. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.99:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

fn datagram(id: u16, kind: Type, request: Request) -> Vec<u8> {
    let Request { method: code, options, payload } = request;
    let token = Token::new(&id.to_be_bytes()).unwrap();
    wire::encode(&Message { kind, code, id: MessageId(id), token, options, payload }).to_vec()
}

/// On a machine with nothing but loopback there is no address here that the server does not trust; the bound itself is
/// tried in crates/coap/tests/amplification.rs for whatever peers and in whatever order.
#[test]
fn a_spoofed_source_that_asks_for_the_history_gets_no_more_than_three_times_what_it_sent() {
    let Some(here) = own_address() else { return };
    let world = World::new();
    let mut config = Config::new(world.dir("server"));
    let listen = || Listen { address: SocketAddr::new(here, 0).to_string() };
    config.listen.push(listen());
    config.coap.push(listen());
    config.coap.push(Listen { address: "127.0.0.1:0".to_owned() });
    let server = Server::bind(config).unwrap();
    let at = |kind, ip| {
        let is_it =
            |info: &&suibi_server::ListenerInfo| info.kind == kind && info.address.ip() == ip;
        server.listeners().iter().find(is_it).unwrap().address
    };
    let loopback = at(ListenerKind::Coap, "127.0.0.1".parse().unwrap());
    let doors = [at(ListenerKind::Coap, here), at(ListenerKind::Oscore, here)];
    let handle = server.handle();
    let thread = thread::spawn(move || server.run(StopSignal::new().unwrap()).unwrap());
    let mut owner = world.client("owner", loopback);
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
                let victim = UdpSocket::bind(SocketAddr::new(here, 0)).unwrap();
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
