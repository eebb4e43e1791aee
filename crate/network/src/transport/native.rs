//! Native transports. Byte streams: WebSocket, plain or over TLS, on TCP, with names resolved by the
//! system. And WebRTC.

use std::sync::Arc;

use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed},
    dns, swarm, tcp, websocket,
};

use super::webrtc::{certificate::Certificate, native as webrtc};
use crate::{
    config::{Config, ConfigError},
    peers::Transports,
    traffic::Counters,
};

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

/// Both, everywhere.
pub(super) fn available() -> Transports {
    Transports::ALL
}

/// What there is already, and WebRTC.
pub(super) fn with_webrtc(
    other: Boxed<(PeerId, StreamMuxerBox)>,
    config: &Config,
    counters: &Arc<Counters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, ConfigError> {
    let certificate = match &config.certificate {
        Some(certificate) => certificate.clone(),
        None => {
            Certificate::generate().map_err(|error| ConfigError::Transport(error.to_string()))?
        }
    };
    Ok(
        webrtc::Transport::new(&config.identity, certificate, counters)
            .or_transport(other)
            .map(|connection, _| connection.into_inner())
            .boxed(),
    )
}

pub(super) fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor()
}
