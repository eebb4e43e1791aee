//! Gossip on one connection: one stream that is only written to, and one that is only read.

use std::{
    array,
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use super::rpc::{self, Frame, Item};
use crate::limits;

/// What the handler reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// What the peer says.
    Items(Vec<Item>),
    /// The peer says what is no RPC.
    Malformed,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// Whether it can be left out if the peer is slow.
    pub(crate) optional: bool,
}

/// Agrees on a version of the protocol. To those who know them, they differ in what there is to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrade;

impl UpgradeInfo for Upgrade {
    type Info = &'static str;
    type InfoIter = array::IntoIter<&'static str, 3>;

    fn protocol_info(&self) -> Self::InfoIter {
        limits::GOSSIP_PROTOCOLS.into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, _: &'static str) -> Self::Future {
        ready(Ok(stream))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: &'static str) -> Self::Future {
        ready(Ok(stream))
    }
}

/// Gossip on one connection.
pub(crate) struct Handler {
    reader: Option<Reader<Stream>>,
    writer: Writer<Stream>,
    /// Whether the stream to write to has been asked for and is not there yet.
    opening: bool,
    /// Streams so far. More than one each means that something goes wrong again and again.
    opened: usize,
    accepted: usize,
}

impl Handler {
    /// At most so many bytes wait for a peer that reads slowly.
    pub(crate) fn new(queue_bytes: usize) -> Self {
        Self {
            reader: None,
            writer: Writer::new(queue_bytes),
            opening: false,
            opened: 0,
            accepted: 0,
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Outgoing;
    type ToBehaviour = Report;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade, ())
    }

    fn on_behaviour_event(&mut self, outgoing: Outgoing) {
        self.writer.queue(outgoing);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) => {
                self.accepted += 1;
                // A new stream stands for the old one; a peer that goes on opening them isn't heard.
                self.reader =
                    (self.accepted <= limits::MAX_GOSSIP_STREAMS).then(|| Reader::new(protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol, ..
            }) => {
                self.opening = false;
                self.writer.io = Some(protocol);
            }
            ConnectionEvent::DialUpgradeError(error) => {
                self.opening = false;
                // Without the protocol it takes no messages. Otherwise what waits is worth another try.
                if matches!(error.error, StreamUpgradeError::NegotiationFailed) {
                    self.opened = limits::MAX_GOSSIP_STREAMS;
                }
            }
            _ => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, (), Report>> {
        if let Poll::Ready(Err(Broken)) = self.writer.poll_drain(cx) {
            self.writer.io = None;
        }
        if self.writer.io.is_none() && !self.writer.frames.is_empty() && !self.opening {
            if self.opened < limits::MAX_GOSSIP_STREAMS {
                self.opened += 1;
                self.opening = true;
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: self.listen_protocol(),
                });
            }
            self.writer.clear();
        }
        let Some(reader) = self.reader.as_mut() else {
            return Poll::Pending;
        };
        let report = match ready!(reader.poll_frame(cx)) {
            Ok(frame) => rpc::decode(&frame).map(Report::Items),
            Err(End::Malformed) => Err(rpc::Malformed),
            Err(End::Closed) => {
                self.reader = None;
                return Poll::Pending;
            }
        };
        let report = report.unwrap_or_else(|rpc::Malformed| {
            self.reader = None;
            Report::Malformed
        });
        Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report))
    }
}

/// Why there is nothing more to read.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Malformed,
}

/// Reads frames: a length as a varint, and as many bytes.
struct Reader<R> {
    io: R,
    /// The length as far as it is known, and how many bits of it are.
    length: usize,
    bits: u32,
    has_length: bool,
    body: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(io: R) -> Self {
        Self {
            io,
            length: 0,
            bits: 0,
            has_length: false,
            body: Vec::new(),
        }
    }

    /// The next frame. Memory is taken as the bytes arrive, not as they are announced.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, End>> {
        let mut chunk = [0; 4096];
        loop {
            let wanted = if !self.has_length {
                1
            } else if self.body.len() < self.length {
                chunk.len().min(self.length - self.body.len())
            } else {
                let body = std::mem::take(&mut self.body);
                (self.length, self.bits, self.has_length) = (0, 0, false);
                return Poll::Ready(Ok(body));
            };
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk[..wanted]));
            let Some(bytes) = read.ok().and_then(|n| chunk.get(..n)) else {
                return Poll::Ready(Err(End::Closed));
            };
            match (bytes, self.has_length) {
                // Within a frame as well: that is how connections break.
                ([], _) => return Poll::Ready(Err(End::Closed)),
                ([byte, ..], false) => {
                    self.length |= usize::from(byte & 0x7f) << self.bits;
                    self.bits += 7;
                    self.has_length = byte & 0x80 == 0;
                    // Three bytes hold every length that is allowed.
                    if self.length > limits::MAX_GOSSIP_BYTES || self.bits >= 21 && !self.has_length
                    {
                        return Poll::Ready(Err(End::Malformed));
                    }
                }
                (bytes, true) => self.body.extend_from_slice(bytes),
            }
        }
    }
}

/// The stream broke.
#[derive(Debug)]
struct Broken;

/// Writes frames. Those that wait are bounded in number and bytes.
struct Writer<W> {
    io: Option<W>,
    frames: VecDeque<Frame>,
    bytes: usize,
    max_bytes: usize,
    /// How much of the first frame is written.
    written: usize,
    dirty: bool,
}

impl<W> Writer<W> {
    fn new(max_bytes: usize) -> Self {
        Self {
            io: None,
            frames: VecDeque::new(),
            bytes: 0,
            max_bytes,
            written: 0,
            dirty: false,
        }
    }

    /// Queues a frame, unless the peer reads too slowly. What is not optional gets more room: who
    /// doesn't read even that is on its way out by its unanswered pings.
    fn queue(&mut self, Outgoing { frame, optional }: Outgoing) {
        let room = if optional { 1 } else { 2 };
        if self.frames.len() < room * limits::GOSSIP_SEND_QUEUE
            && self.bytes + frame.len() <= room * self.max_bytes
        {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
        self.written = 0;
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes and flushes what is queued. A frame that a stream broke in is sent again on the next one.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let Some(io) = self.io.as_mut() else {
            self.written = 0;
            return Poll::Ready(Ok(()));
        };
        while let Some(rest) = self.frames.front().and_then(|f| f.get(self.written..)) {
            if rest.is_empty() {
                self.bytes -= self.written;
                self.written = 0;
                self.frames.pop_front();
                continue;
            }
            match ready!(Pin::new(&mut *io).poll_write(cx, rest)) {
                Ok(n) if n > 0 => {
                    self.written += n;
                    self.dirty = true;
                }
                _ => return Poll::Ready(Err(Broken)),
            }
        }
        if self.dirty {
            if ready!(Pin::new(io).poll_flush(cx)).is_err() {
                return Poll::Ready(Err(Broken));
            }
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;

    use futures::{executor::block_on, future::poll_fn, io::Cursor, task::noop_waker_ref};

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Result<Vec<u8>, End>> {
        let mut reader = Reader::new(Cursor::new(bytes));
        let mut frames = Vec::new();
        loop {
            frames.push(block_on(poll_fn(|cx| reader.poll_frame(cx))));
            if frames.last().is_some_and(Result::is_err) {
                return frames;
            }
        }
    }

    #[test]
    fn frames_have_a_length_and_end_with_the_stream() {
        let long = [vec![0x80, 0x28], vec![7; 5120]].concat();
        let bytes = [&[2, 1, 2, 0][..], &long].concat();
        assert_eq!(
            read(&bytes),
            [
                Ok(vec![1, 2]),
                Ok(vec![]),
                Ok(vec![7; 5120]),
                Err(End::Closed)
            ]
        );
        // Cut off in the length, or in what it announces.
        assert_eq!(read(&[0x80]), [Err(End::Closed)]);
        assert_eq!(read(&[3, 1, 2]), [Err(End::Closed)]);
    }

    #[test]
    fn lengths_beyond_the_limit_are_no_frames() {
        // 1 MiB and not a byte more; and no length takes four bytes.
        assert_eq!(read(&[0x80, 0x80, 0x40]), [Err(End::Closed)]);
        assert_eq!(read(&[0x81, 0x80, 0x40]), [Err(End::Malformed)]);
        assert_eq!(read(&[0x80, 0x80, 0x80, 0]), [Err(End::Malformed)]);
        assert_eq!(read(&[0xff; 10]), [Err(End::Malformed)]);
    }

    /// A stream that takes so many bytes and then waits or breaks.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
        breaks: bool,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.room);
            if n == 0 && self.breaks {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if n == 0 {
                return Poll::Pending;
            }
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn outgoing(bytes: &[u8], optional: bool) -> Outgoing {
        Outgoing {
            frame: bytes.into(),
            optional,
        }
    }

    #[test]
    fn a_frame_that_broke_off_is_sent_again() {
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut writer = Writer::new(limits::MAX_GOSSIP_QUEUE_BYTES);
        for frame in [[1; 4], [2; 4], [3; 4]] {
            writer.queue(outgoing(&frame, true));
        }
        let stream = |room, breaks| Narrow {
            taken: vec![],
            room,
            breaks,
        };
        writer.io = Some(stream(6, true));
        assert!(matches!(
            writer.poll_drain(&mut cx),
            Poll::Ready(Err(Broken))
        ));
        assert_eq!(writer.io.take().unwrap().taken, [1, 1, 1, 1, 2, 2]);
        assert!(matches!(writer.poll_drain(&mut cx), Poll::Ready(Ok(()))));
        writer.io = Some(stream(7, false));
        assert!(writer.poll_drain(&mut cx).is_pending());
        writer.io.as_mut().unwrap().room = 100;
        assert!(matches!(writer.poll_drain(&mut cx), Poll::Ready(Ok(()))));
        assert_eq!(writer.io.unwrap().taken, [2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!((writer.bytes, writer.frames.len()), (0, 0));
    }

    #[test]
    fn who_reads_slowly_misses_something() {
        let mut writer = Writer::<Narrow>::new(limits::MAX_GOSSIP_QUEUE_BYTES);
        for _ in 0..5000 {
            writer.queue(outgoing(&[1; 10], true));
        }
        assert_eq!(writer.frames.len(), limits::GOSSIP_SEND_QUEUE);
        for _ in 0..5000 {
            writer.queue(outgoing(&[2; 10], false));
        }
        assert_eq!(writer.frames.len(), 2 * limits::GOSSIP_SEND_QUEUE);
        writer.clear();
        let large = vec![0; limits::MAX_GOSSIP_BYTES];
        for _ in 0..10 {
            writer.queue(outgoing(&large, true));
        }
        assert_eq!(writer.bytes, limits::MAX_GOSSIP_QUEUE_BYTES);
        writer.queue(outgoing(&[2; 10], false));
        assert_eq!(writer.bytes, limits::MAX_GOSSIP_QUEUE_BYTES + 10);
    }
}
