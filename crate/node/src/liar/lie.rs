//! The ways to lie.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

use super::{proof_lie::ProofLie, query_lie::QueryLie};

/// How late [`Lie::LateAnswer`] answers unless told otherwise. Requests time out after 10 s.
const DEFAULT_DELAY: Duration = Duration::from_secs(4);

/// What stands before the name of a lie about proofs whose teller lies about elections as well.
const CONFLICTING_AND: &str = "conflicting-election+";

/// One way in which a peer differs from an honest one. Each is honest in all it doesn't name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Not at all. With a chain of its own such a peer can be ahead, behind, or on a fork.
    Honest,
    /// Claims another election block for the current epoch, which elects a validator of its own and
    /// carries that one's votes; and checkpoints that fit it. Needs a chain of an epoch at least.
    ConflictingElection,
    /// Claims a checkpoint of an epoch far ahead as the last macro block, with votes of the current
    /// validators.
    OtherEpochMacro,
    /// Has the right macro blocks, with votes that are none.
    BadSignature,
    /// Has the right macro blocks, with one vote too few.
    TooFewSigners,
    /// Answers requests for a block with the one before it.
    WrongHash,
    /// Claims its last micro block as the last macro and election block.
    MicroForMacro,
    /// Never answers.
    NoAnswer,
    /// Answers after this time.
    LateAnswer(Duration),
    /// Closes the connection at the first request.
    Closes,
    /// Answers requests for heads honestly, and all others with bytes that mean nothing.
    Garbage,
    /// Like [`Lie::Garbage`], with as many bytes as the protocol lets through: 10 MiB.
    Oversized,
    /// Claims that the chain still ends this many blocks ago.
    Lagging(u32),
    /// Knows a chain that ended an epoch ago and doesn't go on. Has to be given such a chain.
    StaleHead,
    /// Claims another micro block in place of the last one, signed by the validator whose turn it
    /// was. It is not gossiped, as that would get the validator punished.
    ForkedMicro,
    /// Gossips invalid headers, time and again.
    BadHeaderGossip,
    /// Refuses to tell which blocks are missing.
    WithholdsMissingBlocks,
    /// Tells missing blocks of which the last has a wrong signature.
    WrongMissingBlocks,
    /// Offers no services, like a light client.
    NoServices,
    /// Handshakes with another genesis block.
    WrongGenesis,
    /// Syncs honestly, and lies to those who ask about accounts, transactions and blocks.
    Query(QueryLie),
    /// Lies about proofs of the election chain.
    Proof {
        /// In what way.
        lie: ProofLie,
        /// Whether it is a [`Lie::ConflictingElection`] as well. Otherwise it syncs honestly.
        conflicting: bool,
    },
}

/// It is not the name of a lie.
#[derive(Debug, Error)]
#[error("unknown kind of adversary: {0} (known: {known})", known = Lie::names().join(", "))]
pub struct UnknownLie(String);

impl UnknownLie {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Lie {
    /// Names of all kinds, as parsed. `late-answer` and `lagging` can be followed by `=` and a
    /// number, of milliseconds and blocks respectively; and what lies about proofs can have
    /// `conflicting-election+` before it.
    pub fn names() -> Vec<&'static str> {
        let queries = QueryLie::ALL.iter().map(|(_, name)| *name);
        let proofs = ProofLie::ALL.iter().map(|(_, name)| *name);
        let others = Self::NAMES.iter().copied();
        others.chain(queries).chain(proofs).collect()
    }

    /// Of those that have no type of their own.
    const NAMES: &'static [&'static str] = &[
        "honest",
        "conflicting-election",
        "other-epoch-macro",
        "bad-signature",
        "too-few-signers",
        "wrong-hash",
        "micro-for-macro",
        "no-answer",
        "late-answer",
        "closes",
        "garbage",
        "oversized",
        "lagging",
        "one-batch-behind",
        "stale-head",
        "forked-micro",
        "bad-header-gossip",
        "withholds-missing-blocks",
        "wrong-missing-blocks",
        "no-services",
        "wrong-genesis",
    ];

    /// Honest, but always one batch behind. (To be ahead, be honest about a longer chain.)
    pub const ONE_BATCH_BEHIND: Self = Self::Lagging(32);

    /// Whether it can be told only where there are proofs.
    pub fn needs_proofs(&self) -> bool {
        matches!(self, Self::Proof { .. })
    }

    /// How many epochs before the others' the chain of such a peer ends, if it has one of its own.
    pub(crate) fn epochs_behind(&self) -> Option<u32> {
        matches!(self, Self::StaleHead).then_some(1)
    }
}

impl FromStr for Lie {
    type Err = UnknownLie;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownLie::new(text);
        if let Some(lie) = text.strip_prefix(CONFLICTING_AND) {
            return Ok(Self::Proof {
                lie: lie.parse().map_err(|_| unknown())?,
                conflicting: true,
            });
        }
        if let Some((name, number)) = text.split_once('=') {
            return match name {
                "late-answer" => Ok(Self::LateAnswer(Duration::from_millis(
                    number.parse().map_err(|_| unknown())?,
                ))),
                "lagging" => Ok(Self::Lagging(number.parse().map_err(|_| unknown())?)),
                _ => Err(unknown()),
            };
        }
        Ok(match text {
            "honest" => Self::Honest,
            "conflicting-election" => Self::ConflictingElection,
            "other-epoch-macro" => Self::OtherEpochMacro,
            "bad-signature" => Self::BadSignature,
            "too-few-signers" => Self::TooFewSigners,
            "wrong-hash" => Self::WrongHash,
            "micro-for-macro" => Self::MicroForMacro,
            "no-answer" => Self::NoAnswer,
            "late-answer" => Self::LateAnswer(DEFAULT_DELAY),
            "closes" => Self::Closes,
            "garbage" => Self::Garbage,
            "oversized" => Self::Oversized,
            "lagging" | "one-batch-behind" => Self::ONE_BATCH_BEHIND,
            "stale-head" => Self::StaleHead,
            "forked-micro" => Self::ForkedMicro,
            "bad-header-gossip" => Self::BadHeaderGossip,
            "withholds-missing-blocks" => Self::WithholdsMissingBlocks,
            "wrong-missing-blocks" => Self::WrongMissingBlocks,
            "no-services" => Self::NoServices,
            "wrong-genesis" => Self::WrongGenesis,
            _ => match text.parse() {
                Ok(lie) => Self::Proof {
                    lie,
                    conflicting: false,
                },
                Err(_) => Self::Query(text.parse()?),
            },
        })
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honest => "honest",
            Self::ConflictingElection => "conflicting-election",
            Self::OtherEpochMacro => "other-epoch-macro",
            Self::BadSignature => "bad-signature",
            Self::TooFewSigners => "too-few-signers",
            Self::WrongHash => "wrong-hash",
            Self::MicroForMacro => "micro-for-macro",
            Self::NoAnswer => "no-answer",
            Self::LateAnswer(delay) => return write!(f, "late-answer={}", delay.as_millis()),
            Self::Closes => "closes",
            Self::Garbage => "garbage",
            Self::Oversized => "oversized",
            Self::Lagging(blocks) => return write!(f, "lagging={blocks}"),
            Self::StaleHead => "stale-head",
            Self::ForkedMicro => "forked-micro",
            Self::BadHeaderGossip => "bad-header-gossip",
            Self::WithholdsMissingBlocks => "withholds-missing-blocks",
            Self::WrongMissingBlocks => "wrong-missing-blocks",
            Self::NoServices => "no-services",
            Self::WrongGenesis => "wrong-genesis",
            Self::Query(lie) => return lie.fmt(f),
            Self::Proof { lie, conflicting } => {
                let prefix = if *conflicting { CONFLICTING_AND } else { "" };
                return write!(f, "{prefix}{lie}");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn every_name_is_one_of_a_lie_and_lies_keep_their_names() {
        for name in Lie::names() {
            let lie: Lie = name.parse().unwrap();
            assert_eq!(lie.to_string().parse::<Lie>().unwrap(), lie);
        }
        let both: Lie = "conflicting-election+bad-proof".parse().unwrap();
        assert_eq!(both.to_string().parse::<Lie>().unwrap(), both);
        assert!(both.needs_proofs() && !Lie::Honest.needs_proofs());
        for wrong in [
            "",
            "Honest",
            "late-answer=",
            "lagging=-1",
            "honest=1",
            "conflicting-election+honest",
            "honest+bad-proof",
        ] {
            let error = wrong.parse::<Lie>().unwrap_err();
            assert!(error.to_string().contains("conflicting-election"));
        }
    }
}
