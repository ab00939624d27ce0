//! The number that a sender gave a message: `KE.CUS.KEMBA/2026/000417`, from the second series on `KE.CUS.KEMBA/2026.2/000417`.
//!
//! The text is for people; on the wire the reference is four fields of the signed context.

use std::fmt;

use crate::Address;

/// Sender, year, series and number. Years have four digits; series and numbers count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Whose outbox gave the number.
    pub sender: Address,
    /// The year of the numbering.
    pub year: u32,
    /// An outbox that was created anew, restored or re-keyed starts the next series.
    pub series: u32,
    /// Gap-free within sender, year and series.
    pub number: u64,
}

/// A text that is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference reads like KE.CUS.KEMBA/2026/000417 or KE.CUS.KEMBA/2026.2/000417")]
pub struct ReferenceError;

impl Reference {
    /// Whether the numbers are in their bounds: year 2000 to 9999, series and number from 1.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (2000..=9999).contains(&self.year) && self.series >= 1 && self.number >= 1
    }

    /// The text as a file name: `/` becomes `_`.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.to_string().replace('/', "_")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sender = self.sender.as_str().to_ascii_uppercase().replace('/', ".");
        write!(f, "{sender}/{:04}", self.year)?;
        if self.series > 1 {
            write!(f, ".{}", self.series)?;
        }
        write!(f, "/{:06}", self.number)
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parsed = parse(text).ok_or(ReferenceError)?;
        // One spelling: what is read must print as it was written, but for the case of the letters.
        if parsed.is_sound() && parsed.to_string().eq_ignore_ascii_case(text) { Ok(parsed) } else { Err(ReferenceError) }
    }
}

fn parse(text: &str) -> Option<Reference> {
    let mut parts = text.split('/');
    let (sender, year, number) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, series) = year.split_once('.').unwrap_or((year, "1"));
    Some(Reference {
        sender: Address::parse(&sender.to_ascii_lowercase().replace('.', "/")).ok()?,
        year: year.parse().ok()?,
        series: series.parse().ok()?,
        number: number.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in ["KE.CUS.KEMBA/2026/000417", "KE/2026.2/000001", "IPSG.ENS/2026/1234567"] {
            assert_eq!(text.parse::<Reference>().map(|r| r.to_string()), Ok(text.to_owned()));
            assert_eq!(text.to_lowercase().parse::<Reference>().map(|r| r.to_string()), Ok(text.to_owned()));
        }
        for bad in [
            "",
            "KE",
            "KE/2026",
            "KE/2026/0",
            "KE/2026.1/000001",
            "KE/2026/1",
            "KE/2026/000001/2",
            "K/2026/000001",
            "KE/26/000001",
            "KE/2026/+00001",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
