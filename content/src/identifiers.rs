//! Identifiers of ships, containers, goods and places: their form and their check digits. Pure, and never a refusal.

/// What a check made of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Form and check digit, where there is one, are right.
    Ok,
    /// The form is right, the check digit is not.
    BadCheckDigit,
    /// It has not the form.
    BadForm,
    /// There is no check of this kind.
    NotChecked,
}

impl Outcome {
    /// The word in a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BadCheckDigit => "bad_check_digit",
            Self::BadForm => "bad_form",
            Self::NotChecked => "not_checked",
        }
    }
}

/// What an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IMO ship number (IMO resolution A.1117(30)).
    ImoShip,
    /// IMO company or owner number (IMO resolution MSC.160(78)).
    ImoCompany,
    /// Maritime Mobile Service Identity (ITU-R M.585).
    Mmsi,
    /// Freight container (ISO 6346).
    Container,
    /// Air waybill (IATA resolution 600a).
    AirWaybill,
    /// UN/LOCODE (UNECE recommendation 16).
    Locode,
    /// Waste code of the Basel Convention, annexes I, VIII and IX.
    Basel,
    /// Harmonized System subheading, 6 digits.
    Hs,
    /// UN number of dangerous goods.
    Un,
    /// Vehicle identification number (ISO 3779).
    Vin,
    /// Anything else.
    Other,
}

/// The identifier in one spelling, and what its check says. What has not the form has no spelling.
///
/// ```
/// use content::identifiers::{Kind, Outcome, examine};
/// assert_eq!(examine(Kind::ImoShip, "IMO 9074729"), ("9074729".to_owned(), Outcome::Ok));
/// assert_eq!(examine(Kind::Container, "CSQU 305438 4").1, Outcome::BadCheckDigit);
/// ```
#[must_use]
pub fn examine(kind: Kind, raw: &str) -> (String, Outcome) {
    let mut text: String = raw.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '/' | '\u{2010}'..='\u{2015}')).collect();
    text.make_ascii_uppercase();
    if matches!(kind, Kind::ImoShip | Kind::ImoCompany) {
        text = text.strip_prefix("IMO").unwrap_or(&text).to_owned();
    }
    if kind == Kind::Un {
        text = text.strip_prefix("UN").unwrap_or(&text).to_owned();
    }
    let outcome = match kind {
        Kind::ImoShip => weighted(&text, &[7, 6, 5, 4, 3, 2], |sum| sum % 10),
        Kind::ImoCompany => weighted(&text, &[8, 6, 4, 2, 9, 7], |sum| (11 - sum % 11) % 10),
        Kind::Mmsi => form(is_mmsi(&text)),
        Kind::Container => container(&text),
        Kind::AirWaybill => air_waybill(&text),
        Kind::Locode => form(is_locode(&text)),
        Kind::Basel => form(is_basel(&text)),
        Kind::Hs => form(digits(&text).is_some_and(|digits| digits.len() == 6 && !matches!(digits[..2], [0, 0] | [7, 7]))),
        Kind::Un => form(digits(&text).is_some_and(|digits| digits.len() == 4)),
        Kind::Vin => form(text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"IOQ".contains(&byte))),
        Kind::Other => Outcome::NotChecked,
    };
    let kept = if outcome == Outcome::BadForm { String::new() } else { text };
    (kept, outcome)
}

fn form(sound: bool) -> Outcome {
    if sound { Outcome::Ok } else { Outcome::BadForm }
}

fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| if c.is_ascii() { c.to_digit(10) } else { None }).collect()
}

/// Digits under weights, and a last one that must be what `check` makes of their sum.
fn weighted(text: &str, weights: &[u32], check: impl Fn(u32) -> u32) -> Outcome {
    let Some((last, digits)) = digits(text).and_then(|mut digits| Some((digits.pop()?, digits))) else { return Outcome::BadForm };
    if digits.len() != weights.len() {
        return Outcome::BadForm;
    }
    let sum = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
    if check(sum) == last { Outcome::Ok } else { Outcome::BadCheckDigit }
}

/// Owner's three letters, category, six digits, check digit. Letters count from 10 on, without the multiples of 11.
fn container(text: &str) -> Outcome {
    let bytes = text.as_bytes();
    let formed = bytes.len() == 11 && bytes[..4].iter().all(u8::is_ascii_uppercase) && bytes[4..].iter().all(u8::is_ascii_digit);
    if !formed {
        return Outcome::BadForm;
    }
    let value = |byte: u8| if byte.is_ascii_digit() { u32::from(byte - b'0') } else { letter(u32::from(byte - b'A')) };
    let sum: u32 = bytes[..10].iter().enumerate().map(|(at, byte)| value(*byte) << at).sum();
    if sum % 11 % 10 == u32::from(bytes[10] - b'0') { Outcome::Ok } else { Outcome::BadCheckDigit }
}

/// A is 10, and no letter is 11, 22 or 33.
fn letter(place: u32) -> u32 {
    place + 10 + place.div_ceil(10)
}

/// Airline's three digits, seven digits, and those modulo 7.
fn air_waybill(text: &str) -> Outcome {
    let Some(digits) = digits(text).filter(|digits| digits.len() == 11) else { return Outcome::BadForm };
    let serial = digits[3..10].iter().fold(0, |number, digit| number * 10 + digit);
    if serial % 7 == digits[10] { Outcome::Ok } else { Outcome::BadCheckDigit }
}

/// Nine digits with those of a country, or of a station that has none.
fn is_mmsi(text: &str) -> bool {
    let Some(digits) = digits(text).filter(|digits| digits.len() == 9) else { return false };
    match mid_at(&digits) {
        Some(at) => (201..=775).contains(&(digits[at] * 100 + digits[at + 1] * 10 + digits[at + 2])),
        // Search and rescue transmitters, men overboard, radio beacons: no country.
        None => matches!(digits[..3], [9, 7, 0 | 2 | 4]),
    }
}

/// The three digits of the country (MID), where the class of station puts them; of nine digits alone.
///
/// ```
/// assert_eq!(content::identifiers::mid("366999712"), Some("366"));
/// assert_eq!(content::identifiers::mid("002241022"), Some("224"));
/// assert_eq!(content::identifiers::mid("970123456"), None);
/// ```
#[must_use]
pub fn mid(mmsi: &str) -> Option<&str> {
    let digits = digits(mmsi).filter(|digits| digits.len() == 9)?;
    let at = mid_at(&digits)?;
    mmsi.get(at..at + 3)
}

fn mid_at(digits: &[u32]) -> Option<usize> {
    match digits[..3] {
        [0, 0, _] | [9, 8 | 9, _] => Some(2),
        [0 | 8, ..] => Some(1),
        [1, 1, 1] => Some(3),
        [2..=7, ..] => Some(0),
        _ => None,
    }
}

fn is_locode(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..].iter().all(|b| b.is_ascii_uppercase() || (b'2'..=b'9').contains(b))
}

fn is_basel(text: &str) -> bool {
    let number = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit()).then(|| rest.parse::<u32>().ok()).flatten();
    match text.split_at_checked(1) {
        Some(("Y", rest)) => rest.len() <= 2 && number(rest).is_some_and(|number| (1..=49).contains(&number)),
        Some(("A" | "B", rest)) => rest.len() == 4 && number(rest).is_some_and(|number| (1000..=4999).contains(&number)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, raw: &str, expected: Outcome) {
        assert_eq!(examine(kind, raw).1, expected, "{kind:?} {raw}");
    }

    #[test]
    fn numbers_of_ships_and_companies() {
        for good in ["9074729", "IMO 9074729", "imo-9074729"] {
            assert_eq!(examine(Kind::ImoShip, good), ("9074729".to_owned(), Outcome::Ok));
        }
        check(Kind::ImoShip, "9074720", Outcome::BadCheckDigit);
        for bad in ["", "907472", "90747299", "907472A", "IMO", "٩٠٧٤٧٢٩"] {
            check(Kind::ImoShip, bad, Outcome::BadForm);
        }
        check(Kind::ImoCompany, "2041999", Outcome::Ok);
        check(Kind::ImoCompany, "2041990", Outcome::BadCheckDigit);
    }

    #[test]
    fn containers() {
        for good in ["CSQU3054383", "MSKU9070323", "csqu 305438 3"] {
            check(Kind::Container, good, Outcome::Ok);
        }
        check(Kind::Container, "CSQU3054384", Outcome::BadCheckDigit);
        for bad in ["CSQ3054383", "CSQU305438", "1SQU3054383", "CSQU30543833"] {
            check(Kind::Container, bad, Outcome::BadForm);
        }
        // ISO 6346 annex A.
        let values: Vec<u32> = (0..26).map(letter).collect();
        assert_eq!(values, [10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 36, 37, 38]);
    }

    #[test]
    fn stations_at_sea() {
        for good in ["366999712", "002241022", "023200000", "111232506", "970123456", "982320001", "992351000", "823200001"] {
            check(Kind::Mmsi, good, Outcome::Ok);
        }
        for bad in ["166999712", "36699971", "200999712", "776000000", "001001022", "971123456"] {
            check(Kind::Mmsi, bad, Outcome::BadForm);
        }
    }

    #[test]
    fn places_waste_and_goods() {
        for (kind, good, bad) in [
            (Kind::Locode, "KEMBA", "KEMB1"),
            (Kind::Locode, "KE MBA", "K2MBA"),
            (Kind::Basel, "A1181", "A118"),
            (Kind::Basel, "Y48", "Y50"),
            (Kind::Basel, "B3011", "C1010"),
            (Kind::Hs, "0507.10", "050710 0"),
            (Kind::Hs, "960110", "770110"),
            (Kind::Un, "UN 1072", "UN 107"),
            (Kind::Vin, "1M8GDM9AXKP042788", "1M8GDM9AOKP042788"),
        ] {
            check(kind, good, Outcome::Ok);
            check(kind, bad, Outcome::BadForm);
        }
        check(Kind::AirWaybill, "020-12345675", Outcome::Ok);
        check(Kind::AirWaybill, "020-12345676", Outcome::BadCheckDigit);
        assert_eq!(examine(Kind::Other, "KAA 123 X"), ("KAA123X".to_owned(), Outcome::NotChecked));
    }
}
