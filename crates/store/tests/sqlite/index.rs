//! The index says what a look at every note says, and can be lost.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use suibi_journal::{Body, Hash, NoteId, Query, SearchLine, tags, tokens};
use suibi_store::{Reader, SqliteStore, Store};

use crate::server;
use crate::support::{Device, HERE, commit, id, pushed, text, texts, written};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";

fn search(text: &str) -> Query {
    Query { text: Some(text.to_owned()), ..Query::default() }
}

fn tagged(tag: &str) -> Query {
    Query { tags: vec![tag.to_owned()], ..Query::default() }
}

/// A note is written, edited (which may give it another day) or deleted; or the index goes on.
#[derive(Debug, Clone)]
enum Step {
    Write { note: u32, day: u8, words: Vec<usize> },
    Delete { note: u32 },
    CatchUp { max: usize },
}

const WORDS: [&str; 19] = [
    "#天/气", "#shop", "milk", "Milch", "冷", "很冷", "@shop", "#天气", "café", "can't", "“ok”",
    "12.5", "a", "あ", "長大", "重庆", "hen", "天氣", "#a/b",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12_u32, 1..5_u8, vec(0..WORDS.len(), 0..5))
            .prop_map(|(note, day, words)| Step::Write { note, day, words }),
        1 => (0..12_u32).prop_map(|note| Step::Delete { note }),
        1 => (1..6_usize).prop_map(|max| Step::CatchUp { max }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let text = prop_oneof![
        Just(None),
        vec(0..WORDS.len(), 1..3).prop_map(|words| Some(
            words.into_iter().map(|n| WORDS[n]).collect::<Vec<_>>().join(" ")
        )),
        prop_oneof![
            Just("mil*"),
            Just("\"milk 很\""),
            Just("\"a milk\""),
            Just("c"),
            Just("'"),
            Just("-milk"),
            Just("很 -冷"),
            Just("#a -#shop"),
            Just("zhangda"),
            Just("chang da"),
            Just("cd"),
            Just("cq"),
            Just("chongqing -milk"),
            Just("hen"),
            Just("he*"),
            Just("tq"),
            Just("天气 #天气")
        ]
        .prop_map(|text| Some(text.to_owned())),
    ];
    let tag = prop_oneof![
        Just(None),
        Just(Some("shop".to_owned())),
        Just(Some("天气".to_owned())),
        Just(Some("天".to_owned()))
    ];
    let day = |day: Option<u8>| day.map(|day| format!("2026-11-{day:02}").parse().unwrap());
    let day = move || proptest::option::of(1..5_u8).prop_map(day);
    let before = proptest::option::weighted(0.2, (0..12_u32).prop_map(id));
    let limit = proptest::option::of(0..4_usize);
    let minute = || proptest::option::weighted(0.2, 540..550_u16);
    let times = (day(), minute(), day(), minute());
    (text, tag, times, before, limit).prop_map(
        |(text, tag, (since, since_minute, until, until_minute), before, limit)| Query {
            since,
            since_minute,
            until,
            until_minute,
            tags: tag.into_iter().collect(),
            text,
            before,
            limit,
            ..Query::default()
        },
    )
}

/// What a query has to answer: looked up in all notes, without an index.
fn oracle(reader: &mut dyn Reader, query: &Query) -> Vec<NoteId> {
    let all = reader.notes(HERE, &Query::default()).unwrap();
    let until = match query.before {
        // A note that is there but deleted is a place too, which this look does not know.
        Some(before) => all.iter().position(|note| note.id == before).unwrap_or(0),
        None => all.len(),
    };
    let mut line = SearchLine::parse(query.text.as_deref().unwrap_or_default(), query.folds);
    let is_written =
        |word: &str| all.iter().any(|note| tokens(&note.text).iter().any(|token| token == word));
    line.settle(|word| Ok::<_, ()>(is_written(word))).unwrap();
    let fits: Vec<_> = all[..until]
        .iter()
        .filter(|note| query.since.is_none_or(|day| note.time.day() >= day))
        .filter(|note| query.until.is_none_or(|day| note.time.day() <= day))
        .filter(|note| match (query.since, query.since_minute) {
            (Some(day), Some(minute)) => note.time.day() > day || 545 >= minute,
            _ => true,
        })
        .filter(|note| match (query.until, query.until_minute) {
            (Some(day), Some(minute)) => note.time.day() < day || 545 <= minute,
            _ => true,
        })
        .filter(|note| query.tags.iter().all(|tag| has_tag(&note.text, tag)))
        .filter(|note| line.fits(&note.text))
        .map(|note| note.id)
        .collect();
    let skipped = fits.len().saturating_sub(query.limit.unwrap_or(usize::MAX));
    fits[skipped..].to_vec()
}

/// A tag, or one below it.
fn has_tag(text: &str, wanted: &str) -> bool {
    let below = format!("{wanted}/");
    tags(text).iter().any(|tag| tag.name == wanted || tag.name.starts_with(&below))
}

struct Writer {
    store: SqliteStore,
    device: Device,
    heads: Vec<Option<Hash>>,
    deleted: Vec<bool>,
}

impl Writer {
    fn take(&mut self, step: &Step) {
        let (note, time, body) = match step {
            Step::Write { note, day, words } => {
                let words: Vec<_> = words.iter().map(|n| WORDS[*n]).collect();
                (*note, format!("2026-11-{day:02}T09:05:00.000+08:00"), Body::Text(words.join(" ")))
            }
            Step::Delete { note } => (*note, NOW.to_owned(), Body::Deleted),
            Step::CatchUp { max } => {
                self.store.reader().unwrap().catch_up(*max).unwrap();
                return;
            }
        };
        let head = &mut self.heads[note as usize];
        self.deleted[note as usize] = body == Body::Deleted;
        let entry = self.device.change(id(note), &Vec::from_iter(*head), &time, body);
        *head = Some(entry.hash());
        let answers = pushed(&mut self.store, self.device.push(&[entry]));
        assert!(answers[0].is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_query_finds_what_a_look_at_all_notes_finds(
        steps in vec(step(), 0..40),
        queries in vec(query(), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let (heads, deleted) = (vec![None; 12], vec![false; 12]);
        let mut writer =
            Writer { store: server(&path), device: Device::new("phone"), heads, deleted };
        let mut reader = writer.store.reader().unwrap();
        for (number, step) in steps.iter().enumerate() {
            writer.take(step);
            let query = &queries[number % queries.len()];
            let is_deleted = |note: NoteId| (0..12).any(|n| id(n) == note && writer.deleted[n as usize]);
            if number % 3 == 0 && !query.before.is_some_and(is_deleted) {
                let found: Vec<_> =
                    reader.notes(HERE, query).unwrap().iter().map(|note| note.id).collect();
                prop_assert_eq!(found, oracle(&mut *reader, query), "{:?}", query);
            }
        }
        // The same once more in a place where no index can be.
        let bare = dir.path().join("bare.db");
        fs::create_dir(dir.path().join("bare-index.db")).unwrap();
        let (heads, deleted) = (vec![None; 12], vec![false; 12]);
        let mut twin =
            Writer { store: server(&bare), device: Device::new("phone"), heads, deleted };
        for step in steps.iter().filter(|step| !matches!(step, Step::CatchUp { .. })) {
            twin.take(step);
        }
        prop_assert_eq!(
            reader.tags(HERE).unwrap(),
            twin.store.reader().unwrap().tags(HERE).unwrap()
        );
        let counted: u64 = reader.tags(HERE).unwrap().iter().map(|(_, notes)| notes).sum();
        let all = reader.notes(HERE, &Query::default()).unwrap();
        let tags: usize = all.iter().map(|note| tags(&note.text).len()).sum();
        prop_assert_eq!(counted, tags as u64);
        prop_assert_eq!(reader.count(HERE).unwrap(), all.len() as u64);
        let days: u64 = reader.days(HERE).unwrap().iter().map(|(_, notes)| notes).sum();
        prop_assert_eq!(days, all.len() as u64);
    }
}

/// Five notes about milk, and the reader that found them.
fn five_notes(path: &Path) -> (SqliteStore, Box<dyn Reader>) {
    let mut store = server(path);
    for number in 0..5 {
        written(&mut store, text(&format!("milk {number} @shop"), NOW)).unwrap();
    }
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.notes(HERE, &search("milk")).unwrap().len(), 5);
    (store, reader)
}

fn finds_six(store: &mut SqliteStore, reader: &mut dyn Reader) {
    written(store, text("milk 5 @shop", NOW)).unwrap();
    let six: Vec<_> = (0..6).map(|number| format!("milk {number} @shop")).collect();
    assert_eq!(texts(reader, search("milk")), six);
    assert_eq!(texts(reader, tagged("shop")), six);
    assert_eq!(reader.tags(HERE).unwrap(), [("@shop".to_owned(), 6)]);
}

#[test]
fn notes_of_one_instant_come_in_the_order_of_writing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut reader) = five_notes(&dir.path().join("server.db"));
    finds_six(&mut store, &mut *reader);
    let five = Query { limit: Some(2), ..search("milk") };
    assert_eq!(texts(&mut *reader, five), ["milk 4 @shop", "milk 5 @shop"]);
}

#[test]
fn a_deleted_index_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let (mut store, reader) = five_notes(&path);
    drop(reader);
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("server-index.db{end}")));
    }
    let mut reader = store.reader().unwrap();
    finds_six(&mut store, &mut *reader);
    assert!(dir.path().join("server-index.db").exists());
}

#[test]
fn a_damaged_index_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("server-index.db");
    let (mut store, reader) = five_notes(&dir.path().join("server.db"));
    drop(reader);
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("server-index.db{end}")));
    }
    fs::write(&index, "no database at all, ".repeat(1000)).unwrap();
    let mut reader = store.reader().unwrap();
    finds_six(&mut store, &mut *reader);
    assert_eq!(reader.catch_up(100).unwrap(), 0);

    // Its head is right, its pages are not.
    drop(reader);
    let mut bytes = fs::read(&index).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("server-index.db{end}")));
    }
    if bytes.len() > 4096 {
        bytes[4096..].fill(0xa5);
    }
    fs::write(&index, bytes).unwrap();
    let mut reader = store.reader().unwrap();
    assert_eq!(texts(&mut *reader, search("milk")).len(), 6);
    assert_eq!(texts(&mut *reader, search("milk 3")), ["milk 3 @shop"]);
}

#[test]
fn an_index_of_another_store_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let (mut store, _) = five_notes(&path);
    let other_path = dir.path().join("other.db");
    let mut other = server(&other_path);
    for number in 0..5 {
        written(&mut other, text(&format!("tea {number}"), NOW)).unwrap();
    }
    assert_eq!(other.reader().unwrap().catch_up(100).unwrap(), 0);
    drop((store.reader(), other));
    for end in ["", "-wal", "-shm"] {
        let of = |name: &str| dir.path().join(format!("{name}-index.db{end}"));
        let _ = fs::remove_file(of("server"));
        let _ = fs::rename(of("other"), of("server"));
    }
    let mut reader = store.reader().unwrap();
    finds_six(&mut store, &mut *reader);
    assert!(texts(&mut *reader, search("tea")).is_empty());
}

#[test]
fn without_a_place_for_the_index_all_notes_are_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    // Even the owner of everything cannot write a directory as a file.
    fs::create_dir(dir.path().join("server-index.db")).unwrap();
    let mut store = server(&path);
    for number in 0..5 {
        written(&mut store, text(&format!("milk {number} @shop"), NOW)).unwrap();
    }
    let mut reader = store.reader().unwrap();
    finds_six(&mut store, &mut *reader);
    assert!(reader.catch_up(100).is_err(), "whoever has time is told that it is of no use");
}

#[test]
fn several_readers_bring_the_index_on_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let notes = (0..3000).map(|number| text(&format!("milk {number}"), NOW)).collect();
    commit(&mut store, notes).unwrap();

    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut reader = store.reader().unwrap();
            scope.spawn(move || while reader.catch_up(500).unwrap() > 0 {});
        }
    });

    let mut reader = store.reader().unwrap();
    assert_eq!(reader.catch_up(1).unwrap(), 0);
    assert_eq!(texts(&mut *reader, search("milk")).len(), 3000);
    assert_eq!(texts(&mut *reader, search("2999")), ["milk 2999"]);
}

#[test]
fn a_search_that_finds_nothing_is_told_what_may_have_been_meant() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = server(&dir.path().join("server.db"));
    for note in
        ["bought milk at the market", "meeting with Lin", "去北京的火车 #旅行", "數據庫的事"]
    {
        written(&mut store, text(note, NOW)).unwrap();
    }
    let mut reader = store.reader().unwrap();
    for (wrong, meant) in [
        ("mikl", Some("milk")),
        ("bought mlik", Some("bought milk")),
        ("marekt milk", Some("market milk")),
        ("meating", Some("meeting")),
        ("北晶", Some("北京")),
        ("數剧库", Some("數據庫")),
        ("#旅行 北井", Some("#旅行 北京")),
        // Each is there, but not together; or nothing is near.
        ("milk meeting", None),
        ("mikl meeting", None),
        ("quetzal", None),
        ("\"mikl\"", None),
        ("冷", None),
        ("ab", None),
        ("", None),
    ] {
        assert_eq!(reader.suggest(HERE, &search(wrong)).unwrap().as_deref(), meant, "{wrong}");
    }
}
