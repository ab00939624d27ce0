//! What can go wrong, by what the caller has to do next.
//!
//! It does not know engines: what an engine says is boxed as the cause.

use std::path::PathBuf;

use envelope::keys::KeyFileError;
use envelope::slots::SlotError;
use envelope::time::Timestamp;

use crate::{BATCH_BYTES_MAX, BATCH_DRAFTS_MAX};

/// What the store, the file system or a signer said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a batch was not appended. Only after [`AppendError::Unknown`] may it be durable all the same.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has another size than the writer believes; nothing was written.
    #[error("the log has {head} entries, the batch was made for another place")]
    Conflict {
        /// Entries in the log.
        head: u64,
    },
    /// The disk was full before anything was written.
    #[error("the disk is full, nothing was written")]
    Full(#[source] Cause),
    /// Nobody knows what is durable: close and open again.
    #[error("it is not known whether the batch is durable")]
    Unknown(#[source] Cause),
    /// An earlier append ended in [`AppendError::Unknown`], or the ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// Ledger time does not run backwards; nothing was written.
    #[error("the batch is at {at}, before the last entry at {last}")]
    Time {
        /// Time of the batch.
        at: Timestamp,
        /// Time of the last entry.
        last: Timestamp,
    },
    /// A fault of the caller's; nothing was written.
    #[error("a batch of {drafts} drafts and {bytes} bytes, allowed are 1 to {BATCH_DRAFTS_MAX} and {BATCH_BYTES_MAX}")]
    TooLarge {
        /// Drafts of the batch.
        drafts: usize,
        /// Bytes of the batch.
        bytes: usize,
    },
    /// A fault of the caller's: slots that do not fit the kind; nothing was written.
    #[error("draft {draft} of the batch has no sound slots")]
    Draft {
        /// Which draft, from 0.
        draft: usize,
        /// What is wrong with them.
        #[source]
        cause: SlotError,
    },
    /// The system gave no random bytes; nothing was written.
    #[error("no seed and no key for the entry")]
    Random(#[source] KeyFileError),
    /// A key could not sign; nothing was written.
    #[error("the checkpoint was not signed, nothing was written")]
    Sign(#[source] tlog::CheckpointError),
}

/// Why keys or payloads were not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// There was no room; no sync was tried.
    Full(Cause),
    /// Nobody knows what is on the disk.
    Unknown(Cause),
}

impl WriteError {
    /// What a failed write says; a sync was not yet tried.
    pub(crate) fn of(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full(error.into()),
            _ => Self::unknown(error),
        }
    }

    /// What a failed sync says.
    pub(crate) fn unknown(error: std::io::Error) -> Self {
        Self::Unknown(error.into())
    }
}

impl From<WriteError> for AppendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full(cause) => Self::Full(cause),
            WriteError::Unknown(cause) => Self::Unknown(cause),
        }
    }
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such entry, size, tile or leaf.
    #[error("{asked} is beyond the {size} that there are")]
    Beyond {
        /// What was asked for.
        asked: u64,
        /// How many there are.
        size: u64,
    },
    /// What is kept is not what was written.
    #[error("{what} at {index} is damaged")]
    Corrupt {
        /// Index of the entry, the directory leaf, the tile or the size.
        index: u64,
        /// What is damaged.
        what: &'static str,
    },
    /// The store could not read.
    #[error("the store cannot be read")]
    Store(#[source] Cause),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

/// Why a snapshot or evidence was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// More than is allowed, or a bad name; nothing was written.
    #[error("{what} of {found}, at most {max}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What was given.
        found: u64,
        /// The bound.
        max: u64,
    },
    /// The snapshot was not kept, or not merged; the next start reads a longer tail.
    #[error("the snapshot was not kept")]
    Snapshot(#[source] Cause),
    /// Nobody knows what is durable: close and open again.
    #[error("it is not known whether it is durable")]
    Unknown(#[source] Cause),
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Closed,
}

/// Why a ledger was not opened or created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is a store already.
    #[error("there is a ledger in {} already", .0.display())]
    Exists(PathBuf),
    /// There is no store.
    #[error("there is no ledger in {}", .0.display())]
    Missing(PathBuf),
    /// There is a store, but another engine's. An engine is chosen when the store is made, and stays.
    #[error("the store in {} was made by the engine {found}, {wanted} cannot open it", .dir.display())]
    Engine {
        /// Where.
        dir: PathBuf,
        /// The engine of the store.
        found: &'static str,
        /// The engine that was asked for.
        wanted: &'static str,
    },
    /// Somebody has it open.
    #[error("the ledger is in use by {holder}")]
    Locked {
        /// What the holder wrote into the lock file.
        holder: String,
    },
    /// The store has a format that this program does not know.
    #[error("the store has format {found}, this program knows {wanted}")]
    Version {
        /// Format of the store.
        found: u32,
        /// Format of this program.
        wanted: u32,
    },
    /// The store is of another log or engine.
    #[error("the store's {what} is {found}, {wanted} wanted")]
    Other {
        /// Which field of the header.
        what: &'static str,
        /// What the header says.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// A signer's key does not bear the origin's name.
    #[error("the key bears the name {found}, {wanted} wanted")]
    Signer {
        /// Name of the key.
        found: String,
        /// The origin.
        wanted: String,
    },
    /// The newest note is not one of our keys'.
    #[error("the newest {what} note is not sound")]
    Note {
        /// Log or directory.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        cause: tlog::CheckpointError,
    },
    /// Two things that must agree do not.
    #[error("the store contradicts itself: {what}")]
    Mismatch {
        /// Which, with numbers.
        what: String,
    },
    /// A file or folder.
    #[error("{}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The store could not be read or written.
    #[error("the store cannot be opened")]
    Store(#[source] Cause),
    /// A row that opening needs is damaged or cannot be read.
    #[error("the store cannot be checked")]
    Read(#[from] ReadError),
}
