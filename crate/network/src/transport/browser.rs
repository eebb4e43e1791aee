//! Browser byte streams: the page's own `WebSocket`. Its WebRTC has no byte stream below the streams.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use js_sys::Reflect;
use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed},
    swarm,
};
use libp2p_websocket_websys as websys;
use nimiq_time::{Sleep, sleep};
use wasm_bindgen::JsValue;

use super::webrtc;
use crate::{
    config::{Config, ConfigError},
    limits,
    peers::Transports,
    traffic::Counters,
};

/// The browser's WebSocket, watched.
pub(super) fn base() -> Result<
    impl Transport<
        Output = Watched,
        Error = websys::Error,
        Dial = impl Send,
        ListenerUpgrade = impl Send,
    > + Send
    + Unpin
    + 'static,
    ConfigError,
> {
    Ok(websys::Transport::default().map(|connection, _| Watched::new(connection)))
}

/// A page has WebSocket, unless somebody took it away; WebRTC only its main thread.
pub(super) fn available() -> Transports {
    let name = JsValue::from_str("WebSocket");
    Transports {
        websocket: Reflect::get(&js_sys::global(), &name).is_ok_and(|class| class.is_function()),
        webrtc: webrtc::browser::is_available(),
    }
}

/// `others`, and the page's WebRTC beside it.
pub(super) fn with_webrtc(
    others: Boxed<(PeerId, StreamMuxerBox)>,
    config: &Config,
    counters: &Arc<Counters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, ConfigError> {
    Ok(webrtc::browser::Transport::new(others, &config.identity, counters).boxed())
}

pub(super) fn swarm_config() -> swarm::Config {
    swarm::Config::with_executor(|connection| nimiq_utils::spawn(pace::paced(connection)))
}

/// The browser tells scripts no more than that a socket did not open, lest they find out what there is
/// in the network of who looks at the page.
#[derive(Debug, thiserror::Error)]
#[error("the WebSocket did not open: nobody there, or somebody who does not speak it")]
struct NotOpened;

/// A socket that is polled again now and then while something waits for it. The connection type
/// underneath wakes its reader for data only: when the socket fails to open, or the other side closes
/// it, nobody is told, and a dead peer would look alive until the next ping.
pub(super) struct Watched {
    inner: websys::Connection,
    /// Whether anything has gone either way.
    used: bool,
    recheck: Option<Pin<Box<Sleep>>>,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn new(inner: websys::Connection) -> Self {
        Self {
            inner,
            used: false,
            recheck: None,
            closing: None,
        }
    }

    /// Passes a result on; a pending one gets a timer that wakes the task.
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<T>) -> Poll<T> {
        if result.is_pending() {
            loop {
                let timer = self
                    .recheck
                    .get_or_insert_with(|| Box::pin(sleep(limits::BROWSER_SOCKET_RECHECK)));
                if timer.as_mut().poll(cx).is_pending() {
                    break;
                }
                self.recheck = None;
            }
        }
        result
    }

    /// Notes that it works. One that fails before it ever did has not been open.
    fn note<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Ok(_)) => self.used = true,
            Poll::Ready(Err(error)) if !self.used => {
                return Poll::Ready(Err(io::Error::new(error.kind(), NotOpened)));
            }
            _ => {}
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let result = self.note(result);
        self.watch(cx, result)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        let result = self.note(result);
        self.watch(cx, result)
    }

    /// What was written is the browser's to send by now, and nothing here makes it go faster. The
    /// connection type underneath would wait until all of it has gone, and look for that every 100 ms
    /// only, at each step of every handshake. How much may lie there is `poll_write`'s to bound.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => Poll::Ready(Ok(())),
            ready => ready,
        }
    }

    /// Until the socket is closed, but not for ever: with nobody at the other end, the browser waits a
    /// minute for the answer to its goodbye, and all the time the peer would look connected.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let patience = self
            .closing
            .get_or_insert_with(|| Box::pin(sleep(limits::BROWSER_SOCKET_CLOSE)));
        if patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_close(cx);
        self.watch(cx, result)
    }
}
