//! `pico-node`: Nimiq nodes for development and tests, on the command line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
