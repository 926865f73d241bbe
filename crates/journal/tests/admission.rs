//! What is said when a device is let in: the example bytes of `docs/protocol.md`, and rude ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;

use hex_literal::hex;
use proptest::option;
use proptest::prelude::*;
use suibi_journal::admission::{
    ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest, JoinAnswer, JoinRequest,
    MAX_NAME_BYTES, check_name,
};
use suibi_journal::{DecodeError, Rights};

const NOON: i64 = 1_795_406_700_000; // 2026-11-23T12:05:00+08:00

fn join_request() -> JoinRequest {
    JoinRequest { public: [0xaa; 32], name: "小米手机".to_owned(), time: NOON }
}

fn join_answer() -> JoinAnswer {
    JoinAnswer {
        public: [0xbb; 32],
        id: hex!("07d1e2c3").to_vec(),
        epoch: hex!("0102030405060708"),
        name: "小米手机".to_owned(),
        journal: "notes".to_owned(),
        rights: Rights::READ_WRITE,
        server: "server".to_owned(),
        time: NOON,
    }
}

fn invite_request() -> InviteRequest {
    InviteRequest {
        journal: Some("family".to_owned()),
        rights: Rights::READ_WRITE,
        lasts: Some(3600),
        name: None,
    }
}

fn invite_answer() -> InviteAnswer {
    InviteAnswer {
        id: hex!("5e0c91fa").to_vec(),
        secret: *b"sixteen secret B",
        journal: "family".to_owned(),
        is_new_journal: true,
        rights: Rights::READ_WRITE,
        name: None,
        expires: NOON + 3_600_000,
        time: NOON,
    }
}

fn foreign_request() -> ForeignRequest {
    ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() }
}

fn foreign_answer() -> ForeignAnswer {
    ForeignAnswer {
        id: hex!("a1b2c3d4").to_vec(),
        server_id: b"s".to_vec(),
        secret: *b"sixteen secret B",
        salt: *b"8 bytes.",
        name: "sensor".to_owned(),
        journal: "notes".to_owned(),
        rights: Rights::DROP,
    }
}

/// The block `hex NAME` of the page; what follows a `#` in a line is a remark.
#[track_caller]
fn shown(name: &str) -> Vec<u8> {
    let page = include_str!("../../../docs/protocol.md");
    let (_, rest) = page.split_once(&format!("```hex {name}\n")).expect(name);
    let (block, _) = rest.split_once("```").unwrap();
    let digits: String =
        block.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace()).collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// The page shows these bytes, and nothing else means the same.
#[track_caller]
fn holds<T: Debug + PartialEq>(
    name: &str,
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) {
    let bytes = encode(value);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown(name), bytes, "block `{name}` should be\n{hex}");
    assert_eq!(decode(&bytes).as_ref(), Ok(value));
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{name} cut to {len} bytes was taken");
    }
    assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut other = bytes.clone();
            other[at] ^= 1 << bit;
            if let Ok(read) = decode(&other) {
                assert_eq!(encode(&read), other, "{name}: a second encoding was taken");
            }
        }
    }
}

#[test]
fn the_page_shows_the_bytes_that_the_code_makes() {
    holds("join", &join_request(), JoinRequest::encode, JoinRequest::decode);
    holds("join answer", &join_answer(), JoinAnswer::encode, JoinAnswer::decode);
    holds("invite", &invite_request(), InviteRequest::encode, InviteRequest::decode);
    holds("invite answer", &invite_answer(), InviteAnswer::encode, InviteAnswer::decode);
    holds("foreign device", &foreign_request(), ForeignRequest::encode, ForeignRequest::decode);
    holds("foreign device answer", &foreign_answer(), ForeignAnswer::encode, ForeignAnswer::decode);
}

#[test]
fn what_nobody_knows_is_refused_by_name() {
    let told = |bytes: &[u8]| InviteRequest::decode(bytes).unwrap_err().to_string();
    assert_eq!(
        told(&hex!("a1 0002")),
        "a request for an invite has version 2, this program knows version 1"
    );
    assert_eq!(told(&hex!("a1 0001")), "what it may do is missing");
    assert_eq!(told(&hex!("a3 0001 0103 05f5")), "a request for an invite has an unknown key 5");
    for no_rights in [hex!("a2 0001 0100"), hex!("a2 0001 0108")] {
        assert_eq!(told(&no_rights), "expected rights, a sum of 1 read, 2 write, 4 admin (byte 4)");
    }
    let mut answer = join_answer();
    for id in [vec![], vec![1; 8]] {
        answer.id = id;
        assert!(JoinAnswer::decode(&answer.encode()).is_err());
    }
}

#[test]
fn a_secret_is_not_shown() {
    for shown in [format!("{:?}", invite_answer()), format!("{:?}", foreign_answer())] {
        assert!(shown.contains("secret: 16 bytes,"), "{shown}");
        assert!(!shown.contains("115, 105, 120"), "{shown}");
    }
}

#[test]
fn names_are_short_and_steer_no_terminal() {
    let long = "水".repeat(MAX_NAME_BYTES / 3);
    for name in ["laptop", "laptop 2", "小米手机", "a", &long] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    let too_long = "水".repeat(MAX_NAME_BYTES / 3 + 1);
    for name in ["", " ", "a ", "\ta", "a\tb", "a\nb", "\u{1b}[2J", "a\u{202e}b", &too_long] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn every_request_reads_back_what_was_written(
        journal in option::of(".{0,64}"),
        name in ".{0,64}",
        lasts in option::of(any::<u64>()),
        bits in 1u8..=7,
        public: [u8; 32],
        time: i64,
    ) {
        let rights = Rights::from_bits(bits).unwrap();
        let join = JoinRequest { public, name: name.clone(), time };
        prop_assert_eq!(JoinRequest::decode(&join.encode()), Ok(join));
        let invite = InviteRequest { journal: journal.clone(), rights, lasts, name: Some(name.clone()) };
        prop_assert_eq!(InviteRequest::decode(&invite.encode()), Ok(invite));
        let foreign = ForeignRequest { journal, rights, name };
        prop_assert_eq!(ForeignRequest::decode(&foreign.encode()), Ok(foreign));
    }

    #[test]
    fn no_bytes_are_too_rude(bytes: Vec<u8>) {
        let _ = JoinRequest::decode(&bytes);
        let _ = JoinAnswer::decode(&bytes);
        let _ = InviteRequest::decode(&bytes);
        let _ = InviteAnswer::decode(&bytes);
        let _ = ForeignRequest::decode(&bytes);
        let _ = ForeignAnswer::decode(&bytes);
    }
}
