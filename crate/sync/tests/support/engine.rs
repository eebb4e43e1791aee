//! Runs an engine and keeps what it says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use nimiq_network_interface::network::Network;
use pico_sync::{
    Anchor, Clock, Consensus, ConsensusState, Handle, HeadKind, Outcome, Queries, Snapshot,
    StallAction, StorageStatus, SyncConfig, SyncEvent, SyncMode, SyncerKind, TimedEvent, Trust,
    TrustSource, Verifier,
};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::{
    blocks::{self, TOP},
    network::MemoryNetwork,
    peer::Peer,
    verifiers::MemoVerifier,
};

/// Longest wait for an event, in virtual time unless the network is real.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What most scenarios use.
pub fn config() -> SyncConfig {
    SyncConfig::default()
}

/// Without the background proof.
pub fn optimistic() -> SyncConfig {
    SyncConfig {
        verify_in_background: false,
        ..config()
    }
}

/// Verified from the start.
pub fn light() -> SyncConfig {
    SyncConfig {
        mode: SyncMode::Light,
        ..config()
    }
}

/// With so many good peers needed.
pub fn with_peers(min_peers: usize) -> SyncConfig {
    SyncConfig {
        min_peers,
        ..config()
    }
}

/// Pinned to a block of the honest chain.
pub fn anchored(config: SyncConfig, number: u32) -> SyncConfig {
    SyncConfig {
        anchor: Some(Anchor {
            block_number: number,
            hash: blocks::chain().hash_at(number),
        }),
        ..config
    }
}

/// A clock in virtual time that starts at `ms`.
pub fn clock_at(ms: u64) -> Clock {
    let start = tokio::time::Instant::now();
    Clock::new(move || ms + start.elapsed().as_millis() as u64)
}

/// An engine at work, and all its events so far.
pub struct Engine {
    pub handle: Handle,
    pub verifier: Arc<MemoVerifier>,
    events: BroadcastStream<TimedEvent>,
    /// Reads only at the end, and must have missed nothing.
    witness: BroadcastStream<TimedEvent>,
    /// All events.
    pub log: Vec<SyncEvent>,
    run: JoinHandle<()>,
}

impl Engine {
    pub fn start<N: Network>(network: &Arc<N>, config: SyncConfig) -> Self {
        Self::start_at(network, config, clock_at(blocks::time_of(TOP)))
    }

    pub fn start_at<N: Network>(network: &Arc<N>, config: SyncConfig, clock: Clock) -> Self {
        let verifier = Arc::new(MemoVerifier::default());
        let mut engine = Self::start_with(network, config, clock, verifier.clone());
        engine.verifier = verifier;
        engine
    }

    pub fn start_with<N: Network>(
        network: &Arc<N>,
        config: SyncConfig,
        clock: Clock,
        verifier: Arc<dyn Verifier>,
    ) -> Self {
        Self::start_asking(network, config, clock, verifier).0
    }

    /// An engine of which questions can be asked.
    pub fn start_asking<N: Network>(
        network: &Arc<N>,
        config: SyncConfig,
        clock: Clock,
        verifier: Arc<dyn Verifier>,
    ) -> (Self, Queries<N>) {
        init_log();
        let params = blocks::params();
        let (consensus, handle) = Consensus::new(network.clone(), verifier, clock, params, config);
        let queries = consensus.queries();
        let events = handle.events();
        let witness = handle.events();
        let engine = Self {
            handle,
            verifier: Arc::default(),
            events,
            witness,
            log: Vec::new(),
            run: tokio::spawn(consensus.run()),
        };
        (engine, queries)
    }

    /// The next event, or `None` once the engine has ended.
    pub async fn next(&mut self) -> Option<SyncEvent> {
        let event = self
            .events
            .next()
            .await?
            .expect("this reader keeps up")
            .event;
        self.log.push(event.clone());
        Some(event)
    }

    /// Waits for an event whose line starts with `start`; returns the line.
    pub async fn until(&mut self, start: &str) -> String {
        self.until_any(&[start]).await
    }

    /// Waits for an event whose line starts with one of `starts`; returns the line.
    pub async fn until_any(&mut self, starts: &[&str]) -> String {
        let seen = self.log.len();
        let search = async {
            while let Some(event) = self.next().await {
                let line = line(&event);
                if starts.iter().any(|start| line.starts_with(start)) {
                    return Some(line);
                }
            }
            None
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(Some(line)) => line,
            end => panic!(
                "no event {starts:?} before {}; since then:\n{}",
                if end.is_err() {
                    "the time was up"
                } else {
                    "the end"
                },
                lines(&self.log[seen..]).join("\n")
            ),
        }
    }

    /// Waits until the head has a certain number.
    pub async fn until_head(&mut self, number: u32) {
        while self.handle.snapshot().head.number != number {
            self.until("head").await;
        }
        self.catch_up().await;
    }

    /// Lets the engine run for so long; returns the lines of what it said.
    pub async fn run_for(&mut self, time: Duration) -> Vec<String> {
        let seen = self.log.len();
        let end = tokio::time::Instant::now() + time;
        while let Ok(Some(_)) = tokio::time::timeout_at(end, self.next()).await {}
        lines(&self.log[seen..])
    }

    /// Lets the chain go on, a block a second, known to and gossiped by `peers`. The engine must
    /// follow, however it stands with the macro state.
    pub async fn live(
        &mut self,
        network: &MemoryNetwork,
        peers: &[Arc<Peer>],
        blocks: u32,
    ) -> Vec<String> {
        let seen = self.log.len();
        let chain = peers[0].chain();
        let start = peers[0].height() + 1;
        for number in start..start + blocks {
            for peer in peers {
                peer.set_height(number);
            }
            let source = peers[number as usize % peers.len()].id;
            network.gossip(source, chain.header(number)).await;
            self.run_for(Duration::from_secs(1)).await;
        }
        lines(&self.log[seen..])
    }

    pub fn snapshot(&self) -> Snapshot {
        self.handle.snapshot()
    }

    /// Lines of all events so far.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.log)
    }

    /// Lines of all events so far but those of head moves.
    pub fn lines_without_heads(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| !line.starts_with("head"))
            .collect()
    }

    /// Whether an event whose line starts so has come.
    pub fn saw(&self, start: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(start))
    }

    pub fn count(&self, start: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }

    pub fn outcomes(&self) -> BTreeMap<String, Outcome> {
        self.handle.outcomes().into_iter().collect()
    }

    /// Takes in what was said already.
    pub async fn catch_up(&mut self) {
        self.run_for(Duration::from_millis(1)).await;
    }

    /// Closes the engine, waits for its end, and checks what must hold of every run: each event
    /// reached every reader, in an order that makes sense, and the state is what they say.
    pub async fn finish(mut self) -> Vec<String> {
        self.catch_up().await;
        check_events(&self.log, &self.snapshot());
        self.handle.close();
        self.handle.close();
        tokio::time::timeout(PATIENCE, &mut self.run)
            .await
            .expect("a closed engine ends")
            .expect("the engine does not panic");
        self.catch_up().await;
        assert_eq!(self.snapshot().consensus, ConsensusState::Closed);
        assert_eq!(
            self.log.last(),
            Some(&SyncEvent::Consensus {
                state: ConsensusState::Closed
            })
        );

        let mut witnessed = Vec::new();
        let mut missed = 0;
        let soon = Duration::from_millis(1);
        while let Ok(Some(event)) = tokio::time::timeout(soon, self.witness.next()).await {
            match event {
                Ok(event) => witnessed.push(event.event),
                Err(BroadcastStreamRecvError::Lagged(n)) => missed += n as usize,
            }
        }
        assert_eq!(missed + witnessed.len(), self.log.len(), "events were lost");
        assert_eq!(witnessed[..], self.log[missed..]);
        lines(&self.log)
    }

    /// Whether the engine's task has ended.
    pub fn has_ended(&self) -> bool {
        self.run.is_finished()
    }

    /// Gives up the handle and goes on reading.
    pub fn drop_handle(self) -> (BroadcastStream<TimedEvent>, JoinHandle<()>) {
        (self.events, self.run)
    }
}

/// What must hold of any sequence of events, and of the state after it.
pub fn check_events(events: &[SyncEvent], state: &Snapshot) {
    let mut consensus = ConsensusState::Connecting;
    let mut trust = None;
    let mut head: Option<String> = None;
    let mut chain: Vec<String> = Vec::new();
    // What was adopted before the chain was given up for another one, and may be of both: it is told
    // of what is given up only as far back as it is remembered.
    let mut given_up: Vec<String> = Vec::new();
    let mut gives_up = false;
    for event in events {
        match event {
            SyncEvent::Consensus { state } => {
                assert_ne!(*state, consensus, "the same state twice");
                consensus = *state;
            }
            SyncEvent::Trust { level, .. } => trust = Some(*level),
            SyncEvent::Fallback { .. }
            | SyncEvent::Storage {
                status: StorageStatus::Discarded,
                ..
            } => {
                trust = None;
                gives_up = true;
            }
            SyncEvent::Head {
                hash,
                adopted,
                reverted,
                kind,
                ..
            } => {
                for hash in reverted {
                    let known = chain.contains(hash) || given_up.contains(hash);
                    assert!(known, "reverted what was never adopted");
                }
                chain.retain(|hash| !reverted.contains(hash));
                if std::mem::take(&mut gives_up) {
                    given_up.append(&mut chain);
                }
                for hash in adopted {
                    assert!(
                        !chain.contains(hash),
                        "adopted twice: {hash}\n{}",
                        lines(events).join("\n")
                    );
                    chain.push(hash.clone());
                }
                match kind {
                    HeadKind::Extended => assert!(reverted.is_empty()),
                    HeadKind::Rebranched => assert!(!reverted.is_empty()),
                }
                if let Some(last) = adopted.last() {
                    assert_eq!(last, hash);
                }
                head = Some(hash.clone());
            }
            _ => {}
        }
    }
    assert_eq!(state.consensus, consensus);
    if let Some(trust) = trust {
        assert_eq!(state.trust, trust);
    }
    if let Some(head) = head {
        assert_eq!(state.head.hash.to_hex(), head);
    }
}

pub fn lines(events: &[SyncEvent]) -> Vec<String> {
    events.iter().map(line).collect()
}

/// An event as one short line.
pub fn line(event: &SyncEvent) -> String {
    match event {
        SyncEvent::MacroSync {
            outcome,
            peer_id,
            reason,
        } => {
            let outcome = match outcome {
                Outcome::Good => "good",
                Outcome::Outdated => "outdated",
                Outcome::Incompatible => "incompatible",
                Outcome::Conflicting => "conflicting",
            };
            match reason {
                Some(reason) => format!("{peer_id} {outcome}: {reason}"),
                None => format!("{peer_id} {outcome}"),
            }
        }
        SyncEvent::MacroBlock {
            block_number,
            election,
            trust,
            ..
        } => {
            let kind = if *election { "election" } else { "checkpoint" };
            format!("{kind} {block_number} {}", trust_name(*trust))
        }
        SyncEvent::Fallback {
            from: SyncerKind::Pico,
            to: SyncerKind::Light,
            peer_id,
            reason,
        } => match peer_id {
            Some(peer) => format!("fallback by {peer}: {reason}"),
            None => format!("fallback: {reason}"),
        },
        SyncEvent::Fallback { .. } => panic!("a fallback from or to what?"),
        SyncEvent::Trust {
            level,
            via,
            block_number,
        } => {
            let via = match via {
                TrustSource::Peers => "peers",
                TrustSource::Zkp => "zkp",
                TrustSource::Signatures => "signatures",
                TrustSource::Storage => "storage",
            };
            format!("trust {} via {via} at {block_number}", trust_name(*level))
        }
        SyncEvent::Consensus { state } => format!("consensus {state:?}").to_lowercase(),
        SyncEvent::Head {
            kind,
            block_number,
            adopted,
            reverted,
            ..
        } => match kind {
            HeadKind::Extended => format!("head {block_number}"),
            HeadKind::Rebranched => format!(
                "head {block_number} rebranched -{} +{}",
                reverted.len(),
                adopted.len()
            ),
        },
        SyncEvent::Stalled { for_ms, action } => {
            let action = match action {
                StallAction::Redial => "redial",
                StallAction::RestartNetwork => "restart-network",
                StallAction::Resync => "resync",
            };
            format!("stalled {} s: {action}", for_ms / 1000)
        }
        SyncEvent::Storage {
            status: StorageStatus::Restored,
            block_number: Some(number),
            ..
        } => format!("restored {number}"),
        SyncEvent::Storage { reason, .. } => {
            format!("discarded: {}", reason.as_deref().expect("a reason"))
        }
        SyncEvent::Clock { skew_ms } => format!("clock {} s", skew_ms / 1000),
        SyncEvent::VerifiedInPlace { reason } => format!("verified in place: {reason}"),
        SyncEvent::Zkp {
            status,
            block_number,
            peer_id,
            reason,
            ..
        } => {
            let mut line = format!("zkp {status:?}").to_lowercase();
            if let Some(number) = block_number {
                line += &format!(" {number}");
            }
            if let Some(peer) = peer_id {
                line += &format!(" {peer}");
            }
            if let Some(reason) = reason {
                line += &format!(": {reason}");
            }
            line
        }
    }
}

fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::Optimistic => "optimistic",
        Trust::Verified => "verified",
    }
}

/// Prints what the engine logs, where `PICO_TEST_LOG` is set.
fn init_log() {
    struct Print;
    impl log::Log for Print {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target().starts_with("pico_sync")
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                println!("{} {}", record.level(), record.args());
            }
        }
        fn flush(&self) {}
    }
    if std::env::var_os("PICO_TEST_LOG").is_some() && log::set_logger(&Print).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}
