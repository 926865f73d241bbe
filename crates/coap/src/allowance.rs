//! How much may be sent to an address that may be forged (RFC 9175 §2.4).

use std::net::SocketAddr;

use bytes::Bytes;
use rand::{Rng, rngs::StdRng};

use crate::Config;

/// What may be sent to an address: as much as it likes once it has shown that it is there,
/// before that three times the bytes that came from it, so that whoever forges it gains nothing
/// by having us send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// It is where it says.
    Proven,
    /// It may be forged.
    Unproven {
        /// Bytes that may still be sent.
        left: usize,
        /// What it has to give back as Echo.
        challenge: Option<[u8; Self::CHALLENGE_LEN]>,
    },
}

impl Allowance {
    /// Bytes that may be sent for each that came, as in RFC 9000 §8.1.
    const FACTOR: usize = 3;
    const CHALLENGE_LEN: usize = 8;

    /// Of an address that has said nothing yet.
    pub(crate) fn new(address: SocketAddr, config: &Config) -> Self {
        let is_here = config.trusts_loopback && address.ip().to_canonical().is_loopback();
        if !config.limit_unproven || is_here {
            return Self::Proven;
        }
        Self::Unproven { left: 0, challenge: None }
    }

    pub(crate) fn is_proven(&self) -> bool {
        matches!(self, Self::Proven)
    }

    /// So many bytes came.
    pub(crate) fn receive(&mut self, len: usize) {
        if let Self::Unproven { left, .. } = self {
            *left = left.saturating_add(len.saturating_mul(Self::FACTOR));
        }
    }

    /// Whether so many bytes may be sent.
    pub(crate) fn fits(&self, len: usize) -> bool {
        match self {
            Self::Proven => true,
            Self::Unproven { left, .. } => len <= *left,
        }
    }

    /// Takes note of so many bytes that are sent, or gives false: they must not be.
    pub(crate) fn spend(&mut self, len: usize) -> bool {
        if !self.fits(len) {
            return false;
        }
        if let Self::Unproven { left, .. } = self {
            *left -= len;
        }
        true
    }

    /// What the peer has to give back: nobody knows it who does not get what we send there.
    pub(crate) fn challenge(&mut self, rng: &mut StdRng) -> Bytes {
        match self {
            Self::Proven => Bytes::copy_from_slice(&rng.random::<[u8; Self::CHALLENGE_LEN]>()),
            Self::Unproven { challenge, .. } => {
                Bytes::copy_from_slice(challenge.get_or_insert_with(|| rng.random()))
            }
        }
    }

    /// The peer gave this back; whether it was what we asked for.
    pub(crate) fn answer(&mut self, echo: &[u8]) -> bool {
        let Self::Unproven { challenge: Some(challenge), .. } = self else { return false };
        // As one number, so that the time it takes tells nothing of where they differ.
        let is_right = <[u8; Self::CHALLENGE_LEN]>::try_from(echo)
            .is_ok_and(|echo| u64::from_ne_bytes(echo) == u64::from_ne_bytes(*challenge));
        if is_right {
            *self = Self::Proven;
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn stranger() -> Allowance {
        Allowance::new(SocketAddr::from(([192, 0, 2, 1], 5683)), &Config::own())
    }

    #[test]
    fn three_bytes_go_for_each_that_came() {
        let mut allowance = stranger();
        assert!(!allowance.spend(1));
        allowance.receive(10);
        assert!(allowance.spend(20) && !allowance.spend(11) && allowance.spend(10));
        assert!(!allowance.spend(1));
    }

    #[test]
    fn only_the_right_echo_proves_the_address() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut allowance = stranger();
        assert!(!allowance.answer(&[0; 8]), "nothing was asked");
        let challenge = allowance.challenge(&mut rng);
        assert_eq!(allowance.challenge(&mut rng), challenge, "the same until it is answered");
        assert!(!allowance.answer(&challenge[..7]) && !allowance.answer(&[0; 8]));
        assert!(!allowance.is_proven());
        assert!(allowance.answer(&challenge) && allowance.is_proven());
        assert!(allowance.spend(usize::MAX));
    }

    #[test]
    fn loopback_is_proven_however_it_is_written_unless_it_is_not_trusted() {
        let config = Config::own();
        let unlimited = Config { limit_unproven: false, ..Config::own() };
        let untrusted = Config { trusts_loopback: false, ..Config::own() };
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Allowance::new(address.parse().unwrap(), &config).is_proven(), "{address}");
            assert!(!Allowance::new(address.parse().unwrap(), &untrusted).is_proven(), "{address}");
        }
        for address in ["192.0.2.1:1", "[2001:db8::1]:1", "0.0.0.0:1", "[::ffff:192.0.2.1]:1"] {
            assert!(!Allowance::new(address.parse().unwrap(), &config).is_proven(), "{address}");
            assert!(Allowance::new(address.parse().unwrap(), &unlimited).is_proven(), "{address}");
        }
    }
}
