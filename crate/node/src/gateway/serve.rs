//! The task that serves requests: it brings what happens in the network to the [`Relay`], and does
//! what that says.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use nimiq_network_interface::{
    network::{Network as _, NetworkEvent},
    request::InboundRequestError,
};
use pico_network::{
    Multiaddr, Network, NetworkError, PeerId, PeerStatus, RawRequest, RawRequests, Services,
    refusal, reqres::rate_limit::RateLimit,
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    cache::Question,
    heads::Suspects,
    limits,
    relay::{Action, Failure, Relay},
    stats::Counters,
    types,
    upstreams::Upstreams,
};

type Id = <Network as nimiq_network_interface::network::Network>::RequestId;
type Answer = Result<Arc<Vec<u8>>, Failure>;

/// The time in which nodes count the requests of a peer (*protocol*).
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Receives all requests that are relayed.
pub(super) fn receive(network: &Network) -> Result<RawRequests, NetworkError> {
    let limit = |kind: &types::Kind| {
        let limit = RateLimit {
            max: kind.limit,
            window: RATE_WINDOW,
        };
        (kind.request_type(), limit)
    };
    let types: Vec<_> = types::ALL.iter().map(limit).collect();
    network.receive_raw(&types, limits::REQUEST_QUEUE)
}

/// What the task works with.
pub(super) struct Server {
    pub(super) network: Arc<Network>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) counters: Arc<Counters>,
    pub(super) requests: RawRequests,
    /// A block has come.
    pub(super) blocks: broadcast::Receiver<()>,
    /// Requests that this gateway could not answer itself.
    pub(super) passed_on: mpsc::Receiver<RawRequest>,
    /// Upstreams that are not to be believed.
    pub(super) suspects: watch::Receiver<Suspects>,
    /// What clients are told to dial.
    pub(super) addresses: Vec<Multiaddr>,
    /// Set when no more requests are taken; the task ends once all are answered.
    pub(super) stopping: watch::Receiver<bool>,
}

/// What the task waits for.
enum Step {
    Request(Option<RawRequest>),
    Answer(Question, Answer),
    Event(NetworkEvent<PeerId>),
    Missed,
    Block,
    Suspects,
    Tick,
    Stop,
}

impl Server {
    /// Serves until the network is closed, or it is told to stop and nobody waits any more.
    pub(super) async fn run(mut self) {
        let mut relay = Relay::new(Arc::clone(&self.counters));
        let mut events = self.network.subscribe_events();
        let mut asked: FuturesUnordered<BoxFuture<'static, (Question, Answer)>> =
            FuturesUnordered::new();
        let mut ticks = interval(limits::TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Somebody may have come before the events were subscribed to.
        self.look_around(&mut relay);
        let mut stopping = false;
        loop {
            let step = tokio::select! {
                Some((question, answer)) = asked.next() => Step::Answer(question, answer),
                request = self.requests.next(), if !stopping => Step::Request(request),
                Some(request) = self.passed_on.recv() => Step::Request(Some(request)),
                event = events.next() => match event {
                    Some(Ok(event)) => Step::Event(event),
                    Some(Err(_)) => Step::Missed,
                    None => return,
                },
                block = self.blocks.recv() => match block {
                    Ok(()) | Err(broadcast::error::RecvError::Lagged(_)) => Step::Block,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Ok(()) = self.suspects.changed() => Step::Suspects,
                _ = self.stopping.changed(), if !stopping => Step::Stop,
                _ = ticks.tick() => Step::Tick,
            };
            let now = Instant::now();
            match step {
                Step::Request(None) => return,
                Step::Request(Some(request)) => self.take(&mut relay, request, now).await,
                Step::Answer(question, answer) => relay.answered(&question, answer, now),
                Step::Event(event) => self.on_event(&mut relay, event, now),
                Step::Missed => self.look_around(&mut relay),
                Step::Block => relay.block_came(),
                Step::Suspects => relay.suspect(&self.suspects.borrow_and_update()),
                Step::Stop => stopping = true,
                Step::Tick => {
                    relay.tick(now);
                    for (peer, tally) in relay.tallies() {
                        self.upstreams.report(peer, tally);
                    }
                }
            }
            while let Some(action) = relay.actions.pop_front() {
                match action {
                    Action::Answer(id, answer) => self.network.respond_raw(id, answer).await,
                    Action::Ask(question) => {
                        asked.push(Box::pin(ask(Arc::clone(&self.network), question)));
                    }
                }
            }
            if stopping && relay.is_idle() {
                return;
            }
        }
    }

    async fn take(&self, relay: &mut Relay<Id>, request: RawRequest, now: Instant) {
        let RawRequest { peer, id, payload } = &request;
        match request.request_type() {
            Some(kind) => relay.request(*peer, *id, kind, payload.bytes(), now),
            None => {
                let answer = refusal(InboundRequestError::DeSerializationError);
                self.network.respond_raw(*id, Arc::new(answer)).await;
            }
        }
    }

    fn on_event(&mut self, relay: &mut Relay<Id>, event: NetworkEvent<PeerId>, now: Instant) {
        match event {
            NetworkEvent::PeerJoined(peer, info) => {
                let status = self.network.peer(&peer);
                if status.as_ref().is_some_and(|peer| peer.dialled) {
                    relay.upstream_joined(peer, info.get_services());
                    self.offer(relay);
                } else {
                    self.counters.joined.increment();
                    // An upstream may have come since it was told.
                    self.invite_again(status.into_iter());
                }
            }
            NetworkEvent::PeerLeft(peer) => {
                if relay.is_upstream(&peer) {
                    relay.upstream_left(&peer, now);
                    self.offer(relay);
                }
                relay.client_left(&peer);
            }
            NetworkEvent::DhtReady => {}
        }
    }

    /// Takes in who is there, after events were missed.
    fn look_around(&mut self, relay: &mut Relay<Id>) {
        let peers = self.network.peers();
        let upstreams: Vec<_> = peers.iter().filter(|peer| peer.dialled).collect();
        let gone: Vec<PeerId> = relay
            .tallies()
            .map(|(peer, _)| peer)
            .filter(|peer| upstreams.iter().all(|other| other.peer_id != *peer))
            .collect();
        for peer in gone {
            relay.upstream_left(&peer, Instant::now());
        }
        for upstream in upstreams {
            if !relay.is_upstream(&upstream.peer_id) {
                relay.upstream_joined(upstream.peer_id, upstream.services);
            }
        }
        self.offer(relay);
        self.invite_again(peers.into_iter());
    }

    /// Tells clients what there is now.
    fn offer(&mut self, relay: &Relay<Id>) {
        let services = relay.services();
        let connected = relay.connected();
        self.upstreams.connected.send_if_modified(|known| {
            let changed = *known != connected;
            *known = connected;
            changed
        });
        self.network.set_offer(services, self.addresses.clone());
        let serving = services.contains(Services::ACCOUNTS_PROOF);
        let changed = self.upstreams.serving.send_if_modified(|known| {
            let changed = *known != serving;
            *known = serving;
            changed
        });
        if changed {
            self.invite_again(self.network.peers().into_iter());
        }
    }

    /// Asks those of these clients to come again, if there is something to be had, who were told that
    /// there is nothing: what a peer offers is told in the handshake.
    fn invite_again(&self, peers: impl Iterator<Item = PeerStatus>) {
        if !*self.upstreams.serving.borrow() {
            return;
        }
        let clients = peers.filter(|peer| !peer.dialled && was_told_nothing(peer));
        let clients: Vec<PeerId> = clients.map(|peer| peer.peer_id).collect();
        if !clients.is_empty() {
            tokio::spawn(send_away(Arc::clone(&self.network), clients));
        }
    }
}

/// Whether a client knows of nothing to be had here.
fn was_told_nothing(client: &PeerStatus) -> bool {
    !client.told.contains(Services::ACCOUNTS_PROOF)
}

/// Not all at once, for they do come again. Those who have come again already may stay.
async fn send_away(network: Arc<Network>, clients: Vec<PeerId>) {
    let pause = Duration::from_secs(1) / limits::INVITATIONS_PER_SECOND;
    for client in clients {
        if network.peer(&client).as_ref().is_some_and(was_told_nothing) {
            network.disconnect(client).await;
            tokio::time::sleep(pause).await;
        }
    }
}

async fn ask(network: Arc<Network>, question: Question) -> (Question, Answer) {
    let request = network.request_raw(question.upstream, question.payload.to_vec());
    let answer = match timeout(limits::ATTEMPT_TIMEOUT, request).await {
        Ok(Ok(payload)) => Ok(payload.into_shared()),
        Ok(Err(error)) => {
            log::debug!("{} doesn't answer: {error}", question.upstream);
            Err(Failure::Broken)
        }
        Err(_) => Err(Failure::TimedOut),
    };
    (question, answer)
}
