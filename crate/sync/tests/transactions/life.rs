//! What becomes of transactions when things go wrong that are nobody's fault: branches, lost
//! connections, time that runs out, and limits.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::PushResult;
use nimiq_keys::Address;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_serde::Serialize;
use nimiq_transaction::{SignatureProof, Transaction};
use pico_node::chain::{Payer, ScriptedChain};
use pico_sync::{
    limits,
    query::{Confirmations, HistoryOptions, QueryError, TransactionState},
};
use tokio::time::timeout;

use crate::{
    honest::{
        PATIENCE, Watch, finalise, hash, history, include, notifications, pass, payment, silence,
        states, told, watch,
    },
    support::{blocks, engine::with_peers},
    world::{World, address, coin},
};

/// Why a transaction is not sent.
async fn refusal(world: &World, transaction: &Transaction) -> String {
    match world.queries.send(&transaction.serialize_to_vec()).await {
        Err(QueryError::InvalidTransaction(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The whole chain goes over to the branch.
async fn rebranch(world: &mut World, branch: &ScriptedChain, from: u32) {
    let source = world.network_peers()[0];
    for number in from..=branch.height() {
        let block = branch.block_at(number).unwrap();
        let blockchain = world.chain.blockchain();
        let pushed = Blockchain::push(blockchain.upgradable_read(), block.clone()).unwrap();
        let is_head = number == branch.height();
        assert_eq!(
            pushed == PushResult::Rebranched,
            is_head,
            "{number}: {pushed:?}"
        );
        let header = blocks::header(&block);
        world.network.gossip(source, header).await;
    }
    world.engine.until_head(branch.height()).await;
}

// --- Branches -------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn what_is_reverted_is_followed_on() {
    let mut world = World::with_nodes(3).await;
    let mut watch = watch(&world, &[address(1)], 3).await;
    let parent = world.chain.height();
    let mut branch = world.chain.fork_at(parent).unwrap();
    let transaction = payment(&world, 1, 5);
    world
        .queries
        .send(&transaction.serialize_to_vec())
        .await
        .unwrap();
    include(&mut world, vec![transaction.clone()]).await;
    let first = [told(&mut watch).await, told(&mut watch).await];
    assert_eq!(
        states(&first),
        [TransactionState::Pending, TransactionState::Included]
    );
    assert_eq!(first[1].block_number, Some(parent + 1));

    // Another branch wins, without it; later it is included there.
    branch.extend_micro(2).unwrap();
    rebranch(&mut world, &branch, parent + 1).await;
    assert_eq!(
        world.queries.transaction(&hash(&transaction)).await,
        Ok(None)
    );
    silence(&mut watch).await;
    include(&mut world, vec![transaction.clone()]).await;
    silence(&mut watch).await;
    finalise(&mut world).await;
    let last = told(&mut watch).await;
    assert_eq!(last.state, TransactionState::Finalized);
    assert_eq!(last.block_number, Some(parent + 3));
    silence(&mut watch).await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_both_branches_is_told_of_once() {
    let mut world = World::with_nodes(2).await;
    let mut watch = watch(&world, &[address(1)], 2).await;
    let parent = world.chain.height();
    let mut branch = world.chain.fork_at(parent).unwrap();
    let theirs = payment(&world, 1, 5);
    include(&mut world, vec![theirs.clone()]).await;
    assert_eq!(told(&mut watch).await.state, TransactionState::Included);
    branch.extend_micro(1).unwrap();
    let again = branch.extend_with(vec![theirs.clone()]).unwrap();
    for (peer, receipts) in notifications(&world, &again) {
        world.network.notify(peer, receipts).await;
    }
    rebranch(&mut world, &branch, parent + 1).await;
    silence(&mut watch).await;
    finalise(&mut world).await;
    let last = told(&mut watch).await;
    assert_eq!(
        (last.state, last.block_number),
        (TransactionState::Finalized, Some(parent + 2))
    );
    world.finish(&[]).await;
}

// --- Time -----------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn what_nobody_includes_expires() {
    let mut world = World::with_nodes(3).await;
    let mut watch = watch(&world, &[address(2)], 3).await;
    let transaction = payment(&world, 1, 5);
    let last = transaction.validity_start_height + Policy::transaction_validity_window_blocks() - 1;
    world
        .queries
        .send(&transaction.serialize_to_vec())
        .await
        .unwrap();
    assert_eq!(told(&mut watch).await.state, TransactionState::Pending);
    while Policy::last_macro_block(world.chain.height()) < last {
        assert!(watch.next().now_or_never().is_none());
        world.grow().await;
    }
    let awaited = hash(&transaction);
    let waiting = world.queries.wait_for(&awaited, Confirmations::Included);
    let (expired, waited) = futures::join!(told(&mut watch), timeout(PATIENCE, waiting));
    assert_eq!(expired.state, TransactionState::Expired);
    assert_eq!(waited.unwrap().unwrap().state, TransactionState::Expired);
    let why = refusal(&world, &transaction).await;
    assert!(why.contains("expired"), "{why}");
    silence(&mut watch).await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_is_published_again() {
    let mut world = World::with_nodes(2).await;
    let transaction = payment(&world, 1, 5);
    let raw = transaction.serialize_to_vec();
    world.queries.send(&raw).await.unwrap();
    pass(&mut world, 28, Duration::from_secs(5)).await;
    assert_eq!(world.network.published().len(), 3);
    // To send it again publishes it at once.
    let again = world.queries.send(&raw).await.unwrap();
    assert_eq!(again.state, TransactionState::Pending);
    assert_eq!(world.network.published().len(), 4);
    include(&mut world, vec![transaction.clone()]).await;
    world
        .queries
        .wait_for(&hash(&transaction), Confirmations::Included)
        .await
        .unwrap();
    pass(&mut world, 28, Duration::from_secs(5)).await;
    assert_eq!(world.network.published().len(), 4);
    world.finish(&[]).await;
}

// --- Connections ----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_over_reconnects_and_catches_up() {
    let mut world = World::begin(with_peers(2));
    let nodes = [world.add_node(), world.add_node()];
    world.engine.until("consensus established").await;
    let mut watch = watch(&world, &[address(1), address(2)], 2).await;
    let before = payment(&world, 1, 5);
    include(&mut world, vec![before.clone()]).await;
    assert_eq!(told(&mut watch).await.hash, hash(&before));
    for node in &nodes {
        world.network.leave(node.id);
    }
    // What happens now, nobody tells.
    let missed = [payment(&world, 1, 6), payment(&world, 2, 7)];
    for transaction in &missed {
        world.chain.extend_with(vec![transaction.clone()]).unwrap();
    }
    world.engine.run_for(Duration::from_secs(30)).await;
    for node in &nodes {
        assert!(world.network.join(node));
    }
    world.engine.until("consensus established").await;
    world.tell().await;
    let mut found = [told(&mut watch).await, told(&mut watch).await];
    found.sort_by_key(|details| details.transaction.value);
    assert_eq!(
        [&found[0].hash, &found[1].hash],
        [&hash(&missed[0]), &hash(&missed[1])]
    );
    // And it goes on, without telling anything twice.
    world.network.subscribed(&address(1), 2).await;
    let after = payment(&world, 1, 8);
    include(&mut world, vec![after.clone()]).await;
    assert_eq!(told(&mut watch).await.hash, hash(&after));
    finalise(&mut world).await;
    for _ in 0..4 {
        assert_eq!(told(&mut watch).await.state, TransactionState::Finalized);
    }
    silence(&mut watch).await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn who_watches_before_there_is_consensus_is_told_of_nothing_older() {
    let mut world = World::begin(with_peers(2));
    // Of this one there is much in the chain.
    let bank = Payer::funded();
    let mut early: Watch = world.queries.watch(vec![bank.address().clone()]).boxed();
    world.add_node();
    world.add_node();
    world.engine.until("consensus established").await;
    world.network.subscribed(bank.address(), 2).await;
    pass(&mut world, 12, Duration::from_secs(1)).await;
    assert!(early.next().now_or_never().is_none());
    let height = world.chain.height();
    let paid = bank.pay(&address(1), coin(5), height).unwrap();
    include(&mut world, vec![paid.clone()]).await;
    assert_eq!(told(&mut early).await.hash, hash(&paid));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_replaced() {
    let mut world = World::with_nodes(5).await;
    let mut watch = watch(&world, &[address(1)], limits::NOTIFIERS).await;
    let notifying = |world: &World| -> Vec<_> {
        let mut peers = world.network_peers();
        peers.retain(|peer| !world.network.subscribed_at(*peer).is_empty());
        peers
    };
    let at_first = notifying(&world);
    assert_eq!(at_first.len(), limits::NOTIFIERS);
    world.network.leave(at_first[0]);
    world
        .network
        .subscribed(&address(1), limits::NOTIFIERS)
        .await;
    assert_eq!(notifying(&world).len(), limits::NOTIFIERS);
    let seen = payment(&world, 1, 5);
    include(&mut world, vec![seen.clone()]).await;
    assert_eq!(told(&mut watch).await.hash, hash(&seen));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn everything_ends_with_the_engine() {
    let world = World::with_nodes(2).await;
    let mut watching = watch(&world, &[address(1)], 2).await;
    let transaction = payment(&world, 1, 5);
    world
        .queries
        .send(&transaction.serialize_to_vec())
        .await
        .unwrap();
    assert_eq!(told(&mut watching).await.state, TransactionState::Pending);
    let queries = world.queries.clone();
    let awaited = hash(&transaction);
    let waiting = queries.wait_for(&awaited, Confirmations::Finalized);
    let mut walking = queries
        .transactions_by_address(Payer::funded().address().clone(), HistoryOptions::default())
        .boxed();
    assert!(walking.next().await.unwrap().is_ok());
    let raw = payment(&world, 1, 6).serialize_to_vec();
    let (waited, ()) = futures::join!(waiting, world.finish(&[]));
    assert_eq!(waited, Err(QueryError::Closed));
    assert_eq!(watching.next().await, Some(Err(QueryError::Closed)));
    assert_eq!(watching.next().await, None);
    assert_eq!(queries.send(&raw).await, Err(QueryError::Closed));
    assert_eq!(queries.transaction(&awaited).await, Err(QueryError::Closed));
    let rest: Vec<_> = walking.collect().await;
    assert_eq!(rest.last(), Some(&Err(QueryError::Closed)));
    let mut late: Watch = queries.watch(vec![address(1)]).boxed();
    assert_eq!(late.next().await, Some(Err(QueryError::Closed)));
}

// --- Checks before sending ------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn invalid_transactions_are_not_sent_and_it_is_said_why() {
    let mut world = World::with_nodes(2).await;
    let height = world.chain.height();
    let payer = Payer::numbered(1);
    let good = payment(&world, 1, 5);
    let changed = |change: fn(&mut Transaction)| {
        let mut transaction = good.clone();
        change(&mut transaction);
        transaction
    };
    let signed_at = |height| payer.pay(&address(2), coin(5), height).unwrap();
    let window = Policy::transaction_validity_window_blocks();
    let foreign = foreign_payment(&payer, NetworkId::MainAlbatross, height);
    let cases = [
        (changed(|t| t.value = coin(6)), "signature"),
        (changed(|t| t.recipient = address(9)), "signature"),
        (changed(|t| *t.proof.last_mut().unwrap() ^= 1), "signature"),
        (changed(|t| t.value = coin(0)), "zero"),
        (
            changed(|t| t.value = coin(Policy::TOTAL_SUPPLY + 1)),
            "more than there is",
        ),
        (
            changed(|t| {
                t.value = coin(Policy::TOTAL_SUPPLY);
                t.fee = coin(1);
            }),
            "more than there is",
        ),
        (changed(|t| t.recipient = t.sender.clone()), "recipient"),
        (foreign, "network"),
        (signed_at(height - window + 1), "expired"),
        (
            signed_at(height + Policy::blocks_per_batch() + 2),
            "not valid before",
        ),
    ];
    for (transaction, reason) in &cases {
        let why = refusal(&world, transaction).await;
        assert!(why.contains(reason), "{why} should be about {reason}");
    }
    assert!(world.network.published().is_empty());
    // The first and the last that pass.
    for height in [height - window + 2, height + Policy::blocks_per_batch() + 1] {
        let transaction = signed_at(height);
        world
            .queries
            .send(&transaction.serialize_to_vec())
            .await
            .unwrap();
    }

    // What is in the chain already, whether we followed it or not.
    let old = payment(&world, 3, 5);
    include(&mut world, vec![old.clone()]).await;
    let why = refusal(&world, &old).await;
    assert!(why.contains("sent before"), "{why}");
    world.queries.send(&good.serialize_to_vec()).await.unwrap();
    include(&mut world, vec![good.clone()]).await;
    world
        .queries
        .wait_for(&hash(&good), Confirmations::Included)
        .await
        .unwrap();
    let why = refusal(&world, &good).await;
    assert!(why.contains("sent before"), "{why}");
    finalise(&mut world).await;
    let why = refusal(&world, &good).await;
    assert!(why.contains("sent before"), "{why}");
    world.finish(&[]).await;
}

/// A payment for another network, signed for it.
fn foreign_payment(payer: &Payer, network: NetworkId, height: u32) -> Transaction {
    let mut transaction = Transaction::new_basic(
        payer.address().clone(),
        address(2),
        coin(5),
        coin(0),
        height,
        network,
    );
    let pair = payer.key_pair();
    let signature = pair.sign(transaction.serialize_content().as_slice());
    transaction.proof = SignatureProof::from_ed25519(pair.public, signature).serialize_to_vec();
    transaction
}

#[tokio::test(start_paused = true)]
async fn with_nobody_who_takes_it_a_transaction_is_not_sent() {
    let mut world = World::with_nodes(2).await;
    world.network.set_deaf(true);
    let transaction = payment(&world, 1, 5);
    let raw = transaction.serialize_to_vec();
    let sent = world.queries.send(&raw).await;
    assert!(matches!(sent, Err(QueryError::NoPeers(_))), "{sent:?}");
    // Nothing is left of it, so it can be sent anew; two at once are one.
    world.network.set_deaf(false);
    let (one, two) = futures::join!(world.queries.send(&raw), world.queries.send(&raw));
    assert_eq!(one.unwrap().state, TransactionState::Pending);
    assert_eq!(two.unwrap().state, TransactionState::Pending);
    assert_eq!(world.network.published().len(), 1);
    world.grow().await;
    world.finish(&[]).await;
}

// --- Limits ---------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn no_more_addresses_are_watched_than_nodes_take() {
    let world = World::with_nodes(3).await;
    let many: Vec<Address> = (0..limits::MAX_WATCHED_ADDRESSES as u64)
        .map(address)
        .collect();
    let first = watch(&world, &many, limits::NOTIFIERS).await;
    // The same ones again are no more.
    let mut again: Watch = world.queries.watch(many.clone()).boxed();
    silence(&mut again).await;
    let mut more: Watch = world.queries.watch(vec![address(10_000)]).boxed();
    let refused = timeout(PATIENCE, more.next()).await.unwrap();
    assert!(
        matches!(refused, Some(Err(QueryError::NotFound(_)))),
        "{refused:?}"
    );
    assert_eq!(more.next().await, None);
    // Until there is room.
    drop((first, again));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let more = watch(&world, &[address(10_000)], limits::NOTIFIERS).await;
    for peer in world.network_peers() {
        let at = world.network.subscribed_at(peer);
        assert!(at.len() <= limits::MAX_WATCHED_ADDRESSES);
        // 10 in 10 s is what a node takes.
        assert!(world.network.requests_to(peer, "subscribe") <= 10);
    }
    drop(more);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_transactions_at_a_time_are_all_told_of() {
    let mut world = World::with_nodes(3).await;
    let recipient = address(20_000);
    let mut watch = watch(&world, std::slice::from_ref(&recipient), 3).await;
    let bank = Payer::funded();
    let mut sent = 0;
    for block in 0..4_u64 {
        let height = world.chain.height();
        let pay = |i| {
            bank.pay(&recipient, coin(1 + 1000 * block + i), height)
                .unwrap()
        };
        let transactions: Vec<_> = (0..300).map(pay).collect();
        sent += transactions.len();
        include(&mut world, transactions).await;
    }
    let mut included = std::collections::HashSet::new();
    for _ in 0..sent {
        let details = told(&mut watch).await;
        assert_eq!(details.state, TransactionState::Included);
        assert!(included.insert(details.hash));
    }
    finalise(&mut world).await;
    for _ in 0..sent {
        assert_eq!(told(&mut watch).await.state, TransactionState::Finalized);
    }
    silence(&mut watch).await;
    let all = history(&world, &recipient, HistoryOptions::default())
        .await
        .unwrap();
    assert_eq!(all.len(), sent);
    for peer in world.network_peers() {
        assert!(world.network.requests_to(peer, "receipts") <= 20);
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_is_told_so() {
    let mut world = World::with_nodes(2).await;
    let recipient = address(20_000);
    let mut watch = watch(&world, std::slice::from_ref(&recipient), 2).await;
    let bank = Payer::funded();
    let mut left = limits::WATCH_BUFFER + 1;
    let mut value = 0;
    while left > 0 {
        let height = world.chain.height();
        let count = left.min(600);
        left -= count;
        let transactions = (0..count)
            .map(|_| {
                value += 1;
                bank.pay(&recipient, coin(value), height).unwrap()
            })
            .collect();
        include(&mut world, transactions).await;
        world.engine.run_for(Duration::from_secs(2)).await;
        if Policy::is_macro_block_at(world.chain.height() + 1) {
            world.grow().await;
        }
    }
    world.engine.run_for(Duration::from_secs(3)).await;
    let mut told = 0;
    let end = loop {
        match timeout(PATIENCE, watch.next()).await.unwrap() {
            Some(Ok(_)) => told += 1,
            end => break end,
        }
    };
    assert_eq!(told, limits::WATCH_BUFFER);
    assert!(matches!(end, Some(Err(QueryError::Timeout(_)))), "{end:?}");
    world.finish(&[]).await;
}
