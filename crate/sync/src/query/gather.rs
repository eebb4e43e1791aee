//! Gathers what many callers want to know of the accounts tree into few requests: nodes limit how
//! often they are asked for a proof, not how many keys it is of. What is asked for in one turn of
//! the event loop goes out together, and so does what is asked for while no peer may be asked.

use std::sync::Arc;

use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Shared, WeakShared},
};
use nimiq_network_interface::{network::Network, peer_info::Services};
use nimiq_primitives::key_nibbles::KeyNibbles;
use nimiq_time::{sleep, timeout};
use nimiq_utils::spawn;
use parking_lot::Mutex;

use super::{Answer, Plan, Queries, QueryError, trie::Value};
use crate::{limits, messages::RequestTrieProof};

/// The values of a batch, in the order of its keys.
type Values = Result<Arc<Vec<Answer<Value>>>, QueryError>;

type Work = BoxFuture<'static, Values>;

/// A batch that more can still be asked for in.
#[derive(Debug)]
struct Open {
    /// `None` once it is on its way.
    keys: Arc<Mutex<Option<Vec<KeyNibbles>>>>,
    /// Alive as long as somebody waits for it.
    work: WeakShared<Work>,
}

/// The batch that is being gathered, if there is one.
#[derive(Debug, Default)]
pub(super) struct Gathering(Mutex<Option<Open>>);

impl Open {
    /// Adds a key, if there is still time and room. Returns its place.
    fn add(&self, key: &KeyNibbles) -> Option<(Shared<Work>, usize)> {
        let work = self.work.upgrade()?;
        let mut keys = self.keys.lock();
        let keys = keys.as_mut()?;
        if let Some(place) = keys.iter().position(|other| other == key) {
            return Some((work, place));
        }
        if keys.len() >= limits::TRIE_KEYS_PER_REQUEST {
            return None;
        }
        keys.push(key.clone());
        Some((work, keys.len() - 1))
    }
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// Has a key asked for. Returns what to wait for, and which of its values is the one.
    pub(super) fn gather(&self, key: &KeyNibbles) -> (Shared<Work>, usize) {
        let mut open = self.inner.gathering.0.lock();
        if let Some(found) = open.as_ref().and_then(|batch| batch.add(key)) {
            return found;
        }
        let keys = Arc::new(Mutex::new(Some(vec![key.clone()])));
        let work = Self::gathered(self.clone(), keys.clone()).boxed().shared();
        *open = work.downgrade().map(|work| Open { keys, work });
        (work, 0)
    }

    async fn gathered(self, keys: Arc<Mutex<Option<Vec<KeyNibbles>>>>) -> Values {
        next_turn().await;
        self.somebody_is_free().await;
        let keys = keys.lock().take().unwrap_or_default();
        self.trie_batch(keys).await.map(Arc::new)
    }

    /// Waits until there is a peer whose limit allows a request, or until that has taken too long.
    async fn somebody_is_free(&self) {
        let plan = Plan::new::<RequestTrieProof>(Services::ACCOUNTS_PROOF);
        let free = async {
            loop {
                let peers = self.good_peers(plan.services);
                match self.inner.desk.wait(&peers, &plan.kind) {
                    Some(wait) if !wait.is_zero() => sleep(wait).await,
                    // With nobody there, the request is the one to wait.
                    _ => break,
                }
            }
        };
        // It goes out anyway, and says what was wrong.
        let _ = timeout(limits::QUERY_SLOT_TIMEOUT, free).await;
    }
}

/// Lets everybody else who is ready come first. Whoever waits for a batch polls it, so it is not
/// enough to be polled once more.
async fn next_turn() {
    let (sender, turn) = oneshot::channel();
    spawn(async move {
        // An error means that nobody waits any more.
        let _ = sender.send(());
    });
    let _ = turn.await;
}
