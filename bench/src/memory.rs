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

    /// KiB in memory now: resident, and with what is shared counted in parts.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn resident_and_share_kib(self) -> anyhow::Result<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        Ok((kib(&text, "Rss:")?, kib(&text, "Pss:")?))
    }

    fn field(self, name: &str) -> anyhow::Result<u64> {
        Ok(kib(&std::fs::read_to_string(format!("/proc/{}/status", self.0))?, name)? << 10)
    }
}

/// The value behind a name, as proc(5) writes it.
fn kib(text: &str, name: &str) -> anyhow::Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    value.with_context(|| format!("{name} in a file of /proc"))
}
