//! What has happened, and whether that is enough.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use nimiq_blockchain_interface::{PushError, PushResult};

/// A verdict on one push.
pub(crate) type Verdict = Result<PushResult, PushError>;

/// Verdicts that must have occurred, or the sequences test less than they should.
const INTERESTING: &[&str] = &[
    "Extended",
    "Rebranched",
    "Forked",
    "Ignored",
    "Known",
    "Orphan",
    "NetworkMismatch",
    "InvalidBlockType",
    "UnsupportedVersion",
    "InvalidBlockNumber",
    "InvalidTimestamp",
    "InvalidParentElectionHash",
    "InvalidSeed",
    "ExtraDataTooLarge",
    "MissingJustification",
    "InvalidJustification",
    "InvalidSkipBlockProof",
    "InvalidValidators",
    "InvalidPunishedSet",
];

/// Things to look out for besides verdicts.
const NOTEWORTHY: &[&str] = &[
    "rebranched to a macro block",
    "rebranched to a skip block",
    "rebranched over several blocks",
    "checkpoint by the macro route",
    "election by the macro route",
    "election by the live route",
    "the node panicked",
];

/// Counts sequences, pushes and verdicts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sequences: u64,
    pub(crate) pushes: u64,
    verdicts: BTreeMap<String, u64>,
    notes: BTreeMap<&'static str, u64>,
    ours: Duration,
    theirs: Duration,
    /// Where we are, for messages.
    pub(crate) place: String,
}

impl Tally {
    /// Says where the next sequences play.
    pub(crate) fn enter(&mut self, place: String) {
        self.place = place;
    }

    /// Counts a verdict of ours.
    pub(crate) fn count(&mut self, verdict: &Verdict) {
        let name = match verdict {
            Ok(result) => format!("{result:?}"),
            Err(PushError::InvalidBlock(error)) => format!("{error:?}"),
            Err(error) => format!("{error:?}"),
        };
        self.pushes += 1;
        *self.verdicts.entry(name).or_default() += 1;
    }

    /// Counts something else.
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.notes.entry(what).or_default() += 1;
    }

    /// Adds what happened elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.sequences += other.sequences;
        self.pushes += other.pushes;
        for (name, count) in other.verdicts {
            *self.verdicts.entry(name).or_default() += count;
        }
        for (note, count) in other.notes {
            *self.notes.entry(note).or_default() += count;
        }
        self.ours += other.ours;
        self.theirs += other.theirs;
    }

    /// Runs one side's push on its clock.
    pub(crate) fn time<T>(&mut self, ours: bool, f: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = f();
        match ours {
            true => self.ours += started.elapsed(),
            false => self.theirs += started.elapsed(),
        }
        result
    }

    /// Holds that everything has occurred that the sequences are for.
    pub(crate) fn assert_complete(&self) {
        for name in INTERESTING {
            assert!(self.verdicts.contains_key(*name), "never happened: {name}");
        }
        for note in NOTEWORTHY {
            assert!(self.notes.contains_key(note), "never happened: {note}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} sequences, {} pushes", self.sequences, self.pushes)?;
        for (name, count) in &self.verdicts {
            writeln!(f, "{count:>9} {name}")?;
        }
        for (note, count) in &self.notes {
            writeln!(f, "{count:>9} times: {note}")?;
        }
        writeln!(
            f,
            "{:?} in our chain, {:?} in theirs",
            self.ours, self.theirs
        )
    }
}
