//! Doors to the readers of rows, for the crate `parsers`: it calls them with anything, as a damaged disk would.
//!
//! A feature of its own; nothing that is shipped is built with it.

use envelope::slots::{Leaf, LeafClass, Opening};
use envelope::time::Timestamp;
use envelope::vault::EntryKey;

use crate::Config;
use crate::keyfile::{KeyFiles, Keys as _};
use crate::payloads::Place;
use crate::rows::{self, Header, Locator, Opened, Vault};
use crate::snapshots::{self, SnapshotRows, Span};

/// Reads a row; its first byte says of which table. Whether it was sound. What is sound writes itself again.
///
/// # Panics
/// When a row that is read writes another.
#[must_use]
pub fn read(bytes: &[u8]) -> bool {
    let Some((table, row)) = bytes.split_first() else { return false };
    match table % 6 {
        0 => {
            let Some((key, value)) = row.split_first_chunk::<32>() else { return false };
            let Some(index) = rows::lookup_index(key, value) else { return false };
            assert_eq!(rows::lookup_value(key, index), value);
            true
        }
        1 => {
            let Some((leaf, at)) = rows::read_leaf_row(7, row) else { return false };
            assert_eq!(at.map_or_else(|| leaf.encode().to_vec(), |at| rows::leaf_row(7, &leaf, &at)), row);
            true
        }
        2 => {
            let (key, value) = row.split_at(row.len() / 2);
            let Some(name) = rows::evidence_name(key, value) else { return false };
            assert_eq!(rows::evidence_key(&name, value), key);
            true
        }
        3 => Header::check(row, &Header::new("redb", &config())).is_ok(),
        4 => opening(row),
        _ => keys(row),
    }
}

/// A row that opens under its key, with any content.
fn opening(plain: &[u8]) -> bool {
    let (vault, key) = (Vault { origin: ORIGIN }, EntryKey::from_bytes([7; 32]));
    let sealed = vault.seal_plain(3, &key, plain);
    assert!(vault.open_opening(4, &key, &sealed).is_none(), "a row opens at another place");
    let Some(opened) = vault.open_opening(3, &key, &sealed) else { return false };
    let mut written = Vec::new();
    vault.seal_opening(3, &key, &opened, &mut written);
    let again = vault.open_opening(3, &key, &written).expect("a row that was read");
    assert_eq!((again.opening.encode(), again.sealed, again.lookup_keys), (opened.opening.encode(), opened.sealed, opened.lookup_keys));
    true
}

/// A folder with one key file of any content.
fn keys(bytes: &[u8]) -> bool {
    let folder = std::env::temp_dir().join(format!("ecowire-parsers-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("00000000.keys"), bytes).expect("a file");
    let files = KeyFiles::open(folder.clone());
    let extent = files.extent();
    let whole = bytes.len() as u64 / 32;
    assert!(extent.as_ref().is_ok_and(|extent| *extent == whole) || bytes.len() as u64 > rows_bytes_max(), "{extent:?}");
    for index in [0, whole.saturating_sub(1), whole] {
        let key = files.read(index);
        assert_eq!(key.is_ok(), index < whole, "key {index} of {whole}");
    }
    let _ = std::fs::remove_dir_all(&folder);
    whole > 0
}

fn rows_bytes_max() -> u64 {
    crate::keyfile::SEGMENT_KEYS * 32
}

/// A row of each table, and one for each of the openings given.
///
/// # Panics
/// When an opening is none.
#[must_use]
pub fn seeds(openings: &[&[u8]]) -> Vec<Vec<u8>> {
    let row = |table: u8, parts: &[&[u8]]| [&[table][..], &parts.concat()].concat();
    let key = [9; 32];
    let name = rows::evidence_key("a-note", &[5; 38]);
    let mut seeds = vec![
        row(0, &[&key, &rows::lookup_value(&key, 7)]),
        row(1, &[&rows::leaf_row(7, &leaf(), &Locator { place: Place { segment: 1, offset: 2 }, opening: 3, sealed: 4 })]),
        row(1, &[&leaf().encode()]),
        row(2, &[&name, &[5; 38]]),
        row(3, &[&Header::new("redb", &config()).to_row()]),
        row(5, &[&[1; 64]]),
        row(5, &[&[0; 40]]),
    ];
    for bytes in openings {
        let opened = Opened { opening: Opening::decode(bytes).expect("an opening"), sealed: true, lookup_keys: vec![key, [8; 32]] };
        seeds.push(row(4, &[&Vault::plain(&opened)]));
    }
    seeds
}

/// The rows of a part of a snapshot; `None` when it is not what was written for that span.
#[must_use]
pub fn read_part(from: u64, to: u64, bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    snapshots::read_part(Span { from, to }, bytes)
}

/// A part of a snapshot as it is kept.
#[must_use]
pub fn part(from: u64, to: u64, rows: &SnapshotRows) -> Vec<u8> {
    snapshots::part(Span { from, to }, rows)
}

fn leaf() -> Leaf {
    Leaf { class: LeafClass::Message, at: Timestamp(7), body: tlog::empty_root() }
}

fn config() -> Config {
    Config {
        origin: ORIGIN.to_owned(),
        directory_origin: "ecowire.test/directory/0a0b0c0d".to_owned(),
        genesis_sha256: [3; 32],
        created_by: "parsers".to_owned(),
    }
}

const ORIGIN: &str = "ecowire.test/log/0/0a0b0c0d";
