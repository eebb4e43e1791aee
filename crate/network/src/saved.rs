//! What outlives the page: the key that we are known by, and peers to go back to.
//!
//! Both are bytes that somebody keeps and hands back one day, and are read as if a stranger had
//! written them: bounded, checked, of this network or of none. Peers that were connected are worth
//! more than contacts that were only heard of, so they are dialled first, but they don't take every
//! place: whoever once had all our connections must not have them for ever.

use libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol};
use nimiq_hash::{Blake2bHash, Blake2bHasher, Hasher};
use nimiq_serde::{Deserialize as _, Serialize as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    address::{self, AddressPolicy},
    config::Config,
    discovery::contact::{SignedPeerContact, bounded_vec},
    limits,
    pool::Candidate,
};

/// What every record begins with.
const MAGIC: [u8; 4] = *b"PSYP";
/// The layout that this release writes, and the only one that it reads.
const VERSION: u8 = 1;
const HASH_BYTES: usize = 32;
/// Magic, version, genesis hash.
const HEADER_BYTES: usize = MAGIC.len() + 1 + HASH_BYTES;

/// Why a record is of no use.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SavedError {
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// It was made by another release.
    #[error("its version is {0}, which this release does not read")]
    Version(u8),
    /// It is of another network.
    #[error("it is of another network")]
    Foreign,
}

/// The key of 32 secret bytes.
///
/// # Errors
/// [`SavedError::Damaged`] if there are more or less of them.
pub fn identity_from_secret(secret: &[u8]) -> Result<Keypair, SavedError> {
    // It is taken out of what it is given.
    let mut secret: [u8; 32] = secret.try_into().map_err(|_| SavedError::Damaged)?;
    Keypair::ed25519_from_bytes(&mut secret).map_err(|_| SavedError::Damaged)
}

/// A new key.
pub fn new_identity() -> Keypair {
    Keypair::generate_ed25519()
}

/// The 32 secret bytes of a key, or `None` if it is not Ed25519. To be kept where nobody else reads.
pub fn secret_of(identity: &Keypair) -> Option<[u8; 32]> {
    let pair = identity.clone().try_into_ed25519().ok()?;
    <[u8; 32]>::try_from(pair.secret().as_ref()).ok()
}

/// A peer that was connected.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct GoodPeer {
    /// Where it was reached, with its id at the end.
    address: Multiaddr,
    /// When it was last there, in Unix seconds.
    seen: u64,
    /// How often it could not be reached since.
    failures: u8,
}

impl GoodPeer {
    fn is_current(&self, now: u64) -> bool {
        self.seen <= now.saturating_add(limits::CLOCK_TOLERANCE.as_secs())
            && now.saturating_sub(self.seen) <= limits::MAX_GOOD_PEER_AGE.as_secs()
            && self.failures <= limits::GOOD_PEER_FAILURES
    }
}

/// Peers to go back to, as they are kept between two runs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedContacts {
    #[serde(deserialize_with = "bounded_vec::<_, _, { limits::MAX_GOOD_PEERS }>")]
    good: Vec<GoodPeer>,
    #[serde(deserialize_with = "bounded_vec::<_, _, { limits::MAX_SAVED_CONTACTS }>")]
    pub(crate) contacts: Vec<SignedPeerContact>,
}

impl SavedContacts {
    /// How many peers there are in it.
    pub fn len(&self) -> usize {
        self.good.len() + self.contacts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record, bound to the network whose genesis block has this hash.
    pub fn to_bytes(&self, genesis: &Blake2bHash) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(genesis.as_slice());
        bytes.extend(self.serialize_to_vec());
        let checksum = checksum(&bytes);
        bytes.extend(checksum.as_slice());
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The first reason found not to use it.
    pub fn from_bytes(bytes: &[u8], genesis: &Blake2bHash) -> Result<Self, SavedError> {
        let content = bytes.len().checked_sub(HASH_BYTES);
        let content =
            content.filter(|len| *len >= HEADER_BYTES && bytes.len() <= limits::MAX_SAVED_BYTES);
        let (content, sum) = bytes.split_at(content.ok_or(SavedError::Damaged)?);
        if content[..MAGIC.len()] != MAGIC || checksum(content).as_slice() != sum {
            return Err(SavedError::Damaged);
        }
        let (header, body) = content.split_at(HEADER_BYTES);
        match header[MAGIC.len()] {
            VERSION => {}
            version => return Err(SavedError::Version(version)),
        }
        if header[MAGIC.len() + 1..] != *genesis.as_slice() {
            return Err(SavedError::Foreign);
        }
        Self::deserialize_all(body).map_err(|_| SavedError::Damaged)
    }
}

fn checksum(bytes: &[u8]) -> Blake2bHash {
    Blake2bHasher::new().digest(bytes)
}

/// Peers that were connected once, and how that went since. Times are Unix seconds.
#[derive(Debug)]
pub(crate) struct GoodPeers {
    peers: Vec<GoodPeer>,
    desired: usize,
}

impl GoodPeers {
    /// Those of an earlier run that may be dialled, and are not too old.
    pub(crate) fn new(config: &Config, policy: AddressPolicy, now: u64) -> Self {
        let seeds: Vec<_> = config.seeds.iter().map(address::without_peer_id).collect();
        let mut peers = config.contacts.good.clone();
        peers.retain(|peer| {
            // What the user has named may be dialled wherever it is.
            let named = seeds.contains(&address::without_peer_id(&peer.address));
            let known = address::peer_id_of(&peer.address).is_some();
            let usable = policy.check(&peer.address).is_ok();
            let known = known && usable && peer.is_current(now);
            known && (named || policy.permits(&peer.address))
        });
        Self {
            peers,
            desired: config.desired_peers,
        }
    }

    /// A peer is connected at an address that we dialled, or still is.
    pub(crate) fn seen(&mut self, peer: PeerId, at: &Multiaddr, now: u64) {
        let address = address::without_peer_id(at).with(Protocol::P2p(peer));
        if address.len() > limits::MAX_ADDRESS_BYTES {
            return;
        }
        self.peers.retain(|known| known.address != address);
        if self.peers.len() >= limits::MAX_GOOD_PEERS {
            let oldest = self.peers.iter().enumerate();
            let oldest = oldest.min_by_key(|(_, known)| known.seen);
            if let Some(oldest) = oldest.map(|(at, _)| at) {
                self.peers.swap_remove(oldest);
            }
        }
        self.peers.push(GoodPeer {
            address,
            seen: now,
            failures: 0,
        });
    }

    /// Nobody, or somebody else, was reached at an address.
    pub(crate) fn failed(&mut self, at: &Multiaddr) {
        for peer in &mut self.peers {
            if address::without_peer_id(&peer.address) == *at {
                peer.failures = peer.failures.saturating_add(1);
            }
        }
    }

    /// Forgets a peer that turned out to be anything but good.
    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.peers
            .retain(|known| address::peer_id_of(&known.address) != Some(*peer));
    }

    /// Those to dial before anybody else: not all that there is room for, and only those that have not
    /// failed since.
    pub(crate) fn candidates(&self, now: u64) -> Vec<Candidate> {
        let places = (self.desired - self.desired / 4).max(1);
        self.peers
            .iter()
            .filter(|peer| peer.failures == 0 && peer.is_current(now))
            .map(|peer| Candidate::new(&peer.address))
            .take(places)
            .collect()
    }

    /// What to keep of them, together with some contacts.
    pub(crate) fn save(&self, mut contacts: Vec<SignedPeerContact>, now: u64) -> SavedContacts {
        contacts.truncate(limits::MAX_SAVED_CONTACTS);
        let good = self.peers.iter().filter(|peer| peer.is_current(now));
        SavedContacts {
            good: good.cloned().collect(),
            contacts,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nimiq_network_interface::peer_info::Services;
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn address(n: usize) -> Multiaddr {
        format!("/ip4/8.8.8.8/tcp/{}/ws", n + 1).parse().unwrap()
    }

    fn config(contacts: SavedContacts) -> Config {
        let identity = Keypair::generate_ed25519();
        Config {
            contacts,
            ..Config::new(identity, genesis(), vec![])
        }
    }

    fn good(config: &Config, now: u64) -> GoodPeers {
        GoodPeers::new(config, AddressPolicy::of(config), now)
    }

    fn genesis() -> Blake2bHash {
        Blake2bHash::from([7; 32])
    }

    fn sample() -> SavedContacts {
        let mut peers = good(&config(SavedContacts::default()), NOW);
        for n in 0..3 {
            peers.seen(PeerId::random(), &address(n), NOW);
        }
        let key = Keypair::generate_ed25519();
        let contact = SignedPeerContact::sign(&key, vec![address(9)], Services::HISTORY, NOW);
        peers.save(vec![contact.unwrap()], NOW)
    }

    #[test]
    fn records_come_back() {
        let saved = sample();
        let bytes = saved.to_bytes(&genesis());
        assert_eq!(SavedContacts::from_bytes(&bytes, &genesis()), Ok(saved));
        let other = Blake2bHash::from([8; 32]);
        assert_eq!(
            SavedContacts::from_bytes(&bytes, &other),
            Err(SavedError::Foreign)
        );
    }

    #[test]
    fn identities_come_back() {
        let identity = new_identity();
        let secret = secret_of(&identity).unwrap();
        let back = identity_from_secret(&secret).unwrap();
        assert_eq!(back.public(), identity.public());
        for wrong in [&secret[1..], &[secret.as_slice(), &[0]].concat(), &[]] {
            assert!(identity_from_secret(wrong).is_err());
        }
    }

    #[test]
    fn another_version_is_said_to_be_one() {
        let mut bytes = sample().to_bytes(&genesis());
        bytes[4] = 2;
        let content = bytes.len() - 32;
        let sum = checksum(&bytes[..content]);
        bytes[content..].copy_from_slice(sum.as_slice());
        assert_eq!(
            SavedContacts::from_bytes(&bytes, &genesis()),
            Err(SavedError::Version(2))
        );
    }

    #[test]
    fn stale_and_private_peers_are_dropped() {
        let mut peers = good(&config(SavedContacts::default()), NOW);
        peers.seen(PeerId::random(), &address(0), NOW);
        let private: Multiaddr = "/ip4/192.168.1.7/tcp/8443/ws".parse().unwrap();
        peers.seen(PeerId::random(), &private, NOW);
        let saved = peers.save(Vec::new(), NOW);
        assert_eq!(saved.len(), 2);
        let count = |config: &Config, now| good(config, now).candidates(now).len();
        let mut config = config(saved);
        assert_eq!(count(&config, NOW), 1);
        let age = limits::MAX_GOOD_PEER_AGE.as_secs();
        assert_eq!(count(&config, NOW + age), 1);
        assert_eq!(count(&config, NOW + age + 1), 0);
        // From the future, or our clock was put back.
        assert_eq!(count(&config, NOW - 3600), 0);
        // The user has named it.
        config.seeds = vec![private];
        assert_eq!(count(&config, NOW), 2);
    }

    #[test]
    fn some_places_are_left_to_others() {
        let mut config = config(SavedContacts::default());
        let mut peers = good(&config, NOW);
        for n in 0..3 * limits::MAX_GOOD_PEERS {
            peers.seen(PeerId::random(), &address(n), NOW + n as u64);
        }
        let later = NOW + 3 * limits::MAX_GOOD_PEERS as u64;
        config.contacts = peers.save(Vec::new(), later);
        assert_eq!(config.contacts.len(), limits::MAX_GOOD_PEERS);
        assert_eq!(peers.candidates(later).len(), 6);
        config.desired_peers = 1;
        assert_eq!(good(&config, later).candidates(later).len(), 1);
    }

    #[test]
    fn who_fails_comes_later_and_who_lies_never() {
        let config = config(SavedContacts::default());
        let mut peers = good(&config, NOW);
        let ids = [PeerId::random(), PeerId::random()];
        peers.seen(ids[0], &address(0), NOW);
        peers.seen(ids[1], &address(1), NOW);
        peers.failed(&address(0));
        assert_eq!(peers.candidates(NOW).len(), 1);
        assert_eq!(peers.save(Vec::new(), NOW).len(), 2);
        peers.seen(ids[0], &address(0), NOW);
        assert_eq!(peers.candidates(NOW).len(), 2);
        peers.remove(&ids[0]);
        assert_eq!(peers.save(Vec::new(), NOW).len(), 1);
        for _ in 0..=limits::GOOD_PEER_FAILURES {
            peers.failed(&address(1));
        }
        assert!(peers.save(Vec::new(), NOW).is_empty());
    }

    proptest! {
        #[test]
        fn no_byte_can_be_changed(at in any::<prop::sample::Index>(), bits in 1u8..) {
            let mut bytes = sample().to_bytes(&genesis());
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
            prop_assert!(SavedContacts::from_bytes(&bytes, &genesis()).is_err());
        }

        /// With a checksum that fits, so that what is behind it is reached.
        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = SavedContacts::default().to_bytes(&genesis());
            bytes.truncate(HEADER_BYTES);
            bytes.extend(body);
            let sum = checksum(&bytes);
            bytes.extend(sum.as_slice());
            if let Ok(saved) = SavedContacts::from_bytes(&bytes, &genesis()) {
                let _ = good(&config(saved), NOW).candidates(NOW);
            }
        }
    }
}
