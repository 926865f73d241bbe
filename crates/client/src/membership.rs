//! The membership: which server this machine has joined, and the credential that it has there.
//!
//! One file beside the replicas, `membership`, for its owner alone (mode 0600), replaced as a whole or not at all. Its
//! lines stand in `docs/formats.md`.

use std::path::{Path, PathBuf};

use suibi_journal::Rights;
use suibi_journal::hex::{array_from_hex, from_hex, to_hex};
use suibi_oscore::{KeyId, Secret};
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::private::{self, Header, Lines, PrivateFileError};

/// What the file says that it is.
const HEADER: Header = Header {
    what: "suibi membership",
    version: 1,
    words: &["address", "server", "journal", "device", "rights", "id", "secret", "replica"],
};

/// Which server this machine has joined, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// `HOST:PORT`, as the invite named it.
    pub address: String,
    /// What the server calls itself.
    pub server: String,
    /// The journal there.
    pub journal: String,
    /// What the server calls this device.
    pub device: String,
    /// What this device may do there.
    pub rights: Rights,
    /// The name of the credential, 4 bytes.
    pub id: KeyId,
    /// The credential, 32 bytes.
    pub secret: Secret,
    /// The replica's file, without directory.
    pub replica: String,
}

impl Membership {
    /// Refuses what only an administrator may.
    pub(crate) fn check_admin(&self) -> Result<(), ClientError> {
        if self.rights.admin {
            return Ok(());
        }
        let (device, server) = (self.device.clone(), self.server.clone());
        Err(ClientError::NotAdmin { device, server })
    }

    /// The file's path.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("membership")
    }

    /// The membership of a data directory, if it has one.
    ///
    /// A file that others on this machine may read is closed to them.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read or understood. Then nobody should act as if there were none.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, PrivateFileError> {
        let Some(lines) = Lines::read(&Self::path(data_dir), &HEADER)? else { return Ok(None) };
        let text = |word| lines.get(word).map(str::to_owned);
        Ok(Some(Self {
            address: text("address")?,
            server: text("server")?,
            journal: text("journal")?,
            device: text("device")?,
            rights: lines.parse("rights", |text| text.parse().ok())?,
            id: lines.parse("id", |text| KeyId::from_slice(&from_hex(text)?))?,
            secret: lines.parse("secret", |text| {
                Secret::from_bytes(&*Zeroizing::new(array_from_hex::<32>(text)?))
            })?,
            replica: lines.parse("replica", |text| is_file_name(text).then(|| text.to_owned()))?,
        }))
    }

    /// Keeps it, instead of another one that may be there. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then whatever was there is there still.
    pub fn store(&self, data_dir: &Path) -> Result<(), PrivateFileError> {
        let rights = self.rights.to_string();
        let id = self.id.to_string();
        let secret = Zeroizing::new(to_hex(self.secret.as_bytes()));
        let lines = [
            ("address", self.address.as_str()),
            ("server", &self.server),
            ("journal", &self.journal),
            ("device", &self.device),
            ("rights", &rights),
            ("id", &id),
            ("secret", &secret),
            ("replica", &self.replica),
        ];
        private::write(&Self::path(data_dir), &HEADER, &lines)
    }

    /// Removes it, if it is there: the machine is its own server again. The server still knows the device.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(data_dir: &Path) -> Result<(), PrivateFileError> {
        private::remove(&Self::path(data_dir))
    }
}

/// The replica stays in its directory, whatever the file says.
fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/') && text.ends_with(".db")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn membership() -> Membership {
        Membership {
            address: "notes.example:5683".into(),
            server: "home".into(),
            journal: "notes".into(),
            device: "phone".into(),
            rights: "read,write".parse().unwrap(),
            id: KeyId::from_slice(&[0x0a, 0x1b, 0x2c, 0x3d]).unwrap(),
            secret: Secret::from_bytes(&[7; 32]).unwrap(),
            replica: "joined-notes.example+5683-notes.db".into(),
        }
    }

    /// The example in docs/formats.md: what is written today is read for ever.
    fn documented() -> String {
        let docs = include_str!("../../../docs/formats.md");
        let (_, rest) = docs.split_once("```text membership\n").unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    }

    #[test]
    fn the_file_is_as_documented() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Membership::load(dir.path()).unwrap(), None);
        membership().store(dir.path()).unwrap();
        let path = Membership::path(dir.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), documented());

        fs::write(&path, documented()).unwrap();
        assert_eq!(Membership::load(dir.path()).unwrap(), Some(membership()));
        Membership::remove(dir.path()).unwrap();
        assert_eq!(Membership::load(dir.path()).unwrap(), None);
    }

    #[test]
    fn nothing_tells_the_secret() {
        let membership = membership();
        let secret = to_hex(membership.secret.as_bytes());
        let told = format!("{membership:?}");
        assert!(!told.contains(&secret) && !told.contains("7, 7"), "{told}");
    }

    #[test]
    fn a_damaged_membership_is_an_error_and_not_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = Membership::path(dir.path());
        let good = documented();
        for (from, to) in [
            ("rights read,write", "rights fly"),
            ("id 0a", "id 0"),
            ("secret 07", "secret "),
            ("replica joined", "replica ../joined"),
            ("journal notes\n", ""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            fs::write(&path, bad).unwrap();
            let error = Membership::load(dir.path()).unwrap_err();
            assert!(matches!(error, PrivateFileError::Damaged { .. }), "{from}: {error}");
        }
    }
}
