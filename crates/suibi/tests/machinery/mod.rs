//! What the tests of the whole program share: servers and commands as real processes in directories
//! of their own, a CoAP client that is not ours, and dice with a seed that can be seen.

#![allow(dead_code, unused_imports, reason = "each test file takes the parts that it needs")]

pub(crate) mod fixed;
pub(crate) mod home;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod terminal;
pub(crate) mod watch;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use suibi_journal::Query;
use suibi_store::{JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _};

pub(crate) use home::Home;
pub(crate) use process::{Finished, run, run_by};
pub(crate) use server::Server;
pub(crate) use terminal::Terminal;
pub(crate) use watch::Watch;
pub(crate) use wire::Wire;

/// How long a thing may take that has no bound of its own, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// How long a command may take. Each that writes or lists promises its line within one second; the
/// rest is for starting twenty of them at once on a machine that has other things to do.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Dice for this test. The seed is shown when the test fails; `SUIBI_TEST_SEED` sets it.
pub(crate) fn dice() -> (StdRng, u64) {
    let seed = match std::env::var("SUIBI_TEST_SEED") {
        Ok(seed) => seed.parse().expect("SUIBI_TEST_SEED is a number"),
        Err(_) => 20_261_123,
    };
    println!("SUIBI_TEST_SEED={seed}");
    (StdRng::seed_from_u64(seed), seed)
}

/// A loopback port that nobody uses at the moment.
pub(crate) fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks until the answer is yes.
pub(crate) fn wait_until(what: &str, mut question: impl FnMut() -> bool) {
    let start = Instant::now();
    while !question() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `finished` said: standard output, its exit code, standard error; what differs from run to run is the same:
/// ports, dates and times, keys, the home directory.
pub(crate) fn told(home: &Home, finished: &Finished) -> String {
    let code = finished.status.code().map_or("by a signal".to_owned(), |code| code.to_string());
    let text = format!("{}--- {code}\n{}", finished.out, finished.err);
    masked(&text.replace(&home.path().display().to_string(), "~"))
}

/// `text` with every port, date, time, id and key replaced.
pub(crate) fn masked(text: &str) -> String {
    // 0: any digit, ?: any hexadecimal digit; the longer ones first.
    const SHAPES: [(&str, &str); 15] = [
        ("????????-????-7???-????-????????????", "019a0b5e-8c68-7000-8000-000000000001"),
        (" · ??????", " · 3f9ac1"),
        // A line that is good beyond midnight.
        ("until 0000-00-00 00:00", "until 09:05"),
        ("(waited 0 s)", "(waited 10 s)"),
        ("(waited 00 s)", "(waited 10 s)"),
        ("0000-00-00 00:00:00", "2026-11-23 09:05:00"),
        ("0000-00-00T00:00:00.000", "2026-11-23T09:05:00.000"),
        ("0000-00-00 00:00", "2026-11-23 09:05"),
        (" 00:00", " 09:05"),
        ("127.0.0.1:00000", "127.0.0.1:5683"),
        ("127.0.0.1:0000", "127.0.0.1:5683"),
        ("0.0.0.0:00000", "0.0.0.0:5683"),
        ("0.0.0.0:0000", "0.0.0.0:5683"),
        (" ????????\n", " 0a1b2c3d\n"),
        ("\"????????\"", "\"0a1b2c3d\""),
    ];
    let fits = |shape: &str, rest: &str| {
        let mut chars = rest.chars();
        shape.chars().all(|wanted| {
            chars.next().is_some_and(|c| match wanted {
                '0' => c.is_ascii_digit(),
                '?' => c.is_ascii_digit() || ('a'..='f').contains(&c),
                _ => c == wanted,
            })
        })
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(code) = rest.strip_prefix("/#") {
            masked.push_str("/#…");
            let end = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
            rest = &code[code.find(end).unwrap_or(code.len())..];
        } else if let Some((shape, same)) = SHAPES.iter().find(|(shape, _)| fits(shape, rest)) {
            masked.push_str(same);
            rest = &rest[shape.len()..];
        } else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    masked
}

/// Every name in a JSON document stands in docs/cli.md.
#[track_caller]
pub(crate) fn assert_documented(json: &str) {
    fn names(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            serde_json::Value::Object(members) => {
                for (name, value) in members {
                    found.push(name.clone());
                    names(value, found);
                }
            }
            _ => {}
        }
    }
    let document = include_str!("../../../../docs/cli.md");
    let mut found = Vec::new();
    names(&serde_json::from_str(json).unwrap(), &mut found);
    for name in found {
        assert!(document.contains(&format!("\"{name}\":")), "docs/cli.md does not have {name:?}");
    }
}

/// The texts of all notes in the database of a server that is not running.
#[track_caller]
pub(crate) fn stored_notes(data_dir: &Path) -> Vec<String> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "test".into() };
    let store = SqliteStore::open(&data_dir.join("server.db"), options).unwrap();
    let mut reader = store.reader().unwrap();
    let notes = reader.notes(JournalId::FIRST, &Query::default()).unwrap();
    notes.into_iter().map(|note| note.text).collect()
}

/// The texts of `found` are those of `expected`, each once; `found` may be in any order.
#[track_caller]
pub(crate) fn assert_each_once(found: &[String], expected: &[String]) {
    let mut missing = Vec::new();
    let mut counts = count(found);
    for text in expected {
        match counts.remove(text.as_str()) {
            Some(1) => {}
            Some(times) => panic!("{text:?} is there {times} times"),
            None => missing.push(text),
        }
    }
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), expected.len());
    assert!(counts.is_empty(), "nobody wrote {counts:?}");
}

/// How often each text is there.
pub(crate) fn count(found: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for text in found {
        *counts.entry(text.as_str()).or_default() += 1;
    }
    counts
}

/// Every string under the key `text`, wherever it stands: in an array, or in one object per line.
pub(crate) fn texts_of_json(json: &str) -> Vec<String> {
    fn collect(value: &serde_json::Value, texts: &mut Vec<String>) {
        match value {
            serde_json::Value::Array(items) => {
                for item in items {
                    collect(item, texts);
                }
            }
            serde_json::Value::Object(members) => {
                for (key, value) in members {
                    match value {
                        serde_json::Value::String(text) if key == "text" => {
                            texts.push(text.clone());
                        }
                        other => collect(other, texts),
                    }
                }
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    for value in serde_json::Deserializer::from_str(json).into_iter() {
        collect(&value.unwrap_or_else(|error| panic!("{error} in {json}")), &mut texts);
    }
    texts
}

/// A text of exactly `len` bytes, in two languages and with line ends, so that a slip by one block
/// or one byte shows.
pub(crate) fn long_text(len: usize) -> String {
    let mut text = String::new();
    for line in 0.. {
        text.push_str(&format!("line {line}: bought tea, 买了茶叶和米\n"));
        if text.len() > len {
            break;
        }
    }
    let mut end = len - 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    while text.len() < len {
        text.push('.');
    }
    text
}
