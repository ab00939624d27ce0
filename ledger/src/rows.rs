//! How rows are written: keys that sort by number, the header, the opening with what belongs to it.
//!
//! It does not know in which engine they end.

use bytes::Bytes;
use envelope::slots::{LEAF_BYTES, Leaf, Opening};
use envelope::vault::EntryKey;
use prost::Message as _;
use tlog::{HASH_BYTES, TileId, sha256, sha256_parts};
use zeroize::Zeroizing;

use crate::Config;
use crate::error::OpenError;
use crate::payloads::Place;
use crate::store::Table;

/// Which tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Which {
    /// Of the entries.
    Log = 0,
    /// Of the directory's statements.
    Directory = 1,
}

impl Which {
    /// The key of its newest note.
    pub(crate) fn note_key(self) -> [u8; 1] {
        [self as u8]
    }

    /// Its name in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Log => "log",
            Which::Directory => "directory",
        }
    }
}

/// Numbers as keys: big-endian, so that they sort.
pub(crate) fn number(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// `u8 tree | u8 level | u64be index`.
pub(crate) fn tile_key(which: Which, id: TileId) -> Vec<u8> {
    [&[which as u8, id.level], id.index.to_be_bytes().as_slice()].concat()
}

/// `u64be index | 8 bytes check`: a damaged row must not name another entry.
pub(crate) fn lookup_value(key: &[u8; 32], index: u64) -> Vec<u8> {
    let index = index.to_be_bytes();
    let check = sha256_parts(&[b"ecowire ledger lookup\0", key, &index]);
    [index.as_slice(), &check[..8]].concat()
}

/// The index in a lookup row; `None` when the row is damaged.
pub(crate) fn lookup_index(key: &[u8; 32], value: &[u8]) -> Option<u64> {
    let index = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    (lookup_value(key, index) == value).then_some(index)
}

/// Where the payload of an entry lies, and how long its parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locator {
    pub(crate) place: Place,
    pub(crate) opening: u32,
    /// 0 when nothing is sealed beside the opening.
    pub(crate) sealed: u32,
}

impl Locator {
    /// Bytes of both parts.
    pub(crate) fn length(&self) -> usize {
        self.opening as usize + self.sealed as usize
    }
}

/// `44 bytes leaf | u32be segment | u32be offset | u32be opening length | u32be sealed length | 8 bytes check`: a damaged
/// row must not lead a batch over payloads that are there.
pub(crate) fn leaf_row(index: u64, leaf: &Leaf, at: &Locator) -> Vec<u8> {
    let mut row = Vec::with_capacity(LEAF_ROW_BYTES);
    row.extend_from_slice(&leaf.encode());
    for number in [at.place.segment, at.place.offset, at.opening, at.sealed] {
        row.extend_from_slice(&number.to_be_bytes());
    }
    let check = sha256_parts(&[b"ecowire ledger leaf\0", &index.to_be_bytes(), &row]);
    row.extend_from_slice(&check[..8]);
    row
}

/// The leaf of a row, and where its payload lies; `None` when the row is damaged. Stores of format 1 have the leaf alone,
/// and the payload in tables.
pub(crate) fn read_leaf_row(index: u64, row: &[u8]) -> Option<(Leaf, Option<Locator>)> {
    let (leaf, rest) = row.split_at_checked(LEAF_BYTES)?;
    let leaf = Leaf::decode(leaf).ok()?;
    if rest.is_empty() {
        return Some((leaf, None));
    }
    let number = |at: usize| Some(u32::from_be_bytes(rest.get(at * 4..at * 4 + 4)?.try_into().ok()?));
    let place = Place { segment: number(0)?, offset: number(1)? };
    let at = Locator { place, opening: number(2)?, sealed: number(3)? };
    (leaf_row(index, &leaf, &at) == row).then_some((leaf, Some(at)))
}

/// `32 bytes digest | name`: other bytes under the same name are another row.
pub(crate) fn evidence_key(name: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u64::try_from(name.len()).expect("a length fits 64 bits").to_be_bytes();
    let digest = sha256_parts(&[b"ecowire ledger evidence\0", &length, name.as_bytes(), bytes]);
    [digest.as_slice(), name.as_bytes()].concat()
}

/// The name of a sound piece of evidence.
pub(crate) fn evidence_name(key: &[u8], bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(key.get(HASH_BYTES..)?).ok()?;
    (evidence_key(name, bytes) == key).then(|| name.to_owned())
}

/// An opening and what belongs to it, as one plaintext.
#[derive(Clone, PartialEq, prost::Message)]
struct OpeningRow {
    #[prost(bytes = "bytes", tag = "1")]
    opening: Bytes,
    /// Whether there is a sealed row; a lost one must not look like none.
    #[prost(bool, tag = "2")]
    sealed: bool,
    /// The lookup keys that lead here, so that their table can be checked and made again.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    lookup_keys: Vec<Bytes>,
}

/// What the opening's row of an entry says.
pub(crate) struct Opened {
    pub(crate) opening: Opening,
    pub(crate) sealed: bool,
    pub(crate) lookup_keys: Vec<[u8; 32]>,
}

/// Encrypts the rows of entries of one log.
pub(crate) struct Vault<'a> {
    pub(crate) origin: &'a str,
}

impl Vault<'_> {
    /// Appends the opening's bytes at rest.
    pub(crate) fn seal_opening(&self, index: u64, key: &EntryKey, opened: &Opened, out: &mut Vec<u8>) {
        key.seal_onto(SLOT_OPENING, &self.place(index, Table::Opening), &Self::plain(opened), out);
    }

    /// The opening and what belongs to it, before they are encrypted.
    pub(crate) fn plain(opened: &Opened) -> Zeroizing<Vec<u8>> {
        let lookup_keys = opened.lookup_keys.iter().map(|key| Bytes::copy_from_slice(key)).collect();
        let opening = Bytes::from(opened.opening.encode());
        Zeroizing::new(OpeningRow { opening, sealed: opened.sealed, lookup_keys }.encode_to_vec())
    }

    /// Encrypts what [`Vault::plain`] made, or anything in its place.
    #[cfg(feature = "doors")]
    pub(crate) fn seal_plain(&self, index: u64, key: &EntryKey, plain: &[u8]) -> Vec<u8> {
        key.seal(SLOT_OPENING, &self.place(index, Table::Opening), plain)
    }

    /// Reads the opening's row; `None` when it is damaged.
    pub(crate) fn open_opening(&self, index: u64, key: &EntryKey, row: &[u8]) -> Option<Opened> {
        let plain = key.open(SLOT_OPENING, &self.place(index, Table::Opening), row).ok()?;
        let row = OpeningRow::decode(Zeroizing::new(plain).as_slice()).ok()?;
        let opening = Opening::decode(&row.opening).ok()?;
        let lookup_keys = row.lookup_keys.iter().map(|key| key.as_ref().try_into().ok());
        Some(Opened { opening, sealed: row.sealed, lookup_keys: lookup_keys.collect::<Option<_>>()? })
    }

    /// Appends the bytes at rest of what is sealed.
    pub(crate) fn seal_beside(&self, index: u64, key: &EntryKey, bytes: &[u8], out: &mut Vec<u8>) {
        key.seal_onto(SLOT_SEALED, &self.place(index, Table::Sealed), bytes, out);
    }

    /// Reads the sealed row; `None` when it is damaged.
    pub(crate) fn open_beside(&self, index: u64, key: &EntryKey, row: &[u8]) -> Option<Bytes> {
        key.open(SLOT_SEALED, &self.place(index, Table::Sealed), row).ok().map(Bytes::from)
    }

    /// Binds a row to its log, entry and table, so that rows cannot be exchanged.
    fn place(&self, index: u64, table: Table) -> Vec<u8> {
        [self.origin.as_bytes(), b"\0", &index.to_be_bytes(), b"\0", table.name().as_bytes()].concat()
    }
}

/// What a store is of.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Header {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(string, tag = "2")]
    engine: String,
    #[prost(string, tag = "3")]
    origin: String,
    #[prost(string, tag = "4")]
    directory_origin: String,
    #[prost(bytes = "vec", tag = "5")]
    genesis_sha256: Vec<u8>,
    #[prost(string, tag = "6")]
    created_by: String,
}

impl Header {
    pub(crate) fn new(engine: &str, config: &Config) -> Self {
        Self {
            format: FORMAT,
            engine: engine.to_owned(),
            origin: config.origin.clone(),
            directory_origin: config.directory_origin.clone(),
            genesis_sha256: config.genesis_sha256.to_vec(),
            created_by: config.created_by.clone(),
        }
    }

    /// `32 bytes digest | protobuf`.
    pub(crate) fn to_row(&self) -> Vec<u8> {
        let bytes = self.encode_to_vec();
        [sha256(&bytes).as_slice(), &bytes].concat()
    }

    /// Reads a header and compares it with what this program was configured for; gives the format.
    pub(crate) fn check(row: &[u8], wanted: &Header) -> Result<u32, OpenError> {
        let damaged = || OpenError::Mismatch { what: "the header is damaged".to_owned() };
        let (digest, bytes) = row.split_at_checked(HASH_BYTES).ok_or_else(damaged)?;
        if sha256(bytes) != digest {
            return Err(damaged());
        }
        let found = Header::decode(bytes).map_err(|_| damaged())?;
        if !(FORMAT_MIN..=FORMAT).contains(&found.format) {
            return Err(OpenError::Version { found: found.format, wanted: FORMAT });
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let fields = [
            ("engine", found.engine, wanted.engine.clone()),
            ("origin", found.origin, wanted.origin.clone()),
            ("directory origin", found.directory_origin, wanted.directory_origin.clone()),
            ("genesis digest", hex(&found.genesis_sha256), hex(&wanted.genesis_sha256)),
        ];
        match fields.into_iter().find(|(_, found, wanted)| found != wanted) {
            Some((what, found, wanted)) => Err(OpenError::Other { what, found, wanted }),
            None => Ok(found.format),
        }
    }
}

/// The key of the header.
pub(crate) const HEADER_KEY: &[u8] = b"header";
/// The version of tables and rows that this program writes.
pub(crate) const FORMAT: u32 = 2;
/// The oldest version that it reads: payloads in tables, not in files. The first batch makes it [`FORMAT`].
pub(crate) const FORMAT_MIN: u32 = 1;
const LEAF_ROW_BYTES: usize = LEAF_BYTES + 24;
/// Numbers of the two uses of an entry's key.
const SLOT_OPENING: u8 = 0;
const SLOT_SEALED: u8 = 1;
