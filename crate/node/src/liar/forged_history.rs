//! Proofs of transactions that don't hold.

use nimiq_block::Block;
use nimiq_consensus::messages::ResponseTransactionsProof;
use nimiq_hash::Blake2bHash;
use nimiq_mmr::{mmr::MerkleMountainRange, store::memory::MemoryStore};
use nimiq_primitives::coin::Coin;
use nimiq_transaction::{
    ExecutedTransaction,
    historic_transaction::{HistoricTransaction, HistoricTransactionData},
    history_proof::HistoryTreeProof,
};

use super::forgery::Forger;
use crate::chain::forget_hash;

/// What a liar pays itself in addition, in Luna.
const ADDED: u64 = 1_000_000;

/// Changes the hashes that lead to the root; where there are none, the size of the tree.
pub(super) fn with_wrong_nodes(proof: &mut ResponseTransactionsProof) {
    let proof = &mut proof.proof.proof;
    match proof.nodes.first_mut() {
        Some(node) => *node = Blake2bHash([0x77; 32]),
        None => proof.mmr_size += 1,
    }
}

/// Changes the values of all transactions.
pub(super) fn with_other_values(proof: &mut ResponseTransactionsProof) {
    let add = |value: &mut Coin| {
        if let Ok(more) = Coin::try_from(u64::from(*value) + ADDED) {
            *value = more;
        }
    };
    for entry in &mut proof.proof.history {
        match &mut entry.data {
            HistoricTransactionData::Basic(
                ExecutedTransaction::Ok(transaction) | ExecutedTransaction::Err(transaction),
            ) => add(&mut transaction.value),
            HistoricTransactionData::Reward(reward) => add(&mut reward.value),
            _ => {}
        }
    }
}

/// Turns success into failure and the other way round, which leaves the transactions' own hashes as
/// they are.
pub(super) fn with_other_results(proof: &mut ResponseTransactionsProof) {
    for entry in &mut proof.proof.history {
        if let HistoricTransactionData::Basic(executed) = &mut entry.data {
            *executed = match executed.clone() {
                ExecutedTransaction::Ok(transaction) => ExecutedTransaction::Err(transaction),
                ExecutedTransaction::Err(transaction) => ExecutedTransaction::Ok(transaction),
            };
        }
    }
}

/// Like [`with_other_results`], with a tree of nothing but these transactions, and a block with that
/// tree's root in place of the honest one.
pub(super) fn with_forged_block(proof: &mut ResponseTransactionsProof, forger: &Forger) {
    with_other_results(proof);
    let history = std::mem::take(&mut proof.proof.history);
    if let Some((forged, root)) = tree_of(history) {
        proof.proof = forged;
        match &mut proof.block {
            Block::Macro(block) => block.header.history_root = root,
            Block::Micro(block) => block.header.history_root = root,
        }
        forget_hash(&mut proof.block);
        forger.sign_as_stranger(&mut proof.block);
    }
}

/// A history of nothing but these entries, with its root.
fn tree_of(history: Vec<HistoricTransaction>) -> Option<(HistoryTreeProof, Blake2bHash)> {
    let mut tree: MerkleMountainRange<Blake2bHash, _> =
        MerkleMountainRange::new(MemoryStore::new());
    for entry in &history {
        tree.push(entry).ok()?;
    }
    let positions: Vec<usize> = (0..history.len()).collect();
    let proof = HistoryTreeProof {
        proof: tree.prove(&positions, None).ok()?,
        positions,
        history,
    };
    Some((proof, tree.get_root().ok()?))
}
