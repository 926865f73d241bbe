//! Addresses as people write them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use thiserror::Error;

/// Why a text is no address.
#[derive(Debug, Error)]
pub enum AddressError {
    /// Nothing was written.
    #[error("an empty address; write HOST:PORT, as in 127.0.0.1:{default_port}")]
    Empty {
        /// The port that goes without saying here.
        default_port: u16,
    },
    /// What stands after the last colon is no number up to 65535.
    #[error("«{port}» in «{text}» is no port; ports are numbers from 0 to 65535")]
    Port {
        /// The whole text.
        text: String,
        /// The part that should be a port.
        port: String,
    },
    /// A number alone, which the system would take for an IPv4 address.
    #[error(
        "«{0}» has a port and no host; write 127.0.0.1:{0} for this machine alone, :{0} for every interface"
    )]
    PortAlone(String),
    /// A bracket is missing, or something that is no IPv6 address stands inside.
    #[error("«{0}» is no address; write an IPv6 address with a port as [::1]:5683")]
    Brackets(String),
    /// The name is not known, or its server does not answer.
    #[error("the name «{host}» does not resolve")]
    UnknownHost {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
}

impl AddressError {
    /// Whether the text itself is wrong, so that only a person can help; a name may resolve later.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::UnknownHost { .. })
    }
}

/// All addresses that `text` stands for, at least one, the preferred one first.
///
/// `127.0.0.1:4242`, `[::1]:5683`, `localhost:4242`, `host.example:4242`; without a port `default_port` counts, and an
/// IPv6 address without a port needs no brackets. `:5683` (or `*:5683`) is every interface: `0.0.0.0` and `::`.
/// Port 0 stays 0. `localhost` is loopback without asking anyone (RFC 6761 §6.3); other names ask the system's
/// resolver, which may take seconds.
///
/// # Errors
///
/// When the text has none of these forms, or the name does not resolve.
pub fn resolve(text: &str, default_port: u16) -> Result<Vec<SocketAddr>, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressError::Empty { default_port });
    }
    let (host, port) = split(text, default_port)?;
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| vec![(v4, port).into(), (v6, port).into()];
    if host.is_empty() || host == "*" {
        return Ok(both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED));
    }
    if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return Ok(both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    if host.chars().all(|c| c.is_ascii_digit()) {
        return Err(AddressError::PortAlone(host.to_owned()));
    }
    let unknown = |source| AddressError::UnknownHost { host: host.to_owned(), source };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// Host and port; the host without brackets, empty for every interface.
fn split(text: &str, default_port: u16) -> Result<(&str, u16), AddressError> {
    let port = |port: &str| {
        // `parse` would take "+80".
        match port.parse() {
            Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
            _ => Err(AddressError::Port { text: text.to_owned(), port: port.to_owned() }),
        }
    };
    if let Some(inside) = text.strip_prefix('[') {
        let brackets = || AddressError::Brackets(text.to_owned());
        let (host, rest) = inside.split_once(']').ok_or_else(brackets)?;
        // A scope, as in fe80::1%eth0, is left to the resolver.
        let address = host.split_once('%').map_or(host, |(address, _)| address);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(brackets());
        }
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, port(digits)?)),
            None if rest.is_empty() => Ok((host, default_port)),
            None => Err(brackets()),
        };
    }
    match text.split_once(':') {
        None => Ok((text, default_port)),
        Some((_, rest)) if rest.contains(':') => {
            let address = text.split_once('%').map_or(text, |(address, _)| address);
            match address.parse::<Ipv6Addr>() {
                Ok(_) => Ok((text, default_port)),
                Err(_) => Err(AddressError::Brackets(text.to_owned())),
            }
        }
        Some((host, digits)) => Ok((host, port(digits)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn means(text: &str, expected: &[&str]) {
        let found: Vec<String> =
            resolve(text, 5683).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_form_of_the_exercise_is_understood() {
        means("127.0.0.1:4242", &["127.0.0.1:4242"]);
        means(" 127.0.0.1 ", &["127.0.0.1:5683"]);
        means("localhost:4242", &["127.0.0.1:4242", "[::1]:4242"]);
        means("LocalHost.", &["127.0.0.1:5683", "[::1]:5683"]);
        means("[::]:5683", &["[::]:5683"]);
        means("[::1]", &["[::1]:5683"]);
        means("::1", &["[::1]:5683"]);
        means("::", &["[::]:5683"]);
        means("2001:db8::7", &["[2001:db8::7]:5683"]);
        means(":4242", &["0.0.0.0:4242", "[::]:4242"]);
        means("*:4242", &["0.0.0.0:4242", "[::]:4242"]);
        means("*", &["0.0.0.0:5683", "[::]:5683"]);
        means(":0", &["0.0.0.0:0", "[::]:0"]);
        means("127.0.0.1:0", &["127.0.0.1:0"]);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = resolve(text, 5683).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_permanent());
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        refused("", "an empty address; write HOST:PORT, as in 127.0.0.1:5683");
        refused(
            "localhost:http",
            "«http» in «localhost:http» is no port; ports are numbers from 0 to 65535",
        );
        refused("h:65536", "«65536» in «h:65536» is no port; ports are numbers from 0 to 65535");
        refused("h:", "«» in «h:» is no port; ports are numbers from 0 to 65535");
        refused("h:+80", "«+80» in «h:+80» is no port; ports are numbers from 0 to 65535");
        refused(
            "4242",
            "«4242» has a port and no host; write 127.0.0.1:4242 for this machine alone, :4242 for every interface",
        );
        for text in ["[::1", "[localhost]:80", "[::1]80", "a:b:c", "1:2:3:4"] {
            refused(
                text,
                &format!("«{text}» is no address; write an IPv6 address with a port as [::1]:5683"),
            );
        }
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        // RFC 6761 §6.4: names under "invalid" never exist.
        let error = resolve("no-such-host.invalid:4242", 5683).unwrap_err();
        assert_eq!(error.to_string(), "the name «no-such-host.invalid» does not resolve");
        assert!(!error.is_permanent());
    }
}
