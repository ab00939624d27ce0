//! What is known now: an initial report, its supplements, corrections and cancellation become one current report.
//!
//! The order in which they came does not matter: `supersedes` says which report each follows, and references decide between those
//! that follow the same. It does not know who may correct what; whoever passes reports in has looked at their senders.
//!
//! - A supplement adds: rows to lists, and what a section did not yet say. Where it says otherwise, what was said first stays, and
//!   the difference is listed: who means to correct sends a correction.
//! - A correction replaces the sections that it has, in the report that it names.
//! - A final report replaces the sections that it has, in all before it.
//! - A cancellation takes back the report that it names, and its corrections; that of the initial report takes back everything.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::v1::EcoMessage;
use crate::{Form, Payload};

/// Reports that are folded into one.
pub const FOLDED_MAX: usize = 256;

/// A report and the reference under which it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// `KE.CUS.KEMBA/2026/000417`.
    pub reference: String,
    /// What it says; its heading names the report that it follows.
    pub report: EcoMessage,
}

/// Why there is no current report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// More than are taken.
    #[error("there are {0} reports, at most {FOLDED_MAX} are folded")]
    TooMany(usize),
    /// Nothing to begin with.
    #[error("no report is an initial one")]
    NoInitial,
    /// Two cases.
    #[error("{0} and {1} are both initial reports")]
    TwoInitials(String, String),
    /// One number, two reports.
    #[error("{0} is the reference of two reports")]
    Twice(String),
}

/// The current report, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// For reading: rows may be more than a report that is sent may have.
    pub report: EcoMessage,
    /// Each section that says something, in the order of the form, and the references that gave it.
    pub sections: Vec<(String, Vec<String>)>,
    /// Reference of the cancellation of everything: the report is what was cancelled.
    pub cancelled_by: Option<String>,
    /// References of what was taken back by a cancellation of its own.
    pub taken_back: Vec<String>,
    /// References whose report follows none that is here, or corrects a cancellation: not folded in.
    pub apart: Vec<String>,
    /// Where a supplement says otherwise than what was said before it: its reference and the field.
    pub differences: Vec<(String, String)>,
}

/// Folds reports of one case.
///
/// # Errors
/// [`FoldError`] when there is not exactly one initial report, a reference stands for two, or there are more than [`FOLDED_MAX`].
pub fn fold(sent: &[Sent]) -> Result<Folded, FoldError> {
    let chain = Chain::of(sent)?;
    let mut now = Now::default();
    for place in &chain.order {
        let (reference, report) = (sent[*place].reference.trim(), &sent[*place].report);
        let kind = report_type(report);
        if chain.is_taken_back(reference) || kind == "correction" || kind == "cancellation" {
            continue;
        }
        let mut said = sections(report, reference);
        // Corrections stand after what they correct, in the order of the chain.
        for correction in chain.corrections(reference).map(|place| &sent[place]) {
            if !chain.is_taken_back(correction.reference.trim()) {
                replace(&mut said, sections(&correction.report, correction.reference.trim()));
            }
        }
        match kind {
            "final" => replace(&mut now.sections, said),
            _ => now.add(reference, said),
        }
    }
    let differences = std::mem::take(&mut now.differences);
    let closed = chain.order.iter().any(|place| report_type(&sent[*place].report) == "final");
    let (report, sections) = now.report(if closed { "final" } else { "initial" });
    let Chain { cancelled_by, taken_back, apart, .. } = chain;
    Ok(Folded { report, sections, cancelled_by, taken_back: taken_back.into_iter().collect(), apart, differences })
}

/// Who follows whom.
struct Chain {
    /// Places in what was sent, from the initial report on.
    order: Vec<usize>,
    /// Place of each correction, and the reference of the report that it comes to in the end.
    corrections: Vec<(usize, String)>,
    cancelled_by: Option<String>,
    taken_back: BTreeSet<String>,
    apart: Vec<String>,
}

impl Chain {
    fn of(sent: &[Sent]) -> Result<Self, FoldError> {
        if sent.len() > FOLDED_MAX {
            return Err(FoldError::TooMany(sent.len()));
        }
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, one) in sent.iter().enumerate() {
            if places.insert(one.reference.trim(), place).is_some() {
                return Err(FoldError::Twice(one.reference.trim().to_owned()));
            }
        }
        let mut initials: Vec<&str> = places.keys().copied().filter(|one| report_type(&sent[places[one]].report) == "initial").collect();
        initials.sort_unstable();
        let initial = match initials[..] {
            [] => return Err(FoldError::NoInitial),
            [one] => one,
            [one, other, ..] => return Err(FoldError::TwoInitials(one.to_owned(), other.to_owned())),
        };
        let mut followers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, one) in sent.iter().enumerate().filter(|(_, one)| report_type(&one.report) != "initial") {
            followers.entry(supersedes(&one.report)).or_default().push(place);
        }
        // From the initial report outwards, a ring after the other; what is not reached stays apart, a circle as well.
        let mut order = vec![places[initial]];
        let mut ring = order.clone();
        while !ring.is_empty() {
            let mut next: Vec<usize> =
                ring.iter().flat_map(|place| followers.remove(sent[*place].reference.trim()).unwrap_or_default()).collect();
            next.sort_by(|one, other| rank(&sent[*one].reference).cmp(&rank(&sent[*other].reference)));
            order.extend(&next);
            ring = next;
        }
        let reached: BTreeSet<usize> = order.iter().copied().collect();
        let mut apart: Vec<&str> =
            (0..sent.len()).filter(|place| !reached.contains(place)).map(|place| sent[place].reference.trim()).collect();
        apart.sort_by(|one, other| rank(one).cmp(&rank(other)));
        let mut chain = Self {
            order,
            corrections: Vec::new(),
            cancelled_by: None,
            taken_back: BTreeSet::new(),
            apart: apart.into_iter().map(str::to_owned).collect(),
        };
        chain.look_back(sent, &places, initial);
        Ok(chain)
    }

    /// Which report each correction comes to, and what cancellations take back.
    fn look_back(&mut self, sent: &[Sent], places: &BTreeMap<&str, usize>, initial: &str) {
        for place in &self.order {
            let report = &sent[*place].report;
            match report_type(report) {
                "correction" => {
                    let mut of = supersedes(report);
                    while let Some(other) = places.get(of).map(|place| &sent[*place].report).filter(|one| report_type(one) == "correction")
                    {
                        of = supersedes(other);
                    }
                    if places.get(of).is_some_and(|place| report_type(&sent[*place].report) == "cancellation") {
                        // Nothing of a cancellation can be replaced.
                        self.apart.push(sent[*place].reference.trim().to_owned());
                    } else {
                        self.corrections.push((*place, of.to_owned()));
                    }
                }
                "cancellation" if supersedes(report) == initial => {
                    self.cancelled_by.get_or_insert_with(|| sent[*place].reference.trim().to_owned());
                }
                "cancellation" => {
                    self.taken_back.insert(supersedes(report).to_owned());
                }
                _ => {}
            }
        }
    }

    fn is_taken_back(&self, reference: &str) -> bool {
        self.taken_back.contains(reference)
    }

    fn corrections(&self, reference: &str) -> impl Iterator<Item = usize> {
        self.corrections.iter().filter(move |(_, of)| of == reference).map(|(place, _)| *place)
    }
}

/// A section, and who gave it.
struct Section {
    value: Value,
    from: Vec<String>,
}

/// Sections by the numbers of their fields.
type Sections = BTreeMap<u32, Section>;

/// What is known so far.
#[derive(Default)]
struct Now {
    sections: Sections,
    differences: Vec<(String, String)>,
}

impl Now {
    fn add(&mut self, reference: &str, said: Sections) {
        let descriptor = Form::Ecomessage.descriptor();
        for (number, section) in said {
            let Some(known) = self.sections.get_mut(&number) else {
                self.sections.insert(number, section);
                continue;
            };
            let name = descriptor.get_field(number).map(|field| field.name().to_owned()).unwrap_or_default();
            let mut differences = Vec::new();
            if join(&mut known.value, section.value, &name, &mut differences) {
                known.from.extend(section.from);
            }
            self.differences.extend(differences.into_iter().map(|path| (reference.to_owned(), path)));
        }
    }

    fn report(self, report_type: &str) -> (EcoMessage, Vec<(String, Vec<String>)>) {
        let descriptor = Form::Ecomessage.descriptor();
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut given = Vec::new();
        for (number, section) in self.sections {
            if let Some(field) = descriptor.get_field(number) {
                given.push((field.name().to_owned(), section.from));
                message.set_field(&field, section.value);
            }
        }
        let mut report = Payload::of(Form::Ecomessage, message).report().unwrap_or_default();
        report_type.clone_into(&mut report.heading.get_or_insert_default().report_type);
        (report, given)
    }
}

/// Adds what is new to what is known; says whether there was any, and where the two say otherwise.
fn join(known: &mut Value, new: Value, path: &str, differences: &mut Vec<String>) -> bool {
    match (known, new) {
        (Value::List(known), Value::List(new)) => {
            let new: Vec<Value> = new.into_iter().filter(|row| !known.contains(row)).collect();
            let added = !new.is_empty();
            known.extend(new);
            added
        }
        (Value::Message(known), Value::Message(new)) if !WHOLE.contains(&new.descriptor().name()) => {
            join_fields(known, new, path, differences)
        }
        // The story goes on.
        (Value::String(known), Value::String(new)) if path == "modus_operandi.text" => {
            let added = !known.contains(&new);
            if added {
                known.push('\n');
                known.push_str(&new);
            }
            added
        }
        (known, new) => {
            if *known != new {
                differences.push(path.to_owned());
            }
            false
        }
    }
}

fn join_fields(known: &mut DynamicMessage, mut new: DynamicMessage, path: &str, differences: &mut Vec<String>) -> bool {
    // A position is one thing: no latitude of one report with the longitude of another.
    if new.descriptor().name() == "Place" && known.has_field_by_name("precision_m") && new.has_field_by_name("precision_m") {
        if POSITION.iter().any(|name| known.get_field_by_name(name) != new.get_field_by_name(name)) {
            differences.push(path.to_owned());
        }
        POSITION.iter().for_each(|name| new.clear_field_by_name(name));
    }
    let mut added = false;
    for (field, value) in new.take_fields() {
        if known.has_field(&field) {
            let path = format!("{path}.{}", field.name());
            added |= join(known.get_field_mut(&field), value, &path, differences);
        } else {
            known.set_field(&field, value);
            added = true;
        }
    }
    added
}

/// Puts sections in the place of others. A heading is not a section that a correction could leave out: its fields are replaced one
/// by one.
fn replace(sections: &mut Sections, by: Sections) {
    for (number, mut section) in by {
        if let (HEADING, Some(known)) = (number, sections.get_mut(&number)) {
            if let (Value::Message(known), Value::Message(new)) = (&mut known.value, section.value) {
                new.fields().for_each(|(field, value)| known.set_field(&field, value.clone()));
            }
            known.from.append(&mut section.from);
        } else {
            sections.insert(number, section);
        }
    }
}

/// The sections of a report that say something; of its heading without what makes it one of several.
fn sections(report: &EcoMessage, reference: &str) -> Sections {
    let mut report = report.clone();
    if let Some(heading) = &mut report.heading {
        heading.report_type.clear();
        heading.supersedes.clear();
    }
    let message = Payload::from(report).into_message();
    let said = message.fields().filter(|(_, value)| value.as_message().is_none_or(|inner| inner.fields().next().is_some()));
    said.map(|(field, value)| (field.number(), Section { value: value.clone(), from: vec![reference.to_owned()] })).collect()
}

fn report_type(report: &EcoMessage) -> &str {
    report.heading.as_ref().map_or("", |heading| heading.report_type.trim())
}

fn supersedes(report: &EcoMessage) -> &str {
    report.heading.as_ref().map_or("", |heading| heading.supersedes.trim())
}

/// References of a sender in the order of their numbers, with any count of leading zeros.
fn rank(reference: &str) -> (&str, u64, &str) {
    let reference = reference.trim();
    let numbered = reference.rsplit_once('/').and_then(|(series, number)| Some((series, number.parse().ok()?)));
    numbered.map_or((reference, 0, reference), |(series, number)| (series, number, reference))
}

/// The number of the field of the heading.
const HEADING: u32 = 1;
/// Messages whose fields mean nothing apart.
const WHOLE: &[&str] = &["Identifier", "Quantity", "Money"];
/// The fields of a position.
const POSITION: &[&str] = &["latitude_e7", "longitude_e7", "precision_m"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Reference by its number alone, so that a table reads.
    fn sent(number: u32, report_type: &str, follows: u32, rest: &str) -> Sent {
        let reference = |number| format!("KE/2026/{number:06}");
        let supersedes = if follows == 0 { String::new() } else { reference(follows) };
        let json = format!(r#"{{"heading":{{"reportType":"{report_type}","supersedes":"{supersedes}"}}{rest}}}"#);
        Sent { reference: reference(number), report: crate::from_json(json.as_bytes()).unwrap() }
    }

    fn short(folded: &Folded) -> String {
        let number = |reference: &String| reference.trim_start_matches("KE/2026/").trim_start_matches('0').to_owned();
        let of = |all: &[String]| all.iter().map(number).collect::<Vec<_>>().join("+");
        let sections: Vec<_> = folded.sections.iter().map(|(name, from)| format!("{name} {}", of(from))).collect();
        let differences: Vec<_> = folded.differences.iter().map(|(by, path)| format!("{} {path}", number(by))).collect();
        let cancelled = folded.cancelled_by.as_ref().map(number).unwrap_or_default();
        format!(
            "{} | cancelled {cancelled} | back {} | apart {} | differ {}",
            sections.join(", "),
            of(&folded.taken_back),
            of(&folded.apart),
            differences.join(", ")
        )
    }

    #[track_caller]
    fn check(reports: &[Sent], expected: &str, holds: &[&str], not: &[&str]) {
        let folded = fold(reports).unwrap();
        assert_eq!(short(&folded), expected);
        let json = crate::to_json(&folded.report);
        holds.iter().for_each(|text| assert!(json.contains(text), "{text}: {json}"));
        not.iter().for_each(|text| assert!(!json.contains(text), "{text}: {json}"));
    }

    const TUSKS: &str = r#","incident":{"what":"seizure","place":{"text":"the gate"}},"goods":[{"term":"tusks"}]"#;

    #[test]
    fn supplements_add_and_corrections_replace() {
        let first = || sent(1, "initial", 0, TUSKS);
        let scales = || sent(2, "supplement", 1, r#","incident":{"concealment":"in rice"},"goods":[{"term":"scales"},{"term":"tusks"}]"#);
        let both = "incident 1+2, goods 1+2 | cancelled  | back  | apart  | differ ";
        check(&[first(), scales()], both, &["tusks", "scales", "in rice", "the gate"], &["supersedes"]);
        let skin = || sent(3, "correction", 2, r#","goods":[{"term":"skin"}]"#);
        check(
            &[first(), scales(), skin()],
            "incident 1+2, goods 1+3 | cancelled  | back  | apart  | differ ",
            &["tusks", "skin", "in rice"],
            &["scales"],
        );
        let again = || sent(4, "correction", 3, r#","goods":[{"term":"teeth"}]"#);
        check(
            &[again(), skin(), scales(), first()],
            "incident 1+2, goods 1+4 | cancelled  | back  | apart  | differ ",
            &["tusks", "teeth"],
            &["skin", "scales"],
        );
        let end = || sent(5, "final", 1, r#","goods":[{"term":"horn"}],"grading":{"source":"A"}"#);
        check(
            &[first(), scales(), end()],
            "incident 1+2, goods 5, grading 5 | cancelled  | back  | apart  | differ ",
            &["horn", r#""reportType":"final""#],
            &["tusks"],
        );
    }

    #[test]
    fn what_is_taken_back_is_not_there_and_what_is_cancelled_is_said() {
        let first = || sent(1, "initial", 0, TUSKS);
        let scales = || sent(2, "supplement", 1, r#","goods":[{"term":"scales"}]"#);
        let one = "incident 1, goods 1 | cancelled  | back 2 | apart  | differ ";
        check(&[first(), scales(), sent(3, "cancellation", 2, "")], one, &["tusks"], &["scales"]);
        let all = "incident 1, goods 1+2 | cancelled 3 | back  | apart  | differ ";
        check(&[first(), scales(), sent(3, "cancellation", 1, "")], all, &["tusks", "scales"], &[]);
        let wrong = || sent(3, "correction", 1, r#","goods":[{"term":"horn"}]"#);
        let kept = "incident 1, goods 1 | cancelled  | back 3 | apart  | differ ";
        check(&[first(), wrong(), sent(4, "cancellation", 3, "")], kept, &["tusks"], &["horn"]);
    }

    #[test]
    fn what_differs_or_follows_nothing_is_listed() {
        let place = r#","incident":{"what":"arrest","place":{"latitudeE7":1,"precisionM":5,"locode":{"raw":"KEMBA"}}},"modusOperandi":{"text":"b"}"#;
        let first =
            r#","incident":{"what":"seizure","place":{"latitudeE7":2,"longitudeE7":3,"precisionM":5}},"modusOperandi":{"text":"a"}"#;
        check(
            &[
                sent(1, "initial", 0, first),
                sent(2, "supplement", 1, place),
                sent(9, "supplement", 8, TUSKS),
                sent(7, "correction", 7, TUSKS),
            ],
            "incident 1+2, modus_operandi 1+2 | cancelled  | back  | apart 7+9 | differ 2 incident.what, 2 incident.place",
            &["seizure", "KEMBA", r#""longitudeE7":3"#, r#""a\nb""#],
            &["tusks", "arrest"],
        );
    }

    #[test]
    fn there_is_one_beginning() {
        let (one, two) = (sent(1, "initial", 0, ""), sent(2, "initial", 0, ""));
        assert_eq!(fold(&[]), Err(FoldError::NoInitial));
        assert!(matches!(fold(&[two, one.clone()]), Err(FoldError::TwoInitials(..))));
        assert!(matches!(fold(&[one.clone(), one.clone()]), Err(FoldError::Twice(_))));
        assert_eq!(fold(&vec![one; FOLDED_MAX + 1]), Err(FoldError::TooMany(FOLDED_MAX + 1)));
    }

    fn any_report(number: u32) -> impl Strategy<Value = Sent> {
        let kinds = prop::sample::select(vec!["supplement", "correction", "cancellation", "final", "later_word"]);
        (kinds, 1..12_u32, any::<bool>()).prop_map(move |(kind, follows, incident)| {
            let incident = if incident { format!(r#","incident":{{"concealment":"place {number}"}}"#) } else { String::new() };
            sent(number, kind, follows, &format!(r#"{incident},"goods":[{{"taxon":"taxon {number}"}}]"#))
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            reports in (2..10_u32).prop_flat_map(|count| (2..=count).map(any_report).collect::<Vec<_>>()),
            seed: u64,
        ) {
            let mut reports = reports;
            reports.push(sent(1, "initial", 0, TUSKS));
            let expected = fold(&reports).unwrap();
            let mut turn = seed;
            for at in (1..reports.len()).rev() {
                turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                reports.swap(at, usize::try_from(turn >> 33).unwrap() % (at + 1));
            }
            prop_assert_eq!(fold(&reports).unwrap(), expected);
        }

        #[test]
        fn supplements_lose_nothing(count in 1..10_u32, follows in proptest::collection::vec(any::<prop::sample::Index>(), 10)) {
            let mut reports = vec![sent(1, "initial", 0, TUSKS)];
            for number in 2..=count + 1 {
                let of = u32::try_from(follows[number as usize - 2].index(number as usize - 1)).unwrap() + 1;
                reports.push(sent(number, "supplement", of, &format!(r#","goods":[{{"taxon":"taxon {number}"}}]"#)));
            }
            let folded = fold(&reports).unwrap();
            prop_assert_eq!(folded.report.goods.len(), reports.len());
            prop_assert!(folded.apart.is_empty() && folded.differences.is_empty());
            let from = &folded.sections.iter().find(|(name, _)| name == "goods").unwrap().1;
            prop_assert_eq!(from.len(), reports.len());
        }
    }
}
