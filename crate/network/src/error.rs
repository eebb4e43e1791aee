//! What can go wrong, and why a peer left: one type for each question a caller can ask.

use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use crate::peers::Transport;

/// Where a discovery handshake stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryState {
    /// One substream is wanted in each direction.
    Opening,
    /// The peer's handshake is awaited.
    Handshake,
    /// The peer's acknowledgement is awaited.
    Acknowledgement,
    /// The handshake is done; the peer may send contacts.
    Established,
}

impl std::fmt::Display for DiscoveryState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Handshake => "handshake",
            Self::Acknowledgement => "acknowledgement",
            Self::Established => "established",
        })
    }
}

/// Why the discovery protocol gave up on a connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DiscoveryError {
    /// The substream broke.
    #[error("discovery stream failed: {0}")]
    Io(String),
    /// The peer ended its stream, which nodes never do while connected.
    #[error("peer ended the discovery stream")]
    StreamEnded,
    /// The peer doesn't speak the discovery protocol: it is no Nimiq node.
    #[error("peer doesn't speak Nimiq's discovery protocol")]
    Unsupported,
    /// The peer didn't do its step in time.
    #[error("peer didn't answer in time ({0})")]
    Timeout(DiscoveryState),
    /// A frame that is no message of this protocol.
    #[error("malformed discovery message ({0})")]
    Malformed(DiscoveryState),
    /// A frame that announces more bytes than allowed.
    #[error("discovery message of {size} bytes, at most {max} allowed")]
    Oversized {
        /// Announced size in bytes.
        size: usize,
        /// Largest allowed size in bytes.
        max: usize,
    },
    /// A message that doesn't belong there.
    #[error("unexpected discovery message ({0})")]
    Unexpected(DiscoveryState),
    /// The peer is on another network.
    #[error("peer is on another network, its genesis hash is {0}")]
    WrongGenesis(String),
    /// The peer couldn't prove that it holds the key of the contact it presented.
    #[error("peer failed the identity challenge")]
    ChallengeFailed,
    /// A contact whose signature is wrong.
    #[error("peer sent a contact with a wrong signature")]
    ForgedContact,
    /// Contacts more often than agreed.
    #[error("peer sends contacts too often")]
    TooFrequentUpdates,
    /// A second discovery stream on the same connection.
    #[error("peer opened a second discovery stream")]
    DuplicateStream,
}

impl DiscoveryError {
    /// Whether no honest peer, however slow, broken off or outdated, can cause this.
    pub fn is_malicious(&self) -> bool {
        matches!(
            self,
            Self::ChallengeFailed | Self::ForgedContact | Self::Oversized { .. }
        )
    }
}

/// How a peer broke the rules of requests or gossip.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Violation {
    /// A request that announces more bytes than allowed.
    #[error("request of {0} bytes")]
    OversizedRequest(u64),
    /// A request that ends early, or is no request of this protocol.
    #[error("malformed request{}", .0.map(|id| format!(" of type {id}")).unwrap_or_default())]
    MalformedRequest(Option<u16>),
    /// Far more requests than the rate limit of their type allows.
    #[error("flood of requests of type {0}")]
    RequestFlood(u16),
    /// A response that announces more bytes than allowed.
    #[error("response of {0} bytes")]
    OversizedResponse(u64),
    /// A response that can't be decoded as an answer to what was asked.
    #[error("malformed response to a request of type {0}")]
    MalformedResponse(u16),
    /// Gossip that can't be decoded, or is larger than its topic allows, again and again.
    #[error("malformed gossip on topic {0}")]
    MalformedGossip(String),
    /// What is no gossip at all on a stream for gossip, again and again.
    #[error("malformed gossip")]
    MalformedGossipStream,
}

impl Violation {
    /// Whether no honest peer can cause this.
    pub fn is_malicious(&self) -> bool {
        matches!(
            self,
            Self::OversizedRequest(_) | Self::OversizedResponse(_) | Self::RequestFlood(_)
        )
    }
}

/// Why a peer is no longer connected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LeaveReason {
    /// The peer closed the connection, or it broke.
    #[error("connection closed{}", .0.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Closed(Option<String>),
    /// The peer didn't answer a ping.
    #[error("ping failed: {0}")]
    Ping(String),
    /// The discovery protocol failed.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The peer broke the rules of requests or gossip.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Our side asked for it.
    #[error("disconnected by us")]
    Requested,
    /// It did not answer, or not with anything of use.
    #[error("given up: it does not answer")]
    Failed,
    /// Our side found it malicious and banned it.
    #[error("banned")]
    Banned,
    /// Enough peers that don't offer what we need are connected already.
    #[error("doesn't offer the required services, and enough such peers are connected")]
    Surplus,
    /// We are going offline.
    #[error("going offline")]
    GoingOffline,
}

impl LeaveReason {
    /// Whether the peer is banned for it.
    pub fn is_malicious(&self) -> bool {
        match self {
            Self::Banned => true,
            Self::Discovery(error) => error.is_malicious(),
            Self::Violation(violation) => violation.is_malicious(),
            _ => false,
        }
    }
}

/// Why a dial didn't end in a connected peer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DialError {
    /// The address has no form this build can dial.
    #[error("address {0} can't be dialled: unsupported form")]
    Unsupported(Multiaddr),
    /// The address is of a transport that is not available here, or not wanted.
    #[error("address {address} can't be dialled: {}", .transport.why_off())]
    TransportOff {
        /// The address.
        address: Multiaddr,
        /// Its transport.
        transport: Transport,
    },
    /// Only encrypted addresses may be dialled from here.
    #[error("address {0} can't be dialled: only wss and webrtc-direct are allowed here")]
    Insecure(Multiaddr),
    /// Peer or address is banned at the moment.
    #[error("peer is banned")]
    Banned,
    /// The address is our own.
    #[error("the address leads back to this client")]
    Own,
    /// No address is known for the peer id.
    #[error("no address known for {0}")]
    UnknownPeer(PeerId),
    /// The connection couldn't be made: refused, unreachable, no such name, timed out.
    #[error("connection failed: {0}")]
    Transport(String),
    /// Somebody else answered at this address.
    #[error("a peer with another identity answered: {0}")]
    WrongPeer(PeerId),
    /// Too many connections are open or being opened.
    #[error("connection limit reached")]
    Limit,
    /// Connected, but the peer left, or was let go, before it counted as a peer.
    #[error("lost during the handshake: {0}")]
    Lost(LeaveReason),
    /// The network is offline or going there.
    #[error("the network is offline")]
    Offline,
    /// The network is closed.
    #[error("the network is closed")]
    Closed,
}

/// Why the network can't listen on an address.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ListenError {
    /// The transport refused: unsupported address, in use, not permitted.
    #[error("can't listen on {address}: {reason}")]
    Refused {
        /// The address asked for.
        address: Multiaddr,
        /// What the transport said.
        reason: String,
    },
    /// The network is closed.
    #[error("the network is closed")]
    Closed,
}

/// Errors of the [`Network`](nimiq_network_interface::network::Network) methods.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// The network is closed.
    #[error("the network is closed")]
    Closed,
    /// A dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Not enough peers with these services could be connected.
    #[error("not enough peers offer these services")]
    PeersNotFound,
    /// The topic has a subscriber already.
    #[error("already subscribed to topic {0}")]
    AlreadySubscribed(String),
    /// The topic has no subscriber.
    #[error("not subscribed to topic {0}")]
    NotSubscribed(String),
    /// Too many topics, or gossip refused the topic.
    #[error("can't subscribe to topic {topic}: {reason}")]
    Subscribe {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// No peer takes messages of this topic at the moment.
    #[error("no peer is subscribed to topic {0}")]
    NoSubscribers(String),
    /// The message couldn't be published.
    #[error("can't publish on topic {topic}: {reason}")]
    Publish {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// The request is no longer waiting for an answer: answered, timed out, or its peer left.
    #[error("no such request is waiting for an answer")]
    UnknownRequest,
    /// More types of requests than can have a receiver.
    #[error("too many types of requests have a receiver")]
    TooManyReceivers,
    /// The peer has not read what it was answered before.
    #[error("the peer doesn't read its answers")]
    SlowReader,
    /// The answer is larger than the protocol allows.
    #[error("response of {0} bytes is too large")]
    ResponseTooLarge(usize),
    /// This client doesn't take part in the distributed hash table.
    #[error("the distributed hash table is not supported")]
    Unsupported,
}
