//! Which Partial IVs a peer has used (RFC 8613 §7.4).

/// Words of the bit field.
const WORDS: usize = (ReplayWindow::LEN / u64::BITS as u64) as usize;

/// The sliding window of numbers that were seen; what lies behind it counts as seen.
///
/// ```text
///   seen: too old   |   1,024 numbers, a bit each   |   not seen yet
///  ─────────────────┼───────────────────────────────┼────────────────
///                 next - 1,024                     next
/// ```
///
/// The bit of a number stays in one place while the window moves over it: number mod 1,024.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayWindow {
    /// The lowest number above all that were seen.
    next: u64,
    /// Set: seen. Means something for the [`ReplayWindow::LEN`] numbers below `next`.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// How far back it remembers.
    pub const LEN: u64 = 1024;

    /// Nothing was seen.
    pub const fn new() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }

    /// Everything up to and including `number` counts as seen (Appendix B.1.2).
    pub const fn after(number: u64) -> Self {
        Self { next: number.saturating_add(1), seen: [u64::MAX; WORDS] }
    }

    /// Whether this number is new.
    pub fn check(&self, number: u64) -> bool {
        if number >= self.next {
            return true;
        }
        let (word, bit) = place(number);
        self.next - number <= Self::LEN && self.seen[word] & bit == 0
    }

    /// Notes that it was seen.
    pub fn accept(&mut self, number: u64) {
        if number >= self.next {
            self.forget(number - self.next);
            self.next = number.saturating_add(1);
        } else if self.next - number > Self::LEN {
            return;
        }
        let (word, bit) = place(number);
        self.seen[word] |= bit;
    }

    /// Clears the places of `skipped` numbers from `next` on.
    fn forget(&mut self, skipped: u64) {
        if skipped >= Self::LEN {
            self.seen = [0; WORDS];
            return;
        }
        for number in self.next..self.next + skipped {
            let (word, bit) = place(number);
            self.seen[word] &= !bit;
        }
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

/// Word and bit of a number.
const fn place(number: u64) -> (usize, u64) {
    let at = number % ReplayWindow::LEN;
    ((at / u64::BITS as u64) as usize, 1 << (at % u64::BITS as u64))
}
