//! Puts a gateway under load: `cargo run -p pico-node --example load -- --help`.
//!
//! Runs many native light clients in one process, over WebSocket and WebRTC by turns. Each asks for the
//! head at a steady pace and follows block headers. An answer's time counts from when the request was
//! due, so nobody gains by being late. Prints one JSON object a line for each measurement.
//!
//! `npm run bench -- --gateway` runs it against a gateway process and makes a report of it.
#![allow(clippy::print_stdout, missing_docs)]

mod attack;
mod clients;
mod raw;

use std::{error::Error, time::Duration};

use clap::{Parser, Subcommand};
use nimiq_utils::spawn;
use pico_network::Multiaddr;
use serde::Serialize;

use self::{
    attack::{Attack, Offence},
    clients::{Crowd, Measured},
};

/// What a whole run may take, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// Puts a gateway under load.
#[derive(Debug, Parser)]
struct Args {
    /// An address of the gateway; clients take them by turns
    #[arg(long = "address", required = true)]
    addresses: Vec<Multiaddr>,
    /// The process of the gateway, whose memory and processor time are told
    #[arg(long)]
    pid: Option<u32>,
    /// Requests of each client a second
    #[arg(long, default_value_t = 1.0)]
    pace: f64,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Connects one client at a time, over each address by turns, and tells how long each took
    Connect {
        #[arg(long, default_value_t = 20)]
        times: u32,
    },
    /// More and more clients, until answers are late
    Ramp {
        /// Clients of each step
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "50,100,200,400,700,1000,1500,2000,3000,4000"
        )]
        steps: Vec<usize>,
        /// Seconds of each step
        #[arg(long, default_value_t = 10)]
        hold: u64,
        /// 99 of 100 answers must come within so many milliseconds
        #[arg(long, default_value_t = 100.0)]
        limit: f64,
    },
    /// Some clients for a longer time
    Soak {
        #[arg(long)]
        clients: usize,
        #[arg(long)]
        seconds: u64,
        /// How often to tell, in seconds
        #[arg(long, default_value_t = 10)]
        every: u64,
    },
    /// Some clients, and others that behave badly
    Attack {
        #[arg(long)]
        clients: usize,
        #[arg(long)]
        seconds: u64,
        /// What they do
        #[arg(long)]
        kind: Offence,
    },
}

/// A line of the result.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Line {
    Connected {
        transport: &'static str,
        ms: f64,
    },
    /// Before anybody has come.
    Idle(ProcessUse),
    Step(Step),
    Attacked {
        kind: String,
        #[serde(flatten)]
        step: Step,
        /// What the offenders have done, and what was done to them.
        offence: serde_json::Value,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    /// Since the start, in seconds.
    at: f64,
    #[serde(flatten)]
    measured: Measured,
    #[serde(flatten)]
    gateway: ProcessUse,
}

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessUse {
    /// Resident memory in bytes.
    resident: Option<u64>,
    /// Processor time so far, in seconds.
    processor: Option<f64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    tokio::time::timeout(LONGEST, run(args)).await?
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let Args {
        addresses,
        pid,
        pace,
        work,
    } = args;
    if !(0.01..=100.0).contains(&pace) {
        return Err(format!("--pace takes 0.01 to 100, not {pace}").into());
    }
    let mut crowd = Crowd::new(addresses.clone(), Duration::from_secs_f64(1.0 / pace));
    print(&Line::Idle(use_of(pid)))?;
    match work {
        Work::Connect { times } => {
            for _ in 0..times {
                for address in &addresses {
                    let (transport, took) = clients::connect_once(address).await?;
                    let ms = took.as_secs_f64() * 1000.0;
                    print(&Line::Connected { transport, ms })?;
                }
            }
        }
        Work::Ramp { steps, hold, limit } => {
            for clients in steps {
                crowd.grow_to(clients).await;
                let measured = crowd.measure(Duration::from_secs(hold)).await;
                let enough = measured.p99.is_none_or(|p99| p99 > limit) || measured.failed > 0;
                print(&Line::Step(step(&crowd, measured, pid)))?;
                if enough {
                    break;
                }
            }
        }
        Work::Soak {
            clients,
            seconds,
            every,
        } => {
            crowd.grow_to(clients).await;
            for _ in 0..(seconds / every.max(1)).max(1) {
                let measured = crowd.measure(Duration::from_secs(every)).await;
                print(&Line::Step(step(&crowd, measured, pid)))?;
            }
        }
        Work::Attack {
            clients,
            seconds,
            kind,
        } => {
            crowd.grow_to(clients).await;
            let before = crowd.measure(Duration::from_secs(seconds)).await;
            print(&Line::Step(step(&crowd, before, pid)))?;
            let attack = Attack::new(kind, addresses);
            let running = spawn_attack(&attack);
            let during = crowd.measure(Duration::from_secs(seconds)).await;
            attack.stop();
            let during = step(&crowd, during, pid);
            running.await?;
            print(&Line::Attacked {
                kind: kind.to_string(),
                step: during,
                offence: attack.told(),
            })?;
            let after = crowd.measure(Duration::from_secs(seconds)).await;
            print(&Line::Step(step(&crowd, after, pid)))?;
        }
    }
    Ok(())
}

fn spawn_attack(attack: &Attack) -> tokio::sync::oneshot::Receiver<()> {
    let (done, ended) = tokio::sync::oneshot::channel();
    let attack = attack.clone();
    spawn(async move {
        attack.run().await;
        // Nobody waits any more if the program ends.
        let _ = done.send(());
    });
    ended
}

fn step(crowd: &Crowd, measured: Measured, pid: Option<u32>) -> Step {
    Step {
        at: crowd.age().as_secs_f64(),
        measured,
        gateway: use_of(pid),
    }
}

/// As Linux says; nothing elsewhere.
fn use_of(pid: Option<u32>) -> ProcessUse {
    let Some(pid) = pid else {
        return ProcessUse::default();
    };
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let resident = read("status").and_then(|status| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        kilobytes.checked_mul(1024)
    });
    let processor = read("stat").and_then(|stat| {
        // The name, in parentheses, may have spaces in it.
        let fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u32>);
        // A hundredth of a second, on all Linux systems that there are.
        Some(f64::from(ticks.sum::<Result<u32, _>>().ok()?) / 100.0)
    });
    ProcessUse {
        resident,
        processor,
    }
}

fn print(line: &Line) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}
