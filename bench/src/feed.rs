//! The three kinds of work: an echo, single notes, and batches of changes as a device pushes them.

use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extras, Hash, NoteId, NoteTime, decode_answers,
    encode_batch,
};

use crate::Failure;
use crate::load::Work;
use crate::message::{self, Answer, CHANGED, CONTENT, CONTINUE, CREATED, Kind};

/// How long a note is, in bytes.
pub(crate) const NOTE_LEN: usize = 64;

const TEXT: u8 = 0;
const CBOR_SEQUENCE: u8 = 63;

/// The block size that foreign clients use most, 1,024 bytes (RFC 7959 §2.2).
const BLOCK_SZX: u32 = 6;
const BLOCK_LEN: usize = 1_024;
const MORE: u32 = 8;

/// The text of the note with this number: as long as all others, and no other has it.
pub(crate) fn text(number: u32) -> String {
    let mut text = format!("{number:010} @shop bought tea and rice, 买了茶叶和大米");
    while text.len() < NOTE_LEN {
        text.push('.');
    }
    text
}

/// The number that [`text`] was made of.
pub(crate) fn number_of(text: &str) -> Option<u32> {
    (text.len() == NOTE_LEN).then(|| text.get(..10)?.parse().ok()).flatten()
}

/// Sixteen words to a line.
const WORDS: [&str; 64] = [
    "tea",
    "rice",
    "bought",
    "called",
    "mother",
    "about",
    "the",
    "train",
    "to",
    "Hangzhou",
    "at",
    "nine",
    "again",
    "rain",
    "since",
    "morning",
    "买了",
    "茶叶",
    "大米",
    "开会",
    "下午",
    "三点",
    "给",
    "妈妈",
    "打电话",
    "下雨",
    "火车",
    "明天",
    "修好",
    "自行车",
    "读完",
    "一本书",
    "paid",
    "rent",
    "dentist",
    "Thursday",
    "garden",
    "tomatoes",
    "three",
    "ripe",
    "ones",
    "finished",
    "chapter",
    "seven",
    "walked",
    "around",
    "lake",
    "with",
    "Lena",
    "forgot",
    "umbrella",
    "library",
    "returns",
    "due",
    "Monday",
    "fixed",
    "bicycle",
    "new",
    "chain",
    "cost",
    "forty",
    "soup",
    "too",
    "salty",
];

/// A text of eight to fifteen words for this number, the number before it.
pub(crate) fn plausible(number: u32) -> String {
    let hash = Hash::of(&[b"text", &number.to_be_bytes()[..]].concat());
    let (count, words) = hash.as_bytes().split_first().expect("32 bytes");
    let mut text = number.to_string();
    for word in &words[..8 + usize::from(count % 8)] {
        text.push(' ');
        text.push_str(WORDS[usize::from(*word) % WORDS.len()]);
    }
    text
}

/// What a bare echo is asked: the same bytes as a note.
pub(crate) struct Echo;

impl Work for Echo {
    fn request(&mut self, socket: usize, id: u16, number: u32) -> Vec<u8> {
        Notes.request(socket, id, number)
    }

    fn check(&mut self, number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        let right = answer.kind == Kind::Confirmable && answer.payload == text(number).as_bytes();
        right.then_some(()).ok_or_else(|| format!("the echo says {answer:?}").into())
    }
}

/// `PUT /example_data`, what libcoap's server has for this: it keeps the last one.
pub(crate) struct Puts;

impl Work for Puts {
    fn request(&mut self, _socket: usize, id: u16, number: u32) -> Vec<u8> {
        message::put(id, number, "example_data", &text(number))
    }

    fn check(&mut self, _number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        // The first one makes it.
        if answer.code == CREATED { Ok(()) } else { expect(answer, CHANGED) }
    }
}

/// `POST /notes`, one note each.
pub(crate) struct Notes;

impl Work for Notes {
    fn request(&mut self, _socket: usize, id: u16, number: u32) -> Vec<u8> {
        message::post(id, number, "notes", TEXT, None, text(number).as_bytes())
    }

    fn check(&mut self, _number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        expect(answer, CREATED)
    }
}

/// `GET /days`.
pub(crate) struct Days;

impl Work for Days {
    fn request(&mut self, _socket: usize, id: u16, number: u32) -> Vec<u8> {
        message::get(id, number, "days")
    }

    fn check(&mut self, _number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        expect(answer, CONTENT)
    }
}

/// `POST /feed`: each socket is a device that pushes the next changes of its chain.
pub(crate) struct Pushes {
    devices: Vec<Device>,
    /// How many changes one request has.
    batch: usize,
    next_note: u32,
    /// What each request expects, by number.
    expected: Vec<Expected>,
    /// The numbers of the notes that have receipts.
    acknowledged: Vec<u32>,
}

struct Device {
    chain: Chain,
    /// The body that is being sent, and how many of its bytes were.
    body: Vec<u8>,
    sent: usize,
    /// The answer, as far as it has come; which block of it is still to be asked for.
    answer: Vec<u8>,
    ask_for: Option<u32>,
    /// The number of the first note in it.
    first_note: u32,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The server takes a block and waits for the next.
    Continue,
    /// The receipts of this device, or the next block of them.
    Receipts { device: usize },
}

impl Pushes {
    /// Devices that push `batch` changes at a time; in blocks, when they do not fit one datagram.
    pub(crate) fn new(devices: usize, batch: usize) -> Self {
        let device = |n| Device {
            chain: Chain::new(n),
            body: Vec::new(),
            sent: 0,
            answer: Vec::new(),
            ask_for: None,
            first_note: 0,
        };
        Self {
            devices: (0..devices).map(device).collect(),
            batch,
            next_note: 0,
            expected: Vec::new(),
            acknowledged: Vec::new(),
        }
    }

    /// The numbers of the notes that have receipts.
    pub(crate) fn acknowledged(&self) -> &[u32] {
        &self.acknowledged
    }
}

impl Work for Pushes {
    fn request(&mut self, socket: usize, id: u16, number: u32) -> Vec<u8> {
        debug_assert_eq!(self.expected.len(), number as usize, "numbers come one after the other");
        let device = &mut self.devices[socket];
        if let Some(block2) = device.ask_for.take() {
            self.expected.push(Expected::Receipts { device: socket });
            return message::post_for_more(id, number, "feed", CBOR_SEQUENCE, block2);
        }
        if device.sent == device.body.len() {
            device.first_note = self.next_note;
            let numbers = self.next_note..self.next_note + self.batch as u32;
            self.next_note = numbers.end;
            let entries: Vec<_> = numbers.map(|number| device.chain.next(number)).collect();
            device.body = encode_batch(&entries);
            device.sent = 0;
        }
        // One datagram carries a little more than one block does.
        let whole = device.body.len() <= BLOCK_LEN + 64;
        let rest = &device.body[device.sent..];
        let part = if whole { rest } else { &rest[..rest.len().min(BLOCK_LEN)] };
        let more = part.len() < rest.len();
        let block = (!whole).then(|| {
            let number = u32::try_from(device.sent / BLOCK_LEN).expect("bodies are short");
            number << 4 | u32::from(more) << 3 | BLOCK_SZX
        });
        let bytes = message::post(id, number, "feed", CBOR_SEQUENCE, block, part);
        device.sent += part.len();
        let receipts = Expected::Receipts { device: socket };
        self.expected.push(if more { Expected::Continue } else { receipts });
        bytes
    }

    fn check(&mut self, number: u32, answer: &Answer<'_>) -> Result<(), Failure> {
        let Expected::Receipts { device } = self.expected[number as usize] else {
            return expect(answer, CONTINUE);
        };
        expect(answer, CHANGED)?;
        let device = &mut self.devices[device];
        device.answer.extend_from_slice(answer.payload);
        if let Some(block2) = answer.block2.filter(|block2| block2 & MORE != 0) {
            device.ask_for = Some(((block2 >> 4) + 1) << 4 | BLOCK_SZX);
            return Ok(());
        }
        let receipts = decode_answers(&std::mem::take(&mut device.answer))?;
        if receipts.len() != self.batch {
            return Err(format!("{} receipts for {}", receipts.len(), self.batch).into());
        }
        let first_seq = device.chain.seq + 1 - self.batch as u64;
        for ((seq, note), receipt) in (first_seq..).zip(device.first_note..).zip(receipts) {
            let receipt = receipt.map_err(|refusal| refusal.to_string())?;
            if (receipt.chain, receipt.seq) != (device.chain.id, seq) {
                return Err(format!("not the receipt of seq {seq}: {receipt:?}").into());
            }
            self.acknowledged.push(note);
        }
        Ok(())
    }

    fn may_stop(&self, socket: usize) -> bool {
        let device = &self.devices[socket];
        device.sent == device.body.len() && device.ask_for.is_none()
    }
}

fn expect(answer: &Answer<'_>, code: u8) -> Result<(), Failure> {
    if answer.code == code {
        return Ok(());
    }
    let said = String::from_utf8_lossy(answer.payload);
    Err(format!("the server says {}.{:02} {said}", answer.code >> 5, answer.code & 31).into())
}

/// The changes of one device, one after the other.
pub(crate) struct Chain {
    id: ChainId,
    seq: u64,
    previous: Option<Hash>,
}

/// When the notes are written: one every ten milliseconds, from here.
const BEGIN_MILLIS: i64 = 1_795_000_000_000;

impl Chain {
    pub(crate) fn new(device: usize) -> Self {
        let mut id = [0xbe; 16];
        id[..8].copy_from_slice(&(device as u64).to_be_bytes());
        Self { id: ChainId::from_bytes(id), seq: 0, previous: None }
    }

    /// A new note with the text of this number.
    pub(crate) fn next(&mut self, number: u32) -> Entry {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        let mut salt = [0; 16];
        salt[..10].copy_from_slice(&random);
        self.append(number, text(number), random, salt)
    }

    /// A new note as people write them, of this number: no shorter when it is compressed than theirs are.
    pub(crate) fn next_plausible(&mut self, number: u32) -> Entry {
        let hash = Hash::of(&number.to_be_bytes());
        let (random, salt) = hash.as_bytes().split_at(10);
        let random = random.try_into().expect("ten bytes");
        let salt = salt[..16].try_into().expect("of 22");
        self.append(number, plausible(number), random, salt)
    }

    fn append(&mut self, number: u32, text: String, random: [u8; 10], salt: [u8; 16]) -> Entry {
        self.seq += 1;
        let millis = BEGIN_MILLIS + i64::from(number) * 10;
        let entry = Entry::new(
            Change {
                chain: self.id,
                seq: self.seq,
                previous: self.previous,
                note: NoteId::new(millis, random),
                parents: Vec::new(),
                time: NoteTime::new(millis, 480).expect("a time of this century"),
                content: Hash::ZERO,
            },
            Content { salt, body: Body::Text(text), extras: Extras::default() },
        );
        self.previous = Some(entry.hash());
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_knows_its_number_and_is_as_long_as_it_says() {
        for number in [0, 7, u32::MAX] {
            assert_eq!(text(number).len(), NOTE_LEN);
            assert_eq!(number_of(&text(number)), Some(number));
        }
        assert_eq!(number_of("something else"), None);
    }

    #[test]
    fn a_long_batch_goes_in_blocks_and_a_short_one_in_one() {
        let mut short = Pushes::new(1, 4);
        let bytes = short.request(0, 0, 0);
        assert!(bytes.len() <= 1_152, "{} bytes are no datagram of ours", bytes.len());
        assert!(matches!(short.expected[..], [Expected::Receipts { device: 0 }]));
        let mut long = Pushes::new(1, 40);
        let blocks = (0..).take_while(|number| {
            long.request(0, 0, *number);
            matches!(long.expected.last(), Some(Expected::Continue))
        });
        assert!((5..15).contains(&blocks.count()));
        assert_eq!(long.next_note, 40);
        assert!(long.acknowledged().is_empty(), "nobody has answered");
    }
}
