//! WebRTC without a browser: a listener and a dialler on `str0m`, which knows ICE, DTLS and SCTP but
//! does no I/O.
//!
//! - `listener` owns a UDP socket and tells its clients apart;
//! - `driver` is the task of one connection: datagrams and time in, datagrams and messages out;
//! - `state` is what that task shares with the streams, `muxer` what libp2p sees of it.

mod dial;
mod driver;
mod half_open;
mod link;
mod listener;
mod muxer;
mod rtc;
mod state;
mod stun;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io,
    net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures::future::BoxFuture;
use libp2p::{
    Multiaddr, PeerId,
    core::{
        muxing::StreamMuxerBox,
        transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    },
    identity::Keypair,
};
use socket2::SockRef;
use str0m::config::CryptoProvider;
use thiserror::Error;
use tokio::{net::UdpSocket, sync::mpsc, task::AbortHandle};

use self::{
    listener::{Accepted, Listener},
    state::End,
};
use super::{
    address::{self, listening},
    certificate::Certificate,
    handshake::HandshakeError,
};
use crate::{limits, traffic::Counters};

/// What all connections have in common.
pub(super) struct Context {
    identity: Keypair,
    certificate: Certificate,
    crypto: Arc<CryptoProvider>,
    counters: Arc<Counters>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The socket.
    #[error("UDP: {0}")]
    Socket(#[from] io::Error),
    /// Nobody answers.
    #[error(
        "no answer: it can't be reached over UDP, or it has another certificate than /certhash names"
    )]
    Timeout,
    /// The connection was lost on the way.
    #[error(transparent)]
    Lost(#[from] End),
    /// Who is there could not be found out.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] HandshakeError),
    /// Addresses of such a kind can't be used.
    #[error("the address can't be used")]
    Address,
}

/// The sockets of one call of `listen_on`.
struct Listening {
    id: ListenerId,
    tasks: Vec<AbortHandle>,
    accepted: mpsc::Receiver<Accepted>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

type Event = TransportEvent<Ready<Result<(PeerId, StreamMuxerBox), Error>>, Error>;

/// The transport.
pub(crate) struct Transport {
    context: Arc<Context>,
    listeners: Vec<Listening>,
    events: VecDeque<Event>,
}

impl Transport {
    /// The transport of this identity. Listeners show this certificate, and diallers too.
    pub(crate) fn new(
        identity: &Keypair,
        certificate: Certificate,
        counters: &Arc<Counters>,
    ) -> Self {
        let context = Context {
            identity: identity.clone(),
            certificate,
            crypto: Arc::new(str0m::crypto::from_feature_flags()),
            counters: Arc::clone(counters),
        };
        Self {
            context: Arc::new(context),
            listeners: Vec::new(),
            events: VecDeque::new(),
        }
    }

    fn listen(&mut self, id: ListenerId, address: SocketAddr) -> io::Result<()> {
        let (sender, accepted) = mpsc::channel(limits::MAX_PENDING_INCOMING as usize);
        let mut listening = Listening {
            id,
            tasks: Vec::new(),
            accepted,
        };
        let mut found = Vec::new();
        let mut port = address.port();
        for ip in interfaces(address.ip())? {
            // The system chooses the port once, and it is the same on each interface.
            let socket = bind((ip, port).into())?;
            let local = socket.local_addr()?;
            port = local.port();
            let context = Arc::clone(&self.context);
            let listener = Listener::new(context, socket, local, sender.clone());
            listening
                .tasks
                .push(tokio::spawn(listener.run()).abort_handle());
            found.push(local);
        }
        let certificate = self.context.certificate.fingerprint();
        self.events
            .extend(found.into_iter().map(|local| TransportEvent::NewAddress {
                listener_id: id,
                listen_addr: listening::of(local, Some(certificate)),
            }));
        self.listeners.push(listening);
        Ok(())
    }
}

impl libp2p::Transport for Transport {
    type Output = (PeerId, StreamMuxerBox);
    type Error = Error;
    type ListenerUpgrade = Ready<Result<Self::Output, Error>>;
    type Dial = BoxFuture<'static, Result<Self::Output, Error>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Error>> {
        let local =
            listening::local(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        self.listen(id, local)
            .map_err(|error| TransportError::Other(error.into()))
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|listener| listener.id != id);
        let found = self.listeners.len() < before;
        if found {
            self.events.push_back(TransportEvent::ListenerClosed {
                listener_id: id,
                reason: Ok(()),
            });
        }
        found
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<Error>> {
        let target =
            address::target(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(Box::pin(dial::dial(Arc::clone(&self.context), target)))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Error>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        for listener in &mut self.listeners {
            if let Poll::Ready(Some(client)) = listener.accepted.poll_recv(cx) {
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id: listener.id,
                    upgrade: ready(Ok((client.peer, StreamMuxerBox::new(client.muxer)))),
                    local_addr: listening::of(client.local, None),
                    send_back_addr: listening::of(client.remote, None),
                });
            }
        }
        Poll::Pending
    }
}

/// The addresses to listen on. Answers have to come from the address that was asked, so each has a
/// socket of its own.
fn interfaces(ip: IpAddr) -> io::Result<Vec<IpAddr>> {
    if !ip.is_unspecified() {
        return Ok(vec![ip]);
    }
    let mut found: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|other| other.is_ipv4() == ip.is_ipv4() && !is_link_local(*other))
        .collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    Ok(found)
}

/// Such an address is none without saying of which interface it is, which a multiaddr can't.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = StdUdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    for result in [
        options.set_recv_buffer_size(limits::WEBRTC_SOCKET_BUFFER),
        options.set_send_buffer_size(limits::WEBRTC_SOCKET_BUFFER),
    ] {
        if let Err(error) = result {
            log::debug!("the UDP buffers stay as they are: {error}");
        }
    }
    UdpSocket::from_std(socket)
}
