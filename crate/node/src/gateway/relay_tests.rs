//! The relay, with upstreams and clients that are nothing but ids, and a clock of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use nimiq_consensus::messages::{RequestBlock, RequestHead, RequestMacroChain};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::request::{
    InboundRequestError, RequestCommon, RequestSerialize, RequestType,
};
use pico_network::{PeerId, Services, refusal};

use super::{
    cache::Question,
    limits,
    relay::{Action, Failure, Relay},
    stats::Counters,
};

struct Scene {
    relay: Relay<u32>,
    counters: Arc<Counters>,
    now: Instant,
    next: u32,
}

impl Scene {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            relay: Relay::new(Arc::clone(&counters)),
            counters,
            now: Instant::now(),
            next: 0,
        }
    }

    fn upstream(&mut self) -> PeerId {
        let peer = PeerId::random();
        let services = Services::FULL_BLOCKS | Services::ACCOUNTS_PROOF;
        self.relay.upstream_joined(peer, services);
        peer
    }

    fn ask<R: RequestCommon>(&mut self, client: PeerId, request: &R) -> u32 {
        self.next += 1;
        let kind = RequestType::request(R::TYPE_ID);
        let payload = request.serialize_request();
        self.relay
            .request(client, self.next, kind, &payload, self.now);
        self.next
    }

    fn head(&mut self, client: PeerId) -> u32 {
        self.ask(client, &RequestHead {})
    }

    fn block(&mut self, client: PeerId, number: u32) -> u32 {
        self.ask(client, &block(number))
    }

    fn actions(&mut self) -> (Vec<(u32, Vec<u8>)>, Vec<Question>) {
        let (mut answers, mut questions) = (vec![], vec![]);
        for action in self.relay.actions.drain(..) {
            match action {
                Action::Answer(id, answer) => answers.push((id, answer.to_vec())),
                Action::Ask(question) => questions.push(question),
            }
        }
        (answers, questions)
    }

    fn answers(&mut self) -> Vec<(u32, Vec<u8>)> {
        self.actions().0
    }

    fn questions(&mut self) -> Vec<Question> {
        let (answers, questions) = self.actions();
        assert_eq!(answers, []);
        questions
    }

    fn answer(&mut self, question: &Question, bytes: &[u8]) {
        let answer = Ok(Arc::new(bytes.to_vec()));
        self.relay.answered(question, answer, self.now);
    }

    fn fail(&mut self, question: &Question, failure: Failure) {
        self.relay.answered(question, Err(failure), self.now);
    }
}

fn block(number: u32) -> RequestBlock {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    RequestBlock {
        hash: Blake2bHash::from(hash),
        include_body: false,
    }
}

#[test]
fn equal_questions_are_asked_once_and_answers_kept() {
    let mut scene = Scene::new();
    scene.upstream();
    let clients: Vec<_> = (0..100).map(|_| PeerId::random()).collect();
    let ids: Vec<u32> = clients.iter().map(|client| scene.head(*client)).collect();
    let questions = scene.questions();
    assert_eq!(questions.len(), 1);
    scene.answer(&questions[0], &[0, 42]);
    let answered: Vec<u32> = scene
        .answers()
        .into_iter()
        .map(|(id, answer)| {
            assert_eq!(answer, [0, 42]);
            id
        })
        .collect();
    assert_eq!(answered, ids);
    assert!(scene.relay.is_idle());
    // For a moment the answer stands for itself, until a block comes.
    let id = scene.head(clients[0]);
    assert_eq!(scene.answers(), [(id, vec![0, 42])]);
    scene.now += limits::FRESH_AT_LEAST;
    scene.head(clients[0]);
    assert_eq!(scene.answers().len(), 1);
    scene.relay.block_came();
    scene.head(clients[0]);
    assert_eq!(scene.questions().len(), 1);
    let counted = scene.counters.request(0);
    assert_eq!(
        (
            counted.received,
            counted.relayed,
            counted.coalesced,
            counted.cached
        ),
        (103, 2, 99, 2)
    );
}

#[test]
fn a_client_stays_with_its_upstream_and_all_have_some() {
    let mut scene = Scene::new();
    let upstreams: HashSet<_> = (0..4).map(|_| scene.upstream()).collect();
    let mut used = HashSet::new();
    // Each client is given one by chance. That so many leave one out happens to nobody.
    for number in 0..150 {
        let client = PeerId::random();
        scene.block(client, number);
        scene.block(client, 1000 + number);
        let questions = scene.questions();
        assert_eq!(questions.len(), 2);
        assert_eq!(questions[0].upstream, questions[1].upstream);
        used.insert(questions[0].upstream);
        for question in &questions {
            scene.answer(question, &[0, 0]);
        }
        scene.answers();
    }
    assert_eq!(used, upstreams);
}

#[test]
fn whoever_asks_much_waits_and_nobody_else_does() {
    let mut scene = Scene::new();
    scene.upstream();
    let (greedy, modest) = (PeerId::random(), PeerId::random());
    for number in 0..200 {
        scene.block(greedy, number);
    }
    let (refused, asked) = scene.actions();
    assert_eq!(asked.len(), limits::IN_FLIGHT_PER_UPSTREAM);
    assert_eq!(refused.len(), 200 - limits::QUEUED_PER_CLIENT);
    let limit = refusal(InboundRequestError::ExceedsRateLimit);
    assert!(refused.iter().all(|(_, answer)| *answer == limit));
    let id = scene.block(modest, 5000);
    assert_eq!(scene.questions().len(), 0);
    // The next two places: one for each.
    for question in &asked[..2] {
        scene.answer(question, &[0, 0]);
    }
    let (_, questions) = scene.actions();
    assert_eq!(questions.len(), 2);
    for question in &questions {
        scene.answer(question, &[0, 0]);
    }
    assert!(scene.answers().iter().any(|(answered, _)| *answered == id));
}

#[test]
fn the_limits_of_upstreams_are_kept() {
    let mut scene = Scene::new();
    let upstream = scene.upstream();
    let chain = |number: u32| RequestMacroChain {
        locators: vec![block(number).hash],
        max_epochs: 10,
    };
    for number in 0..30 {
        scene.ask(PeerId::random(), &chain(number));
    }
    // A node allows 20 of them in 10 s.
    let questions = scene.questions();
    assert_eq!(questions.len(), 18);
    for question in &questions {
        scene.answer(question, &[0, 0]);
    }
    scene.actions();
    // They don't stand in the way of others.
    scene.block(PeerId::random(), 1);
    assert_eq!(scene.questions().len(), 1);
    // With room elsewhere, the others are asked there.
    let other = scene.upstream();
    scene.ask(PeerId::random(), &chain(100));
    assert_eq!(scene.questions()[0].upstream, other);
    // The rest has to wait, but not longer than anybody waits for the answers.
    scene.now += limits::REQUEST_DEADLINE;
    scene.relay.tick(scene.now);
    let (answers, _) = scene.actions();
    assert_eq!(answers.len(), 12);
    scene.now += limits::WINDOW;
    scene.ask(PeerId::random(), &chain(200));
    assert_eq!(scene.questions().len(), 1);
    assert!(scene.relay.is_upstream(&upstream));
}

#[test]
fn others_are_asked_when_one_fails() {
    for failure in [Failure::TimedOut, Failure::Broken] {
        let mut scene = Scene::new();
        let (a, b) = (scene.upstream(), scene.upstream());
        let id = scene.block(PeerId::random(), 1);
        let first = scene.questions().remove(0);
        scene.fail(&first, failure);
        let second = scene.questions().remove(0);
        assert_eq!(
            HashSet::from([first.upstream, second.upstream]),
            HashSet::from([a, b])
        );
        scene.answer(&second, &[0, 0, 9]);
        assert_eq!(scene.answers(), [(id, vec![0, 0, 9])]);
        // When all have failed, the client is told so.
        let id = scene.block(PeerId::random(), 2);
        for _ in 0..2 {
            let question = scene.questions().remove(0);
            scene.fail(&question, failure);
        }
        let gone = refusal(InboundRequestError::SenderFutureDropped);
        assert_eq!(scene.answers(), [(id, gone)]);
        assert!(scene.relay.is_idle());
    }
}

#[test]
fn a_refusal_is_passed_on_if_all_refuse() {
    let mut scene = Scene::new();
    scene.upstream();
    scene.upstream();
    let id = scene.block(PeerId::random(), 1);
    let refused = refusal(InboundRequestError::ExceedsRateLimit);
    for _ in 0..2 {
        let question = scene.questions().remove(0);
        scene.answer(&question, &refused);
    }
    assert_eq!(scene.answers(), [(id, refused)]);
    // An answer that says no is an answer, but isn't kept.
    let id = scene.block(PeerId::random(), 2);
    let question = scene.questions().remove(0);
    scene.answer(&question, &[0, 1, 0]);
    assert_eq!(scene.answers(), [(id, vec![0, 1, 0])]);
    scene.block(PeerId::random(), 2);
    assert_eq!(scene.questions().len(), 1);
}

#[test]
fn what_waits_goes_elsewhere_when_an_upstream_leaves() {
    let mut scene = Scene::new();
    let gone = scene.upstream();
    let client = PeerId::random();
    for number in 0..60 {
        scene.block(client, number);
    }
    let under_way = scene.questions();
    assert_eq!(under_way.len(), limits::IN_FLIGHT_PER_UPSTREAM);
    let left = scene.upstream();
    scene.relay.upstream_left(&gone, scene.now);
    let moved = scene.questions();
    assert_eq!(moved.len(), 60 - under_way.len());
    for question in &under_way {
        scene.fail(question, Failure::Broken);
    }
    let mut all = moved;
    let mut answered = 0;
    while !all.is_empty() {
        for question in std::mem::take(&mut all) {
            assert_eq!(question.upstream, left);
            scene.answer(&question, &[0, 0]);
        }
        let (answers, questions) = scene.actions();
        answered += answers.len();
        all = questions;
    }
    assert_eq!(answered, 60);
}

#[test]
fn without_upstreams_everybody_is_told_at_once() {
    let mut scene = Scene::new();
    let id = scene.head(PeerId::random());
    let gone = refusal(InboundRequestError::SenderFutureDropped);
    assert_eq!(scene.answers(), [(id, gone.clone())]);
    let upstream = scene.upstream();
    let client = PeerId::random();
    let ids: HashSet<u32> = (0..60).map(|number| scene.block(client, number)).collect();
    let questions = scene.questions();
    scene.relay.upstream_left(&upstream, scene.now);
    for question in &questions {
        scene.fail(question, Failure::Broken);
    }
    let answers = scene.answers();
    assert!(answers.iter().all(|(_, answer)| *answer == gone));
    assert_eq!(
        answers
            .into_iter()
            .map(|(id, _)| id)
            .collect::<HashSet<_>>(),
        ids
    );
    assert!(scene.relay.is_idle());
    assert_eq!(scene.relay.services(), Services::empty());
    // It is back, under the same name.
    scene
        .relay
        .upstream_joined(upstream, Services::ACCOUNTS_PROOF);
    scene.block(client, 0);
    assert_eq!(scene.questions().len(), 1);
}

#[test]
fn an_upstream_that_never_answers_is_left_alone_for_a_while() {
    let mut scene = Scene::new();
    let dead = scene.upstream();
    for number in 0..limits::TIMEOUTS_TO_SUSPEND {
        scene.block(PeerId::random(), number);
        let question = scene.questions().remove(0);
        scene.fail(&question, Failure::TimedOut);
        assert_eq!(scene.answers().len(), 1);
    }
    let alive = scene.upstream();
    for number in 0..50 {
        scene.block(PeerId::random(), 100 + number);
        let question = scene.questions().remove(0);
        assert_eq!(question.upstream, alive);
        scene.answer(&question, &[0, 0]);
        scene.answers();
    }
    scene.now += limits::SUSPENSION;
    let mut asked = HashSet::new();
    for number in 0..50 {
        scene.block(PeerId::random(), 200 + number);
        let question = scene.questions().remove(0);
        asked.insert(question.upstream);
        scene.answer(&question, &[0, 0]);
        scene.answers();
    }
    assert!(asked.contains(&dead));
}

#[test]
fn nobody_is_asked_for_those_who_are_gone() {
    let mut scene = Scene::new();
    scene.upstream();
    let (gone, there) = (PeerId::random(), PeerId::random());
    for number in 0..60 {
        scene.block(gone, number);
    }
    let under_way = scene.questions();
    let id = scene.block(there, 59);
    scene.relay.client_left(&gone);
    let mut asked = Vec::new();
    let mut answers = Vec::new();
    for question in &under_way {
        scene.answer(question, &[0, 0]);
        let (told, questions) = scene.actions();
        asked.extend(questions);
        answers.extend(told);
    }
    // Only what somebody else wants as well.
    assert_eq!(asked.len(), 1);
    scene.answer(&asked[0], &[0, 0, 1]);
    assert_eq!(scene.answers(), [(id, vec![0, 0, 1])]);
    assert!(scene.relay.is_idle());
}

#[test]
fn what_nobody_can_answer_is_refused() {
    let mut scene = Scene::new();
    scene.upstream();
    let client = PeerId::random();
    let unknown = RequestType::request(212);
    scene.relay.request(client, 1, unknown, &[], scene.now);
    let (refused, malformed) = (
        refusal(InboundRequestError::NoReceiver),
        refusal(InboundRequestError::DeSerializationError),
    );
    assert_eq!(scene.answers(), [(1, refused)]);
    // Nodes are silent when they can't decode a request, which would look like a time-out.
    let mut cut = block(1).serialize_request();
    cut.pop();
    cut.pop();
    let kind = RequestType::request(RequestBlock::TYPE_ID);
    scene.relay.request(client, 2, kind, &cut, scene.now);
    assert_eq!(scene.answers(), [(2, malformed)]);
}

#[test]
fn late_answers_harm_nobody() {
    let mut scene = Scene::new();
    let upstream = scene.upstream();
    scene.head(PeerId::random());
    let question = scene.questions().remove(0);
    scene.now += Duration::from_secs(60);
    scene.relay.tick(scene.now);
    scene.answer(&question, &[0, 1]);
    scene.answer(&question, &[0, 1]);
    scene.relay.upstream_left(&upstream, scene.now);
    scene.fail(&question, Failure::TimedOut);
    scene.relay.tick(scene.now);
    assert!(scene.relay.is_idle());
}
