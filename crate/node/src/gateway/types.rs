//! The requests that are relayed: those of light clients. Bodies are decoded only to see that they
//! can be, because nodes answer nothing to those that can't, and to have one form of each.

use std::time::Duration;

use nimiq_consensus::messages::{
    RequestBlock, RequestBlocksProof, RequestHead, RequestMacroChain, RequestMissingBlocks,
    RequestTransactionReceiptsByAddress, RequestTransactionsProof, RequestTrieProof,
};
use nimiq_network_interface::request::{RequestCommon, RequestSerialize, RequestType};
use pico_network::Services;

use super::limits;
use crate::proofs::RequestZKP;

/// How long an answer can stand for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Until a block comes.
    UntilBlock,
    /// For this time.
    For(Duration),
}

/// One type of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Its number on the wire.
    pub(super) id: u16,
    /// What a node allows a peer in 10 s.
    pub(super) limit: u32,
    /// What a peer offers that can answer it in full. Others are asked if there are none.
    pub(super) services: Services,
    pub(super) keep: Keep,
    /// Whether the answer is a result in a result.
    nested: bool,
    /// The one form of a request; `None` if it can't be decoded.
    canonical: fn(&[u8]) -> Option<Vec<u8>>,
}

impl Kind {
    const fn of<R: RequestCommon>(services: Services, keep: Keep, nested: bool) -> Self {
        Self {
            id: R::TYPE_ID,
            limit: R::MAX_REQUESTS,
            services,
            keep,
            nested,
            canonical: canonical::<R>,
        }
    }

    pub(super) fn request_type(&self) -> RequestType {
        RequestType::request(self.id)
    }

    /// The request in its one form. `None` if it is none of this type.
    pub(super) fn canonical(&self, payload: &[u8]) -> Option<Vec<u8>> {
        (self.canonical)(payload)
    }

    /// Whether an answer says yes.
    pub(super) fn is_success(&self, answer: &[u8]) -> bool {
        match self.nested {
            true => answer.starts_with(&[0, 0]),
            false => answer.starts_with(&[0]),
        }
    }
}

fn canonical<R: RequestCommon>(payload: &[u8]) -> Option<Vec<u8>> {
    let request = R::deserialize_request(payload).ok()?;
    Some(request.serialize_request())
}

/// Whether the node that answered refused to look at the request.
pub(super) fn is_refusal(answer: &[u8]) -> bool {
    !answer.starts_with(&[0])
}

const KINDS: usize = 9;

/// All types that are relayed.
pub(super) static ALL: [Kind; KINDS] = [
    Kind::of::<RequestHead>(Services::empty(), Keep::UntilBlock, false),
    Kind::of::<RequestBlock>(Services::empty(), Keep::For(limits::KEEP_BLOCK), true),
    Kind::of::<RequestMissingBlocks>(Services::empty(), Keep::For(limits::KEEP), true),
    Kind::of::<RequestMacroChain>(Services::empty(), Keep::UntilBlock, true),
    Kind::of::<RequestTrieProof>(Services::ACCOUNTS_PROOF, Keep::UntilBlock, true),
    Kind::of::<RequestTransactionsProof>(Services::TRANSACTION_INDEX, Keep::UntilBlock, true),
    Kind::of::<RequestTransactionReceiptsByAddress>(
        Services::TRANSACTION_INDEX,
        Keep::UntilBlock,
        false,
    ),
    Kind::of::<RequestBlocksProof>(Services::FULL_BLOCKS, Keep::For(limits::KEEP), true),
    Kind::of::<RequestZKP>(Services::empty(), Keep::For(limits::FRESH), false),
];

/// The place of a type in [`ALL`].
pub(super) fn index_of(request_type: RequestType) -> Option<usize> {
    ALL.iter()
        .position(|kind| kind.request_type() == request_type)
}

/// Number of types.
pub(super) const COUNT: usize = KINDS;

/// What clients are told at most: what the relayed requests are of use for.
pub(super) fn relayed_services() -> Services {
    Services::FULL_BLOCKS
        | Services::ACCOUNTS_PROOF
        | Services::MEMPOOL
        | Services::TRANSACTION_INDEX
        | Services::PRE_GENESIS_TRANSACTIONS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_and_limits_are_those_of_the_protocol() {
        let expected = [
            (210, 50),
            (207, 200),
            (209, 200),
            (200, 20),
            (215, 50),
            (213, 1000),
            (214, 20),
            (216, 50),
            (211, 1000),
        ];
        assert_eq!(ALL.map(|kind| (kind.id, kind.limit)), expected);
        for (index, kind) in ALL.iter().enumerate() {
            assert_eq!(index_of(kind.request_type()), Some(index));
            assert_eq!(index_of(RequestType::message(kind.id)), None);
        }
    }

    #[test]
    fn requests_have_one_form_or_are_none() {
        let head = RequestHead {}.serialize_request();
        assert_eq!(ALL[0].canonical(&head), Some(head.clone()));
        let trailing = [head.as_slice(), &[1, 2, 3]].concat();
        assert_eq!(ALL[0].canonical(&trailing), Some(head));
        // A hash that is cut off.
        let block = RequestType::request(207);
        let cut = [
            &nimiq_serde::Serialize::serialize_to_vec(&block)[..],
            &[1; 31],
        ]
        .concat();
        assert_eq!(ALL[1].canonical(&cut), None);
    }

    #[test]
    fn answers_that_say_yes() {
        assert!(ALL[0].is_success(&[0, 7]) && !ALL[0].is_success(&[1, 4]));
        assert!(ALL[1].is_success(&[0, 0]) && !ALL[1].is_success(&[0, 1, 0]));
        assert!(!ALL[1].is_success(&[]) && is_refusal(&[]) && is_refusal(&[1, 4]));
        assert!(!is_refusal(&[0, 1]));
    }
}
