//! What becomes of macro sync's verdicts: who counts as good, who is banned, and when optimism ends.
//!
//! With a verified chain a liar changes nothing any more: it is banned and the sync goes on. With an
//! optimistic one each contradiction, and each proof that fails, means a fallback. Suspects are held
//! against the verified chain once there is one.

use futures::FutureExt;
use nimiq_block::MacroBlock;
use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;

use super::{
    Consensus, SyncMode,
    background::{Background, BackgroundEvent},
};
use crate::{
    event::{Outcome, SyncEvent, SyncerKind, Trust},
    limits,
    macro_sync::{
        Conflict, EitherSyncer, LightMacroSync, MacroSyncReturn, PicoMacroSync, Reason, Weight,
    },
};

/// A peer under suspicion, and what it claimed.
pub(super) struct Suspect<TPeerId> {
    peer: TPeerId,
    reason: Reason,
    claim: MacroBlock,
}

/// What the verified chain says of a suspect, and whether it is guilty.
pub(super) type Judgement<TPeerId> = (TPeerId, Reason, bool);

impl<TNetwork: Network> Consensus<TNetwork> {
    pub(super) fn handle_macro_sync(&mut self, result: MacroSyncReturn<TNetwork::PeerId>) {
        match result {
            MacroSyncReturn::Good(peer) => {
                self.report(peer, Outcome::Good, None);
                if let Some(trial) = &mut self.trial {
                    trial.forget(&peer);
                }
                self.good_peer(peer);
            }
            MacroSyncReturn::Outdated(peer, reason) => {
                self.leave_live(&peer);
                self.report(peer, Outcome::Outdated, Some(reason));
                self.recheck_in(peer, limits::OUTDATED_RECHECK.as_secs());
                *self.disagreements.entry(peer).or_default() += 1;
                if let Some(background) = &mut self.background {
                    background.add_helper(peer);
                }
                self.count_voices();
            }
            MacroSyncReturn::Incompatible(peer, reason) => {
                self.report(peer, Outcome::Incompatible, Some(reason));
            }
            MacroSyncReturn::Conflicting(peer, conflict) => {
                self.leave_live(&peer);
                self.report(peer, Outcome::Conflicting, Some(conflict.reason.clone()));
                self.conflict(peer, conflict);
            }
        }
    }

    pub(super) fn good_peer(&mut self, peer: TNetwork::PeerId) {
        self.recheck.remove(&peer);
        self.disagreements.remove(&peer);
        self.good.insert(peer);
        self.live.add_peer(peer);
        if let Some(head) = self.macro_sync.head_of(&peer).cloned() {
            self.note_head(peer, &head);
        }
        if self.macro_sync.kind() == SyncerKind::Light {
            self.light_sync_reached_tip();
        } else if let Some(background) = &mut self.background {
            background.add_peer(peer);
        } else if self.config.verify_in_background
            && self.context.chain.trust() == Trust::Optimistic
        {
            let mut background = Background::new(&self.context);
            background.add_peer(peer);
            for peer in self.disagreements.keys().copied() {
                background.add_helper(peer);
            }
            self.background = Some(background);
        }
    }

    /// A peer claims another chain than ours.
    pub(super) fn conflict(&mut self, peer: TNetwork::PeerId, conflict: Conflict) {
        let Conflict {
            reason,
            evidence,
            weight,
        } = conflict;
        let verified = self.macro_sync.kind() == SyncerKind::Light
            || self.context.chain.trust() == Trust::Verified;
        match weight {
            Weight::Breach => self.ban(peer, &reason),
            // It is not confirmed yet that it is the peer who is wrong.
            _ if verified && self.put_on_trial(peer) => {}
            // Our chain is proven, or being proven: the claim is worth nothing.
            Weight::Contradiction if verified => self.ban(peer, &reason),
            Weight::Doubt if verified => {
                let times = self.disagreements.entry(peer).or_default();
                *times += 1;
                if *times > limits::DOUBTS_FORGIVEN {
                    self.ban(peer, &reason);
                } else {
                    self.recheck_in(peer, limits::OUTDATED_RECHECK.as_secs());
                }
            }
            Weight::Doubt | Weight::Contradiction => {
                let suspect = evidence.map(|claim| (peer, *claim));
                self.fall_back(Some(peer), suspect, reason);
            }
        }
    }

    /// A chain that is not proven, and that nobody proves, is worth as much as there are peers that
    /// stand by it: if more of them persistently don't, it is given up.
    pub(super) fn count_voices(&mut self) {
        let proving = self
            .background
            .as_ref()
            .is_some_and(|background| !background.is_idle());
        if self.macro_sync.kind() == SyncerKind::Light
            || self.context.chain.trust() == Trust::Verified
            || self.context.chain.is_empty()
            || proving
        {
            return;
        }
        let against = self.disagreements.values();
        let against = against.filter(|times| **times > limits::DOUBTS_FORGIVEN);
        if against.count() > self.good.len().max(1) {
            let reason = "more peers are behind the chain we adopted than stand by it";
            self.fall_back(None, None, reason.into());
        }
    }

    /// Gives up the optimistic chain and verifies anew. The suspect is the peer whose claim was one
    /// too many, with that claim.
    pub(super) fn fall_back(
        &mut self,
        peer: Option<TNetwork::PeerId>,
        suspect: Option<(TNetwork::PeerId, MacroBlock)>,
        reason: Reason,
    ) {
        log::warn!("falling back to light macro sync: {reason}");
        self.events.emit(SyncEvent::Fallback {
            from: SyncerKind::Pico,
            to: SyncerKind::Light,
            peer_id: peer.map(|peer| peer.to_string()),
            reason: reason.to_string(),
        });
        self.suspects.extend(suspect.map(|(peer, claim)| Suspect {
            peer,
            reason,
            claim,
        }));
        self.leave_chain();
        // What the background walk has proven so far is as good as the anchor.
        let walked = self.background.take().and_then(Background::into_chain);
        self.switch_to(EitherSyncer::Fallback(LightMacroSync::new(
            self.context.clone(),
        )));
        // Consensus is lost before the chain is, so that nobody sees it with no chain.
        self.update_status();
        self.context.chain.replace(walked);
        self.examine_others();
    }

    pub(super) fn switch_to(&mut self, macro_sync: EitherSyncer<TNetwork>) {
        self.macro_sync.drain_peers();
        self.macro_sync = macro_sync;
    }

    /// Sends every peer of which nothing is known yet through macro sync.
    pub(super) fn examine_others(&mut self) {
        for peer in self.peers.iter().copied() {
            if !self.good.contains(&peer)
                && !self.recheck.contains_key(&peer)
                && self.context.network.peer_provides_required_services(peer)
            {
                self.macro_sync.add_peer(peer);
            }
        }
    }

    /// Light macro sync has nothing more to learn from a peer: the chain is verified to its tip.
    pub(super) fn light_sync_reached_tip(&mut self) {
        self.end_trial();
        let chain = &self.context.chain;
        chain.set_trust(Trust::Verified, chain.verified_by());
        for suspect in std::mem::take(&mut self.suspects) {
            self.judge(suspect);
        }
        if self.config.mode == SyncMode::Pico {
            // Back to normal: from here on every step is verified there as well.
            self.switch_to(EitherSyncer::Normal(PicoMacroSync::new(
                self.context.clone(),
            )));
            self.examine_others();
        }
    }

    /// Holds the claim of a suspect against the verified chain.
    pub(super) fn judge(&mut self, suspect: Suspect<TNetwork::PeerId>) {
        let Suspect {
            peer,
            reason,
            claim,
        } = suspect;
        if self.is_refuted(&claim) {
            return self.handle_judgement((peer, reason, true));
        }
        // The same block as ours can have been delivered with signatures that are none.
        let job = self.context.chain.read(|chain| chain.proof_of(&claim));
        if let Some(job) = job.flatten() {
            let context = self.context.clone();
            let judging = async move { (peer, reason, !context.holds(job).await) };
            self.judging.push(judging.boxed());
        }
    }

    pub(super) fn handle_judgement(&mut self, (peer, reason, guilty): Judgement<TNetwork::PeerId>) {
        if guilty && self.context.network.has_peer(peer) {
            self.ban(peer, &reason);
        }
    }

    /// Whether the verified chain has another block where the claimed one would be.
    pub(super) fn is_refuted(&self, claim: &MacroBlock) -> bool {
        let number = claim.block_number();
        let hash = claim.header.hash();
        let refuted = self.context.chain.read(|chain| {
            if claim.is_election() && chain.contradicts(number, &hash) {
                return true;
            }
            let ours = chain.election_head();
            let next = Policy::election_block_after(ours.block_number());
            let other_past = number > ours.block_number()
                && number <= next
                && claim.header.parent_election_hash != ours.header.hash();
            let other_macro_head = number == chain.macro_head().block_number()
                && hash != chain.macro_head().header.hash();
            other_past || other_macro_head
        });
        refuted == Some(true)
    }

    pub(super) fn handle_background(&mut self, event: BackgroundEvent<TNetwork::PeerId>) {
        match event {
            BackgroundEvent::Proven => {
                self.end_trial();
                if let Some(background) = self.background.take() {
                    let via = background.verified_by();
                    if let Some(walked) = background.into_chain() {
                        self.context.chain.learn_past(&walked);
                    }
                    self.context.chain.set_trust(Trust::Verified, via);
                }
            }
            BackgroundEvent::Refuted { reason, block } => {
                // Whoever brought us what we adopted has to answer for it.
                let origin = self.macro_sync.origin();
                if let Some(peer) = origin {
                    self.report(peer, Outcome::Conflicting, Some(reason.clone()));
                }
                self.fall_back(origin, origin.zip(block.map(|block| *block)), reason);
            }
            BackgroundEvent::Conflicting(peer, conflict) => {
                // It says something of our chain only where it stood by that.
                let stood_by_us =
                    self.good.contains(&peer) || self.macro_sync.origin() == Some(peer);
                self.report(peer, Outcome::Conflicting, Some(conflict.reason.clone()));
                self.ban(peer, &conflict.reason);
                if stood_by_us && conflict.weight != Weight::Breach {
                    self.fall_back(Some(peer), None, conflict.reason);
                }
            }
        }
    }
}
