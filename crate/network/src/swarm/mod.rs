//! The task that owns the libp2p swarm. It turns commands of the handles into actions, events of the
//! protocols into notices, and keeps the pool's connections. It never waits for a handle: whoever is
//! slow misses something, and nobody else notices.

mod connections;
mod dialling;
mod events;
mod listening;

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};
use libp2p::{PeerId, Swarm, swarm::ConnectionId};
use nimiq_network_interface::network::MsgAcceptance;
use nimiq_time::{Sleep, sleep};
use tokio::sync::mpsc;
use tokio_stream::wrappers::WatchStream;
use web_time::Instant;

use self::{
    connections::{Connection, Peer},
    dialling::Dial,
    listening::Listener,
};
use crate::{
    address::AddressPolicy,
    behaviour::{Behaviour, BehaviourEvent},
    command::{Command, Feedback, Mode, answer},
    discovery::behaviour::Shared,
    error::Violation,
    gossip::{self, Topics},
    handle::Hub,
    limits,
    pool::Pool,
    reqres::dispatch::Dispatch,
};

type SwarmEvent = libp2p::swarm::SwarmEvent<BehaviourEvent>;

/// What the task waits for.
enum Step {
    Mode(Option<Mode>),
    Command(Option<Command>),
    Feedback(Feedback),
    Swarm(SwarmEvent),
    PoolTimer,
}

/// The state of the task.
pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) policy: AddressPolicy,
    pub(crate) useless_peers: usize,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) feedback: mpsc::Receiver<Feedback>,
    pub(crate) modes: WatchStream<Mode>,
    pub(crate) state: State,
}

impl Drop for Task {
    // However the task ends, also by a panic or with its runtime: nobody waits for it for ever.
    fn drop(&mut self) {
        self.hub.end();
    }
}

/// What the task keeps about peers and what is under way.
pub(crate) struct State {
    mode: Mode,
    connections: HashMap<ConnectionId, Connection>,
    peers: HashMap<PeerId, Peer>,
    dials: HashMap<ConnectionId, Dial>,
    listeners: Vec<Listener>,
    pool: Pool,
    pool_timer: Option<Pin<Box<Sleep>>>,
    pool_looked_at: Option<Instant>,
    dispatch: Dispatch,
    topics: Topics,
    /// Whose turn it is when both the swarm and the handles have something.
    swarm_first: bool,
}

impl State {
    pub(crate) fn new(pool: Pool, dispatch: Dispatch, rate_counters: usize) -> Self {
        Self {
            mode: Mode::Idle,
            connections: HashMap::new(),
            peers: HashMap::new(),
            dials: HashMap::new(),
            listeners: Vec::new(),
            pool,
            pool_timer: None,
            pool_looked_at: None,
            dispatch,
            topics: Topics::new(rate_counters),
            swarm_first: false,
        }
    }
}

impl Task {
    /// Runs until the network is closed or its last handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            // Awaiting what is ready doesn't give a page its thread back.
            pace::turn().await;
            let step = poll_fn(|cx| self.poll_step(cx)).await;
            match step {
                Step::Mode(Some(Mode::Closed) | None) | Step::Command(None) => break,
                Step::Mode(Some(mode)) => self.enter(mode),
                Step::Command(Some(command)) => self.on_command(command),
                Step::Feedback(feedback) => self.on_feedback(feedback),
                Step::Swarm(event) => self.on_swarm_event(event),
                Step::PoolTimer => self.tend_pool(),
            }
        }
        self.close().await;
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(mode) = self.modes.poll_next_unpin(cx) {
            return Poll::Ready(Step::Mode(mode));
        }
        // Handles and swarm take turns, so that neither peers nor callers can starve the other.
        self.state.swarm_first = !self.state.swarm_first;
        if self.state.swarm_first
            && let Poll::Ready(Some(event)) = Pin::new(&mut self.swarm).poll_next(cx)
        {
            return Poll::Ready(Step::Swarm(event));
        }
        if let Poll::Ready(Some(feedback)) = self.feedback.poll_recv(cx) {
            return Poll::Ready(Step::Feedback(feedback));
        }
        if let Poll::Ready(command) = self.commands.poll_recv(cx) {
            return Poll::Ready(Step::Command(command));
        }
        if !self.state.swarm_first
            && let Poll::Ready(Some(event)) = Pin::new(&mut self.swarm).poll_next(cx)
        {
            return Poll::Ready(Step::Swarm(event));
        }
        if let Some(timer) = self.state.pool_timer.as_mut()
            && timer.as_mut().poll(cx).is_ready()
        {
            self.state.pool_timer = None;
            return Poll::Ready(Step::PoolTimer);
        }
        self.tell_listeners();
        Poll::Pending
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { address, reply } => self.dial_address(address, reply),
            Command::DialPeer { peer, reply } => self.dial_peer(peer, reply),
            Command::DialByServices { services, count } => self.dial_by_services(services, count),
            Command::Disconnect {
                peer,
                reason,
                reply,
            } => self.disconnect(peer, reason, reply),
            Command::Listen { address, reply } => self.listen(address, reply),
            Command::ListenAddresses { reply } => {
                answer(reply, self.swarm.listeners().cloned().collect());
            }
            Command::Request {
                peer,
                request_type,
                payload,
                reply,
            } => {
                let requests = &mut self.swarm.behaviour_mut().requests;
                self.state
                    .dispatch
                    .send(requests, peer, request_type, payload, reply);
            }
            Command::Respond { id, payload, reply } => {
                let requests = &mut self.swarm.behaviour_mut().requests;
                answer(reply, self.state.dispatch.respond(requests, id, payload));
            }
            Command::Subscribe {
                topic,
                options,
                reply,
            } => {
                let gossip = &mut self.swarm.behaviour_mut().gossip.mesh;
                answer(reply, self.state.topics.subscribe(gossip, topic, options));
            }
            Command::Unsubscribe { topic, reply } => {
                let gossip = &mut self.swarm.behaviour_mut().gossip.mesh;
                answer(reply, self.state.topics.unsubscribe(gossip, topic));
            }
            Command::Publish {
                topic,
                data,
                to,
                reply,
            } => {
                let gossip = &mut self.swarm.behaviour_mut().gossip.mesh;
                answer(reply, gossip::publish(gossip, topic, data, to.as_ref()));
            }
        }
    }

    fn on_feedback(&mut self, feedback: Feedback) {
        match feedback {
            Feedback::Validated { id, acceptance } => {
                gossip::report(&mut self.swarm.behaviour_mut().gossip.mesh, &id, acceptance);
            }
            Feedback::Undecodable {
                id,
                topic,
                validate,
            } => {
                // A topic that isn't validated has been accepted, and its garbage is handed on by
                // honest peers as well.
                if validate {
                    gossip::report(
                        &mut self.swarm.behaviour_mut().gossip.mesh,
                        &id,
                        MsgAcceptance::Reject,
                    );
                    self.strike(id.source, Violation::MalformedGossip(topic));
                }
            }
            Feedback::Violation { peer, violation } => self.drop_peer(peer, violation.into()),
        }
    }

    /// Says goodbye to everybody, so that nodes don't keep dead connections, but not for long.
    async fn close(mut self) {
        self.enter(Mode::Offline);
        self.hub.receivers.clear();
        let mut deadline = Box::pin(sleep(limits::CLOSE_TIMEOUT));
        while !self.state.connections.is_empty() {
            let event = poll_fn(|cx| {
                if deadline.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                Pin::new(&mut self.swarm).poll_next(cx)
            })
            .await;
            match event {
                Some(event) => self.on_swarm_event(event),
                None => break,
            }
        }
    }
}
