//! What lists say otherwise than a message: warnings, never a refusal.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::Packs;
use crate::Warning;

/// Compares every place, vessel and kind of goods in a message whose identifiers are checked.
pub(crate) fn compare(message: &DynamicMessage, packs: &Packs) -> Vec<Warning> {
    let at = inner(message, "incident").map_or_else(|| text(message, "at"), |incident| text(&incident, "at"));
    let mut look = Look { packs, at, origins: origins(message), warnings: Vec::new() };
    look.message("", message);
    look.warnings
}

struct Look<'a> {
    packs: &'a Packs,
    /// When it happened; appendices are those of that day.
    at: String,
    origins: Vec<String>,
    warnings: Vec<Warning>,
}

impl Look<'_> {
    fn warn(&mut self, path: &str, field: &str, text: String) {
        self.warnings.push(Warning { path: format!("{path}.{field}"), text });
    }

    fn message(&mut self, path: &str, message: &DynamicMessage) {
        match message.descriptor().name() {
            "Goods" => self.goods(path, message),
            "Vessel" => self.vessel(path, message),
            "Place" => self.code(path, "locode", message, self.packs.locodes.as_ref()),
            _ => {}
        }
        for (field, value) in message.fields() {
            let name = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
            match value {
                Value::Message(inner) => self.message(&name, inner),
                Value::List(rows) => {
                    for (at, inner) in rows.iter().filter_map(Value::as_message).enumerate() {
                        self.message(&format!("{name}[{}]", at + 1), inner);
                    }
                }
                _ => {}
            }
        }
    }

    fn goods(&mut self, path: &str, goods: &DynamicMessage) {
        self.code(path, "hs", goods, self.packs.hs.as_ref());
        let (taxon, given) = (text(goods, "taxon"), text(goods, "cites_appendix"));
        let taxa = self.packs.taxa();
        // Without one origin, what holds for any population may be meant.
        let listed: Vec<&str> = match &self.origins[..] {
            [country] => taxa.appendix(&taxon, country, &self.at).into_iter().flat_map(|one| one.split('/')).collect(),
            _ => taxa.appendices(&taxon, &self.at),
        };
        if given.is_empty() || listed.is_empty() || listed.contains(&given.as_str()) {
            return;
        }
        let mut listed = listed.clone();
        listed.sort_unstable();
        listed.dedup();
        let (day, header) = (self.at.get(..10).unwrap_or_default(), taxa.header());
        let said = format!("is {given}; {taxon} was in {} on {day}, by {} of {}", listed.join(" or "), header.name, header.date);
        self.warn(path, "cites_appendix", said);
    }

    fn vessel(&mut self, path: &str, vessel: &DynamicMessage) {
        let mmsi = inner(vessel, "mmsi").map(|mmsi| text(&mmsi, "normalized")).unwrap_or_default();
        let flag = text(vessel, "flag");
        let Some(country) = self.packs.country_of_mmsi(&mmsi).filter(|country| !flag.is_empty() && *country != flag) else { return };
        let said = format!("is {flag}; the MMSI {mmsi} is one of {country}");
        self.warn(path, "flag", said);
    }

    fn code(&mut self, path: &str, field: &str, message: &DynamicMessage, codes: Option<&super::Codes>) {
        let code = inner(message, field).map(|one| text(&one, "normalized")).unwrap_or_default();
        let Some(codes) = codes.filter(|codes| !code.is_empty() && codes.name(&code).is_none()) else { return };
        let said = format!("{code} is not in {} of {}", codes.header().name, codes.header().date);
        self.warn(path, field, said);
    }
}

/// Countries in which the routes begin; a place of a route is a country or a UN/LOCODE.
fn origins(message: &DynamicMessage) -> Vec<String> {
    let mut origins: Vec<String> = rows(message, "transports")
        .iter()
        .flat_map(|transport| rows(transport, "legs"))
        .filter(|leg| text(leg, "role") == "origin")
        .filter_map(|leg| text(&leg, "at").get(..2).map(str::to_owned))
        .filter(|country| country.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

fn rows(message: &DynamicMessage, field: &str) -> Vec<DynamicMessage> {
    let value = message.get_field_by_name(field);
    let rows = value.as_ref().and_then(|value| value.as_list()).unwrap_or_default();
    rows.iter().filter_map(|row| row.as_message().cloned()).collect()
}

fn inner(message: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    message.get_field_by_name(field).and_then(|value| value.as_message().cloned())
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::{Expect, expect};

    use crate::packs::{Pack, Packs};
    use crate::{Form, Payload};

    fn report(appendix: &str, taxon: &str, at: &str, origin: &str) -> String {
        format!(
            r#"{{"heading":{{"reportType":"initial","crimeArea":"wildlife"}},"incident":{{"what":"seizure","at":"{at}","place":{{"locode":{{"raw":"KEMBA"}}}}}},
            "goods":[{{"taxon":"{taxon}","citesAppendix":"{appendix}","quantity":{{"mantissa":1,"unit":"kg"}}}}],
            "transports":[{{"legs":[{{"at":"{origin}","role":"origin"}}]}}]}}"#
        )
    }

    #[track_caller]
    fn check(form: Form, json: &str, packs: &Packs, expected: &Expect) {
        let mut payload = Payload::from_json(form, json.as_bytes()).unwrap();
        let warnings: String = payload.check_with(packs).iter().map(|warning| format!("{} {}\n", warning.path, warning.text)).collect();
        expected.assert_eq(&warnings);
    }

    #[test]
    fn an_appendix_is_that_of_the_events_day_and_origin() {
        let (packs, none) = (Packs::built_in(), expect![[""]]);
        let day = "2026-11-24T10:00:00Z";
        for sound in [
            report("I", "Loxodonta africana", day, "KEMBA"),
            report("II", "Loxodonta africana", day, "BW"),
            // Nobody says where it comes from.
            report("II", "Loxodonta africana", day, ""),
            report("III", "a bird", day, "KEMBA"),
            report("", "Loxodonta africana", day, "KEMBA"),
        ] {
            check(Form::Ecomessage, &sound, &packs, &none);
        }
        check(
            Form::Ecomessage,
            &report("II", "Loxodonta africana", day, "KEMBA"),
            &packs,
            &expect![[r#"
            goods[1].cites_appendix is II; Loxodonta africana was in I on 2026-11-24, by CITES, a few taxa of 2025-02-07
        "#]],
        );
        check(
            Form::Ecomessage,
            &report("III", "Loxodonta africana", day, ""),
            &packs,
            &expect![[r#"
            goods[1].cites_appendix is III; Loxodonta africana was in I or II on 2026-11-24, by CITES, a few taxa of 2025-02-07
        "#]],
        );
        check(
            Form::Ecomessage,
            &report("I", "Manis javanica", "2016-05-01T00:00:00Z", "ID"),
            &packs,
            &expect![[r#"
            goods[1].cites_appendix is I; Manis javanica was in II on 2016-05-01, by CITES, a few taxa of 2025-02-07
        "#]],
        );
    }

    #[test]
    fn a_flag_is_that_of_the_identity_and_codes_are_looked_up() {
        let mut packs = Packs::built_in();
        let seizure = r#"{"at":"2026-11-24T10:00:00Z","place":{"locode":{"raw":"KEZZZ"}},"goods":[{"taxon":"Manis","citesAppendix":"II","hs":{"raw":"0507.10"},
            "quantity":{"mantissa":1,"unit":"kg"}}],"transports":[{"vessel":{"mmsi":{"raw":"351234567"},"flag":"KE"}}]}"#;
        check(
            Form::Seizure,
            seizure,
            &packs,
            &expect![[r#"
            goods[1].cites_appendix is II; Manis was in I on 2026-11-24, by CITES, a few taxa of 2025-02-07
            transports[1].vessel.flag is KE; the MMSI 351234567 is one of PA
        "#]],
        );
        for (kind, code) in [("locode", "KEMBA"), ("hs", "050710")] {
            let json = format!(
                r#"{{"name":"{kind}","source":"s","date":"2026-01-01","licence":"l","kind":"{kind}","rows":[{{"code":"{code}"}}]}}"#
            );
            packs.replace(Pack::read(json.as_bytes()).unwrap());
        }
        check(
            Form::Seizure,
            seizure,
            &packs,
            &expect![[r#"
            place.locode KEZZZ is not in locode of 2026-01-01
            goods[1].cites_appendix is II; Manis was in I on 2026-11-24, by CITES, a few taxa of 2025-02-07
            transports[1].vessel.flag is KE; the MMSI 351234567 is one of PA
        "#]],
        );
    }
}
