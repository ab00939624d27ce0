//! Reports as JSON and as bytes: protobuf's JSON mapping, where both spellings of a name are read and camelCase is written.
//!
//! A field that is not known is refused by its name: a typing error must not lose what it stands for. It does not know what a
//! report should say; `check` does.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, Value};

use crate::v1::EcoMessage;
use crate::{REPORT_BYTES_MAX, ROWS_MAX, TEXT_CHARS_MAX};

/// Why something is no report.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// More than a report may have.
    #[error("it has {0} bytes; a report has at most {REPORT_BYTES_MAX}")]
    Bytes(usize),
    /// Not the JSON of a report.
    #[error("{0}")]
    Json(serde_json::Error),
    /// Not a report in protobuf.
    #[error("it is no report in protobuf: {0}")]
    Protobuf(prost::DecodeError),
    /// Too many rows, or too long a text.
    #[error("{field} has {count} {what}, at most {max} are taken")]
    TooMuch {
        /// The field's name.
        field: String,
        /// How many there are.
        count: usize,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

/// Reads a report from JSON.
///
/// # Errors
/// [`ContentError`] names the place, or the field that is not known.
pub fn from_json(text: &[u8]) -> Result<EcoMessage, ContentError> {
    limit(text.len())?;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor(), &mut reader, &options).map_err(ContentError::Json)?;
    reader.end().map_err(ContentError::Json)?;
    bounds(&message)?;
    message.transcode_to().map_err(ContentError::Protobuf)
}

/// A report as JSON, on one line.
#[must_use]
pub fn to_json(report: &EcoMessage) -> String {
    serde_json::to_string(&dynamic(report)).unwrap_or_else(|_| "{}".to_owned())
}

/// Reads a report as it was sealed; fields of a later version are kept aside and not shown.
///
/// # Errors
/// [`ContentError`] when it is none, or too large.
pub fn decode(bytes: &[u8]) -> Result<EcoMessage, ContentError> {
    limit(bytes.len())?;
    // Two bytes on the wire are a row of three hundred in memory: sections are counted before they are there.
    let sections = sections(bytes);
    if sections > SECTIONS_MAX {
        return Err(ContentError::TooMuch { field: "EcoMessage".to_owned(), count: sections, what: "rows", max: SECTIONS_MAX });
    }
    let report = EcoMessage::decode(bytes).map_err(ContentError::Protobuf)?;
    bounds(&dynamic(&report))?;
    Ok(report)
}

/// A report as it is sealed.
#[must_use]
pub fn encode(report: &EcoMessage) -> Vec<u8> {
    report.encode_to_vec()
}

/// Fields of the outermost message, as far as they can be read.
fn sections(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        count += 1;
        let read = prost::encoding::decode_key(&mut bytes)
            .and_then(|(tag, wire)| prost::encoding::skip_field(wire, tag, &mut bytes, prost::encoding::DecodeContext::default()));
        if read.is_err() {
            break;
        }
    }
    count
}

fn limit(bytes: usize) -> Result<(), ContentError> {
    if bytes <= REPORT_BYTES_MAX { Ok(()) } else { Err(ContentError::Bytes(bytes)) }
}

/// The description of a report.
pub(crate) fn descriptor() -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/content.bin"));
        DescriptorPool::decode(bytes).expect("the compiler wrote it")
    });
    POOL.get_message_by_name("ecowire.content.v1.EcoMessage").expect("it is in the file")
}

pub(crate) fn dynamic(report: &EcoMessage) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor());
    message.transcode_from(report).expect("one message has one encoding");
    message
}

/// Rows and texts within their bounds, at every depth.
fn bounds(message: &DynamicMessage) -> Result<(), ContentError> {
    for (field, value) in message.fields() {
        let too_much = |count, what, max| Err(ContentError::TooMuch { field: field.full_name().to_owned(), count, what, max });
        match value {
            Value::List(rows) if rows.len() > ROWS_MAX => return too_much(rows.len(), "rows", ROWS_MAX),
            Value::List(rows) => rows.iter().filter_map(Value::as_message).try_for_each(bounds)?,
            Value::Message(inner) => bounds(inner)?,
            Value::String(text) if text.chars().count() > TEXT_CHARS_MAX => {
                return too_much(text.chars().count(), "characters", TEXT_CHARS_MAX);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ten sections; seven of them have rows.
const SECTIONS_MAX: usize = 10 * ROWS_MAX;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
