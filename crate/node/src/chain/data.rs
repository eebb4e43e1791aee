//! Where a chain is kept: an MDBX database in a temporary folder.

use std::{fs, path::Path, sync::Arc};

use nimiq_blockchain::{Blockchain, BlockchainConfig};
use nimiq_blockchain_interface::AbstractBlockchain;
use nimiq_database::mdbx::{DatabaseConfig, MdbxDatabase};
use nimiq_primitives::policy::Policy;
use nimiq_utils::time::OffsetTime;
use parking_lot::RwLock;

use super::{ChainError, NETWORK_ID, folder::Folder, init_policy};

/// The file MDBX keeps a database in.
const DATABASE_FILE: &str = "mdbx.dat";

/// The largest a database may grow. It is only address space until it is used.
const DATABASE_MAX_SIZE: isize = 64 << 30;

/// A blockchain with the temporary database it is in; the latter is deleted with the last clone.
#[derive(Clone)]
pub struct ChainData {
    /// The blockchain.
    pub blockchain: Arc<RwLock<Blockchain>>,
    /// Its database.
    pub database: MdbxDatabase,
    // Dropped last: the database lies in it.
    directory: Arc<Folder>,
}

impl std::fmt::Debug for ChainData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainData")
            .field("head", &self.blockchain.read().head().to_string())
            .field("directory", &self.directory.path())
            .finish_non_exhaustive()
    }
}

impl ChainData {
    /// Number of the last block.
    pub fn height(&self) -> u32 {
        self.blockchain.read().block_number()
    }

    /// A chain that consists of the genesis block, in a new folder below `parent` or the system's
    /// for temporary files.
    pub(super) fn create(parent: Option<&Path>, keep_all_epochs: bool) -> Result<Self, ChainError> {
        Self::open(Folder::create(parent)?, keep_all_epochs)
    }

    /// A copy in a folder of its own.
    pub(super) fn copy(
        &self,
        parent: Option<&Path>,
        keep_all_epochs: bool,
    ) -> Result<Self, ChainError> {
        let directory = Folder::create(parent)?;
        let target = directory.path().join(DATABASE_FILE);
        {
            // As long as the chain can't be extended no transaction is under way, and what is
            // committed is in the file.
            let _unchanged = self.blockchain.upgradable_read();
            fs::copy(self.directory.path().join(DATABASE_FILE), &target).map_err(|source| {
                ChainError::Io {
                    path: target,
                    source,
                }
            })?;
        }
        Self::open(directory, keep_all_epochs)
    }

    fn open(directory: Folder, keep_all_epochs: bool) -> Result<Self, ChainError> {
        let (database, blockchain) = open_blockchain(directory.path(), keep_all_epochs)?;
        Ok(Self {
            blockchain,
            database,
            directory: Arc::new(directory),
        })
    }
}

/// Opens or creates the database in a folder, and the blockchain in it, as a history node has it, with its index.
fn open_blockchain(
    directory: &Path,
    keep_all_epochs: bool,
) -> Result<(MdbxDatabase, Arc<RwLock<Blockchain>>), ChainError> {
    init_policy();
    let database = MdbxDatabase::new(
        directory,
        DatabaseConfig {
            size: Some(0..DATABASE_MAX_SIZE),
            ..DatabaseConfig::default()
        },
    )?;
    let blockchain = Blockchain::new(
        database.clone(),
        BlockchainConfig {
            keep_history: true,
            max_epochs_stored: if keep_all_epochs {
                u32::MAX
            } else {
                Policy::MIN_EPOCHS_STORED
            },
            // As `nimiq-client` has it: who asks by address or hash gets an answer.
            index_history: true,
        },
        NETWORK_ID,
        Arc::new(OffsetTime::new()),
    )?;
    Ok((database, Arc::new(RwLock::new(blockchain))))
}
