//! Blocks that are wrong in one chosen way.

use nimiq_block::{Block, MicroJustification};
use nimiq_bls::{CompressedPublicKey, LazyPublicKey};
use nimiq_hash::{Blake2bHash, Blake2sHash};
use nimiq_primitives::{
    networks::NetworkId,
    policy::Policy,
    slots_allocation::{Validator, Validators},
};
use nimiq_vrf::VrfSeed;

use super::{ValidatorKeys, forget_hash};

/// One way in which a block can differ from the honest one.
///
/// Whether a difference makes the block *invalid* depends on whether it is signed again, see
/// [`Signing`]: a changed timestamp with a valid signature, for example, is a fork, and changed
/// roots are something no light client can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mutation {
    /// Adds this many milliseconds to the timestamp.
    Timestamp(i64),
    /// Carries other extra data, of the allowed length: just another block.
    ExtraData,
    /// Carries 33 bytes of extra data, one more than allowed.
    LongExtraData,
    /// Names a parent that doesn't exist.
    Parent,
    /// Names an election block that doesn't exist as the last one (macro blocks only).
    ParentElection,
    /// Claims to be this many blocks later.
    Number(i32),
    /// Claims protocol version 2, which takes an election block and a vote.
    Version,
    /// Claims a version nobody knows.
    UnknownVersion,
    /// Claims to be of the main network.
    Network,
    /// Has another state root.
    StateRoot,
    /// Has another body root.
    BodyRoot,
    /// Has another history root.
    HistoryRoot,
    /// Has a seed that is not even a point of the curve.
    Seed,
    /// Punishes a slot that did nothing (macro blocks only).
    PunishedSet,
    /// Punishes a slot that doesn't exist (macro blocks only).
    PunishedSetOutOfRange,
    /// Elects another validator (election blocks only).
    Validators,
    /// Elects a validator whose voting key is none (election blocks only).
    BrokenVotingKey,
    /// Elects nobody (election blocks only), or somebody in a checkpoint block.
    ValidatorsPresence,
    /// Leaves one slot without an owner (election blocks only).
    SlotGap,
    /// Links to earlier election blocks are missing (election blocks only).
    Interlink,
    /// Claims to have been agreed on in a later round than the votes were cast in (macro only).
    Round,
    /// The signature is of something else.
    BadSignature,
    /// One vote too few (macro and skip blocks only).
    TooFewSigners,
    /// Votes of nobody (macro and skip blocks only).
    NoSigners,
    /// A vote of a slot that doesn't exist (macro and skip blocks only).
    SignerOutOfRange,
    /// Has no justification at all.
    NoJustification,
    /// Passes a micro block off as a skip block (micro blocks only).
    AsSkip,
}

/// Who signs a block after it was changed.
#[derive(Clone, Copy, Debug)]
pub enum Signing<'a> {
    /// Nobody: the justification stays that of the honest block, and no longer fits.
    Keep,
    /// The given validator. With the elected one's keys the block is as good as an honest one as
    /// far as signatures go.
    By(&'a ValidatorKeys),
}

impl Mutation {
    /// Every mutation, with some values for those that take one.
    pub const ALL: &'static [Mutation] = &[
        Mutation::Timestamp(1),
        Mutation::Timestamp(-100_000_000),
        // Beyond the drift that is tolerated even if the block is an hour old.
        Mutation::Timestamp(400 * 365 * 86_400_000),
        Mutation::ExtraData,
        Mutation::LongExtraData,
        Mutation::Parent,
        Mutation::ParentElection,
        Mutation::Number(1),
        Mutation::Number(-1),
        Mutation::Version,
        Mutation::UnknownVersion,
        Mutation::Network,
        Mutation::StateRoot,
        Mutation::BodyRoot,
        Mutation::HistoryRoot,
        Mutation::Seed,
        Mutation::PunishedSet,
        Mutation::PunishedSetOutOfRange,
        Mutation::Validators,
        Mutation::BrokenVotingKey,
        Mutation::ValidatorsPresence,
        Mutation::SlotGap,
        Mutation::Interlink,
        Mutation::Round,
        Mutation::BadSignature,
        Mutation::TooFewSigners,
        Mutation::NoSigners,
        Mutation::SignerOutOfRange,
        Mutation::NoJustification,
        Mutation::AsSkip,
    ];

    /// A changed copy of the block, or `None` if this mutation doesn't apply to a block of its
    /// kind. `stranger` is the validator to elect where one is needed, and signs nothing.
    pub fn apply(
        self,
        block: &Block,
        signing: Signing<'_>,
        stranger: &ValidatorKeys,
    ) -> Option<Block> {
        let mut block = block.clone();
        self.change_header(&mut block, stranger)?;
        forget_hash(&mut block);
        if let Signing::By(keys) = signing {
            sign(&mut block, keys);
        }
        self.change_justification(&mut block, stranger)?;
        Some(block)
    }

    /// Changes what the hash covers. `None` if the mutation doesn't apply.
    fn change_header(self, block: &mut Block, stranger: &ValidatorKeys) -> Option<()> {
        match self {
            // What macro and micro headers have in common.
            Mutation::Timestamp(by) => each(block, |h| {
                *h.timestamp = h.timestamp.saturating_add_signed(by);
            }),
            Mutation::ExtraData => each(block, |h| *h.extra_data = b"another block".to_vec()),
            Mutation::LongExtraData => each(block, |h| *h.extra_data = vec![7; 33]),
            Mutation::Parent => each(block, |h| *h.parent_hash = Blake2bHash([0x70; 32])),
            Mutation::Number(by) => each(block, |h| {
                *h.number = h.number.saturating_add_signed(by);
            }),
            Mutation::Version => each(block, |h| *h.version = 2),
            Mutation::UnknownVersion => each(block, |h| *h.version = u16::MAX),
            Mutation::Network => each(block, |h| *h.network = NetworkId::MainAlbatross),
            Mutation::StateRoot => each(block, |h| *h.state_root = Blake2bHash([0x73; 32])),
            Mutation::BodyRoot => each(block, |h| *h.body_root = Blake2sHash([0x62; 32])),
            Mutation::HistoryRoot => each(block, |h| *h.history_root = Blake2bHash([0x68; 32])),
            Mutation::Seed => each(block, |h| *h.seed = broken_seed(h.seed)),
            // What only macro headers have.
            Mutation::ParentElection
            | Mutation::PunishedSet
            | Mutation::PunishedSetOutOfRange
            | Mutation::Validators
            | Mutation::BrokenVotingKey
            | Mutation::ValidatorsPresence
            | Mutation::SlotGap
            | Mutation::Interlink => return self.change_macro_header(block, stranger),
            // What the hash doesn't cover.
            Mutation::Round
            | Mutation::BadSignature
            | Mutation::TooFewSigners
            | Mutation::NoSigners
            | Mutation::SignerOutOfRange
            | Mutation::NoJustification
            | Mutation::AsSkip => {}
        }
        Some(())
    }

    fn change_macro_header(self, block: &mut Block, stranger: &ValidatorKeys) -> Option<()> {
        let Block::Macro(block) = block else {
            return None;
        };
        let header = &mut block.header;
        let punished = &mut header.next_batch_initial_punished_set;
        match self {
            Mutation::ParentElection => header.parent_election_hash = Blake2bHash([0x65; 32]),
            Mutation::PunishedSet => punished.insert(0),
            Mutation::PunishedSetOutOfRange => punished.insert(usize::from(Policy::SLOTS)),
            Mutation::Validators => {
                header.validators.as_ref()?;
                header.validators = Some(stranger.validators());
            }
            Mutation::BrokenVotingKey => {
                header.validators = Some(with_broken_key(header.validators.as_ref()?));
            }
            Mutation::ValidatorsPresence => {
                header.validators = match header.validators {
                    Some(_) => None,
                    None => Some(stranger.validators()),
                };
            }
            Mutation::SlotGap => {
                let mut validators = header.validators.as_ref()?.validators.clone();
                validators.last_mut()?.slots.end -= 1;
                header.validators = Some(Validators::new(validators));
            }
            Mutation::Interlink => {
                header.interlink.as_ref()?;
                header.interlink = None;
            }
            _ => return None,
        }
        Some(())
    }

    /// Changes what proves the block. `None` if the mutation doesn't apply.
    fn change_justification(self, block: &mut Block, stranger: &ValidatorKeys) -> Option<()> {
        match self {
            Mutation::NoJustification => {
                match block {
                    Block::Macro(block) => block.justification = None,
                    Block::Micro(block) => block.justification = None,
                }
                return Some(());
            }
            Mutation::AsSkip => {
                let Block::Micro(block) = block else {
                    return None;
                };
                stranger.sign_skip(block, Policy::SLOTS);
                return Some(());
            }
            Mutation::BadSignature => {
                if let Block::Micro(block) = block
                    && !block.is_skip_block()
                {
                    let signature = stranger.signing.sign(b"something else");
                    block.justification = Some(MicroJustification::Micro(signature));
                    return Some(());
                }
            }
            Mutation::Round => {
                let Block::Macro(block) = block else {
                    return None;
                };
                block.justification.as_mut()?.round += 1;
                return Some(());
            }
            Mutation::TooFewSigners | Mutation::NoSigners | Mutation::SignerOutOfRange => {}
            _ => return Some(()),
        }

        // What is left concerns the votes in an aggregated signature.
        let votes = match block {
            Block::Macro(block) => &mut block.justification.as_mut()?.sig,
            Block::Micro(block) => match block.justification.as_mut()? {
                MicroJustification::Skip(proof) => &mut proof.sig,
                MicroJustification::Micro(_) => return None,
            },
        };
        match self {
            Mutation::BadSignature => {
                let other = stranger.voting.sign(&Blake2bHash([0x62; 32]));
                votes.signature = nimiq_bls::AggregateSignature::from_signatures(&[other]);
            }
            Mutation::TooFewSigners => {
                votes.signers = (0..usize::from(Policy::TWO_F_PLUS_ONE) - 1).collect();
            }
            Mutation::NoSigners => votes.signers.clear(),
            Mutation::SignerOutOfRange => votes.signers.insert(usize::from(Policy::SLOTS)),
            _ => return None,
        }
        Some(())
    }
}

/// Signs a block anew, in the way it was signed before.
fn sign(block: &mut Block, keys: &ValidatorKeys) {
    match block {
        Block::Macro(block) => keys.sign_macro(block),
        Block::Micro(block) if block.is_skip_block() => {
            // A seed without entropy can't be voted on; the votes then stay those of the original.
            if block.header.seed.try_entropy().is_some() {
                keys.sign_skip(block, Policy::SLOTS);
            }
        }
        Block::Micro(block) => keys.sign_micro(block),
    }
}

/// The fields that headers of both kinds have.
struct Common<'a> {
    network: &'a mut NetworkId,
    version: &'a mut u16,
    number: &'a mut u32,
    timestamp: &'a mut u64,
    parent_hash: &'a mut Blake2bHash,
    seed: &'a mut VrfSeed,
    extra_data: &'a mut Vec<u8>,
    state_root: &'a mut Blake2bHash,
    body_root: &'a mut Blake2sHash,
    history_root: &'a mut Blake2bHash,
}

fn each(block: &mut Block, change: impl FnOnce(Common<'_>)) {
    macro_rules! common {
        ($header:expr) => {
            Common {
                network: &mut $header.network,
                version: &mut $header.version,
                number: &mut $header.block_number,
                timestamp: &mut $header.timestamp,
                parent_hash: &mut $header.parent_hash,
                seed: &mut $header.seed,
                extra_data: &mut $header.extra_data,
                state_root: &mut $header.state_root,
                body_root: &mut $header.body_root,
                history_root: &mut $header.history_root,
            }
        };
    }
    match block {
        Block::Macro(block) => change(common!(block.header)),
        Block::Micro(block) => change(common!(block.header)),
    }
}

/// A seed whose first half is no point of the curve.
fn broken_seed(seed: &VrfSeed) -> VrfSeed {
    use nimiq_serde::{Deserialize, Serialize};
    let mut bytes = seed.serialize_to_vec();
    // Of any 32 bytes about half decode to a point; try until some don't.
    for last in 0..=u8::MAX {
        if let Some(byte) = bytes.first_mut() {
            *byte = last;
        }
        if let Ok(seed) = VrfSeed::deserialize_from_vec(&bytes)
            && seed.try_entropy().is_none()
        {
            return seed;
        }
    }
    seed.clone()
}

/// The same validators, the first of whom has a voting key that can't be decompressed.
fn with_broken_key(validators: &Validators) -> Validators {
    let key = LazyPublicKey::from_compressed(&CompressedPublicKey {
        public_key: [0x5a; CompressedPublicKey::SIZE],
    });
    let mut all = validators.validators.clone();
    if let Some(first) = all.first_mut() {
        *first = Validator::new(
            first.address.clone(),
            key,
            first.signing_key,
            first.slots.clone(),
        );
    }
    Validators::new(all)
}
