//! Proofs of the election chain from honest peers: asked for first, checked once, used as far as they
//! reach, and done without where there are none.

use std::{sync::Arc, time::Duration};

use pico_sync::{ConsensusState, SavedChain, SyncConfig, SyncerKind, Trust};

use crate::support::{
    blocks::{BATCH, Blocks, chain, election, params, raised, usurped_of},
    engine::{Engine, anchored, clock_at, config, light, with_peers},
    network::{MemoryNetwork, PeerId},
    peer::{LATENCY, Peer, Question, Reply},
    proofs::{FROM, asked, prover, proving, slow_prover},
    verifiers::Fate,
};

const HEIGHT: u32 = election(4) + BATCH + 5;
const TIP: u32 = election(4);

/// Three peers, of which each has a proof of the block that is named, or none.
fn peers(chain: &Arc<Blocks>, proofs: [Option<u32>; 3]) -> Vec<Arc<Peer>> {
    let peer = |(i, proof): (usize, Option<u32>)| match proof {
        Some(number) => prover(i as u32 + 1, chain, HEIGHT, number),
        None => Peer::honest(i as u32 + 1, chain, HEIGHT),
    };
    proofs.into_iter().enumerate().map(peer).collect()
}

fn join(network: &MemoryNetwork, peers: &[Arc<Peer>]) {
    for peer in peers {
        network.join(peer);
    }
}

/// An engine that has verified the honest chain of three peers to its tip.
async fn verified(config: SyncConfig, proofs: [Option<u32>; 3]) -> (Arc<MemoryNetwork>, Engine) {
    let network = MemoryNetwork::new();
    let peers = peers(&raised(), proofs);
    join(&network, &peers);
    let mut engine = Engine::start(&network, config);
    engine.until("trust verified").await;
    engine.until_head(HEIGHT).await;
    (network, engine)
}

/// Verified from the start, with one good peer being enough.
fn lone() -> SyncConfig {
    proving(SyncConfig {
        min_peers: 1,
        ..light()
    })
}

/// What is said of proofs.
fn zkp(engine: &Engine) -> Vec<String> {
    let mut lines = engine.lines();
    lines.retain(|line| line.starts_with("zkp"));
    lines
}

/// The macro blocks that were verified on the way.
fn verified_blocks(engine: &Engine) -> Vec<String> {
    let mut lines = engine.lines();
    lines.retain(|line| line.ends_with(" verified") && !line.starts_with("zkp"));
    lines
}

/// Nobody is asked twice, no two proofs are checked at once, and nobody is disconnected.
async fn all_is_well(network: &MemoryNetwork, engine: Engine) {
    for id in 1..=5 {
        assert!(network.requests_to(PeerId(id), "zkp") <= 1);
    }
    assert!(
        engine
            .verifier
            .most_checking
            .load(std::sync::atomic::Ordering::Relaxed)
            <= 1
    );
    assert!(
        network.closed_by_engine().is_empty(),
        "{:#?}",
        engine.lines()
    );
    assert_eq!(engine.snapshot().trust, Trust::Verified);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_conflict_a_proof_comes_before_signatures() {
    let honest = raised();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, proving(with_peers(2)));
    let liar = Peer::honest(9, &usurped_of(&honest, TIP), HEIGHT);
    network.join(&liar);
    engine.until("checkpoint 744 optimistic").await;
    let peers = peers(&honest, [Some(TIP); 3]);
    join(&network, &peers);
    engine.until("fallback").await;
    engine.until("zkp requested").await;
    engine.until("zkp verifying 712").await;
    engine.until("zkp verified 712").await;
    engine.until("trust verified via zkp at 744").await;
    if engine.snapshot().consensus != ConsensusState::Established {
        engine.until("consensus established").await;
    }
    network.banned(PeerId(9)).await;
    assert_eq!(network.bans(), [PeerId(9)]);
    assert_eq!(engine.count("fallback"), 1);
    assert!(!engine.saw("election 584"), "{:#?}", engine.lines());
    engine.live(&network, &peers, 20).await;
    let state = engine.snapshot();
    assert_eq!(state.head.hash, honest.hash_at(HEIGHT + 20));
    assert_eq!(state.syncer, SyncerKind::Pico);
    assert_eq!(state.trust, Trust::Verified);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn signatures_lead_to_where_proofs_start() {
    let (network, mut engine) = verified(proving(light()), [Some(TIP); 3]).await;
    engine.catch_up().await;
    let blocks = verified_blocks(&engine);
    let expected = [200, FROM, TIP].map(|number| format!("election {number} verified"));
    assert_eq!(blocks[..3], expected);
    assert_eq!(blocks[3..], ["checkpoint 744 verified"]);
    assert!(engine.saw("trust verified via zkp at 744"));
    let said = zkp(&engine);
    assert_eq!(said.len(), 5, "{said:#?}");
    for line in &said[..3] {
        assert!(line.starts_with("zkp requested 328 p"), "{line}");
    }
    assert!(said[3].starts_with("zkp verifying 712 p"));
    assert!(said[4].starts_with("zkp verified 712 p"));
    // Three peers have delivered the same proof, which is checked once.
    assert_eq!(engine.verifier.proofs.lock().len(), 1);
    // The block that proofs start from, and the checkpoint.
    let jobs = engine
        .verifier
        .jobs
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(jobs, 2);
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn trust_that_starts_where_proofs_do_needs_no_walk() {
    let config = proving(pinned(light(), FROM));
    let (network, engine) = verified(config, [Some(TIP); 3]).await;
    assert_eq!(
        verified_blocks(&engine)[..2],
        ["election 328 verified", "election 712 verified"]
    );
    assert!(engine.saw("trust verified via zkp"));
    all_is_well(&network, engine).await;
}

/// Pinned to a block of the chain that proofs are of.
fn pinned(config: SyncConfig, number: u32) -> SyncConfig {
    let mut config = anchored(config, number);
    config.anchor.as_mut().unwrap().hash = raised().hash_at(number);
    config
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_a_proof_that_can_not_be_used() {
    let after = "zkp unavailable: trust starts after the block that proofs start from";
    for (config, said) in [
        (light(), "zkp unavailable: no verifying key"),
        (config(), "zkp unavailable: no verifying key"),
        (proving(pinned(light(), election(2))), after),
        (proving(pinned(config(), election(2))), after),
    ] {
        let (network, engine) = verified(config, [Some(TIP); 3]).await;
        assert_eq!(zkp(&engine), [said]);
        assert!(engine.saw("trust verified via signatures"));
        for id in 1..=3 {
            assert_eq!(network.requests_to(PeerId(id), "zkp"), 0);
        }
        all_is_well(&network, engine).await;
    }
}

/// What a proof of version 1 would be worth, see the chain's module `leap`.
#[tokio::test(start_paused = true)]
async fn proofs_from_a_block_that_binds_too_little_are_not_used() {
    let network = MemoryNetwork::new();
    let peers = peers(&chain(), [Some(TIP); 3]);
    join(&network, &peers);
    let mut engine = Engine::start(&network, proving(light()));
    engine.until("trust verified via signatures").await;
    let why = "zkp unavailable: the block that proofs start from is of protocol version 1";
    assert_eq!(zkp(&engine), [why]);
    assert_eq!(network.requests_to(PeerId(1), "zkp"), 0);
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn without_proofs_there_are_signatures() {
    for (config, says) in [
        (proving(light()), "zkp unavailable p"),
        (proving(config()), "zkp unavailable p"),
    ] {
        let (network, mut engine) = verified(config, [None; 3]).await;
        engine.catch_up().await;
        assert!(engine.saw("trust verified via signatures"));
        assert_eq!(engine.count(says), engine.count("zkp requested"));
        assert_eq!(zkp(&engine).len(), 2 * engine.count(says));
        assert!(engine.verifier.proofs.lock().is_empty());
        all_is_well(&network, engine).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_proof_is_outdated_and_no_crime() {
    let (network, engine) = verified(proving(light()), [Some(FROM), Some(FROM), None]).await;
    assert!(engine.saw("trust verified via signatures"));
    let why = "it has no proof beyond our chain";
    assert!(engine.saw(&format!("zkp unavailable p1: {why}")));
    assert!(engine.saw(&format!("zkp unavailable p2: {why}")));
    assert!(engine.verifier.proofs.lock().is_empty());
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn after_the_proof_signatures_lead_on() {
    let (network, engine) = verified(proving(light()), [Some(election(2)), None, None]).await;
    let expected = [200, 328, 456, 584, 712].map(|number| format!("election {number} verified"));
    assert_eq!(verified_blocks(&engine)[..5], expected);
    assert!(engine.saw("zkp verified 456 p1"));
    assert!(engine.saw("trust verified via zkp at 744"));
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn the_proof_that_gets_furthest_is_the_one() {
    let proofs = [Some(election(2)), Some(TIP), Some(election(3))];
    let (network, engine) = verified(proving(light()), proofs).await;
    assert!(engine.saw("zkp verified 712 p2"));
    assert_eq!(engine.verifier.proofs.lock().len(), 1);
    assert_eq!(verified_blocks(&engine).len(), 4);
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_comes_late_is_used_if_it_saves_work() {
    let chain = raised();
    // Whether blocks come slowly, so that the late proof still finds something to do.
    for (slow, verified) in [(true, 2), (false, 1)] {
        let network = MemoryNetwork::new();
        let early = prover(1, &chain, HEIGHT, election(2));
        let late = slow_prover(2, &chain, HEIGHT, TIP, Duration::from_secs(3));
        if slow {
            let honest = prover(1, &chain, HEIGHT, election(2));
            early.set_script(move |question, _| {
                let (time, reply) = honest.answer(question);
                match question {
                    Question::Block(request) if request.hash != raised().hash_at(200) => {
                        (Duration::from_secs(4), reply)
                    }
                    _ => (time, reply),
                }
            });
        }
        join(&network, &[early, late]);
        let mut engine = Engine::start(&network, lone());
        engine.until("trust verified via zkp").await;
        engine.run_for(Duration::from_secs(10)).await;
        assert_eq!(
            engine.count("zkp verified"),
            verified,
            "{:#?}",
            engine.lines()
        );
        assert_eq!(engine.saw("election 584 verified"), !slow);
        all_is_well(&network, engine).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_keeps_nobody_waiting_for_long() {
    let network = MemoryNetwork::new();
    let silent = Peer::scripted(1, &raised(), HEIGHT, |question, reply| {
        match asked(question) {
            Some(_) => (LATENCY, Reply::Never),
            None => (LATENCY, reply),
        }
    });
    let peers = peers(&raised(), [None; 3]);
    join(&network, &[vec![silent], peers[1..].to_vec()].concat());
    let start = tokio::time::Instant::now();
    let mut engine = Engine::start(&network, proving(light()));
    engine.until("trust verified via signatures").await;
    assert!(start.elapsed() < Duration::from_secs(6));
    engine.until("p1 good").await;
    assert!(
        engine.saw("zkp unavailable p1: RequestZKP"),
        "{:#?}",
        zkp(&engine)
    );
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_background_as_well() {
    let (network, mut engine) = verified(proving(config()), [Some(TIP); 3]).await;
    engine.catch_up().await;
    assert!(engine.saw("trust optimistic via peers at 744"));
    assert!(engine.saw("zkp requested 328 p"));
    assert!(engine.saw("zkp verified 712 p"));
    assert!(engine.saw("trust verified via zkp at 744"));
    // Nobody hears of the chain that is walked.
    assert!(verified_blocks(&engine).is_empty());
    assert!(!engine.saw("fallback"));
    assert_eq!(engine.snapshot().syncer, SyncerKind::Pico);
    // 328 and the checkpoint, and what live sync may have added.
    let jobs = engine
        .verifier
        .jobs
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(jobs, 2);
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_background_no_proof_leads_past_what_is_to_be_proven() {
    let chain = raised();
    let network = MemoryNetwork::new();
    // Two epochs ahead of what the peer says, and one.
    for (id, proof) in [(1, election(4)), (2, election(3))] {
        network.join(&prover(id, &chain, election(2) + 40, proof));
    }
    let mut engine = Engine::start(&network, proving(with_peers(2)));
    engine
        .until("zkp unavailable p1: its proof is beyond")
        .await;
    engine.until("zkp verified 584 p2").await;
    engine.until("trust verified via zkp").await;
    assert!(!engine.saw("fallback"));
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_proven_survives_a_fallback_and_goes_on() {
    let honest = raised();
    let network = MemoryNetwork::new();
    // It has a true proof of what comes before its lie.
    let liar = {
        let lies = Peer::honest(9, &usurped_of(&honest, TIP), HEIGHT);
        let proof = prover(8, &honest, HEIGHT, election(3));
        Peer::scripted(9, &honest, HEIGHT, move |question, _| {
            match asked(question) {
                Some(_) => proof.answer(question),
                None => lies.answer(question),
            }
        })
    };
    network.join(&liar);
    let mut engine = Engine::start(&network, proving(with_peers(2)));
    engine.until("zkp verified 584 p9").await;
    engine.until("fallback").await;
    join(&network, &peers(&honest, [Some(TIP), Some(TIP), None]));
    // Nobody is told that its proof is old: what is asked for is what our chain lacks.
    engine.until("zkp requested 584 p").await;
    engine.until("zkp verified 712 p").await;
    engine.until("trust verified via zkp at 744").await;
    network.banned(PeerId(9)).await;
    assert_eq!(network.bans(), [PeerId(9)]);
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_proven_chain_is_kept_and_restored() {
    for config in [proving(light()), proving(config())] {
        let (network, engine) = verified(config.clone(), [Some(TIP); 3]).await;
        let saved = engine.handle.saved().expect("it is verified");
        assert_eq!(saved.block_number(), 744);
        let bytes = saved.to_bytes(params());
        all_is_well(&network, engine).await;

        let clock = clock_at(raised().at(HEIGHT).timestamp());
        let saved = SavedChain::from_bytes(params(), &clock, &bytes, 744).unwrap();
        let network = MemoryNetwork::new();
        join(&network, &peers(&raised(), [Some(TIP); 3]));
        let restored = SyncConfig {
            restored: Some(saved),
            ..config
        };
        let mut engine = Engine::start_at(&network, restored, clock);
        engine.until("restored 744").await;
        engine.until("trust verified via storage at 744").await;
        engine.until_head(HEIGHT).await;
        // There is nothing beyond it.
        assert!(!engine.saw("zkp verifying"));
        all_is_well(&network, engine).await;
    }
}

/// After a long time away the chain has grown far beyond what was kept.
#[tokio::test(start_paused = true)]
async fn a_proof_leads_on_from_what_was_kept_long_ago() {
    for config in [lone(), proving(with_peers(1))] {
        let network = MemoryNetwork::new();
        network.join(&prover(1, &raised(), election(2) + 40, election(2)));
        let mut engine = Engine::start(&network, config.clone());
        engine.until("trust verified").await;
        let bytes = engine.handle.saved().unwrap().to_bytes(params());
        engine.finish().await;

        let clock = clock_at(raised().at(HEIGHT).timestamp());
        let saved = SavedChain::from_bytes(params(), &clock, &bytes, 0).unwrap();
        let network = MemoryNetwork::new();
        network.join(&prover(1, &raised(), HEIGHT, TIP));
        let restored = SyncConfig {
            restored: Some(saved),
            ..config
        };
        let mut engine = Engine::start_at(&network, restored, clock);
        engine.until("restored 456").await;
        engine.until("zkp requested 456 p1").await;
        engine.until("zkp verified 712 p1").await;
        engine.until("trust verified via zkp at 744").await;
        assert!(!engine.saw("election 584 verified"));
        all_is_well(&network, engine).await;
    }
}

/// What was kept can be of a network that has begun anew since: that makes no liars of those who have
/// proofs of the new one.
#[tokio::test(start_paused = true)]
async fn a_proof_does_not_hold_on_a_restored_chain_that_nobody_else_is_on() {
    let network = MemoryNetwork::new();
    network.join(&Peer::honest(1, &chain(), election(1) + 40));
    let mut engine = Engine::start(&network, lone());
    engine.until("trust verified").await;
    let saved = engine.handle.saved().unwrap();
    engine.finish().await;

    // The chain that was kept is of version 1. Its like of version 2 has no proof either.
    let clock = clock_at(raised().at(election(1) + 60).timestamp());
    let network = MemoryNetwork::new();
    for id in 1..=3 {
        network.join(&prover(id, &raised(), HEIGHT, TIP));
    }
    let restored = SyncConfig {
        restored: Some(saved),
        ..lone()
    };
    let mut engine = Engine::start_at(&network, restored, clock);
    engine.until("discarded").await;
    engine.until("trust verified via zkp").await;
    engine.until_head(HEIGHT).await;
    assert_eq!(engine.snapshot().head.hash, raised().hash_at(HEIGHT));
    assert!(network.bans().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_verifier_that_fails_is_nobodys_fault() {
    for (fate, checks, says) in [
        (Fate::Fails(1), 2, "zkp verified 712 p"),
        (
            Fate::Fails(9),
            2,
            "zkp unavailable 712: the verifier is unavailable: worker is gone",
        ),
        (
            Fate::Hangs,
            1,
            "zkp unavailable 712: the check of a proof takes too long",
        ),
    ] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, proving(light()));
        *engine.verifier.with_proofs.lock() = fate;
        join(
            &network,
            &peers(&raised(), [Some(TIP), Some(TIP), Some(election(3))]),
        );
        engine.until(says).await;
        engine.until("trust verified").await;
        engine.until_head(HEIGHT).await;
        assert_eq!(engine.verifier.proofs.lock().len(), checks);
        let via = if fate == Fate::Fails(1) {
            "zkp"
        } else {
            "signatures"
        };
        assert!(engine.saw(&format!("trust verified via {via}")));
        assert!(!engine.saw("zkp rejected"));
        all_is_well(&network, engine).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_before_it_answers_is_done_without() {
    let chain = raised();
    let network = MemoryNetwork::new();
    let leaving = slow_prover(1, &chain, HEIGHT, TIP, Duration::from_secs(2));
    join(&network, &[leaving, Peer::honest(2, &chain, HEIGHT)]);
    let mut engine = Engine::start(&network, lone());
    engine.until("zkp unavailable p2").await;
    engine.run_for(Duration::from_millis(100)).await;
    let start = tokio::time::Instant::now();
    network.leave(PeerId(1));
    engine.until("trust verified via signatures").await;
    assert!(start.elapsed() < Duration::from_secs(1));
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn when_all_leave_the_next_are_asked_first_again() {
    let chain = raised();
    let network = MemoryNetwork::new();
    let leaving = slow_prover(1, &chain, HEIGHT, TIP, Duration::from_secs(2));
    network.join(&leaving);
    let mut engine = Engine::start(&network, lone());
    engine.until("zkp requested 328 p1").await;
    network.leave(PeerId(1));
    engine.run_for(Duration::from_secs(20)).await;
    network.join(&slow_prover(2, &chain, HEIGHT, TIP, Duration::from_secs(1)));
    network.join(&Peer::honest(3, &chain, HEIGHT));
    engine.until("trust verified via zkp").await;
    assert!(!engine.saw("election 456 verified"));
    all_is_well(&network, engine).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_outlives_the_peer_that_delivered_it() {
    let chain = raised();
    let network = MemoryNetwork::new();
    network.join(&prover(1, &chain, HEIGHT, TIP));
    network.join(&Peer::honest(2, &chain, HEIGHT));
    let mut engine = Engine::start(&network, lone());
    engine.until("zkp verifying 712 p1").await;
    network.leave(PeerId(1));
    engine.until("zkp verified 712 p1").await;
    engine.until("trust verified via zkp").await;
    all_is_well(&network, engine).await;
}
