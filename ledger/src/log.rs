//! The open ledger: the store, both right edges, and the head that everybody reads.
//!
//! It does not know engines. **Invariant:** the head is replaced only after the commit that holds it has returned.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use envelope::draft::Draft;
use envelope::time::Timestamp;
use tlog::{Hash, TileId, Tree};

use crate::error::{AppendError, ReadError, SaveError};
use crate::keyfile::Keys;
use crate::lock::Lock;
use crate::memory::MemoryLock;
use crate::payloads::{Payloads, Place};
use crate::proofs::Tiles;
use crate::rows::{Vault, Which};
use crate::scrub::Findings;
use crate::snapshots::{self, Shelf, Snapshot, SnapshotRows, Span};
use crate::store::{Store, View};
use crate::{Committed, Config, DirectoryHead, Ledger, Signers, Stored};

/// A ledger on any engine.
pub(crate) struct Log {
    /// The engine's name, as the header has it.
    pub(crate) engine: &'static str,
    pub(crate) config: Config,
    pub(crate) signers: Signers,
    /// Held for reading by every call, for writing by `close` and `check_pages`.
    pub(crate) parts: RwLock<Option<Parts>>,
    /// Held by whoever commits. Taken before `parts`.
    pub(crate) writer: Mutex<Writer>,
    /// Replaced by `append`, held by nobody for longer than a clone.
    pub(crate) head: RwLock<Arc<Head>>,
}

/// What is let go of when the ledger is closed; the lock last.
pub(crate) struct Parts {
    pub(crate) store: Box<dyn Store>,
    pub(crate) keys: Box<dyn Keys>,
    pub(crate) payloads: Box<dyn Payloads>,
    pub(crate) shelf: Box<dyn Shelf>,
    pub(crate) _held: Held,
}

/// The exclusive right to the store.
pub(crate) enum Held {
    File { _lock: Lock },
    Memory { _lock: MemoryLock },
}

/// What the next batch continues.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) log: Tree,
    pub(crate) directory: Tree,
    pub(crate) last_at: Timestamp,
    /// Where the next payload goes.
    pub(crate) payloads_end: Place,
    /// Format of the store's header.
    pub(crate) format: u32,
    /// A commit has failed, and nobody knows what is durable.
    pub(crate) closed: bool,
}

/// The newest committed checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: Bytes,
    pub(crate) directory: DirectoryHead,
}

impl Head {
    /// Size and root of a tree.
    pub(crate) fn tree(&self, which: Which) -> (u64, Hash) {
        match which {
            Which::Log => (self.size, self.root),
            Which::Directory => (self.directory.size, self.directory.root),
        }
    }
}

/// One moment of the store, and the head that judges it.
pub(crate) struct Reader<'a> {
    pub(crate) view: &'a dyn View,
    pub(crate) keys: &'a dyn Keys,
    pub(crate) payloads: &'a dyn Payloads,
    pub(crate) vault: Vault<'a>,
    pub(crate) head: Arc<Head>,
    pub(crate) log: Tiles<'a>,
    pub(crate) directory: Tiles<'a>,
}

impl Reader<'_> {
    /// The tiles of a tree.
    pub(crate) fn tiles(&self, which: Which) -> &Tiles<'_> {
        match which {
            Which::Log => &self.log,
            Which::Directory => &self.directory,
        }
    }
}

impl Log {
    pub(crate) fn head(&self) -> Arc<Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_head(&self, head: Head) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(head);
    }

    pub(crate) fn parts(&self) -> RwLockReadGuard<'_, Option<Parts>> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts_alone(&self) -> RwLockWriteGuard<'_, Option<Parts>> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic in the middle of an append leaves its batch in doubt like a failed commit.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.closed = true;
            writer
        })
    }

    /// Reads one moment of the store.
    pub(crate) fn reading<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let parts = self.parts();
        let parts = parts.as_ref().ok_or(ReadError::Closed)?;
        // The head first: then the view is never older than it.
        let head = self.head();
        let view = parts.store.view().map_err(ReadError::Store)?;
        read(&Reader {
            view: &*view,
            keys: &*parts.keys,
            payloads: &*parts.payloads,
            vault: Vault { origin: &self.config.origin },
            head,
            log: Tiles::new(&*view, Which::Log),
            directory: Tiles::new(&*view, Which::Directory),
        })
    }

    fn while_open<T>(&self, read: impl FnOnce(&Head) -> T) -> Result<T, ReadError> {
        if self.parts().is_none() { Err(ReadError::Closed) } else { Ok(read(&self.head())) }
    }
}

impl Ledger for Log {
    fn size(&self) -> u64 {
        self.head().size
    }

    fn append(&self, expected: u64, at: Timestamp, drafts: Vec<Draft>) -> Result<Committed, AppendError> {
        self.append_batch(expected, at, drafts)
    }

    fn find(&self, key: &[u8; 32]) -> Result<Option<u64>, ReadError> {
        self.reading(|reader| reader.find(key))
    }

    fn read(&self, index: u64) -> Result<Stored, ReadError> {
        self.reading(|reader| reader.read(index).map(|(stored, _)| stored))
    }

    fn leaf_hash(&self, index: u64) -> Result<Hash, ReadError> {
        self.reading(|reader| reader.leaf(index).map(|leaf| leaf.hash()))
    }

    fn opening_at_rest(&self, index: u64) -> Result<Bytes, ReadError> {
        self.reading(|reader| reader.opening_at_rest(index))
    }

    fn checkpoint(&self) -> Result<(u64, Bytes), ReadError> {
        self.while_open(|head| (head.size, head.note.clone()))
    }

    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, ReadError> {
        self.reading(|reader| reader.inclusion(Which::Log, index, size))
    }

    fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, ReadError> {
        self.reading(|reader| reader.consistency(Which::Log, from, to))
    }

    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, ReadError> {
        self.reading(|reader| reader.tile(Which::Log, id, width))
    }

    fn directory(&self) -> Result<DirectoryHead, ReadError> {
        self.while_open(|head| head.directory.clone())
    }

    fn directory_leaves(&self, from: u64, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        self.reading(|reader| reader.directory_leaves(from, max_bytes))
    }

    fn save_snapshot(&self, from: u64, to: u64, rows: &SnapshotRows) -> Result<(), SaveError> {
        self.keep_snapshot(Span { from, to }, rows)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, ReadError> {
        let size = self.size();
        let parts = self.parts();
        let shelf = &*parts.as_ref().ok_or(ReadError::Closed)?.shelf;
        let (snapshot, damaged) = snapshots::newest(shelf, size).map_err(ReadError::Store)?;
        if damaged > 0 {
            tracing::error!(damaged, "parts of the snapshot are damaged");
        }
        Ok(snapshot)
    }

    fn keep_evidence(&self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.keep_piece(name, bytes)
    }

    fn evidence(&self) -> Result<Vec<(String, Bytes)>, ReadError> {
        self.reading(|reader| reader.evidence())
    }

    fn scrub(&self, from: u64, to: u64) -> Result<Findings, ReadError> {
        self.scrub_range(from, to)
    }

    fn check_pages(&self) -> Result<bool, ReadError> {
        let mut parts = self.parts_alone();
        parts.as_mut().ok_or(ReadError::Closed)?.store.check().map_err(ReadError::Store)
    }

    fn close(&self) {
        self.parts_alone().take();
    }
}
