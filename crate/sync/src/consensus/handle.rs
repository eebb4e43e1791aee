//! The outside view of a running engine: its events, its state, and how to end it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_stream::wrappers::BroadcastStream;

use crate::{
    event::{ConsensusState, EventBus, Outcome, Snapshot, SyncerKind, TimedEvent},
    query::Standing,
    saved::SavedChain,
    shared::SharedChain,
};

/// What the engine's loop knows and the chain does not.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) consensus: ConsensusState,
    pub(super) syncer: SyncerKind,
    /// By the peer id's text form.
    pub(super) outcomes: HashMap<String, Outcome>,
}

/// Counts peers by the network's own table: who leaves is not there any more when the network says
/// so, and the engine hears of it a little later.
#[derive(Clone)]
pub(super) struct Census(Arc<dyn Fn() -> (usize, usize) + Send + Sync>);

impl Census {
    pub(super) fn new<TNetwork: Network>(
        network: Weak<TNetwork>,
        standing: watch::Receiver<Standing<TNetwork::PeerId>>,
    ) -> Self {
        Self(Arc::new(move || {
            let Some(network) = network.upgrade() else {
                return (0, 0);
            };
            let peers = network.get_peers();
            let standing = standing.borrow();
            let good = standing.good.iter().filter(|peer| peers.contains(peer));
            (peers.len(), good.count())
        }))
    }

    /// How many are connected, and how many of those are good.
    fn take(&self) -> (usize, usize) {
        (self.0)()
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Census")
    }
}

/// A handle to a running engine. Cheap to clone; the engine runs on without it.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) chain: SharedChain,
    pub(super) events: EventBus,
    pub(super) status: Arc<RwLock<Status>>,
    pub(super) census: Census,
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
        let (peers, good_peers) = self.census.take();
        let status = self.status.read();
        Snapshot {
            consensus: status.consensus,
            trust,
            epoch: epoch_ended_by(heads.election_head.number),
            head: heads.head,
            macro_head: heads.macro_head,
            election_head: heads.election_head,
            peers,
            good_peers,
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
