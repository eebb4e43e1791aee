//! Publishes transactions. Gossip knows no acknowledgement: that a peer has taken a transaction only
//! means that it listens to the topic. So before a transaction goes out for the first time, somebody
//! is asked whether it is in the chain already.

use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;
use nimiq_time::{sleep, timeout};
use nimiq_transaction::Transaction;

use super::{proof::Question, prove::Found};
use crate::{
    limits,
    messages::{ControlTransaction, ControlTransactionTopic, TransactionTopic},
    query::{Queries, QueryError},
};

/// What became of a transaction that was to be published.
#[derive(Debug)]
pub(super) enum Launch {
    /// A peer has it.
    Published,
    /// It is in this block already.
    Included(u32),
    /// No peer listens.
    NoTaker(String),
}

/// The error of sending what is included already.
pub(super) fn included_in(number: u32) -> QueryError {
    QueryError::InvalidTransaction(format!("it has been sent before, and is in block {number}"))
}

/// Publishes a transaction, unless it is in the chain already, which is found out first where
/// `is_new` says that it can be.
pub(super) async fn launch<TNetwork: Network>(
    queries: Queries<TNetwork>,
    transaction: Transaction,
    hash: Blake2bHash,
    is_new: bool,
) -> Launch {
    if is_new {
        let question = Question {
            hashes: vec![hash],
            block_number: None,
        };
        let looking = queries.prove_among(Vec::new(), question, 1);
        if let Ok(mut proving) = timeout(limits::PRECHECK_TIMEOUT, looking).await
            && let Some(Found { details, .. }) = proving.found.pop()
            && let Some(number) = details.block_number
        {
            return Launch::Included(number);
        }
    }
    let mut why = String::new();
    for attempt in 0..limits::PUBLISH_ATTEMPTS {
        if attempt > 0 {
            // Who listens to what, peers tell some time after they are connected, and no event
            // says so.
            sleep(limits::PUBLISH_RETRY_DELAY).await;
        }
        match publish(&queries, transaction.clone()).await {
            Ok(()) => return Launch::Published,
            Err(error) => why = error,
        }
    }
    Launch::NoTaker(format!("no peer takes the transaction: {why}"))
}

/// Publishes a transaction that was published before, for peers that have come since.
pub(super) async fn again<TNetwork: Network>(queries: Queries<TNetwork>, transaction: Transaction) {
    if let Err(error) = publish(&queries, transaction).await {
        log::debug!("a transaction is not published again: {error}");
    }
}

/// Hands a transaction to the peers that listen to its topic.
async fn publish<TNetwork: Network>(
    queries: &Queries<TNetwork>,
    transaction: Transaction,
) -> Result<(), String> {
    let network = &queries.context().network;
    let publishing = async {
        match ControlTransaction::try_from(transaction) {
            Ok(control) => network.publish::<ControlTransactionTopic>(control).await,
            Err(regular) => {
                let regular = regular.into_inner();
                network.publish::<TransactionTopic>(regular).await
            }
        }
    };
    match timeout(limits::REQUEST_TIMEOUT, publishing).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".into()),
    }
}
