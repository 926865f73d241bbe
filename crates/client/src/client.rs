//! What programs use: a replica, its outbox, and the server behind them.

mod notes;
mod prove;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use suibi_coap::{Request, Response};
use suibi_journal::admission::MAX_NAME_BYTES;
use suibi_journal::{
    Body, ChainId, Extras, Hash, Head, NoteId, NoteTime, Query, Receipt, Rights, TimeError,
};
use suibi_store::salvage::FeedRead;
use suibi_store::{
    Expect, JournalId, Outcome, OwnChain, Reader, SqliteOptions, SqliteStore, Store as _,
    StoreError, Write,
};

use crate::carry;
use crate::error::{ClientError, SyncError};
use crate::link::Link;
use crate::live::{self, Live, LiveEvent};
use crate::membership::Membership;
use crate::outcome::{Added, DeviceSeen, Rebuilt, Status, Synced};
use crate::place::{self, Place};
use crate::rebuild::{self, Identity, Opened};
use crate::remember::{self, remember};
use crate::remote::{Patience, RemoteError};
use crate::replica;
use crate::sync::{Report, Sync};

/// An add ends within this, delivered or not.
const ADD_WITHIN: Duration = Duration::from_secs(1);

/// Of which so much is left for the replica, before and after.
const ADD_MARGIN: Duration = Duration::from_millis(150);

/// Longer than the timeout towards a server that was never met, so that it is asked at least twice.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

/// So many of the newest repairs are told.
const REPAIRS: usize = 20;

/// So often in a row is a joined server silent before we say what that may mean.
const SILENT_OFTEN: u32 = 3;

/// Whose notes, where they are kept, and where their server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The directory of the replica.
    pub data_dir: PathBuf,
    /// The server.
    pub place: Place,
    /// The name under which others see what is written here; 1 to 64 bytes without control characters.
    pub device: String,
}

/// A replica and the way to its server. Several processes may have the same replica open.
pub struct Client {
    config: ClientConfig,
    path: PathBuf,
    membership: Option<Membership>,
    store: SqliteStore,
    /// Which file that is: another process may have put it aside.
    identity: Identity,
    /// The disk failed the replica, which writes nothing more until it is opened anew: before the next write.
    is_broken: bool,
    /// What was done about a damaged replica.
    rebuilt: Option<Rebuilt>,
    /// The way to the server, made when it is first needed.
    link: Option<Link>,
    live: Option<Live>,
    /// Changes made through this client, which its live view need not tell.
    mine: SharedMine,
}

/// Changes made through one client of this process, for its live view.
#[derive(Debug, Default)]
pub(crate) struct Mine {
    /// Not yet met in the replica: they are not told as new.
    pub(crate) unmet: BTreeSet<(ChainId, u64)>,
    /// Not yet told as delivered.
    pub(crate) undelivered: BTreeMap<(ChainId, u64), (NoteId, Hash)>,
}

/// [`Mine`], shared by the client and its background.
pub(crate) type SharedMine = Arc<Mutex<Mine>>;

/// The lock; whoever panicked holding it left whole entries.
pub(crate) fn lock(mine: &Mutex<Mine>) -> MutexGuard<'_, Mine> {
    mine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Opens the replica, or makes it. Asks nobody on the network.
    ///
    /// # Errors
    ///
    /// When the replica cannot be opened, or the device's name does not fit.
    pub fn open(mut config: ClientConfig) -> Result<Self, ClientError> {
        let device = &config.device;
        if device.is_empty() || device.len() > MAX_NAME_BYTES || device.contains(char::is_control) {
            return Err(ClientError::Device(config.device));
        }
        let (membership, file) = match &config.place {
            Place::Embedded { .. } => (None, place::EMBEDDED_REPLICA.to_owned()),
            Place::Server { address } => (None, place::named_replica(address)),
            Place::Joined { data_dir } => {
                let Some(membership) = Membership::load(data_dir)? else {
                    return Err(ClientError::NotJoined(Membership::path(data_dir)));
                };
                let file = membership.replica.clone();
                // Its chain has the name that the server knows.
                config.device.clone_from(&membership.device);
                (Some(membership), file)
            }
        };
        let path = config.data_dir.join(file);
        let Opened { store, identity, rebuilt } = rebuild::open(&path, &config.device)?;
        let mine = SharedMine::default();
        let (is_broken, link, live) = (false, None, None);
        let mut client = Self {
            config,
            path,
            membership,
            store,
            identity,
            is_broken,
            rebuilt,
            link,
            live,
            mine,
        };
        if !client.rights().read {
            // A drop reads no feed, so there is nothing to wait for. If it fails, the next sync says so.
            if let Err(error) = client.take_back(FeedRead::Never) {
                tracing::warn!(%error, "what was put aside cannot be taken back now");
            }
        }
        Ok(client)
    }

    /// What was done about a replica that was damaged, since this client was opened.
    pub fn rebuilt(&self) -> Option<&Rebuilt> {
        self.rebuilt.as_ref()
    }

    /// Puts the replica aside, because damage was met while reading it ([`StoreError::Corrupt`]), and begins a new one
    /// that the next [`Client::sync`] fills from the server. Readers that were given out before read the old one.
    ///
    /// # Errors
    ///
    /// When it cannot be done, or was done less than an hour ago: then something else is wrong.
    pub fn rebuild(&mut self, damage: StoreError) -> Result<(), ClientError> {
        let (path, device) = (&self.path, &self.config.device);
        let opened = rebuild::rebuild(path, device, self.identity, damage)?;
        self.take_opened(opened);
        if !self.rights().read {
            self.take_back(FeedRead::Never)?;
        }
        Ok(())
    }

    /// Takes back what only the replica that was put aside has.
    fn take_back(&mut self, feed: FeedRead) -> Result<bool, ClientError> {
        let kept = rebuild::take_back(&self.path, &mut self.store, feed)?;
        if let (Some(kept), Some(rebuilt)) = (kept, &mut self.rebuilt) {
            rebuilt.kept += kept;
        }
        Ok(kept.is_some_and(|kept| kept > 0))
    }

    /// Adds a note: durable here first, then delivered, all within one second. With a live view ([`Client::live`]) the
    /// background delivers, and this returns at once. The note's time is now unless `time` says another.
    ///
    /// That the server is out of reach is no error, see [`Added::trouble`]; the note is kept and delivered later.
    ///
    /// # Errors
    ///
    /// When the replica cannot keep the note. Then there is none.
    pub fn add(
        &mut self,
        text: &str,
        time: Option<NoteTime>,
        extras: Extras,
    ) -> Result<Added, ClientError> {
        let deadline = Instant::now() + ADD_WITHIN - ADD_MARGIN;
        let write = Write::Note {
            id: None,
            expect: Expect::Any,
            body: Body::Text(text.to_owned()),
            time,
            extras,
            now: now()?,
        };
        self.write(write, deadline)
    }

    /// Any write to one note, with the same promise as [`Client::add`].
    fn write(&mut self, write: Write, deadline: Instant) -> Result<Added, ClientError> {
        if let Some(reader) = self.membership.as_ref().filter(|member| !member.rights.write) {
            return Err(ClientError::ReadOnly(reader.into()));
        }
        self.mend()?;
        // Nobody may meet the change before it is known to be ours.
        let mine = Arc::clone(&self.mine);
        let mut mine = lock(&mine);
        let mut outcomes = self.store.commit(vec![(JournalId::FIRST, write.clone())]);
        if let Err(error) = outcomes {
            if !error.is_damage() {
                self.is_broken = matches!(error, StoreError::Broken(_));
                return Err(error.into());
            }
            self.rebuild(error)?;
            outcomes = self.store.commit(vec![(JournalId::FIRST, write)]);
        }
        let written = match outcomes?.pop() {
            Some(Outcome::Note(written)) => written?,
            _ => unreachable!("one outcome for each write, of its kind"),
        };
        let Receipt { chain, seq, hash, .. } = written.receipt;
        if self.live.is_some() {
            mine.unmet.insert((chain, seq));
            mine.undelivered.insert((chain, seq), (written.id, hash));
        }
        drop(mine);

        let mut added = Added {
            note: written.id,
            time: written.time,
            change: (chain, seq, hash),
            receipt: None,
            waiting: 0,
            trouble: None,
            refused: Vec::new(),
        };
        if let Some(live) = &self.live {
            live.wake();
        } else {
            let sync = Sync::push(self.rights(), &self.config.device, Some(chain));
            let patience = Patience { deadline, silence: ADD_WITHIN };
            let (report, outcome) = self.run(sync, patience, |_| {});
            added.trouble = outcome.err();
            added.refused = report.refused;
            if report.rescued > 0 {
                // Another copy of this replica had the place; what was written stands elsewhere now.
                match self.rescued(added.note) {
                    Ok(change) => added.change = change.unwrap_or(added.change),
                    Err(error) => added.trouble = added.trouble.or(Some(error)),
                }
            }
            let (chain, seq, _) = added.change;
            let is_ours = |receipt: &&Receipt| (receipt.chain, receipt.seq) == (chain, seq);
            added.receipt = report.receipts.iter().find(is_ours).copied();
        }
        // The note is there: what fails from here on is trouble, and no reason to write it once more.
        if let Err(error) = self.look_after(&mut added) {
            self.is_broken |= error.is_broken();
            added.waiting = added.waiting.max(u64::from(added.receipt.is_none()));
            added.trouble = added.trouble.or(Some(error));
        }
        Ok(added)
    }

    /// What is in the outbox, and whether the change has its receipt by now.
    fn look_after(&mut self, added: &mut Added) -> Result<(), ClientError> {
        added.waiting = self.store.waiting()?;
        if added.receipt.is_none() && self.live.is_none() {
            // Another process of this device may have delivered it.
            let mut reader = self.store.reader()?;
            added.receipt = replica::receipt(&mut *reader, added.note, added.change)?;
            if added.receipt.is_some() {
                added.trouble = None;
                added.waiting = self.store.waiting()?;
            }
        }
        Ok(())
    }

    /// The newest change of a note that this device has written.
    fn rescued(&self, note: NoteId) -> Result<Option<(ChainId, u64, Hash)>, ClientError> {
        let history = self.history(note)?;
        let own = history.iter().filter(|past| past.device == self.config.device);
        let newest = own.max_by_key(|past| past.position).map(|past| &past.entry);
        Ok(newest.map(|entry| (entry.change().chain, entry.change().seq, entry.hash())))
    }

    /// Delivers the outbox and pulls what is new, until both are done or `within` has passed. `progress` is called
    /// after each step.
    ///
    /// # Errors
    ///
    /// When it did not come to its end; what came until then is kept.
    pub fn sync(
        &mut self,
        within: Duration,
        mut progress: impl FnMut(&Report),
    ) -> Result<Synced, ClientError> {
        // What is wrong with the notes of before holds up nobody else's.
        let left_behind = self.carry().err().map(Arc::new);
        let deadline = Instant::now() + within;
        let (mut report, mut outcome) = self.sync_once(deadline, &mut progress);
        match outcome {
            Err(ClientError::Store(damage)) if damage.is_damage() => {
                self.rebuild(damage)?;
                (report, outcome) = self.sync_once(deadline, &mut progress);
            }
            _ => {}
        }
        // Where nobody answers, what only the old replica has is better here than nowhere.
        let may_take_back = outcome.as_ref().err().is_none_or(ClientError::is_offline);
        let feed = rebuild::feed_read(self.rights(), &outcome);
        if may_take_back && self.take_back(feed)? && outcome.is_ok() {
            let (more, pushed) = self.sync_once(deadline, &mut progress);
            report.add(more);
            outcome = pushed;
        }
        self.count_silence(outcome)?;
        // Who may only add asks nothing where there is nothing to give.
        if self.rights().read || !report.receipts.is_empty() {
            remember::keep_contact(&mut self.store, jiff::Timestamp::now().as_millisecond())?;
        }
        let Report { receipts, refused, pulled, rescued, recovered, .. } = report;
        let waiting = self.store.waiting()?;
        let rebuilt = self.rebuilt.clone();
        Ok(Synced { receipts, refused, pulled, waiting, rescued, recovered, rebuilt, left_behind })
    }

    fn sync_once(
        &mut self,
        deadline: Instant,
        progress: &mut impl FnMut(&Report),
    ) -> (Report, Result<(), ClientError>) {
        let own = match self.mend().and_then(|()| self.store.own_chain()) {
            Ok(own) => own,
            Err(error) => return (Report::default(), Err(error.into())),
        };
        let sync = Sync::within(self.rights(), &self.config.device, own).comparing();
        self.run(sync, Patience { deadline, silence: SILENCE }, progress)
    }

    /// Takes along what a prompt that was open when this machine joined has written since.
    fn carry(&mut self) -> Result<(), ClientError> {
        self.mend()?;
        let Some(membership) = &self.membership else { return Ok(()) };
        let carried = carry::carry_on(&self.config.data_dir, membership, &mut self.store);
        self.is_broken = matches!(carried, Err(StoreError::Broken(_)));
        Ok(carried?)
    }

    /// Counts how often a joined server is silent, over all processes, and says what that may mean.
    fn count_silence<T>(&mut self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if self.membership.is_none() || self.is_broken {
            return outcome;
        }
        let before = remember::silent(&mut self.store)?;
        let is_silence = |error: &ClientError| {
            matches!(error, ClientError::Remote(RemoteError::NoAnswer { .. }))
        };
        let tries = match &outcome {
            Err(error) if is_silence(error) => before.saturating_add(1),
            Err(error) if error.is_offline() => before,
            _ => 0,
        };
        if tries != before
            && let Err(error) = remember::keep_silent(&mut self.store, tries)
        {
            tracing::debug!(%error, "not counted");
            self.is_broken = matches!(error, StoreError::Broken(_));
        }
        let may_be_another = self.link.as_ref().and_then(Link::hint).is_some();
        match outcome {
            Err(ClientError::Remote(source @ RemoteError::NoAnswer { .. }))
                if tries >= SILENT_OFTEN || may_be_another =>
            {
                Err(ClientError::Unanswered { tries, may_be_another, source })
            }
            outcome => outcome,
        }
    }

    /// Asks the server anything, and waits for its answer at most `within`.
    ///
    /// # Errors
    ///
    /// When there is no answer; one that says no is an answer. [`ClientError::WriteOnly`] when there is no use in asking.
    pub fn ask(&mut self, request: &Request, within: Duration) -> Result<Response, ClientError> {
        let writer = self.membership.as_ref().filter(|member| !member.rights.read);
        if let Some(writer) = writer.filter(|_| request.method.is_safe()) {
            return Err(ClientError::WriteOnly(writer.into()));
        }
        let patience = Patience { deadline: Instant::now() + within, silence: within };
        self.with_link(|link, _| link.call(request, patience))
    }

    /// How things stand here and, after at most `within`, on the server.
    ///
    /// # Errors
    ///
    /// When the replica cannot be read. That the server is out of reach is no error, see [`Status::head`].
    pub fn status(&mut self, within: Duration) -> Result<Status, ClientError> {
        let rights = self.rights();
        let head = match self.ask(&live::ask_alive(rights), within) {
            Ok(response) if rights.read => live::head(&response),
            Ok(response) if response.code.is_success() => Ok(self.store.cursor()?),
            Ok(response) => Err(SyncError::of(&response).into()),
            Err(error) => Err(error),
        };
        let head = self.count_silence(head);
        if head.is_ok() {
            remember::keep_contact(&mut self.store, jiff::Timestamp::now().as_millisecond())?;
        }
        let devices = self.devices()?;
        let repairs = self.reader()?.audit(REPAIRS)?;
        let last_contact = remember::contact(&mut self.store)?;
        let link = self.link.as_ref();
        Ok(Status {
            replica: self.path.clone(),
            notes: self.reader()?.count(JournalId::FIRST)?,
            waiting: self.store.waiting()?,
            cursor: self.store.cursor()?,
            server: link.and_then(|link| link.remote.address()),
            is_host: link.is_some_and(Link::is_host)
                || self.live.as_ref().is_some_and(Live::is_host),
            transport: link.filter(|_| head.is_ok()).and_then(|link| link.remote.via()),
            head,
            rtt: link.and_then(|link| link.remote.rtt()).map(|rtt| rtt.srtt),
            last_contact,
            devices,
            repairs,
        })
    }

    /// Whose changes are here.
    fn devices(&mut self) -> Result<Vec<DeviceSeen>, ClientError> {
        let mut reader = self.reader()?;
        let mut seen: BTreeMap<String, DeviceSeen> = BTreeMap::new();
        for Head { device, seq, .. } in reader.heads(JournalId::FIRST)? {
            let name = device.clone();
            let new = DeviceSeen { name, chains: 0, changes: 0, last: None };
            let device = seen.entry(device).or_insert(new);
            device.chains += 1;
            device.changes += seq;
        }
        for device in seen.values_mut() {
            let from = Some(device.name.clone());
            let newest = Query { from, limit: Some(1), ..Query::default() };
            let notes = reader.notes(JournalId::FIRST, &newest)?;
            device.last = notes.first().map(|note| note.time);
        }
        Ok(seen.into_values().collect())
    }

    /// A reader of the replica, for listing and searching.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened a second time.
    pub fn reader(&self) -> Result<Box<dyn Reader>, ClientError> {
        Ok(self.store.reader()?)
    }

    /// How many changes are in the outbox.
    ///
    /// # Errors
    ///
    /// When the replica cannot be read.
    pub fn waiting(&mut self) -> Result<u64, ClientError> {
        Ok(self.store.waiting()?)
    }

    /// What may be done: everything, unless this machine has joined a server that says otherwise.
    pub fn rights(&self) -> Rights {
        self.membership.as_ref().map_or(Rights::ALL, |membership| membership.rights)
    }

    /// The membership of a joined place.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Where it keeps what, and where its server is.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Begins the live view: a thread delivers the outbox, observes the server's feed, pulls what is new, and tells so.
    ///
    /// From then on [`Client::add`] does not wait for the network. It ends with the client, or with
    /// [`Client::stop_live`]; the receiver then hangs up. A second call ends the first view.
    ///
    /// # Errors
    ///
    /// When the replica cannot be opened a second time, or there is no thread.
    pub fn live(&mut self) -> Result<Receiver<LiveEvent>, ClientError> {
        self.stop_live();
        *lock(&self.mine) = Mine::default();
        let Opened { store, identity, .. } = rebuild::open(&self.path, &self.config.device)?;
        let link = match self.link.take() {
            Some(link) => link,
            None => new_link(&self.config, self.membership.clone(), &mut self.store)?,
        };
        let (live, events) = Live::start(
            &self.config.device,
            &self.path,
            (store, identity),
            link,
            Arc::clone(&self.mine),
        )?;
        self.live = Some(live);
        Ok(events)
    }

    /// Ends the live view. What is in the outbox stays there for the next command.
    pub fn stop_live(&mut self) {
        if let Some(live) = self.live.take() {
            self.link = live.stop();
        }
    }

    /// For a process that ends now: what would only give memory and files back is left to the system. A server or a live
    /// view in this process is ended as when the client is dropped.
    pub fn leave(self) {
        if self.live.is_some() || self.link.as_ref().is_some_and(Link::is_host) {
            drop(self);
        } else {
            std::mem::forget(self);
        }
    }

    fn run(
        &mut self,
        sync: Sync,
        patience: Patience,
        progress: impl FnMut(&Report),
    ) -> (Report, Result<(), ClientError>) {
        let mut report = Report::default();
        let outcome = self.with_link(|link, store| {
            let (done, outcome) =
                replica::run(sync, store, &mut link.asking(|| patience), progress);
            report = done;
            outcome?;
            remember(store, link)
        });
        (report, outcome)
    }

    fn with_link<T>(
        &mut self,
        work: impl FnOnce(&mut Link, &mut SqliteStore) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.mend()?;
        let link = match &mut self.link {
            Some(link) => link,
            None => {
                self.link.insert(new_link(&self.config, self.membership.clone(), &mut self.store)?)
            }
        };
        let result = work(link, &mut self.store);
        self.is_broken = result.as_ref().is_err_and(ClientError::is_broken);
        result
    }

    /// Opens the replica anew after the disk failed it, or when another process has put it aside.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.is_broken || Identity::of(&self.path) != self.identity {
            let opened = rebuild::open(&self.path, &self.config.device)?;
            self.take_opened(opened);
            self.is_broken = false;
        }
        Ok(())
    }

    fn take_opened(&mut self, opened: Opened) {
        self.store = opened.store;
        self.identity = opened.identity;
        self.rebuilt = opened.rebuilt.or(self.rebuilt.take());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop_live();
    }
}

pub(crate) fn open_replica(
    path: &std::path::Path,
    device: &str,
) -> Result<SqliteStore, StoreError> {
    let options = SqliteOptions { own_chain: OwnChain::Kept, device: device.to_owned() };
    SqliteStore::open(path, options)
}

fn new_link(
    config: &ClientConfig,
    membership: Option<Membership>,
    store: &mut SqliteStore,
) -> Result<Link, ClientError> {
    let epoch = match &membership {
        Some(Membership { id, .. }) => remember::epoch(store, *id)?,
        None => None,
    };
    let mut link = Link::new(config.place.clone(), config.device.clone(), membership, epoch)?;
    if let Some((address, estimate)) = remember::round_trip(store)? {
        link.remote.set_rtt(address, estimate);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    if let Some((transport, ago)) = remember::transport(store, now)? {
        link.remote.prefer(transport, ago);
    }
    Ok(link)
}

/// The time now, at this machine's offset.
fn now() -> Result<NoteTime, TimeError> {
    NoteTime::of(&suibi_net::clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_to_the_embedded_server_of_another_process_takes_one_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let data_dir = dir.path().to_owned();
            let place = Place::Embedded { data_dir: data_dir.clone() };
            Client::open(ClientConfig { data_dir, place, device: "phone".into() }).unwrap()
        };
        let mut host = open();
        host.add("the host's", None, Extras::new()).unwrap();
        // More than it should be only when the disk is slow.
        let datagrams = (0..20).map(|_| {
            let mut cold = open();
            assert!(cold.add("cold", None, Extras::new()).unwrap().receipt.is_some());
            let stats = cold.link.as_ref().unwrap().remote.stats();
            stats.sent + stats.received
        });
        assert_eq!(datagrams.min(), Some(2));
    }

    #[test]
    fn a_replica_that_is_opened_anew_goes_on_with_its_chain() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_owned();
        let place = Place::Embedded { data_dir: data_dir.clone() };
        let config = ClientConfig { data_dir, place, device: "phone".into() };
        let mut client = Client::open(config).unwrap();
        let (chain, ..) = client.add("before", None, Extras::new()).unwrap().change;
        client.is_broken = true;
        let after = client.add("after", None, Extras::new()).unwrap();
        assert_eq!((after.change.0, after.change.1), (chain, 2));
        assert!(!client.is_broken);
        client.is_broken = true;
        assert_eq!(client.sync(Duration::from_secs(20), |_| {}).unwrap().waiting, 0);
        assert!(!client.is_broken);
    }
}
