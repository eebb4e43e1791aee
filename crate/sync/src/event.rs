//! What the engine tells the world: events as they happen, and a snapshot at any time. Field names
//! and spellings are those of the public API, so that bindings only pass them on.

use serde::Serialize;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::{chain::BlockRef, clock::Clock, limits};

/// How far the current macro state can be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Adopted from peers on the minimal checks of pico macro sync.
    Optimistic,
    /// Proven from genesis or a pinned election block.
    Verified,
}

/// What trust was gained by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustSource {
    /// The word of peers.
    Peers,
    /// A proof of the election chain, and validators' signatures from the block that it proves on.
    Zkp,
    /// Validators' signatures, from the trusted anchor on.
    Signatures,
    /// A verified chain of an earlier run.
    Storage,
}

/// What became of something that was stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageStatus {
    /// It is in use again.
    Restored,
    /// It is of no use.
    Discarded,
}

/// What is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageRecord {
    /// The key that the client is known by.
    Identity,
    /// Peers and how to reach them.
    Contacts,
    /// The verified chain.
    Chain,
}

/// How it goes with a proof of the election chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZkpStatus {
    /// A peer is asked for its proof.
    Requested,
    /// One is being checked.
    Verifying,
    /// It holds, and is in use.
    Verified,
    /// It does not hold, or is no proof at all.
    Rejected,
    /// There is none to be had: from one peer, or, where none is named, at all.
    Unavailable,
}

/// What macro sync made of a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It agrees with us.
    Good,
    /// It is behind.
    Outdated,
    /// It lacks the services we need.
    Incompatible,
    /// It claims another chain.
    Conflicting,
}

/// State of consensus.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsensusState {
    /// No peer yet.
    Connecting,
    /// Peers, but not enough agreement.
    Syncing,
    /// Enough peers agree and the head is known.
    Established,
    /// The page is offline or the client disconnected.
    Offline,
    /// The client was closed.
    Closed,
}

/// Which macro sync is at work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncerKind {
    /// Optimistic.
    Pico,
    /// Verified from the anchor.
    Light,
}

/// How the head moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// By blocks on top.
    Extended,
    /// To another branch, or back when a fallback gave up blocks.
    Rebranched,
}

/// What is being done about a stall.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallAction {
    /// New connections are sought.
    Redial,
    /// Every connection is closed and made anew.
    RestartNetwork,
    /// Every peer goes through macro sync again.
    Resync,
}

/// Something that happened. The variants and fields are those of the public API.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum SyncEvent {
    /// Macro sync is done with a peer, for now.
    MacroSync {
        /// What it made of it.
        outcome: Outcome,
        /// The peer.
        peer_id: String,
        /// Why, unless it is good.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A macro block became the macro head.
    MacroBlock {
        /// Its number.
        block_number: u32,
        /// Its hash, hex.
        hash: String,
        /// Its epoch.
        epoch: u32,
        /// Whether it is an election block.
        election: bool,
        /// How far it can be trusted.
        trust: Trust,
    },
    /// The syncer went from pico to light.
    Fallback {
        /// Always pico.
        from: SyncerKind,
        /// Always light.
        to: SyncerKind,
        /// The peer that gave the reason, if it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer_id: Option<String>,
        /// Why.
        reason: String,
    },
    /// Something about proofs of the election chain.
    Zkp {
        /// How it goes.
        status: ZkpStatus,
        /// Number of the block that the proof is of; for a request, of the block that it is to go
        /// beyond.
        #[serde(skip_serializing_if = "Option::is_none")]
        block_number: Option<u32>,
        /// The peer that is asked, or that delivered the proof.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer_id: Option<String>,
        /// How long the check took, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
        /// Why it is rejected or unavailable.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Trust changed.
    Trust {
        /// To this.
        level: Trust,
        /// By this.
        via: TrustSource,
        /// As of this macro block.
        block_number: u32,
    },
    /// Consensus changed.
    Consensus {
        /// To this.
        state: ConsensusState,
    },
    /// The head moved.
    Head {
        /// How.
        kind: HeadKind,
        /// Number of the new head.
        block_number: u32,
        /// Its hash, hex.
        hash: String,
        /// Hashes of blocks that joined the chain, ascending.
        adopted: Vec<String>,
        /// Hashes of blocks that left it, ascending. Where a fallback gives up a chain, those of it
        /// that are still remembered: its recent election blocks, and the blocks of the last batch.
        reverted: Vec<String>,
    },
    /// Nothing arrived for too long.
    Stalled {
        /// For how long, in milliseconds.
        for_ms: u64,
        /// What is done about it.
        action: StallAction,
    },
    /// Something stored by an earlier run was looked at.
    Storage {
        /// What became of it.
        status: StorageStatus,
        /// What it is.
        record: StorageRecord,
        /// Why it is of no use.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The block that a restored chain ends with, or that trust starts at.
        #[serde(skip_serializing_if = "Option::is_none")]
        block_number: Option<u32>,
    },
    /// The clock of this machine differs from the chain's.
    Clock {
        /// Ours minus theirs, in milliseconds.
        skew_ms: i64,
    },
    /// The verifier failed and a check ran on the page's thread.
    VerifiedInPlace {
        /// Why.
        reason: String,
    },
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimedEvent {
    /// Unix milliseconds.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: SyncEvent,
}

/// Hands events to any number of readers. A slow one loses the oldest and is told how many.
#[derive(Clone, Debug)]
pub struct EventBus {
    sender: broadcast::Sender<TimedEvent>,
    clock: Clock,
}

impl EventBus {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            sender: broadcast::Sender::new(limits::EVENT_BUFFER),
            clock,
        }
    }

    pub(crate) fn emit(&self, event: SyncEvent) {
        log::debug!("{event:?}");
        // Having no reader is no error.
        let _ = self.sender.send(TimedEvent {
            at: self.clock.now_ms(),
            event,
        });
    }

    /// All events from now on.
    pub fn subscribe(&self) -> BroadcastStream<TimedEvent> {
        BroadcastStream::new(self.sender.subscribe())
    }
}

/// The engine's state at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// State of consensus.
    pub consensus: ConsensusState,
    /// How far the macro state can be trusted.
    pub trust: Trust,
    /// The head.
    pub head: BlockRef,
    /// Last macro block.
    pub macro_head: BlockRef,
    /// Last election block.
    pub election_head: BlockRef,
    /// Number of the epoch that it ended.
    pub epoch: u32,
    /// Connected peers.
    pub peers: usize,
    /// Those that agree with us.
    pub good_peers: usize,
    /// Which macro sync is at work.
    pub syncer: SyncerKind,
}
