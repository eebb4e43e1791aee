//! What the engine has to know of a network before it speaks to anyone: its genesis, the pinned
//! election block, where to dial first, and the protocol's policy. Facts only; the genesis block
//! itself is fetched by its hash, which keeps it out of the binary.

use nimiq_hash::Blake2bHash;
use nimiq_primitives::{networks::NetworkId, policy::Policy};

/// A block pinned by number and hash: the start of trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Anchor {
    /// Number of the (genesis or election) block.
    pub block_number: u32,
    /// Its Blake2b hash.
    pub hash: Blake2bHash,
}

/// Facts about one network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkParams {
    /// The id that blocks carry.
    pub network_id: NetworkId,
    /// Its name in the public API, such as `main-albatross`.
    pub name: &'static str,
    genesis_number: u32,
    genesis_hash: [u8; 32],
    /// Timestamp of the genesis block, in Unix milliseconds.
    pub genesis_timestamp: u64,
    checkpoint: Option<(u32, [u8; 32])>,
    /// Public seed nodes, as multiaddrs.
    pub seeds: &'static [&'static str],
    policy: Policy,
}

impl NetworkParams {
    /// The facts of `network`, or `None` where it is no Albatross network.
    pub fn of(network: NetworkId) -> Option<&'static Self> {
        NETWORKS.iter().find(|params| params.network_id == network)
    }

    /// The facts of the network called `name` in the public API.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        NETWORKS.iter().find(|params| params.name == name)
    }

    /// Every network there is.
    pub fn all() -> &'static [Self] {
        &NETWORKS
    }

    /// The genesis block.
    pub fn genesis(&self) -> Anchor {
        Anchor {
            block_number: self.genesis_number,
            hash: self.genesis_hash.into(),
        }
    }

    /// Where trust starts unless the user says otherwise: the pinned election block where there is
    /// one, else genesis.
    pub fn anchor(&self) -> Anchor {
        match self.checkpoint {
            Some((block_number, hash)) => Anchor {
                block_number,
                hash: hash.into(),
            },
            None => self.genesis(),
        }
    }

    /// Installs the network's policy in the process, which the `nimiq-*` crates read everywhere.
    /// It can be installed once: returns whether the one in force is this network's.
    #[must_use]
    pub fn install_policy(&self) -> bool {
        // `get_or_init` asserts in debug builds that both are equal, so ask first through a value
        // that tells the networks apart and does not install a default.
        static INSTALLED: std::sync::OnceLock<NetworkId> = std::sync::OnceLock::new();
        let installed = *INSTALLED.get_or_init(|| self.network_id);
        installed == self.network_id && Policy::get_or_init(self.policy) == self.policy
    }
}

/// Genesis facts: genesis files of `nimiq-genesis` 2.3.0 (checked against it by a test). Pinned
/// election block of the main network: `nimiq-genesis` 2.3.0, `networks.rs`.
static NETWORKS: [NetworkParams; 4] = [
    NetworkParams {
        network_id: NetworkId::MainAlbatross,
        name: "main-albatross",
        genesis_number: 3_456_000,
        genesis_hash: hex32("968f7ad96731644edd4949961ae186ae832ddbb79284db1069799d66ae5bfd06"),
        genesis_timestamp: 1_732_034_720_000,
        checkpoint: Some((
            64_627_200,
            hex32("f8627273fc51e0247ea6474e6226a392b4358dbedd324615c223e2f92cacd8be"),
        )),
        seeds: &[
            "/dns4/aurora.seed.nimiq.com/tcp/443/wss",
            "/dns4/catalyst.seed.nimiq.network/tcp/443/wss",
            "/dns4/cipher.seed.nimiq-network.com/tcp/443/wss",
            "/dns4/eclipse.seed.nimiq.cloud/tcp/443/wss",
            "/dns4/lumina.seed.nimiq.systems/tcp/443/wss",
            "/dns4/nebula.seed.nimiq.com/tcp/443/wss",
            "/dns4/nexus.seed.nimiq.network/tcp/443/wss",
            "/dns4/photon.seed.nimiq.cloud/tcp/443/wss",
            "/dns4/polaris.seed.nimiq-network.com/tcp/443/wss",
            "/dns4/pulsar.seed.nimiq.systems/tcp/443/wss",
            "/dns4/quasar.seed.nimiq.com/tcp/443/wss",
            "/dns4/solstice.seed.nimiq.network/tcp/443/wss",
            "/dns4/vortex.seed.nimiq.cloud/tcp/443/wss",
            "/dns4/zenith.seed.nimiq.systems/tcp/443/wss",
        ],
        policy: nimiq_primitives::policy::MAINNET_POLICY,
    },
    NetworkParams {
        network_id: NetworkId::TestAlbatross,
        name: "test-albatross",
        genesis_number: 3_032_010,
        genesis_hash: hex32("f0d70a89e841e8a8e66663d444bbd7136937cd8fd885774d0d42fb458ae3b598"),
        genesis_timestamp: 1_781_067_600_000,
        checkpoint: None,
        seeds: &["/dns4/seed1.pos.nimiq-testnet.com/tcp/8443/wss"],
        policy: nimiq_primitives::policy::TESTNET_POLICY,
    },
    NetworkParams {
        network_id: NetworkId::DevAlbatross,
        name: "dev-albatross",
        genesis_number: 21_600,
        genesis_hash: hex32("bd79d1e2dd97e7ca0940fcd719f52baa473859661b5d7d4f092603d1d3fc67ad"),
        genesis_timestamp: 1_679_443_200_000,
        checkpoint: None,
        seeds: &[],
        policy: Policy {
            genesis_block_number: 21_600,
            ..nimiq_primitives::policy::TESTNET_POLICY
        },
    },
    NetworkParams {
        network_id: NetworkId::UnitAlbatross,
        name: "unit-albatross",
        genesis_number: 200,
        genesis_hash: hex32("4f8f18fcfe98ccacee0745b6aa69365cd28c836f962d577de57f04aa17fe54a1"),
        genesis_timestamp: 1_635_581_060_000,
        checkpoint: None,
        seeds: &[],
        policy: nimiq_primitives::policy::TEST_POLICY,
    },
];

/// Decodes a hash constant; a wrong one doesn't compile.
#[allow(clippy::panic, reason = "only ever evaluated by the compiler")]
const fn hex32(hex: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("not a lower-case hex digit"),
        }
    }
    let bytes = hex.as_bytes();
    assert!(bytes.len() == 64);
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = digit(bytes[2 * i]) << 4 | digit(bytes[2 * i + 1]);
        i += 1;
    }
    out
}
