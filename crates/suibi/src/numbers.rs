//! Short numbers: a listing on a terminal counts its notes, and the next commands may call them by that.
//!
//! ```text
//! DATA-DIR/listings/4711        the last listing under the shell with this process id
//! 1763859900000                 when, in milliseconds since 1970
//! 019a0b5e-8c68-7000-8000-…     its first note, and so on; of a list of tasks with line and words:
//! 019a0b5e-8c68-7000-8000-… 3 - call mum
//! ```
//!
//! A number means what it meant on this screen, whatever was written since, and only here: another terminal has a
//! listing of its own, and so has a script, for which a bare number is always that of a receipt.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use suibi_journal::NoteId;
use suibi_store::create_directory;

use crate::tasks::Task;

/// The most notes that a listing numbers. What is beyond is far up the screen, and a number of three digits is sooner
/// that of a receipt.
pub(crate) const MOST: usize = 255;

/// Who comes back later has another screen before the eyes.
const VALID_MILLIS: i64 = 12 * 60 * 60 * 1000;

/// The notes of the last listing under this shell, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers(Vec<Listed>);

/// What a number means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) note: NoteId,
    /// In a list of tasks, which one.
    pub(crate) task: Option<Task>,
}

impl Numbers {
    pub(crate) fn new(notes: impl IntoIterator<Item = NoteId>) -> Self {
        Self::of(notes.into_iter().map(|note| Listed { note, task: None }))
    }

    pub(crate) fn of(listed: impl IntoIterator<Item = Listed>) -> Self {
        Self(listed.into_iter().take(MOST).collect())
    }

    /// What this number means, from 1.
    pub(crate) fn get(&self, number: u64) -> Option<&Listed> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.0.get(at)
    }

    /// What was listed here last, if it was lately. What cannot be read was not.
    pub(crate) fn load(data_dir: &Path, now: i64) -> Self {
        fs::read_to_string(path(data_dir))
            .ok()
            .and_then(|text| Self::parse(&text, now))
            .unwrap_or_default()
    }

    /// Keeps them for the next command. Not flushed: what a power cut takes was on a screen that went with it.
    ///
    /// # Errors
    ///
    /// When it cannot be kept; then a number must not mean the listing before this one, which is forgotten.
    pub(crate) fn keep(&self, data_dir: &Path, now: i64) -> io::Result<()> {
        let path = path(data_dir);
        let directory = path.parent().expect("it has a directory");
        create_directory(directory)?;
        forget_old(directory, now);
        let mut text = format!("{now}\n");
        for listed in &self.0 {
            text.push_str(&listed.to_string());
            text.push('\n');
        }
        let new = path.with_extension("new");
        let kept = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        if kept.is_err() {
            let _ = fs::remove_file(&path);
        }
        kept
    }

    fn parse(text: &str, now: i64) -> Option<Self> {
        let mut lines = text.lines();
        let listed: i64 = lines.next()?.parse().ok()?;
        let is_valid = (0..VALID_MILLIS).contains(&now.checked_sub(listed)?);
        let listed = lines.map(Listed::parse).collect::<Option<_>>()?;
        is_valid.then_some(Self(listed))
    }
}

impl Listed {
    fn parse(line: &str) -> Option<Self> {
        let Some((note, task)) = line.split_once(' ') else {
            return Some(Self { note: line.parse().ok()?, task: None });
        };
        let mut words = task.splitn(3, ' ');
        let line = words.next()?.parse().ok()?;
        let is_done = match words.next()? {
            "-" => false,
            "x" => true,
            _ => return None,
        };
        let task = Task { line, is_done, text: words.next()?.to_owned() };
        Some(Self { note: note.parse().ok()?, task: Some(task) })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)?;
        match &self.task {
            Some(Task { line, is_done, text }) => {
                let mark = if *is_done { 'x' } else { '-' };
                write!(f, " {line} {mark} {text}")
            }
            None => Ok(()),
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("listings").join(std::os::unix::process::parent_id().to_string())
}

/// Shells come and go; at worst a file of some bytes stays.
fn forget_old(directory: &Path, now: i64) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if Numbers::parse(&text, now).is_none() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_859_900_000;

    fn id(number: u8) -> NoteId {
        NoteId::new(NOW, [number; 10])
    }

    #[test]
    fn a_number_means_the_note_of_the_last_listing_here() {
        let dir = tempfile::tempdir().unwrap();
        let load = |now| Numbers::load(dir.path(), now);
        assert_eq!(load(NOW), Numbers::default());
        let note = |numbers: &Numbers, number| numbers.get(number).map(|listed| listed.note);
        let numbers = Numbers::new([id(7), id(8)]);
        numbers.keep(dir.path(), NOW).unwrap();
        assert_eq!(load(NOW), numbers);
        assert_eq!(
            [0, 1, 2, 3, u64::MAX].map(|number| note(&load(NOW + 1), number)),
            [None, Some(id(7)), Some(id(8)), None, None]
        );
        Numbers::new([id(9)]).keep(dir.path(), NOW).unwrap();
        assert_eq!([1, 2].map(|number| note(&load(NOW), number)), [Some(id(9)), None]);

        let task = |line, is_done, text: &str| Some(Task { line, is_done, text: text.to_owned() });
        let tasks = [task(0, false, "call mum"), task(12, true, "买 牛奶"), None];
        let numbers = Numbers::of(tasks.map(|task| Listed { note: id(7), task }));
        numbers.keep(dir.path(), NOW).unwrap();
        assert_eq!(load(NOW), numbers);
    }

    #[test]
    fn a_listing_of_long_ago_of_the_future_or_of_another_shell_is_none() {
        let dir = tempfile::tempdir().unwrap();
        Numbers::new([id(7)]).keep(dir.path(), NOW).unwrap();
        for now in [NOW + VALID_MILLIS, NOW - 1, i64::MIN, i64::MAX] {
            assert_eq!(Numbers::load(dir.path(), now), Numbers::default(), "{now}");
        }
        let other = dir.path().join("listings/1");
        fs::rename(path(dir.path()), &other).unwrap();
        assert_eq!(Numbers::load(dir.path(), NOW), Numbers::default());
        // It goes when it is of no use to anybody.
        Numbers::new([id(8)]).keep(dir.path(), NOW + VALID_MILLIS).unwrap();
        assert!(!other.exists());
    }

    #[test]
    fn a_damaged_listing_is_none() {
        for text in ["", "soon", "1763859900000\nmilk\n", "1763859900000\n\n"] {
            assert_eq!(Numbers::parse(text, NOW), None, "{text:?}");
        }
        assert_eq!(Numbers::parse("1763859900000\n", NOW), Some(Numbers::default()));
    }

    #[test]
    fn only_so_many_are_numbered() {
        let numbers = Numbers::new((0..=255).map(id));
        assert_eq!(numbers.get(255).map(|listed| listed.note), Some(id(254)));
        assert_eq!(numbers.get(256), None);
    }
}
