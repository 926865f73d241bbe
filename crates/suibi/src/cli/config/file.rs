//! The configuration file as a whole: where it is, edited by hand; and what was meant by a name that is none.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::cli::edit::open_in_editor;
use crate::failure::{Exit, Failure};
use crate::say::config_file as say;
use crate::settings::{Key, Settings};

/// Names that differ by more letters than this are not taken for slips.
const SLIP: usize = 2;

/// `suibi config path`.
pub(in crate::cli) fn path() -> Result<Exit, Failure> {
    let path = Settings::place()?;
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(Exit::Done)
}

/// `suibi config edit`. Nothing is read of the file before it, so that one that cannot be understood can be put right.
pub(in crate::cli) fn edit() -> Result<Exit, Failure> {
    let path = Settings::place()?;
    if !path.exists() {
        make(&path).map_err(|error| {
            Failure::new(Exit::Data, say::CannotMake { path: path.display() }).because(&error)
        })?;
    }
    open_in_editor(&path)?;
    let again = |failure: Failure| failure.hint_unless(say::EditAgain);
    let settings = Settings::load().map_err(again)?;
    for key in Key::ALL {
        settings.find(key).map_err(again)?;
    }
    match settings.strangers().first() {
        Some(name) => Err(again(unknown(name))),
        None => Ok(Exit::Done),
    }
}

/// A file that sets nothing, and names what could be set.
fn make(path: &Path) -> io::Result<()> {
    let mut text = format!("# {}\n\n", say::FirstLine);
    for key in Key::ALL {
        text.push_str(&format!("# {} = …\n", key.name()));
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)
}

/// [`Key::named`], and for a slip what may have been meant.
pub(super) fn named(name: &str) -> Result<Key, Failure> {
    Key::named(name).map_err(|failure| match meant(name) {
        Some(key) => unknown_for(name, key),
        None => failure,
    })
}

fn unknown(name: &str) -> Failure {
    match meant(name) {
        Some(key) => unknown_for(name, key),
        None => Failure::usage(say::NoSuch { name }),
    }
}

fn unknown_for(name: &str, key: Key) -> Failure {
    Failure::usage(say::NoSuch { name }).hint(say::DidYouMean { key: key.name() })
}

/// The setting whose name is nearest, if it is near.
fn meant(name: &str) -> Option<Key> {
    let name = name.to_lowercase().replace('_', "-");
    let begins = Key::ALL.into_iter().find(|key| name.len() > 2 && key.name().starts_with(&name));
    begins.or_else(|| {
        let (distance, key) =
            Key::ALL.into_iter().map(|key| (distance(&name, key.name()), key)).min()?;
        (distance <= SLIP && distance < name.len()).then_some(key)
    })
}

/// How many letters have to be put in, left out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_what_is_far_is_not() {
        for (name, wanted) in [
            ("colour", Some(Key::Color)),
            ("Color", Some(Key::Color)),
            ("devise", Some(Key::Device)),
            ("data", Some(Key::DataDir)),
            ("plain_word", Some(Key::PlainWords)),
            ("sever", Some(Key::Server)),
            ("q", None),
            ("telemetry", None),
            ("设备", None),
        ] {
            assert_eq!(meant(name), wanted, "{name}");
        }
    }
}
