//! Brings requests to those who receive them, and answers to those who wait for them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use libp2p::{
    PeerId,
    request_response::{
        Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
};
use nimiq_network_interface::request::{
    InboundRequestError, OutboundRequestError, RequestError, RequestType, peek_type,
};
use nimiq_serde::Serialize;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use web_time::Instant;

use super::{
    codec::{Codec, Frame, Payload},
    rate_limit::{RateLimit, RateLimiter, Verdict},
};
use crate::{
    capacity::Capacity,
    command::{Reply, answer},
    error::{NetworkError, Violation},
    limits,
};

type Requests = libp2p::request_response::Behaviour<Codec>;

/// A request on its way to its receiver.
pub(crate) type Incoming = (Payload, InboundRequestId, PeerId);

/// Who receives requests of one type.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) sender: mpsc::Sender<Incoming>,
    pub(crate) limit: RateLimit,
    /// Counts the requests that were over the limit.
    pub(crate) limited: Arc<AtomicU64>,
}

/// The receivers, shared with the handles, so that registering one takes effect at once.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    by_type: Mutex<HashMap<RequestType, Receiver>>,
}

impl Receivers {
    /// Registers a receiver in place of an earlier one. `false` if there are too many.
    pub(crate) fn register(&self, request_type: RequestType, receiver: Receiver) -> bool {
        let mut by_type = self.by_type.lock();
        by_type.retain(|_, receiver| !receiver.sender.is_closed());
        if by_type.len() >= limits::MAX_REQUEST_RECEIVERS && !by_type.contains_key(&request_type) {
            return false;
        }
        by_type.insert(request_type, receiver);
        true
    }

    fn find(&self, request_type: RequestType) -> Option<Receiver> {
        let mut by_type = self.by_type.lock();
        let receiver = by_type.get(&request_type)?;
        if receiver.sender.is_closed() {
            by_type.remove(&request_type);
            return None;
        }
        Some(receiver.clone())
    }

    pub(crate) fn clear(&self) {
        self.by_type.lock().clear();
    }
}

#[derive(Debug)]
struct Outstanding {
    peer: PeerId,
    request_type: RequestType,
    reply: Reply<Result<Payload, RequestError>>,
}

/// What rate limits are counted by: the types somebody receives, and all others together, so that
/// inventing types gives nobody more requests.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Kind {
    Received(RequestType),
    Unreceived,
}

const UNRECEIVED: RateLimit = RateLimit {
    max: limits::UNRECEIVED_LIMIT,
    window: limits::REQUEST_TIMEOUT,
};

/// What one peer takes of what there is.
#[derive(Debug, Default)]
struct Load {
    /// Requests of ours under way.
    outstanding: usize,
    /// Its requests that wait for our answer.
    unanswered: usize,
    /// Bytes of answers that it has not read yet.
    unread: usize,
}

/// Requests under way, in both directions.
pub(crate) struct Dispatch {
    receivers: Arc<Receivers>,
    capacity: Capacity,
    outstanding: HashMap<OutboundRequestId, Outstanding>,
    unanswered: HashMap<InboundRequestId, (PeerId, ResponseChannel<Frame>)>,
    /// Answers that are being sent, with their size.
    unread: HashMap<InboundRequestId, (PeerId, usize)>,
    unread_bytes: usize,
    loads: HashMap<PeerId, Load>,
    limiter: RateLimiter<Kind>,
    /// Requests refused because their receiver was too slow or their sender didn't read, since the
    /// beginning. Counted before the refusal goes out.
    refused: Arc<AtomicU64>,
}

impl Dispatch {
    pub(crate) fn new(
        receivers: Arc<Receivers>,
        capacity: Capacity,
        refused: Arc<AtomicU64>,
    ) -> Self {
        Self {
            receivers,
            capacity,
            outstanding: HashMap::new(),
            unanswered: HashMap::new(),
            unread: HashMap::new(),
            unread_bytes: 0,
            loads: HashMap::new(),
            limiter: RateLimiter::new(capacity.rate_counters),
            refused,
        }
    }

    fn load(&self, peer: &PeerId, of: impl Fn(&Load) -> usize) -> usize {
        self.loads.get(peer).map_or(0, of)
    }

    /// Changes what a peer takes. Only those who take something are kept.
    fn change_load(&mut self, peer: PeerId, change: impl FnOnce(&mut Load)) {
        match self.loads.entry(peer) {
            Entry::Occupied(mut entry) => {
                let load = entry.get_mut();
                change(load);
                if load.outstanding == 0 && load.unanswered == 0 && load.unread == 0 {
                    entry.remove();
                }
            }
            Entry::Vacant(entry) => change(entry.insert(Load::default())),
        }
    }

    /// Sends a request to a connected peer.
    pub(crate) fn send(
        &mut self,
        requests: &mut Requests,
        peer: PeerId,
        request_type: RequestType,
        payload: Vec<u8>,
        reply: Reply<Result<Payload, RequestError>>,
    ) {
        // libp2p would dial the peer for it, behind the pool's back.
        let error = if !requests.is_connected(&peer) {
            OutboundRequestError::ConnectionClosed
        } else if payload.len() > limits::MAX_REQUEST_BYTES {
            OutboundRequestError::SerializationError
        } else if self.load(&peer, |load| load.outstanding) >= self.capacity.requests_per_peer {
            OutboundRequestError::Other("too many requests under way to this peer".to_owned())
        } else {
            let id = requests.send_request(&peer, payload.into());
            self.outstanding.insert(
                id,
                Outstanding {
                    peer,
                    request_type,
                    reply,
                },
            );
            self.change_load(peer, |load| load.outstanding += 1);
            return;
        };
        answer(reply, Err(error.into()));
    }

    fn end_outstanding(&mut self, id: &OutboundRequestId) -> Option<Outstanding> {
        let outstanding = self.outstanding.remove(id)?;
        self.change_load(outstanding.peer, |load| load.outstanding -= 1);
        Some(outstanding)
    }

    fn end_unanswered(
        &mut self,
        id: &InboundRequestId,
    ) -> Option<(PeerId, ResponseChannel<Frame>)> {
        let (peer, channel) = self.unanswered.remove(id)?;
        self.change_load(peer, |load| load.unanswered -= 1);
        Some((peer, channel))
    }

    fn end_unread(&mut self, id: &InboundRequestId) {
        if let Some((peer, bytes)) = self.unread.remove(id) {
            self.unread_bytes -= bytes;
            self.change_load(peer, |load| load.unread -= bytes);
        }
    }

    /// Answers a request.
    pub(crate) fn respond(
        &mut self,
        requests: &mut Requests,
        id: InboundRequestId,
        payload: Payload,
    ) -> Result<(), NetworkError> {
        let (peer, channel) = self
            .end_unanswered(&id)
            .ok_or(NetworkError::UnknownRequest)?;
        let bytes = payload.bytes().len();
        if bytes > limits::MAX_RESPONSE_BYTES {
            return Err(NetworkError::ResponseTooLarge(bytes));
        }
        // Who asks and doesn't read is told so in a few bytes.
        let unread = self.load(&peer, |load| load.unread);
        if unread + bytes > self.capacity.answer_memory_per_peer
            || self.unread_bytes + bytes > self.capacity.answer_memory
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            refuse(requests, channel, InboundRequestError::ExceedsRateLimit);
            return Err(NetworkError::SlowReader);
        }
        requests
            .send_response(channel, Frame::Whole(payload))
            .map_err(|_| NetworkError::UnknownRequest)?;
        self.unread.insert(id, (peer, bytes));
        self.unread_bytes += bytes;
        self.change_load(peer, |load| load.unread += bytes);
        Ok(())
    }

    /// Handles an event. Returns the rule that the peer broke by it, if any.
    pub(crate) fn on_event(
        &mut self,
        requests: &mut Requests,
        event: Event<Frame, Frame>,
    ) -> Option<(PeerId, Violation)> {
        match event {
            Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => self.on_request(requests, peer, request_id, request, channel),
                Message::Response {
                    request_id,
                    response,
                } => self.on_response(peer, request_id, response),
            }
            .map(|violation| (peer, violation)),
            Event::OutboundFailure {
                request_id, error, ..
            } => {
                if let Some(outstanding) = self.end_outstanding(&request_id) {
                    answer(outstanding.reply, Err(outbound_error(error).into()));
                }
                None
            }
            Event::InboundFailure { request_id, .. } => {
                self.end_unanswered(&request_id);
                self.end_unread(&request_id);
                None
            }
            Event::ResponseSent { request_id, .. } => {
                self.end_unread(&request_id);
                None
            }
        }
    }

    fn on_request(
        &mut self,
        requests: &mut Requests,
        peer: PeerId,
        id: InboundRequestId,
        frame: Frame,
        channel: ResponseChannel<Frame>,
    ) -> Option<Violation> {
        let payload = match frame {
            Frame::Whole(payload) => payload,
            // Given up before it was sent. No answer is wanted, but it is counted.
            Frame::Nothing | Frame::NoMemory => {
                let now = Instant::now();
                let verdict = self.limiter.count(peer, Kind::Unreceived, UNRECEIVED, now);
                return (verdict == Verdict::Flood).then_some(Violation::MalformedRequest(None));
            }
            Frame::Truncated => return Some(Violation::MalformedRequest(None)),
            Frame::Oversized(size) => return Some(Violation::OversizedRequest(size)),
        };
        let Ok(request_type) = peek_type(payload.bytes()) else {
            return Some(Violation::MalformedRequest(None));
        };
        let receiver = self.receivers.find(request_type);
        let (kind, limit) = match &receiver {
            Some(receiver) => (Kind::Received(request_type), receiver.limit),
            None => (Kind::Unreceived, UNRECEIVED),
        };
        let verdict = self.limiter.count(peer, kind, limit, Instant::now());
        let refusal = match (verdict, receiver) {
            (Verdict::Flood, _) => return Some(Violation::RequestFlood(request_type.type_id())),
            (Verdict::Refused, receiver) => {
                if let Some(receiver) = receiver {
                    receiver.limited.fetch_add(1, Ordering::Relaxed);
                }
                InboundRequestError::ExceedsRateLimit
            }
            (Verdict::Allowed, None) => InboundRequestError::NoReceiver,
            (Verdict::Allowed, Some(receiver)) => {
                return self.deliver(
                    requests,
                    (payload, id, peer),
                    request_type,
                    &receiver.sender,
                    channel,
                );
            }
        };
        refuse(requests, channel, refusal);
        None
    }

    fn deliver(
        &mut self,
        requests: &mut Requests,
        incoming: Incoming,
        request_type: RequestType,
        sender: &mpsc::Sender<Incoming>,
        channel: ResponseChannel<Frame>,
    ) -> Option<Violation> {
        let (id, peer) = (incoming.1, incoming.2);
        let full = self.unanswered.len() >= self.capacity.unanswered
            || self.load(&peer, |load| load.unanswered) >= self.capacity.unanswered_per_peer;
        if full || sender.try_send(incoming).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            refuse(requests, channel, InboundRequestError::ExceedsRateLimit);
        } else if request_type.requires_response() {
            self.unanswered.insert(id, (peer, channel));
            self.change_load(peer, |load| load.unanswered += 1);
        } else {
            // One-way messages are answered for their receiver, who doesn't.
            send(requests, channel, Ok(()));
        }
        None
    }

    fn on_response(
        &mut self,
        peer: PeerId,
        id: OutboundRequestId,
        frame: Frame,
    ) -> Option<Violation> {
        let outstanding = self.end_outstanding(&id)?;
        let mut violation = None;
        let result = match frame {
            Frame::Whole(payload) => Ok(payload),
            Frame::Nothing => Err(OutboundRequestError::NoResponse),
            Frame::Truncated => {
                violation = Some(Violation::MalformedResponse(
                    outstanding.request_type.type_id(),
                ));
                Err(OutboundRequestError::Other("truncated response".to_owned()))
            }
            Frame::Oversized(size) => {
                violation = Some(Violation::OversizedResponse(size));
                Err(OutboundRequestError::Other(format!(
                    "response of {size} bytes"
                )))
            }
            Frame::NoMemory => {
                log::warn!("no memory left for a response of {peer}");
                Err(OutboundRequestError::Other(
                    "no memory left for the response".to_owned(),
                ))
            }
        };
        answer(outstanding.reply, result.map_err(RequestError::from));
        violation
    }
}

fn refuse(requests: &mut Requests, channel: ResponseChannel<Frame>, error: InboundRequestError) {
    send(requests, channel, Err(error));
}

fn send(
    requests: &mut Requests,
    channel: ResponseChannel<Frame>,
    response: Result<(), InboundRequestError>,
) {
    // An error means that the peer has given up waiting.
    drop(requests.send_response(channel, response.serialize_to_vec().into()));
}

fn outbound_error(error: OutboundFailure) -> OutboundRequestError {
    match error {
        OutboundFailure::DialFailure => OutboundRequestError::DialFailure,
        OutboundFailure::Timeout => OutboundRequestError::Timeout,
        OutboundFailure::ConnectionClosed => OutboundRequestError::ConnectionClosed,
        OutboundFailure::UnsupportedProtocols => OutboundRequestError::UnsupportedProtocols,
        OutboundFailure::Io(error) => OutboundRequestError::Other(error.to_string()),
    }
}
