//! What a lying peer answers to requests that are part of syncing, and how it answers at all.
//!
//! What it says to those who ask about accounts and the like is in the module `queries`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use nimiq_block::{Block, MacroBlock};
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_consensus::messages::{
    Checkpoint, RequestBlock, RequestBlocksProof, RequestHead, RequestMacroChain,
    RequestMissingBlocks, RequestSubscribeToAddress, RequestTransactionReceiptsByAddress,
    RequestTransactionsProof, RequestTrieProof, ResponseBlocks, ResponseBlocksError, ResponseHead,
};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    network::{CloseReason, Network as _},
    request::{Handle, Request, RequestCommon},
};
use nimiq_network_libp2p::{Network, PeerId};
use nimiq_primitives::policy::Policy;
use nimiq_utils::spawn;
use parking_lot::{Mutex, RwLock};

use super::{
    Lie, ProofLie, QueryLie,
    forgery::{Forger, light},
    garbage::{self, Garbage, Garbled},
    notifier::{self, Subscriptions},
};
use crate::{
    chain::{ChainData, Mutation, without_body},
    proofs::{LatestProof, ProofSource, RequestZKP},
};

/// How many requests of a type are answered at the same time.
const CONCURRENT_ANSWERS: usize = 64;

/// How many made-up blocks are remembered. A client asks for those of the current head.
const REMEMBERED: usize = 32;

/// What a lying peer knows and has made up.
pub(super) struct Script {
    /// The lie as it was given.
    given: Lie,
    /// What of it is of concern to syncing.
    lie: Lie,
    proofs: Option<Arc<dyn ProofSource>>,
    proxy: BlockchainProxy,
    forger: Forger,
    /// Made-up blocks by the hash of the honest ones they stand for, the oldest first.
    forged: Mutex<VecDeque<(Blake2bHash, Block)>>,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    subscriptions: Mutex<Subscriptions>,
    chain: ChainData,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("lie", &self.given)
            .finish_non_exhaustive()
    }
}

impl Script {
    pub(super) fn new(given: Lie, chain: ChainData, proofs: Option<Arc<dyn ProofSource>>) -> Self {
        let lie = match &given {
            Lie::Proof {
                conflicting: true, ..
            } => Lie::ConflictingElection,
            Lie::Proof { .. } => Lie::Honest,
            lie => lie.clone(),
        };
        // Proofs would give it the lie.
        let proofs = proofs.filter(|_| given != Lie::ConflictingElection);
        Self {
            given,
            lie,
            proofs,
            proxy: BlockchainProxy::from(&chain.blockchain),
            forger: Forger::new(),
            forged: Mutex::default(),
            requests: Mutex::default(),
            subscriptions: Mutex::default(),
            chain,
        }
    }

    pub(super) fn given(&self) -> &Lie {
        &self.given
    }

    /// In what way it lies about proofs, if it does.
    pub(super) fn proof_lie(&self) -> Option<ProofLie> {
        match self.given {
            Lie::Proof { lie, .. } => Some(lie),
            _ => None,
        }
    }

    /// The proofs it could tell honestly.
    pub(super) fn proofs(&self) -> Option<&dyn ProofSource> {
        self.proofs.as_deref()
    }

    /// The latest of them that is of a block up to this number.
    pub(super) fn proof_at_most(&self, number: u32) -> Option<LatestProof> {
        self.proofs()?.latest(self.blockchain(), number)
    }

    /// The election block that it makes up in place of an honest one.
    pub(super) fn forged_election_block(&self, honest: &MacroBlock) -> MacroBlock {
        match self.forged_election(honest) {
            Block::Macro(block) => block,
            Block::Micro(_) => honest.clone(),
        }
    }

    /// How it replies to anything, apart from lies about what was asked.
    pub(super) fn reply_as_to_all<Req: Lied>(
        &self,
        request: &Req,
        peer: PeerId,
    ) -> Reply<Req::Response> {
        match self.lie {
            Lie::NoAnswer => Reply::Never,
            Lie::Query(QueryLie::IgnoresQueries) if Req::IS_QUERY => Reply::Never,
            Lie::Closes => Reply::Close,
            Lie::LateAnswer(delay) => Reply::Later(delay, request.honest(self, peer)),
            _ => Reply::Now(request.lied(self, peer)),
        }
    }

    pub(super) fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.requests.lock().clone()
    }

    /// In what way it lies to those who ask about accounts, transactions and blocks, if it does.
    pub(super) fn query_lie(&self) -> Option<QueryLie> {
        match self.lie {
            Lie::Query(lie) => Some(lie),
            _ => None,
        }
    }

    /// The chain it lies about.
    pub(super) fn blockchain(&self) -> &Arc<RwLock<Blockchain>> {
        &self.chain.blockchain
    }

    pub(super) fn forger(&self) -> &Forger {
        &self.forger
    }

    pub(super) fn subscriptions(&self) -> &Mutex<Subscriptions> {
        &self.subscriptions
    }

    pub(super) fn honest_head(&self) -> Block {
        self.proxy.read().head().clone()
    }

    /// Whether a block is before the last election block and none itself.
    fn is_old(&self, block: &Block) -> bool {
        let last = Policy::last_election_block(self.proxy.read().block_number());
        block.block_number() < last && !block.is_election()
    }

    /// The head it claims to have.
    pub(super) fn head(&self) -> ResponseHead {
        let chain = self.proxy.read();
        let head = match self.lie {
            Lie::Lagging(blocks) => {
                let number = (chain.block_number().saturating_sub(blocks))
                    .max(Policy::genesis_block_number());
                let hash_at = |number| chain.get_block_at(number, false).map(|block| block.hash());
                let old = (
                    hash_at(number),
                    hash_at(Policy::last_macro_block(number)),
                    hash_at(Policy::last_election_block(number)),
                );
                if let (Ok(block_hash), Ok(macro_hash), Ok(election_hash)) = old {
                    return ResponseHead {
                        block_number: number,
                        block_hash,
                        macro_hash,
                        election_hash,
                    };
                }
                chain.head().clone()
            }
            _ => chain.head().clone(),
        };
        let macro_head = chain.macro_head().clone();
        let election_head = chain.election_head().clone();
        drop(chain);

        let mut claim = ResponseHead {
            block_number: head.block_number(),
            block_hash: head.hash(),
            macro_hash: macro_head.hash(),
            election_hash: election_head.hash(),
        };
        match self.lie {
            Lie::ConflictingElection => {
                let election = self.forged_election(&election_head);
                claim.election_hash = election.hash();
                claim.macro_hash = if macro_head.is_election() {
                    claim.election_hash.clone()
                } else {
                    self.forged(&macro_head.hash(), || {
                        light(self.forger.checkpoint(&macro_head, election.hash()))
                    })
                    .hash()
                };
            }
            Lie::OtherEpochMacro => {
                claim.macro_hash = self
                    .forged(&claim.election_hash, || {
                        light(self.forger.far_checkpoint(&election_head))
                    })
                    .hash();
            }
            Lie::MicroForMacro => {
                // When the head itself is a macro block, the one before it will do.
                let micro = match &head {
                    Block::Micro(_) => head.hash(),
                    Block::Macro(block) => block.header.parent_hash.clone(),
                };
                claim.macro_hash = micro.clone();
                claim.election_hash = micro;
            }
            Lie::ForkedMicro => {
                if let Block::Micro(block) = &head
                    && !block.is_skip_block()
                {
                    claim.block_hash = self
                        .forged(&block.hash(), || Block::Micro(self.forger.sibling(block)))
                        .hash();
                }
            }
            _ => {}
        }
        claim
    }

    /// The election block told instead of an honest one. The genesis block everyone knows.
    fn forged_election(&self, honest: &MacroBlock) -> Block {
        if honest.block_number() <= Policy::genesis_block_number() {
            return light(honest.clone());
        }
        self.forged(&honest.hash(), || light(self.forger.election(honest)))
    }

    /// The block made up in place of that with the hash `of`, always the same one.
    fn forged(&self, of: &Blake2bHash, make: impl FnOnce() -> Block) -> Block {
        let mut forged = self.forged.lock();
        if let Some((_, block)) = forged.iter().find(|(honest, _)| honest == of) {
            return block.clone();
        }
        let block = make();
        if forged.len() == REMEMBERED {
            forged.pop_front();
        }
        forged.push_back((of.clone(), block.clone()));
        block
    }

    /// A made-up block by its own hash.
    fn find_forged(&self, hash: &Blake2bHash) -> Option<Block> {
        let forged = self.forged.lock();
        let (_, block) = forged.iter().find(|(_, block)| block.hash() == *hash)?;
        Some(block.clone())
    }
}

/// An answer, and when it comes.
pub(super) enum Reply<T> {
    Now(T),
    Later(Duration, T),
    Never,
    Close,
}

/// A request that a lying peer has an answer to.
pub(super) trait Lied: Request {
    /// Whether it is about accounts, transactions or blocks, rather than part of syncing.
    const IS_QUERY: bool = false;

    /// The answer of an honest node.
    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response;

    /// The answer where it isn't the honest one.
    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response;

    fn reply(&self, script: &Script, peer: PeerId) -> Reply<Self::Response> {
        script.reply_as_to_all(self, peer)
    }
}

impl Lied for RequestHead {
    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, &script.proxy)
    }

    fn lied(&self, script: &Script, _peer: PeerId) -> Self::Response {
        script.head()
    }
}

impl Lied for RequestBlock {
    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, &script.proxy)
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        if let Some(block) = script.find_forged(&self.hash) {
            return Ok(block);
        }
        let block = self.honest(script, peer)?;
        Ok(match script.lie {
            Lie::Query(QueryLie::WrongOldBlock) if script.is_old(&block) => {
                let before = script.proxy.read().get_block(block.parent_hash(), false);
                before.unwrap_or(block)
            }
            Lie::WrongHash => {
                let before = script.proxy.read().get_block(block.parent_hash(), false);
                before.unwrap_or(block)
            }
            Lie::BadSignature if block.is_macro() => script
                .forger
                .with_bad_proof(&block, Mutation::BadSignature)
                .unwrap_or(block),
            Lie::TooFewSigners if block.is_macro() => script
                .forger
                .with_bad_proof(&block, Mutation::TooFewSigners)
                .unwrap_or(block),
            _ => block,
        })
    }
}

impl Lied for RequestMacroChain {
    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, &script.proxy)
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        let mut chain = self.honest(script, peer)?;
        match script.lie {
            Lie::ConflictingElection => {
                let head = script.head();
                let true_election = script.proxy.read().election_head_hash();
                for epoch in &mut chain.epochs {
                    if *epoch == true_election {
                        *epoch = head.election_hash.clone();
                    }
                }
                if let Some(checkpoint) = &mut chain.checkpoint {
                    checkpoint.hash = head.macro_hash;
                }
            }
            Lie::OtherEpochMacro => {
                if let Some(block) = script.find_forged(&script.head().macro_hash) {
                    chain.checkpoint = Some(Checkpoint {
                        block_number: block.block_number(),
                        hash: block.hash(),
                    });
                }
            }
            Lie::MicroForMacro => {
                let head = script.head();
                chain.checkpoint = Some(Checkpoint {
                    block_number: Policy::last_macro_block(head.block_number),
                    hash: head.macro_hash,
                });
            }
            Lie::Lagging(_) => {
                // Nothing from after the claimed head.
                let head = script.head();
                if let Some(last) = chain.epochs.iter().position(|e| *e == head.election_hash) {
                    chain.epochs.truncate(last + 1);
                } else {
                    chain.epochs.clear();
                }
                chain.checkpoint = (head.macro_hash != head.election_hash
                    && !self.locators.contains(&head.macro_hash))
                .then(|| Checkpoint {
                    block_number: Policy::last_macro_block(head.block_number),
                    hash: head.macro_hash,
                });
            }
            _ => {}
        }
        Ok(chain)
    }
}

impl Lied for RequestMissingBlocks {
    fn honest(&self, script: &Script, peer: PeerId) -> Self::Response {
        Handle::<Network, _>::handle(self, peer, &script.proxy)
    }

    fn lied(&self, script: &Script, peer: PeerId) -> Self::Response {
        match script.lie {
            Lie::Query(QueryLie::WrongOldBlock) => {
                let mut blocks = self.honest(script, peer)?.blocks;
                // Those before the last one don't lead there any more.
                if blocks.last().is_some_and(|last| script.is_old(last)) {
                    blocks.truncate(blocks.len() / 2);
                }
                Ok(ResponseBlocks { blocks })
            }
            Lie::WithholdsMissingBlocks => Err(ResponseBlocksError::FailedToGetBlocks),
            Lie::WrongMissingBlocks => {
                let mut blocks = self.honest(script, peer)?.blocks;
                if let Some(last) = blocks.last_mut()
                    && let Some(bad) = script.forger.with_bad_proof(last, Mutation::BadSignature)
                {
                    *last = bad;
                }
                Ok(ResponseBlocks { blocks })
            }
            _ => match script.find_forged(&self.target_hash) {
                // What leads to a made-up block is nothing but that block.
                Some(block) => Ok(ResponseBlocks {
                    blocks: vec![without_body(block)],
                }),
                None => self.honest(script, peer),
            },
        }
    }
}

/// Answers requests from now on.
pub(super) fn serve(network: &Arc<Network>, script: &Arc<Script>) {
    answer::<RequestHead>(network, script);
    match script.lie {
        Lie::Garbage => serve_garbage::<{ garbage::SHORT }>(network, script),
        Lie::Oversized => serve_garbage::<{ garbage::OVERSIZED }>(network, script),
        _ => {
            answer::<RequestBlock>(network, script);
            answer::<RequestMacroChain>(network, script);
            answer::<RequestMissingBlocks>(network, script);
        }
    }
    match script.lie {
        Lie::Query(QueryLie::GarbageQueries) => {
            answer_garbage::<RequestTrieProof, { garbage::SHORT }>(network, script);
            answer_garbage::<RequestTransactionsProof, { garbage::SHORT }>(network, script);
            answer_garbage::<RequestTransactionReceiptsByAddress, { garbage::SHORT }>(
                network, script,
            );
            answer_garbage::<RequestBlocksProof, { garbage::SHORT }>(network, script);
        }
        _ => {
            answer::<RequestTrieProof>(network, script);
            answer::<RequestTransactionsProof>(network, script);
            answer::<RequestTransactionReceiptsByAddress>(network, script);
            answer::<RequestBlocksProof>(network, script);
        }
    }
    if script.proofs.is_some() {
        match script.proof_lie() {
            Some(ProofLie::Garbage) => {
                answer_garbage::<RequestZKP, { garbage::SHORT }>(network, script);
            }
            _ => answer::<RequestZKP>(network, script),
        }
    }
    answer::<RequestSubscribeToAddress>(network, script);
    notifier::serve(network, script);
}

fn answer<Req: Lied>(network: &Arc<Network>, script: &Arc<Script>) {
    let requests = network.receive_requests::<Req>();
    let network = Arc::clone(network);
    let script = Arc::clone(script);
    spawn(
        requests.for_each_concurrent(CONCURRENT_ANSWERS, move |(request, id, peer)| {
            let network = Arc::clone(&network);
            let script = Arc::clone(&script);
            async move {
                count::<Req>(&script);
                let response = match request.reply(&script, peer) {
                    Reply::Now(response) => response,
                    Reply::Later(delay, response) => {
                        tokio::time::sleep(delay).await;
                        response
                    }
                    Reply::Never => return,
                    Reply::Close => {
                        network.disconnect_peer(peer, CloseReason::Other).await;
                        return;
                    }
                };
                if let Err(error) = network.respond::<Req>(id, response).await {
                    log::debug!("{peer} went away before it was answered: {error}");
                }
            }
        }),
    );
}

fn count<Req: RequestCommon>(script: &Script) {
    *script
        .requests
        .lock()
        .entry(Req::type_name::<Req>())
        .or_default() += 1;
}

fn serve_garbage<const LEN: usize>(network: &Arc<Network>, script: &Arc<Script>) {
    answer_garbage::<RequestBlock, LEN>(network, script);
    answer_garbage::<RequestMacroChain, LEN>(network, script);
    answer_garbage::<RequestMissingBlocks, LEN>(network, script);
}

fn answer_garbage<Req: Request, const LEN: usize>(network: &Arc<Network>, script: &Arc<Script>) {
    let requests = network.receive_requests::<Garbled<Req, LEN>>();
    let network = Arc::clone(network);
    let script = Arc::clone(script);
    spawn(
        requests.for_each_concurrent(CONCURRENT_ANSWERS, move |(_, id, peer)| {
            let network = Arc::clone(&network);
            let script = Arc::clone(&script);
            async move {
                count::<Req>(&script);
                if let Err(error) = network.respond::<Garbled<Req, LEN>>(id, Garbage).await {
                    log::debug!("{peer} went away before it was answered: {error}");
                }
            }
        }),
    );
}
