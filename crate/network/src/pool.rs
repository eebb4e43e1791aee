//! Decides whom to dial and when. Pure: it is told what happened and what time it is, and says which
//! addresses to dial now; the swarm task does it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId};
use rand::{Rng, RngExt, seq::SliceRandom};
use web_time::Instant;

use crate::{address, limits};

/// How often an address failed in a row, and when it may be dialled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backoff {
    failures: u32,
    /// When the last one was.
    since: Instant,
    until: Instant,
}

impl Backoff {
    /// When the address may be dialled while no pause is to be longer than `longest`.
    fn until(&self, longest: Option<Duration>) -> Instant {
        match longest {
            Some(longest) => self.until.min(self.since + longest),
            None => self.until,
        }
    }
}

/// The pause after so many failures in a row; `jitter` is between -1 and 1.
pub(crate) fn pause(failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let pause = limits::BACKOFF_BASE
        .saturating_mul(1 << doublings)
        .min(limits::BACKOFF_MAX);
    pause.mul_f64(1.0 + limits::BACKOFF_JITTER * jitter.clamp(-1.0, 1.0))
}

/// What the swarm is doing at the moment.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Connected peers that offer the required services.
    pub(crate) useful: usize,
    /// Since when each of the dials is under way.
    pub(crate) dials: Vec<Instant>,
    /// Everybody connected.
    pub(crate) peers: HashSet<PeerId>,
    /// Everybody being dialled who is known, and since when the latest of these dials is under way.
    pub(crate) dialled: HashMap<PeerId, Instant>,
    /// Addresses connected to or being dialled, without peer ids.
    pub(crate) addresses: HashSet<Multiaddr>,
}

/// An address that could be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    /// Whose it is, if known.
    pub(crate) peer: Option<PeerId>,
    /// The address, without peer id.
    pub(crate) address: Multiaddr,
}

impl Candidate {
    pub(crate) fn new(address: &Multiaddr) -> Self {
        Self {
            peer: address::peer_id_of(address),
            address: address::without_peer_id(address),
        }
    }
}

/// What to do now.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Dial these.
    pub(crate) dial: Vec<Candidate>,
    /// Look again at this time at the latest.
    pub(crate) again_at: Option<Instant>,
}

/// The connection pool.
#[derive(Debug)]
pub(crate) struct Pool {
    desired: usize,
    seeds: Vec<Candidate>,
    /// Who was found at those seeds that came without a peer id.
    found: HashMap<Multiaddr, PeerId>,
    backoffs: HashMap<Multiaddr, Backoff>,
    /// Peers that our side let go of on purpose.
    resting: HashMap<PeerId, Backoff>,
    /// Since when there has been no peer of use.
    lonely_since: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(desired: usize, seeds: &[Multiaddr]) -> Self {
        Self {
            desired,
            seeds: seeds.iter().map(Candidate::new).collect(),
            found: HashMap::new(),
            backoffs: HashMap::new(),
            resting: HashMap::new(),
            lonely_since: None,
        }
    }

    /// Whom to dial now. `good` are peers that were connected before, `contacts` the candidates of the
    /// contact book, `banned` those that must not be tried.
    ///
    /// Of each peer, one address at a time: the next one is tried when this one has failed, or takes
    /// long, as a transport that is blocked on the way does. In the same way others are tried in place of
    /// peers that take long: some are gone in such a way that a dial hangs until its time is up.
    pub(crate) fn plan(
        &mut self,
        view: &View,
        good: Vec<Candidate>,
        contacts: Vec<Candidate>,
        banned: impl Fn(&Candidate) -> bool,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Plan {
        let longest = self.longest_pause(view, now);
        let slow_at = view.dials.iter().map(|since| *since + limits::SLOW_DIAL);
        let hopeful = slow_at.clone().filter(|at| now < *at).count();
        let free = limits::MAX_POOL_DIALS
            .saturating_sub(hopeful)
            .min(limits::MAX_POOL_DIALS_AND_SLOW.saturating_sub(view.dials.len()));
        // With nobody to speak to, each that hangs is a reason to try more of them at once.
        let at_once = match view.useful {
            0 => self.desired.max(view.dials.len() - hopeful),
            _ => self.desired,
        };
        let wanted = at_once.saturating_sub(view.useful + hopeful).min(free);
        let mut plan = Plan::default();
        if view.useful < self.desired {
            plan.again_at = slow_at.filter(|at| now < *at).min();
        }
        if free == 0 || (wanted == 0 && view.dialled.is_empty()) {
            return plan;
        }
        // Seeds and contacts in one random order: seeds alone would be found at their limits, and
        // contacts alone could all be of one liar's making. Before the first peer, only seeds exist
        // or are to be preferred, for they were chosen by the user.
        let mut candidates = self.by_peer(contacts, rng);
        candidates.splice(0..0, self.by_peer(self.seeds.clone(), rng));
        if view.useful > 0 {
            candidates.shuffle(rng);
        }
        candidates.splice(0..0, self.by_peer(good, rng));
        let mut chosen = HashSet::new();
        let mut chosen_peers = HashSet::new();
        // Other addresses of peers that are being dialled already: not one more peer, so not counted.
        let mut others = 0;
        for candidate in candidates.into_iter().flatten() {
            let peer = self.peer_at(&candidate);
            let connected = peer.is_some_and(|peer| view.peers.contains(&peer))
                || view.addresses.contains(&candidate.address);
            let named = Candidate {
                peer,
                ..candidate.clone()
            };
            if connected || banned(&named) || chosen.contains(&candidate.address) {
                continue;
            }
            if peer.is_some_and(|peer| chosen_peers.contains(&peer)) {
                let patience = now + limits::SECOND_ADDRESS_PAUSE;
                plan.again_at = earliest(plan.again_at, patience);
                continue;
            }
            let resting = peer.and_then(|peer| self.resting.get(&peer));
            let pauses = [self.backoffs.get(&candidate.address), resting];
            let paused = pauses
                .into_iter()
                .flatten()
                .map(|pause| pause.until(longest));
            let dialled = peer.and_then(|peer| view.dialled.get(&peer));
            let patience = dialled.map(|since| *since + limits::SECOND_ADDRESS_PAUSE);
            if let Some(until) = paused.chain(patience).filter(|until| now < *until).max() {
                plan.again_at = earliest(plan.again_at, until);
                continue;
            }
            let another = dialled.is_some();
            let wanted = another || plan.dial.len() - others < wanted;
            if wanted && plan.dial.len() < free {
                others += usize::from(another);
                chosen.insert(candidate.address.clone());
                chosen_peers.extend(peer);
                plan.dial.push(candidate);
                // By then, this may be one that hangs.
                plan.again_at = earliest(plan.again_at, now + limits::SLOW_DIAL);
            }
        }
        plan
    }

    /// The candidates of each peer together, so that nobody is dialled the sooner for having many
    /// addresses. In random order, but those first that have failed least, peers and addresses.
    fn by_peer(&self, candidates: Vec<Candidate>, rng: &mut impl Rng) -> Vec<Vec<Candidate>> {
        let mut peers: Vec<Vec<Candidate>> = Vec::new();
        let mut places: HashMap<PeerId, usize> = HashMap::new();
        for candidate in candidates {
            let place = self
                .peer_at(&candidate)
                .map(|peer| *places.entry(peer).or_insert(peers.len()));
            match place.and_then(|place| peers.get_mut(place)) {
                Some(others) => others.push(candidate),
                None => peers.push(vec![candidate]),
            }
        }
        for addresses in &mut peers {
            addresses.shuffle(rng);
            addresses.sort_by_key(|candidate| self.failures(&candidate.address));
        }
        peers.shuffle(rng);
        let best = |addresses: &Vec<Candidate>| {
            let best = addresses.first();
            best.map_or(0, |candidate| self.failures(&candidate.address))
        };
        peers.sort_by_key(best);
        peers
    }

    fn failures(&self, address: &Multiaddr) -> u32 {
        self.backoffs
            .get(address)
            .map_or(0, |backoff| backoff.failures)
    }

    /// Whose address it is, also if that was only found out by dialling.
    fn peer_at(&self, candidate: &Candidate) -> Option<PeerId> {
        candidate
            .peer
            .or_else(|| self.found.get(&candidate.address).copied())
    }

    /// This peer answered at an address that we dialled.
    pub(crate) fn found(&mut self, peer: PeerId, address: &Multiaddr) {
        if self
            .seeds
            .iter()
            .any(|seed| seed.peer.is_none() && seed.address == *address)
        {
            self.found.insert(address.clone(), peer);
        }
    }

    /// The longest pause that is kept at the moment, if not all are kept in full: without any peer of
    /// use there is nothing better to do than to try again.
    fn longest_pause(&mut self, view: &View, now: Instant) -> Option<Duration> {
        if view.useful > 0 {
            if let Some(since) = self.lonely_since.take() {
                // One is back, so the others may be: what failed meanwhile says nothing of them.
                self.backoffs.retain(|_, backoff| backoff.since < since);
                self.resting.retain(|_, backoff| backoff.since < since);
            }
            return None;
        }
        let since = *self.lonely_since.get_or_insert(now);
        let recently = now.saturating_duration_since(since) < limits::LONELY_PATIENCE;
        Some(match recently {
            true => limits::LONELY_BACKOFF_MAX,
            false => limits::LONELY_BACKOFF_LATER,
        })
    }

    /// A dial of this address failed, or its connection didn't last.
    pub(crate) fn failed(&mut self, address: &Multiaddr, now: Instant, rng: &mut impl Rng) {
        let address = address::without_peer_id(address);
        if !self.backoffs.contains_key(&address) && self.backoffs.len() >= limits::MAX_BACKOFFS {
            self.forget_oldest();
        }
        let backoff = self.backoffs.entry(address).or_insert(Backoff {
            failures: 0,
            since: now,
            until: now,
        });
        backoff.failures = backoff.failures.saturating_add(1);
        backoff.since = now;
        backoff.until = now + pause(backoff.failures, rng.random_range(-1.0..=1.0));
    }

    /// A peer left this address after it had been connected for a while.
    pub(crate) fn left(
        &mut self,
        address: &Multiaddr,
        connected: Duration,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        if connected >= limits::GOOD_CONNECTION {
            self.backoffs.remove(&address::without_peer_id(address));
        }
        self.failed(address, now, rng);
    }

    /// Our side let go of this peer on purpose: it has a rest, or it would be back in a second, by
    /// another address if need be.
    pub(crate) fn rest(&mut self, peer: PeerId, now: Instant) {
        self.resting.retain(|_, backoff| now < backoff.until);
        if self.resting.len() < limits::MAX_BACKOFFS {
            let until = now + limits::DISCONNECTED_PAUSE;
            let backoff = Backoff {
                failures: 0,
                since: now,
                until,
            };
            self.resting.insert(peer, backoff);
        }
    }

    /// Lets every address be dialled at once: after the user, or the browser, said that the network
    /// is back.
    pub(crate) fn forget_failures(&mut self) {
        self.backoffs.clear();
        self.resting.clear();
        self.lonely_since = None;
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .backoffs
            .iter()
            .min_by_key(|(_, backoff)| backoff.until);
        if let Some(address) = oldest.map(|(address, _)| address.clone()) {
            self.backoffs.remove(&address);
        }
    }
}

fn earliest(known: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(known.map_or(other, |known| known.min(other)))
}

#[cfg(test)]
mod tests;
