//! Who holds a key: judges a chain of certificates and names the address that it stands for.
//!
//! Pure: `now` and the revoked set are passed in; gateway, client, auditor and evidence all judge by this module. It
//! does not know whether the network still wants the holder: the registry does.
//!
//! **Invariant:** what is judged is the path that webpki built, never the list that was sent. A list that is not
//! exactly that path is refused, so nobody can borrow the name of a CA by sending its public certificate along.

mod certificate;
mod describe;
mod error;
mod scope;

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::aws_lc_rs::ECDSA_P256_SHA256;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::address::{Address, Network};
use crate::limits::CHAIN_MAX;
use crate::p256::POINT_BYTES;
use crate::time::Timestamp;
pub(crate) use certificate::{ECDSA_WITH_SHA256_DER, Facts, read_serial, timestamp};
pub use describe::{Description, describe};
pub use error::IdentityError;
use scope::Scope;

/// What a certificate is judged for; a key has one role only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A participant's end of a connection.
    Tls,
    /// A gateway node's end of a connection.
    NodeTls,
    /// Signs messages and statements.
    Identity,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "a participant's tls",
            Self::NodeTls => "a node's tls",
            Self::Identity => "an identity",
        })
    }
}

/// What names one certificate of a path for revocation: its issuer's key and its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// SHA-256 of the issuer's SubjectPublicKeyInfo in DER.
    pub issuer_key_sha256: [u8; 32],
    /// Big endian, without leading zeros, 1 to 20 bytes.
    pub serial: Vec<u8>,
}

/// The set of revoked certificates as of some moment.
pub trait Revoked {
    /// Whether the issuer has revoked the certificate of that number.
    fn is_revoked(&self, link: &Link) -> bool;
}

/// The empty set: for tests, and for judging by a registry that has seen no list yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingRevoked;

impl Revoked for NothingRevoked {
    fn is_revoked(&self, _: &Link) -> bool {
        false
    }
}

/// A certified public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// An identity's key, neither of small order nor in a second encoding.
    Ed25519([u8; 32]),
    /// A TLS leaf's, a CA's or an identity's key: the uncompressed point, 65 bytes from 0x04.
    P256([u8; POINT_BYTES]),
}

/// A chain that was judged and found good; made only by [`Anchors::judge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Whom the chain stands for.
    pub address: Address,
    /// What it was judged for.
    pub role: Role,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo in DER.
    pub key_id: [u8; 32],
    /// The leaf's key.
    pub public: PublicKey,
    /// SHA-256 of the leaf in DER.
    pub fingerprint: [u8; 32],
    /// [`chain_sha256`] of the chain.
    pub chain_sha256: [u8; 32],
    /// When the youngest certificate of the path, the root included, began.
    pub not_before: Timestamp,
    /// When the first of the path, the root included, ends: its last valid second.
    pub not_after: Timestamp,
    /// One for each certificate of the chain, leaf first.
    pub links: Vec<Link>,
}

/// A network and its root certificates: what every judgement starts from.
#[derive(Clone, Debug)]
pub struct Anchors {
    network: Network,
    /// Parallel to `roots`.
    anchors: Vec<TrustAnchor<'static>>,
    roots: Vec<Root>,
}

#[derive(Clone, Debug)]
struct Root {
    key_sha256: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Anchors {
    /// Takes 1 to [`ROOTS_MAX`] root certificates in DER, each of `network` and each with a key of its own.
    ///
    /// # Errors
    /// [`IdentityError`]; `at` counts the roots.
    pub fn new(network: Network, roots_der: &[impl AsRef<[u8]>]) -> Result<Self, IdentityError> {
        if roots_der.is_empty() || roots_der.len() > ROOTS_MAX {
            return Err(IdentityError::Roots(roots_der.len()));
        }
        let (mut anchors, mut roots) = (Vec::new(), Vec::<Root>::new());
        for (at, der) in roots_der.iter().enumerate() {
            let facts = Facts::read(at, der.as_ref())?;
            if facts.any_ca()? != (network.clone(), Scope::Root) {
                return Err(IdentityError::NotRoot { at });
            }
            if roots.iter().any(|root| root.key_sha256 == facts.key_sha256) {
                return Err(IdentityError::RepeatedKey { at });
            }
            let der = CertificateDer::from(der.as_ref());
            let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|_| IdentityError::Malformed { at })?;
            anchors.push(anchor.to_owned());
            roots.push(Root { key_sha256: facts.key_sha256, not_before: facts.not_before, not_after: facts.not_after });
        }
        Ok(Self { network, anchors, roots })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Judges `chain` (DER, leaf first, root left out) for `role` at `now`: limits, profile of every certificate,
    /// times, signatures, the issuer's subtree along the path that was built, keys and revocation.
    ///
    /// # Errors
    /// [`IdentityError`] names the first rule that the chain breaks, in that order.
    pub fn judge(&self, role: Role, chain: &[impl AsRef<[u8]>], now: Timestamp, revoked: &dyn Revoked) -> Result<Certified, IdentityError> {
        if chain.is_empty() || chain.len() > CHAIN_MAX {
            return Err(IdentityError::ChainLength(chain.len()));
        }
        let read = |(at, der): (usize, &_)| Facts::read(at, AsRef::<[u8]>::as_ref(der));
        let facts = chain.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let (leaf, cas) = facts.split_first().ok_or(IdentityError::ChainLength(0))?;
        let address = leaf.leaf(role, &self.network)?;
        let scopes = cas.iter().map(|ca| ca.ca(&self.network)).collect::<Result<Vec<_>, _>>()?;
        for (at, fact) in facts.iter().enumerate() {
            check_time(at, fact.not_before, fact.not_after, now)?;
        }
        let path = self.build(chain, now)?;
        check_subtrees(&address, &scopes, &path.cas)?;
        if !path.cas.iter().copied().eq(0..cas.len()) {
            return Err(IdentityError::NotThePath);
        }
        let root = &self.roots[path.root];
        check_time(chain.len(), root.not_before, root.not_after, now)?;
        let keys: Vec<_> = facts.iter().map(|fact| fact.key_sha256).chain([root.key_sha256]).collect();
        if let Some(at) = (1..keys.len()).find(|at| keys[..*at].contains(&keys[*at])) {
            return Err(IdentityError::RepeatedKey { at });
        }
        let link = |(fact, issuer): (&Facts, &[u8; 32])| Link { issuer_key_sha256: *issuer, serial: fact.serial.clone() };
        let links: Vec<_> = facts.iter().zip(&keys[1..]).map(link).collect();
        if let Some(at) = links.iter().position(|link| revoked.is_revoked(link)) {
            return Err(IdentityError::Revoked { at });
        }
        Ok(Certified {
            address,
            role,
            key_id: leaf.key_sha256,
            public: leaf.key,
            fingerprint: tlog::sha256(chain[0].as_ref()),
            chain_sha256: chain_sha256(chain),
            not_before: facts.iter().map(|fact| fact.not_before).fold(root.not_before, Timestamp::max),
            not_after: facts.iter().map(|fact| fact.not_after).fold(root.not_after, Timestamp::min),
            links,
        })
    }

    /// The path that webpki builds: the list as sent where it can be one, else another path, which the caller
    /// refuses by naming what is wrong with it.
    fn build(&self, chain: &[impl AsRef<[u8]>], now: Timestamp) -> Result<Path, IdentityError> {
        let ders: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let (leaf, cas) = ders.split_first().ok_or(IdentityError::ChainLength(0))?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| IdentityError::Malformed { at: 0 })?;
        let found = RefCell::new(None);
        let whole = |path: &VerifiedPath<'_>| {
            let path = Path {
                cas: path.intermediate_certificates().filter_map(|ca| cas.iter().position(|der| *der == ca.der())).collect(),
                root: self.anchors.iter().position(|anchor| anchor == path.anchor()).ok_or(webpki::Error::UnknownIssuer)?,
            };
            let whole = path.cas.iter().copied().eq(0..cas.len());
            *found.borrow_mut() = Some(path);
            if whole { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let seconds = UnixTime::since_unix_epoch(Duration::from_secs(now.secs()));
        let algorithms = [ECDSA_P256_SHA256];
        let built = leaf.verify_for_usage(&algorithms, &self.anchors, cas, seconds, AnyUsage, None, Some(&whole));
        let error = built.err();
        match (found.into_inner(), error) {
            (Some(path), _) => Ok(path),
            (None, error) => Err(refusal(error.unwrap_or(webpki::Error::UnknownIssuer))),
        }
    }
}

/// A path that webpki verified: places in the list of CAs, from the leaf upwards, and the root's place.
#[derive(Clone, Debug)]
struct Path {
    cas: Vec<usize>,
    root: usize,
}

/// The profile has asked for the exact usage already, and a CA has none.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// What a member of the network can know about a CA without a path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFacts {
    /// Its network.
    pub network: Network,
    /// SHA-256 of its SubjectPublicKeyInfo in DER.
    pub spki_sha256: [u8; 32],
    /// `ke`, `cn/hk`, `node`; the root's is empty.
    pub subject_path: String,
    /// Its last valid second.
    pub not_after: Timestamp,
}

/// Reads a CA certificate by the profile; who signed it is not judged.
///
/// # Errors
/// [`IdentityError`] with `at` 0.
pub fn ca_certificate(der: &[u8]) -> Result<CaFacts, IdentityError> {
    let facts = Facts::read(0, der)?;
    let (network, scope) = facts.any_ca()?;
    Ok(CaFacts { network, spki_sha256: facts.key_sha256, subject_path: scope.path().to_owned(), not_after: facts.not_after })
}

/// SHA-256 of the SubjectPublicKeyInfo of a certificate in DER, which no profile and no path is asked about; `None` when
/// it cannot be read.
#[must_use]
pub fn key_id(der: &[u8]) -> Option<[u8; 32]> {
    Facts::read(0, der).ok().map(|facts| facts.key_sha256)
}

/// SHA-256("ecowire/1 chain\0" || for each certificate: u32be length || DER).
#[must_use]
pub fn chain_sha256(chain: &[impl AsRef<[u8]>]) -> [u8; 32] {
    // No certificate is longer than CERTIFICATE_BYTES_MAX where a chain was judged; elsewhere 4 GiB saturate.
    let lengths: Vec<_> = chain.iter().map(|der| u32::try_from(der.as_ref().len()).unwrap_or(u32::MAX).to_be_bytes()).collect();
    let mut parts: Vec<&[u8]> = vec![CHAIN_DOMAIN];
    for (length, der) in lengths.iter().zip(chain) {
        parts.extend([length.as_slice(), der.as_ref()]);
    }
    tlog::sha256_parts(&parts)
}

/// The key id of an Ed25519 key: SHA-256 of its SubjectPublicKeyInfo in DER (RFC 8410 4).
#[must_use]
pub fn ed25519_key_id(public: &[u8; 32]) -> [u8; 32] {
    tlog::sha256_parts(&[certificate::ED25519_SPKI_PREFIX, public])
}

/// The key id of a P-256 key: SHA-256 of its SubjectPublicKeyInfo in DER (RFC 5480 2).
#[must_use]
pub fn p256_key_id(public: &[u8; POINT_BYTES]) -> [u8; 32] {
    tlog::sha256_parts(&[certificate::P256_SPKI_PREFIX, public])
}

/// Both ends belong to the validity (RFC 5280 4.1.2.5), which counts whole seconds.
fn check_time(at: usize, not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Result<(), IdentityError> {
    if now.secs() < not_before.secs() {
        return Err(IdentityError::NotYetValid { at });
    }
    if now.secs() > not_after.secs() {
        return Err(IdentityError::Expired { at });
    }
    Ok(())
}

/// Walks the path from the leaf: each issuer must be one that may certify what stands below it.
fn check_subtrees(address: &Address, scopes: &[Scope], path: &[usize]) -> Result<(), IdentityError> {
    let issuers: Vec<_> = path.iter().map(|at| &scopes[*at]).chain([&Scope::Root]).collect();
    let outside = |subject: &dyn fmt::Display, issuer: &Scope| IdentityError::OutsideSubtree {
        subject: subject.to_string(),
        issuer: issuer.to_string(),
    };
    if !issuers[0].may_issue_leaf(address) {
        return Err(outside(address, issuers[0]));
    }
    match issuers.windows(2).find(|pair| !pair[1].may_issue_ca(pair[0])) {
        // A root's certificate in the list: most often the path's own, which was to be left out.
        Some([Scope::Root, _]) => Err(IdentityError::NotThePath),
        Some(pair) => Err(outside(pair[0], pair[1])),
        None => Ok(()),
    }
}

fn refusal(error: webpki::Error) -> IdentityError {
    match error {
        webpki::Error::UnknownIssuer => IdentityError::UnknownIssuer,
        webpki::Error::InvalidSignatureForPublicKey => IdentityError::Signature,
        webpki::Error::PathLenConstraintViolated => IdentityError::PathTooLong,
        error => IdentityError::Path(error),
    }
}

/// The policy that an identity leaf carries and a TLS leaf must not:
/// 2.25 and the UUID 202c16b0-cf83-4d92-b384-c6b92c657ce2 as a number (ITU-T X.667).
pub const IDENTITY_POLICY_OID: &str = "2.25.42764217148282855839617354971243445474";
/// The contents of [`IDENTITY_POLICY_OID`] in DER, without tag and length.
pub const IDENTITY_POLICY_DER: [u8; 19] =
    [0x69, 0xc0, 0xac, 0x8b, 0xac, 0x99, 0xf8, 0x9a, 0xb6, 0xa5, 0xb3, 0xc2, 0xb1, 0xd7, 0x92, 0xe3, 0x95, 0xf9, 0x62];
/// Roots of a network: one, its successor, and room for an accident.
pub const ROOTS_MAX: usize = 4;
const CHAIN_DOMAIN: &[u8] = b"ecowire/1 chain\0";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_policy_is_its_uuid() {
        let number = IDENTITY_POLICY_OID.strip_prefix("2.25.").unwrap().parse::<u128>().unwrap();
        assert_eq!(number, 0x202c_16b0_cf83_4d92_b384_c6b9_2c65_7ce2);
        let arc = IDENTITY_POLICY_DER[1..].iter().fold(0u128, |sum, byte| (sum << 7) | u128::from(byte & 0x7f));
        assert_eq!((IDENTITY_POLICY_DER[0], arc), (2 * 40 + 25, number));
    }

    #[test]
    fn a_chain_is_hashed_with_its_lengths() {
        let one = tlog::sha256(b"ecowire/1 chain\0\0\0\0\x02ab");
        assert_eq!(chain_sha256(&[b"ab"]), one);
        assert_ne!(chain_sha256(&[b"a", b"b"]), one);
    }

    #[test]
    fn junk_is_no_certificate() {
        let network = Network::parse("ecowire.test").unwrap();
        assert_eq!(Anchors::new(network.clone(), &[] as &[&[u8]]).unwrap_err(), IdentityError::Roots(0));
        for junk in [&b"\x30"[..], b"\x30\x80\0\0", b"\x30\x03\x02\x01\x01", b"hello", &[0x30; 4096], &[0xff; 8192]] {
            assert_eq!(ca_certificate(junk).unwrap_err(), IdentityError::Malformed { at: 0 });
            assert_eq!(Anchors::new(network.clone(), &[junk]).unwrap_err(), IdentityError::Malformed { at: 0 });
        }
        let bytes = IdentityError::CertificateBytes { at: 0, bytes: 8193 };
        assert_eq!(ca_certificate(&[0x30; 8193]).unwrap_err(), bytes);
    }

    #[test]
    fn a_serial_is_a_positive_number() {
        assert_eq!(read_serial(&[0, 0x80]), Some(vec![0x80]));
        assert_eq!(read_serial(&[1]), Some(vec![1]));
        assert_eq!(read_serial(&[0x7f; 20]), Some(vec![0x7f; 20]));
        for bad in [&[][..], &[0], &[0, 0], &[0x80], &[0xff, 1], &[1; 21]] {
            assert_eq!(read_serial(bad), None, "{bad:?}");
        }
    }
}
