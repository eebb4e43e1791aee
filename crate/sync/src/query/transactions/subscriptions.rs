//! Which peers notify us of which addresses. Each address is subscribed to at several peers, so that
//! one that keeps silent hides nothing. What is in here decides; it asks nobody itself.

use std::collections::{BTreeSet, HashMap};

use nimiq_keys::Address;

use crate::{limits, messages::AddressSubscriptionOperation};

/// Something to ask of a peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order<TPeerId> {
    pub(super) peer: TPeerId,
    pub(super) operation: AddressSubscriptionOperation,
    pub(super) addresses: Vec<Address>,
}

#[derive(Debug, Default)]
struct Notifier {
    /// What it has agreed to notify us of.
    addresses: BTreeSet<Address>,
    /// Whether it is being asked.
    is_asked: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Subscriptions<TPeerId> {
    /// What we want to be notified of.
    wanted: BTreeSet<Address>,
    notifiers: Vec<(TPeerId, Notifier)>,
    /// Peers that are not asked before some second.
    refusing: Vec<(TPeerId, u64)>,
    /// Addresses that nobody notifies us of, and the block up to which somebody did.
    uncovered: HashMap<Address, u32>,
}

impl<TPeerId: Copy + Eq> Subscriptions<TPeerId> {
    pub(super) fn new() -> Self {
        Self {
            wanted: BTreeSet::new(),
            notifiers: Vec::new(),
            refusing: Vec::new(),
            uncovered: HashMap::new(),
        }
    }

    /// Sets what to be notified of, as many addresses as a peer takes; `head` is where the new ones
    /// begin.
    pub(super) fn want(&mut self, addresses: impl Iterator<Item = Address>, head: u32) {
        let mut wanted = BTreeSet::new();
        for address in addresses {
            if wanted.len() < limits::MAX_WATCHED_ADDRESSES {
                wanted.insert(address);
            }
        }
        for address in wanted.difference(&self.wanted) {
            if !self.is_covered(address) {
                self.uncovered.entry(address.clone()).or_insert(head);
            }
        }
        self.uncovered.retain(|address, _| wanted.contains(address));
        self.wanted = wanted;
    }

    /// Whether there is nothing to be notified of.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.notifiers.is_empty()
    }

    /// Whether a peer is one of those that notify us.
    pub(super) fn is_notifier(&self, peer: &TPeerId) -> bool {
        self.notifiers.iter().any(|(other, _)| other == peer)
    }

    /// A peer has left, and its subscriptions with it. Up to block `until` it is taken to have
    /// notified.
    pub(super) fn forget(&mut self, peer: &TPeerId, until: u32) {
        let Some(i) = self.notifiers.iter().position(|(other, _)| other == peer) else {
            return;
        };
        let (_, notifier) = self.notifiers.remove(i);
        for address in notifier.addresses {
            if self.wanted.contains(&address) && !self.is_covered(&address) {
                self.uncovered.entry(address).or_insert(until);
            }
        }
    }

    /// Keeps only peers that are still connected.
    pub(super) fn retain(&mut self, is_connected: impl Fn(&TPeerId) -> bool, until: u32) {
        let peers = self.notifiers.iter().map(|(peer, _)| *peer);
        let gone: Vec<_> = peers.filter(|peer| !is_connected(peer)).collect();
        for peer in gone {
            self.forget(&peer, until);
        }
    }

    /// What to ask next. `good` are the peers that could notify, best first.
    pub(super) fn orders(&mut self, good: &[TPeerId], now: u64) -> Vec<Order<TPeerId>> {
        self.refusing.retain(|(_, until)| *until > now);
        if !self.wanted.is_empty() {
            for peer in good {
                let refuses = self.refusing.iter().any(|(other, _)| other == peer);
                if self.notifiers.len() < limits::NOTIFIERS && !refuses && !self.is_notifier(peer) {
                    self.notifiers.push((*peer, Notifier::default()));
                }
            }
        }
        let wanted = &self.wanted;
        self.notifiers.retain(|(_, notifier)| {
            notifier.is_asked || !notifier.addresses.is_empty() || !wanted.is_empty()
        });
        let mut orders = Vec::new();
        for (peer, notifier) in &mut self.notifiers {
            if notifier.is_asked {
                continue;
            }
            // What is no longer wanted makes room for what is.
            let ended: Vec<_> = notifier.addresses.difference(wanted).cloned().collect();
            let (operation, addresses) = if ended.is_empty() {
                let new = wanted.difference(&notifier.addresses).cloned().collect();
                (AddressSubscriptionOperation::Subscribe, new)
            } else {
                (AddressSubscriptionOperation::Unsubscribe, ended)
            };
            if !addresses.is_empty() {
                notifier.is_asked = true;
                orders.push(Order {
                    peer: *peer,
                    operation,
                    addresses,
                });
            }
        }
        orders
    }

    /// A peer has done what it was asked. Returns addresses that somebody notifies us of from now
    /// on, after nobody did, with the block from which on something may have been missed.
    pub(super) fn done(&mut self, order: Order<TPeerId>) -> Vec<(Address, u32)> {
        let Some(notifier) = self.asked(&order.peer) else {
            return Vec::new();
        };
        match order.operation {
            AddressSubscriptionOperation::Subscribe => {
                notifier.addresses.extend(order.addresses.iter().cloned());
            }
            AddressSubscriptionOperation::Unsubscribe => {
                for address in &order.addresses {
                    notifier.addresses.remove(address);
                }
                return Vec::new();
            }
        }
        order
            .addresses
            .into_iter()
            .filter_map(|address| {
                let since = self.uncovered.remove(&address)?;
                Some((address, since))
            })
            .collect()
    }

    /// A peer did not do what it was asked. It is left alone for a while.
    pub(super) fn failed(&mut self, order: &Order<TPeerId>, until: u32, now: u64) {
        if self.asked(&order.peer).is_some() {
            self.forget(&order.peer, until);
            self.refusing
                .push((order.peer, now + limits::NOTIFIER_RETRY.as_secs()));
        }
    }

    /// Addresses that nobody notifies us of, and since which block.
    pub(super) fn uncovered(&self) -> impl Iterator<Item = (&Address, u32)> {
        self.uncovered
            .iter()
            .map(|(address, since)| (address, *since))
    }

    fn asked(&mut self, peer: &TPeerId) -> Option<&mut Notifier> {
        let (_, notifier) = self.notifiers.iter_mut().find(|(other, _)| other == peer)?;
        notifier.is_asked = false;
        Some(notifier)
    }

    fn is_covered(&self, address: &Address) -> bool {
        let mut notifiers = self.notifiers.iter();
        notifiers.any(|(_, notifier)| notifier.addresses.contains(address))
    }
}
