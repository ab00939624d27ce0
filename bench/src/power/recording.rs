//! What a disk may hold after a power cut, made from a record of all changes and syncs (`recorder.c`).
//!
//! It is harsher than most disks: a write that was not synced is there or not, sector by sector, in any order; a name is
//! there for sure only after a sync of its folder, and a folder's other changes are there up to some one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// One line of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file was made.
    Create { inode: u64, path: PathBuf },
    /// Bytes were written.
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    /// A file got another length.
    Length { inode: u64, bytes: u64 },
    /// A file was synced.
    Sync { inode: u64 },
    /// A folder was made.
    Folder { path: PathBuf },
    /// A folder was synced.
    SyncFolder { path: PathBuf },
    /// A name was removed.
    Remove { path: PathBuf },
    /// A name became another one of the same folder.
    Rename { from: PathBuf, to: PathBuf },
}

/// Reads a record. A line that was cut off with the process is left out.
pub(crate) fn read(mut log: &[u8]) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    while let Some((head, rest)) = log.split_at_checked(HEAD_BYTES) {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let (inode, number, length) = (number(1), number(9), number(17));
        let Some((bytes, rest)) = rest.split_at_checked(usize::try_from(length)?) else { break };
        let path = || PathBuf::from(OsStr::from_bytes(bytes));
        changes.push(match head[0] {
            b'C' => Change::Create { inode, path: path() },
            b'W' => Change::Write { inode, offset: number, bytes: bytes.to_vec() },
            b'T' => Change::Length { inode, bytes: number },
            b'S' => Change::Sync { inode },
            b'M' => Change::Folder { path: path() },
            b'D' => Change::SyncFolder { path: path() },
            b'U' => Change::Remove { path: path() },
            b'R' => {
                let mut both = bytes.split(|byte| *byte == 0).map(|path| PathBuf::from(OsStr::from_bytes(path)));
                let (from, to) = both.next().zip(both.next()).context("a renaming has two names")?;
                Change::Rename { from, to }
            }
            kind => anyhow::bail!("a record of the kind {kind}"),
        });
        log = rest;
    }
    Ok(changes)
}

/// A disk: what is durable, and what is only on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// The file that an inode's number stands for now.
    inodes: BTreeMap<u64, usize>,
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    /// Changes of names since their folder was synced.
    pending: Vec<Name>,
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Debug)]
enum Name {
    Folder(PathBuf),
    File(PathBuf, usize),
    Removed(PathBuf),
    Renamed(PathBuf, PathBuf),
}

impl Name {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) | Self::File(path, _) | Self::Removed(path) | Self::Renamed(_, path) => path.parent(),
        }
    }
}

impl Disk {
    /// A folder as it lies there, all of it durable.
    pub(crate) fn of(root: &Path) -> io::Result<Self> {
        let mut disk = Self::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
                if metadata.is_dir() {
                    folders.push(path);
                } else {
                    disk.inodes.insert(metadata.ino(), disk.files.len());
                    disk.names.insert(path.clone(), disk.files.len());
                    disk.files.push(File { durable: std::fs::read(&path)?, pending: Vec::new() });
                }
            }
            disk.folders.insert(folder);
        }
        Ok(disk)
    }

    /// One change, as the program saw it.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Create { inode, path } => {
                self.inodes.insert(inode, self.files.len());
                self.pending.push(Name::File(path, self.files.len()));
                self.files.push(File::default());
            }
            Change::Write { inode, offset, bytes } => self.change(inode, Pending::Bytes(offset as usize, bytes)),
            Change::Length { inode, bytes } => self.change(inode, Pending::Length(bytes as usize)),
            Change::Sync { inode } => {
                if let Some(file) = self.inodes.get(&inode).and_then(|file| self.files.get_mut(*file)) {
                    file.sync();
                }
            }
            Change::Folder { path } => self.pending.push(Name::Folder(path)),
            Change::SyncFolder { path } => {
                let (synced, pending) = std::mem::take(&mut self.pending).into_iter().partition(|name| name.folder() == Some(&path));
                self.pending = pending;
                Vec::into_iter(synced).for_each(|name| self.name(name));
            }
            Change::Remove { path } => self.pending.push(Name::Removed(path)),
            Change::Rename { from, to } => self.pending.push(Name::Renamed(from, to)),
        }
    }

    fn change(&mut self, inode: u64, pending: Pending) {
        if let Some(file) = self.inodes.get(&inode).and_then(|file| self.files.get_mut(*file)) {
            file.pending.push(pending);
        }
    }

    /// A name that has become durable.
    fn name(&mut self, name: Name) {
        match name {
            Name::Folder(path) => drop(self.folders.insert(path)),
            Name::File(path, file) => drop(self.names.insert(path, file)),
            Name::Removed(path) => drop(self.names.remove(&path)),
            Name::Renamed(from, to) => {
                if let Some(file) = self.names.remove(&from) {
                    self.names.insert(to, file);
                }
            }
        }
    }

    /// The power goes: files by their paths, and folders. `dice(n)` gives a number below `n`.
    pub(crate) fn power_cut(mut self, mut dice: impl FnMut(u64) -> u64) -> (BTreeSet<PathBuf>, BTreeMap<PathBuf, Vec<u8>>) {
        let mut of_folders: BTreeMap<PathBuf, Vec<Name>> = BTreeMap::new();
        for name in std::mem::take(&mut self.pending) {
            let folder = name.folder().map(Path::to_owned).unwrap_or_default();
            of_folders.entry(folder).or_default().push(name);
        }
        for (_, names) in of_folders {
            let kept = dice(names.len() as u64 + 1) as usize;
            names.into_iter().take(kept).for_each(|name| self.name(name));
        }
        let Self { files, names, folders, .. } = self;
        // What lies in a folder that is gone is gone with it.
        let names = names.into_iter().filter(|(path, _)| path.parent().is_some_and(|folder| folders.contains(folder)));
        let images = names.map(|(path, file)| (path, files[file].image(&mut dice))).collect();
        (folders, images)
    }
}

impl File {
    fn sync(&mut self) {
        let image = &mut self.durable;
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Length(bytes) => image.resize(bytes, 0),
                Pending::Bytes(offset, bytes) => put(image, offset, &bytes),
            }
        }
    }

    /// What is durable, and of the rest each sector or not.
    fn image(&self, dice: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
        let mut image = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Length(bytes) => {
                    if dice(2) == 1 {
                        image.resize(*bytes, 0);
                    }
                }
                Pending::Bytes(offset, bytes) => {
                    for (sector, bytes) in (0..).zip(bytes.chunks(SECTOR)) {
                        if dice(2) == 1 {
                            put(&mut image, offset + sector * SECTOR, bytes);
                        }
                    }
                }
            }
        }
        image
    }
}

fn put(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if image.len() < offset + bytes.len() {
        image.resize(offset + bytes.len(), 0);
    }
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Puts a folder in the place of the one at `root`.
pub(crate) fn write(root: &Path, folders: &BTreeSet<PathBuf>, files: &BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    std::fs::remove_dir_all(root)?;
    for folder in folders {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
    }
    for (path, bytes) in files {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        io::Write::write_all(&mut &file, bytes)?;
    }
    Ok(())
}

const HEAD_BYTES: usize = 25;
const SECTOR: usize = 512;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NONE: fn(u64) -> u64 = |_| 0;
    const ALL: fn(u64) -> u64 = |bound| bound - 1;

    fn file(name: &str) -> PathBuf {
        Path::new("/d").join(name)
    }

    /// The files after these changes and a power cut that keeps nothing, or everything, that was not synced.
    fn check(changes: &[Change], keeps_nothing: &[(&str, &[u8])], keeps_all: &[(&str, &[u8])]) {
        let mut disk = Disk { folders: BTreeSet::from([PathBuf::from("/d")]), ..Disk::default() };
        changes.iter().for_each(|change| disk.apply(change.clone()));
        for (dice, wanted) in [(NONE, keeps_nothing), (ALL, keeps_all)] {
            let (_, files) = disk.clone().power_cut(dice);
            let wanted: BTreeMap<PathBuf, Vec<u8>> = wanted.iter().map(|(name, bytes)| (file(name), bytes.to_vec())).collect();
            assert_eq!(files, wanted, "{changes:?}");
        }
    }

    #[test]
    fn only_what_was_synced_is_sure() {
        let create = |inode, name| Change::Create { inode, path: file(name) };
        let write = |inode, offset, bytes: &[u8]| Change::Write { inode, offset, bytes: bytes.to_vec() };
        let sync = |inode| Change::Sync { inode };
        let folder = || Change::SyncFolder { path: "/d".into() };
        check(&[create(1, "a"), write(1, 0, b"x")], &[], &[("a", b"x")]);
        check(&[create(1, "a"), write(1, 0, b"x"), sync(1)], &[], &[("a", b"x")]);
        check(&[create(1, "a"), write(1, 0, b"x"), folder()], &[("a", b"")], &[("a", b"x")]);
        check(&[create(1, "a"), write(1, 0, b"x"), sync(1), folder()], &[("a", b"x")], &[("a", b"x")]);
        let twice = [create(1, "a"), folder(), write(1, 0, b"xy"), sync(1), write(1, 1, b"z")];
        check(&twice, &[("a", b"xy")], &[("a", b"xz")]);
        let shorter = [create(1, "a"), folder(), write(1, 0, b"xy"), sync(1), Change::Length { inode: 1, bytes: 1 }];
        check(&shorter, &[("a", b"xy")], &[("a", b"x")]);
        let renamed = [create(1, "a"), write(1, 0, b"x"), sync(1), folder(), Change::Rename { from: file("a"), to: file("b") }];
        check(&renamed, &[("a", b"x")], &[("b", b"x")]);
        let removed = [create(1, "a"), sync(1), folder(), Change::Remove { path: file("a") }];
        check(&removed, &[("a", b"")], &[]);
        // The number of a file that is gone may be given to the next one.
        let again = [create(1, "a"), folder(), write(1, 0, b"x"), sync(1), create(1, "b"), folder(), write(1, 0, b"y")];
        check(&again, &[("a", b"x"), ("b", b"")], &[("a", b"x"), ("b", b"y")]);
        check(&[Change::Folder { path: file("e") }, create(1, "e/a"), folder()], &[], &[("e/a", b"")]);
        check(&[Change::Folder { path: file("e") }, create(1, "e/a"), Change::SyncFolder { path: file("e") }], &[], &[("e/a", b"")]);
    }

    #[test]
    fn a_record_that_was_cut_off_is_read_up_to_there() {
        let line = |kind: u8, number: u64, bytes: &[u8]| {
            [&[kind][..], &7u64.to_le_bytes(), &number.to_le_bytes(), &(bytes.len() as u64).to_le_bytes(), bytes].concat()
        };
        let log = [line(b'C', 0, b"/d/a"), line(b'W', 3, b"xyz"), line(b'R', 0, b"/d/a\0/d/b")].concat();
        let wanted = [
            Change::Create { inode: 7, path: file("a") },
            Change::Write { inode: 7, offset: 3, bytes: b"xyz".to_vec() },
            Change::Rename { from: file("a"), to: file("b") },
        ];
        assert_eq!(read(&log).unwrap(), wanted);
        assert_eq!(read(&log[..log.len() - 1]).unwrap(), wanted[..2]);
        assert!(read(&line(b'?', 0, b"")).is_err());
    }
}
