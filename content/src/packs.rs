//! Code lists as dated packs: a JSON file each, which names its source, date and licence and is replaced without a release.
//!
//! `{"name", "source", "date", "licence", "kind": "cites-taxa" | "mmsi-mid" | "locode" | "hs", "rows": [...]}`; two small ones are
//! built in. It does not know where files lie, and a list never refuses: what is not in it is unknown, not wrong.

mod compare;
mod csv;
mod taxa;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use compare::compare;
pub use taxa::{Taxa, Taxon};

/// Rows of a pack.
pub const PACK_ROWS_MAX: usize = 200_000;
/// Bytes of a pack, and of an export that one is made from.
pub const PACK_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Why something is no pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// More than is taken.
    #[error("it has {0} bytes, at most {PACK_BYTES_MAX} are taken")]
    Bytes(usize),
    /// More than is taken.
    #[error("it has {0} rows, at most {PACK_ROWS_MAX} are taken")]
    Rows(usize),
    /// Not the JSON of a pack.
    #[error("it is no pack: {0}")]
    Json(#[source] serde_json::Error),
    /// A list without its origin is not trusted.
    #[error("its {0} is empty")]
    Unsigned(&'static str),
    /// Not as 2025-02-07.
    #[error("{0:?} is no date like 2025-02-07")]
    Date(String),
    /// Not UTF-8.
    #[error("it is not UTF-8 from byte {0} on")]
    Text(usize),
    /// A quote that does not close.
    #[error("the quote that opens in line {0} does not close")]
    Quote(usize),
    /// No such column.
    #[error("no column is called {0}")]
    Column(&'static str),
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What it is called.
    pub name: String,
    /// Who published it.
    pub source: String,
    /// Of which day it is, 2025-02-07.
    pub date: String,
    /// Under which terms.
    pub licence: String,
}

/// A code and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// In the one spelling of its kind: KEMBA, 050710.
    pub code: String,
    /// What it stands for.
    #[serde(default)]
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mid {
    mid: String,
    country: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "rows")]
enum Rows {
    #[serde(rename = "cites-taxa")]
    Taxa(Vec<Taxon>),
    #[serde(rename = "mmsi-mid")]
    Mids(Vec<Mid>),
    #[serde(rename = "locode")]
    Locodes(Vec<Code>),
    #[serde(rename = "hs")]
    Hs(Vec<Code>),
}

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(flatten)]
    header: Header,
    #[serde(flatten)]
    rows: Rows,
}

/// A list of codes.
#[derive(Clone, Debug)]
pub struct Codes {
    header: Header,
    names: BTreeMap<String, String>,
}

impl Codes {
    /// Where it comes from.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What a code stands for; nothing when it is not in the list.
    #[must_use]
    pub fn name(&self, code: &str) -> Option<&str> {
        self.names.get(code).map(String::as_str)
    }
}

/// A pack of any kind.
#[derive(Clone, Debug)]
pub enum Pack {
    /// CITES taxa and their appendices.
    Taxa(Taxa),
    /// Countries of maritime identities, by their three digits.
    Mids(Codes),
    /// UN/LOCODE.
    Locodes(Codes),
    /// Harmonized System, six digits.
    Hs(Codes),
}

impl Pack {
    /// Reads a pack, at most [`PACK_BYTES_MAX`] bytes and [`PACK_ROWS_MAX`] rows.
    ///
    /// # Errors
    /// [`PackError`] says what is wrong with it.
    pub fn read(json: &[u8]) -> Result<Self, PackError> {
        if json.len() > PACK_BYTES_MAX {
            return Err(PackError::Bytes(json.len()));
        }
        let File { header, rows } = serde_json::from_slice(json).map_err(PackError::Json)?;
        let codes = |rows: Vec<Code>| codes(header.clone(), rows.into_iter().map(|row| (row.code, row.name)).collect());
        Ok(match rows {
            Rows::Taxa(rows) => Self::Taxa(Taxa::of(header, rows)?),
            Rows::Mids(rows) => Self::Mids(self::codes(header, rows.into_iter().map(|row| (row.mid, row.country)).collect())?),
            Rows::Locodes(rows) => Self::Locodes(codes(rows)?),
            Rows::Hs(rows) => Self::Hs(codes(rows)?),
        })
    }
}

fn codes(header: Header, rows: Vec<(String, String)>) -> Result<Codes, PackError> {
    vouch(&header, rows.len())?;
    Ok(Codes { header, names: rows.into_iter().collect() })
}

/// A list names its origin and is not too long.
fn vouch(header: &Header, rows: usize) -> Result<(), PackError> {
    if rows > PACK_ROWS_MAX {
        return Err(PackError::Rows(rows));
    }
    for (what, text) in [("name", &header.name), ("source", &header.source), ("licence", &header.licence)] {
        if text.trim().is_empty() {
            return Err(PackError::Unsigned(what));
        }
    }
    day(&header.date).map(|_| ())
}

/// A day as 2025-02-07, which sorts as text.
fn day(text: &str) -> Result<&str, PackError> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let formed = match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => {
            [(year, 4), (month, 2), (day, 2)].iter().all(|(part, long)| part.len() == *long && digits(part))
                && ("01"..="12").contains(&month)
                && ("01"..="31").contains(&day)
        }
        _ => false,
    };
    if formed { Ok(text) } else { Err(PackError::Date(text.to_owned())) }
}

/// The lists that a check looks into.
#[derive(Clone, Debug)]
pub struct Packs {
    taxa: Taxa,
    mids: Codes,
    locodes: Option<Codes>,
    hs: Option<Codes>,
}

impl Packs {
    /// Those that come with this version: a few CITES taxa and the countries of maritime identities.
    #[must_use]
    pub fn built_in() -> Self {
        let read = |bytes| Pack::read(bytes).expect("a test reads it");
        let (Pack::Taxa(taxa), Pack::Mids(mids)) = (read(include_bytes!("../packs/cites.json")), read(include_bytes!("../packs/mid.json")))
        else {
            unreachable!("the kinds stand in the files")
        };
        Self { taxa, mids, locodes: None, hs: None }
    }

    /// Takes a pack instead of that of its kind.
    pub fn replace(&mut self, pack: Pack) {
        match pack {
            Pack::Taxa(taxa) => self.taxa = taxa,
            Pack::Mids(mids) => self.mids = mids,
            Pack::Locodes(locodes) => self.locodes = Some(locodes),
            Pack::Hs(hs) => self.hs = Some(hs),
        }
    }

    /// CITES taxa.
    #[must_use]
    pub fn taxa(&self) -> &Taxa {
        &self.taxa
    }

    /// The country of a maritime identity (MMSI) of nine digits.
    #[must_use]
    pub fn country_of_mmsi(&self, mmsi: &str) -> Option<&str> {
        self.mids.name(crate::identifiers::mid(mmsi)?)
    }

    /// Where each list comes from.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        let codes = [Some(&self.mids), self.locodes.as_ref(), self.hs.as_ref()];
        std::iter::once(self.taxa.header()).chain(codes.into_iter().flatten().map(Codes::header))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(json: &str, why: &str) {
        let error = Pack::read(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn the_packs_that_are_built_in_name_their_origin() {
        let packs = Packs::built_in();
        assert_eq!(packs.headers().count(), 2);
        for (mmsi, country) in [("351234567", Some("PA")), ("006341234", Some("KE")), ("970123456", None), ("999999999", None), ("x", None)]
        {
            assert_eq!(packs.country_of_mmsi(mmsi), country, "{mmsi}");
        }
    }

    #[test]
    fn a_pack_replaces_the_one_of_its_kind() {
        let mut packs = Packs::built_in();
        let json = r#"{"name":"n","source":"s","date":"2026-01-01","licence":"l","kind":"mmsi-mid","rows":[{"mid":"351","country":"XX"}]}"#;
        packs.replace(Pack::read(json.as_bytes()).unwrap());
        assert_eq!((packs.country_of_mmsi("351234567"), packs.country_of_mmsi("634123456")), (Some("XX"), None));
        let json = r#"{"name":"n","source":"s","date":"2026-01-01","licence":"l","kind":"hs","rows":[{"code":"050710","name":"ivory"}]}"#;
        packs.replace(Pack::read(json.as_bytes()).unwrap());
        assert_eq!(packs.headers().count(), 3);
    }

    #[test]
    fn what_is_no_pack_is_refused() {
        let pack = |name: &str, date: &str, kind: &str, rows: &str| {
            format!(r#"{{"name":"{name}","source":"s","date":"{date}","licence":"l","kind":"{kind}","rows":[{rows}]}}"#)
        };
        check("", "it is no pack");
        check(&pack(" ", "2026-01-01", "hs", ""), "its name is empty");
        check(&pack("n", "2026-13-01", "hs", ""), "no date");
        check(&pack("n", "2026-1-1", "hs", ""), "no date");
        check(&pack("n", "2026-01-01", "birds", ""), "unknown variant");
        check(&pack("n", "2026-01-01", "hs", r#"{"codes":"1"}"#), "unknown field");
        check(&pack("n", "2026-01-01", "cites-taxa", r#"{"taxon":"x","rank":"species","appendix":"I","from":"soon"}"#), "no date");
        check(&pack("n", "2026-01-01", "hs", &vec![r#"{"code":"1"}"#; PACK_ROWS_MAX + 1].join(",")), "it has 200001 rows");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in r#"[a-zA-Z",;\n\r#]{0,100}"#) {
            drop(Pack::read(&bytes));
            drop(Taxa::from_species_plus_csv(&bytes, "2025-02-07"));
            drop(Taxa::from_species_plus_csv(format!("Full Name,Rank,Listing\n{text}").as_bytes(), "2025-02-07"));
        }
    }
}
