//! Answers to requests for proofs.

use std::{fmt::Debug, sync::Arc};

use futures::StreamExt;
use nimiq_block::{Block, MacroBlock};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;
use nimiq_utils::spawn;
use parking_lot::RwLock;

use super::{RequestZKP, ZKProof, ZkpResponse};

/// How many requests are answered at the same time.
const CONCURRENT_ANSWERS: usize = 64;

/// The election blocks of a chain, header and justification.
pub trait ElectionBlocks: Send + Sync {
    /// Number of the last one. `None` if there are none yet.
    fn last(&self) -> Option<u32>;

    /// The one of that number, without its body.
    fn at(&self, number: u32) -> Option<MacroBlock>;
}

impl ElectionBlocks for Arc<RwLock<Blockchain>> {
    fn last(&self) -> Option<u32> {
        Some(Policy::last_election_block(self.read().block_number()))
    }

    fn at(&self, number: u32) -> Option<MacroBlock> {
        match self.read().get_block_at(number, false, None) {
            Ok(Block::Macro(mut block)) if block.is_election() => {
                block.body = None;
                Some(block)
            }
            _ => None,
        }
    }
}

/// A proof, and the block it is of.
#[derive(Clone, Debug)]
pub struct LatestProof {
    /// The proven election block, without its body.
    pub block: MacroBlock,
    /// The proof, as it travels.
    pub proof: Vec<u8>,
}

/// Someone who has proofs.
pub trait ProofSource: Debug + Send + Sync {
    /// The latest that there is of one of these blocks, whose number is `at_most` this. It may take a
    /// while.
    fn latest(&self, blocks: &dyn ElectionBlocks, at_most: u32) -> Option<LatestProof>;
}

/// Blake2s hash of a header, by which proofs name blocks.
pub(crate) fn hash_of(block: &MacroBlock) -> [u8; 32] {
    block.hash_blake2s().0
}

/// What is answered to a request.
pub fn answer(
    request: &RequestZKP,
    source: &dyn ProofSource,
    blocks: &dyn ElectionBlocks,
) -> ZkpResponse {
    let Some(LatestProof { block, proof }) = source.latest(blocks, u32::MAX) else {
        // Without a proof the genesis block is what is proven.
        return ZkpResponse::Outdated(Policy::genesis_block_number());
    };
    let number = block.block_number();
    if number <= request.block_number {
        return ZkpResponse::Outdated(number);
    }
    let proof = ZKProof {
        block_number: number.to_be_bytes(),
        proof: Some(proof),
    };
    ZkpResponse::Proof(proof, request.request_election_block.then_some(block))
}

/// Answers requests for proofs from now on, for as long as the network exists.
pub fn serve<N: Network>(
    network: &Arc<N>,
    source: Arc<dyn ProofSource>,
    blocks: Arc<dyn ElectionBlocks>,
) {
    let requests = network.receive_requests::<RequestZKP>();
    let network = Arc::clone(network);
    spawn(
        requests.for_each_concurrent(CONCURRENT_ANSWERS, move |(request, id, peer)| {
            let network = Arc::clone(&network);
            let (source, blocks) = (Arc::clone(&source), Arc::clone(&blocks));
            async move {
                // It may read files, or make a proof.
                let answered =
                    tokio::task::spawn_blocking(move || answer(&request, &*source, &*blocks)).await;
                let response = match answered {
                    Ok(response) => response,
                    Err(error) => {
                        log::warn!("A request for proofs was not answered: {error}");
                        return;
                    }
                };
                if let Err(error) = network.respond::<RequestZKP>(id, response).await {
                    log::debug!("{peer} went away before it got its proof: {error:?}");
                }
            }
        }),
    );
}
