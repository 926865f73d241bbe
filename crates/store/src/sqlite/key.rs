//! The order of notes as one integer: day, instant, arrival.
//!
//! ```text
//!   63                41 40                   13 12           0
//!  +--------------------+-----------------------+--------------+
//!  | day, signed        | instant, milliseconds | slot         |
//!  | (since 1970-01-01) | since the day before  | of the same  |
//!  |                    | began in UTC          | instant      |
//!  +--------------------+-----------------------+--------------+
//! ```
//!
//! It is the primary key of the notes and the row id of their words in the index. So a day is one
//! range of both, "the newest" is the end of a range, and no further tree is written per note.

use std::ops::RangeInclusive;

use suibi_journal::{Day, NoteTime};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const SLOT_BITS: u32 = 13;
const DAY_SHIFT: u32 = 41;

/// How many notes may have the same day and instant before the next millisecond is taken.
pub(crate) const SLOTS: i64 = 1 << SLOT_BITS;

/// The first key for a note of this time.
pub(crate) fn first(time: NoteTime) -> i64 {
    let day = i64::from(time.day().days());
    // An offset is less than a day, so this lies between 0 and three days: 28 bits.
    let in_day = time.millis() - day * DAY_MILLIS + DAY_MILLIS;
    (day << DAY_SHIFT) | (in_day << SLOT_BITS)
}

/// Whether a note with this key may keep it when its time is `time`.
pub(crate) fn fits(key: i64, time: NoteTime) -> bool {
    (first(time)..first(time) + SLOTS).contains(&key)
}

/// The day of a key.
pub(crate) fn day(key: i64) -> Day {
    // 22 bits are left, and a Day has more.
    Day::from_days((key >> DAY_SHIFT) as i32)
}

/// The keys of all notes from one day to another, both included.
pub(crate) fn range(since: Option<Day>, until: Option<Day>) -> RangeInclusive<i64> {
    let start = since.map_or(i64::MIN, |day| day_start(i64::from(day.days())));
    let end = until.map_or(i64::MAX, |day| day_start(i64::from(day.days()) + 1) - 1);
    start..=end
}

/// Instants whose notes are counted from commit to commit: as a power of two.
const REMEMBERED_BITS: u32 = 6;

/// The next key for notes of an instant that had some lately. What is forgotten is found out by the insert that fails.
#[derive(Debug)]
pub(crate) struct NextKeys([Option<(i64, i64)>; 1 << REMEMBERED_BITS]);

impl Default for NextKeys {
    fn default() -> Self {
        Self([None; 1 << REMEMBERED_BITS])
    }
}

impl NextKeys {
    /// The next key of the instant with this first one, if that is remembered.
    pub(crate) fn get(&self, first: i64) -> Option<i64> {
        self.0[Self::place(first)].filter(|(of, _)| *of == first).map(|(_, next)| next)
    }

    pub(crate) fn set(&mut self, first: i64, next: i64) {
        self.0[Self::place(first)] = Some((first, next));
    }

    pub(crate) fn forget(&mut self, first: i64) {
        self.0[Self::place(first)].take_if(|(of, _)| *of == first);
    }

    /// Instants that differ by round numbers have other places (the golden ratio, after Knuth).
    fn place(first: i64) -> usize {
        let spread = ((first >> SLOT_BITS) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (u64::BITS - REMEMBERED_BITS)) as usize
    }
}

/// Days further away than a note can be are brought to the ends.
fn day_start(day: i64) -> i64 {
    const FAR: i64 = 1 << (63 - DAY_SHIFT);
    day.clamp(-FAR, FAR - 1) << DAY_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NoteTime {
        text.parse().unwrap()
    }

    #[test]
    fn keys_rise_with_day_then_instant() {
        let times = [
            "0001-01-01T00:00:00.000+00:00",
            "1969-12-31T23:59:59.999-12:00",
            "1970-01-01T00:00:00.000+00:00",
            "2026-11-22T23:59:59.999-11:00",
            "2026-11-23T00:00:00.000+14:00",
            "2026-11-23T00:00:00.000+00:00",
            "2026-11-23T23:59:59.999+00:00",
            "2026-11-23T23:59:59.999-11:00",
            "2026-11-24T00:00:00.000+14:00",
            "9999-12-31T23:59:59.999+00:00",
        ]
        .map(time);
        for pair in times.windows(2) {
            assert!(first(pair[0]) + SLOTS <= first(pair[1]), "{} {}", pair[0], pair[1]);
        }
        for time in times {
            assert_eq!(day(first(time)), time.day());
            let range = range(Some(time.day()), Some(time.day()));
            assert!(range.contains(&first(time)));
            assert!(range.contains(&(first(time) + SLOTS - 1)));
        }
    }

    #[test]
    fn the_next_key_is_that_of_its_own_instant_or_unknown() {
        let mut keys = NextKeys::default();
        let instants: Vec<i64> = (0..1000)
            .map(|day| first(time("2026-11-23T00:00:00.000+00:00")) + (day << DAY_SHIFT))
            .collect();
        for first in &instants {
            keys.set(*first, first + 1);
            assert_eq!(keys.get(*first), Some(first + 1));
        }
        let known: Vec<_> =
            instants.iter().filter_map(|first| Some((first, keys.get(*first)?))).collect();
        assert!(known.len() > 32, "whole days do not push each other out: {}", known.len());
        assert!(known.iter().all(|(first, next)| **first + 1 == *next));
        let last = instants[999];
        keys.forget(last);
        assert_eq!(keys.get(last), None);
    }

    #[test]
    fn a_range_has_its_last_day_and_not_the_next() {
        let day: Day = "2026-11-23".parse().unwrap();
        let range = range(None, Some(day));
        assert!(range.contains(&first(time("2026-11-23T23:59:59.999-11:00"))));
        assert!(!range.contains(&first(time("2026-11-24T00:00:00.000+14:00"))));
    }
}
