//! Forks in replicas: the server's feed decides, and nothing that was written is lost.

use std::path::Path;

use rusqlite::Connection;
use suibi_journal::{
    AuditKind, Body, Cursor, Entry, FeedPage, Hash, NoteId, Query, Receipt, Refusal, rescue,
    rescued_chain,
};
use suibi_store::verify::verify;
use suibi_store::{
    Applied, Expect, PageError, Reader, Rescued, SqliteStore, Store, StoreError, Write,
};

use crate::support::{Device, HERE, at, id, pushed, text, texts, written};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";

/// A copy of the laptop as it was when its first change had this receipt.
fn laptop_after(first: Receipt) -> Device {
    Device { name: "laptop", chain: first.chain, seq: 1, previous: Some(first.hash) }
}

struct Scene {
    dir: tempfile::TempDir,
    server: SqliteStore,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = server(&dir.path().join("server.db"));
        Self { dir, server }
    }

    fn replica(&self, name: &str) -> SqliteStore {
        replica(&self.path(name))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that the server has after a cursor, as one page.
    fn page(&mut self, after: Cursor) -> FeedPage {
        self.server.reader().unwrap().feed(HERE, after, usize::MAX).unwrap().unwrap()
    }

    fn pull(&mut self, to: &mut SqliteStore) -> Applied {
        let cursor = to.cursor().unwrap();
        let page = self.page(cursor);
        to.apply_page(cursor, &page).unwrap()
    }

    /// Sends the outbox; what is refused stays there.
    fn push(&mut self, from: &mut SqliteStore) -> Vec<Result<Receipt, Refusal>> {
        let entries = from.outbox(usize::MAX).unwrap();
        let answers = pushed(&mut self.server, Device::new("laptop").push(&entries));
        let receipts: Vec<_> = answers.iter().flatten().copied().collect();
        from.apply_receipts(&receipts).unwrap();
        answers
    }

    /// The server takes the note "fork" from a copy of the device that has this receipt for its first change.
    fn fork_after(&mut self, first: Receipt) -> Device {
        let mut copy = laptop_after(first);
        let fork = copy.note(9, NOW, "fork");
        pushed(&mut self.server, copy.push(&[fork]));
        copy
    }

    /// The server and a replica say the same, and nothing waits.
    fn agrees(&mut self, replica: &mut SqliteStore) {
        self.pull(replica);
        assert_eq!(replica.waiting().unwrap(), 0);
        let all = |store: &SqliteStore| {
            let mut notes: Vec<_> = store
                .reader()
                .unwrap()
                .notes(HERE, &Query::default())
                .unwrap()
                .into_iter()
                .map(|note| (note.id, note.text, note.heads, note.receipt, note.waiting))
                .collect();
            notes.sort();
            notes
        };
        assert_eq!(all(replica), all(&self.server));
    }
}

/// The device whose chain a replica writes, as it is at the end of these changes: a copy of it.
fn copy_of(entries: &[Entry]) -> Device {
    let last = entries.last().unwrap();
    Device {
        name: "laptop",
        chain: last.change().chain,
        seq: last.change().seq,
        previous: Some(last.hash()),
    }
}

fn edit(note: NoteId, body: &str) -> Write {
    Write::Note {
        id: Some(note),
        expect: Expect::Exists,
        body: Body::Text(body.to_owned()),
        time: None,
        extras: Default::default(),
        now: at("2026-11-24T08:00:00.000+08:00"),
    }
}

fn all(store: &SqliteStore) -> Vec<String> {
    let mut all = texts(&mut *store.reader().unwrap(), Query::default());
    all.sort();
    all
}

/// The whole of a store's own feed.
fn feed(store: &SqliteStore) -> FeedPage {
    let page = store.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START), "the running hashes are right");
    assert_eq!((page.next, page.remaining), (store.reader().unwrap().head(HERE).unwrap(), 0));
    page
}

/// That a store is what its own feed makes of an empty one, row for row, and its index too.
fn is_sound(path: &Path) {
    assert_eq!(verify(path, None, &mut |_, _| {}).unwrap().problems, []);
    let store = replica(path);
    let dir = tempfile::tempdir().unwrap();
    let mut fresh = replica(&dir.path().join("fresh.db"));
    let page = feed(&store);
    fresh.apply_page(Cursor::START, &page).unwrap();
    let rows = |store: &SqliteStore| {
        let mut reader = store.reader().unwrap();
        let mut notes = reader.notes(HERE, &Query::default()).unwrap();
        for note in &mut notes {
            (note.receipt, note.waiting) = (None, false);
            note.device.clear();
        }
        notes.sort_by_key(|note| note.id);
        let search = |reader: &mut dyn Reader, query: Query| {
            let mut found = texts(reader, query);
            found.sort();
            found
        };
        let words = ["note", "edit", "fork"].map(|word| {
            let text = Some(word.to_owned());
            search(&mut *reader, Query { text, ..Query::default() })
        });
        (notes, words, reader.days(HERE).unwrap(), reader.tags(HERE).unwrap(), {
            let mut heads = reader.heads(HERE).unwrap();
            heads.iter_mut().for_each(|head| head.device.clear());
            heads
        })
    };
    assert_eq!(rows(&store), rows(&fresh));
}

#[test]
fn a_lost_branch_is_written_anew_and_waits_in_the_outbox() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    for number in 1..=2 {
        written(&mut laptop, text(&format!("note {number} @shop"), NOW)).unwrap();
    }
    scene.push(&mut laptop);
    // A copy of the laptop writes on, and another device as well; the laptop knows nothing of it.
    let mut copy = copy_of(&feed(&laptop).entries.into_iter().map(|(_, e)| e).collect::<Vec<_>>());
    let mut phone = Device::new("phone");
    let of_phone = phone.note(70, NOW, "note of the phone @home");
    let of_copy = [copy.note(71, NOW, "note of the copy"), copy.note(72, NOW, "and another note")];
    pushed(&mut scene.server, phone.push(&[of_phone]));
    pushed(&mut scene.server, copy.push(&of_copy));
    let of_phone = phone.note(73, NOW, "a later note of the phone");
    pushed(&mut scene.server, phone.push(&[of_phone]));
    let lost: Vec<_> = [3, 4]
        .map(|number| written(&mut laptop, text(&format!("note {number} @shop"), NOW)).unwrap())
        .to_vec();
    let before = laptop.outbox(usize::MAX).unwrap();
    let answers = scene.push(&mut laptop);
    assert!(matches!(answers[0], Err(Refusal::Fork { have_seq: 4, .. })), "{answers:?}");
    let tags = laptop.reader().unwrap().tags(HERE).unwrap();
    assert_eq!(tags, [("@shop".to_owned(), 4)]);

    let applied = scene.pull(&mut laptop);

    let expected =
        Rescued { chain: copy.chain, from_seq: 3, changes: 2, device: "laptop".to_owned() };
    assert_eq!(applied, Applied { new: 4, rescued: vec![expected] });
    assert_eq!(laptop.outbox(usize::MAX).unwrap(), rescue(&before));
    assert_eq!(all(&laptop).len(), 8, "four of the laptop, two of its copy, two of the phone");
    let note = laptop.reader().unwrap().note(HERE, lost[0].id).unwrap().unwrap();
    assert_eq!((note.text.as_str(), note.device.as_str()), ("note 3 @shop", "laptop"));
    assert!(note.waiting);
    let trail = laptop.reader().unwrap().audit(9).unwrap();
    assert_eq!((trail.len(), &trail[0].what), (1, &AuditKind::Rescued));
    assert_eq!(
        trail[0].detail,
        format!(
            "2 from seq 3 of chain {}, now chain {}",
            copy.chain,
            rescued_chain(before[0].hash())
        )
    );
    is_sound(&scene.path("laptop.db"));

    assert!(scene.push(&mut laptop).iter().all(Result::is_ok));
    scene.agrees(&mut laptop);
    assert_eq!(scene.pull(&mut laptop), Applied::default());
    // It writes on in a chain that nobody else has.
    let next = written(&mut laptop, text("written after", NOW)).unwrap().receipt;
    assert!(next.seq == 1 && next.chain != copy.chain);
    assert_eq!(written(&mut laptop, text("and after", NOW)).unwrap().receipt.chain, next.chain);
    assert!(scene.push(&mut laptop).iter().all(Result::is_ok));
    scene.agrees(&mut laptop);
    is_sound(&scene.path("laptop.db"));
}

#[test]
fn what_an_earlier_server_had_acknowledged_is_rescued_as_well() {
    let mut scene = Scene::new();
    let mut lost_server = server(&scene.path("lost.db"));
    let mut laptop = scene.replica("laptop.db");
    let mut phone = Device::new("phone");
    let one = phone.note(1, NOW, "note 1");
    let mut copy = phone.clone();
    let lost = [phone.note(2, NOW, "note 2"), phone.note(3, NOW, "note 3")];
    let all_of_phone = [&[one.clone()][..], &lost].concat();
    pushed(&mut lost_server, phone.push(&all_of_phone));
    let page = feed(&lost_server);
    laptop.apply_page(Cursor::START, &page).unwrap();
    assert_eq!(laptop.waiting().unwrap(), 0);

    // The server comes back without two of them, and the phone, restored as well, writes on.
    let other = copy.note(4, NOW, "note 4");
    pushed(&mut scene.server, copy.push(&[one, other]));
    laptop.reset_cursor().unwrap();
    let applied = scene.pull(&mut laptop);

    assert_eq!((applied.new, applied.rescued.len()), (1, 1));
    assert_eq!((applied.rescued[0].from_seq, applied.rescued[0].changes), (2, 2));
    assert_eq!(laptop.outbox(usize::MAX).unwrap(), rescue(&lost));
    is_sound(&scene.path("laptop.db"));
    assert!(scene.push(&mut laptop).iter().all(Result::is_ok));
    scene.agrees(&mut laptop);
    assert_eq!(all(&laptop), ["note 1", "note 2", "note 3", "note 4"]);
}

#[test]
fn edits_of_other_devices_notes_go_along_and_keep_their_order() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    let mut phone = Device::new("phone");
    let of_phone = phone.note(1, NOW, "note of the phone");
    pushed(&mut scene.server, phone.push(std::slice::from_ref(&of_phone)));
    scene.pull(&mut laptop);
    let own = written(&mut laptop, text("own note", NOW)).unwrap();
    scene.push(&mut laptop);
    let mut copy = laptop_after(own.receipt);
    // Edits of both, twice, in the branch that will lose: each names the one before.
    for round in ["first", "second"] {
        written(&mut laptop, edit(id(1), &format!("note of the phone, {round} edit"))).unwrap();
        written(&mut laptop, edit(own.id, &format!("own note, {round} edit"))).unwrap();
    }
    let lost = laptop.outbox(usize::MAX).unwrap();
    let on_phone = phone.change(
        id(1),
        &[of_phone.hash()],
        "2026-11-20T09:05:00.000+08:00",
        Body::Text("note of the phone".to_owned()),
    );
    let fork = copy.note(9, NOW, "fork");
    pushed(&mut scene.server, phone.push(&[on_phone]));
    pushed(&mut scene.server, copy.push(&[fork]));

    let applied = scene.pull(&mut laptop);

    assert_eq!(applied.rescued[0].changes, 4);
    let rescued = laptop.outbox(usize::MAX).unwrap();
    assert_eq!(rescued, rescue(&lost));
    assert_eq!(rescued[2].change().parents, [rescued[0].hash()]);
    is_sound(&scene.path("laptop.db"));
    let mut reader = laptop.reader().unwrap();
    let note = reader.note(HERE, id(1)).unwrap().unwrap();
    assert_eq!((note.text.as_str(), note.conflict), ("note of the phone, second edit", false));
    assert_eq!(note.time.day().to_string(), "2026-11-20", "what the phone did is merged");
    assert_eq!(reader.note(HERE, own.id).unwrap().unwrap().text, "own note, second edit");
    scene.push(&mut laptop);
    scene.agrees(&mut laptop);
}

#[test]
fn a_note_that_began_in_the_lost_branch_keeps_what_others_wrote_to_it() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    let mut phone = Device::new("phone");
    let mut tablet = Device::new("tablet");
    let mut copy = phone.clone();
    // The tablet has edited what the phone wrote; the edit stays, what it was an edit of leaves.
    let lost = phone.note(1, NOW, "note");
    let edited = tablet.change(id(1), &[lost.hash()], NOW, Body::Text("note, edited".to_owned()));
    let mut first_server = server(&scene.path("first.db"));
    pushed(&mut first_server, phone.push(std::slice::from_ref(&lost)));
    pushed(&mut first_server, tablet.push(std::slice::from_ref(&edited)));
    laptop.apply_page(Cursor::START, &feed(&first_server)).unwrap();
    laptop.reset_cursor().unwrap();
    let other = copy.note(2, NOW, "fork");
    pushed(&mut scene.server, copy.push(&[other]));
    pushed(&mut scene.server, tablet.push(&[edited]));

    scene.pull(&mut laptop);

    is_sound(&scene.path("laptop.db"));
    assert!(all(&laptop).iter().any(|text| text.contains("note, edited")));
    scene.push(&mut laptop);
    scene.agrees(&mut laptop);
}

#[test]
fn several_forks_in_one_page_are_all_healed() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    let mut first_server = server(&scene.path("first.db"));
    let mut devices = ["a", "b", "c"].map(Device::new);
    for (number, device) in (1..).zip(&mut devices) {
        let mut copy = device.clone();
        let lost: Vec<_> = (0..number)
            .map(|n| device.note(10 * number + n, NOW, &format!("note {n} of {}", device.name)))
            .collect();
        pushed(&mut first_server, device.push(&lost));
        let stays: Vec<_> = (0..number)
            .map(|n| copy.note(10 * number + n + 5, NOW, &format!("fork {n} of {}", copy.name)))
            .collect();
        pushed(&mut scene.server, copy.push(&stays));
    }
    laptop.apply_page(Cursor::START, &feed(&first_server)).unwrap();
    laptop.reset_cursor().unwrap();

    let applied = scene.pull(&mut laptop);

    let changes: Vec<_> = applied.rescued.iter().map(|rescued| rescued.changes).collect();
    assert_eq!((applied.new, changes), (6, vec![1, 2, 3]));
    assert_eq!(laptop.waiting().unwrap(), 6);
    is_sound(&scene.path("laptop.db"));
    assert!(scene.push(&mut laptop).iter().all(Result::is_ok));
    scene.agrees(&mut laptop);
    assert_eq!(all(&laptop).len(), 12);
}

/// Two replicas with the same branch of a phone whose server was restored, and the server as it
/// is now, with a fork by the phone.
fn two_with_one_branch(scene: &mut Scene) -> ([SqliteStore; 2], Vec<Entry>) {
    let mut first_server = server(&scene.path("first.db"));
    let mut phone = Device::new("phone");
    let mut copy = phone.clone();
    let lost: Vec<_> = (1..=3).map(|n| phone.note(n, NOW, &format!("note {n}"))).collect();
    pushed(&mut first_server, phone.push(&lost));
    let fork = copy.note(9, NOW, "fork");
    pushed(&mut scene.server, copy.push(&[fork]));
    let replicas = ["laptop.db", "tablet.db"].map(|name| {
        let mut replica = scene.replica(name);
        replica.apply_page(Cursor::START, &feed(&first_server)).unwrap();
        replica.reset_cursor().unwrap();
        replica
    });
    (replicas, lost)
}

#[test]
fn a_rescued_chain_that_comes_by_the_feed_afterwards_counts_as_receipts() {
    let mut scene = Scene::new();
    let ([mut laptop, mut tablet], lost) = two_with_one_branch(&mut scene);
    scene.pull(&mut laptop);
    scene.pull(&mut tablet);
    assert_eq!(tablet.outbox(usize::MAX).unwrap(), rescue(&lost));
    scene.push(&mut laptop);

    assert_eq!(scene.pull(&mut tablet), Applied::default(), "nothing of it is new");

    assert_eq!(tablet.waiting().unwrap(), 0);
    scene.agrees(&mut tablet);
    scene.agrees(&mut laptop);
    is_sound(&scene.path("tablet.db"));
}

#[test]
fn a_rescued_chain_that_came_before_is_not_written_again() {
    let mut scene = Scene::new();
    let ([_, mut tablet], lost) = two_with_one_branch(&mut scene);
    // A server on which the rescued changes stand before the fork; one of them came only later.
    scene.server = server(&scene.path("other.db"));
    let rescued = rescue(&lost);
    let mut copy = Device::new("phone");
    let fork = copy.note(9, NOW, "fork");
    pushed(&mut scene.server, Device::new("laptop").push(&rescued[..2]));
    pushed(&mut scene.server, copy.push(&[fork]));

    let applied = scene.pull(&mut tablet);

    assert_eq!((applied.new, applied.rescued.len()), (3, 1));
    assert_eq!(tablet.outbox(usize::MAX).unwrap(), rescued[2..]);
    is_sound(&scene.path("tablet.db"));
    scene.push(&mut tablet);
    scene.agrees(&mut tablet);
    assert_eq!(all(&tablet), ["fork", "note 1", "note 2", "note 3"]);
}

#[test]
fn branches_with_different_ends_both_arrive() {
    let mut scene = Scene::new();
    let mut phone = Device::new("phone");
    let begin = phone.note(1, NOW, "note 1");
    let [mut one, mut two, mut three] = [Device::new("phone"), phone.clone(), phone.clone()];
    let (end_one, end_two) = (
        [two.note(2, NOW, "note 2"), two.note(3, NOW, "note 3")],
        [three.note(4, NOW, "note 4"), three.note(5, NOW, "note 5")],
    );
    let mut laptop = scene.replica("laptop.db");
    let mut tablet = scene.replica("tablet.db");
    for (replica, end) in [(&mut laptop, end_one), (&mut tablet, end_two)] {
        let name = format!("first-{}.db", end[0].change().note);
        let mut first_server = server(&scene.path(&name));
        let entries = [&[begin.clone()][..], &end].concat();
        pushed(&mut first_server, phone.push(&entries));
        replica.apply_page(Cursor::START, &feed(&first_server)).unwrap();
        replica.reset_cursor().unwrap();
    }
    let fork = one.note(9, NOW, "fork");
    pushed(&mut scene.server, one.push(&[fork]));

    // Both rescue; the tablet, which is later, meets a fork of the rescued chain.
    scene.pull(&mut laptop);
    scene.pull(&mut tablet);
    assert!(scene.push(&mut laptop).iter().all(Result::is_ok));
    let answers = scene.push(&mut tablet);
    assert!(answers[0].is_ok() && matches!(answers[1], Err(Refusal::Fork { .. })), "{answers:?}");
    let applied = scene.pull(&mut tablet);
    assert_eq!((applied.rescued[0].from_seq, applied.rescued[0].changes), (2, 2));
    is_sound(&scene.path("tablet.db"));
    assert!(scene.push(&mut tablet).iter().all(Result::is_ok));
    scene.agrees(&mut tablet);
    scene.agrees(&mut laptop);
    let expected = ["fork", "note 1", "note 2", "note 3", "note 4", "note 5"];
    assert_eq!(all(&laptop), expected);

    // The same, when the other's rescued chain is known before one's own branch is rescued.
    let mut late = scene.replica("late.db");
    let mut first_server = server(&scene.path("first.db"));
    let mut four = phone.clone();
    let end = [four.note(6, NOW, "note 6")];
    let lost = [&[begin][..], &end].concat();
    pushed(&mut first_server, phone.push(&lost));
    late.apply_page(Cursor::START, &feed(&first_server)).unwrap();
    late.reset_cursor().unwrap();
    let page = scene.page(Cursor::START);
    let (fork, others) = page.entries.split_first().unwrap();
    let reordered = [others, std::slice::from_ref(fork)].concat();
    let entries: Vec<_> = (1..).zip(reordered.into_iter().map(|(_, entry)| entry)).collect();
    let next = entries.iter().fold(Cursor::START, |c, (at, entry)| c.next(*at, entry.hash()));
    late.apply_page(Cursor::START, &FeedPage { entries, next, remaining: 0 }).unwrap();
    let waiting = late.outbox(usize::MAX).unwrap();
    assert_eq!(waiting, rescue(&rescue(&lost)[1..]), "note 1 is there already");
    assert_eq!(all(&late).len(), 7);
    is_sound(&scene.path("late.db"));
}

#[test]
fn a_fork_that_cannot_be_healed_whole_leaves_everything_as_it_was() {
    let mut scene = Scene::new();
    let ([mut laptop, _], _) = two_with_one_branch(&mut scene);
    written(&mut laptop, text("own note", NOW)).unwrap();
    // After the fork the server's feed breaks: a change that names something else before it.
    let good = scene.page(Cursor::START);
    let mut tablet = Device::new("tablet");
    let one = tablet.note(20, NOW, "one");
    tablet.previous = Some(Hash::of(b"something else"));
    let broken = tablet.note(21, NOW, "two");
    let mut page = good.clone();
    for entry in [one, broken] {
        let position = page.next.position + 1;
        page.next = page.next.next(position, entry.hash());
        page.entries.push((position, entry));
    }
    let dump = || {
        let conn = Connection::open(scene.path("laptop.db")).unwrap();
        let mut rows = Vec::new();
        for table in ["changes", "feeds", "chains", "notes", "edits", "days", "outbox", "receipts"]
        {
            let mut statement = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut query = statement.query([]).unwrap();
            while let Some(row) = query.next().unwrap() {
                let row: Vec<rusqlite::types::Value> =
                    (0..columns).map(|column| row.get(column).unwrap()).collect();
                rows.push((table, row));
            }
        }
        rows
    };
    let before = dump();

    let error = laptop.apply_page(Cursor::START, &page).unwrap_err();

    let chain = tablet.chain;
    assert!(
        matches!(error, StoreError::Page(PageError::Previous { chain: c, seq: 2, position: 3 }) if c == chain),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("change 2 of chain {chain} (position 3)")));
    assert_eq!(dump(), before);
    assert!(laptop.reader().unwrap().audit(9).unwrap().is_empty());
    written(&mut laptop, text("another own note", NOW)).unwrap();
    assert_eq!(laptop.apply_page(Cursor::START, &good).unwrap().rescued.len(), 1);
    is_sound(&scene.path("laptop.db"));
}

#[test]
fn cursors_of_the_replicas_own_feed_are_told_that_it_is_another() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    let own = written(&mut laptop, text("note 1", NOW)).unwrap();
    scene.push(&mut laptop);
    let mut reader = laptop.reader().unwrap();
    let early = reader.head(HERE).unwrap();
    written(&mut laptop, text("note 2", NOW)).unwrap();
    let lost = reader.head(HERE).unwrap();
    let version = reader.version(HERE).unwrap();
    scene.fork_after(own.receipt);
    scene.pull(&mut laptop);

    let mismatch = reader.feed(HERE, lost, usize::MAX).unwrap().unwrap_err();
    assert_eq!(mismatch.head, reader.head(HERE).unwrap());
    let page = reader.feed(HERE, early, usize::MAX).unwrap().unwrap();
    assert!(page.follows(early));
    assert_eq!(page.entries.len(), 2);
    assert!(reader.version(HERE).unwrap() > version);
}

#[test]
fn another_process_that_had_the_lost_chain_open_goes_on_in_the_fresh_one() {
    let mut scene = Scene::new();
    let mut laptop = scene.replica("laptop.db");
    let mut prompt = scene.replica("laptop.db");
    let own = written(&mut laptop, text("note 1", NOW)).unwrap();
    scene.push(&mut laptop);
    let lost = written(&mut prompt, text("note 2", NOW)).unwrap().receipt;
    assert_eq!((lost.chain, lost.seq), (own.receipt.chain, 2));
    let stale = prompt.outbox(usize::MAX).unwrap();
    scene.fork_after(own.receipt);
    assert_eq!(scene.pull(&mut laptop).rescued.len(), 1);

    let next = written(&mut prompt, text("note 3", NOW)).unwrap().receipt;
    assert!(next.seq == 1 && next.chain != lost.chain);
    let after = written(&mut laptop, text("note 4", NOW)).unwrap().receipt;
    assert_eq!((after.chain, after.seq), (next.chain, 2));
    // What it had read of the outbox before is refused; an answer for it would change nothing.
    let answers = pushed(&mut scene.server, Device::new("laptop").push(&stale));
    assert!(matches!(answers[0], Err(Refusal::Fork { .. })));
    prompt.apply_receipts(&[lost]).unwrap();
    assert_eq!(prompt.waiting().unwrap(), 3);
    assert!(scene.push(&mut prompt).iter().all(Result::is_ok));
    scene.agrees(&mut prompt);
    assert_eq!(all(&laptop), ["fork", "note 1", "note 2", "note 3", "note 4"]);
    is_sound(&scene.path("laptop.db"));
}

#[test]
fn a_drop_which_cannot_pull_rescues_when_it_is_told_to() {
    let mut scene = Scene::new();
    let mut sensor = scene.replica("sensor.db");
    let first = written(&mut sensor, text("note 1", NOW)).unwrap();
    scene.push(&mut sensor);
    let copy = scene.fork_after(first.receipt);
    written(&mut sensor, text("note 2", NOW)).unwrap();
    written(&mut sensor, text("note 3", NOW)).unwrap();
    let before = sensor.outbox(usize::MAX).unwrap();

    let rescued = sensor.rescue_from(copy.chain, 2).unwrap();

    assert_eq!((rescued.from_seq, rescued.changes), (2, 2));
    assert_eq!(rescued.device, "laptop");
    assert_eq!(sensor.outbox(usize::MAX).unwrap(), rescue(&before));
    assert!(scene.push(&mut sensor).iter().all(Result::is_ok));
    assert_eq!(sensor.waiting().unwrap(), 0);
    is_sound(&scene.path("sensor.db"));
    assert_eq!(sensor.reader().unwrap().audit(9).unwrap().len(), 1);

    // Asked again, by another process say, there is nothing to do and nothing to tell.
    assert_eq!(sensor.rescue_from(copy.chain, 2).unwrap().changes, 0);
    assert_eq!(sensor.rescue_from(Device::new("unknown").chain, 1).unwrap().changes, 0);
    assert_eq!(sensor.reader().unwrap().audit(9).unwrap().len(), 1);
    let next = written(&mut sensor, text("note 4", NOW)).unwrap().receipt;
    assert!(next.seq == 1 && next.chain != copy.chain);
}

#[test]
fn what_is_derived_from_the_feed_sees_a_rescue_that_wrote_nothing() {
    let scene = Scene::new();
    let mut tablet = scene.replica("tablet.db");
    let mut phone = Device::new("phone");
    let lost: Vec<_> = (1..=2).map(|n| phone.note(n, NOW, &format!("note {n}"))).collect();
    pushed(&mut tablet, phone.push(&rescue(&lost)));
    pushed(&mut tablet, phone.push(&lost));
    for chain in [phone.chain, rescued_chain(lost[0].hash())] {
        tablet.requeue_after(chain, 0).unwrap();
    }
    let mut reader = tablet.reader().unwrap();
    assert_eq!(reader.tags(HERE).unwrap(), []);
    let version = reader.version(HERE).unwrap();

    assert_eq!(tablet.rescue_from(phone.chain, 1).unwrap().changes, 2);

    assert!(reader.version(HERE).unwrap() > version);
    assert_eq!(feed(&tablet).entries.len(), 2);
    assert_eq!(all(&tablet), ["note 1", "note 2"]);
    is_sound(&scene.path("tablet.db"));
    written(&mut tablet, text("note 3", NOW)).unwrap();
    is_sound(&scene.path("tablet.db"));
}
