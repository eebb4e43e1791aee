//! The chain a devnet starts with.

use std::time::SystemTime;

use nimiq_block::MacroBlock;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_transaction::Transaction;
use nimiq_utils::time::systemtime_to_timestamp;

use super::{DevnetEvent, Interrupt};
use crate::{
    chain::{ChainConfig, ChainData, ChainError, Fixture, Payer, ScriptedChain, Timing},
    liar::Lie,
    node::NodeError,
};

/// How often the prefilling tells how far it is, in epochs.
const REPORT_EVERY_EPOCHS: u32 = 25;

/// How many transactions a block gets at most. Some 700 basic ones fit.
const TRANSACTIONS_PER_BLOCK: u32 = 500;

/// Names the account that the prefilled transactions go to; see [`Payer::numbered`].
const HISTORY_ACCOUNT: u64 = 0x0068_6973_746f_7279;

/// The least that is paid; each transaction pays one Luna more than the one before it.
const LEAST_PAYMENT: u64 = 100_000;

/// Every so many transactions one goes the other way.
const PAID_BACK: u32 = 4;

/// What the prefilled chain shall be.
#[derive(Clone, Debug)]
pub(super) struct Prefill {
    /// How many whole epochs.
    pub(super) epochs: u32,
    /// The protocol version that the first election raises the chain to.
    pub(super) version: u16,
    /// The election blocks of the fixture chain, to begin with that.
    pub(super) fixture: Option<Vec<MacroBlock>>,
    pub(super) transactions: u32,
    /// How many nodes need a copy.
    pub(super) nodes: usize,
    pub(super) lie: Option<Lie>,
}

/// The chains to start with.
pub(super) struct Chains {
    pub(super) nodes: Vec<ChainData>,
    /// Of the liar, if it has one of its own.
    pub(super) liar: Option<ChainData>,
}

/// The account that all prefilled transactions touch.
pub(super) fn history_account() -> Payer {
    Payer::numbered(HISTORY_ACCOUNT)
}

impl Prefill {
    /// How many blocks come before those whose timestamps are up to us.
    fn given_blocks(&self) -> u32 {
        self.given_epochs() * Policy::blocks_per_epoch()
    }

    fn given_epochs(&self) -> u32 {
        if self.fixture.is_some() {
            self.epochs.min(Fixture::EPOCHS)
        } else {
            0
        }
    }

    /// Number of the last block.
    fn end(&self) -> u32 {
        let mut blocks = self.epochs.saturating_mul(Policy::blocks_per_epoch());
        // The validator makes up for the time since the last macro block, so that must not be the
        // fixture chain's, which is years old.
        if self.fixture.is_some() && self.epochs == self.given_epochs() {
            blocks = blocks.saturating_add(Policy::blocks_per_batch());
        }
        Policy::genesis_block_number().saturating_add(blocks)
    }

    /// How many micro blocks can take transactions.
    fn micro_blocks(&self) -> u32 {
        let blocks = self.end() - Policy::genesis_block_number() - self.given_blocks();
        blocks - blocks / Policy::blocks_per_batch()
    }

    /// Checks that the transactions fit into the blocks.
    pub(super) fn validate(&self) -> Result<(), NodeError> {
        let most = self.micro_blocks().saturating_mul(TRANSACTIONS_PER_BLOCK);
        if self.transactions > most {
            return Err(NodeError::TooManyTransactions { most });
        }
        Ok(())
    }

    /// Makes the chain, so that its last block is as old as the making of it takes from then on.
    pub(super) fn make(
        &self,
        interrupt: &Interrupt,
        report: &(impl Fn(DevnetEvent) + ?Sized),
    ) -> Result<Chains, NodeError> {
        let mut liar = None;
        let mut chain = self.begin(interrupt, &mut liar)?;
        let step = Policy::BLOCK_SEPARATION_TIME;
        let now = || systemtime_to_timestamp(SystemTime::now());
        let end = self.end();
        chain.set_timing(Timing::ending_at(now(), end - chain.height(), step));
        let mut payments = Payments::new(self);
        while chain.height() < end {
            interrupt.check()?;
            let height = chain.height();
            if Policy::is_election_block_at(height) {
                self.hold_back(&chain, &mut liar)?;
            }
            // The validator looks at the age of the last block to see how much it has to make
            // up for. Making a long chain must not count as a delay.
            if height + 1 == end {
                chain.set_timing(Timing { next: now(), step });
            }
            if Policy::is_macro_block_at(height + 1) {
                chain.extend()?;
            } else {
                chain.extend_with(payments.next_block(height)?)?;
            }
            if Policy::is_election_block_at(height + 1) {
                let (epoch, of) = (Policy::epoch_at(height + 1), self.epochs);
                if epoch.is_multiple_of(REPORT_EVERY_EPOCHS) || epoch == of {
                    report(DevnetEvent::Prefilled { epoch, of });
                }
            }
        }
        let nodes = (0..self.nodes)
            .map(|_| chain.copy())
            .collect::<Result<_, _>>()?;
        Ok(Chains { nodes, liar })
    }

    /// The genesis block, or the fixture chain.
    fn begin(
        &self,
        interrupt: &Interrupt,
        liar: &mut Option<ChainData>,
    ) -> Result<ScriptedChain, NodeError> {
        let config = ChainConfig {
            keep_all_epochs: false,
            version: self.version,
            seed: systemtime_to_timestamp(SystemTime::now()),
            ..ChainConfig::default()
        };
        let Some(elections) = &self.fixture else {
            return Ok(ScriptedChain::with_config(config)?);
        };
        let mut fixture = Fixture::begin(config)?;
        for _ in 0..self.given_epochs() {
            interrupt.check()?;
            self.hold_back(fixture.chain(), liar)?;
            fixture.extend_epoch()?;
        }
        let chain = fixture.into_chain();
        if !elections.starts_with(&chain.elections()?) {
            return Err(NodeError::OtherFixture);
        }
        Ok(chain)
    }

    /// Keeps a copy for a liar whose chain ends here, at an election block.
    fn hold_back(
        &self,
        chain: &ScriptedChain,
        liar: &mut Option<ChainData>,
    ) -> Result<(), NodeError> {
        let behind = self.lie.as_ref().and_then(Lie::epochs_behind);
        let epoch = Policy::epoch_at(chain.height());
        if liar.is_none() && behind.is_some_and(|behind| epoch + behind == self.epochs) {
            *liar = Some(chain.copy()?);
        }
        Ok(())
    }
}

/// The transactions of the blocks to come, spread evenly over them.
struct Payments {
    funded: Payer,
    other: Payer,
    total: u32,
    micro_blocks: u32,
    /// Micro blocks already given theirs.
    blocks: u32,
    /// Transactions already given.
    made: u32,
}

impl Payments {
    fn new(prefill: &Prefill) -> Self {
        Self {
            funded: Payer::funded(),
            other: history_account(),
            total: prefill.transactions,
            micro_blocks: prefill.micro_blocks(),
            blocks: 0,
            made: 0,
        }
    }

    /// Those of the next micro block, which follows block `height`.
    fn next_block(&mut self, height: u32) -> Result<Vec<Transaction>, ChainError> {
        self.blocks += 1;
        let share = u64::from(self.total) * u64::from(self.blocks) / u64::from(self.micro_blocks);
        let mut transactions = Vec::new();
        while u64::from(self.made) < share {
            self.made += 1;
            // Different values make the transactions different.
            let value = Coin::from_u64_unchecked(LEAST_PAYMENT + u64::from(self.made));
            // Later ones pay more, so what goes back must have come before.
            transactions.push(if self.made.is_multiple_of(PAID_BACK) {
                self.other.pay(self.funded.address(), value, height)?
            } else {
                self.funded.pay(self.other.address(), value, height)?
            });
        }
        Ok(transactions)
    }
}
