//! Incidents of SMART.

use serde_json::{Map, Value};

use super::{Draft, ImportError, degrees, drafts, flatten, read};
use crate::v1::EcoMessage;

/// Reads incidents of SMART, as GeoJSON of SMART Connect (data type `incident`), into drafts of a report.
///
/// Taken are at most [`super::IMPORT_BYTES_MAX`] bytes with a `FeatureCollection`, a `Feature`, or an array of these. Of each is
/// assumed: `geometry` is a `Point` of longitude and latitude in degrees (WGS 84), and zero and zero where there is none;
/// `properties.dateTime` is the local time of the conservation area and often has no zone, so that it stays as it came and a check
/// says that it is no time; `properties.smartAttributes` (or `properties` itself) has `incidentId` or `incidentUuid`, `comment`,
/// and observations: `observationGroups[].observations[]`, `observations[]`, or itself one, each with a `category` path in the
/// words of the data model and `attributes` by their keys. Placed are position, time, number, and a species and number of animals
/// of each observation; crime area and what happened are guessed from the categories and for the officer to confirm. Everything
/// else is text; of attachments the data are left out, which the text says.
///
/// # Errors
/// [`ImportError`] when it is no JSON, too much, or a feature has no `properties`.
pub fn smart(bytes: &[u8]) -> Result<Vec<EcoMessage>, ImportError> {
    let features = match read(bytes)? {
        Value::Array(features) => features,
        Value::Object(mut collection) => match collection.remove("features") {
            Some(Value::Array(features)) => features,
            _ => vec![Value::Object(collection)],
        },
        other => vec![other],
    };
    drafts(features, "properties", draft)
}

fn draft(mut feature: Map<String, Value>) -> Option<EcoMessage> {
    let Some(Value::Object(mut properties)) = feature.remove("properties") else { return None };
    let mut draft = Draft::new("SMART");
    if feature.get("type").is_some_and(|kind| kind == "Feature") {
        feature.remove("type");
    }
    draft.time(properties.remove("dateTime"), "dateTime");
    let coordinates = feature.get("geometry").filter(|geometry| geometry["type"] == "Point").map(|geometry| &geometry["coordinates"]);
    let [longitude, latitude] = [0, 1].map(|at| degrees(coordinates.and_then(|coordinates| coordinates.get(at))));
    // A third number is a height: it stays as text.
    let flat = coordinates.and_then(Value::as_array).is_some_and(|numbers| numbers.len() == 2);
    if draft.position(latitude, longitude)
        && flat
        && let Some(Value::Object(geometry)) = feature.get_mut("geometry")
    {
        geometry.remove("coordinates");
        geometry.remove("type");
    }
    let mut categories = Vec::new();
    match properties.get_mut("smartAttributes") {
        Some(Value::Object(attributes)) => observed(attributes, &mut draft, &mut categories),
        _ => observed(&mut properties, &mut draft, &mut categories),
    }
    draft.guess(&categories.join(" "));
    categories.iter().for_each(|category| draft.tag(category));
    feature.insert("properties".to_owned(), Value::Object(properties));
    Some(draft.finish(&Value::Object(feature)))
}

/// Places what is known of an incident, and names the categories of what was observed.
fn observed(attributes: &mut Map<String, Value>, draft: &mut Draft, categories: &mut Vec<String>) {
    if let Some(comment) = attributes.remove("comment") {
        flatten(&comment, "comment", &mut draft.lines);
    }
    let number = ["incidentId", "incidentUuid"].into_iter().find(|name| attributes.get(*name).is_some_and(Value::is_string));
    if let Some(name) = number {
        draft.number(attributes.remove(name), name);
    }
    for attachment in attributes.get_mut("attachments").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(data) = attachment.get_mut("data")
            && let Some(text) = data.as_str().filter(|text| text.len() > DATA_BYTES_SHOWN)
        {
            *data = Value::from(format!("({} bytes of base64 are not imported)", text.len()));
        }
    }
    for group in attributes.get_mut("observationGroups").and_then(Value::as_array_mut).into_iter().flatten() {
        for observation in group.get_mut("observations").and_then(Value::as_array_mut).into_iter().flatten() {
            observation.as_object_mut().into_iter().for_each(|observation| one(observation, draft, categories));
        }
    }
    for observation in attributes.get_mut("observations").and_then(Value::as_array_mut).into_iter().flatten() {
        observation.as_object_mut().into_iter().for_each(|observation| one(observation, draft, categories));
    }
    one(attributes, draft, categories);
}

fn one(observation: &mut Map<String, Value>, draft: &mut Draft, categories: &mut Vec<String>) {
    if let Some(category) = observation.get("category").and_then(Value::as_str) {
        categories.push(category.to_owned());
    }
    if let Some(Value::Object(attributes)) = observation.get_mut("attributes") {
        draft.goods(attributes);
    }
}

/// Data of an attachment that are so short are no file.
const DATA_BYTES_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::{Expect, expect};

    use super::super::tests::shown;
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &Expect) {
        expected.assert_eq(&shown(smart(json.as_bytes()).unwrap()));
    }

    #[test]
    fn an_incident_is_a_draft() {
        let data = "QUJD".repeat(100);
        let json = format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","geometry":{{"type":"Point","coordinates":[37.2606,-2.654321]}},
            "properties":{{"dateTime":"2026-11-24T13:00:00","smartDataType":"incident","smartFeatureType":"waypoint/new",
            "smartAttributes":{{"incidentId":"KWS_000012","comment":"two carcasses by the river","leader":"A Ranger",
            "attachments":[{{"filename":"a.jpg","data":"{data}"}}],
            "observationGroups":[{{"observations":[
                {{"category":"animals.carcass","attributes":{{"species":"Loxodonta africana","numberofanimals":2,"cause":"shot"}}}},
                {{"category":"humanactivity.snares","attributes":{{"numberofsnares":7}}}}]}}]}}}}}}]}}"#
        );
        check(
            &json,
            &expect![[r#"
            heading.report_type: initial
            heading.agency_reference: KWS_000012
            heading.crime_area: wildlife
            incident.what: detection
            incident.at: 2026-11-24T13:00:00
            incident.at_precision: unknown
            incident.place.latitude_e7: -26543210
            incident.place.longitude_e7: 372606000
            incident.place.precision_m: 100
            goods[1].taxon: Loxodonta africana
            goods[1].quantity: 2 specimens
            modus_operandi.text: comment: two carcasses by the river
            properties.smartAttributes.attachments[1].data: (400 bytes of base64 are not imported)
            properties.smartAttributes.attachments[1].filename: a.jpg
            properties.smartAttributes.leader: A Ranger
            properties.smartAttributes.observationGroups[1].observations[1].attributes.cause: shot
            properties.smartAttributes.observationGroups[1].observations[1].category: animals.carcass
            properties.smartAttributes.observationGroups[1].observations[2].attributes.numberofsnares: 7
            properties.smartAttributes.observationGroups[1].observations[2].category: humanactivity.snares
            properties.smartDataType: incident
            properties.smartFeatureType: waypoint/new
            modus_operandi.tags: imported from SMART
            modus_operandi.tags: animals.carcass
            modus_operandi.tags: humanactivity.snares
            ! incident.at "2026-11-24T13:00:00" is no time like 2026-11-24T10:00:00Z
        "#]],
        );
    }

    #[test]
    fn other_shapes_are_kept_as_text() {
        check(
            r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[0,0]},"properties":{"dateTime":"2026-11-24T13:00:00+03:00",
            "smartFeatureType":"waypoint/observation","smartAttributes":{"category":"illegal.logging.","attributes":{"tree":"mninga"}}}}"#,
            &expect![[r#"
                heading.report_type: initial
                heading.crime_area: forestry
                incident.what: detection
                incident.at: 2026-11-24T10:00:00Z
                incident.at_precision: minute
                modus_operandi.text: geometry.coordinates[1]: 0
                geometry.coordinates[2]: 0
                geometry.type: Point
                properties.smartAttributes.attributes.tree: mninga
                properties.smartAttributes.category: illegal.logging.
                properties.smartFeatureType: waypoint/observation
                modus_operandi.tags: imported from SMART
                modus_operandi.tags: illegal.logging.
                ! incident.place is missing
                ! goods are missing
            "#]],
        );
        check(
            r#"[{"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]},"properties":{"fid":"9",
            "observations":[{"category":"animals.live","attributes":{"species":"lion"}}]}}]"#,
            &expect![[r#"
                heading.report_type: initial
                heading.crime_area: wildlife
                incident.what: detection
                incident.at_precision: unknown
                goods[1].taxon: lion
                modus_operandi.text: geometry.coordinates[1][1]: 1
                geometry.coordinates[1][2]: 2
                geometry.coordinates[2][1]: 3
                geometry.coordinates[2][2]: 4
                geometry.type: LineString
                properties.fid: 9
                properties.observations[1].category: animals.live
                modus_operandi.tags: imported from SMART
                modus_operandi.tags: animals.live
                ! incident.at is missing
                ! incident.place is missing
                ! goods[1].quantity is missing
            "#]],
        );
    }
}
