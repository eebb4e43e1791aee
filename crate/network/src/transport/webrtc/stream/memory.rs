//! A data channel in memory, for tests.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::DataChannel;

/// Messages that fit in one direction before the writer waits.
const ROOM: usize = 4;

#[derive(Default)]
struct Direction {
    messages: VecDeque<Vec<u8>>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

/// One end of a channel.
pub(in crate::transport::webrtc) struct Channel {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

impl Channel {
    /// Messages that nobody has received yet.
    pub(super) fn sent(&self) -> usize {
        self.outgoing.lock().messages.len()
    }
}

/// Two ends of one channel.
pub(in crate::transport::webrtc) fn pair() -> (Channel, Channel) {
    let (one, two) = (Arc::default(), Arc::default());
    let near = Channel {
        incoming: Arc::clone(&one),
        outgoing: Arc::clone(&two),
    };
    let far = Channel {
        incoming: two,
        outgoing: one,
    };
    (near, far)
}

impl DataChannel for Channel {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        let mut incoming = self.incoming.lock();
        if let Some(message) = incoming.messages.pop_front() {
            incoming.wake();
            return Poll::Ready(Some(Ok(message)));
        }
        if incoming.closed {
            return Poll::Ready(None);
        }
        incoming.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if outgoing.messages.len() < ROOM {
            return Poll::Ready(Ok(()));
        }
        outgoing.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        outgoing.messages.push_back(message.to_vec());
        outgoing.wake();
        Ok(())
    }

    fn poll_drained(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn close(&mut self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = direction.lock();
            direction.closed = true;
            direction.wake();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}
