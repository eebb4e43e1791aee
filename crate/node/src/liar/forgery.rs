//! Blocks that a lying peer makes up.

use nimiq_block::{Block, MacroBlock, MicroBlock};
use nimiq_consensus::messages::BlockHeaderMessage;
use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::chain::{Mutation, Signing, ValidatorKeys, without_body};

/// Seed of the keys that nobody elected. They are the same each time, which tests can rely on.
const STRANGER_SEED: u64 = 0x6c69_6172;

/// How many epochs ahead a checkpoint is claimed to be.
const EPOCHS_AHEAD: u32 = 100;

/// Makes up blocks, with the keys of the real validator where that is worse.
#[derive(Debug)]
pub(super) struct Forger {
    /// The validator that signs the honest chain.
    elected: ValidatorKeys,
    /// A validator that nobody elected.
    stranger: ValidatorKeys,
    rng: ChaCha20Rng,
}

impl Forger {
    pub(super) fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(STRANGER_SEED);
        Self {
            elected: ValidatorKeys::unit_albatross(),
            stranger: ValidatorKeys::generate(&mut rng),
            rng,
        }
    }

    /// Another election block in place of an honest one, by which the stranger has elected itself.
    pub(super) fn election(&self, honest: &MacroBlock) -> MacroBlock {
        let mut block = honest.clone();
        block.header.validators = Some(self.stranger.validators());
        self.stranger.sign_macro(&mut block);
        block.body = None;
        block
    }

    /// A checkpoint in place of an honest one, that follows the stranger's election block.
    pub(super) fn checkpoint(&self, honest: &MacroBlock, election: Blake2bHash) -> MacroBlock {
        let mut block = honest.clone();
        block.header.parent_election_hash = election;
        self.stranger.sign_macro(&mut block);
        block.body = None;
        block
    }

    /// A checkpoint of an epoch far ahead, voted for by those elected now.
    pub(super) fn far_checkpoint(&self, election: &MacroBlock) -> MacroBlock {
        let mut block = election.clone();
        let header = &mut block.header;
        header.block_number +=
            EPOCHS_AHEAD * Policy::blocks_per_epoch() + Policy::blocks_per_batch();
        header.parent_election_hash = election.hash();
        header.validators = None;
        header.interlink = None;
        self.elected.sign_macro(&mut block);
        block.body = None;
        block
    }

    /// Signs a block as one that nobody elected.
    pub(super) fn sign_as_stranger(&self, block: &mut Block) {
        match block {
            Block::Macro(block) => self.stranger.sign_macro(block),
            Block::Micro(block) => self.stranger.sign_micro(block),
        }
    }

    /// The same block with a proof that is none. `None` if it has no such proof, like genesis.
    pub(super) fn with_bad_proof(&self, block: &Block, mutation: Mutation) -> Option<Block> {
        mutation.apply(block, Signing::Keep, &self.stranger)
    }

    /// Another micro block in place of one, by the same validator.
    pub(super) fn sibling(&self, honest: &MicroBlock) -> MicroBlock {
        let mut block = honest.clone();
        block.header.extra_data = b"another block".to_vec();
        self.elected.sign_micro(&mut block);
        block.body = None;
        block
    }

    /// A header to follow `head` that nobody can accept, of another kind each round.
    pub(super) fn bad_header(&mut self, head: &Block, round: u64) -> BlockHeaderMessage {
        let number = head.block_number() + 1;
        let mut block = MicroBlock {
            header: nimiq_block::MicroHeader {
                network: head.network(),
                version: head.version(),
                block_number: number,
                timestamp: head.timestamp() + round,
                parent_hash: head.hash(),
                seed: head
                    .seed()
                    .sign_next_with_rng(&self.stranger.signing, number, &mut self.rng),
                state_root: head.state_root().clone(),
                history_root: head.history_root().clone(),
                ..Default::default()
            },
            justification: None,
            body: None,
        };
        match round % 3 {
            // Signed by a stranger.
            0 => {}
            // Follows nothing.
            1 => block.header.parent_hash = Blake2bHash([0x70; 32]),
            // Comes from far ahead.
            _ => block.header.block_number += EPOCHS_AHEAD * Policy::blocks_per_epoch() + 1,
        }
        self.stranger.sign_micro(&mut block);
        let signature = block.justification.take();
        BlockHeaderMessage::Micro {
            header: block.header,
            justification: signature.unwrap_or_else(|| {
                nimiq_block::MicroJustification::Micro(self.stranger.signing.sign(b""))
            }),
        }
    }
}

/// What an honest peer sends when asked for a block without its body.
pub(super) fn light(block: MacroBlock) -> Block {
    without_body(Block::Macro(block))
}
