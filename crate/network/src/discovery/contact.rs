//! Peer contacts: what a peer says about itself, signed with its identity key.

use std::fmt;

use libp2p::{
    Multiaddr, PeerId,
    identity::{Keypair, PublicKey, ed25519},
};
use nimiq_keys::Address;
use nimiq_network_interface::peer_info::Services;
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignable, TaggedSignature};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};

use crate::limits;

/// What links a contact to a validator. It is signed by the validator's key and of no use to a light
/// client, but part of what the peer signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorInfo {
    /// The validator's address.
    pub validator_address: Address,
    /// The validator's signature, not checked here.
    pub signature: Vec<u8>,
}

/// What a peer says about itself. Fields in wire order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerContact {
    /// Addresses the peer can be dialled at, at most [`limits::MAX_ADDRESSES_PER_CONTACT`].
    #[serde(deserialize_with = "bounded_vec::<_, _, { limits::MAX_ADDRESSES_PER_CONTACT }>")]
    pub addresses: Vec<Multiaddr>,
    /// The raw Ed25519 key. Kept raw: unpacking a key costs as much as a signature check, and is
    /// not spent on contacts that are dropped anyway.
    pub public_key: [u8; 32],
    /// Services the peer offers.
    pub services: Services,
    /// Set if the peer runs a validator.
    pub validator_info: Option<ValidatorInfo>,
    /// When the contact was made, in Unix seconds.
    pub timestamp: u64,
}

impl TaggedSignable for PeerContact {
    const TAG: u8 = 0x02;
}

impl PeerContact {
    /// The key; `None` if the bytes are no point of the curve.
    pub fn public_key(&self) -> Option<PublicKey> {
        ed25519::PublicKey::try_from_bytes(&self.public_key)
            .ok()
            .map(PublicKey::from)
    }

    /// Whether this is the contact of a peer. Without curve arithmetic: the id of an Ed25519 key is
    /// the key itself with a prefix.
    pub fn is_of(&self, peer: &PeerId) -> bool {
        peer.as_ref().digest().ends_with(&self.public_key)
    }

    /// The peer id that belongs to the key, if it is one.
    pub fn peer_id(&self) -> Option<PeerId> {
        self.public_key().map(|key| key.to_peer_id())
    }
}

/// A [`PeerContact`] with the signature of the peer it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPeerContact {
    /// The contact.
    pub inner: PeerContact,
    /// Ed25519 over `02 ‖ contact`.
    pub signature: TaggedSignature<PeerContact, Keypair>,
}

impl SignedPeerContact {
    /// Makes and signs a contact about ourselves. `None` if the key isn't Ed25519.
    pub fn sign(
        identity: &Keypair,
        mut addresses: Vec<Multiaddr>,
        services: Services,
        timestamp: u64,
    ) -> Option<Self> {
        let public_key = identity.public().try_into_ed25519().ok()?.to_bytes();
        addresses.truncate(limits::MAX_ADDRESSES_PER_CONTACT);
        addresses.sort_unstable();
        let inner = PeerContact {
            addresses,
            public_key,
            services,
            validator_info: None,
            timestamp,
        };
        let signature = identity.tagged_sign(&inner);
        Some(Self { inner, signature })
    }

    /// Checks the signature, and returns whose contact it is. Costs two curve operations.
    pub fn verify(&self) -> Option<PeerId> {
        let key = self.inner.public_key()?;
        self.signature
            .tagged_verify(&self.inner, &key)
            .then(|| key.to_peer_id())
    }
}

/// Decodes a list, and refuses it by its announced length before any of its items is read.
pub(crate) fn bounded_vec<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let announced = seq.size_hint().unwrap_or(0);
            if announced > MAX {
                return Err(A::Error::invalid_length(announced, &self));
            }
            let mut items = Vec::with_capacity(announced);
            while let Some(item) = seq.next_element()? {
                if items.len() >= MAX {
                    return Err(A::Error::invalid_length(items.len() + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(std::marker::PhantomData))
}
