//! What is kept beside the log: snapshots of the state, and evidence.
//!
//! It does not know what a snapshot holds; a snapshot that is lost is made again from the log.

use bytes::Bytes;

use crate::error::{ReadError, SaveError};
use crate::log::{Log, Reader};
use crate::rows::{evidence_key, evidence_name};
use crate::snapshots::{self, SnapshotRows, Span};
use crate::store::{Batch, Row, Table, View};
use crate::{EVIDENCE_BYTES_MAX, EVIDENCE_MAX};

impl Log {
    /// See [`crate::Ledger::save_snapshot`].
    pub(crate) fn keep_snapshot(&self, span: Span, rows: &SnapshotRows) -> Result<(), SaveError> {
        limit("a snapshot's size", span.to, self.head().size)?;
        limit("a snapshot's beginning", span.from + 1, span.to)?;
        // Beside the store, not in it: the writer goes on meanwhile.
        let parts = self.parts();
        let parts = parts.as_ref().ok_or(SaveError::Closed)?;
        snapshots::keep(&*parts.shelf, span, rows).map_err(SaveError::Snapshot)
    }

    /// See [`crate::Ledger::keep_evidence`].
    pub(crate) fn keep_piece(&self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        limit("a piece of evidence's bytes", bytes.len() as u64, EVIDENCE_BYTES_MAX as u64)?;
        limit("a piece of evidence's name's bytes", name.len() as u64, NAME_BYTES_MAX)?;
        self.save(|view| {
            let key = evidence_key(name, bytes);
            let is_new = view.get(Table::Evidence, &key).map_err(SaveError::Unknown)?.is_none();
            let pieces = view.len(Table::Evidence).map_err(SaveError::Unknown)?;
            limit("pieces of evidence", pieces + u64::from(is_new), EVIDENCE_MAX)?;
            let mut batch = Batch::default();
            batch.put(Table::Evidence, key, bytes);
            Ok(batch)
        })
    }

    /// Commits under the writer's lock, and closes the ledger when nobody knows what is durable.
    fn save(&self, batch: impl FnOnce(&dyn View) -> Result<Batch, SaveError>) -> Result<(), SaveError> {
        let mut writer = self.writer();
        let parts = self.parts();
        let Some(parts) = parts.as_ref().filter(|_| !writer.closed) else { return Err(SaveError::Closed) };
        let view = parts.store.view().map_err(SaveError::Unknown);
        let saved = view.and_then(|view| batch(&*view));
        let saved = saved.and_then(|batch| parts.store.commit(batch).map_err(SaveError::Unknown));
        writer.closed = matches!(saved, Err(SaveError::Unknown(_)));
        saved
    }
}

impl Reader<'_> {
    /// See [`crate::Ledger::evidence`].
    pub(crate) fn evidence(&self) -> Result<Vec<(String, Bytes)>, ReadError> {
        let rows = self.view.range(Table::Evidence, &[], EVIDENCE_MAX as usize).map_err(ReadError::Store)?;
        let piece = |(index, (key, value)): (u64, Row)| {
            let name = evidence_name(&key, &value).ok_or(ReadError::Corrupt { index, what: "the evidence" })?;
            Ok((name, Bytes::from(value)))
        };
        let mut pieces = (0..).zip(rows).map(piece).collect::<Result<Vec<_>, ReadError>>()?;
        pieces.sort();
        Ok(pieces)
    }
}

fn limit(what: &'static str, found: u64, max: u64) -> Result<(), SaveError> {
    if found <= max { Ok(()) } else { Err(SaveError::Limit { what, found, max }) }
}

/// A name is a few words.
const NAME_BYTES_MAX: u64 = 128;
