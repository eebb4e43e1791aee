//! What of a verified chain outlives the page: enough to go on from it, or to start trust at it.
//!
//! A record is bytes that somebody keeps and hands back one day. Nothing is taken from it for
//! granted: it carries a checksum, a version, and what it is of, and its blocks pass every check that
//! a peer's would. What no check can tell is whether the record was made from a verified chain. Only
//! [`Handle::saved`](crate::Handle::saved) makes records, and it makes none of any other chain;
//! [`Consensus`](crate::Consensus) gives a restored chain up again where its peers know better.

use nimiq_block::MacroBlock;
use nimiq_hash::{Blake2bHash, Blake2bHasher, Blake2sHash, Hasher};
use nimiq_primitives::policy::Policy;
use nimiq_serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    chain::LightChain,
    clock::Clock,
    header, limits,
    params::{Anchor, NetworkParams},
};

/// What every record begins with.
const MAGIC: [u8; 4] = *b"PSYC";
/// The layout that this release writes, and the only one that it reads.
const VERSION: u8 = 1;
/// Magic, version, network, genesis hash.
const HEADER_BYTES: usize = 4 + 1 + 1 + HASH_BYTES;
const HASH_BYTES: usize = 32;

/// Why a record is of no use.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SavedError {
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// It was made by a newer release.
    #[error("its version is {0}, which is from the future")]
    NewerVersion(u8),
    /// It was made by an older release.
    #[error("its version is {0}, which is outdated")]
    OlderVersion(u8),
    /// It is of another network, or of another chain of this one.
    #[error("it is of another network")]
    Foreign,
    /// Its blocks are no chain.
    #[error("its blocks are no chain: {0}")]
    Invalid(String),
    /// Its blocks are from the future, or our clock is behind.
    #[error("its blocks are from the future")]
    FromTheFuture,
    /// There has been a newer one.
    #[error("it is a downgrade: it ends at block {is}, and there was one that ended at {was}")]
    Downgraded {
        /// Number of its macro block.
        is: u32,
        /// Number of the macro block of the newer one.
        was: u32,
    },
    /// It does not lead back to where trust starts.
    #[error("it does not rest on block {0}, where trust starts")]
    OtherAnchor(u32),
}

/// The macro state of a verified chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedChain {
    /// Where the trust in it came from.
    anchor: Anchor,
    /// The last election block, and the checkpoint after it, if there was one.
    election: MacroBlock,
    checkpoint: Option<MacroBlock>,
    /// Recent election blocks by number, ascending.
    elections: Vec<(u32, Blake2bHash)>,
    /// Number and Blake2s hash of the block that proofs start from, if the chain has come by it.
    proof_start: Option<(u32, Blake2sHash)>,
}

/// The part of a record that describes the chain.
#[derive(Serialize, Deserialize)]
struct Body {
    anchor_number: u32,
    anchor_hash: Blake2bHash,
    elections: Vec<(u32, Blake2bHash)>,
    election: MacroBlock,
    checkpoint: Option<MacroBlock>,
    proof_start: Option<(u32, Blake2sHash)>,
}

impl SavedChain {
    /// The state of `chain`, whose trust comes from `anchor`.
    pub(crate) fn of(chain: &LightChain, anchor: &Anchor) -> Self {
        let checkpoint = chain.macro_head();
        let checkpoint = (!checkpoint.is_election()).then(|| bare(checkpoint));
        Self {
            anchor: anchor.clone(),
            election: bare(chain.election_head()),
            checkpoint,
            elections: chain.elections().collect(),
            proof_start: chain.known_proof_start(),
        }
    }

    /// The last macro block.
    pub fn macro_head(&self) -> &MacroBlock {
        self.checkpoint.as_ref().unwrap_or(&self.election)
    }

    /// Number of the last macro block: what a newer record has more of.
    pub fn block_number(&self) -> u32 {
        self.macro_head().block_number()
    }

    /// The last election block, as a place for trust to start.
    pub(crate) fn as_anchor(&self) -> Anchor {
        Anchor {
            block_number: self.election.block_number(),
            hash: self.election.hash(),
        }
    }

    /// The block that proofs start from, as far as it is known.
    pub(crate) fn proof_start(&self) -> Option<(u32, Blake2sHash)> {
        self.proof_start.clone()
    }

    /// The record.
    pub fn to_bytes(&self, params: &NetworkParams) -> Vec<u8> {
        let body = Body {
            anchor_number: self.anchor.block_number,
            anchor_hash: self.anchor.hash.clone(),
            elections: self.elections.clone(),
            election: self.election.clone(),
            checkpoint: self.checkpoint.clone(),
            proof_start: self.proof_start.clone(),
        };
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.push(params.network_id as u8);
        bytes.extend(params.genesis().hash.as_slice());
        bytes.extend(body.serialize_to_vec());
        let checksum = checksum(&bytes);
        bytes.extend(checksum.as_slice());
        bytes
    }

    /// Reads a record of the network `params`. `at_least` is the number of the newest macro block
    /// that was ever in such a record, as far as is known.
    ///
    /// # Errors
    /// The first reason found not to use it.
    pub fn from_bytes(
        params: &'static NetworkParams,
        clock: &Clock,
        bytes: &[u8],
        at_least: u32,
    ) -> Result<Self, SavedError> {
        let content = bytes.len().checked_sub(HASH_BYTES);
        let content =
            content.filter(|len| *len >= HEADER_BYTES && bytes.len() <= limits::MAX_SAVED);
        let (content, sum) = bytes.split_at(content.ok_or(SavedError::Damaged)?);
        if content[..MAGIC.len()] != MAGIC || checksum(content).as_slice() != sum {
            return Err(SavedError::Damaged);
        }
        let (header, body) = content.split_at(HEADER_BYTES);
        match header[4] {
            VERSION => {}
            version if version > VERSION => return Err(SavedError::NewerVersion(version)),
            version => return Err(SavedError::OlderVersion(version)),
        }
        if header[5] != params.network_id as u8 || header[6..] != *params.genesis().hash.as_slice()
        {
            return Err(SavedError::Foreign);
        }
        let body = Body::deserialize_all(body).map_err(|_| SavedError::Damaged)?;
        let saved = Self {
            anchor: Anchor {
                block_number: body.anchor_number,
                hash: body.anchor_hash,
            },
            election: bare(&body.election),
            checkpoint: body.checkpoint.as_ref().map(bare),
            elections: body.elections,
            proof_start: body.proof_start,
        };
        saved.check(params, clock)?;
        if saved.block_number() < at_least {
            return Err(SavedError::Downgraded {
                is: saved.block_number(),
                was: at_least,
            });
        }
        Ok(saved)
    }

    fn check(&self, params: &'static NetworkParams, clock: &Clock) -> Result<(), SavedError> {
        for block in std::iter::once(&self.election).chain(&self.checkpoint) {
            if !header::is_hashable(block.header.validators.as_ref()) {
                return Err(SavedError::Invalid("malformed validator set".into()));
            }
        }
        let latest = clock.now_ms().saturating_add(Policy::TIMESTAMP_MAX_DRIFT);
        if self.macro_head().timestamp() > latest {
            return Err(SavedError::FromTheFuture);
        }
        let chain = self.chain(params, clock.clone())?;
        let own = (self.election.block_number(), self.election.hash());
        let ascending = self.elections.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let plausible = ascending
            && !self
                .checkpoint
                .as_ref()
                .is_some_and(MacroBlock::is_election)
            && self.elections.len() <= limits::REMEMBERED_ELECTIONS
            && self.elections.last() == Some(&own)
            && self.elections.iter().all(|(number, _)| {
                *number >= Policy::genesis_block_number() && Policy::is_election_block_at(*number)
            })
            && chain.macro_head().hash() == self.macro_head().hash();
        if plausible {
            Ok(())
        } else {
            Err(SavedError::Invalid("they don't belong together".into()))
        }
    }

    /// Whether the trust in it is trust in `anchor`: it started there, or came by.
    pub(crate) fn rests_on(&self, anchor: &Anchor) -> Result<(), SavedError> {
        let number = anchor.block_number;
        let passed = self.anchor == *anchor
            || self
                .elections
                .iter()
                .any(|(ours, hash)| *ours == number && *hash == anchor.hash);
        match passed && self.election.block_number() >= number {
            true => Ok(()),
            false => Err(SavedError::OtherAnchor(number)),
        }
    }

    /// The chain, with nothing after its last macro block.
    pub(crate) fn chain(
        &self,
        params: &'static NetworkParams,
        clock: Clock,
    ) -> Result<LightChain, SavedError> {
        LightChain::restored(
            params,
            clock,
            self.election.clone(),
            self.checkpoint.clone(),
            &self.elections,
        )
        .map_err(|error| SavedError::Invalid(error.to_string()))
    }

    /// Whether the chain can't have grown so much since that walking on from it takes longer than
    /// to ask peers where they are.
    pub(crate) fn is_recent(&self, clock: &Clock) -> bool {
        let age = clock.now_ms().saturating_sub(self.macro_head().timestamp());
        let epoch = u64::from(Policy::blocks_per_epoch()) * Policy::BLOCK_SEPARATION_TIME;
        age <= epoch.saturating_mul(limits::RESUMED_EPOCHS)
    }
}

/// A block without what nobody asks of it any more: the signatures have been checked.
fn bare(block: &MacroBlock) -> MacroBlock {
    MacroBlock {
        header: block.header.clone(),
        body: None,
        justification: None,
    }
}

fn checksum(bytes: &[u8]) -> Blake2bHash {
    Blake2bHasher::new().digest(bytes)
}
