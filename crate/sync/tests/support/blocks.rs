//! Real chains for scripted peers to serve. They are expensive to make, so each is made once a
//! process and shared.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, OnceLock},
};

use nimiq_block::{Block, MacroBlock, MicroBlock, MicroHeader, MicroJustification};
use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;
use parking_lot::Mutex;
use pico_node::chain::{
    ChainConfig, Mutation, ScriptedChain, Signing, ValidatorKeys, genesis_block, init_policy,
    without_body,
};
use pico_sync::{NetworkParams, messages::BlockHeaderMessage};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// Number of the genesis block.
pub const GENESIS: u32 = 200;
/// Blocks in a batch.
pub const BATCH: u32 = 32;
/// Blocks in an epoch.
pub const EPOCH: u32 = 128;
/// The last block of the honest chain: some way into its sixth epoch.
pub const TOP: u32 = GENESIS + 5 * EPOCH + 2 * BATCH + 6;

/// Number of the election block that ends `epoch`.
pub const fn election(epoch: u32) -> u32 {
    GENESIS + epoch * EPOCH
}

/// Blocks as light clients get them: a main chain from genesis on, and forks off it.
#[derive(Clone)]
pub struct Blocks {
    main: Vec<Block>,
    numbers: HashMap<Blake2bHash, u32>,
    forks: HashMap<Blake2bHash, Block>,
}

impl Blocks {
    fn new(main: Vec<Block>) -> Self {
        let mut main: Vec<_> = main.into_iter().map(without_body).collect();
        let numbers = main
            .iter_mut()
            .map(|block| (block.hash_cached(), block.block_number()))
            .collect();
        Self {
            main,
            numbers,
            forks: HashMap::new(),
        }
    }

    /// The main chain's block of that number.
    pub fn at(&self, number: u32) -> &Block {
        self.main
            .get((number - GENESIS) as usize)
            .unwrap_or_else(|| panic!("the chain has no block {number}"))
    }

    pub fn macro_at(&self, number: u32) -> MacroBlock {
        match self.at(number) {
            Block::Macro(block) => block.clone(),
            Block::Micro(_) => panic!("block {number} is a micro block"),
        }
    }

    pub fn hash_at(&self, number: u32) -> Blake2bHash {
        self.at(number).hash()
    }

    pub fn hex_at(&self, number: u32) -> String {
        self.hash_at(number).to_hex()
    }

    /// A block of the main chain or of a fork.
    pub fn get(&self, hash: &Blake2bHash) -> Option<&Block> {
        match self.number_of(hash) {
            Some(number) => Some(self.at(number)),
            None => self.forks.get(hash),
        }
    }

    /// Number of a block of the main chain.
    pub fn number_of(&self, hash: &Blake2bHash) -> Option<u32> {
        self.numbers.get(hash).copied()
    }

    /// Number of the last block.
    pub fn top(&self) -> u32 {
        GENESIS + self.main.len() as u32 - 1
    }

    /// How a block of the main chain is gossiped.
    pub fn header(&self, number: u32) -> BlockHeaderMessage {
        header(self.at(number))
    }

    /// The same chain up to the parent of `branch`, and then `branch`. What it replaces stays
    /// known as a fork.
    pub fn rebranched(&self, branch: &[Block]) -> Arc<Self> {
        let first = branch[0].block_number();
        let mut main = self.main.clone();
        let replaced = main.split_off((first - GENESIS) as usize);
        main.extend(branch.iter().cloned());
        let mut blocks = Self::new(main);
        blocks.forks = self.forks.clone();
        blocks.forks.extend(
            replaced
                .into_iter()
                .map(|block| (block.hash(), block))
                .filter(|(hash, _)| !blocks.numbers.contains_key(hash)),
        );
        Arc::new(blocks)
    }
}

/// How a block is gossiped.
pub fn header(block: &Block) -> BlockHeaderMessage {
    match without_body(block.clone()) {
        Block::Macro(block) => BlockHeaderMessage::Macro {
            header: block.header,
            justification: block.justification.unwrap(),
        },
        Block::Micro(block) => BlockHeaderMessage::Micro {
            header: block.header,
            justification: block.justification.unwrap(),
        },
    }
}

/// The network that all chains are on, with its policy installed.
pub fn params() -> &'static NetworkParams {
    init_policy();
    let params = NetworkParams::by_name("unit-albatross").unwrap();
    assert!(params.install_policy());
    assert_eq!(Policy::blocks_per_batch(), BATCH);
    assert_eq!(Policy::blocks_per_epoch(), EPOCH);
    params
}

/// The honest chain.
pub fn chain() -> Arc<Blocks> {
    static CHAIN: OnceLock<Arc<Blocks>> = OnceLock::new();
    CHAIN
        .get_or_init(|| {
            params();
            let mut chain = ScriptedChain::new().unwrap();
            chain.extend_micro(TOP - GENESIS).unwrap();
            let mut blocks = vec![genesis_block()];
            blocks.extend(chain.light_blocks().unwrap());
            Arc::new(Blocks::new(blocks))
        })
        .clone()
}

/// An honest chain that its first election raises to protocol version 2.
pub fn raised() -> Arc<Blocks> {
    static CHAIN: OnceLock<Arc<Blocks>> = OnceLock::new();
    CHAIN
        .get_or_init(|| {
            params();
            let config = ChainConfig {
                version: 2,
                ..ChainConfig::default()
            };
            let mut chain = ScriptedChain::with_config(config).unwrap();
            chain.extend_micro(TOP - GENESIS).unwrap();
            let mut blocks = vec![genesis_block()];
            blocks.extend(chain.light_blocks().unwrap());
            let blocks = Blocks::new(blocks);
            assert_eq!(blocks.at(election(1)).version(), 2);
            Arc::new(blocks)
        })
        .clone()
}

/// The validator that signs the honest chain.
pub fn elected() -> &'static ValidatorKeys {
    static KEYS: LazyLock<ValidatorKeys> = LazyLock::new(ValidatorKeys::unit_albatross);
    &KEYS
}

/// A validator that nobody elected.
pub fn stranger() -> &'static ValidatorKeys {
    static KEYS: LazyLock<ValidatorKeys> =
        LazyLock::new(|| ValidatorKeys::generate(&mut ChaCha20Rng::seed_from_u64(77)));
    &KEYS
}

/// The honest chain up to an election block, in place of which a stranger has elected itself; it
/// signs all that follows. To whoever believes that block, the rest is valid.
pub fn usurped(election: u32) -> Arc<Blocks> {
    usurped_of(&chain(), election)
}

/// The same of another honest chain.
pub fn usurped_of(honest: &Arc<Blocks>, election: u32) -> Arc<Blocks> {
    static CHAINS: LazyLock<Mutex<HashMap<Blake2bHash, Arc<Blocks>>>> =
        LazyLock::new(Mutex::default);
    let mut chains = CHAINS.lock();
    chains
        .entry(honest.hash_at(election))
        .or_insert_with(|| {
            assert!(Policy::is_election_block_at(election));
            let mut block = honest.macro_at(election);
            block.header.validators = Some(stranger().validators());
            stranger().sign_macro(&mut block);
            let mut branch = vec![Block::Macro(block)];
            let mut parent_election = branch[0].hash();
            for number in election + 1..=honest.top() {
                let parent = branch.last().unwrap().clone();
                let next = follow(&parent, honest.at(number), &parent_election, stranger());
                if next.is_election() {
                    parent_election = next.hash();
                }
                branch.push(next);
            }
            honest.rebranched(&branch)
        })
        .clone()
}

/// A block like `model` on top of another parent, signed by other keys.
fn follow(
    parent: &Block,
    model: &Block,
    parent_election: &Blake2bHash,
    keys: &ValidatorKeys,
) -> Block {
    let number = model.block_number();
    let seed = parent.seed().sign_next(&keys.signing, number);
    match model.clone() {
        Block::Macro(mut block) => {
            block.header.parent_hash = parent.hash();
            block.header.parent_election_hash = parent_election.clone();
            block.header.seed = seed;
            if block.header.validators.is_some() {
                block.header.validators = Some(keys.validators());
            }
            keys.sign_macro(&mut block);
            Block::Macro(block)
        }
        Block::Micro(mut block) => {
            block.header.parent_hash = parent.hash();
            block.header.seed = seed;
            block.header.extra_data = b"usurped".to_vec();
            keys.sign_micro(&mut block);
            Block::Micro(block)
        }
    }
}

/// `count` micro blocks on top of `parent`, by the validator whose turn it is. `mark` tells
/// branches apart.
pub fn branch_on(parent: &Block, count: u32, mark: &[u8]) -> Vec<Block> {
    let mut branch: Vec<Block> = Vec::new();
    for _ in 0..count {
        let parent = branch.last().unwrap_or(parent);
        branch.push(micro_on(parent, parent.timestamp() + 1000, mark, elected()));
    }
    branch
}

/// A micro block on top of `parent`.
pub fn micro_on(parent: &Block, timestamp: u64, extra_data: &[u8], keys: &ValidatorKeys) -> Block {
    let number = parent.block_number() + 1;
    let mut block = MicroBlock {
        header: MicroHeader {
            network: parent.network(),
            version: parent.version(),
            block_number: number,
            timestamp,
            parent_hash: parent.hash(),
            seed: parent.seed().sign_next(&keys.signing, number),
            extra_data: extra_data.to_vec(),
            state_root: parent.state_root().clone(),
            history_root: parent.history_root().clone(),
            ..MicroHeader::default()
        },
        justification: None,
        body: None,
    };
    keys.sign_micro(&mut block);
    Block::Micro(block)
}

/// The skip block on top of `parent`.
pub fn skip_on(parent: &Block) -> Block {
    let Block::Micro(mut block) = micro_on(
        parent,
        parent.timestamp() + Policy::MIN_PRODUCER_TIMEOUT,
        b"",
        elected(),
    ) else {
        unreachable!("micro_on makes micro blocks");
    };
    block.header.seed = parent.seed().clone();
    block.justification = None::<MicroJustification>;
    elected().sign_skip(&mut block, Policy::SLOTS);
    Block::Micro(block)
}

/// The same block, changed and not signed again.
pub fn mutated(block: &Block, mutation: Mutation) -> Block {
    mutation
        .apply(block, Signing::Keep, stranger())
        .unwrap_or_else(|| panic!("{mutation:?} does not apply to {block}"))
}

/// The same block, changed and signed again by the elected validator.
pub fn resigned(block: &Block, mutation: Mutation) -> Block {
    mutation
        .apply(block, Signing::By(elected()), stranger())
        .unwrap_or_else(|| panic!("{mutation:?} does not apply to {block}"))
}

/// Timestamp of a block of the honest chain.
pub fn time_of(number: u32) -> u64 {
    chain().at(number).timestamp()
}
