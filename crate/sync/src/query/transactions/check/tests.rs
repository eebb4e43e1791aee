//! The checks here, held against those of the nodes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use nimiq_bls::KeyPair as BlsKeyPair;
use nimiq_hash::Blake2bHash;
use nimiq_keys::{Address, Ed25519PublicKey, Ed25519Signature, KeyPair, SecureGenerate};
use nimiq_primitives::{coin::Coin, networks::NetworkId, policy::Policy};
use nimiq_serde::{Deserialize, Serialize};
use nimiq_transaction::{
    SignatureProof, Transaction, TransactionFlags,
    account::htlc_contract::{AnyHash, AnyHash32, PreImage},
};
use nimiq_transaction_builder::TransactionBuilder;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::check;

const NETWORK: NetworkId = NetworkId::UnitAlbatross;
const START: u32 = 1000;
const HEAD: u32 = 1010;
const VERSION: u16 = 2;

/// One valid transaction of each kind, by name.
static TRANSACTIONS: LazyLock<Vec<(&'static str, Transaction)>> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let keys = KeyPair::generate(&mut rng);
    let other = Address::from(&KeyPair::generate(&mut rng));
    let bls = BlsKeyPair::generate(&mut rng);
    let coin = Coin::from_u64_unchecked;
    let value = coin(500_000_000);
    let fee = coin(138);
    let root = AnyHash::Blake2b(AnyHash32([4; 32]));
    let staking = Address::from(&keys);
    type Built = Result<Transaction, nimiq_transaction_builder::TransactionBuilderError>;
    let built: Vec<(&'static str, Built)> = vec![
        (
            "basic",
            TransactionBuilder::new_basic(&keys, other.clone(), value, fee, START, NETWORK),
        ),
        (
            "message",
            TransactionBuilder::new_basic_with_data(
                &keys,
                other.clone(),
                b"hello".to_vec(),
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "create vesting",
            TransactionBuilder::new_create_vesting(
                &keys,
                other.clone(),
                1,
                1000,
                4,
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "redeem vesting",
            TransactionBuilder::new_redeem_vesting(
                &keys,
                Address::from([9; 20]),
                other.clone(),
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "create htlc",
            TransactionBuilder::new_create_htlc(
                &keys,
                staking.clone(),
                other.clone(),
                root.clone(),
                3,
                99_999,
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "redeem htlc",
            TransactionBuilder::new_redeem_htlc_timeout(
                &keys,
                Address::from([9; 20]),
                other.clone(),
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "create staker",
            TransactionBuilder::new_create_staker(
                &keys,
                &keys,
                Some(other.clone()),
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "add stake",
            TransactionBuilder::new_add_stake(&keys, staking.clone(), value, fee, START, NETWORK),
        ),
        (
            "update staker",
            TransactionBuilder::new_update_staker(
                Some(&keys),
                &keys,
                Some(other.clone()),
                true,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "set active stake",
            TransactionBuilder::new_set_active_stake(
                Some(&keys),
                &keys,
                value,
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "retire stake",
            TransactionBuilder::new_retire_stake(Some(&keys), &keys, value, fee, START, NETWORK),
        ),
        (
            "remove stake",
            TransactionBuilder::new_remove_stake(&keys, other.clone(), value, fee, START, NETWORK),
        ),
        (
            "create validator",
            TransactionBuilder::new_create_validator(
                &keys,
                &keys,
                keys.public,
                &bls,
                other.clone(),
                Some(Blake2bHash::default()),
                fee,
                START,
                NETWORK,
            ),
        ),
        (
            "update validator",
            Ok(TransactionBuilder::new_update_validator(
                &keys,
                &keys,
                Some(keys.public),
                None,
                None,
                None,
                fee,
                START,
                NETWORK,
            )),
        ),
    ];
    built
        .into_iter()
        .map(|(name, transaction)| (name, transaction.unwrap()))
        .collect()
});

fn theirs(transaction: &Transaction) -> Result<(), String> {
    let verdict = transaction.verify(NETWORK, VERSION);
    verdict.map_err(|error| format!("{error:?}"))
}

fn ours(transaction: &Transaction) -> Result<(), String> {
    check(transaction, NETWORK, HEAD, VERSION).map_err(|error| error.to_string())
}

#[test]
fn valid_ones_of_each_kind_pass() {
    for (name, transaction) in TRANSACTIONS.iter() {
        assert_eq!(theirs(transaction), Ok(()), "{name}");
        assert_eq!(ours(transaction), Ok(()), "{name}");
    }
}

#[test]
fn each_window_has_two_ends() {
    let (_, transaction) = &TRANSACTIONS[0];
    let last = START + Policy::transaction_validity_window_blocks() - 1;
    let at = |head| check(transaction, NETWORK, head, VERSION).is_ok();
    assert!(at(last - 1) && !at(last));
    // Nodes take it a batch early, for a block that is still to come.
    let first = START - Policy::blocks_per_batch();
    assert!(at(first - 1) && !at(first - 2));
}

#[test]
fn signal_data_by_the_warm_key_need_their_version() {
    use nimiq_transaction::account::staking_contract::{
        IncomingStakingTransactionData as Data, SignalDataUpdate,
    };
    let (_, template) = TRANSACTIONS
        .iter()
        .find(|(name, _)| *name == "update staker")
        .unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let keys = KeyPair::generate(&mut rng);
    let mut transaction = template.clone();
    transaction.sender = Address::from(&keys);
    let data = |proof| Data::SetSignalData {
        validator_address: Address::from([3; 20]),
        update: SignalDataUpdate::Version(2),
        proof,
    };
    transaction.recipient_data = data(SignatureProof::default()).serialize_to_vec();
    let proof = |transaction: &Transaction| {
        let signature = keys.sign(&transaction.serialize_content());
        SignatureProof::from_ed25519(keys.public, signature)
    };
    transaction.recipient_data = data(proof(&transaction)).serialize_to_vec();
    transaction.proof = proof(&transaction).serialize_to_vec();
    for version in 1..=3 {
        let theirs = transaction.verify(NETWORK, version).is_ok();
        assert_eq!(theirs, version >= 2);
        assert_eq!(check(&transaction, NETWORK, HEAD, version).is_ok(), theirs);
    }
}

#[test]
fn what_is_left_to_nodes_passes() {
    // A wrong preimage for an HTLC.
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let keys = KeyPair::generate(&mut rng);
    let transaction = TransactionBuilder::new_redeem_htlc_regular(
        &keys,
        Address::from([9; 20]),
        Address::from([8; 20]),
        PreImage::PreImage32(AnyHash32([1; 32])),
        AnyHash::Blake2b(AnyHash32([2; 32])),
        1,
        Coin::from_u64_unchecked(5),
        Coin::ZERO,
        START,
        NETWORK,
    );
    let transaction = transaction.unwrap();
    assert!(theirs(&transaction).is_err());
    assert_eq!(ours(&transaction), Ok(()));
}

/// What is done to a valid transaction.
#[derive(Clone, Debug)]
enum Change {
    Value(u64),
    Fee(u64),
    Flags(u8),
    Network(NetworkId),
    RecipientIsSender,
    Recipient([u8; 20]),
    Sender([u8; 20]),
    RecipientData(Vec<u8>),
    SenderData(Vec<u8>),
    Proof(Vec<u8>),
    ProofByte(prop::sample::Index, u8),
    DataByte(prop::sample::Index, u8),
    DefaultKey,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        prop_oneof![
            Just(0),
            Just(1),
            Just(Policy::TOTAL_SUPPLY),
            any::<u32>().prop_map(u64::from)
        ]
        .prop_map(Change::Value),
        prop_oneof![
            Just(0),
            Just(Policy::TOTAL_SUPPLY),
            any::<u32>().prop_map(u64::from)
        ]
        .prop_map(Change::Fee),
        (0..4_u8).prop_map(Change::Flags),
        prop_oneof![
            Just(NetworkId::MainAlbatross),
            Just(NetworkId::TestAlbatross)
        ]
        .prop_map(Change::Network),
        Just(Change::RecipientIsSender),
        any::<[u8; 20]>().prop_map(Change::Recipient),
        any::<[u8; 20]>().prop_map(Change::Sender),
        prop::collection::vec(any::<u8>(), 0..70).prop_map(Change::RecipientData),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Change::SenderData),
        prop::collection::vec(any::<u8>(), 0..120).prop_map(Change::Proof),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, x)| Change::ProofByte(i, x)),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, x)| Change::DataByte(i, x)),
        Just(Change::DefaultKey),
    ]
}

impl Change {
    fn apply(&self, transaction: &mut Transaction) {
        let set = |bytes: &mut Vec<u8>, at: &prop::sample::Index, to: u8| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
        };
        match self {
            Self::Value(value) => transaction.value = Coin::from_u64_unchecked(*value),
            Self::Fee(fee) => transaction.fee = Coin::from_u64_unchecked(*fee),
            Self::Flags(flags) => transaction.flags = TransactionFlags::from_bits_truncate(*flags),
            Self::Network(network) => transaction.network_id = *network,
            Self::RecipientIsSender => transaction.recipient = transaction.sender.clone(),
            Self::Recipient(address) => transaction.recipient = Address::from(*address),
            Self::Sender(address) => transaction.sender = Address::from(*address),
            Self::RecipientData(data) => transaction.recipient_data.clone_from(data),
            Self::SenderData(data) => transaction.sender_data.clone_from(data),
            Self::Proof(proof) => transaction.proof.clone_from(proof),
            Self::ProofByte(at, to) => set(&mut transaction.proof, at, *to),
            Self::DataByte(at, to) => set(&mut transaction.recipient_data, at, *to),
            Self::DefaultKey => {
                let key = Ed25519PublicKey::default();
                let proof = SignatureProof::from_ed25519(key, Ed25519Signature::default());
                transaction.proof = proof.serialize_to_vec();
            }
        }
    }
}

/// Whether a proof is of a kind that is left to the nodes.
fn is_left_to_nodes(transaction: &Transaction) -> bool {
    use nimiq_primitives::account::AccountType;
    use nimiq_transaction::account::staking_contract::IncomingStakingTransactionData as Data;

    let is_ed25519 = |proof: &SignatureProof| {
        proof.webauthn_fields.is_none()
            && matches!(proof.public_key, nimiq_keys::PublicKey::Ed25519(_))
    };
    if transaction.sender_type == AccountType::HTLC {
        return true;
    }
    if let Ok(proof) = SignatureProof::deserialize_all(&transaction.proof)
        && !is_ed25519(&proof)
    {
        return true;
    }
    if transaction.recipient_type != AccountType::Staking {
        return false;
    }
    matches!(
        Data::parse(transaction),
        Ok(Data::CreateValidator { .. }
            | Data::UpdateValidator {
                new_voting_key: Some(_),
                ..
            })
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_ones_are_judged_as_nodes_judge_them(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..3),
    ) {
        let (name, transaction) = &TRANSACTIONS[which.index(TRANSACTIONS.len())];
        let mut transaction = transaction.clone();
        for change in &changes {
            change.apply(&mut transaction);
        }
        let (theirs, ours) = (theirs(&transaction), ours(&transaction));
        // Nothing that nodes take is refused, and what they refuse is only let through where it is
        // theirs to check.
        if is_left_to_nodes(&transaction) {
            prop_assert!(theirs.is_err() || ours.is_ok(), "{} {:?}", name, ours);
        } else {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", name, ours, theirs);
        }
    }
}
