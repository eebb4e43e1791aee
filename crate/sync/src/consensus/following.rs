//! Following the chain: what live sync reports, and the heads that peers name.

use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;

use super::{Consensus, HeadAnswer};
use crate::{event::SyncEvent, limits, live::LiveEvent, messages::ResponseHead, requests};

impl<TNetwork: Network> Consensus<TNetwork> {
    pub(super) fn handle_live(&mut self, event: LiveEvent<TNetwork::PeerId>) {
        match event {
            LiveEvent::Pushed {
                pushed,
                announced,
                timestamp,
            } => {
                if pushed.adopted.is_empty() {
                    return;
                }
                if announced {
                    self.announced += 1;
                    self.seconds_to_head_request = limits::HEAD_REQUEST_INTERVAL.as_secs();
                    self.check_clock(timestamp);
                }
                self.chase_heads();
            }
            LiveEvent::OutOfReach(peer) => self.look_again(peer),
            LiveEvent::Fault(peer, fault) => self.handle_fault(peer, &fault),
        }
    }

    pub(super) fn note_head(&mut self, peer: TNetwork::PeerId, head: &ResponseHead) {
        self.heads.insert(peer, head);
        self.chase_heads();
    }

    /// Fetches the blocks up to heads that we do not hold, once what we have is dealt with.
    pub(super) fn chase_heads(&mut self) {
        if !self.live.is_idle() {
            return;
        }
        for (peer, hash) in self.heads.unknown(&self.context.chain) {
            self.live.fetch(hash, peer);
        }
    }

    pub(super) fn request_heads(&mut self) {
        for peer in self.good.iter().copied() {
            let network = self.context.network.clone();
            self.head_answers
                .start(peer, async move { requests::head(&*network, peer).await });
        }
    }

    pub(super) fn handle_head(&mut self, peer: TNetwork::PeerId, answer: HeadAnswer) {
        match answer {
            Ok(head) if self.can_follow(&head) => self.note_head(peer, &head),
            Ok(_) => self.look_again(peer),
            Err(fault) => self.handle_fault(peer, &fault),
        }
    }

    /// Whether live sync gets from our head to a peer's by itself.
    pub(super) fn can_follow(&self, head: &ResponseHead) -> bool {
        let can_follow = self.context.chain.read(|chain| {
            let ours = chain.head().block_number();
            let window = limits::WINDOW_AHEAD_BATCHES * Policy::blocks_per_batch();
            let same_past = head.block_number > ours
                || chain.knows_election(&head.election_hash)
                || chain.election_head().header.parent_election_hash == head.election_hash;
            head.block_number.abs_diff(ours) <= window && same_past
        });
        can_follow == Some(true)
    }

    pub(super) fn check_clock(&mut self, timestamp: u64) {
        let now = self.context.chain.clock.now_ms();
        let skew =
            i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(timestamp).unwrap_or(i64::MAX);
        let off = u128::from(skew.unsigned_abs()) > limits::CLOCK_SKEW_REPORTED.as_millis();
        if off && !self.clock_skew_reported {
            self.events.emit(SyncEvent::Clock { skew_ms: skew });
        }
        self.clock_skew_reported = off;
    }
}
