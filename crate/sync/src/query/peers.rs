//! Whom to ask, and how often. Nodes count the requests of each type that a peer makes in 10 s and
//! refuse those above a limit, so the same count is kept here, and nobody is ever asked for more.
//! Among the peers that may be asked, the one that is likely to answer first comes first.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use nimiq_time::timeout;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{clock::Instant, limits};

/// A kind of request, as far as the limits of nodes go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Its type id.
    pub(crate) id: u16,
    /// How many of them may count towards one window.
    budget: usize,
    /// How long a request counts after it is over.
    window: Duration,
}

impl Kind {
    /// The kind with this type id, of which nodes take `max` requests within `window`.
    pub(crate) fn new(id: u16, max: u32, window: Duration) -> Self {
        // The engine itself asks for blocks as well, and a node may have counted something that we
        // have not.
        let budget = usize::try_from(max / 4 * 3).unwrap_or(usize::MAX).max(1);
        Self {
            id,
            budget,
            window: window + limits::QUERY_WINDOW_MARGIN,
        }
    }
}

/// What has been asked of one peer.
#[derive(Debug, Default)]
struct Load {
    /// Questions that it was chosen for and that are not done with.
    chosen: usize,
    /// How long it takes to answer, as far as known.
    latency: Duration,
    trouble: Trouble,
    /// By type id.
    kinds: Vec<(u16, Count)>,
}

/// What came of it that a peer gave nothing of use. It is asked after all others then, but not for
/// ever: what was wrong may have been the network, or have been ours.
#[derive(Debug, Default)]
struct Trouble {
    /// Times in a row that it did not answer at all.
    silences: u32,
    /// Until when it is asked after all others.
    until: Option<Instant>,
}

impl Trouble {
    fn begin(&mut self, now: Instant) {
        // What fails while it goes on is the same trouble.
        if self.left(now).is_zero() {
            let factor = 2_u32.saturating_pow(self.silences);
            let pause = limits::QUERY_BLAME.saturating_mul(factor);
            self.until = Some(now + pause.min(limits::QUERY_MAX_BLAME));
            self.silences += 1;
        }
    }

    /// How long it still lasts.
    fn left(&self, now: Instant) -> Duration {
        self.until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// Requests of one kind to one peer that count towards its limit.
#[derive(Debug, Default)]
struct Count {
    active: usize,
    /// When each of those that are over was over. A node counted it no later than that, so once a
    /// window has passed since then it counts no more, whichever window the node has in mind.
    done: VecDeque<Instant>,
}

impl Count {
    fn expire(&mut self, window: Duration, now: Instant) {
        while self
            .done
            .front()
            .is_some_and(|done| now.saturating_duration_since(*done) >= window)
        {
            self.done.pop_front();
        }
    }

    /// How long until another request may be made, if nothing happens meanwhile.
    fn wait(&self, kind: &Kind, now: Instant) -> Duration {
        if self.active + self.done.len() < kind.budget {
            return Duration::ZERO;
        }
        match self.done.front() {
            Some(done) => kind
                .window
                .saturating_sub(now.saturating_duration_since(*done)),
            None => kind.window,
        }
    }
}

impl Load {
    fn count(&mut self, kind: &Kind, now: Instant) -> &mut Count {
        let i = match self.kinds.iter().position(|(id, _)| *id == kind.id) {
            Some(i) => i,
            None => {
                self.kinds.push((kind.id, Count::default()));
                self.kinds.len() - 1
            }
        };
        let count = &mut self.kinds[i].1;
        count.expire(kind.window, now);
        count
    }

    /// Whether there is nothing to remember it for.
    fn is_idle(&mut self, window: Duration, now: Instant) -> bool {
        let idle = |(_, count): &mut (u16, Count)| {
            count.expire(window, now);
            count.active == 0 && count.done.is_empty()
        };
        self.chosen == 0 && self.trouble.left(now).is_zero() && self.kinds.iter_mut().all(idle)
    }
}

/// Keeps count of what is asked of whom.
#[derive(Debug)]
pub(crate) struct Desk<TPeerId> {
    loads: Mutex<HashMap<TPeerId, Load>>,
    /// Notified of each request that is over.
    freed: Notify,
}

impl<TPeerId: Copy + Eq + Hash> Desk<TPeerId> {
    pub(crate) fn new() -> Self {
        Self {
            loads: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// The one of `peers` that is likely to answer first.
    pub(crate) fn choose(&self, peers: &[TPeerId], kind: &Kind) -> Option<Ticket<'_, TPeerId>> {
        let now = Instant::now();
        let mut loads = self.loads.lock();
        if loads.len() > limits::MAX_REMEMBERED_PEERS {
            loads.retain(|peer, load| peers.contains(peer) || !load.is_idle(kind.window, now));
        }
        let time = |peer: &TPeerId| {
            let load = loads.entry(*peer).or_default();
            let queue = u32::try_from(load.chosen + 1).unwrap_or(u32::MAX);
            let answer = load.latency + limits::QUERY_LATENCY_BASE;
            let wait = load.count(kind, now).wait(kind, now) + load.trouble.left(now);
            wait + answer.saturating_mul(queue)
        };
        let times = peers.iter().copied().zip(peers.iter().map(time));
        let (peer, _) = times.min_by_key(|(_, time)| *time)?;
        loads.entry(peer).or_default().chosen += 1;
        Some(Ticket { desk: self, peer })
    }

    /// How long it takes until one of `peers` may be asked. `None` where there are none.
    pub(crate) fn wait(&self, peers: &[TPeerId], kind: &Kind) -> Option<Duration> {
        let now = Instant::now();
        let mut loads = self.loads.lock();
        let wait = |peer: &TPeerId| {
            let count = loads.entry(*peer).or_default().count(kind, now);
            count.wait(kind, now)
        };
        peers.iter().map(wait).min()
    }

    /// Permission to make one request, as soon as the peer's limit allows. `None` if that takes too
    /// long.
    pub(crate) async fn slot(&self, peer: TPeerId, kind: Kind) -> Option<Slot<'_, TPeerId>> {
        let waiting = async {
            loop {
                let mut freed = std::pin::pin!(self.freed.notified());
                // From here on nothing that is freed goes unnoticed.
                freed.as_mut().enable();
                let wait = {
                    let now = Instant::now();
                    let mut loads = self.loads.lock();
                    let count = loads.entry(peer).or_default().count(&kind, now);
                    let wait = count.wait(&kind, now);
                    if wait.is_zero() {
                        count.active += 1;
                        return Slot {
                            desk: self,
                            peer,
                            kind,
                            since: now,
                        };
                    }
                    wait
                };
                // That time passes is as good as that something is freed.
                let _ = timeout(wait, freed).await;
            }
        };
        timeout(limits::QUERY_SLOT_TIMEOUT, waiting).await.ok()
    }

    /// Notes that a peer did not answer, or nothing of use.
    pub(crate) fn blame(&self, peer: TPeerId) {
        if let Some(load) = self.loads.lock().get_mut(&peer) {
            load.trouble.begin(Instant::now());
        }
    }
}

/// A peer that was chosen for a question. It counts as busy until this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket<'a, TPeerId: Copy + Eq + Hash> {
    desk: &'a Desk<TPeerId>,
    pub(crate) peer: TPeerId,
}

impl<TPeerId: Copy + Eq + Hash> Drop for Ticket<'_, TPeerId> {
    fn drop(&mut self) {
        if let Some(load) = self.desk.loads.lock().get_mut(&self.peer) {
            load.chosen = load.chosen.saturating_sub(1);
        }
    }
}

/// One request under way; counts towards the peer's limit until a while after this is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a, TPeerId: Copy + Eq + Hash> {
    desk: &'a Desk<TPeerId>,
    peer: TPeerId,
    kind: Kind,
    since: Instant,
}

impl<TPeerId: Copy + Eq + Hash> Slot<'_, TPeerId> {
    /// Notes how long the answer took.
    pub(crate) fn answered(&self) {
        let took = Instant::now().saturating_duration_since(self.since);
        if let Some(load) = self.desk.loads.lock().get_mut(&self.peer) {
            load.trouble.silences = 0;
            load.latency = match load.latency {
                Duration::ZERO => took,
                before => (before * 3 + took) / 4,
            };
        }
    }
}

impl<TPeerId: Copy + Eq + Hash> Drop for Slot<'_, TPeerId> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut loads = self.desk.loads.lock();
        let count = loads.entry(self.peer).or_default().count(&self.kind, now);
        count.active = count.active.saturating_sub(1);
        count.done.push_back(now);
        drop(loads);
        self.desk.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Three requests within 10 s.
    fn kind() -> Kind {
        Kind::new(215, 4, Duration::from_secs(10))
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_kept_in_every_window() {
        let desk = Desk::<u8>::new();
        let start = Instant::now();
        let mut answered = Vec::new();
        for _ in 0..7 {
            let slot = desk.slot(1, kind()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            slot.answered();
            drop(slot);
            answered.push(start.elapsed());
        }
        for (i, time) in answered.iter().enumerate().skip(3) {
            assert!(*time - answered[i - 3] >= Duration::from_secs(10), "{i}");
        }
        // And not much slower than it may be.
        assert!(answered[6] < Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_go_on_when_a_request_is_given_up() {
        let desk = Desk::<u8>::new();
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(desk.slot(1, kind()).await.unwrap());
        }
        // As long as nothing is over, nothing becomes free.
        assert!(desk.slot(1, kind()).await.is_none());
        slots.clear();
        assert!(desk.slot(1, kind()).await.is_some());
        // Another peer, and another kind, have limits of their own.
        assert!(desk.slot(2, kind()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_fastest_and_least_busy_comes_first() {
        let desk = Desk::<u8>::new();
        for (peer, ms) in [(1, 900), (2, 30), (3, 200)] {
            let slot = desk.slot(peer, kind()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            slot.answered();
        }
        let first = desk.choose(&[1, 2, 3], &kind()).unwrap();
        assert_eq!(first.peer, 2);
        let more: Vec<_> = (0..4)
            .map(|_| desk.choose(&[1, 2, 3], &kind()).unwrap())
            .collect();
        let peers: Vec<_> = more.iter().map(|ticket| ticket.peer).collect();
        assert!(peers.contains(&2) && peers.contains(&3) && !peers.contains(&1));
        drop((first, more));
        desk.blame(2);
        assert_eq!(desk.choose(&[1, 2, 3], &kind()).unwrap().peer, 3);
        assert!(desk.choose(&[], &kind()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_wears_off() {
        let desk = Desk::<u8>::new();
        let answer = async |peer, ms| {
            let slot = desk.slot(peer, kind()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            slot.answered();
        };
        let first = || desk.choose(&[1, 2], &kind()).unwrap().peer;
        answer(1, 10).await;
        answer(2, 50).await;
        // Many at once are one trouble.
        for _ in 0..8 {
            desk.blame(1);
        }
        assert_eq!(first(), 2);
        tokio::time::sleep(limits::QUERY_BLAME).await;
        assert_eq!(first(), 1);
        // Who keeps silent has to wait longer each time, but never for ever.
        let mut pause = limits::QUERY_BLAME;
        for _ in 0..20 {
            desk.blame(1);
            pause = (pause * 2).min(limits::QUERY_MAX_BLAME);
            tokio::time::sleep(pause - Duration::from_secs(1)).await;
            assert_eq!(first(), 2);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(first(), 1);
        }
        // An answer, of use or not, ends the silence.
        answer(1, 10).await;
        desk.blame(1);
        tokio::time::sleep(limits::QUERY_BLAME).await;
        assert_eq!(first(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn peers_that_left_are_forgotten() {
        let desk = Desk::<usize>::new();
        for peer in 0..=limits::MAX_REMEMBERED_PEERS {
            desk.slot(peer, kind()).await.unwrap().answered();
        }
        // Not as long as what they were asked counts.
        drop(desk.choose(&[0], &kind()));
        assert!(desk.loads.lock().len() > limits::MAX_REMEMBERED_PEERS);
        tokio::time::sleep(Duration::from_secs(11)).await;
        drop(desk.choose(&[0], &kind()));
        assert_eq!(desk.loads.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_limit_is_used_up_comes_last() {
        let desk = Desk::<u8>::new();
        for _ in 0..3 {
            desk.slot(1, kind()).await.unwrap().answered();
        }
        desk.blame(2);
        assert_eq!(desk.choose(&[1, 2], &kind()).unwrap().peer, 2);
    }
}
