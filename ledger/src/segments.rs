//! A folder of numbered files of bytes, with the last of each kind of use kept open.
//!
//! It does not know what the bytes are, nor how many a file may have.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::WriteError;

/// The folder.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    dir: PathBuf,
    suffix: &'static str,
    /// The file that was written last.
    writing: Last,
    /// The file that was read last; deliveries are mostly of one neighbourhood.
    reading: Last,
}

type Last = Mutex<Option<(u64, Arc<File>)>>;

impl SegmentFiles {
    /// The folder, which is there, and what the names of its files end with.
    pub(crate) fn open(dir: PathBuf, suffix: &'static str) -> Self {
        Self { dir, suffix, writing: Mutex::new(None), reading: Mutex::new(None) }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(format!("{segment:08x}.{}", self.suffix))
    }

    /// Writes at a byte of a file, which is made when it is not there; durable when it returns.
    pub(crate) fn write(&self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let file = last(&self.writing, segment, || {
            let path = self.path(segment);
            let is_new = !path.exists();
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(WriteError::of)?;
            if is_new {
                File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(WriteError::unknown)?;
            }
            Ok(file)
        })?;
        file.write_all_at(bytes, offset).map_err(WriteError::of)?;
        file.sync_data().map_err(WriteError::unknown)
    }

    /// Fills `bytes` from a byte of a file on.
    pub(crate) fn read(&self, segment: u64, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        last(&self.reading, segment, || File::open(self.path(segment)))?.read_exact_at(bytes, offset)
    }

    /// Bytes in a file; 0 when it is not there.
    pub(crate) fn extent(&self, segment: u64) -> io::Result<u64> {
        match fs::metadata(self.path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            metadata => metadata.map(|metadata| metadata.len()),
        }
    }
}

/// The file that is open, when it is the wanted one; else opens it and keeps it instead.
fn last<E>(last: &Last, segment: u64, open: impl FnOnce() -> Result<File, E>) -> Result<Arc<File>, E> {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, file)) = &*last
        && *at == segment
    {
        return Ok(file.clone());
    }
    let file = Arc::new(open()?);
    *last = Some((segment, file.clone()));
    Ok(file)
}
