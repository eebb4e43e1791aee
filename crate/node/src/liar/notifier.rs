//! Telling subscribers of transactions with their addresses, as nodes do, or not quite.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::StreamExt;
use nimiq_block::Block;
use nimiq_blockchain_interface::{AbstractBlockchain, BlockchainEvent};
use nimiq_consensus::{
    SubscribeToAddressesError,
    messages::{
        AddressNotification, AddressSubscriptionOperation, AddressSubscriptionTopic,
        NotificationEvent, RequestSubscribeToAddress,
    },
};
use nimiq_hash::{Blake2bHash, Hash};
use nimiq_keys::Address;
use nimiq_network_interface::network::{Network as _, NetworkEvent};
use nimiq_network_libp2p::{Network, PeerId};
use nimiq_utils::spawn;

use super::{
    QueryLie,
    answers::Script,
    queries::{foreign_receipt, invented},
};

/// How many peers may subscribe, as with nodes.
const MAX_PEERS: usize = 50;
/// To how many addresses each may, as with nodes.
const MAX_ADDRESSES: usize = 250;

/// How many false receipts a liar adds for each block.
const FALSE_RECEIPTS: u32 = 8;

/// Numbers of the false receipts of a block, other ones for each block.
fn turns(number: u32) -> impl Iterator<Item = u32> {
    (0..FALSE_RECEIPTS).map(move |i| number.wrapping_mul(FALSE_RECEIPTS).wrapping_add(i))
}

/// Who wants to hear of which addresses.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<PeerId, HashSet<Address>>);

impl Subscriptions {
    /// Does what a peer asks for.
    pub(super) fn apply(
        &mut self,
        peer: PeerId,
        request: &RequestSubscribeToAddress,
    ) -> Result<(), SubscribeToAddressesError> {
        match request.operation {
            AddressSubscriptionOperation::Subscribe => {
                if !self.0.contains_key(&peer) && self.0.len() >= MAX_PEERS {
                    return Err(SubscribeToAddressesError::TooManyPeers);
                }
                let mut wanted = self.0.get(&peer).cloned().unwrap_or_default();
                wanted.extend(request.addresses.iter().cloned());
                if wanted.len() > MAX_ADDRESSES {
                    return Err(SubscribeToAddressesError::TooManyAddresses);
                }
                self.0.insert(peer, wanted);
            }
            AddressSubscriptionOperation::Unsubscribe => {
                let Some(wanted) = self.0.get_mut(&peer) else {
                    return Err(SubscribeToAddressesError::InvalidOperation);
                };
                for address in &request.addresses {
                    wanted.remove(address);
                }
                if wanted.is_empty() {
                    self.0.remove(&peer);
                }
            }
        }
        Ok(())
    }
}

/// Notifies subscribers of each new block from now on.
pub(super) fn serve(network: &Arc<Network>, script: &Arc<Script>) {
    let blocks = script.blockchain().read().notifier_as_stream();
    spawn(notify(Arc::clone(network), Arc::clone(script), blocks));
    let mut events = network.subscribe_events();
    let script = Arc::clone(script);
    spawn(async move {
        while let Some(event) = events.next().await {
            if let Ok(NetworkEvent::PeerLeft(peer)) = event {
                script.subscriptions().lock().0.remove(&peer);
            }
        }
    });
}

async fn notify(
    network: Arc<Network>,
    script: Arc<Script>,
    mut events: futures::stream::BoxStream<'static, BlockchainEvent>,
) {
    while let Some(event) = events.next().await {
        let blocks = match event {
            BlockchainEvent::Extended(hash) => {
                let block = script.blockchain().read().get_block(&hash, true, None);
                block.into_iter().collect()
            }
            BlockchainEvent::Rebranched(_, adopted) => {
                adopted.into_iter().map(|(_, block)| block).collect()
            }
            _ => Vec::new(),
        };
        let subscribers: Vec<_> = {
            let subscriptions = script.subscriptions().lock();
            let wanted = subscriptions.0.iter();
            wanted
                .map(|(peer, addresses)| (*peer, addresses.clone()))
                .collect()
        };
        for (peer, addresses) in subscribers {
            let receipts = blocks
                .iter()
                .flat_map(|block| receipts(&script, block, &addresses))
                .collect::<Vec<_>>();
            if receipts.is_empty() {
                continue;
            }
            let notification = AddressNotification {
                event: NotificationEvent::BlockchainExtend,
                receipts,
            };
            if let Err(error) = network
                .publish_subtopic::<AddressSubscriptionTopic>(peer.to_string(), notification)
                .await
            {
                log::debug!("{peer} can't be notified: {error}");
            }
        }
    }
}

/// What a subscriber to these addresses is told of a block.
fn receipts(
    script: &Script,
    block: &Block,
    addresses: &HashSet<Address>,
) -> Vec<(Blake2bHash, u32)> {
    let number = block.block_number();
    let mut receipts: Vec<_> = block
        .transactions()
        .unwrap_or_default()
        .iter()
        .map(|executed| executed.get_raw_transaction())
        .filter(|transaction| {
            addresses.contains(&transaction.sender) || addresses.contains(&transaction.recipient)
        })
        .map(|transaction| (transaction.hash(), number))
        .collect();
    match script.query_lie() {
        Some(QueryLie::WithholdsNotifications) => receipts.clear(),
        Some(QueryLie::ForgedNotification) => {
            receipts.extend(turns(number).map(|turn| (invented(turn), number)));
        }
        Some(QueryLie::ForeignNotification) => {
            let addresses: Vec<_> = addresses.iter().collect();
            let chain = script.blockchain().read();
            receipts
                .extend(turns(number).filter_map(|turn| foreign_receipt(&chain, &addresses, turn)));
        }
        _ => {}
    }
    receipts
}
