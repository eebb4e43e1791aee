//! The folder that keeps who a gateway is: the key of its peer id, and the certificate whose hash is in
//! its WebRTC addresses. Both make up the addresses that clients have, so a file that can't be read is
//! an error, and never replaced.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use pico_network::{Certificate, Keypair, identity_from_secret, new_identity, secret_of};
use thiserror::Error;

/// The key of the peer id: 64 hex digits.
const IDENTITY_FILE: &str = "identity.key";
/// Certificate and key of WebRTC, as PEM.
const CERTIFICATE_FILE: &str = "certificate.pem";
/// Locked by the gateway that uses the folder.
const LOCK_FILE: &str = "gateway.lock";
/// Bytes of the longest file that is read. What belongs in there is far shorter.
const MAX_FILE: u64 = 64 * 1024;

/// The folder can't be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refuses.
    #[error("can't use {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written once.
    #[error(
        "{path} is damaged: {reason}. Restore it from a backup, or delete it: then the gateway gets other addresses"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another gateway uses it.
    #[error("{0} is in use by another gateway")]
    InUse(PathBuf),
    /// A certificate couldn't be made.
    #[error("can't make a certificate: {0}")]
    Certificate(String),
}

/// Who a gateway is.
#[derive(Clone)]
pub struct Secrets {
    /// The key of its peer id.
    pub identity: Keypair,
    /// What its WebRTC listeners show.
    pub certificate: Certificate,
}

// Spelled out so that no key ever ends in a log.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("peer_id", &self.identity.public().to_peer_id())
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// New ones that nobody keeps.
    ///
    /// # Errors
    /// [`FolderError::Certificate`].
    pub fn generate() -> Result<Self, FolderError> {
        Ok(Self {
            identity: new_identity(),
            certificate: new_certificate()?,
        })
    }
}

/// An open folder. No other gateway can use it until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    #[expect(dead_code, reason = "it is locked as long as it is open")]
    lock: File,
}

impl DataFolder {
    /// Opens a folder, which is made if there is none, for its owner only.
    ///
    /// # Errors
    /// If it can't be written, or another gateway uses it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| failed(&path, source))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| failed(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(fs::TryLockError::WouldBlock) => Err(FolderError::InUse(path)),
            Err(fs::TryLockError::Error(source)) => Err(failed(&lock_path, source)),
        }
    }

    /// Reads what is there, and makes what isn't.
    ///
    /// # Errors
    /// If a file can't be read or written, or is damaged.
    pub fn secrets(&self) -> Result<Secrets, FolderError> {
        Ok(Secrets {
            identity: self.read_or_make(IDENTITY_FILE, parse_identity, make_identity)?,
            certificate: self.read_or_make(CERTIFICATE_FILE, parse_certificate, || {
                let certificate = new_certificate()?;
                let text = certificate.to_pem();
                Ok((certificate, text))
            })?,
        })
    }

    fn read_or_make<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        make: impl FnOnce() -> Result<(T, String), FolderError>,
    ) -> Result<T, FolderError> {
        let path = self.path.join(name);
        match read(&path) {
            Ok(bytes) => std::str::from_utf8(&bytes)
                .map_err(|_| "it is no text".to_owned())
                .and_then(parse)
                .map_err(|reason| FolderError::Damaged { path, reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (made, text) = make()?;
                self.write(&path, text.as_bytes())
                    .map_err(|source| failed(&path, source))?;
                Ok(made)
            }
            Err(source) => Err(failed(&path, source)),
        }
    }

    /// The file appears with all of its content or not at all, also where the power fails.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        // One that a crash left may have other permissions.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The name as well.
        File::open(&self.path)?.sync_all()
    }
}

/// The content of a file, but for what is longer than any.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        log::warn!(
            "{} can be read by others than its owner: chmod 600 it",
            path.display()
        );
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn failed(path: &Path, source: io::Error) -> FolderError {
    FolderError::Io {
        path: path.to_owned(),
        source,
    }
}

fn make_identity() -> Result<(Keypair, String), FolderError> {
    let identity = new_identity();
    // Ours are always Ed25519, which has one.
    let secret = secret_of(&identity).unwrap_or_default();
    Ok((identity, format!("{}\n", hex::encode(secret))))
}

fn parse_identity(text: &str) -> Result<Keypair, String> {
    let secret = hex::decode(text.trim_end()).map_err(|error| error.to_string())?;
    identity_from_secret(&secret).map_err(|_| "it is no key of 32 bytes".to_owned())
}

fn new_certificate() -> Result<Certificate, FolderError> {
    Certificate::generate().map_err(|error| FolderError::Certificate(error.to_string()))
}

fn parse_certificate(text: &str) -> Result<Certificate, String> {
    Certificate::from_pem(text).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_stay_and_are_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/data");
        let first = DataFolder::open(&path).unwrap().secrets().unwrap();
        let again = DataFolder::open(&path).unwrap().secrets().unwrap();
        assert_eq!(first.identity.public(), again.identity.public());
        assert_eq!(first.certificate.certhash(), again.certificate.certhash());
        assert_eq!(mode(&path), 0o700);
        for name in [IDENTITY_FILE, CERTIFICATE_FILE, LOCK_FILE] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_eq!(path.read_dir().unwrap().count(), 3, "nothing is left over");
        assert_ne!(
            Secrets::generate().unwrap().identity.public(),
            first.identity.public()
        );
    }

    #[test]
    fn one_gateway_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let open = DataFolder::open(folder.path()).unwrap();
        assert!(matches!(
            DataFolder::open(folder.path()),
            Err(FolderError::InUse(_))
        ));
        drop(open);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn damaged_files_are_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        DataFolder::open(folder.path()).unwrap().secrets().unwrap();
        for (name, contents) in [
            (IDENTITY_FILE, [&b""[..], b"ab", b"zz", &[0xff; 9]]),
            (CERTIFICATE_FILE, [b"", b"ab", b"-----BEGIN", &[0xff; 9]]),
        ] {
            let path = folder.path().join(name);
            let whole = fs::read(&path).unwrap();
            for content in contents {
                fs::write(&path, content).unwrap();
                let error = DataFolder::open(folder.path()).unwrap().secrets();
                let error = error.unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("damaged"), "{error}");
                assert_eq!(fs::read(&path).unwrap(), content);
            }
            fs::write(&path, whole).unwrap();
        }
        DataFolder::open(folder.path()).unwrap().secrets().unwrap();
    }
}
