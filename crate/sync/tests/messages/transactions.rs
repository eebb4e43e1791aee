//! Proofs of transactions, receipts, and notifications.

use std::sync::OnceLock;

use nimiq_consensus::{SubscribeToAddressesError as TheirRefusal, messages as theirs};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::request::{RequestCommon, RequestSerialize};
use nimiq_primitives::coin::Coin;
use nimiq_serde::{Deserialize, Serialize};
use pico_node::chain::{Payer, ScriptedChain, answer};
use pico_sync::messages as ours;
use proptest::prelude::*;

use super::{
    assert_decodes_alike, assert_same, assert_same_garbage, assert_same_request,
    assert_same_response, assert_same_topic, damaged, hash, hashes,
};

type OurProof = <ours::RequestTransactionsProof as RequestCommon>::Response;
type OurReceipts = ours::ResponseTransactionReceiptsByAddress;
type OurSubscription = <ours::RequestSubscribeToAddress as RequestCommon>::Response;

/// What a node answers to one request for a proof and one for receipts.
fn answers() -> &'static (Vec<u8>, Vec<u8>) {
    static ANSWERS: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let mut chain = ScriptedChain::new().unwrap();
        chain.extend_batches(2).unwrap();
        let payer = Payer::funded();
        let recipient = Payer::numbered(1).address().clone();
        let height = chain.height();
        let one = Coin::from_u64_unchecked(1);
        let paid = payer.pay(&recipient, one, height).unwrap();
        let written = payer
            .pay_with_message(&recipient, one, b"hello", height)
            .unwrap();
        let staked = payer
            .stake(Coin::from_u64_unchecked(10_000_000), height)
            .unwrap();
        let hashes = [&paid, &written, &staked].map(Hash::hash).to_vec();
        chain.extend_with(vec![paid, written, staked]).unwrap();
        let proof = ours::RequestTransactionsProof {
            hashes,
            block_number: Some(chain.height()),
        };
        let receipts = ours::RequestTransactionReceiptsByAddress {
            address: payer.address().clone(),
            max: None,
            start_at: None,
        };
        let blockchain = chain.blockchain();
        (
            answer(&blockchain, 213, &proof.serialize_to_vec()).unwrap(),
            answer(&blockchain, 214, &receipts.serialize_to_vec()).unwrap(),
        )
    })
}

fn addresses() -> impl Strategy<Value = Vec<Address>> {
    proptest::collection::vec(any::<[u8; 20]>().prop_map(Address), 0..20)
}

fn receipts() -> impl Strategy<Value = Vec<(Blake2bHash, u32)>> {
    proptest::collection::vec((hash(), any::<u32>()), 0..20)
}

#[test]
fn what_a_node_answers_is_read_as_it_is() {
    let (proof, receipts) = answers();
    let ours = OurProof::deserialize_from_vec(proof).unwrap();
    let theirs = Deserialize::deserialize_from_vec(proof).unwrap();
    assert_eq!(ours.serialize_to_vec(), *proof);
    assert_eq!(ours.as_ref().unwrap().proof.history.len(), 3);
    assert_same_response::<ours::RequestTransactionsProof, theirs::RequestTransactionsProof>(
        ours, theirs,
    );

    let ours = OurReceipts::deserialize_from_vec(receipts).unwrap();
    let theirs = Deserialize::deserialize_from_vec(receipts).unwrap();
    // Three transactions, and the reward for the first batch, which came with the second.
    assert_eq!(ours.receipts.len(), 4);
    assert_same_response::<
        ours::RequestTransactionReceiptsByAddress,
        theirs::RequestTransactionReceiptsByAddress,
    >(ours, theirs);
}

#[test]
fn the_largest_requests_fit_what_a_node_reads() {
    let request = ours::RequestTransactionsProof {
        hashes: vec![Blake2bHash([7; 32]); 255],
        block_number: Some(u32::MAX),
    };
    assert!(request.serialized_request_size() <= 20 * 1024);
    let request = ours::RequestSubscribeToAddress {
        operation: ours::AddressSubscriptionOperation::Subscribe,
        addresses: vec![Address([7; 20]); 250],
    };
    assert!(request.serialized_request_size() <= 20 * 1024);
}

#[test]
fn errors_travel_by_index_and_unknown_ones_are_other() {
    use ours::ResponseTransactionProofError as Ours;
    use theirs::ResponseTransactionProofError as Theirs;
    for (i, (ours, theirs)) in [
        (Ours::NoTransactionsProvided, Theirs::NoTransactionsProvided),
        (
            Ours::TooManyTransactionsProvided,
            Theirs::TooManyTransactionsProvided,
        ),
        (
            Ours::RequestedTxnProofFromFuture(1, 77_777),
            Theirs::RequestedTxnProofFromFuture(1, 77_777),
        ),
        (
            Ours::RequestedTxnProofFromFinalizedEpoch(2),
            Theirs::RequestedTxnProofFromFinalizedEpoch(2),
        ),
        (
            Ours::RequestedTxnProofFromFinalizedBatch(3),
            Theirs::RequestedTxnProofFromFinalizedBatch(3),
        ),
        (Ours::BlockNotFound(4), Theirs::BlockNotFound(4)),
        (Ours::CouldntProveInclusion, Theirs::CouldntProveInclusion),
        (Ours::TransactionNotFound, Theirs::TransactionNotFound),
        (Ours::Other, Theirs::Other),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = OurProof::Err(ours.clone()).serialize_to_vec();
        assert_eq!(bytes[..2], [1, u8::try_from(i).unwrap()]);
        assert_same_response::<ours::RequestTransactionsProof, theirs::RequestTransactionsProof>(
            Err(ours),
            Err(theirs),
        );
    }

    use ours::SubscribeToAddressesError as OurRefusal;
    for (ours, theirs) in [
        (Ok(()), Ok(())),
        (
            Err(OurRefusal::TooManyPeers),
            Err(TheirRefusal::TooManyPeers),
        ),
        (
            Err(OurRefusal::TooManyAddresses),
            Err(TheirRefusal::TooManyAddresses),
        ),
        (
            Err(OurRefusal::InvalidOperation),
            Err(TheirRefusal::InvalidOperation),
        ),
        (Err(OurRefusal::Other), Err(TheirRefusal::Other)),
    ] {
        assert_same_response::<ours::RequestSubscribeToAddress, theirs::RequestSubscribeToAddress>(
            ours, theirs,
        );
    }

    for unknown in (9_u32..300).chain([u32::MAX]) {
        let mut bytes = vec![1];
        bytes.extend(unknown.serialize_to_vec());
        assert_same_garbage::<ours::RequestTransactionsProof, theirs::RequestTransactionsProof>(
            &bytes,
        );
        let error = OurProof::deserialize_from_vec(&bytes).unwrap().unwrap_err();
        assert_eq!(error, Ours::Other);
        let error = OurSubscription::deserialize_from_vec(&bytes).unwrap();
        assert_eq!(error, Err(OurRefusal::Other));
    }
}

#[test]
fn the_topic_is_the_one_of_a_node() {
    assert_same_topic::<ours::AddressSubscriptionTopic, theirs::AddressSubscriptionTopic>();
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn proof_requests(hashes in hashes(255), block_number: Option<u32>) {
        assert_same_request(
            &ours::RequestTransactionsProof { hashes: hashes.clone(), block_number },
            &theirs::RequestTransactionsProof { hashes, block_number },
        );
    }

    #[test]
    fn receipt_requests(
        address: [u8; 20],
        max: Option<u16>,
        start_at in proptest::option::of(hash()),
    ) {
        let address = Address(address);
        assert_same_request(
            &ours::RequestTransactionReceiptsByAddress {
                address: address.clone(),
                max,
                start_at: start_at.clone(),
            },
            &theirs::RequestTransactionReceiptsByAddress { address, max, start_at },
        );
    }

    #[test]
    fn subscriptions(addresses in addresses(), ends: bool) {
        let (ours, theirs) = match ends {
            true => (
                ours::AddressSubscriptionOperation::Unsubscribe,
                theirs::AddressSubscriptionOperation::Unsubscribe,
            ),
            false => (
                ours::AddressSubscriptionOperation::Subscribe,
                theirs::AddressSubscriptionOperation::Subscribe,
            ),
        };
        assert_same_request(
            &ours::RequestSubscribeToAddress { operation: ours, addresses: addresses.clone() },
            &theirs::RequestSubscribeToAddress { operation: theirs, addresses },
        );
    }

    #[test]
    fn receipts_and_notifications(receipts in receipts()) {
        assert_same_response::<
            ours::RequestTransactionReceiptsByAddress,
            theirs::RequestTransactionReceiptsByAddress,
        >(
            ours::ResponseTransactionReceiptsByAddress { receipts: receipts.clone() },
            theirs::ResponseTransactionReceiptsByAddress { receipts: receipts.clone() },
        );
        assert_same(
            &ours::AddressNotification {
                event: ours::NotificationEvent::BlockchainExtend,
                receipts: receipts.clone(),
            },
            &theirs::AddressNotification {
                event: theirs::NotificationEvent::BlockchainExtend,
                receipts,
            },
        );
    }

    #[test]
    fn damaged_answers_are_refused_or_read_alike(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in [&answers().0, &answers().1] {
            let bytes = damaged(bytes, &changes, cut);
            assert_same_garbage::<
                ours::RequestTransactionsProof,
                theirs::RequestTransactionsProof,
            >(&bytes);
            assert_same_garbage::<
                ours::RequestTransactionReceiptsByAddress,
                theirs::RequestTransactionReceiptsByAddress,
            >(&bytes);
            assert_decodes_alike::<ours::AddressNotification, theirs::AddressNotification>(&bytes);
        }
    }
}
