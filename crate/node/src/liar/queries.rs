//! What a lying peer answers to those who ask about accounts, transactions and blocks.

use nimiq_block::Block;
use nimiq_blockchain::{Blockchain, interface::HistoryIndexInterface};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_consensus::{
    SubscribeToAddressesError,
    messages::{
        RequestBlocksProof, RequestSubscribeToAddress, RequestTransactionReceiptsByAddress,
        RequestTransactionsProof, RequestTrieProof, ResponseBlocksProofError,
        ResponseTransactionProofError, ResponseTrieProofError,
    },
};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::request::Handle;
use nimiq_network_libp2p::{Network, PeerId};
use nimiq_primitives::{key_nibbles::KeyNibbles, policy::Policy};
use nimiq_transaction::historic_transaction::{HistoricTransaction, HistoricTransactionData};

use super::{
    QueryLie,
    answers::{Lied, Script},
    forged_history, forged_state,
};
use crate::chain::Payer;

/// How many transactions of an address are looked at to find one that fits.
const LOOKED_AT: u16 = 500;

impl Lied for RequestTrieProof {
    const IS_QUERY: bool = true;

    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, script.blockchain())
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        let Some(lie) = script.query_lie() else {
            return self.honest(script, peer);
        };
        if lie == QueryLie::RefusesQueries {
            return Err(ResponseTrieProofError::IncompleteTrie);
        }
        if lie == QueryLie::OtherAccount {
            let other = Self {
                keys: vec![other_key(&self.keys)],
            };
            return other.honest(script, peer);
        }
        let mut response = self.honest(script, peer)?;
        match lie {
            QueryLie::WrongBalance => {
                response.proof = forged_state::with_wrong_values(response.proof);
            }
            QueryLie::ForgedState => {
                response.proof = forged_state::with_forged_root(response.proof);
            }
            QueryLie::SaysAbsent => {
                response.proof = forged_state::with_absent(response.proof, &self.keys);
            }
            QueryLie::OldStateRoot => {
                if let Some(block) = other_state(&script.blockchain().read()) {
                    response.block_hash = block.hash();
                }
            }
            _ => {}
        }
        Ok(response)
    }
}

/// The key of an account that exists and is none of those asked for.
fn other_key(keys: &[KeyNibbles]) -> KeyNibbles {
    let funded = KeyNibbles::from(Payer::funded().address());
    if keys.contains(&funded) {
        KeyNibbles::from(&Policy::STAKING_CONTRACT_ADDRESS)
    } else {
        funded
    }
}

/// The last macro block with another state than the head's; of those in the current epoch first the
/// two that every client has.
fn other_state(chain: &Blockchain) -> Option<Block> {
    let root = chain.head().state_root().clone();
    let known = [chain.macro_head(), chain.election_head()];
    let known = known.into_iter().cloned().map(Block::Macro);
    let first = Policy::genesis_block_number();
    let older = (first..chain.block_number())
        .rev()
        .filter(|number| Policy::is_macro_block_at(*number))
        .filter_map(|number| chain.get_block_at(number, false, None).ok());
    known.chain(older).find(|block| *block.state_root() != root)
}

impl Lied for RequestTransactionsProof {
    const IS_QUERY: bool = true;

    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, script.blockchain())
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        match script.query_lie() {
            Some(QueryLie::RefusesQueries) => {
                return Err(ResponseTransactionProofError::TransactionNotFound);
            }
            Some(QueryLie::OtherTransaction) => {
                let other = other_transaction(&script.blockchain().read(), self);
                if let Some(hash) = other {
                    let other = Self {
                        hashes: vec![hash],
                        block_number: self.block_number,
                    };
                    return other.honest(script, peer);
                }
            }
            _ => {}
        }
        let mut response = self.honest(script, peer)?;
        match script.query_lie() {
            Some(QueryLie::WrongHistoryProof) => forged_history::with_wrong_nodes(&mut response),
            Some(QueryLie::ForgedTransaction) => forged_history::with_other_values(&mut response),
            Some(QueryLie::ForgedExecution) => forged_history::with_other_results(&mut response),
            Some(QueryLie::ForgedHistory) => {
                forged_history::with_forged_block(&mut response, script.forger());
            }
            _ => {}
        }
        Ok(response)
    }
}

/// A transaction that the same block proves, other than those asked for.
fn other_transaction(chain: &Blockchain, asked: &RequestTransactionsProof) -> Option<Blake2bHash> {
    let epoch_of = |hash| Some(Policy::epoch_at(transaction(chain, hash)?.block_number));
    let epoch = match asked.block_number {
        Some(number) => Policy::epoch_at(number),
        None => epoch_of(asked.hashes.first()?)?,
    };
    let last = asked.block_number.unwrap_or_else(|| chain.block_number());
    transactions_of(chain, Payer::funded().address())
        .find(|entry| {
            // Without a number to go by, nodes prove what is in an election block by the next one.
            Policy::epoch_at(entry.block_number) == epoch
                && !Policy::is_election_block_at(entry.block_number)
                && entry.block_number <= last
                && !asked.hashes.contains(&entry.tx_hash().into())
        })
        .map(|entry| entry.tx_hash().into())
}

impl Lied for RequestTransactionReceiptsByAddress {
    const IS_QUERY: bool = true;

    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, script.blockchain())
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        let mut response = self.honest(script, peer);
        match script.query_lie() {
            Some(QueryLie::WithholdsReceipts | QueryLie::RefusesQueries) => {
                response.receipts.clear();
            }
            // The second page comes after what is on the first, and ends there.
            Some(QueryLie::ForgedReceipts) if self.start_at.is_none() => {
                // What is not final yet may have been true for a while.
                let head = script.blockchain().read().macro_head().block_number();
                insert(&mut response.receipts, (invented(head), head - 1));
            }
            Some(QueryLie::ForeignReceipts) if self.start_at.is_none() => {
                let chain = script.blockchain().read();
                if let Some(receipt) = foreign_receipt(&chain, &[&self.address], 0) {
                    insert(&mut response.receipts, receipt);
                }
            }
            _ => {}
        }
        response
    }
}

/// Puts a receipt where it belongs in the order, which is that of blocks, the newest first.
fn insert(receipts: &mut Vec<(Blake2bHash, u32)>, receipt: (Blake2bHash, u32)) {
    let older = receipts.iter().position(|(_, number)| *number <= receipt.1);
    receipts.insert(older.unwrap_or(receipts.len()), receipt);
}

impl Lied for RequestBlocksProof {
    const IS_QUERY: bool = true;

    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, script.blockchain())
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        let mut response = match script.query_lie() {
            Some(QueryLie::RefusesQueries) => return Err(ResponseBlocksProofError::Other),
            _ => self.honest(script, peer)?,
        };
        match script.query_lie() {
            Some(QueryLie::WrongBlocksProof) => {
                let head = script.blockchain().read().election_head().clone();
                for hop in &mut response.proof.proof {
                    *hop = head.clone();
                }
            }
            Some(QueryLie::ForgedBlocksProof) => {
                for hop in &mut response.proof.proof {
                    *hop = script.forger().election(hop);
                }
            }
            _ => {}
        }
        Ok(response)
    }
}

impl Lied for RequestSubscribeToAddress {
    const IS_QUERY: bool = true;

    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        script.subscriptions().lock().apply(peer, self)
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        match script.query_lie() {
            Some(QueryLie::RefusesQueries) => Err(SubscribeToAddressesError::TooManyPeers),
            _ => self.honest(script, peer),
        }
    }
}

/// The hash of a transaction that never was, another one for each `turn`.
pub(super) fn invented(turn: u32) -> Blake2bHash {
    Hash::hash(&[b"invented".as_slice(), &turn.to_be_bytes()].concat())
}

/// Receipt of a transaction that has nothing to do with any of the addresses: a real one, another
/// for each `turn` until there are no more.
pub(super) fn foreign_receipt(
    chain: &Blockchain,
    addresses: &[&Address],
    turn: u32,
) -> Option<(Blake2bHash, u32)> {
    let others = [
        Payer::funded().address().clone(),
        Policy::STAKING_CONTRACT_ADDRESS,
    ];
    let foreign: Vec<_> = others
        .iter()
        .flat_map(|other| transactions_of(chain, other))
        .filter(|entry| addresses.iter().all(|address| !touches(entry, address)))
        .collect();
    let entry = foreign.get(usize::try_from(turn).ok()? % foreign.len().max(1))?;
    Some((entry.tx_hash().into(), entry.block_number))
}

fn touches(entry: &HistoricTransaction, address: &Address) -> bool {
    match &entry.data {
        HistoricTransactionData::Basic(executed) => {
            let transaction = executed.get_raw_transaction();
            transaction.sender == *address || transaction.recipient == *address
        }
        HistoricTransactionData::Reward(reward) => {
            reward.reward_address == *address || reward.validator_address == *address
        }
        _ => false,
    }
}

/// The last transactions of an address, the newest first.
fn transactions_of(
    chain: &Blockchain,
    address: &Address,
) -> impl Iterator<Item = HistoricTransaction> {
    let hashes = chain
        .history_store
        .history_index()
        .map(|index| index.get_tx_hashes_by_address(address, LOOKED_AT, None, None));
    hashes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|hash| transaction(chain, &hash))
}

fn transaction(chain: &Blockchain, hash: &Blake2bHash) -> Option<HistoricTransaction> {
    let index = chain.history_store.history_index()?;
    index.get_hist_tx_by_hash(hash, None)
}
