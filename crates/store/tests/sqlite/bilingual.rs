//! Ten thousand notes in two languages: a search finds what a look at every one finds.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use suibi_journal::{Body, Extras, Folds, Note, Query, SearchLine};
use suibi_store::{Expect, Reader, Store, Write};

use crate::server;
use crate::support::HERE;

const NOTES: usize = 10_000;
/// Words, and how they are typed.
const PINYIN: &str = include_str!("../../../journal/tests/pinyin.txt");
const ENGLISH: [&str; 16] = [
    "bought",
    "tea",
    "and",
    "milk",
    "with",
    "Lin",
    "at",
    "the",
    "market",
    "he",
    "Café",
    "meeting",
    "can't",
    "ｗｉｆｉ",
    "name",
    "women",
];
/// The most common characters, from which neighbours come that no dictionary has.
const CHARACTERS: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重並東個這來時說國學會對種機無開關點間問";

struct Journal {
    _dir: tempfile::TempDir,
    reader: Box<dyn Reader>,
    notes: Vec<Note>,
}

fn text(chance: &mut StdRng, words: &[&str], characters: &[char]) -> String {
    let mut text = String::new();
    for _ in 0..chance.random_range(1..8) {
        match chance.random_range(0..4) {
            0 => {
                text += ENGLISH.choose(chance).unwrap();
                text += [" ", ", ", "，"].choose(chance).unwrap();
            }
            1 => text += words.choose(chance).unwrap(),
            _ => {
                text.extend(
                    (0..chance.random_range(1..7)).map(|_| characters.choose(chance).unwrap()),
                );
                text += ["", "，", "。", " "].choose(chance).unwrap();
            }
        }
    }
    text
}

impl Journal {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = server(&dir.path().join("server.db"));
        let mut chance = StdRng::seed_from_u64(6);
        let words: Vec<&str> = PINYIN.lines().filter_map(|line| line.split(' ').next()).collect();
        let characters: Vec<char> = CHARACTERS.chars().collect();
        let mut number = 0;
        while number < NOTES {
            let write = |number: usize| {
                let time = format!(
                    "2026-{:02}-{:02}T09:05:00.000+08:00",
                    number % 12 + 1,
                    number % 28 + 1
                );
                let (id, expect, extras) = (None, Expect::Any, Extras::new());
                let body = Body::Text(text(&mut chance, &words, &characters));
                let time = time.parse().unwrap();
                (HERE, Write::Note { id, expect, body, time: Some(time), extras, now: time })
            };
            let batch: Vec<_> = (number..number + 1_000).map(write).collect();
            number += batch.len();
            store.commit(batch).unwrap();
        }
        let mut reader = store.reader().unwrap();
        assert_eq!(reader.catch_up(usize::MAX).unwrap(), 0);
        let notes = reader.notes(HERE, &Query::default()).unwrap();
        assert_eq!(notes.len(), NOTES);
        Self { _dir: dir, reader, notes }
    }

    fn found(&mut self, text: &str, folds: Folds) -> BTreeSet<String> {
        let query = Query { text: Some(text.to_owned()), folds, ..Query::default() };
        let notes = self.reader.notes(HERE, &query).unwrap();
        notes.into_iter().map(|note| note.text).collect()
    }

    /// What a look at every note finds, which knows nothing of tokens.
    fn scanned(&self, has: impl Fn(&str) -> bool) -> BTreeSet<String> {
        self.notes.iter().map(|note| note.text.clone()).filter(|text| has(text)).collect()
    }
}

/// A text without what stands between words: a phrase goes on behind a comma.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[test]
fn chinese_of_one_to_four_characters_is_found_as_a_plain_look_at_every_note_finds_it() {
    let mut journal = Journal::new();
    let mut chance = StdRng::seed_from_u64(7);
    let exact = Folds { script: false, ..Folds::default() };
    for (len, samples) in [(1, 10), (2, 80), (3, 80), (4, 80)] {
        let mut notes = 0;
        for _ in 0..samples {
            let note = journal.notes.choose(&mut chance).unwrap();
            let runs = note.text.split(|c: char| c.is_ascii() || !c.is_alphabetic());
            let runs: Vec<Vec<char>> = runs
                .map(|run| run.chars().collect::<Vec<char>>())
                .filter(|run| {
                    run.len() >= len && !run.iter().any(|c| ('ａ'..='ｚ').contains(c) || *c == 'é')
                })
                .collect();
            let Some(run) = runs.choose(&mut chance) else { continue };
            let at = chance.random_range(0..=run.len() - len);
            let query = String::from_iter(&run[at..at + len]);

            let plain = journal.scanned(|text| text.contains(&query));
            let squeezed = journal.scanned(|text| squeezed(text).contains(&query));
            let found = journal.found(&query, exact);
            assert!(!plain.is_empty() && plain.is_subset(&found), "{query}");
            assert!(found.is_subset(&squeezed), "{query}");
            // In whatever script it was written.
            let both = journal.found(&query, Folds::default());
            assert!(found.is_subset(&both), "{query}");
            notes += both.len();
        }
        assert!(notes > samples / 2);
        println!("{len} characters: {samples} searches found {notes} notes, all that there were");
    }
}

#[test]
fn pinyin_finds_every_note_with_the_word() {
    let mut journal = Journal::new();
    let (mut searches, mut wanted, mut missed) = (0, 0, Vec::new());
    // That letters are read as they should be, `journal` tests with each of them.
    for entry in PINYIN.lines().step_by(7) {
        let (word, syllables) = entry.split_once(' ').unwrap();
        let with_word = journal.scanned(|text| text.contains(word));
        let initials: String = syllables.split(' ').map(|syllable| &syllable[..1]).collect();
        for typed in [syllables.replace(' ', ""), initials] {
            let found = journal.found(&typed, Folds::default());
            searches += 1;
            wanted += with_word.len();
            missed
                .extend(with_word.difference(&found).map(|text| format!("{typed} {word}: {text}")));
            // The same as a look at every note with the same eyes.
            if searches % 20 == 0 {
                let mut line = SearchLine::parse(&typed, Folds::default());
                let is_written = |word: &str| {
                    let has =
                        |note: &Note| suibi_journal::tokens(&note.text).iter().any(|t| t == word);
                    Ok::<_, ()>(journal.notes.iter().any(has))
                };
                line.settle(is_written).unwrap();
                assert_eq!(found, journal.scanned(|text| line.fits(text)), "{typed}");
            }
        }
    }
    println!(
        "{searches} searches in pinyin: of {wanted} notes with the words, {} missed",
        missed.len()
    );
    // Letters that are an English word of the journal are that word.
    missed.retain(|missed| !ENGLISH.iter().any(|word| missed.starts_with(&format!("{word} "))));
    assert!(wanted > 1_000);
    assert_eq!(missed, [""; 0]);
}
