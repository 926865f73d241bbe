//! The server's clock.

use jiff::{Timestamp, tz::TimeZone};
use suibi_journal::NoteTime;

/// The time now, at the offset of this machine's time zone.
pub(crate) fn now() -> NoteTime {
    let now = Timestamp::now();
    let seconds = TimeZone::system().to_offset(now).seconds();
    let offset = i16::try_from(seconds / 60).unwrap_or(0);
    NoteTime::new(now.as_millisecond(), offset)
        .or_else(|_| NoteTime::new(0, 0))
        .expect("1970 is a time")
}
