//! Tells clients of transactions that touch their addresses, as a node does.
//!
//! A node's own notifications say which transactions there are, but not which address each is about,
//! and it takes 250 addresses from a peer, which this gateway is one of. So the body of each block is
//! fetched once, as long as anybody wants notifications, and looked through here. That also fills the
//! gap when headers were missed, and there is nothing to ask anew of an upstream that is back.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use futures::StreamExt;
use nimiq_block::{Block, MicroBlock};
use nimiq_consensus::messages::{
    AddressNotification, AddressSubscriptionTopic, BlockHeaderMessage, NotificationEvent,
    RequestBlock, RequestSubscribeToAddress,
};
use nimiq_hash::{Blake2bHash, Blake2sHash, Hash};
use nimiq_network_interface::{
    network::{Network as _, NetworkEvent},
    request::{InboundRequestError, RequestCommon, RequestSerialize, RequestType},
};
use nimiq_serde::Serialize;
use pico_network::{
    Network, NetworkError, PeerId, RawRequest, RawRequests, Services, refusal,
    reqres::rate_limit::RateLimit,
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    gossip::Header,
    limits,
    serve::RATE_WINDOW,
    stats::Counters,
    subscriptions::{Receipts, Subscriptions},
};

/// Receives requests for notifications.
pub(super) fn receive(network: &Network) -> Result<RawRequests, NetworkError> {
    let limit = RateLimit {
        max: limits::SUBSCRIPTIONS,
        window: RATE_WINDOW,
    };
    let kind = RequestType::request(RequestSubscribeToAddress::TYPE_ID);
    network.receive_raw(&[(kind, limit)], limits::SUBSCRIPTION_QUEUE)
}

/// Blocks whose transactions have been looked at, or needn't be.
#[derive(Debug, Default)]
struct Seen {
    hashes: HashSet<Blake2bHash>,
    order: VecDeque<Blake2bHash>,
    /// The highest number of them.
    last: Option<u32>,
}

impl Seen {
    /// Returns whether it is new.
    fn insert(&mut self, hash: Blake2bHash, number: u32) -> bool {
        self.reached(number);
        if !self.hashes.insert(hash.clone()) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > limits::KNOWN_BLOCKS
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }

    fn reached(&mut self, number: u32) {
        self.last = self.last.max(Some(number));
    }
}

/// A block to look through.
#[derive(Debug)]
struct Job {
    hash: Blake2bHash,
    /// Who has it for certain.
    source: PeerId,
    /// Blocks down to this number are wanted, excluding it. `None`: this one alone.
    down_to: Option<u32>,
}

/// The task that notifies clients.
pub(super) struct Notifier {
    network: Arc<Network>,
    counters: Arc<Counters>,
    subscriptions: Subscriptions,
    seen: Seen,
    jobs: VecDeque<Job>,
}

impl Notifier {
    pub(super) fn new(network: Arc<Network>, counters: Arc<Counters>) -> Self {
        Self {
            network,
            counters,
            subscriptions: Subscriptions::default(),
            seen: Seen::default(),
            jobs: VecDeque::new(),
        }
    }

    /// Notifies clients until the network is closed.
    pub(super) async fn run(
        mut self,
        mut requests: RawRequests,
        mut headers: mpsc::Receiver<Header>,
    ) {
        let mut events = self.network.subscribe_events();
        let (fetched, mut results) = mpsc::channel::<(Job, Option<Found>)>(1);
        let mut fetching = false;
        loop {
            if !fetching && let Some(job) = self.next_job() {
                // One at a time: clients are told in the order of the blocks.
                fetching = true;
                let (network, fetched) = (Arc::clone(&self.network), fetched.clone());
                tokio::spawn(async move {
                    let found = fetch(&network, &job).await;
                    // An error means that the gateway is gone.
                    drop(fetched.send((job, found)).await);
                });
            }
            tokio::select! {
                request = requests.next() => match request {
                    Some(request) => self.take(request).await,
                    None => return,
                },
                header = headers.recv() => match header {
                    Some((header, source)) => self.on_header(&header, source),
                    None => return,
                },
                Some((job, found)) = results.recv() => {
                    fetching = false;
                    if let Some(found) = found {
                        self.on_found(&job, found).await;
                    }
                }
                event = events.next() => match event {
                    Some(Ok(NetworkEvent::PeerLeft(peer))) => self.subscriptions.remove(&peer),
                    Some(Ok(_)) => {}
                    Some(Err(_)) => {
                        let network = Arc::clone(&self.network);
                        self.subscriptions.retain(|peer| network.has_peer(*peer));
                    }
                    None => return,
                },
            }
            self.counters
                .notified_clients
                .set(self.subscriptions.clients());
            self.counters
                .notified_addresses
                .set(self.subscriptions.addresses());
        }
    }

    async fn take(&mut self, request: RawRequest) {
        let RawRequest { peer, id, payload } = request;
        let answer = match RequestSubscribeToAddress::deserialize_request(payload.bytes()) {
            // One that is gone would never be forgotten.
            Ok(_) if !self.network.has_peer(peer) => return,
            Ok(request) => {
                let result = self.subscriptions.apply(peer, request);
                Ok::<_, InboundRequestError>(result).serialize_to_vec()
            }
            Err(_) => refusal(InboundRequestError::DeSerializationError),
        };
        self.network.respond_raw(id, Arc::new(answer)).await;
    }

    fn on_header(&mut self, header: &BlockHeaderMessage, source: PeerId) {
        // Without anybody to be told, there is nothing to be looked through later either.
        let wanted = !self.subscriptions.is_empty();
        let last = self.seen.last;
        match header {
            // It has no transactions, and its hash takes long.
            BlockHeaderMessage::Macro { header, .. } => {
                self.seen.reached(header.block_number);
                let gap = wanted
                    .then(|| gap_before(header.block_number, last))
                    .flatten();
                if let Some(down_to) = gap {
                    let parent = header.parent_hash.clone();
                    self.push(parent, source, Some(down_to));
                }
            }
            BlockHeaderMessage::Micro { header, .. } => {
                let hash: Blake2bHash = header.hash();
                if self.seen.insert(hash.clone(), header.block_number) && wanted {
                    self.push(hash, source, gap_before(header.block_number, last));
                }
            }
        }
    }

    fn push(&mut self, hash: Blake2bHash, source: PeerId, down_to: Option<u32>) {
        if self.jobs.len() >= limits::BLOCK_QUEUE {
            self.jobs.pop_front();
        }
        self.jobs.push_back(Job {
            hash,
            source,
            down_to,
        });
    }

    fn next_job(&mut self) -> Option<Job> {
        if self.subscriptions.is_empty() {
            self.jobs.clear();
        }
        self.jobs.pop_front()
    }

    async fn on_found(&mut self, job: &Job, Found { blocks }: Found) {
        // The one that was asked for came first.
        for block in blocks.iter().rev() {
            let hash: Blake2bHash = block.header.hash();
            let number = block.block_number();
            if !self.seen.insert(hash.clone(), number) && hash != job.hash {
                continue;
            }
            let Some(body) = &block.body else { continue };
            for (client, receipts) in self.subscriptions.matches(number, body) {
                self.tell(client, receipts).await;
            }
        }
    }

    async fn tell(&self, client: PeerId, receipts: Receipts) {
        let notification = AddressNotification {
            event: NotificationEvent::BlockchainExtend,
            receipts,
        };
        let name = client.to_string();
        let told = self
            .network
            .publish_subtopic_to::<AddressSubscriptionTopic>(client, &name, notification)
            .await;
        match told {
            Ok(()) => self.counters.notifications.increment(),
            Err(error) => log::debug!("{client} can't be notified: {error}"),
        }
    }
}

/// Down to which number blocks are missing before this one, excluding that number.
fn gap_before(number: u32, last: Option<u32>) -> Option<u32> {
    let last = last?;
    let missing = number.checked_sub(last)?.checked_sub(1)?;
    let most = u32::try_from(limits::MAX_GAP).unwrap_or(u32::MAX);
    (missing > 0).then(|| last.max(number.saturating_sub(most + 1)))
}

/// Micro blocks with their bodies, the highest first.
#[derive(Debug)]
struct Found {
    blocks: Vec<MicroBlock>,
}

/// Fetches a block, and those before it that are wanted.
async fn fetch(network: &Network, job: &Job) -> Option<Found> {
    let mut blocks = Vec::new();
    let mut hash = job.hash.clone();
    for _ in 0..=limits::MAX_GAP {
        let Some(block) = fetch_block(network, &hash, job.source).await else {
            break;
        };
        let number = block.block_number();
        hash = block.parent_hash().clone();
        if let Block::Micro(block) = block {
            blocks.push(block);
        }
        if job
            .down_to
            .is_none_or(|down_to| number <= down_to.saturating_add(1))
        {
            break;
        }
    }
    (!blocks.is_empty()).then_some(Found { blocks })
}

/// Fetches a block with its body: from whoever has it, or else from others.
async fn fetch_block(network: &Network, hash: &Blake2bHash, source: PeerId) -> Option<Block> {
    let others = network.peers().into_iter().filter(|peer| {
        peer.dialled && peer.peer_id != source && peer.services.contains(Services::FULL_BLOCKS)
    });
    let others = others.map(|peer| peer.peer_id);
    for peer in std::iter::once(source).chain(others).take(limits::ATTEMPTS) {
        let request = RequestBlock {
            hash: hash.clone(),
            include_body: true,
        };
        match timeout(limits::ATTEMPT_TIMEOUT, network.request(request, peer)).await {
            Ok(Ok(Ok(block))) if is_genuine(&block, hash) => return Some(block),
            Ok(Ok(Ok(_))) => log::warn!("{peer} sent another block than it was asked for"),
            Ok(answer) => log::debug!("{peer} doesn't have block {hash}: {answer:?}"),
            Err(_) => log::debug!("{peer} takes too long to send block {hash}"),
        }
    }
    None
}

/// Whether it is the block of that hash, with the body that belongs to it. Of macro blocks only the
/// parent is used, and who made it up could have made up the block that led there.
fn is_genuine(block: &Block, hash: &Blake2bHash) -> bool {
    match block {
        Block::Macro(_) => true,
        Block::Micro(block) => {
            let found: Blake2bHash = block.header.hash();
            found == *hash
                && block.body.as_ref().is_some_and(|body| {
                    let root: Blake2sHash = body.hash();
                    root == block.header.body_root
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_up_to_a_bound() {
        assert_eq!(gap_before(10, None), None);
        assert_eq!(gap_before(10, Some(9)), None);
        assert_eq!(gap_before(10, Some(10)), None);
        assert_eq!(gap_before(9, Some(10)), None);
        assert_eq!(gap_before(12, Some(10)), Some(10));
        let most = u32::try_from(limits::MAX_GAP).unwrap_or(u32::MAX);
        assert_eq!(gap_before(1000, Some(10)), Some(1000 - most - 1));
    }

    #[test]
    fn blocks_are_seen_once_and_not_for_ever() {
        let mut seen = Seen::default();
        let hash = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Blake2bHash::from(bytes)
        };
        for number in 0..1000 {
            assert!(seen.insert(hash(number), number));
            assert!(!seen.insert(hash(number), number));
        }
        assert_eq!(seen.hashes.len(), limits::KNOWN_BLOCKS);
        assert_eq!(seen.last, Some(999));
        seen.reached(5);
        assert_eq!(seen.last, Some(999));
    }
}
