//! `bytes -> Envelope -> Verified`: form, sender, commitments and signatures of a submission.
//!
//! It does not know whether the sender may send it; the exchange decides that from [`Verified`].

use bytes::Bytes;
use prost::Message as _;
use proto::v1::{self, Signature};
use tlog::{Hash, sha256_parts};

use crate::canonical::{EncodingError, ensure};
use crate::dsse::{self, SignerKey};
use crate::header::{HEADER_TYPE, Header, Wrap, wraps_root};
use crate::identity::{Link, PublicKey};
use crate::keys::Verifier;
use crate::limits::CIPHERTEXT_BYTES_MAX;
use crate::{Address, Network};

/// A submission that was read.
#[derive(Clone, Debug)]
pub struct Envelope {
    header: Header,
    signatures: Vec<Signature>,
    wraps: Vec<Wrap>,
    content: Bytes,
}

/// Who speaks on a connection: facts of its TLS certificate, judged when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address in the certificate.
    pub address: Address,
    /// SHA-256 of the leaf.
    pub fingerprint: [u8; 32],
    /// SHA-256 over the chain.
    pub chain_sha256: [u8; 32],
    /// The certificates of the path, leaf first.
    pub links: Vec<Link>,
    /// End of the narrowest of them, Unix milliseconds.
    pub not_after_ms: u64,
}

/// The identity keys that a verifier knows.
pub trait Keyring {
    /// The owner and public key behind a key id.
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity>;
}

/// An enrolled identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose it is.
    pub address: Address,
    /// The certified key; its algorithm is the only one that a header may name.
    pub public: PublicKey,
}

/// Why a submission is not what it says it is. The names are those of SPEC.md 10.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// `BAD_ENCODING` or `TOO_LARGE`.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// `NOT_SENDER`: the addresses of TLS certificate, first signer and header are not one.
    #[error("the header's sender is {sender}, {other}")]
    NotSender {
        /// Who the header says it is.
        sender: Address,
        /// What does not fit it.
        other: String,
    },
    /// `BAD_COMMITMENT`: wraps or content are not those that were signed.
    #[error("{0} is not what the header commits to")]
    BadCommitment(&'static str),
    /// `BAD_SIGNATURE`.
    #[error("{0}")]
    BadSignature(String),
}

impl Envelope {
    /// Reads a submission: header, wraps and content in their one encoding (SPEC.md 3).
    ///
    /// # Errors
    /// [`VerifyError::Encoding`].
    pub fn parse(submission: v1::Submission, network: &Network) -> Result<Self, VerifyError> {
        let signed = submission.signed.ok_or(EncodingError::Field { field: "signed", why: "is absent" })?;
        let bytes = submission.content.len();
        if bytes > CIPHERTEXT_BYTES_MAX {
            return Err(EncodingError::TooLarge { what: "the content", bytes, max: CIPHERTEXT_BYTES_MAX }.into());
        }
        let header = Header::parse(&signed.header, network)?;
        ensure(submission.wraps.len() <= header.context.recipients.len(), "wraps", "are more than the recipients")?;
        let wraps = submission.wraps.iter().map(Wrap::parse).collect::<Result<_, _>>()?;
        Ok(Self { header, signatures: signed.signatures, wraps, content: submission.content })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks in this order that the peer is the sender, that wraps and content are those committed to, and every signature.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that fails.
    pub fn verify(self, peer: &Peer, keys: &dyn Keyring, verifier: &impl Verifier) -> Result<Verified, VerifyError> {
        let signers = check_sender(&self.header, &peer.address, keys)?;
        self.check_commitments()?;
        check_signatures(&self.header, &signers, &self.signatures, verifier)?;
        let wrap_keys = self.wraps.iter().map(|wrap| (wrap.key_id, wrap.kem)).collect();
        let payload = v1::SealedPayload {
            signatures: self.signatures,
            wraps: self.wraps.into_iter().map(|wrap| wrap.bytes).collect(),
            content: self.content,
        };
        let signatures_sha256 = signatures_sha256(&payload.signatures);
        let sealed_sha256 = sealed_sha256(&self.header.wraps_root, &payload.content);
        Ok(Verified {
            header: self.header,
            signatures_sha256,
            sealed_sha256,
            wrap_keys,
            peer: peer.clone(),
            sealed: payload.encode_to_vec().into(),
        })
    }

    fn check_commitments(&self) -> Result<(), VerifyError> {
        let header = &self.header;
        if self.wraps.len() != header.context.recipients.len() {
            return Err(VerifyError::BadCommitment("the number of wraps"));
        }
        if self.wraps.iter().enumerate().any(|(at, wrap)| wrap.index as usize != at) {
            return Err(VerifyError::BadCommitment("the order of the wraps"));
        }
        let bytes: Vec<Bytes> = self.wraps.iter().map(|wrap| wrap.bytes.clone()).collect();
        if wraps_root(&bytes) != header.wraps_root {
            return Err(VerifyError::BadCommitment("the set of wraps"));
        }
        if self.content.len() as u64 != header.content_size || tlog::sha256(&self.content) != header.content_sha256 {
            return Err(VerifyError::BadCommitment("the content"));
        }
        Ok(())
    }
}

/// A message whose form, sender, commitments and signatures hold. Made by [`Envelope::verify`], or from a ledger's record.
#[derive(Clone, Debug)]
pub struct Verified {
    header: Header,
    signatures_sha256: [u8; 32],
    sealed_sha256: [u8; 32],
    wrap_keys: Vec<([u8; 32], v1::KemId)>,
    peer: Peer,
    sealed: Bytes,
}

impl Verified {
    /// Verifies a recorded message again from what an opening and its signatures show; wraps and content stay unseen.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that fails.
    pub fn again(record: Record, keys: &dyn Keyring, verifier: &impl Verifier) -> Result<Self, VerifyError> {
        let header = record.header;
        let signers = check_sender(&header, &record.peer.address, keys)?;
        if record.wrap_keys.len() != header.context.recipients.len() {
            return Err(VerifyError::BadCommitment("the number of wraps"));
        }
        check_signatures(&header, &signers, &record.signatures, verifier)?;
        let signatures_sha256 = signatures_sha256(&record.signatures);
        Ok(Self {
            header,
            signatures_sha256,
            sealed_sha256: record.sealed_sha256,
            wrap_keys: record.wrap_keys,
            peer: record.peer,
            sealed: Bytes::new(),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of the signatures as received (slot 2).
    #[must_use]
    pub fn signatures_sha256(&self) -> &[u8; 32] {
        &self.signatures_sha256
    }

    /// SHA-256 over wraps and content (slot 8).
    #[must_use]
    pub fn sealed_sha256(&self) -> &[u8; 32] {
        &self.sealed_sha256
    }

    /// Key id and KEM of each wrap, in order of the recipients.
    #[must_use]
    pub fn wrap_keys(&self) -> &[([u8; 32], v1::KemId)] {
        &self.wrap_keys
    }

    /// Who brought it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What is stored beside the entry: signatures, wraps, content.
    #[must_use]
    pub fn sealed(&self) -> &Bytes {
        &self.sealed
    }
}

/// What a ledger shows of a message to somebody who judges it again.
#[derive(Clone, Debug)]
pub struct Record {
    /// Slot 1, read for the ledger's network.
    pub header: Header,
    /// From beside the opening; slot 2 is their digest.
    pub signatures: Vec<Signature>,
    /// Slot 8.
    pub sealed_sha256: [u8; 32],
    /// Slot 9.
    pub wrap_keys: Vec<([u8; 32], v1::KemId)>,
    /// Slots 3 and 4.
    pub peer: Peer,
}

/// SHA-256("ecowire/1 signatures\0" || for each: key id || u32be length || signature).
#[must_use]
pub fn signatures_sha256(signatures: &[Signature]) -> [u8; 32] {
    let mut bytes = b"ecowire/1 signatures\0".to_vec();
    for signature in signatures {
        bytes.extend_from_slice(&signature.key_id);
        push_long(&mut bytes, &signature.signature);
    }
    tlog::sha256(&bytes)
}

/// SHA-256("ecowire/1 sealed\0" || wraps_root || u64be content length || content).
#[must_use]
pub fn sealed_sha256(wraps_root: &Hash, content: &[u8]) -> [u8; 32] {
    let length = (content.len() as u64).to_be_bytes();
    sha256_parts(&[b"ecowire/1 sealed\0", wraps_root.as_bytes(), &length, content])
}

/// Keys of the signers after `NOT_SENDER` was checked.
fn check_sender(header: &Header, peer: &Address, keys: &dyn Keyring) -> Result<Vec<SignerKey>, VerifyError> {
    let sender = &header.context.reference.sender;
    let not_sender = |other: String| VerifyError::NotSender { sender: sender.clone(), other };
    if peer != sender {
        return Err(not_sender(format!("the TLS certificate's address is {peer}")));
    }
    let mut signers = Vec::with_capacity(header.context.signers.len());
    for (at, signer) in header.context.signers.iter().enumerate() {
        let identity = keys.identity(&signer.key_id).ok_or_else(|| not_sender("a signing key is not enrolled".to_owned()))?;
        if at == 0 && identity.address != *sender {
            return Err(not_sender(format!("the first signing key is {}'s", identity.address)));
        }
        if identity.public.alg() != signer.alg {
            return Err(VerifyError::BadSignature("the header names another algorithm than the certified key has".to_owned()));
        }
        signers.push((signer.key_id, identity.public));
    }
    Ok(signers)
}

fn check_signatures(header: &Header, signers: &[SignerKey], signatures: &[Signature], verifier: &impl Verifier) -> Result<(), VerifyError> {
    dsse::verify(verifier, HEADER_TYPE, &header.bytes, signers, signatures).map_err(|fault| VerifyError::BadSignature(fault.to_string()))
}

fn push_long(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
    bytes.extend_from_slice(value);
}
