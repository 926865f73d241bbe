//! A moment from its pieces: a day, a part of the day, a clock, in any order.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{ToSpan as _, Zoned};

use crate::clock::{self, Clock, Part, Time};
use crate::day::{self, Day};
use crate::names::{self, Unit};
use crate::scan::Scan;

/// What a phrase is seen from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'n> {
    pub(crate) now: &'n Zoned,
    pub(crate) today: Date,
    /// The phrase stands in front of a text, which may be no phrase at all.
    pub(crate) in_front: bool,
    /// The phrase ends a range that begins here: what is not said is the next, not the latest.
    pub(crate) from: Option<Date>,
}

impl<'n> Context<'n> {
    pub(crate) fn new(now: &'n Zoned) -> Self {
        Self { now, today: now.date(), in_front: false, from: None }
    }
}

/// A moment as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// One that is the same on all clocks.
    Exact(Zoned),
    /// On another clock.
    Zoned(DateTime, Offset),
    /// On the clock here.
    Civil { date: Date, time: Option<Time> },
}

/// The moment that a folded text says, all of it.
pub(crate) fn said(text: &str, context: &Context<'_>) -> Option<Said> {
    let scan = Scan(text);
    iso(scan, context)
        .or_else(|| counted(scan, context).map(Said::Exact))
        .or_else(|| search(scan, Pieces::default(), context))
}

#[derive(Debug, Clone, Copy, Default)]
struct Pieces {
    day: Option<Day>,
    part: Option<&'static Part>,
    /// The part has a name that stands alone.
    is_part_alone: bool,
    clock: Option<Clock>,
}

fn search(scan: Scan<'_>, pieces: Pieces, context: &Context<'_>) -> Option<Said> {
    if scan.is_end() {
        return resolve(pieces, context);
    }
    let here = scan.skip_blanks();
    let here = here.literal(",").unwrap_or(here);
    let here = here.maybe(&["on", "in the", "of", "的"]);
    if pieces.day.is_none() {
        for (day, part, rest) in day::days(here, context) {
            if part.is_some() && pieces.part.is_some() {
                continue;
            }
            let next = Pieces {
                day: Some(day),
                part: part.or(pieces.part),
                is_part_alone: part.is_some() || pieces.is_part_alone,
                ..pieces
            };
            if let Some(said) = search(rest, next, context) {
                return Some(said);
            }
        }
    }
    if pieces.part.is_none()
        && let Some((part, is_part_alone, rest)) = clock::part(here)
    {
        let next = Pieces { part: Some(part), is_part_alone, ..pieces };
        if let Some(said) = search(rest, next, context) {
            return Some(said);
        }
    }
    if pieces.clock.is_none() {
        for (clock, rest) in clock::clocks(here) {
            if let Some(said) = search(rest, Pieces { clock: Some(clock), ..pieces }, context) {
                return Some(said);
            }
        }
    }
    None
}

fn resolve(pieces: Pieces, context: &Context<'_>) -> Option<Said> {
    let Pieces { day, part, is_part_alone, clock } = pieces;
    let needs_day = clock.is_some_and(|clock| clock.needs_day && part.is_none())
        || (part.is_some() && !is_part_alone && clock.is_none());
    if day.is_none() && needs_day {
        return None;
    }
    if context.in_front {
        let is_weak_day = day.is_some_and(|day| day.is_weak) && clock.is_none() && part.is_none();
        let is_weak_clock =
            clock.is_some_and(|clock| clock.is_weak) && day.is_none() && part.is_none();
        if is_weak_day || is_weak_clock {
            return None;
        }
    }
    let time = clock::time(part, clock);
    if time.is_none() && (part.is_some() || clock.is_some()) {
        return None;
    }
    let date = day.map_or(context.from.unwrap_or(context.today), |day| day.date);
    (day.is_some() || time.is_some()).then_some(Said::Civil { date, time })
}

/// `2 hours ago`, `半小时前`, `now`.
fn counted(scan: Scan<'_>, context: &Context<'_>) -> Option<Zoned> {
    let now = context.now;
    if let Some(rest) = scan.any(&["now", "just now", "right now", "现在", "此刻", "刚才", "刚刚"])
    {
        return (rest.is_end() && !context.in_front).then(|| now.clone());
    }
    let (minutes, rest) = hours(scan)?;
    if !rest.is_end() {
        return None;
    }
    now.checked_sub(i64::from(minutes).minutes()).ok()
}

/// A stretch of hours or minutes that is over, in minutes.
fn hours(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    if let Some(rest) = scan.any(&["half an hour ago", "半小时前", "半个小时前", "半个钟头前"])
    {
        return Some((30, rest));
    }
    let (count, rest) = scan.count()?;
    let (unit, rest) = names::unit(rest).or_else(|| names::chinese_unit(rest))?;
    let minutes = match unit {
        Unit::Minute => 1,
        Unit::Hour => 60,
        _ => return None,
    };
    Some((count.checked_mul(minutes)?, rest.any(&["ago", "前", "以前", "之前"])?))
}

/// `2026-11-23T15:00`, with seconds and an offset where there are any (RFC 3339, RFC 9557 without annotations).
fn iso(scan: Scan<'_>, context: &Context<'_>) -> Option<Said> {
    let text = scan.0;
    let is_form = text.len() >= 16
        && text.is_ascii()
        && matches!(text.as_bytes()[10], b't' | b' ')
        && text[..10].bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if !is_form {
        return None;
    }
    let text = text.to_uppercase();
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(match text.ends_with('Z') {
            true => Said::Exact(moment.to_zoned(context.now.time_zone().clone())),
            false => offset(&text, moment)?,
        });
    }
    let civil = text.parse::<DateTime>().ok()?;
    let minute = i32::from(civil.hour()) * 60 + i32::from(civil.minute());
    let time = Some(Time::minute(minute, civil.second().into()));
    Some(Said::Civil { date: civil.date(), time })
}

/// The time at the offset that the text ends with.
fn offset(text: &str, moment: jiff::Timestamp) -> Option<Said> {
    let sign = text[10..].rfind(['+', '-'])? + 10;
    let digits: String = text[sign + 1..].chars().filter(char::is_ascii_digit).collect();
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i32>().ok();
    let seconds = number(0..2)? * 3600 + number(2..4).unwrap_or(0) * 60;
    let seconds = if text.as_bytes()[sign] == b'-' { -seconds } else { seconds };
    let offset = Offset::from_seconds(seconds).ok()?;
    Some(Said::Zoned(offset.to_datetime(moment), offset))
}
