//! Which clients want to be told of which addresses. Without any I/O.

use std::collections::{HashMap, HashSet};

use nimiq_block::MicroBody;
use nimiq_consensus::SubscribeToAddressesError as Refusal;
use nimiq_consensus::messages::{
    AddressSubscriptionOperation as Operation, RequestSubscribeToAddress,
};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_primitives::account::AccountType;
use nimiq_transaction::{Transaction, account::staking_contract::IncomingStakingTransactionData};
use pico_network::PeerId;

use super::limits;

/// Transactions that a client is to be told of, with the number of their block.
pub(super) type Receipts = Vec<(Blake2bHash, u32)>;

/// The subscriptions of all clients.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    of_client: HashMap<PeerId, HashSet<Address>>,
    of_address: HashMap<Address, HashSet<PeerId>>,
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.of_client.is_empty()
    }

    pub(super) fn clients(&self) -> usize {
        self.of_client.len()
    }

    pub(super) fn addresses(&self) -> usize {
        self.of_address.len()
    }

    /// Does what a client asks for, as a node does it.
    pub(super) fn apply(
        &mut self,
        client: PeerId,
        request: RequestSubscribeToAddress,
    ) -> Result<(), Refusal> {
        match request.operation {
            Operation::Subscribe => self.subscribe(client, request.addresses),
            Operation::Unsubscribe => self.unsubscribe(&client, &request.addresses),
        }
    }

    fn subscribe(&mut self, client: PeerId, addresses: Vec<Address>) -> Result<(), Refusal> {
        let known = self.of_client.get(&client);
        let new: HashSet<Address> = addresses
            .into_iter()
            .filter(|address| known.is_none_or(|known| !known.contains(address)))
            .collect();
        if known.map_or(0, HashSet::len) + new.len() > limits::ADDRESSES_PER_CLIENT {
            return Err(Refusal::TooManyAddresses);
        }
        if new.is_empty() {
            return Ok(());
        }
        if self.of_address.len() + new.len() > limits::ADDRESSES {
            return Err(Refusal::TooManyPeers);
        }
        for address in &new {
            let clients = self.of_address.entry(address.clone()).or_default();
            clients.insert(client);
        }
        self.of_client.entry(client).or_default().extend(new);
        Ok(())
    }

    fn unsubscribe(&mut self, client: &PeerId, addresses: &[Address]) -> Result<(), Refusal> {
        let Some(known) = self.of_client.get_mut(client) else {
            return Err(Refusal::InvalidOperation);
        };
        for address in addresses {
            if known.remove(address) {
                forget(&mut self.of_address, address, client);
            }
        }
        if known.is_empty() {
            self.of_client.remove(client);
        }
        Ok(())
    }

    /// Forgets a client.
    pub(super) fn remove(&mut self, client: &PeerId) {
        for address in self.of_client.remove(client).unwrap_or_default() {
            forget(&mut self.of_address, &address, client);
        }
    }

    /// Forgets all clients but those.
    pub(super) fn retain(&mut self, is_there: impl Fn(&PeerId) -> bool) {
        let clients = self.of_client.keys();
        let gone: Vec<PeerId> = clients.filter(|peer| !is_there(peer)).copied().collect();
        for client in gone {
            self.remove(&client);
        }
    }

    /// Who is to be told of which transactions of a block.
    pub(super) fn matches(&self, number: u32, body: &MicroBody) -> HashMap<PeerId, Receipts> {
        let mut told: HashMap<PeerId, Receipts> = HashMap::new();
        for executed in &body.transactions {
            let transaction = executed.get_raw_transaction();
            let mut clients: HashSet<PeerId> = HashSet::new();
            for address in touched(transaction) {
                clients.extend(self.of_address.get(&address).into_iter().flatten());
            }
            for client in clients {
                let receipts = told.entry(client).or_default();
                receipts.push((transaction.hash(), number));
            }
        }
        told
    }
}

fn forget(of_address: &mut HashMap<Address, HashSet<PeerId>>, address: &Address, client: &PeerId) {
    if let Some(clients) = of_address.get_mut(address) {
        clients.remove(client);
        if clients.is_empty() {
            of_address.remove(address);
        }
    }
}

/// The addresses that a node takes a transaction to be about.
fn touched(transaction: &Transaction) -> Vec<Address> {
    let mut addresses = vec![transaction.sender.clone(), transaction.recipient.clone()];
    if transaction.recipient_type == AccountType::Staking
        && let Ok(IncomingStakingTransactionData::AddStake { staker_address }) =
            IncomingStakingTransactionData::parse(transaction)
    {
        addresses.push(staker_address);
    }
    addresses
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nimiq_primitives::coin::Coin;
    use nimiq_transaction::ExecutedTransaction;

    use super::*;
    use crate::chain::NETWORK_ID;

    fn address(number: u8) -> Address {
        Address::from([number; 20])
    }

    fn request(operation: Operation, addresses: Vec<Address>) -> RequestSubscribeToAddress {
        RequestSubscribeToAddress {
            operation,
            addresses,
        }
    }

    fn many(from: u32, count: usize) -> Vec<Address> {
        (from..)
            .take(count)
            .map(|number| {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&number.to_be_bytes());
                Address::from(bytes)
            })
            .collect()
    }

    #[test]
    fn limits_are_those_of_a_node() {
        let mut all = Subscriptions::default();
        let (a, b) = (PeerId::random(), PeerId::random());
        let subscribe = |addresses| request(Operation::Subscribe, addresses);
        let most = limits::ADDRESSES_PER_CLIENT;
        assert_eq!(
            all.apply(a, subscribe(many(0, most + 1))),
            Err(Refusal::TooManyAddresses)
        );
        assert!(all.is_empty());
        // Duplicates and what it has already count once.
        let twice = [many(0, most), many(0, most)].concat();
        assert_eq!(all.apply(a, subscribe(twice.clone())), Ok(()));
        assert_eq!(all.apply(a, subscribe(twice)), Ok(()));
        assert_eq!(
            all.apply(a, subscribe(vec![address(255)])),
            Err(Refusal::TooManyAddresses)
        );
        assert_eq!(all.apply(b, subscribe(many(0, 1))), Ok(()));
        assert_eq!((all.clients(), all.addresses()), (2, most));

        let unsubscribe = |addresses| request(Operation::Unsubscribe, addresses);
        assert_eq!(all.apply(b, unsubscribe(many(0, 5))), Ok(()));
        assert_eq!(
            all.apply(b, unsubscribe(many(0, 5))),
            Err(Refusal::InvalidOperation)
        );
        all.retain(|peer| *peer == b);
        assert_eq!((all.clients(), all.addresses()), (0, 0));
    }

    #[test]
    fn each_client_is_told_of_its_own_transactions_once() {
        let mut all = Subscriptions::default();
        let (a, b, c) = (PeerId::random(), PeerId::random(), PeerId::random());
        for (client, addresses) in [
            (a, vec![address(1), address(2)]),
            (b, vec![address(2)]),
            (c, vec![address(9)]),
        ] {
            all.apply(client, request(Operation::Subscribe, addresses))
                .unwrap();
        }
        let pay = |from, to| {
            let value = Coin::from_u64_unchecked(1);
            Transaction::new_basic(address(from), address(to), value, Coin::ZERO, 1, NETWORK_ID)
        };
        let transactions = [pay(1, 2), pay(2, 3), pay(4, 5)];
        let body = MicroBody {
            equivocation_proofs: vec![],
            transactions: transactions
                .iter()
                .cloned()
                .map(ExecutedTransaction::Ok)
                .collect(),
        };
        let both = vec![(transactions[0].hash(), 7), (transactions[1].hash(), 7)];
        let told = all.matches(7, &body);
        assert_eq!(told.len(), 2);
        assert_eq!((&told[&a], &told[&b]), (&both, &both));
    }
}
