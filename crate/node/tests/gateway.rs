//! A gateway in front of real nodes: everything a light client does works through it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use nimiq_block::Block;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::network::Network as _;
use nimiq_primitives::coin::Coin;
use nimiq_serde::Serialize;
use pico_network::{Keypair, Multiaddr};
use pico_node::{
    chain::{Fixture, NETWORK_ID, PROOFS_FOLDER, Payer},
    devnet::{Devnet, DevnetConfig, Interrupt, Proofs},
    gateway::{Gateway, GatewayConfig},
    liar::Lie,
    node::BlockTime,
    proofs::{RequestZKP, ZkpResponse},
};
use pico_sync::query::TransactionState;
use support::{PicoClient, light::LightClient, within};

/// A devnet with a block every half a second.
async fn devnet(config: DevnetConfig) -> Devnet {
    let config = DevnetConfig {
        epochs: 1,
        block_time: BlockTime::Every(Duration::from_millis(500)),
        ..config
    };
    Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap()
}

fn config(upstreams: Vec<Multiaddr>) -> GatewayConfig {
    let listen = vec!["/ip4/127.0.0.1/tcp/0/ws".parse().unwrap()];
    GatewayConfig {
        allow_loopback: true,
        ..GatewayConfig::new(NETWORK_ID, Keypair::generate_ed25519(), upstreams, listen)
    }
}

async fn gateway(upstreams: Vec<Multiaddr>) -> Gateway {
    let gateway = Gateway::start(config(upstreams)).await.unwrap();
    within(20, "reaching an upstream", gateway.ready()).await;
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn light_clients_that_know_only_the_gateway_sync_and_follow() {
    let devnet = devnet(DevnetConfig::default()).await;
    let gateway = gateway(devnet.addresses()).await;

    let ours = LightClient::start(gateway.addresses());
    within(60, "our client's consensus", ours.established()).await;
    let nimiqs = PicoClient::start(gateway.addresses(), 1).await;
    within(60, "nimiq's client's consensus", nimiqs.established()).await;
    let next = devnet.nodes()[0].height() + 5;
    within(30, "our client following", ours.reached(next)).await;
    within(30, "nimiq's client following", nimiqs.reached(next)).await;
    // Nobody told them of the nodes.
    assert_eq!(ours.network.peer_count(), 1);
    assert_eq!(nimiqs.network.get_peers().len(), 1);

    let stats = gateway.stats();
    assert_eq!(stats.upstreams.len(), 3);
    assert_eq!(stats.clients.websocket, 2);
    assert!(stats.requests[&210].answered > 0 && stats.requests[&207].answered > 0);
    assert!(stats.gossip.headers >= 5);
    ours.stop().await;
    within(10, "stopping", gateway.stop(Duration::from_secs(5))).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_go_through_the_gateway_and_are_told() {
    let devnet = devnet(DevnetConfig::default()).await;
    let gateway = gateway(devnet.addresses()).await;
    let client = LightClient::start(gateway.addresses());
    within(60, "consensus", client.established()).await;

    let recipient = Address::from([77; 20]);
    let mut watch = client.queries.watch(vec![recipient.clone()]).boxed();
    let other = LightClient::start(gateway.addresses());
    within(60, "the other's consensus", other.established()).await;
    let mut nothing = other.queries.watch(vec![Address::from([78; 20])]).boxed();

    let payer = Payer::funded();
    let value = Coin::from_u64_unchecked(12_345);
    let payment = payer.pay(&recipient, value, client.height()).unwrap();
    let hash: Blake2bHash = payment.hash();
    // The order of these is the client's business; sending is the gateway's.
    let sent = client.queries.send(&payment.serialize_to_vec()).await;
    sent.unwrap();
    let told = within(40, "the notification", async {
        loop {
            let told = watch.next().await.unwrap().unwrap();
            if told.state != TransactionState::Pending {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told.hash, hash);
    within(20, "the gateway's part in it", async {
        while gateway.stats().notifications.sent == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let stats = gateway.stats();
    assert_eq!(stats.gossip.transactions, 1);
    assert_eq!(stats.notifications.clients, 2);
    // One of the two, and of one transaction.
    assert_eq!(stats.notifications.sent, 1);
    assert!(nothing.next().now_or_never().is_none());
    client.stop().await;
    other.stop().await;
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_on_when_upstreams_are_killed_and_back() {
    let mut devnet = devnet(DevnetConfig::default()).await;
    let gateway = gateway(devnet.addresses()).await;
    within(20, "reaching all upstreams", async {
        while gateway.stats().upstreams.iter().any(|one| !one.connected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let client = LightClient::start(gateway.addresses());
    within(60, "consensus", client.established()).await;
    within(30, "following", client.reached(client.height() + 2)).await;

    // All of them: the gateway says that it has nobody, and the client stays where it is.
    devnet.stop_nodes().await;
    within(20, "noticing", async {
        while gateway.is_serving() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(client.network.peer_count(), 1);
    let from = client.height();
    devnet.start_nodes().await.unwrap();
    within(30, "reaching an upstream again", gateway.ready()).await;
    within(60, "following again", client.reached(from + 3)).await;
    assert!(gateway.stats().upstreams.iter().any(|one| one.failures > 0));
    client.stop().await;
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_never_answers_delays_and_no_more() {
    let config = DevnetConfig {
        adversary: Some(Lie::NoAnswer),
        ..DevnetConfig::default()
    };
    let devnet = devnet(config).await;
    let gateway = gateway(devnet.addresses()).await;
    for _ in 0..3 {
        // Each has another id, so one of them is bound to the one that doesn't answer sooner or later.
        let client = LightClient::start(gateway.addresses());
        within(60, "consensus", client.established()).await;
        within(30, "following", client.reached(client.height() + 2)).await;
        client.stop().await;
    }
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_on_another_chain_is_left_alone() {
    let config = DevnetConfig {
        adversary: Some(Lie::ConflictingElection),
        ..DevnetConfig::default()
    };
    let devnet = devnet(config).await;
    let gateway = gateway(devnet.addresses()).await;
    within(30, "finding the liar", async {
        while !gateway.stats().upstreams[3].suspect {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let stats = gateway.stats();
    assert!(stats.upstreams[..3].iter().all(|one| !one.suspect));
    let before = stats.upstreams[3].requests;
    let clients: Vec<_> = (0..5)
        .map(|_| LightClient::start(gateway.addresses()))
        .collect();
    for client in &clients {
        within(60, "consensus", client.established()).await;
        within(30, "following", client.reached(client.height() + 1)).await;
        let head = client.handle.snapshot().macro_head;
        let honest = devnet.nodes()[0].blockchain();
        let block = honest.read().get_block_at(head.number, false, None);
        assert_eq!(block.unwrap().hash(), head.hash);
        assert_eq!(client.network.peer_count(), 1);
    }
    // Nothing was asked of it for a client.
    assert_eq!(gateway.stats().upstreams[3].requests, before);
    for client in clients {
        client.stop().await;
    }
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_headers_of_an_upstream_are_not_handed_on() {
    let config = DevnetConfig {
        adversary: Some(Lie::BadHeaderGossip),
        ..DevnetConfig::default()
    };
    let devnet = devnet(config).await;
    let gateway = gateway(devnet.addresses()).await;
    let client = LightClient::start(gateway.addresses());
    within(60, "consensus", client.established()).await;
    within(60, "some wrong headers", async {
        while gateway.stats().gossip.rejected < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    within(30, "following", client.reached(client.height() + 5)).await;
    // Otherwise it would have banned the gateway.
    assert_eq!(client.network.peer_count(), 1);
    client.stop().await;
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_come_from_the_folder_with_their_blocks() {
    let fixture = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/unit-albatross");
    let empty = tempfile::tempdir().unwrap();
    let devnet_config = DevnetConfig {
        epochs: 3,
        fixture: Some(fixture.clone()),
        proofs: Some(Proofs::Stored(empty.path().to_owned())),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(devnet_config, Interrupt::default(), |_| {})
        .await
        .unwrap();
    let gateway = Gateway::start(GatewayConfig {
        proofs: Some(fixture.join(PROOFS_FOLDER)),
        ..config(devnet.addresses())
    })
    .await
    .unwrap();
    within(30, "finding the proven block", async {
        while gateway.stats().proof.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let number = gateway.stats().proof.unwrap();
    let client = LightClient::start(gateway.addresses());
    within(
        30,
        "connecting",
        client.network.dial(gateway.addresses()[0].clone()),
    )
    .await
    .unwrap();
    let ask = async |block_number| {
        let request = RequestZKP {
            block_number,
            request_election_block: true,
        };
        client
            .network
            .request(request, gateway.peer_id())
            .await
            .unwrap()
    };
    let ZkpResponse::Proof(proof, Some(block)) = ask(Fixture::anchor_number()).await else {
        panic!("expected a proof and its block");
    };
    assert_eq!(u32::from_be_bytes(proof.block_number), number);
    assert_eq!(block.block_number(), number);
    let honest = devnet.nodes()[0].blockchain();
    let real = honest.read().get_block_at(number, false, None).unwrap();
    assert_eq!(real.hash(), Block::Macro(block).hash());
    assert_eq!(ask(number).await, ZkpResponse::Outdated(number));
    client.stop().await;
    gateway.stop(Duration::from_secs(5)).await;
    devnet.stop().await;
}
