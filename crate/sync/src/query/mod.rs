//! Questions about the chain that only peers can answer, and whose answers are proven: accounts,
//! validators and stakers, blocks, transactions. No answer rests on a peer's word: each is checked
//! against a block of our own chain, and is worth as much as that chain ([`Trust`]).
//!
//! Here is what all questions have in common: they wait for consensus, go from peer to peer until one
//! gives an answer that holds, have liars banned, and end with the engine. Which peer is asked, and
//! how often, is for `peers` to say; what a proof is, for the modules of each kind of question.

mod accounts;
mod blocks;
mod error;
mod gather;
mod interlink;
mod peers;
mod proven;
mod transactions;
mod trie;
mod validators;

use std::{future::Future, sync::Arc, time::Duration};

use futures::{
    future::{self, Either},
    pin_mut,
};
use nimiq_network_interface::{
    network::{CloseReason, Network},
    peer_info::Services,
    request::{Request, RequestCommon},
};
use nimiq_time::timeout;
use tokio::sync::watch;

pub(crate) use self::error::Failure;
use self::peers::{Desk, Kind};
pub use self::{
    blocks::BlockId,
    error::QueryError,
    transactions::{Confirmations, HistoryOptions, TransactionDetails, TransactionState},
    validators::ElectedValidator,
};
pub use nimiq_account::{Account, Staker, Validator};

use crate::{
    chain::LightChain,
    event::Trust,
    limits,
    macro_sync::Context,
    requests::{self, PeerFault},
};

/// A proven answer, and what it is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Number of the block at which this is so.
    pub block_number: u32,
    /// How far the chain that this block is on can be trusted.
    pub trust: Trust,
}

/// What the engine tells about itself to those who ask questions.
#[derive(Clone, Debug)]
pub(crate) struct Standing<TPeerId> {
    /// Whether there is consensus.
    pub(crate) established: bool,
    /// Connected peers.
    pub(crate) connected: usize,
    /// Those that agree with our chain.
    pub(crate) good: Vec<TPeerId>,
}

impl<TPeerId> Default for Standing<TPeerId> {
    fn default() -> Self {
        Self {
            established: false,
            connected: 0,
            good: Vec::new(),
        }
    }
}

struct Inner<TNetwork: Network> {
    context: Context<TNetwork>,
    /// Its sender is the engine's: when that is gone, so is the engine.
    standing: watch::Receiver<Standing<TNetwork::PeerId>>,
    desk: Desk<TNetwork::PeerId>,
    gathering: gather::Gathering,
    proven: proven::ProvenMacros,
    following: transactions::Following,
    told: transactions::Told,
}

/// Asks questions of the network that an engine syncs with. Cheap to clone; see
/// [`Consensus::queries`](crate::Consensus::queries).
///
/// A question that is asked before there is consensus waits for it. One that is no longer of
/// interest is given up by dropping its future.
pub struct Queries<TNetwork: Network> {
    inner: Arc<Inner<TNetwork>>,
}

impl<TNetwork: Network> Clone for Queries<TNetwork> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<TNetwork: Network> std::fmt::Debug for Queries<TNetwork> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queries")
    }
}

/// Which peers can answer a question, and what they are asked first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    services: Services,
    kind: Kind,
}

impl Plan {
    /// Asks peers that offer all of `services`, beginning with a request of type `R`.
    pub(crate) fn new<R: RequestCommon>(services: Services) -> Self {
        Self {
            services,
            kind: kind::<R>(),
        }
    }
}

fn kind<R: RequestCommon>() -> Kind {
    Kind::new(R::TYPE_ID, R::MAX_REQUESTS, R::TIME_WINDOW)
}

impl<TNetwork: Network> Queries<TNetwork> {
    pub(crate) fn new(
        context: Context<TNetwork>,
        standing: watch::Receiver<Standing<TNetwork::PeerId>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                context,
                standing,
                desk: Desk::new(),
                gathering: gather::Gathering::default(),
                proven: proven::ProvenMacros::default(),
                following: transactions::Following::default(),
                told: transactions::Told::default(),
            }),
        }
    }

    /// The network, the chain and what else the engine works with.
    pub(crate) fn context(&self) -> &Context<TNetwork> {
        &self.inner.context
    }

    /// Resolves when the engine has ended.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut standing = self.inner.standing.clone();
        async move { while standing.changed().await.is_ok() {} }
    }

    /// Does `work`, unless the engine ends before it is done.
    pub(crate) async fn while_running<T>(
        &self,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let ended = self.ended();
        pin_mut!(ended, work);
        match future::select(ended, work).await {
            Either::Left(_) => Err(QueryError::Closed),
            Either::Right((result, _)) => result,
        }
    }

    /// Waits until there is consensus.
    ///
    /// # Errors
    /// [`QueryError::NoPeers`] if that takes too long, [`QueryError::Closed`].
    pub(crate) async fn established(&self) -> Result<(), QueryError> {
        let mut standing = self.inner.standing.clone();
        let established = async {
            let found = standing.wait_for(|standing| standing.established).await;
            found.map(drop)
        };
        match timeout(limits::QUERY_CONSENSUS_TIMEOUT, established).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(QueryError::Closed),
            Err(_) => {
                let standing = self.inner.standing.borrow();
                Err(QueryError::NoPeers(format!(
                    "no consensus within {} s: {} peers are connected, and {} of them agree",
                    limits::QUERY_CONSENSUS_TIMEOUT.as_secs(),
                    standing.connected,
                    standing.good.len()
                )))
            }
        }
    }

    /// Good peers that offer all of `services`.
    pub(crate) fn good_peers(&self, services: Services) -> Vec<TNetwork::PeerId> {
        let network = &self.inner.context.network;
        let mut peers = self.inner.standing.borrow().good.clone();
        peers.retain(|peer| network.peer_provides_services(*peer, services));
        peers
    }

    /// Tells when the set of good peers, or whether there is consensus, may have changed.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing<TNetwork::PeerId>> {
        self.inner.standing.clone()
    }

    /// Makes one request to one peer, when the peer's limit allows it.
    ///
    /// # Errors
    /// [`PeerFault::Failed`] where there is no answer in time.
    pub(crate) async fn request<R: Request>(
        &self,
        peer: TNetwork::PeerId,
        request: R,
    ) -> Result<R::Response, PeerFault> {
        let desk = &self.inner.desk;
        let Some(slot) = desk.slot(peer, kind::<R>()).await else {
            return Err(PeerFault::Failed("it has been asked too much".into()));
        };
        let network = &*self.inner.context.network;
        let patience = limits::QUERY_REQUEST_TIMEOUT;
        let answer = requests::ask_within(patience, network, peer, request).await;
        if answer.is_ok() {
            slot.answered();
        }
        answer
    }

    /// Asks one good peer after the other until `attempt`, which makes the requests to one peer and
    /// checks the answers, has a proven one. Peers that lied are banned.
    ///
    /// # Errors
    /// What was wrong with the answer of each.
    pub(crate) async fn ask_peers<T, TAttempt>(
        &self,
        plan: Plan,
        mut attempt: impl FnMut(TNetwork::PeerId) -> TAttempt,
    ) -> Result<T, Failure>
    where
        TAttempt: Future<Output = Result<T, PeerFault>>,
    {
        let mut tried: Vec<(TNetwork::PeerId, PeerFault)> = Vec::new();
        let asking = async {
            loop {
                let mut peers = self.good_peers(plan.services);
                peers.retain(|peer| tried.iter().all(|(other, _)| other != peer));
                let Some(ticket) = self.inner.desk.choose(&peers, &plan.kind) else {
                    let tried: Vec<_> = tried.iter().map(|(peer, _)| *peer).collect();
                    if self.another_came(plan.services, &tried).await {
                        continue;
                    }
                    return None;
                };
                match attempt(ticket.peer).await {
                    Ok(answer) => return Some(answer),
                    Err(fault) => {
                        self.blame(ticket.peer, &fault);
                        tried.push((ticket.peer, fault));
                    }
                }
            }
        };
        let (answer, late) = match timeout(limits::QUERY_TIMEOUT, asking).await {
            Ok(answer) => (answer, false),
            Err(_) => (None, true),
        };
        answer.ok_or_else(|| Failure {
            tried: tried
                .into_iter()
                .map(|(peer, fault)| (peer.to_string(), fault))
                .collect(),
            connected: self.inner.standing.borrow().connected,
            late,
        })
    }

    /// Waits for a good peer that offers `services`, and tells whether one came.
    pub(crate) async fn peer_came(&self, services: Services) -> bool {
        self.another_came(services, &[]).await
    }

    /// The same for one that was not asked yet.
    async fn another_came(&self, services: Services, tried: &[TNetwork::PeerId]) -> bool {
        let patience = match tried.is_empty() {
            true => limits::QUERY_PEERS_TIMEOUT,
            // A peer that is just being looked at again is soon good again.
            false => limits::QUERY_MORE_PEERS_TIMEOUT,
        };
        let network = &self.inner.context.network;
        let mut connected = network.get_peers().into_iter();
        let others = connected
            .any(|peer| !tried.contains(&peer) && network.peer_provides_services(peer, services));
        if !others && !tried.is_empty() {
            return false;
        }
        let mut standing = self.inner.standing.clone();
        let came = async {
            while self
                .good_peers(services)
                .iter()
                .all(|peer| tried.contains(peer))
            {
                if standing.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout(patience, came).await.unwrap_or(false)
    }

    /// Does to a peer what it deserves for its answer.
    pub(crate) fn blame(&self, peer: TNetwork::PeerId, fault: &PeerFault) {
        match fault {
            PeerFault::Lied(why) => {
                self.inner
                    .context
                    .disconnect(peer, CloseReason::MaliciousPeer, why);
            }
            PeerFault::Failed(_) => self.inner.desk.blame(peer),
            PeerFault::Lacks(_) => {}
        }
    }

    /// Waits until `look` finds something on our chain: now, or when the chain changes. `None` if
    /// that takes longer than `patience`.
    pub(crate) async fn when_chain<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&LightChain, Trust) -> Option<T>,
    ) -> Option<T> {
        let chain = &self.inner.context.chain;
        let mut changes = chain.changes();
        let looking = async {
            loop {
                if let Some(found) = chain.observe(&mut look).flatten() {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        timeout(patience, looking).await.ok().flatten()
    }
}
