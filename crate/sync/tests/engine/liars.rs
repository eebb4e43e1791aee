//! One liar among honest peers, or many: each lie is found out, the engine ends on the honest
//! chain, verified, and whoever lied is banned.

use std::{sync::Arc, time::Duration};

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_primitives::policy::Policy;
use pico_node::chain::Mutation;
use pico_sync::{
    ConsensusState, SyncerKind, Trust,
    messages::{Checkpoint, MacroChain, MacroChainError, ResponseHead},
};

use crate::support::{
    blocks::{BATCH, EPOCH, chain, elected, election, mutated, resigned, usurped},
    engine::{Engine, config, light, optimistic},
    network::{Closed, MemoryNetwork, PeerId},
    peer::{Peer, Question, Reply},
};

const HEIGHT: u32 = election(3) + BATCH + 5;
const LIAR: PeerId = PeerId(1);

/// When the liar comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comes {
    /// Alone; the engine adopts what it says, and only then the others join.
    First,
    /// Alone; the others join when it is found out.
    Alone,
    /// With the others.
    Together,
    /// When consensus is established, but before anything is proven.
    Late,
}

/// Runs the engine with one liar and three honest peers, whose lie leads to a fallback.
async fn scenario(name: &str, liar: Arc<Peer>, comes: Comes) {
    println!("{name}, {comes:?}");
    let chain = chain();
    let network = MemoryNetwork::new();
    let slow = comes == Comes::Late;
    let mut engine = Engine::start(&network, if slow { optimistic() } else { config() });
    let honest: Vec<_> = (2..=4).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
    match comes {
        Comes::First => {
            network.join(&liar);
            // Up to where it is taken for good, or found out already.
            engine
                .until_any(&["p1 good", "p1 conflicting", "p1 outdated"])
                .await;
        }
        Comes::Alone => {
            network.join(&liar);
            engine.until("p1 conflicting").await;
        }
        Comes::Together => {
            network.join(&liar);
        }
        Comes::Late => {}
    }
    for peer in &honest {
        network.join(peer);
    }
    if slow {
        engine.until("consensus established").await;
        network.join(&liar);
    }
    let mut said = Vec::new();
    while !network.is_banned(LIAR) {
        said.extend(engine.live(&network, &honest, 1).await);
        assert!(
            said.len() < 200,
            "{name}: the liar is not found out: {said:#?} {:?} {}",
            network.closed_by_engine(),
            network.requests_to(LIAR, "head")
        );
    }
    said.extend(engine.live(&network, &honest, 40).await);
    assert!(engine.saw("p1 conflicting"), "{name}: {said:#?}");
    let state = engine.snapshot();
    assert_eq!(
        state.consensus,
        ConsensusState::Established,
        "{name}: {said:#?}"
    );
    let height = honest[0].height();
    assert_eq!(state.head.hash, chain.hash_at(height), "{name}");
    assert_eq!(state.good_peers, 3, "{name}");
    assert_eq!(network.bans(), [LIAR], "{name}");
    assert_eq!(state.syncer, SyncerKind::Pico);
    assert_eq!(engine.count("fallback"), 1, "{name}: {:#?}", engine.lines());
    assert_eq!(state.trust, Trust::Verified, "{name}");
    let lines = engine.lines();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start));
    assert!(at("fallback") < at("trust verified"), "{lines:#?}");
    assert_eq!(network.undecided(), [0; 0]);
    engine.finish().await;
}

/// A checkpoint of an epoch far ahead, voted for by those elected now.
fn far_checkpoint() -> Block {
    let mut block = chain().macro_at(election(3));
    block.header.block_number += 100 * EPOCH + BATCH;
    block.header.parent_election_hash = chain().hash_at(election(3));
    block.header.validators = None;
    block.header.interlink = None;
    elected().sign_macro(&mut block);
    Block::Macro(block)
}

/// A peer whose macro head is `block`, and which is honest otherwise.
fn claims_checkpoint(block: Block) -> Arc<Peer> {
    let hash = block.hash();
    Peer::liar(1, &chain(), HEIGHT, move |question, reply| {
        match (question, reply) {
            (_, Reply::Head(head)) => Reply::Head(ResponseHead {
                macro_hash: hash.clone(),
                ..head
            }),
            (Question::Block(request), _) if request.hash == hash => {
                Reply::Block(Ok(block.clone()))
            }
            (_, Reply::MacroChain(Ok(macro_chain))) => Reply::MacroChain(Ok(MacroChain {
                checkpoint: Some(Checkpoint {
                    block_number: block.block_number(),
                    hash: hash.clone(),
                }),
                ..macro_chain
            })),
            (_, reply) => reply,
        }
    })
}

/// A peer that delivers one of the honest blocks with signatures that are none.
fn bad_signatures_on(number: u32) -> Arc<Peer> {
    Peer::liar(1, &chain(), HEIGHT, move |_, reply| match reply {
        Reply::Block(Ok(block)) if block.block_number() == number => {
            Reply::Block(Ok(mutated(&block, Mutation::BadSignature)))
        }
        reply => reply,
    })
}

#[tokio::test(start_paused = true)]
async fn another_election_block() {
    for epoch in [3, 2] {
        let liar = || Peer::honest(1, &usurped(election(epoch)), HEIGHT);
        scenario("another election block", liar(), Comes::First).await;
        scenario("another election block", liar(), Comes::Together).await;
        scenario("another election block", liar(), Comes::Late).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_election_block_that_is_yet_to_come() {
    // The stranger elects itself an epoch ahead of everyone.
    let liar = || Peer::honest(1, &usurped(election(4)), election(4) + 9);
    scenario("future election", liar(), Comes::First).await;
    scenario("future election", liar(), Comes::Late).await;
}

#[tokio::test(start_paused = true)]
async fn a_macro_block_of_another_epoch() {
    let liar = || claims_checkpoint(far_checkpoint());
    scenario("other epoch", liar(), Comes::First).await;
    scenario("other epoch", liar(), Comes::Late).await;
}

#[tokio::test(start_paused = true)]
async fn another_checkpoint() {
    let forged = mutated(chain().at(616), Mutation::StateRoot);
    let liar = || claims_checkpoint(forged.clone());
    scenario("other checkpoint", liar(), Comes::First).await;
    scenario("other checkpoint", liar(), Comes::Late).await;
    let next = mutated(chain().at(648), Mutation::StateRoot);
    let liar = || claims_checkpoint(next.clone());
    scenario("next checkpoint", liar(), Comes::First).await;
    scenario("next checkpoint", liar(), Comes::Late).await;
}

#[tokio::test(start_paused = true)]
async fn bad_signatures() {
    // On the checkpoint: adopted unseen, found out by the proof, and answered for.
    scenario("bad checkpoint", bad_signatures_on(616), Comes::First).await;
    // On an election block: found out by the walk from the anchor, where the liar is asked.
    for number in [election(1), election(3)] {
        scenario(
            "bad election block",
            bad_signatures_on(number),
            Comes::Alone,
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn fabricated_heads() {
    // It names hashes that stand for nothing, and no chain that leads there.
    let liar = || {
        Peer::liar(1, &chain(), HEIGHT, |question, reply| {
            match (question, reply) {
                (_, Reply::Head(head)) => Reply::Head(ResponseHead {
                    block_number: head.block_number + 1_000_000,
                    block_hash: Blake2bHash([1; 32]),
                    macro_hash: Blake2bHash([2; 32]),
                    election_hash: Blake2bHash([3; 32]),
                }),
                (_, reply) => reply,
            }
        })
    };
    scenario("far head", liar(), Comes::Late).await;
}

#[tokio::test(start_paused = true)]
async fn names_what_it_does_not_deliver() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    let honest: Vec<_> = (2..=4).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
    for peer in &honest {
        network.join(peer);
    }
    engine.until("trust verified").await;
    // The names come first, the blocks never.
    network.join(&Peer::liar(1, &chain, HEIGHT, |question, reply| {
        match (question, reply) {
            (_, Reply::Head(head)) => Reply::Head(ResponseHead {
                election_hash: Blake2bHash([3; 32]),
                ..head
            }),
            (Question::MacroChain(_), _) => Reply::MacroChain(Ok(MacroChain {
                epochs: (0..255).map(|n| Blake2bHash([n; 32])).collect(),
                checkpoint: None,
            })),
            (Question::Block(_), _) => Reply::Never,
            (_, reply) => reply,
        }
    }));
    engine.live(&network, &honest, 60).await;
    assert_eq!(engine.snapshot().peers, 3);
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert!(network.most_in_flight() < 20);
    assert!(!engine.saw("fallback"));
    engine.finish().await;
}

/// Light macro sync with liars from the start, one of each kind that it can meet.
#[tokio::test(start_paused = true)]
async fn light_sync_believes_nobody() {
    let chain = chain();
    type Lie = Box<dyn Fn(&Question, Reply) -> Reply + Send + Sync>;
    let names = |epochs: Vec<Blake2bHash>, checkpoint: Option<Checkpoint>| -> Lie {
        Box::new(move |question, reply| match question {
            Question::MacroChain(_) => Reply::MacroChain(Ok(MacroChain {
                epochs: epochs.clone(),
                checkpoint: checkpoint.clone(),
            })),
            _ => reply,
        })
    };
    // Each with what becomes of the liar. One that only kept silent about the chain can come to agree
    // with it, and nobody waits for one that is slow with blocks which others have.
    let lies: Vec<(&str, Option<Closed>, Lie)> = vec![
        (
            "fabricated names",
            Some(Closed::Failed),
            names((0..200).map(|n| Blake2bHash([n; 32])).collect(), None),
        ),
        (
            "an impossible checkpoint",
            Some(Closed::Banned),
            names(
                vec![],
                Some(Checkpoint {
                    block_number: 7,
                    hash: Blake2bHash([7; 32]),
                }),
            ),
        ),
        (
            "the same name twice",
            Some(Closed::Banned),
            names(vec![Blake2bHash([7; 32]); 2], None),
        ),
        (
            "more names than asked for",
            Some(Closed::Banned),
            names(
                (0..300_u32)
                    .map(|n| {
                        let mut hash = [9; 32];
                        hash[..4].copy_from_slice(&n.to_be_bytes());
                        Blake2bHash(hash)
                    })
                    .collect(),
                None,
            ),
        ),
        (
            "names refused",
            Some(Closed::Failed),
            Box::new(|question, reply| match question {
                Question::MacroChain(_) => Reply::MacroChain(Err(MacroChainError::Other)),
                _ => reply,
            }),
        ),
        ("nothing after genesis", None, names(vec![], None)),
        (
            "blocks signed by too few",
            Some(Closed::Banned),
            Box::new(|_, reply| match reply {
                Reply::Block(Ok(block)) if block.block_number() > 200 => {
                    Reply::Block(Ok(mutated(&block, Mutation::TooFewSigners)))
                }
                reply => reply,
            }),
        ),
        (
            "blocks without signatures",
            Some(Closed::Banned),
            Box::new(|_, reply| match reply {
                Reply::Block(Ok(block)) if block.block_number() > 200 => {
                    Reply::Block(Ok(mutated(&block, Mutation::NoJustification)))
                }
                reply => reply,
            }),
        ),
        (
            "wrong blocks",
            Some(Closed::Banned),
            Box::new(|_, reply| match reply {
                Reply::Block(Ok(block)) if block.block_number() > 200 => {
                    Reply::Block(Ok(resigned(&block, Mutation::StateRoot)))
                }
                reply => reply,
            }),
        ),
        (
            "blocks that never come",
            None,
            Box::new(|question, reply| match question {
                Question::Block(_) => Reply::Never,
                _ => reply,
            }),
        ),
    ];
    for (name, closed, lie) in lies {
        println!("{name}");
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, light());
        network.join(&Peer::liar(1, &chain, HEIGHT, lie));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let honest: Vec<_> = (2..=4).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
        for peer in &honest {
            network.join(peer);
        }
        engine.until("consensus established").await;
        engine.live(&network, &honest, 45).await;
        let state = engine.snapshot();
        assert_eq!(state.head.hash, chain.hash_at(HEIGHT + 45), "{name}");
        assert_eq!(state.trust, Trust::Verified, "{name}");
        assert_eq!(
            state.good_peers,
            if closed.is_some() { 3 } else { 4 },
            "{name}"
        );
        let expected: Vec<_> = closed.map(|closed| (LIAR, closed)).into_iter().collect();
        assert_eq!(network.closed_by_engine(), expected, "{name}");
        engine.finish().await;
    }
}

/// The honest are few, but they have signatures.
#[tokio::test(start_paused = true)]
async fn signatures_outweigh_a_majority() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    let fake = usurped(election(3));
    for id in 1..=5 {
        network.join(&Peer::honest(id, &fake, HEIGHT));
    }
    engine.until("consensus established").await;
    assert_eq!(engine.snapshot().trust, Trust::Optimistic);
    // It can't last: nobody can prove that election block.
    engine.until("fallback").await;
    assert_ne!(engine.snapshot().consensus, ConsensusState::Established);
    let honest: Vec<_> = (6..=8).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
    for peer in &honest {
        network.join(peer);
    }
    engine.until("consensus established").await;
    let state = engine.snapshot();
    assert_eq!(state.trust, Trust::Verified);
    assert_eq!(state.election_head.hash, chain.hash_at(election(3)));
    engine.live(&network, &honest, 40).await;
    assert_eq!(engine.snapshot().head.hash, chain.hash_at(HEIGHT + 40));
    assert_eq!(network.bans(), (1..=5).map(PeerId).collect::<Vec<_>>());
    assert_eq!(engine.count("fallback"), 1);
    engine.finish().await;
}

/// A liar whose chain was adopted, and which then leaves, or falls silent, must not leave us behind
/// on it.
#[tokio::test(start_paused = true)]
async fn the_chain_of_a_liar_that_left_is_given_up() {
    let chain = chain();
    for config in [config(), optimistic()] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config);
        network.join(&Peer::liar(
            1,
            &usurped(election(5)),
            election(5) + 9,
            |question, reply| match question {
                Question::MacroChain(_) => Reply::Never,
                _ => reply,
            },
        ));
        engine.until("p1 good").await;
        network.leave(LIAR);
        for id in 2..=4 {
            network.join(&Peer::honest(id, &chain, HEIGHT));
        }
        engine.until("fallback").await;
        engine.until("consensus established").await;
        assert_eq!(engine.snapshot().head.hash, chain.hash_at(HEIGHT));
        assert_eq!(engine.snapshot().trust, Trust::Verified);
        engine.finish().await;
    }
}

/// With a proven chain no liar has any effect but on itself.
#[tokio::test(start_paused = true)]
async fn liars_come_too_late_for_a_proven_chain() {
    let chain = chain();
    let liars = [
        Peer::honest(1, &usurped(election(3)), HEIGHT),
        Peer::honest(1, &usurped(election(1)), HEIGHT),
        Peer::honest(1, &usurped(election(4)), election(4) + 40),
        claims_checkpoint(far_checkpoint()),
        claims_checkpoint(mutated(chain.at(616), Mutation::StateRoot)),
        claims_checkpoint(mutated(chain.at(648), Mutation::StateRoot)),
        claims_checkpoint(mutated(chain.at(648), Mutation::BadSignature)),
        Peer::liar(1, &chain, HEIGHT, |_, reply| match reply {
            Reply::Head(head) => Reply::Head(ResponseHead {
                macro_hash: head.block_hash.clone(),
                election_hash: head.block_hash.clone(),
                ..head
            }),
            reply => reply,
        }),
    ];
    for (i, liar) in liars.into_iter().enumerate() {
        println!("liar {i}");
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config());
        let honest: Vec<_> = (2..=4).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
        for peer in &honest {
            network.join(peer);
        }
        engine.until("trust verified").await;
        if engine.snapshot().consensus != ConsensusState::Established {
            engine.until("consensus established").await;
        }
        let asked = network.requests();
        network.join(&liar);
        engine.live(&network, &honest, 30).await;
        assert!(engine.saw("p1 conflicting"));
        assert!(!engine.saw("fallback"));
        assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
        assert_eq!(engine.count("consensus"), 2);
        assert_eq!(network.bans(), [LIAR]);
        assert!(network.requests() - asked < 60, "asked in circles");
        engine.finish().await;
    }
}

/// The background walk is kept by a fallback: what it has proven is not proven again.
#[tokio::test(start_paused = true)]
async fn a_fallback_goes_on_where_the_proof_stands() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    // Deliver the second election block slowly, so that the liar comes in the middle of the walk.
    for id in 2..=4 {
        network.join(&Peer::scripted(id, &chain, HEIGHT, |question, reply| {
            let slow =
                matches!(&reply, Reply::Block(Ok(block)) if block.block_number() == election(2));
            let _ = question;
            (Duration::from_millis(if slow { 5000 } else { 20 }), reply)
        }));
    }
    engine.until("consensus established").await;
    engine.run_for(Duration::from_secs(1)).await;
    network.join(&Peer::honest(1, &usurped(election(3)), HEIGHT));
    engine.until("fallback by p1").await;
    let jobs = engine
        .verifier
        .jobs
        .load(std::sync::atomic::Ordering::Relaxed);
    engine.until("trust verified").await;
    let lines = engine.lines_without_heads();
    let at = lines
        .iter()
        .position(|line| line.starts_with("fallback"))
        .unwrap();
    assert!(
        !lines[at..]
            .iter()
            .any(|line| line.starts_with("election 328")),
        "walked twice: {lines:#?}"
    );
    assert!(jobs >= 1);
    if engine.snapshot().consensus != ConsensusState::Established {
        engine.until("consensus established").await;
    }
    network.banned(LIAR).await;
    assert_eq!(
        engine.snapshot().macro_head.number,
        Policy::last_macro_block(HEIGHT)
    );
    engine.finish().await;
}
