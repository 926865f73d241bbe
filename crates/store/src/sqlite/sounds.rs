//! Pinyin as a question to the index.
//!
//! The index has, for each two characters next to each other in a note, one word for their sounds as they are read most
//! often. A character that can be read otherwise as well is asked for by itself: 长大 (`zhang da`, or so it seems) is
//! found as `chang da` in the notes that have the word for `zhang da` and the character 长. What is offered too
//! much, the look at the note's text takes out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use suibi_journal::han::Syllable;
use suibi_journal::pinyin::Sound;

use super::index::{MOST_WORDS, Snapshot, quoted};
use super::marks;
use crate::StoreError;

/// The notes that may have characters with these sounds next to each other. None: no note has.
pub(super) fn question(
    index: &Snapshot<'_>,
    sounds: &[Sound],
    is_broad: &mut bool,
) -> Result<Option<String>, StoreError> {
    if let [sound] = sounds {
        let words = sound.characters().into_iter().map(|(_, c)| c.to_string()).collect();
        return Ok(any(present(index, &words)?.iter().map(|word| quoted(word)).collect()));
    }
    let mut pairs = Vec::new();
    let mut first = Way::of(index, &sounds[0])?;
    for two in sounds.windows(2) {
        let second = Way::of(index, &two[1])?;
        let Some(pair) = pair(index, two, (&first, &second), is_broad)? else { return Ok(None) };
        pairs.push(pair);
        first = second;
    }
    Ok(Some(format!("({})", pairs.join(" AND "))))
}

/// What stands for a sound in the words of the index: how a character is read most often, and, where that is another
/// sound, the characters that can be read as wanted.
struct Way(Vec<(Syllable, Option<Vec<String>>)>);

impl Way {
    fn of(index: &Snapshot<'_>, sound: &Sound) -> Result<Self, StoreError> {
        let mut ways: Vec<_> = Syllable::all()
            .filter(|syllable| sound.is(*syllable))
            .map(|usual| (usual, None))
            .collect();
        let mut others: BTreeMap<Syllable, Vec<String>> = BTreeMap::new();
        let unusual: Vec<_> =
            sound.characters().into_iter().filter(|(usual, _)| !sound.is(*usual)).collect();
        let there = present(index, &unusual.iter().map(|(_, c)| c.to_string()).collect())?;
        for (usual, c) in unusual {
            let c = c.to_string();
            if there.contains(&c) {
                others.entry(usual).or_default().push(quoted(&c));
            }
        }
        ways.extend(others.into_iter().map(|(usual, characters)| (usual, Some(characters))));
        Ok(Self(ways))
    }
}

/// The notes that may have two sounds next to each other.
fn pair(
    index: &Snapshot<'_>,
    sounds: &[Sound],
    ways: (&Way, &Way),
    is_broad: &mut bool,
) -> Result<Option<String>, StoreError> {
    let mut wanted = BTreeMap::new();
    for (one, first) in &ways.0.0 {
        for (other, second) in &ways.1.0 {
            wanted.insert(marks::pair((*one, *other)), (first, second));
        }
    }
    let (mut usual, mut unusual) = (Vec::new(), Vec::new());
    for word in present(index, &wanted.keys().cloned().collect())? {
        match wanted[&word] {
            (None, None) => usual.push(quoted(&word)),
            (first, second) => {
                let mut parts = vec![quoted(&word)];
                parts.extend([first, second].into_iter().flatten().cloned().filter_map(any));
                unusual.push(format!("({})", parts.join(" AND ")));
            }
        }
    }
    if let [Some(one), Some(other)] = [sounds[0].only_letter(), sounds[1].only_letter()]
        && usual.len() > MOST_WORDS
    {
        *is_broad = true;
        usual = vec![format!("{} *", quoted(&marks::letters(one, other).to_string()))];
    }
    usual.append(&mut unusual);
    Ok(any(usual))
}

/// Those of some words that the index has. Most often that is few of many, and they are found by asking for the next.
fn present(
    index: &Snapshot<'_>,
    wanted: &BTreeSet<String>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut there = BTreeSet::new();
    let mut next = wanted.first();
    while let Some(word) = next {
        let Some(found) = index.next_word(word)? else { break };
        // A word that is cut within a character is none of these.
        let Ok(found) = String::from_utf8(found) else {
            next = wanted.range::<String, _>((Excluded(word), Unbounded)).next();
            continue;
        };
        next = match wanted.get(&found) {
            Some(found) => {
                there.insert(found.clone());
                wanted.range::<String, _>((Excluded(found), Unbounded)).next()
            }
            None => wanted.range(found..).next(),
        };
    }
    Ok(there)
}

fn any(parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| format!("({})", parts.join(" OR ")))
}
