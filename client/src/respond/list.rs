//! Records that are looked up, and how they are read from a CSV file: what small services and bureaus have.
//!
//! The file's first line names the columns: `owner` (an address, always), `record` (the owner's number of it), `kind` (of subject: vessel,
//! person, ...), `source`, `note` (sent to who asked: only what may be told), and any kind of identifier or `name`, each as often as
//! wanted: a ship with three names has three columns `name`. Found is what agrees in one whole identifier, or a whole name of the same
//! kind of subject. It does not know who asks.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;

use content::keys::{self, Key};
use content::{Payload, v1};
use envelope::Address;

use super::{Answer, CELL_CHARS_MAX, Found, HITS_MAX, Responder};
use crate::error::Error;

/// Records by what they can be looked up by.
#[derive(Clone, Debug, Default)]
pub struct List {
    entries: Vec<Entry>,
    found: HashMap<Key, Vec<usize>>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub owner: Address,
    /// The owner's number of it; its line in the file when the file has none.
    pub record: String,
    /// What it is looked up by.
    pub keys: Vec<Key>,
    /// Kind of subject, which names must agree in; empty: any.
    pub kind: String,
    /// A word of `HitRow.source`.
    pub source: String,
    /// What who asks is told beside; may be empty.
    pub note: String,
}

/// Why a file is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// More than is read.
    #[error("it is larger than {LIST_BYTES_MAX} bytes")]
    Bytes,
    /// More rows than are kept.
    #[error("it has more than {ROWS_MAX} rows")]
    Rows,
    /// Not UTF-8.
    #[error("it is no UTF-8 text")]
    Text,
    /// A heading that means nothing here.
    #[error("column {name:?} is none of: owner, record, kind, source, note, {}", known())]
    Column {
        /// As it stands there.
        name: String,
    },
    /// No column with owners, or none to look up by.
    #[error("it lacks a column {0}")]
    Lacks(&'static str),
    /// A line that is wrong.
    #[error("line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What about it.
        why: String,
    },
}

impl List {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`], or [`Error::Content`] with what [`ListError`] says.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|cause| Error::File { what: "read", path: path.to_owned(), cause })?;
        Self::parse(&bytes).map_err(|error| Error::Content { path: path.to_owned(), wanted: format!("a list: {error}") })
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`ListError`] says what is wrong, and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        if bytes.len() > LIST_BYTES_MAX {
            return Err(ListError::Bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ListError::Text)?;
        let mut rows = Rows { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        let (_, heading) = rows.next().unwrap_or(Ok((1, Vec::new())))?;
        let columns: Vec<String> = heading.iter().map(|cell| cell.trim().to_lowercase()).collect();
        let plain = ["owner", "record", "kind", "source", "note"];
        if let Some(column) =
            columns.iter().find(|column| !plain.contains(&column.as_str()) && !keys::kinds().any(|kind| kind == column.as_str()))
        {
            return Err(ListError::Column { name: column.chars().take(CELL_CHARS_MAX).collect() });
        }
        if !columns.iter().any(|column| column == "owner") {
            return Err(ListError::Lacks("owner"));
        }
        if columns.iter().all(|column| plain.contains(&column.as_str())) {
            return Err(ListError::Lacks("to look up by: imo, name, ..."));
        }
        let mut list = Self::default();
        for row in rows {
            let (line, cells) = row?;
            if cells.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if list.entries.len() == ROWS_MAX {
                return Err(ListError::Rows);
            }
            list.push(entry(line, &columns, &cells)?);
        }
        Ok(list)
    }

    /// A list of these records.
    #[must_use]
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut list = Self::default();
        entries.into_iter().for_each(|entry| list.push(entry));
        list
    }

    fn push(&mut self, entry: Entry) {
        for key in &entry.keys {
            self.found.entry(key.clone()).or_default().push(self.entries.len());
        }
        self.entries.push(entry);
    }

    /// All records, as they stand in the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The records that agree with a subject in at least one key, in the order of the file: one more than an answer takes at most.
    fn matching(&self, subject: &v1::Subject) -> Vec<Found> {
        let mut agreed: BTreeMap<usize, Vec<&Key>> = BTreeMap::new();
        for (key, rows) in keys::of_subject(subject).iter().filter_map(|key| self.found.get_key_value(key)) {
            let same = |row: &&usize| {
                let kind = &self.entries[**row].kind;
                key.kind() != keys::NAME || kind.is_empty() || subject.kind.is_empty() || *kind == subject.kind
            };
            for row in rows.iter().filter(same).take(HITS_MAX + 1) {
                agreed.entry(*row).or_default().push(key);
            }
        }
        agreed.into_iter().take(HITS_MAX + 1).map(|(row, keys)| self.entries[row].found(&keys)).collect()
    }
}

impl Responder for List {
    fn answer(&self, query: &Payload) -> Answer {
        let subject = query.message_as::<v1::Query>().ok().and_then(|query| query.subject).unwrap_or_default();
        if keys::of_subject(&subject).is_empty() {
            return Answer::Refused("it names nothing that can be looked up: a number or a name".to_owned());
        }
        match self.matching(&subject) {
            found if found.is_empty() => Answer::NoHit,
            found => Answer::Hits(found),
        }
    }
}

impl Entry {
    fn found(&self, agreed: &[&Key]) -> Found {
        let confidence = ["exact", "probable"].into_iter().find(|word| agreed.iter().any(|key| key.confidence() == *word));
        let mut matched: Vec<String> = agreed.iter().map(|key| key.kind().to_owned()).collect();
        matched.dedup();
        Found {
            owner: self.owner.to_string(),
            record: self.record.clone(),
            confidence: confidence.unwrap_or("possible").to_owned(),
            source: self.source.clone(),
            matched,
            told: self.note.clone(),
        }
    }
}

fn entry(line: usize, columns: &[String], cells: &[String]) -> Result<Entry, ListError> {
    let wrong = |why: String| ListError::Line { line, why };
    if cells.len() != columns.len() {
        return Err(wrong(format!("it has {} cells, the first line has {}", cells.len(), columns.len())));
    }
    if let Some(long) = cells.iter().find(|cell| cell.chars().count() > CELL_CHARS_MAX) {
        return Err(wrong(format!("a cell has {} characters, at most {CELL_CHARS_MAX} are taken", long.chars().count())));
    }
    let said = |name: &str| columns.iter().position(|column| column == name).map_or("", |at| cells[at].trim());
    let owner = Address::parse(said("owner")).map_err(|error| wrong(format!("owner {:?}: {error}", said("owner"))))?;
    let mut keys: Vec<Key> =
        columns.iter().zip(cells).filter(|(column, _)| is_key(column)).filter_map(|(kind, raw)| Key::new(kind, raw)).collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() {
        return Err(wrong("it has nothing to look it up by".to_owned()));
    }
    let or = |text: &str, otherwise: String| if text.is_empty() { otherwise } else { text.to_owned() };
    Ok(Entry {
        owner,
        record: or(said("record"), format!("line {line}")),
        keys,
        kind: said("kind").to_lowercase(),
        source: or(said("source"), "registry".to_owned()),
        note: said("note").to_owned(),
    })
}

fn is_key(column: &str) -> bool {
    keys::kinds().any(|kind| kind == column)
}

fn known() -> String {
    keys::kinds().collect::<Vec<_>>().join(", ")
}

/// Rows of RFC 4180, each with the line that it begins on. A quote inside of a cell that does not begin with one is a character.
struct Rows<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Rows<'_> {
    type Item = Result<(usize, Vec<String>), ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (began, mut cells, mut more) = (self.line, Vec::new(), !self.rest.is_empty());
        let was_empty = !more;
        while more {
            if cells.len() == COLUMNS_MAX {
                return self.fail(began, &format!("it has more than {COLUMNS_MAX} cells"));
            }
            let cell = match self.rest.strip_prefix('"') {
                Some(quoted) => match self.quoted(quoted) {
                    Some(cell) => cell,
                    None => return self.fail(began, "a quoted cell does not end, or something follows its end"),
                },
                None => {
                    let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
                    let (cell, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    cell.strip_suffix('\r').unwrap_or(cell).to_owned()
                }
            };
            cells.push(cell);
            more = self.rest.starts_with(',');
            self.rest = self.rest.get(1..).unwrap_or("");
        }
        self.line += 1;
        (!was_empty).then_some(Ok((began, cells)))
    }
}

impl<'a> Rows<'a> {
    /// The cell that was quoted; two quotes in it stand for one.
    fn quoted(&mut self, mut rest: &'a str) -> Option<String> {
        let mut cell = String::new();
        loop {
            let (part, after) = rest.split_once('"')?;
            cell.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    rest = more;
                }
                None => {
                    self.line += cell.matches('\n').count();
                    self.rest = after.strip_prefix('\r').unwrap_or(after);
                    return (self.rest.is_empty() || self.rest.starts_with([',', '\n'])).then_some(cell);
                }
            }
        }
    }

    /// Nothing behind a row that is wrong is read.
    fn fail<T>(&mut self, line: usize, why: &str) -> Option<Result<T, ListError>> {
        self.rest = "";
        Some(Err(ListError::Line { line, why: why.to_owned() }))
    }
}

/// Bytes of a list.
const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of a list.
const ROWS_MAX: usize = 1_000_000;
/// Cells of a row.
const COLUMNS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use content::Form;

    use super::*;

    const SHIPS: &str = "owner,record,kind,source,imo,mmsi,name,name,note\r\n\
        ke,KE-7,vessel,notice,IMO 9074729,,Ocean Star,\"Lucky, 7\",\"ask for \"\"papers\"\"\"\n\
        th,TH-1,vessel,,,366999712,Océan  star,,\n\
        \n\
        np,,person,hot_list,,,Jo Star,,\n";

    #[track_caller]
    fn check(subject: &str, expected: &[(&str, &str, &[&str])]) {
        let query = Payload::from_json(Form::Query, format!("{{\"subject\":{subject}}}").as_bytes()).unwrap();
        let found = match List::parse(SHIPS.as_bytes()).unwrap().answer(&query) {
            Answer::Hits(found) => found,
            Answer::NoHit => Vec::new(),
            Answer::Refused(why) => panic!("{why}"),
        };
        let found: Vec<_> = found.iter().map(|one| (one.record.clone(), one.confidence.clone(), one.matched.clone())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(record, sure, by)| ((*record).to_owned(), (*sure).to_owned(), by.iter().map(|by| (*by).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected, "{subject}");
    }

    fn number(kind: &str, raw: &str) -> String {
        format!("{{\"identifiers\":[{{\"kind\":\"{kind}\",\"number\":{{\"raw\":\"{raw}\"}}}}]}}")
    }

    #[test]
    fn whole_identifiers_and_names_agree() {
        check(&number("imo", "907 4729"), &[("KE-7", "exact", &["imo"])]);
        check(&number("mmsi", "366-999-712"), &[("TH-1", "exact", &["mmsi"])]);
        check(&number("mmsi", "9074729"), &[]);
        check(&number("imo", "907472"), &[]);
        check(r#"{"vessel":{"name":"OCEAN STAR"}}"#, &[("KE-7", "possible", &["name"]), ("TH-1", "possible", &["name"])]);
        check(r#"{"vessel":{"name":"lucky 7","imo":{"raw":"9074729"}}}"#, &[("KE-7", "exact", &["imo", "name"])]);
        check(r#"{"kind":"vessel","vessel":{"name":"Jo Star"}}"#, &[]);
        check(r#"{"kind":"person","person":{"names":["jo star"]}}"#, &[("line 5", "possible", &["name"])]);
        check(r#"{"vessel":{"name":"Star"}}"#, &[]);
    }

    #[test]
    fn a_question_about_nothing_and_one_about_too_much() {
        let nothing = Payload::from_json(Form::Query, br#"{"subject":{"kind":"vessel","text":"a grey one"}}"#).unwrap();
        assert!(matches!(List::default().answer(&nothing), Answer::Refused(_)));
        let many = format!("owner,name\n{}", "ke,Star\n".repeat(100));
        let query = Payload::from_json(Form::Query, br#"{"subject":{"vessel":{"name":"star"}}}"#).unwrap();
        let Answer::Hits(found) = List::parse(many.as_bytes()).unwrap().answer(&query) else { panic!("hits") };
        assert_eq!(found.len(), HITS_MAX + 1, "more is not looked for");
    }

    #[test]
    fn a_cell_is_told_as_it_stands() {
        let list = List::parse(SHIPS.as_bytes()).unwrap();
        let [ship, other, person] = list.entries() else { panic!("three") };
        assert_eq!((ship.note.as_str(), ship.source.as_str(), ship.keys.len()), ("ask for \"papers\"", "notice", 3));
        assert_eq!((other.source.as_str(), person.record.as_str(), person.owner.as_str()), ("registry", "line 5", "np"));
        let cells = "owner,name,note\nke,\"two\nlines\",x\nth,y,z";
        let list = List::parse(cells.as_bytes()).unwrap();
        assert_eq!(list.entries().iter().map(|one| one.record.as_str()).collect::<Vec<_>>(), ["line 2", "line 4"]);
        assert_eq!(List::parse("\u{feff}Owner,NAME\nke,x\n".as_bytes()).unwrap().entries().len(), 1);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        for (text, why) in [
            ("", "lacks a column owner"),
            ("imo\n9074729\n", "lacks a column owner"),
            ("owner,note\nke,x\n", "lacks a column to look up by"),
            ("owner,imo,colour\n", "column \"colour\" is none of: owner, record, kind"),
            ("owner,imo\nke\n", "line 2: it has 1 cells, the first line has 2"),
            ("owner,imo\nke,9074729,x\n", "line 2: it has 3 cells"),
            ("owner,imo\nke,9074729\nKenya,9074729\n", "line 3: owner \"Kenya\": "),
            ("owner,imo\nke, - \n", "line 2: it has nothing to look it up by"),
            ("owner,imo\nke,\"9074729\n", "line 2: a quoted cell does not end"),
            ("owner,imo\nke,\"9074729\"x\n", "line 2: a quoted cell does not end, or something follows"),
            (&format!("owner,imo\nke,{}\n", "9".repeat(201)), "line 2: a cell has 201 characters"),
            (&format!("owner,imo\nke{}\n", ",".repeat(80)), "line 2: it has more than 64 cells"),
        ] {
            let error = List::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert_eq!(List::parse(b"owner,imo\nke,\xff\n").unwrap_err(), ListError::Text);
        assert_eq!(List::parse(&vec![b' '; LIST_BYTES_MAX + 1]).unwrap_err(), ListError::Bytes);
        let rows = format!("owner,imo\n{}", "ke,1\n".repeat(ROWS_MAX + 1));
        assert_eq!(List::parse(rows.as_bytes()).unwrap_err(), ListError::Rows);
    }
}
