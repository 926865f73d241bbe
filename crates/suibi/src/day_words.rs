//! More words for days than the journal knows: weekdays and dates without a year, in English and Chinese.

use suibi_journal::day::{self, DayError};
use suibi_journal::{Day, Weekday};

use crate::say::listing as say;

/// Each weekday with the names by which it is understood; Monday first.
const WEEKDAYS: [(Weekday, &str, char); 7] = [
    (Weekday::Monday, "Monday", '一'),
    (Weekday::Tuesday, "Tuesday", '二'),
    (Weekday::Wednesday, "Wednesday", '三'),
    (Weekday::Thursday, "Thursday", '四'),
    (Weekday::Friday, "Friday", '五'),
    (Weekday::Saturday, "Saturday", '六'),
    (Weekday::Sunday, "Sunday", '日'),
];

/// Examples for help and hints.
pub(crate) const EXAMPLES: &str = "2026-11-23, 11-23, yesterday, monday, 昨天, 周一, 11月23日";

/// The day that `text` names, seen from `today`.
///
/// A weekday and a date without a year mean the latest such day, today included.
///
/// # Errors
///
/// No day, or one that the calendar lacks.
pub(crate) fn parse(text: &str, today: Day) -> Result<Day, DayError> {
    match day::parse(text, today) {
        Err(error @ DayError::Form(_)) => {
            let text = text.trim().to_lowercase();
            match weekday(&text) {
                Some(wanted) => Ok(latest(wanted, today)),
                None => date(&text, today).unwrap_or(Err(error)),
            }
        }
        other => other,
    }
}

/// `Monday`, `Tuesday` …
pub(crate) fn weekday_name(day: Day) -> String {
    match day.weekday() {
        Weekday::Monday => say::Monday.to_string(),
        Weekday::Tuesday => say::Tuesday.to_string(),
        Weekday::Wednesday => say::Wednesday.to_string(),
        Weekday::Thursday => say::Thursday.to_string(),
        Weekday::Friday => say::Friday.to_string(),
        Weekday::Saturday => say::Saturday.to_string(),
        Weekday::Sunday => say::Sunday.to_string(),
    }
}

/// `today`, `yesterday`, or nothing.
pub(crate) fn near_name(day: Day, today: Day) -> Option<String> {
    match today.days() - day.days() {
        0 => Some(say::Today.to_string()),
        1 => Some(say::Yesterday.to_string()),
        _ => None,
    }
}

fn latest(wanted: Weekday, today: Day) -> Day {
    (0..7).map(|back| today.add(-back)).find(|day| day.weekday() == wanted).unwrap_or(today)
}

fn weekday(text: &str) -> Option<Weekday> {
    let chinese = ["周", "星期", "礼拜"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let chinese = chinese.map(|last| if last == "天" { "日" } else { last });
    let is_named = |english: &str, one: char| {
        let english = english.to_lowercase();
        text == english || text == &english[..3] || chinese == Some(one.encode_utf8(&mut [0; 4]))
    };
    WEEKDAYS.iter().find(|(_, english, one)| is_named(english, *one)).map(|(weekday, ..)| *weekday)
}

/// Year, month and day, or the last two, in any of their forms; `None` when it is nothing like it.
fn date(text: &str, today: Day) -> Option<Result<Day, DayError>> {
    let text = text.replace(['年', '月', '/', '.'], "-").replace(['日', '号'], "");
    let part = |part: &str| part.trim().parse::<u8>().ok();
    let parts: Vec<&str> = text.split('-').collect();
    match *parts.as_slice() {
        [year, month, day] if year.len() == 4 => {
            Some(Day::from_ymd(year.parse().ok()?, part(month)?, part(day)?))
        }
        [month, day] => {
            let (month, day) = (part(month)?, part(day)?);
            // A 29 February is at most eight years away.
            let found = (0..=8)
                .filter_map(|back| Day::from_ymd(today.year() - back, month, day).ok())
                .find(|day| *day <= today);
            Some(found.map_or_else(|| Day::from_ymd(today.year(), month, day), Ok))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_named_in_two_languages() {
        let monday = day("2026-11-23");
        for (text, wanted) in [
            ("2026-11-02", "2026-11-02"),
            ("2026/11/2", "2026-11-02"),
            ("2026年11月2日", "2026-11-02"),
            ("11-23", "2026-11-23"),
            ("11-24", "2025-11-24"),
            ("2月29日", "2024-02-29"),
            ("12月1号", "2025-12-01"),
            ("today", "2026-11-23"),
            ("Yesterday", "2026-11-22"),
            ("前天", "2026-11-21"),
            ("monday", "2026-11-23"),
            ("tue", "2026-11-17"),
            ("周日", "2026-11-22"),
            ("星期天", "2026-11-22"),
        ] {
            assert_eq!(parse(text, monday), Ok(day(wanted)), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        let today = day("2026-11-23");
        for text in [
            "",
            "the",
            "time",
            "2026-02-30",
            "13-01",
            "23",
            "2026",
            "-",
            "1-2-3-4",
            "99999-1-1",
            "周八",
            "2月30日",
        ] {
            assert!(parse(text, today).is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_knows_its_weekday() {
        assert_eq!(weekday_name(day("2026-11-23")), "Monday");
        assert_eq!(weekday_name(day("1969-12-31")), "Wednesday");
        assert_eq!(near_name(day("2026-11-22"), day("2026-11-23")).as_deref(), Some("yesterday"));
        assert_eq!(near_name(day("2026-11-24"), day("2026-11-23")), None);
    }
}
