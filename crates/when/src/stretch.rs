//! Ranges: a week, a month, from here to there.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday, time};

use crate::civil::{self, date};
use crate::day::{self, later, monday};
use crate::names::{self, Unit};
use crate::said::{Context, Said, said};
use crate::scan::Scan;
use crate::{Range, WhenError};

type Stretch = (DateTime, DateTime);

/// The range that a folded text names, all of it.
pub(crate) fn range(text: &str, context: &Context<'_>) -> Result<Range, WhenError> {
    let text = text.trim();
    if let Some((first, last)) = one(text, context) {
        return Ok(Range { first: Some(first), last: Some(last) });
    }
    let mut why = civil::complaint(text);
    for ends in ends(text) {
        match between(&ends, context) {
            Ok(Some(range)) => return Ok(range),
            Ok(None) => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The two ends of a range as they are written.
#[derive(Debug, Default, Clone, Copy)]
struct Ends<'t> {
    first: Option<&'t str>,
    /// What is said begins it, rather than coming before it.
    is_after: bool,
    last: Option<&'t str>,
    is_before: bool,
}

/// Every way in which a text may be two ends, or one.
fn ends(text: &str) -> Vec<Ends<'_>> {
    let mut found = Vec::new();
    let some = |text: &'_ str| !text.trim().is_empty();
    let whole = Ends::default();
    if let Some((first, last)) = text.split_once("..") {
        let last = last.trim_start_matches('.');
        let (first, last) = (Some(first).filter(|t| some(t)), Some(last).filter(|t| some(t)));
        if first.is_some() || last.is_some() {
            found.push(Ends { first, last, ..whole });
        }
        return found;
    }
    let scan = Scan(text);
    // Joined: from A to B.
    let inner = scan.maybe(&["from", "between", "从", "自"]).0;
    let joints =
        [" to ", " until ", " till ", " through ", " thru ", " and ", " - ", "~", "到", "至", "-"];
    for joint in joints {
        for (at, _) in inner.match_indices(joint) {
            let (first, last) = (&inner[..at], &inner[at + joint.len()..]);
            // Within a date a stroke joins numbers.
            let is_number = |c: char| c.is_ascii_digit();
            if joint == "-" && (first.ends_with(is_number) || last.starts_with(is_number)) {
                continue;
            }
            if some(first) && some(last) {
                let last = ["为止", "止"].iter().find_map(|end| last.strip_suffix(end));
                let last = last.unwrap_or(&inner[at + joint.len()..]);
                found.push(Ends { first: Some(first), last: Some(last), ..whole });
            }
        }
    }
    // One end, named in front of it.
    for (words, is_first, beyond) in [
        ("since", true, false),
        ("from", true, false),
        ("after", true, true),
        ("until", false, false),
        ("till", false, false),
        ("up to", false, false),
        ("to", false, false),
        ("before", false, true),
        ("截至", false, false),
        ("截止", false, false),
        ("直到", false, false),
        ("到", false, false),
    ] {
        if let Some(rest) = scan.words(words)
            && some(rest.0)
        {
            let rest = rest.0.strip_suffix("为止").unwrap_or(rest.0);
            found.push(match is_first {
                true => Ends { first: Some(rest), is_after: beyond, ..whole },
                false => Ends { last: Some(rest), is_before: beyond, ..whole },
            });
        }
    }
    // Named behind it.
    let inner = scan.maybe(&["从", "自", "自从"]).0;
    for (words, is_first, beyond) in [
        ("以来", true, false),
        ("至今", true, false),
        ("到现在", true, false),
        ("开始", true, false),
        ("起", true, false),
        ("以后", true, true),
        ("之后", true, true),
        ("以前", false, true),
        ("之前", false, true),
        ("为止", false, false),
    ] {
        if let Some(rest) = inner.strip_suffix(words)
            && some(rest)
        {
            found.push(match is_first {
                true => Ends { first: Some(rest), is_after: beyond, ..whole },
                false => Ends { last: Some(rest), is_before: beyond, ..whole },
            });
        }
    }
    found
}

/// `None`: one of the ends is none.
fn between(ends: &Ends<'_>, context: &Context<'_>) -> Result<Option<Range>, WhenError> {
    let first = ends.first.map(|text| one(text.trim(), context));
    let last = ends.last.map(|text| one(text.trim(), context));
    let (first, last) = match (first, last) {
        (Some(None), _) => return Ok(None),
        (Some(Some(first)), Some(last)) => {
            // What does not say its year or week is the next one after the beginning.
            let from_day = first.0.date();
            let from = Context { from: Some(from_day), ..*context };
            let near = ends.last.and_then(|text| one(text.trim(), &from));
            let last = match (last, near) {
                // A clock without a day is of the day on which it begins.
                (Some(last), Some(near)) if !is_days(last) && near.1.date() == from_day => {
                    Some(near)
                }
                (Some(last), _) if last.1 >= first.0 => Some(last),
                (last, near) => near.or(last),
            };
            match last {
                Some(last) if last.1 < first.0 => return Err(WhenError::Backwards),
                Some(last) => (Some(first), Some(last)),
                None => return Ok(None),
            }
        }
        (_, Some(None)) => return Ok(None),
        (first, last) => (first.flatten(), last.flatten()),
    };
    let minute = 1.minute();
    let first = match first {
        Some((_, last)) if ends.is_after => last.checked_add(minute).ok(),
        other => other.map(|(first, _)| first),
    };
    let last = match last {
        Some((first, _)) if ends.is_before => first.checked_sub(minute).ok(),
        other => other.map(|(_, last)| last),
    };
    Ok(Some(Range { first, last }))
}

/// A stretch with one name.
fn one(text: &str, context: &Context<'_>) -> Option<Stretch> {
    if let Some(said) = said(text, context) {
        return Some(match said {
            Said::Exact(at) => minute(at.datetime()),
            Said::Zoned(civil, _) => minute(civil),
            Said::Civil { date, time: Some(time) } => time.stretch(date)?,
            Said::Civil { date, time: None } => days(date, date),
        });
    }
    let scan = Scan(text);
    let named = scan.maybe(&["in", "during"]).maybe(&["the"]);
    let whole = |read: Read<'_>| read.filter(|(_, rest)| rest.is_end()).map(|(stretch, _)| stretch);
    [year, month, numbered, english, chinese]
        .iter()
        .find_map(|read| whole(read(named, context)))
        // Not "in 2 weeks", which is to come.
        .or_else(|| whole(counted(scan.maybe(&["the"]), context)))
}

fn is_days((first, last): Stretch) -> bool {
    crate::begins_day(first) && crate::ends_day(last)
}

fn minute(at: DateTime) -> Stretch {
    let minute = at.date().to_datetime(time(at.hour(), at.minute(), 0, 0));
    (minute, minute)
}

/// All of these days.
fn days(first: Date, last: Date) -> Stretch {
    (first.to_datetime(time(0, 0, 0, 0)), last.to_datetime(time(23, 59, 0, 0)))
}

/// So many months from the first of one on; months count from year 0.
fn months(first: i32, count: i32) -> Option<Stretch> {
    let begin = |month: i32| date(month.div_euclid(12), month.rem_euclid(12) + 1, 1);
    Some(days(begin(first)?, begin(first + count - 1)?.last_of_month()))
}

fn number(day: Date) -> i32 {
    i32::from(day.year()) * 12 + i32::from(day.month()) - 1
}

type Read<'t> = Option<(Stretch, Scan<'t>)>;

/// `2026`, `2026年`, `去年`, `去年上半年`.
fn year<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let (year, rest) = match names::year(scan) {
        Some((offset, rest)) => (i32::from(context.today.year() + offset), rest),
        None => match civil::year_in_chinese(scan) {
            Some(found) => found,
            None => {
                let (year, 4, rest) = scan.skip_blanks().digits()? else { return None };
                (Some(year).filter(|year| (1000..=9999).contains(year))?, rest)
            }
        },
    };
    let (from, count, rest) = match (rest.word("上半年"), rest.word("下半年")) {
        (Some(rest), _) => (0, 6, rest),
        (_, Some(rest)) => (6, 6, rest),
        _ => (0, 12, rest),
    };
    Some((months(year * 12 + from, count)?, rest))
}

/// `2026-10`, `october 2026`, `last october`, `2026年10月`, `十月份`.
fn month<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let this = number(context.today);
    let of = |year: i32, month: i32| {
        (1..=12).contains(&month).then(|| months(year * 12 + month - 1, 1)).flatten()
    };
    // The latest that has begun, or the first that a range may end with.
    let near = |month: i32, least_back: i32| match context.from {
        Some(from) => (0..12).map(|on| number(from) + on).find(|at| at.rem_euclid(12) == month - 1),
        None => (least_back..12 + least_back)
            .map(|back| this - back)
            .find(|at| at.rem_euclid(12) == month - 1),
    };
    if let Some((year, 4, rest)) = scan.skip_blanks().digits()
        && let Some(rest) = ["-", "/", "."].iter().find_map(|stroke| rest.literal(stroke))
        && let Some((month, 1..=2, rest)) = rest.digits()
    {
        return Some((of(year, month)?, rest));
    }
    if let Some((name, rest)) = names::month(scan) {
        let name = i32::from(name);
        let after = rest.literal(",").unwrap_or(rest).maybe(&["of"]).skip_blanks();
        if let Some((year, 4, rest)) = after.digits() {
            return Some((of(year, name)?, rest));
        }
        for (words, offset) in [("last year", -1), ("this year", 0), ("next year", 1)] {
            if let Some(rest) = rest.words(words) {
                return Some((of(i32::from(context.today.year()) + offset, name)?, rest));
            }
        }
        return Some((months(near(name, 0)?, 1)?, rest));
    }
    if let Some(rest) = scan.word("last")
        && let Some((name, rest)) = names::month(rest)
    {
        return Some((months(near(name.into(), 1)?, 1)?, rest));
    }
    if let Some((offset, rest)) = civil::month_word(scan) {
        return Some((months(this + offset, 1)?, rest));
    }
    let (year, rest) = match names::year(scan) {
        Some((offset, rest)) => (Some(i32::from(context.today.year() + offset)), rest),
        None => match civil::year_in_chinese(scan) {
            Some((year, rest)) => (Some(year), rest),
            None => (None, scan),
        },
    };
    let (name, rest) = rest.number()?;
    let rest = rest.literal("月份").or_else(|| rest.literal("月"))?;
    if !(1..=12).contains(&name) {
        return None;
    }
    let stretch = match year {
        Some(year) => of(year, name)?,
        None => months(near(name, 0)?, 1)?,
    };
    Some((stretch, rest))
}

/// `2026-w47`, `2026q3`, `q3`, `第三季度`.
fn numbered<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let here = scan.skip_blanks();
    let (year, rest) = match (civil::year_in_chinese(here), names::year(here), here.digits()) {
        (Some((year, rest)), _, _) => (Some(year), rest),
        (_, Some((offset, rest)), _) => (Some(i32::from(context.today.year() + offset)), rest),
        (_, _, Some((year, 4, rest))) => {
            (Some(year), rest.literal("-").unwrap_or(rest).skip_blanks())
        }
        _ => (None, here),
    };
    if let (Some(year), Some(rest)) = (year, rest.literal("w")) {
        let (week, rest) = rest.small()?;
        let (year, week) = (i16::try_from(year).ok()?, i8::try_from(week).ok()?);
        let first = ISOWeekDate::new(year, week, Weekday::Monday).ok()?.date();
        return Some((days(first, later(first, 6)?), rest));
    }
    let (quarter, rest) = match rest.literal("q") {
        Some(rest) => rest.small()?,
        None => {
            let (quarter, rest) = rest.maybe(&["第"]).number()?;
            (quarter, rest.literal("季度")?)
        }
    };
    if !(1..=4).contains(&quarter) {
        return None;
    }
    let year = match year {
        Some(year) => year,
        None => {
            let this = i32::from(context.today.year());
            let has_begun = i32::from(context.today.month()) > (quarter - 1) * 3;
            if has_begun { this } else { this - 1 }
        }
    };
    Some((months(year * 12 + (quarter - 1) * 3, 3)?, rest))
}

/// A week, month, quarter or year so many away from this one.
fn whole(unit: Unit, away: i32, today: Date) -> Option<Stretch> {
    match unit {
        Unit::Day => {
            let day = later(today, away)?;
            Some(days(day, day))
        }
        Unit::Week => {
            let first = later(monday(today)?, away * 7)?;
            Some(days(first, later(first, 6)?))
        }
        Unit::Month => months(number(today) + away, 1),
        Unit::Quarter => months((number(today).div_euclid(3) + away) * 3, 3),
        Unit::Year => months((i32::from(today.year()) + away) * 12, 12),
        Unit::Minute | Unit::Hour => None,
    }
}

fn weekend(away: i32, today: Date) -> Option<Stretch> {
    let saturday = later(monday(today)?, away * 7 + 5)?;
    Some(days(saturday, later(saturday, 1)?))
}

/// `last week`, `this month`, `next year`, `last weekend`.
fn english<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let words: [(&[&str], i32); 3] =
        [(&["last", "previous", "past"], -1), (&["this", "current"], 0), (&["next", "coming"], 1)];
    if let Some(rest) = scan.word("weekend") {
        return Some((weekend(0, context.today)?, rest));
    }
    let (away, rest) = words.iter().find_map(|(words, away)| Some((*away, scan.any(words)?)))?;
    if let Some(rest) = rest.word("weekend") {
        return Some((weekend(away, context.today)?, rest));
    }
    let (unit, rest) = names::unit(rest)?;
    // "past week" and "last days" mean something else each time.
    let is_named = matches!(unit, Unit::Week | Unit::Month | Unit::Quarter | Unit::Year);
    is_named.then_some((whole(unit, away, context.today)?, rest))
}

/// `上周`, `这个星期`, `本月`, `上个季度`, `上周末`.
fn chinese<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let words: [(&[&str], i32); 4] = [
        (&["上上个", "上上"], -2),
        (&["上个", "上一", "上"], -1),
        (&["这个", "这一", "这", "本"], 0),
        (&["下个", "下一", "下"], 1),
    ];
    if let Some(rest) = scan.word("周末") {
        return Some((weekend(0, context.today)?, rest));
    }
    let (away, rest) = words.iter().find_map(|(words, away)| Some((*away, scan.any(words)?)))?;
    if let Some(rest) = rest.word("周末") {
        return Some((weekend(away, context.today)?, rest));
    }
    let units = [
        ("星期", Unit::Week),
        ("礼拜", Unit::Week),
        ("周", Unit::Week),
        ("季度", Unit::Quarter),
        ("年度", Unit::Year),
    ];
    let (unit, rest) = units.iter().find_map(|(name, unit)| Some((*unit, rest.literal(name)?)))?;
    Some((whole(unit, away, context.today)?, rest))
}

/// `last 3 weeks`, `3 weeks`, `过去七天`, `近三个月`, `半年`: up to today, which is the last of the days.
fn counted<'t>(scan: Scan<'t>, context: &Context<'_>) -> Read<'t> {
    let today = context.today;
    let rest = scan.maybe(&["last", "past", "previous", "最近", "过去", "近", "这"]);
    let (first, rest) = if let Some(rest) = rest.any(&["半年", "half a year", "half year"]) {
        (day::back(today, 6, Unit::Month)?, rest)
    } else if let Some(rest) = rest.any(&["半个月", "半月"]) {
        (later(today, -15)?, rest)
    } else {
        let (count, rest) = rest.count()?;
        let (unit, rest) = names::unit(rest).or_else(|| names::chinese_unit(rest))?;
        if count == 0 {
            return None;
        }
        (day::back(today, count, unit)?, rest)
    };
    let rest = rest.maybe(&["以来", "以内", "之内", "内", "里"]);
    Some((days(later(first, 1)?, today), rest))
}
