//! What days are called. How people write times is read by `suibi_when`.

use suibi_journal::{Day, Weekday};

use crate::say::listing as say;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_knows_its_weekday() {
        assert_eq!(weekday_name(day("2026-11-23")), "Monday");
        assert_eq!(weekday_name(day("1969-12-31")), "Wednesday");
        assert_eq!(near_name(day("2026-11-22"), day("2026-11-23")).as_deref(), Some("yesterday"));
        assert_eq!(near_name(day("2026-11-24"), day("2026-11-23")), None);
    }
}
