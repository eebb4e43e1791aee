//! What handles ask the swarm task to do.

use libp2p::{Multiaddr, PeerId, request_response::InboundRequestId};
use nimiq_network_interface::{
    network::{CloseReason, MsgAcceptance},
    peer_info::Services,
    request::{RequestError, RequestType},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    error::{DialError, ListenError, NetworkError, Violation},
    gossip::{Delivery, GossipId, TopicOptions},
    reqres::codec::Payload,
};

/// Where the answer to a command goes. Whoever asked may be gone, so sending it can fail harmlessly.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// Answers a command.
pub(crate) fn answer<T>(reply: Reply<T>, value: T) {
    // An error means that nobody waits for the answer any more.
    drop(reply.send(value));
}

/// A command that is waited for.
#[derive(Debug)]
pub(crate) enum Command {
    Dial {
        address: Multiaddr,
        reply: Reply<Result<PeerId, DialError>>,
    },
    DialPeer {
        peer: PeerId,
        reply: Reply<Result<PeerId, DialError>>,
    },
    DialByServices {
        services: Services,
        count: usize,
    },
    Disconnect {
        peer: PeerId,
        reason: CloseReason,
        reply: Reply<()>,
    },
    Listen {
        address: Multiaddr,
        reply: Reply<Result<Multiaddr, ListenError>>,
    },
    ListenAddresses {
        reply: Reply<Vec<Multiaddr>>,
    },
    Request {
        peer: PeerId,
        request_type: RequestType,
        payload: Vec<u8>,
        reply: Reply<Result<Payload, RequestError>>,
    },
    Respond {
        id: InboundRequestId,
        payload: Payload,
        reply: Reply<Result<(), NetworkError>>,
    },
    Subscribe {
        topic: String,
        options: TopicOptions,
        reply: Reply<Result<mpsc::Receiver<Delivery>, NetworkError>>,
    },
    Unsubscribe {
        topic: String,
        reply: Reply<Result<(), NetworkError>>,
    },
    Publish {
        topic: String,
        data: Vec<u8>,
        /// To this peer alone.
        to: Option<PeerId>,
        reply: Reply<Result<(), NetworkError>>,
    },
}

/// What handles found out about something received. Nobody waits for it.
#[derive(Debug)]
pub(crate) enum Feedback {
    /// Whether a gossip message is acceptable.
    Validated {
        id: GossipId,
        acceptance: MsgAcceptance,
    },
    /// A gossip message that can't be decoded.
    Undecodable {
        id: GossipId,
        topic: String,
        validate: bool,
    },
    /// A peer broke the rules.
    Violation { peer: PeerId, violation: Violation },
}

/// What the network as a whole is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing by itself; dials on request.
    Idle,
    /// Hold the desired number of peers.
    Connecting,
    /// No connections at all, until told otherwise.
    Offline,
    /// The end.
    Closed,
}
