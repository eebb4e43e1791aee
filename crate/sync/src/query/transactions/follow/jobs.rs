//! The work that the follower has done for it: each piece is a future that ends in a [`Done`].

use futures::stream::BoxStream;
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;
use nimiq_time::{sleep, timeout};

use super::super::{
    book::Inquiry,
    proof::{self, Question},
    prove::{self as proving, Proving},
    publish::Launch,
    receipts::Receipt,
    subscriptions::Order,
};
use crate::{
    limits,
    messages::{
        AddressNotification, AddressSubscriptionTopic, RequestSubscribeToAddress,
        RequestTransactionReceiptsByAddress,
    },
    query::{Plan, Queries},
    requests::PeerFault,
    shared::Heads,
};

/// Receipts of an address that are to be looked at: those of blocks after `since`.
#[derive(Debug)]
pub(super) struct Gap<TPeerId> {
    pub(super) address: Address,
    pub(super) since: u32,
    /// How many peers are still to be asked.
    pub(super) voices: usize,
    pub(super) asked: Vec<TPeerId>,
}

/// Who was asked for receipts, and what it said. `None` if there is nobody to ask.
pub(super) type LookBack<TPeerId> = Option<(TPeerId, Result<Vec<Receipt>, PeerFault>)>;

pub(super) type Notifications<TNetwork> =
    BoxStream<'static, (AddressNotification, <TNetwork as Network>::PubsubId)>;

/// Work that is done.
pub(super) enum Done<TNetwork: Network> {
    Proven(Vec<Blake2bHash>, Proving<TNetwork::PeerId>),
    Launched(Blake2bHash, Launch),
    Republished,
    Subscribed(Order<TNetwork::PeerId>, Result<(), PeerFault>),
    CaughtUp(Gap<TNetwork::PeerId>, LookBack<TNetwork::PeerId>),
    Listening(Option<Notifications<TNetwork>>),
}

/// Has peers prove what the book asks.
pub(super) async fn prove<TNetwork: Network>(
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
pub(super) async fn look_back<TNetwork: Network>(
    queries: Queries<TNetwork>,
    gap: Gap<TNetwork::PeerId>,
) -> Done<TNetwork> {
    let plan = Plan::new::<RequestTransactionReceiptsByAddress>(proving::SERVICES);
    let mut peers = queries.good_peers(proving::SERVICES);
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
pub(super) async fn listen<TNetwork: Network>(
    queries: Queries<TNetwork>,
) -> Option<Notifications<TNetwork>> {
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
    sleep(limits::NOTIFIER_RETRY).await;
    None
}

/// Asks a peer to begin or to end notifying us.
pub(super) async fn subscribe<TNetwork: Network>(
    queries: Queries<TNetwork>,
    order: Order<TNetwork::PeerId>,
) -> Done<TNetwork> {
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
}

/// Ends hearing notifications.
pub(super) async fn stop_listening<TNetwork: Network>(
    queries: Queries<TNetwork>,
) -> Done<TNetwork> {
    let network = &queries.context().network;
    let subtopic = network.get_local_peer_id().to_string();
    let ended = network.unsubscribe_subtopic::<AddressSubscriptionTopic>(subtopic);
    if let Ok(Err(error)) = timeout(limits::REQUEST_TIMEOUT, ended).await {
        log::debug!("the topic of notifications is left open: {error}");
    }
    Done::Listening(None)
}
