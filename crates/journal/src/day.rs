//! Civil days, as people name them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
pub use jiff::civil::Weekday;
use thiserror::Error;

/// A civil day, from 0000-01-01 to 9999-12-31.
///
/// Text form: `YYYY-MM-DD` (RFC 3339 `full-date`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// From 0000-03-01, where the years of the arithmetic begin: a leap day is the last of its year then.
const EPOCH: i32 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const CYCLE: i32 = 146_097;

impl Day {
    /// 0000-01-01.
    pub const MIN: Self = Self(-719_528);
    /// 9999-12-31.
    pub const MAX: Self = Self(2_932_896);

    /// The day so many days after 1970-01-01, held within [`Day::MIN`] and [`Day::MAX`].
    pub fn from_days(days: i32) -> Self {
        Self(days.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The day of a year, month (from 1) and day of the month (from 1).
    ///
    /// # Errors
    /// When the calendar has no such day; the error says how many it has.
    pub fn from_ymd(year: i16, month: u8, day: u8) -> Result<Self, DayError> {
        if !(0..=9999).contains(&year) {
            return Err(DayError::Year(year));
        }
        if !(1..=12).contains(&month) {
            return Err(DayError::Month(month));
        }
        // The casts hold: month and day were checked to be small.
        let first = jiff::civil::date(year, month as i8, 1);
        let days = first.days_in_month() as u8;
        if day == 0 || day > days {
            return Err(DayError::DayOfMonth { year, month, days });
        }
        let (years, months) = match month {
            1 | 2 => (i32::from(year) - 1, i32::from(month) + 9),
            _ => (i32::from(year), i32::from(month) - 3),
        };
        let (cycle, year) = (years.div_euclid(400), years.rem_euclid(400));
        let of_year = days_before_month(months) + i32::from(day) - 1;
        Ok(Self(cycle * CYCLE + days_before_year(year) + of_year - EPOCH))
    }

    /// Days since 1970-01-01, negative before.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The year, 0 to 9999.
    pub fn year(self) -> i16 {
        self.date().year()
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u8 {
        self.date().month().unsigned_abs()
    }

    /// The day of the month, 1 to 31.
    pub fn day(self) -> u8 {
        self.date().day().unsigned_abs()
    }

    /// The day of the week.
    pub fn weekday(self) -> Weekday {
        self.date().weekday()
    }

    /// So many days later, or earlier when negative; stays within [`Day::MIN`] and [`Day::MAX`].
    #[expect(clippy::should_implement_trait, reason = "days are added, not days to days")]
    pub fn add(self, days: i32) -> Self {
        Self::from_days(self.0.saturating_add(days))
    }

    fn date(self) -> Date {
        let since = self.0 + EPOCH;
        let (cycle, in_cycle) = (since.div_euclid(CYCLE), since.rem_euclid(CYCLE));
        // Without its leap days a year has 365; the last day of four, a hundred and 400 years is one too many.
        let leap_days = in_cycle / 1_460 - in_cycle / 36_524 + in_cycle / 146_096;
        let year = (in_cycle - leap_days) / 365;
        let of_year = in_cycle - days_before_year(year);
        let months = (of_year * 5 + 2) / 153;
        let day = of_year - days_before_month(months) + 1;
        let (year, month) = match months {
            10 | 11 => (cycle * 400 + year + 1, months - 9),
            _ => (cycle * 400 + year, months + 3),
        };
        // The casts hold: four digits, and two each.
        jiff::civil::date(year as i16, month as i8, day as i8)
    }

    /// The text form.
    pub(crate) fn text(self) -> [u8; 10] {
        let date = self.date();
        let mut text = *b"0000-00-00";
        put_digits(&mut text[..4], i64::from(date.year()));
        put_digits(&mut text[5..7], i64::from(date.month()));
        put_digits(&mut text[8..], i64::from(date.day()));
        text
    }
}

/// Days before a year of a cycle that begins with March.
fn days_before_year(year: i32) -> i32 {
    year * 365 + year / 4 - year / 100
}

/// Days before a month of such a year: months of 31 and 30 days take turns, but for July and August, December and
/// January.
fn days_before_month(month: i32) -> i32 {
    (month * 153 + 2) / 5
}

/// The last digits of a number that is not negative, as many as there is room for.
pub(crate) fn put_digits(text: &mut [u8], mut number: i64) {
    for place in text.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).expect("digits and hyphens"))
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({self})")
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let form = || DayError::Form(text.chars().take(40).collect());
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else {
            return Err(form());
        };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0u16, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u16::from(digit - b'0'))
            })
        };
        let year = number(&[y1, y2, y3, y4]).ok_or_else(form)?;
        let month = number(&[m1, m2]).ok_or_else(form)?;
        let day = number(&[d1, d2]).ok_or_else(form)?;
        // The casts hold: four digits and two.
        Self::from_ymd(year as i16, month as u8, day as u8)
    }
}

/// Why a text names no day.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DayError {
    /// No known word and not of the form `YYYY-MM-DD`.
    #[error("`{0}` is no day: write YYYY-MM-DD, today, yesterday, 今天, 昨天 or 前天")]
    Form(String),
    /// A year that four digits cannot show.
    #[error("the year {0} is not between 0 and 9999")]
    Year(i16),
    /// There are twelve months.
    #[error("there is no month {0}: months are 01 to 12")]
    Month(u8),
    /// The month is shorter.
    #[error("{} {year} has {days} days", month_name(*.month))]
    DayOfMonth {
        /// The year.
        year: i16,
        /// The month, 1 to 12.
        month: u8,
        /// How many days it has.
        days: u8,
    },
}

/// The day that a person means: `YYYY-MM-DD`, `today`, `yesterday`, `今天`, `昨天` or `前天`.
///
/// Words are taken in any case, and space around them does not matter.
///
/// # Errors
/// When it is none of these, or the calendar has no such day.
pub fn parse(text: &str, today: Day) -> Result<Day, DayError> {
    let text = text.trim();
    match text.to_lowercase().as_str() {
        "today" | "今天" => Ok(today),
        "yesterday" | "昨天" => Ok(today.add(-1)),
        "前天" => Ok(today.add(-2)),
        _ => text.parse(),
    }
}

fn month_name(month: u8) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("that month of")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn the_arithmetic_is_that_of_the_calendar() {
        let epoch = jiff::civil::date(1970, 1, 1);
        for year in 0..=9999 {
            for month in 1..=12 {
                let first = jiff::civil::date(year, month, 1);
                for date in [first, first.last_of_month()] {
                    let day = Day::from_ymd(year, month as u8, date.day() as u8).unwrap();
                    assert_eq!(day.days(), date.since(epoch).unwrap().get_days(), "{date}");
                    assert_eq!(day.date(), date);
                    assert_eq!(day.to_string(), date.to_string());
                }
            }
        }
    }

    #[test]
    fn a_day_counts_from_1970() {
        assert_eq!(day("1970-01-01").days(), 0);
        assert_eq!(day("2026-11-23").days(), 20_780);
        assert_eq!(day("0000-01-01"), Day::MIN);
        assert_eq!(day("9999-12-31"), Day::MAX);
        assert_eq!(day("2026-11-23").weekday(), Weekday::Monday);
        assert_eq!(day("2024-02-29").add(1), day("2024-03-01"));
        assert_eq!(Day::MAX.add(i32::MAX), Day::MAX);
        assert_eq!(Day::from_days(i32::MIN), Day::MIN);
    }

    #[test]
    fn a_day_that_the_calendar_lacks_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Day>().unwrap_err().to_string();
        assert_eq!(refused("2026-02-30"), "February 2026 has 28 days");
        assert_eq!(refused("2024-02-30"), "February 2024 has 29 days");
        assert_eq!(refused("2026-11-31"), "November 2026 has 30 days");
        assert_eq!(refused("2026-01-00"), "January 2026 has 31 days");
        assert_eq!(refused("2026-13-01"), "there is no month 13: months are 01 to 12");
        for text in ["", "2026-1-1", "2026/01/01", "+026-01-01", "20260-1-01", "２０２６-01-01"]
        {
            assert!(refused(text).contains("is no day"), "{text}");
        }
    }

    #[test]
    fn words_name_days_in_two_languages() {
        let today = day("2026-03-01");
        let parsed = |text| parse(text, today).unwrap().to_string();
        assert_eq!(parsed(" Today "), "2026-03-01");
        assert_eq!(parsed("今天"), "2026-03-01");
        assert_eq!(parsed("YESTERDAY"), "2026-02-28");
        assert_eq!(parsed("昨天"), "2026-02-28");
        assert_eq!(parsed("前天"), "2026-02-27");
        assert_eq!(parsed("2026-02-14"), "2026-02-14");
        assert!(matches!(parse("tomorrowish", today), Err(DayError::Form(_))));
        assert!(matches!(parse("2026-02-30", today), Err(DayError::DayOfMonth { .. })));
    }

    proptest! {
        #[test]
        fn every_day_reads_back_what_it_shows(days in Day::MIN.0..=Day::MAX.0) {
            let day = Day::from_days(days);
            prop_assert_eq!(day.to_string().parse::<Day>(), Ok(day));
            prop_assert_eq!(Day::from_ymd(day.year(), day.month(), day.day()), Ok(day));
        }

        #[test]
        fn no_text_is_too_rude(text in ".{0,12}") {
            let _ = parse(&text, Day::MIN);
        }
    }
}
