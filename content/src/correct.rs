//! A CORRECTION laid over what it corrects: each change where what it calls wrong stands.
//!
//! Paths are those of the warnings and of `ecowire open`: names of the proto files joined by dots, rows counted from 1,
//! `goods[2].term`. It does not know who may correct what; the rules do.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};

use crate::{Payload, v1};

/// A change that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied {
    /// Where it was to be made.
    pub path: String,
    /// Why it was not.
    pub why: &'static str,
}

impl Payload {
    /// Makes every change whose `wrong` stands at its path; an empty `wrong` fills what says nothing, an empty `right` strikes out.
    /// Rows are counted as they stood before: whatever is struck out goes last.
    pub fn correct(&mut self, correction: &v1::Correction) -> Vec<Unapplied> {
        let (mut out, mut rest): (Vec<_>, Vec<_>) = correction.changes.iter().partition(|change| change.right.trim().is_empty());
        // Behind those before it: a row that goes must not move another that is still to go.
        out.sort_by_key(|change| std::cmp::Reverse(steps(&change.path)));
        rest.extend(out);
        let made = rest.into_iter().map(|change| {
            let steps = steps(&change.path).ok_or("it is no path: section[1].field");
            (change, steps.and_then(|steps| make(self.message_mut(), &steps, change.wrong.trim(), change.right.trim())))
        });
        made.filter_map(|(change, made)| Some(Unapplied { path: change.path.clone(), why: made.err()? })).collect()
    }
}

/// A name, and the row behind it; 0 for none.
type Step = (String, usize);

fn steps(path: &str) -> Option<Vec<Step>> {
    let step = |text: &str| match text.split_once('[') {
        Some((name, row)) => Some((name.to_owned(), row.strip_suffix(']')?.parse().ok().filter(|row| *row > 0)?)),
        None => Some((text.to_owned(), 0)),
    };
    path.trim().split('.').map(step).collect()
}

fn make(message: &mut DynamicMessage, steps: &[Step], wrong: &str, right: &str) -> Result<(), &'static str> {
    let Some(((name, row), deeper)) = steps.split_first() else { return Err(NO_PLACE) };
    let field = message.descriptor().get_field_by_name(name).ok_or("there is no such field")?;
    if field.is_list() != (*row > 0) {
        return Err("it names no row, or a row where there is one value");
    }
    if field.is_list() {
        return in_row(message, &field, *row, deeper, (wrong, right));
    }
    match (field.kind(), deeper) {
        (Kind::Message(inner), []) => {
            let mut section = match message.get_field(&field).as_message() {
                Some(section) if message.has_field(&field) => section.clone(),
                _ => DynamicMessage::new(inner),
            };
            if in_one(&mut section, wrong, right)? {
                message.set_field(&field, Value::Message(section));
            } else {
                message.clear_field(&field);
            }
            Ok(())
        }
        (Kind::Message(inner), deeper) => {
            // What is not there comes only with what it is to say.
            let mut section = match message.get_field(&field).as_message() {
                Some(section) if message.has_field(&field) => section.clone(),
                _ => DynamicMessage::new(inner),
            };
            make(&mut section, deeper, wrong, right)?;
            message.set_field(&field, Value::Message(section));
            Ok(())
        }
        (_, []) => {
            let now = if message.has_field(&field) { said(&message.get_field(&field)) } else { Some(String::new()) };
            if now.as_deref() != Some(wrong) {
                return Err(OTHERWISE);
            }
            match right {
                "" => message.clear_field(&field),
                _ => message.set_field(&field, value(&field, right)?),
            }
            Ok(())
        }
        _ => Err(NO_PLACE),
    }
}

fn in_row(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    row: usize,
    deeper: &[Step],
    (wrong, right): (&str, &str),
) -> Result<(), &'static str> {
    let rows = message.get_field_mut(field).as_list_mut().ok_or(NO_PLACE)?;
    let at = rows.get_mut(row - 1).ok_or("there is no such row")?;
    match (at, deeper) {
        (Value::Message(inner), []) => {
            if !in_one(inner, wrong, right)? {
                rows.remove(row - 1);
            }
            Ok(())
        }
        (Value::Message(inner), deeper) => make(inner, deeper, wrong, right),
        (at, []) if said(at).as_deref() == Some(wrong) => {
            if right.is_empty() {
                rows.remove(row - 1);
            } else {
                *at = value(field, right)?;
            }
            Ok(())
        }
        (_, []) => Err(OTHERWISE),
        _ => Err(NO_PLACE),
    }
}

/// What is shown as one value is corrected as one: an identifier, a quantity. Whether anything is left of it.
fn in_one(section: &mut DynamicMessage, wrong: &str, right: &str) -> Result<bool, &'static str> {
    let is_identifier = match section.descriptor().name() {
        "Identifier" => true,
        "Quantity" => false,
        _ => return Err("it names more than one value"),
    };
    let raw = section.get_field_by_name("raw").and_then(|raw| said(&raw));
    let now = if section.fields().next().is_none() { String::new() } else { crate::show::in_one(section).unwrap_or_default() };
    if now != wrong && raw.filter(|_| is_identifier).as_deref() != Some(wrong) {
        return Err(OTHERWISE);
    }
    if right.is_empty() {
        return Ok(false);
    }
    let made = if is_identifier {
        section.transcode_from(&v1::Identifier { raw: right.to_owned(), ..v1::Identifier::default() })
    } else {
        section.transcode_from(&crate::quick::quantity(right).map_err(|_| OTHER_KIND)?)
    };
    made.map(|()| true).map_err(|_| NO_PLACE)
}

/// A value as a correction writes it.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::U32(number) => Some(number.to_string()),
        Value::I32(number) => Some(number.to_string()),
        Value::Bool(one) => Some(one.to_string()),
        _ => None,
    }
}

fn value(field: &FieldDescriptor, text: &str) -> Result<Value, &'static str> {
    match field.kind() {
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Uint32 => text.parse().map(Value::U32).map_err(|_| OTHER_KIND),
        Kind::Int32 | Kind::Sint32 => text.parse().map(Value::I32).map_err(|_| OTHER_KIND),
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| OTHER_KIND),
        _ => Err(OTHER_KIND),
    }
}

const OTHER_KIND: &str = "what is right there is of another kind";
const NO_PLACE: &str = "it leads nowhere";
const OTHERWISE: &str = "what it calls wrong does not stand there";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Form;

    const REPORT: &str = r#"{"heading":{"crimeArea":"wildlife"},"goods":[{"taxon":"Loxodonta africana","term":"horn","quantity":{"mantissa":312,
        "unit":"kg"}},{"taxon":"Panthera leo"}],"persons":[{"names":["Jo","J. Doe","Joe"]}],"transports":[{"mode":"sea",
        "container":{"raw":"CSQU3054384"}}]}"#;

    #[track_caller]
    fn check(changes: &[[&str; 3]], contains: &[&str], unapplied: &[&str]) -> Payload {
        let mut report = Payload::from_json(Form::Ecomessage, REPORT.as_bytes()).unwrap();
        let change = |[path, wrong, right]: &[&str; 3]| v1::Change {
            path: (*path).to_owned(),
            wrong: (*wrong).to_owned(),
            right: (*right).to_owned(),
        };
        let correction = v1::Correction { changes: changes.iter().map(change).collect(), ..v1::Correction::default() };
        let left: Vec<String> = report.correct(&correction).into_iter().map(|one| format!("{}: {}", one.path, one.why)).collect();
        assert_eq!(left, unapplied);
        contains.iter().for_each(|part| assert!(report.to_json().contains(part), "{part} in {}", report.to_json()));
        report
    }

    #[test]
    fn what_is_wrong_is_put_right_where_it_stands() {
        check(
            &[
                ["goods[1].term", "horn", "tusks"],
                ["goods[1].quantity.mantissa", "312", "321"],
                ["goods[1].quantity.estimated", "", "true"],
            ],
            &[r#""term":"tusks""#, r#""mantissa":321"#, r#""estimated":true"#],
            &[],
        );
        check(&[["transports[1].container.raw", "CSQU3054384", "CSQU3054383"]], &[r#""raw":"CSQU3054383""#], &[]);
        // As it is shown, in one.
        check(&[["transports[1].container", "CSQU3054384", "CSQU3054383"]], &[r#""container":{"raw":"CSQU3054383"}"#], &[]);
        check(&[["goods[1].quantity", "312 kg", "321.5 kg"]], &[r#""mantissa":3215,"exponent":-1,"unit":"kg""#], &[]);
        check(&[["transports[1].seal", "", "S9"]], &[r#""seal":{"raw":"S9"}"#], &[]);
        assert!(!check(&[["transports[1].container", "CSQU3054384", ""]], &[], &[]).to_json().contains("container"));
        check(&[["incident.place.text", "", "Mombasa"]], &[r#""place":{"text":"Mombasa"}"#], &[]);
    }

    #[test]
    fn what_is_struck_out_goes_and_rows_are_counted_as_they_were() {
        let report = check(
            &[["persons[1].names[1]", "Jo", ""], ["persons[1].names[3]", "Joe", "Jo Doe"], ["persons[1].names[2]", "J. Doe", ""]],
            &[r#""names":["Jo Doe"]"#],
            &[],
        );
        assert!(report.to_json().contains("Panthera"));
        assert!(!check(&[["goods[2].taxon", "Panthera leo", ""]], &[], &[]).to_json().contains("Panthera"));
    }

    #[test]
    fn what_does_not_fit_is_said_and_changes_nothing() {
        let before = Payload::from_json(Form::Ecomessage, REPORT.as_bytes()).unwrap();
        let after = check(
            &[
                ["goods[1].term", "logs", "tusks"],
                ["goods[3].term", "", "tusks"],
                ["goods.term", "horn", "tusks"],
                ["goods[1]", "horn", "tusks"],
                ["goods[0].term", "horn", "tusks"],
                ["heading[1].crime_area", "wildlife", "other"],
                ["goods[1].quantity", "312", "321 kg"],
                ["goods[1].quantity", "312 kg", "many"],
                ["goods[1].quantity.mantissa", "312", "many"],
                ["incident.what", "seizure", "arrest"],
                ["goods[1].colour", "", "red"],
                ["goods[1].term.raw", "horn", "tusks"],
                ["persons[1].names[2]", "Jane", "Jo"],
                ["", "", ""],
            ],
            &[],
            &[
                "goods[1].term: what it calls wrong does not stand there",
                "goods[3].term: there is no such row",
                "goods.term: it names no row, or a row where there is one value",
                "goods[1]: it names more than one value",
                "goods[0].term: it is no path: section[1].field",
                "heading[1].crime_area: it names no row, or a row where there is one value",
                "goods[1].quantity: what it calls wrong does not stand there",
                "goods[1].quantity: what is right there is of another kind",
                "goods[1].quantity.mantissa: what is right there is of another kind",
                "incident.what: what it calls wrong does not stand there",
                "goods[1].colour: there is no such field",
                "goods[1].term.raw: it leads nowhere",
                "persons[1].names[2]: what it calls wrong does not stand there",
                ": there is no such field",
            ],
        );
        assert_eq!(after, before);
    }
}
