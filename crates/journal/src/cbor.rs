//! The shapes on the wire: CBOR sequences (RFC 8742) of entries, answers, pages and heads (`docs/formats.md`).

use crate::change::check_len;
use crate::wire::{Reader, Writer};
use crate::{Cursor, DecodeError, Entry, FeedPage, Head, Receipt, Refusal};

/// The longest name of a device, in bytes.
pub const MAX_DEVICE_BYTES: usize = 255;
/// The longest reason of a refusal, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 1024;

/// The longest item about a page, and the longest position: an array's head, two numbers and a hash; one number.
const PAGE_BYTES: usize = 1 + 9 + 34 + 9;
const POSITION_BYTES: usize = 9;
/// The longest receipt: two heads, a chain, two numbers and a hash.
const RECEIPT_BYTES: usize = 2 + 17 + 9 + 9 + 34;

const RECEIPT: u64 = 0;
const GAP: u64 = 1;
const FORK: u64 = 2;
const TOO_LARGE: u64 = 3;
const INVALID: u64 = 4;

/// The changes that a device pushes: `POST /feed`.
pub fn encode_batch(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::with_room(entries.iter().map(Entry::encoded_len).sum());
    for entry in entries {
        writer.array(2);
        write_entry(&mut writer, entry);
    }
    writer.into_bytes()
}

/// Reads what [`encode_batch`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    Reader::new(bytes).until_end(|reader| {
        reader.array_of(2, "an entry: an array of change and content")?;
        read_entry(reader)
    })
}

/// The answer to a batch: a receipt or a refusal for each of its changes, in order.
pub fn encode_answers(answers: &[Result<Receipt, Refusal>]) -> Vec<u8> {
    let mut writer = Writer::with_room(RECEIPT_BYTES * answers.len());
    for answer in answers {
        match answer {
            Ok(receipt) => {
                writer.array(5).uint(RECEIPT).bytes(receipt.chain.as_bytes()).uint(receipt.seq);
                writer.uint(receipt.position).bytes(receipt.hash.as_bytes());
            }
            Err(refusal) => write_refusal(&mut writer, refusal),
        }
    }
    writer.into_bytes()
}

/// Reads what [`encode_answers`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_answers(bytes: &[u8]) -> Result<Vec<Result<Receipt, Refusal>>, DecodeError> {
    Reader::new(bytes).until_end(read_answer)
}

/// The last change of each chain: `GET /heads`. Written ascending by chain.
pub fn encode_heads(heads: &[Head]) -> Vec<u8> {
    let mut ascending: Vec<_> = heads.iter().collect();
    ascending.sort_by_key(|head| head.chain);
    let mut writer = Writer::new();
    for head in ascending {
        let device = cut(&head.device, MAX_DEVICE_BYTES);
        writer.array(4).bytes(head.chain.as_bytes()).text(device);
        writer.uint(head.seq).bytes(head.hash.as_bytes());
    }
    writer.into_bytes()
}

/// Reads what [`encode_heads`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_heads(bytes: &[u8]) -> Result<Vec<Head>, DecodeError> {
    let mut last = None;
    Reader::new(bytes).until_end(|reader| {
        reader.array_of(4, "a head: an array of chain, device, seq and hash")?;
        let at = reader.at();
        let chain = reader.chain()?;
        if last.is_some_and(|last| last >= chain) {
            return Err(DecodeError::Order { what: "chains", at });
        }
        last = Some(chain);
        let device = reader.text("a device's name")?;
        check_len("the device's name", device.len(), MAX_DEVICE_BYTES)?;
        Ok(Head {
            chain,
            device: device.to_owned(),
            seq: reader.count("a seq, from 1")?,
            hash: reader.hash("a hash, 32 bytes")?,
        })
    })
}

impl Cursor {
    /// The cursor as one item: `GET /feed/head`.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(2).uint(self.position).bytes(self.running.as_bytes());
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no cursor.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            reader.array_of(2, "a cursor: an array of position and running hash")?;
            read_cursor(reader)
        })
    }
}

impl FeedPage {
    /// The page as a sequence: one item about the page, then one for each change.
    pub fn encode(&self) -> Vec<u8> {
        let len = |(_, entry): &(u64, Entry)| POSITION_BYTES + entry.encoded_len();
        let room = self.entries.iter().map(len).sum::<usize>();
        let mut writer = Writer::with_room(PAGE_BYTES + room);
        writer.array(3).uint(self.next.position).bytes(self.next.running.as_bytes());
        writer.uint(self.remaining);
        for (position, entry) in &self.entries {
            writer.array(3).uint(*position);
            write_entry(&mut writer, entry);
        }
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no page, or its positions do not rise up to its cursor.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(3, "a page: an array of position, running hash and remaining")?;
        let next = read_cursor(&mut reader)?;
        let remaining = reader.uint("how many changes remain")?;
        let mut last = 0;
        let entries = reader.until_end(|reader| {
            reader.array_of(3, "an array of position, change and content")?;
            let at = reader.at();
            let position = reader.count("a position, from 1")?;
            if position <= last {
                return Err(DecodeError::Order { what: "positions", at });
            }
            last = position;
            Ok((position, read_entry(reader)?))
        })?;
        if !entries.is_empty() && last != next.position {
            return Err(DecodeError::Invalid("the page's cursor is not at its last change"));
        }
        Ok(Self { entries, next, remaining })
    }
}

fn write_entry(writer: &mut Writer, entry: &Entry) {
    writer.bytes(entry.change_bytes()).bytes_or_null(entry.content_bytes());
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let change = reader.bytes("an encoded change in a byte string")?;
    let content = if reader.take_null() {
        None
    } else {
        Some(reader.bytes("an encoded content in a byte string, or null")?)
    };
    Entry::from_bytes(change, content)
}

fn read_cursor(reader: &mut Reader<'_>) -> Result<Cursor, DecodeError> {
    let position = reader.uint("a position")?;
    let running = reader.hash("a running hash, 32 bytes")?;
    Ok(Cursor { position, running })
}

fn write_refusal(writer: &mut Writer, refusal: &Refusal) {
    match refusal {
        Refusal::Gap { have_seq, have_hash } => {
            writer.array(3).uint(GAP).uint(*have_seq);
            writer.bytes_or_null(have_hash.as_ref().map(|hash| hash.as_bytes().as_slice()));
        }
        Refusal::Fork { have_seq, have_hash } => {
            writer.array(3).uint(FORK).uint(*have_seq);
            writer.bytes_or_null(have_hash.as_ref().map(|hash| hash.as_bytes().as_slice()));
        }
        Refusal::TooLarge => {
            writer.array(1).uint(TOO_LARGE);
        }
        Refusal::Invalid(reason) => {
            writer.array(2).uint(INVALID).text(cut(reason, MAX_REASON_BYTES));
        }
    }
}

fn read_answer(reader: &mut Reader<'_>) -> Result<Result<Receipt, Refusal>, DecodeError> {
    let expected = "an answer: an array that begins with its kind, 0 to 4";
    let at = reader.at();
    let len = reader.array(expected)?;
    let kind = reader.uint(expected)?;
    Ok(match (kind, len) {
        (RECEIPT, 5) => Ok(Receipt {
            chain: reader.chain()?,
            seq: reader.count("a seq, from 1")?,
            position: reader.count("a position, from 1")?,
            hash: reader.hash("a hash, 32 bytes")?,
        }),
        (GAP | FORK, 3) => {
            let have_seq = reader.uint("the server's last seq")?;
            let expected = "the server's last hash, 32 bytes, or null";
            let have_hash = if reader.take_null() { None } else { Some(reader.hash(expected)?) };
            Err(if kind == GAP {
                Refusal::Gap { have_seq, have_hash }
            } else {
                Refusal::Fork { have_seq, have_hash }
            })
        }
        (TOO_LARGE, 1) => Err(Refusal::TooLarge),
        (INVALID, 2) => {
            let reason = reader.text("a reason")?;
            check_len("the reason", reason.len(), MAX_REASON_BYTES)?;
            Err(Refusal::Invalid(reason.to_owned()))
        }
        _ => return Err(DecodeError::Unexpected { at, expected }),
    })
}

/// The longest beginning of a text that fits, whole characters only.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
