//! Framing of requests and responses: a big-endian `u64` length, then as many bytes; one request and
//! one response on each stream.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use crate::limits;

/// Bytes that all responses being received may take together.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    /// Bytes not taken at the moment.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, share: &mut Share, bytes: usize) -> bool {
        let update = |left: usize| left.checked_sub(bytes);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            .is_ok();
        if taken {
            share.bytes += bytes;
        }
        taken
    }
}

/// What one response has taken of the [`Budget`]; given back when the response is dropped.
#[derive(Debug)]
struct Share {
    budget: Budget,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// The bytes of one message.
#[derive(Debug)]
pub struct Payload {
    bytes: Arc<Vec<u8>>,
    _share: Option<Share>,
}

impl Payload {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, for those who keep them or send them to several. They don't count as a response
    /// that is being received any more.
    pub fn into_shared(self) -> Arc<Vec<u8>> {
        self.bytes
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Arc::new(bytes).into()
    }
}

impl From<Arc<Vec<u8>>> for Payload {
    fn from(bytes: Arc<Vec<u8>>) -> Self {
        Self {
            bytes,
            _share: None,
        }
    }
}

/// What was read from a stream. Failures are values and no errors, because libp2p drops errors of
/// inbound requests without telling whose they were.
#[derive(Debug)]
pub enum Frame {
    /// A whole frame.
    Whole(Payload),
    /// The stream ended before a frame began.
    Nothing,
    /// The stream ended within the frame.
    Truncated,
    /// More bytes than allowed are announced.
    Oversized(u64),
    /// There is no memory left for it at the moment.
    NoMemory,
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }
}

/// The codec of the request/response protocol.
#[derive(Clone, Debug)]
pub struct Codec {
    budget: Budget,
}

impl Codec {
    /// A codec whose responses share a budget.
    pub fn new(budget: Budget) -> Self {
        Self { budget }
    }
}

/// Reads one frame of at most `max` bytes, and not a byte more. Memory is taken as the bytes arrive.
async fn read_frame<T>(io: &mut T, max: usize, budget: Option<&Budget>) -> io::Result<Frame>
where
    T: AsyncRead + Unpin + Send,
{
    let mut header = [0; 8];
    let mut filled = 0;
    while filled < header.len() {
        match io.read(&mut header[filled..]).await? {
            0 if filled == 0 => return Ok(Frame::Nothing),
            0 => return Ok(Frame::Truncated),
            n => filled += n,
        }
    }
    let announced = u64::from_be_bytes(header);
    let size = match usize::try_from(announced) {
        Ok(size) if size <= max => size,
        _ => return Ok(Frame::Oversized(announced)),
    };
    let mut share = budget.map(|budget| Share {
        budget: budget.clone(),
        bytes: 0,
    });
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let start = bytes.len();
        let step = limits::FRAME_CHUNK.min(size - start);
        if let (Some(budget), Some(share)) = (budget, share.as_mut())
            && !budget.take(share, step)
        {
            return Ok(Frame::NoMemory);
        }
        bytes.resize(start + step, 0);
        match io.read_exact(&mut bytes[start..]).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Frame::Truncated);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Frame::Whole(Payload {
        bytes: Arc::new(bytes),
        _share: share,
    }))
}

async fn write_frame<T>(io: &mut T, frame: Frame, max: usize) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let Frame::Whole(payload) = frame else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if payload.bytes.len() > max {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    io.write_all(&(payload.bytes.len() as u64).to_be_bytes())
        .await?;
    io.write_all(&payload.bytes).await
}

#[async_trait]
impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, limits::MAX_REQUEST_BYTES, None).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, limits::MAX_RESPONSE_BYTES, Some(&self.budget)).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Frame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, request, limits::MAX_REQUEST_BYTES).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Frame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, response, limits::MAX_RESPONSE_BYTES).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use futures::{executor::block_on, io::Cursor};
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], max: usize, budget: Option<&Budget>) -> Frame {
        block_on(read_frame(&mut Cursor::new(bytes), max, budget)).unwrap()
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        block_on(write_frame(
            &mut out,
            payload.to_vec().into(),
            limits::MAX_RESPONSE_BYTES,
        ))
        .unwrap();
        out
    }

    #[test]
    fn frames_are_a_length_and_bytes() {
        assert_eq!(framed(&[7, 8]), [0, 0, 0, 0, 0, 0, 0, 2, 7, 8]);
        // Only the frame is read; what follows it stays in the stream.
        let mut cursor = Cursor::new([0, 0, 0, 0, 0, 0, 0, 1, 9, 42]);
        let frame = block_on(read_frame(&mut cursor, 10, None)).unwrap();
        assert!(matches!(frame, Frame::Whole(payload) if payload.bytes() == [9]));
        assert_eq!(cursor.position(), 9);
    }

    #[test]
    fn what_is_too_large_or_too_short_is_told_apart() {
        let huge = u64::MAX.to_be_bytes();
        assert!(matches!(read(&huge, 10, None), Frame::Oversized(u64::MAX)));
        assert!(matches!(
            read(&11u64.to_be_bytes(), 10, None),
            Frame::Oversized(11)
        ));
        assert!(matches!(read(&[], 10, None), Frame::Nothing));
        assert!(matches!(read(&[0, 0], 10, None), Frame::Truncated));
        assert!(matches!(
            read(&10u64.to_be_bytes(), 10, None),
            Frame::Truncated
        ));
        assert!(
            matches!(read(&0u64.to_be_bytes(), 10, None), Frame::Whole(p) if p.bytes().is_empty())
        );
    }

    #[test]
    fn memory_is_shared_and_given_back() {
        let budget = Budget::new(100);
        let first = read(&framed(&[1; 60]), 1000, Some(&budget));
        assert_eq!(budget.left(), 40);
        assert!(matches!(
            read(&framed(&[1; 60]), 1000, Some(&budget)),
            Frame::NoMemory
        ));
        assert_eq!(budget.left(), 40);
        drop(first);
        assert_eq!(budget.left(), 100);
        assert!(matches!(
            read(&framed(&[1; 60]), 1000, Some(&budget)),
            Frame::Whole(_)
        ));
        // A claim alone takes no more than one step.
        let budget = Budget::new(usize::MAX);
        let claim = (limits::MAX_RESPONSE_BYTES as u64).to_be_bytes();
        assert!(matches!(
            read(&claim, limits::MAX_RESPONSE_BYTES, Some(&budget)),
            Frame::Truncated
        ));
        assert_eq!(budget.left(), usize::MAX);
    }

    #[test]
    fn nothing_too_large_is_written() {
        let mut out = Vec::new();
        assert!(block_on(write_frame(&mut out, vec![0; 11].into(), 10)).is_err());
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn any_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..40_000)) {
            let frame = read(&framed(&payload), 40_000, None);
            prop_assert!(matches!(frame, Frame::Whole(p) if p.bytes() == payload));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let budget = Budget::new(1 << 20);
            drop(read(&bytes, 1 << 16, Some(&budget)));
            prop_assert_eq!(budget.left(), 1 << 20);
        }
    }
}
