//! Roots and proofs of RFC 6962 trees.

use serde_json::json;
use tlog::{Hash, small};

use crate::{Files, hex, hexes, numbered};

struct NoTiles;

impl tlog::TileReader for NoTiles {
    type Error = std::convert::Infallible;
    fn tile(&self, id: tlog::TileId, _: u16) -> Result<Vec<u8>, Self::Error> {
        unreachable!("the right edge is in memory, {id:?} is not asked for")
    }
}

pub(crate) fn trees(files: &mut Files) {
    for size in [0usize, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 64, 255, 256, 257] {
        let leaves = numbered(size);
        files.good("root", json!({"size": size}), json!({"root": hex(small::root(&leaves))}));
        let mut tree = tlog::Tree::new();
        leaves.iter().for_each(|leaf| tree.append(*leaf));
        for index in [0, 1, 2, size / 2, size.saturating_sub(1)] {
            if index < size {
                let path = tree.inclusion(index as u64, &NoTiles).unwrap();
                inclusion(files, None, &leaves[index], index, size, &path, &tree.root());
            }
        }
        for old in [0, 1, 2, 3, 4, size / 2, size.saturating_sub(1), size] {
            if old <= size {
                let path = tree.consistency(old as u64, &NoTiles).unwrap();
                consistency(files, None, (old, &small::root(&leaves[..old])), (size, &tree.root()), &path);
            }
        }
    }
    let leaves = numbered(9);
    let (root, path) = (small::root(&leaves), small::path(&leaves, 5).unwrap());
    inclusion(files, Some("another index"), &leaves[5], 4, 9, &path, &root);
    inclusion(files, Some("another size"), &leaves[5], 5, 8, &path, &root);
    inclusion(files, Some("index at the size"), &leaves[5], 9, 9, &path, &root);
    inclusion(files, Some("another leaf"), &leaves[4], 5, 9, &path, &root);
    inclusion(files, Some("too short"), &leaves[5], 5, 9, &path[1..], &root);
    inclusion(files, Some("too long"), &leaves[5], 5, 9, &[&path[..], &path[..1]].concat(), &root);
    inclusion(files, Some("another root"), &leaves[5], 5, 9, &path, &Hash([0; 32]));
    inclusion(files, Some("an empty tree"), &leaves[5], 0, 0, &[], &tlog::empty_root());
    let tree = leaves.iter().fold(tlog::Tree::new(), |mut tree, leaf| {
        tree.append(*leaf);
        tree
    });
    let (old, path) = (small::root(&leaves[..6]), tree.consistency(6, &NoTiles).unwrap());
    consistency(files, Some("another old root"), (6, &Hash([0; 32])), (9, &root), &path);
    consistency(files, Some("another root"), (6, &old), (9, &Hash([0; 32])), &path);
    consistency(files, Some("another old size"), (5, &old), (9, &root), &path);
    consistency(files, Some("too short"), (6, &old), (9, &root), &path[1..]);
    consistency(files, Some("too long"), (6, &old), (9, &root), &[&path[..], &path[..1]].concat());
    consistency(files, Some("a larger old tree"), (9, &root), (6, &old), &path);
    consistency(files, Some("equal sizes, other roots"), (9, &root), (9, &old), &[]);
    consistency(files, Some("equal sizes with a path"), (9, &root), (9, &root), &path);
    consistency(files, Some("an empty old tree with another root"), (0, &root), (9, &root), &[]);
    disclosures(files);
}

fn inclusion(files: &mut Files, what: Option<&str>, leaf: &Hash, index: usize, size: usize, path: &[Hash], root: &Hash) {
    let case = json!({"leaf": hex(leaf), "index": index, "size": size, "path": hexes(path), "root": hex(root)});
    match what {
        Some(what) => files.bad("inclusion", what, case),
        None => files.good("inclusion", case, json!({})),
    }
}

fn consistency(files: &mut Files, what: Option<&str>, old: (usize, &Hash), new: (usize, &Hash), path: &[Hash]) {
    let case = json!({"old_size": old.0, "old_root": hex(old.1), "size": new.0, "root": hex(new.1), "path": hexes(path)});
    match what {
        Some(what) => files.bad("consistency", what, case),
        None => files.good("consistency", case, json!({})),
    }
}

fn disclosures(files: &mut Files) {
    let case = |count: usize, shown: &[usize], siblings: &[Hash], root: &Hash| {
        let leaves = numbered(count.max(20));
        let shown: Vec<_> = shown.iter().map(|at| json!([at, hex(leaves[*at])])).collect();
        json!({"count": count, "shown": shown, "siblings": hexes(siblings), "root": hex(root)})
    };
    for (count, shown) in [(0, &[][..]), (1, &[0]), (1, &[]), (5, &[]), (5, &[0, 4]), (11, &[0, 1, 7]), (13, &[12]), (16, &[3, 4, 5])] {
        let leaves = numbered(count);
        let siblings = small::siblings(&leaves, shown).unwrap();
        files.good("disclosure", case(count, shown, &siblings, &small::root(&leaves)), json!({}));
    }
    let leaves = numbered(11);
    let (root, siblings) = (small::root(&leaves), small::siblings(&leaves, &[0, 7]).unwrap());
    files.bad("disclosure", "out of order", case(11, &[7, 0], &siblings, &root));
    files.bad("disclosure", "twice", case(11, &[0, 0, 7], &siblings, &root));
    files.bad("disclosure", "beyond the tree", case(11, &[0, 7, 11], &siblings, &root));
    files.bad("disclosure", "too few siblings", case(11, &[0, 7], &siblings[1..], &root));
    files.bad("disclosure", "too many siblings", case(11, &[0, 7], &[&siblings[..], &siblings[..1]].concat(), &root));
    files.bad("disclosure", "too many leaves", case(4097, &[0, 7], &siblings, &root));
    files.bad("disclosure", "siblings of an empty tree", case(0, &[], &siblings[..1], &root));
}
