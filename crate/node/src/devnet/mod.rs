//! A whole network on one machine: real nodes on a prefilled chain, one of them the validator.
//!
//! The chain is made once, without waiting for time to pass, and each node gets a copy of its
//! database, so all start at the same head. Then the validator goes on live, and the others follow
//! it over the network like any node does. A peer that lies can be added, see the module `liar`. All of
//! it can be stopped and started again, as after a crash of every node at once.
//!
//! What is on the chain at the start is the business of the module `prefill`, and a liar that comes
//! and goes meanwhile that of the module `adversary`.

mod adversary;
mod fixture;
mod prefill;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::future::try_join_all;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::{Multiaddr, Protocol};
use nimiq_network_libp2p::Keypair;
use nimiq_primitives::{coin::Coin, policy::Policy};
use serde::Serialize;
use tokio::sync::watch;

pub use self::fixture::Proofs;
use self::{
    fixture::ServedProofs,
    prefill::{Prefill, history_account},
};
use crate::{
    chain::{ChainData, Fixture, Payer, init_policy},
    liar::{Liar, LiarConfig, Lie},
    node::{
        BlockTime, Node, NodeConfig, NodeError, PORT_PATIENCE, Role, local_address,
        port_given_back, probe_port, validate_listen_address,
    },
};

/// How long the nodes may take to find each other and follow the first live block.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a devnet consists of.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// How many whole epochs of blocks exist at the start. With a fixture, and no more epochs than that
    /// has, another batch.
    pub epochs: u32,
    /// The protocol version that the first election raises the chain to: 1, as genesis, or 2.
    pub version: u16,
    /// A folder with a fixture. The chain begins with that, or with part of it, and its proofs are
    /// served. Where that elects several validators, this one produces the blocks of all.
    pub fixture: Option<PathBuf>,
    /// The proofs that are served, if not those of the fixture.
    pub proofs: Option<Proofs>,
    /// How many honest nodes there are; the first is the validator.
    pub nodes: usize,
    /// Where the first one listens. The others listen on this machine, on free ports.
    pub listen: Multiaddr,
    /// How often a block is made.
    pub block_time: BlockTime,
    /// Adds a peer that lies in this way.
    pub adversary: Option<Lie>,
    /// How many transactions the blocks at the start contain, all between the funded account and
    /// one other.
    pub transactions: u32,
}

impl Default for DevnetConfig {
    /// Three nodes, three epochs, a block a second, no proofs, nobody lies.
    fn default() -> Self {
        Self {
            epochs: 3,
            version: 1,
            fixture: None,
            proofs: None,
            nodes: 3,
            listen: local_address(),
            block_time: BlockTime::Standard,
            adversary: None,
            transactions: 0,
        }
    }
}

/// What a node of a devnet is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Produces blocks.
    Validator,
    /// Follows.
    Node,
    /// Lies.
    Liar,
}

/// How far starting a devnet is. In JSON each has the member `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum DevnetEvent {
    /// The prefilled chain has grown to this epoch.
    Prefilled {
        /// Epochs made so far.
        epoch: u32,
        /// Epochs to make.
        of: u32,
    },
    /// A node listens.
    Node {
        /// Counts the nodes, beginning with 0.
        index: usize,
        /// What it is there for.
        role: NodeRole,
        /// Where it is reached, with its peer id.
        address: String,
    },
    /// All nodes are connected to each other and have the first live block.
    Ready {
        /// Number of the validator's last block.
        head: u32,
        /// The epoch that block is in.
        epoch: u32,
        /// The account that can be spent from.
        funded: FundedAccount,
        /// The account that all prefilled transactions touch, if there are any.
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<HistoryAccount>,
        /// The file with the verifying key of the proofs, if they are simulated ones. It is deleted
        /// in the end.
        #[serde(rename = "verifyingKey", skip_serializing_if = "Option::is_none")]
        verifying_key: Option<PathBuf>,
    },
}

/// An account with coins, and its key, for whoever wants to spend them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FundedAccount {
    /// Its address, as people write it.
    pub address: String,
    /// Its key, as 64 hexadecimal digits. It is as public as the network's genesis block.
    pub private_key: String,
}

impl FundedAccount {
    /// The one of the network's genesis block.
    pub fn of_genesis() -> Self {
        let payer = Payer::funded();
        let key = payer.key_pair().private.as_bytes();
        Self {
            address: payer.address().to_user_friendly_address(),
            private_key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// An account with a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryAccount {
    /// Its address, as people write it.
    pub address: String,
    /// How many transactions touch it.
    pub transactions: u32,
}

/// Tells a start that is under way to give up.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Interrupt {
    /// Gives up: the start then fails with [`NodeError::Interrupted`].
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }

    fn check(&self) -> Result<(), NodeError> {
        if *self.0.borrow() {
            Err(NodeError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Waits for something unless the start is to give up; then that is dropped.
    async fn or<T>(&self, waiting: impl Future<Output = T>) -> Result<T, NodeError> {
        let mut given_up = self.0.subscribe();
        tokio::select! {
            biased;
            // An error would mean that nobody can interrupt any more, but this can.
            _ = given_up.wait_for(|given_up| *given_up) => Err(NodeError::Interrupted),
            done = waiting => Ok(done),
        }
    }
}

/// A running devnet. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Devnet {
    /// What it takes to start the peers again.
    plan: Plan,
    nodes: Vec<Node>,
    liar: Option<Liar>,
    /// What all peers serve, and the file with its verifying key.
    proofs: ServedProofs,
}

#[derive(Debug)]
struct Plan {
    nodes: Vec<(NodeConfig, ChainData)>,
    liar: Option<(LiarConfig, ChainData)>,
    /// Identity and address of the liar before, if it was stopped for itself.
    former_liar: Option<(Keypair, Multiaddr)>,
}

impl Devnet {
    /// Makes the chain and starts the nodes; resolves when they are ready. What happens meanwhile
    /// goes to `report`.
    ///
    /// # Errors
    /// If the first node can't listen where it shall, there are more transactions than blocks can
    /// take, files can't be written, or the nodes don't find together in a minute.
    pub async fn start(
        config: DevnetConfig,
        interrupt: Interrupt,
        report: impl Fn(DevnetEvent) + Send + Sync + 'static,
    ) -> Result<Self, NodeError> {
        init_policy();
        validate_listen_address(&config.listen)?;
        // Better to know before than after the chain is made.
        probe_port(&config.listen)?;
        let report = Arc::new(report);
        if let Some(lie) = &config.adversary
            && lie.needs_proofs()
            && config.proofs.is_none()
            && config.fixture.is_none()
        {
            return Err(NodeError::NoProofs(lie.clone()));
        }
        let fixture = config.fixture.as_deref().map(fixture::read).transpose()?;
        let served = ServedProofs::of(&config)?;
        let prefill = Prefill {
            epochs: config.epochs,
            version: config.version,
            fixture,
            transactions: config.transactions,
            nodes: config.nodes.max(1),
            lie: config.adversary.clone(),
        };
        prefill.validate()?;
        let chains = {
            let report = Arc::clone(&report);
            let interrupt = interrupt.clone();
            tokio::task::spawn_blocking(move || prefill.make(&interrupt, &*report))
                .await
                .map_err(|error| NodeError::Crashed(error.to_string()))??
        };
        interrupt.check()?;

        let mut plan = Plan {
            nodes: Vec::new(),
            liar: None,
            former_liar: None,
        };
        for (index, chain) in chains.nodes.into_iter().enumerate() {
            let mut node = if index == 0 {
                NodeConfig {
                    listen: config.listen.clone(),
                    ..NodeConfig::validator(config.block_time)
                }
            } else {
                // Seeds are those started before it, whose addresses are known by then.
                NodeConfig::follower(Vec::new())
            };
            node.proofs.clone_from(&served.source);
            if config.fixture.is_some() {
                node.produce_for(Fixture::others_after(config.epochs));
            }
            plan.nodes.push((node, chain));
        }
        if let Some(lie) = config.adversary {
            let chain = match chains.liar {
                Some(chain) => chain,
                // It tells what it wants of the chain the validator makes.
                None => plan.nodes[0].1.clone(),
            };
            plan.liar = Some((served.liar(lie), chain));
        }
        let mut devnet = Self {
            plan,
            nodes: Vec::new(),
            liar: None,
            proofs: served,
        };
        if let Err(error) = devnet.start_peers(&interrupt, &*report).await {
            // Who still runs would keep the files of the chain.
            devnet.stop_nodes().await;
            return Err(error);
        }
        let head = devnet.nodes[0].height();
        report(DevnetEvent::Ready {
            head,
            epoch: Policy::epoch_at(head),
            funded: FundedAccount::of_genesis(),
            history: (config.transactions > 0).then(|| HistoryAccount {
                address: history_account().address().to_user_friendly_address(),
                transactions: config.transactions,
            }),
            verifying_key: devnet.proofs.key.clone(),
        });
        Ok(devnet)
    }

    /// Starts all peers, which must not run; resolves when they follow the chain that goes on.
    async fn start_peers(
        &mut self,
        interrupt: &Interrupt,
        report: &(impl Fn(DevnetEvent) + ?Sized),
    ) -> Result<(), NodeError> {
        let height = self.plan.nodes[0].1.height();
        for (index, (config, chain)) in self.plan.nodes.iter_mut().enumerate() {
            if matches!(config.role, Role::Follower) {
                config.follow(
                    self.nodes
                        .iter()
                        .map(|node| node.address().clone())
                        .collect(),
                );
            }
            let role = match config.role {
                Role::Validator { .. } => NodeRole::Validator,
                Role::Follower => NodeRole::Node,
            };
            interrupt
                .or(port_given_back(&config.listen, PORT_PATIENCE))
                .await??;
            let node = Node::start(config.clone(), chain.clone()).await?;
            // Should it start again, it is found where it was.
            config.listen = without_peer_id(node.address());
            report(DevnetEvent::Node {
                index,
                role,
                address: node.address().to_string(),
            });
            self.nodes.push(node);
            interrupt.check()?;
        }

        // All have the first block made live: all are connected to someone, and follow.
        let others = self.nodes.len() - 1;
        let all = try_join_all(self.nodes.iter().map(|node| async move {
            node.connected(others).await;
            node.reached(height + 1).await;
            Ok::<_, NodeError>(())
        }));
        interrupt
            .or(tokio::time::timeout(READY_TIMEOUT, all))
            .await?
            .map_err(|_| NodeError::Timeout {
                what: "connecting the nodes with each other",
                seconds: READY_TIMEOUT.as_secs(),
            })??;

        // The liar comes last, so that the honest nodes need not get past it.
        self.launch_liar(interrupt).await?;
        if let Some(liar) = &self.liar {
            report(DevnetEvent::Node {
                index: self.nodes.len(),
                role: NodeRole::Liar,
                address: liar.address().to_string(),
            });
        }
        Ok(())
    }

    /// Stops all peers, the liar included, within a second or so: connections are closed and new
    /// ones refused. Does nothing if they are stopped.
    pub async fn stop_nodes(&mut self) {
        let nodes = std::mem::take(&mut self.nodes).into_iter().map(Node::stop);
        let liar = self.liar.take();
        let liar = async {
            if let Some(liar) = liar {
                liar.stop().await;
            }
        };
        futures::join!(futures::future::join_all(nodes), liar);
    }

    /// Starts all peers again after [`Devnet::stop_nodes`], with the same identities, where they
    /// were, on the chain as it was; resolves when it goes on. Does nothing if they run.
    ///
    /// # Errors
    /// If one can't listen where it was, or they don't find together in a minute.
    pub async fn start_nodes(&mut self) -> Result<(), NodeError> {
        if !self.nodes.is_empty() {
            return Ok(());
        }
        let started = self.start_peers(&Interrupt::default(), &|_| {}).await;
        if started.is_err() {
            // All or none.
            self.stop_nodes().await;
        }
        started
    }

    /// Sends coins from the funded account; the validator puts it into the next block it makes.
    /// Returns the transaction's hash.
    ///
    /// # Errors
    /// If the nodes are stopped, or the validator finds fault with the transaction.
    pub fn pay(&self, recipient: &Address, value: Coin) -> Result<Blake2bHash, NodeError> {
        let Some(validator) = self.nodes.first() else {
            return Err(NodeError::Refused("the nodes are stopped".into()));
        };
        let payment = Payer::funded().pay(recipient, value, validator.height())?;
        let hash = payment.hash();
        validator.submit(payment)?;
        Ok(hash)
    }

    /// The honest nodes; the first is the validator. None while they are stopped.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Addresses of all peers, the liar's last.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let liar = self.liar.iter().map(Liar::address);
        let nodes = self.nodes.iter().map(Node::address);
        nodes.chain(liar).cloned().collect()
    }

    /// Stops everything, within a second or so.
    pub async fn stop(mut self) {
        self.stop_nodes().await;
    }
}

/// The part of a peer's address that it listens on.
fn without_peer_id(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|protocol| !matches!(protocol, Protocol::P2p(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{
        future::{pending, ready},
        pin::pin,
    };

    use super::*;

    #[tokio::test]
    async fn who_waits_can_be_interrupted() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.or(ready(5)).await.unwrap(), 5);
        interrupt.check().unwrap();
        let mut waiting = pin!(interrupt.or(pending::<()>()));
        assert!(futures::poll!(&mut waiting).is_pending());
        interrupt.clone().interrupt();
        match waiting.await {
            Err(NodeError::Interrupted) => {}
            other => panic!("{other:?}"),
        }
        // Nothing more is begun then.
        assert!(interrupt.or(ready(5)).await.is_err());
        assert!(interrupt.check().is_err());
    }
}
