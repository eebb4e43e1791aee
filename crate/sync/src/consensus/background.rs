//! Proves in the background what pico macro sync adopted: walks a second chain from the trusted
//! anchor, by a proof or by signatures, until it meets the first one, and then checks the checkpoint on top. The
//! page sees nothing of it but the outcome.

use std::{
    collections::HashMap,
    task::{Context as TaskContext, Poll},
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use nimiq_block::MacroBlock;
use nimiq_network_interface::network::Network;

use crate::{
    chain::LightChain,
    event::TrustSource,
    limits,
    macro_sync::{Conflict, Context, LightMacroSync, MacroSync, MacroSyncReturn, Reason, Weight},
    shared::SharedChain,
};

/// How the proof went.
#[derive(Debug)]
pub(super) enum BackgroundEvent<TPeerId> {
    /// The optimistic chain is the verified one.
    Proven,
    /// It is not.
    Refuted {
        /// What is wrong, for people.
        reason: Reason,
        /// The block that we should not have adopted.
        block: Option<Box<MacroBlock>>,
    },
    /// A peer conflicts with the verified chain, or with itself.
    Conflicting(TPeerId, Conflict),
}

type CheckpointProof = BoxFuture<'static, (MacroBlock, bool)>;

/// See the module's documentation.
pub(super) struct Background<TNetwork: Network> {
    context: Context<TNetwork>,
    /// The chain that is walked.
    walked: SharedChain,
    walk: LightMacroSync<TNetwork>,
    /// Those who stand by the optimistic chain. Others may help to walk, so that it is not up to them
    /// alone how long it takes, but have no say in whether it leads there.
    peers: Vec<TNetwork::PeerId>,
    /// How often peers had nothing beyond the walked chain, although it does not reach ours.
    exhausted: HashMap<TNetwork::PeerId, usize>,
    checkpoint: Option<CheckpointProof>,
    /// Whether the checkpoint was proven, with the optimistic validators.
    checkpoint_is_proven: bool,
}

impl<TNetwork: Network> Background<TNetwork> {
    pub(super) fn new(context: &Context<TNetwork>) -> Self {
        let walked = context.chain.silent();
        let mut walk = LightMacroSync::new(Context {
            chain: walked.clone(),
            ..context.clone()
        });
        walk.proves(context.chain.clone());
        Self {
            context: context.clone(),
            walked,
            walk,
            peers: Vec::new(),
            exhausted: HashMap::new(),
            checkpoint: None,
            checkpoint_is_proven: false,
        }
    }

    pub(super) fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
            self.exhausted.remove(&peer);
            self.walk.add_peer(peer);
        }
    }

    /// A peer that does not stand by the optimistic chain, or not now, but has blocks that lead there.
    pub(super) fn add_helper(&mut self, peer: TNetwork::PeerId) {
        if !self.peers.contains(&peer) && !self.is_exhausted(&peer) {
            self.walk.add_peer(peer);
        }
    }

    pub(super) fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.peers.retain(|other| other != peer);
        self.exhausted.remove(peer);
        self.walk.remove_peer(peer);
    }

    /// Whether there is nobody to learn from.
    pub(super) fn is_idle(&self) -> bool {
        self.peers.is_empty()
    }

    /// What the chain is verified by, as far as it is.
    pub(super) fn verified_by(&self) -> TrustSource {
        self.walked.verified_by()
    }

    /// The chain as far as it is verified.
    pub(super) fn into_chain(self) -> Option<LightChain> {
        self.walked.snapshot()
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<BackgroundEvent<TNetwork::PeerId>> {
        loop {
            if let Some(event) = self.compare() {
                return Poll::Ready(event);
            }
            if let Some(event) = self.nobody_left() {
                return Poll::Ready(event);
            }
            if let Some(checkpoint) = &mut self.checkpoint
                && let Poll::Ready((block, holds)) = checkpoint.poll_unpin(cx)
            {
                self.checkpoint = None;
                if !holds {
                    return Poll::Ready(BackgroundEvent::Refuted {
                        reason: "the checkpoint we adopted is not signed by its validators".into(),
                        block: Some(Box::new(block)),
                    });
                }
                self.checkpoint_is_proven = true;
                continue;
            }
            let Poll::Ready(Some(result)) = self.walk.poll_next_unpin(cx) else {
                return Poll::Pending;
            };
            if let Some(event) = self.handle_walk(result) {
                return Poll::Ready(event);
            }
        }
    }

    /// Holds the walked chain against the optimistic one.
    fn compare(&mut self) -> Option<BackgroundEvent<TNetwork::PeerId>> {
        let walked = self.walked.heads()?.election_head;
        let ours = self.context.chain.heads()?;
        if walked.number < ours.election_head.number {
            return None;
        }
        let contradicted = match walked.number == ours.election_head.number {
            true => walked.hash != ours.election_head.hash,
            // It walked past us: ours must lie behind it.
            false => {
                self.walked.read(|chain| {
                    chain.contradicts(ours.election_head.number, &ours.election_head.hash)
                }) == Some(true)
            }
        };
        if contradicted {
            return Some(BackgroundEvent::Refuted {
                reason: "the verified chain has another election block".into(),
                block: self.adopted_election(),
            });
        }

        // The election block is proven. A checkpoint was adopted without a look at its signatures,
        // unless live sync has already replaced it by a later macro block.
        if self.checkpoint_is_proven {
            return Some(BackgroundEvent::Proven);
        }
        if self.checkpoint.is_some() {
            return None;
        }
        let (block, job) = self
            .context
            .chain
            .read(|chain| (chain.macro_head().clone(), chain.unproven_checkpoint()))?;
        let Some(job) = job else {
            return Some(BackgroundEvent::Proven);
        };
        let context = self.context.clone();
        self.checkpoint = Some(async move { (block, context.holds(job).await) }.boxed());
        None
    }

    /// The election block of the optimistic chain.
    fn adopted_election(&self) -> Option<Box<MacroBlock>> {
        let chain = &self.context.chain;
        chain.read(|chain| Box::new(chain.election_head().clone()))
    }

    fn has_reached(&self) -> bool {
        let number = |chain: &SharedChain| chain.heads().map(|heads| heads.election_head.number);
        number(&self.walked).is_some_and(|walked| Some(walked) >= number(&self.context.chain))
    }

    /// All our peers agree with the election block, but none has anything that leads there.
    fn nobody_left(&self) -> Option<BackgroundEvent<TNetwork::PeerId>> {
        let nobody_left = !self.peers.is_empty()
            && self.peers.iter().all(|peer| self.is_exhausted(peer))
            && !self.has_reached();
        nobody_left.then(|| BackgroundEvent::Refuted {
            reason: "nobody can prove the election block we adopted".into(),
            block: self.adopted_election(),
        })
    }

    fn is_exhausted(&self, peer: &TNetwork::PeerId) -> bool {
        self.exhausted
            .get(peer)
            .is_some_and(|times| *times > limits::HEAD_RETRIES)
    }

    fn handle_walk(
        &mut self,
        result: MacroSyncReturn<TNetwork::PeerId>,
    ) -> Option<BackgroundEvent<TNetwork::PeerId>> {
        match result {
            MacroSyncReturn::Conflicting(peer, conflict) if conflict.weight != Weight::Doubt => {
                Some(BackgroundEvent::Conflicting(peer, conflict))
            }
            // It has nothing beyond the walked chain.
            MacroSyncReturn::Good(peer)
            | MacroSyncReturn::Outdated(peer, _)
            | MacroSyncReturn::Incompatible(peer, _)
            | MacroSyncReturn::Conflicting(peer, _) => {
                if !self.has_reached() {
                    // Ours may have moved on just before the peer's did.
                    *self.exhausted.entry(peer).or_default() += 1;
                    if !self.is_exhausted(&peer) {
                        self.walk.add_peer_later(peer);
                    }
                }
                None
            }
        }
    }
}
