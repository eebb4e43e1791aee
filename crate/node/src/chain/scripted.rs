//! A full blockchain that is extended by command.

use std::{path::PathBuf, sync::Arc};

use nimiq_block::{Block, MicroBlock, MicroBody, MicroHeader};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_consensus::messages::{BlockBodyMessage, BlockHeaderMessage};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_primitives::{TreeProof, policy::Policy};
use nimiq_transaction::Transaction;
use parking_lot::RwLock;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{
    ChainData, ChainError, ValidatorKeys, genesis_block, init_policy,
    key_ring::KeyRing,
    produce::{Contents, produce, produce_skip, push_to},
    without_body,
};

/// When blocks claim to have been made. All times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Timestamp of the next block. If it is before its parent's, the parent's is used.
    pub next: u64,
    /// How much later each further block is.
    pub step: u64,
}

impl Timing {
    /// Block times that give the block `blocks` ahead the timestamp `end`.
    pub fn ending_at(end: u64, blocks: u32, step: u64) -> Self {
        Self {
            next: end.saturating_sub(step.saturating_mul(u64::from(blocks.saturating_sub(1)))),
            step,
        }
    }
}

/// How to make a [`ScriptedChain`]. The default is the same chain each time, byte for byte.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// Timestamps of the blocks to come. By default one a second from genesis on, which lies in
    /// the past.
    pub timing: Timing,
    /// Seed of what is random in blocks. Chains with equal seeds and timestamps are equal.
    pub seed: u64,
    /// The protocol version that the first election raises the chain to: 1, which is that of the
    /// genesis block, or 2. The validator signals that it is ready for it in the first block.
    pub version: u16,
    /// Further validators whose keys the chain has, so that it can go on when they are elected.
    pub validators: Vec<ValidatorKeys>,
    /// Keep the micro blocks of all epochs rather than, like a node, those of the last two. Needed
    /// to fork in an early epoch.
    pub keep_all_epochs: bool,
    /// Folder to make the temporary database in, by default the system's for temporary files.
    pub directory: Option<PathBuf>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        let step = Policy::BLOCK_SEPARATION_TIME;
        Self {
            timing: Timing {
                next: genesis_block().timestamp() + step,
                step,
            },
            seed: 0,
            version: genesis_block().version(),
            validators: Vec::new(),
            keep_all_epochs: true,
            directory: None,
        }
    }
}

/// A real chain of `unit-albatross` in a temporary database, extended by command.
///
/// Blocks are produced by `nimiq-blockchain`'s own [`BlockProducer`](nimiq_blockchain::BlockProducer) and signed by the network's
/// validator, so any node or client accepts them. They are pushed without checking the signatures
/// just made.
pub struct ScriptedChain {
    data: ChainData,
    config: ChainConfig,
    keys: KeyRing,
    timing: Timing,
    extra_data: Vec<u8>,
    /// Whether the next micro block is to reactivate the validator.
    reactivate: bool,
    rng: ChaCha20Rng,
}

impl std::fmt::Debug for ScriptedChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedChain")
            .field("data", &self.data)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

impl ScriptedChain {
    /// A chain that consists of the genesis block only.
    pub fn new() -> Result<Self, ChainError> {
        Self::with_config(ChainConfig::default())
    }

    /// Like [`ScriptedChain::new`], with other block times and so on.
    pub fn with_config(config: ChainConfig) -> Result<Self, ChainError> {
        let data = ChainData::create(config.directory.as_deref(), config.keep_all_epochs)?;
        Ok(Self::on(data, config))
    }

    /// A chain of `epochs` whole epochs, one block each `step` ms, whose last block, an election
    /// block, has the timestamp `end`.
    pub fn ending_at(end: u64, epochs: u32, step: u64) -> Result<Self, ChainError> {
        init_policy();
        let blocks = epochs.saturating_mul(Policy::blocks_per_epoch());
        let mut chain = Self::with_config(ChainConfig {
            timing: Timing::ending_at(end, blocks, step),
            ..ChainConfig::default()
        })?;
        chain.extend_epochs(epochs)?;
        Ok(chain)
    }

    fn on(data: ChainData, config: ChainConfig) -> Self {
        Self {
            data,
            keys: KeyRing::new(ValidatorKeys::unit_albatross(), config.validators.clone()),
            timing: config.timing,
            extra_data: Vec::new(),
            reactivate: false,
            rng: ChaCha20Rng::seed_from_u64(config.seed),
            config,
        }
    }

    // --- Extending -------------------------------------------------------------------------------

    /// Appends the next block, of whichever kind is due, and returns it.
    pub fn extend(&mut self) -> Result<Block, ChainError> {
        let block = self.next_block()?;
        self.append(block)
    }

    /// Appends a block just made, and gets ready for the next.
    fn append(&mut self, block: Block) -> Result<Block, ChainError> {
        self.push_trusted(block.clone())?;
        if block.is_micro() {
            self.reactivate = false;
        }
        self.timing.next = self.timing.next.max(block.timestamp()) + self.timing.step;
        Ok(block)
    }

    /// Appends a micro block with these transactions and returns it. Should a macro block be due,
    /// that is appended first.
    ///
    /// # Errors
    /// If the block can't take all of them: nothing but that macro block is appended then.
    pub fn extend_with(&mut self, transactions: Vec<Transaction>) -> Result<Block, ChainError> {
        if Policy::is_macro_block_at(self.height() + 1) {
            self.extend()?;
        }
        let given = transactions.len() + usize::from(self.reactivate) + usize::from(self.signals());
        let block = self.next_block_with(transactions)?;
        let taken = block.transactions().map_or(0, <[_]>::len);
        if taken != given {
            return Err(ChainError::Unappliable {
                number: block.block_number(),
                taken,
                given,
            });
        }
        self.append(block)
    }

    /// Appends `n` blocks; "micro" as most of them are, but macro blocks are made where due.
    pub fn extend_micro(&mut self, n: u32) -> Result<(), ChainError> {
        for _ in 0..n {
            self.extend()?;
        }
        Ok(())
    }

    /// Goes on until the next macro block, be it a checkpoint or an election block, is the head.
    pub fn extend_to_checkpoint(&mut self) -> Result<(), ChainError> {
        let height = self.height();
        self.extend_micro(Policy::macro_block_after(height) - height)
    }

    /// Goes on for `n` macro blocks; the head is then a macro block.
    pub fn extend_batches(&mut self, n: u32) -> Result<(), ChainError> {
        for _ in 0..n {
            self.extend_to_checkpoint()?;
        }
        Ok(())
    }

    /// Goes on for `n` election blocks; the head is then an election block.
    pub fn extend_epochs(&mut self, n: u32) -> Result<(), ChainError> {
        for _ in 0..n {
            let height = self.height();
            self.extend_micro(Policy::election_block_after(height) - height)?;
        }
        Ok(())
    }

    /// Appends a skip block, as the validators do when the producer whose turn it was is silent,
    /// and returns it.
    ///
    /// That deactivates the producer, here the only validator. The next micro block activates it
    /// again, so there should be one before the epoch ends.
    pub fn extend_skip(&mut self) -> Result<Block, ChainError> {
        let block = self.next_skip_block()?;
        self.push_trusted(block.clone())?;
        self.reactivate = true;
        self.timing.next = block.timestamp() + self.timing.step;
        Ok(block)
    }

    /// Appends a block made elsewhere, checking nothing but that it fits and that the state it
    /// leads to is the one it names.
    pub fn push_trusted(&mut self, block: Block) -> Result<(), ChainError> {
        push_to(self.data.blockchain.upgradable_read(), block)
    }

    /// The next block, of whichever kind is due, signed but not appended. Each call gives another
    /// one, as seeds are random.
    pub fn next_block(&mut self) -> Result<Block, ChainError> {
        self.next_block_with(Vec::new())
    }

    fn next_block_with(&mut self, mut transactions: Vec<Transaction>) -> Result<Block, ChainError> {
        let signals = self.signals();
        let blockchain = self.data.blockchain.upgradable_read();
        let height = blockchain.block_number();
        let keys = self.keys.first();
        if self.reactivate {
            transactions.push(keys.reactivation(height));
        }
        if signals {
            transactions.push(keys.signal(self.config.version, height));
        }
        let raised = Policy::is_election_block_at(height + 1)
            && blockchain.head().version() < self.config.version;
        let contents = Contents {
            timestamp: self.timing.next,
            extra_data: self.extra_data.clone(),
            transactions,
            version: raised.then_some(self.config.version),
        };
        produce(&blockchain, &self.keys, contents, &mut self.rng)
    }

    /// Whether the next block is the one to signal in that the validator is ready for a new version.
    fn signals(&self) -> bool {
        let genesis = genesis_block();
        self.height() == genesis.block_number() && self.config.version > genesis.version()
    }

    /// The skip block that could come next, not appended.
    pub fn next_skip_block(&mut self) -> Result<Block, ChainError> {
        let blockchain = self.data.blockchain.upgradable_read();
        produce_skip(&blockchain, &self.keys, &mut self.rng)
    }

    /// Timestamps of the blocks to come.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Changes the timestamps of the blocks to come.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// What the blocks to come carry as extra data: up to 32 bytes. Different bytes make branches
    /// differ for certain.
    pub fn set_extra_data(&mut self, extra_data: impl Into<Vec<u8>>) {
        self.extra_data = extra_data.into();
    }

    /// Changes the seed of what is random in the blocks to come.
    pub fn set_seed(&mut self, seed: u64) {
        self.rng = ChaCha20Rng::seed_from_u64(seed);
    }

    /// From now on these validators don't vote for macro blocks. The others must have enough slots,
    /// or nobody else accepts the blocks.
    pub fn set_absent(&mut self, absent: Vec<Address>) {
        self.keys.set_absent(absent);
    }

    // --- Branching -------------------------------------------------------------------------------

    /// A second chain with the same blocks up to and including block `height`, from where it can
    /// go another way. What it makes differs from what this one makes, even with the same times.
    pub fn fork_at(&self, height: u32) -> Result<Self, ChainError> {
        let mut fork = if height == self.height() {
            let (parent, keep) = (
                self.config.directory.as_deref(),
                self.config.keep_all_epochs,
            );
            Self::on(self.data.copy(parent, keep)?, self.config.clone())
        } else {
            let mut fork = Self::with_config(self.config.clone())?;
            for number in Policy::genesis_block_number() + 1..=height {
                fork.push_trusted(self.block_at(number)?)?;
            }
            fork
        };
        fork.timing = Timing {
            next: fork.head().timestamp() + self.timing.step,
            step: self.timing.step,
        };
        fork.extra_data = b"fork".to_vec();
        fork.rng = ChaCha20Rng::seed_from_u64(self.config.seed ^ u64::from(height) ^ 0x666f_726b);
        Ok(fork)
    }

    /// A micro block on top of any block, whether this chain has that one or not.
    ///
    /// It is signed as it should be and takes over its parent's roots, so a light client accepts it
    /// and a full node does too if the parent is a micro block of no transactions.
    pub fn micro_on(&mut self, parent: &Block, timestamp: u64, extra_data: &[u8]) -> Block {
        let number = parent.block_number() + 1;
        let body = MicroBody {
            equivocation_proofs: Vec::new(),
            transactions: Vec::new(),
        };
        let mut block = MicroBlock {
            header: MicroHeader {
                network: parent.network(),
                version: parent.version(),
                block_number: number,
                timestamp,
                parent_hash: parent.hash(),
                seed: parent.seed().sign_next_with_rng(
                    &self.keys.first().signing,
                    number,
                    &mut self.rng,
                ),
                extra_data: extra_data.to_vec(),
                state_root: parent.state_root().clone(),
                body_root: body.hash(),
                diff_root: TreeProof::empty().root_hash(),
                history_root: parent.history_root().clone(),
                cached_hash: None,
            },
            justification: None,
            body: Some(body),
        };
        self.keys.first().sign_micro(&mut block);
        Block::Micro(block)
    }

    // --- Reading ---------------------------------------------------------------------------------

    /// The blockchain itself, to share with a node. Whoever holds it may extend it too.
    pub fn blockchain(&self) -> Arc<RwLock<Blockchain>> {
        Arc::clone(&self.data.blockchain)
    }

    /// The keys of the validator who signs this chain; should there be several, of the first one.
    pub fn keys(&self) -> &ValidatorKeys {
        self.keys.first()
    }

    /// Number of the last block.
    pub fn height(&self) -> u32 {
        self.data.blockchain.read().block_number()
    }

    /// The last block, with its body.
    pub fn head(&self) -> Block {
        self.data.blockchain.read().head().clone()
    }

    /// Hash of the last block.
    pub fn head_hash(&self) -> Blake2bHash {
        self.data.blockchain.read().head_hash()
    }

    /// The last macro block, be it a checkpoint or an election block.
    pub fn macro_head(&self) -> Block {
        Block::Macro(self.data.blockchain.read().macro_head().clone())
    }

    /// The last election block.
    pub fn election_head(&self) -> Block {
        Block::Macro(self.data.blockchain.read().election_head().clone())
    }

    /// The block of that number on the main chain, with its body.
    pub fn block_at(&self, number: u32) -> Result<Block, ChainError> {
        self.data
            .blockchain
            .read()
            .get_block_at(number, true, None)
            .map_err(|_| ChainError::NoSuchBlock(number))
    }

    /// The block of that number as light clients get it: header and justification.
    pub fn light_block_at(&self, number: u32) -> Result<Block, ChainError> {
        self.block_at(number).map(without_body)
    }

    /// All blocks after genesis up to the head, as light clients get them.
    pub fn light_blocks(&self) -> Result<Vec<Block>, ChainError> {
        (Policy::genesis_block_number() + 1..=self.height())
            .map(|number| self.light_block_at(number))
            .collect()
    }

    /// The two messages by which the block of that number was gossiped.
    pub fn messages_at(
        &self,
        number: u32,
    ) -> Result<(BlockHeaderMessage, BlockBodyMessage), ChainError> {
        let block = self.block_at(number)?;
        if number <= Policy::genesis_block_number() {
            // The genesis block has no justification and was never gossiped.
            return Err(ChainError::NoSuchBlock(number));
        }
        Ok(BlockHeaderMessage::split_block(block))
    }

    /// The message on topic `block-header` by which the block of that number was gossiped.
    pub fn header_message(&self, number: u32) -> Result<BlockHeaderMessage, ChainError> {
        Ok(self.messages_at(number)?.0)
    }

    /// This chain for a node to work on: what the node is sent and what is scripted here go to the
    /// same blockchain. It lives as long as either of the two.
    pub fn share(&self) -> ChainData {
        self.data.clone()
    }

    /// A copy of this chain for a node to work on, in a temporary database of its own that prunes
    /// old epochs as nodes do.
    pub fn copy(&self) -> Result<ChainData, ChainError> {
        self.data.copy(self.config.directory.as_deref(), false)
    }
}
