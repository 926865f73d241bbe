//! Days as a map of weeks: how much was written on which.
//!
//! ```text
//!     Oct Nov
//! Mon · ░ █
//! Tue ▒ ·
//! ```

use std::collections::BTreeMap;

use suibi_journal::Day;

use super::style::{DIM, GOOD};
use super::wrap::columns;

/// Columns before the weeks.
const LABEL: usize = 4;

/// From nothing to most: told apart without colours as well.
pub(crate) const LEVELS: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// Words of a language.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Monday first.
    pub(crate) weekdays: Vec<&'a str>,
    /// January first.
    pub(crate) months: Vec<&'a str>,
}

/// The days from `since` to `until` in at most `width` columns; the newest weeks, where not all fit.
pub(crate) fn map(
    days: &BTreeMap<Day, u64>,
    since: Day,
    until: Day,
    width: usize,
    names: &Names<'_>,
) -> String {
    let (first, last) = (monday(since), monday(until));
    let weeks = usize::try_from((last.days() - first.days()) / 7).unwrap_or(0) + 1;
    let cell = if LABEL + 2 * weeks <= width { 2 } else { 1 };
    let weeks = weeks.min(width.saturating_sub(LABEL) / cell).max(1);
    let day = |week: usize, weekday: usize| {
        let back = 7 * (weeks - 1 - week);
        last.add(i32::try_from(weekday).unwrap_or(0) - i32::try_from(back).unwrap_or(0))
    };
    let limits = limits(days);
    let mut text = months(weeks, cell, &day, names);
    for (weekday, name) in names.weekdays.iter().enumerate() {
        let padding = LABEL.saturating_sub(columns(name));
        let mut line = format!("{DIM}{name}{DIM:#}{:padding$}", "");
        for week in 0..weeks {
            let day = day(week, weekday);
            let shown = match (since..=until).contains(&day) {
                false => " ".to_owned(),
                true => match level(days.get(&day).copied().unwrap_or(0), &limits) {
                    0 => format!("{DIM}{}{DIM:#}", LEVELS[0]),
                    level => format!("{GOOD}{}{GOOD:#}", LEVELS[level]),
                },
            };
            line.push_str(&shown);
            line.push_str(&" ".repeat(cell - 1));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The months over the weeks in which they begin, as many as do not touch.
fn months(
    weeks: usize,
    cell: usize,
    day: &dyn Fn(usize, usize) -> Day,
    names: &Names<'_>,
) -> String {
    let mut line = " ".repeat(LABEL);
    for week in 0..weeks {
        let Some(first) = (0..7).map(|weekday| day(week, weekday)).find(|day| day.day() == 1)
        else {
            continue;
        };
        let (at, name) = (LABEL + week * cell, names.months[usize::from(first.month()) - 1]);
        let used = columns(&line);
        let is_apart = used == LABEL || at > used;
        if at >= used && is_apart && at + columns(name) <= LABEL + weeks * cell {
            line.push_str(&" ".repeat(at - used));
            line.push_str(name);
        }
    }
    format!("{DIM}{}{DIM:#}\n", line.trim_end())
}

/// Up to how many notes each level but the last goes. Quarters of the days on which something was written, so that
/// one busy day does not pale all others.
fn limits(days: &BTreeMap<Day, u64>) -> [u64; 3] {
    let mut counts: Vec<u64> = days.values().copied().filter(|notes| *notes > 0).collect();
    counts.sort_unstable();
    match counts.last() {
        None => [1, 2, 3],
        Some(most) if *most <= 4 => [1, 2, 3],
        Some(_) => {
            [1, 2, 3].map(|quarter| counts[(counts.len() * quarter / 4).min(counts.len() - 1)])
        }
    }
}

fn level(notes: u64, limits: &[u64; 3]) -> usize {
    match notes {
        0 => 0,
        notes => 1 + limits.iter().filter(|limit| notes > **limit).count(),
    }
}

/// The Monday of a day's week.
fn monday(day: Day) -> Day {
    // 1970-01-01 was a Thursday.
    day.add(-(day.days() + 3).rem_euclid(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(is_chinese: bool) -> Names<'static> {
        let words = |text: &'static str| text.split(' ').collect();
        match is_chinese {
            false => Names {
                weekdays: words("Mon Tue Wed Thu Fri Sat Sun"),
                months: words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
            },
            true => Names {
                weekdays: words("一 二 三 四 五 六 日"),
                months: words("1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月"),
            },
        }
    }

    fn seen(since: &str, until: &str, width: usize, is_chinese: bool) -> String {
        let until: Day = until.parse().unwrap();
        let notes = |back: i32| u64::try_from((back * 7 + back / 5) % 13).unwrap();
        let days = (0..400).map(|back| (until.add(-back), notes(back))).collect();
        let text = map(&days, since.parse().unwrap(), until, width, &names(is_chinese));
        let plain = anstream::adapter::strip_str(&text).to_string();
        for line in plain.lines() {
            assert!(columns(line) <= width, "{width}: {line}");
        }
        plain
    }

    #[test]
    fn a_few_weeks_at_twenty_columns_are_the_newest() {
        insta::assert_snapshot!(seen("2025-11-24", "2026-11-23", 20, false), @"
               Sep Oct Nov
        Mon ░░▒▒▓▓█·░░▒▒▓▓█·
        Tue ▒▓██░░░▒▒▓▓█░░░
        Wed ·░░▒▒▓▓█·░░▒▒▓▓
        Thu ▒▓▓██░░░▒▒▓██░░
        Fri █·░░▒▒▓▓█·░░▒▒▓
        Sat ▒▒▓▓█·░░░▒▓▓██░
        Sun ▓█░░░▒▒▓▓█·░░▒▒
        ");
    }

    #[test]
    fn a_year_fits_eighty_columns_in_two_languages() {
        insta::assert_snapshot!(seen("2025-11-24", "2026-11-23", 80, false), @"
             Dec Jan Feb Mar  Apr May  Jun Jul Aug  Sep Oct Nov
        Mon ▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·
        Tue ·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░
        Wed ▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓
        Thu █·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░
        Fri ▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓
        Sat ▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░
        Sun ░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒
        ");
        insta::assert_snapshot!(seen("2025-11-24", "2026-11-23", 80, true), @"
             12月    2月 3月  4月 5月  6月 7月 8月  9月 10月
        一  ▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·
        二  ·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░
        三  ▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓
        四  █·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░
        五  ▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓
        六  ▓█░░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░
        日  ░▒▒▓▓█·░░▒▒▓▓█·░░░▒▓▓██░░░▒▒▓██░░░▒▒▓▓█░░░▒▒▓▓█·░░▒▒
        ");
    }

    #[test]
    fn where_there_is_room_cells_stand_apart() {
        insta::assert_snapshot!(seen("2026-10-01", "2026-11-23", 80, false), @"
            Oct     Nov
        Mon   ░ ░ ▒ ▒ ▓ ▓ █ ·
        Tue   ▒ ▓ ▓ █ ░ ░ ░
        Wed   · ░ ░ ▒ ▒ ▓ ▓
        Thu ░ ▒ ▒ ▓ █ █ ░ ░
        Fri ▓ █ · ░ ░ ▒ ▒ ▓
        Sat ░ ░ ▒ ▓ ▓ █ █ ░
        Sun ▓ ▓ █ · ░ ░ ▒ ▒
        ");
        let wide = seen("2025-11-24", "2026-11-23", 120, false);
        assert!(wide.lines().any(|line| columns(line) > 80), "{wide}");
    }

    #[test]
    fn it_is_drawn_at_any_width() {
        for width in 5..130 {
            seen("2025-11-24", "2026-11-23", width, width % 2 == 0);
        }
        seen("2026-11-23", "2026-11-23", 80, false);
    }

    #[test]
    fn one_busy_day_does_not_pale_the_others() {
        let day: Day = "2026-11-23".parse().unwrap();
        let days =
            (0..8).map(|back| (day.add(-back), if back == 0 { 500 } else { 5 + back as u64 }));
        let days: BTreeMap<Day, u64> = days.collect();
        let limits = limits(&days);
        let levels: Vec<usize> = days.values().map(|notes| level(*notes, &limits)).collect();
        assert_eq!(levels.iter().max(), Some(&4));
        assert!(levels.iter().filter(|level| **level > 1).count() >= 4, "{levels:?}");
    }
}
