//! Counts what each peer asks of us, in fixed windows that start with the first request, as nodes do.
//! The counts outlive a connection, so that reconnecting is no way around them.

use std::{collections::HashMap, hash::Hash, time::Duration};

use libp2p::PeerId;
use web_time::Instant;

use crate::limits;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in one window.
    pub max: u32,
    /// Length of the window.
    pub window: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within the limit.
    Allowed,
    /// Over the limit.
    Refused,
    /// So far over the limit that it is a flood.
    Flood,
}

#[derive(Debug)]
struct Counter {
    since: Instant,
    window: Duration,
    count: u32,
}

impl Counter {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= self.window
    }
}

/// The counters of all peers, one for each kind of thing they ask for.
#[derive(Debug)]
pub struct RateLimiter<K> {
    counters: HashMap<(PeerId, K), Counter>,
    capacity: usize,
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// A limiter that keeps at most `capacity` counters.
    pub fn new(capacity: usize) -> Self {
        Self {
            counters: HashMap::new(),
            capacity,
        }
    }

    /// Counts one request.
    pub fn count(&mut self, peer: PeerId, kind: K, limit: RateLimit, now: Instant) -> Verdict {
        let key = (peer, kind);
        if !self.counters.contains_key(&key) && self.counters.len() >= self.capacity {
            self.make_room(now);
        }
        let counter = self.counters.entry(key).or_insert(Counter {
            since: now,
            window: limit.window,
            count: 0,
        });
        if counter.is_over(now) {
            counter.since = now;
            counter.count = 0;
        }
        counter.count = counter.count.saturating_add(1);
        if counter.count <= limit.max {
            Verdict::Allowed
        } else if counter.count <= limit.max.saturating_mul(limits::FLOOD_FACTOR) {
            Verdict::Refused
        } else {
            Verdict::Flood
        }
    }

    /// Full of live counters: somebody makes peers by the thousand. Whoever comes now is not to
    /// blame, so it is those who were there that are forgotten, many at a time, because looking for
    /// the oldest each time would cost more than what is counted.
    fn make_room(&mut self, now: Instant) {
        self.counters.retain(|_, counter| !counter.is_over(now));
        if self.counters.len() > self.capacity / 2 {
            self.counters
                .retain(|_, counter| now.duration_since(counter.since) < counter.window / 2);
        }
        if self.counters.len() >= self.capacity {
            self.counters.clear();
        }
    }

    /// Number of counters held.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether no counter is held.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        max: 2,
        window: Duration::from_secs(10),
    };

    #[test]
    fn fixed_windows_from_the_first_request() {
        let mut limiter = RateLimiter::new(10);
        let (peer, start) = (PeerId::random(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert_eq!(limiter.count(peer, 1, LIMIT, at(0)), Verdict::Allowed);
        assert_eq!(limiter.count(peer, 1, LIMIT, at(9)), Verdict::Allowed);
        assert_eq!(limiter.count(peer, 1, LIMIT, at(9)), Verdict::Refused);
        // Another kind, another peer: not affected.
        assert_eq!(limiter.count(peer, 2, LIMIT, at(9)), Verdict::Allowed);
        assert_eq!(
            limiter.count(PeerId::random(), 1, LIMIT, at(9)),
            Verdict::Allowed
        );
        assert_eq!(limiter.count(peer, 1, LIMIT, at(10)), Verdict::Allowed);
    }

    #[test]
    fn far_over_the_limit_is_a_flood() {
        let mut limiter = RateLimiter::new(10);
        let (peer, now) = (PeerId::random(), Instant::now());
        let verdicts: Vec<_> = (0..17)
            .map(|_| limiter.count(peer, 1, LIMIT, now))
            .collect();
        assert_eq!(verdicts[..2], [Verdict::Allowed; 2]);
        assert_eq!(verdicts[2..16], [Verdict::Refused; 14]);
        assert_eq!(verdicts[16], Verdict::Flood);
    }

    #[test]
    fn counters_are_bounded() {
        let mut limiter = RateLimiter::new(10);
        let start = Instant::now();
        for _ in 0..100 {
            // Thousands of peers don't keep out the next one.
            assert_eq!(
                limiter.count(PeerId::random(), 1, LIMIT, start),
                Verdict::Allowed
            );
            assert!(limiter.len() <= 10);
        }
        let later = start + LIMIT.window;
        assert_eq!(
            limiter.count(PeerId::random(), 1, LIMIT, later),
            Verdict::Allowed
        );
        assert!(limiter.len() <= 10);
    }

    #[test]
    fn those_who_were_there_longest_are_forgotten_first() {
        let mut limiter = RateLimiter::new(10);
        let (recent, start) = (PeerId::random(), Instant::now());
        for _ in 0..9 {
            limiter.count(PeerId::random(), 1, LIMIT, start);
        }
        let later = start + LIMIT.window / 2;
        for _ in 0..2 {
            limiter.count(recent, 1, LIMIT, later);
        }
        limiter.count(PeerId::random(), 1, LIMIT, later);
        assert_eq!(limiter.len(), 2);
        assert_eq!(limiter.count(recent, 1, LIMIT, later), Verdict::Refused);
    }
}
