//! The book of transactions that are followed: those this client sent, those that touch a watched
//! address, and those that somebody waits for. It knows how far each has come, who wants to know, and
//! what must be asked next. It asks nobody itself.
//!
//! A transaction is *open* until it is proven to be in a block of our chain, and again if that block
//! is reverted; it is settled when that block can't be reverted any more, or when it can't get into
//! any.

mod entry;
mod settled;

use std::collections::HashMap;

use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_transaction::Transaction;
use tokio::sync::oneshot;

use self::{
    entry::{Entry, Stage, Waiter, answer},
    settled::Settled,
};
use super::{
    Confirmations, check,
    details::{TransactionDetails, TransactionState},
    prove::Found,
    receipts::Receipt,
    watchers::{WatcherId, Watchers},
};
use crate::{limits, query::QueryError, shared::Heads};

/// What the book must know of our chain, and has to say of what it tells.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) heads: &'a Heads,
    /// Hash of our block at a number, where it is kept.
    pub(super) block_at: &'a dyn Fn(u32) -> Option<Blake2bHash>,
    /// Is called before somebody is told of a transaction, with the hash of its block.
    pub(super) tells: &'a dyn Fn(&TransactionDetails, Option<&Blake2bHash>),
}

/// Where somebody hears of a transaction.
pub(super) type Reply = oneshot::Sender<Result<TransactionDetails, QueryError>>;

/// What to ask peers.
#[derive(Debug, PartialEq)]
pub(super) struct Inquiry<TPeerId> {
    /// Transactions, and the block that each is said to be in, if anybody says so.
    pub(super) receipts: Vec<(Blake2bHash, Option<u32>)>,
    /// Who says so, and is to be asked first.
    pub(super) claimers: Vec<TPeerId>,
}

/// What has become of a transaction that is sent again.
#[derive(Debug)]
pub(super) enum Sent {
    /// Off it goes. `is_new` says that nothing is known of it.
    Publish { is_new: bool },
    /// It is on its way already.
    Leaving,
    /// It is in this block.
    Included(u32),
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Book<TPeerId> {
    entries: HashMap<Blake2bHash, Entry<TPeerId>>,
    settled: Settled,
    /// Peers that claimed what nobody could prove, and how often.
    strikes: Vec<(TPeerId, u32)>,
    /// Seconds that the book has been open.
    now: u64,
}

impl<TPeerId: Copy + Eq> Book<TPeerId> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            settled: Settled::default(),
            strikes: Vec::new(),
            now: 0,
        }
    }

    /// Whether nobody needs the book.
    pub(super) fn is_idle(&self) -> bool {
        self.entries
            .values()
            .all(|entry| !entry.is_ours && entry.waiters.is_empty())
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        for entry in self.entries.values_mut() {
            entry.waiters.retain(|waiter| !waiter.reply.is_closed());
        }
    }

    /// Forgets what only one that is gone wanted to know.
    pub(super) fn retain_watched(&mut self, watchers: &Watchers) {
        self.entries.retain(|_, entry| {
            entry.told.retain(|(id, _)| watchers.has(*id));
            let is_watched = match &entry.details {
                Some(details) => watchers.any_touched_by(details),
                None => !watchers.is_empty(),
            };
            entry.is_ours || !entry.waiters.is_empty() || is_watched
        });
    }

    /// Addresses of open transactions that this client sent: a notification for them is the first to
    /// tell that they are included.
    pub(super) fn senders(&self) -> impl Iterator<Item = &Address> {
        self.entries
            .values()
            .filter(|entry| entry.is_ours && !matches!(entry.stage, Stage::In { .. }))
            .filter_map(|entry| Some(&entry.transaction()?.sender))
    }

    // --- What comes in ---------------------------------------------------------------------------

    /// Somebody sends a transaction.
    ///
    /// # Errors
    /// [`QueryError::InvalidTransaction`] if too many are under way.
    pub(super) fn send(
        &mut self,
        transaction: &Transaction,
        hash: &Blake2bHash,
    ) -> Result<Sent, QueryError> {
        if let Some(number) = self.settled.block_of(hash) {
            return Ok(Sent::Included(number));
        }
        let ours = self.entries.values().filter(|entry| entry.is_ours).count();
        let now = self.now;
        if let Some(entry) = self.entries.get_mut(hash) {
            return Ok(match entry.stage {
                Stage::Leaving => Sent::Leaving,
                Stage::In { number, .. } => Sent::Included(number),
                Stage::Open if entry.is_ours => Sent::Publish { is_new: false },
                Stage::Open => {
                    entry.stage = Stage::Leaving;
                    entry.details = Some(TransactionDetails::outside(
                        transaction,
                        TransactionState::Pending,
                    ));
                    Sent::Publish { is_new: true }
                }
            });
        }
        if ours >= limits::MAX_SENT_TRANSACTIONS {
            let why = format!("{ours} transactions are under way, and none of them is final yet");
            return Err(QueryError::InvalidTransaction(why));
        }
        let mut entry = Entry::new(now);
        entry.stage = Stage::Leaving;
        entry.details = Some(TransactionDetails::outside(
            transaction,
            TransactionState::Pending,
        ));
        self.entries.insert(hash.clone(), entry);
        Ok(Sent::Publish { is_new: true })
    }

    /// A transaction could not be handed to anybody, or need not be.
    pub(super) fn not_sent(&mut self, hash: &Blake2bHash) {
        if let Some(entry) = self.entries.get_mut(hash)
            && entry.stage == Stage::Leaving
        {
            entry.stage = Stage::Open;
            if entry.claims.is_empty() && entry.waiters.is_empty() {
                self.entries.remove(hash);
            }
        }
    }

    /// A transaction was handed to a peer. Returns how it stands.
    pub(super) fn sent(
        &mut self,
        hash: &Blake2bHash,
        watchers: &mut Watchers,
    ) -> Option<TransactionDetails> {
        let entry = self.entries.get_mut(hash)?;
        entry.is_ours = true;
        entry.published = self.now;
        if entry.stage == Stage::Leaving {
            entry.stage = Stage::Open;
            entry.next_look = self.now + entry.interval;
        }
        let details = entry.details.clone()?;
        if entry.stage == Stage::Open {
            watchers.tell(&details, &mut entry.told);
        }
        Some(details)
    }

    /// Tells a watcher that has just come what is under way.
    pub(super) fn introduce(&mut self, id: WatcherId, watchers: &mut Watchers) {
        for entry in self.entries.values_mut() {
            if let Some(details) = &entry.details
                && entry.is_ours
                && entry.stage == Stage::Open
                && details.state == TransactionState::Pending
            {
                watchers.tell_one(id, details, &mut entry.told);
            }
        }
    }

    /// Somebody waits for a transaction.
    pub(super) fn wait(&mut self, hash: Blake2bHash, until: Confirmations, reply: Reply) {
        let waiting = self.entries.values().map(|entry| entry.waiters.len());
        if waiting.sum::<usize>() >= limits::MAX_WAITERS {
            let why = "too many transactions are waited for";
            let _ = reply.send(Err(QueryError::InvalidTransaction(why.into())));
            return;
        }
        let now = self.now;
        let entry = self.entries.entry(hash).or_insert_with(|| Entry::new(now));
        entry.waiters.push(Waiter { until, reply });
        match &entry.details {
            Some(details) if matches!(entry.stage, Stage::In { .. }) => {
                let details = details.clone();
                answer(&mut entry.waiters, &details, false);
            }
            Some(_) => {}
            // Nobody has looked for it yet, or not for a while.
            None => {
                entry.next_look = now;
                entry.interval = limits::FIRST_LOOK.as_secs();
            }
        }
    }

    /// A peer claims that a transaction is in a block. Returns whether there was room to note it.
    pub(super) fn claim(&mut self, peer: TPeerId, receipt: Receipt) -> bool {
        let (hash, number) = receipt;
        if self.settled.contains(&hash) {
            return true;
        }
        let room = self.entries.len() < limits::MAX_FOLLOWED;
        let now = self.now;
        let entry = match self.entries.get_mut(&hash) {
            Some(entry) => entry,
            None if !room => return false,
            None => self.entries.entry(hash).or_insert_with(|| Entry::new(now)),
        };
        if matches!(entry.stage, Stage::In { .. }) {
            return true;
        }
        if entry.claims.len() < limits::MAX_CLAIMS && !entry.claims.contains(&(peer, number)) {
            entry.claims.push((peer, number));
            entry.next_look = now;
        }
        true
    }

    /// A transaction is proven to be on our chain. Returns peers that have claimed too many that
    /// concern nobody here.
    pub(super) fn proven(
        &mut self,
        found: Found,
        view: &View<'_>,
        watchers: &mut Watchers,
    ) -> Vec<TPeerId> {
        let Found {
            details,
            block,
            is_final,
        } = found;
        let hash = details.hash.clone();
        let Some(number) = details.block_number else {
            return Vec::new();
        };
        let Some(entry) = self.entries.get_mut(&hash) else {
            return Vec::new();
        };
        let claims = std::mem::take(&mut entry.claims);
        if !entry.is_ours && entry.waiters.is_empty() && !watchers.any_touched_by(&details) {
            self.entries.remove(&hash);
            self.settled.insert(hash, Some(number));
            // It may be another one of somebody whose transaction we follow.
            if self.senders().any(|sender| details.touches(sender)) {
                return Vec::new();
            }
            return claims
                .into_iter()
                .map(|(peer, _)| peer)
                .filter(|peer| self.strike(*peer))
                .collect();
        }
        entry.is_asked = false;
        entry.attempts = 0;
        entry.stage = Stage::In {
            number,
            block,
            is_final,
        };
        entry.details = Some(details);
        self.advance(&hash, view, watchers);
        Vec::new()
    }

    /// Nobody proved a transaction; `lacking` could and did not, and `is_certain` says that nobody
    /// else could be asked. Returns peers that have claimed too much that nobody can prove.
    pub(super) fn not_proven(
        &mut self,
        hash: &Blake2bHash,
        lacking: &[TPeerId],
        is_certain: bool,
        view: &View<'_>,
        watchers: &mut Watchers,
    ) -> Vec<TPeerId> {
        let Some(entry) = self.entries.get_mut(hash) else {
            return Vec::new();
        };
        entry.is_asked = false;
        entry.attempts += 1;
        entry.next_look = self.now + entry.interval;
        entry.interval = (entry.interval * 2).min(limits::LAST_LOOK.as_secs());
        let (disowned, claims) = entry
            .claims
            .drain(..)
            .partition(|(peer, _)| lacking.contains(peer));
        entry.claims = claims;
        if !lacking.is_empty() && matches!(entry.stage, Stage::In { block: None, .. }) {
            // It was in a block that is not part of the chain as it became final.
            entry.stage = Stage::Open;
        }
        let is_hopeless = entry.claims.is_empty() || entry.attempts >= limits::MAX_LOOKS;
        if entry.is_overdue(view.heads) && is_certain && !lacking.is_empty() {
            self.expire(hash, watchers);
        } else if is_hopeless
            && entry.details.is_none()
            && entry.waiters.is_empty()
            && entry.stage == Stage::Open
        {
            self.entries.remove(hash);
        }
        // A node also tells of blocks that are reverted soon after; but not over and over.
        let disowned: Vec<(TPeerId, u32)> = disowned;
        disowned
            .into_iter()
            .filter(|(peer, _)| self.strike(*peer))
            .map(|(peer, _)| peer)
            .collect()
    }

    /// Counts a claim that nobody could prove, and tells whether it was one too many.
    fn strike(&mut self, peer: TPeerId) -> bool {
        if let Some((_, strikes)) = self.strikes.iter_mut().find(|(other, _)| *other == peer) {
            *strikes += 1;
            return *strikes > limits::MAX_UNPROVEN_CLAIMS;
        }
        if self.strikes.len() >= limits::MAX_REMEMBERED_PEERS {
            self.strikes.remove(0);
        }
        self.strikes.push((peer, 1));
        false
    }

    /// The chain has changed.
    pub(super) fn chain_changed(&mut self, view: &View<'_>, watchers: &mut Watchers) {
        let included: Vec<Blake2bHash> = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.stage, Stage::In { .. }))
            .map(|(hash, _)| hash.clone())
            .collect();
        for hash in included {
            self.advance(&hash, view, watchers);
        }
    }

    // --- What goes out ---------------------------------------------------------------------------

    /// What to ask now, in as few inquiries as there can be. Every transaction in them counts as
    /// asked for until [`Self::proven`] or [`Self::not_proven`].
    pub(super) fn inquiries(&mut self, view: &View<'_>, most: usize) -> Vec<Inquiry<TPeerId>> {
        let mut inquiries: Vec<Inquiry<TPeerId>> = Vec::new();
        let heads = view.heads;
        for (hash, entry) in &mut self.entries {
            if entry.is_asked || entry.stage == Stage::Leaving || self.now < entry.next_look {
                continue;
            }
            let claim = entry
                .claims
                .iter()
                .find(|(_, number)| *number <= heads.head.number);
            let (claimer, number) = match (&entry.stage, claim) {
                (Stage::Open, Some((peer, number))) => (Some(*peer), Some(*number)),
                // Its block is not kept any more, so only a later one can tell.
                (
                    Stage::In {
                        number,
                        block: None,
                        ..
                    },
                    _,
                ) if *number <= heads.macro_head.number => (None, Some(*number)),
                (Stage::Open, None) if entry.details.is_some() || !entry.waiters.is_empty() => {
                    (None, None)
                }
                _ => continue,
            };
            // A question without a block is about one transaction.
            let fits = |inquiry: &Inquiry<TPeerId>| {
                number.is_some()
                    && inquiry
                        .receipts
                        .first()
                        .is_some_and(|(_, number)| number.is_some())
                    && inquiry.claimers.first() == claimer.as_ref()
                    && inquiry.receipts.len() < limits::MAX_HASHES_PER_PROOF
            };
            let receipt = (hash.clone(), number);
            match inquiries.iter().position(fits) {
                Some(i) => inquiries[i].receipts.push(receipt),
                None if inquiries.len() >= most => continue,
                None => inquiries.push(Inquiry {
                    receipts: vec![receipt],
                    claimers: claimer.into_iter().collect(),
                }),
            }
            entry.is_asked = true;
        }
        inquiries
    }

    /// Transactions to publish once more, for peers that have come since.
    pub(super) fn due_to_be_published(&mut self, head: u32) -> Vec<Transaction> {
        let now = self.now;
        self.entries
            .values_mut()
            .filter(|entry| {
                entry.is_ours
                    && entry.stage == Stage::Open
                    && now - entry.published >= limits::REPUBLISH_AFTER.as_secs()
                    && entry
                        .transaction()
                        .is_some_and(|transaction| head < check::last_block(transaction))
            })
            .filter_map(|entry| {
                entry.published = now;
                Some(entry.details.as_ref()?.transaction.clone())
            })
            .collect()
    }

    // --- Inside ----------------------------------------------------------------------------------

    /// Holds an included transaction against the chain: is it still there, and is it final?
    fn advance(&mut self, hash: &Blake2bHash, view: &View<'_>, watchers: &mut Watchers) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(hash) else {
            return;
        };
        let Stage::In {
            number,
            block,
            is_final,
        } = &mut entry.stage
        else {
            return;
        };
        let number = *number;
        let can_be_final = number <= view.heads.macro_head.number;
        if !*is_final {
            match ((view.block_at)(number), &*block) {
                (Some(ours), Some(block)) if ours == *block => *is_final = can_be_final,
                // Our block there is not kept: only a proof can tell which one became final.
                (None, _) if can_be_final => {
                    *block = None;
                    entry.next_look = entry.next_look.min(now);
                    return;
                }
                // Reverted, or the chain is being replaced.
                _ => {
                    entry.stage = Stage::Open;
                    entry.next_look = now;
                    entry.interval = limits::FIRST_LOOK.as_secs();
                    return;
                }
            }
        }
        let (is_final, block) = (*is_final, block.clone());
        let Some(details) = entry.details.take() else {
            return;
        };
        let details = details.seen_from(view.heads);
        let mut included = details.clone();
        if included.state == TransactionState::Finalized {
            included.state = TransactionState::Included;
        }
        (view.tells)(&details, block.as_ref());
        watchers.tell(&included, &mut entry.told);
        if is_final {
            watchers.tell(&details, &mut entry.told);
        }
        answer(&mut entry.waiters, &details, is_final);
        entry.details = Some(details);
        if is_final {
            self.entries.remove(hash);
            self.settled.insert(hash.clone(), Some(number));
        }
    }

    fn expire(&mut self, hash: &Blake2bHash, watchers: &mut Watchers) {
        let Some(mut entry) = self.entries.remove(hash) else {
            return;
        };
        self.settled.insert(hash.clone(), None);
        if let Some(details) = &entry.details {
            let details =
                TransactionDetails::outside(&details.transaction, TransactionState::Expired);
            watchers.tell(&details, &mut entry.told);
            answer(&mut entry.waiters, &details, true);
        }
    }
}
