//! Proves in the background what pico macro sync adopted: walks a second chain from the trusted
//! anchor, by signatures, until it meets the first one, and then checks the checkpoint on top. The
//! page sees nothing of it but the outcome.

use std::task::{Context as TaskContext, Poll};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use nimiq_network_interface::network::Network;

use crate::{
    chain::LightChain,
    macro_sync::{Context, LightMacroSync, MacroSync, MacroSyncReturn, Reason},
    shared::SharedChain,
    verifier::{VerifierError, VerifyJob},
};

/// How the proof went.
#[derive(Debug)]
pub(super) enum BackgroundEvent<TPeerId> {
    /// The optimistic chain is the verified one.
    Proven,
    /// It is not, or somebody gave us bad signatures for it.
    Refuted {
        /// Who, if it was one peer.
        peer: Option<TPeerId>,
        /// What is wrong, for people.
        reason: Reason,
    },
}

type CheckpointProof = BoxFuture<'static, (u32, Result<bool, VerifierError>)>;

/// See the module's documentation.
pub(super) struct Background<TNetwork: Network> {
    context: Context<TNetwork>,
    /// The chain that is walked.
    walked: SharedChain,
    walk: LightMacroSync<TNetwork>,
    peers: Vec<TNetwork::PeerId>,
    /// Peers that have nothing beyond the walked chain, although it does not reach ours.
    exhausted: Vec<TNetwork::PeerId>,
    checkpoint: Option<CheckpointProof>,
    /// Number of the checkpoint that was proven, with the optimistic validators.
    proven_checkpoint: Option<u32>,
}

impl<TNetwork: Network> Background<TNetwork> {
    pub(super) fn new(context: &Context<TNetwork>) -> Self {
        let walked = context.chain.silent();
        let walk = LightMacroSync::of_chosen_peers(Context {
            chain: walked.clone(),
            ..context.clone()
        });
        Self {
            context: context.clone(),
            walked,
            walk,
            peers: Vec::new(),
            exhausted: Vec::new(),
            checkpoint: None,
            proven_checkpoint: None,
        }
    }

    pub(super) fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
            self.walk.add_peer(peer);
        }
    }

    pub(super) fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.peers.retain(|other| other != peer);
        self.exhausted.retain(|other| other != peer);
        self.walk.remove_peer(peer);
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
            if let Some(checkpoint) = &mut self.checkpoint {
                if let Poll::Ready((number, result)) = checkpoint.poll_unpin(cx) {
                    self.checkpoint = None;
                    match self.checkpoint_checked(number, result) {
                        Some(event) => return Poll::Ready(event),
                        None => continue,
                    }
                }
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
            let reason = "the verified chain has another election block".into();
            return Some(BackgroundEvent::Refuted { peer: None, reason });
        }

        // The election block is proven. A checkpoint was adopted without a look at its signatures,
        // unless live sync has already replaced it by a later macro block.
        if self.proven_checkpoint.is_some() || self.checkpoint.is_some() {
            return self.proven_checkpoint.map(|_| BackgroundEvent::Proven);
        }
        match self
            .context
            .chain
            .read(|chain| chain.unproven_checkpoint())?
        {
            None => Some(BackgroundEvent::Proven),
            Some(job) => {
                self.checkpoint = Some(self.check(job));
                None
            }
        }
    }

    fn check(&self, job: VerifyJob) -> CheckpointProof {
        let number = job.block_number();
        let verifier = self.context.verifier.clone();
        async move {
            let result = match verifier.verify(job.clone()).await {
                Err(error) => {
                    log::warn!("checking block {number} in place: {error}");
                    Ok(job.run())
                }
                result => result,
            };
            (number, result)
        }
        .boxed()
    }

    fn checkpoint_checked(
        &mut self,
        number: u32,
        result: Result<bool, VerifierError>,
    ) -> Option<BackgroundEvent<TNetwork::PeerId>> {
        if result == Ok(true) {
            self.proven_checkpoint = Some(number);
            return None;
        }
        let reason = "the checkpoint we adopted is not signed by its validators".into();
        Some(BackgroundEvent::Refuted { peer: None, reason })
    }

    fn handle_walk(
        &mut self,
        result: MacroSyncReturn<TNetwork::PeerId>,
    ) -> Option<BackgroundEvent<TNetwork::PeerId>> {
        match result {
            MacroSyncReturn::Good(peer) | MacroSyncReturn::Outdated(peer, _) => {
                let reached = self.walked.heads()?.election_head.number
                    >= self.context.chain.heads()?.election_head.number;
                if reached {
                    return None;
                }
                // It agreed with our election block, but has nothing that leads there.
                if !self.exhausted.contains(&peer) {
                    self.exhausted.push(peer);
                }
                let nobody_left = self.peers.iter().all(|peer| self.exhausted.contains(peer));
                nobody_left.then(|| BackgroundEvent::Refuted {
                    peer: Some(peer),
                    reason: "nobody can prove the election block we adopted".into(),
                })
            }
            MacroSyncReturn::Incompatible(..) => None,
            MacroSyncReturn::Conflicting(peer, conflict) => Some(BackgroundEvent::Refuted {
                peer: Some(peer),
                reason: conflict.reason,
            }),
        }
    }
}
