//! Tiles: their names, their paths and the door through which they are read (C2SP tlog-tiles).
//!
//! A tile is up to 256 consecutive hashes of one tree level, 32 bytes each; tile level L holds hashes of tree level 8·L.
//! This file does not know where tiles are kept.

use crate::hash::{HASH_BYTES, Hash};

/// Hashes in a full tile (C2SP tlog-tiles, "Merkle Tree").
pub const TILE_HASHES: usize = 256;

/// Tree levels that one tile spans.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// Which tile: its level (0 holds leaf hashes) and its index within the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Tile level, 0..=63; a tree of at most 2^64 - 1 leaves has levels 0..=7.
    pub level: u8,
    /// Zero-based index from the left within the level.
    pub index: u64,
}

/// Where tiles are read; the caller's store.
pub trait TileReader {
    /// What the store says when it cannot.
    type Error;

    /// The first `width` hashes (1..=256) of a tile: 32·width bytes, or more, which are ignored.
    ///
    /// # Errors
    /// The store's own, also when it does not have the tile that wide.
    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, Self::Error>;
}

/// Why a proof or a root cannot be made from tiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E> {
    /// The store refused.
    #[error("{} cannot be read", tile_path(*.tile, *.width))]
    Reader {
        /// The tile.
        tile: TileId,
        /// Hashes wanted of it.
        width: u16,
        /// What the store said.
        #[source]
        cause: E,
    },
    /// The store gave fewer bytes than the tree needs.
    #[error("{} has {got} bytes, {wanted} wanted", tile_path(*.tile, (*.wanted / HASH_BYTES) as u16))]
    Short {
        /// The tile.
        tile: TileId,
        /// Bytes read.
        got: usize,
        /// Bytes wanted.
        wanted: usize,
    },
    /// The caller asked for a leaf or an old size beyond the tree.
    #[error("{asked} is beyond a tree of {size} leaves")]
    BeyondSize {
        /// The index or the old size asked for.
        asked: u64,
        /// Leaves of the tree.
        size: u64,
    },
}

/// Why a text is not the path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TilePathError {
    /// It does not begin with `tile/`.
    #[error("the path does not begin with tile/")]
    Prefix,
    /// The level is not a canonical decimal from 0 to 63.
    #[error("the tile level is no canonical decimal from 0 to 63")]
    Level,
    /// The index is not in canonical three-digit elements, or beyond 64 bits.
    #[error("the tile index is not in canonical three-digit elements")]
    Index,
    /// The width is not a canonical decimal from 1 to 255.
    #[error("the tile width is no canonical decimal from 1 to 255")]
    Width,
}

/// The path of a tile below a log's prefix: `tile/0/x001/x234/067`, with `.p/W` for a partial tile (C2SP tlog-tiles).
///
/// `width` counts hashes, 1..=256; 256 is the full tile, whose path names no width.
pub fn tile_path(id: TileId, width: u16) -> String {
    debug_assert!((1..=256).contains(&width) && id.level <= LEVEL_MAX, "{id:?} of width {width}");
    let mut path = format!("{:03}", id.index % 1000);
    let mut rest = id.index / 1000;
    while rest != 0 {
        path.insert_str(0, &format!("x{:03}/", rest % 1000));
        rest /= 1000;
    }
    let suffix = if usize::from(width) < TILE_HASHES { format!(".p/{width}") } else { String::new() };
    format!("{PREFIX}{}/{path}{suffix}", id.level)
}

/// Reads what [`tile_path`] writes, and nothing else: every tile has one path.
///
/// # Errors
/// [`TilePathError`] names the first part that is not canonical. Paths of entry bundles are refused.
pub fn parse_tile_path(path: &str) -> Result<(TileId, u16), TilePathError> {
    let rest = path.strip_prefix(PREFIX).ok_or(TilePathError::Prefix)?;
    let (level, rest) = rest.split_once('/').ok_or(TilePathError::Level)?;
    let level = decimal(level).filter(|level| *level <= u64::from(LEVEL_MAX)).ok_or(TilePathError::Level)?;
    let (index, width) = match rest.split_once(".p/") {
        None => (rest, TILE_HASHES as u64),
        Some((index, width)) => {
            let width = decimal(width).filter(|width| (1..TILE_HASHES as u64).contains(width));
            (index, width.ok_or(TilePathError::Width)?)
        }
    };
    let id = TileId { level: level as u8, index: parse_index(index).ok_or(TilePathError::Index)? };
    Ok((id, width as u16))
}

fn parse_index(text: &str) -> Option<u64> {
    let (front, last) = match text.rsplit_once('/') {
        None => (None, text),
        Some((front, last)) => (Some(front), last),
    };
    let mut index: u64 = 0;
    for element in front.into_iter().flat_map(|front| front.split('/')) {
        let digits = three_digits(element.strip_prefix('x')?)?;
        // A leading x000 would give the same tile a second path.
        if index == 0 && digits == 0 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits)?;
    }
    index.checked_mul(1000)?.checked_add(three_digits(last)?)
}

fn three_digits(text: &str) -> Option<u64> {
    let is_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// An ASCII decimal with no sign and no leading zero, as all C2SP formats write numbers.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if is_canonical { text.parse().ok() } else { None }
}

/// The hash at `position` of a tile's bytes; the caller has checked the length.
pub(crate) fn hash_at(tile: &[u8], position: usize) -> Hash {
    let bytes = &tile[position * HASH_BYTES..(position + 1) * HASH_BYTES];
    Hash::try_from(bytes).expect("the slice is one hash long")
}

/// The first `width` hashes of a tile, read and measured.
pub(crate) fn read<R: TileReader>(reader: &R, tile: TileId, width: u16) -> Result<Vec<u8>, ReadError<R::Error>> {
    let mut bytes = reader.tile(tile, width).map_err(|cause| ReadError::Reader { tile, width, cause })?;
    let wanted = usize::from(width) * HASH_BYTES;
    if bytes.len() < wanted {
        return Err(ReadError::Short { tile, got: bytes.len(), wanted });
    }
    bytes.truncate(wanted);
    Ok(bytes)
}

const PREFIX: &str = "tile/";
/// Highest tile level of C2SP tlog-tiles.
const LEVEL_MAX: u8 = 63;
