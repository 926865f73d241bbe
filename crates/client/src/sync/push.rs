//! Pushing the outbox, in waves: what was read of it goes in as many batches as are under way at once, and when all of
//! them are answered the next part is read.

use std::collections::BTreeMap;

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::{ChainId, Entry, Refusal, coding, decode_answers, encode_batch};

use super::{
    AskId, BULK_BYTES, FIRST_BYTES, Keep, NAMELESS, PAGE_BYTES, Phase, Refused, Step, Sync, WINDOW,
    is_not_understood, nonsense, success,
};
use crate::error::SyncError;

/// How much of the outbox is read for a wave, once the first batch has gone well.
const WAVE_BYTES: usize = 1 << 20;

/// How much of it is read at most, to find what stands behind chains that the server does not take.
const MAX_READ_BYTES: usize = 64 << 20;

/// Longer than any change: an outbox that is shorter than asked for by more than this was read to its end. It stops
/// before a change that does not fit.
const LONGEST_BYTES: usize = 2 << 20;

/// How long a batch may be that is compressed.
const RAW_BATCH_BYTES: usize = 160_000;

/// Where it is.
#[derive(Debug)]
pub(super) struct Push {
    /// How much is read of the outbox.
    read_bytes: usize,
    awaits: Awaits,
    in_flight: BTreeMap<AskId, Batch>,
    /// The last place that was confirmed in this wave, of each chain.
    confirmed: BTreeMap<ChainId, u64>,
    /// The first place that was refused in this wave, of each chain.
    refused: BTreeMap<ChainId, Refused>,
}

#[derive(Debug, PartialEq, Eq)]
enum Awaits {
    Outbox,
    Names,
    Answers,
}

/// Changes of one device that went in one request.
#[derive(Debug)]
struct Batch {
    entries: Vec<Entry>,
    /// The server has given receipts for them before.
    is_again: bool,
    /// It went in a form that a server of another version may not understand.
    is_new: bool,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            read_bytes: FIRST_BYTES,
            awaits: Awaits::Outbox,
            in_flight: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }
}

impl Push {
    pub(super) fn awaits_outbox(&self) -> bool {
        self.awaits == Awaits::Outbox
    }

    pub(super) fn awaits_names(&self) -> bool {
        self.awaits == Awaits::Names
    }
}

impl Sync {
    pub(super) fn read_outbox(&mut self) {
        let push = self.pushing();
        push.awaits = Awaits::Outbox;
        let max_bytes = push.read_bytes;
        self.queue.push_back(Step::ReadOutbox { max_bytes });
    }

    fn pushing(&mut self) -> &mut Push {
        match &mut self.phase {
            Phase::Pushing(push) => push,
            _ => unreachable!("only called while pushing"),
        }
    }

    pub(super) fn on_outbox(&mut self, mut entries: Vec<Entry>) {
        let read: usize = entries.iter().map(Entry::encoded_len).sum();
        entries.retain(|entry| {
            let chain = entry.change().chain;
            !self.refused.contains(&chain) && !self.forked.contains_key(&chain)
        });
        if entries.is_empty() {
            // Those of other chains may stand behind it.
            let push = self.pushing();
            let is_all =
                read + LONGEST_BYTES < push.read_bytes || push.read_bytes >= MAX_READ_BYTES;
            if read == 0 || is_all {
                return self.after_push();
            }
            push.read_bytes *= 8;
            return self.read_outbox();
        }
        let is_nameless = |entry: &Entry| !self.names.contains_key(&entry.change().chain);
        if !self.names_are_read && entries.iter().any(is_nameless) {
            // Changes of another device, which a restored server lost: they go there under its name.
            self.queue.push_back(Step::ReadChains);
            self.pushing().awaits = Awaits::Names;
            return;
        }
        let push = self.pushing();
        push.awaits = Awaits::Answers;
        let is_first = push.read_bytes == FIRST_BYTES;
        let is_bulk = read > BULK_BYTES;
        let mut rest = &entries[..];
        let window = if is_first { 1 } else { WINDOW };
        for _ in 0..window {
            if rest.is_empty() {
                break;
            }
            rest = self.send_batch(rest, is_bulk);
        }
    }

    /// Sends as many of the first of these as go together, and says which are left.
    fn send_batch<'e>(&mut self, entries: &'e [Entry], is_bulk: bool) -> &'e [Entry] {
        let about = |entry: &Entry| {
            let (chain, seq) = (entry.change().chain, entry.change().seq);
            let is_again =
                self.again.get(&chain).is_some_and(|(first, last)| (*first..=*last).contains(&seq));
            (self.names.get(&chain).map_or(NAMELESS, String::as_str), is_again)
        };
        let (name, is_again) = about(&entries[0]);
        let max_bytes = if self.is_plain { PAGE_BYTES } else { RAW_BATCH_BYTES };
        let mut bytes = 0;
        let mut count = entries
            .iter()
            .take_while(|entry| {
                bytes += entry.encoded_len();
                about(entry) == (name, is_again) && bytes <= max_bytes
            })
            .count()
            .max(1);
        let (payload, is_coded) = loop {
            let plain = encode_batch(&entries[..count]);
            if self.is_plain || plain.len() <= FIRST_BYTES {
                break (plain, false);
            }
            let coded = coding::compress(&plain);
            if coded.len() <= PAGE_BYTES || count == 1 {
                // What does not get shorter is not worth the trouble of the other side.
                break if coded.len() < plain.len() { (coded, true) } else { (plain, false) };
            }
            count = count.div_ceil(2);
        };
        let mut request = Request::new(Code::POST).path("/feed").query("device", name);
        if is_again && !self.is_plain {
            request = request.query("again", "yes");
        }
        request = match is_coded {
            true => request.query("coding", "zstd").content_format(ContentFormat::OCTET_STREAM),
            false => request.content_format(ContentFormat::CBOR_SEQ),
        };
        let (these, rest) = entries.split_at(count);
        let ask = self.ask(request.payload(payload), is_bulk);
        let is_new = is_coded || is_again && !self.is_plain;
        let batch = Batch { entries: these.to_vec(), is_again, is_new };
        self.pushing().in_flight.insert(ask, batch);
        rest
    }

    pub(super) fn on_answers(&mut self, ask: AskId, response: &Response) -> Result<(), SyncError> {
        let Some(batch) = self.pushing().in_flight.remove(&ask) else { return Ok(()) };
        let is_long = batch.entries.len() > 1;
        if response.code == Code::REQUEST_ENTITY_TOO_LARGE && is_long && !self.is_small {
            // A server with smaller bounds: go on one datagram at a time.
            self.is_small = true;
        } else if batch.is_new && is_not_understood(response) {
            self.is_plain = true;
        } else {
            self.take_answers(&batch, success(response)?)?;
        }
        if self.pushing().in_flight.is_empty() {
            self.end_wave();
        }
        Ok(())
    }

    fn take_answers(&mut self, batch: &Batch, payload: &[u8]) -> Result<(), SyncError> {
        let answers = decode_answers(payload).map_err(nonsense)?;
        if answers.len() != batch.entries.len() {
            let text = format!("{} answers for {} changes", answers.len(), batch.entries.len());
            return Err(SyncError::Nonsense(text));
        }
        let mut receipts = Vec::new();
        for (entry, answer) in batch.entries.iter().zip(answers) {
            let change = entry.change();
            let (chain, seq) = (change.chain, change.seq);
            match answer {
                // Only a receipt for exactly what we sent counts as one.
                Ok(receipt)
                    if (receipt.chain, receipt.seq, receipt.hash) == (chain, seq, entry.hash()) =>
                {
                    let confirmed = self.pushing().confirmed.entry(chain).or_default();
                    *confirmed = seq.max(*confirmed);
                    receipts.push(receipt);
                }
                Ok(receipt) => {
                    let text = format!("a receipt for another change, {receipt}");
                    return Err(SyncError::Nonsense(text));
                }
                Err(refusal) => {
                    let refused = Refused { chain, seq, refusal };
                    let first =
                        self.pushing().refused.entry(chain).or_insert_with(|| refused.clone());
                    if seq < first.seq {
                        *first = refused;
                    }
                }
            }
        }
        if !receipts.is_empty() {
            self.report.receipts.extend_from_slice(&receipts);
            if batch.is_again {
                self.report.recovered += receipts.len() as u64;
            }
            self.queue.push_back(Step::Keep(Keep::Receipts(receipts)));
        }
        Ok(())
    }

    /// Everything that went is answered.
    fn end_wave(&mut self) {
        let is_small = self.is_small;
        let push = self.pushing();
        push.read_bytes = if is_small { FIRST_BYTES } else { WAVE_BYTES.max(push.read_bytes) };
        let confirmed = std::mem::take(&mut push.confirmed);
        for (chain, refused) in std::mem::take(&mut push.refused) {
            let confirmed_seq = confirmed.get(&chain).copied().unwrap_or(0);
            self.on_refused(refused, confirmed_seq, !confirmed.is_empty());
        }
        self.read_outbox();
    }

    /// The first refusal of a chain tells the cause; those behind it follow from it.
    fn on_refused(&mut self, refused: Refused, confirmed_seq: u64, has_moved: bool) {
        let chain = refused.chain;
        match &refused.refusal {
            Refusal::Gap { have_seq, .. } => {
                // What was on its way beside it may have come in the meantime.
                let have = confirmed_seq.max(*have_seq);
                let gap = (chain, have);
                let is_mendable = has_moved || self.mended != Some(gap);
                if have + 1 < refused.seq && is_mendable {
                    self.mended = Some(gap);
                    self.queue.push_back(Step::Keep(Keep::Requeue { chain, seq: have }));
                    return;
                }
                if have + 1 >= refused.seq && confirmed_seq > 0 {
                    return;
                }
                if self.rights.is_drop() && self.rounds < super::MAX_ROUNDS {
                    // What is between was lost here, with a damaged replica, and the server never had it.
                    self.forked.insert(chain, refused);
                } else {
                    self.refuse(refused);
                }
            }
            Refusal::Fork { .. } if self.rounds < super::MAX_ROUNDS => {
                self.forked.insert(chain, refused);
            }
            _ => self.refuse(refused),
        }
    }
}
