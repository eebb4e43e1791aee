//! What a verified chain leaves behind, and what becomes of it in the next run: gone on from, started
//! at, refused, or given up. Records are also made by hand, as nobody but an attacker would.

use std::sync::Arc;

use nimiq_block::MacroBlock;
use nimiq_hash::{Blake2bHash, Blake2bHasher, Hasher};
use nimiq_serde::Serialize;
use pico_sync::{
    Anchor, Clock, ConsensusState, NetworkParams, SavedChain, SavedError, SyncConfig, Trust,
};
use rand::RngExt;

use crate::support::{
    blocks::{BATCH, Blocks, EPOCH, chain, election, params, time_of, usurped},
    engine::{Engine, anchored, clock_at, config, light, optimistic},
    network::{MemoryNetwork, PeerId},
    peer::{Peer, Reply},
    seed,
};

/// Some way into the fourth epoch, and its last checkpoint.
const HEIGHT: u32 = election(3) + BATCH + 5;
const CHECKPOINT: u32 = election(3) + BATCH;
/// Where the body of a record begins.
const BODY: usize = 4 + 1 + 1 + 32;

fn peers(ids: impl IntoIterator<Item = u32>, chain: &Arc<Blocks>, height: u32) -> Vec<Arc<Peer>> {
    ids.into_iter()
        .map(|id| Peer::honest(id, chain, height))
        .collect()
}

fn join(network: &MemoryNetwork, peers: &[Arc<Peer>]) {
    for peer in peers {
        network.join(peer);
    }
}

fn read(bytes: &[u8]) -> Result<SavedChain, SavedError> {
    SavedChain::from_bytes(params(), &clock_at(time_of(HEIGHT)), bytes, 0)
}

/// A record with a checksum that fits.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let sum = Blake2bHasher::new().digest(&content);
    content.extend(sum.as_slice());
    content
}

/// A record of any blocks whatever.
fn record(
    anchor: &Anchor,
    elections: &[(u32, Blake2bHash)],
    election: MacroBlock,
    checkpoint: Option<MacroBlock>,
) -> Vec<u8> {
    let mut content = b"PSYC".to_vec();
    content.extend([1, params().network_id as u8]);
    content.extend(params().genesis().hash.as_slice());
    let head = (anchor.block_number, anchor.hash.clone());
    let body = (head, elections.to_vec(), election, checkpoint, None::<u8>);
    content.extend(body.serialize_to_vec());
    sealed(content)
}

/// What an honest client would have written that had verified `chain` up to `macro_head`.
fn record_of(chain: &Blocks, macro_head: u32) -> Vec<u8> {
    let last = (macro_head - election(0)) / EPOCH;
    let elections: Vec<_> = (0..=last)
        .map(|epoch| (election(epoch), chain.hash_at(election(epoch))))
        .collect();
    let checkpoint = (macro_head > election(last)).then(|| chain.macro_at(macro_head));
    record(
        &params().genesis(),
        &elections,
        chain.macro_at(election(last)),
        checkpoint,
    )
}

fn restored(config: SyncConfig, record: &[u8]) -> SyncConfig {
    SyncConfig {
        restored: Some(read(record).expect("a record that can be read")),
        ..config
    }
}

/// An engine that goes on from `record` at a time when the chain is at `height`.
fn start(network: &Arc<MemoryNetwork>, config: SyncConfig, record: &[u8], height: u32) -> Engine {
    Engine::start_at(network, restored(config, record), clock_at(time_of(height)))
}

fn assert_honest(engine: &Engine, height: u32) {
    let state = engine.snapshot();
    let lines = engine.lines();
    assert_eq!(state.consensus, ConsensusState::Established, "{lines:#?}");
    assert_eq!(state.head.hash, chain().hash_at(height), "{lines:#?}");
    assert_eq!(state.trust, Trust::Verified, "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_verified_is_saved() {
    for mode in [config(), light(), optimistic()] {
        let verifies = mode.verify_in_background;
        let network = MemoryNetwork::new();
        let mut engine = Engine::start_at(&network, mode, clock_at(time_of(HEIGHT)));
        assert_eq!(engine.handle.saved(), None);
        join(&network, &peers(1..=3, &chain(), HEIGHT));
        engine.until("consensus established").await;
        if !verifies {
            assert_eq!(engine.handle.saved(), None);
            engine.finish().await;
            continue;
        }
        if engine.snapshot().trust == Trust::Optimistic {
            assert_eq!(engine.handle.saved(), None);
            engine.until("trust verified").await;
        }
        let saved = engine.handle.saved().expect("it is verified");
        assert_eq!(saved.block_number(), CHECKPOINT);
        let bytes = saved.to_bytes(params());
        assert_eq!(read(&bytes).as_ref(), Ok(&saved));
        assert!(bytes.len() < 10_000, "{} bytes", bytes.len());
        // What this file makes is what clients make.
        assert_eq!(read(&record_of(&chain(), CHECKPOINT)), Ok(saved));
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_recent_chain_is_gone_on_from() {
    for mode in [config(), light()] {
        let network = MemoryNetwork::new();
        let peers = peers(1..=3, &chain(), HEIGHT);
        let record = record_of(&chain(), CHECKPOINT);
        let mut engine = start(&network, mode, &record, HEIGHT);
        join(&network, &peers);
        engine.until("consensus established").await;
        engine.live(&network, &peers, 3).await;
        let lines = engine.lines();
        let expected = [
            &format!("restored {CHECKPOINT}"),
            &format!("election {} verified", election(3)),
            &format!("checkpoint {CHECKPOINT} verified"),
            &format!("head {CHECKPOINT}"),
            &format!("trust verified via storage at {CHECKPOINT}"),
        ];
        assert_eq!(lines.iter().take(5).collect::<Vec<_>>(), expected);
        assert_honest(&engine, HEIGHT + 3);
        // Neither blocks nor signatures had to be looked at.
        for peer in &peers {
            assert_eq!(network.requests_to(peer.id, "block"), 0);
        }
        assert_eq!(
            engine
                .verifier
                .jobs
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
        engine.finish().await;
    }
}

/// Some batches and an election later, what lies between is walked and checked.
#[tokio::test(start_paused = true)]
async fn what_came_since_is_verified() {
    let height = election(4) + BATCH;
    for mode in [config(), light()] {
        let network = MemoryNetwork::new();
        let peers = peers(1..=3, &chain(), height);
        let record = record_of(&chain(), CHECKPOINT);
        let mut engine = start(&network, mode, &record, height);
        join(&network, &peers);
        engine.until("consensus established").await;
        engine.live(&network, &peers, 1).await;
        assert!(engine.saw(&format!("restored {CHECKPOINT}")));
        assert!(engine.saw(&format!("election {} verified", election(4))));
        assert_honest(&engine, height + 1);
        assert_eq!(
            engine.handle.saved().unwrap().block_number(),
            election(4) + BATCH
        );
        assert_eq!(
            engine
                .verifier
                .jobs
                .load(std::sync::atomic::Ordering::Relaxed),
            2
        );
        engine.finish().await;
    }
}

/// Of an old chain, only the place where trust starts is of use.
#[tokio::test(start_paused = true)]
async fn an_old_chain_is_where_trust_starts() {
    let height = election(5) + BATCH + 1;
    for mode in [config(), light()] {
        let network = MemoryNetwork::new();
        let peers = peers(1..=3, &chain(), height);
        let record = record_of(&chain(), CHECKPOINT);
        let pico = mode == config();
        let mut engine = start(&network, mode, &record, height);
        join(&network, &peers);
        let via = engine.until("trust verified").await;
        assert!(via.starts_with("trust verified via signatures"), "{via}");
        engine.live(&network, &peers, 1).await;
        assert!(engine.saw(&format!("restored {}", election(3))));
        assert_eq!(engine.saw("trust optimistic"), pico);
        assert!(!engine.saw(&format!("election {} verified", election(2))));
        assert_honest(&engine, height + 1);
        // It has not been forgotten what the trust rests on: the next run may go on from here.
        let saved = engine.handle.saved().unwrap().to_bytes(params());
        let clock = clock_at(time_of(height));
        let next = SavedChain::from_bytes(params(), &clock, &saved, 0).unwrap();
        engine.finish().await;
        let network = MemoryNetwork::new();
        let config = SyncConfig {
            restored: Some(next),
            ..config()
        };
        let mut engine = Engine::start_at(&network, config, clock);
        join(&network, &peers);
        engine.until("trust verified via storage").await;
        engine.finish().await;
    }
}

/// The network knows better: its peers are not banned for that.
#[tokio::test(start_paused = true)]
async fn a_chain_that_honest_peers_contradict_is_given_up() {
    let fake = record_of(&usurped(election(2)), CHECKPOINT);
    for mode in [config(), light()] {
        for height in [HEIGHT, HEIGHT + BATCH, election(4) + 3] {
            let network = MemoryNetwork::new();
            let mut engine = start(&network, mode.clone(), &fake, height);
            let peers = peers(1..=3, &chain(), height);
            join(&network, &peers);
            engine.until("trust verified via storage").await;
            engine.until("discarded: more peers contradict it").await;
            engine.until("trust verified via signatures").await;
            engine.until_head(height).await;
            engine.live(&network, &peers, 2).await;
            assert_honest(&engine, height + 2);
            assert!(network.bans().is_empty(), "{:#?}", engine.lines());
            assert_eq!(
                engine.handle.saved().unwrap().macro_head().hash(),
                chain().hash_at(nimiq_primitives::policy::Policy::last_macro_block(height))
            );
            engine.finish().await;
        }
    }
}

/// The same for a place where trust starts: nobody leads there.
#[tokio::test(start_paused = true)]
async fn a_start_of_trust_that_nobody_knows_is_given_up() {
    let fake = record_of(&usurped(election(1)), election(1) + BATCH);
    for mode in [config(), light()] {
        let network = MemoryNetwork::new();
        let mut engine = start(&network, mode, &fake, HEIGHT);
        let peers = peers(1..=3, &chain(), HEIGHT);
        join(&network, &peers);
        engine.until(&format!("restored {}", election(1))).await;
        engine.until("discarded: no peer confirms it").await;
        engine.until("trust verified via signatures").await;
        engine.live(&network, &peers, 2).await;
        assert_honest(&engine, HEIGHT + 2);
        assert!(network.bans().is_empty(), "{:#?}", engine.lines());
        engine.finish().await;
    }
}

/// A network that was begun anew is behind what we remember, for good.
#[tokio::test(start_paused = true)]
async fn a_chain_that_nobody_has_got_to_is_given_up() {
    let fake = record_of(&usurped(election(2)), CHECKPOINT);
    for mode in [config(), light()] {
        let height = election(1) + 5;
        let network = MemoryNetwork::new();
        let mut engine = start(&network, mode, &fake, HEIGHT);
        let peers = peers(1..=3, &chain(), height);
        join(&network, &peers);
        engine.until("discarded: no peer confirms it").await;
        engine.until("trust verified via signatures").await;
        engine.live(&network, &peers, 2).await;
        assert_honest(&engine, height + 2);
        assert!(network.bans().is_empty());
        engine.finish().await;
    }
}

/// Liars are no reason to give up what honest peers stand by, even if they are there first.
#[tokio::test(start_paused = true)]
async fn liars_do_not_talk_us_out_of_it() {
    let record = record_of(&chain(), CHECKPOINT);
    for mode in [config(), light()] {
        let network = MemoryNetwork::new();
        let mut engine = start(&network, mode, &record, HEIGHT);
        let liars = peers(8..=9, &usurped(election(3)), HEIGHT);
        let honest = peers(1..=3, &chain(), HEIGHT);
        join(&network, &liars);
        engine.run_for(std::time::Duration::from_secs(2)).await;
        assert!(network.bans().is_empty(), "nobody has confirmed it yet");
        join(&network, &honest);
        engine.until("consensus established").await;
        for liar in &liars {
            network.banned(liar.id).await;
        }
        engine.live(&network, &honest, 2).await;
        assert!(!engine.saw("discarded"));
        assert_honest(&engine, HEIGHT + 2);
        assert_eq!(network.bans(), [PeerId(8), PeerId(9)]);
        engine.finish().await;
    }
}

/// A breach of the protocol is one on whichever chain.
#[tokio::test(start_paused = true)]
async fn a_breach_is_not_excused() {
    let network = MemoryNetwork::new();
    let record = record_of(&chain(), CHECKPOINT);
    let mut engine = start(&network, config(), &record, HEIGHT + BATCH);
    // The wrong block for any hash.
    let liar = Peer::liar(9, &chain(), HEIGHT + BATCH, |_, reply| match reply {
        Reply::Block(Ok(_)) => Reply::Block(Ok(chain().at(election(1)).clone())),
        other => other,
    });
    network.join(&liar);
    network.banned(liar.id).await;
    let peers = peers(1..=3, &chain(), HEIGHT + BATCH);
    join(&network, &peers);
    engine.until("consensus established").await;
    assert!(!engine.saw("discarded"));
    engine.finish().await;
}

/// Without peers there is nobody to confirm anything, and nothing is given up.
#[tokio::test(start_paused = true)]
async fn alone_we_keep_what_we_know() {
    let network = MemoryNetwork::new();
    let record = record_of(&chain(), CHECKPOINT);
    let mut engine = start(&network, config(), &record, HEIGHT);
    network.join(&Peer::without_services(7, &chain(), HEIGHT));
    engine.run_for(std::time::Duration::from_secs(300)).await;
    assert!(!engine.saw("discarded"));
    let state = engine.snapshot();
    assert_eq!(
        (state.trust, state.head.number),
        (Trust::Verified, CHECKPOINT)
    );
    assert!(engine.handle.saved().is_some());
    engine.finish().await;
}

#[tokio::test(start_paused = true)]
async fn it_must_rest_on_where_trust_starts() {
    let record = record_of(&chain(), CHECKPOINT);
    let other = Anchor {
        block_number: election(2),
        hash: usurped(election(2)).hash_at(election(2)),
    };
    let cases = [
        (anchored(config(), election(2)), None),
        (anchored(config(), election(3)), None),
        // Newer than the record, as after an update.
        (anchored(config(), election(4)), Some(election(4))),
        (
            SyncConfig {
                anchor: Some(other),
                ..config()
            },
            Some(election(2)),
        ),
    ];
    for (config, refused) in cases {
        let network = MemoryNetwork::new();
        let mut engine = start(&network, config, &record, HEIGHT);
        engine.catch_up().await;
        match refused {
            None => assert!(engine.saw("trust verified via storage")),
            Some(number) => {
                let why = format!("discarded: it does not rest on block {number}");
                assert!(engine.saw(&why), "{:#?}", engine.lines());
                assert_eq!(engine.snapshot().trust, Trust::Optimistic);
            }
        }
        engine.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_no_use_are_told_apart() {
    let record = record_of(&chain(), CHECKPOINT);
    let content = &record[..record.len() - 32];
    let changed = |at: usize, to: u8| {
        let mut content = content.to_vec();
        content[at] = to;
        read(&sealed(content))
    };
    assert!(read(&record).is_ok());
    assert_eq!(changed(0, b'X'), Err(SavedError::Damaged));
    assert_eq!(changed(4, 2), Err(SavedError::NewerVersion(2)));
    assert_eq!(changed(4, 0), Err(SavedError::OlderVersion(0)));
    assert_eq!(changed(5, 24), Err(SavedError::Foreign));
    assert_eq!(changed(20, content[20] ^ 1), Err(SavedError::Foreign));

    let unit = params();
    let main = NetworkParams::by_name("main-albatross").unwrap();
    let clock = clock_at(time_of(HEIGHT));
    let from = |params, clock: &Clock, least| SavedChain::from_bytes(params, clock, &record, least);
    assert_eq!(from(main, &clock, 0), Err(SavedError::Foreign));
    let drift = nimiq_primitives::policy::Policy::TIMESTAMP_MAX_DRIFT;
    let early = clock_at(time_of(CHECKPOINT) - drift);
    assert!(from(unit, &early, 0).is_ok());
    let earlier = clock_at(time_of(CHECKPOINT) - drift - 1);
    assert_eq!(from(unit, &earlier, 0), Err(SavedError::FromTheFuture));
    assert!(from(unit, &clock, CHECKPOINT).is_ok());
    let (is, was) = (CHECKPOINT, CHECKPOINT + BATCH);
    assert_eq!(
        from(unit, &clock, was),
        Err(SavedError::Downgraded { is, was })
    );

    for len in [0, 1, 31, 32, BODY, BODY + 31, BODY + 32, record.len() - 1] {
        assert!(read(&record[..len]).is_err(), "{len} bytes");
        assert!(
            read(&sealed(record[..len].to_vec())).is_err(),
            "{len} bytes"
        );
    }
    assert!(read(&sealed(vec![0; 2 * 1024 * 1024])).is_err());
    let longer = [content, &[0]].concat();
    assert_eq!(read(&sealed(longer)), Err(SavedError::Damaged));
}

/// Blocks that are none, or don't belong together.
#[tokio::test(start_paused = true)]
async fn impossible_chains_are_refused() {
    let blocks = chain();
    let genesis = params().genesis();
    let at = |number| (number, blocks.hash_at(number));
    let known: Vec<_> = (0..=3).map(|epoch| at(election(epoch))).collect();
    let make = |elections: &[_], first: u32, second: Option<u32>| {
        let second = second.map(|number| blocks.macro_at(number));
        read(&record(&genesis, elections, blocks.macro_at(first), second))
    };
    assert!(make(&known, election(3), Some(CHECKPOINT)).is_ok());
    assert!(make(&known, election(3), None).is_ok());
    let cases = [
        // A checkpoint in place of the election block, or an election block in place of it.
        make(&known, CHECKPOINT, None),
        make(&known[..3], election(2), Some(election(3))),
        // Of another epoch, or the same block twice.
        make(&known, election(3), Some(election(2) + BATCH)),
        make(&known, election(3), Some(election(4) + BATCH)),
        make(&known, election(3), Some(election(3))),
        // Election blocks that are not, too many, out of order.
        make(&[], election(3), None),
        make(&known[..3], election(3), None),
        make(&[at(election(1) + 1), at(election(3))], election(3), None),
        make(
            &[known[1].clone(), known[0].clone(), known[3].clone()],
            election(3),
            None,
        ),
        make(
            &[(election(4), known[0].1.clone()), known[3].clone()],
            election(3),
            None,
        ),
        make(
            &[(0, known[0].1.clone()), known[3].clone()],
            election(3),
            None,
        ),
    ];
    for (i, case) in cases.into_iter().enumerate() {
        assert!(matches!(case, Err(SavedError::Invalid(_))), "{i}: {case:?}");
    }
}

/// Whatever bit is changed: it is noticed, also in every place of a record whose checksum was put
/// right, or it does no harm.
#[tokio::test(start_paused = true)]
async fn mutations_are_discarded_or_harmless() {
    let mut rng = seed::rng();
    let record = record_of(&chain(), CHECKPOINT);
    for at in 0..record.len() * 8 {
        let mut mutated = record.clone();
        mutated[at / 8] ^= 1 << (at % 8);
        assert!(read(&mutated).is_err(), "bit {at}");
    }

    let content = &record[..record.len() - 32];
    let mut believed = 0;
    for case in 0..seed::cases(1500) {
        let mut mutated = content.to_vec();
        match rng.random_range(0..4) {
            0 => {
                let at = rng.random_range(BODY..mutated.len());
                mutated[at] ^= 1 << rng.random_range(0..8);
            }
            1 => {
                let at = rng.random_range(BODY..mutated.len());
                mutated[at] = rng.random();
            }
            2 => {
                let at = rng.random_range(BODY..mutated.len());
                mutated.remove(at);
            }
            _ => {
                let at = rng.random_range(BODY..mutated.len());
                mutated.insert(at, rng.random());
            }
        }
        let Ok(saved) = read(&sealed(mutated)) else {
            continue;
        };
        believed += 1;
        // Not each of them: a run takes its time.
        if believed % 10 != 1 {
            continue;
        }
        let network = MemoryNetwork::new();
        let config = SyncConfig {
            restored: Some(saved),
            ..config()
        };
        let mut engine = Engine::start_at(&network, config, clock_at(time_of(HEIGHT)));
        let peers = peers(1..=3, &chain(), HEIGHT);
        join(&network, &peers);
        engine.live(&network, &peers, 32).await;
        let state = engine.snapshot();
        let lines = engine.lines_without_heads();
        assert_eq!(
            state.head.hash,
            chain().hash_at(HEIGHT + 32),
            "{case}: {lines:#?}"
        );
        assert_eq!(
            state.consensus,
            ConsensusState::Established,
            "{case}: {lines:#?}"
        );
        assert!(network.bans().is_empty(), "{case}: {lines:#?}");
        engine.finish().await;
    }
    assert!(believed > 0, "none was like a record");
}
