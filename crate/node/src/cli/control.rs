//! Commands that a running devnet takes on stdin.
//!
//! Each is a JSON object on a line of its own, with the member `do`, and is answered by a line on
//! stdout with the member `event`, in the same order. When stdin ends, the devnet goes on.

use std::{
    convert::Infallible,
    io::{BufRead, Read},
};

use nimiq_keys::Address;
use nimiq_primitives::coin::Coin;
use pico_node::{
    devnet::Devnet,
    liar::{Lie, UnknownLie},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    devnet::print_line,
    end::{Failure, FailureSender},
};

/// Bytes of the longest line that is read as one command. An address and a number are far shorter.
const MAX_LINE: u64 = 4096;

/// How many commands may wait; whoever sends more has to wait as well.
const MAX_WAITING: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    /// Ends all nodes as if their machines had lost power.
    StopNodes,
    /// Brings them back.
    StartNodes,
    /// Sends coins from the funded account, in Luna.
    Pay { recipient: String, value: u64 },
    /// Adds a peer that lies, or tells of the one that runs.
    StartLiar { kind: Option<String> },
    /// Ends it.
    StopLiar,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Answer {
    NodesStopped,
    NodesStarted {
        head: u32,
    },
    Paid {
        hash: String,
    },
    LiarStarted {
        address: String,
    },
    LiarStopped,
    /// It wasn't done.
    Failed {
        reason: String,
    },
}

/// Does what is said on stdin.
pub(super) async fn obey(devnet: &mut Devnet, failures: &FailureSender) -> Infallible {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let answer = execute(devnet, &line)
            .await
            .unwrap_or_else(|reason| Answer::Failed { reason });
        match serde_json::to_string(&answer) {
            Ok(line) => print_line(&line, failures),
            Err(error) => failures.send(Failure::Other(error.to_string())),
        }
    }
    std::future::pending().await
}

async fn execute(devnet: &mut Devnet, line: &str) -> Result<Answer, String> {
    let command = serde_json::from_str(line).map_err(|error| format!("no command: {error}"))?;
    match command {
        Command::StopNodes => {
            devnet.stop_nodes().await;
            Ok(Answer::NodesStopped)
        }
        Command::StartNodes => {
            devnet
                .start_nodes()
                .await
                .map_err(|error| error.to_string())?;
            let head = devnet.nodes().first().map_or(0, |node| node.height());
            Ok(Answer::NodesStarted { head })
        }
        Command::Pay { recipient, value } => {
            let recipient = Address::from_any_str(&recipient)
                .map_err(|error| format!("{recipient} is no address: {error}"))?;
            let value = Coin::try_from(value).map_err(|error| error.to_string())?;
            let hash = devnet
                .pay(&recipient, value)
                .map_err(|error| error.to_string())?;
            Ok(Answer::Paid {
                hash: hash.to_hex(),
            })
        }
        Command::StartLiar { kind } => {
            let lie = match kind {
                Some(kind) => kind
                    .parse()
                    .map_err(|error: UnknownLie| error.to_string())?,
                None => Lie::ConflictingElection,
            };
            let liar = devnet
                .start_liar(lie)
                .await
                .map_err(|error| error.to_string())?;
            Ok(Answer::LiarStarted {
                address: liar.address().to_string(),
            })
        }
        Command::StopLiar => {
            devnet.stop_liar().await;
            Ok(Answer::LiarStopped)
        }
    }
}

/// The lines on stdin. A thread reads them, as reading can't be interrupted; it ends with the
/// process, or with stdin.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            match stdin.by_ref().take(MAX_LINE).read_line(&mut line) {
                Ok(0) => return,
                Ok(_) if line.trim().is_empty() => {}
                Ok(read) => {
                    // What is longer than any command is one line all the same.
                    if read as u64 == MAX_LINE
                        && !line.ends_with('\n')
                        && let Err(error) = stdin.skip_until(b'\n')
                    {
                        log::warn!("No more commands are read from stdin: {error}");
                        return;
                    }
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    log::warn!("No more commands are read from stdin: {error}");
                    return;
                }
            }
        }
    });
    receiver
}
