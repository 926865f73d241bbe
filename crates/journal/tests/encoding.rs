//! Every value has one encoding; every other is refused, with the reason.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hex_literal::hex;
use proptest::collection::vec;
use proptest::prelude::*;
use suibi_journal::{
    Body, Change, Content, Cursor, DecodeError, Entry, Extra, Extras, FeedPage, Hash,
    MAX_EXTRAS_BYTES, MAX_PARENTS, MAX_TEXT_BYTES, Refusal, decode_answers, decode_batch,
    decode_heads, encode_answers, encode_batch, encode_heads, fuzz,
};
use support::{chain, text};

proptest! {
    #[test]
    fn changes_decode_to_themselves(change in support::change()) {
        prop_assert_eq!(Change::decode(&change.encode()), Ok(change));
    }

    #[test]
    fn contents_decode_to_themselves(content in support::content()) {
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
    }

    #[test]
    fn entries_and_batches_decode_to_themselves(entries in vec(support::entry(), 0..4)) {
        let bytes = encode_batch(&entries);
        prop_assert_eq!(bytes.len(), entries.iter().map(Entry::encoded_len).sum::<usize>());
        prop_assert_eq!(decode_batch(&bytes), Ok(entries));
    }

    #[test]
    fn answers_decode_to_themselves(
        answers in vec(
            prop_oneof![support::receipt().prop_map(Ok), support::refusal().prop_map(Err)],
            0..5,
        )
    ) {
        prop_assert_eq!(decode_answers(&encode_answers(&answers)), Ok(answers));
    }

    #[test]
    fn cursors_decode_and_parse_to_themselves(cursor in support::cursor()) {
        prop_assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn pages_decode_to_themselves_and_follow(
        after in support::cursor().prop_map(|c| Cursor { position: c.position >> 8, ..c }),
        steps in vec((1u64..1000, support::entry()), 0..4),
        remaining: u64,
    ) {
        let mut page = FeedPage { entries: vec![], next: after, remaining };
        for (step, entry) in steps {
            page.next = page.next.next(page.next.position + step, entry.hash());
            page.entries.push((page.next.position, entry));
        }
        prop_assert!(page.follows(after));
        prop_assert!(page.entries.is_empty() || !page.follows(Cursor::START) || after == Cursor::START);
        prop_assert_eq!(FeedPage::decode(&page.encode()), Ok(page));
    }

    #[test]
    fn heads_decode_to_themselves_in_the_order_of_their_chains(
        mut heads in vec(support::head(), 0..4)
    ) {
        let bytes = encode_heads(&heads);
        heads.sort_by_key(|head| head.chain);
        prop_assert_eq!(decode_heads(&bytes), Ok(heads));
    }

    #[test]
    fn rude_bytes_are_refused_quietly(bytes: Vec<u8>) {
        fuzz::entry(&bytes);
    }

    #[test]
    fn altered_bytes_are_refused_or_are_another_value(
        entry in support::entry(),
        place in any::<prop::sample::Index>(),
        byte: u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let batch = encode_batch(std::slice::from_ref(&entry));
        let content = entry.content_bytes().unwrap_or_default().to_vec();
        for mut bytes in [batch, entry.change_bytes().to_vec(), content] {
            if bytes.is_empty() {
                continue;
            }
            let place = place.index(bytes.len());
            bytes[place] = byte;
            fuzz::entry(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            fuzz::entry(&bytes);
        }
    }
}

#[test]
fn the_corpus_is_replayed() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/entry");
    let files: Vec<_> =
        std::fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 20, "only {} files in {corpus}", files.len());
    for file in files {
        fuzz::entry(&std::fs::read(file).unwrap());
    }
}

/// A content with these bytes after its version and salt.
fn content_with(pairs: u8, rest: &[u8]) -> Result<Content, DecodeError> {
    let head = hex!("00 01 01 50 00000000000000000000000000000000");
    Content::decode(&[&[0xa0 | pairs], &head[..], rest].concat())
}

#[test]
fn every_other_form_of_a_content_is_refused_with_its_reason() {
    // 21 bytes come before the key 2.
    assert!(content_with(3, &hex!("02 61 61")).is_ok());
    assert!(content_with(3, &hex!("02 f6")).is_ok());
    assert!(content_with(4, &hex!("02 61 61 03 a1 61 62 f5")).is_ok());

    use DecodeError::*;
    let refused = |pairs, rest: &[u8]| content_with(pairs, rest).unwrap_err();
    assert_eq!(refused(3, &hex!("02 78 01 61")), NotShortest { at: 22 });
    assert_eq!(refused(3, &hex!("02 79 0001 61")), NotShortest { at: 22 });
    assert_eq!(refused(3, &hex!("02 7b 0000000000000001 61")), NotShortest { at: 22 });
    assert_eq!(refused(3, &hex!("18 02 61 61")), NotShortest { at: 21 });
    assert_eq!(refused(3, &hex!("02 7f 61 61 ff")), Indefinite { at: 22 });
    assert_eq!(refused(4, &hex!("02 61 61 03 bf 61 62 f5 ff")), Indefinite { at: 25 });
    assert_eq!(refused(3, &hex!("02 62 61")), Truncated { at: 22 });
    assert_eq!(refused(3, &hex!("02 7b ffffffffffffffff 61")), Truncated { at: 22 });
    assert_eq!(refused(3, &hex!("02")), Truncated { at: 22 });
    assert_eq!(refused(3, &hex!("02 61 61 00")), Trailing { at: 24 });
    assert_eq!(refused(3, &hex!("02 61 ff")), Utf8 { at: 22 });
    assert_eq!(refused(3, &hex!("02 63 eda080")), Utf8 { at: 22 });
    assert_eq!(refused(4, &hex!("02 61 61 02 61 61")), Order { what: "keys", at: 24 });
    assert_eq!(refused(4, &hex!("03 a1 61 62 f5 02 61 61")), Order { what: "keys", at: 26 });
    assert_eq!(refused(4, &hex!("02 61 61 04 00")), UnknownKey { what: "a content", key: 4 });
    assert_eq!(refused(2, &[]), Missing("the body"));
    assert_eq!(refused(4, &hex!("02 61 61 03 a1 61 62 80")), TooDeep { at: 28 });
    assert_eq!(refused(4, &hex!("02 61 61 03 a1 61 62 a0")), TooDeep { at: 28 });
    assert_eq!(refused(4, &hex!("02 61 61 03 a1 61 62 c1 00")), TooDeep { at: 28 });
    let names = |at| Order { what: "names of extras", at };
    assert_eq!(refused(4, &hex!("02 61 61 03 a2 61 62 f5 61 61 f5")), names(29));
    assert_eq!(refused(4, &hex!("02 61 61 03 a2 62 6161 f5 61 62 f5")), names(30));
    assert_eq!(refused(4, &hex!("02 61 61 03 a2 61 61 f5 61 61 f5")), names(29));
    for rest in [
        &hex!("02 41 61")[..],      // bytes for a text
        &hex!("02 f7"),             // undefined for null
        &hex!("02 d0 83 40 a0 40"), // a sealed box, which version 1 does not have
        &hex!("02 7c 61"),          // a reserved head
        &hex!("02 f8 16"),          // null, badly written
    ] {
        assert!(matches!(refused(3, rest), Unexpected { at: 22, .. }), "{rest:02x?}");
    }
    for rest in [
        &hex!("02 61 61 03 a1 61 62 f6")[..],              // null
        &hex!("02 61 61 03 a1 61 62 f9 3c00"),             // 1.0
        &hex!("02 61 61 03 a1 61 62 3b ffffffffffffffff"), // below every i64
    ] {
        assert!(matches!(refused(4, rest), Unexpected { at: 28, .. }), "{rest:02x?}");
    }
    assert!(matches!(refused(4, &hex!("02 61 61 03 a0")), Invalid(_)));
    assert!(matches!(refused(3, &hex!("02 f5")), Invalid(_)), "true is no body");

    let newer = Content::decode(&hex!("a2 00 02 18 63 f5")).unwrap_err();
    assert_eq!(newer, UnknownVersion { what: "a content", version: 2, known: 1 });
    assert_eq!(newer.to_string(), "a content has version 2, this program knows version 1");
    assert_eq!(Content::decode(&hex!("a1 01 40")), Err(Missing("the version of a content")));
    assert_eq!(Content::decode(&[]), Err(Truncated { at: 0 }));
}

#[test]
fn every_other_form_of_a_change_is_refused_with_its_reason() {
    let second = chain(2)[1].change().clone();
    let refused = |change: &Change| Change::decode(&change.encode()).unwrap_err();
    assert!(Change::decode(&second.encode()).is_ok());

    let zero = Change { seq: 0, ..second.clone() };
    assert!(matches!(refused(&zero), DecodeError::Unexpected { expected: "a seq, from 1", .. }));
    let first = Change { seq: 1, ..second.clone() };
    assert!(matches!(refused(&first), DecodeError::Invalid(_)));
    let alone = Change { previous: None, ..second.clone() };
    assert_eq!(refused(&alone), DecodeError::Missing("the previous hash"));

    let parents = |count: u16| {
        let parents = (0..count).map(|number| Hash::of(&number.to_be_bytes()));
        Change { parents: parents.collect(), ..second.clone() }
    };
    assert_eq!(Change::decode(&parents(64).encode()).unwrap().parents.len(), MAX_PARENTS);
    assert_eq!(
        refused(&parents(65)),
        DecodeError::TooLarge { what: "the list of parents", len: 65, max: 64 }
    );

    // A lower-case `t` is another spelling of the same time.
    let mut other = second.encode();
    let at = other.windows(4).position(|run| run == b"3T09").unwrap() + 1;
    other[at] = b't';
    assert!(matches!(Change::decode(&other), Err(DecodeError::Unexpected { .. })));

    // Parents in the other order, and one twice.
    let two = parents(2).encode();
    let at = two.windows(3).position(|run| run == hex!("05 82 58")).unwrap() + 2;
    let (a, b) = (two[at..at + 34].to_vec(), two[at + 34..at + 68].to_vec());
    for pair in [[&b[..], &a[..]].concat(), [&a[..], &a[..]].concat()] {
        let mut bytes = two.clone();
        bytes[at..at + 68].copy_from_slice(&pair);
        assert_eq!(
            Change::decode(&bytes),
            Err(DecodeError::Order { what: "parents", at: at + 34 })
        );
    }
}

#[test]
fn what_is_above_a_limit_is_refused_with_both_numbers() {
    let of = |len| text(&"a".repeat(len));
    assert_eq!(Content::decode(&of(MAX_TEXT_BYTES).encode()), Ok(of(MAX_TEXT_BYTES)));
    assert_eq!(of(MAX_TEXT_BYTES).check_limits(), Ok(()));
    let above = of(MAX_TEXT_BYTES + 1);
    let error = above.check_limits().unwrap_err();
    assert_eq!(Content::decode(&above.encode()), Err(error.clone()));
    assert_eq!(error.to_string(), "the text is 1048577 long, the limit is 1048576");

    // A map of one pair, a name of one byte: six bytes besides the value.
    let with = |len| Content {
        extras: Extras::from([("x".to_owned(), Extra::Bytes(vec![0; len]))]),
        ..text("a")
    };
    let largest = with(MAX_EXTRAS_BYTES - 6);
    assert_eq!(largest.check_limits(), Ok(()));
    assert_eq!(Content::decode(&largest.encode()), Ok(largest));
    let above = with(MAX_EXTRAS_BYTES - 5);
    let error = above.check_limits().unwrap_err();
    let what = "the map of extras";
    assert_eq!(error, DecodeError::TooLarge { what, len: 16_385, max: 16_384 });
    assert_eq!(Content::decode(&above.encode()), Err(error));
}

#[test]
fn a_content_of_another_change_is_refused() {
    let [first, second] = <[Entry; 2]>::try_from(chain(2)).unwrap();
    let mixed = Entry::from_bytes(first.change_bytes(), second.content_bytes());
    assert_eq!(mixed, Err(DecodeError::ContentHash));
}

#[test]
fn an_error_in_a_batch_names_the_item() {
    let mut bytes = encode_batch(&chain(2));
    let second = bytes.len();
    bytes.extend(encode_batch(&chain(1)));
    bytes[second] = 0x83;
    let error = decode_batch(&bytes).unwrap_err();
    assert!(matches!(&error, DecodeError::Item { index: 2, .. }), "{error}");
    assert!(error.to_string().starts_with("item 2: expected an entry"), "{error}");
    assert_eq!(decode_batch(&[]), Ok(vec![]));
}

#[test]
fn pages_with_positions_out_of_order_are_refused() {
    let entries: Vec<_> = [3, 3].into_iter().zip(chain(2)).collect();
    let next = Cursor { position: 3, running: Hash::ZERO };
    let page = FeedPage { entries, next, remaining: 0 };
    let error = FeedPage::decode(&page.encode()).unwrap_err();
    assert!(matches!(error, DecodeError::Item { index: 1, .. }), "{error}");
    let beyond = FeedPage { entries: vec![(4, chain(1).remove(0))], ..page };
    assert!(matches!(FeedPage::decode(&beyond.encode()), Err(DecodeError::Invalid(_))));
    assert!(!beyond.follows(Cursor::START));
}

#[test]
fn unknown_answers_are_refused_and_long_reasons_cut() {
    for bytes in [&hex!("81 05")[..], &hex!("82 03 00"), &hex!("80"), &hex!("03")] {
        assert!(decode_answers(bytes).is_err(), "{bytes:02x?}");
    }
    let long = Refusal::Invalid("理".repeat(1000));
    let answers = decode_answers(&encode_answers(&[Err(long)])).unwrap();
    assert_eq!(answers, [Err(Refusal::Invalid("理".repeat(341)))]);
}

#[test]
fn texts_that_are_no_cursor_are_refused() {
    let zeros = "0".repeat(64);
    assert_eq!(format!("0-{zeros}").parse(), Ok(Cursor::START));
    for text in ["", "-", "1", "1-", "x-", "99999999999999999999-"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
        assert!(format!("{text}-{zeros}").parse::<Cursor>().is_err() || text == "1", "{text}");
    }
    for text in
        [format!("01-{zeros}"), format!("+1-{zeros}"), format!("-{zeros}"), format!("1-{zeros}0")]
    {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let have_hash = Some(Hash::of(b"abc"));
    assert_eq!(
        Refusal::Gap { have_seq: 4, have_hash }.to_string(),
        "changes are missing before this one: the server has change 4 (ba7816) of this chain; send what follows"
    );
    assert_eq!(
        Refusal::Fork { have_seq: 0, have_hash: None }.to_string(),
        "the chain was continued elsewhere: the server has nothing of it; go on in a new chain"
    );
    assert!(Refusal::TooLarge.to_string().contains("1 MiB"));
}

#[test]
fn a_deleted_content_has_no_text() {
    let content = Content { body: Body::Deleted, ..text("") };
    assert_eq!(Content::decode(&content.encode()), Ok(content));
}
