//! What a node answers to requests about a chain, without a network in between.
//!
//! The answers are those of `nimiq-consensus`'s own handlers, and requests and answers are bytes as
//! they travel, so that a test can let its own message types talk to them.

use std::sync::Arc;

use nimiq_blockchain::Blockchain;
use nimiq_blockchain_proxy::BlockchainProxy;
use nimiq_consensus::messages::{
    RequestBlock, RequestBlocksProof, RequestHead, RequestMacroChain, RequestMissingBlocks,
    RequestTransactionReceiptsByAddress, RequestTransactionsProof, RequestTrieProof,
};
use nimiq_network_interface::request::{Handle, Request, RequestCommon};
use nimiq_network_libp2p::{Network, PeerId};
use nimiq_serde::Serialize;
use parking_lot::RwLock;

/// The answer of a history node with this chain to a request of type `type_id`, of which `request`
/// is the body: postcard, without the type id in front. The answer is postcard as well, without the
/// outer `Result` that tells of a request that was not handled.
///
/// `None` if the request can't be decoded, which a node never answers, or is of a type that isn't
/// about the chain.
pub fn answer(
    blockchain: &Arc<RwLock<Blockchain>>,
    type_id: u16,
    request: &[u8],
) -> Option<Vec<u8>> {
    let proxy = || BlockchainProxy::from(blockchain);
    match type_id {
        RequestMacroChain::TYPE_ID => handle::<RequestMacroChain, _>(request, &proxy()),
        RequestBlock::TYPE_ID => handle::<RequestBlock, _>(request, &proxy()),
        RequestMissingBlocks::TYPE_ID => handle::<RequestMissingBlocks, _>(request, &proxy()),
        RequestHead::TYPE_ID => handle::<RequestHead, _>(request, &proxy()),
        RequestTransactionsProof::TYPE_ID => {
            handle::<RequestTransactionsProof, _>(request, blockchain)
        }
        RequestTransactionReceiptsByAddress::TYPE_ID => {
            handle::<RequestTransactionReceiptsByAddress, _>(request, blockchain)
        }
        RequestTrieProof::TYPE_ID => handle::<RequestTrieProof, _>(request, blockchain),
        RequestBlocksProof::TYPE_ID => handle::<RequestBlocksProof, _>(request, blockchain),
        _ => None,
    }
}

fn handle<Req, T>(request: &[u8], environment: &T) -> Option<Vec<u8>>
where
    Req: Request + Handle<Network, T>,
{
    let request = Req::deserialize_from_vec(request).ok()?;
    // None of the handlers cares who asks.
    let response = request.handle(PeerId::random(), environment);
    Some(response.serialize_to_vec())
}
