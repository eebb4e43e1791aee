//! Is a proof of inclusion what was asked for, and does it hold? What is in here talks to nobody
//! and changes nothing.
//!
//! A proof leads from transactions to the history root of a block. That root is over the history of
//! one epoch, up to the block; so a transaction of an epoch that has ended is proven by the epoch's
//! election block, one of the current epoch by any later block of it. The proof alone says nothing
//! of which chain the block is on: [`place`] does.

use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_transaction::historic_transaction::HistoricTransaction;

use super::details::TransactionDetails;
use crate::{
    chain::LightChain,
    header, limits,
    messages::{HistoryTreeProof, ResponseTransactionsProof},
    shared::Heads,
};

/// What was asked of a peer.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Hashes of the transactions.
    pub(super) hashes: Vec<Blake2bHash>,
    /// Number of the block that is to prove them. `None` leaves it to the peer.
    pub(super) block_number: Option<u32>,
}

/// An answer that holds, if its block is on the chain.
#[derive(Debug)]
pub(super) struct Checked {
    /// The block that proves it, without body; its hash is cached.
    pub(super) block: Block,
    /// Those of the transactions that were asked for.
    pub(super) transactions: Vec<TransactionDetails>,
    /// Whether there were others that nobody asked for. An honest peer answers so if it was told a
    /// wrong block for a transaction: positions in one epoch are then taken for those in another.
    pub(super) strangers: bool,
}

/// Checks an answer in itself. The error says what is wrong: no honest peer answers so.
pub(super) fn check(
    response: ResponseTransactionsProof,
    question: &Question,
    network: NetworkId,
) -> Result<Checked, &'static str> {
    let ResponseTransactionsProof { proof, block } = response;
    let block = check_block(block, question, network)?;
    check_shape(&proof, question.hashes.len())?;
    if proof.verify(block.history_root().clone()) != Some(true) {
        return Err("a proof that does not lead to the block's history root");
    }
    let mut transactions = Vec::with_capacity(proof.history.len());
    let mut strangers = false;
    for leaf in &proof.history {
        check_leaf(leaf, block.block_number(), network)?;
        let hash: Blake2bHash = leaf.tx_hash().into();
        if question.hashes.contains(&hash) {
            transactions.extend(TransactionDetails::included(leaf));
        } else {
            strangers = true;
        }
    }
    Ok(Checked {
        block,
        transactions,
        strangers,
    })
}

/// Whether the block can be hashed, and is the one that was asked for as far as its number goes.
fn check_block(
    mut block: Block,
    question: &Question,
    network: NetworkId,
) -> Result<Block, &'static str> {
    let number = block.block_number();
    if question.block_number.is_some_and(|wanted| wanted != number) {
        return Err("a proof for another block than asked for");
    }
    if block.network() != network {
        return Err("a block of another network");
    }
    if block.is_macro() != Policy::is_macro_block_at(number) {
        return Err("a block of the wrong kind for its number");
    }
    header::strip(&mut block)?;
    block.hash_cached();
    Ok(block)
}

/// Whether the proof is one of a size that can be: the arithmetic behind it is that of positions in
/// a mountain range, and not made for numbers that no tree has.
fn check_shape(proof: &HistoryTreeProof, asked: usize) -> Result<(), &'static str> {
    if proof.history.len() != proof.positions.len() {
        return Err("a proof with as many positions as it has no transactions for");
    }
    if proof.history.len() > asked {
        return Err("a proof of more transactions than asked for");
    }
    let size = proof.proof.mmr_size;
    if size > limits::MAX_HISTORY_NODES || !is_tree_size(size) {
        return Err("a proof of an impossible size");
    }
    if proof.positions.iter().any(|position| *position >= size) {
        return Err("a proof of positions beyond its tree");
    }
    // For each leaf at most the siblings on its way up, and each peak.
    let height = size.checked_ilog2().map_or(0, |log| log as usize + 1);
    if proof.proof.nodes.len() > (asked + 1) * height {
        return Err("a proof with more nodes than there can be");
    }
    Ok(())
}

/// Whether a Merkle mountain range can have so many nodes: it is a row of perfect binary trees, each
/// smaller than the one before.
fn is_tree_size(mut size: usize) -> bool {
    let mut height = usize::BITS - size.leading_zeros();
    while height > 0 {
        let tree = (1_usize << height) - 1;
        if size >= tree {
            size -= tree;
        }
        height -= 1;
    }
    size == 0
}

/// Whether a proven transaction can be under the history root of the block with this number.
fn check_leaf(
    leaf: &HistoricTransaction,
    proven_by: u32,
    network: NetworkId,
) -> Result<(), &'static str> {
    let genesis = Policy::genesis_block_number();
    if leaf.block_number > proven_by {
        return Err("a transaction from after the block that proves it");
    }
    // What comes from before genesis has numbers and ids of another chain.
    if leaf.block_number > genesis
        && (Policy::epoch_at(leaf.block_number) != Policy::epoch_at(proven_by)
            || leaf.network_id != network)
    {
        return Err("a transaction of another epoch or network than the block that proves it");
    }
    Ok(())
}

/// How a block relates to our chain.
#[derive(Debug)]
pub(super) enum Place {
    /// It is on it.
    OnChain,
    /// It is above our head, by this number.
    Ahead(u32),
    /// It is an election block of the past, with this number and hash, of which we don't know whether
    /// it is on our chain.
    Past(u32, Blake2bHash),
    /// It is a micro block where we have another one: on a branch, or on none.
    Beside,
    /// It is a macro block where we have another one.
    Contradicts,
    /// We don't keep what would tell.
    Unknown,
}

/// Where a block is, seen from our chain. Its hash must be computable.
pub(super) fn place(chain: &LightChain, block: &Block) -> Place {
    let number = block.block_number();
    let hash = block.hash();
    if number > chain.head().block_number() {
        return Place::Ahead(number);
    }
    let genesis = chain.params().genesis();
    if chain.is_on_main_chain(&hash) || chain.knows_election(&hash) || hash == genesis.hash {
        return Place::OnChain;
    }
    if chain.contradicts(number, &hash) || number <= genesis.block_number {
        return Place::Contradicts;
    }
    match (chain.block_at(number), block) {
        (Some(_), Block::Micro(_)) => Place::Beside,
        (Some(_), Block::Macro(_)) => Place::Contradicts,
        (None, _) if Policy::is_election_block_at(number) => Place::Past(number, hash),
        (None, _) => Place::Unknown,
    }
}

/// Which block to ask a proof for, of a transaction in block `number`: one that we hold or can have
/// proven to us, and that peers that are a little ahead of us or behind us still prove it for.
/// `None` while the block is above our head.
pub(super) fn proving_block(heads: &Heads, number: u32) -> Option<u32> {
    if number > heads.head.number {
        None
    } else if number <= heads.election_head.number {
        let is_election =
            number >= Policy::genesis_block_number() && Policy::is_election_block_at(number);
        Some(if is_election {
            number
        } else {
            Policy::election_block_after(number)
        })
    } else if number <= heads.macro_head.number {
        Some(heads.macro_head.number)
    } else {
        Some(number)
    }
}

/// Puts transactions into as few questions as there can be. Those above our head are left out.
pub(super) fn questions(
    heads: &Heads,
    transactions: impl IntoIterator<Item = (Blake2bHash, u32)>,
) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (hash, number) in transactions {
        let Some(by) = proving_block(heads, number) else {
            continue;
        };
        let is_recent = by > heads.macro_head.number;
        // A later block of the current batch proves what an earlier one does.
        let same = questions.iter_mut().find(|question| {
            let other = question.block_number.unwrap_or_default();
            let fits = other == by || (is_recent && other > heads.macro_head.number);
            fits && question.hashes.len() < limits::MAX_HASHES_PER_PROOF
        });
        match same {
            Some(question) => {
                question.block_number = question.block_number.max(Some(by));
                if !question.hashes.contains(&hash) {
                    question.hashes.push(hash);
                }
            }
            None => questions.push(Question {
                hashes: vec![hash],
                block_number: Some(by),
            }),
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::is_tree_size;

    #[test]
    fn sizes_of_trees() {
        // By the definition: n leaves make 2n nodes less one for each peak.
        let sizes: Vec<usize> = (0_usize..2000)
            .map(|leaves| 2 * leaves - leaves.count_ones() as usize)
            .collect();
        for size in 0..3900 {
            assert_eq!(is_tree_size(size), sizes.contains(&size), "{size}");
        }
        assert!(is_tree_size((1 << 30) - 1));
        assert!(!is_tree_size((1 << 30) - 2));
    }
}
