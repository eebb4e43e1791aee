//! The engine over real networks, in real time: against a devnet of real nodes, with the swarm of a
//! full node and with our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::large_enum_variant,
    clippy::large_futures
)]

mod support;

use std::{sync::Arc, time::Duration};

use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_network_interface::network::Network;
use pico_node::{
    devnet::{Devnet, DevnetConfig, Interrupt},
    liar::Lie,
    node::BlockTime,
};
use pico_sync::{Clock, ConsensusState, PoolVerifier, SyncerKind, Trust};

use crate::support::{
    blocks::params,
    engine::{Engine, config},
    swarms::{node_network, pico_network},
};

/// Three nodes, and a liar if there is to be one, with a block twice a second.
async fn devnet(adversary: Option<Lie>) -> Devnet {
    let config = DevnetConfig {
        epochs: 2,
        block_time: BlockTime::Every(Duration::from_millis(500)),
        adversary,
        ..DevnetConfig::default()
    };
    Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap()
}

fn start<N: Network>(network: &Arc<N>) -> Engine {
    Engine::start_with(
        network,
        config(),
        Clock::system(),
        Arc::new(PoolVerifier::default()),
    )
}

/// Syncs with an honest devnet and follows it over a macro block.
async fn follows<N: Network>(network: &Arc<N>, devnet: &Devnet) {
    let mut engine = start(network);
    engine.until("trust verified").await;
    if engine.snapshot().consensus != ConsensusState::Established {
        engine.until("consensus established").await;
    }
    engine.until("checkpoint").await;
    for _ in 0..5 {
        engine.until("head").await;
    }
    let state = engine.snapshot();
    let blockchain = devnet.nodes()[0].blockchain();
    assert!(blockchain.read().contains(&state.head.hash, false));
    assert_eq!(state.trust, Trust::Verified);
    assert_eq!(state.good_peers, 3);
    assert!(!engine.saw("fallback"), "{:#?}", engine.lines());
    engine.finish().await;
}

/// Syncs with a devnet in which one peer has another election block.
async fn gets_past_a_liar<N: Network>(network: &Arc<N>, devnet: &Devnet) {
    let liar = devnet.liar().unwrap().peer_id().to_string();
    let mut engine = start(network);
    engine.until(&format!("{liar} conflicting")).await;
    let state = loop {
        let state = engine.snapshot();
        if state.trust == Trust::Verified
            && state.consensus == ConsensusState::Established
            && state.syncer == SyncerKind::Pico
        {
            break state;
        }
        engine.until_any(&["trust", "consensus"]).await;
    };
    for _ in 0..3 {
        engine.until("head").await;
    }
    let blockchain = devnet.nodes()[0].blockchain();
    assert!(
        blockchain
            .read()
            .contains(&engine.snapshot().head.hash, false)
    );
    assert_eq!(state.good_peers, 3);
    assert!(
        !network
            .get_peers()
            .iter()
            .any(|peer| peer.to_string() == liar)
    );
    engine.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_nodes() {
    params();
    let devnet = devnet(None).await;
    let network = node_network(devnet.addresses()).await;
    follows(&network, &devnet).await;
    let network = pico_network(devnet.addresses());
    follows(&network, &devnet).await;
    network.close().await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_liar_among_nodes() {
    params();
    let devnet = devnet(Some(Lie::ConflictingElection)).await;
    let network = node_network(devnet.addresses()).await;
    gets_past_a_liar(&network, &devnet).await;
    let network = pico_network(devnet.addresses());
    gets_past_a_liar(&network, &devnet).await;
    network.close().await;
    devnet.stop().await;
}
