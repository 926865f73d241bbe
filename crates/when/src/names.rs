//! Names of weekdays, months, years and units.

use jiff::civil::Weekday;

use crate::scan::Scan;

const WEEKDAYS: [(Weekday, &str, &[&str]); 7] = [
    (Weekday::Monday, "一", &["monday", "mon"]),
    (Weekday::Tuesday, "二", &["tuesday", "tues", "tue"]),
    (Weekday::Wednesday, "三", &["wednesday", "weds", "wed"]),
    (Weekday::Thursday, "四", &["thursday", "thurs", "thur", "thu"]),
    (Weekday::Friday, "五", &["friday", "fri"]),
    (Weekday::Saturday, "六", &["saturday", "sat"]),
    (Weekday::Sunday, "日", &["sunday", "sun"]),
];

const MONTHS: [&[&str]; 12] = [
    &["january", "jan"],
    &["february", "feb"],
    &["march", "mar"],
    &["april", "apr"],
    &["may"],
    &["june", "jun"],
    &["july", "jul"],
    &["august", "aug"],
    &["september", "sept", "sep"],
    &["october", "oct"],
    &["november", "nov"],
    &["december", "dec"],
];

const YEARS: [(&str, i16); 6] =
    [("大前年", -3), ("前年", -2), ("去年", -1), ("今年", 0), ("明年", 1), ("后年", 2)];

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

const UNITS: [(Unit, &[&str]); 7] = [
    (Unit::Minute, &["minutes", "minute", "mins", "min"]),
    (Unit::Hour, &["hours", "hour", "hrs", "hr"]),
    (Unit::Day, &["days", "day"]),
    (Unit::Week, &["weeks", "week"]),
    (Unit::Month, &["months", "month"]),
    (Unit::Quarter, &["quarters", "quarter"]),
    (Unit::Year, &["years", "year"]),
];

const CHINESE_UNITS: [(Unit, &[&str]); 6] = [
    (Unit::Minute, &["分钟"]),
    (Unit::Hour, &["个小时", "小时", "个钟头", "钟头"]),
    (Unit::Day, &["天", "日"]),
    (Unit::Week, &["个星期", "星期", "个礼拜", "礼拜", "周"]),
    (Unit::Month, &["个月"]),
    (Unit::Year, &["年"]),
];

/// `friday`, `fri.`; whether it was the short of three letters that is a word as well.
pub(crate) fn english_weekday(scan: Scan<'_>) -> Option<(Weekday, bool, Scan<'_>)> {
    WEEKDAYS.iter().find_map(|(weekday, _, names)| {
        let name = names.iter().find(|name| scan.word(name).is_some())?;
        let rest = scan.word(name)?;
        let is_word = matches!(*name, "sat" | "sun" | "wed");
        Some((*weekday, is_word, rest.literal(".").unwrap_or(rest)))
    })
}

/// `周五`, `星期天`.
pub(crate) fn chinese_weekday(scan: Scan<'_>) -> Option<(Weekday, Scan<'_>)> {
    let rest = scan.any(&["周", "星期", "礼拜"])?;
    if let Some(rest) = rest.literal("天") {
        return Some((Weekday::Sunday, rest));
    }
    WEEKDAYS.iter().find_map(|(weekday, name, _)| Some((*weekday, rest.literal(name)?)))
}

/// A weekday in either language, as it may stand beside a date.
pub(crate) fn weekday(scan: Scan<'_>) -> Option<(Weekday, Scan<'_>)> {
    match chinese_weekday(scan) {
        None => english_weekday(scan).map(|(weekday, _, rest)| (weekday, rest)),
        found => found,
    }
}

/// `november`, `nov.`
pub(crate) fn month(scan: Scan<'_>) -> Option<(i8, Scan<'_>)> {
    (1..).zip(MONTHS).find_map(|(number, names)| {
        let rest = scan.any(names)?;
        Some((number, rest.literal(".").unwrap_or(rest)))
    })
}

/// `去年`: by how many years it is another.
pub(crate) fn year(scan: Scan<'_>) -> Option<(i16, Scan<'_>)> {
    YEARS.iter().find_map(|(name, offset)| Some((*offset, scan.word(name)?)))
}

pub(crate) fn unit(scan: Scan<'_>) -> Option<(Unit, Scan<'_>)> {
    UNITS.iter().find_map(|(unit, names)| Some((*unit, scan.any(names)?)))
}

pub(crate) fn chinese_unit(scan: Scan<'_>) -> Option<(Unit, Scan<'_>)> {
    CHINESE_UNITS.iter().find_map(|(unit, names)| Some((*unit, scan.any(names)?)))
}
