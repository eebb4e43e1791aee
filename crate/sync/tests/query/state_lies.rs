//! Proofs of state that are none: whoever sends one is banned, and the answer still comes from
//! somebody who is honest.

use std::{collections::BTreeMap, sync::Arc};

use nimiq_account::Account;
use nimiq_blockchain::Blockchain;
use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::request::RequestCommon;
use nimiq_primitives::{key_nibbles::KeyNibbles, policy::Policy, trie::trie_node::TrieNodeChild};
use nimiq_serde::{Deserialize, Serialize};
use parking_lot::{Mutex, RwLock};
use pico_node::chain::{ChainData, Payer};
use pico_sync::messages::{RequestTrieProof, TrieProofError};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::{
    support::peer::{Question, Reply},
    world::{ACCOUNTS, World, address, coin, damaged, paid},
};

/// A proof with nothing hidden, encoded like the real one.
#[derive(Clone, Deserialize, Serialize)]
struct Proof {
    nodes: Vec<Node>,
    missing: BTreeMap<KeyNibbles, KeyNibbles>,
    block_hash: Blake2bHash,
}

#[derive(Clone, Deserialize, Serialize)]
struct Node {
    key: KeyNibbles,
    value: Value,
    children: [Option<TrieNodeChild>; 16],
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum Value {
    None,
    Leaf(Vec<u8>),
    HybridHash(Blake2bHash),
    Hybrid(Vec<u8>),
}

type Answer = Result<Proof, TrieProofError>;

/// One that exists, one that does not, and one whose node has children as well as a value.
fn asked() -> [Address; 3] {
    [present(), absent(), Policy::STAKING_CONTRACT_ADDRESS]
}

fn present() -> Address {
    address(20)
}

fn absent() -> Address {
    address(ACCOUNTS + 3)
}

fn key(address: &Address) -> KeyNibbles {
    KeyNibbles::from(address)
}

/// What a lie can be made of.
struct Material {
    /// The state of another time, with another balance in it.
    old: ChainData,
    new: Arc<RwLock<Blockchain>>,
    parent: Blake2bHash,
}

impl Material {
    fn proof_of(blockchain: &Arc<RwLock<Blockchain>>, addresses: &[Address]) -> Proof {
        let keys = addresses.iter().map(key).collect();
        let request = RequestTrieProof { keys }.serialize_to_vec();
        let bytes = pico_node::chain::answer(blockchain, 215, &request).unwrap();
        Answer::deserialize_from_vec(&bytes).unwrap().unwrap()
    }
}

impl Proof {
    fn position(&self, address: &Address) -> usize {
        let key = key(address);
        self.nodes.iter().position(|node| node.key == key).unwrap()
    }

    /// The node above another one.
    fn parent_of(&self, i: usize) -> usize {
        let key = &self.nodes[i].key;
        let above = |node: &Node| node.key.is_prefix_of(key) && node.key != *key;
        i + self.nodes[i..].iter().position(above).unwrap()
    }

    /// The node in the proof that shows that nothing is at the absent address.
    fn witness(&self) -> usize {
        let witness = self.missing.get(&key(&absent())).unwrap();
        self.nodes
            .iter()
            .position(|node| node.key == *witness)
            .unwrap()
    }

    fn root(&mut self) -> &mut Node {
        self.nodes.last_mut().unwrap()
    }

    /// The entry of a node for the way to a key.
    fn child(&mut self, i: usize, key: &KeyNibbles) -> &mut Option<TrieNodeChild> {
        let slot = key.get(self.nodes[i].key.len()).unwrap();
        &mut self.nodes[i].children[slot]
    }
}

fn account(balance: u64) -> Vec<u8> {
    Account::Basic(nimiq_account::BasicAccount {
        balance: coin(balance),
    })
    .serialize_to_vec()
}

type Lie = fn(&mut Proof, &Material);

const LIES: &[(&str, Lie)] = &[
    ("another balance", |proof, _| {
        let i = proof.position(&present());
        proof.nodes[i].value = Value::Leaf(account(paid(20) + 7));
    }),
    ("bytes after the balance", |proof, _| {
        let i = proof.position(&present());
        if let Value::Leaf(bytes) = &mut proof.nodes[i].value {
            bytes.push(0);
        }
    }),
    ("no value", |proof, _| {
        let i = proof.position(&present());
        proof.nodes[i].value = Value::None;
    }),
    ("the hash of a value", |proof, _| {
        let i = proof.position(&present());
        proof.nodes[i].value = Value::HybridHash(Blake2bHash::default());
    }),
    (
        "a leaf's value as that of a node with children",
        |proof, _| {
            let i = proof.position(&present());
            if let Value::Leaf(bytes) = proof.nodes[i].value.clone() {
                proof.nodes[i].value = Value::Hybrid(bytes);
            }
        },
    ),
    ("the value of somebody else", |proof, material| {
        let other = Material::proof_of(&material.new, &[address(21)]);
        let i = proof.position(&present());
        proof.nodes[i].value = other.nodes[other.position(&address(21))].value.clone();
    }),
    ("the leaf of somebody else", |proof, material| {
        let other = Material::proof_of(&material.new, &[address(21)]);
        let i = proof.position(&present());
        proof.nodes[i] = other.nodes[other.position(&address(21))].clone();
    }),
    (
        "the leaf of somebody else under this key",
        |proof, material| {
            let other = Material::proof_of(&material.new, &[address(21)]);
            let i = proof.position(&present());
            proof.nodes[i] = other.nodes[other.position(&address(21))].clone();
            proof.nodes[i].key = key(&present());
        },
    ),
    ("a proof of somebody else", |proof, material| {
        let addresses = [address(21), absent(), Policy::STAKING_CONTRACT_ADDRESS];
        *proof = Material::proof_of(&material.new, &addresses);
    }),
    ("a proof of more than was asked for", |proof, material| {
        let more = [asked().as_slice(), &[address(21)]].concat();
        *proof = Material::proof_of(&material.new, &more);
    }),
    ("a proof of less than was asked for", |proof, material| {
        *proof = Material::proof_of(&material.new, &asked()[..2]);
    }),
    ("the leaf is missing", |proof, _| {
        let i = proof.position(&present());
        proof.nodes.remove(i);
    }),
    ("absent, says the root", |proof, _| {
        let i = proof.position(&present());
        proof.nodes.remove(i);
        proof.missing.insert(key(&present()), KeyNibbles::ROOT);
    }),
    ("absent, says the node above", |proof, _| {
        let i = proof.position(&present());
        let parent = proof.nodes[proof.parent_of(i)].key.clone();
        proof.nodes.remove(i);
        proof.missing.insert(key(&present()), parent);
    }),
    ("absent, and taken out of the node above", |proof, _| {
        let i = proof.position(&present());
        let parent = proof.parent_of(i);
        *proof.child(parent, &key(&present())) = None;
        let parent = proof.nodes[parent].key.clone();
        proof.nodes.remove(i);
        proof.missing.insert(key(&present()), parent);
    }),
    ("absent, says the leaf of somebody else", |proof, _| {
        let i = proof.position(&present());
        proof.nodes.remove(i);
        let contract = key(&Policy::STAKING_CONTRACT_ADDRESS);
        proof.missing.insert(key(&present()), contract);
    }),
    ("no word of where the absent one would be", |proof, _| {
        proof.missing.clear();
    }),
    ("the absent one would be below a leaf", |proof, _| {
        proof.missing.insert(key(&absent()), key(&present()));
    }),
    (
        "the absent one would be below a node that is not there",
        |proof, _| {
            let nowhere = "0123456789".parse().unwrap();
            proof.missing.insert(key(&absent()), nowhere);
        },
    ),
    ("the absent one is present", |proof, _| {
        let witness = proof.witness();
        proof.missing.clear();
        let leaf = Node {
            key: key(&absent()),
            value: Value::Leaf(account(1)),
            children: [const { None }; 16],
        };
        proof.nodes.insert(witness, leaf);
    }),
    (
        "the absent one is present and in the node above",
        |proof, _| {
            let witness = proof.witness();
            let start = proof.nodes[witness].key.len();
            proof.missing.clear();
            let suffix = key(&absent()).slice(start, 40);
            let hash = Blake2bHash::default();
            *proof.child(witness, &key(&absent())) = Some(TrieNodeChild { suffix, hash });
            let leaf = Node {
                key: key(&absent()),
                value: Value::Leaf(account(1)),
                children: [const { None }; 16],
            };
            proof.nodes.insert(witness, leaf);
        },
    ),
    ("no nodes", |proof, _| proof.nodes.clear()),
    ("the root alone", |proof, _| {
        let last = proof.nodes.len() - 1;
        proof.nodes.drain(..last);
    }),
    ("no root", |proof, _| {
        proof.nodes.pop();
    }),
    ("two roots", |proof, _| {
        let root = proof.root().clone();
        proof.nodes.push(root);
    }),
    ("the leaf twice", |proof, _| {
        let i = proof.position(&present());
        proof.nodes.insert(i, proof.nodes[i].clone());
    }),
    ("a branch twice", |proof, _| {
        let i = proof.parent_of(proof.position(&present()));
        proof.nodes.insert(i, proof.nodes[i].clone());
    }),
    ("backwards", |proof, _| proof.nodes.reverse()),
    ("a leaf after the node above it", |proof, _| {
        let i = proof.position(&present());
        let parent = proof.parent_of(i);
        let leaf = proof.nodes.remove(i);
        proof.nodes.insert(parent, leaf);
    }),
    ("the root first", |proof, _| proof.nodes.rotate_right(1)),
    ("the leaf under another key", |proof, _| {
        let i = proof.position(&present());
        proof.nodes[i].key = key(&address(21));
    }),
    ("a branch under a longer key", |proof, _| {
        let i = proof.position(&present());
        let parent = proof.parent_of(i);
        proof.nodes[parent].key = proof.nodes[parent].key.successor();
    }),
    ("a root that has a key", |proof, _| {
        proof.root().key = KeyNibbles::ROOT.successor();
    }),
    ("another hash in the node above", |proof, _| {
        let parent = proof.parent_of(proof.position(&present()));
        let child = proof.child(parent, &key(&present()));
        child.as_mut().unwrap().hash = Blake2bHash::default();
    }),
    ("another hash in the root", |proof, _| {
        let root = proof.nodes.len() - 1;
        let child = proof.child(root, &key(&present()));
        child.as_mut().unwrap().hash = Blake2bHash::default();
    }),
    ("another suffix in the node above", |proof, _| {
        let parent = proof.parent_of(proof.position(&present()));
        let child = proof.child(parent, &key(&present())).as_mut().unwrap();
        child.suffix = child.suffix.successor();
    }),
    ("a suffix that makes a key too long", |proof, _| {
        let parent = proof.parent_of(proof.position(&present()));
        let child = proof.child(parent, &key(&present())).as_mut().unwrap();
        child.suffix = "a".repeat(126).parse().unwrap();
    }),
    ("a child in another place", |proof, _| {
        let parent = proof.parent_of(proof.position(&present()));
        proof.nodes[parent].children.rotate_left(1);
    }),
    ("one child less in the root", |proof, _| {
        let children = &mut proof.root().children;
        let other = children.iter_mut().rev().find(|child| child.is_some());
        *other.unwrap() = None;
    }),
    ("no children at all", |proof, _| {
        let parent = proof.parent_of(proof.position(&present()));
        proof.nodes[parent].children = [const { None }; 16];
    }),
    ("a root with a value", |proof, _| {
        proof.root().value = Value::Hybrid(account(1));
    }),
    ("the contract's value as a hash", |proof, _| {
        let i = proof.position(&Policy::STAKING_CONTRACT_ADDRESS);
        let Value::Hybrid(bytes) = &proof.nodes[i].value else {
            panic!("the contract has no entries");
        };
        let hash = nimiq_hash::Hash::hash(bytes);
        proof.nodes[i].value = Value::HybridHash(hash);
    }),
    ("another value of the contract", |proof, _| {
        let i = proof.position(&Policy::STAKING_CONTRACT_ADDRESS);
        proof.nodes[i].value = Value::Hybrid(account(5));
    }),
    ("the contract's value as a leaf's", |proof, _| {
        let i = proof.position(&Policy::STAKING_CONTRACT_ADDRESS);
        if let Value::Hybrid(bytes) = proof.nodes[i].value.clone() {
            proof.nodes[i].value = Value::Leaf(bytes);
        }
    }),
    ("an old state as that of the head", |proof, material| {
        let head = proof.block_hash.clone();
        *proof = Material::proof_of(&material.old.blockchain, &asked());
        proof.block_hash = head;
    }),
    (
        "the state of the head as that of its parent",
        |proof, material| {
            proof.block_hash = material.parent.clone();
        },
    ),
    ("the root of an old state", |proof, material| {
        let mut old = Material::proof_of(&material.old.blockchain, &asked());
        *proof.root() = old.root().clone();
    }),
    ("far more nodes than needed", |proof, _| {
        let leaf = proof.nodes[proof.position(&present())].clone();
        proof.nodes.splice(0..0, vec![leaf; 1000]);
    }),
];

/// A world in which the last block changed the balance of the account that is asked for.
async fn world() -> (World, Arc<Material>) {
    let mut world = World::with_nodes(2).await;
    let head = world.chain.head();
    let old = world.chain.fork_at(world.chain.height()).unwrap();
    let pay = Payer::funded().pay(&present(), coin(1000), world.chain.height());
    world.chain.extend_with(vec![pay.unwrap()]).unwrap();
    world.tell().await;
    world.get_to_know().await;
    let material = Material {
        old: old.share(),
        new: world.chain.blockchain(),
        parent: head.hash(),
    };
    (world, Arc::new(material))
}

async fn balances(world: &World) -> Vec<Option<u64>> {
    let answers = world.queries.accounts(&asked()).await.unwrap();
    for answer in &answers {
        assert_eq!(answer.block_number, world.chain.height());
    }
    let balance = |account: Account| u64::from(account.balance());
    answers
        .into_iter()
        .map(|answer| answer.value.map(balance))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_lie_is_found_out() {
    let (mut world, material) = world().await;
    let truth = balances(&world).await;
    assert_eq!(truth[..2], [Some(paid(20) + 1000), None]);
    assert!(truth[2].is_some());
    let mut liars = Vec::new();
    for (name, lie) in LIES {
        let honest = Material::proof_of(&material.new, &asked());
        let mut lied = honest.clone();
        lie(&mut lied, &material);
        let changed = lied.serialize_to_vec() != honest.serialize_to_vec();
        assert!(changed, "{name} is no lie");

        let material = material.clone();
        let liar = world
            .add_liar(move |question, reply| {
                let (Some(_), Reply::Bytes(bytes)) = (question.is::<RequestTrieProof>(), &reply)
                else {
                    return reply;
                };
                let mut proof = Answer::deserialize_from_vec(bytes).unwrap().unwrap();
                lie(&mut proof, &material);
                Reply::Bytes(Answer::Ok(proof).serialize_to_vec())
            })
            .await;
        assert_eq!(balances(&world).await, truth, "{name}");
        assert_eq!(world.network.requests_to(liar, "trie-proof"), 1, "{name}");
        world.network.banned(liar).await;
        liars.push(liar);
    }
    assert!(LIES.len() >= 40);
    world.finish(&liars).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_of_any_kind_do_no_harm() {
    let (mut world, _) = world().await;
    let mut truth = balances(&world).await;
    let rng = Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(215)));
    let mut banned = Vec::new();
    for i in 0..400 {
        // Where blocks don't come, the client does something about it.
        if i % 4 == 0 {
            world.grow().await;
            truth = balances(&world).await;
        }
        let rng = rng.clone();
        let other = world
            .add_liar(move |question, reply| match (question, reply) {
                (Question::Other(RequestTrieProof::TYPE_ID, _), Reply::Bytes(bytes)) => {
                    Reply::Bytes(damaged(bytes, &mut *rng.lock()))
                }
                (_, reply) => reply,
            })
            .await;
        assert_eq!(balances(&world).await, truth);
        assert_eq!(world.network.requests_to(other, "trie-proof"), 1);
        if world.network.is_banned(other) {
            banned.push(other);
        }
        world.network.leave(other);
        // Who is closed comes to be known only after a while.
        world.engine.catch_up().await;
    }
    assert!(banned.len() > 40, "{}", banned.len());
    world.finish(&banned).await;
}
