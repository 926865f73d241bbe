//! Proof: the chains here, those on the server, and receipts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::{ChainId, Cursor, Entry, FeedPage, Hash, Receipt, decode_heads};
use suibi_store::verify::{self, Verified};
use suibi_store::{JournalId, Revision, StoreError};

use super::{Client, SILENCE};
use crate::error::{ClientError, SyncError};
use crate::remote::Patience;
use crate::sync::{PAGE_BYTES, Sync};
use crate::verify::{Checked, Problem, ReceiptCheck, ReceiptHere, Scope, Side, Verification};
use crate::walk::{Fault, Walk};

/// So much of the replica is read at once.
const READ_BYTES: usize = 1 << 20;

/// How often the server's chains are looked at again, because others went on writing.
const LOOKS: usize = 3;

/// The ends of chains: place and hash.
type Ends = BTreeMap<ChainId, (u64, Hash)>;

impl Client {
    /// Checks that nothing is missing or altered, as far as `scope` says. `progress` hears how much of how much is done,
    /// in changes. `within` bounds what the network may take, altogether.
    ///
    /// Nothing is repaired: what the server lacks is named, and the next sync gives it back. What it has that was not read
    /// yet is no gap; it is fetched, as with every command.
    ///
    /// # Errors
    ///
    /// When it could not be checked: the replica cannot be read, or the server does not answer. What is found to be
    /// wrong is none, see [`Verification::problems`].
    pub fn verify(
        &mut self,
        scope: Scope,
        within: Duration,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verification, ClientError> {
        let deadline = Instant::now() + within;
        let mut found = Verification { waiting: self.store.waiting()?, ..Verification::default() };
        self.verify_here(&mut found, progress)?;
        match scope {
            Scope::Local => {}
            Scope::Server => self.verify_ends(&mut found, deadline)?,
            Scope::All => self.verify_feed(&mut found, deadline, progress)?,
        }
        // Chains have random ids, and their order tells a person nothing.
        found
            .problems
            .sort_by_key(|problem| (problem.side == Side::Server, problem.device.clone()));
        Ok(found)
    }

    /// Delivers and pulls, and repairs nothing.
    fn catch_up(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let own = self.store.own_chain()?;
        let sync = Sync::within(self.rights(), &self.config.device, own);
        let patience = Patience { deadline, silence: SILENCE };
        self.run(sync, patience, |_| {}).1
    }

    fn verify_here(
        &mut self,
        found: &mut Verification,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ClientError> {
        let verified = verify::verify(&self.path, Some(JournalId::FIRST), progress)?;
        let Verified { changes, chains, notes, purged, problems, more_problems } = verified;
        found.here = Checked { changes, chains, notes, purged };
        found.more_problems = more_problems;
        // Where the file itself is damaged its chains may be unreadable.
        let names =
            if problems.is_empty() { BTreeMap::new() } else { self.names().unwrap_or_default() };
        found.problems.extend(problems.into_iter().map(|problem| Problem {
            side: Side::Here,
            device: problem.chain.and_then(|chain| names.get(&chain).cloned()),
            chain: problem.chain,
            seqs: problem.seq.map(|seq| (seq, seq)),
            position: problem.position,
            what: problem.to_string(),
            remedy: Some(
                "run suibi sync until nothing waits, then move the file of the replica away: the next sync fills a new one from the server".into(),
            ),
        }));
        Ok(())
    }

    /// Every change of the replica.
    fn walk_here(
        &mut self,
        marks: Walk,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Walk, ClientError> {
        let mut reader = self.reader()?;
        let (mut walk, mut after) = (marks.clone(), Cursor::START);
        loop {
            let page = match reader.feed(JournalId::FIRST, after, READ_BYTES)? {
                Ok(page) => page,
                // Another process has rescued a fork meanwhile, and positions moved.
                Err(_) if after != Cursor::START => {
                    (walk, after) = (marks.clone(), Cursor::START);
                    continue;
                }
                Err(mismatch) => return Err(StoreError::Corrupt(mismatch.to_string()).into()),
            };
            page.entries.iter().for_each(|(_, entry)| walk.take(entry));
            progress(walk.changes, walk.changes + page.remaining);
            if page.entries.is_empty() {
                return Ok(walk);
            }
            after = page.next;
        }
    }

    /// Compares the ends of the chains on the server with those here.
    fn verify_ends(
        &mut self,
        found: &mut Verification,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let mut looks = 0;
        loop {
            looks += 1;
            let request = Request::new(Code::GET).path("/heads");
            let heads = decode_heads(success(&self.prove_ask(&request, deadline)?)?)
                .map_err(|error| SyncError::Nonsense(error.to_string()))?;
            let there: Ends =
                heads.iter().map(|head| (head.chain, (head.seq, head.hash))).collect();
            let here = self.ends()?;
            let is_behind = there
                .iter()
                .any(|(chain, (seq, _))| here.get(chain).is_none_or(|(have, _)| have < seq));
            let is_lacking = here
                .iter()
                .any(|(chain, (seq, _))| there.get(chain).is_none_or(|(have, _)| have < seq));
            if is_behind && (!is_lacking || self.store.waiting()? > 0) && looks < LOOKS {
                self.catch_up(deadline)?;
                continue;
            }
            let changes = there.values().map(|(seq, _)| seq).sum();
            let chains = there.len() as u64;
            found.server = Some(Checked { changes, chains, ..Checked::default() });
            return self.compare_ends(found, &here, &there, &there);
        }
    }

    /// Reads everything that the server has, and checks it.
    fn verify_feed(
        &mut self,
        found: &mut Verification,
        deadline: Instant,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ClientError> {
        let here = self.ends()?;
        let cursor = self.store.cursor()?;
        // The ends of the chains as far as the feed was read: what comes behind is no gap here.
        let mut known = Ends::new();
        let mut walk = Walk::default();
        for (chain, (seq, _)) in &here {
            walk.mark(*chain, *seq);
        }
        let mut after = Cursor::START;
        loop {
            let page = self.ask_page(&feed_after(after), deadline)?;
            if !page.follows(after) {
                let position = Some(after.position);
                found.problems.push(Problem {
                    side: Side::Server,
                    device: None,
                    chain: None,
                    seqs: None,
                    position,
                    what: format!(
                        "the server's feed after position {} does not add up to the running hash that it names",
                        after.position
                    ),
                    remedy: Some(
                        "run suibi verify on the server; a backup of it may have to be restored"
                            .into(),
                    ),
                });
            }
            for (position, entry) in &page.entries {
                walk.take(entry);
                if *position == cursor.position {
                    known = walk.ends();
                }
            }
            progress(walk.changes, walk.changes + page.remaining);
            if page.remaining == 0 || page.entries.is_empty() {
                break;
            }
            after = page.next;
        }
        found.server = Some(checked(&walk));
        let names = self.names()?;
        let remedy = "run suibi verify on the server; what it lacks comes back with a sync of a device that has it";
        found.problems.extend(problems(&walk, Side::Server, &names, remedy));
        // Where a chain is longer there, the place that is its end here tells whether they are one.
        let there = walk.ends();
        for (chain, (seq, hash)) in &here {
            let is_longer = there.get(chain).is_some_and(|(there, _)| there > seq);
            if is_longer && walk.marked(*chain).is_some_and(|marked| marked != *hash) {
                found.problems.push(differs(&names, *chain, *seq));
            }
        }
        self.compare_ends(found, &here, &there, &known)
    }

    /// Tells how the server's chains differ from those here, which should have all that is `known`.
    fn compare_ends(
        &mut self,
        found: &mut Verification,
        here: &Ends,
        there: &Ends,
        known: &Ends,
    ) -> Result<(), ClientError> {
        let names = self.names()?;
        let waiting = self.waiting_changes()?;
        let mut marks = Walk::default();
        let mut shorter = Vec::new();
        for (chain, &(seq, hash)) in here {
            let (there_seq, there_hash) = there.get(chain).copied().unwrap_or((0, Hash::ZERO));
            if there_seq == seq && there_hash != hash {
                found.problems.push(differs(&names, *chain, seq));
            }
            if there_seq < seq {
                if there_seq > 0 {
                    marks.mark(*chain, there_seq);
                    shorter.push((*chain, there_seq, there_hash));
                }
                let lacking: Vec<u64> = (there_seq + 1..=seq)
                    .filter(|seq| !waiting.contains_key(&(*chain, *seq)))
                    .collect();
                if let (Some(&first), Some(&last)) = (lacking.first(), lacking.last()) {
                    let text = changes(first, last);
                    found.problems.push(Problem {
                        side: Side::Server,
                        device: names.get(chain).cloned(),
                        chain: Some(*chain),
                        seqs: Some((first, last)),
                        position: None,
                        what: format!(
                            "the server lacks {text} of {}, for which there were receipts",
                            whose(&names, *chain)
                        ),
                        remedy: Some("suibi sync gives them back".into()),
                    });
                }
            }
        }
        if !shorter.is_empty() {
            let walk = self.walk_here(marks, &mut |_, _| {})?;
            for (chain, seq, hash) in shorter {
                if walk.marked(chain).is_some_and(|marked| marked != hash) {
                    found.problems.push(differs(&names, chain, seq));
                }
            }
        }
        for (chain, &(seq, _)) in known {
            let have = here.get(chain).map_or(0, |(have, _)| *have);
            if have < seq {
                found.problems.push(Problem {
                    side: Side::Here,
                    device: names.get(chain).cloned(),
                    chain: Some(*chain),
                    seqs: Some((have + 1, seq)),
                    position: None,
                    what: format!(
                        "this device lacks {} of {}",
                        changes(have + 1, seq),
                        whose(&names, *chain)
                    ),
                    remedy: Some("suibi sync fetches them".into()),
                });
            }
        }
        Ok(())
    }

    /// Checks a receipt that was given at any time: `#1284 · 3f9ac1` in any spelling, or one of its halves. A change is
    /// found by its hash, so also at another position, on a server that was restored.
    ///
    /// # Errors
    ///
    /// [`ClientError::Receipt`] for what is none; when the replica cannot be read.
    pub fn verify_receipt(
        &mut self,
        receipt: &str,
        within: Duration,
    ) -> Result<ReceiptCheck, ClientError> {
        let deadline = Instant::now() + within;
        let named = Named::parse(receipt).ok_or_else(|| ClientError::Receipt(receipt.into()))?;
        let here = self.find_receipt(&named)?;
        let server = self.receipt_on_server(&named, here.as_ref(), deadline);
        Ok(ReceiptCheck { position: named.position, hash: named.hash, here, server })
    }

    fn find_receipt(&mut self, named: &Named) -> Result<Option<ReceiptHere>, ClientError> {
        let mut reader = self.reader()?;
        // The position is what the server called it when it was last asked; the hash is what it is.
        for name in [&named.hash, &named.position.map(|position| format!("#{position}"))] {
            let Some(name) = name.as_ref().and_then(|name| name.parse().ok()) else { continue };
            for note in reader.find(JournalId::FIRST, &name)? {
                let history = reader.history(JournalId::FIRST, note)?;
                let found =
                    history.into_iter().find(|past| named.is(past.receipt, past.entry.hash()));
                if let Some(Revision { entry, device, receipt, .. }) = found {
                    let (chain, seq) = (entry.change().chain, entry.change().seq);
                    let (hash, position) = (entry.hash(), receipt);
                    return Ok(Some(ReceiptHere { note, device, chain, seq, hash, position }));
                }
            }
        }
        Ok(None)
    }

    fn receipt_on_server(
        &mut self,
        named: &Named,
        here: Option<&ReceiptHere>,
        deadline: Instant,
    ) -> Result<Option<Receipt>, ClientError> {
        let is_it = |position: u64, entry: &Entry| match here {
            Some(here) => here.hash == entry.hash(),
            None => named.is(Some(position), entry.hash()),
        };
        // Where the receipt says, where it was when we last asked, and then anywhere: a restored server has given the
        // positions anew.
        let places = [named.position, here.and_then(|here| here.position)];
        for position in places.into_iter().flatten().filter(|position| *position > 0) {
            let request = Request::new(Code::GET)
                .path("/feed")
                .query("after", &(position - 1).to_string())
                .query("until", &position.to_string());
            let page = self.ask_page(&request, deadline)?;
            let found = page.entries.iter().find(|(position, entry)| is_it(*position, entry));
            if let Some((position, entry)) = found {
                return Ok(Some(receipt(*position, entry)));
            }
        }
        let mut after = Cursor::START;
        loop {
            let page = self.ask_page(&feed_after(after), deadline)?;
            let found = page.entries.iter().find(|(position, entry)| is_it(*position, entry));
            if let Some((position, entry)) = found {
                return Ok(Some(receipt(*position, entry)));
            }
            if page.entries.is_empty() || page.remaining == 0 {
                return Ok(None);
            }
            after = page.next;
        }
    }

    fn ask_page(&mut self, request: &Request, deadline: Instant) -> Result<FeedPage, ClientError> {
        let response = self.prove_ask(request, deadline)?;
        let page = FeedPage::decode(success(&response)?);
        Ok(page.map_err(|error| SyncError::Nonsense(error.to_string()))?)
    }

    fn prove_ask(&mut self, request: &Request, deadline: Instant) -> Result<Response, ClientError> {
        let request = request.clone().accept(ContentFormat::CBOR_SEQ);
        self.ask(&request, deadline.saturating_duration_since(Instant::now()))
    }

    /// Which device each chain belongs to.
    fn names(&mut self) -> Result<BTreeMap<ChainId, String>, ClientError> {
        let heads = self.reader()?.heads(JournalId::FIRST)?;
        Ok(heads.into_iter().map(|head| (head.chain, head.device)).collect())
    }

    /// The ends of the chains as the replica keeps them.
    fn ends(&mut self) -> Result<Ends, ClientError> {
        let heads = self.reader()?.heads(JournalId::FIRST)?;
        Ok(heads.into_iter().map(|head| (head.chain, (head.seq, head.hash))).collect())
    }

    fn waiting_changes(&mut self) -> Result<BTreeMap<(ChainId, u64), Hash>, ClientError> {
        let entries = self.store.outbox(usize::MAX)?;
        let place = |entry: &Entry| (entry.change().chain, entry.change().seq);
        Ok(entries.iter().map(|entry| (place(entry), entry.hash())).collect())
    }
}

/// The page of the feed after a cursor.
fn feed_after(after: Cursor) -> Request {
    Request::new(Code::GET)
        .path("/feed")
        .query("after", &after.to_string())
        .query("max", &PAGE_BYTES.to_string())
}

fn receipt(position: u64, entry: &Entry) -> Receipt {
    let (chain, seq) = (entry.change().chain, entry.change().seq);
    Receipt { chain, seq, position, hash: entry.hash() }
}

/// A receipt as somebody wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    position: Option<u64>,
    /// Digits of the hash, lower case.
    hash: Option<String>,
}

impl Named {
    /// `#1284 · 3f9ac1`, `1284 3f9ac1`, `#1284`, `3f9ac1`. Digits alone may be either: then both are there, and the same.
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let is_end = |c: char| !c.is_ascii_alphanumeric();
        let words: Vec<&str> = text.split(is_end).filter(|word| !word.is_empty()).collect();
        let position = |word: &str| word.parse().ok().filter(|_| !word.starts_with('+'));
        let hash = |word: &str| {
            let fits = (6..=64).contains(&word.len());
            (fits && word.bytes().all(|b| b.is_ascii_hexdigit())).then(|| word.to_owned())
        };
        let (position, hash) = match words[..] {
            [one] if text.contains('#') => (Some(position(one)?), None),
            [one] => (position(one), hash(one)),
            [first, second] => (Some(position(first)?), Some(hash(second)?)),
            _ => return None,
        };
        (position.is_some() || hash.is_some()).then_some(Self { position, hash })
    }

    /// Whether a change is the one that is meant. The hash decides where it was given.
    fn is(&self, position: Option<u64>, hash: Hash) -> bool {
        let is_there = self.position.is_some() && self.position == position;
        match (&self.hash, self.position) {
            (None, _) => is_there,
            (Some(digits), named) => {
                let is_either = named.is_some_and(|named| named.to_string() == *digits);
                hash.to_string().starts_with(digits.as_str()) || is_either && is_there
            }
        }
    }
}

fn checked(walk: &Walk) -> Checked {
    let chains = walk.ends().len() as u64;
    Checked { changes: walk.changes, chains, notes: 0, purged: walk.purged }
}

fn problems(
    walk: &Walk,
    side: Side,
    names: &BTreeMap<ChainId, String>,
    remedy: &str,
) -> Vec<Problem> {
    let at = match side {
        Side::Here => "here",
        Side::Server => "on the server",
    };
    let problem = |(chain, fault): (ChainId, Fault)| {
        let whose = whose(names, chain);
        let (seqs, what) = match fault {
            Fault::Missing(first, last) => {
                ((first, last), format!("{} of {whose} missing {at}", are(first, last)))
            }
            Fault::Broken(seq) => (
                (seq, seq),
                format!("change {seq} of {whose} does not follow from the one before it {at}"),
            ),
            Fault::Twice(seq) => {
                ((seq, seq), format!("change {seq} of {whose} is there twice {at}"))
            }
        };
        Problem {
            side,
            device: names.get(&chain).cloned(),
            chain: Some(chain),
            seqs: Some(seqs),
            position: None,
            what,
            remedy: Some(remedy.to_owned()),
        }
    };
    walk.faults().into_iter().map(problem).collect()
}

fn differs(names: &BTreeMap<ChainId, String>, chain: ChainId, seq: u64) -> Problem {
    Problem {
        side: Side::Here,
        device: names.get(&chain).cloned(),
        chain: Some(chain),
        seqs: Some((seq, seq)),
        position: None,
        what: format!(
            "change {seq} of {} is another one here than on the server: the chain was continued twice",
            whose(names, chain)
        ),
        remedy: Some("suibi sync writes what is only here anew, on a chain of its own".into()),
    }
}

fn whose(names: &BTreeMap<ChainId, String>, chain: ChainId) -> String {
    match names.get(&chain) {
        Some(name) if !name.is_empty() => format!("chain {chain} («{name}»)"),
        _ => format!("chain {chain}"),
    }
}

fn changes(first: u64, last: u64) -> String {
    if first == last { format!("change {first}") } else { format!("changes {first} to {last}") }
}

fn are(first: u64, last: u64) -> String {
    let verb = if first == last { "is" } else { "are" };
    format!("{} {verb}", changes(first, last))
}

fn success(response: &Response) -> Result<&[u8], SyncError> {
    if response.code.is_success() { Ok(&response.payload) } else { Err(SyncError::of(response)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_in_any_spelling() {
        let both = Named { position: Some(1284), hash: Some("3f9ac1".into()) };
        for text in ["#1284 · 3f9ac1", "1284 3f9ac1", "#1284·3F9AC1", " #1284 - 3f9ac1 "] {
            assert_eq!(Named::parse(text).as_ref(), Some(&both), "{text}");
        }
        let position = Named { position: Some(1284), hash: None };
        assert_eq!(Named::parse("#1284"), Some(position));
        let hash = Named { position: None, hash: Some("3f9ac1".into()) };
        assert_eq!(Named::parse("3f9ac1"), Some(hash));
        let either = Named::parse("128412").unwrap();
        assert!(either.is(Some(128_412), Hash::ZERO));
        assert!(Named::parse("000000").unwrap().is(Some(9), Hash::ZERO));
        assert!(!either.is(Some(9), Hash::ZERO));
        for text in ["", "tea", "#1284 · tea", "3f9", "1 2 3", "3f9ac1 1284"] {
            assert_eq!(Named::parse(text), None, "{text}");
        }
    }
}
