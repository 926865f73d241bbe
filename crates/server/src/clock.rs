//! The server's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use suibi_journal::NoteTime;

/// What time it is, for people; how much time has passed comes in as `now`.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's, at the offset of this machine's time zone.
    #[default]
    System,
    /// What somebody else says, in milliseconds since 1970, at UTC: the clock of a simulated world.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The time now.
    pub(crate) fn now(&self) -> NoteTime {
        let time = match self {
            Self::System => NoteTime::of(&suibi_net::clock::now()),
            Self::Set(millis) => NoteTime::new(millis.load(Ordering::Relaxed), 0),
        };
        time.unwrap_or_else(|_| epoch())
    }

    /// The time now, in milliseconds since 1970.
    pub(crate) fn millis(&self) -> i64 {
        match self {
            Self::System => jiff::Timestamp::now().as_millisecond(),
            Self::Set(millis) => millis.load(Ordering::Relaxed),
        }
    }
}

/// A time that was kept, at the offset of this machine's time zone then.
pub(crate) fn at(millis: i64) -> NoteTime {
    let zoned = jiff::Timestamp::from_millisecond(millis).map(suibi_net::clock::at);
    zoned.ok().and_then(|moment| NoteTime::of(&moment).ok()).unwrap_or_else(epoch)
}

fn epoch() -> NoteTime {
    NoteTime::new(0, 0).expect("1970 is a time")
}
