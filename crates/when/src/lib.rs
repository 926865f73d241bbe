//! Dates, times and ranges as people write them, in English and Chinese.
//!
//! ```
//! use suibi_when::{moment, prefix, range};
//! let now: jiff::Zoned = "2026-11-23T09:05+08:00[+08:00]".parse().unwrap();
//!
//! let friday = moment("last fri 9:30", &now).unwrap();
//! assert_eq!(friday.to_string(), "2026-11-20 09:30");
//!
//! let text = "昨天下午三点：和小王喝茶";
//! let dated = prefix(text, &now).unwrap();
//! assert_eq!(dated.moment.to_string(), "2026-11-22 15:00");
//! assert_eq!(&text[dated.len..], "和小王喝茶");
//! assert!(prefix("March is over: yes", &now).is_none());
//!
//! let stretch = range("上个月", &now).unwrap();
//! assert_eq!(stretch.to_string(), "2026-10-01..2026-10-31");
//! ```
//!
//! All of it is a function of the text and the present moment in its time zone: no clock, no locale, no setting. Both
//! languages are understood at any time, and may be mixed. The rules, where a phrase could mean two things:
//!
//! - **The past goes first.** A weekday, a date without its year, a month without its year: the latest one, today
//!   included. `last fri` is the latest Friday before today, `next fri` the first after it; `上周五`, `这周五`, `下周五` and
//!   `fri last week` are those of their week. Words that say the future (`tomorrow`, `明天`, a full date) are taken.
//! - **Weeks begin with Monday** (ISO 8601); the weekend is the last two days of a week.
//! - **A day without a time** is that day at the time that it is now, so that notes of one evening keep their order. A time
//!   without a day is today's. A part of a day (`this morning`, `晚上`) is a usual hour of it, for ranges all of it.
//! - **Hours** count to 24 unless `am`, `pm` or a part of the day says otherwise. `中午`, `noon`: 12:00; `半夜`, `midnight`: 0:00,
//!   where the day begins; `晚上十二点` is the end of the day. `晚上三点` may be of two days and is none.
//! - **Clocks put forward** skip an hour: a time in it is as much later. Put back, an hour comes twice: the first counts.
//! - **A time with an offset** (`T15:00+02:00`) keeps it; one in UTC (`Z`) is that moment on the clock here.
//! - **In front of a note** ([`prefix`]) counts what is a time as a whole, up to a colon with text behind it. Months, weeks and
//!   years are no time, and a few words and numbers that are more often something else are none there (see [`prefix`]).

mod civil;
mod clock;
mod day;
mod fold;
mod names;
mod numeral;
mod said;
mod scan;
mod stretch;

use std::fmt;

use jiff::Zoned;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use thiserror::Error;

use said::{Context, Said};

/// The longest text that may be a time, in characters.
const MAX_CHARS: usize = 64;

/// A moment, to the second at best.
///
/// Text form: `2026-11-23 15:00`, which [`moment`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When, and at which offset.
    pub at: Zoned,
    /// No clock showed the time that was written (it was put forward then), and this is as much later.
    pub moved: bool,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at.strftime("%Y-%m-%d %H:%M"))
    }
}

/// A time in front of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// When.
    pub moment: Moment,
    /// How many bytes of the text it takes, with its colon and the blanks behind it.
    pub len: usize,
}

/// A stretch of civil time, from minute to minute, both included; open where there is none.
///
/// Text form: `2026-11-16..2026-11-22`, with times where it is not whole days; [`range`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first minute.
    pub first: Option<DateTime>,
    /// The last minute.
    pub last: Option<DateTime>,
}

impl Range {
    /// The day, where it is just that: all of one day.
    pub fn day(&self) -> Option<jiff::civil::Date> {
        let (first, last) = (self.first?, self.last?);
        let is_whole = first.date() == last.date() && begins_day(first) && ends_day(last);
        is_whole.then(|| first.date())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = |is_day: bool| if is_day { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" };
        if let Some(day) = self.day() {
            return write!(f, "{}", day.strftime("%Y-%m-%d"));
        }
        if let Some(first) = self.first {
            write!(f, "{}", first.strftime(form(begins_day(first))))?;
        }
        f.write_str("..")?;
        match self.last {
            Some(last) => write!(
                f,
                "{}",
                last.strftime(form(ends_day(last) && self.first.is_none_or(begins_day)))
            ),
            None => Ok(()),
        }
    }
}

fn begins_day(time: DateTime) -> bool {
    (time.hour(), time.minute()) == (0, 0)
}

fn ends_day(time: DateTime) -> bool {
    (time.hour(), time.minute()) == (23, 59)
}

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WhenError {
    /// Nothing that we know.
    #[error("this is no time that I understand")]
    Unknown,
    /// It looks like a date that the calendar lacks: 30 February.
    #[error("the calendar has no such day")]
    NoSuchDay,
    /// The end of a range lies before its beginning.
    #[error("this ends before it begins")]
    Backwards,
}

/// The moment that a text names, all of it.
///
/// # Errors
///
/// The text is no moment; a stretch of days (`last week`) is none.
pub fn moment(text: &str, now: &Zoned) -> Result<Moment, WhenError> {
    if text.chars().nth(MAX_CHARS).is_some() {
        return Err(WhenError::Unknown);
    }
    let folded = fold::fold(text);
    let context = Context::new(now);
    match said::said(&folded, &context) {
        Some(said) => at(said, now).ok_or(WhenError::Unknown),
        None => Err(civil::complaint(&folded)),
    }
}

/// The moment that stands in front of a text, with a colon behind it: `yesterday 3pm: tea`, `昨天：喝茶`.
///
/// An ASCII colon has a space behind it, or what is not ASCII; so `10:30` and `http://…` have none. Something has to follow.
/// What is a time on its own and more often something else in front of a colon is none here: `now` and `刚才`, which
/// would say nothing; a month and a day in digits alone (`1/2:`, `3.5:`, `11-23:`; with a time they count), eight digits; `5号：`, which counts
/// things; `三点：`, which counts arguments; `sat:`, `sun:` and `wed:`, which are words. This costs nothing where the text has no colon near its beginning.
pub fn prefix(text: &str, now: &Zoned) -> Option<Prefix> {
    let context = Context { in_front: true, ..Context::new(now) };
    for (end, colon) in colons(text) {
        let rest = &text[end + colon..];
        let taken = text.len() - rest.trim_start().len();
        if taken == text.len() {
            return None;
        }
        if let Some(said) = said::said(&fold::fold(&text[..end]), &context)
            && let Some(moment) = at(said, now)
        {
            return Some(Prefix { moment, len: taken });
        }
    }
    None
}

/// Whether [`prefix`] would look any further: there is a colon where one may end a time.
pub fn may_have_prefix(text: &str) -> bool {
    colons(text).next().is_some()
}

/// Where colons begin that may end a time, and how many bytes each has.
fn colons(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let near = text.char_indices().take(MAX_CHARS).take_while(|(_, c)| *c != '\n');
    near.filter_map(|(at, c)| {
        let next = text[at + c.len_utf8()..].chars().next()?;
        let ends = match c {
            ':' => next.is_whitespace() || !next.is_ascii(),
            '：' => true,
            _ => false,
        };
        (ends && at > 0).then(|| (at, c.len_utf8()))
    })
}

/// The stretch of time that a text names, all of it: a moment is its minute, a day all of that day.
///
/// # Errors
///
/// The text is none.
pub fn range(text: &str, now: &Zoned) -> Result<Range, WhenError> {
    if text.chars().nth(MAX_CHARS * 2).is_some() {
        return Err(WhenError::Unknown);
    }
    stretch::range(&fold::fold(text), &Context::new(now))
}

/// The moment on the clock here.
fn at(said: Said, now: &Zoned) -> Option<Moment> {
    let (civil, zone) = match said {
        Said::Exact(at) => return Some(Moment { at, moved: false }),
        Said::Zoned(civil, offset) => (civil, TimeZone::fixed(offset)),
        Said::Civil { date, time } => {
            let civil = match time {
                Some(time) => time.on(date)?,
                None => date.to_datetime(now.time()),
            };
            (civil, now.time_zone().clone())
        }
    };
    let ambiguous = zone.to_ambiguous_zoned(civil);
    let moved = matches!(ambiguous.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
    let at = ambiguous.compatible().ok()?;
    // Four digits are what a note's time can show, at any offset.
    let fits = (date(1, 1, 2)..=date(9999, 12, 30)).contains(&at.date());
    fits.then_some(Moment { at, moved })
}
