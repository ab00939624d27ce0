//! What a report lacks, or says that cannot be: warnings, never a refusal. Identifiers get their one spelling and their check
//! beside what was observed.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identifiers::{Kind, Outcome, examine};
use crate::v1::{EcoMessage, Goods, Identifier, Organisation, Person, Transport};
use crate::words;

/// Something that an officer should look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where: `goods[1].hs`; rows count from 1.
    pub path: String,
    /// What.
    pub text: String,
}

/// Looks through a report, and writes beside each identifier what its check makes of it.
pub fn check(report: &mut EcoMessage) -> Vec<Warning> {
    let mut look = Look::default();
    let heading = report.heading.get_or_insert_default();
    look.word("heading.report_type", "Heading.report_type", &heading.report_type, true);
    look.word("heading.crime_area", "Heading.crime_area", &heading.crime_area, true);
    look.word("heading.iccs", "Heading.iccs", &heading.iccs, false);
    look.words("heading.linked_crimes", "Heading.linked_crimes", &heading.linked_crimes);
    look.word("heading.language", "Heading.language", &heading.language, false);
    if heading.report_type != "initial" && !heading.report_type.is_empty() && heading.supersedes.is_empty() {
        look.warn("heading.supersedes", "is missing: which report does this one follow?".to_owned());
    }
    let incident = report.incident.get_or_insert_default();
    look.word("incident.what", "Incident.what", &incident.what, true);
    look.word("incident.at_precision", "Incident.at_precision", &incident.at_precision, false);
    look.words("incident.detection", "Incident.detection", &incident.detection);
    look.time("incident.at", &incident.at, true);
    if let Some(place) = &mut incident.place {
        look.identifier("incident.place.locode", Kind::Locode, &mut place.locode);
        let sound = place.latitude_e7.unsigned_abs() <= 900_000_000 && place.longitude_e7.unsigned_abs() <= 1_800_000_000;
        if place.locode.is_none() && place.text.is_empty() && place.precision_m == 0 {
            look.warn("incident.place", "is missing".to_owned());
        }
        if !sound {
            look.warn("incident.place", "lies on no globe: degrees x 10^7 are asked for".to_owned());
        }
    } else {
        look.warn("incident.place", "is missing".to_owned());
    }
    if report.goods.is_empty() {
        look.warn("goods", "are missing".to_owned());
    }
    report.goods.iter_mut().enumerate().for_each(|(at, goods)| look.goods(&format!("goods[{}]", at + 1), goods));
    report.persons.iter_mut().enumerate().for_each(|(at, person)| look.person(&format!("persons[{}]", at + 1), person));
    report.organisations.iter_mut().enumerate().for_each(|(at, one)| look.organisation(&format!("organisations[{}]", at + 1), one));
    report.transports.iter_mut().enumerate().for_each(|(at, one)| look.transport(&format!("transports[{}]", at + 1), one));
    for (at, evidence) in report.evidence.iter().enumerate() {
        let digest = evidence.sha256.len() == 64 && evidence.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digest {
            look.warn(&format!("evidence[{}].sha256", at + 1), "is not 64 hexadecimal digits".to_owned());
        }
    }
    report.requests.iter().enumerate().for_each(|(at, ask)| look.time(&format!("requests[{}].reply_due", at + 1), &ask.reply_due, false));
    if let Some(grading) = &report.grading {
        look.word("grading.source", "Grading.source", &grading.source, false);
        look.word("grading.information", "Grading.information", &grading.information, false);
    }
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

    fn word(&mut self, path: &str, field: &str, value: &str, wanted: bool) {
        let known = words::of(field);
        if value.is_empty() {
            if wanted {
                self.warn(path, format!("is missing: {}", known.join(", ")));
            }
        } else if !known.contains(&value) {
            let some = known.iter().take(WORDS_NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if known.len() > WORDS_NAMED { ", ..." } else { "" };
            self.warn(path, format!("{value:?} is no word that is known here: {some}{more}"));
        }
    }

    fn words(&mut self, path: &str, field: &str, values: &[String]) {
        values.iter().for_each(|value| self.word(path, field, value, false));
    }

    fn time(&mut self, path: &str, value: &str, wanted: bool) {
        if value.is_empty() {
            if wanted {
                self.warn(path, "is missing".to_owned());
            }
        } else if OffsetDateTime::parse(value, &Rfc3339).is_err() {
            self.warn(path, format!("{value:?} is no time like 2026-11-24T10:00:00Z"));
        }
    }

    fn country(&mut self, path: &str, value: &str) {
        let formed = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
        if !value.is_empty() && !formed {
            self.warn(path, format!("{value:?} is no country of two capital letters (ISO 3166-1)"));
        }
    }

    fn identifier(&mut self, path: &str, kind: Kind, identifier: &mut Option<Identifier>) {
        let Some(identifier) = identifier else { return };
        let (normalized, outcome) = examine(kind, &identifier.raw);
        (identifier.normalized, identifier.check) = (normalized, outcome.word().to_owned());
        match outcome {
            Outcome::BadCheckDigit => self.warn(path, format!("{:?} has another check digit; kept as observed", identifier.raw)),
            Outcome::BadForm => self.warn(path, format!("{:?} has not the form of such a number; kept as observed", identifier.raw)),
            Outcome::Ok | Outcome::NotChecked => {}
        }
    }

    fn goods(&mut self, path: &str, goods: &mut Goods) {
        self.word(&format!("{path}.cites_appendix"), "Goods.cites_appendix", &goods.cites_appendix, false);
        if goods.taxon.is_empty() && goods.term.is_empty() {
            self.warn(&format!("{path}.taxon"), "is missing: which goods?".to_owned());
        }
        self.word(&format!("{path}.term"), "Goods.term", &goods.term, false);
        match &goods.quantity {
            Some(quantity) => {
                self.word(&format!("{path}.quantity.unit"), "Quantity.unit", &quantity.unit, true);
                if quantity.exponent.unsigned_abs() > 9 {
                    self.warn(&format!("{path}.quantity.exponent"), "is not -9 to 9".to_owned());
                }
            }
            None => self.warn(&format!("{path}.quantity"), "is missing".to_owned()),
        }
        for permit in &mut goods.permits {
            let mut one = Some(std::mem::take(permit));
            self.identifier(&format!("{path}.permits"), Kind::Other, &mut one);
            *permit = one.unwrap_or_default();
        }
        self.identifier(&format!("{path}.hs"), Kind::Hs, &mut goods.hs);
        self.identifier(&format!("{path}.basel"), Kind::Basel, &mut goods.basel);
        self.identifier(&format!("{path}.un"), Kind::Un, &mut goods.un);
    }

    fn person(&mut self, path: &str, person: &mut Person) {
        self.word(&format!("{path}.sex"), "Person.sex", &person.sex, false);
        person.nationalities.iter().for_each(|country| self.country(&format!("{path}.nationalities"), country));
        for (at, document) in person.documents.iter_mut().enumerate() {
            self.identifier(&format!("{path}.documents[{}].number", at + 1), Kind::Other, &mut document.number);
            self.country(&format!("{path}.documents[{}].country", at + 1), &document.country);
        }
    }

    fn organisation(&mut self, path: &str, organisation: &mut Organisation) {
        self.identifier(&format!("{path}.registration"), Kind::Other, &mut organisation.registration);
        self.country(&format!("{path}.country"), &organisation.country);
    }

    fn transport(&mut self, path: &str, transport: &mut Transport) {
        self.word(&format!("{path}.mode"), "Transport.mode", &transport.mode, false);
        if let Some(vessel) = &mut transport.vessel {
            self.identifier(&format!("{path}.vessel.imo"), Kind::ImoShip, &mut vessel.imo);
            self.identifier(&format!("{path}.vessel.mmsi"), Kind::Mmsi, &mut vessel.mmsi);
            self.country(&format!("{path}.vessel.flag"), &vessel.flag);
        }
        let waybill = if transport.mode == "air" { Kind::AirWaybill } else { Kind::Other };
        for (name, kind, identifier) in [
            ("container", Kind::Container, &mut transport.container),
            ("seal", Kind::Other, &mut transport.seal),
            ("aircraft", Kind::Other, &mut transport.aircraft),
            ("plate", Kind::Other, &mut transport.plate),
            ("vin", Kind::Vin, &mut transport.vin),
            ("waybill", waybill, &mut transport.waybill),
        ] {
            self.identifier(&format!("{path}.{name}"), kind, identifier);
        }
        transport.legs.iter().for_each(|leg| self.word(&format!("{path}.legs.role"), "Leg.role", &leg.role, false));
    }
}

/// Words that a warning names.
const WORDS_NAMED: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::{Expect, expect};

    use super::*;

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
}
