//! The ways to lie about proofs of the election chain.

use std::{fmt, str::FromStr};

use nimiq_block::MacroBlock;
use nimiq_network_libp2p::PeerId;
use nimiq_primitives::policy::Policy;

use super::{
    answers::{Lied, Reply, Script},
    lie::UnknownLie,
};
use crate::proofs::{LatestProof, RequestZKP, ZKProof, ZkpResponse, answer};

/// Bytes of a curve point of a proof, of which the first and the last are of the same kind.
const POINT: usize = 95;

/// More bytes than any proof has.
const OVERSIZED: usize = 2048;

/// How many epochs ahead a block is claimed to be.
const EPOCHS_AHEAD: u32 = 100;

/// One way in which a peer's answers to requests for proofs differ from an honest one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofLie {
    /// Proofs of the right form that prove nothing.
    BadProof,
    /// Proofs that are no curve points.
    BrokenProof,
    /// The proof of an earlier block in place of the last one's.
    OtherProof,
    /// The right proof with an election block that it made up.
    ForgedBlock,
    /// The right proof with the election block before.
    OtherBlock,
    /// The right proof without the block that was asked for.
    NoBlock,
    /// Far more bytes than a proof has.
    Oversized,
    /// A block without a proof, as if it were the genesis block.
    NoProof,
    /// Says that it has no later proof, whatever was asked for.
    Outdated,
    /// An honest proof of the block an epoch before.
    Old,
    /// The right proof as that of a block far ahead.
    Future,
    /// Bytes that mean nothing.
    Garbage,
    /// Never answers.
    NoAnswer,
}

impl ProofLie {
    /// All of them, with their names.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::BadProof, "bad-proof"),
        (Self::BrokenProof, "broken-proof"),
        (Self::OtherProof, "other-proof"),
        (Self::ForgedBlock, "forged-proof-block"),
        (Self::OtherBlock, "other-proof-block"),
        (Self::NoBlock, "no-proof-block"),
        (Self::Oversized, "oversized-proof"),
        (Self::NoProof, "empty-proof"),
        (Self::Outdated, "outdated-proof"),
        (Self::Old, "old-proof"),
        (Self::Future, "future-proof"),
        (Self::Garbage, "garbage-proof"),
        (Self::NoAnswer, "no-proof-answer"),
    ];

    /// The lie about a proof and the block it is of.
    fn about(self, honest: LatestProof, script: &Script) -> ZkpResponse {
        let LatestProof { block, mut proof } = honest;
        let mut number = block.block_number();
        let mut told = Some(block.clone());
        match self {
            Self::BadProof => swap_ends(&mut proof),
            Self::BrokenProof => proof.fill(0xff),
            Self::OtherProof => match script.proof_at_most(number - 1) {
                Some(other) => proof = other.proof,
                None => swap_ends(&mut proof),
            },
            Self::ForgedBlock => told = Some(script.forged_election_block(&block)),
            Self::OtherBlock => told = before(script, &block),
            Self::NoBlock => told = None,
            Self::Oversized => proof = vec![0; OVERSIZED],
            Self::Outdated => return ZkpResponse::Outdated(number),
            Self::Old => match script.proof_at_most(number - 1) {
                Some(old) => {
                    number = old.block.block_number();
                    (told, proof) = (Some(old.block), old.proof);
                }
                None => return ZkpResponse::Outdated(Policy::genesis_block_number()),
            },
            Self::Future => number += EPOCHS_AHEAD * Policy::blocks_per_epoch(),
            Self::NoProof | Self::Garbage | Self::NoAnswer => {}
        }
        let proof = ZKProof {
            block_number: number.to_be_bytes(),
            proof: (self != Self::NoProof).then_some(proof),
        };
        ZkpResponse::Proof(proof, told)
    }
}

/// Exchanges the first and the last point.
fn swap_ends(proof: &mut [u8]) {
    if let Some((first, rest)) = proof.split_at_mut_checked(POINT)
        && let Some(at) = rest.len().checked_sub(POINT)
    {
        first.swap_with_slice(&mut rest[at..]);
    }
}

/// The election block before another one.
fn before(script: &Script, block: &MacroBlock) -> Option<MacroBlock> {
    use crate::proofs::ElectionBlocks;
    let number = block.block_number() - Policy::blocks_per_epoch();
    script.blockchain().at(number)
}

impl Lied for RequestZKP {
    fn honest(&self, script: &Script, _peer: PeerId) -> Self::Response {
        match script.proofs() {
            Some(proofs) => answer(self, proofs, script.blockchain()),
            None => ZkpResponse::Outdated(Policy::genesis_block_number()),
        }
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        let (Some(lie), Some(honest)) = (script.proof_lie(), script.proof_at_most(u32::MAX)) else {
            return self.honest(script, peer);
        };
        match lie.about(honest, script) {
            // Also a liar sends only what was asked for.
            ZkpResponse::Proof(proof, block) => {
                ZkpResponse::Proof(proof, block.filter(|_| self.request_election_block))
            }
            outdated => outdated,
        }
    }

    fn reply(&self, script: &Script, peer: PeerId) -> Reply<Self::Response> {
        match script.proof_lie() {
            Some(ProofLie::NoAnswer) => Reply::Never,
            Some(_) => Reply::Now(self.lied(script, peer)),
            None => script.reply_as_to_all(self, peer),
        }
    }
}

impl FromStr for ProofLie {
    type Err = UnknownLie;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found
            .map(|(lie, _)| *lie)
            .ok_or_else(|| UnknownLie::new(text))
    }
}

impl fmt::Display for ProofLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(lie, _)| lie == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}
