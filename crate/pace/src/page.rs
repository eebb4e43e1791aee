//! The turns of the thread that this is compiled for, which has no other.

use std::{
    cell::RefCell,
    task::{Context, Poll},
    time::Duration,
};

use nimiq_time::sleep;
use web_time::Instant;

use crate::turns::Turns;

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
}

/// Ready while there is time in this turn. Else the task is woken with the next.
pub(super) fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    let (over, first) = TURNS.with_borrow_mut(|turns| {
        let over = turns.is_over(Instant::now());
        (over, over && turns.wait(cx.waker()))
    });
    if first {
        nimiq_utils::spawn(next());
    }
    match over {
        true => Poll::Pending,
        false => Poll::Ready(()),
    }
}

/// Counts `work`.
pub(super) fn work<T>(work: impl FnOnce() -> T) -> T {
    let first = TURNS.with_borrow_mut(|turns| turns.begin(Instant::now()));
    let result = work();
    if first {
        TURNS.with_borrow_mut(|turns| turns.end(Instant::now()));
    }
    result
}

/// Begins the next turn once the page has had its own.
async fn next() {
    sleep(Duration::ZERO).await;
    // Woken outside: what that runs may look at the turns.
    for waker in TURNS.with_borrow_mut(|turns| turns.next(Instant::now())) {
        waker.wake();
    }
}
