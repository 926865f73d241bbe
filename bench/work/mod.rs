//! The hot functions, each with the input that it has for a note: what `tests/counts.rs` counts the instructions of
//! and `benches/work.rs` times.

mod journal;
mod protocol;
mod store;

/// One call, with its input at hand.
pub(crate) type Call = Box<dyn FnOnce()>;

/// Makes one call after the other, as many as anybody wants, on what they share.
pub(crate) type Calls = Box<dyn FnMut() -> Call>;

/// Something to be measured.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// How many of what the figure is per one call carries out: notes of a commit, most often.
    pub(crate) per_call: u64,
    /// Makes what the calls share. Neither this nor the making of a call is measured.
    pub(crate) prepare: Box<dyn Fn() -> Calls>,
}

impl Work {
    fn new(name: &'static str, per_call: u64, prepare: impl Fn() -> Calls + 'static) -> Self {
        Self { name, per_call, prepare: Box::new(prepare) }
    }
}

/// All there is, in the order of a note's way; stores that are asked something have so many notes, a multiple of 64.
pub(crate) fn all(notes: u64) -> Vec<Work> {
    [protocol::all(), journal::all(), store::all(notes)].into_iter().flatten().collect()
}

/// A note of 64 bytes; no other number has the same text.
fn text(number: u64) -> String {
    let text = format!("{number:010} @shop bought tea and rice, 买了茶叶和大米");
    format!("{text:.<64}")
}
