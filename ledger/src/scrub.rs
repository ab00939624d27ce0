//! Reading everything again: what a bit that fell over on the disk cannot hide from.
//!
//! It does not put anything right, and it stops no one: it reads in pieces, and the writer goes on meanwhile.

use std::error::Error;

use tlog::{TILE_HASHES, TileId, TileReader, Tree, leaf_hash};

use crate::error::ReadError;
use crate::log::{Log, Reader};
use crate::rows::Which;
use crate::snapshots;

/// What a scrub read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Entries read.
    pub entries: u64,
    /// Of these, purged ones: only their leaves are checked.
    pub purged: u64,
    /// Leaves of the directory's tree read.
    pub directory_leaves: u64,
    /// Tiles compared with what they must be.
    pub tiles: u64,
    /// The damage, at most [`FINDINGS_MAX`] places of it.
    pub findings: Vec<Finding>,
    /// Places of damage beyond those listed.
    pub more: u64,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the entry, or of the leaf, tile or size that `what` names.
    pub index: u64,
    /// What is wrong.
    pub what: String,
}

impl Findings {
    fn add(&mut self, index: u64, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { index, what: what.into() });
        } else {
            self.more += 1;
        }
    }

    /// Damage is a finding; a ledger that was closed is an error.
    fn note<T>(&mut self, index: u64, result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ReadError::Closed) => Err(ReadError::Closed),
            Err(error) => {
                let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
                self.add(index, format!("{error}{cause}"));
                Ok(None)
            }
        }
    }
}

/// A tree that is made again from the leaves.
struct Rebuilt {
    which: Which,
    tree: Tree,
    /// A leaf was damaged, so the tree is not to be compared with anything.
    broken: bool,
}

impl Log {
    /// See [`crate::Ledger::scrub`].
    pub(crate) fn scrub_range(&self, from: u64, to: u64) -> Result<Findings, ReadError> {
        let head = self.head();
        if to > head.size || from > to {
            return Err(ReadError::Beyond { asked: from.max(to), size: head.size });
        }
        let mut found = Findings::default();
        let mut rebuilt = (from == 0).then(|| Rebuilt::new(Which::Log));
        let mut at = from;
        while at < to {
            let end = to.min((at / PIECE + 1) * PIECE);
            self.reading(|reader| reader.scrub_entries(at, end, rebuilt.as_mut(), &mut found))?;
            at = end;
        }
        if let Some(rebuilt) = rebuilt {
            self.reading(|reader| rebuilt.compare_root(reader, &mut found))?;
            self.scrub_directory(head.directory.size, &mut found)?;
            let damaged = {
                let parts = self.parts();
                let shelf = &*parts.as_ref().ok_or(ReadError::Closed)?.shelf;
                snapshots::newest(shelf, head.size).map_err(ReadError::Store)?.1
            };
            (0..damaged).for_each(|_| found.add(0, "a part of the snapshot is damaged"));
            self.reading(|reader| {
                let evidence = reader.evidence();
                found.note(0, evidence).map(drop)
            })?;
        }
        Ok(found)
    }

    fn scrub_directory(&self, size: u64, found: &mut Findings) -> Result<(), ReadError> {
        let mut rebuilt = Rebuilt::new(Which::Directory);
        let mut at = 0;
        while at < size {
            let end = size.min(at + PIECE);
            self.reading(|reader| {
                for index in at..end {
                    found.directory_leaves += 1;
                    match found.note(index, reader.directory_leaf(index))? {
                        Some(leaf) => rebuilt.tree.append(leaf_hash(&leaf)),
                        None => rebuilt.broken = true,
                    }
                }
                rebuilt.compare_tiles(reader, found)
            })?;
            at = end;
        }
        self.reading(|reader| rebuilt.compare_root(reader, found))
    }
}

impl Reader<'_> {
    fn scrub_entries(&self, from: u64, to: u64, mut rebuilt: Option<&mut Rebuilt>, found: &mut Findings) -> Result<(), ReadError> {
        for index in from..to {
            found.entries += 1;
            let entry = found.note(index, self.read(index))?;
            if let Some(rebuilt) = &mut rebuilt {
                // The leaf is judged alone: a damaged opening does not keep the tree from being made again.
                match self.leaf(index) {
                    Ok(leaf) => rebuilt.tree.append(leaf.hash()),
                    Err(_) => rebuilt.broken = true,
                }
            }
            match entry {
                Some((_, Some(opened))) => {
                    for key in &opened.lookup_keys {
                        // An earlier entry may have come with the key first.
                        if found.note(index, self.find(key))?.is_some_and(|at| at.is_none_or(|at| at > index)) {
                            found.add(index, "a lookup key of the entry is lost");
                        }
                    }
                }
                Some((_, None)) => found.purged += 1,
                None => {}
            }
        }
        match rebuilt {
            Some(rebuilt) => rebuilt.compare_tiles(self, found),
            None => self.scrub_leaf_tiles(from, to, found),
        }
    }

    /// Without all the leaves before, each tile is held against the newest root.
    fn scrub_leaf_tiles(&self, from: u64, to: u64, found: &mut Findings) -> Result<(), ReadError> {
        let hashes = TILE_HASHES as u64;
        for index in from / hashes..to.div_ceil(hashes) {
            let width = (self.head.size - index * hashes).min(hashes) as u16;
            found.tiles += 1;
            found.note(index, self.tile(Which::Log, TileId { level: 0, index }, width))?;
        }
        Ok(())
    }
}

impl Rebuilt {
    fn new(which: Which) -> Self {
        Self { which, tree: Tree::new(), broken: false }
    }

    /// Each tile that has changed since the last piece is what the store has, as far as it goes.
    fn compare_tiles(&mut self, reader: &Reader<'_>, found: &mut Findings) -> Result<(), ReadError> {
        for (id, wanted) in self.tree.take_dirty() {
            if self.broken {
                continue;
            }
            found.tiles += 1;
            let width = (wanted.len() / tlog::HASH_BYTES) as u16;
            let tile = found.note(id.index, reader.tiles(self.which).tile(id, width))?;
            if tile.is_some_and(|tile| tile != wanted) {
                found.add(id.index, format!("the {} tile of level {} is not that of its leaves", self.which.name(), id.level));
            }
        }
        Ok(())
    }

    fn compare_root(&self, reader: &Reader<'_>, found: &mut Findings) -> Result<(), ReadError> {
        let size = self.tree.size();
        let root = found.note(size, reader.root_at(self.which, size))?;
        if self.broken || root.is_some_and(|root| root != self.tree.root()) {
            found.add(size, format!("the {} root is not that of its leaves", self.which.name()));
        }
        Ok(())
    }
}

/// Most places that a scrub lists: beyond that the disk is the finding.
pub const FINDINGS_MAX: usize = 1000;
/// Entries of one piece: 16 tiles and one key file.
const PIECE: u64 = 4096;
