//! CoAP over TCP (RFC 8323): the same server, the same rights, the same keys.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use suibi_coap::{Code, End, Request, RequestError};
use suibi_journal::coding::decompress;
use suibi_journal::{Cursor, FeedPage};
use suibi_net::UdpSocket;
use suibi_server::{Config, Listen, Server};
use support::stream::StreamClient;
use support::{
    NOTES, Old, Running, add_device, config, datagram, get, phone_and_server, post, protected,
};

#[test]
fn a_note_of_a_megabyte_goes_both_ways_whole() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut client = server.stream();
    let text = "一行一行, line by line\n".repeat(38_000);
    assert!(text.len() > 1_000_000);
    let created = client.post(&text);
    let note = format!("/{}", created.location_segments().join("/"));
    assert!(client.get(&note).text() == text, "something else came back");
    assert!(client.connection.stats().received < 10, "no blocks were needed");
    assert_eq!(client.get("/nowhere").code, Code::NOT_FOUND);
}

#[test]
fn a_device_uses_one_context_over_both_ways_at_once() {
    let (_dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    let mut stream = server.device_stream(&context);
    let mut datagrams = server.device(&context);
    stream.post("1 over tcp");
    datagrams.post("2 over udp");
    stream.post("3 over tcp");
    let mut other = server.device_stream(&context);
    other.post("4 over another stream");
    let texts = ["1 over tcp", "2 over udp", "3 over tcp", "4 over another stream"];
    assert_eq!(datagrams.texts(), texts);
    let json = stream.ask(get("/notes").accept(suibi_coap::ContentFormat::JSON)).text();
    assert_eq!(json.matches("\"source\":\"phone\"").count(), 4, "{json}");
}

#[test]
fn many_requests_are_in_flight_and_all_are_answered() {
    let (_dir, phone, server) = phone_and_server();
    let mut stream = server.device_stream(&phone.process(None));
    for round in 0..4 {
        let ids: Vec<_> =
            (0..50).map(|number| stream.send(post(format!("note {round} {number}")))).collect();
        for id in ids {
            assert_eq!(stream.answer(id).code, Code::CREATED);
        }
    }
    assert_eq!(stream.ask(get("/notes").query("limit", "1000")).text().lines().count(), 200);
    // Pages that are asked for at once come in any order and fit together.
    let pages: Vec<_> = [(0, 70), (70, 140), (140, 210)]
        .map(|(after, until)| {
            let request = get("/feed").query("after", &format!("{after}"));
            stream.send(request.query("until", &format!("{until}")).query("coding", "zstd"))
        })
        .into();
    let mut cursor = Cursor::START;
    let mut changes = 0;
    for page in pages {
        let payload = stream.answer(page).payload;
        let page = FeedPage::decode(&decompress(&payload, 1 << 20).unwrap()).unwrap();
        assert!(page.follows(cursor));
        (cursor, changes) = (page.next, changes + page.entries.len());
    }
    assert_eq!(changes, 200);
}

#[test]
fn observers_over_both_ways_are_told_of_everything() {
    let (_dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    let mut watcher = server.device_stream(&context);
    let watch = watcher.send(get("/notes").observe(true));
    assert_eq!(watcher.answer(watch).text(), "");
    let mut writer = server.device(&context);
    writer.post("over udp");
    assert!(watcher.notification(watch).text().ends_with(" over udp\n"));
    server.device_stream(&context).post("over tcp");
    assert!(watcher.notification(watch).text().ends_with(" over tcp\n"));
    // Its end is the end of the observation; nobody minds.
    drop(watcher);
    writer.post("to nobody");
    assert_eq!(writer.texts().len(), 3);
}

#[test]
fn rights_are_the_same_over_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let [reader, drop] = [("reader", "read"), ("drop", "write")]
        .map(|(name, rights)| add_device(dir.path(), name, NOTES, rights));
    let mut config = protected(dir.path());
    config.coap.push(Listen { address: "127.0.0.1:0".to_owned() });
    let server = Running::start(config);
    let mut reader = server.device_stream(&reader.process(None));
    assert_eq!(reader.get("/notes").code, Code::CONTENT);
    assert_eq!(reader.ask(post("no")).code, Code::FORBIDDEN);
    assert_eq!(reader.get("/devices").code, Code::FORBIDDEN);
    let mut drop = server.device_stream(&drop.process(None));
    drop.post("yes");
    assert_eq!(drop.get("/notes").code, Code::FORBIDDEN);
    assert_eq!(server.stream().get("/audit").code, Code::FORBIDDEN);
    let local = server.local();
    let context =
        suibi_oscore::ClientContext::new(local.id, local.secret, Some(local.epoch), [7; 32]);
    assert_eq!(server.device_stream(&context).get("/devices").code, Code::CONTENT);

    // Without keys, or with those of somebody else, nothing is carried out.
    let mut open = StreamClient::new(server.oscore[0], None);
    assert_eq!(open.ask(post("no")).code, Code::UNAUTHORIZED);
    assert_eq!(reader.get("/notes").text().lines().count(), 1);
}

#[test]
fn a_revoked_device_is_told_so_and_its_streams_are_released() {
    let (_dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    let mut lost = server.device_stream(&context);
    let watch = lost.send(get("/notes").observe(true));
    assert_eq!(lost.answer(watch).code, Code::CONTENT);
    let id: String = phone.id.as_slice().iter().map(|byte| format!("{byte:02x}")).collect();
    let revoke = Request::new(Code::DELETE).path(&format!("/devices/{id}"));
    assert_eq!(server.owner().ask(revoke).code, Code::DELETED);
    let last = lost.notification(watch);
    assert_eq!((last.code, last.text().as_str()), (Code::FORBIDDEN, "this device was revoked"));
    assert_eq!(lost.end(), End::Released);
    let mut again = server.device_stream(&context);
    assert_eq!(again.ask(post("no")).code, Code::FORBIDDEN);
    assert_eq!(server.owner().texts(), [""; 0]);
}

/// A recorded datagram as it would come over a stream, after the first words of a peer.
fn over_a_stream(address: SocketAddr, datagram: &[u8]) -> TcpStream {
    let message = suibi_coap::wire::decode(&datagram.to_vec().into()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[0x00, 0xe1]).unwrap();
    stream.write_all(&suibi_coap::frame::encode(&message)).unwrap();
    stream
}

/// Whether anything but the server's own first words comes.
fn is_answered(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let mut rest = &all[..];
    let mut frames = suibi_coap::frame::Decoder::new(1 << 16);
    let messages: Vec<_> = std::iter::from_fn(|| frames.decode(&mut rest).unwrap()).collect();
    assert!(messages[0].code == Code::CSM);
    messages.len() > 1
}

#[test]
fn what_was_recorded_over_udp_is_nothing_new_over_tcp() {
    let (dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    assert_eq!(server.device(&context).get("/status").code, Code::CONTENT);
    let first = datagram(&phone.process(context.epoch()), "the first of its process");
    let later = datagram(&context, "in a context that lives");
    for recorded in [&first, &later] {
        Old::new(server.oscore[0]).ask(recorded);
    }
    let texts = ["the first of its process", "in a context that lives"];
    for recorded in [&first, &later] {
        assert!(!is_answered(over_a_stream(server.oscore[0], recorded)));
    }
    assert_eq!(server.owner().texts(), texts);
    // What was held back arrives once, by whichever way.
    let held_back = datagram(&context, "held back");
    assert!(is_answered(over_a_stream(server.oscore[0], &held_back)));
    assert!(!is_answered(over_a_stream(server.oscore[0], &held_back)));
    Old::new(server.oscore[0]).send(&held_back);
    assert_eq!(server.owner().texts(), [texts[0], texts[1], "held back"]);
    server.stop();

    let server = Running::start(protected(dir.path()));
    for recorded in [&first, &later, &held_back] {
        assert!(is_answered(over_a_stream(server.oscore[0], recorded)), "with the new R2");
    }
    assert_eq!(server.owner().texts(), [texts[0], texts[1], "held back"]);
}

#[test]
fn a_server_that_stops_answers_releases_and_is_back_at_the_same_number() {
    let dir = tempfile::tempdir().unwrap();
    let phone = add_device(dir.path(), "phone", NOTES, "read,write");
    let mut config = protected(dir.path());
    let server = Running::start(config.clone());
    let context = phone.process(None);
    let mut stream = server.device_stream(&context);
    let watch = stream.send(get("/notes").observe(true));
    stream.answer(watch);
    config.listen[0].address = server.oscore[0].to_string();
    assert!(server.stop() < Duration::from_secs(2));
    assert_eq!(stream.notification(watch).code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(stream.end(), End::Released);
    let late = stream.send(post("too late"));
    assert_eq!(stream.failure(late), RequestError::Closed);

    let server = Running::start(config);
    let mut stream = server.device_stream(&context);
    stream.post("with the old context");
    assert_eq!(server.device(&context).texts(), ["with the old context"]);
}

#[test]
fn both_ways_have_one_number_and_udp_goes_without_tcp_if_it_must() {
    let dir = tempfile::tempdir().unwrap();
    let of = |address: SocketAddr| {
        let mut config = Config::new(dir.path());
        config.listen.push(Listen { address: address.to_string() });
        config
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(of(any)).unwrap();
    let free = server.listeners()[0].address;
    assert!(server.listeners()[0].tcp);
    assert!(server.listeners()[0].to_string().contains(", CoAP over UDP and TCP, encrypted"));
    assert!(TcpListener::bind(free).is_err(), "it is taken");
    drop(server);

    let holder = TcpListener::bind(free).unwrap();
    let server = Server::bind(of(free)).unwrap();
    assert!(!server.listeners()[0].tcp);
    let said = server.listeners()[0].to_string();
    assert!(said.contains(", CoAP over UDP only (its TCP port is taken), "), "{said}");
    drop((server, holder));
    // The other way round there is no server.
    let _holder = UdpSocket::bind(free).unwrap();
    assert!(Server::bind(of(free)).is_err());
}
