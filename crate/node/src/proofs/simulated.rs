//! Proofs that nobody proved.
//!
//! Their verifying key was made with a known trapdoor, by which a proof of anything takes no time, be the
//! chain as long as it may. So they are for tests and benchmarks, and for nobody to trust.

use nimiq_primitives::policy::Policy;
use parking_lot::Mutex;
use pico_zkp::{Statement, simulator::Trapdoor};

use super::{ElectionBlocks, LatestProof, ProofSource, serve::hash_of};
use crate::chain::{Fixture, NETWORK_ID};

/// Has a proof of whatever is the last election block.
#[derive(Debug)]
pub struct SimulatedProofs {
    trapdoor: Trapdoor,
    anchor_number: u32,
    /// The last one, with the block's number and what it says.
    made: Mutex<Option<(u32, Statement, Vec<u8>)>>,
}

impl SimulatedProofs {
    /// The same seed gives the same verifying key.
    pub fn new(seed: u64) -> Self {
        let anchor_number = Fixture::anchor_number();
        Self {
            trapdoor: Trapdoor::chain(seed, NETWORK_ID as u8, anchor_number),
            anchor_number,
            made: Mutex::default(),
        }
    }

    /// The verifying key, as a client reads it from a file.
    pub fn verifying_key(&self) -> Vec<u8> {
        self.trapdoor.verifying_key().to_bytes()
    }
}

impl ProofSource for SimulatedProofs {
    fn latest(&self, blocks: &dyn ElectionBlocks, at_most: u32) -> Option<LatestProof> {
        let last = blocks.last()?.min(Policy::last_election_block(at_most));
        if last <= self.anchor_number {
            return None;
        }
        let block = blocks.at(last)?;
        let statement = Statement {
            anchor: hash_of(&blocks.at(self.anchor_number)?),
            head: hash_of(&block),
        };
        let mut made = self.made.lock();
        let proof = match &*made {
            Some((number, of, proof)) if *number == last && *of == statement => proof.clone(),
            _ => {
                let proof = self.trapdoor.prove(&statement);
                *made = Some((last, statement, proof.clone()));
                proof
            }
        };
        Some(LatestProof { block, proof })
    }
}
