//! A whole network on one machine: real nodes on a prefilled chain, one of them the validator.
//!
//! The chain is made once, without waiting for time to pass, and each node gets a copy of its
//! database, so all start at the same head. Then the validator goes on live, and the others follow
//! it over the network like any node does. A peer that lies can be added, see the module `liar`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::future::try_join_all;
use nimiq_network_interface::Multiaddr;
use nimiq_primitives::policy::Policy;
use nimiq_utils::time::systemtime_to_timestamp;
use serde::Serialize;

use crate::{
    chain::{ChainConfig, ChainData, ScriptedChain, Timing, init_policy},
    liar::{Liar, LiarConfig, Lie},
    node::{
        BlockTime, Node, NodeConfig, NodeError, Role, local_address, probe_port,
        validate_listen_address,
    },
};

/// How long the nodes may take to find each other and follow the first live block.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the prefilling tells how far it is, in epochs.
const REPORT_EVERY_EPOCHS: u32 = 25;

/// What a devnet consists of.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// How many whole epochs of blocks exist at the start.
    pub epochs: u32,
    /// How many honest nodes there are; the first is the validator.
    pub nodes: usize,
    /// Where the first one listens. The others listen on this machine, on free ports.
    pub listen: Multiaddr,
    /// How often a block is made.
    pub block_time: BlockTime,
    /// Adds a peer that lies in this way.
    pub adversary: Option<Lie>,
}

impl Default for DevnetConfig {
    /// Three nodes, three epochs, a block a second, nobody lies.
    fn default() -> Self {
        Self {
            epochs: 3,
            nodes: 3,
            listen: local_address(),
            block_time: BlockTime::Standard,
            adversary: None,
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
    },
}

/// Tells a start that is under way to give up.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Gives up: the start then fails with [`NodeError::Interrupted`].
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), NodeError> {
        if self.0.load(Ordering::Relaxed) {
            Err(NodeError::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// A running devnet. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Devnet {
    nodes: Vec<Node>,
    liar: Option<Liar>,
}

impl Devnet {
    /// Makes the chain and starts the nodes; resolves when they are ready. What happens meanwhile
    /// goes to `report`.
    ///
    /// # Errors
    /// If the first node can't listen where it shall, files can't be written, or the nodes don't
    /// find together in a minute.
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
        let count = config.nodes.max(1);
        let chains = {
            let report = Arc::clone(&report);
            let interrupt = interrupt.clone();
            let (epochs, lie) = (config.epochs, config.adversary.clone());
            tokio::task::spawn_blocking(move || {
                prefill(epochs, count, lie.as_ref(), &interrupt, &*report)
            })
            .await
            .map_err(|error| NodeError::Crashed(error.to_string()))??
        };
        interrupt.check()?;
        let prefilled = Policy::genesis_block_number()
            .saturating_add(config.epochs.saturating_mul(Policy::blocks_per_epoch()));

        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        for (index, chain) in chains.nodes.into_iter().enumerate() {
            let seeds = nodes.iter().map(|node| node.address().clone()).collect();
            let node_config = if index == 0 {
                NodeConfig {
                    listen: config.listen.clone(),
                    ..NodeConfig::validator(config.block_time)
                }
            } else {
                NodeConfig::follower(seeds)
            };
            let role = match node_config.role {
                Role::Validator { .. } => NodeRole::Validator,
                Role::Follower => NodeRole::Node,
            };
            let node = Node::start(node_config, chain).await?;
            report(DevnetEvent::Node {
                index,
                role,
                address: node.address().to_string(),
            });
            nodes.push(node);
            interrupt.check()?;
        }

        // All have the first block made live: all are connected to someone, and follow.
        let all = try_join_all(nodes.iter().map(|node| async {
            node.connected(count - 1).await;
            node.reached(prefilled + 1).await;
            Ok::<_, NodeError>(())
        }));
        tokio::time::timeout(READY_TIMEOUT, all)
            .await
            .map_err(|_| NodeError::Timeout {
                what: "connecting the nodes with each other",
                seconds: READY_TIMEOUT.as_secs(),
            })??;

        // The liar comes last, so that the honest nodes need not get past it.
        let liar = match config.adversary {
            Some(lie) => {
                let chain = match chains.liar {
                    Some(chain) => chain,
                    // It tells what it wants of the chain the validator makes.
                    None => nodes[0].chain(),
                };
                let seeds = nodes.iter().map(|node| node.address().clone()).collect();
                let liar = Liar::start(LiarConfig::new(lie, seeds), chain).await?;
                report(DevnetEvent::Node {
                    index: count,
                    role: NodeRole::Liar,
                    address: liar.address().to_string(),
                });
                Some(liar)
            }
            None => None,
        };
        let head = nodes[0].height();
        report(DevnetEvent::Ready {
            head,
            epoch: Policy::epoch_at(head),
        });
        Ok(Self { nodes, liar })
    }

    /// The honest nodes; the first is the validator.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The lying peer, if there is one.
    pub fn liar(&self) -> Option<&Liar> {
        self.liar.as_ref()
    }

    /// Addresses of all peers, the liar's last.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let liar = self.liar.iter().map(Liar::address);
        let nodes = self.nodes.iter().map(Node::address);
        nodes.chain(liar).cloned().collect()
    }

    /// Stops everything, within a second or so.
    pub async fn stop(self) {
        let nodes = self.nodes.into_iter().map(Node::stop);
        let liar = async {
            if let Some(liar) = self.liar {
                liar.stop().await;
            }
        };
        futures::join!(futures::future::join_all(nodes), liar);
    }
}

/// The chains to start with.
struct Chains {
    nodes: Vec<ChainData>,
    /// Of the liar, if it has one of its own.
    liar: Option<ChainData>,
}

/// Makes the chain, so that its last block is as old as the making of it takes from then on.
fn prefill(
    epochs: u32,
    nodes: usize,
    lie: Option<&Lie>,
    interrupt: &Interrupt,
    report: &(impl Fn(DevnetEvent) + ?Sized),
) -> Result<Chains, NodeError> {
    let step = Policy::BLOCK_SEPARATION_TIME;
    let blocks = epochs.saturating_mul(Policy::blocks_per_epoch());
    let now = || systemtime_to_timestamp(SystemTime::now());
    let mut chain = ScriptedChain::with_config(ChainConfig {
        timing: Timing::ending_at(now(), blocks, step),
        keep_all_epochs: false,
        seed: now(),
        ..ChainConfig::default()
    })?;
    let held_back = lie.and_then(Lie::epochs_behind);
    let mut liar = None;
    for epoch in 1..=epochs {
        // The chain of a peer that was held back ends here.
        if held_back.is_some_and(|behind| epoch + behind == epochs + 1) {
            liar = Some(chain.copy()?);
        }
        for block in 1..=Policy::blocks_per_epoch() {
            interrupt.check()?;
            // The validator looks at the age of the last block to see how much it has to make up
            // for. Making a long chain must not count as a delay.
            if epoch == epochs && block == Policy::blocks_per_epoch() {
                chain.set_timing(Timing { next: now(), step });
            }
            chain.extend()?;
        }
        if epoch % REPORT_EVERY_EPOCHS == 0 || epoch == epochs {
            report(DevnetEvent::Prefilled { epoch, of: epochs });
        }
    }
    let nodes = (0..nodes).map(|_| chain.copy()).collect::<Result<_, _>>()?;
    Ok(Chains { nodes, liar })
}
