//! Blocks of the main chain, however old: from our own chain where it holds them, else from peers.
//!
//! An old election block is proven through the interlinks from the latest one. All others are
//! reached by their successors: each block names its parent, so from a block that is held or proven
//! one gets down, a batch a request, to any other of its epoch. Nodes keep only the last two epochs
//! of those.

use nimiq_block::{Block, MacroBlock};
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{network::Network, peer_info::Services};
use nimiq_primitives::policy::Policy;

use super::{
    Plan, Queries, QueryError,
    interlink::{self, Broken},
};
use crate::{
    chain::LightChain,
    limits,
    messages::{Direction, RequestBlock, RequestBlocksProof, RequestMissingBlocks},
    requests::{self, PeerFault},
};

/// What a block is asked for by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BlockId {
    /// Its Blake2b hash.
    Hash(Blake2bHash),
    /// Its number.
    Number(u32),
}

/// Where a block is, as far as our own chain can tell.
enum Place {
    Held(Box<Block>),
    /// On a fork, or its number is beyond our chain: for people.
    Nowhere(String),
    Elsewhere,
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// A block of the main chain, without body and perhaps without justification. Proven unless it
    /// is held.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] where the main chain has no such block, or where nobody has it any
    /// more: nodes keep all election blocks, but of the others only those of the last two epochs.
    pub async fn block(&self, id: BlockId) -> Result<Block, QueryError> {
        let chain = &self.context().chain;
        let work = async {
            for _ in 0..limits::QUERY_CHAINS {
                self.established().await?;
                let generation = chain.generation();
                let block = match &id {
                    BlockId::Number(number) => self.block_at(*number).await,
                    BlockId::Hash(hash) => self.block_called(hash).await,
                };
                // A proof is worth nothing if the chain that it led to was given up meanwhile.
                if chain.generation() == generation {
                    return block;
                }
            }
            let reason = "the client changed its mind about the chain again and again";
            Err(QueryError::Timeout(reason.into()))
        };
        self.while_running(work).await
    }

    async fn block_at(&self, number: u32) -> Result<Block, QueryError> {
        match self.place_of(number) {
            Place::Held(block) => return Ok(*block),
            Place::Nowhere(reason) => return Err(QueryError::NotFound(reason)),
            Place::Elsewhere => {}
        }
        if Policy::is_election_block_at(number) {
            let hash = self.election_hash(number).await?;
            return self.macro_block(&hash).await.map(Block::Macro);
        }
        self.walk_down_to(number).await
    }

    fn place_of(&self, number: u32) -> Place {
        let genesis = Policy::genesis_block_number();
        if number < genesis {
            let reason = format!("block {number} is before the genesis block, {genesis}");
            return Place::Nowhere(reason);
        }
        let look = |chain: &LightChain| match chain.block_at(number) {
            Some(block) => Place::Held(Box::new(block.clone())),
            None if number > chain.head().block_number() => Place::Nowhere(format!(
                "there is no block {number} yet: the head is {}",
                chain.head().block_number()
            )),
            None => Place::Elsewhere,
        };
        self.context().chain.read(look).unwrap_or(Place::Elsewhere)
    }

    async fn block_called(&self, hash: &Blake2bHash) -> Result<Block, QueryError> {
        let held = |chain: &LightChain| match chain.block(hash) {
            Some(block) if chain.is_on_main_chain(hash) => Some(Ok(block.clone())),
            Some(_) => Some(Err(QueryError::NotFound("the block is on a fork".into()))),
            None => None,
        };
        if let Some(found) = self.context().chain.read(held).flatten() {
            return found;
        }
        let plan = Plan::new::<RequestBlock>(Services::empty());
        let block = self
            .ask_peers(plan, |peer| self.fetch(peer, hash))
            .await
            .map_err(|failure| failure.into_error("no such block", QueryError::NotFound))?;

        // That a peer has it says nothing: is it on our main chain?
        let number = block.block_number();
        let reached = |chain: &LightChain, _| (chain.head().block_number() >= number).then_some(());
        let _ = self.when_chain(limits::QUERY_HEAD_TIMEOUT, reached).await;
        let ours = match Policy::is_election_block_at(number) {
            true => self.election_hash(number).await?,
            false => self.block_at(number).await?.hash(),
        };
        if ours == *hash {
            Ok(block)
        } else {
            let reason = "the block is not on the main chain";
            Err(QueryError::NotFound(reason.into()))
        }
    }

    /// The block called `hash`, as a peer has it. Nothing says that it is on the main chain.
    async fn fetch(&self, peer: TNetwork::PeerId, hash: &Blake2bHash) -> Result<Block, PeerFault> {
        let request = RequestBlock {
            hash: hash.clone(),
            include_body: false,
        };
        let response = self.request(peer, request).await?;
        let block = response.map_err(|error| PeerFault::Lacks(error.to_string()))?;
        requests::check_block(block, hash).map_err(|reason| PeerFault::Lied(reason.into()))
    }

    /// The macro block called `hash`, which must be the hash of one.
    pub(crate) async fn macro_block(&self, hash: &Blake2bHash) -> Result<MacroBlock, QueryError> {
        let held = |chain: &LightChain| match chain.block(hash) {
            Some(Block::Macro(block)) => Some(block.clone()),
            _ => None,
        };
        if let Some(block) = self.context().chain.read(held).flatten() {
            return Ok(block);
        }
        let plan = Plan::new::<RequestBlock>(Services::empty());
        let fetch = |peer| async move {
            match self.fetch(peer, hash).await? {
                Block::Macro(block) => Ok(block),
                // A block with this hash is a macro block, whatever a peer says.
                Block::Micro(_) => Err(PeerFault::Lied("a micro block for a macro block".into())),
            }
        };
        self.ask_peers(plan, fetch)
            .await
            .map_err(|failure| failure.into_error("no macro block", QueryError::NotFound))
    }

    /// Hash of the main chain's election block at `number`, proven. Genesis is one of them.
    pub(crate) async fn election_hash(&self, number: u32) -> Result<Blake2bHash, QueryError> {
        let chain = &self.context().chain;
        let genesis = chain.params.genesis();
        if number == genesis.block_number {
            return Ok(genesis.hash);
        }
        let known = |chain: &LightChain| {
            let hash = chain.election_at(number);
            (hash.cloned(), chain.election_head().clone())
        };
        let generation = chain.generation();
        let Some((hash, head)) = chain.read(known) else {
            let reason = "no election block is known yet";
            return Err(QueryError::NoPeers(reason.into()));
        };
        if let Some(hash) = hash {
            return Ok(hash);
        }
        // In this order: what `Policy` has to say of numbers goes for those of the chain only.
        if number < genesis.block_number
            || number > head.block_number()
            || !Policy::is_election_block_at(number)
        {
            let reason = format!("there is no election block {number}");
            return Err(QueryError::NotFound(reason));
        }
        let proven = &self.inner.proven;
        if let Some((_, hash)) = proven.first_in(generation, number, number) {
            return Ok(hash);
        }
        let (epoch, head) = (Policy::epoch_at(number), &head);
        let hash = if interlink::hops(Policy::epoch_at(head.block_number()), epoch).is_empty() {
            interlink::follow(head, Vec::new(), epoch).map_err(|_| broken_head())?
        } else {
            let plan = Plan::new::<RequestBlocksProof>(Services::FULL_BLOCKS);
            self.ask_peers(plan, |peer| self.prove_election(peer, head, epoch, number))
                .await
                .map_err(|failure| failure.into_error("no proof", QueryError::NotFound))?
        };
        proven.put(generation, number, hash.clone());
        Ok(hash)
    }

    async fn prove_election(
        &self,
        peer: TNetwork::PeerId,
        head: &MacroBlock,
        epoch: u32,
        number: u32,
    ) -> Result<Blake2bHash, PeerFault> {
        let request = RequestBlocksProof {
            election_head: head.block_number(),
            blocks: vec![number],
        };
        let response = self.request(peer, request).await?;
        let response = response.map_err(|error| PeerFault::Lacks(error.to_string()))?;
        interlink::follow(head, response.proof, epoch).map_err(|broken| match broken {
            Broken::Incomplete => {
                PeerFault::Lacks("it does not hold all election blocks on the way".into())
            }
            Broken::Wrong(reason) => PeerFault::Lied(reason.into()),
        })
    }

    /// The main chain's block at `number`, which is no election block and not held: goes back from
    /// the nearest block after it that is held or proven, at the latest the election block that ends
    /// its epoch.
    async fn walk_down_to(&self, number: u32) -> Result<Block, QueryError> {
        let generation = self.context().chain.generation();
        let mut above = self.block_above(number, generation).await?;
        let plan = Plan::new::<RequestMissingBlocks>(Services::FULL_BLOCKS);
        while above.block_number() > number {
            let target = above.parent_hash();
            let top = above.block_number().saturating_sub(1);
            let run = self
                .ask_peers(plan, |peer| self.batch_down_from(peer, target, top))
                .await
                .map_err(|failure| pruned(number, failure))?;
            let wanted = |block: &&Block| block.block_number() == number;
            let next = run.iter().find(wanted).or(run.first()).cloned();
            if let Some(first) = run.into_iter().next() {
                let hash = first.hash();
                self.inner
                    .proven
                    .put(generation, first.block_number(), hash);
            }
            // It goes down, so this ends.
            above = match next {
                Some(next) if next.block_number() <= top => next,
                _ => return Err(QueryError::ProofInvalid("no blocks".into())),
            };
        }
        Ok(above)
    }

    /// The nearest block from `number` on, in the same epoch, that is held or proven.
    async fn block_above(&self, number: u32, generation: u64) -> Result<Block, QueryError> {
        let end = Policy::election_block_after(number);
        let held = |chain: &LightChain| {
            let mut blocks = chain.main_chain();
            let block = blocks.find(|block| block.block_number() > number)?;
            (block.block_number() <= end).then(|| block.clone())
        };
        let held = self.context().chain.read(held).flatten();
        let proven = self.inner.proven.first_in(generation, number, end);
        let hash = match (held, proven) {
            (Some(held), Some((proven, _))) if held.block_number() <= proven => return Ok(held),
            (Some(held), None) => return Ok(held),
            (_, Some((_, hash))) => hash,
            (None, None) => self.election_hash(end).await?,
        };
        self.macro_block(&hash).await.map(Block::Macro)
    }

    /// The blocks from `target`, the one at `top`, down to the macro block before it, ascending.
    async fn batch_down_from(
        &self,
        peer: TNetwork::PeerId,
        target: &Blake2bHash,
        top: u32,
    ) -> Result<Vec<Block>, PeerFault> {
        let request = RequestMissingBlocks {
            target_hash: target.clone(),
            include_body: false,
            locators: Vec::new(),
            direction: Direction::Backward,
        };
        let response = self.request(peer, request).await?;
        let response = response.map_err(|error| PeerFault::Lacks(error.to_string()))?;
        requests::check_batch(response.blocks, target, top)
            .map_err(|reason| PeerFault::Lied(reason.into()))
    }
}

fn broken_head() -> QueryError {
    QueryError::ProofInvalid("the latest election block has no interlink".into())
}

fn pruned(number: u32, failure: super::Failure) -> QueryError {
    let what = format!("block {number} can't be proven; nodes keep those of the last epochs only");
    failure.into_error(&what, QueryError::NotFound)
}
