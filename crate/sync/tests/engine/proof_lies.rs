//! Lies about proofs of the election chain: each is seen through, its liar is banned, and nobody
//! else is worse off.

use std::{sync::Arc, time::Duration};

use nimiq_block::MacroBlock;
use nimiq_primitives::{networks::NetworkId, slots_allocation::Validator};
use pico_sync::{SyncConfig, Trust, messages::*};

use crate::support::{
    blocks::{BATCH, Blocks, chain, election, raised, stranger, usurped_of},
    engine::{Engine, config, light},
    network::{MemoryNetwork, PeerId},
    peer::{LATENCY, Peer, Reply},
    proofs::{answer, answering, fake, proof_of, prover, proving},
};

const HEIGHT: u32 = election(4) + BATCH + 5;
const TIP: u32 = election(4);

/// The election block, changed.
fn changed(change: impl FnOnce(&mut MacroBlock)) -> MacroBlock {
    let mut block = raised().macro_at(TIP);
    block.header.cached_hash = None;
    change(&mut block);
    block
}

/// With the right block, and bytes that are no proof of it.
fn with_bytes(bytes: Vec<u8>) -> ZkpResponse {
    with(Some(bytes), Some(raised().macro_at(TIP)))
}

fn with(proof: Option<Vec<u8>>, block: Option<MacroBlock>) -> ZkpResponse {
    let proof = ZKProof {
        block_number: TIP,
        proof,
    };
    ZkpResponse::Proof(proof, block)
}

fn true_proof() -> Vec<u8> {
    let statement = |number| raised().macro_at(number).hash_blake2s();
    fake(&statement(election(1)), &statement(TIP))
}

/// Every kind of false proof: the name of the lie, the answer, and what is said of it.
pub fn false_proofs() -> Vec<(&'static str, ZkpResponse, &'static str)> {
    let false_proof = "its proof does not hold";
    let invalid = "a proof with an invalid election block";
    let other = "a proof with another block than its own";
    let statement = |number| raised().macro_at(number).hash_blake2s();
    let far = |number| proof_of(changed(|block| block.header.block_number = number));
    let mut short = true_proof();
    short.pop();
    vec![
        ("nothing", with_bytes(Vec::new()), false_proof),
        ("garbage", with_bytes(vec![0xa5; 380]), false_proof),
        (
            "the longest garbage",
            with_bytes(vec![0xff; MAX_PROOF_SIZE]),
            false_proof,
        ),
        ("a cut one", with_bytes(short), false_proof),
        (
            "another head",
            with_bytes(fake(&statement(election(1)), &statement(election(3)))),
            false_proof,
        ),
        (
            "another start",
            with_bytes(fake(&statement(election(2)), &statement(TIP))),
            false_proof,
        ),
        (
            "another chain",
            proof_of(usurped_of(&raised(), TIP).macro_at(TIP)),
            false_proof,
        ),
        (
            "another chain with our proof",
            with(
                Some(true_proof()),
                Some(usurped_of(&raised(), TIP).macro_at(TIP)),
            ),
            false_proof,
        ),
        (
            "other validators",
            with(
                Some(true_proof()),
                Some(changed(|block| {
                    block.header.validators = Some(stranger().validators())
                })),
            ),
            false_proof,
        ),
        ("the future", far(TIP + 128 * 1000), false_proof),
        (
            "the end of time",
            far(u32::MAX - (u32::MAX - 200) % 128),
            invalid,
        ),
        ("no election block", far(TIP + 1), invalid),
        (
            "a checkpoint block",
            proof_of(raised().macro_at(TIP + BATCH)),
            invalid,
        ),
        ("version 1", proof_of(chain().macro_at(TIP)), invalid),
        (
            "version 9",
            proof_of(changed(|block| block.header.version = 9)),
            invalid,
        ),
        (
            "another network",
            proof_of(changed(|block| {
                block.header.network = NetworkId::MainAlbatross
            })),
            invalid,
        ),
        (
            "no validators",
            proof_of(changed(|block| block.header.validators = None)),
            invalid,
        ),
        (
            "half of the validators",
            proof_of(changed(|block| {
                let validators = block.header.validators.as_mut().unwrap();
                validators.validators[0].slots.end = 256;
            })),
            "a block with a malformed validator set",
        ),
        (
            "another block",
            with(Some(true_proof()), Some(raised().macro_at(election(3)))),
            other,
        ),
        (
            "no block",
            with(Some(true_proof()), None),
            "a proof without its election block",
        ),
        (
            "no proof",
            with(None, Some(raised().macro_at(TIP))),
            "a proof without its bytes",
        ),
        ("neither", with(None, None), "a proof without its bytes"),
    ]
}

fn liar(id: u32, response: &ZkpResponse) -> Arc<Peer> {
    let response = response.clone();
    answering(id, &raised(), HEIGHT, LATENCY, move |_| {
        Reply::to::<RequestZKP>(&response)
    })
}

/// Runs to verified trust in the honest chain.
async fn verified(network: &Arc<MemoryNetwork>, config: SyncConfig, why: &str) -> Engine {
    let mut engine = Engine::start(network, config);
    engine.until("trust verified").await;
    engine.until_head(HEIGHT).await;
    assert_eq!(
        engine.snapshot().head.hash,
        raised().hash_at(HEIGHT),
        "{why}"
    );
    engine
}

#[tokio::test(start_paused = true)]
async fn every_false_proof_is_seen_through() {
    for (name, lie, says) in false_proofs() {
        for proven in [true, false] {
            let network = MemoryNetwork::new();
            network.join(&liar(1, &lie));
            for id in 2..=4 {
                network.join(&match proven {
                    true => prover(id, &raised(), HEIGHT, TIP),
                    false => Peer::honest(id, &raised(), HEIGHT),
                });
            }
            let engine = verified(&network, proving(light()), name).await;
            let said = engine.lines();
            let rejected = said.iter().any(|line| {
                line.starts_with("zkp rejected") && line.ends_with(&format!("p1: {says}"))
            });
            // A proof that would get less far than an honest one is not even looked at.
            let overtaken = proven && says == "its proof does not hold" && !rejected;
            assert!(rejected || overtaken, "{name}: {said:#?}");
            if rejected {
                assert_eq!(network.bans(), [PeerId(1)], "{name}");
                assert!(
                    engine.saw(&format!("p1 conflicting: {says}")),
                    "{name}: {said:#?}"
                );
            }
            let via = if proven { "zkp" } else { "signatures" };
            assert!(
                engine.saw(&format!("trust verified via {via}")),
                "{name}: {said:#?}"
            );
            assert!(!engine.saw("zkp verified 712 p1"), "{name}");
            engine.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_false_proof_in_the_background_says_nothing_of_our_chain() {
    for (name, lie, _) in false_proofs() {
        let network = MemoryNetwork::new();
        network.join(&liar(1, &lie));
        for id in 2..=4 {
            network.join(&Peer::honest(id, &raised(), HEIGHT));
        }
        let mut engine = verified(&network, proving(config()), name).await;
        engine.run_for(Duration::from_secs(5)).await;
        let said = engine.lines();
        assert!(!engine.saw("fallback"), "{name}: {said:#?}");
        assert!(
            engine.saw("trust verified via signatures"),
            "{name}: {said:#?}"
        );
        // It may lie further ahead than is looked at in the background.
        let ignored = engine.saw("zkp unavailable p1: its proof is beyond");
        assert_eq!(network.is_banned(PeerId(1)), !ignored, "{name}: {said:#?}");
        engine.finish().await;
    }
}

/// Why no block of version 1 is taken with a proof: the hash that is proven leaves open who may produce
/// the blocks that follow.
#[test]
fn a_proven_hash_binds_the_validators_from_version_2_on() {
    for (chain, binds) in [(chain(), false), (raised(), true)] {
        let honest = chain.macro_at(TIP);
        let other = |change: fn(&mut Validator, &Validator)| {
            let mut block = honest.clone();
            block.header.cached_hash = None;
            let strangers = stranger().validators();
            let validators = block.header.validators.as_mut().unwrap();
            change(&mut validators.validators[0], &strangers.validators[0]);
            block.hash_blake2s() != honest.hash_blake2s()
        };
        assert!(other(
            |ours, theirs| ours.voting_key = theirs.voting_key.clone()
        ));
        assert_eq!(
            other(|ours, theirs| ours.signing_key = theirs.signing_key),
            binds
        );
        assert_eq!(
            other(|ours, theirs| ours.address = theirs.address.clone()),
            binds
        );
    }
}

/// What can't be read is not known to be a lie: later versions of the protocol may say it.
#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_no_proof() {
    let too_long = with_bytes(vec![0; MAX_PROOF_SIZE + 1]);
    let replies = [
        Reply::Garbage,
        Reply::to::<RequestZKP>(&too_long),
        Reply::Bytes(Vec::new()),
        Reply::Bytes(vec![2, 0, 0]),
        Reply::Never,
    ];
    for reply in replies {
        let network = MemoryNetwork::new();
        let peer = answering(1, &raised(), HEIGHT, LATENCY, move |_| reply.clone());
        network.join(&peer);
        for id in 2..=3 {
            network.join(&Peer::honest(id, &raised(), HEIGHT));
        }
        let mut engine = verified(&network, proving(light()), "no answer").await;
        engine.until("p1 good").await;
        assert!(
            engine.saw("zkp unavailable p1: RequestZKP"),
            "{:#?}",
            engine.lines()
        );
        assert!(network.closed_by_engine().is_empty());
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_deliver_the_same_lie_are_banned_for_it() {
    let network = MemoryNetwork::new();
    let lie = with_bytes(vec![7; 380]);
    for id in 1..=3 {
        network.join(&liar(id, &lie));
    }
    for id in 4..=6 {
        network.join(&Peer::honest(id, &raised(), HEIGHT));
    }
    let engine = verified(&network, proving(light()), "three liars").await;
    assert_eq!(network.bans(), [1, 2, 3].map(PeerId));
    assert_eq!(engine.verifier.proofs.lock().len(), 1);
    engine.finish().await;
}

/// However many come with a proof of their own, each better than the one before: the sync goes on.
#[tokio::test(start_paused = true)]
async fn liars_without_end_do_not_keep_us_from_syncing() {
    let network = MemoryNetwork::new();
    let lying = |id: u32| {
        let block = changed(|block| block.header.block_number += 128 * id);
        liar(id, &proof_of(block))
    };
    for id in 1..=10 {
        network.join(&lying(id));
    }
    for id in 101..=103 {
        network.join(&Peer::honest(id, &raised(), HEIGHT));
    }
    let mut engine = Engine::start(&network, proving(light()));
    // One more every 30 ms, which is less than it takes to check what it brings.
    let mut next = 11;
    while !engine.saw("trust verified") {
        network.join(&lying(next));
        next += 1;
        engine.run_for(Duration::from_millis(30)).await;
        assert!(next < 300, "{:#?}", engine.lines_without_heads());
    }
    assert!(engine.saw("trust verified via signatures"));
    engine.until_head(HEIGHT).await;
    assert!(
        network
            .bans()
            .iter()
            .all(|peer| peer.0 < 100 || peer.0 > 103)
    );
    assert_eq!(engine.snapshot().trust, Trust::Verified);
    engine.finish().await;
}

/// One that serves what it is told by a better peer, but for another chain that it is on.
#[tokio::test(start_paused = true)]
async fn a_true_proof_does_not_help_a_liar() {
    let network = MemoryNetwork::new();
    let usurped: Arc<Blocks> = usurped_of(&raised(), TIP);
    let height = HEIGHT;
    let liar = answering(1, &usurped, height, LATENCY, |request| {
        Reply::to::<RequestZKP>(&answer(&raised(), TIP, request))
    });
    network.join(&liar);
    let mut engine = Engine::start(&network, proving(light()));
    engine.until("zkp verified 712 p1").await;
    network.banned(PeerId(1)).await;
    for id in 2..=4 {
        network.join(&Peer::honest(id, &raised(), HEIGHT));
    }
    engine.until("trust verified via zkp").await;
    engine.until_head(HEIGHT).await;
    assert_eq!(engine.snapshot().head.hash, raised().hash_at(HEIGHT));
    assert_eq!(network.bans(), [PeerId(1)]);
    engine.finish().await;
}
