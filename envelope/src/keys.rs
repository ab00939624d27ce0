//! Signing keys of this program, and how a signature is checked. The acceptance rule is `tlog::ed25519`'s, for everybody.
//!
//! It does not know whose a key is; certificates and the registry do.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

pub use tlog::ed25519::{Ring, SignatureError, Verifier};

use crate::identity::ed25519_key_id;

/// An Ed25519 signing key. It is never printed, and its file is the only other copy.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    key_id: [u8; 32],
}

/// Why a key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not PEM with a PKCS#8 private key.
    #[error("the file holds no PKCS#8 private key in PEM")]
    Pem,
    /// PKCS#8, but no Ed25519 key, or one whose halves do not fit.
    #[error("the private key is no sound Ed25519 key")]
    Ed25519,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

impl SigningKey {
    /// Reads a PKCS#8 private key in PEM.
    ///
    /// # Errors
    /// [`KeyFileError`] when the text holds no sound Ed25519 key.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyFileError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| KeyFileError::Pem)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// Reads a PKCS#8 private key in DER, version 1 or 2.
    ///
    /// # Errors
    /// [`KeyFileError::Ed25519`] when it is no sound Ed25519 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFileError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyFileError::Ed25519)?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyFileError::Ed25519)?;
        Ok(Self { key_id: ed25519_key_id(&public), pair })
    }

    /// Makes a key; the PKCS#8 document is for its file.
    ///
    /// # Errors
    /// [`KeyFileError::Random`] when the system gives no random bytes.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), KeyFileError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyFileError::Random)?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&der)?, der))
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        self.key_id
    }

    /// The raw public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
    }

    /// Signs `message` (RFC 8032, pure Ed25519).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// aws-lc-rs' equation: 1.5 times faster than ring's, for the gateway's hot path and for replays.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Verifier for AwsLc {
    fn verify_raw(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public).verify(message, signature).is_ok()
    }
}

/// `N` bytes from the operating system.
///
/// # Errors
/// [`KeyFileError::Random`] when the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], KeyFileError> {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).map_err(|_| KeyFileError::Random)?;
    Ok(bytes)
}
