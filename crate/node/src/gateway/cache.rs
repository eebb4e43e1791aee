//! Answers of upstreams that stand for the next ones to the same question, for a short time and in
//! bounded memory. What one upstream says is never told to those who are bound to another.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use pico_network::PeerId;

use super::{limits, types::Keep};

/// A question to one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) upstream: PeerId,
    pub(super) payload: Arc<[u8]>,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<Vec<u8>>,
    keep: Keep,
    /// When it was asked for: what it says may be as old as that.
    asked: Instant,
    /// The number of blocks that had come by then.
    blocks: u64,
    /// Tells it from an earlier answer that stood here.
    number: u64,
}

/// The answers.
#[derive(Debug)]
pub(super) struct Cache {
    entries: HashMap<Question, Entry>,
    /// In the order in which they came; some are replaced already.
    order: VecDeque<(u64, Question)>,
    bytes: usize,
    max_bytes: usize,
    next: u64,
    /// Blocks that have come.
    blocks: u64,
}

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            max_bytes,
            next: 0,
            blocks: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A block has come: what depends on the head is old.
    pub(super) fn block_came(&mut self) {
        self.blocks += 1;
    }

    /// How many blocks have come, to be given with an answer that is asked for now.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(super) fn get(&self, question: &Question, now: Instant) -> Option<Arc<Vec<u8>>> {
        let entry = self.entries.get(question)?;
        self.is_fresh(entry, now).then(|| Arc::clone(&entry.answer))
    }

    fn is_fresh(&self, entry: &Entry, now: Instant) -> bool {
        let age = now.saturating_duration_since(entry.asked);
        match entry.keep {
            Keep::For(time) => age < time,
            Keep::UntilBlock => {
                age < limits::FRESH_AT_LEAST || age < limits::FRESH && entry.blocks == self.blocks
            }
        }
    }

    /// Keeps an answer. `asked` and `blocks` are from when it was asked for.
    pub(super) fn insert(
        &mut self,
        question: Question,
        answer: Arc<Vec<u8>>,
        keep: Keep,
        asked: Instant,
        blocks: u64,
    ) {
        let size = size_of(&question, &answer);
        if size > self.max_bytes / 4 {
            return;
        }
        self.remove(&question);
        self.next += 1;
        self.order.push_back((self.next, question.clone()));
        let entry = Entry {
            answer,
            keep,
            asked,
            blocks,
            number: self.next,
        };
        self.entries.insert(question, entry);
        self.bytes += size;
        while self.bytes > self.max_bytes || self.order.len() > limits::CACHE_ENTRIES {
            self.remove_oldest();
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        // Those that are kept for long stand in the way of others, but not for longer than that.
        while let Some((number, question)) = self.order.front() {
            let entry = self.entries.get(question);
            let current = entry.filter(|entry| entry.number == *number);
            if current.is_some_and(|entry| self.is_fresh(entry, now)) {
                break;
            }
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((number, question)) = self.order.pop_front()
            && let Some(entry) = self.entries.get(&question)
            && entry.number == number
        {
            self.remove(&question);
        }
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.bytes -= size_of(question, &entry.answer);
        }
    }
}

/// What an entry takes besides its bytes, about.
const OVERHEAD: usize = 300;

fn size_of(question: &Question, answer: &[u8]) -> usize {
    question.payload.len() + answer.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn question(upstream: PeerId, text: &[u8]) -> Question {
        Question {
            upstream,
            payload: text.into(),
        }
    }

    fn put(cache: &mut Cache, question: &Question, bytes: usize, keep: Keep, now: Instant) {
        let blocks = cache.blocks();
        cache.insert(
            question.clone(),
            Arc::new(vec![0; bytes]),
            keep,
            now,
            blocks,
        );
    }

    #[test]
    fn what_depends_on_the_head_lasts_until_the_next_block() {
        let (mut cache, now) = (Cache::new(1 << 20), Instant::now());
        let upstream = PeerId::random();
        let head = question(upstream, b"head");
        put(&mut cache, &head, 10, Keep::UntilBlock, now);
        let later = now + limits::FRESH_AT_LEAST;
        assert!(cache.get(&head, later).is_some());
        assert!(cache.get(&head, now + limits::FRESH).is_none());
        // Another upstream may say something else.
        assert!(
            cache
                .get(&question(PeerId::random(), b"head"), now)
                .is_none()
        );
        let before = cache.blocks();
        cache.block_came();
        assert!(cache.get(&head, now).is_some());
        assert!(cache.get(&head, later).is_none());
        // One that was asked for before the block came is as old.
        cache.insert(head.clone(), Arc::default(), Keep::UntilBlock, now, before);
        assert!(cache.get(&head, later).is_none());
        let block = question(upstream, b"block");
        put(
            &mut cache,
            &block,
            10,
            Keep::For(Duration::from_secs(60)),
            now,
        );
        cache.block_came();
        assert!(cache.get(&block, now + Duration::from_secs(59)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let (mut cache, now) = (Cache::new(100_000), Instant::now());
        let upstream = PeerId::random();
        let keep = Keep::For(Duration::from_secs(60));
        for number in 0..1000u32 {
            put(
                &mut cache,
                &question(upstream, &number.to_be_bytes()),
                1000,
                keep,
                now,
            );
            assert!(cache.bytes() <= 100_000);
        }
        assert!(
            cache
                .get(&question(upstream, &0u32.to_be_bytes()), now)
                .is_none()
        );
        assert!(
            cache
                .get(&question(upstream, &999u32.to_be_bytes()), now)
                .is_some()
        );
        // One that would take most of it isn't kept.
        let before = cache.len();
        put(&mut cache, &question(upstream, b"large"), 50_000, keep, now);
        assert_eq!(cache.len(), before);
        // One question asked again and again takes its place once.
        for _ in 0..1000 {
            put(&mut cache, &question(upstream, b"again"), 10, keep, now);
        }
        cache.expire(now + Duration::from_secs(60));
        assert_eq!((cache.len(), cache.bytes(), cache.order.len()), (0, 0, 0));
    }
}
