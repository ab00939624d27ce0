//! A payload that says one text wherever it can say any: for tests that look where content must not get.

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

use crate::{Form, Payload};

/// A payload of the form whose every text, at every depth, is `text`; each list has one row.
#[must_use]
pub fn filled(form: Form, text: &str) -> Payload {
    Payload::of(form, message(&form.descriptor(), text))
}

/// No message of the forms holds itself, so this ends.
fn message(descriptor: &MessageDescriptor, text: &str) -> DynamicMessage {
    let mut out = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let one = match field.kind() {
            Kind::String => Value::String(text.to_owned()),
            Kind::Message(inner) => Value::Message(message(&inner, text)),
            _ => continue,
        };
        out.set_field(&field, if field.is_list() { Value::List(vec![one]) } else { one });
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(descriptor: &MessageDescriptor) -> usize {
        let of = |kind| match kind {
            Kind::String => 1,
            Kind::Message(inner) => texts(&inner),
            _ => 0,
        };
        descriptor.fields().map(|field| of(field.kind())).sum()
    }

    #[track_caller]
    fn check(form: Form) {
        let payload = filled(form, "canary-7");
        let json = payload.to_json();
        let wanted = texts(&form.descriptor());
        assert!(wanted > 3, "{form:?}");
        assert_eq!(json.matches("\"canary-7\"").count(), wanted, "{json}");
        // It is a payload like any other.
        let read = Payload::from_json(form, json.as_bytes()).unwrap();
        assert_eq!(read, payload);
        let again = Payload::decode(form, &read.encode()).unwrap();
        assert_eq!((again.to_json(), again.form()), (json, form));
        assert!(again.lines().iter().all(|(_, value)| value.contains("canary-7") || value.starts_with('0')), "{:?}", again.lines());
    }

    #[test]
    fn every_text_of_every_form_is_there_and_goes_through_json_and_bytes() {
        Form::ALL.iter().copied().for_each(check);
    }
}
