//! Why a question about the chain got no answer, in words for people.

use thiserror::Error;

use crate::requests::PeerFault;

/// Why a question got no answer. Each carries a sentence that says what happened.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum QueryError {
    /// There is nobody to ask.
    #[error("{0}")]
    NoPeers(String),
    /// Nobody answered in time.
    #[error("{0}")]
    Timeout(String),
    /// There were answers, but none that is proven.
    #[error("{0}")]
    ProofInvalid(String),
    /// It does not exist, or nobody has it any more.
    #[error("{0}")]
    NotFound(String),
    /// The transaction can't be sent.
    #[error("{0}")]
    InvalidTransaction(String),
    /// The engine has ended.
    #[error("the client is closed")]
    Closed,
}

/// What became of a question that no peer answered.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// Who was asked, in order, and what was wrong with the answer.
    pub(super) tried: Vec<(String, PeerFault)>,
    /// How many peers were connected when there was nobody left to ask.
    pub(super) connected: usize,
    /// Whether time ran out before everybody had been asked.
    pub(super) late: bool,
}

impl Failure {
    /// The failure to get `what`, as an error: an invalid proof if anybody sent one; if somebody
    /// answered that it has nothing, what `lacks` makes of that; else a matter of time.
    pub(crate) fn into_error(self, what: &str, lacks: fn(String) -> QueryError) -> QueryError {
        let mut text = String::from(what);
        if self.tried.is_empty() {
            text.push_str(": none of ");
            text.push_str(&self.connected.to_string());
            text.push_str(" peers that can tell is at hand");
            return match self.late {
                true => QueryError::Timeout(text),
                false => QueryError::NoPeers(text),
            };
        }
        let mut kind: fn(String) -> QueryError = QueryError::Timeout;
        let lied = |(_, fault): &(String, PeerFault)| matches!(fault, PeerFault::Lied(_));
        let lacking = |(_, fault): &(String, PeerFault)| matches!(fault, PeerFault::Lacks(_));
        if self.tried.iter().any(lied) {
            kind = QueryError::ProofInvalid;
        } else if self.tried.iter().any(lacking) {
            kind = lacks;
        }
        for (i, (peer, fault)) in self.tried.iter().enumerate() {
            text.push_str(if i == 0 { ": " } else { "; " });
            text.push_str(peer);
            text.push_str(": ");
            text.push_str(fault.reason());
        }
        if self.late {
            text.push_str("; no time was left to ask others");
        }
        kind(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(faults: &[PeerFault]) -> Failure {
        let named = faults.iter().enumerate();
        Failure {
            tried: named
                .map(|(i, fault)| (format!("p{i}"), fault.clone()))
                .collect(),
            connected: 3,
            late: false,
        }
    }

    #[test]
    fn the_worst_answer_names_the_error() {
        let failed = PeerFault::Failed("no answer".into());
        let lacks = PeerFault::Lacks("has nothing".into());
        let lied = PeerFault::Lied("made it up".into());
        let error = |faults: &[PeerFault]| failure(faults).into_error("it", QueryError::NotFound);

        assert_eq!(
            error(&[failed.clone(), lied, lacks.clone()]),
            QueryError::ProofInvalid("it: p0: no answer; p1: made it up; p2: has nothing".into())
        );
        assert_eq!(
            error(&[failed.clone(), lacks]),
            QueryError::NotFound("it: p0: no answer; p1: has nothing".into())
        );
        assert_eq!(
            error(&[failed]),
            QueryError::Timeout("it: p0: no answer".into())
        );
        assert_eq!(
            error(&[]),
            QueryError::NoPeers("it: none of 3 peers that can tell is at hand".into())
        );
    }
}
