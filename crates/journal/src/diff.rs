//! What changed between two runs of tokens, with work that is counted instead of timed.
//!
//! The shortest edit script after Myers (An O(ND) Difference Algorithm and Its Variations, 1986), greedy and
//! forward. It is our own because of its two limits: replicas have to stop at the same place, which rules out
//! a deadline, and they have to agree for years, whatever a diff library improves meanwhile.

use std::collections::HashMap;
use std::ops::Range;

/// The most tokens taken out and put in. Beyond it two runs count as rewritten: one hunk from the first
/// difference to the last. Takes 4 MiB of memory at most.
const MAX_EDITS: usize = 1024;

/// How many steps are left for putting one note together.
///
/// A step is about one comparison. Counted and not timed, so that every replica stops at the same place.
#[derive(Debug)]
pub(crate) struct Work(usize);

/// The work ran out, or the result would be longer than a note can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Work {
    /// Enough for several heads of 1 MiB; well below a second.
    pub(crate) fn for_one_note() -> Self {
        Self(1 << 24)
    }

    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }
}

/// Tokens of the old run that became tokens of the new one; one of the two may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Which ones were taken out.
    pub old: Range<usize>,
    /// Which ones were put in.
    pub new: Range<usize>,
}

/// What changed between two texts, by their lines: hunks of them, ascending, with lines that stayed between any two.
/// Where too much changed, it is one hunk.
pub fn changed_lines(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let [old_numbers, new_numbers] = numbered([old, new]);
    diff(&old_numbers, &new_numbers, &mut Work::for_one_note())
        .unwrap_or_else(|TooMuch| vec![Hunk { old: 0..old.len(), new: 0..new.len() }])
}

/// Tokens as numbers; the same for the same.
pub(crate) fn numbered<'t, const N: usize>(runs: [&[&'t str]; N]) -> [Vec<u32>; N] {
    let mut numbers = HashMap::<&'t str, u32>::new();
    runs.map(|run| {
        let number = |token: &&'t str| {
            let next = u32::try_from(numbers.len()).expect("texts have fewer tokens than bytes");
            *numbers.entry(*token).or_insert(next)
        };
        run.iter().map(number).collect()
    })
}

/// The hunks between two runs, ascending; between any two of them at least one token is the same.
pub(crate) fn diff(old: &[u32], new: &[u32], work: &mut Work) -> Result<Vec<Hunk>, TooMuch> {
    work.spend(old.len() + new.len())?;
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[start..], &new[start..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - same], &new[..new.len() - same]);
    if old.is_empty() && new.is_empty() {
        return Ok(Vec::new());
    }
    let Some(Script { taken, put }) = shortest(old, new, work)? else {
        return Ok(vec![Hunk { old: start..start + old.len(), new: start..start + new.len() }]);
    };
    let (mut hunks, mut x, mut y) = (Vec::new(), 0, 0);
    while x < old.len() || y < new.len() {
        let from = (x, y);
        while taken.get(x) == Some(&true) {
            x += 1;
        }
        while put.get(y) == Some(&true) {
            y += 1;
        }
        if from == (x, y) {
            (x, y) = (x + 1, y + 1);
        } else {
            hunks.push(Hunk { old: start + from.0..start + x, new: start + from.1..start + y });
        }
    }
    Ok(hunks)
}

/// An edit script: which tokens of the old run are taken out, and which of the new one put in.
#[derive(Debug)]
struct Script {
    taken: Vec<bool>,
    put: Vec<bool>,
}

/// The shortest edit script; nothing when it has more than [`MAX_EDITS`] edits.
///
/// A path leads from (0, 0) to (old, new): right takes a token out, down puts one in, diagonal keeps one. Round
/// `d` holds, for each diagonal `k` = x - y, the furthest x that a path with `d` edits reaches.
fn shortest(old: &[u32], new: &[u32], work: &mut Work) -> Result<Option<Script>, TooMuch> {
    let (width, height) = (as_signed(old.len()), as_signed(new.len()));
    let limit = MAX_EDITS.min(old.len() + new.len());
    let middle = as_signed(limit) + 1;
    let at = |k: i32| usize::try_from(k + middle).expect("k is within the limit");
    // -1: no path reaches the diagonal inside the rectangle.
    let mut furthest = vec![-1i32; 2 * limit + 3];
    furthest[at(1)] = 0;
    let mut rounds: Vec<Vec<i32>> = Vec::new();
    for d in 0..=as_signed(limit) {
        rounds.push(furthest[at(-d - 1)..=at(d + 1)].to_vec());
        work.spend(rounds.len())?;
        for k in (-d..=d).step_by(2) {
            let Some((start, _)) = step(furthest[at(k - 1)], furthest[at(k + 1)], k, width, height)
            else {
                furthest[at(k)] = -1;
                continue;
            };
            let same = old[as_index(start)..]
                .iter()
                .zip(&new[as_index(start - k)..])
                .take_while(|(old, new)| old == new)
                .count();
            work.spend(same)?;
            let x = start + as_signed(same);
            furthest[at(k)] = x;
            if x == width && x - k == height {
                return Ok(Some(walk_back(&rounds, width, height)));
            }
        }
    }
    Ok(None)
}

/// Where diagonal `k` is entered, and whether by putting a token in: from the neighbour that leads further.
fn step(left: i32, right: i32, k: i32, width: i32, height: i32) -> Option<(i32, bool)> {
    let put_in = (right >= 0 && right - k <= height).then_some(right);
    let take_out = (left >= 0 && left < width).then_some(left + 1);
    match (put_in, take_out) {
        (Some(put_in), Some(take_out)) if take_out > put_in => Some((take_out, false)),
        (Some(put_in), _) => Some((put_in, true)),
        (None, take_out) => take_out.map(|x| (x, false)),
    }
}

/// The edits of the path that ended in the last of these rounds; each holds what the one before had reached.
fn walk_back(rounds: &[Vec<i32>], width: i32, height: i32) -> Script {
    let (mut taken, mut put) = (vec![false; as_index(width)], vec![false; as_index(height)]);
    let mut k = width - height;
    // Round 0 has no edit.
    for (d, before) in rounds.iter().enumerate().skip(1).rev() {
        let at = |k: i32| as_index(k + as_signed(d) + 1);
        let (x, is_put) = step(before[at(k - 1)], before[at(k + 1)], k, width, height)
            .expect("the path came this way");
        if is_put {
            put[as_index(x - k - 1)] = true;
            k += 1;
        } else {
            taken[as_index(x - 1)] = true;
            k -= 1;
        }
    }
    Script { taken, put }
}

fn as_signed(len: usize) -> i32 {
    i32::try_from(len).expect("a text has at most a million tokens, and so has each side")
}

fn as_index(at: i32) -> usize {
    usize::try_from(at).expect("points lie inside the rectangle")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hunks(old: &[u32], new: &[u32]) -> Vec<Hunk> {
        diff(old, new, &mut Work::for_one_note()).unwrap()
    }

    /// The length of the shortest edit script, by the table that everybody knows.
    fn distance(old: &[u32], new: &[u32]) -> usize {
        let mut row: Vec<usize> = (0..=new.len()).collect();
        for (x, token) in old.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], x + 1);
            for (y, other) in new.iter().enumerate() {
                let kept = if token == other { corner } else { usize::MAX };
                corner = row[y + 1];
                row[y + 1] = kept.min(1 + row[y].min(row[y + 1]));
            }
        }
        row[new.len()]
    }

    #[test]
    fn the_same_has_no_hunks_and_a_rewrite_is_one() {
        assert_eq!(hunks(&[1, 2, 3], &[1, 2, 3]), []);
        assert_eq!(hunks(&[], &[]), []);
        assert_eq!(hunks(&[1, 2], &[3]), [Hunk { old: 0..2, new: 0..1 }]);
        assert_eq!(
            hunks(&[1, 2, 4], &[1, 3, 4, 5]),
            [Hunk { old: 1..2, new: 1..2 }, Hunk { old: 3..3, new: 3..4 }]
        );
    }

    #[test]
    fn what_changed_too_much_counts_as_rewritten_from_the_first_to_the_last_difference() {
        let old: Vec<u32> = (0..5000).collect();
        let every_fourth = |x: u32| if x % 4 == 2 { x + 10_000 } else { x };
        let new: Vec<u32> = old.iter().copied().map(every_fourth).collect();
        assert_eq!(hunks(&old, &new), [Hunk { old: 2..4999, new: 2..4999 }]);
    }

    #[test]
    fn work_is_counted() {
        let mut work = Work(100);
        assert_eq!(diff(&[0; 60], &[0; 60], &mut work), Err(TooMuch));
        // A million tokens of two kinds, all a little shifted: the most that a note can ask for.
        let tokens = |token: fn(u32) -> u32| (0..1 << 20).map(token).collect::<Vec<_>>();
        let (old, new) = (tokens(|x| x % 2), tokens(|x| 1 - x % 5 % 2));
        assert_eq!(hunks(&old, &new).len(), 1);
    }

    proptest! {
        #[test]
        fn hunks_lead_from_the_old_to_the_new_by_the_shortest_way(
            old in prop::collection::vec(0u32..5, 0..30),
            new in prop::collection::vec(0u32..5, 0..30),
        ) {
            let hunks = hunks(&old, &new);
            let (mut built, mut at, mut edits) = (Vec::new(), 0, 0);
            for hunk in &hunks {
                prop_assert!(at == 0 || hunk.old.start > at, "hunks do not touch");
                built.extend_from_slice(&old[at..hunk.old.start]);
                prop_assert_eq!(built.len(), hunk.new.start);
                built.extend_from_slice(&new[hunk.new.clone()]);
                at = hunk.old.end;
                edits += hunk.old.len() + hunk.new.len();
            }
            built.extend_from_slice(&old[at..]);
            prop_assert_eq!(&built, &new);
            prop_assert_eq!(edits, distance(&old, &new));
        }
    }
}
