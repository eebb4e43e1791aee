//! Real swarms that dial `seeds` at once, and go on to whom they hear of.

use std::{num::NonZeroU8, sync::Arc, time::SystemTime};

use nimiq_network_interface::{
    Multiaddr,
    peer_info::{NodeType, Services},
};
use nimiq_network_libp2p::{
    Keypair, Network as NodeNetwork, discovery::peer_contacts::PeerContact,
};

use pico_node::node::meet;

use super::blocks::params;

/// The swarm of a full node, as a light client.
pub async fn node_network(seeds: Vec<Multiaddr>) -> Arc<NodeNetwork> {
    let keypair = Keypair::generate_ed25519();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let services = Services::provided(NodeType::Pico);
    let contact = PeerContact::new([], keypair.public(), services, now.unwrap().as_secs());
    let seed_count = seeds.len();
    let config = nimiq_network_libp2p::Config::new(
        keypair,
        contact.unwrap(),
        seeds.clone(),
        params().genesis().hash,
        false,
        Services::required(NodeType::Pico),
        None,
        12,
        4000,
        4000,
        4000,
        false,
        seed_count,
        true,
        NonZeroU8::MIN,
        1024,
    );
    let network = Arc::new(NodeNetwork::new(config, ()).await);
    tokio::spawn(meet(Arc::clone(&network), seeds));
    network.start_connecting().await;
    network
}

/// Our own swarm.
pub fn pico_network(seeds: Vec<Multiaddr>) -> Arc<pico_network::Network> {
    let mut config =
        pico_network::Config::new(Keypair::generate_ed25519(), params().genesis().hash, seeds);
    config.allow_loopback = true;
    let network = pico_network::Network::new(config).unwrap();
    network.start_connecting();
    network
}
