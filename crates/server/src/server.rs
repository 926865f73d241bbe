//! A server from its configuration to its end.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use suibi_oscore::{KeyId, Secret, ServerContexts};
use suibi_store::{Access, AccessChange, OwnChain, SqliteOptions, SqliteStore, Store, StoreError};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::config::{Config, ListenerInfo};
use crate::core::{Core, Done};
use crate::error::ServeError;
use crate::gate::Gate;
use crate::handover::handover;
use crate::listen::{Opened, Sockets};
use crate::lock::{self, LocalCredential, Lock, LockError, Running};
use crate::net_thread::{Channels, NetThread, WAKER};
use crate::registry::Registry;
use crate::resources::About;
use crate::stop::StopSignal;
use crate::writer::{Open, Writer};
use crate::{files, listen, reader};

/// From being told to stop until the end, at most; what is then not durable was not acknowledged either.
const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// So long is waited for the threads after that.
const ENDING: Duration = Duration::from_millis(300);

/// A server whose listeners are open and whose data is its own, ready to [`run`](Self::run).
pub struct Server {
    core: Core,
    sockets: Sockets,
    listeners: Vec<ListenerInfo>,
    writer: Writer,
    about: Arc<About>,
    lock: Lock,
    stop: StopSignal,
}

/// Stops a server from another thread.
#[derive(Debug, Clone)]
pub struct ServerHandle(StopSignal);

impl ServerHandle {
    /// Tells the server to stop; it ends within two seconds.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Server {
    /// Takes the data directory, opens the store and every listener.
    ///
    /// # Errors
    ///
    /// One clear sentence; nothing is left open then.
    pub fn bind(config: Config) -> Result<Self, ServeError> {
        let Config { data_dir, device, is_brief, .. } = &config;
        let (path, device, is_brief) = (files::database(data_dir), device.clone(), *is_brief);
        let open = move |is_doubted| -> Result<Box<dyn Store>, StoreError> {
            let options = SqliteOptions { own_chain: OwnChain::Fresh, device: device.clone() };
            Ok(Box::new(match is_brief {
                true => SqliteStore::open_briefly(&path, options, is_doubted)?,
                false => SqliteStore::open(&path, options)?,
            }))
        };
        Self::bind_with(config, Box::new(open))
    }

    /// The same on a store of the caller's choice.
    pub(crate) fn bind_with(config: Config, open: Open) -> Result<Self, ServeError> {
        let planned = listen::plan(&config)?;
        let data_dir = &config.data_dir;
        let unusable = |source| ServeError::DataDir { data_dir: data_dir.clone(), source };
        let in_use = |running: Running| ServeError::InUse {
            data_dir: data_dir.clone(),
            pid: running.pid,
            listeners: [running.oscore, running.coap, running.plain].concat(),
        };
        // A server of the same data explains more than its port, which it has as well.
        if let Some(running) = lock::running(data_dir).map_err(unusable)? {
            return Err(in_use(running));
        }
        // Before anything is made that would stay behind.
        let contexts = ServerContexts::new(listen::random()?);
        let gate = Gate::default();
        let protection = || gate.before(contexts.protection());
        let now = Instant::now();
        let Opened { doors, sockets, listeners } =
            listen::open(now, &planned, config.trusts_loopback, protection)?;
        suibi_store::create_directory(data_dir).map_err(unusable)?;
        files::close_to_others(data_dir).map_err(unusable)?;
        let mut lock = Lock::take(data_dir).map_err(|error| match error {
            LockError::Io(source) => unusable(source),
            LockError::Held(running) => in_use(running),
        })?;
        let no_store = |source| ServeError::Store { data_dir: data_dir.clone(), source };
        let mut writer = Writer::new(open, !lock.was_ended).map_err(no_store)?;
        let (registry, local) =
            admit(&mut writer, &Clock::System, contexts, gate, listen::random()?)
                .map_err(no_store)?;
        lock.write(Some(&local), &listeners).map_err(unusable)?;
        let stop = StopSignal::new()?;
        let Config { data_dir, device, unproven, .. } = config;
        let about = Arc::new(About::new(now, device, data_dir, Clock::System));
        let core = Core::new(now, listen::random()?, doors, Arc::clone(&about), registry, unproven);
        Ok(Self { core, sockets, listeners, writer, about, lock, stop })
    }

    /// The open listeners, with the addresses that they really have.
    pub fn listeners(&self) -> &[ListenerInfo] {
        &self.listeners
    }

    /// For stopping it from another thread.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(self.stop.clone())
    }

    /// Serves until told to stop, by `stop` or a [`handle`](Self::handle). What has been handed to the
    /// writer by then is finished and answered; the end comes within two seconds.
    ///
    /// # Errors
    ///
    /// When the system fails us, or one of our threads has panicked: a server that can only write, or only read,
    /// would keep its port from one that can do both. Nothing that a client sends, and no trouble with the disk, ends
    /// a server.
    pub fn run(self, stop: StopSignal) -> Result<(), ServeError> {
        let Self { core, sockets, writer, about, lock, stop: own_stop, .. } = self;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (done, dones) = mpsc::channel();
        let (write_jobs, to_write) = handover();
        let (read_jobs, to_read) = mpsc::channel();
        // Hangs up once both threads have ended.
        let (end, ended) = mpsc::channel::<()>();

        let mut store_reader = writer
            .reader()
            .map_err(|source| ServeError::Store { data_dir: about.data_dir.clone(), source })?;
        let reader_thread = thread::Builder::new().name("reader".to_owned()).spawn({
            let (about, done, waker) = (Arc::clone(&about), done.clone(), Arc::clone(&waker));
            let (crash, end) = (StopAtPanic(own_stop.clone()), end.clone());
            move || {
                let (_end, _crash) = (end, crash);
                reader::run(&mut *store_reader, &about, &to_read, |answer| {
                    tell(&done, &waker, Done::Read(answer));
                });
            }
        })?;
        let writer_thread = thread::Builder::new().name("writer".to_owned()).spawn({
            let mut writer = writer;
            let crash = StopAtPanic(own_stop.clone());
            move || {
                let (_end, _crash) = (end, crash);
                writer.run(&to_write, |what| tell(&done, &waker, Done::Write(what)));
                let is_sound = writer.is_sound();
                // Nobody else may have the data before the last commit is over.
                drop(writer);
                if is_sound {
                    lock.end();
                }
            }
        })?;

        let stops = [own_stop, stop];
        let channels = Channels { writes: write_jobs, reads: read_jobs, dones };
        let mut net = NetThread::new(poll, core, sockets, stops, channels)?;
        let result = net.run();
        net.finish(Instant::now() + STOP_WITHIN);
        drop(net);
        // A disk that hangs does not keep us from ending: what it still holds was not acknowledged.
        let have_ended = ended.recv_timeout(ENDING) == Err(RecvTimeoutError::Disconnected);
        let mut crashed = None;
        for (name, thread) in [("writer", writer_thread), ("reader", reader_thread)] {
            if (have_ended || thread.is_finished()) && thread.join().is_err() {
                crashed = Some(name);
            }
        }
        result?;
        crashed.map_or(Ok(()), |name| Err(ServeError::Crashed(name)))
    }
}

/// Who may do what, by the store, and what the owner's own commands prove themselves with.
pub(crate) fn admit(
    writer: &mut Writer,
    clock: &Clock,
    contexts: ServerContexts,
    gate: Gate,
    random: [u8; 37],
) -> Result<(Registry, LocalCredential), StoreError> {
    let access = reserve(writer, clock.millis())?;
    let random = Zeroizing::new(random);
    // Longer than those of devices and invites, so that it is none of theirs.
    let id = KeyId::from_slice(&random[..5]).expect("five bytes fit a key id");
    let secret = Secret::from_bytes(&random[5..]).expect("32 bytes are a secret");
    let registry = Registry::new(access, contexts, gate, id, secret.clone());
    let local = LocalCredential { id, secret, epoch: registry.local_epoch() };
    Ok((registry, local))
}

/// Who may use the store, once own numbers are reserved for each fixed context.
fn reserve(writer: &mut Writer, now_millis: i64) -> Result<Access, StoreError> {
    let mut access = writer.access()?;
    for row in access.devices.iter_mut().filter(|row| row.salt.is_some()) {
        row.reserved = Registry::first_reserved(now_millis, row.reserved);
        let change = AccessChange::Reserve { device: row.number, up_to: row.reserved };
        // It can only be refused for a device that is not there, and this one is.
        let _ = writer.change_access(&change, None)?;
    }
    Ok(access)
}

/// Stops the server when the thread that holds this panics.
struct StopAtPanic(StopSignal);

impl Drop for StopAtPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Hands something to the net thread, unless it is gone.
fn tell(done: &mpsc::Sender<Done>, waker: &Waker, what: Done) {
    if done.send(what).is_ok() {
        // It looks by itself at its next turn.
        let _ = waker.wake();
    }
}

#[cfg(test)]
mod tests;
