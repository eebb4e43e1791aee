//! Who watches addresses, and what each has been told. A transaction is told of once for each state
//! that it reaches, in the order in which it reaches them.

use std::{collections::HashSet, sync::Arc};

use nimiq_keys::Address;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::details::{TransactionDetails, TransactionState};
use crate::{limits, query::QueryError};

/// Names a watcher.
pub(super) type WatcherId = u64;

/// Stands for the head of those who come before there is consensus. What is our head then may be of
/// long ago, and they want to know what happens from now on.
pub(super) const NOT_YET: u32 = u32::MAX;

/// Why a watcher hears no more, if there is another reason than that the engine has ended.
pub(super) type EndReason = Arc<Mutex<Option<QueryError>>>;

/// Somebody who wants to watch addresses.
#[derive(Debug)]
pub(super) struct Applicant {
    pub(super) addresses: HashSet<Address>,
    pub(super) sender: mpsc::Sender<TransactionDetails>,
    pub(super) end: EndReason,
    /// Number of the head when it came, or [`NOT_YET`].
    pub(super) since: u32,
}

#[derive(Debug)]
struct Watcher {
    id: WatcherId,
    applicant: Applicant,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    list: Vec<Watcher>,
    next: WatcherId,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn has(&self, id: WatcherId) -> bool {
        self.list.iter().any(|watcher| watcher.id == id)
    }

    /// Every watched address.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        let lists = self.list.iter();
        lists.flat_map(|watcher| &watcher.applicant.addresses)
    }

    /// Since which block an address is watched.
    pub(super) fn since(&self, address: &Address) -> Option<u32> {
        self.list
            .iter()
            .filter(|watcher| watcher.applicant.addresses.contains(address))
            .map(|watcher| watcher.applicant.since)
            .min()
    }

    /// Takes in a watcher, or tells it why not.
    pub(super) fn admit(&mut self, applicant: Applicant) -> Option<WatcherId> {
        let watched: HashSet<_> = self.addresses().chain(&applicant.addresses).collect();
        let why = if watched.len() > limits::MAX_WATCHED_ADDRESSES {
            format!(
                "{} addresses are too many: at most {} can be watched at a time",
                watched.len(),
                limits::MAX_WATCHED_ADDRESSES
            )
        } else if self.list.len() >= limits::MAX_WATCHERS {
            format!("{} watchers are too many", self.list.len() + 1)
        } else {
            let id = self.next;
            self.next += 1;
            self.list.push(Watcher { id, applicant });
            return Some(id);
        };
        *applicant.end.lock() = Some(QueryError::NotFound(why));
        None
    }

    /// Whether some came before there was consensus.
    pub(super) fn are_early(&self) -> bool {
        let mut list = self.list.iter();
        list.any(|watcher| watcher.applicant.since == NOT_YET)
    }

    /// There is consensus: for those who came before, now is when this block is the head.
    pub(super) fn begin(&mut self, head: u32) {
        for watcher in &mut self.list {
            if watcher.applicant.since == NOT_YET {
                watcher.applicant.since = head;
            }
        }
    }

    /// Lets go of watchers that are gone. Returns whether there were any.
    pub(super) fn sweep(&mut self) -> bool {
        let before = self.list.len();
        self.list
            .retain(|watcher| !watcher.applicant.sender.is_closed());
        self.list.len() < before
    }

    /// Whether anybody watches an address that the transaction touches.
    pub(super) fn any_touched_by(&self, details: &TransactionDetails) -> bool {
        let mut list = self.list.iter();
        list.any(|watcher| is_touched(watcher, details))
    }

    /// Tells all whom it concerns, unless they know.
    pub(super) fn tell(&mut self, details: &TransactionDetails, told: &mut Vec<(WatcherId, u8)>) {
        self.list.retain_mut(|watcher| tell(watcher, details, told));
    }

    /// Tells one watcher, if it concerns it.
    pub(super) fn tell_one(
        &mut self,
        id: WatcherId,
        details: &TransactionDetails,
        told: &mut Vec<(WatcherId, u8)>,
    ) {
        self.list
            .retain_mut(|watcher| watcher.id != id || tell(watcher, details, told));
    }
}

fn is_touched(watcher: &Watcher, details: &TransactionDetails) -> bool {
    let addresses = &watcher.applicant.addresses;
    details
        .addresses()
        .any(|address| addresses.contains(&address))
}

/// Tells a watcher of a state, unless it knows it, or a later one, or has nothing to do with it.
/// Returns whether the watcher can be told more.
fn tell(watcher: &Watcher, details: &TransactionDetails, told: &mut Vec<(WatcherId, u8)>) -> bool {
    if !is_touched(watcher, details) {
        return true;
    }
    let known = told.iter().position(|(id, _)| *id == watcher.id);
    let states = known.map_or(0, |i| told[i].1);
    let knows = |state: TransactionState| states & state.bit() != 0;
    let is_old = match details.state {
        TransactionState::Pending => states != 0,
        TransactionState::Expired => states == 0,
        TransactionState::Included | TransactionState::Failed => knows(TransactionState::Finalized),
        TransactionState::Finalized => false,
    };
    let is_before = details
        .block_number
        .is_some_and(|number| number <= watcher.applicant.since);
    if knows(details.state) || is_old || (states == 0 && is_before) {
        return true;
    }
    match known {
        Some(i) => told[i].1 |= details.state.bit(),
        None => told.push((watcher.id, details.state.bit())),
    }
    match watcher.applicant.sender.try_send(details.clone()) {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Closed(_)) => false,
        Err(mpsc::error::TrySendError::Full(_)) => {
            *watcher.applicant.end.lock() = Some(QueryError::Timeout(format!(
                "{} transactions were not taken in: what came after them is lost",
                limits::WATCH_BUFFER
            )));
            false
        }
    }
}
