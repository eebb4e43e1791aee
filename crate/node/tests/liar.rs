//! Every lie can be told from the truth, and only in the way it is meant to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use futures::StreamExt;
use nimiq_block::{Block, MacroBlock, TendermintProof};
use nimiq_blockchain_interface::{AbstractBlockchain, Direction, PushResult};
use nimiq_consensus::messages::{
    BlockHeaderTopic, RequestBlock, RequestHead, RequestMacroChain, RequestMissingBlocks,
    ResponseBlocksError, ResponseHead,
};
use nimiq_hash::Blake2bHash;
use nimiq_light_blockchain::LightBlockchain;
use nimiq_network_interface::{
    network::{Network as _, NetworkEvent},
    peer_info::{NodeType, Services},
    request::{InboundRequestError, OutboundRequestError, RequestError},
};
use nimiq_primitives::policy::Policy;
use parking_lot::RwLock;
use pico_node::{
    chain::{ChainData, NETWORK_ID, ScriptedChain, genesis_block, without_body},
    devnet::{Devnet, DevnetConfig, Interrupt},
    liar::{Liar, LiarConfig, Lie},
};
use support::{Prober, light_network, within};

/// A chain of an epoch, a batch and some micro blocks.
fn script() -> std::sync::MutexGuard<'static, ScriptedChain> {
    static CHAIN: OnceLock<Mutex<ScriptedChain>> = OnceLock::new();
    CHAIN
        .get_or_init(|| {
            let mut chain = ScriptedChain::new().unwrap();
            chain.extend_epochs(1).unwrap();
            chain.extend_batches(1).unwrap();
            chain.extend_micro(3).unwrap();
            Mutex::new(chain)
        })
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A liar, someone to be lied to, and the truth.
struct Scene {
    liar: Liar,
    prober: Prober,
    truth: ChainData,
}

impl Scene {
    async fn of(lie: Lie) -> Self {
        let truth = script().copy().unwrap();
        let liar = Liar::start(LiarConfig::new(lie, vec![]), truth.clone())
            .await
            .unwrap();
        let prober = Prober::connect(liar.address()).await;
        assert_eq!(prober.peer, liar.peer_id());
        Self {
            liar,
            prober,
            truth,
        }
    }

    async fn head(&self) -> ResponseHead {
        let Prober { network, peer, .. } = &self.prober;
        network.request(RequestHead {}, *peer).await.unwrap()
    }

    async fn try_block(&self, hash: &Blake2bHash) -> Result<Block, RequestError> {
        let request = RequestBlock {
            hash: hash.clone(),
            include_body: false,
        };
        let Prober { network, peer, .. } = &self.prober;
        Ok(network.request(request, *peer).await?.unwrap())
    }

    async fn block(&self, hash: &Blake2bHash) -> Block {
        self.try_block(hash).await.unwrap()
    }

    async fn macro_block(&self, hash: &Blake2bHash) -> MacroBlock {
        self.block(hash).await.unwrap_macro()
    }

    /// What the liar says comes after the genesis block.
    async fn macro_chain(&self) -> (Vec<Blake2bHash>, Option<Blake2bHash>) {
        let request = RequestMacroChain {
            locators: vec![genesis_block().hash()],
            max_epochs: 10,
        };
        let Prober { network, peer, .. } = &self.prober;
        let chain = network.request(request, *peer).await.unwrap().unwrap();
        (chain.epochs, chain.checkpoint.map(|c| c.hash))
    }

    /// What the liar says lies between the last macro block and the head.
    async fn missing(&self, target: &Blake2bHash) -> Result<Vec<Block>, ResponseBlocksError> {
        let request = RequestMissingBlocks {
            target_hash: target.clone(),
            include_body: false,
            locators: vec![self.truth().macro_hash],
            direction: Direction::Backward,
        };
        let Prober { network, peer, .. } = &self.prober;
        let response = network.request(request, *peer).await.unwrap();
        response.map(|response| response.blocks)
    }

    fn truth(&self) -> ResponseHead {
        let chain = self.truth.blockchain.read();
        ResponseHead {
            block_number: chain.block_number(),
            block_hash: chain.head_hash(),
            macro_hash: chain.macro_head_hash(),
            election_hash: chain.election_head_hash(),
        }
    }

    /// A light client that knows the truth up to the last block but this many.
    fn light(&self, but: u32) -> Arc<RwLock<LightBlockchain>> {
        let light = Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)));
        let (epochs, height) = {
            let chain = self.truth.blockchain.read();
            (
                vec![chain.election_head().clone(), chain.macro_head().clone()],
                chain.block_number(),
            )
        };
        for block in epochs {
            let block = without_body(Block::Macro(block));
            LightBlockchain::push_macro(light.upgradable_read(), block).unwrap();
        }
        // Not in the loop's head, where it would keep the lock.
        let first = light.read().block_number() + 1;
        for number in first..=height - but {
            let block = self
                .truth
                .blockchain
                .read()
                .get_block_at(number, false, None);
            LightBlockchain::push(light.upgradable_read(), block.unwrap()).unwrap();
        }
        light
    }

    async fn end(self) {
        self.liar.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_lie_all_is_true() {
    let scene = Scene::of(Lie::Honest).await;
    let (head, truth) = (scene.head().await, scene.truth());
    assert_eq!(head.block_number, truth.block_number);
    assert_eq!(head.block_hash, truth.block_hash);
    assert_eq!(head.macro_hash, truth.macro_hash);
    assert_eq!(head.election_hash, truth.election_hash);
    assert_eq!(scene.block(&head.macro_hash).await.hash(), head.macro_hash);
    assert_eq!(
        scene.macro_chain().await,
        (vec![truth.election_hash], Some(truth.macro_hash))
    );
    let missing = scene.missing(&head.block_hash).await.unwrap();
    assert_eq!(missing.len(), 3);
    assert_eq!(
        scene.prober.services,
        Services::provided(NodeType::History) | Services::TRANSACTION_INDEX
    );
    let requests = scene.liar.requests();
    assert_eq!(requests["RequestHead"], 1);
    assert_eq!(requests["RequestBlock"], 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflicting_election_looks_right_to_those_who_know_nothing() {
    let scene = Scene::of(Lie::ConflictingElection).await;
    let (head, truth) = (scene.head().await, scene.truth());
    assert_eq!(head.block_hash, truth.block_hash);
    assert_ne!(head.election_hash, truth.election_hash);
    assert_ne!(head.macro_hash, truth.macro_hash);

    let election = scene.macro_block(&head.election_hash).await;
    let honest = scene.truth.blockchain.read().election_head().clone();
    assert_eq!(election.hash(), head.election_hash);
    assert_eq!(election.block_number(), honest.block_number());
    assert_eq!(
        election.header.parent_election_hash,
        honest.header.parent_election_hash
    );
    // Only the validators elected before can say that it is a lie.
    let elected = genesis_block().validators().unwrap();
    assert!(TendermintProof::verify(&honest, &elected));
    assert!(!TendermintProof::verify(&election, &elected));

    // The checkpoint fits it.
    let checkpoint = scene.macro_block(&head.macro_hash).await;
    assert_eq!(checkpoint.hash(), head.macro_hash);
    assert_eq!(checkpoint.header.parent_election_hash, election.hash());
    let stranger = election.get_validators().unwrap();
    assert!(TendermintProof::verify(&checkpoint, &stranger));

    assert_eq!(
        scene.macro_chain().await,
        (
            vec![head.election_hash.clone()],
            Some(head.macro_hash.clone())
        )
    );

    // A light client that begins with it goes all the way; one that verifies doesn't.
    let naive = Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)));
    let election = Block::Macro(election);
    LightBlockchain::push_pico_election(naive.upgradable_read(), election.clone()).unwrap();
    LightBlockchain::push_macro(naive.upgradable_read(), Block::Macro(checkpoint)).unwrap();
    assert_eq!(naive.read().macro_head_hash(), head.macro_hash);
    let careful = Arc::new(RwLock::new(LightBlockchain::new(NETWORK_ID)));
    LightBlockchain::push_macro(careful.upgradable_read(), election).unwrap_err();

    // It tells the same story twice.
    assert_eq!(scene.head().await.election_hash, head.election_hash);
    assert_eq!(scene.liar.claims(), (head.macro_hash, head.election_hash));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_macro_block_of_another_epoch_is_signed_and_far_away() {
    let scene = Scene::of(Lie::OtherEpochMacro).await;
    let (head, truth) = (scene.head().await, scene.truth());
    assert_eq!(head.election_hash, truth.election_hash);
    let far = scene.macro_block(&head.macro_hash).await;
    assert_eq!(far.hash(), head.macro_hash);
    assert!(!far.is_election());
    assert!(far.epoch_number() > Policy::epoch_at(truth.block_number) + 1);
    let elected = genesis_block().validators().unwrap();
    assert!(TendermintProof::verify(&far, &elected));
    assert_eq!(scene.macro_chain().await.1, Some(head.macro_hash));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_proofs_are_on_the_right_blocks() {
    for lie in [Lie::BadSignature, Lie::TooFewSigners] {
        let scene = Scene::of(lie).await;
        let (head, truth) = (scene.head().await, scene.truth());
        let elected = genesis_block().validators().unwrap();
        for hash in [&head.macro_hash, &head.election_hash] {
            let block = scene.macro_block(hash).await;
            assert_eq!(block.hash(), *hash);
            assert!(block.justification.is_some());
            assert!(!TendermintProof::verify(&block, &elected));
        }
        assert_eq!(head.macro_hash, truth.macro_hash);
        assert_eq!(head.election_hash, truth.election_hash);
        assert!(scene.block(&head.block_hash).await.is_micro());
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_can_be_other_than_asked_for() {
    let scene = Scene::of(Lie::WrongHash).await;
    let head = scene.head().await;
    assert_ne!(scene.block(&head.macro_hash).await.hash(), head.macro_hash);
    scene.end().await;

    let scene = Scene::of(Lie::MicroForMacro).await;
    let head = scene.head().await;
    for hash in [&head.macro_hash, &head.election_hash] {
        let block = scene.block(hash).await;
        assert!(block.is_micro());
        assert_eq!(block.hash(), *hash);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_can_be_missing_late_or_nonsense() {
    let silent = Scene::of(Lie::NoAnswer).await;
    let Prober { network, peer, .. } = &silent.prober;
    let error = network.request(RequestHead {}, *peer).await.unwrap_err();
    assert_eq!(
        error,
        RequestError::OutboundRequest(OutboundRequestError::Timeout)
    );
    assert_eq!(silent.liar.requests()["RequestHead"], 1);
    silent.end().await;

    let delay = Duration::from_millis(700);
    let late = Scene::of(Lie::LateAnswer(delay)).await;
    let asked = Instant::now();
    assert_eq!(late.head().await.block_hash, late.truth().block_hash);
    assert!(asked.elapsed() >= delay);
    late.end().await;

    for lie in [Lie::Garbage, Lie::Oversized] {
        let scene = Scene::of(lie).await;
        let head = scene.head().await;
        assert_eq!(head.block_hash, scene.truth().block_hash);
        let error = scene.try_block(&head.macro_hash).await.unwrap_err();
        assert_eq!(
            error,
            RequestError::InboundRequest(InboundRequestError::DeSerializationError)
        );
        assert_eq!(scene.liar.requests()["RequestBlock"], 1);
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_can_be_closed_in_mid_request() {
    let scene = Scene::of(Lie::Closes).await;
    let Prober { network, peer, .. } = &scene.prober;
    let mut events = network.subscribe_events();
    network.request(RequestHead {}, *peer).await.unwrap_err();
    within(20, "closing", async {
        loop {
            if let NetworkEvent::PeerLeft(left) = events.next().await.unwrap().unwrap() {
                assert_eq!(left, *peer);
                return;
            }
        }
    })
    .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_peer_is_honest_about_the_past() {
    for (blocks, macro_number) in [(2, 360), (32, 328), (40, 296), (1000, 200)] {
        let scene = Scene::of(Lie::Lagging(blocks)).await;
        let (head, truth) = (scene.head().await, scene.truth());
        let number = truth.block_number.saturating_sub(blocks).max(200);
        assert_eq!(head.block_number, number);
        let hash_at = |number| {
            let chain = scene.truth.blockchain.read();
            chain.get_block_at(number, false, None).unwrap().hash()
        };
        assert_eq!(head.block_hash, hash_at(number));
        assert_eq!(head.macro_hash, hash_at(macro_number));
        assert_eq!(
            head.election_hash,
            hash_at(Policy::last_election_block(number))
        );
        let (epochs, checkpoint) = scene.macro_chain().await;
        assert_eq!(epochs.len(), usize::from(number >= 328), "{number}");
        assert_eq!(
            checkpoint,
            (!Policy::is_election_block_at(macro_number)).then_some(head.macro_hash)
        );
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_peer_doesnt_go_on() {
    let config = DevnetConfig {
        epochs: 2,
        nodes: 1,
        adversary: Some(Lie::StaleHead),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config, Interrupt::default(), |_| {})
        .await
        .unwrap();
    let liar = devnet.liar().unwrap();
    let prober = Prober::connect(liar.address()).await;
    let head = prober
        .network
        .request(RequestHead {}, prober.peer)
        .await
        .unwrap();
    assert_eq!(head.block_number, 328);
    let honest = devnet.nodes()[0].blockchain();
    let old = honest.read().get_block_at(328, false, None).unwrap();
    assert_eq!(head.election_hash, old.hash());
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forked_micro_blocks_are_valid() {
    let scene = Scene::of(Lie::ForkedMicro).await;
    let (head, truth) = (scene.head().await, scene.truth());
    assert_eq!(head.block_number, truth.block_number);
    assert_eq!(head.macro_hash, truth.macro_hash);
    assert_ne!(head.block_hash, truth.block_hash);
    let fork = scene.block(&head.block_hash).await;
    assert_eq!(fork.hash(), head.block_hash);

    // Who has the honest block keeps it; who hasn't takes the other.
    let light = scene.light(0);
    assert_eq!(
        LightBlockchain::push(light.upgradable_read(), fork.clone()),
        Ok(PushResult::Forked)
    );
    let light = scene.light(1);
    assert_eq!(
        LightBlockchain::push(light.upgradable_read(), fork.clone()),
        Ok(PushResult::Extended)
    );
    assert_eq!(scene.missing(&head.block_hash).await.unwrap(), vec![fork]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spam_is_invalid() {
    let scene = Scene::of(Lie::BadHeaderGossip).await;
    let network = &scene.prober.network;
    let mut headers = network.subscribe::<BlockHeaderTopic>().await.unwrap();
    let light = scene.light(0);
    for _ in 0..3 {
        let (header, _) = within(20, "spam", headers.next()).await.unwrap();
        let block = Block::from(header);
        LightBlockchain::push(light.upgradable_read(), block).unwrap_err();
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_blocks_can_be_withheld_or_wrong() {
    let scene = Scene::of(Lie::WithholdsMissingBlocks).await;
    let head = scene.head().await;
    assert!(matches!(
        scene.missing(&head.block_hash).await,
        Err(ResponseBlocksError::FailedToGetBlocks)
    ));
    scene.end().await;

    let scene = Scene::of(Lie::WrongMissingBlocks).await;
    let head = scene.head().await;
    let blocks = scene.missing(&head.block_hash).await.unwrap();
    assert_eq!(blocks.last().unwrap().hash(), head.block_hash);
    let light = scene.light(3);
    let mut results: Vec<_> = blocks
        .into_iter()
        .map(|block| LightBlockchain::push(light.upgradable_read(), block).is_ok())
        .collect();
    assert_eq!(results.pop(), Some(false));
    assert!(results.into_iter().all(|accepted| accepted));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshake_can_tell_too() {
    let scene = Scene::of(Lie::NoServices).await;
    assert_eq!(scene.prober.services, Services::empty());
    assert_eq!(scene.head().await.block_hash, scene.truth().block_hash);
    scene.end().await;

    let truth = script().copy().unwrap();
    let liar = Liar::start(LiarConfig::new(Lie::WrongGenesis, vec![]), truth)
        .await
        .unwrap();
    let (network, _) = light_network(vec![liar.address().clone()], Services::empty()).await;
    let mut events = network.subscribe_events();
    network.start_connecting().await;
    // The connection ends before the handshake does.
    match within(10, "refusing", events.next()).await {
        Some(Ok(NetworkEvent::PeerLeft(peer))) => assert_eq!(peer, liar.peer_id()),
        other => panic!("{other:?}"),
    }
    liar.stop().await;
}
