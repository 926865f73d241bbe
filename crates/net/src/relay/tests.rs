use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A server's socket, a relay to it, and a client's socket connected to the relay.
fn path(faults: Faults) -> (UdpSocket, Relay, UdpSocket) {
    let server = socket();
    let relay = Relay::start(server.local_addr().unwrap(), faults).unwrap();
    let client = socket();
    client.connect(relay.address()).unwrap();
    (server, relay, client)
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = [0; 100];
    let (len, from) = socket.recv_from(&mut buf).unwrap();
    (buf[..len].to_vec(), from)
}

/// Everything that arrives until nothing has for `silence`.
fn receive_all(socket: &UdpSocket, silence: Duration) -> Vec<u32> {
    socket.set_read_timeout(Some(silence)).unwrap();
    let mut buf = [0; 4];
    std::iter::from_fn(|| socket.recv_from(&mut buf).ok().map(|_| u32::from_be_bytes(buf)))
        .collect()
}

#[test]
fn without_faults_everything_arrives_both_ways_and_in_order() {
    let (server, relay, client) = path(Faults::default());
    for n in 0..50u8 {
        client.send(&[n]).unwrap();
        let (bytes, from) = receive(&server);
        assert_eq!(bytes, [n]);
        server.send_to(&[n, n], from).unwrap();
        assert_eq!(receive(&client).0, [n, n]);
    }
    let expected = RelayStats { carried: 100, ..RelayStats::default() };
    assert_eq!(relay.stats(), expected);
}

#[test]
fn each_client_has_its_own_address_towards_the_server() {
    let (server, relay, first) = path(Faults::default());
    let second = socket();
    second.connect(relay.address()).unwrap();
    first.send(b"first").unwrap();
    let (_, first_seen) = receive(&server);
    second.send(b"second").unwrap();
    let (_, second_seen) = receive(&server);
    assert_ne!(first_seen, second_seen);
    server.send_to(b"for the second", second_seen).unwrap();
    server.send_to(b"for the first", first_seen).unwrap();
    assert_eq!(receive(&first).0, b"for the first");
    assert_eq!(receive(&second).0, b"for the second");
}

#[test]
fn what_is_thrown_is_what_arrives() {
    let faults = Faults { loss: 0.3, double: 0.2, reorder: 0.2, seed: 7, ..Faults::default() };
    let (server, relay, client) = path(faults);
    // Few enough for any socket buffer.
    let sent = 150;
    for n in 0..sent {
        client.send(&u32::to_be_bytes(n)).unwrap();
    }
    let arrived = receive_all(&server, Duration::from_secs(1));
    let stats = relay.stats();
    assert_eq!(stats.carried + stats.dropped, u64::from(sent));
    assert_eq!(arrived.len() as u64, stats.carried + stats.doubled);
    assert!((25..=65).contains(&stats.dropped), "{stats:?}");
    assert!(stats.doubled > 0 && stats.reordered > 0, "{stats:?}");
    let mut distinct = arrived.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len() as u64, stats.carried);
    assert!(!arrived.is_sorted(), "nothing was overtaken");
}

#[test]
fn the_same_seed_throws_the_same() {
    let throw = |seed| {
        let faults = Faults { loss: 0.5, double: 0.5, reorder: 0.5, seed, ..Faults::default() };
        let mut shared = Shared::new("127.0.0.1:1".parse().unwrap(), faults);
        let now = Instant::now();
        let mut times = Vec::new();
        for _ in 0..64 {
            times.push(shared.throw(Direction::Up, now, 10).map(|due| due.map(|at| at - now)));
        }
        times
    };
    assert_eq!(throw(1), throw(1));
    assert_ne!(throw(1), throw(2));
}

#[test]
fn a_delay_is_kept() {
    let delay = Duration::from_millis(30);
    let (server, _relay, client) = path(Faults { delay, ..Faults::default() });
    let start = Instant::now();
    client.send(b"there").unwrap();
    let (_, from) = receive(&server);
    server.send_to(b"and back", from).unwrap();
    receive(&client);
    assert!(start.elapsed() >= 2 * delay);
}

#[test]
fn hands_on_the_path_change_drop_and_send_back() {
    let server = socket();
    let hands = |direction, _, bytes: Vec<u8>| match &bytes[..] {
        b"drop" => vec![],
        b"back" => vec![(Direction::Down, bytes)],
        _ => vec![(direction, [&bytes[..], b"!"].concat())],
    };
    let target = server.local_addr().unwrap();
    let relay = Relay::start_through(target, Faults::default(), hands).unwrap();
    let client = socket();
    client.connect(relay.address()).unwrap();
    client.send(b"drop").unwrap();
    client.send(b"back").unwrap();
    assert_eq!(receive(&client).0, b"back");
    client.send(b"on").unwrap();
    let (bytes, from) = receive(&server);
    assert_eq!(bytes, b"on!");
    server.send_to(b"answer", from).unwrap();
    assert_eq!(receive(&client).0, b"answer!");
}

#[test]
fn another_target_and_other_weather_hold_from_then_on() {
    let (_server, relay, client) = path(Faults { loss: 1.0, ..Faults::default() });
    client.send(b"lost").unwrap();
    let start = Instant::now();
    while relay.stats().dropped == 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    let other = socket();
    relay.set_target(other.local_addr().unwrap());
    relay.set_faults(Faults::default());
    client.send(b"carried").unwrap();
    assert_eq!(receive(&other).0, b"carried");
}

#[test]
fn more_clients_than_it_can_carry_push_out_the_most_silent() {
    let (server, relay, first) = path(Faults::default());
    first.send(b"first").unwrap();
    receive(&server);
    for _ in 0..MAX_CLIENTS + 10 {
        let client = socket();
        client.send_to(b"hello", relay.address()).unwrap();
        receive(&server);
    }
    first.send(b"back again").unwrap();
    let (bytes, from) = receive(&server);
    assert_eq!(bytes, b"back again");
    server.send_to(b"welcome", from).unwrap();
    assert_eq!(receive(&first).0, b"welcome");
}

#[test]
fn it_stops_when_dropped() {
    let (_server, relay, _client) = path(Faults::default());
    let address = relay.address();
    drop(relay);
    UdpSocket::bind(address).expect("the port is free again");
}

/// A server's listener, a relay to it, and both ends of a stream through it.
fn stream(line: Line) -> (Relay, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap(), Faults::default()).unwrap();
    relay.set_line(line);
    let (client, server) = open(&relay, &listener);
    (relay, client, server)
}

fn open(relay: &Relay, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(relay.address()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (client, server)
}

/// Reads as many bytes as `expected` has, which they have to be.
#[track_caller]
fn expect(end: &mut TcpStream, expected: &[u8]) {
    let mut buf = vec![0; expected.len()];
    end.read_exact(&mut buf).unwrap();
    assert!(buf == expected, "other bytes arrived than were sent");
}

/// Something other than a pattern of any buffer's length.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * n / 7 + n / 251) as u8).collect()
}

fn wait_for_silence(end: &mut TcpStream) {
    end.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let kind = end.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind}");
    end.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[track_caller]
fn assert_reset(end: &mut TcpStream) {
    assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stream_passes_whole_both_ways_at_once_and_ends_in_order() {
    let line = Line::of_delay(Duration::from_millis(5));
    let (relay, mut client, mut server) = stream(line);
    let sent = bytes(12 << 20);
    std::thread::scope(|scope| {
        for (end, len) in [(&client, 12 << 20), (&server, 3 << 20)] {
            let (mut end, sent) = (end.try_clone().unwrap(), &sent);
            scope.spawn(move || {
                end.write_all(&sent[..len]).unwrap();
                end.shutdown(std::net::Shutdown::Write).unwrap();
            });
        }
        let mut end = server.try_clone().unwrap();
        let sent = &sent;
        scope.spawn(move || expect(&mut end, sent));
        expect(&mut client, &sent[..3 << 20]);
    });
    assert_eq!((client.read(&mut [0]).unwrap(), server.read(&mut [0]).unwrap()), (0, 0));
    let stats = relay.stats();
    assert_eq!((stats.streams, stats.stream_bytes), (1, 15 << 20));
}

#[test]
fn each_direction_has_its_delay() {
    // The longer one is more than a busy machine adds to the shorter one.
    let [up, down] = [1_500, 10].map(Duration::from_millis);
    let lane = |delay| Lane { delay, rate: None };
    let line = Line { up: lane(up), down: lane(down), ..Line::default() };
    let (_relay, mut client, mut server) = stream(line);
    // The first bytes wait for the handshake, as they would.
    client.write_all(b"first").unwrap();
    expect(&mut server, b"first");
    let start = Instant::now();
    client.write_all(b"there").unwrap();
    expect(&mut server, b"there");
    assert!(start.elapsed() >= up);
    let start = Instant::now();
    server.write_all(b"back").unwrap();
    expect(&mut client, b"back");
    assert!((down..up).contains(&start.elapsed()), "{:?}", start.elapsed());

    let (server, relay, client) = path(Faults::default());
    relay.set_line(line);
    let start = Instant::now();
    client.send(b"there").unwrap();
    let (_, from) = receive(&server);
    assert!(start.elapsed() >= up);
    let start = Instant::now();
    server.send_to(b"back", from).unwrap();
    receive(&client);
    assert!((down..up).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn what_is_lost_of_a_stream_comes_late() {
    let (relay, mut client, mut server) = stream(Line::default());
    relay.set_faults(Faults { loss: 1.0, ..Faults::default() });
    let start = Instant::now();
    client.write_all(b"late").unwrap();
    expect(&mut server, b"late");
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn where_streams_are_refused_open_ones_are_reset_until_they_pass_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap(), Faults::default()).unwrap();
    let (mut client, mut server) = open(&relay, &listener);
    client.write_all(b"open").unwrap();
    expect(&mut server, b"open");
    relay.set_line(Line { tcp: Passage::Refused, ..Line::default() });
    assert_reset(&mut client);
    assert_reset(&mut server);
    let kind = TcpStream::connect(relay.address()).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    relay.set_line(Line::default());
    let start = Instant::now();
    while TcpStream::connect(relay.address()).is_err() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn where_streams_are_silent_they_go_on_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap(), Faults::default()).unwrap();
    let (mut client, mut server) = open(&relay, &listener);
    client.write_all(b"open").unwrap();
    expect(&mut server, b"open");
    relay.set_line(Line { tcp: Passage::Silent, ..Line::default() });
    client.write_all(b"later").unwrap();
    wait_for_silence(&mut server);
    relay.set_line(Line::default());
    expect(&mut server, b"later");
}

#[test]
fn a_cut_resets_what_is_open_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::start(listener.local_addr().unwrap(), Faults::default()).unwrap();
    let (mut client, mut server) = open(&relay, &listener);
    relay.cut();
    assert_reset(&mut client);
    assert_reset(&mut server);
    let (mut client, mut server) = open(&relay, &listener);
    client.write_all(b"again").unwrap();
    expect(&mut server, b"again");
}

#[test]
fn a_stream_to_nobody_is_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = Relay::start(nobody, Faults::default()).unwrap();
    let mut client = TcpStream::connect(relay.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_reset(&mut client);
}

#[test]
fn where_datagrams_are_blocked_streams_pass() {
    let (server, relay, client) = path(Faults::default());
    relay.set_line(Line { udp_is_blocked: true, ..Line::default() });
    client.send(b"lost").unwrap();
    let listener = TcpListener::bind(server.local_addr().unwrap()).unwrap();
    let (mut near, mut far) = open(&relay, &listener);
    near.write_all(b"carried").unwrap();
    expect(&mut far, b"carried");
    relay.set_line(Line::default());
    client.send(b"carried").unwrap();
    assert_eq!(receive(&server).0, b"carried");
    assert_eq!(relay.stats().dropped, 1);
}

#[test]
fn a_port_that_was_switched_is_dead_and_the_next_datagram_has_another() {
    let (server, relay, client) = path(Faults::default());
    client.send(b"first").unwrap();
    let (_, first) = receive(&server);
    relay.set_line(Line { rebind_every: Some(Duration::from_millis(200)), ..Line::default() });
    let start = Instant::now();
    while relay.stats().rebinds == 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    relay.set_line(Line::default());
    server.send_to(b"vanishes", first).unwrap();
    client.send(b"second").unwrap();
    let (bytes, second) = receive(&server);
    assert_eq!(bytes, b"second");
    assert_ne!(first, second);
    server.send_to(b"arrives", second).unwrap();
    assert_eq!(receive(&client).0, b"arrives");
}

#[test]
fn a_narrow_line_is_shared_by_datagrams_and_streams_both_ways() {
    let rate = Rate { bytes_per_second: 200_000, queue_bytes: 20_000 };
    let (relay, mut client, server) = stream(Line::narrow(rate));
    let sent = bytes(200_000);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (end, part) in [(&client, &sent[..100_000]), (&server, &sent[100_000..])] {
            let mut end = end.try_clone().unwrap();
            scope.spawn(move || end.write_all(part).unwrap());
        }
        let mut end = server.try_clone().unwrap();
        let part = &sent[..100_000];
        scope.spawn(move || expect(&mut end, part));
        expect(&mut client, &sent[100_000..]);
    });
    let took = start.elapsed().as_secs_f64();
    assert!(took >= 1.0, "200 kB at 200 kB/s took {took} s");

    // A burst of datagrams finds no room.
    let (server, relay, client) = {
        drop(relay);
        path(Faults::default())
    };
    relay.set_line(Line::narrow(rate));
    for n in 0..100u32 {
        client.send(&[n.to_be_bytes(); 250].concat()).unwrap();
    }
    let arrived = receive_all(&server, Duration::from_secs(1));
    assert!((18..90).contains(&arrived.len()), "{} arrived", arrived.len());
}

#[test]
fn relays_beside_each_other_share_one_queue() {
    let rate = Rate { bytes_per_second: 100_000, queue_bytes: 20_000 };
    let (server, relay, client) = path(Faults::default());
    relay.set_line(Line::narrow(rate));
    let other_server = socket();
    let beside = relay.start_beside(other_server.local_addr().unwrap()).unwrap();
    let other = socket();
    other.connect(beside.address()).unwrap();
    let start = Instant::now();
    client.send(&[1; 15_000]).unwrap();
    receive(&server);
    client.send(&[1; 15_000]).unwrap();
    other.send(b"behind it").unwrap();
    receive(&other_server);
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}
