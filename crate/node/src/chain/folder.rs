//! Temporary folders that don't outlive their process for long.
//!
//! A folder is deleted when it is dropped. A process that is killed drops nothing, so each folder has
//! a file that its owner keeps locked. The system unlocks the file of a dead owner, by which the
//! next process knows that it can delete the folder.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Once,
};

use tempfile::TempDir;

use super::ChainError;

/// What names of folders begin with.
const PREFIX: &str = "pico-node-";

/// The file in each folder that is locked as long as its owner lives.
const LOCK_FILE: &str = "owner.lock";

/// A temporary folder, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    directory: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes a folder below `parent`, by default the system's folder for temporary files.
    pub(crate) fn create(parent: Option<&Path>) -> Result<Self, ChainError> {
        static SWEPT: Once = Once::new();
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        SWEPT.call_once(|| sweep(&parent));
        Self::create_in(&parent).map_err(|source| ChainError::Io {
            path: parent,
            source,
        })
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // The file gets its name when it is locked, so that nobody ever finds it unlocked.
        let unnamed = directory.path().join("owner.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, directory.path().join(LOCK_FILE))?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Deletes the folders below `parent` whose owners are dead. What can't be deleted stays; it harms
/// nobody but the disk.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_orphan(entry.path()) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => log::info!("Deleted {}, left by a dead process", entry.path().display()),
                Err(error) => log::warn!("Can't delete {}: {error}", entry.path().display()),
            }
        }
    }
}

/// Whether a folder has a lock file that nobody locks. Without the file, its owner may just be making
/// it.
fn is_orphan(folder: PathBuf) -> bool {
    File::open(folder.join(LOCK_FILE)).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn only_what_dead_owners_left_is_deleted() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Folder::create_in(parent.path()).unwrap();
        // What a killed process leaves: the folder, and a file that is not locked any more.
        let dead = parent.path().join("pico-node-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK_FILE), "").unwrap();
        fs::write(dead.join("mdbx.dat"), "blocks").unwrap();
        let young = parent.path().join("pico-node-young");
        fs::create_dir(&young).unwrap();
        let foreign = parent.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join(LOCK_FILE), "").unwrap();

        sweep(parent.path());
        assert!(!dead.exists());
        assert!(alive.path().exists() && young.exists() && foreign.exists());

        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
