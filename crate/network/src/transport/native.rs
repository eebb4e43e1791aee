//! Native byte streams: WebSocket, plain or over TLS, on TCP, with names resolved by the system.

use std::sync::Arc;

use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed},
    dns,
    identity::Keypair,
    swarm, tcp, websocket,
};

use crate::{config::ConfigError, peers::Transports, traffic::Counters};

/// WebSocket over DNS over TCP.
pub(super) fn base() -> Result<
    impl Transport<
        Output = impl futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
        Error = impl std::error::Error + Send + Sync + 'static,
        Dial = impl Send,
        ListenerUpgrade = impl Send,
    > + Send
    + Unpin
    + 'static,
    ConfigError,
> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let dns = dns::tokio::Transport::system(tcp)
        .map_err(|error| ConfigError::Transport(error.to_string()))?;
    Ok(websocket::Config::new(dns))
}

/// WebSocket everywhere.
pub(super) fn available() -> Transports {
    Transports {
        websocket: true,
        webrtc: false,
    }
}

/// `others` alone.
pub(super) fn with_webrtc(
    others: Boxed<(PeerId, StreamMuxerBox)>,
    _: &Keypair,
    _: &Arc<Counters>,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    others
}

pub(super) fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor()
}
