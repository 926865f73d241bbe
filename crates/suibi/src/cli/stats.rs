//! `suibi stats`: how much, when, in which words, from where.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use serde::Serialize;
use suibi_journal::{Day, Note, Query};
use unicode_segmentation::UnicodeSegmentation as _;

use super::Context;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::heat::{self, Names};
use crate::render::json::VERSION;
use crate::render::listing::source;
use crate::render::style::{DIM, GOOD};
use crate::render::wrap::columns;
use crate::say::stats as say;
use crate::session::{self, Session};

/// What is shown where nobody can say how wide it may be.
const WIDTH: usize = 80;

/// So many devices and addresses are told.
const MOST_DEVICES: usize = 6;

/// From little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `suibi stats`.
#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// A calendar year; without it, the year up to today
    #[arg(value_name = "YEAR", value_parser = year)]
    year: Option<i16>,
}

fn year(text: &str) -> Result<i16, String> {
    let year = text.parse().ok().filter(|year| (1..=9999).contains(year));
    year.ok_or_else(|| say::Year.to_string())
}

/// What is told, and what `--json` prints.
#[derive(Debug, Serialize)]
struct Stats {
    version: u32,
    since: String,
    until: String,
    /// In these days.
    notes: u64,
    days: Vec<DayJson>,
    words: u64,
    /// How many of the words are Chinese characters.
    characters: u64,
    /// By the hour on the clock where they were written.
    hours: Vec<u64>,
    devices: Vec<DeviceJson>,
    /// In all days.
    all: u64,
    first: Option<String>,
    streak: Streak,
}

#[derive(Debug, Serialize)]
struct DayJson {
    day: String,
    notes: u64,
}

#[derive(Debug, Serialize)]
struct DeviceJson {
    device: String,
    notes: u64,
}

/// Days with notes without a gap.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Streak {
    /// Up to today, or to yesterday as long as today has none.
    now: u64,
    longest: u64,
    since: Option<String>,
    until: Option<String>,
}

pub(super) fn run(args: StatsArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    show(args.year, &mut session, context)
}

/// Prints them.
pub(crate) fn show(
    year: Option<i16>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let today = clock::today()?;
    let (since, until) = match year {
        None => (today.add(-364), today),
        Some(year) => {
            let day = |month, day| Day::from_ymd(year, month, day).expect("every year has it");
            (day(1, 1), day(12, 31))
        }
    };
    let all = session.days()?;
    let shown: BTreeMap<Day, u64> =
        all.iter().copied().filter(|(day, _)| (since..=until).contains(day)).collect();
    let stats = gather(&all, &shown, (since, until), today, session)?;
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&stats)?;
    } else if stats.notes > 0 {
        let width = ui.width().unwrap_or(WIDTH);
        let page = page(&stats, &shown, (since, until), width);
        ui.out().write_all(page.as_bytes())?;
    }
    ui.flush()?;
    if stats.notes == 0 {
        ui.say(say::None { since, until });
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

/// Days are counted in a table of their own; texts and hours are only in the notes.
fn gather(
    all: &[(Day, u64)],
    shown: &BTreeMap<Day, u64>,
    (since, until): (Day, Day),
    today: Day,
    session: &mut Session,
) -> Result<Stats, Failure> {
    let mut stats = Stats {
        version: VERSION,
        since: since.to_string(),
        until: until.to_string(),
        notes: shown.values().sum(),
        days: shown
            .iter()
            .map(|(day, notes)| DayJson { day: day.to_string(), notes: *notes })
            .collect(),
        words: 0,
        characters: 0,
        hours: vec![0; 24],
        devices: Vec::new(),
        all: all.iter().map(|(_, notes)| notes).sum(),
        first: all.first().map(|(day, _)| day.to_string()),
        streak: streak(all.iter().map(|(day, _)| *day), today),
    };
    let mut devices: BTreeMap<String, u64> = BTreeMap::new();
    let query = Query { since: Some(since), until: Some(until), ..Query::default() };
    session.each(&query, |note: Note| {
        let (words, characters) = count(&note.text);
        stats.words += words;
        stats.characters += characters;
        stats.hours[usize::from(note.time.hour_minute().0) % 24] += 1;
        match devices.get_mut(&note.device) {
            Some(notes) => *notes += 1,
            None => {
                devices.insert(source(&Note { source: None, ..note }), 1);
            }
        }
    })?;
    stats.devices =
        devices.into_iter().map(|(device, notes)| DeviceJson { device, notes }).collect();
    stats.devices.sort_by(|a, b| b.notes.cmp(&a.notes).then_with(|| a.device.cmp(&b.device)));
    Ok(stats)
}

/// The words of a text by the Unicode rules (UAX #29), by which each Chinese character is one, and how many are.
fn count(text: &str) -> (u64, u64) {
    let (mut words, mut characters) = (0, 0);
    for word in text.unicode_words() {
        words += 1;
        characters += u64::from(word.chars().all(is_chinese));
    }
    (words, characters)
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The streaks among days that rise.
fn streak(days: impl Iterator<Item = Day>, today: Day) -> Streak {
    let mut streak = Streak::default();
    let mut run: Option<(Day, Day)> = None;
    for day in days {
        let begun = match run {
            Some((begun, last)) if last.add(1) == day => begun,
            _ => day,
        };
        run = Some((begun, day));
        let length = length(begun, day);
        if length > streak.longest {
            streak.longest = length;
            streak.since = Some(begun.to_string());
            streak.until = Some(day.to_string());
        }
        if day == today || day.add(1) == today {
            streak.now = length;
        }
    }
    streak
}

fn length(since: Day, until: Day) -> u64 {
    u64::try_from(until.days() - since.days() + 1).unwrap_or(0)
}

/// All of it, in at most `width` columns where lines can be folded to that.
fn page(stats: &Stats, shown: &BTreeMap<Day, u64>, range: (Day, Day), width: usize) -> String {
    let (weekdays, months) = (say::Weekdays.to_string(), say::Months.to_string());
    let names =
        Names { weekdays: weekdays.split(' ').collect(), months: months.split(' ').collect() };
    let mut text = heat::map(shown, range.0, range.1, width, &names);
    let levels = heat::LEVELS[1..].iter().map(|level| format!(" {GOOD}{level}{GOOD:#}"));
    let levels: String = levels.collect();
    let _ = writeln!(
        text,
        "    {DIM}{} {}{DIM:#}{levels} {DIM}{}{DIM:#}\n",
        say::Less,
        heat::LEVELS[0],
        say::More
    );
    let days = stats.days.len() as u64;
    let each = format!("{:.1}", stats.notes as f64 / days.max(1) as f64);
    let mut facts = vec![(
        say::Notes.to_string(),
        say::NotesAre { notes: grouped(stats.notes), days, each }.to_string(),
    )];
    if let Some(first) = stats.first.as_ref().filter(|_| stats.all > stats.notes) {
        let all = say::AllAre { notes: grouped(stats.all), first };
        facts.push((say::All.to_string(), all.to_string()));
    }
    let now = say::StreakNow { now: stats.streak.now }.to_string();
    if let (Some(since), Some(until)) = (&stats.streak.since, &stats.streak.until) {
        let longest = stats.streak.longest;
        let told = match longest == stats.streak.now {
            true => now,
            false => say::StreakLongest { now, longest, since, until }.to_string(),
        };
        facts.push((say::Streak.to_string(), told));
    }
    if let Some((day, notes)) = shown.iter().max_by_key(|(day, notes)| (**notes, **day)) {
        let most = say::BusiestIs { day, notes: *notes };
        facts.push((say::Busiest.to_string(), most.to_string()));
    }
    let words = grouped(stats.words);
    let words = match stats.characters {
        0 => words,
        some => say::WordsWithChinese { words, characters: grouped(some) }.to_string(),
    };
    facts.push((say::Words.to_string(), words));
    let devices = stats.devices.iter().take(MOST_DEVICES);
    let devices = devices.map(|it| format!("{} {}", it.device, grouped(it.notes)));
    facts.push((say::Devices.to_string(), devices.collect::<Vec<_>>().join(" · ")));
    let hours = say::Hours.to_string();
    let label = facts.iter().map(|(name, _)| columns(name)).chain([columns(&hours)]).max();
    let label = label.unwrap_or(0) + 2;
    let pad = |name: &str| " ".repeat(label - columns(name));
    for (name, fact) in &facts {
        let lines = crate::render::wrap::wrap(fact, width.saturating_sub(label).max(10));
        for (at, line) in lines.iter().enumerate() {
            let (name, pad) = if at == 0 { (name.as_str(), pad(name)) } else { ("", pad("")) };
            let _ = writeln!(text, "{DIM}{name}{DIM:#}{pad}{line}");
        }
    }
    let wide = if label + 48 <= width { 2 } else { 1 };
    let _ = write!(text, "{DIM}{hours}{DIM:#}{}", pad(&hours));
    let _ = writeln!(text, "{GOOD}{}{GOOD:#}", bars(&stats.hours, wide));
    let clock: String =
        [0, 6, 12, 18].iter().map(|hour| format!("{hour:<w$}", w = 6 * wide)).collect();
    let _ = writeln!(text, "{}{DIM}{}{DIM:#}", pad(""), clock.trim_end());
    text
}

/// A bar for each number, as high as its share of the largest.
fn bars(numbers: &[u64], wide: usize) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let bar = |number: &u64| match *number {
        0 => ' ',
        some => BARS[usize::try_from((some * 8).div_ceil(most)).unwrap_or(8).clamp(1, 8) - 1],
    };
    let bars: String =
        numbers.iter().flat_map(|number| std::iter::repeat_n(bar(number), wide)).collect();
    bars.trim_end().to_owned()
}

/// `12,840`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn streaks_end_with_a_gap_and_today_may_still_come() {
        let streak = |days: &[&str], today: &str| {
            let found = streak(days.iter().map(|text| day(text)), day(today));
            (found.now, found.longest, found.since.unwrap_or_default())
        };
        let three = ["2026-11-20", "2026-11-21", "2026-11-22"];
        assert_eq!(streak(&three, "2026-11-22"), (3, 3, "2026-11-20".to_owned()));
        assert_eq!(streak(&three, "2026-11-23").0, 3, "today has its evening");
        assert_eq!(streak(&three, "2026-11-24").0, 0);
        let gap = ["2026-11-01", "2026-11-02", "2026-11-22", "2026-11-23"];
        assert_eq!(streak(&gap, "2026-11-23"), (2, 2, "2026-11-01".to_owned()));
        assert_eq!(streak(&[], "2026-11-23"), (0, 0, String::new()));
        assert_eq!(streak(&["2024-02-28", "2024-02-29", "2024-03-01"], "2026-11-23").1, 3);
    }

    #[test]
    fn words_are_counted_in_both_languages() {
        assert_eq!(count("bought milk @shop"), (3, 0));
        assert_eq!(count("买牛奶，还有 bread"), (6, 5));
        assert_eq!(count("don't  stop…"), (2, 0));
        assert_eq!(count(""), (0, 0));
    }

    #[test]
    fn numbers_are_grouped_and_bars_reach_the_top() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(bars(&[0, 1, 4, 8], 1), " ▁▄█");
        assert_eq!(bars(&[0, 0], 2), "");
        assert_eq!(bars(&[1, 1_000_000], 2), "▁▁██");
    }

    #[test]
    fn a_page_fits_its_terminal() {
        let days: BTreeMap<Day, u64> =
            (0..300).map(|back| (day("2026-11-23").add(-back), 1 + back as u64 % 7)).collect();
        let range = (day("2025-11-24"), day("2026-11-23"));
        let stats = Stats {
            version: VERSION,
            since: range.0.to_string(),
            until: range.1.to_string(),
            notes: 1_198,
            days: days
                .iter()
                .map(|(day, notes)| DayJson { day: day.to_string(), notes: *notes })
                .collect(),
            words: 34_210,
            characters: 12_003,
            hours: (0..24).map(|hour| (hour * 7) % 11).collect(),
            devices: [("laptop", 812), ("手机", 386)]
                .map(|(device, notes)| DeviceJson { device: device.to_owned(), notes })
                .into(),
            all: 12_840,
            first: Some("2019-03-02".to_owned()),
            streak: streak(days.keys().copied(), range.1),
        };
        let seen = |width| {
            let text = page(&stats, &days, range, width);
            let plain = anstream::adapter::strip_str(&text).to_string();
            assert!(plain.lines().all(|line| columns(line) <= width), "{width}: {plain}");
            plain
        };
        insta::assert_snapshot!(seen(80), @"
             Dec Jan Feb Mar  Apr May  Jun Jul Aug  Sep Oct Nov
        Mon ··········░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
        Tue ··········██████████████████████████████████████████
        Wed ·········▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
        Thu ·········▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
        Fri ·········▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
        Sat ·········▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
        Sun ·········░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
            less · ░ ▒ ▓ █ more

        notes     1,198 on 300 days, 4.0 on each
        in all    12,840 since 2019-03-02
        in a row  300 days now
        most      2026-11-17, 7 notes
        words     34,210, of which 12,003 are Chinese characters
        from      laptop 812 · 手机 386
        hours       ▆▆▃▃██▅▅▂▂██▄▄▁▁▇▇▄▄  ▆▆▃▃██▅▅▂▂██▄▄▁▁▇▇▄▄  ▆▆
                  0           6           12          18
        ");
        insta::assert_snapshot!(seen(40), @"
             Apr May  Jun Jul Aug  Sep Oct Nov
        Mon ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
        Tue ███████████████████████████████████
        Wed ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
        Thu ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
        Fri ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
        Sat ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
        Sun ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
            less · ░ ▒ ▓ █ more

        notes     1,198 on 300 days, 4.0 on each
        in all    12,840 since 2019-03-02
        in a row  300 days now
        most      2026-11-17, 7 notes
        words     34,210, of which 12,003 are
                  Chinese characters
        from      laptop 812 · 手机 386
        hours      ▆▃█▅▂█▄▁▇▄ ▆▃█▅▂█▄▁▇▄ ▆
                  0     6     12    18
        ");
        assert!(seen(80).lines().count() < 24, "it fits one screen");
        for width in 36..130 {
            seen(width);
        }
    }
}
