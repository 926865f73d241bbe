//! Times of day: clocks, and parts of the day.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time as CivilTime};

use crate::scan::Scan;

/// A time of day and the minutes that it stands for, counted from midnight; the next day's are beyond 1439.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) minute: i32,
    pub(crate) second: i32,
    /// As a stretch: from this minute to that one.
    pub(crate) first: i32,
    pub(crate) last: i32,
}

impl Time {
    pub(crate) fn minute(minute: i32, second: i32) -> Self {
        Self { minute, second, first: minute, last: minute }
    }

    pub(crate) fn on(self, date: Date) -> Option<DateTime> {
        on(date, self.minute, self.second)
    }

    /// From the first minute to the last.
    pub(crate) fn stretch(self, date: Date) -> Option<(DateTime, DateTime)> {
        Some((on(date, self.first, 0)?, on(date, self.last, 0)?))
    }
}

fn on(date: Date, minute: i32, second: i32) -> Option<DateTime> {
    let date = date.checked_add(i64::from(minute / 1440).days()).ok()?;
    let minute = minute % 1440;
    // The casts hold: hours, minutes and seconds are two digits.
    let time = CivilTime::new((minute / 60) as i8, (minute % 60) as i8, second as i8, 0).ok()?;
    Some(date.to_datetime(time))
}

/// What a clock shows, as somebody says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    hour: i32,
    minute: i32,
    second: i32,
    /// Said with am or pm, or a word such as noon: the hour is one of 24.
    is_exact: bool,
    /// An hour alone (`at 9`) is one only beside a day.
    pub(crate) needs_day: bool,
    /// More often something else: `三点` also says "three points".
    pub(crate) is_weak: bool,
}

impl Clock {
    const fn new(hour: i32, minute: i32) -> Self {
        Self { hour, minute, second: 0, is_exact: false, needs_day: false, is_weak: false }
    }

    fn checked(self) -> Option<Self> {
        let is_end = (self.hour, self.minute, self.second) == (24, 0, 0);
        let fits = self.hour < 24 && self.minute < 60 && self.second < 60;
        (fits || is_end).then_some(self)
    }
}

/// A part of the day.
#[derive(Debug)]
pub(crate) struct Part {
    /// Names that stand alone.
    names: &'static [&'static str],
    /// Names only beside a day or in front of an hour.
    short: &'static [&'static str],
    /// The minute that it means when nothing else is said.
    usual: i32,
    /// From this minute to that one.
    stretch: (i32, i32),
    /// The hour of 24 that an hour of it is.
    hour: fn(i32) -> Option<i32>,
}

const fn hours(from: i32, to: i32) -> (i32, i32) {
    (from * 60, to * 60 - 1)
}

static PARTS: [Part; 10] = [
    Part {
        names: &["凌晨"],
        short: &[],
        usual: 3 * 60,
        stretch: hours(0, 6),
        hour: |hour| match hour {
            0..=6 => Some(hour),
            12 => Some(0),
            _ => None,
        },
    },
    Part {
        names: &["清晨", "清早", "大清早", "一大早", "一早"],
        short: &["early morning"],
        usual: 6 * 60,
        stretch: hours(4, 9),
        hour: |hour| (4..=9).contains(&hour).then_some(hour),
    },
    Part {
        names: &["早上", "早晨", "早间"],
        short: &["morning", "早", "晨"],
        usual: 8 * 60,
        stretch: hours(5, 12),
        hour: |hour| (0..=11).contains(&hour).then_some(hour),
    },
    Part {
        names: &["上午", "午前"],
        short: &[],
        usual: 10 * 60,
        stretch: hours(6, 12),
        hour: |hour| (0..=12).contains(&hour).then_some(hour),
    },
    Part {
        names: &["中午", "正午", "晌午"],
        short: &[],
        usual: 12 * 60,
        stretch: hours(11, 14),
        hour: |hour| match hour {
            11..=13 => Some(hour),
            1 | 2 => Some(hour + 12),
            _ => None,
        },
    },
    Part {
        names: &["下午", "午后"],
        short: &["afternoon"],
        usual: 15 * 60,
        stretch: hours(12, 18),
        hour: |hour| match hour {
            1..=11 => Some(hour + 12),
            12..=23 => Some(hour),
            _ => None,
        },
    },
    Part {
        names: &["傍晚", "黄昏"],
        short: &[],
        usual: 18 * 60,
        stretch: hours(16, 20),
        hour: |hour| match hour {
            4..=8 => Some(hour + 12),
            16..=20 => Some(hour),
            _ => None,
        },
    },
    Part {
        names: &["晚上", "晚间", "夜晚"],
        short: &["evening", "night", "晚"],
        usual: 20 * 60,
        stretch: hours(18, 24),
        hour: |hour| match hour {
            5..=11 => Some(hour + 12),
            12 | 24 => Some(24),
            17..=23 => Some(hour),
            _ => None,
        },
    },
    Part {
        names: &["深夜", "夜里", "夜间"],
        short: &["late night", "夜"],
        usual: 22 * 60,
        stretch: hours(20, 24),
        hour: |hour| match hour {
            8..=11 => Some(hour + 12),
            12 | 24 => Some(24),
            20..=23 => Some(hour),
            _ => None,
        },
    },
    Part {
        names: &["半夜", "大半夜", "午夜", "子夜"],
        short: &[],
        usual: 0,
        stretch: hours(0, 5),
        hour: |hour| match hour {
            0..=5 => Some(hour),
            10 | 11 => Some(hour + 12),
            12 => Some(0),
            22 | 23 => Some(hour),
            _ => None,
        },
    },
];

/// The part that `tonight`, `今晚` and `last night` name.
pub(crate) fn evening() -> &'static Part {
    &PARTS[7]
}

/// A part of the day; whether it may stand alone.
pub(crate) fn part(scan: Scan<'_>) -> Option<(&'static Part, bool, Scan<'_>)> {
    let long = PARTS.iter().find_map(|part| Some((part, true, scan.any(part.names)?)));
    long.or_else(|| PARTS.iter().find_map(|part| Some((part, false, scan.any(part.short)?))))
}

/// The time that a clock and a part of the day say together.
pub(crate) fn time(part: Option<&Part>, clock: Option<Clock>) -> Option<Time> {
    match (part, clock) {
        (None, None) => None,
        (Some(part), None) => {
            let (first, last) = part.stretch;
            Some(Time { minute: part.usual, second: 0, first, last })
        }
        (None, Some(clock)) => Some(Time::minute(clock.hour * 60 + clock.minute, clock.second)),
        (Some(part), Some(clock)) => {
            let hour = (part.hour)(clock.hour)?;
            if clock.is_exact && hour % 24 != clock.hour % 24 {
                return None;
            }
            Some(Time::minute(hour * 60 + clock.minute, clock.second))
        }
    }
}

/// All that a clock may be that stands here, the longest first.
pub(crate) fn clocks(scan: Scan<'_>) -> Vec<(Clock, Scan<'_>)> {
    let at = scan.word("at");
    let here = at.unwrap_or(scan);
    let mut found = Vec::new();
    found.extend(digital(here));
    found.extend(hour_with_half(here));
    found.extend(english_hour(here));
    found.extend(chinese(here));
    for (words, hour) in [("noon", 12), ("midday", 12), ("midnight", 0), ("零点整", 0)] {
        let exact = Clock { is_exact: true, ..Clock::new(hour, 0) };
        found.extend(here.word(words).map(|rest| (exact, rest)));
    }
    if let Some(at) = at
        && let Some((hour, rest)) = at.small()
        && !rest.0.starts_with(|c: char| c.is_alphanumeric() || ":.-/".contains(c))
    {
        let clock = Clock { needs_day: true, ..Clock::new(hour, 0) };
        found.extend(clock.checked().map(|clock| (clock, rest)));
    }
    found
}

/// `15:00`, `3:05pm`, `9:30:15`.
fn digital(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    let (hour, rest) = scan.small()?;
    let (minute, len, rest) = rest.literal(":")?.digits()?;
    if len != 2 {
        return None;
    }
    let mut clock = Clock::new(hour, minute);
    let mut rest = rest;
    if let Some((second, 2, after)) = rest.literal(":").and_then(Scan::digits) {
        clock.second = second;
        rest = after;
    }
    // Not a part of something else: 1:23:4, 12:30-13:00.
    if rest.0.starts_with([':', '-', '/', '.']) {
        return None;
    }
    match half(rest) {
        Some((is_pm, rest)) => Some((of_twelve(clock, is_pm)?, rest)),
        None if rest.0.starts_with(|c: char| c.is_ascii_alphanumeric()) => None,
        None => Some((clock.checked()?, rest)),
    }
}

/// `3pm`, `3 p.m.`
fn hour_with_half(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    let (hour, rest) = scan.small()?;
    let (is_pm, rest) = half(rest)?;
    Some((of_twelve(Clock::new(hour, 0), is_pm)?, rest))
}

fn half(scan: Scan<'_>) -> Option<(bool, Scan<'_>)> {
    let halves = [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true)];
    halves.iter().find_map(|(name, is_pm)| Some((*is_pm, scan.word(name)?)))
}

fn of_twelve(clock: Clock, is_pm: bool) -> Option<Clock> {
    if !(1..=12).contains(&clock.hour) {
        return None;
    }
    let hour = clock.hour % 12 + if is_pm { 12 } else { 0 };
    Clock { hour, is_exact: true, ..clock }.checked()
}

/// `9 o'clock`, `half past 9`, `quarter to ten pm`.
fn english_hour(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    if let Some((hour, rest)) = scan.count()
        && let Some(rest) = rest.any(&["o'clock", "oclock"])
    {
        return Some((Clock::new(hour, 0).checked()?, rest));
    }
    let moved = [
        ("half past", 30),
        ("a quarter past", 15),
        ("quarter past", 15),
        ("a quarter to", -15),
        ("quarter to", -15),
    ];
    let (minutes, rest) =
        moved.iter().find_map(|(words, minutes)| Some((*minutes, scan.words(words)?)))?;
    let (hour, rest) = rest.count()?;
    let (clock, rest) = match half(rest) {
        Some((is_pm, rest)) => (of_twelve(Clock::new(hour, 0), is_pm)?, rest),
        None => (Clock::new(hour, 0).checked()?, rest),
    };
    let minute = clock.hour * 60 + minutes;
    (0..1440)
        .contains(&minute)
        .then_some((Clock { hour: minute / 60, minute: minute % 60, ..clock }, rest))
}

/// `三点`, `9点半`, `15时30分`, `九点三刻`, `8点05`.
fn chinese(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    let is_digits = scan.skip_blanks().digits().is_some();
    let (hour, rest) = scan.number()?;
    let rest = rest.literal("点").or_else(|| rest.literal("时"))?;
    let mut clock = Clock::new(hour, 0);
    let fixed =
        [("半", 30), ("一刻", 15), ("1刻", 15), ("三刻", 45), ("3刻", 45), ("整", 0), ("钟", 0)];
    let mut rest = rest;
    if let Some((minute, after)) =
        fixed.iter().find_map(|(name, minute)| Some((*minute, rest.literal(name)?)))
    {
        clock.minute = minute;
        rest = after;
    } else if let Some((minute, after)) = rest.number() {
        clock.minute = minute;
        rest =
            after.literal("分钟").map_or_else(|| after.literal("分").unwrap_or(after), |_| after);
        if let Some((second, after)) = rest.number()
            && let Some(after) = after.literal("秒")
        {
            clock.second = second;
            rest = after;
        }
    } else {
        clock.is_weak = !is_digits;
    }
    Some((clock.checked()?, rest))
}
