//! Field events of other systems, as drafts of a report: EarthRanger and SMART.
//!
//! What is known is placed; everything else stands in `modus_operandi.text`, a line each, `path: value`, so that an officer sees
//! what came with it, names of people as well, and decides what to send. **Invariants:** a draft is within the bounds of a report,
//! and what did not fit is said where it is missing. It does not know where files come from, asks no server, and sends nothing.

mod earthranger;
mod smart;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::v1::{EcoMessage, Goods, Heading, Incident, ModusOperandi, Place, Quantity};
use crate::{REPORT_BYTES_MAX, ROWS_MAX, TEXT_CHARS_MAX};

pub use earthranger::earthranger;
pub use smart::smart;

/// Bytes of a file of events.
pub const IMPORT_BYTES_MAX: usize = 64 * REPORT_BYTES_MAX;
/// Events of a file.
pub const EVENTS_MAX: usize = 1_000;

/// Why a file gives no drafts.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// More than is taken.
    #[error("it has {0} bytes, at most {IMPORT_BYTES_MAX} are taken")]
    Bytes(usize),
    /// Not JSON.
    #[error("it is no JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// More than are taken.
    #[error("it has {0} events, at most {EVENTS_MAX} are taken")]
    Events(usize),
    /// One of them is none; they count from 1.
    #[error("event {at} has no {what}")]
    Event {
        /// Which.
        at: usize,
        /// What it has not.
        what: &'static str,
    },
}

fn read(bytes: &[u8]) -> Result<Value, ImportError> {
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(ImportError::Bytes(bytes.len()));
    }
    serde_json::from_slice(bytes).map_err(ImportError::Json)
}

fn drafts(
    events: Vec<Value>,
    what: &'static str,
    draft: impl Fn(Map<String, Value>) -> Option<EcoMessage>,
) -> Result<Vec<EcoMessage>, ImportError> {
    if events.len() > EVENTS_MAX {
        return Err(ImportError::Events(events.len()));
    }
    let one = |(at, event)| match event {
        Value::Object(event) => draft(event).ok_or(ImportError::Event { at: at + 1, what }),
        _ => Err(ImportError::Event { at: at + 1, what }),
    };
    events.into_iter().enumerate().map(one).collect()
}

/// A report that is being drafted.
struct Draft {
    report: EcoMessage,
    /// Lines of the text.
    lines: Vec<String>,
}

impl Draft {
    fn new(system: &str) -> Self {
        let heading = Heading { report_type: "initial".to_owned(), ..Heading::default() };
        let modus_operandi = ModusOperandi { tags: vec![format!("imported from {system}")], ..ModusOperandi::default() };
        let report = EcoMessage {
            heading: Some(heading),
            incident: Some(Incident { at_precision: "unknown".to_owned(), ..Incident::default() }),
            modus_operandi: Some(modus_operandi),
            ..EcoMessage::default()
        };
        Self { report, lines: Vec::new() }
    }

    /// The agency's own number, when it is short enough to be one.
    fn number(&mut self, value: Option<Value>, path: &str) {
        match value {
            Some(Value::String(text)) if is_short(&text) => self.report.heading.get_or_insert_default().agency_reference = text,
            Some(other) => flatten(&other, path, &mut self.lines),
            None => {}
        }
    }

    /// A time with its zone becomes UTC. One without stays as it came, and a check says so: nobody knows here which zone it was.
    fn time(&mut self, value: Option<Value>, path: &str) {
        let incident = self.report.incident.get_or_insert_default();
        match value {
            Some(Value::String(text)) if is_short(&text) => {
                let utc = OffsetDateTime::parse(&text, &Rfc3339).ok().and_then(|time| time.checked_to_offset(time::UtcOffset::UTC));
                let utc = utc.and_then(|time| time.replace_nanosecond(0).ok()).and_then(|time| time.format(&Rfc3339).ok());
                if utc.is_some() {
                    "minute".clone_into(&mut incident.at_precision);
                }
                incident.at = utc.unwrap_or(text);
            }
            Some(other) => flatten(&other, path, &mut self.lines),
            None => {}
        }
    }

    /// A position; false when it is none on the globe. Zero and zero is what systems write that have none.
    fn position(&mut self, latitude: Option<f64>, longitude: Option<f64>) -> bool {
        let (Some(latitude), Some(longitude)) = (latitude, longitude) else { return false };
        let within = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (latitude != 0.0 || longitude != 0.0);
        if within {
            let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
            let place = Place { latitude_e7: e7(latitude), longitude_e7: e7(longitude), precision_m: PRECISION_M, ..Place::default() };
            self.report.incident.get_or_insert_default().place = Some(place);
        }
        within
    }

    /// Takes the animal, plant or thing, and how many, out of the details of an event.
    fn goods(&mut self, details: &mut Map<String, Value>) {
        if self.report.goods.len() >= ROWS_MAX {
            return;
        }
        let taxon = details.iter().find_map(|(key, value)| {
            let text = value.as_str().filter(|text| is_short(text) && !text.trim().is_empty())?;
            ends(key, &["species", "taxon"]).then(|| (key.clone(), text.to_owned()))
        });
        let Some((key, taxon)) = taxon else { return };
        details.remove(&key);
        let count = details.iter().find_map(|(key, value)| {
            let count = u32::try_from(value.as_u64()?).ok()?;
            ends(key, &["numberanimals", "numberofanimals", "animalcount"]).then(|| (key.clone(), count))
        });
        let quantity = count.map(|(key, mantissa)| {
            details.remove(&key);
            Quantity { mantissa, unit: "specimens".to_owned(), ..Quantity::default() }
        });
        self.report.goods.push(Goods { taxon, quantity, ..Goods::default() });
    }

    /// Codes, as far as the words of a system's own name for the event let guess them.
    fn guess(&mut self, names: &str) {
        let names = names.to_lowercase();
        let word = |table: &[(&'static str, &[&str])]| {
            table.iter().find(|(_, parts)| parts.iter().any(|part| names.contains(part))).map(|(word, _)| *word)
        };
        if let Some(area) = word(CRIME_AREAS) {
            area.clone_into(&mut self.report.heading.get_or_insert_default().crime_area);
        }
        word(WHAT).unwrap_or("detection").clone_into(&mut self.report.incident.get_or_insert_default().what);
    }

    fn tag(&mut self, text: &str) {
        let tags = &mut self.report.modus_operandi.get_or_insert_default().tags;
        if is_short(text) && !text.is_empty() && tags.len() < ROWS_MAX && !tags.iter().any(|tag| tag == text) {
            tags.push(text.to_owned());
        }
    }

    fn finish(mut self, rest: &Value) -> EcoMessage {
        flatten(rest, "", &mut self.lines);
        let text = self.lines.join("\n");
        let long = text.chars().count();
        let text = if long <= TEXT_CHARS_MAX {
            text
        } else {
            let kept: String = text.chars().take(TEXT_CHARS_MAX - NOTE_CHARS_MAX).collect();
            format!("{kept}\n({} characters more are not imported)", long - (TEXT_CHARS_MAX - NOTE_CHARS_MAX))
        };
        self.report.modus_operandi.get_or_insert_default().text = text;
        self.report
    }
}

/// What says something, a line each. Nothing else is left out.
fn flatten(value: &Value, path: &str, lines: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, &path, lines);
            }
        }
        Value::Array(rows) => rows.iter().enumerate().for_each(|(at, row)| flatten(row, &format!("{path}[{}]", at + 1), lines)),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => lines.push(format!("{path}: {text}")),
        other => lines.push(format!("{path}: {other}")),
    }
}

/// A number, also when it stands in a text.
fn degrees(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|degrees: &f64| degrees.is_finite())
}

/// Whether a key ends so, without capitals and underscores.
fn ends(key: &str, with: &[&str]) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    with.iter().any(|end| plain.ends_with(end))
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= SHORT_CHARS_MAX
}

/// Characters of a number, a time or a name; what is longer is text.
const SHORT_CHARS_MAX: usize = 256;
/// Characters of the line that says how much is not there.
const NOTE_CHARS_MAX: usize = 100;
/// Of a position whose precision no system says: that of a telephone under trees, in metres.
const PRECISION_M: u32 = 100;
/// Parts of names of events; the first that is found decides.
const CRIME_AREAS: &[(&str, &[&str])] = &[
    ("fisheries", &["fish", "trawl", "vessel"]),
    ("mining", &["mining", "mine_", "quarry"]),
    ("pollution_waste", &["pollut", "waste", "dump", "spill", "discharge"]),
    ("forestry", &["logging", "timber", "charcoal", "deforest", "tree", "forest"]),
    ("wildlife", &["carcass", "poach", "snare", "trap", "wildlife", "animal", "ivory", "horn", "elephant", "rhino", "hunting", "bushmeat"]),
];
const WHAT: &[(&str, &[&str])] =
    &[("arrest", &["arrest"]), ("seizure", &["seiz", "confiscat"]), ("dumping", &["dump"]), ("discharge", &["discharge", "spill"])];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The lines of drafts, and what a check says of each.
    pub(super) fn shown(drafts: Vec<EcoMessage>) -> String {
        let mut shown = String::new();
        for mut report in drafts {
            shown.extend(crate::lines(&report).iter().map(|(path, value)| format!("{path}: {value}\n")));
            shown.extend(crate::check(&mut report).iter().map(|warning| format!("! {} {}\n", warning.path, warning.text)));
        }
        shown
    }

    #[test]
    fn what_is_too_much_or_no_event_is_refused() {
        for import in [earthranger, smart] {
            let why = |bytes: &[u8]| import(bytes).unwrap_err().to_string();
            assert!(why(b"").contains("no JSON"));
            assert!(why(b"7").contains("event 1 has no"), "{}", why(b"7"));
            assert!(why(br#"[{"x":1}]"#).contains("event 1 has no"));
            assert!(why(format!("[{}]", vec!["{}"; EVENTS_MAX + 1].join(",")).as_bytes()).contains("1001 events"));
            assert!(why(&vec![b' '; IMPORT_BYTES_MAX + 1]).contains("bytes"));
            assert!(import(b"[]").unwrap().is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let json = format!(r#"{{"event_type":"x","time":"t","notes":"{}"}}"#, "n".repeat(TEXT_CHARS_MAX + 50));
        let report = earthranger(json.as_bytes()).unwrap().remove(0);
        let text = &report.modus_operandi.as_ref().unwrap().text;
        assert!(text.ends_with("characters more are not imported)"), "{}", &text[text.len() - 100..]);
        crate::from_json(crate::to_json(&report).as_bytes()).unwrap();
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let keys = [
            "id",
            "event_type",
            "time",
            "location",
            "latitude",
            "longitude",
            "event_details",
            "species",
            "title",
            "type",
            "features",
            "properties",
            "geometry",
            "coordinates",
            "dateTime",
            "smartAttributes",
            "observationGroups",
            "observations",
            "category",
            "attributes",
            "attachments",
            "data",
            "results",
            "comment",
            "incidentId",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(Value::from("Feature")),
            Just(Value::from("FeatureCollection")),
        ];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
            ]
        })
    }

    fn texts(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => out.push(text.clone()),
            Value::Array(rows) => rows.iter().for_each(|row| texts(row, out)),
            Value::Object(fields) => fields.values().for_each(|value| texts(value, out)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop((earthranger(&bytes), smart(&bytes)));
        }

        /// Whatever its shape: a draft can be sealed, and every text of the event is in it.
        #[test]
        fn no_text_is_lost(details in any_json(), other in any_json()) {
            let events = [
                serde_json::json!({"event_type": "x", "time": "2026-11-24T10:00:00Z", "event_details": details, "reported_by": other}),
                serde_json::json!({"type": "Feature", "geometry": other, "properties": {"smartFeatureType": "y", "smartAttributes": details}}),
            ];
            for (event, import) in events.iter().zip([earthranger as fn(&[u8]) -> _, smart]) {
                let Ok(reports) = import(event.to_string().as_bytes()) else { continue };
                prop_assert_eq!(reports.len(), 1);
                let json = crate::to_json(&reports[0]);
                crate::from_json(json.as_bytes()).expect("a draft is a report");
                let (mut said, mut wanted) = (Vec::new(), Vec::new());
                texts(&serde_json::from_str(&json).unwrap(), &mut said);
                texts(event, &mut wanted);
                let said = said.join("\n");
                for text in wanted.iter().filter(|text| *text != "Feature" && !text.starts_with("2026")) {
                    prop_assert!(said.contains(text.as_str()), "{text:?} is not in {said:?}");
                }
            }
        }

        #[test]
        fn no_shape_panics(value in any_json()) {
            let text = value.to_string();
            drop((earthranger(text.as_bytes()), smart(text.as_bytes())));
        }
    }
}
