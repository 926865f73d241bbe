//! The live view: a thread that delivers, listens and tells, while something is on a screen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::{Cursor, Note, NoteId, Receipt, Rights};
use suibi_store::{JournalId, Reader, SqliteStore, Store as _, StoreError};

use crate::carry;
use crate::client::{SILENCE, SharedMine, lock};
use crate::error::{ClientError, SyncError};
use crate::link::Link;
use crate::outcome::Transport;
use crate::rebuild::{self, Identity, Opened};
use crate::remember::remember;
use crate::remote::{Heard, Observation, Patience, RemoteError, Stop};
use crate::replica;
use crate::sync::{BULK_BYTES, Refused, Sync};

/// How often the observation is registered again: servers restart, and paths forget.
const REGISTER_EVERY: Duration = Duration::from_secs(25);

/// The same where asking is as good as free: a server on this machine that was killed said nothing, and the next one
/// does not know us.
const REGISTER_HERE_EVERY: Duration = Duration::from_secs(2);

/// How often it looks for what needs no network: notes of other processes here, and whether the host is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the answer to a registration may take before every way is tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// So much more of the day than of this program's time has passed after a sleep.
const ASLEEP: Duration = Duration::from_secs(3);

/// The pause after the first failure; each further one doubles it, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pause after the server has said that it cut this device off. It may be another server one day.
const REVOKED_PAUSE: Duration = Duration::from_secs(60);

/// How long to look for the server before saying that it is not there.
const FIND_WITHIN: Duration = Duration::from_secs(1);

/// The longest for one request; a batch in blocks over a bad path takes its time.
const CALL_WITHIN: Duration = Duration::from_secs(60);

/// What happens in the background.
#[derive(Debug)]
pub enum LiveEvent {
    /// Notes that came or changed, by others or by other processes here, in the order of arrival. Each as it is now.
    NewNotes(Vec<Note>),
    /// Notes that were deleted or purged, by others or by other processes here.
    Gone(Vec<NoteId>),
    /// What was added here is now on the server.
    Delivered(Vec<Receipt>),
    /// What the server does not take; it stays in the outbox. Told again whenever it was tried again.
    Refused(Vec<Refused>),
    /// The server answers.
    Online,
    /// It does not. Notes are kept, and delivered when it does.
    Offline,
    /// In place of [`LiveEvent::Offline`]: something that trying again will hardly mend; it is tried all the same.
    Trouble(ClientError),
}

/// The thread, from outside.
pub(crate) struct Live {
    stop: Stop,
    is_host: Arc<AtomicBool>,
    thread: JoinHandle<Link>,
}

impl Live {
    pub(crate) fn start(
        device: &str,
        path: &Path,
        (store, identity): (SqliteStore, Identity),
        link: Link,
        mine: SharedMine,
    ) -> Result<(Self, Receiver<LiveEvent>), ClientError> {
        let mut reader = store.reader()?;
        let seen = reader.head(JournalId::FIRST)?;
        let (sender, receiver) = mpsc::channel();
        let stop = link.remote.stopper();
        let is_host = Arc::new(AtomicBool::new(link.is_host()));
        let background = Background {
            device: device.to_owned(),
            path: path.to_owned(),
            store,
            identity,
            is_broken: false,
            reader,
            link,
            mine,
            events: sender,
            is_host: Arc::clone(&is_host),
            seen,
            is_online: None,
            observation: None,
            generation: 0,
            register_at: Instant::now(),
            answer_by: None,
            awake: Awake::new(),
            left: 0,
            pause: FIRST_PAUSE,
        };
        let thread = thread::Builder::new()
            .name("live".into())
            .spawn(move || background.run())
            .map_err(ClientError::Thread)?;
        Ok((Self { stop, is_host, thread }, receiver))
    }

    /// There is something in the outbox.
    pub(crate) fn wake(&self) {
        self.stop.wake();
    }

    /// Whether the embedded server runs in this process.
    pub(crate) fn is_host(&self) -> bool {
        self.is_host.load(Ordering::Relaxed)
    }

    /// Ends the thread, and gives back its way to the server.
    pub(crate) fn stop(self) -> Option<Link> {
        self.stop.stop();
        let link = self.thread.join().ok();
        self.stop.resume();
        link
    }
}

/// Asks for the end of the feed.
pub(crate) fn ask_head() -> Request {
    Request::new(Code::GET).path("/feed/head")
}

/// Asks for as little as the rights allow, to see whether the server is there and knows us.
pub(crate) fn ask_alive(rights: Rights) -> Request {
    if rights.read {
        return ask_head();
    }
    // A batch of nothing.
    Request::new(Code::POST).path("/feed").content_format(ContentFormat::CBOR_SEQ)
}

/// The answer to it.
pub(crate) fn head(response: &Response) -> Result<Cursor, ClientError> {
    if !response.code.is_success() {
        return Err(SyncError::of(response).into());
    }
    Cursor::decode(&response.payload).map_err(|error| SyncError::Nonsense(error.to_string()).into())
}

/// Notices that the machine was asleep: the clock on the wall went on meanwhile, the other one did not.
struct Awake {
    at: Instant,
    wall: SystemTime,
}

impl Awake {
    fn new() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether it was, since this was asked last. A clock that was set looks the same, and does no harm.
    fn has_slept(&mut self) -> bool {
        let now = Self::new();
        let passed = now.at.saturating_duration_since(self.at);
        let on_the_wall = now.wall.duration_since(self.wall).unwrap_or_default();
        *self = now;
        // Where both clocks stop, so does whoever waits: much more than was waited for has passed.
        on_the_wall > passed + ASLEEP || passed > LOOK_EVERY + ASLEEP
    }
}

/// The thread, from inside.
struct Background {
    device: String,
    path: PathBuf,
    store: SqliteStore,
    /// Which file that is.
    identity: Identity,
    /// The disk failed the replica, which has to be opened anew.
    is_broken: bool,
    reader: Box<dyn Reader>,
    link: Link,
    mine: SharedMine,
    events: Sender<LiveEvent>,
    is_host: Arc<AtomicBool>,
    /// How far the replica's own feed was told.
    seen: Cursor,
    /// What was said last.
    is_online: Option<bool>,
    observation: Option<Observation>,
    /// The [`Link::generation`] in which it was registered.
    generation: u64,
    register_at: Instant,
    /// When the server has to have answered the registration.
    answer_by: Option<Instant>,
    awake: Awake,
    /// What the last round left in the outbox, because the server refuses it: no reason for another round.
    left: u64,
    pause: Duration,
}

impl Background {
    fn run(mut self) -> Link {
        loop {
            let outcome = self.round();
            self.is_host.store(self.link.is_host(), Ordering::Relaxed);
            let next = match outcome {
                Ok(()) => {
                    self.pause = FIRST_PAUSE;
                    self.say_online(true);
                    self.listen()
                }
                Err(error) => Err(error),
            };
            if let Err(error) = next
                && let Err(RemoteError::Stopped) = self.on_failure(error)
            {
                break;
            }
        }
        self.forget_observation();
        self.link
    }

    /// Delivers and pulls once.
    fn round(&mut self) -> Result<(), ClientError> {
        if self.is_broken || Identity::of(&self.path) != self.identity {
            self.open_anew(None)?;
        }
        if self.is_online != Some(true)
            && let Some(membership) = self.link.membership()
        {
            let data_dir = self.path.parent().unwrap_or(Path::new("."));
            if let Err(error) = carry::carry_on(data_dir, membership, &mut self.store) {
                tracing::warn!(%error, "notes of before the join cannot be taken along");
            }
        }
        self.link.find(Instant::now() + FIND_WITHIN)?;
        let own = self.store.own_chain()?;
        let rights = self.rights();
        let mut sync = Sync::within(rights, &self.device, own);
        if self.is_online != Some(true) {
            // It may be another one than before, restored from a backup.
            sync = sync.comparing();
        }
        let Self { store, link, .. } = self;
        let patience = || Patience { deadline: Instant::now() + CALL_WITHIN, silence: SILENCE };
        if !rights.read && self.is_online != Some(true) {
            // With nothing to deliver it would ask nothing.
            link.call(&ask_alive(rights), patience())?;
        }
        let (report, outcome) = replica::run(sync, store, &mut link.asking(patience), |_| {});
        self.left = if report.refused.is_empty() { 0 } else { self.store.waiting()? };
        self.tell_delivered()?;
        self.tell_new_notes()?;
        if !report.refused.is_empty() {
            self.tell(LiveEvent::Refused(report.refused));
        }
        let may_take_back = outcome.as_ref().err().is_none_or(ClientError::is_offline);
        if may_take_back && rebuild::is_pending(&mut self.store)? {
            // It waits in the outbox then, which is a reason for another round.
            let feed = rebuild::feed_read(rights, &outcome);
            rebuild::take_back(&self.path, &mut self.store, feed)?;
        }
        outcome?;
        remember(&mut self.store, &self.link)
    }

    /// Opens the replica anew, because the disk failed it, somebody has put it aside, or we have met damage in it.
    fn open_anew(&mut self, damage: Option<StoreError>) -> Result<(), StoreError> {
        let Opened { store, identity, .. } = match damage {
            Some(damage) => rebuild::rebuild(&self.path, &self.device, self.identity, damage)?,
            None => rebuild::open(&self.path, &self.device)?,
        };
        (self.reader, self.store) = (store.reader()?, store);
        self.identity = identity;
        self.is_broken = false;
        Ok(())
    }

    /// Waits until there is a reason for another round.
    fn listen(&mut self) -> Result<(), ClientError> {
        self.awake = Awake::new();
        loop {
            let now = Instant::now();
            let is_void = self.observation.is_none() || self.generation != self.link.generation;
            if self.rights().read && (is_void || now >= self.register_at) {
                if self.has_moved() {
                    return Ok(());
                }
                self.register(now)?;
            }
            let mut until = now + LOOK_EVERY;
            if self.observation.is_some() {
                until = until.min(self.register_at);
            }
            if let Some(answer_by) = self.answer_by {
                // A round asks by every way there is.
                if now >= answer_by {
                    self.forget_observation();
                    return Ok(());
                }
                until = until.min(answer_by);
            }
            let heard = self.link.remote.wait(until)?;
            if self.awake.has_slept() {
                tracing::debug!("this machine was asleep");
                self.forget_observation();
                self.has_moved();
                return Ok(());
            }
            match heard {
                Some(Heard { of, what: Ok(response) }) if Some(of) == self.observation => {
                    self.answer_by = None;
                    if head(&self.link.admitted(response)?)? != self.store.cursor()? {
                        return Ok(());
                    }
                }
                // Perhaps a stream that broke off, and the server is there: a round finds out.
                Some(Heard { of, what: Err(error) }) if Some(of) == self.observation => {
                    tracing::debug!(%error, "the observation has ended");
                    self.forget_observation();
                    return Ok(());
                }
                Some(_) => {}
                None if self.store.waiting()? != self.left => return Ok(()),
                None => {
                    self.tell_new_notes()?;
                    if !self.link.is_still_there() {
                        self.forget_observation();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether this machine is in another network by now. Then the way to the server is found anew.
    fn has_moved(&mut self) -> bool {
        let has_moved = !self.link.remote.is_at_home();
        if has_moved {
            tracing::debug!("this machine has another address");
            self.link.remote.prefer(Transport::Udp, Duration::ZERO);
            self.link.lose();
        }
        has_moved
    }

    /// What the server or the network did to us, and a pause. Only being stopped is an error here.
    fn on_failure(&mut self, error: ClientError) -> Result<(), RemoteError> {
        self.forget_observation();
        if matches!(error, ClientError::Remote(RemoteError::Stopped)) {
            return Err(RemoteError::Stopped);
        }
        tracing::debug!(%error, "the background has to try again");
        self.has_moved();
        self.is_broken |= error.is_broken();
        let error = match error {
            ClientError::Store(damage) if damage.is_damage() => {
                match self.open_anew(Some(damage)) {
                    Ok(()) => return Ok(()),
                    Err(error) => error.into(),
                }
            }
            other => other,
        };
        let is_offline = error.is_offline();
        let is_revoked = matches!(error, ClientError::Revoked { .. });
        if self.is_online != Some(false) {
            // One word for it: a server that says no does answer.
            match is_offline {
                true => self.say_online(false),
                false => self.tell(LiveEvent::Trouble(error)),
            }
            self.is_online = Some(false);
        }
        let until = Instant::now() + if is_revoked { REVOKED_PAUSE } else { self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        while Instant::now() < until {
            match self.link.remote.wait(until) {
                // Somebody has written something: that is worth a try at once.
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(RemoteError::Stopped) => return Err(RemoteError::Stopped),
                Err(error) => {
                    tracing::debug!(%error, "the network of this machine fails");
                    thread::sleep(FIRST_PAUSE);
                }
            }
        }
        // Notes of other processes here do not wait for the server.
        if let Err(error) = self.tell_new_notes() {
            tracing::debug!(%error, "the replica cannot be read");
        }
        Ok(())
    }

    fn register(&mut self, now: Instant) -> Result<(), ClientError> {
        self.forget_observation();
        self.observation = Some(self.link.remote.observe(ask_head())?);
        self.generation = self.link.generation;
        let rtt = self.link.remote.rtt().map_or(Duration::ZERO, |rtt| 4 * rtt.srtt);
        self.answer_by = Some(now + ANSWER_WITHIN.max(rtt));
        let is_here = self.link.remote.address().is_some_and(|address| address.ip().is_loopback());
        self.register_at = now + if is_here { REGISTER_HERE_EVERY } else { REGISTER_EVERY };
        Ok(())
    }

    fn forget_observation(&mut self) {
        self.answer_by = None;
        if let Some(id) = self.observation.take()
            && self.generation == self.link.generation
        {
            self.link.remote.forget(id);
        }
    }

    fn rights(&self) -> Rights {
        self.link.membership().map_or(Rights::ALL, |membership| membership.rights)
    }

    fn say_online(&mut self, is_online: bool) {
        if self.is_online != Some(is_online) {
            self.is_online = Some(is_online);
            self.tell(if is_online { LiveEvent::Online } else { LiveEvent::Offline });
        }
    }

    /// Says which of the notes added here have a receipt by now, whichever process delivered them.
    fn tell_delivered(&mut self) -> Result<(), StoreError> {
        let asked = lock(&self.mine).undelivered.clone();
        let mut receipts = Vec::new();
        for ((chain, seq), (note, hash)) in asked {
            // A note that was edited or deleted since has no receipt of this change to show.
            let receipt = match self.reader.note(JournalId::FIRST, note)? {
                Some(note) if note.waiting => continue,
                Some(note) => note.receipt,
                None => None,
            };
            lock(&self.mine).undelivered.remove(&(chain, seq));
            if let Some((position, written)) = receipt
                && written == hash
            {
                receipts.push(Receipt { chain, seq, position, hash });
            }
        }
        if !receipts.is_empty() {
            self.tell(LiveEvent::Delivered(receipts));
        }
        Ok(())
    }

    /// Says what the replica has that was not told yet, whichever process brought it.
    fn tell_new_notes(&mut self) -> Result<(), StoreError> {
        loop {
            let page = match self.reader.feed(JournalId::FIRST, self.seen, BULK_BYTES)? {
                Ok(page) => page,
                // The replica was put back to an earlier state: what it has now was told.
                Err(mismatch) => {
                    self.seen = mismatch.head;
                    return Ok(());
                }
            };
            if page.entries.is_empty() {
                return Ok(());
            }
            let mut told = BTreeSet::new();
            let (mut notes, mut gone) = (Vec::new(), Vec::new());
            for (_, entry) in &page.entries {
                let change = entry.change();
                let is_mine = lock(&self.mine).unmet.remove(&(change.chain, change.seq));
                if !is_mine && told.insert(change.note) {
                    match self.reader.note(JournalId::FIRST, change.note)? {
                        Some(note) => notes.push(note),
                        None => gone.push(change.note),
                    }
                }
            }
            self.seen = page.next;
            if !notes.is_empty() {
                self.tell(LiveEvent::NewNotes(notes));
            }
            if !gone.is_empty() {
                self.tell(LiveEvent::Gone(gone));
            }
        }
    }

    fn tell(&self, event: LiveEvent) {
        // Nobody listens any more: then the client is about to stop us.
        let _ = self.events.send(event);
    }
}
