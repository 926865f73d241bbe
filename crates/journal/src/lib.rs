//! Notes, changes and chains: the domain, pure.
//!
//! A device writes **changes**, each into its own **chain**, where every change names the hash of the one
//! before. A **note** is what its changes [`fold`](fold::fold) into: the same set gives the same note in
//! whatever order it came. [`cbor`] holds the shapes in which all this travels and is stored;
//! `docs/formats.md` is the same on paper.
//!
//! Nothing here reads a clock, a file, a socket or global randomness: times, salts and ids come in.
//!
//! ```
//! use suibi_journal::{Body, Change, ChainId, Content, Entry, Hash, NoteId, NoteTime};
//!
//! let time: NoteTime = "2026-11-23T09:05:00.000+08:00".parse().unwrap();
//! let first = Entry::new(
//!     Change {
//!         chain: ChainId::from_bytes([7; 16]),
//!         seq: 1,
//!         previous: None,
//!         note: NoteId::new(time.millis(), [1; 10]),
//!         parents: vec![],
//!         time,
//!         content: Hash::ZERO, // filled in by `Entry::new`
//!     },
//!     Content { salt: [3; 16], body: Body::Text("tea with @lin".into()), extras: Default::default() },
//! );
//! let read = Entry::from_bytes(first.change_bytes(), first.content_bytes()).unwrap();
//! assert_eq!(read, first);
//! ```

pub mod access;
pub mod admission;
mod ancestry;
pub mod cbor;
pub mod chain;
pub mod change;
pub mod coding;
pub mod day;
mod diff;
pub mod entry;
pub mod feed;
pub mod fold;
pub mod fuzz;
pub mod han;
pub mod hex;
pub mod id;
mod merge;
pub mod note_name;
pub mod pinyin;
pub mod query;
pub mod render;
pub mod rescue;
pub mod search;
pub mod tags;
pub mod time;
pub mod tokens;
mod wire;

pub use access::{
    AuditEntry, AuditKind, DeviceInfo, InviteInfo, Rights, RightsError, decode_audit,
    decode_devices, decode_invites, encode_audit, encode_devices, encode_invites,
};
pub use cbor::{
    MAX_DEVICE_BYTES, decode_answers, decode_batch, decode_heads, encode_answers, encode_batch,
    encode_heads,
};
pub use chain::{ChainError, verify_chain};
pub use change::{
    Body, Change, Content, Extra, Extras, MAX_EXTRAS_BYTES, MAX_PARENTS, MAX_TEXT_BYTES, extra,
    is_starred,
};
pub use day::{Day, DayError, Weekday};
pub use diff::{Hunk, changed_lines};
pub use entry::Entry;
pub use feed::{Cursor, FeedPage, Head, Receipt, Refusal};
pub use fold::{Folded, Revision, fold};
pub use id::{ChainId, Hash, IdError, NoteId};
pub use note_name::{Digits, NoteName, NoteNameError};
pub use query::{Note, Query};
pub use rescue::{rescue, rescued_chain};
pub use search::{Folds, SearchLine, Term, Unwanted};
pub use tags::{Tag, fold_tag, tags, wanted_tag};
pub use time::{NoteTime, TimeError};
pub use tokens::{Token, tokens};
pub use wire::DecodeError;
