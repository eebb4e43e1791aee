//! The command line: what can be asked for, how the process ends, and with which exit code.
//! A devnet can take commands while it runs, too.
//!
//! The commands themselves are in modules of their own.

mod control;
mod devnet;
mod end;
mod fixture;
mod logging;
#[cfg(feature = "prover")]
mod prove;
#[cfg(feature = "prover")]
mod setup;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use self::{devnet::DevnetArgs, end::Failure, fixture::FixtureArgs, logging::LogFilter};

/// How long what is still running may hold up the end of the process.
const EXIT_TIMEOUT: Duration = Duration::from_millis(300);

const EXIT_CODES: &str = "\
Exit codes:
  0  ended by SIGINT or SIGTERM
  1  something else went wrong, see the message
  2  bad argument
  3  the port is in use
  4  files can't be written, for example as the disk is full
Temporary files are made in the system's folder for them, or where TMPDIR says.";

/// Nimiq nodes for development and tests.
#[derive(Debug, Parser)]
#[command(name = "pico-node", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much the nodes log to stderr: off, error, warn, info, debug or trace; with MODULE=LEVEL
    /// only what that module logs
    #[arg(long, global = true, value_name = "LEVEL", default_value = "off")]
    log: LogFilter,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a Nimiq network of real nodes on this machine until it is told to end
    Devnet(DevnetArgs),
    /// Makes the chain that the committed proofs are of, and writes its election blocks
    Fixture(FixtureArgs),
    /// Makes the keys to prove with, for development only
    #[cfg(feature = "prover")]
    Setup(setup::SetupArgs),
    /// Proves the election chain, epoch by epoch
    #[cfg(feature = "prover")]
    Prove(prove::ProveArgs),
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    // Ends the process with code 2 on a bad argument.
    let cli = Cli::parse();
    logging::init(cli.log);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // On a closed stderr the exit code has to do.
            logging::tell(format_args!("pico-node: {failure}"));
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("pico-main")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("can't start threads: {error}")))?;
    let result = match command {
        Command::Devnet(args) => runtime.block_on(devnet::run(args)),
        Command::Fixture(args) => fixture::run(&args),
        #[cfg(feature = "prover")]
        Command::Setup(args) => setup::run(&args),
        #[cfg(feature = "prover")]
        Command::Prove(args) => runtime.block_on(prove::run(args)),
    };
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    result
}
