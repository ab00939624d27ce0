//! The door to an engine: tables of rows, bytes to bytes, and batches that are written whole or not at all.
//!
//! It does not know what a row means. A view is one moment of the store; a commit returns once the batch is durable.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Cause;

/// The tables of a store. Their numbers are the sled engine's key prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Table {
    /// The header.
    Meta = 0,
    /// Index -> 44 bytes.
    Leaf = 1,
    /// Index -> encrypted opening.
    Opening = 2,
    /// Index -> what is kept beside the opening, encrypted.
    Sealed = 3,
    /// Tree, level, index -> hashes.
    Tile = 4,
    /// Tree -> newest signed note.
    Note = 5,
    /// Lookup key -> index. The first row under a key stays for ever.
    Lookup = 6,
    /// Index -> leaf of the directory's tree.
    Directory = 7,
    /// Size -> state.
    Snapshot = 8,
    /// Name and digest -> bytes.
    Evidence = 9,
}

impl Table {
    /// All of them.
    pub(crate) const ALL: [Table; 10] = [
        Table::Meta,
        Table::Leaf,
        Table::Opening,
        Table::Sealed,
        Table::Tile,
        Table::Note,
        Table::Lookup,
        Table::Directory,
        Table::Snapshot,
        Table::Evidence,
    ];

    /// Its name in an engine.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Leaf => "leaf",
            Table::Opening => "opening",
            Table::Sealed => "sealed",
            Table::Tile => "tile",
            Table::Note => "note",
            Table::Lookup => "lookup",
            Table::Directory => "directory",
            Table::Snapshot => "snapshot",
            Table::Evidence => "evidence",
        }
    }
}

/// Key and value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Rows to write together; `None` deletes. In [`Table::Lookup`] a row that is there already stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch(pub(crate) BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>);

impl Batch {
    pub(crate) fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.entry(table).or_default().insert(key.into(), Some(value.into()));
    }

    #[cfg(test)]
    pub(crate) fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.0.entry(table).or_default().insert(key.into(), None);
    }

    /// Puts a row unless this batch has one under that key.
    pub(crate) fn put_first(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.entry(table).or_default().entry(key.into()).or_insert_with(|| Some(value.into()));
    }
}

/// An engine with one open store.
pub(crate) trait Store: Send + Sync {
    /// The store as it is now.
    fn view(&self) -> Result<Box<dyn View + '_>, Cause>;

    /// Writes a batch whole and durably, or not at all; after an error nobody knows which. A lookup row that is there
    /// already is left as it is.
    fn commit(&self, batch: Batch) -> Result<(), Cause>;

    /// The engine's own check of every page; `false` when it had to put something right.
    fn check(&mut self) -> Result<bool, Cause>;
}

/// One moment of a store.
pub(crate) trait View {
    /// The value under a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause>;

    /// At most `limit` rows from a key on, ascending.
    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause>;

    /// Number of rows.
    fn len(&self, table: Table) -> Result<u64, Cause>;
}

/// The engine met what it holds to be impossible.
#[derive(Debug, thiserror::Error)]
#[error("the database engine stopped: {0}")]
struct Stopped(String);

/// Calls an engine; a panic of it becomes an error. Nothing that the engine half changed is used after one: a view is
/// dropped, and a failed commit closes the store.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, Cause>) -> Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Box::new(Stopped(text.unwrap_or_else(|| "no reason given".to_owned()))))
    })
}
