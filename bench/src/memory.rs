//! What a process has in memory, and the most that it has had since a moment.

use anyhow::Context as _;

/// A process whose memory is watched (Linux).
#[derive(Clone, Copy, Debug)]
pub struct Memory(u32);

impl Memory {
    /// Of the process with this id.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// Bytes in memory now; the peak is counted from here.
    ///
    /// # Errors
    /// When /proc cannot be read or written.
    pub fn reset(self) -> anyhow::Result<u64> {
        // proc(5): 5 resets the peak resident set size to the current value.
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5")?;
        self.field("VmRSS:")
    }

    /// The most bytes in memory since the last reset.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn peak(self) -> anyhow::Result<u64> {
        self.field("VmHWM:")
    }

    /// Files and sockets that are open.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn files(self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.0))?.count())
    }

    fn field(self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a line of its memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib << 10)
    }
}
