//! The memory: entries in one order, each under a signed checkpoint, kept in an embedded store.
//!
//! **Invariant:** the ledger does not know what an entry means; it never asks the exchange.
//! **Invariant:** over all notes that ever left it there is one root per size. A note leaves only after the commit
//! that holds it has returned.
//! **Invariant:** what is read is checked first: a leaf against its tile, an opening against its leaf, a proof
//! against the signed root. A wrong value is never served; damage is an error that names its place.

#[cfg(feature = "doors")]
pub mod doors;
mod error;
#[cfg(any(test, feature = "faults"))]
mod faulty;
mod keyfile;
mod lock;
mod memory;
mod redb;
mod rows;
mod sled;
mod store;

mod append;
mod log;
mod open;
mod payloads;
mod proofs;
mod read;
mod scrub;
mod segments;
mod shelf;
mod snapshots;

#[cfg(test)]
mod tests;

use std::path::Path;

use bytes::Bytes;
use envelope::draft::Draft;
use envelope::slots::{Leaf, Opening};
use envelope::time::Timestamp;
use tlog::{Hash, TileId};

pub use error::{AppendError, Cause, OpenError, ReadError, SaveError};
#[cfg(any(test, feature = "faults"))]
pub use faulty::{Fault, Plan};
pub use memory::Memory;
pub use scrub::{FINDINGS_MAX, Finding, Findings};
pub use snapshots::{Snapshot, SnapshotRows};

/// What a log is, and by whom its store was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The log's origin: first line of its checkpoints and name of its key.
    pub origin: String,
    /// The directory tree's origin, likewise.
    pub directory_origin: String,
    /// SHA-256 of the genesis that the log begins with.
    pub genesis_sha256: [u8; 32],
    /// The program and version that makes the store; kept for people, never compared.
    pub created_by: String,
}

/// Who signs the checkpoints. The keys lie outside the data folder.
pub struct Signers {
    /// Signs the log's checkpoints; its key bears [`Config::origin`].
    pub log: Box<dyn tlog::NoteSigner>,
    /// Signs the directory's checkpoints; its key bears [`Config::directory_origin`].
    pub directory: Box<dyn tlog::NoteSigner>,
}

/// Where the rows are kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Engine {
    /// The file `ledger.redb` in the data folder, beside the folders `keys`, `payloads` and `snapshots`.
    Redb,
    /// The folders `sled` and `keys` in the data folder.
    Sled,
    /// This process's memory; the handle keeps the content from one open to the next. The data folder is not used.
    Memory(Memory),
    /// Another engine that fails as planned; for tests.
    #[cfg(any(test, feature = "faults"))]
    Faulty(Box<Engine>, Plan),
}

impl Engine {
    /// The engines that keep a store in a data folder, by the names that they have in headers, errors and configurations.
    pub const ON_DISK: [Engine; 2] = [Engine::Redb, Engine::Sled];

    /// The engine of a name, out of [`Engine::ON_DISK`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ON_DISK.into_iter().find(|engine| engine.name() == name)
    }

    /// The engine that has kept a store in a data folder; the first one when there are two.
    #[must_use]
    pub fn found_in(dir: &Path) -> Option<Self> {
        Self::ON_DISK.into_iter().find(|engine| engine.is_in(dir))
    }
}

/// A batch that is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Index of its first entry.
    pub first: u64,
    /// Ledger time of all its entries.
    pub at: Timestamp,
    /// Its entries, in order.
    pub entries: Vec<CommittedEntry>,
    /// The signed note over the new size.
    pub checkpoint: Bytes,
    /// Entries in the log now.
    pub size: u64,
    /// The directory's tree now.
    pub directory: DirectoryHead,
    /// How long the disk took: from the first key written to the engine's durable commit.
    pub sync: std::time::Duration,
}

/// One entry of a batch, with all that its receipt needs.
#[derive(Clone, Debug)]
pub struct CommittedEntry {
    /// Its index.
    pub index: u64,
    /// What the tree commits to.
    pub leaf: Leaf,
    /// What the leaf commits to.
    pub opening: Opening,
    /// From the leaf to the root of [`Committed::checkpoint`].
    pub path: Vec<Hash>,
}

/// The directory's tree at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryHead {
    /// Statements in it.
    pub size: u64,
    /// Root over their bytes.
    pub root: Hash,
    /// The signed note.
    pub checkpoint: Bytes,
}

/// One entry as it was kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its index.
    pub index: u64,
    /// What the tree commits to.
    pub leaf: Leaf,
    /// What the leaf commits to; `None` once it was purged.
    pub opening: Option<Opening>,
    /// What was kept beside the opening; `None` also once it was purged.
    pub sealed: Option<Bytes>,
}

/// A transparency log in a store. Everything but [`Ledger::append`] may be called from any thread at any time.
pub trait Ledger: Send + Sync {
    /// Committed entries.
    fn size(&self) -> u64;

    /// Appends a batch at `expected`, all at the ledger time `at`: one transaction, one fsync of the database, one
    /// checkpoint of the log. Called by the writer only.
    ///
    /// At most [`BATCH_DRAFTS_MAX`] drafts and [`BATCH_BYTES_MAX`] bytes by [`Draft::bytes`]; the batch at index 0 may
    /// have [`FIRST_BATCH_BYTES_MAX`], because a genesis is large. A lookup key that is known already keeps its index.
    ///
    /// # Errors
    /// [`AppendError`]; after [`AppendError::Unknown`] nobody knows whether the batch is durable, every later append is
    /// [`AppendError::Closed`], and the caller closes and opens the store again. After any other error nothing has changed.
    fn append(&self, expected: u64, at: Timestamp, drafts: Vec<Draft>) -> Result<Committed, AppendError>;

    /// The index of the entry that came with this lookup key.
    ///
    /// A damaged row is an error. A row that damage has made unreachable reads as `None`; [`Ledger::scrub`] finds it.
    ///
    /// # Errors
    /// [`ReadError`]
    fn find(&self, key: &[u8; 32]) -> Result<Option<u64>, ReadError>;

    /// The entry at an index: its leaf checked against the tile, its opening and what is sealed beside it against the
    /// leaf and their keys.
    ///
    /// # Errors
    /// [`ReadError`]
    fn read(&self, index: u64) -> Result<Stored, ReadError>;

    /// The hash of the leaf at an index, checked against the tile.
    ///
    /// # Errors
    /// [`ReadError`]
    fn leaf_hash(&self, index: u64) -> Result<Hash, ReadError>;

    /// The opening of an entry as it lies in the store, encrypted; for whoever looks for it in an image of the disk.
    ///
    /// # Errors
    /// [`ReadError`]
    fn opening_at_rest(&self, index: u64) -> Result<Bytes, ReadError>;

    /// The newest committed checkpoint: its size and the signed note.
    ///
    /// # Errors
    /// [`ReadError::Closed`]
    fn checkpoint(&self) -> Result<(u64, Bytes), ReadError>;

    /// The path from the leaf at `index` to the root of the first `size` entries, checked against the newest root.
    ///
    /// # Errors
    /// [`ReadError`]
    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, ReadError>;

    /// The proof that the first `from` entries are the beginning of the first `to`, checked against the newest root.
    ///
    /// # Errors
    /// [`ReadError`]
    fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, ReadError>;

    /// The first `width` hashes (1 to 256) of a tile of the log's tree, checked against the newest root.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Beyond`] when the tile is not that wide yet.
    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, ReadError>;

    /// The directory's newest committed head.
    ///
    /// # Errors
    /// [`ReadError::Closed`]
    fn directory(&self) -> Result<DirectoryHead, ReadError>;

    /// The raw leaves of the directory's tree from one index on, at most `max_bytes` of them in all but at least one if
    /// there is one; each is checked against the directory's tree.
    ///
    /// # Errors
    /// [`ReadError`]
    fn directory_leaves(&self, from: u64, max_bytes: usize) -> Result<Vec<Bytes>, ReadError>;

    /// Keeps the rows of the state that changed between the first `from` and the first `to` entries, beside the log; the
    /// writer may append meanwhile. The first part begins at 0, each other where the one before ended.
    ///
    /// # Errors
    /// [`SaveError`]; the log is as it was then.
    fn save_snapshot(&self, from: u64, to: u64, rows: &SnapshotRows) -> Result<(), SaveError>;

    /// The newest snapshot that its sound parts make; a damaged part is left out, with all behind it, and logged.
    ///
    /// # Errors
    /// [`ReadError`]
    fn snapshot(&self) -> Result<Option<Snapshot>, ReadError>;

    /// Keeps what speaks against this log or another, such as a larger checkpoint of ours that a client showed. Nothing
    /// is ever overwritten: other bytes under the same name are kept beside the first.
    ///
    /// # Errors
    /// [`SaveError`]; after [`SaveError::Unknown`] the ledger is closed as after a failed append.
    fn keep_evidence(&self, name: &str, bytes: &[u8]) -> Result<(), SaveError>;

    /// What was kept as evidence, by name.
    ///
    /// # Errors
    /// [`ReadError`]
    fn evidence(&self) -> Result<Vec<(String, Bytes)>, ReadError>;

    /// Reads entries `from..to` and their tiles again and recomputes what they must be. From 0 it also reads the
    /// directory and all snapshots, and with `to` at the end it recomputes both roots from the leaves alone.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read at all; damage is a finding, not an error.
    fn scrub(&self, from: u64, to: u64) -> Result<Findings, ReadError>;

    /// Checks every page of the store by the engine's own checksums; `false` means damage that the engine has put
    /// right. Everything else waits meanwhile.
    ///
    /// # Errors
    /// [`ReadError`] when there is damage that cannot be put right.
    fn check_pages(&self) -> Result<bool, ReadError>;

    /// Waits for the calls under way, then lets go of the store and its lock. Everything after it is `Closed`, but
    /// [`Ledger::size`], which stays what it was.
    fn close(&self);
}

/// Makes a new, empty ledger with a checkpoint of size 0. What an earlier `create` left that was cut off is completed.
///
/// # Errors
/// [`OpenError`]; an existing store is [`OpenError::Exists`].
pub fn create(engine: Engine, dir: &Path, config: &Config, signers: Signers) -> Result<Box<dyn Ledger>, OpenError> {
    Ok(Box::new(open::create(engine, dir, config, signers)?))
}

/// Opens a ledger by checking it: header, newest notes, both right edges, row counts, the last leaf.
///
/// # Errors
/// [`OpenError`]; nothing is written to a store that does not pass.
pub fn open(engine: Engine, dir: &Path, config: &Config, signers: Signers) -> Result<Box<dyn Ledger>, OpenError> {
    Ok(Box::new(open::open(engine, dir, config, signers)?))
}

/// Most drafts that one fsync carries: 256 messages, and what the gateway adds of its own.
pub const BATCH_DRAFTS_MAX: usize = 256 + 8;
/// Most bytes of a batch: 4 MiB of messages, and what the gateway adds of its own.
pub const BATCH_BYTES_MAX: usize = (4 << 20) + (256 << 10);
/// Most bytes of the batch at index 0, which holds the genesis.
pub const FIRST_BATCH_BYTES_MAX: usize = envelope::limits::GENESIS_BYTES_MAX + (256 << 10);
/// Most bytes of one piece of evidence; a note has at most 64 KiB, and a proof goes with it.
pub const EVIDENCE_BYTES_MAX: usize = 256 << 10;
/// Most pieces of evidence; whoever shows more is not more convincing.
pub const EVIDENCE_MAX: u64 = 1024;
