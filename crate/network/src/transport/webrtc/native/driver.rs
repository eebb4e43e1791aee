//! The task of one connection: it moves datagrams, messages and time in and out of `str0m`, which does
//! no I/O of its own.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use str0m::{
    Event, IceConnectionState, Input, Output, Rtc, RtcError,
    channel::ChannelId,
    net::{Protocol, Receive},
};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::{
    link::{Datagram, Link},
    rtc::{self, Prepared},
    state::{End, HANDSHAKE, Key, Next, Shared},
};
use crate::{limits, transport::webrtc::address::Fingerprint};

/// Longest time between two looks at the clock.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Highest number of a data channel of ours. There are far fewer at a time, so the other side doesn't
/// give them back.
const MAX_CHANNEL_NUMBER: u16 = 32 * 1024;

/// What the task was woken by.
enum Wake {
    Work,
    Datagram(Datagram),
    Timer,
    End(End),
}

/// Drives one connection until it is over.
pub(super) struct Driver {
    rtc: Rtc,
    link: Link,
    shared: Arc<Shared>,
    /// Tells when DTLS is done, and what certificate the other side has.
    connected: Option<oneshot::Sender<Fingerprint>>,
    keys: HashMap<ChannelId, (Key, bool)>,
    channels: HashMap<Key, ChannelId>,
    /// Channels whose next message doesn't fit yet.
    blocked: HashSet<Key>,
    /// Channels of the other side that nobody here wants any more, and since when.
    lingering: VecDeque<(Instant, ChannelId)>,
    /// Until when nothing is received, because nobody reads.
    paused: Option<Instant>,
    closing: bool,
    lost: Option<End>,
}

impl Driver {
    /// The driver of a connection, and what it tells when the other side has answered.
    pub(super) fn new(
        prepared: Prepared,
        link: Link,
        shared: Arc<Shared>,
    ) -> (Self, oneshot::Receiver<Fingerprint>) {
        let (connected, on_connected) = oneshot::channel();
        let driver = Self {
            rtc: prepared.rtc,
            link,
            shared,
            connected: Some(connected),
            keys: HashMap::from([(prepared.handshake, (HANDSHAKE, true))]),
            channels: HashMap::from([(HANDSHAKE, prepared.handshake)]),
            blocked: HashSet::new(),
            lingering: VecDeque::new(),
            paused: None,
            closing: false,
            lost: None,
        };
        (driver, on_connected)
    }

    /// Runs until the connection is over.
    pub(super) async fn run(mut self) {
        let end = self.work().await;
        log::debug!("WebRTC connection over: {end}");
        self.shared.end(end);
    }

    async fn work(&mut self) -> End {
        let mut timer = Box::pin(sleep(Duration::ZERO));
        loop {
            self.do_work();
            self.end_lingering();
            let until = match self.drain().await {
                Ok(until) => until,
                Err(end) => return end,
            };
            let now = Instant::now();
            if until <= now {
                if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
                    return end_of(&error);
                }
                // There may be no end of it, but others want their turn as well.
                tokio::task::consume_budget().await;
                continue;
            }
            if self.paused.is_some_and(|until| until <= now) || !self.shared.is_behind() {
                self.paused = None;
            }
            let until = self.paused.map_or(until, |paused| paused.min(until));
            let wait = until.saturating_duration_since(now).min(MAX_WAIT);
            timer.as_mut().reset(tokio::time::Instant::now() + wait);
            match self.wait(timer.as_mut()).await {
                Wake::Work => {}
                Wake::Timer => {
                    if let Err(error) = self.rtc.handle_input(Input::Timeout(Instant::now())) {
                        return end_of(&error);
                    }
                }
                Wake::Datagram(datagram) => {
                    if let Err(error) = self.take_in(&datagram) {
                        return end_of(&error);
                    }
                }
                Wake::End(end) => return end,
            }
        }
    }

    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) -> Wake {
        poll_fn(|cx| {
            if !self.closing && self.shared.poll_work(cx).is_ready() {
                return Poll::Ready(Wake::Work);
            }
            if self.paused.is_some() && !self.shared.is_behind() {
                return Poll::Ready(Wake::Work);
            }
            if self.paused.is_none()
                && let Poll::Ready(received) = self.link.poll_receive(cx)
            {
                return Poll::Ready(match received {
                    Some(Ok(datagram)) => Wake::Datagram(datagram),
                    Some(Err(error)) if self.link.is_refusal(&error) => Wake::End(End::Refused),
                    Some(Err(error)) => Wake::End(End::Failed(error.to_string())),
                    None => Wake::End(End::Closed),
                });
            }
            timer.as_mut().poll(cx).map(|()| Wake::Timer)
        })
        .await
    }

    // --- In -----------------------------------------------------------------------------------------

    fn take_in(&mut self, datagram: &Datagram) -> Result<(), RtcError> {
        let receive = Receive::new(
            Protocol::Udp,
            datagram.from,
            self.link.local(),
            &datagram.bytes,
        );
        // What is none of the protocols is nobody's.
        let Ok(receive) = receive else {
            return Ok(());
        };
        let input = Input::Receive(Instant::now(), receive);
        if !self.rtc.accepts(&input) {
            return Ok(());
        }
        self.rtc.handle_input(input)?;
        if self.shared.is_behind() {
            self.paused = Some(Instant::now() + limits::WEBRTC_READER_PATIENCE);
        }
        // Whatever came may have made room.
        for key in std::mem::take(&mut self.blocked) {
            self.tend(key);
        }
        Ok(())
    }

    /// Takes out everything that there is, and says until when there will be nothing more.
    async fn drain(&mut self) -> Result<Instant, End> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let to = transmit.destination;
                    let sent = self.link.send(&transmit.contents, to).await;
                    sent.map_err(|_| End::Refused)?;
                }
                Ok(Output::Event(event)) => self.on_event(event),
                Ok(Output::Timeout(until)) => {
                    if let Some(end) = self.lost.take() {
                        return Err(end);
                    }
                    if !self.rtc.is_alive() {
                        return Err(if self.closing {
                            End::Closed
                        } else {
                            End::ClosedByPeer
                        });
                    }
                    return Ok(until);
                }
                Err(error) => return Err(end_of(&error)),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                if let Some(connected) = self.connected.take()
                    && let Some(fingerprint) = rtc::remote_fingerprint(&mut self.rtc)
                {
                    // Who doesn't wait for it any more has dropped the connection.
                    let _ = connected.send(fingerprint);
                }
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.lost = Some(End::Gone);
            }
            Event::ChannelOpen(id, _) => match self.keys.get(&id) {
                Some((key, _)) => self.shared.opened(*key),
                None => match self.shared.opened_by_peer() {
                    Some(key) => {
                        self.keys.insert(id, (key, false));
                        self.channels.insert(key, id);
                    }
                    None => self.rtc.direct_api().close_data_channel(id),
                },
            },
            Event::ChannelData(data) => {
                let slow = match self.keys.get(&data.id) {
                    Some((key, _)) => self.shared.received(*key, data.data),
                    None => None,
                };
                if let Some(id) = slow.and_then(|key| self.channels.get(&key)) {
                    // Who only writes would not see anything less.
                    self.rtc.direct_api().close_data_channel(*id);
                }
            }
            Event::ChannelClose(id) => {
                if let Some((key, ours)) = self.keys.remove(&id) {
                    self.channels.remove(&key);
                    self.blocked.remove(&key);
                    self.shared.closed(key, ours);
                }
            }
            _ => {}
        }
    }

    // --- Out ----------------------------------------------------------------------------------------

    fn do_work(&mut self) {
        if self.closing {
            return;
        }
        while let Some(key) = self.shared.next_work() {
            self.tend(key);
        }
        if self.shared.is_closing() {
            self.closing = true;
            if let Err(error) = self.rtc.close() {
                self.lost = Some(end_of(&error));
            }
        }
    }

    /// Does what is to be done about a channel.
    fn tend(&mut self, key: Key) {
        loop {
            let id = self.channels.get(&key).copied();
            match (self.shared.next(key, id.is_some()), id) {
                (Next::Open, _) => {
                    let id = rtc::open(&mut self.rtc.direct_api(), None);
                    self.keys.insert(id, (key, true));
                    self.channels.insert(key, id);
                }
                (Next::Send(message), Some(id)) => {
                    if !self.send(key, id, message) {
                        return;
                    }
                }
                (Next::Close, Some(id)) => {
                    self.close(key, id);
                    return;
                }
                _ => return,
            }
        }
    }

    /// Whether the message has gone.
    fn send(&mut self, key: Key, id: ChannelId, message: Vec<u8>) -> bool {
        let number = self.rtc.direct_api().sctp_stream_id_by_channel_id(id);
        let written = match self.rtc.channel(id) {
            Some(mut channel) => channel.write(true, &message),
            // It is about to be closed, which will be said soon.
            None => return false,
        };
        match written {
            Ok(true) => {
                self.shared.sent(key, message.len());
                if number.is_some_and(|number| number > MAX_CHANNEL_NUMBER) {
                    self.lost = Some(End::Failed("no data channel is given back".to_owned()));
                }
                true
            }
            Ok(false) => {
                self.shared.unsend(key, message);
                self.blocked.insert(key);
                false
            }
            Err(error) => {
                log::debug!("a message could not be sent: {error}");
                self.rtc.direct_api().close_data_channel(id);
                false
            }
        }
    }

    fn close(&mut self, key: Key, id: ChannelId) {
        // Some implementations take the end of the first channel for that of the connection.
        if key == HANDSHAKE {
            self.keys.remove(&id);
            self.channels.remove(&key);
            self.shared.closed(key, true);
        } else if self.is_ours(id) {
            self.rtc.direct_api().close_data_channel(id);
        } else {
            self.linger(id);
        }
    }

    fn is_ours(&self, id: ChannelId) -> bool {
        self.keys.get(&id).is_some_and(|(_, ours)| *ours)
    }

    /// Leaves it to the other side to close a channel that it has opened. If we were the first, `str0m`
    /// would close the number once more when the other side has done so as well, and by then that may be
    /// in use for another channel: browsers take the lowest one that is free.
    fn linger(&mut self, id: ChannelId) {
        if self.lingering.len() >= limits::MAX_WEBRTC_LINGERING
            && let Some((_, oldest)) = self.lingering.pop_front()
            && self.keys.contains_key(&oldest)
        {
            self.rtc.direct_api().close_data_channel(oldest);
        }
        self.lingering.push_back((Instant::now(), id));
    }

    /// Closes what the other side has not closed for too long.
    fn end_lingering(&mut self) {
        while let Some((since, id)) = self.lingering.front().copied() {
            let alive = self.keys.contains_key(&id);
            if alive && since.elapsed() < limits::WEBRTC_LINGER {
                break;
            }
            self.lingering.pop_front();
            if alive {
                self.rtc.direct_api().close_data_channel(id);
            }
        }
    }
}

fn end_of(error: &RtcError) -> End {
    match error {
        RtcError::RemoteSdp(_) => End::Certificate,
        _ => End::Failed(error.to_string()),
    }
}
