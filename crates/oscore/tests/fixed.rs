//! Fixed contexts of foreign clients (RFC 8613 Appendix B.1).
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use suibi_coap::{Binding, Code, OptionNumber, Request, Response, Subject, UnprotectedRequest};
use suibi_oscore::{
    Context, FixedContext, KeyId, KidContext, OscoreOption, Parameters, RequestId, SERVER_ID,
};
use support::*;

const SENSOR: Subject = Subject(0);

fn fixed(next: u64, reserved: u64) -> FixedContext {
    FixedContext { id: id("sensor"), secret: secret("sensor"), salt: vec![9; 8], next, reserved }
}

/// A client that has nothing but RFC 8613 and RFC 9175.
struct Sensor {
    context: Context,
    echo: Option<Vec<u8>>,
}

impl Sensor {
    fn starting_at(next: u64) -> Self {
        let context = Context::derive(&Parameters {
            secret: &secret("sensor"),
            salt: &[9; 8],
            id_context: None,
            sender: id("sensor"),
            recipient: SERVER_ID,
        });
        Self { context: context.with_next(next), echo: None }
    }

    /// A request with the Echo value that it was given last, if any.
    fn send(&mut self, world: &mut World, text: &str) -> (Request, RequestId) {
        let request = match self.echo.take() {
            Some(echo) => note(text).echo(&echo),
            None => note(text),
        };
        let (outer, asked) = self.context.protect_request(&request, false).unwrap();
        world.recorder.request(&outer);
        (outer, asked)
    }

    fn receive(&mut self, asked: RequestId, outer: &Response) -> Response {
        let (response, _) = self.context.unprotect_response(outer, asked, None).unwrap();
        if response.code == Code::UNAUTHORIZED {
            self.echo = response.echo_value().map(|value| value.to_vec());
        }
        response
    }

    /// Asks until there is an answer; how many round trips that took.
    fn ask(&mut self, world: &mut World, server: &mut Server, text: &str) -> usize {
        for round_trips in 1..=2 {
            let (outer, asked) = self.send(world, text);
            let answer = world.serve(server, &outer).expect("an answer");
            let response = self.receive(asked, &answer);
            if response.code == Code::CHANGED {
                assert_eq!(response.text(), text);
                return round_trips;
            }
        }
        panic!("never an answer");
    }
}

/// What the server's owner does: stores what is asked for, then says so.
fn store(server: &Server, stored: &mut u64) {
    while let Some((subject, up_to)) = server.contexts.poll_reservation() {
        assert!(up_to > *stored);
        *stored = up_to;
        server.contexts.reserved(subject, up_to);
    }
}

#[test]
fn nothing_is_carried_out_before_echo() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    assert_eq!(sensor.ask(&mut world, &mut server, "one"), 2);
    assert_eq!(sensor.ask(&mut world, &mut server, "two"), 1);
    assert_eq!(world.bodies, ["one", "two"]);
}

#[test]
fn the_echo_value_is_taken_out_and_any_other_is_handed_on() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    let (outer, asked) = sensor.send(&mut world, "one");
    let answer = world.serve(&mut server, &outer).unwrap();
    let challenge = sensor.receive(asked, &answer);
    assert_eq!(challenge.echo_value().unwrap().len(), 8);
    assert!(!answer.options.has(OptionNumber::ECHO), "only the client can read it");

    sensor.echo = Some(vec![1; 8]);
    let (outer, asked) = sensor.send(&mut world, "guessed");
    let answer = world.serve(&mut server, &outer).unwrap();
    assert_eq!(sensor.receive(asked, &answer), challenge);

    let mut handed_on = |sensor: &mut Sensor| {
        let (outer, _) = sensor.send(&mut world, "text");
        match server.protection.unprotect_request(server.now, peer(), outer) {
            UnprotectedRequest::Request { request, .. } => request.echo_value().cloned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(handed_on(&mut sensor), None);
    sensor.echo = Some(vec![2; 8]);
    assert_eq!(handed_on(&mut sensor).as_deref(), Some(&[2; 8][..]), "somebody else's");
}

#[test]
fn recorded_requests_are_not_carried_out_after_a_restart() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    let mut recorded = Vec::new();
    for number in 0..20 {
        let (outer, asked) = sensor.send(&mut world, &number.to_string());
        recorded.push(outer.clone());
        let answer = world.serve(&mut server, &outer).unwrap();
        sensor.receive(asked, &answer);
    }
    let carried_out = world.bodies.len();
    for outer in &recorded {
        assert!(world.deliver(&mut server, outer).is_nothing());
    }
    // Starts again, once from what was stored last and once from an old backup with a number that
    // grows with the time.
    for next in [1_024, 5_000] {
        let mut server = world.server_of(fixed(next, next + 1_024));
        for outer in &recorded {
            world.deliver(&mut server, outer).answer();
        }
        assert_eq!(world.bodies.len(), carried_out, "{next}");
    }
    let mut server = world.server_of(fixed(10_000, 11_024));
    let held_back = sensor.send(&mut world, "held back").0;
    assert_eq!(sensor.ask(&mut world, &mut server, "there again"), 2);
    for outer in recorded.iter().chain([&held_back]) {
        assert!(world.deliver(&mut server, outer).is_nothing());
    }
}

#[test]
fn a_recorded_echo_is_worth_nothing_after_the_next_start() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    let (outer, asked) = sensor.send(&mut world, "one");
    let answer = world.serve(&mut server, &outer).unwrap();
    sensor.receive(asked, &answer);
    let with_echo = sensor.send(&mut world, "one").0;
    let mut server = world.server_of(fixed(1_024, 2_048));
    world.deliver(&mut server, &with_echo).answer();
    assert!(world.bodies.is_empty());
    assert_eq!(sensor.ask(&mut world, &mut server, "one"), 2);
}

#[test]
fn every_answer_has_a_number_of_its_own() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(7, 1_024));
    let mut sensor = Sensor::starting_at(40);
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let (outer, asked) = sensor.send(&mut world, "text");
        let answer = world.serve(&mut server, &outer).unwrap();
        numbers.push(option(&answer.options).partial_iv);
        sensor.receive(asked, &answer);
    }
    assert_eq!(numbers, [Some(7), Some(8), Some(9), Some(10)]);
}

#[test]
fn a_client_that_was_restored_never_makes_us_use_a_nonce_twice() {
    let mut used = Vec::new();
    let mut stored = 0;
    // Each life of the client begins at the same number, as from one backup; so do its requests.
    for text in ["one", "two"] {
        let mut world = World::default();
        let mut server = world.server_of(fixed(stored, stored));
        store(&server, &mut stored);
        let mut sensor = Sensor::starting_at(40);
        for _ in 0..3 {
            let (outer, asked) = sensor.send(&mut world, text);
            let answer = world.serve(&mut server, &outer).unwrap();
            used.push(option(&answer.options).partial_iv.expect("not the request's nonce"));
            sensor.receive(asked, &answer);
        }
    }
    assert_eq!(used, [0, 1, 2, 1_024, 1_025, 1_026]);
}

#[test]
fn what_could_not_be_answered_is_not_carried_out_and_its_number_stays_new() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 2));
    let mut sensor = Sensor::starting_at(0);
    assert_eq!(sensor.ask(&mut world, &mut server, "one"), 2);
    let (outer, _) = sensor.send(&mut world, "two");
    assert!(world.deliver(&mut server, &outer).is_nothing());
    server.contexts.reserved(SENSOR, 1_024);
    assert_eq!(world.serve(&mut server, &outer).map(|answer| answer.code), Some(Code::CHANGED));
    assert_eq!(world.bodies, ["one", "two"]);
}

#[test]
fn numbers_are_asked_for_ahead_and_never_used_before_they_are_stored() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 0));
    let mut sensor = Sensor::starting_at(0);
    let (outer, _) = sensor.send(&mut world, "too early");
    assert!(world.serve(&mut server, &outer).is_none());
    assert_eq!(server.contexts.stats().numberless, 1);
    assert_eq!(server.contexts.poll_reservation(), Some((SENSOR, 1_024)));
    assert_eq!(server.contexts.poll_reservation(), None, "asked for once");
    // Could not be stored: asked for again.
    server.contexts.reserved(SENSOR, 0);
    assert_eq!(server.contexts.poll_reservation(), Some((SENSOR, 1_024)));
    server.contexts.reserved(SENSOR, 1_024);
    assert_eq!(server.contexts.poll_reservation(), None);
    assert_eq!(sensor.ask(&mut world, &mut server, "one"), 2);

    // An observation that takes a number for every notification.
    let (outer, asked) = sensor.send(&mut world, "watch");
    let Did::CarriedOut(mut binding) = world.deliver(&mut server, &outer) else {
        panic!("a true request");
    };
    let mut notify = |world: &mut World, server: &mut Server| {
        server.later(Duration::from_millis(1));
        let state = Response::new(Code::CONTENT);
        let sent = world.answer(server, &outer, &mut binding, state, Some(1))?;
        sensor.context.unprotect_response(&sent, asked, None).unwrap();
        option(&sent.options).partial_iv
    };
    for number in 2..1_024 {
        assert_eq!(notify(&mut world, &mut server), Some(number));
        let asks = server.contexts.poll_reservation();
        assert_eq!(asks, (number == 511).then_some((SENSOR, 2_048)), "{number}");
    }
    assert_eq!(notify(&mut world, &mut server), None, "not stored yet");
    server.contexts.reserved(SENSOR, 2_048);
    assert_eq!(notify(&mut world, &mut server), Some(1_024));
}

#[test]
fn numbers_are_used_no_faster_than_one_a_millisecond_but_for_1024_at_once() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1 << 20));
    let mut sensor = Sensor::starting_at(0);
    sensor.ask(&mut world, &mut server, "one");
    for _ in 2..1_024 {
        sensor.ask(&mut world, &mut server, "more");
    }
    let (outer, asked) = sensor.send(&mut world, "too fast");
    assert!(world.deliver(&mut server, &outer).is_nothing());
    assert_eq!(world.bodies.len(), 1_023, "what could not be answered is not carried out");
    // The client sends it once more.
    server.later(Duration::from_millis(1));
    let answer = world.serve(&mut server, &outer).unwrap();
    assert_eq!(sensor.receive(asked, &answer).code, Code::CHANGED);
    assert_eq!(option(&answer.options).partial_iv, Some(1_024));
    let mut used = 1_025;
    for _ in 0..10_000 {
        server.later(Duration::from_micros(100));
        let (outer, _) = sensor.send(&mut world, "always");
        used += u64::from(world.serve(&mut server, &outer).is_some());
    }
    assert_eq!(used, 1_025 + 1_000);
}

#[test]
fn restarts_never_go_back_behind_what_was_stored() {
    let mut world = World::default();
    let mut sensor = Sensor::starting_at(0);
    let mut stored = 0;
    for life in 0..8 {
        let mut server = world.server_of(fixed(stored, stored));
        store(&server, &mut stored);
        sensor.ask(&mut world, &mut server, &format!("life {life}"));
        let (outer, _) = sensor.send(&mut world, "watch");
        let Did::CarriedOut(mut binding) = world.deliver(&mut server, &outer) else {
            panic!("a true request");
        };
        for _ in 0..life * 300 {
            server.later(Duration::from_millis(1));
            let state = Response::new(Code::CONTENT);
            world.answer(&mut server, &outer, &mut binding, state, Some(1)).unwrap();
            store(&server, &mut stored);
        }
        // A crash: nothing is said to anybody.
    }
}

#[test]
fn recorded_requests_take_few_numbers_before_the_client_is_there() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 10_000));
    let mut sensor = Sensor::starting_at(0);
    let (outer, asked) = sensor.send(&mut world, "recorded");
    let mut answered = 0;
    let mut last = None;
    for _ in 0..1_000 {
        server.later(Duration::from_millis(1));
        if let Did::Answered(answer) = world.deliver(&mut server, &outer) {
            answered += 1;
            last = Some(answer);
        }
    }
    assert!((290..=310).contains(&answered), "{answered}");
    assert_eq!(server.contexts.stats().limited, 1_000 - answered);
    sensor.receive(asked, &last.unwrap());
    // Who has the Echo value is not held up by who has a recording.
    assert!(world.deliver(&mut server, &outer).is_nothing());
    assert_eq!(sensor.ask(&mut world, &mut server, "there"), 1);
}

#[test]
fn a_binding_of_a_removed_or_replaced_context_answers_nothing() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    sensor.ask(&mut world, &mut server, "one");
    let in_the_works = |world: &mut World, sensor: &mut Sensor, server: &mut Server| {
        let (outer, _) = sensor.send(world, "in the works");
        match world.deliver(server, &outer) {
            Did::CarriedOut(binding) => (outer, binding),
            other => panic!("{other:?}"),
        }
    };
    let answer = |world: &mut World, server: &mut Server, asked: &(Request, Binding)| {
        let (outer, mut binding) = asked.clone();
        world.answer(server, &outer, &mut binding, Response::new(Code::CHANGED), None)
    };
    let asked = in_the_works(&mut world, &mut sensor, &mut server);
    // With a number that was used already: it goes on from the higher one.
    server.contexts.add_fixed(SENSOR, fixed(0, 1_024));
    assert_eq!(answer(&mut world, &mut server, &asked), None);
    assert_eq!(sensor.ask(&mut world, &mut server, "two"), 2);
    let asked = in_the_works(&mut world, &mut sensor, &mut server);
    server.contexts.remove(SENSOR);
    assert_eq!(answer(&mut world, &mut server, &asked), None);
    let (outer, _) = sensor.send(&mut world, "gone");
    assert!(world.deliver(&mut server, &outer).is_nothing());
    assert_eq!(server.contexts.poll_reservation(), None);
}

#[test]
fn forged_and_misdirected_requests_get_silence_and_take_no_numbers() {
    let mut world = World::default();
    let mut server = world.server_of(fixed(0, 1_024));
    let mut sensor = Sensor::starting_at(0);
    let (outer, _) = sensor.send(&mut world, "text");
    let right = option(&outer.options);
    let mut forged = vec![Request { payload: vec![0; 20].into(), ..outer.clone() }];
    for option in [
        OscoreOption { kid_context: KidContext::new(vec![1; 16]), ..right.clone() },
        OscoreOption { kid_context: KidContext::new(vec![]), ..right.clone() },
        OscoreOption { partial_iv: Some(1), ..right.clone() },
        OscoreOption { kid: KeyId::from_slice(b"other"), ..right.clone() },
        OscoreOption { partial_iv: None, ..right },
    ] {
        let mut request = outer.clone();
        request.options.set(OptionNumber::OSCORE, option.encode());
        forged.push(request);
    }
    for request in &forged {
        assert!(world.deliver(&mut server, request).is_nothing());
    }
    let first = world.deliver(&mut server, &outer).answer();
    assert_eq!(option(&first.options).partial_iv, Some(0), "the first number is still there");
}

#[test]
fn a_fixed_context_has_no_epoch() {
    let mut world = World::default();
    let server = world.server_of(fixed(0, 0));
    assert_eq!(server.contexts.epoch(SENSOR), None);
    let shown = format!("{:?}", fixed(0, 0));
    assert!(shown.contains("secret: Secret(32 bytes)") && !shown.contains("salt"), "{shown}");
}
