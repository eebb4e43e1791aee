//! What we ask of a node, counted as it counts: in windows that begin with the first request.

use std::time::Instant;

use super::limits;

/// The requests of one type to one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    since: Option<Instant>,
    count: u32,
}

impl Window {
    /// Whether another one is within the node's limit, with some distance.
    pub(super) fn has_room(&self, limit: u32, now: Instant) -> bool {
        let share = (limit * limits::WINDOW_SHARE / 100).max(1);
        self.is_over(now) || self.count < share
    }

    /// Counts one.
    pub(super) fn count(&mut self, now: Instant) {
        if self.is_over(now) {
            self.since = Some(now);
            self.count = 0;
        }
        self.count += 1;
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since
            .is_none_or(|since| now.duration_since(since) >= limits::WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_with_the_first_request() {
        let (mut window, now) = (Window::default(), Instant::now());
        for _ in 0..45 {
            assert!(window.has_room(50, now));
            window.count(now);
        }
        assert!(!window.has_room(50, now + limits::WINDOW / 2));
        assert!(window.has_room(50, now + limits::WINDOW));
        window.count(now + limits::WINDOW);
        assert_eq!(window.count, 1);
        // However small the limit, one request gets through.
        assert!(Window::default().has_room(1, now));
    }
}
