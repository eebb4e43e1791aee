//! `pico-node devnet`.

use std::{io::Write, path::PathBuf, pin::pin, time::Duration};

use clap::{Args, value_parser};
use nimiq_network_interface::Multiaddr;
use pico_node::{
    chain::Fixture,
    devnet::{
        Devnet, DevnetConfig, DevnetEvent, FundedAccount, HistoryAccount, Interrupt, NodeRole,
        Proofs,
    },
    liar::Lie,
    node::{BlockTime, LOCAL_ADDRESS, NodeError},
};

use super::{
    control,
    end::{Ends, Failure, FailureSender},
    logging::tell,
};

/// How long an interrupted start may take to clean up behind itself.
const GIVE_UP_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many epochs a devnet has unless told otherwise.
const DEFAULT_EPOCHS: u32 = 3;

/// Arguments of `pico-node devnet`.
#[derive(Debug, Args)]
pub(super) struct DevnetArgs {
    /// Whole epochs of 128 blocks that exist at the start [default: 3, or all of the fixture]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=100_000))]
    epochs: Option<u32>,
    /// The protocol version that the first election raises the chain to [default: 1, as genesis, or 2
    /// with proofs]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=2))]
    protocol_version: Option<u16>,
    /// Begins with the chain of this fixture, which `pico-node fixture` has made, and serves its proofs.
    /// With fewer --epochs than it has, with a part of it. One batch is added
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "tests/fixtures/unit-albatross")]
    fixture: Option<PathBuf>,
    /// Serves the proofs of this folder, which `pico-node prove` writes to
    #[arg(long, value_name = "DIR")]
    proofs: Option<PathBuf>,
    /// Serves simulated proofs of the whole chain, for a verifying key that is made from this seed
    /// and whose file is told. Nobody proved them
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "0", conflicts_with = "proofs")]
    simulated_proofs: Option<u64>,
    /// Honest nodes; the first one is the validator
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u64).range(1..=16))]
    nodes: u64,
    /// Where the first node listens, /ip4/…/tcp/PORT/ws; port 0 is any free one. The others listen
    /// on free ports of this machine
    #[arg(long, value_name = "MULTIADDR", default_value = LOCAL_ADDRESS)]
    listen: Multiaddr,
    /// Milliseconds between blocks. With 1000 the unmodified validator makes them. Below 500 gossip
    /// delivers them in bursts
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = value_parser!(u64).range(50..=3_600_000))]
    block_time: u64,
    /// Adds a peer that lies, in this way [default without KIND: conflicting-election]
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "conflicting-election", help = adversary_help())]
    adversary: Option<Lie>,
    /// Transactions in the blocks that exist at the start, all between the funded account and one
    /// other
    #[arg(long, value_name = "N", default_value_t = 0)]
    transactions: u32,
    /// Prints one JSON object a line on stdout
    #[arg(long)]
    json: bool,
    /// Takes commands on stdin, one JSON object a line, and answers each on stdout:
    /// {"do":"stop-nodes"}, {"do":"start-nodes"}, {"do":"pay","recipient":ADDRESS,"value":LUNA},
    /// {"do":"start-liar","kind":KIND}, with the kinds of --adversary, and {"do":"stop-liar"}
    #[arg(long, requires = "json")]
    control: bool,
    /// Ends when the process that started it does
    #[arg(long)]
    exit_with_parent: bool,
}

fn adversary_help() -> String {
    format!(
        "Adds a peer that lies [without KIND: conflicting-election] [kinds: {}, late-answer=MS, \
         lagging=BLOCKS; what lies about proofs also as conflicting-election+KIND]",
        Lie::names().join(", ")
    )
}

/// Runs a devnet until the process shall end.
pub(super) async fn run(args: DevnetArgs) -> Result<(), Failure> {
    let (mut ends, failures) = Ends::new(args.exit_with_parent)
        .map_err(|error| Failure::Other(format!("can't listen for signals: {error}")))?;
    let proofs = match (args.proofs, args.simulated_proofs) {
        (Some(directory), _) => Some(Proofs::Stored(directory)),
        (None, seed) => seed.map(Proofs::Simulated),
    };
    let with_proofs = proofs.is_some() || args.fixture.is_some();
    let version = args
        .protocol_version
        .unwrap_or(if with_proofs { 2 } else { 1 });
    if with_proofs && version < 2 {
        return Err(Failure::Argument(
            "there are proofs from protocol version 2 on only".into(),
        ));
    }
    let config = DevnetConfig {
        epochs: args.epochs.unwrap_or(if args.fixture.is_some() {
            Fixture::EPOCHS
        } else {
            DEFAULT_EPOCHS
        }),
        version,
        fixture: args.fixture,
        proofs,
        nodes: usize::try_from(args.nodes).unwrap_or(1),
        listen: args.listen,
        block_time: BlockTime::from_millis(args.block_time),
        adversary: args.adversary,
        transactions: args.transactions,
    };
    let interrupt = Interrupt::default();
    let json = args.json;
    let reporter = failures.clone();
    let mut start = pin!(Devnet::start(config, interrupt.clone(), move |event| {
        print(&event, json, &reporter);
    }));

    let mut devnet = tokio::select! {
        // A panic fails the start as well, but says more.
        biased;
        end = ends.wait() => {
            interrupt.interrupt();
            // The files of the chain that was being made must be deleted first.
            return match tokio::time::timeout(GIVE_UP_TIMEOUT, start).await {
                Ok(Ok(devnet)) => {
                    devnet.stop().await;
                    end
                }
                Ok(Err(NodeError::Interrupted)) | Err(_) => end,
                // The reason for the end may be no more than a consequence of this.
                Ok(Err(error)) => end.and(Err(error.into())),
            };
        }
        started = &mut start => started?,
    };
    let end = if args.control {
        tokio::select! {
            end = ends.wait() => end,
            never = control::obey(&mut devnet, &failures) => match never {},
        }
    } else {
        ends.wait().await
    };
    devnet.stop().await;
    end
}

/// Tells how far the start is: what others may need on stdout, the rest on stderr.
fn print(event: &DevnetEvent, json: bool, failures: &FailureSender) {
    let line = match event {
        DevnetEvent::Prefilled { epoch, of } => {
            tell(format_args!("{epoch} of {of} epochs are made"));
            return;
        }
        event if json => match serde_json::to_string(event) {
            Ok(line) => line,
            Err(error) => {
                failures.send(Failure::Other(error.to_string()));
                return;
            }
        },
        DevnetEvent::Node { role, address, .. } => {
            let role = match role {
                NodeRole::Validator => "validator",
                NodeRole::Node => "node",
                NodeRole::Liar => "liar",
            };
            format!("{role:10}{address}")
        }
        DevnetEvent::Ready {
            head,
            epoch,
            funded,
            history,
            verifying_key,
        } => {
            let FundedAccount {
                address,
                private_key,
            } = funded;
            let history = match history {
                Some(HistoryAccount {
                    address,
                    transactions,
                }) => format!("history   {address}, {transactions} transactions\n"),
                None => String::new(),
            };
            let key = verifying_key.as_ref().map_or_else(String::new, |path| {
                format!("proofs    simulated, verifying key {}\n", path.display())
            });
            format!(
                "funded    {address}, private key {private_key}\n{history}{key}\
                 ready     block #{head}, epoch {epoch}; Ctrl-C ends it"
            )
        }
    };
    print_line(&line, failures);
}

/// Writes a line to stdout.
pub(super) fn print_line(line: &str, failures: &FailureSender) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        // Who was to read it is gone.
        failures.send(Failure::Other(format!("can't write to stdout: {error}")));
    }
}
