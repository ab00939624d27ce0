//! A certificate in words, for people who look for the one that fails. It judges nothing.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::timestamp;
use crate::time::Timestamp;

/// Whose a certificate is, by whom, and for how long; as it says itself, whether or not that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The subject's common name; without one, the URI.
    pub subject: String,
    /// The issuer's common name.
    pub issuer: String,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

/// Describes a certificate in DER; `None` when it is none. Control characters do not get into the texts.
#[must_use]
pub fn describe(der: &[u8]) -> Option<Description> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let uri = || {
        let names = certificate.subject_alternative_name().ok()??;
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::URI(uri) => Some(plain(uri)),
            _ => None,
        })
    };
    Some(Description {
        subject: common_name(certificate.subject()).or_else(uri).unwrap_or_else(|| "nobody by name".to_owned()),
        issuer: common_name(certificate.issuer()).unwrap_or_else(|| "nobody by name".to_owned()),
        not_before: timestamp(validity.not_before)?,
        not_after: timestamp(validity.not_after)?,
    })
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().find_map(|name| name.as_str().ok()).map(plain)
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

/// Longer names are cut; the profile's are far shorter.
const NAME_CHARS_MAX: usize = 256;
