//! The command line: what can be asked for, how the process ends, and with which exit code.
//! A devnet can take commands while it runs, too.
//!
//! The commands themselves are in modules of their own.

mod control;
mod devnet;
mod end;
mod fixture;
mod gateway;
mod logging;
#[cfg(feature = "prover")]
mod prove;
#[cfg(feature = "prover")]
mod setup;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use pico_node::chain::delete_folders;

use self::{
    devnet::DevnetArgs,
    end::Failure,
    fixture::FixtureArgs,
    gateway::GatewayArgs,
    logging::{LogFilter, LogFormat},
};

/// How long what is still running may hold up the end of the process.
const EXIT_TIMEOUT: Duration = Duration::from_millis(300);

const EXIT_CODES: &str = "\
Exit codes:
  0  ended by SIGINT or SIGTERM
  1  something else went wrong, see the message
  2  bad argument
  3  the port is in use
  4  files can't be read or written, for example as the disk is full
Temporary files are made in the system's folder for them, or where TMPDIR says.";

/// Nimiq nodes for development and tests, and a gateway for light clients.
#[derive(Debug, Parser)]
#[command(name = "pico-node", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much is logged to stderr: off, error, warn, info, debug or trace; with MODULE=LEVEL only
    /// what that module logs [default: off; of a gateway: pico_=info]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<LogFilter>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a Nimiq network of real nodes on this machine until it is told to end
    Devnet(DevnetArgs),
    /// Lets light clients reach Nimiq nodes, over WebSocket and WebRTC
    Gateway(Box<GatewayArgs>),
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
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logging::fail(format_args!("{failure}"));
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // A gateway does its work in this runtime, and takes what the machine has. A node has its own.
    if !matches!(cli.command, Command::Gateway(_)) {
        builder.worker_threads(2);
        logging::init(cli.log.clone().unwrap_or_default(), LogFormat::Text);
    }
    let runtime = builder
        .thread_name("pico-main")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("can't start threads: {error}")))?;
    let result = match cli.command {
        Command::Devnet(args) => runtime.block_on(devnet::run(args)),
        Command::Gateway(args) => runtime.block_on(Box::pin(gateway::run(*args, cli.log))),
        Command::Fixture(args) => fixture::run(&args),
        #[cfg(feature = "prover")]
        Command::Setup(args) => setup::run(&args),
        #[cfg(feature = "prover")]
        Command::Prove(args) => runtime.block_on(prove::run(args)),
    };
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    // A thread that was not waited for any longer may still use some.
    delete_folders();
    result
}
