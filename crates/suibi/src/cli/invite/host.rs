//! Which name goes into the line of an invite: one under which others reach this server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use suibi_client::DEFAULT_PORT;

use crate::failure::Failure;
use crate::say::invite as say;

/// A place of which the system knows by which of its own addresses it would send there. Nobody is there: both are
/// kept for documentation (RFC 5737, RFC 3849), and nothing is sent.
const FAR_AWAY: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Where the device that is invited finds the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Host {
    /// A name or an address, an IPv6 address without brackets.
    pub(in crate::cli) name: String,
    pub(in crate::cli) port: u16,
    pub(in crate::cli) chosen: Chosen,
}

/// Why this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Chosen {
    /// `--host` said so.
    Named,
    /// The server listens on this address alone.
    Listener,
    /// The server listens on every address of this machine, and with this one it talks to others.
    Outward,
    /// This device itself reaches the server there.
    Joined,
}

/// Why no line is printed: nobody could use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum NoHost {
    /// No other machine reaches the server.
    LoopbackOnly,
    /// The machine has no address towards others.
    NoOutward,
}

impl Host {
    /// `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address, as `--host` has it.
    ///
    /// # Errors
    ///
    /// A text that is none of these.
    pub(in crate::cli) fn parse(text: &str, default_port: u16) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::usage(say::Host { host: text, why }).hint(say::HostHint);
        let no_port = |port: &str| say::NoPort { port }.to_string();
        let named = |name: &str, port| Self { name: name.to_owned(), port, chosen: Chosen::Named };
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(named(&address.to_string(), default_port));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            if address.port() == 0 {
                return Err(wrong(no_port("0")));
            }
            return Ok(named(&address.ip().to_string(), address.port()));
        }
        let (name, port) = match text.split_once(':') {
            None => (text, default_port),
            Some((name, port)) => match port.parse() {
                Ok(0) | Err(_) => {
                    return Err(wrong(no_port(port)));
                }
                Ok(port) => (name, port),
            },
        };
        let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if name.is_empty() || !is_plain {
            return Err(wrong(say::NoHost.to_string()));
        }
        Ok(named(name, port))
    }

    /// The best of the addresses on which a server listens; `outward` knows this machine's own address towards others
    /// of the same family.
    ///
    /// # Errors
    ///
    /// When no other machine could reach any of them.
    pub(in crate::cli) fn of_listeners(
        listeners: &[SocketAddr],
        outward: impl Fn(SocketAddr) -> Option<IpAddr>,
    ) -> Result<Self, NoHost> {
        let of = |address: IpAddr, port, chosen| Self { name: address.to_string(), port, chosen };
        let mut beyond = listeners.iter().filter(|address| !address.ip().is_loopback()).peekable();
        if beyond.peek().is_none() {
            return Err(NoHost::LoopbackOnly);
        }
        // One address that the owner has named goes before what we find out.
        if let Some(named) = beyond.clone().find(|address| !address.ip().is_unspecified()) {
            return Ok(of(named.ip(), named.port(), Chosen::Listener));
        }
        beyond
            .find_map(|every| Some(of(outward(*every)?, every.port(), Chosen::Outward)))
            .ok_or(NoHost::NoOutward)
    }

    /// Whether only this machine finds it there.
    pub(in crate::cli) fn is_loopback(&self) -> bool {
        self.name == "localhost"
            || self.name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it is an address that means something in its own network alone (RFC 1918, RFC 4193, and their like).
    pub(in crate::cli) fn is_private(&self) -> bool {
        match self.name.parse() {
            Ok(IpAddr::V4(address)) => {
                let [a, b, ..] = address.octets();
                // RFC 6598: shared with the neighbours of the same provider.
                let is_shared = a == 100 && b & 0xc0 == 64;
                address.is_private() || address.is_link_local() || is_shared
            }
            Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_unicast_link_local(),
            Err(_) => false,
        }
    }
}

/// `HOST:PORT`, without the port that everybody expects.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => f.write_str(&self.name)?,
        }
        match self.port {
            DEFAULT_PORT => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

/// This machine's own address towards others, of the family of `listener`. Connecting a UDP socket sends nothing.
pub(in crate::cli) fn outward(listener: SocketAddr) -> Option<IpAddr> {
    let target = FAR_AWAY.into_iter().find(|target| target.is_ipv4() == listener.is_ipv4())?;
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listeners: &[&str]) -> Result<String, NoHost> {
        let listeners: Vec<SocketAddr> =
            listeners.iter().map(|text| text.parse().unwrap()).collect();
        let outward = |listener: SocketAddr| match listener {
            SocketAddr::V4(_) => Some("192.168.1.5".parse().unwrap()),
            SocketAddr::V6(_) => None,
        };
        Host::of_listeners(&listeners, outward).map(|host| format!("{host} {:?}", host.chosen))
    }

    #[test]
    fn an_address_that_was_named_goes_before_one_that_was_found() {
        assert_eq!(chosen(&["0.0.0.0:5683", "[::]:5683"]).unwrap(), "192.168.1.5 Outward");
        assert_eq!(chosen(&["0.0.0.0:7", "10.0.0.9:8"]).unwrap(), "10.0.0.9:8 Listener");
        assert_eq!(
            chosen(&["127.0.0.1:7", "[2001:db8::9]:5683"]).unwrap(),
            "[2001:db8::9] Listener"
        );
    }

    #[test]
    fn where_nobody_else_gets_there_is_no_host() {
        assert_eq!(chosen(&["127.0.0.1:7", "[::1]:7"]), Err(NoHost::LoopbackOnly));
        assert_eq!(chosen(&[]), Err(NoHost::LoopbackOnly));
        assert_eq!(chosen(&["[::]:7"]), Err(NoHost::NoOutward));
    }

    #[test]
    fn hosts_as_people_write_them() {
        for (text, wanted) in [
            ("notes.example.org", "notes.example.org:77"),
            (" notes.example.org:5683 ", "notes.example.org"),
            ("10.0.0.1", "10.0.0.1:77"),
            ("10.0.0.1:99", "10.0.0.1:99"),
            ("2001:db8::1", "[2001:db8::1]:77"),
            ("[2001:db8::1]", "[2001:db8::1]:77"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            assert_eq!(Host::parse(text, 77).unwrap().to_string(), wanted);
        }
        for text in ["", "h:", "h:0", "h:x", "coap://h", "h/path", "a b", "[::1", "10.0.0.1:0"] {
            assert!(Host::parse(text, 77).is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_or_only_this_network() {
        let host = |text| Host::parse(text, 1).unwrap();
        for text in ["localhost", "127.0.0.9", "::1"] {
            assert!(host(text).is_loopback(), "{text}");
        }
        for text in ["192.168.1.5", "10.0.0.1", "172.16.0.1", "100.64.0.1", "fd00::1", "fe80::1"] {
            assert!(host(text).is_private() && !host(text).is_loopback(), "{text}");
        }
        for text in ["198.51.100.7", "2001:db8::1", "notes.example.org"] {
            assert!(!host(text).is_private() && !host(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn this_machines_own_address_is_none_of_loopback() {
        // A machine without a network has none.
        if let Some(address) = outward("0.0.0.0:1".parse().unwrap()) {
            assert!(!address.is_loopback() && !address.is_unspecified());
        }
    }
}
