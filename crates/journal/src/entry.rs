//! A change with its content, as it travels and is stored.

use crate::{Change, Content, DecodeError, Hash};

/// A change with its content: the exact bytes, and what they say.
///
/// The content is missing where it was erased; the change stays, so that its chain still verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    change: Change,
    hash: Hash,
    change_bytes: Vec<u8>,
    content: Option<Content>,
    content_bytes: Option<Vec<u8>>,
}

impl Entry {
    /// A new entry. Fills in `change.content`, and puts the parents into order.
    ///
    /// Limits are the caller's to check, by [`Content::check_limits`]; whoever reads an entry that is
    /// above them refuses it.
    pub fn new(mut change: Change, content: Content) -> Self {
        let content_bytes = content.encode();
        change.content = Hash::of(&content_bytes);
        change.parents.sort_unstable();
        change.parents.dedup();
        let change_bytes = change.encode();
        Self {
            change,
            hash: Hash::of(&change_bytes),
            change_bytes,
            content: Some(content),
            content_bytes: Some(content_bytes),
        }
    }

    /// The entry that these bytes are; no content for one that was erased.
    ///
    /// # Errors
    /// When either is not in its one form, above a limit, or the content is not this change's.
    pub fn from_bytes(
        change_bytes: impl Into<Vec<u8>>,
        content_bytes: Option<Vec<u8>>,
    ) -> Result<Self, DecodeError> {
        let change_bytes = change_bytes.into();
        let change = Change::decode(&change_bytes)?;
        let content = content_bytes.as_deref().map(|bytes| {
            let content = Content::decode(bytes)?;
            if Hash::of(bytes) == change.content {
                Ok(content)
            } else {
                Err(DecodeError::ContentHash)
            }
        });
        let content = content.transpose()?;
        let hash = Hash::of(&change_bytes);
        Ok(Self { change, hash, change_bytes, content, content_bytes })
    }

    /// The same content under another change, which names it.
    pub(crate) fn under(&self, change: Change) -> Self {
        let change_bytes = change.encode();
        Self { hash: Hash::of(&change_bytes), change, change_bytes, ..self.clone() }
    }

    /// The change.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// The hash of the change's bytes: what the next change of the chain names.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The content, unless it was erased.
    pub fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// The encoded change.
    pub fn change_bytes(&self) -> &[u8] {
        &self.change_bytes
    }

    /// The encoded content, unless it was erased.
    pub fn content_bytes(&self) -> Option<&[u8]> {
        self.content_bytes.as_deref()
    }

    /// How many bytes the entry takes in a batch. In a feed page its position, at most nine bytes, comes on top.
    pub fn encoded_len(&self) -> usize {
        let framed = |len: usize| match len {
            0..24 => 1 + len,
            24..256 => 2 + len,
            256..65_536 => 3 + len,
            _ => 5 + len,
        };
        1 + framed(self.change_bytes.len())
            + self.content_bytes.as_deref().map_or(1, |bytes| framed(bytes.len()))
    }
}
