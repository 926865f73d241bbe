//! Makes the tables of Chinese characters: which are traditional forms of which, and how each is read.
//!
//! Plain numbers without a pointer in them: a program that never searches reads no page of them, and the loader has
//! nothing to do for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use hanconv::RawDictionary;
use pinyin::ToPinyinMulti as _;

/// The block of ideographs that nearly all text is written with, by which the tables are numbered.
const FIRST: u32 = 0x4E00;
const LAST: u32 = 0x9FFF;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let mut tables = String::new();
    simplified(&mut tables);
    readings(&mut tables);
    let out = env::var_os("OUT_DIR").expect("cargo names a directory");
    fs::write(Path::new(&out).join("han.rs"), tables).expect("the tables can be written");
}

/// `SIMPLE`: what each character of the block is in simplified script, 0 where it stays, 1 where the pair is in
/// `SIMPLE_FAR`, which has those of which one is outside of the block.
fn simplified(tables: &mut String) {
    let mut pairs: BTreeMap<char, char> = BTreeMap::new();
    for line in RawDictionary::TSCharacters.text().lines().filter(|line| !line.starts_with('#')) {
        let Some((from, to)) = line.split_once('\t') else { continue };
        let mut from = from.chars();
        let (Some(from), None) = (from.next(), from.next()) else { continue };
        // Where a character may stay, it is taken for another all the same: 瞭解 is 了解.
        let to = to.split_whitespace().filter_map(|to| to.chars().next()).find(|to| *to != from);
        pairs.extend(to.map(|to| (from, to)));
    }
    let settled = |from: char| {
        let mut seen = BTreeSet::from([from]);
        let mut to = from;
        while let Some(next) = pairs.get(&to)
            && seen.insert(*next)
        {
            to = *next;
        }
        to
    };
    let mut near = vec![0; (LAST - FIRST + 1) as usize];
    let mut far = String::new();
    for from in pairs.keys() {
        let (from, to) = (u32::from(*from), u32::from(settled(*from)));
        if (FIRST..=LAST).contains(&from) && to <= 0xFFFF {
            near[(from - FIRST) as usize] = to;
        } else {
            if let Some(place) = from.checked_sub(FIRST).filter(|_| from <= LAST) {
                near[place as usize] = 1;
            }
            let _ = write!(far, "({from},{to}),");
        }
    }
    let _ = writeln!(tables, "static SIMPLE: [u16; {}] = {near:?};", near.len());
    let _ = writeln!(tables, "static SIMPLE_FAR: &[(u32, u32)] = &[{far}];");
}

/// `SYLLABLES`: all there are, without tones, `v` for `ü`, in their order; `PLACES`: the first letter of each, and its
/// number among those that begin so; `READINGS`: where in `SETS` the readings of each character of the block stand, 0 for
/// none: how many, and which, the most usual first.
fn readings(tables: &mut String) {
    let mut of: Vec<Vec<String>> = Vec::new();
    for c in (FIRST..=LAST).filter_map(char::from_u32) {
        let mut syllables: Vec<String> = Vec::new();
        for reading in c.to_pinyin_multi().into_iter().flatten() {
            let syllable = reading.plain().replace('ü', "v").replace('ê', "e");
            let is_plain = syllable.bytes().all(|b| b.is_ascii_lowercase());
            // Sounds such as `hm` are no syllables.
            let is_read = is_plain && syllable.contains(['a', 'e', 'i', 'o', 'u', 'v']);
            if is_read && !syllables.contains(&syllable) {
                syllables.push(syllable);
            }
        }
        of.push(syllables);
    }
    let all: BTreeSet<&String> = of.iter().flatten().collect();
    let number = |syllable: &String| all.range::<&String, _>(..syllable).count();
    let mut sets = vec![0];
    let mut places: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let mut table = Vec::new();
    for syllables in &of {
        let ids: Vec<usize> = syllables.iter().map(number).collect();
        if ids.is_empty() {
            table.push(0);
            continue;
        }
        let place = *places.entry(ids).or_insert_with_key(|ids| {
            let place = sets.len();
            sets.push(ids.len());
            sets.extend(ids);
            place
        });
        assert!(place <= usize::from(u16::MAX));
        table.push(place);
    }
    let names: String = all.iter().map(|syllable| format!("*b\"{syllable:6}\",")).collect();
    let _ = writeln!(tables, "static SYLLABLES: [[u8; 6]; {}] = [{names}];", all.len());
    let mut places: Vec<[usize; 2]> = Vec::new();
    for syllable in &all {
        let letter = usize::from(syllable.as_bytes()[0] - b'a');
        let before = places.iter().filter(|place| place[0] == letter).count();
        assert!(before < 64);
        places.push([letter, before]);
    }
    let _ = writeln!(tables, "static PLACES: [[u8; 2]; {}] = {places:?};", all.len());
    let _ = writeln!(tables, "static READINGS: [u16; {}] = {table:?};", table.len());
    let _ = writeln!(tables, "static SETS: [u16; {}] = {sets:?};", sets.len());
}
