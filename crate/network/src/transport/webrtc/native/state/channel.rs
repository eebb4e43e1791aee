//! A stream's end of the state: its data channel.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Key, Shared};
use crate::{limits, transport::webrtc::stream::DataChannel};

/// A data channel of a connection.
pub(in super::super) struct Channel {
    shared: Arc<Shared>,
    key: Key,
}

impl Channel {
    pub(in super::super) fn new(shared: &Arc<Shared>, key: Key) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
        }
    }
}

impl DataChannel for Channel {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        let mut state = self.shared.state.lock();
        let Some(entry) = state.entries.get_mut(&self.key) else {
            return Poll::Ready(None);
        };
        if let Some(message) = entry.incoming.pop_front() {
            let cost = message.len() + limits::WEBRTC_MESSAGE_COST;
            entry.incoming_bytes -= cost;
            let was_behind = state.unread > limits::WEBRTC_READ_BUFFER;
            state.unread -= cost;
            if was_behind && state.unread <= limits::WEBRTC_READ_BUFFER {
                self.shared.driver.wake();
            }
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(why) = entry.failure {
            return Poll::Ready(Some(Err(why.into())));
        }
        if entry.ended || entry.closing {
            return Poll::Ready(None);
        }
        entry.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.state.lock();
        let full = state.unsent >= limits::MAX_WEBRTC_WRITE_BUFFER;
        match state.entries.get_mut(&self.key) {
            Some(entry) if !entry.ended && !entry.closing => {
                if entry.open && !full && entry.outgoing_bytes < limits::WEBRTC_WRITE_BUFFER {
                    return Poll::Ready(Ok(()));
                }
                entry.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        match state.entries.get_mut(&self.key) {
            Some(entry) if !entry.ended && !entry.closing => {
                entry.outgoing.push_back(message.to_vec());
                entry.outgoing_bytes += message.len();
            }
            _ => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        state.unsent += message.len();
        state.list(self.key);
        self.shared.driver.wake();
        Ok(())
    }

    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.state.lock();
        match state.entries.get_mut(&self.key) {
            Some(entry) if entry.outgoing.is_empty() => Poll::Ready(Ok(())),
            Some(entry) if !entry.ended => {
                entry.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn close(&mut self) {
        let mut state = self.shared.state.lock();
        state.discard(self.key);
        let Some(entry) = state.entries.get_mut(&self.key) else {
            return;
        };
        entry.closing = true;
        entry.wake();
        if entry.ended {
            state.remove(self.key);
        } else {
            state.list(self.key);
            self.shared.driver.wake();
        }
    }
}
