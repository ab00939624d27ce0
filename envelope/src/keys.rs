//! Signing keys, and how a signature is checked. The acceptance rules are those of `tlog::ed25519` and [`crate::p256`],
//! for everybody.
//!
//! It does not know whose a key is; certificates and the registry do. Nor does it know files or tokens: a key that lies in
//! a device is a [`Signer`] of the program that speaks with the device.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey};
use proto::v1::{SigAlg, SignerRef};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

pub use tlog::ed25519::Ring;

use crate::identity::{PublicKey, ed25519_key_id, p256_key_id};
use crate::p256;

/// Whoever signs with a key: one in memory, or a device that holds one.
pub trait Signer: Send + Sync {
    /// The key that verifies its signatures; algorithm and id follow from it.
    fn public(&self) -> PublicKey;

    /// Signs `message`: Ed25519 (RFC 8032, pure), or ECDSA P-256 over its SHA-256 as r || s with a low s.
    ///
    /// # Errors
    /// [`SignFault`] when the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFault>;
}

/// Why a key did not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// ECDSA needs random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// The device that holds the key; the text is the device's.
    #[error("the device that holds the key did not sign: {0}")]
    Device(String),
    /// The device gave something else than a signature of the message by its key.
    #[error("what the device gave is no signature by its key")]
    Unsound,
}

/// A signing key in memory. It is never printed, and its file is the only other copy.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

/// ring signs with Ed25519; P-256 is aws-lc-rs', which reads what other tools write and wipes its keys.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// Why a key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not PEM with a PKCS#8 private key.
    #[error("the file holds no PKCS#8 private key in PEM")]
    Pem,
    /// PKCS#8, but no key of ours, or one whose halves do not fit.
    #[error("the private key is no sound Ed25519 or P-256 key")]
    Unsound,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

impl SigningKey {
    /// Reads a PKCS#8 private key in PEM.
    ///
    /// # Errors
    /// [`KeyFileError`] when the text holds no sound Ed25519 or P-256 key.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyFileError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| KeyFileError::Pem)?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// Reads a PKCS#8 private key in DER: Ed25519, version 1 or 2, or P-256.
    ///
    /// # Errors
    /// [`KeyFileError::Unsound`] when it is no sound key of either.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFileError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let public = pair.public_key().as_ref().try_into().map_err(|_| KeyFileError::Unsound)?;
            return Ok(Self { pair: Pair::Ed25519(pair), public: PublicKey::Ed25519(public) });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| KeyFileError::Unsound)?;
        let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().try_into().map_err(|_| KeyFileError::Unsound)?;
        Ok(Self { pair: Pair::P256(pair), public: PublicKey::P256(public) })
    }

    /// Makes an Ed25519 key; the PKCS#8 document is for its file.
    ///
    /// # Errors
    /// [`KeyFileError::Random`] when the system gives no random bytes.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), KeyFileError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyFileError::Random)?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&der)?, der))
    }

    /// Makes a P-256 key; the PKCS#8 document is for its file.
    ///
    /// # Errors
    /// [`KeyFileError::Random`] when the system gives no random bytes.
    pub fn generate_p256() -> Result<(Self, Zeroizing<Vec<u8>>), KeyFileError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| KeyFileError::Random)?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&der)?, der))
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        self.public.key_id()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl Signer for SigningKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFault> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")),
            Pair::P256(pair) => {
                let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message).map_err(|_| SignFault::Random)?;
                Ok(p256::with_low_s(signature.as_ref().try_into().expect("a fixed signature over P-256 has 64 bytes")))
            }
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// Computes the equations of both algorithms; everything else of their rules is checked outside.
pub trait Verifier: tlog::ed25519::Verifier {
    /// Whether ECDSA's equation holds for r || s over P-256 and SHA-256. A key that is no point of the curve yields
    /// `false`.
    fn verify_p256_raw(&self, public: &[u8; p256::POINT_BYTES], message: &[u8], signature: &[u8; 64]) -> bool;
}

impl Verifier for Ring {
    fn verify_p256_raw(&self, public: &[u8; p256::POINT_BYTES], message: &[u8], signature: &[u8; 64]) -> bool {
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, public);
        key.verify(message, signature).is_ok()
    }
}

/// aws-lc-rs' equations: faster than ring's, for the gateway's hot path and for replays.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl tlog::ed25519::Verifier for AwsLc {
    fn verify_raw(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public).verify(message, signature).is_ok()
    }
}

impl Verifier for AwsLc {
    fn verify_p256_raw(&self, public: &[u8; p256::POINT_BYTES], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(message, signature).is_ok()
    }
}

/// Why a signature is not accepted: the rule of its key's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Ed25519.
    #[error(transparent)]
    Ed25519(#[from] tlog::ed25519::SignatureError),
    /// ECDSA P-256.
    #[error(transparent)]
    P256(#[from] p256::SignatureError),
}

impl PublicKey {
    /// Takes a key as a registry keeps it: 32 bytes of Ed25519, 65 of P-256. Whether they are a sound point is not looked
    /// at: that was judged with the certificate, and a bad point verifies nothing.
    #[must_use]
    pub fn read(alg: SigAlg, bytes: &[u8]) -> Option<Self> {
        match alg {
            SigAlg::Ed25519 => bytes.try_into().ok().map(Self::Ed25519),
            SigAlg::EcdsaP256Sha256 => bytes.try_into().ok().map(Self::P256),
            SigAlg::Unspecified => None,
        }
    }

    /// The algorithm of its signatures.
    #[must_use]
    pub fn alg(&self) -> SigAlg {
        match self {
            Self::Ed25519(_) => SigAlg::Ed25519,
            Self::P256(_) => SigAlg::EcdsaP256Sha256,
        }
    }

    /// 32 bytes of Ed25519, 65 of P-256.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        match self {
            Self::Ed25519(public) => ed25519_key_id(public),
            Self::P256(public) => p256_key_id(public),
        }
    }

    /// How a context names it among its signers.
    #[must_use]
    pub fn signer_ref(&self) -> SignerRef {
        SignerRef { key_id: self.key_id().to_vec().into(), alg: self.alg().into() }
    }

    /// The 32 bytes of an Ed25519 key, which is what the log's, the directory's and the network authority's keys are.
    #[must_use]
    pub fn ed25519(&self) -> Option<[u8; 32]> {
        match self {
            Self::Ed25519(public) => Some(*public),
            Self::P256(_) => None,
        }
    }

    /// Accepts or refuses a signature of `message` by the rule of the key's algorithm (SPEC.md 1).
    ///
    /// # Errors
    /// [`SignatureError`] names the first rule broken.
    pub fn verify(&self, verifier: &impl Verifier, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
        match self {
            Self::Ed25519(public) => Ok(tlog::ed25519::verify(verifier, public, message, signature)?),
            Self::P256(public) => Ok(p256::verify(verifier, public, message, signature)?),
        }
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
