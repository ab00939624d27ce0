//! Makes certificates and revocation lists from explicit parameters: good ones for `mint`, hostile ones for tests.
//!
//! **Invariant:** nothing is checked here. [`Ca::issue`] signs whatever a [`Spec`] says, with any CA of a minted PKI,
//! so that tests can ask whether others check. It is a development tool and has no place near a real CA.

use std::net::IpAddr;
use std::path::Path;

use envelope::address::{Address, Network};
use envelope::identity::IDENTITY_POLICY_DER;
use envelope::identity::PublicKey;
use envelope::keys::{SigningKey, random};
use envelope::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData,
    RevokedCertParams, SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Error, files};

/// A name in the subject alternative name extension; the bytes are not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// uniformResourceIdentifier, in any bytes.
    Uri(Vec<u8>),
    /// dNSName.
    Dns(String),
    /// iPAddress.
    Ip(IpAddr),
    /// rfc822Name.
    Email(String),
}

impl Name {
    /// A URI.
    pub fn uri(text: impl AsRef<[u8]>) -> Self {
        Self::Uri(text.as_ref().to_vec())
    }
}

/// Everything that a certificate says, but its key and its issuer.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Attributes of the subject, in order.
    pub subject: Vec<(DnType, String)>,
    /// Names; none means no such extension.
    pub names: Vec<Name>,
    /// CA or not, and its path length.
    pub is_ca: IsCa,
    /// Key usages; none means no such extension.
    pub key_usages: Vec<KeyUsagePurpose>,
    /// Extended key usages; none means no such extension.
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// Whether the identity policy is there.
    pub identity_policy: bool,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// Big endian; `None` is a random one of 16 bytes.
    pub serial: Option<Vec<u8>>,
    /// Further extensions: object identifier, contents, critical.
    pub extensions: Vec<(Vec<u64>, Vec<u8>, bool)>,
}

impl Spec {
    /// A participant's TLS leaf by the profile.
    #[must_use]
    pub fn tls(network: &Network, address: &Address, now: Timestamp) -> Self {
        Self { usages: vec![ExtendedKeyUsagePurpose::ClientAuth], ..Self::leaf(network, address, now) }
    }

    /// A node's TLS leaf by the profile, for `localhost`.
    #[must_use]
    pub fn node_tls(network: &Network, address: &Address, now: Timestamp) -> Self {
        let mut spec = Self::leaf(network, address, now);
        spec.usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        spec.names.push(Name::Dns("localhost".into()));
        spec.names.extend([IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])].map(Name::Ip));
        spec
    }

    /// An identity leaf by the profile.
    #[must_use]
    pub fn identity(network: &Network, address: &Address, now: Timestamp) -> Self {
        Self { identity_policy: true, ..Self::leaf(network, address, now) }
    }

    /// A CA by the profile. `path` is `""` for the root, else `ke`, `cn/hk` or `node`; a root has no path length.
    #[must_use]
    pub fn ca(network: &Network, path: &str, path_len: Option<u8>, now: Timestamp) -> Self {
        let slash = if path.is_empty() { "" } else { "/" };
        let not_before = now.minus(BACKDATED_MS);
        Self {
            subject: vec![(DnType::CommonName, common_name(path))],
            names: vec![Name::uri(format!("spiffe://{network}{slash}{path}"))],
            is_ca: IsCa::Ca(path_len.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained)),
            key_usages: vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            usages: Vec::new(),
            identity_policy: false,
            not_before,
            not_after: not_before.plus(CA_VALIDITY_MS),
            serial: None,
            extensions: Vec::new(),
        }
    }

    fn leaf(network: &Network, address: &Address, now: Timestamp) -> Self {
        let not_before = now.minus(BACKDATED_MS);
        Self {
            subject: vec![(DnType::CommonName, address.to_string())],
            names: vec![Name::uri(address.spiffe_id(network))],
            is_ca: IsCa::NoCa,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            usages: Vec::new(),
            identity_policy: false,
            not_before,
            not_after: not_before.plus(LEAF_VALIDITY_MS),
            serial: None,
            extensions: Vec::new(),
        }
    }

    fn params(&self) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        params.not_before = date(self.not_before)?;
        params.not_after = date(self.not_after)?;
        params.serial_number = Some(SerialNumber::from(match &self.serial {
            Some(serial) => serial.clone(),
            None => random_serial()?,
        }));
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in &self.subject {
            params.distinguished_name.push(kind.clone(), value.as_str());
        }
        params.is_ca = self.is_ca;
        params.key_usages.clone_from(&self.key_usages);
        params.extended_key_usages.clone_from(&self.usages);
        params.use_authority_key_identifier_extension = true;
        if !self.names.is_empty() {
            params.custom_extensions.push(CustomExtension::from_oid_content(SAN, san(&self.names)));
        }
        if self.identity_policy {
            let policy = der(0x30, &der(0x30, &der(0x06, &IDENTITY_POLICY_DER)));
            params.custom_extensions.push(CustomExtension::from_oid_content(POLICIES, policy));
        }
        for (oid, content, critical) in &self.extensions {
            let mut extension = CustomExtension::from_oid_content(oid, content.clone());
            extension.set_criticality(*critical);
            params.custom_extensions.push(extension);
        }
        Ok(params)
    }
}

/// A P-256 key pair (or, for forgeries, any other of rcgen's) that is wiped when dropped.
pub struct Pair(KeyPair);

impl Pair {
    /// Makes a P-256 key.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, Error> {
        Self::generate_for(&PKCS_ECDSA_P256_SHA256)
    }

    /// Makes a key of another algorithm.
    ///
    /// # Errors
    /// [`Error::Certificate`] when there is no such key.
    pub fn generate_for(algorithm: &'static SignatureAlgorithm) -> Result<Self, Error> {
        Ok(Self(KeyPair::generate_for(algorithm)?))
    }

    /// PKCS#8 in DER.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        self.0.serialized_der()
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let content = || Error::Content { path: path.into(), wanted: "a P-256 private key (PKCS#8) in PEM" };
        let key = PrivatePkcs8KeyDer::from_pem_slice(&files::read(path)?).map_err(|_| content())?;
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(|_| content())?;
        Ok(Self(pair))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for Pair {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// The public half of an identity key, to be certified.
pub struct Certifiable(pub PublicKey);

impl PublicKeyData for Certifiable {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0 {
            PublicKey::Ed25519(_) => &PKCS_ED25519,
            PublicKey::P256(_) => &PKCS_ECDSA_P256_SHA256,
        }
    }
}

/// 32 bytes as an Ed25519 key, be they one or not.
pub struct Ed25519Public(pub [u8; 32]);

impl PublicKeyData for Ed25519Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A CA with its key.
pub struct Ca {
    /// Its certificate in DER.
    pub der: Vec<u8>,
    /// Its key.
    pub pair: Pair,
    subject: DistinguishedName,
}

impl Ca {
    /// A self-signed CA with a new key.
    ///
    /// # Errors
    /// [`Error`] when certificate or key cannot be made.
    pub fn root(spec: &Spec) -> Result<Self, Error> {
        let pair = Pair::generate()?;
        let params = spec.params()?;
        let der = params.self_signed(&pair.0)?.der().to_vec();
        Ok(Self { der, pair, subject: params.distinguished_name })
    }

    /// Loads a CA of the PKI in `out`: its name is `""` for the root, else `ke` or `node`.
    ///
    /// # Errors
    /// [`Error::Absent`] or [`Error::Content`] when the PKI has no such CA.
    pub fn load(out: &Path, name: &str) -> Result<Self, Error> {
        let base = out.join("authority").join(file_name(name));
        let der = files::read_chain(&base.with_extension("pem"))?.remove(0);
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common_name(name));
        Ok(Self { der, pair: Pair::read(&base.with_extension("key"))?, subject })
    }

    /// A CA below this one with a new key.
    ///
    /// # Errors
    /// [`Error`] when certificate or key cannot be made.
    pub fn subordinate(&self, spec: &Spec) -> Result<Self, Error> {
        self.certify(spec, Pair::generate()?)
    }

    /// A CA below this one with the given key: a cross-signed one, when another CA has it, too.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the certificate cannot be made.
    pub fn certify(&self, spec: &Spec, pair: Pair) -> Result<Self, Error> {
        Ok(Self { der: self.issue(spec, &pair)?, pair, subject: spec.params()?.distinguished_name })
    }

    /// The certificate of `key` that says what `spec` says, in DER. Nothing is checked.
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be encoded or signed.
    pub fn issue(&self, spec: &Spec, key: &impl PublicKeyData) -> Result<Vec<u8>, Error> {
        let issuer = self.params();
        let issuer = Issuer::from_params(&issuer, &self.pair.0);
        Ok(spec.params()?.signed_by(key, &issuer)?.der().to_vec())
    }

    /// A revocation list in DER that replaces every earlier one: `serials` with the time of their revocation.
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be encoded or signed.
    pub fn crl(&self, number: u64, serials: &[(Vec<u8>, Timestamp)], now: Timestamp) -> Result<Vec<u8>, Error> {
        let entry = |(serial, at): &(Vec<u8>, Timestamp)| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial),
                revocation_time: date(*at)?,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: date(now)?,
            next_update: date(now.plus(CRL_VALIDITY_MS))?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect::<Result<_, Error>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = self.params();
        Ok(params.signed_by(&Issuer::from_params(&issuer, &self.pair.0))?.der().to_vec())
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.subject.clone();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

/// Makes an Ed25519 key and its PKCS#8 document in DER, version 1 (RFC 8410 7): OpenSSL does not read version 2.
///
/// # Errors
/// [`Error::Key`] when the system gives no random bytes.
pub fn generate_ed25519() -> Result<(SigningKey, Zeroizing<Vec<u8>>), Error> {
    let seed = Zeroizing::new(random::<32>()?);
    let mut document = Zeroizing::new(Vec::with_capacity(ED25519_PKCS8_PREFIX.len() + seed.len()));
    document.extend_from_slice(ED25519_PKCS8_PREFIX);
    document.extend_from_slice(seed.as_slice());
    Ok((SigningKey::from_pkcs8(&document)?, document))
}

/// The common name of a CA: it says that this is for development.
fn common_name(path: &str) -> String {
    format!("DEV {} CA", if path.is_empty() { "root" } else { path })
}

/// The file of a CA without its extension.
pub(crate) fn file_name(ca: &str) -> String {
    if ca.is_empty() { "root".to_owned() } else { ca.replace('/', "_") }
}

fn random_serial() -> Result<Vec<u8>, Error> {
    let mut serial = random::<16>()?;
    // Positive, and never shorter than 16 bytes.
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial.to_vec())
}

fn date(at: Timestamp) -> Result<OffsetDateTime, Error> {
    let seconds = i64::try_from(at.secs()).map_err(|_| Error::Time(at.ms()))?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Time(at.ms()))
}

/// GeneralNames (RFC 5280 4.2.1.6).
fn san(names: &[Name]) -> Vec<u8> {
    let name = |name: &Name| match name {
        Name::Email(text) => der(0x81, text.as_bytes()),
        Name::Dns(text) => der(0x82, text.as_bytes()),
        Name::Uri(bytes) => der(0x86, bytes),
        Name::Ip(IpAddr::V4(ip)) => der(0x87, &ip.octets()),
        Name::Ip(IpAddr::V6(ip)) => der(0x87, &ip.octets()),
    };
    der(0x30, &names.iter().flat_map(name).collect::<Vec<_>>())
}

/// Tag, length and contents in DER.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let mut out = vec![tag];
    if contents.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len() - start).expect("a length has at most 8 bytes"));
    }
    out.extend_from_slice(&length[start..]);
    out.extend_from_slice(contents);
    out
}

const SAN: &[u64] = &[2, 5, 29, 17];
const POLICIES: &[u64] = &[2, 5, 29, 32];
/// RFC 8410 7: OneAsymmetricKey version 1 of Ed25519 before its 32 secret bytes.
const ED25519_PKCS8_PREFIX: &[u8] = &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// One hour: the other machine's clock may be behind.
const BACKDATED_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 86_400_000;
/// 5 years.
const CA_VALIDITY_MS: u64 = 1_826 * DAY_MS;
/// The longest that the web allows a TLS leaf; longer would teach nobody to renew.
const LEAF_VALIDITY_MS: u64 = 398 * DAY_MS;
const CRL_VALIDITY_MS: u64 = 30 * DAY_MS;
