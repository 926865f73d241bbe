//! `suibi on-this-day` and `suibi random`: what was written once.

use std::collections::BTreeSet;
use std::convert::Infallible;

use clap::Args;
use suibi_journal::{Day, Note, Query};

use super::Context;
use super::list::keep_numbers;
use super::{filter, shape};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::numbers;
use crate::render::json::NotesJson;
use crate::render::listing::Listing;
use crate::say::{common, past as say};
use crate::session::{self, Session};

/// `suibi on-this-day`.
#[derive(Debug, Args)]
pub(super) struct OnThisDayArgs {
    /// Another day than today
    #[arg(value_name = "DATE")]
    day: Option<String>,
    /// The same day of earlier months as well
    #[arg(long)]
    months: bool,
    /// The same weekday of the last four weeks as well
    #[arg(long)]
    weeks: bool,
}

/// `suibi random`.
#[derive(Debug, Args)]
pub(super) struct RandomArgs {
    /// So many notes, each another one
    #[arg(short = 'n', long = "limit", value_name = "N", value_parser = super::count, default_value = "1")]
    limit: usize,
}

pub(super) fn on_this_day(args: OnThisDayArgs, context: &mut Context) -> Result<Exit, Failure> {
    let today = clock::today()?;
    let day = match &args.day {
        None => today,
        Some(text) => filter::one_day(text).map_err(|no| {
            let words = ["on-this-day".into(), text.into()];
            let note = shape::quoted(&words);
            Failure::usage(common::AndNothingDone { what: no.why })
                .hint(common::AddHint { words: note })
        })?,
    };
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    then(day, args.months, args.weeks, &mut session, context)
}

pub(super) fn random(args: RandomArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    some(args.limit, &mut session, context)
}

/// Lists what was written on days like this one.
pub(crate) fn then(
    day: Day,
    months: bool,
    weeks: bool,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let has: Vec<Day> = session.days()?.into_iter().map(|(day, _)| day).collect();
    let mut notes = Vec::new();
    for then in has.into_iter().filter(|then| ago(*then, day, months, weeks).is_some()) {
        notes.extend(session.notes(&Query::on(then))?);
    }
    let header = |then: Day| ago(then, day, months, weeks).unwrap_or_default();
    print(&notes, &header, context)?;
    if notes.is_empty() {
        match months || weeks {
            true => context.ui.say(say::NoneEarlier { day }),
            false => context
                .ui
                .say(say::NoneThen { day: format!("{:02}-{:02}", day.month(), day.day()) }),
        }
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

/// How long before `day` it was, if it is a day like this.
fn ago(then: Day, day: Day, months: bool, weeks: bool) -> Option<String> {
    if then >= day {
        return None;
    }
    let years = i64::from(day.year()) - i64::from(then.year());
    let between = years * 12 + i64::from(day.month()) - i64::from(then.month());
    // The 29th of February and the like are remembered on the last day of a month that has none.
    let is_last = day.add(1).day() == 1;
    let is_same = then.day() == day.day() || is_last && then.day() > day.day();
    if is_same && between > 0 {
        let between = between.unsigned_abs();
        if between % 12 == 0 {
            return Some(say::YearsAgo { years: between / 12 }.to_string());
        }
        if months {
            return Some(say::MonthsAgo { months: between }.to_string());
        }
    }
    let days = u64::try_from(day.days() - then.days()).unwrap_or(0);
    let is_week = weeks && days % 7 == 0 && days <= 28;
    is_week.then(|| say::WeeksAgo { weeks: days / 7 }.to_string())
}

/// Lists notes that nobody asked for, each as likely as any other.
pub(crate) fn some(
    limit: usize,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let days = session.days()?;
    let all: u64 = days.iter().map(|(_, notes)| notes).sum();
    if all == 0 {
        context.ui.say(crate::say::list::NoneYet);
        return Ok(Exit::NothingMatched);
    }
    // Where most are wanted, drawing without a repeat takes long, and all is a good answer.
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX).min(all);
    let mut drawn = BTreeSet::new();
    while (drawn.len() as u64) < wanted {
        match wanted * 2 > all {
            true => drawn.extend(0..all),
            false => {
                drawn.insert(draw(all)?);
            }
        }
        while drawn.len() as u64 > wanted {
            let nth = usize::try_from(draw(drawn.len() as u64)?).unwrap_or(0);
            let out = *drawn.iter().nth(nth).expect("it is below their number");
            drawn.remove(&out);
        }
    }
    let mut notes = Vec::new();
    let mut before = 0;
    for (day, count) in days {
        let here: Vec<u64> = drawn.range(before..before + count).map(|at| at - before).collect();
        before += count;
        if here.is_empty() {
            continue;
        }
        let of_day = session.notes(&Query::on(day))?;
        let here = here.into_iter().filter_map(|at| usize::try_from(at).ok());
        notes.extend(here.filter_map(|at| of_day.get(at)).cloned());
    }
    print(&notes, &|_| String::new(), context)?;
    Ok(Exit::Done)
}

/// A number below `end`.
fn draw(end: u64) -> Result<u64, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    // 128 bits: the small numbers are more likely by less than anybody can ever see.
    let number = u128::from_le_bytes(bytes) % u128::from(end.max(1));
    Ok(u64::try_from(number).expect("it is below a u64"))
}

/// Notes under their days, each with a remark.
fn print(
    notes: &[Note],
    remark: &dyn Fn(Day) -> String,
    context: &mut Context,
) -> Result<(), Failure> {
    use std::io::Write as _;
    let data_dir = context.settings.journal_dir()?;
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&NotesJson::new(notes.iter().cloned().map(Ok::<_, Infallible>)))?;
    } else {
        let is_numbered = ui.is_terminal() && notes.len() <= numbers::MOST;
        let listing = Listing {
            today: clock::today()?,
            width: ui.width(),
            source: false,
            marks: ui.is_terminal(),
        };
        let page = listing.render_past(notes, is_numbered, remark);
        ui.out().write_all(page.as_bytes())?;
        if is_numbered {
            keep_numbers(notes, &data_dir)?;
        }
    }
    ui.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_like_this_one() {
        let told = |then: &str, day: &str, months, weeks| {
            ago(then.parse().unwrap(), day.parse().unwrap(), months, weeks).unwrap_or_default()
        };
        for (then, day, months, weeks, wanted) in [
            ("2025-11-23", "2026-11-23", false, false, "a year ago"),
            ("2019-11-23", "2026-11-23", false, false, "7 years ago"),
            ("2026-11-23", "2026-11-23", true, true, ""),
            ("2027-11-23", "2026-11-23", true, true, ""),
            ("2025-11-22", "2026-11-23", true, true, ""),
            ("2026-10-23", "2026-11-23", false, false, ""),
            ("2026-10-23", "2026-11-23", true, false, "a month ago"),
            ("2025-05-23", "2026-11-23", true, false, "18 months ago"),
            ("2026-11-16", "2026-11-23", false, true, "a week ago"),
            ("2026-10-26", "2026-11-23", false, true, "4 weeks ago"),
            ("2026-10-19", "2026-11-23", false, true, ""),
            ("2024-02-29", "2025-02-28", false, false, "a year ago"),
            ("2024-02-29", "2028-02-28", false, false, ""),
            ("2026-10-31", "2026-11-30", true, false, "a month ago"),
        ] {
            assert_eq!(told(then, day, months, weeks), wanted, "{then} {day}");
        }
    }

    #[test]
    fn every_number_is_drawn() {
        let drawn: BTreeSet<u64> = (0..400).map(|_| draw(4).unwrap()).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(draw(1).unwrap(), 0);
    }
}
