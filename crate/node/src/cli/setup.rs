//! `pico-node setup`.

use std::path::PathBuf;

use clap::Args;
use pico_node::prove::make_development_keys;

use super::{end::Failure, logging::tell};

/// Arguments of `pico-node setup`.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// File to write the proving keys to; some 2 GB
    #[arg(long, value_name = "PATH")]
    keys: PathBuf,
    /// File to write the verifying key to, the one that clients need
    #[arg(long, value_name = "PATH")]
    verifying_key: Option<PathBuf>,
}

/// Makes the keys.
pub(super) fn run(args: &SetupArgs) -> Result<(), Failure> {
    tell(format_args!(
        "These keys are made from a public seed. They are for development only: whoever likes can forge \
         proofs for them."
    ));
    pico_node::chain::init_policy();
    let key = make_development_keys(&args.keys, &mut |stage| tell(format_args!("{stage}")))
        .map_err(|error| Failure::Other(error.to_string()))?;
    if let Some(path) = &args.verifying_key {
        std::fs::write(path, key)
            .map_err(|error| Failure::Io(format!("can't write {}: {error}", path.display())))?;
    }
    Ok(())
}
