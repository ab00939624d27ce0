//! The growing tree: the right edge in memory, everything left of it in tiles that somebody else keeps.
//!
//! **Invariant:** `edges[L]` holds the hashes of tile level L that are not yet a full tile, `(size >> 8·L) mod 256` of
//! them, and the last full tile before them, each with all complete inner nodes above. The tree does not know where its tiles go: it hands out the changed
//! ones and reads old ones back.

use std::collections::BTreeMap;

use crate::hash::{HASH_BYTES, Hash, node_hash};
use crate::small;
use crate::tile::{ReadError, TILE_HASHES, TILE_HEIGHT, TileId, TileReader, hash_at, read};
use crate::walk::{self, Nodes};

/// An RFC 6962 tree that grows by one leaf at a time.
///
/// Appending costs one or two hashes on average, the root at most one per level. A clone copies the right edge, at
/// most 32 KiB a tile level, and the tiles not yet taken.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// One for each tile level, from the leaves up.
    edges: Vec<Edge>,
    /// Full tiles that [`Tree::take_dirty`] has not handed out yet.
    full: BTreeMap<TileId, Vec<u8>>,
}

/// Why a tree cannot be opened from its tiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError<E> {
    /// A tile of the right edge cannot be read.
    #[error("the right edge of the tree cannot be read")]
    Read(#[from] ReadError<E>),
    /// Two tiles contradict each other.
    #[error("level {} has {upper} for tile {}, whose root is {lower}", .lower_tile.level + 1, .lower_tile.index)]
    Edge {
        /// The full tile of the lower level.
        lower_tile: TileId,
        /// Its root.
        lower: Hash,
        /// What the level above has for it.
        upper: Hash,
    },
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The tree of `size` leaves whose tiles `reader` has.
    ///
    /// Reads the partial tile of each level, and each level's last full tile. Checks that the root of each level's last
    /// full tile is what the level above has for it. It checks nothing else: tiles further left are not read, and only a
    /// comparison of [`Tree::root`] with a signed checkpoint tells whether the edge is the right one.
    ///
    /// # Errors
    /// [`OpenError::Read`] when a tile is missing or short, [`OpenError::Edge`] when two tiles contradict each other.
    pub fn open<R: TileReader>(size: u64, reader: &R) -> Result<Tree, OpenError<R::Error>> {
        let mut tree = Tree { size, ..Tree::default() };
        let mut below: Option<(TileId, Hash)> = None;
        for level in 0..LEVELS {
            let count = count_at(size, level);
            if count == 0 {
                break;
            }
            let (edge, root_of_last_full) = open_level(level, count, reader)?;
            if let Some((lower_tile, lower)) = below {
                let last = edge.rows[0].last().or(edge.previous[0].last());
                let upper = *last.expect("the level has a hash");
                if upper != lower {
                    return Err(OpenError::Edge { lower_tile, lower, upper });
                }
            }
            below = root_of_last_full.map(|root| {
                let index = count / TILE_HASHES as u64 - 1;
                (TileId { level, index }, root)
            });
            tree.edges.push(edge);
        }
        Ok(tree)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of all leaves (RFC 6962 2.1), from the right edge alone.
    pub fn root(&self) -> Hash {
        // Every complete subtree that the root is made of ends at the right edge, so it is in memory.
        let mut edge = EdgeNodes { tree: self };
        match walk::root(self.size, &mut edge) {
            Ok(root) => root,
            Err(never) => match never {},
        }
    }

    /// Adds a leaf hash at the end, at index [`Tree::size`].
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0..LEVELS {
            let index = count_at(self.size, level) / TILE_HASHES as u64;
            if self.edges.len() == usize::from(level) {
                self.edges.push(Edge::default());
            }
            let edge = &mut self.edges[usize::from(level)];
            let Some(root) = edge.push(hash) else { break };
            self.full.insert(TileId { level, index }, edge.bytes());
            edge.advance();
            hash = root;
        }
        self.size += 1;
    }

    /// The tiles changed since the last call, by level and index, each with all its hashes so far: 32 to 8192 bytes, the
    /// width being their number. No hash of a tile ever changes; a partial tile only becomes wider.
    ///
    /// From then on the caller's [`TileReader`] must have the full ones among them, the last of each level excepted.
    pub fn take_dirty(&mut self) -> Vec<(TileId, Vec<u8>)> {
        let mut dirty = std::mem::take(&mut self.full);
        for (level, edge) in (0..LEVELS).zip(&mut self.edges) {
            if std::mem::take(&mut edge.dirty) {
                let index = count_at(self.size, level) / TILE_HASHES as u64;
                dirty.insert(TileId { level, index }, edge.bytes());
            }
        }
        dirty.into_iter().collect()
    }

    /// The audit path of the leaf at `index` in the tree as it is now (RFC 6962 2.1.1).
    ///
    /// The right edge, the last full tile of each level and what [`Tree::take_dirty`] has not handed out are in memory;
    /// the last 256 leaves are therefore proved without reading. Other tiles are read, each at most once. What is read is
    /// not checked; whoever verifies the path finds a damaged tile.
    ///
    /// # Errors
    /// [`ReadError::BeyondSize`] when there is no such leaf; otherwise the reader's.
    pub fn inclusion<R: TileReader>(&self, index: u64, reader: &R) -> Result<Vec<Hash>, ReadError<R::Error>> {
        inclusion(index, &mut TileNodes::new(Some(self), self.size, reader))
    }

    /// The proof that the tree of the first `old_size` leaves is the beginning of this one (RFC 6962 2.1.2). It is empty
    /// for the sizes 0 and [`Tree::size`].
    ///
    /// # Errors
    /// [`ReadError::BeyondSize`] when `old_size` is larger than the tree; otherwise the reader's.
    pub fn consistency<R: TileReader>(&self, old_size: u64, reader: &R) -> Result<Vec<Hash>, ReadError<R::Error>> {
        consistency(old_size, &mut TileNodes::new(Some(self), self.size, reader))
    }
}

/// The audit path of the leaf at `index` in the tree of the first `size` leaves (RFC 6962 2.1.1), from tiles alone.
///
/// # Errors
/// [`ReadError::BeyondSize`] when `index` is not below `size`; otherwise the reader's.
pub fn inclusion_at<R: TileReader>(index: u64, size: u64, reader: &R) -> Result<Vec<Hash>, ReadError<R::Error>> {
    inclusion(index, &mut TileNodes::new(None, size, reader))
}

/// The proof that the tree of the first `old_size` leaves is the beginning of that of the first `size` (RFC 6962 2.1.2),
/// from tiles alone.
///
/// # Errors
/// [`ReadError::BeyondSize`] when `old_size` is larger than `size`; otherwise the reader's.
pub fn consistency_at<R: TileReader>(old_size: u64, size: u64, reader: &R) -> Result<Vec<Hash>, ReadError<R::Error>> {
    consistency(old_size, &mut TileNodes::new(None, size, reader))
}

/// The root of the first `size` leaves (RFC 6962 2.1), from tiles alone.
///
/// # Errors
/// The reader's.
pub fn root_at<R: TileReader>(size: u64, reader: &R) -> Result<Hash, ReadError<R::Error>> {
    walk::root(size, &mut TileNodes::new(None, size, reader))
}

fn inclusion<R: TileReader>(index: u64, nodes: &mut TileNodes<'_, R>) -> Result<Vec<Hash>, ReadError<R::Error>> {
    if index >= nodes.size {
        return Err(ReadError::BeyondSize { asked: index, size: nodes.size });
    }
    walk::inclusion(index, nodes.size, nodes)
}

fn consistency<R: TileReader>(old_size: u64, nodes: &mut TileNodes<'_, R>) -> Result<Vec<Hash>, ReadError<R::Error>> {
    if old_size > nodes.size {
        return Err(ReadError::BeyondSize { asked: old_size, size: nodes.size });
    }
    walk::consistency(old_size, nodes.size, nodes)
}

/// The complete nodes of a tile: row h has those of height h, row 0 is the tile itself.
type Rows = [Vec<Hash>; TILE_HEIGHT as usize];

/// The right edge of one level.
#[derive(Debug, Clone, Default)]
struct Edge {
    /// The rightmost tile, which is never full.
    rows: Rows,
    /// The full tile to its left, so that the last 256 hashes at least are proved from memory; empty if there is none.
    previous: Rows,
    /// Whether `rows` changed since it was last taken.
    dirty: bool,
}

impl Edge {
    /// Adds a hash, and returns the tile's root when that made it full.
    fn push(&mut self, hash: Hash) -> Option<Hash> {
        self.dirty = true;
        let mut node = hash;
        for row in &mut self.rows {
            row.push(node);
            match row.as_slice() {
                [.., left, right] if row.len() % 2 == 0 => node = node_hash(left, right),
                _ => return None,
            }
        }
        Some(node)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.rows[0].len() * HASH_BYTES);
        self.rows[0].iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        bytes
    }

    /// Leaves the full tile behind and begins the next one.
    fn advance(&mut self) {
        std::mem::swap(&mut self.rows, &mut self.previous);
        self.rows.iter_mut().for_each(Vec::clear);
        self.dirty = false;
    }
}

/// The right edge of a level that has `count` hashes, and the root of its last full tile.
fn open_level<R: TileReader>(level: u8, count: u64, reader: &R) -> Result<(Edge, Option<Hash>), ReadError<R::Error>> {
    let (index, width) = (count / TILE_HASHES as u64, (count % TILE_HASHES as u64) as u16);
    let mut edge = Edge::default();
    let mut root_of_last_full = None;
    if let Some(index) = index.checked_sub(1) {
        for hash in read_hashes(reader, TileId { level, index }, TILE_HASHES as u16)? {
            root_of_last_full = edge.push(hash);
        }
        edge.advance();
    }
    if width > 0 {
        for hash in read_hashes(reader, TileId { level, index }, width)? {
            edge.push(hash);
        }
        edge.dirty = false;
    }
    Ok((edge, root_of_last_full))
}

fn read_hashes<R: TileReader>(reader: &R, tile: TileId, width: u16) -> Result<Vec<Hash>, ReadError<R::Error>> {
    let bytes = read(reader, tile, width)?;
    Ok((0..usize::from(width)).map(|position| hash_at(&bytes, position)).collect())
}

/// The nodes of the right edge, for the root.
struct EdgeNodes<'a> {
    tree: &'a Tree,
}

impl Nodes for EdgeNodes<'_> {
    type Error = std::convert::Infallible;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let at = Place::of(level, index);
        Ok(self.tree.edge_node(&at).expect("a root is made of the right edge"))
    }
}

/// All nodes: of the right edge and the untaken tiles when there is a tree, and of the reader's tiles.
struct TileNodes<'a, R> {
    tree: Option<&'a Tree>,
    size: u64,
    reader: &'a R,
    read: BTreeMap<TileId, Vec<u8>>,
}

impl<'a, R: TileReader> TileNodes<'a, R> {
    fn new(tree: Option<&'a Tree>, size: u64, reader: &'a R) -> Self {
        TileNodes { tree, size, reader, read: BTreeMap::new() }
    }
}

impl<R: TileReader> Nodes for TileNodes<'_, R> {
    type Error = ReadError<R::Error>;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let at = Place::of(level, index);
        if let Some(tree) = self.tree {
            if let Some(hash) = tree.edge_node(&at) {
                return Ok(hash);
            }
            if let Some(bytes) = tree.full.get(&at.tile) {
                return Ok(at.node_of(bytes));
            }
        }
        if let Some(bytes) = self.read.get(&at.tile) {
            return Ok(at.node_of(bytes));
        }
        let width = (count_at(self.size, at.tile.level) - at.tile.index * TILE_HASHES as u64).min(TILE_HASHES as u64);
        let bytes = read(self.reader, at.tile, width as u16)?;
        let hash = at.node_of(&bytes);
        self.read.insert(at.tile, bytes);
        Ok(hash)
    }
}

impl Tree {
    fn edge_node(&self, at: &Place) -> Option<Hash> {
        let edge = self.edges.get(usize::from(at.tile.level))?;
        let edge_index = count_at(self.size, at.tile.level) / TILE_HASHES as u64;
        let rows = match edge_index.checked_sub(at.tile.index)? {
            0 => &edge.rows,
            1 => &edge.previous,
            _ => return None,
        };
        rows[at.height as usize].get(at.position).copied()
    }
}

/// Where a node is: in which tile, at which height within it, and where in that row.
struct Place {
    tile: TileId,
    height: u32,
    position: usize,
}

impl Place {
    fn of(level: u32, index: u64) -> Place {
        let height = level % TILE_HEIGHT;
        let row_bits = TILE_HEIGHT - height;
        let tile = TileId { level: (level / TILE_HEIGHT) as u8, index: index >> row_bits };
        Place { tile, height, position: (index & ((1 << row_bits) - 1)) as usize }
    }

    /// The node, computed from a tile's bytes, which reach that far.
    fn node_of(&self, tile: &[u8]) -> Hash {
        let hashes = (self.position << self.height)..((self.position + 1) << self.height);
        small::root(&hashes.map(|position| hash_at(tile, position)).collect::<Vec<_>>())
    }
}

/// How many hashes the tile level has in a tree of `size` leaves.
fn count_at(size: u64, level: u8) -> u64 {
    size >> (TILE_HEIGHT * u32::from(level))
}

/// Tile levels of a tree of at most 2^64 - 1 leaves.
const LEVELS: u8 = 8;
