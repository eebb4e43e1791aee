//! What is left of a turn, and who waits for the next.

use std::{task::Waker, time::Duration};

use web_time::Instant;

use crate::TURN;

/// The turns of one thread.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// By work that is done.
    used: Duration,
    /// When the work that is being done began, or the turn if that was later.
    working_since: Option<Instant>,
    /// In the order in which they came.
    waiting: Vec<Waker>,
}

impl Turns {
    /// Whether there is no time left in this turn.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let working = self
            .working_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.used + working >= TURN
    }

    /// Work begins. False if it is a part of work that has begun before, which is counted already.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let first = self.working_since.is_none();
        self.working_since.get_or_insert(now);
        first
    }

    /// The work that was begun first has ended.
    pub(crate) fn end(&mut self, now: Instant) {
        if let Some(since) = self.working_since.take() {
            self.used += now.saturating_duration_since(since);
        }
    }

    /// Has somebody wait for the next turn. True if nobody did before: then it has to be arranged for.
    pub(crate) fn wait(&mut self, waker: &Waker) -> bool {
        let first = self.waiting.is_empty();
        // One task may wait in several places.
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
        first
    }

    /// The next turn begins. Returns who has waited for it.
    pub(crate) fn next(&mut self, now: Instant) -> Vec<Waker> {
        self.used = Duration::ZERO;
        if let Some(since) = &mut self.working_since {
            *since = now;
        }
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_micros(1);

    #[test]
    fn a_turn_is_over_when_work_has_taken_its_time() {
        let mut turns = Turns::default();
        let start = Instant::now();
        assert!(turns.begin(start));
        assert!(!turns.is_over(start + TURN - MOMENT));
        assert!(turns.is_over(start + TURN), "while the work goes on");
        turns.end(start + TURN / 2);
        assert!(
            !turns.is_over(start + TURN * 9),
            "time without work does not count"
        );

        assert!(turns.begin(start + TURN * 9));
        turns.end(start + TURN * 9 + TURN / 2);
        assert!(turns.is_over(start + TURN * 10), "both pieces of work do");
    }

    #[test]
    fn work_within_work_is_counted_once() {
        let mut turns = Turns::default();
        let start = Instant::now();
        assert!(turns.begin(start));
        assert!(!turns.begin(start + TURN / 4));
        turns.end(start + TURN / 2);
        assert_eq!(turns.used, TURN / 2);
    }

    #[test]
    fn who_waits_is_told_once_and_in_order() {
        let wakers = [(); 3].map(|()| Waker::from(std::sync::Arc::new(Nothing)));
        let mut turns = Turns::default();
        let start = Instant::now();
        turns.begin(start);
        turns.end(start + TURN);

        assert!(turns.wait(&wakers[0]), "the first has it arranged for");
        assert!(!turns.wait(&wakers[1]));
        assert!(!turns.wait(&wakers[0]));
        assert!(!turns.wait(&wakers[2]));
        let woken = turns.next(start + TURN);
        assert_eq!(woken.len(), wakers.len());
        assert!(woken.iter().zip(&wakers).all(|(a, b)| a.will_wake(b)));

        assert!(
            !turns.is_over(start + TURN),
            "a turn begins with all of its time"
        );
        assert!(turns.next(start + TURN).is_empty());
        assert!(turns.wait(&wakers[0]), "and is arranged for again");
    }

    struct Nothing;

    impl std::task::Wake for Nothing {
        fn wake(self: std::sync::Arc<Self>) {}
    }
}
