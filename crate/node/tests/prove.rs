//! Proving goes on from wherever it was killed, follows a node, and serves what it has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

use nimiq_block::MacroBlock;
use nimiq_network_interface::{
    network::Network as _,
    request::{InboundRequestError, RequestCommon, RequestError},
};
use nimiq_serde::{Deserialize, Serialize};
use pico_node::{
    chain::{ChainConfig, ChainData, Fixture, ScriptedChain},
    liar::{Liar, LiarConfig, Lie, ProofLie},
    node::{Node, NodeConfig},
    proofs::{
        ElectionBlocks, ProofSource, ProofStore, RequestZKP, SimulatedProofs, StoreError,
        StoredProof, ZKProof, ZkpResponse, answer, serve,
    },
    prove::{
        ElectionError, Elections, Epoch, EpochProver, Follower, Progress, ProveError, ProverError,
        Proving, Task,
    },
};
use pico_sync::messages as client;
use support::{Prober, within};

fn chain() -> std::sync::MutexGuard<'static, ScriptedChain> {
    static CHAIN: OnceLock<Mutex<ScriptedChain>> = OnceLock::new();
    CHAIN
        .get_or_init(|| Mutex::new(Fixture::make(ChainConfig::default()).unwrap()))
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A copy of its own for a node, with the chain free again.
fn chain_data() -> ChainData {
    chain().copy().unwrap()
}

fn elections() -> Vec<MacroBlock> {
    chain().elections().unwrap()
}

/// A prover without mathematics. Its proofs name what they prove and what they were built on.
#[derive(Default)]
struct Scripted {
    /// What it was asked for.
    calls: Mutex<Vec<(u32, bool)>>,
    /// The call that never returns.
    dies_at: Option<usize>,
}

impl Scripted {
    fn called(&self, number: u32, wrap: bool) -> Result<(), ProverError> {
        let mut calls = self.calls.lock().unwrap();
        calls.push((number, wrap));
        if self.dies_at == Some(calls.len() - 1) {
            return Err(ProverError("killed".into()));
        }
        Ok(())
    }
}

fn step_bytes(anchor: [u8; 32], head: [u8; 32]) -> Vec<u8> {
    [b"step".as_slice(), &anchor, &head].concat()
}

impl EpochProver for &Scripted {
    fn anchor_number(&self) -> u32 {
        Fixture::anchor_number()
    }

    fn step(
        &self,
        epoch: Epoch<'_>,
        link: Option<&StoredProof>,
        tell: &mut dyn FnMut(String),
    ) -> Result<StoredProof, ProverError> {
        let number = epoch.next.block_number();
        self.called(number, false)?;
        assert_eq!(epoch.anchor.block_number(), 328);
        assert_eq!(epoch.previous.block_number() + 128, number);
        // It builds on the proof of the block before, except for the first one.
        match link {
            None => assert_eq!(epoch.previous, epoch.anchor),
            Some(link) => {
                assert_eq!(link.block_number, epoch.previous.block_number());
                assert_eq!(link.wrapper.as_deref(), Some(b"wrapper".as_slice()));
            }
        }
        tell("scripting".into());
        let (anchor, head) = (epoch.anchor.hash_blake2s().0, epoch.next.hash_blake2s().0);
        Ok(StoredProof {
            block_number: number,
            anchor,
            head,
            step: step_bytes(anchor, head),
            wrapper: None,
        })
    }

    fn wrap(
        &self,
        step: &StoredProof,
        _tell: &mut dyn FnMut(String),
    ) -> Result<Vec<u8>, ProverError> {
        self.called(step.block_number, true)?;
        Ok(b"wrapper".to_vec())
    }

    fn accepts(&self, proof: &StoredProof) -> bool {
        proof.step == step_bytes(proof.anchor, proof.head)
    }
}

fn prove(store: &Path, dies_at: Option<usize>) -> (Result<(), ProveError>, Vec<(u32, bool)>) {
    let prover = Scripted {
        dies_at,
        ..Scripted::default()
    };
    let elections = Elections::of(elections()).unwrap();
    let result = Proving::new(&prover, ProofStore::new(store), elections).catch_up(&mut |_| {});
    (result, prover.calls.into_inner().unwrap())
}

fn files(store: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "link"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn it_goes_on_from_wherever_it_was_killed_and_does_nothing_twice() {
    let undisturbed = tempfile::tempdir().unwrap();
    let (result, all) = prove(undisturbed.path(), None);
    result.unwrap();
    let expected: Vec<_> = [456, 584, 712, 840, 968]
        .into_iter()
        .flat_map(|number| [(number, false), (number, true)])
        .collect();
    assert_eq!(all, expected);
    let complete = files(undisturbed.path());
    assert_eq!(complete.len(), 5);

    for dies_at in 0..all.len() {
        let store = tempfile::tempdir().unwrap();
        let (result, done) = prove(store.path(), Some(dies_at));
        assert!(matches!(result, Err(ProveError::Prover { .. })));
        assert_eq!(done, all[..=dies_at]);
        let (result, rest) = prove(store.path(), None);
        result.unwrap();
        assert_eq!(rest, all[dies_at..], "killed in call {dies_at}");
        assert_eq!(files(store.path()), complete);
        // Nothing is left to do.
        assert_eq!(prove(store.path(), None).1, []);
    }
}

#[test]
fn what_a_kill_leaves_of_a_file_harms_nobody() {
    let whole = tempfile::tempdir().unwrap();
    let (result, all) = prove(whole.path(), None);
    result.unwrap();
    let complete = files(whole.path());

    // The last file at any stage of being written: not there, with part of its content, with all of
    // it under its first name.
    let (last, content) = complete.last_key_value().unwrap();
    for length in (0..content.len()).step_by(7) {
        let store = tempfile::tempdir().unwrap();
        for (name, content) in complete.iter().filter(|(name, _)| *name != last) {
            std::fs::write(store.path().join(name), content).unwrap();
        }
        let unnamed = store.path().join(last).with_extension("tmp");
        std::fs::write(unnamed, &content[..length]).unwrap();
        if length % 2 == 0 {
            // Or a disk that lost what it had confirmed.
            std::fs::write(store.path().join(last), &content[..length]).unwrap();
        }
        let (result, done) = prove(store.path(), None);
        result.unwrap();
        assert_eq!(done, all[8..]);
        assert_eq!(files(store.path()), complete);
    }
}

#[test]
fn proofs_of_another_chain_or_that_nobody_accepts_are_not_built_on() {
    let store = tempfile::tempdir().unwrap();
    let (result, all) = prove(store.path(), None);
    result.unwrap();
    let complete = files(store.path());
    let proofs = ProofStore::new(store.path());
    let last = proofs.load().unwrap().into_values().next_back().unwrap();
    let bad = [
        StoredProof {
            head: [1; 32],
            step: step_bytes(last.anchor, [1; 32]),
            ..last.clone()
        },
        StoredProof {
            anchor: [1; 32],
            step: step_bytes([1; 32], last.head),
            ..last.clone()
        },
        StoredProof {
            step: b"other".to_vec(),
            ..last.clone()
        },
    ];
    for bad in bad {
        proofs.put(&bad).unwrap();
        let (result, done) = prove(store.path(), None);
        result.unwrap();
        assert_eq!(done, all[8..]);
        assert_eq!(files(store.path()), complete);
    }
    // One without the file it was built on is as good.
    for (name, _) in complete.iter().take(4) {
        std::fs::remove_file(store.path().join(name)).unwrap();
    }
    assert_eq!(prove(store.path(), None).1, []);
}

#[test]
fn only_one_process_adds_proofs() {
    let folder = tempfile::tempdir().unwrap();
    let store = ProofStore::new(folder.path().join("new"));
    let lock = store.lock().unwrap();
    let second = ProofStore::new(store.directory());
    assert!(matches!(second.lock(), Err(StoreError::Locked(_))));
    drop(lock);
    second.lock().unwrap();
}

#[test]
fn only_blocks_that_were_elected_and_signed_are_proven() {
    let blocks = elections();
    let next = |change: fn(&mut MacroBlock)| {
        let known = Elections::of(blocks[..3].to_vec()).unwrap();
        let mut block = blocks[3].clone();
        change(&mut block);
        let result = known.append(block);
        assert_eq!(known.last(), Some(if result.is_ok() { 584 } else { 456 }));
        result
    };
    assert_eq!(next(|_| {}), Ok(()));
    assert_eq!(
        next(|block| block.header.block_number += 128),
        Err(ElectionError::NotNext)
    );
    assert_eq!(
        next(|block| block.header.parent_election_hash = Default::default()),
        Err(ElectionError::OtherChain)
    );
    assert_eq!(
        next(|block| block.header.validators = None),
        Err(ElectionError::NoValidators)
    );
    assert_eq!(
        next(|block| block.header.timestamp += 1),
        Err(ElectionError::Votes)
    );
    assert_eq!(
        next(|block| block.justification = None),
        Err(ElectionError::Votes)
    );
    let other_genesis = {
        let mut genesis = blocks[0].clone();
        genesis.header.timestamp += 1;
        genesis.header.cached_hash = None;
        Elections::of([genesis])
    };
    assert_eq!(other_genesis.unwrap_err(), ElectionError::OtherChain);
}

#[test]
fn what_is_to_do_follows_from_the_blocks_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let prover = Scripted::default();
    let blocks = elections();
    let known = Elections::of(blocks[..2].to_vec()).unwrap();
    let proving = Proving::new(&prover, ProofStore::new(folder.path()), known.clone());
    // The anchor needs no proof.
    assert_eq!(proving.next().unwrap(), None);
    known.append(blocks[2].clone()).unwrap();
    let task = proving.next().unwrap().unwrap();
    let expected = Task::Step {
        number: 456,
        link: None,
    };
    assert_eq!(task, expected);
    let mut told = Vec::new();
    proving.perform(task, &mut |what| told.push(what)).unwrap();
    assert!(matches!(
        told.as_slice(),
        [
            Progress::Begun {
                number: 456,
                of: 456
            },
            Progress::Stage(_),
            Progress::Proven { number: 456, .. }
        ]
    ));
    assert!(matches!(proving.next().unwrap(), Some(Task::Wrap(_))));
}

fn request(block_number: u32, request_election_block: bool) -> RequestZKP {
    RequestZKP {
        block_number,
        request_election_block,
    }
}

#[test]
fn answers_are_those_of_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let store = ProofStore::new(folder.path());
    let blocks = elections();
    let known = Elections::of(blocks[..5].to_vec()).unwrap();
    let ask = |number, block| answer(&request(number, block), &store, &known);
    // Without a proof.
    assert_eq!(ask(0, true), ZkpResponse::Outdated(200));

    prove(folder.path(), None).0.unwrap();
    let store = ProofStore::new(folder.path());
    let ask = |number, block| answer(&request(number, block), &store, &known);
    // The one of block 968 is of no use to who has no such block yet.
    let ZkpResponse::Proof(proof, Some(block)) = ask(711, true) else {
        panic!("no proof");
    };
    assert_eq!(proof.block_number, 712_u32.to_be_bytes());
    assert_eq!(block, blocks[4]);
    assert!(block.justification.is_some() && block.body.is_none());
    let anchor = blocks[1].hash_blake2s().0;
    let expected = step_bytes(anchor, block.hash_blake2s().0);
    assert_eq!(proof.proof, Some(expected));
    assert!(matches!(ask(0, false), ZkpResponse::Proof(_, None)));
    assert_eq!(ask(712, true), ZkpResponse::Outdated(712));
    assert_eq!(ask(u32::MAX, true), ZkpResponse::Outdated(712));

    // Bytes are as the client's own types have them, and as they always were.
    let ours = ask(0, true).serialize_to_vec();
    assert_eq!(ours[..7], [0, 0, 0, 0x02, 0xc8, 1, 68]);
    let theirs: client::ZkpResponse = Deserialize::deserialize_from_vec(&ours).unwrap();
    assert!(matches!(&theirs, client::ZkpResponse::Proof(p, Some(_)) if p.block_number == 712));
    assert_eq!(theirs.serialize_to_vec(), ours);
    let outdated = ask(712, true).serialize_to_vec();
    assert_eq!(outdated, [1, 0xc8, 0x05]);
    let asked = client::RequestZKP {
        block_number: 712,
        request_election_block: true,
    };
    assert_eq!(
        asked.serialize_to_vec(),
        request(712, true).serialize_to_vec()
    );
    assert_eq!(client::RequestZKP::TYPE_ID, RequestZKP::TYPE_ID);
}

#[test]
fn a_store_shows_what_is_added_while_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = ProofStore::new(folder.path());
    let known = Elections::of(elections()).unwrap();
    assert!(store.latest(&known, u32::MAX).is_none());
    prove(folder.path(), None).0.unwrap();
    // The prover is another process: nothing tells the store, so it looks from time to time.
    let began = std::time::Instant::now();
    while store.latest(&known, u32::MAX).is_none() {
        assert!(began.elapsed().as_secs() < 10, "nothing is seen");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_serve_proofs_over_the_network_and_know_of_none_without() {
    let truth = chain_data();
    let simulated = Arc::new(SimulatedProofs::new(1));
    let config = NodeConfig {
        proofs: Some(Arc::<SimulatedProofs>::clone(&simulated)),
        ..NodeConfig::follower(vec![])
    };
    let node = Node::start(config, truth.clone()).await.unwrap();
    let response = ask(&node, request(200, true)).await.unwrap();
    let ZkpResponse::Proof(ZKProof { proof, .. }, Some(block)) = response else {
        panic!("{response:?}");
    };
    let statement = pico_zkp::Statement {
        anchor: elections()[1].hash_blake2s().0,
        head: block.hash_blake2s().0,
    };
    let key = pico_zkp::VerifyingKey::from_bytes(&simulated.verifying_key()).unwrap();
    assert_eq!((key.network(), key.anchor_number()), (7, 328));
    key.prepare()
        .unwrap()
        .verify(&statement, &proof.unwrap())
        .unwrap();
    let later = ask(&node, request(968, false)).await.unwrap();
    assert_eq!(later, ZkpResponse::Outdated(968));
    node.stop().await;

    let node = Node::start(NodeConfig::follower(vec![]), truth)
        .await
        .unwrap();
    let response = ask(&node, request(200, true)).await;
    assert!(
        matches!(
            response,
            Err(RequestError::InboundRequest(
                InboundRequestError::NoReceiver
            ))
        ),
        "{response:?}"
    );
    node.stop().await;
}

/// Asks a node over a connection. It stays with those only that follow its chain.
async fn ask(node: &Node, request: RequestZKP) -> Result<ZkpResponse, RequestError> {
    let known = Elections::genesis().unwrap();
    let follower = Follower::new(node.address().clone(), known).unwrap();
    within(30, "following", follower.update()).await.unwrap();
    let response = follower.network().request(request, node.peer_id());
    within(15, "answering", response).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_a_node_and_serves_what_it_proves() {
    let node = Node::start(NodeConfig::follower(vec![]), chain_data())
        .await
        .unwrap();
    let known = Elections::genesis().unwrap();
    let follower = Follower::new(node.address().clone(), known.clone()).unwrap();
    let added = within(30, "following", follower.update()).await.unwrap();
    assert_eq!(added, 6);
    assert_eq!(known.tip().unwrap(), elections()[6]);
    // There is nothing more.
    assert_eq!(follower.update().await.unwrap(), 0);

    let folder = tempfile::tempdir().unwrap();
    prove(folder.path(), None).0.unwrap();
    let listening = "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap();
    let address = follower.network().listen_on(listening).await.unwrap();
    let store = Arc::new(ProofStore::new(folder.path()));
    serve(follower.network(), store, Arc::new(known));
    let prober = Prober::connect(&address).await;
    let response = prober.network.request(request(200, true), prober.peer);
    let response = within(10, "answering", response).await.unwrap();
    assert!(matches!(response, ZkpResponse::Proof(_, Some(_))));

    node.stop().await;
    let error = within(40, "failing", follower.update()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_follow_a_liar() {
    for lie in [Lie::ConflictingElection, Lie::TooFewSigners, Lie::WrongHash] {
        let config = LiarConfig::new(lie.clone(), vec![]);
        let liar = Liar::start(config, chain_data()).await.unwrap();
        let known = Elections::genesis().unwrap();
        let follower = Follower::new(liar.address().clone(), known.clone()).unwrap();
        let error = within(30, "following", follower.update()).await;
        assert!(error.is_err(), "{lie}");
        assert!(known.last().unwrap() < 968, "{lie}");
        liar.stop().await;
    }
}

/// What each lie about proofs says, and that all but that is honest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_about_proofs_are_what_their_names_say() {
    let blocks = elections();
    let last = &blocks[6];
    let source: Arc<dyn ProofSource> = Arc::new(SimulatedProofs::new(3));
    let known = Elections::of(blocks.clone()).unwrap();
    let honest = source.latest(&known, u32::MAX).unwrap();
    let key = SimulatedProofs::new(3).verifying_key();
    let key = pico_zkp::VerifyingKey::from_bytes(&key).unwrap();
    let key = key.prepare().unwrap();
    let verify = |proof: &[u8], head: &MacroBlock| {
        let statement = pico_zkp::Statement {
            anchor: blocks[1].hash_blake2s().0,
            head: head.hash_blake2s().0,
        };
        key.verify(&statement, proof)
    };

    for &(lie, name) in ProofLie::ALL {
        for conflicting in [false, true] {
            let lie = Lie::Proof { lie, conflicting };
            let config = LiarConfig {
                proofs: Some(Arc::clone(&source)),
                ..LiarConfig::new(lie.clone(), vec![])
            };
            let liar = Liar::start(config, chain_data()).await.unwrap();
            assert_eq!(*liar.lie(), lie);
            assert_eq!(liar.claims().1 != last.hash(), conflicting, "{lie}");
            if conflicting && name != "forged-proof-block" {
                liar.stop().await;
                continue;
            }
            let prober = Prober::connect(liar.address()).await;
            let response = prober.network.request(request(328, true), prober.peer);
            let response = within(15, name, response).await;
            let Ok(response) = response else {
                assert!(
                    name == "garbage-proof" || name == "no-proof-answer",
                    "{lie}"
                );
                liar.stop().await;
                continue;
            };
            let (proof, block) = match response {
                ZkpResponse::Proof(proof, block) => (proof, block),
                ZkpResponse::Outdated(number) => {
                    assert_eq!((name, number), ("outdated-proof", 968));
                    liar.stop().await;
                    continue;
                }
            };
            let number = u32::from_be_bytes(proof.block_number);
            let is_last = block.as_ref() == Some(last);
            match (name, proof.proof) {
                ("bad-proof", Some(proof)) => {
                    assert!(is_last && proof.len() == honest.proof.len());
                    assert_eq!(verify(&proof, last), Err(pico_zkp::ProofError::Invalid));
                }
                ("broken-proof", Some(proof)) => {
                    assert!(is_last);
                    let error = verify(&proof, last).unwrap_err();
                    assert_ne!(error, pico_zkp::ProofError::Invalid);
                }
                ("other-proof", Some(proof)) => {
                    assert!(is_last);
                    verify(&proof, last).unwrap_err();
                    verify(&proof, &blocks[5]).unwrap();
                }
                ("forged-proof-block", Some(proof)) => {
                    assert_eq!(proof, honest.proof);
                    let block = block.unwrap();
                    assert_ne!(block.hash(), last.hash());
                    assert_eq!(liar.claims().1 == block.hash(), conflicting);
                }
                ("other-proof-block", Some(proof)) => {
                    assert_eq!(
                        (block.as_ref(), proof),
                        (Some(&blocks[5]), honest.proof.clone())
                    );
                }
                ("no-proof-block", Some(proof)) => {
                    assert_eq!((block, proof), (None, honest.proof.clone()));
                }
                ("oversized-proof", Some(proof)) => {
                    assert!(is_last && proof.len() > client::MAX_PROOF_SIZE);
                }
                ("empty-proof", None) => assert!(is_last),
                ("old-proof", Some(proof)) => {
                    assert_eq!((number, block.as_ref()), (840, Some(&blocks[5])));
                    verify(&proof, &blocks[5]).unwrap();
                }
                ("future-proof", Some(proof)) => {
                    assert!(is_last && number > 10_000);
                    assert_eq!(proof, honest.proof);
                }
                other => panic!("{other:?}"),
            }
            if !["old-proof", "future-proof"].contains(&name) {
                assert_eq!(number, 968, "{lie}");
            }
            liar.stop().await;
        }
    }
}
