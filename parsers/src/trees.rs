//! Notes, checkpoints, keys, proofs and tiles of the log.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::LazyLock;

use tlog::{Checkpoint, Hash, Note, NoteError, ProofText, TILE_HASHES, TileId, TileReader, Tree, VerifierKey, parse_tile_path, small};

use crate::seeds::{cases, frame, list, parts, raw};

/// The verifier keys of all notes in the vectors.
static NOTE_KEYS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| {
    let all = cases("note").into_iter().chain(cases("checkpoint"));
    let texts = all.flat_map(|case| match case["keys"].as_array() {
        Some(keys) => keys.clone(),
        None => vec![case["key"].clone()],
    });
    let texts: BTreeSet<String> = texts.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    texts.iter().map(|text| VerifierKey::parse(text).expect("a key of the vectors")).collect()
});

/// The texts of all notes in the seeds.
static NOTE_TEXTS: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    let text = |bytes: Vec<u8>| {
        let end = bytes.windows(2).rposition(|pair| pair == b"\n\n")?;
        Some(bytes[..=end].to_vec())
    };
    note_seeds().into_iter().filter_map(text).collect()
});

/// A signed note.
pub(crate) fn note(bytes: &[u8]) -> bool {
    let Ok(note) = Note::parse(bytes) else { return false };
    assert_eq!(note.to_bytes(), bytes, "two encodings of one note");
    let mut signed = false;
    for key in NOTE_KEYS.iter() {
        signed |= note.verify(std::slice::from_ref(key)).is_ok();
    }
    match note.verify(&NOTE_KEYS) {
        Ok(keys) => assert!(signed && !keys.is_empty()),
        Err(NoteError::UnknownKeys { .. }) => assert!(!signed, "a note is signed by a key, and by none"),
        Err(_) => {}
    }
    assert!(!signed || NOTE_TEXTS.contains(note.text.as_bytes()), "a note that nobody signed is believed");
    signed
}

pub(crate) fn note_seeds() -> Vec<Vec<u8>> {
    let notes = cases("note").into_iter().chain(cases("checkpoint")).map(|case| raw(&case["note"]));
    notes.filter(|bytes| bytes.len() < 8192).collect()
}

/// The text of a checkpoint, and a signed one.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(checkpoint) = Checkpoint::parse(text)
    {
        assert!(text.starts_with(&checkpoint.to_text()), "a checkpoint that is not what it writes");
        assert_eq!(Checkpoint::parse(&checkpoint.to_text()).ok(), Some(checkpoint));
    }
    let opened = NOTE_KEYS.iter().filter_map(|key| Some((key, Checkpoint::open(bytes, key).ok()?))).next();
    let Some((key, checkpoint)) = opened else { return false };
    assert_eq!(checkpoint.origin, key.name);
    let text = Note::parse(bytes).expect("a note that was opened").text;
    assert!(NOTE_TEXTS.contains(text.as_bytes()), "a checkpoint that no log signed is believed");
    true
}

pub(crate) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let texts = NOTE_TEXTS.iter().cloned().collect::<Vec<_>>();
    note_seeds().into_iter().chain(texts).collect()
}

/// The text of a verifier key.
pub(crate) fn verifier_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(key) = VerifierKey::parse(text) else { return false };
    assert_eq!(key.to_string(), text, "two texts of one key");
    true
}

pub(crate) fn verifier_key_seeds() -> Vec<Vec<u8>> {
    cases("verifier_key").iter().filter_map(|case| case["text"].as_str().map(|text| text.as_bytes().to_vec())).collect()
}

/// A proof that stands alone.
pub(crate) fn proof_text(bytes: &[u8]) -> bool {
    let Ok(proof) = ProofText::parse(bytes) else { return false };
    assert_eq!(proof.to_bytes(), bytes, "two texts of one proof");
    for key in NOTE_KEYS.iter() {
        // The leaf is one that no log of the vectors holds.
        assert!(proof.verify(&tlog::leaf_hash(b"in no log"), key).is_err(), "a leaf is proved that is not in the log");
    }
    true
}

pub(crate) fn proof_text_seeds() -> Vec<Vec<u8>> {
    let text = |(at, checkpoint): (usize, Vec<u8>)| {
        let path = (0..at % 5).map(|at| tlog::leaf_hash(&[at as u8])).collect();
        ProofText { extra: vec![7; at % 3], index: at as u64, path, checkpoint }.to_bytes()
    };
    note_seeds().into_iter().take(12).enumerate().map(text).collect()
}

/// Inclusion, consistency and disclosure from hashes of a stranger: sizes, then hashes.
pub(crate) fn proofs(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk::<17>() else { return false };
    let (which, numbers) = head.split_at(1);
    let number = |at: usize| u64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let (first, second) = (number(0), number(8));
    let mut hashes: Vec<Hash> = rest.chunks_exact(32).filter_map(|hash| Hash::try_from(hash).ok()).collect();
    match which[0] % 3 {
        0 => inclusion(first, second, &mut hashes),
        1 => consistency(first, second, &mut hashes),
        _ => disclosure(first, second, &hashes),
    }
}

/// Leaf, root, path.
fn inclusion(index: u64, size: u64, hashes: &mut Vec<Hash>) -> bool {
    let (Some(leaf), Some(root)) = (hashes.pop(), hashes.pop()) else { return false };
    let found = tlog::root_from_inclusion(&leaf, index, size, hashes);
    let proved = tlog::verify_inclusion(&leaf, index, size, hashes, &root).is_ok();
    assert_eq!(proved, found.as_ref().is_ok_and(|found| *found == root), "two opinions of one path");
    assert!(found.is_err() || (index < size && hashes.len() <= 64), "a path to nowhere");
    proved
}

/// Old root, root, path.
fn consistency(old_size: u64, size: u64, hashes: &mut Vec<Hash>) -> bool {
    let (Some(old), Some(root)) = (hashes.pop(), hashes.pop()) else { return false };
    let proved = tlog::verify_consistency(old_size, &old, size, &root, hashes).is_ok();
    assert!(!proved || (old_size <= size && (old_size != size || old == root)), "a log that shrinks or changes");
    proved
}

/// The disclosed leaves are the bits of a number.
fn disclosure(count: u64, mask: u64, hashes: &[Hash]) -> bool {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let indices = (0..64).filter(|bit| mask >> bit & 1 == 1);
    let shown: Vec<(usize, Hash)> = indices.zip(hashes).map(|(at, hash)| (at, *hash)).collect();
    let siblings = &hashes[shown.len()..];
    let root = small::root_from_siblings(count, &shown, siblings);
    assert!(root.is_err() || (count <= small::LEAVES_MAX && siblings.len() <= count), "a tree that is too large");
    root.is_ok()
}

pub(crate) fn proofs_seeds() -> Vec<Vec<u8>> {
    let number = |case: &serde_json::Value, field: &str| case[field].as_u64().unwrap_or(0).to_be_bytes();
    let seed =
        |which: u8, first: [u8; 8], second: [u8; 8], hashes: Vec<Vec<u8>>| [&[which][..], &first, &second, &hashes.concat()].concat();
    let with = |case: &serde_json::Value, root: &str, other: &str| {
        let mut hashes = list(&case["path"]);
        hashes.extend([raw(&case[root]), raw(&case[other])]);
        hashes
    };
    let every = |cases: Vec<serde_json::Value>, step: usize| cases.into_iter().step_by(step);
    let inclusion = every(cases("inclusion"), 3);
    let inclusion = inclusion.map(|case| seed(0, number(&case, "index"), number(&case, "size"), with(&case, "root", "leaf")));
    let consistency = every(cases("consistency"), 4);
    let consistency = consistency.map(|case| seed(1, number(&case, "old_size"), number(&case, "size"), with(&case, "root", "old_root")));
    let disclosure = every(cases("disclosure"), 1).map(|case| {
        let shown = case["shown"].as_array().cloned().unwrap_or_default();
        let mask = shown.iter().filter_map(|pair| pair[0].as_u64()).filter(|at| *at < 64).fold(0u64, |mask, at| mask | 1 << at);
        let mut hashes: Vec<_> = shown.iter().map(|pair| raw(&pair[1])).collect();
        hashes.extend(list(&case["siblings"]));
        seed(2, number(&case, "count"), mask.to_be_bytes(), hashes)
    });
    inclusion.chain(consistency).chain(disclosure).collect()
}

/// The path of a tile.
pub(crate) fn tile_path(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok((id, width)) = parse_tile_path(text) else { return false };
    assert_eq!(tlog::tile_path(id, width), text, "two paths of one tile");
    true
}

pub(crate) fn tile_path_seeds() -> Vec<Vec<u8>> {
    let ids = [(0, 0, 256), (0, 67, 1), (1, 1234, 255), (7, 123_456_789, 256), (63, u64::MAX, 7)];
    let path = |(level, index, width): (u8, u64, u16)| tlog::tile_path(TileId { level, index }, width).into_bytes();
    ids.into_iter().map(path).chain([b"tile/0/x000/001".to_vec(), b"tile/entries/000".to_vec()]).collect()
}

/// A store of tiles that serves whatever the input says; every tile is the same bytes, cut at a place of its own.
struct Lying<'a> {
    bytes: &'a [u8],
    reads: Cell<usize>,
}

impl TileReader for Lying<'_> {
    type Error = Infallible;

    fn tile(&self, id: TileId, width: u16) -> Result<Vec<u8>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        let wanted = usize::from(width) * 32;
        let from = (id.index as usize).wrapping_mul(31).wrapping_add(usize::from(id.level)) % self.bytes.len().max(1);
        let served = self.bytes.iter().cycle().skip(from).take(if self.bytes.is_empty() { 0 } else { wanted });
        // A store that gives less than it was asked for is one of the lies.
        let short = if self.bytes.first() == Some(&0) { 1 } else { 0 };
        Ok(served.copied().skip(short).collect())
    }
}

/// A tree over a store that lies: it opens or it does not, and reads a bounded number of tiles either way.
pub(crate) fn tiles(bytes: &[u8]) -> bool {
    let Some((size, bytes)) = bytes.split_first_chunk::<8>() else { return false };
    let size = u64::from_be_bytes(*size);
    let reader = Lying { bytes, reads: Cell::new(0) };
    let tree = Tree::open(size, &reader);
    let root = tlog::root_at(size, &reader);
    let inclusion = tlog::inclusion_at(size / 3, size, &reader);
    let consistency = tlog::consistency_at(size / 2, size, &reader);
    assert!(inclusion.is_err() || inclusion.is_ok_and(|path| path.len() <= 64));
    assert!(consistency.is_err() || consistency.is_ok_and(|path| path.len() <= 128));
    assert!(reader.reads.get() <= READS_MAX, "{} tiles are read", reader.reads.get());
    let Ok(mut tree) = tree else { return false };
    assert_eq!(tree.size(), size);
    tree.root();
    if size < u64::MAX {
        tree.append(tlog::leaf_hash(b"one more"));
        assert_eq!(tree.size(), size + 1);
        assert!(tree.take_dirty().iter().all(|(_, tile)| !tile.is_empty() && tile.len() <= TILE_HASHES * 32));
    }
    root.is_ok()
}

/// Eight levels, a few tiles of each, four questions.
const READS_MAX: usize = 256;

pub(crate) fn tiles_seeds() -> Vec<Vec<u8>> {
    let sizes = [0u64, 1, 255, 256, 257, 65_536, 70_000, 1 << 40, u64::MAX];
    sizes.into_iter().map(|size| [&size.to_be_bytes()[..], &[1; 40]].concat()).chain([frame(&parts(&[0, 4, 1, 2, 3, 4]))]).collect()
}
