//! Journals as people might have written them: two languages, some devices, many years, all from a seed.
//!
//! Half of the notes is English, four in ten are Chinese, the rest is both. Words are drawn as languages use them (Zipf):
//! the commonest are the real ones, the others are made of syllables, or of two characters. A day has a hundred
//! notes in a journal of any size, so that what is asked of a day costs the same if only the day matters.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Day, Entry, Extras, Hash, NoteId, NoteTime,
};
use suibi_store::{JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _, Write};

use crate::{Failure, sqlite};

/// The files of a journal, in its directory.
pub(crate) const SERVER: &str = "server.db";
pub(crate) const REPLICA: &str = "replica-embedded.db";

/// In ten notes of each journal, whatever its size.
pub(crate) const RARE_WORD: &str = "axolotl";
/// How many notes have it.
pub(crate) const RARE: u32 = 10;
/// On so few notes as well, among the latest tenth.
pub(crate) const RARE_TAG: &str = "heirloom";

pub(crate) const NOTES_PER_DAY: u32 = 100;
/// Of fifty notes one is edited later.
const EDIT_EVERY: u32 = 50;
/// Which one: among so many of the latest.
const RECENT: usize = 256;
/// How many notes a commit has.
const BATCH: u32 = 2_048;
/// As many bytes as a page that a replica takes at once.
const PAGE_BYTES: usize = 1 << 20;

const SEED: u64 = 5;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// 2000-01-01.
const FIRST_DAY: i32 = 10_957;

/// Who writes, and how much of a thousand. What is left is the first one's.
const DEVICES: [(&str, u64); 4] = [("laptop", 0), ("phone", 420), ("tablet", 80), ("work", 20)];
/// Wrote the first hundred notes, and then nothing more.
const OLD_DEVICE: &str = "old phone";
const OLD_NOTES: u32 = 100;

/// The commonest words, the commonest first; the others are made of syllables.
const ENGLISH: &str = "the to and of a in it is was for on that with at we this be have not as from \
    but by are all one had will they new there so out about up after some today when again two more \
    home time back need call work bought tea day next see morning then good first still made over \
    week before rain old train read book meeting tomorrow walk lunch dinner Anna told idea";
const SYLLABLES: [&str; 40] = [
    "ba", "ber", "can", "cor", "da", "del", "en", "er", "fa", "fin", "ga", "gor", "ha", "hem",
    "in", "ka", "ken", "la", "lor", "ma", "mi", "na", "nor", "op", "pa", "per", "qui", "ra", "ren",
    "sa", "ser", "ta", "ter", "un", "va", "ver", "wa", "win", "ya", "zen",
];
const ENGLISH_WORDS: usize = 20_000;

/// The commonest characters, the commonest first; the others follow one another in Unicode.
const CHINESE: &str = "的一是了不在有人我他这个们来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年\
    过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实";
const CHINESE_CHARACTERS: usize = 3_000;
const CHINESE_WORDS: usize = 12_000;

const TAGS: [&str; 24] = [
    "work",
    "shop",
    "家",
    "工作",
    "idea",
    "read",
    "lin",
    "todo",
    "运动",
    "money",
    "travel",
    "菜谱",
    "health",
    "anna",
    "garden",
    "电影",
    "music",
    "bug",
    "梦",
    "trip/kyoto",
    "学习",
    "car",
    "gift",
    "猫",
];
/// Beside those, tags with a number.
const MORE_TAGS: usize = 176;

/// A generator of random numbers (SplitMix64) that says the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
        bytes
    }
}

/// Words, each as often as its place in the list lets expect: the n-th one n-th as often as the first.
struct Words {
    words: Vec<String>,
    /// How many of 2^32 draws give this word or one before it.
    up_to: Vec<u32>,
}

impl Words {
    fn new(words: Vec<String>) -> Self {
        let sum: f64 = (1..=words.len()).map(|rank| 1.0 / rank as f64).sum();
        let mut so_far = 0.0;
        let up_to = (1..=words.len())
            .map(|rank| {
                so_far += 1.0 / rank as f64 / sum;
                (so_far * f64::from(u32::MAX)) as u32
            })
            .collect();
        Self { words, up_to }
    }

    fn draw(&self, chance: &mut Chance) -> &str {
        let drawn = (chance.next() >> 32) as u32;
        let rank = self.up_to.partition_point(|up_to| *up_to < drawn);
        &self.words[rank.min(self.words.len() - 1)]
    }

    fn english(chance: &mut Chance) -> Self {
        let mut words: Vec<String> = ENGLISH.split_whitespace().map(str::to_owned).collect();
        while words.len() < ENGLISH_WORDS {
            let syllables = 2 + chance.below(3);
            let syllable = |_| SYLLABLES[chance.below(SYLLABLES.len() as u64) as usize];
            words.push((0..syllables).map(syllable).collect());
        }
        Self::new(words)
    }

    fn chinese(chance: &mut Chance) -> Self {
        let common = CHINESE.chars().filter(|c| !c.is_whitespace());
        let others = ('\u{4e00}'..='\u{9fff}').step_by(5);
        let characters = common.chain(others).take(CHINESE_CHARACTERS).map(String::from).collect();
        let characters = Self::new(characters);
        // Every second word of the commonest is one character alone.
        let mut words: Vec<String> = characters.words[..40].to_vec();
        while words.len() < CHINESE_WORDS {
            let first = characters.draw(chance).to_owned();
            words.push(first + characters.draw(chance));
        }
        Self::new(words)
    }

    fn tags() -> Self {
        let more = (0..MORE_TAGS).map(|number| format!("project-{number}"));
        Self::new(TAGS.iter().map(|tag| (*tag).to_owned()).chain(more).collect())
    }
}

/// A device that writes.
struct Pen {
    device: &'static str,
    chain: ChainId,
    seq: u64,
    previous: Option<Hash>,
    /// What it has written and nobody has committed.
    entries: Vec<Entry>,
}

impl Pen {
    fn new(device: &'static str, chance: &mut Chance) -> Self {
        let chain = ChainId::from_bytes(chance.bytes());
        Self { device, chain, seq: 0, previous: None, entries: Vec::new() }
    }

    fn write(
        &mut self,
        note: NoteId,
        parents: Vec<Hash>,
        time: NoteTime,
        text: String,
        salt: [u8; 16],
    ) -> Hash {
        self.seq += 1;
        let (chain, seq, previous) = (self.chain, self.seq, self.previous);
        let change = Change { chain, seq, previous, note, parents, time, content: Hash::ZERO };
        let body = Body::Text(text);
        let entry = Entry::new(change, Content { salt, body, extras: Extras::default() });
        let hash = entry.hash();
        self.previous = Some(hash);
        self.entries.push(entry);
        hash
    }
}

/// Writes a journal, note after note.
pub(crate) struct Maker {
    chance: Chance,
    english: Words,
    chinese: Words,
    tags: Words,
    pens: Vec<Pen>,
    /// Notes that may be edited: id, head, time, and whose they are.
    recent: VecDeque<(NoteId, Hash, NoteTime, usize)>,
    notes: u32,
    next: u32,
}

impl Maker {
    /// A journal that will have so many notes; the same seed and number make the same.
    pub(crate) fn new(seed: u64, notes: u32) -> Self {
        let mut chance = Chance(seed);
        let (english, chinese) = (Words::english(&mut chance), Words::chinese(&mut chance));
        let names = DEVICES.iter().map(|(name, _)| *name).chain([OLD_DEVICE]);
        let pens = names.map(|name| Pen::new(name, &mut chance)).collect();
        let (tags, recent) = (Words::tags(), VecDeque::new());
        Self { chance, english, chinese, tags, pens, recent, notes, next: 0 }
    }

    /// The next notes, `count` at most, as their devices push them; none when all are written.
    pub(crate) fn writes(&mut self, count: u32) -> Vec<(JournalId, Write)> {
        for _ in 0..count.min(self.notes - self.next) {
            self.write_note();
            if self.next.is_multiple_of(EDIT_EVERY) {
                self.edit_note();
            }
        }
        let pens = self.pens.iter_mut().filter(|pen| !pen.entries.is_empty());
        pens.map(|pen| {
            let entries = std::mem::take(&mut pen.entries);
            let device = pen.device.to_owned();
            let push = Write::Push { device, entries, only_new: false, may_purge: false };
            (JournalId::FIRST, push)
        })
        .collect()
    }

    /// The day of the note with this number, from 0.
    pub(crate) fn day(number: u32) -> Day {
        Day::from_days(FIRST_DAY + (number / NOTES_PER_DAY) as i32)
    }

    fn write_note(&mut self) {
        let number = self.next;
        self.next += 1;
        let time = self.time(number);
        let mut text = self.text();
        let every = (self.notes / RARE).max(1);
        if number % every == every / 2 {
            text = format!("{RARE_WORD} {text}");
        }
        if number >= self.notes - self.notes / 10 && number.is_multiple_of((every / 10).max(1)) {
            text = format!("{text} #{RARE_TAG}");
        }
        let note = NoteId::new(time.millis(), self.chance.bytes());
        let pen = self.whose(number);
        let head = self.pens[pen].write(note, Vec::new(), time, text, self.chance.bytes());
        self.recent.push_back((note, head, time, pen));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn edit_note(&mut self) {
        let which = self.chance.below(self.recent.len() as u64) as usize;
        let text = self.text();
        let (note, head, time, pen) = &mut self.recent[which];
        *head = self.pens[*pen].write(*note, vec![*head], *time, text, self.chance.bytes());
    }

    /// Between seven in the morning and eleven at night, and sometimes on a journey.
    fn time(&mut self, number: u32) -> NoteTime {
        let (day, of_day) = (i64::from(number / NOTES_PER_DAY), number % NOTES_PER_DAY);
        let step = 16 * 3_600_000 / u64::from(NOTES_PER_DAY);
        let in_day = 7 * 3_600_000 + u64::from(of_day) * step + self.chance.below(step);
        let offset: i16 = if day % 30 < 3 { 60 } else { 480 };
        let local = (i64::from(FIRST_DAY) + day) * DAY_MILLIS + in_day as i64;
        NoteTime::new(local - i64::from(offset) * 60_000, offset)
            .expect("a time of this or the next centuries")
    }

    fn whose(&mut self, number: u32) -> usize {
        if number < OLD_NOTES.min(self.notes / 10) {
            return DEVICES.len();
        }
        let mut drawn = self.chance.below(1_000);
        for (index, (_, share)) in DEVICES.iter().enumerate() {
            if drawn < *share {
                return index;
            }
            drawn -= share;
        }
        0
    }

    /// 100 to 500 bytes, the tags not counted.
    fn text(&mut self) -> String {
        let len = 100 + self.chance.below(390) as usize;
        let mut text = String::with_capacity(len + 40);
        match self.chance.below(10) {
            0..5 => self.add_english(&mut text, len),
            5..9 => self.add_chinese(&mut text, len),
            _ => {
                self.add_english(&mut text, len / 2);
                text.push(' ');
                self.add_chinese(&mut text, len);
            }
        }
        // Four in ten have a tag, one in ten has two.
        let tags = match self.chance.below(10) {
            0..6 => 0,
            6..9 => 1,
            _ => 2,
        };
        for _ in 0..tags {
            let sigil = if self.chance.below(3) == 0 { '@' } else { '#' };
            text.push(' ');
            text.push(sigil);
            text.push_str(self.tags.draw(&mut self.chance));
        }
        text
    }

    fn add_english(&mut self, text: &mut String, len: usize) {
        loop {
            text.push_str(self.english.draw(&mut self.chance));
            if text.len() >= len {
                break;
            }
            text.push_str(if self.chance.below(9) == 0 { ", " } else { " " });
        }
    }

    fn add_chinese(&mut self, text: &mut String, len: usize) {
        while text.len() < len {
            text.push_str(self.chinese.draw(&mut self.chance));
            if self.chance.below(9) == 0 {
                text.push('，');
            }
        }
        text.push('。');
    }
}

/// A directory in which a server and the replica of its machine have so many notes, and their indexes all of them.
///
/// It is made when it is not there, a million in a minute or two, and kept for later runs: copy it before writing to
/// it.
///
/// # Errors
/// When the disk is full, or the store does not take a note.
pub(crate) fn kept(dir: &Path, notes: u32) -> Result<PathBuf, Failure> {
    let journals = dir.join("journals");
    fs::create_dir_all(&journals)?;
    let journal = journals.join(format!("{SEED}-{notes}-v{}", schema_version(&journals)?));
    if !journal.is_dir() {
        let unfinished = tempfile::tempdir_in(&journals)?;
        make(unfinished.path(), notes)?;
        replicate(unfinished.path())?;
        fs::rename(unfinished.keep(), &journal)?;
    }
    Ok(journal)
}

/// The versions of the two schemas.
fn schema_version(dir: &Path) -> Result<String, Failure> {
    let empty = tempfile::tempdir_in(dir)?;
    let mut reader = sqlite::open(empty.path())?.reader()?;
    reader.tags(JournalId::FIRST)?;
    let version = |name: &str| -> Result<i64, Failure> {
        let conn = Connection::open(empty.path().join(name))?;
        Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
    };
    Ok(format!("{}.{}", version(SERVER)?, version(&index_of(SERVER))?))
}

fn index_of(name: &str) -> String {
    name.replace(".db", "-index.db")
}

/// Makes a server's store with so many notes, and its index.
///
/// # Errors
/// When the disk is full, or the store does not take a note.
pub(crate) fn make(dir: &Path, notes: u32) -> Result<(), Failure> {
    let mut store = sqlite::open(dir)?;
    let mut maker = Maker::new(SEED, notes);
    loop {
        let writes = maker.writes(BATCH);
        if writes.is_empty() {
            break;
        }
        store.commit(writes)?;
    }
    let mut reader = store.reader()?;
    while reader.catch_up(usize::MAX)? > 0 {}
    let count = reader.count(JournalId::FIRST)?;
    if count != u64::from(notes) {
        return Err(format!("{count} notes were made, and not {notes}").into());
    }
    Ok(())
}

/// The replica of a server, as a sync makes it. The index is the server's: it has the same rows.
fn replicate(dir: &Path) -> Result<(), Failure> {
    let mut server = sqlite::open(dir)?.reader()?;
    let options = SqliteOptions { own_chain: OwnChain::Kept, device: "laptop".into() };
    let mut replica = SqliteStore::open(&dir.join(REPLICA), options)?;
    let mut after = Cursor::START;
    loop {
        let page = server.feed(JournalId::FIRST, after, PAGE_BYTES)??;
        if page.entries.is_empty() {
            break;
        }
        replica.apply_page(after, &page)?;
        after = page.next;
    }
    replica.apply_heads(&server.heads(JournalId::FIRST)?)?;
    drop(server);
    for name in [SERVER.to_owned(), index_of(SERVER), REPLICA.to_owned()] {
        Connection::open(dir.join(name))?.query_row(
            "PRAGMA wal_checkpoint(TRUNCATE)",
            [],
            |_| Ok(()),
        )?;
    }
    fs::copy(dir.join(index_of(SERVER)), dir.join(index_of(REPLICA)))?;
    match replica.reader()?.catch_up(1)? {
        0 => Ok(()),
        behind => Err(format!("the index of the replica lacks {behind} changes").into()),
    }
}

#[cfg(test)]
mod tests {
    use suibi_journal::Query;

    use super::*;

    fn texts(seed: u64, notes: u32) -> Vec<String> {
        let mut maker = Maker::new(seed, notes);
        let mut texts = Vec::new();
        loop {
            let writes = maker.writes(100);
            if writes.is_empty() {
                return texts;
            }
            for (_, write) in writes {
                let Write::Push { entries, .. } = write else { panic!("{write:?}") };
                texts.extend(entries.into_iter().map(
                    |entry| match &entry.content().unwrap().body {
                        Body::Text(text) => text.clone(),
                        other => panic!("{other:?}"),
                    },
                ));
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_journal_in_both_languages() {
        let made = texts(1, 1_000);
        assert_eq!(made, texts(1, 1_000));
        assert_ne!(made, texts(2, 1_000));
        assert!(
            made.iter().all(|text| (95..=560).contains(&text.len())),
            "100 to 500 bytes and tags"
        );
        let having = |what: &str| made.iter().filter(|text| text.contains(what)).count();
        assert!((400..750).contains(&having(" the ")), "{}", having(" the "));
        assert!((300..600).contains(&having("的")), "{}", having("的"));
        assert_eq!(having(RARE_WORD), RARE as usize);
        assert_eq!(having(RARE_TAG), RARE as usize);
    }

    #[test]
    fn a_journal_that_was_made_is_one_in_every_respect_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let journal = kept(dir.path(), 500).unwrap();
        let verified =
            suibi_store::verify::verify(&journal.join(REPLICA), None, &mut |_, _| {}).unwrap();
        assert_eq!((verified.changes, verified.notes), (510, 500));
        assert!(verified.problems.is_empty(), "{:?}", verified.problems);

        let mut reader = sqlite::open(&journal).unwrap().reader().unwrap();
        let on = |number| reader.notes(JournalId::FIRST, &Query::on(Maker::day(number)));
        let days: Vec<usize> = [0, 250, 499].map(on).map(|notes| notes.unwrap().len()).into();
        assert_eq!(days, [100; 3]);

        let before = fs::metadata(journal.join(SERVER)).unwrap().modified().unwrap();
        assert_eq!(kept(dir.path(), 500).unwrap(), journal);
        assert_eq!(fs::metadata(journal.join(SERVER)).unwrap().modified().unwrap(), before);
    }
}
