//! Why the process ends.

use std::{io, process::ExitCode, time::Duration};

use pico_node::{
    chain::ChainError,
    node::{NodeError, is_stopping},
};
use thiserror::Error;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// How often to look whether the parent process still lives.
const PARENT_CHECK: Duration = Duration::from_millis(500);

/// Where panics are those of a disk that failed or is full: the database has no other way to tell.
const DATABASE_CRATES: &[&str] = &["nimiq-database", "libmdbx"];

/// What the process fails of.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// Like a bad argument that the parser can't know to be bad.
    #[error("{0}")]
    Argument(String),
    #[error("{0}")]
    PortInUse(String),
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other(_) => 1,
            Self::Argument(_) => 2,
            Self::PortInUse(_) => 3,
            Self::Io(_) => 4,
        })
    }

    /// A panic of some task.
    fn of_panic(message: &str, place: &str) -> Self {
        if DATABASE_CRATES.iter().any(|name| place.contains(name)) {
            Self::Io(format!(
                "can't write to the database, perhaps as the disk is full: {message}"
            ))
        } else {
            Self::Other(format!("the node crashed: {message} ({place})"))
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let message = error.to_string();
        match error {
            NodeError::Address { .. }
            | NodeError::TooManyTransactions { .. }
            | NodeError::NoProofs(_)
            | NodeError::OtherFixture => Self::Argument(message),
            NodeError::Listen { in_use: true, .. } => Self::PortInUse(message),
            NodeError::Io { .. }
            | NodeError::Chain(ChainError::Io { .. } | ChainError::Database(_)) => {
                Self::Io(message)
            }
            _ => Self::Other(message),
        }
    }
}

/// Collects what can end the process.
#[derive(Debug)]
pub(super) struct Ends {
    interrupted: Signal,
    terminated: Signal,
    failures: mpsc::Receiver<Failure>,
    parent: Option<u32>,
}

/// Lets the rest of the process tell of a failure. Only the first counts.
#[derive(Clone, Debug)]
pub(super) struct FailureSender(mpsc::Sender<Failure>);

impl FailureSender {
    pub(super) fn send(&self, failure: Failure) {
        // If there is one already, or nobody waits any more, this one changes nothing.
        let _ = self.0.try_send(failure);
    }
}

impl Ends {
    /// Listens for signals and for panics from now on, and for the parent's end if wanted.
    pub(super) fn new(with_parent: bool) -> io::Result<(Self, FailureSender)> {
        let (sender, failures) = mpsc::channel(1);
        let sender = FailureSender(sender);
        let on_panic = sender.clone();
        // A panicking task of a node would end unseen and leave the network crippled.
        std::panic::set_hook(Box::new(move |info| {
            if is_stopping() {
                return;
            }
            let place = info.location().map(ToString::to_string);
            on_panic.send(Failure::of_panic(
                info.payload_as_str().unwrap_or("it gives no reason"),
                &place.unwrap_or_default(),
            ));
        }));
        let ends = Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            failures,
            parent: with_parent.then(std::os::unix::process::parent_id),
        };
        Ok((ends, sender))
    }

    /// Resolves when the process shall end, with an error if it has failed.
    pub(super) async fn wait(&mut self) -> Result<(), Failure> {
        tokio::select! {
            _ = self.interrupted.recv() => Ok(()),
            _ = self.terminated.recv() => Ok(()),
            () = parent_gone(self.parent) => Ok(()),
            failure = self.failures.recv() => failure.map_or(Ok(()), Err),
        }
    }
}

/// Resolves when the parent has ended; then the system gives the process another one. There is no
/// portable event for it.
async fn parent_gone(parent: Option<u32>) {
    let Some(parent) = parent else {
        return std::future::pending().await;
    };
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(PARENT_CHECK).await;
    }
}
