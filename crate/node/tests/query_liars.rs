//! Questions about accounts, transactions and blocks: peers that tell the truth can prove it, and
//! every lie can be told from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Mutex, OnceLock};

use futures::StreamExt;
use nimiq_block::{Block, BlockInclusionProof};
use nimiq_blockchain_interface::Direction;
use nimiq_consensus::messages::{
    AddressNotification, AddressSubscriptionOperation, AddressSubscriptionTopic, RequestBlock,
    RequestBlocksProof, RequestMissingBlocks, RequestSubscribeToAddress,
    RequestTransactionReceiptsByAddress, RequestTransactionsProof, RequestTrieProof,
    ResponseTransactionsProof, ResponseTrieProof,
};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::{
    network::Network as _,
    request::{InboundRequestError, OutboundRequestError, Request, RequestError},
};
use nimiq_primitives::{coin::Coin, key_nibbles::KeyNibbles, policy::Policy};
use pico_node::{
    chain::{Payer, ScriptedChain},
    liar::{Liar, LiarConfig, Lie, QueryLie},
};
use support::{Prober, within};

/// A chain with transactions of every age, and their hashes: in a finished epoch, in a finished
/// batch of the current one, and in the current batch.
struct Past {
    chain: ScriptedChain,
    hashes: [Blake2bHash; 3],
}

fn past() -> std::sync::MutexGuard<'static, Past> {
    static PAST: OnceLock<Mutex<Past>> = OnceLock::new();
    PAST.get_or_init(|| {
        let mut chain = ScriptedChain::new().unwrap();
        chain.extend_epochs(4).unwrap();
        let old = pay(&mut chain, 1_000);
        chain.extend_epochs(1).unwrap();
        let newer = pay(&mut chain, 2_000);
        chain.extend_to_checkpoint().unwrap();
        chain.extend_micro(2).unwrap();
        let newest = pay(&mut chain, 3_000);
        chain.extend_micro(1).unwrap();
        Mutex::new(Past {
            chain,
            hashes: [old, newer, newest],
        })
    })
    .lock()
    .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Who gets all payments.
fn payee() -> Address {
    Payer::numbered(1).address().clone()
}

/// Pays [`payee`], and two others that have nothing to do with it, in one block.
fn pay(chain: &mut ScriptedChain, value: u32) -> Blake2bHash {
    let coin = |value: u32| Coin::from_u64_unchecked(value.into());
    let (funded, height) = (Payer::funded(), chain.height());
    let payment = funded.pay(&payee(), coin(value), height).unwrap();
    let hash = payment.hash();
    let others = (2..4)
        .map(|number| {
            let other = Payer::numbered(number).address().clone();
            funded.pay(&other, coin(value + 1), height).unwrap()
        })
        .chain([payment]);
    chain.extend_with(others.collect()).unwrap();
    hash
}

/// Someone who answers, and someone who asks.
struct Scene {
    liar: Liar,
    prober: Prober,
    chain: ScriptedChain,
    hashes: [Blake2bHash; 3],
}

impl Scene {
    async fn of(lie: Lie) -> Self {
        let (chain, hashes) = {
            let past = past();
            let chain = past.chain.fork_at(past.chain.height()).unwrap();
            (chain, past.hashes.clone())
        };
        let liar = Liar::start(LiarConfig::new(lie, vec![]), chain.share())
            .await
            .unwrap();
        let prober = Prober::connect(liar.address()).await;
        Self {
            liar,
            prober,
            chain,
            hashes,
        }
    }

    async fn try_ask<R: Request>(&self, request: R) -> Result<R::Response, RequestError> {
        let Prober { network, peer, .. } = &self.prober;
        network.request(request, *peer).await
    }

    async fn ask<R: Request>(&self, request: R) -> R::Response {
        self.try_ask(request).await.unwrap()
    }

    async fn state(&self) -> ResponseTrieProof {
        self.ask(RequestTrieProof { keys: keys() }).await.unwrap()
    }

    async fn transaction(&self, hash: &Blake2bHash) -> ResponseTransactionsProof {
        let request = RequestTransactionsProof {
            hashes: vec![hash.clone()],
            block_number: None,
        };
        self.ask(request).await.unwrap()
    }

    async fn receipts(&self) -> Vec<(Blake2bHash, u32)> {
        let request = RequestTransactionReceiptsByAddress {
            address: payee(),
            max: None,
            start_at: None,
        };
        self.ask(request).await.receipts
    }

    /// Whether the proof is one of all accounts asked for, at a block of the chain.
    fn is_proven(&self, response: ResponseTrieProof) -> bool {
        let blockchain = self.chain.blockchain();
        let block = blockchain
            .read()
            .get_block(&response.block_hash, false, None);
        let (keys, Ok(block)) = (keys(), block) else {
            return false;
        };
        let keys: Vec<_> = keys.iter().collect();
        let values = response.proof.verify_values(block.state_root(), &keys);
        // The last one doesn't exist.
        values.is_ok_and(|values| {
            keys.iter()
                .enumerate()
                .all(|(i, key)| values[key].is_some() == (i + 1 < keys.len()))
        })
    }

    /// Whether the proof is one of the transaction, by a block of the chain.
    fn is_included(&self, hash: &Blake2bHash, response: &ResponseTransactionsProof) -> bool {
        let number = response.block.block_number();
        let on_chain = self.chain.light_block_at(number).unwrap();
        on_chain.hash() == response.block.hash()
            && response.proof.verify(on_chain.history_root().clone()) == Some(true)
            && response
                .proof
                .history
                .iter()
                .any(|entry| Blake2bHash::from(entry.tx_hash()) == *hash)
    }

    /// Subscribes to the payee and gives what is told when the chain grows by a payment and, if
    /// that tells nothing, by another block.
    async fn notification(&mut self) -> (Blake2bHash, AddressNotification) {
        let network = std::sync::Arc::clone(&self.prober.network);
        let subtopic = network.local_peer_id().to_string();
        let mut notifications = network
            .subscribe_subtopic::<AddressSubscriptionTopic>(subtopic)
            .await
            .unwrap();
        let request = RequestSubscribeToAddress {
            operation: AddressSubscriptionOperation::Subscribe,
            addresses: vec![payee()],
        };
        self.ask(request).await.unwrap();
        within(20, "a notification", async {
            for value in 10_000.. {
                // That the peer knows of the subscription can't be seen from outside.
                let hash = pay(&mut self.chain, value);
                tokio::select! {
                    notification = notifications.next() => return (hash, notification.unwrap().0),
                    () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
                }
            }
            unreachable!()
        })
        .await
    }

    async fn end(self) {
        self.liar.stop().await;
    }
}

/// A basic account, the staking contract, a validator, a staker, and an account that doesn't exist.
fn keys() -> Vec<KeyNibbles> {
    vec![
        KeyNibbles::from(&payee()),
        KeyNibbles::from(&Policy::STAKING_CONTRACT_ADDRESS),
        KeyNibbles::from(Payer::numbered(999).address()),
    ]
}

fn all_but_election_blocks(scene: &Scene) -> (Block, u32) {
    let election = scene.chain.election_head().block_number();
    (scene.chain.light_block_at(election - 3).unwrap(), election)
}

fn query(lie: QueryLie) -> Lie {
    Lie::Query(lie)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_truth_can_be_proven() {
    let mut scene = Scene::of(Lie::Honest).await;
    let response = scene.state().await;
    assert_eq!(response.block_hash, scene.chain.head_hash());
    assert!(scene.is_proven(response));

    for hash in &scene.hashes {
        let response = scene.transaction(hash).await;
        assert!(scene.is_included(hash, &response), "{hash}");
    }
    let receipts = scene.receipts().await;
    let newest_first: Vec<_> = scene.hashes.iter().rev().cloned().collect();
    let hashes: Vec<_> = receipts.into_iter().map(|(hash, _)| hash).collect();
    assert_eq!(hashes, newest_first);

    let head = scene.chain.election_head().unwrap_macro();
    let first = Policy::election_block_after(Policy::genesis_block_number());
    let request = RequestBlocksProof {
        election_head: head.block_number(),
        blocks: vec![first],
    };
    let proof = scene.ask(request).await.unwrap().proof;
    let target = scene.chain.light_block_at(first).unwrap().unwrap_macro();
    assert!(!proof.proof.is_empty());
    assert!(proof.is_block_proven(&head, &target));

    let (paid, notification) = scene.notification().await;
    assert!(notification.receipts.iter().any(|(hash, number)| {
        *hash == paid || scene.chain.block_at(*number).unwrap().is_micro()
    }));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_about_the_state_is_proven() {
    for lie in [
        QueryLie::WrongBalance,
        QueryLie::ForgedState,
        QueryLie::OldStateRoot,
        QueryLie::OtherAccount,
        QueryLie::SaysAbsent,
    ] {
        let scene = Scene::of(query(lie)).await;
        let response = scene.state().await;
        // Only one of them is wrong about where the proof belongs.
        assert_eq!(
            response.block_hash == scene.chain.head_hash(),
            lie != QueryLie::OldStateRoot,
            "{lie}"
        );
        if lie == QueryLie::ForgedState {
            // In itself it is a proof, as long as nobody looks for the root.
            let root = response.proof.nodes.last().unwrap().hash::<Blake2bHash>();
            assert!(response.proof.verify(&root));
        }
        assert!(!scene.is_proven(response), "{lie}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_about_a_transaction_is_proven() {
    for lie in [
        QueryLie::WrongHistoryProof,
        QueryLie::ForgedTransaction,
        QueryLie::ForgedExecution,
        QueryLie::OtherTransaction,
        QueryLie::ForgedHistory,
    ] {
        let scene = Scene::of(query(lie)).await;
        for hash in &scene.hashes {
            let response = scene.transaction(hash).await;
            if matches!(lie, QueryLie::ForgedHistory | QueryLie::OtherTransaction) {
                let root = response.block.history_root().clone();
                assert_eq!(response.proof.verify(root), Some(true), "{lie}");
            }
            assert!(!scene.is_included(hash, &response), "{lie}");
        }
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_can_be_forged_foreign_or_missing() {
    let scene = Scene::of(query(QueryLie::ForgedReceipts)).await;
    let receipts = scene.receipts().await;
    assert_eq!(receipts.len(), scene.hashes.len() + 1);
    assert!(receipts.is_sorted_by_key(|(_, number)| std::cmp::Reverse(*number)));
    let invented = receipts
        .iter()
        .find(|(hash, _)| !scene.hashes.contains(hash))
        .unwrap();
    let request = RequestTransactionsProof {
        hashes: vec![invented.0.clone()],
        block_number: None,
    };
    assert!(scene.ask(request).await.is_err());
    scene.end().await;

    let scene = Scene::of(query(QueryLie::ForeignReceipts)).await;
    let receipts = scene.receipts().await;
    assert_eq!(receipts.len(), scene.hashes.len() + 1);
    assert!(receipts.is_sorted_by_key(|(_, number)| std::cmp::Reverse(*number)));
    let (foreign, _) = receipts
        .iter()
        .find(|(hash, _)| !scene.hashes.contains(hash))
        .unwrap();
    let proof = scene.transaction(foreign).await;
    assert!(scene.is_included(foreign, &proof));
    scene.end().await;

    let scene = Scene::of(query(QueryLie::WithholdsReceipts)).await;
    assert_eq!(scene.receipts().await, vec![]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_can_be_forged_or_foreign() {
    let mut scene = Scene::of(query(QueryLie::ForgedNotification)).await;
    let (_, told) = scene.notification().await;
    let blockchain = scene.chain.blockchain();
    let on_chain = |hash: &Blake2bHash| {
        blockchain
            .read()
            .contains_tx_in_validity_window(&hash.clone().into(), None)
    };
    assert!(told.receipts.iter().any(|(hash, _)| !on_chain(hash)));
    scene.end().await;

    let mut scene = Scene::of(query(QueryLie::ForeignNotification)).await;
    let (_, told) = scene.notification().await;
    let receipts = scene.receipts().await;
    let foreign = told
        .receipts
        .iter()
        .find(|told| !receipts.contains(told))
        .unwrap();
    let proof = scene.transaction(&foreign.0).await;
    assert!(scene.is_included(&foreign.0, &proof));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_blocks_can_be_wrong() {
    let scene = Scene::of(query(QueryLie::WrongOldBlock)).await;
    let (old, election) = all_but_election_blocks(&scene);
    let block = |hash| RequestBlock {
        hash,
        include_body: false,
    };
    let told = scene.ask(block(old.hash())).await.unwrap();
    assert_ne!(told.hash(), old.hash());
    for number in [election, scene.chain.height()] {
        let hash = scene.chain.light_block_at(number).unwrap().hash();
        assert_eq!(scene.ask(block(hash.clone())).await.unwrap().hash(), hash);
    }
    let checkpoint = Policy::last_macro_block(election - 1);
    let locator = scene.chain.light_block_at(checkpoint).unwrap().hash();
    let request = RequestMissingBlocks {
        target_hash: old.hash(),
        include_body: false,
        locators: vec![locator],
        direction: Direction::Backward,
    };
    let blocks = scene.ask(request).await.unwrap().blocks;
    assert_ne!(blocks.last().unwrap().hash(), old.hash());
    scene.end().await;

    for lie in [QueryLie::WrongBlocksProof, QueryLie::ForgedBlocksProof] {
        let scene = Scene::of(query(lie)).await;
        let head = scene.chain.election_head().unwrap_macro();
        let first = Policy::election_block_after(Policy::genesis_block_number());
        let request = RequestBlocksProof {
            election_head: head.block_number(),
            blocks: vec![first],
        };
        let BlockInclusionProof { proof } = scene.ask(request).await.unwrap().proof;
        assert!(!proof.is_empty());
        let hops = BlockInclusionProof { proof };
        let target = scene.chain.light_block_at(first).unwrap().unwrap_macro();
        assert!(!hops.is_block_proven(&head, &target), "{lie}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_can_be_refused_missing_or_nonsense() {
    let receipts = || RequestTransactionReceiptsByAddress {
        address: payee(),
        max: None,
        start_at: None,
    };
    let subscribe = || RequestSubscribeToAddress {
        operation: AddressSubscriptionOperation::Subscribe,
        addresses: vec![payee()],
    };
    let state = || RequestTrieProof { keys: keys() };

    let scene = Scene::of(query(QueryLie::RefusesQueries)).await;
    assert!(scene.ask(state()).await.is_err());
    assert!(scene.ask(receipts()).await.receipts.is_empty());
    assert!(scene.ask(subscribe()).await.is_err());
    scene.end().await;

    let scene = Scene::of(query(QueryLie::GarbageQueries)).await;
    let nonsense = RequestError::InboundRequest(InboundRequestError::DeSerializationError);
    assert_eq!(scene.try_ask(state()).await.err(), Some(nonsense));
    scene.end().await;

    let scene = Scene::of(query(QueryLie::IgnoresQueries)).await;
    let late = RequestError::OutboundRequest(OutboundRequestError::Timeout);
    let (state, receipts, subscribe) = tokio::join!(
        scene.try_ask(state()),
        scene.try_ask(receipts()),
        scene.try_ask(subscribe())
    );
    assert_eq!(state.err(), Some(late));
    assert!(receipts.is_err() && subscribe.is_err());
    assert_eq!(scene.liar.requests()["RequestTrieProof"], 1);
    scene.end().await;
}
