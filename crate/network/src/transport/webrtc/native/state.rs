//! What a connection and its streams share: the messages on their way in and out. Streams are read and
//! written wherever they are; the one task that drives the connection does the rest.

mod channel;

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use thiserror::Error;

pub(super) use self::channel::Channel;
use crate::limits;

/// Which channel of a connection. Never used again, unlike the numbers on the wire.
pub(super) type Key = u32;

/// The channel of the handshake.
pub(super) const HANDSHAKE: Key = 0;

/// Why a connection is over.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum End {
    /// We have closed it.
    #[error("closed")]
    Closed,
    /// The other side has closed it.
    #[error("closed by the other side")]
    ClosedByPeer,
    /// Nothing comes any more.
    #[error("the other side is gone")]
    Gone,
    /// The system says that nobody listens there.
    #[error("nobody listens there")]
    Refused,
    /// The certificate is another one than the address names.
    #[error("the certificate there is not the one that /certhash names")]
    Certificate,
    /// The other side doesn't keep to the protocol.
    #[error("{0}")]
    Failed(String),
}

impl From<End> for io::Error {
    fn from(end: End) -> Self {
        let kind = match end {
            End::Closed => io::ErrorKind::NotConnected,
            End::ClosedByPeer => io::ErrorKind::ConnectionReset,
            End::Gone => io::ErrorKind::TimedOut,
            End::Refused => io::ErrorKind::ConnectionRefused,
            End::Certificate | End::Failed(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, end)
    }
}

#[derive(Default)]
struct Entry {
    /// Messages can be sent.
    open: bool,
    /// Nothing more comes.
    ended: bool,
    /// Nobody here wants it any more.
    closing: bool,
    /// The driver has been told that there is something to do.
    listed: bool,
    /// Given up, for this reason.
    failure: Option<io::ErrorKind>,
    incoming: VecDeque<Vec<u8>>,
    incoming_bytes: usize,
    outgoing: VecDeque<Vec<u8>>,
    outgoing_bytes: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Entry {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    last: Key,
    /// What the driver is to look at.
    work: VecDeque<Key>,
    /// Opened by the other side, and not taken yet.
    untaken: VecDeque<Key>,
    /// Channels that exist, also those that nobody here wants any more.
    ours: usize,
    theirs: usize,
    /// Bytes that wait to be read, and to be sent.
    unread: usize,
    unsent: usize,
    closing: bool,
    end: Option<End>,
    taker: Option<Waker>,
    opener: Option<Waker>,
    watcher: Option<Waker>,
    closer: Option<Waker>,
}

impl State {
    fn list(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.listed
        {
            entry.listed = true;
            self.work.push_back(key);
        }
    }

    /// Forgets what waits to be read.
    fn discard(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key) {
            self.unread -= entry.incoming_bytes;
            entry.incoming_bytes = 0;
            entry.incoming.clear();
        }
    }

    fn remove(&mut self, key: Key) {
        self.discard(key);
        if let Some(entry) = self.entries.remove(&key) {
            self.unsent -= entry.outgoing_bytes;
        }
    }

    fn wake_writers(&mut self) {
        for entry in self.entries.values_mut() {
            if let Some(writer) = entry.writer.take() {
                writer.wake();
            }
        }
    }
}

/// The state of a connection.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Of the driver.
    driver: AtomicWaker,
}

/// What the driver finds when it looks at a channel.
pub(super) enum Next {
    /// It is to be opened.
    Open,
    /// Send this, and say [`Shared::sent`].
    Send(Vec<u8>),
    /// It is to be closed.
    Close,
    /// Nothing.
    Nothing,
}

impl Shared {
    /// A connection with the channel of the handshake.
    pub(super) fn new() -> Arc<Self> {
        let mut state = State {
            ours: 1,
            ..State::default()
        };
        state.entries.insert(HANDSHAKE, Entry::default());
        Arc::new(Self {
            state: Mutex::new(state),
            driver: AtomicWaker::new(),
        })
    }

    // --- For the driver ---------------------------------------------------------------------------

    /// Whether there is something to do; if not, the driver is woken when there is.
    pub(super) fn poll_work(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.driver.register(cx.waker());
        let state = self.state.lock();
        if state.work.is_empty() && !state.closing {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// The next channel with something to do.
    pub(super) fn next_work(&self) -> Option<Key> {
        let mut state = self.state.lock();
        let key = state.work.pop_front()?;
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.listed = false;
        }
        Some(key)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Whether so much waits to be read that more had better not come yet.
    pub(super) fn is_behind(&self) -> bool {
        self.state.lock().unread > limits::WEBRTC_READ_BUFFER
    }

    /// What is to be done about a channel; `opened` if that has begun already.
    pub(super) fn next(&self, key: Key, opened: bool) -> Next {
        let mut state = self.state.lock();
        let Some(entry) = state.entries.get_mut(&key) else {
            return Next::Nothing;
        };
        if entry.ended {
            return Next::Nothing;
        }
        if !opened {
            return Next::Open;
        }
        if !entry.open {
            return Next::Nothing;
        }
        match entry.outgoing.pop_front() {
            Some(message) => Next::Send(message),
            None if entry.closing => Next::Close,
            None => Next::Nothing,
        }
    }

    /// A message was taken over.
    pub(super) fn sent(&self, key: Key, bytes: usize) {
        let mut state = self.state.lock();
        let was_full = state.unsent >= limits::MAX_WEBRTC_WRITE_BUFFER;
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.outgoing_bytes -= bytes;
            if entry.outgoing_bytes < limits::WEBRTC_WRITE_BUFFER
                && let Some(writer) = entry.writer.take()
            {
                writer.wake();
            }
            state.unsent -= bytes;
        }
        if was_full && state.unsent < limits::MAX_WEBRTC_WRITE_BUFFER {
            state.wake_writers();
        }
    }

    /// A message could not be taken over yet.
    pub(super) fn unsend(&self, key: Key, message: Vec<u8>) {
        if let Some(entry) = self.state.lock().entries.get_mut(&key) {
            entry.outgoing.push_front(message);
        }
    }

    /// A channel of ours is open.
    pub(super) fn opened(&self, key: Key) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.open = true;
            entry.wake();
        }
        state.list(key);
    }

    /// The other side has opened a channel. `None`: there are too many.
    pub(super) fn opened_by_peer(&self) -> Option<Key> {
        let mut state = self.state.lock();
        if state.closing
            || state.untaken.len() >= limits::MAX_UNTAKEN_STREAMS
            || state.theirs >= 2 * limits::MAX_WEBRTC_STREAMS
        {
            return None;
        }
        state.last += 1;
        state.theirs += 1;
        let key = state.last;
        state.entries.insert(
            key,
            Entry {
                open: true,
                ..Entry::default()
            },
        );
        state.untaken.push_back(key);
        if let Some(taker) = state.taker.take() {
            taker.wake();
        }
        Some(key)
    }

    /// A message has arrived. The channel that is to be given up because nobody reads it, if any.
    pub(super) fn received(&self, key: Key, message: Vec<u8>) -> Option<Key> {
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(&key)?;
        if entry.closing || entry.ended {
            return None;
        }
        let cost = message.len() + limits::WEBRTC_MESSAGE_COST;
        entry.incoming.push_back(message);
        entry.incoming_bytes += cost;
        if let Some(reader) = entry.reader.take() {
            reader.wake();
        }
        state.unread += cost;
        // Not everybody who will read has asked yet: having answered one ping, libp2p's handler doesn't
        // look for the next before it is polled again, which on a byte stream anything that arrives does.
        if let Some(watcher) = state.watcher.take() {
            watcher.wake();
        }
        if state.unread <= limits::MAX_WEBRTC_READ_BUFFER {
            return None;
        }
        let most = state
            .entries
            .iter()
            .max_by_key(|(_, entry)| entry.incoming_bytes);
        let slow = *most?.0;
        state.discard(slow);
        if let Some(entry) = state.entries.get_mut(&slow) {
            entry.failure = Some(io::ErrorKind::ConnectionAborted);
            entry.ended = true;
            entry.wake();
        }
        Some(slow)
    }

    /// A channel doesn't exist any more; `ours` if we have opened it.
    pub(super) fn closed(&self, key: Key, ours: bool) {
        let mut state = self.state.lock();
        if ours {
            state.ours -= 1;
            if let Some(opener) = state.opener.take() {
                opener.wake();
            }
        } else {
            state.theirs -= 1;
        }
        let Some(entry) = state.entries.get_mut(&key) else {
            return;
        };
        entry.ended = true;
        entry.wake();
        if entry.closing {
            state.remove(key);
        }
    }

    /// The connection is over.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        state.work.clear();
        for entry in state.entries.values_mut() {
            entry.ended = true;
            entry.wake();
        }
        let keys: Vec<Key> = state
            .entries
            .iter()
            .filter(|(_, entry)| entry.closing)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            state.remove(key);
        }
        let wakers = [
            state.taker.take(),
            state.opener.take(),
            state.watcher.take(),
            state.closer.take(),
        ];
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    // --- For the muxer ----------------------------------------------------------------------------

    /// Why the connection is over, if it is.
    pub(super) fn ended(&self) -> Option<End> {
        self.state.lock().end.clone()
    }

    /// Until the connection is over.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.state.lock();
        match &state.end {
            Some(end) => Poll::Ready(end.clone()),
            None => {
                state.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Says goodbye, and waits until that is done.
    pub(super) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        state.closer = Some(cx.waker().clone());
        state.closing = true;
        self.driver.wake();
        Poll::Pending
    }

    /// Says goodbye.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.driver.wake();
    }

    /// The next channel that the other side has opened.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<Result<Key, End>> {
        let mut state = self.state.lock();
        if let Some(key) = state.untaken.pop_front() {
            return Poll::Ready(Ok(key));
        }
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        state.taker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A new channel, as soon as there are not too many.
    pub(super) fn poll_new(&self, cx: &mut Context<'_>) -> Poll<Result<Key, End>> {
        let mut state = self.state.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        if state.ours >= limits::MAX_WEBRTC_STREAMS {
            state.opener = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.last += 1;
        state.ours += 1;
        let key = state.last;
        state.entries.insert(key, Entry::default());
        state.list(key);
        self.driver.wake();
        Poll::Ready(Ok(key))
    }
}
