//! A note as a change, and what is found in its text.

use std::hint::black_box;

use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extras, Hash, NoteId, NoteTime, Revision, fold, tags,
    tokens,
};

use super::{Calls, Work, text};

pub(super) fn all() -> Vec<Work> {
    vec![
        Work::new("journal: a change is encoded and hashed", 1, encode),
        Work::new("journal: a change is read and hashed", 1, decode),
        Work::new("journal: a note of 16 edits in a row is folded", 1, row),
        Work::new("journal: a note edited apart is merged", 1, apart),
        Work::new("journal: tokens of 300 English bytes", 1, english),
        Work::new("journal: tokens of 300 Chinese bytes", 1, chinese),
        Work::new("journal: tags of 300 bytes", 1, tags_of),
    ]
}

/// What a change says of where it stands; the hash of its content is filled in by [`Entry::new`].
fn change(seq: u64, previous: Option<Hash>, parents: Vec<Hash>) -> Change {
    let time = NoteTime::new(1_763_800_000_000 + seq as i64, 480).expect("a time");
    let chain = ChainId::from_bytes([7; 16]);
    let note = NoteId::new(time.millis(), [3; 10]);
    Change { chain, seq, previous, note, parents, time, content: Hash::ZERO }
}

fn content(text: String) -> Content {
    Content { salt: [9; 16], body: Body::Text(text), extras: Extras::new() }
}

fn encode() -> Calls {
    let mut seq = 1;
    Box::new(move || {
        seq += 1;
        let change = change(seq, Some(Hash::from_bytes([5; 32])), Vec::new());
        let content = content(text(seq));
        Box::new(move || drop(black_box(Entry::new(change, content))))
    })
}

fn decode() -> Calls {
    let change = change(2, Some(Hash::from_bytes([5; 32])), Vec::new());
    let entry = Entry::new(change, content(text(2)));
    Box::new(move || {
        let entry = entry.clone();
        Box::new(move || {
            let read = Entry::from_bytes(entry.change_bytes(), entry.content_bytes());
            drop(black_box(read.expect("a change")));
        })
    })
}

/// A note's changes: each has these parents, by their places, and this text.
fn revisions(changes: &[(&[usize], String)]) -> Vec<Revision> {
    let mut revisions: Vec<Revision> = Vec::new();
    for (seq, (parents, text)) in (1..).zip(changes) {
        let parents = parents.iter().map(|&place| revisions[place].hash).collect();
        let entry = Entry::new(change(seq, None, parents), content(text.clone()));
        revisions.push(Revision::from(&entry));
    }
    revisions
}

fn folded(revisions: Vec<Revision>) -> Calls {
    Box::new(move || {
        let revisions = revisions.clone();
        Box::new(move || drop(black_box(fold(revisions).expect("a note"))))
    })
}

fn row() -> Calls {
    let parents: Vec<Vec<usize>> =
        (0..16usize).map(|place| place.checked_sub(1).into_iter().collect()).collect();
    let changes: Vec<_> = parents.iter().zip(0..).map(|(of, seq)| (&of[..], text(seq))).collect();
    folded(revisions(&changes))
}

/// Forty lines, of which two devices changed one each.
fn apart() -> Calls {
    let lines = |changed: u64| {
        let lines = (0..40).map(|line| text(if line == changed { 1_000 + line } else { line }));
        lines.collect::<Vec<_>>().join("\n")
    };
    folded(revisions(&[(&[], lines(99)), (&[0], lines(7)), (&[0], lines(31))]))
}

/// These sentences again and again, up to 300 bytes.
fn long(sentences: &str) -> String {
    let mut text = sentences.repeat(300 / sentences.len() + 1);
    text.truncate(text.floor_char_boundary(300));
    text
}

fn english() -> Calls {
    let text = long("Bought tea and rice near the station, can't find the café's umbrella again. ");
    Box::new(move || {
        let text = text.clone();
        Box::new(move || drop(black_box(tokens(&text))))
    })
}

fn chinese() -> Calls {
    let text = long("今天下午三点在杭州开会，买了茶叶和大米；给妈妈打电话。");
    Box::new(move || {
        let text = text.clone();
        Box::new(move || drop(black_box(tokens(&text))))
    })
}

fn tags_of() -> Calls {
    let text =
        long("bought tea @shop and rice #买东西 for lin@example.org, 给 @妈妈 打电话 #family. ");
    Box::new(move || {
        let text = text.clone();
        Box::new(move || drop(black_box(tags(&text))))
    })
}
