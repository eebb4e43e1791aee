//! A client among nodes with one real blockchain, which can grow while they talk.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use nimiq_block::Block;
use nimiq_blockchain::Blockchain;
use nimiq_keys::Address;
use nimiq_primitives::coin::Coin;
use parking_lot::{Mutex, RwLock};
use pico_node::chain::{Payer, ScriptedChain};
use pico_sync::{Queries, SyncConfig};
use rand::RngExt as Rng;

use crate::support::{
    blocks::{self, election},
    engine::{Engine, clock_at, with_peers},
    network::{MemoryNetwork, PeerId},
    peer::{Peer, Question, Reply},
    verifiers::MemoVerifier,
};

/// Accounts of the blockchain that were paid something: the number of the payer says how much.
pub const ACCOUNTS: u64 = 300;

/// The one of them that staked.
pub const STAKER: u64 = 7;

/// What account `i` was paid, in Luna.
pub fn paid(i: u64) -> u64 {
    1_000_000_000 + i
}

/// What it staked.
pub const STAKE: u64 = 500_000_000;

/// Epochs of the blockchain before the current one.
pub const EPOCHS: u32 = 5;

/// Height of the blockchain: some way into a later batch of its current epoch.
pub const HEIGHT: u32 = election(EPOCHS) + 2 * blocks::BATCH + 9;

pub fn address(i: u64) -> Address {
    Payer::numbered(i).address().clone()
}

/// The blockchain that all worlds begin with; a copy of it, to do as one likes with.
pub fn blockchain() -> ScriptedChain {
    static CHAIN: OnceLock<Mutex<ScriptedChain>> = OnceLock::new();
    let chain = CHAIN.get_or_init(|| {
        blocks::params();
        let mut chain = ScriptedChain::new().unwrap();
        let bank = Payer::funded();
        chain.extend_epochs(EPOCHS - 1).unwrap();
        for part in (0..ACCOUNTS).collect::<Vec<_>>().chunks(100) {
            let height = chain.height();
            let pay = |i: &u64| bank.pay(&address(*i), coin(paid(*i)), height).unwrap();
            chain.extend_with(part.iter().map(pay).collect()).unwrap();
        }
        let stake = Payer::numbered(STAKER).stake(coin(STAKE), chain.height());
        chain.extend_with(vec![stake.unwrap()]).unwrap();
        let left = HEIGHT - chain.height();
        chain.extend_micro(left).unwrap();
        assert_eq!(chain.height(), HEIGHT);
        Mutex::new(chain)
    });
    let chain = chain.lock();
    chain.fork_at(chain.height()).unwrap()
}

pub fn coin(luna: u64) -> Coin {
    Coin::try_from(luna).unwrap()
}

/// The same bytes, but for some that are changed, cut off, left out or put in.
pub fn damaged(mut bytes: Vec<u8>, rng: &mut impl Rng) -> Vec<u8> {
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=bytes.len().saturating_sub(1));
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            3 if !bytes.is_empty() => {
                let end = (at + rng.random_range(1..64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, part);
            }
            _ if !bytes.is_empty() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => bytes.push(rng.random()),
        }
    }
    bytes
}

/// See the module's documentation.
pub struct World {
    pub network: Arc<MemoryNetwork>,
    pub chain: ScriptedChain,
    pub engine: Engine,
    pub queries: Queries<MemoryNetwork>,
    next_id: u32,
}

impl World {
    /// A client that has synced with `peers` honest nodes.
    pub async fn with_nodes(peers: u32) -> Self {
        let mut world = Self::begin(with_peers(peers as usize));
        for _ in 0..peers {
            world.add_node();
        }
        world.engine.until("consensus established").await;
        world
    }

    /// A client that is all by itself.
    pub fn begin(config: SyncConfig) -> Self {
        Self::begin_on(blockchain(), config)
    }

    pub fn begin_on(chain: ScriptedChain, config: SyncConfig) -> Self {
        let network = MemoryNetwork::new();
        let clock = clock_at(chain.head().timestamp());
        let verifier = Arc::new(MemoVerifier::default());
        let (engine, queries) = Engine::start_asking(&network, config, clock, verifier);
        Self {
            network,
            chain,
            engine,
            queries,
            next_id: 1,
        }
    }

    /// A node that is not connected yet.
    pub fn node(&mut self) -> Arc<Peer> {
        let blockchain = self.chain.blockchain();
        self.node_with(&blockchain)
    }

    pub fn node_with(&mut self, blockchain: &Arc<RwLock<Blockchain>>) -> Arc<Peer> {
        let id = self.next_id;
        self.next_id += 1;
        Peer::node(id, blockchain)
    }

    /// An honest node joins.
    pub fn add_node(&mut self) -> Arc<Peer> {
        let node = self.node();
        assert!(self.network.join(&node));
        node
    }

    /// A node that changes its answers joins, and the client takes it for good. It is the first to
    /// be asked, because all that are known to the client are slower.
    pub async fn add_liar(
        &mut self,
        lie: impl Fn(&Question, Reply) -> Reply + Send + Sync + 'static,
    ) -> PeerId {
        let liar = self.node();
        liar.set_script(move |question, reply| (Duration::ZERO, lie(question, reply)));
        assert!(self.network.join(&liar));
        self.engine.until(&format!("{} good", liar.id)).await;
        liar.id
    }

    /// The blockchain grows by a block, of which everybody is told.
    pub async fn grow(&mut self) -> Block {
        let block = self.chain.extend().unwrap();
        self.tell().await;
        block
    }

    /// Everybody is told of the blockchain's head.
    pub async fn tell(&mut self) {
        let head = self.chain.light_block_at(self.chain.height()).unwrap();
        let source = *self.network_peers().first().unwrap();
        self.network.gossip(source, blocks::header(&head)).await;
        self.engine.until_head(head.block_number()).await;
    }

    pub fn network_peers(&self) -> Vec<PeerId> {
        use nimiq_network_interface::network::Network;
        self.network.get_peers()
    }

    /// Lets the client know how long its peers take to answer, which is longer than for a liar.
    pub async fn get_to_know(&self) {
        for peer in self.network_peers() {
            let answers = self.network.requests_to(peer, "trie-proof");
            while self.network.requests_to(peer, "trie-proof") == answers {
                self.queries.accounts(&[address(0)]).await.unwrap();
            }
        }
    }

    /// Ends the client, and holds that nobody but `liars` was banned.
    pub async fn finish(self, liars: &[PeerId]) {
        let mut banned = self.network.bans();
        banned.sort();
        let mut expected = liars.to_vec();
        expected.sort();
        assert_eq!(banned, expected);
        self.engine.finish().await;
    }
}
