//! A connection: the page's `RTCPeerConnection`, each stream of which is a data channel.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use js_sys::{Promise, Reflect};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use nimiq_time::{Sleep, sleep};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{
    DialError,
    bindings::{Event, PeerConnection, description, message, negotiated, set},
    channel::{Channel, Inner},
};
use crate::{
    limits,
    traffic::Counters,
    transport::webrtc::{
        address::{Fingerprint, Target},
        handshake::CHANNEL,
        sdp::{self, Credentials},
        stream::{DataChannel, Stream},
    },
};

/// How the connection is, by what the browser has last said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Being made, or working.
    Up,
    /// Nothing comes from the other side. It may again.
    Silent,
    /// The end.
    Down,
}

/// The connection is no more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection was lost")]
pub(super) struct Lost;

/// What a connection, its channels and the events share.
pub(super) struct Shared {
    pub(super) counters: Arc<Counters>,
    /// Bytes that wait to be read, of all channels.
    pub(super) unread: Cell<usize>,
    /// Channels that exist.
    pub(super) channels: Cell<usize>,
    link: Cell<Link>,
    /// Channels that the other side has opened and nobody has taken.
    opened: RefCell<VecDeque<Channel>>,
    /// Channels that nobody uses any more, but that have something to send.
    finishing: RefCell<Vec<Inner>>,
    /// Whoever polls the connection.
    task: Cell<Option<Waker>>,
}

impl Shared {
    pub(super) fn wake(&self) {
        if let Some(waker) = self.task.take() {
            waker.wake();
        }
    }

    /// Closes a channel once all is sent. Browsers may drop what is not when a channel is closed.
    pub(super) fn finish(&self, channel: Inner) {
        let mut finishing = self.finishing.borrow_mut();
        let room = finishing.len() < limits::MAX_WEBRTC_STREAMS && self.link.get() != Link::Down;
        if room && !channel.is_drained(None) {
            finishing.push(channel);
        }
        drop(finishing);
        // To be looked after from now on.
        self.wake();
    }

    pub(super) fn is_down(&self) -> bool {
        self.link.get() == Link::Down
    }

    /// Whether there may be another channel.
    fn has_room(&self) -> bool {
        self.channels.get() < limits::MAX_WEBRTC_STREAMS
    }

    fn look_after_finishing(&self, cx: &Context<'_>) {
        let finishing = self.finishing.take();
        let left = finishing
            .into_iter()
            .filter(|channel| !channel.is_drained(Some(cx.waker())));
        let left: Vec<_> = left.collect();
        self.finishing.borrow_mut().extend(left);
    }
}

/// A connection, open or being opened. Dropped, it is closed.
pub(super) struct Connection(SendWrapper<Open>);

struct Open {
    browser: PeerConnection,
    shared: Rc<Shared>,
    /// How long silence is borne.
    patience: Option<Pin<Box<Sleep>>>,
    _listener: Closure<dyn Fn(Event)>,
}

impl Connection {
    /// A connection to nobody yet. Whatever the other side will open is taken in from the start.
    pub(super) fn new(counters: Arc<Counters>) -> Result<Self, DialError> {
        let browser = PeerConnection::new().map_err(|error| DialError::browser(&error))?;
        let shared = Rc::new(Shared {
            counters,
            unread: Cell::new(0),
            channels: Cell::new(0),
            link: Cell::new(Link::Up),
            opened: RefCell::new(VecDeque::new()),
            finishing: RefCell::new(Vec::new()),
            task: Cell::new(None),
        });
        let weak = Rc::downgrade(&shared);
        let listener = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            if let Some(shared) = weak.upgrade() {
                on_event(&shared, &event);
            }
        });
        for name in EVENTS {
            set(&browser, &[(name, listener.as_ref())]);
        }
        Ok(Self(SendWrapper::new(Open {
            browser,
            shared,
            patience: None,
            _listener: listener,
        })))
    }

    /// Connects with the server at `target`. Resolves, once the connection is open, to the channel of
    /// the handshake and the hash of our certificate. Whoever waits bounds the time.
    pub(super) async fn open(
        &self,
        target: &Target,
        credentials: Credentials,
    ) -> Result<(Channel, Fingerprint), DialError> {
        let browser = &self.0.browser;
        // Without a channel there would be none in the offer.
        let mut channel = self
            .channel(&negotiated(CHANNEL))
            .map_err(|error| DialError::browser(&error))?;
        let offer = done(browser.create_offer()).await?;
        let offer = Reflect::get(&offer, &JsValue::from_str("sdp"));
        let offer = offer.ok().and_then(|sdp| sdp.as_string());
        let offer = offer.unwrap_or_default();
        let certificate = sdp::fingerprint(&offer).ok_or(DialError::Offer)?;
        let munged = description("offer", &sdp::munge(&offer, &credentials));
        let answer = match done(browser.set_local_description(&munged)).await {
            Ok(_) => sdp::answer(target, &credentials),
            Err(refusal) => {
                log::debug!("{refusal}: so the server has to know the second version");
                let telling = Credentials::telling(&offer).ok_or(DialError::Offer)?;
                let as_it_is = description("offer", &offer);
                done(browser.set_local_description(&as_it_is)).await?;
                sdp::answer(target, &telling)
            }
        };
        let answer = description("answer", &answer);
        done(browser.set_remote_description(&answer)).await?;
        self.while_up(poll_fn(|cx| channel.poll_ready(cx)))
            .await?
            .map_err(|_| DialError::Unreachable)?;
        Ok((channel, certificate))
    }

    /// Waits for something that is in vain when the connection is lost.
    pub(super) async fn while_up<T>(&self, work: impl Future<Output = T>) -> Result<T, DialError> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(result));
            }
            self.0.shared.task.set(Some(cx.waker().clone()));
            match self.0.shared.link.get() {
                // ICE has found the way, and what came after it was refused.
                Link::Down if self.0.browser.ice_connection_state() == "connected" => {
                    Poll::Ready(Err(DialError::Certificate))
                }
                Link::Down => Poll::Ready(Err(DialError::Unreachable)),
                Link::Up | Link::Silent => Poll::Pending,
            }
        })
        .await
    }

    fn channel(&self, options: &JsValue) -> Result<Channel, JsValue> {
        let channel = self.0.browser.create_data_channel("", options)?;
        Ok(Channel::new(channel, Rc::clone(&self.0.shared)))
    }
}

/// Every event that concerns the connection.
const EVENTS: [&str; 2] = ["ondatachannel", "onconnectionstatechange"];

fn on_event(shared: &Rc<Shared>, event: &Event) {
    if let Some(channel) = event.channel() {
        // Its messages may come any moment: it listens before this event is over.
        let channel = Channel::new(channel, Rc::clone(shared));
        let mut opened = shared.opened.borrow_mut();
        if opened.len() < limits::MAX_UNTAKEN_STREAMS && shared.has_room() {
            opened.push_back(channel);
        }
    } else if let Some(browser) = event.target() {
        shared.link.set(match browser.connection_state().as_str() {
            "failed" | "closed" => Link::Down,
            "disconnected" => Link::Silent,
            _ => Link::Up,
        });
    }
    shared.wake();
}

/// What the browser has promised.
async fn done(promise: Result<Promise, JsValue>) -> Result<JsValue, DialError> {
    match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    }
    .map_err(|error| DialError::browser(&error))
}

impl StreamMuxer for Connection {
    type Substream = Stream<Channel>;
    type Error = Lost;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Lost>> {
        let shared = &self.0.shared;
        if let Some(channel) = shared.opened.borrow_mut().pop_front() {
            return Poll::Ready(Ok(Stream::new(channel)));
        }
        shared.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Lost>> {
        // Browsers have numbers for some more only, and throw when they are used up.
        if !self.0.shared.has_room() {
            self.0.shared.task.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        match self.channel(&JsValue::UNDEFINED) {
            Ok(channel) => Poll::Ready(Ok(Stream::new(channel))),
            Err(error) => {
                log::debug!("no data channel: {}", message(&error));
                Poll::Ready(Err(Lost))
            }
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Lost>> {
        let open = &mut *self.0;
        open.shared.task.set(Some(cx.waker().clone()));
        open.shared.look_after_finishing(cx);
        match open.shared.link.get() {
            Link::Up => open.patience = None,
            Link::Down => return Poll::Ready(Err(Lost)),
            Link::Silent => {
                let patience = open
                    .patience
                    .get_or_insert_with(|| Box::pin(sleep(limits::WEBRTC_SILENCE)));
                if patience.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(Lost));
                }
            }
        }
        Poll::Pending
    }
}

impl Open {
    /// Closes the connection for good. Can be called again.
    fn close(&mut self) {
        for name in EVENTS {
            set(&self.browser, &[(name, &JsValue::NULL)]);
        }
        self.shared.link.set(Link::Down);
        // They hold what they are held by.
        drop(self.shared.opened.take());
        drop(self.shared.finishing.take());
        self.browser.close();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}
