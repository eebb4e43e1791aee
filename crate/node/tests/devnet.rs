//! Devnets are networks: nodes follow the validator, and nimiq's own light client follows them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream::BoxStream};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_consensus::messages::{
    AddressNotification, AddressSubscriptionOperation, AddressSubscriptionTopic,
    RequestSubscribeToAddress, RequestTransactionReceiptsByAddress, RequestTransactionsProof,
};
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::{
    Protocol,
    network::{Network as _, NetworkEvent},
    peer_info::Services,
};
use nimiq_network_libp2p::PeerId;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_utils::time::systemtime_to_timestamp;
use pico_node::{
    chain::{Payer, ScriptedChain, init_policy},
    devnet::{Devnet, DevnetConfig, DevnetEvent, FundedAccount, Interrupt, NodeRole},
    liar::Lie,
    node::{BlockTime, Node, NodeConfig, NodeError},
};
use support::{PicoClient, Prober, within};

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
    let began = systemtime_to_timestamp(SystemTime::now());
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
        DevnetEvent::Ready { head, epoch, .. } => {
            assert!(*head > prefilled);
            assert_eq!(*epoch, 3);
        }
        other => panic!("the last event was {other:?}"),
    }

    // What was made in advance is as old as that, and the validator goes on in the present.
    {
        let chain = devnet.nodes()[0].blockchain();
        let chain = chain.read();
        let now = systemtime_to_timestamp(SystemTime::now());
        let election = chain.get_block_at(prefilled, false, None).unwrap();
        assert!(election.timestamp() >= began && election.timestamp() <= chain.timestamp());
        assert!(chain.timestamp() <= now);
    }

    // A light client that knows one node finds the others and follows.
    let client = PicoClient::start(vec![devnet.nodes()[0].address().clone()], 3).await;
    within(60, "establishing consensus", client.established()).await;
    let next = devnet.nodes()[0].height() + 2;
    within(60, "following", client.reached(next)).await;
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
    within(60, "stopping", devnet.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_come_no_faster_than_wanted() {
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
    let to = from + Policy::blocks_per_batch();
    within(120, "following", follower.reached(to)).await;
    let made_at = |number| {
        let chain = follower.blockchain();
        let block = chain.read().get_block_at(number, false, None).unwrap();
        block.timestamp()
    };
    // How much slower they come is up to the machine.
    let took = Duration::from_millis(made_at(to) - made_at(from));
    let wanted = Duration::from_millis(500) * (to - from);
    assert!(took > wanted * 9 / 10, "{took:?} for {wanted:?}");
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_joins_last_and_is_known_to_the_others() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let config = DevnetConfig {
        adversary: Some(Lie::ConflictingElection),
        // The first checkpoint comes after more time than everything here may take.
        block_time: BlockTime::Every(Duration::from_secs(6)),
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
    within(60, "meeting the liar", devnet.nodes()[0].connected(3)).await;

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
    within(60, "catching up", second.reached(chain.height())).await;
    let block = chain.extend().unwrap();
    let number = block.block_number();
    within(60, "publishing", async {
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
    match within(60, "giving up", start).await {
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

/// Subscribes a client to an address at one node.
async fn subscribe(
    client: &PicoClient,
    peer: PeerId,
    address: &Address,
) -> BoxStream<'static, AddressNotification> {
    let network = &client.network;
    let subtopic = network.local_peer_id().to_string();
    let notifications = network
        .subscribe_subtopic::<AddressSubscriptionTopic>(subtopic)
        .await
        .unwrap();
    let request = RequestSubscribeToAddress {
        operation: AddressSubscriptionOperation::Subscribe,
        addresses: vec![address.clone()],
    };
    network.request(request, peer).await.unwrap().unwrap();
    notifications.map(|(notification, _)| notification).boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_made_found_and_told_at_every_pace() {
    for block_time in [
        BlockTime::Standard,
        BlockTime::Every(Duration::from_millis(300)),
    ] {
        let config = DevnetConfig {
            epochs: 1,
            nodes: 2,
            transactions: 1_000,
            block_time,
            ..DevnetConfig::default()
        };
        let ready = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&ready);
        let devnet = Devnet::start(config, Interrupt::default(), move |event| {
            if let DevnetEvent::Ready {
                funded, history, ..
            } = event
            {
                *heard.lock().unwrap() = Some((funded, history.unwrap()));
            }
        })
        .await
        .unwrap();
        let (funded, history) = ready.lock().unwrap().take().unwrap();
        assert_eq!(funded, FundedAccount::of_genesis());
        assert_eq!(history.transactions, 1_000);
        let address = Address::from_user_friendly_address(&history.address).unwrap();

        // A node that is not the validator knows them all, in pages.
        let peer = devnet.nodes()[1].peer_id();
        let client = PicoClient::start(devnet.addresses(), 2).await;
        within(60, "establishing consensus", client.established()).await;
        let network = &client.network;
        assert!(network.peer_provides_services(peer, Services::TRANSACTION_INDEX));
        let mut found: Vec<Blake2bHash> = Vec::new();
        loop {
            let request = RequestTransactionReceiptsByAddress {
                address: address.clone(),
                max: None,
                start_at: found.last().cloned(),
            };
            let page = network.request(request, peer).await.unwrap();
            if page.receipts.is_empty() {
                break;
            }
            found.extend(page.receipts.into_iter().map(|(hash, _)| hash));
        }
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 1_000);

        // It tells of a new one as soon as it is in a block.
        let mut told = subscribe(&client, peer, &address).await;
        let paid = devnet.pay(&address, Coin::from_u64_unchecked(123)).unwrap();
        let notification = within(60, "a notification", told.next()).await.unwrap();
        let (hash, number) = notification.receipts[0].clone();
        assert_eq!(hash, paid);
        let request = RequestTransactionsProof {
            hashes: vec![paid.clone()],
            block_number: None,
        };
        let proof = network.request(request, peer).await.unwrap().unwrap();
        // Once its batch is final, a later block proves it: one at the end of a batch or an epoch.
        let at = proof.block.block_number();
        assert!(
            at == number || at > number && Policy::is_macro_block_at(at),
            "{at} for {number}"
        );
        let root = proof.block.history_root().clone();
        assert_eq!(proof.proof.verify(root), Some(true));

        // One that can't be carried out is refused at once, one that nobody can take too.
        match devnet.pay(&address, Coin::from_u64_unchecked(Coin::MAX_SAFE_VALUE)) {
            Err(NodeError::Refused(_)) => {}
            other => panic!("{other:?}"),
        }
        devnet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_transactions_are_refused() {
    let config = DevnetConfig {
        epochs: 1,
        transactions: 100_000,
        ..DevnetConfig::default()
    };
    match Devnet::start(config, Interrupt::default(), |_| {}).await {
        Err(NodeError::TooManyTransactions { most: 62_000 }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_peers_can_go_and_come_back() {
    let config = DevnetConfig {
        nodes: 2,
        adversary: Some(Lie::Lagging(3)),
        ..fast(DevnetConfig::default())
    };
    let mut devnet = Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap();
    let addresses = devnet.addresses();
    let before = devnet.nodes()[0].blockchain().read().head_hash();
    let prober = Prober::connect(&addresses[0]).await;
    let mut events = prober.network.subscribe_events();

    within(60, "stopping", devnet.stop_nodes()).await;
    within(60, "closing", async {
        while !matches!(events.next().await, Some(Ok(NetworkEvent::PeerLeft(_)))) {}
    })
    .await;
    assert!(devnet.nodes().is_empty() && devnet.liar().is_none());
    for address in &addresses {
        let port = address.iter().find_map(|protocol| match protocol {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        });
        let refused = std::net::TcpStream::connect(("127.0.0.1", port.unwrap()));
        assert_eq!(
            refused.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
    }
    match devnet.pay(Payer::funded().address(), Coin::from_u64_unchecked(1)) {
        Err(NodeError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }

    for _ in 0..2 {
        // The second time there is nothing to do.
        within(90, "starting", devnet.start_nodes()).await.unwrap();
    }
    assert_eq!(devnet.addresses(), addresses);
    let chain = devnet.nodes()[0].blockchain();
    assert!(chain.read().contains(&before, true));
    let next = devnet.nodes()[0].height() + 2;
    within(60, "going on", devnet.nodes()[1].reached(next)).await;
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_can_come_and_go() {
    let config = DevnetConfig {
        nodes: 2,
        ..fast(DevnetConfig::default())
    };
    let mut devnet = Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap();
    let honest = devnet.addresses();
    // What it takes to tell these is not there.
    match devnet.start_liar(Lie::StaleHead).await {
        Err(NodeError::NoLiar(_)) => {}
        other => panic!("{other:?}"),
    }
    match devnet.start_liar("bad-proof".parse().unwrap()).await {
        Err(NodeError::NoProofs(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(devnet.liar().is_none());

    // A liar is there once, however often it is asked for.
    let lie = || Lie::ConflictingElection;
    let first = devnet.start_liar(lie()).await.unwrap().address().clone();
    assert_eq!(devnet.start_liar(lie()).await.unwrap().address(), &first);
    match devnet.start_liar(Lie::Honest).await {
        Err(NodeError::NoLiar(reason)) => assert!(reason.contains("conflicting-election")),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        devnet.addresses(),
        [honest.as_slice(), std::slice::from_ref(&first)].concat()
    );

    // It is a peer among others, and contradicts them.
    let election = devnet.nodes()[0].blockchain().read().election_head_hash();
    assert_ne!(devnet.liar().unwrap().claims().1, election);
    let prober = Prober::connect(&first).await;
    assert!(prober.services.contains(Services::HISTORY));
    let mut events = prober.network.subscribe_events();
    let next = devnet.nodes()[0].height() + 2;
    within(60, "going on", devnet.nodes()[1].reached(next)).await;

    // With the others it goes, and comes back as the same.
    devnet.stop_nodes().await;
    within(60, "closing", async {
        while !matches!(events.next().await, Some(Ok(NetworkEvent::PeerLeft(_)))) {}
    })
    .await;
    match devnet.start_liar(lie()).await {
        Err(NodeError::NoLiar(_)) => {}
        other => panic!("{other:?}"),
    }
    within(90, "starting", devnet.start_nodes()).await.unwrap();
    assert_eq!(devnet.liar().unwrap().address(), &first);

    // On its own it goes, too; the next one takes its place, and may tell something else.
    within(60, "stopping", devnet.stop_liar()).await;
    within(60, "stopping again", devnet.stop_liar()).await;
    assert_eq!(devnet.addresses(), honest);
    let second = devnet.start_liar(Lie::Honest).await.unwrap();
    assert_eq!((second.address(), second.lie()), (&first, &Lie::Honest));
    let peer = second.peer_id();
    assert_eq!(Prober::connect(&first).await.peer, peer);
    let next = devnet.nodes()[0].height() + 2;
    within(60, "going on", devnet.nodes()[1].reached(next)).await;
    devnet.stop().await;
}
