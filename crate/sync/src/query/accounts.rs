//! Accounts: what the state of a recent block says of an address.

use std::collections::HashMap;

use nimiq_account::Account;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;
use nimiq_primitives::key_nibbles::KeyNibbles;

use super::{Answer, Queries, QueryError, trie};

impl<TNetwork: Network> Queries<TNetwork> {
    /// The accounts at `addresses`, in their order, each proven against a recent block. `None` where
    /// it is proven that there is none: nobody has ever sent it anything, or it was emptied.
    ///
    /// Large numbers are asked for in parts, so accounts may be as of blocks that differ a little.
    ///
    /// # Errors
    /// [`QueryError`], when not all of them can be had.
    pub async fn accounts(
        &self,
        addresses: &[Address],
    ) -> Result<Vec<Answer<Option<Account>>>, QueryError> {
        let mut positions = HashMap::new();
        let mut keys = Vec::new();
        for address in addresses {
            positions.entry(address).or_insert_with(|| {
                keys.push(KeyNibbles::from(address));
                keys.len() - 1
            });
        }
        let values = self.while_running(self.trie_values(keys)).await?;
        addresses
            .iter()
            .filter_map(|address| values.get(*positions.get(address)?))
            .map(|answer| {
                Ok(Answer {
                    value: trie::decode(&answer.value)?,
                    block_number: answer.block_number,
                    trust: answer.trust,
                })
            })
            .collect()
    }
}
