//! The server's clock.

use suibi_journal::NoteTime;

/// The time now, at the offset of this machine's time zone.
pub(crate) fn now() -> NoteTime {
    NoteTime::of(&jiff::Zoned::now()).or_else(|_| NoteTime::new(0, 0)).expect("1970 is a time")
}

/// A time that was kept, at the offset of this machine's time zone then.
pub(crate) fn at(millis: i64) -> NoteTime {
    let zoned = jiff::Timestamp::from_millisecond(millis)
        .map(|moment| moment.to_zoned(jiff::tz::TimeZone::system()));
    zoned
        .ok()
        .and_then(|moment| NoteTime::of(&moment).ok())
        .unwrap_or_else(|| NoteTime::new(0, 0).expect("1970 is a time"))
}

/// The time now, in milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
