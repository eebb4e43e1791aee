//! Making the next block of a chain and appending it, without the vote of validators that a network
//! with just one of them can do without.

use nimiq_block::{Block, SkipBlockInfo};
use nimiq_blockchain::{BlockProducer, BlockProducerError, Blockchain};
use nimiq_blockchain_interface::{AbstractBlockchain, PushResult};
use nimiq_primitives::policy::Policy;
use nimiq_transaction::Transaction;
use parking_lot::RwLockUpgradableReadGuard;
use rand_chacha::ChaCha20Rng;

use super::{ChainError, ValidatorKeys};

/// Produces and signs the block after the head, of whichever kind is due.
pub(crate) fn produce(
    blockchain: &Blockchain,
    producer: &BlockProducer,
    keys: &ValidatorKeys,
    timestamp: u64,
    extra_data: Vec<u8>,
    transactions: Vec<Transaction>,
    rng: &mut ChaCha20Rng,
) -> Result<Block, ChainError> {
    let number = blockchain.block_number() + 1;
    let failed = |source| ChainError::Produce {
        number,
        source: Box::new(source),
    };
    if Policy::is_macro_block_at(number) {
        // An election without candidates would panic.
        if Policy::is_election_block_at(number)
            && blockchain
                .get_staking_contract_if_complete(None)
                .is_some_and(|contract| contract.active_validators.is_empty())
        {
            return Err(ChainError::NobodyToElect(number));
        }
        let mut block = producer
            .next_macro_block_proposal_with_rng(blockchain, timestamp, 0, extra_data, None, rng)
            .map_err(failed)?;
        keys.sign_macro(&mut block);
        Ok(Block::Macro(block))
    } else {
        producer
            .next_micro_block_with_rng(
                blockchain,
                timestamp,
                Vec::new(),
                transactions,
                extra_data,
                None,
                rng,
            )
            .map(Block::Micro)
            .map_err(failed)
    }
}

/// Produces the skip block after the head, with the votes of all slots.
pub(super) fn produce_skip(
    blockchain: &Blockchain,
    producer: &BlockProducer,
    keys: &ValidatorKeys,
    rng: &mut ChaCha20Rng,
) -> Result<Block, ChainError> {
    let head = blockchain.head();
    let number = head.block_number() + 1;
    if Policy::is_macro_block_at(number) {
        return Err(ChainError::NotSkippable(number));
    }
    let state_root = blockchain
        .next_skip_block_state_root()
        .ok_or(ChainError::Produce {
            number,
            source: Box::new(BlockProducerError::AccountsIncomplete),
        })?;
    let info = SkipBlockInfo {
        network_id: head.network(),
        block_number: number,
        vrf_entropy: head.seed().entropy(),
    };
    let proof = keys.skip_proof(&info, &state_root, head.version(), Policy::SLOTS);
    producer
        .next_micro_block_with_rng(
            blockchain,
            head.timestamp() + Policy::MIN_PRODUCER_TIMEOUT,
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Some(proof),
            rng,
        )
        .map(Block::Micro)
        .map_err(|source| ChainError::Produce {
            number,
            source: Box::new(source),
        })
}

/// Pushes a block that must become the head, without checking its signatures.
pub(crate) fn push_to(
    blockchain: RwLockUpgradableReadGuard<'_, Blockchain>,
    block: Block,
) -> Result<(), ChainError> {
    let number = block.block_number();
    match Blockchain::trusted_push(blockchain, block, &()) {
        Ok(PushResult::Extended) => Ok(()),
        Ok(result) => Err(ChainError::NotExtended { number, result }),
        Err(source) => Err(ChainError::Push {
            number,
            source: Box::new(source),
        }),
    }
}
