//! What this machine takes for one signature check and one fdatasync, now: the terms beside which figures are quoted.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use envelope::keys::{AwsLc, Signer as _, SigningKey};

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
