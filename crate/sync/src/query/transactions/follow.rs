//! Follows transactions: one task for all of them, which begins when it is first needed and ends with
//! the engine. It takes notifications and claims to the book, has peers prove what the book wants to
//! know, subscribes to addresses, and catches up by receipts on what it may have missed.

mod catch_up;
mod jobs;

use std::{
    collections::{HashMap, VecDeque},
    task::Poll,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
};
use nimiq_block::Block;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::{Network, NetworkEvent, PubsubId, SubscribeEvents};
use nimiq_primitives::policy::Policy;
use nimiq_time::{Interval, interval};
use nimiq_transaction::Transaction;
use nimiq_utils::{spawn, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use self::jobs::{Done, Gap, Notifications};
use super::{
    Confirmations,
    book::{Book, Reply, Sent, View},
    prove::{self, Proving},
    publish::{self, Launch},
    subscriptions::Subscriptions,
    watchers::{Applicant, Watchers},
};
use crate::{
    limits,
    messages::AddressNotification,
    query::{Queries, QueryError, Standing},
    requests::PeerFault,
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

/// What woke the follower.
enum Wake<TNetwork: Network> {
    Ended,
    Request(Request),
    Done(Box<Done<TNetwork>>),
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
                Wake::Done(done) => self.finish(*done),
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
                return Poll::Ready(Wake::Done(Box::new(done)));
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
                Ok(Sent::Included(number)) => {
                    self.queries.tells_of(number);
                    drop(reply.send(Err(publish::included_in(number))));
                }
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
            Launch::Included(number) => {
                self.queries.tells_of(number);
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
        let batch = Policy::blocks_per_batch();
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
        for transaction in self.book.due_to_be_published(self.head) {
            let again = publish::again(self.queries.clone(), transaction);
            self.jobs.push(again.map(|()| Done::Republished).boxed());
        }
        self.catch_up();
    }

    // --- What is done about it -------------------------------------------------------------------

    /// Starts what there is to do.
    fn work(&mut self) {
        if self.watchers.are_early()
            && self.standing.borrow().established
            && let Some(heads) = self.queries.context().chain.heads()
        {
            self.watchers.begin(heads.head.number);
        }
        self.inquire();
        self.subscribe();
    }

    fn inquire(&mut self) {
        let room = limits::PROOFS_IN_FLIGHT.saturating_sub(self.proving);
        if room == 0 || self.queries.good_peers(prove::SERVICES).is_empty() {
            return;
        }
        let mut proofs = Vec::new();
        self.with_view(|follower, view| {
            for inquiry in follower.book.inquiries(view, room) {
                proofs.push(
                    jobs::prove(follower.queries.clone(), inquiry, view.heads.clone()).boxed(),
                );
            }
        });
        self.proving += proofs.len();
        for job in proofs {
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
                let listening = jobs::listen(self.queries.clone()).map(Done::Listening);
                return self.jobs.push(listening.boxed());
            }
            Ear::Open(_) if self.subscriptions.is_idle() => {
                self.ear = Ear::Changing;
                let ending = jobs::stop_listening(self.queries.clone());
                return self.jobs.push(ending.boxed());
            }
            // Whoever is asked to notify us must be heard.
            Ear::Closed | Ear::Changing => return,
            Ear::Open(_) => {}
        }
        let good = self.queries.good_peers(prove::SERVICES);
        for order in self.subscriptions.orders(&good, self.seconds) {
            let asking = jobs::subscribe(self.queries.clone(), order);
            self.jobs.push(asking.boxed());
        }
    }

    // --- Small things ----------------------------------------------------------------------------

    /// Calls `f` with what the book must know of the chain.
    fn with_view(&mut self, f: impl FnOnce(&mut Self, &View<'_>)) {
        let queries = self.queries.clone();
        let chain = &queries.context().chain;
        let (heads, _) = chain.heads_or_genesis();
        let block_at = |number| {
            chain
                .read(|chain| chain.block_at(number).map(Block::hash))
                .flatten()
        };
        let tells = |details: &_, block: Option<&_>| queries.tells(details, block);
        f(
            self,
            &View {
                heads: &heads,
                block_at: &block_at,
                tells: &tells,
            },
        );
    }

    /// A block up to which a peer that has just left can be taken to have told us everything: it may
    /// have been gone for a while before we noticed.
    fn certain_head(&self) -> u32 {
        self.head.saturating_sub(limits::UNNOTICED_BLOCKS)
    }
}
