//! Snapshots of the state: sorted rows, in parts that are laid one over the other.
//!
//! A part has the rows that changed between two sizes of the log, so that keeping one costs what has changed and not what
//! there is; the first part begins at 0. Parts of like size are merged, so there are few. It does not know what a row
//! holds, and a part that is lost or damaged costs a longer replay and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use tlog::{HASH_BYTES, sha256};

use crate::error::Cause;

/// Rows by key.
pub type SnapshotRows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Between which sizes of the log the rows of a part changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Where parts are kept.
pub(crate) trait Shelf: Send + Sync {
    /// The parts and their bytes, in any order.
    fn list(&self) -> Result<Vec<(Span, u64)>, Cause>;

    /// A part.
    fn read(&self, span: Span) -> Result<Bytes, Cause>;

    /// Keeps a part whole, or not at all.
    fn put(&self, span: Span, bytes: Bytes) -> Result<(), Cause>;

    /// Forgets a part.
    fn remove(&self, span: Span) -> Result<(), Cause>;
}

/// A snapshot of the state after [`Snapshot::size`] entries.
#[derive(Clone, Debug)]
pub struct Snapshot {
    size: u64,
    /// Oldest first; each is sound.
    parts: Vec<Bytes>,
}

impl Snapshot {
    /// Entries that it stands for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The newest row under each key, in order of the keys.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        Merge::new(&self.parts)
    }
}

/// Keeps a part behind those that are there, and merges parts of like size.
pub(crate) fn keep(shelf: &dyn Shelf, span: Span, rows: &SnapshotRows) -> Result<(), Cause> {
    let rows = rows.iter().map(|(key, row)| (key.as_slice(), row.as_slice()));
    shelf.put(span, encode(span, rows))?;
    let mut listed = shelf.list()?;
    listed.sort();
    let chain = chain(&listed, u64::MAX, |_| true);
    for (stray, _) in listed.iter().filter(|(span, _)| !chain.contains(span)) {
        shelf.remove(*stray)?;
    }
    let sizes: Vec<u64> = chain.iter().map(|span| listed.iter().find(|(one, _)| one == span).map_or(0, |(_, bytes)| *bytes)).collect();
    let first = merge_from(&sizes);
    let Some([oldest, .., newest]) = chain.get(first..) else { return Ok(()) };
    let merged = Span { from: oldest.from, to: newest.to };
    let parts = chain[first..].iter().map(|span| sound(*span, shelf.read(*span)?).ok_or("a part is damaged".into()));
    let parts = parts.collect::<Result<Vec<Bytes>, Cause>>()?;
    shelf.put(merged, encode(merged, Merge::new(&parts)))?;
    chain[first..].iter().try_for_each(|span| shelf.remove(*span))
}

/// The longest snapshot of at most `size` entries that the sound parts make, and how many parts are damaged.
pub(crate) fn newest(shelf: &dyn Shelf, size: u64) -> Result<(Option<Snapshot>, u64), Cause> {
    let mut listed = shelf.list()?;
    listed.sort();
    let mut read = BTreeMap::new();
    let mut damaged = 0;
    let chain = chain(&listed, size, |span| {
        let bytes = shelf.read(span).ok().and_then(|bytes| sound(span, bytes));
        damaged += u64::from(bytes.is_none());
        bytes.is_some_and(|bytes| read.insert(span, bytes).is_none())
    });
    let parts = chain.iter().filter_map(|span| read.remove(span)).collect();
    Ok((chain.last().map(|last| Snapshot { size: last.to, parts }), damaged))
}

/// Parts that follow each other from 0 on, none beyond `size`; of two that begin at one place the longer, if it is sound.
fn chain(listed: &[(Span, u64)], size: u64, mut sound: impl FnMut(Span) -> bool) -> Vec<Span> {
    let mut chain: Vec<Span> = Vec::new();
    loop {
        let from = chain.last().map_or(0, |last| last.to);
        let mut next = listed.iter().rev().map(|(span, _)| *span).filter(|span| span.from == from && span.to > from && span.to <= size);
        match next.find(|span| sound(*span)) {
            Some(span) => chain.push(span),
            None => return chain,
        }
    }
}

/// From which part on they are merged: a part at most twice as large as all behind it joins them. The number of parts
/// then grows with the logarithm of the rows, and so does how often a row is written.
fn merge_from(sizes: &[u64]) -> usize {
    let Some((last, before)) = sizes.split_last() else { return 0 };
    let mut behind = *last;
    let mut first = before.len();
    while first > 0 && before[first - 1] <= 2 * behind {
        first -= 1;
        behind += before[first];
    }
    first
}

/// `magic | u64be from | u64be to | for each row: u32be key length | u32be row length | key | row | 32 bytes SHA-256`.
fn encode<'a>(span: Span, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&span.from.to_be_bytes());
    bytes.extend_from_slice(&span.to.to_be_bytes());
    for (key, row) in rows {
        for length in [key.len(), row.len()] {
            bytes.extend_from_slice(&u32::try_from(length).expect("a row is far below 4 GiB").to_be_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(row);
    }
    let digest = sha256(&bytes);
    bytes.extend_from_slice(&digest);
    bytes.into()
}

/// The rows of a part, when it is what was written for that span.
fn sound(span: Span, bytes: Bytes) -> Option<Bytes> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    let rest = body.strip_prefix(MAGIC.as_slice())?;
    let (from, rest) = rest.split_first_chunk()?;
    let (to, rows) = rest.split_first_chunk()?;
    let named = Span { from: u64::from_be_bytes(*from), to: u64::from_be_bytes(*to) };
    (named == span && sha256(body) == digest).then(|| bytes.slice_ref(rows))
}

/// Walks sorted parts together; of rows under one key the newest part's is given.
struct Merge<'a> {
    /// What is left of each part, and its next row.
    parts: Vec<(&'a [u8], Option<Row<'a>>)>,
}

type Row<'a> = (&'a [u8], &'a [u8]);

impl<'a> Merge<'a> {
    fn new(parts: &'a [Bytes]) -> Self {
        let mut merge = Self { parts: parts.iter().map(|part| (part.as_ref(), None)).collect() };
        merge.parts.iter_mut().for_each(step);
        merge
    }
}

/// Reads the next row of a part. The digest was checked, so what cannot be read is the end.
fn step<'a>(part: &mut (&'a [u8], Option<Row<'a>>)) {
    part.1 = split_row(part.0).map(|(key, row, rest)| {
        part.0 = rest;
        (key, row)
    });
}

fn split_row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key_length, rest) = bytes.split_first_chunk()?;
    let (row_length, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
    let (row, rest) = rest.split_at_checked(u32::from_be_bytes(*row_length) as usize)?;
    Some((key, row, rest))
}

impl<'a> Iterator for Merge<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        // Few parts: a walk over them is cheaper than a heap.
        let key = self.parts.iter().filter_map(|(_, row)| row.map(|(key, _)| key)).min()?;
        let mut newest = None;
        for part in &mut self.parts {
            if part.1.is_some_and(|(other, _)| other == key) {
                newest = part.1;
                step(part);
            }
        }
        newest
    }
}

/// The rows of a part, for `doors`.
#[cfg(feature = "doors")]
pub(crate) fn read_part(span: Span, bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let part = [sound(span, Bytes::copy_from_slice(bytes))?];
    Some(Merge::new(&part).map(|(key, row)| (key.to_vec(), row.to_vec())).collect())
}

/// A part with these rows, for `doors`.
#[cfg(feature = "doors")]
pub(crate) fn part(span: Span, rows: &SnapshotRows) -> Vec<u8> {
    encode(span, rows.iter().map(|(key, row)| (key.as_slice(), row.as_slice()))).to_vec()
}

/// The folder `snapshots`: a file a part, named by its span.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    dir: PathBuf,
}

impl SnapshotFiles {
    /// The folder, which is there.
    pub(crate) fn open(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self, span: Span) -> PathBuf {
        self.dir.join(format!("{:016x}-{:016x}.rows", span.from, span.to))
    }
}

impl Shelf for SnapshotFiles {
    fn list(&self) -> Result<Vec<(Span, u64)>, Cause> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let span = name.to_str().and_then(|name| name.strip_suffix(".rows")).and_then(|name| name.split_once('-'));
            let number = |text: &str| u64::from_str_radix(text, 16).ok();
            let span = span.and_then(|(from, to)| Some(Span { from: number(from)?, to: number(to)? }));
            // A file of another name was not finished, or is not ours.
            if let Some(span) = span {
                parts.push((span, entry.metadata()?.len()));
            }
        }
        Ok(parts)
    }

    fn read(&self, span: Span) -> Result<Bytes, Cause> {
        Ok(fs::read(self.path(span))?.into())
    }

    fn put(&self, span: Span, bytes: Bytes) -> Result<(), Cause> {
        let unfinished = self.dir.join("unfinished");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&unfinished, self.path(span))?;
        Ok(File::open(&self.dir)?.sync_all()?)
    }

    fn remove(&self, span: Span) -> Result<(), Cause> {
        Ok(fs::remove_file(self.path(span))?)
    }
}

const MAGIC: [u8; 16] = *b"ecowire rows 1\0\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn rows(pairs: &[(&str, &str)]) -> SnapshotRows {
        pairs.iter().map(|(key, row)| (key.as_bytes().to_vec(), row.as_bytes().to_vec())).collect()
    }

    fn read(shelf: &dyn Shelf, size: u64) -> Option<(u64, SnapshotRows)> {
        let snapshot = newest(shelf, size).unwrap().0?;
        let rows = snapshot.rows().map(|(key, row)| (key.to_vec(), row.to_vec())).collect();
        Some((snapshot.size(), rows))
    }

    #[test]
    fn later_parts_lie_over_earlier_ones() {
        let shelf = Memory::new();
        assert_eq!(read(&shelf, 9), None);
        keep(&shelf, Span { from: 0, to: 4 }, &rows(&[("a", "1"), ("b", "1"), ("c", "1")])).unwrap();
        keep(&shelf, Span { from: 4, to: 6 }, &rows(&[("b", "2"), ("d", "2")])).unwrap();
        assert_eq!(read(&shelf, 9), Some((6, rows(&[("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")]))));
        keep(&shelf, Span { from: 6, to: 7 }, &rows(&[("", ""), ("c", "")])).unwrap();
        assert_eq!(read(&shelf, 7), Some((7, rows(&[("", ""), ("a", "1"), ("b", "2"), ("c", ""), ("d", "2")]))));
    }

    #[test]
    fn parts_stay_few_and_no_row_is_lost() {
        let shelf = Memory::new();
        let mut model = SnapshotRows::new();
        let mut written = 0;
        for at in 0..500u64 {
            let part: SnapshotRows = (0..20).map(|n| ((at * 15 + n).to_be_bytes().to_vec(), at.to_be_bytes().to_vec())).collect();
            model.extend(part.clone());
            keep(&shelf, Span { from: at, to: at + 1 }, &part).unwrap();
            let parts = shelf.list().unwrap();
            assert!(parts.len() <= 10, "{} parts after {at}", parts.len());
            written += parts.iter().map(|(_, bytes)| bytes).max().unwrap();
        }
        assert!(written > 0);
        assert_eq!(read(&shelf, 500), Some((500, model)));
    }

    #[test]
    fn a_damaged_part_or_one_of_a_later_log_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = SnapshotFiles::open(folder.path().to_owned());
        let large = rows(&[("a", &"x".repeat(4000))]);
        keep(&shelf, Span { from: 0, to: 4 }, &large).unwrap();
        keep(&shelf, Span { from: 4, to: 8 }, &rows(&[("b", "2")])).unwrap();
        assert_eq!(shelf.list().unwrap().len(), 2);
        assert_eq!(read(&shelf, 7).unwrap().0, 4, "the log has 7 entries");
        let path = shelf.path(Span { from: 4, to: 8 });
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let (snapshot, damaged) = newest(&shelf, 8).unwrap();
            assert_eq!((snapshot.unwrap().size(), damaged), (4, 1), "bit {bit}");
        }
        // A part named for another span is not taken for it.
        fs::write(&path, &whole).unwrap();
        fs::rename(&path, shelf.path(Span { from: 4, to: 9 })).unwrap();
        assert_eq!(read(&shelf, 9).unwrap().0, 4);
    }

    #[test]
    fn parts_of_like_size_join() {
        for (sizes, expected) in
            [(&[][..], 0), (&[5], 0), (&[100, 5], 1), (&[10, 5], 0), (&[100, 10, 5], 1), (&[30, 10, 5], 0), (&[1000, 300, 10, 4, 2], 2)]
        {
            assert_eq!(merge_from(sizes), expected, "{sizes:?}");
        }
    }
}
