//! What a form lacks, or says that cannot be: warnings, never a refusal. Identifiers get their one spelling and their check beside
//! what was observed.
//!
//! One walk along the descriptors for every form; what is looked for is in `rules` and `words`.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as FieldKind, ReflectMessage as _, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::identifiers::{Kind, Outcome, examine};
use crate::{rules, words};

/// Something that an officer should look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where: `goods[1].hs`; rows count from 1.
    pub path: String,
    /// What.
    pub text: String,
}

/// Looks through a message, and writes beside each identifier what its check makes of it.
pub(crate) fn walk_through(message: &mut DynamicMessage) -> Vec<Warning> {
    let mut look = Look::default();
    look.message("", message);
    look.warnings
}

#[derive(Default)]
struct Look {
    warnings: Vec<Warning>,
}

impl Look {
    fn warn(&mut self, path: &str, text: String) {
        self.warnings.push(Warning { path: path.to_owned(), text });
    }

    fn message(&mut self, path: &str, message: &mut DynamicMessage) {
        let descriptor = message.descriptor();
        for field in descriptor.fields() {
            let key = format!("{}.{}", descriptor.name(), field.name());
            let at = join(path, field.name());
            if key == "Goods.taxon" && text(message, "taxon").is_empty() && text(message, "term").is_empty() {
                self.warn(&at, "is missing: which goods?".to_owned());
            }
            if rules::DIGESTS.contains(&key.as_str()) {
                self.digest(&at, &text(message, field.name()));
            } else if message.has_field(&field) {
                let kind = identifier_kind(&key, message);
                self.value(&at, &key, kind, message.get_field_mut(&field));
            } else {
                self.absent(&at, &key, &field);
            }
        }
        self.whole(path, descriptor.name(), message);
    }

    fn absent(&mut self, path: &str, key: &str, field: &FieldDescriptor) {
        if let (true, FieldKind::Message(inner)) = (rules::OPENED.contains(&key), field.kind()) {
            self.message(path, &mut DynamicMessage::new(inner));
        } else if rules::REQUIRED.contains(&key) {
            let (known, verb) = (words::of(key), if field.is_list() { "are" } else { "is" });
            let which = if known.is_empty() { String::new() } else { format!(": {}", known.join(", ")) };
            self.warn(path, format!("{verb} missing{which}"));
        }
    }

    fn value(&mut self, path: &str, key: &str, kind: Kind, value: &mut Value) {
        match value {
            Value::Message(inner) if inner.descriptor().name() == "Identifier" => self.identifier(path, kind, inner),
            Value::Message(inner) => self.message(path, inner),
            Value::List(rows) => {
                for (at, row) in rows.iter_mut().enumerate() {
                    let row_path = if row.as_message().is_some() { format!("{path}[{}]", at + 1) } else { path.to_owned() };
                    self.value(&row_path, key, kind, row);
                }
            }
            Value::String(text) => self.text(path, key, text),
            _ => {}
        }
    }

    fn text(&mut self, path: &str, key: &str, value: &str) {
        let known = words::of(key);
        if value.is_empty() {
            return;
        }
        if !known.is_empty() && !known.contains(&value) {
            let some = known.iter().take(WORDS_NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if known.len() > WORDS_NAMED { ", ..." } else { "" };
            self.warn(path, format!("{value:?} is no word that is known here: {some}{more}"));
        }
        if rules::TIMES.contains(&key) && instant(value).is_none() {
            self.warn(path, format!("{value:?} is no time like 2026-11-24T10:00:00Z"));
        }
        let country = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
        if rules::COUNTRIES.contains(&key) && !country {
            self.warn(path, format!("{value:?} is no country of two capital letters (ISO 3166-1)"));
        }
    }

    fn digest(&mut self, path: &str, value: &str) {
        if value.len() != 64 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.warn(path, "is not 64 hexadecimal digits".to_owned());
        }
    }

    fn identifier(&mut self, path: &str, kind: Kind, identifier: &mut DynamicMessage) {
        let raw = text(identifier, "raw");
        let (normalized, outcome) = examine(kind, &raw);
        identifier.set_field_by_name("normalized", Value::String(normalized));
        identifier.set_field_by_name("check", Value::String(outcome.word().to_owned()));
        match outcome {
            Outcome::BadCheckDigit => self.warn(path, format!("{raw:?} has another check digit; kept as observed")),
            Outcome::BadForm => self.warn(path, format!("{raw:?} has not the form of such a number; kept as observed")),
            Outcome::Ok | Outcome::NotChecked => {}
        }
    }

    /// What no field says alone.
    fn whole(&mut self, path: &str, name: &str, message: &DynamicMessage) {
        match name {
            "Heading" => {
                let report_type = text(message, "report_type");
                if report_type != "initial" && !report_type.is_empty() && text(message, "supersedes").is_empty() {
                    self.warn(&join(path, "supersedes"), "is missing: which report does this one follow?".to_owned());
                }
            }
            "Place" => self.place(path, message),
            "Quantity" | "Money" if number(message, "exponent").unsigned_abs() > 9 => {
                self.warn(&join(path, "exponent"), "is not -9 to 9".to_owned());
            }
            "Warning" if ["subjects", "goods", "transports"].iter().all(|field| !message.has_field_by_name(field)) => {
                self.warn(&join(path, "subjects"), "are missing: of whom or what is warned?".to_owned());
            }
            "NoticeBody" => {
                let [from, until] = ["valid_from", "valid_until"].map(|field| instant(&text(message, field)));
                if let (Some(from), Some(until)) = (from, until)
                    && until - from > NOTICE_LIFE_MAX
                {
                    self.warn(&join(path, "valid_until"), "is more than five years after valid_from".to_owned());
                }
            }
            _ => {}
        }
        for (_, field, word, wanted) in rules::WHEN.iter().filter(|(of, ..)| *of == name) {
            if text(message, field) == *word && !message.has_field_by_name(wanted) {
                let list = message.descriptor().get_field_by_name(wanted).is_some_and(|field| field.is_list());
                let verb = if list { "are" } else { "is" };
                self.warn(&join(path, wanted), format!("{verb} missing: {field} is {word}"));
            }
        }
        for (_, from, to) in rules::ORDER.iter().filter(|(of, ..)| *of == name) {
            if let (Some(first), Some(last)) = (instant(&text(message, from)), instant(&text(message, to)))
                && last < first
            {
                self.warn(&join(path, to), format!("is before {from}"));
            }
        }
        for (_, wanted) in rules::ABOUT.iter().filter(|(of, _)| *of == name) {
            let about = message.get_field_by_name("about");
            if !about.is_some_and(|about| about.as_message().is_some_and(|about| about.has_field_by_name(wanted))) {
                self.warn(&join(path, &format!("about.{wanted}")), "is missing".to_owned());
            }
        }
    }

    fn place(&mut self, path: &str, place: &DynamicMessage) {
        if !place.has_field_by_name("locode") && text(place, "text").is_empty() && !place.has_field_by_name("precision_m") {
            self.warn(path, "is missing".to_owned());
        }
        let sound =
            number(place, "latitude_e7").unsigned_abs() <= 900_000_000 && number(place, "longitude_e7").unsigned_abs() <= 1_800_000_000;
        if !sound {
            self.warn(path, "lies on no globe: degrees x 10^7 are asked for".to_owned());
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn number(message: &DynamicMessage, field: &str) -> i32 {
    message.get_field_by_name(field).and_then(|value| value.as_i32()).unwrap_or_default()
}

/// A time as forms write it, in milliseconds since the epoch; before 1970, and what is no time, it is none.
///
/// ```
/// assert_eq!(content::instant_ms("1970-01-01T00:00:01.5Z"), Some(1500));
/// assert_eq!(content::instant_ms("tomorrow"), None);
/// ```
#[must_use]
pub fn instant_ms(text: &str) -> Option<u64> {
    u64::try_from(instant(text)?.unix_timestamp_nanos() / 1_000_000).ok()
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// What an identifier is, where another field decides it as well.
fn identifier_kind(key: &str, message: &DynamicMessage) -> Kind {
    match key {
        "Transport.waybill" if text(message, "mode") == "air" => Kind::AirWaybill,
        "Identified.number" => rules::said(&text(message, "kind")),
        _ => rules::IDENTIFIERS.iter().find(|(name, _)| *name == key).map_or(Kind::Other, |(_, kind)| *kind),
    }
}

/// Every field of every form: `Message.field`.
#[cfg(test)]
pub(crate) fn fields() -> std::collections::BTreeSet<String> {
    let mut fields = std::collections::BTreeSet::new();
    let mut messages: Vec<_> = crate::Form::ALL.iter().map(|form| form.descriptor()).collect();
    while let Some(message) = messages.pop() {
        for field in message.fields() {
            fields.insert(format!("{}.{}", message.name(), field.name()));
            if let FieldKind::Message(inner) = field.kind() {
                messages.push(inner);
            }
        }
    }
    fields
}

/// Words that a warning names.
const WORDS_NAMED: usize = 8;
/// Five years: then the source is asked for the notice anew.
const NOTICE_LIFE_MAX: Duration = Duration::days(5 * 366);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::{Expect, expect};

    use crate::v1::EcoMessage;
    use crate::{Form, Payload, check};

    fn run(text: &str, expected: &Expect) -> EcoMessage {
        let mut report = crate::from_json(text.as_bytes()).unwrap();
        let warnings: String = check(&mut report).iter().map(|warning| format!("{} {}\n", warning.path, warning.text)).collect();
        expected.assert_eq(&warnings);
        report
    }

    #[test]
    fn a_sound_report_is_left_as_it_is_but_for_its_identifiers() {
        let text = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},
            "incident":{"what":"seizure","at":"2026-11-24T10:00:00Z","place":{"locode":{"raw":"ke mba"}}},
            "goods":[{"taxon":"Loxodonta africana","term":"tusks","quantity":{"mantissa":312,"unit":"kg"}}],
            "transports":[{"mode":"sea","container":{"raw":"CSQU 305438 3"}}]}"#;
        let report = run(text, &expect![[r#""#]]);
        let container = report.transports[0].container.as_ref().unwrap();
        assert_eq!(
            (container.raw.as_str(), container.normalized.as_str(), container.check.as_str()),
            ("CSQU 305438 3", "CSQU3054383", "ok")
        );
    }

    #[test]
    fn what_lies_or_lacks_is_said_and_kept() {
        let text = r#"{"heading":{"reportType":"supplement","crimeArea":"space"},
            "incident":{"at":"yesterday","place":{"locode":{"raw":"KEMB1"},"latitudeE7":2000000000}},
            "goods":[{"quantity":{"exponent":12},"hs":{"raw":"77"}}],
            "persons":[{"nationalities":["Kenya"]}],
            "transports":[{"container":{"raw":"CSQU3054384"},"vessel":{"imo":{"raw":"9074720"},"flag":"pa"}}],
            "evidence":[{"sha256":"00"}],"grading":{"source":"Z"}}"#;
        let report = run(
            text,
            &expect![[r#"
                heading.crime_area "space" is no word that is known here: wildlife, fisheries, forestry, mining, pollution_waste, other
                heading.supersedes is missing: which report does this one follow?
                incident.what is missing: seizure, detection, interception, refusal_of_entry, arrest, discharge, dumping, inspection_finding
                incident.at "yesterday" is no time like 2026-11-24T10:00:00Z
                incident.place.locode "KEMB1" has not the form of such a number; kept as observed
                incident.place lies on no globe: degrees x 10^7 are asked for
                goods[1].taxon is missing: which goods?
                goods[1].quantity.unit is missing: kg, g, mg, t, l, ml, m3, m2, m, cm, pieces, specimens, boxes, sets, pairs
                goods[1].quantity.exponent is not -9 to 9
                goods[1].hs "77" has not the form of such a number; kept as observed
                persons[1].nationalities "Kenya" is no country of two capital letters (ISO 3166-1)
                transports[1].vessel.imo "9074720" has another check digit; kept as observed
                transports[1].vessel.flag "pa" is no country of two capital letters (ISO 3166-1)
                transports[1].container "CSQU3054384" has another check digit; kept as observed
                evidence[1].sha256 is not 64 hexadecimal digits
                grading.source "Z" is no word that is known here: A, B, C, X
            "#]],
        );
        assert_eq!(report.transports[0].container.as_ref().unwrap().raw, "CSQU3054384");
        assert_eq!(report.incident.unwrap().at, "yesterday");
    }

    #[track_caller]
    fn look(form: &str, text: &str, expected: &Expect) {
        let mut payload = Payload::from_json(Form::of_name(form).unwrap(), text.as_bytes()).unwrap();
        let warnings: String = payload.check().iter().map(|warning| format!("{} {}\n", warning.path, warning.text)).collect();
        expected.assert_eq(&warnings);
    }

    #[test]
    fn a_sound_form_is_left_in_peace() {
        let none = expect![[r#""#]];
        for (form, text) in [
            ("message", r#"{"text":"the container has left"}"#),
            ("request", r#"{"about":{"purpose":"investigation"},"urgency":"urgent","asks":[{"kind":"trace"}]}"#),
            ("reply", r#"{"inReplyTo":"KE/2026/000001","state":"refused","reason":"law"}"#),
            (
                "alert",
                r#"{"subject":{"kind":"vessel","identifiers":[{"kind":"imo","number":{"raw":"9074729"}}]},"place":{"text":"berth 7"},
                    "at":"2026-11-24T10:00:00Z","seen":"unloading","action":"hold"}"#,
            ),
            ("query-result", r#"{"query":"KE/2026/000002","result":"no_hit"}"#),
            (
                "notice",
                r#"{"number":"P-1/2026","status":"published","body":{"colour":"purple","crimeArea":"fisheries","text":"three names",
                    "validFrom":"2026-01-01T00:00:00Z","validUntil":"2031-01-01T00:00:00Z"}}"#,
            ),
            ("service", r#"{"what":"outage","state":"planned","from":"2026-11-24T10:00:00Z","to":"2026-11-24T11:00:00Z"}"#),
        ] {
            look(form, text, &none);
        }
    }

    #[test]
    fn each_form_says_what_it_lacks() {
        look(
            "request",
            r#"{"urgency":"yesterday","subjects":[{"identifiers":[{"kind":"container","number":{"raw":"CSQU3054384"},"country":"x"}]}]}"#,
            &expect![[r#"
                urgency "yesterday" is no word that is known here: urgent, priority, routine
                asks are missing
                subjects[1].kind is missing: person, vehicle, container, vessel, aircraft, goods, document, company, object, modus_operandi
                subjects[1].identifiers[1].number "CSQU3054384" has another check digit; kept as observed
                subjects[1].identifiers[1].country "x" is no country of two capital letters (ISO 3166-1)
                about.purpose is missing
            "#]],
        );
        look(
            "reply",
            r#"{"state":"need_more_time","until":"soon"}"#,
            &expect![[r#"
            in_reply_to is missing
            until "soon" is no time like 2026-11-24T10:00:00Z
        "#]],
        );
        look(
            "reply",
            r#"{"inReplyTo":"KE/2026/000001","state":"refused"}"#,
            &expect![[r#"
            reason is missing: state is refused
        "#]],
        );
        look(
            "warning",
            r#"{"action":"hold","transports":[{"mode":"air","waybill":{"raw":"020-12345676"}}]}"#,
            &expect![[r#"
            transports[1].waybill "020-12345676" has another check digit; kept as observed
        "#]],
        );
        look(
            "warning",
            "{}",
            &expect![[r#"
            action is missing: stop, hold, search, observe, inform, arrest, none
            subjects are missing: of whom or what is warned?
        "#]],
        );
        look(
            "query-result",
            r#"{"query":"KE/2026/000002","result":"hit"}"#,
            &expect![[r#"
            rows are missing: result is hit
        "#]],
        );
        look(
            "query-result",
            r#"{"query":"KE/2026/000002","result":"hit","rows":[{"owner":"ke"}]}"#,
            &expect![[r#"
            rows[1].confidence is missing: exact, probable, possible
            rows[1].before_acting is missing: confirm
        "#]],
        );
        look(
            "notice-request",
            r#"{"body":{"colour":"pink","crimeArea":"wildlife","text":"x","validFrom":"2026-01-01T00:00:00Z","validUntil":"2032-01-01T00:00:00Z"},"notTo":["Kenya"]}"#,
            &expect![[r#"
                body.colour "pink" is no word that is known here: red, blue, green, yellow, black, orange, purple, silver, ...
                body.valid_until is more than five years after valid_from
                not_to "Kenya" is no country of two capital letters (ISO 3166-1)
            "#]],
        );
        look(
            "service",
            r#"{"what":"outage","state":"over","from":"2026-11-24T10:00:00Z","to":"2026-11-24T09:00:00Z"}"#,
            &expect![[r#"
            to is before from
        "#]],
        );
    }
}
