//! A page has one thread, and what is woken while it runs our code is run in the same go: handshakes
//! of several peers, their answers and all that follows from them would be one long task, and the
//! page could neither draw nor answer to its user meanwhile. So work is done in turns: when one has
//! taken [`TURN`], what is left waits for the next, and the page gets its thread in between.
//!
//! What runs as a task of its own is wrapped by [`paced`]; within one, [`turn`] stands before each
//! piece that takes long. Natively there are threads enough, and neither does anything.

#[cfg(target_family = "wasm")]
mod page;
#[cfg(any(test, target_family = "wasm"))]
mod turns;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;

#[cfg(not(target_family = "wasm"))]
mod page {
    //! In place of a page: there is always time.

    use std::task::{Context, Poll};

    pub(super) fn poll_turn(_: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    pub(super) fn work<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// How long a turn takes, apart from the piece of work that it ends with.
pub const TURN: Duration = Duration::from_millis(4);

/// A future whose work is done in turns. See [`paced`].
#[pin_project]
#[derive(Debug)]
pub struct Paced<F> {
    #[pin]
    future: F,
}

/// Counts the work of a task, and does none of it before there is time for that.
pub const fn paced<F: Future>(future: F) -> Paced<F> {
    Paced { future }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if page::poll_turn(cx).is_pending() {
            return Poll::Pending;
        }
        page::work(|| self.project().future.poll(cx))
    }
}

/// Waits for the next turn if this one is over.
pub async fn turn() {
    poll_fn(page::poll_turn).await;
}

/// Counts work that is not done within a task.
pub fn counted<T>(work: impl FnOnce() -> T) -> T {
    page::work(work)
}
