//! Devnets are networks: nodes follow the validator, and nimiq's own light client follows them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_primitives::policy::Policy;
use nimiq_utils::time::systemtime_to_timestamp;
use pico_node::{
    chain::{ScriptedChain, init_policy},
    devnet::{Devnet, DevnetConfig, DevnetEvent, Interrupt, NodeRole},
    liar::Lie,
    node::{BlockTime, Node, NodeConfig, NodeError},
};
use support::{PicoClient, within};

fn fast(config: DevnetConfig) -> DevnetConfig {
    DevnetConfig {
        epochs: 1,
        block_time: BlockTime::Every(Duration::from_millis(500)),
        ..config
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nimiqs_pico_client_follows_the_real_validator() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let config = DevnetConfig {
        epochs: 2,
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config, Interrupt::default(), move |event| {
        heard.lock().unwrap().push(event);
    })
    .await
    .unwrap();

    // The start was told in order.
    let roles: Vec<_> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            DevnetEvent::Node { index, role, .. } => Some((*index, *role)),
            _ => None,
        })
        .collect();
    let expected = [NodeRole::Validator, NodeRole::Node, NodeRole::Node];
    assert_eq!(roles, expected.into_iter().enumerate().collect::<Vec<_>>());
    let prefilled = Policy::genesis_block_number() + 2 * Policy::blocks_per_epoch();
    match events.lock().unwrap().last().unwrap() {
        DevnetEvent::Ready { head, epoch } => {
            assert!(*head > prefilled);
            assert_eq!(*epoch, 3);
        }
        other => panic!("the last event was {other:?}"),
    }

    // What was made in advance is of the past, and the validator goes on in the present.
    let now = systemtime_to_timestamp(SystemTime::now());
    {
        let chain = devnet.nodes()[0].blockchain();
        let chain = chain.read();
        let election = chain.election_head();
        assert_eq!(election.block_number(), prefilled);
        assert!(election.timestamp() < now && election.timestamp() + 60_000 > now);
        assert!(chain.timestamp() <= now);
    }

    // A light client that knows one node finds the others and follows.
    let client = PicoClient::start(vec![devnet.nodes()[0].address().clone()], 3).await;
    within(40, "establishing consensus", client.established()).await;
    let next = devnet.nodes()[0].height() + 2;
    within(20, "following", client.reached(next)).await;
    devnet.nodes()[0].reached(next).await;
    let honest = devnet.nodes()[0].blockchain();
    assert_eq!(
        client.hash_at(next).unwrap(),
        honest
            .read()
            .get_block_at(next, false, None)
            .unwrap()
            .hash()
    );
    within(3, "stopping", devnet.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_come_at_the_wanted_pace() {
    let config = DevnetConfig {
        nodes: 2,
        ..fast(DevnetConfig::default())
    };
    let devnet = Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap();
    let follower = &devnet.nodes()[1];
    let from = follower.height();
    // Past a checkpoint, which no Tendermint has to agree on here.
    let to = Policy::macro_block_after(from) + 1;
    let began = tokio::time::Instant::now();
    within(40, "following", follower.reached(to)).await;
    let took = began.elapsed();
    let wanted = Duration::from_millis(500) * (to - from);
    assert!(
        took > wanted / 2 && took < wanted * 2,
        "{took:?} for {wanted:?}"
    );
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_joins_last_and_is_known_to_the_others() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let config = DevnetConfig {
        adversary: Some(Lie::ConflictingElection),
        ..fast(DevnetConfig::default())
    };
    let devnet = Devnet::start(config, Interrupt::default(), move |event| {
        heard.lock().unwrap().push(event);
    })
    .await
    .unwrap();
    assert!(events.lock().unwrap().iter().any(|event| matches!(
        event,
        DevnetEvent::Node {
            index: 3,
            role: NodeRole::Liar,
            ..
        }
    )));
    assert_eq!(devnet.addresses().len(), 4);
    within(10, "meeting the liar", devnet.nodes()[0].connected(3)).await;

    // It follows the live chain, but not as far as the election block goes.
    let liar = devnet.liar().unwrap();
    let honest = devnet.nodes()[0].blockchain();
    let (macro_hash, election_hash) = liar.claims();
    assert_ne!(election_hash, honest.read().election_head_hash());
    assert_eq!(macro_hash, election_hash, "no checkpoint has been made yet");
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_a_scripted_chain() {
    let mut chain = ScriptedChain::new().unwrap();
    chain.extend_micro(5).unwrap();
    let first = Node::start(NodeConfig::follower(vec![]), chain.share())
        .await
        .unwrap();
    let second = Node::start(
        NodeConfig::follower(vec![first.address().clone()]),
        ScriptedChain::new().unwrap().share(),
    )
    .await
    .unwrap();
    // One that starts from genesis catches up, and then follows what is published.
    within(30, "catching up", second.reached(chain.height())).await;
    let block = chain.extend().unwrap();
    let number = block.block_number();
    within(20, "publishing", async {
        while second.height() < number {
            // Whether the mesh exists yet can't be seen from outside.
            let _ = first.publish(block.clone()).await;
            tokio::select! {
                () = second.reached(number) => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
        }
    })
    .await;
    assert_eq!(second.blockchain().read().head_hash(), chain.head_hash());
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_can_be_interrupted_and_a_used_port_is_told() {
    init_policy();
    let interrupt = Interrupt::default();
    let config = DevnetConfig {
        epochs: 10_000,
        ..DevnetConfig::default()
    };
    let start = Devnet::start(config, interrupt.clone(), |_| {});
    interrupt.interrupt();
    match within(5, "giving up", start).await {
        Err(NodeError::Interrupted) => {}
        other => panic!("{other:?}"),
    }

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let listen = format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap();
    let config = DevnetConfig {
        listen,
        ..fast(DevnetConfig::default())
    };
    match Devnet::start(config, Interrupt::default(), |_| {}).await {
        Err(NodeError::Listen { in_use: true, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_when_its_port_is_in_use() {
    let chain = ScriptedChain::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = NodeConfig {
        listen: format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap(),
        ..NodeConfig::follower(vec![])
    };
    match Node::start(config, chain.share()).await {
        Err(NodeError::Listen { in_use: true, .. }) => {}
        other => panic!("{other:?}"),
    }
    for wrong in [
        "/ip4/127.0.0.1/tcp/1",
        "/dns4/localhost/tcp/1/ws",
        "/ip4/127.0.0.1/udp/1",
        "/ip4/127.0.0.1/tcp/1/ws/p2p-circuit",
    ] {
        let config = NodeConfig {
            listen: wrong.parse().unwrap(),
            ..NodeConfig::follower(vec![])
        };
        match Node::start(config, chain.share()).await {
            Err(NodeError::Address { address, .. }) => assert_eq!(address, wrong),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}
