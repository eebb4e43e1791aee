//! Accounts, validators and stakers, from nodes that tell the truth.

use std::time::Duration;

use nimiq_account::Account;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_keys::Address;
use nimiq_primitives::policy::Policy;
use pico_node::chain::ValidatorKeys;
use pico_sync::{Trust, messages::RequestTrieProof, query::QueryError};

use crate::{
    support::{
        engine::with_peers,
        peer::{LATENCY, Reply},
    },
    world::{ACCOUNTS, HEIGHT, STAKE, STAKER, World, address, coin, paid},
};

fn balance(account: Option<&Account>) -> u64 {
    account.map_or(0, |account| u64::from(account.balance()))
}

#[tokio::test(start_paused = true)]
async fn accounts_are_those_of_the_head() {
    let world = World::with_nodes(3).await;
    // Some that exist, one that does not, and one twice; in the order they were asked for.
    let asked = [address(3), address(ACCOUNTS + 1), address(0), address(3)];
    let answers = world.queries.accounts(&asked).await.unwrap();
    let balances: Vec<_> = answers
        .iter()
        .map(|answer| balance(answer.value.as_ref()))
        .collect();
    assert_eq!(balances, [paid(3), 0, paid(0), paid(3)]);
    assert_eq!(answers[1].value, None);
    for answer in &answers {
        assert_eq!(answer.block_number, HEIGHT);
    }
    let contract = Policy::STAKING_CONTRACT_ADDRESS;
    let answers = world.queries.accounts(&[contract]).await.unwrap();
    let Some(Account::Staking(contract)) = &answers[0].value else {
        panic!("no staking contract");
    };
    assert_eq!(contract.active_validators.len(), 1);
    assert_eq!(world.queries.accounts(&[]).await, Ok(Vec::new()));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn trust_is_that_of_the_chain() {
    let mut world = World::begin(with_peers(1));
    world.add_node();
    // What is asked before there is consensus waits for it.
    let answers = world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(answers[0].trust, world.engine.snapshot().trust);
    world.engine.until("trust verified").await;
    let answers = world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(answers[0].trust, Trust::Verified);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn any_number_of_accounts_is_asked_for_in_parts() {
    let world = World::with_nodes(3).await;
    let asked: Vec<Address> = (0..2 * ACCOUNTS).map(address).collect();
    let answers = world.queries.accounts(&asked).await.unwrap();
    assert_eq!(answers.len(), asked.len());
    for (i, answer) in answers.iter().enumerate() {
        let i = i as u64;
        let expected = match i {
            STAKER => paid(i) - STAKE,
            _ if i < ACCOUNTS => paid(i),
            _ => 0,
        };
        assert_eq!(balance(answer.value.as_ref()), expected, "{i}");
        assert_eq!(answer.value.is_none(), i >= ACCOUNTS);
    }
    // Not all of one peer.
    let asked_of = |peer: &_| world.network.requests_to(*peer, "trie-proof") > 0;
    assert!(
        world
            .network_peers()
            .iter()
            .filter(|peer| asked_of(peer))
            .count()
            > 1
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn stakers_and_validators_are_those_of_the_staking_contract() {
    let world = World::with_nodes(3).await;
    let keys = ValidatorKeys::unit_albatross();

    let answer = world.queries.validator(&keys.address).await.unwrap();
    let validator = answer.value.unwrap();
    let blockchain = world.chain.blockchain();
    {
        let blockchain = blockchain.read();
        let contract = blockchain.get_staking_contract();
        let store = blockchain.get_staking_contract_store();
        let txn = blockchain.read_transaction();
        let expected = contract.get_validator(&store.read(&txn), &keys.address);
        assert_eq!(Some(validator), expected);
        assert_eq!(answer.block_number, blockchain.block_number());
    }

    let answer = world.queries.staker(&address(STAKER)).await.unwrap();
    let staker = answer.value.unwrap();
    assert_eq!(staker.active_balance, coin(STAKE));
    assert_eq!(staker.delegation, Some(keys.address.clone()));

    let nobody = address(STAKER + 1);
    assert_eq!(world.queries.staker(&nobody).await.unwrap().value, None);
    assert_eq!(world.queries.validator(&nobody).await.unwrap().value, None);

    let elected = world.queries.elected_validators().await.unwrap();
    assert_eq!(elected.len(), 1);
    assert_eq!(elected[0].address, keys.address);
    assert_eq!(
        (elected[0].first_slot, elected[0].slots),
        (0, Policy::SLOTS)
    );
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_for_a_head_that_is_on_its_way_waits_for_it() {
    let mut world = World::with_nodes(1).await;
    // The node has the block, and proves its state, but has not told of it.
    let block = world.chain.extend().unwrap();
    let queries = world.queries.clone();
    let asking = tokio::spawn(async move { queries.accounts(&[address(1)]).await });
    world.engine.run_for(Duration::from_millis(500)).await;
    assert!(!asking.is_finished());
    world.tell().await;
    let answers = asking.await.unwrap().unwrap();
    assert_eq!(answers[0].block_number, block.block_number());
    assert_eq!(balance(answers[0].value.as_ref()), paid(1));
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_for_a_head_that_never_comes_is_given_up() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    // A branch that nobody else has; it is not a lie that the client can know for one.
    let mut branch = world.chain.fork_at(HEIGHT).unwrap();
    branch.extend_micro(2).unwrap();
    let other = branch.blockchain();
    let stray = world
        .add_liar(
            move |question, reply| match question.is::<RequestTrieProof>() {
                Some(request) => Reply::Bytes(
                    pico_node::chain::answer(
                        &other,
                        215,
                        &nimiq_serde::Serialize::serialize_to_vec(&request),
                    )
                    .unwrap(),
                ),
                None => reply,
            },
        )
        .await;
    let answers = world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(answers[0].block_number, HEIGHT);
    // It is not the first to be asked again.
    world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(world.network.requests_to(stray, "trie-proof"), 1);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_old_is_not_taken() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    let old = world.chain.fork_at(HEIGHT).unwrap().blockchain();
    let late = world
        .add_liar(
            move |question, reply| match question.is::<RequestTrieProof>() {
                Some(request) => Reply::Bytes(
                    pico_node::chain::answer(
                        &old,
                        215,
                        &nimiq_serde::Serialize::serialize_to_vec(&request),
                    )
                    .unwrap(),
                ),
                None => reply,
            },
        )
        .await;
    for _ in 0..8 {
        world.grow().await;
    }
    let answers = world.queries.accounts(&[address(1)]).await.unwrap();
    assert_eq!(answers[0].block_number, HEIGHT + 8);
    assert_eq!(world.network.requests_to(late, "trie-proof"), 1);
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn peers_that_fail_are_passed_over() {
    let mut world = World::with_nodes(2).await;
    world.get_to_know().await;
    for reply in [Reply::Never, Reply::Garbage, Reply::Closes] {
        let other = world
            .add_liar(
                move |question, honest| match question.is::<RequestTrieProof>() {
                    Some(_) => reply.clone(),
                    None => honest,
                },
            )
            .await;
        let answers = world.queries.accounts(&[address(2)]).await.unwrap();
        assert_eq!(balance(answers[0].value.as_ref()), paid(2));
        assert_eq!(world.network.requests_to(other, "trie-proof"), 1);
        // Who has failed is not the first to be asked the next time.
        world.queries.accounts(&[address(2)]).await.unwrap();
        assert_eq!(world.network.requests_to(other, "trie-proof"), 1);
        world.network.leave(other);
    }
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_error_says_what_each_did() {
    let mut world = World::begin(with_peers(2));
    for _ in 0..2 {
        let node = world.node();
        node.set_script(|question, reply| match question.is::<RequestTrieProof>() {
            Some(_) => (LATENCY, Reply::Never),
            None => (LATENCY, reply),
        });
        world.network.join(&node);
    }
    let error = world.queries.accounts(&[address(1)]).await.unwrap_err();
    let QueryError::Timeout(text) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains("p1: ") && text.contains("p2: "), "{text}");
    world.finish(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn accounts_follow_the_chain() {
    let mut world = World::with_nodes(2).await;
    let bank = pico_node::chain::Payer::funded();
    let nobody = address(ACCOUNTS + 5);
    let before = world.queries.accounts(std::slice::from_ref(&nobody)).await;
    assert_eq!(before.unwrap()[0].value, None);
    let height = world.chain.height();
    let pay = bank.pay(&nobody, coin(77), height).unwrap();
    world.chain.extend_with(vec![pay]).unwrap();
    world.tell().await;
    let after = world.queries.accounts(&[nobody]).await.unwrap();
    assert_eq!(balance(after[0].value.as_ref()), 77);
    assert_eq!(after[0].block_number, height + 1);
    world.finish(&[]).await;
}
