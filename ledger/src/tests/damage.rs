//! Bits that fall over, rows that are exchanged, tails that should not be there: detected, or without effect.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use envelope::time::Timestamp;
use tempfile::TempDir;
use tlog::{Checkpoint, Hash, TileId, small, verify_inclusion};
use zeroize::Zeroizing;

use super::{Kind, Stage};
use crate::payloads::Place;
use crate::rows::{Locator, Which, leaf_row, number, read_leaf_row, tile_key};
use crate::store::Table;
use crate::{Ledger, OpenError, ReadError};

/// A copy of a data folder with one bit turned.
fn copy_with_flip(from: &Path, to: &Path, file: &str, bit: u64) {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        fs::create_dir_all(to.join(&folder)).unwrap();
        for entry in fs::read_dir(from.join(&folder)).unwrap() {
            let (name, is_folder) = entry.map(|entry| (folder.join(entry.file_name()), entry.path().is_dir())).unwrap();
            if is_folder {
                folders.push(name);
                continue;
            }
            let mut bytes = fs::read(from.join(&name)).unwrap();
            if name == Path::new(file) {
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
            fs::write(to.join(name), bytes).unwrap();
        }
    }
}

/// Bits of the pages that hold anything; what lies in an empty page is never read.
fn live_bits(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).unwrap();
    let pages = bytes.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    pages.flat_map(|(page, bytes)| (0..bytes.len() as u64 * 8).map(move |bit| page as u64 * 4096 * 8 + bit)).collect()
}

/// Counts of what a flip led to.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    found: usize,
    harmless: usize,
}

impl Stage {
    /// Everything that a damaged ledger still serves is right; returns how many reads were refused.
    fn check_served(&self, ledger: &dyn Ledger) -> usize {
        let mut errors = 0;
        let hashes = self.leaf_hashes();
        let root = small::root(&hashes);
        let mut count = |is_error: bool| errors += usize::from(is_error);
        for (index, known) in self.known.iter().enumerate() {
            count(self.check_entry(ledger, index).is_err());
            match ledger.leaf_hash(index as u64) {
                Ok(hash) => assert_eq!(hash, hashes[index]),
                Err(_) => count(true),
            }
            for key in &known.lookup_keys {
                match ledger.find(key) {
                    Ok(Some(found)) => assert_eq!(found, index as u64),
                    // A miss is for the scrub to find.
                    Ok(None) => {}
                    Err(_) => count(true),
                }
            }
            if index % 16 == 0 {
                let size = hashes.len() as u64;
                match ledger.inclusion(index as u64, size) {
                    Ok(path) => verify_inclusion(&hashes[index], index as u64, size, &path, &root).unwrap(),
                    Err(_) => count(true),
                }
            }
        }
        let leaves = self.directory_leaves();
        for (index, leaf) in leaves.iter().enumerate() {
            match ledger.directory_leaves(index as u64, 0) {
                Ok(got) => assert_eq!(&got[..], std::slice::from_ref(leaf)),
                Err(_) => count(true),
            }
        }
        errors
    }

    /// A batch on a damaged store is refused, or continues the true tree.
    fn check_append(&mut self, ledger: &dyn Ledger) {
        let drafts = self.drafts(2);
        let size = self.known.len() as u64;
        let Ok(committed) = ledger.append(size, Timestamp(self.at), drafts.clone()) else { return };
        let mut hashes = self.leaf_hashes();
        hashes.extend(committed.entries.iter().map(|entry| entry.leaf.hash()));
        let checkpoint = Checkpoint::open(&committed.checkpoint, self.signers().log.key()).unwrap();
        assert_eq!(checkpoint.root, small::root(&hashes), "signed over damage");
        let added = drafts.iter().filter_map(|draft| draft.directory_leaf.clone());
        let leaves = self.directory_leaves().into_iter().chain(added);
        let hashes: Vec<Hash> = leaves.map(|leaf| tlog::leaf_hash(&leaf)).collect();
        let directory = Checkpoint::open(&committed.directory.checkpoint, self.signers().directory.key()).unwrap();
        assert_eq!((directory.size, directory.root), (hashes.len() as u64, small::root(&hashes)), "signed over damage");
    }
}

fn flip_bits(kind: Kind, file: &str, flips: usize) -> Tally {
    let mut stage = Stage::new(kind);
    let ledger = stage.create();
    // sled reads its last segment whole when it opens, so that only a log of more shows what it does with the others.
    stage.grow(&*ledger, if kind == Kind::Sled { &[200, 200, 200] } else { &[50, 30] });
    drop(ledger);
    // What was there before an opening is read another way than what came after it.
    let ledger = stage.open();
    stage.grow(&*ledger, &[1, 3, 20]);
    let (_, note) = ledger.checkpoint().unwrap();
    drop(ledger);
    let whole = TempDir::new().unwrap();
    copy_with_flip(&stage.dir(), whole.path(), "none", 0);
    drop(stage.open_at(whole.path()).expect("a copy without a flip opens"));
    let bits = live_bits(&stage.dir().join(file));
    let mut tally = Tally::default();
    for _ in 0..flips {
        let bit = bits[stage.dice.below(bits.len() as u64) as usize];
        let folder = TempDir::new().unwrap();
        copy_with_flip(&stage.dir(), folder.path(), file, bit);
        let Ok(ledger) = stage.open_at(folder.path()) else {
            tally.refused += 1;
            continue;
        };
        assert_eq!(ledger.checkpoint().unwrap(), (stage.known.len() as u64, note.clone()), "bit {bit}");
        let errors = stage.check_served(&*ledger);
        let missed = stage.known.iter().flat_map(|known| &known.lookup_keys);
        let missed = missed.filter(|key| matches!(ledger.find(key), Ok(None))).count();
        let findings = ledger.scrub(0, ledger.size()).map_or(usize::MAX, |found| found.findings.len());
        assert!(findings > 0 || errors + missed == 0, "bit {bit}: {errors} errors, {missed} lookups missed, and the scrub is content");
        if findings > 0 {
            tally.found += 1
        } else {
            tally.harmless += 1
        }
        stage.check_append(&*ledger);
    }
    eprintln!("{file}: {tally:?}");
    tally
}

#[test]
fn no_bit_of_the_database_is_served_wrong() {
    let tally = flip_bits(Kind::Redb, "ledger.redb", 300);
    assert!(tally.found > 20 && tally.refused > 0, "the flips met nothing: {tally:?}");
}

#[test]
fn no_bit_of_sleds_log_is_served_wrong() {
    let tally = flip_bits(Kind::Sled, "sled/db", 60);
    assert!(tally.refused > 0 && tally.refused + tally.found > 10, "the flips met nothing: {tally:?}");
}

#[test]
fn no_bit_of_the_keys_is_served_wrong() {
    let tally = flip_bits(Kind::Redb, "keys/00000000.keys", 40);
    assert_eq!((tally.found, tally.refused, tally.harmless), (40, 0, 0), "every key matters");
}

#[test]
fn no_bit_of_the_payloads_is_served_wrong() {
    let tally = flip_bits(Kind::Redb, "payloads/00000000.payloads", 60);
    assert_eq!((tally.found, tally.refused, tally.harmless), (60, 0, 0), "every payload matters");
}

/// Opens a memory store after a change behind the ledger's back.
fn opened_after(batches: &[usize], change: impl FnOnce(&Stage)) -> (Stage, Result<Box<dyn Ledger>, OpenError>) {
    let mut stage = Stage::new(Kind::Memory);
    let ledger = stage.create();
    stage.grow(&*ledger, batches);
    drop(ledger);
    change(&stage);
    let opened = stage.try_open();
    (stage, opened)
}

fn refused(change: impl FnOnce(&Stage)) -> String {
    let (_, opened) = opened_after(&[200, 100], change);
    let error = opened.err().expect("the store is not sound");
    std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn put(stage: &Stage, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
    stage.memory.tamper(|tables| drop(tables.entry(table).or_default().insert(key.into(), value.into())));
}

fn remove(stage: &Stage, table: Table, key: &[u8]) {
    stage.memory.tamper(|tables| drop(tables.get_mut(&table).unwrap().remove(key).unwrap()));
}

#[test]
fn a_tail_beyond_the_note_does_not_open() {
    let leaf = |stage: &Stage| leaf_row(300, &stage.known[0].leaf, &Locator::default());
    assert!(refused(|stage| put(stage, Table::Leaf, number(300), leaf(stage))).contains("301 rows of leaf"));
    assert!(refused(|stage| put(stage, Table::Opening, number(300), "x")).contains("opening"));
    assert!(refused(|stage| put(stage, Table::Sealed, number(300), "x")).contains("sealed beyond"));
    assert!(refused(|stage| put(stage, Table::Directory, number(300), "x")).contains("directory"));
    let tile = |level, index| tile_key(Which::Log, TileId { level, index });
    assert!(refused(|stage| put(stage, Table::Tile, tile(0, 2), [0; 32])).contains("tiles"));
    assert!(refused(|stage| put(stage, Table::Tile, tile(2, 0), [0; 32])).contains("level 2"));
    assert!(refused(|stage| put(stage, Table::Tile, tile(0, 1), [0; 45 * 32])).contains("root"));
    assert!(refused(|stage| stage.memory.tamper_keys(|keys| keys.resize(300 + 265, Zeroizing::new([1; 32])))).contains("keys up to 565"));
    assert!(refused(|stage| stage.memory.tamper_keys(|keys| keys.truncate(299))).contains("keys up to 299"));
    let lost = refused(|stage| stage.memory.tamper_payloads(|files| assert!(files.get_mut(&0).unwrap().pop().is_some())));
    assert!(lost.contains("payload file 0"), "{lost}");
    // The keys of one batch that was never committed are no tail.
    let (stage, opened) = opened_after(&[200, 100], |stage| {
        stage.memory.tamper_keys(|keys| keys.resize(300 + 264, Zeroizing::new([1; 32])));
        stage.memory.tamper_payloads(|files| files.get_mut(&0).unwrap().extend([1; 999]));
    });
    stage.check_all(&*opened.unwrap());
}

#[test]
fn an_older_note_does_not_open_a_newer_store() {
    let mut stage = Stage::new(Kind::Memory);
    let ledger = stage.create();
    stage.grow(&*ledger, &[200]);
    let (_, older) = ledger.checkpoint().unwrap();
    stage.grow(&*ledger, &[100]);
    drop(ledger);
    put(&stage, Table::Note, Which::Log.note_key(), older.to_vec());
    let error = stage.try_open().err().expect("a tail beyond its note");
    assert!(matches!(&error, OpenError::Mismatch { what } if what.contains("300 rows of leaf under a note of 200")), "{error:?}");
}

#[test]
fn what_is_missing_does_not_open() {
    assert!(refused(|stage| remove(stage, Table::Leaf, &number(7))).contains("299 rows of leaf"));
    assert!(refused(|stage| remove(stage, Table::Note, &Which::Directory.note_key())).contains("no directory note"));
    assert!(refused(|stage| remove(stage, Table::Tile, &tile_key(Which::Log, TileId { level: 0, index: 0 }))).contains("level 0"));
    let other = |stage: &Stage| leaf_row(299, &stage.known[298].leaf, &Locator::default());
    assert!(refused(|stage| put(stage, Table::Leaf, number(299), other(stage))).contains("leaf at 299"));
    assert!(refused(|stage| stage.memory.tamper_payloads(BTreeMap::clear)).contains("payload file 0 has 0 bytes"));
    let (_, opened) = opened_after(&[1], |stage| remove(stage, Table::Meta, b"header"));
    assert!(matches!(opened.err(), Some(OpenError::Missing(_))));
}

#[test]
fn damaged_tiles_are_in_no_tile_and_no_proof() {
    let (stage, opened) = opened_after(&[264, 264, 72], |_| {});
    let ledger = opened.unwrap();
    let hashes = stage.leaf_hashes();
    for (level, index, place) in [(0u8, 0u64, 3usize), (0, 1, 0), (0, 1, 255), (0, 2, 87), (1, 0, 0), (1, 0, 1)] {
        let turn = || {
            stage.memory.tamper(|tables| {
                let key = tile_key(Which::Log, TileId { level, index });
                tables.get_mut(&Table::Tile).unwrap().get_mut(&key).unwrap()[place * 32 + 7] ^= 4;
            });
        };
        turn();
        let mut errors = 0;
        for to in (1..=600).step_by(29).chain([4, 257, 512, 600]) {
            for from in (0..to).step_by(41).chain([0, 3.min(to - 1)]) {
                match ledger.inclusion(from, to) {
                    Ok(path) => {
                        assert_eq!(Some(path), small::path(&hashes[..to as usize], from as usize), "{level} {index} {place}: {from} {to}")
                    }
                    Err(_) => errors += 1,
                }
                match ledger.consistency(from, to) {
                    Ok(proof) => {
                        let root = |size: u64| small::root(&hashes[..size as usize]);
                        tlog::verify_consistency(from, &root(from), to, &root(to), &proof).unwrap();
                    }
                    Err(_) => errors += 1,
                }
            }
        }
        assert!(errors > 0, "the damage was met nowhere");
        for (other, width) in [(0, 256), (0, 3), (0, 4), (1, 256), (1, 1), (2, 88)] {
            let wanted: Vec<u8> = hashes[other * 256..][..width].iter().flat_map(|hash| hash.0).collect();
            match ledger.tile(TileId { level: 0, index: other as u64 }, width as u16) {
                Ok(tile) => assert_eq!(tile, wanted),
                Err(error) => assert!(matches!(error, ReadError::Corrupt { .. }), "{error:?}"),
            }
        }
        assert!(
            ledger
                .tile(
                    TileId { level, index },
                    if place == 87 {
                        88
                    } else if level == 1 {
                        2
                    } else {
                        256
                    }
                )
                .is_err()
        );
        assert_ne!(ledger.scrub(0, 600).unwrap().findings, []);
        assert!(level == 1 || !ledger.scrub(index * 256, index * 256 + 88).unwrap().findings.is_empty());
        turn();
    }
    stage.check_all(&*ledger);
}

#[test]
fn another_opening_under_the_right_key_is_not_served() {
    let (stage, opened) = opened_after(&[2], |stage| {
        let vault = crate::rows::Vault { origin: super::ORIGIN };
        let mut key = [0; 32];
        stage.memory.tamper_keys(|keys| key = *keys[0]);
        let opening = envelope::slots::Opening::decode(&stage.known[1].opening).unwrap();
        let opened = crate::rows::Opened { opening, sealed: false, lookup_keys: Vec::new() };
        let mut bytes = Vec::new();
        vault.seal_opening(0, &envelope::vault::EntryKey::from_bytes(key), &opened, &mut bytes);
        let at = Locator { place: Place { segment: 1, offset: 0 }, opening: bytes.len() as u32, sealed: 0 };
        stage.memory.tamper_payloads(|files| drop(files.insert(1, bytes)));
        put(stage, Table::Leaf, number(0), leaf_row(0, &stage.known[0].leaf, &at));
    });
    let ledger = opened.unwrap();
    assert!(matches!(ledger.read(0), Err(ReadError::Corrupt { index: 0, what: "the opening" })));
    stage.check_entry(&*ledger, 1).unwrap();
}

#[test]
fn a_row_opens_in_its_own_place_only() {
    let (stage, _) = opened_after(&[1], |_| {});
    let key = envelope::vault::EntryKey::from_bytes([3; 32]);
    let opening = envelope::slots::Opening::decode(&stage.known[0].opening).unwrap();
    let opened = crate::rows::Opened { opening, sealed: true, lookup_keys: vec![[5; 32]] };
    let (here, elsewhere) = (crate::rows::Vault { origin: "a/log" }, crate::rows::Vault { origin: "b/log" });
    let mut row = Vec::new();
    here.seal_opening(1, &key, &opened, &mut row);
    assert_eq!(here.open_opening(1, &key, &row).unwrap().lookup_keys, [[5; 32]]);
    assert!(here.open_opening(2, &key, &row).is_none() && elsewhere.open_opening(1, &key, &row).is_none());
    row.clear();
    here.seal_beside(1, &key, b"beside", &mut row);
    assert_eq!(here.open_beside(1, &key, &row).unwrap(), &b"beside"[..]);
    assert!(here.open_beside(2, &key, &row).is_none() && elsewhere.open_beside(1, &key, &row).is_none());
}

#[test]
fn exchanged_rows_are_not_served() {
    let swap = |table: Table| {
        let (stage, opened) = opened_after(&[40], |stage| {
            stage.memory.tamper(|tables| {
                let rows = tables.get_mut(&table).unwrap();
                let mut places = rows.keys().take(2).cloned().collect::<Vec<_>>().into_iter();
                let (one, other) = (places.next().unwrap(), places.next().unwrap());
                let (first, second) = (rows[&one].clone(), rows[&other].clone());
                rows.extend([(one, second), (other, first)]);
            });
        });
        let ledger = opened.unwrap();
        let errors = (0..40).filter(|index| stage.check_entry(&*ledger, *index).is_err()).count();
        let lookups = stage.known.iter().flat_map(|known| &known.lookup_keys).filter(|key| ledger.find(key).is_err()).count();
        (errors, lookups, ledger.directory_leaves(0, usize::MAX).is_err(), ledger.scrub(0, 40).unwrap().findings.is_empty())
    };
    assert_eq!(swap(Table::Leaf), (2, 0, false, false));
    assert_eq!(swap(Table::Lookup), (0, 2, false, false));
    assert_eq!(swap(Table::Directory), (0, 0, true, false));
}

#[test]
fn lost_rows_are_not_served_as_absent() {
    let (stage, opened) = opened_after(&[40], |stage| {
        let sealed = stage.known.iter().position(|known| known.sealed.is_some()).unwrap();
        let index = sealed as u64;
        let row = |tables: &BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>| tables[&Table::Leaf][&number(index)[..]].clone();
        stage.memory.tamper(|tables| {
            let (leaf, at) = read_leaf_row(index, &row(tables)).unwrap();
            let without = leaf_row(index, &leaf, &Locator { sealed: 0, ..at.unwrap() });
            tables.get_mut(&Table::Leaf).unwrap().insert(number(index).to_vec(), without);
        });
        let looked_up = stage.known.iter().find(|known| !known.lookup_keys.is_empty()).unwrap();
        remove(stage, Table::Lookup, &looked_up.lookup_keys[0]);
    });
    let ledger = opened.unwrap();
    let errors: Vec<_> = (0..40).filter_map(|index| stage.check_entry(&*ledger, index).err()).collect();
    assert!(matches!(errors[..], [ReadError::Corrupt { what: "what is sealed", .. }]), "{errors:?}");
    let findings = ledger.scrub(0, 40).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.what.contains("lookup key")), "{findings:?}");
}

#[test]
fn a_header_of_another_version_is_refused() {
    let change = |field: u8| {
        let (_, opened) = opened_after(&[1], |stage| {
            stage.memory.tamper(|tables| {
                let row = tables.get_mut(&Table::Meta).unwrap().get_mut(&b"header"[..]).unwrap();
                row[33] = field;
                let digest = tlog::sha256(&row[32..]);
                row[..32].copy_from_slice(&digest);
            });
        });
        opened.err()
    };
    assert!(change(2).is_none() && change(1).is_none(), "the byte of the version is not where the test believes");
    assert!(matches!(change(3), Some(OpenError::Version { found: 3, wanted: 2 })));
    assert!(matches!(change(0), Some(OpenError::Version { .. } | OpenError::Mismatch { .. })));
    let (_, opened) = opened_after(&[1], |stage| {
        stage.memory.tamper(|tables| tables.get_mut(&Table::Meta).unwrap().get_mut(&b"header"[..]).unwrap()[40] ^= 1);
    });
    assert!(matches!(opened.err(), Some(OpenError::Mismatch { .. })));
}

#[test]
fn a_store_of_another_engine_is_refused() {
    let (stage, opened) = opened_after(&[1], |stage| {
        let header = crate::rows::Header::new("other", &Stage::config());
        put(stage, Table::Meta, "header", header.to_row());
    });
    assert!(matches!(opened.err(), Some(OpenError::Other { what: "engine", .. })));
    drop(stage);
}

#[test]
fn a_copied_store_opens() {
    let mut stage = Stage::new(Kind::Redb);
    let ledger = stage.create();
    stage.grow(&*ledger, &[5]);
    drop(ledger);
    fs::write(stage.dir().join("lock"), "host elsewhere boot 0 process 1").unwrap();
    stage.check_all(&*stage.open());
    let lock = fs::read_to_string(stage.dir().join("lock")).unwrap();
    assert!(!lock.contains("elsewhere") && lock.contains(&format!("process {}", std::process::id())), "{lock}");
}

#[test]
fn neither_plaintext_nor_keys_are_in_the_database() {
    let mut stage = Stage::new(Kind::Redb);
    let ledger = stage.create();
    stage.grow(&*ledger, &[50, 50]);
    drop(ledger);
    let files = ["ledger.redb", "lock", "payloads/00000000.payloads"].map(|name| stage.dir().join(name));
    let image: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let has = |bytes: &[u8]| image.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(&stage.known[0].leaf.encode()), "the search finds what is there");
    assert!(!has(b"the secret value") && !has(b"the sealed value"));
    let keys = fs::read(stage.dir().join("keys/00000000.keys")).unwrap();
    assert_eq!(keys.len(), 100 * 32);
    let key_set: std::collections::BTreeSet<&[u8]> = keys.chunks(32).collect();
    assert_eq!(key_set.len(), 100, "a key is used twice");
    assert!(image.windows(32).all(|window| !key_set.contains(window)));
}

#[test]
fn a_lookup_key_beyond_the_note_finds_nothing() {
    let (_, opened) = opened_after(&[40], |stage| {
        for index in [39, 40] {
            put(stage, Table::Lookup, [index as u8; 32], crate::rows::lookup_value(&[index as u8; 32], index));
        }
    });
    let ledger = opened.unwrap();
    assert_eq!([39, 40].map(|key| ledger.find(&[key; 32]).unwrap()), [Some(39), None]);
}
