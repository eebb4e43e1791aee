//! What gossip remembers for a while: messages that were there, those on whose acceptance somebody
//! still has to decide, those it has asked for, and whom it leaves alone. All of it is bounded.

use std::collections::{HashSet, VecDeque};

use libp2p::PeerId;
use web_time::Instant;

use super::rpc::{Frame, Message, MessageId, message_frame};
use crate::limits;

/// Messages that were there.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<MessageId>,
    /// In the order in which they came.
    since: VecDeque<(Instant, MessageId)>,
}

impl Seen {
    pub(crate) fn contains(&self, id: &MessageId) -> bool {
        self.ids.contains(id)
    }

    /// Returns whether it is new.
    pub(crate) fn insert(&mut self, id: MessageId, now: Instant) -> bool {
        let new = self.ids.insert(id);
        if new {
            if self.since.len() >= limits::MAX_GOSSIP_SEEN {
                self.forget_oldest();
            }
            self.since.push_back((now, id));
        }
        new
    }

    pub(crate) fn remove(&mut self, id: &MessageId) {
        // It is the one that came last, or nearly so.
        if let Some(index) = self.since.iter().rposition(|(_, other)| other == id) {
            self.since.remove(index);
        }
        self.ids.remove(id);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.since.pop_front() {
            self.ids.remove(&id);
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((since, _)) = self.since.front()
            && now.duration_since(*since) > limits::GOSSIP_SEEN_TIME
        {
            self.forget_oldest();
        }
    }
}

/// A message on which somebody has to decide.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: MessageId,
    since: Instant,
    pub(crate) topic: String,
    pub(crate) author: Option<PeerId>,
    /// Who has sent it.
    pub(crate) sources: Vec<PeerId>,
    /// What others are sent.
    pub(crate) frame: Frame,
}

/// Messages on which somebody has to decide.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    messages: VecDeque<Waiting>,
    bytes: usize,
}

impl Pending {
    pub(crate) fn insert(
        &mut self,
        id: MessageId,
        source: PeerId,
        message: &Message,
        now: Instant,
    ) {
        let frame = message_frame(message);
        // Whoever waited longest is of least use to others.
        while self.messages.len() >= limits::MAX_GOSSIP_PENDING
            || !self.messages.is_empty()
                && self.bytes + frame.len() > limits::MAX_GOSSIP_PENDING_BYTES
        {
            self.remove(0);
        }
        self.bytes += frame.len();
        self.messages.push_back(Waiting {
            id,
            since: now,
            topic: message.topic.clone(),
            author: message.author,
            sources: vec![source],
            frame,
        });
    }

    /// Another peer has sent it as well.
    pub(crate) fn came_again(&mut self, id: &MessageId, source: PeerId) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == *id)
            && !message.sources.contains(&source)
        {
            message.sources.push(source);
        }
    }

    pub(crate) fn take(&mut self, id: &MessageId) -> Option<Waiting> {
        let index = self.messages.iter().position(|message| message.id == *id)?;
        self.remove(index)
    }

    fn remove(&mut self, index: usize) -> Option<Waiting> {
        let message = self.messages.remove(index)?;
        self.bytes -= message.frame.len();
        Some(message)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(message) = self.messages.front()
            && now.duration_since(message.since) > limits::GOSSIP_PENDING_TIME
        {
            self.remove(0);
        }
    }
}

/// Messages that peers say to have, and that we have asked them for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    messages: Vec<(MessageId, PeerId, Instant)>,
}

impl Asked {
    /// Returns whether the peer is to be asked. Nobody is while another one still may answer.
    pub(crate) fn ask(&mut self, id: MessageId, peer: PeerId, now: Instant) -> bool {
        let of_peer = |(_, other, _): &&(MessageId, PeerId, Instant)| *other == peer;
        let asked = self.messages.iter().any(|(other, ..)| *other == id);
        if asked || self.messages.iter().filter(of_peer).count() >= limits::MAX_GOSSIP_ASKED {
            return false;
        }
        self.messages.push((id, peer, now));
        true
    }

    /// A message is there. Returns whether that is because this peer was asked for it.
    pub(crate) fn arrived(&mut self, id: &MessageId, peer: &PeerId) -> bool {
        match self.messages.iter().position(|(other, ..)| other == id) {
            Some(index) => self.messages.swap_remove(index).1 == *peer,
            None => false,
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.messages
            .retain(|(_, _, since)| now.duration_since(*since) <= limits::GOSSIP_ANSWER_TIME);
    }
}

/// Who is not to be taken into which mesh, and until when. It outlives connections, for nodes remember
/// it as well.
#[derive(Debug, Default)]
pub(crate) struct Backoffs {
    entries: VecDeque<(PeerId, String, Instant)>,
}

impl Backoffs {
    pub(crate) fn set(&mut self, peer: PeerId, topic: String, until: Instant) {
        self.entries
            .retain(|(other, name, _)| *other != peer || *name != topic);
        if self.entries.len() >= limits::MAX_GOSSIP_BACKOFFS {
            self.entries.pop_front();
        }
        // Who is too early is punished, so we are rather late.
        self.entries
            .push_back((peer, topic, until + limits::GOSSIP_BACKOFF_SLACK));
    }

    pub(crate) fn is_active(&self, peer: &PeerId, topic: &str, now: Instant) -> bool {
        self.entries
            .iter()
            .any(|(other, name, until)| other == peer && name == topic && now < *until)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.entries.retain(|(.., until)| now < *until);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn id(number: usize) -> MessageId {
        MessageId::of("", &number.to_be_bytes())
    }

    fn message(bytes: usize) -> Message {
        Message {
            author: None,
            number: None,
            topic: "news".to_owned(),
            data: vec![0; bytes],
        }
    }

    #[test]
    fn seen_messages_are_forgotten_in_time_and_bounded() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        assert!(seen.insert(id(0), now));
        assert!(!seen.insert(id(0), now));
        seen.expire(now + limits::GOSSIP_SEEN_TIME);
        assert!(seen.contains(&id(0)));
        seen.expire(now + limits::GOSSIP_SEEN_TIME + MOMENT);
        assert!(!seen.contains(&id(0)));
        for number in 0..=limits::MAX_GOSSIP_SEEN {
            assert!(seen.insert(id(number), now));
        }
        assert_eq!(
            (seen.ids.len(), seen.since.len()),
            (limits::MAX_GOSSIP_SEEN, limits::MAX_GOSSIP_SEEN)
        );
        assert!(!seen.contains(&id(0)) && seen.contains(&id(1)));
        seen.remove(&id(1));
        assert_eq!(seen.ids.len(), seen.since.len());
        assert!(seen.insert(id(1), now));
    }

    #[test]
    fn what_waits_is_bounded_in_number_bytes_and_time() {
        let (mut pending, now, peer) = (Pending::default(), Instant::now(), PeerId::random());
        for number in 0..=limits::MAX_GOSSIP_PENDING {
            pending.insert(id(number), peer, &message(10), now);
        }
        assert_eq!(pending.messages.len(), limits::MAX_GOSSIP_PENDING);
        assert!(pending.take(&id(0)).is_none());
        assert!(pending.take(&id(1)).is_some() && pending.take(&id(1)).is_none());
        for number in 0..20 {
            let large = message(limits::MAX_GOSSIP_BYTES);
            pending.insert(id(10_000 + number), peer, &large, now);
            assert!(pending.bytes <= limits::MAX_GOSSIP_PENDING_BYTES);
        }
        assert!(pending.take(&id(10_019)).is_some());
        pending.expire(now + limits::GOSSIP_PENDING_TIME);
        assert!(!pending.messages.is_empty());
        pending.expire(now + limits::GOSSIP_PENDING_TIME + MOMENT);
        assert_eq!((pending.messages.len(), pending.bytes), (0, 0));
    }

    #[test]
    fn each_sender_of_a_waiting_message_is_known_once() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        let (a, b) = (PeerId::random(), PeerId::random());
        pending.insert(id(0), a, &message(1), now);
        for peer in [a, b, b] {
            pending.came_again(&id(0), peer);
        }
        assert_eq!(pending.take(&id(0)).unwrap().sources, [a, b]);
    }

    #[test]
    fn one_peer_at_a_time_is_asked_and_for_so_many_messages() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let (a, b) = (PeerId::random(), PeerId::random());
        assert!(asked.ask(id(0), a, now));
        assert!(!asked.ask(id(0), b, now));
        let late = now + limits::GOSSIP_ANSWER_TIME + MOMENT;
        asked.expire(late);
        assert!(asked.ask(id(0), b, late));
        assert!(!asked.arrived(&id(0), &a) && !asked.arrived(&id(0), &b));
        assert!(asked.ask(id(0), b, late) && asked.arrived(&id(0), &b));
        let count = (0..1000).filter(|n| asked.ask(id(*n), a, now)).count();
        assert_eq!(count, limits::MAX_GOSSIP_ASKED);
        assert!(asked.ask(id(2000), b, now));
    }

    #[test]
    fn backoffs_end_and_are_bounded() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        let peer = PeerId::random();
        backoffs.set(peer, "news".to_owned(), now);
        backoffs.set(peer, "news".to_owned(), now);
        assert_eq!(backoffs.entries.len(), 1);
        assert!(!backoffs.is_active(&peer, "other", now));
        let end = now + limits::GOSSIP_BACKOFF_SLACK;
        assert!(backoffs.is_active(&peer, "news", end - MOMENT));
        assert!(!backoffs.is_active(&peer, "news", end));
        for _ in 0..=limits::MAX_GOSSIP_BACKOFFS {
            backoffs.set(PeerId::random(), "news".to_owned(), now);
        }
        assert_eq!(backoffs.entries.len(), limits::MAX_GOSSIP_BACKOFFS);
        backoffs.expire(end);
        assert!(backoffs.entries.is_empty());
    }
}
