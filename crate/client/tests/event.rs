//! Events and state as users see them: names, spellings, what is left out.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pico_sync::{
    BlockRef, ConsensusState, Outcome, Snapshot, SyncEvent, SyncerKind, TimedEvent, Trust,
    TrustSource, ZkpStatus,
};
use pico_sync_client::event::{ClientState, NetworkEvent, Peer, Timed};
use serde_json::{Value, json};

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn events_of_the_network() {
    let cases = [
        (
            NetworkEvent::PeerJoined {
                peer_id: "12D3".to_owned(),
                address: "/ip4/1.2.3.4/tcp/5/ws".to_owned(),
                transport: "websocket",
            },
            json!({"at": 7, "type": "peer-joined", "peerId": "12D3", "address": "/ip4/1.2.3.4/tcp/5/ws", "transport": "websocket"}),
        ),
        (
            NetworkEvent::PeerLeft {
                peer_id: "12D3".to_owned(),
                reason: "it closed".to_owned(),
            },
            json!({"at": 7, "type": "peer-left", "peerId": "12D3", "reason": "it closed"}),
        ),
        (
            NetworkEvent::DialFailed {
                address: "/x".to_owned(),
                reason: "refused".to_owned(),
            },
            json!({"at": 7, "type": "dial-failed", "address": "/x", "reason": "refused"}),
        ),
        (
            NetworkEvent::Lagged { missed: 3 },
            json!({"at": 7, "type": "lagged", "missed": 3}),
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(value(&Timed { at: 7, event }), expected);
    }
}

#[test]
fn events_of_the_engine() {
    let event = SyncEvent::MacroSync {
        outcome: Outcome::Good,
        peer_id: "12D3".to_owned(),
        reason: None,
    };
    assert_eq!(
        value(&TimedEvent { at: 7, event }),
        json!({"at": 7, "type": "macro-sync", "outcome": "good", "peerId": "12D3"})
    );
    let event = SyncEvent::MacroBlock {
        block_number: 232,
        hash: "00".to_owned(),
        epoch: 1,
        election: false,
        trust: Trust::Optimistic,
    };
    assert_eq!(
        value(&TimedEvent { at: 7, event }),
        json!({"at": 7, "type": "macro-block", "blockNumber": 232, "hash": "00", "epoch": 1, "election": false, "trust": "optimistic"})
    );
    let event = SyncEvent::Trust {
        level: Trust::Verified,
        via: TrustSource::Zkp,
        block_number: 456,
    };
    assert_eq!(
        value(&TimedEvent { at: 7, event }),
        json!({"at": 7, "type": "trust", "level": "verified", "via": "zkp", "blockNumber": 456})
    );
}

#[test]
fn events_of_proofs() {
    let zkp = |status, ms, reason: Option<&str>| SyncEvent::Zkp {
        status,
        block_number: Some(456),
        peer_id: Some("12D3".to_owned()),
        ms,
        reason: reason.map(str::to_owned),
    };
    let cases = [
        (
            zkp(ZkpStatus::Requested, None, None),
            json!({"status": "requested"}),
        ),
        (
            zkp(ZkpStatus::Verifying, None, None),
            json!({"status": "verifying"}),
        ),
        (
            zkp(ZkpStatus::Verified, Some(412), None),
            json!({"status": "verified", "ms": 412}),
        ),
        (
            zkp(ZkpStatus::Rejected, None, Some("no proof")),
            json!({"status": "rejected", "reason": "no proof"}),
        ),
    ];
    for (event, mut expected) in cases {
        expected["at"] = json!(7);
        expected["type"] = json!("zkp");
        expected["blockNumber"] = json!(456);
        expected["peerId"] = json!("12D3");
        assert_eq!(value(&TimedEvent { at: 7, event }), expected);
    }
    let event = SyncEvent::Zkp {
        status: ZkpStatus::Unavailable,
        block_number: None,
        peer_id: None,
        ms: None,
        reason: Some("no verifying key".to_owned()),
    };
    assert_eq!(
        value(&TimedEvent { at: 7, event }),
        json!({"at": 7, "type": "zkp", "status": "unavailable", "reason": "no verifying key"})
    );
}

#[test]
fn state() {
    let block = |number| BlockRef {
        number,
        hash: [number as u8; 32].into(),
        timestamp: 1_000,
    };
    let snapshot = Snapshot {
        consensus: ConsensusState::Established,
        trust: Trust::Verified,
        head: block(3),
        macro_head: block(2),
        election_head: block(1),
        epoch: 9,
        peers: 4,
        good_peers: 3,
        syncer: SyncerKind::Pico,
    };
    let head = |number: u8| json!({"blockNumber": number, "hash": format!("{number:02x}").repeat(32), "timestamp": 1_000});
    let mut election = head(1);
    election["epoch"] = json!(9);
    assert_eq!(
        value(&ClientState::new(&snapshot, 11, 12)),
        json!({
            "consensus": "established", "trust": "verified",
            "head": head(3), "macroHead": head(2), "electionHead": election,
            "peers": 4, "goodPeers": 3, "syncer": "pico", "bytesReceived": 11, "bytesSent": 12,
        })
    );
}

#[test]
fn peers() {
    let mut peer = Peer {
        peer_id: "12D3".to_owned(),
        address: "/x".to_owned(),
        transport: "websocket",
        rtt_ms: None,
        outcome: None,
        services: vec!["accounts-proof"],
    };
    assert_eq!(
        value(&peer),
        json!({"peerId": "12D3", "address": "/x", "transport": "websocket", "services": ["accounts-proof"]})
    );
    peer.rtt_ms = Some(1.5);
    peer.outcome = Some(Outcome::Good);
    assert_eq!(value(&peer)["rttMs"], json!(1.5));
    assert_eq!(value(&peer)["outcome"], json!("good"));
}
