//! Liars that are many, fast to speak and slow to deliver: what costs us time must cost it them, not
//! those who are honest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::request::InboundRequestError;
use parking_lot::Mutex;
use pico_sync::{
    ConsensusState, Trust,
    messages::{MacroChain, ResponseHead},
};
use tokio::time::Instant;

use crate::support::{
    blocks::{BATCH, Blocks, EPOCH, chain, election, header, micro_on, stranger, usurped},
    engine::{Engine, config, light},
    network::{MemoryNetwork, PeerId},
    peer::{LATENCY, Peer, Question, Reply},
};

const HEIGHT: u32 = election(3) + BATCH + 5;

/// Just before we stop to wait for an answer.
const BARELY: Duration = Duration::from_millis(7900);

fn honest(ids: impl IntoIterator<Item = u32>) -> Vec<Arc<Peer>> {
    ids.into_iter()
        .map(|id| Peer::honest(id, &chain(), HEIGHT))
        .collect()
}

/// After so long somebody else is asked for a macro block.
const MACRO_BLOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Takes almost too long for whatever leads along the macro chain.
fn barely(question: &Question, reply: Reply) -> (Duration, Reply) {
    match question {
        Question::Block(_) | Question::MacroChain(_) => (BARELY, reply),
        _ => (LATENCY, reply),
    }
}

/// The liars are enough for consensus, and those who could refute them are behind what they claim. That
/// they are slow to prove it must not keep us with them.
#[tokio::test(start_paused = true)]
async fn slow_liars_do_not_keep_us_on_their_chain() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    let fake = usurped(election(5));
    let liars: Vec<_> = (1..=3)
        .map(|id| Peer::honest(id, &fake, election(5) + 9))
        .collect();
    for liar in &liars {
        network.join(liar);
    }
    engine.until("p1 good").await;
    for liar in &liars {
        liar.set_script(barely);
    }
    // They know no more than the election block before the forged one.
    let peers = honest(4..=6);
    for peer in &peers {
        peer.set_height(election(4) + 37);
        network.join(peer);
    }
    let start = Instant::now();
    engine.until("fallback").await;
    engine.until("trust verified").await;
    let took = start.elapsed();
    // What a liar has to be given time for is to be asked, and to deliver the forged block.
    assert!(took < 3 * BARELY, "{took:?}: {:#?}", engine.lines());
    let state = engine.snapshot();
    assert_eq!(state.election_head.hash, chain().hash_at(election(4)));
    engine.finish().await;
}

/// Whoever is slow with blocks that others have is not waited for.
#[tokio::test(start_paused = true)]
async fn one_slow_peer_does_not_slow_down_the_rest() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, light());
    network.join(&Peer::scripted(1, &chain(), HEIGHT, barely));
    for peer in honest(2..=4) {
        network.join(&peer);
    }
    let start = Instant::now();
    engine.until("consensus established").await;
    let took = start.elapsed();
    assert!(took < 2 * MACRO_BLOCK_PATIENCE, "{took:?}");
    engine.finish().await;
}

/// How long it takes is up to the fast, not to the slow: each is asked for as much as it is good for.
#[tokio::test(start_paused = true)]
async fn the_slow_are_asked_for_less() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, light());
    for id in 1..=3 {
        network.join(&Peer::scripted(id, &chain(), HEIGHT, barely));
    }
    for peer in honest(4..=6) {
        network.join(&peer);
    }
    engine.until("consensus established").await;
    let asked = |ids: std::ops::RangeInclusive<u32>| -> usize {
        ids.map(|id| network.requests_to(PeerId(id), "block")).sum()
    };
    assert!(asked(1..=3) <= 3, "{}", asked(1..=3));
    assert!(asked(4..=6) >= 5, "{}", asked(4..=6));
    engine.finish().await;
}

/// Blocks that nobody has, named by each of many before the honest get a word in.
#[tokio::test(start_paused = true)]
async fn who_names_first_does_not_go_first_for_ever() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, light());
    for id in 1..=6 {
        network.join(&inventor(id, |invented, question, reply| {
            match (question, &reply) {
                (Question::Block(request), Reply::Block(Err(_))) if request.hash == *invented => {
                    Reply::Never
                }
                _ => reply,
            }
        }));
    }
    for peer in honest(11..=13) {
        network.join(&peer);
    }
    let start = Instant::now();
    engine.until("consensus established").await;
    let took = start.elapsed();
    assert!(took < 2 * MACRO_BLOCK_PATIENCE, "{took:?}");
    assert_eq!(network.bans(), (1..=6).map(PeerId).collect::<Vec<_>>());
    engine.finish().await;
}

/// Headers whose parents only one peer claims to have, and is slow to tell.
#[tokio::test(start_paused = true)]
async fn a_gap_is_filled_while_a_liar_keeps_us_waiting() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    let peers = honest(2..=4);
    for peer in &peers {
        network.join(peer);
    }
    engine.until("consensus established").await;
    engine.until("trust verified").await;
    let liar = Peer::scripted(1, &chain, HEIGHT, |question, reply| match question {
        Question::Missing(_) => (BARELY, reply),
        _ => (LATENCY, reply),
    });
    network.join(&liar);
    engine.until("p1 good").await;
    // Blocks on top of what nobody has.
    for i in 0..40_u8 {
        let mut parent = chain.at(HEIGHT + 3).clone();
        if let Block::Micro(block) = &mut parent {
            block.header.extra_data = vec![i];
            block.header.cached_hash = None;
        }
        let orphan = micro_on(&parent, parent.timestamp() + 1000, b"", stranger());
        network.gossip(PeerId(1), header(&orphan)).await;
    }
    engine.run_for(Duration::from_millis(300)).await;
    for peer in peers.iter().chain([&liar]) {
        peer.set_height(HEIGHT + 8);
    }
    let start = Instant::now();
    network.gossip(PeerId(2), chain.header(HEIGHT + 8)).await;
    engine.until_head(HEIGHT + 8).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    engine.finish().await;
}

/// A peer that names another head each time.
#[tokio::test(start_paused = true)]
async fn heads_that_change_with_each_answer() {
    let chain = chain();
    for other in [usurped(election(3)), usurped(election(2)), chain.clone()] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config());
        let peers = honest(2..=4);
        for peer in &peers {
            network.join(peer);
        }
        engine.until("trust verified").await;
        let twin = Peer::honest(1, &other, election(2) + 40);
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let liar = Peer::scripted(1, &chain, HEIGHT, move |question, reply| {
            if matches!(question, Question::Head)
                && turn
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                    .is_multiple_of(2)
            {
                return twin.answer(question);
            }
            (LATENCY, reply)
        });
        network.join(&liar);
        let asked = network.requests();
        let said = engine.live(&network, &peers, 60).await;
        let asked = network.requests() - asked;
        assert!(asked < 60, "{asked} requests: {said:#?}");
        assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
        assert_eq!(engine.snapshot().trust, Trust::Verified);
        engine.finish().await;
    }
}

/// Heads that name any number.
#[tokio::test(start_paused = true)]
async fn numbers_of_heads_are_not_believed() {
    let chain = chain();
    for number in [0, 1, 199, HEIGHT - 70, u32::MAX - 1, u32::MAX] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, config());
        for id in 1..=2 {
            network.join(&Peer::liar(
                id,
                &chain,
                HEIGHT,
                move |_, reply| match reply {
                    Reply::Head(head) => Reply::Head(ResponseHead {
                        block_number: number,
                        ..head
                    }),
                    reply => reply,
                },
            ));
        }
        let peers = honest(3..=5);
        for peer in &peers {
            network.join(peer);
        }
        engine.until("consensus established").await;
        let asked = network.requests();
        let said = engine.live(&network, &peers, 40).await;
        let asked = network.requests() - asked;
        assert!(asked < 60, "{number}: {asked} requests: {said:#?}");
        assert_eq!(engine.snapshot().head.hash, chain.hash_at(HEIGHT + 40));
        engine.finish().await;
    }
}

/// An election block after which there is hardly a number left for another one, by which those who count
/// on would overflow.
#[tokio::test(start_paused = true)]
async fn an_election_block_at_the_end_of_all_numbers() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, config());
    let mut block = chain.macro_at(election(3));
    block.header.block_number = u32::MAX - (u32::MAX - election(0)) % EPOCH;
    block.header.validators = Some(stranger().validators());
    stranger().sign_macro(&mut block);
    network.join(&usurper(Block::Macro(block), |block| block));
    engine.until("p1 conflicting").await;
    let peers = honest(2..=4);
    for peer in &peers {
        network.join(peer);
    }
    engine.until("consensus established").await;
    engine.live(&network, &peers, 5).await;
    assert_eq!(engine.snapshot().head.hash, chain.hash_at(HEIGHT + 5));
    engine.finish().await;
}

/// Signatures that are said to be of millions of slots. No hash covers how many.
#[tokio::test(start_paused = true)]
async fn blocks_that_are_larger_than_any() {
    let chain = chain();
    for engine_config in [config(), light()] {
        let network = MemoryNetwork::new();
        let mut engine = Engine::start(&network, engine_config);
        network.join(&usurper(chain.at(election(3)).clone(), |mut block| {
            if let Block::Macro(block) = &mut block
                && let Some(justification) = &mut block.justification
            {
                justification.sig.signers.insert(1 << 22);
            }
            block
        }));
        engine.until("p1 conflicting").await;
        assert!(network.is_banned(PeerId(1)));
        let peers = honest(2..=4);
        for peer in &peers {
            network.join(peer);
        }
        engine.until("consensus established").await;
        engine.finish().await;
    }
}

/// A peer that answers at once, and names an election block that nobody has, another one than any other
/// peer of this kind. Beyond that, `change` says what it makes of its answers.
fn inventor(
    id: u32,
    change: impl Fn(&Blake2bHash, &Question, Reply) -> Reply + Send + Sync + 'static,
) -> Arc<Peer> {
    let invented = Blake2bHash([id as u8; 32]);
    Peer::scripted(id, &chain(), HEIGHT, move |question, reply| {
        let reply = match question {
            Question::MacroChain(_) => Reply::MacroChain(Ok(MacroChain {
                epochs: vec![invented.clone()],
                checkpoint: None,
            })),
            _ => change(&invented, question, reply),
        };
        (Duration::from_millis(1), reply)
    })
}

/// A peer that names `block` as its last election block, and delivers it so changed.
fn usurper(block: Block, change: fn(Block) -> Block) -> Arc<Peer> {
    let hash = block.hash();
    let chain = chain();
    Peer::liar(1, &chain, HEIGHT, move |question, reply| {
        match (question, reply) {
            (_, Reply::Head(head)) => Reply::Head(ResponseHead {
                macro_hash: hash.clone(),
                election_hash: hash.clone(),
                ..head
            }),
            (_, Reply::Block(_)) => Reply::Block(Ok(change(block.clone()))),
            (_, reply) => reply,
        }
    })
}

/// A peer that counts as nodes do, and refuses what is beyond their limits.
fn counting(id: u32, chain: &Arc<Blocks>, limit: usize) -> Arc<Peer> {
    let windows = Mutex::new(HashMap::<&str, (Instant, usize)>::new());
    Peer::scripted(id, chain, HEIGHT, move |question, reply| {
        let now = Instant::now();
        let mut windows = windows.lock();
        let (since, count) = windows.entry(question.kind()).or_insert((now, 0));
        if now.duration_since(*since) >= Duration::from_secs(10) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        match *count > limit {
            true => (
                LATENCY,
                Reply::Refused(InboundRequestError::ExceedsRateLimit),
            ),
            false => (LATENCY, reply),
        }
    })
}

/// So many liars, each of which is found out at once, that the honest are asked more than they allow.
#[tokio::test(start_paused = true)]
async fn who_is_asked_too_much_is_no_liar() {
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, light());
    for id in 1..=40 {
        network.join(&inventor(id, |_, _, reply| reply));
    }
    let honest: Vec<_> = (51..=53).map(|id| counting(id, &chain(), 20)).collect();
    for peer in &honest {
        network.join(peer);
    }
    engine.until("consensus established").await;
    engine.live(&network, &honest, 20).await;
    for peer in &honest {
        let closed = network.closed_by_engine();
        assert!(closed.iter().all(|(id, _)| *id != peer.id), "{closed:?}");
    }
    assert_eq!(engine.snapshot().head.hash, chain().hash_at(HEIGHT + 20));
    engine.finish().await;
}
