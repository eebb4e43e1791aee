//! Queries as users see them: which arguments are taken, and what answers look like.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nimiq_account::{
    Account, BasicAccount, HashedTimeLockedContract, Staker, StakingContract, Validator,
    VestingContract,
};
use nimiq_block::{Block, MacroBlock, MacroHeader, MicroBlock, MicroHeader};
use nimiq_hash::Blake2bHash;
use nimiq_keys::{Address, Ed25519PublicKey};
use nimiq_primitives::{account::AccountType, coin::Coin, networks::NetworkId};
use nimiq_transaction::{
    Transaction,
    account::htlc_contract::{AnyHash, AnyHash32},
};
use pico_sync::{
    NetworkParams, Trust,
    query::{
        Answer, BlockId, Confirmations, ElectedValidator, QueryError, TransactionDetails,
        TransactionState,
    },
};
use pico_sync_client::{
    answer, argument,
    error::{ClientError, ErrorCode},
    value::Value,
};
use proptest::prelude::*;

const ADDRESS: &str = "NQ07 0000 0000 0000 0000 0000 0000 0000 0000";
const HASH: &str = "4f8f18fcfe98ccacee0745b6aa69365cd28c836f962d577de57f04aa17fe54a1";

fn text(value: &str) -> Value {
    value.into()
}

fn coin(value: u64) -> Coin {
    value.try_into().unwrap()
}

/// Checks that `result` is refused with `code` and a message that has all `parts`.
fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>, code: ErrorCode, parts: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{error} lacks {part}");
    }
}

#[test]
fn addresses_come_in_every_spelling() {
    let zeros = "0".repeat(40);
    for spelling in [ADDRESS, &ADDRESS.replace(' ', ""), &zeros] {
        assert_eq!(
            argument::address(&text(spelling)).unwrap(),
            Address::burn_address(),
            "{spelling}"
        );
    }
    let mixed = "aAbB".repeat(10);
    assert_eq!(
        argument::address(&text(&mixed)).unwrap().to_hex(),
        mixed.to_lowercase()
    );
    let long = ADDRESS.repeat(100);
    for wrong in [
        "",
        "NQ",
        "NQ08 0000 0000 0000 0000 0000 0000 0000 0000",
        "NQ07 0000 0000 0000 0000 0000 0000 0000 000",
        "DE07 0000 0000 0000 0000 0000 0000 0000 0000",
        "NQ07 0000 0000 0000 0000 0000 0000 0000 000I",
        "NQ07é0000 0000 0000 0000 0000 0000 0000 0000",
        &zeros[1..],
        &format!("{}g", &zeros[1..]),
        &format!("0x{zeros}"),
        &long,
    ] {
        refused(
            argument::address(&text(wrong)),
            ErrorCode::InvalidAddress,
            &["address: "],
        );
    }
    for wrong in [
        Value::Absent,
        Value::Number(7.0),
        Value::Bytes(vec![0; 20]),
        Value::List(vec![]),
    ] {
        let shown = wrong.to_string();
        refused(
            argument::address(&wrong),
            ErrorCode::InvalidAddress,
            &[&shown],
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_address_is_read_as_it_is_written(bytes in any::<[u8; 20]>()) {
        let address = Address::from(bytes);
        let friendly = address.to_user_friendly_address();
        prop_assert_eq!(argument::address(&text(&friendly)).unwrap(), address.clone());
        prop_assert_eq!(argument::address(&text(&address.to_hex())).unwrap(), address);
    }

    #[test]
    fn no_text_breaks_anything(garbage in "\\PC{0,60}") {
        let value = text(&garbage);
        let _ = argument::address(&value);
        let _ = argument::hash(&value);
        let _ = argument::block_id(&value);
        let _ = argument::raw_transaction(value);
    }

    #[test]
    fn a_wrong_digit_in_an_address_is_noticed(bytes in any::<[u8; 20]>(), nth in any::<prop::sample::Index>(), to in "[0-9]") {
        let mut friendly = Address::from(bytes).to_user_friendly_address().replace(' ', "");
        // A letter counts as two digits: mistaken for a digit, it can come out the same.
        let digits: Vec<_> = friendly.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = *nth.get(&digits);
        prop_assume!(friendly[at..=at] != to);
        friendly.replace_range(at..=at, &to);
        prop_assert!(argument::address(&text(&friendly)).is_err());
    }
}

#[test]
fn lists_of_addresses() {
    let max = argument::MAX_ADDRESSES;
    assert_eq!(argument::addresses(&Value::List(vec![]), max).unwrap(), []);
    let two = Value::List(vec![text(ADDRESS), text(&"0".repeat(40))]);
    assert_eq!(
        argument::addresses(&two, 2).unwrap(),
        vec![Address::burn_address(); 2]
    );
    refused(
        argument::addresses(&Value::List(vec![text(ADDRESS), text("nobody")]), max),
        ErrorCode::InvalidAddress,
        &["'nobody'"],
    );
    refused(
        argument::addresses(&text(ADDRESS), max),
        ErrorCode::InvalidOptions,
        &["array"],
    );
    refused(
        argument::addresses(&two, 1),
        ErrorCode::InvalidOptions,
        &["more than 1 "],
    );
}

#[test]
fn blocks_by_hash_or_number() {
    let hash: Blake2bHash = HASH.parse().unwrap();
    assert_eq!(
        argument::block_id(&text(HASH)).unwrap(),
        BlockId::Hash(hash.clone())
    );
    assert_eq!(
        argument::block_id(&text(&HASH.to_uppercase())).unwrap(),
        BlockId::Hash(hash.clone())
    );
    assert_eq!(argument::hash(&text(HASH)).unwrap(), hash);
    for number in [0, 200, u32::MAX] {
        assert_eq!(
            argument::block_id(&number.into()).unwrap(),
            BlockId::Number(number)
        );
    }
    for wrong in [
        Value::Absent,
        Value::Number(-1.0),
        Value::Number(0.5),
        Value::Number(f64::NAN),
        Value::Number(f64::from(u32::MAX) + 1.0),
        text("200"),
        text(&HASH[1..]),
        text(&format!("{}é", &HASH[2..])),
        Value::Other("a value of type bigint".to_owned()),
    ] {
        let shown = wrong.to_string();
        refused(
            argument::block_id(&wrong),
            ErrorCode::InvalidOptions,
            &[&shown],
        );
        refused(argument::hash(&wrong), ErrorCode::InvalidOptions, &[&shown]);
    }
}

#[test]
fn options_of_a_history() {
    let none = argument::history_options(&Value::Absent).unwrap();
    assert_eq!(
        (none.limit, none.start_at, none.since_block),
        (None, None, None)
    );
    let all = argument::history_options(&Value::Record(vec![
        ("limit", 3.into()),
        ("startAt", text(HASH)),
        ("sinceBlock", 200.into()),
    ]))
    .unwrap();
    assert_eq!(all.limit, Some(3));
    assert_eq!(all.start_at, Some(HASH.parse().unwrap()));
    assert_eq!(all.since_block, Some(200));
    let wrong = argument::history_options(&Value::Record(vec![
        ("limit", Value::Number(-1.0)),
        ("startAt", text("last")),
        ("sinceBlock", Value::Number(0.1)),
    ]));
    refused(
        wrong,
        ErrorCode::InvalidOptions,
        &["limit: -1", "startAt: 'last'", "sinceBlock: 0.1"],
    );
    refused(
        argument::history_options(&3.into()),
        ErrorCode::InvalidOptions,
        &["options: 3"],
    );
}

#[test]
fn transactions_as_bytes_or_hex() {
    let raw = |value| argument::raw_transaction(value);
    assert_eq!(raw(Value::Bytes(vec![1, 2])).unwrap(), [1, 2]);
    assert_eq!(raw(text("00fFAb")).unwrap(), [0, 255, 171]);
    for wrong in [
        text("abc"),
        text("0x00"),
        text("é"),
        Value::Absent,
        7.into(),
    ] {
        let shown = wrong.to_string();
        refused(raw(wrong), ErrorCode::InvalidTransaction, &[&shown]);
    }
}

#[test]
fn what_is_waited_for() {
    let read = |value| argument::confirmations(&value);
    assert_eq!(read(Value::Absent).unwrap(), Confirmations::Included);
    assert_eq!(read(text("included")).unwrap(), Confirmations::Included);
    assert_eq!(read(text("finalized")).unwrap(), Confirmations::Finalized);
    for wrong in [text("sent"), 3.into()] {
        let shown = wrong.to_string();
        refused(
            read(wrong),
            ErrorCode::InvalidOptions,
            &["confirmations", &shown],
        );
    }
}

#[test]
fn errors_have_a_code_and_a_sentence() {
    let sentence = || "what happened".to_owned();
    for (error, code) in [
        (QueryError::NoPeers(sentence()), "no-peers"),
        (QueryError::Timeout(sentence()), "timeout"),
        (QueryError::ProofInvalid(sentence()), "proof-invalid"),
        (QueryError::NotFound(sentence()), "not-found"),
        (
            QueryError::InvalidTransaction(sentence()),
            "invalid-transaction",
        ),
    ] {
        let error = ClientError::from(error);
        assert_eq!((error.code.as_str(), error.message), (code, sentence()));
    }
    let closed = ClientError::from(QueryError::Closed);
    assert_eq!(closed.code.as_str(), "closed");
    assert!(!closed.message.is_empty());
}

/// Checks the properties of `record`: these and no others.
fn assert_record(record: &Value, expected: &[(&str, Value)]) {
    let Value::Record(entries) = record else {
        panic!("{record} is no object");
    };
    let there: Vec<_> = entries
        .iter()
        .filter(|(_, value)| *value != Value::Absent)
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    assert_eq!(there, expected);
}

fn answered(account: Option<Account>) -> Value {
    let answer = Answer {
        value: account,
        block_number: 77,
        trust: Trust::Verified,
    };
    answer::account(&Address::burn_address(), &answer)
}

fn account(kind: &str, balance: u64, details: Option<Value>) -> Vec<(&'static str, Value)> {
    let mut entries = vec![
        ("address", text(ADDRESS)),
        ("type", text(kind)),
        ("balance", Value::Big(balance)),
        ("blockNumber", 77.into()),
        ("trust", text("verified")),
    ];
    entries.extend(details.map(|details| ("details", details)));
    entries
}

#[test]
fn accounts() {
    assert_record(&answered(None), &account("basic", 0, None));
    let basic = BasicAccount { balance: coin(5) };
    assert_record(
        &answered(Some(Account::Basic(basic))),
        &account("basic", 5, None),
    );

    let vesting = VestingContract {
        balance: coin(1 << 53 >> 1),
        owner: Address::burn_address(),
        start_time: 1_700_000_000_000,
        time_step: 60_000,
        step_amount: coin(2),
        total_amount: coin(3),
    };
    let details = Value::Record(vec![
        ("owner", text(ADDRESS)),
        ("startTime", Value::Number(1.7e12)),
        ("timeStep", Value::Number(6e4)),
        ("stepAmount", Value::Big(2)),
        ("totalAmount", Value::Big(3)),
    ]);
    assert_record(
        &answered(Some(Account::Vesting(vesting))),
        &account("vesting", 1 << 52, Some(details)),
    );

    let htlc = HashedTimeLockedContract {
        balance: coin(9),
        sender: Address::burn_address(),
        recipient: Address::burn_address(),
        hash_root: AnyHash::Sha256(AnyHash32([0xab; 32])),
        hash_count: 1,
        timeout: 5,
        total_amount: coin(10),
    };
    let details = Value::Record(vec![
        ("sender", text(ADDRESS)),
        ("recipient", text(ADDRESS)),
        ("hashAlgorithm", text("sha256")),
        ("hashRoot", text(&"ab".repeat(32))),
        ("hashCount", 1.into()),
        ("timeout", 5.into()),
        ("totalAmount", Value::Big(10)),
    ]);
    assert_record(
        &answered(Some(Account::HTLC(htlc))),
        &account("htlc", 9, Some(details)),
    );

    let mut staking = StakingContract {
        balance: coin(4),
        ..StakingContract::default()
    };
    staking
        .active_validators
        .insert(Address::burn_address(), coin(4));
    let active = Value::Record(vec![("address", text(ADDRESS)), ("stake", Value::Big(4))]);
    let details = Value::Record(vec![("activeValidators", Value::List(vec![active]))]);
    assert_record(
        &answered(Some(Account::Staking(staking))),
        &account("staking", 4, Some(details)),
    );
}

#[test]
fn validators_and_stakers() {
    let mut validator = Validator {
        address: Address::burn_address(),
        signing_key: Ed25519PublicKey::default(),
        voting_key: Default::default(),
        reward_address: Address::burn_address(),
        signal_data: None,
        total_stake: coin(8),
        deposit: coin(7),
        num_stakers: 2,
        inactive_from: None,
        jailed_from: None,
        retired: false,
    };
    let mut expected = vec![
        ("address", text(ADDRESS)),
        ("signingKey", text(&"00".repeat(32))),
        ("votingKey", text(&"00".repeat(285))),
        ("rewardAddress", text(ADDRESS)),
        ("deposit", Value::Big(7)),
        ("totalStake", Value::Big(8)),
        ("numStakers", 2.into()),
        ("retired", false.into()),
    ];
    assert_record(&answer::validator(&validator), &expected);
    validator.inactive_from = Some(3);
    validator.jailed_from = Some(4);
    expected.extend([("inactiveFrom", 3.into()), ("jailedFrom", 4.into())]);
    assert_record(&answer::validator(&validator), &expected);

    let mut staker = Staker {
        address: Address::burn_address(),
        active_balance: coin(1),
        inactive_balance: coin(2),
        inactive_from: None,
        retired_balance: coin(3),
        delegation: None,
    };
    assert_record(
        &answer::staker(&staker),
        &[
            ("address", text(ADDRESS)),
            ("balance", Value::Big(1)),
            ("inactiveBalance", Value::Big(2)),
            ("retiredBalance", Value::Big(3)),
        ],
    );
    staker.inactive_from = Some(9);
    staker.delegation = Some(Address::burn_address());
    assert_record(
        &answer::staker(&staker),
        &[
            ("address", text(ADDRESS)),
            ("balance", Value::Big(1)),
            ("delegation", text(ADDRESS)),
            ("inactiveBalance", Value::Big(2)),
            ("inactiveFrom", 9.into()),
            ("retiredBalance", Value::Big(3)),
        ],
    );

    let elected = answer::elected(&[ElectedValidator {
        address: Address::burn_address(),
        slots: 512,
        first_slot: 0,
    }]);
    let Value::List(items) = elected else {
        panic!("{elected} is no list")
    };
    assert_record(
        &items[0],
        &[
            ("address", text(ADDRESS)),
            ("slots", 512.into()),
            ("firstSlot", 0.into()),
        ],
    );
}

#[test]
fn transactions() {
    let transaction = Transaction::new_extended(
        Address::burn_address(),
        AccountType::Basic,
        vec![],
        Address::burn_address(),
        AccountType::Basic,
        b"hello".to_vec(),
        coin(100),
        coin(1),
        200,
        NetworkId::UnitAlbatross,
    );
    let mut details = TransactionDetails {
        transaction,
        hash: HASH.parse().unwrap(),
        state: TransactionState::Pending,
        block_number: None,
        timestamp: None,
        confirmations: None,
        executed: None,
    };
    let always = |state| {
        vec![
            ("hash", text(HASH)),
            ("sender", text(ADDRESS)),
            ("recipient", text(ADDRESS)),
            ("value", Value::Big(100)),
            ("fee", Value::Big(1)),
            ("data", text("68656c6c6f")),
            ("flags", 0.into()),
            ("validityStartHeight", 200.into()),
            ("format", text("extended")),
            ("state", text(state)),
        ]
    };
    assert_record(&answer::transaction(&details), &always("pending"));
    details.block_number = Some(201);
    details.timestamp = Some(1_700_000_000_000);
    details.confirmations = Some(4);
    details.executed = Some(false);
    for (state, name) in [
        (TransactionState::Included, "included"),
        (TransactionState::Finalized, "finalized"),
        (TransactionState::Expired, "expired"),
        (TransactionState::Failed, "failed"),
    ] {
        details.state = state;
        let mut expected = always(name);
        expected.extend([
            ("blockNumber", 201.into()),
            ("timestamp", Value::Number(1.7e12)),
            ("confirmations", 4.into()),
            ("executed", false.into()),
        ]);
        assert_record(&answer::transaction(&details), &expected);
    }
}

#[test]
fn blocks() {
    let params = NetworkParams::by_name("unit-albatross").unwrap();
    assert!(params.install_policy());
    let hash = |byte: u8| Blake2bHash::from([byte; 32]);
    let hex = |byte: &str| text(&byte.repeat(32));

    let micro = Block::Micro(MicroBlock {
        header: MicroHeader {
            network: params.network_id,
            version: 2,
            block_number: 200 + 128 + 32 + 1,
            timestamp: 1_700_000_000_000,
            parent_hash: hash(1),
            state_root: hash(2),
            history_root: hash(3),
            ..MicroHeader::default()
        },
        justification: None,
        body: None,
    });
    let expected = |kind, election, number: u32, epoch: u32, batch: u32, of: &Block| {
        [
            ("blockNumber", number.into()),
            ("hash", text(&of.hash().to_hex())),
            ("type", text(kind)),
            ("election", Value::Bool(election)),
            ("epoch", epoch.into()),
            ("batch", batch.into()),
            ("timestamp", Value::Number(1.7e12)),
            ("parentHash", hex("01")),
            ("stateHash", hex("02")),
            ("historyHash", hex("03")),
            ("version", 2.into()),
        ]
    };
    assert_record(
        &answer::block(&micro),
        &expected("micro", false, 361, 2, 6, &micro),
    );

    for (number, election, epoch, batch) in
        [(232, false, 1, 1), (328, true, 1, 4), (200, true, 0, 0)]
    {
        let block = Block::Macro(MacroBlock {
            header: MacroHeader {
                network: params.network_id,
                version: 2,
                block_number: number,
                timestamp: 1_700_000_000_000,
                parent_hash: hash(1),
                state_root: hash(2),
                history_root: hash(3),
                ..MacroHeader::default()
            },
            ..MacroBlock::default()
        });
        let expected = expected("macro", election, number, epoch, batch, &block);
        assert_record(&answer::block(&block), &expected);
    }
}
