//! A change, the only thing that is ever written, and its content (`docs/formats.md`).

use std::collections::BTreeMap;

use crate::wire::{Keys, Reader, Writer};
use crate::{ChainId, DecodeError, Hash, NoteId, NoteTime};

/// The longest text of a note, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// The largest extras, in bytes of their encoded map.
pub const MAX_EXTRAS_BYTES: usize = 16 << 10;
/// The most revisions that one change replaces.
pub const MAX_PARENTS: usize = 64;

/// One device creates, edits, deletes or purges one note.
///
/// Its hash is SHA-256 over [`encode`](Self::encode). The journal is no part of it, so a change keeps its
/// hash when its device joins one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The chain that it stands in.
    pub chain: ChainId,
    /// Its place in the chain: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// The hash of the change before it in the chain; none exactly for `seq` 1.
    pub previous: Option<Hash>,
    /// The note that it writes.
    pub note: NoteId,
    /// The hashes of the revisions that it replaces, ascending, at most [`MAX_PARENTS`]; none for a new note.
    pub parents: Vec<Hash>,
    /// The note's time, as of this change.
    pub time: NoteTime,
    /// The hash of the encoded [`Content`].
    pub content: Hash,
}

/// What a change says: the part that can be erased, while the chain still verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Random, so that nothing can be guessed from the hash of an erased content.
    pub salt: [u8; 16],
    /// The text, or that the note is deleted or purged.
    pub body: Body,
    /// Everything else about the note.
    pub extras: Extras,
}

/// What a revision leaves of its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Its text, at most [`MAX_TEXT_BYTES`].
    Text(String),
    /// Nothing: the note is deleted. Its earlier texts stay in its history.
    Deleted,
    /// Nothing, for ever: the contents of all other changes of the note are erased wherever this one comes,
    /// before or after them, and no edit brings the note back.
    Purged,
}

/// Named values beside the text, at most [`MAX_EXTRAS_BYTES`]; unknown names are kept.
pub type Extras = BTreeMap<String, Extra>;

/// A value among the [`Extras`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Names of extras that have a meaning.
pub mod extra {
    /// Text: the address from which a plain or foreign client sent the note.
    pub const SOURCE: &str = "source";
    /// Text, RFC 3339: when an edit was made, where that differs from the note's own time.
    pub const WRITTEN: &str = "written";
    /// Text: the id of the note in the program it was imported from.
    pub const IMPORT_ID: &str = "import-id";
    /// Bool: marked with a star.
    pub const STAR: &str = "star";
    /// Text: the encoding in which the note came, where that was not UTF-8.
    pub const ENCODING: &str = "encoding";
}

/// Whether a note with these extras has a star.
pub fn is_starred(extras: &Extras) -> bool {
    extras.get(extra::STAR) == Some(&Extra::Bool(true))
}

const VERSION: u64 = 1;

/// The longest change without parents: its keys and heads, two ids, a number, two hashes and a time.
const CHANGE_BYTES: usize = 160;
/// A content without its text and extras: the keys, the salt and the heads.
const CONTENT_BYTES: usize = 32;

impl Change {
    /// The bytes that are hashed, stored and sent.
    ///
    /// Parents are written ascending and once each, whatever order they have here. Whether `seq` and
    /// `previous` fit together is checked by [`decode`](Self::decode).
    pub fn encode(&self) -> Vec<u8> {
        self.encode_before(0)
    }

    /// [`Self::encode`], with room for so many bytes behind.
    pub(crate) fn encode_before(&self, room: usize) -> Vec<u8> {
        let mut parents = self.parents.clone();
        parents.sort_unstable();
        parents.dedup();
        let fields = 6 + usize::from(self.previous.is_some()) + usize::from(!parents.is_empty());
        let mut writer = Writer::with_room(CHANGE_BYTES + 34 * parents.len() + room);
        writer.map(fields).uint(0).uint(VERSION);
        writer.uint(1).bytes(self.chain.as_bytes()).uint(2).uint(self.seq);
        if let Some(previous) = &self.previous {
            writer.uint(3).bytes(previous.as_bytes());
        }
        writer.uint(4).bytes(self.note.as_bytes());
        if !parents.is_empty() {
            writer.uint(5).array(parents.len());
            for parent in &parents {
                writer.bytes(parent.as_bytes());
            }
        }
        writer.uint(6).time(self.time);
        writer.uint(7).bytes(self.content.as_bytes());
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else (RFC 8949 §4.2.1).
    ///
    /// # Errors
    /// When the bytes are no change of version 1 in deterministic form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut keys = Keys::of_version(reader, "a change", "the version of a change", VERSION)?;
        let (mut chain, mut seq, mut previous) = (None, None, None);
        let (mut note, mut parents, mut time, mut content) = (None, Vec::new(), None, None);
        while let Some(key) = keys.next(reader)? {
            match key {
                1 => chain = Some(reader.chain()?),
                2 => seq = Some(reader.count("a seq, from 1")?),
                3 => previous = Some(reader.hash("the previous hash, 32 bytes")?),
                4 => note = Some(reader.note()?),
                5 => parents = read_parents(reader)?,
                6 => time = Some(reader.time()?),
                7 => content = Some(reader.hash("the content's hash, 32 bytes")?),
                _ => return Err(keys.unknown(key)),
            }
        }
        let seq = seq.ok_or(DecodeError::Missing("seq"))?;
        match (seq, previous) {
            (1, Some(_)) => {
                return Err(DecodeError::Invalid("seq 1 has a previous hash, it is the first"));
            }
            (2.., None) => return Err(DecodeError::Missing("the previous hash")),
            _ => {}
        }
        Ok(Self {
            chain: chain.ok_or(DecodeError::Missing("the chain"))?,
            seq,
            previous,
            note: note.ok_or(DecodeError::Missing("the note's id"))?,
            parents,
            time: time.ok_or(DecodeError::Missing("the time"))?,
            content: content.ok_or(DecodeError::Missing("the content's hash"))?,
        })
    }
}

fn read_parents(reader: &mut Reader<'_>) -> Result<Vec<Hash>, DecodeError> {
    let len = reader.array("the parents, an array")?;
    if len == 0 {
        return Err(DecodeError::Invalid("parents are there but empty, they should be left out"));
    }
    if len > MAX_PARENTS as u64 {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        return Err(DecodeError::TooLarge { what: "the list of parents", len, max: MAX_PARENTS });
    }
    let mut parents = Vec::new();
    for _ in 0..len {
        let at = reader.at();
        let parent = reader.hash("a parent's hash, 32 bytes")?;
        if parents.last().is_some_and(|last| *last >= parent) {
            return Err(DecodeError::Order { what: "parents", at });
        }
        parents.push(parent);
    }
    Ok(parents)
}

impl Content {
    /// The bytes that are hashed, stored and sent.
    ///
    /// Writes what is there, also above the limits; [`check_limits`](Self::check_limits) asks.
    pub fn encode(&self) -> Vec<u8> {
        let text_len = match &self.body {
            Body::Text(text) => text.len(),
            Body::Deleted | Body::Purged => 0,
        };
        let mut writer = Writer::with_room(text_len + CONTENT_BYTES + 32 * self.extras.len());
        writer.map(3 + usize::from(!self.extras.is_empty())).uint(0).uint(VERSION);
        writer.uint(1).bytes(&self.salt).uint(2);
        match &self.body {
            Body::Text(text) => writer.text(text),
            Body::Deleted => writer.null(),
            Body::Purged => writer.bool(false),
        };
        if !self.extras.is_empty() {
            writer.uint(3);
            write_extras(&mut writer, &self.extras);
        }
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else (RFC 8949 §4.2.1).
    ///
    /// # Errors
    /// When the bytes are no content of version 1 in deterministic form, or above a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, Self::read)
    }

    /// Whether text and extras are within [`MAX_TEXT_BYTES`] and [`MAX_EXTRAS_BYTES`].
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], which names the larger one and both numbers.
    pub fn check_limits(&self) -> Result<(), DecodeError> {
        if let Body::Text(text) = &self.body {
            check_len("the text", text.len(), MAX_TEXT_BYTES)?;
        }
        let mut writer = Writer::with_room(32 * self.extras.len());
        write_extras(&mut writer, &self.extras);
        check_len("the map of extras", writer.into_bytes().len(), MAX_EXTRAS_BYTES)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut keys = Keys::of_version(reader, "a content", "the version of a content", VERSION)?;
        let (mut salt, mut body, mut extras) = (None, None, Extras::new());
        while let Some(key) = keys.next(reader)? {
            match key {
                1 => salt = Some(reader.fixed("the salt, 16 bytes")?),
                2 => body = Some(read_body(reader)?),
                3 => extras = read_extras(reader)?,
                _ => return Err(keys.unknown(key)),
            }
        }
        Ok(Self {
            salt: salt.ok_or(DecodeError::Missing("the salt"))?,
            body: body.ok_or(DecodeError::Missing("the body"))?,
            extras,
        })
    }
}

fn read_body(reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
    if reader.take_null() {
        return Ok(Body::Deleted);
    }
    let expected = "a body: a text, null for a deleted note, or false for a purged one";
    if reader.peek_major() == Some(7) {
        return match reader.bool(expected)? {
            false => Ok(Body::Purged),
            true => Err(DecodeError::Invalid("a body is true, which means nothing")),
        };
    }
    let text = reader.text(expected)?;
    check_len("the text", text.len(), MAX_TEXT_BYTES)?;
    Ok(Body::Text(text.to_owned()))
}

fn write_extras(writer: &mut Writer, extras: &Extras) {
    // Encoded keys ascend by length first, since their heads do (RFC 8949 §4.2.1).
    let mut ascending: Vec<_> = extras.iter().collect();
    ascending.sort_by_key(|(name, _)| (name.len(), name.as_str()));
    writer.map(ascending.len());
    for (name, value) in ascending {
        writer.text(name);
        match value {
            Extra::Bool(value) => writer.bool(*value),
            Extra::Int(value) => writer.int(*value),
            Extra::Text(value) => writer.text(value),
            Extra::Bytes(value) => writer.bytes(value),
        };
    }
}

fn read_extras(reader: &mut Reader<'_>) -> Result<Extras, DecodeError> {
    let start = reader.at();
    let len = reader.map("the extras, a map")?;
    if len == 0 {
        return Err(DecodeError::Invalid("extras are there but empty, they should be left out"));
    }
    let mut extras = Extras::new();
    let mut last: Option<&str> = None;
    for _ in 0..len {
        let at = reader.at();
        let name = reader.text("the name of an extra, a text")?;
        if last.is_some_and(|last| (last.len(), last) >= (name.len(), name)) {
            return Err(DecodeError::Order { what: "names of extras", at });
        }
        last = Some(name);
        extras.insert(name.to_owned(), read_extra(reader)?);
        check_len("the map of extras", reader.at() - start, MAX_EXTRAS_BYTES)?;
    }
    Ok(extras)
}

fn read_extra(reader: &mut Reader<'_>) -> Result<Extra, DecodeError> {
    let expected = "an extra: true, false, a whole number, a text or bytes";
    Ok(match reader.peek_major() {
        Some(0 | 1) => Extra::Int(reader.int(expected)?),
        Some(2) => Extra::Bytes(reader.bytes(expected)?.to_vec()),
        Some(3) => Extra::Text(reader.text(expected)?.to_owned()),
        Some(4..=6) => return Err(DecodeError::TooDeep { at: reader.at() }),
        _ => Extra::Bool(reader.bool(expected)?),
    })
}

pub(crate) fn check_len(what: &'static str, len: usize, max: usize) -> Result<(), DecodeError> {
    if len > max { Err(DecodeError::TooLarge { what, len, max }) } else { Ok(()) }
}
