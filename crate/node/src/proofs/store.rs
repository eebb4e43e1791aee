//! A folder with a file for each proof.
//!
//! A file appears with all of its content or not at all, also where the power fails, so there is
//! nothing to repair: the files that are there are the index.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use thiserror::Error;

use super::{
    ElectionBlocks, LatestProof, ProofSource, StoredProof, serve::hash_of, stored::MAX_FILE,
};

/// How file names end.
const EXTENSION: &str = "link";

/// The file that is locked as long as somebody adds proofs.
const LOCK_FILE: &str = "prover.lock";

/// How long what was read is taken for what is there.
const FRESH: Duration = Duration::from_secs(1);

/// A store can't be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("can't use {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process adds proofs to it.
    #[error("another process adds proofs to {0}")]
    Locked(PathBuf),
}

/// A folder with proofs. Clones share what was read.
#[derive(Clone, Debug)]
pub struct ProofStore {
    directory: PathBuf,
    read: Arc<Mutex<Option<Reading>>>,
}

/// What was there when the folder was last read.
#[derive(Debug)]
struct Reading {
    at: Instant,
    proofs: BTreeMap<u32, StoredProof>,
}

/// Keeps other processes from adding proofs, until it is dropped.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "it is locked as long as it is open")] File);

impl ProofStore {
    /// The store in a folder. Nothing is read or made yet; a folder that isn't there has no proofs.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            read: Arc::default(),
        }
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the folder if there is none, and lets no other process add proofs to it.
    ///
    /// # Errors
    /// If the folder can't be written, or another process adds proofs.
    pub fn lock(&self) -> Result<StoreLock, StoreError> {
        let path = self.directory.join(LOCK_FILE);
        let file = fs::create_dir_all(&self.directory)
            .and_then(|()| File::create(&path))
            .map_err(|source| self.failed(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(StoreLock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked(self.directory.clone())),
            Err(fs::TryLockError::Error(source)) => Err(self.failed(&path, source)),
        }
    }

    /// Adds a proof, or replaces that of the same block. It is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk is full and the like.
    pub fn put(&self, proof: &StoredProof) -> Result<(), StoreError> {
        let path = self.path_of(proof.block_number);
        let temporary = path.with_extension("tmp");
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&proof.to_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            // The name as well.
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| self.failed(&path, source))?;
        *self.read.lock() = None;
        Ok(())
    }

    /// All proofs by block number, as the files are now. Those that can't be read are left out: to
    /// whoever makes proofs they are missing.
    ///
    /// # Errors
    /// If the folder can't be listed.
    pub fn load(&self) -> Result<BTreeMap<u32, StoredProof>, StoreError> {
        let failed = |source| self.failed(&self.directory, source);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut proofs = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|found| found != EXTENSION) {
                continue;
            }
            match read(&path) {
                Ok(proof) if path == self.path_of(proof.block_number) => {
                    proofs.insert(proof.block_number, proof);
                }
                Ok(proof) => log::warn!(
                    "{} is of block {} and left out",
                    path.display(),
                    proof.block_number
                ),
                Err(reason) => log::warn!("{} is left out: {reason}", path.display()),
            }
        }
        Ok(proofs)
    }

    fn path_of(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:010}.{EXTENSION}"))
    }

    fn failed(&self, path: &Path, source: io::Error) -> StoreError {
        StoreError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn read(path: &Path) -> Result<StoredProof, String> {
    let mut bytes = Vec::new();
    // One more than there can be tells that there is too much.
    let most = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    StoredProof::from_bytes(&bytes).map_err(|error| error.to_string())
}

impl ProofSource for ProofStore {
    /// The latest that is of a block of this chain. What a prover adds is seen within a second.
    fn latest(&self, blocks: &dyn ElectionBlocks, at_most: u32) -> Option<LatestProof> {
        let last = blocks.last()?.min(at_most);
        let mut read = self.read.lock();
        if read
            .as_ref()
            .is_none_or(|reading| reading.at.elapsed() > FRESH)
        {
            let at = Instant::now();
            match self.load() {
                Ok(proofs) => *read = Some(Reading { at, proofs }),
                Err(error) => log::warn!("No proofs: {error}"),
            }
        }
        let proofs = &read.as_ref()?.proofs;
        proofs.range(..=last).rev().find_map(|(number, proof)| {
            let block = blocks.at(*number)?;
            (hash_of(&block) == proof.head).then(|| LatestProof {
                block,
                proof: proof.step.clone(),
            })
        })
    }
}
