//! A chain shows every gap and every altered byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;
use suibi_journal::{ChainError, ChainId, Change, Entry, Hash, verify_chain};
use support::{chain, text};

#[test]
fn a_whole_chain_verifies_with_and_without_contents() {
    let whole = chain(5);
    assert_eq!(verify_chain(&whole), Ok(()));
    assert_eq!(verify_chain(&[] as &[Entry]), Ok(()));
    let erased: Vec<_> =
        whole.iter().map(|entry| Entry::from_bytes(entry.change_bytes(), None).unwrap()).collect();
    assert_eq!(verify_chain(&erased), Ok(()));
    assert_eq!(erased.last().unwrap().hash(), whole.last().unwrap().hash());
}

#[test]
fn missing_changes_are_named() {
    let whole = chain(9);
    let without = |missing: std::ops::RangeInclusive<u64>| {
        let left: Vec<_> =
            whole.iter().filter(|entry| !missing.contains(&entry.change().seq)).collect();
        verify_chain(left).unwrap_err()
    };
    let chain = ChainId::from_bytes([7; 16]);
    assert_eq!(without(3..=5), ChainError::Gap { chain, first: 3, last: 5 });
    assert_eq!(without(1..=1), ChainError::Gap { chain, first: 1, last: 1 });
    assert_eq!(
        without(1..=2).to_string(),
        "chain 07070707070707070707070707070707: changes 1 to 2 are missing"
    );
    assert_eq!(
        without(8..=8).to_string(),
        "chain 07070707070707070707070707070707: change 8 is missing"
    );
}

#[test]
fn doubles_strangers_and_wrong_links_are_named() {
    let whole = chain(3);
    let id = ChainId::from_bytes([7; 16]);
    assert_eq!(
        verify_chain([&whole[0], &whole[1], &whole[1]]),
        Err(ChainError::Order { chain: id, seq: 2, after: 2 })
    );

    let other = ChainId::from_bytes([8; 16]);
    let stranger = Entry::new(Change { chain: other, ..whole[1].change().clone() }, text("x"));
    assert_eq!(
        verify_chain([&whole[0], &stranger]),
        Err(ChainError::OtherChain { expected: id, found: other, seq: 2 })
    );

    let named = Hash::of(b"something else");
    let wrong =
        Entry::new(Change { previous: Some(named), ..whole[1].change().clone() }, text("x"));
    assert_eq!(
        verify_chain([&whole[0], &wrong]),
        Err(ChainError::Broken { chain: id, seq: 2, named, found: whole[0].hash() })
    );
}

proptest! {
    #[test]
    fn an_altered_byte_anywhere_is_seen(
        len in 1u64..6,
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let whole = chain(len);
        let last_hash = whole.last().unwrap().hash();
        let altered_at = which.index(whole.len());
        let mut change = whole[altered_at].change_bytes().to_vec();
        let mut content = whole[altered_at].content_bytes().unwrap().to_vec();
        let byte = place.index(change.len() + content.len());
        if byte < change.len() {
            change[byte] ^= flip;
        } else {
            content[byte - change.len()] ^= flip;
        }
        // What does not even read as an entry was seen.
        if let Ok(altered) = Entry::from_bytes(&change, Some(&content)) {
            let mut entries = whole;
            entries[altered_at] = altered;
            let is_whole = verify_chain(&entries).is_ok();
            prop_assert!(!is_whole || entries.last().unwrap().hash() != last_hash);
        }
    }
}
