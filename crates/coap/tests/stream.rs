//! Two connections over a pipe that cuts, delays and closes (RFC 8323).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use suibi_coap::{
    Code, End, OptionNumber, Request, RequestError, Response, StreamConfig, Subject, Violation,
    frame,
};
use support::{
    Toy, body,
    stream::{PHONE, Pipe, SERVER},
};

const MS: Duration = Duration::from_millis(1);

fn post(payload: impl Into<Bytes>) -> Request {
    Request::new(Code::POST).path("/echo").payload(payload)
}

/// What both sides keep when all is done.
fn assert_nothing_is_kept(pipe: &Pipe) {
    for side in &pipe.sides {
        let stats = side.connection.stats();
        let kept = (stats.requests, stats.exchanges, stats.buffered_bytes, stats.queued_bytes);
        assert_eq!(kept, (0, 0, 0, 0));
    }
}

#[test]
fn a_request_need_not_wait_for_the_server_to_introduce_itself() {
    let mut pipe = Pipe::new(1);
    let asked = pipe.get("/state");
    let first = pipe.phone().connection.poll_transmit().unwrap();
    assert_eq!(first[1], 0xe1, "the capabilities come first");
    pipe.inject(SERVER, &first);
    pipe.run_for(25 * MS);
    assert_eq!(pipe.phone().answer(asked).payload, "0");
    assert!(pipe.sides.iter().all(|side| side.connection.is_established()));
    assert_nothing_is_kept(&pipe);
}

#[test]
fn capabilities_say_how_long_a_message_may_be_and_not_that_we_take_several_blocks_at_once() {
    let mut pipe = Pipe::new(1);
    let csm = pipe.phone().connection.poll_transmit().unwrap();
    let csm = frame::Decoder::new(100).decode(&mut &csm[..]).unwrap().unwrap();
    let max = StreamConfig::default().max_message as u32;
    assert_eq!((csm.code, csm.options.uint(OptionNumber(2))), (Code::CSM, Some(max)));
    assert!(!csm.options.has(OptionNumber(4)));
    let small = StreamConfig { max_message: 1152, max_body: 1 << 20, ..StreamConfig::default() };
    let mut pipe = Pipe::with([small.clone(), small], 1);
    let csm = pipe.phone().connection.poll_transmit().unwrap();
    let csm = frame::Decoder::new(100).decode(&mut &csm[..]).unwrap().unwrap();
    assert!(csm.options.has(OptionNumber(4)));
}

#[test]
fn requests_are_answered_in_any_order() {
    let mut pipe = Pipe::new(2);
    pipe.server().work.insert("slow".to_owned(), 500 * MS);
    let asked: Vec<_> = ["/slow", "/quick", "/state"].map(|path| pipe.get(path)).into();
    pipe.run();
    let order: Vec<_> = pipe.phone().answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(order, [asked[1], asked[2], asked[0]]);
    assert_eq!(pipe.phone().answer(asked[0]).payload, "slow");
    assert_nothing_is_kept(&pipe);
}

#[test]
fn large_bodies_go_whole_both_ways() {
    for seed in 0..5 {
        let mut pipe = Pipe::new(seed);
        pipe.max_piece = 1 << (6 + 3 * seed);
        pipe.server().big = body(1_500_000);
        // Both before anything is known of the server.
        let upload = pipe.ask(post(body(2 << 20)));
        let download = pipe.get("/big");
        pipe.run_for(Duration::from_secs(1000));
        assert_eq!(pipe.phone().answer(download).payload, body(1_500_000));
        assert_eq!(pipe.phone().answer(upload).payload, body(2 << 20));
        assert_eq!(pipe.server().requests.len(), 2);
        let stats = pipe.phone().connection.stats();
        assert_eq!((stats.sent, stats.received), (3, 3), "capabilities and two messages");
        assert_nothing_is_kept(&pipe);
    }
}

#[test]
fn a_peer_that_takes_short_messages_gets_blocks() {
    for max_message in [1152, 300, 100] {
        let short = StreamConfig { max_message, ..StreamConfig::default() };
        for configs in [[StreamConfig::default(), short.clone()], [short.clone(), short]] {
            let mut pipe = Pipe::with(configs, 3);
            pipe.server().big = body(20_000);
            let upload = pipe.ask(post(body(20_000)));
            let download = pipe.get("/big");
            pipe.run_for(Duration::from_secs(60));
            assert_eq!(pipe.phone().answer(upload).code, Code::CHANGED, "{max_message}");
            assert_eq!(pipe.phone().answer(upload).payload, body(20_000));
            assert_eq!(pipe.phone().answer(download).payload, body(20_000));
            assert!(pipe.phone().connection.stats().sent > 20);
            assert_nothing_is_kept(&pipe);
            pipe.run_for(Duration::from_secs(120));
            assert_eq!(pipe.server().connection.stats().transfer_bytes, 0);
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let small = StreamConfig { max_body: 1000, max_message: 3000, ..StreamConfig::default() };
    let mut pipe = Pipe::with([small.clone(), small.clone()], 1);
    pipe.server().big = body(1001);
    let whole = pipe.ask(post(body(1001)));
    let in_blocks = pipe.ask(post(body(5000)));
    let download = pipe.get("/big");
    pipe.run();
    for refused in [whole, in_blocks] {
        let response = pipe.phone().answer(refused);
        assert_eq!(response.code, Code::REQUEST_ENTITY_TOO_LARGE);
        assert_eq!(response.options.uint(OptionNumber::SIZE1), Some(1000));
    }
    assert_eq!(pipe.phone().failure(download), Some(RequestError::TooLarge));
    let tiny = StreamConfig { max_message: 20, ..small };
    let mut pipe = Pipe::with([StreamConfig::default(), tiny], 1);
    let asked = pipe.ask(post(body(2000)));
    pipe.run();
    assert_eq!(pipe.phone().failure(asked), Some(RequestError::TooLarge));
    assert_eq!(pipe.server().connection.ended(), None);
}

#[test]
fn several_blocks_at_once_are_taken_though_we_do_not_ask_for_them() {
    let mut pipe = Pipe::new(1);
    pipe.run();
    let whole = body(6000);
    let several = |number: usize, more: bool, len: usize| {
        let start = number * 1024;
        let mut request = post(whole[start..start + len].to_vec());
        let value = (number << 4 | usize::from(more) << 3 | 7) as u32;
        request.options.set_uint(OptionNumber::BLOCK1, value);
        (request, value)
    };
    for (number, more, len) in [(0, true, 1024), (1, true, 3072), (4, false, 1904)] {
        let (request, value) = several(number, more, len);
        // In blocks that our client knows nothing of, so that it must not make its own.
        let sent = suibi_coap::Message {
            kind: suibi_coap::Type::NonConfirmable,
            code: request.method,
            id: suibi_coap::MessageId(0),
            token: suibi_coap::Token::EMPTY,
            options: request.options,
            payload: request.payload,
        };
        let now = pipe.now;
        let server = &mut pipe.server().connection;
        server.handle_bytes(now, &frame::encode(&sent));
        pipe.server().take_events(now);
        let answer = pipe.server().connection.poll_transmit().unwrap();
        let answer = frame::Decoder::new(10_000).decode(&mut &answer[..]).unwrap().unwrap();
        let value = if more { value } else { value & !8 };
        assert_eq!(answer.options.uint(OptionNumber::BLOCK1), Some(value));
        assert_eq!(answer.code, if more { Code::CONTINUE } else { Code::CHANGED });
    }
    assert_eq!(pipe.server().requests[0].payload, whole);
    // A length that is no multiple, before the end.
    let (odd, _) = several(0, true, 1500);
    let odd = pipe.ask(odd);
    pipe.run();
    assert_eq!(pipe.phone().answer(odd).code, Code::BAD_REQUEST);
    assert_eq!(pipe.server().connection.ended(), None);
}

#[test]
fn observers_are_told_until_they_say_that_they_do_not_care() {
    let mut pipe = Pipe::new(4);
    let observed = pipe.observe();
    pipe.run();
    assert_eq!(pipe.phone().answer(observed).payload, "0");
    for text in ["1", "2", "3"] {
        pipe.change(text);
        pipe.run();
    }
    let told: Vec<_> = pipe.phone().notifications.iter().map(|r| r.text()).collect();
    assert_eq!(told, ["1", "2", "3"]);
    assert!(pipe.phone().notifications[0].options.has(OptionNumber::OBSERVE));
    let now = pipe.now;
    pipe.phone().connection.cancel(now, observed);
    pipe.run();
    assert_eq!((pipe.server().ended.len(), pipe.server().observers.len()), (1, 0));
    pipe.change("4");
    pipe.run();
    assert_eq!(pipe.phone().notifications.len(), 3);
    assert_nothing_is_kept(&pipe);
    assert_eq!(pipe.server().connection.stats().observations, 0);
}

#[test]
fn an_observation_cancelled_before_it_began_ends_as_well() {
    let mut pipe = Pipe::new(4);
    pipe.server().work.insert("state".to_owned(), 300 * MS);
    let observed = pipe.observe();
    pipe.run_for(100 * MS);
    let now = pipe.now;
    pipe.phone().connection.cancel(now, observed);
    pipe.run();
    assert!(pipe.phone().answers.is_empty() && pipe.phone().failures.is_empty());
    assert_eq!((pipe.server().ended.len(), pipe.server().observers.len()), (1, 0));
    assert_nothing_is_kept(&pipe);
}

#[test]
fn the_last_word_ends_an_observation() {
    let mut pipe = Pipe::new(4);
    pipe.observe();
    pipe.run();
    let now = pipe.now;
    pipe.server().tell(now, Response::new(Code::NOT_FOUND));
    pipe.run();
    assert_eq!(pipe.phone().notifications[0].code, Code::NOT_FOUND);
    assert_eq!(pipe.server().connection.stats().observations, 0);
    assert_nothing_is_kept(&pipe);
}

#[test]
fn a_slow_observer_skips_states_and_learns_the_last() {
    let mut pipe = Pipe::new(5);
    pipe.capacity = 10_000;
    pipe.observe();
    pipe.run();
    pipe.phone().reads = false;
    for turn in 0..200 {
        pipe.change(&format!("{turn} {}", "x".repeat(1000)));
        pipe.run_for(MS);
    }
    let queued = pipe.server().connection.queued_bytes();
    assert!(queued < 2000, "{queued} bytes wait");
    pipe.phone().reads = true;
    pipe.run();
    let notifications = &pipe.phone().notifications;
    assert!((5..50).contains(&notifications.len()), "{}", notifications.len());
    assert!(notifications.last().unwrap().text().starts_with("199 "));
}

#[test]
fn observations_are_bounded_and_a_new_one_takes_the_place_of_its_like() {
    let server = StreamConfig { max_observations: 3, ..StreamConfig::default() };
    let mut pipe = Pipe::with([StreamConfig::default(), server], 6);
    for _ in 0..2 {
        pipe.observe();
    }
    pipe.run();
    assert_eq!(pipe.server().connection.stats().observations, 1);
    for path in ["/a", "/b", "/c", "/d"] {
        pipe.ask(Request::new(Code::GET).path(path).observe(true));
    }
    pipe.run();
    assert_eq!(pipe.server().connection.stats().observations, 3);
    assert_eq!(pipe.phone().answers.len(), 6);
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_not_read_either() {
    let mut pipe = Pipe::new(7);
    pipe.phone().reads = false;
    pipe.server().big = body(1_500_000);
    let asked: Vec<_> = (0..40).map(|_| pipe.get("/big")).collect();
    pipe.run();
    let config = StreamConfig::default();
    let stats = pipe.server().connection.stats();
    let bound = config.max_queued_bytes + config.max_exchanges * config.max_message;
    assert!(stats.queued_bytes > config.max_queued_bytes && stats.queued_bytes < bound);
    assert!(pipe.server().requests.len() < 40 && !pipe.server().connection.wants_bytes());
    pipe.phone().reads = true;
    pipe.capacity = 1 << 20;
    pipe.max_piece = 1 << 20;
    pipe.run_for(Duration::from_secs(60));
    for id in asked {
        assert_eq!(pipe.phone().answer(id).payload.len(), 1_500_000);
    }
    assert_nothing_is_kept(&pipe);
}

#[test]
fn requests_that_nobody_answers_hold_up_the_next_until_they_are_dropped() {
    let server = StreamConfig { max_exchanges: 2, ..StreamConfig::default() };
    let mut pipe = Pipe::with([StreamConfig::default(), server], 8);
    pipe.server().work.insert("never".to_owned(), Duration::from_secs(1000));
    for _ in 0..3 {
        pipe.get("/never");
    }
    pipe.run();
    assert_eq!(pipe.server().requests.len(), 2);
    assert_eq!(pipe.server().connection.stats().exchanges, 2);
    let quick = pipe.get("/quick");
    pipe.run();
    assert!(pipe.phone().answers.is_empty());
    pipe.server().work.clear();
    pipe.server().drop_work();
    pipe.run();
    assert_eq!(pipe.phone().answer(quick).payload, "quick");
}

#[test]
fn our_own_queue_is_bounded_and_visible() {
    let phone = StreamConfig { max_requests: 10, max_queued_bytes: 50_000, ..Default::default() };
    let mut pipe = Pipe::with([phone, StreamConfig::default()], 9);
    pipe.run();
    let asked: Vec<_> = (0..4).map(|_| pipe.ask(post(body(20_000)))).collect();
    let queued = pipe.phone().connection.queued_bytes();
    assert!((40_000..50_000).contains(&queued) && pipe.phone().connection.wants_to_send());
    pipe.run();
    let failed = asked.iter().filter(|id| pipe.sides[PHONE].failure(**id).is_some()).count();
    assert_eq!(failed, 2);
    pipe.server().work.insert("slow".to_owned(), 100 * MS);
    let asked: Vec<_> = (0..12).map(|_| pipe.get("/slow")).collect();
    pipe.run();
    assert_eq!(pipe.phone().failure(asked[10]), Some(RequestError::Busy));
    assert_eq!(pipe.phone().answer(asked[9]).payload, "slow");
}

#[test]
fn a_ping_is_answered_and_an_unanswered_one_ends_the_connection() {
    let mut pipe = Pipe::new(10);
    let asked = pipe.get("/state");
    pipe.run();
    let now = pipe.now;
    pipe.phone().connection.ping(now);
    pipe.phone().connection.ping(now);
    pipe.run_for(Duration::from_secs(60));
    assert_eq!(pipe.phone().connection.stats().sent, 3, "one ping");
    assert_eq!(pipe.phone().connection.ended(), None);
    // Half open: nothing comes from the server any more, and nothing tells so.
    pipe.server().reads = false;
    let now = pipe.now;
    pipe.phone().connection.ping(now);
    let lost = pipe.get("/state");
    pipe.run_for(Duration::from_secs(9));
    assert_eq!(pipe.phone().connection.ended(), None);
    pipe.run_for(Duration::from_secs(2));
    assert_eq!(pipe.phone().end(), &End::TimedOut);
    assert_eq!(pipe.phone().failure(lost), Some(RequestError::Closed));
    assert_eq!(pipe.phone().answer(asked).payload, "0");
}

#[test]
fn a_pong_has_the_token_of_its_ping_and_custody_is_not_asked_for() {
    let mut pipe = Pipe::new(10);
    pipe.run();
    // Ping with Custody, and a pong that nobody asked for.
    pipe.inject(SERVER, b"\x13\xe2abc\x20\x03\xe3abc");
    let now = pipe.now;
    let server = &mut pipe.server().connection;
    server.handle_bytes(now, b"\x13\xe2abc\x20\x03\xe3abc");
    assert_eq!(&server.poll_transmit().unwrap()[..], b"\x03\xe3abc");
    assert_eq!((server.poll_transmit(), server.stats().ignored), (None, 1));
}

#[test]
fn a_response_that_does_not_come_fails_its_request_alone() {
    let mut pipe = Pipe::new(11);
    pipe.server().work.insert("never".to_owned(), Duration::from_secs(1000));
    let never = pipe.get("/never");
    pipe.run_for(Duration::from_secs(94));
    assert_eq!(pipe.phone().failure(never), Some(RequestError::TimedOut));
    let asked = pipe.get("/state");
    pipe.run();
    assert_eq!(pipe.phone().answer(asked).payload, "0");
}

#[test]
fn who_does_not_introduce_itself_is_given_up() {
    let mut pipe = Pipe::new(12);
    pipe.server().reads = false;
    let large = pipe.ask(post(body(100_000)));
    let _csm = pipe.server().connection.poll_transmit();
    pipe.run_for(Duration::from_secs(11));
    assert_eq!(pipe.phone().end(), &End::TimedOut);
    assert_eq!(pipe.phone().failure(large), Some(RequestError::Closed));
    assert_eq!(pipe.phone().connection.queued_bytes(), 0);
}

#[test]
fn a_released_connection_answers_what_was_asked_and_ends() {
    for by in [PHONE, SERVER] {
        let mut pipe = Pipe::new(13);
        pipe.server().work.insert("slow".to_owned(), 300 * MS);
        let observed = pipe.observe();
        pipe.run();
        let asked = pipe.get("/slow");
        pipe.run_for(50 * MS);
        let now = pipe.now;
        pipe.sides[by].connection.release(now);
        pipe.run_for(50 * MS);
        assert!(pipe.sides.iter().all(|side| side.connection.is_released()));
        assert!(pipe.sides.iter().all(|side| side.connection.ended().is_none()));
        let late = pipe.get("/state");
        pipe.run();
        assert_eq!(pipe.phone().answer(asked).payload, "slow");
        assert_eq!(pipe.phone().failure(late), Some(RequestError::Closed));
        assert_eq!(pipe.phone().failure(observed), Some(RequestError::Closed));
        assert_eq!(pipe.server().ended.len(), 1);
        for side in &pipe.sides {
            assert_eq!(side.end(), &End::Released);
        }
        assert_nothing_is_kept(&pipe);
    }
}

#[test]
fn a_peer_that_does_not_close_after_a_release_is_left() {
    let mut pipe = Pipe::new(13);
    pipe.run();
    pipe.server().reads = false;
    let now = pipe.now;
    pipe.phone().connection.release(now);
    pipe.run_for(Duration::from_secs(11));
    assert_eq!(pipe.phone().end(), &End::Released);
}

#[test]
fn a_release_may_say_for_how_long() {
    let mut pipe = Pipe::new(13);
    pipe.run();
    pipe.inject(PHONE, &[0x20, 0xe4, 0x41, 30]);
    pipe.run();
    assert_eq!(pipe.phone().connection.hold_off(), Some(Duration::from_secs(30)));
    assert_eq!(pipe.phone().end(), &End::Released);
}

#[test]
fn an_abort_says_why_and_is_the_last_thing_said() {
    let mut pipe = Pipe::new(14);
    pipe.server().work.insert("slow".to_owned(), 300 * MS);
    let asked = pipe.get("/slow");
    pipe.run_for(100 * MS);
    let now = pipe.now;
    pipe.server().connection.abort(now, "out of paper");
    pipe.run();
    assert_eq!(pipe.server().end(), &End::GivenUp);
    let aborted = End::Aborted { text: "out of paper".to_owned(), bad_csm_option: None };
    assert_eq!(pipe.phone().end(), &aborted);
    assert_eq!(pipe.phone().failure(asked), Some(RequestError::Closed));
    assert_nothing_is_kept(&pipe);
}

#[test]
fn a_closed_stream_ends_everything() {
    let mut pipe = Pipe::new(15);
    let observed = pipe.observe();
    pipe.run();
    let asked = pipe.get("/state");
    pipe.close();
    assert_eq!(pipe.phone().end(), &End::Closed);
    for id in [observed, asked] {
        assert_eq!(pipe.phone().failure(id), Some(RequestError::Closed));
    }
    assert_eq!((pipe.server().ended.len(), pipe.server().observers.len()), (1, 0));
    let late = pipe.get("/state");
    pipe.run();
    assert_eq!(pipe.phone().failure(late), Some(RequestError::Closed));
    assert_nothing_is_kept(&pipe);
}

/// How the server ends, and what it says, after these bytes.
fn after(bytes: &[u8]) -> (Option<End>, Vec<u8>) {
    let mut pipe = Pipe::new(16);
    let now = pipe.now;
    let server = &mut pipe.server().connection;
    while server.poll_transmit().is_some() {}
    server.handle_bytes(now, bytes);
    let said = std::iter::from_fn(|| server.poll_transmit()).flatten().collect();
    (server.ended().cloned(), said)
}

#[test]
fn broken_rules_abort_and_say_which() {
    const CSM: &[u8] = &[0x00, 0xe1];
    let violated = |violation| Some(End::Violated(violation));
    for first in [&b"\x01\x01a"[..], b"\x01\x45a", b"\x01\xe2a", b"\x00\xe4"] {
        let (end, said) = after(first);
        assert_eq!(end, violated(Violation::NoCsm));
        assert!(said.ends_with(b"\xffthe first message must be a CSM"));
        assert_eq!(
            after(&[b"\x00\x00", CSM, first].concat()).0.filter(|e| *e != End::Released),
            None
        );
    }
    let bad = |code, option| violated(Violation::BadOption { code, option });
    let (end, said) = after(b"\x10\xe1\x30");
    assert_eq!(end, bad(Code::CSM, 3));
    let abort = frame::Decoder::new(200).decode(&mut &said[..]).unwrap().unwrap();
    assert_eq!((abort.code, abort.options.uint(OptionNumber(2))), (Code::ABORT, Some(3)));
    assert_eq!(abort.payload, "option 3 of a 7.01 message is not understood");
    let (end, said) = after(&[CSM, b"\x10\xe2\x90"].concat());
    assert_eq!(end, bad(Code::PING, 9));
    let abort = frame::Decoder::new(200).decode(&mut &said[..]).unwrap().unwrap();
    assert!(abort.code == Code::ABORT && abort.options.is_empty());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], &[0x09, 1], b"\x10\x01\xf0"] {
        let (end, said) = after(&[CSM, garbage].concat());
        assert!(matches!(end, Some(End::Violated(_))), "{end:?}");
        assert!(said.len() > 10 && said[1..].contains(&0xe5));
    }
    // An abort and an empty message may come before everything.
    assert!(matches!(after(b"\x00\xe5").0, Some(End::Aborted { .. })));
    assert_eq!(after(b"\x00\x00"), (None, vec![]));
    // Codes of reserved classes, responses that nobody asked for: nothing to quarrel about.
    assert_eq!(after(&[CSM, b"\x00\x20\x01\x45a\x00\xe9"].concat()), (None, vec![]));
}

#[test]
fn a_request_with_unknown_critical_options_is_answered_and_the_connection_goes_on() {
    let mut pipe = Pipe::new(17);
    let mut request = Request::new(Code::GET).path("/state");
    request.options.set(OptionNumber(9999), "x");
    let refused = pipe.ask(request);
    let asked = pipe.get("/state");
    pipe.run();
    assert_eq!(pipe.phone().answer(refused).code, Code::BAD_OPTION);
    assert_eq!(pipe.phone().answer(asked).payload, "0");
    assert!(pipe.server().requests.len() == 1);
}

#[test]
fn an_echo_is_given_back_once() {
    let mut pipe = Pipe::new(18);
    pipe.server().state = Response::new(Code::UNAUTHORIZED).echo(b"fresh?");
    let asked = pipe.get("/state");
    pipe.run();
    let echoes: Vec<_> =
        pipe.server().requests.iter().map(|request| request.echo_value().cloned()).collect();
    assert_eq!(echoes, [None, Some("fresh?".into())]);
    assert_eq!(pipe.phone().answer(asked).code, Code::UNAUTHORIZED);
}

#[test]
fn random_bytes_after_the_beginning_are_survived() {
    use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
    let mut rng = StdRng::seed_from_u64(19);
    let mut ends = std::collections::BTreeMap::<_, u32>::new();
    for seed in 0..3000 {
        let mut pipe = Pipe::new(seed);
        let asked = pipe.observe();
        pipe.run_for(30 * MS);
        for _ in 0..rng.random_range(1..20) {
            let mut garbage = vec![0; rng.random_range(1..40)];
            rng.fill_bytes(&mut garbage);
            garbage[0] &= 0x38;
            let to = rng.random_range(0..2);
            pipe.inject(to, &garbage);
        }
        pipe.run_for(Duration::from_secs(20));
        let [phone, server] = &pipe.sides;
        let kind = |side: &support::stream::Side| {
            side.connection
                .ended()
                .map(|end| format!("{end:?}").chars().take(8).collect::<String>())
        };
        assert!(phone.answers.len() <= 1 && server.connection.stats().queued_bytes < 10_000);
        assert!(phone.answers.is_empty() || phone.answers[0].0 == asked);
        *ends.entry((kind(phone), kind(server))).or_default() += 1;
    }
    assert!(ends.len() > 3, "{ends:?}");
}

fn protected(seed: u64) -> (Pipe, [Toy; 2]) {
    protected_with([StreamConfig::default(), StreamConfig::default()], seed)
}

fn protected_with(configs: [StreamConfig; 2], seed: u64) -> (Pipe, [Toy; 2]) {
    let mut pipe = Pipe::with(configs, seed);
    let toys = [Toy::new(7, &[7]), Toy::new(0, &[7, 8])];
    for (side, toy) in pipe.sides.iter_mut().zip(&toys) {
        side.connection.set_protection(toy.protection());
    }
    (pipe, toys)
}

#[test]
fn everything_works_under_protection() {
    let (mut pipe, toys) = protected(20);
    pipe.server().big = body(1_500_000);
    let observed = pipe.observe();
    let upload = pipe.ask(post(body(1 << 20)));
    let download = pipe.get("/big");
    pipe.run_for(Duration::from_secs(100));
    assert_eq!(pipe.phone().answer(upload).payload, body(1 << 20));
    assert_eq!(pipe.phone().answer(download).payload, body(1_500_000));
    for text in ["1", "2"] {
        pipe.change(text);
        pipe.run();
    }
    assert_eq!(pipe.phone().notifications.len(), 2);
    let now = pipe.now;
    pipe.phone().connection.cancel(now, observed);
    pipe.run();
    assert_eq!(pipe.server().connection.stats().observations, 0);
    assert_eq!(pipe.server().subjects, vec![Some(Subject(7)); 4]);
    assert_eq!((toys[0].side().forged, toys[1].side().forged), (0, 0));
    assert_nothing_is_kept(&pipe);
}

#[test]
fn blocks_are_protected_each_by_itself() {
    let short = StreamConfig { max_message: 1152, ..StreamConfig::default() };
    let (mut pipe, toys) = protected_with([short.clone(), short], 21);
    pipe.server().big = body(10_000);
    let upload = pipe.ask(post(body(10_000)));
    let download = pipe.get("/big");
    pipe.run_for(Duration::from_secs(60));
    assert_eq!(pipe.phone().answer(upload).payload, body(10_000));
    assert_eq!(pipe.phone().answer(download).payload, body(10_000));
    // Ten blocks up, and of two responses the first block with the request.
    assert_eq!(toys[0].side().requests, 10 + 9 + 10);
    assert_nothing_is_kept(&pipe);
}

#[test]
fn what_is_too_long_to_be_protected_goes_in_blocks() {
    let (mut pipe, toys) = protected(24);
    for toy in &toys {
        toy.side().max_len = 5000;
    }
    pipe.server().big = body(20_000);
    let short = pipe.ask(post(body(4000)));
    let upload = pipe.ask(post(body(10 * 1024)));
    let download = pipe.get("/big");
    pipe.run();
    assert_eq!(pipe.phone().answer(short).payload, body(4000));
    assert_eq!(pipe.phone().answer(upload).payload, body(10 * 1024));
    assert_eq!(pipe.phone().answer(download).payload, body(20_000));
    // The short one whole, ten blocks up and nine more down, twenty blocks down.
    assert_eq!(toys[0].side().requests, 1 + 10 + 9 + 20);
    assert_nothing_is_kept(&pipe);
}

#[test]
fn a_request_that_is_wanted_once_more_is_protected_anew() {
    let (mut pipe, toys) = protected(22);
    toys[1].side().once_more = 2;
    let asked = pipe.get("/state");
    pipe.run();
    assert_eq!(pipe.phone().answer(asked).payload, "0");
    assert_eq!(toys[0].side().requests, 3);
    toys[1].side().once_more = 100;
    let asked = pipe.get("/state");
    pipe.run();
    assert_eq!(pipe.phone().failure(asked), Some(RequestError::Unprotectable));
}

#[test]
fn forged_messages_change_nothing() {
    let (mut pipe, toys) = protected(23);
    let observed = pipe.observe();
    pipe.run();
    let asked = pipe.get("/slow");
    pipe.server().work.insert("slow".to_owned(), 300 * MS);
    let sent = pipe.phone().connection.poll_transmit().unwrap();
    pipe.inject(SERVER, &sent);
    // Replayed to the server, and answered to the phone in the server's place.
    pipe.inject(SERVER, &sent);
    let token_len = usize::from(sent[0] & 0x0f);
    let request = frame::Decoder::new(1000).decode(&mut &sent[..]).unwrap().unwrap();
    assert_eq!(token_len, 8);
    let forged = suibi_coap::Message {
        code: Code::CHANGED,
        options: suibi_coap::Options::new(),
        payload: "trust me".into(),
        ..request
    };
    pipe.inject(PHONE, &frame::encode(&forged));
    pipe.run();
    assert_eq!(pipe.phone().answer(asked).payload, "slow");
    assert_eq!((toys[0].side().forged, toys[1].side().replayed), (1, 1));
    pipe.change("1");
    pipe.run();
    assert_eq!(pipe.phone().notifications.len(), 1);
    assert_eq!(pipe.phone().failure(observed), None);
}
