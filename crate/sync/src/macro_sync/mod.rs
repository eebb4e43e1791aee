//! Macro sync: how the client learns the macro state of the chain, and what it makes of each peer.
//! [`PicoMacroSync`] is fast and optimistic, [`LightMacroSync`] verifies all from the trusted
//! anchor, by a proof of the election chain or step by step, [`EitherSyncer`] is whichever of them is at work.
//!
//! A macro sync is a stream: it takes in peers as they join and yields one [`MacroSyncReturn`] for
//! each that it is done with. It never follows micro blocks; that is live sync's part.

mod either;
mod light;
mod pico;
mod queue;

use std::{borrow::Cow, sync::Arc};

use futures::Stream;
use nimiq_block::MacroBlock;
use nimiq_network_interface::network::{CloseReason, Network};
use nimiq_utils::spawn;

pub(crate) use self::light::Delivery;
pub use self::{either::EitherSyncer, light::LightMacroSync, pico::PicoMacroSync};
use crate::{
    chain::{Proven, PushError, Unproven},
    event::{EventBus, SyncEvent, SyncerKind},
    messages::ResponseHead,
    shared::SharedChain,
    verifier::{Verifier, VerifierError, VerifyJob},
};

/// Why a peer is taken for what it is, for people.
pub type Reason = Cow<'static, str>;

/// What macro sync made of a peer.
#[derive(Debug)]
pub enum MacroSyncReturn<TPeerId> {
    /// It agrees with our macro state.
    Good(TPeerId),
    /// It is behind us.
    Outdated(TPeerId, Reason),
    /// It lacks services that we need.
    Incompatible(TPeerId, Reason),
    /// It claims another chain than ours.
    Conflicting(TPeerId, Conflict),
}

/// What a conflict says of the chain that it was found against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// Nothing: the peer broke the protocol, so it is a liar whichever chain is right.
    Breach,
    /// Not much: the peer contradicts itself, again and again, but shows no block for it.
    Doubt,
    /// One of the two is wrong, and no passing of time can explain it.
    Contradiction,
}

/// What a conflicting peer claims.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// For people.
    pub reason: Reason,
    /// The block that does not go with ours, as the peer delivered it.
    pub evidence: Option<Box<MacroBlock>>,
    /// What it says of our chain.
    pub weight: Weight,
}

impl<TPeerId> MacroSyncReturn<TPeerId> {
    /// The peer it is about.
    pub fn peer(&self) -> &TPeerId {
        match self {
            Self::Good(peer)
            | Self::Outdated(peer, _)
            | Self::Incompatible(peer, _)
            | Self::Conflicting(peer, _) => peer,
        }
    }
}

/// A way to sync the macro state.
pub trait MacroSync<TPeerId>: Stream<Item = MacroSyncReturn<TPeerId>> {
    /// Which one it is.
    const KIND: SyncerKind;

    /// Looks at a peer (again), which is connected and has the services we need.
    fn add_peer(&mut self, peer: TPeerId);

    /// Forgets a peer.
    fn remove_peer(&mut self, peer: &TPeerId);

    /// The head that a good peer named when it was looked at.
    fn head_of(&self, peer: &TPeerId) -> Option<&ResponseHead>;

    /// Gives up all peers that it is not done with.
    fn drain_peers(&mut self) -> Vec<TPeerId>;
}

/// What every macro sync works with.
pub(crate) struct Context<TNetwork> {
    pub(crate) network: Arc<TNetwork>,
    pub(crate) chain: SharedChain,
    pub(crate) verifier: Arc<dyn Verifier>,
    /// Where the verifier's failures are told, also of a chain that is otherwise silent.
    pub(crate) events: EventBus,
}

impl<TNetwork> Clone for Context<TNetwork> {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            chain: self.chain.clone(),
            verifier: self.verifier.clone(),
            events: self.events.clone(),
        }
    }
}

impl<TNetwork: Network> Context<TNetwork> {
    /// Closes the connection to a peer; the network tells everybody when it is closed.
    pub(crate) fn disconnect(&self, peer: TNetwork::PeerId, reason: CloseReason, why: &str) {
        log::info!("disconnecting {peer} ({reason:?}): {why}");
        let network = self.network.clone();
        spawn(async move { network.disconnect_peer(peer, reason).await });
    }
}

impl<TNetwork> Context<TNetwork> {
    /// Checks a block's signatures. Where the verifier is out of order the check runs here
    /// instead: slow, and said in an event, but never left out.
    ///
    /// # Errors
    /// What is wrong with the signatures.
    pub(crate) async fn prove(&self, unproven: Unproven) -> Result<Proven, PushError> {
        match unproven.clone().prove(&*self.verifier).await {
            Ok(result) => result,
            Err(error) => {
                self.say_in_place(&error);
                unproven.prove_in_place()
            }
        }
    }

    /// Tells whether the signatures of a job hold, with the same way out.
    pub(crate) async fn holds(&self, job: VerifyJob) -> bool {
        match self.verifier.verify(job.clone()).await {
            Ok(holds) => holds,
            Err(error) => {
                self.say_in_place(&error);
                job.run()
            }
        }
    }

    fn say_in_place(&self, error: &VerifierError) {
        // Once for each block: the event is what tells of it.
        log::info!("checking signatures in place: {error}");
        self.events.emit(SyncEvent::VerifiedInPlace {
            reason: error.to_string(),
        });
    }
}
