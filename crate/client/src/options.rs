//! The options of `PicoSyncClient.create`: read, checked, completed with their defaults.
//!
//! Nothing is corrected silently: a value that can't be used is an error that names the option and
//! the value, and all such errors are reported together. Properties that no option has are ignored.

use log::LevelFilter;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use pico_network::{Multiaddr, PeerId, Transport, Transports, validate_multiaddr};
use pico_sync::{Anchor, NetworkParams};
use pico_zkp::VerifyingKey;

use crate::{
    check::{Problems, choice, decode_hash, not_one_of, whole},
    error::{ClientError, ErrorCode},
    value::Value,
};

/// Every property that is read, for whoever builds the [`Value`].
pub const NAMES: [&str; 14] = [
    "network",
    "peers",
    "mode",
    "verifyInBackground",
    "minPeers",
    "desiredPeers",
    "transports",
    "storage",
    "checkpoint",
    "verifyingKey",
    "logLevel",
    "worker",
    "logger",
    "signal",
];
/// The properties of `checkpoint`.
pub const CHECKPOINT_NAMES: [&str; 2] = ["blockNumber", "hash"];

/// More peers than this can neither be needed nor held by one page.
const MAX_PEERS: usize = 64;
/// Addresses that may be listed to be dialled first.
const MAX_ADDRESSES: usize = 256;
/// Peers that must agree before the client trusts its head, unless said otherwise: as nodes do.
const DEFAULT_MIN_PEERS: usize = 3;
/// Peers held, unless said otherwise.
const DEFAULT_DESIRED_PEERS: usize = 8;

/// How to sync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Optimistic, falling back to light.
    Pico,
    /// Verified from the start.
    Light,
}

/// Checked options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network to join.
    pub network: &'static NetworkParams,
    /// Dialled first.
    pub peers: Vec<Multiaddr>,
    /// How to sync.
    pub mode: Mode,
    /// Whether an optimistic sync is proven afterwards.
    pub verify_in_background: bool,
    /// Good peers needed for consensus.
    pub min_peers: usize,
    /// Peers to hold.
    pub desired_peers: usize,
    /// Transports that may be used, where they are available.
    pub transports: Transports,
    /// Trusted start in place of the built-in one.
    pub checkpoint: Option<Anchor>,
    /// Key of the network's election-chain proofs, in place of the built-in one.
    pub verifying_key: Option<VerifyingKey>,
    /// What is logged at first.
    pub log_level: LevelFilter,
}

impl Options {
    /// Reads the options from `value`, an object or nothing at all.
    ///
    /// # Errors
    /// `invalid-options`, listing every value that can't be used.
    pub fn parse(value: &Value) -> Result<Self, ClientError> {
        let mut problems = Problems::default();
        let parsed = Self::read(value, &mut problems);
        problems.into_result().map(|()| parsed)
    }

    /// Checks that the checkpoint, if there is one, is where trust can start. The network's policy must
    /// be installed.
    ///
    /// # Errors
    /// `invalid-options`, naming the block number.
    pub fn check_checkpoint(&self) -> Result<(), ClientError> {
        let Some(Anchor { block_number, .. }) = self.checkpoint else {
            return Ok(());
        };
        if block_number >= Policy::genesis_block_number()
            && Policy::is_election_block_at(block_number)
        {
            return Ok(());
        }
        let message = format!(
            "checkpoint.blockNumber: {block_number} is no election block of {}",
            self.network.name
        );
        Err(ClientError::new(ErrorCode::InvalidOptions, message))
    }

    /// Whether this is a network for development, whose peers live on the machine or next to it.
    pub fn is_private_network(&self) -> bool {
        matches!(
            self.network.network_id,
            NetworkId::DevAlbatross | NetworkId::UnitAlbatross
        )
    }

    fn read(value: &Value, problems: &mut Problems) -> Self {
        if !matches!(value, Value::Record(_) | Value::Absent) {
            problems.invalid("options", value, "not an object");
        }
        let network = network(value.get("network"), problems);
        let min_peers = count("minPeers", value.get("minPeers"), problems);
        let desired_peers = count("desiredPeers", value.get("desiredPeers"), problems);
        if let (Some(min), Some(desired)) = (min_peers, desired_peers)
            && desired < min
        {
            problems.add(format!(
                "desiredPeers: {desired} is less than minPeers, {min}"
            ));
        }
        // Whoever asks for few peers only needs few; whoever needs many must hold as many.
        let min_peers = min_peers
            .unwrap_or_else(|| DEFAULT_MIN_PEERS.min(desired_peers.unwrap_or(DEFAULT_MIN_PEERS)));
        let desired_peers = desired_peers.unwrap_or_else(|| DEFAULT_DESIRED_PEERS.max(min_peers));
        choice(
            "storage",
            value.get("storage"),
            &[("indexeddb", ()), ("memory", ())],
            problems,
        );
        foreign("worker", value.get("worker"), "not a function", problems);
        foreign("logger", value.get("logger"), "not a function", problems);
        foreign(
            "signal",
            value.get("signal"),
            "not an AbortSignal",
            problems,
        );
        Self {
            network,
            peers: peers(value.get("peers"), network, problems),
            mode: choice(
                "mode",
                value.get("mode"),
                &[("pico", Mode::Pico), ("light", Mode::Light)],
                problems,
            )
            .unwrap_or(Mode::Pico),
            verify_in_background: flag(
                "verifyInBackground",
                value.get("verifyInBackground"),
                problems,
            )
            .unwrap_or(true),
            min_peers,
            desired_peers,
            transports: transports(value.get("transports"), problems),
            checkpoint: checkpoint(value.get("checkpoint"), problems),
            verifying_key: verifying_key(value.get("verifyingKey"), network, problems),
            log_level: choice("logLevel", value.get("logLevel"), &LEVELS, problems)
                .unwrap_or(LevelFilter::Warn),
        }
    }
}

/// The names of log levels.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
    ("off", LevelFilter::Off),
];

/// The level called `value`.
///
/// # Errors
/// `invalid-options` if there is none.
pub fn log_level(value: &Value) -> Result<LevelFilter, ClientError> {
    let mut problems = Problems::default();
    let level = choice("logLevel", value, &LEVELS, &mut problems);
    if level.is_none() && *value == Value::Absent {
        problems.invalid("logLevel", value, "not a log level");
    }
    problems
        .into_result()
        .map(|()| level.unwrap_or(LevelFilter::Warn))
}

fn network(value: &Value, problems: &mut Problems) -> &'static NetworkParams {
    let networks = NetworkParams::all();
    let fallback = &networks[0];
    match value {
        Value::Absent => fallback,
        Value::Text(name) if NetworkParams::by_name(name).is_some() => {
            NetworkParams::by_name(name).unwrap_or(fallback)
        }
        other => {
            let names: Vec<_> = networks.iter().map(|params| params.name).collect();
            problems.invalid("network", other, &not_one_of(&names));
            fallback
        }
    }
}

fn peers(value: &Value, network: &NetworkParams, problems: &mut Problems) -> Vec<Multiaddr> {
    let items = match value {
        Value::Absent => {
            return network
                .seeds
                .iter()
                .filter_map(|seed| validate_multiaddr(seed).ok())
                .collect();
        }
        Value::List(items) => items,
        other => {
            problems.invalid("peers", other, "not an array of multiaddrs");
            return Vec::new();
        }
    };
    if items.len() > MAX_ADDRESSES {
        problems.invalid(
            "peers",
            value,
            &format!("more than the {MAX_ADDRESSES} that can be listed"),
        );
        return Vec::new();
    }
    items
        .iter()
        .filter_map(|item| address("peers", item, problems))
        .collect()
}

fn address(option: &str, value: &Value, problems: &mut Problems) -> Option<Multiaddr> {
    let Value::Text(text) = value else {
        problems.invalid(option, value, "not a multiaddr");
        return None;
    };
    match validate_multiaddr(text) {
        Ok(address) => Some(address),
        Err(error) => {
            problems.add(format!("{option}: {error}"));
            None
        }
    }
}

/// The address that `connect` is called with.
///
/// # Errors
/// `invalid-options` if it is no multiaddr of the two documented forms.
pub fn multiaddr(value: &Value) -> Result<Multiaddr, ClientError> {
    let mut problems = Problems::default();
    match (
        address("multiaddr", value, &mut problems),
        problems.into_result(),
    ) {
        (Some(address), Ok(())) => Ok(address),
        (_, Err(error)) => Err(error),
        (None, Ok(())) => Err(ClientError::new(
            ErrorCode::InvalidOptions,
            "multiaddr: missing",
        )),
    }
}

/// Longest text that is looked at as a peer id, in bytes: none has more than 100. Base58 takes time by the
/// square of the length, a million letters some minutes.
const MAX_PEER_ID_TEXT: usize = 128;

/// The peer that `disconnect` is called with.
///
/// # Errors
/// `invalid-options` if it is no peer id.
pub fn peer_id(value: &Value) -> Result<PeerId, ClientError> {
    let parsed = match value {
        Value::Text(text) if text.len() <= MAX_PEER_ID_TEXT => text.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        ClientError::new(
            ErrorCode::InvalidOptions,
            format!("peerId: {value} is not a peer id"),
        )
    })
}

/// Whether they are available is for whoever makes the connections to say.
fn transports(value: &Value, problems: &mut Problems) -> Transports {
    let items = match value {
        Value::Absent => return Transports::ALL,
        Value::List(items) => items,
        other => {
            problems.invalid("transports", other, "not an array of transports");
            return Transports::ALL;
        }
    };
    if items.is_empty() {
        problems.add("transports: [] leaves nothing to connect with".to_owned());
    }
    let known = [
        ("websocket", Transport::WebSocket),
        ("webrtc", Transport::WebRtc),
    ];
    let chosen: Vec<_> = items
        .iter()
        .map(|item| choice("transports", item, &known, problems))
        .collect();
    Transports {
        websocket: chosen.contains(&Some(Transport::WebSocket)),
        webrtc: chosen.contains(&Some(Transport::WebRtc)),
    }
}

fn checkpoint(value: &Value, problems: &mut Problems) -> Option<Anchor> {
    match value {
        Value::Absent => return None,
        Value::Record(_) => {}
        other => {
            problems.invalid("checkpoint", other, "not an object { blockNumber, hash }");
            return None;
        }
    }
    let number = value.get("blockNumber");
    let block_number = whole(number, 0, u32::MAX as usize).and_then(|n| u32::try_from(n).ok());
    if block_number.is_none() {
        problems.invalid("checkpoint.blockNumber", number, "not a block number");
    }
    let text = value.get("hash");
    let hash = match text {
        Value::Text(hex) => decode_hash(hex),
        _ => None,
    };
    if hash.is_none() {
        problems.invalid(
            "checkpoint.hash",
            text,
            "not a hash of 64 hexadecimal digits",
        );
    }
    Some(Anchor {
        block_number: block_number?,
        hash: hash?.into(),
    })
}

fn verifying_key(
    value: &Value,
    network: &NetworkParams,
    problems: &mut Problems,
) -> Option<VerifyingKey> {
    let bytes = match value {
        Value::Absent => return None,
        Value::Bytes(bytes) => bytes,
        other => {
            problems.invalid("verifyingKey", other, "not a Uint8Array");
            return None;
        }
    };
    parse_key(bytes, network)
        .map_err(|why| problems.add(format!("verifyingKey: {value}: {why}")))
        .ok()
}

/// The key of `network`'s election-chain proofs in `bytes`; else what is wrong with them.
///
/// # Errors
/// If they are no key, or one of another network.
pub fn parse_key(bytes: &[u8], network: &NetworkParams) -> Result<VerifyingKey, String> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|error| error.to_string())?;
    if key.network() != network.network_id as u8 {
        return Err(format!("it is of another network than {}", network.name));
    }
    Ok(key)
}

fn foreign(option: &str, value: &Value, why: &str, problems: &mut Problems) {
    if !matches!(value, Value::Absent | Value::Foreign) {
        problems.invalid(option, value, why);
    }
}

fn flag(option: &str, value: &Value, problems: &mut Problems) -> Option<bool> {
    match value {
        Value::Absent => None,
        Value::Bool(value) => Some(*value),
        other => {
            problems.invalid(option, other, "neither true nor false");
            None
        }
    }
}

fn count(option: &str, value: &Value, problems: &mut Problems) -> Option<usize> {
    if *value == Value::Absent {
        return None;
    }
    let count = whole(value, 1, MAX_PEERS);
    if count.is_none() {
        problems.invalid(
            option,
            value,
            &format!("not a whole number from 1 to {MAX_PEERS}"),
        );
    }
    count
}
