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
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt, Stream, StreamExt,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use nimiq_block::Block;
use nimiq_network_interface::network::{CloseReason, Network, NetworkEvent, SubscribeEvents};
use nimiq_time::interval;
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
    },
    messages::{BlockHeaderMessage, BlockHeaderTopic, ResponseHead},
    params::{Anchor, NetworkParams},
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

type HeadAnswer<TPeerId> = (TPeerId, Result<ResponseHead, PeerFault>);
type Announcements<TNetwork> =
    BoxStream<'static, (BlockHeaderMessage, <TNetwork as Network>::PubsubId)>;

/// A peer under suspicion, and what it claimed.
struct Suspect<TPeerId> {
    peer: TPeerId,
    conflict: Conflict,
}

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
    /// Peers that agree with our macro state.
    good: HashSet<TNetwork::PeerId>,
    /// Peers to look at again, and in how many seconds.
    recheck: HashMap<TNetwork::PeerId, u64>,
    suspects: Vec<Suspect<TNetwork::PeerId>>,
    heads: Heads<TNetwork::PeerId>,
    head_answers: FuturesUnordered<BoxFuture<'static, HeadAnswer<TNetwork::PeerId>>>,
    asked_for_head: HashSet<TNetwork::PeerId>,
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
    Announced(BlockHeaderMessage, TNetwork::PubsubId),
    Head(HeadAnswer<TNetwork::PeerId>),
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
            good: HashSet::new(),
            recheck: HashMap::new(),
            suspects: Vec::new(),
            heads: Heads::new(),
            head_answers: FuturesUnordered::new(),
            asked_for_head: HashSet::new(),
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
        let mut announcements: Announcements<TNetwork> =
            match self.context.network.subscribe::<BlockHeaderTopic>().await {
                Ok(stream) => stream,
                Err(error) => {
                    // Head requests still work, so the client is slow, not dead.
                    log::error!("no gossip of block headers: {error}");
                    futures::stream::pending().boxed()
                }
            };
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
                Wake::Announced(message, id) => self.live.announce(Block::from(message), id),
                Wake::Head(answer) => self.handle_head(answer),
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
            ..
        } = self;
        let take_announcements = *announcing && live.has_room();
        let mut changed = std::pin::pin!(control.changed());
        future::poll_fn(|cx| {
            use std::task::Poll::{Pending, Ready};
            match changed.as_mut().poll_unpin(cx) {
                Ready(Ok(())) => return Ready(Wake::Control),
                // All handles are gone, so nobody can close it: it runs on.
                Ready(Err(_)) | Pending => {}
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
            if let Ready(Some(answer)) = head_answers.poll_next_unpin(cx) {
                return Ready(Wake::Head(answer));
            }
            if let Ready(Some(event)) = live.poll_next_unpin(cx) {
                return Ready(Wake::Live(event));
            }
            if take_announcements {
                match announcements.poll_next_unpin(cx) {
                    Ready(Some((message, id))) => return Ready(Wake::Announced(message, id)),
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
            Some(NetworkEvent::PeerJoined(..) | NetworkEvent::DhtReady) => {}
            Some(NetworkEvent::PeerLeft(peer)) => self.forget(&peer),
            // We missed some: go by who is connected.
            None => {
                let network = self.context.network.clone();
                let gone: Vec<_> = self
                    .good
                    .iter()
                    .copied()
                    .filter(|peer| !network.has_peer(*peer))
                    .collect();
                gone.iter().for_each(|peer| self.forget(peer));
            }
        }
    }

    /// A peer that was connected before we listened for events.
    fn peer_joined(&mut self, peer: TNetwork::PeerId) {
        if self.context.network.peer_provides_required_services(peer) {
            self.macro_sync.add_peer(peer);
        } else {
            self.report(
                peer,
                Outcome::Incompatible,
                Some("it lacks the services that we need".into()),
            );
        }
    }

    fn forget(&mut self, peer: &TNetwork::PeerId) {
        self.leave_live(peer);
        self.macro_sync.remove_peer(peer);
        self.recheck.remove(peer);
        self.status.write().outcomes.remove(&peer.to_string());
        if let Some(background) = &mut self.background {
            background.remove_peer(peer);
        }
    }

    fn leave_live(&mut self, peer: &TNetwork::PeerId) {
        self.good.remove(peer);
        self.live.remove_peer(peer);
        self.heads.remove(peer);
        self.asked_for_head.remove(peer);
    }

    /// Sends a peer through macro sync again.
    fn look_again(&mut self, peer: TNetwork::PeerId) {
        self.leave_live(&peer);
        self.recheck.remove(&peer);
        if self.context.network.has_peer(peer) {
            self.macro_sync.add_peer(peer);
        }
    }

    fn ban(&mut self, peer: TNetwork::PeerId, why: &str) {
        self.leave_live(&peer);
        self.macro_sync.remove_peer(&peer);
        self.context
            .disconnect(peer, CloseReason::MaliciousPeer, why);
    }

    fn handle_fault(&mut self, peer: TNetwork::PeerId, fault: &PeerFault) {
        match fault {
            PeerFault::Lied(why) => self.ban(peer, why),
            PeerFault::Failed(why) => {
                self.leave_live(&peer);
                self.context.disconnect(peer, CloseReason::Error, why);
            }
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
                self.remember_to_recheck(peer);
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

    fn remember_to_recheck(&mut self, peer: TNetwork::PeerId) {
        if self.recheck.len() < limits::MAX_REMEMBERED_PEERS {
            self.recheck
                .insert(peer, limits::OUTDATED_RECHECK.as_secs());
        }
    }

    /// A peer claims another chain than ours.
    fn conflict(&mut self, peer: TNetwork::PeerId, conflict: Conflict) {
        let verified = self.context.chain.trust() == Trust::Verified;
        if self.macro_sync.kind() == SyncerKind::Light || verified {
            // Our chain is proven, or being proven: the claim is worth nothing. Whoever can't
            // have come to it honestly is banned, anyone else may come back.
            if self.is_refuted(&conflict) {
                self.ban(peer, &conflict.reason);
            } else {
                self.remember_to_recheck(peer);
            }
            return;
        }
        let reason = conflict.reason.to_string();
        self.suspects.push(Suspect { peer, conflict });
        self.fall_back(Some(peer), reason);
    }

    /// Whether the verified chain proves that a claim is false.
    fn is_refuted(&self, conflict: &Conflict) -> bool {
        let Some(claim) = &conflict.evidence else {
            return false;
        };
        let number = claim.block_number();
        self.context
            .chain
            .read(|chain| {
                let election = chain.election_head();
                if claim.is_election() {
                    return chain.contradicts(number, &claim.header.hash());
                }
                let other_epoch = number > election.block_number()
                    && number
                        <= nimiq_primitives::policy::Policy::election_block_after(
                            election.block_number(),
                        )
                    && claim.header.parent_election_hash != election.header.hash();
                let other_branch = number == chain.macro_head().block_number()
                    && claim.header.hash() != chain.macro_head().header.hash();
                other_epoch || other_branch
            })
            .unwrap_or(false)
    }

    /// Gives up the optimistic chain and verifies anew.
    fn fall_back(&mut self, peer: Option<TNetwork::PeerId>, reason: String) {
        log::warn!("falling back to light macro sync: {reason}");
        self.events.emit(SyncEvent::Fallback {
            from: SyncerKind::Pico,
            to: SyncerKind::Light,
            peer_id: peer.map(|peer| peer.to_string()),
            reason,
        });
        let mut peers: HashSet<_> = self.macro_sync.drain_peers().into_iter().collect();
        peers.extend(self.good.drain());
        peers.extend(self.recheck.drain().map(|(peer, _)| peer));
        peers.extend(self.suspects.iter().map(|suspect| suspect.peer));
        self.heads.clear();
        self.announced = 0;
        self.live.reset();

        // What the background walk has proven so far is as good as the anchor.
        let walked = self.background.take().and_then(Background::into_chain);
        self.context.chain.replace(walked);

        let mut light = LightMacroSync::new(self.context.clone());
        for peer in peers {
            if self.context.network.has_peer(peer) {
                crate::macro_sync::MacroSync::add_peer(&mut light, peer);
            }
        }
        self.macro_sync = EitherSyncer::Fallback(light);
        self.status.write().outcomes.clear();
        self.update_status();
    }

    /// Light macro sync has nothing more to learn from a peer: the chain is verified to its tip.
    fn light_sync_reached_tip(&mut self) {
        self.context
            .chain
            .set_trust(Trust::Verified, TrustSource::Signatures);
        for Suspect { peer, conflict } in std::mem::take(&mut self.suspects) {
            if self.context.network.has_peer(peer) && self.is_refuted(&conflict) {
                self.ban(peer, &conflict.reason);
            }
        }
        if self.config.mode == SyncMode::Pico {
            // Back to normal: from here on every step is verified there as well.
            let pending = self.macro_sync.drain_peers();
            let mut pico = PicoMacroSync::new(self.context.clone());
            for peer in pending {
                if self.context.network.has_peer(peer) {
                    crate::macro_sync::MacroSync::add_peer(&mut pico, peer);
                }
            }
            self.macro_sync = EitherSyncer::Normal(pico);
        }
    }

    fn handle_background(&mut self, event: BackgroundEvent<TNetwork::PeerId>) {
        match event {
            BackgroundEvent::Proven => {
                self.background = None;
                self.context
                    .chain
                    .set_trust(Trust::Verified, TrustSource::Signatures);
            }
            BackgroundEvent::Refuted { peer, reason } => {
                if let Some(peer) = peer {
                    self.leave_live(&peer);
                    self.report(peer, Outcome::Conflicting, Some(reason.clone()));
                }
                self.fall_back(peer, reason.into_owned());
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
                self.stall.progress();
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

    /// Fetches the blocks up to heads that we do not hold.
    fn chase_heads(&mut self) {
        for (peer, hash) in self.heads.unknown(&self.context.chain) {
            self.live.fetch(hash, peer);
        }
    }

    fn request_heads(&mut self) {
        for peer in self.good.iter().copied() {
            if self.asked_for_head.insert(peer) {
                let network = self.context.network.clone();
                let request = async move { (peer, requests::head(&*network, peer).await) };
                self.head_answers.push(request.boxed());
            }
        }
    }

    fn handle_head(&mut self, (peer, answer): HeadAnswer<TNetwork::PeerId>) {
        if !self.asked_for_head.remove(&peer) || !self.good.contains(&peer) {
            return;
        }
        match answer {
            Ok(head) => {
                let Some(ours) = self.context.chain.heads() else {
                    return;
                };
                // A macro block apart is what live sync closes by itself; more is not.
                let window = limits::WINDOW_AHEAD_BATCHES
                    * nimiq_primitives::policy::Policy::blocks_per_batch();
                let far = head.block_number.abs_diff(ours.head.number) > window;
                let other_branch = head.block_number.abs_diff(ours.head.number) == 0
                    && head.election_hash != ours.election_head.hash;
                if far || other_branch {
                    self.look_again(peer);
                } else {
                    self.note_head(peer, &head);
                }
            }
            Err(fault) => self.handle_fault(peer, &fault),
        }
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
        let due: Vec<_> = self
            .recheck
            .iter_mut()
            .filter_map(|(peer, seconds)| {
                *seconds = seconds.saturating_sub(1);
                (*seconds == 0).then_some(*peer)
            })
            .collect();
        for peer in due {
            self.look_again(peer);
        }

        self.seconds_to_head_request = self.seconds_to_head_request.saturating_sub(1);
        let unsettled = self.status.read().consensus != ConsensusState::Established;
        if self.seconds_to_head_request == 0 || (unsettled && !self.good.is_empty()) {
            self.seconds_to_head_request = limits::HEAD_REQUEST_INTERVAL.as_secs();
            self.request_heads();
        }

        if self.control.borrow().offline {
            self.stall.progress();
            return;
        }
        let has_peers = !self.context.network.get_peers().is_empty();
        if let Some(action) = self.stall.tick(has_peers) {
            let for_ms = self.stall.seconds() * 1000;
            self.events.emit(SyncEvent::Stalled { for_ms, action });
            self.remedy(action);
        }
    }

    fn remedy(&mut self, action: StallAction) {
        match action {
            StallAction::Resync => {
                for peer in self.good.iter().copied().collect::<Vec<_>>() {
                    self.look_again(peer);
                }
            }
            // The network redials by itself; what it can't know is that its peers are useless.
            StallAction::Redial => {
                for peer in self.good.iter().copied().collect::<Vec<_>>() {
                    self.context
                        .disconnect(peer, CloseReason::Other, "no new blocks for too long");
                }
            }
            StallAction::RestartNetwork => {
                for peer in self.context.network.get_peers() {
                    self.context
                        .disconnect(peer, CloseReason::Other, "restarting the network");
                }
            }
        }
    }

    fn is_established(&self, was_established: bool) -> bool {
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
        let peers = self.context.network.get_peers().len();
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
