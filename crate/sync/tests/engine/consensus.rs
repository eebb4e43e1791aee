//! Consensus is gained and lost, stalls are told and treated, clocks and verifiers fail, and the
//! engine ends when it is told to.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use pico_sync::{Clock, ConsensusState, SyncConfig, SyncEvent, Trust};
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use crate::support::{
    blocks::{BATCH, TOP, chain, election, time_of, usurped},
    engine::{Engine, clock_at, config, light, with_peers},
    network::{Closed, MemoryNetwork, PeerId},
    peer::Peer,
    verifiers::BrokenVerifier,
};

const HEIGHT: u32 = election(3) + BATCH + 5;

fn honest(ids: impl IntoIterator<Item = u32>) -> Vec<Arc<Peer>> {
    ids.into_iter()
        .map(|id| Peer::honest(id, &chain(), HEIGHT))
        .collect()
}

fn join(network: &MemoryNetwork, peers: &[Arc<Peer>]) {
    for peer in peers {
        network.join(peer);
    }
}

#[tokio::test(start_paused = true)]
async fn consensus_is_lost_with_the_peers_and_comes_back() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    network.leave(PeerId(1));
    engine.until("consensus syncing").await;
    assert_eq!(engine.snapshot().good_peers, 2);
    network.join(&peers[0]);
    engine.until("consensus established").await;
    for id in 1..=3 {
        network.leave(PeerId(id));
    }
    engine.until("consensus connecting").await;
    assert_eq!(engine.snapshot().peers, 0);
    // What we know is not forgotten.
    assert_eq!(engine.snapshot().head.number, HEIGHT);
    join(&network, &peers);
    engine.until("consensus established").await;
    assert!(!engine.saw("fallback"));
    engine.finish().await;
}

/// The network is the first to know who comes and goes; the engine has had no turn since.
#[tokio::test(start_paused = true)]
async fn peers_are_counted_as_the_network_knows_them() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=4);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers[..3]);
    engine.until("consensus established").await;
    let counted = |engine: &Engine| {
        let state = engine.snapshot();
        (state.peers, state.good_peers)
    };
    assert_eq!(counted(&engine), (3, 3));
    network.leave(PeerId(1));
    assert_eq!(counted(&engine), (2, 2));
    network.join(&peers[3]);
    assert_eq!(counted(&engine), (3, 2));
    engine.until("p4 good").await;
    assert_eq!(counted(&engine), (3, 3));
    for id in 2..=4 {
        network.leave(PeerId(id));
    }
    assert_eq!(counted(&engine), (0, 0));
    engine.finish().await;
}

/// Peers leave, and come back, at every moment of the sync.
#[tokio::test(start_paused = true)]
async fn peers_may_leave_at_any_moment() {
    for config in [config(), light()] {
        for after in (5..400).step_by(15) {
            let network = MemoryNetwork::new();
            let peers = honest(1..=3);
            let mut engine = Engine::start(&network, config.clone());
            join(&network, &peers);
            tokio::time::sleep(Duration::from_millis(after)).await;
            network.leave(PeerId(1));
            network.leave(PeerId(3));
            network.join(&peers[0]);
            tokio::time::sleep(Duration::from_millis(after % 60)).await;
            network.leave(PeerId(2));
            network.join(&peers[1]);
            network.join(&peers[2]);
            engine.live(&network, &peers, 3).await;
            let state = engine.snapshot();
            assert_eq!(
                (state.consensus, state.good_peers, state.trust),
                (ConsensusState::Established, 3, Trust::Verified),
                "{after}: {:#?}",
                engine.lines()
            );
            assert!(!engine.saw("fallback"), "{after}");
            assert!(network.closed_by_engine().is_empty(), "{after}");
            engine.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_twice_counts_once() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=2);
    let mut engine = Engine::start(&network, config());
    for _ in 0..3 {
        join(&network, &peers);
    }
    engine.run_for(Duration::from_secs(5)).await;
    join(&network, &peers);
    engine.run_for(Duration::from_secs(5)).await;
    assert_eq!(engine.count("p1 good"), 1);
    assert_eq!(engine.snapshot().good_peers, 2);
    assert_eq!(engine.snapshot().consensus, ConsensusState::Syncing);
    engine.finish().await;
}

/// Network events that were missed don't leave us with ghosts, nor without those who came.
#[tokio::test(start_paused = true)]
async fn missed_network_events() {
    let network = MemoryNetwork::with_event_capacity(4);
    let peers = honest(1..=6);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers[..3]);
    engine.until("consensus established").await;
    // All at once, so that the engine can't keep up.
    network.leave(PeerId(1));
    network.leave(PeerId(2));
    join(&network, &peers[3..]);
    for _ in 0..20 {
        network.noise();
    }
    engine.until("p6 good").await;
    engine.live(&network, &peers[2..], 2).await;
    let state = engine.snapshot();
    assert_eq!((state.peers, state.good_peers), (4, 4));
    assert_eq!(engine.outcomes().len(), 4);
    assert_eq!(state.consensus, ConsensusState::Established);
    engine.finish().await;
}

/// Dozens of peers, most of which never answer: the rest get their turn.
#[tokio::test(start_paused = true)]
async fn the_slow_do_not_starve_the_rest() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    for id in 100..160 {
        network.join(&Peer::liar(id, &chain, HEIGHT, |_, _| {
            crate::support::peer::Reply::Never
        }));
    }
    let peers = honest(1..=3);
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.live(&network, &peers, 20).await;
    assert_eq!(engine.snapshot().peers, 3);
    assert!(network.bans().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn stalls_are_told_and_treated() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    // Both are second looks at peers that have nothing new: nobody is lost by them.
    assert_eq!(engine.until("stalled").await, "stalled 8 s: resync");
    assert_eq!(engine.until("stalled").await, "stalled 16 s: resync");
    engine.run_for(Duration::from_secs(5)).await;
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert!(network.closed_by_engine().is_empty());
    assert_eq!(engine.until("stalled").await, "stalled 32 s: redial");
    engine.until("consensus connecting").await;
    let mut closed = network.closed_by_engine();
    closed.sort();
    assert_eq!(closed, [1, 2, 3].map(|id| (PeerId(id), Closed::Other)));
    assert_eq!(engine.until("stalled").await, "stalled 56 s: redial");
    join(&network, &peers);
    assert_eq!(engine.until("stalled").await, "stalled 88 s: resync");
    engine.live(&network, &peers, 5).await;
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    // It starts over.
    assert_eq!(engine.until("stalled").await, "stalled 8 s: resync");
    assert!(!engine.saw("fallback"));
    engine.finish().await;
}

/// A long walk from the anchor is progress, not a stall.
#[tokio::test(start_paused = true)]
async fn a_long_walk_is_no_stall() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, light());
    for id in 1..=3 {
        network.join(&Peer::scripted(id, &chain, TOP, |_, reply| {
            (Duration::from_secs(6), reply)
        }));
    }
    engine.until(&format!("election {}", election(5))).await;
    assert!(!engine.saw("stalled"), "{:#?}", engine.lines());
    engine.finish().await;
}

/// Peers that left are noticed at once, and told.
#[tokio::test(start_paused = true)]
async fn a_dead_peer_set_is_noticed_within_seconds() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.live(&network, &peers, 2).await;
    for peer in &peers {
        network.leave(peer.id);
    }
    let died = tokio::time::Instant::now();
    engine.until("consensus connecting").await;
    assert_eq!(engine.until("stalled").await, "stalled 3 s: redial");
    assert!(died.elapsed() < Duration::from_secs(4));
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.live(&network, &peers, 2).await;
    engine.finish().await;
}

/// A page that slept finds out within seconds which of its connections are dead.
#[tokio::test(start_paused = true)]
async fn waking_up_drops_the_dead() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=4);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.until("p4 good").await;
    // It has been looking all the time: nothing to tell, but a question to everyone.
    engine.live(&network, &peers, 2).await;
    let asked = network.requests_to(peers[0].id, "head");
    engine.handle.wake(0);
    assert_eq!(engine.run_for(Duration::from_secs(1)).await, [""; 0]);
    assert_eq!(network.requests_to(peers[0].id, "head"), asked + 1);

    // Two never answer again.
    for peer in &peers[..2] {
        peer.set_script(|_, reply| (Duration::from_secs(3600), reply));
    }
    engine.handle.wake(600_000);
    assert_eq!(engine.until("stalled").await, "stalled 600 s: resync");
    let woken = tokio::time::Instant::now();
    engine.until("consensus syncing").await;
    assert!(woken.elapsed() < Duration::from_secs(5));
    let mut closed = network.closed_by_engine();
    closed.sort();
    assert_eq!(closed, [1, 2].map(|id| (PeerId(id), Closed::Failed)));
    // Whoever comes back is taken for what it is now.
    for peer in &peers[..2] {
        peer.set_script(|_, reply| (Duration::from_millis(20), reply));
        network.join(peer);
    }
    engine.until("consensus established").await;
    engine.live(&network, &peers, 2).await;
    engine.finish().await;
}

/// A clock that jumps is noticed when the page says that it woke up, and does no harm.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps() {
    let offset = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let clock = {
        let (clock, offset) = (clock_at(time_of(HEIGHT)), offset.clone());
        Clock::new(move || clock.now_ms() + offset.load(std::sync::atomic::Ordering::Relaxed))
    };
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start_at(&network, config(), clock);
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.live(&network, &peers, 2).await;
    offset.store(600_000, std::sync::atomic::Ordering::Relaxed);
    engine.handle.wake(0);
    let stalled = engine.until("stalled").await;
    assert!(stalled.starts_with("stalled 60"), "{stalled}");
    engine.live(&network, &peers, 10).await;
    assert_eq!(engine.count("stalled"), 1);
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

/// Slow answers and late blocks are no reason for more than a question.
#[tokio::test(start_paused = true)]
async fn a_slow_network_is_no_stall() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    for peer in &peers {
        peer.set_script(|_, reply| (Duration::from_millis(3500), reply));
    }
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    for number in HEIGHT + 1..HEIGHT + 15 {
        for peer in &peers {
            peer.set_height(number);
        }
        network.gossip(peers[0].id, chain().header(number)).await;
        engine.run_for(Duration::from_secs(7)).await;
    }
    assert!(!engine.saw("stalled"), "{:#?}", engine.lines());
    assert!(network.closed_by_engine().is_empty());
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn offline_is_no_stall() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start(&network, config());
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.handle.set_offline(true);
    engine.until("consensus offline").await;
    for peer in &peers {
        network.leave(peer.id);
    }
    let said = engine.run_for(Duration::from_secs(300)).await;
    assert_eq!(said, [""; 0]);
    engine.handle.set_offline(false);
    // Now it is one, and something is done about it.
    let stalled = engine.until("stalled").await;
    assert!(
        stalled.starts_with("stalled 30") && stalled.ends_with("redial"),
        "{stalled}"
    );
    engine.until("consensus connecting").await;
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_it_at_any_moment() {
    for after in [0, 1, 30, 50, 100, 200, 1000, 30_000] {
        let network = MemoryNetwork::new();
        let engine = Engine::start(&network, config());
        join(&network, &honest(1..=3));
        tokio::time::sleep(Duration::from_millis(after)).await;
        engine.finish().await;
    }
}

/// The engine runs on without a handle: its events are heard.
#[tokio::test(start_paused = true)]
async fn without_a_handle_it_runs_on() {
    let network = MemoryNetwork::new();
    let engine = Engine::start(&network, config());
    let (mut events, run) = engine.drop_handle();
    join(&network, &honest(1..=3));
    let established = async {
        while let Some(event) = events.next().await {
            if let SyncEvent::Consensus {
                state: ConsensusState::Established,
            } = event.unwrap().event
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), established)
        .await
        .expect("it goes on");
    assert!(!run.is_finished());
    run.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_missed() {
    let network = MemoryNetwork::new();
    let peers = honest(1..=3);
    let mut engine = Engine::start(&network, config());
    let mut slow = engine.handle.events();
    join(&network, &peers);
    engine.until("consensus established").await;
    engine.live(&network, &peers, TOP - HEIGHT).await;
    // There is not that much to say, so say the rest by joining and leaving.
    while engine.log.len() < 700 {
        network.leave(PeerId(1));
        engine.until("consensus syncing").await;
        network.join(&peers[0]);
        engine.until("consensus established").await;
    }
    let Some(Err(BroadcastStreamRecvError::Lagged(missed))) = slow.next().await else {
        panic!("the reader was not told");
    };
    let rest = engine.log.len() - missed as usize;
    assert!(rest <= 512);
    for event in &engine.log[missed as usize..] {
        assert_eq!(slow.next().await.unwrap().unwrap().event, *event);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_verifier_checks_run_in_place() {
    for config in [config(), light()] {
        let network = MemoryNetwork::new();
        let peers = honest(1..=3);
        let clock = clock_at(time_of(HEIGHT));
        let mut engine = Engine::start_with(&network, config, clock, Arc::new(BrokenVerifier));
        join(&network, &peers);
        engine
            .until("verified in place: the verifier is unavailable: broken")
            .await;
        engine.until("trust verified").await;
        // It is no excuse for liars.
        network.join(&Peer::honest(9, &usurped(election(3)), HEIGHT));
        engine.live(&network, &peers, 3).await;
        assert_eq!(network.bans(), [PeerId(9)]);
        assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
        engine.finish().await;
    }
}

/// A clock that is off by an hour is told, and nobody is blamed for it.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock() {
    const HOUR: u64 = 3_600_000;
    for config in [config(), light()] {
        for (clock, told) in [
            (time_of(HEIGHT) - HOUR, "clock -36"),
            (time_of(HEIGHT) + HOUR, "clock 3"),
            (time_of(HEIGHT) + 1000, "consensus established"),
            // Decades: a machine that has lost its clock.
            (0, "clock -1635"),
        ] {
            let network = MemoryNetwork::new();
            let peers = honest(1..=3);
            let mut engine = Engine::start_at(&network, config.clone(), clock_at(clock));
            join(&network, &peers);
            engine.until("trust verified").await;
            engine.live(&network, &peers, 40).await;
            assert!(engine.saw(told), "{:#?}", engine.lines());
            assert!(engine.count("clock") <= 1);
            assert!(!engine.saw("fallback"));
            assert!(network.closed_by_engine().is_empty());
            assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
            engine.finish().await;
        }
    }
}

/// A fallback loses consensus before it gives up the chain, and tells what it reverted.
#[tokio::test(start_paused = true)]
async fn a_fallback_is_told_in_full() {
    let network = MemoryNetwork::new();
    let fake = usurped(election(3));
    let mut engine = Engine::start(
        &network,
        SyncConfig {
            verify_in_background: false,
            ..config()
        },
    );
    let fakes: Vec<_> = (1..=3).map(|id| Peer::honest(id, &fake, HEIGHT)).collect();
    join(&network, &fakes);
    engine.until("consensus established").await;
    engine.until_head(HEIGHT).await;
    join(&network, &honest([4]));
    engine.until("fallback by p4").await;
    let lost = engine.until_any(&["consensus", "head"]).await;
    assert_eq!(lost, "consensus syncing");
    let reverted = engine.until("head").await;
    assert!(
        reverted.starts_with("head 200 rebranched -7 +0"),
        "{reverted}"
    );
    let Some(SyncEvent::Head { reverted, .. }) = engine.log.last() else {
        panic!("the last event is that of the head");
    };
    let expected: Vec<_> = std::iter::once(election(3))
        .chain(election(3) + BATCH..=HEIGHT)
        .map(|number| fake.hex_at(number))
        .collect();
    assert_eq!(*reverted, expected);
    engine.until("trust verified").await;
    join(&network, &honest([5, 6]));
    engine.until("consensus established").await;
    engine.until_head(HEIGHT).await;
    assert_eq!(engine.snapshot().head.hash, chain().hash_at(HEIGHT));
    // Those who served the other chain are banned, each for itself.
    engine.run_for(Duration::from_secs(15)).await;
    assert_eq!(network.bans(), [1, 2, 3].map(PeerId));
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn one_peer_can_be_enough() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, with_peers(1));
    join(&network, &honest([1]));
    engine.until("consensus established").await;
    engine.until("trust verified").await;
    engine.finish().await;
}
