//! Generated scenarios. `PICO_TEST_SEED` repeats a run, `PICO_TEST_CASES` sets how many there are.

use std::{sync::Arc, time::Duration};

use nimiq_primitives::policy::Policy;
use nimiq_serde::Serialize;
use pico_sync::{ConsensusState, SyncConfig, SyncerKind, Trust, messages::RequestZKP};
use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha20Rng;

use crate::proof_lies::false_proofs;
use crate::support::{
    blocks::{BATCH, Blocks, EPOCH, GENESIS, TOP, chain, election, mutated, raised, usurped_of},
    engine::{Engine, anchored, config, light, optimistic},
    network::{MemoryNetwork, PeerId},
    peer::{LATENCY, Peer, Reply},
    proofs::{answer, answering, asked, proving},
    seed,
};
use pico_node::chain::Mutation;

/// How to sync, and the honest chain to sync with: in half of all cases one of which there are proofs.
fn any_config(rng: &mut impl Rng) -> (SyncConfig, Arc<Blocks>) {
    let with_proofs = rng.random_bool(0.5);
    let chain = if with_proofs { raised() } else { chain() };
    let mut config = match rng.random_range(0..5) {
        0 => light(),
        1 => optimistic(),
        2 => anchored(config(), election(1)),
        3 => anchored(light(), election(2)),
        _ => config(),
    };
    if let Some(anchor) = &mut config.anchor {
        anchor.hash = chain.hash_at(anchor.block_number);
    }
    match with_proofs {
        true => (proving(config), chain),
        false => (config, chain),
    }
}

/// Makes a peer take a random time for each answer. If it can have a proof, it may have one.
fn unhurried(peer: &Arc<Peer>, rng: &mut impl Rng, most: u64) {
    let chain = peer.chain();
    let epochs = (peer.height() - GENESIS) / EPOCH;
    let provable = chain.at(election(1)).version() > 1 && epochs > 1 && rng.random_bool(0.6);
    let proof = provable.then(|| election(rng.random_range(1..=epochs)));
    let rng = parking_lot::Mutex::new(ChaCha20Rng::seed_from_u64(rng.random()));
    peer.set_script(move |question, reply| {
        let delay = rng.lock().random_range(1..most);
        let reply = match (asked(question), proof) {
            (Some(request), Some(number)) => {
                Reply::to::<RequestZKP>(&answer(&chain, number, &request))
            }
            _ => reply,
        };
        (Duration::from_millis(delay), reply)
    });
}

/// A proof of what the peer's chain has, in bytes of which some are others.
fn damaged_proof(chain: &Blocks, request: &RequestZKP, rng: &mut impl Rng) -> Reply {
    let number = election(rng.random_range(2..=5));
    let mut bytes = answer(chain, number, request).serialize_to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
    Reply::Bytes(bytes)
}

/// An honest network, in whatever order its answers and blocks come, with peers that are behind,
/// peers that come and go, and a chain that goes on: no fallback, nobody is disconnected, and the
/// engine ends established on the best chain.
#[tokio::test(start_paused = true)]
async fn an_honest_network_never_makes_us_fall_back() {
    let mut rng = seed::rng();
    for case in 0..seed::cases(60) {
        let (config, chain) = any_config(&mut rng);
        let verifies = config.verify_in_background;
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config);
        let start = rng.random_range(election(2) + 3..election(4) + 2 * BATCH);
        let most = [40, 300, 2000][rng.random_range(0..3)];
        // All of them follow the chain, each some blocks behind.
        let mut peers: Vec<_> = (1..=rng.random_range(3..7))
            .map(|id| {
                let lag = [0, 0, 0, 1, 2, 5][rng.random_range(0..6)];
                let peer = Peer::honest(id, &chain, start - lag);
                unhurried(&peer, &mut rng, most);
                (peer, lag)
            })
            .collect();
        // And some do not, as they are still in their own sync.
        for id in 20..20 + rng.random_range(0..3) {
            let height = rng.random_range(GENESIS..start);
            network.join(&Peer::honest(id, &chain, height));
        }
        peers.shuffle(&mut rng);
        let mut absent: Vec<usize> = (0..peers.len()).collect();
        let mut number = start;
        let end = (start + rng.random_range(40..120)).min(TOP);
        while number < end {
            number += 1;
            // Peers join one by one, and sometimes one leaves for a while.
            if !absent.is_empty() && rng.random_bool(0.6) {
                let joins = absent.swap_remove(rng.random_range(0..absent.len()));
                network.join(&peers[joins].0);
            } else if number + 30 < end && rng.random_bool(0.02) {
                let leaves = rng.random_range(0..peers.len());
                network.leave(peers[leaves].0.id);
                if !absent.contains(&leaves) {
                    absent.push(leaves);
                }
            }
            for (peer, lag) in &peers {
                peer.set_height(number - lag);
            }
            // The block is passed on by some, late by others.
            for (peer, lag) in &peers {
                if rng.random_bool(0.4) {
                    network.gossip(peer.id, chain.header(number - lag)).await;
                }
            }
            engine
                .run_for(Duration::from_millis(rng.random_range(500..1500)))
                .await;
        }
        for joins in absent {
            network.join(&peers[joins].0);
        }
        for (peer, _) in &peers {
            peer.set_height(number);
        }
        engine.run_for(Duration::from_secs(18)).await;
        let state = engine.snapshot();
        let lines = engine.lines_without_heads();
        assert!(!engine.saw("fallback"), "case {case}: {lines:#?}");
        assert!(
            network.closed_by_engine().is_empty(),
            "case {case}: {lines:#?}"
        );
        assert_eq!(
            state.consensus,
            ConsensusState::Established,
            "case {case}: {lines:#?}"
        );
        assert_eq!(
            state.head.hash,
            chain.hash_at(number),
            "case {case}: {lines:#?}"
        );
        // One that was good and then got stuck still counts for a batch or two.
        assert!(state.good_peers >= peers.len(), "case {case}: {lines:#?}");
        assert!(
            network.requests() < 6000,
            "case {case}: {}",
            network.requests()
        );
        if verifies {
            assert_eq!(state.trust, Trust::Verified, "case {case}: {lines:#?}");
        }
        engine.finish().await;
    }
}

/// A liar of a random kind comes at a random moment to a network that has more honest peers: the
/// engine ends established on the honest chain, no honest peer is banned, and if the liar's chain
/// was ever ours, it is verified anew.
#[tokio::test(start_paused = true)]
async fn no_liar_gets_away_with_it() {
    let mut rng = seed::rng();
    for case in 0..seed::cases(60) {
        let (config, honest_chain) = any_config(&mut rng);
        let usurped = |election| usurped_of(&honest_chain, election);
        let lies = match config.proofs {
            Some(_) => 9,
            None => 6,
        };
        let verifies = config.verify_in_background;
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config);
        let start = rng.random_range(election(3) + 3..election(4) + BATCH);
        let honest: Vec<_> = (2..=5)
            .map(|id| {
                let peer = Peer::honest(id, &honest_chain, start);
                unhurried(&peer, &mut rng, 200);
                peer
            })
            .collect();
        let lie = rng.random_range(0..lies);
        let chance = parking_lot::Mutex::new(ChaCha20Rng::seed_from_u64(rng.random()));
        let liar = match lie {
            // It serves a chain that it has usurped, with or without what is yet to come.
            0 => Peer::honest(1, &usurped(election(3)), start),
            1 => Peer::honest(1, &usurped(election(2)), start),
            2 => {
                let next = Policy::election_block_after(start);
                Peer::honest(1, &usurped(next), next + 40)
            }
            // It changes what it says from answer to answer.
            3 => {
                let other = Peer::honest(1, &usurped(election(3)), start);
                Peer::scripted(1, &honest_chain, start, move |question, reply| match chance
                    .lock()
                    .random_bool(0.5)
                {
                    true => other.answer(question),
                    false => (Duration::from_millis(30), reply),
                })
            }
            // It spoils what it delivers.
            4 => Peer::scripted(1, &honest_chain, start, move |_, reply| {
                let reply = match reply {
                    Reply::Block(Ok(block))
                        if block.block_number() > GENESIS && chance.lock().random_bool(0.5) =>
                    {
                        Reply::Block(Ok(mutated(&block, Mutation::TooFewSigners)))
                    }
                    reply => reply,
                };
                (Duration::from_millis(10), reply)
            }),
            // It has proofs of a chain that it has usurped, or they are damaged, or otherwise false.
            6 => {
                let chain = usurped(election(3));
                answering(1, &chain.clone(), start, LATENCY, move |request| {
                    Reply::to::<RequestZKP>(&answer(&chain, election(3), request))
                })
            }
            7 => {
                let chain = honest_chain.clone();
                answering(1, &honest_chain, start, LATENCY, move |request| {
                    damaged_proof(&chain, request, &mut *chance.lock())
                })
            }
            8 => {
                let mut lies = false_proofs();
                let (_, lie, _) = lies.swap_remove(rng.random_range(0..lies.len()));
                answering(1, &honest_chain, start, LATENCY, move |_| {
                    Reply::to::<RequestZKP>(&lie)
                })
            }
            // It answers, or not, or closes.
            _ => Peer::scripted(1, &honest_chain, start, move |_, reply| {
                let mut chance = chance.lock();
                let delay = Duration::from_millis(chance.random_range(0..9000));
                match chance.random_range(0..10) {
                    0 => (delay, Reply::Never),
                    1 => (delay, Reply::Closes),
                    2 => (delay, Reply::Garbage),
                    _ => (delay, reply),
                }
            }),
        };
        let comes = rng.random_range(0..20);
        for second in 0..70 {
            if second == comes {
                network.join(&liar);
            }
            if second < 4 && second <= comes + 3 {
                network.join(&honest[second as usize]);
            } else if second < 12 {
                for peer in &honest {
                    if second % 4 == peer.id.0 % 4 {
                        network.join(peer);
                    }
                }
            }
            engine.live(&network, &honest, 1).await;
        }
        // A lie may have been told only just now.
        let mut end = start + 70;
        while engine.snapshot().consensus != ConsensusState::Established && end < start + 90 {
            engine.live(&network, &honest, 1).await;
            end += 1;
        }
        let state = engine.snapshot();
        let lines = engine.lines_without_heads();
        let what = format!("case {case}, lie {lie}, from second {comes}: {lines:#?}");
        assert!(
            network.bans().iter().all(|peer| *peer == PeerId(1)),
            "{what}"
        );
        assert_eq!(state.consensus, ConsensusState::Established, "{what}");
        assert_eq!(state.head.hash, honest_chain.hash_at(end), "{what}");
        assert!(state.good_peers >= 4, "{what}");
        if verifies {
            assert_eq!(state.trust, Trust::Verified, "{what}");
        }
        if lie <= 2 {
            // The usurper contradicts what is verified. Where nothing is, it may stay outdated.
            let gone = network.is_banned(PeerId(1));
            assert!(
                gone || state.trust == Trust::Optimistic || lie == 2,
                "{what}"
            );
        }
        if state.syncer == SyncerKind::Pico {
            assert!(engine.count("fallback") <= 1, "{what}");
        }
        engine.finish().await;
    }
}
