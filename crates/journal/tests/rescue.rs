//! The lost branch of a fork is written anew, by everybody alike.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use suibi_journal::{ChainId, Change, Entry, Hash, NoteId, encode_batch, rescue, verify_chain};
use support::{chain, content, hash, time};

/// A branch of a chain from some place on, whose changes name each other and strangers as parents,
/// and of which some are erased.
fn branch() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        content(),
        time(),
        0..4u8,
        vec(any::<prop::sample::Index>(), 0..3),
        vec(hash(), 0..2),
        any::<bool>(),
    );
    (1..1000u64, vec(one, 1..8)).prop_map(|(from, parts)| {
        let mut entries = Vec::<Entry>::new();
        for (seq, (content, time, note, mine, strangers, erased)) in (from..).zip(parts) {
            let mut parents = strangers;
            if !entries.is_empty() {
                parents.extend(mine.iter().map(|index| index.get(&entries).hash()));
            }
            let before = (seq > 1).then_some(Hash::of(b"before the fork"));
            let change = Change {
                chain: ChainId::from_bytes([7; 16]),
                seq,
                previous: entries.last().map(Entry::hash).or(before),
                note: NoteId::from_bytes([note; 16]),
                parents,
                time,
                content: Hash::ZERO,
            };
            let entry = Entry::new(change, content);
            let kept = entry.content_bytes().filter(|_| !erased);
            entries.push(Entry::from_bytes(entry.change_bytes(), kept).unwrap());
        }
        entries
    })
}

#[test]
fn nothing_is_rescued_from_nothing() {
    assert!(rescue(&[]).is_empty());
}

#[test]
fn branches_that_begin_alike_and_differ_later_differ_from_there_on() {
    let whole = chain(4);
    let mut other = chain(3);
    let change = Change { note: NoteId::from_bytes([99; 16]), ..whole[3].change().clone() };
    other.push(Entry::new(change, support::text("another")));
    let (one, two) = (rescue(&whole[1..]), rescue(&other[1..]));
    assert_eq!(one[..2], two[..2]);
    assert_ne!(one[2], two[2]);
    // The fork of the rescued chain is a fork like any other.
    let again = rescue(&two[2..]);
    assert_eq!((again[0].change().seq, again[0].change().previous), (1, None));
    assert_eq!(again[0].content(), other[3].content());
    let chains = [&one, &two, &again].map(|entries| entries[0].change().chain);
    assert!(chains[0] == chains[1] && chains[1] != chains[2]);
}

proptest! {
    #[test]
    fn a_rescued_chain_is_whole_and_reads_back(lost in branch()) {
        let rescued = rescue(&lost);
        prop_assert_eq!(rescued.len(), lost.len());
        prop_assert_eq!(verify_chain(&rescued), Ok(()));
        for entry in &rescued {
            let read = Entry::from_bytes(entry.change_bytes(), entry.content_bytes());
            prop_assert_eq!(read.as_ref(), Ok(entry));
        }
    }

    #[test]
    fn equal_branches_give_equal_bytes_and_shorter_ones_the_beginning(
        lost in branch(),
        len in any::<prop::sample::Index>(),
    ) {
        let rescued = rescue(&lost);
        prop_assert_eq!(encode_batch(&rescue(&lost)), encode_batch(&rescued));
        let len = len.index(lost.len() + 1);
        prop_assert_eq!(encode_batch(&rescue(&lost[..len])), encode_batch(&rescued[..len]));
    }

    #[test]
    fn whoever_has_a_content_no_more_writes_the_same_changes(lost in branch()) {
        let erased: Vec<_> =
            lost.iter().map(|entry| Entry::from_bytes(entry.change_bytes(), None).unwrap()).collect();
        let hashes = |entries: Vec<Entry>| entries.iter().map(Entry::hash).collect::<Vec<_>>();
        prop_assert_eq!(hashes(rescue(&erased)), hashes(rescue(&lost)));
    }

    #[test]
    fn what_was_written_stays_and_parents_go_along(lost in branch()) {
        let rescued = rescue(&lost);
        for (before, after) in lost.iter().zip(&rescued) {
            let (old, new) = (before.change(), after.change());
            prop_assert_eq!((old.note, old.time, old.content), (new.note, new.time, new.content));
            prop_assert_eq!(before.content_bytes(), after.content_bytes());
            let mut expected: Vec<_> = old
                .parents
                .iter()
                .map(|parent| match lost.iter().position(|entry| entry.hash() == *parent) {
                    Some(place) => rescued[place].hash(),
                    None => *parent,
                })
                .collect();
            expected.sort();
            prop_assert_eq!(&new.parents, &expected);
        }
    }
}
