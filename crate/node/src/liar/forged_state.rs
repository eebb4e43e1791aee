//! Proofs of accounts that don't hold.
//!
//! The parts of a proof that its type keeps to itself are reached through [`OpenProof`], which is
//! the same on the wire.

use std::collections::BTreeMap;

use nimiq_hash::{Blake2bHash, Hash};
use nimiq_primitives::{
    key_nibbles::KeyNibbles,
    trie::{trie_node::TrieNodeChild, trie_proof::TrieProof, trie_proof_node::TrieProofNode},
};
use nimiq_serde::{Deserialize as _, Serialize as _};
use serde::{Deserialize, Serialize};

/// A [`TrieProof`] that can be changed.
#[derive(Debug, Serialize, Deserialize)]
struct OpenProof {
    nodes: Vec<OpenNode>,
    missing_proven_by: BTreeMap<KeyNibbles, KeyNibbles>,
}

/// A [`TrieProofNode`] that can be changed.
#[derive(Debug, Serialize, Deserialize)]
struct OpenNode {
    key: KeyNibbles,
    value: OpenValue,
    children: [Option<TrieNodeChild>; 16],
}

#[derive(Debug, Serialize, Deserialize)]
enum OpenValue {
    None,
    Leaf(Vec<u8>),
    HybridHash(Blake2bHash),
    Hybrid(Vec<u8>),
}

impl OpenNode {
    /// The hash that the parent of this node has to know it by.
    fn hash(&self) -> Option<Blake2bHash> {
        let node = TrieProofNode::deserialize_from_vec(&self.serialize_to_vec()).ok()?;
        Some(node.hash())
    }
}

/// Changes every value. A value of several bytes ends with what tells least of its structure: of a
/// basic account that is its balance.
pub(super) fn with_wrong_values(proof: TrieProof) -> TrieProof {
    change(proof, change_values)
}

/// Changes every value, and all hashes above, so that the proof holds for a root that no block has.
pub(super) fn with_forged_root(proof: TrieProof) -> TrieProof {
    change(proof, |proof| {
        change_values(proof);
        // Children come before their parents.
        for i in 0..proof.nodes.len() {
            let (before, after) = proof.nodes.split_at_mut(i + 1);
            let Some((node, hash)) = before.last().and_then(|node| Some((node, node.hash()?)))
            else {
                continue;
            };
            let parent = after
                .iter_mut()
                .find(|other| other.key.is_prefix_of(&node.key) && other.key != node.key);
            if let Some(parent) = parent
                && let Some(index) = node.key.get(parent.key.len())
                && let Some(Some(child)) = parent.children.get_mut(index)
            {
                child.hash = hash;
            }
        }
    })
}

/// Takes out the accounts asked for, and claims that the nodes above prove that there are none.
pub(super) fn with_absent(proof: TrieProof, keys: &[KeyNibbles]) -> TrieProof {
    change(proof, |proof| {
        for key in keys {
            proof
                .nodes
                .retain(|node| node.key != *key || !matches!(node.value, OpenValue::Leaf(_)));
            let above = proof.nodes.iter().find(|node| node.key.is_prefix_of(key));
            if let Some(above) = above {
                let above = above.key.clone();
                proof.missing_proven_by.insert(key.clone(), above);
            }
        }
    })
}

fn change_values(proof: &mut OpenProof) {
    for node in &mut proof.nodes {
        if let OpenValue::Leaf(value) | OpenValue::Hybrid(value) = &mut node.value
            && let Some(last) = value.last_mut()
        {
            *last ^= 1;
        }
    }
}

fn change(proof: TrieProof, make: impl FnOnce(&mut OpenProof)) -> TrieProof {
    let changed = OpenProof::deserialize_from_vec(&proof.serialize_to_vec())
        .ok()
        .and_then(|mut open| {
            make(&mut open);
            TrieProof::deserialize_from_vec(&open.serialize_to_vec()).ok()
        });
    changed.unwrap_or(proof)
}
