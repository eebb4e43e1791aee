//! One UDP socket that many clients reach us by. Which connection a datagram is of shows by where it
//! comes from; a request of STUN says by its user name which connection a new address belongs to.
//!
//! Everybody can send datagrams here, from whatever address they like to pretend. So nothing is made
//! for a client before it has received an answer of ours and begun with DTLS, and what is made then
//! makes room for others until the client is authenticated.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::Poll,
    time::Instant,
};

use futures::future::{Either, select};
use libp2p::PeerId;
use tokio::{
    io::ReadBuf,
    net::UdpSocket,
    sync::mpsc::{self, error::TrySendError},
    time::{sleep, timeout},
};

use super::{
    Context,
    driver::Driver,
    half_open::HalfOpen,
    link::{Datagram, Link},
    muxer::Muxer,
    rtc,
    state::{Channel, HANDSHAKE, Shared},
    stun::{self, Names},
};
use crate::{
    limits,
    transport::webrtc::handshake::{self, Role},
};

/// A client that is authenticated.
pub(super) struct Accepted {
    pub(super) peer: PeerId,
    pub(super) muxer: Muxer,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// What a connection tells the socket's task.
#[derive(Clone, Copy, Debug)]
enum Note {
    Authenticated(u64),
    Ended(u64),
}

struct Session {
    inbox: mpsc::Sender<Datagram>,
    names: Names,
    /// The first is the one that it began with.
    paths: Vec<SocketAddr>,
    authenticated: bool,
    /// When the last datagram of it came.
    heard: Instant,
}

impl Session {
    /// Whether it may have to go if somebody else comes from its address. Anybody can pretend to come from
    /// there, so it doesn't have to as long as it gives signs of life.
    fn is_doubtful(&self) -> bool {
        !self.authenticated || self.heard.elapsed() >= limits::WEBRTC_QUIET
    }
}

/// The task of a socket.
pub(super) struct Listener {
    context: Arc<Context>,
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    accepted: mpsc::Sender<Accepted>,
    sessions: HashMap<u64, Session>,
    by_address: HashMap<SocketAddr, u64>,
    by_names: HashMap<Names, u64>,
    /// Those not authenticated, the oldest first.
    pending: VecDeque<u64>,
    half_open: HalfOpen,
    last: u64,
    notes: mpsc::UnboundedReceiver<Note>,
    /// Each connection sends two notes at most.
    noting: mpsc::UnboundedSender<Note>,
}

impl Listener {
    pub(super) fn new(
        context: Arc<Context>,
        socket: UdpSocket,
        local: SocketAddr,
        accepted: mpsc::Sender<Accepted>,
    ) -> Self {
        let (noting, notes) = mpsc::unbounded_channel();
        Self {
            context,
            socket: Arc::new(socket),
            local,
            accepted,
            sessions: HashMap::new(),
            by_address: HashMap::new(),
            by_names: HashMap::new(),
            pending: VecDeque::new(),
            half_open: HalfOpen::new(limits::MAX_WEBRTC_HALF_OPEN),
            last: 0,
            notes,
            noting,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut space = [0; limits::MAX_WEBRTC_DATAGRAM];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            let event = poll_fn(|cx| {
                if let Poll::Ready(Some(note)) = self.notes.poll_recv(cx) {
                    return Poll::Ready(Either::Left(note));
                }
                self.socket
                    .poll_recv_from(cx, &mut buffer)
                    .map(Either::Right)
            })
            .await;
            match event {
                Either::Left(note) => self.on_note(note),
                Either::Right(Ok(from)) => self.on_datagram(from, buffer.filled()),
                // Something that was sent didn't arrive. It says nothing about the socket.
                Either::Right(Err(error)) => log::trace!("UDP: {error}"),
            }
        }
    }

    fn on_note(&mut self, note: Note) {
        match note {
            Note::Authenticated(id) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.authenticated = true;
                    self.pending.retain(|pending| *pending != id);
                }
            }
            Note::Ended(id) => self.remove(id),
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        for path in &session.paths {
            self.by_address.remove(path);
        }
        self.by_names.remove(&session.names);
        if !session.authenticated {
            self.pending.retain(|pending| *pending != id);
        }
    }

    // --- Datagrams ----------------------------------------------------------------------------------

    fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.context.counters.add_received(bytes.len());
        if let Some(id) = self.by_address.get(&from).copied() {
            if !self.is_other_client(id, bytes) {
                return self.pass(id, from, bytes);
            }
            if !self.sessions.get(&id).is_none_or(Session::is_doubtful) {
                return;
            }
            self.remove(id);
        }
        if stun::is_stun(bytes) {
            self.on_request(from, bytes);
        } else if stun::is_client_hello(bytes) {
            self.on_client_hello(from, bytes);
        }
    }

    /// Whether somebody new comes from an address where somebody else is, or was: a client that went
    /// without a goodbye, and whose port another one has got since.
    fn is_other_client(&self, id: u64, bytes: &[u8]) -> bool {
        stun::is_stun(bytes)
            && self.sessions.get(&id).is_some_and(|session| {
                stun::names_of(bytes, &self.context.crypto)
                    .is_some_and(|names| names != session.names)
            })
    }

    /// Hands a datagram to its connection. What doesn't fit is lost, as on any other way.
    fn pass(&mut self, id: u64, from: SocketAddr, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.heard = Instant::now();
        let datagram = Datagram {
            from,
            bytes: bytes.to_vec(),
        };
        if let Err(TrySendError::Closed(_)) = session.inbox.try_send(datagram) {
            self.remove(id);
        }
    }

    fn on_request(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Some(names) = stun::names_of(bytes, &self.context.crypto) else {
            return;
        };
        if let Some(id) = self.by_names.get(&names).copied() {
            return self.add_path(id, from, &[bytes]);
        }
        let Some(answer) = stun::answer(bytes, &names, from, &self.context.crypto) else {
            return;
        };
        // If there is no room for it, it is as if it were lost.
        if self.socket.try_send_to(&answer, from).is_ok() {
            self.context.counters.add_sent(answer.len());
        }
        self.half_open.insert(from, names, bytes);
    }

    fn on_client_hello(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Some((names, request)) = self.half_open.remove(from) else {
            return;
        };
        match self.by_names.get(&names).copied() {
            Some(id) => self.add_path(id, from, &[&request, bytes]),
            None => self.begin(from, names, &[&request, bytes]),
        }
    }

    /// A connection is reached by another address as well: its client has several networks, or another
    /// one now.
    fn add_path(&mut self, id: u64, from: SocketAddr, datagrams: &[&[u8]]) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.paths.len() < limits::MAX_WEBRTC_PATHS {
            session.paths.push(from);
            self.by_address.insert(from, id);
            for bytes in datagrams {
                self.pass(id, from, bytes);
            }
        }
    }

    // --- Connections --------------------------------------------------------------------------------

    fn begin(&mut self, from: SocketAddr, names: Names, datagrams: &[&[u8]]) {
        if self.pending.len() >= limits::MAX_WEBRTC_PENDING
            && let Some(victim) = self.victim()
        {
            self.remove(victim);
        }
        if self.sessions.len() >= limits::MAX_WEBRTC_SESSIONS {
            return;
        }
        self.last += 1;
        let id = self.last;
        let (inbox, outbox) = mpsc::channel(limits::WEBRTC_DATAGRAM_QUEUE);
        let session = Session {
            inbox,
            names: names.clone(),
            paths: vec![from],
            authenticated: false,
            heard: Instant::now(),
        };
        self.sessions.insert(id, session);
        self.by_address.insert(from, id);
        self.by_names.insert(names.clone(), id);
        self.pending.push_back(id);
        for bytes in datagrams {
            self.pass(id, from, bytes);
        }
        let link = Link::shared(
            Arc::clone(&self.socket),
            self.local,
            outbox,
            Arc::clone(&self.context.counters),
        );
        let serve = serve(
            Arc::clone(&self.context),
            link,
            from,
            names,
            Notes {
                id,
                sender: self.noting.clone(),
            },
            self.accepted.clone(),
        );
        tokio::spawn(Box::pin(serve));
    }

    /// Who makes room: the oldest of the host that has most of those that are not authenticated.
    fn victim(&self) -> Option<u64> {
        let mut hosts: HashMap<IpAddr, (usize, u64)> = HashMap::new();
        for id in &self.pending {
            if let Some(path) = self.sessions.get(id).and_then(|it| it.paths.first()) {
                hosts.entry(host_of(path.ip())).or_insert((0, *id)).0 += 1;
            }
        }
        // Of those that have equally many, the oldest.
        let most = hosts
            .into_values()
            .max_by_key(|(count, oldest)| (*count, u64::MAX - oldest));
        most.map(|(_, oldest)| oldest)
    }
}

/// Who has one IPv6 address has at least 2^64 of them.
fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
    }
}

/// Tells the socket's task about a connection, also that it has ended.
struct Notes {
    id: u64,
    sender: mpsc::UnboundedSender<Note>,
}

impl Notes {
    fn authenticated(&self) {
        // Without the task there is nobody to be told.
        let _ = self.sender.send(Note::Authenticated(self.id));
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let _ = self.sender.send(Note::Ended(self.id));
    }
}

/// One connection, from the first datagram to the last.
async fn serve(
    context: Arc<Context>,
    link: Link,
    remote: SocketAddr,
    names: Names,
    notes: Notes,
    accepted: mpsc::Sender<Accepted>,
) {
    let local = link.local();
    let certificate = context.certificate.for_dtls();
    let Some(prepared) = rtc::server(&context.crypto, certificate, &names, local) else {
        return;
    };
    let shared = Shared::new();
    let (driver, connected) = Driver::new(prepared, link, Arc::clone(&shared));
    let setup = async {
        let muxer = Muxer::new(Arc::clone(&shared));
        let connected = timeout(limits::WEBRTC_CONNECT_TIMEOUT, connected).await;
        let client = connected.ok()?.ok()?;
        if names.is_slow_to_listen() {
            sleep(limits::WEBRTC_SLOW_LISTENER).await;
        }
        let channel = Channel::new(&shared, HANDSHAKE);
        let server = context.certificate.fingerprint();
        let peer =
            handshake::handshake(&context.identity, channel, Role::Server, client, server).await;
        let peer = peer
            .inspect_err(|error| log::debug!("handshake with {remote} failed: {error}"))
            .ok()?;
        notes.authenticated();
        let client = Accepted {
            peer,
            muxer,
            local,
            remote,
        };
        // If nobody takes it in time, it is closed by being dropped.
        let taken = timeout(limits::WEBRTC_CONNECT_TIMEOUT, accepted.send(client)).await;
        taken.ok()?.ok()
    };
    if let Either::Right((_, driver)) = select(Box::pin(driver.run()), Box::pin(setup)).await {
        driver.await;
    }
}
