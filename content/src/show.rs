//! A form as lines that an officer reads. Texts from outside are not yet escaped for a terminal: who prints them does that.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

/// Every field that says something, a line each: path and value; sections in the order of the form.
pub(crate) fn lines(message: &DynamicMessage) -> Vec<(String, String)> {
    let mut out = Vec::new();
    of(message, "", &mut out);
    out
}

fn of(message: &DynamicMessage, path: &str, out: &mut Vec<(String, String)>) {
    if let Some(text) = in_one(message) {
        return out.push((path.to_owned(), text));
    }
    for (field, value) in message.fields() {
        let name = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
        match value {
            Value::Message(inner) => of(inner, &name, out),
            Value::List(rows) => {
                for (at, row) in rows.iter().enumerate() {
                    match row {
                        Value::Message(inner) => of(inner, &format!("{name}[{}]", at + 1), out),
                        other => out.push((name.clone(), scalar(other))),
                    }
                }
            }
            other => out.push((name, scalar(other))),
        }
    }
}

/// What reads better in one: a quantity, an amount, an identifier with its check.
pub(crate) fn in_one(message: &DynamicMessage) -> Option<String> {
    let text = |name: &str| message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    match message.descriptor().name() {
        name @ ("Quantity" | "Money") => {
            let mantissa = message.get_field_by_name("mantissa")?.as_u32()?;
            let exponent = message.get_field_by_name("exponent")?.as_i32()?;
            let unit = text(if name == "Quantity" { "unit" } else { "currency" });
            let about = message.get_field_by_name("estimated").and_then(|value| value.as_bool()).unwrap_or(false);
            Some(format!("{}{} {unit}", if about { "about " } else { "" }, decimal(mantissa, exponent)))
        }
        "Identifier" => {
            let check = match text("check").as_str() {
                "bad_check_digit" => "  (wrong check digit, as observed)",
                "bad_form" => "  (not of that form, as observed)",
                _ => "",
            };
            Some(format!("{}{check}", text("raw")))
        }
        _ => None,
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// mantissa x 10^exponent without an exponent, as far as that is short.
pub(crate) fn decimal(mantissa: u32, exponent: i32) -> String {
    let digits = mantissa.to_string();
    match usize::try_from(exponent.unsigned_abs()) {
        Ok(places) if exponent < 0 && places <= 9 => {
            let padded = format!("{digits:0>width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            format!("{whole}.{fraction}")
        }
        Ok(zeros) if zeros <= 9 => format!("{digits}{}", if mantissa == 0 { String::new() } else { "0".repeat(zeros) }),
        _ => format!("{digits}e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use expect_test::expect;

    use super::*;
    use crate::lines;

    #[test]
    fn numbers() {
        for (mantissa, exponent, text) in [(312, 0, "312"), (45, -1, "4.5"), (5, -3, "0.005"), (4, 3, "4000"), (0, 3, "0"), (7, 30, "7e30")]
        {
            assert_eq!(decimal(mantissa, exponent), text);
        }
    }

    #[test]
    fn a_report_reads_like_its_form() {
        let text = r#"{"heading":{"reportType":"initial"},"incident":{"place":{"locode":{"raw":"KEMB1"}}},
            "goods":[{"taxon":"tusks","quantity":{"mantissa":45,"exponent":-1,"unit":"t","estimated":true}}],"modusOperandi":{"tags":["a","b"]}}"#;
        let mut report = crate::from_json(text.as_bytes()).unwrap();
        crate::check(&mut report);
        let shown: String = lines(&report).iter().map(|(path, value)| format!("{path}: {value}\n")).collect();
        expect![[r#"
            heading.report_type: initial
            incident.place.locode: KEMB1  (not of that form, as observed)
            goods[1].taxon: tusks
            goods[1].quantity: about 4.5 t
            modus_operandi.tags: a
            modus_operandi.tags: b
        "#]]
        .assert_eq(&shown);
    }
}
