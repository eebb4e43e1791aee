//! Every transaction that is made is one that nodes take, and says what it was made to say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nimiq_keys::Address;
use nimiq_primitives::{account::AccountType, networks::NetworkId, policy::Policy};
use nimiq_serde::Deserialize;
use nimiq_transaction::{
    Transaction, TransactionFlags, TransactionFormat,
    account::staking_contract::IncomingStakingTransactionData as StakingData,
};
use pico_wallet::{
    ErrorCode, KeyPair, Terms, WalletError,
    transaction::{
        add_stake, create_staker, payment, remove_stake, retire_stake, set_active_stake,
        update_staker,
    },
};
use proptest::prelude::*;

/// The version of the rules that today's networks follow.
const PROTOCOL_VERSION: u16 = 1;
const NETWORKS: [(&str, NetworkId); 4] = [
    ("main-albatross", NetworkId::MainAlbatross),
    ("test-albatross", NetworkId::TestAlbatross),
    ("dev-albatross", NetworkId::DevAlbatross),
    ("unit-albatross", NetworkId::UnitAlbatross),
];

fn pair() -> KeyPair {
    KeyPair::from_private_key(&[7; 32]).unwrap()
}

fn terms() -> Terms {
    Terms::new(3, 1000, "unit-albatross").unwrap()
}

fn other() -> Address {
    Address::from([9; 20])
}

/// As a node reads and checks it.
fn taken(raw: &[u8], network: NetworkId) -> Transaction {
    let transaction = Transaction::deserialize_all(raw).unwrap();
    transaction.verify(network, PROTOCOL_VERSION).unwrap();
    transaction
}

fn staking(raw: &[u8]) -> (Transaction, StakingData) {
    let transaction = taken(raw, NetworkId::UnitAlbatross);
    assert_eq!(transaction.recipient_type, AccountType::Staking);
    assert_eq!(transaction.recipient, Policy::STAKING_CONTRACT_ADDRESS);
    assert_eq!(transaction.sender, pair().address());
    let data = StakingData::parse(&transaction).unwrap();
    (transaction, data)
}

#[test]
fn a_new_staker_delegates() {
    let raw = create_staker(&pair(), other(), Policy::MINIMUM_STAKE, &terms()).unwrap();
    let (transaction, data) = staking(&raw);
    assert_eq!(u64::from(transaction.value), Policy::MINIMUM_STAKE);
    let StakingData::CreateStaker { delegation, .. } = data else {
        panic!("{data:?}")
    };
    assert_eq!(delegation, Some(other()));
}

#[test]
fn stake_is_added_to_oneself() {
    let (transaction, data) = staking(&add_stake(&pair(), 5, &terms()).unwrap());
    assert_eq!(u64::from(transaction.value), 5);
    assert!(
        matches!(data, StakingData::AddStake { staker_address } if staker_address == pair().address())
    );
}

#[test]
fn what_only_signals_moves_nothing() {
    for raw in [
        update_staker(&pair(), None, true, &terms()),
        update_staker(&pair(), Some(other()), false, &terms()),
        set_active_stake(&pair(), 0, &terms()),
        set_active_stake(&pair(), 77, &terms()),
        retire_stake(&pair(), 77, &terms()),
    ] {
        let (transaction, _) = staking(&raw.unwrap());
        assert!(transaction.value.is_zero());
        assert_eq!(transaction.flags, TransactionFlags::SIGNALING);
    }
}

#[test]
fn the_amounts_of_signals_are_in_their_data() {
    let (_, data) = staking(&set_active_stake(&pair(), 77, &terms()).unwrap());
    assert!(
        matches!(data, StakingData::SetActiveStake { new_active_balance, .. } if u64::from(new_active_balance) == 77)
    );
    let (_, data) = staking(&retire_stake(&pair(), 78, &terms()).unwrap());
    assert!(
        matches!(data, StakingData::RetireStake { retire_stake, .. } if u64::from(retire_stake) == 78)
    );
    let (_, data) = staking(&update_staker(&pair(), Some(other()), true, &terms()).unwrap());
    assert!(
        matches!(data, StakingData::UpdateStaker { new_delegation, reactivate_all_stake: true, .. } if new_delegation == Some(other()))
    );
}

#[test]
fn removed_stake_comes_to_oneself() {
    let raw = remove_stake(&pair(), 5, &terms()).unwrap();
    let transaction = taken(&raw, NetworkId::UnitAlbatross);
    assert_eq!(transaction.sender_type, AccountType::Staking);
    assert_eq!(transaction.sender, Policy::STAKING_CONTRACT_ADDRESS);
    assert_eq!(transaction.recipient, pair().address());
    assert_eq!(u64::from(transaction.value), 5);
}

#[test]
fn what_no_node_takes_is_refused() {
    let pay = |recipient, value, message: &[u8]| {
        payment(&pair(), recipient, value, message, &terms()).unwrap_err()
    };
    for (error, expected) in [
        (pay(other(), 0, b""), WalletError::ZeroValue),
        (pay(other(), u64::MAX, b""), WalletError::Amount),
        (
            pay(other(), Policy::TOTAL_SUPPLY - 2, b""),
            WalletError::Amount,
        ),
        (pay(other(), 1, &[b'a'; 65]), WalletError::MessageLength(65)),
        (pay(pair().address(), 1, b""), WalletError::OwnAddress),
        (
            pay(Policy::STAKING_CONTRACT_ADDRESS, 1, b""),
            WalletError::StakingContract,
        ),
        (
            create_staker(&pair(), other(), Policy::MINIMUM_STAKE - 1, &terms()).unwrap_err(),
            WalletError::MinimumStake,
        ),
        (
            add_stake(&pair(), 0, &terms()).unwrap_err(),
            WalletError::ZeroValue,
        ),
        (
            retire_stake(&pair(), 0, &terms()).unwrap_err(),
            WalletError::ZeroValue,
        ),
        (
            remove_stake(&pair(), 0, &terms()).unwrap_err(),
            WalletError::ZeroValue,
        ),
        (
            set_active_stake(&pair(), u64::MAX, &terms()).unwrap_err(),
            WalletError::Amount,
        ),
        (
            Terms::new(u64::MAX, 0, "main-albatross").unwrap_err(),
            WalletError::Amount,
        ),
    ] {
        assert_eq!(error, expected);
        assert_eq!(error.code(), ErrorCode::InvalidTransaction);
    }
}

#[test]
fn only_networks_of_albatross_are_known() {
    for name in ["", "main", "Main", "MainAlbatross", "bounty", "dummy"] {
        let error = Terms::new(0, 0, name).unwrap_err();
        assert_eq!(error, WalletError::Network);
        assert_eq!(error.code(), ErrorCode::InvalidOptions);
    }
}

proptest! {
    #[test]
    fn a_payment_says_what_was_asked(
        key: [u8; 32],
        recipient: [u8; 20],
        value in 1..=Policy::TOTAL_SUPPLY,
        fee in 0..=Policy::TOTAL_SUPPLY,
        message in prop_oneof![Just(vec![]), prop::collection::vec(any::<u8>(), 0..=80)],
        height: u32,
        network in 0..4_usize,
    ) {
        let pair = KeyPair::from_private_key(&key).unwrap();
        let recipient = Address::from(recipient);
        let (name, id) = NETWORKS[network];
        let terms = Terms::new(fee, height, name).unwrap();
        let made = payment(&pair, recipient.clone(), value, &message, &terms);
        if value + fee > Policy::TOTAL_SUPPLY {
            prop_assert_eq!(made, Err(WalletError::Amount));
        } else if message.len() > 64 {
            prop_assert_eq!(made, Err(WalletError::MessageLength(message.len())));
        } else {
            let transaction = taken(&made.unwrap(), id);
            let format = if message.is_empty() { TransactionFormat::Basic } else { TransactionFormat::Extended };
            prop_assert_eq!(transaction.format(), format);
            prop_assert_eq!(&transaction.sender, &pair.address());
            prop_assert_eq!(&transaction.recipient, &recipient);
            prop_assert_eq!(u64::from(transaction.value), value);
            prop_assert_eq!(u64::from(transaction.fee), fee);
            prop_assert_eq!(&transaction.recipient_data, &message);
            prop_assert_eq!(transaction.validity_start_height, height);
            prop_assert_eq!(transaction.network_id, id);
            for (_, foreign) in NETWORKS.iter().filter(|(_, foreign)| *foreign != id) {
                prop_assert!(transaction.verify(*foreign, PROTOCOL_VERSION).is_err());
            }
        }
    }
}
