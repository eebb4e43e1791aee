//! Why a gateway can't start.

use pico_network::{ConfigError, ListenError, Multiaddr, NetworkError};
use thiserror::Error;

/// Why a gateway can't start.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The network has no genesis block in this build.
    #[error("{0} is no network that a gateway can serve")]
    Network(String),
    /// The policy of another network is in force in this process.
    #[error("this process is on another network already")]
    Policy,
    /// Nobody to relay to.
    #[error("no upstream is given")]
    NoUpstream,
    /// Nowhere to be found.
    #[error("no address to listen on is given")]
    NoListener,
    /// More addresses of a kind than there is room for.
    #[error("{count} {what}, at most {most} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were given.
        count: usize,
        /// How many are possible.
        most: usize,
    },
    /// The configuration of the network can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address that can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// Why not.
        source: ListenError,
    },
    /// The network gave up.
    #[error(transparent)]
    Swarm(#[from] NetworkError),
}
