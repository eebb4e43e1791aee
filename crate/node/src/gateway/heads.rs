//! Compares what upstreams say of the chain. Whoever says something else than most of the others, is
//! far from where they are, or says nothing, is left alone as long as there is somebody else: its
//! clients would find out, but would blame the gateway for it.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use futures::future::join_all;
use nimiq_consensus::messages::{RequestHead, ResponseHead};
use nimiq_network_interface::network::Network as _;
use nimiq_primitives::policy::Policy;
use pico_network::{Network, PeerId};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{limits, upstreams::Upstreams};

/// Upstreams that say something else than most, or nothing.
pub(super) type Suspects = HashSet<PeerId>;

/// Asks all upstreams again and again, until nobody wants to know any more.
pub(super) async fn compare(network: Arc<Network>, upstreams: Arc<Upstreams>) {
    let mut ticks = interval(limits::HEAD_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = upstreams.connected.subscribe();
    let suspects = &upstreams.suspects;
    while !network.is_closed() {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = connected.changed() => if changed.is_err() {
                return;
            },
        }
        let peers = connected.borrow_and_update().clone();
        let heads = join_all(peers.iter().map(|peer| {
            let peer = *peer;
            let network = Arc::clone(&network);
            async move {
                let head = network.request(RequestHead {}, peer);
                let head = timeout(limits::ATTEMPT_TIMEOUT, head).await;
                Some((peer, head.ok()?.ok()?))
            }
        }));
        let heads: Vec<_> = heads.await.into_iter().flatten().collect();
        let found = suspects_of(&peers, &heads);
        suspects.send_if_modified(|known| {
            let changed = *known != found;
            for peer in found.difference(known) {
                log::warn!("upstream {peer} doesn't say of the chain what the others say");
            }
            *known = found;
            changed
        });
    }
}

fn suspects_of(peers: &[PeerId], heads: &[(PeerId, ResponseHead)]) -> Suspects {
    // Of two, who is to say which one is right.
    let mut found = match heads.len() {
        0 => return Suspects::new(),
        1 | 2 => Suspects::new(),
        _ => different(heads),
    };
    let silent = peers
        .iter()
        .filter(|peer| heads.iter().all(|(other, _)| other != *peer));
    found.extend(silent);
    found
}

/// Who says something else than most of the others.
fn different(heads: &[(PeerId, ResponseHead)]) -> Suspects {
    let mut numbers: Vec<u32> = heads.iter().map(|(_, head)| head.block_number).collect();
    numbers.sort_unstable();
    let Some(median) = numbers.get(numbers.len() / 2).copied() else {
        return Suspects::new();
    };
    let far = |head: &ResponseHead| {
        head.block_number.abs_diff(median)
            > limits::MAX_HEAD_DISTANCE_BATCHES * Policy::blocks_per_batch()
    };
    // Those for whom the same macro block, or election block, is the last one. Genesis is the first, and
    // a number before that is far from all the same.
    let number = |head: &ResponseHead| head.block_number.max(Policy::genesis_block_number());
    let wrong_macro = minority(heads, |head| {
        (Policy::last_macro_block(number(head)), &head.macro_hash)
    });
    let wrong_election = minority(heads, |head| {
        let last = Policy::last_election_block(number(head));
        (last, &head.election_hash)
    });
    heads
        .iter()
        .filter(|(peer, head)| {
            far(head) || wrong_macro.contains(peer) || wrong_election.contains(peer)
        })
        .map(|(peer, _)| *peer)
        .collect()
}

/// Who says something else than at least two thirds of those who are where it is.
fn minority<'a, W: Copy + Eq + Hash, H: Eq + Hash>(
    heads: &'a [(PeerId, ResponseHead)],
    says: impl Fn(&'a ResponseHead) -> (W, H),
) -> Suspects {
    let mut there: HashMap<W, usize> = HashMap::new();
    let mut agreeing: HashMap<(W, H), usize> = HashMap::new();
    for (_, head) in heads {
        let (place, hash) = says(head);
        *there.entry(place).or_default() += 1;
        *agreeing.entry((place, hash)).or_default() += 1;
    }
    let is_outvoted = |head: &'a ResponseHead| {
        let (place, hash) = says(head);
        let all = there.get(&place).copied().unwrap_or_default();
        let with_it = agreeing.get(&(place, hash)).copied().unwrap_or_default();
        with_it * 3 <= all
    };
    let most_agree = |head: &'a ResponseHead| {
        let (place, _) = says(head);
        let all = there.get(&place).copied().unwrap_or_default();
        agreeing
            .iter()
            .any(|((other, _), count)| *other == place && *count * 3 >= all * 2)
    };
    heads
        .iter()
        .filter(|(_, head)| is_outvoted(head) && most_agree(head))
        .map(|(peer, _)| *peer)
        .collect()
}

#[cfg(test)]
mod tests {
    use nimiq_hash::Blake2bHash;

    use super::*;
    use crate::chain::init_policy;

    fn hash(number: u8) -> Blake2bHash {
        Blake2bHash::from([number; 32])
    }

    fn head(block_number: u32, election: u8, batch: u8) -> (PeerId, ResponseHead) {
        let head = ResponseHead {
            block_number,
            block_hash: hash(0),
            macro_hash: hash(batch),
            election_hash: hash(election),
        };
        (PeerId::random(), head)
    }

    #[test]
    fn the_one_who_differs_is_found_and_nobody_else() {
        init_policy();
        let epoch = Policy::genesis_block_number() + Policy::blocks_per_epoch();
        let honest = || head(epoch + 5, 1, 1);
        let none = Suspects::new();
        assert_eq!(different(&[]), none);
        assert_eq!(different(&[honest(), honest(), honest()]), none);
        // Another election block, another checkpoint, a chain that is elsewhere.
        let far = 10 * Policy::blocks_per_batch();
        for liar in [
            head(epoch + 5, 2, 1),
            head(epoch + 5, 1, 2),
            head(epoch + 5 + far, 1, 1),
            head(epoch + 5 - far, 1, 1),
        ] {
            let id = liar.0;
            assert_eq!(different(&[honest(), liar, honest()]), Suspects::from([id]));
        }
        // Who says nothing, while others do.
        let (one, two) = (honest(), head(epoch + 5, 2, 2));
        let silent = PeerId::random();
        let peers = [one.0, two.0, silent];
        assert_eq!(suspects_of(&peers, &[one, two]), Suspects::from([silent]));
        assert_eq!(suspects_of(&peers, &[]), none);
        // Half a world against the other: nobody can tell.
        let split = [
            honest(),
            honest(),
            head(epoch + 5, 2, 2),
            head(epoch + 5, 2, 2),
        ];
        assert_eq!(different(&split), none);
        // One is a block before the election block, which it doesn't know yet.
        let behind = head(epoch - 1, 0, 0);
        assert_eq!(different(&[honest(), behind, honest()]), none);
        let (one, two) = (head(epoch, 1, 1), head(epoch, 1, 1));
        let behind = head(epoch - 1, 0, 0);
        assert_eq!(different(&[one, behind, two]), none);
        // Or before a checkpoint.
        let checkpoint = epoch + Policy::blocks_per_batch();
        let (one, two) = (head(checkpoint, 1, 2), head(checkpoint, 1, 2));
        let behind = head(checkpoint - 1, 1, 1);
        assert_eq!(different(&[one, behind, two]), none);
        // Numbers can be anything.
        for number in [0, Policy::genesis_block_number(), u32::MAX] {
            let liar = head(number, 1, 1);
            let id = liar.0;
            assert_eq!(different(&[honest(), liar, honest()]), Suspects::from([id]));
        }
    }
}
