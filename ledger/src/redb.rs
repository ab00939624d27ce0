//! The redb engine: one file, one transaction a batch, synced before it returns.
//!
//! It does not know what a row means. redb does not check its pages when it reads them, and some damage makes it panic;
//! here a panic of the engine becomes an error, and every value is checked by the caller.

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
    database: Database,
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
        guarded(|| Ok(Builder::new().create_with_backend(medium)?)).map(|database| Self { database })
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb").finish_non_exhaustive()
    }
}

impl Store for Redb {
    fn view(&self) -> Result<Box<dyn View + '_>, Cause> {
        guarded(|| Ok(Box::new(Moment(self.database.begin_read()?)) as Box<dyn View>))
    }

    fn commit(&self, batch: Batch) -> Result<(), Cause> {
        guarded(|| {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            // The allocator's state goes with each commit: a reopening after a kill takes milliseconds, not seconds.
            transaction.set_quick_repair(true);
            for (table, rows) in &batch.0 {
                let mut table = transaction.open_table(definition(*table))?;
                for (key, value) in rows {
                    match value {
                        Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                        None => table.remove(key.as_slice())?,
                    };
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn check(&mut self) -> Result<bool, Cause> {
        guarded(|| Ok(self.database.check_integrity()?))
    }
}

struct Moment(ReadTransaction);

impl View for Moment {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause> {
        guarded(|| {
            let Some(table) = self.table(table)? else { return Ok(None) };
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause> {
        guarded(|| {
            let Some(table) = self.table(table)? else { return Ok(Vec::new()) };
            let mut rows = Vec::new();
            for row in table.range(from..)?.take(limit) {
                let (key, value) = row?;
                rows.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(rows)
        })
    }

    fn len(&self, table: Table) -> Result<u64, Cause> {
        guarded(|| Ok(self.table(table)?.map_or(Ok(0), |table| table.len())?))
    }
}

impl Moment {
    /// A table that nothing was ever put into does not exist.
    fn table(&self, table: Table) -> Result<Option<ReadTable>, Cause> {
        match self.0.open_table(definition(table)) {
            Ok(table) => Ok(Some(table)),
            Err(::redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

type ReadTable = ::redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}
