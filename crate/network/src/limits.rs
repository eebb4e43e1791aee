//! Every number that bounds the network layer, in one place.
//!
//! Those marked *protocol* are facts of the wire as nodes of the 2.3.0 release speak it: changing
//! one makes honest peers hang up, or lets dishonest ones in. The others are ours to choose.

use std::time::Duration;

// --- Connections ----------------------------------------------------------------------------------

/// Time for one connection to be opened, secured and multiplexed (*protocol*: the whole upgrade).
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections being opened by others at once (*protocol*: 64).
pub const MAX_PENDING_INCOMING: u32 = 64;

/// … and those that make room for others at this moment.
pub const PENDING_INCOMING_SLACK: u32 = 64;

/// Connections we are opening at once, whoever asked for them.
pub const MAX_PENDING_OUTGOING: u32 = 16;

/// Connections to one and the same peer (*protocol*: 5). Two arise when both sides dial at once.
pub const MAX_CONNECTIONS_PER_PEER: u32 = 5;

/// Inbound streams of one connection whose protocol is still being negotiated; more are reset.
pub const MAX_NEGOTIATING_STREAMS: usize = 32;

/// Streams that a peer has opened on one connection and that nobody has looked at yet; more are reset.
/// A peer that keeps to yamux stops there by itself.
pub const MAX_UNTAKEN_STREAMS: usize = 256;

/// How often each peer is pinged, and how long the answer may take (*protocol*).
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// See [`PING_INTERVAL`]. One failed ping closes the connection.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long closing one connection may take. A peer that reads nothing is left without a goodbye.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long closing the network waits for its connections to say goodbye.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a browser's socket may take to say goodbye. One whose other side is gone takes a minute.
pub const BROWSER_SOCKET_CLOSE: Duration = Duration::from_secs(1);

/// A browser socket that waits is looked at again this often, because its close event wakes nobody.
pub const BROWSER_SOCKET_RECHECK: Duration = Duration::from_millis(500);

// --- Dialling -------------------------------------------------------------------------------------

/// Dials of the pool that may be under way at once, without those that take long.
pub const MAX_POOL_DIALS: usize = 8;

/// A dial that has taken so long may well come to nothing, and is not counted on any more: others are
/// made meanwhile. It goes on, and takes part in [`MAX_POOL_DIALS_AND_SLOW`]. Over a line with a round
/// trip of half a second, the way from the name to the end of the handshake takes less.
pub const SLOW_DIAL: Duration = Duration::from_secs(4);

/// Dials of the pool under way at once with those that take long. What is left up to
/// [`MAX_PENDING_OUTGOING`] is for dials that were asked for.
pub const MAX_POOL_DIALS_AND_SLOW: usize = 12;

/// First pause before an address is dialled again; it doubles with every failure in a row.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// Longest pause before an address is dialled again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// Longest pause before an address is dialled again while no peer is connected at all: the network
/// may be back any moment, and nobody else tells us.
pub const LONELY_BACKOFF_MAX: Duration = Duration::from_secs(4);

/// … and after [`LONELY_PATIENCE`].
pub const LONELY_BACKOFF_LATER: Duration = Duration::from_secs(30);

/// How long without any peer is taken for a network that may be back any moment.
pub const LONELY_PATIENCE: Duration = Duration::from_secs(600);

/// A dial that has taken so long when the page wakes up is not waited for before another one is made.
pub const STALE_DIAL: Duration = Duration::from_secs(3);

/// How long a dial may take before another address of the same peer is tried as well. Where UDP is
/// blocked, a dial over WebRTC hangs.
pub const SECOND_ADDRESS_PAUSE: Duration = Duration::from_millis(2500);

/// Each pause is stretched or shortened by up to this share, so that clients don't come in waves.
pub const BACKOFF_JITTER: f64 = 0.25;

/// A connection that held this long was a good one: its address starts over with [`BACKOFF_BASE`].
pub const GOOD_CONNECTION: Duration = Duration::from_secs(30);

/// The pool leaves a peer alone for this long after our side has disconnected it.
pub const DISCONNECTED_PAUSE: Duration = Duration::from_secs(30);

/// Addresses whose failures are remembered.
pub const MAX_BACKOFFS: usize = 1024;

/// How long a malicious peer's id and address are refused (*protocol*).
pub const BAN_TIME: Duration = Duration::from_secs(600);

/// Bans remembered, of peer ids and of addresses each; the one that ends first makes room.
pub const MAX_BANS: usize = 1024;

/// Connected peers without the required services beyond which newcomers of that kind are let go.
pub const MAX_USELESS_PEERS: usize = 8;

/// The pool looks at its connections at least this often while it is running.
pub const POOL_INTERVAL: Duration = Duration::from_secs(30);

/// … and at most this often.
pub const POOL_MIN_PAUSE: Duration = Duration::from_millis(100);

/// Longest multiaddr that is dialled, stored or passed on, in bytes. A DNS name has at most 255.
pub const MAX_ADDRESS_BYTES: usize = 512;

// --- Discovery ------------------------------------------------------------------------------------

/// Name of the discovery protocol (*protocol*).
pub const DISCOVERY_PROTOCOL: &str = "/nimiq/discovery/0.0.1";

/// Time for each step of the handshake (*protocol*).
pub const HANDSHAKE_STEP_TIMEOUT: Duration = Duration::from_secs(3);

/// Body of a discovery message (*protocol*: the reader refuses more).
pub const MAX_DISCOVERY_FRAME: usize = 1_000_000;

/// Body of a handshake: a nonce, a hash and one address, so far less than other messages.
pub const MAX_HANDSHAKE_FRAME: usize = 4096;

/// Contacts in one message (*protocol*).
pub const MAX_CONTACTS_PER_UPDATE: usize = 64;

/// Addresses in one contact (*protocol*).
pub const MAX_ADDRESSES_PER_CONTACT: usize = 15;

/// How often we ask to be sent contacts; travels as seconds (*protocol*: nodes ask for 60).
pub const UPDATE_INTERVAL: Duration = Duration::from_secs(60);

/// Bounds for the interval a peer may ask of us (*protocol*: 30 s to 1 h). The lower one has a
/// margin, because a node hangs up when two updates arrive less than 30 s apart.
pub const MIN_SEND_INTERVAL: Duration = Duration::from_secs(35);
/// See [`MIN_SEND_INTERVAL`].
pub const MAX_SEND_INTERVAL: Duration = Duration::from_secs(3600);

/// One update is allowed per this time (*protocol*).
pub const MIN_UPDATE_INTERVAL: Duration = Duration::from_secs(30);

/// Updates that may arrive at once all the same: a page that slept reads several together.
pub const UPDATE_BURST: u32 = 3;

/// How long our acknowledgement of a peer we have dialled waits for the peer's, to date our contact by
/// the peer's own clock.
pub const ACK_PATIENCE: Duration = Duration::from_millis(250);

/// Our own contact is dated this far back: nodes silently ignore contacts from the future.
pub const CONTACT_BACKDATE: Duration = Duration::from_secs(60);

/// Contacts older than this are neither kept nor passed on (*protocol*).
pub const MAX_CONTACT_AGE: Duration = Duration::from_secs(30 * 60);

/// Contacts kept in the book.
pub const MAX_CONTACTS: usize = 512;

/// Received contacts whose signature is still to be checked; more are dropped.
pub const MAX_UNVERIFIED_CONTACTS: usize = 512;

/// Signatures checked in one go, so that a page's thread is never held up.
pub const CONTACTS_PER_TURN: usize = 8;

/// Pause between two such turns.
pub const CONTACTS_TURN_PAUSE: Duration = Duration::from_millis(4);

/// How often expired contacts are removed (*protocol*: 60 s).
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);

// --- What outlives the page -------------------------------------------------------------------------

/// Connected peers that are kept.
pub const MAX_GOOD_PEERS: usize = 32;

/// Contacts that are kept.
pub const MAX_SAVED_CONTACTS: usize = 64;

/// Largest record of them that is read, in bytes: a contact takes 8 kB at most, and 200 bytes usually.
pub const MAX_SAVED_BYTES: usize = 1024 * 1024;

/// A peer that was connected is dialled first for this long. Nodes rarely move.
pub const MAX_GOOD_PEER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Failed dials in a row after which a peer that was connected is not kept any more.
pub const GOOD_PEER_FAILURES: u8 = 8;

// --- Clock ----------------------------------------------------------------------------------------

/// Nodes date their contact anew every 60 s, so on average it is half of that old.
pub const CONTACT_MEAN_AGE: Duration = Duration::from_secs(30);

/// A difference to the peers' clocks up to this size is noise, and reported as none.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(90);

/// Peers whose clock is remembered.
pub const MAX_CLOCK_SAMPLES: usize = 32;

/// How long it is remembered. Connected peers tell it anew every minute, with their contact.
pub const CLOCK_SAMPLE_AGE: Duration = Duration::from_secs(300);

// --- Requests -------------------------------------------------------------------------------------

/// Name of the request/response protocol (*protocol*).
pub const REQUEST_PROTOCOL: &str = "/nimiq/reqres/0.0.1";

/// Largest request (*protocol*: 20 KiB).
pub const MAX_REQUEST_BYTES: usize = nimiq_network_interface::network::MIN_SUPPORTED_REQ_SIZE;

/// Largest response (*protocol*: 10 MiB).
pub const MAX_RESPONSE_BYTES: usize = nimiq_network_interface::network::MIN_SUPPORTED_RESP_SIZE;

/// Time for one request, from sending to the decoded answer (*protocol*).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Request streams of one connection at once, both directions together.
pub const MAX_REQUEST_STREAMS: usize = 128;

/// Requests of ours under way at once; further callers wait for their turn.
pub const MAX_REQUESTS_IN_FLIGHT: usize = 256;

/// Requests of ours under way at once with one peer; further ones fail.
pub const MAX_REQUESTS_PER_PEER: usize = 64;

/// Requests of others waiting for our answer; further ones are refused.
pub const MAX_UNANSWERED_REQUESTS: usize = 256;

/// Bytes of responses held in memory at once, of all peers together: six of the largest.
pub const MAX_RESPONSE_MEMORY: usize = 64 * 1024 * 1024;

/// Bytes of our answers that others have not read yet: one of the largest.
pub const MAX_ANSWER_MEMORY: usize = 16 * 1024 * 1024;

/// Memory for a frame is taken in steps of this size, as its bytes arrive and not as announced.
pub const FRAME_CHUNK: usize = 16 * 1024;

/// Requests waiting for their receiver, for each type.
pub const REQUEST_QUEUE: usize = 64;

/// Request types that can have a receiver.
pub const MAX_REQUEST_RECEIVERS: usize = 64;

/// A peer that goes over a rate limit by this factor within one window floods us, and is dropped.
pub const FLOOD_FACTOR: u32 = 8;

/// Request limit, for each peer and window, of all types that nobody receives.
pub const UNRECEIVED_LIMIT: u32 = 100;

/// Rate limit counters kept for peers that have left, so that reconnecting doesn't reset them.
pub const MAX_RATE_COUNTERS: usize = 4096;

// --- Gossip ---------------------------------------------------------------------------------------

/// Names of the gossip protocol, the one that is liked best first (*protocol*).
pub const GOSSIP_PROTOCOLS: [&str; 3] = ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"];

/// Largest gossip RPC (*protocol*: 1 MiB).
pub const MAX_GOSSIP_BYTES: usize = nimiq_network_interface::network::MIN_SUPPORTED_MSG_SIZE;

/// Gossip heartbeat (*protocol*).
pub const GOSSIP_HEARTBEAT: Duration = Duration::from_millis(700);

/// Peers of a topic's mesh below which more are added (*protocol*).
pub const GOSSIP_MESH_LOW: usize = 3;

/// … up to this number (*protocol*).
pub const GOSSIP_MESH_SIZE: usize = 6;

/// Peers of a topic's mesh above which some are let go, and others don't get in (*protocol*).
pub const GOSSIP_MESH_HIGH: usize = 12;

/// Peers of a topic's mesh that we have dialled, if there are so many (*protocol*): however many
/// come to us, they don't have us to themselves.
pub const GOSSIP_MESH_DIALLED: usize = 2;

/// How long a peer that was let go from a mesh stays out of it (*protocol*).
pub const GOSSIP_BACKOFF: Duration = Duration::from_secs(60);

/// … and how long if that is because we unsubscribe (*protocol*).
pub const GOSSIP_UNSUBSCRIBE_BACKOFF: Duration = Duration::from_secs(10);

/// The longest such time that a peer can ask for.
pub const MAX_GOSSIP_BACKOFF: Duration = Duration::from_secs(3600);

/// What we add to such a time. Nodes punish those who are back too early, by their clock.
pub const GOSSIP_BACKOFF_SLACK: Duration = Duration::from_secs(2);

/// Such times remembered; the one that was set first makes room.
pub const MAX_GOSSIP_BACKOFFS: usize = 1024;

/// How long a message is known, so that it isn't taken for a new one (*protocol*).
pub const GOSSIP_SEEN_TIME: Duration = Duration::from_secs(60);

/// Messages known; the oldest makes room.
pub const MAX_GOSSIP_SEEN: usize = 16 * 1024;

/// How long a message waits for somebody to say whether it is acceptable. After that, everybody has it.
pub const GOSSIP_PENDING_TIME: Duration = Duration::from_secs(5);

/// Messages that wait for that, and the bytes of them all; the oldest makes room.
pub const MAX_GOSSIP_PENDING: usize = 1024;
/// See [`MAX_GOSSIP_PENDING`].
pub const MAX_GOSSIP_PENDING_BYTES: usize = 8 * MAX_GOSSIP_BYTES;

/// How long a peer may take to send a message that it said it has (*protocol*). After that, another
/// one is asked.
pub const GOSSIP_ANSWER_TIME: Duration = Duration::from_secs(3);

/// Messages that one peer is asked for at once.
pub const MAX_GOSSIP_ASKED: usize = 64;

/// Answers of ours that one peer can cause from one heartbeat to the next.
pub const MAX_GOSSIP_REPLIES: usize = 32;

/// Messages that one peer said to have already and that are remembered.
pub const MAX_GOSSIP_UNWANTED: usize = 64;

/// Wrong messages after which a peer is not listened to; one is forgiven every so many heartbeats.
pub const MAX_GOSSIP_REJECTED: u32 = 8;
/// See [`MAX_GOSSIP_REJECTED`].
pub const GOSSIP_FORGIVING_BEATS: u32 = 16;

/// Topics one peer may be subscribed to. A node has about ten.
pub const MAX_GOSSIP_TOPICS_PER_PEER: usize = 128;

/// Name of a topic, in bytes.
pub const MAX_GOSSIP_TOPIC_BYTES: usize = 256;

/// Topics we can subscribe to.
pub const MAX_OWN_TOPICS: usize = 64;

/// Things said in one gossip RPC. What is beyond that is not looked at.
pub const MAX_GOSSIP_ITEMS_PER_RPC: usize = 1024;

/// Messages in one gossip RPC.
pub const MAX_GOSSIP_MESSAGES_PER_RPC: usize = 256;

/// Messages named at once.
pub const MAX_GOSSIP_IDS_PER_ITEM: usize = 128;

/// Streams that each side can open on one connection, one after the other.
pub const MAX_GOSSIP_STREAMS: usize = 5;

/// Gossip messages queued for one slow peer, and their bytes. What isn't sent otherwise has twice the room.
pub const GOSSIP_SEND_QUEUE: usize = 512;
/// See [`GOSSIP_SEND_QUEUE`].
pub const MAX_GOSSIP_QUEUE_BYTES: usize = 2 * MAX_GOSSIP_BYTES;

/// Messages of one peer that can't be decoded or are too large before it is dropped. More than one,
/// because a message of a newer release must not cost us all peers at once.
pub const MAX_GOSSIP_STRIKES: u32 = 3;

/// Largest buffer a topic can ask for.
pub const MAX_TOPIC_BUFFER: usize = 1024;

// --- Serving many ---------------------------------------------------------------------------------

/// Connections that clients of a server are opening at once.
pub const SERVER_PENDING_INCOMING: u32 = 512;

/// How long a client may take to open its connection to a server.
pub const SERVER_UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that a server has under way at once.
pub const SERVER_REQUESTS_IN_FLIGHT: usize = 1024;

/// … with one peer. Given up ones count until they have timed out.
pub const SERVER_REQUESTS_PER_PEER: usize = 120;

/// Requests of one client that wait for the server's answer; as many as fit on one connection.
pub const SERVER_UNANSWERED_PER_PEER: usize = MAX_REQUEST_STREAMS;

/// Bytes of responses that a server holds while they arrive.
pub const SERVER_RESPONSE_MEMORY: usize = 256 * 1024 * 1024;

/// Bytes of answers that clients have not read yet.
pub const SERVER_ANSWER_MEMORY: usize = 512 * 1024 * 1024;

/// … and of those for one client: a little more than the largest answer.
pub const SERVER_ANSWER_MEMORY_PER_PEER: usize = 12 * 1024 * 1024;

/// Rate limit counters of a server for each client: about ten types of requests, and topics.
pub const SERVER_RATE_COUNTERS_PER_PEER: usize = 32;

/// Bytes of gossip that wait for one client: some minutes of headers.
pub const SERVER_GOSSIP_QUEUE_BYTES: usize = 256 * 1024;

// --- Channels -------------------------------------------------------------------------------------

/// Commands waiting for the swarm task; senders wait when it is full.
pub const COMMAND_QUEUE: usize = 256;

/// Validation results waiting for the swarm task; more are dropped and counted.
pub const FEEDBACK_QUEUE: usize = 1024;

/// Events kept for a slow subscriber before it is told that it missed some.
pub const EVENT_QUEUE: usize = 256;

// --- WebRTC ---------------------------------------------------------------------------------------

/// Largest frame of a stream over WebRTC, with its length, in bytes (*protocol*: 16 KiB). It is also
/// the largest message on a data channel.
pub const MAX_WEBRTC_FRAME: usize = 16 * 1024;

/// Time for the Noise handshake on a data channel.
pub const WEBRTC_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a dial over WebRTC, all of it: with nobody there, or a certificate that is not
/// the one expected, browsers try for half a minute.
pub const WEBRTC_DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that was silent for so long may be gone, and another one have its port. Those who are there ask
/// every 2 to 4 s whether we still want to hear them (ICE's consent checks).
pub const WEBRTC_QUIET: Duration = Duration::from_secs(6);

/// How long a browser's connection may be silent, by what the browser says, before it is given up.
pub const WEBRTC_SILENCE: Duration = Duration::from_secs(3);

/// Streams of one connection at once, of both sides together. A browser has numbers for 512 of each side.
pub const MAX_WEBRTC_STREAMS: usize = 384;

/// What a message that waits to be read counts for beside its bytes, so that empty ones count as well.
pub const WEBRTC_MESSAGE_COST: usize = 64;

/// Bytes of one stream that may wait to be read. What is more loses the stream.
pub const MAX_WEBRTC_UNREAD: usize = 1024 * 1024;

/// … and of all streams of a connection together.
pub const MAX_WEBRTC_UNREAD_PER_CONNECTION: usize = 4 * 1024 * 1024;

/// Bytes of one stream that wait to be sent, from which on nothing more is written, and below which it
/// goes on.
pub const WEBRTC_SEND_HIGH: usize = 256 * 1024;
/// See [`WEBRTC_SEND_HIGH`].
pub const WEBRTC_SEND_LOW: usize = 64 * 1024;

/// Time until the other side of a new connection has answered, and both have keys.
pub const WEBRTC_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the handshake with a client of rust-libp2p waits: it has nothing that tells when it listens.
pub const WEBRTC_SLOW_LISTENER: Duration = Duration::from_millis(50);

/// Clients whose first request was answered, and who have not gone on; the oldest makes room. Each
/// takes a few hundred bytes.
pub const MAX_WEBRTC_HALF_OPEN: usize = 8192;

/// Connections of a listener that are not authenticated yet; the oldest, of the host that has most of
/// them, makes room.
pub const MAX_WEBRTC_PENDING: usize = 256;

/// Connections of a listener. How many peers there may be is decided elsewhere, and less than this.
pub const MAX_WEBRTC_SESSIONS: usize = 16 * 1024;

/// Addresses that one connection may come from: a client with several networks tries them all.
pub const MAX_WEBRTC_PATHS: usize = 8;

/// Datagrams that wait for one connection; more are lost, and sent again by the other side.
pub const WEBRTC_DATAGRAM_QUEUE: usize = 256;

/// What a listener asks the system to keep for it while it is busy, in bytes. It may get less.
pub const WEBRTC_SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Longest datagram that is looked at, in bytes.
pub const MAX_WEBRTC_DATAGRAM: usize = 2048;

/// How long the other side may take to close a data channel that it has opened and that nobody here wants
/// any more.
pub const WEBRTC_LINGER: Duration = Duration::from_secs(30);

/// Such channels of a connection; the oldest is closed by us.
pub const MAX_WEBRTC_LINGERING: usize = 512;

/// Bytes that wait to be read, of all streams of a connection, beyond which the connection is slowed
/// down for [`WEBRTC_READER_PATIENCE`] each time something arrives.
pub const WEBRTC_READ_BUFFER: usize = 256 * 1024;
/// See [`WEBRTC_READ_BUFFER`].
pub const WEBRTC_READER_PATIENCE: Duration = Duration::from_millis(10);

/// … and beyond which the stream with most of them is reset. After a loss, as much as the other side had
/// on its way, 1 MiB, can arrive in one go.
pub const MAX_WEBRTC_READ_BUFFER: usize = 2 * 1024 * 1024;

/// Bytes of a stream that wait to be sent before its writer waits.
pub const WEBRTC_WRITE_BUFFER: usize = 64 * 1024;

/// … and those of all streams of a connection.
pub const MAX_WEBRTC_WRITE_BUFFER: usize = 256 * 1024;

/// Bytes of a connection that are on their way and not acknowledged.
pub const WEBRTC_SEND_BUFFER: usize = 256 * 1024;
