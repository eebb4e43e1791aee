//! Listeners: for tests, and for what is more than a browser.

use std::io;

use libp2p::{Multiaddr, core::transport::ListenerId};

use super::{Task, dialling::cause_chain};
use crate::{
    command::{Reply, answer},
    error::ListenError,
};

/// A listener, until its address is known.
#[derive(Debug)]
pub(super) struct Listener {
    id: ListenerId,
    address: Multiaddr,
    reply: Option<Reply<Result<Multiaddr, ListenError>>>,
    /// The first address. It is told when all that are known by then have been noted.
    found: Option<Multiaddr>,
}

impl Task {
    pub(super) fn listen(
        &mut self,
        address: Multiaddr,
        reply: Reply<Result<Multiaddr, ListenError>>,
    ) {
        match self.swarm.listen_on(address.clone()) {
            Ok(id) => self.state.listeners.push(Listener {
                id,
                address,
                reply: Some(reply),
                found: None,
            }),
            Err(error) => {
                answer(
                    reply,
                    Err(ListenError::Refused {
                        address,
                        reason: cause_chain(&error),
                    }),
                );
            }
        }
    }

    pub(super) fn on_listening(&mut self, id: ListenerId, address: Multiaddr) {
        let listener = self
            .state
            .listeners
            .iter_mut()
            .find(|listener| listener.id == id);
        if let Some(listener) = listener {
            listener.found.get_or_insert(address);
        }
    }

    /// Tells those who wait where they listen. To be called when the swarm has nothing more to say for
    /// now: a listener on all interfaces has many addresses.
    pub(super) fn tell_listeners(&mut self) {
        for listener in &mut self.state.listeners {
            if let Some(address) = &listener.found
                && let Some(reply) = listener.reply.take()
            {
                answer(reply, Ok(address.clone()));
            }
        }
    }

    pub(super) fn on_listener_closed(&mut self, id: ListenerId, error: Option<io::Error>) {
        let Some(index) = self
            .state
            .listeners
            .iter()
            .position(|listener| listener.id == id)
        else {
            return;
        };
        let listener = self.state.listeners.swap_remove(index);
        if let Some(reply) = listener.reply {
            let reason = error.map_or_else(|| "closed".to_owned(), |error| cause_chain(&error));
            answer(
                reply,
                Err(ListenError::Refused {
                    address: listener.address,
                    reason,
                }),
            );
        }
    }
}
