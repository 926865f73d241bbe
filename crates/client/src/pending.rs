//! A join that has begun: kept on the disk before anything is asked, so that whoever asks again is known to be the same.
//!
//! The file `join.pending` in the data directory, for its owner alone; removed when the join is done. Its lines stand in
//! `docs/formats.md`.

use std::path::{Path, PathBuf};

use suibi_journal::hex::{array_from_hex, from_hex, to_hex};
use suibi_oscore::{JoinSecret, KeyId};
use zeroize::Zeroizing;

use crate::private::{self, Header, Lines, PrivateFileError};

const HEADER: Header =
    Header { what: "suibi join", version: 1, words: &["invite", "secret", "replaces"] };

/// What has to be known of a join in order to take it up again with the same line.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Which invite.
    pub(crate) invite: KeyId,
    /// Our half of the key exchange.
    pub(crate) secret: JoinSecret,
    /// Whether it replaces a membership that was there when it began.
    pub(crate) replaces: bool,
}

impl Pending {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("join.pending")
    }

    pub(crate) fn load(data_dir: &Path) -> Result<Option<Self>, PrivateFileError> {
        let Some(lines) = Lines::read(&Self::path(data_dir), &HEADER)? else { return Ok(None) };
        Ok(Some(Self {
            invite: lines.parse("invite", |text| KeyId::from_slice(&from_hex(text)?))?,
            secret: lines.parse("secret", |text| {
                array_from_hex(text).map(Zeroizing::new).map(|bytes| JoinSecret::from_bytes(*bytes))
            })?,
            replaces: lines.parse("replaces", |text| match text {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            })?,
        }))
    }

    /// Durable when this returns.
    pub(crate) fn store(&self, data_dir: &Path) -> Result<(), PrivateFileError> {
        let secret = Zeroizing::new(to_hex(&*Zeroizing::new(self.secret.to_bytes())));
        let invite = self.invite.to_string();
        let replaces = if self.replaces { "yes" } else { "no" };
        let lines =
            [("invite", invite.as_str()), ("secret", secret.as_str()), ("replaces", replaces)];
        private::write(&Self::path(data_dir), &HEADER, &lines)
    }

    pub(crate) fn remove(data_dir: &Path) -> Result<(), PrivateFileError> {
        private::remove(&Self::path(data_dir))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_is_as_documented() {
        let docs = include_str!("../../../docs/formats.md");
        let (_, rest) = docs.split_once("```text join.pending\n").unwrap();
        let documented = rest.split_once("```").unwrap().0;

        let dir = tempfile::tempdir().unwrap();
        assert!(Pending::load(dir.path()).unwrap().is_none());
        let invite = KeyId::from_slice(&[0x0a, 0x1b, 0x2c, 0x3d]).unwrap();
        let pending = Pending { invite, secret: JoinSecret::from_bytes([9; 32]), replaces: false };
        pending.store(dir.path()).unwrap();
        let path = Pending::path(dir.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), documented);
        let read = Pending::load(dir.path()).unwrap().unwrap();
        assert_eq!((read.invite, read.replaces), (invite, false));
        assert_eq!(read.secret.public(), pending.secret.public());
        Pending::remove(dir.path()).unwrap();
        assert!(Pending::load(dir.path()).unwrap().is_none());
    }
}
