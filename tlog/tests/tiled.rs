//! The growing tree against the small one: roots, proofs, reopening, what is read, damaged tiles.

#![allow(clippy::unwrap_used)]

mod store;

use std::sync::LazyLock;

use proptest::prelude::*;
use store::{Missing, Store, grown, leaves};
use tlog::{
    Hash, OpenError, ReadError, TileId, TilePathError, Tree, consistency_at, inclusion_at, leaf_hash, parse_tile_path, root_at, small,
    tile_path, verify_consistency, verify_inclusion,
};

/// More than 256 * 256 leaves, so that there are three tile levels.
static LEAVES: LazyLock<Vec<Hash>> = LazyLock::new(|| leaves(70_000));

#[test]
fn the_growing_tree_is_the_small_tree() {
    let leaves = leaves(600);
    let (mut tree, mut store) = (Tree::new(), Store::default());
    for size in 0..=600 {
        let root = small::root(&leaves[..size]);
        assert_eq!(tree.size(), size as u64);
        assert_eq!(tree.root(), root, "{size} leaves");
        store.put(&mut tree);
        assert_eq!(Tree::open(size as u64, &store).unwrap().root(), root, "{size} leaves reopened");
        assert_eq!(root_at(size as u64, &store).unwrap(), root);
        if let Some(leaf) = leaves.get(size) {
            tree.append(*leaf);
        }
    }
}

#[test]
fn every_proof_is_that_of_the_small_tree() {
    let leaves = leaves(600);
    let (_, store) = grown(&leaves);
    for size in [1, 2, 3, 5, 64, 255, 256, 257, 511, 512, 513, 600] {
        let tree = grown(&leaves[..size]).0;
        for index in 0..size {
            let path = small::path(&leaves[..size], index).unwrap();
            assert_eq!(tree.inclusion(index as u64, &store).unwrap(), path, "leaf {index} of {size}");
            assert_eq!(inclusion_at(index as u64, size as u64, &store).unwrap(), path);
        }
        for old_size in 0..=size {
            let path = tree.consistency(old_size as u64, &store).unwrap();
            assert_eq!(consistency_at(old_size as u64, size as u64, &store).unwrap(), path);
            let old_root = small::root(&leaves[..old_size]);
            verify_consistency(old_size as u64, &old_root, size as u64, &tree.root(), &path).unwrap();
        }
    }
}

#[test]
fn beyond_the_tree_is_refused() {
    let (tree, store) = grown(&leaves(3));
    let beyond = |asked, size| ReadError::BeyondSize { asked, size };
    assert_eq!(tree.inclusion(3, &store), Err(beyond(3, 3)));
    assert_eq!(tree.consistency(4, &store), Err(beyond(4, 3)));
    assert_eq!(inclusion_at(0, 0, &store), Err(beyond(0, 0)));
    assert_eq!(consistency_at(2, 1, &store), Err(beyond(2, 1)));
}

#[test]
fn only_tiles_left_of_the_edge_are_read_and_each_once() {
    let (tree, store) = grown(&leaves(600));
    tree.consistency(512, &store).unwrap();
    for index in 256..600 {
        tree.inclusion(index, &store).unwrap();
    }
    assert_eq!(store.reads.take(), []);
    let tile = |level, index| TileId { level, index };
    tree.inclusion(255, &store).unwrap();
    assert_eq!(store.reads.take(), [tile(0, 0)]);
    Tree::open(600, &store).unwrap();
    assert_eq!(store.reads.take(), [tile(0, 1), tile(0, 2), tile(1, 0)]);
}

#[test]
fn tiles_not_yet_taken_are_proved_from_memory() {
    let leaves = leaves(600);
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    let nothing = Store::default();
    assert_eq!(tree.inclusion(7, &nothing).unwrap(), small::path(&leaves, 7).unwrap());
    tree.take_dirty();
    let tile = TileId { level: 0, index: 0 };
    assert_eq!(tree.inclusion(7, &nothing), Err(ReadError::Reader { tile, width: 256, cause: Missing(tile) }));
}

#[test]
fn dirty_tiles_are_those_that_changed() {
    let mut tree = Tree::new();
    let mut dirty = |count: usize| {
        leaves(count).into_iter().for_each(|leaf| tree.append(leaf));
        let dirty = tree.take_dirty().into_iter();
        dirty.map(|(id, bytes)| format!("{} {}", id.level, id.index) + &format!(" {}", bytes.len() / 32)).collect::<Vec<_>>()
    };
    assert!(dirty(0).is_empty());
    assert_eq!(dirty(255), ["0 0 255"]);
    assert_eq!(dirty(1), ["0 0 256", "1 0 1"]);
    assert!(dirty(0).is_empty());
    assert_eq!(dirty(2), ["0 1 2"]);
    assert_eq!(dirty(600), ["0 1 256", "0 2 256", "0 3 90", "1 0 3"]);
}

#[test]
fn contradicting_and_short_tiles_do_not_open() {
    // Sizes at which the last full tiles and the edges stand in every relation to each other.
    for size in [256, 257, 600, 65_536, 65_537, 65_536 + 256, 70_000] {
        let (tree, store) = grown(&LEAVES[..size]);
        assert_eq!(Tree::open(size as u64, &store).unwrap().root(), tree.root());
        store.reads.take();
        Tree::open(size as u64, &store).unwrap();
        let read = store.reads.take();
        for id in &read {
            let mut missing = store.clone();
            missing.tiles.remove(id);
            assert!(matches!(Tree::open(size as u64, &missing), Err(OpenError::Read(ReadError::Reader { .. }))));
            let mut short = store.clone();
            short.tiles.get_mut(id).unwrap().pop();
            assert!(matches!(Tree::open(size as u64, &short), Err(OpenError::Read(ReadError::Short { .. }))));
        }
        // Every full tile read is held against the level above it; the top has nothing above, only the checkpoint.
        for id in read.iter().filter(|id| store.tiles[id].len() == 8192) {
            let mut damaged = store.clone();
            damaged.tiles.get_mut(id).unwrap()[77] ^= 1;
            assert!(matches!(Tree::open(size as u64, &damaged), Err(OpenError::Edge { .. })), "{id:?} of {size}");
        }
    }
}

#[test]
fn a_damaged_tile_makes_a_proof_that_fails() {
    let leaves = leaves(600);
    let (tree, mut store) = grown(&leaves);
    for bytes in store.tiles.values_mut() {
        bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    }
    let path = tree.inclusion(100, &store).unwrap();
    assert!(verify_inclusion(&leaves[100], 100, 600, &path, &tree.root()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn large_trees_grow_in_any_steps(steps in prop::collection::vec(1_usize..9_000, 1..12), pick in any::<prop::sample::Index>()) {
        let (mut tree, mut store, mut size) = (Tree::new(), Store::default(), 0);
        for step in steps {
            let old = (size, tree.root());
            let end = (size + step).min(LEAVES.len());
            LEAVES[size..end].iter().for_each(|leaf| tree.append(*leaf));
            size = end;
            store.put(&mut tree);
            let path = consistency_at(old.0 as u64, size as u64, &store).unwrap();
            prop_assert_eq!(verify_consistency(old.0 as u64, &old.1, size as u64, &tree.root(), &path), Ok(()));
            let mut reopened = Tree::open(size as u64, &store).unwrap();
            prop_assert_eq!(reopened.take_dirty(), vec![]);
            tree = reopened;
        }
        prop_assert_eq!(tree.root(), small::root(&LEAVES[..size]));
        let index = pick.index(size);
        let path = tree.inclusion(index as u64, &store).unwrap();
        prop_assert_eq!(&path, &small::path(&LEAVES[..size], index).unwrap());
        prop_assert_eq!(inclusion_at(index as u64, size as u64, &store).unwrap(), path);
    }

    #[test]
    fn old_sizes_are_proved_from_a_larger_trees_tiles(a in 1_usize..70_000, b in 1_usize..70_000, pick in any::<prop::sample::Index>()) {
        static STORE: LazyLock<std::sync::Mutex<Store>> = LazyLock::new(|| std::sync::Mutex::new(grown(&LEAVES).1));
        let store = STORE.lock().unwrap();
        let (old_size, size) = (a.min(b), a.max(b));
        let (old_root, root) = (small::root(&LEAVES[..old_size]), small::root(&LEAVES[..size]));
        prop_assert_eq!(root_at(size as u64, &*store).unwrap(), root);
        let path = consistency_at(old_size as u64, size as u64, &*store).unwrap();
        prop_assert_eq!(verify_consistency(old_size as u64, &old_root, size as u64, &root, &path), Ok(()));
        let index = pick.index(size);
        let path = inclusion_at(index as u64, size as u64, &*store).unwrap();
        prop_assert_eq!(verify_inclusion(&LEAVES[index], index as u64, size as u64, &path, &root), Ok(()));
    }

    #[test]
    fn any_tile_has_one_path(level in 0_u8..64, index in any::<u64>(), shift in 0_u32..64, width in 1_u16..=256) {
        let id = TileId { level, index: index >> shift };
        prop_assert_eq!(parse_tile_path(&tile_path(id, width)), Ok((id, width)));
    }
}

#[test]
fn tile_paths() {
    let table = [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/999", 0, 999, 256),
        ("tile/0/x001/000", 0, 1000, 256),
        ("tile/0/x001/x234/067", 0, 1_234_067, 256),
        ("tile/63/x001/x234/067.p/8", 63, 1_234_067, 8),
        ("tile/1/000.p/255", 1, 0, 255),
        ("tile/0/x018/x446/x744/x073/x709/x551/615", 0, u64::MAX, 256),
    ];
    for (path, level, index, width) in table {
        assert_eq!(tile_path(TileId { level, index }, width), path);
        assert_eq!(parse_tile_path(path), Ok((TileId { level, index }, width)));
    }
    use TilePathError::{Index, Level, Prefix, Width};
    let table = [
        ("", Prefix),
        ("/tile/0/000", Prefix),
        ("tile/0", Level),
        ("tile/64/000", Level),
        ("tile/00/000", Level),
        ("tile/+1/000", Level),
        ("tile/entries/000", Level),
        ("tile/0/", Index),
        ("tile/0/0", Index),
        ("tile/0/0000", Index),
        ("tile/0/+00", Index),
        ("tile/0/x000", Index),
        ("tile/0/001/000", Index),
        ("tile/0/x000/001", Index),
        ("tile/0/x1/000", Index),
        ("tile/0/x001/000/", Index),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", Index),
        ("tile/0/000.p", Index),
        ("tile/0/000.p/", Width),
        ("tile/0/000.p/0", Width),
        ("tile/0/000.p/01", Width),
        ("tile/0/000.p/256", Width),
        ("tile/0/000.p/1/2", Width),
    ];
    for (path, error) in table {
        assert_eq!(parse_tile_path(path), Err(error), "{path}");
    }
}

#[test]
fn a_clone_grows_alone() {
    let (mut tree, _) = grown(&leaves(300));
    let root = tree.root();
    let clone = tree.clone();
    tree.append(leaf_hash(b"one more"));
    assert_eq!((clone.size(), clone.root()), (300, root));
    assert_ne!(tree.root(), root);
}
