//! A chain that is the same everywhere, byte for byte, so that proofs of it can be kept.
//!
//! It begins with the genesis block of `unit-albatross` and goes on one block a second, so it lies in
//! the past. The first election raises it to protocol version 2, and the elections have from one to four
//! validators, some of whom don't always vote. All but the genesis block's validator are gone at the
//! end, so that a network with just that one can go on.

use nimiq_block::MacroBlock;
use nimiq_keys::Address;
use nimiq_primitives::{coin::Coin, policy::Policy};
use nimiq_transaction::Transaction;
use nimiq_transaction_builder::TransactionBuilder;

use super::{
    ChainConfig, ChainError, NETWORK_ID, Payer, ScriptedChain, ValidatorKeys, init_policy,
};

/// The file of a fixture that has its election blocks from genesis on, serialized as a list.
pub const ELECTIONS_FILE: &str = "elections.bin";

/// The folder of a fixture that has the proofs.
pub const PROOFS_FOLDER: &str = "proofs";

/// The protocol version that the first election raises the chain to. Its validators commitment is
/// what the circuits open.
const VERSION: u16 = 2;

/// Name the further validators, see [`ValidatorKeys::numbered`], and their stakers, see
/// [`Payer::numbered`].
const VALIDATOR_SEED: u64 = 0x7661_6c69_6461_0000;
const STAKER_SEED: u64 = 0x7374_616b_6572_0000;

/// What is staked for each validator beside its deposit, in deposits: the genesis block's validator
/// first, then the further ones.
const STAKES: [u64; 4] = [2, 1, 0, 0];

/// One epoch of the chain. Validators are counted as in [`STAKES`].
struct Epoch {
    /// Who is elected at its end, beside the genesis block's validator.
    elected: &'static [usize],
    /// Who doesn't vote in it.
    absent: &'static [usize],
}

const EPOCHS: [Epoch; 6] = [
    Epoch {
        elected: &[1, 2, 3],
        absent: &[],
    },
    Epoch {
        elected: &[1, 2],
        absent: &[3],
    },
    Epoch {
        elected: &[1],
        absent: &[],
    },
    Epoch {
        elected: &[1, 2, 3],
        absent: &[],
    },
    Epoch {
        elected: &[],
        absent: &[2],
    },
    Epoch {
        elected: &[],
        absent: &[],
    },
];

/// The chain, made epoch by epoch.
#[derive(Debug)]
pub struct Fixture {
    chain: ScriptedChain,
    validators: Vec<ValidatorKeys>,
    /// Epochs made so far.
    epochs: usize,
    /// The further validators that the next election could elect.
    active: Vec<usize>,
    /// Of what comes afterwards.
    seed: u64,
}

impl Fixture {
    /// How many epochs it has.
    pub const EPOCHS: u32 = EPOCHS.len() as u32;

    /// Number of its first election block of protocol version 2, with which proofs begin.
    pub fn anchor_number() -> u32 {
        init_policy();
        Policy::genesis_block_number() + Policy::blocks_per_epoch()
    }

    /// Begins with the genesis block. Of the configuration only counts where and for how long blocks
    /// are kept, and the seed of what comes after the fixture.
    pub fn begin(config: ChainConfig) -> Result<Self, ChainError> {
        let validators: Vec<_> = (1..STAKES.len()).map(keys).collect();
        let chain = ScriptedChain::with_config(ChainConfig {
            version: VERSION,
            validators: validators.clone(),
            keep_all_epochs: config.keep_all_epochs,
            directory: config.directory,
            ..ChainConfig::default()
        })?;
        Ok(Self {
            chain,
            validators,
            epochs: 0,
            active: Vec::new(),
            seed: config.seed,
        })
    }

    /// The whole chain.
    pub fn make(config: ChainConfig) -> Result<ScriptedChain, ChainError> {
        let mut fixture = Self::begin(config)?;
        while fixture.extend_epoch()? {}
        Ok(fixture.into_chain())
    }

    /// Appends the next epoch, whose election block is then the head. `false` if there are no more.
    pub fn extend_epoch(&mut self) -> Result<bool, ChainError> {
        let Some(epoch) = EPOCHS.get(self.epochs) else {
            return Ok(false);
        };
        self.chain.set_absent(self.addresses(epoch.absent));
        let transactions = if self.epochs == 0 {
            self.candidacies()?
        } else {
            self.changes(epoch.elected)
        };
        self.chain.extend_with(transactions)?;
        let height = self.chain.height();
        self.chain
            .extend_micro(Policy::election_block_after(height) - height)?;
        self.active = epoch.elected.to_vec();
        self.epochs += 1;
        Ok(true)
    }

    /// The further validators that produce blocks after so many epochs of it. There are none at its
    /// end.
    pub fn others_after(epochs: u32) -> Vec<ValidatorKeys> {
        let last = usize::try_from(epochs).ok().and_then(|n| n.checked_sub(1));
        let elected = last.and_then(|last| EPOCHS.get(last));
        let numbers = elected.map(|epoch| epoch.elected).unwrap_or_default();
        numbers.iter().map(|&number| keys(number)).collect()
    }

    /// What there is of the chain.
    pub fn chain(&self) -> &ScriptedChain {
        &self.chain
    }

    /// What there is of the chain, to be extended in other ways.
    pub fn into_chain(mut self) -> ScriptedChain {
        self.chain.set_absent(Vec::new());
        self.chain.set_seed(self.seed);
        self.chain
    }

    fn addresses(&self, numbers: &[usize]) -> Vec<Address> {
        self.validators
            .iter()
            .zip(1..)
            .filter(|(_, number)| numbers.contains(number))
            .map(|(keys, _)| keys.address.clone())
            .collect()
    }

    /// The transactions by which the further validators and all stakes come to be.
    fn candidacies(&self) -> Result<Vec<Transaction>, ChainError> {
        let funded = Payer::funded();
        let height = self.chain.height();
        let mut transactions = Vec::new();
        for keys in &self.validators {
            transactions.push(TransactionBuilder::new_create_validator(
                funded.key_pair(),
                &keys.cold,
                keys.signing.public,
                &keys.voting,
                funded.address().clone(),
                Some(Policy::signal_data_for_version(VERSION)),
                Coin::ZERO,
                height,
                NETWORK_ID,
            )?);
        }
        let first = self.chain.keys().address.clone();
        let validators =
            std::iter::once(first).chain(self.validators.iter().map(|keys| keys.address.clone()));
        for ((validator, deposits), number) in validators.zip(STAKES).zip(STAKER_SEED..) {
            if deposits == 0 {
                continue;
            }
            transactions.push(TransactionBuilder::new_create_staker(
                funded.key_pair(),
                Payer::numbered(number).key_pair(),
                Some(validator),
                Coin::from_u64_unchecked(deposits * Policy::VALIDATOR_DEPOSIT),
                Coin::ZERO,
                height,
                NETWORK_ID,
            )?);
        }
        Ok(transactions)
    }

    /// The transactions by which the further validators stand for the next election or withdraw from
    /// it. They cost nothing.
    fn changes(&self, wanted: &[usize]) -> Vec<Transaction> {
        let payer = Payer::funded();
        let height = self.chain.height();
        let change = |(keys, number): (&ValidatorKeys, usize)| {
            let (is, shall_be) = (self.active.contains(&number), wanted.contains(&number));
            let build = match (is, shall_be) {
                (false, true) => TransactionBuilder::new_reactivate_validator,
                (true, false) => TransactionBuilder::new_deactivate_validator,
                _ => return None,
            };
            Some(build(
                payer.key_pair(),
                keys.address.clone(),
                &keys.signing,
                Coin::ZERO,
                height,
                NETWORK_ID,
            ))
        };
        self.validators.iter().zip(1..).filter_map(change).collect()
    }
}

/// The keys of a further validator.
fn keys(number: usize) -> ValidatorKeys {
    ValidatorKeys::numbered(VALIDATOR_SEED + number as u64)
}

impl ScriptedChain {
    /// All election blocks from genesis on, as light clients get them: with justification, without
    /// body.
    pub fn elections(&self) -> Result<Vec<MacroBlock>, ChainError> {
        let first = Policy::genesis_block_number();
        let step = usize::try_from(Policy::blocks_per_epoch()).unwrap_or(usize::MAX);
        (first..=self.height())
            .step_by(step)
            .map(|number| match self.light_block_at(number)? {
                nimiq_block::Block::Macro(block) => Ok(block),
                nimiq_block::Block::Micro(_) => Err(ChainError::NoSuchBlock(number)),
            })
            .collect()
    }
}
