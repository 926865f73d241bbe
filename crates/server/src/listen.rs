//! Opening the listeners: all of them, or none.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use suibi_coap::Endpoint;
use suibi_net::{UdpSocket, resolve};

use crate::config::{
    COAP_PORT, Config, ListenerInfo, ListenerKind, PLAIN_PORT, PlainListen, Reach,
};
use crate::door::{Door, Speaks};
use crate::error::ServeError;
use crate::plain::{MAX_DATAGRAM_BYTES, Plain};

/// How often another free port is tried that both IPv4 and IPv6 have.
const PORT_TRIES: usize = 16;

/// A listener, its addresses found, nothing opened yet.
pub(crate) struct Planned<'a> {
    addresses: Vec<SocketAddr>,
    /// How a plain one behaves; CoAP has none.
    plain: Option<&'a PlainListen>,
}

/// Finds all addresses, and refuses what nobody should open.
pub(crate) fn plan(config: &Config) -> Result<Vec<Planned<'_>>, ServeError> {
    if config.coap.is_empty() && config.plain.is_empty() {
        return Err(ServeError::NoListener);
    }
    let find = |text: &str, port| {
        resolve(text, port).map_err(|source| ServeError::Address { text: text.to_owned(), source })
    };
    let mut planned = Vec::new();
    for listen in &config.coap {
        if listen.address.contains(',') {
            return Err(ServeError::CoapOptions(listen.address.clone()));
        }
        planned.push(Planned { addresses: find(&listen.address, COAP_PORT)?, plain: None });
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
        planned.push(Planned { addresses, plain: Some(listen) });
    }
    Ok(planned)
}

/// Opens all that was planned.
pub(crate) fn open(
    now: Instant,
    planned: &[Planned<'_>],
) -> Result<(Vec<Door>, Vec<ListenerInfo>), ServeError> {
    let mut doors = Vec::new();
    let mut listeners = Vec::new();
    for Planned { addresses, plain } in planned {
        for socket in bind_all(addresses)? {
            let address = socket.local_address();
            let (kind, speaks) = match plain {
                Some(listen) => (
                    ListenerKind::Plain,
                    Speaks::Plain(Box::new(Plain::new(now, listen.rules.clone()))),
                ),
                None => {
                    let mut seed = [0; 32];
                    getrandom::fill(&mut seed)
                        .map_err(|error| io::Error::other(error.to_string()))?;
                    let endpoint = Endpoint::new(suibi_coap::Config::own(), seed);
                    (ListenerKind::Coap, Speaks::Coap(Box::new(endpoint)))
                }
            };
            listeners.push(ListenerInfo { kind, address, reach: Reach::of(address) });
            doors.push(Door::new(socket, speaks));
        }
    }
    Ok((doors, listeners))
}

/// A socket for each address that this machine has. With port 0 all get the same one.
fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<UdpSocket>, ServeError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_once(addresses) {
            // Free for one of them, in use for the other.
            Err(ServeError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse
                    && addresses.iter().any(|address| address.port() == 0)
                    && tries < PORT_TRIES => {}
            result => return result,
        }
    }
}

fn bind_once(addresses: &[SocketAddr]) -> Result<Vec<UdpSocket>, ServeError> {
    let mut sockets: Vec<UdpSocket> = Vec::new();
    let mut missing = None;
    for &(mut address) in addresses {
        if let (0, Some(first)) = (address.port(), sockets.first()) {
            address.set_port(first.local_address().port());
        }
        match UdpSocket::bind(address) {
            Ok(socket) => sockets.push(socket),
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
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// Address family not supported: a kernel without IPv6 (Linux numbering).
const EAFNOSUPPORT: i32 = 97;
