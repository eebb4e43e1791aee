//! A data channel of the browser.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    rc::Rc,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

use js_sys::{ArrayBuffer, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

use super::{
    bindings::{Event, RawChannel, set},
    connection::Shared,
};
use crate::{limits, transport::webrtc::stream::DataChannel};

/// Every event that concerns a data channel.
const EVENTS: [&str; 4] = ["onopen", "onmessage", "onclose", "onbufferedamountlow"];

/// What a message takes that waits to be read: empty ones are not for nothing.
fn cost_of(message: &[u8]) -> usize {
    message.len() + limits::WEBRTC_MESSAGE_COST
}

/// What the events leave for whoever polls.
#[derive(Default)]
struct State {
    received: RefCell<VecDeque<Vec<u8>>>,
    /// Bytes of those, and what each takes beside them.
    unread: Cell<usize>,
    /// Why nothing more is taken in.
    lost: Cell<Option<io::ErrorKind>>,
    /// Whether the channel is closed, by the event: a browser's `readyState` says so before it has
    /// handed out all messages.
    closed: Cell<bool>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
}

impl State {
    fn wake(&self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    /// Takes in a message, unless too much waits to be read already: there is no way to slow down the
    /// other side on one channel alone.
    fn take(&self, message: Vec<u8>, connection: &Shared) {
        let received = &connection.counters.received;
        received.fetch_add(message.len() as u64, Ordering::Relaxed);
        if self.lost.get().is_some() {
            return;
        }
        let cost = cost_of(&message);
        let unread = self.unread.get() + cost;
        let all = connection.unread.get() + cost;
        if unread > limits::MAX_WEBRTC_UNREAD || all > limits::MAX_WEBRTC_UNREAD_PER_CONNECTION {
            return self.lose(io::ErrorKind::OutOfMemory, connection);
        }
        self.unread.set(unread);
        connection.unread.set(all);
        self.received.borrow_mut().push_back(message);
    }

    fn lose(&self, why: io::ErrorKind, connection: &Shared) {
        self.lost.set(Some(why));
        self.received.borrow_mut().clear();
        self.read(self.unread.get(), connection);
    }

    fn read(&self, bytes: usize, connection: &Shared) {
        self.unread.set(self.unread.get() - bytes);
        connection.unread.set(connection.unread.get() - bytes);
    }
}

/// A data channel whose events are listened to from the moment it exists.
pub(super) struct Channel(SendWrapper<Option<Inner>>);

/// What is left of a channel that is closed but for what it has still to send.
pub(super) struct Inner {
    channel: RawChannel,
    state: Rc<State>,
    connection: Rc<Shared>,
    _listener: Closure<dyn Fn(Event)>,
}

impl Channel {
    pub(super) fn new(channel: RawChannel, connection: Rc<Shared>) -> Self {
        let state = Rc::new(State::default());
        let listener = {
            let (state, connection) = (Rc::clone(&state), Rc::downgrade(&connection));
            Closure::<dyn Fn(Event)>::new(move |event: Event| {
                let data = event.data();
                if data.is_undefined() {
                    state
                        .closed
                        .set(state.closed.get() || event.kind() == "close");
                } else if let Some(connection) = connection.upgrade() {
                    match data.dyn_into::<ArrayBuffer>() {
                        Ok(bytes) => state.take(Uint8Array::new(&bytes).to_vec(), &connection),
                        // Text, which nobody here sends.
                        Err(_) => state.lose(io::ErrorKind::InvalidData, &connection),
                    }
                    // Some protocols count on it that whatever arrives has the connection looked after,
                    // as it is where one socket carries all streams: pings are answered by that.
                    connection.wake();
                }
                state.wake();
            })
        };
        let low = JsValue::from_f64(limits::WEBRTC_SEND_LOW as f64);
        set(
            &channel,
            &[
                ("binaryType", &JsValue::from_str("arraybuffer")),
                ("bufferedAmountLowThreshold", &low),
            ],
        );
        for name in EVENTS {
            set(&channel, &[(name, listener.as_ref())]);
        }
        connection.channels.set(connection.channels.get() + 1);
        Self(SendWrapper::new(Some(Inner {
            channel,
            state,
            connection,
            _listener: listener,
        })))
    }

    fn inner(&self) -> io::Result<&Inner> {
        self.0.as_ref().ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl DataChannel for Channel {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        let inner = match self.inner() {
            Ok(inner) => inner,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let state = &inner.state;
        if let Some(message) = state.received.borrow_mut().pop_front() {
            state.read(cost_of(&message), &inner.connection);
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(why) = state.lost.get() {
            return Poll::Ready(Some(Err(why.into())));
        }
        if state.closed.get() || inner.connection.is_down() {
            return Poll::Ready(None);
        }
        state.reader.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = self.inner()?;
        let ready_state = inner.channel.ready_state();
        if ready_state == "open" {
            if inner.channel.buffered_amount() < limits::WEBRTC_SEND_HIGH as f64 {
                return Poll::Ready(Ok(()));
            }
        } else if ready_state != "connecting" {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        inner.state.writer.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let inner = self.inner()?;
        let sent = &inner.connection.counters.sent;
        sent.fetch_add(message.len() as u64, Ordering::Relaxed);
        let failed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        inner.channel.send(message).map_err(failed)
    }

    /// What is sent is the browser's to deliver, also when the channel is closed at once.
    fn poll_drained(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn close(&mut self) {
        if let Some(inner) = Option::take(&mut self.0) {
            let connection = Rc::clone(&inner.connection);
            connection.finish(inner);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    /// Whether nothing is left to send. Else the task is woken when that may have changed.
    pub(super) fn is_drained(&self, waker: Option<&Waker>) -> bool {
        let drained = self.channel.ready_state() != "open" || self.channel.buffered_amount() == 0.0;
        if !drained {
            let none = JsValue::from_f64(0.0);
            set(&self.channel, &[("bufferedAmountLowThreshold", &none)]);
            self.state.writer.set(waker.cloned());
        }
        drained
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the listener is gone: nothing may call it after that.
        for name in EVENTS {
            set(&self.channel, &[(name, &JsValue::NULL)]);
        }
        self.channel.close_channel();
        self.state.read(self.state.unread.get(), &self.connection);
        let channels = &self.connection.channels;
        channels.set(channels.get() - 1);
        self.connection.wake();
    }
}
