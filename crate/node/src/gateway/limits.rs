//! Every bound of the gateway. What a node bounds by protocol has the node's number.

use std::time::Duration;

/// Clients it has room for unless told otherwise.
pub const DEFAULT_MAX_CLIENTS: u32 = 4096;

/// Upstreams and listeners each.
pub const MAX_ADDRESSES: usize = 64;

// --- Requests -------------------------------------------------------------------------------------

/// Requests of clients that the relay has not looked at yet. It looks at thousands a second.
pub const REQUEST_QUEUE: usize = 4096;

/// Requests of one client that wait for their turn; further ones are refused.
pub const QUEUED_PER_CLIENT: usize = 64;

/// Requests of all clients that wait for their turn.
pub const QUEUED: usize = 65_536;

/// Clients that wait for one and the same answer.
pub const WAITERS: usize = 16_384;

/// Requests under way to one upstream. It works on 64 of a type at once.
pub const IN_FLIGHT_PER_UPSTREAM: usize = 48;

/// How long an upstream may take before another one is asked. A client gives up after 10 s.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a request may wait for its answer. After that, its client has given up or is about to.
pub const REQUEST_DEADLINE: Duration = Duration::from_millis(9_500);

/// Upstreams asked for one answer.
pub const ATTEMPTS: usize = 3;

/// The time in which nodes count the requests of a peer, and what is added to it, because their
/// window begins later than ours.
pub const WINDOW: Duration = Duration::from_millis(10_500);

/// How much of a node's limit is used, in percent.
pub const WINDOW_SHARE: u32 = 90;

/// Time-outs in a row after which an upstream is left alone for a while, if there is another one.
pub const TIMEOUTS_TO_SUSPEND: u32 = 3;

/// That while, at first; it doubles.
pub const SUSPENSION: Duration = Duration::from_secs(5);

/// … up to this.
pub const MAX_SUSPENSION: Duration = Duration::from_secs(60);

/// How often what has waited too long is looked for.
pub const TICK: Duration = Duration::from_millis(250);

// --- Cache ----------------------------------------------------------------------------------------

/// Bytes of answers kept.
pub const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Answers kept.
pub const CACHE_ENTRIES: usize = 65_536;

/// How long what depends on the head is kept, if no block comes.
pub const FRESH: Duration = Duration::from_secs(1);

/// … and for how long also if one comes, so that fast blocks don't use up a node's limit.
pub const FRESH_AT_LEAST: Duration = Duration::from_millis(250);

/// How long a block is kept.
pub const KEEP_BLOCK: Duration = Duration::from_secs(600);

/// How long is kept what hardly changes.
pub const KEEP: Duration = Duration::from_secs(10);

// --- Upstreams ------------------------------------------------------------------------------------

/// First pause before an upstream is dialled again; it doubles with every failure in a row.
pub const REDIAL_FIRST: Duration = Duration::from_millis(500);

/// Longest such pause.
pub const REDIAL_MAX: Duration = Duration::from_secs(15);

/// … and while there is no upstream at all.
pub const REDIAL_ALONE: Duration = Duration::from_secs(2);

/// A connection that held this long was a good one: the pauses begin anew.
pub const GOOD_CONNECTION: Duration = Duration::from_secs(30);

/// How often it is looked whether an upstream is there, should its leaving have been missed.
pub const UPSTREAM_CHECK: Duration = Duration::from_secs(5);

/// Peers that have been upstreams whose requests are remembered.
pub const KNOWN_UPSTREAMS: usize = 4 * MAX_ADDRESSES;

/// Clients that were told of no services are asked to come again once there are some, so many each
/// second.
pub const INVITATIONS_PER_SECOND: u32 = 256;

// --- Gossip ---------------------------------------------------------------------------------------

/// Transactions of one client in 10 s; each costs a check of its signature.
pub const TRANSACTIONS: u32 = 100;

/// Transactions that wait for that check.
pub const TRANSACTION_QUEUE: usize = 1024;

// --- Notifications --------------------------------------------------------------------------------

/// Addresses of one client (*protocol*).
pub const ADDRESSES_PER_CLIENT: usize = 250;

/// Addresses of all clients.
pub const ADDRESSES: usize = 262_144;

/// Requests for notifications of one client in 10 s (*protocol*).
pub const SUBSCRIPTIONS: u32 = 10;

/// Subscriptions that nobody has looked at yet.
pub const SUBSCRIPTION_QUEUE: usize = 4096;

/// Headers whose block is still to be fetched; the oldest is left out.
pub const BLOCK_QUEUE: usize = 128;

/// Blocks before one that was not expected that are fetched as well.
pub const MAX_GAP: usize = 32;

/// Blocks whose transactions have been looked at, that are remembered.
pub const KNOWN_BLOCKS: usize = 256;

// --- Proofs ---------------------------------------------------------------------------------------

/// How often it is looked for a new proof.
pub const PROOF_CHECK: Duration = Duration::from_secs(2);

/// Election blocks that are walked back to the proven one.
pub const MAX_ELECTIONS_BACK: usize = 64;

/// Longest pause after the block of a proof was looked for in vain.
pub const PROOF_REST: Duration = Duration::from_secs(60);

// --- Stopping -------------------------------------------------------------------------------------

/// Longest time that stopping waits for answers.
pub const MAX_GRACE: Duration = Duration::from_secs(60);

// --- Comparing upstreams --------------------------------------------------------------------------

/// How often upstreams are asked for their heads.
pub const HEAD_CHECK: Duration = Duration::from_secs(5);

/// How far the head of one can be from that of the others, in batches.
pub const MAX_HEAD_DISTANCE_BATCHES: u32 = 2;

/// How long a header waits until another upstream has its block as well, and the first pause before
/// one is asked again.
pub const CONFIRMATION: Duration = Duration::from_secs(2);
/// See [`CONFIRMATION`].
pub const CONFIRMATION_RETRY: Duration = Duration::from_millis(100);

/// Headers that wait for that.
pub const UNCONFIRMED: usize = 16;
