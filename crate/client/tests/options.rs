//! Options: defaults, good values, and that every bad one is named.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use log::LevelFilter;
use pico_network::Transports;
use pico_sync_client::{
    error::{ClientError, ErrorCode},
    options::{Mode, Options, log_level, multiaddr, peer_id},
    value::Value,
};
use pico_zkp::{VerifyingKey, simulator::Trapdoor};

const WEBSOCKET: &str = "/ip4/127.0.0.1/tcp/9100/ws";
const WEBRTC: &str =
    "/ip4/1.2.3.4/udp/9/webrtc-direct/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g";

/// The id of that network, as blocks have it.
const UNIT_ALBATROSS: u8 = 7;

fn key(network: u8) -> VerifyingKey {
    Trapdoor::chain(1, network, 328).verifying_key()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn texts(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| text(value)).collect())
}

fn parse(entries: &[(&'static str, Value)]) -> Result<Options, ClientError> {
    Options::parse(&Value::Record(entries.to_vec()))
}

fn invalid(entries: &[(&'static str, Value)]) -> String {
    let error = parse(entries).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidOptions, "{error}");
    error.message
}

#[test]
fn nothing_given_means_defaults() {
    for nothing in [Value::Absent, Value::Record(Vec::new())] {
        let options = Options::parse(&nothing).unwrap();
        assert_eq!(options.network.name, "main-albatross");
        assert_eq!(options.peers.len(), options.network.seeds.len());
        assert!(!options.peers.is_empty());
        assert_eq!(options.mode, Mode::Pico);
        assert!(options.verify_in_background);
        assert_eq!((options.min_peers, options.desired_peers), (3, 8));
        assert_eq!(options.transports, Transports::ALL);
        assert_eq!(options.checkpoint, None);
        assert_eq!(options.verifying_key, None);
        assert_eq!(options.log_level, LevelFilter::Warn);
    }
}

#[test]
fn every_option_is_taken() {
    let options = parse(&[
        ("network", text("unit-albatross")),
        (
            "peers",
            texts(&[WEBSOCKET, "/dns4/seed.example.com/tcp/443/wss", WEBRTC]),
        ),
        ("mode", text("light")),
        ("verifyInBackground", Value::Bool(false)),
        ("minPeers", Value::Number(1.0)),
        ("desiredPeers", Value::Number(2.0)),
        ("transports", texts(&["webrtc"])),
        ("storage", text("indexeddb")),
        ("verifyingKey", Value::Bytes(key(UNIT_ALBATROSS).to_bytes())),
        ("logLevel", text("off")),
        ("worker", Value::Foreign),
        ("logger", Value::Foreign),
        ("signal", Value::Foreign),
        (
            "checkpoint",
            Value::Record(vec![
                ("blockNumber", Value::Number(328.0)),
                ("hash", text(&"aB".repeat(32))),
            ]),
        ),
    ])
    .unwrap();
    assert_eq!(options.network.name, "unit-albatross");
    let peers: Vec<_> = options.peers.iter().map(ToString::to_string).collect();
    assert_eq!(
        peers,
        [WEBSOCKET, "/dns4/seed.example.com/tcp/443/wss", WEBRTC]
    );
    assert_eq!(
        options.transports,
        Transports {
            websocket: false,
            webrtc: true
        }
    );
    assert_eq!(options.mode, Mode::Light);
    assert!(!options.verify_in_background);
    assert_eq!((options.min_peers, options.desired_peers), (1, 2));
    assert_eq!(options.verifying_key, Some(key(UNIT_ALBATROSS)));
    assert_eq!(options.log_level, LevelFilter::Off);
    let checkpoint = options.checkpoint.unwrap();
    assert_eq!(checkpoint.block_number, 328);
    assert_eq!(checkpoint.hash.to_hex(), "ab".repeat(32));
}

#[test]
fn few_peers_wanted_means_few_needed_and_the_other_way_round() {
    let few = parse(&[("desiredPeers", Value::Number(2.0))]).unwrap();
    assert_eq!((few.min_peers, few.desired_peers), (2, 2));
    let many = parse(&[("minPeers", Value::Number(20.0))]).unwrap();
    assert_eq!((many.min_peers, many.desired_peers), (20, 20));
    let none_at_first = parse(&[("peers", Value::List(Vec::new()))]).unwrap();
    assert!(none_at_first.peers.is_empty());
}

#[test]
fn bad_values_are_named() {
    let cases: &[(&'static str, Value, &str)] = &[
        ("network", text("unknown network"), "'unknown network'"),
        ("network", Value::Number(5.0), "5"),
        ("peers", text(WEBSOCKET), WEBSOCKET),
        ("peers", texts(&["nonsense"]), "nonsense"),
        (
            "peers",
            texts(&["/ip4/1.2.3.4/udp/9/webrtc-direct"]),
            "/ip4/1.2.3.4/udp/9/webrtc-direct",
        ),
        (
            "peers",
            texts(&["/ip4/127.0.0.1/tcp/99999/ws"]),
            "/ip4/127.0.0.1/tcp/99999/ws",
        ),
        (
            "peers",
            texts(&["/ip4/127.0.0.1/tcp/9100"]),
            "/ip4/127.0.0.1/tcp/9100",
        ),
        ("peers", Value::List(vec![Value::Number(7.0)]), "7"),
        (
            "peers",
            Value::List(vec![text(WEBSOCKET); 257]),
            "array of 257",
        ),
        ("mode", text("full"), "'full'"),
        ("mode", Value::Bool(true), "true"),
        ("verifyInBackground", text("yes"), "'yes'"),
        ("minPeers", Value::Number(0.0), "0"),
        ("minPeers", Value::Number(1.5), "1.5"),
        ("minPeers", Value::Number(f64::NAN), "NaN"),
        ("minPeers", Value::Number(-3.0), "-3"),
        ("desiredPeers", Value::Number(f64::INFINITY), "inf"),
        ("desiredPeers", Value::Number(65.0), "65"),
        ("desiredPeers", text("8"), "'8'"),
        ("transports", text("websocket"), "'websocket'"),
        ("transports", texts(&["websocket", "pigeon"]), "'pigeon'"),
        ("transports", Value::List(Vec::new()), "[]"),
        ("storage", text("disk"), "'disk'"),
        ("checkpoint", Value::Number(1.0), "1"),
        ("verifyingKey", text("key"), "'key'"),
        ("verifyingKey", Value::Bytes(Vec::new()), "Uint8Array(0)"),
        (
            "verifyingKey",
            Value::Bytes(vec![1; 3048]),
            "Uint8Array(3048)",
        ),
        (
            "verifyingKey",
            Value::Bytes(key(UNIT_ALBATROSS).to_bytes()),
            "another network than main-albatross",
        ),
        ("logLevel", text("loud"), "'loud'"),
        ("worker", text("worker.js"), "'worker.js'"),
        ("logger", Value::Bool(true), "true"),
        (
            "signal",
            Value::Other("a value of type object".to_owned()),
            "a value of type object",
        ),
    ];
    for (option, value, named) in cases {
        let message = invalid(&[(option, value.clone())]);
        assert!(message.starts_with(option), "{message}");
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn a_checkpoint_needs_both_parts() {
    let checkpoint = |number: f64, hash: &str| {
        vec![(
            "checkpoint",
            Value::Record(vec![
                ("blockNumber", Value::Number(number)),
                ("hash", text(hash)),
            ]),
        )]
    };
    let good = "0".repeat(64);
    assert!(parse(&checkpoint(0.0, &good)).is_ok());
    for number in [-1.0, 0.5, 4_294_967_296.0] {
        let message = invalid(&checkpoint(number, &good));
        assert!(
            message.contains("checkpoint.blockNumber") && message.contains(&number.to_string())
        );
    }
    for hash in ["", "xyz", &"g".repeat(64), &"0".repeat(63), &"ä".repeat(32)] {
        let message = invalid(&checkpoint(1.0, hash));
        assert!(
            message.contains("checkpoint.hash") && message.contains(hash),
            "{message}"
        );
    }
    assert!(invalid(&[("checkpoint", Value::Record(Vec::new()))]).contains("undefined"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let message = invalid(&[
        ("network", text("moon")),
        ("peers", texts(&["nonsense", WEBSOCKET, "rubbish", WEBRTC])),
        ("minPeers", Value::Number(9.0)),
        ("desiredPeers", Value::Number(4.0)),
    ]);
    for part in [
        "moon",
        "nonsense",
        "rubbish",
        "desiredPeers: 4 is less than minPeers, 9",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("9100"), "{message}");
}

#[test]
fn transports_can_be_chosen() {
    for (chosen, websocket, webrtc) in [
        (&["websocket"][..], true, false),
        (&["webrtc"], false, true),
        (&["webrtc", "websocket", "webrtc"], true, true),
    ] {
        let options = parse(&[("transports", texts(chosen))]).unwrap();
        let wanted = Transports { websocket, webrtc };
        assert_eq!(options.transports, wanted);
    }
}

#[test]
fn options_must_be_an_object() {
    for value in [
        Value::Bool(true),
        Value::Number(7.0),
        text("main-albatross"),
        texts(&[]),
    ] {
        let error = Options::parse(&value).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidOptions);
        assert!(error.message.contains(&value.to_string()), "{error}");
    }
}

#[test]
fn long_values_are_shortened() {
    let message = invalid(&[("mode", text(&"ü".repeat(10_000)))]);
    assert!(message.chars().count() < 300, "{}", message.len());
}

#[test]
fn arguments_of_methods() {
    assert_eq!(multiaddr(&text(WEBSOCKET)).unwrap().to_string(), WEBSOCKET);
    assert_eq!(multiaddr(&text(WEBRTC)).unwrap().to_string(), WEBRTC);
    for value in [text("nonsense"), Value::Absent, Value::Number(1.0)] {
        assert_eq!(
            multiaddr(&value).unwrap_err().code,
            ErrorCode::InvalidOptions
        );
    }
    let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    assert_eq!(peer_id(&text(peer)).unwrap().to_string(), peer);
    // The last one would keep the page busy for minutes, were it read.
    for value in [text("nobody"), Value::Absent, text(&"x".repeat(1_000_000))] {
        let error = peer_id(&value).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidOptions);
        assert!(error.message.contains(&value.to_string()), "{error}");
    }
    assert_eq!(log_level(&text("trace")).unwrap(), LevelFilter::Trace);
    for value in [text("loud"), Value::Absent, Value::Bool(false)] {
        assert_eq!(
            log_level(&value).unwrap_err().code,
            ErrorCode::InvalidOptions
        );
    }
}
