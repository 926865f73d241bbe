//! The server's clock.

use suibi_journal::NoteTime;

/// The time now, at the offset of this machine's time zone.
pub(crate) fn now() -> NoteTime {
    NoteTime::of(&jiff::Zoned::now()).or_else(|_| NoteTime::new(0, 0)).expect("1970 is a time")
}

/// The time now, in milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
