//! Proofs of blocks that are none: whoever sends one is banned, and the block still comes from
//! somebody who is honest.

use std::sync::Arc;

use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::request::RequestCommon;
use nimiq_primitives::{networks::NetworkId, policy::Policy};
use nimiq_serde::{Deserialize, Serialize};
use parking_lot::Mutex;
use pico_node::chain::ScriptedChain;
use pico_sync::{
    messages::{BlockError, BlocksProofError, RequestBlocksProof, ResponseBlocksProof},
    query::BlockId,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::{
    blocks::young_world,
    support::{
        blocks::{BATCH, election},
        network::PeerId,
        peer::{Question, Reply},
    },
    world::{EPOCHS, World, blockchain, damaged},
};

/// The election block that all lies are about. Two others lead from the latest one to it.
const TARGET: u32 = election(1);

type Proof = Result<ResponseBlocksProof, BlocksProofError>;

/// What a lie can be made of: the real blocks.
struct Material {
    blocks: Vec<Block>,
    /// Those of a chain that went another way after its second election block.
    fork: Vec<MacroBlock>,
}

impl Material {
    fn of(chain: &ScriptedChain) -> Self {
        let mut fork = chain.fork_at(election(2) - 3).unwrap();
        fork.extend_epochs(3).unwrap();
        let elections = |chain: &ScriptedChain| {
            (2..=4)
                .map(|epoch| macro_at(chain, election(epoch)))
                .collect()
        };
        Self {
            blocks: chain.light_blocks().unwrap(),
            fork: elections(&fork),
        }
    }

    fn at(&self, number: u32) -> MacroBlock {
        let mut blocks = self.blocks.iter();
        match blocks.find(|block| block.block_number() == number) {
            Some(Block::Macro(block)) => block.clone(),
            _ => panic!("no macro block {number}"),
        }
    }
}

fn macro_at(chain: &ScriptedChain, number: u32) -> MacroBlock {
    match chain.light_block_at(number).unwrap() {
        Block::Macro(block) => block,
        Block::Micro(_) => panic!("{number} is a micro block"),
    }
}

type Lie<T> = (&'static str, fn(&mut T, &Material));

const HOPS: &[Lie<Vec<MacroBlock>>] = &[
    ("backwards", |hops, _| hops.reverse()),
    ("the first twice", |hops, _| hops.insert(0, hops[0].clone())),
    ("the last twice", |hops, _| hops.push(hops[1].clone())),
    ("the first in place of the last", |hops, _| {
        hops[1] = hops[0].clone()
    }),
    ("the last in place of the first", |hops, _| {
        hops[0] = hops[1].clone()
    }),
    ("the target as well", |hops, material| {
        hops.push(material.at(TARGET))
    }),
    ("the head as well", |hops, material| {
        hops.insert(0, material.at(election(EPOCHS)))
    }),
    ("the target in place of a hop", |hops, material| {
        hops[1] = material.at(TARGET)
    }),
    ("the head in place of a hop", |hops, material| {
        hops[0] = material.at(election(EPOCHS))
    }),
    ("the head alone", |hops, material| {
        *hops = vec![material.at(election(EPOCHS))]
    }),
    ("another election block", |hops, material| {
        hops[0] = material.at(election(3))
    }),
    ("a checkpoint", |hops, material| {
        hops[1] = material.at(election(2) + BATCH)
    }),
    ("the genesis block", |hops, _| {
        if let Block::Macro(genesis) = pico_node::chain::genesis_block() {
            hops[1] = genesis;
        }
    }),
    ("the first of a fork", |hops, material| {
        hops[0] = material.fork[2].clone()
    }),
    ("the last of a fork", |hops, material| {
        hops[1] = material.fork[0].clone()
    }),
    ("all of a fork", |hops, material| {
        *hops = vec![material.fork[2].clone(), material.fork[0].clone()];
    }),
    ("no interlink in the first", |hops, _| {
        hops[0].header.interlink = None
    }),
    ("no interlink in the last", |hops, _| {
        hops[1].header.interlink = None
    }),
    ("an empty interlink", |hops, _| {
        hops[0].header.interlink = Some(Vec::new())
    }),
    ("an interlink that is too short", |hops, _| {
        hops[0].header.interlink.as_mut().unwrap().pop();
    }),
    ("an interlink that is too long", |hops, _| {
        let interlink = hops[0].header.interlink.as_mut().unwrap();
        interlink.push(Blake2bHash::default());
    }),
    ("an interlink that leads elsewhere", |hops, _| {
        hops[0].header.interlink.as_mut().unwrap()[0] = Blake2bHash::default();
    }),
    ("an interlink to the target", |hops, material| {
        let target = material.at(TARGET).hash();
        hops[0].header.interlink.as_mut().unwrap()[0] = target;
    }),
    ("another parent", |hops, _| {
        hops[1].header.parent_election_hash = Blake2bHash::default();
    }),
    ("the parent of another", |hops, _| {
        hops[1].header.parent_election_hash = hops[0].header.parent_election_hash.clone();
    }),
    ("another number", |hops, _| {
        hops[1].header.block_number += Policy::blocks_per_epoch()
    }),
    ("the number of a micro block", |hops, _| {
        hops[1].header.block_number += 1
    }),
    ("another time", |hops, _| hops[0].header.timestamp += 1),
    ("another round", |hops, _| hops[0].header.round += 1),
    ("another state", |hops, _| {
        hops[1].header.state_root = Blake2bHash::default()
    }),
    ("another history", |hops, _| {
        hops[1].header.history_root = Blake2bHash::default()
    }),
    ("other bytes", |hops, _| hops[1].header.extra_data.push(1)),
    ("another version", |hops, _| hops[1].header.version = 0),
    ("a version of the future", |hops, _| {
        hops[1].header.version = u16::MAX
    }),
    ("another network", |hops, _| {
        hops[1].header.network = NetworkId::MainAlbatross
    }),
    ("no validators", |hops, _| hops[1].header.validators = None),
    ("validators with a gap", |hops, _| {
        let validators = hops[1].header.validators.as_mut().unwrap();
        validators.validators[0].slots.start = 5;
    }),
    ("validators without slots", |hops, _| {
        let validators = hops[0].header.validators.as_mut().unwrap();
        validators.validators[0].slots = 7..7;
    }),
    ("no validator at all", |hops, _| {
        hops[0]
            .header
            .validators
            .as_mut()
            .unwrap()
            .validators
            .clear();
    }),
];

fn lie_about_hops(
    lie: fn(&mut Vec<MacroBlock>, &Material),
    material: Arc<Material>,
) -> impl Fn(&Question, Reply) -> Reply + Send + Sync {
    move |question, reply| {
        let (Some(_), Reply::Bytes(bytes)) = (question.is::<RequestBlocksProof>(), &reply) else {
            return reply;
        };
        let mut proof = Proof::deserialize_from_vec(bytes).unwrap().unwrap();
        assert_eq!(proof.proof.len(), 2);
        lie(&mut proof.proof, &material);
        Reply::Bytes(Proof::Ok(proof).serialize_to_vec())
    }
}

/// The latency of honest nodes is made known, so that a liar comes first.
async fn world() -> World {
    let world = young_world().await;
    world.get_to_know().await;
    world
}

async fn assert_found(world: &World, number: u32, name: &str) {
    let found = world.queries.block(BlockId::Number(number)).await;
    let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected = world.chain.light_block_at(number).unwrap();
    assert_eq!(found.hash(), expected.hash(), "{name}");
}

#[tokio::test(start_paused = true)]
async fn every_false_hop_is_found_out() {
    let material = Arc::new(Material::of(&blockchain()));
    assert!(HOPS.len() >= 20);
    for (name, lie) in HOPS {
        let mut world = world().await;
        let liar = world.add_liar(lie_about_hops(*lie, material.clone())).await;
        assert_found(&world, TARGET, name).await;
        assert_eq!(world.network.requests_to(liar, "blocks-proof"), 1, "{name}");
        assert!(
            world.network.is_banned(liar),
            "{name} was believed, or forgiven"
        );
        world.finish(&[liar]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lacks_hops_is_passed_over() {
    // That is what a node does that began at a pinned election block.
    let lacks: [fn(&mut Vec<MacroBlock>, &Material); 3] = [
        |hops, _| {
            hops.remove(0);
        },
        |hops, _| {
            hops.pop();
        },
        |hops, _| hops.clear(),
    ];
    for lack in lacks {
        let mut world = world().await;
        let material = Material {
            blocks: Vec::new(),
            fork: Vec::new(),
        };
        let other = world
            .add_liar(lie_about_hops(lack, Arc::new(material)))
            .await;
        assert_found(&world, TARGET, "hops are missing").await;
        assert_eq!(world.network.requests_to(other, "blocks-proof"), 1);
        world.finish(&[]).await;
    }
}

const SINGLE: &[Lie<Block>] = &[
    ("another election block", |block, material| {
        *block = Block::Macro(material.at(election(3)));
    }),
    ("a micro block", |block, material| {
        *block = material.blocks[0].clone()
    }),
    ("another time", |block, _| header(block).timestamp += 1),
    ("another number", |block, _| {
        header(block).block_number += Policy::blocks_per_epoch()
    }),
    ("another state", |block, _| {
        header(block).state_root = Blake2bHash::default()
    }),
    ("no validators", |block, _| header(block).validators = None),
    ("validators with a gap", |block, _| {
        header(block).validators.as_mut().unwrap().validators[0]
            .slots
            .end = 9;
    }),
    ("no interlink", |block, _| header(block).interlink = None),
];

fn header(block: &mut Block) -> &mut nimiq_block::MacroHeader {
    match block {
        Block::Macro(block) => &mut block.header,
        Block::Micro(_) => panic!("a micro block"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_not_asked_for_is_not_taken() {
    let material = Arc::new(Material::of(&blockchain()));
    let target = material.at(TARGET).hash();
    for (name, lie) in SINGLE {
        let mut world = world().await;
        let (material, target, lie) = (material.clone(), target.clone(), *lie);
        let liar = world
            .add_liar(move |question, mut reply| {
                if let (Question::Block(request), Reply::Block(Ok(block))) = (question, &mut reply)
                    && request.hash == target
                {
                    lie(block, &material);
                }
                reply
            })
            .await;
        assert_found(&world, TARGET, name).await;
        assert!(world.network.is_banned(liar), "{name}");
        world.finish(&[liar]).await;
    }
    // One that says it has none has not lied.
    let mut world = world().await;
    world
        .add_liar(move |question, reply| match question {
            Question::Block(request) if request.hash == target => {
                Reply::Block(Err(BlockError::TargetHashNotFound))
            }
            _ => reply,
        })
        .await;
    assert_found(&world, TARGET, "it has none").await;
    world.finish(&[]).await;
}

/// A block that takes a walk of two batches.
const WALKED: u32 = election(EPOCHS) - BATCH - 7;

const RUNS: &[Lie<Vec<Block>>] = &[
    ("nothing", |run, _| run.clear()),
    ("without the last", |run, _| {
        run.pop();
    }),
    ("without the macro block", |run, _| {
        run.remove(0);
    }),
    ("with a gap", |run, _| {
        run.remove(9);
    }),
    ("backwards", |run, _| run.reverse()),
    ("the last alone", |run, _| {
        run.drain(..run.len() - 1);
    }),
    ("the macro block alone", |run, _| run.truncate(1)),
    ("one twice", |run, _| run.insert(5, run[5].clone())),
    ("two the other way round", |run, _| run.swap(4, 5)),
    ("another time", |run, _| micro(&mut run[7]).timestamp += 1),
    ("another number", |run, _| {
        micro(&mut run[7]).block_number += 1
    }),
    ("another parent", |run, _| {
        micro(&mut run[7]).parent_hash = Blake2bHash::default()
    }),
    ("another state", |run, _| {
        micro(&mut run[7]).state_root = Blake2bHash::default()
    }),
    ("another time of the macro block", |run, _| {
        header(&mut run[0]).timestamp += 1
    }),
    ("another number of the macro block", |run, _| {
        header(&mut run[0]).block_number -= 1
    }),
    ("validators in a checkpoint", |run, material| {
        header(&mut run[0]).validators = material.at(TARGET).header.validators;
    }),
    ("malformed validators in a checkpoint", |run, material| {
        let mut validators = material.at(TARGET).header.validators;
        validators.as_mut().unwrap().validators[0].slots.start = 3;
        header(&mut run[0]).validators = validators;
    }),
    ("a macro block in the middle", |run, material| {
        run[6] = Block::Macro(material.at(TARGET));
    }),
    ("those of another batch", |run, material| {
        *run = material.blocks[..run.len()].to_vec();
    }),
    ("more than a batch", |run, material| {
        let first = run[0].block_number();
        let mut longer: Vec<_> = material.blocks.clone();
        longer.retain(|block| block.block_number() + 40 > first && block.block_number() < first);
        longer.append(run);
        *run = longer;
    }),
    ("one before the macro block", |run, material| {
        let first = run[0].block_number();
        let mut blocks = material.blocks.iter();
        let before = blocks.find(|block| block.block_number() + 1 == first);
        run.insert(0, before.unwrap().clone());
    }),
];

fn micro(block: &mut Block) -> &mut nimiq_block::MicroHeader {
    match block {
        Block::Micro(block) => &mut block.header,
        Block::Macro(_) => panic!("a macro block"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_false_run_of_blocks_is_found_out() {
    let material = Arc::new(Material::of(&blockchain()));
    let mut world = world().await;
    assert!(RUNS.len() >= 20);
    let mut liars = Vec::new();
    for (i, (name, lie)) in RUNS.iter().enumerate() {
        if i % 4 == 0 {
            world.grow().await;
        }
        let (material, lie) = (material.clone(), *lie);
        let liar = world
            .add_liar(move |question, mut reply| {
                if let (Question::Missing(_), Reply::Missing(Ok(answer))) = (question, &mut reply) {
                    lie(&mut answer.blocks, &material);
                }
                reply
            })
            .await;
        // Each block once, so that nothing is remembered.
        assert_found(&world, WALKED - i as u32 % 8, name).await;
        assert_eq!(world.network.requests_to(liar, "missing"), 1, "{name}");
        assert!(world.network.is_banned(liar), "{name}");
        liars.push(liar);
    }
    world.finish(&liars).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_of_any_kind_do_no_harm() {
    let mut world = world().await;
    let rng = Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(216)));
    let mut banned: Vec<PeerId> = Vec::new();
    let mut asked = 0;
    for i in 0..300 {
        if i % 4 == 0 {
            world.grow().await;
        }
        // What is proven once is not asked for again: these are the runs of blocks, and, the first
        // few times, the hops.
        let number = match i {
            0..3 => election(1 + i),
            _ => WALKED - i % 20,
        };
        let rng = rng.clone();
        let other = world
            .add_liar(move |question, reply| match (question, &reply) {
                (Question::Other(RequestBlocksProof::TYPE_ID, _), Reply::Bytes(bytes)) => {
                    Reply::Bytes(damaged(bytes.clone(), &mut *rng.lock()))
                }
                (Question::Missing(_), _) => {
                    Reply::Bytes(damaged(reply.to_bytes(), &mut *rng.lock()))
                }
                _ => reply,
            })
            .await;
        assert_found(&world, number, "damaged").await;
        asked += world.network.requests_to(other, "missing");
        if world.network.is_banned(other) {
            banned.push(other);
        }
        world.network.leave(other);
        world.engine.catch_up().await;
    }
    assert!(
        asked > 200 && banned.len() > 20,
        "{asked}, {}",
        banned.len()
    );
    world.finish(&banned).await;
}
