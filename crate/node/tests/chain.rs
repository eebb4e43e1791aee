//! Scripted chains are chains: full and light nodes accept them, and refuse what is made wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use nimiq_block::Block;
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::{AbstractBlockchain, PushError, PushResult};
use nimiq_consensus::messages::{
    RequestHead, RequestTransactionsProof, RequestTrieProof, ResponseHead,
    ResponseTransactionProofError, ResponseTransactionsProof,
};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_light_blockchain::LightBlockchain;
use nimiq_network_interface::request::RequestCommon;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_transaction::ExecutedTransaction;
use parking_lot::RwLock;
use pico_node::chain::{
    ChainConfig, ChainError, Mutation, NETWORK_ID, Payer, ScriptedChain, Signing, Timing,
    ValidatorKeys, answer, init_policy, without_body,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn light() -> Arc<RwLock<LightBlockchain>> {
    init_policy();
    Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)))
}

#[allow(clippy::result_large_err, reason = "it is the chain's own error")]
fn push(chain: &Arc<RwLock<LightBlockchain>>, block: Block) -> Result<PushResult, PushError> {
    LightBlockchain::push(chain.upgradable_read(), block)
}

#[test]
fn a_light_client_accepts_every_block() {
    let mut chain = ScriptedChain::new().unwrap();
    assert_eq!(chain.height(), Policy::genesis_block_number());
    chain.extend_batches(1).unwrap();
    chain.extend_micro(3).unwrap();
    assert!(chain.extend_skip().unwrap().is_skip());
    chain.extend_epochs(1).unwrap();
    chain.extend_micro(5).unwrap();

    assert_eq!(chain.height(), Policy::genesis_block_number() + 128 + 5);
    assert!(chain.election_head().is_election());
    assert_eq!(chain.election_head().block_number(), 328);

    let light = light();
    for block in chain.light_blocks().unwrap() {
        let number = block.block_number();
        assert_eq!(push(&light, block), Ok(PushResult::Extended), "{number}");
    }
    let light = light.read();
    assert_eq!(light.head_hash(), chain.head_hash());
    assert_eq!(light.election_head_hash(), chain.election_head().hash());
}

#[test]
fn a_full_node_accepts_every_block_without_trust() {
    let mut chain = ScriptedChain::new().unwrap();
    chain.extend_to_checkpoint().unwrap();
    chain.extend_skip().unwrap();
    chain.extend_micro(2).unwrap();

    let other = ScriptedChain::new().unwrap();
    for number in Policy::genesis_block_number() + 1..=chain.height() {
        let blockchain = other.blockchain();
        let result = Blockchain::push(
            blockchain.upgradable_read(),
            chain.block_at(number).unwrap(),
        );
        assert_eq!(result, Ok(PushResult::Extended), "{number}");
    }
    assert_eq!(other.head_hash(), chain.head_hash());
}

#[test]
fn the_same_script_gives_the_same_chain() {
    let make = || {
        let mut chain = ScriptedChain::new().unwrap();
        chain.extend_micro(40).unwrap();
        chain.head_hash()
    };
    assert_eq!(make(), make());
}

#[test]
fn a_chain_can_end_at_a_given_time() {
    let end = 1_700_000_000_000;
    let chain = ScriptedChain::ending_at(end, 1, 1000).unwrap();
    assert_eq!(chain.head().timestamp(), end);
    assert!(chain.head().is_election());
    assert_eq!(chain.block_at(201).unwrap().timestamp(), end - 127 * 1000);
}

#[test]
fn forks_share_the_past_and_not_the_future() {
    let mut chain = ScriptedChain::new().unwrap();
    chain.extend_micro(50).unwrap();
    let mut behind = chain.fork_at(240).unwrap();
    let mut same = chain.fork_at(250).unwrap();
    assert_eq!(behind.head_hash(), chain.block_at(240).unwrap().hash());
    assert_eq!(same.head_hash(), chain.head_hash());

    behind.extend_micro(10).unwrap();
    assert_eq!(behind.height(), chain.height());
    assert_ne!(behind.head_hash(), chain.head_hash());
    same.extend_to_checkpoint().unwrap();
    chain.extend_to_checkpoint().unwrap();
    assert_ne!(same.macro_head().hash(), chain.macro_head().hash());

    // A full node that knows one branch up to the fork accepts the other, as nothing is final yet.
    let other = chain.fork_at(245).unwrap();
    for number in 241..=250 {
        let block = behind.block_at(number).unwrap();
        let blockchain = other.blockchain();
        Blockchain::push(blockchain.upgradable_read(), block).unwrap();
    }
    assert_eq!(other.head_hash(), behind.head_hash());
}

#[test]
fn blocks_can_be_put_on_any_parent() {
    let mut chain = ScriptedChain::new().unwrap();
    chain.extend_micro(3).unwrap();
    let fork_point = chain.block_at(201).unwrap();
    let one = chain.micro_on(&fork_point, fork_point.timestamp() + 1, b"one");
    let two = chain.micro_on(&one, one.timestamp() + 1, b"two");
    let three = chain.micro_on(&two, two.timestamp() + 1, b"three");

    let light = light();
    for block in chain.light_blocks().unwrap() {
        push(&light, block).unwrap();
    }
    for block in [&one, &two] {
        assert_eq!(
            push(&light, without_body(block.clone())),
            Ok(PushResult::Forked)
        );
    }
    assert_eq!(
        push(&light, without_body(three.clone())),
        Ok(PushResult::Rebranched)
    );
    assert_eq!(light.read().head_hash(), three.hash());

    // A full node agrees.
    for block in [one, two, three.clone()] {
        let blockchain = chain.blockchain();
        Blockchain::push(blockchain.upgradable_read(), block).unwrap();
    }
    assert_eq!(chain.head_hash(), three.hash());
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut chain = ScriptedChain::new().unwrap();
    chain.extend_micro(35).unwrap();
    let copy = chain.copy().unwrap();
    assert_eq!(copy.blockchain.read().head_hash(), chain.head_hash());
    chain.extend().unwrap();
    assert_ne!(copy.blockchain.read().head_hash(), chain.head_hash());
}

#[test]
fn blocks_can_have_transactions_that_succeed_or_fail() {
    let mut chain = ScriptedChain::new().unwrap();
    let (funded, other) = (Payer::funded(), Payer::numbered(1));
    let coin = Coin::from_u64_unchecked;
    // A macro block that is due comes first.
    chain.extend_micro(Policy::blocks_per_batch() - 1).unwrap();
    let height = chain.height();
    let block = chain
        .extend_with(vec![
            funded
                .pay(other.address(), coin(5_000_000_000), height)
                .unwrap(),
            funded
                .pay_with_message(other.address(), coin(7), b"seven", height)
                .unwrap(),
            funded
                .failing(Payer::numbered(2).address(), coin(1_000_000_000), height)
                .unwrap(),
        ])
        .unwrap();
    assert_eq!(block.block_number(), height + 2);
    let failed: Vec<_> = block
        .transactions()
        .unwrap()
        .iter()
        .map(ExecutedTransaction::failed)
        .collect();
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);

    // What was paid can be spent, here as a stake.
    let stake = other.stake(coin(1_000_000_000), height + 2).unwrap();
    assert!(
        chain
            .extend_with(vec![stake])
            .unwrap()
            .transactions()
            .unwrap()[0]
            .succeeded()
    );

    // Nothing is left out unsaid: who owns nothing can't even pay the fee.
    let height = chain.height();
    let head = chain.head_hash();
    let penniless = Payer::numbered(3);
    let unpaid = penniless.failing(other.address(), coin(1), height);
    let error = chain.extend_with(vec![unpaid.unwrap()]).unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::Unappliable {
                taken: 0,
                given: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(chain.head_hash(), head);

    // A node without trust agrees with all of it.
    let node = ScriptedChain::new().unwrap();
    for number in Policy::genesis_block_number() + 1..=chain.height() {
        let blockchain = node.blockchain();
        let block = chain.block_at(number).unwrap();
        let result = Blockchain::push(blockchain.upgradable_read(), block);
        assert_eq!(result, Ok(PushResult::Extended), "{number}");
    }
}

#[test]
fn requests_are_answered_as_by_a_node() {
    let mut chain = ScriptedChain::new().unwrap();
    let payment = Payer::funded()
        .pay(
            Payer::numbered(1).address(),
            Coin::from_u64_unchecked(9),
            chain.height(),
        )
        .unwrap();
    let hash: Blake2bHash = payment.hash();
    chain.extend_with(vec![payment]).unwrap();
    let blockchain = chain.blockchain();

    let request = RequestTransactionsProof {
        hashes: vec![hash.clone()],
        block_number: None,
    };
    let response = answer(
        &blockchain,
        RequestTransactionsProof::TYPE_ID,
        &request.serialize_to_vec(),
    );
    let response: Result<ResponseTransactionsProof, ResponseTransactionProofError> =
        Deserialize::deserialize_from_vec(&response.unwrap()).unwrap();
    let ResponseTransactionsProof { proof, block } = response.unwrap();
    assert_eq!(block.hash(), chain.head_hash());
    assert_eq!(Blake2bHash::from(proof.history[0].tx_hash()), hash);
    assert_eq!(proof.verify(block.history_root().clone()), Some(true));

    let head = answer(&blockchain, RequestHead::TYPE_ID, &[]).unwrap();
    let head = ResponseHead::deserialize_from_vec(&head).unwrap();
    assert_eq!(head.block_hash, chain.head_hash());

    // What nobody can read nobody answers.
    assert_eq!(
        answer(&blockchain, RequestTrieProof::TYPE_ID, &[0xff]),
        None
    );
    assert_eq!(answer(&blockchain, 1, &[]), None);
}

#[test]
fn mutations_are_refused_unless_they_are_mere_forks() {
    let keys = ValidatorKeys::unit_albatross();
    let stranger = ValidatorKeys::generate(&mut ChaCha20Rng::seed_from_u64(5));
    let mut chain = ScriptedChain::with_config(ChainConfig {
        timing: Timing {
            next: 1_700_000_000_000,
            step: 1000,
        },
        ..ChainConfig::default()
    })
    .unwrap();
    chain.extend_micro(2).unwrap();
    let micro = chain.extend().unwrap();
    let skip = chain.extend_skip().unwrap();
    chain.extend_to_checkpoint().unwrap();
    let checkpoint = chain.head();
    chain.extend_epochs(1).unwrap();
    let election = chain.head();
    let blocks = chain.light_blocks().unwrap();

    let mut applied = 0;
    for honest in [micro, skip, checkpoint, election] {
        let before = || {
            let light = light();
            for block in &blocks {
                if block.block_number() < honest.block_number() {
                    push(&light, block.clone()).unwrap();
                }
            }
            light
        };
        // A refused block leaves no trace, so only an accepted one takes a new client.
        let mut light = before();
        for &mutation in Mutation::ALL {
            for signing in [Signing::Keep, Signing::By(&keys)] {
                let Some(bad) = mutation.apply(&honest, signing, &stranger) else {
                    continue;
                };
                applied += 1;
                assert_ne!(bad, honest, "{mutation:?}");
                let resigned = matches!(signing, Signing::By(_));
                let result = push(&light, without_body(bad));
                assert_eq!(
                    result.is_ok(),
                    is_harmless(mutation, &honest, resigned),
                    "{mutation:?} of {honest}, signed again: {resigned}: {result:?}"
                );
                if result.is_ok() {
                    light = before();
                }
            }
        }
    }
    assert!(applied > 100, "only {applied} mutations were applied");
}

/// Whether nothing that a light client knows tells the block from an honest one.
fn is_harmless(mutation: Mutation, honest: &Block, resigned: bool) -> bool {
    match mutation {
        // An honest skip block's votes don't cover its roots before version 2.
        Mutation::StateRoot | Mutation::BodyRoot | Mutation::HistoryRoot => {
            resigned || honest.is_skip()
        }
        _ if !resigned => false,
        Mutation::Timestamp(1) | Mutation::ExtraData => !honest.is_skip(),
        Mutation::PunishedSet | Mutation::Validators | Mutation::Interlink => true,
        // One version more is the validators' decision at an election.
        Mutation::Version => honest.is_election(),
        _ => false,
    }
}
