//! A change with its content, as it travels and is stored.

use crate::{Change, Content, DecodeError, Hash};

/// A change with its content: the exact bytes, and what they say.
///
/// The content is missing where it was erased; the change stays, so that its chain still verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    change: Change,
    hash: Hash,
    content: Option<Content>,
    /// The encoded change, and behind it the encoded content, if there is one.
    bytes: Vec<u8>,
    change_len: usize,
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
        let bytes = change.encode_before(content_bytes.len());
        Self::of(bytes, change, Some(content), &content_bytes)
    }

    /// The entry that these bytes are; no content for one that was erased.
    ///
    /// # Errors
    /// When either is not in its one form, above a limit, or the content is not this change's.
    pub fn from_bytes(
        change_bytes: &[u8],
        content_bytes: Option<&[u8]>,
    ) -> Result<Self, DecodeError> {
        let change = Change::decode(change_bytes)?;
        let content = content_bytes.map(|bytes| {
            let content = Content::decode(bytes)?;
            if Hash::of(bytes) == change.content {
                Ok(content)
            } else {
                Err(DecodeError::ContentHash)
            }
        });
        let content_bytes = content_bytes.unwrap_or_default();
        let mut bytes = Vec::with_capacity(change_bytes.len() + content_bytes.len());
        bytes.extend_from_slice(change_bytes);
        Ok(Self::of(bytes, change, content.transpose()?, content_bytes))
    }

    /// The same content under another change, which names it.
    pub(crate) fn under(&self, change: Change) -> Self {
        let content_bytes = self.content_bytes().unwrap_or_default();
        let bytes = change.encode_before(content_bytes.len());
        Self::of(bytes, change, self.content.clone(), content_bytes)
    }

    /// Puts the encoded content behind the encoded change.
    fn of(
        mut bytes: Vec<u8>,
        change: Change,
        content: Option<Content>,
        content_bytes: &[u8],
    ) -> Self {
        let (hash, change_len) = (Hash::of(&bytes), bytes.len());
        bytes.extend_from_slice(content_bytes);
        Self { change, hash, content, bytes, change_len }
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
        &self.bytes[..self.change_len]
    }

    /// The encoded content, unless it was erased.
    pub fn content_bytes(&self) -> Option<&[u8]> {
        self.content.as_ref().map(|_| &self.bytes[self.change_len..])
    }

    /// How many bytes the entry takes in a batch. In a feed page its position, at most nine bytes, comes on top.
    pub fn encoded_len(&self) -> usize {
        let framed = |len: usize| match len {
            0..24 => 1 + len,
            24..256 => 2 + len,
            256..65_536 => 3 + len,
            _ => 5 + len,
        };
        1 + framed(self.change_len) + self.content_bytes().map_or(1, |bytes| framed(bytes.len()))
    }
}
