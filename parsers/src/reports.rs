//! Reports, as JSON from a file and as protobuf from a message that was opened.

use content::v1::EcoMessage;

/// JSON, or protobuf: what is read is written and read again the same; looking through it twice finds the same.
pub(crate) fn report(bytes: &[u8]) -> bool {
    let by_json = content::from_json(bytes).ok();
    let by_wire = content::decode(bytes).ok();
    by_json.iter().chain(&by_wire).for_each(keeps_its_promises);
    by_json.is_some() || by_wire.is_some_and(|report| report != EcoMessage::default())
}

fn keeps_its_promises(report: &EcoMessage) {
    assert_eq!(content::decode(&content::encode(report)).as_ref().ok(), Some(report), "a report that reads itself differently");
    let json = content::to_json(report);
    if json.len() <= content::REPORT_BYTES_MAX {
        assert_eq!(content::from_json(json.as_bytes()).as_ref().ok(), Some(report), "{json}");
    }
    let mut once = report.clone();
    let found = content::check(&mut once);
    let mut twice = once.clone();
    assert_eq!((content::check(&mut twice), &twice), (found, &once), "a second look finds something else");
    let raw = |report: &EcoMessage| report.transports.iter().filter_map(|one| one.container.clone()).map(|one| one.raw).collect::<Vec<_>>();
    assert_eq!(raw(&once), raw(report), "what was observed is changed");
    drop(content::lines(&once));
}

pub(crate) fn report_seeds() -> Vec<Vec<u8>> {
    let json = r#"{"heading":{"reportType":"initial","crimeArea":"fisheries","linkedCrimes":["fraud"]},
        "incident":{"what":"seizure","at":"2026-11-24T10:00:00Z","place":{"locode":{"raw":"KEMBA"},"latitudeE7":-40123456,"precisionM":50}},
        "goods":[{"taxon":"Thunnus","quantity":{"mantissa":45,"exponent":-1,"unit":"t"},"hs":{"raw":"0303.42"},"basel":{"raw":"Y48"}}],
        "transports":[{"mode":"sea","vessel":{"imo":{"raw":"IMO 9074729"},"mmsi":{"raw":"366999712"}},"container":{"raw":"CSQU3054383"}}]}"#;
    let report = content::from_json(json.as_bytes()).expect("a report");
    vec![json.as_bytes().to_vec(), content::to_json(&report).into_bytes(), content::encode(&report)]
}
