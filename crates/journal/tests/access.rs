//! Rights in words and numbers; devices, invites and the trail in their one encoding.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hex_literal::hex;
use proptest::collection::vec;
use proptest::prelude::*;
use suibi_journal::admission::MAX_NAME_BYTES;
use suibi_journal::{
    AuditEntry, AuditKind, DecodeError, DeviceInfo, Rights, RightsError, decode_audit,
    decode_devices, decode_invites, encode_audit, encode_devices, encode_invites, fuzz,
};

proptest! {
    #[test]
    fn all_of_it_decodes_to_itself(
        devices in vec(support::device(), 0..4),
        invites in vec(support::invite(), 0..4),
        audit in vec(support::audit_entry(), 0..4),
    ) {
        prop_assert_eq!(decode_devices(&encode_devices(&devices)), Ok(devices));
        prop_assert_eq!(decode_invites(&encode_invites(&invites)), Ok(invites));
        prop_assert_eq!(decode_audit(&encode_audit(&audit)), Ok(audit));
    }

    #[test]
    fn altered_bytes_are_refused_or_have_no_second_encoding(
        device in support::device(),
        invite in support::invite(),
        entry in support::audit_entry(),
        place in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        for mut bytes in [encode_devices(&[device]), encode_invites(&[invite]), encode_audit(&[entry])] {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            fuzz::entry(&bytes);
            bytes.truncate(place);
            fuzz::entry(&bytes);
        }
    }
}

#[test]
fn rights_are_words_with_commas() {
    for bits in 1..8 {
        let rights = Rights::from_bits(bits).unwrap();
        assert_eq!((rights.bits(), rights.to_string().parse()), (bits, Ok(rights)));
    }
    assert_eq!(Rights::from_bits(8), None);
    assert_eq!(Rights::ALL.to_string(), "read,write,admin");
    assert_eq!(" Write, read ".parse(), Ok(Rights::READ_WRITE));
    assert_eq!("write".parse(), Ok(Rights::DROP));
    assert!(Rights::DROP.is_drop() && !Rights::READ_WRITE.is_drop());

    let none = Rights::default();
    assert!(none.is_none() && none.to_string() == "none");
    for text in ["", "none", "read,", "read write", "owner"] {
        assert_eq!(text.parse::<Rights>(), Err(RightsError), "{text}");
    }
    assert_eq!(
        RightsError.to_string(),
        "rights are read, write and admin, with commas between them"
    );
}

/// A device with these bytes for its key 3 and after.
fn device_with(pairs: u8, rest: &[u8]) -> Result<Vec<DeviceInfo>, DecodeError> {
    let head = hex!("00 62 3037 01 61 61 02 61 62");
    decode_devices(&[&[0xa0 | pairs], &head[..], rest].concat())
}

#[test]
fn every_other_form_is_refused_with_its_reason() {
    assert!(device_with(5, &hex!("03 07 04 00")).is_ok());
    assert!(device_with(6, &hex!("03 07 04 20 07 f5")).is_ok());

    use DecodeError::*;
    let refused = |pairs, rest: &[u8]| match device_with(pairs, rest).unwrap_err() {
        Item { index: 0, source } => *source,
        other => panic!("{other}"),
    };
    assert_eq!(refused(4, &hex!("03 07")), Missing("when the device joined"));
    assert_eq!(refused(4, &hex!("04 00")), Missing("the rights"));
    assert!(matches!(refused(5, &hex!("03 08 04 00")), Unexpected { at: 12, .. }));
    assert!(matches!(refused(5, &hex!("03 18 ff 04 00")), Unexpected { at: 12, .. }));
    assert!(matches!(refused(6, &hex!("03 07 04 00 07 f4")), Invalid(_)));
    assert!(matches!(refused(6, &hex!("03 07 04 00 05 f6")), Unexpected { .. }));
    assert_eq!(refused(5, &hex!("04 00 03 07")), Order { what: "keys", at: 13 });
    let unknown = UnknownKey { what: "a device", key: 8 };
    assert_eq!(refused(6, &hex!("03 07 04 00 08 00")), unknown);
    assert_eq!(
        device_with(5, &hex!("03 07 04 00 ff")).unwrap_err().to_string().get(..7),
        Some("item 1:")
    );

    // An id has digits in pairs, in lower case, and not too many.
    for id in ["", "0", "0A", "0g", "000102030405060708"] {
        let mut bytes = vec![0xa5, 0x00, 0x60 | id.len() as u8];
        bytes.extend(id.as_bytes());
        bytes.extend(hex!("01 61 61 02 61 62 03 07 04 00"));
        assert!(decode_devices(&bytes).is_err(), "{id}");
    }

    // A trail has a reason exactly where somebody was refused, and no empty texts.
    assert!(decode_audit(&hex!("a2 00 00 01 03")).is_ok());
    assert!(decode_audit(&hex!("a3 00 00 01 00 06 60")).is_ok());
    for bytes in [
        &hex!("a2 00 00 01 00")[..],   // refused, and not why
        &hex!("a3 00 00 01 03 06 60"), // joined, and why not
        &hex!("a2 00 00 01 0d"),       // nobody knows what
        &hex!("a3 00 00 01 03 02 60"), // an empty name
        &hex!("a1 00 00"),             // nothing happened
        &hex!("a1 01 03"),             // at no time
    ] {
        assert!(decode_audit(bytes).is_err(), "{bytes:02x?}");
    }
    assert!(decode_invites(&hex!("a0")).is_err());
    assert_eq!(decode_invites(&[]), Ok(vec![]));
}

#[test]
fn long_texts_are_cut_by_their_sender_and_refused_by_their_reader() {
    let long = || "理".repeat(1000);
    let entry = AuditEntry {
        at: 0,
        what: AuditKind::Refused(long()),
        device: long(),
        journal: long(),
        address: long(),
        detail: long(),
    };
    let cut = entry.clone().shortened();
    assert_eq!(cut.what, AuditKind::Refused("理".repeat(341)));
    assert_eq!((cut.device.len(), cut.journal.len()), (255, 63));
    assert_eq!((cut.address.len(), cut.detail.len()), (255, 1023));
    assert_eq!(decode_audit(&encode_audit(&[entry])), Ok(vec![cut]));

    let mut bytes = hex!("a5 00 62 3037 01 61 61 02 78 41").to_vec();
    bytes.extend([b'a'; MAX_NAME_BYTES + 1]);
    bytes.extend(hex!("03 07 04 00"));
    let error = decode_devices(&bytes).unwrap_err().to_string();
    assert_eq!(error, "item 0: the journal's name is 65 long, the limit is 64");
}

#[test]
fn kinds_have_a_number_and_a_word_each() {
    let codes = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12];
    let kinds: Vec<_> = codes
        .into_iter()
        .map(|code| AuditKind::from_code(code, (code == 0).then(|| "too late".to_owned())).unwrap())
        .collect();
    let words: Vec<_> = kinds.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "refused: too late",
            "invited",
            "withdrawn",
            "joined",
            "renamed",
            "revoked",
            "exported",
            "journal-added",
            "recovered",
            "rescued",
            "rebuilt",
            "purged",
        ]
    );
    assert_eq!(kinds.iter().map(AuditKind::code).collect::<Vec<_>>(), codes);
    assert!([7, 13].iter().all(|code| AuditKind::from_code(*code, None).is_none()));
}
