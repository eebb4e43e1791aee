//! What all discovery handshakes share: who we are, the contact book, and the checking of contacts.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    identity::Keypair,
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm,
    },
};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::Services;
use nimiq_time::{Sleep, sleep};
use parking_lot::Mutex;

use super::{
    contact::SignedPeerContact,
    handler::{Handler, Report},
};
use crate::{
    address::AddressPolicy, clock::Clock, config::Config, contacts::ContactBook,
    error::DiscoveryError, limits, saved::GoodPeers,
};

/// What we offer to others.
struct Offer {
    services: Services,
    addresses: Vec<Multiaddr>,
}

/// What every handshake needs.
pub(crate) struct Shared {
    pub(crate) identity: Keypair,
    pub(crate) genesis_hash: Blake2bHash,
    pub(crate) required_services: Services,
    offer: Mutex<Offer>,
    client_to_dialled: bool,
    pub(crate) clock: Clock,
    pub(crate) book: Mutex<ContactBook>,
    pub(crate) good: Mutex<GoodPeers>,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Self {
        let clock = Clock::default();
        let policy = AddressPolicy::of(config);
        let good = GoodPeers::new(config, policy, clock.network_secs());
        Self {
            identity: config.identity.clone(),
            genesis_hash: config.genesis_hash.clone(),
            required_services: config.required_services,
            offer: Mutex::new(Offer {
                services: config.provided_services,
                addresses: config.advertised_addresses.clone(),
            }),
            client_to_dialled: config.client_to_dialled,
            clock,
            book: Mutex::new(ContactBook::new(config)),
            good: Mutex::new(good),
        }
    }

    /// Changes what others are told from now on: newcomers at once, others with the next update.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn set_offer(&self, services: Services, addresses: Vec<Multiaddr>) {
        *self.offer.lock() = Offer {
            services,
            addresses,
        };
    }

    /// Our own contact, freshly signed, dated so that the receiver doesn't take it for one from the
    /// future: behind the network's clock as far as we know it, and behind the receiver's.
    pub(crate) fn own_contact(
        &self,
        their_time: Option<u64>,
        dialled: bool,
    ) -> Option<SignedPeerContact> {
        let now = self.clock.network_secs();
        let mut timestamp = now.saturating_sub(limits::CONTACT_BACKDATE.as_secs());
        if let Some(their_time) = their_time {
            timestamp = timestamp.min(their_time);
        }
        let (services, addresses) = if dialled && self.client_to_dialled {
            (Services::empty(), Vec::new())
        } else {
            let offer = self.offer.lock();
            (offer.services, offer.addresses.clone())
        };
        SignedPeerContact::sign(&self.identity, addresses, services, timestamp)
    }

    /// Contacts to pass on to a peer.
    pub(crate) fn sample(
        &self,
        services: Services,
        limit: usize,
        receiver: &PeerId,
    ) -> Vec<SignedPeerContact> {
        self.book
            .lock()
            .sample(services, limit, receiver, self.clock.network_secs())
    }
}

/// What discovery tells the swarm task.
#[derive(Debug)]
pub(crate) enum Event {
    /// A handshake is done.
    Established {
        peer: PeerId,
        connection: ConnectionId,
        address: Multiaddr,
        /// What it offers.
        services: Services,
        /// What it was told that we offer.
        told: Services,
    },
    /// New contacts are in the book.
    NewContacts,
    /// Discovery failed with this peer. This connection is being closed, or all of them.
    Failed {
        peer: PeerId,
        connection: Option<ConnectionId>,
        error: DiscoveryError,
    },
}

/// The discovery protocol.
pub(crate) struct Behaviour {
    shared: Arc<Shared>,
    events: VecDeque<ToSwarm<Event, std::convert::Infallible>>,
    /// Contacts received, by sender, whose signature has not been checked.
    unverified: VecDeque<(PeerId, SignedPeerContact)>,
    turn_timer: Option<Pin<Box<Sleep>>>,
    housekeeping: Pin<Box<Sleep>>,
}

impl Behaviour {
    /// `kept` are contacts of an earlier run, which are taken in like those of a peer.
    pub(crate) fn new(shared: Arc<Shared>, kept: Vec<SignedPeerContact>) -> Self {
        let ourselves = shared.identity.public().to_peer_id();
        let now = shared.clock.network_secs();
        let unverified = {
            let book = shared.book.lock();
            let wanted = kept.into_iter().filter(|contact| book.wants(contact, now));
            wanted.map(|contact| (ourselves, contact)).collect()
        };
        Self {
            shared,
            events: VecDeque::new(),
            unverified,
            turn_timer: None,
            housekeeping: Box::pin(sleep(limits::HOUSEKEEPING_INTERVAL)),
        }
    }

    /// Queues those contacts for checking that are worth it.
    fn receive(&mut self, sender: PeerId, contacts: Vec<SignedPeerContact>) {
        // An update ends with the sender's own contact, dated by its own clock.
        if let Some(own) = contacts
            .iter()
            .rfind(|contact| contact.inner.is_of(&sender))
        {
            self.shared.clock.observe(sender, own.inner.timestamp);
        }
        let now = self.shared.clock.network_secs();
        let book = self.shared.book.lock();
        for contact in contacts {
            if self.unverified.len() >= limits::MAX_UNVERIFIED_CONTACTS {
                log::debug!("too many unchecked contacts, dropping those of {sender}");
                break;
            }
            if book.wants(&contact, now) {
                self.unverified.push_back((sender, contact));
            }
        }
    }

    /// Checks some contacts. Returns whether any was new.
    fn verify_some(&mut self) -> bool {
        let now = self.shared.clock.network_secs();
        let mut new = false;
        for _ in 0..limits::CONTACTS_PER_TURN {
            let Some((sender, contact)) = self.unverified.pop_front() else {
                break;
            };
            match contact.verify() {
                Some(id) => new |= self.shared.book.lock().insert(id, contact, sender, now),
                // It was kept by us: nobody is to blame.
                None if sender == self.shared.identity.public().to_peer_id() => {}
                None => {
                    self.unverified.retain(|(other, _)| *other != sender);
                    self.fail(sender, None, DiscoveryError::ForgedContact);
                }
            }
        }
        new
    }

    /// Gives up a connection, or the peer if it is malicious. Whoever has just come back has an old
    /// connection that ends while the new one is fine.
    fn fail(&mut self, peer: PeerId, connection: Option<ConnectionId>, error: DiscoveryError) {
        let connection = connection.filter(|_| !error.is_malicious());
        let closed = connection.map_or(CloseConnection::All, CloseConnection::One);
        // In this order: the reason must be known when the connections close.
        self.events.push_back(ToSwarm::GenerateEvent(Event::Failed {
            peer,
            connection,
            error,
        }));
        self.events.push_back(ToSwarm::CloseConnection {
            peer_id: peer,
            connection: closed,
        });
    }
}

/// What the behaviour needs to know of a connection is known by its handler.
impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::new(
            Arc::clone(&self.shared),
            peer,
            remote_addr.clone(),
            false,
        ))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::new(
            Arc::clone(&self.shared),
            peer,
            addr.clone(),
            true,
        ))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        report: Report,
    ) {
        match report {
            Report::Established {
                contact,
                address,
                told,
            } => {
                self.shared.clock.observe(peer, contact.inner.timestamp);
                let services = contact.inner.services;
                let now = self.shared.clock.network_secs();
                {
                    let mut book = self.shared.book.lock();
                    if book.wants(&contact, now) {
                        book.insert(peer, *contact, peer, now);
                    }
                }
                self.events
                    .push_back(ToSwarm::GenerateEvent(Event::Established {
                        peer,
                        connection,
                        address,
                        services,
                        told,
                    }));
            }
            Report::Contacts(contacts) => self.receive(peer, contacts),
            Report::Failed(error) => self.fail(peer, Some(connection), error),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, std::convert::Infallible>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.housekeeping.as_mut().poll(cx).is_ready() {
                self.housekeeping = Box::pin(sleep(limits::HOUSEKEEPING_INTERVAL));
                self.shared
                    .book
                    .lock()
                    .remove_expired(self.shared.clock.network_secs());
                continue;
            }
            if let Some(timer) = self.turn_timer.as_mut() {
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.turn_timer = None;
            }
            if self.unverified.is_empty() {
                return Poll::Pending;
            }
            if self.verify_some() {
                self.events
                    .push_back(ToSwarm::GenerateEvent(Event::NewContacts));
            }
            self.turn_timer = Some(Box::pin(sleep(limits::CONTACTS_TURN_PAUSE)));
        }
    }
}
