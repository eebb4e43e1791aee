//! Many streams over one connection: `/yamux/1.0.0`, by the `yamux` crate.
//!
//! `libp2p-yamux` does the same, and links a second, older yamux for options that nobody here uses.

use std::{
    collections::VecDeque,
    future::{Future as _, Ready, ready},
    io, iter,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};
use nimiq_time::{Sleep, sleep};
use yamux::{Connection, ConnectionError, Mode, Stream};

use crate::limits;

/// Upgrades a secured connection. The defaults of the crate are those of nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Config;

impl UpgradeInfo for Config {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(io, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(io, Mode::Client)))
    }
}

/// A multiplexed connection.
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams that the peer has opened and that nobody has taken yet. All progress of the connection
    /// is made by asking for the next one, also when only the streams that exist are to go on.
    opened: VecDeque<Stream>,
    taker: Option<Waker>,
    /// How much longer it is tried to say goodbye.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(io: C, mode: Mode) -> Self {
        Self {
            connection: Connection::new(io, yamux::Config::default(), mode),
            opened: VecDeque::new(),
            taker: None,
            closing: None,
        }
    }

    fn poll_opened(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = self.get_mut();
        if let Some(stream) = this.opened.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(result) = this.poll_opened(cx) {
            return Poll::Ready(result);
        }
        this.taker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.get_mut().connection.poll_new_outbound(cx)
    }

    /// What was written goes first, and then the goodbye. Somebody who reads nothing would never get
    /// there, and all the time count as connected.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = this.connection.poll_close(cx) {
            return Poll::Ready(result);
        }
        let patience = this
            .closing
            .get_or_insert_with(|| Box::pin(sleep(limits::GOODBYE_TIMEOUT)));
        patience.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let this = self.get_mut();
        let stream = ready!(this.poll_opened(cx))?;
        // One too many is reset by being dropped.
        if this.opened.len() < limits::MAX_UNTAKEN_STREAMS {
            this.opened.push_back(stream);
            if let Some(taker) = this.taker.take() {
                taker.wake();
            }
        }
        // There may be more, but others want their turn as well.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use futures::AsyncWriteExt as _;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A line that takes so many bytes, and brings none.
    struct Line {
        room: usize,
    }

    impl AsyncRead for Line {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Line {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = self.room.min(buf.len());
            self.room -= taken;
            match taken {
                0 => Poll::Pending,
                taken => Poll::Ready(Ok(taken)),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// How long it takes to close a connection on which something was said, over such a line.
    async fn closing(room: usize) -> Duration {
        let mut muxer = Muxer::new(Line { room }, Mode::Client);
        let mut stream = poll_fn(|cx| Pin::new(&mut muxer).poll_outbound(cx))
            .await
            .unwrap();
        stream.write_all(&[1; 10_000]).await.unwrap();
        let began = Instant::now();
        let close = poll_fn(|cx| Pin::new(&mut muxer).poll_close(cx));
        let closed = timeout(limits::GOODBYE_TIMEOUT * 2, close).await;
        closed.unwrap().unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_left_without_a_goodbye() {
        assert_eq!(closing(100_000).await, Duration::ZERO);
        assert_eq!(closing(1_000).await, limits::GOODBYE_TIMEOUT);
    }
}
