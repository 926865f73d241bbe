//! The same changes give the same note, in whatever order they came.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;
use suibi_journal::{
    Body, ChainId, Content, Entry, Extra, Extras, Folded, Hash, Revision, extra, fold,
};
use support::{at, chain, text};

/// A revision whose hash is all this byte.
fn revision(hash: u8, parents: &[u8], content: Option<Content>) -> Revision {
    Revision {
        hash: Hash::from_bytes([hash; 32]),
        parents: parents.iter().map(|parent| Hash::from_bytes([*parent; 32])).collect(),
        time: at("2026-11-23T09:05:00.000+08:00"),
        content,
        chain: ChainId::from_bytes([7; 16]),
        seq: u64::from(hash),
    }
}

fn edit(hash: u8, parents: &[u8], says: &str) -> Revision {
    revision(hash, parents, Some(text(says)))
}

fn deletion(hash: u8, parents: &[u8]) -> Revision {
    revision(hash, parents, Some(Content { body: Body::Deleted, ..text("") }))
}

fn folded(revisions: &[Revision]) -> Folded {
    fold(revisions.iter().cloned()).unwrap()
}

fn body(says: &str) -> Body {
    Body::Text(says.to_owned())
}

fn head_bytes(folded: &Folded) -> Vec<u8> {
    folded.heads.iter().map(|head| head.hash.as_bytes()[0]).collect()
}

#[test]
fn nothing_folds_to_no_note() {
    assert_eq!(fold([]), None);
}

#[test]
fn the_last_of_a_line_of_edits_is_the_note() {
    let note = folded(&[edit(9, &[], "tea"), edit(4, &[9], "green tea"), edit(7, &[4], "绿茶")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("绿茶"), false, vec![7])
    );
    assert_eq!(note.heads[0].seq, 7);
}

#[test]
fn edits_made_apart_are_both_shown_until_one_replaces_them() {
    let apart = [edit(1, &[], "a"), edit(3, &[1], "c"), edit(2, &[1], "b")];
    let note = folded(&apart);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("b\n\nc"), true, vec![2, 3])
    );

    let together = [&apart[..], &[edit(4, &[2, 3], "b and c")]].concat();
    let note = folded(&together);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("b and c"), false, vec![4])
    );
}

#[test]
fn the_same_edit_made_twice_is_no_conflict_but_both_stay_heads() {
    let note = folded(&[edit(1, &[], "a"), edit(2, &[1], "b"), edit(3, &[1], "b")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("b"), false, vec![2, 3])
    );
}

#[test]
fn an_edit_wins_against_a_deletion_made_apart() {
    let note = folded(&[edit(1, &[], "a"), deletion(2, &[1]), edit(3, &[1], "kept")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("kept"), false, vec![2, 3])
    );
}

#[test]
fn a_deleted_note_is_deleted_and_can_come_back() {
    let gone = [edit(1, &[], "a"), deletion(2, &[1]), deletion(3, &[1])];
    assert_eq!((folded(&gone).body, folded(&gone).conflict), (Body::Deleted, false));
    let back = [&gone[..], &[edit(4, &[2, 3], "a")]].concat();
    assert_eq!(folded(&back).body, body("a"));
}

#[test]
fn an_erased_revision_keeps_its_place_and_says_nothing() {
    let history = [revision(1, &[], None), edit(2, &[1], "new")];
    assert_eq!((folded(&history).body, head_bytes(&folded(&history))), (body("new"), vec![2]));
    let all = [revision(1, &[], None), revision(2, &[1], None)];
    assert_eq!((folded(&all).body, head_bytes(&folded(&all))), (Body::Deleted, vec![2]));
    let beside = [edit(1, &[], "a"), revision(2, &[1], None), edit(3, &[1], "left")];
    assert_eq!((folded(&beside).body, folded(&beside).conflict), (body("left"), false));
}

#[test]
fn a_revision_whose_parents_have_not_come_counts() {
    let note = folded(&[edit(5, &[4], "later"), edit(2, &[], "first")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("first\n\nlater"), true, vec![2, 5])
    );
    // The missing one comes, and the conflict was none.
    let note = folded(&[edit(5, &[4], "later"), edit(2, &[], "first"), edit(4, &[2], "mid")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("later"), false, vec![5])
    );
}

#[test]
fn time_and_extras_come_from_the_live_heads() {
    let with = |mut revision: Revision, time: &str, name: &str, value: i64| {
        revision.time = at(time);
        let extras = Extras::from([
            (name.to_owned(), Extra::Int(value)),
            (extra::STAR.to_owned(), Extra::Int(value)),
        ]);
        revision.content.as_mut().unwrap().extras = extras;
        revision
    };
    let note = folded(&[
        with(edit(1, &[], "a"), "2026-11-29T00:00:00.000+00:00", "old", 1),
        with(edit(2, &[1], "b"), "2026-11-25T00:00:00.000+00:00", "two", 2),
        with(edit(3, &[1], "c"), "2026-11-24T00:00:00.000+00:00", "three", 3),
        with(deletion(4, &[1]), "2026-11-28T00:00:00.000+00:00", "four", 4),
    ]);
    assert_eq!(note.time, at("2026-11-25T00:00:00.000+00:00"));
    let expected = [("star", 2), ("three", 3), ("two", 2)];
    assert_eq!(
        note.extras,
        expected.map(|(name, value)| (name.to_owned(), Extra::Int(value))).into()
    );
}

#[test]
fn an_entry_gives_its_revision() {
    let entry = &chain(2)[1];
    let revision = Revision::from(entry);
    assert_eq!((revision.hash, revision.seq), (entry.hash(), 2));
    assert_eq!(revision.content.as_ref(), entry.content());
    let erased = Entry::from_bytes(entry.change_bytes(), None).unwrap();
    assert_eq!(Revision::from(&erased).content, None);
}

/// Histories as devices make them: each revision replaces some that are older.
fn histories() -> impl Strategy<Value = Vec<Revision>> {
    let step = (0u8..8, any::<[bool; 3]>(), any::<[prop::sample::Index; 3]>());
    prop::collection::vec(step, 1..14).prop_map(|steps| {
        let mut revisions = Vec::<Revision>::new();
        for (number, (kind, has_parent, older)) in steps.into_iter().enumerate() {
            // Hashes in no order that has to do with age.
            let hash = (number as u8 + 1).wrapping_mul(151);
            let parents: Vec<u8> = has_parent
                .into_iter()
                .zip(older)
                .filter(|(has, _)| *has && number > 0)
                .map(|(_, older)| (older.index(number) as u8 + 1).wrapping_mul(151))
                .collect();
            revisions.push(match kind {
                0 => deletion(hash, &parents),
                1 => revision(hash, &parents, None),
                _ => edit(hash, &parents, &format!("text {kind}")),
            });
        }
        revisions
    })
}

proptest! {
    #[test]
    fn any_order_and_any_doubles_fold_alike(
        (history, shuffled) in histories().prop_flat_map(|history| {
            let doubled = [&history[..], &history[..history.len() / 2]].concat();
            (Just(history), Just(doubled).prop_shuffle())
        })
    ) {
        prop_assert_eq!(fold(history), fold(shuffled));
    }

    #[test]
    fn an_erased_double_does_not_hide_the_content(
        (history, mixed) in histories().prop_flat_map(|history| {
            let erased = history.iter().cloned().map(|r| Revision { content: None, ..r });
            let mixed = history.iter().cloned().chain(erased).collect::<Vec<_>>();
            (Just(history), Just(mixed).prop_shuffle())
        })
    ) {
        prop_assert_eq!(fold(history), fold(mixed));
    }

    #[test]
    fn every_live_text_that_nothing_replaces_is_shown(history in histories()) {
        let note = folded(&history);
        let replaced: Vec<Hash> = history.iter().flat_map(|r| r.parents.clone()).collect();
        for revision in history.iter().filter(|r| !replaced.contains(&r.hash)) {
            if let Some(Content { body: Body::Text(says), .. }) = &revision.content {
                let Body::Text(shown) = &note.body else { panic!("a live text was lost") };
                prop_assert!(shown.split("\n\n").any(|part| part == says));
            }
        }
    }
}
