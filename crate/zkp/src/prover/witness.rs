//! What a prover knows of one link of the chain, taken from the blocks: two election blocks, one epoch apart.

use ark_ec::AffineRepr;
use ark_mnt6_753::{G1Affine, G2Affine};
use nimiq_block::{MacroBlock, MacroHeader};
use nimiq_hash::{Blake2sHash, Hash, SerializeContent};
use nimiq_serde::Serialize;
use thiserror::Error;

use super::{
    PROTOCOL_VERSION, Parameters, QUORUM,
    gadget::{header::CONTENT_SIZE, validators::ENTRY_SIZE},
};

/// Why two blocks can't be proven to be a link.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BlockError {
    /// It elects nobody.
    #[error("block {0} is no election block")]
    NoElection(u32),
    /// It belongs to another network.
    #[error("block {0} is of another network")]
    Network(u32),
    /// Its hash is made in another way than the circuit's.
    #[error(
        "block {number} has protocol version {version}; only version {PROTOCOL_VERSION} can be proven"
    )]
    Version {
        /// Of the block.
        number: u32,
        /// Of the block.
        version: u16,
    },
    /// They are not neighbours.
    #[error("block {next} is not one epoch after block {previous}")]
    EpochGap {
        /// Number of the earlier block.
        previous: u32,
        /// Number of the later block.
        next: u32,
    },
    /// The circuit has no room for them.
    #[error("block {number} elects {validators} validators; the circuit has room for {limit}")]
    TooManyValidators {
        /// Of the block.
        number: u32,
        /// How many it elects.
        validators: usize,
        /// What the keys were made for.
        limit: usize,
    },
    /// A voting key is no point of its curve.
    #[error("block {0} elects a validator with an invalid voting key")]
    VotingKey(u32),
    /// It comes without the votes for it.
    #[error("block {0} has no justification")]
    NoJustification(u32),
    /// Its signature is no point of its curve.
    #[error("block {0} has an invalid signature")]
    Signature(u32),
    /// Not enough slots signed.
    #[error("block {number} is signed by {signed} slots; it takes {QUORUM}")]
    TooFewVotes {
        /// Of the block.
        number: u32,
        /// Slots that signed.
        signed: u16,
    },
}

/// A validator, and how many of its slots signed the next block.
#[derive(Clone)]
pub(crate) struct ValidatorWitness {
    pub(crate) entry: [u8; ENTRY_SIZE],
    pub(crate) key: G2Affine,
    pub(crate) weight: u16,
}

impl ValidatorWitness {
    /// What stands where there is no validator.
    pub(crate) fn unused() -> Self {
        Self {
            entry: [0; ENTRY_SIZE],
            key: G2Affine::generator(),
            weight: 0,
        }
    }
}

/// A link of the chain.
#[derive(Clone)]
pub(crate) struct LinkWitness {
    pub(crate) previous: [u8; CONTENT_SIZE],
    /// As many as the circuit has room for.
    pub(crate) validators: Vec<Option<ValidatorWitness>>,
    pub(crate) punished_set_hash: [u8; 32],
    pub(crate) body_root: [u8; 32],
    pub(crate) next: [u8; CONTENT_SIZE],
    /// In which the votes were given.
    pub(crate) round: u32,
    pub(crate) signature: G1Affine,
}

impl LinkWitness {
    /// Of no blocks, to make keys with: just the shape counts.
    pub(crate) fn blank(parameters: &Parameters) -> Self {
        Self {
            previous: [0; CONTENT_SIZE],
            validators: vec![None; parameters.max_validators],
            punished_set_hash: [0; 32],
            body_root: [0; 32],
            next: [0; CONTENT_SIZE],
            round: 0,
            signature: G1Affine::generator(),
        }
    }

    /// That `next` follows `previous`.
    ///
    /// # Errors
    /// [`BlockError`] if it doesn't, as far as that is seen without looking at the signature.
    pub(crate) fn new(
        parameters: &Parameters,
        previous: &MacroBlock,
        next: &MacroBlock,
    ) -> Result<Self, BlockError> {
        for block in [previous, next] {
            check(parameters, block)?;
        }
        let number = next.block_number();
        if previous
            .block_number()
            .checked_add(parameters.blocks_per_epoch)
            != Some(number)
        {
            return Err(BlockError::EpochGap {
                previous: previous.block_number(),
                next: number,
            });
        }
        let justification = next
            .justification
            .as_ref()
            .ok_or(BlockError::NoJustification(number))?;
        let validators = validators(parameters, previous, |slot| {
            justification.sig.signers.contains(slot.into())
        })?;
        let signed = validators.iter().flatten().map(|v| v.weight).sum();
        if signed < QUORUM {
            return Err(BlockError::TooFewVotes { number, signed });
        }
        let signature = justification
            .sig
            .signature
            .0
            .compressed
            .uncompress()
            .map_err(|_| BlockError::Signature(number))?;
        let signature = G1Affine::from(signature.signature);
        if signature.is_zero() {
            return Err(BlockError::Signature(number));
        }
        let header = &previous.header;
        let punished_set = header.next_batch_initial_punished_set.serialize_to_vec();
        Ok(Self {
            previous: content(header),
            validators,
            punished_set_hash: punished_set.hash::<Blake2sHash>().into(),
            body_root: header.body_root.clone().into(),
            next: content(&next.header),
            round: justification.round,
            signature,
        })
    }
}

/// Whether a block is one that the circuit can take.
pub(super) fn check(parameters: &Parameters, block: &MacroBlock) -> Result<(), BlockError> {
    let number = block.block_number();
    if block.header.validators.is_none() {
        return Err(BlockError::NoElection(number));
    }
    if block.header.network as u8 != parameters.network {
        return Err(BlockError::Network(number));
    }
    if block.header.version != PROTOCOL_VERSION {
        return Err(BlockError::Version {
            number,
            version: block.header.version,
        });
    }
    Ok(())
}

fn validators(
    parameters: &Parameters,
    block: &MacroBlock,
    signed: impl Fn(u16) -> bool,
) -> Result<Vec<Option<ValidatorWitness>>, BlockError> {
    let number = block.block_number();
    let set = block
        .header
        .validators
        .as_ref()
        .ok_or(BlockError::NoElection(number))?;
    if set.num_validators() > parameters.max_validators {
        return Err(BlockError::TooManyValidators {
            number,
            validators: set.num_validators(),
            limit: parameters.max_validators,
        });
    }
    let mut witnesses = Vec::with_capacity(parameters.max_validators);
    for validator in set.iter() {
        let key = validator
            .voting_key
            .compressed()
            .uncompress()
            .map_err(|_| BlockError::VotingKey(number))?;
        let mut entry = Vec::with_capacity(ENTRY_SIZE);
        entry.extend_from_slice(validator.address.as_bytes());
        entry.extend_from_slice(validator.signing_key.as_bytes());
        entry.extend_from_slice(validator.voting_key.compressed().as_ref());
        entry.extend_from_slice(&validator.slots.start.to_be_bytes());
        entry.extend_from_slice(&validator.slots.end.to_be_bytes());
        witnesses.push(Some(ValidatorWitness {
            entry: entry
                .try_into()
                .map_err(|_| BlockError::VotingKey(number))?,
            key: key.public_key.into(),
            weight: validator.slots.clone().filter(|slot| signed(*slot)).count() as u16,
        }));
    }
    witnesses.resize(parameters.max_validators, None);
    Ok(witnesses)
}

/// What a header's hash covers. Of a header that [`check`] has passed.
fn content(header: &MacroHeader) -> [u8; CONTENT_SIZE] {
    let mut bytes = Vec::with_capacity(CONTENT_SIZE);
    // Writing to a vector doesn't fail.
    let _ = header.serialize_content::<_, Blake2sHash>(&mut bytes);
    bytes.resize(CONTENT_SIZE, 0);
    std::array::from_fn(|i| bytes[i])
}
