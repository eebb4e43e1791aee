//! Our clock against the peers': every handshake carries a time stamp of the peer's own clock, and
//! the median of them says how far ours is off. It corrects the age of contacts and the date of our
//! own; what it means for blocks is left to the engine.

use std::{collections::VecDeque, time::Duration};

use libp2p::PeerId;
use parking_lot::Mutex;
use web_time::{Instant, SystemTime, UNIX_EPOCH};

use crate::limits;

/// The local clock, in time since the Unix epoch.
pub(crate) fn system_time() -> Duration {
    // A clock before 1970 is off by more than can be expressed; the peers' will put it right.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The local clock together with what the peers say about it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    samples: Mutex<VecDeque<Sample>>,
}

/// What one peer said.
#[derive(Debug)]
struct Sample {
    peer: PeerId,
    offset_ms: i64,
    /// By the monotonic clock, which no correction of the other one changes.
    taken: Instant,
}

impl Clock {
    /// Takes in the time stamp (Unix seconds) of a peer's freshly received own contact. One sample a
    /// peer: reconnecting doesn't give a peer more weight.
    pub(crate) fn observe(&self, peer: PeerId, timestamp: u64) {
        self.observe_at(peer, timestamp, system_time(), Instant::now());
    }

    fn observe_at(&self, peer: PeerId, timestamp: u64, now: Duration, taken: Instant) {
        let theirs =
            millis(Duration::from_secs(timestamp).saturating_add(limits::CONTACT_MEAN_AGE));
        let offset_ms = theirs.saturating_sub(millis(now));
        let mut samples = self.samples.lock();
        samples.retain(|sample| sample.peer != peer);
        if samples.len() >= limits::MAX_CLOCK_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(Sample {
            peer,
            offset_ms,
            taken,
        });
    }

    /// How many milliseconds the peers' clocks are ahead of ours (negative: behind). 0 while no more
    /// than the noise of the measurement, or without any peer.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms_at(Instant::now())
    }

    fn offset_ms_at(&self, now: Instant) -> i64 {
        let samples = self.samples.lock();
        let mut offsets: Vec<i64> = samples
            .iter()
            .filter(|sample| now.duration_since(sample.taken) <= limits::CLOCK_SAMPLE_AGE)
            .map(|sample| sample.offset_ms)
            .collect();
        if offsets.is_empty() {
            return 0;
        }
        offsets.sort_unstable();
        // The lower of two middle ones: with an even number, neither side can pull alone.
        let lower = offsets[(offsets.len() - 1) / 2];
        let upper = offsets[offsets.len() / 2];
        let median = if lower.unsigned_abs() <= upper.unsigned_abs() {
            lower
        } else {
            upper
        };
        if median.unsigned_abs() <= limits::CLOCK_TOLERANCE.as_millis() as u64 {
            0
        } else {
            median
        }
    }

    /// Unix seconds by the peers' clocks.
    pub(crate) fn network_secs(&self) -> u64 {
        let now = millis(system_time()).saturating_add(self.offset_ms());
        u64::try_from(now / 1000).unwrap_or(0)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn small_differences_are_none() {
        let clock = Clock::default();
        assert_eq!(clock.offset_ms(), 0);
        for back in [0, 30, 60] {
            clock.observe_at(PeerId::random(), NOW.as_secs() - back, NOW, Instant::now());
        }
        assert_eq!(clock.offset_ms(), 0);
    }

    #[test]
    fn one_liar_among_three_changes_nothing() {
        let clock = Clock::default();
        clock.observe_at(PeerId::random(), u64::MAX, NOW, Instant::now());
        clock.observe_at(PeerId::random(), NOW.as_secs() - 3630, NOW, Instant::now());
        clock.observe_at(PeerId::random(), NOW.as_secs() - 3620, NOW, Instant::now());
        assert_eq!(clock.offset_ms(), -3_590_000);
        // Of two, the one that changes less counts.
        let clock = Clock::default();
        clock.observe_at(PeerId::random(), u64::MAX, NOW, Instant::now());
        clock.observe_at(PeerId::random(), NOW.as_secs() - 30, NOW, Instant::now());
        assert_eq!(clock.offset_ms(), 0);
    }

    #[test]
    fn what_was_said_long_ago_is_forgotten() {
        let clock = Clock::default();
        let taken = Instant::now();
        clock.observe_at(PeerId::random(), NOW.as_secs() + 3600, NOW, taken);
        assert!(clock.offset_ms_at(taken + limits::CLOCK_SAMPLE_AGE) > 0);
        let later = taken + limits::CLOCK_SAMPLE_AGE + Duration::from_millis(1);
        assert_eq!(clock.offset_ms_at(later), 0);
    }

    #[test]
    fn a_peer_counts_once_and_samples_are_bounded() {
        let clock = Clock::default();
        let peer = PeerId::random();
        for _ in 0..100 {
            clock.observe_at(peer, 0, NOW, Instant::now());
        }
        assert_eq!(clock.samples.lock().len(), 1);
        for _ in 0..100 {
            clock.observe_at(PeerId::random(), 0, NOW, Instant::now());
        }
        assert_eq!(clock.samples.lock().len(), limits::MAX_CLOCK_SAMPLES);
    }
}
