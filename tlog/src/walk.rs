//! The prover's walk: which complete subtrees an RFC 6962 root or proof is made of.
//!
//! This file knows the shape of the tree and asks for complete subtrees by level and index; it does not know where their
//! hashes are kept.

use crate::hash::{Hash, empty_root, node_hash};

/// Where the hashes of complete subtrees come from.
pub(crate) trait Nodes {
    type Error;

    /// The hash of the complete subtree over the leaves `index << level .. (index + 1) << level`.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// `MTH(D[0:size])` (RFC 6962 2.1).
pub(crate) fn root<N: Nodes>(size: u64, nodes: &mut N) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, nodes) }
}

/// `PATH(index, D[0:size])` (RFC 6962 2.1.1); `index < size`.
pub(crate) fn inclusion<N: Nodes>(index: u64, size: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            path.push(range_root(middle, end, nodes)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, nodes)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// `PROOF(old_size, D[0:size])` (RFC 6962 2.1.2), empty for an empty old tree; `old_size <= size`.
pub(crate) fn consistency<N: Nodes>(old_size: u64, size: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while old_size != 0 && end != old_size {
        let middle = start + split_point(end - start);
        if old_size <= middle {
            path.push(range_root(middle, end, nodes)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, nodes)?);
            start = middle;
        }
    }
    // The subtree that both trees end with; the verifier knows it already when it is the whole old tree.
    if start != 0 {
        path.push(range_root(start, end, nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// `MTH(D[start:end])` for a non-empty range whose start is aligned to every complete subtree in it, as all ranges of
/// the RFC's recursion are.
fn range_root<N: Nodes>(start: u64, end: u64, nodes: &mut N) -> Result<Hash, N::Error> {
    // From the right: the smallest complete subtree first, each larger one to its left.
    let (mut rest, mut end) = (end - start, end);
    let mut root = None;
    while rest != 0 {
        let level = rest.trailing_zeros();
        let node = nodes.node(level, (end - 1) >> level)?;
        root = Some(match root {
            None => node,
            Some(right) => node_hash(&node, &right),
        });
        rest &= rest - 1;
        end -= 1 << level;
    }
    Ok(root.expect("the range is not empty"))
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split_point(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}
