//! Several journals in one store are as many worlds, whatever they have in common.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use suibi_journal::{
    Body, ChainId, Cursor, Day, Entry, Extra, Extras, Hash, Note, NoteId, Query, Refusal, extra,
};
use suibi_store::{
    AccessChange, Expect, JournalId, NoteRefused, NoteWritten, Outcome, Reader, Store, Write,
};

use crate::edit;
use crate::support::{Device, HERE, at, id, text};

const NINE: &str = "2026-11-23T09:00:00.000+08:00";

/// All that a reader tells of a journal, without what differs between stores: positions and chains
/// that were drawn.
#[derive(Debug, PartialEq)]
struct World {
    notes: Vec<(NoteId, String, String)>,
    days: Vec<(Day, u64)>,
    tags: Vec<(String, u64)>,
    count: u64,
    found: Vec<Vec<String>>,
    pushed: Vec<Entry>,
    heads: Vec<(String, u64)>,
}

fn world(reader: &mut dyn Reader, journal: JournalId) -> World {
    let name = |note: Note| (note.id, note.text, note.device);
    let notes: Vec<_> =
        reader.notes(journal, &Query::default()).unwrap().into_iter().map(name).collect();
    for (id, text, _) in &notes {
        assert_eq!(reader.note(journal, *id).unwrap().unwrap().text, *text);
    }
    let text = |text: &str| Query { text: Some(text.to_owned()), ..Query::default() };
    let tag = Query { tags: vec!["shop".to_owned()], ..Query::default() };
    let from = |from: &str| Query { from: Some(from.to_owned()), ..Query::default() };
    let queries = [
        text("milk"),
        text("冷"),
        text("mil* shop"),
        tag,
        from("phone"),
        from("192.0.2.7"),
        Query { limit: Some(3), ..Query::default() },
        Query { limit: Some(2), ..text("milk") },
        Query { before: notes.last().map(|(id, ..)| *id), ..Query::default() },
        Query::on("2026-11-23".parse().unwrap()),
    ];
    let found = queries
        .iter()
        .map(|query| {
            reader.notes(journal, query).unwrap().into_iter().map(|note| note.text).collect()
        })
        .collect();
    let page = reader.feed(journal, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START) && page.remaining == 0);
    assert_eq!(page.next, reader.head(journal).unwrap());
    let heads: Vec<_> = reader.heads(journal).unwrap();
    assert_eq!(heads.iter().map(|head| head.seq).sum::<u64>() as usize, page.entries.len());
    let of_devices = |chain: ChainId| chain.as_bytes()[..2] == *b"a ";
    World {
        notes,
        days: reader.days(journal).unwrap(),
        tags: reader.tags(journal).unwrap(),
        count: reader.count(journal).unwrap(),
        found,
        pushed: page
            .entries
            .into_iter()
            .map(|(_, entry)| entry)
            .filter(|entry| of_devices(entry.change().chain))
            .collect(),
        heads: {
            let mut heads: Vec<_> = heads.into_iter().map(|head| (head.device, head.seq)).collect();
            heads.sort();
            heads
        },
    }
}

/// Small, fast, and the same in each run.
/// Writes at random, with note ids, words, tags, days and device names in common. Nothing is
/// written twice at a time: how that is shown depends on hashes, and a store's own chain is random.
fn a_write(random: &mut StdRng, phone: &mut Device) -> Write {
    let texts = ["milk @shop", "牛奶很冷 #天气", "milk and tea", "#shop twice", "nothing"];
    let body = texts[random.random_range(0..texts.len())];
    let pushed = phone.seq as usize;
    let kind = random.random_range(0..4);
    let number = if kind == 0 { 9 + pushed } else { 1 + random.random_range(0..8 + pushed) } as u32;
    let note = id(number);
    // In the two journals notes have the same instants, in one of them they have not.
    let time = format!("2026-11-2{}T09:00:00.{number:03}+08:00", 1 + random.random_range(0..4));
    match kind {
        0 => {
            let entry = phone.note(number, &time, body);
            phone.push(&[entry])
        }
        1 => edit(note, Expect::Any, None),
        2 => Write::Note {
            id: Some(note),
            expect: Expect::Any,
            body: Body::Text(body.to_owned()),
            time: Some(at(&time)),
            extras: Extras::from([(
                extra::SOURCE.to_owned(),
                Extra::Text("192.0.2.7:40112".to_owned()),
            )]),
            now: at(NINE),
        },
        _ => edit(note, Expect::Exists, Some(body)),
    }
}

/// Two journals of one store are what they would be as the only journals of two stores.
pub(crate) fn kept_apart(both: &mut dyn Store, alone: [&mut dyn Store; 2]) {
    let name = "work".to_owned();
    let added = both.change_access(&AccessChange::AddJournal { name }, None).unwrap().unwrap();
    let journals = [HERE, added.journal.unwrap()];
    let mut phones =
        ["a phone", "a phone too"].map(Device::new).map(|phone| Device { name: "phone", ..phone });
    let (mut random, mut reader) = (StdRng::seed_from_u64(3), both.reader().unwrap());
    let mut readers = [alone[0].reader().unwrap(), alone[1].reader().unwrap()];
    for round in 0..30 {
        let writes: Vec<_> = (0..random.random_range(0..8))
            .map(|_| {
                let which = random.random_range(0..2_usize);
                (which, a_write(&mut random, &mut phones[which]))
            })
            .collect();
        let outcomes = both
            .commit(writes.iter().map(|(which, write)| (journals[*which], write.clone())).collect())
            .unwrap();
        assert_eq!(outcomes.len(), writes.len());
        for ((which, write), outcome) in writes.into_iter().zip(outcomes) {
            let single = alone[which].commit(vec![(HERE, write)]).unwrap().remove(0);
            assert_eq!(gist(&single), gist(&outcome), "round {round}");
        }
        if random.random_range(0..3) == 0 {
            reader.catch_up(usize::MAX).unwrap();
        }
        for (which, journal) in journals.into_iter().enumerate() {
            let single = world(&mut *readers[which], HERE);
            let found = world(&mut *reader, journal);
            assert!(
                found == single,
                "round {round}, {which}:\n{:?}\n{:?}",
                found.notes,
                single.notes
            );
        }
    }
    assert!(reader.count(journals[0]).unwrap() > 3 && reader.count(journals[1]).unwrap() > 3);
}

/// What an outcome says, without positions and hashes.
fn gist(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Pushed(answers) => answers
            .iter()
            .map(|answer| match answer {
                Ok(receipt) => format!("{} {}", receipt.seq, receipt.hash),
                Err(refusal) => refusal.to_string(),
            })
            .collect(),
        Outcome::Note(Ok(NoteWritten { id, created, time, receipt, .. })) => {
            vec![format!("{id} {created} {time} {}", receipt.seq)]
        }
        Outcome::Note(Err(NoteRefused::Exists(_))) => vec!["exists".to_owned()],
        Outcome::Note(Err(refused)) => vec![refused.to_string()],
    }
}

pub(crate) fn another_journal_is_another_world(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let before = world(&mut *reader, HERE);
    let version = reader.version(HERE).unwrap();
    let name = "work".to_owned();
    let added = store.change_access(&AccessChange::AddJournal { name }, None).unwrap().unwrap();
    let work = added.journal.unwrap();
    assert_ne!(work, HERE);

    // The same id, another note.
    let shared = before.notes[0].0;
    let mut phone = Device::new("a phone at work");
    let entry = phone.change(shared, &[], NINE, Body::Text("milk @shop of others".to_owned()));
    let push = phone.push(std::slice::from_ref(&entry));
    let outcomes = store
        .commit(vec![(work, push), (HERE, text("only here", NINE)), (work, text("own", NINE))])
        .unwrap();
    let [Outcome::Pushed(pushed), Outcome::Note(here), Outcome::Note(there)] = &outcomes[..] else {
        panic!("outcomes in the order of their writes: {outcomes:?}");
    };
    let (here, there) = (here.as_ref().unwrap(), there.as_ref().unwrap());
    let positions =
        [pushed[0].as_ref().unwrap().position, here.receipt.position, there.receipt.position];
    assert!(positions.is_sorted(), "{positions:?}");
    assert_ne!(here.receipt.chain, there.receipt.chain, "a chain belongs to one journal");

    let at_work = world(&mut *reader, work);
    let texts: Vec<_> = at_work.notes.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(texts, ["milk @shop of others", "own"]);
    assert_eq!((at_work.count, at_work.tags), (2, vec![("@shop".to_owned(), 1)]));
    assert_eq!(reader.note(HERE, shared).unwrap().unwrap().text, before.notes[0].1);
    assert_eq!(reader.note(HERE, there.id).unwrap(), None);
    assert_eq!(reader.note(work, here.id).unwrap(), None);
    assert_eq!(reader.version(work).unwrap(), there.receipt.position);
    assert_eq!(reader.version(HERE).unwrap(), here.receipt.position);
    assert!(reader.version(HERE).unwrap() > version);
    assert_eq!(world(&mut *reader, HERE).tags, before.tags);
    assert_eq!(world(&mut *reader, HERE).count, before.count + 1);

    // Gone in one, still there in the other; nothing is found by the other's cursor.
    let deleted = store.commit(vec![(work, edit(shared, Expect::Exists, None))]).unwrap();
    assert!(matches!(&deleted[0], Outcome::Note(Ok(_))));
    assert_eq!(reader.note(work, shared).unwrap(), None);
    assert!(reader.note(HERE, shared).unwrap().is_some());
    let there = reader.head(work).unwrap();
    let mismatch = reader.feed(HERE, there, 1000).unwrap().unwrap_err();
    assert_eq!(mismatch.head, reader.head(HERE).unwrap());

    // A note here cannot be guarded by its state there.
    let etag = suibi_store::etag(&[Hash::of(entry.change_bytes())]);
    let outcome = store.commit(vec![(HERE, edit(shared, Expect::Heads(vec![etag]), Some("no")))]);
    let refused = Outcome::Note(Err(NoteRefused::PreconditionFailed));
    assert_eq!(outcome.unwrap(), [refused]);

    let again = phone.note(2, NINE, "strayed");
    let outcome = store.commit(vec![(HERE, phone.push(&[again]))]).unwrap();
    let Outcome::Pushed(answers) = &outcome[0] else { panic!("{outcome:?}") };
    assert!(matches!(answers[0], Err(Refusal::Invalid(_))), "a chain belongs to one journal");
}

pub(crate) fn a_drop_only_adds(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let mut phone = Device::new("a drop");
    let dropped = |phone: &Device, entry: &Entry| match phone.push(std::slice::from_ref(entry)) {
        Write::Push { device, entries, .. } => {
            (HERE, Write::Push { device, entries, only_new: true, may_purge: false })
        }
        Write::Note { .. } | Write::Purge { .. } => unreachable!("a push"),
    };
    let mut answer = |write| match store.commit(vec![write]).unwrap().remove(0) {
        Outcome::Pushed(mut answers) => answers.remove(0),
        Outcome::Note(_) => panic!("a push was answered as a note"),
    };
    let count = reader.count(HERE).unwrap();
    let first = phone.note(70, NINE, "dropped");
    let receipt = answer(dropped(&phone, &first)).unwrap();
    assert_eq!(answer(dropped(&phone, &first)), Ok(receipt), "its answer was lost");
    assert_eq!(reader.count(HERE).unwrap(), count + 1);

    let existing = reader.notes(HERE, &Query::default()).unwrap()[0].clone();
    let own = id(70);
    let no = || Err(Refusal::Invalid("this device can only add notes".to_owned()));
    let here = phone.clone();
    let body = |text: &str| Body::Text(text.to_owned());
    for (note, parents, body) in [
        (own, vec![first.hash()], body("edited")),
        (own, vec![], body("written over")),
        (own, vec![first.hash()], Body::Deleted),
        (existing.id, vec![], body("beside it")),
        (existing.id, existing.heads.clone(), body("instead")),
        (id(71), vec![], Body::Deleted),
        (id(71), existing.heads, body("a child of another note")),
    ] {
        let mut phone = here.clone();
        let entry = phone.change(note, &parents, NINE, body);
        assert_eq!(answer(dropped(&phone, &entry)), no(), "{entry:?}");
    }
    let mut erased = here;
    let entry = erased.note(72, NINE, "erased on the way");
    let entry = Entry::from_bytes(entry.change_bytes(), None).unwrap();
    assert_eq!(answer(dropped(&erased, &entry)), no());

    let second = phone.note(73, NINE, "and one more");
    assert_eq!(answer(dropped(&phone, &second)).unwrap().seq, 2, "nothing refused was kept");
    assert_eq!(reader.count(HERE).unwrap(), count + 2);

    // A copy of the device rescued the note onto another chain before this one delivers it.
    let rescued = suibi_journal::rescue(std::slice::from_ref(&second));
    assert!(answer(dropped(&phone, &rescued[0])).is_ok());
    assert_eq!(reader.count(HERE).unwrap(), count + 2);
}
