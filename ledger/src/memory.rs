//! The memory engine: the model that the others are compared with, and the store of other crates' tests.
//!
//! It does not know what a row means. Its content lives as long as a handle; there is nothing durable about it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use envelope::vault::EntryKey;
use zeroize::Zeroizing;

use crate::error::{Cause, WriteError};
use crate::keyfile::Keys;
use crate::log::{Held, Parts};
use crate::payloads::{Payloads, Place};
use crate::snapshots::{Shelf, Span};
use crate::store::{Batch, Row, Store, Table, View};

type Tables = BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store in memory. Clones share one content.
#[derive(Clone, Default)]
pub struct Memory(Arc<Content>);

#[derive(Default)]
struct Content {
    /// A commit puts a new map in place, so that a view stays what it was.
    tables: Mutex<Arc<Tables>>,
    keys: Mutex<Vec<Zeroizing<[u8; 32]>>>,
    payloads: Mutex<BTreeMap<u32, Vec<u8>>>,
    snapshots: Mutex<BTreeMap<Span, Bytes>>,
    locked: Mutex<bool>,
}

/// Held while a ledger is open on the content.
pub(crate) struct MemoryLock(Memory);

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a ledger on `store` needs beside it, out of this memory.
    pub(crate) fn parts(&self, store: Box<dyn Store>, lock: MemoryLock) -> Parts {
        let (keys, payloads, shelf) = (Box::new(self.clone()), Box::new(self.clone()), Box::new(self.clone()));
        Parts { store, keys, payloads, shelf, _held: Held::Memory { _lock: lock } }
    }

    /// `None` when it is held already.
    pub(crate) fn lock(&self) -> Option<MemoryLock> {
        let held = std::mem::replace(&mut *hold(&self.0.locked), true);
        (!held).then(|| MemoryLock(self.clone()))
    }

    /// Changes rows behind the ledger's back.
    #[cfg(test)]
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Tables)) {
        change(Arc::make_mut(&mut hold(&self.0.tables)));
    }

    /// Changes payloads behind the ledger's back.
    #[cfg(test)]
    pub(crate) fn tamper_payloads(&self, change: impl FnOnce(&mut BTreeMap<u32, Vec<u8>>)) {
        change(&mut hold(&self.0.payloads));
    }

    /// Changes keys behind the ledger's back.
    #[cfg(test)]
    pub(crate) fn tamper_keys(&self, change: impl FnOnce(&mut Vec<Zeroizing<[u8; 32]>>)) {
        change(&mut hold(&self.0.keys));
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        *hold(&self.0.0.locked) = false;
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Store for Memory {
    fn view(&self) -> Result<Box<dyn View + '_>, Cause> {
        Ok(Box::new(Moment(hold(&self.0.tables).clone())))
    }

    fn commit(&self, batch: Batch) -> Result<(), Cause> {
        let mut tables = hold(&self.0.tables);
        let tables = Arc::make_mut(&mut tables);
        for (name, rows) in batch.0 {
            let table = tables.entry(name).or_default();
            for (key, value) in rows {
                match value {
                    Some(_) if name == Table::Lookup && table.contains_key(&key) => {}
                    Some(value) => drop(table.insert(key, value)),
                    None => drop(table.remove(&key)),
                }
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<bool, Cause> {
        Ok(true)
    }
}

impl Keys for Memory {
    fn write(&self, first: u64, keys: &[&EntryKey]) -> Result<(), WriteError> {
        let mut kept = hold(&self.0.keys);
        let first = usize::try_from(first).map_err(|error| WriteError::Full(error.into()))?;
        kept.truncate(first);
        kept.extend(keys.iter().map(|key| Zeroizing::new(*key.as_bytes())));
        Ok(())
    }

    fn read(&self, index: u64) -> Result<Option<EntryKey>, Cause> {
        let kept = hold(&self.0.keys);
        let key = usize::try_from(index).ok().and_then(|index| kept.get(index)).ok_or("there is no key")?;
        Ok((**key != [0; 32]).then(|| EntryKey::from_bytes(**key)))
    }

    fn extent(&self) -> Result<u64, Cause> {
        Ok(hold(&self.0.keys).len() as u64)
    }
}

impl Payloads for Memory {
    fn write(&self, place: Place, bytes: &[u8]) -> Result<(), WriteError> {
        let mut kept = hold(&self.0.payloads);
        let file = kept.entry(place.segment).or_default();
        let end = place.offset as usize + bytes.len();
        file.resize(end.max(file.len()), 0);
        file[place.offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, place: Place, length: usize) -> Result<Vec<u8>, Cause> {
        let kept = hold(&self.0.payloads);
        let from = place.offset as usize;
        let bytes = kept.get(&place.segment).and_then(|file| file.get(from..from.checked_add(length)?));
        Ok(bytes.ok_or("there is no such payload")?.to_vec())
    }

    fn extent(&self, segment: u32) -> Result<u64, Cause> {
        Ok(hold(&self.0.payloads).get(&segment).map_or(0, |file| file.len() as u64))
    }
}

impl Shelf for Memory {
    fn list(&self) -> Result<Vec<(Span, u64)>, Cause> {
        Ok(hold(&self.0.snapshots).iter().map(|(span, bytes)| (*span, bytes.len() as u64)).collect())
    }

    fn read(&self, span: Span) -> Result<Bytes, Cause> {
        Ok(hold(&self.0.snapshots).get(&span).ok_or("there is no such part")?.clone())
    }

    fn put(&self, span: Span, bytes: Bytes) -> Result<(), Cause> {
        hold(&self.0.snapshots).insert(span, bytes);
        Ok(())
    }

    fn remove(&self, span: Span) -> Result<(), Cause> {
        hold(&self.0.snapshots).remove(&span);
        Ok(())
    }
}

struct Moment(Arc<Tables>);

impl View for Moment {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause> {
        Ok(self.0.get(&table).and_then(|rows| rows.get(key)).cloned())
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause> {
        let rows = self.0.get(&table).into_iter().flat_map(|rows| rows.range(from.to_vec()..));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn len(&self, table: Table) -> Result<u64, Cause> {
        Ok(self.0.get(&table).map_or(0, |rows| rows.len() as u64))
    }
}

/// Every change under these locks is one statement, so what a panic elsewhere left behind is whole.
fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
