//! The fixture chain is the same everywhere, and full and light nodes accept all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{path::PathBuf, sync::Arc};

use nimiq_block::{Block, MacroBlock};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::{AbstractBlockchain, PushResult};
use nimiq_light_blockchain::LightBlockchain;
use nimiq_primitives::policy::Policy;
use nimiq_serde::Deserialize;
use parking_lot::RwLock;
use pico_node::{
    chain::{ChainConfig, Fixture, NETWORK_ID, PROOFS_FOLDER, ScriptedChain},
    devnet::{Devnet, DevnetConfig, Interrupt},
    proofs::ProofStore,
};
use pico_zkp::{Statement, VerifyingKey};
use support::{PicoClient, within};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/unit-albatross")
}

fn file(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn it_is_the_committed_one_and_everybody_accepts_it() {
    let chain = Fixture::make(ChainConfig::default()).unwrap();
    let elections = chain.elections().unwrap();
    let committed: Vec<MacroBlock> =
        Deserialize::deserialize_from_vec(&file("elections.bin")).unwrap();
    assert!(
        elections == committed,
        "remake the fixtures with `pico-node fixture` and `pico-node prove`"
    );
    let numbers: Vec<_> = elections
        .iter()
        .map(|block| (block.header.block_number, block.header.version))
        .collect();
    assert_eq!(
        numbers,
        [
            (200, 1),
            (328, 2),
            (456, 2),
            (584, 2),
            (712, 2),
            (840, 2),
            (968, 2)
        ]
    );
    assert_eq!(Fixture::anchor_number(), 328);

    // What the circuits are tested with: sets of different sizes, and votes that not all cast.
    let validators: Vec<_> = elections
        .iter()
        .map(|block| block.header.validators.as_ref().unwrap().num_validators())
        .collect();
    assert_eq!(validators, [1, 4, 3, 2, 4, 1, 1]);
    let votes: Vec<_> = elections[1..]
        .iter()
        .map(|block| block.justification.as_ref().unwrap().sig.signers.len())
        .collect();
    let all = usize::from(Policy::SLOTS);
    let enough = usize::from(Policy::TWO_F_PLUS_ONE);
    for (votes, everybody) in votes.iter().zip([true, false, true, true, false, true]) {
        assert_eq!(*votes == all, everybody, "{votes}");
        assert!(*votes >= enough, "{votes}");
    }

    light_accepts(&chain);
    full_accepts(&chain);
}

fn light_accepts(chain: &ScriptedChain) {
    let light = Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)));
    for block in chain.light_blocks().unwrap() {
        let number = block.block_number();
        let result = LightBlockchain::push(light.upgradable_read(), block);
        assert_eq!(result, Ok(PushResult::Extended), "{number}");
    }
}

/// Every block is pushed as if it had come from a peer, with all checks.
fn full_accepts(chain: &ScriptedChain) {
    let other = ScriptedChain::new().unwrap().blockchain();
    for number in Policy::genesis_block_number() + 1..=chain.height() {
        let block: Block = chain.block_at(number).unwrap();
        let result = Blockchain::push(other.upgradable_read(), block);
        assert_eq!(result, Ok(PushResult::Extended), "{number}");
    }
    assert_eq!(other.read().head_hash(), chain.head_hash());
}

#[test]
fn its_proofs_hold_under_the_committed_key() {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../zkp/keys/unit-albatross.vk");
    let key = VerifyingKey::from_bytes(&std::fs::read(key).unwrap()).unwrap();
    assert!(matches!(key, VerifyingKey::Chain(_)));
    assert_eq!(key.network(), NETWORK_ID as u8);
    assert_eq!(key.anchor_number(), Fixture::anchor_number());
    let key = key.prepare().unwrap();
    let elections: Vec<MacroBlock> =
        Deserialize::deserialize_from_vec(&file("elections.bin")).unwrap();
    let proofs = ProofStore::new(folder().join(PROOFS_FOLDER))
        .load()
        .unwrap();
    // At least four epochs, without a gap.
    let numbers: Vec<_> = proofs.keys().copied().collect();
    let all: Vec<_> = elections[2..]
        .iter()
        .map(|block| block.header.block_number)
        .collect();
    assert!(
        numbers.len() >= 4 && all.starts_with(&numbers),
        "{numbers:?}"
    );
    let anchor = elections[1].hash_blake2s().0;
    for (proof, block) in proofs.values().zip(&elections[2..]) {
        assert_eq!(proof.anchor, anchor);
        assert_eq!(proof.head, block.hash_blake2s().0);
        assert!(proof.wrapper.is_some());
        let statement = Statement {
            anchor,
            head: proof.head,
        };
        key.verify(&statement, &proof.step).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_devnet_goes_on_from_it_and_from_a_part_of_it() {
    // With the unmodified validator after all of it, and with one for all validators after two epochs.
    for (epochs, validators) in [(6, 1), (2, 3)] {
        let config = DevnetConfig {
            epochs,
            nodes: 2,
            version: 2,
            fixture: Some(folder()),
            ..DevnetConfig::default()
        };
        let devnet = Devnet::start(config, Interrupt::default(), |_| {})
            .await
            .unwrap();
        let first = &devnet.nodes()[0];
        {
            let chain = first.blockchain();
            let chain = chain.read();
            assert_eq!(chain.head().version(), 2);
            let elected = chain.current_validators().unwrap();
            assert_eq!(elected.num_validators(), validators);
            assert_eq!(
                Policy::last_election_block(chain.block_number()),
                Policy::genesis_block_number() + epochs * Policy::blocks_per_epoch()
            );
        }
        let client = PicoClient::start(vec![first.address().clone()], 2).await;
        within(40, "establishing consensus", client.established()).await;
        let next = first.height() + 4;
        within(20, "following", client.reached(next)).await;
        within(20, "stopping", devnet.stop()).await;
    }
}
