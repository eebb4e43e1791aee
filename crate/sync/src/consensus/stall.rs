//! Notices that nothing arrives any more and says what to do about it, one remedy after the other,
//! each stronger than the one before. It counts ticks of a second, so it needs no clock.

use crate::{event::StallAction, limits};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    seconds: u64,
    remedies: u64,
}

impl StallDetector {
    /// There was a new head.
    pub(super) fn progress(&mut self) {
        *self = Self::default();
    }

    /// How long nothing has arrived, in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// A second has passed. Says what to do, if it is time to do something.
    pub(super) fn tick(&mut self, has_peers: bool) -> Option<StallAction> {
        self.seconds += 1;
        let due =
            limits::STALL_AFTER.as_secs() + self.remedies * limits::STALL_ESCALATION.as_secs();
        if self.seconds < due {
            return None;
        }
        let action = match self.remedies {
            _ if !has_peers => StallAction::Redial,
            0 => StallAction::Resync,
            1 => StallAction::Redial,
            n if n % 3 == 2 => StallAction::RestartNetwork,
            _ => StallAction::Resync,
        };
        self.remedies += 1;
        Some(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(seconds: u64, has_peers: bool) -> Vec<(u64, StallAction)> {
        let mut stall = StallDetector::default();
        (1..=seconds)
            .filter_map(|second| Some((second, stall.tick(has_peers)?)))
            .collect()
    }

    #[test]
    fn remedies_escalate() {
        let expected = [
            (20, StallAction::Resync),
            (40, StallAction::Redial),
            (60, StallAction::RestartNetwork),
            (80, StallAction::Resync),
        ];
        assert_eq!(actions(99, true), expected);
    }

    #[test]
    fn without_peers_only_new_connections_help() {
        assert!(
            actions(60, false)
                .iter()
                .all(|(_, action)| *action == StallAction::Redial)
        );
    }

    #[test]
    fn progress_starts_over() {
        let mut stall = StallDetector::default();
        for _ in 0..19 {
            assert_eq!(stall.tick(true), None);
        }
        stall.progress();
        for _ in 0..19 {
            assert_eq!(stall.tick(true), None);
        }
        assert_eq!(stall.tick(true), Some(StallAction::Resync));
    }
}
