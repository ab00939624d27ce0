//! What is sealed, of any form, as JSON and as bytes: protobuf's JSON mapping, where both spellings of a name are read and camelCase
//! is written.
//!
//! **Invariants:** a payload is within the bounds once it was read, and a field that is not known is refused in JSON by its name: a
//! typing error must not lose what it stands for. It does not know what a form should say; `check` does.

use std::collections::BTreeMap;

use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

use crate::v1::EcoMessage;
use crate::{Form, REPORT_BYTES_MAX, ROWS_MAX, TEXT_CHARS_MAX, Warning, packs::Packs};

/// A content with its form.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    form: Form,
    message: DynamicMessage,
}

/// Why something is not of a form.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// More than is taken.
    #[error("it has {0} bytes, at most {REPORT_BYTES_MAX} are taken")]
    Bytes(usize),
    /// Not the JSON of the form.
    #[error("{0}")]
    Json(serde_json::Error),
    /// Not protobuf.
    #[error("it is no protobuf: {0}")]
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

impl Payload {
    /// Reads JSON, at most [`REPORT_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`ContentError`] names the place, or the field that is not known.
    pub fn from_json(form: Form, text: &[u8]) -> Result<Self, ContentError> {
        limit(text.len())?;
        let mut reader = serde_json::Deserializer::from_slice(text);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(form.descriptor(), &mut reader, &options).map_err(ContentError::Json)?;
        reader.end().map_err(ContentError::Json)?;
        bounds(&message)?;
        Ok(Self { form, message })
    }

    /// Reads what was sealed, at most [`REPORT_BYTES_MAX`] bytes; fields of a later version are kept aside and not shown.
    ///
    /// # Errors
    /// [`ContentError`] when it is not of the form, or too large.
    pub fn decode(form: Form, bytes: &[u8]) -> Result<Self, ContentError> {
        limit(bytes.len())?;
        // Two bytes on the wire are a row of three hundred in memory: rows are counted before they are there.
        rows(&form.descriptor(), bytes)?;
        let message = DynamicMessage::decode(form.descriptor(), bytes).map_err(ContentError::Protobuf)?;
        bounds(&message)?;
        Ok(Self { form, message })
    }

    /// As JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.message).unwrap_or_else(|_| "{}".to_owned())
    }

    /// As it is sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.message.encode_to_vec()
    }

    /// Writes a text into a field of the form that says nothing yet.
    pub fn fill(&mut self, name: &str, text: &str) {
        let Some(field) = self.message.descriptor().get_field_by_name(name) else { return };
        if field.kind() == Kind::String && !field.is_list() && !self.message.has_field(&field) {
            self.message.set_field(&field, Value::String(text.to_owned()));
        }
    }

    /// Which form it has.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The report, when it is one.
    #[must_use]
    pub fn report(&self) -> Option<EcoMessage> {
        (self.form == Form::Ecomessage).then(|| self.message_as().ok()).flatten()
    }

    /// A message of its generated type, within the bounds.
    ///
    /// # Errors
    /// [`ContentError`] when it is over them.
    pub fn of_message(form: Form, message: &impl prost::Message) -> Result<Self, ContentError> {
        Self::decode(form, &message.encode_to_vec())
    }

    /// As the generated type of its form.
    ///
    /// # Errors
    /// [`ContentError`] when it cannot be one.
    pub fn message_as<M: prost::Message + Default>(&self) -> Result<M, ContentError> {
        self.message.transcode_to().map_err(ContentError::Protobuf)
    }

    /// Looks through it, and writes beside each identifier what its check makes of it: what is missing, what cannot be. It never
    /// refuses.
    pub fn check(&mut self) -> Vec<Warning> {
        crate::check::walk_through(&mut self.message)
    }

    /// [`Payload::check`], and what code lists say: an appendix that is another at the event's date, a flag that is not that of the
    /// ship's MMSI.
    pub fn check_with(&mut self, packs: &Packs) -> Vec<Warning> {
        let mut warnings = self.check();
        warnings.extend(crate::packs::compare(&self.message, packs));
        warnings
    }

    /// Hours within which a reply is wanted, by the urgency of a request.
    #[must_use]
    pub fn reply_hours(&self) -> Option<u32> {
        let urgency = self.message.get_field_by_name("urgency")?;
        urgency.as_str().and_then(crate::words::reply_hours)
    }

    /// Every field that says something, a line each: path and value, in the order of the form. Not yet escaped for a terminal.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        crate::show::lines(&self.message)
    }

    pub(crate) fn message_mut(&mut self) -> &mut DynamicMessage {
        &mut self.message
    }

    pub(crate) fn into_message(self) -> DynamicMessage {
        self.message
    }

    pub(crate) fn of(form: Form, message: DynamicMessage) -> Self {
        Self { form, message }
    }
}

/// Any report is taken, also one that is over the bounds of what can be read.
impl From<&EcoMessage> for Payload {
    fn from(report: &EcoMessage) -> Self {
        let mut message = DynamicMessage::new(Form::Ecomessage.descriptor());
        message.transcode_from(report).expect("one message has one encoding");
        Self { form: Form::Ecomessage, message }
    }
}

impl From<EcoMessage> for Payload {
    fn from(report: EcoMessage) -> Self {
        Self::from(&report)
    }
}

/// No field is on the wire more often than a list may have rows, at every depth that the descriptors know. What cannot be read is
/// left to the decoder.
fn rows(message: &MessageDescriptor, mut bytes: &[u8]) -> Result<(), ContentError> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    let mut inner = Vec::new();
    while !bytes.is_empty() {
        let Ok((tag, wire)) = decode_key(&mut bytes) else { break };
        *counts.entry(tag).or_default() += 1;
        let mut content = bytes;
        if skip_field(wire, tag, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
        let kind = message.get_field(tag).map(|field| field.kind());
        if let (WireType::LengthDelimited, Some(Kind::Message(kind)), Ok(length)) = (wire, kind, decode_varint(&mut content)) {
            inner.push((kind, content.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or_default()));
        }
    }
    if let Some((tag, count)) = counts.into_iter().find(|(_, count)| *count > ROWS_MAX) {
        let field = message.get_field(tag).map_or_else(|| format!("{} {tag}", message.full_name()), |field| field.full_name().to_owned());
        return Err(ContentError::TooMuch { field, count, what: "rows", max: ROWS_MAX });
    }
    inner.into_iter().try_for_each(|(kind, content)| rows(&kind, content))
}

fn limit(bytes: usize) -> Result<(), ContentError> {
    if bytes <= REPORT_BYTES_MAX { Ok(()) } else { Err(ContentError::Bytes(bytes)) }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// `field` and its content on the wire.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        bytes.extend_from_slice(content);
        bytes
    }

    #[track_caller]
    fn check(form: Form, bytes: &[u8], why: &str) {
        let error = Payload::decode(form, bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn rows_are_counted_at_every_depth_before_they_are_there() {
        let permits = field(5, &[]).repeat(65);
        check(Form::Ecomessage, &field(3, &permits), "Goods.permits has 65 rows");
        check(Form::Seizure, &field(8, &permits), "Goods.permits has 65 rows");
        check(Form::Alert, &field(2, &field(2, &[]).repeat(65)), "Subject.identifiers has 65 rows");
        // Of what nobody knows, too.
        check(Form::Reply, &field(15, &[]).repeat(65), "ecowire.content.v1.Reply 15 has 65 rows");
        check(Form::Reply, &field(6, "x".repeat(TEXT_CHARS_MAX + 1).as_bytes()), "characters");
        check(Form::Reply, &vec![0; REPORT_BYTES_MAX + 1], "at most 262144");
        // Two halves of a section are one section.
        let halves = [field(2, &field(2, &[]).repeat(40)), field(2, &field(2, &[]).repeat(40))].concat();
        check(Form::Alert, &halves, "Subject.identifiers has 80 rows");
    }

    #[test]
    fn a_field_of_a_later_version_is_sealed_again_and_not_shown() {
        let bytes = [field(2, b"KE/2026/000001"), field(15, b"later")].concat();
        let payload = Payload::decode(Form::Reply, &bytes).unwrap();
        assert_eq!((payload.to_json().as_str(), payload.encode()), (r#"{"inReplyTo":"KE/2026/000001"}"#, bytes));
        assert!(Payload::from_json(Form::Reply, br#"{"later":"x"}"#).is_err());
    }

    #[test]
    fn urgency_is_hours() {
        for (word, hours) in [("urgent", Some(8)), ("priority", Some(72)), ("routine", Some(168)), ("now", None)] {
            let json = format!(r#"{{"urgency":"{word}"}}"#);
            assert_eq!(Payload::from_json(Form::Request, json.as_bytes()).unwrap().reply_hours(), hours, "{word}");
        }
        assert_eq!(Payload::from_json(Form::Reply, b"{}").unwrap().reply_hours(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..Form::ALL.len(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let form = Form::ALL[at];
            drop(Payload::from_json(form, &bytes));
            if let Ok(mut payload) = Payload::decode(form, &bytes) {
                drop((payload.check(), payload.lines(), payload.to_json()));
            }
        }

        /// A form with a few bytes of it changed is more often nearly right than noise is.
        #[test]
        fn nothing_nearly_right_panics(at in 0..Form::ALL.len(), text in "[a-z0-9:TZ-]{0,20}", place in any::<prop::sample::Index>(), byte: u8) {
            let form = Form::ALL[at];
            let sound = crate::filled(form, &text);
            let (mut bytes, mut json) = (sound.encode(), sound.to_json().into_bytes());
            if !bytes.is_empty() {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
            let at = place.index(json.len());
            json[at] = byte;
            for mut payload in [Payload::decode(form, &bytes), Payload::from_json(form, &json)].into_iter().flatten() {
                drop((payload.check(), payload.lines()));
                let again = Payload::from_json(form, payload.to_json().as_bytes()).expect("what is written is read");
                prop_assert_eq!(again.to_json(), payload.to_json());
            }
        }
    }
}
