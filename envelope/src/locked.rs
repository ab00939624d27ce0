//! Private keys under a passphrase: PKCS#8 `ENCRYPTED PRIVATE KEY` with PBES2 (RFC 8018), as `openssl pkey` reads it and
//! `openssl pkcs8 -topk8 -scrypt` writes it.
//!
//! Written are scrypt (RFC 7914) and AES-256-CBC; read is also what other tools make of PBES2, within bounds of cost. It
//! does not know what key is inside, nor files. **Invariant:** the cost of opening is looked at before it is paid.

use pkcs8::der::pem::{self, LineEnding, PemLabel as _};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::pkcs5::{self, pbes2};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::keys::{KeyFileError, random};
use crate::limits::{PASSPHRASE_BYTES_MAX, PBKDF2_ROUNDS_MAX, SCRYPT_BYTES_MAX, SCRYPT_WORK_MAX};

/// A passphrase, or the PIN of a token. It is wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes what was typed, or what a file holds: one line end behind it is no part of it.
    ///
    /// # Errors
    /// [`LockError::Passphrase`] when it is empty, too long, or has a line end inside.
    pub fn new(text: Zeroizing<String>) -> Result<Self, LockError> {
        let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() || line.len() > PASSPHRASE_BYTES_MAX || line.contains(['\n', '\r', '\0']) {
            return Err(LockError::Passphrase);
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    /// The text, for whoever must hand it on.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a key is not locked or unlocked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// No line of text.
    #[error("a passphrase is one line of 1 to {PASSPHRASE_BYTES_MAX} bytes")]
    Passphrase,
    /// Not PEM with a PKCS#8 private key, encrypted or not.
    #[error("it holds no PKCS#8 private key in PEM")]
    Pem,
    /// It is encrypted, and there is no passphrase.
    #[error("it is encrypted, and no passphrase was given")]
    Locked,
    /// Another passphrase, or a file that is damaged.
    #[error("the passphrase does not open it")]
    Wrong,
    /// Encrypted in a way that is not taken.
    #[error("it is not encrypted with PBES2, scrypt or PBKDF2 with SHA-2, and AES-CBC")]
    Scheme,
    /// Opening it would cost more than anybody's own key does.
    #[error("opening it costs more memory or time than a key of ours may")]
    Cost,
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] KeyFileError),
}

/// Whether the text holds a private key that needs a passphrase.
#[must_use]
pub fn is_locked(text: &[u8]) -> bool {
    text.windows(LOCKED_BEGIN.len()).any(|window| window == LOCKED_BEGIN)
}

/// Encrypts a PKCS#8 document in DER under a passphrase; the PEM is for its file.
///
/// # Errors
/// [`LockError::Random`] when the system gives no random bytes; [`LockError::Pem`] when it is no PKCS#8 document.
pub fn lock(pkcs8: &[u8], passphrase: &Secret) -> Result<String, LockError> {
    PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| LockError::Pem)?;
    let (salt, iv) = (random::<16>()?, random::<16>()?);
    let params = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).expect("the parameters are sound");
    let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(params, &salt, iv).expect("the parameters are sound");
    let sealed = scheme.encrypt(passphrase.expose(), pkcs8).expect("a buffer with room for the padding was made");
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: scheme.into(),
        encrypted_data: (&sealed[..]).try_into().map_err(|_| LockError::Pem)?,
    };
    let der = info.to_der().map_err(|_| LockError::Pem)?;
    pem::encode_string(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF, &der).map_err(|_| LockError::Pem)
}

/// A PKCS#8 document in DER as PEM, in the clear: what [`unlock`] reads without a passphrase.
///
/// # Errors
/// [`LockError::Pem`] when it is too large for a key.
pub fn plain(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, LockError> {
    let text = pem::encode_string(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF, pkcs8).map_err(|_| LockError::Pem)?;
    Ok(Zeroizing::new(text.into_bytes()))
}

/// The PKCS#8 document in DER of a PEM text, be it encrypted or not.
///
/// # Errors
/// [`LockError`] says whether a passphrase is missing, is another, or what else is wrong.
pub fn unlock(text: &[u8], passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, LockError> {
    if !is_locked(text) {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| LockError::Pem)?;
        return Ok(Zeroizing::new(der.secret_pkcs8_der().to_vec()));
    }
    let passphrase = passphrase.ok_or(LockError::Locked)?;
    let (label, der) = pem::decode_vec(text).map_err(|_| LockError::Pem)?;
    if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
        return Err(LockError::Pem);
    }
    let info = EncryptedPrivateKeyInfoRef::try_from(&der[..]).map_err(|_| LockError::Scheme)?;
    check_cost(&info.encryption_algorithm)?;
    let opened = info.decrypt(passphrase.expose()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. } | pkcs5::Error::NoPbes1CryptSupport,
        ) => LockError::Scheme,
        _ => LockError::Wrong,
    })?;
    // One wrong passphrase of 256 leaves a padding that looks sound.
    PrivateKeyInfoRef::from_der(opened.as_bytes()).map_err(|_| LockError::Wrong)?;
    Ok(Zeroizing::new(opened.as_bytes().to_vec()))
}

/// Looks at what deriving the key costs, before it is derived.
fn check_cost(scheme: &pkcs5::EncryptionScheme) -> Result<(), LockError> {
    let params = scheme.pbes2().ok_or(LockError::Scheme)?;
    match &params.kdf {
        pbes2::Kdf::Scrypt(scrypt) => {
            let (n, r, p) = (scrypt.cost_parameter, u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
            if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
                return Err(LockError::Scheme);
            }
            let work = n.saturating_mul(r);
            let sound = work.saturating_mul(128) <= SCRYPT_BYTES_MAX && work.saturating_mul(p) <= SCRYPT_WORK_MAX;
            if sound { Ok(()) } else { Err(LockError::Cost) }
        }
        pbes2::Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count > PBKDF2_ROUNDS_MAX => Err(LockError::Cost),
        pbes2::Kdf::Pbkdf2(_) => Ok(()),
        _ => Err(LockError::Scheme),
    }
}

const LOCKED_BEGIN: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
/// N = 2^14, r = 8 take 16 MiB: `openssl` opens nothing above 32 MiB. With p = 5 OWASP counts it as N = 2^17 with p = 1.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;
