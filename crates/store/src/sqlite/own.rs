//! Notes written here, on the store's own chain.

use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extra, Extras, Hash, MAX_PARENTS, NoteId, NoteTime,
    extra,
};

use super::OwnChain;
use super::batch::{Batch, receipt};
use super::notes::{self, DELETED, PURGED};
use crate::{Expect, JournalId, NoteRefused, NoteWritten, StoreError, etag};

/// The key of the own chain in `meta`.
pub(super) const OWN_CHAIN: &str = "own-chain";

/// [`Write::Note`](crate::Write::Note).
pub(crate) struct OwnNote {
    pub(crate) id: Option<NoteId>,
    pub(crate) expect: Expect,
    pub(crate) body: Body,
    pub(crate) time: Option<NoteTime>,
    pub(crate) extras: Extras,
    pub(crate) now: NoteTime,
}

/// The note as it is before a write.
struct Before {
    heads: Vec<Hash>,
    time: NoteTime,
    extras: Extras,
    deleted: bool,
    purged: bool,
}

impl Batch<'_> {
    /// Writes a note on the own chain, if it is as expected.
    pub(crate) fn write_note(
        &mut self,
        note: OwnNote,
    ) -> Result<Result<NoteWritten, NoteRefused>, StoreError> {
        let before = match note.id {
            Some(id) => self.before(id)?,
            None => None,
        };
        if let Err(refused) = check(&note, before.as_ref()) {
            return Ok(Err(refused));
        }
        if let (Body::Purged, Some(id)) = (&note.body, note.id) {
            return self.purge(id, note.now, None);
        }
        let OwnNote { id, body, time, extras: given, now, .. } = note;
        let random: [u8; 26] = self.chance.draw()?;
        let (for_salt, for_id) = random.split_at(16);
        let salt = for_salt.try_into().expect("16 of 26");
        let id =
            id.unwrap_or_else(|| NoteId::new(now.millis(), for_id.try_into().expect("10 of 26")));
        let created = before.as_ref().is_none_or(|before| before.deleted);
        let (mut parents, kept_time, mut extras) = match before {
            Some(before) if !before.deleted => (before.heads, Some(before.time), before.extras),
            Some(before) => (before.heads, None, Extras::new()),
            None => (Vec::new(), None, Extras::new()),
        };
        parents.truncate(MAX_PARENTS);
        let time = time.or(kept_time).unwrap_or(now);
        if !created && time != now {
            extras.insert(extra::WRITTEN.to_owned(), Extra::Text(now.to_string()));
        }
        extras.extend(given);
        let content = Content { salt, body, extras };
        if content.check_limits().is_err() {
            return Ok(Err(NoteRefused::TooLarge));
        }
        let chain = self.own_chain()?;
        let (seq, previous) = match self.chain(chain)? {
            Some(chain) => (chain.seq + 1, chain.hash),
            None => (1, None),
        };
        let change = Change { chain, seq, previous, note: id, parents, time, content: Hash::ZERO };
        let entry = Entry::new(change, content);
        let options = self.options;
        let position = self.append(&options.device, &entry)?;
        if options.own_chain == OwnChain::Kept {
            self.enqueue(&entry, position)?;
        }
        let receipt = receipt(&entry, position);
        Ok(Ok(NoteWritten { id, receipt, created, time, heads: vec![entry.hash()] }))
    }

    fn before(&mut self, id: NoteId) -> Result<Option<Before>, StoreError> {
        let tables = self.tables()?;
        let Some(row) = notes::find(tables, self.journal, id)? else { return Ok(None) };
        let folded = notes::folded(&notes::revisions(tables, row.first)?)?;
        Ok(Some(Before {
            heads: folded.heads.iter().map(|head| head.hash).collect(),
            time: folded.time,
            extras: folded.extras,
            deleted: row.state & DELETED != 0,
            purged: row.state & PURGED != 0,
        }))
    }

    /// The chain that own writes go to.
    fn own_chain(&mut self) -> Result<ChainId, StoreError> {
        if let Some(chain) = self.cache.own.get(&self.journal) {
            return Ok(*chain);
        }
        let key = self.own_chain_key();
        let kept = match self.options.own_chain {
            OwnChain::Fresh => None,
            OwnChain::Kept => self.meta(&key)?,
        };
        let chain = match kept {
            Some(text) => text
                .parse()
                .map_err(|_| StoreError::Corrupt(format!("{text} is no id of a chain")))?,
            None => {
                let chain = ChainId::from_bytes(self.chance.draw()?);
                if self.options.own_chain == OwnChain::Kept {
                    self.set_meta(&key, &chain.to_string())?;
                }
                chain
            }
        };
        self.cache.own.insert(self.journal, chain);
        Ok(chain)
    }

    /// The next own write goes to a fresh chain, if they went to this one.
    pub(super) fn leave_chain(&mut self, chain: ChainId) -> Result<(), StoreError> {
        let key = self.own_chain_key();
        self.cache.own.retain(|_, own| *own != chain);
        self.aside()
            .prepare_cached("DELETE FROM meta WHERE key = ?1 AND value = ?2")?
            .execute([key, chain.to_string()])?;
        Ok(())
    }

    /// A replica has one journal; were there others, a chain belongs to one.
    fn own_chain_key(&self) -> String {
        match self.journal {
            JournalId::FIRST => OWN_CHAIN.to_owned(),
            JournalId(other) => format!("{OWN_CHAIN}-{other}"),
        }
    }
}

/// Whether the note is what the writer thinks it is.
fn check(note: &OwnNote, before: Option<&Before>) -> Result<(), NoteRefused> {
    let is_text = matches!(note.body, Body::Text(_));
    if is_text && before.is_some_and(|before| before.purged) {
        return Err(NoteRefused::Purged);
    }
    let there = before.filter(|before| !before.deleted);
    match (&note.expect, there) {
        (Expect::Absent, Some(before)) => return Err(NoteRefused::Exists(etag(&before.heads))),
        (Expect::Exists, None) => return Err(NoteRefused::NotFound),
        (Expect::Heads(_), None) => return Err(NoteRefused::PreconditionFailed),
        (Expect::Heads(etags), Some(before)) if !etags.contains(&etag(&before.heads)) => {
            return Err(NoteRefused::PreconditionFailed);
        }
        _ => {}
    }
    if is_text || there.is_some() { Ok(()) } else { Err(NoteRefused::NotFound) }
}
