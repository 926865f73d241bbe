//! What client and server say to each other about changes: cursors, receipts, refusals, heads, pages.

use std::fmt;
use std::str::FromStr;

use crate::{ChainId, Entry, Hash, IdError};

/// How far somebody has read a feed: the position, and the running hash of the feed up to there.
///
/// Text form: the position in decimal, a hyphen, the hash as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The position of the last change seen; 0 before the first.
    pub position: u64,
    /// SHA-256 over the running hash before and the change's hash, from [`Hash::ZERO`] on.
    pub running: Hash,
}

impl Cursor {
    /// Before the first change.
    pub const START: Self = Self { position: 0, running: Hash::ZERO };

    /// The cursor after one more change.
    #[must_use]
    pub fn next(self, position: u64, change_hash: Hash) -> Self {
        let running = Hash::of_both(self.running.as_bytes(), change_hash.as_bytes());
        Self { position, running }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.running)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (position, running) = text.split_once('-').ok_or(CursorError)?;
        // One spelling each: no sign, no leading zero.
        let is_plain = position.bytes().all(|byte| byte.is_ascii_digit())
            && (position == "0" || !position.starts_with('0'));
        if !is_plain {
            return Err(CursorError);
        }
        let position = position.parse().map_err(|_| CursorError)?;
        let running = running.parse().map_err(|_: IdError| CursorError)?;
        Ok(Self { position, running })
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor: a position, a hyphen and 64 hexadecimal digits")]
pub struct CursorError;

/// The server's word that a change is on its disk. Shown as `#1284 · 3f9ac1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The change's chain.
    pub chain: ChainId,
    /// Its place in the chain.
    pub seq: u64,
    /// Its place in the feed, from 1.
    pub position: u64,
    /// Its hash.
    pub hash: Hash,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} · {}", self.position, self.hash.short())
    }
}

/// Why a server does not take a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Changes of the chain are missing before it.
    Gap {
        /// The last one that the server has, 0 for none.
        have_seq: u64,
        /// The hash of that one.
        have_hash: Option<Hash>,
    },
    /// Another change has this place in the chain, or the one before is another: the chain was forked, as
    /// by a restored backup.
    Fork {
        /// The last one that the server has, 0 for none.
        have_seq: u64,
        /// The hash of that one.
        have_hash: Option<Hash>,
    },
    /// Text or extras are above the limit.
    TooLarge,
    /// The change itself is wrong, in words; what goes beyond 1,024 bytes is not sent.
    Invalid(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = |seq: &u64, hash: &Option<Hash>| match hash {
            Some(hash) => format!("change {seq} ({})", hash.short()),
            None => "nothing".to_owned(),
        };
        match self {
            Self::Gap { have_seq, have_hash } => write!(
                f,
                "changes are missing before this one: the server has {} of this chain; send what follows",
                head(have_seq, have_hash)
            ),
            Self::Fork { have_seq, have_hash } => write!(
                f,
                "the chain was continued elsewhere: the server has {} of it; go on in a new chain",
                head(have_seq, have_hash)
            ),
            Self::TooLarge => write!(
                f,
                "the note is too large: a text may have 1 MiB, its extras 16 KiB; split the note"
            ),
            Self::Invalid(reason) => write!(f, "the change is not valid: {reason}"),
        }
    }
}

/// The last change of a chain that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The name of the device that writes it, at most 255 bytes.
    pub device: String,
    /// The last change's place in the chain.
    pub seq: u64,
    /// The last change's hash.
    pub hash: Hash,
}

/// A run of the feed, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// Positions, which rise, and the changes there.
    pub entries: Vec<(u64, Entry)>,
    /// The cursor after the last of them; the cursor that was asked from where there are none.
    pub next: Cursor,
    /// How many changes come after this page.
    pub remaining: u64,
}

impl FeedPage {
    /// Whether this page continues a feed read up to `after`: its own cursor then follows from its changes.
    pub fn follows(&self, after: Cursor) -> bool {
        let end = self
            .entries
            .iter()
            .fold(after, |cursor, (position, entry)| cursor.next(*position, entry.hash()));
        let rises = self.entries.first().is_none_or(|(position, _)| *position > after.position);
        rises && end == self.next
    }
}
