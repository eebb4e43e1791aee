//! [`Network`]: what users of this crate hold. It owns nothing but channels to the swarm task and the
//! tables the two share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt, stream::BoxStream};
use libp2p::{Multiaddr, PeerId, Swarm};
use nimiq_network_interface::{
    network::{CloseReason, NetworkEvent},
    peer_info::Services,
};
use nimiq_utils::spawn;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio_stream::wrappers::{BroadcastStream, WatchStream, errors::BroadcastStreamRecvError};

use crate::{
    address::AddressPolicy,
    behaviour::Behaviour,
    command::{Command, Feedback, Mode},
    config::{Config, ConfigError},
    discovery::behaviour::Shared,
    error::{DialError, LeaveReason, ListenError},
    limits,
    peers::{PeerStatus, PeerTable, Transport},
    pool::Pool,
    reqres::dispatch::{Dispatch, Receivers},
    saved::SavedContacts,
    swarm::{State, Task},
    traffic::{Counters, Traffic},
    transport,
};

/// What happens in the network, beyond the events of the `Network` trait: with addresses and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkNotice {
    /// A peer has completed the handshake.
    PeerJoined {
        /// Its id.
        peer_id: PeerId,
        /// The address it was reached at or came from.
        address: Multiaddr,
        /// What carries the connection.
        transport: Transport,
        /// What it offers.
        services: Services,
    },
    /// A peer is no longer connected.
    PeerLeft {
        /// Its id.
        peer_id: PeerId,
        /// Why, in words.
        reason: String,
        /// Why.
        cause: LeaveReason,
    },
    /// A dial didn't lead to a peer.
    DialFailed {
        /// The address.
        address: Multiaddr,
        /// Why, in words.
        reason: String,
        /// Why.
        error: DialError,
    },
}

impl NetworkNotice {
    pub(crate) fn peer_left(peer_id: PeerId, cause: LeaveReason) -> Self {
        Self::PeerLeft {
            peer_id,
            reason: cause.to_string(),
            cause,
        }
    }

    pub(crate) fn dial_failed(address: Multiaddr, error: DialError) -> Self {
        Self::DialFailed {
            address,
            reason: error.to_string(),
            error,
        }
    }
}

/// A stream of notices. An item is an error if the reader was so slow that it missed some; the stream
/// goes on after that. It ends when the network is closed.
pub type NoticeStream = BoxStream<'static, Result<NetworkNotice, BroadcastStreamRecvError>>;

/// What was dropped because somebody here was too slow, since the network was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Gossip messages whose subscriber had no room.
    pub gossip: u64,
    /// Requests of others whose receiver had no room.
    pub requests: u64,
    /// Validation results and reports of malformed messages.
    pub feedback: u64,
}

/// What the handles and the swarm task share.
pub(crate) struct Hub {
    pub(crate) peers: PeerTable,
    pub(crate) receivers: Arc<Receivers>,
    pub(crate) dropped_gossip: AtomicU64,
    pub(crate) refused_requests: Arc<AtomicU64>,
    dropped_feedback: AtomicU64,
    pub(crate) offenders: AtomicU64,
    /// `None` once the network is closed, which ends the streams of all subscribers.
    senders: Mutex<Option<Senders>>,
    ended: watch::Sender<bool>,
}

struct Senders {
    events: broadcast::Sender<NetworkEvent<PeerId>>,
    notices: broadcast::Sender<NetworkNotice>,
}

impl Hub {
    fn new(events: usize) -> Self {
        Self {
            peers: PeerTable::default(),
            receivers: Arc::new(Receivers::default()),
            dropped_gossip: AtomicU64::new(0),
            refused_requests: Arc::default(),
            dropped_feedback: AtomicU64::new(0),
            offenders: AtomicU64::new(0),
            senders: Mutex::new(Some(Senders {
                events: broadcast::Sender::new(events),
                notices: broadcast::Sender::new(events),
            })),
            ended: watch::Sender::new(false),
        }
    }

    pub(crate) fn emit(&self, event: NetworkEvent<PeerId>) {
        if let Some(senders) = self.senders.lock().as_ref() {
            // An error means that nobody has subscribed.
            drop(senders.events.send(event));
        }
    }

    pub(crate) fn notify(&self, notice: NetworkNotice) {
        if let Some(senders) = self.senders.lock().as_ref() {
            drop(senders.notices.send(notice));
        }
    }

    /// The network is closed: nothing comes any more.
    pub(crate) fn end(&self) {
        self.peers.clear();
        self.receivers.clear();
        *self.senders.lock() = None;
        self.ended.send_replace(true);
    }
}

/// A handle on the network. Dropping the last one closes it.
pub struct Network {
    pub(crate) local_peer_id: PeerId,
    pub(crate) required_services: Services,
    pub(crate) hub: Arc<Hub>,
    pub(crate) shared: Arc<Shared>,
    counters: Arc<Counters>,
    modes: watch::Sender<Mode>,
    commands: mpsc::Sender<Command>,
    feedback: mpsc::Sender<Feedback>,
    pub(crate) requests_in_flight: Semaphore,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("local_peer_id", &self.local_peer_id)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Makes the network and starts its task. It dials nobody before [`Network::start_connecting`] or
    /// [`Network::dial`]. Natively, this must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If the configuration can't work.
    pub fn new(config: Config) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let counters = Arc::new(Counters::default());
        let transport = transport::build(&config, &counters)?;
        #[cfg(not(target_family = "wasm"))]
        let transport = transport::with_slots(transport, &config.capacity);
        let local_peer_id = config.identity.public().to_peer_id();
        let shared = Arc::new(Shared::new(&config));
        let policy = AddressPolicy::of(&config);
        let seeds = config.usable_seeds();
        let behaviour = Behaviour::new(
            local_peer_id,
            Arc::clone(&shared),
            config.contacts.contacts,
            config.max_connections,
            &config.capacity,
        );
        let swarm = Swarm::new(
            transport,
            behaviour,
            local_peer_id,
            transport::swarm_config()
                .with_max_negotiating_inbound_streams(config.capacity.negotiating_streams),
        );

        let hub = Arc::new(Hub::new(config.capacity.events));
        let modes = watch::Sender::new(Mode::Idle);
        let (command_tx, command_rx) = mpsc::channel(limits::COMMAND_QUEUE);
        let (feedback_tx, feedback_rx) = mpsc::channel(limits::FEEDBACK_QUEUE);
        let task = Task {
            swarm,
            hub: Arc::clone(&hub),
            shared: Arc::clone(&shared),
            policy,
            useless_peers: config.capacity.useless_peers,
            commands: command_rx,
            feedback: feedback_rx,
            modes: WatchStream::new(modes.subscribe()),
            state: State::new(
                Pool::new(config.desired_peers, &seeds),
                Dispatch::new(
                    Arc::clone(&hub.receivers),
                    config.capacity,
                    Arc::clone(&hub.refused_requests),
                ),
                config.capacity.rate_counters,
            ),
        };
        // Boxed: the task's state is large, and would be copied through every layer of the spawn.
        spawn(Box::pin(pace::paced(task.run())));
        Ok(Arc::new(Self {
            local_peer_id,
            required_services: config.required_services,
            hub,
            shared,
            counters,
            modes,
            commands: command_tx,
            feedback: feedback_tx,
            requests_in_flight: Semaphore::new(config.capacity.requests_in_flight),
        }))
    }

    fn set_mode(&self, mode: Mode) {
        self.modes.send_if_modified(|current| {
            // Connecting anew is something to do also when that is the mode already.
            let change = *current != Mode::Closed && (*current != mode || mode == Mode::Connecting);
            if change {
                *current = mode;
            }
            change
        });
    }

    /// Starts, or after [`Network::stop`] resumes, holding the desired number of peers. Addresses that
    /// failed before are tried again at once, also if this was called before: it is what to call when
    /// the browser says that it is online again.
    pub fn start_connecting(&self) {
        self.set_mode(Mode::Connecting);
    }

    /// Says that time may have passed unnoticed. Unless it is offline or idle, the network tries again
    /// at once what failed before, and does not wait for dials that hang.
    pub fn wake(&self) {
        self.modes
            .send_if_modified(|current| *current == Mode::Connecting);
    }

    /// Goes offline: closes every connection and dials nobody until [`Network::start_connecting`].
    pub fn stop(&self) {
        self.set_mode(Mode::Offline);
    }

    /// Closes every connection and ends the task, and with it every stream; returns when that is done.
    /// Can be called again, and by several at once.
    pub async fn close(&self) {
        self.set_mode(Mode::Closed);
        let mut ended = self.hub.ended.subscribe();
        // An error would mean that the sender is gone, but we hold it.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// Whether the network is closed.
    pub fn is_closed(&self) -> bool {
        *self.modes.borrow() == Mode::Closed || *self.hub.ended.borrow()
    }

    /// Dials an address, and resolves to the peer there once it has completed the handshake. At once
    /// if it is connected already.
    ///
    /// # Errors
    /// Why no peer came of it.
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, DialError> {
        self.ask(|reply| Command::Dial { address, reply })
            .await
            .ok_or(DialError::Closed)?
    }

    pub(crate) async fn dial_known(&self, peer: PeerId) -> Result<PeerId, DialError> {
        self.ask(|reply| Command::DialPeer { peer, reply })
            .await
            .ok_or(DialError::Closed)?
    }

    /// Closes all connections with a peer, and resolves when it is gone, within a second or two. It can be
    /// dialled again; the pool doesn't for a while.
    pub async fn disconnect(&self, peer: PeerId) {
        self.disconnect_for(peer, CloseReason::Other).await;
    }

    pub(crate) async fn disconnect_for(&self, peer: PeerId, reason: CloseReason) {
        // Without an answer the network is closed, and the peer disconnected.
        self.ask(|reply| Command::Disconnect {
            peer,
            reason,
            reply,
        })
        .await;
    }

    /// Listens on an address; resolves to the address with its actual port, and with the hash of the
    /// certificate for WebRTC. With an unspecified host, that is the first of several: see
    /// [`Network::listen_addresses`]. Native builds only: a browser's transport refuses.
    ///
    /// # Errors
    /// If the transport refuses.
    pub async fn listen_on(&self, address: Multiaddr) -> Result<Multiaddr, ListenError> {
        self.ask(|reply| Command::Listen { address, reply })
            .await
            .ok_or(ListenError::Closed)?
    }

    /// All addresses that the network listens on, without its peer id. None if it is closed.
    pub async fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.ask(|reply| Command::ListenAddresses { reply })
            .await
            .unwrap_or_default()
    }

    /// The connected peers.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.hub.peers.all()
    }

    /// A connected peer.
    pub fn peer(&self, peer: &PeerId) -> Option<PeerStatus> {
        self.hub.peers.get(peer)
    }

    /// Number of connected peers.
    pub fn peer_count(&self) -> usize {
        self.hub.peers.len()
    }

    /// Number of contacts in the book.
    pub fn known_contacts(&self) -> usize {
        self.shared.book.lock().len()
    }

    /// Peers to go back to in a later run: those connected now or of late, and some of the book.
    pub fn contacts(&self) -> SavedContacts {
        let now = self.shared.clock.network_secs();
        let contacts = self.shared.book.lock().sample(
            self.required_services,
            limits::MAX_SAVED_CONTACTS,
            &self.local_peer_id,
            now,
        );
        let mut good = self.shared.good.lock();
        for peer in self.hub.peers.all() {
            if peer.dialled && peer.services.contains(self.required_services) {
                good.seen(peer.peer_id, &peer.address, now);
            }
        }
        good.save(contacts, now)
    }

    /// Bytes on the transport so far.
    pub fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }

    /// What was dropped so far because somebody here was too slow.
    pub fn dropped(&self) -> Dropped {
        Dropped {
            gossip: self.hub.dropped_gossip.load(Ordering::Relaxed),
            requests: self.hub.refused_requests.load(Ordering::Relaxed),
            feedback: self.hub.dropped_feedback.load(Ordering::Relaxed),
        }
    }

    /// How many milliseconds the clocks of our peers of late are ahead of ours, by their median;
    /// negative if ours is ahead; 0 up to a minute and a half, which the handshake can't tell apart.
    pub fn clock_offset(&self) -> i64 {
        self.shared.clock.offset_ms()
    }

    /// Notices from now on. Any number of subscribers.
    pub fn subscribe(&self) -> NoticeStream {
        let receiver = self
            .hub
            .senders
            .lock()
            .as_ref()
            .map(|senders| senders.notices.subscribe());
        match receiver {
            Some(receiver) => BroadcastStream::new(receiver).boxed(),
            None => futures::stream::empty().boxed(),
        }
    }

    pub(crate) fn events(
        &self,
    ) -> BoxStream<'static, Result<NetworkEvent<PeerId>, BroadcastStreamRecvError>> {
        let receiver = self
            .hub
            .senders
            .lock()
            .as_ref()
            .map(|senders| senders.events.subscribe());
        match receiver {
            Some(receiver) => BroadcastStream::new(receiver).boxed(),
            None => futures::stream::empty().boxed(),
        }
    }

    /// Sends a command and waits for its answer; `None` if the network is closed.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    pub(crate) async fn tell(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    pub(crate) fn feedback(&self) -> FeedbackSender {
        FeedbackSender {
            sender: self.feedback.clone(),
            hub: Arc::clone(&self.hub),
        }
    }
}

/// Reports to the swarm task without ever waiting.
#[derive(Clone)]
pub(crate) struct FeedbackSender {
    sender: mpsc::Sender<Feedback>,
    hub: Arc<Hub>,
}

impl FeedbackSender {
    pub(crate) fn send(&self, feedback: Feedback) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(feedback) {
            self.hub.dropped_feedback.fetch_add(1, Ordering::Relaxed);
        }
    }
}
