//! Proofs of the accounts tree: what a block's state holds at some keys, or that it holds nothing
//! there. A peer proves the state of its own head, so the block that a proof refers to may be one
//! that has not reached us yet.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, TryStreamExt, future::Shared, stream};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{network::Network, peer_info::Services};
use nimiq_primitives::{key_nibbles::KeyNibbles, trie::trie_proof::TrieProof};
use nimiq_serde::Deserialize;
use nimiq_time::sleep;
use parking_lot::Mutex;

use super::{Answer, Plan, Queries, QueryError};
use crate::{
    chain::LightChain,
    event::Trust,
    limits,
    messages::{RequestTrieProof, ResponseTrieProof},
    requests::PeerFault,
};

/// The bytes at a key, or `None` where it is proven that there are none.
pub(super) type Value = Option<Vec<u8>>;

/// The block whose state a peer proved.
#[derive(Clone, Debug)]
struct ProvingBlock {
    number: u32,
    state_root: Blake2bHash,
    trust: Trust,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// The values at `keys`, in their order, each proven.
    pub(super) async fn trie_values(
        &self,
        keys: Vec<KeyNibbles>,
    ) -> Result<Vec<Answer<Value>>, QueryError> {
        self.established().await?;
        let mut batches: Vec<Shared<_>> = Vec::new();
        let mut places = Vec::new();
        for key in &keys {
            let (batch, place) = self.gather(key);
            if batches.last().is_none_or(|last| !last.ptr_eq(&batch)) {
                batches.push(batch);
            }
            places.push((batches.len() - 1, place));
        }
        let answers: Vec<_> = stream::iter(batches)
            .buffered(limits::TRIE_REQUESTS_IN_FLIGHT)
            .try_collect()
            .await?;
        let answer = |(batch, place): (usize, usize)| answers.get(batch)?.get(place).cloned();
        let lacking = || QueryError::ProofInvalid("a state proof that lacks a key".into());
        let places = places.into_iter();
        places
            .map(|place| answer(place).ok_or_else(lacking))
            .collect()
    }

    /// The values at some distinct keys, no more than go into one request. Whoever was told of a
    /// transaction before this is asked finds it done, unless no peer has got so far within a second
    /// or so: then it is the newest state that they have.
    pub(super) async fn trie_batch(
        &self,
        keys: Vec<KeyNibbles>,
    ) -> Result<Vec<Answer<Value>>, QueryError> {
        let plan = Plan::new::<RequestTrieProof>(Services::ACCOUNTS_PROOF);
        let floor = self.told();
        let (keys, older) = (&keys, &Mutex::new(Vec::new()));
        for retry in 0..=limits::OLDER_STATE_RETRIES {
            if retry > 0 {
                sleep(limits::OLDER_STATE_PAUSE).await;
            }
            let voices = &AtomicUsize::new(0);
            let asked = self.ask_peers(plan, |peer| async move {
                let answers = self.trie_attempt(peer, keys).await?;
                if number_of(&answers) >= floor {
                    return Ok(Some(answers));
                }
                let mut older = older.lock();
                if older.is_empty() || number_of(&older) < number_of(&answers) {
                    *older = answers;
                }
                let voices = voices.fetch_add(1, Ordering::Relaxed) + 1;
                let most = self.good_peers(plan.services).len();
                if voices >= most.min(limits::OLDER_STATE_VOICES) {
                    return Ok(None);
                }
                // No fault of the peer, but others may have got further.
                let reason = "the state that it proves is from before a transaction that is known";
                Err(PeerFault::Lacks(reason.into()))
            });
            match asked.await {
                Ok(Some(answers)) => return Ok(answers),
                Ok(None) => {}
                Err(failure) if older.lock().is_empty() => {
                    return Err(failure.into_error("no proven state", QueryError::Timeout));
                }
                Err(failure) if failure.late || voices.load(Ordering::Relaxed) == 0 => break,
                Err(_) => {}
            }
        }
        Ok(std::mem::take(&mut *older.lock()))
    }

    async fn trie_attempt(
        &self,
        peer: TNetwork::PeerId,
        keys: &[KeyNibbles],
    ) -> Result<Vec<Answer<Value>>, PeerFault> {
        let newest = self.context().chain.heads();
        let newest = newest.map_or(0, |heads| heads.head.number);
        let request = RequestTrieProof {
            keys: keys.to_vec(),
        };
        let response = self.request(peer, request).await?;
        let ResponseTrieProof { proof, block_hash } =
            response.map_err(|error| PeerFault::Lacks(error.to_string()))?;
        let block = self.proving_block(&block_hash).await?;
        // A proof that does not hold is a lie, whatever it is about.
        let values = values(proof, &block.state_root, keys)
            .map_err(|reason| PeerFault::Lied(reason.into()))?;
        if block.number + limits::QUERY_STATE_AGE < newest {
            let reason = "the state that it proves is too old";
            return Err(PeerFault::Failed(reason.into()));
        }
        Ok(values
            .into_iter()
            .map(|value| Answer {
                value,
                block_number: block.number,
                trust: block.trust,
            })
            .collect())
    }

    /// The block of our main chain called `hash`, as soon as we hold it.
    async fn proving_block(&self, hash: &Blake2bHash) -> Result<ProvingBlock, PeerFault> {
        let mut heads = 0;
        let mut last = None;
        let find = |chain: &LightChain, trust: Trust| {
            let head = chain.head();
            if let Some(block) = chain.block(hash) {
                if chain.is_on_main_chain(hash) {
                    return Some(Some(ProvingBlock {
                        number: block.block_number(),
                        state_root: block.state_root().clone(),
                        trust,
                    }));
                }
                // A fork that is as good as ours may still win, one that has fallen behind not.
                if block.block_number() < head.block_number() {
                    return Some(None);
                }
            }
            let head = Some(head.hash());
            if last != head {
                last = head;
                heads += 1;
            }
            // The head that we began with is not a new one.
            (heads > limits::QUERY_HEAD_BLOCKS + 1).then_some(None)
        };
        let found = self.when_chain(limits::QUERY_HEAD_TIMEOUT, find).await;
        found.flatten().ok_or_else(|| {
            // No lie, but who does that is not the one to ask next time.
            let reason = "it proves the state of a block that we do not get";
            PeerFault::Failed(reason.into())
        })
    }
}

/// Number of the block that the answers of one peer are as of.
fn number_of(answers: &[Answer<Value>]) -> u32 {
    answers
        .first()
        .map_or(u32::MAX, |answer| answer.block_number)
}

/// Checks a proof against a state root and returns the values at `keys`, in their order. The keys
/// must be distinct.
fn values(
    proof: TrieProof,
    state_root: &Blake2bHash,
    keys: &[KeyNibbles],
) -> Result<Vec<Value>, &'static str> {
    if proof.nodes.len() > keys.len().saturating_mul(limits::TRIE_NODES_PER_KEY) {
        return Err("a state proof with more nodes than lead to the keys");
    }
    let wanted: Vec<&KeyNibbles> = keys.iter().collect();
    let mut values: BTreeMap<_, _> = proof
        .verify_values(state_root, &wanted)
        .map_err(|_| "a state proof that does not hold")?;
    keys.iter()
        .map(|key| values.remove(key).ok_or("a state proof that lacks a key"))
        .collect()
}

/// Reads a proven value. It is not the peer's fault if that fails.
pub(super) fn decode<T: Deserialize>(value: &Value) -> Result<Option<T>, QueryError> {
    let Some(bytes) = value else {
        return Ok(None);
    };
    match T::deserialize_from_vec(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(QueryError::ProofInvalid(
            "the proven state is in a form that this client does not know".into(),
        )),
    }
}
