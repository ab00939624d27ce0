//! The keys of the entries, in files apart from the database: what is forgotten here is forgotten.
//!
//! A file holds [`SEGMENT_KEYS`] keys of 32 bytes at fixed places, and a key of zeros says that its entry was purged.
//! A page of a database comes back from old commits; a file that is overwritten does not. It does not know what a key
//! opens. **Invariant:** a key is durable before the entry that it opens.

use std::fs;
use std::path::PathBuf;

use envelope::vault::EntryKey;
use zeroize::Zeroizing;

use crate::error::{Cause, WriteError};
use crate::segments::SegmentFiles;

/// Where keys are kept.
pub(crate) trait Keys: Send + Sync {
    /// Writes keys from an index on; durable when it returns.
    fn write(&self, first: u64, keys: &[&EntryKey]) -> Result<(), WriteError>;

    /// The key of an entry; `None` when it was purged.
    fn read(&self, index: u64) -> Result<Option<EntryKey>, Cause>;

    /// Index after the last key; an error when one is missing before it.
    fn extent(&self) -> Result<u64, Cause>;
}

/// The folder `keys`.
#[derive(Debug)]
pub(crate) struct KeyFiles(SegmentFiles);

/// What is wrong with the folder.
#[derive(Debug, thiserror::Error)]
enum FolderError {
    #[error("the key file of segment {segment} has {bytes} bytes, {wanted} wanted")]
    Short { segment: u64, bytes: u64, wanted: u64 },
    #[error("{name:?} is no key file")]
    Stranger { name: std::ffi::OsString },
}

impl KeyFiles {
    /// The folder, which is there.
    pub(crate) fn open(dir: PathBuf) -> Self {
        Self(SegmentFiles::open(dir, "keys"))
    }

    /// Number and size in bytes of each key file, ascending.
    fn segments(&self) -> Result<Vec<(u64, u64)>, Cause> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(self.0.dir())? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".keys"));
            let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
            let number = number.filter(|number| self.0.path(*number) == entry.path());
            segments.push((number.ok_or(FolderError::Stranger { name })?, entry.metadata()?.len()));
        }
        segments.sort_unstable();
        Ok(segments)
    }
}

impl Keys for KeyFiles {
    fn write(&self, first: u64, keys: &[&EntryKey]) -> Result<(), WriteError> {
        let (mut index, mut rest) = (first, keys);
        while !rest.is_empty() {
            let (segment, place) = (index / SEGMENT_KEYS, index % SEGMENT_KEYS);
            let (now, later) = rest.split_at(rest.len().min((SEGMENT_KEYS - place) as usize));
            let mut bytes = Zeroizing::new(Vec::with_capacity(now.len() * KEY_BYTES));
            now.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
            self.0.write(segment, place * KEY_BYTES as u64, &bytes)?;
            (index, rest) = (index + now.len() as u64, later);
        }
        Ok(())
    }

    fn read(&self, index: u64) -> Result<Option<EntryKey>, Cause> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let place = index % SEGMENT_KEYS * KEY_BYTES as u64;
        self.0.read(index / SEGMENT_KEYS, place, &mut *key)?;
        Ok((*key != [0; KEY_BYTES]).then(|| EntryKey::from_bytes(*key)))
    }

    fn extent(&self) -> Result<u64, Cause> {
        let segments = self.segments()?;
        let mut extent = 0;
        for (at, (segment, bytes)) in (0..).zip(&segments) {
            let wanted = if at + 1 == segments.len() as u64 { *bytes } else { SEGMENT_BYTES };
            if *segment != at || *bytes != wanted || *bytes > SEGMENT_BYTES {
                return Err(FolderError::Short { segment: at, bytes: *bytes, wanted: SEGMENT_BYTES }.into());
            }
            // A torn key at the end belongs to a batch that was never committed.
            extent = at * SEGMENT_KEYS + bytes / KEY_BYTES as u64;
        }
        Ok(extent)
    }
}

/// Keys of a file: 128 KiB, which a purge writes anew in a few milliseconds.
pub(crate) const SEGMENT_KEYS: u64 = 4096;
const KEY_BYTES: usize = 32;
const SEGMENT_BYTES: u64 = SEGMENT_KEYS * KEY_BYTES as u64;
