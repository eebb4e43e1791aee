//! Where the datagrams of a connection come from and go to: a socket of its own, or one that it shares
//! with the others of a listener.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{io::ReadBuf, net::UdpSocket, sync::mpsc};

use crate::{limits, traffic::Counters};

/// A datagram of somebody.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

enum Inbox {
    /// Connected to the other side: nobody else is heard, and it is known when nobody is there.
    Own(Box<[u8; limits::MAX_WEBRTC_DATAGRAM]>),
    Shared(mpsc::Receiver<Datagram>),
}

/// One end of a connection.
pub(super) struct Link {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    inbox: Inbox,
    counters: Arc<Counters>,
}

impl Link {
    /// Over a socket that is connected to the other side.
    pub(super) fn own(socket: UdpSocket, local: SocketAddr, counters: Arc<Counters>) -> Self {
        Self {
            socket: Arc::new(socket),
            local,
            inbox: Inbox::Own(Box::new([0; limits::MAX_WEBRTC_DATAGRAM])),
            counters,
        }
    }

    /// Over a listener's socket. It counts itself what it receives.
    pub(super) fn shared(
        socket: Arc<UdpSocket>,
        local: SocketAddr,
        inbox: mpsc::Receiver<Datagram>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            socket,
            local,
            inbox: Inbox::Shared(inbox),
            counters,
        }
    }

    /// Our own address, as ICE calls it.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next datagram. `None`: there will be none any more.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Datagram>>> {
        match &mut self.inbox {
            Inbox::Shared(inbox) => inbox.poll_recv(cx).map(|datagram| datagram.map(Ok)),
            Inbox::Own(space) => {
                let mut buffer = ReadBuf::new(space.as_mut_slice());
                let received = ready!(self.socket.poll_recv_from(cx, &mut buffer));
                Poll::Ready(Some(received.map(|from| {
                    let bytes = buffer.filled().to_vec();
                    self.counters.add_received(bytes.len());
                    Datagram { from, bytes }
                })))
            }
        }
    }

    /// Sends a datagram. That it can't be sent is no error: it may get lost on its way as well. An error
    /// says that nobody is there.
    pub(super) async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = match self.inbox {
            Inbox::Own(_) => self.socket.send(bytes).await,
            Inbox::Shared(_) => self.socket.send_to(bytes, to).await,
        };
        match sent {
            Ok(_) => self.counters.add_sent(bytes.len()),
            // The answer to an earlier one.
            Err(error) if self.is_refusal(&error) => return Err(error),
            Err(error) => log::trace!("a datagram could not be sent to {to}: {error}"),
        }
        Ok(())
    }

    /// Whether the system says that nobody is there. On a socket that others share, it is not known of
    /// whom that is said.
    pub(super) fn is_refusal(&self, error: &io::Error) -> bool {
        matches!(self.inbox, Inbox::Own(_)) && error.kind() == io::ErrorKind::ConnectionRefused
    }
}
