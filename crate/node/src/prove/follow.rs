//! Getting election blocks from a node, as a client does.

use std::{fmt::Display, sync::Arc, time::Duration};

use futures::StreamExt;
use nimiq_block::Block;
use nimiq_consensus::messages::{RequestBlock, RequestHead, RequestMacroChain, ResponseHead};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    Multiaddr,
    network::Network as _,
    peer_info::{NodeType, Services},
};
use nimiq_utils::spawn;
use pico_network::{Config, ConfigError, DialError, ListenError, Network, PeerId, new_identity};
use thiserror::Error;

use super::{ElectionError, Elections};
use crate::chain::genesis_block;

/// How many election blocks are asked for at once; nodes tell of no more than 255.
const MAX_EPOCHS: u16 = 100;

/// How long a node may take to be connected with.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a node may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A node can't be followed, for now or for good.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The address is none that can be dialled.
    #[error("can't use the node's address: {0}")]
    Address(#[from] ConfigError),
    /// It can't be listened on.
    #[error("can't listen: {0}")]
    Listen(#[from] ListenError),
    /// The node is not there.
    #[error("can't connect with the node: {0}")]
    Dial(#[from] DialError),
    /// It doesn't answer, or not what was asked.
    #[error("{what}: {reason}")]
    Request {
        /// What was asked for.
        what: &'static str,
        /// What came instead.
        reason: String,
    },
    /// What it says can't be true.
    #[error("the node sent block {hash}, but {source}")]
    Block {
        /// The block's hash.
        hash: Blake2bHash,
        /// What is wrong with it.
        source: ElectionError,
    },
}

impl FollowError {
    /// Whether it may be otherwise later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Dial(_) | Self::Request { .. })
    }
}

/// Follows one node.
#[derive(Debug)]
pub struct Follower {
    network: Arc<Network>,
    node: Multiaddr,
    elections: Elections,
}

impl Follower {
    /// Is going to follow the node at an address. Nothing is sent yet.
    ///
    /// # Errors
    /// If the address is none that can be dialled.
    pub fn new(node: Multiaddr, elections: Elections) -> Result<Self, FollowError> {
        let mut config = Config::new(new_identity(), genesis_block().hash(), Vec::new());
        config.required_services = Services::required(NodeType::Light);
        let network = Network::new(config)?;
        tell_head(&network, &elections);
        Ok(Self {
            network,
            node,
            elections,
        })
    }

    /// Its network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Adds the election blocks that the node has meanwhile; returns how many.
    ///
    /// # Errors
    /// If the node isn't there, doesn't answer or lies. What came before that is kept.
    pub async fn update(&self) -> Result<usize, FollowError> {
        let peer = within(
            DIAL_TIMEOUT,
            "connecting",
            self.network.dial(self.node.clone()),
        )
        .await??;
        let mut added = 0;
        loop {
            let hashes = self.next_hashes(peer).await?;
            if hashes.is_empty() {
                return Ok(added);
            }
            for hash in hashes {
                let block = self.block(peer, &hash).await?;
                let elections = self.elections.clone();
                // Checking votes takes a while.
                let appended = tokio::task::spawn_blocking(move || match block {
                    Block::Macro(block) => elections.append(block),
                    Block::Micro(_) => Err(ElectionError::NotNext),
                });
                appended
                    .await
                    .map_err(|error| unexpected("checking a block", error))?
                    .map_err(|source| FollowError::Block { hash, source })?;
                added += 1;
            }
        }
    }

    /// Hashes of the election blocks after the last one.
    async fn next_hashes(&self, peer: PeerId) -> Result<Vec<Blake2bHash>, FollowError> {
        const WHAT: &str = "asking for the macro chain";
        let last = self.elections.tip().map(|block| block.hash());
        let request = RequestMacroChain {
            locators: last.into_iter().collect(),
            max_epochs: MAX_EPOCHS,
        };
        let chain = within(REQUEST_TIMEOUT, WHAT, self.network.request(request, peer))
            .await?
            .map_err(|error| unexpected(WHAT, error))?
            .map_err(|error| unexpected(WHAT, error))?;
        let mut hashes = chain.epochs;
        hashes.truncate(usize::from(MAX_EPOCHS));
        Ok(hashes)
    }

    async fn block(&self, peer: PeerId, hash: &Blake2bHash) -> Result<Block, FollowError> {
        const WHAT: &str = "asking for a block";
        let request = RequestBlock {
            hash: hash.clone(),
            include_body: false,
        };
        let mut block = within(REQUEST_TIMEOUT, WHAT, self.network.request(request, peer))
            .await?
            .map_err(|error| unexpected(WHAT, error))?
            .map_err(|error| unexpected(WHAT, error))?;
        crate::chain::forget_hash(&mut block);
        if block.hash() != *hash {
            return Err(unexpected(WHAT, "it is another one"));
        }
        Ok(block)
    }
}

/// Tells whoever asks how far it is. Nodes disconnect those who don't.
fn tell_head(network: &Arc<Network>, elections: &Elections) {
    let requests = network.receive_requests::<RequestHead>();
    let network = Arc::clone(network);
    let elections = elections.clone();
    spawn(requests.for_each(move |(_, id, peer)| {
        let network = Arc::clone(&network);
        let tip = elections.tip();
        async move {
            let Some(tip) = tip else {
                return;
            };
            let hash: Blake2bHash = tip.hash();
            let head = ResponseHead {
                block_number: tip.block_number(),
                block_hash: hash.clone(),
                macro_hash: hash.clone(),
                election_hash: hash,
            };
            if let Err(error) = network.respond::<RequestHead>(id, head).await {
                log::debug!("{peer} went away before it was told the head: {error:?}");
            }
        }
    }));
}

/// Bounds a wait.
async fn within<T>(
    limit: Duration,
    what: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, FollowError> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_| unexpected(what, format_args!("no answer in {} s", limit.as_secs())))
}

fn unexpected(what: &'static str, reason: impl Display) -> FollowError {
    FollowError::Request {
        what,
        reason: reason.to_string(),
    }
}
