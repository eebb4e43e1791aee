//! Proofs of state and of election blocks.

use std::sync::OnceLock;

use nimiq_block::{Block, BlockInclusionProof, MacroBlock};
use nimiq_consensus::messages as theirs;
use nimiq_network_interface::request::{RequestCommon, RequestSerialize};
use nimiq_primitives::{key_nibbles::KeyNibbles, policy::Policy, trie::trie_proof::TrieProof};
use nimiq_serde::{Deserialize, Serialize};
use pico_node::chain::{ScriptedChain, answer};
use pico_sync::messages as ours;
use proptest::prelude::*;

use super::{
    assert_same, assert_same_garbage, assert_same_request, assert_same_response, damaged, hash,
};

type OurTrie = <ours::RequestTrieProof as RequestCommon>::Response;
type OurBlocks = <ours::RequestBlocksProof as RequestCommon>::Response;

/// What a node answers to one request of each type.
fn answers() -> &'static (Vec<u8>, Vec<u8>) {
    static ANSWERS: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let mut chain = ScriptedChain::new().unwrap();
        chain.extend_epochs(4).unwrap();
        let contract = KeyNibbles::from(&Policy::STAKING_CONTRACT_ADDRESS);
        let keys = vec![contract, KeyNibbles::from(&[9_u8; 20][..])];
        let trie = ours::RequestTrieProof { keys }.serialize_to_vec();
        let blocks = ours::RequestBlocksProof {
            election_head: Policy::election_block_of(4).unwrap(),
            blocks: vec![Policy::election_block_of(1).unwrap()],
        };
        let blockchain = chain.blockchain();
        (
            answer(&blockchain, 215, &trie).unwrap(),
            answer(&blockchain, 216, &blocks.serialize_to_vec()).unwrap(),
        )
    })
}

fn election_blocks() -> Vec<MacroBlock> {
    let proof = OurBlocks::deserialize_from_vec(&answers().1).unwrap();
    let blocks = proof.unwrap().proof;
    assert!(!blocks.is_empty());
    blocks
}

fn keys() -> impl Strategy<Value = Vec<KeyNibbles>> {
    let key = proptest::collection::vec(any::<u8>(), 0..=KeyNibbles::MAX_BYTES);
    proptest::collection::vec(key.prop_map(|bytes| KeyNibbles::from(&bytes[..])), 0..20)
}

#[test]
fn what_a_node_answers_is_read_as_it_is() {
    let (trie, blocks) = answers();
    let ours = OurTrie::deserialize_from_vec(trie).unwrap();
    let theirs = Deserialize::deserialize_from_vec(trie).unwrap();
    assert_eq!(ours.serialize_to_vec(), *trie);
    assert_same_response::<ours::RequestTrieProof, theirs::RequestTrieProof>(ours, theirs);

    let ours = OurBlocks::deserialize_from_vec(blocks).unwrap();
    let theirs = Deserialize::deserialize_from_vec(blocks).unwrap();
    assert_eq!(ours.serialize_to_vec(), *blocks);
    assert_same_response::<ours::RequestBlocksProof, theirs::RequestBlocksProof>(ours, theirs);
}

#[test]
fn the_largest_requests_fit_what_a_node_reads() {
    let keys = vec![KeyNibbles::from(&[7_u8; 41][..]); 255];
    let request = ours::RequestTrieProof { keys };
    assert!(request.serialized_request_size() <= 20 * 1024);
    let blocks = vec![u32::MAX; 255];
    let request = ours::RequestBlocksProof {
        election_head: u32::MAX,
        blocks,
    };
    assert!(request.serialized_request_size() <= 20 * 1024);
}

#[test]
fn errors_travel_by_index_and_unknown_ones_are_other() {
    use ours::TrieProofError as Ours;
    use theirs::ResponseTrieProofError as Theirs;
    for (i, (ours, theirs)) in [
        (Ours::IncompleteTrie, Theirs::IncompleteTrie),
        (Ours::EmptyKeys, Theirs::EmptyKeys),
        (Ours::TooManyKeys, Theirs::TooManyKeys),
        (Ours::DuplicateKeys, Theirs::DuplicateKeys),
        (Ours::Other, Theirs::Other),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(OurTrie::Err(ours.clone()).serialize_to_vec(), [1, i as u8]);
        assert_same_response::<ours::RequestTrieProof, theirs::RequestTrieProof>(
            Err(ours),
            Err(theirs),
        );
    }

    use ours::BlocksProofError as OurBlocksError;
    use theirs::ResponseBlocksProofError as TheirBlocksError;
    for (ours, theirs) in [
        (
            OurBlocksError::BadBlockNumber(77_777),
            TheirBlocksError::BadBlockNumber(77_777),
        ),
        (
            OurBlocksError::TooManyBlocks,
            TheirBlocksError::TooManyBlocks,
        ),
        (OurBlocksError::Other, TheirBlocksError::Other),
    ] {
        assert_same_response::<ours::RequestBlocksProof, theirs::RequestBlocksProof>(
            Err(ours),
            Err(theirs),
        );
    }

    for unknown in (5_u32..300).chain([u32::MAX]) {
        let mut bytes = vec![1];
        bytes.extend(unknown.serialize_to_vec());
        assert_same_garbage::<ours::RequestTrieProof, theirs::RequestTrieProof>(&bytes);
        assert_same_garbage::<ours::RequestBlocksProof, theirs::RequestBlocksProof>(&bytes);
        let error = OurTrie::deserialize_from_vec(&bytes).unwrap().unwrap_err();
        assert_eq!(error, Ours::Other);
        let error = OurBlocks::deserialize_from_vec(&bytes)
            .unwrap()
            .unwrap_err();
        assert_eq!(error, OurBlocksError::Other);
    }
}

#[test]
fn election_blocks_travel_with_or_without_bodies() {
    for blocks in [Vec::new(), election_blocks()] {
        assert_same_response::<ours::RequestBlocksProof, theirs::RequestBlocksProof>(
            Ok(ours::ResponseBlocksProof {
                proof: blocks.clone(),
            }),
            Ok(theirs::ResponseBlocksProof {
                proof: BlockInclusionProof { proof: blocks },
            }),
        );
    }
    let block = election_blocks().remove(0);
    assert_same(&Block::Macro(block.clone()), &Block::Macro(block));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn trie_proof_requests(keys in keys()) {
        assert_same_request(
            &ours::RequestTrieProof { keys: keys.clone() },
            &theirs::RequestTrieProof { keys },
        );
    }

    #[test]
    fn blocks_proof_requests(
        election_head: u32,
        blocks in proptest::collection::vec(any::<u32>(), 0..=255),
    ) {
        assert_same_request(
            &ours::RequestBlocksProof { election_head, blocks: blocks.clone() },
            &theirs::RequestBlocksProof { election_head, blocks },
        );
    }

    #[test]
    fn trie_proofs(keys in keys(), block_hash in hash()) {
        let missing = keys.iter().cloned().zip(keys.iter().rev().cloned()).collect();
        let proof = TrieProof::new(Vec::new(), missing);
        assert_same_response::<ours::RequestTrieProof, theirs::RequestTrieProof>(
            Ok(ours::ResponseTrieProof { proof: proof.clone(), block_hash: block_hash.clone() }),
            Ok(theirs::ResponseTrieProof { proof, block_hash }),
        );
    }

    #[test]
    fn damaged_proofs_are_refused_or_read_alike(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in [&answers().0, &answers().1] {
            let bytes = damaged(bytes, &changes, cut);
            assert_same_garbage::<ours::RequestTrieProof, theirs::RequestTrieProof>(&bytes);
            assert_same_garbage::<ours::RequestBlocksProof, theirs::RequestBlocksProof>(&bytes);
        }
    }
}
