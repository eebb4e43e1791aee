//! The chain a devnet starts with.

use std::time::SystemTime;

use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_transaction::Transaction;
use nimiq_utils::time::systemtime_to_timestamp;

use super::{DevnetEvent, Interrupt};
use crate::{
    chain::{ChainConfig, ChainData, ChainError, Payer, ScriptedChain, Timing},
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
    pub(super) epochs: u32,
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
    fn blocks(&self) -> u32 {
        self.epochs.saturating_mul(Policy::blocks_per_epoch())
    }

    fn micro_blocks(&self) -> u32 {
        self.epochs
            .saturating_mul(Policy::blocks_per_epoch() - u32::from(Policy::batches_per_epoch()))
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
        let epochs = self.epochs;
        let step = Policy::BLOCK_SEPARATION_TIME;
        let now = || systemtime_to_timestamp(SystemTime::now());
        let mut chain = ScriptedChain::with_config(ChainConfig {
            timing: Timing::ending_at(now(), self.blocks(), step),
            keep_all_epochs: false,
            seed: now(),
            ..ChainConfig::default()
        })?;
        let held_back = self.lie.as_ref().and_then(Lie::epochs_behind);
        let mut liar = None;
        let mut payments = Payments::new(self);
        for epoch in 1..=epochs {
            // The chain of a peer that was held back ends here.
            if held_back.is_some_and(|behind| epoch + behind == epochs + 1) {
                liar = Some(chain.copy()?);
            }
            for block in 1..=Policy::blocks_per_epoch() {
                interrupt.check()?;
                // The validator looks at the age of the last block to see how much it has to make
                // up for. Making a long chain must not count as a delay.
                if epoch == epochs && block == Policy::blocks_per_epoch() {
                    chain.set_timing(Timing { next: now(), step });
                }
                let height = chain.height();
                if Policy::is_macro_block_at(height + 1) {
                    chain.extend()?;
                } else {
                    chain.extend_with(payments.next_block(height)?)?;
                }
            }
            if epoch % REPORT_EVERY_EPOCHS == 0 || epoch == epochs {
                report(DevnetEvent::Prefilled { epoch, of: epochs });
            }
        }
        let nodes = (0..self.nodes)
            .map(|_| chain.copy())
            .collect::<Result<_, _>>()?;
        Ok(Chains { nodes, liar })
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
