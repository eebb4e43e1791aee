//! Peers that lie.
//!
//! A [`Liar`] is on the real network stack, so it handshakes, gossips and answers like any node, but
//! answers requests in the way its [`Lie`] says. It has no consensus of
//! its own: what it tells is taken from a chain it is given, usually that of an honest node in the
//! same process, so it looks as alive as that.
//!
//! What it makes up is in the modules `forgery`, `forged_state` and `forged_history`, what it answers in
//! `answers`, `queries` and `proof_lie`, and whom it notifies in `notifier`.

mod answers;
mod forged_history;
mod forged_state;
mod forgery;
mod garbage;
mod lie;
mod notifier;
mod proof_lie;
mod queries;
mod query_lie;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_consensus::messages::{BlockHeaderMessage, BlockHeaderTopic};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    Multiaddr,
    network::{MsgAcceptance, Network as _},
    peer_info::{NodeType, Services},
};
use nimiq_network_libp2p::{Keypair, Network, PeerId};
use nimiq_utils::spawn;
use tokio::time::{MissedTickBehavior, interval};

use self::{answers::Script, forgery::Forger};
pub use self::{
    lie::{Lie, UnknownLie},
    proof_lie::ProofLie,
    query_lie::QueryLie,
};
use crate::{
    chain::ChainData,
    node::{Host, Hosted, NetworkSetup, NodeError, connect, local_address, provided_services},
    proofs::ProofSource,
};

/// How often a peer that spams sends another bad header. Others accept 20 in 10 s.
const SPAM_PERIOD: Duration = Duration::from_millis(600);

/// How to start a [`Liar`].
#[derive(Clone, Debug)]
pub struct LiarConfig {
    /// In what way it lies.
    pub lie: Lie,
    /// Identifies it in the network.
    pub identity: Keypair,
    /// Where it listens.
    pub listen: Multiaddr,
    /// Nodes to connect to, through which clients find it.
    pub seeds: Vec<Multiaddr>,
    /// The proofs it knows of, to tell them or to lie about them. Without them it knows of no such
    /// requests.
    pub proofs: Option<Arc<dyn ProofSource>>,
}

impl LiarConfig {
    /// Listens on this machine, on any free port.
    pub fn new(lie: Lie, seeds: Vec<Multiaddr>) -> Self {
        Self {
            lie,
            identity: Keypair::generate_ed25519(),
            listen: local_address(),
            seeds,
            proofs: None,
        }
    }
}

/// A running peer that lies. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Liar {
    address: Multiaddr,
    host: Host<Parts>,
}

struct Parts {
    network: Arc<Network>,
    script: Arc<Script>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("peer_id", self.network.local_peer_id())
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}

impl Hosted for Parts {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }
}

impl Liar {
    /// Starts a peer that lies about a chain; resolves once it listens.
    ///
    /// The chain may grow meanwhile, be it a script's or that of a node in this process.
    ///
    /// # Errors
    /// If it can't listen where it shall, or the system is out of threads.
    pub async fn start(config: LiarConfig, chain: ChainData) -> Result<Self, NodeError> {
        let (host, address) = Host::start("pico-liar", move || assemble(config, chain)).await?;
        Ok(Self { address, host })
    }

    /// Where it is reached, with its peer id.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// Identifies it in the network.
    pub fn peer_id(&self) -> PeerId {
        *self.host.parts.network.local_peer_id()
    }

    /// Its network.
    pub fn network(&self) -> Arc<Network> {
        Arc::clone(&self.host.parts.network)
    }

    /// In what way it lies.
    pub fn lie(&self) -> &Lie {
        self.host.parts.script.given()
    }

    /// How many requests it got so far, by the name of their type.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.host.parts.script.requests()
    }

    /// Hashes of the macro block and of the election block it claims to be the last.
    pub fn claims(&self) -> (Blake2bHash, Blake2bHash) {
        let head = self.host.parts.script.head();
        (head.macro_hash, head.election_hash)
    }

    /// Gossips a header, whatever it is.
    ///
    /// # Errors
    /// If nobody is subscribed.
    pub async fn gossip(&self, header: BlockHeaderMessage) -> Result<(), NodeError> {
        self.network().publish::<BlockHeaderTopic>(header).await?;
        Ok(())
    }

    /// Leaves the network and stops everything, within a second.
    pub async fn stop(self) {
        self.host.stop().await;
    }
}

async fn assemble(config: LiarConfig, chain: ChainData) -> Result<(Parts, Multiaddr), NodeError> {
    let proxy = BlockchainProxy::from(&chain.blockchain);
    let provided = match config.lie {
        Lie::NoServices => Services::empty(),
        _ => provided_services(),
    };
    let genesis = match config.lie {
        Lie::WrongGenesis => Some(Blake2bHash([0x67; 32])),
        _ => None,
    };
    let (network, listening) = connect(
        NetworkSetup {
            identity: config.identity,
            listen: config.listen,
            seeds: config.seeds,
            provided,
            required: Services::required(NodeType::History),
            genesis,
        },
        &proxy,
    )
    .await?;
    let script = Arc::new(Script::new(config.lie, chain, config.proofs));
    answers::serve(&network, &script);
    spawn(relay(Arc::clone(&network)));
    if matches!(script.given(), Lie::BadHeaderGossip) {
        spawn(spam(Arc::clone(&network), Arc::clone(&script)));
    }
    let address = listening.start().await?;
    Ok((Parts { network, script }, address))
}

/// Passes headers on unseen, as one who doesn't would soon be a stranger to the mesh.
async fn relay(network: Arc<Network>) {
    let mut headers = match network.subscribe::<BlockHeaderTopic>().await {
        Ok(headers) => headers,
        Err(error) => {
            log::warn!("The lying peer can't take part in gossip: {error}");
            return;
        }
    };
    while let Some((_, id)) = headers.next().await {
        network.validate_message::<BlockHeaderTopic>(id, MsgAcceptance::Accept);
    }
}

/// Gossips headers that everyone must reject.
async fn spam(network: Arc<Network>, script: Arc<Script>) {
    let mut forger = Forger::new();
    let mut ticks = interval(SPAM_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        ticks.tick().await;
        let header = forger.bad_header(&script.honest_head(), round);
        if let Err(error) = network.publish::<BlockHeaderTopic>(header).await {
            log::debug!("Nobody hears the spam: {error}");
        }
    }
}
