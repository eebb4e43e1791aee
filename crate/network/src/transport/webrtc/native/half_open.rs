//! Clients whose first request was answered, and who have not gone on. There may be many who never do.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use super::stun::Names;

/// What is known of one: its names, and its last request.
struct Entry {
    names: Names,
    request: Box<[u8]>,
    /// When it came first, in order.
    order: u64,
}

/// So many of them; the oldest makes room.
pub(super) struct HalfOpen {
    entries: HashMap<SocketAddr, Entry>,
    /// The oldest first. Some are gone already.
    ages: VecDeque<(u64, SocketAddr)>,
    last: u64,
    room: usize,
}

impl HalfOpen {
    pub(super) fn new(room: usize) -> Self {
        Self {
            entries: HashMap::new(),
            ages: VecDeque::new(),
            last: 0,
            room,
        }
    }

    pub(super) fn insert(&mut self, from: SocketAddr, names: Names, request: &[u8]) {
        if let Some(entry) = self.entries.get_mut(&from)
            && entry.names == names
        {
            entry.request = request.into();
            return;
        }
        self.last += 1;
        let entry = Entry {
            names,
            request: request.into(),
            order: self.last,
        };
        self.entries.insert(from, entry);
        self.ages.push_back((self.last, from));
        while self.entries.len() > self.room || self.ages.len() > 2 * self.room {
            let Some((order, from)) = self.ages.pop_front() else {
                break;
            };
            if self.entries.get(&from).is_some_and(|it| it.order == order) {
                self.entries.remove(&from);
            }
        }
    }

    /// Takes out a client's names and last request.
    pub(super) fn remove(&mut self, from: SocketAddr) -> Option<(Names, Box<[u8]>)> {
        let entry = self.entries.remove(&from)?;
        Some((entry.names, entry.request))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn names(of: u16) -> Names {
        Names {
            server: of.to_string(),
            client: of.to_string(),
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut half_open = HalfOpen::new(4);
        for port in 0..1000 {
            half_open.insert(address(port), names(port), b"x");
            // Coming again makes nobody younger.
            let before = port.saturating_sub(3);
            half_open.insert(address(before), names(before), b"y");
            assert!(half_open.len() <= 4);
            assert!(half_open.ages.len() <= 8);
        }
        assert_eq!(half_open.remove(address(990)), None);
        let last = half_open.remove(address(998));
        assert_eq!(last, Some((names(998), b"x"[..].into())));
        assert_eq!(half_open.remove(address(998)), None);
    }

    #[test]
    fn another_client_at_the_same_address_takes_its_place() {
        let mut half_open = HalfOpen::new(4);
        half_open.insert(address(1), names(1), b"1");
        half_open.insert(address(1), names(2), b"2");
        assert_eq!(half_open.len(), 1);
        let found = half_open.remove(address(1));
        assert_eq!(found, Some((names(2), b"2"[..].into())));
        for _ in 0..100 {
            half_open.insert(address(1), names(1), b"1");
            drop(half_open.remove(address(1)));
        }
        assert!(half_open.ages.len() <= 8);
    }
}
