//! The real prover.

use std::path::Path;

use nimiq_primitives::networks::NetworkId;
use pico_zkp::{
    PreparedVerifyingKey, Statement, VerifyingKey,
    prover::{self, DEVELOPMENT_SEED, Link, ProvingKeys, StepProof, UNIT_ALBATROSS},
};

use super::{Epoch, EpochProver, ProverError};
use crate::{chain::NETWORK_ID, proofs::StoredProof};

/// Makes the keys of `unit-albatross`, writes the proving keys to a file, and returns the verifying key as
/// clients read it. Everybody makes the same keys, so they are for development only.
///
/// # Errors
/// If the keys can't be made, or not be written.
pub fn make_development_keys(
    path: &Path,
    tell: &mut dyn FnMut(String),
) -> Result<Vec<u8>, ProverError> {
    let keys = ProvingKeys::setup(&UNIT_ALBATROSS, DEVELOPMENT_SEED, &mut |stage| {
        tell(stage.to_string());
    })
    .map_err(failed)?;
    keys.save(path)
        .map_err(|error| ProverError(format!("can't write {}: {error}", path.display())))?;
    let key = keys.verifying_key().map_err(failed)?;
    Ok(VerifyingKey::Chain(key).to_bytes())
}

/// Proves with the keys of a network.
pub struct Groth16Prover {
    keys: ProvingKeys,
    prepared: PreparedVerifyingKey,
}

impl std::fmt::Debug for Groth16Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groth16Prover")
            .field("parameters", self.keys.parameters())
            .finish_non_exhaustive()
    }
}

impl Groth16Prover {
    /// Proves with the keys in a file.
    ///
    /// # Errors
    /// If they can't be read, or are of another network.
    pub fn load(path: &Path) -> Result<Self, ProverError> {
        let keys = ProvingKeys::load(path)
            .map_err(|error| ProverError(format!("{}: {error}", path.display())))?;
        let network = keys.parameters().network;
        if network != NETWORK_ID as u8 {
            let name = NetworkId::try_from(network)
                .map_or_else(|_| network.to_string(), |network| network.to_string());
            return Err(ProverError(format!(
                "{} has keys of another network: {name}",
                path.display()
            )));
        }
        let key = VerifyingKey::Chain(keys.verifying_key().map_err(failed)?);
        Ok(Self {
            prepared: key.prepare().map_err(failed)?,
            keys,
        })
    }
}

impl EpochProver for Groth16Prover {
    fn anchor_number(&self) -> u32 {
        self.keys.parameters().anchor_number
    }

    fn step(
        &self,
        epoch: Epoch<'_>,
        link: Option<&StoredProof>,
        tell: &mut dyn FnMut(String),
    ) -> Result<StoredProof, ProverError> {
        let link = link.map(|proof| Link {
            step: step_of(proof),
            wrapper: proof.wrapper.clone().unwrap_or_default(),
        });
        let step = prover::prove_step(
            &self.keys,
            epoch.previous,
            epoch.next,
            link.as_ref(),
            &mut |stage| tell(stage.to_string()),
        )
        .map_err(failed)?;
        Ok(StoredProof {
            block_number: step.block_number,
            anchor: step.anchor,
            head: step.head,
            step: step.step,
            wrapper: None,
        })
    }

    fn wrap(
        &self,
        step: &StoredProof,
        tell: &mut dyn FnMut(String),
    ) -> Result<Vec<u8>, ProverError> {
        let link = prover::wrap(&self.keys, &step_of(step), &mut |stage| {
            tell(stage.to_string());
        });
        Ok(link.map_err(failed)?.wrapper)
    }

    fn accepts(&self, proof: &StoredProof) -> bool {
        let statement = Statement {
            anchor: proof.anchor,
            head: proof.head,
        };
        self.prepared.verify(&statement, &proof.step).is_ok()
    }
}

fn step_of(proof: &StoredProof) -> StepProof {
    StepProof {
        block_number: proof.block_number,
        anchor: proof.anchor,
        head: proof.head,
        step: proof.step.clone(),
    }
}

fn failed(error: impl std::fmt::Display) -> ProverError {
    ProverError(error.to_string())
}
