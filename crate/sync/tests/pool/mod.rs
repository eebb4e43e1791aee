//! Blocks to test a light chain with: a real chain of several epochs, made once per process, and
//! an [`Office`] that signs any block on top of any other, also in the name of several validators.
//!
//! What full nodes make of the blocks an office signs is another matter: their roots commit to
//! nothing. Light clients can't tell.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test uses a part of this module"
)]

mod office;
mod upstream;

use std::{env, sync::OnceLock};

use nimiq_block::{Block, MacroBlock};
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use pico_node::chain::{ScriptedChain, ValidatorKeys, genesis_block, init_policy, without_body};
use pico_sync::{Clock, LightChain, NetworkParams};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

pub use self::{office::Office, upstream::Upstream};

/// The network of all blocks, with its policy installed.
pub fn params() -> &'static NetworkParams {
    init_policy();
    let params = NetworkParams::of(NetworkId::UnitAlbatross).unwrap();
    assert!(params.install_policy());
    params
}

/// Our chain, with nothing but the genesis block.
pub fn chain() -> LightChain {
    LightChain::starting_at(params(), Clock::system(), genesis()).unwrap()
}

/// The genesis block, as light clients get it.
pub fn genesis() -> MacroBlock {
    without_body(genesis_block()).unwrap_macro()
}

/// The seed of everything random in a test: `PICO_TEST_SEED`, or always the same one.
pub fn seed() -> u64 {
    number_from_env("PICO_TEST_SEED").unwrap_or(0x7069_636f)
}

/// A random number generator for one part of a test.
pub fn rng(part: u64) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed());
    rng.set_stream(part);
    rng
}

/// A number that the environment may give.
pub fn number_from_env(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// A real chain, as light clients get it, and who is in it.
#[derive(Debug)]
pub struct World {
    /// The blocks after genesis: two epochs and a half, with a skip block here and there.
    pub blocks: Vec<Block>,
    /// The one validator of the real chain.
    pub validator: ValidatorKeys,
    /// Some that own unequal shares of the slots, once they are elected.
    pub committee: Vec<ValidatorKeys>,
    /// Somebody who is never elected.
    pub stranger: ValidatorKeys,
}

impl World {
    /// The world, made when it is first asked for.
    pub fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| {
            let mut chain = ScriptedChain::new().unwrap();
            for skipped in [205, 250, 251, 300, 338, 400, 480] {
                chain.extend_micro(skipped - 1 - chain.height()).unwrap();
                chain.extend_skip().unwrap();
            }
            chain.extend_batches(2).unwrap();
            chain.extend_micro(10).unwrap();
            let mut rng = rng(u64::MAX);
            Self {
                blocks: chain.light_blocks().unwrap(),
                validator: chain.keys().clone(),
                committee: std::iter::repeat_with(|| ValidatorKeys::generate(&mut rng))
                    .take(5)
                    .collect(),
                stranger: ValidatorKeys::generate(&mut rng),
            }
        })
    }

    /// The real block of that number.
    pub fn block(&self, number: u32) -> Block {
        let first = Policy::genesis_block_number() + 1;
        self.blocks[(number - first) as usize].clone()
    }

    /// The real macro block of that number.
    pub fn macro_block(&self, number: u32) -> MacroBlock {
        self.block(number).unwrap_macro()
    }

    /// The real blocks of those numbers.
    pub fn range(&self, from: u32, to: u32) -> impl Iterator<Item = Block> {
        (from..=to).map(|number| self.block(number))
    }

    /// Those who sign in the real chain after its macro block `number`.
    pub fn office_at(&self, number: u32) -> Office {
        let genesis_number = Policy::genesis_block_number();
        let macro_block = |number| match number == genesis_number {
            true => genesis(),
            false => self.macro_block(number),
        };
        Office::new(
            vec![self.validator.clone()],
            macro_block(Policy::last_election_block(number)),
            macro_block(number),
        )
    }
}
