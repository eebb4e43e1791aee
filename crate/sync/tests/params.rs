//! What `NetworkParams` says of each network is what the crates of the 2.3.0 release say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{env, process::Command};

use nimiq_genesis::NetworkInfo;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use pico_sync::{Anchor, NetworkParams};

/// Names the network in the process that [`the_policy_is_the_one_of_a_node`] starts for it.
const NETWORK: &str = "PICO_TEST_NETWORK";

#[test]
fn genesis_is_the_one_of_a_node() {
    assert_eq!(NetworkParams::all().len(), 4);
    for params in NetworkParams::all() {
        let theirs = NetworkInfo::from_network_id(params.network_id);
        let block = theirs.genesis_block();
        assert_eq!(params.name, theirs.name());
        assert_eq!(
            params.genesis(),
            Anchor {
                block_number: block.block_number(),
                hash: theirs.genesis_hash().clone(),
            },
            "{}",
            params.name
        );
        assert_eq!(params.genesis_timestamp, block.timestamp());
        // The hash that comes with the genesis block is remembered, not computed.
        let mut block = block.unwrap_macro();
        block.header.cached_hash = None;
        assert_eq!(params.genesis().hash, block.hash());
    }
}

#[test]
fn the_pinned_election_block_is_the_one_of_a_node() {
    for params in NetworkParams::all() {
        let theirs = NetworkInfo::from_network_id(params.network_id).checkpoint();
        let expected = theirs.map_or_else(
            || params.genesis(),
            |pinned| Anchor {
                block_number: pinned.block_number,
                hash: pinned.hash,
            },
        );
        assert_eq!(params.anchor(), expected, "{}", params.name);
    }
}

#[test]
fn networks_are_found_by_id_and_by_name() {
    for params in NetworkParams::all() {
        let by_id = NetworkParams::of(params.network_id).unwrap();
        let by_name = NetworkParams::by_name(params.name).unwrap();
        assert_eq!(by_id.name, params.name);
        assert_eq!(by_name.network_id, params.network_id);
        assert_eq!(
            params.name.parse::<NetworkId>().map_err(|_| ()),
            Ok(params.network_id),
        );
    }
    // The networks of before Albatross.
    for network in [
        NetworkId::Main,
        NetworkId::Test,
        NetworkId::Dev,
        NetworkId::Bounty,
        NetworkId::Dummy,
    ] {
        assert!(NetworkParams::of(network).is_none(), "{network:?}");
    }
    for name in ["", "main", "MAIN-ALBATROSS", "mainalbatross"] {
        assert!(NetworkParams::by_name(name).is_none(), "{name}");
    }
}

#[test]
fn seeds_are_secure_websockets_with_a_domain() {
    for params in NetworkParams::all() {
        for seed in params.seeds {
            assert!(seed.starts_with("/dns4/"), "{seed}");
            assert!(seed.ends_with("/wss"), "{seed}");
        }
    }
}

/// A process can have one policy only, so each network is looked at in a process of its own.
#[test]
fn the_policy_is_the_one_of_a_node() {
    for params in NetworkParams::all() {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "policy_of_this_process", "--nocapture"])
            .env(NETWORK, params.name)
            .output()
            .unwrap();
        assert!(
            child.status.success(),
            "{}: {}{}",
            params.name,
            String::from_utf8_lossy(&child.stdout),
            String::from_utf8_lossy(&child.stderr)
        );
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    }
}

/// What [`the_policy_is_the_one_of_a_node`] runs; does nothing without it.
#[test]
fn policy_of_this_process() {
    let Ok(name) = env::var(NETWORK) else {
        return;
    };
    let params = NetworkParams::by_name(&name).unwrap();
    assert!(params.install_policy());
    assert!(params.install_policy(), "again");

    // As `nimiq-lib` does it.
    let info = NetworkInfo::from_network_id(params.network_id);
    let expected = Policy {
        genesis_block_number: info.genesis_block().block_number(),
        max_supported_version: info.max_supported_version(),
        ..Policy::default_for_network(params.network_id)
    };
    assert_eq!(
        Policy::genesis_block_number(),
        expected.genesis_block_number
    );
    assert_eq!(
        Policy::max_supported_version(),
        expected.max_supported_version
    );
    // Asserts by itself that nothing else differs.
    assert_eq!(Policy::get_or_init(expected), expected);
    assert!(Policy::is_election_block_at(params.genesis().block_number));
    assert!(Policy::is_election_block_at(params.anchor().block_number));

    for other in NetworkParams::all() {
        assert_eq!(
            other.install_policy(),
            other.network_id == params.network_id,
            "{} after {name}",
            other.name
        );
    }
}
