//! The lying peer of a devnet, which can come and go while the honest nodes go on.
//!
//! In what ways it lies is the business of the module `liar`.

use super::{Devnet, Interrupt, without_peer_id};
use crate::{
    liar::{Liar, Lie},
    node::{NodeError, PORT_PATIENCE, port_given_back},
};

impl Devnet {
    /// The lying peer, if there is one.
    pub fn liar(&self) -> Option<&Liar> {
        self.liar.as_ref()
    }

    /// Adds a peer that lies in this way; resolves once it listens. Should one that does run already, it is
    /// that one. It goes and comes back with the others, until [`Devnet::stop_liar`].
    ///
    /// All have one identity and one address, one after the other: the nodes remember whom they have met
    /// and tell newcomers of it, so any other would be one more that nobody can reach afterwards.
    ///
    /// # Errors
    /// If the nodes are stopped, a liar of another kind runs, it lacks what it takes to lie this way,
    /// or it can't listen.
    pub async fn start_liar(&mut self, lie: Lie) -> Result<&Liar, NodeError> {
        let refused = |reason: String| Err(NodeError::NoLiar(reason));
        let Some((_, chain)) = self.plan.nodes.first() else {
            return refused("there is no chain".into());
        };
        if self.nodes.is_empty() {
            return refused("the nodes are stopped".into());
        }
        match &self.liar {
            Some(running) if *running.lie() != lie => {
                return refused(format!("one that tells {} runs", running.lie()));
            }
            Some(_) => {}
            None => {
                if lie.needs_proofs() && self.proofs.source.is_none() {
                    return Err(NodeError::NoProofs(lie));
                }
                if lie.epochs_behind().is_some() {
                    // The others' blocks can't be taken back.
                    return refused(format!(
                        "{lie} takes a chain that is set aside at the start"
                    ));
                }
                let mut config = self.proofs.liar(lie);
                if let Some((identity, listen)) = self.plan.former_liar.clone() {
                    config.identity = identity;
                    config.listen = listen;
                }
                self.plan.liar = Some((config, chain.clone()));
                if let Err(error) = self.launch_liar(&Interrupt::default()).await {
                    self.plan.liar = None;
                    // Perhaps somebody else listens there by now: the next one gets another place.
                    self.plan.former_liar = None;
                    return Err(error);
                }
            }
        }
        match &self.liar {
            Some(liar) => Ok(liar),
            None => refused("it has ended".into()),
        }
    }

    /// Ends the lying peer within a second; one of any kind can be started then. Does nothing if there
    /// is none.
    pub async fn stop_liar(&mut self) {
        if let Some((config, _)) = self.plan.liar.take() {
            self.plan.former_liar = Some((config.identity, config.listen));
        }
        if let Some(liar) = self.liar.take() {
            liar.stop().await;
        }
    }

    /// Starts the planned liar, if there is one.
    pub(super) async fn launch_liar(&mut self, interrupt: &Interrupt) -> Result<(), NodeError> {
        let Some((config, chain)) = &mut self.plan.liar else {
            return Ok(());
        };
        config.seeds = self
            .nodes
            .iter()
            .map(|node| node.address().clone())
            .collect();
        interrupt
            .or(port_given_back(&config.listen, PORT_PATIENCE))
            .await??;
        let liar = Liar::start(config.clone(), chain.clone()).await?;
        // Should it start again, it is found where it was.
        config.listen = without_peer_id(liar.address());
        self.liar = Some(liar);
        Ok(())
    }
}
