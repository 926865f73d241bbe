//! Joining: both sides end with one credential, and nobody else with any.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use hex_literal::hex;
use proptest::prelude::*;
use suibi_oscore::{JoinSecret, KeyId, Secret, Transcript, credential, invite_key};

fn key(first: u8) -> JoinSecret {
    JoinSecret::from_bytes(std::array::from_fn(|i| first.wrapping_add(i as u8)))
}

fn invite() -> Secret {
    Secret::from_bytes(&std::array::from_fn::<u8, 16, _>(|i| 0xf0 | i as u8)).unwrap()
}

fn transcript(joiner: &JoinSecret, server: &JoinSecret) -> Transcript {
    Transcript {
        invite: KeyId::from_slice(&[1, 2, 3, 4]).unwrap(),
        device: KeyId::from_slice(&[5, 6, 7, 8]).unwrap(),
        joiner: joiner.public(),
        server: server.public(),
    }
}

#[test]
fn both_sides_derive_the_credential_of_the_format() {
    let (joiner, server) = (key(0x00), key(0x80));
    let seen = transcript(&joiner, &server);
    let ours = credential(&invite(), &joiner, &server.public(), &seen).unwrap();
    let theirs = credential(&invite(), &server, &joiner.public(), &seen).unwrap();
    assert_eq!(ours, theirs);
    // Of our own making, computed by a second program: devices that joined long ago depend on it.
    assert_eq!(
        ours.as_bytes(),
        hex!("765f12b99300938521c94141a3d1b0ba25bef4ae64fb20ee66c97d805283424b")
    );
    assert_eq!(
        invite_key(&invite()).as_bytes(),
        hex!("a388552d9a973bc7ad0a85bac5e6e01c67b6c932d8ac76c67131ba466672fa58")
    );
}

#[test]
fn public_keys_are_those_of_rfc_7748() {
    // RFC 7748 §6.1, Bob.
    let bob = JoinSecret::from_bytes(hex!(
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    ));
    assert_eq!(
        bob.public(),
        hex!("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    );
    assert_eq!(JoinSecret::from_bytes(bob.to_bytes()).public(), bob.public());
}

#[test]
fn every_part_of_the_exchange_counts() {
    let (joiner, server) = (key(0x00), key(0x80));
    let seen = transcript(&joiner, &server);
    let right = credential(&invite(), &joiner, &server.public(), &seen).unwrap();
    let other_id = KeyId::from_slice(&[1, 2, 3, 5]).unwrap();
    let longer_id = KeyId::from_slice(&[1, 2, 3, 4, 0]).unwrap();
    for other in [
        Transcript { invite: other_id, ..seen },
        Transcript { invite: longer_id, ..seen },
        Transcript { device: other_id, ..seen },
        // The two sides are not alike.
        Transcript { joiner: seen.server, server: seen.joiner, ..seen },
    ] {
        let wrong = credential(&invite(), &joiner, &server.public(), &other).unwrap();
        assert_ne!(wrong, right, "{other:?}");
    }
    let other_line = Secret::from_bytes(&[7; 16]).unwrap();
    assert_ne!(credential(&other_line, &joiner, &server.public(), &seen).unwrap(), right);
    assert_ne!(invite_key(&invite()), right);
    assert_ne!(invite_key(&invite()).as_bytes()[..16], *invite().as_bytes());
}

/// Who recorded the join, and gets hold of the line afterwards, has both public keys and the
/// invite's secret, and tries with keys of his own.
#[test]
fn a_recorded_join_and_the_line_do_not_make_the_credential() {
    let (joiner, server, thief) = (key(0x00), key(0x80), key(0x40));
    let seen = transcript(&joiner, &server);
    let right = credential(&invite(), &joiner, &server.public(), &seen).unwrap();
    for theirs in [joiner.public(), server.public()] {
        assert_eq!(credential(&invite(), &thief, &theirs, &seen), None);
        for guessed in [
            Transcript { joiner: thief.public(), server: theirs, ..seen },
            Transcript { joiner: theirs, server: thief.public(), ..seen },
        ] {
            assert_ne!(credential(&invite(), &thief, &theirs, &guessed).unwrap(), right);
        }
    }
}

#[test]
fn a_public_key_that_contributes_nothing_is_refused() {
    // The points of small order, and one of them with its unused top bit set.
    for theirs in [
        hex!("0000000000000000000000000000000000000000000000000000000000000000"),
        hex!("0100000000000000000000000000000000000000000000000000000000000000"),
        hex!("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex!("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex!("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex!("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex!("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex!("0100000000000000000000000000000000000000000000000000000000000080"),
    ] {
        let own = key(9);
        let seen = Transcript { joiner: theirs, server: own.public(), ..transcript(&own, &own) };
        assert_eq!(credential(&invite(), &own, &theirs, &seen), None, "{theirs:02x?}");
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key(1)), "JoinSecret(32 bytes)");
}

proptest! {
    #[test]
    fn two_sides_always_agree(joiner: [u8; 32], server: [u8; 32], line: [u8; 16]) {
        let (joiner, server) = (JoinSecret::from_bytes(joiner), JoinSecret::from_bytes(server));
        let line = Secret::from_bytes(&line).unwrap();
        let seen = transcript(&joiner, &server);
        let ours = credential(&line, &joiner, &server.public(), &seen);
        prop_assert!(ours.is_some());
        prop_assert_eq!(ours, credential(&line, &server, &joiner.public(), &seen));
    }
}
