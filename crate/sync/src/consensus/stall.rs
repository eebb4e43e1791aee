//! Notices that nothing arrives any more and says what to do about it, one remedy after the other,
//! each stronger than the one before. It counts ticks of a second, so it needs no clock.

use nimiq_hash::Blake2bHash;

use crate::{event::StallAction, limits};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    head: Option<Blake2bHash>,
    seconds: u64,
    remedies: u64,
}

impl StallDetector {
    /// There is no reason to expect anything.
    pub(super) fn pause(&mut self) {
        self.seconds = 0;
        self.remedies = 0;
    }

    /// How long nothing has arrived, in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// A second has passed. Says what to do, if it is time to do something. A head that moved, in
    /// whichever way, is what all remedies are for.
    pub(super) fn tick(
        &mut self,
        head: Option<Blake2bHash>,
        has_peers: bool,
    ) -> Option<StallAction> {
        if head != self.head {
            self.head = head;
            self.pause();
            return None;
        }
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
            .filter_map(|second| Some((second, stall.tick(None, has_peers)?)))
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
            assert_eq!(stall.tick(None, true), None);
        }
        let head = Some(Blake2bHash::default());
        for _ in 0..20 {
            assert_eq!(stall.tick(head.clone(), true), None);
        }
        assert_eq!(stall.tick(head, true), Some(StallAction::Resync));
    }
}
