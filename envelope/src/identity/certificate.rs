//! One certificate, read into the few facts that the profile of SPEC.md asks about, and judged by the profile.
//!
//! It does not know the path: whose signature stands under the certificate is webpki's to say. **Invariant:** what is
//! read here is read by webpki's strict parser, too, so that both speak of the same certificate.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_EXT_CERTIFICATE_POLICIES};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::scope::Scope;
use super::{IDENTITY_POLICY_DER, IdentityError, PublicKey, Role};
use crate::address::{Address, Class, Network};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::p256;
use crate::time::Timestamp;

/// What the profile asks about a certificate.
pub(crate) struct Facts {
    /// Place in the chain, for the text of a refusal.
    at: usize,
    pub(crate) key: PublicKey,
    /// SHA-256 of the SubjectPublicKeyInfo in DER.
    pub(crate) key_sha256: [u8; 32],
    /// Big endian, without leading zeros.
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// The subject in DER, for the issuer of a revocation list.
    pub(crate) subject_der: Vec<u8>,
    is_ca: bool,
    path_len: Option<u32>,
    /// Bit n of RFC 5280 4.2.1.3; 0 when the extension is absent.
    key_usage: u16,
    usage: Usage,
    identity_policy: bool,
    uris: Vec<String>,
    hosts: usize,
    other_names: usize,
    subject: Subject,
}

/// The extended key usage: nothing, exactly one of ours, or anything else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    Absent,
    Client,
    Server,
    Else,
}

enum Subject {
    Empty,
    CommonName(String),
    Else,
}

impl Facts {
    /// Reads the certificate at place `at` of a chain.
    pub(crate) fn read(at: usize, der: &[u8]) -> Result<Self, IdentityError> {
        if der.is_empty() || der.len() > CERTIFICATE_BYTES_MAX {
            return Err(IdentityError::CertificateBytes { at, bytes: der.len() });
        }
        let malformed = IdentityError::Malformed { at };
        EndEntityCert::try_from(&CertificateDer::from(der)).map_err(|error| match error {
            webpki::Error::UnsupportedCriticalExtension => IdentityError::CriticalExtension { at },
            _ => malformed.clone(),
        })?;
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed.clone())?;
        let unread = |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::ParseError { .. });
        if !rest.is_empty() || certificate.iter_extensions().any(|extension| unread(extension.parsed_extension())) {
            return Err(malformed);
        }
        let algorithm = &certificate.signature_algorithm;
        if algorithm.algorithm.as_bytes() != ECDSA_WITH_SHA256_DER || algorithm.parameters.is_some() {
            return Err(IdentityError::SignatureAlgorithm { at });
        }
        let spki = certificate.public_key().raw;
        let validity = certificate.validity();
        let constraints = certificate.basic_constraints().map_err(|_| malformed.clone())?.map(|found| found.value);
        let key_usage = certificate.key_usage().map_err(|_| malformed.clone())?;
        let usage = certificate.extended_key_usage().map_err(|_| malformed.clone())?;
        let names = certificate.subject_alternative_name().map_err(|_| malformed.clone())?;
        let names = names.map_or(&[][..], |found| &found.value.general_names);
        let (uris, hosts, other_names) = sort_names(names);
        Ok(Self {
            at,
            key: read_key(at, spki)?,
            key_sha256: tlog::sha256(spki),
            serial: read_serial(certificate.raw_serial()).ok_or(IdentityError::Serial { at })?,
            not_before: timestamp(validity.not_before).ok_or(malformed.clone())?,
            not_after: timestamp(validity.not_after).ok_or(malformed.clone())?,
            subject_der: certificate.subject().as_raw().to_vec(),
            is_ca: constraints.is_some_and(|found| found.ca),
            path_len: constraints.and_then(|found| found.path_len_constraint),
            key_usage: key_usage.map_or(0, |found| found.value.flags),
            usage: usage.map_or(Usage::Absent, |found| read_usage(found.value)),
            identity_policy: has_identity_policy(&certificate).ok_or(malformed)?,
            uris,
            hosts,
            other_names,
            subject: read_subject(certificate.subject()),
        })
    }

    /// The leaf's address, when it keeps the profile of `role`.
    pub(super) fn leaf(&self, role: Role, network: &Network) -> Result<Address, IdentityError> {
        let at = self.at;
        if self.is_ca {
            return Err(IdentityError::CaAuthenticates);
        }
        let uri = self.uri()?;
        let spelling = IdentityError::NameSpelling { at };
        let path = after_network(uri, network).and_then(|rest| rest.strip_prefix('/')).ok_or(spelling.clone())?;
        let address = Address::parse(path).map_err(|_| spelling.clone())?;
        if address.spiffe_id(network) != uri {
            return Err(spelling);
        }
        match (address.class(), role) {
            (Class::Group, _) => return Err(IdentityError::Group(address)),
            (Class::Node, Role::NodeTls) => {}
            (Class::Node, _) | (_, Role::NodeTls) => return Err(IdentityError::RoleClass { address, role }),
            _ => {}
        }
        if self.other_names > 0 || (self.hosts > 0 && role != Role::NodeTls) {
            return Err(IdentityError::OtherName { at });
        }
        self.leaf_usage(role)?;
        match &self.subject {
            Subject::Empty => Ok(address),
            Subject::CommonName(name) if name == address.as_str() => Ok(address),
            _ => Err(IdentityError::Subject { at }),
        }
    }

    fn leaf_usage(&self, role: Role) -> Result<(), IdentityError> {
        let (usage, policy) = match role {
            Role::Tls => (Usage::Client, false),
            Role::NodeTls => (Usage::Server, false),
            Role::Identity => (Usage::Absent, true),
        };
        if self.usage != usage {
            return Err(IdentityError::ExtendedKeyUsage(role));
        }
        match (policy, self.identity_policy) {
            (true, false) => return Err(IdentityError::PolicyMissing),
            (false, true) => return Err(IdentityError::PolicyOnTls),
            _ => {}
        }
        if self.key_usage != DIGITAL_SIGNATURE {
            return Err(IdentityError::KeyUsage);
        }
        match (&self.key, role) {
            (PublicKey::Ed25519(_), Role::Identity) | (PublicKey::P256(_), _) => Ok(()),
            _ => Err(IdentityError::KeyRole { at: self.at }),
        }
    }

    /// What the CA answers for, when it keeps the profile of a CA that is not a root.
    pub(super) fn ca(&self, network: &Network) -> Result<Scope, IdentityError> {
        let at = self.at;
        let uri = self.ca_uri()?;
        let scope = after_network(uri, network).and_then(Scope::parse).ok_or(IdentityError::NameSpelling { at })?;
        match (&scope, self.path_len) {
            // The root stands in no list; should one be sent, the path will say so.
            (Scope::Root, _) | (_, Some(0)) | (Scope::Country(_), Some(1)) => Ok(scope),
            _ => Err(IdentityError::PathLength { at }),
        }
    }

    /// The network and the scope of a CA whose network is not known beforehand.
    pub(super) fn any_ca(&self) -> Result<(Network, Scope), IdentityError> {
        let spelling = IdentityError::NameSpelling { at: self.at };
        let rest = self.ca_uri()?.strip_prefix(SCHEME).ok_or(spelling.clone())?;
        let end = rest.find('/').unwrap_or(rest.len());
        let network = Network::parse(&rest[..end]).map_err(|_| spelling)?;
        let scope = self.ca(&network)?;
        Ok((network, scope))
    }

    /// Whether the CA may sign revocation lists (RFC 5280 4.2.1.3).
    pub(crate) fn signs_crls(&self) -> bool {
        self.key_usage & CRL_SIGN != 0
    }

    fn ca_uri(&self) -> Result<&str, IdentityError> {
        let at = self.at;
        if !self.is_ca {
            return Err(IdentityError::NotCa { at });
        }
        if self.key_usage & KEY_CERT_SIGN == 0 || self.usage != Usage::Absent || self.identity_policy {
            return Err(IdentityError::CaUsage { at });
        }
        if !matches!(self.key, PublicKey::P256(_)) {
            return Err(IdentityError::KeyRole { at });
        }
        let uri = self.uri()?;
        if self.other_names + self.hosts > 0 {
            return Err(IdentityError::OtherName { at });
        }
        match self.subject {
            Subject::CommonName(_) => Ok(uri),
            Subject::Empty | Subject::Else => Err(IdentityError::Subject { at }),
        }
    }

    fn uri(&self) -> Result<&str, IdentityError> {
        match self.uris.as_slice() {
            [] => Err(IdentityError::NoName { at: self.at }),
            [uri] => Ok(uri),
            more => Err(IdentityError::Names { at: self.at, found: more.len() }),
        }
    }
}

/// A serial number in DER's two's complement, as a positive number without leading zeros (RFC 5280 4.1.2.2).
pub(crate) fn read_serial(raw: &[u8]) -> Option<Vec<u8>> {
    let negative = raw.first().is_none_or(|byte| byte & 0x80 != 0);
    let start = raw.iter().position(|byte| *byte != 0)?;
    (!negative && raw.len() - start <= SERIAL_BYTES_MAX).then(|| raw[start..].to_vec())
}

/// Milliseconds since 1970; `None` for an earlier time.
pub(crate) fn timestamp(time: ASN1Time) -> Option<Timestamp> {
    u64::try_from(time.timestamp()).ok().map(|seconds| Timestamp(seconds.saturating_mul(1000)))
}

/// What follows `spiffe://<network>`, be it nothing, a path or anything else.
fn after_network<'a>(uri: &'a str, network: &Network) -> Option<&'a str> {
    uri.strip_prefix(SCHEME)?.strip_prefix(network.as_str())
}

/// Reads the two keys that the profile knows, each in its one encoding.
fn read_key(at: usize, spki: &[u8]) -> Result<PublicKey, IdentityError> {
    if let Some(public) = spki.strip_prefix(ED25519_SPKI_PREFIX) {
        let public = public.try_into().map_err(|_| IdentityError::Key { at })?;
        tlog::ed25519::check_public(&public).map_err(|_| IdentityError::WeakKey { at })?;
        return Ok(PublicKey::Ed25519(public));
    }
    let point = spki.strip_prefix(P256_SPKI_PREFIX).ok_or(IdentityError::Key { at })?;
    let point: [u8; p256::POINT_BYTES] = point.try_into().map_err(|_| IdentityError::Key { at })?;
    if point[0] != 0x04 {
        return Err(IdentityError::Key { at });
    }
    if p256::is_sound_public(&point) { Ok(PublicKey::P256(point)) } else { Err(IdentityError::WeakKey { at }) }
}

fn read_usage(usage: &ExtendedKeyUsage<'_>) -> Usage {
    let nothing_else = !usage.any
        && !usage.code_signing
        && !usage.email_protection
        && !usage.time_stamping
        && !usage.ocsp_signing
        && usage.other.is_empty();
    match (usage.client_auth, usage.server_auth, nothing_else) {
        (true, false, true) => Usage::Client,
        (false, true, true) => Usage::Server,
        _ => Usage::Else,
    }
}

/// The URIs, how many host names (DNS or IP), and how many of anything else.
fn sort_names(names: &[GeneralName<'_>]) -> (Vec<String>, usize, usize) {
    let (mut uris, mut hosts, mut others) = (Vec::new(), 0, 0);
    for name in names {
        match name {
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            GeneralName::DNSName(_) | GeneralName::IPAddress(_) => hosts += 1,
            // A URI that is no UTF-8 is a URI still: it counts as one, and no address is spelt like it.
            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => uris.push(String::new()),
            _ => others += 1,
        }
    }
    (uris, hosts, others)
}

/// `None` when the extension stands twice.
fn has_identity_policy(certificate: &X509Certificate<'_>) -> Option<bool> {
    let extension = certificate.get_extension_unique(&OID_X509_EXT_CERTIFICATE_POLICIES).ok()?;
    let Some(ParsedExtension::CertificatePolicies(policies)) = extension.map(|found| found.parsed_extension()) else {
        return Some(false);
    };
    Some(policies.iter().any(|policy| policy.policy_id.as_bytes() == IDENTITY_POLICY_DER))
}

fn read_subject(name: &X509Name<'_>) -> Subject {
    let mut attributes = name.iter_attributes();
    match (attributes.next(), attributes.next()) {
        (None, _) => Subject::Empty,
        (Some(only), None) if *only.attr_type() == OID_X509_COMMON_NAME => {
            only.as_str().map_or(Subject::Else, |text| Subject::CommonName(text.to_owned()))
        }
        _ => Subject::Else,
    }
}

const SCHEME: &str = "spiffe://";
/// RFC 8410 4: the SubjectPublicKeyInfo of Ed25519 before its 32 bytes.
pub(super) const ED25519_SPKI_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// RFC 5480 2: the SubjectPublicKeyInfo of a P-256 key before its point of 65 bytes.
pub(super) const P256_SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];
/// RFC 5758 3.2: 1.2.840.10045.4.3.2, without parameters.
pub(crate) const ECDSA_WITH_SHA256_DER: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// RFC 5280 4.2.1.3, bit 0.
const DIGITAL_SIGNATURE: u16 = 1;
/// Bit 5.
const KEY_CERT_SIGN: u16 = 1 << 5;
/// Bit 6.
const CRL_SIGN: u16 = 1 << 6;
/// RFC 5280 4.1.2.2.
const SERIAL_BYTES_MAX: usize = 20;
/// RFC 5280 4.2.1.6: uniformResourceIdentifier is [6].
const URI_TAG: u32 = 6;
