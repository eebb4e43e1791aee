//! A connection as libp2p sees it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};

use super::state::{Channel, Shared};
use crate::transport::webrtc::stream::Stream;

/// The handle that keeps a connection: dropping it closes it.
pub(super) struct Muxer {
    shared: Arc<Shared>,
}

impl Muxer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl StreamMuxer for Muxer {
    type Substream = Stream<Channel>;
    type Error = io::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let key = ready!(self.shared.poll_taken(cx))?;
        Poll::Ready(Ok(Stream::new(Channel::new(&self.shared, key))))
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let key = ready!(self.shared.poll_new(cx))?;
        Poll::Ready(Ok(Stream::new(Channel::new(&self.shared, key))))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.shared.poll_close(cx).map(Ok)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let end = ready!(self.shared.poll_end(cx));
        Poll::Ready(Err(end.into()))
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        self.shared.close();
    }
}
