//! Has peers prove transactions: asks, checks the answer, and sees to it that the block behind it is
//! on our chain.

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{network::Network, peer_info::Services};

use super::{
    details::TransactionDetails,
    proof::{self, Checked, Place, Question},
};
use crate::{
    event::Trust,
    limits,
    messages::{RequestTransactionsProof, ResponseTransactionProofError},
    query::{Plan, Queries},
    requests::PeerFault,
};

/// What nodes that can prove transactions offer: without their index they find none.
pub(super) const SERVICES: Services = Services::TRANSACTION_INDEX;

/// A transaction that is proven to be on our chain.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) details: TransactionDetails,
    /// Hash of its block, where that is still kept.
    pub(super) block: Option<Blake2bHash>,
    /// Whether the block that proves it makes it final.
    pub(super) is_final: bool,
}

/// What became of questions that went to several peers.
#[derive(Debug)]
pub(super) struct Proving<TPeerId> {
    /// What was proven.
    pub(super) found: Vec<Found>,
    /// Peers that answered that they have no proof of the rest.
    pub(super) lacking: Vec<TPeerId>,
    /// Whether everybody who could be asked answered.
    pub(super) is_certain: bool,
}

/// What a peer gives if it has no proof at all.
fn lacks(error: &ResponseTransactionProofError) -> PeerFault {
    match error {
        ResponseTransactionProofError::CouldntProveInclusion
        | ResponseTransactionProofError::TransactionNotFound => PeerFault::Lacks(error.to_string()),
        // It is ahead or behind, or has no index, whatever it offers.
        _ => PeerFault::Failed(error.to_string()),
    }
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// A plan to ask for proofs.
    pub(super) fn proofs() -> Plan {
        Plan::new::<RequestTransactionsProof>(SERVICES)
    }

    /// Has one peer prove transactions. What it returns is proven, but it may not be all.
    ///
    /// A peer that claimed the transactions itself, or that could pick the block, has no excuse for
    /// proving others: `its_own` says so.
    ///
    /// # Errors
    /// [`PeerFault::Lacks`] if none of them is proven.
    pub(super) async fn prove_with(
        &self,
        peer: TNetwork::PeerId,
        question: &Question,
        its_own: bool,
    ) -> Result<Vec<Found>, PeerFault> {
        let request = RequestTransactionsProof {
            hashes: question.hashes.clone(),
            block_number: question.block_number,
        };
        let response = match self.request(peer, request).await? {
            Ok(response) => response,
            Err(error) => return Err(lacks(&error)),
        };
        let network = self.context().chain.params.network_id;
        let checked = proof::check(response, question, network)
            .map_err(|reason| PeerFault::Lied(reason.into()))?;
        if checked.strangers && (its_own || question.block_number.is_none()) {
            return Err(PeerFault::Lied(
                "a proof of transactions that nobody asked for".into(),
            ));
        }
        let Checked {
            block,
            transactions,
            ..
        } = checked;
        if transactions.is_empty() {
            return Err(PeerFault::Lacks("it proves none of them".into()));
        }
        self.settle(block).await?;
        Ok(self.locate(transactions))
    }

    /// Makes sure that a block is on our chain, waiting for it or having it proven where that takes
    /// it.
    async fn settle(&self, block: Block) -> Result<(), PeerFault> {
        let failed = |why: &str| Err(PeerFault::Failed(why.into()));
        // As long as our own chain is not verified, it may be the wrong one of the two.
        let contradicts = |why: &str| match self.context().chain.trust() {
            Trust::Verified => Err(PeerFault::Lied(why.into())),
            Trust::Optimistic => failed(why),
        };
        let placed = self
            .when_chain(limits::QUERY_HEAD_TIMEOUT, |chain, _| {
                match proof::place(chain, &block) {
                    Place::Ahead(number)
                        if number - chain.head().block_number() <= limits::MAX_BLOCKS_AHEAD =>
                    {
                        None
                    }
                    place => Some(place),
                }
            })
            .await;
        match placed {
            Some(Place::OnChain) => Ok(()),
            Some(Place::Past(number, hash)) => match self.election_hash(number).await {
                Ok(ours) if ours == hash => Ok(()),
                Ok(_) => contradicts("a proof by an election block that is not on our chain"),
                Err(error) => Err(PeerFault::Failed(error.to_string())),
            },
            Some(Place::Contradicts) => {
                contradicts("a proof by a macro block that is not on our chain")
            }
            Some(Place::Beside) if self.is_forged(block) => {
                contradicts("a proof by a block that nobody has signed")
            }
            Some(Place::Beside) => failed("a proof by a block that is not on our chain"),
            Some(Place::Ahead(_)) | None => failed("a proof by a block that is ahead of our chain"),
            Some(Place::Unknown) => failed("a proof by a block that we keep no more"),
        }
    }

    /// Whether a micro block that is not on our main chain is not on a branch either.
    fn is_forged(&self, block: Block) -> bool {
        use crate::chain::PushError;
        matches!(
            self.context().chain.inspect(block),
            Err(PushError::InvalidBlock(_) | PushError::InvalidSuccessor)
        )
    }

    /// Where the proven transactions are on our chain, at this moment.
    fn locate(&self, transactions: Vec<TransactionDetails>) -> Vec<Found> {
        let chain = &self.context().chain;
        let heads = chain.heads();
        transactions
            .into_iter()
            .map(|details| {
                let number = details.block_number.unwrap_or_default();
                let block = chain.read(|chain| chain.block_at(number).map(Block::hash));
                Found {
                    is_final: heads
                        .as_ref()
                        .is_some_and(|heads| number <= heads.macro_head.number),
                    details: match &heads {
                        Some(heads) => details.seen_from(heads),
                        None => details,
                    },
                    block: block.flatten(),
                }
            })
            .collect()
    }

    /// Has transactions proven by those who claim them first, then by others, until all are or
    /// `enough` peers have answered that they can't.
    pub(super) async fn prove_among(
        &self,
        claimers: Vec<TNetwork::PeerId>,
        mut question: Question,
        enough: usize,
    ) -> Proving<TNetwork::PeerId> {
        let mut found: Vec<Found> = Vec::new();
        let mut lacking = Vec::new();
        let mut failures = 0;
        let mut asked: Vec<TNetwork::PeerId> = Vec::new();
        let plan = Self::proofs();
        while !question.hashes.is_empty() && lacking.len() < enough && failures < enough {
            let its_own = claimers
                .iter()
                .find(|peer| !asked.contains(peer) && self.context().network.has_peer(**peer));
            let ticket;
            let (peer, its_own) = match its_own {
                Some(peer) => (*peer, true),
                None => {
                    let mut others = self.good_peers(SERVICES);
                    others.retain(|peer| !asked.contains(peer));
                    let Some(chosen) = self.inner.desk.choose(&others, &plan.kind) else {
                        break;
                    };
                    ticket = chosen;
                    (ticket.peer, false)
                }
            };
            asked.push(peer);
            match self.prove_with(peer, &question, its_own).await {
                Ok(proven) => {
                    let is_proven =
                        |hash: &Blake2bHash| proven.iter().any(|found| found.details.hash == *hash);
                    question.hashes.retain(|hash| !is_proven(hash));
                    found.extend(proven);
                    if !question.hashes.is_empty() {
                        lacking.push(peer);
                    }
                }
                Err(fault) => {
                    self.blame(peer, &fault);
                    match fault {
                        PeerFault::Lacks(_) => lacking.push(peer),
                        PeerFault::Failed(_) | PeerFault::Lied(_) => failures += 1,
                    }
                }
            }
        }
        Proving {
            found,
            lacking,
            is_certain: failures == 0,
        }
    }
}
