//! Who is there: peers that join and leave, and those that we look at again or give up.

use std::collections::HashSet;

use nimiq_network_interface::network::{CloseReason, Network, NetworkEvent};

use super::Consensus;
use crate::{
    event::{Outcome, SyncEvent},
    limits,
    macro_sync::{MacroSyncReturn, Reason},
    requests::PeerFault,
};

impl<TNetwork: Network> Consensus<TNetwork> {
    pub(super) fn handle_network_event(&mut self, event: Option<NetworkEvent<TNetwork::PeerId>>) {
        match event {
            Some(NetworkEvent::PeerJoined(peer, _)) => self.peer_joined(peer),
            Some(NetworkEvent::PeerLeft(peer)) => self.forget(&peer),
            Some(NetworkEvent::DhtReady) => {}
            // We missed some: go by who is connected.
            None => {
                let connected: HashSet<_> = self.context.network.get_peers().into_iter().collect();
                for peer in self
                    .peers
                    .difference(&connected)
                    .copied()
                    .collect::<Vec<_>>()
                {
                    self.forget(&peer);
                }
                for peer in connected {
                    self.peer_joined(peer);
                }
            }
        }
    }

    pub(super) fn peer_joined(&mut self, peer: TNetwork::PeerId) {
        // It may have left already, which we hear next. Two connections can make it join twice.
        if !self.context.network.has_peer(peer) || !self.peers.insert(peer) {
            return;
        }
        if self.context.network.peer_provides_required_services(peer) {
            self.macro_sync.add_peer(peer);
            return;
        }
        let info = self.context.network.get_peer_info(peer);
        let reason = match info.is_some_and(|info| info.get_services().is_empty()) {
            true => "it offers no services",
            false => "it lacks the services that we need",
        };
        self.handle_macro_sync(MacroSyncReturn::Incompatible(peer, reason.into()));
    }

    pub(super) fn forget(&mut self, peer: &TNetwork::PeerId) {
        self.peers.remove(peer);
        self.leave_live(peer);
        self.macro_sync.remove_peer(peer);
        self.recheck.remove(peer);
        self.looked_at.remove(peer);
        self.disagreements.remove(peer);
        self.status.write().outcomes.remove(&peer.to_string());
        if let Some(background) = &mut self.background {
            background.remove_peer(peer);
        }
        if let Some(trial) = &mut self.trial {
            trial.forget(peer);
        }
    }

    pub(super) fn leave_live(&mut self, peer: &TNetwork::PeerId) {
        self.good.remove(peer);
        self.live.remove_peer(peer);
        self.heads.remove(peer);
        self.head_answers.cancel(peer);
    }

    /// Sends a peer through macro sync.
    pub(super) fn look_at(&mut self, peer: TNetwork::PeerId) {
        self.leave_live(&peer);
        self.recheck.remove(&peer);
        if self.peers.contains(&peer) {
            self.macro_sync.add_peer(peer);
        }
    }

    /// Sends a peer through macro sync again, but not time and again without a pause.
    pub(super) fn look_again(&mut self, peer: TNetwork::PeerId) {
        match self.looked_at.get(&peer).copied() {
            Some(seconds) => {
                self.leave_live(&peer);
                self.recheck_in(peer, seconds);
            }
            None => {
                self.look_at(peer);
                if self.peers.contains(&peer) {
                    self.looked_at
                        .insert(peer, limits::OUTDATED_RECHECK.as_secs());
                }
            }
        }
    }

    pub(super) fn recheck_in(&mut self, peer: TNetwork::PeerId, seconds: u64) {
        if self.peers.contains(&peer) {
            self.recheck.insert(peer, seconds);
        }
    }

    /// Gives up a peer: closes the connection, and keeps nothing of it.
    pub(super) fn drop_peer(&mut self, peer: TNetwork::PeerId, reason: CloseReason, why: &str) {
        self.forget(&peer);
        self.context.disconnect(peer, reason, why);
    }

    pub(super) fn ban(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.drop_peer(peer, CloseReason::MaliciousPeer, why);
    }

    pub(super) fn handle_fault(&mut self, peer: TNetwork::PeerId, fault: &PeerFault) {
        match fault {
            // Its block may be valid, and the chain that it is held against not.
            PeerFault::Lied(_) if self.put_on_trial(peer) => self.leave_live(&peer),
            PeerFault::Lied(why) => self.ban(peer, why),
            PeerFault::Failed(why) => self.drop_peer(peer, CloseReason::Error, why),
            PeerFault::Lacks(_) => self.look_again(peer),
        }
    }

    pub(super) fn report(
        &mut self,
        peer: TNetwork::PeerId,
        outcome: Outcome,
        reason: Option<Reason>,
    ) {
        let peer_id = peer.to_string();
        let mut status = self.status.write();
        if status.outcomes.len() < limits::MAX_REMEMBERED_PEERS
            || status.outcomes.contains_key(&peer_id)
        {
            status.outcomes.insert(peer_id.clone(), outcome);
        }
        drop(status);
        let reason = reason.map(Reason::into_owned);
        self.events.emit(SyncEvent::MacroSync {
            outcome,
            peer_id,
            reason,
        });
    }
}
