//! `pico-node fixture`.

use std::path::PathBuf;

use clap::Args;
use nimiq_serde::Serialize;
use pico_node::chain::{ChainConfig, ELECTIONS_FILE, Fixture};

use super::{end::Failure, logging::tell};

/// Arguments of `pico-node fixture`.
#[derive(Debug, Args)]
pub(super) struct FixtureArgs {
    /// Folder to write elections.bin into: the election blocks from genesis on, header and
    /// justification, as the nodes serialize a list of them
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Makes the fixture chain and writes its election blocks.
pub(super) fn run(args: &FixtureArgs) -> Result<(), Failure> {
    let mut fixture = Fixture::begin(ChainConfig::default()).map_err(failed)?;
    let mut epoch = 0;
    while fixture.extend_epoch().map_err(failed)? {
        epoch += 1;
        tell(format_args!(
            "{epoch} of {} epochs are made",
            Fixture::EPOCHS
        ));
    }
    let elections = fixture.into_chain().elections().map_err(failed)?;
    let path = args.out.join(ELECTIONS_FILE);
    std::fs::create_dir_all(&args.out)
        .and_then(|()| std::fs::write(&path, elections.serialize_to_vec()))
        .map_err(|error| Failure::Io(format!("can't write {}: {error}", path.display())))
}

fn failed(error: pico_node::chain::ChainError) -> Failure {
    pico_node::node::NodeError::from(error).into()
}
