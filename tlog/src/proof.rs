//! The verifier's side: inclusion and consistency proofs (RFC 6962 2.1.1 and 2.1.2, RFC 9162 2.1.3.2 and 2.1.4.2).
//!
//! This file knows hashes and sizes only; it never reads a tile and never makes a proof.

use crate::hash::{Hash, empty_root, node_hash};

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in the tree.
    #[error("leaf {index} is beyond a tree of {size} leaves")]
    IndexBeyondSize {
        /// Zero-based index of the leaf.
        index: u64,
        /// Number of leaves.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("an old tree of {old_size} leaves is larger than the tree of {size}")]
    OldSizeBeyondSize {
        /// Leaves of the old tree.
        old_size: u64,
        /// Leaves of the new tree.
        size: u64,
    },
    /// The proof has too few or too many hashes for its place in the tree.
    #[error("the proof has {got} hashes, {wanted} wanted")]
    Length {
        /// Hashes in the proof.
        got: usize,
        /// Hashes that a proof of this place has.
        wanted: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to the root {computed}, not to {root}")]
    Root {
        /// The root that was to be met.
        root: Hash,
        /// The root that the proof leads to.
        computed: Hash,
    },
    /// The proof leads to another old root.
    #[error("the proof leads to the old root {computed}, not to {root}")]
    OldRoot {
        /// The old root that was to be met.
        root: Hash,
        /// The old root that the proof leads to.
        computed: Hash,
    },
    /// A disclosure proof speaks of a larger tree than is allowed.
    #[error("{count} leaves are more than {max}")]
    TooManyLeaves {
        /// Leaves of the tree.
        count: usize,
        /// Most leaves allowed.
        max: usize,
    },
    /// The disclosed indices are not strictly ascending.
    #[error("disclosed index {index} is not above the one before it")]
    UnsortedIndex {
        /// The first index out of order.
        index: usize,
    },
}

/// Checks that `leaf` stands at `index` (zero-based) in the tree of `size` leaves with this `root` (RFC 6962 2.1.1).
///
/// `path` runs from the leaf's sibling up to the root's child.
///
/// # Errors
/// As [`root_from_inclusion`], and [`ProofError::Root`] when the path leads elsewhere.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    let computed = root_from_inclusion(leaf, index, size, path)?;
    if computed != *root {
        return Err(ProofError::Root { root: *root, computed });
    }
    Ok(())
}

/// The root that `path` leads to from `leaf` at `index` in a tree of `size` leaves (RFC 6962 2.1.1).
///
/// # Errors
/// [`ProofError::IndexBeyondSize`] when there is no such leaf, [`ProofError::Length`] when the path has not exactly as
/// many hashes as the place demands.
pub fn root_from_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::IndexBeyondSize { index, size });
    }
    // Below `inner` the way of this leaf and that of the last leaf are apart, and siblings come on both sides. Above,
    // the leaf lies on the right edge, where a subtree without a right neighbour moves up for free.
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let edge = index.checked_shr(inner).unwrap_or(0).count_ones();
    let wanted = (inner + edge) as usize;
    if path.len() != wanted {
        return Err(ProofError::Length { got: path.len(), wanted });
    }
    let (below, above) = path.split_at(inner as usize);
    let mut node = *leaf;
    for (height, sibling) in below.iter().enumerate() {
        let is_right = (index >> height) & 1 == 1;
        node = if is_right { node_hash(sibling, &node) } else { node_hash(&node, sibling) };
    }
    for sibling in above {
        node = node_hash(sibling, &node);
    }
    Ok(node)
}

/// Checks that the tree of `old_size` leaves and `old_root` is the beginning of the tree of `size` leaves and `root`
/// (RFC 6962 2.1.2, with the algorithm of RFC 9162 2.1.4.2).
///
/// An empty old tree needs an empty path and the empty tree's root; equal sizes need an empty path and equal roots.
///
/// # Errors
/// [`ProofError::OldSizeBeyondSize`], [`ProofError::Length`], [`ProofError::OldRoot`] or [`ProofError::Root`].
pub fn verify_consistency(old_size: u64, old_root: &Hash, size: u64, root: &Hash, path: &[Hash]) -> Result<(), ProofError> {
    if old_size > size {
        return Err(ProofError::OldSizeBeyondSize { old_size, size });
    }
    let wanted = consistency_hashes(old_size, size);
    if path.len() != wanted {
        return Err(ProofError::Length { got: path.len(), wanted });
    }
    let (old_computed, computed) = if old_size == size {
        // Nothing between them: whatever the old root is, the new one must be.
        (if size == 0 { empty_root() } else { *old_root }, *old_root)
    } else if old_size == 0 {
        (empty_root(), *root)
    } else {
        roots_from_consistency(old_size, old_root, size, path)
    };
    if old_computed != *old_root {
        return Err(ProofError::OldRoot { root: *old_root, computed: old_computed });
    }
    if computed != *root {
        return Err(ProofError::Root { root: *root, computed });
    }
    Ok(())
}

/// The old and the new root that `path` leads to; `0 < old_size < size`, and the path has the right length.
fn roots_from_consistency(old_size: u64, old_root: &Hash, size: u64, path: &[Hash]) -> (Hash, Hash) {
    // The last complete subtree of the old tree: where both walks begin.
    let height = old_size.trailing_zeros();
    let (mut old_node, mut node) = ((old_size - 1) >> height, (size - 1) >> height);
    let (first, rest) = match path.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (first, rest),
        _ => (old_root, path),
    };
    let (mut old_computed, mut computed) = (*first, *first);
    for sibling in rest {
        if old_node & 1 == 1 || old_node == node {
            old_computed = node_hash(sibling, &old_computed);
            computed = node_hash(sibling, &computed);
            while old_node & 1 == 0 && old_node != 0 {
                old_node >>= 1;
                node >>= 1;
            }
        } else {
            computed = node_hash(&computed, sibling);
        }
        old_node >>= 1;
        node >>= 1;
    }
    (old_computed, computed)
}

/// How many hashes a consistency proof has; `old_size <= size`.
fn consistency_hashes(old_size: u64, size: u64) -> usize {
    if old_size == 0 || old_size == size {
        return 0;
    }
    let height = old_size.trailing_zeros();
    let (old_node, node) = ((old_size - 1) >> height, (size - 1) >> height);
    // The path of the last complete subtree of the old tree in the new one, as in `root_from_inclusion`, and that
    // subtree itself unless it is the whole old tree.
    let inner = u64::BITS - (old_node ^ node).leading_zeros();
    let edge = old_node.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + edge) as usize + usize::from(!old_size.is_power_of_two())
}
