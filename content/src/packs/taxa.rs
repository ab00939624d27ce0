//! CITES taxa: which appendix a name stood in on a day, most specific rank first.
//!
//! It knows names as lists write them, no synonyms, common names or families of a genus: an unknown name has no appendix here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{File, Header, PACK_BYTES_MAX, PackError, Rows, csv, day, vouch};

/// A name in an appendix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taxon {
    /// Scientific name; of a genus or family without `spp.`.
    pub taxon: String,
    /// kingdom, phylum, class, order, family, genus, species, subspecies.
    pub rank: String,
    /// I, II, III, or more of them where a list does not say which population stands in which: I/II.
    pub appendix: String,
    /// Countries of the populations that this is about, ISO 3166-1 alpha-2; empty: of all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// Countries that asked for it, in appendix III.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<String>,
    /// First day.
    pub from: String,
    /// Last day; empty: still.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
}

impl Taxon {
    fn holds(&self, day: &str) -> bool {
        self.from.as_str() <= day && (self.to.is_empty() || day <= self.to.as_str())
    }
}

/// The names of a pack.
#[derive(Clone, Debug)]
pub struct Taxa {
    header: Header,
    rows: BTreeMap<String, Vec<Taxon>>,
}

impl Taxa {
    pub(super) fn of(header: Header, rows: Vec<Taxon>) -> Result<Self, PackError> {
        vouch(&header, rows.len())?;
        let mut by_name: BTreeMap<String, Vec<Taxon>> = BTreeMap::new();
        for row in rows {
            day(&row.from)?;
            if !row.to.is_empty() {
                day(&row.to)?;
            }
            by_name.entry(key(&row.taxon)).or_default().push(row);
        }
        Ok(Self { header, rows: by_name })
    }

    /// Reads the CSV of the CITES listings that Species+ exports: at most [`PACK_BYTES_MAX`] bytes, with commas or semicolons.
    ///
    /// Columns are found by their names, whatever their order: `Scientific Name` or `Full Name`, `Rank`, `Listing`, and `Party` where
    /// there is one. The export says what holds on the day it was made, not since when: `valid_from` is the first day that its
    /// reader takes it for, the day from which the appendices of the export are valid. Where populations stand in several
    /// appendices, it says `I/II` and tells them apart in a note; both are taken. Names that are not listed (`NC`) are left out.
    ///
    /// # Errors
    /// [`PackError`] when it is no such table, or `valid_from` no day.
    pub fn from_species_plus_csv(bytes: &[u8], valid_from: &str) -> Result<Self, PackError> {
        if bytes.len() > PACK_BYTES_MAX {
            return Err(PackError::Bytes(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| PackError::Text(error.valid_up_to()))?;
        let mut table = csv::rows(text)?.into_iter();
        let names: Vec<String> = table.next().unwrap_or_default().iter().map(|name| plain(name)).collect();
        let column = |called: &[&str]| names.iter().position(|name| called.contains(&name.as_str()));
        let taxon = column(&["scientificname", "fullname"]).ok_or(PackError::Column("Scientific Name"))?;
        let rank = column(&["rank", "rankname"]).ok_or(PackError::Column("Rank"))?;
        let listing = column(&["listing", "currentlisting", "citeslisting"]).ok_or(PackError::Column("Listing"))?;
        let party = column(&["party", "partyisocode"]);
        let mut rows = Vec::new();
        for line in table {
            let cell = |at: usize| line.get(at).map_or("", |cell| cell.trim());
            let appendix = cell(listing).to_uppercase();
            let listed = !appendix.is_empty() && appendix.split('/').all(|one| ["I", "II", "III"].contains(&one));
            if !listed || cell(taxon).is_empty() {
                continue;
            }
            let parties = party.map(cell).unwrap_or_default().split([',', ';', '\n', ' ']).map(str::trim);
            rows.push(Taxon {
                taxon: cell(taxon).to_owned(),
                rank: cell(rank).to_lowercase(),
                appendix,
                countries: Vec::new(),
                parties: parties.filter(|one| !one.is_empty()).map(str::to_owned).collect(),
                from: valid_from.to_owned(),
                to: String::new(),
            });
        }
        let header = Header {
            name: "CITES listings".to_owned(),
            source: "Species+, UNEP-WCMC and the CITES Secretariat (speciesplus.net), export of CITES listings".to_owned(),
            date: valid_from.to_owned(),
            licence: "terms of use of Species+".to_owned(),
        };
        Self::of(header, rows)
    }

    /// Where it comes from.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// As the JSON of a pack, for a file that [`super::Pack::read`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = File { header: self.header.clone(), rows: Rows::Taxa(self.rows.values().flatten().cloned().collect()) };
        serde_json::to_string(&file).unwrap_or_default()
    }

    /// The appendix of a name on a day (2026-11-24, or a time that begins so), for the population of a country; an empty country
    /// is that of none. The most specific rank that is listed says it: subspecies, species, genus; among its rows that of the
    /// country, and the latest.
    #[must_use]
    pub fn appendix(&self, taxon: &str, country: &str, date: &str) -> Option<&str> {
        let rows = self.listed(taxon, date);
        let of = |own: bool| {
            let rows =
                rows.iter().filter(move |row| if own { row.countries.iter().any(|one| one == country) } else { row.countries.is_empty() });
            rows.max_by(|one, other| one.from.cmp(&other.from)).map(|row| row.appendix.as_str())
        };
        of(true).or_else(|| of(false))
    }

    /// Every appendix that some population of the name stood in on a day.
    pub(super) fn appendices(&self, taxon: &str, date: &str) -> Vec<&str> {
        self.listed(taxon, date).iter().flat_map(|row| row.appendix.split('/')).collect()
    }

    /// The rows of the most specific rank that has any on that day for every population; before them, those of narrower ranks for
    /// some: they leave the others to their species.
    fn listed(&self, taxon: &str, date: &str) -> Vec<&Taxon> {
        let Some(day) = date.get(..10).and_then(|date| day(date).ok()) else { return Vec::new() };
        let name = key(taxon);
        let words: Vec<&str> = name.split(' ').take(NAME_WORDS_MAX).collect();
        let mut found = Vec::new();
        for long in (1..=words.len()).rev() {
            let rows = self.rows.get(&words[..long].join(" ")).into_iter().flatten();
            found.extend(rows.filter(|row| row.holds(day)));
            if found.iter().any(|row: &&Taxon| row.countries.is_empty()) {
                break;
            }
        }
        found
    }
}

/// Words of a scientific name: genus, species, subspecies, and one to spare.
const NAME_WORDS_MAX: usize = 4;

/// A name in one spelling: lower case, single spaces, no `spp.`.
fn key(taxon: &str) -> String {
    let lower = taxon.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().filter(|word| !["spp.", "spp", "sp.", "sp", "ssp.", "subsp."].contains(word)).collect();
    words.join(" ")
}

/// A column's name without what editions change.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::packs::{Pack, Packs};

    #[test]
    fn the_most_specific_name_says_it_on_the_day_of_the_event() {
        let packs = Packs::built_in();
        for (taxon, country, date, appendix) in [
            ("Loxodonta africana", "KE", "2026-11-24T10:00:00Z", Some("I")),
            ("Loxodonta africana", "", "2026-11-24", Some("I")),
            ("loxodonta  AFRICANA", "BW", "2026-11-24", Some("II")),
            ("Loxodonta africana", "ZA", "1999-01-01", Some("I")),
            ("Loxodonta africana", "KE", "1989-12-31", Some("II")),
            ("Loxodonta africana", "KE", "1970-01-01", None),
            ("Ceratotherium simum simum", "ZA", "2026-01-01", Some("II")),
            ("Ceratotherium simum simum", "KE", "2026-01-01", Some("I")),
            ("Ceratotherium simum cottoni", "ZA", "2026-01-01", Some("I")),
            ("Manis javanica", "", "2016-12-31", Some("II")),
            ("Manis spp.", "", "2017-01-02", Some("I")),
            ("Dalbergia nigra", "BR", "2026-01-01", Some("I")),
            ("Dalbergia melanoxylon", "TZ", "2026-01-01", Some("II")),
            ("Dalbergia melanoxylon", "TZ", "2016-01-01", None),
            ("Pterocarpus erinaceus", "SN", "2016-06-01", Some("III")),
            ("Panthera leo", "IN", "2026-01-01", Some("I")),
            ("ivory", "", "2026-01-01", None),
            ("", "", "2026-01-01", None),
            ("Anguilla anguilla", "", "yesterday", None),
            ("Anguilla anguilla", "", "", None),
        ] {
            assert_eq!(packs.taxa().appendix(taxon, country, date), appendix, "{taxon} {country} {date}");
        }
    }

    #[test]
    fn an_export_is_read_by_the_names_of_its_columns() {
        let csv = "Id,Kingdom,Scientific Name,Author,Rank,Listing,Party,Listed under,Full note\r\n\
            1,Animalia,Loxodonta africana,\"(Blumenbach, 1797)\",SPECIES,I/II,,Loxodonta africana,\"Two\r\nlines, and \"\"quotes\"\"\"\r\n\
            2,Animalia,Canis aureus,,SPECIES,III,IN,,\r\n\
            3,Plantae,Nothing,,GENUS,NC,,,\r\n\
            4,Plantae,Dalbergia spp.,,GENUS,ii,,,\r\n\
            5,Plantae\r\n";
        let other =
            "Full name;Rank;Listing;Full note\nLoxodonta africana;Species;I/II;x\nCanis aureus;Species;III;\nDalbergia spp.;Genus;II\n";
        for csv in [csv, other] {
            let taxa = Taxa::from_species_plus_csv(csv.as_bytes(), "2025-02-07").unwrap();
            for (taxon, date, appendix) in [
                ("Loxodonta africana", "2025-02-07", Some("I/II")),
                ("Loxodonta africana", "2025-02-06", None),
                ("Canis aureus", "2026-01-01", Some("III")),
                ("Dalbergia nigra", "2026-01-01", Some("II")),
                ("Nothing", "2026-01-01", None),
            ] {
                assert_eq!(taxa.appendix(taxon, "", date), appendix, "{taxon} {date}");
            }
            let Pack::Taxa(again) = Pack::read(taxa.to_json().as_bytes()).unwrap() else { panic!("another kind") };
            assert_eq!((again.header(), &again.rows), (taxa.header(), &taxa.rows));
        }
        for (bytes, date, why) in [
            (&b"Name,Rank,Listing\n"[..], "2025-02-07", "Scientific Name"),
            (b"Full Name,Rank\n", "2025-02-07", "Listing"),
            (b"", "2025-02-07", "Scientific Name"),
            (b"Full Name,Rank,Listing\nX,Genus,I\n", "2025", "no date"),
            (b"Full Name,\xff", "2025-02-07", "from byte 10"),
            (b"Full Name,\"Rank", "2025-02-07", "does not close"),
        ] {
            let error = Taxa::from_species_plus_csv(bytes, date).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
