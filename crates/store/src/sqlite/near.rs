//! Words of the index that are spelled nearly like another one.
//!
//! The words stand in order, so that those whose beginning is already too far are passed over in one step. The steps
//! are counted: a question that found nothing is answered soon, whatever the journal's size.

use super::index::Snapshot;
use crate::StoreError;

/// So many words of the index are looked at.
const MOST_STEPS: usize = 600;

/// The words that take at most so many slips to type for this one, the fewest first: a letter too many, too few, another
/// one, or two that changed places.
pub(super) fn near(
    index: &Snapshot<'_>,
    word: &str,
    slips: usize,
) -> Result<Vec<(usize, String)>, StoreError> {
    let wanted: Vec<char> = word.chars().collect();
    let mut near = Vec::new();
    // Words of letters begin there; before them stand numbers.
    let mut from = String::from("a");
    for _ in 0..MOST_STEPS {
        let Some(Ok(found)) = index.next_word(&from)?.map(String::from_utf8) else { break };
        let letters: Vec<char> = found.chars().collect();
        if letters.first().is_some_and(|c| *c > 'z') {
            break;
        }
        from = match distance(&letters, &wanted, slips) {
            Ok(distance) => {
                if distance <= slips && distance > 0 {
                    near.push((distance, found.clone()));
                }
                found + "\x01"
            }
            // Behind all words that begin like this.
            Err(len) => {
                let last = char::from_u32(u32::from(letters[len - 1]) + 1).unwrap_or(char::MAX);
                letters[..len - 1].iter().copied().chain([last]).collect()
            }
        };
    }
    near.sort();
    Ok(near)
}

/// How many slips apart two words are; or, where more than `most`, perhaps how long the beginning of the first is that
/// tells it.
fn distance(word: &[char], wanted: &[char], most: usize) -> Result<usize, usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (at, c) in word.iter().enumerate() {
        let mut next = vec![at + 1];
        for (place, other) in wanted.iter().enumerate() {
            let mut least =
                (row[place] + usize::from(c != other)).min(row[place + 1] + 1).min(next[place] + 1);
            if at > 0 && place > 0 && *c == wanted[place - 1] && word[at - 1] == *other {
                least = least.min(before[place - 1] + 1);
            }
            next.push(least);
        }
        // Two letters that changed places are seen with the second one.
        let least = |row: &[usize]| row.iter().copied().min().unwrap_or(0);
        if least(&next) > most && least(&row) >= most {
            return Err(at + 1);
        }
        before = std::mem::replace(&mut row, next);
    }
    Ok(row[wanted.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (word, wanted, expected) in [
            ("milk", "milk", 0),
            ("milk", "mikl", 1),
            ("milk", "milkk", 1),
            ("milk", "mlk", 1),
            ("milk", "malk", 1),
            ("market", "marekt", 1),
            ("market", "maktet", 2),
            ("", "ab", 2),
            ("meeting", "meting", 1),
        ] {
            let letters = |word: &str| word.chars().collect::<Vec<_>>();
            let found = distance(&letters(word), &letters(wanted), 9);
            assert_eq!(found, Ok(expected), "{word} {wanted}");
        }
    }

    #[test]
    fn a_beginning_is_given_up_only_where_nothing_can_follow() {
        let letters = ['a', 'b', 'c'];
        let all: Vec<Vec<char>> = (0..=5)
            .flat_map(|len| {
                (0..3_usize.pow(len))
                    .map(move |n| (0..len).map(|at| letters[n / 3_usize.pow(at) % 3]).collect())
            })
            .collect();
        for wanted in [['a', 'b', 'c'], ['a', 'a', 'b'], ['c', 'b', 'a']] {
            for word in &all {
                for most in [1, 2] {
                    if let Err(len) = distance(word, &wanted, most) {
                        let near = |other: &&Vec<char>| {
                            other.starts_with(&word[..len])
                                && distance(other, &wanted, 9).is_ok_and(|d| d <= most)
                        };
                        assert_eq!(all.iter().find(near), None, "{word:?} {wanted:?}");
                    }
                }
            }
        }
    }
}
