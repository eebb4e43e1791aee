//! Peers that misbehave in requests and responses: each gets what it deserves, and an honest node
//! connected at the same time notices nothing.

use std::sync::Arc;

use crate::common::{raw::*, *};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::join_all};
use libp2p::core::muxing::SubstreamBox;
use nimiq_network_interface::{
    network::Network as _,
    request::{
        InboundRequestError, OutboundRequestError, RequestCommon, RequestError, RequestMarker,
        RequestSerialize,
    },
};
use nimiq_network_libp2p::Network as Node;
use nimiq_serde::Serialize as _;
use pico_network::{LeaveReason, Network, NetworkNotice, NoticeStream, Violation, limits};
use serde::{Deserialize, Serialize};

struct Scene {
    pico: Arc<Network>,
    notices: NoticeStream,
    node: Node,
    raw: Raw,
    _streams: (SubstreamBox, SubstreamBox),
}

impl Scene {
    /// Ours, an honest node, and a raw peer that has done an honest handshake.
    async fn new() -> Self {
        let (pico, our_address) = listening_pico(full()).await;
        let (node, address) = node().await;
        connect(&pico, &node, &address).await;
        let mut notices = pico.subscribe();
        let mut raw = Raw::dial(&our_address, &[DISCOVERY, REQUESTS]).await;
        let streams = raw.handshake().await;
        let joined = notice(&mut notices).await;
        assert!(
            matches!(joined, NetworkNotice::PeerJoined { peer_id, .. } if peer_id == raw.peer_id())
        );
        Self {
            pico,
            notices,
            node,
            raw,
            _streams: streams,
        }
    }

    /// Sends bytes on a request stream, which is returned.
    async fn say(&self, bytes: &[u8]) -> SubstreamBox {
        let mut stream = self.raw.open(REQUESTS).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Why the raw peer was dropped; the honest node is still there.
    async fn dropped(mut self) -> LeaveReason {
        let NetworkNotice::PeerLeft {
            peer_id,
            cause,
            reason,
        } = notice(&mut self.notices).await
        else {
            panic!("expected the peer to leave");
        };
        assert_eq!(peer_id, self.raw.peer_id());
        assert_eq!(reason, cause.to_string());
        self.raw.closed().await;
        assert_eq!(self.pico.get_peers(), [self.node.get_local_peer_id()]);
        assert_well(&self.pico, &self.node).await;
        self.pico.close().await;
        cause
    }

    /// Nothing has happened to anybody.
    async fn all_well(self) {
        assert!(self.pico.has_peer(self.raw.peer_id()));
        assert_well(&self.pico, &self.node).await;
        self.pico.close().await;
    }

    /// Asks the raw peer, which answers as `behave` says with the stream it was asked on.
    async fn ask<F>(&mut self, behave: F) -> Result<Answer, RequestError>
    where
        F: AsyncFnOnce(SubstreamBox),
    {
        let question = Question {
            number: 1,
            padding: vec![],
        };
        let expected = frame(&question.serialize_request());
        let peer = self.raw.peer_id();
        let (answer, ()) = soon("the end of a request", async {
            tokio::join!(self.pico.request(question, peer), async {
                let mut stream = self.raw.incoming(REQUESTS).await;
                let mut request = vec![0; expected.len()];
                stream.read_exact(&mut request).await.unwrap();
                assert_eq!(request, expected);
                behave(stream).await;
            })
        })
        .await;
        answer
    }
}

async fn answer_with(stream: &mut SubstreamBox, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.close().await.unwrap();
}

fn violation(violation: Violation) -> LeaveReason {
    LeaveReason::Violation(violation)
}

// --- Requests to us -------------------------------------------------------------------------------

#[tokio::test]
async fn asks_with_too_many_bytes() {
    for size in [20 * 1024 + 1, u64::MAX] {
        let scene = Scene::new().await;
        let _stream = scene.say(&size.to_be_bytes()).await;
        let reason = scene.dropped().await;
        assert_eq!(reason, violation(Violation::OversizedRequest(size)));
        assert!(reason.is_malicious());
    }
}

#[tokio::test]
async fn asks_garbage() {
    // No type at all; a type that is no number; one that is too large for a type.
    for payload in [&[][..], &[0xff], &[0xff; 10]] {
        let scene = Scene::new().await;
        let _stream = scene.say(&frame(payload)).await;
        assert_eq!(
            scene.dropped().await,
            violation(Violation::MalformedRequest(None))
        );
    }
}

#[tokio::test]
async fn asks_half_a_question() {
    let scene = Scene::new().await;
    let mut stream = scene.say(&100u64.to_be_bytes()).await;
    answer_with(&mut stream, &[1, 2, 3]).await;
    assert_eq!(
        scene.dropped().await,
        violation(Violation::MalformedRequest(None))
    );
}

#[tokio::test]
async fn asks_with_a_misshapen_body() {
    let scene = Scene::new().await;
    let mut questions = scene.pico.receive_requests::<Question>();
    let _stream = scene
        .say(&frame(&MisshapenQuestion.serialize_request()))
        .await;
    let pico = Arc::clone(&scene.pico);
    let (reason, none) = tokio::join!(scene.dropped(), questions.next());
    assert_eq!(reason, violation(Violation::MalformedRequest(Some(900))));
    // It never reached the receiver, whose stream ended with the network.
    assert!(none.is_none() && pico.is_closed());
}

#[tokio::test]
async fn says_nothing_on_its_streams() {
    let scene = Scene::new().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(scene.raw.open_unnegotiated().await);
    }
    let empty = scene.raw.open(REQUESTS).await;
    drop(empty);
    scene.all_well().await;
}

#[tokio::test]
async fn floods_us_with_requests() {
    let scene = Scene::new().await;
    let _questions = scene.pico.receive_requests::<Question>();
    let question = frame(
        &Question {
            number: 1,
            padding: vec![],
        }
        .serialize_request(),
    );
    let refused: Result<(), _> = Err(InboundRequestError::ExceedsRateLimit);
    let refused = frame(&refused.serialize_to_vec());
    let limit = Question::MAX_REQUESTS as usize;
    let mut open = Vec::new();
    for number in 0..limit * limits::FLOOD_FACTOR as usize {
        let mut stream = scene.say(&question).await;
        if number < limit {
            // Nobody answers these, so they stay open.
            open.push(stream);
        } else {
            let mut answer = Vec::new();
            soon("a refusal", stream.read_to_end(&mut answer))
                .await
                .unwrap();
            assert_eq!(answer, refused);
        }
    }
    let _last = scene.say(&question).await;
    let reason = scene.dropped().await;
    assert_eq!(reason, violation(Violation::RequestFlood(900)));
    assert!(reason.is_malicious());
}

/// A type that is asked a lot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Frequent(u32);

impl RequestCommon for Frequent {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = 903;
    type Response = u32;
    const MAX_REQUESTS: u32 = 1000;
}

#[tokio::test]
async fn a_slow_receiver_costs_a_bounded_queue() {
    let (node, address) = node().await;
    let pico = pico();
    connect(&pico, &node, &address).await;
    let mut slow = pico.receive_requests::<Frequent>();
    let surplus = 10;
    let count = limits::REQUEST_QUEUE + surplus;
    let asked =
        join_all((0..count as u32).map(|n| node.request(Frequent(n), pico.get_local_peer_id())));
    let answers = async {
        // Once the surplus has been refused, the receiver wakes up.
        while pico.dropped().requests < surplus as u64 {
            tokio::task::yield_now().await;
        }
        for _ in 0..limits::REQUEST_QUEUE {
            let (Frequent(number), id, _) = slow.next().await.unwrap();
            pico.respond::<Frequent>(id, number).await.unwrap();
        }
    };
    let (answers, ()) = soon("the answers", async { tokio::join!(asked, answers) }).await;
    let refused = answers
        .iter()
        .filter(|answer| **answer == Err(InboundRequestError::ExceedsRateLimit.into()))
        .count();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((answered, refused), (limits::REQUEST_QUEUE, surplus));
    assert!(pico.has_peer(node.get_local_peer_id()));
    pico.close().await;
}

// --- Responses to us ------------------------------------------------------------------------------

#[tokio::test]
async fn answers_properly() {
    let mut scene = Scene::new().await;
    let expected = Answer {
        number: 2,
        padding: vec![],
    };
    let bytes = frame(&[0, 2, 0]);
    let answer = scene
        .ask(async |mut stream| answer_with(&mut stream, &bytes).await)
        .await;
    assert_eq!(answer, Ok(expected));
    scene.all_well().await;
}

#[tokio::test]
async fn answers_too_late_or_never() {
    let mut scene = Scene::new().await;
    let mut kept = None;
    let answer = scene.ask(async |stream| kept = Some(stream)).await;
    assert_eq!(answer, Err(OutboundRequestError::Timeout.into()));
    // The late answer finds nobody, and does no harm.
    if let Some(mut stream) = kept {
        drop(stream.write_all(&frame(&[0, 2, 0])).await);
        drop(stream.flush().await);
    }
    scene.all_well().await;
}

#[tokio::test]
async fn hangs_up_instead_of_answering() {
    let mut scene = Scene::new().await;
    let answer = scene
        .ask(async |mut stream| stream.close().await.unwrap())
        .await;
    assert_eq!(answer, Err(OutboundRequestError::NoResponse.into()));
    // A reset stream.
    let answer = scene.ask(async |stream| drop(stream)).await;
    assert!(answer.is_err());
    scene.all_well().await;
}

#[tokio::test]
async fn leaves_instead_of_answering() {
    let scene = Scene::new().await;
    let Scene {
        pico,
        node,
        mut raw,
        ..
    } = scene;
    let peer = raw.peer_id();
    let question = Question {
        number: 1,
        padding: vec![],
    };
    let (answer, ()) = soon("the end of a request", async {
        tokio::join!(pico.request(question, peer), async {
            let stream = raw.incoming(REQUESTS).await;
            drop(raw);
            drop(stream);
        })
    })
    .await;
    assert_eq!(answer, Err(OutboundRequestError::ConnectionClosed.into()));
    assert_well(&pico, &node).await;
    pico.close().await;
}

#[tokio::test]
async fn answers_garbage() {
    // Neither result nor error; an unknown error; a misshapen answer; nothing.
    for payload in [&[2][..], &[1, 9], &[0, 0xff], &[]] {
        let mut scene = Scene::new().await;
        let bytes = frame(payload);
        let answer = scene
            .ask(async |mut stream| answer_with(&mut stream, &bytes).await)
            .await;
        assert_eq!(
            answer,
            Err(InboundRequestError::DeSerializationError.into())
        );
        assert_eq!(
            scene.dropped().await,
            violation(Violation::MalformedResponse(900))
        );
    }
}

#[tokio::test]
async fn answers_with_too_many_bytes() {
    let size = 10 * 1024 * 1024 + 1;
    let mut scene = Scene::new().await;
    let bytes = u64::to_be_bytes(size);
    let answer = scene
        .ask(async |mut stream| answer_with(&mut stream, &bytes).await)
        .await;
    assert!(matches!(
        answer,
        Err(RequestError::OutboundRequest(OutboundRequestError::Other(
            _
        )))
    ));
    let reason = scene.dropped().await;
    assert_eq!(reason, violation(Violation::OversizedResponse(size)));
    assert!(reason.is_malicious());
}

#[tokio::test]
async fn answers_in_part() {
    let mut scene = Scene::new().await;
    let mut bytes = u64::to_be_bytes(1_000_000).to_vec();
    bytes.extend([7; 100_000]);
    let answer = scene
        .ask(async |mut stream| answer_with(&mut stream, &bytes).await)
        .await;
    assert!(matches!(
        answer,
        Err(RequestError::OutboundRequest(OutboundRequestError::Other(
            _
        )))
    ));
    assert_eq!(
        scene.dropped().await,
        violation(Violation::MalformedResponse(900))
    );
}

#[tokio::test]
async fn too_many_questions_of_our_own_fail_instead_of_piling_up() {
    let scene = Scene::new().await;
    let peer = scene.raw.peer_id();
    let surplus = 5;
    let count = limits::MAX_REQUESTS_PER_PEER + surplus;
    let question = |number| Question {
        number,
        padding: vec![],
    };
    let answers = join_all((0..count as u64).map(|n| scene.pico.request(question(n), peer)));
    let answers = soon("all requests to end", answers).await;
    let timed_out = answers
        .iter()
        .filter(|answer| **answer == Err(OutboundRequestError::Timeout.into()))
        .count();
    assert_eq!(timed_out, limits::MAX_REQUESTS_PER_PEER);
    scene.all_well().await;
}
