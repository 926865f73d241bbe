//! When a note was written: an instant, and the offset of the writer's clock.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Day;
use crate::day::put_digits;

/// A note's time: an instant to the millisecond and the offset from UTC at which it was written.
///
/// Text form, of which there is exactly one for each value: RFC 3339 with three digits of a second and a
/// numeric offset, `2026-11-23T09:05:00.000+08:00`, always 29 characters. UTC is `+00:00`.
///
/// Ordered by instant, then by offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteTime {
    millis: i64,
    offset_minutes: i16,
}

/// Why something is no time of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The civil year at that offset does not fit into four digits.
    #[error("the year is not between 0 and 9999")]
    OutOfRange,
    /// An offset of a day or more.
    #[error("the offset is not between -23:59 and +23:59")]
    Offset,
    /// Not the one text form.
    #[error("expected a time such as 2026-11-23T09:05:00.000+08:00")]
    Form,
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const MAX_OFFSET: i16 = 24 * 60 - 1;

impl NoteTime {
    /// A time from milliseconds since 1970-01-01 UTC and the offset in minutes, east positive.
    ///
    /// # Errors
    /// When the offset is a day or more, or the year at that offset is not 0 to 9999.
    pub fn new(millis: i64, offset_minutes: i16) -> Result<Self, TimeError> {
        if !(-MAX_OFFSET..=MAX_OFFSET).contains(&offset_minutes) {
            return Err(TimeError::Offset);
        }
        let local = millis.saturating_add(i64::from(offset_minutes) * MINUTE);
        let days = local.div_euclid(DAY);
        if !(i64::from(Day::MIN.days())..=i64::from(Day::MAX.days())).contains(&days) {
            return Err(TimeError::OutOfRange);
        }
        Ok(Self { millis, offset_minutes })
    }

    /// The moment that a clock shows, at its own offset. RFC 3339 can say whole minutes: seconds of an offset, given
    /// up a century ago, are left out.
    ///
    /// # Errors
    /// As [`NoteTime::new`].
    pub fn of(moment: &jiff::Zoned) -> Result<Self, TimeError> {
        let minutes =
            i16::try_from(moment.offset().seconds() / 60).map_err(|_| TimeError::Offset)?;
        Self::new(moment.timestamp().as_millisecond(), minutes)
    }

    /// Milliseconds since 1970-01-01 UTC, negative before.
    pub const fn millis(self) -> i64 {
        self.millis
    }

    /// Minutes that the writer's clock is ahead of UTC, negative in the west.
    pub const fn offset_minutes(self) -> i16 {
        self.offset_minutes
    }

    /// The civil day at the note's own offset: 23:50 in Shanghai stays on that day everywhere.
    pub fn day(self) -> Day {
        // The cast holds: `new` checked the range.
        Day::from_days(self.local().div_euclid(DAY) as i32)
    }

    /// Hour (0 to 23) and minute (0 to 59) at the note's own offset.
    pub fn hour_minute(self) -> (u8, u8) {
        let minutes = self.local().rem_euclid(DAY) / MINUTE;
        ((minutes / 60) as u8, (minutes % 60) as u8)
    }

    /// The text form.
    pub(crate) fn text(self) -> [u8; 29] {
        let (hour, minute) = self.hour_minute();
        let millis = self.local().rem_euclid(MINUTE);
        let offset = i64::from(self.offset_minutes.unsigned_abs());
        let mut text = *b"0000-00-00T00:00:00.000+00:00";
        text[..10].copy_from_slice(&self.day().text());
        put_digits(&mut text[11..13], i64::from(hour));
        put_digits(&mut text[14..16], i64::from(minute));
        put_digits(&mut text[17..19], millis / 1000);
        put_digits(&mut text[20..23], millis % 1000);
        text[23] = if self.offset_minutes < 0 { b'-' } else { b'+' };
        put_digits(&mut text[24..26], offset / 60);
        put_digits(&mut text[27..], offset % 60);
        text
    }

    fn local(self) -> i64 {
        self.millis + i64::from(self.offset_minutes) * MINUTE
    }
}

impl fmt::Display for NoteTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).expect("all of it is ASCII"))
    }
}

impl fmt::Debug for NoteTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteTime({self})")
    }
}

impl FromStr for NoteTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (Some(date), Some(time)) = (text.get(..10), text.get(10..)) else {
            return Err(TimeError::Form);
        };
        let day: Day = date.parse().map_err(|_| TimeError::Form)?;
        let [
            b'T',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
            b'.',
            f1,
            f2,
            f3,
            sign,
            oh1,
            oh2,
            b':',
            om1,
            om2,
        ] = *time.as_bytes()
        else {
            return Err(TimeError::Form);
        };
        let below = |digits: &[u8], limit: i64| {
            digits
                .iter()
                .try_fold(0i64, |number, digit| {
                    digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
                })
                .filter(|number| *number < limit)
                .ok_or(TimeError::Form)
        };
        // No leap second: a civil clock of milliseconds since 1970 has none.
        let minutes = below(&[h1, h2], 24)? * 60 + below(&[m1, m2], 60)?;
        let millis = below(&[s1, s2], 60)? * 1000 + below(&[f1, f2, f3], 1000)?;
        let offset = below(&[oh1, oh2], 24)? * 60 + below(&[om1, om2], 60)?;
        let offset = match sign {
            b'+' => offset,
            // `-00:00` would be a second spelling of `+00:00`.
            b'-' if offset > 0 => -offset,
            _ => return Err(TimeError::Form),
        };
        let local = i64::from(day.days()) * DAY + minutes * MINUTE + millis;
        Self::new(local - offset * MINUTE, offset as i16)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> NoteTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_note_stays_on_the_day_of_its_own_offset() {
        let shanghai = time("2026-11-23T23:50:00.000+08:00");
        assert_eq!(shanghai.day().to_string(), "2026-11-23");
        assert_eq!(shanghai.hour_minute(), (23, 50));
        assert_eq!(shanghai.millis(), 1_795_449_000_000);
        let same_instant = NoteTime::new(shanghai.millis(), -330).unwrap();
        assert_eq!(same_instant.to_string(), "2026-11-23T10:20:00.000-05:30");
        assert!(same_instant < shanghai);
    }

    #[test]
    fn the_edges_of_the_calendar_hold() {
        for text in [
            "0000-01-01T00:00:00.000+23:59",
            "0000-01-01T00:00:00.000-23:59",
            "9999-12-31T23:59:59.999-23:59",
            "9999-12-31T23:59:59.999+23:59",
            "1969-12-31T23:59:59.999+00:00",
        ] {
            assert_eq!(time(text).to_string(), text);
        }
        assert_eq!(NoteTime::new(i64::MAX, 1), Err(TimeError::OutOfRange));
        assert_eq!(NoteTime::new(i64::MIN, -1), Err(TimeError::OutOfRange));
        assert_eq!(NoteTime::new(0, 1440), Err(TimeError::Offset));
        assert_eq!(NoteTime::new(0, i16::MIN), Err(TimeError::Offset));
    }

    #[test]
    fn there_is_one_spelling() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T09:05:00+08:00",
            "2026-11-23T09:05:00.000Z",
            "2026-11-23T09:05:00.000-00:00",
            "2026-11-23t09:05:00.000+08:00",
            "2026-11-23 09:05:00.000+08:00",
            "2026-11-23T24:00:00.000+08:00",
            "2026-11-23T09:60:00.000+08:00",
            "2026-11-23T09:05:60.000+08:00",
            "2026-11-23T09:05:00.000+24:00",
            "2026-11-23T09:05:00.000+08:60",
            "2026-02-30T09:05:00.000+08:00",
            "2026-11-23T09:05:00.0000+08:00",
            "2026-11-2水T09:05:00.000+08:00",
        ] {
            assert_eq!(text.parse::<NoteTime>(), Err(TimeError::Form), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_reads_back_what_it_shows(
            millis in -62_000_000_000_000i64..253_000_000_000_000,
            offset in -1439i16..=1439,
        ) {
            let time = NoteTime::new(millis, offset).unwrap();
            prop_assert_eq!(time.to_string().len(), 29);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_is_too_rude(text in ".{0,32}") {
            let _ = text.parse::<NoteTime>();
        }
    }
}
