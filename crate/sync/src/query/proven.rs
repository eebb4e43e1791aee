//! Macro blocks that were proven on the way to others, so that they need not be again.

use nimiq_hash::Blake2bHash;
use parking_lot::Mutex;

use crate::limits;

/// Numbers and hashes of macro blocks on the chain of one generation.
#[derive(Debug, Default)]
struct Known {
    generation: u64,
    /// The oldest finds first.
    blocks: Vec<(u32, Blake2bHash)>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct ProvenMacros(Mutex<Known>);

impl ProvenMacros {
    /// The first proven block from `number` on, up to `last`, on the chain of this generation.
    pub(super) fn first_in(
        &self,
        generation: u64,
        number: u32,
        last: u32,
    ) -> Option<(u32, Blake2bHash)> {
        let known = self.0.lock();
        if known.generation != generation {
            return None;
        }
        let blocks = known.blocks.iter();
        let within = blocks.filter(|(other, _)| (number..=last).contains(other));
        within.min_by_key(|(other, _)| *other).cloned()
    }

    /// Remembers a block, and forgets the oldest find if there are too many.
    pub(super) fn put(&self, generation: u64, number: u32, hash: Blake2bHash) {
        let mut known = self.0.lock();
        if known.generation != generation {
            // What is found out about a chain that was given up meanwhile is forgotten as well.
            if known.generation > generation {
                return;
            }
            *known = Known {
                generation,
                blocks: Vec::new(),
            };
        }
        known.blocks.retain(|(other, _)| *other != number);
        if known.blocks.len() >= limits::PROVEN_MACRO_BLOCKS {
            known.blocks.remove(0);
        }
        known.blocks.push((number, hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(known: &ProvenMacros, generation: u64, range: (u32, u32)) -> Option<u32> {
        let found = known.first_in(generation, range.0, range.1);
        found.map(|(number, _)| number)
    }

    #[test]
    fn the_nearest_is_found() {
        let known = ProvenMacros::default();
        for number in [64, 32, 96] {
            known.put(0, number, Blake2bHash::default());
        }
        assert_eq!(numbers(&known, 0, (40, 128)), Some(64));
        assert_eq!(numbers(&known, 0, (64, 64)), Some(64));
        assert_eq!(numbers(&known, 0, (65, 95)), None);
    }

    #[test]
    fn they_are_bounded_and_of_one_chain() {
        let known = ProvenMacros::default();
        let most = u32::try_from(limits::PROVEN_MACRO_BLOCKS).unwrap_or(0);
        for number in 0..=most {
            known.put(1, number, Blake2bHash::default());
        }
        assert_eq!(numbers(&known, 1, (0, 0)), None);
        assert_eq!(numbers(&known, 1, (1, 1)), Some(1));
        assert_eq!(numbers(&known, 2, (1, most)), None);
        known.put(2, 7, Blake2bHash::default());
        assert_eq!(numbers(&known, 2, (1, most)), Some(7));
        known.put(1, 3, Blake2bHash::default());
        assert_eq!(numbers(&known, 2, (1, most)), Some(7));
    }
}
