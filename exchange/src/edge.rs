//! The directory's root from its right edge alone: the complete subtrees of a growing RFC 6962 tree, largest first.
//!
//! The state carries it so that anybody who replays can check every Head without the directory's leaves.

use proto::v1::DirectoryRow;
use tlog::{Hash, empty_root, node_hash};

/// Adds a leaf's hash.
pub fn append(row: &mut DirectoryRow, leaf: Hash) {
    row.subtrees.push(leaf.as_bytes().to_vec().into());
    row.size += 1;
    // Each trailing zero bit of the new size closes one pair of equal subtrees.
    for _ in 0..row.size.trailing_zeros() {
        let (right, left) = (pop(row), pop(row));
        row.subtrees.push(node_hash(&left, &right).as_bytes().to_vec().into());
    }
}

/// The root over all leaves (RFC 6962 2.1).
#[must_use]
pub fn root(row: &DirectoryRow) -> Hash {
    let hashes = row.subtrees.iter().rev().map(|bytes| hash(bytes));
    hashes.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

fn pop(row: &mut DirectoryRow) -> Hash {
    hash(&row.subtrees.pop().unwrap_or_default())
}

fn hash(bytes: &[u8]) -> Hash {
    Hash::try_from(bytes).unwrap_or_else(|_| empty_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_gives_the_root_of_the_whole_tree() {
        let (mut row, mut leaves) = (DirectoryRow::default(), Vec::new());
        assert_eq!(root(&row), tlog::small::root(&leaves));
        for n in 0..70u8 {
            leaves.push(tlog::leaf_hash(&[n]));
            append(&mut row, tlog::leaf_hash(&[n]));
            assert_eq!(root(&row), tlog::small::root(&leaves), "size {}", row.size);
        }
    }
}
