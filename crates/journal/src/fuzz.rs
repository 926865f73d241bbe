//! Plain functions for fuzzing; `cargo test` replays their corpus.

use crate::admission::{
    ForeignAnswer, ForeignRequest, InviteAnswer, InviteRequest, JoinAnswer, JoinRequest,
};
use crate::{
    Change, Content, Cursor, FeedPage, decode_answers, decode_audit, decode_batch, decode_devices,
    decode_heads, decode_invites, encode_answers, encode_audit, encode_batch, encode_devices,
    encode_heads, encode_invites,
};

/// Gives bytes to every decoder. Corpus: `fuzz/corpus/entry`.
///
/// # Panics
/// When a decoder takes bytes that are not exactly what encoding the result gives: then one value would have
/// two encodings, and two hashes.
pub fn entry(bytes: &[u8]) {
    let same = |encoded: Vec<u8>| assert_eq!(encoded, bytes, "a second encoding was taken");
    let _ = Change::decode(bytes).map(|change| same(change.encode()));
    let _ = Content::decode(bytes).map(|content| same(content.encode()));
    let _ = Cursor::decode(bytes).map(|cursor| same(cursor.encode()));
    let _ = FeedPage::decode(bytes).map(|page| same(page.encode()));
    let _ = decode_batch(bytes).map(|entries| same(encode_batch(&entries)));
    let _ = decode_answers(bytes).map(|answers| same(encode_answers(&answers)));
    let _ = decode_heads(bytes).map(|heads| same(encode_heads(&heads)));
    let _ = decode_devices(bytes).map(|devices| same(encode_devices(&devices)));
    let _ = decode_invites(bytes).map(|invites| same(encode_invites(&invites)));
    let _ = decode_audit(bytes).map(|entries| same(encode_audit(&entries)));
    let _ = JoinRequest::decode(bytes).map(|join| same(join.encode()));
    let _ = JoinAnswer::decode(bytes).map(|answer| same(answer.encode()));
    let _ = InviteRequest::decode(bytes).map(|invite| same(invite.encode()));
    let _ = InviteAnswer::decode(bytes).map(|answer| same(answer.encode()));
    let _ = ForeignRequest::decode(bytes).map(|foreign| same(foreign.encode()));
    let _ = ForeignAnswer::decode(bytes).map(|answer| same(answer.encode()));
}
