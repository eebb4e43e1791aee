//! Follows transactions: one task for all of them, which begins when it is first needed and ends with
//! the engine. It takes notifications and claims to the book, has peers prove what the book wants to
//! know, subscribes to addresses, and catches up by receipts on what it may have missed.

use std::{
    collections::{HashMap, VecDeque},
    task::Poll,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::network::{Network, NetworkEvent, PubsubId, SubscribeEvents};
use nimiq_time::{Interval, interval, timeout};
use nimiq_transaction::Transaction;
use nimiq_utils::{spawn, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::{
    Confirmations,
    book::{Book, Inquiry, Reply, Sent, View},
    proof::{self, Question},
    prove::{self, Proving},
    publish::{self, Launch},
    receipts::Receipt,
    subscriptions::{self, Subscriptions},
    watchers::{Applicant, Watchers},
};
use crate::{
    limits,
    messages::{
        AddressNotification, AddressSubscriptionTopic, RequestSubscribeToAddress,
        RequestTransactionReceiptsByAddress,
    },
    query::{Plan, Queries, QueryError, Standing},
    requests::PeerFault,
    shared::Heads,
};

/// What the follower is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Watch(Applicant),
    Send(Box<Transaction>, Blake2bHash, Reply),
    Wait(Blake2bHash, Confirmations, Reply),
}

/// Where the follower is found, once it is at work.
#[derive(Debug, Default)]
pub(crate) struct Following(Mutex<Option<mpsc::Sender<Request>>>);

impl<TNetwork: Network> Queries<TNetwork> {
    /// Asks the follower to do something.
    pub(super) fn follow(&self, request: Request) -> Result<(), QueryError> {
        let mut following = self.inner.following.0.lock();
        let sender = match &*following {
            Some(sender) if !sender.is_closed() => sender,
            _ => {
                let (sender, requests) = mpsc::channel(limits::FOLLOWER_QUEUE);
                spawn(Follower::new(self.clone(), requests).run());
                following.insert(sender)
            }
        };
        sender.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => QueryError::Closed,
            mpsc::error::TrySendError::Full(_) => {
                QueryError::Timeout("too much is asked at a time".into())
            }
        })
    }
}

/// Receipts of an address that are to be looked at: those of blocks after `since`.
#[derive(Debug)]
struct Gap<TPeerId> {
    address: Address,
    since: u32,
    /// How many peers are still to be asked.
    voices: usize,
    asked: Vec<TPeerId>,
}

type Notifications<TNetwork> =
    BoxStream<'static, (AddressNotification, <TNetwork as Network>::PubsubId)>;

/// Work that is done.
enum Done<TNetwork: Network> {
    Proven(Vec<Blake2bHash>, Proving<TNetwork::PeerId>),
    Launched(Blake2bHash, Launch),
    Republished,
    Subscribed(
        subscriptions::Order<TNetwork::PeerId>,
        Result<(), PeerFault>,
    ),
    CaughtUp(
        Gap<TNetwork::PeerId>,
        Option<(TNetwork::PeerId, Result<Vec<Receipt>, PeerFault>)>,
    ),
    Listening(Option<Notifications<TNetwork>>),
}

/// What woke the follower.
enum Wake<TNetwork: Network> {
    Ended,
    Request(Request),
    Done(Done<TNetwork>),
    Notified(AddressNotification, TNetwork::PeerId),
    NotificationsEnded,
    Left(Option<TNetwork::PeerId>),
    Chain,
    Standing,
    Tick,
}

/// Whether we hear notifications.
enum Ear<TNetwork: Network> {
    Closed,
    /// The topic is being subscribed to, or left.
    Changing,
    Open(Notifications<TNetwork>),
}

/// See the module's documentation.
struct Follower<TNetwork: Network> {
    queries: Queries<TNetwork>,
    requests: mpsc::Receiver<Request>,
    book: Book<TNetwork::PeerId>,
    watchers: Watchers,
    subscriptions: Subscriptions<TNetwork::PeerId>,
    gaps: VecDeque<Gap<TNetwork::PeerId>>,
    /// Those who sent a transaction that is on its way out.
    sending: HashMap<Blake2bHash, Vec<Reply>>,
    jobs: FuturesUnordered<BoxFuture<'static, Done<TNetwork>>>,
    /// Proofs and receipts that are being asked for.
    proving: usize,
    catching_up: usize,
    ear: Ear<TNetwork>,
    network_events: SubscribeEvents<TNetwork::PeerId>,
    chain: watch::Receiver<u64>,
    standing: watch::Receiver<Standing<TNetwork::PeerId>>,
    ticks: Interval,
    seconds: u64,
    /// Number of the head when it was last looked at.
    head: u32,
}

impl<TNetwork: Network> Follower<TNetwork> {
    fn new(queries: Queries<TNetwork>, requests: mpsc::Receiver<Request>) -> Self {
        let context = queries.context();
        Self {
            network_events: context.network.subscribe_events(),
            chain: context.chain.changes(),
            standing: queries.standing(),
            head: context.chain.heads_or_genesis().0.head.number,
            queries,
            requests,
            book: Book::new(),
            watchers: Watchers::default(),
            subscriptions: Subscriptions::new(),
            gaps: VecDeque::new(),
            sending: HashMap::new(),
            jobs: FuturesUnordered::new(),
            proving: 0,
            catching_up: 0,
            ear: Ear::Closed,
            ticks: interval(Duration::from_secs(1)),
            seconds: 0,
        }
    }

    async fn run(mut self) {
        loop {
            match self.next_wake().await {
                Wake::Ended => break,
                Wake::Request(request) => self.take(request),
                Wake::Done(done) => self.finish(done),
                Wake::Notified(notification, source) => self.notified(notification, source),
                Wake::NotificationsEnded => {
                    self.ear = Ear::Closed;
                    self.miss_all(self.certain_head());
                }
                Wake::Left(peer) => self.left(peer),
                Wake::Chain => self.chain_changed(),
                Wake::Standing => {}
                Wake::Tick => self.tick(),
            }
            self.work();
        }
        // Dropping the watchers and the replies tells everybody that it is over.
    }

    async fn next_wake(&mut self) -> Wake<TNetwork> {
        let is_idle = self.is_idle();
        let Self {
            requests,
            jobs,
            ear,
            network_events,
            chain,
            standing,
            ticks,
            ..
        } = self;
        let mut chain = std::pin::pin!(chain.changed().fuse());
        let mut standing = std::pin::pin!(standing.changed().fuse());
        future::poll_fn(|cx| {
            match standing.poll_unpin(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Wake::Standing),
                Poll::Ready(Err(_)) => return Poll::Ready(Wake::Ended),
                Poll::Pending => {}
            }
            match network_events.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(NetworkEvent::PeerLeft(peer)))) => {
                    return Poll::Ready(Wake::Left(Some(peer)));
                }
                // We missed some: anybody may have left.
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Wake::Left(None)),
                Poll::Ready(Some(Ok(_))) => return Poll::Ready(Wake::Standing),
                Poll::Ready(None) => return Poll::Ready(Wake::Ended),
                Poll::Pending => {}
            }
            if let Poll::Ready(Ok(())) = chain.poll_unpin(cx) {
                return Poll::Ready(Wake::Chain);
            }
            if let Poll::Ready(Some(request)) = requests.poll_recv(cx) {
                return Poll::Ready(Wake::Request(request));
            }
            if let Poll::Ready(Some(done)) = jobs.poll_next_unpin(cx) {
                return Poll::Ready(Wake::Done(done));
            }
            if let Ear::Open(notifications) = ear {
                match notifications.poll_next_unpin(cx) {
                    Poll::Ready(Some((notification, id))) => {
                        return Poll::Ready(Wake::Notified(notification, id.propagation_source()));
                    }
                    Poll::Ready(None) => return Poll::Ready(Wake::NotificationsEnded),
                    Poll::Pending => {}
                }
            }
            // With nothing to follow, the page is not woken.
            if is_idle {
                return Poll::Pending;
            }
            ticks.poll_next_unpin(cx).map(|_| Wake::Tick)
        })
        .await
    }

    fn is_idle(&self) -> bool {
        self.watchers.is_empty()
            && self.book.is_idle()
            && self.sending.is_empty()
            && self.subscriptions.is_idle()
            && matches!(self.ear, Ear::Closed)
    }

    // --- What happens ----------------------------------------------------------------------------

    fn take(&mut self, request: Request) {
        match request {
            Request::Watch(applicant) => {
                if let Some(id) = self.watchers.admit(applicant) {
                    self.book.introduce(id, &mut self.watchers);
                    self.want();
                }
            }
            Request::Send(transaction, hash, reply) => match self.book.send(&transaction, &hash) {
                Ok(Sent::Publish { is_new }) => {
                    let launch =
                        publish::launch(self.queries.clone(), *transaction, hash.clone(), is_new);
                    let launched = hash.clone();
                    let launch = launch.map(move |launch| Done::Launched(launched, launch));
                    self.jobs.push(launch.boxed());
                    self.sending.entry(hash).or_default().push(reply);
                }
                Ok(Sent::Leaving) => self.sending.entry(hash).or_default().push(reply),
                // Who no longer waits needs no answer, here and below.
                Ok(Sent::Included(number)) => drop(reply.send(Err(publish::included_in(number)))),
                Err(error) => drop(reply.send(Err(error))),
            },
            Request::Wait(hash, until, reply) => self.book.wait(hash, until, reply),
        }
    }

    fn finish(&mut self, done: Done<TNetwork>) {
        match done {
            Done::Proven(hashes, proving) => {
                self.proving -= 1;
                self.proven(hashes, proving);
            }
            Done::Launched(hash, launch) => self.launched(&hash, launch),
            Done::Republished => {}
            Done::Subscribed(order, Ok(())) => {
                // A peer tells of what comes; what it had before us is in its receipts.
                for (address, since) in self.subscriptions.done(order) {
                    self.miss(address, since);
                }
            }
            Done::Subscribed(order, Err(fault)) => {
                log::debug!("no notifications from {}: {}", order.peer, fault.reason());
                let until = self.certain_head();
                self.subscriptions.failed(&order, until, self.seconds);
            }
            Done::CaughtUp(gap, answer) => {
                self.catching_up -= 1;
                self.caught_up(gap, answer);
            }
            Done::Listening(Some(notifications)) => self.ear = Ear::Open(notifications),
            Done::Listening(None) => self.ear = Ear::Closed,
        }
    }

    fn proven(&mut self, hashes: Vec<Blake2bHash>, proving: Proving<TNetwork::PeerId>) {
        let Proving {
            found,
            lacking,
            is_certain,
        } = proving;
        let mut guilty = Vec::new();
        self.with_view(|follower, view| {
            let Follower { book, watchers, .. } = follower;
            let mut left = hashes;
            for found in found {
                left.retain(|hash| *hash != found.details.hash);
                guilty.extend(book.proven(found, view, watchers));
            }
            for hash in left {
                guilty.extend(book.not_proven(&hash, &lacking, is_certain, view, watchers));
            }
        });
        for peer in guilty {
            let why = "it tells of transactions that are not in the chain, or not ours to know";
            self.queries.blame(peer, &PeerFault::Lied(why.into()));
        }
    }

    fn launched(&mut self, hash: &Blake2bHash, launch: Launch) {
        let replies = self.sending.remove(hash).unwrap_or_default();
        let result = match launch {
            Launch::Published => match self.book.sent(hash, &mut self.watchers) {
                Some(details) => Ok(details),
                None => Err(QueryError::Closed),
            },
            Launch::Included(found) => {
                let number = found.details.block_number.unwrap_or_default();
                self.book.not_sent(hash);
                Err(publish::included_in(number))
            }
            Launch::NoTaker(why) => {
                self.book.not_sent(hash);
                Err(QueryError::NoPeers(why))
            }
        };
        for reply in replies {
            drop(reply.send(result.clone()));
        }
        self.want();
    }

    fn notified(&mut self, notification: AddressNotification, source: TNetwork::PeerId) {
        let Some(heads) = self.queries.context().chain.heads() else {
            return;
        };
        // Nobody tells of other blocks than those of the last minutes.
        let batch = nimiq_primitives::policy::Policy::blocks_per_batch();
        let first = heads.macro_head.number.saturating_sub(batch);
        let last = heads.head.number.saturating_add(batch);
        let receipts = notification.receipts.into_iter();
        for receipt in receipts.take(limits::MAX_RECEIPTS_PER_NOTIFICATION) {
            let number = receipt.1;
            if number < first || number > last {
                continue;
            }
            if !self.book.claim(source, receipt) {
                self.miss_all(number.saturating_sub(1));
                break;
            }
        }
    }

    fn left(&mut self, peer: Option<TNetwork::PeerId>) {
        let until = self.certain_head();
        match peer {
            Some(peer) => self.subscriptions.forget(&peer, until),
            None => self.subscriptions.retain(|_| false, until),
        }
    }

    fn chain_changed(&mut self) {
        let before = self.head;
        self.with_view(|follower, view| {
            let Follower { book, watchers, .. } = follower;
            book.chain_changed(view, watchers);
            follower.head = view.heads.head.number;
        });
        if self.head > before.saturating_add(limits::MAX_BLOCKS_AHEAD) {
            // Blocks that passed us by can't have been told of.
            self.miss_all(before);
        }
        self.want();
    }

    fn tick(&mut self) {
        self.seconds += 1;
        self.book.tick();
        if self.watchers.sweep() {
            self.book.retain_watched(&self.watchers);
        }
        self.want();
        let network = self.queries.context().network.clone();
        let until = self.certain_head();
        self.subscriptions
            .retain(|peer| network.has_peer(*peer), until);
        // Nobody notifies us: only receipts can tell.
        let retry = limits::NOTIFIER_RETRY.as_secs();
        if self.seconds.is_multiple_of(retry) && self.gaps.is_empty() {
            let uncovered: Vec<_> = self
                .subscriptions
                .uncovered()
                .map(|(address, since)| (address.clone(), since))
                .collect();
            for (address, since) in uncovered {
                self.miss(address, since);
            }
        }
        for transaction in self.book.to_publish(self.head) {
            let again = publish::again(self.queries.clone(), transaction);
            self.jobs.push(again.map(|()| Done::Republished).boxed());
        }
        self.catch_up();
    }

    // --- What is done about it -------------------------------------------------------------------

    /// Starts what there is to do.
    fn work(&mut self) {
        self.inquire();
        self.subscribe();
    }

    fn inquire(&mut self) {
        let room = limits::PROOFS_IN_FLIGHT.saturating_sub(self.proving);
        if room == 0 || self.queries.good_peers(prove::SERVICES).is_empty() {
            return;
        }
        let mut jobs = Vec::new();
        self.with_view(|follower, view| {
            for inquiry in follower.book.inquiries(view, room) {
                jobs.push(prove(follower.queries.clone(), inquiry, view.heads.clone()).boxed());
            }
        });
        self.proving += jobs.len();
        for job in jobs {
            self.jobs.push(job);
        }
    }

    /// Tells the subscriptions what is wanted.
    fn want(&mut self) {
        let watched = self.watchers.addresses().cloned();
        let senders = self.book.senders().cloned();
        let wanted: Vec<_> = watched.chain(senders).collect();
        self.subscriptions.want(wanted.into_iter(), self.head);
    }

    fn subscribe(&mut self) {
        match &self.ear {
            Ear::Closed if !self.subscriptions.is_idle() => {
                self.ear = Ear::Changing;
                let listening = listen(self.queries.clone()).map(Done::Listening);
                return self.jobs.push(listening.boxed());
            }
            Ear::Open(_) if self.subscriptions.is_idle() => {
                self.ear = Ear::Changing;
                let network = self.queries.context().network.clone();
                let ending = async move {
                    let subtopic = network.get_local_peer_id().to_string();
                    let ended = network.unsubscribe_subtopic::<AddressSubscriptionTopic>(subtopic);
                    if let Ok(Err(error)) = timeout(limits::REQUEST_TIMEOUT, ended).await {
                        log::debug!("the topic of notifications is left open: {error}");
                    }
                    Done::Listening(None)
                };
                return self.jobs.push(ending.boxed());
            }
            // Whoever is asked to notify us must be heard.
            Ear::Closed | Ear::Changing => return,
            Ear::Open(_) => {}
        }
        let good = self.queries.good_peers(prove::SERVICES);
        for order in self.subscriptions.orders(&good, self.seconds) {
            let queries = self.queries.clone();
            let asking = async move {
                let request = RequestSubscribeToAddress {
                    operation: order.operation,
                    addresses: order.addresses.clone(),
                };
                let answer = match queries.request(order.peer, request).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(PeerFault::Lacks(error.to_string())),
                    Err(fault) => Err(fault),
                };
                Done::Subscribed(order, answer)
            };
            self.jobs.push(asking.boxed());
        }
    }

    /// Something may have been missed of an address since a block.
    fn miss(&mut self, address: Address, since: u32) {
        let since = since.max(self.watchers.since(&address).unwrap_or(since));
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.address == address) {
            gap.since = gap.since.min(since);
            return;
        }
        let few = self.watchers.addresses().count() <= limits::FEW_ADDRESSES;
        self.gaps.push_back(Gap {
            address,
            since,
            // One peer may hide something, but asking two about hundreds of addresses takes minutes.
            voices: if few { 2 } else { 1 },
            asked: Vec::new(),
        });
    }

    fn miss_all(&mut self, since: u32) {
        let addresses: Vec<_> = self.watchers.addresses().cloned().collect();
        for address in addresses {
            self.miss(address, since);
        }
    }

    /// Asks for receipts, slowly: whoever asks for the history of an address comes first.
    fn catch_up(&mut self) {
        let room = limits::CATCH_UPS_PER_SECOND.saturating_sub(self.catching_up);
        for _ in 0..room {
            let Some(gap) = self.gaps.pop_front() else {
                return;
            };
            // Somebody watched that is gone, or sent what is settled.
            let is_watched = self.watchers.since(&gap.address).is_some();
            if !is_watched {
                continue;
            }
            self.catching_up += 1;
            self.jobs.push(look_back(self.queries.clone(), gap).boxed());
        }
    }

    fn caught_up(
        &mut self,
        mut gap: Gap<TNetwork::PeerId>,
        answer: Option<(TNetwork::PeerId, Result<Vec<Receipt>, PeerFault>)>,
    ) {
        match answer {
            Some((peer, Ok(receipts))) => {
                gap.asked.push(peer);
                let all_noted = receipts
                    .into_iter()
                    .all(|receipt| self.book.claim(peer, receipt));
                if !all_noted {
                    gap.asked.pop();
                } else {
                    gap.voices = gap.voices.saturating_sub(1);
                }
            }
            Some((peer, Err(_))) => gap.asked.push(peer),
            // Nobody else to ask. If nobody at all was, somebody may come.
            None if gap.asked.is_empty() => {}
            None => gap.voices = 0,
        }
        if gap.voices > 0 {
            self.gaps.push_back(gap);
        }
    }

    // --- Small things ----------------------------------------------------------------------------

    /// Calls `f` with what the book must know of the chain.
    fn with_view(&mut self, f: impl FnOnce(&mut Self, &View<'_>)) {
        let chain = self.queries.context().chain.clone();
        let (heads, _) = chain.heads_or_genesis();
        let block_at = |number| {
            chain
                .read(|chain| chain.block_at(number).map(Block::hash))
                .flatten()
        };
        f(
            self,
            &View {
                heads: &heads,
                block_at: &block_at,
            },
        );
    }

    /// A block up to which a peer that has just left can be taken to have told us everything: it may
    /// have been gone for a while before we noticed.
    fn certain_head(&self) -> u32 {
        self.head.saturating_sub(limits::UNNOTICED_BLOCKS)
    }
}

/// Has peers prove what the book asks.
async fn prove<TNetwork: Network>(
    queries: Queries<TNetwork>,
    inquiry: Inquiry<TNetwork::PeerId>,
    heads: Heads,
) -> Done<TNetwork> {
    let hashes: Vec<Blake2bHash> = inquiry
        .receipts
        .iter()
        .map(|(hash, _)| hash.clone())
        .collect();
    let placed = inquiry
        .receipts
        .iter()
        .filter_map(|(hash, number)| Some((hash.clone(), (*number)?)));
    let mut questions = proof::questions(&heads, placed);
    for (hash, number) in &inquiry.receipts {
        if number.is_none() {
            questions.push(Question {
                hashes: vec![hash.clone()],
                block_number: None,
            });
        }
    }
    let mut all = Proving {
        found: Vec::new(),
        lacking: Vec::new(),
        is_certain: true,
    };
    for question in questions {
        let claimers = inquiry.claimers.clone();
        let proving = queries
            .prove_among(claimers, question, limits::PROOF_VOICES)
            .await;
        all.found.extend(proving.found);
        all.lacking.extend(proving.lacking);
        all.is_certain &= proving.is_certain;
    }
    Done::Proven(hashes, all)
}

/// Gets what receipts a peer has of an address since a block.
async fn look_back<TNetwork: Network>(
    queries: Queries<TNetwork>,
    gap: Gap<TNetwork::PeerId>,
) -> Done<TNetwork> {
    let plan = Plan::new::<RequestTransactionReceiptsByAddress>(prove::SERVICES);
    let mut peers = queries.good_peers(prove::SERVICES);
    peers.retain(|peer| !gap.asked.contains(peer));
    let Some(ticket) = queries.inner.desk.choose(&peers, &plan.kind) else {
        return Done::CaughtUp(gap, None);
    };
    let peer = ticket.peer;
    let mut found: Vec<Receipt> = Vec::new();
    for _ in 0..limits::CATCH_UP_PAGES {
        let below = found.last().cloned();
        let page = match queries.receipts(peer, &gap.address, below.as_ref()).await {
            Ok(page) => page,
            Err(fault) => {
                queries.blame(peer, &fault);
                drop(ticket);
                return Done::CaughtUp(gap, Some((peer, Err(fault))));
            }
        };
        let older = page.receipts.iter().any(|(_, number)| *number <= gap.since);
        let newer = page.receipts.into_iter();
        found.extend(newer.filter(|(_, number)| *number > gap.since));
        if older || page.is_last {
            break;
        }
    }
    drop(ticket);
    Done::CaughtUp(gap, Some((peer, Ok(found))))
}

/// Begins to hear notifications.
async fn listen<TNetwork: Network>(queries: Queries<TNetwork>) -> Option<Notifications<TNetwork>> {
    let network = &queries.context().network;
    let subtopic = network.get_local_peer_id().to_string();
    let subscribing = network.subscribe_subtopic::<AddressSubscriptionTopic>(subtopic);
    let why = match timeout(limits::REQUEST_TIMEOUT, subscribing).await {
        Ok(Ok(notifications)) => return Some(notifications),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    log::error!("no notifications of transactions: {why}");
    // A while before the next try.
    nimiq_time::sleep(limits::NOTIFIER_RETRY).await;
    None
}
