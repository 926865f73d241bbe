//! Days: by their distance from today, by weekday, by date.

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use crate::civil;
use crate::clock::{self, Part};
use crate::names::{self, Unit};
use crate::said::Context;
use crate::scan::Scan;

/// A day that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    /// More often something else where it stands alone in front of a text.
    pub(crate) is_weak: bool,
}

impl Day {
    pub(crate) fn new(date: Date) -> Self {
        Self { date, is_weak: false }
    }
}

type Found<'t> = (Day, Option<&'static Part>, Scan<'t>);

const NEAR: [(&str, i32); 24] = [
    ("today", 0),
    ("yesterday", -1),
    ("tomorrow", 1),
    ("the day before yesterday", -2),
    ("day before yesterday", -2),
    ("the day after tomorrow", 2),
    ("day after tomorrow", 2),
    ("今天", 0),
    ("今日", 0),
    ("今儿", 0),
    ("昨天", -1),
    ("昨日", -1),
    ("昨儿", -1),
    ("前天", -2),
    ("前日", -2),
    ("大前天", -3),
    ("明天", 1),
    ("明日", 1),
    ("明儿", 1),
    ("后天", 2),
    ("大后天", 3),
    ("当天", 0),
    ("ystd", -1),
    ("yday", -1),
];

/// Days that go together with a part of them, which follows at once: 今早, 昨晚.
const SHORT: [(&str, i32); 4] = [("今", 0), ("昨", -1), ("前", -2), ("明", 1)];

/// All days that may stand here, some with a part of the day.
pub(crate) fn days<'t>(scan: Scan<'t>, context: &Context<'_>) -> Vec<Found<'t>> {
    let mut found: Vec<Found<'t>> = Vec::new();
    let mut add = |day: Option<(Date, Scan<'t>)>| {
        found.extend(day.map(|(date, rest)| (Day::new(date), None, rest)));
    };
    for (name, days) in NEAR {
        add(scan.words(name).and_then(|rest| Some((later(context.today, days)?, rest))));
    }
    add(ago(scan, context));
    add(chinese_week(scan, context));
    add(week_and_weekday(scan, context));
    found.extend(weekdays(scan, context));
    found.extend(with_part(scan, context));
    for (day, rest) in civil::dates(scan, context) {
        found.push((day, None, rest));
        // A date may have its weekday beside it; one that is not its own is a slip.
        let beside = rest.skip_blanks();
        let beside = beside.literal(",").or_else(|| beside.literal("(")).unwrap_or(beside);
        if let Some((weekday, rest)) = names::weekday(beside)
            && weekday == day.date.weekday()
        {
            let rest = rest.literal(")").unwrap_or(rest);
            found.push((Day { is_weak: false, ..day }, None, rest));
        }
    }
    if let Some((weekday, rest)) = names::weekday(scan) {
        let rest = rest.literal(",").unwrap_or(rest);
        for (day, rest) in civil::dates(rest, context) {
            if weekday == day.date.weekday() {
                found.push((Day { is_weak: false, ..day }, None, rest));
            }
        }
    }
    found
}

/// `tonight`, `last night`, `this morning`, `今早`, `昨晚`.
fn with_part<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<Found<'t>> {
    let today = context.today;
    for (words, days) in [("tonight", 0), ("last night", -1), ("tomorrow night", 1)] {
        if let Some(rest) = scan.words(words) {
            return Some((Day::new(later(today, days)?), Some(clock::evening()), rest));
        }
    }
    if let Some(rest) = scan.word("this") {
        let (part, _, rest) = clock::part(rest)?;
        return Some((Day::new(today), Some(part), rest));
    }
    let (days, rest) = SHORT.iter().find_map(|(name, days)| Some((*days, scan.word(name)?)))?;
    if !rest.0.starts_with(['早', '晨', '晚', '夜']) {
        return None;
    }
    let (part, _, rest) = clock::part(rest)?;
    Some((Day::new(later(today, days)?), Some(part), rest))
}

/// `3 days ago`, `a week ago`, `三天前`, `两个月前`, `半个月前`.
fn ago<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Date, Scan<'t>)> {
    if let Some(rest) = scan.any(&["半年前", "half a year ago"]) {
        return Some((context.today.checked_sub(6.months()).ok()?, rest));
    }
    if let Some(rest) = scan.any(&["半个月前", "半月前"]) {
        return Some((later(context.today, -15)?, rest));
    }
    let (count, rest) = scan.count()?;
    let (unit, rest) = names::unit(rest).or_else(|| names::chinese_unit(rest))?;
    let rest = rest.any(&["ago", "以前", "之前", "前"])?;
    Some((back(context.today, count, unit)?, rest))
}

/// A date so many days, weeks, months, quarters or years before.
pub(crate) fn back(date: Date, count: i32, unit: Unit) -> Option<Date> {
    let count = i64::from(count);
    if count > 9999 {
        return None;
    }
    let span = match unit {
        Unit::Day => count.days(),
        Unit::Week => count.weeks(),
        Unit::Month => count.months(),
        Unit::Quarter => (count * 3).months(),
        Unit::Year => count.years(),
        Unit::Minute | Unit::Hour => return None,
    };
    date.checked_sub(span).ok()
}

pub(crate) fn later(date: Date, days: i32) -> Option<Date> {
    date.checked_add(i64::from(days).days()).ok()
}

/// The Monday of a date's week.
pub(crate) fn monday(date: Date) -> Option<Date> {
    later(date, -i32::from(date.weekday().to_monday_zero_offset()))
}

fn of_week(today: Date, weeks: i32, weekday: Weekday) -> Option<Date> {
    later(monday(today)?, weeks * 7 + i32::from(weekday.to_monday_zero_offset()))
}

/// `上周五`, `这个星期三`, `下礼拜一`, and `周五`.
fn chinese_week<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Date, Scan<'t>)> {
    let weeks: [(&[&str], i32); 4] = [
        (&["上上个", "上上"], -2),
        (&["上个", "上"], -1),
        (&["这个", "这", "本"], 0),
        (&["下个", "下"], 1),
    ];
    let found = weeks.iter().find_map(|(words, weeks)| {
        let (weekday, rest) = names::chinese_weekday(scan.any(words)?)?;
        Some((of_week(context.today, *weeks, weekday)?, rest))
    });
    found.or_else(|| {
        let (weekday, rest) = names::chinese_weekday(scan)?;
        Some((nearest(weekday, context)?, rest))
    })
}

/// `last week friday`, `friday last week`.
fn week_and_weekday<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Date, Scan<'t>)> {
    let weeks = [("last week", -1), ("this week", 0), ("next week", 1)];
    let week =
        |scan: Scan<'t>| weeks.iter().find_map(|(words, weeks)| Some((*weeks, scan.words(words)?)));
    if let Some((weeks, rest)) = week(scan) {
        let (weekday, _, rest) = names::english_weekday(rest.maybe(&["on"]))?;
        return Some((of_week(context.today, weeks, weekday)?, rest));
    }
    let (weekday, _, rest) = names::english_weekday(scan)?;
    let (weeks, rest) = week(rest.maybe(&["of"]))?;
    Some((of_week(context.today, weeks, weekday)?, rest))
}

/// `fri`, `last friday`, `this fri`, `next friday`.
fn weekdays<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<Found<'t>> {
    let today = context.today;
    let near = |from: i32, step: i32, weekday: Weekday| {
        (0..7)
            .filter_map(|days| later(today, from + step * days))
            .find(|day| day.weekday() == weekday)
    };
    if let Some(rest) = scan.any(&["last", "this past", "past"]) {
        let (weekday, _, rest) = names::english_weekday(rest)?;
        return Some((Day::new(near(-1, -1, weekday)?), None, rest));
    }
    if let Some(rest) = scan.any(&["next", "this coming", "coming"]) {
        let (weekday, _, rest) = names::english_weekday(rest)?;
        return Some((Day::new(near(1, 1, weekday)?), None, rest));
    }
    if let Some(rest) = scan.word("this") {
        let (weekday, _, rest) = names::english_weekday(rest)?;
        return Some((Day::new(of_week(today, 0, weekday)?), None, rest));
    }
    let (weekday, is_word, rest) = names::english_weekday(scan)?;
    Some((Day { date: nearest(weekday, context)?, is_weak: is_word }, None, rest))
}

/// The latest such day, today included; or the first one from where a range begins.
fn nearest(weekday: Weekday, context: &Context<'_>) -> Option<Date> {
    let (start, step) = match context.from {
        Some(from) => (from, 1),
        None => (context.today, -1),
    };
    (0..7).filter_map(|days| later(start, step * days)).find(|day| day.weekday() == weekday)
}
