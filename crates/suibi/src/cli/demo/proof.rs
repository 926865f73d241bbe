//! What the files say when all is over: each note once, each chain whole, each receipt kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use suibi_client::Client;
use suibi_journal::{ChainId, Cursor, Entry, Note, Query, Receipt, verify_chain};
use suibi_net::relay::RelayStats;
use suibi_server::database;
use suibi_store::{JournalId, OwnChain, Reader, SqliteOptions, SqliteStore, Store as _};

use super::eavesdropper::Overheard;
use crate::failure::{Exit, Failure};
use crate::render::style::{DAY, DIM, GOOD, WAITING};
use crate::render::wrap::padded;
use crate::say::demo as say;
use crate::session;

/// How much of the feed is read at a time.
const PAGE_BYTES: usize = 1 << 16;

/// Counted from the files.
pub(super) struct Proof {
    written: usize,
    /// On the server, then on each device.
    places: Vec<Counted>,
    chains: usize,
    changes: usize,
    /// What is wrong with a chain or the feed, if anything is.
    broken: Option<String>,
    /// Receipts that name a change which is not at that place in the server's feed.
    broken_receipts: usize,
    receipts: usize,
}

/// What one journal has of what was written.
struct Counted {
    notes: usize,
    missing: usize,
    doubled: usize,
}

impl Counted {
    fn new(notes: &[Note], written: &BTreeMap<&str, Option<Receipt>>) -> Self {
        let times = |text: &str| notes.iter().filter(|note| note.text == text).count();
        Self {
            notes: notes.len(),
            missing: written.keys().filter(|text| times(text) == 0).count(),
            doubled: written.keys().filter(|text| times(text) > 1).count(),
        }
    }

    fn is_right(&self, written: usize) -> bool {
        self.notes == written && self.missing == 0 && self.doubled == 0
    }
}

impl Proof {
    /// Reads the files of the dead server in `data_dir`, and those of the devices.
    ///
    /// `written` has the texts, and the receipts that the devices were given.
    pub(super) fn read(
        data_dir: &Path,
        clients: &[Client],
        written: &BTreeMap<&str, Option<Receipt>>,
    ) -> Result<Self, Failure> {
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "proof".to_owned() };
        let store = SqliteStore::open(&database(data_dir), options)
            .map_err(|error| session::store_failure(&error))?;
        let mut reader = store.reader().map_err(|error| session::store_failure(&error))?;
        let (feed, broken) = feed(reader.as_mut())?;
        let mut chains: BTreeMap<ChainId, Vec<Entry>> = BTreeMap::new();
        for (_, entry) in &feed {
            chains.entry(entry.change().chain).or_default().push(entry.clone());
        }
        let broken_chain = chains
            .values()
            .find_map(|chain| verify_chain(chain).err())
            .map(|error| error.to_string());
        let receipts: Vec<&Receipt> = written.values().flatten().collect();
        let is_kept = |receipt: &Receipt| {
            feed.iter().any(|(position, entry)| {
                *position == receipt.position && entry.hash() == receipt.hash
            })
        };
        let mut places = vec![Counted::new(&notes(reader.as_mut())?, written)];
        for client in clients {
            let mut reader = client.reader().map_err(|error| session::failure(&error))?;
            places.push(Counted::new(&notes(reader.as_mut())?, written));
        }
        Ok(Self {
            written: written.len(),
            places,
            chains: chains.len(),
            changes: feed.len(),
            broken: broken.or(broken_chain),
            broken_receipts: receipts.iter().filter(|receipt| !is_kept(receipt)).count(),
            receipts: receipts.len(),
        })
    }

    /// Whether all is well, and a few lines that say so or say what is not.
    pub(super) fn tell(
        &self,
        devices: &[&str],
        deaths: u32,
        network: RelayStats,
        secrecy: Overheard,
    ) -> (bool, String) {
        let written = self.written;
        let mut passed = true;
        let mut lines = format!("{DAY}{}{DAY:#}\n", say::Proof);
        let mut line = |label: &str, is_right: bool, text: String| {
            passed &= is_right;
            let mark = if is_right {
                format!("{GOOD}✓{GOOD:#}")
            } else {
                format!("{WAITING}✗{WAITING:#}")
            };
            let _ = writeln!(lines, "{mark} {} {text}", padded(label, 9));
        };
        let server = say::LabelServer.to_string();
        let labels = std::iter::once(server.as_str()).chain(devices.iter().copied());
        for (label, place) in labels.zip(&self.places) {
            let text = if place.is_right(written) {
                say::EachOnce { written, there: place.notes }.to_string()
            } else {
                let Counted { notes: there, missing, doubled } = *place;
                say::NotOnce { written, there, missing, doubled }.to_string()
            };
            line(label, place.is_right(written), text);
        }
        let receipts = match self.broken_receipts {
            0 => say::ReceiptsKept { receipts: self.receipts }.to_string(),
            broken => say::ReceiptsBroken { receipts: self.receipts, broken }.to_string(),
        };
        line(
            &say::Receipts.to_string(),
            self.broken_receipts == 0 && self.receipts == written,
            receipts,
        );
        let chains = match &self.broken {
            None => say::ChainsRight { chains: self.chains, changes: self.changes }.to_string(),
            Some(broken) => broken.clone(),
        };
        line(&say::Chains.to_string(), self.broken.is_none() && self.changes == written, chains);
        let Overheard { datagrams, readable } = secrecy;
        let overheard = match readable {
            0 => say::OverheardNothing { datagrams }.to_string(),
            readable => say::Overheard { datagrams, readable }.to_string(),
        };
        line(&say::Secrecy.to_string(), readable == 0, overheard);
        let RelayStats { carried, dropped, .. } = network;
        let label = padded(&say::LabelNetwork.to_string(), 9);
        let network = say::Network { carried, dropped, times: deaths };
        let _ = writeln!(lines, "  {DIM}{label} {network}{DIM:#}");
        (passed, lines)
    }
}

/// Changes with their positions.
type Feed = Vec<(u64, Entry)>;

/// The whole feed, and what is wrong with its running hash, if anything is.
fn feed(reader: &mut dyn Reader) -> Result<(Feed, Option<String>), Failure> {
    let mut entries = Vec::new();
    let mut cursor = Cursor::START;
    loop {
        let page = reader
            .feed(JournalId::FIRST, cursor, PAGE_BYTES)
            .map_err(|error| session::store_failure(&error))?
            .map_err(|error| Failure::new(Exit::Data, say::FeedBroken).because(&error))?;
        if page.entries.is_empty() {
            break;
        }
        for (position, entry) in page.entries {
            cursor = cursor.next(position, entry.hash());
            entries.push((position, entry));
        }
        if cursor != page.next {
            return Ok((entries, Some(say::FeedHash.to_string())));
        }
    }
    Ok((entries, None))
}

fn notes(reader: &mut dyn Reader) -> Result<Vec<Note>, Failure> {
    reader
        .notes(JournalId::FIRST, &Query::default())
        .map_err(|error| session::store_failure(&error))
}
