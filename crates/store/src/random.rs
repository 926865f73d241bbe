//! Random bytes: the system's, or in a simulated world those of its seed.

use std::cell::Cell;

use suibi_journal::Hash;

use crate::StoreError;

thread_local! {
    /// The seed of a simulated world, and how often it was drawn from.
    static SEEDED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// From now on, what stores draw by chance on this thread comes from a seed, so that a world can be run again.
/// Not for programs: everybody who knows the seed can guess what purged texts were.
#[doc(hidden)]
pub fn seed_this_thread(seed: u64) {
    SEEDED.set(Some((seed, 0)));
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    match SEEDED.get() {
        None => getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Io(format!("no random bytes: {error}")))?,
        Some((seed, mut drawn)) => {
            for chunk in bytes.chunks_mut(32) {
                let hash = Hash::of(&[seed.to_be_bytes(), drawn.to_be_bytes()].concat());
                chunk.copy_from_slice(&hash.as_bytes()[..chunk.len()]);
                drawn += 1;
            }
            SEEDED.set(Some((seed, drawn)));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_with_a_seed_draws_the_same_again() {
        let drawn = || (random::<26>().unwrap(), random::<40>().unwrap());
        assert_ne!(drawn(), drawn());
        seed_this_thread(7);
        let first = drawn();
        assert_ne!(first, drawn());
        seed_this_thread(7);
        assert_eq!(first, drawn());
        std::thread::spawn(move || assert_ne!(first, drawn())).join().unwrap();
    }
}
