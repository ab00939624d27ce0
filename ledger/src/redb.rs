//! The redb engine: one file, one transaction a batch, synced before it returns.
//!
//! It does not know what a row means. redb does not check its pages when it reads them, and some damage makes it panic;
//! here a panic of the engine becomes an error, and every value is checked by the caller.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _, StorageBackend, TableDefinition,
};

use crate::error::Cause;
use crate::store::{Batch, Row, Store, Table, View, guarded};

/// An open `ledger.redb`.
pub(crate) struct Redb {
    /// `None` only while it is dropped.
    database: Option<Database>,
}

impl Redb {
    /// Opens the file, which is made when it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, Cause> {
        Self::open_on(Self::file(path)?)
    }

    /// The file, readable by its owner only.
    pub(crate) fn file(path: &Path) -> Result<FileBackend, Cause> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(FileBackend::new(file)?)
    }

    /// Opens a database on any medium.
    pub(crate) fn open_on(medium: impl StorageBackend) -> Result<Self, Cause> {
        guarded(|| Ok(Builder::new().create_with_backend(medium)?)).map(|database| Self { database: Some(database) })
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb").finish_non_exhaustive()
    }
}

impl Redb {
    fn database(&self) -> Result<&Database, Cause> {
        Ok(self.database.as_ref().ok_or(CLOSED)?)
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        // Damage that made it panic before makes it panic again as it goes.
        let database = self.database.take();
        if let Err(error) = guarded(|| {
            drop(database);
            Ok(())
        }) {
            tracing::error!(%error, "the database did not close well");
        }
    }
}

impl Store for Redb {
    fn view(&self) -> Result<Box<dyn View + '_>, Cause> {
        guarded(|| Ok(Box::new(Moment { transaction: self.database()?.begin_read()?, tables: RefCell::default() }) as Box<dyn View>))
    }

    fn commit(&self, batch: Batch) -> Result<(), Cause> {
        guarded(|| {
            let mut transaction = self.database()?.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            // The allocator's state goes with each commit: a reopening after a kill takes milliseconds, not seconds.
            transaction.set_quick_repair(true);
            for (name, rows) in &batch.0 {
                let mut table = transaction.open_table(definition(*name))?;
                for (key, value) in rows {
                    let before = match value {
                        Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                        None => table.remove(key.as_slice())?,
                    };
                    // One walk down the tree where the row is new, as it nearly always is.
                    if *name == Table::Lookup
                        && let Some(first) = before.map(|before| before.value().to_vec())
                    {
                        table.insert(key.as_slice(), first.as_slice())?;
                    }
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn check(&mut self) -> Result<bool, Cause> {
        guarded(|| Ok(self.database.as_mut().ok_or(CLOSED)?.check_integrity()?))
    }
}

/// Tables are opened once a view, not once a read.
struct Moment {
    transaction: ReadTransaction,
    tables: RefCell<BTreeMap<Table, Option<ReadTable>>>,
}

impl View for Moment {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause> {
        self.on(table, None, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause> {
        self.on(table, Vec::new(), |table| {
            let mut rows = Vec::new();
            for row in table.range(from..)?.take(limit) {
                let (key, value) = row?;
                rows.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(rows)
        })
    }

    fn len(&self, table: Table) -> Result<u64, Cause> {
        self.on(table, 0, |table| Ok(table.len()?))
    }
}

impl Moment {
    /// Reads a table; one that nothing was ever put into does not exist, and reads as `empty`.
    fn on<T>(&self, table: Table, empty: T, read: impl FnOnce(&ReadTable) -> Result<T, Cause>) -> Result<T, Cause> {
        guarded(|| {
            let mut tables = self.tables.borrow_mut();
            let opened = match tables.entry(table) {
                Entry::Occupied(opened) => opened.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(match self.transaction.open_table(definition(table)) {
                    Ok(table) => Some(table),
                    Err(::redb::TableError::TableDoesNotExist(_)) => None,
                    Err(error) => return Err(error.into()),
                }),
            };
            opened.as_ref().map_or(Ok(empty), read)
        })
    }
}

type ReadTable = ::redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

const CLOSED: &str = "the database is closed";
