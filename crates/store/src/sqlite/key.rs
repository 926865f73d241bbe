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
    fn a_range_has_its_last_day_and_not_the_next() {
        let day: Day = "2026-11-23".parse().unwrap();
        let range = range(None, Some(day));
        assert!(range.contains(&first(time("2026-11-23T23:59:59.999-11:00"))));
        assert!(!range.contains(&first(time("2026-11-24T00:00:00.000+14:00"))));
    }
}
