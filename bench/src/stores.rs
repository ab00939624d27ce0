//! What an engine costs: appends by size of batch, bytes on the disk, opening again, memory. One engine a process, so that the
//! peak of memory is its own.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use envelope::Timestamp;
use envelope::draft::Draft;
use envelope::keys::random;
use envelope::slots::Slots;
use ledger::{Config, Engine, Ledger, Signers};
use proto::v1::EntryKind;
use tlog::Ed25519Signer;

use crate::yardstick::fdatasync_us;

/// Measures an engine with `entries` entries of 1 KiB, in `folder`.
///
/// # Errors
/// Whatever the ledger or the system says.
pub fn measure(engine: &Engine, entries: u64, folder: &Path) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let (data, copy) = (folder.join("data"), folder.join("copy"));
    let ledger = ledger::create(engine.clone(), &data, &config(), signers()?)?;
    let mut figures = vec![("fdatasync_us", fdatasync_us(folder)?)];
    for (name, batch, batches) in
        [("append_1_us", 1, 200), ("append_16_us", 16, 200), ("append_64_us", 64, 100), ("append_256_us", 256, 50)]
    {
        figures.push((name, append(&*ledger, batch, batches)?));
    }
    while ledger.size() < entries {
        append(&*ledger, 256, 1)?;
    }
    // As after the end of the process: nothing has been put in order.
    copy_folder(&data, &copy)?;
    let logical = ledger.size() * ENTRY_BYTES as u64;
    figures.push(("entries", ledger.size() as f64));
    figures.push(("disk_bytes_per_logical_byte", bytes_in(&data)? as f64 / logical as f64));
    figures.push(("memory_peak_mib", memory_peak_mib()?));
    ledger.close();
    drop(ledger);
    for (name, folder) in [("reopen_s", &data), ("reopen_after_kill_s", &copy)] {
        let began = Instant::now();
        let ledger = ledger::open(engine.clone(), folder, &config(), signers()?)?;
        figures.push((name, began.elapsed().as_secs_f64()));
        ledger.close();
    }
    Ok(figures)
}

/// Microseconds that one batch took, of as many.
fn append(ledger: &dyn Ledger, batch: usize, batches: u32) -> anyhow::Result<f64> {
    let mut took = 0.0;
    for _ in 0..batches {
        let drafts = (0..batch).map(|_| draft()).collect::<anyhow::Result<Vec<_>>>()?;
        let began = Instant::now();
        ledger.append(ledger.size(), Timestamp(1_000), drafts)?;
        took += began.elapsed().as_secs_f64();
    }
    Ok(took * 1e6 / f64::from(batches))
}

fn draft() -> anyhow::Result<Draft> {
    let slots = Slots::new(EntryKind::Message).with(1, Bytes::from(vec![7; HEADER_BYTES])).with_each(7, [Bytes::from_static(b"to")]);
    let mut draft = Draft::new(EntryKind::Message, slots);
    draft.sealed = Some(vec![7; ENTRY_BYTES - HEADER_BYTES].into());
    draft.lookup_keys = vec![random::<32>()?];
    Ok(draft)
}

fn config() -> Config {
    Config {
        origin: LOG.to_owned(),
        directory_origin: DIRECTORY.to_owned(),
        genesis_sha256: [7; 32],
        created_by: concat!("ecowire-bench ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

fn signers() -> anyhow::Result<Signers> {
    let signer = |name| Ed25519Signer::from_seed(name, &[7; 32]).map(Box::new);
    Ok(Signers { log: signer(LOG)?, directory: signer(DIRECTORY)? })
}

/// Bytes that the files of a folder take on the disk: sled's log has holes.
fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_in(&entry.path())? } else { entry.metadata()?.blocks() * 512 };
    }
    Ok(bytes)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn memory_peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

const LOG: &str = "bench.test/log/0/01020304";
const DIRECTORY: &str = "bench.test/directory/01020304";
/// A message of 1 KiB: its header, and what is sealed.
const ENTRY_BYTES: usize = 1024;
const HEADER_BYTES: usize = 256;
