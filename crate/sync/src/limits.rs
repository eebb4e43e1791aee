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

/// How long a peer is left alone that says that it was asked too much, and how often in a row: together
/// more than the window in which nodes count requests.
pub const BUSY_PAUSE: Duration = Duration::from_secs(3);
/// See [`BUSY_PAUSE`].
pub const BUSY_PAUSES: usize = 4;

/// How often macro sync asks a peer for its head again before it calls it a liar or outdated: the
/// first answer can be a batch old by the time the blocks are fetched.
pub const HEAD_RETRIES: usize = 2;

/// Pause before such a second look, unless our chain has moved on since the answer: long enough for
/// a block to travel, short against a batch.
pub const HEAD_RETRY_DELAY: Duration = Duration::from_millis(750);

/// A peer whose head is at most so many blocks before our macro head lacks only what may be on its
/// way to it. One that is further behind is outdated, and gets no second look for that.
pub const BLOCKS_ON_THE_WAY: u32 = 5;

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

/// How long a peer may take to deliver a macro block before another one is asked for it as well. One
/// with many validators has 175 kB.
pub const MACRO_BLOCK_PATIENCE: Duration = Duration::from_secs(1);

/// After this long an outdated peer is looked at again: it may have caught up.
pub const OUTDATED_RECHECK: Duration = Duration::from_secs(10);

/// How often in a row a peer may disagree with us without a block to show for it, before that is
/// held against it, or against us.
pub const DOUBTS_FORGIVEN: usize = 1;

/// Peers remembered as outdated or incompatible, oldest forgotten first.
pub const MAX_REMEMBERED_PEERS: usize = 256;

/// Election hashes that the chain keeps to hold claims of peers against.
pub const REMEMBERED_ELECTIONS: usize = 64;

/// How long a peer may take for its proof of the election chain, and signatures wait for proofs. The
/// block that comes with it has 175 kB at most.
pub const PROOF_PATIENCE: Duration = Duration::from_secs(4);

/// Once there is a proof, how long others may take that might get further.
pub const BETTER_PROOF_PATIENCE: Duration = Duration::from_millis(500);

/// Different proofs that wait to be checked.
pub const MAX_PROOFS: usize = 16;

/// How long the check of a proof may take before it is given up. A last resort: verifiers have limits
/// of their own, within which they may start anew and try again.
pub const PROOF_CHECK_TIMEOUT: Duration = Duration::from_secs(45);

/// How often a proof is handed to a verifier that fails, before proofs are given up.
pub const PROOF_ATTEMPTS: usize = 2;

// --- Live sync ------------------------------------------------------------------------------------

/// Blocks ahead of our head that are kept until their parents arrive, in batches (nodes: 2).
pub const WINDOW_AHEAD_BATCHES: u32 = 2;

/// Distinct blocks buffered for one height (nodes: 5 per peer).
pub const MAX_BLOCKS_PER_HEIGHT: usize = 5;

/// Blocks buffered in all.
pub const MAX_BUFFERED_BLOCKS: usize = 600;

/// Requests for missing blocks that are waited for (nodes: 5).
pub const MISSING_BLOCK_REQUESTS: usize = 5;

/// Requests for missing blocks under way with one peer, waited for or not.
pub const MISSING_BLOCK_REQUESTS_PER_PEER: usize = 3;

/// How long a peer is waited for that was asked for missing blocks, before others are asked as well.
pub const MISSING_BLOCK_PATIENCE: Duration = Duration::from_millis(1500);

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

/// Without a new head for this long, the peers are asked whether they have one. Blocks come once a
/// second, and a missing producer is skipped after four.
pub const SILENCE_NOTICED: Duration = Duration::from_secs(5);

/// Without a new head for this long, a client that was following the chain says so and begins to
/// act, mildly at first: another two blocks could be missing.
pub const STALL_AFTER: Duration = Duration::from_secs(8);

/// The same for a client that has not yet got to the head: macro blocks come as slowly as peers
/// answer and signatures are checked.
pub const STALL_AFTER_WHILE_SYNCING: Duration = Duration::from_secs(20);

/// The same for one that has lost all its peers.
pub const STALL_AFTER_LOSS: Duration = Duration::from_secs(3);

/// Each remedy is given this much more time than the one before it.
pub const STALL_ESCALATION: Duration = Duration::from_secs(8);

/// Longest time between two remedies.
pub const STALL_ESCALATION_MAX: Duration = Duration::from_secs(60);

/// How long a peer may take to name its head when it is in doubt that it is there at all.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// A clock that differs from the chain's by more than this is reported.
pub const CLOCK_SKEW_REPORTED: Duration = Duration::from_secs(120);

// --- Queries --------------------------------------------------------------------------------------

/// How long a query waits for consensus. A first sync takes a second or two; who waits longer than
/// this has no network.
pub const QUERY_CONSENSUS_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a query waits for a peer that it may ask, once there is consensus.
pub const QUERY_PEERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it waits for one more, if those that it has asked could not answer and others are
/// connected: a peer whose head is in doubt is looked at again, which takes a few answers.
pub const QUERY_MORE_PEERS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one question goes from peer to peer before it is given up.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(40);

/// How often a proof is begun anew because the chain that it leads to was given up meanwhile.
pub const QUERY_CHAINS: usize = 3;

/// How long one peer may take for one answer. Shorter than [`REQUEST_TIMEOUT`]: somebody is waiting,
/// and there are others to ask.
pub const QUERY_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request waits for its turn where a peer's limit is used up: a window and a bit.
pub const QUERY_SLOT_TIMEOUT: Duration = Duration::from_secs(15);

/// Added to the window in which nodes count requests, for clocks that differ.
pub const QUERY_WINDOW_MARGIN: Duration = Duration::from_millis(500);

/// What every answer is taken to cost beyond the time it takes, so that of two peers that are
/// equally far away the idle one is asked.
pub const QUERY_LATENCY_BASE: Duration = Duration::from_millis(20);

/// How long a peer that did not answer, or nothing of use, is asked after all others. Each time in a
/// row that it keeps silent doubles this.
pub const QUERY_BLAME: Duration = Duration::from_secs(2);

/// The longest that it is.
pub const QUERY_MAX_BLAME: Duration = Duration::from_secs(5 * 60);

/// How long a proof waits for the block it refers to. A skipped producer costs 4 s.
pub const QUERY_HEAD_TIMEOUT: Duration = Duration::from_secs(6);

/// New heads after which a proof for a block that has not come is given up (nodes: 10).
pub const QUERY_HEAD_BLOCKS: usize = 10;

/// Blocks that the state which a peer proves may be behind our head: peers differ by a block or two.
pub const QUERY_STATE_AGE: u32 = 5;

/// How often the state is asked for anew that lacks a transaction which somebody was told of, because
/// the peers that were asked have not got so far. After that theirs is taken.
pub const OLDER_STATE_RETRIES: usize = 3;

/// Pause before that: long enough for a block to travel, and longer than the 250 ms for which a
/// gateway gives the same answer again.
pub const OLDER_STATE_PAUSE: Duration = Duration::from_millis(300);

/// Peers that are asked for it each time, one after the other, without a pause.
pub const OLDER_STATE_VOICES: usize = 3;

/// Keys asked for in one state proof. Nodes take 255; a smaller proof is checked without a pause for
/// the page, and several go to several peers.
pub const TRIE_KEYS_PER_REQUEST: usize = 100;

/// State proofs of one query under way at once.
pub const TRIE_REQUESTS_IN_FLIGHT: usize = 4;

/// Nodes of the accounts tree that may lead to one key, on average. Among a million accounts there
/// are some ten; to get beyond this, somebody would have to find addresses with a hundred equal bits.
pub const TRIE_NODES_PER_KEY: usize = 32;

/// Macro blocks that are remembered as proven, by number and hash: 40 kB, and on the main network
/// more than the batches of an epoch.
pub const PROVEN_MACRO_BLOCKS: usize = 1024;

// --- Transactions ---------------------------------------------------------------------------------

/// Hashes in one request for a proof of inclusion (nodes: 255).
pub const MAX_HASHES_PER_PROOF: usize = 255;

/// Nodes of the largest history tree that a proof may be about: half a billion transactions in one
/// epoch, many times what fits into its blocks, and small enough for the arithmetic of 32 bits.
pub const MAX_HISTORY_NODES: usize = 1 << 30;

/// Blocks that a peer may be ahead of us for a proof by its block to be waited for.
pub const MAX_BLOCKS_AHEAD: u32 = 10;

/// Receipts in one page (nodes: 500).
pub const RECEIPTS_PER_PAGE: u16 = 500;

/// Peers whose receipts of an address are merged: what one withholds, the other shows.
pub const HISTORY_SOURCES: usize = 2;

/// How often what is in receipts is asked for until somebody proves it.
pub const HISTORY_ATTEMPTS: usize = 4;

/// Pause before the next of these attempts, unless the chain changes before.
pub const HISTORY_RETRY_DELAY: Duration = Duration::from_secs(2);

/// A serialised transaction. The largest valid ones, with two signatures by web authentication and
/// all the data there may be, stay well below.
pub const MAX_TRANSACTION_BYTES: usize = 16 * 1024;

/// How long is looked for a transaction in the chain before it is sent for the first time.
pub const PRECHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a transaction is offered to peers before there is none that takes it.
pub const PUBLISH_ATTEMPTS: usize = 10;

/// Pause between two of these offers: connections are told of subscriptions right after they begin.
pub const PUBLISH_RETRY_DELAY: Duration = Duration::from_millis(500);

/// After this long a pending transaction is published again: gossip takes it for known for a minute.
pub const REPUBLISH_AFTER: Duration = Duration::from_secs(65);

/// Transactions sent by this client that are not final yet.
pub const MAX_SENT_TRANSACTIONS: usize = 256;

/// Transactions followed at a time. What is beyond is found again by receipts later.
pub const MAX_FOLLOWED: usize = 4096;

/// Hashes of transactions that are done with, so that nothing is told twice: some batches full.
pub const MAX_SETTLED: usize = 8192;

/// Transactions that are remembered because somebody was told of them: some blocks full, as peers
/// differ by a block or two.
pub const MAX_TOLD: usize = 1024;

/// Requests of the API to follow something that wait for their turn.
pub const FOLLOWER_QUEUE: usize = 512;

/// Those who wait for transactions.
pub const MAX_WAITERS: usize = 1024;

/// Those who watch addresses.
pub const MAX_WATCHERS: usize = 256;

/// Addresses watched at a time: as many as a node watches for each peer.
pub const MAX_WATCHED_ADDRESSES: usize = 250;

/// Transactions that a watcher need not have taken in yet.
pub const WATCH_BUFFER: usize = 2048;

/// Peers that notify us of an address: one that keeps silent hides nothing.
pub const NOTIFIERS: usize = 3;

/// After this long a peer that did not want to notify us is asked again.
pub const NOTIFIER_RETRY: Duration = Duration::from_secs(20);

/// Receipts in one notification that are looked at: two blocks full.
pub const MAX_RECEIPTS_PER_NOTIFICATION: usize = 2000;

/// Claims noted for one transaction.
pub const MAX_CLAIMS: usize = 4;

/// Claims of one peer that nobody could prove, or that concern nobody, before it is banned. A node
/// that follows the wrong branch for a moment makes some.
pub const MAX_UNPROVEN_CLAIMS: u32 = 32;

/// How long a connection may be dead before we notice, in blocks: what a peer should have told us in
/// that time is looked up in receipts.
pub const UNNOTICED_BLOCKS: u32 = 40;

/// Proofs for followed transactions that are asked for at a time.
pub const PROOFS_IN_FLIGHT: usize = 4;

/// Peers that must say that they know of no transaction before it counts as not included.
pub const PROOF_VOICES: usize = 2;

/// Pause before a transaction that nobody told us of is asked for, at first and at most: it doubles.
pub const FIRST_LOOK: Duration = Duration::from_secs(3);
/// See [`FIRST_LOOK`].
pub const LAST_LOOK: Duration = Duration::from_secs(15);

/// How often a claim is looked into.
pub const MAX_LOOKS: u32 = 8;

/// Addresses whose receipts are asked for in a second, where something may have been missed. Leaves
/// most of the peers' limit of 20 in 10 s to those who ask for a history.
pub const CATCH_UPS_PER_SECOND: usize = 2;

/// Pages of receipts that are looked at to catch up on one address.
pub const CATCH_UP_PAGES: usize = 8;

/// So few watched addresses are few enough to ask two peers about each when catching up.
pub const FEW_ADDRESSES: usize = 20;

// --- Events ---------------------------------------------------------------------------------------

/// Events kept for a slow reader before the oldest are dropped and counted.
pub const EVENT_BUFFER: usize = 512;

// --- Restored chains ------------------------------------------------------------------------------

/// Largest record of a chain that is read, in bytes. 512 validators of 350 bytes make 180 kB.
pub const MAX_SAVED: usize = 1024 * 1024;

/// A restored chain is gone on from if it is at most so many epochs old, which means as many checks
/// of signatures; it is where trust starts if it is older.
pub const RESUMED_EPOCHS: u64 = 1;

/// A restored chain is given up if no peer confirms it for this long, although some could.
pub const RESTORED_PATIENCE: Duration = Duration::from_secs(20);

/// A restored chain is given up if for this long more peers contradict than confirm it: all of them
/// should have had the time to answer.
pub const RESTORED_DISPUTE: Duration = Duration::from_secs(4);
