//! Somebody on the path, who looks for the notes in every datagram, whether it arrives or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use suibi_net::relay::Direction;

use super::{PLAN, Step};

/// What he has heard so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Eavesdropper {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    datagrams: AtomicU64,
    readable: AtomicU64,
}

/// In datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overheard {
    pub(super) datagrams: u64,
    /// Those in which a note could be read.
    pub(super) readable: u64,
}

impl Eavesdropper {
    /// What the relay lets every datagram pass through, unchanged.
    pub(super) fn ears(
        &self,
    ) -> impl FnMut(Direction, SocketAddr, Vec<u8>) -> Vec<(Direction, Vec<u8>)> + Send + use<>
    {
        let counts = Arc::clone(&self.counts);
        move |direction, _, datagram| {
            counts.datagrams.fetch_add(1, Ordering::Relaxed);
            if has_a_note(&datagram) {
                counts.readable.fetch_add(1, Ordering::Relaxed);
            }
            vec![(direction, datagram)]
        }
    }

    pub(super) fn heard(&self) -> Overheard {
        let Counts { datagrams, readable } = &*self.counts;
        Overheard {
            datagrams: datagrams.load(Ordering::Relaxed),
            readable: readable.load(Ordering::Relaxed),
        }
    }
}

/// Whether the text of a note stands in it.
fn has_a_note(datagram: &[u8]) -> bool {
    PLAN.iter().any(|(_, step)| match step {
        Step::Write(_, text) => {
            datagram.windows(text.len()).any(|window| window == text.as_bytes())
        }
        Step::Kill | Step::Restart => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_in_clear_would_be_found() {
        let eavesdropper = Eavesdropper::default();
        let mut ears = eavesdropper.ears();
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        for (text, readable) in [("nothing of it", 0), ("…睡前一句：今天很好…", 1)] {
            let datagram = text.as_bytes().to_vec();
            let passed = ears(Direction::Up, from, datagram.clone());
            assert_eq!(passed, [(Direction::Up, datagram)]);
            assert_eq!(eavesdropper.heard().readable, readable, "{text}");
        }
        assert_eq!(eavesdropper.heard().datagrams, 2);
    }
}
