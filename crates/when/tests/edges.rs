//! Clocks that are put forward and back, the ends of the calendar, and rude texts.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use jiff::Zoned;
use proptest::prelude::*;
use suibi_when::{WhenError, may_have_prefix, moment, prefix, range};

/// A moment such as `2026-11-23T09:05[CST-8]`, with its zone in the form of POSIX: no database of zones is asked.
fn zoned(text: &str) -> Zoned {
    let (civil, zone) = text.trim_end_matches(']').split_once('[').unwrap();
    let civil: jiff::civil::DateTime = civil.parse().unwrap();
    civil.to_zoned(jiff::tz::TimeZone::posix(zone).unwrap()).unwrap()
}

fn seen_from(now: &str, phrase: &str) -> String {
    let now = zoned(now);
    let moment = moment(phrase, &now).unwrap();
    let moved = if moment.moved { " moved" } else { "" };
    format!("{}{moved}", moment.at.strftime("%Y-%m-%d %H:%M %:z"))
}

#[test]
fn an_hour_that_was_skipped_and_one_that_came_twice() {
    let spring = "2026-03-29T12:00[CET-1CEST,M3.5.0,M10.5.0/3]";
    assert_eq!(seen_from(spring, "1:59"), "2026-03-29 01:59 +01:00");
    assert_eq!(seen_from(spring, "2:30"), "2026-03-29 03:30 +02:00 moved");
    assert_eq!(seen_from(spring, "今天凌晨两点半"), "2026-03-29 03:30 +02:00 moved");
    assert_eq!(seen_from(spring, "3:00"), "2026-03-29 03:00 +02:00");
    assert_eq!(seen_from(spring, "12 hours ago"), "2026-03-28 23:00 +01:00");
    assert_eq!(seen_from(spring, "yesterday"), "2026-03-28 12:00 +01:00");
    let autumn = "2026-10-25T12:00[CET-1CEST,M3.5.0,M10.5.0/3]";
    assert_eq!(seen_from(autumn, "2:30"), "2026-10-25 02:30 +02:00");
    assert_eq!(seen_from(autumn, "2026-10-25T02:30+01:00"), "2026-10-25 02:30 +01:00");
    assert_eq!(seen_from(autumn, "2026-10-25T01:30Z"), "2026-10-25 02:30 +01:00");
}

#[test]
fn weeks_and_days_at_the_edges() {
    let sunday = "2026-11-29T23:30[CST-8]";
    let range_of = |phrase: &str| range(phrase, &zoned(sunday)).unwrap().to_string();
    assert_eq!(range_of("this week"), "2026-11-23..2026-11-29");
    assert_eq!(range_of("last weekend"), "2026-11-21..2026-11-22");
    assert_eq!(range_of("周末"), "2026-11-28..2026-11-29");
    assert_eq!(seen_from(sunday, "last sunday"), "2026-11-22 23:30 +08:00");
    assert_eq!(seen_from(sunday, "sunday"), "2026-11-29 23:30 +08:00");
    assert_eq!(seen_from(sunday, "上周日"), "2026-11-22 23:30 +08:00");
    let saturday = "2026-11-28T09:00[CST-8]";
    assert_eq!(seen_from(saturday, "last friday"), "2026-11-27 09:00 +08:00");
    assert_eq!(seen_from(saturday, "上周五"), "2026-11-20 09:00 +08:00");
    let leap = "2024-02-29T09:00[UTC0]";
    assert_eq!(seen_from(leap, "a year ago"), "2023-02-28 09:00 +00:00");
    assert_eq!(seen_from("2026-03-31T09:00[UTC0]", "a month ago"), "2026-02-28 09:00 +00:00");
    assert_eq!(seen_from("2026-01-01T00:00[UTC0]", "dec 31"), "2025-12-31 00:00 +00:00");
    assert_eq!(seen_from("2026-01-05T00:00[UTC0]", "31号"), "2025-12-31 00:00 +00:00");
}

#[test]
fn the_calendar_says_what_is_wrong() {
    let now = zoned("2026-11-23T09:05[CST-8]");
    assert_eq!(moment("2026-02-30", &now), Err(WhenError::NoSuchDay));
    assert_eq!(range("2026年2月30日", &now), Err(WhenError::NoSuchDay));
    assert_eq!(range("2026-11..2026-10", &now), Err(WhenError::Backwards));
    assert_eq!(range("milk", &now), Err(WhenError::Unknown));
}

#[test]
fn far_years_do_no_harm() {
    for now in ["0001-01-01T00:00[UTC0]", "9999-12-29T23:59[UTC0]", "-001000-01-01T00:00[UTC0]"] {
        let now = zoned(now);
        for phrase in [
            "last year",
            "9999 years ago",
            "next week",
            "大前年",
            "9999-12-31",
            "0001-01-01",
            "明年",
            "上上个月",
            "12 hours ago",
            "nov 23",
            "fri",
            "next friday",
            "q1",
            "9999..",
            "2月29日",
            "9999年后",
            "before 0001",
            "after 9999-12-31",
            "晚上十二点",
        ] {
            let _ = moment(phrase, &now);
            let _ = range(phrase, &now);
        }
    }
}

/// Words of times, so that chance finds the ways through the grammar.
const WORDS: &[&str] = &[
    "yesterday",
    "last",
    "fri",
    "9:30",
    "3",
    "days",
    "ago",
    "nov",
    "23",
    "2026",
    "-",
    "..",
    "from",
    "to",
    "at",
    "pm",
    "noon",
    "this",
    "week",
    "month",
    "year",
    "昨",
    "天",
    "晚",
    "上",
    "周",
    "五",
    "下午",
    "三",
    "点",
    "半",
    "一刻",
    "前",
    "个",
    "月",
    "日",
    "号",
    "年",
    "十一",
    "二〇二六",
    "到",
    "从",
    "起",
    "最近",
    "：",
    ":",
    " ",
    "T",
    "Z",
    "+08:00",
    ",",
    ".",
    "/",
    "(",
    ")",
    "q",
    "w",
    "0",
    "99999999",
    "half past",
    "of",
    "the",
    "a",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_is_too_rude(text in prop_oneof![
        ".{0,40}",
        proptest::collection::vec(proptest::sample::select(WORDS), 0..10).prop_map(|words| words.concat()),
        proptest::collection::vec(proptest::sample::select(WORDS), 0..10).prop_map(|words| words.join(" ")),
    ]) {
        let now = zoned("2026-11-23T09:05[CST-8]");
        if let Ok(moment) = moment(&text, &now) {
            // What is printed reads back, and means the same.
            let again = suibi_when::moment(&moment.to_string(), &now).unwrap();
            prop_assert_eq!(again.to_string(), moment.to_string());
            let day = moment.at.strftime("%A, %Y-%m-%d %H:%M").to_string();
            prop_assert_eq!(suibi_when::moment(&day, &now).unwrap().to_string(), moment.to_string());
        }
        if let Ok(stretch) = range(&text, &now) {
            prop_assert!(stretch.first.is_none_or(|first| stretch.last.is_none_or(|last| first <= last)));
            prop_assert_eq!(range(&stretch.to_string(), &now), Ok(stretch));
        }
        if let Some(dated) = prefix(&text, &now) {
            prop_assert!(may_have_prefix(&text));
            prop_assert!(dated.len < text.len() && text.is_char_boundary(dated.len));
            prop_assert!(!text[dated.len..].starts_with(char::is_whitespace));
            // What is taken is a moment on its own.
            let taken = text[..dated.len].trim_end();
            let taken = taken.strip_suffix([':', '：']).unwrap();
            prop_assert_eq!(moment(taken, &now).unwrap(), dated.moment);
        }
    }

    #[test]
    fn every_printed_minute_reads_back(minute in 0..20_000_000_i64, zone in proptest::sample::select(&[
        "UTC0", "CST-8", "CET-1CEST,M3.5.0,M10.5.0/3", "NST3:30NDT,M3.2.0,M11.1.0",
    ][..])) {
        let now = zoned(&format!("2026-11-23T09:05[{zone}]"));
        let at = jiff::Timestamp::from_second(minute * 120).unwrap().to_zoned(now.time_zone().clone());
        for form in ["%Y-%m-%d %H:%M", "%Y年%m月%d日 %H:%M", "%d %b %Y %I:%M %p", "%Y-%m-%dT%H:%M", "%B %d, %Y, %H:%M"] {
            let text = at.strftime(form).to_string();
            let read = moment(&text, &now).unwrap().at;
            prop_assert_eq!(read.datetime(), at.datetime(), "{}", text);
        }
        let text = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        prop_assert_eq!(moment(&text, &now).unwrap().at.timestamp(), at.timestamp());
    }
}
