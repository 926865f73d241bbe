//! One server for one data directory: the lock, and who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::config::{ListenerInfo, ListenerKind};
use crate::files;

/// Somebody who only looks holds a shared lock for a moment, and so keeps us from taking ours: so often is it tried
/// again, each time so much later.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(1);

/// The lock on a data directory. It is free again when this is dropped, or its process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// A server that runs on a data directory, as its lock file tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Its process, once it has said so.
    pub pid: Option<u32>,
    /// Its CoAP listeners; none while it is starting.
    pub coap: Vec<SocketAddr>,
    /// Its plain listeners.
    pub plain: Vec<SocketAddr>,
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
/// When the file is there and cannot be read.
pub fn running(data_dir: &Path) -> io::Result<Option<Running>> {
    let mut file = match File::open(files::lock(data_dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A shared lock does not disturb others who only look.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => read(&mut file).map(Some),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Lock {
    /// Takes the lock and writes our process into the file.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = files::lock(data_dir);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        if !take_from_those_who_look(&file)? {
            return Err(LockError::Held(read(&mut file)?));
        }
        let mut lock = Self { file };
        lock.write(&[])?;
        Ok(lock)
    }

    /// Writes where we listen, for those who look for us.
    pub(crate) fn write(&mut self, listeners: &[ListenerInfo]) -> io::Result<()> {
        let mut text = format!("pid {}\n", std::process::id());
        for listener in listeners {
            let kind = match listener.kind {
                ListenerKind::Coap => "coap",
                ListenerKind::Plain => "plain",
            };
            text.push_str(&format!("{kind} {}\n", listener.address));
        }
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
    let mut text = String::new();
    file.take(1 << 16).read_to_string(&mut text)?;
    let mut running = Running::default();
    // Unknown lines are those of a later version.
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("pid", pid)) => running.pid = pid.parse().ok(),
            Some(("coap", address)) => running.coap.extend(address.parse::<SocketAddr>()),
            Some(("plain", address)) => running.plain.extend(address.parse::<SocketAddr>()),
            _ => {}
        }
    }
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Reach;

    #[test]
    fn who_looks_finds_the_holder_while_the_lock_is_held_and_nobody_after() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()).unwrap(), None);
        let mut lock = Lock::take(dir.path()).unwrap();
        let address: SocketAddr = "[::1]:5683".parse().unwrap();
        let pid = Some(std::process::id());
        assert_eq!(running(dir.path()).unwrap(), Some(Running { pid, ..Running::default() }));
        let listener =
            ListenerInfo { kind: ListenerKind::Coap, address, reach: Reach::of(address) };
        lock.write(&[listener]).unwrap();
        let expected = Running { pid, coap: vec![address], plain: Vec::new() };
        assert_eq!(running(dir.path()).unwrap(), Some(expected.clone()));
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Held(held)) if held == expected));
        drop(lock);
        assert_eq!(running(dir.path()).unwrap(), None);
        assert!(Lock::take(dir.path()).is_ok());
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
