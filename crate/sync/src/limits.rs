//! Every number that bounds the engine, in one place: timeouts, queue lengths, thresholds.
//!
//! The rule behind them: nothing waits for ever, nothing grows for ever. Where a number mirrors what
//! nodes of the 2.3.0 release do, its comment says so, because a light client that is stricter than
//! its peers drops honest ones, and one that is laxer can be made to work for dishonest ones.

use std::time::Duration;

// --- Requests -------------------------------------------------------------------------------------

/// How long one answer may take. Nodes give up on a request after 10 s themselves; a page that
/// waits for its first head should have asked somebody else long before.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How often pico macro sync asks a peer for its head again before it calls it a liar or outdated:
/// the first answer can be a batch old by the time the blocks are fetched.
pub const HEAD_RETRIES: usize = 2;

/// Pause before such a second look: long enough for a block to travel, short against a batch.
pub const HEAD_RETRY_DELAY: Duration = Duration::from_millis(750);

/// Election hashes asked for at once. Nodes cap their answer at 255.
pub const MAX_EPOCHS_PER_REQUEST: u16 = 255;

/// Missing blocks accepted in one answer: a node stops at the next macro block, so one batch.
pub const MAX_LOCATORS: usize = 100;

/// Requests of others that are being answered at a time; the rest wait in the network's queue.
pub const ANSWERS_IN_FLIGHT: usize = 8;

// --- Macro sync -----------------------------------------------------------------------------------

/// Peers that one macro sync works on at a time; the rest wait for their turn.
pub const MAX_SYNCING_PEERS: usize = 32;

/// Macro blocks requested ahead of the one that is being verified.
pub const MACRO_BLOCKS_IN_FLIGHT: usize = 5;

/// After this long an outdated peer is looked at again: it may have caught up.
pub const OUTDATED_RECHECK: Duration = Duration::from_secs(10);

/// How often in a row a peer may disagree with us without a block to show for it, before that is
/// held against it, or against us.
pub const DOUBTS_FORGIVEN: usize = 1;

/// Peers remembered as outdated or incompatible, oldest forgotten first.
pub const MAX_REMEMBERED_PEERS: usize = 256;

/// Election hashes that the chain keeps to hold claims of peers against.
pub const REMEMBERED_ELECTIONS: usize = 64;

// --- Live sync ------------------------------------------------------------------------------------

/// Blocks ahead of our head that are kept until their parents arrive, in batches (nodes: 2).
pub const WINDOW_AHEAD_BATCHES: u32 = 2;

/// Distinct blocks buffered for one height (nodes: 5 per peer).
pub const MAX_BLOCKS_PER_HEIGHT: usize = 5;

/// Blocks buffered in all.
pub const MAX_BUFFERED_BLOCKS: usize = 600;

/// Requests for missing blocks in flight (nodes: 5).
pub const MISSING_BLOCK_REQUESTS: usize = 5;

/// Blocks waiting to be pushed; the gossip stream is not read while it is full.
pub const MAX_PUSH_QUEUE: usize = 1024;

/// Work on the engine's thread before it gives way to the page, well below the 50 ms that make a
/// long task.
pub const TIME_SLICE: Duration = Duration::from_millis(12);

// --- Consensus ------------------------------------------------------------------------------------

/// Head requests to all live peers, unless announcements arrive (nodes: 5 s).
pub const HEAD_REQUEST_INTERVAL: Duration = Duration::from_secs(5);

/// Head requests go out after this long even while announcements arrive: those come from the peers
/// that follow the chain, and say nothing of a live peer that stands still.
pub const HEAD_REQUEST_MAX_INTERVAL: Duration = Duration::from_secs(15);

/// Accepted announcements that confirm the head without any head request (nodes: 5).
pub const MIN_BLOCKS_ESTABLISHED: usize = 5;

/// Without a new head for this long, the client says so and begins to act. Blocks come once a
/// second and a missing producer is skipped after four.
pub const STALL_AFTER: Duration = Duration::from_secs(20);

/// Between one remedy and the next, stronger one.
pub const STALL_ESCALATION: Duration = Duration::from_secs(20);

/// A clock that differs from the chain's by more than this is reported.
pub const CLOCK_SKEW_REPORTED: Duration = Duration::from_secs(120);

// --- Events ---------------------------------------------------------------------------------------

/// Events kept for a slow reader before the oldest are dropped and counted.
pub const EVENT_BUFFER: usize = 512;
