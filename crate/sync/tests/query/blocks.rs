//! Blocks by number and by hash, from nodes that tell the truth.

use std::time::Duration;

use nimiq_block::Block;
use nimiq_network_interface::peer_info::Services;
use nimiq_primitives::policy::Policy;
use pico_node::chain::{ChainConfig, ScriptedChain};
use pico_sync::{
    SyncConfig,
    query::{BlockId, QueryError},
};

use crate::{
    support::{
        blocks::{BATCH, EPOCH, GENESIS, election},
        engine::{optimistic, with_peers},
        peer::Peer,
    },
    world::{EPOCHS, HEIGHT, World},
};

/// A client that knows nothing of what was before the election block it adopted.
pub fn young() -> SyncConfig {
    SyncConfig {
        min_peers: 2,
        ..optimistic()
    }
}

pub async fn young_world() -> World {
    let mut world = World::begin(young());
    for _ in 0..2 {
        world.add_node();
    }
    world.engine.until("consensus established").await;
    world
}

/// Holds that the client gets the main chain's block at `number`, by number and by hash.
async fn assert_found(world: &World, number: u32) {
    let expected = world.chain.light_block_at(number).unwrap();
    for id in [BlockId::Number(number), BlockId::Hash(expected.hash())] {
        let block = world.queries.block(id.clone()).await;
        let block = block.unwrap_or_else(|error| panic!("{id:?}: {error}"));
        assert_eq!(block.hash(), expected.hash());
        assert_eq!(block.block_number(), number);
        assert!(!block.has_body());
    }
}

fn not_found(result: Result<Block, QueryError>) -> String {
    match result {
        Err(QueryError::NotFound(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_holds_needs_no_peer() {
    let mut world = World::with_nodes(2).await;
    world.grow().await;
    let requests = world.network.requests();
    let head = world.chain.height();
    assert_found(&world, head).await;
    assert_found(&world, Policy::last_macro_block(head)).await;
    assert_found(&world, Policy::last_election_block(head)).await;
    assert_eq!(world.network.requests(), requests);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn every_block_of_the_chain_is_found() {
    let world = young_world().await;
    // The whole chain of blocks: those of the current batch, of the current and the last epoch, and
    // those of epochs that end with an election block the client has never seen.
    for number in (GENESIS..=HEIGHT).step_by(13) {
        assert_found(&world, number).await;
    }
    for epoch in 0..=EPOCHS {
        assert_found(&world, election(epoch)).await;
    }
    for number in (GENESIS + BATCH..HEIGHT).step_by(BATCH as usize) {
        assert_found(&world, number).await;
        assert_found(&world, number + 1).await;
        assert_found(&world, number - 1).await;
    }
    assert!(
        world
            .network_peers()
            .iter()
            .any(|peer| world.network.requests_to(*peer, "blocks-proof") > 0)
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_way_to_a_block_is_walked_once() {
    let world = young_world().await;
    let count = |kind| -> usize {
        let peers = world.network_peers().into_iter();
        peers
            .map(|peer| world.network.requests_to(peer, kind))
            .sum()
    };
    // Down through a whole epoch.
    let first = election(EPOCHS - 2) + 3;
    assert_found(&world, first).await;
    let walked = count("missing");
    assert!(walked >= (EPOCH / BATCH) as usize);
    // From now on each batch is a step away, and each checkpoint known.
    for number in [first, first + BATCH, first + 2 * BATCH] {
        let before = count("missing");
        world.queries.block(BlockId::Number(number)).await.unwrap();
        assert_eq!(count("missing"), before + 1);
    }
    let before = count("missing");
    let checkpoint = election(EPOCHS - 2) + BATCH;
    world
        .queries
        .block(BlockId::Number(checkpoint))
        .await
        .unwrap();
    assert_eq!(count("missing"), before);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn elections_that_were_walked_need_no_proof() {
    let mut world = World::begin(with_peers(2));
    world.add_node();
    world.add_node();
    world.engine.until("trust verified").await;
    for epoch in 0..=EPOCHS {
        assert_found(&world, election(epoch)).await;
    }
    for peer in world.network_peers() {
        assert_eq!(world.network.requests_to(peer, "blocks-proof"), 0);
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_not_found() {
    let mut world = World::with_nodes(2).await;
    let requests = world.network.requests();
    let error = not_found(world.queries.block(BlockId::Number(HEIGHT + 1)).await);
    assert!(error.contains("there is no block"), "{error}");
    let error = not_found(world.queries.block(BlockId::Number(GENESIS - 1)).await);
    assert!(error.contains("before the genesis block"), "{error}");
    assert_eq!(world.network.requests(), requests);

    let nowhere = BlockId::Hash(nimiq_hash::Blake2bHash::default());
    let error = not_found(world.queries.block(nowhere).await);
    assert!(error.contains("p1: ") && error.contains("p2: "), "{error}");

    // A block that the client does not have is not on the main chain only because a node has it.
    let mut branch = world.chain.fork_at(HEIGHT - 3).unwrap();
    branch.extend_micro(2).unwrap();
    let fork = branch.head();
    let stray = world.node_with(&branch.blockchain());
    world.network.join(&stray);
    world.engine.run_for(Duration::from_secs(1)).await;
    let error = not_found(world.queries.block(BlockId::Hash(fork.hash())).await);
    assert!(
        error.contains("not on the main chain") || error.contains("fork"),
        "{error}"
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_just_being_gossiped_is_waited_for() {
    let mut world = World::with_nodes(2).await;
    let block = world.chain.extend().unwrap();
    let queries = world.queries.clone();
    let id = BlockId::Hash(block.hash());
    let asking = tokio::spawn(async move { queries.block(id).await });
    world.engine.run_for(Duration::from_millis(500)).await;
    assert!(!asking.is_finished());
    world.tell().await;
    assert_eq!(asking.await.unwrap().unwrap().hash(), block.hash());
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn blocks_that_nodes_have_dropped_are_not_found() {
    let mut chain = ScriptedChain::with_config(ChainConfig {
        keep_all_epochs: false,
        ..ChainConfig::default()
    })
    .unwrap();
    chain.extend_epochs(4).unwrap();
    chain.extend_micro(3).unwrap();
    let mut world = World::begin_on(chain, young());
    world.add_node();
    world.add_node();
    world.engine.until("consensus established").await;
    let error = not_found(world.queries.block(BlockId::Number(GENESIS + 40)).await);
    assert!(error.contains("nodes keep"), "{error}");
    // Their election blocks they keep.
    for epoch in 0..=4 {
        assert_found(&world, election(epoch)).await;
    }
    assert_found(&world, election(4) - 40).await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn only_those_that_have_blocks_are_asked_for_them() {
    let mut world = World::begin(SyncConfig {
        min_peers: 2,
        ..young()
    });
    let full = world.add_node();
    // It proves accounts, but has no blocks.
    let blockchain = world.chain.blockchain();
    let other = Peer::node_offering(99, &blockchain, Services::ACCOUNTS_PROOF);
    world.network.join(&other);
    world.engine.until("consensus established").await;
    assert_found(&world, election(EPOCHS) - EPOCH / 2).await;
    assert_eq!(world.network.requests_to(other.id, "missing"), 0);
    assert_eq!(world.network.requests_to(other.id, "blocks-proof"), 0);
    assert!(world.network.requests_to(full.id, "missing") > 0);
    drop(blockchain);
    world.finish(&[]).await;
}
