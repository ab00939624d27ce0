//! A revocation list: opened under the key of its issuer, reduced to the numbers that it takes back.
//!
//! Pure: `now` is passed in. It does not know the list before it: that numbers never fall is the gateway's rule. An
//! expired list still revokes; `next_update` is there so that somebody is woken before it expires.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use webpki::BorrowedCertRevocationList;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{OID_X509_EXT_CRL_NUMBER, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Version;

use crate::identity::{ECDSA_WITH_SHA256_DER, Facts, IdentityError, PublicKey, ca_certificate, read_serial, timestamp};
use crate::limits::CRL_BYTES_MAX;
use crate::time::Timestamp;

/// A complete revocation list of one CA, its signature checked; made only by [`Crl::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    /// SHA-256 of the issuer's SubjectPublicKeyInfo in DER, as in [`crate::identity::Link`].
    pub issuer_key_sha256: [u8; 32],
    /// The crlNumber, big endian without leading zeros, at most 20 bytes; longer or byte for byte larger is newer.
    pub number: Vec<u8>,
    /// SHA-256 of the list in DER.
    pub sha256: [u8; 32],
    /// When the issuer made it.
    pub this_update: Timestamp,
    /// When the issuer's next one is due.
    pub next_update: Timestamp,
    /// Serial numbers of the revoked certificates, big endian without leading zeros.
    pub serials: BTreeSet<Vec<u8>>,
}

/// Why a revocation list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Empty or larger than any list of ours.
    #[error("a revocation list has 1 to {CRL_BYTES_MAX} bytes, not {0}")]
    Bytes(usize),
    /// Not X.509 version 2 in DER.
    #[error("the revocation list is not well-formed")]
    Malformed,
    /// The issuer's certificate is not one of a CA.
    #[error("the issuer of the revocation list is not a ca of the profile")]
    Issuer(#[source] IdentityError),
    /// The issuer's certificate lacks cRLSign.
    #[error("the issuer of the revocation list lacks cRLSign")]
    IssuerUsage,
    /// The list names another issuer.
    #[error("the revocation list names another issuer")]
    OtherIssuer,
    /// Not signed with ECDSA P-256 and SHA-256.
    #[error("the revocation list is not signed with ecdsa p-256 and sha-256")]
    SignatureAlgorithm,
    /// The issuer's key did not sign it.
    #[error("the signature of the revocation list is not by its issuer's key")]
    Signature,
    /// No crlNumber, or one that is negative or longer than 20 bytes.
    #[error("the revocation list has no crl number of at most 20 bytes")]
    Number,
    /// A list of a part of the certificates, of changes only, or with a critical extension.
    #[error("the revocation list is partial, a delta or has an unknown critical extension")]
    Partial,
    /// No nextUpdate: nobody could notice that the lists have stopped.
    #[error("the revocation list has no next update")]
    NoNextUpdate,
    /// Made later than now.
    #[error("the revocation list is of the future: made at {this_update}, now {now}")]
    Future {
        /// When it says that it was made.
        this_update: Timestamp,
        /// The time passed in.
        now: Timestamp,
    },
    /// An entry whose serial number no certificate can have.
    #[error("entry {0} of the revocation list has no valid serial number")]
    Serial(usize),
}

impl Crl {
    /// Opens `der` under the certificate of its issuer, a CA of the profile; both in DER. Whether that CA is trusted
    /// is the caller's question, and whether a newer list is known already, too.
    ///
    /// # Errors
    /// [`CrlError`] names the first rule broken. A list whose nextUpdate has passed is no error.
    pub fn open(der: &[u8], issuer_der: &[u8], now: Timestamp) -> Result<Self, CrlError> {
        if der.is_empty() || der.len() > CRL_BYTES_MAX {
            return Err(CrlError::Bytes(der.len()));
        }
        ca_certificate(issuer_der).map_err(CrlError::Issuer)?;
        let issuer = Facts::read(0, issuer_der).map_err(CrlError::Issuer)?;
        if !issuer.signs_crls() {
            return Err(CrlError::IssuerUsage);
        }
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
        if !rest.is_empty() || list.version() != Some(X509Version::V2) {
            return Err(CrlError::Malformed);
        }
        if list.issuer().as_raw() != issuer.subject_der {
            return Err(CrlError::OtherIssuer);
        }
        check_signature(&list, &issuer)?;
        let number = number(&list)?;
        let this_update = timestamp(list.last_update()).ok_or(CrlError::Malformed)?;
        if this_update > now.plus(SKEW_MAX_MS) {
            return Err(CrlError::Future { this_update, now });
        }
        let next_update = list.next_update().and_then(timestamp).ok_or(CrlError::NoNextUpdate)?;
        let serials = serials(&list)?;
        // x509-parser takes more than DER where no signature covers it, such as another outer tag; webpki does not.
        BorrowedCertRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
        Ok(Self { issuer_key_sha256: issuer.key_sha256, number, sha256: tlog::sha256(der), this_update, next_update, serials })
    }

    /// Whether the list is past its nextUpdate: it still revokes, and an alarm is due.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now > self.next_update
    }

    /// Whether `self` has a lower number than `known`: such a list must not replace it.
    #[must_use]
    pub fn is_older_than(&self, known: &[u8]) -> bool {
        (self.number.len(), self.number.as_slice()) < (known.len(), known)
    }
}

fn check_signature(list: &CertificateRevocationList<'_>, issuer: &Facts) -> Result<(), CrlError> {
    let ours = |oid: &Oid<'_>| oid.as_bytes() == ECDSA_WITH_SHA256_DER;
    let (inner, outer) = (&list.tbs_cert_list.signature, &list.signature_algorithm);
    let PublicKey::P256(point) = &issuer.key else { return Err(CrlError::SignatureAlgorithm) };
    if !ours(&inner.algorithm) || inner != outer || outer.parameters.is_some() {
        return Err(CrlError::SignatureAlgorithm);
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(list.tbs_cert_list.as_ref(), &list.signature_value.data)
        .map_err(|_| CrlError::Signature)
}

/// The crlNumber; on the way, every extension that would make the list less than complete is refused.
fn number(list: &CertificateRevocationList<'_>) -> Result<Vec<u8>, CrlError> {
    let extensions = || list.extensions().iter();
    let partial = |oid: &Oid<'_>| *oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT || oid.as_bytes() == DELTA_CRL_DER;
    if extensions().any(|extension| extension.critical || partial(&extension.oid)) {
        return Err(CrlError::Partial);
    }
    let mut numbers = extensions().filter(|extension| extension.oid == OID_X509_EXT_CRL_NUMBER);
    let (Some(extension), None) = (numbers.next(), numbers.next()) else { return Err(CrlError::Number) };
    let ParsedExtension::CRLNumber(_) = extension.parsed_extension() else { return Err(CrlError::Number) };
    // The INTEGER is read again from its bytes: the parser takes a negative one for a large one.
    let [0x02, length, value @ ..] = extension.value else { return Err(CrlError::Number) };
    if value.len() != usize::from(*length) {
        return Err(CrlError::Number);
    }
    match value {
        [0] => Ok(Vec::new()),
        value => read_serial(value).ok_or(CrlError::Number),
    }
}

fn serials(list: &CertificateRevocationList<'_>) -> Result<BTreeSet<Vec<u8>>, CrlError> {
    let mut serials = BTreeSet::new();
    for (at, entry) in list.iter_revoked_certificates().enumerate() {
        // A critical entry extension is that of an indirect list: the entry would speak of another CA's certificate.
        if entry.extensions().iter().any(|extension| extension.critical) {
            return Err(CrlError::Partial);
        }
        serials.insert(read_serial(entry.raw_serial()).ok_or(CrlError::Serial(at))?);
    }
    Ok(serials)
}

/// How far a CA's clock may run ahead of ours.
const SKEW_MAX_MS: u64 = 5 * 60 * 1000;
/// id-ce-deltaCRLIndicator, 2.5.29.27 (RFC 5280 5.2.4).
const DELTA_CRL_DER: &[u8] = &[0x55, 0x1d, 0x1b];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn junk_is_no_list() {
        let now = Timestamp(0);
        assert_eq!(Crl::open(&[], &[], now).unwrap_err(), CrlError::Bytes(0));
        let large = vec![0x30; CRL_BYTES_MAX + 1];
        assert_eq!(Crl::open(&large, &[], now).unwrap_err(), CrlError::Bytes(CRL_BYTES_MAX + 1));
        let issuer = CrlError::Issuer(IdentityError::Malformed { at: 0 });
        assert_eq!(Crl::open(b"junk", b"junk", now).unwrap_err(), issuer);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let list = |number: &[u8]| Crl {
            issuer_key_sha256: [0; 32],
            number: number.to_vec(),
            sha256: [0; 32],
            this_update: Timestamp(0),
            next_update: Timestamp(5),
            serials: BTreeSet::new(),
        };
        assert!(list(&[]).is_older_than(&[1]) && list(&[9]).is_older_than(&[1, 0]) && list(&[2]).is_older_than(&[3]));
        assert!(!list(&[3]).is_older_than(&[3]) && !list(&[1, 0]).is_older_than(&[9]));
        assert!(list(&[1]).is_overdue(Timestamp(6)) && !list(&[1]).is_overdue(Timestamp(5)));
    }
}
