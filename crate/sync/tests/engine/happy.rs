//! An honest network: the engine syncs, proves what it adopted, and follows the chain.

use std::time::Duration;

use pico_sync::{ConsensusState, SyncerKind, Trust};

use crate::support::{
    blocks::{BATCH, chain, election},
    engine::{Engine, anchored, config, light, optimistic},
    network::MemoryNetwork,
    peer::Peer,
};

#[tokio::test(start_paused = true)]
async fn three_peers_and_three_epochs() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let height = election(3) + BATCH + 7;
    let peers: Vec<_> = (1..=3).map(|id| Peer::honest(id, &chain, height)).collect();
    let mut engine = Engine::start(&network, config());
    assert_eq!(engine.snapshot().consensus, ConsensusState::Connecting);
    assert_eq!(engine.snapshot().head.number, 200);
    for peer in &peers {
        network.join(peer);
    }
    engine.until("trust verified").await;
    if engine.snapshot().consensus != ConsensusState::Established {
        engine.until("consensus established").await;
    }

    let said = engine.lines();
    let expected_start = [
        "consensus syncing",
        "election 584 optimistic",
        "checkpoint 616 optimistic",
        "head 616",
        "trust optimistic via peers at 616",
    ];
    assert_eq!(said[..5], expected_start);
    for peer in ["p1 good", "p2 good", "p3 good"] {
        assert_eq!(engine.count(peer), 1);
    }
    assert!(engine.saw("trust verified via signatures at 616"));
    assert!(!engine.saw("fallback"));

    let state = engine.snapshot();
    assert_eq!(state.head.hash, chain.hash_at(height));
    assert_eq!(state.macro_head.hash, chain.hash_at(616));
    assert_eq!(state.election_head.hash, chain.hash_at(584));
    assert_eq!(state.epoch, 3);
    assert_eq!(state.peers, 3);
    assert_eq!(state.good_peers, 3);
    assert_eq!(state.trust, Trust::Verified);
    assert_eq!(state.syncer, SyncerKind::Pico);

    // Live blocks, to the end of the epoch and beyond.
    for number in height + 1..=election(4) + 5 {
        for peer in &peers {
            peer.set_height(number);
        }
        let source = peers[number as usize % 3].id;
        let message = network.gossip(source, chain.header(number)).await;
        assert_eq!(network.verdict(message).await, "accept");
        engine.until(&format!("head {number}")).await;
        assert_eq!(engine.snapshot().head.hash, chain.hash_at(number));
    }
    let state = engine.snapshot();
    assert_eq!(state.epoch, 4);
    assert_eq!(
        state.consensus,
        ConsensusState::Established,
        "{:#?}",
        engine.lines()
    );
    assert!(engine.saw("election 712 verified"));
    assert!(network.closed_by_engine().is_empty());
    assert_eq!(network.undecided(), [0; 0]);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn verified_from_the_start() {
    let chain = chain();
    for (config, anchor) in [
        (light(), 200),
        (anchored(light(), election(2)), election(2)),
    ] {
        let network = MemoryNetwork::new();
        let height = election(3) + 2 * BATCH + 1;
        for id in 1..=3 {
            network.join(&Peer::honest(id, &chain, height));
        }
        let mut engine = Engine::start(&network, config);
        engine.until("consensus established").await;
        engine.until_head(height).await;
        let said = engine.lines_without_heads();
        let elections: Vec<_> = (0..=3)
            .map(election)
            .filter(|number| *number >= anchor)
            .map(|number| format!("election {number} verified"))
            .collect();
        let macro_blocks: Vec<_> = said
            .iter()
            .filter(|line| line.starts_with("election") || line.starts_with("checkpoint"))
            .cloned()
            .collect();
        assert_eq!(
            macro_blocks,
            [elections, vec!["checkpoint 648 verified".into()]].concat()
        );
        assert_eq!(engine.count("trust"), 1);
        assert!(engine.saw("trust verified via signatures at 648"));
        assert_eq!(engine.snapshot().syncer, SyncerKind::Light);
        assert!(network.closed_by_engine().is_empty());
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_proven_that_nobody_asked_for() {
    let chain = chain();
    let network = MemoryNetwork::new();
    for id in 1..=3 {
        network.join(&Peer::honest(id, &chain, 700));
    }
    let mut engine = Engine::start(&network, optimistic());
    engine.until("consensus established").await;
    engine.run_for(Duration::from_secs(60)).await;
    assert_eq!(engine.snapshot().trust, Trust::Optimistic);
    assert_eq!(engine.count("trust"), 1);
    assert!(!engine.saw("fallback"));
    engine.finish().await;
}
