//! The chain as the parts of the engine share it. Every change goes through here, so that events
//! come in the order of the changes and a snapshot is never half updated.

use std::sync::Arc;

use nimiq_block::{Block, MacroBlock};
use nimiq_blockchain_interface::{PushError, PushResult};
use nimiq_hash::{Blake2bHash, Blake2sHash};
use nimiq_primitives::policy::Policy;
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::watch;

use crate::{
    chain::{BlockRef, Inspected, Leap, LightChain, ProofBase, Proven, Pushed, Route},
    clock::Clock,
    event::{EventBus, HeadKind, SyncEvent, Trust, TrustSource},
    numbered::Numbered,
    params::{Anchor, NetworkParams},
    saved::SavedChain,
};

/// The three heads at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Heads {
    pub(crate) head: BlockRef,
    pub(crate) macro_head: BlockRef,
    pub(crate) election_head: BlockRef,
}

#[derive(Debug)]
struct State {
    /// `None` until a first election block is adopted.
    chain: Option<LightChain>,
    /// Of every block on the chain.
    trust: Trust,
    /// When its head last changed, or we began to wait for one. Unix milliseconds.
    head_since: u64,
    /// What was last said of it. A chain that is walked from the anchor is verified all the way,
    /// but only its tip is worth an event.
    announced: Option<Trust>,
    /// How often a chain was begun: what was derived from one is worth nothing with the next.
    generation: u64,
}

/// A chain shared between the macro syncs, live sync and consensus. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SharedChain {
    state: Arc<RwLock<State>>,
    pub(crate) params: &'static NetworkParams,
    /// Where trust starts as long as nothing was restored.
    root: Arc<Anchor>,
    /// Where it starts now.
    anchor: Arc<RwLock<Anchor>>,
    /// Number of the election block that proofs start from, if they can be checked at all.
    proofs_from: Option<u32>,
    /// What an earlier run knew of that block.
    proof_start: Arc<RwLock<Option<(u32, Blake2sHash)>>>,
    /// Held by whoever moves the chain forward block by block.
    turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) clock: Clock,
    /// `None` for a chain that is walked in the background, of which nobody is told.
    events: Option<EventBus>,
    /// Counts the changes of the chain and of the trust in it, for those who wait for one.
    changes: watch::Sender<u64>,
}

impl SharedChain {
    pub(crate) fn new(
        params: &'static NetworkParams,
        anchor: Anchor,
        proofs_from: Option<u32>,
        clock: Clock,
        events: Option<EventBus>,
    ) -> Self {
        let state = State {
            chain: None,
            trust: Trust::Optimistic,
            head_since: clock.now_ms(),
            announced: None,
            generation: 0,
        };
        let state = Arc::new(RwLock::new(state));
        Self {
            state,
            params,
            root: Arc::new(anchor.clone()),
            anchor: Arc::new(RwLock::new(anchor)),
            proofs_from,
            proof_start: Arc::default(),
            turn: Arc::default(),
            clock,
            events,
            changes: watch::Sender::new(0),
        }
    }

    /// Resolves when nobody else moves the chain forward by macro blocks, until the guard is dropped.
    pub(crate) async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// The block that trust starts from.
    pub(crate) fn anchor(&self) -> Anchor {
        self.anchor.read().clone()
    }

    /// The block that trust starts from where nothing was restored.
    pub(crate) fn root(&self) -> &Anchor {
        &self.root
    }

    /// Has trust start where a chain that was verified ends, or at the root again.
    pub(crate) fn set_anchor(&self, verified: Option<&SavedChain>) {
        let root = || (*self.root).clone();
        *self.anchor.write() = verified.map_or_else(root, SavedChain::as_anchor);
        *self.proof_start.write() = verified.and_then(SavedChain::proof_start);
    }

    /// What is worth keeping of the chain: nothing, unless all of it is verified.
    pub(crate) fn saved(&self) -> Option<SavedChain> {
        let state = self.guard();
        let chain = state.chain.as_ref()?;
        (state.trust == Trust::Verified).then(|| SavedChain::of(chain, &self.root))
    }

    /// An empty chain of the same network that nobody hears of.
    pub(crate) fn silent(&self) -> Self {
        let state = Arc::new(RwLock::new(State {
            chain: None,
            trust: Trust::Verified,
            head_since: self.clock.now_ms(),
            announced: None,
            generation: 0,
        }));
        Self {
            state,
            events: None,
            changes: watch::Sender::new(0),
            ..self.clone()
        }
    }

    /// Looks at the chain, if there is one. `f` must not come back here.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&LightChain) -> R) -> Option<R> {
        self.guard().chain.as_ref().map(f)
    }

    /// Looks at the chain and the trust in it at one moment. `f` must not come back here.
    pub(crate) fn observe<R>(&self, f: impl FnOnce(&LightChain, Trust) -> R) -> Option<R> {
        let state = self.guard();
        state.chain.as_ref().map(|chain| f(chain, state.trust))
    }

    /// Changes with every change of the chain and of the trust in it.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes when the chain is given up for another one.
    pub(crate) fn generation(&self) -> u64 {
        self.guard().generation
    }

    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn guard(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.guard().chain.is_none()
    }

    pub(crate) fn trust(&self) -> Trust {
        self.guard().trust
    }

    pub(crate) fn heads(&self) -> Option<Heads> {
        self.read(|chain| Heads {
            head: chain.head().into(),
            macro_head: chain.macro_head().into(),
            election_head: chain.election_head().into(),
        })
    }

    /// For how many milliseconds the head has been what it is, by the clock.
    pub(crate) fn silence_ms(&self) -> u64 {
        let since = self.guard().head_since;
        self.clock.now_ms().saturating_sub(since)
    }

    /// The heads, with the genesis block in place of a chain that has not begun.
    pub(crate) fn heads_or_genesis(&self) -> (Heads, Trust) {
        let state = self.guard();
        let heads = state.chain.as_ref().map(|chain| Heads {
            head: chain.head().into(),
            macro_head: chain.macro_head().into(),
            election_head: chain.election_head().into(),
        });
        let heads = heads.unwrap_or_else(|| {
            let genesis = self.params.genesis();
            let genesis = BlockRef {
                number: genesis.block_number,
                hash: genesis.hash,
                timestamp: self.params.genesis_timestamp,
            };
            Heads {
                head: genesis.clone(),
                macro_head: genesis.clone(),
                election_head: genesis,
            }
        });
        (heads, state.trust)
    }

    /// Starts the chain, unless another peer's answer has started it in the meantime. `chain` holds
    /// an election block and perhaps a checkpoint on top. Returns whether it was taken.
    pub(crate) fn start(&self, mut chain: LightChain, trust: Trust) -> bool {
        let mut state = self.state.write();
        if state.chain.is_some() {
            return false;
        }
        // Proofs must not start from a block that nobody has vouched for.
        if let (Trust::Verified, Some(number)) = (trust, self.proofs_from) {
            chain.prove_from(number, self.proof_start.read().clone());
        }
        let election = Block::Macro(chain.election_head().clone());
        let block = chain.head().clone();
        let head = BlockRef::from(&block);
        let mut adopted = vec![BlockRef::from(&election)];
        self.emit_macro(&election, trust);
        if head.hash != election.hash() {
            adopted.push(head.clone());
            self.emit_macro(&block, trust);
        }
        self.emit_head(HeadKind::Extended, hex(&adopted), Vec::new(), &head);
        state.chain = Some(chain);
        state.trust = trust;
        state.head_since = self.clock.now_ms();
        if trust == Trust::Optimistic {
            state.announced = Some(trust);
            self.emit_trust(trust, TrustSource::Peers, head.number);
        }
        self.changed();
        true
    }

    /// A chain of one election block, not yet shared with anybody.
    pub(crate) fn draft(&self, election: MacroBlock) -> Result<LightChain, PushError> {
        LightChain::starting_at(self.params, self.clock.clone(), election)
    }

    pub(crate) fn inspect(&self, block: Block) -> Result<Inspected, PushError> {
        match &self.guard().chain {
            Some(chain) => chain.inspect(block, Route::Live),
            None => Err(PushError::Orphan),
        }
    }

    pub(crate) fn inspect_macro(&self, block: MacroBlock) -> Result<Inspected, PushError> {
        match &self.guard().chain {
            Some(chain) => chain.inspect_macro_at_any_time(Block::Macro(block)),
            None => Err(PushError::Orphan),
        }
    }

    pub(crate) fn commit(&self, proven: Proven) -> Result<Pushed, PushError> {
        let mut state = self.state.write();
        let trust = state.trust;
        let block = proven.block().clone();
        let Some(chain) = &mut state.chain else {
            return Err(PushError::Orphan);
        };
        let pushed = chain.commit(proven)?;
        let kind = match pushed.result {
            PushResult::Extended => HeadKind::Extended,
            PushResult::Rebranched => HeadKind::Rebranched,
            PushResult::Known | PushResult::Forked | PushResult::Ignored => return Ok(pushed),
        };
        let head = BlockRef::from(chain.head());
        state.head_since = self.clock.now_ms();
        if block.is_macro() {
            // In a chain walked from its anchor each block is as good as the anchor.
            self.emit_macro(&block, trust);
        }
        self.emit_head(kind, hex(&pushed.adopted), hex(&pushed.reverted), &head);
        self.changed();
        Ok(pushed)
    }

    /// Whether the chain can use a proof. There must be a chain.
    pub(crate) fn proof_base(&self) -> ProofBase {
        let base = self.read(LightChain::proof_base);
        base.unwrap_or(ProofBase::None("there is no chain"))
    }

    /// What a verified chain was verified by.
    pub(crate) fn verified_by(&self) -> TrustSource {
        match self.read(LightChain::has_leapt) {
            Some(true) => TrustSource::Zkp,
            _ => TrustSource::Signatures,
        }
    }

    /// Goes on from an election block that is proven, see [`LightChain::leap`].
    pub(crate) fn leap(&self, leap: Leap) -> Result<bool, PushError> {
        let mut state = self.state.write();
        let trust = state.trust;
        let Some(chain) = &mut state.chain else {
            return Err(PushError::Orphan);
        };
        let block = leap.block().clone();
        // The one before it joins the chain as well, though nobody has seen it.
        let parent = &block.header.parent_election_hash;
        let parent = (!chain.knows_election(parent)).then(|| parent.to_hex());
        if !chain.leap(leap)? {
            return Ok(false);
        }
        state.head_since = self.clock.now_ms();
        let block = Block::Macro(block);
        let head = BlockRef::from(&block);
        self.emit_macro(&block, trust);
        let adopted = parent.into_iter().chain([head.hash.to_hex()]).collect();
        self.emit_head(HeadKind::Extended, adopted, Vec::new(), &head);
        self.changed();
        Ok(true)
    }

    /// Gives up the chain, and goes on with `verified`, a chain that was walked from the anchor, if
    /// there is one. Tells what was reverted.
    pub(crate) fn replace(&self, verified: Option<LightChain>) {
        let mut state = self.state.write();
        let old = state.chain.take();
        let known = |chain: &Option<LightChain>, from: u32| -> Numbered<Blake2bHash> {
            let mut known = Numbered::default();
            for (number, hash) in chain.iter().flat_map(LightChain::known) {
                if number >= from {
                    known.insert(number, hash);
                }
            }
            known
        };
        // What came before the block that our chain started with was learned, and never adopted.
        let start = old.as_ref().map_or(0, LightChain::start);
        let (before, after) = (known(&old, start), known(&verified, 0));
        // What both have is kept; what comes after that, the one loses and the other brings.
        let is_common = |(number, hash): &(u32, &Blake2bHash)| after.get(*number) == Some(*hash);
        let shared = before.iter().filter(is_common).map(|(number, _)| number);
        let shared = shared.max();
        let beyond = |chain: &Numbered<Blake2bHash>| -> Vec<String> {
            let beyond = chain.iter().filter(|(number, _)| Some(*number) > shared);
            beyond.map(|(_, hash)| hash.to_hex()).collect()
        };
        let (reverted, adopted) = (beyond(&before), beyond(&after));
        state.trust = match verified {
            Some(_) => Trust::Verified,
            None => Trust::Optimistic,
        };
        state.announced = None;
        state.generation += 1;
        state.chain = verified;
        let head = match &state.chain {
            Some(chain) => BlockRef::from(chain.head()),
            None => BlockRef {
                number: self.params.genesis().block_number,
                hash: self.params.genesis().hash,
                timestamp: self.params.genesis_timestamp,
            },
        };
        if !reverted.is_empty() {
            self.emit_head(HeadKind::Rebranched, adopted, reverted, &head);
        }
        self.changed();
    }

    /// Takes over what came before our chain from one that has proven it.
    pub(crate) fn learn_past(&self, walked: &LightChain) {
        if let Some(chain) = &mut self.state.write().chain {
            chain.learn_past(walked);
        }
    }

    /// Sets how far the chain is to be trusted from now on.
    pub(crate) fn set_trust(&self, trust: Trust, via: TrustSource) {
        let mut state = self.state.write();
        let Some(number) = state
            .chain
            .as_ref()
            .map(|chain| chain.macro_head().block_number())
        else {
            return;
        };
        state.trust = trust;
        self.changed();
        if state.announced != Some(trust) {
            state.announced = Some(trust);
            self.emit_trust(trust, via, number);
        }
    }

    /// A copy, for a fallback that continues where the background walk stands.
    pub(crate) fn snapshot(&self) -> Option<LightChain> {
        self.guard().chain.clone()
    }

    fn emit_macro(&self, block: &Block, trust: Trust) {
        self.emit(|| SyncEvent::MacroBlock {
            block_number: block.block_number(),
            hash: block.hash().to_hex(),
            epoch: Policy::epoch_at(block.block_number()),
            election: block.is_election(),
            trust,
        });
    }

    fn emit_head(
        &self,
        kind: HeadKind,
        adopted: Vec<String>,
        reverted: Vec<String>,
        head: &BlockRef,
    ) {
        self.emit(|| SyncEvent::Head {
            kind,
            block_number: head.number,
            hash: head.hash.to_hex(),
            adopted,
            reverted,
        });
    }

    fn emit_trust(&self, level: Trust, via: TrustSource, block_number: u32) {
        self.emit(|| SyncEvent::Trust {
            level,
            via,
            block_number,
        });
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> SyncEvent) {
        if let Some(events) = &self.events {
            events.emit(event());
        }
    }
}

fn hex(blocks: &[BlockRef]) -> Vec<String> {
    blocks.iter().map(|block| block.hash.to_hex()).collect()
}
