//! Random bytes: the system's, or in a simulated world those of a seed.

use std::fmt;

use suibi_journal::Hash;
use zeroize::Zeroize;

use crate::StoreError;

/// How many bytes the system is asked for: enough for the ids and salts of 32 notes.
const AT_ONCE: usize = 832;

/// Where a store gets random bytes from.
pub(crate) enum Chance {
    /// From the system: nobody can guess them.
    System {
        /// What was asked for and not given out yet.
        left: Vec<u8>,
    },
    /// From a seed, and how often it was drawn from.
    Seeded {
        /// Who knows it can guess what purged texts were.
        seed: u64,
        /// How many hashes were made of it.
        drawn: u64,
    },
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { left } => write!(f, "System({} bytes)", left.len()),
            Self::Seeded { drawn, .. } => write!(f, "Seeded({drawn} drawn)"),
        }
    }
}

impl Chance {
    /// The next bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        match self {
            Self::System { left } => {
                if left.len() < N {
                    left.resize(AT_ONCE.max(N), 0);
                    getrandom::fill(left).map_err(|error| {
                        left.clear();
                        StoreError::Io(format!("no random bytes: {error}"))
                    })?;
                }
                let rest = left.len() - N;
                bytes.copy_from_slice(&left[rest..]);
                // What purged texts were salted with is nowhere any more.
                left[rest..].zeroize();
                left.truncate(rest);
            }
            Self::Seeded { seed, drawn } => {
                for chunk in bytes.chunks_mut(32) {
                    let hash = Hash::of(&[seed.to_be_bytes(), drawn.to_be_bytes()].concat());
                    chunk.copy_from_slice(&hash.as_bytes()[..chunk.len()]);
                    *drawn += 1;
                }
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_a_seed_gives_the_same_again() {
        let drawn =
            |chance: &mut Chance| (chance.draw::<26>().unwrap(), chance.draw::<40>().unwrap());
        let system = || Chance::System { left: Vec::new() };
        let mut many = system();
        let all: HashSet<_> = (0..100).map(|_| drawn(&mut many)).collect();
        assert_eq!(all.len(), 100);
        assert!(!all.contains(&drawn(&mut system())));
        let seeded = || Chance::Seeded { seed: 7, drawn: 0 };
        let mut chance = seeded();
        let first = drawn(&mut chance);
        assert_ne!(first, drawn(&mut chance));
        assert_eq!(first, drawn(&mut seeded()));
        assert_ne!(first, drawn(&mut Chance::Seeded { seed: 8, drawn: 0 }));
    }
}
