//! Questions to one peer. Each has a timeout, each answer is held against the question, and each
//! failure says whose fault it is, so that callers can tell the slow from the dishonest.

use std::{collections::HashSet, fmt::Display, time::Duration};

use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::Network,
    request::{InboundRequestError, Request, RequestError},
};
use nimiq_primitives::policy::Policy;
use nimiq_time::{sleep, timeout};
use thiserror::Error;

use crate::{
    chain::Leap,
    header, limits,
    macro_sync::Delivery,
    messages::{
        Direction, MacroChain, MacroChainError, RequestBlock, RequestHead, RequestMacroChain,
        RequestMissingBlocks, RequestZKP, ResponseBlocksError, ResponseHead, ZKProof, ZkpResponse,
    },
    params::NetworkParams,
};

/// Why a question got no usable answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum PeerFault {
    /// No answer, or a refusal to answer at all.
    #[error("{0}")]
    Failed(String),
    /// An honest "I don't have that".
    #[error("{0}")]
    Lacks(String),
    /// An answer that no honest peer gives.
    #[error("{0}")]
    Lied(String),
}

impl PeerFault {
    /// What is wrong with the answer, for people.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Failed(reason) | Self::Lacks(reason) | Self::Lied(reason) => reason,
        }
    }
}

/// Asks a peer. One that has been asked too much is asked again when it may have room: what we asked may
/// have been for others' sake, and a gateway has other clients.
async fn ask<N: Network, R: Request + Clone>(
    network: &N,
    peer: N::PeerId,
    request: R,
) -> Result<R::Response, PeerFault> {
    let mut pauses = 0;
    loop {
        let answer = network.request(request.clone(), peer);
        let answer = timeout(limits::REQUEST_TIMEOUT, answer).await;
        match &answer {
            Ok(Err(RequestError::InboundRequest(InboundRequestError::ExceedsRateLimit)))
                if pauses < limits::BUSY_PAUSES =>
            {
                pauses += 1;
                sleep(limits::BUSY_PAUSE).await;
            }
            _ => return usable::<R>(answer.ok()),
        }
    }
}

/// Asks a peer, and waits for its answer only so long.
pub(crate) async fn ask_within<N: Network, R: Request>(
    patience: Duration,
    network: &N,
    peer: N::PeerId,
    request: R,
) -> Result<R::Response, PeerFault> {
    let answer = timeout(patience, network.request(request, peer)).await;
    usable::<R>(answer.ok())
}

/// What came of a request, `None` if nothing did in time.
fn usable<R: Request>(
    answer: Option<Result<R::Response, RequestError>>,
) -> Result<R::Response, PeerFault> {
    let failed = |why: &dyn Display| {
        let name = R::type_name::<R>();
        Err(PeerFault::Failed(format!("{name}: {why}")))
    };
    match answer {
        Some(Ok(response)) => Ok(response),
        Some(Err(RequestError::OutboundRequest(error))) => failed(&error),
        Some(Err(RequestError::InboundRequest(error))) => failed(&error),
        None => failed(&"no answer in time"),
    }
}

/// The peer's head.
pub(crate) async fn head<N: Network>(
    network: &N,
    peer: N::PeerId,
) -> Result<ResponseHead, PeerFault> {
    ask(network, peer, RequestHead {}).await
}

/// The peer's head, from a peer that is given less time than usual.
pub(crate) async fn head_within<N: Network>(
    patience: Duration,
    network: &N,
    peer: N::PeerId,
) -> Result<ResponseHead, PeerFault> {
    ask_within(patience, network, peer, RequestHead {}).await
}

/// The macro block called `hash`, without body.
pub(crate) async fn macro_block<N: Network>(
    network: &N,
    peer: N::PeerId,
    hash: &Blake2bHash,
) -> Result<MacroBlock, PeerFault> {
    let request = RequestBlock {
        hash: hash.clone(),
        include_body: false,
    };
    let block = match ask(network, peer, request).await? {
        Ok(block) => block,
        Err(error) => return Err(PeerFault::Lacks(error.to_string())),
    };
    // Hashing the validators takes a while.
    pace::turn().await;
    if block.is_micro() {
        return Err(PeerFault::Lied(
            "a micro block where a macro block was asked for".into(),
        ));
    }
    match check_block(block, hash) {
        Ok(Block::Macro(block)) => Ok(block),
        Ok(Block::Micro(_)) => Err(PeerFault::Lied(OTHER_HASH.into())),
        Err(reason) => Err(PeerFault::Lied(reason.into())),
    }
}

const OTHER_HASH: &str = "a block with another hash than the one asked for";

/// Drops what was not asked for, the body, and holds the rest against the hash that was.
pub(crate) fn check_block(mut block: Block, hash: &Blake2bHash) -> Result<Block, &'static str> {
    header::strip(&mut block)?;
    match block.hash_cached() == *hash {
        true => Ok(block),
        false => Err(OTHER_HASH),
    }
}

/// Checks that the blocks are those from a macro block up to `target`, which is called so and at
/// `top`, each the parent of the next.
pub(crate) fn check_batch(
    blocks: Vec<Block>,
    target: &Blake2bHash,
    top: u32,
) -> Result<Vec<Block>, &'static str> {
    if blocks.len() > Policy::blocks_per_batch() as usize {
        return Err("more blocks than a batch has");
    }
    let mut checked = Vec::with_capacity(blocks.len());
    let (mut hash, mut number) = (target.clone(), Some(top));
    for block in blocks.into_iter().rev() {
        let block = check_block(block, &hash)?;
        if Some(block.block_number()) != number {
            return Err("a block with another number than its place");
        }
        hash = block.parent_hash().clone();
        number = block.block_number().checked_sub(1);
        checked.push(block);
    }
    let macros = checked.iter().filter(|block| block.is_macro()).count();
    if macros != 1 || checked.last().is_none_or(Block::is_micro) {
        return Err("a run that does not go down to the macro block before it");
    }
    checked.reverse();
    Ok(checked)
}

/// The election blocks after the first of `locators` that the peer knows, `max_epochs` at most.
/// `Ok(None)` where it knows none.
pub(crate) async fn macro_chain<N: Network>(
    network: &N,
    peer: N::PeerId,
    locators: Vec<Blake2bHash>,
    max_epochs: u16,
) -> Result<Option<MacroChain>, PeerFault> {
    match ask(
        network,
        peer,
        RequestMacroChain {
            locators,
            max_epochs,
        },
    )
    .await?
    {
        Ok(chain) if chain.epochs.len() > usize::from(max_epochs) => {
            Err(PeerFault::Lied("more epochs than asked for".into()))
        }
        Ok(chain) if has_duplicates(&chain.epochs) => {
            Err(PeerFault::Lied("the same election block twice".into()))
        }
        Ok(chain) => Ok(Some(chain)),
        Err(MacroChainError::UnknownLocators) => Ok(None),
        Err(error) => Err(PeerFault::Failed(error.to_string())),
    }
}

/// The peer's latest proof of the election chain, and the block that it proves, if that is beyond
/// block `number`. Whether the proof holds is for the verifier to say.
pub(crate) async fn proof<N: Network>(
    network: &N,
    peer: N::PeerId,
    params: &NetworkParams,
    number: u32,
) -> Result<Delivery, PeerFault> {
    let request = RequestZKP {
        block_number: number,
        request_election_block: true,
    };
    let (proof, block) = match ask_within(limits::PROOF_PATIENCE, network, peer, request).await? {
        ZkpResponse::Proof(proof, block) if proof.block_number > number => (proof, block),
        ZkpResponse::Proof(..) | ZkpResponse::Outdated(_) => {
            return Err(PeerFault::Lacks("it has no proof beyond our chain".into()));
        }
    };
    check_proof(params, proof, block).map_err(|why| PeerFault::Lied(why.into()))
}

fn check_proof(
    params: &NetworkParams,
    proof: ZKProof,
    block: Option<MacroBlock>,
) -> Result<Delivery, &'static str> {
    let Some(bytes) = proof.proof else {
        return Err("a proof without its bytes");
    };
    let Some(mut block) = block else {
        return Err("a proof without its election block");
    };
    if block.block_number() != proof.block_number {
        return Err("a proof with another block than its own");
    }
    header::strip_macro(&mut block)?;
    match Leap::to(params, block) {
        Ok(leap) => Ok(Delivery { leap, proof: bytes }),
        Err(error) => {
            log::debug!("block {} with its proof: {error}", proof.block_number);
            Err("a proof with an invalid election block")
        }
    }
}

fn has_duplicates(hashes: &[Blake2bHash]) -> bool {
    let mut seen = HashSet::new();
    !hashes.iter().all(|hash| seen.insert(hash))
}

/// What a peer had to say of missing blocks.
#[derive(Debug)]
pub(crate) enum Missing {
    /// A run of blocks that starts on one of the locators.
    Blocks(Vec<Block>),
    /// The peer does not know our blocks: it is behind, or on another branch.
    UnknownLocators,
}

/// The headers between the newest of `locators` that the peer knows and `target`, or up to the
/// next macro block. First along the peer's main chain; then, for a target on a fork, back from it.
pub(crate) async fn missing_blocks<N: Network>(
    network: &N,
    peer: N::PeerId,
    target: &Blake2bHash,
    locators: Vec<Blake2bHash>,
) -> Result<Missing, PeerFault> {
    for direction in [Direction::Forward, Direction::Backward] {
        let request = RequestMissingBlocks {
            target_hash: target.clone(),
            include_body: false,
            locators: locators.clone(),
            direction,
        };
        match ask(network, peer, request).await? {
            // What a node says of a target that does not lie beyond the locators: it has been
            // overtaken.
            Ok(response) if response.blocks.is_empty() => {
                return Err(PeerFault::Lacks("there is nothing up to the target".into()));
            }
            Ok(response) => {
                return check_run(response.blocks, target, &locators)
                    .map(Missing::Blocks)
                    .map_err(|reason| PeerFault::Lied(reason.into()));
            }
            Err(ResponseBlocksError::TargetBlockNotOnMainChain)
                if direction == Direction::Forward => {}
            Err(ResponseBlocksError::UnknownLocators) => return Ok(Missing::UnknownLocators),
            Err(error) => return Err(PeerFault::Lacks(error.to_string())),
        }
    }
    Err(PeerFault::Lacks(
        "the target is on no branch of the peer".into(),
    ))
}

/// Checks that the blocks are one run from a locator to the target or to the next macro block.
/// Whether each block is valid is for the chain to say.
fn check_run(
    mut blocks: Vec<Block>,
    target: &Blake2bHash,
    locators: &[Blake2bHash],
) -> Result<Vec<Block>, &'static str> {
    if blocks.len() > Policy::blocks_per_batch() as usize {
        return Err("more blocks than a batch has");
    }
    let last = blocks.len().saturating_sub(1);
    let mut parent: Option<(Blake2bHash, u32)> = None;
    for (i, block) in blocks.iter_mut().enumerate() {
        header::strip(block)?;
        let linked = match &parent {
            Some((hash, number)) => {
                block.parent_hash() == hash && block.block_number() == number.wrapping_add(1)
            }
            None => locators.contains(block.parent_hash()) || block.is_macro(),
        };
        if !linked {
            return Err("blocks that are not linked");
        }
        if block.is_macro() && i != last && i != 0 {
            return Err("a run that crosses a macro block");
        }
        parent = Some((block.hash_cached(), block.block_number()));
    }
    let reached = blocks.last().is_some_and(|block| block.is_macro())
        || parent.is_some_and(|(hash, _)| hash == *target);
    if reached {
        Ok(blocks)
    } else {
        Err("a run that does not reach the target")
    }
}
