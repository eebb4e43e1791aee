//! Proofs of the election chain, as far as the engine can tell: bytes that a check accepts or not. They
//! are no proofs at all; what real ones are worth is tested where they are made.

use std::{collections::HashSet, sync::Arc, sync::LazyLock, time::Duration};

use nimiq_block::MacroBlock;
use nimiq_hash::{Blake2sHash, Hash};
use nimiq_serde::Serialize;
use pico_sync::{
    ProofConfig, ProofJob, SyncConfig,
    messages::{RequestZKP, ZKProof, ZkpResponse},
};

use super::{
    blocks::{Blocks, TOP, election, raised},
    peer::{LATENCY, Peer, Question, Reply},
};

/// Where proofs start.
pub const FROM: u32 = election(1);

/// With a verifying key.
pub fn proving(config: SyncConfig) -> SyncConfig {
    SyncConfig {
        proofs: Some(ProofConfig {
            anchor_number: FROM,
        }),
        ..config
    }
}

/// The bytes that pass for a proof that the one block leads to the other.
pub fn fake(anchor: &Blake2sHash, head: &Blake2sHash) -> Vec<u8> {
    [b"proof", anchor.as_ref() as &[u8], head.as_ref()].concat()
}

/// Whether a proof is accepted: it has to be the right one of a statement that is true.
pub fn holds(job: &ProofJob) -> bool {
    static TRUE: LazyLock<HashSet<(Blake2sHash, Blake2sHash)>> = LazyLock::new(|| {
        let chain = raised();
        let hash = |epoch| chain.macro_at(election(epoch)).hash_blake2s();
        let epochs = 2..=(TOP - election(0)) / (election(1) - election(0));
        epochs.map(|epoch| (hash(1), hash(epoch))).collect()
    });
    TRUE.contains(&(job.anchor.clone(), job.head.clone()))
        && job.proof == fake(&job.anchor, &job.head)
}

/// What a peer with a proof of that election block answers.
pub fn answer(chain: &Blocks, number: u32, request: &RequestZKP) -> ZkpResponse {
    if number <= request.block_number {
        return ZkpResponse::Outdated(number);
    }
    let block = chain.macro_at(number);
    let anchor = chain.macro_at(FROM).hash_blake2s();
    ZkpResponse::Proof(
        ZKProof {
            block_number: number,
            proof: Some(fake(&anchor, &block.hash_blake2s())),
        },
        request.request_election_block.then_some(block),
    )
}

/// A peer at `height` that has a proof of the election block `number`.
pub fn prover(id: u32, chain: &Arc<Blocks>, height: u32, number: u32) -> Arc<Peer> {
    slow_prover(id, chain, height, number, LATENCY)
}

/// One that takes so long for its proof.
pub fn slow_prover(
    id: u32,
    chain: &Arc<Blocks>,
    height: u32,
    number: u32,
    delay: Duration,
) -> Arc<Peer> {
    let proven = chain.clone();
    answering(id, chain, height, delay, move |request| {
        Reply::to::<RequestZKP>(&answer(&proven, number, request))
    })
}

/// A peer that answers a request for its proof in its own way, after that time.
pub fn answering(
    id: u32,
    chain: &Arc<Blocks>,
    height: u32,
    delay: Duration,
    reply: impl Fn(&RequestZKP) -> Reply + Send + Sync + 'static,
) -> Arc<Peer> {
    Peer::scripted(id, chain, height, move |question, honest| {
        match asked(question) {
            Some(request) => (delay, reply(&request)),
            None => (LATENCY, honest),
        }
    })
}

/// The request for a proof, if it is one.
pub fn asked(question: &Question) -> Option<RequestZKP> {
    question.is::<RequestZKP>()
}

/// A response with a proof that is right for its block, whatever that is.
pub fn proof_of(block: MacroBlock) -> ZkpResponse {
    let anchor = raised().macro_at(FROM).hash_blake2s();
    // That of a block whose hash can't be computed is right for no block.
    let sound = block.header.validators.as_ref();
    let head = match sound.is_none_or(|set| set.validate_structure().is_ok()) {
        true => block.hash_blake2s(),
        false => block.header.body_root.serialize_to_vec().hash(),
    };
    let proof = ZKProof {
        block_number: block.block_number(),
        proof: Some(fake(&anchor, &head)),
    };
    ZkpResponse::Proof(proof, Some(block))
}
