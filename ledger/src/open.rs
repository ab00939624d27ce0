//! Opening by checking: a store that contradicts its newest signed notes, or itself, is not opened.
//!
//! It does not put anything right. **Invariant:** nothing is written to a store before it has passed.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use envelope::time::Timestamp;
use tlog::{Checkpoint, HASH_BYTES, NoteSigner, TILE_HASHES, TileId, Tree, empty_root, leaf_hash};

use crate::append::note;
use crate::error::{Cause, OpenError, ReadError};
use crate::keyfile::{KeyFiles, Keys};
use crate::lock::Lock;
use crate::log::{Head, Held, Log, Parts, Writer};
use crate::payloads::{PayloadFiles, Payloads, Place};
use crate::proofs::{LEVEL_MAX, Tiles, of_tiles};
use crate::redb::Redb;
use crate::rows::{HEADER_KEY, Header, Which, number, read_leaf_row, tile_key};
use crate::sled::Sled;
use crate::snapshots::SnapshotFiles;
use crate::store::{Batch, Store, Table, View};
use crate::{BATCH_DRAFTS_MAX, Config, DirectoryHead, Engine, Signers};

/// See [`crate::create`].
pub(crate) fn create(engine: Engine, dir: &Path, config: &Config, signers: Signers) -> Result<Log, OpenError> {
    check_signers(config, &signers)?;
    if engine.place().is_some() {
        if Engine::found_in(dir).is_some_and(|found| found.name() != engine.name()) {
            return Err(OpenError::Exists(dir.to_owned()));
        }
        make_folders(dir)?;
    }
    let name = engine.name();
    create_on(name, engine.parts(dir)?, dir, config, signers)
}

/// Puts header and empty checkpoints into an empty store, and then opens it like any other.
pub(crate) fn create_on(engine: &'static str, parts: Parts, dir: &Path, config: &Config, signers: Signers) -> Result<Log, OpenError> {
    refuse_existing(&parts, dir)?;
    let mut batch = Batch::default();
    batch.put(Table::Meta, HEADER_KEY, Header::new(engine, config).to_row());
    for (which, origin, signer) in trees(config, &signers) {
        let note = note(origin, 0, empty_root(), signer);
        let note = note.map_err(|cause| OpenError::Note { what: which.name(), cause })?;
        batch.put(Table::Note, which.note_key(), note.to_vec());
    }
    parts.store.commit(batch).map_err(OpenError::Store)?;
    open_on(engine, parts, dir, config, signers)
}

/// See [`crate::open`].
pub(crate) fn open(engine: Engine, dir: &Path, config: &Config, signers: Signers) -> Result<Log, OpenError> {
    check_signers(config, &signers)?;
    if engine.place().is_some() && !engine.is_in(dir) {
        return Err(match Engine::found_in(dir) {
            Some(found) => OpenError::Engine { dir: dir.to_owned(), found: found.name(), wanted: engine.name() },
            None => OpenError::Missing(dir.to_owned()),
        });
    }
    let name = engine.name();
    open_on(name, engine.parts(dir)?, dir, config, signers)
}

impl Engine {
    /// Its name, as it stands in the header of its stores.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Engine::Redb => "redb",
            Engine::Sled => "sled",
            Engine::Memory(_) => "memory",
            #[cfg(any(test, feature = "faults"))]
            Engine::Faulty(engine, _) => engine.name(),
        }
    }

    /// The file or folder in the data folder that is its own; `None` when it keeps nothing there.
    fn place(&self) -> Option<&'static str> {
        match self {
            Engine::Redb => Some("ledger.redb"),
            Engine::Sled => Some("sled"),
            Engine::Memory(_) => None,
            #[cfg(any(test, feature = "faults"))]
            Engine::Faulty(engine, _) => engine.place(),
        }
    }

    /// Whether a data folder holds something of this engine.
    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        self.place().is_some_and(|place| dir.join(place).exists())
    }

    /// A store of files: the lock first, then the database behind it.
    fn files(dir: &Path, open: impl FnOnce() -> Result<Box<dyn Store>, Cause>) -> Result<Parts, OpenError> {
        let lock = Lock::take(&dir.join("lock"))?;
        // A store of format 1 has no folders for payloads and snapshots yet.
        make_folders(dir)?;
        let keys = Box::new(KeyFiles::open(dir.join(KEYS)));
        let payloads = Box::new(PayloadFiles::open(dir.join(PAYLOADS)));
        let shelf = Box::new(SnapshotFiles::open(dir.join(SNAPSHOTS)));
        let store = open().map_err(OpenError::Store)?;
        sync_folder(dir)?;
        Ok(Parts { store, keys, payloads, shelf, _held: Held::File { _lock: lock } })
    }

    /// Takes the lock, then opens the store behind it.
    fn parts(self, dir: &Path) -> Result<Parts, OpenError> {
        match self {
            Engine::Redb => Self::files(dir, || Ok(Box::new(Redb::open(&dir.join("ledger.redb"))?))),
            Engine::Sled => Self::files(dir, || Ok(Box::new(Sled::open(&dir.join("sled"))?))),
            Engine::Memory(memory) => {
                let lock = memory.lock().ok_or_else(|| OpenError::Locked { holder: "this process".to_owned() })?;
                Ok(memory.parts(Box::new(memory.clone()), lock))
            }
            #[cfg(any(test, feature = "faults"))]
            Engine::Faulty(engine, plan) => Ok(plan.wrap(engine.parts(dir)?)),
        }
    }
}

/// The data folder and those in it, for their owner only; durable before anything is put into them.
fn make_folders(dir: &Path) -> Result<(), OpenError> {
    for folder in [dir, &dir.join(KEYS), &dir.join(PAYLOADS), &dir.join(SNAPSHOTS)] {
        let io = |cause| OpenError::Io { path: folder.to_owned(), cause };
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(error)),
            _ => folder.canonicalize().map_err(io)?.parent().map_or(Ok(()), sync_folder)?,
        }
    }
    Ok(())
}

fn sync_folder(dir: &Path) -> Result<(), OpenError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|cause| OpenError::Io { path: dir.to_owned(), cause })
}

/// A store without any row is what a `create` leaves that was cut off; it may be completed.
fn refuse_existing(parts: &Parts, dir: &Path) -> Result<(), OpenError> {
    let view = parts.store.view().map_err(OpenError::Store)?;
    for table in Table::ALL {
        if view.len(table).map_err(OpenError::Store)? > 0 {
            return Err(OpenError::Exists(dir.to_owned()));
        }
    }
    // Keys without a store: somebody has lost one.
    if parts.keys.extent().map_err(OpenError::Store)? > 0 { Err(OpenError::Exists(dir.to_owned())) } else { Ok(()) }
}

fn check_signers(config: &Config, signers: &Signers) -> Result<(), OpenError> {
    for (_, origin, signer) in trees(config, signers) {
        let found = &signer.key().name;
        if found != origin {
            return Err(OpenError::Signer { found: found.clone(), wanted: origin.to_owned() });
        }
    }
    Ok(())
}

fn trees<'a>(config: &'a Config, signers: &'a Signers) -> [(Which, &'a str, &'a dyn NoteSigner); 2] {
    [(Which::Log, &config.origin, &*signers.log), (Which::Directory, &config.directory_origin, &*signers.directory)]
}

/// Everything that is looked at before the first write.
pub(crate) fn open_on(engine: &'static str, parts: Parts, dir: &Path, config: &Config, signers: Signers) -> Result<Log, OpenError> {
    let (writer, head) = {
        let view = parts.store.view().map_err(OpenError::Store)?;
        let view = &*view;
        let Some(header) = view.get(Table::Meta, HEADER_KEY).map_err(OpenError::Store)? else {
            return Err(OpenError::Missing(dir.to_owned()));
        };
        let format = Header::check(&header, &Header::new(engine, config))?;
        let [log, directory] = trees(config, &signers).map(|(which, _, signer)| check_tree(view, which, signer));
        let ((log, root, note), (directory, directory_root, checkpoint)) = (log?, directory?);
        check_rows(view, &log, &directory)?;
        check_keys(&*parts.keys, log.size())?;
        let (last_at, payloads_end) = check_last(view, &log, &directory)?;
        check_payloads(&*parts.payloads, payloads_end)?;
        let directory_head = DirectoryHead { size: directory.size(), root: directory_root, checkpoint };
        let head = Head { size: log.size(), root, note, directory: directory_head };
        (Writer { log, directory, last_at, payloads_end, format, closed: false }, head)
    };
    Ok(Log {
        engine,
        config: config.clone(),
        signers,
        parts: RwLock::new(Some(parts)),
        writer: Mutex::new(writer),
        head: RwLock::new(Arc::new(head)),
    })
}

/// The right edge of a tree has the root of its newest note, and the note is ours.
fn check_tree(view: &dyn View, which: Which, signer: &dyn NoteSigner) -> Result<(Tree, tlog::Hash, Bytes), OpenError> {
    let what = which.name();
    let note = view.get(Table::Note, &which.note_key()).map_err(OpenError::Store)?;
    let note = note.ok_or_else(|| mismatch(format!("there is no {what} note")))?;
    let newest = Checkpoint::open(&note, signer.key()).map_err(|cause| OpenError::Note { what, cause })?;
    let tree = Tree::open(newest.size, &Tiles::new(view, which)).map_err(|error| match error {
        tlog::OpenError::Read(error) => OpenError::Read(of_tiles(error)),
        edge @ tlog::OpenError::Edge { .. } => mismatch(edge.to_string()),
    })?;
    let root = tree.root();
    if root != newest.root {
        return Err(mismatch(format!("the {what} of {} has the root {root}, its note {}", newest.size, newest.root)));
    }
    Ok((tree, root, Bytes::from(note)))
}

/// Exactly the rows of both trees, and nothing beyond: a store with a tail beyond its newest note is not ours to judge.
fn check_rows(view: &dyn View, log: &Tree, directory: &Tree) -> Result<(), OpenError> {
    let counts = [(Table::Leaf, log), (Table::Directory, directory), (Table::Opening, log), (Table::Sealed, log)];
    for (table, tree) in counts {
        let (rows, size) = (view.len(table).map_err(OpenError::Store)?, tree.size());
        let is_whole = matches!(table, Table::Leaf | Table::Directory);
        if rows > size || (is_whole && rows < size) {
            return Err(mismatch(format!("{rows} rows of {} under a note of {size}", table.name())));
        }
        let beyond = view.range(table, &number(size), 1).map_err(OpenError::Store)?;
        if !beyond.is_empty() {
            return Err(mismatch(format!("a row of {} beyond the note of {size}", table.name())));
        }
    }
    let rows = view.len(Table::Tile).map_err(OpenError::Store)?;
    let wanted = check_edge(view, Which::Log, log.size())? + check_edge(view, Which::Directory, directory.size())?;
    if rows == wanted { Ok(()) } else { Err(mismatch(format!("{rows} tiles, {wanted} wanted"))) }
}

/// How many tiles a tree has; the last of each level is exactly as wide as it must be.
fn check_edge(view: &dyn View, which: Which, size: u64) -> Result<u64, OpenError> {
    let mut tiles = 0;
    for level in 0..=LEVEL_MAX {
        let count = size >> (8 * u32::from(level));
        tiles += count.div_ceil(TILE_HASHES as u64);
        let (index, width) = (count / TILE_HASHES as u64, (count % TILE_HASHES as u64) as usize);
        let tile = view.get(Table::Tile, &tile_key(which, TileId { level, index })).map_err(OpenError::Store)?;
        let found = tile.map_or(0, |tile| tile.len());
        if found != width * HASH_BYTES {
            return Err(mismatch(format!("{} tile {index} of level {level} has {found} bytes under a note of {size}", which.name())));
        }
    }
    Ok(tiles)
}

/// A crash between the keys' sync and the commit leaves the keys of one batch over; more of them is an older database
/// beside newer keys.
fn check_keys(keys: &dyn Keys, size: u64) -> Result<(), OpenError> {
    let extent = keys.extent().map_err(OpenError::Store)?;
    if (size..=size + BATCH_DRAFTS_MAX as u64).contains(&extent) {
        return Ok(());
    }
    Err(mismatch(format!("keys up to {extent} under a note of {size}")))
}

/// Payloads are synced before the rows that lead to them: whatever a row leads to is there.
fn check_payloads(payloads: &dyn Payloads, end: Place) -> Result<(), OpenError> {
    let extent = payloads.extent(end.segment).map_err(OpenError::Store)?;
    if extent >= end.offset.into() {
        return Ok(());
    }
    Err(mismatch(format!("payload file {} has {extent} bytes, the last entry ends at {}", end.segment, end.offset)))
}

/// The last leaves are those of the tiles; returns the time of the log's last entry, and where its payload ends.
fn check_last(view: &dyn View, log: &Tree, directory: &Tree) -> Result<(Timestamp, Place), OpenError> {
    if let Some(last) = directory.size().checked_sub(1) {
        let leaf = view.get(Table::Directory, &number(last)).map_err(OpenError::Store)?.unwrap_or_default();
        if leaf_hash(&leaf) != Tiles::new(view, Which::Directory).leaf(last)? {
            return Err(ReadError::Corrupt { index: last, what: "the directory leaf" }.into());
        }
    }
    let Some(last) = log.size().checked_sub(1) else { return Ok((Timestamp::default(), Place::default())) };
    let row = view.get(Table::Leaf, &number(last)).map_err(OpenError::Store)?.unwrap_or_default();
    let hash = Tiles::new(view, Which::Log).leaf(last)?;
    let damaged = ReadError::Corrupt { index: last, what: "the leaf" };
    let Some((leaf, at)) = read_leaf_row(last, &row).filter(|(leaf, _)| leaf.hash() == hash) else { return Err(damaged.into()) };
    let end = at.map_or(Some(Place::default()), |at| at.place.plus(at.length()));
    Ok((leaf.at, end.ok_or(damaged)?))
}

fn mismatch(what: String) -> OpenError {
    OpenError::Mismatch { what }
}

const KEYS: &str = "keys";
const PAYLOADS: &str = "payloads";
const SNAPSHOTS: &str = "snapshots";
