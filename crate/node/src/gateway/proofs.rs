//! Serves proofs of the election chain from a folder.
//!
//! A file names its block by number and by the hash that proofs use. The block itself, which clients
//! want with the proof, is fetched: from the last election block that an upstream knows, back from
//! one election to the next. The hash in the file decides whether it is the right one, so no upstream
//! has to be believed. Until a proof with its block is there, requests are passed on.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nimiq_block::{Block, MacroBlock};
use nimiq_consensus::messages::{RequestBlock, RequestHead};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::Network as _,
    request::{InboundRequestError, RequestCommon, RequestSerialize, RequestType},
};
use nimiq_serde::Serialize;
use pico_network::{
    Network, NetworkError, PeerId, RawRequest, RawRequests, refusal, reqres::rate_limit::RateLimit,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{limits, serve::RATE_WINDOW, stats::Counters};
use crate::proofs::{
    ElectionBlocks, LatestProof, ProofSource, ProofStore, RequestZKP, StoreError, StoredProof,
    answer, hash_of,
};

/// Receives requests for proofs.
pub(super) fn receive(network: &Network) -> Result<RawRequests, NetworkError> {
    let limit = RateLimit {
        max: RequestZKP::MAX_REQUESTS,
        window: RATE_WINDOW,
    };
    let kind = RequestType::request(RequestZKP::TYPE_ID);
    network.receive_raw(&[(kind, limit)], limits::REQUEST_QUEUE)
}

/// The one proof that is served.
#[derive(Debug)]
struct Served(LatestProof);

impl ProofSource for Served {
    fn latest(&self, _: &dyn ElectionBlocks, _: u32) -> Option<LatestProof> {
        Some(self.0.clone())
    }
}

/// There is no chain to look for blocks in.
struct NoChain;

impl ElectionBlocks for NoChain {
    fn last(&self) -> Option<u32> {
        None
    }

    fn at(&self, _: u32) -> Option<MacroBlock> {
        None
    }
}

/// The task that serves proofs.
pub(super) struct Prover {
    network: Arc<Network>,
    counters: Arc<Counters>,
    store: ProofStore,
    pass_on: mpsc::Sender<RawRequest>,
    served: Option<Served>,
}

impl Prover {
    pub(super) fn new(
        network: Arc<Network>,
        counters: Arc<Counters>,
        folder: PathBuf,
        pass_on: mpsc::Sender<RawRequest>,
    ) -> Self {
        Self {
            network,
            counters,
            store: ProofStore::new(folder),
            pass_on,
            served: None,
        }
    }

    /// Serves until the network is closed.
    pub(super) async fn run(mut self, mut requests: RawRequests) {
        let (found, mut results) = mpsc::channel::<LatestProof>(1);
        let search = tokio::spawn(search(Arc::clone(&self.network), self.store.clone(), found));
        loop {
            tokio::select! {
                request = requests.next() => match request {
                    Some(request) => self.take(request).await,
                    None => break,
                },
                Some(proof) = results.recv() => {
                    let number = proof.block.block_number();
                    log::info!("the proof of block {number} is served");
                    self.counters.proof.set(usize::try_from(number).unwrap_or_default());
                    self.served = Some(Served(proof));
                }
            }
        }
        search.abort();
    }

    async fn take(&self, request: RawRequest) {
        let id = request.id;
        let answer = match (
            RequestZKP::deserialize_request(request.payload.bytes()),
            &self.served,
        ) {
            (Ok(request), Some(served)) => {
                let response = answer(&request, served, &NoChain);
                Ok::<_, InboundRequestError>(response).serialize_to_vec()
            }
            (Ok(_), None) => match self.pass_on.try_send(request) {
                Ok(()) => return,
                Err(_) => refusal(InboundRequestError::ExceedsRateLimit),
            },
            (Err(_), _) => refusal(InboundRequestError::DeSerializationError),
        };
        self.network.respond_raw(id, Arc::new(answer)).await;
    }
}

/// Looks for newer proofs, and the blocks that they are of.
async fn search(network: Arc<Network>, store: ProofStore, found: mpsc::Sender<LatestProof>) {
    let mut ticks = interval(limits::PROOF_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changed_at: Option<SystemTime> = None;
    let mut proofs = BTreeMap::new();
    let mut served = 0;
    // Looking in vain takes many requests.
    let (mut pause, mut resting) = (limits::PROOF_CHECK, Instant::now());
    while !found.is_closed() {
        ticks.tick().await;
        let reading = store.clone();
        let read = tokio::task::spawn_blocking(move || read_if_changed(&reading, changed_at));
        match read.await {
            Ok(Ok((at, read))) => {
                changed_at = at;
                proofs = read.unwrap_or(proofs);
            }
            Ok(Err(error)) => log::warn!("no proofs: {error}"),
            Err(error) => log::warn!("no proofs: {error}"),
        }
        let newer = proofs.range(served + 1..).next_back();
        if newer.is_none() || Instant::now() < resting {
            continue;
        }
        match newest_of_chain(&network, &proofs, served).await {
            Some(proof) => {
                served = proof.block.block_number();
                pause = limits::PROOF_CHECK;
                if found.send(proof).await.is_err() {
                    return;
                }
            }
            None => {
                resting = Instant::now() + pause;
                pause = pause.saturating_mul(2).min(limits::PROOF_REST);
            }
        }
    }
}

/// When the folder changed last, if that is certain; and what is in it, if that isn't `known` to be
/// what was there.
type Reading = (Option<SystemTime>, Option<BTreeMap<u32, StoredProof>>);

fn read_if_changed(store: &ProofStore, known: Option<SystemTime>) -> Result<Reading, StoreError> {
    let changed = std::fs::metadata(store.directory()).and_then(|metadata| metadata.modified());
    // One that has just changed may change again at the same time by its clock.
    let settled = changed.ok().filter(|time| {
        let age = time.elapsed().unwrap_or(Duration::ZERO);
        age > limits::PROOF_CHECK
    });
    let proofs = match settled.is_some() && settled == known {
        true => None,
        false => Some(store.load()?),
    };
    Ok((settled, proofs))
}

/// The newest of these proofs that is of a block of the chain, and newer than `than`.
async fn newest_of_chain(
    network: &Network,
    proofs: &BTreeMap<u32, StoredProof>,
    than: u32,
) -> Option<LatestProof> {
    let upstreams = network.peers().into_iter().filter(|peer| peer.dialled);
    for peer in upstreams.map(|peer| peer.peer_id).take(limits::ATTEMPTS) {
        if let Some(proof) = walk_back(network, peer, proofs, than).await {
            return Some(proof);
        }
    }
    None
}

async fn walk_back(
    network: &Network,
    peer: PeerId,
    proofs: &BTreeMap<u32, StoredProof>,
    than: u32,
) -> Option<LatestProof> {
    let head = timeout(
        limits::ATTEMPT_TIMEOUT,
        network.request(RequestHead {}, peer),
    );
    let mut hash = head.await.ok()?.ok()?.election_hash;
    for _ in 0..limits::MAX_ELECTIONS_BACK {
        let block = election(network, peer, &hash).await?;
        let number = block.block_number();
        if let Some(proof) = proofs.get(&number)
            && proof.head == hash_of(&block)
        {
            return Some(LatestProof {
                block,
                proof: proof.step.clone(),
            });
        }
        if number <= than || proofs.range(..number).next_back().is_none() {
            return None;
        }
        hash = block.header.parent_election_hash;
    }
    None
}

/// An election block without its body, as far as it can be looked at without harm.
async fn election(network: &Network, peer: PeerId, hash: &Blake2bHash) -> Option<MacroBlock> {
    let request = RequestBlock {
        hash: hash.clone(),
        include_body: false,
    };
    let answer = timeout(limits::ATTEMPT_TIMEOUT, network.request(request, peer));
    let Block::Macro(mut block) = answer.await.ok()?.ok()?.ok()? else {
        return None;
    };
    block.body = None;
    // The hash of a set of validators with gaps can't be computed.
    let validators = block.header.validators.as_ref()?;
    validators.validate_structure().is_ok().then_some(block)
}
