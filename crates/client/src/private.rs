//! Small text files that hold secrets, kept by [`suibi_store::private`].
//!
//! ```text
//! suibi membership 1      <- what it is, and the version of the form
//! server notes.example    <- a word, a space, the rest of the line
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use suibi_net::effective_user;
use suibi_store::private;
use thiserror::Error;
use zeroize::Zeroizing;

/// No such file is longer, in bytes; a longer one is something else.
const MAX_BYTES: u64 = 64 << 10;

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
    /// Reads the file, unless there is none, by the rules of [`private::read`].
    pub(crate) fn read(path: &Path, header: &Header) -> Result<Option<Self>, PrivateFileError> {
        let unusable = |source| PrivateFileError::Io { path: path.to_owned(), source };
        let text = private::read(path, MAX_BYTES, effective_user()).map_err(unusable)?;
        let Some(text) = text else { return Ok(None) };
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
    private::replace(path, text.as_bytes()).map_err(unusable)
}

/// Removes a file, if it is there, for good.
pub(crate) fn remove(path: &Path) -> Result<(), PrivateFileError> {
    private::remove(path).map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
        assert!(!path.exists());
        symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(Lines::read(&path, &HEADER), Err(PrivateFileError::Io { .. })));
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
