//! Catching up on what nobody told us of: by receipts, an address at a time.

use futures::FutureExt;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;

use super::{
    Follower,
    jobs::{self, Gap, LookBack},
};
use crate::limits;

impl<TNetwork: Network> Follower<TNetwork> {
    /// Something may have been missed of an address since a block.
    pub(super) fn miss(&mut self, address: Address, since: u32) {
        let since = since.max(self.watchers.since(&address).unwrap_or(since));
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.address == address) {
            gap.since = gap.since.min(since);
            return;
        }
        let few = self.watchers.addresses().count() <= limits::FEW_ADDRESSES;
        self.gaps.push_back(Gap {
            address,
            since,
            // One peer may hide something, but asking two about hundreds of addresses takes minutes.
            voices: if few { 2 } else { 1 },
            asked: Vec::new(),
        });
    }

    pub(super) fn miss_all(&mut self, since: u32) {
        let addresses: Vec<_> = self.watchers.addresses().cloned().collect();
        for address in addresses {
            self.miss(address, since);
        }
    }

    /// Asks for receipts, slowly: whoever asks for the history of an address comes first.
    pub(super) fn catch_up(&mut self) {
        let room = limits::CATCH_UPS_PER_SECOND.saturating_sub(self.catching_up);
        for _ in 0..room {
            let Some(gap) = self.gaps.pop_front() else {
                return;
            };
            // Somebody watched that is gone, or sent what is settled.
            let is_watched = self.watchers.since(&gap.address).is_some();
            if !is_watched {
                continue;
            }
            self.catching_up += 1;
            self.jobs
                .push(jobs::look_back(self.queries.clone(), gap).boxed());
        }
    }

    pub(super) fn caught_up(
        &mut self,
        mut gap: Gap<TNetwork::PeerId>,
        answer: LookBack<TNetwork::PeerId>,
    ) {
        match answer {
            Some((peer, Ok(receipts))) => {
                gap.asked.push(peer);
                let all_noted = receipts
                    .into_iter()
                    .all(|receipt| self.book.claim(peer, receipt));
                if !all_noted {
                    gap.asked.pop();
                } else {
                    gap.voices = gap.voices.saturating_sub(1);
                }
            }
            Some((peer, Err(_))) => gap.asked.push(peer),
            // Nobody else to ask. If nobody at all was, somebody may come.
            None if gap.asked.is_empty() => {}
            None => gap.voices = 0,
        }
        if gap.voices > 0 {
            self.gaps.push_back(gap);
        }
    }
}
