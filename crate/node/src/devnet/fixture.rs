//! What a devnet reads from files: the fixture that its chain begins with, and proofs to serve.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use nimiq_block::MacroBlock;
use nimiq_serde::Deserialize;

use super::DevnetConfig;
use crate::{
    chain::{ELECTIONS_FILE, Folder, PROOFS_FOLDER},
    liar::{LiarConfig, Lie},
    node::NodeError,
    proofs::{ProofSource, ProofStore, SimulatedProofs},
};

/// The file with the verifying key of simulated proofs.
const KEY_FILE: &str = "simulated.vk";

/// Where the proofs of a devnet come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proofs {
    /// From a folder that a prover writes to, perhaps right now.
    Stored(PathBuf),
    /// From nowhere: they are simulated, for a key that is made from this seed. The chain must be of
    /// version 2.
    Simulated(u64),
}

/// The proofs that all nodes serve.
#[derive(Debug, Default)]
pub(super) struct ServedProofs {
    pub(super) source: Option<Arc<dyn ProofSource>>,
    /// The file with their verifying key, if it was made here.
    pub(super) key: Option<PathBuf>,
    /// Keeps the folder that it is in.
    _folder: Option<Folder>,
}

impl ServedProofs {
    pub(super) fn of(config: &DevnetConfig) -> Result<Self, NodeError> {
        let stored = |directory: &Path| Self {
            source: Some(Arc::new(ProofStore::new(directory))),
            ..Self::default()
        };
        match (&config.proofs, &config.fixture) {
            (Some(Proofs::Stored(directory)), _) => Ok(stored(directory)),
            (Some(Proofs::Simulated(seed)), _) => {
                let proofs = SimulatedProofs::new(*seed);
                let folder = Folder::create(None)?;
                let path = folder.path().join(KEY_FILE);
                std::fs::write(&path, proofs.verifying_key())
                    .map_err(|source| failed(&path, source))?;
                Ok(Self {
                    source: Some(Arc::new(proofs)),
                    key: Some(path),
                    _folder: Some(folder),
                })
            }
            (None, Some(fixture)) => Ok(stored(&fixture.join(PROOFS_FOLDER))),
            (None, None) => Ok(Self::default()),
        }
    }

    /// How to start a liar that knows of these, and is yet to be told of its peers.
    pub(super) fn liar(&self, lie: Lie) -> LiarConfig {
        let mut config = LiarConfig::new(lie, Vec::new());
        config.proofs.clone_from(&self.source);
        config
    }
}

/// Reads the election blocks that a fixture is of.
pub(super) fn read(directory: &Path) -> Result<Vec<MacroBlock>, NodeError> {
    let path = directory.join(ELECTIONS_FILE);
    let bytes = std::fs::read(&path).map_err(|source| failed(&path, source))?;
    Deserialize::deserialize_from_vec(&bytes).map_err(|_| NodeError::OtherFixture)
}

fn failed(path: &Path, source: std::io::Error) -> NodeError {
    NodeError::Io {
        path: path.to_owned(),
        source,
    }
}
