//! One of the two macro syncs, behind one type.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::{Stream, StreamExt};
use nimiq_network_interface::network::Network;

use super::{LightMacroSync, MacroSync, MacroSyncReturn, PicoMacroSync};
use crate::{event::SyncerKind, messages::ResponseHead};

/// The macro sync at work: optimistic normally, verified as fallback.
pub enum EitherSyncer<TNetwork: Network> {
    /// Optimistic, on minimal checks.
    Normal(PicoMacroSync<TNetwork>),
    /// Verified from the trusted anchor.
    Fallback(LightMacroSync<TNetwork>),
}

impl<TNetwork: Network> EitherSyncer<TNetwork> {
    /// Which of the two it is.
    pub fn kind(&self) -> SyncerKind {
        match self {
            Self::Normal(_) => PicoMacroSync::<TNetwork>::KIND,
            Self::Fallback(_) => LightMacroSync::<TNetwork>::KIND,
        }
    }

    /// See [`MacroSync::add_peer`].
    pub fn add_peer(&mut self, peer: TNetwork::PeerId) {
        match self {
            Self::Normal(sync) => sync.add_peer(peer),
            Self::Fallback(sync) => sync.add_peer(peer),
        }
    }

    /// See [`MacroSync::remove_peer`].
    pub fn remove_peer(&mut self, peer: &TNetwork::PeerId) {
        match self {
            Self::Normal(sync) => sync.remove_peer(peer),
            Self::Fallback(sync) => sync.remove_peer(peer),
        }
    }

    /// The peer whose word an optimistic chain was started on.
    pub(crate) fn origin(&self) -> Option<TNetwork::PeerId> {
        match self {
            Self::Normal(sync) => sync.origin(),
            Self::Fallback(_) => None,
        }
    }

    /// See [`MacroSync::head_of`].
    pub fn head_of(&self, peer: &TNetwork::PeerId) -> Option<&ResponseHead> {
        match self {
            Self::Normal(sync) => sync.head_of(peer),
            Self::Fallback(sync) => sync.head_of(peer),
        }
    }

    /// See [`MacroSync::drain_peers`].
    pub fn drain_peers(&mut self) -> Vec<TNetwork::PeerId> {
        match self {
            Self::Normal(sync) => sync.drain_peers(),
            Self::Fallback(sync) => sync.drain_peers(),
        }
    }
}

impl<TNetwork: Network> Stream for EitherSyncer<TNetwork> {
    type Item = MacroSyncReturn<TNetwork::PeerId>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Normal(sync) => sync.poll_next_unpin(cx),
            Self::Fallback(sync) => sync.poll_next_unpin(cx),
        }
    }
}
