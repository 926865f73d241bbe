//! What time it is here, with the offset that a note keeps.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use suibi_journal::{Day, NoteTime};

use crate::failure::Failure;
use crate::say::clock as say;

/// The environment variable that is taken as the present moment, for tests and examples.
const NOW: &str = "SUIBI_NOW";

/// The present moment at this machine's offset (`TZ` is honoured).
///
/// # Errors
///
/// `SUIBI_NOW` that is no time.
pub(crate) fn now() -> Result<NoteTime, Failure> {
    if let Some(text) = std::env::var_os(NOW) {
        return text
            .to_string_lossy()
            .parse()
            .map_err(|error| Failure::usage(say::NotATime { name: NOW }).because(&error));
    }
    NoteTime::of(&suibi_net::clock::now())
        .map_err(|error| Failure::usage(say::Impossible).because(&error))
}

/// The same in this machine's time zone, for times that people write.
///
/// # Errors
///
/// As [`now`].
pub(crate) fn here() -> Result<Zoned, Failure> {
    if std::env::var_os(NOW).is_none() {
        return Ok(suibi_net::clock::now());
    }
    // A moment that was given has an offset and no zone.
    let now = now()?;
    let offset = Offset::from_seconds(i32::from(now.offset_minutes()) * 60);
    let offset = offset.expect("a note's time is within a day of UTC");
    let moment = Timestamp::from_millisecond(now.millis()).expect("within the calendar");
    Ok(moment.to_zoned(TimeZone::fixed(offset)))
}

/// The civil day that it is here.
pub(crate) fn today() -> Result<Day, Failure> {
    Ok(now()?.day())
}

/// A moment in milliseconds since 1970 as the clock on the wall here showed it, or will. `None` for one that no note
/// can have.
pub(crate) fn at(millis: i64) -> Option<NoteTime> {
    let moment = Timestamp::from_millisecond(millis).ok()?;
    NoteTime::of(&suibi_net::clock::at(moment)).ok()
}

/// `2026-11-23 09:05`, for people.
pub(crate) fn minute(millis: i64) -> String {
    at(millis).map_or_else(
        || "?".to_owned(),
        |time| {
            let (hour, minute) = time.hour_minute();
            format!("{} {hour:02}:{minute:02}", time.day())
        },
    )
}

/// `14:05`, with its date where that is not today's.
///
/// # Errors
///
/// Those of [`now`].
pub(crate) fn moment(millis: i64) -> Result<String, Failure> {
    let text = minute(millis);
    let today = format!("{} ", today()?);
    Ok(text.strip_prefix(&today).map(str::to_owned).unwrap_or(text))
}

/// A stretch of time in one word or two: `45 s`, `15 min`, `3 h`, `12 days`, `2 years`. Rounded down.
pub(crate) fn stretch(millis: i64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = millis.unsigned_abs() / 1000;
    match seconds {
        0..MINUTE => say::Seconds { count: seconds }.to_string(),
        MINUTE..HOUR => say::Minutes { count: seconds / MINUTE }.to_string(),
        HOUR..DAY => say::Hours { count: seconds / HOUR }.to_string(),
        _ if seconds < 2 * 365 * DAY => say::Days { count: seconds / DAY }.to_string(),
        _ => say::Years { count: seconds / (365 * DAY) }.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time_in_words() {
        for (seconds, wanted) in [
            (0, "0 s"),
            (59, "59 s"),
            (900, "15 min"),
            (3_600, "1 h"),
            (86_400, "1 day"),
            (365 * 86_400, "365 days"),
            (-3 * 365 * 86_400, "3 years"),
        ] {
            assert_eq!(stretch(seconds * 1000), wanted);
        }
    }
}
