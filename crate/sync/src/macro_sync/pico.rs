//! Pico macro sync: ask a peer for its head, take only the election and checkpoint blocks that
//! matter, and believe the first peer on minimal checks. What comes after that first adoption is
//! checked against the validators we hold, so optimism is spent once.
//!
//! A peer that differs from us is not a liar yet. It can be a batch or an epoch boundary ahead or
//! behind, so its head is asked for again and what connects the two chains is fetched, before it
//! counts as conflicting.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{
    FutureExt, Stream, StreamExt,
    future::{self, BoxFuture},
};
use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::{CloseReason, Network, NetworkEvent, SubscribeEvents},
    peer_info::Services,
};
use nimiq_time::sleep;
use nimiq_utils::stream::FuturesUnordered;

use super::{Conflict, Context, MacroSync, MacroSyncReturn, Reason};
use crate::{
    chain::{Inspected, Route},
    event::{SyncerKind, Trust},
    limits,
    messages::ResponseHead,
    requests::{self, PeerFault},
};

/// What the look at one peer came to.
enum Verdict {
    Good,
    Outdated(Reason),
    /// Behind, and nothing links its chain to ours: it may be in the middle of its own sync, or
    /// it may be us who follow a liar.
    Unlinked(Blake2bHash, Reason),
    /// Another chain. `certain` says that no passing of time can explain it.
    Conflicting {
        conflict: Conflict,
        certain: bool,
    },
    Fault(PeerFault),
}

impl Verdict {
    fn conflict(
        reason: impl Into<Reason>,
        evidence: impl Into<Option<MacroBlock>>,
        certain: bool,
    ) -> Self {
        let conflict = Conflict {
            reason: reason.into(),
            evidence: evidence.into(),
        };
        Self::Conflicting { conflict, certain }
    }
}

impl From<PeerFault> for Verdict {
    fn from(fault: PeerFault) -> Self {
        Self::Fault(fault)
    }
}

type Examination<TPeerId> = BoxFuture<'static, (TPeerId, Option<ResponseHead>, Verdict)>;

/// Optimistic macro sync. See the module's documentation.
pub struct PicoMacroSync<TNetwork: Network> {
    context: Context<TNetwork>,
    network_events: SubscribeEvents<TNetwork::PeerId>,
    /// Peers whose turn has not come yet.
    waiting: VecDeque<TNetwork::PeerId>,
    syncing: HashSet<TNetwork::PeerId>,
    /// One future a peer: its requests go out one after the other, or side by side where none
    /// needs the other's answer.
    examinations: FuturesUnordered<Examination<TNetwork::PeerId>>,
    heads: HashMap<TNetwork::PeerId, ResponseHead>,
    /// Peers that agreed with us, and those that nothing links to us: many of the latter that
    /// agree with one another outweigh few of the former.
    agreeing: HashSet<TNetwork::PeerId>,
    unlinked: HashMap<TNetwork::PeerId, Blake2bHash>,
}

impl<TNetwork: Network> PicoMacroSync<TNetwork> {
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        let network_events = context.network.subscribe_events();
        Self {
            context,
            network_events,
            waiting: VecDeque::new(),
            syncing: HashSet::new(),
            examinations: FuturesUnordered::new(),
            heads: HashMap::new(),
            agreeing: HashSet::new(),
            unlinked: HashMap::new(),
        }
    }

    fn poll_network_events(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<MacroSyncReturn<TNetwork::PeerId>>> {
        while let Poll::Ready(event) = self.network_events.poll_next_unpin(cx) {
            match event {
                Some(Ok(NetworkEvent::PeerJoined(peer, info))) => {
                    if let Some(incompatible) =
                        incompatible(&*self.context.network, peer, info.get_services())
                    {
                        return Poll::Ready(Some(incompatible));
                    }
                    self.add_peer(peer);
                }
                Some(Ok(NetworkEvent::PeerLeft(peer))) => self.remove_peer(&peer),
                Some(Ok(NetworkEvent::DhtReady)) => {}
                // We fell behind the network's events: go by who is connected now.
                Some(Err(_)) => {
                    let network = self.context.network.clone();
                    let gone: Vec<_> = self
                        .syncing
                        .iter()
                        .copied()
                        .filter(|peer| !network.has_peer(*peer))
                        .collect();
                    gone.iter().for_each(|peer| self.remove_peer(peer));
                    for peer in network.get_peers() {
                        if network.peer_provides_required_services(peer)
                            && !self.heads.contains_key(&peer)
                        {
                            self.add_peer(peer);
                        }
                    }
                }
                None => return Poll::Ready(None),
            }
        }
        Poll::Pending
    }

    fn start_waiting(&mut self) {
        while self.examinations.len() < limits::MAX_SYNCING_PEERS {
            let Some(peer) = self.waiting.pop_front() else {
                break;
            };
            if self.syncing.contains(&peer) {
                self.examinations
                    .push(examine(self.context.clone(), peer).boxed());
            }
        }
    }

    fn conclude(
        &mut self,
        peer: TNetwork::PeerId,
        verdict: Verdict,
    ) -> Option<MacroSyncReturn<TNetwork::PeerId>> {
        self.agreeing.remove(&peer);
        self.unlinked.remove(&peer);
        Some(match verdict {
            Verdict::Good => {
                self.agreeing.insert(peer);
                MacroSyncReturn::Good(peer)
            }
            Verdict::Outdated(reason) => MacroSyncReturn::Outdated(peer, reason),
            Verdict::Unlinked(election, reason) => {
                self.unlinked.insert(peer, election.clone());
                let agreed = self
                    .unlinked
                    .values()
                    .filter(|other| **other == election)
                    .count();
                if agreed > self.agreeing.len().max(1)
                    && self.context.chain.trust() == Trust::Optimistic
                {
                    let reason = "more peers agree on an older election block than follow ours";
                    MacroSyncReturn::Conflicting(
                        peer,
                        Conflict {
                            reason: reason.into(),
                            evidence: None,
                        },
                    )
                } else {
                    MacroSyncReturn::Outdated(peer, reason)
                }
            }
            Verdict::Conflicting { conflict, .. } => MacroSyncReturn::Conflicting(peer, conflict),
            Verdict::Fault(PeerFault::Lied(why)) => {
                self.context
                    .disconnect(peer, CloseReason::MaliciousPeer, &why);
                let conflict = Conflict {
                    reason: why.into(),
                    evidence: None,
                };
                MacroSyncReturn::Conflicting(peer, conflict)
            }
            Verdict::Fault(PeerFault::Failed(why) | PeerFault::Lacks(why)) => {
                self.context.disconnect(peer, CloseReason::Error, &why);
                return None;
            }
        })
    }
}

/// Whether a peer lacks the services that we need.
pub(super) fn incompatible<TNetwork: Network>(
    network: &TNetwork,
    peer: TNetwork::PeerId,
    services: Services,
) -> Option<MacroSyncReturn<TNetwork::PeerId>> {
    if network.peer_provides_required_services(peer) || !network.has_peer(peer) {
        return None;
    }
    let reason = if services.is_empty() {
        "it offers no services".into()
    } else {
        "it lacks the services that we need".into()
    };
    Some(MacroSyncReturn::Incompatible(peer, reason))
}

impl<TNetwork: Network> MacroSync<TNetwork::PeerId> for PicoMacroSync<TNetwork> {
    const KIND: SyncerKind = SyncerKind::Pico;

    fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if self.syncing.insert(peer) {
            self.waiting.push_back(peer);
            self.start_waiting();
        }
    }

    fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.syncing.remove(peer);
        self.waiting.retain(|waiting| waiting != peer);
        self.heads.remove(peer);
        self.agreeing.remove(peer);
        self.unlinked.remove(peer);
    }

    fn head_of(&self, peer: &TNetwork::PeerId) -> Option<&ResponseHead> {
        self.heads.get(peer)
    }

    fn drain_peers(&mut self) -> Vec<TNetwork::PeerId> {
        self.waiting.clear();
        self.syncing.drain().collect()
    }
}

impl<TNetwork: Network> Stream for PicoMacroSync<TNetwork> {
    type Item = MacroSyncReturn<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(item) = self.poll_network_events(cx) {
            return Poll::Ready(item);
        }
        loop {
            self.start_waiting();
            let Poll::Ready(Some((peer, head, verdict))) = self.examinations.poll_next_unpin(cx)
            else {
                return Poll::Pending;
            };
            // It may have left, or been drained, while it was looked at.
            if !self.syncing.remove(&peer) || !self.context.network.has_peer(peer) {
                continue;
            }
            if let Some(head) = head {
                self.heads.insert(peer, head);
            }
            if let Some(item) = self.conclude(peer, verdict) {
                return Poll::Ready(Some(item));
            }
        }
    }
}

/// Looks at one peer until the verdict stands.
async fn examine<TNetwork: Network>(
    context: Context<TNetwork>,
    peer: TNetwork::PeerId,
) -> (TNetwork::PeerId, Option<ResponseHead>, Verdict) {
    let mut previous: Option<ResponseHead> = None;
    for attempt in 0.. {
        let head = match requests::head(&*context.network, peer).await {
            Ok(head) => head,
            Err(fault) => return (peer, previous, fault.into()),
        };
        let verdict = compare(&context, peer, &head)
            .await
            .unwrap_or_else(Verdict::from);
        let again = match &verdict {
            // Contradictions between fixed blocks don't go away, so one second look is enough.
            Verdict::Conflicting { certain: true, .. } => {
                attempt == 0
                    || previous
                        .as_ref()
                        .is_some_and(|previous| *previous != head && attempt < limits::HEAD_RETRIES)
            }
            Verdict::Conflicting { certain: false, .. } | Verdict::Fault(PeerFault::Lacks(_)) => {
                attempt < limits::HEAD_RETRIES
            }
            _ => false,
        };
        if !again {
            return (peer, Some(head), verdict);
        }
        if !matches!(verdict, Verdict::Conflicting { certain: true, .. }) {
            sleep(limits::HEAD_RETRY_DELAY).await;
        }
        previous = Some(head);
    }
    (
        peer,
        previous,
        Verdict::Fault(PeerFault::Failed("no verdict".into())),
    )
}

/// Holds a peer's head against our chain, and moves ours forward where the peer's is ahead.
async fn compare<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    let network = &*context.network;
    if context.chain.is_empty() {
        if let Some(verdict) = bootstrap(context, peer, head).await? {
            return Ok(verdict);
        }
    }
    let Some(ours) = context.chain.heads() else {
        // Given up in the meantime by a fallback.
        return Ok(Verdict::Outdated("the sync was restarted".into()));
    };

    if head.election_hash == ours.election_head.hash {
        if head.macro_hash == ours.macro_head.hash {
            return Ok(Verdict::Good);
        }
        return same_epoch(context, peer, head).await;
    }

    let behind = context.chain.read(|chain| {
        chain.knows_election(&head.election_hash)
            || chain.election_head().header.parent_election_hash == head.election_hash
    });
    if behind == Some(true) {
        return Ok(Verdict::Outdated("it is an epoch or more behind".into()));
    }

    let locators = context
        .chain
        .read(|chain| chain.macro_locators())
        .unwrap_or_default();
    match requests::macro_chain(network, peer, locators).await? {
        Some(chain) => {
            let ids = chain
                .epochs
                .into_iter()
                .chain(chain.checkpoint.map(|block| block.hash));
            for hash in ids {
                let block = requests::macro_block(network, peer, &hash).await?;
                if let Some(verdict) = advance(context, block).await {
                    return Ok(verdict);
                }
            }
            let ours = context.chain.heads();
            Ok(match ours {
                Some(ours)
                    if ours.election_head.hash == head.election_hash
                        && ours.macro_head.hash == head.macro_hash =>
                {
                    Verdict::Good
                }
                _ => Verdict::conflict("its head is not on the macro chain it names", None, false),
            })
        }
        None => unknown_to_peer(context, peer, head).await,
    }
}

/// Adopts the peer's macro state as our first. `None` once there is a chain to compare with.
async fn bootstrap<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Option<Verdict>, PeerFault> {
    let network = &*context.network;
    let at_election = head.macro_hash == head.election_hash;
    let (election, checkpoint) = future::try_join(
        requests::macro_block(network, peer, &head.election_hash),
        async {
            match at_election {
                true => Ok(None),
                false => requests::macro_block(network, peer, &head.macro_hash)
                    .await
                    .map(Some),
            }
        },
    )
    .await?;

    let anchor = context.chain.anchor();
    if election.block_number() < anchor.block_number {
        return Ok(Some(Verdict::Outdated(
            "it is behind the pinned election block".into(),
        )));
    }
    if election.block_number() == anchor.block_number && head.election_hash != anchor.hash {
        let reason = "its election block is not the pinned one";
        return Ok(Some(Verdict::conflict(reason, election, true)));
    }

    let mut draft = match context.chain.draft(election.clone()) {
        Ok(draft) => draft,
        Err(error) => {
            let reason = format!("its election block is invalid: {error}");
            return Ok(Some(Verdict::conflict(reason, election, true)));
        }
    };
    if let Some(checkpoint) = checkpoint {
        let pushed = match draft.inspect(Block::Macro(checkpoint.clone()), Route::Macro) {
            Ok(Inspected::Unproven(unproven)) => draft.commit(unproven.on_trust()).map(|_| ()),
            Ok(_) => Err(nimiq_blockchain_interface::PushError::InvalidSuccessor),
            Err(error) => Err(error),
        };
        if let Err(error) = pushed {
            let reason = format!("its checkpoint does not fit its election block: {error}");
            return Ok(Some(Verdict::conflict(reason, checkpoint, true)));
        }
    }
    context.chain.start(draft, Trust::Optimistic);
    Ok(None)
}

/// The peer has our election block, but another checkpoint.
async fn same_epoch<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    let behind = head.macro_hash == head.election_hash
        || context
            .chain
            .read(|chain| chain.is_on_main_chain(&head.macro_hash))
            == Some(true);
    if behind {
        return Ok(Verdict::Outdated("it is a batch or more behind".into()));
    }
    let block = requests::macro_block(&*context.network, peer, &head.macro_hash).await?;
    Ok(advance(context, block).await.unwrap_or(Verdict::Good))
}

/// Moves our chain forward by one macro block, with its signatures checked. `None` if it is now
/// on our chain.
async fn advance<TNetwork: Network>(
    context: &Context<TNetwork>,
    block: MacroBlock,
) -> Option<Verdict> {
    let number = block.block_number();
    let ours = context.chain.heads()?;
    if number < ours.macro_head.number {
        let known = context
            .chain
            .read(|chain| chain.is_on_main_chain(&block.header.hash()));
        let contradicts = context
            .chain
            .read(|chain| block.is_election() && chain.contradicts(number, &block.header.hash()));
        return match (known, contradicts) {
            (Some(true), _) => None,
            (_, Some(true)) => Some(Verdict::conflict(
                "another election block than ours",
                block,
                true,
            )),
            _ => Some(Verdict::Outdated("it is a batch or more behind".into())),
        };
    }
    if number == ours.macro_head.number {
        return match block.header.hash() == ours.macro_head.hash {
            true => None,
            false => Some(Verdict::conflict(
                "another macro block than ours",
                block,
                true,
            )),
        };
    }

    let refuse = |error: String| {
        Some(Verdict::conflict(
            format!("its macro block is not valid on ours: {error}"),
            block.clone(),
            true,
        ))
    };
    let unproven = match context
        .chain
        .inspect(Block::Macro(block.clone()), Route::Macro)
    {
        Ok(Inspected::Settled(_)) => return None,
        Ok(Inspected::Proven(_)) => return refuse("it needs no proof".into()),
        Ok(Inspected::Unproven(unproven)) => *unproven,
        Err(error) => return refuse(error.to_string()),
    };
    let proven = match super::prove(unproven, &*context.verifier, &context.chain).await {
        Ok(proven) => proven,
        Err(error) => return refuse(error.to_string()),
    };
    match context.chain.commit(proven) {
        Ok(_) => None,
        Err(error) => refuse(error.to_string()),
    }
}

/// The peer knows none of our macro blocks: it is far behind, or one of us follows a liar.
async fn unknown_to_peer<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    let block = requests::macro_block(&*context.network, peer, &head.election_hash).await?;
    let number = block.block_number();
    let Some(ours) = context.chain.heads() else {
        return Ok(Verdict::Outdated("the sync was restarted".into()));
    };
    let contradicts = context
        .chain
        .read(|chain| chain.contradicts(number, &head.election_hash))
        == Some(true);
    let genesis = context.chain.params.genesis();
    Ok(if contradicts || number > ours.election_head.number {
        Verdict::conflict("another election block than ours", block, true)
    } else if number == ours.election_head.number {
        // Our chain moved on while we asked.
        Verdict::conflict("it does not know our election block", None, false)
    } else if number == genesis.block_number && head.election_hash == genesis.hash {
        Verdict::Outdated("it is still at genesis".into())
    } else {
        Verdict::Unlinked(
            head.election_hash.clone(),
            "it is many epochs behind".into(),
        )
    })
}
