//! The profile's store: rows of bytes in redb, several at once or none, durable when a commit returns.
//!
//! It does not know what a row means, nor when one should be written.

use std::path::Path;

use redb::{Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};

use crate::error::Error;
use crate::files;

/// The tables. Keys of numbered rows are big endian, so that a scan is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Table {
    /// Largest verified checkpoint, directory checkpoint and Head, heads of statement chains, the outbox's numbering.
    Meta,
    /// The directory's leaves by index.
    Directory,
    /// The outbox's items by id: number, state, ends.
    Outbox,
    /// What an item of the outbox will say, by id: a context without number, until it is admitted.
    DraftContext,
    /// As above: the body.
    DraftBody,
    /// Final signed Submission of an item, by id: these bytes and no others are sent.
    Signed,
    /// Signed statements that are not yet known to be durable, by kind.
    Pending,
    /// Deliveries by mailbox number.
    Inbox,
    /// What was found out about them, by mailbox number.
    Facts,
    /// Content keys of opened messages, by mailbox number.
    ContentKeys,
    /// Mailbox number by reference.
    References,
    /// Own messages in the ledger, by reference.
    Sent,
    /// Own messages that will never be sent, by the id that they had in the outbox.
    Notices,
    /// Queries that were answered, by mailbox number, with what their data's owners are still to be told.
    Answered,
    /// Hot lists that this profile takes, by source and name: which message of the inbox holds each, still sealed.
    HotLists,
    /// Receipts of what the gateway has told this member, by their number.
    Advices,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Meta,
        Self::Directory,
        Self::Outbox,
        Self::DraftContext,
        Self::DraftBody,
        Self::Signed,
        Self::Pending,
        Self::Inbox,
        Self::Facts,
        Self::ContentKeys,
        Self::References,
        Self::Sent,
        Self::Notices,
        Self::Answered,
        Self::HotLists,
        Self::Advices,
    ];

    /// Its name, for errors and for redb.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Directory => "directory",
            Self::Outbox => "outbox",
            Self::DraftContext => "draft_context",
            Self::DraftBody => "draft_body",
            Self::Signed => "signed",
            Self::Pending => "pending",
            Self::Inbox => "inbox",
            Self::Facts => "facts",
            Self::ContentKeys => "content_keys",
            Self::References => "references",
            Self::Sent => "sent",
            Self::Notices => "notices",
            Self::Answered => "answered",
            Self::HotLists => "hot_lists",
            Self::Advices => "advices",
        }
    }

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// Key and value of a row.
pub type Row = (Vec<u8>, Vec<u8>);

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Writes a row.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Takes a row away.
    Delete(Table, Vec<u8>),
}

impl Write {
    /// A row under a text.
    #[must_use]
    pub fn text(table: Table, key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::Put(table, key.as_bytes().to_vec(), value.into())
    }

    /// A row under a number.
    #[must_use]
    pub fn number(table: Table, key: u64, value: impl Into<Vec<u8>>) -> Self {
        Self::Put(table, key.to_be_bytes().to_vec(), value.into())
    }

    /// Takes the row under a number away.
    #[must_use]
    pub fn gone(table: Table, key: u64) -> Self {
        Self::Delete(table, key.to_be_bytes().to_vec())
    }
}

/// An open store; nobody else has it open.
pub struct Store {
    database: Database,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the store of the profile in `folder`, or makes it.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, otherwise [`Error::Store`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("store.redb");
        files::ensure_private(&path)?;
        let opened = Database::create(&path);
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse(folder.to_owned()),
            other => fault(other),
        })?;
        let store = Self { database };
        if store.has_all_tables()? {
            return Ok(store);
        }
        let transaction = store.database.begin_write().map_err(fault)?;
        for table in Table::ALL {
            transaction.open_table(table.definition()).map_err(fault)?;
        }
        transaction.commit().map_err(fault)?;
        Ok(store)
    }

    /// Opening a store that has them all writes nothing.
    fn has_all_tables(&self) -> Result<bool, Error> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let names: Vec<String> = transaction.list_tables().map_err(fault)?.map(|table| table.name().to_owned()).collect();
        Ok(Table::ALL.iter().all(|table| names.iter().any(|name| name == table.name())))
    }

    /// Writes all of `writes` or none; durable when it returns.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing of it is there.
    pub fn commit(&self, writes: &[Write]) -> Result<(), Error> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin_write().map_err(fault)?;
        transaction.set_durability(Durability::Immediate).map_err(fault)?;
        transaction.set_quick_repair(true);
        for write in writes {
            match write {
                Write::Put(table, key, value) => {
                    transaction.open_table(table.definition()).map_err(fault)?.insert(key.as_slice(), value.as_slice()).map_err(fault)?;
                }
                Write::Delete(table, key) => {
                    transaction.open_table(table.definition()).map_err(fault)?.remove(key.as_slice()).map_err(fault)?;
                }
            }
        }
        transaction.commit().map_err(fault)
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let rows = transaction.open_table(table.definition()).map_err(fault)?;
        Ok(rows.get(key).map_err(fault)?.map(|value| value.value().to_vec()))
    }

    /// The row under a number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get_number(&self, table: Table, key: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get(table, &key.to_be_bytes())
    }

    /// All rows of a table with numbered keys, in order.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Row`] when a key is no number.
    pub fn numbered(&self, table: Table) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        self.numbered_from(table, 0)
    }

    /// The rows of a table with numbered keys from one on, in order.
    ///
    /// # Errors
    /// As [`Store::numbered`].
    pub fn numbered_from(&self, table: Table, first: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let rows = transaction.open_table(table.definition()).map_err(fault)?;
        let mut all = Vec::new();
        for row in rows.range(first.to_be_bytes().as_slice()..).map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            all.push((number(table, key.value())?, value.value().to_vec()));
        }
        Ok(all)
    }

    /// The last number of a table with numbered keys.
    ///
    /// # Errors
    /// As [`Store::numbered`].
    pub fn last_number(&self, table: Table) -> Result<Option<u64>, Error> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let rows = transaction.open_table(table.definition()).map_err(fault)?;
        rows.last().map_err(fault)?.map(|(key, _)| number(table, key.value())).transpose()
    }

    /// All rows of a table, in order of their keys.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn rows(&self, table: Table) -> Result<Vec<Row>, Error> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let rows = transaction.open_table(table.definition()).map_err(fault)?;
        let mut all = Vec::new();
        for row in rows.iter().map_err(fault)? {
            let (key, value) = row.map_err(fault)?;
            all.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(all)
    }
}

fn number(table: Table, key: &[u8]) -> Result<u64, Error> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| Error::Row(table.name()))
}

fn fault(error: impl Into<redb::Error>) -> Error {
    Error::Store(Box::new(error.into()))
}
