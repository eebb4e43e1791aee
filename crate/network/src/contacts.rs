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
            own_key: public
                .try_into_ed25519()
                .map(|key| key.to_bytes())
                .unwrap_or_default(),
            required: config.required_services,
            policy: AddressPolicy::of(config),
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
        self.capacity > 0
            && inner.public_key != self.own_key
            && inner.services.contains(self.required)
            && is_current(inner.timestamp, now)
            && self
                .newest
                .get(&inner.public_key)
                .is_none_or(|newest| *newest < inner.timestamp)
            && inner
                .addresses
                .iter()
                .any(|address| self.policy.permits(address))
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
        self.newest
            .insert(contact.inner.public_key, contact.inner.timestamp);
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
        let greediest = counts
            .into_iter()
            .max_by_key(|(id, count)| (*count, *id))
            .map(|(id, _)| id);
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

    /// Peers that offer `services`, each with all addresses at which it may be dialled: at least one.
    pub fn dialable(&self, services: Services) -> Vec<(PeerId, Vec<Multiaddr>)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.contact.inner.services.contains(services))
            .map(|(id, entry)| (*id, self.permitted(entry)))
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect()
    }

    /// The addresses at which this peer may be dialled.
    pub fn addresses_of(&self, id: &PeerId) -> Vec<Multiaddr> {
        self.entries
            .get(id)
            .map(|entry| self.permitted(entry))
            .unwrap_or_default()
    }

    fn permitted(&self, entry: &Entry) -> Vec<Multiaddr> {
        let addresses = entry.contact.inner.addresses.iter();
        addresses
            .filter(|address| self.policy.permits(address))
            .cloned()
            .collect()
    }
}

fn is_current(timestamp: u64, now: u64) -> bool {
    // The clock is only known to within the tolerance, so that much of the future is accepted.
    timestamp <= now.saturating_add(limits::CLOCK_TOLERANCE.as_secs())
        && now.saturating_sub(timestamp) <= limits::MAX_CONTACT_AGE.as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use libp2p::identity::Keypair;
    use nimiq_hash::Blake2bHash;
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn book(capacity: usize) -> ContactBook {
        let identity = Keypair::generate_ed25519();
        let mut config = Config::new(identity, Blake2bHash::default(), vec![]);
        config.max_contacts = capacity;
        ContactBook::new(&config)
    }

    fn contact(key: &Keypair, timestamp: u64) -> SignedPeerContact {
        let address = "/ip4/8.8.8.8/tcp/8443/ws".parse().unwrap();
        SignedPeerContact::sign(key, vec![address], Services::ACCOUNTS_PROOF, timestamp).unwrap()
    }

    fn insert(book: &mut ContactBook, contact: &SignedPeerContact, sender: PeerId) -> bool {
        book.insert(contact.verify().unwrap(), contact.clone(), sender, NOW)
    }

    #[test]
    fn only_news_that_are_of_use() {
        let mut book = book(10);
        let (key, sender) = (Keypair::generate_ed25519(), PeerId::random());
        assert!(insert(&mut book, &contact(&key, NOW - 10), sender));
        assert!(!book.wants(&contact(&key, NOW - 10), NOW));
        assert!(!book.wants(&contact(&key, NOW - 11), NOW));
        assert!(book.wants(&contact(&key, NOW - 9), NOW));
        // Known already, but newer.
        assert!(!insert(&mut book, &contact(&key, NOW - 9), sender));
        assert_eq!(book.len(), 1);

        let other = Keypair::generate_ed25519();
        let age = limits::MAX_CONTACT_AGE.as_secs();
        let ahead = limits::CLOCK_TOLERANCE.as_secs();
        assert!(book.wants(&contact(&other, NOW - age), NOW));
        assert!(!book.wants(&contact(&other, NOW - age - 1), NOW));
        assert!(book.wants(&contact(&other, NOW + ahead), NOW));
        assert!(!book.wants(&contact(&other, NOW + ahead + 1), NOW));
        assert!(!book.wants(&contact(&other, u64::MAX), NOW));
        let useless = SignedPeerContact::sign(
            &other,
            vec!["/ip4/8.8.8.8/tcp/8443/ws".parse().unwrap()],
            Services::HISTORY,
            NOW,
        );
        assert!(!book.wants(&useless.unwrap(), NOW));
        let private = SignedPeerContact::sign(
            &other,
            vec!["/ip4/192.168.1.1/tcp/8443/ws".parse().unwrap()],
            Services::ACCOUNTS_PROOF,
            NOW,
        );
        assert!(!book.wants(&private.unwrap(), NOW));
    }

    #[test]
    fn contacts_age() {
        let mut book = book(10);
        let key = Keypair::generate_ed25519();
        insert(&mut book, &contact(&key, NOW), PeerId::random());
        let age = limits::MAX_CONTACT_AGE.as_secs();
        book.remove_expired(NOW + age);
        assert_eq!(book.len(), 1);
        assert_eq!(
            book.sample(Services::empty(), 5, &PeerId::random(), NOW + age)
                .len(),
            1
        );
        assert_eq!(
            book.sample(Services::empty(), 5, &PeerId::random(), NOW + age + 1)
                .len(),
            0
        );
        book.remove_expired(NOW + age + 1);
        assert!(book.is_empty() && book.newest.is_empty());
    }

    #[test]
    fn the_greediest_sender_makes_room() {
        let mut book = book(10);
        let (modest, greedy) = (PeerId::random(), PeerId::random());
        let rare = Keypair::generate_ed25519();
        insert(&mut book, &contact(&rare, NOW - 1000), modest);
        for _ in 0..50 {
            insert(
                &mut book,
                &contact(&Keypair::generate_ed25519(), NOW),
                greedy,
            );
        }
        assert_eq!(book.len(), 10);
        assert_eq!(book.newest.len(), 10);
        assert_eq!(book.addresses_of(&rare.public().to_peer_id()).len(), 1);
    }

    #[test]
    fn samples_are_bounded_and_spare_the_receiver() {
        let mut book = book(100);
        let keys: Vec<_> = (0..20).map(|_| Keypair::generate_ed25519()).collect();
        for key in &keys {
            insert(&mut book, &contact(key, NOW), PeerId::random());
        }
        let receiver = keys[0].public().to_peer_id();
        assert_eq!(book.sample(Services::empty(), 0, &receiver, NOW).len(), 0);
        assert_eq!(book.sample(Services::empty(), 5, &receiver, NOW).len(), 5);
        let all = book.sample(Services::ACCOUNTS_PROOF, 100, &receiver, NOW);
        assert_eq!(all.len(), 19);
        assert!(
            all.iter()
                .all(|contact| contact.inner.peer_id() != Some(receiver))
        );
        assert_eq!(book.sample(Services::HISTORY, 100, &receiver, NOW).len(), 0);
        assert_eq!(book.dialable(Services::ACCOUNTS_PROOF).len(), 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_book_is_bounded_and_consistent(
            steps in prop::collection::vec((0u8..40, 0u8..4, 0u64..4000, any::<bool>()), 0..100)
        ) {
            let mut book = book(8);
            let senders: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
            for (seed, sender, age, remove) in steps {
                let key = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
                if remove {
                    book.remove(&key.public().to_peer_id());
                } else {
                    insert(&mut book, &contact(&key, NOW - age), senders[usize::from(sender)]);
                }
                prop_assert!(book.len() <= 8);
                prop_assert_eq!(book.newest.len(), book.len());
                for (id, entry) in &book.entries {
                    prop_assert_eq!(entry.contact.verify(), Some(*id));
                }
            }
        }
    }
}
