//! A tile store in memory for the tests, which counts what is read of it.

#![allow(dead_code, clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use tlog::{Hash, TileId, TileReader, Tree, leaf_hash};

#[derive(Default, Clone)]
pub(crate) struct Store {
    pub(crate) tiles: BTreeMap<TileId, Vec<u8>>,
    pub(crate) reads: RefCell<Vec<TileId>>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Missing(pub(crate) TileId);

impl TileReader for Store {
    type Error = Missing;

    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, Missing> {
        assert!((1..=256).contains(&width));
        self.reads.borrow_mut().push(id);
        // The whole tile, though only `width` hashes are asked for: readers may give more.
        self.tiles.get(&id).cloned().ok_or(Missing(id))
    }
}

impl Store {
    pub(crate) fn put(&mut self, tree: &mut Tree) {
        for (id, bytes) in tree.take_dirty() {
            if let Some(before) = self.tiles.insert(id, bytes) {
                assert!(self.tiles[&id].starts_with(&before), "a hash of {id:?} changed");
            }
        }
    }
}

pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(format!("leaf {index}").as_bytes())).collect()
}

pub(crate) fn grown(leaves: &[Hash]) -> (Tree, Store) {
    let (mut tree, mut store) = (Tree::new(), Store::default());
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    store.put(&mut tree);
    (tree, store)
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn hash(text: &str) -> Hash {
    Hash::try_from(hex(text).as_slice()).unwrap()
}
