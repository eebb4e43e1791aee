//! A connection that is encrypted and authenticated, and whose streams say whatever one likes.

use std::{collections::VecDeque, future::poll_fn, io, task::Poll, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{DialOpts, PortUse},
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    multiaddr::Protocol,
    noise, tcp, websocket, yamux,
};
use nimiq_utils::spawn;
use pico_network::limits;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection over WebSocket. It is closed when this is dropped.
pub(crate) struct Raw {
    streams: mpsc::Sender<oneshot::Sender<SubstreamBox>>,
}

impl Raw {
    pub(crate) async fn dial(address: &Multiaddr) -> io::Result<Self> {
        let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
        let mut transport = websocket::Config::new(dns::tokio::Transport::system(tcp)?)
            .upgrade(Version::V1)
            .authenticate(
                noise::Config::new(&Keypair::generate_ed25519()).map_err(io::Error::other)?,
            )
            .multiplex(yamux::Config::default())
            .boxed();
        let address = address
            .iter()
            .filter(|part| !matches!(part, Protocol::P2p(_)))
            .collect();
        let options = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let dial = transport.dial(address, options).map_err(io::Error::other)?;
        let (_, muxer) = timeout(PATIENCE, dial).await?.map_err(io::Error::other)?;
        let (streams, asked) = mpsc::channel(256);
        spawn(drive(muxer, asked));
        Ok(Self { streams })
    }

    /// A stream on which requests are spoken.
    pub(crate) async fn open(&self) -> io::Result<SubstreamBox> {
        let gone = || io::Error::from(io::ErrorKind::ConnectionReset);
        let (reply, stream) = oneshot::channel();
        self.streams.send(reply).await.map_err(|_| gone())?;
        let mut stream = timeout(PATIENCE, stream).await?.map_err(|_| gone())?;
        let mut hello = Vec::new();
        for line in ["/multistream/1.0.0", limits::REQUEST_PROTOCOL] {
            // Both are far shorter than 128.
            hello.push(u8::try_from(line.len() + 1).unwrap_or_default());
            hello.extend_from_slice(line.as_bytes());
            hello.push(b'\n');
        }
        stream.write_all(&hello).await?;
        stream.flush().await?;
        // The answer is the same.
        let mut answer = vec![0; hello.len()];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
        Ok(stream)
    }

    /// When the other side has hung up.
    pub(crate) async fn closed(&self) {
        self.streams.closed().await;
    }
}

/// Keeps the connection going. What the other side opens is not answered, which it puts up with for
/// some seconds.
async fn drive(
    mut muxer: StreamMuxerBox,
    mut asked: mpsc::Receiver<oneshot::Sender<SubstreamBox>>,
) {
    let mut waiting = VecDeque::new();
    let mut theirs = Vec::new();
    poll_fn(|cx| {
        loop {
            match asked.poll_recv(cx) {
                Poll::Ready(Some(reply)) => waiting.push_back(reply),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while !waiting.is_empty() {
            match muxer.poll_outbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => {
                    if let Some(reply) = waiting.pop_front() {
                        // It is closed if nobody waits any more.
                        drop::<Result<(), _>>(oneshot::Sender::send(reply, stream));
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
            match stream {
                Ok(stream) => theirs.push(stream),
                Err(_) => return Poll::Ready(()),
            }
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}
