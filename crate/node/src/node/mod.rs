//! Full Nimiq nodes inside this process.
//!
//! A [`Node`] is put together from the same crates and in the same order as `nimiq-client` does it:
//! a history blockchain, `nimiq-network-libp2p`, the history syncer, consensus, a mempool and, if
//! wanted, the validator. It runs in a runtime of its own, so that stopping it ends every task it
//! has, including those the nimiq crates spawn and never join. A process can have many.
//!
//! Which nodes make a network is the business of the module `devnet`.

mod network;
mod producer;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use nimiq_block::Block;
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_consensus::{
    BlsCache, Consensus, ConsensusProxy,
    messages::{BlockBodyTopic, BlockHeaderMessage, BlockHeaderTopic},
    sync::syncer_proxy::SyncerProxy,
};
use nimiq_mempool::{config::MempoolConfig, mempool::Mempool};
use nimiq_mempool_task::MempoolTask;
use nimiq_network_interface::{
    Multiaddr,
    network::{CloseReason, Network as _},
    peer_info::{NodeType, Services},
};
use nimiq_network_libp2p::{Keypair, Network, NetworkError, PeerId};
use nimiq_transaction::Transaction;
use nimiq_utils::spawn;
use nimiq_validator::{key_utils::VotingKeys, validator::Validator};
use nimiq_validator_network::network_impl::ValidatorNetworkImpl;
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::BroadcastStream;

pub(crate) use self::network::{NetworkSetup, PORT_PATIENCE, connect, port_given_back, probe_port};
pub use self::{
    network::{meet, validate_listen_address},
    producer::BlockTime,
};
use crate::{
    chain::{ChainData, ChainError, KeyRing, ValidatorKeys},
    liar::Lie,
    proofs::{ProofSource, serve},
};

/// Where a node listens unless told otherwise: on this machine only, on any free port.
pub const LOCAL_ADDRESS: &str = "/ip4/127.0.0.1/tcp/0/ws";

/// How long stopping a node may take before its tasks are abandoned.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Why a node could not be started.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        reason: String,
        /// Whether another program already listens there.
        in_use: bool,
    },
    /// It is none of the addresses a node can listen on.
    #[error("{address} is no address to listen on: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The network doesn't do what it is told.
    #[error("the network failed: {0}")]
    Network(Box<NetworkError>),
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The system has no threads left.
    #[error("can't start threads: {0}")]
    Runtime(std::io::Error),
    /// A task of the node panicked.
    #[error("the node crashed: {0}")]
    Crashed(String),
    /// The nodes didn't find together.
    #[error("{what} took more than {seconds} s")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
    },
    /// There are more transactions than the blocks of a chain can take.
    #[error("the blocks can take no more than {most} transactions")]
    TooManyTransactions {
        /// How many they can take.
        most: u32,
    },
    /// A transaction was not accepted, for this reason.
    #[error("the transaction was refused: {0}")]
    Refused(String),
    /// Nobody waits for the node any more.
    #[error("interrupted")]
    Interrupted,
    /// There are no proofs that an adversary could lie about.
    #[error("there are no proofs that a peer could lie about: {0}")]
    NoProofs(Lie),
    /// A lying peer can't be started, for this reason.
    #[error("no liar can be started: {0}")]
    NoLiar(String),
    /// The fixture is not of the chain that this program makes.
    #[error("the fixture is of another chain; make it again with `pico-node fixture`")]
    OtherFixture,
    /// A folder can't be used.
    #[error("can't use {path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<NetworkError> for NodeError {
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

/// What a node does with its chain.
#[derive(Clone, Debug)]
pub enum Role {
    /// Follows what others produce.
    Follower,
    /// Produces blocks, as the validator with these keys.
    Validator {
        /// The validator's keys.
        keys: Box<ValidatorKeys>,
        /// Further validators, whose blocks it produces as well. The unmodified validator can't, so
        /// with any of these [`BlockTime::Standard`] is a block a second by the other producer.
        others: Vec<ValidatorKeys>,
        /// How often.
        block_time: BlockTime,
    },
}

/// How to start a [`Node`].
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Identifies the node in the network.
    pub identity: Keypair,
    /// Where to listen: `/ip4/…/tcp/PORT/ws` or `/ip6/…`, with port 0 for any free one.
    pub listen: Multiaddr,
    /// Nodes to connect to.
    pub seeds: Vec<Multiaddr>,
    /// What the node does.
    pub role: Role,
    /// With how many peers it considers itself in consensus. With 0 it doesn't wait for any.
    pub min_peers: usize,
    /// The proofs it serves. Without them it is a node like any, which knows of no such requests.
    pub proofs: Option<Arc<dyn ProofSource>>,
}

impl NodeConfig {
    /// A follower of the nodes at `seeds`, listening on this machine on any free port.
    pub fn follower(seeds: Vec<Multiaddr>) -> Self {
        let mut config = Self {
            identity: Keypair::generate_ed25519(),
            listen: local_address(),
            seeds: Vec::new(),
            role: Role::Follower,
            min_peers: 0,
            proofs: None,
        };
        config.follow(seeds);
        config
    }

    /// Connects to these nodes, and waits for one of them, if there are any.
    pub(crate) fn follow(&mut self, seeds: Vec<Multiaddr>) {
        self.min_peers = usize::from(!seeds.is_empty());
        self.seeds = seeds;
    }

    /// If it is a validator, it also produces the blocks of these.
    pub(crate) fn produce_for(&mut self, validators: Vec<ValidatorKeys>) {
        if let Role::Validator { others, .. } = &mut self.role {
            *others = validators;
        }
    }

    /// The validator of `unit-albatross`, who needs nobody else to go on.
    pub fn validator(block_time: BlockTime) -> Self {
        Self {
            identity: Keypair::generate_ed25519(),
            listen: local_address(),
            seeds: Vec::new(),
            role: Role::Validator {
                keys: Box::new(ValidatorKeys::unit_albatross()),
                others: Vec::new(),
                block_time,
            },
            min_peers: 0,
            proofs: None,
        }
    }
}

/// [`LOCAL_ADDRESS`], parsed.
pub fn local_address() -> Multiaddr {
    #[expect(clippy::expect_used, reason = "parses a constant of this file")]
    LOCAL_ADDRESS.parse().expect("the address is valid")
}

/// A running history node. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Node {
    address: Multiaddr,
    host: Host<Parts>,
}

/// What a node consists of, as far as others need to reach it.
struct Parts {
    network: Arc<Network>,
    consensus: ConsensusProxy<Network>,
    mempool: Arc<Mempool>,
    chain: ChainData,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("peer_id", self.network.local_peer_id())
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node on a chain; resolves once it listens.
    ///
    /// # Errors
    /// If it can't listen where it shall, or the system is out of threads.
    pub async fn start(config: NodeConfig, chain: ChainData) -> Result<Self, NodeError> {
        let (host, address) = Host::start("pico-node", move || assemble(config, chain)).await?;
        Ok(Self { address, host })
    }

    /// Where the node is reached, with its peer id: what a client takes as a seed.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// Identifies the node in the network.
    pub fn peer_id(&self) -> PeerId {
        *self.host.parts.network.local_peer_id()
    }

    /// The node's network.
    pub fn network(&self) -> Arc<Network> {
        Arc::clone(&self.host.parts.network)
    }

    /// The node's blockchain.
    pub fn blockchain(&self) -> Arc<RwLock<Blockchain>> {
        Arc::clone(&self.host.parts.chain.blockchain)
    }

    /// The node's chain with its database, to share.
    pub fn chain(&self) -> ChainData {
        self.host.parts.chain.clone()
    }

    /// The node's consensus.
    pub fn consensus(&self) -> ConsensusProxy<Network> {
        self.host.parts.consensus.clone()
    }

    /// The node's mempool.
    pub fn mempool(&self) -> Arc<Mempool> {
        Arc::clone(&self.host.parts.mempool)
    }

    /// Gives the node a transaction as if it had come from a peer, but doesn't pass it on. If the
    /// node is the validator it gets into one of the next blocks.
    ///
    /// # Errors
    /// If the node finds fault with it.
    pub fn submit(&self, transaction: Transaction) -> Result<(), NodeError> {
        self.mempool()
            .add_transaction(transaction, None)
            .map_err(|error| NodeError::Refused(error.to_string()))
    }

    /// Number of the last block.
    pub fn height(&self) -> u32 {
        self.blockchain().read().block_number()
    }

    /// Resolves once the chain has block `number`. Never, if nobody produces it.
    pub async fn reached(&self, number: u32) {
        let blockchain = self.blockchain();
        // Subscribing comes first, so that no block falls between it and the first look.
        let mut events = BroadcastStream::new(blockchain.read().notifier.subscribe());
        while blockchain.read().block_number() < number {
            // That events were missed is no matter: the chain itself is looked at.
            if events.next().await.is_none() {
                // The chain is gone, and so is whoever could wait for it.
                return std::future::pending().await;
            }
        }
    }

    /// Resolves once the node has at least this many peers. Never, if they don't come.
    pub async fn connected(&self, peers: usize) {
        let network = self.network();
        let mut events = network.subscribe_events();
        while network.peer_count() < peers {
            if events.next().await.is_none() {
                return std::future::pending().await;
            }
        }
    }

    /// Publishes a block of the chain as a validator does after producing it.
    ///
    /// # Errors
    /// If nobody is subscribed, or the block is the genesis block.
    pub async fn publish(&self, block: Block) -> Result<(), NodeError> {
        publish(&self.network(), block).await
    }

    /// Leaves the network and stops everything, within a second.
    pub async fn stop(self) {
        self.host.stop().await;
    }
}

/// Publishes header and body on their topics.
pub(crate) async fn publish(network: &Network, block: Block) -> Result<(), NodeError> {
    let (header, body) = BlockHeaderMessage::split_block(block);
    network.publish::<BlockHeaderTopic>(header).await?;
    network.publish::<BlockBodyTopic>(body).await?;
    Ok(())
}

/// A runtime with something in it that can be reached from outside.
#[derive(Debug)]
pub(crate) struct Host<T> {
    pub(crate) parts: T,
    runtime: Option<Runtime>,
}

/// Gives access to what all hosted things have.
pub(crate) trait Hosted {
    fn network(&self) -> &Arc<Network>;
}

impl Hosted for Parts {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }
}

impl<T: Hosted + Send + 'static> Host<T> {
    /// Runs `make` in a runtime of its own.
    pub(crate) async fn start<A, F, Fut>(name: &str, make: F) -> Result<(Self, A), NodeError>
    where
        A: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(T, A), NodeError>> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(NodeError::Runtime)?;
        let made = runtime.spawn(async move { make().await }).await;
        let (parts, address) = match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(error);
            }
            Err(error) => {
                runtime.shutdown_background();
                return Err(NodeError::Crashed(error.to_string()));
            }
        };
        let host = Self {
            parts,
            runtime: Some(runtime),
        };
        Ok((host, address))
    }

    /// Leaves the network, then ends all tasks.
    pub(crate) async fn stop(mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let _stopping = Stopping::begin();
        let network = Arc::clone(self.parts.network());
        // A network that doesn't answer any more is left without a goodbye.
        let goodbye = runtime.spawn(async move {
            network.disconnect(CloseReason::GoingOffline).await;
        });
        if tokio::time::timeout(STOP_TIMEOUT / 4, goodbye)
            .await
            .is_err()
        {
            log::debug!("A node left without saying goodbye");
        }
        let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_TIMEOUT));
        if let Err(error) = stopped.await {
            log::warn!("Stopping a node failed: {error}");
        }
    }
}

/// How many nodes are being stopped.
static STOPPING: AtomicUsize = AtomicUsize::new(0);

/// Whether a node is being stopped. Its tasks end in no certain order, and some of `nimiq-*` panic
/// where another one has ended before them.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::SeqCst) > 0
}

/// Exists while a node is being stopped.
struct Stopping;

impl Stopping {
    fn begin() -> Self {
        STOPPING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        STOPPING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T> Drop for Host<T> {
    fn drop(&mut self) {
        // Waiting would block, which is not allowed in async code.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The services of a history node that has an index of its transactions, as `nimiq-client` sets them.
pub(crate) fn provided_services() -> Services {
    Services::provided(NodeType::History) | Services::TRANSACTION_INDEX
}

/// Puts the node together, in the order `nimiq-client` does.
async fn assemble(config: NodeConfig, chain: ChainData) -> Result<(Parts, Multiaddr), NodeError> {
    let mut services = provided_services();
    if matches!(config.role, Role::Validator { .. }) {
        services |= Services::VALIDATOR;
    }
    let proxy = BlockchainProxy::from(&chain.blockchain);
    let (network, listening) = connect(
        NetworkSetup {
            identity: config.identity,
            listen: config.listen,
            seeds: config.seeds,
            provided: services,
            required: Services::required(NodeType::History),
            genesis: None,
        },
        &proxy,
    )
    .await?;

    if let Some(proofs) = config.proofs {
        serve(&network, proofs, Arc::new(Arc::clone(&chain.blockchain)));
    }
    let syncer = SyncerProxy::new_history(
        proxy.clone(),
        Arc::clone(&network),
        Arc::new(Mutex::new(BlsCache::default())),
        network.subscribe_events(),
    )
    .await;
    let consensus = Consensus::new(
        proxy,
        Arc::clone(&network),
        syncer,
        config.min_peers,
        Arc::new(AtomicU32::new(0)),
    );
    let consensus_proxy = consensus.proxy();

    let mempool = match config.role {
        Role::Validator {
            keys,
            others,
            block_time: BlockTime::Standard,
        } if others.is_empty() => {
            let validator = Validator::new(
                chain.database.clone(),
                &consensus,
                Arc::clone(&chain.blockchain),
                Arc::new(ValidatorNetworkImpl::new(Arc::clone(&network))),
                keys.address,
                true,
                keys.signing,
                VotingKeys::new(vec![keys.voting]),
                keys.fee,
                MempoolConfig::default(),
            );
            let mempool = validator.mempool_task.mempool();
            spawn(validator);
            mempool
        }
        role => {
            let mut task = MempoolTask::new(
                &consensus,
                Arc::clone(&chain.blockchain),
                MempoolConfig::default(),
            );
            let mempool = task.mempool();
            spawn(async move { while task.next().await.is_some() {} });
            if let Role::Validator {
                keys,
                others,
                block_time,
            } = role
            {
                spawn(producer::produce_blocks(
                    Arc::clone(&chain.blockchain),
                    Arc::clone(&mempool),
                    Arc::clone(&network),
                    KeyRing::new(*keys, others),
                    block_time.period(),
                ));
            }
            mempool
        }
    };
    // Transactions that passed the mempool need not be verified again in blocks.
    chain.blockchain.write().tx_verification_cache = Arc::<Mempool>::clone(&mempool);
    spawn(consensus);

    let address = listening.start().await?;
    let parts = Parts {
        network,
        consensus: consensus_proxy,
        mempool,
        chain,
    };
    Ok((parts, address))
}
