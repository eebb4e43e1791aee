//! The keys of a validator, and what it signs with them.

use std::str::FromStr;

use nimiq_block::{
    MacroBlock, MicroBlock, MicroJustification, MultiSignature, SkipBlockInfo, SkipBlockProof,
    TendermintProof,
};
use nimiq_bls::{AggregateSignature, KeyPair as BlsKeyPair, SecretKey as BlsSecretKey, SigHash};
use nimiq_collections::bitset::BitSet;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::{Address, KeyPair, PrivateKey, SecureGenerate};
use nimiq_primitives::{
    TendermintIdentifier, TendermintStep, TendermintVote,
    coin::Coin,
    policy::Policy,
    slots_allocation::{Validators, ValidatorsBuilder},
};
use nimiq_serde::Deserialize;
use nimiq_transaction::Transaction;
use nimiq_transaction_builder::TransactionBuilder;
use rand::{CryptoRng, Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::NETWORK_ID;

// The secret keys of the only validator of `unit-albatross`. They are public: the crate
// `nimiq-genesis` gives them as comments in `unit-albatross.toml`.
const VALIDATOR_ADDRESS: &str = "NQ20 TSB0 DFSM UH9C 15GQ GAGJ TTE4 D3MA 859E";
const COLD_KEY: &str = "6927eb8de74e8ea06a8afae5a66db176a7031f742b656651ac53bddb8a4ad3f3";
const SIGNING_KEY: &str = "041580cc67e66e9e08b68fd9e4c9deb68737168fbe7488de2638c2e906c2f5ad";
const FEE_KEY: &str = "6c9320ac201caf1f8eaa5b05f5d67a9e77826f3f6be266a0ecccc20416dc6587";
const VOTING_KEY: &str = "99237809f3b37bd0878854d2b5b66e4cc00ba1a1d64377c374f2b6d1bf3dec7835bfae3e\
                          7ab89b6d331b3ef7d1e9a06a7f6967bf00edf9e0bcfe34b58bd1260e96406e09156e4c19\
                          0ff8f69a9ce1183b4289383e6d798fd5104a3800fabd00";

/// The keys of one validator.
#[derive(Clone, Debug)]
pub struct ValidatorKeys {
    /// Names the validator in the staking contract.
    pub address: Address,
    /// The key of that address. Signs what changes the validator itself.
    pub cold: KeyPair,
    /// Signs micro blocks and their seeds (Ed25519).
    pub signing: KeyPair,
    /// Signs macro and skip blocks (BLS).
    pub voting: BlsKeyPair,
    /// Pays for the validator's own transactions, and receives its rewards.
    pub fee: KeyPair,
}

impl ValidatorKeys {
    /// The keys of the one validator of `unit-albatross`, who signs every block of that network.
    pub fn unit_albatross() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "parses constants of this file; a test covers it"
        )]
        Self {
            address: Address::from_user_friendly_address(VALIDATOR_ADDRESS)
                .expect("the address is a valid constant"),
            cold: PrivateKey::from_str(COLD_KEY)
                .expect("the cold key is a valid constant")
                .into(),
            signing: PrivateKey::from_str(SIGNING_KEY)
                .expect("the signing key is a valid constant")
                .into(),
            voting: BlsSecretKey::deserialize_from_vec(&decode_hex(VOTING_KEY))
                .expect("the voting key is a valid constant")
                .into(),
            fee: PrivateKey::from_str(FEE_KEY)
                .expect("the fee key is a valid constant")
                .into(),
        }
    }

    /// Keys of a validator that are the same for the same number each time.
    pub fn numbered(number: u64) -> Self {
        Self::generate(&mut ChaCha20Rng::seed_from_u64(number))
    }

    /// Fresh keys of a validator that nobody has elected yet: what a liar signs with.
    pub fn generate<R: Rng + CryptoRng>(rng: &mut R) -> Self {
        let signing = KeyPair::generate(rng);
        Self {
            address: Address::from(&signing.public),
            cold: signing.clone(),
            voting: BlsKeyPair::generate(rng),
            fee: KeyPair::generate(rng),
            signing,
        }
    }

    /// The validator set in which this validator owns all slots, as an election block lists it.
    pub fn validators(&self) -> Validators {
        let mut builder = ValidatorsBuilder::new();
        for _ in 0..Policy::SLOTS {
            builder.push(
                self.address.clone(),
                self.voting.public_key.compress(),
                self.signing.public,
            );
        }
        builder.build()
    }

    /// Replaces the justification of a micro block by this validator's signature.
    pub fn sign_micro(&self, block: &mut MicroBlock) {
        block.header.cached_hash = None;
        let signature = self.signing.sign(block.hash().as_slice());
        block.justification = Some(MicroJustification::Micro(signature));
    }

    /// Replaces the justification of a macro block by one with the votes of all slots, cast in the
    /// round of its header.
    pub fn sign_macro(&self, block: &mut MacroBlock) {
        self.sign_macro_with(block, block.header.round, Policy::SLOTS);
    }

    /// Like [`ValidatorKeys::sign_macro`], but cast in any round and by only the first `slots`
    /// slots. Fewer than [`Policy::TWO_F_PLUS_ONE`] don't suffice.
    pub fn sign_macro_with(&self, block: &mut MacroBlock, round: u32, slots: u16) {
        block.header.cached_hash = None;
        let vote = TendermintVote {
            proposal_hash: Some(block.hash_blake2s()),
            id: TendermintIdentifier {
                network: block.header.network,
                block_number: block.header.block_number,
                round_number: round,
                step: TendermintStep::PreCommit,
            },
        };
        block.justification = Some(TendermintProof {
            round,
            sig: self.multi_signature(vote.hash(), slots),
        });
    }

    /// The proof of a skip block, with the votes of the first `slots` slots. From protocol version 2
    /// on it also covers the block's state root.
    pub fn skip_proof(
        &self,
        info: &SkipBlockInfo,
        state_root: &Blake2bHash,
        version: u16,
        slots: u16,
    ) -> SkipBlockProof {
        SkipBlockProof {
            sig: self.multi_signature(info.signing_hash(state_root, version), slots),
        }
    }

    /// Replaces the justification of a block that is to pass as a skip block.
    pub fn sign_skip(&self, block: &mut MicroBlock, slots: u16) {
        block.header.cached_hash = None;
        let info = SkipBlockInfo {
            network_id: block.header.network,
            block_number: block.header.block_number,
            vrf_entropy: block.header.seed.entropy(),
        };
        let proof = self.skip_proof(&info, &block.header.state_root, block.header.version, slots);
        block.justification = Some(MicroJustification::Skip(proof));
    }

    /// The transaction that activates this validator again after it missed its turn, for the block
    /// after `height`. It costs nothing.
    pub fn reactivation(&self, height: u32) -> Transaction {
        TransactionBuilder::new_reactivate_validator(
            &self.fee,
            self.address.clone(),
            &self.signing,
            Coin::ZERO,
            height,
            NETWORK_ID,
        )
    }

    /// The transaction by which this validator tells that it is ready for a protocol version, for the
    /// block after `height`. It costs nothing.
    pub fn signal(&self, version: u16, height: u32) -> Transaction {
        TransactionBuilder::new_update_validator(
            &self.fee,
            &self.cold,
            None,
            None,
            None,
            Some(Some(Policy::signal_data_for_version(version))),
            Coin::ZERO,
            height,
            NETWORK_ID,
        )
    }

    /// One signature counted once for each of the first `slots` slots.
    fn multi_signature(&self, hash: SigHash, slots: u16) -> MultiSignature {
        let signature = self.voting.sign_hash(hash).multiply(slots);
        let signers: BitSet = (0..usize::from(slots)).collect();
        MultiSignature::new(AggregateSignature::from_signatures(&[signature]), signers)
    }
}

/// Decodes the digits of a constant; anything else gives bytes that no key parses from.
fn decode_hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2)
        .map_while(|i| u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::chain::{genesis_block, init_policy};

    #[test]
    fn the_keys_are_those_of_the_genesis_validator() {
        init_policy();
        let keys = ValidatorKeys::unit_albatross();
        let elected = genesis_block().validators().unwrap();
        let validator = elected.get_validator_by_address(&keys.address).unwrap();
        assert_eq!(validator.num_slots(), Policy::SLOTS);
        assert_eq!(validator.signing_key, keys.signing.public);
        assert_eq!(
            validator.voting_key.compressed(),
            &keys.voting.public_key.compress()
        );
        assert_eq!(keys.validators(), elected);
        assert_eq!(Address::from(&keys.cold.public), keys.address);
    }
}
