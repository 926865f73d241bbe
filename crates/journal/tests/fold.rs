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

fn edit_of(hash: [u8; 32], parents: &[[u8; 32]], says: &str) -> Revision {
    let parents = parents.iter().copied().map(Hash::from_bytes).collect();
    Revision { hash: Hash::from_bytes(hash), parents, ..edit(0, &[], says) }
}

fn edit(hash: u8, parents: &[u8], says: &str) -> Revision {
    revision(hash, parents, Some(text(says)))
}

fn deletion(hash: u8, parents: &[u8]) -> Revision {
    revision(hash, parents, Some(Content { body: Body::Deleted, ..text("") }))
}

fn purge(hash: u8, parents: &[u8]) -> Revision {
    revision(hash, parents, Some(Content { body: Body::Purged, ..text("") }))
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
fn edits_made_apart_come_together_until_one_replaces_them() {
    let list = edit(1, &[], "shopping\nmilk");
    let apart = [list, edit(3, &[1], "shopping\nmilk, 2 l"), edit(2, &[1], "shopping\nmilk\n茶叶")];
    let note = folded(&apart);
    assert_eq!(note.body, body("shopping\nmilk, 2 l\n茶叶"));
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (true, false, vec![2, 3]));

    let note = folded(&[&apart[..], &[edit(4, &[2, 3], "shopping\n茶叶")]].concat());
    assert_eq!(note.body, body("shopping\n茶叶"));
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (false, false, vec![4]));
}

#[test]
fn edits_that_clash_are_both_shown_until_one_replaces_them() {
    let plan = edit(1, &[], "周三开会\n带电脑");
    let apart = [plan, edit(3, &[1], "周五开会\n带电脑"), edit(2, &[1], "周四开会\n带电脑")];
    let note = folded(&apart);
    assert_eq!(note.body, body("周四开会\n周五开会\n带电脑"), "the smaller hash first");
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (false, true, vec![2, 3]));

    let note = folded(&[&apart[..], &[edit(4, &[2, 3], "周四开会\n带电脑")]].concat());
    assert_eq!(note.body, body("周四开会\n带电脑"));
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (false, false, vec![4]));
}

#[test]
fn three_devices_apart_for_different_times_come_together() {
    let note = folded(&[
        edit(1, &[], "a\nb\nc"),
        edit(2, &[1], "a\nb\nC"),
        edit(5, &[2], "a\nb\nC\nd"),
        edit(4, &[2], "a\nB\nC"),
        edit(3, &[1], "甲\nb\nc"),
    ]);
    assert_eq!((note.body, note.merged, note.conflict), (body("甲\nB\nC\nd"), true, false));
}

#[test]
fn two_devices_that_resolved_the_same_conflict_are_merged_over_what_both_saw() {
    let crossed =
        [edit(1, &[], "tea at 3 pm"), edit(2, &[1], "tea at 4 pm"), edit(3, &[1], "tea at 5 pm")];
    let seen = folded(&crossed);
    assert_eq!((seen.body, seen.conflict), (body("tea at 4 pm\ntea at 5 pm"), true));
    // Both keep the first line, and one of them adds something.
    let resolved =
        [edit(4, &[2, 3], "tea at 4 pm"), edit(5, &[2, 3], "tea at 4 pm\ntea at 5 pm\nwith cake")];
    let note = folded(&[&crossed[..], &resolved].concat());
    assert_eq!(note.body, body("tea at 4 pm\nwith cake"));
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (true, false, vec![4, 5]));
}

#[test]
fn conflicts_that_three_devices_resolve_crosswise_a_thousand_times_still_merge() {
    let hash = |round: u16, device: u8| {
        let mut hash = [device; 32];
        hash[..2].copy_from_slice(&round.to_be_bytes());
        hash
    };
    let devices = ["laptop", "手机", "tablet"];
    let mut crossed = vec![edit_of(hash(0, 0), &[], "laptop 0\n手机 0\ntablet 0")];
    let mut parents = vec![hash(0, 0)];
    for round in 1..=1000 {
        let before = format!("laptop {0}\n手机 {0}\ntablet {0}", round - 1);
        let heads: Vec<[u8; 32]> = (1..=3).map(|device| hash(round, device)).collect();
        for (head, device) in heads.iter().zip(devices) {
            let (old, new) = (format!("{device} {}", round - 1), format!("{device} {round}"));
            crossed.push(edit_of(*head, &parents, &before.replace(&old, &new)));
        }
        parents = heads;
    }
    let note = folded(&crossed);
    assert_eq!(note.body, body("laptop 1000\n手机 1000\ntablet 1000"));
    assert!(note.merged && !note.conflict);
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
        (note.body.clone(), note.conflict, note.undeleted, head_bytes(&note)),
        (body("kept"), false, true, vec![2, 3])
    );
    let seen = folded(&[edit(1, &[], "a"), deletion(2, &[1]), edit(3, &[2], "back")]);
    assert!(!seen.undeleted, "who saw the deletion knew what they did");
    let resolved =
        folded(&[edit(1, &[], "a"), deletion(2, &[1]), edit(3, &[1], "b"), edit(4, &[2, 3], "b")]);
    assert!(!resolved.undeleted);
}

#[test]
fn with_a_purge_there_is_no_note_whatever_else_comes() {
    let all = [
        edit(1, &[], "a"),
        purge(6, &[1]),
        edit(2, &[1], "not seen by the purge"),
        edit(3, &[6], "after it"),
        deletion(4, &[1]),
        purge(5, &[2]),
    ];
    for count in [2, 3, 4, 5, 6] {
        let note = folded(&all[..count]);
        assert_eq!((note.body.clone(), note.extras.len()), (Body::Purged, 0), "{count}");
        assert!(!note.conflict && !note.merged && !note.undeleted);
        let texts = note.heads.iter().filter(|head| says(head).is_some());
        assert_eq!(texts.count(), 0, "no text is shown");
    }
    assert_eq!(head_bytes(&folded(&all)), [3, 4, 5]);
    // Erased, the others leave the same.
    let is_purge = |r: &Revision| r.content.as_ref().is_some_and(|c| c.body == Body::Purged);
    let erased = all.iter().cloned().map(|revision| match is_purge(&revision) {
        true => revision,
        false => Revision { content: None, ..revision },
    });
    assert_eq!(fold(erased).unwrap(), folded(&all));
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
fn over_an_erased_ancestor_the_same_lines_stand_once_and_the_others_clash() {
    let history = [
        revision(1, &[], None),
        edit(2, &[1], "会议\n周四\n楼上"),
        edit(3, &[1], "会议\n周五\n楼上"),
    ];
    let note = folded(&history);
    assert_eq!((note.body, note.conflict), (body("会议\n周四\n周五\n楼上"), true));
}

#[test]
fn what_would_be_longer_than_a_note_can_be_is_the_text_that_was_written_last() {
    let long = |c: char| c.to_string().repeat(600_000);
    let written = |mut revision: Revision, time: &str| {
        let time = Extra::Text(time.to_owned());
        revision.content.as_mut().unwrap().extras = [(extra::WRITTEN.to_owned(), time)].into();
        revision
    };
    let note = folded(&[
        edit(1, &[], "short"),
        written(edit(2, &[1], &long('a')), "2026-11-24T09:00:00.000+08:00"),
        // Later, although its clock shows less.
        written(edit(3, &[1], &long('b')), "2026-11-24T08:00:00.000+00:00"),
        written(edit(4, &[1], &long('c')), "2026-11-24T01:00:00.000+00:00"),
    ]);
    assert!(note.body == body(&long('b')), "neither cut nor joined");
    assert_eq!((note.merged, note.conflict, head_bytes(&note)), (false, true, vec![2, 3, 4]));
}

#[test]
fn a_revision_whose_parents_have_not_come_counts() {
    let note = folded(&[edit(5, &[4], "later"), edit(2, &[], "first")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("first\nlater"), true, vec![2, 5])
    );
    // The missing one comes, and the conflict was none.
    let note = folded(&[edit(5, &[4], "later"), edit(2, &[], "first"), edit(4, &[2], "mid")]);
    assert_eq!(
        (note.body.clone(), note.conflict, head_bytes(&note)),
        (body("later"), false, vec![5])
    );
}

#[test]
fn time_and_extras_are_what_one_side_made_of_them_and_else_the_smaller_hashes() {
    let with = |mut revision: Revision, time: &str, extras: &[(&str, i64)]| {
        revision.time = at(time);
        let extras = extras.iter().map(|(name, value)| ((*name).to_owned(), Extra::Int(*value)));
        revision.content.as_mut().unwrap().extras = extras.collect();
        revision
    };
    let [monday, tuesday, friday] =
        ["23", "24", "27"].map(|day| format!("2026-11-{day}T00:00:00.000+00:00"));
    let first = with(edit(1, &[], "a"), &monday, &[("kept", 1), ("changed", 1), ("taken out", 1)]);
    let moved = with(edit(3, &[1], "a"), &friday, &[("kept", 1), ("changed", 3), ("new", 3)]);
    let starred = with(
        edit(2, &[1], "a"),
        &monday,
        &[("kept", 1), ("changed", 1), ("taken out", 1), ("star", 2)],
    );
    let deleted = with(deletion(4, &[1]), &tuesday, &[("kept", 4)]);
    let note = folded(&[first.clone(), moved.clone(), starred, deleted]);
    assert_eq!(note.time, at(&friday));
    let expected = |extras: &[(&str, i64)]| -> Extras {
        extras.iter().map(|(name, value)| ((*name).to_owned(), Extra::Int(*value))).collect()
    };
    assert_eq!(note.extras, expected(&[("changed", 3), ("kept", 1), ("new", 3), ("star", 2)]));
    assert!(!note.merged && !note.conflict, "the text is the same");

    let both = with(edit(2, &[1], "a"), &tuesday, &[("kept", 2), ("changed", 2), ("new", 2)]);
    let note = folded(&[first, moved, both]);
    assert_eq!(note.time, at(&tuesday));
    assert_eq!(note.extras, expected(&[("changed", 2), ("kept", 2), ("new", 2)]));
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

/// What several replicas do to one note that starts as `w0 w1 …` on some lines: each edits what it sees, which is
/// what everything that it has folds to, and now and then takes over what another one has. Each word that
/// comes in is new, so that it can be told where it went.
fn histories() -> impl Strategy<Value = Vec<Revision>> {
    let act = (0usize..3, 0u8..12, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (1usize..6, prop::collection::vec(act, 1..24)).prop_map(|(lines, acts)| {
        let mut words = (0..).map(|number| format!("w{number}"));
        let line =
            |words: &mut dyn Iterator<Item = String>| words.take(4).collect::<Vec<_>>().join(" ");
        let start = (0..lines).map(|_| line(&mut words)).collect::<Vec<_>>().join("\n");
        let mut all = vec![edit(151, &[], &start)];
        let mut replicas = [all.clone(), all.clone(), all.clone()];
        for (who, what, first, second) in acts {
            let seen = folded(&replicas[who]);
            let parents: Vec<u8> = head_bytes(&seen);
            // Hashes in no order that has to do with age.
            let hash = (all.len() as u8 + 1).wrapping_mul(151);
            let text = match &seen.body {
                Body::Text(text) => text.clone(),
                Body::Deleted | Body::Purged => String::new(),
            };
            let mut lines: Vec<Vec<String>> =
                text.split('\n').map(|line| line.split(' ').map(str::to_owned).collect()).collect();
            let line_at = first.index(lines.len());
            let word_at = second.index(lines[line_at].len());
            match what {
                0 => lines[line_at] = vec![words.next().unwrap()],
                1 => drop(lines.remove(line_at)),
                2 => drop(lines[line_at].remove(word_at)),
                3 | 4 => lines.insert(line_at, vec![line(&mut words)]),
                5 => lines.push(vec![line(&mut words)]),
                6 | 7 => lines[line_at][word_at] = words.next().unwrap(),
                8 => lines[line_at].insert(word_at, words.next().unwrap()),
                _ => {}
            }
            let says = lines.iter().map(|line| line.join(" ")).collect::<Vec<_>>().join("\n");
            let revision = match what {
                0..=8 => edit(hash, &parents, &says),
                9 => deletion(hash, &parents),
                _ => {
                    let others = replicas[first.index(3)].clone();
                    replicas[who].extend(others);
                    continue;
                }
            };
            replicas[who].push(revision.clone());
            all.push(revision);
        }
        all
    })
}

/// The same with some contents erased.
fn erased_histories() -> impl Strategy<Value = Vec<Revision>> {
    histories().prop_flat_map(|history| {
        let erased = prop::collection::vec(prop::bool::weighted(0.2), history.len());
        (Just(history), erased).prop_map(|(history, erased)| {
            let erase = |(revision, is_erased): (Revision, bool)| match is_erased {
                true => Revision { content: None, ..revision },
                false => revision,
            };
            history.into_iter().zip(erased).map(erase).collect()
        })
    })
}

fn says(revision: &Revision) -> Option<Vec<&str>> {
    match &revision.content.as_ref()?.body {
        Body::Text(text) => Some(text.split_whitespace().collect()),
        Body::Deleted | Body::Purged => None,
    }
}

/// Whether a revision, or one that it comes from, has the word.
fn has_known(history: &[Revision], revision: &Revision, word: &str) -> bool {
    let mut open = vec![revision];
    let mut seen = vec![];
    while let Some(revision) = open.pop() {
        if says(revision).is_some_and(|words| words.contains(&word)) {
            return true;
        }
        if !seen.contains(&revision.hash) {
            seen.push(revision.hash);
            open.extend(history.iter().filter(|other| revision.parents.contains(&other.hash)));
        }
    }
    false
}

proptest! {
    #[test]
    fn any_order_and_any_doubles_fold_alike(
        (history, shuffled) in erased_histories().prop_flat_map(|history| {
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
    fn every_word_of_a_live_head_is_shown_unless_another_one_knew_it_and_took_it_out(
        history in prop_oneof![histories(), erased_histories()]
    ) {
        let note = folded(&history);
        let shown = Revision { content: Some(text("")), ..note.heads[0].clone() };
        let shown = match &note.body {
            Body::Text(says) => edit(0, &[], says),
            Body::Deleted | Body::Purged => shown,
        };
        let shown = says(&shown).unwrap();
        let live: Vec<&Revision> = note.heads.iter().filter(|head| says(head).is_some()).collect();
        for word in live.iter().flat_map(|head| says(head).unwrap()) {
            let took_out = |head: &&Revision| {
                !says(head).unwrap().contains(&word) && has_known(&history, head, word)
            };
            prop_assert!(
                shown.contains(&word) || live.iter().any(took_out),
                "{word:?} of {live:#?} is not in {shown:?}"
            );
        }
        for word in shown {
            let is_there = |head: &&Revision| says(head).unwrap().contains(&word);
            prop_assert!(live.is_empty() || live.iter().any(is_there), "nobody wrote {word:?}");
        }
    }

    #[test]
    fn an_edit_that_names_all_heads_resolves(history in erased_histories()) {
        let note = folded(&history);
        let resolved = edit(255, &head_bytes(&note), "done");
        let note = folded(&[&history[..], &[resolved]].concat());
        prop_assert_eq!((note.body.clone(), head_bytes(&note)), (body("done"), vec![255]));
        prop_assert!(!note.conflict && !note.merged);
    }
}
