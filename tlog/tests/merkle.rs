//! Small trees and proofs: known vectors, every bit tampered with, disclosure of several leaves.

#![allow(clippy::unwrap_used)]

mod store;

use proptest::prelude::*;
use store::{grown, hash, hex, leaves};
use tlog::small::{self, root_from_siblings, siblings};
use tlog::{Hash, ProofError, empty_root, leaf_hash, root_from_inclusion, sha256, sha256_parts, verify_consistency, verify_inclusion};

/// The eight leaves with which the implementations of RFC 6962 test themselves, and their roots.
const VECTORS: [(&str, &str); 8] = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];

fn vector_leaves() -> Vec<Hash> {
    VECTORS.iter().map(|(data, _)| leaf_hash(&hex(data))).collect()
}

fn flipped(hash: Hash, bit: usize) -> Hash {
    let mut bytes = hash.0;
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash(bytes)
}

#[test]
fn hashes_are_those_of_the_standard() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(empty_root(), hash(empty));
    assert_eq!(empty_root().to_string(), empty);
    assert_eq!(format!("{:?}", empty_root()), empty);
    assert_eq!(sha256_parts(&[b"a", b"", b"bc"]), sha256(b"abc"));
    assert_eq!(Hash(sha256(b"abc")), hash("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_eq!(Hash::try_from([0; 31].as_slice()).unwrap_err().length, 31);
}

#[test]
fn known_roots_and_proofs() {
    let leaves = vector_leaves();
    for (size, (_, root)) in (1..).zip(VECTORS) {
        assert_eq!(small::root(&leaves[..size]), hash(root), "{size} leaves");
        assert_eq!(grown(&leaves[..size]).0.root(), hash(root), "{size} leaves in tiles");
    }
    let (tree, store) = grown(&leaves);
    let known = |text: &str| text.split(' ').map(hash).collect::<Vec<_>>();
    let first = known(
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7 \
         5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e \
         6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    );
    assert_eq!(small::path(&leaves, 0).unwrap(), first);
    assert_eq!(tree.inclusion(0, &store).unwrap(), first);
    let sixth = known(
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b \
         ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 \
         d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    );
    assert_eq!(small::path(&leaves, 5).unwrap(), sixth);
    assert_eq!(tree.inclusion(5, &store).unwrap(), sixth);
    let from_six = known(
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a \
         ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 \
         d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    );
    assert_eq!(tree.consistency(6, &store).unwrap(), from_six);
}

#[test]
fn an_inclusion_proof_holds_for_its_leaf_alone_to_the_bit() {
    for size in [1, 2, 3, 7, 8, 13] {
        let leaves = leaves(size);
        let root = small::root(&leaves);
        for (index, leaf) in leaves.iter().enumerate() {
            let path = small::path(&leaves, index).unwrap();
            let check =
                |leaf: &Hash, index: usize, path: &[Hash], root: &Hash| verify_inclusion(leaf, index as u64, size as u64, path, root);
            assert_eq!(check(leaf, index, &path, &root), Ok(()));
            for bit in 0..256 {
                assert!(check(&flipped(*leaf, bit), index, &path, &root).is_err());
                assert!(check(leaf, index, &path, &flipped(root, bit)).is_err());
                for at in 0..path.len() {
                    let mut path = path.clone();
                    path[at] = flipped(path[at], bit);
                    assert!(check(leaf, index, &path, &root).is_err());
                }
            }
            for other in (0..=size).filter(|other| *other != index) {
                assert!(check(leaf, other, &path, &root).is_err(), "leaf {index} of {size} at {other}");
            }
            let (got, wanted) = (path.len() + 1, path.len());
            let longer = [path.as_slice(), &[root]].concat();
            assert_eq!(check(leaf, index, &longer, &root), Err(ProofError::Length { got, wanted }));
            if let Some((_, shorter)) = path.split_last() {
                assert!(matches!(check(leaf, index, shorter, &root), Err(ProofError::Length { .. })));
            }
        }
        assert_eq!(small::path(&leaves, size), None);
    }
    let (index, size) = (u64::MAX, u64::MAX);
    assert_eq!(root_from_inclusion(&empty_root(), index, size, &[]), Err(ProofError::IndexBeyondSize { index, size }));
    let path = vec![empty_root(); 64];
    assert!(root_from_inclusion(&empty_root(), 0, size, &path).is_ok());
    assert!(root_from_inclusion(&empty_root(), size - 1, size, &path[..63]).is_ok());
}

#[test]
fn a_consistency_proof_holds_for_its_roots_alone_to_the_bit() {
    let leaves = leaves(13);
    for size in 0..=13 {
        let (tree, store) = grown(&leaves[..size]);
        for old_size in 0..=size {
            let (old_root, root) = (small::root(&leaves[..old_size]), tree.root());
            let path = tree.consistency(old_size as u64, &store).unwrap();
            let check = |old_size: usize, old_root: &Hash, root: &Hash, path: &[Hash]| {
                verify_consistency(old_size as u64, old_root, size as u64, root, path)
            };
            assert_eq!(check(old_size, &old_root, &root, &path), Ok(()), "{old_size} of {size}");
            for bit in 0..256 {
                assert!(check(old_size, &flipped(old_root, bit), &root, &path).is_err());
                // An empty tree is the beginning of every tree, so nothing ties its proof to the new root.
                assert_eq!(check(old_size, &old_root, &flipped(root, bit), &path).is_ok(), old_size == 0 && size != 0);
                for at in 0..path.len() {
                    let mut path = path.clone();
                    path[at] = flipped(path[at], bit);
                    assert!(check(old_size, &old_root, &root, &path).is_err());
                }
            }
            for other in (0..=13).filter(|other| *other != old_size) {
                assert!(check(other, &old_root, &root, &path).is_err(), "{old_size} of {size} as {other}");
            }
            let longer = [path.as_slice(), &[root]].concat();
            assert!(matches!(check(old_size, &old_root, &root, &longer), Err(ProofError::Length { .. })));
            if let Some((_, shorter)) = path.split_last() {
                assert!(matches!(check(old_size, &old_root, &root, shorter), Err(ProofError::Length { .. })));
            }
        }
    }
}

#[test]
fn consistency_of_trees_that_cannot_be() {
    let (root, other) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_eq!(verify_consistency(2, &root, 1, &root, &[]), Err(ProofError::OldSizeBeyondSize { old_size: 2, size: 1 }));
    assert_eq!(verify_consistency(5, &root, 5, &other, &[]), Err(ProofError::Root { root: other, computed: root }));
    assert!(verify_consistency(0, &root, 0, &root, &[]).is_err());
    assert!(verify_consistency(0, &empty_root(), 9, &root, &[other]).is_err());
    let max = u64::MAX;
    assert!(matches!(verify_consistency(max - 1, &root, max, &other, &vec![root; 64]), Err(ProofError::OldRoot { .. })));
    assert!(matches!(verify_consistency(1 << 63, &root, max, &other, &[root]), Err(ProofError::Root { .. })));
}

#[test]
fn siblings_stand_in_the_order_of_a_walk_from_the_left() {
    // Seven leaves: ((0 1) (2 3)) ((4 5) 6).
    let leaves = leaves(7);
    let of = |range: std::ops::Range<usize>| small::root(&leaves[range]);
    assert_eq!(siblings(&leaves, &[1, 5]).unwrap(), [of(0..1), of(2..4), of(4..5), of(6..7)]);
    assert_eq!(siblings(&leaves, &[6]).unwrap(), [of(0..4), of(4..6)]);
    assert_eq!(siblings(&leaves, &[]).unwrap(), [of(0..7)]);
    assert_eq!(siblings(&leaves, &[0, 1, 2, 3, 4, 5, 6]).unwrap(), []);
    assert_eq!(siblings(&[], &[]).unwrap(), []);
    assert_eq!(root_from_siblings(0, &[], &[]), Ok(empty_root()));
    for bad in [&[7][..], &[1, 1], &[2, 1]] {
        assert_eq!(siblings(&leaves, bad), None, "{bad:?}");
    }
}

#[test]
fn a_disclosure_with_bad_indices_or_siblings_is_refused() {
    let leaves = leaves(7);
    let leaf = leaves[1];
    let good = siblings(&leaves, &[1, 5]).unwrap();
    let disclosed = [(1, leaf), (5, leaves[5])];
    let check = |count, disclosed: &[(usize, Hash)], siblings: &[Hash]| root_from_siblings(count, disclosed, siblings);
    assert_eq!(check(7, &disclosed, &good), Ok(small::root(&leaves)));
    assert_eq!(check(7, &disclosed, &good[..3]), Err(ProofError::Length { got: 3, wanted: 4 }));
    assert_eq!(check(7, &disclosed, &[]), Err(ProofError::Length { got: 0, wanted: 4 }));
    let longer = [good.as_slice(), &[leaf]].concat();
    assert_eq!(check(7, &disclosed, &longer), Err(ProofError::Length { got: 5, wanted: 4 }));
    assert_eq!(check(0, &[], &[leaf]), Err(ProofError::Length { got: 1, wanted: 0 }));
    assert_eq!(check(7, &[(5, leaf), (1, leaf)], &good), Err(ProofError::UnsortedIndex { index: 1 }));
    assert_eq!(check(7, &[(1, leaf), (1, leaf)], &good), Err(ProofError::UnsortedIndex { index: 1 }));
    assert_eq!(check(7, &[(7, leaf)], &good), Err(ProofError::IndexBeyondSize { index: 7, size: 7 }));
    assert_eq!(check(0, &[(0, leaf)], &[]), Err(ProofError::IndexBeyondSize { index: 0, size: 0 }));
    assert_eq!(check(4097, &[], &[leaf]), Err(ProofError::TooManyLeaves { count: 4097, max: 4096 }));
    assert_eq!(check(4096, &[], &[leaf]), Ok(leaf));
    assert_eq!(siblings(&vec![leaf; 4097], &[]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_disclosure_leads_to_the_root_and_no_tampered_one_does(
        shown in prop::collection::vec(any::<bool>(), 1..300),
        bit in 0_usize..256,
        pick in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(shown.len());
        let indices: Vec<usize> = (0..shown.len()).filter(|index| shown[*index]).collect();
        let disclosed: Vec<(usize, Hash)> = indices.iter().map(|index| (*index, leaves[*index])).collect();
        let (root, siblings) = (small::root(&leaves), siblings(&leaves, &indices).unwrap());
        let nodes = small::Nodes::new(&leaves);
        prop_assert_eq!((nodes.root(), nodes.siblings(&indices)), (root, Some(siblings.clone())));
        prop_assert!((0..=leaves.len()).all(|index| nodes.path(index) == small::path(&leaves, index)));
        prop_assert_eq!(root_from_siblings(leaves.len(), &disclosed, &siblings), Ok(root));

        let at = pick.index(siblings.len() + disclosed.len());
        let (mut siblings, mut disclosed) = (siblings, disclosed);
        match at.checked_sub(siblings.len()) {
            None => siblings[at] = flipped(siblings[at], bit),
            Some(at) => disclosed[at].1 = flipped(disclosed[at].1, bit),
        }
        prop_assert_ne!(root_from_siblings(leaves.len(), &disclosed, &siblings).unwrap(), root);
    }

    #[test]
    fn a_disclosed_leaf_cannot_move(count in 2_usize..300, from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let leaves = leaves(count);
        let (from, to) = (from.index(count), to.index(count));
        let siblings = siblings(&leaves, &[from]).unwrap();
        let moved = root_from_siblings(count, &[(to, leaves[from])], &siblings);
        prop_assert_eq!(moved == Ok(small::root(&leaves)), from == to);
    }
}
