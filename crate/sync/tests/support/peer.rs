//! Scripted peers: each answers from a chain as a real node would (the rules are those of the
//! message handlers of release 2.3.0), and lies where its script says so.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nimiq_block::Block;
use nimiq_blockchain::Blockchain;
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_hash::Blake2bHash;
use nimiq_network_interface::{
    peer_info::{NodeType, Services},
    request::{InboundRequestError, Request, RequestCommon, RequestSerialize},
};
use nimiq_primitives::policy::Policy;
use nimiq_serde::{Deserialize, DeserializeError, Serialize};
use parking_lot::RwLock;
use pico_sync::messages::{
    BlockError, Checkpoint, Direction, MacroChain, MacroChainError, RequestBlock, RequestHead,
    RequestMacroChain, RequestMissingBlocks, RequestSubscribeToAddress, RequestZKP, ResponseBlocks,
    ResponseBlocksError, ResponseHead,
};

use super::{blocks::Blocks, network::PeerId};

/// How long an honest answer takes unless the script says otherwise.
pub const LATENCY: Duration = Duration::from_millis(20);

/// What a peer is asked.
#[derive(Clone, Debug)]
pub enum Question {
    Head,
    Block(RequestBlock),
    MacroChain(RequestMacroChain),
    Missing(RequestMissingBlocks),
    /// Anything else that only a whole node can answer: its type id and its body.
    Other(u16, Vec<u8>),
}

impl Question {
    /// Reads a request from its wire form.
    pub fn decode<R: Request>(request: &R) -> Result<Self, DeserializeError> {
        let bytes = request.serialize_request();
        match R::TYPE_ID {
            RequestHead::TYPE_ID => RequestHead::deserialize_request(&bytes).map(|_| Self::Head),
            RequestBlock::TYPE_ID => RequestBlock::deserialize_request(&bytes).map(Self::Block),
            RequestMacroChain::TYPE_ID => {
                RequestMacroChain::deserialize_request(&bytes).map(Self::MacroChain)
            }
            RequestMissingBlocks::TYPE_ID => {
                RequestMissingBlocks::deserialize_request(&bytes).map(Self::Missing)
            }
            other => Ok(Self::Other(other, request.serialize_to_vec())),
        }
    }

    /// The body of the request, if it is of type `R`.
    pub fn is<R: Request>(&self) -> Option<R> {
        match self {
            Self::Other(id, body) if *id == R::TYPE_ID => R::deserialize_from_vec(body).ok(),
            _ => None,
        }
    }

    fn type_id_and_body(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Head => (RequestHead::TYPE_ID, RequestHead {}.serialize_to_vec()),
            Self::Block(request) => (RequestBlock::TYPE_ID, request.serialize_to_vec()),
            Self::MacroChain(request) => (RequestMacroChain::TYPE_ID, request.serialize_to_vec()),
            Self::Missing(request) => (RequestMissingBlocks::TYPE_ID, request.serialize_to_vec()),
            Self::Other(id, body) => (*id, body.clone()),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Block(_) => "block",
            Self::MacroChain(_) => "macro-chain",
            Self::Missing(_) => "missing",
            Self::Other(211, _) => "zkp",
            Self::Other(213, _) => "transactions-proof",
            Self::Other(214, _) => "receipts",
            Self::Other(215, _) => "trie-proof",
            Self::Other(216, _) => "blocks-proof",
            Self::Other(217, _) => "subscribe",
            Self::Other(..) => "other",
        }
    }
}

/// What a peer answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Head(ResponseHead),
    Block(Result<Block, BlockError>),
    MacroChain(Result<MacroChain, MacroChainError>),
    Missing(Result<ResponseBlocks, ResponseBlocksError>),
    /// The answer to another question, as it travels.
    Bytes(Vec<u8>),
    /// Nothing, ever.
    Never,
    /// It closes the connection.
    Closes,
    /// It refuses to handle the request.
    Refused(InboundRequestError),
    /// Bytes that mean nothing.
    Garbage,
}

impl Reply {
    /// The answer to a question of type `R`.
    pub fn to<R: RequestCommon>(response: &R::Response) -> Self {
        Self::Bytes(response.serialize_to_vec())
    }

    /// What a node with this chain answers.
    fn of_node(node: &Arc<RwLock<Blockchain>>, question: &Question) -> Self {
        if question.is::<RequestSubscribeToAddress>().is_some() {
            return Self::to::<RequestSubscribeToAddress>(&Ok(()));
        }
        let (id, body) = question.type_id_and_body();
        let Some(bytes) = pico_node::chain::answer(node, id, &body) else {
            return Self::Never;
        };
        match question {
            Question::Head => Self::Head(Deserialize::deserialize_from_vec(&bytes).unwrap()),
            Question::Block(_) => Self::Block(Deserialize::deserialize_from_vec(&bytes).unwrap()),
            Question::MacroChain(_) => {
                Self::MacroChain(Deserialize::deserialize_from_vec(&bytes).unwrap())
            }
            Question::Missing(_) => {
                Self::Missing(Deserialize::deserialize_from_vec(&bytes).unwrap())
            }
            Question::Other(..) => Self::Bytes(bytes),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Head(head) => head.serialize_to_vec(),
            Self::Block(block) => block.serialize_to_vec(),
            Self::MacroChain(chain) => chain.serialize_to_vec(),
            Self::Missing(blocks) => blocks.serialize_to_vec(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Never | Self::Closes | Self::Refused(_) | Self::Garbage => vec![0xff; 3],
        }
    }
}

/// Changes what an honest peer would answer, and when.
pub type Script = Box<dyn Fn(&Question, Reply) -> (Duration, Reply) + Send + Sync>;

/// Where a peer has its answers from.
enum Source {
    /// A list of blocks, of which it knows those up to `height`.
    Blocks { chain: Arc<Blocks>, height: u32 },
    /// A whole node's blockchain, by the handlers of `nimiq-consensus`.
    Node(Arc<RwLock<Blockchain>>),
}

struct Standing {
    source: Source,
    script: Option<Script>,
}

/// One scripted peer. It may be connected or not.
pub struct Peer {
    pub id: PeerId,
    pub services: Services,
    standing: RwLock<Standing>,
}

impl Peer {
    /// An honest peer that knows `chain` up to block `height`.
    pub fn honest(id: u32, chain: &Arc<Blocks>, height: u32) -> Arc<Self> {
        Self::new(
            id,
            chain,
            height,
            Services::provided(NodeType::History),
            None,
        )
    }

    /// A peer that offers no services.
    pub fn without_services(id: u32, chain: &Arc<Blocks>, height: u32) -> Arc<Self> {
        Self::new(id, chain, height, Services::empty(), None)
    }

    /// A peer that changes its answers.
    pub fn scripted(
        id: u32,
        chain: &Arc<Blocks>,
        height: u32,
        script: impl Fn(&Question, Reply) -> (Duration, Reply) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let services = Services::provided(NodeType::History);
        Self::new(id, chain, height, services, Some(Box::new(script)))
    }

    /// A peer that changes its answers and takes the usual time.
    pub fn liar(
        id: u32,
        chain: &Arc<Blocks>,
        height: u32,
        lie: impl Fn(&Question, Reply) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::scripted(id, chain, height, move |question, reply| {
            (LATENCY, lie(question, reply))
        })
    }

    /// An honest history node with an index and this blockchain, which may grow.
    pub fn node(id: u32, blockchain: &Arc<RwLock<Blockchain>>) -> Arc<Self> {
        let services = Services::provided(NodeType::History) | Services::TRANSACTION_INDEX;
        Self::node_offering(id, blockchain, services)
    }

    /// A node with this blockchain that says that it offers these services.
    pub fn node_offering(
        id: u32,
        blockchain: &Arc<RwLock<Blockchain>>,
        services: Services,
    ) -> Arc<Self> {
        Self::with(id, Source::Node(blockchain.clone()), services, None)
    }

    fn new(
        id: u32,
        chain: &Arc<Blocks>,
        height: u32,
        services: Services,
        script: Option<Script>,
    ) -> Arc<Self> {
        let chain = chain.clone();
        Self::with(id, Source::Blocks { chain, height }, services, script)
    }

    fn with(id: u32, source: Source, services: Services, script: Option<Script>) -> Arc<Self> {
        let standing = RwLock::new(Standing { source, script });
        Arc::new(Self {
            id: PeerId(id),
            services,
            standing,
        })
    }

    /// Moves the peer's head along its list of blocks.
    pub fn set_height(&self, to: u32) {
        match &mut self.standing.write().source {
            Source::Blocks { height, .. } => *height = to,
            Source::Node(_) => panic!("the head of a node is its blockchain's"),
        }
    }

    /// Puts the peer on another chain.
    pub fn set_chain(&self, chain: &Arc<Blocks>, height: u32) {
        let chain = chain.clone();
        self.standing.write().source = Source::Blocks { chain, height };
    }

    /// From now on the peer is honest.
    pub fn repent(&self) {
        self.standing.write().script = None;
    }

    /// From now on the peer answers like this.
    pub fn set_script(
        &self,
        script: impl Fn(&Question, Reply) -> (Duration, Reply) + Send + Sync + 'static,
    ) {
        self.standing.write().script = Some(Box::new(script));
    }

    pub fn chain(&self) -> Arc<Blocks> {
        match &self.standing.read().source {
            Source::Blocks { chain, .. } => chain.clone(),
            Source::Node(_) => panic!("a node has no list of blocks"),
        }
    }

    pub fn height(&self) -> u32 {
        match &self.standing.read().source {
            Source::Blocks { height, .. } => *height,
            Source::Node(blockchain) => blockchain.read().block_number(),
        }
    }

    /// What the peer answers, and after what time.
    pub fn answer(&self, question: &Question) -> (Duration, Reply) {
        let standing = self.standing.read();
        let honest = match &standing.source {
            Source::Blocks { chain, height } => View {
                chain,
                height: *height,
            }
            .answer(question),
            Source::Node(blockchain) => Reply::of_node(blockchain, question),
        };
        match &standing.script {
            Some(script) => script(question, honest),
            None => (LATENCY, honest),
        }
    }
}

/// A chain as a node sees it whose head is at `height`.
pub struct View<'a> {
    pub chain: &'a Blocks,
    pub height: u32,
}

impl View<'_> {
    pub fn head(&self) -> ResponseHead {
        ResponseHead {
            block_number: self.height,
            block_hash: self.chain.hash_at(self.height),
            macro_hash: self.chain.hash_at(Policy::last_macro_block(self.height)),
            election_hash: self.chain.hash_at(Policy::last_election_block(self.height)),
        }
    }

    pub fn answer(&self, question: &Question) -> Reply {
        match question {
            Question::Head => Reply::Head(self.head()),
            Question::Block(request) => Reply::Block(
                self.block(&request.hash)
                    .cloned()
                    .ok_or(BlockError::TargetHashNotFound),
            ),
            Question::MacroChain(request) => Reply::MacroChain(self.macro_chain(request)),
            Question::Missing(request) => Reply::Missing(
                match request.direction {
                    Direction::Forward => self.forward(request),
                    Direction::Backward => self.backward(request),
                }
                .map(|blocks| ResponseBlocks { blocks }),
            ),
            // Nodes of the 2.3.0 release know of no proofs.
            Question::Other(RequestZKP::TYPE_ID, _) => {
                Reply::Refused(InboundRequestError::NoReceiver)
            }
            // Only a node knows.
            Question::Other(..) => Reply::Never,
        }
    }

    /// A block that is known by now, on the main chain or on a fork.
    fn block(&self, hash: &Blake2bHash) -> Option<&Block> {
        self.chain
            .get(hash)
            .filter(|block| block.block_number() <= self.height)
    }

    fn on_main(&self, hash: &Blake2bHash) -> Option<u32> {
        self.chain
            .number_of(hash)
            .filter(|number| *number <= self.height)
    }

    fn macro_chain(&self, request: &RequestMacroChain) -> Result<MacroChain, MacroChainError> {
        if request.locators.len() > 100 {
            return Err(MacroChainError::TooManyLocators);
        }
        let start = request
            .locators
            .iter()
            .filter_map(|hash| self.on_main(hash))
            .find(|number| Policy::is_macro_block_at(*number))
            .ok_or(MacroChainError::UnknownLocators)?;
        let epochs: Vec<_> = (start + 1..=self.height)
            .filter(|number| Policy::is_election_block_at(*number))
            .take(usize::from(request.max_epochs.min(255)))
            .collect();
        let last = Policy::last_macro_block(self.height);
        let caught_up = epochs
            .last()
            .is_none_or(|number| *number == Policy::last_election_block(self.height));
        let wanted = !Policy::is_election_block_at(last) && last != start && caught_up;
        Ok(MacroChain {
            epochs: epochs
                .iter()
                .map(|number| self.chain.hash_at(*number))
                .collect(),
            checkpoint: wanted.then(|| Checkpoint {
                block_number: last,
                hash: self.chain.hash_at(last),
            }),
        })
    }

    fn forward(&self, request: &RequestMissingBlocks) -> Result<Vec<Block>, ResponseBlocksError> {
        if request.locators.len() > 100 {
            return Err(ResponseBlocksError::TooManyLocators);
        }
        if self.block(&request.target_hash).is_none() {
            return Err(ResponseBlocksError::TargetHashNotFound);
        }
        let target = self
            .on_main(&request.target_hash)
            .ok_or(ResponseBlocksError::TargetBlockNotOnMainChain)?;
        let start = request
            .locators
            .iter()
            .find_map(|hash| self.on_main(hash))
            .ok_or(ResponseBlocksError::UnknownLocators)?;
        let end = target.min(Policy::macro_block_after(start));
        Ok((start + 1..=end)
            .map(|number| self.chain.at(number).clone())
            .collect())
    }

    fn backward(&self, request: &RequestMissingBlocks) -> Result<Vec<Block>, ResponseBlocksError> {
        let locators: HashSet<_> = request.locators.iter().collect();
        let mut blocks = Vec::new();
        let mut hash = request.target_hash.clone();
        while !locators.contains(&hash) {
            let block = self
                .block(&hash)
                .ok_or(ResponseBlocksError::TargetHashNotFound)?;
            hash = block.parent_hash().clone();
            blocks.push(block.clone());
            if block.is_macro() {
                break;
            }
        }
        blocks.reverse();
        Ok(blocks)
    }
}
