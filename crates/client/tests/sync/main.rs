//! The sync against a server in memory: what is asked, in which order, and that nothing gets lost on the way.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod model;

use model::{Dice, Replica, Server, contents, new_server, next_entry, texts};
use suibi_client::{AskId, Report, Step, Sync, SyncError};
use suibi_coap::{Code, Request, Response};
use suibi_journal::{
    Cursor, Entry, FeedPage, Hash, Receipt, Refusal, Rights, coding, encode_answers,
};

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
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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
    // Who may only add asks nothing, and looks whether its last change is still there.
    assert_eq!(within("write", &mut device, &mut server), ["POST feed"]);
    assert_eq!((device.outbox.len(), server.feed.len()), (0, 2));
    assert_eq!(within("write", &mut device, &mut server), ["POST feed"]);
    assert_eq!((device.outbox.len(), server.feed.len()), (0, 2));
}

#[test]
fn a_restored_server_gets_back_what_a_drop_has() {
    let (mut drop, mut server) = (Replica::new("drop", 1), new_server());
    let backup = server.clone();
    (1..5).for_each(|number| drop.add(&format!("note {number}")));
    let within = |replica: &mut Replica, server: &mut Server| {
        let run = Sync::within("write".parse().unwrap(), "drop", Some(replica.own)).comparing();
        replica.run(run, |request| Some(server.answer(request))).unwrap()
    };
    within(&mut drop, &mut server);
    assert_eq!(server.feed.len(), 4);

    let mut server = backup;
    let report = within(&mut drop, &mut server);
    assert_eq!((server.feed.len(), drop.outbox.len()), (4, 0));
    assert!(report.recovered > 0, "{report:?}");
    assert!(report.refused.is_empty());
    assert_eq!(within(&mut drop, &mut server).recovered, 0, "nothing was lacking");
}

#[test]
fn an_empty_outbox_asks_nothing() {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
    assert_eq!(push(&mut phone, &mut server), Report::default());
    assert!(server.asked.is_empty());
}

#[test]
fn a_first_request_fits_a_datagram_and_a_backlog_grows_the_batches() {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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
    let mut server = new_server();
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
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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
    let mut server = new_server();
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
    let mut server = new_server();
    (0..30).for_each(|i| phone.add(&format!("note {i}")));
    sync(&mut phone, &mut server);
    laptop.add("mine");
    sync(&mut laptop, &mut server);
    let everything = contents(&server.feed);

    let mut server = new_server();
    let report = sync(&mut laptop, &mut server);
    assert_eq!(report.receipts.len(), 31);
    assert_eq!(contents(&server.feed), everything);
    assert_eq!(server.names[&phone.own], "phone");
}

#[test]
fn what_a_restored_server_lost_behind_our_cursor_is_found_by_comparing() {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
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

/// One phone, and a copy of its replica; both go on writing.
fn phone_and_clone() -> (Replica, Replica, Server) {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
    phone.add("before");
    sync(&mut phone, &mut server);
    let mut clone = phone.clone();
    clone.dice = 100;
    phone.add("one");
    sync(&mut phone, &mut server);
    clone.add("another one");
    clone.add("and its successor");
    (phone, clone, server)
}

#[test]
fn a_fork_is_rescued_in_one_run() {
    let (mut phone, mut clone, mut server) = phone_and_clone();
    let old = clone.own;
    let report = sync(&mut clone, &mut server);
    assert_eq!((report.refused.len(), report.rescued, report.recovered), (0, 2, 0));
    assert_eq!(report.receipts.len(), 2);
    assert!(clone.outbox.is_empty() && clone.own != old);
    let everything = ["and its successor", "another one", "before", "one"];
    assert_eq!(texts(&server.feed), everything);
    sync(&mut phone, &mut server);
    assert_eq!(texts(&phone.entries), everything);
    assert_eq!(phone.contents(), clone.contents());
    assert!(server.names.values().all(|name| name == "phone"), "{:?}", server.names);
    // Both write on without another fork.
    phone.add("two");
    clone.add("three");
    for device in [&mut phone, &mut clone] {
        assert_eq!(sync(device, &mut server).rescued, 0);
    }
}

#[test]
fn a_push_alone_heals_a_fork_as_well() {
    let (_, mut clone, mut server) = phone_and_clone();
    let report = push(&mut clone, &mut server);
    assert_eq!((report.receipts.len(), report.rescued), (2, 2));
    assert!(clone.outbox.is_empty());
}

#[test]
fn a_fork_behind_the_cursor_is_found_by_reading_anew() {
    let (_, mut clone, mut server) = phone_and_clone();
    // As if a page had been read that did not bring what it should.
    clone.cursor = Cursor::START;
    for (at, entry) in server.feed.iter().enumerate() {
        clone.cursor = clone.cursor.next(at as u64 + 1, entry.hash());
    }
    let report = sync(&mut clone, &mut server);
    assert_eq!((report.receipts.len(), report.rescued), (2, 2));
}

#[test]
fn a_drop_that_cannot_read_rescues_what_was_refused() {
    let (_, mut clone, mut server) = phone_and_clone();
    clone.rights = Rights::DROP;
    server.asked.clear();
    let report = sync(&mut clone, &mut server);
    // The receipt of what is before the fork comes once more.
    assert_eq!((report.receipts.len(), report.rescued), (3, 2));
    assert!(server.asked.iter().all(|asked| asked == "POST feed"), "{:?}", server.asked);
    assert_eq!(server.feed.len(), 4);
}

#[test]
fn a_drop_rescues_what_had_receipts_of_a_server_that_was_put_back_since() {
    let (mut drop, mut server) = (Replica::new("drop", 1), new_server());
    drop.rights = Rights::DROP;
    (1..=3).for_each(|i| drop.add(&format!("note {i}")));
    sync(&mut drop, &mut server);
    let (backup, mut clone) = (server.clone(), drop.clone());
    clone.dice = 100;
    (4..=8).for_each(|i| drop.add(&format!("note {i}")));
    sync(&mut drop, &mut server);
    // Put back, it gets other changes in these places from a copy of the replica.
    let mut server = backup;
    (4..=9).for_each(|i| clone.add(&format!("the clone's {i}")));
    sync(&mut clone, &mut server);

    drop.add("note 9");
    let report = compare(&mut drop, &mut server);
    assert_eq!((report.rescued, report.recovered, report.refused.len()), (6, 0, 0));
    let mut expected: Vec<_> = (1..=9).map(|i| format!("note {i}")).collect();
    expected.extend((4..=9).map(|i| format!("the clone's {i}")));
    expected.sort();
    assert_eq!(texts(&server.feed), expected);
    assert!(drop.outbox.is_empty());
    assert_eq!(compare(&mut drop, &mut server).rescued, 0);
}

#[test]
fn a_drop_whose_probe_shows_the_fork_rescues_as_much() {
    let (mut drop, mut server) = (Replica::new("drop", 1), new_server());
    drop.rights = Rights::DROP;
    drop.add("one");
    sync(&mut drop, &mut server);
    let (backup, mut clone) = (server.clone(), drop.clone());
    clone.dice = 100;
    (2..=5).for_each(|i| drop.add(&format!("note {i}")));
    sync(&mut drop, &mut server);
    let mut server = backup;
    (2..=5).for_each(|i| clone.add(&format!("the clone's {i}")));
    sync(&mut clone, &mut server);
    assert_eq!(compare(&mut drop, &mut server).rescued, 4);
    assert_eq!(texts(&server.feed).len(), 9);
}

#[test]
fn what_the_replica_lacks_before_its_cursor_is_read_anew_once() {
    let (mut phone, mut laptop) = (Replica::new("phone", 1), Replica::new("laptop", 2));
    let mut server = new_server();
    (0..4).for_each(|i| phone.add(&format!("note {i}")));
    sync(&mut phone, &mut server);
    sync(&mut laptop, &mut server);
    laptop.entries.truncate(2);
    assert_eq!(sync(&mut laptop, &mut server).pulled, 0);
    let report = compare(&mut laptop, &mut server);
    assert_eq!((report.pulled, laptop.contents()), (4, contents(&server.feed)));
    // What was written between the last page and the comparison is no reason to.
    phone.add("meanwhile");
    server.asked.clear();
    let run = laptop.push_and_pull().comparing();
    let report = laptop
        .run(run, |request| {
            if request.path_segments().join("/") == "heads" {
                push(&mut phone, &mut server);
            }
            Some(server.answer(request))
        })
        .unwrap();
    assert_eq!((report.pulled, laptop.contents()), (1, contents(&server.feed)));
}

#[test]
fn a_server_that_says_it_has_more_than_it_gives_is_not_read_for_ever() {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
    phone.add("one");
    sync(&mut phone, &mut server);
    let mut more = server.clone();
    more.feed.push(next_entry(&server.feed, phone.own, "never given"));
    let run = phone.push_and_pull().comparing();
    let mut asked = 0;
    phone
        .run(run, |request| {
            asked += 1;
            let is_heads = request.path_segments().join("/") == "heads";
            Some(if is_heads { more.answer(request) } else { server.answer(request) })
        })
        .unwrap();
    assert!(asked < 6, "{asked}");
}

#[test]
fn a_fork_that_stays_one_is_told_and_ends() {
    let (_, clone, server) = phone_and_clone();
    for rights in [Rights::ALL, Rights::DROP] {
        let (mut clone, mut server) = (clone.clone(), server.clone());
        clone.rights = rights;
        let mut asked = 0;
        let run = clone.push_and_pull();
        let report = clone
            .run(run, |request| {
                asked += 1;
                assert!(asked < 60, "for ever");
                if request.method != Code::POST {
                    return Some(server.answer(request));
                }
                let fork = Refusal::Fork { have_seq: 9, have_hash: None };
                let batch = decode(request);
                let answers: Vec<Result<Receipt, Refusal>> = vec![Err(fork); batch.len()];
                Some(Response::new(Code::CHANGED).payload(encode_answers(&answers)))
            })
            .unwrap();
        assert_eq!(report.refused.len(), 1, "{report:?}");
        // A drop asks for the whole chain, to see where the fork is.
        assert_eq!(clone.outbox.len(), if rights.read { 2 } else { 3 });
    }
}

fn decode(request: &Request) -> Vec<Entry> {
    let is_coded = request.query_value("coding").is_some();
    let plain = is_coded.then(|| coding::decompress(&request.payload, 2 << 20).unwrap());
    suibi_journal::decode_batch(plain.as_deref().unwrap_or(&request.payload)).unwrap()
}

/// A server with so many notes.
fn full(notes: usize, stride: u64) -> Server {
    let mut server = Server { stride, ..new_server() };
    let mut phone = Replica::new("phone", 1);
    for i in 0..notes {
        phone.add(&format!("note {i} with some words that are not all alike"));
    }
    push(&mut phone, &mut server);
    server
}

const NOTES: usize = 1_500;

#[test]
fn a_long_feed_is_asked_for_in_ranges_that_are_compressed() {
    for stride in [1, 7] {
        let mut server = full(NOTES, stride);
        let mut laptop = Replica::new("laptop", 2);
        let mut dice = Dice::new(stride);
        let (mut most, mut sent) = (0, 0);
        let run = laptop.push_and_pull();
        let report = laptop
            .run_in_order(
                run,
                |count| {
                    most = most.max(count);
                    dice.throw(count as u64) as usize
                },
                |_| true,
                |request| {
                    let answer = server.answer(request);
                    sent += answer.payload.len();
                    assert!(answer.payload.len() <= 60_000);
                    Some(answer)
                },
            )
            .unwrap();
        assert_eq!((report.pulled, report.remaining), (NOTES as u64, 0), "stride {stride}");
        assert_eq!(laptop.contents(), contents(&server.feed));
        assert!(most > 3, "only {most} at once");
        let len: usize = server.feed.iter().map(Entry::encoded_len).sum();
        assert!(sent < len * 9 / 10, "{sent} of {len}");
        assert!(server.asked.len() < 120, "{} requests, stride {stride}", server.asked.len());
    }
}

#[test]
fn a_server_of_before_gets_what_it_understands() {
    let mut server = full(1_500, 1);
    server.is_old = true;
    let mut laptop = Replica::new("laptop", 2);
    (0..700).for_each(|i| laptop.add(&format!("mine {i}")));
    let report = sync(&mut laptop, &mut server);
    assert_eq!((report.receipts.len(), report.pulled), (700, 2_200));
}

#[test]
fn what_a_server_lost_comes_again_and_is_said_to() {
    let (mut phone, mut server) = (Replica::new("phone", 1), new_server());
    phone.add("one");
    sync(&mut phone, &mut server);
    let mut restored = server.clone();
    phone.add("two");
    phone.add("three");
    sync(&mut phone, &mut server);
    phone.add("four");
    let report = sync(&mut phone, &mut restored);
    assert_eq!((report.receipts.len(), report.recovered), (3, 2));
    assert_eq!(restored.recovered, 2);
}

#[test]
fn what_is_refused_keeps_no_other_chain_back() {
    let mut server = new_server();
    let mut phone = Replica::new("phone", 2);
    phone.add("one");
    phone.add(&"x".repeat(3_000));
    // Before and behind the refused chain: what a restored server lost of other devices.
    for (device, chain) in [("tablet", 1), ("laptop", 3)] {
        let mut other = Replica::new(device, chain);
        other.add(&format!("from the {device}"));
        phone.names.insert(other.own, device.to_owned());
        phone.outbox.append(&mut other.outbox);
        phone.entries.append(&mut other.entries);
    }
    let (run, own) = (phone.push(), phone.own);
    let report = phone
        .run(run, |request| {
            let (theirs, ours): (Vec<_>, Vec<_>) =
                decode(request).into_iter().partition(|entry| entry.change().chain != own);
            let refusal = Refusal::Invalid("no".into());
            match ours.is_empty() {
                true => Some(server.answer(request)),
                false => {
                    assert!(theirs.is_empty(), "a batch has one device");
                    let answers: Vec<Result<Receipt, _>> = vec![Err(refusal); ours.len()];
                    Some(Response::new(Code::CHANGED).payload(encode_answers(&answers)))
                }
            }
        })
        .unwrap();
    assert!(matches!(report.refused[..], [ref one] if one.chain == phone.own && one.seq == 1));
    assert_eq!(report.receipts.len(), 2);
    assert_eq!(phone.outbox, [(phone.own, 1), (phone.own, 2)].into());
    assert_eq!(server.feed.len(), 2);
}

#[test]
fn a_long_note_behind_a_refused_chain_is_delivered() {
    for len in [900, 20_000, 700_000] {
        let mut server = new_server();
        let mut phone = Replica::new("phone", 1);
        phone.add("refused");
        let mut other = Replica::new("tablet", 2);
        other.add(&"x".repeat(len));
        phone.names.insert(other.own, "tablet".into());
        phone.outbox.append(&mut other.outbox);
        phone.entries.append(&mut other.entries);
        let (run, own) = (phone.push(), phone.own);
        let report = phone
            .run(run, |request| {
                let is_ours = decode(request).iter().any(|entry| entry.change().chain == own);
                let refused = [Err(Refusal::Invalid("no".into()))];
                Some(match is_ours {
                    true => Response::new(Code::CHANGED).payload(encode_answers(&refused)),
                    false => server.answer(request),
                })
            })
            .unwrap();
        assert_eq!((report.refused.len(), report.receipts.len()), (1, 1), "{len} bytes");
        assert_eq!(server.feed.len(), 1);
    }
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
        let mut server = new_server();
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
    let mut server = new_server();
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
    run.handle_reply(AskId(7), &Response::new(Code::CHANGED)).unwrap();
    run.handle_cursor(Cursor::START);
    run.handle_chains(&[]);
    assert_eq!(format!("{run:?}"), before);
    assert!(matches!(run.poll_step(), Some(Step::ReadOutbox { .. })));
}

/// Whether a process dies just now, and which of several answers comes next.
fn weather(
    device: &mut Replica,
    server: &mut Server,
    run: Sync,
    dice: &mut Dice,
) -> Result<Report, SyncError> {
    let mut fate = Dice::new(dice.throw(u64::MAX - 1));
    let mut order = Dice::new(dice.throw(u64::MAX - 1));
    device.run_in_order(
        run,
        |count| order.throw(count as u64) as usize,
        |_| fate.throw(40) > 0,
        |request| {
            let is_lost = dice.throw(10) < 2;
            let answer = (!is_lost).then(|| server.answer(request))?;
            let is_doubled = dice.throw(10) < 2;
            if is_doubled {
                server.answer(request);
            }
            (dice.throw(10) >= 2).then_some(answer)
        },
    )
}

/// Everybody brings everything up, then everything down.
fn meet(devices: &mut [Replica], server: &mut Server, seed: u64) {
    for _ in 0..3 {
        for device in &mut *devices {
            compare(device, server);
        }
    }
    let everything = contents(&server.feed);
    for device in devices {
        assert_eq!(device.contents(), everything, "seed {seed}, {}", device.device);
        assert!(device.outbox.is_empty(), "seed {seed}: {:?}", device.outbox);
        for (chain, name) in &server.names {
            assert_eq!(device.names.get(chain), Some(name), "seed {seed}");
        }
    }
}

/// Three devices and copies of them write and sync over a path that loses and doubles requests and answers, and gives
/// answers out of order; processes die at any step; the server is put back to a backup now and then. In the end
/// everybody has the same, each change once, and every note that was ever written.
#[test]
fn whatever_gets_lost_on_the_way_everything_arrives_once() {
    let (mut rescued, mut recovered) = (0, 0);
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut server = Server { stride: 1 + seed % 3, ..new_server() };
        let mut backup = server.clone();
        let mut devices =
            vec![Replica::new("phone", 1), Replica::new("laptop", 2), Replica::new("tablet", 3)];
        let mut written = Vec::new();
        for turn in 0..60 {
            let at = dice.throw(devices.len() as u64) as usize;
            match dice.throw(9) {
                0..3 => {
                    let text = format!("note {turn:02}{}", " and more".repeat(turn % 3 * 40));
                    devices[at].add(&text);
                    written.push(text);
                }
                3 if dice.throw(4) == 0 => backup = server.clone(),
                4 if dice.throw(6) == 0 => {
                    server = Server { asked: Vec::new(), ..backup.clone() };
                }
                5 if devices.len() < 6 && dice.throw(3) == 0 => {
                    let mut copy = devices[at].clone();
                    copy.dice = 60 + turn as u8;
                    devices.push(copy);
                }
                what => {
                    let device = &mut devices[at];
                    let run = match what {
                        6 => device.push(),
                        7 => device.push_and_pull().comparing(),
                        _ => device.push_and_pull(),
                    };
                    let report = weather(device, &mut server, run, &mut dice)
                        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                    rescued += report.rescued;
                    recovered += report.recovered;
                }
            }
        }
        meet(&mut devices, &mut server, seed);
        written.sort();
        assert_eq!(texts(&server.feed), written, "seed {seed}");
    }
    assert!(rescued > 100 && recovered > 100, "{rescued} rescued, {recovered} recovered");
}

/// The same with replicas that are put back to an older copy of themselves: what had a receipt is there in the end.
#[test]
fn a_replica_of_before_loses_nothing_that_had_a_receipt() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let mut server = new_server();
        let mut devices = vec![Replica::new("phone", 1), Replica::new("laptop", 2)];
        let mut backups = devices.clone();
        for turn in 0..60 {
            let at = dice.throw(2) as usize;
            match dice.throw(8) {
                0..3 => devices[at].add(&format!("note {turn}")),
                3 if dice.throw(3) == 0 => backups[at] = devices[at].clone(),
                4 if dice.throw(3) == 0 => {
                    devices[at] = Replica { dice: turn as u8 + 60, ..backups[at].clone() };
                }
                _ => {
                    let run = devices[at].push_and_pull();
                    weather(&mut devices[at], &mut server, run, &mut dice)
                        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
            }
        }
        let confirmed = texts(&server.feed);
        meet(&mut devices, &mut server, seed);
        let there = texts(&server.feed);
        assert!(confirmed.iter().all(|text| there.contains(text)), "seed {seed}");
    }
}
