//! A stream over a data channel of its own: ordinary reading and writing, where each end can finish
//! its half, and either can give up the whole.
//!
//! How much may wait to be read is bounded by whoever makes the channel: there is no way to slow down
//! a single data channel, so a reader that is too slow loses it.

#[cfg(test)]
pub(super) mod memory;
#[cfg(test)]
mod tests;

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};

use super::frame::{self, Flag, Malformed};

/// A data channel, ordered and reliable, as the two targets make it.
pub(super) trait DataChannel: Unpin {
    /// The next whole message. `None`: the channel is closed.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>>;

    /// Until there is room for another message: the channel is open, and little is buffered.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends a message. Small ones are taken also when there is no room.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Until all that was sent has left the buffer.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes it, without losing what was sent. Can be called again.
    fn close(&mut self);
}

/// How far one of the halves is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    /// Came to its end in good order.
    Finished,
    /// Whoever reads does so no more.
    Unwanted,
    /// Given up by the other side, or lost.
    Lost(io::ErrorKind),
}

/// A stream of bytes over a data channel. Dropped before both halves are finished, the other side is
/// told.
pub(super) struct Stream<C: DataChannel> {
    channel: C,
    /// What was received and is not read yet: frames, the last of which may be incomplete.
    received: Vec<u8>,
    /// Where the next frame begins.
    next: usize,
    /// Where the data lies that is to be read before that.
    unread: Range<usize>,
    reading: Half,
    writing: Half,
    acknowledged: bool,
}

impl<C: DataChannel> Stream<C> {
    /// A stream over a channel that nothing has travelled on, open or about to be.
    pub(super) fn new(channel: C) -> Self {
        Self {
            channel,
            received: Vec::new(),
            next: 0,
            unread: 0..0,
            reading: Half::Open,
            writing: Half::Open,
            acknowledged: false,
        }
    }

    /// Takes in the next frame. Ready whenever something has changed.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match frame::decode(&self.received, self.next) {
                Ok(Some(frame)) => {
                    self.next = frame.end;
                    self.unread = frame.data;
                    if let Some(flag) = frame.flag {
                        self.on_flag(flag);
                    }
                    return Poll::Ready(());
                }
                Ok(None) => {}
                Err(Malformed) => {
                    self.lose(io::ErrorKind::InvalidData);
                    self.channel.close();
                    return Poll::Ready(());
                }
            }
            match ready!(self.channel.poll_receive(cx)) {
                Some(Ok(message)) => self.take(message),
                Some(Err(error)) => {
                    self.lose(error.kind());
                    return Poll::Ready(());
                }
                None => {
                    self.lose(io::ErrorKind::ConnectionReset);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Usually a message is one frame, and need not be copied.
    fn take(&mut self, message: Vec<u8>) {
        if self.next == self.received.len() {
            self.received = message;
        } else {
            self.received.drain(..self.next);
            self.received.extend_from_slice(&message);
        }
        self.next = 0;
        self.unread = 0..0;
    }

    fn on_flag(&mut self, flag: Flag) {
        match flag {
            Flag::Fin => {
                if self.reading == Half::Open {
                    self.reading = Half::Finished;
                }
                self.acknowledge();
            }
            Flag::StopSending => {
                if self.writing == Half::Open {
                    self.writing = Half::Unwanted;
                }
            }
            Flag::Reset => {
                self.unread = self.next..self.next;
                self.lose(io::ErrorKind::ConnectionReset);
            }
            Flag::FinAck => {}
        }
    }

    /// Tells that the other side's last data has come. Not before our own last data is sent: others take
    /// this flag, which is newer than they are, for the end of what we send.
    fn acknowledge(&mut self) {
        if self.reading == Half::Finished && self.writing == Half::Finished && !self.acknowledged {
            self.acknowledged = true;
            // Whoever has closed the channel by now doesn't wait for it.
            drop(self.channel.send(&frame::encode(Some(Flag::FinAck), &[])));
        }
    }

    /// No more of what isn't finished.
    fn lose(&mut self, why: io::ErrorKind) {
        for half in [&mut self.reading, &mut self.writing] {
            if *half == Half::Open {
                *half = Half::Lost(why);
            }
        }
    }

    /// While nobody reads any more, whether the other side still does.
    fn look_for_flags(&mut self, cx: &mut Context<'_>) {
        while self.reading != Half::Open
            && self.writing == Half::Open
            && self.unread.is_empty()
            && self.poll_frame(cx).is_ready()
        {
            // Data after the end.
            self.unread = self.next..self.next;
        }
    }
}

impl<C: DataChannel> AsyncRead for Stream<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let unread = this.received.get(this.unread.clone()).unwrap_or_default();
            if !unread.is_empty() {
                let n = unread.len().min(buf.len());
                buf[..n].copy_from_slice(&unread[..n]);
                this.unread.start += n;
                return Poll::Ready(Ok(n));
            }
            match this.reading {
                Half::Open => ready!(this.poll_frame(cx)),
                Half::Lost(why) => return Poll::Ready(Err(why.into())),
                Half::Finished | Half::Unwanted => return Poll::Ready(Ok(0)),
            }
        }
    }
}

impl<C: DataChannel> AsyncWrite for Stream<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look_for_flags(cx);
        match this.writing {
            Half::Open => {}
            Half::Lost(why) => return Poll::Ready(Err(why.into())),
            Half::Finished | Half::Unwanted => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(this.channel.poll_ready(cx))?;
        let n = buf.len().min(frame::MAX_DATA);
        this.channel.send(&frame::encode(None, &buf[..n]))?;
        Poll::Ready(Ok(n))
    }

    /// What was written is the channel's to send by now, and nothing here makes it go faster. How much
    /// may lie there is bounded when writing.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.writing {
            Half::Open => {
                ready!(this.channel.poll_ready(cx))?;
                this.channel.send(&frame::encode(Some(Flag::Fin), &[]))?;
                this.writing = Half::Finished;
                this.acknowledge();
            }
            Half::Finished => {}
            // There is nobody to whom the end matters.
            Half::Unwanted => return Poll::Ready(Ok(())),
            Half::Lost(why) => return Poll::Ready(Err(why.into())),
        }
        this.channel.poll_drained(cx)
    }
}

impl<C: DataChannel> Drop for Stream<C> {
    fn drop(&mut self) {
        let flag = match (self.writing, self.reading) {
            (Half::Open, _) => Some(Flag::Reset),
            (Half::Finished, Half::Open) => Some(Flag::StopSending),
            _ => None,
        };
        if let Some(flag) = flag {
            // If that fails, the channel is closed, which says as much.
            drop(self.channel.send(&frame::encode(Some(flag), &[])));
        }
        self.channel.close();
    }
}
