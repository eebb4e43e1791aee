//! The mesh, with peers that are nothing but what they say.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use libp2p::{
    PeerId,
    swarm::{ConnectionId, ToSwarm},
};
use nimiq_network_interface::network::MsgAcceptance;
use web_time::Instant;

use super::{
    Direction,
    mesh::{Event, Mesh, PublishError},
    rpc::{
        self, Item, Message, MessageId, graft_frame, message_frame, prune_frame,
        subscription_frame, want_frame,
    },
};
use crate::{capacity::Capacity, limits};

const NEWS: &str = "news";

/// A mesh, with a clock of its own.
struct Scene {
    local: PeerId,
    mesh: Mesh,
    now: Instant,
}

impl Scene {
    /// One that is subscribed to the news.
    fn new() -> Self {
        let local = PeerId::random();
        let mut mesh = Mesh::new(local, &Capacity::client());
        mesh.subscribe(NEWS, Direction::All);
        Self {
            local,
            mesh,
            now: Instant::now(),
        }
    }

    fn connect(&mut self, dialled: bool) -> PeerId {
        let peer = PeerId::random();
        let connection = ConnectionId::new_unchecked(0);
        self.mesh.on_connected(peer, connection, dialled);
        peer
    }

    /// A peer that is subscribed to the news.
    fn reader(&mut self) -> PeerId {
        let peer = self.connect(true);
        self.hear(peer, [Item::Subscribe(NEWS.to_owned())]);
        peer
    }

    fn hear<const N: usize>(&mut self, peer: PeerId, items: [Item; N]) {
        self.mesh.hear(&peer, items.into(), self.now);
    }

    fn beat_after(&mut self, time: Duration) {
        self.now += time;
        self.mesh.beat(self.now);
    }

    /// What was said since this was asked last, and the messages that came.
    fn said(&mut self) -> (Vec<(PeerId, rpc::Frame)>, Vec<Vec<u8>>) {
        let (mut frames, mut messages) = (Vec::new(), Vec::new());
        for event in self.mesh.events.drain(..) {
            match event {
                ToSwarm::NotifyHandler { peer_id, event, .. } => {
                    frames.push((peer_id, event.frame));
                }
                ToSwarm::GenerateEvent(Event::Message { data, .. }) => messages.push(data),
                event => panic!("{event:?}"),
            }
        }
        (frames, messages)
    }

    /// How often somebody was told this since this was asked last.
    fn count(&mut self, frame: &rpc::Frame) -> usize {
        let (frames, _) = self.said();
        frames.iter().filter(|(_, said)| said == frame).count()
    }
}

fn news(data: &[u8]) -> Message {
    Message {
        author: Some(PeerId::random()),
        number: Some([0; 8]),
        topic: NEWS.to_owned(),
        data: data.to_vec(),
    }
}

fn id(data: &[u8]) -> MessageId {
    MessageId::of(NEWS, data)
}

fn graft() -> Item {
    Item::Graft(NEWS.to_owned())
}

#[test]
fn subscribers_are_taken_into_the_mesh_while_it_is_small() {
    let mut scene = Scene::new();
    let peer = scene.connect(true);
    let subscription = subscription_frame(NEWS, true);
    assert_eq!(scene.said().0, [(peer, subscription.clone())]);
    scene.hear(peer, [Item::Subscribe("other".to_owned())]);
    assert_eq!(scene.said().0, []);
    scene.hear(peer, [Item::Subscribe(NEWS.to_owned())]);
    assert_eq!(scene.said().0, [(peer, graft_frame(NEWS))]);
    for _ in 0..9 {
        scene.reader();
    }
    assert_eq!(scene.count(&graft_frame(NEWS)), limits::GOSSIP_MESH_LOW - 1);
    // Of those who are there already, as many are taken as the mesh is to have.
    scene.mesh.subscribe("other", Direction::All);
    assert_eq!(scene.count(&graft_frame("other")), 1);
    // A peer that leaves the mesh, in whichever way, is replaced when there are too few.
    scene
        .mesh
        .on_disconnected(&peer, ConnectionId::new_unchecked(0));
    scene.beat_after(limits::GOSSIP_HEARTBEAT);
    assert_eq!(
        scene.count(&graft_frame(NEWS)),
        limits::GOSSIP_MESH_SIZE - limits::GOSSIP_MESH_LOW + 1
    );
    scene.beat_after(limits::GOSSIP_HEARTBEAT);
    assert_eq!(scene.count(&graft_frame(NEWS)), 0);
}

#[test]
fn who_lets_us_go_is_left_alone_as_long_as_it_says() {
    let mut scene = Scene::new();
    let peer = scene.reader();
    for (said, meant) in [
        (Some(10), Duration::from_secs(10)),
        (None, limits::GOSSIP_BACKOFF),
        (Some(u64::MAX), limits::MAX_GOSSIP_BACKOFF),
    ] {
        scene.hear(peer, [Item::Prune(NEWS.to_owned(), said)]);
        scene.said();
        scene.beat_after(meant + limits::GOSSIP_BACKOFF_SLACK - Duration::from_millis(1));
        assert_eq!(scene.count(&graft_frame(NEWS)), 0, "{said:?}");
        scene.beat_after(Duration::from_millis(1));
        assert_eq!(scene.count(&graft_frame(NEWS)), 1, "{said:?}");
    }
    // Coming back earlier is refused, and starts it anew. Reconnecting doesn't help.
    scene.hear(peer, [Item::Prune(NEWS.to_owned(), Some(10))]);
    scene
        .mesh
        .on_disconnected(&peer, ConnectionId::new_unchecked(0));
    scene
        .mesh
        .on_connected(peer, ConnectionId::new_unchecked(1), true);
    scene.hear(peer, [Item::Subscribe(NEWS.to_owned()), graft()]);
    let refusal = prune_frame(NEWS, limits::GOSSIP_BACKOFF.as_secs());
    assert_eq!(scene.said().0[1..], [(peer, refusal)]);
    scene.beat_after(Duration::from_secs(30));
    assert_eq!(scene.count(&graft_frame(NEWS)), 0);
}

#[test]
fn the_mesh_is_bounded_but_not_for_those_we_dialled() {
    let mut scene = Scene::new();
    let crowd: Vec<PeerId> = (0..20).map(|_| scene.connect(false)).collect();
    for peer in &crowd {
        scene.hear(*peer, [Item::Subscribe(NEWS.to_owned()), graft()]);
    }
    let refusal = prune_frame(NEWS, limits::GOSSIP_BACKOFF.as_secs());
    assert_eq!(scene.count(&refusal), 20 - limits::GOSSIP_MESH_HIGH);
    // The first we dial are taken in by us, the others if they ask.
    let dialled: Vec<PeerId> = (0..3).map(|_| scene.reader()).collect();
    assert_eq!(scene.said().1.len(), 0);
    scene.hear(dialled[0], [graft()]);
    assert_eq!(scene.said().0, []);
    // Now there are too many, of whom those who came by themselves leave.
    scene.beat_after(limits::GOSSIP_HEARTBEAT);
    let (frames, _) = scene.said();
    let told = |frame: &rpc::Frame| -> Vec<PeerId> {
        let of = frames.iter().filter(|(_, said)| said == frame);
        of.map(|(peer, _)| *peer).collect()
    };
    let pruned = told(&refusal);
    assert_eq!(
        pruned.len(),
        limits::GOSSIP_MESH_HIGH + 1 - limits::GOSSIP_MESH_SIZE
    );
    assert!(pruned.iter().all(|peer| crowd.contains(peer)));
    // … and two of ours are in it in any case.
    let grafted = told(&graft_frame(NEWS));
    assert_eq!(grafted.len(), limits::GOSSIP_MESH_DIALLED - 1);
    assert!(grafted.iter().all(|peer| dialled.contains(peer)));
}

#[test]
fn accepted_messages_go_to_those_of_the_mesh_who_need_them() {
    let mut scene = Scene::new();
    let [source, other, third] = [(); 3].map(|()| scene.reader());
    let outside = scene.reader();
    scene.said();
    let message = Message {
        author: Some(third),
        ..news(b"1")
    };
    scene.hear(source, [Item::Message(message.clone())]);
    assert_eq!(scene.said(), (vec![], vec![b"1".to_vec()]));
    // Once is enough, and who sent it needs no copy; nor does its author, nor who is not in the mesh.
    scene.hear(source, [Item::Message(message.clone())]);
    assert!(scene.mesh.report(&id(b"1"), MsgAcceptance::Accept));
    assert_eq!(
        scene.said(),
        (vec![(other, message_frame(&message))], vec![])
    );
    assert!(!scene.mesh.report(&id(b"1"), MsgAcceptance::Accept));
    // Neither do those who have it.
    scene.hear(source, [Item::Message(news(b"2"))]);
    scene.hear(other, [Item::Message(news(b"2"))]);
    scene.hear(third, [Item::Unwanted(vec![id(b"2")])]);
    assert!(scene.mesh.report(&id(b"2"), MsgAcceptance::Accept));
    assert_eq!(scene.said(), (vec![], vec![b"2".to_vec()]));
    // What is not accepted goes to nobody, and what is forgotten can come again.
    for data in [b"3", b"4"] {
        scene.hear(source, [Item::Message(news(data))]);
    }
    assert!(scene.mesh.report(&id(b"3"), MsgAcceptance::Ignore));
    scene.mesh.forget(&id(b"4"));
    assert!(!scene.mesh.report(&id(b"4"), MsgAcceptance::Accept));
    for data in [b"3", b"4"] {
        scene.hear(outside, [Item::Message(news(data))]);
    }
    let came: Vec<Vec<u8>> = scene.said().1;
    assert_eq!(came, [b"3", b"4", b"4"]);
    // Too late, and there is nothing left to pass on.
    scene.beat_after(limits::GOSSIP_PENDING_TIME + Duration::from_secs(1));
    assert!(!scene.mesh.report(&id(b"4"), MsgAcceptance::Accept));
}

#[test]
fn messages_that_are_not_for_us_or_pretend_to_be_ours() {
    let mut scene = Scene::new();
    let peer = scene.reader();
    scene.said();
    let elsewhere = Message {
        topic: "other".to_owned(),
        ..news(b"1")
    };
    let ours = Message {
        author: Some(scene.local),
        ..news(b"2")
    };
    scene.hear(peer, [Item::Message(elsewhere), Item::Message(ours)]);
    assert_eq!(scene.said(), (vec![], vec![]));
    // It doesn't keep the true one away.
    scene.hear(peer, [Item::Message(news(b"2"))]);
    assert_eq!(scene.said().1, [b"2"]);
}

#[test]
fn publishing_reaches_all_subscribers_once() {
    let mut scene = Scene::new();
    let publish = |scene: &mut Scene, data: &[u8]| {
        scene.mesh.publish("other".to_owned(), data.to_vec(), None)
    };
    assert_eq!(publish(&mut scene, b"1"), Err(PublishError::NoSubscribers));
    let [a, b, _] = [(); 3].map(|()| scene.reader());
    for peer in [a, b] {
        scene.hear(peer, [Item::Subscribe("other".to_owned())]);
    }
    scene.said();
    assert_eq!(publish(&mut scene, b"1"), Ok(()));
    let to: Vec<PeerId> = scene.said().0.into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(to, [a, b]);
    assert_eq!(publish(&mut scene, b"1"), Ok(()));
    assert_eq!(scene.said().0, []);
    let large = vec![0; limits::MAX_GOSSIP_BYTES];
    assert_eq!(publish(&mut scene, &large), Err(PublishError::TooLarge));
    scene.hear(a, [Item::Unsubscribe("other".to_owned())]);
    assert_eq!(publish(&mut scene, b"2"), Ok(()));
    assert_eq!(scene.said().0.len(), 1);
    // What we have published does not come back to us.
    assert_eq!(
        scene.mesh.publish(NEWS.to_owned(), b"3".to_vec(), None),
        Ok(())
    );
    scene.hear(a, [Item::Message(news(b"3"))]);
    assert_eq!(scene.said().1.len(), 0);
}

#[test]
fn what_the_mesh_has_not_brought_is_fetched() {
    let mut scene = Scene::new();
    let _mesh = [(); 3].map(|()| scene.reader());
    let [outside, second] = [(); 2].map(|()| scene.reader());
    scene.hear(outside, [Item::Message(news(b"1"))]);
    scene.said();
    let have = |data: &[&[u8]]| {
        let ids = data.iter().map(|data| id(data)).collect();
        Item::Have(NEWS.to_owned(), ids)
    };
    scene.hear(outside, [have(&[b"1", b"2"])]);
    assert_eq!(scene.said().0, [(outside, want_frame(&[id(b"2")]))]);
    // Another one is asked only when this one doesn't answer.
    scene.hear(second, [have(&[b"2"])]);
    assert_eq!(scene.said().0, []);
    scene.beat_after(limits::GOSSIP_ANSWER_TIME + Duration::from_secs(1));
    scene.hear(second, [have(&[b"2"])]);
    assert_eq!(scene.said().0, [(second, want_frame(&[id(b"2")]))]);
    // Who has what the mesh hasn't is taken into it.
    scene.hear(second, [Item::Message(news(b"2"))]);
    assert_eq!(
        scene.said(),
        (vec![(second, graft_frame(NEWS))], vec![b"2".to_vec()])
    );
    // Nothing is fetched of what we don't read.
    scene.hear(second, [Item::Have("other".to_owned(), vec![id(b"3")])]);
    assert_eq!(scene.said().0, []);
}

#[test]
fn floods_of_control_messages_have_bounded_effects() {
    let mut scene = Scene::new();
    let peer = scene.reader();
    scene.said();
    // Messages that nobody has.
    for number in 0..1000u32 {
        let ids = (0..100u32).map(|i| id(&[number, i].map(u32::to_be_bytes).concat()));
        let have = Item::Have(NEWS.to_owned(), ids.collect());
        scene.hear(peer, [have]);
    }
    let (frames, _) = scene.said();
    assert!(frames.len() <= limits::MAX_GOSSIP_REPLIES);
    let bytes: usize = frames.iter().map(|(_, frame)| frame.len()).sum();
    assert!(bytes < limits::MAX_GOSSIP_ASKED * 40, "{bytes}");
    // In and out, again and again.
    scene.beat_after(limits::GOSSIP_HEARTBEAT);
    for _ in 0..1000 {
        scene.hear(peer, [Item::Unsubscribe(NEWS.to_owned())]);
        scene.hear(peer, [Item::Subscribe(NEWS.to_owned()), graft()]);
        scene.hear(peer, [Item::Prune(NEWS.to_owned(), Some(0)), graft()]);
    }
    assert!(scene.said().0.len() <= limits::MAX_GOSSIP_REPLIES);
    // Topics without end.
    for number in 0..1000 {
        scene.hear(peer, [Item::Subscribe(number.to_string())]);
        let unwanted = Item::Unwanted(vec![id(&[]); 100]);
        scene.hear(peer, [unwanted, Item::Prune(number.to_string(), None)]);
    }
    assert_eq!(scene.said().0, []);
    // All the same it is a peer like others.
    scene.hear(peer, [Item::Message(news(b"true"))]);
    assert_eq!(scene.said().1, [b"true"]);
}

#[test]
fn who_tells_what_is_wrong_is_not_listened_to_for_a_while() {
    let mut scene = Scene::new();
    let [liar, other] = [(); 2].map(|()| scene.reader());
    scene.said();
    for number in 0..limits::MAX_GOSSIP_REJECTED {
        let data = number.to_be_bytes();
        scene.hear(liar, [Item::Message(news(&data))]);
        assert!(scene.mesh.report(&id(&data), MsgAcceptance::Reject));
    }
    assert_eq!(scene.said().1.len(), limits::MAX_GOSSIP_REJECTED as usize);
    scene.hear(liar, [Item::Message(news(b"ignored")), graft()]);
    assert_eq!(scene.said(), (vec![], vec![]));
    scene.beat_after(limits::GOSSIP_HEARTBEAT);
    let refusal = prune_frame(NEWS, limits::GOSSIP_BACKOFF.as_secs());
    assert_eq!(scene.said().0, [(liar, refusal)]);
    scene.hear(other, [Item::Message(news(b"ignored"))]);
    assert_eq!(scene.said().1, [b"ignored"]);
    for _ in 0..limits::GOSSIP_FORGIVING_BEATS {
        scene.beat_after(limits::GOSSIP_HEARTBEAT);
    }
    scene.hear(liar, [Item::Message(news(b"mended"))]);
    assert_eq!(scene.said().1, [b"mended"]);
}

#[test]
fn unsubscribing_says_goodbye() {
    let mut scene = Scene::new();
    let [a, b, c, d] = [(); 4].map(|()| scene.reader());
    scene.said();
    scene.mesh.unsubscribe(NEWS);
    let goodbye = subscription_frame(NEWS, false);
    let prune = prune_frame(NEWS, limits::GOSSIP_UNSUBSCRIBE_BACKOFF.as_secs());
    let (frames, _) = scene.said();
    for peer in [a, b, c] {
        assert!(
            frames.contains(&(peer, goodbye.clone())) && frames.contains(&(peer, prune.clone()))
        );
    }
    assert!(frames.contains(&(d, goodbye)) && !frames.contains(&(d, prune)));
    scene.hear(a, [Item::Message(news(b"1")), graft()]);
    assert_eq!(scene.said(), (vec![], vec![]));
    // Back again: those who were let go are left alone for as long as they were told.
    scene.mesh.subscribe(NEWS, Direction::All);
    assert_eq!(scene.count(&graft_frame(NEWS)), 1);
    scene.now = Instant::now();
    scene.beat_after(limits::GOSSIP_UNSUBSCRIBE_BACKOFF + limits::GOSSIP_BACKOFF_SLACK);
    assert_eq!(scene.count(&graft_frame(NEWS)), 3);
}

#[test]
fn a_second_connection_carries_on() {
    let mut scene = Scene::new();
    let peer = scene.reader();
    scene.said();
    scene
        .mesh
        .on_connected(peer, ConnectionId::new_unchecked(1), false);
    assert_eq!(scene.count(&subscription_frame(NEWS, true)), 1);
    scene
        .mesh
        .on_disconnected(&peer, ConnectionId::new_unchecked(0));
    assert_eq!(
        scene.mesh.publish(NEWS.to_owned(), b"1".to_vec(), None),
        Ok(())
    );
    let sent_on: Vec<String> = scene
        .mesh
        .events
        .drain(..)
        .map(|event| format!("{event:?}"))
        .collect();
    assert!(
        sent_on
            .iter()
            .all(|event| event.contains("ConnectionId(1)")),
        "{sent_on:?}"
    );
    scene
        .mesh
        .on_disconnected(&peer, ConnectionId::new_unchecked(1));
    let alone = scene.mesh.publish(NEWS.to_owned(), b"2".to_vec(), None);
    assert_eq!(alone, Err(PublishError::NoSubscribers));
}
