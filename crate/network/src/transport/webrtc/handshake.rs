//! Who is at the other end: a Noise handshake on data channel 0. That both ends name the two
//! certificates in it ties it to this very connection, and nobody can be in between.

use futures::{
    AsyncWriteExt,
    future::{Either, select},
};
use libp2p::{
    PeerId,
    core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    identity::Keypair,
    noise,
};
use nimiq_time::sleep;
use thiserror::Error;

use super::{
    address::Fingerprint,
    stream::{DataChannel, Stream},
};
use crate::limits;

/// What the prologue begins with (*protocol*).
const PROLOGUE: &[u8] = b"libp2p-webrtc-noise:";

/// Number of the data channel of the handshake (*protocol*). Both ends open it by themselves.
pub(super) const CHANNEL: u16 = 0;

/// Which end we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// We have dialled.
    Client,
    /// We were dialled.
    #[cfg_attr(
        target_family = "wasm",
        expect(dead_code, reason = "nobody can dial a page")
    )]
    Server,
}

/// Why there is nobody we know at the other end.
#[derive(Debug, Error)]
pub(crate) enum HandshakeError {
    /// It took too long.
    #[error("the handshake took too long")]
    Timeout,
    /// It went wrong.
    #[error(transparent)]
    Noise(#[from] noise::Error),
}

/// Does the handshake over channel 0, which is not needed after it. Both certificates are given as seen
/// on this connection.
pub(super) async fn handshake<C: DataChannel + Send + 'static>(
    identity: &Keypair,
    channel: C,
    role: Role,
    client: Fingerprint,
    server: Fingerprint,
) -> Result<PeerId, HandshakeError> {
    let config = noise::Config::new(identity)?.with_prologue(prologue(client, server));
    let work = Box::pin(run(config, Stream::new(channel), role));
    let patience = Box::pin(sleep(limits::WEBRTC_HANDSHAKE_TIMEOUT));
    match select(work, patience).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(HandshakeError::Timeout),
    }
}

async fn run<C: DataChannel + Send + 'static>(
    config: noise::Config,
    stream: Stream<C>,
    role: Role,
) -> Result<PeerId, HandshakeError> {
    let info = config.protocol_info().next().unwrap_or_default();
    // The server begins: so it is the first that can send something (*protocol*).
    let (peer, mut done) = match role {
        Role::Client => config.upgrade_inbound(stream, info).await?,
        Role::Server => config.upgrade_outbound(stream, info).await?,
    };
    // All has been said. Who has closed the channel by now needs no goodbye.
    drop(done.close().await);
    Ok(peer)
}

fn prologue(client: Fingerprint, server: Fingerprint) -> Vec<u8> {
    [
        PROLOGUE,
        &client.multihash_bytes(),
        &server.multihash_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::future::join;

    use super::*;
    use crate::transport::webrtc::stream::memory::pair;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);
    const THREE: Fingerprint = Fingerprint([3; 32]);

    #[test]
    fn the_prologue_is_that_of_the_specification() {
        let bytes = prologue(ONE, TWO);
        assert_eq!(&bytes[..20], b"libp2p-webrtc-noise:");
        assert_eq!(bytes[20..23], [0x12, 0x20, 1]);
        assert_eq!(bytes[54..57], [0x12, 0x20, 2]);
        assert_eq!(bytes.len(), 88);
    }

    #[tokio::test]
    async fn both_learn_who_the_other_is() {
        let (client, server) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let (near, far) = pair();
        let (theirs, ours) = join(
            handshake(&client, near, Role::Client, ONE, TWO),
            handshake(&server, far, Role::Server, ONE, TWO),
        )
        .await;
        assert_eq!(theirs.unwrap(), server.public().to_peer_id());
        assert_eq!(ours.unwrap(), client.public().to_peer_id());
    }

    #[tokio::test]
    async fn with_somebody_in_between_it_fails() {
        let (client, server) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let (near, far) = pair();
        let (theirs, ours) = join(
            handshake(&client, near, Role::Client, ONE, THREE),
            handshake(&server, far, Role::Server, ONE, TWO),
        )
        .await;
        assert!(theirs.is_err() && ours.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_for_ever() {
        let (near, _far) = pair();
        let result = handshake(&Keypair::generate_ed25519(), near, Role::Client, ONE, TWO).await;
        assert!(matches!(result, Err(HandshakeError::Timeout)));
    }

    #[tokio::test]
    async fn a_channel_that_closes_ends_it() {
        let (near, far) = pair();
        drop(far);
        let result = handshake(&Keypair::generate_ed25519(), near, Role::Server, ONE, TWO).await;
        assert!(result.is_err());
    }
}
