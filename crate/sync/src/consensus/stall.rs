//! Notices that nothing arrives any more and says what to do about it, one remedy after the other,
//! each stronger than the one before. It counts ticks of a second, so it needs no clock.

use nimiq_hash::Blake2bHash;

use crate::{event::StallAction, limits};

/// How things stand when a second has passed.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    pub(super) head: Option<Blake2bHash>,
    pub(super) has_peers: bool,
    /// Whether the client is at the head of the chain, and not on its way there.
    pub(super) following: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remedy {
    /// Ask for heads. Nobody is told: it is no more than a second look.
    Look,
    /// Ask for heads, and give up who doesn't answer.
    Probe,
    /// What the action says.
    Act(StallAction),
}

impl Remedy {
    /// What is told of it.
    pub(super) fn action(self) -> Option<StallAction> {
        match self {
            Self::Look => None,
            Self::Probe => Some(StallAction::Resync),
            Self::Act(action) => Some(action),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    head: Option<Blake2bHash>,
    seconds: u64,
    remedies: u64,
    /// In seconds without a new head; 0 before the first remedy.
    next: u64,
    had_peers: bool,
}

impl StallDetector {
    /// There is no reason to expect anything.
    pub(super) fn pause(&mut self) {
        self.seconds = 0;
        self.remedies = 0;
        self.next = 0;
    }

    /// How long nothing has arrived, in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// A second has passed. Says what to do, if it is time to do something. A head that moved, in
    /// whichever way, is what all remedies are for.
    pub(super) fn tick(&mut self, pulse: Pulse) -> Option<Remedy> {
        self.had_peers |= pulse.has_peers;
        if pulse.head != self.head {
            self.head = pulse.head;
            self.pause();
            return None;
        }
        self.seconds += 1;
        let first = match (pulse.has_peers, pulse.following) {
            (false, _) if self.had_peers => limits::STALL_AFTER_LOSS,
            (false, _) | (true, true) => limits::STALL_AFTER,
            (true, false) => limits::STALL_AFTER_WHILE_SYNCING,
        };
        if self.seconds < first.as_secs().max(self.next) {
            let noticed = pulse.has_peers && self.seconds == limits::SILENCE_NOTICED.as_secs();
            return noticed.then_some(Remedy::Look);
        }
        let remedy = match self.remedies {
            _ if !pulse.has_peers => Remedy::Act(StallAction::Redial),
            n => match n % 4 {
                0 => Remedy::Probe,
                1 => Remedy::Act(StallAction::Resync),
                2 => Remedy::Act(StallAction::Redial),
                _ => Remedy::Act(StallAction::RestartNetwork),
            },
        };
        self.remedies += 1;
        let patience = limits::STALL_ESCALATION.as_secs() * self.remedies;
        self.next = self.seconds + patience.min(limits::STALL_ESCALATION_MAX.as_secs());
        Some(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(has_peers: bool, following: bool) -> Pulse {
        Pulse {
            head: None,
            has_peers,
            following,
        }
    }

    fn remedies(stall: &mut StallDetector, seconds: u64, pulse: &Pulse) -> Vec<(u64, Remedy)> {
        (1..=seconds)
            .filter_map(|second| Some((second, stall.tick(pulse.clone())?)))
            .collect()
    }

    #[test]
    fn remedies_escalate() {
        let expected = [
            (5, Remedy::Look),
            (8, Remedy::Probe),
            (16, Remedy::Act(StallAction::Resync)),
            (32, Remedy::Act(StallAction::Redial)),
            (56, Remedy::Act(StallAction::RestartNetwork)),
            (88, Remedy::Probe),
        ];
        let mut stall = StallDetector::default();
        assert_eq!(remedies(&mut stall, 99, &pulse(true, true)), expected);
    }

    #[test]
    fn a_sync_is_given_more_time() {
        let mut stall = StallDetector::default();
        let expected = [(5, Remedy::Look), (20, Remedy::Probe)];
        assert_eq!(remedies(&mut stall, 27, &pulse(true, false)), expected);
    }

    #[test]
    fn without_peers_only_new_connections_help() {
        let redial = Remedy::Act(StallAction::Redial);
        let mut stall = StallDetector::default();
        let never = remedies(&mut stall, 20, &pulse(false, false));
        assert_eq!(never, [(8, redial), (16, redial)]);
        let mut stall = StallDetector::default();
        assert_eq!(stall.tick(pulse(true, true)), None);
        let lost = remedies(&mut stall, 12, &pulse(false, false));
        // One second had passed before.
        assert_eq!(lost, [(2, redial), (10, redial)]);
    }

    #[test]
    fn progress_starts_over() {
        let mut stall = StallDetector::default();
        assert_eq!(remedies(&mut stall, 7, &pulse(true, true)).len(), 1);
        let moved = Pulse {
            head: Some(Blake2bHash::default()),
            ..pulse(true, true)
        };
        assert_eq!(stall.tick(moved.clone()), None);
        let again = remedies(&mut stall, 8, &moved);
        assert_eq!(again, [(5, Remedy::Look), (8, Remedy::Probe)]);
    }
}
