//! Framing of discovery messages: a header of three big-endian `u32` (magic, body size, a checksum
//! that is always 0), then the body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use nimiq_serde::Serialize;

use super::messages::DiscoveryMessage;
use crate::limits;

/// First word of every header.
pub const MAGIC: u32 = 0x4204_2042;

const HEADER: usize = 12;

/// Why no frame could be read.
#[derive(Debug)]
pub enum FrameError {
    /// The stream broke.
    Io(io::Error),
    /// The stream ended within a frame.
    Truncated,
    /// The header is no header.
    BadMagic,
    /// The header announces a body larger than allowed.
    Oversized(usize),
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader<R> {
    io: R,
    header: [u8; HEADER],
    header_len: usize,
    body: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames from `io`.
    pub fn new(io: R) -> Self {
        Self {
            io,
            header: [0; HEADER],
            header_len: 0,
            body: Vec::new(),
        }
    }

    /// The next body of at most `max` bytes, or `None` if the stream has ended between two frames.
    /// Memory is taken as the bytes arrive, not as they are announced.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Vec<u8>>, FrameError>> {
        while self.header_len < HEADER {
            let n =
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut self.header[self.header_len..]))
                    .map_err(FrameError::Io)?;
            if n == 0 {
                return Poll::Ready(match self.header_len {
                    0 => Ok(None),
                    _ => Err(FrameError::Truncated),
                });
            }
            self.header_len += n;
        }
        let [m0, m1, m2, m3, s0, s1, s2, s3, ..] = self.header;
        if u32::from_be_bytes([m0, m1, m2, m3]) != MAGIC {
            return Poll::Ready(Err(FrameError::BadMagic));
        }
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        if size > max {
            return Poll::Ready(Err(FrameError::Oversized(size)));
        }
        let mut chunk = [0; 4096];
        while self.body.len() < size {
            let wanted = chunk.len().min(size - self.body.len());
            let n = ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk[..wanted]))
                .map_err(FrameError::Io)?;
            if n == 0 {
                return Poll::Ready(Err(FrameError::Truncated));
            }
            self.body.extend_from_slice(&chunk[..n]);
        }
        self.header_len = 0;
        Poll::Ready(Ok(Some(std::mem::take(&mut self.body))))
    }
}

/// Frames a message.
pub fn encode(message: &DiscoveryMessage) -> Vec<u8> {
    let body = message.serialize_to_vec();
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&MAGIC.to_be_bytes());
    // Our own messages are bounded far below 4 GiB.
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(&0u32.to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// Writes frames, a bounded number at a time.
#[derive(Debug)]
pub struct FrameWriter<W> {
    io: W,
    buffer: Vec<u8>,
    written: usize,
    dirty: bool,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes frames to `io`.
    pub fn new(io: W) -> Self {
        Self {
            io,
            buffer: Vec::new(),
            written: 0,
            dirty: false,
        }
    }

    /// Whether everything queued has been written and flushed.
    pub fn is_idle(&self) -> bool {
        !self.dirty
    }

    /// Queues a message behind what is still unwritten. Refused, with `false`, when the peer has
    /// stopped reading and too much is waiting already.
    pub fn queue(&mut self, message: &DiscoveryMessage) -> bool {
        if self.buffer.len() > limits::MAX_DISCOVERY_FRAME {
            return false;
        }
        self.buffer.extend_from_slice(&encode(message));
        self.dirty = true;
        true
    }

    /// Writes and flushes what is queued.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let rest = &self.buffer[self.written..];
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        if self.dirty {
            self.buffer = Vec::new();
            self.written = 0;
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }
}
