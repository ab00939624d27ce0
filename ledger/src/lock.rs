//! One process at a time: the file `lock`, held by the system and not by its content.
//!
//! The content names the holder for people. It does not know whether a folder was copied; it says when it looks so.

use std::fs::{File, OpenOptions, TryLockError, read_to_string};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::OpenError;

/// Held while the ledger is open; the system lets go of it with the file.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let io = |cause| OpenError::Io { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = file.map_err(io)?;
        let taken = file.try_lock();
        let holder = content(&file).map_err(io)?;
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { holder }),
            Err(TryLockError::Error(cause)) => return Err(io(cause)),
        }
        let (place, process) = (place(), std::process::id());
        if !holder.is_empty() && !holder.starts_with(&place) {
            tracing::warn!(last = holder, now = place, "the ledger was last open elsewhere or before a restart of the machine");
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
        write!(file, "{place} process {process}").map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// What the last holder wrote, cut at a length that no holder writes.
fn content(mut file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(1024).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Host and boot, as far as the system tells.
fn place() -> String {
    let read = |path| read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    format!("host {} boot {}", read("/proc/sys/kernel/hostname"), read("/proc/sys/kernel/random/boot_id"))
}
