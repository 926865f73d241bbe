//! Which notes: one set of words for every command that lists notes or does something to them.
//!
//! A command flattens [`FilterArgs`] into its own arguments and asks them for a [`Filter`]: the [`Query`] for
//! [`Session::notes`](crate::session::Session::notes), which finds by date, tag, word, device and star at once and at
//! the same cost in a journal of any size, and the order in which to show what it finds.
//!
//! ```text
//!   #[command(flatten)]                        let filter = args.filter.filter()?;
//!   filter: FilterArgs,                        if args.filter.is_empty() { … no filter at all … }
//!                                              let notes = session.notes(&filter.query)?;
//! ```
//!
//! Words that stand for themselves (`suibi log last week @shop`, `/on 昨天 #work`) go through [`FilterArgs::with_words`].

use std::ffi::OsString;

use clap::{Args, Parser};
use jiff::civil::DateTime;
use suibi_journal::{Day, Query};
use suibi_when::WhenError;

use super::shape;
use crate::clock;
use crate::failure::Failure;
use crate::say::when as say;

const WHICH: &str = "Which notes";

/// What narrows a listing; everything given has to fit.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only from then on: yesterday, 'last fri 9:30', 2026-10, 昨天下午三点
    #[arg(long, value_name = "WHEN", help_heading = WHICH)]
    since: Option<String>,
    /// Only up to then, all of that day, month or minute included
    #[arg(long, value_name = "WHEN", help_heading = WHICH)]
    until: Option<String>,
    /// Only from this day or stretch: 'last week', 2026-10..2026-11, 上个月
    #[arg(long = "on", value_name = "WHEN", conflicts_with_all = ["since", "until"], help_heading = WHICH)]
    within: Option<String>,
    /// Only with this tag, or one below it (work finds work/plans); given twice: with both
    #[arg(id = "with_tag", long = "tag", value_name = "TAG", help_heading = WHICH)]
    tags: Vec<String>,
    /// Only without this word or tag (milk, @shop, '#shop')
    #[arg(long, value_name = "WORD|TAG", help_heading = WHICH)]
    not: Vec<String>,
    /// Only with these words, as search takes them
    #[arg(id = "with_text", long = "text", value_name = "WORDS", help_heading = WHICH)]
    text: Option<String>,
    /// Only from this device or address
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    from: Option<String>,
    /// Only with a star
    #[arg(long, help_heading = WHICH)]
    starred: bool,
    /// Only the newest N of them
    #[arg(short = 'n', long = "limit", value_name = "N", value_parser = super::count, help_heading = WHICH)]
    limit: Option<usize>,
    /// Newest first
    #[arg(long, help_heading = WHICH)]
    reverse: bool,
}

/// Which notes, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) query: Query,
    /// Newest first.
    pub(crate) reverse: bool,
}

/// Why words are neither a time nor a tag.
#[derive(Debug)]
pub(crate) struct NoFilter {
    pub(crate) why: String,
}

impl FilterArgs {
    /// Whether nothing was given that chooses among the notes, a number included; the order does not.
    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none()
            && self.until.is_none()
            && self.within.is_none()
            && self.tags.is_empty()
            && self.not.is_empty()
            && self.text.is_none()
            && self.from.is_none()
            && !self.starred
            && self.limit.is_none()
    }

    /// The same with words that stand for themselves: tags with their sigil, and a time.
    ///
    /// # Errors
    ///
    /// The words that are neither.
    pub(crate) fn with_words(mut self, words: &[String]) -> Result<Self, NoFilter> {
        let (tags, when): (Vec<_>, Vec<_>) =
            words.iter().flat_map(|word| word.split_whitespace()).partition(|word| is_tag(word));
        self.tags.extend(tags.into_iter().map(str::to_owned));
        if when.is_empty() {
            return Ok(self);
        }
        let words = when.join(" ");
        // Told apart here already: what is no time may have been meant for a note.
        let here = clock::here().map_err(|error| NoFilter { why: error.to_string() })?;
        if let Err(error) = suibi_when::range(&words, &here) {
            return Err(NoFilter { why: why(&words, error) });
        }
        if self.since.is_some() || self.until.is_some() || self.within.is_some() {
            return Err(NoFilter { why: say::Twice.to_string() });
        }
        self.within = Some(words);
        Ok(self)
    }

    /// As [`with_words`](Self::with_words); a number alone says how many.
    ///
    /// # Errors
    ///
    /// The words that are neither.
    pub(crate) fn with_count(mut self, words: &[String]) -> Result<Self, NoFilter> {
        if let [count] = words
            && let Ok(count) = super::count(count)
            && count < 1000
        {
            self.limit = Some(count);
            return Ok(self);
        }
        self.with_words(words)
    }

    /// Only today, and only with these tags.
    ///
    /// # Errors
    ///
    /// Words that are no tags.
    pub(crate) fn today(self, tags: &[String]) -> Result<Self, NoFilter> {
        let other: Vec<_> = tags.iter().filter(|tag| !is_tag(tag)).map(String::as_str).collect();
        if !other.is_empty() {
            let words = other.join(" ");
            return Err(NoFilter { why: say::NoTag { text: words }.to_string() });
        }
        self.with_words(tags)?.with_words(&["today".to_owned()])
    }

    /// Only notes with these words, besides what was given.
    pub(crate) fn with_text(mut self, words: String) -> Self {
        self.text = Some(match self.text {
            Some(text) => format!("{words} {text}"),
            None => words,
        });
        self
    }

    /// All that texts must have and must not have.
    fn search_line(&self) -> Option<String> {
        let not = self.not.iter().map(|not| match is_tag(not) || not.ends_with(['*', '＊']) {
            true => format!("-{not}"),
            // Between quotes it is what it is: a number, several words.
            false => format!("-\"{}\"", not.replace(['"', '“', '”', '＂'], " ")),
        });
        let parts: Vec<String> = self.text.iter().cloned().chain(not).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// What was asked for.
    ///
    /// # Errors
    ///
    /// A time that is none.
    pub(crate) fn filter(&self) -> Result<Filter, Failure> {
        let here = clock::here()?;
        let stretch = |text: &Option<String>, option: &str| match text {
            None => Ok(None),
            Some(text) => suibi_when::range(text, &here).map(Some).map_err(|error| {
                Failure::usage(say::Option { option, why: why(text, error) }).hint(say::Hint)
            }),
        };
        let within = stretch(&self.within, "--on")?;
        let first = stretch(&self.since, "--since")?.or(within).and_then(|range| range.first);
        let last = stretch(&self.until, "--until")?.or(within).and_then(|range| range.last);
        // The first and the last minute of a day are those of the whole day.
        let minute = |time: DateTime| time.hour() as u16 * 60 + time.minute() as u16;
        let query = Query {
            since: first.map(day),
            since_minute: first.map(minute).filter(|minute| *minute > 0),
            until: last.map(day),
            until_minute: last.map(minute).filter(|minute| *minute < 24 * 60 - 1),
            tags: self.tags.clone(),
            text: self.search_line(),
            starred: self.starred,
            from: self.from.clone(),
            limit: self.limit,
            ..Query::default()
        };
        Ok(Filter { query, reverse: self.reverse })
    }
}

/// Why a text is no time.
fn why(text: &str, error: WhenError) -> String {
    match error {
        WhenError::Unknown => say::Unknown { text }.to_string(),
        WhenError::NoSuchDay => say::NoSuchDay { text }.to_string(),
        WhenError::Backwards => say::Backwards { text }.to_string(),
    }
}

/// The one day that a text names.
///
/// # Errors
///
/// Why it names none.
pub(super) fn one_day(text: &str) -> Result<Day, NoFilter> {
    let here = clock::here().map_err(|error| NoFilter { why: error.to_string() })?;
    let range = suibi_when::range(text, &here);
    let range = range.map_err(|error| NoFilter { why: why(text, error) })?;
    let date = range.day().ok_or_else(|| NoFilter { why: say::NotOneDay { text }.to_string() })?;
    Ok(day(date.into()))
}

/// The moment that a text names, for an option that takes one.
///
/// # Errors
///
/// The text is none.
pub(crate) fn moment(text: &str, option: &str) -> Result<suibi_when::Moment, Failure> {
    suibi_when::moment(text, &clock::here()?).map_err(|error| {
        Failure::usage(say::Option { option, why: why(text, error) }).hint(say::HintMoment)
    })
}

/// The day of a time; those of years beyond four digits are brought to the ends.
fn day(time: DateTime) -> Day {
    let date = time.date();
    Day::from_ymd(date.year(), date.month().unsigned_abs(), date.day().unsigned_abs())
        .unwrap_or(if date.year() < 0 { Day::MIN } else { Day::MAX })
}

fn is_tag(word: &str) -> bool {
    word.starts_with(['#', '@', '＃', '＠'])
}

/// What stands behind a command of the prompt: words and the same options as on the command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct Line {
    words: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Reads a line of the prompt: the words, and what narrows them. Quotes keep words together.
///
/// # Errors
///
/// Options that are none.
pub(crate) fn read_line(line: &str) -> Result<(Vec<String>, FilterArgs), Failure> {
    let mut words: Vec<OsString> = split(line).into_iter().map(OsString::from).collect();
    shape::mark_without(&mut words);
    let parsed = Line::try_parse_from(words).map_err(|error| {
        let told = error.to_string();
        let first = told.lines().next().unwrap_or_default();
        Failure::usage(first.trim_start_matches("error: ").to_owned())
    })?;
    Ok((parsed.words, parsed.filter))
}

/// Cut at spaces that are not between quotes.
fn split(line: &str) -> Vec<String> {
    const QUOTES: [char; 4] = ['"', '“', '”', '＂'];
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut is_quoted, mut has_word) = (false, false);
    for c in line.chars() {
        if QUOTES.contains(&c) {
            is_quoted = !is_quoted;
            has_word = true;
        } else if c.is_whitespace() && !is_quoted {
            if has_word {
                words.push(std::mem::take(&mut word));
            }
            has_word = false;
        } else {
            word.push(c);
            has_word = true;
        }
    }
    words.extend(has_word.then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_prompt_is_cut_like_a_command_line() {
        assert_eq!(split(r#" a  "b c" d“e f”"#), ["a", "b c", "de f"]);
        assert_eq!(split(r#"--not "" x"#), ["--not", "", "x"]);
        let (words, filter) = read_line("milk --not tea -n 3 eggs --reverse").unwrap();
        assert_eq!(words, ["milk", "eggs"]);
        assert_eq!((filter.limit, filter.reverse), (Some(3), true));
        assert_eq!(read_line("milk -tea").unwrap().0, ["milk", "\u{2212}tea"]);
        assert!(read_line("--nonsense").is_err());
        assert!(read_line("-n 0").is_err());
    }
}
