//! Work that is under way for peers, at most one piece for each. Forgetting a peer drops its work,
//! so that nothing begun over an earlier connection is taken for news of the present one, and a peer
//! that left holds no place.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    task::{Context, Poll},
};

use futures::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
};
use nimiq_utils::stream::FuturesUnordered;

type Task<TPeerId, T> = BoxFuture<'static, (TPeerId, Result<T, Aborted>)>;

/// See the module's documentation.
pub(crate) struct PeerTasks<TPeerId, T> {
    running: FuturesUnordered<Task<TPeerId, T>>,
    handles: HashMap<TPeerId, AbortHandle>,
}

impl<TPeerId, T> PeerTasks<TPeerId, T>
where
    TPeerId: Copy + Eq + Hash + Send + 'static,
    T: Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            running: FuturesUnordered::new(),
            handles: HashMap::new(),
        }
    }

    /// How many peers there is work for.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Starts work for a peer, unless there is some already.
    pub(crate) fn start(&mut self, peer: TPeerId, work: impl Future<Output = T> + Send + 'static) {
        if self.handles.contains_key(&peer) {
            return;
        }
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.insert(peer, handle);
        let work = Abortable::new(work, registration);
        self.running
            .push(work.map(move |result| (peer, result)).boxed());
    }

    /// Drops the work for a peer.
    pub(crate) fn cancel(&mut self, peer: &TPeerId) {
        if let Some(handle) = self.handles.remove(peer) {
            handle.abort();
        }
    }

    /// Drops all work.
    pub(crate) fn clear(&mut self) {
        self.running = FuturesUnordered::new();
        self.handles.clear();
    }

    /// Work that is done.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(TPeerId, T)> {
        while let Poll::Ready(Some((peer, result))) = self.running.poll_next_unpin(cx) {
            if let Ok(output) = result {
                self.handles.remove(&peer);
                return Poll::Ready((peer, output));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn poll(tasks: &mut PeerTasks<u8, u8>) -> Poll<(u8, u8)> {
        tasks.poll_next(&mut Context::from_waker(futures::task::noop_waker_ref()))
    }

    #[test]
    fn one_piece_a_peer() {
        let mut tasks = PeerTasks::new();
        tasks.start(1, ready(10));
        tasks.start(1, ready(11));
        assert_eq!(tasks.len(), 1);
        assert_eq!(poll(&mut tasks), Poll::Ready((1, 10)));
        assert_eq!(poll(&mut tasks), Poll::Pending);
        assert_eq!(tasks.len(), 0);
    }

    #[test]
    fn what_was_cancelled_is_not_heard_of_again() {
        let mut tasks = PeerTasks::new();
        tasks.start(1, ready(10));
        tasks.cancel(&1);
        tasks.start(1, ready(20));
        assert_eq!(poll(&mut tasks), Poll::Ready((1, 20)));
        assert_eq!(poll(&mut tasks), Poll::Pending);

        tasks.start(2, pending());
        tasks.start(3, ready(30));
        tasks.clear();
        assert_eq!(tasks.len(), 0);
        assert_eq!(poll(&mut tasks), Poll::Pending);
    }
}
