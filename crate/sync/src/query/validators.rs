//! Staking: validators and stakers, who are entries of the staking contract in the accounts tree,
//! and the validators elected for the current epoch, who stand in the election block.

use nimiq_account::{Staker, StakingContractStore, Validator};
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;
use nimiq_primitives::{key_nibbles::KeyNibbles, policy::Policy};
use nimiq_serde::Deserialize;

use super::{Answer, Queries, QueryError, trie};

/// A validator elected for the current epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ElectedValidator {
    /// Its address.
    pub address: Address,
    /// How many of the slots it owns.
    pub slots: u16,
    /// The first of them; they are consecutive.
    pub first_slot: u16,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// The validator with this address, proven against a recent block. `None` where it is proven
    /// that there is none.
    ///
    /// # Errors
    /// [`QueryError`], when it can't be had.
    pub async fn validator(
        &self,
        address: &Address,
    ) -> Result<Answer<Option<Validator>>, QueryError> {
        self.staking_entry(StakingContractStore::validator_key(address))
            .await
    }

    /// The staker with this address, proven against a recent block. `None` where it is proven that
    /// there is none.
    ///
    /// # Errors
    /// [`QueryError`], when it can't be had.
    pub async fn staker(&self, address: &Address) -> Result<Answer<Option<Staker>>, QueryError> {
        self.staking_entry(StakingContractStore::staker_key(address))
            .await
    }

    async fn staking_entry<T: Deserialize>(
        &self,
        key: KeyNibbles,
    ) -> Result<Answer<Option<T>>, QueryError> {
        let contract = KeyNibbles::from(&Policy::STAKING_CONTRACT_ADDRESS);
        let values = self.trie_values(vec![&contract + &key]);
        let answers = self.while_running(values).await?;
        match answers.first() {
            Some(answer) => Ok(Answer {
                value: trie::decode(&answer.value)?,
                block_number: answer.block_number,
                trust: answer.trust,
            }),
            None => Err(QueryError::ProofInvalid("no proven state".into())),
        }
    }

    /// Who was elected for the current epoch, in the order of their slots.
    ///
    /// # Errors
    /// [`QueryError::NoPeers`] if there is no consensus in time, [`QueryError::Closed`].
    pub async fn elected_validators(&self) -> Result<Vec<ElectedValidator>, QueryError> {
        self.while_running(self.established()).await?;
        let chain = &self.context().chain;
        let validators = chain.read(|chain| chain.validators().clone());
        let validators = validators
            .ok_or_else(|| QueryError::NoPeers("there is no chain at the moment".into()))?;
        Ok(validators
            .validators
            .iter()
            .map(|validator| ElectedValidator {
                address: validator.address.clone(),
                slots: validator.slots.end.saturating_sub(validator.slots.start),
                first_slot: validator.slots.start,
            })
            .collect())
    }
}
