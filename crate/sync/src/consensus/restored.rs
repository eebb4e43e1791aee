//! A chain that an earlier run left behind, until the network has confirmed it.
//!
//! It was verified once, and what was verified stays so. But records can be put in place by others
//! than us, and networks can be begun anew, so a restored chain does not make liars of the peers that
//! contradict it before others have stood by it. If nobody does, or more contradict it than stand by
//! it, it is given up and the sync starts where it would have without it.

use std::collections::HashSet;
use std::hash::Hash;

use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;

use super::{Consensus, SyncMode};
use crate::{
    event::{StorageRecord, StorageStatus, SyncEvent, SyncerKind, Trust, TrustSource},
    limits,
    macro_sync::{EitherSyncer, LightMacroSync, PicoMacroSync, Reason},
    saved::SavedChain,
};

/// The time in which a restored chain is on trial.
#[derive(Debug)]
pub(super) struct Trial<TPeerId> {
    /// Whether the sync goes on from it. If not, trust starts at it.
    resumed: bool,
    /// Peers that contradict it.
    against: HashSet<TPeerId>,
    /// For how many seconds they have been more than those who stand by it.
    disputed: u64,
    /// For how many seconds nobody has stood by it, and it has not grown.
    lonely: u64,
    macro_head: Option<Blake2bHash>,
}

impl<TPeerId: Copy + Eq + Hash> Trial<TPeerId> {
    fn new(resumed: bool) -> Self {
        Self {
            resumed,
            against: HashSet::new(),
            disputed: 0,
            lonely: 0,
            macro_head: None,
        }
    }

    pub(super) fn forget(&mut self, peer: &TPeerId) {
        self.against.remove(peer);
    }

    /// A second has passed. Says what speaks against the chain, if that is enough.
    fn tick(
        &mut self,
        for_it: usize,
        could_confirm: bool,
        macro_head: Option<Blake2bHash>,
    ) -> Option<&'static str> {
        let grown = macro_head != self.macro_head;
        self.macro_head = macro_head;
        self.disputed = match self.against.len() > for_it {
            true => self.disputed + 1,
            false => 0,
        };
        self.lonely = match for_it == 0 && could_confirm && !grown {
            true => self.lonely + 1,
            false => 0,
        };
        if self.disputed >= limits::RESTORED_DISPUTE.as_secs() {
            Some("more peers contradict it than stand by it")
        } else if self.lonely >= limits::RESTORED_PATIENCE.as_secs() {
            Some("no peer confirms it")
        } else {
            None
        }
    }
}

impl<TNetwork: Network> Consensus<TNetwork> {
    /// Takes up what an earlier run left behind: as our chain where it is recent, else as the place
    /// where trust starts.
    pub(super) fn restore(&mut self, saved: &SavedChain) {
        let chain = &self.context.chain;
        let restored = saved
            .rests_on(chain.root())
            .and_then(|()| saved.chain(chain.params, chain.clock.clone()));
        let restored = match restored {
            Ok(restored) => restored,
            Err(error) => return self.say_discarded(error.to_string()),
        };
        let resumed = saved.is_recent(&chain.clock);
        let block_number = match resumed {
            true => saved.block_number(),
            false => saved.as_anchor().block_number,
        };
        self.events.emit(SyncEvent::Storage {
            status: StorageStatus::Restored,
            record: StorageRecord::Chain,
            reason: None,
            block_number: Some(block_number),
        });
        chain.set_anchor(Some(saved));
        if resumed && chain.start(restored, Trust::Verified) {
            chain.set_trust(Trust::Verified, TrustSource::Storage);
        }
        self.trial = Some(Trial::new(resumed));
    }

    /// A peer contradicts our chain. Returns whether that is held against the chain for now, and not
    /// against the peer.
    pub(super) fn put_on_trial(&mut self, peer: TNetwork::PeerId) -> bool {
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.resumed) else {
            return false;
        };
        trial.against.insert(peer);
        self.recheck_in(peer, limits::OUTDATED_RECHECK.as_secs());
        true
    }

    /// A second has passed.
    pub(super) fn tick_trial(&mut self) {
        let network = &self.context.network;
        let mut peers = self.peers.iter();
        let could_confirm = peers.any(|peer| network.peer_provides_required_services(*peer));
        let macro_head = self
            .context
            .chain
            .heads()
            .map(|heads| heads.macro_head.hash);
        let Some(trial) = &mut self.trial else {
            return;
        };
        if let Some(why) = trial.tick(self.good.len(), could_confirm, macro_head) {
            self.give_up_restored(why.into());
        }
    }

    /// Enough peers stand by the restored chain: who contradicts it has to answer for that.
    pub(super) fn end_trial(&mut self) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        for peer in trial.against {
            self.look_at(peer);
        }
    }

    /// Ends the trial if the sync goes on from the restored chain, which enough peers stand by now, and
    /// on which a block has been accepted: only that shows that the validators are the right ones, down
    /// to their signing keys, which the hash of an election block does not cover in its first version.
    pub(super) fn end_trial_if_resumed(&mut self) {
        let resumed = self.trial.as_ref().is_some_and(|trial| trial.resumed);
        if resumed && self.context.chain.read(|chain| chain.head().is_micro()) == Some(true) {
            self.end_trial();
        }
    }

    fn say_discarded(&self, reason: String) {
        log::warn!("the stored chain is discarded: {reason}");
        self.events.emit(SyncEvent::Storage {
            status: StorageStatus::Discarded,
            record: StorageRecord::Chain,
            reason: Some(reason),
            block_number: None,
        });
    }

    fn give_up_restored(&mut self, reason: Reason) {
        self.trial = None;
        self.say_discarded(reason.into_owned());
        self.context.chain.set_anchor(None);
        let light = self.macro_sync.kind() == SyncerKind::Light;
        self.leave_chain();
        let context = self.context.clone();
        self.switch_to(match light || self.config.mode == SyncMode::Light {
            true => EitherSyncer::Fallback(LightMacroSync::new(context)),
            false => EitherSyncer::Normal(PicoMacroSync::new(context)),
        });
        // Consensus is lost before the chain is, so that nobody sees it with no chain.
        self.update_status();
        self.context.chain.replace(None);
        self.examine_others();
    }

    /// Forgets what was found out about peers on a chain that is being given up.
    pub(super) fn leave_chain(&mut self) {
        for peer in std::mem::take(&mut self.good) {
            self.leave_live(&peer);
        }
        self.recheck.clear();
        self.disagreements.clear();
        self.heads.clear();
        self.announced = 0;
        self.live.reset();
    }
}
