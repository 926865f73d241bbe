//! The hot functions, each with the input that it has for a note: what `tests/counts.rs` counts the instructions of
//! and `benches/work.rs` times.

mod journal;
mod protocol;
mod store;

/// One call, with its input at hand.
pub(crate) type Call = Box<dyn FnOnce()>;

/// Something to be measured.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// How many of what the figure is per one call carries out: notes of a commit, most often.
    pub(crate) per_call: u64,
    /// Makes what the calls share, and then one call after the other, as many as anybody wants. What this does is not
    /// measured.
    pub(crate) prepare: fn() -> Box<dyn FnMut() -> Call>,
}

/// All there is, in the order of a note's way.
pub(crate) fn all() -> Vec<Work> {
    [protocol::all(), journal::all(), store::all()].into_iter().flatten().collect()
}

/// A note of 64 bytes; no other number has the same text.
fn text(number: u64) -> String {
    let text = format!("{number:010} @shop bought tea and rice, 买了茶叶和大米");
    format!("{text:.<64}")
}
