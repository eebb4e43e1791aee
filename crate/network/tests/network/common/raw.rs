//! A peer that speaks every protocol by hand, down to the negotiation of streams, and so can say
//! anything at any time: what the adversary tests are made of.

use std::{io, task::Poll};

use futures::{
    AsyncReadExt, AsyncWriteExt, StreamExt,
    future::{BoxFuture, poll_fn},
};
use libp2p::{
    Multiaddr, PeerId, Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{Boxed, DialOpts, ListenerId, PortUse, TransportEvent},
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    noise, tcp, websocket, yamux,
};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::peer_info::Services;
use nimiq_serde::Deserialize;
use nimiq_utils::tagged_signing::TaggedKeyPair;
use pico_network::{
    discovery::{
        codec,
        contact::SignedPeerContact,
        messages::{ChallengeNonce, DiscoveryMessage},
    },
    limits,
};
use tokio::sync::{mpsc, oneshot};

use super::{full, genesis, listen_address, now_secs, soon};

pub const DISCOVERY: &str = limits::DISCOVERY_PROTOCOL;
pub const REQUESTS: &str = limits::REQUEST_PROTOCOL;
pub const GOSSIP: &str = "/meshsub/1.1.0";
const PING: &str = "/ipfs/ping/1.0.0";
/// Among the protocols of a raw peer: it answers no ping.
pub const NO_PING: &str = "no ping";

type RawTransport = Boxed<(PeerId, StreamMuxerBox)>;

fn transport(keypair: &Keypair) -> RawTransport {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    websocket::Config::new(dns::tokio::Transport::system(tcp).unwrap())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed()
}

/// A raw peer that waits to be dialled.
pub struct RawListener {
    pub keypair: Keypair,
    pub address: Multiaddr,
    transport: RawTransport,
}

impl RawListener {
    pub async fn bind() -> Self {
        let keypair = Keypair::generate_ed25519();
        let mut transport = transport(&keypair);
        transport
            .listen_on(ListenerId::next(), listen_address())
            .unwrap();
        let address = soon("a listener", async {
            loop {
                if let TransportEvent::NewAddress { listen_addr, .. } =
                    transport.select_next_some().await
                {
                    return listen_addr;
                }
            }
        })
        .await;
        Self {
            keypair,
            address,
            transport,
        }
    }

    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    /// Accepts connections as they come, the first of which is returned.
    pub async fn accept(mut self, protocols: &'static [&'static str]) -> Raw {
        let (peer, muxer) = soon("a connection", async {
            let mut upgrades = futures::stream::FuturesUnordered::<BoxFuture<'static, _>>::new();
            loop {
                tokio::select! {
                    event = self.transport.select_next_some() => {
                        if let TransportEvent::Incoming { upgrade, .. } = event {
                            upgrades.push(Box::pin(upgrade));
                        }
                    }
                    Some(result) = upgrades.next() => return result.unwrap(),
                }
            }
        })
        .await;
        Raw::new(self.keypair, peer, muxer, protocols)
    }
}

/// One connection of a raw peer.
pub struct Raw {
    pub keypair: Keypair,
    /// Who is on the other side.
    pub remote: PeerId,
    open: mpsc::Sender<oneshot::Sender<SubstreamBox>>,
    incoming: mpsc::Receiver<(&'static str, SubstreamBox)>,
    gone: oneshot::Receiver<()>,
}

impl Raw {
    /// Dials; the other side is offered `protocols` besides ping.
    pub async fn dial(address: &Multiaddr, protocols: &'static [&'static str]) -> Self {
        let keypair = Keypair::generate_ed25519();
        let mut transport = transport(&keypair);
        let opts = DialOpts {
            role: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let dial = transport.dial(address.clone(), opts).unwrap();
        let (remote, muxer) = soon("a raw dial", dial).await.unwrap();
        Self::new(keypair, remote, muxer, protocols)
    }

    fn new(
        keypair: Keypair,
        remote: PeerId,
        mut muxer: StreamMuxerBox,
        protocols: &'static [&'static str],
    ) -> Self {
        let (open, mut to_open) = mpsc::channel::<oneshot::Sender<SubstreamBox>>(1000);
        let (accepted, incoming) = mpsc::channel(1000);
        let (alive, gone) = oneshot::channel();
        tokio::spawn(async move {
            let mut pending = std::collections::VecDeque::new();
            // Ends, and closes the connection, when the test drops its half or the other side hangs up.
            poll_fn(|cx| {
                loop {
                    match to_open.poll_recv(cx) {
                        Poll::Ready(Some(reply)) => pending.push_back(reply),
                        Poll::Ready(None) => return Poll::Ready(()),
                        Poll::Pending => break,
                    }
                }
                while !pending.is_empty() {
                    match muxer.poll_outbound_unpin(cx) {
                        Poll::Ready(Ok(stream)) => {
                            if let Some(reply) = pending.pop_front() {
                                drop(reply.send(stream));
                            }
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Pending => break,
                    }
                }
                while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                    let Ok(stream) = stream else {
                        return Poll::Ready(());
                    };
                    tokio::spawn(serve(stream, protocols, accepted.clone()));
                }
                match muxer.poll_unpin(cx) {
                    Poll::Ready(Err(_)) => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .await;
            drop(alive);
        });
        Self {
            keypair,
            remote,
            open,
            incoming,
            gone,
        }
    }

    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    /// Opens a stream for a protocol.
    pub async fn open(&self, protocol: &str) -> SubstreamBox {
        let mut stream = self.open_unnegotiated().await;
        stream.write_all(&proposal(protocol)).await.unwrap();
        stream.flush().await.unwrap();
        for line in ["/multistream/1.0.0", protocol] {
            assert_eq!(read_line(&mut stream).await.unwrap(), line);
        }
        stream
    }

    /// Opens a stream and says nothing on it.
    pub async fn open_unnegotiated(&self) -> SubstreamBox {
        let (reply, stream) = oneshot::channel();
        self.open.send(reply).await.unwrap();
        soon("a stream", stream).await.unwrap()
    }

    /// The next stream the other side has opened for one of our protocols.
    pub async fn incoming(&mut self, protocol: &str) -> SubstreamBox {
        soon("an incoming stream", async {
            loop {
                let (opened, stream) = self.incoming.recv().await.expect("connection is open");
                if opened == protocol {
                    return stream;
                }
            }
        })
        .await
    }

    /// Returns when the connection is gone.
    pub async fn closed(&mut self) {
        soon("the end of the connection", &mut self.gone)
            .await
            .unwrap_err();
    }

    /// Opens the discovery streams of both directions: to write on, and to read from.
    pub async fn discovery_streams(&mut self) -> (SubstreamBox, SubstreamBox) {
        let write = self.open(DISCOVERY).await;
        (write, self.incoming(DISCOVERY).await)
    }

    /// Does all of the handshake as an honest history node would.
    pub async fn handshake(&mut self) -> (SubstreamBox, SubstreamBox) {
        let (mut write, mut read) = self.discovery_streams().await;
        send(&mut write, &handshake(genesis())).await;
        let nonce = receive_handshake(&mut read).await;
        send(&mut write, &self.ack(&nonce, vec![])).await;
        let DiscoveryMessage::HandshakeAck { .. } = receive(&mut read).await else {
            panic!("expected an acknowledgement");
        };
        (write, read)
    }

    /// An honest acknowledgement, with these contacts.
    pub fn ack(
        &self,
        nonce: &ChallengeNonce,
        peer_contacts: Vec<SignedPeerContact>,
    ) -> DiscoveryMessage {
        DiscoveryMessage::HandshakeAck {
            peer_contact: contact(&self.keypair, vec![], full()),
            response_signature: self.keypair.tagged_sign(nonce),
            update_interval: Some(60),
            peer_contacts,
        }
    }
}

/// An honest handshake but for its genesis.
pub fn handshake(genesis_hash: Blake2bHash) -> DiscoveryMessage {
    DiscoveryMessage::Handshake {
        observed_address: listen_address(),
        challenge_nonce: ChallengeNonce::random(),
        genesis_hash,
        limit: 64,
        services: Services::empty(),
    }
}

/// A contact of this moment, or as good as.
pub fn contact(
    keypair: &Keypair,
    addresses: Vec<Multiaddr>,
    services: Services,
) -> SignedPeerContact {
    SignedPeerContact::sign(keypair, addresses, services, now_secs() - 1).unwrap()
}

pub async fn send(stream: &mut SubstreamBox, message: &DiscoveryMessage) {
    stream.write_all(&codec::encode(message)).await.unwrap();
    stream.flush().await.unwrap();
}

pub async fn receive(stream: &mut SubstreamBox) -> DiscoveryMessage {
    let mut header = [0; 12];
    soon("a header", stream.read_exact(&mut header))
        .await
        .unwrap();
    let size = u32::from_be_bytes(header[4..8].try_into().unwrap()) as usize;
    let mut body = vec![0; size];
    soon("a body", stream.read_exact(&mut body)).await.unwrap();
    DiscoveryMessage::deserialize_from_vec(&body).unwrap()
}

pub async fn receive_handshake(stream: &mut SubstreamBox) -> ChallengeNonce {
    match receive(stream).await {
        DiscoveryMessage::Handshake {
            challenge_nonce, ..
        } => challenge_nonce,
        message => panic!("expected a handshake, got {message:?}"),
    }
}

/// A frame of the request/response protocol.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u64).to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// What the opener of a stream says first.
pub fn proposal(protocol: &str) -> Vec<u8> {
    [
        multistream_line("/multistream/1.0.0"),
        multistream_line(protocol),
    ]
    .concat()
}

fn multistream_line(text: &str) -> Vec<u8> {
    let mut line = vec![u8::try_from(text.len() + 1).unwrap()];
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line
}

async fn read_line(stream: &mut SubstreamBox) -> io::Result<String> {
    let mut length = [0];
    stream.read_exact(&mut length).await?;
    assert!(length[0] < 128, "short lines only");
    let mut line = vec![0; usize::from(length[0])];
    stream.read_exact(&mut line).await?;
    line.pop();
    Ok(String::from_utf8(line).unwrap())
}

/// Negotiates a stream the other side has opened; answers pings, hands on the rest.
async fn serve(
    mut stream: SubstreamBox,
    protocols: &'static [&'static str],
    accepted: mpsc::Sender<(&'static str, SubstreamBox)>,
) {
    let negotiated: io::Result<&'static str> = async {
        loop {
            let line = read_line(&mut stream).await?;
            let ping: &[&'static str] = if protocols.contains(&NO_PING) {
                &[]
            } else {
                &[PING]
            };
            let known = protocols.iter().chain(ping).find(|known| **known == line);
            let answer = match known {
                None if line != "/multistream/1.0.0" => "na",
                _ => &line,
            };
            stream.write_all(&multistream_line(answer)).await?;
            stream.flush().await?;
            if let Some(known) = known {
                return Ok(*known);
            }
        }
    }
    .await;
    match negotiated {
        Ok(PING) => {
            let mut payload = [0; 32];
            while stream.read_exact(&mut payload).await.is_ok()
                && stream.write_all(&payload).await.is_ok()
                && stream.flush().await.is_ok()
            {}
        }
        Ok(protocol) => drop(accepted.send((protocol, stream)).await),
        // The connection is gone.
        Err(_) => {}
    }
}
