//! A peer that does nothing but listen, over WebSocket and WebRTC: something to dial.
//!
//! `cargo run -p pico-network --example listen [MULTIADDR…]` prints the addresses, one a line, and
//! each peer that comes and goes. The network it belongs to is named by a hash of nothing but sevens.
#![allow(clippy::print_stdout)]

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use nimiq_network_interface::peer_info::{NodeType, Services};
use pico_network::{Config, Network, new_identity};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::new(new_identity(), [7; 32].into(), vec![]);
    config.provided_services = Services::provided(NodeType::History);
    config.allow_loopback = true;
    let peer = config.identity.public().to_peer_id();
    let network = Network::new(config)?;
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        wanted = vec![
            "/ip4/127.0.0.1/tcp/0/ws".to_owned(),
            "/ip4/127.0.0.1/udp/0/webrtc-direct".to_owned(),
        ];
    }
    for address in wanted {
        network.listen_on(address.parse()?).await?;
    }
    for address in network.listen_addresses().await {
        println!("{}", address.with(Protocol::P2p(peer)));
    }
    let mut notices = network.subscribe();
    while let Some(notice) = notices.next().await {
        println!("{notice:?}");
    }
    Ok(())
}
