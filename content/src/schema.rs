//! The JSON Schemas of the forms (draft 2020-12), made from the descriptors: names, shapes, bounds, words and comments.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::{Form, ROWS_MAX, TEXT_CHARS_MAX, words};

/// The schema of a form.
#[must_use]
pub fn of(form: Form) -> Value {
    let root = form.descriptor();
    let mut definitions = Map::new();
    define(&root, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:ecowire:schema:{}:v1", form.name()),
        "title": form.name().to_uppercase().replace('-', "_"),
        "$ref": format!("#/$defs/{}", root.name()),
        "$defs": definitions,
    })
}

fn define(message: &MessageDescriptor, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(message.name()) {
        return;
    }
    // Its name is taken before its fields are looked at.
    definitions.insert(message.name().to_owned(), Value::Null);
    let mut properties = Map::new();
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            define(&inner, definitions);
        }
        properties.insert(field.json_name().to_owned(), property(message, &field));
    }
    let object = json!({
        "type": "object",
        "description": comment(message, None),
        "properties": properties,
        "additionalProperties": false,
    });
    definitions.insert(message.name().to_owned(), object);
}

fn property(message: &MessageDescriptor, field: &FieldDescriptor) -> Value {
    let mut one = match field.kind() {
        Kind::Message(inner) => json!({"$ref": format!("#/$defs/{}", inner.name())}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Uint32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Kind::Sint32 | Kind::Int32 => json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
        _ => json!({"type": "string", "maxLength": TEXT_CHARS_MAX}),
    };
    let known = words::of(&format!("{}.{}", message.name(), field.name()));
    if !known.is_empty() {
        // A word of a later list is no error.
        one = json!({"anyOf": [{"enum": known}, one]});
    }
    if field.is_list() {
        one = json!({"type": "array", "maxItems": ROWS_MAX, "items": one});
    }
    let text = comment(message, Some(field));
    if !text.is_empty()
        && let Some(object) = one.as_object_mut()
    {
        object.insert("description".to_owned(), text.into());
    }
    one
}

/// The comment of the proto file.
fn comment(message: &MessageDescriptor, field: Option<&FieldDescriptor>) -> String {
    let file = message.parent_file();
    let mut path: Vec<i32> = message.path().to_vec();
    if let Some(field) = field {
        path = field.path().to_vec();
    }
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map_or("", |location| location.leading_comments());
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `UPDATE_SCHEMAS=1 cargo test -p content` writes them anew.
    #[test]
    fn the_published_schema_is_that_of_the_proto_file() {
        for form in Form::ALL.iter().copied() {
            let name = format!("../docs/schemas/{}.schema.json", form.name());
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            let text = format!("{}\n", serde_json::to_string_pretty(&of(form)).unwrap());
            if std::env::var_os("UPDATE_SCHEMAS").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
        }
    }

    #[test]
    fn every_word_belongs_to_a_field() {
        let fields = crate::check::fields();
        for (name, _) in words::WORDS {
            assert!(fields.contains(*name), "{name}");
        }
    }
}
