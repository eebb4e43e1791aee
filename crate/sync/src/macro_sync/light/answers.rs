//! What light macro sync asks of peers, and what it makes of what they say of their chains.

use nimiq_hash::Blake2bHash;
use nimiq_network_interface::network::Network;
use nimiq_primitives::policy::Policy;
use nimiq_time::sleep;

use super::{LightMacroSync, OTHER_ELECTION, Wanted, proofs::Delivery};
use crate::{
    chain::ProofBase,
    limits,
    macro_sync::{
        Context, MacroSyncReturn, Reason, Weight,
        pico::{Verdict, macro_hash, may_catch_up, unknown_to_peer},
    },
    messages::{Checkpoint, MacroChain, ResponseHead},
    requests::{self, PeerFault},
};

/// What a peer said.
pub(super) enum Answer {
    /// Its proof.
    Proof(Result<Delivery, PeerFault>),
    /// Its chain.
    Chain(Result<ChainAnswer, PeerFault>),
}

/// A peer's answer: its head, and the macro chain after ours. The epoch is the one that our
/// election head ended when the question was asked, and `macro_hash` is of our macro head then.
pub(super) struct ChainAnswer {
    epoch: u32,
    macro_hash: Option<Blake2bHash>,
    head: ResponseHead,
    chain: Named,
}

/// What a peer names after our chain.
enum Named {
    /// So much, and perhaps more that was not asked for.
    Chain(MacroChain, bool),
    /// It knows none of our macro blocks, which is as much as to say this.
    Nothing(Verdict),
}

/// Asks a peer what comes after our chain.
pub(super) async fn ask_for_chain<TNetwork: Network>(
    context: Context<TNetwork>,
    peer: TNetwork::PeerId,
    in_doubt: bool,
) -> Answer {
    if in_doubt {
        sleep(limits::HEAD_RETRY_DELAY).await;
    }
    Answer::Chain(chain_after_ours(context, peer).await)
}

async fn chain_after_ours<TNetwork: Network>(
    context: Context<TNetwork>,
    peer: TNetwork::PeerId,
) -> Result<ChainAnswer, PeerFault> {
    let asked = context.chain.read(|chain| {
        let epoch = Policy::epoch_at(chain.election_head().block_number());
        // What comes after the block that proofs start from may be of no use.
        let wanted = match chain.proof_base() {
            ProofBase::Ahead(number) => Policy::epoch_at(number).saturating_sub(epoch),
            ProofBase::Ready(_) | ProofBase::None(_) => u32::MAX,
        };
        (chain.macro_locators(), epoch, wanted)
    });
    let (locators, epoch, wanted) = asked.unwrap_or_default();
    let macro_hash = macro_hash(&context);
    let max_epochs = u16::try_from(wanted).unwrap_or(u16::MAX);
    let max_epochs = max_epochs.min(limits::MAX_EPOCHS_PER_REQUEST);
    let network = &*context.network;
    let chain = requests::macro_chain(network, peer, locators, max_epochs).await?;
    let head = requests::head(network, peer).await?;
    let chain = match chain {
        Some(chain) => {
            let cut_short = chain.epochs.len() >= usize::from(max_epochs);
            Named::Chain(chain, cut_short)
        }
        None => Named::Nothing(unknown_to_peer(&context, peer, &head).await?),
    };
    Ok(ChainAnswer {
        epoch,
        macro_hash,
        head,
        chain,
    })
}

impl<TNetwork: Network> LightMacroSync<TNetwork> {
    pub(super) fn handle_answer(&mut self, peer: TNetwork::PeerId, answer: Answer) {
        match answer {
            Answer::Proof(delivery) => self.handle_delivery(peer, delivery),
            Answer::Chain(Ok(answer)) => self.handle_chain(peer, answer),
            Answer::Chain(Err(fault)) => self.handle_fault(peer, fault),
        }
    }

    fn handle_chain(&mut self, peer: TNetwork::PeerId, answer: ChainAnswer) {
        let ChainAnswer {
            epoch,
            macro_hash,
            head,
            chain,
        } = answer;
        let (
            MacroChain {
                mut epochs,
                checkpoint,
            },
            cut_short,
        ) = match chain {
            Named::Chain(chain, cut_short) => (chain, cut_short),
            Named::Nothing(verdict) => {
                return self.handle_stranger(peer, head, macro_hash, verdict);
            }
        };

        // Our chain may have grown since we asked.
        let Some((our_epoch, our_macro)) = self.context.chain.read(|chain| {
            (
                Policy::epoch_at(chain.election_head().block_number()),
                chain.macro_head().block_number(),
            )
        }) else {
            return self.ask(peer);
        };
        let passed = our_epoch.saturating_sub(epoch) as usize;
        for (i, hash) in epochs.iter().take(passed).enumerate() {
            let number = Policy::election_block_of(epoch + 1 + i as u32).unwrap_or(u32::MAX);
            if self
                .context
                .chain
                .read(|chain| chain.contradicts(number, hash))
                == Some(true)
            {
                return self.contradiction(peer, OTHER_ELECTION);
            }
        }
        let last_epoch = epoch.saturating_add(epochs.len() as u32);
        epochs.drain(..passed.min(epochs.len()));

        if let Some(checkpoint) = &checkpoint {
            let number = checkpoint.block_number;
            let plausible = Policy::is_macro_block_at(number)
                && !Policy::is_election_block_at(number)
                && Policy::epoch_at(number) == last_epoch.saturating_add(1);
            if !plausible {
                return self.breach(peer, "it names a checkpoint that can't be one");
            }
        }
        let newer = checkpoint
            .as_ref()
            .filter(|checkpoint| checkpoint.block_number > our_macro)
            .map(|checkpoint| checkpoint.hash.clone());
        if epochs.is_empty() && newer.is_none() {
            // It was cut short if it was in dispute.
            self.disputed.remove(&peer);
            if cut_short && passed > 0 {
                // We have got as far as it said, and it did not say all.
                return self.ask(peer);
            }
            return self.conclude(peer, head, macro_hash, checkpoint);
        }

        let wanted: Vec<_> = (our_epoch + 1..)
            .zip(epochs)
            .map(|(epoch, hash)| Wanted {
                hash,
                place: Policy::election_block_of(epoch).unwrap_or(u32::MAX),
            })
            .collect();
        let last = Policy::election_block_of(last_epoch).unwrap_or(u32::MAX);
        let newer = newer.map(|hash| Wanted {
            hash,
            place: last.saturating_add(1),
        });
        let wanted: Vec<_> = wanted.into_iter().chain(newer).collect();
        let Err(i) = self.queue.merge(peer, wanted.clone()) else {
            return;
        };
        let Some(disputed) = wanted.into_iter().nth(i) else {
            return;
        };
        if i == 0 {
            self.queue.oppose(peer, disputed.clone());
        }
        self.disputed.insert(peer, disputed);
    }

    /// A peer knows none of our macro blocks.
    fn handle_stranger(
        &mut self,
        peer: TNetwork::PeerId,
        head: ResponseHead,
        macro_hash: Option<Blake2bHash>,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Outdated(reason) => self.outdated(peer, &head, macro_hash, reason),
            Verdict::Conflicting(conflict) if conflict.weight == Weight::Contradiction => {
                self.done(MacroSyncReturn::Conflicting(peer, conflict), &peer);
            }
            Verdict::Fault(fault) => self.handle_fault(peer, fault),
            // Our chain has moved on meanwhile, or the peer contradicts itself.
            Verdict::Conflicting(_) | Verdict::Good => self.doubt(peer, &head),
        }
    }

    /// A peer has nothing newer than our chain: says whether it agrees, is behind, or what.
    fn conclude(
        &mut self,
        peer: TNetwork::PeerId,
        head: ResponseHead,
        macro_hash: Option<Blake2bHash>,
        checkpoint: Option<Checkpoint>,
    ) {
        let Some(ours) = self.context.chain.heads() else {
            return self.ask(peer);
        };
        if head.election_hash == ours.election_head.hash && head.macro_hash == ours.macro_head.hash
        {
            self.done(MacroSyncReturn::Good(peer), &peer);
            self.heads.insert(peer, head);
            self.proofs.finish();
            return;
        }
        if let Some(checkpoint) = &checkpoint
            && checkpoint.block_number == ours.macro_head.number
            && checkpoint.hash != ours.macro_head.hash
        {
            return self.contradiction(peer, "it names another macro block than the verified one");
        }
        let behind = self.context.chain.read(|chain| {
            if head.election_hash != ours.election_head.hash {
                return chain.knows_election(&head.election_hash)
                    || chain.election_head().header.parent_election_hash == head.election_hash;
            }
            head.macro_hash == head.election_hash
                || chain.is_on_main_chain(&head.macro_hash)
                || checkpoint.is_some_and(|checkpoint| checkpoint.hash == head.macro_hash)
        });
        if behind == Some(true) {
            let reason = "it is a batch or more behind";
            return self.outdated(peer, &head, macro_hash, reason.into());
        }
        self.doubt(peer, &head);
    }

    /// A peer is behind us by what it said; that it may have said too early counts as a doubt.
    fn outdated(
        &mut self,
        peer: TNetwork::PeerId,
        head: &ResponseHead,
        macro_hash: Option<Blake2bHash>,
        reason: Reason,
    ) {
        let doubts = self.peers.entry(peer).or_default();
        if *doubts < limits::HEAD_RETRIES
            && may_catch_up(&self.context, macro_hash.as_ref(), head).is_some()
        {
            *doubts += 1;
            return self.ask(peer);
        }
        self.done(MacroSyncReturn::Outdated(peer, reason), &peer);
    }

    /// A peer contradicts itself. Its head may have moved on between its answers, so it is asked
    /// again, but not for ever.
    fn doubt(&mut self, peer: TNetwork::PeerId, head: &ResponseHead) {
        let doubts = self.peers.entry(peer).or_default();
        *doubts += 1;
        if *doubts <= limits::HEAD_RETRIES {
            return self.ask(peer);
        }
        log::info!(
            "{peer} does not lead to its head, block {}",
            head.block_number
        );
        let reason = "its head is not on the macro chain that it names";
        self.conflict(peer, reason, Weight::Doubt);
    }
}
