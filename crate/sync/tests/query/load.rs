//! Many questions at once: all are answered, and no limit of a node is tripped.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use parking_lot::Mutex;
use pico_sync::query::BlockId;
use tokio::time::Instant;

use crate::{
    support::{
        blocks::{BATCH, EPOCH, election},
        engine::with_peers,
        peer::{LATENCY, Peer, Question},
    },
    world::{EPOCHS, World, address, paid},
};

/// How nodes limit requests: so many within any 10 s.
const LIMITS: [(&str, usize); 4] = [
    ("block", 200),
    ("missing", 200),
    ("trie-proof", 50),
    ("blocks-proof", 50),
];

/// When a peer was asked, by peer and kind of question.
type Asked = HashMap<(u32, &'static str), Vec<Instant>>;

/// When a peer was asked for what.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Asked>>);

impl Ledger {
    /// A node that notes each question, and answers in its own time.
    fn watch(
        &self,
        node: &Arc<Peer>,
        latency: impl Fn(&Question) -> Duration + Send + Sync + 'static,
    ) {
        let (ledger, id) = (self.0.clone(), node.id.0);
        node.set_script(move |question, reply| {
            let mut ledger = ledger.lock();
            let asked = ledger.entry((id, question.kind())).or_default();
            asked.push(Instant::now());
            (latency(question), reply)
        });
    }

    /// Holds that no node was asked too often, in whichever 10 s it counts.
    fn check(&self) {
        for ((peer, kind), asked) in self.0.lock().iter() {
            let Some((_, limit)) = LIMITS.iter().find(|(limited, _)| limited == kind) else {
                continue;
            };
            for window in asked.windows(limit + 1) {
                let took = *window.last().unwrap() - window[0];
                assert!(took > Duration::from_secs(10), "p{peer} {kind}: {took:?}");
            }
        }
    }

    fn count(&self, kind: &str) -> usize {
        let ledger = self.0.lock();
        let of_kind = ledger.iter().filter(|((_, asked), _)| *asked == kind);
        of_kind.map(|(_, asked)| asked.len()).sum()
    }
}

async fn world(nodes: u32, ledger: &Ledger) -> World {
    let mut world = World::begin(with_peers(nodes as usize));
    for i in 0..nodes {
        let node = world.node();
        ledger.watch(&node, move |_| LATENCY * (i + 1));
        world.network.join(&node);
    }
    world.engine.until("consensus established").await;
    world
}

async fn ask_for_accounts(world: &World, calls: u64) {
    // Each call in a task of its own, as in a page.
    let ask = |i: u64| {
        let queries = world.queries.clone();
        tokio::spawn(async move {
            let answers = queries.accounts(&[address(i % 250 + 8)]).await.unwrap();
            let account = answers[0].value.clone().unwrap();
            assert_eq!(u64::from(account.balance()), paid(i % 250 + 8));
        })
    };
    for call in join_all((0..calls).map(ask)).await {
        call.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_at_once_are_answered_at_once() {
    let ledger = Ledger::default();
    let world = world(3, &ledger).await;
    let start = Instant::now();
    ask_for_accounts(&world, 50).await;
    assert!(start.elapsed() < Duration::from_millis(200));
    // They went together.
    assert_eq!(ledger.count("trie-proof"), 1);
    ledger.check();
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn calls_one_after_the_other_wait_for_their_turn() {
    let ledger = Ledger::default();
    let world = world(2, &ledger).await;
    let start = Instant::now();
    for _ in 0..200 {
        ask_for_accounts(&world, 1).await;
    }
    ledger.check();
    assert_eq!(ledger.count("trie-proof"), 200);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn calls_at_any_time_are_all_answered() {
    let ledger = Ledger::default();
    let world = world(2, &ledger).await;
    // Fifty a second, each at a time of its own, which is seven times what the limits allow.
    let ask = |i: u64| {
        let queries = world.queries.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(20 * i)).await;
            queries.accounts(&[address(i % 290 + 8)]).await.unwrap();
        }
    };
    join_all((0..1000).map(ask)).await;
    ledger.check();
    assert!(ledger.count("trie-proof") < 200);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_takes_nobody_along() {
    let ledger = Ledger::default();
    let world = world(2, &ledger).await;
    let (first, second) = (world.queries.clone(), world.queries.clone());
    let (one, two) = ([address(1)], [address(2)]);
    let mut given_up = Box::pin(first.accounts(&one));
    let mut kept = Box::pin(second.accounts(&two));
    assert!(futures::poll!(&mut given_up).is_pending());
    assert!(futures::poll!(&mut kept).is_pending());
    drop(given_up);
    assert_eq!(kept.await.unwrap().len(), 1);

    // And where all give up, the next one begins anew.
    let mut given_up = Box::pin(first.accounts(&one));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(world.queries.accounts(&two).await.unwrap().len(), 1);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn many_blocks_at_once() {
    let ledger = Ledger::default();
    let world = world(3, &ledger).await;
    // All from the last epoch but one: each takes a walk.
    let first = election(EPOCHS - 1) + 1;
    let ask = |i: u32| {
        let queries = world.queries.clone();
        async move {
            let number = first + i * 2;
            let block = queries.block(BlockId::Number(number)).await.unwrap();
            assert_eq!(block.block_number(), number);
        }
    };
    join_all((0..EPOCH / 2 - 1).map(ask)).await;
    ledger.check();
    assert!(ledger.count("missing") >= (EPOCH / BATCH) as usize);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_counted_as_long_as_they_take() {
    let ledger = Ledger::default();
    let mut world = World::begin(with_peers(1));
    let node = world.node();
    ledger.watch(&node, |question| match question.kind() {
        "trie-proof" => Duration::from_millis(4500),
        _ => LATENCY,
    });
    world.network.join(&node);
    world.engine.until("consensus established").await;
    for _ in 0..6 {
        // Two at a time, in requests of their own.
        let ask = |i: u64| {
            let queries = world.queries.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(i)).await;
                queries.accounts(&[address(i + 8)]).await.unwrap();
            }
        };
        join_all((0..10).map(ask)).await;
    }
    ledger.check();
    assert!(ledger.count("trie-proof") > 30);
    world.finish(&[]).await;
}
