//! The pool, with peers that are nothing but addresses.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn seeds(n: usize) -> Vec<Multiaddr> {
    (0..n)
        .map(|i| format!("/ip4/1.2.3.4/tcp/{}/ws", i + 1).parse().unwrap())
        .collect()
}

fn of(peer: PeerId, address: &Multiaddr) -> Multiaddr {
    address.clone().with(libp2p::multiaddr::Protocol::P2p(peer))
}

fn plan(pool: &mut Pool, view: &View, now: Instant) -> Plan {
    pool.plan(
        view,
        Vec::new(),
        Vec::new(),
        |_| false,
        now,
        &mut rand::rng(),
    )
}

#[test]
fn dials_what_is_missing_and_no_more() {
    let mut pool = Pool::new(3, &seeds(10));
    let now = Instant::now();
    assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 3);
    let view = View {
        useful: 1,
        dials: vec![now],
        ..View::default()
    };
    assert_eq!(plan(&mut pool, &view, now).dial.len(), 1);
    let view = View {
        useful: 3,
        ..View::default()
    };
    assert!(plan(&mut pool, &view, now).dial.is_empty());
    let mut pool = Pool::new(100, &seeds(100));
    assert_eq!(
        plan(&mut pool, &View::default(), now).dial.len(),
        limits::MAX_POOL_DIALS
    );
}

#[test]
fn neither_the_connected_nor_the_banned_nor_one_address_twice() {
    let mut all = seeds(3);
    all.push(all[0].clone());
    let mut pool = Pool::new(10, &all);
    let view = View {
        addresses: [all[1].clone()].into(),
        ..View::default()
    };
    let banned = |candidate: &Candidate| candidate.address == all[2];
    let plan = pool.plan(
        &view,
        Vec::new(),
        Vec::new(),
        banned,
        Instant::now(),
        &mut rand::rng(),
    );
    assert_eq!(plan.dial, [Candidate::new(&all[0])]);
    let peer = PeerId::random();
    let contact = Candidate {
        peer: Some(peer),
        address: seeds(9)[8].clone(),
    };
    let view = View {
        peers: [peer].into(),
        addresses: all.into_iter().collect(),
        ..View::default()
    };
    let plan = pool.plan(
        &view,
        Vec::new(),
        vec![contact],
        |_| false,
        Instant::now(),
        &mut rand::rng(),
    );
    assert!(plan.dial.is_empty());
}

#[test]
fn one_address_of_a_peer_at_a_time() {
    let (peer, now) = (PeerId::random(), Instant::now());
    let ways: Vec<_> = seeds(3).iter().map(|seed| of(peer, seed)).collect();
    let mut pool = Pool::new(8, &ways);
    let first = plan(&mut pool, &View::default(), now);
    assert_eq!(first.again_at, Some(now + limits::SECOND_ADDRESS_PAUSE));
    let first = first.dial;
    assert_eq!(first.len(), 1);
    // It takes long: so another one, too, but not at once.
    let view = |since| View {
        dials: vec![now],
        dialled: [(peer, since)].into(),
        addresses: [first[0].address.clone()].into(),
        ..View::default()
    };
    let waiting = plan(&mut pool, &view(now), now);
    assert!(waiting.dial.is_empty());
    let later = waiting.again_at.unwrap();
    assert_eq!(later, now + limits::SECOND_ADDRESS_PAUSE);
    let second = plan(&mut pool, &view(now), later).dial;
    assert_eq!(second.len(), 1);
    assert_ne!(second[0], first[0]);
    // Also when no more peers are wanted than are being dialled.
    pool.desired = 1;
    assert_eq!(plan(&mut pool, &view(now), later).dial.len(), 1);
    // It fails: another one at once.
    pool.failed(&first[0].address, now, &mut rand::rng());
    let next = plan(&mut pool, &View::default(), now).dial;
    assert_eq!(next.len(), 1);
    assert_ne!(next[0], first[0]);
    // It is connected: none.
    let view = View {
        useful: 1,
        peers: [peer].into(),
        ..View::default()
    };
    pool.desired = 8;
    assert!(plan(&mut pool, &view, later).dial.is_empty());
}

#[test]
fn dials_that_hang_do_not_keep_others_from_being_tried() {
    let (all, now) = (seeds(20), Instant::now());
    let mut pool = Pool::new(1, &all);
    let first = plan(&mut pool, &View::default(), now);
    assert_eq!(first.dial.len(), 1);
    assert_eq!(first.again_at, Some(now + limits::SLOW_DIAL));
    let view = |dials: &[Instant]| View {
        dials: dials.to_vec(),
        addresses: all[..dials.len()].iter().cloned().collect(),
        ..View::default()
    };
    let soon = plan(&mut pool, &view(&[now]), now);
    assert!(soon.dial.is_empty());
    let later = soon.again_at.unwrap();
    assert_eq!(later, now + limits::SLOW_DIAL);
    assert_eq!(plan(&mut pool, &view(&[now]), later).dial.len(), 1);
    // The second one has its time, too.
    let second = plan(&mut pool, &view(&[now, later]), later);
    assert!(second.dial.is_empty());
    assert_eq!(second.again_at, Some(later + limits::SLOW_DIAL));
    // One after the other would take too long.
    let hanging = [now; 3];
    assert_eq!(plan(&mut pool, &view(&hanging), later).dial.len(), 3);
    let company = View {
        useful: 1,
        ..view(&hanging)
    };
    assert!(plan(&mut pool, &company, later).dial.is_empty());
    // There is an end to it, and room for dials that somebody asks for.
    let most = limits::MAX_POOL_DIALS_AND_SLOW;
    assert!(most < limits::MAX_PENDING_OUTGOING.try_into().unwrap());
    let mut pool = Pool::new(8, &all);
    let hanging = view(&vec![now; most - 2]);
    assert_eq!(plan(&mut pool, &hanging, later).dial.len(), 2);
    assert!(
        plan(&mut pool, &view(&vec![now; most]), later)
            .dial
            .is_empty()
    );
    // Those who are there are enough, whatever still hangs.
    let enough = View {
        useful: 8,
        ..view(&[now])
    };
    let nothing = plan(&mut pool, &enough, now);
    assert!(nothing.dial.is_empty() && nothing.again_at.is_none());
}

#[test]
fn who_has_not_failed_comes_before_who_has() {
    let (all, now) = (seeds(8), Instant::now());
    let mut pool = Pool::new(1, &all);
    for gone in &all[..7] {
        pool.failed(gone, now, &mut rand::rng());
    }
    // Long after their pauses.
    let later = now + limits::BACKOFF_MAX;
    assert_eq!(
        plan(&mut pool, &View::default(), later).dial,
        [Candidate::new(&all[7])]
    );
}

#[test]
fn addresses_without_peer_id_are_learned() {
    let (peer, now) = (PeerId::random(), Instant::now());
    let ways = seeds(2);
    let mut pool = Pool::new(8, &ways);
    assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 2);
    for way in &ways {
        pool.found(peer, way);
    }
    let dial = plan(&mut pool, &View::default(), now).dial;
    assert_eq!(dial.len(), 1);
    // Whoever is there is whom the user has meant.
    assert_eq!(dial[0].peer, None);
    let view = View {
        useful: 1,
        peers: [peer].into(),
        ..View::default()
    };
    assert!(plan(&mut pool, &view, now).dial.is_empty());
    pool.found(peer, &seeds(9)[8]);
    assert_eq!(pool.found.len(), 2);
}

#[test]
fn many_addresses_are_no_advantage() {
    let now = Instant::now();
    let (greedy, modest) = (PeerId::random(), PeerId::random());
    let mut contacts: Vec<_> = seeds(15)
        .iter()
        .map(|way| Candidate::new(&of(greedy, way)))
        .collect();
    contacts.push(Candidate::new(&of(modest, &seeds(16)[15])));
    let mut first = HashMap::<_, u32>::new();
    for _ in 0..400 {
        let mut pool = Pool::new(1, &[]);
        let dial = pool
            .plan(
                &View::default(),
                vec![],
                contacts.clone(),
                |_| false,
                now,
                &mut rand::rng(),
            )
            .dial;
        *first.entry(dial[0].peer.unwrap()).or_default() += 1;
    }
    // Half each; that it is less than a quarter has a probability of 1e-24.
    assert!(first[&modest] > 100, "{first:?}");
}

#[test]
fn a_failed_address_waits_and_then_comes_again() {
    let mut pool = Pool::new(1, &seeds(1));
    let now = Instant::now();
    pool.failed(&seeds(1)[0], now, &mut rand::rng());
    let waiting = plan(&mut pool, &View::default(), now);
    assert!(waiting.dial.is_empty());
    let again_at = waiting.again_at.unwrap();
    assert!(again_at <= now + pause(1, 1.0));
    assert_eq!(plan(&mut pool, &View::default(), again_at).dial.len(), 1);
    pool.forget_failures();
    assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 1);
}

#[test]
fn a_good_connection_clears_the_record() {
    let mut pool = Pool::new(1, &seeds(1));
    let (address, now) = (&seeds(1)[0], Instant::now());
    for _ in 0..10 {
        pool.failed(address, now, &mut rand::rng());
    }
    pool.left(address, limits::GOOD_CONNECTION, now, &mut rand::rng());
    assert_eq!(pool.backoffs[address].failures, 1);
    // Seen as bad: a peer that hangs up at once each time.
    pool.left(address, Duration::ZERO, now, &mut rand::rng());
    assert_eq!(pool.backoffs[address].failures, 2);
}

#[test]
fn who_was_let_go_on_purpose_has_a_rest() {
    let peer = PeerId::random();
    let ways: Vec<_> = seeds(2).iter().map(|seed| of(peer, seed)).collect();
    let mut pool = Pool::new(1, &ways);
    let (address, now) = (&seeds(1)[0], Instant::now());
    pool.left(address, limits::GOOD_CONNECTION, now, &mut rand::rng());
    pool.rest(peer, now);
    let view = View {
        useful: 1,
        ..View::default()
    };
    let mut pool = Pool { desired: 2, ..pool };
    let resting = plan(&mut pool, &view, now);
    assert!(resting.dial.is_empty());
    assert_eq!(resting.again_at.unwrap(), now + limits::DISCONNECTED_PAUSE);
    // Unless there is nobody else.
    let again_at = plan(&mut pool, &View::default(), now).again_at.unwrap();
    assert_eq!(again_at, now + limits::LONELY_BACKOFF_MAX);
}

#[test]
fn who_is_alone_tries_again_soon() {
    let mut pool = Pool::new(1, &seeds(1));
    let (address, now) = (&seeds(1)[0], Instant::now());
    assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 1);
    for _ in 0..10 {
        pool.failed(address, now, &mut rand::rng());
    }
    let again_at = plan(&mut pool, &View::default(), now).again_at.unwrap();
    assert_eq!(again_at, now + limits::LONELY_BACKOFF_MAX);
    // But not for ever.
    let later = now + limits::LONELY_PATIENCE;
    pool.failed(address, later, &mut rand::rng());
    let again_at = plan(&mut pool, &View::default(), later).again_at.unwrap();
    assert_eq!(again_at, later + limits::LONELY_BACKOFF_LATER);
}

#[test]
fn when_one_is_back_all_are_tried() {
    let mut pool = Pool::new(2, &seeds(2));
    let (all, now) = (seeds(2), Instant::now());
    assert_eq!(plan(&mut pool, &View::default(), now).dial.len(), 2);
    for _ in 0..10 {
        pool.failed(&all[1], now, &mut rand::rng());
    }
    let view = View {
        useful: 1,
        addresses: [all[0].clone()].into(),
        ..View::default()
    };
    let dial = plan(&mut pool, &view, now).dial;
    assert_eq!(dial, [Candidate::new(&all[1])]);
}

#[test]
fn who_was_good_comes_first() {
    let mut pool = Pool::new(2, &seeds(5));
    let good: Vec<_> = seeds(100)[98..].iter().map(Candidate::new).collect();
    let now = Instant::now();
    let plan = pool.plan(
        &View::default(),
        good.clone(),
        Vec::new(),
        |_| false,
        now,
        &mut rand::rng(),
    );
    assert_eq!(plan.dial.len(), 2);
    assert!(plan.dial.iter().all(|candidate| good.contains(candidate)));
}

#[test]
fn seeds_come_first_while_nobody_is_connected() {
    let mut pool = Pool::new(2, &seeds(2));
    let contacts: Vec<_> = seeds(100)[2..].iter().map(Candidate::new).collect();
    let plan = pool.plan(
        &View::default(),
        Vec::new(),
        contacts,
        |_| false,
        Instant::now(),
        &mut rand::rng(),
    );
    let dialled: HashSet<_> = plan.dial.into_iter().map(|c| c.address).collect();
    assert_eq!(dialled, seeds(2).into_iter().collect());
}

proptest! {
    #[test]
    fn pauses_grow_and_are_bounded(failures in 1u32.., jitter in -1.0f64..=1.0) {
        let this = pause(failures, jitter);
        let slack = 1.0 + limits::BACKOFF_JITTER;
        prop_assert!(this >= limits::BACKOFF_BASE.mul_f64(1.0 - limits::BACKOFF_JITTER));
        prop_assert!(this <= limits::BACKOFF_MAX.mul_f64(slack));
        prop_assert!(pause(failures.saturating_add(1), 0.0) >= pause(failures, 0.0));
    }
}

#[test]
fn records_are_bounded() {
    let mut pool = Pool::new(1, &[]);
    let now = Instant::now();
    for port in 0..2 * limits::MAX_BACKOFFS {
        let address = format!("/ip4/1.2.3.4/tcp/{port}/ws").parse().unwrap();
        pool.failed(&address, now, &mut rand::rng());
    }
    assert_eq!(pool.backoffs.len(), limits::MAX_BACKOFFS);
}
