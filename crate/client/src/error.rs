//! Errors as JavaScript sees them: a code to act on and a message to read.

use std::fmt;

use pico_sync::query::QueryError;

/// The codes that this side raises. The wrapper has more, for what happens around the core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorCode {
    /// An argument is wrong: which one and its value are in the message.
    InvalidOptions,
    /// What should be an address is none.
    InvalidAddress,
    /// A transaction that no node would take.
    InvalidTransaction,
    /// Asked for something that this build can't do.
    Unsupported,
    /// Nobody to connect to or to ask.
    NoPeers,
    /// An answer took too long.
    Timeout,
    /// Everyone asked gave an answer that is not true.
    ProofInvalid,
    /// What was asked for doesn't exist, or nobody has it any more.
    NotFound,
    /// The client is closed.
    Closed,
    /// The verification worker can't do a job.
    Worker,
}

impl ErrorCode {
    /// The code in the public API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOptions => "invalid-options",
            Self::InvalidAddress => "invalid-address",
            Self::InvalidTransaction => "invalid-transaction",
            Self::Unsupported => "unsupported",
            Self::NoPeers => "no-peers",
            Self::Timeout => "timeout",
            Self::ProofInvalid => "proof-invalid",
            Self::NotFound => "not-found",
            Self::Closed => "closed",
            Self::Worker => "worker",
        }
    }
}

/// An error on its way to JavaScript.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientError {
    /// What kind.
    pub code: ErrorCode,
    /// What exactly, naming the value at fault.
    pub message: String,
}

impl ClientError {
    /// An error of kind `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

impl From<QueryError> for ClientError {
    fn from(error: QueryError) -> Self {
        let code = match error {
            QueryError::NoPeers(_) => ErrorCode::NoPeers,
            QueryError::Timeout(_) => ErrorCode::Timeout,
            QueryError::ProofInvalid(_) => ErrorCode::ProofInvalid,
            QueryError::NotFound(_) => ErrorCode::NotFound,
            QueryError::InvalidTransaction(_) => ErrorCode::InvalidTransaction,
            QueryError::Closed => ErrorCode::Closed,
        };
        Self::new(code, error.to_string())
    }
}
