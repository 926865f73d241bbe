//! The clock on the wall: what time it is, at the offset of this machine's time zone.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Where the system says which time zone it has.
const LOCAL: &str = "/etc/localtime";

/// The time zones by name.
const NAMED: &str = "/usr/share/zoneinfo";

/// How long a time zone is believed: a server runs for months, and its machine may be carried elsewhere.
const BELIEVED: Duration = Duration::from_secs(300);

/// The time now, as the clock on the wall shows it (`TZ` is honoured).
pub fn now() -> Zoned {
    at(Timestamp::now())
}

/// A moment as the clock on the wall showed it, or will.
pub fn at(moment: Timestamp) -> Zoned {
    static LAST: Mutex<Option<(Instant, TimeZone)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, zone) = match &mut *last {
        Some(last) if last.0.elapsed() < BELIEVED => last,
        last => last.insert((Instant::now(), local_zone())),
    };
    moment.to_zoned(zone.clone())
}

/// This machine's time zone. The usual ones are a file to read; [`TimeZone::system`] knows all others, but first looks
/// for every name that there is, in twenty directories.
fn local_zone() -> TimeZone {
    let name = match env::var("TZ") {
        Err(env::VarError::NotPresent) => {
            return read(LOCAL.as_ref()).unwrap_or_else(TimeZone::system);
        }
        Ok(name) => name,
        Err(env::VarError::NotUnicode(_)) => return TimeZone::system(),
    };
    if name == "UTC" {
        return TimeZone::UTC;
    }
    // Not what may also be a rule (`EST5EDT`), a path, or looked for elsewhere.
    let is_name =
        name.contains('/') && name.split('/').all(is_word) && env::var_os("TZDIR").is_none();
    let named = is_name.then(|| read(&Path::new(NAMED).join(&name))).flatten();
    named.unwrap_or_else(TimeZone::system)
}

fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    !text.is_empty() && text.bytes().all(is_plain)
}

fn read(path: &Path) -> Option<TimeZone> {
    TimeZone::tzif("local", &fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_time_zone_that_the_library_finds_by_its_longer_way() {
        let (ours, theirs) = (local_zone(), TimeZone::system());
        for year in (1990..2040).step_by(5) {
            for month in [1, 7] {
                let moment = jiff::civil::date(year, month, 1).to_zoned(TimeZone::UTC).unwrap();
                let offset = |zone: &TimeZone| zone.to_offset(moment.timestamp());
                assert_eq!(offset(&ours), offset(&theirs), "{year}-{month}");
            }
        }
    }

    #[test]
    fn a_name_is_words_with_strokes_between() {
        for name in ["Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(name.split('/').all(is_word), "{name}");
        }
        for name in ["/etc/localtime", "../x/y", "a//b", ":Asia/Shanghai", ""] {
            assert!(!name.split('/').all(is_word), "{name}");
        }
    }
}
