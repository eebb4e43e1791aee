//! Those who may sign what comes after a macro block.

use nimiq_block::{
    Block, MacroBlock, MacroHeader, MicroBlock, MicroHeader, MicroJustification, MultiSignature,
    SkipBlockInfo, SkipBlockProof, TendermintProof,
};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_collections::bitset::BitSet;
use nimiq_light_blockchain::LightBlockchain;
use nimiq_primitives::{
    policy::Policy,
    slots_allocation::{Validator, Validators},
};
use pico_node::chain::ValidatorKeys;
use rand::{CryptoRng, Rng, RngExt};

/// The validators of an epoch, with their keys, and the macro block that starts the batch.
#[derive(Clone, Debug)]
pub struct Office {
    /// By slot band.
    keys: Vec<ValidatorKeys>,
    /// Elected them.
    election: MacroBlock,
    /// Says which of their slots are punished.
    head: MacroBlock,
}

impl Office {
    /// The office of `keys`, elected by `election`, after the macro block `head`.
    pub fn new(keys: Vec<ValidatorKeys>, election: MacroBlock, head: MacroBlock) -> Self {
        Self {
            keys,
            election,
            head,
        }
    }

    /// Who signs after `block`, a successor of this office's macro block. `elected` are the keys
    /// of those it elects, if it is an election block.
    pub fn after(&self, block: &Block, elected: &[ValidatorKeys]) -> Self {
        let block = block.clone().unwrap_macro();
        if block.is_election() {
            Self::new(elected.to_vec(), block.clone(), block)
        } else {
            Self::new(self.keys.clone(), self.election.clone(), block)
        }
    }

    /// The macro block that starts the batch.
    pub fn head(&self) -> &MacroBlock {
        &self.head
    }

    /// Gives the first validator half of the slots, the next half of the rest, and so on; the last
    /// one gets what is left.
    pub fn share_out(keys: &[ValidatorKeys]) -> Validators {
        let (mut start, count) = (0, keys.len());
        let validators = keys.iter().enumerate().map(|(i, keys)| {
            let end = match i + 1 == count {
                true => Policy::SLOTS,
                false => start + (Policy::SLOTS - start) / 2,
            };
            let slots = start..end;
            start = end;
            Validator::new(
                keys.address.clone(),
                keys.voting.public_key.compress(),
                keys.signing.public,
                slots,
            )
        });
        Validators::new(validators.collect())
    }

    fn validators(&self) -> &Validators {
        self.election.header.validators.as_ref().unwrap()
    }

    /// The keys of the validator whose turn it is after `parent`. `offset` is the number of a micro
    /// block, or the round of a macro block.
    pub fn owner(&self, parent: &Block, offset: u32) -> &ValidatorKeys {
        let slot = LightBlockchain::compute_slot_number(
            offset,
            parent.seed().entropy(),
            self.head.header.next_batch_initial_punished_set.clone(),
        );
        &self.keys[usize::from(self.validators().get_band_from_slot(slot))]
    }

    /// A micro block on `parent`, signed by the one whose turn it is.
    pub fn micro<R: Rng + CryptoRng>(&self, parent: &Block, later: u64, rng: &mut R) -> Block {
        let number = parent.block_number() + 1;
        let mut block = Block::Micro(MicroBlock {
            header: MicroHeader {
                timestamp: parent.timestamp().wrapping_add(later),
                seed: parent.seed().sign_next_with_rng(
                    &self.owner(parent, number).signing,
                    number,
                    rng,
                ),
                // Makes siblings differ for certain.
                extra_data: rng.random::<[u8; 8]>().to_vec(),
                ..micro_header(parent)
            },
            justification: None,
            body: None,
        });
        self.sign(&mut block, parent);
        block
    }

    /// The skip block on `parent`, signed by all.
    pub fn skip(&self, parent: &Block) -> Block {
        let mut block = MicroBlock {
            header: micro_header(parent),
            justification: None,
            body: None,
        };
        self.sign_skip(&mut block);
        Block::Micro(block)
    }

    /// The macro block on `parent`, signed by all. An election block elects `elected`.
    pub fn macro_on<R: Rng + CryptoRng>(
        &self,
        parent: &Block,
        elected: &[ValidatorKeys],
        punished: BitSet,
        rng: &mut R,
    ) -> Block {
        let number = parent.block_number() + 1;
        self.macro_at(number, parent, elected, punished, rng)
    }

    /// Like [`Office::macro_on`], but of any number, so that `parent` need not be the block before.
    /// What the macro route takes.
    pub fn macro_at<R: Rng + CryptoRng>(
        &self,
        number: u32,
        parent: &Block,
        elected: &[ValidatorKeys],
        punished: BitSet,
        rng: &mut R,
    ) -> Block {
        let election = Policy::is_election_block_at(number);
        let round = rng.random_range(0..3);
        let mut block = MacroBlock {
            header: MacroHeader {
                network: parent.network(),
                version: parent.version(),
                block_number: number,
                round,
                timestamp: parent.timestamp().wrapping_add(1000),
                parent_hash: parent.hash(),
                parent_election_hash: self.election.hash(),
                interlink: election.then(Vec::new),
                seed: parent.seed().sign_next_with_rng(
                    &self.owner(parent, round).signing,
                    number,
                    rng,
                ),
                extra_data: rng.random::<[u8; 8]>().to_vec(),
                state_root: parent.state_root().clone(),
                diff_root: parent.diff_root().clone(),
                history_root: parent.history_root().clone(),
                validators: election.then(|| Self::share_out(elected)),
                next_batch_initial_punished_set: punished,
                ..MacroHeader::default()
            },
            body: None,
            justification: None,
        };
        self.sign_macro(&mut block);
        Block::Macro(block)
    }

    /// Replaces the justification of a block on `parent` by a valid one of the same kind.
    pub fn sign(&self, block: &mut Block, parent: &Block) {
        match block {
            Block::Macro(block) => self.sign_macro(block),
            Block::Micro(block) if block.is_skip_block() => self.sign_skip(block),
            Block::Micro(block) => self
                .owner(parent, block.header.block_number)
                .sign_micro(block),
        }
    }

    fn sign_macro(&self, block: &mut MacroBlock) {
        let round = block.header.round;
        let sig = self.all_sign(|keys, slots| {
            let mut copy = block.clone();
            keys.sign_macro_with(&mut copy, round, slots);
            copy.justification.unwrap().sig
        });
        block.header.cached_hash = None;
        block.justification = Some(TendermintProof { round, sig });
    }

    /// Votes for a seed without entropy can't be cast; the old ones are kept then.
    fn sign_skip(&self, block: &mut MicroBlock) {
        block.header.cached_hash = None;
        let Some(vrf_entropy) = block.header.seed.try_entropy() else {
            return;
        };
        let header = &block.header;
        let info = SkipBlockInfo {
            network_id: header.network,
            block_number: header.block_number,
            vrf_entropy,
        };
        let sig = self.all_sign(|keys, slots| {
            keys.skip_proof(&info, &header.state_root, header.version, slots)
                .sig
        });
        block.justification = Some(MicroJustification::Skip(SkipBlockProof { sig }));
    }

    /// Adds up the votes of all validators; `vote` gives that of one, for as many slots as it has.
    fn all_sign(&self, vote: impl Fn(&ValidatorKeys, u16) -> MultiSignature) -> MultiSignature {
        let mut all = MultiSignature::default();
        for (keys, validator) in self.keys.iter().zip(self.validators().iter()) {
            let mut sig = vote(keys, validator.num_slots());
            sig.signers = validator.slots.clone().map(usize::from).collect();
            all.combine(&sig).unwrap();
        }
        all
    }
}

/// The header of the skip block on `parent`.
fn micro_header(parent: &Block) -> MicroHeader {
    MicroHeader {
        network: parent.network(),
        version: parent.version(),
        block_number: parent.block_number() + 1,
        timestamp: parent
            .timestamp()
            .wrapping_add(Policy::MIN_PRODUCER_TIMEOUT),
        parent_hash: parent.hash(),
        seed: parent.seed().clone(),
        state_root: parent.state_root().clone(),
        diff_root: parent.diff_root().clone(),
        history_root: parent.history_root().clone(),
        ..MicroHeader::default()
    }
}
