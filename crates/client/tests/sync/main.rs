//! The sync against a server in memory: what is asked, in which order, and that nothing gets lost on the way.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod model;

use model::{Dice, Replica, Server, contents, next_entry};
use suibi_client::{Report, Step, Sync, SyncError};
use suibi_coap::{Code, Response};
use suibi_journal::{Cursor, FeedPage, Hash, Receipt, Refusal, encode_answers};

fn sync(replica: &mut Replica, server: &mut Server) -> Report {
    let run = replica.push_and_pull();
    replica.run(run, |request| Some(server.answer(request))).unwrap()
}

fn compare(replica: &mut Replica, server: &mut Server) -> Report {
    let run = replica.push_and_pull().comparing();
    replica.run(run, |request| Some(server.answer(request))).unwrap()
}

fn push(replica: &mut Replica, server: &mut Server) -> Report {
    let run = replica.push();
    replica.run(run, |request| Some(server.answer(request))).unwrap()
}

#[test]
fn one_note_is_one_request() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    phone.add("tea");
    let report = push(&mut phone, &mut server);
    assert_eq!(server.asked, ["POST feed"]);
    assert_eq!(report.receipts.len(), 1);
    assert_eq!(report.receipts[0].position, 1);
    assert!(phone.outbox.is_empty());
    assert_eq!(server.names[&phone.own], "phone");
}

#[test]
fn rights_say_what_is_asked() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    phone.add("tea");
    push(&mut phone, &mut server);
    let mut device = Replica::new("device", 2);
    device.add("of this device");
    let within = |rights: &str, replica: &mut Replica, server: &mut Server| {
        server.asked.clear();
        let run = Sync::within(rights.parse().unwrap(), "device", Some(replica.own)).comparing();
        replica.run(run, |request| Some(server.answer(request))).unwrap();
        server.asked.clone()
    };
    // Who may only read gives nothing, not even what the server lacks.
    let asked = within("read", &mut device, &mut server);
    assert!(asked.iter().all(|asked| asked.starts_with("GET")), "{asked:?}");
    assert_eq!((device.outbox.len(), server.feed.len()), (1, 1));
    // Who may only add asks nothing.
    assert_eq!(within("write", &mut device, &mut server), ["POST feed"]);
    assert_eq!((device.outbox.len(), server.feed.len()), (0, 2));
    assert!(within("write", &mut device, &mut server).is_empty());
}

#[test]
fn an_empty_outbox_asks_nothing() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    assert_eq!(push(&mut phone, &mut server), Report::default());
    assert!(server.asked.is_empty());
}

#[test]
fn a_first_request_fits_a_datagram_and_a_backlog_grows_the_batches() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    (0..600).for_each(|i| phone.add(&format!("note {i}")));
    let run = phone.push();
    let mut lengths = Vec::new();
    phone
        .run(run, |request| {
            lengths.push(request.payload.len());
            Some(server.answer(request))
        })
        .unwrap();
    assert!(lengths[0] <= 1_024, "{lengths:?}");
    assert!(lengths.len() < 10 && lengths.iter().all(|&len| len < 70_000), "{lengths:?}");
    assert_eq!(server.feed.len(), 600);
}

#[test]
fn notes_of_others_come_with_their_devices_names() {
    let (mut phone, mut laptop) = (Replica::new("phone", 1), Replica::new("laptop", 2));
    let mut server = Server::default();
    (0..50).for_each(|i| phone.add(&format!("note {i}")));
    sync(&mut phone, &mut server);
    let report = sync(&mut laptop, &mut server);
    assert_eq!((report.pulled, report.remaining), (50, 0));
    assert_eq!(laptop.contents(), phone.contents());
    assert_eq!(laptop.names[&phone.own], "phone");

    server.asked.clear();
    phone.add("one more");
    sync(&mut phone, &mut server);
    server.asked.clear();
    sync(&mut laptop, &mut server);
    assert_eq!(server.asked, ["GET feed"], "a name that is known is not asked for");
}

#[test]
fn a_lost_answer_is_asked_for_again_and_kept_once() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    phone.add("tea");
    let run = phone.push();
    let report = phone
        .run(run, |request| {
            server.answer(request);
            None
        })
        .unwrap();
    assert_eq!((report.receipts.len(), phone.outbox.len()), (0, 1));
    assert_eq!(push(&mut phone, &mut server).receipts[0].position, 1);
    assert_eq!(server.feed.len(), 1);
}

#[test]
fn a_restored_server_gets_back_what_any_device_has() {
    let (mut phone, mut laptop) = (Replica::new("phone", 1), Replica::new("laptop", 2));
    let mut server = Server::default();
    phone.add("one");
    sync(&mut phone, &mut server);
    let backup = server.clone();
    phone.add("two");
    phone.add("three");
    sync(&mut phone, &mut server);
    laptop.add("four");
    sync(&mut laptop, &mut server);
    let everything = contents(&server.feed);

    // The phone never comes back; the laptop has it all.
    let mut server = backup;
    sync(&mut laptop, &mut server);
    assert_eq!(contents(&server.feed), everything);
    assert_eq!(laptop.contents(), everything);
    assert_eq!(server.names[&phone.own], "phone");
    assert_eq!(server.names[&laptop.own], "laptop");
}

#[test]
fn a_server_that_lost_everything_is_filled_again_under_the_right_names() {
    let (mut phone, mut laptop) = (Replica::new("phone", 1), Replica::new("laptop", 2));
    let mut server = Server::default();
    (0..30).for_each(|i| phone.add(&format!("note {i}")));
    sync(&mut phone, &mut server);
    laptop.add("mine");
    sync(&mut laptop, &mut server);
    let everything = contents(&server.feed);

    let mut server = Server::default();
    let report = sync(&mut laptop, &mut server);
    assert_eq!(report.receipts.len(), 31);
    assert_eq!(contents(&server.feed), everything);
    assert_eq!(server.names[&phone.own], "phone");
}

#[test]
fn what_a_restored_server_lost_behind_our_cursor_is_found_by_comparing() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    let backup = server.clone();
    phone.add("one");
    push(&mut phone, &mut server);

    // The phone never pulled, so its cursor fits the restored server as well.
    let mut server = backup;
    assert_eq!(sync(&mut phone, &mut server), Report::default());
    let report = compare(&mut phone, &mut server);
    assert_eq!(report.receipts.len(), 1);
    assert_eq!(contents(&server.feed), phone.contents());
    server.asked.clear();
    compare(&mut phone, &mut server);
    assert_eq!(server.asked, ["GET feed", "GET heads"]);
}

#[test]
fn a_gap_is_mended_by_the_push_alone() {
    let (mut phone, mut server) = (Replica::new("phone", 1), Server::default());
    phone.add("one");
    push(&mut phone, &mut server);
    let backup = server.clone();
    phone.add("two");
    push(&mut phone, &mut server);
    phone.add("three");
    let mut server = backup;
    let report = push(&mut phone, &mut server);
    assert_eq!(report.receipts.len(), 2);
    assert_eq!(server.feed.len(), 3);
    assert!(report.refused.is_empty());
}

#[test]
fn a_gap_that_stays_ends_the_push() {
    let mut phone = Replica::new("phone", 1);
    phone.add("one");
    phone.add("two");
    let run = phone.push();
    let mut asked = 0;
    let report = phone
        .run(run, |request| {
            asked += 1;
            assert!(asked < 10, "for ever");
            let count = suibi_journal::decode_batch(&request.payload).unwrap().len();
            let gap = Refusal::Gap { have_seq: 0, have_hash: None };
            let answers: Vec<Result<Receipt, Refusal>> = vec![Err(gap); count];
            Some(Response::new(Code::CHANGED).payload(encode_answers(&answers)))
        })
        .unwrap();
    assert_eq!(report.refused.len(), 1);
    assert_eq!(phone.outbox.len(), 2);
}

#[test]
fn a_fork_stays_in_the_outbox_and_the_rest_is_pulled() {
    let (mut phone, mut laptop) = (Replica::new("phone", 1), Replica::new("laptop", 2));
    let mut server = Server::default();
    laptop.add("elsewhere");
    sync(&mut laptop, &mut server);
    let mut clone = phone.clone();
    phone.add("one");
    sync(&mut phone, &mut server);
    clone.add("another one");
    clone.add("and its successor");
    let report = sync(&mut clone, &mut server);
    assert!(matches!(report.refused[..], [ref one] if one.seq == 1
        && matches!(one.refusal, Refusal::Fork { have_seq: 1, .. })));
    assert_eq!(clone.outbox.len(), 2);
    assert_eq!(report.pulled, 2);
    assert_eq!(server.feed.len(), 2);
}

#[test]
fn what_is_refused_keeps_no_other_chain_back() {
    let mut phone = Replica::new("phone", 2);
    let mut server = Server::default();
    let mut clone = phone.clone();
    phone.add("one");
    sync(&mut phone, &mut server);
    clone.add("another one");
    clone.add(&"x".repeat(3_000));
    // Before and behind the refused chain: what a restored server lost of other devices.
    for (device, chain) in [("tablet", 1), ("laptop", 3)] {
        let mut other = Replica::new(device, chain);
        other.add(&format!("from the {device}"));
        clone.names.insert(other.own, device.to_owned());
        clone.outbox.append(&mut other.outbox);
        clone.entries.append(&mut other.entries);
    }
    let run = clone.push();
    let report = clone.run(run, |request| Some(server.answer(request))).unwrap();
    assert!(matches!(report.refused[..], [ref one] if one.chain == clone.own && one.seq == 1));
    assert_eq!(report.receipts.len(), 2);
    assert_eq!(clone.outbox, [(clone.own, 1), (clone.own, 2)].into());
    assert_eq!(server.feed.len(), 3);
}

#[test]
fn a_note_too_long_is_reported() {
    let mut phone = Replica::new("phone", 1);
    phone.add("long");
    let run = phone.push();
    let report = phone
        .run(run, |_| {
            let answers = [Err(Refusal::TooLarge)];
            Some(Response::new(Code::CHANGED).payload(encode_answers(&answers)))
        })
        .unwrap();
    assert_eq!(report.refused[0].refusal, Refusal::TooLarge);
    assert_eq!(phone.outbox.len(), 1);
}

#[test]
fn a_receipt_for_something_else_is_none() {
    let mut phone = Replica::new("phone", 1);
    phone.add("tea");
    let run = phone.push();
    let own = phone.own;
    let outcome = phone.run(run, |_| {
        let other = Receipt { chain: own, seq: 1, position: 1, hash: Hash::of(b"another") };
        Some(Response::new(Code::CHANGED).payload(encode_answers(&[Ok(other)])))
    });
    assert!(matches!(outcome, Err(SyncError::Nonsense(_))), "{outcome:?}");
    assert_eq!(phone.outbox.len(), 1);
}

#[test]
fn a_busy_server_is_tried_again_later_and_a_refusing_one_is_not() {
    for (code, is_permanent) in [
        (Code::SERVICE_UNAVAILABLE, false),
        (Code::INTERNAL_SERVER_ERROR, false),
        (Code::FORBIDDEN, true),
        (Code::NOT_FOUND, true),
    ] {
        let mut phone = Replica::new("phone", 1);
        phone.add("tea");
        let run = phone.push();
        let error = phone.run(run, |_| Some(Response::diagnostic(code, "why"))).unwrap_err();
        assert_eq!(error.is_permanent(), is_permanent, "{error}");
        assert!(error.to_string().contains("why"), "{error}");
    }
}

#[test]
fn a_page_that_does_not_add_up_is_not_kept() {
    let entry = next_entry(&[], model::chain_id(9), "forged");
    let good = Cursor::START.next(1, entry.hash());
    let wrong = Cursor { position: 1, running: Hash::ZERO };
    for (next, remaining) in [(wrong, 0), (good, 0)] {
        let mut phone = Replica::new("phone", 1);
        let run = phone.push_and_pull();
        let page = FeedPage { entries: vec![(1, entry.clone())], next, remaining };
        let mut server = Server::default();
        let outcome = phone.run(run, |request| {
            Some(match request.path_segments().join("/").as_str() {
                "feed" => Response::new(Code::CONTENT).payload(page.encode()),
                _ => server.answer(request),
            })
        });
        assert_eq!(outcome.is_ok(), next == good);
        assert_eq!(phone.entries.len(), usize::from(next == good));
    }
}

#[test]
fn a_server_whose_cursors_never_fit_is_not_asked_for_ever() {
    let mut phone = Replica::new("phone", 1);
    let mut server = Server::default();
    let run = phone.push_and_pull();
    let mut asked = 0;
    let outcome = phone.run(run, |request| {
        asked += 1;
        assert!(asked < 10, "for ever");
        Some(match request.path_segments().join("/").as_str() {
            "feed" => Response::new(Code::CONFLICT),
            _ => server.answer(request),
        })
    });
    assert!(matches!(outcome, Err(SyncError::Refused { code: Code::CONFLICT, .. })), "{outcome:?}");
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut phone = Replica::new("phone", 1);
    phone.add("tea");
    let mut run = phone.push();
    let before = format!("{run:?}");
    run.handle_reply(&Response::new(Code::CHANGED)).unwrap();
    run.handle_cursor(Cursor::START);
    run.handle_chains(&[]);
    assert_eq!(format!("{run:?}"), before);
    assert!(matches!(run.poll_step(), Some(Step::ReadOutbox { .. })));
}

/// Three devices write and sync over a path that loses requests and answers, the server is put back to a backup now
/// and then, and in the end everybody has the same, each change once.
#[test]
fn whatever_gets_lost_on_the_way_everything_arrives_once() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut server = Server::default();
        let mut backup = server.clone();
        let mut devices =
            [Replica::new("phone", 1), Replica::new("laptop", 2), Replica::new("tablet", 3)];
        for turn in 0..60 {
            let at = dice.throw(3) as usize;
            let device = &mut devices[at];
            match dice.throw(8) {
                0..3 => device.add(&format!("note {turn}")),
                3 if dice.throw(4) == 0 => backup = server.clone(),
                4 if dice.throw(6) == 0 => server = backup.clone(),
                what => {
                    let run = if what == 5 { device.push() } else { device.push_and_pull() };
                    device
                        .run(run, |request| {
                            let is_lost = dice.throw(10) < 3;
                            let answer = (!is_lost).then(|| server.answer(request))?;
                            let is_doubled = dice.throw(10) < 2;
                            if is_doubled {
                                server.answer(request);
                            }
                            (dice.throw(10) >= 3).then_some(answer)
                        })
                        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
            }
        }
        // Twice around: the first brings everything up, the second everything down.
        for device in [0, 1, 2, 0, 1, 2] {
            compare(&mut devices[device], &mut server);
        }
        let everything = contents(&server.feed);
        for device in &devices {
            assert_eq!(device.contents(), everything, "seed {seed}, {}", device.device);
            assert!(device.outbox.is_empty(), "seed {seed}");
            let name = server.names.get(&device.own);
            assert!(name.is_none_or(|name| *name == device.device), "seed {seed}: {name:?}");
        }
    }
}
