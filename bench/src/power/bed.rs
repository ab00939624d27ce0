//! Where a gateway's data lies while its power is cut: a real file system on a loop device, or a record of what was written.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::recording::{self, Disk};

/// How the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An ext4 on a loop device is shut down while it works (EXT4_IOC_SHUTDOWN).
    Mounted,
    /// All writes and syncs are recorded; what was not synced is there or not, sector by sector, after the process is killed.
    Recorded,
}

impl Way {
    /// Its name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mounted => "ext4",
            Self::Recorded => "recorded",
        }
    }

    /// [`Way::Mounted`] where a file system may be mounted, and why not where it may not.
    ///
    /// # Errors
    /// What the system said when it was tried.
    pub fn mounted() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut bed = Bed::new(Way::Mounted, folder.path(), false)?;
        bed.fresh()?;
        bed.cut(0)?;
        bed.power_on(0)?;
        Ok(Way::Mounted)
    }
}

/// A file system that can lose its power.
pub(crate) struct Bed {
    way: Way,
    folder: PathBuf,
    /// Whether the ledger's own syncs of sled are left out.
    unsynced: bool,
    /// What was durable when the record begins.
    begin: Disk,
    is_mounted: bool,
}

impl Bed {
    /// In `folder`, which must be on a file system of this machine and empty.
    pub(crate) fn new(way: Way, folder: &Path, unsynced: bool) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let bed = Self { way, folder, unsynced, begin: Disk::default(), is_mounted: false };
        fs::create_dir(bed.disk())?;
        compile(include_str!("recorder.c"), &bed.folder.join("recorder.so"), &["-shared", "-fPIC", "-ldl", "-lpthread"])?;
        compile(include_str!("cut.c"), &bed.folder.join("cut"), &[])?;
        Ok(bed)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// The gateway's data folder on it.
    pub(crate) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// What a process must be told so that its power can be cut.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = Vec::new();
        if self.way == Way::Recorded {
            environment.push(("ECOWIRE_POWER_LOG", self.folder.join("log").into()));
            environment.push(("ECOWIRE_POWER_ROOT", self.disk().into()));
        }
        if self.unsynced {
            environment.push(("ECOWIRE_POWER_UNSYNCED", self.disk().into()));
        }
        if !environment.is_empty() {
            environment.push(("LD_PRELOAD", self.folder.join("recorder.so").into()));
        }
        environment
    }

    /// An empty file system.
    pub(crate) fn fresh(&mut self) -> anyhow::Result<()> {
        match self.way {
            Way::Mounted => {
                self.unmount()?;
                let image = self.folder.join("image");
                fs::File::create(&image)?.set_len(IMAGE_BYTES)?;
                run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
                self.mount()
            }
            Way::Recorded => {
                fs::remove_dir_all(self.disk())?;
                fs::create_dir(self.disk())?;
                self.record()
            }
        }
    }

    /// The power goes. What the gateway does from now on is lost; kill it before [`Bed::power_on`].
    pub(crate) fn cut(&self, round: usize) -> anyhow::Result<()> {
        match self.way {
            // One time the journal is written first, the next time it is not.
            Way::Mounted => run(Command::new(self.folder.join("cut")).arg(self.disk()).arg(["2", "1"][round % 2])),
            Way::Recorded => Ok(()),
        }
    }

    /// The power is back.
    pub(crate) fn power_on(&mut self, round: usize) -> anyhow::Result<()> {
        match self.way {
            Way::Mounted => {
                self.unmount()?;
                self.mount()
            }
            Way::Recorded => {
                let mut disk = std::mem::take(&mut self.begin);
                recording::read(&fs::read(self.folder.join("log"))?)?.into_iter().for_each(|change| disk.apply(change));
                let (folders, files) = disk.power_cut(dice(round as u64));
                recording::write(&self.disk(), &folders, &files)?;
                Ok(())
            }
        }
    }

    /// What lies there now is durable, and the record begins.
    pub(crate) fn record(&mut self) -> anyhow::Result<()> {
        if self.way == Way::Recorded {
            self.begin = Disk::of(&self.disk())?;
            fs::write(self.folder.join("log"), [])?;
        }
        Ok(())
    }

    fn mount(&mut self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.folder.join("image")).arg(self.disk()))?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.is_mounted) {
            run(Command::new("umount").arg(self.disk()))?;
        }
        Ok(())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("{} stays mounted: {error:#}", self.disk().display());
        }
    }
}

/// Numbers that look random and are the same in each run.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound.max(1)
    }
}

fn compile(text: &str, to: &Path, options: &[&str]) -> anyhow::Result<()> {
    let source = to.with_extension("c");
    fs::write(&source, text)?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    run(Command::new(&compiler).args(["-O2", "-o"]).arg(to).arg(&source).args(options))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Room for a few thousand messages; the file is sparse.
const IMAGE_BYTES: u64 = 512 << 20;
