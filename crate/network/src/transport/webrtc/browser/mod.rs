//! WebRTC by the page's own `RTCPeerConnection`: it dials, and nobody can dial it.
//!
//! Whatever the other side opens is taken in from the moment a connection exists, before there is
//! anybody to dial: servers open their first streams right after the handshake, and what a browser has
//! no listener for is gone.

mod bindings;
mod channel;
mod connection;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
    },
    identity::Keypair,
};
use nimiq_time::sleep;
use send_wrapper::SendWrapper;
use thiserror::Error;
use wasm_bindgen::JsValue;

use self::connection::Connection;
use super::{
    address::{Target, target},
    handshake::{HandshakeError, Role, handshake},
    sdp::Credentials,
};
use crate::{limits, traffic::Counters};

/// Whether there is WebRTC here: not in a worker, not in Node, and not where somebody took it away.
pub(in crate::transport) fn is_available() -> bool {
    bindings::exists()
}

/// Why a dial failed.
#[derive(Debug, Error)]
enum DialError {
    /// Nobody answers there. A server whose certificate is another one looks the same from here.
    #[error("{}", super::UNREACHABLE)]
    Unreachable,
    /// Somebody answers there, but the browser refuses its certificate.
    #[error("{}", super::WRONG_CERTIFICATE)]
    Certificate,
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What the browser said.
    #[error("the browser refused: {0}")]
    Browser(String),
    /// The browser's offer names no certificate with a SHA-256, or no password.
    #[error("the browser's offer is not complete")]
    Offer,
}

impl DialError {
    fn browser(error: &JsValue) -> Self {
        Self::Browser(bindings::message(error))
    }
}

type Output = (PeerId, StreamMuxerBox);

/// WebRTC for its own addresses, another transport for all others.
pub(in crate::transport) struct Transport {
    others: Boxed<Output>,
    identity: Keypair,
    counters: Arc<Counters>,
}

impl Transport {
    pub(in crate::transport) fn new(
        others: Boxed<Output>,
        identity: &Keypair,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            others,
            identity: identity.clone(),
            counters: Arc::clone(counters),
        }
    }
}

impl libp2p::Transport for Transport {
    type Output = Output;
    type Error = std::io::Error;
    type ListenerUpgrade = <Boxed<Output> as libp2p::Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, Result<Output, std::io::Error>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.others.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.others.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let Some(target) = target(&address) else {
            return self.others.dial(address, options);
        };
        let (identity, counters) = (self.identity.clone(), Arc::clone(&self.counters));
        let dial = async move {
            let work = Box::pin(connect(target, identity, counters));
            let patience = Box::pin(sleep(limits::WEBRTC_DIAL_TIMEOUT));
            match select(work, patience).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => Err(DialError::Unreachable),
            }
            .map_err(std::io::Error::other)
        };
        // A page has one thread.
        Ok(SendWrapper::new(dial).boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.others).poll(cx)
    }
}

async fn connect(
    target: Target,
    identity: Keypair,
    counters: Arc<Counters>,
) -> Result<Output, DialError> {
    let connection = Connection::new(counters)?;
    let credentials = Credentials::new(rand::random());
    let (channel, ours) = connection.open(&target, credentials).await?;
    let shake = handshake(&identity, channel, Role::Client, ours, target.certificate);
    let peer = connection.while_up(shake).await??;
    Ok((peer, StreamMuxerBox::new(connection)))
}
