//! Trees that fit in memory: the root, the path of one leaf, and the proof of several disclosed leaves.
//!
//! This is the recursion of RFC 6962 2.1 as it is written there: a list of n > 1 leaves is split at the largest power of
//! two smaller than n. It does not know tiles; the growing tree is another file, and the tests hold the two together.
//!
//! **The count is not part of a proof.** As in RFC 6962, the same siblings can lead to the same root for several counts.
//! The count must come from where the root comes from: signed, or hashed beside the root.

use crate::hash::{Hash, empty_root, node_hash};
use crate::proof::ProofError;

/// Most leaves that a disclosure proof may speak of; it bounds the work for a stranger's proof.
pub const LEAVES_MAX: usize = 4096;

/// The Merkle Tree Hash of `leaves`, which are leaf hashes (RFC 6962 2.1).
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split_point(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The audit path of the leaf at `index`, from its sibling up to the root's child (RFC 6962 2.1.1).
///
/// `None` when there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    let (mut rest, mut index) = (leaves, index);
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split_point(rest.len()));
        if index < left.len() {
            path.push(root(right));
            rest = left;
        } else {
            path.push(root(left));
            index -= left.len();
            rest = right;
        }
    }
    path.reverse();
    Some(path)
}

/// What a holder of only the `disclosed` leaves needs to compute the root: the hashes of the maximal subtrees without a
/// disclosed leaf, in the left-to-right order of a depth-first walk.
///
/// `disclosed` are indices, strictly ascending. `None` when they are not, when one is not below the number of leaves, or
/// when there are more than [`LEAVES_MAX`] leaves. Nothing disclosed of a non-empty tree yields its root alone.
pub fn siblings(leaves: &[Hash], disclosed: &[usize]) -> Option<Vec<Hash>> {
    check_indices(leaves.len(), disclosed.iter().copied()).ok()?;
    let mut siblings = Vec::new();
    collect(leaves, 0, disclosed, &mut siblings);
    Some(siblings)
}

/// A tree with all its nodes at hand, for whoever proves several leaves of it: a proof costs its length, not the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    count: usize,
    /// Each node before its left subtree, that before the right one; none for the empty tree.
    nodes: Vec<Hash>,
}

impl Nodes {
    /// The tree of `leaves`, which are leaf hashes.
    pub fn new(leaves: &[Hash]) -> Self {
        let mut nodes = Vec::with_capacity(2 * leaves.len());
        if !leaves.is_empty() {
            build(leaves, &mut nodes);
        }
        Self { count: leaves.len(), nodes }
    }

    /// As [`root()`].
    pub fn root(&self) -> Hash {
        self.nodes.first().copied().unwrap_or_else(empty_root)
    }

    /// As [`path`].
    pub fn path(&self, index: usize) -> Option<Vec<Hash>> {
        if index >= self.count {
            return None;
        }
        let mut path = Vec::new();
        let (mut at, mut count, mut index) = (0, self.count, index);
        while count > 1 {
            let middle = split_point(count);
            let (left, right) = (at + 1, at + 2 * middle);
            if index < middle {
                path.push(self.nodes[right]);
                (at, count) = (left, middle);
            } else {
                path.push(self.nodes[left]);
                (at, count, index) = (right, count - middle, index - middle);
            }
        }
        path.reverse();
        Some(path)
    }

    /// As [`siblings`].
    pub fn siblings(&self, disclosed: &[usize]) -> Option<Vec<Hash>> {
        check_indices(self.count, disclosed.iter().copied()).ok()?;
        let mut siblings = Vec::new();
        if self.count > 0 {
            self.collect(0, 0, self.count, disclosed, &mut siblings);
        }
        Some(siblings)
    }

    fn collect(&self, at: usize, start: usize, count: usize, disclosed: &[usize], siblings: &mut Vec<Hash>) {
        if disclosed.is_empty() {
            return siblings.push(self.nodes[at]);
        }
        if count == 1 {
            return;
        }
        let middle = split_point(count);
        let (left, right) = disclosed.split_at(disclosed.partition_point(|index| *index < start + middle));
        self.collect(at + 1, start, middle, left, siblings);
        self.collect(at + 2 * middle, start + middle, count - middle, right, siblings);
    }
}

/// Appends the nodes of a tree that is not empty. A subtree of n leaves has 2n - 1 of them.
fn build(leaves: &[Hash], nodes: &mut Vec<Hash>) {
    let at = nodes.len();
    nodes.push(leaves[0]);
    if leaves.len() > 1 {
        let middle = split_point(leaves.len());
        build(&leaves[..middle], nodes);
        build(&leaves[middle..], nodes);
        nodes[at] = node_hash(&nodes[at + 1], &nodes[at + 2 * middle]);
    }
}

/// The root of a tree of `count` leaves, of which some are `disclosed` (index and leaf hash, strictly ascending) and the
/// rest stands in `siblings`, as [`siblings`] orders them.
///
/// The caller compares the root, and must know `count` from an authenticated place.
///
/// # Errors
/// [`ProofError::TooManyLeaves`] above [`LEAVES_MAX`], [`ProofError::IndexBeyondSize`] and
/// [`ProofError::UnsortedIndex`] for bad indices, [`ProofError::Length`] when a sibling is missing or left over.
pub fn root_from_siblings(count: usize, disclosed: &[(usize, Hash)], siblings: &[Hash]) -> Result<Hash, ProofError> {
    check_indices(count, disclosed.iter().map(|(index, _)| *index))?;
    if count == 0 {
        return match siblings {
            [] => Ok(empty_root()),
            _ => Err(ProofError::Length { got: siblings.len(), wanted: 0 }),
        };
    }
    let mut cursor = Cursor { siblings, used: 0 };
    let root = cursor.fold(0, count, disclosed);
    match root {
        Some(root) if cursor.used == siblings.len() => Ok(root),
        _ => Err(ProofError::Length { got: siblings.len(), wanted: cursor.used }),
    }
}

/// Reads the siblings in order and counts how many the walk wanted, also beyond the last.
struct Cursor<'a> {
    siblings: &'a [Hash],
    used: usize,
}

impl Cursor<'_> {
    /// The root of the `count` leaves from `start`; `None` once a sibling was missing.
    fn fold(&mut self, start: usize, count: usize, disclosed: &[(usize, Hash)]) -> Option<Hash> {
        if disclosed.is_empty() {
            self.used += 1;
            return self.siblings.get(self.used - 1).copied();
        }
        if count == 1 {
            return disclosed.first().map(|(_, leaf)| *leaf);
        }
        let middle = split_point(count);
        let (left, right) = disclosed.split_at(disclosed.partition_point(|(index, _)| *index < start + middle));
        // Both sides are walked even when the left one failed, so that `used` counts every sibling that was wanted.
        let left = self.fold(start, middle, left);
        let right = self.fold(start + middle, count - middle, right);
        Some(node_hash(&left?, &right?))
    }
}

fn collect(leaves: &[Hash], start: usize, disclosed: &[usize], siblings: &mut Vec<Hash>) {
    if leaves.is_empty() {
        return;
    }
    if disclosed.is_empty() {
        siblings.push(root(leaves));
        return;
    }
    if leaves.len() == 1 {
        return;
    }
    let middle = split_point(leaves.len());
    let (left, right) = disclosed.split_at(disclosed.partition_point(|index| *index < start + middle));
    collect(&leaves[..middle], start, left, siblings);
    collect(&leaves[middle..], start + middle, right, siblings);
}

fn check_indices(count: usize, indices: impl Iterator<Item = usize>) -> Result<(), ProofError> {
    if count > LEAVES_MAX {
        return Err(ProofError::TooManyLeaves { count, max: LEAVES_MAX });
    }
    let mut previous = None;
    for index in indices {
        if index >= count {
            return Err(ProofError::IndexBeyondSize { index: index as u64, size: count as u64 });
        }
        if previous.is_some_and(|previous| previous >= index) {
            return Err(ProofError::UnsortedIndex { index });
        }
        previous = Some(index);
    }
    Ok(())
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split_point(count: usize) -> usize {
    1 << (count - 1).ilog2()
}
