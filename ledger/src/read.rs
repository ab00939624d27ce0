//! Entries, lookup keys and directory leaves out of the store, each checked before it is served.
//!
//! It does not know who asks, nor what an entry says.

use bytes::Bytes;
use envelope::slots::Leaf;
use tlog::leaf_hash;

use crate::Stored;
use crate::error::ReadError;
use crate::log::Reader;
use crate::rows::{Locator, Opened, lookup_index, number, read_leaf_row};
use crate::store::Table;

impl Reader<'_> {
    /// See [`crate::Ledger::find`].
    pub(crate) fn find(&self, key: &[u8; 32]) -> Result<Option<u64>, ReadError> {
        let Some(row) = self.get(Table::Lookup, key)? else { return Ok(None) };
        let index = lookup_index(key, &row).ok_or(ReadError::Corrupt { index: 0, what: "a lookup key" })?;
        // A batch that has been committed is not there for readers before its head is.
        Ok((index < self.head.size).then_some(index))
    }

    /// The leaf at an index, checked against its tile.
    pub(crate) fn leaf(&self, index: u64) -> Result<Leaf, ReadError> {
        self.leaf_row(index).map(|(leaf, _)| leaf)
    }

    fn leaf_row(&self, index: u64) -> Result<(Leaf, Option<Locator>), ReadError> {
        let size = self.head.size;
        if index >= size {
            return Err(ReadError::Beyond { asked: index, size });
        }
        let damaged = ReadError::Corrupt { index, what: "the leaf" };
        let Some(row) = self.get(Table::Leaf, &number(index))? else { return Err(damaged) };
        let Some((leaf, at)) = read_leaf_row(index, &row) else { return Err(damaged) };
        if leaf.hash() == self.log.leaf(index)? { Ok((leaf, at)) } else { Err(damaged) }
    }

    /// The entry at an index, and what its opening's row says beside.
    pub(crate) fn read(&self, index: u64) -> Result<(Stored, Option<Opened>), ReadError> {
        let (leaf, at) = self.leaf_row(index)?;
        let Some(key) = self.keys.read(index).map_err(ReadError::Store)? else {
            return Ok((Stored { index, leaf, opening: None, sealed: None }, None));
        };
        let damaged = |what| ReadError::Corrupt { index, what };
        let (opening, sealed) = self.payload(index, at)?;
        let opened = self.vault.open_opening(index, &key, &opening).ok_or(damaged("the opening"))?;
        opened.opening.check(&leaf).map_err(|_| damaged("the opening"))?;
        let sealed = match (opened.sealed, sealed) {
            (false, None) => None,
            (true, Some(bytes)) => Some(self.vault.open_beside(index, &key, &bytes).ok_or(damaged("what is sealed"))?),
            _ => return Err(damaged("what is sealed")),
        };
        Ok((Stored { index, leaf, opening: Some(opened.opening.clone()), sealed }, Some(opened)))
    }

    /// The opening and what is sealed beside it, encrypted: out of the files, or of the tables of format 1.
    fn payload(&self, index: u64, at: Option<Locator>) -> Result<(Vec<u8>, Option<Vec<u8>>), ReadError> {
        let Some(at) = at else {
            let opening = self.get(Table::Opening, &number(index))?;
            let opening = opening.ok_or(ReadError::Corrupt { index, what: "the opening" })?;
            return Ok((opening, self.get(Table::Sealed, &number(index))?));
        };
        let mut opening = self.payloads.read(at.place, at.length()).map_err(ReadError::Store)?;
        let sealed = opening.split_off(at.opening as usize);
        Ok((opening, (at.sealed > 0).then_some(sealed)))
    }

    /// See [`crate::Ledger::opening_at_rest`].
    pub(crate) fn opening_at_rest(&self, index: u64) -> Result<Bytes, ReadError> {
        let (_, at) = self.leaf_row(index)?;
        Ok(self.payload(index, at)?.0.into())
    }

    /// See [`crate::Ledger::directory_leaves`].
    pub(crate) fn directory_leaves(&self, from: u64, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        let size = self.head.directory.size;
        if from > size {
            return Err(ReadError::Beyond { asked: from, size });
        }
        let mut leaves = Vec::new();
        let mut bytes = 0;
        for index in from..size {
            let leaf = self.directory_leaf(index)?;
            bytes += leaf.len();
            if bytes > max_bytes && !leaves.is_empty() {
                break;
            }
            leaves.push(leaf);
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(leaves)
    }

    /// One leaf of the directory's tree, checked against its tile.
    pub(crate) fn directory_leaf(&self, index: u64) -> Result<Bytes, ReadError> {
        let row = self.get(Table::Directory, &number(index))?;
        let sound = match row {
            Some(row) if leaf_hash(&row) == self.directory.leaf(index)? => Some(row),
            _ => None,
        };
        sound.map(Bytes::from).ok_or(ReadError::Corrupt { index, what: "the directory leaf" })
    }

    /// A row of the store.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.view.get(table, key).map_err(ReadError::Store)
    }
}
