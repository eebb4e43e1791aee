//! What the relay keeps of one upstream: what waits for it, what it was asked, how it has answered.

use std::time::Instant;

use pico_network::{PeerId, Services};

use super::{cache::Question, fair::FairQueue, limits, types, upstreams::Tally, window::Window};

/// One upstream.
pub(super) struct Target {
    pub(super) connected: bool,
    pub(super) services: Services,
    pub(super) queues: [FairQueue<PeerId, Question>; types::COUNT],
    pub(super) windows: [Window; types::COUNT],
    /// The type whose turn it is.
    pub(super) turn: usize,
    pub(super) in_flight: usize,
    /// Time-outs in a row, and until when it is left alone because of them.
    pub(super) timeouts: u32,
    pub(super) suspended_until: Option<Instant>,
    /// Whether others say something else.
    pub(super) suspect: bool,
    pub(super) tally: Tally,
}

impl Target {
    pub(super) fn new() -> Self {
        Self {
            connected: false,
            services: Services::empty(),
            queues: std::array::from_fn(|_| FairQueue::new()),
            windows: [Window::default(); types::COUNT],
            turn: 0,
            in_flight: 0,
            timeouts: 0,
            suspended_until: None,
            suspect: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn is_suspended(&self, now: Instant) -> bool {
        self.suspended_until.is_some_and(|until| now < until)
    }

    pub(super) fn timed_out(&mut self, now: Instant) {
        self.timeouts += 1;
        if let Some(rounds) = self.timeouts.checked_sub(limits::TIMEOUTS_TO_SUSPEND) {
            let time = limits::SUSPENSION.saturating_mul(1 << rounds.min(8));
            self.suspended_until = Some(now + time.min(limits::MAX_SUSPENSION));
        }
    }
}
