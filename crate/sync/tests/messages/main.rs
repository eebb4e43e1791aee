//! Our declarations of Nimiq's messages are those of `nimiq-consensus`, byte for byte, in both
//! directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod state;
mod transactions;
mod zkp;

use std::{fmt::Debug, sync::OnceLock};

use nimiq_block::Block;
use nimiq_consensus::messages as theirs;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::Topic,
    request::{InboundRequestError, RequestCommon, RequestKind, RequestSerialize, peek_type},
};
use nimiq_serde::{Deserialize, Serialize};
use pico_node::chain::ScriptedChain;
use pico_sync::messages as ours;
use proptest::prelude::*;

/// A skip, a micro, a checkpoint and an election block, with their bodies, and what was gossiped
/// of each.
fn blocks() -> &'static [(Block, Vec<u8>)] {
    static BLOCKS: OnceLock<Vec<(Block, Vec<u8>)>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let mut chain = ScriptedChain::new().unwrap();
        chain.set_extra_data(*b"thirty-two bytes of extra data..");
        chain.extend_skip().unwrap();
        chain.extend_epochs(1).unwrap();
        [201, 202, 232, 328]
            .map(|number| {
                let message = chain.header_message(number).unwrap();
                (chain.block_at(number).unwrap(), message.serialize_to_vec())
            })
            .into()
    })
}

/// Holds that both sides encode the two values alike, read each other's encoding, and agree on
/// what to refuse when it is cut short or goes on.
fn assert_same<A, B>(ours: &A, theirs: &B)
where
    A: Serialize + Deserialize + Debug,
    B: Serialize + Deserialize,
{
    let bytes = ours.serialize_to_vec();
    assert_eq!(bytes, theirs.serialize_to_vec(), "{ours:?}");
    assert_eq!(bytes.len(), ours.serialized_size());
    assert_decodes_alike::<A, B>(&bytes);
    assert!(A::deserialize_from_vec(&bytes).is_ok());

    // Each cut of a short message, some hundred of a long one.
    for end in (0..bytes.len()).step_by(1 + bytes.len() / 128) {
        assert!(A::deserialize_from_vec(&bytes[..end]).is_err(), "{end}");
        assert!(B::deserialize_from_vec(&bytes[..end]).is_err(), "{end}");
    }
    // Nodes ignore what follows a message.
    let longer = [&bytes[..], b"more"].concat();
    assert_decodes_alike::<A, B>(&longer);
    assert!(A::deserialize_from_vec(&longer).is_ok());
}

/// Holds that both sides read the same out of the bytes, or that both refuse them.
fn assert_decodes_alike<A, B>(bytes: &[u8])
where
    A: Serialize + Deserialize,
    B: Serialize + Deserialize,
{
    let ours = A::deserialize_from_vec(bytes);
    let theirs = B::deserialize_from_vec(bytes);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours.serialize_to_vec(), theirs.serialize_to_vec()),
        (Err(ours), Err(theirs)) => assert_eq!(ours, theirs),
        _ => panic!(
            "only one side accepts {bytes:02x?}: ours {}, theirs {}",
            ours.is_ok(),
            theirs.is_ok()
        ),
    }
}

/// Holds that a topic has the same name, limits and validation on both sides.
fn assert_same_topic<A: Topic, B: Topic>() {
    assert_eq!(A::NAME, B::NAME);
    assert_eq!(A::BUFFER_SIZE, B::BUFFER_SIZE);
    assert_eq!(A::VALIDATE, B::VALIDATE);
    assert_eq!(A::MAX_MESSAGES, B::MAX_MESSAGES);
    assert_eq!(A::MAX_MESSAGE_SIZE, B::MAX_MESSAGE_SIZE);
}

/// A message with some bytes changed and at most half of it cut off.
fn damaged(
    bytes: &[u8],
    changes: &[(prop::sample::Index, u8)],
    cut: prop::sample::Index,
) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes.truncate(cut.index(bytes.len()).max(bytes.len() / 2));
    bytes
}

/// Holds that a request has the same type, limits and encoding on both sides.
fn assert_same_request<A: RequestCommon, B: RequestCommon>(ours: &A, theirs: &B) {
    assert_eq!(A::TYPE_ID, B::TYPE_ID);
    assert_eq!(A::MAX_REQUESTS, B::MAX_REQUESTS);
    assert_eq!(A::TIME_WINDOW, B::TIME_WINDOW);
    assert_eq!(A::Kind::EXPECT_RESPONSE, B::Kind::EXPECT_RESPONSE);

    let framed = ours.serialize_request();
    assert_eq!(framed, theirs.serialize_request(), "{ours:?}");
    assert_eq!(framed.len(), ours.serialized_request_size());
    assert_eq!(peek_type(&framed).unwrap().type_id(), A::TYPE_ID);
    let read = B::deserialize_request(&framed).unwrap();
    assert_eq!(read.serialize_request(), framed);
    let read = A::deserialize_request(&framed).unwrap();
    assert_eq!(read.serialize_request(), framed);
    assert_same(ours, theirs);
}

/// Holds that an answer has the same encoding on both sides, also inside of what the network puts
/// around it.
fn assert_same_response<A: RequestCommon, B: RequestCommon>(ours: A::Response, theirs: B::Response)
where
    A::Response: Debug,
{
    assert_eq!(A::TYPE_ID, B::TYPE_ID);
    assert_same(&ours, &theirs);
    assert_same(
        &Ok::<_, InboundRequestError>(ours),
        &Ok::<_, InboundRequestError>(theirs),
    );
}

/// Holds that both sides agree on any bytes as a request and as an answer.
fn assert_same_garbage<A: RequestCommon, B: RequestCommon>(bytes: &[u8]) {
    assert_decodes_alike::<A, B>(bytes);
    assert_decodes_alike::<A::Response, B::Response>(bytes);
    match (A::deserialize_request(bytes), B::deserialize_request(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.serialize_request(), theirs.serialize_request());
        }
        (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok()),
    }
}

fn hash() -> impl Strategy<Value = Blake2bHash> {
    any::<[u8; 32]>().prop_map(Blake2bHash)
}

fn hashes(most: usize) -> impl Strategy<Value = Vec<Blake2bHash>> {
    proptest::collection::vec(hash(), 0..=most)
}

/// Bytes that are nearly a message as often as they are nothing.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let small = proptest::collection::vec(0_u8..4, 0..300);
    let framed = (
        prop_oneof![Just(200_u16), Just(207), Just(209), Just(210)],
        proptest::collection::vec(any::<u8>(), 0..100),
    )
        .prop_map(|(id, rest)| {
            let mut bytes = ((id << 1) | 1).serialize_to_vec();
            bytes.extend(rest);
            bytes
        });
    let mutilated = (
        0..4_usize,
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    )
        .prop_map(|(which, changes)| {
            let mut bytes = Ok::<_, ours::BlockError>(blocks()[which].0.clone()).serialize_to_vec();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes
        });
    prop_oneof![noise, small, framed, mutilated]
}

#[test]
fn a_request_for_the_head_is_three_bytes_at_most() {
    // PROTOCOL 2: type 210 travels as the varint of 210 * 2 + 1.
    assert_eq!(ours::RequestHead {}.serialize_request(), [0xa5, 0x03]);
    assert_same_request(&ours::RequestHead {}, &theirs::RequestHead {});
}

#[test]
fn errors_travel_by_index_and_unknown_ones_are_other() {
    let index = |error: u8| [1, error];

    for (i, (ours, theirs)) in [
        (
            ours::BlockError::TargetHashNotFound,
            theirs::BlockError::TargetHashNotFound,
        ),
        (
            ours::BlockError::ResponseHashMismatch,
            theirs::BlockError::ResponseHashMismatch,
        ),
        (ours::BlockError::Other, theirs::BlockError::Other),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = Err::<Block, _>(ours.clone()).serialize_to_vec();
        assert_eq!(bytes, index(i as u8));
        assert_same_response::<ours::RequestBlock, theirs::RequestBlock>(Err(ours), Err(theirs));
    }

    for (i, (ours, theirs)) in [
        (
            ours::MacroChainError::UnknownLocators,
            theirs::MacroChainError::UnknownLocators,
        ),
        (
            ours::MacroChainError::TooManyLocators,
            theirs::MacroChainError::TooManyLocators,
        ),
        (ours::MacroChainError::Other, theirs::MacroChainError::Other),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = Err::<ours::MacroChain, _>(ours.clone()).serialize_to_vec();
        assert_eq!(bytes, index(i as u8));
        assert_same_response::<ours::RequestMacroChain, theirs::RequestMacroChain>(
            Err(ours),
            Err(theirs),
        );
    }

    use ours::ResponseBlocksError as Ours;
    use theirs::ResponseBlocksError as Theirs;
    for (i, (ours, theirs)) in [
        (
            Ours::TargetBlockNotOnMainChain,
            Theirs::TargetBlockNotOnMainChain,
        ),
        (Ours::TargetHashNotFound, Theirs::TargetHashNotFound),
        (Ours::UnknownLocators, Theirs::UnknownLocators),
        (Ours::TooManyLocators, Theirs::TooManyLocators),
        (Ours::FailedToGetBlocks, Theirs::FailedToGetBlocks),
        (Ours::Other, Theirs::Other),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = Err::<ours::ResponseBlocks, _>(ours.clone()).serialize_to_vec();
        assert_eq!(bytes, index(i as u8));
        assert_same_response::<ours::RequestMissingBlocks, theirs::RequestMissingBlocks>(
            Err(ours),
            Err(theirs),
        );
    }

    // What a later release may add, up to the largest index there can be.
    for unknown in (6_u32..300).chain([u32::MAX]) {
        let mut bytes = vec![1];
        bytes.extend(unknown.serialize_to_vec());
        assert_same_garbage::<ours::RequestBlock, theirs::RequestBlock>(&bytes);
        assert_same_garbage::<ours::RequestMacroChain, theirs::RequestMacroChain>(&bytes);
        assert_same_garbage::<ours::RequestMissingBlocks, theirs::RequestMissingBlocks>(&bytes);
        type Response<R> = <R as RequestCommon>::Response;
        assert_eq!(
            Response::<ours::RequestBlock>::deserialize_from_vec(&bytes).unwrap(),
            Err(ours::BlockError::Other)
        );
        assert_eq!(
            Response::<ours::RequestMacroChain>::deserialize_from_vec(&bytes).unwrap(),
            Err(ours::MacroChainError::Other)
        );
        assert_eq!(
            Response::<ours::RequestMissingBlocks>::deserialize_from_vec(&bytes).unwrap(),
            Err(Ours::Other)
        );
    }
}

#[test]
fn blocks_travel_alike() {
    for (block, _) in blocks() {
        for block in [block.clone(), pico_node::chain::without_body(block.clone())] {
            assert_same_response::<ours::RequestBlock, theirs::RequestBlock>(
                Ok(block.clone()),
                Ok(block),
            );
        }
    }
    let run: Vec<Block> = blocks().iter().map(|(block, _)| block.clone()).collect();
    for blocks in [Vec::new(), run] {
        assert_same_response::<ours::RequestMissingBlocks, theirs::RequestMissingBlocks>(
            Ok(ours::ResponseBlocks {
                blocks: blocks.clone(),
            }),
            Ok(theirs::ResponseBlocks { blocks }),
        );
    }
}

#[test]
fn announcements_travel_alike() {
    for (block, message) in blocks() {
        let ours = ours::BlockHeaderMessage::deserialize_from_vec(message).unwrap();
        let theirs = theirs::BlockHeaderMessage::deserialize_from_vec(message).unwrap();
        assert_same(&ours, &theirs);
        assert!(message.len() <= ours::BlockHeaderTopic::MAX_MESSAGE_SIZE);

        let announced = Block::from(ours);
        assert_eq!(announced, Block::from(theirs));
        assert_eq!(
            announced,
            pico_node::chain::without_body(block.clone()),
            "what is announced is the block without its body"
        );
        assert_eq!(announced.hash(), block.hash());
    }
}

#[test]
fn the_topic_is_the_one_of_a_node() {
    assert_same_topic::<ours::BlockHeaderTopic, theirs::BlockHeaderTopic>();
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn heads(
        block_number: u32,
        block_hash in hash(),
        macro_hash in hash(),
        election_hash in hash(),
    ) {
        assert_same_response::<ours::RequestHead, theirs::RequestHead>(
            ours::ResponseHead {
                block_number,
                block_hash: block_hash.clone(),
                macro_hash: macro_hash.clone(),
                election_hash: election_hash.clone(),
            },
            theirs::ResponseHead { block_number, block_hash, macro_hash, election_hash },
        );
    }

    #[test]
    fn block_requests(hash in hash(), include_body: bool) {
        assert_same_request(
            &ours::RequestBlock { hash: hash.clone(), include_body },
            &theirs::RequestBlock { hash, include_body },
        );
    }

    #[test]
    fn macro_chain_requests(locators in hashes(100), max_epochs: u16) {
        assert_same_request(
            &ours::RequestMacroChain { locators: locators.clone(), max_epochs },
            &theirs::RequestMacroChain { locators, max_epochs },
        );
    }

    #[test]
    fn macro_chains(epochs in hashes(255), checkpoint: Option<(u32, [u8; 32])>) {
        assert_same_response::<ours::RequestMacroChain, theirs::RequestMacroChain>(
            Ok(ours::MacroChain {
                epochs: epochs.clone(),
                checkpoint: checkpoint.map(|(block_number, hash)| ours::Checkpoint {
                    block_number,
                    hash: Blake2bHash(hash),
                }),
            }),
            Ok(theirs::MacroChain {
                epochs,
                checkpoint: checkpoint.map(|(block_number, hash)| theirs::Checkpoint {
                    block_number,
                    hash: Blake2bHash(hash),
                }),
            }),
        );
    }

    #[test]
    fn missing_blocks_requests(
        target_hash in hash(),
        include_body: bool,
        locators in hashes(100),
        forward: bool,
    ) {
        let direction = match forward {
            true => ours::Direction::Forward,
            false => ours::Direction::Backward,
        };
        let ours = ours::RequestMissingBlocks {
            target_hash: target_hash.clone(),
            include_body,
            locators: locators.clone(),
            direction,
        };
        // The largest request there is fits what a node reads: 20 KiB.
        prop_assert!(ours.serialized_request_size() <= 20 * 1024);
        assert_same_request(
            &ours,
            &theirs::RequestMissingBlocks { target_hash, include_body, locators, direction },
        );
    }

    #[test]
    fn garbage_is_refused_or_read_alike(bytes in garbage()) {
        assert_same_garbage::<ours::RequestHead, theirs::RequestHead>(&bytes);
        assert_same_garbage::<ours::RequestBlock, theirs::RequestBlock>(&bytes);
        assert_same_garbage::<ours::RequestMacroChain, theirs::RequestMacroChain>(&bytes);
        assert_same_garbage::<ours::RequestMissingBlocks, theirs::RequestMissingBlocks>(&bytes);
        assert_decodes_alike::<ours::BlockHeaderMessage, theirs::BlockHeaderMessage>(&bytes);
    }

    #[test]
    fn damaged_announcements_are_refused_or_read_alike(
        which in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = blocks()[which].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        assert_decodes_alike::<ours::BlockHeaderMessage, theirs::BlockHeaderMessage>(&bytes);
        let cut = cut.index(bytes.len());
        assert_decodes_alike::<ours::BlockHeaderMessage, theirs::BlockHeaderMessage>(&bytes[..cut]);
    }
}
