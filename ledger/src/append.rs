//! One batch into the store: sequence, encrypt, sync keys and payloads, sign, commit, and only then answer.
//!
//! It does not know what an entry means, and it has no clock: the ledger time is the writer's.

use bytes::Bytes;
use envelope::draft::Draft;
use envelope::keys::random;
use envelope::slots::{Leaf, Opening};
use envelope::time::Timestamp;
use envelope::vault::EntryKey;
use tlog::{Checkpoint, Hash, NoteSigner, TileId, TileReader, Tree, leaf_hash};

use crate::error::AppendError;
use crate::log::{Head, Log, Parts, Writer};
use crate::payloads::Place;
use crate::rows::{FORMAT, HEADER_KEY, Header, Locator, Opened, Vault, Which, leaf_row, lookup_value, number, tile_key};
use crate::store::{Batch, Table};
use crate::{BATCH_BYTES_MAX, BATCH_DRAFTS_MAX, Committed, CommittedEntry, DirectoryHead, FIRST_BATCH_BYTES_MAX};

impl Log {
    /// See [`crate::Ledger::append`].
    pub(crate) fn append_batch(&self, expected: u64, at: Timestamp, drafts: Vec<Draft>) -> Result<Committed, AppendError> {
        let mut writer = self.writer();
        let parts = self.parts();
        let Some(parts) = parts.as_ref().filter(|_| !writer.closed) else { return Err(AppendError::Closed) };
        check(&writer, expected, at, &drafts)?;
        let appended = self.write(&writer, parts, at, drafts);
        match appended {
            Ok((next, head, committed)) => {
                *writer = next;
                self.set_head(head);
                Ok(committed)
            }
            Err(error) => {
                // From here on another batch could sign a second root over a size that is already durable.
                writer.closed = matches!(error, AppendError::Unknown(_));
                Err(error)
            }
        }
    }

    fn write(&self, writer: &Writer, parts: &Parts, at: Timestamp, drafts: Vec<Draft>) -> Result<(Writer, Head, Committed), AppendError> {
        let first = writer.log.size();
        let entries = drafts.into_iter().enumerate().map(|(draft, it)| Entry::new(draft, it, at));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let mut next = Writer { last_at: at, ..writer.clone() };
        let mut batch = Batch::default();
        let payload = self.entry_rows(&mut next, first, &entries, &mut batch)?;
        lookup_rows(first, &entries, &mut batch);
        grow(&mut next, &entries, &mut batch);
        let paths = paths(&next.log, first);
        tile_rows(&mut next, &mut batch);

        let syncing = std::time::Instant::now();
        let keys: Vec<&EntryKey> = entries.iter().map(|entry| &entry.key).collect();
        parts.keys.write(first, &keys)?;
        parts.payloads.write(payload.place, &payload.bytes)?;
        let head = self.sign(&next).map_err(AppendError::Sign)?;
        batch.put(Table::Note, Which::Log.note_key(), head.note.to_vec());
        batch.put(Table::Note, Which::Directory.note_key(), head.directory.checkpoint.to_vec());
        parts.store.commit(batch).map_err(AppendError::Unknown)?;
        let sync = syncing.elapsed();

        let entries = (first..).zip(entries).zip(paths);
        let entries = entries.map(|((index, entry), path)| CommittedEntry { index, leaf: entry.leaf, opening: entry.opened.opening, path });
        let committed = Committed {
            first,
            at,
            entries: entries.collect(),
            checkpoint: head.note.clone(),
            size: head.size,
            directory: head.directory.clone(),
            sync,
        };
        Ok((next, head, committed))
    }

    /// Puts the leaf rows, and gives the payloads that they lead to.
    fn entry_rows(&self, next: &mut Writer, first: u64, entries: &[Entry], batch: &mut Batch) -> Result<Payload, AppendError> {
        let vault = Vault { origin: &self.config.origin };
        let mut bytes = Vec::with_capacity(entries.iter().map(Entry::payload_bytes).sum());
        let mut locators = Vec::with_capacity(entries.len());
        for (index, entry) in (first..).zip(entries) {
            let from = bytes.len();
            vault.seal_opening(index, &entry.key, &entry.opened, &mut bytes);
            let middle = bytes.len();
            if let Some(sealed) = &entry.sealed {
                vault.seal_beside(index, &entry.key, sealed, &mut bytes);
            }
            locators.push((from, middle - from, bytes.len() - middle));
        }
        let place = next.payloads_end.with_room(bytes.len());
        let long = || AppendError::TooLarge { drafts: entries.len(), bytes: bytes.len() };
        for ((index, entry), (from, opening, sealed)) in (first..).zip(entries).zip(locators) {
            let short = |length: usize| u32::try_from(length).map_err(|_| long());
            let at = Locator { place: place.plus(from).ok_or_else(long)?, opening: short(opening)?, sealed: short(sealed)? };
            batch.put(Table::Leaf, number(index), leaf_row(index, &entry.leaf, &at));
        }
        next.payloads_end = place.plus(bytes.len()).ok_or_else(long)?;
        if next.format != FORMAT {
            // Programs that know tables only must not open it any more.
            batch.put(Table::Meta, HEADER_KEY, Header::new(self.engine, &self.config).to_row());
            next.format = FORMAT;
        }
        Ok(Payload { place, bytes })
    }

    /// One signature for the log; one more when the directory has grown.
    fn sign(&self, next: &Writer) -> Result<Head, tlog::CheckpointError> {
        let (size, root) = (next.log.size(), next.log.root());
        let checkpoint = note(&self.config.origin, size, root, &*self.signers.log)?;
        let mut directory = self.head().directory.clone();
        if next.directory.size() != directory.size {
            let (size, root) = (next.directory.size(), next.directory.root());
            let checkpoint = note(&self.config.directory_origin, size, root, &*self.signers.directory)?;
            directory = DirectoryHead { size, root, checkpoint };
        }
        Ok(Head { size, root, note: checkpoint, directory })
    }
}

/// The signed note of a tree.
pub(crate) fn note(origin: &str, size: u64, root: Hash, signer: &dyn NoteSigner) -> Result<Bytes, tlog::CheckpointError> {
    Checkpoint { origin: origin.to_owned(), size, root }.sign(signer).map(Bytes::from)
}

/// What goes into the payload files.
struct Payload {
    place: Place,
    bytes: Vec<u8>,
}

/// A draft with its place in time, its seed and its key.
struct Entry {
    leaf: Leaf,
    opened: Opened,
    key: EntryKey,
    sealed: Option<Bytes>,
    directory_leaf: Option<Bytes>,
}

impl Entry {
    fn new(place: usize, draft: Draft, at: Timestamp) -> Result<Self, AppendError> {
        let seed = random().map_err(AppendError::Random)?;
        let opening = Opening::new(draft.kind, seed, draft.slots);
        let opening = opening.map_err(|cause| AppendError::Draft { draft: place, cause })?;
        let key = EntryKey::random().map_err(AppendError::Random)?;
        Ok(Self {
            leaf: opening.leaf(at),
            opened: Opened { opening, sealed: draft.sealed.is_some(), lookup_keys: draft.lookup_keys },
            key,
            sealed: draft.sealed,
            directory_leaf: draft.directory_leaf,
        })
    }

    /// Bytes that it takes at rest, roughly.
    fn payload_bytes(&self) -> usize {
        self.opened.opening.slots().bytes_len() + self.sealed.as_ref().map_or(0, Bytes::len) + 512
    }
}

/// Refuses what must not be written; nothing has been touched yet.
fn check(writer: &Writer, expected: u64, at: Timestamp, drafts: &[Draft]) -> Result<(), AppendError> {
    let head = writer.log.size();
    if expected != head {
        return Err(AppendError::Conflict { head });
    }
    if at < writer.last_at {
        return Err(AppendError::Time { at, last: writer.last_at });
    }
    let bytes = drafts.iter().map(Draft::bytes).sum();
    let bytes_max = if head == 0 { FIRST_BATCH_BYTES_MAX } else { BATCH_BYTES_MAX };
    if drafts.is_empty() || drafts.len() > BATCH_DRAFTS_MAX || bytes > bytes_max {
        return Err(AppendError::TooLarge { drafts: drafts.len(), bytes });
    }
    Ok(())
}

/// A lookup key leads to the first entry that came with it, for ever.
fn lookup_rows(first: u64, entries: &[Entry], batch: &mut Batch) {
    for (index, entry) in (first..).zip(entries) {
        for key in &entry.opened.lookup_keys {
            batch.put_first(Table::Lookup, *key, lookup_value(key, index));
        }
    }
}

/// Both trees grow in the one transaction.
fn grow(next: &mut Writer, entries: &[Entry], batch: &mut Batch) {
    for entry in entries {
        next.log.append(entry.leaf.hash());
        if let Some(leaf) = &entry.directory_leaf {
            batch.put(Table::Directory, number(next.directory.size()), leaf.to_vec());
            next.directory.append(leaf_hash(leaf));
        }
    }
}

/// The path of each entry of the batch. Taken before the tiles are: until then every node right of `first` is at hand.
fn paths(tree: &Tree, first: u64) -> Vec<Vec<Hash>> {
    let path = |index| tree.inclusion(index, &NoTiles).expect("the siblings of a new leaf are in memory");
    (first..tree.size()).map(path).collect()
}

fn tile_rows(next: &mut Writer, batch: &mut Batch) {
    for (which, tree) in [(Which::Log, &mut next.log), (Which::Directory, &mut next.directory)] {
        for (id, hashes) in tree.take_dirty() {
            batch.put(Table::Tile, tile_key(which, id), hashes);
        }
    }
}

/// Stands where no tile is ever asked for.
struct NoTiles;

/// A tile was asked for all the same.
#[derive(Debug)]
struct Asked;

impl TileReader for NoTiles {
    type Error = Asked;

    fn tile(&self, _: TileId, _: u16) -> Result<Vec<u8>, Asked> {
        Err(Asked)
    }
}

#[cfg(test)]
mod tests {
    use tlog::verify_inclusion;

    use super::*;

    /// Batches of every size around the tiles of level 0, 1 and 2.
    #[test]
    fn the_paths_of_a_batch_need_no_tiles() {
        let mut tree = Tree::new();
        for batch in (1..=264).chain(std::iter::repeat_n(264, 130)) {
            let first = tree.size();
            let leaf = |index: u64| leaf_hash(&index.to_be_bytes());
            (first..first + batch).for_each(|index| tree.append(leaf(index)));
            let (size, root) = (tree.size(), tree.root());
            for (index, path) in (first..).zip(paths(&tree, first)) {
                verify_inclusion(&leaf(index), index, size, &path, &root).unwrap();
            }
            tree.take_dirty();
        }
        assert!(tree.size() > 65_536 + 264, "{}", tree.size());
    }
}
