//! The quick form: seven inputs are a report that a border post can send in a minute; the rest follows as a supplement.

use crate::v1::{Ask, EcoMessage, Goods, Heading, Identifier, Incident, Place, Quantity};

/// The seven inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quick {
    /// What happened: a word of `Incident.what`.
    pub what: String,
    /// When, RFC 3339.
    pub when: String,
    /// Where: a UN/LOCODE, or words.
    pub place: String,
    /// A word of `Heading.crime_area`.
    pub crime_area: String,
    /// Which goods.
    pub goods: String,
    /// How much: `312 kg`, `4.5 t`, `17 pieces`.
    pub quantity: String,
    /// What is wanted from the recipients; empty for nothing.
    pub action: String,
}

/// What is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number, or no unit.
    #[error("{0:?} is no quantity: a number and a unit, such as 312 kg or 4.5 t")]
    Form(String),
    /// A thousand to one reader and one to another.
    #[error("{0:?} can be read as thousands or as a fraction: write 1200 kg, or 1.2 kg")]
    Ambiguous(String),
}

impl Quick {
    /// The report.
    ///
    /// # Errors
    /// [`QuantityError`] when the quantity cannot be read; everything else is kept as it was said.
    pub fn report(&self, language: &str) -> Result<EcoMessage, QuantityError> {
        // Any five letters have the form; who means a code writes it in capitals.
        let known = !self.place.chars().any(char::is_lowercase)
            && crate::identifiers::examine(crate::identifiers::Kind::Locode, &self.place).1 == crate::identifiers::Outcome::Ok;
        let place = if known {
            Place { locode: Some(Identifier { raw: self.place.clone(), ..Identifier::default() }), ..Place::default() }
        } else {
            Place { text: self.place.clone(), ..Place::default() }
        };
        let ask = Ask { kind: "assist".to_owned(), question: self.action.clone(), ..Ask::default() };
        Ok(EcoMessage {
            heading: Some(Heading {
                report_type: "initial".to_owned(),
                crime_area: self.crime_area.clone(),
                language: language.to_owned(),
                ..Heading::default()
            }),
            incident: Some(Incident {
                what: self.what.clone(),
                at: self.when.clone(),
                at_precision: "minute".to_owned(),
                place: Some(place),
                ..Incident::default()
            }),
            goods: vec![Goods { taxon: self.goods.clone(), quantity: Some(quantity(&self.quantity)?), ..Goods::default() }],
            requests: if self.action.trim().is_empty() { Vec::new() } else { vec![ask] },
            ..EcoMessage::default()
        })
    }
}

/// Reads `312 kg` or `4,5 t`.
///
/// # Errors
/// [`QuantityError`] when it is no number with a unit, or has more than nine digits.
pub fn quantity(text: &str) -> Result<Quantity, QuantityError> {
    let wrong = || QuantityError::Form(text.to_owned());
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim();
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let sound = !whole.is_empty() && !unit.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !sound || (number.contains(['.', ',']) && fraction.is_empty()) {
        return Err(wrong());
    }
    if fraction.len() == 3 {
        return Err(QuantityError::Ambiguous(text.to_owned()));
    }
    let mantissa = digits.parse().map_err(|_| wrong())?;
    let exponent = -i32::try_from(fraction.len()).map_err(|_| wrong())?;
    Ok(Quantity { mantissa, exponent, unit: unit.to_owned(), estimated: false })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantities() {
        for (text, mantissa, exponent, unit) in [
            ("312 kg", 312, 0, "kg"),
            ("4.5t", 45, -1, "t"),
            ("4,50 t", 450, -2, "t"),
            (" 17 pieces ", 17, 0, "pieces"),
            ("0 kg", 0, 0, "kg"),
        ] {
            assert_eq!(quantity(text).unwrap(), Quantity { mantissa, exponent, unit: unit.to_owned(), estimated: false }, "{text}");
        }
        for ambiguous in ["1,200 kg", "1.200 kg"] {
            assert!(matches!(quantity(ambiguous), Err(QuantityError::Ambiguous(_))), "{ambiguous}");
        }
        for bad in ["", "kg", "312", "1.2.3 kg", "-4 kg", "1. kg", ".5 kg", "1234567890 kg", "many kg"] {
            assert!(quantity(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seven_inputs_are_a_report_without_a_warning() {
        let quick = Quick {
            what: "seizure".to_owned(),
            when: "2026-11-24T10:00:00Z".to_owned(),
            place: "KEMBA".to_owned(),
            crime_area: "wildlife".to_owned(),
            goods: "ivory tusks".to_owned(),
            quantity: "312 kg".to_owned(),
            action: "trace the consignee".to_owned(),
        };
        let mut report = quick.report("en").unwrap();
        assert_eq!(crate::check(&mut report), []);
        assert_eq!(report.requests.len(), 1);
        for words in ["Lagos", "at sea", "the old pier"] {
            let place = Quick { place: words.to_owned(), ..quick.clone() }.report("en").unwrap().incident.unwrap().place.unwrap();
            assert_eq!((place.text.as_str(), place.locode), (words, None));
        }
    }
}
