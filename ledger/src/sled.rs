//! The sled engine: one tree whose keys begin with their table, one atomic batch a commit, synced before it returns.
//!
//! It does not know what a row means. `flush` of sled 0.34 ends in `sync_file_range`, which reaches neither the disk's own
//! cache nor the file's metadata, and nothing syncs what it makes when it opens for the first time.
//! **Invariant:** what `commit` has answered was synced by `fdatasync` on a handle of ours; what `open` has made was synced,
//! folders included.
//! **Invariant:** a log that damage has cut short does not open as if it were whole. sled ends its recovery at the first bad
//! message without a word; the file `commits` beside it says how far it must come.
//!
//! sled keeps a value of more than a quarter of a segment in a file of its own that nobody syncs, so longer values are cut
//! into pieces here. Pieces are written under a new number each time and are seen only once the row that names them is.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use ::sled::{Config, Db, IVec};

use crate::error::Cause;
use crate::store::{Batch, Row, Store, Table, View, guarded};

/// An open folder `sled`.
pub(crate) struct Sled {
    /// `None` only while it is dropped.
    database: Option<Db>,
    /// Our own handle of the file `db`. It was there before sled wrote anything, so that no failed write escapes its sync.
    file: File,
    /// The number of the last commit that was durable when it was written. Not synced: after a power cut it may be an older
    /// number, never one too high; after the end of a process, and after damage, it is exact.
    commits: File,
    /// Held by whoever commits, from the first look at old rows on. `true` once a commit has removed the pieces that an
    /// earlier one left when it was cut off.
    committing: Mutex<bool>,
    /// Held for reading by every view, for writing while a batch is put into the tree: a view is one moment.
    book: RwLock<Book>,
}

/// What the tree says of itself, in one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Book {
    /// Commits so far.
    commits: u64,
    /// The number of the next value that is cut into pieces.
    next: u64,
    /// Rows of each table: sled would count them one by one.
    rows: BTreeMap<Table, u64>,
}

/// What is wrong with the tree or its folder.
#[derive(Debug, thiserror::Error)]
enum TreeError {
    #[error("a row of {0} is damaged")]
    Row(&'static str),
    #[error("the row of counts is damaged")]
    Book,
    #[error("{found} rows of {table}, {counted} were counted")]
    Count { table: &'static str, found: u64, counted: u64 },
    #[error("a key of no table")]
    Stranger,
    #[error("the log ends after commit {found} of {wanted}: it is damaged")]
    Short { found: u64, wanted: u64 },
    #[error("the file db is held by another program")]
    Held,
}

impl Sled {
    /// Opens the folder, which is made when it is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, Cause> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let (file, commits) = (options.open(dir.join("db"))?, options.open(dir.join("commits"))?);
        await_last_holder(&file)?;
        let config = Config::new().path(dir).cache_capacity(CACHE_BYTES_MAX);
        let database = guarded(|| Ok(config.open()?))?;
        let (committing, book) = (Mutex::default(), RwLock::default());
        let mut store = Self { database: Some(database), file, commits, committing, book };
        store.settle(dir)?;
        let book = guarded(|| store.tree()?.get([BOOK]).map_err(Cause::from))?;
        let book = book.map_or(Ok(Book::default()), |row| Book::decode(&row).ok_or(TreeError::Book))?;
        let (found, wanted) = (book.commits, store.last_commit()?);
        if found < wanted {
            return Err(TreeError::Short { found, wanted }.into());
        }
        store.book = RwLock::new(book);
        Ok(store)
    }

    /// What sled has made is for its owner only, and durable.
    fn settle(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        File::open(dir.join("conf"))?.sync_all()?;
        self.file.sync_data()?;
        self.commits.sync_all()?;
        for folder in [&dir.join("blobs"), dir] {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// What the file `commits` says; 0 before the first.
    fn last_commit(&self) -> io::Result<u64> {
        let mut number = [0; 8];
        match self.commits.read_exact_at(&mut number, 0) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(u64::from_be_bytes(number)),
        }
    }

    fn tree(&self) -> Result<&::sled::Tree, Cause> {
        Ok(self.database.as_ref().ok_or("the database is closed")?)
    }

    /// Pieces in the tree, of rows or of none.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> usize {
        self.tree().map_or(0, |tree| tree.scan_prefix([PIECE]).count())
    }

    /// What a commit leaves that is cut off before its rows.
    #[cfg(test)]
    pub(crate) fn leave_pieces(&self, count: u32) {
        let next = self.book().next;
        self.tamper(|tree| (0..count).for_each(|piece| drop(tree.insert(piece_key(next, piece), vec![9; PIECE_BYTES]))));
    }

    /// Changes the tree behind the ledger's back.
    #[cfg(test)]
    pub(crate) fn tamper(&self, change: impl FnOnce(&::sled::Tree)) {
        self.tree().map(change).expect("it is open");
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts rows into the tree, and from then on the book says so.
    fn apply(&self, plan: Plan) -> Result<(), Cause> {
        let tree = self.tree()?;
        for pieces in plan.first {
            tree.apply_batch(pieces)?;
        }
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        tree.apply_batch(plan.rows)?;
        *book = plan.book;
        drop(book);
        for pieces in plan.last {
            tree.apply_batch(pieces)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sled").finish_non_exhaustive()
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        // sled syncs once more as it goes, and panics when the disk does not.
        let database = self.database.take();
        let closed = guarded(|| {
            drop(database);
            Ok(self.commits.sync_data()?)
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the database did not close well");
        }
    }
}

impl Store for Sled {
    fn view(&self) -> Result<Box<dyn View + '_>, Cause> {
        Ok(Box::new(Moment { tree: self.tree()?, book: self.book() }))
    }

    fn commit(&self, batch: Batch) -> Result<(), Cause> {
        guarded(|| {
            let mut is_swept = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
            let tree = self.tree()?;
            let book = self.book().clone();
            if !*is_swept {
                sweep(tree, book.next)?;
                *is_swept = true;
            }
            let commits = book.commits + 1;
            self.apply(Plan::new(tree, Book { commits, ..book }, batch)?)?;
            tree.flush()?;
            self.file.sync_data()?;
            Ok(self.commits.write_all_at(&commits.to_be_bytes(), 0)?)
        })
    }

    fn check(&mut self) -> Result<bool, Cause> {
        guarded(|| {
            let moment = Moment { tree: self.tree()?, book: self.book() };
            let mut found = BTreeMap::new();
            for row in moment.tree.iter() {
                let (key, value) = row?;
                if let [ROW, table, ..] = *key {
                    let table = Table::ALL.into_iter().find(|it| *it as u8 == table).ok_or(TreeError::Stranger)?;
                    moment.value(table, &value)?;
                    *found.entry(table).or_default() += 1;
                }
            }
            for table in Table::ALL {
                let (found, counted) = (found.get(&table).copied().unwrap_or(0), moment.book.rows(table));
                if found != counted {
                    return Err(TreeError::Count { table: table.name(), found, counted }.into());
                }
            }
            Ok(true)
        })
    }
}

/// The tree while no batch is being put into it.
struct Moment<'a> {
    tree: &'a ::sled::Tree,
    book: RwLockReadGuard<'a, Book>,
}

impl Moment<'_> {
    /// The value that a row holds or names.
    fn value(&self, table: Table, row: &[u8]) -> Result<Vec<u8>, Cause> {
        let damaged = || TreeError::Row(table.name());
        match Value::decode(row).ok_or_else(damaged)? {
            Value::Whole(value) => Ok(value.to_vec()),
            Value::Pieces { number, bytes } => {
                let mut value = Vec::new();
                for piece in 0..pieces_of(bytes) {
                    value.extend_from_slice(&self.tree.get(piece_key(number, piece))?.ok_or_else(damaged)?);
                }
                if value.len() as u64 == bytes { Ok(value) } else { Err(damaged().into()) }
            }
        }
    }
}

impl View for Moment<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Cause> {
        guarded(|| {
            let row = self.tree.get(row_key(table, key))?;
            row.map(|row| self.value(table, &row)).transpose()
        })
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Row>, Cause> {
        guarded(|| {
            let mut rows = Vec::new();
            for row in self.tree.range(row_key(table, from)..vec![ROW, table as u8 + 1]).take(limit) {
                let (key, value) = row?;
                rows.push((key.get(ROW_KEY_AT..).ok_or(TreeError::Stranger)?.to_vec(), self.value(table, &value)?));
            }
            Ok(rows)
        })
    }

    fn len(&self, table: Table) -> Result<u64, Cause> {
        Ok(self.book.rows(table))
    }
}

/// What a commit does to the tree, in this order. sled recovers a beginning of what was applied, never a part of a batch.
#[derive(Default)]
struct Plan {
    /// Pieces that do not fit into the one batch; nobody sees them before the rows are there.
    first: Vec<::sled::Batch>,
    /// All rows, the book, and the pieces as far as they fit.
    rows: ::sled::Batch,
    /// The book as it stands in `rows`.
    book: Book,
    /// Pieces that no row names any more.
    last: Vec<::sled::Batch>,
}

impl Plan {
    fn new(tree: &::sled::Tree, book: Book, batch: Batch) -> Result<Self, Cause> {
        let mut plan = Self { book, ..Self::default() };
        let (mut pieces, mut gone) = (Vec::new(), Vec::new());
        for (table, rows) in batch.0 {
            for (key, value) in rows {
                let key = row_key(table, &key);
                let old = tree.get(&key)?;
                if table == Table::Lookup && old.is_some() {
                    continue;
                }
                plan.book.count(table, old.is_some(), value.is_some());
                gone.extend(old.iter().flat_map(|old| piece_keys(old)));
                match value {
                    Some(value) => plan.rows.insert(key, plan.book.hold(value, &mut pieces)),
                    None => plan.rows.remove(key),
                }
            }
        }
        plan.rows.insert(&[BOOK], plan.book.encode());
        if pieces.len() + gone.len() <= BATCH_PIECES_MAX {
            pieces.into_iter().for_each(|(key, value)| plan.rows.insert(&key, value));
            gone.into_iter().for_each(|key| plan.rows.remove(key));
        } else {
            plan.first = batches(&pieces, |batch, (key, value)| batch.insert(key, value.as_slice()));
            plan.last = batches(&gone, |batch, key| batch.remove(key.as_slice()));
        }
        Ok(plan)
    }
}

/// Removes the pieces of a commit that was cut off before its rows: their numbers are given anew.
fn sweep(tree: &::sled::Tree, next: u64) -> Result<(), Cause> {
    let stale = tree.range([&[PIECE][..], &next.to_be_bytes()].concat()..vec![PIECE + 1]).keys();
    let stale = stale.collect::<Result<Vec<IVec>, _>>()?;
    for batch in batches(&stale, |batch, key| batch.remove(key)) {
        tree.apply_batch(batch)?;
    }
    Ok(())
}

/// Batches of at most [`BATCH_PIECES_MAX`] pieces.
fn batches<T>(pieces: &[T], put: impl Fn(&mut ::sled::Batch, &T)) -> Vec<::sled::Batch> {
    let batch = |pieces: &[T]| {
        let mut batch = ::sled::Batch::default();
        pieces.iter().for_each(|piece| put(&mut batch, piece));
        batch
    };
    pieces.chunks(BATCH_PIECES_MAX).map(batch).collect()
}

impl Book {
    fn rows(&self, table: Table) -> u64 {
        self.rows.get(&table).copied().unwrap_or(0)
    }

    fn count(&mut self, table: Table, was_there: bool, is_there: bool) {
        let rows = self.rows.entry(table).or_default();
        *rows = (*rows + u64::from(is_there)).saturating_sub(u64::from(was_there));
    }

    /// The row for a value; a long one is cut into pieces.
    fn hold(&mut self, value: Vec<u8>, pieces: &mut Vec<([u8; PIECE_KEY_BYTES], Vec<u8>)>) -> Vec<u8> {
        if value.len() <= PIECE_BYTES {
            return [&[WHOLE], value.as_slice()].concat();
        }
        let (number, bytes) = (self.next, value.len() as u64);
        self.next += 1;
        pieces.extend((0..).zip(value.chunks(PIECE_BYTES)).map(|(piece, bytes)| (piece_key(number, piece), bytes.to_vec())));
        [&[PIECES][..], &number.to_be_bytes(), &bytes.to_be_bytes()].concat()
    }

    /// `u64be commits | u64be next | u64be rows of each table`.
    fn encode(&self) -> Vec<u8> {
        let rows = Table::ALL.into_iter().map(|table| self.rows(table));
        [self.commits, self.next].into_iter().chain(rows).flat_map(u64::to_be_bytes).collect()
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let numbers = row.chunks(8).map(|bytes| bytes.try_into().ok().map(u64::from_be_bytes)).collect::<Option<Vec<u64>>>()?;
        let (&[commits, next], rows) = numbers.split_first_chunk().filter(|(_, rows)| rows.len() == Table::ALL.len())?;
        Some(Self { commits, next, rows: Table::ALL.into_iter().zip(rows.iter().copied()).collect() })
    }
}

/// What a row holds: `0 | value`, or `1 | u64be number | u64be bytes` of a value in pieces.
enum Value<'a> {
    Whole(&'a [u8]),
    Pieces { number: u64, bytes: u64 },
}

impl<'a> Value<'a> {
    fn decode(row: &'a [u8]) -> Option<Self> {
        match row.split_first()? {
            (&WHOLE, value) => Some(Self::Whole(value)),
            (&PIECES, numbers) => {
                let (number, bytes) = numbers.split_at_checked(8)?;
                let number_of = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
                Some(Self::Pieces { number: number_of(number)?, bytes: number_of(bytes)? })
            }
            _ => None,
        }
    }
}

/// The keys of the pieces that a row names.
fn piece_keys(row: &[u8]) -> Vec<Vec<u8>> {
    match Value::decode(row) {
        Some(Value::Pieces { number, bytes }) if bytes <= VALUE_BYTES_MAX => {
            (0..pieces_of(bytes)).map(|piece| piece_key(number, piece).to_vec()).collect()
        }
        _ => Vec::new(),
    }
}

fn pieces_of(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_BYTES as u64)).unwrap_or(u32::MAX)
}

fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[ROW, table as u8], key].concat()
}

fn piece_key(number: u64, piece: u32) -> [u8; PIECE_KEY_BYTES] {
    let mut key = [PIECE; PIECE_KEY_BYTES];
    key[1..9].copy_from_slice(&number.to_be_bytes());
    key[9..].copy_from_slice(&piece.to_be_bytes());
    key
}

/// Threads of a sled that was dropped a moment ago may still hold its file; another process does not, for it would need
/// the ledger's own lock.
fn await_last_holder(file: &File) -> Result<(), Cause> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file.unlock()?),
            Err(TryLockError::WouldBlock) if began.elapsed() < HOLDER_MAX => std::thread::sleep(HOLDER_STEP),
            Err(TryLockError::WouldBlock) => return Err(TreeError::Held.into()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// First byte of a key.
const BOOK: u8 = 0;
const ROW: u8 = 1;
const PIECE: u8 = 2;
/// First byte of a row.
const WHOLE: u8 = 0;
const PIECES: u8 = 1;
/// Bytes of a row's key before its own.
const ROW_KEY_AT: usize = 2;
const PIECE_KEY_BYTES: usize = 1 + 8 + 4;
/// Longest value in one row. sled writes nodes of up to 20 rows as one, and what is longer than 128 KiB into a file apart.
const PIECE_BYTES: usize = 4096;
/// Longest value that anybody hands over: the directory's leaf with the genesis.
const VALUE_BYTES_MAX: u64 = crate::FIRST_BATCH_BYTES_MAX as u64;
/// Most pieces in one batch: more than a batch of messages has, and far below where sled's memory grows without measure.
const BATCH_PIECES_MAX: usize = 2048;
/// Pages that sled keeps in memory: its own default is 1 GiB.
const CACHE_BYTES_MAX: u64 = 128 << 20;
/// How long threads of the last sled may hold its file.
const HOLDER_MAX: Duration = Duration::from_secs(5);
const HOLDER_STEP: Duration = Duration::from_millis(1);
