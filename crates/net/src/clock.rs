//! The clock on the wall: what time it is, at the offset of this machine's time zone.

use std::env;
use std::ffi::OsStr;
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
        last => last.insert((Instant::now(), system_zone())),
    };
    moment.to_zoned(zone.clone())
}

/// This machine's time zone. The usual ones are a file to read; [`TimeZone::system`] knows all others, but first looks
/// for every name that there is, in twenty directories.
fn system_zone() -> TimeZone {
    // Where names are looked for elsewhere, the library does it.
    let zoneinfo = env::var_os("TZDIR").is_none().then_some(NAMED.as_ref());
    local_zone(env::var_os("TZ").as_deref(), LOCAL.as_ref(), zoneinfo)
        .unwrap_or_else(TimeZone::system)
}

/// The time zone that `tz` names, or else the one in `localtime`; `None` where that is not just a file to read.
fn local_zone(tz: Option<&OsStr>, localtime: &Path, zoneinfo: Option<&Path>) -> Option<TimeZone> {
    let Some(tz) = tz else { return read(localtime) };
    match tz.to_str()? {
        "UTC" => Some(TimeZone::UTC),
        name if is_name(name) => read(&zoneinfo?.join(name)),
        _ => None,
    }
}

/// Whether it can only be a name: not what may also be a rule (`EST5EDT`) or a path. Those in `right` count leap seconds,
/// which our times do not; the library passes over both folders.
fn is_name(text: &str) -> bool {
    let folder = text.split_once('/').map(|(folder, _)| folder);
    folder.is_some_and(|folder| !matches!(folder, "right" | "posix"))
        && text.split('/').all(is_word)
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

    /// A file of a time zone that is always so many hours ahead (RFC 9636 §3).
    fn tzif(hours: i32) -> Vec<u8> {
        let counts = [0, 0, 0, 0, 1, 4_u32];
        let mut part = [&b"TZif2"[..], &[0; 15], &counts.map(u32::to_be_bytes).concat()].concat();
        part.extend((hours * 3600).to_be_bytes());
        part.extend(b"\0\0XYZ\0");
        [&part[..], &part[..], format!("\nXYZ{}\n", -hours).as_bytes()].concat()
    }

    /// How many hours ahead the time zone is that a file tells of.
    fn hours(tz: Option<&str>, localtime: &Path, zoneinfo: Option<&Path>) -> Option<i32> {
        let zone = local_zone(tz.map(OsStr::new), localtime, zoneinfo)?;
        Some(zone.to_offset(Timestamp::UNIX_EPOCH).seconds() / 3600)
    }

    #[test]
    fn a_name_and_no_name_are_a_file_to_read_and_all_else_is_for_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let localtime = dir.path().join("localtime");
        let zoneinfo = dir.path().join("zoneinfo");
        fs::write(&localtime, tzif(3)).unwrap();
        for (name, bytes) in [
            ("Asia/Shanghai", tzif(8)),
            ("right/Asia/Shanghai", tzif(9)),
            ("posix/Asia/Shanghai", tzif(9)),
            ("EST5EDT", tzif(9)),
            ("Asia/Torn", tzif(9)[..50].to_vec()),
        ] {
            let path = zoneinfo.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let found = |tz| hours(tz, &localtime, Some(&zoneinfo));
        assert_eq!(found(None), Some(3));
        assert_eq!(found(Some("UTC")), Some(0));
        assert_eq!(found(Some("Asia/Shanghai")), Some(8));
        let path = zoneinfo.join("Asia/Shanghai");
        for other in [
            "",
            "EST5EDT",
            ":Asia/Shanghai",
            "right/Asia/Shanghai",
            "posix/Asia/Shanghai",
            "Asia/Torn",
            "Asia/Nowhere",
            "Asia/../Asia/Shanghai",
            path.to_str().unwrap(),
        ] {
            assert_eq!(found(Some(other)), None, "{other}");
        }
        assert_eq!(hours(None, &dir.path().join("gone"), Some(&zoneinfo)), None);
        assert_eq!(hours(Some("Asia/Shanghai"), &localtime, None), None, "looked for elsewhere");
    }

    #[test]
    fn a_name_is_words_with_strokes_between() {
        for name in ["Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["/etc/localtime", "../x/y", "a//b", ":Asia/Shanghai", "EST5EDT", ""] {
            assert!(!is_name(name), "{name}");
        }
    }
}
