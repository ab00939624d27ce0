//! Openings and what is sealed beside them, encrypted, in files that only grow.
//!
//! They are most of the bytes of a log and are never changed, so they do not go through the database: a batch is one
//! append and one sync, whatever the engine. Where an entry lies stands in its leaf row. It does not know what the bytes
//! hold. **Invariant:** a payload is durable before the row that leads to it.

use std::path::PathBuf;

use crate::error::{Cause, WriteError};
use crate::segments::SegmentFiles;

/// A place in the files: which one, and the byte in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

impl Place {
    /// Where `length` more bytes go: here, or at the beginning of the next file.
    pub(crate) fn with_room(self, length: usize) -> Self {
        let end = u64::from(self.offset) + length as u64;
        if self.offset == 0 || end <= SEGMENT_BYTES_MAX { self } else { Self { segment: self.segment + 1, offset: 0 } }
    }

    /// The place `length` bytes further on in the same file; `None` beyond what an offset can say.
    pub(crate) fn plus(self, length: usize) -> Option<Self> {
        let offset = self.offset.checked_add(u32::try_from(length).ok()?)?;
        Some(Self { offset, ..self })
    }
}

/// Where payloads are kept.
pub(crate) trait Payloads: Send + Sync {
    /// Writes at a place, over whatever a batch that was never committed has left there; durable when it returns.
    fn write(&self, place: Place, bytes: &[u8]) -> Result<(), WriteError>;

    /// `length` bytes from a place on.
    fn read(&self, place: Place, length: usize) -> Result<Vec<u8>, Cause>;

    /// Bytes in a file; 0 when it is not there.
    fn extent(&self, segment: u32) -> Result<u64, Cause>;
}

/// The folder `payloads`.
#[derive(Debug)]
pub(crate) struct PayloadFiles(SegmentFiles);

impl PayloadFiles {
    /// The folder, which is there.
    pub(crate) fn open(dir: PathBuf) -> Self {
        Self(SegmentFiles::open(dir, "payloads"))
    }
}

impl Payloads for PayloadFiles {
    fn write(&self, place: Place, bytes: &[u8]) -> Result<(), WriteError> {
        self.0.write(place.segment.into(), place.offset.into(), bytes)
    }

    fn read(&self, place: Place, length: usize) -> Result<Vec<u8>, Cause> {
        let mut bytes = vec![0; length];
        self.0.read(place.segment.into(), place.offset.into(), &mut bytes)?;
        Ok(bytes)
    }

    fn extent(&self, segment: u32) -> Result<u64, Cause> {
        Ok(self.0.extent(segment.into())?)
    }
}

/// A file is closed above this: small enough to copy and to punch holes into, large enough to be few.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_lies_in_one_file_and_a_full_file_is_followed_by_the_next() {
        let at = |segment, offset| Place { segment, offset };
        let max = SEGMENT_BYTES_MAX as u32;
        for (place, length, expected) in [
            (at(0, 0), 1, at(0, 0)),
            (at(0, 10), (max - 10) as usize, at(0, 10)),
            (at(0, 10), (max - 9) as usize, at(1, 0)),
            (at(7, max), 1, at(8, 0)),
            (at(3, 0), max as usize + 1, at(3, 0)),
        ] {
            assert_eq!(place.with_room(length), expected, "{place:?} and {length}");
        }
        assert_eq!(at(0, u32::MAX).plus(1), None);
        assert_eq!(at(0, 5).plus(7), Some(at(0, 12)));
    }
}
