//! The transactions of an address, newest first. Receipts come in pages from more than one peer and
//! are merged, so that what one withholds another shows; what is shown is proven before it is given
//! out; what can't be proven is not, and a peer that made it up is banned.

use std::collections::{HashMap, HashSet, VecDeque};

use futures::{Stream, future, stream};
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;

use super::{
    details::TransactionDetails,
    proof::{self, Question},
    prove::{self, Found},
    receipts::Receipt,
};
use crate::{
    limits,
    messages::RequestTransactionReceiptsByAddress,
    query::{Failure, Plan, Queries, QueryError},
    requests::PeerFault,
    shared::Heads,
};

/// Which transactions of an address are wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HistoryOptions {
    /// At most so many.
    pub limit: Option<u32>,
    /// Only those older than this one, which must be one of the address.
    pub start_at: Option<Blake2bHash>,
    /// Only those in this block or later ones.
    pub since_block: Option<u32>,
}

/// A peer whose receipts are merged with those of others.
#[derive(Debug)]
struct Source<TPeerId> {
    peer: TPeerId,
    /// Receipts that are still to be merged.
    queue: VecDeque<Receipt>,
    /// The last receipt it gave, where its next page goes on.
    below: Option<Receipt>,
    /// Whether it has no more pages.
    is_dry: bool,
}

/// A receipt, and who showed it.
#[derive(Clone, Debug)]
struct Claim<TPeerId> {
    hash: Blake2bHash,
    number: u32,
    claimers: Vec<TPeerId>,
}

/// The walk down the history of one address.
struct Walk<TNetwork: Network> {
    queries: Queries<TNetwork>,
    address: Address,
    remaining: u32,
    since: u32,
    /// Where a peer that joins in begins.
    below: Option<Receipt>,
    sources: Vec<Source<TNetwork::PeerId>>,
    /// Peers that were given up, and why.
    tried: Vec<(TNetwork::PeerId, PeerFault)>,
    /// Receipts that were merged, as far as they can come again.
    merged: HashSet<Receipt>,
    /// Transactions that were told of before, and that peers may not know yet. Newest first.
    told: VecDeque<TransactionDetails>,
    /// Transactions that were given out and can come again: those of blocks that were not final then,
    /// and those that were told of.
    recent: HashSet<Blake2bHash>,
    ready: VecDeque<TransactionDetails>,
    has_begun: bool,
    is_done: bool,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// The transactions and rewards of an address, newest first, each proven. The stream ends after
    /// the first error.
    ///
    /// # Errors
    /// [`QueryError::NoPeers`] if no peer has an index of transactions, [`QueryError::Timeout`] or
    /// [`QueryError::ProofInvalid`] if none of those proves what it shows, [`QueryError::Closed`].
    pub fn transactions_by_address(
        &self,
        address: Address,
        options: HistoryOptions,
    ) -> impl Stream<Item = Result<TransactionDetails, QueryError>> + Send + use<TNetwork> {
        let walk = Walk {
            queries: self.clone(),
            address,
            remaining: options.limit.unwrap_or(u32::MAX),
            since: options.since_block.unwrap_or(0),
            below: options.start_at.map(|hash| (hash, u32::MAX)),
            sources: Vec::new(),
            tried: Vec::new(),
            merged: HashSet::new(),
            told: VecDeque::new(),
            recent: HashSet::new(),
            ready: VecDeque::new(),
            has_begun: false,
            is_done: false,
        };
        stream::unfold(Some(walk), |walk| async move {
            let mut walk = walk?;
            let queries = walk.queries.clone();
            match queries.while_running(walk.next()).await {
                Ok(Some(details)) => Some((Ok(details), Some(walk))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

impl<TNetwork: Network> Walk<TNetwork> {
    async fn next(&mut self) -> Result<Option<TransactionDetails>, QueryError> {
        if !self.has_begun {
            self.queries.established().await?;
            self.has_begun = true;
            // What is older than one that is named was told of long ago, or comes after it.
            if self.below.is_none() {
                self.told = self.queries.told_lately(&self.address);
            }
        }
        loop {
            if let Some(details) = self.ready.pop_front() {
                if let Some(number) = details.block_number {
                    self.queries.tells_of(number);
                }
                return Ok(Some(details));
            }
            if self.is_done || self.remaining == 0 {
                if self.give_told(0) {
                    continue;
                }
                return Ok(None);
            }
            self.refill().await?;
            let Some(heads) = self.queries.context().chain.heads() else {
                // The chain is being replaced; when it is back, so is consensus.
                self.queries.established().await?;
                continue;
            };
            let claims = self.merge(&heads);
            if claims.is_empty() {
                self.is_done |= self.sources.iter().all(|source| source.queue.is_empty());
            } else {
                self.prove(claims).await?;
            }
        }
    }

    /// Sees to it that there are enough sources, and that each has receipts at hand or no more.
    async fn refill(&mut self) -> Result<(), QueryError> {
        loop {
            self.find_sources().await?;
            let (queries, address) = (&self.queries, &self.address);
            let thirsty = self
                .sources
                .iter_mut()
                .filter(|source| source.queue.is_empty() && !source.is_dry);
            let pages = thirsty.map(|source| async move {
                let page = queries
                    .receipts(source.peer, address, source.below.as_ref())
                    .await
                    .map_err(|fault| (source.peer, fault))?;
                source.is_dry = page.is_last;
                source.below = page.receipts.last().cloned().or(source.below.take());
                source.queue.extend(page.receipts);
                Ok(())
            });
            let pages: Vec<Result<(), (TNetwork::PeerId, PeerFault)>> =
                future::join_all(pages).await;
            if pages.iter().all(Result::is_ok) {
                return Ok(());
            }
            for (peer, fault) in pages.into_iter().filter_map(Result::err) {
                self.give_up(peer, fault);
            }
        }
    }

    async fn find_sources(&mut self) -> Result<(), QueryError> {
        let plan = Plan::new::<RequestTransactionReceiptsByAddress>(prove::SERVICES);
        while self.sources.len() < limits::HISTORY_SOURCES {
            let mut peers = self.queries.good_peers(prove::SERVICES);
            peers.retain(|peer| {
                self.sources.iter().all(|source| source.peer != *peer)
                    && self.tried.iter().all(|(other, _)| other != peer)
            });
            match self.queries.inner.desk.choose(&peers, &plan.kind) {
                Some(ticket) => self.sources.push(Source {
                    peer: ticket.peer,
                    queue: VecDeque::new(),
                    below: self.below.clone(),
                    is_dry: false,
                }),
                None if !self.sources.is_empty() => break,
                // With nobody asked yet, somebody may still come.
                None if self.tried.is_empty() && self.queries.peer_came(prove::SERVICES).await => {}
                None => {
                    let tried = std::mem::take(&mut self.tried).into_iter();
                    let failure = Failure {
                        tried: tried
                            .map(|(peer, fault)| (peer.to_string(), fault))
                            .collect(),
                        connected: self.queries.standing().borrow().connected,
                        late: false,
                    };
                    return Err(failure.into_error("no history", QueryError::Timeout));
                }
            }
        }
        Ok(())
    }

    fn give_up(&mut self, peer: TNetwork::PeerId, fault: PeerFault) {
        if self.tried.iter().any(|(other, _)| *other == peer) {
            return;
        }
        self.queries.blame(peer, &fault);
        self.sources.retain(|source| source.peer != peer);
        self.tried.push((peer, fault));
    }

    /// Takes the next receipts off all sources, newest first, as far as every source has shown what
    /// it has.
    fn merge(&mut self, heads: &Heads) -> Vec<Claim<TNetwork::PeerId>> {
        let most = limits::MAX_HASHES_PER_PROOF.min(self.remaining as usize);
        let mut claims: Vec<Claim<TNetwork::PeerId>> = Vec::new();
        loop {
            let waits = |source: &Source<_>| source.queue.is_empty() && !source.is_dry;
            if self.sources.iter().any(waits) {
                break;
            }
            let newest = self
                .sources
                .iter_mut()
                .filter(|source| !source.queue.is_empty())
                .max_by_key(|source| source.queue.front().map(|(_, number)| *number));
            let Some(source) = newest else { break };
            let Some((_, number)) = source.queue.front() else {
                break;
            };
            if *number < self.since {
                self.is_done = true;
                break;
            }
            let again = claims.iter().position(|claim| {
                source
                    .queue
                    .front()
                    .is_some_and(|(hash, number)| claim.hash == *hash && claim.number == *number)
            });
            if again.is_none() && claims.len() >= most {
                break;
            }
            let Some((hash, number)) = source.queue.pop_front() else {
                break;
            };
            if let Some(i) = again {
                claims[i].claimers.push(source.peer);
            } else if number <= heads.head.number && self.merged.insert((hash.clone(), number)) {
                claims.push(Claim {
                    hash,
                    number,
                    claimers: vec![source.peer],
                });
            }
        }
        if let Some(last) = claims.last() {
            // What is newer does not come again, unless blocks are reverted.
            let (oldest, final_head) = (last.number, heads.macro_head.number);
            self.merged
                .retain(|(_, number)| *number <= oldest || *number > final_head);
        }
        claims
    }

    /// Has claims proven, and readies what holds.
    async fn prove(&mut self, claims: Vec<Claim<TNetwork::PeerId>>) -> Result<(), QueryError> {
        let mut open = claims;
        let mut found: HashMap<Blake2bHash, TransactionDetails> = HashMap::new();
        let mut order: Vec<Blake2bHash> = Vec::new();
        for attempt in 0..limits::HISTORY_ATTEMPTS {
            let Some(heads) = self.queries.context().chain.heads() else {
                self.queries.established().await?;
                continue;
            };
            let (proven, lacking) = self.ask(&open, &heads).await;
            for claim in &open {
                let Some(details) = proven.get(&claim.hash) else {
                    continue;
                };
                if self.is_as_claimed(claim, details, &heads) {
                    order.push(claim.hash.clone());
                    found.insert(claim.hash.clone(), details.clone());
                } else {
                    self.accuse(claim, "receipts of transactions that are not what it says");
                }
            }
            open.retain(|claim| !proven.contains_key(&claim.hash));
            // Claims that those who made them can't prove: made up, or of blocks that are reverted.
            open.retain(|claim| {
                let disowned = claim.claimers.iter().all(|peer| lacking.contains(peer));
                if disowned && claim.number <= heads.macro_head.number {
                    self.accuse(claim, "receipts that it can't prove");
                }
                !disowned
            });
            open.retain(|claim| {
                let network = &self.queries.context().network;
                claim.claimers.iter().any(|peer| network.has_peer(*peer))
            });
            if open.is_empty() {
                break;
            }
            // Peers and we may be on different sides of a macro block: that passes.
            if attempt + 1 < limits::HISTORY_ATTEMPTS {
                self.queries.chain_moved(limits::HISTORY_RETRY_DELAY).await;
            }
        }
        if let Some(newest) = open.iter().map(|claim| claim.number).max() {
            // Nobody proves it, nor denies it: what is older can't be given out yet. Others go on
            // from here, and those who show what they don't prove do not.
            found.retain(|_, details| details.block_number > Some(newest));
            let fault = PeerFault::Failed("it does not prove what it shows".into());
            for peer in open.iter().flat_map(|claim| claim.claimers.clone()) {
                self.give_up(peer, fault.clone());
            }
            self.sources.clear();
            self.merged.clear();
            self.is_done = false;
        }
        self.give_out(order, found);
        Ok(())
    }

    /// Asks for proofs of claims: those who made them, then others.
    async fn ask(
        &self,
        claims: &[Claim<TNetwork::PeerId>],
        heads: &Heads,
    ) -> (
        HashMap<Blake2bHash, TransactionDetails>,
        Vec<TNetwork::PeerId>,
    ) {
        let receipts = claims
            .iter()
            .map(|claim| (claim.hash.clone(), claim.number));
        let questions = proof::questions(heads, receipts);
        let proving = questions.into_iter().map(|question| {
            let asked: Vec<_> = claims
                .iter()
                .filter(|claim| question.hashes.contains(&claim.hash))
                .collect();
            self.ask_claimers(asked, question)
        });
        let mut found = HashMap::new();
        let mut lacking = Vec::new();
        for (proven, lacks) in future::join_all(proving).await {
            let proven = proven.into_iter().map(|found| found.details);
            found.extend(proven.map(|details| (details.hash.clone(), details)));
            lacking.extend(lacks);
        }
        (found, lacking)
    }

    async fn ask_claimers(
        &self,
        claims: Vec<&Claim<TNetwork::PeerId>>,
        question: Question,
    ) -> (Vec<Found>, Vec<TNetwork::PeerId>) {
        let mut found = Vec::new();
        let mut lacking: Vec<TNetwork::PeerId> = Vec::new();
        // Who claims all of it can be held to it. After that, each to its own.
        let claims_all =
            |peer: &TNetwork::PeerId| claims.iter().all(|claim| claim.claimers.contains(peer));
        let peers = self.sources.iter().map(|source| source.peer);
        let (all, some): (Vec<_>, Vec<_>) = peers.partition(claims_all);
        let mut left = question;
        for peer in all.into_iter().chain(some) {
            let is_own = |hash: &Blake2bHash| {
                let own = |claim: &&&Claim<_>| claim.hash == *hash;
                claims
                    .iter()
                    .find(own)
                    .is_some_and(|claim| claim.claimers.contains(&peer))
            };
            let own: Vec<_> = left
                .hashes
                .iter()
                .filter(|hash| is_own(hash))
                .cloned()
                .collect();
            if own.is_empty() {
                continue;
            }
            let question = Question {
                hashes: own,
                block_number: left.block_number,
            };
            let proving = self.queries.prove_among(vec![peer], question, 1).await;
            left.hashes.retain(|hash| {
                proving
                    .found
                    .iter()
                    .all(|found| found.details.hash != *hash)
            });
            found.extend(proving.found);
            lacking.extend(proving.lacking);
        }
        if !left.hashes.is_empty() {
            let others = limits::HISTORY_SOURCES;
            let proving = self.queries.prove_among(Vec::new(), left, others).await;
            found.extend(proving.found);
        }
        (found, lacking)
    }

    /// Whether a transaction is one of the address, in the block that was claimed. One that is not
    /// final may have moved to another since.
    fn is_as_claimed(
        &self,
        claim: &Claim<TNetwork::PeerId>,
        details: &TransactionDetails,
        heads: &Heads,
    ) -> bool {
        let final_head = heads.macro_head.number;
        let number = details.block_number.unwrap_or_default();
        details.touches(&self.address)
            && (number == claim.number || (number > final_head && claim.number > final_head))
    }

    fn accuse(&mut self, claim: &Claim<TNetwork::PeerId>, why: &str) {
        for peer in claim.claimers.clone() {
            self.give_up(peer, PeerFault::Lied(why.into()));
        }
    }

    fn give_out(
        &mut self,
        order: Vec<Blake2bHash>,
        mut found: HashMap<Blake2bHash, TransactionDetails>,
    ) {
        let final_head = self.queries.context().chain.heads();
        let final_head = final_head.map_or(0, |heads| heads.macro_head.number);
        let mut given: Vec<TransactionDetails> = order
            .iter()
            .filter_map(|hash| found.remove(hash))
            .filter(|details| details.block_number >= Some(self.since))
            .collect();
        given.sort_by_key(|details| std::cmp::Reverse(details.block_number));
        self.told
            .retain(|told| given.iter().all(|details| details.hash != told.hash));
        for details in given {
            let number = details.block_number.unwrap_or_default();
            self.give_told(number);
            if self.recent.contains(&details.hash) || self.remaining == 0 {
                continue;
            }
            if number > final_head {
                self.recent.insert(details.hash.clone());
            }
            self.below = Some((details.hash.clone(), number));
            self.remaining -= 1;
            self.ready.push_back(details);
        }
    }

    /// Readies what was told of before, of this block and of newer ones. Returns whether there was any.
    fn give_told(&mut self, since: u32) -> bool {
        let mut gave = false;
        while let Some(details) = self.told.pop_front() {
            if details.block_number < Some(since) {
                self.told.push_front(details);
                break;
            }
            if details.block_number >= Some(self.since)
                && self.remaining > 0
                && self.recent.insert(details.hash.clone())
            {
                self.remaining -= 1;
                self.ready.push_back(details);
                gave = true;
            }
        }
        gave
    }
}
