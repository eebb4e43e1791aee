//! The outside view of a running engine: its events, its state, and how to end it.

use std::{collections::HashMap, sync::Arc};

use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_stream::wrappers::BroadcastStream;

use crate::{
    event::{ConsensusState, EventBus, Outcome, Snapshot, SyncerKind, TimedEvent},
    saved::SavedChain,
    shared::SharedChain,
};

/// What the engine's loop knows and the chain does not.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) consensus: ConsensusState,
    pub(super) peers: usize,
    pub(super) good_peers: usize,
    pub(super) syncer: SyncerKind,
    /// By the peer id's text form.
    pub(super) outcomes: HashMap<String, Outcome>,
}

/// A handle to a running engine. Cheap to clone; the engine runs on without it.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) chain: SharedChain,
    pub(super) events: EventBus,
    pub(super) status: Arc<RwLock<Status>>,
    pub(super) control: Arc<watch::Sender<Control>>,
}

/// What the engine is told to do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Control {
    pub(super) offline: bool,
    pub(super) closed: bool,
    /// How often the page woke up.
    pub(super) wakes: u64,
    /// How long it was frozen before, for sure.
    pub(super) frozen_ms: u64,
}

impl Handle {
    /// Everything that happens from now on. A slow reader is told how many events it missed.
    pub fn events(&self) -> BroadcastStream<TimedEvent> {
        self.events.subscribe()
    }

    /// The state at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let (heads, trust) = self.chain.heads_or_genesis();
        let status = self.status.read();
        Snapshot {
            consensus: status.consensus,
            trust,
            epoch: epoch_ended_by(heads.election_head.number),
            head: heads.head,
            macro_head: heads.macro_head,
            election_head: heads.election_head,
            peers: status.peers,
            good_peers: status.good_peers,
            syncer: status.syncer,
        }
    }

    /// What macro sync last made of each connected peer, by the peer id's text form.
    pub fn outcomes(&self) -> HashMap<String, Outcome> {
        self.status.read().outcomes.clone()
    }

    /// Whether the main chain holds `hash` among its recent blocks.
    pub fn knows_block(&self, hash: &Blake2bHash) -> bool {
        self.chain.read(|chain| chain.is_on_main_chain(hash)) == Some(true)
    }

    /// Says whether the page is offline: there is nothing to wait for then, so nothing stalls.
    pub fn set_offline(&self, offline: bool) {
        self.control.send_modify(|control| {
            control.offline = offline;
            control.frozen_ms = 0;
        });
    }

    /// Says that time may have passed unnoticed: the page was frozen, the machine slept, timers
    /// jumped. Peers are asked at once whether they are still there. `frozen_ms` of that are certain,
    /// also if something has arrived since.
    pub fn wake(&self, frozen_ms: u64) {
        self.control.send_modify(|control| {
            control.wakes = control.wakes.wrapping_add(1);
            control.frozen_ms = frozen_ms;
        });
    }

    /// What is worth keeping for the next run: `None` as long as nothing is verified.
    pub fn saved(&self) -> Option<SavedChain> {
        self.chain.saved()
    }

    /// Ends the engine. Idempotent.
    pub fn close(&self) {
        self.control.send_modify(|control| control.closed = true);
    }
}

fn epoch_ended_by(election_number: u32) -> u32 {
    Policy::epoch_at(election_number)
}
