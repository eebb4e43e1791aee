//! Consensus: the loop that drives macro sync and live sync, decides when enough peers agree, and
//! handles what each peer turns out to be. It owns all state that changes; everything else runs in
//! futures that it polls, so there is one task an engine and nothing to lock in a certain order.
//!
//! A conflict ends optimism: the chain is given up, light macro sync verifies it anew from the
//! trusted anchor, and whoever contradicts the verified chain is banned. With a verified chain a
//! liar changes nothing any more: it is banned and the sync goes on.

mod background;
mod handle;
mod heads;
mod serve;
mod stall;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt, Stream, StreamExt,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use nimiq_block::{Block, MacroBlock};
use nimiq_network_interface::network::{CloseReason, Network, NetworkEvent, SubscribeEvents};
use nimiq_primitives::policy::Policy;
use nimiq_time::{interval, timeout};
use nimiq_utils::stream::FuturesUnordered;
use parking_lot::RwLock;
use tokio::sync::watch;

pub use self::handle::Handle;
use self::{
    background::{Background, BackgroundEvent},
    handle::{Control, Status},
    heads::Heads,
    stall::StallDetector,
};
use crate::{
    clock::Clock,
    event::{
        ConsensusState, EventBus, Outcome, StallAction, SyncEvent, SyncerKind, Trust, TrustSource,
    },
    limits,
    live::{LiveEvent, LiveSync},
    macro_sync::{
        Conflict, Context, EitherSyncer, LightMacroSync, MacroSyncReturn, PicoMacroSync, Reason,
        Weight,
    },
    messages::{BlockHeaderMessage, BlockHeaderTopic, ResponseHead},
    params::{Anchor, NetworkParams},
    peer_tasks::PeerTasks,
    requests::{self, PeerFault},
    shared::SharedChain,
    verifier::Verifier,
};

/// How to sync.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyncMode {
    /// Optimistically, with light macro sync as fallback.
    #[default]
    Pico,
    /// Verified from the start.
    Light,
}

/// What the user may choose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncConfig {
    /// How to sync.
    pub mode: SyncMode,
    /// Whether an optimistic chain is proven in the background.
    pub verify_in_background: bool,
    /// Good peers that make consensus.
    pub min_peers: usize,
    /// Where trust starts, in place of [`NetworkParams::anchor`]: an election block, or genesis.
    pub anchor: Option<Anchor>,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            mode: SyncMode::Pico,
            verify_in_background: true,
            min_peers: 3,
            anchor: None,
        }
    }
}

type HeadAnswer = Result<ResponseHead, PeerFault>;
type Announcements<TNetwork> =
    BoxStream<'static, (BlockHeaderMessage, <TNetwork as Network>::PubsubId)>;

/// A peer under suspicion, and what it claimed.
struct Suspect<TPeerId> {
    peer: TPeerId,
    reason: Reason,
    claim: MacroBlock,
}

/// What the verified chain says of a suspect, and whether it is guilty.
type Judgement<TPeerId> = (TPeerId, Reason, bool);

/// The engine. [`Consensus::run`] is the whole of it.
pub struct Consensus<TNetwork: Network> {
    config: SyncConfig,
    context: Context<TNetwork>,
    events: EventBus,
    status: Arc<RwLock<Status>>,
    control: watch::Receiver<Control>,
    network_events: SubscribeEvents<TNetwork::PeerId>,
    macro_sync: EitherSyncer<TNetwork>,
    live: LiveSync<TNetwork>,
    background: Option<Background<TNetwork>>,
    /// Connected peers that we have not given up.
    peers: HashSet<TNetwork::PeerId>,
    /// Peers that agree with our macro state.
    good: HashSet<TNetwork::PeerId>,
    /// Peers to look at again, and in how many seconds.
    recheck: HashMap<TNetwork::PeerId, u64>,
    /// Peers that were just looked at again, and for how many more seconds they are not.
    looked_at: HashMap<TNetwork::PeerId, u64>,
    /// How often in a row peers turned out not to agree with us, without being caught lying.
    disagreements: HashMap<TNetwork::PeerId, usize>,
    /// Peers whose claims are to be held against the chain once it is verified.
    suspects: Vec<Suspect<TNetwork::PeerId>>,
    judging: FuturesUnordered<BoxFuture<'static, Judgement<TNetwork::PeerId>>>,
    heads: Heads<TNetwork::PeerId>,
    head_answers: PeerTasks<TNetwork::PeerId, HeadAnswer>,
    /// Announced blocks pushed in a row without a head request.
    announced: usize,
    seconds_to_head_request: u64,
    stall: StallDetector,
    clock_skew_reported: bool,
}

/// What woke the loop.
enum Wake<TNetwork: Network> {
    Control,
    Network(Option<NetworkEvent<TNetwork::PeerId>>),
    Macro(MacroSyncReturn<TNetwork::PeerId>),
    Live(LiveEvent<TNetwork::PeerId>),
    Background(BackgroundEvent<TNetwork::PeerId>),
    Announced(Box<BlockHeaderMessage>, TNetwork::PubsubId),
    Head(TNetwork::PeerId, HeadAnswer),
    Judged(Judgement<TNetwork::PeerId>),
    Tick,
    /// A stream ended that should not.
    NetworkGone,
}

impl<TNetwork: Network> Consensus<TNetwork> {
    /// An engine that syncs over `network`, and a handle to it. Nothing happens until it runs.
    ///
    /// The network's policy must be installed, see [`NetworkParams::install_policy`].
    pub fn new(
        network: Arc<TNetwork>,
        verifier: Arc<dyn Verifier>,
        clock: Clock,
        params: &'static NetworkParams,
        config: SyncConfig,
    ) -> (Self, Handle) {
        let events = EventBus::new(clock.clone());
        let anchor = config.anchor.clone().unwrap_or_else(|| params.anchor());
        let chain = SharedChain::new(params, anchor, clock, Some(events.clone()));
        let context = Context {
            network,
            chain,
            verifier,
            events: events.clone(),
        };
        let network_events = context.network.subscribe_events();
        let macro_sync = match config.mode {
            SyncMode::Pico => EitherSyncer::Normal(PicoMacroSync::new(context.clone())),
            SyncMode::Light => EitherSyncer::Fallback(LightMacroSync::new(context.clone())),
        };
        let status = Arc::new(RwLock::new(Status {
            consensus: ConsensusState::Connecting,
            peers: 0,
            good_peers: 0,
            syncer: macro_sync.kind(),
            outcomes: HashMap::new(),
        }));
        let (sender, control) = watch::channel(Control::default());
        let handle = Handle {
            chain: context.chain.clone(),
            events: events.clone(),
            status: status.clone(),
            control: Arc::new(sender),
        };
        let live = LiveSync::new(context.clone());
        let consensus = Self {
            config,
            context,
            events,
            status,
            control,
            network_events,
            macro_sync,
            live,
            background: None,
            peers: HashSet::new(),
            good: HashSet::new(),
            recheck: HashMap::new(),
            looked_at: HashMap::new(),
            disagreements: HashMap::new(),
            suspects: Vec::new(),
            judging: FuturesUnordered::new(),
            heads: Heads::new(),
            head_answers: PeerTasks::new(),
            announced: 0,
            seconds_to_head_request: limits::HEAD_REQUEST_INTERVAL.as_secs(),
            stall: StallDetector::default(),
            clock_skew_reported: false,
        };
        (consensus, handle)
    }

    /// Syncs until the handle closes it.
    pub async fn run(mut self) {
        serve::heads(&self.context, self.control.clone());
        let mut announcements = announcements(self.context.network.clone()).await;
        for peer in self.context.network.get_peers() {
            self.peer_joined(peer);
        }
        let mut ticks = interval(Duration::from_secs(1));
        let mut announcing = true;
        loop {
            match self
                .next_wake(&mut announcements, &mut announcing, &mut ticks)
                .await
            {
                Wake::Control => {
                    let control = *self.control.borrow_and_update();
                    if control.closed {
                        break;
                    }
                }
                Wake::Network(event) => self.handle_network_event(event),
                Wake::Macro(result) => self.handle_macro_sync(result),
                Wake::Live(event) => self.handle_live(event),
                Wake::Background(event) => self.handle_background(event),
                Wake::Announced(message, id) => self.live.announce(Block::from(*message), id),
                Wake::Head(peer, answer) => self.handle_head(peer, answer),
                Wake::Judged(judgement) => self.handle_judgement(judgement),
                Wake::Tick => self.tick(),
                Wake::NetworkGone => break,
            }
            self.update_status();
        }
        self.set_consensus(ConsensusState::Closed);
    }

    async fn next_wake(
        &mut self,
        announcements: &mut Announcements<TNetwork>,
        announcing: &mut bool,
        ticks: &mut (impl Stream<Item = ()> + Unpin),
    ) -> Wake<TNetwork> {
        let Self {
            control,
            network_events,
            macro_sync,
            live,
            background,
            head_answers,
            judging,
            ..
        } = self;
        let take_announcements = *announcing && live.has_room();
        let mut changed = std::pin::pin!(
            async {
                if control.changed().await.is_err() {
                    // All handles are gone, so nobody can close it: it runs on.
                    future::pending().await
                }
            }
            .fuse()
        );
        future::poll_fn(|cx| {
            use std::task::Poll::{Pending, Ready};
            if changed.as_mut().poll_unpin(cx).is_ready() {
                return Ready(Wake::Control);
            }
            // Who joined and left comes first: everything else refers to it.
            match network_events.poll_next_unpin(cx) {
                Ready(Some(event)) => return Ready(Wake::Network(event.ok())),
                Ready(None) => return Ready(Wake::NetworkGone),
                Pending => {}
            }
            match macro_sync.poll_next_unpin(cx) {
                Ready(Some(result)) => return Ready(Wake::Macro(result)),
                Ready(None) => return Ready(Wake::NetworkGone),
                Pending => {}
            }
            if let Ready((peer, answer)) = head_answers.poll_next(cx) {
                return Ready(Wake::Head(peer, answer));
            }
            if let Ready(Some(judgement)) = judging.poll_next_unpin(cx) {
                return Ready(Wake::Judged(judgement));
            }
            if let Ready(Some(event)) = live.poll_next_unpin(cx) {
                return Ready(Wake::Live(event));
            }
            if take_announcements {
                match announcements.poll_next_unpin(cx) {
                    Ready(Some((message, id))) => {
                        return Ready(Wake::Announced(Box::new(message), id));
                    }
                    Ready(None) => *announcing = false,
                    Pending => {}
                }
            }
            if let Some(background) = background
                && let Ready(event) = background.poll(cx)
            {
                return Ready(Wake::Background(event));
            }
            ticks.poll_next_unpin(cx).map(|_| Wake::Tick)
        })
        .await
    }

    // --- Peers ------------------------------------------------------------------------------------

    fn handle_network_event(&mut self, event: Option<NetworkEvent<TNetwork::PeerId>>) {
        match event {
            Some(NetworkEvent::PeerJoined(peer, _)) => self.peer_joined(peer),
            Some(NetworkEvent::PeerLeft(peer)) => self.forget(&peer),
            Some(NetworkEvent::DhtReady) => {}
            // We missed some: go by who is connected.
            None => {
                let connected: HashSet<_> = self.context.network.get_peers().into_iter().collect();
                for peer in self
                    .peers
                    .difference(&connected)
                    .copied()
                    .collect::<Vec<_>>()
                {
                    self.forget(&peer);
                }
                for peer in connected {
                    self.peer_joined(peer);
                }
            }
        }
    }

    fn peer_joined(&mut self, peer: TNetwork::PeerId) {
        // It may have left already, which we hear next. Two connections can make it join twice.
        if !self.context.network.has_peer(peer) || !self.peers.insert(peer) {
            return;
        }
        if self.context.network.peer_provides_required_services(peer) {
            self.macro_sync.add_peer(peer);
            return;
        }
        let info = self.context.network.get_peer_info(peer);
        let reason = match info.is_some_and(|info| info.get_services().is_empty()) {
            true => "it offers no services",
            false => "it lacks the services that we need",
        };
        self.handle_macro_sync(MacroSyncReturn::Incompatible(peer, reason.into()));
    }

    fn forget(&mut self, peer: &TNetwork::PeerId) {
        self.peers.remove(peer);
        self.leave_live(peer);
        self.macro_sync.remove_peer(peer);
        self.recheck.remove(peer);
        self.looked_at.remove(peer);
        self.disagreements.remove(peer);
        self.status.write().outcomes.remove(&peer.to_string());
        if let Some(background) = &mut self.background {
            background.remove_peer(peer);
        }
    }

    fn leave_live(&mut self, peer: &TNetwork::PeerId) {
        self.good.remove(peer);
        self.live.remove_peer(peer);
        self.heads.remove(peer);
        self.head_answers.cancel(peer);
    }

    /// Sends a peer through macro sync.
    fn look_at(&mut self, peer: TNetwork::PeerId) {
        self.leave_live(&peer);
        self.recheck.remove(&peer);
        if self.peers.contains(&peer) {
            self.macro_sync.add_peer(peer);
        }
    }

    /// Sends a peer through macro sync again, but not time and again without a pause.
    fn look_again(&mut self, peer: TNetwork::PeerId) {
        match self.looked_at.get(&peer).copied() {
            Some(seconds) => {
                self.leave_live(&peer);
                self.recheck_in(peer, seconds);
            }
            None => {
                self.look_at(peer);
                if self.peers.contains(&peer) {
                    self.looked_at
                        .insert(peer, limits::OUTDATED_RECHECK.as_secs());
                }
            }
        }
    }

    fn recheck_in(&mut self, peer: TNetwork::PeerId, seconds: u64) {
        if self.peers.contains(&peer) {
            self.recheck.insert(peer, seconds);
        }
    }

    /// Gives up a peer: closes the connection, and keeps nothing of it.
    fn drop_peer(&mut self, peer: TNetwork::PeerId, reason: CloseReason, why: &str) {
        self.forget(&peer);
        self.context.disconnect(peer, reason, why);
    }

    fn ban(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.drop_peer(peer, CloseReason::MaliciousPeer, why);
    }

    fn handle_fault(&mut self, peer: TNetwork::PeerId, fault: &PeerFault) {
        match fault {
            PeerFault::Lied(why) => self.ban(peer, why),
            PeerFault::Failed(why) => self.drop_peer(peer, CloseReason::Error, why),
            PeerFault::Lacks(_) => self.look_again(peer),
        }
    }

    fn report(&mut self, peer: TNetwork::PeerId, outcome: Outcome, reason: Option<Reason>) {
        let peer_id = peer.to_string();
        let mut status = self.status.write();
        if status.outcomes.len() < limits::MAX_REMEMBERED_PEERS
            || status.outcomes.contains_key(&peer_id)
        {
            status.outcomes.insert(peer_id.clone(), outcome);
        }
        drop(status);
        let reason = reason.map(Reason::into_owned);
        self.events.emit(SyncEvent::MacroSync {
            outcome,
            peer_id,
            reason,
        });
    }

    // --- Macro sync -------------------------------------------------------------------------------

    fn handle_macro_sync(&mut self, result: MacroSyncReturn<TNetwork::PeerId>) {
        match result {
            MacroSyncReturn::Good(peer) => {
                self.report(peer, Outcome::Good, None);
                self.good_peer(peer);
            }
            MacroSyncReturn::Outdated(peer, reason) => {
                self.leave_live(&peer);
                self.report(peer, Outcome::Outdated, Some(reason));
                self.recheck_in(peer, limits::OUTDATED_RECHECK.as_secs());
                *self.disagreements.entry(peer).or_default() += 1;
                self.count_voices();
            }
            MacroSyncReturn::Incompatible(peer, reason) => {
                self.report(peer, Outcome::Incompatible, Some(reason));
            }
            MacroSyncReturn::Conflicting(peer, conflict) => {
                self.leave_live(&peer);
                self.report(peer, Outcome::Conflicting, Some(conflict.reason.clone()));
                self.conflict(peer, conflict);
            }
        }
    }

    fn good_peer(&mut self, peer: TNetwork::PeerId) {
        self.recheck.remove(&peer);
        self.disagreements.remove(&peer);
        self.good.insert(peer);
        self.live.add_peer(peer);
        if let Some(head) = self.macro_sync.head_of(&peer).cloned() {
            self.note_head(peer, &head);
        }
        if self.macro_sync.kind() == SyncerKind::Light {
            self.light_sync_reached_tip();
        } else if let Some(background) = &mut self.background {
            background.add_peer(peer);
        } else if self.config.verify_in_background
            && self.context.chain.trust() == Trust::Optimistic
        {
            let mut background = Background::new(&self.context);
            background.add_peer(peer);
            self.background = Some(background);
        }
    }

    /// A peer claims another chain than ours.
    fn conflict(&mut self, peer: TNetwork::PeerId, conflict: Conflict) {
        let Conflict {
            reason,
            evidence,
            weight,
        } = conflict;
        let verified = self.macro_sync.kind() == SyncerKind::Light
            || self.context.chain.trust() == Trust::Verified;
        match weight {
            Weight::Breach => self.ban(peer, &reason),
            // Our chain is proven, or being proven: the claim is worth nothing.
            Weight::Contradiction if verified => self.ban(peer, &reason),
            Weight::Doubt if verified => {
                let times = self.disagreements.entry(peer).or_default();
                *times += 1;
                if *times > limits::DOUBTS_FORGIVEN {
                    self.ban(peer, &reason);
                } else {
                    self.recheck_in(peer, limits::OUTDATED_RECHECK.as_secs());
                }
            }
            Weight::Doubt | Weight::Contradiction => {
                let suspect = evidence.map(|claim| (peer, *claim));
                self.fall_back(Some(peer), suspect, reason);
            }
        }
    }

    /// A chain that is not proven, and that nobody proves, is worth as much as there are peers that
    /// stand by it: if more of them persistently don't, it is given up.
    fn count_voices(&mut self) {
        let proving = self
            .background
            .as_ref()
            .is_some_and(|background| !background.is_idle());
        if self.macro_sync.kind() == SyncerKind::Light
            || self.context.chain.trust() == Trust::Verified
            || self.context.chain.is_empty()
            || proving
        {
            return;
        }
        let against = self.disagreements.values();
        let against = against.filter(|times| **times > limits::DOUBTS_FORGIVEN);
        if against.count() > self.good.len().max(1) {
            let reason = "more peers are behind the chain we adopted than stand by it";
            self.fall_back(None, None, reason.into());
        }
    }

    /// Gives up the optimistic chain and verifies anew. The suspect is the peer whose claim was one
    /// too many, with that claim.
    fn fall_back(
        &mut self,
        peer: Option<TNetwork::PeerId>,
        suspect: Option<(TNetwork::PeerId, MacroBlock)>,
        reason: Reason,
    ) {
        log::warn!("falling back to light macro sync: {reason}");
        self.events.emit(SyncEvent::Fallback {
            from: SyncerKind::Pico,
            to: SyncerKind::Light,
            peer_id: peer.map(|peer| peer.to_string()),
            reason: reason.to_string(),
        });
        self.suspects.extend(suspect.map(|(peer, claim)| Suspect {
            peer,
            reason,
            claim,
        }));
        for peer in std::mem::take(&mut self.good) {
            self.leave_live(&peer);
        }
        self.recheck.clear();
        self.disagreements.clear();
        self.heads.clear();
        self.announced = 0;
        self.live.reset();
        // What the background walk has proven so far is as good as the anchor.
        let walked = self.background.take().and_then(Background::into_chain);
        self.switch_to(EitherSyncer::Fallback(LightMacroSync::new(
            self.context.clone(),
        )));
        // Consensus is lost before the chain is, so that nobody sees it with no chain.
        self.update_status();
        self.context.chain.replace(walked);
        self.examine_others();
    }

    fn switch_to(&mut self, macro_sync: EitherSyncer<TNetwork>) {
        self.macro_sync.drain_peers();
        self.macro_sync = macro_sync;
    }

    /// Sends every peer of which nothing is known yet through macro sync.
    fn examine_others(&mut self) {
        for peer in self.peers.iter().copied() {
            if !self.good.contains(&peer)
                && !self.recheck.contains_key(&peer)
                && self.context.network.peer_provides_required_services(peer)
            {
                self.macro_sync.add_peer(peer);
            }
        }
    }

    /// Light macro sync has nothing more to learn from a peer: the chain is verified to its tip.
    fn light_sync_reached_tip(&mut self) {
        self.context
            .chain
            .set_trust(Trust::Verified, TrustSource::Signatures);
        for suspect in std::mem::take(&mut self.suspects) {
            self.judge(suspect);
        }
        if self.config.mode == SyncMode::Pico {
            // Back to normal: from here on every step is verified there as well.
            self.switch_to(EitherSyncer::Normal(PicoMacroSync::new(
                self.context.clone(),
            )));
            self.examine_others();
        }
    }

    /// Holds the claim of a suspect against the verified chain.
    fn judge(&mut self, suspect: Suspect<TNetwork::PeerId>) {
        let Suspect {
            peer,
            reason,
            claim,
        } = suspect;
        if self.is_refuted(&claim) {
            return self.handle_judgement((peer, reason, true));
        }
        // The same block as ours can have been delivered with signatures that are none.
        let job = self.context.chain.read(|chain| chain.proof_of(&claim));
        if let Some(job) = job.flatten() {
            let context = self.context.clone();
            let judging = async move { (peer, reason, !context.holds(job).await) };
            self.judging.push(judging.boxed());
        }
    }

    fn handle_judgement(&mut self, (peer, reason, guilty): Judgement<TNetwork::PeerId>) {
        if guilty && self.context.network.has_peer(peer) {
            self.ban(peer, &reason);
        }
    }

    /// Whether the verified chain has another block where the claimed one would be.
    fn is_refuted(&self, claim: &MacroBlock) -> bool {
        let number = claim.block_number();
        let hash = claim.header.hash();
        let refuted = self.context.chain.read(|chain| {
            if claim.is_election() && chain.contradicts(number, &hash) {
                return true;
            }
            let ours = chain.election_head();
            let next = Policy::election_block_after(ours.block_number());
            let other_past = number > ours.block_number()
                && number <= next
                && claim.header.parent_election_hash != ours.header.hash();
            let other_macro_head = number == chain.macro_head().block_number()
                && hash != chain.macro_head().header.hash();
            other_past || other_macro_head
        });
        refuted == Some(true)
    }

    fn handle_background(&mut self, event: BackgroundEvent<TNetwork::PeerId>) {
        match event {
            BackgroundEvent::Proven => {
                if let Some(walked) = self.background.take().and_then(Background::into_chain) {
                    self.context.chain.learn_past(&walked);
                }
                self.context
                    .chain
                    .set_trust(Trust::Verified, TrustSource::Signatures);
            }
            BackgroundEvent::Refuted { reason, block } => {
                // Whoever brought us what we adopted has to answer for it.
                let origin = self.macro_sync.origin();
                if let Some(peer) = origin {
                    self.report(peer, Outcome::Conflicting, Some(reason.clone()));
                }
                self.fall_back(origin, origin.zip(block.map(|block| *block)), reason);
            }
            BackgroundEvent::Conflicting(peer, conflict) => {
                self.report(peer, Outcome::Conflicting, Some(conflict.reason.clone()));
                self.ban(peer, &conflict.reason);
                if conflict.weight != Weight::Breach {
                    self.fall_back(Some(peer), None, conflict.reason);
                }
            }
        }
    }

    // --- Live sync and heads ----------------------------------------------------------------------

    fn handle_live(&mut self, event: LiveEvent<TNetwork::PeerId>) {
        match event {
            LiveEvent::Pushed {
                pushed,
                announced,
                timestamp,
            } => {
                if pushed.adopted.is_empty() {
                    return;
                }
                if announced {
                    self.announced += 1;
                    self.seconds_to_head_request = limits::HEAD_REQUEST_INTERVAL.as_secs();
                    self.check_clock(timestamp);
                }
                self.chase_heads();
            }
            LiveEvent::OutOfReach(peer) => self.look_again(peer),
            LiveEvent::Fault(peer, fault) => self.handle_fault(peer, &fault),
        }
    }

    fn note_head(&mut self, peer: TNetwork::PeerId, head: &ResponseHead) {
        self.heads.insert(peer, head);
        self.chase_heads();
    }

    /// Fetches the blocks up to heads that we do not hold, once what we have is dealt with.
    fn chase_heads(&mut self) {
        if !self.live.is_idle() {
            return;
        }
        for (peer, hash) in self.heads.unknown(&self.context.chain) {
            self.live.fetch(hash, peer);
        }
    }

    fn request_heads(&mut self) {
        for peer in self.good.iter().copied() {
            let network = self.context.network.clone();
            self.head_answers
                .start(peer, async move { requests::head(&*network, peer).await });
        }
    }

    fn handle_head(&mut self, peer: TNetwork::PeerId, answer: HeadAnswer) {
        match answer {
            Ok(head) if self.can_follow(&head) => self.note_head(peer, &head),
            Ok(_) => self.look_again(peer),
            Err(fault) => self.handle_fault(peer, &fault),
        }
    }

    /// Whether live sync gets from our head to a peer's by itself.
    fn can_follow(&self, head: &ResponseHead) -> bool {
        let can_follow = self.context.chain.read(|chain| {
            let ours = chain.head().block_number();
            let window = limits::WINDOW_AHEAD_BATCHES * Policy::blocks_per_batch();
            let same_past = head.block_number > ours
                || chain.knows_election(&head.election_hash)
                || chain.election_head().header.parent_election_hash == head.election_hash;
            head.block_number.abs_diff(ours) <= window && same_past
        });
        can_follow == Some(true)
    }

    fn check_clock(&mut self, timestamp: u64) {
        let now = self.context.chain.clock.now_ms();
        let skew =
            i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(timestamp).unwrap_or(i64::MAX);
        let off = u128::from(skew.unsigned_abs()) > limits::CLOCK_SKEW_REPORTED.as_millis();
        if off && !self.clock_skew_reported {
            self.events.emit(SyncEvent::Clock { skew_ms: skew });
        }
        self.clock_skew_reported = off;
    }

    // --- Time and state ---------------------------------------------------------------------------

    fn tick(&mut self) {
        let _ = count_down(&mut self.looked_at);
        for peer in count_down(&mut self.recheck) {
            self.look_at(peer);
        }

        self.seconds_to_head_request = self.seconds_to_head_request.saturating_sub(1);
        let unsettled = self.status.read().consensus != ConsensusState::Established;
        if self.seconds_to_head_request == 0 || (unsettled && !self.good.is_empty()) {
            self.seconds_to_head_request = limits::HEAD_REQUEST_INTERVAL.as_secs();
            self.request_heads();
        }
        self.chase_heads();

        if self.control.borrow().offline {
            self.stall.pause();
            return;
        }
        let head = self.context.chain.heads().map(|heads| heads.head.hash);
        if let Some(action) = self.stall.tick(head, !self.peers.is_empty()) {
            let for_ms = self.stall.seconds() * 1000;
            self.events.emit(SyncEvent::Stalled { for_ms, action });
            self.remedy(action);
        }
    }

    fn remedy(&mut self, action: StallAction) {
        match action {
            StallAction::Resync => {
                let adopted = !self.context.chain.is_empty()
                    && self.context.chain.trust() == Trust::Optimistic;
                if adopted && self.good.is_empty() && !self.peers.is_empty() {
                    let reason = "nobody stands by the chain we adopted";
                    return self.fall_back(None, None, reason.into());
                }
                for peer in self.good.iter().copied().collect::<Vec<_>>() {
                    self.look_at(peer);
                }
            }
            // The network redials by itself; what it can't know is that its peers are useless.
            StallAction::Redial => {
                for peer in self.good.iter().copied().collect::<Vec<_>>() {
                    self.drop_peer(peer, CloseReason::Other, "no new blocks for too long");
                }
            }
            StallAction::RestartNetwork => {
                for peer in self.context.network.get_peers() {
                    self.drop_peer(peer, CloseReason::Other, "restarting the network");
                }
            }
        }
    }

    fn is_established(&mut self, was_established: bool) -> bool {
        if self.good.len() < self.config.min_peers || self.context.chain.is_empty() {
            return false;
        }
        if was_established || self.announced >= limits::MIN_BLOCKS_ESTABLISHED {
            return true;
        }
        let (known, unknown) = self.heads.known_and_unknown(&self.context.chain);
        known >= 1 && known >= 2 * unknown
    }

    fn update_status(&mut self) {
        let control = *self.control.borrow();
        let peers = self.peers.len();
        let mut status = self.status.write();
        status.peers = peers;
        status.good_peers = self.good.len();
        status.syncer = self.macro_sync.kind();
        let was_established = status.consensus == ConsensusState::Established;
        drop(status);

        let state = if control.closed {
            ConsensusState::Closed
        } else if control.offline {
            ConsensusState::Offline
        } else if self.is_established(was_established) {
            ConsensusState::Established
        } else if peers == 0 {
            ConsensusState::Connecting
        } else {
            ConsensusState::Syncing
        };
        self.set_consensus(state);
    }

    fn set_consensus(&mut self, state: ConsensusState) {
        let mut status = self.status.write();
        if status.consensus == state {
            return;
        }
        if status.consensus == ConsensusState::Established {
            self.announced = 0;
        }
        status.consensus = state;
        drop(status);
        self.events.emit(SyncEvent::Consensus { state });
    }
}

/// The gossip of block headers. Without it the client is slow, not dead: heads are asked for.
async fn announcements<TNetwork: Network>(network: Arc<TNetwork>) -> Announcements<TNetwork> {
    let subscription = network.subscribe::<BlockHeaderTopic>();
    let why = match timeout(limits::REQUEST_TIMEOUT, subscription).await {
        Ok(Ok(stream)) => return stream,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    log::error!("no gossip of block headers: {why}");
    stream::pending().boxed()
}

/// A second has passed: takes out the peers whose time has come.
fn count_down<TPeerId: Copy + Eq + Hash>(waiting: &mut HashMap<TPeerId, u64>) -> Vec<TPeerId> {
    let mut due = Vec::new();
    waiting.retain(|peer, seconds| {
        *seconds = seconds.saturating_sub(1);
        if *seconds == 0 {
            due.push(*peer);
        }
        *seconds > 0
    });
    due
}
