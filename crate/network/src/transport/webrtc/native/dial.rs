//! Dials a listener.

use std::{net::SocketAddr, sync::Arc};

use libp2p::{PeerId, core::muxing::StreamMuxerBox};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    Context, Error,
    driver::Driver,
    link::Link,
    muxer::Muxer,
    rtc,
    state::{Channel, HANDSHAKE, Shared},
    stun::Names,
};
use crate::{
    limits,
    transport::webrtc::{
        address::Target,
        handshake::{self, HandshakeError, Role},
    },
};

/// Connects, and finds out who is there.
pub(super) async fn dial(
    context: Arc<Context>,
    target: Target,
) -> Result<(PeerId, StreamMuxerBox), Error> {
    let any: SocketAddr = match target.socket {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // So the system says which of our addresses leads there, and whether nobody listens.
    socket.connect(target.socket).await?;
    let local = socket.local_addr()?;
    let prepared = rtc::client(
        &context.crypto,
        context.certificate.for_dtls(),
        &Names::new(),
        local,
        target.socket,
        target.certificate,
    )
    .ok_or(Error::Address)?;
    let link = Link::own(socket, local, Arc::clone(&context.counters));
    let shared = Shared::new();
    // From here on, whoever stops waiting drops this, which ends the task.
    let muxer = Muxer::new(Arc::clone(&shared));
    let (driver, connected) = Driver::new(prepared, link, Arc::clone(&shared));
    tokio::spawn(Box::pin(driver.run()));
    match timeout(limits::WEBRTC_CONNECT_TIMEOUT, connected).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Err(shared.ended().map_or(Error::Timeout, Error::Lost)),
        Err(_) => return Err(Error::Timeout),
    }
    let channel = Channel::new(&shared, HANDSHAKE);
    let client = context.certificate.fingerprint();
    let peer = handshake::handshake(
        &context.identity,
        channel,
        Role::Client,
        client,
        target.certificate,
    )
    .await
    .map_err(|error| why(&shared, error))?;
    Ok((peer, StreamMuxerBox::new(muxer)))
}

/// If the connection is over, that is the reason.
fn why(shared: &Shared, error: HandshakeError) -> Error {
    shared.ended().map_or(Error::Handshake(error), Error::Lost)
}
