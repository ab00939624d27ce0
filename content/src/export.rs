//! Reports for statistics: CSV rows and GeoJSON, without persons, organisations and free texts, with days instead of minutes and
//! positions to a tenth of a degree.
//!
//! **Invariant:** what names or describes a person never gets here: only the fields that are listed below are read.

use serde_json::{Value, json};

use crate::v1::{EcoMessage, Goods, Leg, Place};

/// The columns of [`csv`], one row for each of the goods.
pub const CSV_COLUMNS: [&str; 15] = [
    "date",
    "locode",
    "latitude",
    "longitude",
    "crime_area",
    "what",
    "detection",
    "taxon",
    "cites_appendix",
    "term",
    "quantity",
    "unit",
    "mode",
    "origin",
    "destination",
];

/// The columns of [`cites`], those of the CITES annual illegal trade report that a report can fill.
pub const CITES_COLUMNS: [&str; 12] = [
    "Date of seizure",
    "Species",
    "Appendix",
    "Description of specimen",
    "Quantity",
    "Unit",
    "Location of incident",
    "Detection",
    "Mode of transport",
    "Alleged country of origin",
    "Country of transit",
    "Alleged final destination",
];

/// Rows for a spreadsheet (RFC 4180), without their header.
#[must_use]
pub fn csv(report: &EcoMessage) -> String {
    let facts = Facts::of(report);
    let position = facts.position.map(|(latitude, longitude)| [tenth(latitude), tenth(longitude)]).unwrap_or_default();
    let row = |goods: &Goods| {
        let (quantity, unit) = amount(goods);
        record(&[
            facts.day,
            &facts.locode,
            &position[0],
            &position[1],
            facts.crime_area,
            facts.what,
            &facts.detection,
            &goods.taxon,
            &goods.cites_appendix,
            &goods.term,
            &quantity,
            &unit,
            &facts.mode,
            &facts.leg("origin"),
            &facts.leg("destination"),
        ])
    };
    report.goods.iter().map(row).collect()
}

/// Rows of the CITES annual illegal trade report, without their header.
#[must_use]
pub fn cites(report: &EcoMessage) -> String {
    let facts = Facts::of(report);
    let row = |goods: &Goods| {
        let (quantity, unit) = amount(goods);
        record(&[
            facts.day,
            &goods.taxon,
            &goods.cites_appendix,
            &goods.term,
            &quantity,
            &unit,
            &facts.locode,
            &facts.detection,
            &facts.mode,
            &facts.leg("origin"),
            &facts.leg("transit"),
            &facts.leg("destination"),
        ])
    };
    report.goods.iter().map(row).collect()
}

/// A GeoJSON feature (RFC 7946); its geometry is null without a position.
#[must_use]
pub fn geojson(report: &EcoMessage) -> Value {
    let facts = Facts::of(report);
    let goods: Vec<Value> = report
        .goods
        .iter()
        .map(|goods| {
            let (quantity, unit) = amount(goods);
            json!({"taxon": goods.taxon, "term": goods.term, "quantity": quantity, "unit": unit})
        })
        .collect();
    let geometry = facts.position.map(|(latitude, longitude)| {
        let degrees = |tenths: i32| f64::from(tenths) / 10.0;
        json!({"type": "Point", "coordinates": [degrees(longitude), degrees(latitude)]})
    });
    json!({
        "type": "Feature",
        "geometry": geometry,
        "properties": {"date": facts.day, "locode": facts.locode, "crime_area": facts.crime_area, "what": facts.what, "goods": goods},
    })
}

/// A line of a CSV file: quoted where it must be, and no cell that a spreadsheet would compute.
#[must_use]
pub fn record(cells: &[&str]) -> String {
    let cell = |text: &&str| {
        let computes = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
        let safe = if computes { format!("'{text}") } else { (*text).to_owned() };
        if safe.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// What may leave a report.
struct Facts<'a> {
    day: &'a str,
    locode: String,
    /// Latitude and longitude in tenths of a degree.
    position: Option<(i32, i32)>,
    crime_area: &'a str,
    what: &'a str,
    detection: String,
    mode: String,
    legs: Vec<&'a Leg>,
}

impl<'a> Facts<'a> {
    fn of(report: &'a EcoMessage) -> Self {
        let incident = report.incident.as_ref();
        let place = incident.and_then(|incident| incident.place.as_ref());
        let locode = place.and_then(|place| place.locode.as_ref()).map(|locode| locode.normalized.clone());
        Self {
            // A time without a day is no time.
            day: incident.and_then(|incident| incident.at.get(..10)).unwrap_or_default(),
            locode: locode.unwrap_or_default(),
            position: place.and_then(position),
            crime_area: report.heading.as_ref().map_or("", |heading| &heading.crime_area),
            what: incident.map_or("", |incident| &incident.what),
            detection: incident.map(|incident| incident.detection.join("; ")).unwrap_or_default(),
            mode: report.transports.iter().map(|one| one.mode.as_str()).filter(|mode| !mode.is_empty()).collect::<Vec<_>>().join("; "),
            legs: report.transports.iter().flat_map(|one| &one.legs).collect(),
        }
    }

    /// Places of the route with this role.
    fn leg(&self, role: &str) -> String {
        self.legs.iter().filter(|leg| leg.role == role).map(|leg| leg.at.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// To a tenth of a degree, about eleven kilometres; without a precision there is no position.
fn position(place: &Place) -> Option<(i32, i32)> {
    let tenths = |e7: i32| (e7 + if e7 < 0 { -500_000 } else { 500_000 }) / 1_000_000;
    let within = place.latitude_e7.unsigned_abs() <= 900_000_000 && place.longitude_e7.unsigned_abs() <= 1_800_000_000;
    (place.precision_m > 0 && within).then(|| (tenths(place.latitude_e7), tenths(place.longitude_e7)))
}

fn tenth(tenths: i32) -> String {
    format!("{}{}.{}", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
}

fn amount(goods: &Goods) -> (String, String) {
    let quantity = goods.quantity.as_ref();
    quantity.map(|one| (crate::show::decimal(one.mantissa, one.exponent), one.unit.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::expect;

    use super::*;

    /// Says `canary` wherever a person, an organisation or an officer may be described.
    fn report() -> EcoMessage {
        let text = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife","agencyReference":"canary","officerRole":"canary"},
            "incident":{"what":"seizure","at":"2026-11-24T10:17:33Z","detection":["x_ray","dog"],"concealment":"canary",
                "place":{"locode":{"raw":"KEMBA"},"text":"canary","latitudeE7":-40654321,"longitudeE7":396789012,"precisionM":20}},
            "goods":[{"taxon":"=cmd()","citesAppendix":"I","term":"tusks","quantity":{"mantissa":3125,"exponent":-1,"unit":"kg"},"declaredAs":"canary",
                "samples":["canary"],"disposal":"canary","permits":[{"raw":"canary"}]},{"taxon":"Panthera leo, skins","quantity":{"mantissa":2,"unit":"pieces"}}],
            "persons":[{"names":["canary"],"role":"canary","born":"1980","documents":[{"number":{"raw":"canary"}}]}],
            "organisations":[{"name":"canary","registration":{"raw":"canary"}}],
            "transports":[{"mode":"sea","container":{"raw":"CSQU3054383"},"plate":{"raw":"canary"},"vessel":{"name":"canary"},
                "legs":[{"at":"UGKLA","role":"origin"},{"at":"KEMBA","role":"transit"},{"at":"THLCH","role":"destination"}]}],
            "modusOperandi":{"text":"canary","tags":["canary"]},"evidence":[{"caption":"canary","custody":["canary"]}],
            "requests":[{"question":"canary"}],"grading":{"handlingText":"canary"}}"#;
        let mut report = crate::from_json(text.as_bytes()).unwrap();
        crate::check(&mut report);
        report
    }

    #[test]
    fn rows_and_features_hold_nobody() {
        let report = report();
        let text = format!("{}{}{}", csv(&report), cites(&report), geojson(&report));
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains("10:17") && !text.contains("4.06") && !text.contains("CSQU"), "{text}");
    }

    #[test]
    fn what_is_counted_is_there() {
        let report = report();
        expect![[r#"
            2026-11-24,KEMBA,-4.1,39.7,wildlife,seizure,x_ray; dog,'=cmd(),I,tusks,312.5,kg,sea,UGKLA,THLCH
            2026-11-24,KEMBA,-4.1,39.7,wildlife,seizure,x_ray; dog,"Panthera leo, skins",,,2,pieces,sea,UGKLA,THLCH
        "#]]
        .assert_eq(&csv(&report).replace("\r\n", "\n"));
        expect![[r#"
            2026-11-24,'=cmd(),I,tusks,312.5,kg,KEMBA,x_ray; dog,sea,UGKLA,KEMBA,THLCH
            2026-11-24,"Panthera leo, skins",,,2,pieces,KEMBA,x_ray; dog,sea,UGKLA,KEMBA,THLCH
        "#]]
        .assert_eq(&cites(&report).replace("\r\n", "\n"));
        expect![[r#"{"geometry":{"coordinates":[39.7,-4.1],"type":"Point"},"properties":{"crime_area":"wildlife","date":"2026-11-24","goods":[{"quantity":"312.5","taxon":"=cmd()","term":"tusks","unit":"kg"},{"quantity":"2","taxon":"Panthera leo, skins","term":"","unit":"pieces"}],"locode":"KEMBA","what":"seizure"},"type":"Feature"}"#]].assert_eq(&geojson(&report).to_string());
        let (columns, cells) = (CSV_COLUMNS.len(), csv(&report).lines().next().unwrap().split(',').count());
        assert_eq!((columns, CITES_COLUMNS.len(), cells), (15, 12, 15));
        assert_eq!(geojson(&EcoMessage::default())["geometry"], Value::Null);
    }

    #[test]
    fn no_cell_computes() {
        assert_eq!(record(&["=1+1", "@x", "-2", "+cmd", "a,b", "say \"x\""]), "'=1+1,'@x,-2,'+cmd,\"a,b\",\"say \"\"x\"\"\"\r\n");
    }
}
