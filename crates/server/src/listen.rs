//! Opening the listeners: all of them, or none.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use suibi_coap::Protection;
use suibi_net::{TcpListener, UdpSocket, resolve};

use crate::config::{
    COAP_PORT, Config, ListenerInfo, ListenerKind, PLAIN_PORT, PlainListen, Reach,
};
use crate::door::{Door, Speaks};
use crate::error::ServeError;
use crate::plain::{MAX_DATAGRAM_BYTES, Plain};

/// How often another free port is tried that both IPv4 and IPv6 have.
const PORT_TRIES: usize = 16;

/// Where the owner's own commands come in when nothing else is open to them.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A listener, its addresses found, nothing opened yet.
pub(crate) struct Planned<'a> {
    addresses: Vec<SocketAddr>,
    how: How<'a>,
}

/// What it is to speak.
#[derive(Clone, Copy)]
enum How<'a> {
    Oscore,
    Coap,
    Plain(&'a PlainListen),
}

impl How<'_> {
    fn kind(&self) -> ListenerKind {
        match self {
            Self::Oscore => ListenerKind::Oscore,
            Self::Coap => ListenerKind::Coap,
            Self::Plain(_) => ListenerKind::Plain,
        }
    }

    fn takes_streams(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

/// Finds all addresses, and refuses what nobody should open.
pub(crate) fn plan(config: &Config) -> Result<Vec<Planned<'_>>, ServeError> {
    if config.listen.is_empty() && config.coap.is_empty() && config.plain.is_empty() {
        return Err(ServeError::NoListener);
    }
    let find = |text: &str, port| {
        resolve(text, port).map_err(|source| ServeError::Address { text: text.to_owned(), source })
    };
    let mut planned = Vec::new();
    let protected = config.listen.iter().map(|listen| (listen, How::Oscore));
    let unprotected = config.coap.iter().map(|listen| (listen, How::Coap));
    for (listen, how) in protected.chain(unprotected) {
        if listen.address.contains(',') {
            return Err(ServeError::CoapOptions(listen.address.clone()));
        }
        planned.push(Planned { addresses: find(&listen.address, COAP_PORT)?, how });
    }
    for listen in &config.plain {
        let addresses = find(&listen.address, PLAIN_PORT)?;
        let max_bytes = listen.rules.max_bytes;
        if !(1..=MAX_DATAGRAM_BYTES).contains(&max_bytes) {
            return Err(ServeError::PlainMax(max_bytes));
        }
        let distant = addresses.iter().find(|address| Reach::of(**address) != Reach::ThisMachine);
        if let (Some(&address), false) = (distant, listen.anyone) {
            return Err(ServeError::PlainReach { address });
        }
        planned.push(Planned { addresses, how: How::Plain(listen) });
    }
    let is_oscore = |planned: &&Planned<'_>| matches!(planned.how, How::Oscore);
    let mut oscore = planned.iter().filter(is_oscore).flat_map(|planned| &planned.addresses);
    if !oscore.any(|address| Reach::of(*address) != Reach::OneAddress) {
        // For the owner's own commands, which come over loopback and in no other way.
        planned.push(Planned { addresses: vec![LOOPBACK], how: How::Oscore });
    }
    Ok(planned)
}

/// What is open: for each door its socket, and what is said of it.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) doors: Vec<Door>,
    pub(crate) sockets: Sockets,
    pub(crate) listeners: Vec<ListenerInfo>,
}

/// The sockets of all doors.
#[derive(Default)]
pub(crate) struct Sockets {
    /// One for each door, in their order.
    pub(crate) datagrams: Vec<UdpSocket>,
    /// Those of the doors that take streams as well, by the number of the door.
    pub(crate) streams: Vec<(usize, TcpListener)>,
}

/// A door's number for datagrams, and mostly for streams.
struct Bound {
    datagrams: UdpSocket,
    streams: Option<TcpListener>,
}

/// Opens all that was planned; `protection` is for the doors that speak OSCORE.
pub(crate) fn open(
    now: Instant,
    planned: &[Planned<'_>],
    trusts_loopback: bool,
    protection: impl Fn() -> Box<dyn Protection>,
) -> Result<Opened, ServeError> {
    let mut opened = Opened::default();
    for Planned { addresses, how } in planned {
        for Bound { datagrams, streams } in bind_all(addresses, how.takes_streams())? {
            let address = datagrams.local_address();
            let kind = how.kind();
            let door = match how {
                How::Plain(listen) => {
                    let plain = Plain::new(now, listen.rules.clone());
                    Door::new(kind, Speaks::Plain(Box::new(plain)))
                }
                How::Oscore => Door::coap(kind, random()?, trusts_loopback, Some(protection())),
                How::Coap => Door::coap(kind, random()?, trusts_loopback, None),
            };
            let reach = Reach::of(address);
            opened.listeners.push(ListenerInfo { kind, address, reach, tcp: streams.is_some() });
            let number = opened.doors.len();
            opened.doors.push(door);
            opened.sockets.datagrams.push(datagrams);
            opened.sockets.streams.extend(streams.map(|listener| (number, listener)));
        }
    }
    Ok(opened)
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Sockets for each address that this machine has. With port 0 all get the same one, for streams as well.
fn bind_all(addresses: &[SocketAddr], with_streams: bool) -> Result<Vec<Bound>, ServeError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_once(addresses, with_streams) {
            // Free for one of them, in use for the other.
            Err(ServeError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse
                    && addresses.iter().any(|address| address.port() == 0)
                    && tries < PORT_TRIES => {}
            result => return result,
        }
    }
}

fn bind_once(addresses: &[SocketAddr], with_streams: bool) -> Result<Vec<Bound>, ServeError> {
    let mut bound: Vec<Bound> = Vec::new();
    let mut missing = None;
    for &(mut address) in addresses {
        if let (0, Some(first)) = (address.port(), bound.first()) {
            address.set_port(first.datagrams.local_address().port());
        }
        match UdpSocket::bind(address) {
            Ok(datagrams) => {
                let is_chosen = addresses.iter().any(|address| address.port() == 0);
                let streams = match with_streams {
                    true => bind_streams(datagrams.local_address(), is_chosen)?,
                    false => None,
                };
                bound.push(Bound { datagrams, streams });
            }
            Err(source) => {
                // A name or a wildcard stands for IPv4 and IPv6; a machine may have only one of them.
                let is_absent = source.kind() == io::ErrorKind::AddrNotAvailable
                    || matches!(source.kind(), io::ErrorKind::Unsupported)
                    || source.raw_os_error() == Some(EAFNOSUPPORT);
                let error = ServeError::Bind { address, source };
                if !is_absent || addresses.len() == 1 {
                    return Err(error);
                }
                missing.get_or_insert(error);
            }
        }
    }
    match missing {
        Some(error) if bound.is_empty() => Err(error),
        _ => Ok(bound),
    }
}

/// The listener for streams beside a datagram socket; where another program has its number, there is none, unless the
/// number was ours to choose.
fn bind_streams(address: SocketAddr, is_chosen: bool) -> Result<Option<TcpListener>, ServeError> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(source) if is_chosen => Err(ServeError::Bind { address, source }),
        Err(error) => {
            tracing::warn!(%address, %error, "no CoAP over TCP here: its port cannot be had");
            Ok(None)
        }
    }
}

/// Address family not supported: a kernel without IPv6 (Linux numbering).
const EAFNOSUPPORT: i32 = 97;
