//! A transaction as the API shows it: what it is, how far it has come, and where.

use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_transaction::{
    ExecutedTransaction, Transaction,
    account::staking_contract::IncomingStakingTransactionData,
    historic_transaction::{HistoricTransaction, HistoricTransactionData},
};
use serde::Serialize;

use crate::shared::Heads;

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionState {
    /// This client has handed it to a peer; it is in no block yet.
    Pending,
    /// It is in a block that may still be reverted.
    Included,
    /// It is in a block at or below the last macro block: nothing reverts it any more.
    Finalized,
    /// It is in no block, and can't be in any that is still to come.
    Expired,
    /// It is in a block, which took its fee, but could not be executed.
    Failed,
}

impl TransactionState {
    /// Its place in a set of states.
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A transaction and what became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransactionDetails {
    /// The transaction. A reward is shown as a basic transaction from the coinbase address to the
    /// reward address, without fee or proof, that is valid from its block on.
    pub transaction: Transaction,
    /// Its hash. That of a reward is the one by which nodes know it, not the one that the
    /// transaction shown for it would have.
    pub hash: Blake2bHash,
    /// How far it has come.
    pub state: TransactionState,
    /// Number of the block that it is in.
    pub block_number: Option<u32>,
    /// Timestamp of that block, in Unix milliseconds.
    pub timestamp: Option<u64>,
    /// How many blocks there are from that block to our head, both counted.
    pub confirmations: Option<u32>,
    /// Whether it was executed.
    pub executed: Option<bool>,
}

impl TransactionDetails {
    /// A transaction that is in no block.
    pub(super) fn outside(transaction: &Transaction, state: TransactionState) -> Self {
        Self {
            hash: transaction.hash(),
            transaction: transaction.clone(),
            state,
            block_number: None,
            timestamp: None,
            confirmations: None,
            executed: None,
        }
    }

    /// A transaction that is proven to be in the chain. `None` for what is no transaction and no
    /// reward but another event of the history, such as a penalty: those have no sender, recipient
    /// or value. Nodes' own web client maps the history in the same way.
    pub(super) fn included(proven: &HistoricTransaction) -> Option<Self> {
        let (transaction, executed) = match &proven.data {
            HistoricTransactionData::Basic(ExecutedTransaction::Ok(transaction)) => {
                (transaction.clone(), true)
            }
            HistoricTransactionData::Basic(ExecutedTransaction::Err(transaction)) => {
                (transaction.clone(), false)
            }
            HistoricTransactionData::Reward(reward) => {
                let transaction = Transaction::new_basic(
                    Policy::COINBASE_ADDRESS,
                    reward.reward_address.clone(),
                    reward.value,
                    Coin::ZERO,
                    proven.block_number,
                    proven.network_id,
                );
                (transaction, true)
            }
            HistoricTransactionData::Penalize(_)
            | HistoricTransactionData::Jail(_)
            | HistoricTransactionData::Equivocation(_) => return None,
        };
        Some(Self {
            transaction,
            hash: proven.tx_hash().into(),
            state: if executed {
                TransactionState::Included
            } else {
                TransactionState::Failed
            },
            block_number: Some(proven.block_number),
            timestamp: Some(proven.block_time),
            confirmations: None,
            executed: Some(executed),
        })
    }

    /// The same, as it stands with these heads. Nothing changes for what is in no block.
    pub(super) fn seen_from(mut self, heads: &Heads) -> Self {
        let Some(number) = self.block_number else {
            return self;
        };
        self.confirmations = Some(heads.head.number.saturating_sub(number).saturating_add(1));
        self.state = match self.executed {
            Some(false) => TransactionState::Failed,
            _ if number <= heads.macro_head.number => TransactionState::Finalized,
            _ => TransactionState::Included,
        };
        self
    }

    /// Whether it is of those that nodes report for an address: what the address sends or receives,
    /// and stake that is added to it.
    pub(super) fn touches(&self, address: &Address) -> bool {
        let transaction = &self.transaction;
        transaction.sender == *address
            || transaction.recipient == *address
            || staker_of(transaction).is_some_and(|staker| staker == *address)
    }

    /// The addresses that [`Self::touches`] is true for.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        let transaction = &self.transaction;
        [transaction.sender.clone(), transaction.recipient.clone()]
            .into_iter()
            .chain(staker_of(transaction))
    }
}

fn staker_of(transaction: &Transaction) -> Option<Address> {
    if transaction.recipient != Policy::STAKING_CONTRACT_ADDRESS {
        return None;
    }
    match IncomingStakingTransactionData::parse(transaction) {
        Ok(IncomingStakingTransactionData::AddStake { staker_address }) => Some(staker_address),
        _ => None,
    }
}
