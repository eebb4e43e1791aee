//! Answers to what others ask of us. A light client has nothing to offer but its head, and that it
//! must tell: a node asks a peer without services for it, and closes the connection where no answer
//! comes (`nimiq-consensus` 2.3.0, `sync/syncer.rs`).

use futures::{StreamExt, future};
use nimiq_network_interface::network::Network;
use nimiq_time::timeout;
use nimiq_utils::spawn;
use tokio::sync::watch;

use super::handle::Control;
use crate::{
    limits,
    macro_sync::Context,
    messages::{RequestHead, ResponseHead},
};

/// Tells everyone who asks what our head is, until the engine is closed. Before the chain has begun,
/// that is the genesis block: the truth, and enough to stay connected.
pub(super) fn heads<TNetwork: Network>(
    context: &Context<TNetwork>,
    mut control: watch::Receiver<Control>,
) {
    let network = context.network.clone();
    let chain = context.chain.clone();
    let closed = async move {
        if control.wait_for(|control| control.closed).await.is_err() {
            // All handles are gone, so nobody can close the engine: it runs on.
            future::pending::<()>().await;
        }
    };
    let answers = context
        .network
        .receive_requests::<RequestHead>()
        .take_until(Box::pin(closed))
        .for_each_concurrent(limits::ANSWERS_IN_FLIGHT, move |(_, id, peer)| {
            let network = network.clone();
            let (heads, _) = chain.heads_or_genesis();
            let response = ResponseHead {
                block_number: heads.head.number,
                block_hash: heads.head.hash,
                macro_hash: heads.macro_head.hash,
                election_hash: heads.election_head.hash,
            };
            async move {
                let answer = network.respond::<RequestHead>(id, response);
                match timeout(limits::REQUEST_TIMEOUT, answer).await {
                    Ok(Ok(())) => {}
                    // It has left, or doesn't read: its loss.
                    Ok(Err(error)) => log::debug!("telling {peer} our head: {error}"),
                    Err(_) => log::debug!("telling {peer} our head took too long"),
                }
            }
        });
    spawn(answers);
}
