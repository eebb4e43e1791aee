//! The book of peer contacts: whom we have heard of, from whom, and how to reach them.
//!
//! It holds only what could be dialled one day: contacts that offer the required services at an
//! address this build may dial, not older than half an hour. It is bounded, and when it is full, the
//! sender that has filled most of it makes room, so that one peer alone can't crowd out the rest.

use std::collections::HashMap;

use libp2p::{Multiaddr, PeerId};
use nimiq_network_interface::peer_info::Services;
use rand::seq::IteratorRandom;

use crate::{
    address::AddressPolicy, config::Config, discovery::contact::SignedPeerContact, limits,
};

#[derive(Debug)]
struct Entry {
    contact: SignedPeerContact,
    /// Who told us.
    sender: PeerId,
}

/// The book of peer contacts. Times are Unix seconds by the network's clock.
#[derive(Debug)]
pub struct ContactBook {
    own_id: PeerId,
    own_key: [u8; 32],
    required: Services,
    policy: AddressPolicy,
    capacity: usize,
    entries: HashMap<PeerId, Entry>,
    /// The newest time stamp kept for a key, to tell without curve arithmetic what is old news.
    newest: HashMap<[u8; 32], u64>,
}

impl ContactBook {
    /// An empty book.
    pub fn new(config: &Config) -> Self {
        let public = config.identity.public();
        Self {
            own_id: public.to_peer_id(),
            own_key: public.try_into_ed25519().map(|key| key.to_bytes()).unwrap_or_default(),
            required: config.required_services,
            policy: AddressPolicy {
                allow_loopback: config.allow_loopback,
                secure_only: config.secure_only,
            },
            capacity: config.max_contacts,
            entries: HashMap::new(),
            newest: HashMap::new(),
        }
    }

    /// Number of contacts.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the book is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a contact is worth checking its signature: useful, reachable, recent, and news. This
    /// is cheap, and is asked before anything that isn't.
    pub fn wants(&self, contact: &SignedPeerContact, now: u64) -> bool {
        let inner = &contact.inner;
        inner.public_key != self.own_key
            && inner.services.contains(self.required)
            && is_current(inner.timestamp, now)
            && self.newest.get(&inner.public_key).is_none_or(|newest| *newest < inner.timestamp)
            && inner.addresses.iter().any(|address| self.policy.permits(address))
    }

    /// Takes in a contact whose signature has been checked and belongs to `id`. Returns whether the
    /// peer was unknown.
    pub fn insert(
        &mut self,
        id: PeerId,
        contact: SignedPeerContact,
        sender: PeerId,
        now: u64,
    ) -> bool {
        if id == self.own_id || self.capacity == 0 || !self.wants(&contact, now) {
            return false;
        }
        let new = !self.entries.contains_key(&id);
        if new && self.entries.len() >= self.capacity {
            self.make_room(now);
        }
        self.newest.insert(contact.inner.public_key, contact.inner.timestamp);
        self.entries.insert(id, Entry { contact, sender });
        new
    }

    fn make_room(&mut self, now: u64) {
        self.remove_expired(now);
        if self.entries.len() < self.capacity {
            return;
        }
        let mut counts: HashMap<PeerId, usize> = HashMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.sender).or_default() += 1;
        }
        let greediest = counts.into_iter().max_by_key(|(id, count)| (*count, *id)).map(|(id, _)| id);
        let victim = self
            .entries
            .iter()
            .filter(|(_, entry)| Some(entry.sender) == greediest)
            .min_by_key(|(id, entry)| (entry.contact.inner.timestamp, **id))
            .map(|(id, _)| *id);
        if let Some(victim) = victim {
            self.remove(&victim);
        }
    }

    /// Forgets a peer.
    pub fn remove(&mut self, id: &PeerId) {
        if let Some(entry) = self.entries.remove(id) {
            self.newest.remove(&entry.contact.inner.public_key);
        }
    }

    /// Forgets contacts that are too old, or, after a correction of the clock, from the future.
    pub fn remove_expired(&mut self, now: u64) {
        let newest = &mut self.newest;
        self.entries.retain(|_, entry| {
            let keep = is_current(entry.contact.inner.timestamp, now);
            if !keep {
                newest.remove(&entry.contact.inner.public_key);
            }
            keep
        });
    }

    /// Up to `limit` random contacts that offer `services`, to pass on to `receiver`.
    pub fn sample(
        &self,
        services: Services,
        limit: usize,
        receiver: &PeerId,
        now: u64,
    ) -> Vec<SignedPeerContact> {
        self.entries
            .iter()
            .filter(|(id, entry)| {
                *id != receiver
                    && entry.contact.inner.services.contains(services)
                    && is_current(entry.contact.inner.timestamp, now)
            })
            .map(|(_, entry)| &entry.contact)
            .sample(&mut rand::rng(), limit)
            .into_iter()
            .cloned()
            .collect()
    }

    /// Peers that offer `services`, each with an address to dial: a random one of the permitted.
    pub fn dialable(&self, services: Services) -> Vec<(PeerId, Multiaddr)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.contact.inner.services.contains(services))
            .filter_map(|(id, entry)| Some((*id, self.pick(entry)?)))
            .collect()
    }

    /// An address of this peer to dial.
    pub fn address_of(&self, id: &PeerId) -> Option<Multiaddr> {
        self.pick(self.entries.get(id)?)
    }

    fn pick(&self, entry: &Entry) -> Option<Multiaddr> {
        let addresses = entry.contact.inner.addresses.iter();
        addresses.filter(|address| self.policy.permits(address)).choose(&mut rand::rng()).cloned()
    }
}

fn is_current(timestamp: u64, now: u64) -> bool {
    // The clock is only known to within the tolerance, so that much of the future is accepted.
    timestamp <= now.saturating_add(limits::CLOCK_TOLERANCE.as_secs())
        && now.saturating_sub(timestamp) <= limits::MAX_CONTACT_AGE.as_secs()
}
