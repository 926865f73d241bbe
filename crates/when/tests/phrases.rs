//! What phrases mean, as a table of them; and what stays text.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fmt::Write as _;

use jiff::Zoned;
use suibi_when::{moment, prefix, range};

const TABLE: &str = include_str!("phrases.txt");

fn now() -> Zoned {
    "2026-11-23T09:05+08:00[+08:00]".parse().unwrap()
}

/// The lines of a part of the table: a mark, a phrase, what it means.
fn lines(part: &str) -> Vec<(bool, &'static str, &'static str)> {
    let (_, rest) = TABLE.split_once(&format!("\n[{part}]\n")).unwrap();
    let rest = rest.split_once("\n[").map_or(rest, |(lines, _)| lines);
    let lines = rest.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (is_marked, line) = match line.strip_prefix("* ") {
                Some(line) => (true, line),
                None => (false, line),
            };
            match line.split_once(" = ") {
                Some((phrase, meaning)) => (is_marked, phrase, meaning),
                None => (is_marked, line, "none"),
            }
        })
        .collect()
}

/// What was wrong, if anything, with how much was right.
fn judge(what: &str, all: usize, wrong: &str) {
    println!("{what}: {} of {all}", all - wrong.lines().count());
    assert!(wrong.is_empty(), "{what}:\n{wrong}");
}

#[test]
fn moments_are_what_the_table_says() {
    let now = now();
    let mut wrong = String::new();
    let lines = lines("moment");
    assert!(lines.len() > 250, "{}", lines.len());
    for (_, phrase, meaning) in &lines {
        let got = moment(phrase, &now).map_or("none".to_owned(), |moment| moment.to_string());
        if got != *meaning {
            writeln!(wrong, "{phrase}: {got}, not {meaning}").unwrap();
        }
    }
    judge("moments", lines.len(), &wrong);
}

#[test]
fn moments_count_in_front_of_a_text_in_either_form_of_colon() {
    let now = now();
    let mut wrong = String::new();
    let lines: Vec<_> = lines("moment").into_iter().filter(|line| line.2 != "none").collect();
    for (is_marked, phrase, meaning) in &lines {
        for colon in [": ", "：", ":　", ": \t", "： "] {
            let text = format!("{phrase}{colon}和小王喝茶 at noon: tea");
            let got = prefix(&text, &now)
                .map(|dated| (dated.moment.to_string(), text[dated.len..].to_owned()));
            let expected =
                (!is_marked).then(|| ((*meaning).to_owned(), "和小王喝茶 at noon: tea".to_owned()));
            if got != expected {
                writeln!(wrong, "{text}: {got:?}").unwrap();
            }
        }
    }
    judge("in front of a text", lines.len(), &wrong);
}

#[test]
fn ranges_are_what_the_table_says() {
    let now = now();
    let mut wrong = String::new();
    let lines = lines("range");
    assert!(lines.len() > 120, "{}", lines.len());
    for (_, phrase, meaning) in &lines {
        let got = range(phrase, &now).map_or("none".to_owned(), |range| range.to_string());
        if got != *meaning {
            writeln!(wrong, "{phrase}: {got}, not {meaning}").unwrap();
        }
    }
    judge("ranges", lines.len(), &wrong);
}

#[test]
fn each_moment_is_a_range_with_that_moment_in_it() {
    let now = now();
    for (_, phrase, _) in lines("moment") {
        if let Ok(moment) = moment(phrase, &now) {
            let range = range(phrase, &now).unwrap();
            let at = moment.at.datetime();
            let (first, last) = (range.first.unwrap(), range.last.unwrap());
            assert!(first <= at && at < last + jiff::ToSpan::minutes(1), "{phrase}: {range}");
        }
    }
}

#[test]
fn what_is_neither_is_refused() {
    let now = now();
    for (_, phrase, _) in lines("none") {
        assert!(moment(phrase, &now).is_err(), "{phrase}: {}", moment(phrase, &now).unwrap());
        assert!(range(phrase, &now).is_err(), "{phrase}: {}", range(phrase, &now).unwrap());
    }
}

#[test]
fn ordinary_sentences_that_begin_like_a_time_stay_text() {
    let now = now();
    let mut wrong = String::new();
    let (_, texts) = TABLE.split_once("\n[text]\n").unwrap();
    let texts: Vec<_> = texts.lines().collect();
    assert!(texts.len() > 150, "{}", texts.len());
    for text in &texts {
        if let Some(dated) = prefix(text, &now) {
            writeln!(wrong, "{text}: {}", dated.moment).unwrap();
        }
    }
    judge("ordinary sentences", texts.len(), &wrong);
}
