//! Small text files that hold secrets: for their owner alone, and replaced as a whole or not at all.
//!
//! ```text
//! suibi membership 1      <- what it is, and the version of the form
//! server notes.example    <- a word, a space, the rest of the line
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use suibi_store::flush_names;
use thiserror::Error;
use zeroize::Zeroizing;

/// No such file is longer, in bytes; a longer one is something else.
const MAX_BYTES: u64 = 64 << 10;

/// For the owner to read and write, for nobody else to do anything.
const MODE: u32 = 0o600;

/// Why such a file cannot be read or kept.
#[derive(Debug, Error)]
pub enum PrivateFileError {
    /// The file system.
    #[error("the file {} cannot be used", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not as this program wrote it.
    #[error("the file {} is damaged: {what}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; nothing of what it holds.
        what: String,
    },
    /// A later version of this program wrote it.
    #[error("the file {} was written by a newer suibi", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
    },
}

/// The lines of such a file, which are zeroed when this is dropped. Each word stands once.
pub(crate) struct Lines {
    path: PathBuf,
    text: Zeroizing<String>,
}

impl Lines {
    /// Reads the file, unless there is none. One that others may read, or write, is closed to them, and that is told:
    /// whoever has read it until then has the secret.
    pub(crate) fn read(path: &Path, header: &Header) -> Result<Option<Self>, PrivateFileError> {
        let unusable = |source| PrivateFileError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error)),
        };
        let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o777;
        if mode & !MODE != 0 {
            tracing::warn!(
                path = %path.display(),
                "others on this machine could read this secret (mode {mode:03o}); now they cannot"
            );
            file.set_permissions(fs::Permissions::from_mode(MODE)).map_err(unusable)?;
        }
        let mut text = Zeroizing::new(String::with_capacity(1024));
        (&file).take(MAX_BYTES).read_to_string(&mut text).map_err(unusable)?;
        let lines = Self { path: path.to_owned(), text };
        lines.check(header)?;
        Ok(Some(lines))
    }

    fn check(&self, header: &Header) -> Result<(), PrivateFileError> {
        // Whoever was killed while writing wrote another file; a line without its end is damage.
        if !self.text.ends_with('\n') {
            return Err(self.damaged("it ends within a line"));
        }
        let first = self.text.lines().next().unwrap_or_default();
        match first.strip_prefix(header.what).and_then(|rest| rest.strip_prefix(' ')) {
            Some(version) if version == header.version.to_string() => {}
            Some(version) if version.parse::<u32>().is_ok_and(|found| found > header.version) => {
                return Err(PrivateFileError::Newer { path: self.path.clone() });
            }
            _ => return Err(self.damaged(format_args!("it does not begin with «{header}»"))),
        }
        // What adds a word adds a version, so nothing is dropped in silence.
        let mut seen = Vec::new();
        for line in self.text.lines().skip(1) {
            let word = line.split_once(' ').map(|(word, _)| word);
            match word {
                Some(word) if header.words.contains(&word) && !seen.contains(&word) => {
                    seen.push(word);
                }
                _ => return Err(self.damaged("a line that is unknown, or there twice")),
            }
        }
        Ok(())
    }

    /// What stands behind a word.
    pub(crate) fn optional(&self, word: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// What stands behind a word that has to be there.
    pub(crate) fn get(&self, word: &str) -> Result<&str, PrivateFileError> {
        self.optional(word).ok_or_else(|| self.damaged(format_args!("«{word}» is missing")))
    }

    /// The same, understood by `read`.
    pub(crate) fn parse<T>(
        &self,
        word: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, PrivateFileError> {
        let text = self.get(word)?;
        read(text).ok_or_else(|| self.damaged(format_args!("«{word}» cannot be read")))
    }

    fn damaged(&self, what: impl fmt::Display) -> PrivateFileError {
        PrivateFileError::Damaged { path: self.path.clone(), what: what.to_string() }
    }
}

/// What a file says that it is, and the words that it may have.
pub(crate) struct Header {
    pub(crate) what: &'static str,
    pub(crate) version: u32,
    pub(crate) words: &'static [&'static str],
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.version)
    }
}

/// Writes a file: durable, with its name, when this returns; the old one or the new one, whatever happens meanwhile.
pub(crate) fn write(
    path: &Path,
    header: &Header,
    lines: &[(&str, &str)],
) -> Result<(), PrivateFileError> {
    let unusable = |source| PrivateFileError::Io { path: path.to_owned(), source };
    let len = lines.iter().map(|(word, value)| word.len() + value.len() + 2).sum::<usize>();
    // Grown text would leave copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(len + 64));
    text.push_str(&format!("{header}\n"));
    for (word, value) in lines {
        debug_assert!(header.words.contains(word), "{word} is not in the list");
        if value.contains(char::is_control) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, format!("«{word}» is no line"));
            return Err(unusable(error));
        }
        for part in [word, " ", value, "\n"] {
            text.push_str(part);
        }
    }
    replace(path, text.as_bytes()).map_err(unusable)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // One that a killed process left may have any mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    flush_names(directory(path))
}

/// Removes a file, if it is there, for good.
pub(crate) fn remove(path: &Path) -> Result<(), PrivateFileError> {
    let unusable = |source| PrivateFileError::Io { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Ok(()) => flush_names(directory(path)).map_err(unusable),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(error)),
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { what: "suibi test", version: 2, words: &["a", "b"] };

    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_read_and_is_for_the_owner_alone() {
        let (dir, path) = file();
        assert!(Lines::read(&path, &HEADER).unwrap().is_none());
        write(&path, &HEADER, &[("a", "one two"), ("b", "")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "suibi test 2\na one two\nb \n");
        let lines = Lines::read(&path, &HEADER).unwrap().unwrap();
        assert_eq!((lines.get("a").unwrap(), lines.get("b").unwrap()), ("one two", ""));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_others_may_read_is_closed_to_them() {
        let (_dir, path) = file();
        write(&path, &HEADER, &[("a", "1")]).unwrap();
        for wide in [0o644, 0o660, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wide)).unwrap();
            assert!(Lines::read(&path, &HEADER).unwrap().is_some());
            assert_eq!(mode(&path), 0o600);
        }
    }

    #[test]
    fn what_a_killed_writer_left_is_in_nobodys_way() {
        let (_dir, path) = file();
        write(&path, &HEADER, &[("a", "old")]).unwrap();
        let left = path.with_file_name("secret.new");
        fs::write(&left, "suibi te").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(Lines::read(&path, &HEADER).unwrap().unwrap().get("a").unwrap(), "old");
        write(&path, &HEADER, &[("a", "new")]).unwrap();
        assert_eq!(Lines::read(&path, &HEADER).unwrap().unwrap().get("a").unwrap(), "new");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn damage_is_told_without_what_the_file_holds() {
        let (_dir, path) = file();
        for text in [
            "",
            "suibi test 2",
            "suibi test\n",
            "suibi test 1\n",
            "something else\na 1\n",
            "suibi test 2\na 1\na 5ec2e7\n",
            "suibi test 2\nc 5ec2e7\n",
            "suibi test 2\n\n",
            "suibi test 2\na 5ec2e7",
        ] {
            fs::write(&path, text).unwrap();
            let error = Lines::read(&path, &HEADER).err().unwrap();
            assert!(matches!(error, PrivateFileError::Damaged { .. }), "{text:?}: {error}");
            assert!(!error.to_string().contains("5ec2e7"), "{error}");
        }
        fs::write(&path, "suibi test 3\nc 1\n").unwrap();
        let error = Lines::read(&path, &HEADER).err().unwrap();
        assert!(matches!(error, PrivateFileError::Newer { .. }), "{error}");
    }

    #[test]
    fn a_value_never_makes_a_line_of_its_own() {
        let (_dir, path) = file();
        assert!(write(&path, &HEADER, &[("a", "1\nb 2")]).is_err());
        assert!(!path.exists());
    }
}
