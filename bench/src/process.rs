//! A gateway in a process of its own, started, watched and killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use crate::memory::Memory;

/// A running gateway process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// `https://127.0.0.1:port`.
    pub url: String,
}

impl Process {
    /// Runs `program args...` and waits until it says where it serves.
    ///
    /// # Errors
    /// When it ends or says something else first.
    pub fn start(program: &Path, args: &[&str], log: &Path) -> anyhow::Result<Self> {
        Self::of(Command::new(program).args(args), log)
    }

    /// As [`Process::start`], for a command with all that belongs to it.
    ///
    /// # Errors
    /// When it ends or says something else first.
    pub fn of(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).stdin(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
        let Some(address) = line.strip_prefix("serving on ").and_then(|rest| rest.split(' ').next()) else {
            drop(child.kill());
            bail!("the gateway did not start: {line:?}, {:?}", child.wait()?);
        };
        Ok(Self { url: format!("https://{address}"), child })
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Processor time that it has used, in microseconds (user and system).
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn cpu_us(&self) -> anyhow::Result<u64> {
        cpu_us_of(self.child.id())
    }

    /// Memory that it holds now: resident, and its share of what it shares with others (PSS), in KiB.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn memory_kib(&self) -> anyhow::Result<(u64, u64)> {
        Memory::of(self.child.id()).resident_and_share_kib()
    }

    /// Whether its writer waits in a system call that syncs a file, at this moment: then a kill falls inside a commit.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        tasks.into_iter().flatten().flatten().any(|task| {
            let writer = std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "writer");
            writer
                && std::fs::read_to_string(task.path().join("syscall"))
                    .is_ok_and(|call| SYNC_CALLS.iter().any(|number| call.starts_with(number)))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processor time that this process has used, in microseconds.
///
/// # Errors
/// When /proc cannot be read.
pub fn own_cpu_us() -> anyhow::Result<u64> {
    cpu_us_of(std::process::id())
}

fn cpu_us_of(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("a stat line")?.split(' ').collect();
    let ticks: u64 = fields.get(11..13).context("utime and stime")?.iter().map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    // USER_HZ is 100 on every Linux that we know.
    Ok(ticks * 10_000)
}

/// fsync and fdatasync by number.
#[cfg(target_arch = "x86_64")]
const SYNC_CALLS: [&str; 2] = ["74 ", "75 "];
/// fsync and fdatasync by number.
#[cfg(not(target_arch = "x86_64"))]
const SYNC_CALLS: [&str; 2] = ["82 ", "83 "];
