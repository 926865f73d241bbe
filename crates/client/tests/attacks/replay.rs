//! Datagrams that were recorded, or held back, and come again.

use suibi_client::{Admin, ClientError};
use suibi_coap::{Code, Request};
use suibi_journal::admission::InviteRequest;
use suibi_net::relay::Direction;
use suibi_oscore::ClientContext;

use crate::recorder::protected;
use crate::scene::{Scene, add, deliver, everything, seed};
use crate::support::PATIENCE;

/// What anybody gets to see of a challenge: protected, without a word, with the server's half of a new ID Context.
#[track_caller]
fn is_challenge(answer: &[u8]) {
    let (message, option) = protected(answer).expect("nothing is answered without protection");
    assert_eq!(message.code, Code::CHANGED);
    assert!(option.kid_context.is_some() && option.partial_iv.is_some(), "{option:?}");
}

#[test]
fn whatever_is_recorded_and_sent_again_is_not_carried_out_again() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    scene.join("tablet", "read,write,admin");
    let mut phone = scene.process("phone");
    deliver(&mut phone, "one");
    // The owner's commands from afar, with their Echo.
    let mut admin = Admin::open(&scene.world.dir("tablet"), "tablet", PATIENCE).unwrap();
    let rights = "read,write".parse().unwrap();
    let invite = InviteRequest { journal: None, rights, lasts: None, name: None };
    admin.invite(&invite).unwrap();
    let recorded = scene.take_requests();
    assert!(recorded.len() >= 8, "two joins, a note, an invite: {}", recorded.len());

    let before = scene.facts();
    assert_eq!((before.devices, before.invites), (2, 3));
    // At once, from elsewhere. The three processes that had not met the server were challenged, and so is who repeats
    // what they asked; everything else gets silence.
    let answers = scene.stranger().send(&recorded);
    assert_eq!(answers.len(), 3);
    answers.iter().for_each(|answer| is_challenge(answer));
    assert_eq!(scene.facts(), before);

    // After the replay window of each context has moved beyond it.
    for _ in 0..1_100 {
        let request = Request::new(Code::GET).path("/status");
        assert_eq!(phone.ask(&request, PATIENCE).unwrap().code, Code::CONTENT);
    }
    let answers = scene.stranger().send(&recorded);
    assert_eq!(answers.len(), 3);
    answers.iter().for_each(|answer| is_challenge(answer));
    assert_eq!(scene.facts(), before);

    // After a restart the server knows none of the contexts.
    scene.restart();
    let stranger = scene.stranger();
    for _ in 0..3 {
        let answers = stranger.send(&recorded);
        assert!(!answers.is_empty() && answers.len() <= recorded.len());
        answers.iter().for_each(|answer| is_challenge(answer));
        assert_eq!(scene.facts(), before);
    }
    deliver(&mut phone, "two");
    assert_eq!(scene.notes(), ["one", "two"]);
}

#[test]
fn every_datagram_doubled_on_the_way_is_one() {
    let mut scene = Scene::new();
    scene
        .hands(|direction, _, datagram| vec![(direction, datagram.clone()), (direction, datagram)]);
    scene.join("phone", "read,write");
    let mut phone = scene.process("phone");
    for n in 0..20 {
        deliver(&mut phone, &format!("note {n:02}"));
    }
    let facts = scene.facts();
    assert_eq!((facts.notes.len(), facts.devices), (20, 1));
    assert_eq!(facts.notes, (0..20).map(|n| format!("note {n:02}")).collect::<Vec<_>>());
}

#[test]
fn a_request_held_back_for_long_is_kept_once_and_not_again_after_a_restart() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    let mut phone = scene.process("phone");
    deliver(&mut phone, "one");
    scene.take();
    scene.hands(|_, _, _| vec![]);
    let added = add(&mut phone, "two");
    assert_eq!((added.receipt, added.waiting), (None, 1));
    let held = scene.take_requests();
    assert!(!held.is_empty());

    // He lets the first one through, from where he is; the phone sends its change under a new number.
    let answers = scene.stranger().send(&held[..1]);
    assert_eq!(answers.len(), 1, "it was new, and is carried out");
    assert_eq!(scene.notes(), ["one", "two"]);
    scene.honest();
    everything(&mut phone);
    assert_eq!(scene.notes(), ["one", "two"]);

    scene.hands(|_, _, _| vec![]);
    assert_eq!(add(&mut phone, "three").receipt, None);
    let held = scene.take_requests();
    scene.restart();
    for answer in scene.stranger().send(&held) {
        is_challenge(&answer);
    }
    assert_eq!(scene.notes(), ["one", "two"]);
    scene.honest();
    everything(&mut phone);
    assert_eq!(scene.notes(), ["one", "three", "two"]);
}

#[test]
fn a_first_request_is_never_carried_out_again_alive_evicted_or_after_a_restart() {
    let mut scene = Scene::new();
    let phone = scene.join("phone", "read,write");
    scene.take();
    let mut process = scene.process("phone");
    deliver(&mut process, "first");
    let first = &scene.take_requests()[..1];
    let before = scene.facts();

    // With its context alive.
    let stranger = scene.stranger();
    assert_eq!(stranger.send(first), Vec::<Vec<u8>>::new());

    // Evicted by more processes of the same device than the server keeps contexts of one (256).
    let mut epoch = None;
    for _ in 0..260 {
        let context = ClientContext::new(phone.id, phone.secret.clone(), epoch, seed());
        let mut remote = scene.bare_process(&phone, &context);
        let request = Request::new(Code::GET).path("/status");
        assert_eq!(remote.call(&request, PATIENCE).unwrap().code, Code::CONTENT);
        epoch = context.epoch();
    }
    for _ in 0..3 {
        let answers = stranger.send(first);
        assert_eq!(answers.len(), 1);
        is_challenge(&answers[0]);
    }
    assert_eq!(scene.facts(), before);
    // Its owner goes on, and so he could after each of the others.
    deliver(&mut process, "second");

    // Twice restarted, so that the half it names is long gone.
    for _ in 0..2 {
        scene.restart();
        let stranger = scene.stranger();
        for _ in 0..3 {
            let answers = stranger.send(first);
            assert_eq!(answers.len(), 1);
            is_challenge(&answers[0]);
        }
    }
    deliver(&mut process, "third");
    assert_eq!(scene.notes(), ["first", "second", "third"]);
}

#[test]
fn a_request_recorded_before_a_revocation_is_refused_after_it() {
    let mut scene = Scene::new();
    let membership = scene.join("phone", "read,write");
    let mut phone = scene.process("phone");
    scene.take();
    deliver(&mut phone, "before");
    let delivered = scene.take_requests();
    scene.hands(|_, _, _| vec![]);
    assert_eq!(add(&mut phone, "held back").receipt, None);
    let held = scene.take_requests();
    scene.honest();
    scene.world.admin("server").revoke(&membership.id.to_string()).unwrap();

    let stranger = scene.stranger();
    assert_eq!(stranger.send(&delivered), Vec::<Vec<u8>>::new());
    // It is true and new, and tells nobody but the phone that it is revoked.
    let answers = stranger.send(&held[..1]);
    assert_eq!(answers.len(), 1);
    assert!(protected(&answers[0]).is_some());
    assert_eq!(scene.notes(), ["before"]);
    let error = phone.sync(PATIENCE, |_| {}).unwrap_err();
    assert!(matches!(error, ClientError::Revoked { .. }), "{error}");

    // And so after a restart, and for a process that begins only then.
    scene.restart();
    let stranger = scene.stranger();
    for answer in stranger.send(&[delivered, held].concat()) {
        assert!(protected(&answer).is_some());
    }
    assert_eq!(scene.notes(), ["before"]);
    let error = scene.process("phone").sync(PATIENCE, |_| {}).unwrap_err();
    assert!(matches!(error, ClientError::Revoked { .. }), "{error}");
}

#[test]
fn who_observes_hears_nothing_after_his_revocation() {
    let mut scene = Scene::new();
    let membership = scene.join("phone", "read,write");
    scene.join("laptop", "read,write");
    let context = ClientContext::new(membership.id, membership.secret.clone(), None, seed());
    let mut remote = scene.bare_process(&membership, &context);
    let observe = Request::new(Code::GET).path("/feed");
    remote.observe(observe).unwrap();
    assert!(remote.wait(std::time::Instant::now() + PATIENCE).unwrap().is_some());
    scene.world.admin("server").revoke(&membership.id.to_string()).unwrap();
    let soon = || std::time::Instant::now() + std::time::Duration::from_millis(300);
    // That it is over is all that may still come.
    while remote.wait(soon()).unwrap().is_some() {}
    scene.take();
    let mut laptop = scene.process("laptop");
    deliver(&mut laptop, "not for the phone");
    let heard = remote.wait(soon()).unwrap();
    assert!(heard.is_none(), "{heard:?}");
    let ups = scene.take().iter().filter(|one| one.direction == Direction::Up).count();
    assert!(ups > 0 && scene.notes() == ["not for the phone"]);
}
