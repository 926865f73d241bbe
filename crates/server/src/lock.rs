//! One server for one data directory: the lock, and who holds it.
//!
//! The file is also how the owner's own commands get in: it holds a credential that is new at each start of a server
//! and accepted from loopback alone. So it is for its owner alone, and is not believed where it is not.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use suibi_journal::hex::{from_hex, to_hex};
use suibi_net::effective_user;
use suibi_oscore::{KeyId, Secret};
use suibi_store::private;
use zeroize::Zeroizing;

use crate::config::ListenerInfo;
use crate::files;

/// Somebody who only looks holds a shared lock for a moment, and so keeps us from taking ours: so often is it tried
/// again, each time so much later.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(1);

/// What stands in the file when its server has ended in good order.
const ENDED: &str = "ended\n";

/// The lock on a data directory. It is free again when this is dropped, or its process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// Whether the server before has ended in good order, all that it wrote being on the disk. A killed one has not.
    pub(crate) was_ended: bool,
}

/// A server that runs on a data directory, as its lock file tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Its process, once it has said so.
    pub pid: Option<u32>,
    /// Its OSCORE listeners, one of them on loopback; none while it is starting.
    pub oscore: Vec<SocketAddr>,
    /// Its CoAP listeners without protection.
    pub coap: Vec<SocketAddr>,
    /// Its plain listeners.
    pub plain: Vec<SocketAddr>,
    /// The credential of the owner's own commands; there once its listeners are.
    pub local: Option<LocalCredential>,
}

/// What the owner's own commands prove themselves with, to the server of this machine alone: it has all rights over
/// all journals, ends with the server's process, and is accepted from loopback only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCredential {
    /// The sender id of its messages.
    pub id: KeyId,
    /// The secret that the server knows, too.
    pub secret: Secret,
    /// The server's half of the ID Context, so that one round trip will do.
    pub epoch: [u8; 8],
}

/// Why the lock is not ours.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody else holds it.
    Held(Running),
    /// The file cannot be opened or written.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The server that runs on this data directory, if one does.
///
/// The file is believed only while its lock is held, so one that a killed server left behind says nothing.
///
/// # Errors
///
/// When the file is there and cannot be read, or may be somebody else's work: a symbolic link, another user's, or open
/// to others.
pub fn running(data_dir: &Path) -> io::Result<Option<Running>> {
    let mut file = match private::open(&files::lock(data_dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A shared lock does not disturb others who only look.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            private::check_closed(&file, "server.lock", effective_user())?;
            read(&mut file).map(Some)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Lock {
    /// Takes the lock and writes our process into the file.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, LockError> {
        let mut file = private::open_or_make(&files::lock(data_dir))?;
        if !take_from_those_who_look(&file)? {
            return Err(LockError::Held(read(&mut file)?));
        }
        // Before a secret is in it.
        private::close_to_others(&file, "server.lock", effective_user())?;
        let mut mark = Vec::new();
        (&file).take(ENDED.len() as u64 + 1).read_to_end(&mut mark)?;
        let mut lock = Self { file, was_ended: mark == ENDED.as_bytes() };
        lock.write(None, &[])?;
        Ok(lock)
    }

    /// Leaves word that all is well, instead of our credential. Nothing need be flushed: after a power cut the word may
    /// be there or not, and either is true then, as only what was on the disk is left.
    pub(crate) fn end(mut self) {
        let left = self.replace(ENDED);
        if let Err(error) = left {
            tracing::debug!(%error, "the next server will be careful");
        }
    }

    /// Writes where we listen, for those who look for us, and what they prove themselves with.
    pub(crate) fn write(
        &mut self,
        local: Option<&LocalCredential>,
        listeners: &[ListenerInfo],
    ) -> io::Result<()> {
        // Grown text would leave copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(1024 + 64 * listeners.len()));
        text.push_str(&format!("pid {}\n", std::process::id()));
        // Before the listeners: who finds those can rely on it.
        if let Some(LocalCredential { id, secret, epoch }) = local {
            let secret = Zeroizing::new(to_hex(secret.as_bytes()));
            text.push_str(&format!("local {} ", to_hex(id.as_slice())));
            text.push_str(&secret);
            text.push_str(&format!(" {}\n", to_hex(epoch)));
        }
        for listener in listeners {
            text.push_str(&format!("{} {}\n", listener.kind, listener.address));
        }
        self.replace(&text)
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }
}

/// Takes the lock unless another server has it; says whether it did. [`running`] in another process is none.
fn take_from_those_who_look(file: &File) -> io::Result<bool> {
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Beside those who look there is room for one more of them, beside a server there is not.
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        thread::sleep(LOOK);
    }
    Ok(false)
}

fn read(file: &mut File) -> io::Result<Running> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(1 << 16).read_to_string(&mut text)?;
    let mut running = Running::default();
    // Unknown lines are those of a later version.
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("pid", pid)) => running.pid = pid.parse().ok(),
            Some(("local", words)) => running.local = local(words),
            Some(("oscore", address)) => running.oscore.extend(address.parse::<SocketAddr>()),
            Some(("coap", address)) => running.coap.extend(address.parse::<SocketAddr>()),
            Some(("plain", address)) => running.plain.extend(address.parse::<SocketAddr>()),
            _ => {}
        }
    }
    Ok(running)
}

/// `ID SECRET EPOCH` in hexadecimal digits.
fn local(words: &str) -> Option<LocalCredential> {
    let mut words = words.split(' ').map(|word| from_hex(word).map(Zeroizing::new));
    let (id, secret, epoch) = (words.next()??, words.next()??, words.next()??);
    Some(LocalCredential {
        id: KeyId::from_slice(&id)?,
        secret: Secret::from_bytes(&secret)?,
        epoch: epoch.as_slice().try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListenerKind, Reach};

    #[test]
    fn only_who_said_so_has_ended_in_good_order() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Lock::take(dir.path()).unwrap();
        assert!(!take().was_ended, "nobody was there");
        assert!(!take().was_ended, "killed");
        take().end();
        assert_eq!(running(dir.path()).unwrap(), None);
        assert!(take().was_ended);
        assert!(!take().was_ended, "killed since");
    }

    #[test]
    fn who_looks_finds_the_holder_while_the_lock_is_held_and_nobody_after() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()).unwrap(), None);
        let mut lock = Lock::take(dir.path()).unwrap();
        let address: SocketAddr = "[::1]:5683".parse().unwrap();
        let pid = Some(std::process::id());
        assert_eq!(running(dir.path()).unwrap(), Some(Running { pid, ..Running::default() }));
        let listener = ListenerInfo {
            kind: ListenerKind::Oscore,
            address,
            reach: Reach::of(address),
            tcp: true,
        };
        let local = LocalCredential {
            id: KeyId::from_slice(&[1, 2]).unwrap(),
            secret: Secret::from_bytes(&[0xa9; 32]).unwrap(),
            epoch: [7; 8],
        };
        lock.write(Some(&local), &[listener]).unwrap();
        let oscore = vec![address];
        let expected = Running { pid, oscore, local: Some(local), ..Running::default() };
        assert_eq!(running(dir.path()).unwrap(), Some(expected.clone()));
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Held(held)) if held == expected));
        drop(lock);
        assert_eq!(running(dir.path()).unwrap(), None);
        assert!(Lock::take(dir.path()).is_ok());
    }

    #[test]
    fn the_documented_file_is_read_as_documented() {
        let formats = include_str!("../../../docs/formats.md");
        let (_, block) = formats.split_once("```text server.lock\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), block).unwrap();
        let running = read(&mut File::open(path.path()).unwrap()).unwrap();
        let local = LocalCredential {
            id: KeyId::from_slice(&[0x0a, 0x1b, 0x2c, 0x3d, 0x4e]).unwrap(),
            secret: Secret::from_bytes(&[7; 32]).unwrap(),
            epoch: [1, 2, 3, 4, 5, 6, 7, 8],
        };
        let addresses = |text: &str| vec![text.parse().unwrap()];
        let expected = Running {
            pid: Some(4711),
            oscore: addresses("127.0.0.1:5683"),
            coap: addresses("[::1]:5684"),
            plain: addresses("127.0.0.1:4242"),
            local: Some(local),
        };
        assert_eq!(running, expected);
        assert!(!format!("{running:?}").contains("07070707"), "{running:?}");
    }

    #[test]
    fn a_credential_that_is_cut_off_is_none() {
        let whole = "0a1b 0707 0102030405060708";
        assert!(local(whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(local(&whole[..len]), None, "{len}");
        }
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        drop(Lock::take(dir.path()).unwrap());
        let looker = File::open(files::lock(dir.path())).unwrap();
        looker.lock_shared().unwrap();
        let taken = thread::scope(|scope| {
            let taker = scope.spawn(|| Lock::take(dir.path()));
            thread::sleep(5 * LOOK);
            looker.unlock().unwrap();
            taker.join().unwrap()
        });
        assert!(taken.is_ok(), "{taken:?}");
    }

    #[test]
    fn many_who_look_at_once_keep_nobody_from_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        drop(Lock::take(dir.path()).unwrap());
        let is_over = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        running(dir.path()).unwrap();
                        thread::yield_now();
                    }
                });
            }
            let failed = (0..100).filter(|_| Lock::take(dir.path()).is_err()).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(failed, 0);
        });
    }
}
