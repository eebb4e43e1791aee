//! A gateway in front of real nodes: everything a light client does works through it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use nimiq_network_interface::network::Network as _;
use pico_network::{Keypair, Multiaddr};
use pico_node::{
    chain::NETWORK_ID,
    devnet::{Devnet, DevnetConfig, Interrupt},
    gateway::{Gateway, GatewayConfig},
    node::BlockTime,
};
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
