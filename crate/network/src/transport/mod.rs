//! Makes connections: a byte stream of some kind, counted, then secured by Noise and multiplexed by
//! Yamux exactly as nodes do it. Which byte streams there are is decided by the two target modules;
//! a further transport is added there, and nothing else in the crate knows the difference.

#[cfg(target_family = "wasm")]
mod browser;
mod muxer;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
mod slots;
pub(crate) mod webrtc;

use std::sync::Arc;

#[cfg(target_family = "wasm")]
use browser as target;
use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    identity::Keypair,
    noise, swarm,
};
#[cfg(not(target_family = "wasm"))]
use native as target;

#[cfg(not(target_family = "wasm"))]
use crate::capacity::Capacity;
use crate::{
    config::{Config, ConfigError},
    limits,
    peers::Transports,
    traffic::{Counted, Counters},
};

/// The transports that this build has and its surroundings let it use.
pub(crate) fn available() -> Transports {
    target::available()
}

/// The transports of this build, with every connection counted in `counters`.
pub(crate) fn build(
    config: &Config,
    counters: &Arc<Counters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, ConfigError> {
    let websocket = upgrade(target::base()?, &config.identity, counters)?;
    target::with_webrtc(websocket, config, counters)
}

/// The same, with slots for connections that others open.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn with_slots(
    transport: Boxed<(PeerId, StreamMuxerBox)>,
    capacity: &Capacity,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    slots::Slots::new(
        transport,
        capacity.pending_incoming,
        capacity.incoming_upgrade,
    )
    .boxed()
}

/// The executor that connections run on.
pub(crate) fn swarm_config() -> swarm::Config {
    target::swarm_config()
}

/// Secures and multiplexes the connections of a byte stream transport.
fn upgrade<T>(
    transport: T,
    identity: &Keypair,
    counters: &Arc<Counters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, ConfigError>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    let noise =
        noise::Config::new(identity).map_err(|error| ConfigError::Transport(error.to_string()))?;
    let counters = Arc::clone(counters);
    Ok(transport
        .map(move |stream, _| Counted::new(stream, Arc::clone(&counters)))
        // V1: its lazy sibling sends data before the other side has agreed, which nodes don't expect.
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(muxer::Config)
        .timeout(limits::UPGRADE_TIMEOUT)
        .boxed())
}
