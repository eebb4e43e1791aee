//! Gossip: block headers go from upstreams to clients, transactions from clients to upstreams.

use std::sync::Arc;

use futures::StreamExt;
use nimiq_consensus::messages::{BlockHeaderMessage, BlockHeaderTopic};
use nimiq_network_interface::network::{MsgAcceptance, Network as _, PubsubId as _, Topic};
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_transaction::{ControlTransactionTopic, Transaction, TransactionTopic};
use pico_network::{Direction, Network, NetworkError, PeerId};
use tokio::sync::{broadcast, mpsc};

use super::{limits, stats::Counters};

/// A header that was handed on, and who had it.
pub(super) type Header = (BlockHeaderMessage, PeerId);

/// Whom block headers are told, besides clients.
pub(super) struct Readers {
    /// That one has come.
    pub(super) blocks: broadcast::Sender<()>,
    /// What it says.
    pub(super) headers: mpsc::Sender<Header>,
}

/// Hands block headers on to clients from now on.
pub(super) async fn relay_headers(
    network: &Arc<Network>,
    counters: Arc<Counters>,
    readers: Readers,
) -> Result<(), NetworkError> {
    let headers = network
        .subscribe_one_way::<BlockHeaderTopic>(Direction::FromDialled)
        .await?;
    let network = Arc::clone(network);
    tokio::spawn(async move {
        let mut headers = headers;
        while let Some((header, id)) = headers.next().await {
            let source = id.propagation_source();
            network.validate_message::<BlockHeaderTopic>(id, MsgAcceptance::Accept);
            counters.headers.increment();
            // An error means that nobody listens, or that the reader is busy and will find the block
            // by the next one.
            drop(readers.blocks.send(()));
            drop(readers.headers.try_send((header, source)));
        }
    });
    Ok(())
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
