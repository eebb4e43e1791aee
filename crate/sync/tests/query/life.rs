//! Where questions begin and end: before there is consensus, and with the engine.

use std::time::Duration;

use pico_sync::{
    messages::RequestTrieProof,
    query::{BlockId, QueryError},
};
use tokio::time::Instant;

use crate::{
    support::{engine::with_peers, peer::Reply},
    world::{HEIGHT, World, address},
};

#[tokio::test(start_paused = true)]
async fn without_consensus_the_error_says_who_was_there() {
    let mut world = World::begin(with_peers(3));
    world.add_node();
    let start = Instant::now();
    let error = world.queries.accounts(&[address(1)]).await.unwrap_err();
    let QueryError::NoPeers(text) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains("30 s") && text.contains("1 peers"), "{text}");
    assert!(start.elapsed() >= Duration::from_secs(30));

    // With one more than it takes, it works.
    for _ in 0..3 {
        world.add_node();
    }
    let answers = world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(answers[0].block_number, HEIGHT);
    world.engine.handle.close();
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_consensus() {
    let mut world = World::begin(with_peers(2));
    world.add_node();
    let queries = world.queries.clone();
    let elected = tokio::spawn(async move { queries.elected_validators().await });
    let queries = world.queries.clone();
    let asking = tokio::spawn(async move { queries.block(BlockId::Number(HEIGHT)).await });
    world.engine.run_for(Duration::from_secs(5)).await;
    assert!(!asking.is_finished() && !elected.is_finished());
    world.add_node();
    assert_eq!(elected.await.unwrap().unwrap().len(), 1);
    assert_eq!(
        asking.await.unwrap().unwrap().hash(),
        world.chain.head_hash()
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn questions_end_with_the_engine() {
    let mut world = World::begin(with_peers(1));
    let node = world.node();
    node.set_script(|question, reply| {
        let reply = match question.is::<RequestTrieProof>() {
            Some(_) => Reply::Never,
            None => reply,
        };
        (Duration::from_millis(20), reply)
    });
    world.network.join(&node);
    let early = world.queries.clone();
    let waiting = tokio::spawn(async move { early.accounts(&[address(1)]).await });
    world.engine.until("consensus established").await;
    let (accounts, validator, block) = (
        world.queries.clone(),
        world.queries.clone(),
        world.queries.clone(),
    );
    let accounts = tokio::spawn(async move { accounts.accounts(&[address(1)]).await });
    let validator = tokio::spawn(async move { validator.validator(&address(1)).await });
    // One that waits for a block that nobody tells of.
    let next = world.chain.extend().unwrap().hash();
    let block = tokio::spawn(async move { block.block(BlockId::Hash(next)).await });
    world.engine.run_for(Duration::from_millis(200)).await;
    assert!(!accounts.is_finished() && !validator.is_finished() && !block.is_finished());

    let start = Instant::now();
    let queries = world.queries.clone();
    world.finish(&[]).await;
    assert_eq!(waiting.await.unwrap(), Err(QueryError::Closed));
    assert_eq!(accounts.await.unwrap(), Err(QueryError::Closed));
    assert_eq!(validator.await.unwrap(), Err(QueryError::Closed));
    assert_eq!(block.await.unwrap(), Err(QueryError::Closed));
    assert!(start.elapsed() < Duration::from_secs(1));

    // And so does every further one, at once.
    let error = queries.accounts(&[address(1)]).await;
    assert_eq!(error, Err(QueryError::Closed));
    let error = queries.block(BlockId::Number(HEIGHT)).await;
    assert_eq!(error.unwrap_err(), QueryError::Closed);
}
