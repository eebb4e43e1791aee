//! Connections that others are opening: each has a slot and a time. When all slots are taken, the
//! oldest connection makes room, first that of the host that opens most. So whoever opens thousands
//! and leaves them half open is in nobody's way but its own.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{AbortHandle, BoxFuture, abortable};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
    },
};
use parking_lot::Mutex;

use crate::address;

type Output = (PeerId, StreamMuxerBox);

/// The slots.
#[derive(Debug)]
struct Table {
    most: usize,
    next: u64,
    taken: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    host: Option<IpAddr>,
    abort: AbortHandle,
}

impl Table {
    fn take(&mut self, host: Option<IpAddr>, abort: AbortHandle) -> u64 {
        if self.taken.len() >= self.most {
            self.make_room();
        }
        self.next += 1;
        let id = self.next;
        self.taken.push_back(Slot { id, host, abort });
        id
    }

    fn make_room(&mut self) {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for slot in &self.taken {
            *counts.entry(slot.host).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let oldest = self
            .taken
            .iter()
            .position(|slot| counts.get(&slot.host).copied() == most);
        if let Some(slot) = oldest.and_then(|index| self.taken.remove(index)) {
            slot.abort.abort();
        }
    }

    fn free(&mut self, id: u64) {
        // They are in the order of their ids.
        if let Ok(index) = self.taken.binary_search_by_key(&id, |slot| slot.id) {
            self.taken.remove(index);
        }
    }
}

/// Frees its slot when it is dropped, which a connection that is given up is as well.
#[derive(Debug)]
struct Taken {
    table: Arc<Mutex<Table>>,
    id: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.table.lock().free(self.id);
    }
}

/// A transport whose inbound connections have slots.
pub(super) struct Slots {
    inner: Boxed<Output>,
    table: Arc<Mutex<Table>>,
    patience: Duration,
}

impl Slots {
    pub(super) fn new(inner: Boxed<Output>, most: u32, patience: Duration) -> Self {
        let table = Table {
            most: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            next: 0,
            taken: VecDeque::new(),
        };
        Self {
            inner,
            table: Arc::new(Mutex::new(table)),
            patience,
        }
    }

    fn guard(
        &self,
        upgrade: <Boxed<Output> as Transport>::ListenerUpgrade,
        host: Option<IpAddr>,
    ) -> BoxFuture<'static, io::Result<Output>> {
        let (upgrade, abort) = abortable(upgrade);
        let id = self.table.lock().take(host, abort);
        let taken = Taken {
            table: Arc::clone(&self.table),
            id,
        };
        let patience = self.patience;
        Box::pin(async move {
            let _taken = taken;
            match tokio::time::timeout(patience, upgrade).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(io::Error::other("made room for others")),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        })
    }
}

impl Transport for Slots {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<Output>>;
    type Dial = <Boxed<Output> as Transport>::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, opts)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let event = std::task::ready!(Pin::new(&mut self.inner).poll(cx));
        let host = match &event {
            TransportEvent::Incoming { send_back_addr, .. } => address::ip_of(send_back_addr),
            _ => None,
        };
        Poll::Ready(event.map_upgrade(|upgrade| self.guard(upgrade, host)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    fn table(most: usize) -> Table {
        Table {
            most,
            next: 0,
            taken: VecDeque::new(),
        }
    }

    fn open(table: &mut Table, host: u8) -> (u64, AbortHandle) {
        let (abort, _) = AbortHandle::new_pair();
        let ip = IpAddr::V4(Ipv4Addr::new(1, 2, 3, host));
        (table.take(Some(ip), abort.clone()), abort)
    }

    #[test]
    fn the_oldest_of_the_busiest_host_makes_room() {
        let mut table = table(4);
        let (_, modest) = open(&mut table, 1);
        let busy: Vec<_> = (0..3).map(|_| open(&mut table, 2)).collect();
        assert!(busy.iter().all(|(_, abort)| !abort.is_aborted()));
        open(&mut table, 3);
        assert!(busy[0].1.is_aborted() && !busy[1].1.is_aborted() && !modest.is_aborted());
        assert_eq!(table.taken.len(), 4);
        for _ in 0..10_000 {
            open(&mut table, 2);
            assert_eq!(table.taken.len(), 4);
        }
        assert!(!modest.is_aborted());
    }

    #[test]
    fn slots_are_freed_once() {
        let mut table = table(2);
        let (first, _) = open(&mut table, 1);
        let (second, abort) = open(&mut table, 1);
        table.free(first);
        table.free(first);
        open(&mut table, 1);
        assert!(!abort.is_aborted());
        table.free(second);
        assert_eq!(table.taken.len(), 1);
    }
}
