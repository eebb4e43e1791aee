//! What the book knows of one transaction.

use nimiq_hash::Blake2bHash;
use nimiq_transaction::Transaction;

use super::{
    super::{Confirmations, check, details::TransactionDetails, watchers::WatcherId},
    Reply,
};
use crate::{limits, shared::Heads};

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) until: Confirmations,
    pub(super) reply: Reply,
}

/// How far a transaction has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// It is on its way to the first peer.
    Leaving,
    /// It is in no block of ours that we know of.
    Open,
    /// It is in this block of ours.
    In {
        number: u32,
        /// Its hash, where it is kept.
        block: Option<Blake2bHash>,
        /// Whether it was final when the transaction was proven.
        is_final: bool,
    },
}

#[derive(Debug)]
pub(super) struct Entry<TPeerId> {
    pub(super) stage: Stage,
    /// As it was last proven, or as it was sent.
    pub(super) details: Option<TransactionDetails>,
    /// Whether this client has sent it.
    pub(super) is_ours: bool,
    /// Who says it is in which block.
    pub(super) claims: Vec<(TPeerId, u32)>,
    /// What each watcher has been told: a set of states.
    pub(super) told: Vec<(WatcherId, u8)>,
    pub(super) waiters: Vec<Waiter>,
    /// Whether somebody is being asked about it.
    pub(super) is_asked: bool,
    /// When to ask for it next without a claim, in seconds of the book, and how long after that.
    pub(super) next_look: u64,
    pub(super) interval: u64,
    /// How often it was asked for in vain.
    pub(super) attempts: u32,
    /// When it was last published.
    pub(super) published: u64,
}

impl<TPeerId> Entry<TPeerId> {
    pub(super) fn new(now: u64) -> Self {
        Self {
            stage: Stage::Open,
            details: None,
            is_ours: false,
            claims: Vec::new(),
            told: Vec::new(),
            waiters: Vec::new(),
            is_asked: false,
            next_look: now,
            interval: limits::FIRST_LOOK.as_secs(),
            attempts: 0,
            published: now,
        }
    }

    pub(super) fn transaction(&self) -> Option<&Transaction> {
        self.details.as_ref().map(|details| &details.transaction)
    }

    /// Whether it can get into no block any more.
    pub(super) fn is_overdue(&self, heads: &Heads) -> bool {
        self.stage == Stage::Open
            && self.transaction().is_some_and(|transaction| {
                heads.macro_head.number >= check::last_block(transaction)
            })
    }
}

/// Answers those who wait for what has come about.
pub(super) fn answer(waiters: &mut Vec<Waiter>, details: &TransactionDetails, is_final: bool) {
    for waiter in std::mem::take(waiters) {
        if is_final || waiter.until == Confirmations::Included {
            // Who no longer waits needs no answer.
            let _ = waiter.reply.send(Ok(details.clone()));
        } else {
            waiters.push(waiter);
        }
    }
}
