//! The discovery protocol on one connection.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::upgrade::ReadyUpgrade,
    identity::Keypair,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use nimiq_network_interface::peer_info::Services;
use nimiq_serde::Deserialize;
use nimiq_time::{Sleep, sleep};
use nimiq_utils::tagged_signing::{TaggedKeyPair, TaggedSignature};
use web_time::Instant;

use super::{
    behaviour::Shared,
    codec::{FrameError, FrameReader, FrameWriter},
    contact::SignedPeerContact,
    messages::{ChallengeNonce, DiscoveryMessage},
};
use crate::{
    error::{DiscoveryError, DiscoveryState},
    limits,
};

/// What the protocol reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// The handshake is done.
    Established {
        /// The peer's own contact, checked.
        contact: Box<SignedPeerContact>,
        /// The address of the connection.
        address: Multiaddr,
        /// The services of our own contact, as it was told.
        told: Services,
    },
    /// Contacts the peer passed on. Their signatures are not checked yet.
    Contacts(Vec<SignedPeerContact>),
    /// The protocol failed; the connection has to be closed.
    Failed(DiscoveryError),
}

/// The handshake of the peer, as far as it is needed to answer it.
#[derive(Debug)]
struct PeerHandshake {
    nonce: ChallengeNonce,
    limit: usize,
    services: Services,
}

/// The discovery protocol on one connection.
pub(crate) struct Handler {
    shared: Arc<Shared>,
    peer: PeerId,
    remote_address: Multiaddr,
    dialled: bool,
    nonce: ChallengeNonce,
    state: DiscoveryState,
    opening: bool,
    inbound: Option<FrameReader<Stream>>,
    outbound: Option<FrameWriter<Stream>>,
    /// Set from the peer's handshake on.
    theirs: Option<PeerHandshake>,
    /// The services we have said we offer, once we have acknowledged.
    told: Option<Services>,
    /// Runs until the current step has to be done.
    step_timer: Option<Pin<Box<Sleep>>>,
    /// Runs until our acknowledgement is sent even if the peer's has not arrived.
    ack_timer: Option<Pin<Box<Sleep>>>,
    /// How often the peer wants updates, and the time to the next.
    update_interval: Option<Duration>,
    update_timer: Option<Pin<Box<Sleep>>>,
    /// Updates the peer may still send, and when that was last counted.
    allowance: u32,
    counted_at: Instant,
    reports: VecDeque<Report>,
    failed: bool,
}

impl Handler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        peer: PeerId,
        remote_address: Multiaddr,
        dialled: bool,
    ) -> Self {
        Self {
            shared,
            peer,
            remote_address,
            dialled,
            nonce: ChallengeNonce::random(),
            state: DiscoveryState::Opening,
            opening: false,
            inbound: None,
            outbound: None,
            theirs: None,
            told: None,
            step_timer: Some(Box::pin(sleep(limits::HANDSHAKE_STEP_TIMEOUT))),
            ack_timer: None,
            update_interval: None,
            update_timer: None,
            allowance: limits::UPDATE_BURST,
            counted_at: Instant::now(),
            reports: VecDeque::new(),
            failed: false,
        }
    }

    fn fail(&mut self, error: DiscoveryError) {
        if !self.failed {
            self.failed = true;
            self.inbound = None;
            self.outbound = None;
            self.reports.push_back(Report::Failed(error));
        }
    }

    fn enter(&mut self, state: DiscoveryState) {
        self.state = state;
        self.step_timer = match state {
            DiscoveryState::Established => None,
            _ => Some(Box::pin(sleep(limits::HANDSHAKE_STEP_TIMEOUT))),
        };
    }

    fn check_open(&mut self) {
        if self.state == DiscoveryState::Opening
            && self.inbound.is_some()
            && self.outbound.is_some()
        {
            self.enter(DiscoveryState::Handshake);
        }
    }

    fn send(&mut self, message: &DiscoveryMessage) {
        let queued = self
            .outbound
            .as_mut()
            .is_some_and(|writer| writer.queue(message));
        if !queued {
            self.fail(DiscoveryError::Io("peer stopped reading".to_owned()));
        }
    }

    /// Our side of the handshake. It depends on nothing the peer does, so it goes out at once.
    fn send_handshake(&mut self) {
        self.send(&DiscoveryMessage::Handshake {
            observed_address: self.remote_address.clone(),
            challenge_nonce: self.nonce,
            genesis_hash: self.shared.genesis_hash.clone(),
            limit: limits::MAX_CONTACTS_PER_UPDATE as u16,
            services: self.shared.required_services,
        });
    }

    /// Answers the peer's handshake. `their_time` is the peer's own clock, if known: a contact dated
    /// ahead of it would be ignored silently, and we would never count as a peer on that side.
    fn acknowledge(&mut self, their_time: Option<u64>) {
        let Some(theirs) = &self.theirs else { return };
        if self.told.is_some() {
            return;
        }
        let Some(peer_contact) = self.shared.own_contact(their_time, self.dialled) else {
            return self.fail(DiscoveryError::ChallengeFailed);
        };
        self.told = Some(peer_contact.inner.services);
        let message = DiscoveryMessage::HandshakeAck {
            peer_contact,
            response_signature: self.shared.identity.tagged_sign(&theirs.nonce),
            update_interval: Some(limits::UPDATE_INTERVAL.as_secs()),
            peer_contacts: self
                .shared
                .sample(theirs.services, theirs.limit, &self.peer),
        };
        self.ack_timer = None;
        self.send(&message);
    }

    fn on_frame(&mut self, frame: &[u8]) {
        let Ok(message) = DiscoveryMessage::deserialize_from_vec(frame) else {
            return self.fail(DiscoveryError::Malformed(self.state));
        };
        match (self.state, message) {
            (
                DiscoveryState::Handshake,
                DiscoveryMessage::Handshake {
                    challenge_nonce,
                    genesis_hash,
                    limit,
                    services,
                    ..
                },
            ) => {
                if genesis_hash != self.shared.genesis_hash {
                    return self.fail(DiscoveryError::WrongGenesis(genesis_hash.to_hex()));
                }
                self.theirs = Some(PeerHandshake {
                    nonce: challenge_nonce,
                    limit: usize::from(limit).min(limits::MAX_CONTACTS_PER_UPDATE),
                    services,
                });
                self.enter(DiscoveryState::Acknowledgement);
                if self.dialled {
                    self.ack_timer = Some(Box::pin(sleep(limits::ACK_PATIENCE)));
                } else {
                    // Of two that wait for each other none would gain, and who was dialled is a server
                    // whose clock is right.
                    self.acknowledge(None);
                }
            }
            (
                DiscoveryState::Acknowledgement,
                DiscoveryMessage::HandshakeAck {
                    peer_contact,
                    response_signature,
                    update_interval,
                    peer_contacts,
                },
            ) => self.on_ack(
                peer_contact,
                &response_signature,
                update_interval,
                peer_contacts,
            ),
            (DiscoveryState::Established, DiscoveryMessage::PeerAddresses { peer_contacts }) => {
                if self.take_allowance() {
                    self.reports.push_back(Report::Contacts(peer_contacts));
                } else {
                    self.fail(DiscoveryError::TooFrequentUpdates);
                }
            }
            (state, _) => self.fail(DiscoveryError::Unexpected(state)),
        }
    }

    fn on_ack(
        &mut self,
        contact: SignedPeerContact,
        response: &TaggedSignature<ChallengeNonce, Keypair>,
        update_interval: Option<u64>,
        contacts: Vec<SignedPeerContact>,
    ) {
        match contact.verify() {
            None => return self.fail(DiscoveryError::ForgedContact),
            Some(id) if id != self.peer => return self.fail(DiscoveryError::ChallengeFailed),
            Some(_) => {}
        }
        let proven = contact
            .inner
            .public_key()
            .is_some_and(|key| response.tagged_verify(&self.nonce, &key));
        if !proven {
            return self.fail(DiscoveryError::ChallengeFailed);
        }
        self.acknowledge(Some(contact.inner.timestamp));
        let Some(told) = self.told.filter(|_| !self.failed) else {
            return;
        };
        self.update_interval = update_interval.map(|secs| {
            Duration::from_secs(secs).clamp(limits::MIN_SEND_INTERVAL, limits::MAX_SEND_INTERVAL)
        });
        self.update_timer = self
            .update_interval
            .map(|interval| Box::pin(sleep(interval)));
        self.enter(DiscoveryState::Established);
        self.reports.push_back(Report::Established {
            contact: Box::new(contact),
            address: self.remote_address.clone(),
            told,
        });
        if !contacts.is_empty() {
            self.reports.push_back(Report::Contacts(contacts));
        }
    }

    /// One update per [`limits::MIN_UPDATE_INTERVAL`], but a few at once after we slept.
    fn take_allowance(&mut self) -> bool {
        let interval = limits::MIN_UPDATE_INTERVAL;
        while self.allowance < limits::UPDATE_BURST && self.counted_at.elapsed() >= interval {
            self.allowance += 1;
            self.counted_at += interval;
        }
        if self.allowance == limits::UPDATE_BURST {
            self.counted_at = Instant::now();
        }
        self.allowance = match self.allowance.checked_sub(1) {
            Some(rest) => rest,
            None => return false,
        };
        true
    }

    fn send_update(&mut self) {
        let Some(theirs) = &self.theirs else { return };
        // A peer that has not read the last update gets no further one.
        if !self.outbound.as_ref().is_some_and(FrameWriter::is_idle) {
            return;
        }
        let mut peer_contacts =
            self.shared
                .sample(theirs.services, theirs.limit.saturating_sub(1), &self.peer);
        peer_contacts.extend(self.shared.own_contact(None, self.dialled));
        self.send(&DiscoveryMessage::PeerAddresses { peer_contacts });
    }

    /// Reads one frame. Returns whether there was one.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> bool {
        // What arrives before our own stream is open waits in the stream.
        if self.state == DiscoveryState::Opening {
            return false;
        }
        let max = match self.state {
            DiscoveryState::Handshake => limits::MAX_HANDSHAKE_FRAME,
            _ => limits::MAX_DISCOVERY_FRAME,
        };
        let Some(reader) = self.inbound.as_mut() else {
            return false;
        };
        match reader.poll_frame(cx, max) {
            Poll::Pending => return false,
            Poll::Ready(Ok(Some(frame))) => self.on_frame(&frame),
            Poll::Ready(Ok(None)) => self.fail(DiscoveryError::StreamEnded),
            Poll::Ready(Err(error)) => self.fail(match error {
                FrameError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    DiscoveryError::StreamEnded
                }
                FrameError::Io(error) => DiscoveryError::Io(error.to_string()),
                FrameError::Truncated | FrameError::BadMagic => {
                    DiscoveryError::Malformed(self.state)
                }
                FrameError::Oversized(size) => DiscoveryError::Oversized { size, max },
            }),
        }
        true
    }

    /// Lets the timers act. Returns whether one did.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> bool {
        if expired(&mut self.ack_timer, cx) {
            self.acknowledge(None);
            return true;
        }
        if expired(&mut self.update_timer, cx) {
            self.update_timer = self
                .update_interval
                .map(|interval| Box::pin(sleep(interval)));
            self.send_update();
            return true;
        }
        if expired(&mut self.step_timer, cx) {
            self.fail(DiscoveryError::Timeout(self.state));
            return true;
        }
        false
    }
}

fn expired(timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    let done = timer
        .as_mut()
        .is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
    if done {
        *timer = None;
    }
    done
}

type Upgrade = ReadyUpgrade<StreamProtocol>;

fn protocol() -> SubstreamProtocol<Upgrade> {
    SubstreamProtocol::new(
        ReadyUpgrade::new(StreamProtocol::new(limits::DISCOVERY_PROTOCOL)),
        (),
    )
    .with_timeout(limits::HANDSHAKE_STEP_TIMEOUT)
}

impl ConnectionHandler for Handler {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = Report;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        !self.failed
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade>) {
        if self.failed {
            return;
        }
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) => {
                if self.inbound.is_some() {
                    return self.fail(DiscoveryError::DuplicateStream);
                }
                self.inbound = Some(FrameReader::new(protocol));
                self.check_open();
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol, ..
            }) => {
                self.outbound = Some(FrameWriter::new(protocol));
                self.send_handshake();
                self.check_open();
            }
            ConnectionEvent::DialUpgradeError(error) => self.fail(match error.error {
                StreamUpgradeError::Timeout => DiscoveryError::Timeout(DiscoveryState::Opening),
                StreamUpgradeError::NegotiationFailed => DiscoveryError::Unsupported,
                StreamUpgradeError::Io(error) => DiscoveryError::Io(error.to_string()),
                StreamUpgradeError::Apply(never) => match never {},
            }),
            _ => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, (), Report>> {
        if !self.opening {
            self.opening = true;
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: protocol(),
            });
        }
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
            }
            if self.failed {
                return Poll::Pending;
            }
            if let Some(writer) = self.outbound.as_mut()
                && let Poll::Ready(Err(error)) = writer.poll_drain(cx)
            {
                self.fail(DiscoveryError::Io(error.to_string()));
                continue;
            }
            // Reading comes before the timers: on a busy page the answer and the end of the wait for
            // it can be there at the same time.
            if self.poll_inbound(cx) || self.poll_timers(cx) {
                continue;
            }
            return Poll::Pending;
        }
    }
}
