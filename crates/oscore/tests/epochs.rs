//! Paired credentials: contexts that survive restarts, copies and old backups, and attacks on them.
//!
//! Whatever happens in these tests, `World` sees to it that nothing is carried out twice, and that
//! nobody ever protects two messages under one key and nonce.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use suibi_coap::{
    Code, OptionNumber, Request, Response, Subject, UnprotectedRequest, UnprotectedResponse,
};
use suibi_oscore::{
    ContextLimits, Hint, KeyId, KidContext, OscoreOption, ReplayWindow, ServerContexts,
};
use support::*;

const PHONE: Subject = Subject(0);

fn phone_and_server() -> (World, Client, Server) {
    let mut world = World::default();
    let server = world.server(&["phone"]);
    let phone = world.client("phone", server.contexts.epoch(PHONE));
    (world, phone, server)
}

#[test]
fn one_round_trip_with_a_remembered_epoch_and_two_without() {
    let (mut world, mut phone, mut server) = phone_and_server();
    assert_eq!(world.ask(&mut phone, &mut server, "known"), 1);
    assert_eq!(world.ask(&mut phone, &mut server, "again"), 1);
    let mut stranger = world.client("phone", None);
    assert_eq!(stranger.context.epoch(), None);
    assert_eq!(world.ask(&mut stranger, &mut server, "unknown"), 2);
    assert_eq!(stranger.context.epoch(), server.contexts.epoch(PHONE));
    let mut next = world.client("phone", stranger.context.epoch());
    assert_eq!(world.ask(&mut next, &mut server, "known again"), 1);
    assert_eq!(world.bodies, ["known", "again", "unknown", "known again"]);
}

#[test]
fn two_round_trips_after_the_server_restarted() {
    let (mut world, mut phone, mut server) = phone_and_server();
    world.ask(&mut phone, &mut server, "before");
    let mut server = world.server(&["phone"]);
    assert_eq!(world.ask(&mut phone, &mut server, "after"), 2);
    assert_eq!(world.ask(&mut phone, &mut server, "then"), 1);
    assert_eq!(phone.context.epoch(), server.contexts.epoch(PHONE));
}

#[test]
fn a_replay_gets_silence_at_once_and_after_the_window() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let recorded = world.send(&mut phone, note("recorded"));
    assert!(world.serve(&mut server, &recorded.outer).is_some());
    assert!(world.deliver(&mut server, &recorded.outer).is_nothing());
    for number in 0..ReplayWindow::LEN + 10 {
        world.ask(&mut phone, &mut server, &number.to_string());
        if number % 97 == 0 {
            assert!(world.deliver(&mut server, &recorded.outer).is_nothing(), "{number}");
        }
    }
    assert!(world.deliver(&mut server, &recorded.outer).is_nothing());
    assert_eq!(server.contexts.stats().challenged, 0);
}

#[test]
fn requests_may_overtake_each_other_within_the_window() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let sent: Vec<_> = (0..200).map(|n| world.send(&mut phone, note(&n.to_string()))).collect();
    for mut sent in sent.into_iter().rev() {
        let response = world.serve(&mut server, &sent.outer).unwrap();
        assert!(matches!(phone.receive(&mut sent, &response), UnprotectedResponse::Response(_)));
    }
    assert_eq!(world.bodies.len(), 200);
}

#[test]
fn a_first_request_sent_twice_is_carried_out_once() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let first = world.send(&mut phone, note("first"));
    // The recorded copy is faster than the true one.
    assert!(world.deliver(&mut server, &first.outer).is_carried_out());
    assert!(world.deliver(&mut server, &first.outer).is_nothing());
    assert_eq!(world.ask(&mut phone, &mut server, "second"), 1);
}

#[test]
fn a_replay_after_a_server_restart_is_challenged_with_ever_new_numbers() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let recorded = world.send(&mut phone, note("recorded"));
    world.serve(&mut server, &recorded.outer).unwrap();
    for _ in 0..3 {
        let mut server = world.server(&["phone"]);
        for _ in 0..50 {
            let answer = world.deliver(&mut server, &recorded.outer).answer();
            assert_eq!(answer.code, Code::CHANGED, "what it is, is inside");
            let option = option(&answer.options);
            let epoch = option.kid_context.unwrap();
            assert_eq!(
                Some(epoch.as_slice()),
                server.contexts.epoch(PHONE).as_ref().map(|e| &e[..])
            );
        }
        assert_eq!(server.contexts.stats().challenged, 50);
        assert_eq!(server.contexts.stats().contexts, 0);
    }
    assert_eq!(world.bodies, ["recorded"]);
}

#[test]
fn an_answer_is_never_longer_than_three_requests() {
    let (mut world, mut phone, _) = phone_and_server();
    let mut server = world.server(&["phone"]);
    let shortest = world.send(&mut phone, Request::new(Code::GET));
    let bytes = |options: &suibi_coap::Options, payload: &Bytes| {
        options.iter().map(|(_, value)| value.len() + 1).sum::<usize>() + payload.len()
    };
    let asked = bytes(&shortest.outer.options, &shortest.outer.payload);
    let answer = world.deliver(&mut server, &shortest.outer).answer();
    assert!(bytes(&answer.options, &answer.payload) <= 3 * asked);
}

#[test]
fn a_replay_into_an_evicted_context_is_challenged_and_its_owner_goes_on() {
    let mut world = World::default();
    let limits = ContextLimits { contexts_each: 4, ..ContextLimits::default() };
    let mut server = world.server_with(&["phone"], limits);
    let epoch = server.contexts.epoch(PHONE);
    let mut oldest = world.client("phone", epoch);
    let first = world.send(&mut oldest, note("first"));
    world.serve(&mut server, &first.outer).unwrap();
    let mut kept = world.client("phone", epoch);
    world.ask(&mut kept, &mut server, "kept");
    for number in 0..4 {
        let mut other = world.client("phone", epoch);
        world.ask(&mut other, &mut server, &format!("other {number}"));
        assert_eq!(world.ask(&mut kept, &mut server, &format!("kept {number}")), 1);
    }
    assert_eq!(server.contexts.stats().evicted, 2);
    assert_eq!(server.contexts.stats().contexts, 4);
    let carried_out = world.bodies.len();
    // With its context alive it was silence; without, there is no window to judge it.
    for _ in 0..20 {
        world.deliver(&mut server, &first.outer).answer();
    }
    assert_eq!(world.bodies.len(), carried_out);
    assert_eq!(world.ask(&mut oldest, &mut server, "back"), 2);
    assert_eq!(oldest.context.epoch(), epoch, "the epoch is the same, the other half is new");
}

#[test]
fn contexts_in_all_are_bounded_over_the_credentials() {
    let mut world = World::default();
    let limits = ContextLimits { contexts: 3, ..ContextLimits::default() };
    let mut server = world.server_with(&["a", "b", "c", "d"], limits);
    let mut clients: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .zip(0..)
        .map(|(name, n)| world.client(name, server.contexts.epoch(Subject(n))))
        .collect();
    for client in &mut clients {
        assert_eq!(world.ask(client, &mut server, "hello"), 1);
    }
    let stats = server.contexts.stats();
    assert_eq!((stats.contexts, stats.evicted), (3, 1));
    assert_eq!(world.ask(&mut clients[3], &mut server, "alive"), 1);
    assert_eq!(world.ask(&mut clients[0], &mut server, "evicted"), 2);
}

#[test]
fn a_full_set_of_remembered_processes_changes_the_epoch() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let epoch = server.contexts.epoch(PHONE);
    world.ask(&mut phone, &mut server, "first of all");
    let mut recorded = Vec::new();
    let mut last = None;
    for number in 1..1_024 {
        server.later(Duration::from_millis(5));
        let mut process = world.client("phone", epoch);
        let sent = world.send(&mut process, note(&format!("process {number}")));
        world.serve(&mut server, &sent.outer).unwrap();
        recorded.push(sent.outer);
        last = Some(process);
        // Has to stay alive.
        world.ask(&mut phone, &mut server, &format!("phone {number}"));
    }
    assert_eq!(server.contexts.stats().rotated, 1);
    let next = server.contexts.epoch(PHONE);
    assert_ne!(epoch, next);
    let carried_out = world.bodies.len();
    for outer in &recorded {
        server.later(Duration::from_millis(5));
        // Silence from those alive, a challenge from the others.
        assert!(!world.deliver(&mut server, outer).is_carried_out());
    }
    assert_eq!(world.bodies.len(), carried_out);
    let stats = server.contexts.stats();
    assert_eq!((stats.replayed, stats.challenged), (255, 1_023 - 255));
    // What is alive goes on, what is new needs the new epoch.
    assert_eq!(world.ask(&mut phone, &mut server, "alive"), 1);
    assert_eq!(world.ask(&mut last.unwrap(), &mut server, "alive too"), 1);
    let mut late = world.client("phone", epoch);
    assert_eq!(world.ask(&mut late, &mut server, "late"), 2);
    assert_eq!(late.context.epoch(), next);
    assert_eq!(server.contexts.stats().rotated, 1, "the set is an empty one again");
}

#[test]
fn a_copied_client_is_simply_two_processes() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut copy = world.client("phone", server.contexts.epoch(PHONE));
    for number in 0..20 {
        assert_eq!(world.ask(&mut phone, &mut server, &format!("phone {number}")), 1);
        assert_eq!(world.ask(&mut copy, &mut server, &format!("copy {number}")), 1);
    }
    let mut server = world.server(&["phone"]);
    let [mut one, mut two] = [("one", &mut phone), ("two", &mut copy)].map(|(text, client)| {
        let sent = world.send(client, note(text));
        let answer = world.serve(&mut server, &sent.outer).unwrap();
        (sent, answer)
    });
    // Neither takes the other's challenge for its own.
    assert_eq!(phone.receive(&mut one.0, &two.1), UnprotectedResponse::Ignore);
    assert_eq!(copy.receive(&mut two.0, &one.1), UnprotectedResponse::Ignore);
    assert_eq!(phone.receive(&mut one.0, &one.1), UnprotectedResponse::Repeat);
    assert_eq!(copy.receive(&mut two.0, &two.1), UnprotectedResponse::Repeat);
    assert_eq!(world.ask(&mut phone, &mut server, "one"), 1);
    assert_eq!(world.ask(&mut copy, &mut server, "two"), 1);
}

#[test]
fn a_client_from_an_old_backup_needs_a_second_round_trip() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let backup = phone.context.epoch();
    let recorded = world.send(&mut phone, note("before the backup was restored"));
    world.serve(&mut server, &recorded.outer).unwrap();
    let mut server = world.server(&["phone"]);
    world.ask(&mut phone, &mut server, "moves on");
    let mut restored = world.client("phone", backup);
    assert_eq!(world.ask(&mut restored, &mut server, "restored"), 2);
    assert_eq!(world.ask(&mut phone, &mut server, "still there"), 1);
    assert!(!world.deliver(&mut server, &recorded.outer).is_carried_out());
}

#[test]
fn a_server_from_an_old_backup_is_a_server_that_restarted() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let recorded: Vec<_> = (0..10)
        .map(|number| {
            let sent = world.send(&mut phone, note(&number.to_string()));
            world.serve(&mut server, &sent.outer).unwrap();
            sent.outer
        })
        .collect();
    // A backup of a server holds credentials, and nothing that counts.
    for _ in 0..3 {
        let mut restored = world.server(&["phone"]);
        for outer in &recorded {
            world.deliver(&mut restored, outer).answer();
        }
        assert_eq!(world.ask(&mut phone, &mut restored, "goes on"), 2);
        for outer in &recorded {
            world.deliver(&mut restored, outer).answer();
        }
        // And the one that was backed up, should it still run beside.
        for outer in &recorded {
            assert!(world.deliver(&mut server, outer).is_nothing());
        }
    }
}

#[test]
fn reflected_and_swapped_messages_are_ignored() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut one = world.send(&mut phone, note("one"));
    let mut two = world.send(&mut phone, note("two"));
    let answer_one = world.serve(&mut server, &one.outer).unwrap();
    let answer_two = world.serve(&mut server, &two.outer).unwrap();
    assert_eq!(phone.receive(&mut one, &answer_two), UnprotectedResponse::Ignore);
    assert_eq!(phone.context.hint(), Some(Hint::Unverifiable));
    assert_eq!(phone.receive(&mut two, &answer_one), UnprotectedResponse::Ignore);

    // The client's own request, sent back to it.
    let reflected = phone.protection.unprotect_request(phone.now, peer(), one.outer.clone());
    assert_eq!(reflected, UnprotectedRequest::Ignore);
    let as_answer = Response {
        code: Code::CHANGED,
        options: one.outer.options.clone(),
        payload: one.outer.payload.clone(),
    };
    assert_eq!(phone.receive(&mut one, &as_answer), UnprotectedResponse::Ignore);

    // The server's answer, sent back to it with the ids of a request.
    for kid in [id("phone"), KeyId::from_slice(b"s").unwrap()] {
        for partial_iv in [0, 1, 2, 99] {
            let mut reflected = Request::new(Code::POST).payload(answer_one.payload.clone());
            let kid_context = option(&one.outer.options).kid_context;
            let option = OscoreOption { partial_iv: Some(partial_iv), kid: Some(kid), kid_context };
            reflected.options.set(OptionNumber::OSCORE, option.encode());
            assert!(world.deliver(&mut server, &reflected).is_nothing());
        }
    }
    assert!(matches!(phone.receive(&mut one, &answer_one), UnprotectedResponse::Response(_)));
    assert_eq!(phone.context.hint(), None);
    assert!(matches!(phone.receive(&mut two, &answer_two), UnprotectedResponse::Response(_)));
    assert_eq!(phone.receive(&mut two, &answer_two), UnprotectedResponse::Ignore, "once more");
}

#[test]
fn a_challenge_is_for_one_request_alone() {
    let (mut world, _, mut server) = phone_and_server();
    let mut phone = world.client("phone", None);
    let mut one = world.send(&mut phone, note("one"));
    let mut two = world.send(&mut phone, note("two"));
    let challenge_one = world.serve(&mut server, &one.outer).unwrap();
    let challenge_two = world.serve(&mut server, &two.outer).unwrap();
    assert_eq!(phone.receive(&mut two, &challenge_one), UnprotectedResponse::Ignore);
    // Another epoch than the one that it was made with, and other shapes of it.
    for epoch in [vec![7; 8], vec![], vec![7; 7], vec![7; 16]] {
        let mut forged = challenge_one.clone();
        let mut option = option(&forged.options);
        option.kid_context = Some(KidContext::new(epoch).unwrap());
        forged.options.set(OptionNumber::OSCORE, option.encode());
        assert_eq!(phone.receive(&mut one, &forged), UnprotectedResponse::Ignore);
    }
    assert_eq!(phone.context.epoch(), None, "nothing true came yet");
    assert_eq!(phone.receive(&mut two, &challenge_two), UnprotectedResponse::Repeat);
    assert_eq!(phone.receive(&mut one, &challenge_one), UnprotectedResponse::Repeat);
    assert_eq!(world.ask(&mut phone, &mut server, "one"), 1);
    assert_eq!(world.ask(&mut phone, &mut server, "two"), 1);
    assert_eq!(server.contexts.stats().contexts, 1, "one change of keys for both");
}

#[test]
fn no_flipped_bit_gets_through() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut stranger = world.client("phone", None);
    let mut unknown = world.send(&mut stranger, note("unknown"));
    let challenge = world.serve(&mut server, &unknown.outer).unwrap();
    for forged in flipped(&challenge.options, &challenge.payload) {
        let forged = Response { code: challenge.code, options: forged.0, payload: forged.1 };
        assert_eq!(stranger.receive(&mut unknown, &forged), UnprotectedResponse::Ignore);
    }
    let mut sent = world.send(&mut phone, note("text"));
    for is_open in [false, true] {
        let before = world.bodies.len();
        for (options, payload) in flipped(&sent.outer.options, &sent.outer.payload) {
            server.later(Duration::from_millis(5));
            let forged = Request { method: sent.outer.method, options, payload };
            assert!(world.deliver(&mut server, &forged).is_nothing(), "{forged:?}");
        }
        assert_eq!(world.bodies.len(), before);
        if !is_open {
            let answer = world.serve(&mut server, &sent.outer).unwrap();
            for (options, payload) in flipped(&answer.options, &answer.payload) {
                let forged = Response { code: answer.code, options, payload };
                assert_eq!(phone.receive(&mut sent, &forged), UnprotectedResponse::Ignore);
            }
            assert!(matches!(phone.receive(&mut sent, &answer), UnprotectedResponse::Response(_)));
        }
    }
}

/// Every version of a message with one bit of its OSCORE option or of its payload flipped.
fn flipped(options: &suibi_coap::Options, payload: &Bytes) -> Vec<(suibi_coap::Options, Bytes)> {
    let flip = |bytes: &Bytes, bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Bytes::from(bytes)
    };
    let value = options.get(OptionNumber::OSCORE).unwrap();
    let of_option = (0..value.len() * 8).map(|bit| {
        let mut options = options.clone();
        options.set(OptionNumber::OSCORE, flip(value, bit));
        (options, payload.clone())
    });
    let of_payload = (0..payload.len() * 8).map(|bit| (options.clone(), flip(payload, bit)));
    of_option.chain(of_payload).collect()
}

#[test]
fn unprotected_errors_end_nothing() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut sent = world.send(&mut phone, note("text"));
    for code in [Code::UNAUTHORIZED, Code::BAD_REQUEST, Code::BAD_OPTION, Code::CONTENT] {
        let forged = Response::diagnostic(code, "Security context not found");
        assert_eq!(phone.receive(&mut sent, &forged), UnprotectedResponse::Ignore);
        assert_eq!(phone.context.hint(), Some(Hint::Unprotected(code)));
    }
    let answer = world.serve(&mut server, &sent.outer).unwrap();
    assert!(matches!(phone.receive(&mut sent, &answer), UnprotectedResponse::Response(_)));
    assert_eq!(phone.context.hint(), None);
}

#[test]
fn strangers_hear_nothing_and_the_unprotected_a_bare_error() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut unknown = world.client("nobody", server.contexts.epoch(PHONE));
    let sent = world.send(&mut unknown, note("who am I"));
    assert!(world.deliver(&mut server, &sent.outer).is_nothing());
    let bare = world.deliver(&mut server, &note("plain")).answer();
    assert_eq!(bare, Response::new(Code::UNAUTHORIZED));

    // A true request, with ids that lead elsewhere or are of another length.
    let sent = world.send(&mut phone, note("text"));
    let right = option(&sent.outer.options);
    for kid_context in [None, Some(vec![]), Some(vec![1; 8]), Some(vec![1; 15]), Some(vec![1; 24])]
    {
        let kid_context = kid_context.map(|bytes| KidContext::new(bytes).unwrap());
        let mut forged = sent.outer.clone();
        let option = OscoreOption { kid_context, ..right.clone() };
        forged.options.set(OptionNumber::OSCORE, option.encode());
        assert!(world.deliver(&mut server, &forged).is_nothing());
    }
    for option in [
        OscoreOption { partial_iv: None, ..right.clone() },
        OscoreOption { kid: None, ..right },
        OscoreOption::default(),
    ] {
        let mut forged = sent.outer.clone();
        forged.options.set(OptionNumber::OSCORE, option.encode());
        assert!(world.deliver(&mut server, &forged).is_nothing());
    }
    let stats = server.contexts.stats();
    assert_eq!((stats.unknown, stats.unprotected, stats.refused), (1, 1, 8));
    assert_eq!((stats.verified, stats.contexts), (0, 0));
}

#[test]
fn forgeries_are_tried_so_often_and_no_more_and_the_living_go_on() {
    let (mut world, mut phone, mut server) = phone_and_server();
    world.ask(&mut phone, &mut server, "alive");
    let mut forger = world.client("phone", server.contexts.epoch(PHONE));
    for _ in 0..2_000 {
        let mut forged = world.send(&mut forger, note("text")).outer;
        forged.payload = Bytes::from_static(&[0; 20]);
        assert!(world.deliver(&mut server, &forged).is_nothing());
    }
    let stats = server.contexts.stats();
    assert_eq!((stats.refused, stats.limited), (999, 1_001), "one was the phone's");
    assert_eq!(world.ask(&mut phone, &mut server, "still alive"), 1);
    server.later(Duration::from_millis(100));
    let mut next = world.client("phone", server.contexts.epoch(PHONE));
    assert_eq!(world.ask(&mut next, &mut server, "new"), 1);
}

#[test]
fn a_removed_credential_is_dead_at_once() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let sent = world.send(&mut phone, note("in the works"));
    let Did::CarriedOut(mut binding) = world.deliver(&mut server, &sent.outer) else {
        panic!("a true request");
    };
    let recorded = world.send(&mut phone, note("recorded before, sent after"));
    server.contexts.remove(PHONE);
    assert_eq!(server.contexts.epoch(PHONE), None);
    let done = Response::new(Code::CHANGED);
    for observe in [None, Some(1)] {
        let answer = world.answer(&mut server, &sent.outer, &mut binding, done.clone(), observe);
        assert_eq!(answer, None);
    }
    assert!(world.deliver(&mut server, &recorded.outer).is_nothing());
    assert_eq!(server.contexts.stats().contexts, 0);

    // Taken in anew, with the same id and secret: another life.
    server.contexts.add_paired(PHONE, id("phone"), secret("phone"));
    world.deliver(&mut server, &recorded.outer).answer();
    assert_eq!(world.ask(&mut phone, &mut server, "welcome back"), 2);
    assert_eq!(
        world.answer(&mut server, &sent.outer, &mut binding, done, None),
        None,
        "the slot has a new owner, the binding has not"
    );
}

#[test]
fn the_servers_own_id_is_no_credential() {
    let contexts = ServerContexts::new([1; 32]);
    contexts.add_paired(PHONE, suibi_oscore::SERVER_ID, secret("phone"));
    assert_eq!(contexts.epoch(PHONE), None);
}

#[test]
fn several_requests_under_way_change_keys_once() {
    let (mut world, mut phone, mut server) = phone_and_server();
    world.ask(&mut phone, &mut server, "before");
    let mut early = world.send(&mut phone, note("early"));
    let early_answer = world.serve(&mut server, &early.outer).unwrap();
    let mut server = world.server(&["phone"]);
    let mut under_way: Vec<_> =
        (0..5).map(|n| world.send(&mut phone, note(&format!("note {n}")))).collect();
    let answers: Vec<_> =
        under_way.iter().map(|sent| world.serve(&mut server, &sent.outer).unwrap()).collect();
    for (sent, answer) in under_way.iter_mut().zip(&answers).rev() {
        assert_eq!(phone.receive(sent, answer), UnprotectedResponse::Repeat);
    }
    for n in 0..5 {
        assert_eq!(world.ask(&mut phone, &mut server, &format!("note {n}")), 1);
    }
    // The answer of the server's earlier life was on its way for long.
    assert!(matches!(phone.receive(&mut early, &early_answer), UnprotectedResponse::Response(_)));
    assert_eq!(server.contexts.stats().contexts, 1);
}

#[test]
fn a_challenge_of_long_ago_brings_no_old_keys_back() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let mut sent = world.send(&mut phone, note("text"));
    let mut first = world.server(&["phone"]);
    let old = world.serve(&mut first, &sent.outer).unwrap();
    let mut second = world.server(&["phone"]);
    let new = world.serve(&mut second, &sent.outer).unwrap();
    assert_eq!(phone.receive(&mut sent, &new), UnprotectedResponse::Repeat);
    let epoch = phone.context.epoch();
    assert_eq!(phone.receive(&mut sent, &old), UnprotectedResponse::Repeat);
    assert_eq!(phone.context.epoch(), epoch, "keys have changed since that request");
    assert_eq!(world.ask(&mut phone, &mut second, "text"), 1);
    // The one in which it was never sent knows nothing of all that.
    assert!(world.serve(&mut server, &sent.outer).is_some());
}

#[test]
fn notifications_rise_and_the_request_nonce_serves_once_however_the_binding_is_copied() {
    let (mut world, mut phone, mut server) = phone_and_server();
    let watch = Request::new(Code::GET).path("/state").observe(true);
    let mut sent = world.send(&mut phone, watch);
    let Did::CarriedOut(binding) = world.deliver(&mut server, &sent.outer) else {
        panic!("a true request");
    };
    let state = |n: u32| Response::new(Code::CONTENT).payload(n.to_string());
    let protected: Vec<_> = (0..6)
        .map(|n| {
            let mut copy = binding;
            world.answer(&mut server, &sent.outer, &mut copy, state(n), Some(n)).unwrap()
        })
        .collect();
    let numbers: Vec<_> =
        protected.iter().map(|response| option(&response.options).partial_iv).collect();
    assert_eq!(numbers, (0..6).map(Some).collect::<Vec<_>>());
    for (n, is_news) in [(0, true), (2, true), (1, false), (2, false), (4, true), (3, false)] {
        let came = phone.receive(&mut sent, &protected[n]);
        assert_eq!(matches!(came, UnprotectedResponse::Response(_)), is_news, "{n}: {came:?}");
    }
    // The answer that ends it, and another one after that: no nonce of the request's any more.
    for _ in 0..2 {
        let mut copy = binding;
        let gone = Response::new(Code::NOT_FOUND);
        let end = world.answer(&mut server, &sent.outer, &mut copy, gone, None).unwrap();
        assert!(option(&end.options).partial_iv.is_some());
        assert!(matches!(phone.receive(&mut sent, &end), UnprotectedResponse::Response(_)));
    }

    // The same with plain answers: the first has no number, all others have.
    let mut sent = world.send(&mut phone, note("twice"));
    let Did::CarriedOut(binding) = world.deliver(&mut server, &sent.outer) else {
        panic!("a true request");
    };
    let [mut one, mut two] = [binding; 2];
    let first = world.answer(&mut server, &sent.outer, &mut one, state(1), None).unwrap();
    let second = world.answer(&mut server, &sent.outer, &mut two, state(2), None).unwrap();
    assert_eq!(option(&first.options).partial_iv, None);
    assert!(option(&second.options).partial_iv.is_some());
    assert!(matches!(phone.receive(&mut sent, &second), UnprotectedResponse::Response(_)));
    assert_eq!(phone.receive(&mut sent, &first), UnprotectedResponse::Ignore);
}

#[test]
fn an_answer_to_an_evicted_context_does_not_go() {
    let mut world = World::default();
    let limits = ContextLimits { contexts_each: 1, ..ContextLimits::default() };
    let mut server = world.server_with(&["phone"], limits);
    let epoch = server.contexts.epoch(PHONE);
    let [mut one, mut two] = [epoch; 2].map(|epoch| world.client("phone", epoch));
    let sent = world.send(&mut one, note("one"));
    let Did::CarriedOut(mut binding) = world.deliver(&mut server, &sent.outer) else {
        panic!("a true request");
    };
    world.ask(&mut two, &mut server, "two");
    let done = Response::new(Code::CHANGED);
    assert_eq!(world.answer(&mut server, &sent.outer, &mut binding, done, None), None);
    // They take turns, and it is slow, but nothing breaks.
    for turn in 0..10 {
        assert_eq!(world.ask(&mut one, &mut server, &format!("one {turn}")), 2);
        assert_eq!(world.ask(&mut two, &mut server, &format!("two {turn}")), 2);
    }
}
