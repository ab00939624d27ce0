//! Who a participant is: an address such as `ke/cus/kemba`, and the only spelling of its SPIFFE ID.
//!
//! It does not know whether anybody has the address; the registry does.

use std::fmt;
use std::sync::Arc;

use crate::limits::{ADDRESS_BYTES_MAX, ADDRESS_SEGMENTS_MAX, NETWORK_BYTES_MAX};

/// A lower-case path of one to four segments, at most 64 bytes: `[a-z0-9]([a-z0-9-]*[a-z0-9])?` joined by `/`.
///
/// A first segment of exactly two letters is a country (ISO 3166-1 alpha-2); every other class has three or more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// What the shape of an address says about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A National Central Bureau: `ke`.
    Ncb,
    /// A sub-bureau under an NCB: `cn/hk`.
    SubBureau,
    /// A border post, customs office, airport or officer's seat under a bureau: `ke/cus/kemba`.
    Endpoint,
    /// A desk of the General Secretariat: `ipsg/ens`.
    Ipsg,
    /// A responder service: `svc/vessels`.
    Service,
    /// A partner organisation: `org/cites`.
    Organisation,
    /// An auditor: `aud/network`, or a country's: `aud/ke`.
    Auditor,
    /// A gateway node: `node/lyon-1`.
    Node,
    /// A name for several (`grp/...`, `case/...`, `all/...`): never a participant.
    Group,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Empty, or longer than 64 bytes.
    #[error("an address has 1 to {ADDRESS_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// More than four segments.
    #[error("an address has at most {ADDRESS_SEGMENTS_MAX} segments, not {0}")]
    Segments(usize),
    /// A segment that is empty or has another character, or a dash at an end.
    #[error("segment {0} of the address is not lower-case letters, digits and inner dashes")]
    Segment(usize),
    /// A first segment that names no class.
    #[error("the first segment is neither a country of two letters nor ipsg, svc, org, aud, grp, case, all or node")]
    Class,
    /// A class that needs a name behind it, such as `ipsg`.
    #[error("the address stops at its class; a name must follow")]
    Bare,
}

impl Address {
    /// Parses the canonical spelling; there is no other.
    ///
    /// # Errors
    /// [`AddressError`] names the first rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() || text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::Length(text.len()));
        }
        let count = text.split('/').count();
        if count > ADDRESS_SEGMENTS_MAX {
            return Err(AddressError::Segments(count));
        }
        if let Some(at) = text.split('/').position(|segment| !is_segment(segment)) {
            return Err(AddressError::Segment(at + 1));
        }
        let first = text.split('/').next().unwrap_or_default();
        let country = is_country(first);
        if !country && !CLASSES.contains(&first) {
            return Err(AddressError::Class);
        }
        if !country && count < 2 {
            return Err(AddressError::Bare);
        }
        Ok(Self(text.into()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: a country, or the name of a class.
    #[must_use]
    pub fn first_segment(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The country, when the address lies in one.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        Some(self.first_segment()).filter(|first| is_country(first))
    }

    /// The bureau that answers for this address: for `ke/cus/kemba` it is `ke`, for `ke` itself nobody.
    #[must_use]
    pub fn own_ncb(&self) -> Option<Self> {
        let country = self.country()?;
        (country.len() < self.0.len()).then(|| Self(country.into()))
    }

    /// Whether `self` lies strictly below `other`.
    #[must_use]
    pub fn is_below(&self, other: &str) -> bool {
        self.0.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
    }

    /// What the shape says.
    #[must_use]
    pub fn class(&self) -> Class {
        if self.country().is_some() {
            return match self.0.split('/').count() {
                1 => Class::Ncb,
                2 => Class::SubBureau,
                _ => Class::Endpoint,
            };
        }
        match self.first_segment() {
            "ipsg" => Class::Ipsg,
            "svc" => Class::Service,
            "org" => Class::Organisation,
            "aud" => Class::Auditor,
            "node" => Class::Node,
            _ => Class::Group,
        }
    }

    /// The only URI SAN that stands for this address: `spiffe://<network>/<address>`.
    #[must_use]
    pub fn spiffe_id(&self, network: &Network) -> String {
        format!("spiffe://{network}/{self}")
    }

    /// The address as a file name: `/` becomes `_`.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.0.replace('/', "_")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// A trust domain, such as `ecowire.test`: 1 to 64 bytes of `[a-z0-9]([a-z0-9.-]*[a-z0-9])?`, without `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(Arc<str>);

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is 1 to {NETWORK_BYTES_MAX} lower-case letters, digits, dots and dashes")]
pub struct NetworkError;

impl Network {
    /// Parses a network's name.
    ///
    /// # Errors
    /// [`NetworkError`] when `text` breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(byte);
        let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = text.as_bytes();
        let sound =
            bytes.len() <= NETWORK_BYTES_MAX && bytes.iter().all(inner) && end(bytes.first()) && end(bytes.last()) && !text.contains("..");
        if sound { Ok(Self(text.into())) } else { Err(NetworkError) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_country(segment: &str) -> bool {
    segment.len() == 2 && segment.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_segment(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain) && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

const CLASSES: [&str; 8] = ["ipsg", "svc", "org", "aud", "grp", "case", "all", "node"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match Address::parse(text) {
            Ok(address) => {
                assert_eq!(address.as_str(), text, "there is one spelling");
                format!("{:?}", address.class())
            }
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn the_shape_says_the_class() {
        for (text, class) in [
            ("ke", "Ncb"),
            ("cn/hk", "SubBureau"),
            ("ke/cus/kemba", "Endpoint"),
            ("cn/hk/cus/x-1", "Endpoint"),
            ("ipsg/ens", "Ipsg"),
            ("ipsg/rb/nairobi", "Ipsg"),
            ("svc/imaf", "Service"),
            ("org/cites", "Organisation"),
            ("aud/ke", "Auditor"),
            ("node/dev-1", "Node"),
            ("grp/wg/wildlife", "Group"),
            ("all/ncb", "Group"),
        ] {
            check(text, class);
        }
    }

    #[test]
    fn bad_spellings_are_refused() {
        for (text, error) in [
            ("", "Length(0)"),
            ("KE", "Segment(1)"),
            ("ke/", "Segment(2)"),
            ("/ke", "Segment(1)"),
            ("ke//x", "Segment(2)"),
            ("ke/-x", "Segment(2)"),
            ("ke/x-", "Segment(2)"),
            ("ke/a_b", "Segment(2)"),
            ("ke/a.b", "Segment(2)"),
            ("ke/../th", "Segment(2)"),
            ("ke/%63us", "Segment(2)"),
            ("ke/cus/kemba?x", "Segment(3)"),
            ("ke/\u{e9}", "Segment(2)"),
            ("ke/a\0", "Segment(2)"),
            (" ke", "Segment(1)"),
            ("k", "Class"),
            ("k1", "Class"),
            ("12", "Class"),
            ("ken", "Class"),
            ("gate/x", "Class"),
            ("ipsg", "Bare"),
            ("node", "Bare"),
            ("ke/a/b/c/d", "Segments(5)"),
        ] {
            check(text, error);
        }
        check(&format!("ke/{}", "a".repeat(62)), "Length(65)");
    }

    #[test]
    fn an_endpoint_answers_to_its_bureau() {
        let at = |text: &str| Address::parse(text).ok();
        assert_eq!(at("ke/cus/kemba").and_then(|a| a.own_ncb()), at("ke"));
        assert_eq!(at("ke").and_then(|a| a.own_ncb()), None);
        assert_eq!(at("ipsg/ens").and_then(|a| a.own_ncb()), None);
        assert!(at("ke/cus/kemba").is_some_and(|a| a.is_below("ke") && a.is_below("ke/cus") && !a.is_below("k")));
    }

    #[test]
    fn networks() {
        for good in ["ecowire.test", "a", "i-247.example"] {
            assert!(Network::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "A", "a/b", "a:1", "-a", &"a".repeat(65)] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
