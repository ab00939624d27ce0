//! `trust.toml`: what a member is told beforehand, on a way that is not the gateway.
//!
//! The text is for people, the signature stands over the canonical statement rebuilt from it. **Invariant:** the
//! signature shows that the file is whole; what makes it trusted is the way on which it came, and this file does not
//! know that way. Nor does it know a clock: an end of the statement is a field to read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::Message as _;
use proto::v1::{self, Signature};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use tlog::{VerifierKey, VerifierKeyError};

use crate::address::{Address, Network};
use crate::canonical::{self, EncodingError};
use crate::dsse::{self, SignatureFault};
use crate::genesis::hex;
use crate::identity::{Anchors, IdentityError};
use crate::keys::{Ring, SignFault, Signer};
use crate::statement::{NETWORK_AUTHORITY, Statement, authority_signers};
use crate::time::Timestamp;

/// What a member trusts from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The network.
    pub network: Network,
    /// + 1 with each new trust file of the network, from 1.
    pub seq: u64,
    /// SHA-256 of the statement before it; `None` when `seq` is 1.
    pub prev_sha256: Option<[u8; 32]>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; the epoch (0) means without end.
    pub expires: Timestamp,
    /// Root certificates in DER, 1 to 4.
    pub roots: Vec<Vec<u8>>,
    /// Raw Ed25519 public keys of the network authority, 1 to 4.
    pub authority: Vec<[u8; 32]>,
    /// How many of them must sign a statement.
    pub authority_threshold: u32,
    /// Gateways that a member may speak to.
    pub nodes: Vec<Address>,
    /// [`log_origin`] of the network and the genesis.
    pub log_origin: String,
    /// Ed25519 public key of the log's checkpoints.
    pub log_key: [u8; 32],
    /// [`directory_origin`] of the network and the genesis.
    pub directory_origin: String,
    /// Ed25519 public key of the directory's checkpoints.
    pub directory_key: [u8; 32],
    /// SHA-256 of the file `genesis.bin`.
    pub genesis_sha256: [u8; 32],
    /// Verifier keys of witnesses (C2SP signed-note), at most 16.
    pub witnesses: Vec<String>,
    /// How many witnesses must have cosigned a checkpoint.
    pub witnesses_k: u32,
}

/// Why a trust file cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// More text than any trust file of ours.
    #[error("a trust file has at most {TRUST_BYTES_MAX} bytes, not {0}")]
    Bytes(usize),
    /// Not TOML, a field that is missing, unknown or of another type.
    #[error("the trust file is not toml of its form: {0}")]
    Toml(String),
    /// A text that is not hex, base64 or PEM of what belongs there.
    #[error("{field} of the trust file is not {wanted}")]
    Text {
        /// The field's name in the file.
        field: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A field out of its bounds.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// An origin that is not the one of the genesis.
    #[error("{0} of the trust file does not follow from network and genesis")]
    Origin(&'static str),
    /// A root that is none.
    #[error("a root of the trust file is refused")]
    Root(#[source] IdentityError),
    /// A key of log, directory or witness that verifies no note.
    #[error("{field} of the trust file is no verifier key")]
    Key {
        /// The field's name in the file.
        field: &'static str,
        /// Why.
        #[source]
        cause: VerifierKeyError,
    },
    /// Too few signatures of its authority, a foreign one, or one over other bytes: the file is not whole.
    #[error("the trust file is not what its authority signed")]
    Signature(#[from] SignatureFault),
}

impl Trust {
    /// Reads a trust file and checks that it is whole: every field in bounds, origins that follow from network and
    /// genesis, and signatures of at least `authority_threshold` of the keys that it names itself.
    ///
    /// # Errors
    /// [`TrustError`] names the first rule broken.
    pub fn parse_toml(text: &str) -> Result<Self, TrustError> {
        if text.len() > TRUST_BYTES_MAX {
            return Err(TrustError::Bytes(text.len()));
        }
        let file: File = toml::from_str(text).map_err(|error| TrustError::Toml(error.message().to_owned()))?;
        let signatures = file.signature.iter().map(FileSignature::read).collect::<Result<Vec<_>, _>>()?;
        let trust = file.read()?;
        let statement = trust.to_statement();
        let bytes = statement.encode_to_vec();
        canonical::decode::<v1::Trust>(&bytes)?;
        trust.check()?;
        let signers = authority_signers(&statement.authority, statement.authority_threshold, &signatures)?;
        dsse::verify(&Ring, v1::Trust::PAYLOAD_TYPE, &bytes, &signers, &signatures)?;
        Ok(trust)
    }

    /// The file's text, with comments for people. [`Trust::parse_toml`] reads it again when `signatures` are those of
    /// [`Trust::sign`].
    #[must_use]
    pub fn to_toml(&self, signatures: &[Signature]) -> String {
        let quote = |text: &str| toml::Value::from(text).to_string();
        let list = |texts: Vec<String>| format!("[{}]", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", "));
        let prev = self.prev_sha256.map_or(String::new(), |prev| format!("prev_sha256 = \"{}\"\n", hex(&prev)));
        let expires = if self.expires.ms() == 0 { "no end".to_owned() } else { self.expires.to_string() };
        let roots: String = self.roots.iter().map(|der| format!("'''\n{}''',\n", pem(der))).collect();
        let mut text = format!(
            "# What a member of the network {network} trusts from the start. It travels with the certificates, never over\n\
             # the connection. The signatures at the end stand over all fields: a change of any makes the file useless.\n\
             version = 1\nnetwork = {network_quoted}\nseq = {seq}\n{prev}\
             # {created}\ncreated_ms = {created_ms}\n# {expires}\nexpires_ms = {expires_ms}\n\n\
             # Gateways that this member may speak to: the server's certificate must name one of them.\nnodes = {nodes}\n\n\
             # SHA-256 of the file genesis.bin, which is entry 0 of log and directory.\ngenesis_sha256 = \"{genesis}\"\n\n\
             # Names and Ed25519 keys of the two trees.\nlog_origin = {log_origin}\nlog_key = \"{log_key}\"\n\
             directory_origin = {directory_origin}\ndirectory_key = \"{directory_key}\"\n\n\
             # Witnesses that cosign checkpoints, and how many must have done so.\n\
             witnesses = {witnesses}\nwitnesses_k = {witnesses_k}\n\n\
             # Where every chain of certificates must end.\nroots = [\n{roots}]\n\n\
             # Ed25519 keys of the network authority, and how many must sign a statement of its.\n\
             authority_threshold = {threshold}\nauthority = {authority}\n",
            network = self.network,
            network_quoted = quote(self.network.as_str()),
            seq = self.seq,
            created = self.created,
            created_ms = self.created.ms(),
            expires_ms = self.expires.ms(),
            nodes = list(self.nodes.iter().map(Address::to_string).collect()),
            genesis = hex(&self.genesis_sha256),
            log_origin = quote(&self.log_origin),
            log_key = hex(&self.log_key),
            directory_origin = quote(&self.directory_origin),
            directory_key = hex(&self.directory_key),
            witnesses = list(self.witnesses.clone()),
            witnesses_k = self.witnesses_k,
            threshold = self.authority_threshold,
            authority = list(self.authority.iter().map(|key| hex(key)).collect()),
        );
        for signature in signatures {
            let (key_id, value) = (hex(&signature.key_id), BASE64.encode(&signature.signature));
            text += &format!("\n[[signature]]\nkey_id = \"{key_id}\"\nsignature = \"{value}\"\n");
        }
        text
    }

    /// Signs as the network authority, with each key, in order.
    ///
    /// # Errors
    /// [`SignFault`] of the first key that cannot be used now.
    pub fn sign<K: Signer + ?Sized>(&self, keys: &[&K]) -> Result<Vec<Signature>, SignFault> {
        dsse::sign(v1::Trust::PAYLOAD_TYPE, &self.to_statement().encode_to_vec(), keys)
    }

    /// The statement that the signatures stand over.
    #[must_use]
    pub fn to_statement(&self) -> v1::Trust {
        let key = |key: &[u8; 32]| v1::AuthorityKey { alg: v1::SigAlg::Ed25519.into(), public: key.to_vec().into() };
        v1::Trust {
            head: Some(v1::StatementHead {
                version: 1,
                network: self.network.to_string(),
                issuer: NETWORK_AUTHORITY.to_owned(),
                subject: NETWORK_AUTHORITY.to_owned(),
                seq: self.seq,
                prev_sha256: self.prev_sha256.map_or_else(Vec::new, |prev| prev.to_vec()).into(),
                created_ms: self.created.ms(),
                expires_ms: self.expires.ms(),
            }),
            roots: self.roots.iter().map(|der| der.clone().into()).collect(),
            authority: self.authority.iter().map(key).collect(),
            authority_threshold: self.authority_threshold,
            nodes: self.nodes.iter().map(Address::to_string).collect(),
            log_origin: self.log_origin.clone(),
            log_key: self.log_key.to_vec().into(),
            directory_origin: self.directory_origin.clone(),
            directory_key: self.directory_key.to_vec().into(),
            genesis_sha256: self.genesis_sha256.to_vec().into(),
            witnesses: self.witnesses.clone(),
            witnesses_k: self.witnesses_k,
        }
    }

    /// Network and roots, to judge chains by.
    ///
    /// # Errors
    /// [`TrustError::Root`]; never of a trust file that was parsed.
    pub fn anchors(&self) -> Result<Anchors, TrustError> {
        Anchors::new(self.network.clone(), &self.roots).map_err(TrustError::Root)
    }

    /// What verifies the log's checkpoints.
    ///
    /// # Errors
    /// [`TrustError::Key`]; never of a trust file that was parsed.
    pub fn log_verifier(&self) -> Result<VerifierKey, TrustError> {
        let key = VerifierKey::ed25519(&self.log_origin, self.log_key);
        key.map_err(|cause| TrustError::Key { field: "log_key", cause })
    }

    /// What verifies the directory's checkpoints.
    ///
    /// # Errors
    /// [`TrustError::Key`]; never of a trust file that was parsed.
    pub fn directory_verifier(&self) -> Result<VerifierKey, TrustError> {
        let key = VerifierKey::ed25519(&self.directory_origin, self.directory_key);
        key.map_err(|cause| TrustError::Key { field: "directory_key", cause })
    }

    /// What verifies the witnesses' cosignatures, in the order of `witnesses`.
    ///
    /// # Errors
    /// [`TrustError::Key`]; never of a trust file that was parsed.
    pub fn witness_verifiers(&self) -> Result<Vec<VerifierKey>, TrustError> {
        let parse = |text: &String| VerifierKey::parse(text);
        let keys: Result<Vec<_>, _> = self.witnesses.iter().map(parse).collect();
        keys.map_err(|cause| TrustError::Key { field: "witnesses", cause })
    }

    /// What the statement's own form does not say: origins, roots and keys of notes.
    fn check(&self) -> Result<(), TrustError> {
        if self.log_origin != log_origin(&self.network, &self.genesis_sha256) {
            return Err(TrustError::Origin("log_origin"));
        }
        if self.directory_origin != directory_origin(&self.network, &self.genesis_sha256) {
            return Err(TrustError::Origin("directory_origin"));
        }
        self.anchors()?;
        self.log_verifier()?;
        self.directory_verifier()?;
        self.witness_verifiers().map(drop)
    }
}

/// `<network>/log/0/<first 8 hex of the genesis digest>`: the name of the log in every checkpoint.
#[must_use]
pub fn log_origin(network: &Network, genesis_sha256: &[u8; 32]) -> String {
    format!("{network}/log/0/{}", hex(&genesis_sha256[..4]))
}

/// `<network>/directory/<first 8 hex of the genesis digest>`: the name of the directory in every checkpoint.
#[must_use]
pub fn directory_origin(network: &Network, genesis_sha256: &[u8; 32]) -> String {
    format!("{network}/directory/{}", hex(&genesis_sha256[..4]))
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    network: String,
    seq: u64,
    prev_sha256: Option<String>,
    created_ms: u64,
    expires_ms: u64,
    nodes: Vec<String>,
    genesis_sha256: String,
    log_origin: String,
    log_key: String,
    directory_origin: String,
    directory_key: String,
    witnesses: Vec<String>,
    witnesses_k: u32,
    roots: Vec<String>,
    authority_threshold: u32,
    authority: Vec<String>,
    signature: Vec<FileSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSignature {
    key_id: String,
    signature: String,
}

impl File {
    fn read(self) -> Result<Trust, TrustError> {
        if self.version != 1 {
            return Err(EncodingError::Version { what: "the trust file", version: self.version }.into());
        }
        let node = |text: &String| canonical::address(text, "nodes");
        let key = |text: &String| unhex("authority", text);
        Ok(Trust {
            network: canonical::network(&self.network, "network")?,
            seq: self.seq,
            prev_sha256: self.prev_sha256.map(|text| unhex("prev_sha256", &text)).transpose()?,
            created: Timestamp(self.created_ms),
            expires: Timestamp(self.expires_ms),
            roots: self.roots.iter().map(|text| unpem(text)).collect::<Result<_, _>>()?,
            authority: self.authority.iter().map(key).collect::<Result<_, _>>()?,
            authority_threshold: self.authority_threshold,
            nodes: self.nodes.iter().map(node).collect::<Result<_, _>>()?,
            log_origin: self.log_origin,
            log_key: unhex("log_key", &self.log_key)?,
            directory_origin: self.directory_origin,
            directory_key: unhex("directory_key", &self.directory_key)?,
            genesis_sha256: unhex("genesis_sha256", &self.genesis_sha256)?,
            witnesses: self.witnesses,
            witnesses_k: self.witnesses_k,
        })
    }
}

impl FileSignature {
    fn read(&self) -> Result<Signature, TrustError> {
        let text = TrustError::Text { field: "signature", wanted: "base64" };
        let signature = BASE64.decode(&self.signature).map_err(|_| text)?;
        Ok(Signature { key_id: unhex("key_id", &self.key_id)?.to_vec().into(), signature: signature.into() })
    }
}

/// 64 lower-case hex digits.
fn unhex(field: &'static str, text: &str) -> Result<[u8; 32], TrustError> {
    let wrong = || TrustError::Text { field, wanted: "64 lower-case hex digits" };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    if text.len() != 64 {
        return Err(wrong());
    }
    let bytes: Vec<u8> = text.as_bytes().chunks_exact(2).map(pair).collect::<Option<_>>().ok_or_else(wrong)?;
    bytes.try_into().map_err(|_| wrong())
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}

fn unpem(text: &str) -> Result<Vec<u8>, TrustError> {
    let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    match (certificates.next(), certificates.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        _ => Err(TrustError::Text { field: "roots", wanted: "one certificate in PEM each" }),
    }
}

/// Bytes of the file: four roots of 8 KiB in base64, sixteen witnesses, and comments.
const TRUST_BYTES_MAX: usize = 64 * 1024;
