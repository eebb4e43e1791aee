//! The keys of all validators of a chain, and what they sign together.

use nimiq_block::{MacroBlock, MultiSignature, SkipBlockInfo, SkipBlockProof, TendermintProof};
use nimiq_blockchain::{BlockProducer, Blockchain};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_bls::{AggregateSignature, SigHash};
use nimiq_collections::bitset::BitSet;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_primitives::{
    TendermintIdentifier, TendermintStep, TendermintVote, policy::Policy,
    slots_allocation::Validators,
};

use super::{ChainError, ValidatorKeys};

/// The keys of every validator that can be elected on a chain, so that one process can make all its
/// blocks. The first validator is that of the genesis block.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    first: ValidatorKeys,
    others: Vec<ValidatorKeys>,
    /// Those who don't vote.
    absent: Vec<Address>,
}

impl KeyRing {
    pub(crate) fn new(first: ValidatorKeys, others: Vec<ValidatorKeys>) -> Self {
        Self {
            first,
            others,
            absent: Vec::new(),
        }
    }

    /// The keys of the genesis block's validator.
    pub(crate) fn first(&self) -> &ValidatorKeys {
        &self.first
    }

    /// From now on these don't vote for macro blocks; they still produce blocks.
    pub(crate) fn set_absent(&mut self, absent: Vec<Address>) {
        self.absent = absent;
    }

    fn get(&self, address: &Address) -> Result<&ValidatorKeys, ChainError> {
        std::iter::once(&self.first)
            .chain(&self.others)
            .find(|keys| keys.address == *address)
            .ok_or_else(|| ChainError::UnknownValidator(address.clone()))
    }

    /// Makes the next block as the validator whose turn it is.
    pub(crate) fn producer(&self, blockchain: &Blockchain) -> Result<BlockProducer, ChainError> {
        let keys = if self.others.is_empty() {
            &self.first
        } else {
            let number = blockchain.block_number() + 1;
            // The draw goes by a micro block's number, and by a macro block's round, which is the first.
            let offset = if Policy::is_macro_block_at(number) {
                0
            } else {
                number
            };
            let slot = blockchain.get_proposer_at(number, offset, None)?;
            self.get(&slot.validator.address)?
        };
        Ok(BlockProducer::new(
            keys.signing.clone(),
            keys.voting.clone(),
        ))
    }

    /// Gives a macro block the votes of the validators elected for its epoch, cast in the round of
    /// its header.
    pub(crate) fn sign_macro(
        &self,
        block: &mut MacroBlock,
        elected: &Validators,
    ) -> Result<(), ChainError> {
        block.header.cached_hash = None;
        let vote = TendermintVote {
            proposal_hash: Some(block.hash_blake2s()),
            id: TendermintIdentifier {
                network: block.header.network,
                block_number: block.header.block_number,
                round_number: block.header.round,
                step: TendermintStep::PreCommit,
            },
        };
        block.justification = Some(TendermintProof {
            round: block.header.round,
            sig: self.multi_signature(&vote.hash(), elected, &self.absent)?,
        });
        Ok(())
    }

    /// The proof of a skip block, with the votes of all elected validators.
    pub(crate) fn skip_proof(
        &self,
        info: &SkipBlockInfo,
        state_root: &Blake2bHash,
        version: u16,
        elected: &Validators,
    ) -> Result<SkipBlockProof, ChainError> {
        let hash = info.signing_hash(state_root, version);
        let sig = self.multi_signature(&hash, elected, &[])?;
        Ok(SkipBlockProof { sig })
    }

    /// Each validator's signature, counted once for each of its slots.
    fn multi_signature(
        &self,
        hash: &SigHash,
        elected: &Validators,
        absent: &[Address],
    ) -> Result<MultiSignature, ChainError> {
        let mut signatures = Vec::new();
        let mut signers = BitSet::new();
        for validator in elected.iter() {
            if absent.contains(&validator.address) {
                continue;
            }
            let keys = self.get(&validator.address)?;
            let signature = keys.voting.sign_hash(hash.clone());
            signatures.push(signature.multiply(validator.num_slots()));
            for slot in validator.slots.clone() {
                signers.insert(usize::from(slot));
            }
        }
        let signature = AggregateSignature::from_signatures(&signatures);
        Ok(MultiSignature::new(signature, signers))
    }
}
