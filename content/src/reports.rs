//! The ECOMESSAGE as the type that its makers and exporters use; everything is done by [`Payload`].

use crate::v1::EcoMessage;
use crate::{ContentError, Form, Payload, Warning};

/// Looks through a report, and writes beside each identifier what its check makes of it.
pub fn check(report: &mut EcoMessage) -> Vec<Warning> {
    let mut payload = Payload::from(&*report);
    let warnings = payload.check();
    if let Some(checked) = payload.report() {
        *report = checked;
    }
    warnings
}

/// Reads a report from JSON.
///
/// # Errors
/// [`ContentError`] names the place, or the field that is not known.
pub fn from_json(text: &[u8]) -> Result<EcoMessage, ContentError> {
    Payload::from_json(Form::Ecomessage, text)?.message_as()
}

/// A report as JSON, on one line.
#[must_use]
pub fn to_json(report: &EcoMessage) -> String {
    Payload::from(report).to_json()
}

/// Reads a report as it was sealed; fields of a later version are not kept.
///
/// # Errors
/// [`ContentError`] when it is none, or too large.
pub fn decode(bytes: &[u8]) -> Result<EcoMessage, ContentError> {
    Payload::decode(Form::Ecomessage, bytes)?.message_as()
}

/// A report as it is sealed.
#[must_use]
pub fn encode(report: &EcoMessage) -> Vec<u8> {
    Payload::from(report).encode()
}

/// Every field that says something, a line each: path and value; sections in the order of the form.
#[must_use]
pub fn lines(report: &EcoMessage) -> Vec<(String, String)> {
    Payload::from(report).lines()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{REPORT_BYTES_MAX, TEXT_CHARS_MAX};

    #[track_caller]
    fn check(text: &str, why: &str) {
        let error = from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }

    #[test]
    fn a_report_goes_through_json_and_bytes() {
        let text = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"a_new_word","place":{"latitudeE7":-40123456}},"goods":[{"term":"tusks","quantity":{"mantissa":312,"unit":"kg"}}]}"#;
        let report = from_json(text.as_bytes()).unwrap();
        assert_eq!(report.incident.as_ref().unwrap().what, "a_new_word", "a word of a later list is kept");
        assert_eq!(to_json(&report), text);
        assert_eq!(decode(&encode(&report)).unwrap(), report);
        // The names of the proto file are read, too.
        let other = text.replace("reportType", "report_type").replace("latitudeE7", "latitude_e7");
        assert_eq!(from_json(other.as_bytes()).unwrap(), report);
    }

    #[test]
    fn what_is_no_report_is_refused_by_its_place() {
        check("", "EOF");
        check("[]", "invalid type");
        check(r#"{"goods":[{"what":"x"}]}"#, "what");
        check(r#"{"heading":{"reportType":7}}"#, "invalid type");
        check(r#"{"heading":{}} {}"#, "trailing");
        check(r#"{"goods":[{"quantity":{"mantissa":-1}}]}"#, "out of range");
        let rows = vec!["{}"; 65].join(",");
        check(&format!(r#"{{"persons":[{rows}]}}"#), "ecowire.content.v1.EcoMessage.persons has 65 rows");
        check(&format!(r#"{{"modusOperandi":{{"text":"{}"}}}}"#, "x".repeat(TEXT_CHARS_MAX + 1)), "characters");
        assert!(matches!(from_json(&vec![b' '; REPORT_BYTES_MAX + 1]), Err(ContentError::Bytes(_))));
        assert!(matches!(decode(&[0x0a, 0xff]), Err(ContentError::Protobuf(_))));
        assert!(matches!(decode(&[0x1a, 0].repeat(100_000)), Err(ContentError::TooMuch { what: "rows", count: 100_000, .. })));
    }
}
