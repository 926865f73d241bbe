//! `/feed` in pieces: by position, compressed, and given back to a server that lost it.

use suibi_journal::coding::{compress, decompress};
use suibi_journal::{Rights, decode_batch};

use super::*;
use crate::caller::Who;

/// A chain of so many notes about this and that.
fn chain(id: u8, notes: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for seq in 1..=notes {
        let words = ["tea", "买菜", "the bridge", "冷", "call home"];
        let text = format!("{} and {} #{}", words[seq as usize % 5], words[seq as usize % 3], seq);
        let previous = entries.last().map(Entry::hash);
        entries.push(change(id, seq, previous, &text));
    }
    entries
}

fn push(path: &str, entries: &[Entry]) -> Request {
    request(Code::POST, path).content_format(ContentFormat::CBOR_SEQ).payload(encode_batch(entries))
}

impl Scene {
    /// A compressed page, and how long it was on its way.
    #[track_caller]
    fn coded(&mut self, query: &str) -> (FeedPage, usize) {
        let response = self.get(&format!("/feed?coding=zstd&{query}"));
        assert_eq!(response.code, Code::CONTENT, "{}", response.text());
        assert_eq!(response.format(), Some(ContentFormat::OCTET_STREAM));
        let bytes = decompress(&response.payload, 2 << 20).unwrap();
        (FeedPage::decode(&bytes).unwrap(), response.payload.len())
    }

    fn recovered(&mut self) -> (u64, Vec<crate::recovered::News>) {
        let changes = self.json("/status")["recovered"].as_u64().unwrap();
        (changes, self.about.recovered.take_news())
    }
}

#[test]
fn a_run_of_the_feed_is_asked_for_by_its_positions() {
    let mut scene = Scene::new();
    let entries = chain(1, 9);
    scene.ask(push("/feed", &entries));
    let page = FeedPage::decode(&scene.get("/feed?after=3&until=7").payload).unwrap();
    let positions: Vec<_> = page.entries.iter().map(|(position, _)| *position).collect();
    assert_eq!((positions, page.remaining), (vec![4, 5, 6, 7], 0));
    let page = FeedPage::decode(&scene.get("/feed?after=3&until=7&max=1").payload).unwrap();
    assert_eq!((page.next.position, page.remaining), (4, 3));
    // A cursor and an end: the cursor is looked at, and the page goes no further.
    let rest = FeedPage::decode(&scene.get(&format!("/feed?after={}&until=8", page.next)).payload);
    assert_eq!(rest.unwrap().next.position, 8);
    let foreign = Cursor { running: Hash::ZERO, ..page.next };
    let conflict = scene.get(&format!("/feed?after={foreign}&until=8"));
    assert_eq!(conflict.code, Code::CONFLICT);
    let beyond = FeedPage::decode(&scene.get("/feed?after=99").payload).unwrap();
    assert_eq!((beyond.entries.len(), beyond.next.position), (0, 9));
    for wrong in ["after=03", "after=+3", "until=-1", "until=7-00", "coding=gzip", "coding="] {
        assert_eq!(scene.get(&format!("/feed?{wrong}")).code, Code::BAD_REQUEST, "{wrong}");
    }
}

#[test]
fn compressed_pages_are_as_long_as_asked_and_leave_nothing_out() {
    let mut scene = Scene::new();
    let entries = chain(1, 3000);
    scene.ask(push("/feed", &entries));
    for (max, floor) in [(60_000, 40_000), (4000, 2500), (400, 1)] {
        let (mut cursor, mut pulled) = (Cursor::START, Vec::new());
        loop {
            let (page, len) = scene.coded(&format!("after={cursor}&max={max}"));
            assert!(page.follows(cursor));
            assert!(len <= max && (len >= floor || page.remaining == 0), "{len} of {max}");
            cursor = page.next;
            pulled.extend(page.entries.into_iter().map(|(_, entry)| entry));
            if page.remaining == 0 || max == 400 && pulled.len() > 50 {
                break;
            }
        }
        assert!(pulled == entries[..pulled.len()]);
    }
    // By position it is the same, and no page goes beyond its end.
    let (page, _) = scene.coded("after=100&until=2000&max=1000000");
    assert_eq!((page.entries.len(), page.next.position, page.remaining), (1900, 2000, 0));
}

#[test]
fn a_note_that_is_longer_than_the_page_travels_whole_and_alone() {
    let mut scene = Scene::new();
    let words: String = (0..150_000u64).map(|n| format!("{:x} ", n * n * 7919)).collect();
    let long = change(2, 1, None, &words[..1 << 20]);
    let batch = [chain(1, 20), vec![long.clone()], chain(3, 20)].concat();
    for part in batch.chunks(20) {
        scene.ask(push("/feed", part));
    }
    let (page, len) = scene.coded("after=20&max=60000");
    assert!(len > 60_000 && page.entries.len() == 1 && page.entries[0].1 == long);
    let (page, len) = scene.coded("after=0&max=60000");
    assert!(len <= 60_000 && page.entries.len() == 20);
}

#[test]
fn a_batch_may_come_compressed_and_no_longer_than_any_other() {
    let mut scene = Scene::new();
    let entries = chain(1, 40);
    let coded = |payload: Vec<u8>| {
        let request = request(Code::POST, "/feed?device=laptop&coding=zstd");
        request.content_format(ContentFormat::OCTET_STREAM).payload(payload)
    };
    let batch = encode_batch(&entries);
    let frame = compress(&batch);
    assert!(frame.len() < batch.len());
    let answer = scene.ask(coded(frame.clone()));
    assert_eq!(answer.code, Code::CHANGED, "{}", answer.text());
    assert_eq!(decode_answers(&answer.payload).unwrap().len(), 40);
    assert_eq!(scene.ask(push("/feed", &entries)).payload, answer.payload);

    let bomb = compress(&vec![0; (2 << 20) + 1]);
    assert!(bomb.len() < 1000);
    let sentence = "more than 2097152 bytes once decompressed";
    refused(&scene.ask(coded(bomb)), Code::REQUEST_ENTITY_TOO_LARGE, sentence);
    let sentence = "not one whole frame of zstd";
    for damaged in [&frame[..frame.len() - 1], &batch, b""] {
        refused(&scene.ask(coded(damaged.to_vec())), Code::BAD_REQUEST, sentence);
    }
    let unsaid = request(Code::POST, "/feed?coding=zstd").payload(frame.clone());
    assert_eq!(scene.ask(unsaid).code, Code::CHANGED);
    let sentence = "format 42 is not taken; send 63 (application/cbor-seq)";
    let uncoded = request(Code::POST, "/feed").content_format(ContentFormat::OCTET_STREAM);
    refused(&scene.ask(uncoded.payload(frame)), Code::UNSUPPORTED_CONTENT_FORMAT, sentence);
}

#[test]
fn what_a_batch_weighs_is_counted_as_it_is_once_decompressed() {
    let scene = Scene::new();
    let entries = chain(1, 500);
    let frame = compress(&encode_batch(&entries));
    let request = request(Code::POST, "/feed?coding=zstd").payload(frame.clone());
    let route = Route::find(&request).unwrap();
    let writing = route.write(&request, &scene.caller, &scene.about).unwrap();
    assert!(writing.bytes() > frame.len());
    let batch = decode_batch(&encode_batch(&entries)).unwrap();
    assert_eq!(writing.bytes(), batch.iter().map(Entry::encoded_len).sum::<usize>());
}

#[test]
fn what_a_server_lost_and_gets_back_is_counted_and_told_of_once() {
    let mut scene = Scene::new();
    let entries = chain(1, 30);
    // What is pushed for the first time is no news, and neither is what is there already.
    scene.ask(push("/feed?device=laptop", &entries[..10]));
    scene.ask(push("/feed?device=laptop&again=yes", &entries[..10]));
    assert_eq!(scene.recovered(), (0, Vec::new()));
    scene.ask(push("/feed?device=laptop&again=yes", &entries[5..20]));
    let (changes, news) = scene.recovered();
    assert_eq!((changes, news.len()), (10, 1));
    assert_eq!((news[0].device.as_str(), news[0].changes), ("laptop", 10));
    scene.ask(push("/feed?device=laptop&again=yes", &entries[20..]));
    assert_eq!(scene.recovered(), (20, Vec::new()));
    assert!(scene.get("/status").text().contains("\"recovered\":20"));
    let wrong = scene.ask(push("/feed?again=1", &entries));
    refused(&wrong, Code::BAD_REQUEST, "again=yes is the only one that is known");
}

#[test]
fn what_a_device_gives_back_stays_anothers_and_what_it_writes_is_its_own() {
    let mut scene = Scene::new();
    scene.caller.who = Who::Device { number: 1, name: "phone".into() };
    let (written, given) = (chain(1, 3), chain(2, 3));
    scene.ask(push("/feed?device=laptop", &written));
    scene.ask(push("/feed?device=laptop&again=yes", &given));
    let heads = decode_heads(&scene.get("/heads").payload).unwrap();
    let names: Vec<_> = heads.iter().map(|head| head.device.as_str()).collect();
    assert_eq!(names, ["phone", "laptop"]);
    let (changes, news) = scene.recovered();
    assert_eq!((changes, news[0].device.as_str()), (3, "phone"));

    // A drop adds notes of its own, and speaks for nobody else.
    scene.caller.rights = Rights::DROP;
    scene.ask(push("/feed?device=laptop&again=yes", &chain(3, 1)));
    scene.caller.rights = Rights::ALL;
    let heads = decode_heads(&scene.get("/heads").payload).unwrap();
    assert_eq!(heads[2].device, "phone");
}
