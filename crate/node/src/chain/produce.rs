//! Making the next block of a chain and appending it, without the vote of validators: whoever has the keys of
//! all of them can do without.

use nimiq_block::{Block, SkipBlockInfo};
use nimiq_blockchain::{BlockProducerError, Blockchain};
use nimiq_blockchain_interface::{AbstractBlockchain, PushResult};
use nimiq_primitives::{policy::Policy, slots_allocation::Validators};
use nimiq_transaction::Transaction;
use parking_lot::RwLockUpgradableReadGuard;
use rand_chacha::ChaCha20Rng;

use super::{ChainError, key_ring::KeyRing};

/// What goes into a block, besides what the chain prescribes.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Milliseconds since 1970.
    pub(crate) timestamp: u64,
    /// Up to 32 bytes.
    pub(crate) extra_data: Vec<u8>,
    /// Of micro blocks only.
    pub(crate) transactions: Vec<Transaction>,
    /// The protocol version that an election block raises the chain to, if it does.
    pub(crate) version: Option<u16>,
}

/// Produces and signs the block after the head, of whichever kind is due.
pub(crate) fn produce(
    blockchain: &Blockchain,
    keys: &KeyRing,
    contents: Contents,
    rng: &mut ChaCha20Rng,
) -> Result<Block, ChainError> {
    let number = blockchain.block_number() + 1;
    let failed = |source| ChainError::Produce {
        number,
        source: Box::new(source),
    };
    let producer = keys.producer(blockchain)?;
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
            .next_macro_block_proposal_with_rng(
                blockchain,
                contents.timestamp,
                0,
                contents.extra_data,
                contents.version,
                rng,
            )
            .map_err(failed)?;
        keys.sign_macro(&mut block, elected(blockchain, number)?)?;
        Ok(Block::Macro(block))
    } else {
        producer
            .next_micro_block_with_rng(
                blockchain,
                contents.timestamp,
                Vec::new(),
                contents.transactions,
                contents.extra_data,
                None,
                rng,
            )
            .map(Block::Micro)
            .map_err(failed)
    }
}

/// The validators of the epoch that block `number`, the next, is in.
fn elected(blockchain: &Blockchain, number: u32) -> Result<&Validators, ChainError> {
    blockchain
        .current_validators()
        .ok_or(ChainError::NobodyToElect(number))
}

/// Produces the skip block after the head, with the votes of all slots.
pub(super) fn produce_skip(
    blockchain: &Blockchain,
    keys: &KeyRing,
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
    let elected = elected(blockchain, number)?;
    let proof = keys.skip_proof(&info, &state_root, head.version(), elected)?;
    keys.producer(blockchain)?
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
