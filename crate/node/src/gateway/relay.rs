//! Who is asked what: each client is bound to one upstream, equal questions are asked once, clients
//! take turns, and no upstream is asked more than it allows. This is the part without any I/O: it is
//! told what happens, and says what to do.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use nimiq_network_interface::request::{InboundRequestError, RequestType};
use pico_network::{PeerId, Services, refusal};

use super::{
    cache::{Cache, Question},
    fair::FairQueue,
    limits,
    stats::Counters,
    target::Target,
    types::{self, Kind},
    upstreams::Tally,
};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Action<Id> {
    /// Answer a client.
    Answer(Id, Arc<Vec<u8>>),
    /// Ask an upstream.
    Ask(Question),
}

/// Why an upstream didn't answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It took too long.
    TimedOut,
    /// It is gone, or what it says is no answer.
    Broken,
}

/// Somebody who waits for an answer.
#[derive(Debug)]
struct Waiter<Id> {
    client: PeerId,
    id: Id,
}

/// A question that waits for its turn or for its answer.
#[derive(Debug)]
struct Pending<Id> {
    kind: usize,
    /// Who asked first.
    owner: PeerId,
    waiters: Vec<Waiter<Id>>,
    since: Instant,
    /// Set while it is under way: when it was asked, and the number of blocks that had come by then.
    asked: Option<(Instant, u64)>,
    /// Upstreams that were asked in vain.
    tried: Vec<PeerId>,
}

/// The relay. `Id` names a request of a client.
pub(super) struct Relay<Id> {
    upstreams: HashMap<PeerId, Target>,
    /// Requests of each client that wait.
    clients: HashMap<PeerId, usize>,
    pending: HashMap<Question, Pending<Id>>,
    cache: Cache,
    queued: usize,
    hasher: RandomState,
    counters: Arc<Counters>,
    pub(super) actions: VecDeque<Action<Id>>,
}

impl<Id> Relay<Id> {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            upstreams: HashMap::new(),
            clients: HashMap::new(),
            pending: HashMap::new(),
            cache: Cache::new(limits::CACHE_BYTES),
            queued: 0,
            hasher: RandomState::new(),
            counters,
            actions: VecDeque::new(),
        }
    }

    // --- Upstreams and clients --------------------------------------------------------------------

    pub(super) fn upstream_joined(&mut self, peer: PeerId, services: Services) {
        if self.upstreams.len() >= limits::KNOWN_UPSTREAMS {
            self.upstreams.retain(|_, upstream| upstream.connected);
        }
        let upstream = self.upstreams.entry(peer).or_insert_with(Target::new);
        upstream.connected = true;
        upstream.services = services;
        upstream.timeouts = 0;
        upstream.suspended_until = None;
    }

    pub(super) fn upstream_left(&mut self, peer: &PeerId, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(peer) else {
            return;
        };
        upstream.connected = false;
        // What is under way fails by itself.
        let waiting: Vec<Question> = upstream
            .queues
            .iter_mut()
            .flat_map(FairQueue::drain)
            .collect();
        self.queued -= waiting.len();
        for question in waiting {
            self.ask_another(&question, None, now);
        }
    }

    /// Takes in who says something else than most.
    pub(super) fn suspect(&mut self, suspects: &HashSet<PeerId>) {
        for (peer, upstream) in &mut self.upstreams {
            upstream.suspect = suspects.contains(peer);
        }
    }

    /// The connected upstreams.
    pub(super) fn connected(&self) -> Vec<PeerId> {
        let connected = self.upstreams.iter().filter(|(_, one)| one.connected);
        connected.map(|(peer, _)| *peer).collect()
    }

    pub(super) fn client_left(&mut self, peer: &PeerId) {
        self.clients.remove(peer);
    }

    /// What all connected upstreams offer together, of what is relayed.
    pub(super) fn services(&self) -> Services {
        let connected = self.upstreams.values().filter(|one| one.connected);
        let all = connected.fold(Services::empty(), |all, one| all | one.services);
        all & types::relayed_services()
    }

    pub(super) fn is_upstream(&self, peer: &PeerId) -> bool {
        self.upstreams.get(peer).is_some_and(|one| one.connected)
    }

    pub(super) fn tallies(&self) -> impl Iterator<Item = (PeerId, Tally)> {
        self.upstreams.iter().map(|(peer, one)| {
            let in_flight = u64::try_from(one.in_flight).unwrap_or(u64::MAX);
            (
                *peer,
                Tally {
                    in_flight,
                    suspect: one.suspect,
                    ..one.tally
                },
            )
        })
    }

    /// The upstream for a client: always the same one, as long as it can answer. `tried` ones can't.
    fn choose(
        &self,
        client: &PeerId,
        kind: usize,
        tried: &[PeerId],
        now: Instant,
    ) -> Option<PeerId> {
        let Kind {
            services, limit, ..
        } = types::ALL.get(kind)?;
        let candidates = self
            .upstreams
            .iter()
            .filter(|(peer, one)| one.connected && !tried.contains(*peer));
        // One that doesn't offer it, isn't believed, doesn't answer, has no room left, or is the one
        // who asks, is better than none.
        let rank = |(peer, one): &(&PeerId, &Target)| {
            let window = one.windows.get(kind);
            let full = window.is_some_and(|window| !window.has_room(*limit, now));
            let lacks = !one.services.contains(*services);
            let suspended = one.is_suspended(now);
            let flaws = [*peer == client, lacks, one.suspect, suspended, full];
            (flaws, self.hasher.hash_one((client, peer)))
        };
        candidates.min_by_key(rank).map(|(peer, _)| *peer)
    }

    // --- Requests ---------------------------------------------------------------------------------

    pub(super) fn request(
        &mut self,
        client: PeerId,
        id: Id,
        request_type: RequestType,
        payload: &[u8],
        now: Instant,
    ) {
        let found = types::index_of(request_type);
        let Some((index, kind)) = found.and_then(|index| Some((index, types::ALL.get(index)?)))
        else {
            return self.refuse(id, InboundRequestError::NoReceiver);
        };
        let counters = Arc::clone(&self.counters);
        let Some(counters) = counters.requests.get(index) else {
            return;
        };
        counters.received.increment();
        let Some(payload) = kind.canonical(payload) else {
            counters.refused.increment();
            return self.refuse(id, InboundRequestError::DeSerializationError);
        };
        let Some(upstream) = self.choose(&client, index, &[], now) else {
            counters.refused.increment();
            return self.refuse(id, InboundRequestError::SenderFutureDropped);
        };
        let question = Question {
            upstream,
            payload: payload.into(),
        };
        if let Some(answer) = self.cache.get(&question, now) {
            counters.cached.increment();
            self.actions.push_back(Action::Answer(id, answer));
            return;
        }
        let waiting = self.clients.get(&client).copied().unwrap_or_default();
        if waiting >= limits::QUEUED_PER_CLIENT || self.queued >= limits::QUEUED {
            counters.refused.increment();
            return self.refuse(id, InboundRequestError::ExceedsRateLimit);
        }
        let waiter = Waiter { client, id };
        match self.pending.get_mut(&question) {
            Some(pending) if pending.waiters.len() < limits::WAITERS => {
                counters.coalesced.increment();
                pending.waiters.push(waiter);
                self.clients.insert(client, waiting + 1);
            }
            Some(_) => {
                counters.refused.increment();
                self.refuse(waiter.id, InboundRequestError::ExceedsRateLimit);
            }
            None => {
                self.clients.insert(client, waiting + 1);
                let pending = Pending {
                    kind: index,
                    owner: client,
                    waiters: vec![waiter],
                    since: now,
                    asked: None,
                    tried: Vec::new(),
                };
                self.queue(question, pending, now);
            }
        }
    }

    fn refuse(&mut self, id: Id, error: InboundRequestError) {
        let answer = Arc::new(refusal(error));
        self.actions.push_back(Action::Answer(id, answer));
    }

    fn queue(&mut self, question: Question, pending: Pending<Id>, now: Instant) {
        let peer = question.upstream;
        let (kind, owner) = (pending.kind, pending.owner);
        let queue = self
            .upstreams
            .get_mut(&peer)
            .and_then(|upstream| upstream.queues.get_mut(kind));
        let Some(queue) = queue else {
            return;
        };
        queue.push(owner, question.clone());
        self.queued += 1;
        self.pending.insert(question, pending);
        self.dispatch(&peer, now);
    }

    /// Asks an upstream as much as it has room for.
    fn dispatch(&mut self, peer: &PeerId, now: Instant) {
        while let Some((question, kind)) = self.next_question(peer, now) {
            let Some(pending) = self.pending.get_mut(&question) else {
                continue;
            };
            // It was given up and asked anew meanwhile, and stands in the queue twice.
            if pending.asked.is_some() {
                continue;
            }
            let clients = &self.clients;
            pending
                .waiters
                .retain(|waiter| clients.contains_key(&waiter.client));
            if pending.waiters.is_empty() {
                self.pending.remove(&question);
                continue;
            }
            if now.duration_since(pending.since) >= limits::REQUEST_DEADLINE {
                self.give_up(&question, InboundRequestError::Timeout);
                continue;
            }
            pending.asked = Some((now, self.cache.blocks()));
            if let Some(upstream) = self.upstreams.get_mut(peer) {
                upstream.in_flight += 1;
                upstream.tally.requests += 1;
                if let Some(window) = upstream.windows.get_mut(kind) {
                    window.count(now);
                }
            }
            if let Some(counters) = self.counters.requests.get(kind) {
                counters.relayed.increment();
            }
            self.actions.push_back(Action::Ask(question));
        }
    }

    /// The next question for an upstream that it has room for. Types take turns as well.
    fn next_question(&mut self, peer: &PeerId, now: Instant) -> Option<(Question, usize)> {
        let upstream = self.upstreams.get_mut(peer)?;
        if !upstream.connected || upstream.in_flight >= limits::IN_FLIGHT_PER_UPSTREAM {
            return None;
        }
        for _ in 0..types::COUNT {
            let kind = upstream.turn;
            upstream.turn = (kind + 1) % types::COUNT;
            let limit = types::ALL.get(kind)?.limit;
            if upstream.windows.get(kind)?.has_room(limit, now)
                && let Some(question) = upstream.queues.get_mut(kind)?.pop()
            {
                self.queued -= 1;
                return Some((question, kind));
            }
        }
        None
    }

    // --- Answers ----------------------------------------------------------------------------------

    /// Takes in what became of a question.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        result: Result<Arc<Vec<u8>>, Failure>,
        now: Instant,
    ) {
        if let Some(upstream) = self.upstreams.get_mut(&question.upstream) {
            upstream.in_flight = upstream.in_flight.saturating_sub(1);
            match &result {
                Ok(_) => {
                    upstream.timeouts = 0;
                    upstream.suspended_until = None;
                }
                Err(failure) => {
                    upstream.tally.errors += 1;
                    if *failure == Failure::TimedOut {
                        upstream.tally.timeouts += 1;
                        upstream.timed_out(now);
                    }
                }
            }
        }
        match result {
            Ok(answer) if !types::is_refusal(&answer) => self.deliver(question, answer),
            Ok(refusal) => self.ask_another(question, Some(refusal), now),
            Err(_) => self.ask_another(question, None, now),
        }
        self.dispatch(&question.upstream, now);
    }

    fn deliver(&mut self, question: &Question, answer: Arc<Vec<u8>>) {
        let Some(pending) = self.pending.remove(question) else {
            return;
        };
        if let (Some(kind), Some((asked, blocks))) = (types::ALL.get(pending.kind), pending.asked)
            && kind.is_success(&answer)
        {
            let answer = Arc::clone(&answer);
            self.cache
                .insert(question.clone(), answer, kind.keep, asked, blocks);
        }
        self.tell(pending, answer);
    }

    fn tell(&mut self, pending: Pending<Id>, answer: Arc<Vec<u8>>) {
        let counters = Arc::clone(&self.counters);
        for waiter in pending.waiters {
            if let Some(counters) = counters.requests.get(pending.kind) {
                counters.answered.increment();
            }
            self.end_wait(&waiter.client);
            let action = Action::Answer(waiter.id, Arc::clone(&answer));
            self.actions.push_back(action);
        }
    }

    fn end_wait(&mut self, client: &PeerId) {
        if let Some(waiting) = self.clients.get_mut(client) {
            *waiting -= 1;
            if *waiting == 0 {
                self.clients.remove(client);
            }
        }
    }

    /// Asks the next upstream; without one, the clients get what this one said.
    fn ask_another(&mut self, question: &Question, said: Option<Arc<Vec<u8>>>, now: Instant) {
        let Some(mut pending) = self.pending.remove(question) else {
            return;
        };
        if self.is_upstream(&question.upstream) || pending.asked.is_some() {
            pending.tried.push(question.upstream);
        }
        let in_time = now.duration_since(pending.since) < limits::REQUEST_DEADLINE;
        let next = (in_time && pending.tried.len() < limits::ATTEMPTS)
            .then(|| self.choose(&pending.owner, pending.kind, &pending.tried, now))
            .flatten();
        let Some(upstream) = next else {
            return match said {
                Some(said) => self.tell(pending, said),
                None => {
                    self.pending.insert(question.clone(), pending);
                    self.give_up(question, InboundRequestError::SenderFutureDropped);
                }
            };
        };
        pending.asked = None;
        let question = Question {
            upstream,
            payload: Arc::clone(&question.payload),
        };
        // Somebody asks it the same already.
        if let Some(other) = self.pending.get_mut(&question) {
            other.waiters.extend(pending.waiters);
            return;
        }
        self.queue(question, pending, now);
    }

    /// Tells those who wait that there will be no answer.
    fn give_up(&mut self, question: &Question, error: InboundRequestError) {
        let Some(pending) = self.pending.remove(question) else {
            return;
        };
        if let Some(counters) = self.counters.requests.get(pending.kind) {
            let waiters = u64::try_from(pending.waiters.len()).unwrap_or(u64::MAX);
            counters.failed.add(waiters);
        }
        let answer = Arc::new(refusal(error));
        for waiter in pending.waiters {
            self.end_wait(&waiter.client);
            let action = Action::Answer(waiter.id, Arc::clone(&answer));
            self.actions.push_back(action);
        }
    }

    // --- Time -------------------------------------------------------------------------------------

    /// A block has come.
    pub(super) fn block_came(&mut self) {
        self.cache.block_came();
    }

    /// Asks what has become possible with time, and gives up what has waited too long.
    pub(super) fn tick(&mut self, now: Instant) {
        self.cache.expire(now);
        let peers: Vec<PeerId> = self.upstreams.keys().copied().collect();
        for peer in peers {
            self.dispatch(&peer, now);
        }
        let late = |pending: &Pending<Id>| {
            pending.asked.is_none() && now.duration_since(pending.since) >= limits::REQUEST_DEADLINE
        };
        let late: Vec<Question> = self
            .pending
            .iter()
            .filter(|(_, pending)| late(pending))
            .map(|(question, _)| question.clone())
            .collect();
        for question in late {
            // Its place in the queue is skipped when its turn comes.
            self.give_up(&question, InboundRequestError::Timeout);
        }
        self.publish();
    }

    fn publish(&self) {
        let in_flight = self.upstreams.values().map(|one| one.in_flight).sum();
        self.counters.queued.set(self.queued);
        self.counters.in_flight.set(in_flight);
        self.counters.cache_entries.set(self.cache.len());
        self.counters.cache_bytes.set(self.cache.bytes());
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}
