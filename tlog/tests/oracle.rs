//! Roots, proofs and tiles against the `tlog_tiles` crate.

#![allow(clippy::unwrap_used)]

mod store;

use proptest::prelude::*;
use store::{Store, leaves};
use tlog::{Hash, Tree, consistency_at, inclusion_at, root_at, tile_path};
use tlog_tiles::{HashReader, Tile};

/// Their stored hashes, in their dense order.
#[derive(Default)]
struct Theirs(Vec<tlog_tiles::Hash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Theirs {
    fn grow(&mut self, leaves: &[Hash], from: usize) {
        for (index, leaf) in leaves.iter().enumerate().skip(from) {
            let leaf = tlog_tiles::Hash(leaf.0);
            let hashes = tlog_tiles::stored_hashes_for_record_hash(index as u64, leaf, self).unwrap();
            self.0.extend(hashes);
        }
    }

    /// The tiles to publish between two sizes, by our path: theirs names the height first.
    fn tiles(&self, old_size: u64, size: u64) -> Vec<(String, Vec<u8>)> {
        let tiles = Tile::new_tiles(8, old_size, size).into_iter();
        let mut tiles: Vec<_> = tiles.map(|tile| (tile.path().replacen("tile/8/", "tile/", 1), tile.read_data(self).unwrap())).collect();
        tiles.sort();
        tiles
    }
}

fn ours(path: &[tlog_tiles::Hash]) -> Vec<Hash> {
    path.iter().map(|hash| Hash(hash.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn both_crates_make_the_same_tree(steps in prop::collection::vec(0_usize..900, 1..8), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let leaves = leaves(steps.iter().sum());
        let (mut tree, mut store, mut theirs) = (Tree::new(), Store::default(), Theirs::default());
        for step in steps {
            let old_size = tree.size();
            let end = old_size as usize + step;
            leaves[old_size as usize..end].iter().for_each(|leaf| tree.append(*leaf));
            theirs.grow(&leaves[..end], old_size as usize);
            prop_assert_eq!(tree.root().0, tlog_tiles::tree_hash(tree.size(), &theirs).unwrap().0);

            let mut published: Vec<_> = tree.clone().take_dirty().into_iter().map(|(id, bytes)| (tile_path(id, (bytes.len() / 32) as u16), bytes)).collect();
            published.sort();
            prop_assert_eq!(published, theirs.tiles(old_size, tree.size()));
            store.put(&mut tree);
        }
        let size = tree.size();
        prop_assume!(size > 0);
        let (at, old_size) = (a.index(size as usize) as u64, b.index(size as usize) as u64 + 1);
        prop_assert_eq!(tree.inclusion(at, &store).unwrap(), ours(&tlog_tiles::prove_record(size, at, &theirs).unwrap()));
        prop_assert_eq!(tree.consistency(old_size, &store).unwrap(), ours(&tlog_tiles::prove_tree(size, old_size, &theirs).unwrap()));
        prop_assert_eq!(root_at(old_size, &store).unwrap().0, tlog_tiles::tree_hash(old_size, &theirs).unwrap().0);
        let older = at.min(old_size - 1);
        prop_assert_eq!(inclusion_at(older, old_size, &store).unwrap(), ours(&tlog_tiles::prove_record(old_size, older, &theirs).unwrap()));
        prop_assert_eq!(consistency_at(older + 1, old_size, &store).unwrap(), ours(&tlog_tiles::prove_tree(old_size, older + 1, &theirs).unwrap()));
    }
}

#[test]
fn both_crates_make_the_same_tiles_of_three_levels() {
    let leaves = leaves(70_000);
    let mut theirs = Theirs::default();
    theirs.grow(&leaves, 0);
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    let mut tiles: Vec<_> = tree.take_dirty().into_iter().map(|(id, bytes)| (tile_path(id, (bytes.len() / 32) as u16), bytes)).collect();
    tiles.sort();
    // The standard's own example: 273 full tiles and a partial one, one full and one partial, and one partial on top.
    assert_eq!(tiles.len(), 273 + 1 + 1 + 1 + 1);
    assert!(tiles == theirs.tiles(0, 70_000));
}
