//! Gossip: block headers go from upstreams to clients, transactions from clients to upstreams.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt, stream::FuturesUnordered};
use nimiq_consensus::messages::{BlockHeaderMessage, BlockHeaderTopic, RequestBlock};
use nimiq_network_interface::network::{MsgAcceptance, Network as _, PubsubId as _, Topic};
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_transaction::{ControlTransactionTopic, Transaction, TransactionTopic};
use pico_network::{Direction, Network, NetworkError, PeerId};
use tokio::{
    sync::{broadcast, mpsc},
    time::{sleep, timeout},
};

use super::{limits, stats::Counters, upstreams::Upstreams};

/// A header that was handed on, and who had it.
pub(super) type Header = (BlockHeaderMessage, PeerId);

/// Whom block headers are told, besides clients.
#[derive(Clone)]
pub(super) struct Readers {
    /// That one has come.
    pub(super) blocks: broadcast::Sender<()>,
    /// What it says.
    pub(super) headers: mpsc::Sender<Header>,
}

/// Hands block headers on to clients from now on.
pub(super) async fn relay_headers(
    network: &Arc<Network>,
    upstreams: &Arc<Upstreams>,
    counters: &Arc<Counters>,
    readers: Readers,
) -> Result<(), NetworkError> {
    let headers = network
        .subscribe_one_way::<BlockHeaderTopic>(Direction::FromDialled)
        .await?;
    let (network, upstreams) = (Arc::clone(network), Arc::clone(upstreams));
    let counters = Arc::clone(counters);
    tokio::spawn(
        headers.for_each_concurrent(limits::UNCONFIRMED, move |(header, id)| {
            let (network, upstreams) = (Arc::clone(&network), Arc::clone(&upstreams));
            let (counters, readers) = (Arc::clone(&counters), readers.clone());
            async move {
                let source = id.propagation_source();
                // Errors here mean that nobody listens, or that the reader is busy and will find the
                // block by the next one.
                drop(readers.blocks.send(()));
                let judgement = judge(&network, &upstreams, &header, source).await;
                network.validate_message::<BlockHeaderTopic>(id, judgement);
                match judgement {
                    MsgAcceptance::Accept => {
                        counters.headers.increment();
                        drop(readers.headers.try_send((header, source)));
                    }
                    MsgAcceptance::Reject => {
                        log::warn!("no other upstream has the block that {source} announced");
                        counters.rejected.increment();
                    }
                    MsgAcceptance::Ignore => {
                        log::debug!(
                            "nobody says whether there is the block that {source} announced"
                        );
                    }
                }
            }
        }),
    );
    Ok(())
}

/// Accepts a header if another upstream has taken that block for one of the chain, or if there is no
/// other one; for clients would blame the gateway for a header that is wrong. Ignores it if others are
/// there and say nothing in time: clients find the block by the next one.
async fn judge(
    network: &Network,
    upstreams: &Upstreams,
    header: &BlockHeaderMessage,
    source: PeerId,
) -> MsgAcceptance {
    let mut others = upstreams.connected.borrow().clone();
    let suspects = upstreams.suspects.borrow().clone();
    others.retain(|peer| *peer != source && !suspects.contains(peer));
    if others.is_empty() {
        return MsgAcceptance::Accept;
    }
    let hash = match header {
        BlockHeaderMessage::Micro { header, .. } => header.hash(),
        BlockHeaderMessage::Macro { header, .. } => {
            // The hash of a set of validators with gaps can't be computed.
            let validators = header.validators.as_ref();
            if validators.is_some_and(|set| set.validate_structure().is_err()) {
                return MsgAcceptance::Reject;
            }
            header.hash()
        }
    };
    let request = RequestBlock {
        hash,
        include_body: false,
    };
    let (request, denied) = (&request, &AtomicBool::new(false));
    let ask = async |peer: PeerId| {
        let mut pause = limits::CONFIRMATION_RETRY;
        loop {
            match network.request(request.clone(), peer).await {
                Ok(Ok(_)) => return true,
                // It may have it in a moment.
                Ok(Err(_)) => denied.store(true, Ordering::Relaxed),
                Err(error) => {
                    log::debug!("{peer} can't be asked for a block: {error}");
                    return false;
                }
            }
            sleep(pause).await;
            pause *= 2;
        }
    };
    let mut asked: FuturesUnordered<_> =
        others.into_iter().take(limits::ATTEMPTS).map(ask).collect();
    // One that has the block is enough.
    let any_has_it = async {
        while let Some(has_it) = asked.next().await {
            if has_it {
                return true;
            }
        }
        false
    };
    let confirmed = timeout(limits::CONFIRMATION, any_has_it).await;
    match (confirmed, denied.load(Ordering::Relaxed)) {
        (Ok(true), _) => MsgAcceptance::Accept,
        // None of them can be asked, so there is nobody else.
        (Ok(false), false) => MsgAcceptance::Accept,
        (Err(_), true) => MsgAcceptance::Reject,
        (Ok(false), true) | (Err(_), false) => MsgAcceptance::Ignore,
    }
}

/// A topic of transactions, with fewer of them than a node takes from another node.
struct FromClients<T>(std::marker::PhantomData<T>);

impl<T: Topic> Topic for FromClients<T> {
    type Item = T::Item;
    const BUFFER_SIZE: usize = limits::TRANSACTION_QUEUE;
    const NAME: &'static str = T::NAME;
    const VALIDATE: bool = true;
    const MAX_MESSAGES: u32 = limits::TRANSACTIONS;
}

/// Hands transactions on to upstreams from now on.
pub(super) async fn relay_transactions(
    network: &Arc<Network>,
    network_id: NetworkId,
    counters: &Arc<Counters>,
) -> Result<(), NetworkError> {
    relay::<TransactionTopic>(network, network_id, counters, |one| one).await?;
    relay::<ControlTransactionTopic>(network, network_id, counters, |one| one).await
}

async fn relay<T>(
    network: &Arc<Network>,
    network_id: NetworkId,
    counters: &Arc<Counters>,
    transaction: fn(&T::Item) -> &Transaction,
) -> Result<(), NetworkError>
where
    T: Topic + Send + Sync + 'static,
{
    let transactions = network
        .subscribe_one_way::<FromClients<T>>(Direction::ToDialled)
        .await?;
    let (network, counters) = (Arc::clone(network), Arc::clone(counters));
    tokio::spawn(async move {
        let mut transactions = transactions;
        while let Some((item, id)) = transactions.next().await {
            let acceptance = match is_acceptable(transaction(&item), network_id) {
                true => {
                    counters.transactions.increment();
                    MsgAcceptance::Accept
                }
                false => {
                    counters.rejected.increment();
                    MsgAcceptance::Reject
                }
            };
            network.validate_message::<FromClients<T>>(id, acceptance);
        }
    });
    Ok(())
}

/// Whether any node could take a transaction, as far as it says itself.
fn is_acceptable(transaction: &Transaction, network_id: NetworkId) -> bool {
    (1..=Policy::max_supported_version())
        .any(|version| transaction.verify(network_id, version).is_ok())
}
