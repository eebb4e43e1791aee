//! Consensus: the loop that drives macro sync and live sync, decides when enough peers agree, and
//! handles what each peer turns out to be. It owns all state that changes; everything else runs in
//! futures that it polls, so there is one task an engine and nothing to lock in a certain order.
//!
//! Here is the loop, and what time brings: rechecks, head requests, stalls, the state of consensus.
//! What is done about events of each kind is in the modules `peers`, `verdicts` and `following`, and
//! what is done about a chain of an earlier run in `restored`.

mod background;
mod config;
mod following;
mod handle;
mod heads;
mod peers;
mod restored;
mod serve;
mod stall;
mod verdicts;

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
use nimiq_block::Block;
use nimiq_network_interface::network::{CloseReason, Network, NetworkEvent, SubscribeEvents};
use nimiq_time::{interval, timeout};
use nimiq_utils::stream::FuturesUnordered;
use parking_lot::RwLock;
use tokio::sync::watch;

use self::{
    background::{Background, BackgroundEvent},
    handle::{Census, Control, Status},
    heads::Heads,
    restored::Trial,
    stall::{Pulse, Remedy, StallDetector},
    verdicts::{Judgement, Suspect},
};
pub use self::{
    config::{ProofConfig, SyncConfig, SyncMode},
    handle::Handle,
};
use crate::{
    clock::Clock,
    event::{ConsensusState, EventBus, StallAction, SyncEvent, Trust},
    limits,
    live::{LiveEvent, LiveSync},
    macro_sync::{Context, EitherSyncer, LightMacroSync, MacroSyncReturn, PicoMacroSync},
    messages::{BlockHeaderMessage, BlockHeaderTopic, ResponseHead},
    params::NetworkParams,
    peer_tasks::PeerTasks,
    query::{Queries, Standing},
    requests::{self, PeerFault},
    shared::SharedChain,
    verifier::Verifier,
};

type HeadAnswer = Result<ResponseHead, PeerFault>;
type Announcements<TNetwork> =
    BoxStream<'static, (BlockHeaderMessage, <TNetwork as Network>::PubsubId)>;

/// The engine. [`Consensus::run`] is the whole of it.
pub struct Consensus<TNetwork: Network> {
    config: SyncConfig,
    context: Context<TNetwork>,
    events: EventBus,
    status: Arc<RwLock<Status>>,
    control: watch::Receiver<Control>,
    /// What queries go by. They end when this does.
    standing: watch::Sender<Standing<TNetwork::PeerId>>,
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
    seconds_since_head_request: u64,
    stall: StallDetector,
    /// Set while a restored chain has not been confirmed.
    trial: Option<Trial<TNetwork::PeerId>>,
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
        let proofs_from = config.proofs.map(|proofs| proofs.anchor_number);
        let chain = SharedChain::new(params, anchor, proofs_from, clock, Some(events.clone()));
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
            syncer: macro_sync.kind(),
            outcomes: HashMap::new(),
        }));
        let standing = watch::Sender::new(Standing::default());
        let network = Arc::downgrade(&context.network);
        let (sender, control) = watch::channel(Control::default());
        let handle = Handle {
            chain: context.chain.clone(),
            events: events.clone(),
            status: status.clone(),
            census: Census::new(network, standing.subscribe()),
            control: Arc::new(sender),
        };
        let live = LiveSync::new(context.clone());
        let consensus = Self {
            config,
            context,
            events,
            status,
            control,
            standing,
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
            seconds_since_head_request: 0,
            stall: StallDetector::default(),
            trial: None,
            clock_skew_reported: false,
        };
        (consensus, handle)
    }

    /// Questions to the peers that this engine syncs with. They end with the engine, also if it
    /// never runs.
    pub fn queries(&self) -> Queries<TNetwork> {
        Queries::new(self.context.clone(), self.standing.subscribe())
    }

    /// Syncs until the handle closes it.
    pub async fn run(mut self) {
        if let Some(saved) = self.config.restored.take() {
            self.restore(&saved);
        }
        serve::heads(&self.context, self.control.clone());
        let mut announcements = announcements(self.context.network.clone(), &self.control).await;
        for peer in self.context.network.get_peers() {
            self.peer_joined(peer);
        }
        let mut ticks = interval(Duration::from_secs(1));
        let mut announcing = true;
        let mut control = *self.control.borrow();
        loop {
            pace::turn().await;
            match self
                .next_wake(&mut announcements, &mut announcing, &mut ticks)
                .await
            {
                Wake::Control => {
                    let before = control;
                    control = *self.control.borrow_and_update();
                    if control.closed {
                        break;
                    }
                    if control.wakes != before.wakes || (before.offline && !control.offline) {
                        self.wake(control.frozen_ms);
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

    fn tick(&mut self) {
        let _ = count_down(&mut self.looked_at);
        for peer in count_down(&mut self.recheck) {
            self.look_at(peer);
        }

        self.seconds_to_head_request = self.seconds_to_head_request.saturating_sub(1);
        let unsettled = self.status.read().consensus != ConsensusState::Established;
        self.seconds_since_head_request += 1;
        if self.seconds_to_head_request == 0
            || self.seconds_since_head_request >= limits::HEAD_REQUEST_MAX_INTERVAL.as_secs()
            || (unsettled && !self.good.is_empty())
        {
            self.seconds_to_head_request = limits::HEAD_REQUEST_INTERVAL.as_secs();
            self.seconds_since_head_request = 0;
            self.request_heads();
        }
        self.chase_heads();

        if self.control.borrow().offline {
            self.stall.pause();
            return;
        }
        self.tick_trial();
        let pulse = self.pulse(!unsettled);
        if let Some(remedy) = self.stall.tick(pulse) {
            self.say_stalled(self.stall.seconds() * 1000, remedy);
            self.remedy(remedy);
        }
    }

    fn pulse(&self, following: bool) -> Pulse {
        Pulse {
            head: self.context.chain.heads().map(|heads| heads.head.hash),
            has_peers: !self.peers.is_empty(),
            following,
        }
    }

    fn say_stalled(&self, for_ms: u64, remedy: Remedy) {
        if let Some(action) = remedy.action() {
            self.events.emit(SyncEvent::Stalled { for_ms, action });
        }
    }

    /// The page slept, or the network was away: whoever was there before may not be there any more.
    /// For `frozen_ms` at least nothing can have arrived, whatever has arrived by now.
    fn wake(&mut self, frozen_ms: u64) {
        if self.control.borrow().offline {
            return;
        }
        let silence = self.context.chain.silence_ms().max(frozen_ms);
        let remedy = match self.peers.is_empty() {
            true => Remedy::Act(StallAction::Redial),
            false => Remedy::Probe,
        };
        if u128::from(silence) >= limits::SILENCE_NOTICED.as_millis() {
            self.say_stalled(silence, remedy);
        }
        self.stall.pause();
        self.looked_at.clear();
        for peer in self.recheck.keys().copied().collect::<Vec<_>>() {
            self.look_at(peer);
        }
        self.remedy(remedy);
    }

    fn remedy(&mut self, remedy: Remedy) {
        let good: Vec<_> = self.good.iter().copied().collect();
        match remedy {
            Remedy::Look => self.request_heads(),
            Remedy::Probe => {
                for peer in good {
                    // What was asked before may have been asked over a connection that is dead.
                    self.head_answers.cancel(&peer);
                    let network = self.context.network.clone();
                    self.head_answers.start(peer, async move {
                        requests::head_within(limits::PROBE_TIMEOUT, &*network, peer).await
                    });
                }
            }
            Remedy::Act(StallAction::Resync) => {
                let adopted = !self.context.chain.is_empty()
                    && self.context.chain.trust() == Trust::Optimistic;
                if adopted && good.is_empty() && !self.peers.is_empty() {
                    let reason = "nobody stands by the chain we adopted";
                    return self.fall_back(None, None, reason.into());
                }
                // They stay good until they turn out not to be.
                for peer in good {
                    self.macro_sync.add_peer(peer);
                }
            }
            // The network redials by itself; what it can't know is that its peers are useless.
            Remedy::Act(StallAction::Redial) => {
                for peer in good {
                    self.drop_peer(peer, CloseReason::Other, "no new blocks for too long");
                }
            }
            Remedy::Act(StallAction::RestartNetwork) => {
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
        if state == ConsensusState::Established {
            self.end_trial_if_resumed();
        }
        // First, so that whoever is told of consensus finds the peers that it rests on.
        self.update_standing(state == ConsensusState::Established);
        self.set_consensus(state);
    }

    fn update_standing(&self, established: bool) {
        self.standing.send_if_modified(|standing| {
            let good = &mut standing.good;
            let same =
                good.len() == self.good.len() && good.iter().all(|peer| self.good.contains(peer));
            let changed = !same
                || standing.established != established
                || standing.connected != self.peers.len();
            if !same {
                good.clear();
                good.extend(&self.good);
            }
            standing.established = established;
            standing.connected = self.peers.len();
            changed
        });
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
async fn announcements<TNetwork: Network>(
    network: Arc<TNetwork>,
    control: &watch::Receiver<Control>,
) -> Announcements<TNetwork> {
    let subscription = network.subscribe::<BlockHeaderTopic>();
    let why = match timeout(limits::REQUEST_TIMEOUT, subscription).await {
        Ok(Ok(stream)) => return stream,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    // A client that is closed before it has started closes its network, too.
    if !control.borrow().closed {
        log::error!("no gossip of block headers: {why}");
    }
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
