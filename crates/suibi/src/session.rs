//! The journal as a command sees it: this device's replica, and the server behind it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use suibi_client::{
    Added, Client, ClientConfig, ClientError, LiveEvent, Membership, Place, Rebuilt, ReceiptCheck,
    Scope, Status, Verification,
};
use suibi_coap::{Request, Response};
use suibi_journal::{
    ChainId, Day, Extras, Folded, Hash, Note, NoteId, NoteName, NoteTime, Query, Rights,
};
use suibi_store::{JournalId, Reader, StoreError};

use crate::clock;
use crate::errors::{self, told};
use crate::failure::{Exit, Failure};
use crate::happened::Witness;
use crate::numbers::{Listed, Numbers};
use crate::say::session as say;
use crate::settings::Settings;
use crate::story::Story;
use crate::ui::Ui;

/// A listing waits so long for news from the server, and then shows what this device has.
const REFRESH_WITHIN: Duration = Duration::from_millis(700);

/// About so many of all notes have the days that are read at once.
const PIECE: u64 = 4_096;

/// So long a sync goes on without anything having moved. A silent server ends it much sooner; this is for one that
/// is heard, over a path that loses so much that a long note takes its time.
const SYNC_PATIENCE: Duration = Duration::from_secs(60);

/// An open journal.
pub(crate) struct Session {
    client: Client,
    reader: Box<dyn Reader>,
    /// Whether a background delivers what is written.
    is_live: bool,
    /// Of the last listing of this process.
    numbers: Option<Numbers>,
}

/// A note that was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) note: Note,
    /// The change that made it: which chain, and where in it.
    pub(crate) place: (ChainId, u64),
    /// Its time was said with it, so the confirmation says what was understood.
    pub(crate) is_dated: bool,
    /// Changes of this device that the server has not confirmed yet.
    pub(crate) waiting: u64,
    /// Why it waits, when that is more than a server out of reach.
    pub(crate) trouble: Option<String>,
}

/// A note that was there, and was written to.
#[derive(Debug)]
pub(crate) struct Wrote {
    /// As it is now.
    pub(crate) story: Story,
    /// Changes of this device that the server has not confirmed yet; 0 where it is on its way in the background.
    pub(crate) waiting: u64,
    /// Why it waits, when that is more than a server out of reach.
    pub(crate) trouble: Option<String>,
}

/// Opens this device's replica. Nobody on the network is asked.
///
/// # Errors
///
/// Settings that make no sense, files that cannot be used.
pub(crate) fn open(settings: &Settings) -> Result<Session, Failure> {
    let config = config(settings)?;
    let client = Client::open(config).map_err(|error| failure(&error))?;
    let reader = client.reader().map_err(|error| failure(&error))?;
    Ok(Session { client, reader, is_live: false, numbers: None })
}

/// A listener that was named goes before a server that was joined, and that before the embedded one.
fn config(settings: &Settings) -> Result<ClientConfig, Failure> {
    let data_dir = settings.journal_dir()?;
    let place = match settings.server()? {
        Some(server) => Place::Server { address: server.authority() },
        None => Place::of(&data_dir).map_err(|error| failure(&error.into()))?,
    };
    Ok(ClientConfig { data_dir, place, device: settings.device()? })
}

impl Session {
    /// The last thing that a command does with it.
    pub(crate) fn leave(self) {
        std::mem::forget(self.reader);
        self.client.leave();
    }

    /// Where this device keeps things.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.client.config().data_dir
    }

    /// The note that this number of the last listing means.
    pub(crate) fn numbered(&self, number: u64) -> Result<Option<NoteId>, Failure> {
        Ok(self.listed(number)?.map(|listed| listed.note))
    }

    /// What this number of the last listing means.
    pub(crate) fn listed(&self, number: u64) -> Result<Option<Listed>, Failure> {
        let numbers = match &self.numbers {
            Some(numbers) => numbers.clone(),
            None => Numbers::load(self.data_dir(), clock::now()?.millis()),
        };
        Ok(numbers.get(number).cloned())
    }

    /// What was listed in this process: its numbers count from now on, and no other process's.
    pub(crate) fn set_numbers(&mut self, numbers: Numbers) {
        self.numbers = Some(numbers);
    }

    /// Whether this machine is its own server.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.client.config().place, Place::Embedded { .. })
    }

    /// Whether everything that leaves this process is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        !matches!(self.client.config().place, Place::Server { .. })
    }

    /// The server that was joined.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.client.membership()
    }

    /// What this device may do.
    pub(crate) fn rights(&self) -> Rights {
        self.client.rights()
    }

    /// What others call this device.
    pub(crate) fn device(&self) -> &str {
        match self.client.membership() {
            Some(membership) => &membership.device,
            None => &self.client.config().device,
        }
    }

    /// Keeps a note here, then delivers it, within one second.
    pub(crate) fn add(&mut self, text: &str, time: NoteTime) -> Result<Written, Failure> {
        let added =
            self.client.add(text, Some(time), Extras::new()).map_err(|error| failure(&error))?;
        Ok(self.written(text, added))
    }

    fn written(&self, text: &str, added: Added) -> Written {
        let (own_chain, seq, hash) = added.change;
        let trouble = trouble(&added);
        let note = Note {
            id: added.note,
            time: added.time,
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: vec![hash],
            device: self.device().to_owned(),
            source: None,
            receipt: added.receipt.map(|receipt| (receipt.position, receipt.hash)),
            waiting: added.receipt.is_none(),
        };
        let place = (own_chain, seq);
        Written { note, place, is_dated: false, waiting: added.waiting, trouble }
    }

    /// The notes that a name may mean, deleted and erased ones as well.
    pub(crate) fn find(&mut self, name: &NoteName) -> Result<Vec<NoteId>, Failure> {
        self.reader.find(JournalId::FIRST, name).map_err(|error| store_failure(&error))
    }

    /// One note with all its revisions; none where there is no such note here.
    pub(crate) fn story(&mut self, id: NoteId) -> Result<Option<Story>, Failure> {
        let history = self.reader.history(JournalId::FIRST, id);
        Ok(Story::of(id, history.map_err(|error| store_failure(&error))?))
    }

    /// Gives a note another text. `None`: it is another one than `story` tells by now, and nothing was written.
    pub(crate) fn edit(&mut self, story: &Story, text: &str) -> Result<Option<Wrote>, Failure> {
        let written = self.client.edit(story.id, &story.seen(), text);
        self.wrote(written)
    }

    /// Deletes a note; as with [`Session::edit`].
    pub(crate) fn remove(&mut self, story: &Story) -> Result<Option<Wrote>, Failure> {
        let written = self.client.remove(story.id, &story.seen());
        self.wrote(written)
    }

    /// Marks a note with a star, or takes it away; as with [`Session::edit`].
    pub(crate) fn star(
        &mut self,
        story: &Story,
        is_starred: bool,
    ) -> Result<Option<Wrote>, Failure> {
        let written = self.client.star(story.id, &story.seen(), story.text(), is_starred);
        self.wrote(written)
    }

    /// Makes a note what it was before; as with [`Session::edit`].
    pub(crate) fn put_back(
        &mut self,
        story: &Story,
        before: Folded,
    ) -> Result<Option<Wrote>, Failure> {
        let seen = if story.is_deleted() { Vec::new() } else { story.seen() };
        let written = self.client.put_back(story.id, &seen, before);
        self.wrote(written)
    }

    /// The newest change that was written on this device, and its note.
    pub(crate) fn last_own(&mut self) -> Result<Option<(NoteId, Hash)>, Failure> {
        self.client.last_own().map_err(|error| failure(&error))
    }

    /// Gives a deleted note its last text back; as with [`Session::edit`].
    pub(crate) fn restore(&mut self, story: &Story) -> Result<Option<Wrote>, Failure> {
        let written = self.client.restore(story.id);
        self.wrote(written)
    }

    fn wrote(&mut self, added: Result<Added, ClientError>) -> Result<Option<Wrote>, Failure> {
        let added = match added {
            Err(ClientError::Changed(_) | ClientError::NotDeleted(_)) => return Ok(None),
            added => added.map_err(|error| failure(&error))?,
        };
        let trouble = trouble(&added);
        let story = self.story(added.note)?.expect("a note that was written is there");
        // The background has it already; it says what becomes of it.
        let waiting = if self.is_live { 0 } else { added.waiting };
        Ok(Some(Wrote { story, waiting, trouble }))
    }

    /// Erases a note for good, on the server and here. Why it is not erased here yet, if so.
    pub(crate) fn purge(
        &mut self,
        story: &Story,
        within: Duration,
    ) -> Result<Option<String>, ClientError> {
        let purged = self.client.purge(story.id, within)?;
        Ok(purged.trouble.map(|error| chain(&error)))
    }

    /// Refuses what only an administrator may, before anybody is asked whether it is meant.
    pub(crate) fn check_admin(&self) -> Result<(), Failure> {
        self.client.check_admin().map_err(|error| failure(&error))
    }

    /// Checks that nothing is missing or altered. `progress` hears how many changes of how many are done.
    pub(crate) fn verify(
        &mut self,
        scope: Scope,
        within: Duration,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verification, Failure> {
        self.client.verify(scope, within, progress).map_err(|error| failure(&error))
    }

    /// Checks one receipt.
    pub(crate) fn verify_receipt(
        &mut self,
        receipt: &str,
        within: Duration,
    ) -> Result<ReceiptCheck, Failure> {
        self.client.verify_receipt(receipt, within).map_err(|error| failure(&error))
    }

    /// Fetches what is new before a listing, for a moment only; what this device has is shown in any case.
    pub(crate) fn refresh(&mut self, ui: &Ui) {
        if !self.rights().read {
            ui.say(say::ADrop);
        }
        let outcome = self.client.sync(REFRESH_WITHIN, |_| {});
        let waiting = match self.client.waiting() {
            Ok(0) | Err(_) => None,
            Ok(notes) => Some(say::NotesWait { notes }),
        };
        let Err(error) = outcome else {
            if let Some(waiting) = waiting {
                ui.say(waiting);
            }
            return;
        };
        tracing::info!("no news from the server: {}", chain(&error));
        let and = |what: String| match &waiting {
            Some(waiting) => crate::say::common::And { what, more: waiting }.to_string(),
            None => what,
        };
        if !is_worth_a_word(&error) {
            ui.say(and(say::NoAnswer.to_string()));
        } else {
            ui.complain(and(say::NoNews { why: chain(&error) }.to_string()));
        }
    }

    /// Delivers and fetches everything, for as long as something moves. `progress` hears of each step.
    ///
    /// # Errors
    ///
    /// No server in reach, files that cannot be used.
    pub(crate) fn sync(&mut self, mut progress: impl FnMut(&Moved)) -> Result<Moved, Failure> {
        let mut all = Moved::default();
        loop {
            let before = all.clone();
            let begun = Instant::now();
            let outcome = self.client.sync(SYNC_PATIENCE, |report| {
                let receipts = u64::try_from(report.receipts.len()).unwrap_or(u64::MAX);
                all.delivered = before.delivered + receipts;
                all.fetched = before.fetched + report.pulled;
                all.remaining = report.remaining;
                progress(&all);
            });
            match outcome {
                Ok(synced) => {
                    all.rescued += synced.rescued;
                    all.recovered += synced.recovered;
                    all.rebuilt = synced.rebuilt.or(all.rebuilt);
                    all.waiting = synced.waiting;
                    all.left_behind = synced.left_behind.map(|error| chain(&*error));
                    all.refused = u64::try_from(synced.refused.len()).unwrap_or(u64::MAX);
                    return Ok(all);
                }
                // It moved, and its time was up: so go on.
                Err(error) if error.is_offline() && all.is_beyond(&before) => {
                    tracing::debug!(took = ?begun.elapsed(), "{}, going on", chain(&error));
                }
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// How things stand here, and within `within` on the server.
    pub(crate) fn status(&mut self, within: Duration) -> Result<Status, Failure> {
        self.client.status(within).map_err(|error| failure(&error))
    }

    /// Asks the server anything.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        within: Duration,
    ) -> Result<Response, ClientError> {
        self.client.ask(request, within)
    }

    /// How many changes the index of searches does not have yet.
    pub(crate) fn unindexed(&mut self) -> Result<u64, Failure> {
        self.reader.catch_up(0).map_err(|error| store_failure(&error))
    }

    /// The names of the devices whose changes are here.
    pub(crate) fn devices(&mut self) -> Result<Vec<String>, Failure> {
        let heads = self.reader.heads(JournalId::FIRST).map_err(|error| store_failure(&error))?;
        let names: BTreeSet<String> = heads.into_iter().map(|head| head.device).collect();
        Ok(names.into_iter().collect())
    }

    pub(crate) fn notes(&mut self, query: &Query) -> Result<Vec<Note>, Failure> {
        self.reader.notes(JournalId::FIRST, query).map_err(|error| store_failure(&error))
    }

    /// Another search text with which the query finds something.
    pub(crate) fn suggest(&mut self, query: &Query) -> Result<Option<String>, Failure> {
        self.reader.suggest(JournalId::FIRST, query).map_err(|error| store_failure(&error))
    }

    /// Gives `take` each note that fits, oldest first, with the memory for a few thousand: some days at a time.
    pub(crate) fn each(
        &mut self,
        query: &Query,
        mut take: impl FnMut(Note),
    ) -> Result<(), Failure> {
        let mut days = self.days()?.into_iter().peekable();
        while let Some((first, count)) = days.next() {
            let (mut last, mut notes) = (first, count);
            while let Some((day, more)) = days.next_if(|(_, more)| notes + more <= PIECE) {
                (last, notes) = (day, notes + more);
            }
            let since = query.since.map_or(first, |since| since.max(first));
            let until = query.until.map_or(last, |until| until.min(last));
            if since <= until {
                let piece = Query { since: Some(since), until: Some(until), ..query.clone() };
                self.notes(&piece)?.into_iter().for_each(&mut take);
            }
        }
        Ok(())
    }

    /// The days that have notes, and how many, oldest first.
    pub(crate) fn days(&mut self) -> Result<Vec<(Day, u64)>, Failure> {
        self.reader.days(JournalId::FIRST).map_err(|error| store_failure(&error))
    }

    pub(crate) fn tags(&mut self) -> Result<Vec<(String, u64)>, Failure> {
        self.reader.tags(JournalId::FIRST).map_err(|error| store_failure(&error))
    }

    pub(crate) fn waiting(&mut self) -> Result<u64, Failure> {
        self.client.waiting().map_err(|error| failure(&error))
    }

    /// Somebody who tells what happened to notes, for another thread.
    pub(crate) fn witness(&self) -> Result<Witness, Failure> {
        self.client.reader().map(Witness::new).map_err(|error| failure(&error))
    }

    /// From now on notes are delivered, and others' notes fetched, in the background.
    pub(crate) fn live(&mut self) -> Result<Receiver<LiveEvent>, Failure> {
        self.is_live = true;
        self.client.live().map_err(|error| failure(&error))
    }

    pub(crate) fn stop_live(&mut self) {
        self.is_live = false;
        self.client.stop_live();
    }
}

/// Why a change waits, when that is more than a server out of reach.
fn trouble(added: &Added) -> Option<String> {
    match added.refused.first() {
        Some(refused) => Some(say::NotTaken { why: errors::refusal(&refused.refusal) }.to_string()),
        None => added.trouble.as_ref().filter(|error| is_worth_a_word(error)).map(|it| chain(it)),
    }
}

/// What a sync has moved so far, in changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Ours, confirmed by the server.
    pub(crate) delivered: u64,
    /// Those that came from the server.
    pub(crate) fetched: u64,
    /// What the server still has for us.
    pub(crate) remaining: u64,
    /// Ours that wait still.
    pub(crate) waiting: u64,
    /// Ours that the server does not take.
    pub(crate) refused: u64,
    /// Written anew, because a copy of this replica had taken their places.
    pub(crate) rescued: u64,
    /// Given back to a server that had lost them.
    pub(crate) recovered: u64,
    /// What was done about a replica that could not be used.
    pub(crate) rebuilt: Option<Rebuilt>,
    /// Why notes of before this machine joined could not be taken along.
    pub(crate) left_behind: Option<String>,
}

impl Moved {
    fn is_beyond(&self, before: &Self) -> bool {
        self.delivered > before.delivered || self.fetched > before.fetched
    }
}

/// Whether an error says more than that the server is out of reach, which the waiting notes say already.
fn is_worth_a_word(error: &ClientError) -> bool {
    !error.is_offline() || matches!(error, ClientError::Unanswered { .. })
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = told(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let text = told(cause);
        if !line.contains(&text) {
            line = crate::say::common::Because { what: line, why: text }.to_string();
        }
        next = cause.source();
    }
    line
}

/// What a person is told about an error of the client.
pub(crate) fn failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Store(error) => store_failure(error),
        ClientError::Note(error) => Failure::usage(say::NoteCannotBeKept).because(error),
        ClientError::Receipt(_) => Failure::usage(told(error)).hint(say::ReceiptHint),
        ClientError::NotAdmin { .. } => {
            Failure::new(Exit::NotAllowed, told(error)).hint(say::AdminHint)
        }
        ClientError::Changed(_) | ClientError::NotDeleted(_) | ClientError::NothingToRestore(_) => {
            Failure::new(Exit::NothingMatched, say::NothingWritten { what: told(error) })
        }
        ClientError::Device(_) => {
            Failure::usage(say::DeviceName).because(error).hint(say::DeviceNameHint)
        }
        ClientError::Files(_) | ClientError::NotJoined(_) => {
            Failure::new(Exit::Data, say::MembershipUnknown)
                .because(error)
                .hint(say::MembershipHint)
        }
        ClientError::Revoked { .. } => {
            Failure::new(Exit::NotAllowed, told(error)).hint(say::RevokedHint)
        }
        ClientError::ReadOnly { .. } => {
            Failure::new(Exit::NotAllowed, say::NothingWritten { what: told(error) })
                .hint(say::RightsHint)
        }
        ClientError::WriteOnly { .. } => {
            Failure::new(Exit::NotAllowed, told(error)).hint(say::RightsHint)
        }
        ClientError::Unanswered { .. } => {
            Failure::new(Exit::Network, say::Unanswered).because(error).hint(say::UnansweredHint)
        }
        ClientError::Remote(_) | ClientError::Sync(_) | ClientError::Place(_) => {
            Failure::new(Exit::Network, say::OutOfReach).because(error).hint(say::OutOfReachHint)
        }
        _ => Failure::new(Exit::Network, say::NoServerHere).because(error).hint(say::KeptHint),
    }
}

/// What a person is told about files that cannot be used.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let hint = match error {
        StoreError::Full => say::FullHint.to_string(),
        StoreError::ReadOnly(_) => say::ReadOnlyHint.to_string(),
        StoreError::Corrupt(_) | StoreError::Foreign(_) => say::DamagedHint.to_string(),
        StoreError::Newer { .. } => say::NewerHint.to_string(),
        StoreError::Busy => say::BusyHint.to_string(),
        _ => say::FilesHint.to_string(),
    };
    Failure::new(Exit::Data, say::StoreUnusable).because(error).hint(hint)
}
