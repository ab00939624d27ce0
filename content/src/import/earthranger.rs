//! Events of EarthRanger.

use serde_json::{Map, Value};

use super::{Draft, ImportError, degrees, drafts, read};
use crate::v1::EcoMessage;

/// Reads events of EarthRanger, as its API gives them (`/api/v1.0/activity/events`, `/event/ID`), into drafts of a report.
///
/// Taken are at most [`super::IMPORT_BYTES_MAX`] bytes with one event, an array of them, or either under `data`, `results` or
/// `data.results`. Of each is assumed: `event_type` is a name in the words of its own site; `time` is RFC 3339; `location` has
/// `latitude` and `longitude` in degrees (WGS 84), or is null; keys of `event_details` are those of the site's forms and end with
/// what they ask for, such as `carcassrep_species`. Placed are `id`, `time`, `location`, a species and a number of animals; crime
/// area and what happened are guessed from `event_type` and for the officer to confirm. Everything else is text: `priority`,
/// `reported_by`, notes, names of files (the files stay where they are). One page is read, `next` is not followed.
///
/// # Errors
/// [`ImportError`] when it is no JSON, too much, or an event has no `event_type`.
pub fn earthranger(bytes: &[u8]) -> Result<Vec<EcoMessage>, ImportError> {
    drafts(events(read(bytes)?), "event_type", draft)
}

fn events(value: Value) -> Vec<Value> {
    match value {
        Value::Array(events) => events,
        Value::Object(mut fields) if !fields.contains_key("event_type") => {
            let inner =
                ["data", "results"].iter().find_map(|name| fields.remove(*name).filter(|value| value.is_object() || value.is_array()));
            inner.map_or_else(|| vec![Value::Object(fields)], events)
        }
        one => vec![one],
    }
}

fn draft(mut event: Map<String, Value>) -> Option<EcoMessage> {
    let event_type = event.get("event_type")?.as_str()?.to_owned();
    let mut draft = Draft::new("EarthRanger");
    if let Some(title) = event.remove("title") {
        super::flatten(&title, "title", &mut draft.lines);
    }
    draft.number(event.remove("id"), "id");
    draft.time(event.remove("time"), "time");
    if let Some(Value::Object(location)) = event.get_mut("location")
        && draft.position(degrees(location.get("latitude")), degrees(location.get("longitude")))
    {
        location.remove("latitude");
        location.remove("longitude");
    }
    if let Some(Value::Object(details)) = event.get_mut("event_details") {
        draft.goods(details);
    }
    draft.guess(&event_type);
    draft.tag(&event_type);
    Some(draft.finish(&Value::Object(event)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::{Expect, expect};

    use super::super::tests::shown;
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &Expect) {
        expected.assert_eq(&shown(earthranger(json.as_bytes()).unwrap()));
    }

    const EVENT: &str = r#"{"id":"7d2a9c4e-0000-4000-8000-000000000001","serial_number":4711,"event_type":"carcass_rep","priority":300,
        "title":"Elephant carcass","time":"2026-11-24T13:00:00.123+03:00","location":{"latitude":-2.65432101,"longitude":"37.2606"},
        "event_details":{"carcassrep_species":"elephant","carcassrep_causeofdeath":"unnatural - shot","carcassrep_numberanimals":2},
        "reported_by":{"content_type":"accounts.user","first_name":"A","last_name":"Ranger"},"notes":[{"text":"tusks are gone"}],
        "files":[],"end_time":null}"#;

    #[test]
    fn an_event_is_a_draft() {
        check(
            EVENT,
            &expect![[r#"
            heading.report_type: initial
            heading.agency_reference: 7d2a9c4e-0000-4000-8000-000000000001
            heading.crime_area: wildlife
            incident.what: detection
            incident.at: 2026-11-24T10:00:00Z
            incident.at_precision: minute
            incident.place.latitude_e7: -26543210
            incident.place.longitude_e7: 372606000
            incident.place.precision_m: 100
            goods[1].taxon: elephant
            goods[1].quantity: 2 specimens
            modus_operandi.text: title: Elephant carcass
            event_details.carcassrep_causeofdeath: unnatural - shot
            event_type: carcass_rep
            notes[1].text: tusks are gone
            priority: 300
            reported_by.content_type: accounts.user
            reported_by.first_name: A
            reported_by.last_name: Ranger
            serial_number: 4711
            modus_operandi.tags: imported from EarthRanger
            modus_operandi.tags: carcass_rep
        "#]],
        );
    }

    #[test]
    fn events_stand_alone_in_lists_and_under_names() {
        for (json, count) in [
            (EVENT.to_owned(), 1),
            (format!("[{EVENT},{EVENT}]"), 2),
            (format!(r#"{{"count":2,"next":null,"results":[{EVENT},{EVENT}]}}"#), 2),
            (format!(r#"{{"data":{{"count":1,"results":[{EVENT}]}},"status":{{"code":200}}}}"#), 1),
            (format!(r#"{{"data":{EVENT},"status":{{"code":200}}}}"#), 1),
            (r#"{"data":{"results":[]}}"#.to_owned(), 0),
        ] {
            assert_eq!(earthranger(json.as_bytes()).unwrap().len(), count, "{json}");
        }
    }

    #[test]
    fn what_is_not_known_stays_as_it_came() {
        check(
            r#"{"event_type":"fence_rep","time":"last night","location":{"latitude":123,"longitude":4},"id":7}"#,
            &expect![[r#"
            heading.report_type: initial
            incident.what: detection
            incident.at: last night
            incident.at_precision: unknown
            modus_operandi.text: id: 7
            event_type: fence_rep
            location.latitude: 123
            location.longitude: 4
            modus_operandi.tags: imported from EarthRanger
            modus_operandi.tags: fence_rep
            ! heading.crime_area is missing: wildlife, fisheries, forestry, mining, pollution_waste, other
            ! incident.at "last night" is no time like 2026-11-24T10:00:00Z
            ! incident.place is missing
            ! goods are missing
        "#]],
        );
        check(
            r#"{"event_type":"waste_dumping","time":"2026-11-24T10:00:00Z","location":null}"#,
            &expect![[r#"
            heading.report_type: initial
            heading.crime_area: pollution_waste
            incident.what: dumping
            incident.at: 2026-11-24T10:00:00Z
            incident.at_precision: minute
            modus_operandi.text: event_type: waste_dumping
            modus_operandi.tags: imported from EarthRanger
            modus_operandi.tags: waste_dumping
            ! incident.place is missing
            ! goods are missing
        "#]],
        );
    }
}
