//! Those that behave badly, and what becomes of them.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum;
use futures::{AsyncWriteExt as _, StreamExt, future::join_all, stream};
use hmac::{Hmac, Mac};
use libp2p::multiaddr::Protocol;
use nimiq_consensus::messages::RequestHead;
use nimiq_network_interface::{
    network::Network as _,
    request::{InboundRequestError, RequestError},
};
use parking_lot::Mutex;
use pico_network::{Multiaddr, PeerId};
use rand::random;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    clients::{is_webrtc, network},
    raw::Raw,
};

/// Offenders at once, for each address.
const OFFENDERS: usize = 16;
/// Requests that each flooder has open.
const FLOOD_WIDTH: usize = 32;
/// Connections that are begun and left there, for each address.
const HALF_OPEN: usize = 500;
/// How often datagrams are sent for each that is left open.
const HALF_OPEN_EVERY: Duration = Duration::from_millis(500);
/// Connections that are attempted in all, and at once.
const ATTEMPTS: usize = 10_000;
const ATTEMPTS_AT_ONCE: usize = 200;
/// Requests that slow readers ask before they stop reading.
const SLOW_REQUESTS: usize = 40;
/// How long an offender waits for what happens to it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pause after nobody answers, so that the machine is not busy with that alone.
const PAUSE: Duration = Duration::from_millis(50);

/// Ways to behave badly.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Offence {
    /// Requests that announce 8 GiB.
    OversizedFrames,
    /// Requests as fast as they go.
    RequestFlood,
    /// Connections that are begun and never finished.
    HalfOpen,
    /// Clients that ask much and read nothing.
    SlowReaders,
    /// 10,000 connections that are begun and dropped.
    ConnectionAttempts,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What is going on until it is stopped.
#[derive(Clone)]
pub(crate) struct Attack {
    offence: Offence,
    addresses: Vec<Multiaddr>,
    stopped: watch::Sender<bool>,
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Attack {
    pub(crate) fn new(offence: Offence, addresses: Vec<Multiaddr>) -> Self {
        Self {
            offence,
            addresses,
            stopped: watch::Sender::new(false),
            counts: Arc::default(),
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// What was done, and what came of it.
    pub(crate) fn told(&self) -> Value {
        json!(*self.counts.lock())
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    pub(crate) async fn run(&self) {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            // The sender is ours.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.go() => {}
        }
    }

    async fn go(&self) {
        let width = match self.offence {
            Offence::HalfOpen => HALF_OPEN,
            Offence::ConnectionAttempts => return self.attempt().await,
            _ => OFFENDERS,
        };
        let offenders = self.addresses.iter().flat_map(|address| {
            (0..width).map(move |_| async move {
                loop {
                    if self.offend(address).await.is_err() {
                        self.count("refused");
                        sleep(PAUSE).await;
                    }
                }
            })
        });
        join_all(offenders).await;
    }

    async fn offend(&self, address: &Multiaddr) -> io::Result<()> {
        match self.offence {
            // The streams of WebRTC have no frames that are longer than their messages.
            Offence::OversizedFrames if is_webrtc(address) => std::future::pending().await,
            Offence::OversizedFrames => self.oversized(address).await,
            Offence::RequestFlood => self.flood(address).await,
            Offence::HalfOpen if is_webrtc(address) => self.half_open_webrtc(address).await,
            Offence::HalfOpen => self.half_open(address).await,
            Offence::SlowReaders if is_webrtc(address) => self.slow_webrtc(address).await,
            Offence::SlowReaders => self.slow(address).await,
            Offence::ConnectionAttempts => Ok(()),
        }
    }

    async fn oversized(&self, address: &Multiaddr) -> io::Result<()> {
        let raw = Raw::dial(address).await?;
        self.count("connections");
        let mut stream = raw.open().await?;
        stream.write_all(&(8_u64 << 30).to_be_bytes()).await?;
        stream.write_all(&[0; 4096]).await?;
        stream.flush().await?;
        self.count("frames");
        self.ended(timeout(PATIENCE, raw.closed()).await.is_ok());
        Ok(())
    }

    fn ended(&self, by_them: bool) {
        self.count(if by_them { "disconnected" } else { "kept" });
    }

    async fn flood(&self, address: &Multiaddr) -> io::Result<()> {
        let client = network().map_err(io::Error::other)?;
        let peer = client
            .dial(address.clone())
            .await
            .map_err(io::Error::other)?;
        self.count("connections");
        let ask = || async {
            while client.has_peer(peer) {
                match client.request(RequestHead {}, peer).await {
                    Ok(_) => self.count("answers"),
                    Err(RequestError::InboundRequest(InboundRequestError::ExceedsRateLimit)) => {
                        self.count("rate limited");
                    }
                    Err(_) => {
                        self.count("failed");
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        join_all((0..FLOOD_WIDTH).map(|_| ask())).await;
        self.count("disconnected");
        Ok(())
    }

    async fn half_open(&self, address: &Multiaddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(socket_of(address)?).await?;
        self.count("connections");
        if random() {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await?;
        }
        let read = timeout(PATIENCE, stream.read(&mut [0; 64])).await;
        self.ended(read.is_ok());
        Ok(())
    }

    async fn half_open_webrtc(&self, address: &Multiaddr) -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(socket_of(address)?).await?;
        let user = user();
        self.count("connections");
        for _ in 0..PATIENCE.as_millis() / HALF_OPEN_EVERY.as_millis() {
            socket.send(&binding_request(&user)?).await?;
            sleep(HALF_OPEN_EVERY).await;
            socket.send(&client_hello()).await?;
        }
        Ok(())
    }

    /// A client that has joined, and reads nothing once it has asked.
    async fn slow(&self, address: &Multiaddr) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let through = listener.local_addr()?;
        let target = socket_of(address)?;
        let (paused, pause) = watch::channel(false);
        let relay = async {
            let (inner, _) = listener.accept().await?;
            let outer = TcpStream::connect(target).await?;
            let (mut from_client, mut to_client) = inner.into_split();
            let (mut from_gateway, mut to_gateway) = outer.into_split();
            let up = tokio::io::copy(&mut from_client, &mut to_gateway);
            let down = async {
                let mut buffer = vec![0; 16 * 1024];
                loop {
                    let length = from_gateway.read(&mut buffer).await?;
                    if length == 0 {
                        return Ok(());
                    }
                    if *pause.borrow() {
                        return std::future::pending().await;
                    }
                    to_client.write_all(&buffer[..length]).await?;
                }
            };
            tokio::try_join!(up, down).map(drop)
        };
        let dialled = moved(address, through);
        tokio::select! {
            relayed = relay => relayed.map(|()| self.ended(true)),
            asked = self.ask_much(&dialled, &paused) => asked,
        }
    }

    async fn slow_webrtc(&self, address: &Multiaddr) -> io::Result<()> {
        let inner = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let through = inner.local_addr()?;
        let outer = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        outer.connect(socket_of(address)?).await?;
        let (paused, pause) = watch::channel(false);
        let relay = async {
            let mut client = None;
            let (mut up, mut down) = ([0; 2048], [0; 2048]);
            loop {
                tokio::select! {
                    received = inner.recv_from(&mut up) => {
                        let (length, from) = received?;
                        client = Some(from);
                        outer.send(&up[..length]).await?;
                    }
                    received = outer.recv(&mut down), if !*pause.borrow() => {
                        let length = received?;
                        if let Some(client) = client {
                            inner.send_to(&down[..length], client).await?;
                        }
                    }
                }
            }
        };
        let dialled = moved(address, through);
        tokio::select! {
            relayed = relay => relayed,
            asked = self.ask_much(&dialled, &paused) => asked,
        }
    }

    async fn ask_much(&self, address: &Multiaddr, paused: &watch::Sender<bool>) -> io::Result<()> {
        let client = network().map_err(io::Error::other)?;
        let dialled = timeout(PATIENCE, client.dial(address.clone())).await?;
        let peer: PeerId = dialled.map_err(io::Error::other)?;
        self.count("connections");
        paused.send_replace(true);
        let ask = || async {
            // Nothing comes of it.
            drop(timeout(PATIENCE, client.request(RequestHead {}, peer)).await);
            self.count("requests");
        };
        join_all((0..SLOW_REQUESTS).map(|_| ask())).await;
        self.ended(!client.has_peer(peer));
        Ok(())
    }

    async fn attempt(&self) {
        stream::iter(0..ATTEMPTS)
            .for_each_concurrent(ATTEMPTS_AT_ONCE, |i| async move {
                let address = &self.addresses[i % self.addresses.len()];
                let attempt = if is_webrtc(address) {
                    self.greet_webrtc(address).await
                } else {
                    self.greet(address).await
                };
                self.count(if attempt.is_ok() {
                    "attempts"
                } else {
                    "refused"
                });
            })
            .await;
    }

    async fn greet(&self, address: &Multiaddr) -> io::Result<()> {
        let connecting = TcpStream::connect(socket_of(address)?);
        let mut stream = timeout(PATIENCE, connecting).await??;
        let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await?;
        let mut answer = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
        if answer == *b"HTTP/1.1 101" {
            self.count("upgraded");
        }
        Ok(())
    }

    async fn greet_webrtc(&self, address: &Multiaddr) -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(socket_of(address)?).await?;
        socket.send(&binding_request(&user())?).await?;
        // The answer shows that it was understood.
        timeout(PATIENCE, socket.recv(&mut [0; 512])).await??;
        self.count("answered");
        socket.send(&client_hello()).await?;
        Ok(())
    }
}

/// Where an address leads to.
fn socket_of(address: &Multiaddr) -> io::Result<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Err(io::Error::other("no IP address")),
    };
    match parts.next() {
        Some(Protocol::Tcp(port) | Protocol::Udp(port)) => Ok(SocketAddr::new(ip, port)),
        _ => Err(io::Error::other("no port")),
    }
}

/// The same address at another socket.
fn moved(address: &Multiaddr, to: SocketAddr) -> Multiaddr {
    let moved = address.iter().map(|part| match part {
        Protocol::Ip4(_) | Protocol::Ip6(_) => Protocol::from(to.ip()),
        Protocol::Tcp(_) => Protocol::Tcp(to.port()),
        Protocol::Udp(_) => Protocol::Udp(to.port()),
        part => part,
    });
    moved.collect()
}

/// A name as clients of webrtc-direct choose it.
fn user() -> String {
    format!("libp2p+webrtc+v1/{:032x}", random::<u128>())
}

/// The first datagram of a connection by webrtc-direct: a STUN request by that user, signed.
fn binding_request(user: &str) -> io::Result<Vec<u8>> {
    let name = format!("{user}:{user}");
    let length = |length: usize| u16::try_from(length).unwrap_or_default().to_be_bytes();
    let mut attributes = vec![0, 6];
    attributes.extend(length(name.len()));
    attributes.extend(name.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    // Its priority among others.
    attributes.extend([0, 0x24, 0, 4, 0x6e, 0xff, 0xff, 0xff]);
    let mut message = vec![0, 1];
    // With the signature, which is an attribute, too.
    message.extend(length(attributes.len() + 24));
    message.extend(0x2112_a442_u32.to_be_bytes());
    message.extend(random::<[u8; 12]>());
    message.extend(attributes);
    let mut signature = Hmac::<Sha1>::new_from_slice(user.as_bytes()).map_err(io::Error::other)?;
    signature.update(&message);
    message.extend([0, 8]);
    message.extend(length(20));
    message.extend(signature.finalize().into_bytes());
    Ok(message)
}

/// What looks like the beginning of a DTLS handshake, and isn't any.
fn client_hello() -> Vec<u8> {
    let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 1];
    datagram.extend(random::<[u8; 32]>());
    datagram.resize(113, 0);
    datagram
}
