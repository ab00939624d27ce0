//! The last act: one byte of a copy of the store is flipped, and the check names the entry.

use std::path::Path;

use anyhow::{Context as _, ensure};
use gateway::Config;

use crate::narrator::Narrator;
use crate::network::Folder;

/// Copies the stopped store, flips a byte inside the stored opening of entry `index` in the copy, and checks the copy.
///
/// # Errors
/// When the check does not name the entry.
pub(crate) fn flip_a_byte(folder: &Folder, index: u64, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("Somebody changes one byte in a copy of the gateway's store");
    let config = folder.config()?;
    let checked = gateway::check(&config)?;
    ensure!(checked.damage.is_empty(), "the store itself does not verify: {:?}", checked.damage);
    tell.timed(&format!("the store as it is: {} entries, everything verifies", checked.size));
    let needle = gateway::gateway::opening_at_rest(&config, index)?;
    let copy = folder.path().join("data-with-a-flipped-byte");
    copy_folder(&config.data, &copy)?;
    let at = flip(&copy.join("payloads/00000000.payloads"), &needle)?;
    let damaged = gateway::check(&Config { data: copy, ..config });
    let named = match &damaged {
        Ok(checked) => checked.damage.iter().any(|damage| damage.index == Some(index)),
        Err(error) => error.to_string().contains(&index.to_string()),
    };
    ensure!(named, "the check does not name entry {index}: {damaged:?}");
    let found =
        damaged.iter().flat_map(|checked| &checked.damage).find(|damage| damage.index == Some(index)).map(|damage| damage.text.clone());
    tell.timed(&format!(
        "byte {at} flipped inside the opening of entry {index}; the check says: entry {index}: {}",
        found.unwrap_or_default()
    ));
    Ok(())
}

fn flip(file: &Path, needle: &[u8]) -> anyhow::Result<usize> {
    let mut bytes = std::fs::read(file)?;
    let at = bytes.windows(needle.len()).position(|window| window == needle).context("the opening is not in the store's file")?;
    let middle = at + needle.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes)?;
    Ok(middle)
}

/// Copies a folder anew; what an earlier run left there goes.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
