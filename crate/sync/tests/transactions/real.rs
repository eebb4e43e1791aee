//! A payment over real networks, in real time: to a devnet of real nodes, with the swarm of a full
//! node and with our own.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use nimiq_keys::Address;
use nimiq_network_interface::{Multiaddr, network::Network};
use nimiq_serde::Serialize;
use pico_node::{
    chain::Payer,
    devnet::{Devnet, DevnetConfig, Interrupt},
    node::BlockTime,
};
use pico_sync::{
    Clock, PoolVerifier, Queries,
    query::{Confirmations, HistoryOptions, TransactionState},
};

use crate::{
    honest::{Watch, hash, states, told},
    support::{
        blocks::params,
        engine::{Engine, config},
        swarms::{node_network, pico_network},
    },
    world::{address, coin},
};

async fn devnet() -> Devnet {
    let config = DevnetConfig {
        epochs: 1,
        block_time: BlockTime::Every(Duration::from_millis(500)),
        ..DevnetConfig::default()
    };
    Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap()
}

/// Pays, sees the payment through, and finds it again.
async fn pays<N: Network>(network: &Arc<N>, recipient: &Address) {
    let (mut engine, queries) = Engine::start_asking(
        network,
        config(),
        Clock::system(),
        Arc::new(PoolVerifier::default()),
    );
    engine.until("consensus established").await;
    let queries: &Queries<N> = &queries;
    let mut watch: Watch = queries.watch(vec![recipient.clone()]).boxed();
    let payer = Payer::funded();
    let height = engine.snapshot().head.number;
    let transaction = payer.pay(recipient, coin(12_345), height).unwrap();
    let raw = transaction.serialize_to_vec();
    let sent = queries.send(&raw).await.unwrap();
    assert_eq!(sent.state, TransactionState::Pending);

    let awaited = hash(&transaction);
    let finalized = queries.wait_for(&awaited, Confirmations::Finalized);
    let watched = async {
        [
            told(&mut watch).await,
            told(&mut watch).await,
            told(&mut watch).await,
        ]
    };
    let (finalized, watched) = futures::join!(finalized, watched);
    assert_eq!(
        states(&watched),
        [
            TransactionState::Pending,
            TransactionState::Included,
            TransactionState::Finalized
        ]
    );
    assert_eq!(finalized.unwrap().hash, awaited);
    let found = queries.transaction(&awaited).await.unwrap().unwrap();
    assert_eq!(found.transaction, transaction);
    let history = queries.transactions_by_address(recipient.clone(), HistoryOptions::default());
    let history: Vec<_> = history.collect().await;
    let hashes = history.into_iter().map(|details| details.unwrap().hash);
    assert_eq!(hashes.collect::<Vec<_>>(), [awaited]);
    assert!(!engine.saw("fallback"));
    engine.catch_up().await;
    engine.handle.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_over_real_networks() {
    params();
    let devnet = devnet().await;
    let seeds: Vec<Multiaddr> = devnet.addresses();

    let network = node_network(seeds.clone()).await;
    pays(&network, &address(30_001)).await;

    let network = pico_network(seeds);
    pays(&network, &address(30_002)).await;
    network.close().await;
    devnet.stop().await;
}
