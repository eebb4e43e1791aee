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
    /// Dials under way.
    pub(crate) dialling: usize,
    /// Everybody connected.
    pub(crate) peers: HashSet<PeerId>,
    /// Addresses connected to or being dialled, without peer ids.
    pub(crate) addresses: HashSet<Multiaddr>,
}

/// An address that could be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    backoffs: HashMap<Multiaddr, Backoff>,
    /// Since when there has been no peer of use.
    lonely_since: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(desired: usize, seeds: &[Multiaddr]) -> Self {
        Self {
            desired,
            seeds: seeds.iter().map(Candidate::new).collect(),
            backoffs: HashMap::new(),
            lonely_since: None,
        }
    }

    /// Whom to dial now. `good` are peers that were connected before, `contacts` the candidates of the
    /// contact book, `banned` those that must not be tried.
    pub(crate) fn plan(
        &mut self,
        view: &View,
        mut good: Vec<Candidate>,
        contacts: Vec<Candidate>,
        banned: impl Fn(&Candidate) -> bool,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Plan {
        let longest = self.longest_pause(view, now);
        let wanted = self
            .desired
            .saturating_sub(view.useful + view.dialling)
            .min(limits::MAX_POOL_DIALS.saturating_sub(view.dialling));
        let mut plan = Plan::default();
        if wanted == 0 {
            return plan;
        }
        // Seeds and contacts in one random order: seeds alone would be found at their limits, and
        // contacts alone could all be of one liar's making. Before the first peer, only seeds exist
        // or are to be preferred, for they were chosen by the user.
        let mut candidates = contacts;
        candidates.shuffle(rng);
        let mut seeds = self.seeds.clone();
        seeds.shuffle(rng);
        candidates.splice(0..0, seeds);
        if view.useful > 0 {
            candidates.shuffle(rng);
        }
        good.shuffle(rng);
        candidates.splice(0..0, good);
        let mut chosen = HashSet::new();
        for candidate in candidates {
            let connected = candidate
                .peer
                .is_some_and(|peer| view.peers.contains(&peer))
                || view.addresses.contains(&candidate.address);
            if connected || banned(&candidate) || chosen.contains(&candidate.address) {
                continue;
            }
            if let Some(backoff) = self.backoffs.get(&candidate.address)
                && let until = backoff.until(longest)
                && now < until
            {
                plan.again_at = earliest(plan.again_at, until);
                continue;
            }
            if plan.dial.len() < wanted {
                chosen.insert(candidate.address.clone());
                plan.dial.push(candidate);
            }
        }
        plan
    }

    /// The longest pause that is kept at the moment, if not all are kept in full: without any peer of
    /// use there is nothing better to do than to try again.
    fn longest_pause(&mut self, view: &View, now: Instant) -> Option<Duration> {
        if view.useful > 0 {
            if let Some(since) = self.lonely_since.take() {
                // One is back, so the others may be: what failed meanwhile says nothing of them.
                self.backoffs.retain(|_, backoff| backoff.since < since);
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

    /// Our side let go of this address on purpose: it has a rest, or it would be back in a second.
    pub(crate) fn rest(&mut self, address: &Multiaddr, now: Instant) {
        if let Some(backoff) = self.backoffs.get_mut(&address::without_peer_id(address)) {
            backoff.until = backoff.until.max(now + limits::DISCONNECTED_PAUSE);
        }
    }

    /// Lets every address be dialled at once: after the user, or the browser, said that the network
    /// is back.
    pub(crate) fn forget_failures(&mut self) {
        self.backoffs.clear();
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn seeds(n: usize) -> Vec<Multiaddr> {
        (0..n)
            .map(|i| format!("/ip4/1.2.3.4/tcp/{}/ws", i + 1).parse().unwrap())
            .collect()
    }

    fn plan(pool: &mut Pool, view: &View, now: Instant) -> Plan {
        pool.plan(
            view,
            Vec::new(),
            Vec::new(),
            |_| false,
            now,
            &mut rand::rng(),
        )
    }

    #[test]
    fn dials_what_is_missing_and_no_more() {
        let mut pool = Pool::new(3, &seeds(10));
        let now = Instant::now();
        assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 3);
        let view = View {
            useful: 1,
            dialling: 1,
            ..View::default()
        };
        assert_eq!(plan(&mut pool, &view, now).dial.len(), 1);
        let view = View {
            useful: 3,
            ..View::default()
        };
        assert!(plan(&mut pool, &view, now).dial.is_empty());
        let mut pool = Pool::new(100, &seeds(100));
        assert_eq!(
            plan(&mut pool, &View::default(), now).dial.len(),
            limits::MAX_POOL_DIALS
        );
    }

    #[test]
    fn neither_the_connected_nor_the_banned_nor_one_address_twice() {
        let mut all = seeds(3);
        all.push(all[0].clone());
        let mut pool = Pool::new(10, &all);
        let view = View {
            addresses: [all[1].clone()].into(),
            ..View::default()
        };
        let banned = |candidate: &Candidate| candidate.address == all[2];
        let plan = pool.plan(
            &view,
            Vec::new(),
            Vec::new(),
            banned,
            Instant::now(),
            &mut rand::rng(),
        );
        assert_eq!(plan.dial, [Candidate::new(&all[0])]);
        let peer = PeerId::random();
        let contact = Candidate {
            peer: Some(peer),
            address: seeds(9)[8].clone(),
        };
        let view = View {
            peers: [peer].into(),
            addresses: all.into_iter().collect(),
            ..View::default()
        };
        let plan = pool.plan(
            &view,
            Vec::new(),
            vec![contact],
            |_| false,
            Instant::now(),
            &mut rand::rng(),
        );
        assert!(plan.dial.is_empty());
    }

    #[test]
    fn a_failed_address_waits_and_then_comes_again() {
        let mut pool = Pool::new(1, &seeds(1));
        let now = Instant::now();
        pool.failed(&seeds(1)[0], now, &mut rand::rng());
        let waiting = plan(&mut pool, &View::default(), now);
        assert!(waiting.dial.is_empty());
        let again_at = waiting.again_at.unwrap();
        assert!(again_at <= now + pause(1, 1.0));
        assert_eq!(plan(&mut pool, &View::default(), again_at).dial.len(), 1);
        pool.forget_failures();
        assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 1);
    }

    #[test]
    fn a_good_connection_clears_the_record() {
        let mut pool = Pool::new(1, &seeds(1));
        let (address, now) = (&seeds(1)[0], Instant::now());
        for _ in 0..10 {
            pool.failed(address, now, &mut rand::rng());
        }
        pool.left(address, limits::GOOD_CONNECTION, now, &mut rand::rng());
        assert_eq!(pool.backoffs[address].failures, 1);
        // Seen as bad: a peer that hangs up at once each time.
        pool.left(address, Duration::ZERO, now, &mut rand::rng());
        assert_eq!(pool.backoffs[address].failures, 2);
    }

    #[test]
    fn who_was_let_go_on_purpose_has_a_rest() {
        let mut pool = Pool::new(1, &seeds(1));
        let (address, now) = (&seeds(1)[0], Instant::now());
        pool.left(address, limits::GOOD_CONNECTION, now, &mut rand::rng());
        pool.rest(address, now);
        let view = View {
            useful: 1,
            ..View::default()
        };
        let mut pool = Pool { desired: 2, ..pool };
        let again_at = plan(&mut pool, &view, now).again_at.unwrap();
        assert_eq!(again_at, now + limits::DISCONNECTED_PAUSE);
        // Unless there is nobody else.
        let again_at = plan(&mut pool, &View::default(), now).again_at.unwrap();
        assert_eq!(again_at, now + limits::LONELY_BACKOFF_MAX);
    }

    #[test]
    fn who_is_alone_tries_again_soon() {
        let mut pool = Pool::new(1, &seeds(1));
        let (address, now) = (&seeds(1)[0], Instant::now());
        assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 1);
        for _ in 0..10 {
            pool.failed(address, now, &mut rand::rng());
        }
        let again_at = plan(&mut pool, &View::default(), now).again_at.unwrap();
        assert_eq!(again_at, now + limits::LONELY_BACKOFF_MAX);
        // But not for ever.
        let later = now + limits::LONELY_PATIENCE;
        pool.failed(address, later, &mut rand::rng());
        let again_at = plan(&mut pool, &View::default(), later).again_at.unwrap();
        assert_eq!(again_at, later + limits::LONELY_BACKOFF_LATER);
    }

    #[test]
    fn when_one_is_back_all_are_tried() {
        let mut pool = Pool::new(2, &seeds(2));
        let (all, now) = (seeds(2), Instant::now());
        assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 2);
        for _ in 0..10 {
            pool.failed(&all[1], now, &mut rand::rng());
        }
        let view = View {
            useful: 1,
            addresses: [all[0].clone()].into(),
            ..View::default()
        };
        let dial = plan(&mut pool, &view, now).dial;
        assert_eq!(dial, [Candidate::new(&all[1])]);
    }

    #[test]
    fn who_was_good_comes_first() {
        let mut pool = Pool::new(2, &seeds(5));
        let good: Vec<_> = seeds(100)[98..].iter().map(Candidate::new).collect();
        let now = Instant::now();
        let plan = pool.plan(
            &View::default(),
            good.clone(),
            Vec::new(),
            |_| false,
            now,
            &mut rand::rng(),
        );
        assert_eq!(plan.dial.len(), 2);
        assert!(plan.dial.iter().all(|candidate| good.contains(candidate)));
    }

    #[test]
    fn seeds_come_first_while_nobody_is_connected() {
        let mut pool = Pool::new(2, &seeds(2));
        let contacts: Vec<_> = seeds(100)[2..].iter().map(Candidate::new).collect();
        let plan = pool.plan(
            &View::default(),
            Vec::new(),
            contacts,
            |_| false,
            Instant::now(),
            &mut rand::rng(),
        );
        let dialled: HashSet<_> = plan.dial.into_iter().map(|c| c.address).collect();
        assert_eq!(dialled, seeds(2).into_iter().collect());
    }

    proptest! {
        #[test]
        fn pauses_grow_and_are_bounded(failures in 1u32.., jitter in -1.0f64..=1.0) {
            let this = pause(failures, jitter);
            let slack = 1.0 + limits::BACKOFF_JITTER;
            prop_assert!(this >= limits::BACKOFF_BASE.mul_f64(1.0 - limits::BACKOFF_JITTER));
            prop_assert!(this <= limits::BACKOFF_MAX.mul_f64(slack));
            prop_assert!(pause(failures.saturating_add(1), 0.0) >= pause(failures, 0.0));
        }
    }

    #[test]
    fn records_are_bounded() {
        let mut pool = Pool::new(1, &[]);
        let now = Instant::now();
        for port in 0..2 * limits::MAX_BACKOFFS {
            let address = format!("/ip4/1.2.3.4/tcp/{port}/ws").parse().unwrap();
            pool.failed(&address, now, &mut rand::rng());
        }
        assert_eq!(pool.backoffs.len(), limits::MAX_BACKOFFS);
    }
}
