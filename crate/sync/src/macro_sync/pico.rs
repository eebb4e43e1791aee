//! Pico macro sync: ask a peer for its head, take only the election and checkpoint blocks that
//! matter, and believe the first peer on minimal checks. What comes after that first adoption is
//! checked against the validators we hold, so optimism is spent once.
//!
//! A peer that differs from us is not a liar yet. It can be a batch or an epoch boundary ahead or
//! behind, so its head is asked for again and what connects the two chains is fetched, before it
//! counts as conflicting.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, future, stream};
use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::{CloseReason, Network};
use nimiq_time::sleep;

use super::{Conflict, Context, MacroSync, MacroSyncReturn, Reason, Weight};
use crate::{
    chain::Inspected,
    event::{SyncerKind, Trust},
    limits,
    messages::ResponseHead,
    peer_tasks::PeerTasks,
    requests::{self, PeerFault},
};

/// What the look at one peer came to.
pub(super) enum Verdict {
    Good,
    Outdated(Reason),
    Conflicting(Conflict),
    Fault(PeerFault),
}

impl Verdict {
    /// The peer has a block that does not go with our chain.
    fn contradiction(reason: impl Into<Reason>, evidence: MacroBlock) -> Self {
        Self::Conflicting(Conflict {
            reason: reason.into(),
            evidence: Some(Box::new(evidence)),
            weight: Weight::Contradiction,
        })
    }

    /// The peer contradicts itself, which may have been chance.
    fn doubt(reason: &'static str) -> Self {
        Self::Conflicting(Conflict {
            reason: reason.into(),
            evidence: None,
            weight: Weight::Doubt,
        })
    }
}

impl From<PeerFault> for Verdict {
    fn from(fault: PeerFault) -> Self {
        Self::Fault(fault)
    }
}

/// A look at one peer: the head it named last, what it came to, and whether our chain was started
/// with what the peer said.
struct Examined {
    head: Option<ResponseHead>,
    verdict: Verdict,
    started: bool,
}

/// Optimistic macro sync. See the module's documentation.
pub struct PicoMacroSync<TNetwork: Network> {
    context: Context<TNetwork>,
    /// Peers whose turn has not come yet.
    waiting: VecDeque<TNetwork::PeerId>,
    /// Those and the ones that are looked at.
    syncing: HashSet<TNetwork::PeerId>,
    /// One future a peer: its requests go out one after the other, or side by side where none
    /// needs the other's answer.
    examinations: PeerTasks<TNetwork::PeerId, Examined>,
    /// What good peers named as their heads.
    heads: HashMap<TNetwork::PeerId, ResponseHead>,
    /// The peer whose word our chain was started on.
    origin: Option<TNetwork::PeerId>,
}

impl<TNetwork: Network> PicoMacroSync<TNetwork> {
    pub(crate) fn new(context: Context<TNetwork>) -> Self {
        Self {
            context,
            waiting: VecDeque::new(),
            syncing: HashSet::new(),
            examinations: PeerTasks::new(),
            heads: HashMap::new(),
            origin: None,
        }
    }

    /// The peer whose word our chain was started on, if it is still here.
    pub(crate) fn origin(&self) -> Option<TNetwork::PeerId> {
        self.origin
    }

    fn start_waiting(&mut self) {
        while self.examinations.len() < limits::MAX_SYNCING_PEERS {
            let Some(peer) = self.waiting.pop_front() else {
                break;
            };
            self.examinations
                .start(peer, examine(self.context.clone(), peer));
        }
    }

    fn conclude(
        &mut self,
        peer: TNetwork::PeerId,
        examined: Examined,
    ) -> Option<MacroSyncReturn<TNetwork::PeerId>> {
        if examined.started {
            self.origin = Some(peer);
        }
        Some(match examined.verdict {
            Verdict::Good => {
                if let Some(head) = examined.head {
                    self.heads.insert(peer, head);
                }
                MacroSyncReturn::Good(peer)
            }
            Verdict::Outdated(reason) => MacroSyncReturn::Outdated(peer, reason),
            Verdict::Conflicting(conflict) => MacroSyncReturn::Conflicting(peer, conflict),
            Verdict::Fault(PeerFault::Lied(why)) => {
                let conflict = Conflict {
                    reason: why.into(),
                    evidence: None,
                    weight: Weight::Breach,
                };
                MacroSyncReturn::Conflicting(peer, conflict)
            }
            Verdict::Fault(PeerFault::Failed(why) | PeerFault::Lacks(why)) => {
                self.context.disconnect(peer, CloseReason::Error, &why);
                return None;
            }
        })
    }
}

impl<TNetwork: Network> MacroSync<TNetwork::PeerId> for PicoMacroSync<TNetwork> {
    const KIND: SyncerKind = SyncerKind::Pico;

    fn add_peer(&mut self, peer: TNetwork::PeerId) {
        if self.syncing.insert(peer) {
            self.waiting.push_back(peer);
            self.start_waiting();
        }
    }

    fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        self.syncing.remove(peer);
        self.waiting.retain(|waiting| waiting != peer);
        self.examinations.cancel(peer);
        self.heads.remove(peer);
        if self.origin == Some(*peer) {
            self.origin = None;
        }
    }

    fn head_of(&self, peer: &TNetwork::PeerId) -> Option<&ResponseHead> {
        self.heads.get(peer)
    }

    fn drain_peers(&mut self) -> Vec<TNetwork::PeerId> {
        self.waiting.clear();
        self.examinations.clear();
        self.syncing.drain().collect()
    }
}

impl<TNetwork: Network> Stream for PicoMacroSync<TNetwork> {
    type Item = MacroSyncReturn<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        loop {
            self.start_waiting();
            let Poll::Ready((peer, examined)) = self.examinations.poll_next(cx) else {
                return Poll::Pending;
            };
            self.syncing.remove(&peer);
            if let Some(item) = self.conclude(peer, examined) {
                return Poll::Ready(Some(item));
            }
        }
    }
}

/// Looks at one peer until the verdict stands.
async fn examine<TNetwork: Network>(
    context: Context<TNetwork>,
    peer: TNetwork::PeerId,
) -> Examined {
    let mut started = false;
    let mut previous: Option<ResponseHead> = None;
    let mut attempt = 0;
    loop {
        let before = macro_hash(&context);
        let head = match requests::head(&*context.network, peer).await {
            Ok(head) => head,
            Err(fault) => {
                return Examined {
                    head: previous,
                    verdict: fault.into(),
                    started,
                };
            }
        };
        let verdict = compare(&context, peer, &head, &mut started)
            .await
            .unwrap_or_else(Verdict::from);
        let pause = match &verdict {
            _ if attempt >= limits::HEAD_RETRIES => None,
            // Blocks that contradict one another go on doing so, unless the peer takes its own
            // back: one second look is enough.
            Verdict::Conflicting(conflict) if conflict.weight == Weight::Contradiction => {
                (previous.as_ref() != Some(&head)).then_some(limits::HEAD_RETRY_DELAY)
            }
            Verdict::Conflicting(_) | Verdict::Fault(PeerFault::Lacks(_)) => {
                Some(limits::HEAD_RETRY_DELAY)
            }
            Verdict::Outdated(_) => may_catch_up(&context, before.as_ref(), &head),
            Verdict::Good | Verdict::Fault(_) => None,
        };
        let Some(pause) = pause else {
            return Examined {
                head: Some(head),
                verdict,
                started,
            };
        };
        attempt += 1;
        previous = Some(head);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

/// Hash of our macro head, if there is a chain.
pub(super) fn macro_hash<TNetwork: Network>(context: &Context<TNetwork>) -> Option<Blake2bHash> {
    context.chain.heads().map(|heads| heads.macro_head.hash)
}

/// After what pause a peer that named `head`, and is behind us by that, should be asked again,
/// because it may be with us by now. `None` if that can't be expected. `before` is the hash of our
/// macro head when it was asked.
pub(super) fn may_catch_up<TNetwork: Network>(
    context: &Context<TNetwork>,
    before: Option<&Blake2bHash>,
    head: &ResponseHead,
) -> Option<Duration> {
    let ours = context.chain.heads()?.macro_head;
    if before != Some(&ours.hash) {
        // What it said is older than what came meanwhile.
        return Some(Duration::ZERO);
    }
    let reach = head.block_number.saturating_add(limits::BLOCKS_ON_THE_WAY);
    (reach >= ours.number).then_some(limits::HEAD_RETRY_DELAY)
}

/// Holds a peer's head against our chain, and moves ours forward where the peer's is ahead.
async fn compare<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
    started: &mut bool,
) -> Result<Verdict, PeerFault> {
    if context.chain.is_empty()
        && let Some(verdict) = bootstrap(context, peer, head, started).await?
    {
        return Ok(verdict);
    }
    let Some(ours) = context.chain.heads() else {
        // Given up in the meantime by a fallback.
        return Ok(restarted());
    };

    if head.election_hash == ours.election_head.hash {
        if head.macro_hash == ours.macro_head.hash {
            return Ok(Verdict::Good);
        }
        return same_epoch(context, peer, head).await;
    }

    if is_epochs_behind(context, head) {
        return Ok(Verdict::Outdated("it is an epoch or more behind".into()));
    }

    follow(context, peer, head).await
}

/// Moves our chain forward by all macro blocks that the peer names after ours.
async fn follow<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    let network = &*context.network;
    loop {
        let Some((locators, before)) = context
            .chain
            .read(|chain| (chain.macro_locators(), chain.macro_head().block_number()))
        else {
            return Ok(restarted());
        };
        let Some(named) =
            requests::macro_chain(network, peer, locators, limits::MAX_EPOCHS_PER_REQUEST).await?
        else {
            return unknown_to_peer(context, peer, head).await;
        };
        let hashes = named
            .epochs
            .into_iter()
            .chain(named.checkpoint.map(|block| block.hash));
        let mut blocks = stream::iter(hashes)
            .map(|hash| async move { requests::macro_block(network, peer, &hash).await })
            .buffered(limits::MACRO_BLOCKS_IN_FLIGHT);
        while let Some(block) = blocks.next().await {
            if let Some(verdict) = advance(context, block?).await {
                return Ok(verdict);
            }
        }
        let Some(ours) = context.chain.heads() else {
            return Ok(restarted());
        };
        if ours.election_head.hash == head.election_hash && ours.macro_head.hash == head.macro_hash
        {
            return Ok(Verdict::Good);
        }
        // An answer names so many epochs at most, so there may be more to come.
        if ours.macro_head.number == before {
            // Its head is not on the macro chain that it names. What it claims instead tells at
            // once whether time can explain that.
            return match unknown_to_peer(context, peer, head).await {
                Err(PeerFault::Lacks(_)) => Ok(Verdict::doubt(
                    "its head is not on the macro chain that it names",
                )),
                verdict => verdict,
            };
        }
    }
}

/// What to say of a peer when our chain was given up meanwhile.
fn restarted() -> Verdict {
    Verdict::Outdated("the sync was restarted".into())
}

/// Whether a peer's election block is one of ours, and not the last.
fn is_epochs_behind<TNetwork: Network>(context: &Context<TNetwork>, head: &ResponseHead) -> bool {
    let is_behind = context.chain.read(|chain| {
        let ours = chain.election_head();
        head.election_hash != ours.header.hash()
            && (chain.knows_election(&head.election_hash)
                || ours.header.parent_election_hash == head.election_hash)
    });
    is_behind == Some(true)
}

/// Adopts the peer's macro state as our first. `None` once there is a chain to compare with.
async fn bootstrap<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
    started: &mut bool,
) -> Result<Option<Verdict>, PeerFault> {
    let network = &*context.network;
    let at_election = head.macro_hash == head.election_hash;
    let (election, checkpoint) = future::try_join(
        requests::macro_block(network, peer, &head.election_hash),
        async {
            match at_election {
                true => Ok(None),
                false => requests::macro_block(network, peer, &head.macro_hash)
                    .await
                    .map(Some),
            }
        },
    )
    .await?;

    let anchor = context.chain.anchor();
    if election.block_number() < anchor.block_number {
        return Ok(Some(Verdict::Outdated(
            "it is behind the pinned election block".into(),
        )));
    }
    if election.block_number() == anchor.block_number && head.election_hash != anchor.hash {
        let reason = "its election block is not the pinned one";
        return Ok(Some(Verdict::contradiction(reason, election)));
    }

    let mut draft = match context.chain.draft(election.clone()) {
        Ok(draft) => draft,
        Err(error) => {
            let reason = format!("its election block is invalid: {error}");
            return Ok(Some(Verdict::contradiction(reason, election)));
        }
    };
    if let Some(checkpoint) = checkpoint {
        let pushed = match draft.inspect_macro_at_any_time(Block::Macro(checkpoint.clone())) {
            Ok(Inspected::Unproven(unproven)) => draft.commit(unproven.on_trust()).map(|_| ()),
            Ok(_) => Err(nimiq_blockchain_interface::PushError::InvalidSuccessor),
            Err(error) => Err(error),
        };
        if let Err(error) = pushed {
            let reason = format!("its checkpoint does not fit its election block: {error}");
            return Ok(Some(Verdict::contradiction(reason, checkpoint)));
        }
    }
    *started |= context.chain.start(draft, Trust::Optimistic);
    Ok(None)
}

/// The peer has our election block, but another checkpoint.
async fn same_epoch<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    let behind = head.macro_hash == head.election_hash
        || context
            .chain
            .read(|chain| chain.is_on_main_chain(&head.macro_hash))
            == Some(true);
    if behind {
        return Ok(Verdict::Outdated("it is a batch or more behind".into()));
    }
    let block = requests::macro_block(&*context.network, peer, &head.macro_hash).await?;
    Ok(advance(context, block).await.unwrap_or(Verdict::Good))
}

/// Moves our chain forward by one macro block, with its signatures checked. `None` if it is now
/// on our chain.
async fn advance<TNetwork: Network>(
    context: &Context<TNetwork>,
    block: MacroBlock,
) -> Option<Verdict> {
    let number = block.block_number();
    // Peers that are looked at side by side name the same blocks, whose signatures are checked once.
    let _turn = context.chain.turn().await;
    let ours = context.chain.heads()?;
    if number < ours.macro_head.number {
        let known = context
            .chain
            .read(|chain| chain.is_on_main_chain(&block.header.hash()));
        let contradicts = context
            .chain
            .read(|chain| block.is_election() && chain.contradicts(number, &block.header.hash()));
        return match (known, contradicts) {
            (Some(true), _) => None,
            (_, Some(true)) => Some(Verdict::contradiction(
                "another election block than ours",
                block,
            )),
            _ => Some(Verdict::Outdated("it is a batch or more behind".into())),
        };
    }
    if number == ours.macro_head.number {
        return match block.header.hash() == ours.macro_head.hash {
            true => None,
            false => Some(Verdict::contradiction(
                "another macro block than ours",
                block,
            )),
        };
    }

    let refuse = |error: String| {
        Some(Verdict::contradiction(
            format!("its macro block is not valid on ours: {error}"),
            block.clone(),
        ))
    };
    let unproven = match context.chain.inspect_macro(block.clone()) {
        Ok(Inspected::Settled(_)) => return None,
        Ok(Inspected::Proven(_)) => return refuse("it needs no proof".into()),
        Ok(Inspected::Unproven(unproven)) => *unproven,
        Err(error) => return refuse(error.to_string()),
    };
    let proven = match context.prove(unproven).await {
        Ok(proven) => proven,
        Err(error) => return refuse(error.to_string()),
    };
    match context.chain.commit(proven) {
        Ok(_) => None,
        Err(error) => refuse(error.to_string()),
    }
}

/// The peer knows none of our macro blocks: it is behind, or one of us follows a liar.
pub(super) async fn unknown_to_peer<TNetwork: Network>(
    context: &Context<TNetwork>,
    peer: TNetwork::PeerId,
    head: &ResponseHead,
) -> Result<Verdict, PeerFault> {
    if is_epochs_behind(context, head) {
        return Ok(Verdict::Outdated("it is an epoch or more behind".into()));
    }
    let block = requests::macro_block(&*context.network, peer, &head.election_hash).await?;
    let number = block.block_number();
    let Some(ours) = context.chain.heads() else {
        return Ok(restarted());
    };
    let contradicts = context
        .chain
        .read(|chain| chain.contradicts(number, &head.election_hash))
        == Some(true);
    let genesis = context.chain.params.genesis();
    Ok(if contradicts || number > ours.election_head.number {
        Verdict::contradiction("another election block than ours", block)
    } else if number == ours.election_head.number {
        // Our chain moved on while we asked.
        Verdict::doubt("it does not know our election block")
    } else if number == genesis.block_number && head.election_hash == genesis.hash {
        Verdict::Outdated("it is still at genesis".into())
    } else {
        // Nothing links it to us. It may be in the middle of its own sync, or it may be us who
        // follow a liar: one peer can't tell, see the handling of outdated peers in consensus.
        Verdict::Outdated("it is many epochs behind".into())
    })
}
