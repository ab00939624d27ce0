//! Tiles and proofs out of the store, each checked against the newest signed root before it is served.
//!
//! It does not know what the leaves are. A tile is believed when the root of the tree that ends with it is the
//! beginning of the newest root; a single bit that has changed on the disk breaks that chain somewhere.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tlog::{
    HASH_BYTES, Hash, TILE_HASHES, TileId, TileReader, consistency_at, empty_root, inclusion_at, root_at, small, verify_consistency,
    verify_inclusion,
};

use crate::error::ReadError;
use crate::log::Reader;
use crate::rows::{Which, tile_key};
use crate::store::{Table, View};

/// The tiles of one tree at one moment; each is read once, so that what was checked is what is served.
pub(crate) struct Tiles<'a> {
    view: &'a dyn View,
    which: Which,
    read: RefCell<BTreeMap<TileId, Vec<u8>>>,
}

impl<'a> Tiles<'a> {
    pub(crate) fn new(view: &'a dyn View, which: Which) -> Self {
        Self { view, which, read: RefCell::default() }
    }

    /// The hash of a leaf, out of its tile.
    pub(crate) fn leaf(&self, index: u64) -> Result<Hash, ReadError> {
        let place = (index % TILE_HASHES as u64) as u16;
        let tile = self.tile(TileId { level: 0, index: index / TILE_HASHES as u64 }, place + 1)?;
        Ok(last_hash(&tile))
    }
}

impl TileReader for Tiles<'_> {
    type Error = ReadError;

    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, ReadError> {
        let wanted = usize::from(width) * HASH_BYTES;
        if let Some(tile) = self.read.borrow().get(&id) {
            return tile.get(..wanted).map(<[u8]>::to_vec).ok_or(damaged(id));
        }
        let row = self.view.get(Table::Tile, &tile_key(self.which, id)).map_err(ReadError::Store)?;
        let row = row.ok_or(damaged(id))?;
        let tile = row.get(..wanted).map(<[u8]>::to_vec).ok_or(damaged(id));
        self.read.borrow_mut().insert(id, row);
        tile
    }
}

impl Reader<'_> {
    /// The root of the first `size` leaves, proved to be the beginning of the newest root.
    pub(crate) fn root_at(&self, which: Which, size: u64) -> Result<Hash, ReadError> {
        let (head_size, head_root) = self.head.tree(which);
        if size > head_size {
            return Err(ReadError::Beyond { asked: size, size: head_size });
        }
        if size == head_size {
            return Ok(head_root);
        }
        if size == 0 {
            return Ok(empty_root());
        }
        let tiles = self.tiles(which);
        let root = root_at(size, tiles).map_err(of_tiles)?;
        let proof = consistency_at(size, head_size, tiles).map_err(of_tiles)?;
        verify_consistency(size, &root, head_size, &head_root, &proof).map_err(|_| ReadError::Corrupt { index: size, what: "the tree" })?;
        Ok(root)
    }

    /// See [`crate::Ledger::inclusion`].
    pub(crate) fn inclusion(&self, which: Which, index: u64, size: u64) -> Result<Vec<Hash>, ReadError> {
        let root = self.root_at(which, size)?;
        if index >= size {
            return Err(ReadError::Beyond { asked: index, size });
        }
        let tiles = self.tiles(which);
        let path = inclusion_at(index, size, tiles).map_err(of_tiles)?;
        verify_inclusion(&tiles.leaf(index)?, index, size, &path, &root)
            .map_err(|_| ReadError::Corrupt { index, what: "the path of the leaf" })?;
        Ok(path)
    }

    /// See [`crate::Ledger::consistency`].
    pub(crate) fn consistency(&self, which: Which, from: u64, to: u64) -> Result<Vec<Hash>, ReadError> {
        let root = self.root_at(which, to)?;
        if from > to {
            return Err(ReadError::Beyond { asked: from, size: to });
        }
        let old_root = self.root_at(which, from)?;
        let proof = consistency_at(from, to, self.tiles(which)).map_err(of_tiles)?;
        verify_consistency(from, &old_root, to, &root, &proof).map_err(|_| ReadError::Corrupt { index: from, what: "the tree" })?;
        Ok(proof)
    }

    /// See [`crate::Ledger::tile`].
    pub(crate) fn tile(&self, which: Which, id: TileId, width: u16) -> Result<Vec<u8>, ReadError> {
        let end = end_of(id, width).ok_or(ReadError::Beyond { asked: id.index, size: 0 })?;
        let (size, _) = self.head.tree(which);
        if end > size {
            return Err(ReadError::Beyond { asked: end, size });
        }
        let tile = self.tiles(which).tile(id, width)?;
        if usize::from(width) < TILE_HASHES {
            // The root of the tree that ends with this tile is made of all its hashes.
            let root = root_at(end, self.tiles(which)).map_err(of_tiles)?;
            return if root == self.root_at(which, end)? { Ok(tile) } else { Err(damaged(id)) };
        }
        // A full tile's root stands in the level above, which ends at the same leaf.
        let above = TileId { level: id.level + 1, index: id.index / TILE_HASHES as u64 };
        let place = (id.index % TILE_HASHES as u64) as u16;
        let above = self.tile(which, above, place + 1)?;
        if small::root(&hashes(&tile)) == last_hash(&above) { Ok(tile) } else { Err(damaged(id)) }
    }
}

/// Leaves of the smallest tree that has the tile this wide; `None` when there can be no such tile.
fn end_of(id: TileId, width: u16) -> Option<u64> {
    let hashes = TILE_HASHES as u64;
    if id.level > LEVEL_MAX || !(1..=hashes).contains(&u64::from(width)) {
        return None;
    }
    let count = id.index.checked_mul(hashes)?.checked_add(width.into())?;
    count.checked_mul(1 << (8 * u32::from(id.level)))
}

/// What the tree's own reader says, in our words.
pub(crate) fn of_tiles(error: tlog::ReadError<ReadError>) -> ReadError {
    match error {
        tlog::ReadError::Reader { cause, .. } => cause,
        tlog::ReadError::Short { tile, .. } => damaged(tile),
        tlog::ReadError::BeyondSize { asked, size } => ReadError::Beyond { asked, size },
    }
}

fn damaged(id: TileId) -> ReadError {
    ReadError::Corrupt { index: id.index, what: LEVELS[usize::from(id.level.min(LEVEL_MAX))] }
}

fn hashes(tile: &[u8]) -> Vec<Hash> {
    tile.chunks_exact(HASH_BYTES).map(hash_of).collect()
}

fn last_hash(tile: &[u8]) -> Hash {
    hash_of(&tile[tile.len() - HASH_BYTES..])
}

fn hash_of(bytes: &[u8]) -> Hash {
    Hash::try_from(bytes).expect("the slice is one hash long")
}

/// Highest level of a tree of at most 2^64 - 1 leaves.
pub(crate) const LEVEL_MAX: u8 = 7;
const LEVELS: [&str; 8] = [
    "the tile of level 0",
    "the tile of level 1",
    "the tile of level 2",
    "the tile of level 3",
    "the tile of level 4",
    "the tile of level 5",
    "the tile of level 6",
    "the tile of level 7",
];
