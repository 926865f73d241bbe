//! Dates of the calendar, in digits and with the names of months.

use jiff::civil::Date;

use crate::WhenError;
use crate::day::Day;
use crate::names;
use crate::said::Context;
use crate::scan::Scan;

/// A date of the calendar. Years are those that four digits show.
pub(crate) fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    let narrow = |number: i32| i8::try_from(number).ok();
    if !(1..=9999).contains(&year) {
        return None;
    }
    Date::new(i16::try_from(year).ok()?, narrow(month)?, narrow(day)?).ok()
}

/// The latest such day, today included; or the first one from where a range begins. A 29 February is at most eight
/// years away.
fn without_year(month: i32, day: i32, context: &Context<'_>) -> Option<Date> {
    let year = i32::from(context.today.year());
    match context.from {
        Some(from) => {
            let first = i32::from(from.year());
            (first..=first + 8).filter_map(|year| date(year, month, day)).find(|day| *day >= from)
        }
        None => (0..=8)
            .filter_map(|back| date(year - back, month, day))
            .find(|day| *day <= context.today),
    }
}

/// All dates that may stand here.
pub(crate) fn dates<'t>(scan: Scan<'t>, context: &Context<'_>) -> Vec<(Day, Scan<'t>)> {
    let mut found = Vec::new();
    found.extend(in_digits(scan));
    found.extend(compact(scan, context));
    found.extend(in_chinese(scan, context));
    found.extend(year_last(scan));
    found.extend(with_name(scan, context));
    found.extend(month_and_day(scan, context));
    found.extend(day_of_month(scan, context));
    found
}

/// `2026-11-23`, `2026/11/2`, `2026.11.23`.
fn in_digits(scan: Scan<'_>) -> Option<(Day, Scan<'_>)> {
    let (year, month, day, rest) = three(scan)?;
    Some((Day::new(date(year, month, day)?), rest))
}

fn three(scan: Scan<'_>) -> Option<(i32, i32, i32, Scan<'_>)> {
    let (year, 4, rest) = scan.skip_blanks().digits()? else { return None };
    let stroke = ["-", "/", "."].into_iter().find(|stroke| rest.literal(stroke).is_some())?;
    let (month, 1..=2, rest) = rest.literal(stroke)?.digits()? else { return None };
    let (day, 1..=2, rest) = rest.literal(stroke)?.digits()? else { return None };
    ends(rest).then_some((year, month, day, rest))
}

/// `20261123`.
fn compact<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Day, Scan<'t>)> {
    let (number, 8, rest) = scan.skip_blanks().digits()? else { return None };
    let date = date(number / 10_000, number / 100 % 100, number % 100)?;
    let is_likely = (1900..2100).contains(&date.year()) && !context.in_front;
    (is_likely && ends(rest)).then_some((Day::new(date), rest))
}

/// `2026年11月23日`, `去年11月23号`, `十一月二十三日`, `上个月5号`.
fn in_chinese<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Day, Scan<'t>)> {
    let today = context.today;
    if let Some((months, rest)) = month_word(scan) {
        let (day, rest) = day_number(rest)?;
        let month = i32::from(today.year()) * 12 + i32::from(today.month()) - 1 + months;
        let date = date(month.div_euclid(12), month.rem_euclid(12) + 1, day)?;
        return Some((Day::new(date), rest));
    }
    let (year, rest) = match names::year(scan) {
        Some((offset, rest)) => (Some(i32::from(today.year() + offset)), rest),
        None => match year_in_chinese(scan) {
            Some((year, rest)) => (Some(year), rest),
            None => (None, scan),
        },
    };
    let (month, rest) = rest.number()?;
    let rest = rest.literal("月")?;
    let (day, rest) = match day_number(rest) {
        Some(found) => found,
        None => rest.number().filter(|(_, rest)| ends(*rest))?,
    };
    let date = match year {
        Some(year) => date(year, month, day)?,
        None => without_year(month, day, context)?,
    };
    Some((Day::new(date), rest))
}

/// `2026年`, `二〇二六年`.
pub(crate) fn year_in_chinese(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    let (year, rest) = scan.number()?;
    let rest = rest.literal("年")?;
    (1000..=9999).contains(&year).then_some((year, rest))
}

/// `上个月`: by how many months it is another.
pub(crate) fn month_word(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    let words: [(&[&str], i32); 4] = [
        (&["上上个月", "上上月"], -2),
        (&["上个月", "上月"], -1),
        (&["这个月", "这月", "本月", "当月"], 0),
        (&["下个月", "下月"], 1),
    ];
    words.iter().find_map(|(words, months)| Some((*months, scan.any(words)?)))
}

/// `23日`, `二十三号`.
fn day_number(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    let (day, rest) = scan.number()?;
    Some((day, rest.literal("日").or_else(|| rest.literal("号"))?))
}

/// `5/20/1998` and `20/5/1998`, where only one of the two numbers can be a month.
fn year_last(scan: Scan<'_>) -> Option<(Day, Scan<'_>)> {
    let (one, rest) = scan.small()?;
    let stroke = ["-", "/", "."].into_iter().find(|stroke| rest.literal(stroke).is_some())?;
    let (two, 1..=2, rest) = rest.literal(stroke)?.digits()? else { return None };
    let (year, 4, rest) = rest.literal(stroke)?.digits()? else { return None };
    let (month, day) = match (one, two) {
        (one, two) if one == two => (one, two),
        (1..=12, 13..) => (one, two),
        (13.., 1..=12) => (two, one),
        _ => return None,
    };
    ends(rest).then_some((Day::new(date(year, month, day)?), rest))
}

/// `nov 23`, `November 23rd, 2026`, `23 nov 2025`, `the 23rd of November`, `Monday, 23 Nov`.
fn with_name<'t>(scan: Scan<'t>, context: &Context<'_>) -> Vec<(Day, Scan<'t>)> {
    let mut found = Vec::new();
    let month_first = names::month(scan).and_then(|(month, rest)| {
        let (day, rest) = ordinal(rest.maybe(&["the"]))?;
        Some((month, day, rest))
    });
    let day_first = ordinal(scan.maybe(&["the"])).and_then(|(day, rest)| {
        let rest = rest.maybe(&["of"]);
        let rest = rest.literal("-").unwrap_or(rest);
        let (month, rest) = names::month(rest)?;
        Some((month, day, rest.literal("-").unwrap_or(rest)))
    });
    for (month, day, rest) in month_first.into_iter().chain(day_first) {
        let month = i32::from(month);
        let after = rest.literal(",").unwrap_or(rest).skip_blanks();
        if let Some((year, 4, rest)) = after.digits()
            && ends(rest)
            && let Some(date) = date(year, month, day)
        {
            found.push((Day::new(date), rest));
        }
        let this = i32::from(context.today.year());
        for (words, offset) in [("last year", -1), ("this year", 0), ("next year", 1)] {
            if let (Some(rest), Some(date)) = (rest.words(words), date(this + offset, month, day)) {
                found.push((Day::new(date), rest));
            }
        }
        if ends(rest)
            && let Some(date) = without_year(month, day, context)
        {
            found.push((Day::new(date), rest));
        }
    }
    found
}

/// `23`, `23rd`.
fn ordinal(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    let (day, rest) = scan.small()?;
    let rest = ["st", "nd", "rd", "th"].iter().find_map(|end| rest.word(end)).unwrap_or(rest);
    Some((day, rest))
}

/// `11-23`, `11/23`, `11.23`. In front of a text it is more often something else.
fn month_and_day<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Day, Scan<'t>)> {
    let (month, rest) = scan.small()?;
    let stroke = ["-", "/", "."].into_iter().find(|stroke| rest.literal(stroke).is_some())?;
    let (day, 1..=2, rest) = rest.literal(stroke)?.digits()? else { return None };
    let date = without_year(month, day, context)?;
    ends(rest).then_some((Day { is_weak: true, ..Day::new(date) }, rest))
}

/// `23号`, and where a range ends the bare number: of the month in which it begins.
fn day_of_month<'t>(scan: Scan<'t>, context: &Context<'_>) -> Option<(Day, Scan<'t>)> {
    let (day, rest) = match (day_number(scan), context.from) {
        (Some(found), _) => found,
        (None, Some(_)) => ordinal(scan).filter(|(_, rest)| rest.is_end())?,
        (None, None) => return None,
    };
    let from = context.from.unwrap_or(context.today);
    let first = i32::from(from.year()) * 12 + i32::from(from.month()) - 1;
    let of = |month: i32| date(month.div_euclid(12), month.rem_euclid(12) + 1, day);
    let date = match context.from {
        Some(from) => (0..=2).filter_map(|on| of(first + on)).find(|day| *day >= from),
        None => (0..=2).filter_map(|back| of(first - back)).find(|day| *day <= context.today),
    };
    Some((Day { is_weak: true, ..Day::new(date?) }, rest))
}

/// Whether a date may end here: no further part of a number.
fn ends(scan: Scan<'_>) -> bool {
    let mut rest = scan.0.chars();
    match rest.next() {
        Some(c) if c.is_alphanumeric() && c.is_ascii() => false,
        Some('-' | '/' | '.') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
        _ => true,
    }
}

/// Why a text is no moment.
pub(crate) fn complaint(text: &str) -> WhenError {
    let in_chinese = || {
        let (year, rest) = year_in_chinese(Scan(text))?;
        let (month, rest) = rest.number()?;
        let (day, rest) = day_number(rest.literal("月")?)?;
        Some((year, month, day, rest))
    };
    match three(Scan(text)).or_else(in_chinese) {
        Some((year, month, day, _)) if date(year, month, day).is_none() => WhenError::NoSuchDay,
        _ => WhenError::Unknown,
    }
}
