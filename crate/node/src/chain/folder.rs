//! Temporary folders that don't outlive their process for long.
//!
//! A folder is deleted when it is dropped. A process that ends while some thread is still at work in
//! one doesn't drop that, so its last deed is [`delete_folders`]. A process that is killed does nothing any more, so each
//! folder has a file that its owner keeps locked. The system unlocks the file of a dead owner, by
//! which the next process knows that it can delete the folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Once},
};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::ChainError;

/// What names of folders begin with.
const PREFIX: &str = "pico-node-";

/// The file in each folder that is locked as long as its owner lives.
const LOCK_FILE: &str = "owner.lock";

/// How often a folder is deleted in which something is made at that moment.
const DELETE_TRIES: usize = 100;

/// The folders of this process.
static FOLDERS: LazyLock<Arc<Folders>> = LazyLock::new(Arc::default);

/// Deletes every folder of this process, whoever still works in it, and lets nobody make another. For
/// the very end of a process: what uses the folders fails from then on.
pub fn delete_folders() {
    FOLDERS.delete();
}

/// Folders that exist.
#[derive(Debug, Default)]
struct Folders(Mutex<Existing>);

#[derive(Debug, Default)]
struct Existing {
    paths: BTreeSet<PathBuf>,
    /// None is made any more.
    ended: bool,
}

impl Folders {
    fn create_in(self: &Arc<Self>, parent: &Path) -> io::Result<Folder> {
        let mut existing = self.0.lock();
        if existing.ended {
            return Err(io::Error::other("the process is ending"));
        }
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // The file gets its name when it is locked, so that nobody ever finds it unlocked.
        let unnamed = directory.path().join("owner.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, directory.path().join(LOCK_FILE))?;
        let path = directory.path().to_owned();
        existing.paths.insert(path.clone());
        Ok(Folder {
            directory,
            _entry: Entry {
                path,
                folders: Arc::clone(self),
            },
            _lock: lock,
        })
    }

    fn delete(&self) {
        let mut existing = self.0.lock();
        existing.ended = true;
        for path in std::mem::take(&mut existing.paths) {
            // Deleting fails if a file appears or goes meanwhile; there are few in a folder.
            let mut left = DELETE_TRIES;
            while let Err(error) = fs::remove_dir_all(&path)
                && path.exists()
            {
                left -= 1;
                if left == 0 {
                    log::warn!("Can't delete {}: {error}", path.display());
                    break;
                }
            }
        }
    }
}

/// A temporary folder, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    directory: TempDir,
    // Dropped after the former: until the folder is gone it is one to delete.
    _entry: Entry,
    _lock: File,
}

/// A folder's place among those that exist.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    folders: Arc<Folders>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.folders.0.lock().paths.remove(&self.path);
    }
}

impl Folder {
    /// Makes a folder below `parent`, by default the system's folder for temporary files.
    pub(crate) fn create(parent: Option<&Path>) -> Result<Self, ChainError> {
        static SWEPT: Once = Once::new();
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        SWEPT.call_once(|| sweep(&parent));
        FOLDERS.create_in(&parent).map_err(|source| ChainError::Io {
            path: parent,
            source,
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
    fn the_last_deed_leaves_none_behind() {
        let parent = tempfile::tempdir().unwrap();
        let folders = Arc::new(Folders::default());
        drop(folders.create_in(parent.path()).unwrap());
        assert!(folders.0.lock().paths.is_empty());
        let used = folders.create_in(parent.path()).unwrap();
        fs::write(used.path().join("mdbx.dat"), "blocks").unwrap();
        folders.delete();
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
        folders.create_in(parent.path()).unwrap_err();
        drop(used);
        folders.delete();
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn only_what_dead_owners_left_is_deleted() {
        let parent = tempfile::tempdir().unwrap();
        let folders = Arc::new(Folders::default());
        let alive = folders.create_in(parent.path()).unwrap();
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
