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
        /// The same as a word.
        bound: Bound,
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

/// What a busy answer ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The queue to the ledger, all senders together.
    Queue,
    /// What one participant may have: room in that queue, unfinished requests, open calls.
    Participant,
    /// Open calls of Replay, all participants together.
    Replays,
    /// The writer stands still.
    Writer,
    /// The disk.
    Disk,
    /// The store is being opened again.
    Store,
    /// Nobody knows whether it was written.
    NotKnown,
}

impl Bound {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Queue, Self::Participant, Self::Replays, Self::Writer, Self::Disk, Self::Store, Self::NotKnown];

    /// Its word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Participant => "participant",
            Self::Replays => "replays",
            Self::Writer => "writer",
            Self::Disk => "disk",
            Self::Store => "store",
            Self::NotKnown => "not_known",
        }
    }
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
    /// The writer stands still.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::busy_at(Bound::Writer, text)
    }

    /// Something is full.
    pub fn busy_at(bound: Bound, text: impl Into<String>) -> Self {
        Self::Busy { text: text.into(), bound, retry_after_ms: crate::limits::RETRY_AFTER_MS, outcome: Outcome::NotDone }
    }

    /// A commit whose outcome nobody knows.
    #[must_use]
    pub fn not_known() -> Self {
        let text = "not known: ask again".to_owned();
        Self::Busy { text, bound: Bound::NotKnown, retry_after_ms: crate::limits::RETRY_AFTER_MS, outcome: Outcome::NotKnown }
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
            ledger::ReadError::Closed => Self::busy_at(Bound::Store, "the store is being opened again"),
            error => Self::fault("the ledger could not be read", &error),
        }
    }
}
