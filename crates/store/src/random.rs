//! Random bytes: the system's, or in a simulated world those of a seed.

use suibi_journal::Hash;

use crate::StoreError;

/// Where a store gets random bytes from.
#[derive(Debug)]
pub(crate) enum Chance {
    /// From the system: nobody can guess them.
    System,
    /// From a seed, and how often it was drawn from.
    Seeded {
        /// Who knows it can guess what purged texts were.
        seed: u64,
        /// How many hashes were made of it.
        drawn: u64,
    },
}

impl Chance {
    /// The next bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        match self {
            Self::System => getrandom::fill(&mut bytes)
                .map_err(|error| StoreError::Io(format!("no random bytes: {error}")))?,
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
    use super::*;

    #[test]
    fn only_a_seed_gives_the_same_again() {
        let drawn =
            |chance: &mut Chance| (chance.draw::<26>().unwrap(), chance.draw::<40>().unwrap());
        assert_ne!(drawn(&mut Chance::System), drawn(&mut Chance::System));
        let seeded = || Chance::Seeded { seed: 7, drawn: 0 };
        let mut chance = seeded();
        let first = drawn(&mut chance);
        assert_ne!(first, drawn(&mut chance));
        assert_eq!(first, drawn(&mut seeded()));
        assert_ne!(first, drawn(&mut Chance::Seeded { seed: 8, drawn: 0 }));
    }
}
