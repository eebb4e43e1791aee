//! Transactions: what became of one, what an address has sent and received, and sending one. None is
//! believed to be in the chain until it is proven to be.
//!
//! `proof` is what a proof is, `prove` gets one. `history` goes back over what was; `follow` goes
//! along with what happens, with the help of `book` (which transactions, and how far they have come),
//! `watchers` (who wants to know), and `subscriptions` (who tells us). `told` sees to it that no answer
//! is older than what was said before.

mod book;
mod check;
mod details;
mod follow;
mod history;
mod proof;
mod prove;
mod publish;
mod receipts;
mod subscriptions;
mod told;
mod watchers;

use futures::{FutureExt, Stream, StreamExt, stream};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;
use tokio::sync::{mpsc, oneshot};

pub use self::{
    details::{TransactionDetails, TransactionState},
    history::HistoryOptions,
};
pub(crate) use self::{follow::Following, told::Told};
use self::{
    follow::Request,
    proof::Question,
    watchers::{Applicant, EndReason},
};
use super::{Failure, Queries, QueryError};
use crate::{limits, requests::PeerFault};

/// How far a transaction must have come for a wait to be over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Confirmations {
    /// It is in a block.
    #[default]
    Included,
    /// It is in a block that can't be reverted.
    Finalized,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// The transaction with this hash, as far as it is in the chain. `None` if those who were asked
    /// say that they know of none.
    ///
    /// # Errors
    /// [`QueryError::NoPeers`] if no peer has an index of transactions, [`QueryError::Timeout`] or
    /// [`QueryError::ProofInvalid`] if none of those gave a usable answer, [`QueryError::Closed`].
    pub async fn transaction(
        &self,
        hash: &Blake2bHash,
    ) -> Result<Option<TransactionDetails>, QueryError> {
        let question = Question {
            hashes: vec![hash.clone()],
            block_number: None,
        };
        let question = &question;
        self.while_running(async {
            self.established().await?;
            let asked = self.ask_peers(Self::proofs(), |peer| async move {
                let mut found = self.prove_with(peer, question, true).await?;
                found
                    .pop()
                    .ok_or_else(|| PeerFault::Lacks("it proves nothing".into()))
            });
            match asked.await {
                Ok(found) => {
                    if let Some(number) = found.details.block_number {
                        self.tells_of(number);
                    }
                    Ok(Some(found.details))
                }
                Err(failure) if is_unknown(&failure) => Ok(None),
                Err(failure) => Err(failure.into_error("no proof", QueryError::NotFound)),
            }
        })
        .await
    }

    /// Tells of transactions that touch any of the addresses: of those included from now on, and of
    /// those that this client has sent or will send. Each is told of once for every state that it
    /// reaches, in order, and is proven if it is said to be included.
    ///
    /// It goes on over reconnects, and catches up on what happened meanwhile. The addresses are
    /// watched from this call on, or from when there is consensus, until the stream is dropped.
    ///
    /// # Errors
    /// The stream ends after an error: [`QueryError::NotFound`] if there are too many addresses,
    /// [`QueryError::Timeout`] if its reader is too slow, [`QueryError::Closed`].
    pub fn watch(
        &self,
        addresses: Vec<Address>,
    ) -> impl Stream<Item = Result<TransactionDetails, QueryError>> + Send + Unpin + use<TNetwork>
    {
        let (sender, receiver) = mpsc::channel(limits::WATCH_BUFFER);
        let end = EndReason::default();
        let established = self.inner.standing.borrow().established;
        let since = match self.context().chain.heads() {
            Some(heads) if established => heads.head.number,
            _ => watchers::NOT_YET,
        };
        let applicant = Applicant {
            addresses: addresses.into_iter().collect(),
            sender,
            end: end.clone(),
            since,
        };
        if let Err(error) = self.follow(Request::Watch(applicant)) {
            *end.lock() = Some(error);
        }
        stream::unfold(Some((receiver, end)), |watching| async {
            let (mut receiver, end) = watching?;
            match receiver.recv().await {
                Some(details) => Some((Ok(details), Some((receiver, end)))),
                None => {
                    let reason = end.lock().take().unwrap_or(QueryError::Closed);
                    Some((Err(reason), None))
                }
            }
        })
        .boxed()
    }

    /// Sends a signed, serialised transaction. Whatever would make nodes refuse it, but for the state
    /// of accounts, is checked before. Resolves once a peer has it; what becomes of it is for
    /// [`Self::watch`] and [`Self::wait_for`] to tell.
    ///
    /// To send one that is pending again is no error, and publishes it again.
    ///
    /// # Errors
    /// [`QueryError::InvalidTransaction`] if it is not valid, has expired, or is in the chain
    /// already, [`QueryError::NoPeers`] if nobody takes it, [`QueryError::Closed`].
    pub async fn send(&self, raw: &[u8]) -> Result<TransactionDetails, QueryError> {
        let transaction = check::decode(raw)?;
        self.while_running(async {
            self.established().await?;
            let chain = &self.context().chain;
            let network = chain.params.network_id;
            let checked = chain.read(|chain| {
                let head = chain.head();
                (head.block_number(), head.version())
            });
            let Some((number, version)) = checked else {
                return Err(QueryError::NoPeers(
                    "there is no chain at the moment".into(),
                ));
            };
            check::check(&transaction, network, number, version)?;
            let hash = transaction.hash();
            let (reply, answer) = oneshot::channel();
            self.follow(Request::Send(Box::new(transaction), hash, reply))?;
            answer.await.unwrap_or(Err(QueryError::Closed))
        })
        .await
    }

    /// Waits until a transaction has come so far, whoever has sent it. One that expires, or fails, is
    /// as far as it gets: look at its state.
    ///
    /// A transaction that does not exist is waited for until this future is dropped.
    ///
    /// # Errors
    /// [`QueryError::InvalidTransaction`] if too many are waited for, [`QueryError::Closed`].
    pub async fn wait_for(
        &self,
        hash: &Blake2bHash,
        confirmations: Confirmations,
    ) -> Result<TransactionDetails, QueryError> {
        let (reply, answer) = oneshot::channel();
        self.follow(Request::Wait(hash.clone(), confirmations, reply))?;
        self.while_running(answer.map(|answer| answer.unwrap_or(Err(QueryError::Closed))))
            .await
    }

    /// Waits until our chain changes, but not longer than `patience`.
    async fn chain_moved(&self, patience: std::time::Duration) {
        let mut changes = self.context().chain.changes();
        // That time passes is as good as that something changes.
        drop(nimiq_time::timeout(patience, changes.changed()).await);
    }
}

/// Whether all who answered at all say that they don't have it.
fn is_unknown(failure: &Failure) -> bool {
    let lacks = |(_, fault): &(String, PeerFault)| matches!(fault, PeerFault::Lacks(_));
    failure.tried.iter().any(lacks)
}
