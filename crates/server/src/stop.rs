//! How a server is told to stop.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Tells servers to stop: from another thread, or when the process is asked to end.
///
/// Clones tell the same servers, and once told stays told.
#[derive(Clone)]
pub struct StopSignal(Arc<Pipe>);

/// A byte in the pipe wakes whoever waits for it; it is never read.
struct Pipe {
    told: Arc<AtomicBool>,
    write: UnixStream,
    read: UnixStream,
}

impl StopSignal {
    /// A signal that nobody has given yet.
    ///
    /// # Errors
    ///
    /// When the process may open no more files.
    pub fn new() -> io::Result<Self> {
        let (write, read) = UnixStream::pair()?;
        write.set_nonblocking(true)?;
        read.set_nonblocking(true)?;
        Ok(Self(Arc::new(Pipe { told: Arc::default(), write, read })))
    }

    /// A signal that SIGINT and SIGTERM give. A second one ends the process at once, as if nobody had cared.
    ///
    /// # Errors
    ///
    /// When the signals cannot be handled, or the process may open no more files.
    pub fn on_termination() -> io::Result<Self> {
        let stop = Self::new()?;
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop.0.told))?;
            signal_hook::flag::register(signal, Arc::clone(&stop.0.told))?;
            signal_hook::low_level::pipe::register(signal, stop.0.write.try_clone()?)?;
        }
        Ok(stop)
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.0.told.store(true, Ordering::SeqCst);
        // A full pipe has been written to before.
        let _ = (&self.0.write).write(&[0]);
    }

    /// Whether it was given.
    pub fn is_told(&self) -> bool {
        self.0.told.load(Ordering::SeqCst)
    }

    /// Readable once the signal was given.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.read.as_raw_fd()
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal").field("told", &self.is_told()).finish()
    }
}
