//! What a replica remembers of its server from one process to the next: little things that save time, none of them
//! needed, each in its `meta`.

use std::net::SocketAddr;
use std::time::Duration;

use suibi_coap::RttEstimate;
use suibi_journal::hex::{array_from_hex, to_hex};
use suibi_oscore::KeyId;
use suibi_store::{SqliteStore, StoreError};

use crate::error::ClientError;
use crate::link::{Epoch, Link};
use crate::membership::Membership;
use crate::outcome::Transport;
use crate::remote::DATAGRAMS_AGAIN;

/// What the server of a membership drew at its last start, and for which credential: `0a1b2c3d 0011223344556677`.
const EPOCH: &str = "epoch";

/// The round trip as it was measured last, in microseconds, and its variation: `192.0.2.1:5683 1500 20`.
const ROUND_TRIP: &str = "round-trip";

/// That datagrams did not get through lately, and when that was found out: `tcp 1763888700000`, in milliseconds since
/// 1970. Not there where they do.
const TRANSPORT: &str = "transport";

/// How often in a row a joined server was silent.
const SILENT: &str = "silent";

/// When the server answered last, in milliseconds since 1970.
const CONTACT: &str = "contact";

/// Keeps what the next process saves time with. That is a write, so only what is news is kept.
pub(crate) fn remember(store: &mut SqliteStore, link: &Link) -> Result<(), ClientError> {
    if let (Some(epoch), Some(Membership { id, .. })) = (link.epoch(), link.membership())
        && self::epoch(store, *id)? != Some(epoch)
    {
        keep_epoch(store, *id, epoch)?;
    }
    keep_transport(store, link.remote.preferred(), jiff::Timestamp::now().as_millisecond())?;
    if let (Some(address), Some(now)) = (link.remote.address(), link.remote.rtt()) {
        keep_round_trip(store, address, now)?;
    }
    Ok(())
}

/// What the server drew for this credential. It is no more than a guess that saves a round trip, so one that makes no
/// sense is none.
pub(crate) fn epoch(store: &mut SqliteStore, id: KeyId) -> Result<Option<Epoch>, StoreError> {
    let text = store.meta(EPOCH)?.unwrap_or_default();
    let epoch = text.strip_prefix(&id.to_string()).and_then(|rest| rest.strip_prefix(' '));
    Ok(epoch.and_then(array_from_hex))
}

pub(crate) fn keep_epoch(
    store: &mut SqliteStore,
    id: KeyId,
    epoch: Epoch,
) -> Result<(), StoreError> {
    store.set_meta_unflushed(EPOCH, &format!("{id} {}", to_hex(&epoch)))
}

/// The round trip to the server, and at which address.
pub(crate) fn round_trip(
    store: &mut SqliteStore,
) -> Result<Option<(SocketAddr, RttEstimate)>, StoreError> {
    Ok(store.meta(ROUND_TRIP)?.as_deref().and_then(parse_round_trip))
}

/// The loopback needs no memory.
fn keep_round_trip(
    store: &mut SqliteStore,
    address: SocketAddr,
    now: RttEstimate,
) -> Result<(), StoreError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let is_news = round_trip(store)?.is_none_or(|(old_address, old)| {
        let (old, new) = (old.timeout(Duration::ZERO), now.timeout(Duration::ZERO));
        old_address != address || new > old * 2 || new * 2 < old
    });
    if is_news {
        let RttEstimate { srtt, rttvar } = now;
        let text = format!("{address} {} {}", srtt.as_micros(), rttvar.as_micros());
        store.set_meta_unflushed(ROUND_TRIP, &text)?;
    }
    Ok(())
}

fn parse_round_trip(text: &str) -> Option<(SocketAddr, RttEstimate)> {
    let mut words = text.split(' ');
    let address = words.next()?.parse().ok()?;
    let mut micros = || Some(Duration::from_micros(words.next()?.parse().ok()?));
    Some((address, RttEstimate { srtt: micros()?, rttvar: micros()? }))
}

/// Which way worked, if it was not the usual one, and how long ago that was found out.
pub(crate) fn transport(
    store: &mut SqliteStore,
    now: i64,
) -> Result<Option<(Transport, Duration)>, StoreError> {
    let text = store.meta(TRANSPORT)?.unwrap_or_default();
    let at = text.strip_prefix("tcp ").and_then(|at| at.parse::<i64>().ok());
    let ago = at.and_then(|at| u64::try_from(now - at).ok()).map(Duration::from_millis);
    Ok(ago.filter(|ago| *ago < DATAGRAMS_AGAIN).map(|ago| (Transport::Tcp, ago)))
}

/// That the usual way works needs no memory.
fn keep_transport(
    store: &mut SqliteStore,
    transport: Transport,
    now: i64,
) -> Result<(), StoreError> {
    let known = self::transport(store, now)?.map_or(Transport::Udp, |(transport, _)| transport);
    match transport {
        _ if transport == known => Ok(()),
        Transport::Tcp => store.set_meta_unflushed(TRANSPORT, &format!("tcp {now}")),
        Transport::Udp => store.set_meta_unflushed(TRANSPORT, "udp"),
    }
}

/// How often in a row the server was silent.
pub(crate) fn silent(store: &mut SqliteStore) -> Result<u32, StoreError> {
    Ok(store.meta(SILENT)?.and_then(|text| text.parse().ok()).unwrap_or_default())
}

pub(crate) fn keep_silent(store: &mut SqliteStore, times: u32) -> Result<(), StoreError> {
    store.set_meta_unflushed(SILENT, &times.to_string())
}

/// When the server answered last.
pub(crate) fn contact(store: &mut SqliteStore) -> Result<Option<i64>, StoreError> {
    Ok(store.meta(CONTACT)?.and_then(|text| text.parse().ok()))
}

pub(crate) fn keep_contact(store: &mut SqliteStore, at: i64) -> Result<(), StoreError> {
    store.set_meta_unflushed(CONTACT, &at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_read_as_it_was_written() {
        let (address, estimate) = parse_round_trip("192.0.2.1:5683 1500 20").unwrap();
        assert_eq!(address, "192.0.2.1:5683".parse().unwrap());
        assert_eq!(estimate.srtt, Duration::from_micros(1500));
        assert_eq!(estimate.rttvar, Duration::from_micros(20));
        assert!(parse_round_trip("192.0.2.1:5683 1500").is_none());
        assert!(parse_round_trip("").is_none());
    }

    #[test]
    fn that_datagrams_did_not_get_through_is_believed_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = crate::client::open_replica(&dir.path().join("a.db"), "phone").unwrap();
        keep_transport(&mut store, Transport::Udp, 5_000).unwrap();
        assert_eq!(store.meta(TRANSPORT).unwrap(), None);
        keep_transport(&mut store, Transport::Tcp, 5_000).unwrap();
        assert_eq!(store.meta(TRANSPORT).unwrap().unwrap(), "tcp 5000");
        let known = |store: &mut SqliteStore, now| transport(store, now).unwrap();
        let ago = Duration::from_secs(1);
        assert_eq!(known(&mut store, 6_000), Some((Transport::Tcp, ago)));
        assert_eq!(known(&mut store, 605_000), None);
        assert_eq!(known(&mut store, 4_999), None, "a clock that was put back");
        keep_transport(&mut store, Transport::Udp, 7_000).unwrap();
        assert_eq!(known(&mut store, 7_000), None);
    }

    #[test]
    fn what_was_drawn_for_another_credential_is_nothing_to_us() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = crate::client::open_replica(&dir.path().join("a.db"), "phone").unwrap();
        let id = |bytes: &[u8]| KeyId::from_slice(bytes).unwrap();
        assert_eq!(epoch(&mut store, id(b"old")).unwrap(), None);
        keep_epoch(&mut store, id(b"old"), [1; 8]).unwrap();
        assert_eq!(store.meta(EPOCH).unwrap().unwrap(), "6f6c64 0101010101010101");
        assert_eq!(epoch(&mut store, id(b"old")).unwrap(), Some([1; 8]));
        assert_eq!(epoch(&mut store, id(b"new")).unwrap(), None);
        store.set_meta(EPOCH, "6f6c64 01").unwrap();
        assert_eq!(epoch(&mut store, id(b"old")).unwrap(), None);
    }
}
