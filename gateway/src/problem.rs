//! Why a call does not get what it asked for, by whose fault. `status.rs` turns it into gRPC.

use envelope::genesis::hex;
use exchange::Refusal;

/// The answer to a call that fails.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The peer's fault; it is told exactly.
    Refused(Refusal),
    /// Nobody's fault: come back later.
    Busy {
        /// What is full or stopped.
        text: String,
        /// When to come back.
        retry_after_ms: u64,
        /// Whether the call may have taken effect all the same.
        outcome: Outcome,
    },
    /// Ours; the peer gets the reference, the log has the cause under it.
    Fault {
        /// 8 random bytes in hex.
        reference: String,
    },
}

/// Whether a call that failed may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written.
    NotDone,
    /// Nobody knows what is durable: ask again.
    NotKnown,
}

impl Problem {
    /// A full queue or the like.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::Busy { text: text.into(), retry_after_ms: crate::limits::RETRY_AFTER_MS, outcome: Outcome::NotDone }
    }

    /// A commit whose outcome nobody knows.
    #[must_use]
    pub fn not_known() -> Self {
        let text = "not known: ask again".to_owned();
        Self::Busy { text, retry_after_ms: crate::limits::RETRY_AFTER_MS, outcome: Outcome::NotKnown }
    }

    /// A fault of ours: logs the cause under a new reference.
    pub fn fault(what: &str, cause: &dyn std::fmt::Display) -> Self {
        let reference = hex(&envelope::keys::random::<8>().unwrap_or_default());
        tracing::error!(reference, %cause, "{what}");
        Self::Fault { reference }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{}: {refusal}", refusal.name()),
            Self::Busy { text, .. } => f.write_str(text),
            Self::Fault { reference } => write!(f, "internal fault, reference {reference}"),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ledger::ReadError> for Problem {
    fn from(error: ledger::ReadError) -> Self {
        match error {
            // After a commit whose outcome nobody knows; moments later it is open again.
            ledger::ReadError::Closed => Self::busy("the store is being opened again"),
            error => Self::fault("the ledger could not be read", &error),
        }
    }
}
