//! Proofs of the election chain in light macro sync: who is asked for one, which is checked, and what
//! comes of it.
//!
//! To check a proof costs about as much as to check one block's signatures, and it takes the place of
//! all the blocks up to the one that it proves. So it is asked for first, by the time the chain has
//! reached the block that proofs start from: of all peers at once, each once. Signatures wait for
//! that, but not for long, and not for peers that come later. Of the proofs that have come by then
//! the one that gets furthest is checked first; one that does not get further than the chain has got
//! meanwhile, by another proof or by signatures, is never looked at. What is still to come after it is
//! walked by signatures.
//!
//! A peer that has no proof, or an old one, is as good as any. One whose proof does not hold, or that
//! answers with something that is none, is a liar, whichever chain is right. Liars can come one after
//! the other for ever, so once a proof has failed, proofs and signatures take turns: the sync gets on
//! either way.

use std::task::{Context as TaskContext, Poll};

use futures::{FutureExt, future::BoxFuture};
use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;
use nimiq_time::{sleep, timeout};

use super::{LightMacroSync, answers::Answer};
use crate::{
    chain::{Leap, LightChain, ProofBase},
    clock::Instant,
    event::{SyncEvent, ZkpStatus},
    limits,
    macro_sync::Weight,
    requests::{self, PeerFault},
    shared::SharedChain,
    verifier::ProofJob,
};

/// A proof, and the block that it is of.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) leap: Leap,
    pub(crate) proof: Vec<u8>,
}

/// A proof that waits for its turn.
struct Candidate<TPeerId> {
    delivery: Delivery,
    /// All who delivered the same.
    peers: Vec<TPeerId>,
}

/// A proof that is being checked.
struct Checking<TPeerId> {
    leap: Leap,
    peers: Vec<TPeerId>,
    /// Who delivered it first, also when it is gone.
    deliverer: String,
    since: Instant,
    /// Whether it holds, or why nobody can tell.
    verdict: BoxFuture<'static, Result<bool, String>>,
}

/// How far the search for a proof is.
enum Phase {
    /// Nobody has been asked.
    Before,
    /// Peers are asked, and everything else waits, until this resolves at the latest.
    Gathering(BoxFuture<'static, ()>),
    /// The first proof is to be checked, and everything else waits.
    Settling,
    /// The sync goes on by signatures, and by what proofs still come.
    Over,
    /// Proofs are not looked at any more.
    Off,
}

/// See the module's documentation.
pub(super) struct Proofs<TPeerId> {
    phase: Phase,
    /// The chain that the sync is to prove, and beyond which it need not get.
    target: Option<SharedChain>,
    /// Peers that were asked, and those of them that have not answered yet.
    asked: Vec<TPeerId>,
    awaited: Vec<TPeerId>,
    candidates: Vec<Candidate<TPeerId>>,
    checking: Option<Checking<TPeerId>>,
    /// Whether signatures are to be checked before the next proof.
    signatures_first: bool,
}

impl<TPeerId: Copy + Eq> Proofs<TPeerId> {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Before,
            target: None,
            asked: Vec::new(),
            awaited: Vec::new(),
            candidates: Vec::new(),
            checking: None,
            signatures_first: false,
        }
    }

    /// Forgets all that was found out.
    pub(super) fn reset(&mut self) {
        let target = self.target.take();
        *self = Self {
            target,
            ..Self::new()
        };
    }

    pub(super) fn remove_peer(&mut self, peer: &TPeerId) {
        self.asked.retain(|other| other != peer);
        self.awaited.retain(|other| other != peer);
        for candidate in &mut self.candidates {
            candidate.peers.retain(|other| other != peer);
        }
        self.candidates
            .retain(|candidate| !candidate.peers.is_empty());
        if let Some(checking) = &mut self.checking {
            checking.peers.retain(|other| other != peer);
        }
    }

    /// The tip is reached.
    pub(super) fn finish(&mut self) {
        self.phase = Phase::Off;
        self.candidates.clear();
    }

    pub(super) fn signatures_had_their_turn(&mut self) {
        self.signatures_first = false;
    }

    /// Whether signatures have to wait.
    pub(super) fn come_first(&self) -> bool {
        self.checking.is_some() || self.peers_wait()
    }

    /// Whether it is too early to ask peers for their chains.
    fn peers_wait(&self) -> bool {
        matches!(self.phase, Phase::Gathering(_) | Phase::Settling)
    }

    fn add(&mut self, peer: TPeerId, delivery: Delivery) {
        let same = |candidate: &&mut Candidate<TPeerId>| {
            candidate.delivery.proof == delivery.proof
                && candidate.delivery.leap.block() == delivery.leap.block()
        };
        if let Some(candidate) = self.candidates.iter_mut().find(same) {
            candidate.peers.push(peer);
        } else if self.candidates.len() < limits::MAX_PROOFS {
            if let Phase::Gathering(end) = &mut self.phase
                && self.candidates.is_empty()
            {
                *end = sleep(limits::BETTER_PROOF_PATIENCE).boxed();
            }
            self.candidates.push(Candidate {
                delivery,
                peers: vec![peer],
            });
        }
    }

    /// Takes out the proof that gets furthest.
    fn take_best(&mut self) -> Option<Candidate<TPeerId>> {
        let number = |candidate: &Candidate<TPeerId>| candidate.delivery.leap.block_number();
        let best = self.candidates.iter().map(number).max()?;
        let place = self.candidates.iter().position(|it| number(it) == best)?;
        Some(self.candidates.swap_remove(place))
    }
}

impl<TNetwork: Network> LightMacroSync<TNetwork> {
    /// Says which chain the sync is to prove. It is no use getting further than the election block
    /// that comes after that chain's: whether the chains agree could not be told any more.
    pub(crate) fn proves(&mut self, target: SharedChain) {
        self.proofs.target = Some(target);
    }

    /// Asks a peer for its proof, if it is time for that. Returns whether the peer is not to be asked
    /// for anything else now.
    pub(super) fn ask_for_proof(&mut self, peer: TNetwork::PeerId) -> bool {
        if matches!(self.proofs.phase, Phase::Off) {
            return false;
        }
        match self.context.chain.proof_base() {
            ProofBase::Ahead(_) => return false,
            ProofBase::None(reason) => {
                self.give_up_proofs(None, reason);
                return false;
            }
            ProofBase::Ready(_) => {}
        }
        if matches!(self.proofs.phase, Phase::Before) {
            self.proofs.phase = Phase::Gathering(sleep(limits::PROOF_PATIENCE).boxed());
        }
        if self.proofs.asked.contains(&peer) {
            return self.proofs.peers_wait();
        }
        self.proofs.asked.push(peer);
        self.proofs.awaited.push(peer);
        let number = self.election_number();
        self.say_zkp(ZkpStatus::Requested, Some(number), Some(peer), None);
        let context = self.context.clone();
        // It may be asked for its chain from before.
        self.asking.cancel(&peer);
        self.asking.start(peer, async move {
            let params = context.chain.params;
            Answer::Proof(requests::proof(&*context.network, peer, params, number).await)
        });
        true
    }

    /// A peer was asked for its proof.
    pub(super) fn handle_delivery(
        &mut self,
        peer: TNetwork::PeerId,
        delivery: Result<Delivery, PeerFault>,
    ) {
        self.proofs.awaited.retain(|other| *other != peer);
        let delivery = delivery.and_then(|delivery| {
            let useless = self.useless(delivery.leap.block_number());
            useless.map_or(Ok(delivery), |why| Err(PeerFault::Lacks(why.into())))
        });
        match delivery {
            Ok(delivery) => self.proofs.add(peer, delivery),
            Err(PeerFault::Failed(why) | PeerFault::Lacks(why)) => {
                self.say_zkp(ZkpStatus::Unavailable, None, Some(peer), Some(&why));
            }
            Err(PeerFault::Lied(why)) => {
                self.say_zkp(ZkpStatus::Rejected, None, Some(peer), Some(&why));
                return self.breach(peer, &why);
            }
        }
        if !self.proofs.peers_wait() {
            self.ask(peer);
        }
    }

    /// Why a proof of the block of that number is of no use, if so.
    fn useless(&self, number: u32) -> Option<&'static str> {
        if matches!(self.proofs.phase, Phase::Off) {
            return Some("no proof is needed any more");
        }
        if number <= self.election_number() {
            return Some("its proof is not beyond our chain");
        }
        let target = self.proofs.target.as_ref()?.heads()?;
        let end = target
            .election_head
            .number
            .saturating_add(Policy::blocks_per_epoch());
        (number > end).then_some("its proof is beyond the chain that is to be proven")
    }

    fn election_number(&self) -> u32 {
        let number = |chain: &LightChain| chain.election_head().block_number();
        self.context.chain.read(number).unwrap_or_default()
    }

    /// Does what there is to do about proofs. Ready if that may have changed what is to be done.
    pub(super) fn advance_proofs(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(checking) = &mut self.proofs.checking {
            let Poll::Ready(verdict) = checking.verdict.poll_unpin(cx) else {
                return Poll::Pending;
            };
            if let Some(checking) = self.proofs.checking.take() {
                self.handle_verdict(checking, verdict);
            }
            return Poll::Ready(());
        }
        if let Phase::Gathering(end) = &mut self.proofs.phase {
            if !self.proofs.awaited.is_empty() && end.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            self.proofs.phase = match self.peers.is_empty() {
                // All have left: those who come next are asked in peace.
                true => Phase::Before,
                false => Phase::Settling,
            };
            return Poll::Ready(());
        }
        if self.proofs.signatures_first && self.queue.front().is_some() {
            return Poll::Pending;
        }
        while let Some(candidate) = self.proofs.take_best() {
            if self.check_proof(candidate) {
                return Poll::Ready(());
            }
        }
        if matches!(self.proofs.phase, Phase::Settling) {
            self.go_on_by_signatures();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Starts the check of a proof. Returns whether there is any need for it.
    fn check_proof(&mut self, candidate: Candidate<TNetwork::PeerId>) -> bool {
        let Candidate { delivery, peers } = candidate;
        let Delivery { leap, proof } = delivery;
        let number = leap.block_number();
        let ProofBase::Ready(anchor) = self.context.chain.proof_base() else {
            return false;
        };
        let Some(deliverer) = peers.first().filter(|_| self.useless(number).is_none()) else {
            return false;
        };
        let deliverer = deliverer.to_string();
        let job = ProofJob {
            anchor,
            head: leap.statement(),
            proof,
            block_number: number,
        };
        self.emit_zkp(
            ZkpStatus::Verifying,
            Some(number),
            Some(deliverer.clone()),
            None,
            None,
        );
        let verifier = self.context.verifier.clone();
        let verdict = async move {
            let mut attempts = limits::PROOF_ATTEMPTS;
            loop {
                attempts -= 1;
                let check = verifier.verify_proof(job.clone());
                match timeout(limits::PROOF_CHECK_TIMEOUT, check).await {
                    Ok(Ok(holds)) => return Ok(holds),
                    Ok(Err(error)) if attempts == 0 => return Err(error.to_string()),
                    // The verifier may be back on its feet.
                    Ok(Err(_)) => {}
                    Err(_) => return Err("the check of a proof takes too long".to_owned()),
                }
            }
        };
        self.proofs.checking = Some(Checking {
            leap,
            peers,
            deliverer,
            since: Instant::now(),
            verdict: verdict.boxed(),
        });
        true
    }

    fn handle_verdict(
        &mut self,
        checking: Checking<TNetwork::PeerId>,
        verdict: Result<bool, String>,
    ) {
        let Checking {
            leap,
            peers,
            deliverer,
            since,
            ..
        } = checking;
        let ms = u64::try_from(since.elapsed().as_millis()).ok();
        let number = Some(leap.block_number());
        let refused = match verdict {
            Ok(true) => match self.context.chain.leap(leap) {
                Ok(false) => {
                    let why = Some("our chain has got there meanwhile");
                    self.emit_zkp(ZkpStatus::Unavailable, number, Some(deliverer), ms, why);
                    return self.go_on_by_signatures();
                }
                Ok(true) => {
                    self.emit_zkp(ZkpStatus::Verified, number, Some(deliverer), ms, None);
                    // What was asked for so far lies behind.
                    self.queue.clear();
                    self.settle_disputes();
                    self.disputed.clear();
                    for peer in self.peers.keys() {
                        if !self.proofs.awaited.contains(peer) {
                            self.asking.cancel(peer);
                        }
                    }
                    return self.go_on_by_signatures();
                }
                Err(_) => "its proof is of another chain than the verified one",
            },
            Ok(false) => "its proof does not hold",
            Err(why) => return self.give_up_proofs(number, &why),
        };
        self.emit_zkp(
            ZkpStatus::Rejected,
            number,
            Some(deliverer),
            ms,
            Some(refused),
        );
        self.proofs.signatures_first = true;
        // A chain that is restored, and not confirmed yet, may start somewhere else than the proof.
        // Of one that is being proven in the background a false proof says nothing.
        let weight = match self.proofs.target {
            Some(_) => Weight::Breach,
            None => Weight::Contradiction,
        };
        for peer in peers {
            self.conflict(peer, refused, weight);
        }
        self.go_on_by_signatures();
    }

    /// No proof can be used, for that reason.
    fn give_up_proofs(&mut self, number: Option<u32>, why: &str) {
        self.say_zkp(ZkpStatus::Unavailable, number, None, Some(why));
        let waited = self.proofs.peers_wait();
        self.proofs.finish();
        if waited {
            self.ask_everyone();
        }
    }

    /// Nobody has to wait for proofs any more.
    fn go_on_by_signatures(&mut self) {
        if !matches!(self.proofs.phase, Phase::Off) {
            self.proofs.phase = Phase::Over;
        }
        self.ask_everyone();
    }

    fn say_zkp(
        &self,
        status: ZkpStatus,
        number: Option<u32>,
        peer: Option<TNetwork::PeerId>,
        why: Option<&str>,
    ) {
        let peer = peer.map(|peer| peer.to_string());
        self.emit_zkp(status, number, peer, None, why);
    }

    fn emit_zkp(
        &self,
        status: ZkpStatus,
        block_number: Option<u32>,
        peer_id: Option<String>,
        ms: Option<u64>,
        why: Option<&str>,
    ) {
        self.context.events.emit(SyncEvent::Zkp {
            status,
            block_number,
            peer_id,
            ms,
            reason: why.map(str::to_owned),
        });
    }
}
