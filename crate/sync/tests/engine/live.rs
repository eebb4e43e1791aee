//! Following the chain block by block: gaps, disorder, branches, and headers that are no good.

use std::{sync::Arc, time::Duration};

use nimiq_block::Block;
use pico_node::chain::Mutation;
use pico_sync::{
    ConsensusState,
    messages::{BlockHeaderMessage, Direction, ResponseBlocks, ResponseBlocksError},
};

use crate::support::{
    blocks::{
        BATCH, Blocks, branch_on, chain, election, header, micro_on, mutated, resigned, skip_on,
        stranger, usurped,
    },
    engine::{Engine, config, with_peers},
    network::{Closed, MemoryNetwork, PeerId},
    peer::{Peer, Question, Reply},
};

const HEIGHT: u32 = election(3) + BATCH + 5;

/// An engine that is established and verified at `HEIGHT`, with three honest peers.
async fn established(network: &Arc<MemoryNetwork>) -> (Engine, Vec<Arc<Peer>>) {
    let chain = chain();
    let peers: Vec<_> = (1..=3).map(|id| Peer::honest(id, &chain, HEIGHT)).collect();
    let mut engine = Engine::start(network, config());
    for peer in &peers {
        network.join(peer);
    }
    engine.until("trust verified").await;
    if engine.snapshot().consensus != ConsensusState::Established {
        engine.until("consensus established").await;
    }
    engine.until_head(HEIGHT).await;
    (engine, peers)
}

fn move_to(peers: &[Arc<Peer>], chain: &Arc<Blocks>, height: u32) {
    for peer in peers {
        peer.set_chain(chain, height);
    }
}

#[tokio::test(start_paused = true)]
async fn gaps_are_filled() {
    let chain = chain();
    // Within a batch, over one macro block and over two, over an election block.
    for ahead in [2, 20, 33, 60] {
        let network = MemoryNetwork::new();
        let (mut engine, peers) = established(&network).await;
        move_to(&peers, &chain, HEIGHT + ahead);
        let asked = network.requests();
        let message = network
            .gossip(PeerId(2), chain.header(HEIGHT + ahead))
            .await;
        engine.until_head(HEIGHT + ahead).await;
        assert_eq!(network.verdict(message).await, "accept", "{ahead}");
        assert_eq!(engine.snapshot().head.hash, chain.hash_at(HEIGHT + ahead));
        // A request for each batch it touches, perhaps one more; not one for each block.
        let requests = network.requests() - asked;
        assert!(requests <= 6, "{ahead}: {requests} requests");
        engine.run_for(Duration::from_secs(10)).await;
        assert!(network.closed_by_engine().is_empty());
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn order_does_not_matter() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    move_to(&peers, &chain, HEIGHT + 12);
    let mut messages = Vec::new();
    // Backwards, twice, and from several.
    for round in 0..2 {
        for number in (HEIGHT + 1..=HEIGHT + 12).rev() {
            let source = PeerId(1 + (number + round) % 3);
            messages.push(network.gossip(source, chain.header(number)).await);
        }
    }
    engine.until_head(HEIGHT + 12).await;
    engine.run_for(Duration::from_secs(1)).await;
    for message in messages {
        assert_ne!(network.verdict(message).await, "reject");
    }
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn far_ahead_is_macro_syncs_business() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    let ahead = election(5) + 3;
    move_to(&peers, &chain, ahead);
    for peer in &peers {
        let message = network.gossip(peer.id, chain.header(ahead)).await;
        assert_eq!(network.verdict(message).await, "ignore");
    }
    engine
        .until(&format!("election {} verified", election(5)))
        .await;
    engine.until_head(ahead).await;
    engine.run_for(std::time::Duration::from_secs(2)).await;
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert!(!engine.saw("fallback"));
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn branches_and_skip_blocks() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    // Two producers: ours is at +2, then the other branch from +0 is longer.
    move_to(&peers, &chain, HEIGHT + 2);
    for number in [HEIGHT + 1, HEIGHT + 2] {
        network.gossip(PeerId(1), chain.header(number)).await;
    }
    engine.until_head(HEIGHT + 2).await;
    let branch = branch_on(chain.at(HEIGHT), 3, b"other");
    let other = chain.rebranched(&branch);
    move_to(&peers, &other, HEIGHT + 3);
    // Its last block is all that is gossiped: the rest is asked for.
    let message = network.gossip(PeerId(2), other.header(HEIGHT + 3)).await;
    let line = engine.until("head").await;
    assert_eq!(line, format!("head {} rebranched -2 +3", HEIGHT + 3));
    assert_eq!(network.verdict(message).await, "accept");
    assert_eq!(engine.snapshot().head.hash, other.hash_at(HEIGHT + 3));

    // A skip block outweighs the micro block in its place, and what follows that.
    let skip = skip_on(other.at(HEIGHT + 1));
    let skipped = other.rebranched(std::slice::from_ref(&skip));
    move_to(&peers, &skipped, HEIGHT + 2);
    let message = network.gossip(PeerId(3), header(&skip)).await;
    let line = engine.until("head").await;
    assert_eq!(line, format!("head {} rebranched -2 +1", HEIGHT + 2));
    assert_eq!(network.verdict(message).await, "accept");

    // A fork that is not better is stored and passed on.
    let fork = micro_on(
        other.at(HEIGHT + 1),
        skip.timestamp() + 1,
        b"late",
        crate::support::blocks::elected(),
    );
    let message = network.gossip(PeerId(1), header(&fork)).await;
    assert_eq!(network.verdict(message).await, "accept");
    assert_eq!(engine.snapshot().head.hash, skip.hash());
    engine.run_for(Duration::from_secs(12)).await;
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_headers_are_rejected_and_their_senders_banned() {
    let chain = chain();
    let next = chain.at(HEIGHT + 1);
    let macro_number = election(3) + 2 * BATCH;
    let bad: Vec<(&str, u32, Block)> = vec![
        (
            "bad signature",
            HEIGHT,
            mutated(next, Mutation::BadSignature),
        ),
        (
            "a stranger's",
            HEIGHT,
            micro_on(chain.at(HEIGHT), next.timestamp(), b"", stranger()),
        ),
        ("changed", HEIGHT, mutated(next, Mutation::StateRoot)),
        ("bad seed", HEIGHT, resigned(next, Mutation::Seed)),
        ("other network", HEIGHT, resigned(next, Mutation::Network)),
        (
            "too old",
            HEIGHT,
            resigned(next, Mutation::Timestamp(-100_000_000)),
        ),
        (
            "too much data",
            HEIGHT,
            resigned(next, Mutation::LongExtraData),
        ),
        ("no skip block", HEIGHT, mutated(next, Mutation::AsSkip)),
        (
            "bad skip proof",
            HEIGHT,
            mutated(&skip_on(chain.at(HEIGHT)), Mutation::TooFewSigners),
        ),
        (
            "macro block of few",
            macro_number - 1,
            mutated(chain.at(macro_number), Mutation::TooFewSigners),
        ),
        (
            "macro block of another past",
            macro_number - 1,
            resigned(chain.at(macro_number), Mutation::ParentElection),
        ),
    ];
    for (name, height, block) in bad {
        println!("{name}");
        let network = MemoryNetwork::new();
        let (mut engine, peers) = established(&network).await;
        while engine.snapshot().head.number < height {
            let number = engine.snapshot().head.number + 1;
            move_to(&peers, &chain, number);
            network.gossip(PeerId(1), chain.header(number)).await;
            engine.until_head(number).await;
        }
        // A peer that was looked at, and one that was not.
        let liar = Peer::honest(7, &chain, height);
        network.join(&liar);
        engine.until("p7 good").await;
        let message = network.gossip(PeerId(7), header(&block)).await;
        let queued = network.gossip(PeerId(7), chain.header(height)).await;
        assert_eq!(network.verdict(message).await, "reject", "{name}");
        network.verdict(queued).await;
        network.banned(PeerId(7)).await;
        let message = network.gossip(PeerId(8), header(&block)).await;
        assert_eq!(network.verdict(message).await, "reject", "{name}");

        // The honest one comes through all the same.
        move_to(&peers, &chain, height + 1);
        let message = network.gossip(PeerId(1), chain.header(height + 1)).await;
        engine.until_head(height + 1).await;
        assert_eq!(network.verdict(message).await, "accept");
        assert_eq!(network.closed_by_engine(), [(PeerId(7), Closed::Banned)]);
        assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
        assert_eq!(network.undecided(), [0; 0]);
        engine.finish().await;
    }
}

/// A header from the future may be the fault of our clock.
#[tokio::test(start_paused = true)]
async fn the_future_is_ignored() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (engine, _) = established(&network).await;
    let block = resigned(chain.at(HEIGHT + 1), Mutation::Timestamp(86_400_000));
    let message = network.gossip(PeerId(1), header(&block)).await;
    assert_eq!(network.verdict(message).await, "ignore");
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn spam_is_bounded() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    let asked = network.requests();
    // Nobody can know the parents of these: within the window, and far beyond.
    let usurped = usurped(election(3));
    for round in 0..40_u32 {
        for number in HEIGHT + 2..HEIGHT + 40 {
            let Block::Micro(mut block) = usurped.at(number).clone() else {
                continue;
            };
            block.header.parent_hash = nimiq_hash::Blake2bHash([round as u8; 32]);
            block.header.cached_hash = None;
            let spam = header(&Block::Micro(block));
            network.gossip(PeerId(3), spam.clone()).await;
            network.gossip(PeerId(99), spam).await;
        }
    }
    for _ in 0..300 {
        network
            .gossip(PeerId(3), chain.header(election(5) + 9))
            .await;
    }
    engine.run_for(Duration::from_secs(30)).await;
    let requests = network.requests() - asked;
    // What three peers can be asked in that time without being a nuisance.
    assert!(requests < 1500, "{requests} requests");
    assert!(network.most_in_flight() <= 12);
    // The honest chain goes on.
    for number in HEIGHT + 1..HEIGHT + 4 {
        move_to(&peers, &chain, number);
        network.gossip(PeerId(1), chain.header(number)).await;
        engine.until_head(number).await;
    }
    assert!(!engine.saw("fallback"));
    engine.finish().await;
}

/// A run of missing blocks that no honest peer sends.
#[tokio::test(start_paused = true)]
async fn wrong_missing_blocks() {
    type Lie = fn(Vec<Block>) -> Result<Vec<Block>, ResponseBlocksError>;
    let lies: [(&str, Option<Closed>, Lie); 9] = [
        ("empty", None, |_| Ok(vec![])),
        ("not found", None, |_| {
            Err(ResponseBlocksError::TargetHashNotFound)
        }),
        ("unknown locators", None, |_| {
            Err(ResponseBlocksError::UnknownLocators)
        }),
        ("not on the main chain", None, |_| {
            Err(ResponseBlocksError::TargetBlockNotOnMainChain)
        }),
        ("a hole", Some(Closed::Banned), |mut blocks| {
            blocks.remove(1);
            Ok(blocks)
        }),
        ("unlinked", Some(Closed::Banned), |blocks| {
            let fork = usurped(election(3));
            Ok(blocks
                .iter()
                .map(|block| fork.at(block.block_number()).clone())
                .collect())
        }),
        ("cut short", Some(Closed::Banned), |mut blocks| {
            blocks.pop();
            Ok(blocks)
        }),
        ("oversized", Some(Closed::Banned), |_| {
            Ok((HEIGHT + 1..HEIGHT + 100)
                .map(|number| chain().at(number).clone())
                .collect())
        }),
        ("badly signed", Some(Closed::Banned), |mut blocks| {
            let last = blocks.len() - 1;
            blocks[last] = mutated(&blocks[last], Mutation::BadSignature);
            Ok(blocks)
        }),
    ];
    for (name, closed, lie) in lies {
        println!("{name}");
        let chain = chain();
        let network = MemoryNetwork::new();
        let (mut engine, peers) = established(&network).await;
        let liar = Peer::liar(7, &chain, HEIGHT, move |_, reply| match reply {
            Reply::Missing(Ok(response)) if response.blocks.len() > 2 => {
                Reply::Missing(lie(response.blocks).map(|blocks| ResponseBlocks { blocks }))
            }
            reply => reply,
        });
        network.join(&liar);
        engine.until("p7 good").await;
        move_to(&peers, &chain, HEIGHT + 6);
        liar.set_height(HEIGHT + 6);
        // The liar is the first that could be asked.
        network.gossip(PeerId(7), chain.header(HEIGHT + 6)).await;
        engine.run_for(Duration::from_secs(1)).await;
        network.gossip(PeerId(1), chain.header(HEIGHT + 6)).await;
        engine.until_head(HEIGHT + 6).await;
        engine.run_for(Duration::from_secs(12)).await;
        let expected: Vec<_> = closed
            .map(|closed| (PeerId(7), closed))
            .into_iter()
            .collect();
        assert_eq!(network.closed_by_engine(), expected, "{name}");
        assert!(!engine.saw("fallback"), "{name}");
        let asked = network.requests_to(PeerId(7), "missing");
        assert!(asked < 12, "{name}: asked in circles, {asked} times");
        engine.finish().await;
    }
}

/// A peer that says it agrees with us, names a head that nobody has and knows none of our blocks
/// must not keep us busy.
#[tokio::test(start_paused = true)]
async fn no_busy_circles() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    network.join(&Peer::liar(7, &chain, HEIGHT, |question, reply| {
        match (question, reply) {
            (_, Reply::Head(head)) => Reply::Head(pico_sync::messages::ResponseHead {
                block_number: head.block_number + 9,
                block_hash: nimiq_hash::Blake2bHash([9; 32]),
                ..head
            }),
            (Question::Missing(_), _) => Reply::Missing(Err(ResponseBlocksError::UnknownLocators)),
            (_, reply) => reply,
        }
    }));
    engine.live(&network, &peers, 60).await;
    assert!(network.requests_to(PeerId(7), "head") <= 30);
    assert!(network.requests_to(PeerId(7), "missing") <= 30);
    assert!(engine.count("p7") <= 20);
    assert_eq!(engine.snapshot().consensus, ConsensusState::Established);
    engine.finish().await;
}

/// What a peer named as its head once is not asked for when it is long finalised.
#[tokio::test(start_paused = true)]
async fn old_heads_are_let_go() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    // Gossip keeps us going, so heads are not asked for again.
    let start = tokio::time::Instant::now();
    for number in HEIGHT + 1..=HEIGHT + 4 * BATCH {
        move_to(&peers, &chain, number);
        network.gossip(PeerId(1), chain.header(number)).await;
        engine.until_head(number).await;
    }
    assert!(start.elapsed() < Duration::from_secs(60));
    engine.run_for(Duration::from_secs(12)).await;
    for peer in &peers {
        assert!(network.requests_to(peer.id, "missing") <= 4);
    }
    assert!(network.closed_by_engine().is_empty());
    assert_eq!(engine.count("consensus"), 2);
    engine.finish().await;
}

/// Without gossip, heads are asked for.
#[tokio::test(start_paused = true)]
async fn without_gossip_heads_are_asked_for() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    for step in 1..=8 {
        move_to(&peers, &chain, HEIGHT + 5 * step);
        engine.run_for(Duration::from_secs(6)).await;
        assert_eq!(engine.snapshot().head.number, HEIGHT + 5 * step);
    }
    assert!(!engine.saw("stalled"));
    engine.finish().await;
}

/// Headers that come before there is a chain to put them on say nothing.
#[tokio::test(start_paused = true)]
async fn headers_before_the_chain() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let mut engine = Engine::start(&network, with_peers(1));
    engine.run_for(Duration::from_millis(10)).await;
    let gap = match mutated(chain.at(election(3)), Mutation::SlotGap) {
        Block::Macro(block) => BlockHeaderMessage::Macro {
            header: block.header,
            justification: block.justification.unwrap(),
        },
        Block::Micro(_) => unreachable!("an election block is a macro block"),
    };
    let message = network.gossip(PeerId(1), chain.header(HEIGHT)).await;
    assert_eq!(network.verdict(message).await, "ignore");
    let message = network.gossip(PeerId(1), gap).await;
    assert_eq!(network.verdict(message).await, "reject");
    engine.finish().await;
}

/// Both directions are used: the second for a target that is on no main chain.
#[tokio::test(start_paused = true)]
async fn a_branch_that_is_no_peers_main_chain() {
    let chain = chain();
    let network = MemoryNetwork::new();
    let (mut engine, peers) = established(&network).await;
    let branch = branch_on(chain.at(HEIGHT - 3), 9, b"other");
    // The peers know the branch, but stay on the honest chain, as theirs is... longer.
    let other = chain.rebranched(&branch).rebranched(
        &(HEIGHT - 2..=chain.top())
            .map(|number| chain.at(number).clone())
            .collect::<Vec<_>>(),
    );
    let backward = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for peer in &peers {
        peer.set_chain(&other, HEIGHT + 12);
        let count = backward.clone();
        peer.set_script(move |question, reply| {
            if let Question::Missing(request) = question
                && request.direction == Direction::Backward
            {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            (Duration::from_millis(20), reply)
        });
    }
    network
        .gossip(PeerId(1), header(branch.last().unwrap()))
        .await;
    let line = engine.until("head").await;
    assert!(line.contains("rebranched"), "{line}");
    assert_eq!(backward.load(std::sync::atomic::Ordering::Relaxed), 1);
    // And back, where the peers are.
    engine.until_head(HEIGHT + 12).await;
    assert!(network.closed_by_engine().is_empty());
    engine.finish().await;
}
