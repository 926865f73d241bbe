//! What the tests share: chains to take apart, and strategies for anything that has an encoding.
#![allow(dead_code, reason = "each test file uses some of it")]

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use suibi_journal::{
    AuditEntry, AuditKind, Body, ChainId, Change, Content, Cursor, DeviceInfo, Entry, Extra,
    Extras, Hash, Head, InviteInfo, NoteId, NoteTime, Receipt, Refusal, Rights,
};

pub(crate) fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

pub(crate) fn chain_id() -> impl Strategy<Value = ChainId> {
    any::<[u8; 16]>().prop_map(ChainId::from_bytes)
}

pub(crate) fn time() -> impl Strategy<Value = NoteTime> {
    (-62_000_000_000_000i64..253_000_000_000_000, -1439i16..=1439)
        .prop_map(|(millis, offset)| NoteTime::new(millis, offset).unwrap())
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![
        Just((1, None)),
        (2u64.., hash()).prop_map(|(seq, previous)| (seq, Some(previous)))
    ];
    (chain_id(), place, any::<[u8; 16]>(), vec(hash(), 0..4), time(), hash()).prop_map(
        |(chain, (seq, previous), note, mut parents, time, content)| {
            parents.sort_unstable();
            parents.dedup();
            Change { chain, seq, previous, note: NoteId::from_bytes(note), parents, time, content }
        },
    )
}

pub(crate) fn extras() -> impl Strategy<Value = Extras> {
    let extra = prop_oneof![
        any::<bool>().prop_map(Extra::Bool),
        any::<i64>().prop_map(Extra::Int),
        any::<String>().prop_map(Extra::Text),
        any::<Vec<u8>>().prop_map(Extra::Bytes),
    ];
    btree_map(any::<String>(), extra, 0..5)
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let body =
        prop_oneof![Just(Body::Deleted), Just(Body::Purged), any::<String>().prop_map(Body::Text)];
    (any::<[u8; 16]>(), body, extras()).prop_map(|(salt, body, extras)| Content {
        salt,
        body,
        extras,
    })
}

/// Entries, some of them erased.
pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    (change(), content(), any::<bool>()).prop_map(|(change, content, erased)| {
        let entry = Entry::new(change, content);
        if erased { Entry::from_bytes(entry.change_bytes(), None).unwrap() } else { entry }
    })
}

pub(crate) fn cursor() -> impl Strategy<Value = Cursor> {
    (any::<u64>(), hash()).prop_map(|(position, running)| Cursor { position, running })
}

pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    (chain_id(), 1u64.., 1u64.., hash()).prop_map(|(chain, seq, position, hash)| Receipt {
        chain,
        seq,
        position,
        hash,
    })
}

pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (any::<u64>(), option::of(hash()))
            .prop_map(|(have_seq, have_hash)| Refusal::Gap { have_seq, have_hash }),
        (any::<u64>(), option::of(hash()))
            .prop_map(|(have_seq, have_hash)| Refusal::Fork { have_seq, have_hash }),
        Just(Refusal::TooLarge),
        ".{0,40}".prop_map(Refusal::Invalid),
    ]
}

pub(crate) fn head() -> impl Strategy<Value = Head> {
    (chain_id(), ".{0,20}", 1u64.., hash()).prop_map(|(chain, device, seq, hash)| Head {
        chain,
        device,
        seq,
        hash,
    })
}

pub(crate) fn text(text: &str) -> Content {
    Content { salt: [5; 16], body: Body::Text(text.to_owned()), extras: Extras::new() }
}

pub(crate) fn at(text: &str) -> NoteTime {
    text.parse().unwrap()
}

/// A chain of so many changes, each to a note of its own.
pub(crate) fn chain(len: u64) -> Vec<Entry> {
    let mut entries = Vec::<Entry>::new();
    for seq in 1..=len {
        let change = Change {
            chain: ChainId::from_bytes([7; 16]),
            seq,
            previous: entries.last().map(Entry::hash),
            note: NoteId::from_bytes([seq as u8; 16]),
            parents: vec![],
            time: at("2026-11-23T09:05:00.000+08:00"),
            content: Hash::ZERO,
        };
        entries.push(Entry::new(change, text(&format!("第 {seq} 条 note"))));
    }
    entries
}

pub(crate) fn rights() -> impl Strategy<Value = Rights> {
    any::<[bool; 3]>().prop_map(|[read, write, admin]| Rights { read, write, admin })
}

/// A key id in hexadecimal digits.
pub(crate) fn key_id() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 1..=7).prop_map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn device() -> impl Strategy<Value = DeviceInfo> {
    let times = (any::<i64>(), any::<Option<i64>>(), any::<Option<i64>>());
    (key_id(), ".{0,60}", ".{0,15}", rights(), times, any::<bool>()).prop_map(
        |(id, name, journal, rights, (joined, seen, revoked), foreign)| DeviceInfo {
            id,
            name,
            journal,
            rights,
            joined,
            seen,
            revoked,
            foreign,
        },
    )
}

pub(crate) fn invite() -> impl Strategy<Value = InviteInfo> {
    let times = (any::<i64>(), any::<i64>(), any::<Option<i64>>());
    (key_id(), ".{0,15}", rights(), option::of(".{0,60}"), times).prop_map(
        |(id, journal, rights, name, (made, expires, used))| InviteInfo {
            id,
            journal,
            rights,
            name,
            made,
            expires,
            used,
        },
    )
}

pub(crate) fn audit_entry() -> impl Strategy<Value = AuditEntry> {
    let what = prop_oneof![
        ".{0,200}".prop_map(AuditKind::Refused),
        prop::sample::select(vec![1_u8, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12])
            .prop_map(|code| AuditKind::from_code(code, None).unwrap()),
    ];
    (any::<i64>(), what, ".{0,60}", ".{0,15}", ".{0,60}", ".{0,200}").prop_map(
        |(at, what, device, journal, address, detail)| AuditEntry {
            at,
            what,
            device,
            journal,
            address,
            detail,
        },
    )
}
