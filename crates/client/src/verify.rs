//! Proof that nothing is missing: what was checked, and what was found.

use std::fmt;

use suibi_journal::{ChainId, Hash, NoteId, Receipt};

use crate::error::ClientError;

/// How far a verification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The replica alone: every change, content, chain and hash, and that the notes are what they fold into.
    Local,
    /// Besides, the end of each chain on the server against the replica's.
    Server,
    /// Besides, everything that the server has is read over the network once more and checked change by change. Nothing
    /// of it is kept.
    All,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// What was checked here.
    pub here: Checked,
    /// What was checked on the server; none if it was not asked.
    pub server: Option<Checked>,
    /// Changes that wait for the server: here and, rightly, not there.
    pub waiting: u64,
    /// What is wrong; nothing in the best case.
    pub problems: Vec<Problem>,
    /// So much more is wrong here than is told one by one.
    pub more_problems: u64,
}

/// So much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Changes. Of a server that was asked for the ends of its chains only: those that its ends vouch for.
    pub changes: u64,
    /// Chains.
    pub chains: u64,
    /// Notes, deleted ones counted; of a server always 0.
    pub notes: u64,
    /// Changes whose content was purged.
    pub purged: u64,
}

/// Something that is wrong, and what to do about it. Displayed as one sentence that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub side: Side,
    /// Whose chain, as far as it is known.
    pub device: Option<String>,
    /// In which chain.
    pub chain: Option<ChainId>,
    /// Which places of it, the first and the last.
    pub seqs: Option<(u64, u64)>,
    /// At which position of that side's feed.
    pub position: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
    /// What to do, in words.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Where a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In the replica on this machine.
    Here,
    /// On the server.
    Server,
}

/// What became of a change for which somebody has a receipt.
#[derive(Debug)]
pub struct ReceiptCheck {
    /// What the receipt says, as far as it was given: the position.
    pub position: Option<u64>,
    /// … and the first digits of the change's hash.
    pub hash: Option<String>,
    /// The change in the replica, if it is there.
    pub here: Option<ReceiptHere>,
    /// The change on the server, or that it is not there, or why the server could not be asked. Its position is another
    /// one than the receipt's after the server was restored from a backup.
    pub server: Result<Option<Receipt>, ClientError>,
}

impl ReceiptCheck {
    /// Whether the change is where it should be: on the server.
    pub fn is_kept(&self) -> bool {
        matches!(self.server, Ok(Some(_)))
    }
}

/// A change as the replica has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptHere {
    /// The note.
    pub note: NoteId,
    /// The name of the device that wrote it.
    pub device: String,
    /// The chain.
    pub chain: ChainId,
    /// The place there.
    pub seq: u64,
    /// The change's hash.
    pub hash: Hash,
    /// Where the server had it when it was last asked.
    pub position: Option<u64>,
}
