//! What this machine takes for one signature check and one fdatasync, now: the terms beside which figures are quoted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use envelope::keys::{AwsLc, Signer as _, SigningKey};

use crate::report::Report;

/// Both terms, measured before and after a run: the mean of the two stands beside its figures.
#[derive(Debug)]
pub struct Yardstick {
    folder: PathBuf,
    before: (f64, f64),
}

/// What stands beside the figures of one run.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Microseconds for one signature check.
    pub verify_us: f64,
    /// Microseconds for one append of 4 KiB with fdatasync.
    pub fdatasync_us: f64,
    /// Cores that this process may use.
    pub cores: f64,
}

impl Yardstick {
    /// Measures both terms, the first time; the file for the second lies in `folder` for that moment.
    ///
    /// # Errors
    /// [`verify_us`], [`fdatasync_us`].
    pub fn lay(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { folder: folder.to_owned(), before: (verify_us()?, fdatasync_us(folder)?) })
    }

    /// Measures again, after the run.
    ///
    /// # Errors
    /// [`verify_us`], [`fdatasync_us`].
    pub fn read(self) -> anyhow::Result<Terms> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let (verify, fdatasync) = (verify_us()?, fdatasync_us(&self.folder)?);
        Ok(Terms { verify_us: (self.before.0 + verify) / 2.0, fdatasync_us: (self.before.1 + fdatasync) / 2.0, cores })
    }
}

impl Terms {
    /// Adds them to a report.
    pub fn put(&self, report: &mut Report) {
        report.figure("verify_us", self.verify_us);
        report.figure("fdatasync_us", self.fdatasync_us);
        report.figure("cores", self.cores);
    }
}

/// Microseconds for one Ed25519 check of a 1 KiB message, by the rule and with the library that the gateway uses.
///
/// # Errors
/// When the system gives no random bytes.
pub fn verify_us() -> anyhow::Result<f64> {
    let (key, _) = SigningKey::generate()?;
    let message = vec![7; 1024];
    let signature = key.sign(&message)?;
    let start = Instant::now();
    for _ in 0..VERIFICATIONS {
        key.public().verify(&AwsLc, &message, &signature)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(VERIFICATIONS))
}

/// Microseconds for one append of 4 KiB and fdatasync in `folder`.
///
/// # Errors
/// When the folder cannot be written.
pub fn fdatasync_us(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("yardstick");
    let mut file = std::fs::File::create(&path)?;
    let start = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(SYNCS);
    std::fs::remove_file(path)?;
    Ok(each)
}

const VERIFICATIONS: u32 = 4000;
const SYNCS: u32 = 100;
