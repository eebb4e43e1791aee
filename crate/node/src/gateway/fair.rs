//! A queue that serves its clients in turn: however much one of them asks for, each other one waits
//! for as many requests as there are clients, and no more.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A queue of jobs of several clients.
#[derive(Debug)]
pub(super) struct FairQueue<C, J> {
    /// Whose turn it is.
    turns: VecDeque<C>,
    jobs: HashMap<C, VecDeque<J>>,
    len: usize,
}

impl<C: Copy + Eq + Hash, J> FairQueue<C, J> {
    pub(super) fn new() -> Self {
        Self {
            turns: VecDeque::new(),
            jobs: HashMap::new(),
            len: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, client: C, job: J) {
        let jobs = self.jobs.entry(client).or_default();
        if jobs.is_empty() {
            self.turns.push_back(client);
        }
        jobs.push_back(job);
        self.len += 1;
    }

    /// The next job: the oldest one of the client whose turn it is.
    pub(super) fn pop(&mut self) -> Option<J> {
        let client = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&client)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.jobs.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.len -= 1;
        Some(job)
    }

    /// Takes out all jobs.
    pub(super) fn drain(&mut self) -> Vec<J> {
        let mut all = Vec::with_capacity(self.len);
        while let Some(job) = self.pop() {
            all.push(job);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns() {
        let mut queue = FairQueue::new();
        for job in 0..1000 {
            queue.push('a', job);
        }
        queue.push('b', 1000);
        queue.push('b', 1001);
        queue.push('c', 1002);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).take(7).collect();
        assert_eq!(order, [0, 1000, 1002, 1, 1001, 2, 3]);
        assert_eq!(queue.drain().len(), 996);
        assert!(queue.is_empty() && queue.pop().is_none());
        assert!(queue.turns.is_empty() && queue.jobs.is_empty());
    }
}
