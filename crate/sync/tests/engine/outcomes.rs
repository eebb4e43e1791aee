//! What macro sync makes of a peer: each outcome for its own cause, and no false alarm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pico_sync::{ConsensusState, Outcome, Trust};

use crate::support::{
    blocks::{BATCH, chain, election, mutated, usurped},
    engine::{Engine, anchored, config, light, with_peers},
    network::{Closed, MemoryNetwork, PeerId},
    peer::{LATENCY, Peer, Question, Reply},
};
use pico_node::chain::Mutation;

const HEIGHT: u32 = election(3) + BATCH + 5;

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_behind_is_outdated_until_it_catches_up() {
    let chain = chain();
    let height = election(3) + 2 * BATCH + 5;
    // A batch, the whole epoch's checkpoints, an epoch, many epochs, everything.
    for behind in [
        height - BATCH,
        election(3) + 1,
        election(2) + 40,
        election(1) + 70,
        200,
    ] {
        let network = MemoryNetwork::new();
        let peers: Vec<_> = (1..=3).map(|id| Peer::honest(id, &chain, height)).collect();
        let late = Peer::honest(4, &chain, behind);
        let mut engine = Engine::start(&network, config());
        for peer in &peers {
            network.join(peer);
        }
        engine.until("consensus established").await;
        let joined = tokio::time::Instant::now();
        network.join(&late);
        let line = engine.until("p4").await;
        assert!(line.starts_with("p4 outdated: it is"), "{behind}: {line}");
        // What it lacks is not on its way, so there is nothing to wait for.
        assert!(joined.elapsed() < Duration::from_millis(200), "{behind}");
        assert_eq!(engine.outcomes()["p4"], Outcome::Outdated);
        assert_eq!(engine.snapshot().good_peers, 3);
        assert_eq!(engine.snapshot().peers, 4);

        late.set_height(height);
        let before = tokio::time::Instant::now();
        engine.until("p4 good").await;
        assert!(before.elapsed() < Duration::from_secs(11));
        assert_eq!(engine.outcomes()["p4"], Outcome::Good);
        assert_eq!(engine.snapshot().good_peers, 4);
        assert!(!engine.saw("fallback"));
        assert!(network.closed_by_engine().is_empty(), "{behind}");
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_services_is_incompatible() {
    let chain = chain();
    let network = MemoryNetwork::new();
    // One is there before the engine runs, and joins once more; one comes later.
    network.join(&Peer::without_services(1, &chain, 700));
    let mut engine = Engine::start(&network, config());
    network.join(&Peer::without_services(1, &chain, 700));
    engine.until("p1 incompatible: it offers no services").await;
    network.join(&Peer::without_services(2, &chain, 700));
    engine.until("p2 incompatible: it offers no services").await;
    engine.run_for(Duration::from_secs(15)).await;
    assert_eq!(engine.count("p1"), 1);
    assert_eq!(engine.count("p2"), 1);
    assert_eq!(engine.snapshot().consensus, ConsensusState::Syncing);
    assert_eq!(engine.outcomes()["p2"], Outcome::Incompatible);
    assert_eq!(network.requests(), 0);
    assert!(network.closed_by_engine().is_empty());
    network.leave(PeerId(1));
    network.leave(PeerId(2));
    engine.until("consensus connecting").await;
    assert!(engine.outcomes().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_another_chain_is_conflicting() {
    let chain = chain();
    let network = MemoryNetwork::new();
    for id in 1..=3 {
        network.join(&Peer::honest(id, &chain, 700));
    }
    let mut engine = Engine::start(&network, config());
    engine.until("trust verified").await;
    network.join(&Peer::honest(4, &usurped(election(3)), 700));
    engine
        .until("p4 conflicting: another election block than ours")
        .await;
    network.banned(PeerId(4)).await;
    engine.run_for(Duration::from_secs(30)).await;
    assert!(!engine.saw("fallback"));
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert_eq!(network.closed_by_engine(), [(PeerId(4), Closed::Banned)]);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_apart_is_no_conflict() {
    let chain = chain();
    let ahead = election(3) + 2 * BATCH + 3;
    for (first, second) in [(ahead, ahead - BATCH), (ahead - BATCH, ahead)] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, with_peers(1));
        let peers = [
            Peer::honest(1, &chain, first),
            Peer::honest(2, &chain, second),
        ];
        network.join(&peers[0]);
        engine.until("p1 good").await;
        network.join(&peers[1]);
        engine.until_head(ahead).await;
        engine.until("trust verified").await;
        for peer in &peers {
            peer.set_height(ahead);
        }
        engine.run_for(Duration::from_secs(15)).await;
        assert_eq!(engine.snapshot().good_peers, 2);
        assert!(!engine.saw("fallback"), "{:#?}", engine.lines());
        assert!(network.closed_by_engine().is_empty());
        engine.finish().await;
    }
}

/// The chain goes on while a peer is looked at, at every point of the conversation.
#[tokio::test(start_paused = true)]
async fn a_boundary_in_mid_sync_is_no_conflict() {
    let chain = chain();
    for boundary in [election(3), election(3) + BATCH] {
        for after in 1..=6 {
            let network = MemoryNetwork::new();
            let mut engine = Engine::start(&network, config());
            for id in 1..=3 {
                let peer = Peer::honest(id, &chain, boundary - 1);
                // From the nth answer on this peer is past the boundary. One peer is slower.
                let asked = std::sync::atomic::AtomicUsize::new(0);
                let late = usize::from(id == 2);
                let (before, past) = (
                    Peer::honest(id, &chain, boundary - 1),
                    Peer::honest(id, &chain, boundary + 1),
                );
                peer.set_script(move |question, _| {
                    let n = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let (_, reply) =
                        if n < after + late { &before } else { &past }.answer(question);
                    (LATENCY * id, reply)
                });
                network.join(&peer);
            }
            engine.until("consensus established").await;
            engine.until_head(boundary + 1).await;
            if engine.snapshot().trust != Trust::Verified {
                engine.until("trust verified").await;
            }
            engine.run_for(Duration::from_secs(30)).await;
            assert!(
                !engine.saw("fallback"),
                "{boundary} {after}: {:#?}",
                engine.lines()
            );
            assert_eq!(engine.snapshot().good_peers, 3);
            assert!(network.closed_by_engine().is_empty());
            engine.finish().await;
        }
    }
}

/// A peer that is before a macro block the first time that it names its head, and after it from then
/// on. That first answer takes so long, and so do its blocks.
fn behind_at_first(id: u32, boundary: u32, latency: [Duration; 2]) -> Arc<Peer> {
    let peer = Peer::honest(id, &chain(), boundary + 1);
    let before = Peer::honest(id, &chain(), boundary - 1);
    let is_past = AtomicBool::new(false);
    peer.set_script(move |question, reply| {
        let is_head = matches!(question, Question::Head);
        let was_past = is_past.fetch_or(is_head, Ordering::Relaxed);
        let reply = match was_past {
            true => reply,
            false => before.answer(question).1,
        };
        match question {
            Question::Head if !was_past => (latency[0], reply),
            Question::Block(_) => (latency[1], reply),
            _ => (LATENCY, reply),
        }
    });
    peer
}

const BOUNDARIES: [u32; 2] = [election(3), election(3) + BATCH];

/// While the blocks come that a peer named, another one leads us to the next.
#[tokio::test(start_paused = true)]
async fn a_peer_is_not_outdated_by_what_others_say_meanwhile() {
    for boundary in BOUNDARIES {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, with_peers(2));
        let start = tokio::time::Instant::now();
        let slow = Duration::from_millis(300);
        network.join(&behind_at_first(1, boundary, [LATENCY, slow]));
        tokio::time::sleep(Duration::from_millis(100)).await;
        network.join(&Peer::honest(2, &chain(), boundary + 1));
        engine.until("consensus established").await;
        assert!(start.elapsed() < Duration::from_secs(2), "{boundary}");
        assert!(!engine.saw("p1 outdated"), "{:#?}", engine.lines());
        assert!(network.closed_by_engine().is_empty());
        engine.finish().await;
    }
}

/// We get to a macro block by ourselves while a peer says that it is before it.
#[tokio::test(start_paused = true)]
async fn a_peer_is_not_outdated_by_a_block_that_comes_meanwhile() {
    for (boundary, config) in BOUNDARIES
        .into_iter()
        .flat_map(|boundary| [(boundary, with_peers(1)), (boundary, light())])
    {
        let network = MemoryNetwork::new();
        let peers: Vec<_> = (1..=3)
            .map(|id| Peer::honest(id, &chain(), boundary - 1))
            .collect();
        let mut engine = Engine::start(&network, config);
        for peer in &peers {
            network.join(peer);
        }
        engine.until("consensus established").await;
        engine.until_head(boundary - 1).await;
        network.join(&behind_at_first(4, boundary, [LATENCY * 10, LATENCY]));
        for peer in &peers {
            peer.set_height(boundary);
        }
        network.gossip(PeerId(1), chain().header(boundary)).await;
        let line = engine.until("p4").await;
        assert_eq!(line, "p4 good", "{boundary}");
        engine.finish().await;
    }
}

/// A peer lacks a macro block that has come to us already, and that is still on its way to it.
#[tokio::test(start_paused = true)]
async fn a_peer_is_not_outdated_by_a_block_that_is_on_its_way() {
    for (boundary, config) in BOUNDARIES
        .into_iter()
        .flat_map(|boundary| [(boundary, with_peers(1)), (boundary, light())])
    {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config);
        for id in 1..=3 {
            network.join(&Peer::honest(id, &chain(), boundary + 1));
        }
        engine.until("consensus established").await;
        engine.until_head(boundary + 1).await;
        let joined = tokio::time::Instant::now();
        network.join(&behind_at_first(4, boundary, [LATENCY; 2]));
        let line = engine.until("p4").await;
        assert_eq!(line, "p4 good", "{boundary}");
        assert!(joined.elapsed() < Duration::from_secs(2), "{boundary}");
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_is_no_conflict() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let peers: Vec<_> = (1..=3)
        .map(|id| Peer::honest(id, &chain, election(3) - 3))
        .collect();
    let mut engine = Engine::start(&network, config());
    for peer in &peers {
        network.join(peer);
    }
    engine.until("trust verified").await;
    for number in election(3) - 2..=election(3) + BATCH + 4 {
        for peer in &peers {
            peer.set_height(number);
        }
        network.gossip(PeerId(1), chain.header(number)).await;
        engine.until_head(number).await;
    }
    // It joins with what the others know, a block behind, and a block ahead.
    for (id, height) in [(4, 620), (5, 619), (6, 621)] {
        network.join(&Peer::honest(id, &chain, height));
        engine.until(&format!("p{id} good")).await;
    }
    assert!(!engine.saw("fallback"));
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn peers_in_the_middle_of_their_own_sync_are_no_conflict() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    // More of them than of those that are done.
    let done = Peer::honest(1, &chain, HEIGHT);
    network.join(&done);
    for (id, height) in [
        (2, election(1)),
        (3, election(1)),
        (4, election(2)),
        (5, 200),
    ] {
        network.join(&Peer::honest(id, &chain, height));
    }
    engine.until("trust verified").await;
    engine.live(&network, &[done], 60).await;
    assert!(!engine.saw("fallback"), "{:#?}", engine.lines());
    assert_eq!(engine.snapshot().head.number, HEIGHT + 60);
    assert_eq!(engine.snapshot().good_peers, 1);
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_behind_the_pinned_block_is_outdated() {
    let chain = chain();
    for base in [config(), crate::support::engine::light()] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, anchored(base, election(3)));
        let late = Peer::honest(1, &chain, election(2) + 9);
        network.join(&late);
        engine.until("p1 outdated").await;
        assert!(network.closed_by_engine().is_empty());
        late.set_height(election(3) + 9);
        engine.until("p1 good").await;
        assert!(network.closed_by_engine().is_empty());
        assert!(!engine.saw("fallback"));
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_election_block_other_than_the_pinned_one_is_conflicting() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, anchored(config(), election(3)));
    network.join(&Peer::honest(1, &usurped(election(3)), election(3) + 9));
    engine
        .until("p1 conflicting: its election block is not the pinned one")
        .await;
    engine.until("fallback by p1").await;
    let honest: Vec<_> = (2..=4)
        .map(|id| Peer::honest(id, &chain(), election(3) + 9))
        .collect();
    for peer in &honest {
        network.join(peer);
    }
    engine.until("consensus established").await;
    assert_eq!(engine.snapshot().trust, Trust::Verified);
    assert_eq!(
        engine.snapshot().head.hash,
        chain().hash_at(election(3) + 9)
    );
    engine.finish().await;
}

/// Whoever does not answer, or answers what can't be read, is disconnected; whoever breaks the
/// rules is banned. Neither casts doubt on the others.
#[tokio::test(start_paused = true)]
async fn faults_are_no_conflicts() {
    let chain = chain();
    type Fault = (&'static str, Closed, fn(&Question, Reply) -> Reply);
    let faults: [Fault; 8] = [
        ("silent", Closed::Failed, |_, _| Reply::Never),
        ("garbage", Closed::Failed, |_, _| Reply::Garbage),
        (
            "no blocks",
            Closed::Failed,
            |question, reply| match question {
                Question::Block(_) => Reply::Never,
                _ => reply,
            },
        ),
        ("refuses", Closed::Failed, |_, _| {
            Reply::Refused(nimiq_network_interface::request::InboundRequestError::ExceedsRateLimit)
        }),
        ("wrong hash", Closed::Banned, |_, reply| match reply {
            Reply::Block(Ok(block)) if block.is_macro() => {
                Reply::Block(Ok(chain_block(block.block_number() - BATCH)))
            }
            reply => reply,
        }),
        ("micro for macro", Closed::Banned, |_, reply| match reply {
            Reply::Block(Ok(block)) => Reply::Block(Ok(chain_block(block.block_number() - 1))),
            reply => reply,
        }),
        (
            "another validator set",
            Closed::Banned,
            |_, reply| match reply {
                Reply::Block(Ok(block)) if block.is_election() => {
                    Reply::Block(Ok(mutated(&block, Mutation::Validators)))
                }
                reply => reply,
            },
        ),
        ("set with gaps", Closed::Banned, |_, reply| match reply {
            Reply::Block(Ok(block)) if block.is_election() => {
                Reply::Block(Ok(mutated(&block, Mutation::SlotGap)))
            }
            reply => reply,
        }),
    ];
    for (name, closed, fault) in faults {
        println!("{name}");
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config());
        network.join(&Peer::liar(1, &chain, HEIGHT, fault));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let honest: Vec<_> = (2..=4).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
        for peer in &honest {
            network.join(peer);
        }
        engine.until("consensus established").await;
        engine.live(&network, &honest, 30).await;
        assert_eq!(engine.snapshot().trust, Trust::Verified, "{name}");
        assert!(!engine.saw("fallback"), "{name}: {:#?}", engine.lines());
        assert_eq!(network.closed_by_engine(), [(PeerId(1), closed)], "{name}");
        assert_eq!(
            engine.saw("p1 conflicting"),
            closed == Closed::Banned,
            "{name}"
        );
        engine.finish().await;
    }
}

fn chain_block(number: u32) -> nimiq_block::Block {
    chain().at(number).clone()
}
