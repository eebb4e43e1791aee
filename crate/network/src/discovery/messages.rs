//! The messages of the discovery protocol, in wire order of variants and fields.

use libp2p::{Multiaddr, identity::Keypair};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::Services;
use nimiq_utils::tagged_signing::{TaggedSignable, TaggedSignature};
use serde::{Deserialize, Serialize};

use super::contact::{SignedPeerContact, bounded_vec};
use crate::limits;

/// A random challenge; the other side signs it to prove that it holds its identity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeNonce(pub [u8; 32]);

impl ChallengeNonce {
    /// A fresh one.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl TaggedSignable for ChallengeNonce {
    const TAG: u8 = 0x01;
}

/// A discovery message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiscoveryMessage {
    /// The first message of each side.
    Handshake {
        /// The receiver's address as the sender sees it.
        observed_address: Multiaddr,
        /// To be signed by the receiver.
        challenge_nonce: ChallengeNonce,
        /// The sender's network.
        genesis_hash: Blake2bHash,
        /// Most contacts the sender accepts in one message.
        limit: u16,
        /// Services that contacts sent to the sender should offer.
        services: Services,
    },
    /// The second message of each side.
    HandshakeAck {
        /// The sender itself.
        peer_contact: SignedPeerContact,
        /// Over the nonce the receiver sent.
        response_signature: TaggedSignature<ChallengeNonce, Keypair>,
        /// How often the sender wants to hear of contacts, in seconds.
        update_interval: Option<u64>,
        /// Contacts to begin with.
        #[serde(deserialize_with = "bounded_vec::<_, _, { limits::MAX_CONTACTS_PER_UPDATE }>")]
        peer_contacts: Vec<SignedPeerContact>,
    },
    /// Further contacts, sent now and then.
    PeerAddresses {
        /// The contacts.
        #[serde(deserialize_with = "bounded_vec::<_, _, { limits::MAX_CONTACTS_PER_UPDATE }>")]
        peer_contacts: Vec<SignedPeerContact>,
    },
}
