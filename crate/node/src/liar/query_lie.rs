//! The ways to lie to those who ask about accounts, transactions and blocks.

use std::{fmt, str::FromStr};

use super::lie::UnknownLie;

/// One way in which a peer's answers to such questions differ from an honest one's. It syncs
/// honestly, so that it is asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryLie {
    /// Tells other values of accounts, in proofs that are right but for those.
    WrongBalance,
    /// Tells other values of accounts, in proofs that hold for a state root which no block has.
    ForgedState,
    /// Claims that its proofs are of the state at a macro block of before, which was another.
    OldStateRoot,
    /// Proves an account other than those asked for.
    OtherAccount,
    /// Leaves accounts out of its proofs and says that these prove their absence.
    SaysAbsent,
    /// Proves transactions with hashes that lead elsewhere.
    WrongHistoryProof,
    /// Changes the values of transactions, in proofs that are right but for those.
    ForgedTransaction,
    /// Says of transactions that were carried out that they failed and the other way round.
    ForgedExecution,
    /// Proves a transaction other than those asked for.
    OtherTransaction,
    /// Like [`QueryLie::ForgedExecution`], in a history of its own that a block of its own confirms.
    ForgedHistory,
    /// Tells of transactions that never were.
    ForgedReceipts,
    /// Tells of transactions that have nothing to do with the address.
    ForeignReceipts,
    /// Tells of no transactions. That is no proof of a lie, as nothing proves completeness.
    WithholdsReceipts,
    /// Notifies, with each block, of transactions that never were.
    ForgedNotification,
    /// Notifies, with each block, of transactions that have nothing to do with the addresses.
    ForeignNotification,
    /// Takes subscriptions, and never notifies.
    WithholdsNotifications,
    /// Answers requests for blocks before the last election block with other blocks. For that one
    /// and those after it, it is honest, as for all election blocks.
    WrongOldBlock,
    /// Proves old election blocks with election blocks that don't lead there.
    WrongBlocksProof,
    /// Proves old election blocks with election blocks that it made up.
    ForgedBlocksProof,
    /// Answers with errors.
    RefusesQueries,
    /// Never answers.
    IgnoresQueries,
    /// Answers with bytes that mean nothing.
    GarbageQueries,
}

impl QueryLie {
    /// All of them, with their names.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::WrongBalance, "wrong-balance"),
        (Self::ForgedState, "forged-state"),
        (Self::OldStateRoot, "old-state-root"),
        (Self::OtherAccount, "other-account"),
        (Self::SaysAbsent, "says-absent"),
        (Self::WrongHistoryProof, "wrong-history-proof"),
        (Self::ForgedTransaction, "forged-transaction"),
        (Self::ForgedExecution, "forged-execution"),
        (Self::OtherTransaction, "other-transaction"),
        (Self::ForgedHistory, "forged-history"),
        (Self::ForgedReceipts, "forged-receipts"),
        (Self::ForeignReceipts, "foreign-receipts"),
        (Self::WithholdsReceipts, "withholds-receipts"),
        (Self::ForgedNotification, "forged-notification"),
        (Self::ForeignNotification, "foreign-notification"),
        (Self::WithholdsNotifications, "withholds-notifications"),
        (Self::WrongOldBlock, "wrong-old-block"),
        (Self::WrongBlocksProof, "wrong-blocks-proof"),
        (Self::ForgedBlocksProof, "forged-blocks-proof"),
        (Self::RefusesQueries, "refuses-queries"),
        (Self::IgnoresQueries, "ignores-queries"),
        (Self::GarbageQueries, "garbage-queries"),
    ];
}

impl FromStr for QueryLie {
    type Err = UnknownLie;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found
            .map(|(lie, _)| *lie)
            .ok_or_else(|| UnknownLie::new(text))
    }
}

impl fmt::Display for QueryLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(lie, _)| lie == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn all_have_names_of_their_own() {
        for (lie, name) in QueryLie::ALL {
            assert_eq!(lie.to_string(), *name);
            assert_eq!(name.parse::<QueryLie>().unwrap(), *lie);
        }
        "wrong".parse::<QueryLie>().unwrap_err();
    }
}
