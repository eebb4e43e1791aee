//! Transactions from nodes that lie: whatever they say, the answer is right and comes from another,
//! and who said what no honest node says is banned.

use std::time::Duration;

use futures::StreamExt;
use nimiq_block::Block;
use nimiq_hash::{Blake2bHash, Blake2bHasher, Hasher};
use nimiq_keys::Address;
use nimiq_network_interface::request::RequestCommon;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_transaction::{
    ExecutedTransaction, Transaction,
    historic_transaction::{HistoricTransaction, HistoricTransactionData},
};
use pico_sync::{
    messages::{
        RequestTransactionReceiptsByAddress, RequestTransactionsProof,
        ResponseTransactionReceiptsByAddress, ResponseTransactionsProof,
    },
    query::{HistoryOptions, QueryError, TransactionState},
};
use rand::{RngExt as Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::{
    honest::{self, Watch, hash, history, include, payment, silence, told},
    support::{engine::with_peers, network::PeerId, peer::Reply},
    world::{ACCOUNTS, STAKER, World, address, coin, damaged},
};

type Proof = RequestTransactionsProof;
type Receipts = RequestTransactionReceiptsByAddress;

/// A change that no honest node makes to a proof.
type Mutation = fn(&mut ResponseTransactionsProof);

fn basic(leaf: &mut HistoricTransaction) -> &mut ExecutedTransaction {
    match &mut leaf.data {
        HistoricTransactionData::Basic(executed) => executed,
        other => panic!("{other:?} is no transaction"),
    }
}

fn inner(leaf: &mut HistoricTransaction) -> &mut Transaction {
    match basic(leaf) {
        ExecutedTransaction::Ok(transaction) | ExecutedTransaction::Err(transaction) => transaction,
    }
}

fn header<R>(
    block: &mut Block,
    of_macro: fn(&mut nimiq_block::MacroHeader) -> R,
    of_micro: fn(&mut nimiq_block::MicroHeader) -> R,
) -> R {
    match block {
        Block::Macro(block) => of_macro(&mut block.header),
        Block::Micro(block) => of_micro(&mut block.header),
    }
}

/// A history of which the transaction is all there is, and a block that says so.
fn forge(response: &mut ResponseTransactionsProof) {
    let mut leaf = 1_u64.to_be_bytes().to_vec();
    leaf.extend(response.proof.history[0].serialize_to_vec());
    let root = Blake2bHasher::new().digest(&leaf);
    response.proof.proof.mmr_size = 1;
    response.proof.proof.nodes.clear();
    response.proof.positions = vec![0];
    match &mut response.block {
        Block::Macro(block) => {
            block.header.history_root = root;
            block.header.cached_hash = None;
        }
        Block::Micro(block) => {
            block.header.history_root = root;
            block.header.cached_hash = None;
        }
    }
}

/// What each does, and whether it is beyond any excuse.
const MUTATIONS: &[(&str, Mutation)] = &[
    ("a node less at the front", |r| {
        r.proof.proof.nodes.remove(0);
    }),
    ("a node less at the back", |r| {
        r.proof.proof.nodes.pop();
    }),
    ("no nodes", |r| r.proof.proof.nodes.clear()),
    ("a node more", |r| {
        r.proof.proof.nodes.push(Blake2bHash([1; 32]))
    }),
    ("a node twice", |r| {
        let node = r.proof.proof.nodes[0].clone();
        r.proof.proof.nodes.insert(0, node);
    }),
    ("very many nodes", |r| {
        r.proof.proof.nodes.extend(vec![Blake2bHash([1; 32]); 5000])
    }),
    ("the first node changed", |r| {
        r.proof.proof.nodes[0].0[31] ^= 1
    }),
    ("the last node changed", |r| {
        r.proof.proof.nodes.last_mut().unwrap().0[0] ^= 0x80;
    }),
    ("nodes in another order", |r| r.proof.proof.nodes.reverse()),
    ("a tree one node larger", |r| r.proof.proof.mmr_size += 1),
    ("a tree one node smaller", |r| r.proof.proof.mmr_size -= 1),
    ("a larger tree", |r| r.proof.proof.mmr_size = (1 << 20) - 1),
    ("an empty tree", |r| r.proof.proof.mmr_size = 0),
    ("a tree of one leaf", |r| r.proof.proof.mmr_size = 1),
    ("an impossible tree", |r| {
        r.proof.proof.mmr_size = usize::MAX / 2
    }),
    ("the largest tree", |r| r.proof.proof.mmr_size = usize::MAX),
    ("the next position", |r| r.proof.positions[0] += 1),
    ("another position", |r| r.proof.positions[0] ^= 4),
    ("a position beyond the tree", |r| {
        r.proof.positions[0] = r.proof.proof.mmr_size
    }),
    ("the largest position", |r| {
        r.proof.positions[0] = usize::MAX
    }),
    ("a position too many", |r| r.proof.positions.push(0)),
    ("no position", |r| r.proof.positions.clear()),
    ("the same twice", |r| {
        r.proof.history.push(r.proof.history[0].clone());
        r.proof.positions.push(r.proof.positions[0]);
    }),
    ("another value", |r| {
        inner(&mut r.proof.history[0]).value = coin(1)
    }),
    ("another fee", |r| {
        inner(&mut r.proof.history[0]).fee = coin(1)
    }),
    ("another sender", |r| {
        inner(&mut r.proof.history[0]).sender = address(99)
    }),
    ("another recipient", |r| {
        inner(&mut r.proof.history[0]).recipient = address(99)
    }),
    ("another start of validity", |r| {
        inner(&mut r.proof.history[0]).validity_start_height += 1;
    }),
    ("another signature", |r| {
        let proof = &mut inner(&mut r.proof.history[0]).proof;
        *proof.last_mut().unwrap() ^= 1;
    }),
    ("failed instead of executed", |r| {
        let transaction = inner(&mut r.proof.history[0]).clone();
        *basic(&mut r.proof.history[0]) = ExecutedTransaction::Err(transaction);
    }),
    ("another block number", |r| {
        r.proof.history[0].block_number -= 1
    }),
    ("a later block number", |r| {
        r.proof.history[0].block_number += 1000
    }),
    ("another time", |r| r.proof.history[0].block_time += 1),
    ("another network", |r| {
        r.proof.history[0].network_id = NetworkId::MainAlbatross
    }),
    ("a block with another history", |r| {
        header(
            &mut r.block,
            |h| h.history_root = Blake2bHash([1; 32]),
            |h| {
                h.history_root = Blake2bHash([1; 32]);
            },
        );
    }),
    ("a block of another network", |r| {
        header(
            &mut r.block,
            |h| h.network = NetworkId::MainAlbatross,
            |h| {
                h.network = NetworkId::MainAlbatross;
            },
        );
    }),
    ("a block with another time", |r| {
        header(&mut r.block, |h| h.timestamp += 1, |h| h.timestamp += 1);
    }),
    ("a block with another state", |r| {
        header(
            &mut r.block,
            |h| h.state_root = Blake2bHash([1; 32]),
            |h| {
                h.state_root = Blake2bHash([1; 32]);
            },
        );
    }),
    ("a block of the wrong kind for its number", |r| {
        header(
            &mut r.block,
            |h| h.block_number -= 1,
            |h| {
                h.block_number = Policy::last_macro_block(h.block_number);
            },
        );
    }),
    ("a history made up from the transaction", forge),
    ("a history made up from another transaction", |r| {
        inner(&mut r.proof.history[0]).value = coin(1);
        forge(r);
    }),
];

fn mutated(question: &crate::support::peer::Question, reply: Reply, mutation: Mutation) -> Reply {
    if question.is::<Proof>().is_none() {
        return reply;
    }
    let bytes = reply.to_bytes();
    let response = <Proof as RequestCommon>::Response::deserialize_from_vec(&bytes);
    let mut response = match response {
        Ok(Ok(response)) => response,
        _ => return reply,
    };
    mutation(&mut response);
    Reply::to::<Proof>(&Ok(response))
}

/// Asks for a transaction with a liar at hand, for every mutation there is.
async fn no_mutation_passes(world: &mut World, wanted: &Transaction) {
    assert!(MUTATIONS.len() >= 40);
    let wanted = hash(wanted);
    let honest = world.queries.transaction(&wanted).await.unwrap().unwrap();
    let mut liars = Vec::new();
    for (name, mutation) in MUTATIONS {
        let liar = world
            .add_liar(|question, reply| mutated(question, reply, *mutation))
            .await;
        let answer = world.queries.transaction(&wanted).await;
        assert_eq!(answer, Ok(Some(honest.clone())), "{name}");
        let asked = world.network.requests_to(liar, "transactions-proof");
        assert_eq!(asked, 1, "{name}: the liar was not asked");
        assert!(
            world.network.is_banned(liar),
            "{name}: the liar is not banned"
        );
        liars.push(liar);
    }
    assert_eq!(world.network.bans().len(), liars.len());
}

#[tokio::test(start_paused = true)]
async fn no_mutated_proof_by_a_micro_block_passes() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    world.engine.until("trust verified").await;
    for i in 0..5 {
        let other = payment(&world, 20 + i, 3);
        include(&mut world, vec![other]).await;
    }
    let wanted = payment(&world, 1, 3);
    let [before, after] = [payment(&world, 2, 3), payment(&world, 3, 3)];
    include(&mut world, vec![before, wanted.clone(), after]).await;
    no_mutation_passes(&mut world, &wanted).await;
}

#[tokio::test(start_paused = true)]
async fn no_mutated_proof_by_a_checkpoint_block_passes() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    let wanted = payment(&world, 1, 3);
    let [before, after] = [payment(&world, 2, 3), payment(&world, 3, 3)];
    include(&mut world, vec![before, wanted.clone(), after]).await;
    honest::finalise(&mut world).await;
    world.grow().await;
    world.engine.until("trust verified").await;
    no_mutation_passes(&mut world, &wanted).await;
}

#[tokio::test(start_paused = true)]
async fn no_mutated_proof_by_an_election_block_passes() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    world.engine.until("trust verified").await;
    // A payment of an earlier epoch.
    let all = history(&world, &address(5), HistoryOptions::default())
        .await
        .unwrap();
    no_mutation_passes(&mut world, &all.last().unwrap().transaction).await;
}

/// Answers a request for one transaction with the proof of another.
#[tokio::test(start_paused = true)]
async fn the_proof_of_another_transaction_is_none() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    let (wanted, other) = (payment(&world, 1, 3), payment(&world, 2, 3));
    include(&mut world, vec![wanted.clone(), other.clone()]).await;
    let node = world.chain.blockchain();
    let foreign = hash(&other);
    let liar = world
        .add_liar(move |question, reply| match question.is::<Proof>() {
            Some(mut request) => {
                request.hashes = vec![foreign.clone()];
                let body = request.serialize_to_vec();
                Reply::Bytes(pico_node::chain::answer(&node, Proof::TYPE_ID, &body).unwrap())
            }
            None => reply,
        })
        .await;
    let found = world.queries.transaction(&hash(&wanted)).await.unwrap();
    assert_eq!(found.unwrap().hash, hash(&wanted));
    world.finish(&[liar]).await;
}

/// Nodes that deny, fail, or never answer.
#[tokio::test(start_paused = true)]
async fn who_does_not_prove_is_not_believed_and_not_banned() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    let wanted = payment(&world, 1, 3);
    include(&mut world, vec![wanted.clone()]).await;
    let lies: [fn() -> Reply; 4] = [
        || {
            use pico_sync::messages::ResponseTransactionProofError::TransactionNotFound;
            Reply::to::<Proof>(&Err(TransactionNotFound))
        },
        || Reply::Never,
        || Reply::Garbage,
        || Reply::Closes,
    ];
    for lie in lies {
        let liar = world
            .add_liar(move |question, reply| match question.is::<Proof>() {
                Some(_) => lie(),
                None => reply,
            })
            .await;
        let found = world.queries.transaction(&hash(&wanted)).await.unwrap();
        assert_eq!(found.unwrap().hash, hash(&wanted));
        world.network.leave(liar);
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn with_nobody_but_liars_there_is_an_error_that_says_so() {
    let mut world = World::begin(with_peers(1));
    let liar = world.add_node();
    let node = liar.id;
    world.engine.until("consensus established").await;
    let wanted = payment(&world, 1, 3);
    include(&mut world, vec![wanted.clone()]).await;
    liar.set_script(|question, reply| {
        (
            Duration::ZERO,
            mutated(question, reply, |r| r.proof.proof.mmr_size = 0),
        )
    });
    let answer = world.queries.transaction(&hash(&wanted)).await;
    let Err(QueryError::ProofInvalid(why)) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains(&node.to_string()), "{why}");
    world.network.banned(node).await;
    world.finish(&[node]).await;
}

// --- Receipts -------------------------------------------------------------------------------------

/// Receipts, as they are shown.
type Shown = Vec<(Blake2bHash, u32)>;

/// A node that changes its receipts.
async fn add_gossip(
    world: &mut World,
    change: impl Fn(&mut Shown) + Send + Sync + 'static,
) -> PeerId {
    world
        .add_liar(move |question, reply| {
            if question.is::<Receipts>().is_none() {
                return reply;
            }
            let bytes = reply.to_bytes();
            let mut response =
                ResponseTransactionReceiptsByAddress::deserialize_from_vec(&bytes).unwrap();
            change(&mut response.receipts);
            Reply::to::<Receipts>(&response)
        })
        .await
}

async fn bank_of(world: &mut World) -> Address {
    world.get_to_know().await;
    pico_node::chain::Payer::funded().address().clone()
}

#[tokio::test(start_paused = true)]
async fn withheld_receipts_are_shown_by_others() {
    let mut world = World::with_nodes(2).await;
    let bank = bank_of(&mut world).await;
    let all = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    let withholding: [fn(&mut Shown); 4] = [
        Vec::clear,
        |receipts| receipts.truncate(3),
        |receipts| drop(receipts.drain(..receipts.len() / 2)),
        |receipts| {
            let mut i = 0;
            receipts.retain(|_| {
                i += 1;
                i % 2 == 0
            });
        },
    ];
    for change in withholding {
        let liar = add_gossip(&mut world, change).await;
        let shown = history(&world, &bank, HistoryOptions::default())
            .await
            .unwrap();
        assert_eq!(shown, all);
        assert!(world.network.requests_to(liar, "receipts") > 0);
        world.network.leave(liar);
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn made_up_receipts_are_not_shown() {
    let mut world = World::with_nodes(2).await;
    let bank = bank_of(&mut world).await;
    let all = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    let foreign = {
        let of_staker = history(&world, &address(STAKER), HistoryOptions::default()).await;
        let stake = of_staker.unwrap().swap_remove(0);
        assert_ne!(stake.transaction.sender, bank);
        (stake.hash, stake.block_number.unwrap())
    };
    type Change = Box<dyn Fn(&mut Shown) + Send + Sync>;
    let made_up: Vec<(&str, Change)> = vec![
        (
            "one that does not exist",
            Box::new(|receipts| {
                let number = receipts[10].1;
                receipts.insert(10, (Blake2bHash([9; 32]), number));
            }),
        ),
        (
            "none but such that do not exist",
            Box::new(|receipts| {
                for (i, (hash, _)) in receipts.iter_mut().enumerate() {
                    *hash = Blake2bHash([u8::try_from(i % 256).unwrap(); 32]);
                    hash.0[0] = u8::try_from(i / 256).unwrap();
                }
            }),
        ),
        (
            "one of somebody else",
            Box::new(move |receipts| {
                let at = receipts.partition_point(|(_, number)| *number > foreign.1);
                receipts.insert(at, foreign.clone());
            }),
        ),
        (
            "one in the wrong block",
            Box::new(|receipts| {
                let last = receipts.last_mut().unwrap();
                last.1 -= 3;
            }),
        ),
        ("out of order", Box::new(|receipts| receipts.reverse())),
        (
            "one twice",
            Box::new(|receipts| {
                let first = receipts[0].clone();
                receipts.insert(0, first);
            }),
        ),
        (
            "more than asked for",
            Box::new(|receipts| {
                let number = receipts[0].1;
                for i in 0..=500_u16 {
                    let mut hash = Blake2bHash([9; 32]);
                    hash.0[..2].copy_from_slice(&i.to_be_bytes());
                    receipts.insert(0, (hash, number));
                }
            }),
        ),
    ];
    let mut liars = Vec::new();
    for (name, change) in made_up {
        let liar = add_gossip(&mut world, change).await;
        let shown = history(&world, &bank, HistoryOptions::default())
            .await
            .unwrap();
        assert_eq!(shown, all, "{name}");
        assert!(world.network.is_banned(liar), "{name}");
        liars.push(liar);
    }
    world.finish(&liars).await;
}

#[tokio::test(start_paused = true)]
async fn who_shows_what_it_does_not_prove_hides_nothing() {
    let mut world = World::with_nodes(2).await;
    let bank = bank_of(&mut world).await;
    let all = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    for at in [0, 40, 290] {
        let liar = world
            .add_liar(move |question, reply| {
                if question.is::<Proof>().is_some() {
                    return Reply::Never;
                }
                if question.is::<Receipts>().is_none() {
                    return reply;
                }
                let bytes = reply.to_bytes();
                let response = ResponseTransactionReceiptsByAddress::deserialize_from_vec(&bytes);
                let mut response = response.unwrap();
                let number = response.receipts[at].1;
                response.receipts.insert(at, (Blake2bHash([9; 32]), number));
                Reply::to::<Receipts>(&response)
            })
            .await;
        let shown = world
            .queries
            .transactions_by_address(bank.clone(), HistoryOptions::default());
        let mut shown = std::pin::pin!(shown);
        let mut given = Vec::new();
        while let Some(details) = shown.next().await {
            given.push(details.unwrap().hash);
        }
        let expected: Vec<_> = all.iter().map(|details| details.hash.clone()).collect();
        assert_eq!(given, expected);
        world.network.leave(liar);
        world.grow().await;
    }
}

#[tokio::test(start_paused = true)]
async fn receipts_from_the_future_are_left_out() {
    let mut world = World::with_nodes(2).await;
    let bank = bank_of(&mut world).await;
    let all = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    let liar = add_gossip(&mut world, |receipts| {
        receipts.insert(0, (Blake2bHash([9; 32]), u32::MAX));
    })
    .await;
    let shown = history(&world, &bank, HistoryOptions::default())
        .await
        .unwrap();
    assert_eq!(shown, all);
    world.network.leave(liar);
    world.finish(&[]).await;
}

// --- Notifications --------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn forged_notifications_tell_nothing_and_end_in_a_ban() {
    let mut world = World::with_nodes(3).await;
    let liar = world.add_node().id;
    world.engine.until(&format!("{liar} good")).await;
    let mut watch = honest::watch(&world, &[address(1)], 3).await;
    let head = world.chain.height();
    // Made up, of others, of the future, of long ago.
    let of_others = payment(&world, 8, 5);
    let block = include(&mut world, vec![of_others.clone()]).await;
    let number = block.block_number();
    for receipt in [
        (Blake2bHash([9; 32]), head),
        (hash(&of_others), number),
        (hash(&of_others), u32::MAX),
        (hash(&of_others), 0),
    ] {
        world.network.notify(liar, vec![receipt]).await;
    }
    silence(&mut watch).await;
    assert!(!world.network.is_banned(liar));
    let many = |round: u8| -> Vec<(Blake2bHash, u32)> {
        (0..60)
            .map(|i| (Blake2bHash([round ^ i; 32]), number))
            .collect()
    };
    world.network.notify(liar, many(128)).await;
    world.network.banned(liar).await;
    // Of all that, nothing is left that would be in the way.
    let seen = payment(&world, 1, 5);
    include(&mut world, vec![seen.clone()]).await;
    assert_eq!(told(&mut watch).await.hash, hash(&seen));
    world.finish(&[liar]).await;
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_keeps_silent_hides_nothing() {
    let mut world = World::with_nodes(3).await;
    let mut watch: Watch = honest::watch(&world, &[address(1)], 3).await;
    for silent in world.network_peers() {
        let seen = payment(&world, 1, u64::from(silent.0));
        let block = world.chain.extend_with(vec![seen.clone()]).unwrap();
        for (peer, receipts) in honest::notifications(&world, &block) {
            if peer != silent {
                world.network.notify(peer, receipts).await;
            }
        }
        world.tell().await;
        assert_eq!(told(&mut watch).await.hash, hash(&seen));
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_proves_something_else_is_banned() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    let liar = world
        .add_liar(|question, reply| {
            mutated(question, reply, |r| {
                inner(&mut r.proof.history[0]).value = coin(1)
            })
        })
        .await;
    let mut watch = honest::watch(&world, &[address(1)], 3).await;
    let seen = payment(&world, 1, 5);
    let block = world.chain.extend_with(vec![seen.clone()]).unwrap();
    // The liar is the first to tell, so it is the first to be asked.
    world
        .network
        .notify(liar, vec![(hash(&seen), block.block_number())])
        .await;
    world.tell().await;
    let details = told(&mut watch).await;
    assert_eq!(details.transaction, seen);
    assert_eq!(details.state, TransactionState::Included);
    world.network.banned(liar).await;
    world.finish(&[liar]).await;
}

// --- Anything at all ------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn damaged_answers_never_panic_and_never_pass() {
    let mut world = World::with_nodes(2).await;
    let bank = bank_of(&mut world).await;
    let limited = || HistoryOptions {
        limit: Some(20),
        ..HistoryOptions::default()
    };
    let all = history(&world, &bank, limited()).await.unwrap();
    let wanted = all[7].clone();
    for seed in 0..150_u64 {
        let rng = parking_lot::Mutex::new(ChaCha20Rng::seed_from_u64(seed));
        let liar = world
            .add_liar(move |question, reply| {
                let is_ours =
                    question.is::<Proof>().is_some() || question.is::<Receipts>().is_some();
                match reply {
                    Reply::Bytes(bytes) if is_ours => {
                        Reply::Bytes(damaged(bytes, &mut *rng.lock()))
                    }
                    reply => reply,
                }
            })
            .await;
        let found = world.queries.transaction(&wanted.hash).await.unwrap();
        let found = found.unwrap();
        assert_eq!(
            (found.hash, found.transaction),
            (wanted.hash.clone(), wanted.transaction.clone())
        );
        if seed.is_multiple_of(5) {
            let shown = history(&world, &bank, limited()).await.unwrap();
            assert_eq!(shown, all, "{seed}");
        }
        world.network.leave(liar);
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_transactions_never_panic_and_are_not_sent() {
    let world = World::with_nodes(1).await;
    let payer = pico_node::chain::Payer::numbered(STAKER);
    let height = world.chain.height();
    let raw = [
        payment(&world, 1, 5).serialize_to_vec(),
        payer
            .pay_with_message(&address(1), coin(1), b"hello", height)
            .unwrap()
            .serialize_to_vec(),
        payer.stake(coin(100), height).unwrap().serialize_to_vec(),
        payer
            .failing(&address(ACCOUNTS + 1), coin(10), height)
            .unwrap()
            .serialize_to_vec(),
    ];
    let valid = raw
        .each_ref()
        .map(|raw| hash(&Transaction::deserialize_all(raw).unwrap()));
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for round in 0..4000 {
        let original = &raw[round % raw.len()];
        let bytes = damaged(original.clone(), &mut rng);
        if bytes == *original {
            continue;
        }
        match world.queries.send(&bytes).await {
            Err(QueryError::InvalidTransaction(why)) => assert!(!why.is_empty()),
            // Some bits of a signature's encoding mean nothing, and its hash has no part of them.
            Ok(details) => assert!(valid.contains(&details.hash), "{round}: {details:?}"),
            other => panic!("{round}: {other:?}"),
        }
    }
    for _ in 0..500 {
        let mut bytes = vec![0; rng.random_range(0..400)];
        rng.fill(&mut bytes[..]);
        let sent = world.queries.send(&bytes).await;
        assert!(
            matches!(sent, Err(QueryError::InvalidTransaction(_))),
            "{sent:?}"
        );
    }
    let too_long = vec![1; 1 << 20];
    let sent = world.queries.send(&too_long).await;
    assert!(matches!(sent, Err(QueryError::InvalidTransaction(_))));
    drop(world.queries.watch(Vec::new()).boxed());
    world.finish(&[]).await;
}
