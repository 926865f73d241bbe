//! Writing to a note that is there: edit, remove, restore, and real erasure.

use std::time::{Duration, Instant};

use suibi_coap::{Code, Request};
use suibi_journal::{
    Body, Extra, Extras, Folded, Hash, NoteId, NoteName, NoteTime, Revision, extra, fold,
};
use suibi_store::{Expect, JournalId, NoteRefused, Write, etag};

use super::{ADD_MARGIN, ADD_WITHIN, Client, now};
use crate::error::{ClientError, SyncError};
use crate::membership::Membership;
use crate::outcome::{Purged, Written};

impl Client {
    /// The notes that a person means by a name, deleted ones among them: with several, more has to be said.
    ///
    /// # Errors
    ///
    /// When the replica cannot be read.
    pub fn find(&self, name: &NoteName) -> Result<Vec<NoteId>, ClientError> {
        Ok(self.reader()?.find(JournalId::FIRST, name)?)
    }

    /// All changes of a note, oldest first; also of one that is deleted or purged. None: there is no such note.
    ///
    /// # Errors
    ///
    /// When the replica cannot be read.
    pub fn history(&self, note: NoteId) -> Result<Vec<suibi_store::Revision>, ClientError> {
        Ok(self.reader()?.history(JournalId::FIRST, note)?)
    }

    /// Gives a note another text, with the same promise as [`Client::add`]. `seen`: the heads of the note as it was
    /// shown ([`Note::heads`](suibi_journal::Note::heads)), all of which the new text replaces; so an edit of a conflict
    /// resolves it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Changed`] when the note is another one by now, so that nothing is overwritten that nobody saw;
    /// otherwise when the replica cannot keep it. Then nothing was written.
    pub fn edit(
        &mut self,
        note: NoteId,
        seen: &[Hash],
        text: &str,
    ) -> Result<Written, ClientError> {
        self.rewrite(note, seen, Body::Text(text.to_owned()), Extras::new())
    }

    /// Deletes a note, as [`Client::edit`] gives it another text. Its texts stay in its history; see
    /// [`Client::restore`].
    ///
    /// # Errors
    ///
    /// Those of [`Client::edit`].
    pub fn remove(&mut self, note: NoteId, seen: &[Hash]) -> Result<Written, ClientError> {
        self.rewrite(note, seen, Body::Deleted, Extras::new())
    }

    /// Marks a note with a star, or takes the star away, as [`Client::edit`] gives it another text; `text` is the one
    /// that it has.
    ///
    /// # Errors
    ///
    /// Those of [`Client::edit`].
    pub fn star(
        &mut self,
        note: NoteId,
        seen: &[Hash],
        text: &str,
        is_starred: bool,
    ) -> Result<Written, ClientError> {
        let star = Extras::from([(extra::STAR.to_owned(), Extra::Bool(is_starred))]);
        self.rewrite(note, seen, Body::Text(text.to_owned()), star)
    }

    /// The newest change that was written on this device, and its note. None before the first one, and none right
    /// after a fork, whose changes went to a chain of their own.
    ///
    /// # Errors
    ///
    /// When the replica cannot be read.
    pub fn last_own(&mut self) -> Result<Option<(NoteId, Hash)>, ClientError> {
        Ok(self.store.newest_own()?)
    }

    /// Makes a note what it was before a change, with the same promise as [`Client::add`]. `seen`: its heads as in
    /// [`Client::edit`], none where it is deleted. What has come to its extras since stays unless `before` says otherwise.
    ///
    /// # Errors
    ///
    /// Those of [`Client::edit`].
    pub fn put_back(
        &mut self,
        note: NoteId,
        seen: &[Hash],
        before: Folded,
    ) -> Result<Written, ClientError> {
        let mut extras = before.extras;
        // When it was written is said anew.
        extras.insert(extra::WRITTEN.to_owned(), Extra::Text(now()?.to_string()));
        self.replace(note, seen, before.body, Some(before.time), extras)
    }

    /// Brings a deleted note back, with the text and the time that it had last, as an edit like any other.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotDeleted`], [`ClientError::NothingToRestore`], and when the replica cannot keep it.
    pub fn restore(&mut self, note: NoteId) -> Result<Written, ClientError> {
        let deadline = Instant::now() + ADD_WITHIN - ADD_MARGIN;
        if self.reader()?.note(JournalId::FIRST, note)?.is_some() {
            return Err(ClientError::NotDeleted(note));
        }
        let history = self.history(note)?;
        let mut revisions: Vec<_> =
            history.iter().map(|past| Revision::from(&past.entry)).collect();
        if revisions.is_empty() {
            return Err(NoteRefused::NotFound.into());
        }
        // What the note was before the deletions that made it what it is, however many there were.
        let before = loop {
            let Some(folded) = fold(revisions.iter().cloned()) else {
                return Err(ClientError::NothingToRestore(note));
            };
            if let Body::Text(text) = folded.body {
                break (text, folded.time, folded.extras);
            }
            let heads: Vec<Hash> = folded.heads.iter().map(|head| head.hash).collect();
            revisions.retain(|revision| !heads.contains(&revision.hash));
        };
        let (text, time, extras) = before;
        let write = Write::Note {
            id: Some(note),
            expect: Expect::Absent,
            body: Body::Text(text),
            time: Some(time),
            extras,
            now: now()?,
        };
        match self.write(write, deadline) {
            Err(ClientError::Note(NoteRefused::Exists(_))) => Err(ClientError::NotDeleted(note)),
            written => written,
        }
    }

    fn rewrite(
        &mut self,
        note: NoteId,
        seen: &[Hash],
        body: Body,
        extras: Extras,
    ) -> Result<Written, ClientError> {
        self.replace(note, seen, body, None, extras)
    }

    fn replace(
        &mut self,
        note: NoteId,
        seen: &[Hash],
        body: Body,
        time: Option<NoteTime>,
        extras: Extras,
    ) -> Result<Written, ClientError> {
        let deadline = Instant::now() + ADD_WITHIN - ADD_MARGIN;
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        let write = Write::Note {
            id: Some(note),
            expect: match seen.is_empty() {
                true => Expect::Absent,
                false => Expect::Heads(vec![etag(&seen)]),
            },
            body,
            time,
            extras,
            now: now()?,
        };
        match self.write(write, deadline) {
            Err(ClientError::Note(NoteRefused::PreconditionFailed | NoteRefused::Exists(_))) => {
                Err(ClientError::Changed(note))
            }
            written => written,
        }
    }

    /// Refuses what only an administrator may.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotAdmin`] when this machine has joined a server without the right to administer it.
    pub fn check_admin(&self) -> Result<(), ClientError> {
        self.membership.as_ref().map_or(Ok(()), Membership::check_admin)
    }

    /// Erases a note for good: its texts on the server at once, on this device before this returns if all goes well, on
    /// the others at their next contact. Hashes stay, so that chains still verify. Only an administrator's device may.
    ///
    /// What waits for the server goes there first, lest a text of the note that is only here is forgotten.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotAdmin`], no answer, or the server's refusal; then nothing is erased.
    pub fn purge(&mut self, note: NoteId, within: Duration) -> Result<Purged, ClientError> {
        self.check_admin()?;
        let deadline = Instant::now() + within;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.sync(left(), |_| {})?;
        let request =
            Request::new(Code::DELETE).path(&format!("/notes/{note}")).query("purge", "yes");
        let response = self.ask(&request, left())?;
        if !response.code.is_success() {
            return Err(match response.code {
                Code::NOT_FOUND => NoteRefused::NotFound.into(),
                _ => SyncError::of(&response).into(),
            });
        }
        let trouble = self.sync(left(), |_| {}).err();
        Ok(Purged { trouble })
    }
}
