//! Transactions from nodes that tell the truth: found by hash and by address, watched, sent and
//! followed to where they are final.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt};
use nimiq_block::Block;
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::request::RequestCommon;
use nimiq_primitives::policy::Policy;
use nimiq_serde::Serialize;
use nimiq_transaction::{Transaction, account::staking_contract::IncomingStakingTransactionData};
use pico_node::chain::{Payer, ValidatorKeys};
use pico_sync::{
    limits,
    messages::{
        RequestSubscribeToAddress, RequestTransactionReceiptsByAddress, RequestTrieProof,
        SubscribeToAddressesError,
    },
    query::{Confirmations, HistoryOptions, QueryError, TransactionDetails, TransactionState},
};
use tokio::time::{Instant, timeout};

use crate::{
    support::{
        blocks::{BATCH, election},
        engine::with_peers,
        network::PeerId,
        peer::{LATENCY, Question, Reply},
    },
    world::{ACCOUNTS, EPOCHS, HEIGHT, STAKER, World, address, coin, paid},
};

/// Longest wait for what must come, in virtual time.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Who watches.
pub type Watch = Pin<Box<dyn Stream<Item = Result<TransactionDetails, QueryError>> + Send>>;

pub fn hash(transaction: &Transaction) -> Blake2bHash {
    transaction.hash()
}

/// Everything of an address.
pub async fn history(
    world: &World,
    address: &Address,
    options: HistoryOptions,
) -> Result<Vec<TransactionDetails>, QueryError> {
    let stream = world
        .queries
        .transactions_by_address(address.clone(), options);
    let all = stream.collect::<Vec<_>>();
    let all = timeout(PATIENCE, all)
        .await
        .expect("the history has an end");
    all.into_iter().collect()
}

/// Payments of account `i` to account `i + 1`, valid now.
pub fn payment(world: &World, i: u64, luna: u64) -> Transaction {
    let payer = Payer::numbered(i);
    payer
        .pay(&address(i + 1), coin(luna), world.chain.height())
        .unwrap()
}

/// Who would be notified of a block, and of what, as a node does it.
pub fn notifications(world: &World, block: &Block) -> Vec<(PeerId, Vec<(Blake2bHash, u32)>)> {
    let mut all = Vec::new();
    for peer in world.network_peers() {
        let addresses = world.network.subscribed_at(peer);
        let mut receipts = Vec::new();
        for executed in block.transactions().unwrap_or_default() {
            let transaction = executed.get_raw_transaction();
            let mut touched = vec![transaction.sender.clone(), transaction.recipient.clone()];
            if let Ok(IncomingStakingTransactionData::AddStake { staker_address }) =
                IncomingStakingTransactionData::parse(transaction)
            {
                touched.push(staker_address);
            }
            for address in touched {
                if addresses.contains(&address) {
                    receipts.push((hash(transaction), block.block_number()));
                }
            }
        }
        if !receipts.is_empty() {
            all.push((peer, receipts));
        }
    }
    all
}

/// The chain grows by a block with these transactions, of which everybody is told who wants to be.
pub async fn include(world: &mut World, transactions: Vec<Transaction>) -> Block {
    let block = world.chain.extend_with(transactions).unwrap();
    for (peer, receipts) in notifications(world, &block) {
        world.network.notify(peer, receipts).await;
    }
    world.tell().await;
    block
}

/// The chain grows to the next macro block.
pub async fn finalise(world: &mut World) {
    let end = Policy::macro_block_after(world.chain.height());
    while world.chain.height() < end {
        world.grow().await;
    }
}

/// Time passes, with a block every `step`.
pub async fn pass(world: &mut World, blocks: u32, step: Duration) {
    for _ in 0..blocks {
        world.grow().await;
        world.engine.run_for(step).await;
    }
}

/// What a watcher is told next.
pub async fn told(watch: &mut Watch) -> TransactionDetails {
    let next = timeout(PATIENCE, watch.next()).await;
    next.expect("something is told")
        .expect("the watch goes on")
        .expect("no error")
}

/// Holds that a watcher is told nothing for a while.
pub async fn silence(watch: &mut Watch) {
    let next = timeout(Duration::from_secs(3), watch.next()).await;
    assert!(next.is_err(), "{next:?}");
}

/// Watches addresses, and waits until so many peers notify of each.
pub async fn watch(world: &World, addresses: &[Address], peers: usize) -> Watch {
    let watch = world.queries.watch(addresses.to_vec()).boxed();
    for address in addresses {
        world.network.subscribed(address, peers).await;
    }
    watch
}

pub fn states(told: &[TransactionDetails]) -> Vec<TransactionState> {
    told.iter().map(|details| details.state).collect()
}

// --- By hash and by address -----------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_transaction_is_found_by_its_hash() {
    let mut world = World::with_nodes(3).await;
    let recent = payment(&world, 1, 5);
    include(&mut world, vec![recent.clone()]).await;
    let number = world.chain.height();

    let found = world
        .queries
        .transaction(&hash(&recent))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.transaction, recent);
    assert_eq!(found.hash, hash(&recent));
    assert_eq!(found.state, TransactionState::Included);
    assert_eq!(found.block_number, Some(number));
    let block = world.chain.block_at(number).unwrap();
    assert_eq!(found.timestamp, Some(block.timestamp()));
    assert_eq!(found.confirmations, Some(1));
    assert_eq!(found.executed, Some(true));

    // In a batch and in an epoch that have ended.
    finalise(&mut world).await;
    for _ in 0..2 {
        world.grow().await;
        let found = world
            .queries
            .transaction(&hash(&recent))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, TransactionState::Finalized);
        let confirmations = world.chain.height() - number + 1;
        assert_eq!(found.confirmations, Some(confirmations));
        while !Policy::is_election_block_at(world.chain.height()) {
            world.grow().await;
        }
    }

    let unknown = Blake2bHash([7; 32]);
    assert_eq!(world.queries.transaction(&unknown).await, Ok(None));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_any_epoch_is_proven() {
    let mut world = World::with_nodes(2).await;
    // Rewards are in the macro blocks of every epoch.
    let reward_address = Payer::funded().address().clone();
    let rewards = history(&world, &reward_address, HistoryOptions::default())
        .await
        .unwrap();
    let mut epochs: Vec<u32> = rewards
        .iter()
        .map(|details| Policy::epoch_at(details.block_number.unwrap()))
        .collect();
    epochs.dedup();
    assert_eq!(epochs, (1..=EPOCHS + 1).rev().collect::<Vec<_>>());
    for details in rewards.iter().step_by(7) {
        let found = world.queries.transaction(&details.hash).await.unwrap();
        assert_eq!(found.as_ref(), Some(details));
    }
    let reward = rewards
        .iter()
        .find(|details| details.transaction.sender == Policy::COINBASE_ADDRESS)
        .unwrap();
    assert_eq!(reward.transaction.recipient, reward_address);
    assert_eq!(
        reward.transaction.validity_start_height,
        reward.block_number.unwrap()
    );
    assert_ne!(reward.hash, hash(&reward.transaction));
    world.grow().await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_history_of_an_address_is_complete_and_in_order() {
    let mut world = World::with_nodes(3).await;
    let bank = Payer::funded().address().clone();
    // All that the bank paid, and its rewards.
    let all = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    let paid_out = all
        .iter()
        .filter(|details| details.transaction.sender == bank);
    assert_eq!(paid_out.clone().count() as u64, ACCOUNTS);
    let rewards = all.len() as u64 - ACCOUNTS;
    assert_eq!(rewards, u64::from((HEIGHT - election(0)) / BATCH) - 1);
    assert!(all.is_sorted_by(|a, b| a.block_number >= b.block_number));
    for details in paid_out {
        let i = (0..ACCOUNTS)
            .find(|i| address(*i) == details.transaction.recipient)
            .unwrap();
        assert_eq!(details.transaction.value, coin(paid(i)));
        assert_eq!(details.state, TransactionState::Finalized);
    }

    let limited = HistoryOptions {
        limit: Some(70),
        ..HistoryOptions::default()
    };
    assert_eq!(history(&world, &bank, limited).await.unwrap(), all[..70]);
    let continued = HistoryOptions {
        start_at: Some(all[69].hash.clone()),
        ..HistoryOptions::default()
    };
    assert_eq!(history(&world, &bank, continued).await.unwrap(), all[70..]);
    let since = all[100].block_number.unwrap();
    let recent = HistoryOptions {
        since_block: Some(since),
        ..HistoryOptions::default()
    };
    let expected: Vec<_> = all
        .iter()
        .filter(|details| details.block_number >= Some(since))
        .cloned()
        .collect();
    assert_eq!(history(&world, &bank, recent).await.unwrap(), expected);

    // Of the current batch as well, and of an address of which there is nothing.
    let one = payment(&world, STAKER, 3);
    let two = payment(&world, STAKER, 4);
    include(&mut world, vec![one.clone()]).await;
    world.grow().await;
    include(&mut world, vec![two.clone()]).await;
    let staker = history(&world, &address(STAKER), HistoryOptions::default())
        .await
        .unwrap();
    let hashes: Vec<_> = staker.iter().map(|details| details.hash.clone()).collect();
    assert_eq!(hashes[..2], [hash(&two), hash(&one)]);
    assert_eq!(staker.len(), 4);
    let nothing = history(&world, &address(ACCOUNTS + 5), HistoryOptions::default()).await;
    assert_eq!(nothing, Ok(Vec::new()));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_fails_is_shown_as_failed() {
    let mut world = World::with_nodes(2).await;
    let failing = Payer::numbered(3)
        .failing(&address(ACCOUNTS + 1), coin(10), world.chain.height())
        .unwrap();
    let mut watch = watch(&world, &[address(ACCOUNTS + 1)], 2).await;
    include(&mut world, vec![failing.clone()]).await;
    let details = told(&mut watch).await;
    assert_eq!(details.hash, hash(&failing));
    assert_eq!(details.state, TransactionState::Failed);
    assert_eq!(details.executed, Some(false));
    finalise(&mut world).await;
    silence(&mut watch).await;
    let found = world
        .queries
        .transaction(&hash(&failing))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.state, TransactionState::Failed);
    let awaited = hash(&failing);
    let waited = world
        .queries
        .wait_for(&awaited, Confirmations::Finalized)
        .await;
    assert_eq!(waited.unwrap().state, TransactionState::Failed);
    world.finish(&[]).await;
}

// --- Sending and watching -------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_payment_goes_from_pending_to_finalized() {
    let mut world = World::with_nodes(3).await;
    let mut sender = watch(&world, &[address(1)], 3).await;
    let mut recipient = watch(&world, &[address(2)], 3).await;
    let transaction = payment(&world, 1, 77);
    let raw = transaction.serialize_to_vec();

    let sent = world.queries.send(&raw).await.unwrap();
    assert_eq!(sent.state, TransactionState::Pending);
    assert_eq!(sent.hash, hash(&transaction));
    assert_eq!(world.network.published(), [("regular-transaction", raw)]);
    let queries = world.queries.clone();
    let awaited = hash(&transaction);
    let included = async { queries.wait_for(&awaited, Confirmations::Included).await };
    let finalized = async { queries.wait_for(&awaited, Confirmations::Finalized).await };

    let happens = async {
        include(&mut world, vec![transaction.clone()]).await;
        finalise(&mut world).await;
        world
    };
    let (included, finalized, mut world) = futures::join!(included, finalized, happens);
    assert_eq!(included.unwrap().state, TransactionState::Included);
    assert_eq!(finalized.unwrap().state, TransactionState::Finalized);
    for watch in [&mut sender, &mut recipient] {
        let told = [told(watch).await, told(watch).await, told(watch).await];
        assert_eq!(
            states(&told),
            [
                TransactionState::Pending,
                TransactionState::Included,
                TransactionState::Finalized
            ]
        );
        assert!(
            told.iter()
                .all(|details| details.hash == hash(&transaction))
        );
        silence(watch).await;
    }
    world.grow().await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_others_do_is_told_of_once() {
    let mut world = World::with_nodes(3).await;
    let mut both = watch(&world, &[address(1), address(2)], 3).await;
    // Touches two watched addresses; another touches none.
    let seen = payment(&world, 1, 5);
    let unseen = payment(&world, 8, 5);
    let block = include(&mut world, vec![seen.clone(), unseen]).await;
    let details = told(&mut both).await;
    assert_eq!(
        (details.hash, details.state),
        (hash(&seen), TransactionState::Included)
    );
    // Once more from everybody, at once and later.
    for (peer, receipts) in notifications(&world, &block) {
        world.network.notify(peer, receipts).await;
    }
    finalise(&mut world).await;
    assert_eq!(told(&mut both).await.state, TransactionState::Finalized);
    for (peer, receipts) in notifications(&world, &block) {
        world.network.notify(peer, receipts).await;
    }
    silence(&mut both).await;

    // When the last watcher leaves, nobody is to notify us any more.
    drop(both);
    while world.network.hears_notifications() {
        world.engine.run_for(Duration::from_secs(1)).await;
    }
    for peer in world.network_peers() {
        assert!(world.network.subscribed_at(peer).is_empty());
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn control_transactions_have_a_topic_of_their_own() {
    let mut world = World::with_nodes(1).await;
    let reactivation = ValidatorKeys::unit_albatross().reactivation(world.chain.height());
    let raw = reactivation.serialize_to_vec();
    world.queries.send(&raw).await.unwrap();
    assert_eq!(world.network.published(), [("control-transaction", raw)]);
    world.grow().await;
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_found_to_be_included_without_any_notification() {
    let mut world = World::begin(with_peers(2));
    for _ in 0..2 {
        let node = world.node();
        // Nobody notifies.
        node.set_script(|question, reply| {
            let reply = match question.is::<RequestSubscribeToAddress>() {
                Some(_) => Reply::to::<RequestSubscribeToAddress>(&Err(
                    SubscribeToAddressesError::TooManyPeers,
                )),
                None => reply,
            };
            (LATENCY, reply)
        });
        world.network.join(&node);
    }
    world.engine.until("consensus established").await;
    let mut watch: Watch = world.queries.watch(vec![address(2)]).boxed();
    let ours = payment(&world, 1, 5);
    world.queries.send(&ours.serialize_to_vec()).await.unwrap();
    assert_eq!(told(&mut watch).await.state, TransactionState::Pending);
    let theirs = payment(&world, 1, 6);
    include(&mut world, vec![ours.clone(), theirs.clone()]).await;
    let mut found = [told(&mut watch).await, told(&mut watch).await];
    found.sort_by_key(|details| details.transaction.value);
    assert_eq!(
        [&found[0].hash, &found[1].hash],
        [&hash(&ours), &hash(&theirs)]
    );
    assert_eq!(states(&found), [TransactionState::Included; 2]);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_needs_no_sending() {
    let mut world = World::with_nodes(2).await;
    let theirs = payment(&world, 4, 9);
    let awaited = hash(&theirs);
    let queries = world.queries.clone();
    let mut waiting = std::pin::pin!(queries.wait_for(&awaited, Confirmations::Finalized));
    assert!((&mut waiting).now_or_never().is_none());
    pass(&mut world, 20, Duration::from_secs(1)).await;
    assert!((&mut waiting).now_or_never().is_none());
    include(&mut world, vec![theirs]).await;
    assert!((&mut waiting).now_or_never().is_none());
    finalise(&mut world).await;
    let details = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(details.state, TransactionState::Finalized);
    // What is long final is waited for not at all.
    world.grow().await;
    let again = world.queries.wait_for(&awaited, Confirmations::Finalized);
    assert_eq!(
        timeout(PATIENCE, again).await.unwrap().unwrap().hash,
        awaited
    );
    world.finish(&[]).await;
}

// --- And the state --------------------------------------------------------------------------------

/// Has peers answer requests of one type as they would have at `height`, as long as `is_behind` says so.
fn stands_still<R: RequestCommon, F: Fn() -> bool>(
    world: &World,
    height: u32,
    is_behind: F,
) -> impl Fn(&Question, Reply) -> Reply + use<R, F> {
    let old = world.chain.fork_at(height).unwrap().blockchain();
    move |question, reply| match question {
        Question::Other(id, body) if *id == R::TYPE_ID && is_behind() => {
            Reply::Bytes(pico_node::chain::answer(&old, *id, body).unwrap())
        }
        _ => reply,
    }
}

/// The balance of account `i`, as of which block, and how long that took.
async fn balance(world: &World, i: u64) -> (u64, u32, Duration) {
    let begun = Instant::now();
    let answers = world.queries.accounts(&[address(i)]).await.unwrap();
    let account = answers[0].value.as_ref().unwrap();
    let luna = u64::from(account.balance());
    (luna, answers[0].block_number, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn who_knows_of_a_payment_finds_it_in_the_balance() {
    for way in ["hash", "history", "watch", "wait", "send"] {
        let mut world = World::with_nodes(2).await;
        world.get_to_know().await;
        let mut watch = watch(&world, &[address(2)], 2).await;
        let late = stands_still::<RequestTrieProof, _>(&world, HEIGHT, || true);
        let late = world.add_liar(late).await;
        let transaction = payment(&world, 1, 5);
        let hash = hash(&transaction);
        let raw = transaction.serialize_to_vec();
        match way {
            "watch" => {
                include(&mut world, vec![transaction]).await;
                told(&mut watch).await;
            }
            "wait" => {
                let queries = world.queries.clone();
                let wanted = hash.clone();
                let waiting = async move {
                    let wait = queries.wait_for(&wanted, Confirmations::Included);
                    wait.await.unwrap()
                };
                let waiting = tokio::spawn(waiting);
                include(&mut world, vec![transaction]).await;
                waiting.await.unwrap();
            }
            _ => {
                drop(watch);
                world.chain.extend_with(vec![transaction]).unwrap();
                world.tell().await;
                let options = HistoryOptions::default();
                match way {
                    "hash" => drop(world.queries.transaction(&hash).await.unwrap().unwrap()),
                    "history" => drop(history(&world, &address(2), options).await.unwrap()),
                    _ => drop(world.queries.send(&raw).await.unwrap_err()),
                }
            }
        }
        for times in 1..=2 {
            let (luna, number, took) = balance(&world, 2).await;
            assert_eq!((luna, number), (paid(2) + 5, HEIGHT + 1), "{way}");
            // There is somebody else to ask at once, and to be behind is no fault.
            assert!(took < limits::OLDER_STATE_PAUSE, "{way}");
            assert_eq!(
                world.network.requests_to(late, "trie-proof"),
                times,
                "{way}"
            );
        }
        world.finish(&[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_from_before_a_payment_is_asked_for_again() {
    let mut world = World::begin(with_peers(2));
    // As gateways do, which give an answer again for a while.
    let again = Duration::from_millis(250);
    let paid_at: Arc<OnceLock<Instant>> = Arc::default();
    for _ in 0..2 {
        let node = world.node();
        let paid_at = paid_at.clone();
        let old = stands_still::<RequestTrieProof, _>(&world, HEIGHT, move || {
            paid_at.get().is_some_and(|at| at.elapsed() < again)
        });
        node.set_script(move |question, reply| (LATENCY, old(question, reply)));
        world.network.join(&node);
    }
    world.engine.until("consensus established").await;
    let transaction = payment(&world, 1, 5);
    include(&mut world, vec![transaction.clone()]).await;
    let hash = hash(&transaction);
    let wait = world.queries.wait_for(&hash, Confirmations::Included);
    wait.await.unwrap();
    paid_at.set(Instant::now()).unwrap();
    let (luna, number, took) = balance(&world, 2).await;
    assert_eq!((luna, number), (paid(2) + 5, HEIGHT + 1));
    assert!(
        took >= again && took < Duration::from_millis(500),
        "{took:?}"
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_state_from_before_a_payment_is_better_than_none() {
    let mut world = World::begin(with_peers(3));
    for _ in 0..5 {
        let node = world.node();
        let old = stands_still::<RequestTrieProof, _>(&world, HEIGHT, || true);
        node.set_script(move |question, reply| (LATENCY, old(question, reply)));
        world.network.join(&node);
    }
    world.engine.until("consensus established").await;
    let transaction = payment(&world, 1, 5);
    include(&mut world, vec![transaction.clone()]).await;
    // As long as nobody was told, it is as good as any.
    assert_eq!(balance(&world, 2).await, (paid(2), HEIGHT, LATENCY));
    let before = asked_for_state(&world);
    let found = world.queries.transaction(&hash(&transaction)).await;
    assert_eq!(found.unwrap().unwrap().block_number, Some(HEIGHT + 1));
    let (luna, number, took) = balance(&world, 2).await;
    assert_eq!((luna, number), (paid(2), HEIGHT));
    assert!(took < Duration::from_millis(1500), "{took:?}");
    let most = limits::OLDER_STATE_VOICES * (limits::OLDER_STATE_RETRIES + 1);
    assert_eq!(asked_for_state(&world) - before, most);
    world.finish(&[]).await;
}

/// How often peers were asked for the state.
fn asked_for_state(world: &World) -> usize {
    let peers = world.network_peers().into_iter();
    peers
        .map(|peer| world.network.requests_to(peer, "trie-proof"))
        .sum()
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_in_the_history() {
    let mut world = World::begin(with_peers(2));
    // Of this one peers have receipts, and of those that come after it they have none yet.
    let first = payment(&world, 1, 5);
    world.chain.extend_with(vec![first.clone()]).unwrap();
    for _ in 0..2 {
        let node = world.node();
        let old =
            stands_still::<RequestTransactionReceiptsByAddress, _>(&world, HEIGHT + 1, || true);
        node.set_script(move |question, reply| (LATENCY, old(question, reply)));
        world.network.join(&node);
    }
    world.engine.until("consensus established").await;
    let mut watch = watch(&world, &[address(2)], 2).await;
    let mut all = vec![hash(&first)];
    for luna in 6..8 {
        let transaction = payment(&world, 1, luna);
        include(&mut world, vec![transaction]).await;
        all.insert(0, told(&mut watch).await.hash);
    }
    let options = |limit, since_block, start_at| HistoryOptions {
        limit,
        since_block,
        start_at,
    };
    let list = async |options| {
        let found = history(&world, &address(2), options).await.unwrap();
        let states = states(&found);
        assert!(
            states
                .iter()
                .all(|state| *state != TransactionState::Pending)
        );
        let hashes = found.into_iter().map(|details| details.hash);
        hashes.collect::<Vec<_>>()
    };
    let found = list(options(None, None, None)).await;
    assert_eq!(found[..3], all);
    assert_eq!(found.len(), 4, "what the account was paid first, too");
    assert_eq!(list(options(Some(2), None, None)).await, all[..2]);
    assert_eq!(list(options(None, Some(HEIGHT + 3), None)).await, all[..1]);
    assert_eq!(
        list(options(None, None, Some(all[2].clone()))).await,
        found[3..]
    );
    // Others have nothing to do with it.
    let others = history(&world, &address(3), HistoryOptions::default()).await;
    assert_eq!(others.unwrap().len(), 1);
    world.finish(&[]).await;
}
