//! How the keys of a profile are kept, and what opens them: files as they are, files under a passphrase, a key in a token.
//!
//! It asks nobody for a passphrase: who has a terminal does that and calls again. **Invariant:** a key that was encrypted
//! is never written in the clear unless that is what was asked for.

use std::path::{Path, PathBuf};

use envelope::identity::PublicKey;
use envelope::keys::Signer;
use envelope::locked::{LockError, Secret, is_locked, lock, plain, unlock as open};
use envelope::seal::DecryptionKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files;
use crate::profile::Profile;
use crate::store::Store;
#[cfg(not(feature = "pkcs11"))]
use crate::token::TokenError;
use crate::token::TokenUri;

/// What opens the keys of a profile, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Unlock {
    /// For key files.
    pub passphrase: Option<Secret>,
    /// For the token that holds the identity key.
    pub pin: Option<Secret>,
}

/// How a new profile keeps its keys.
#[derive(Clone, Debug, Default)]
pub struct Custody {
    /// With a passphrase, every key file is encrypted under it; it also opens those that are copied.
    pub unlock: Unlock,
    /// Where the identity key is, when it is no file: a PKCS#11 URI (RFC 7512).
    pub signing: Option<String>,
}

/// The PKCS#8 document in DER of a key file's text.
pub(crate) fn unlock(path: &Path, text: &[u8], passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, Error> {
    open(text, passphrase).map_err(|error| named(path, error))
}

fn named(path: &Path, error: LockError) -> Error {
    match error {
        LockError::Locked => Error::Locked(path.to_owned()),
        LockError::Wrong => Error::Passphrase(path.to_owned()),
        LockError::Pem => Error::Content { path: path.to_owned(), wanted: "a PKCS#8 private key in PEM".to_owned() },
        cause => Error::Lock { path: path.to_owned(), cause },
    }
}

/// The text of a key file for a new profile: as it is without a passphrase, else encrypted under it.
pub(crate) fn copied(from: &Path, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = files::read(from)?;
    let Some(passphrase) = passphrase else {
        return if is_locked(&text) { Err(Error::Locked(from.to_owned())) } else { Ok(text) };
    };
    locked(from, &unlock(from, &text, Some(passphrase))?, passphrase)
}

/// The text of the file of an encryption key: its seed, or encrypted under a passphrase.
pub(crate) fn seed_text(path: &Path, key: &DecryptionKey, passphrase: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>, Error> {
    match passphrase {
        None => Ok(Zeroizing::new(key.seed().to_vec())),
        Some(passphrase) => locked(path, &key.to_pkcs8(), passphrase),
    }
}

/// Reads what [`seed_text`] made.
pub(crate) fn read_seed(path: &Path, passphrase: Option<&Secret>) -> Result<DecryptionKey, Error> {
    let text = files::read(path)?;
    let key = if is_locked(&text) { DecryptionKey::from_pkcs8(&unlock(path, &text, passphrase)?) } else { DecryptionKey::from_seed(&text) };
    key.map_err(|_| Error::Content { path: path.to_owned(), wanted: "the 32-byte seed of an encryption key".to_owned() })
}

/// Encrypts every key file of the profile at `dir` under `new`, or writes it in the clear. While it does, no other
/// process can have the profile open.
///
/// Each file is replaced in one step, one after the other: after a crash between two, the same call does the rest, for a
/// file opens with the old passphrase or with the new one.
///
/// # Errors
/// [`Error::InUse`]; [`Error::Locked`] and [`Error::Passphrase`] when `old` does not open a file; nothing was changed then.
pub fn change_passphrase(dir: &Path, old: Option<&Secret>, new: Option<&Secret>) -> Result<Vec<PathBuf>, Error> {
    // Nothing is made in a folder that is no profile.
    Profile::server(dir)?;
    let _held = Store::open(dir)?;
    let mut changed = Vec::new();
    for path in key_files(dir)? {
        let text = files::read(&path)?;
        let seed = path.parent() == Some(&dir.join("keys"));
        let opened = |passphrase: Option<&Secret>| {
            if seed { read_seed(&path, passphrase).map(|key| key.to_pkcs8()) } else { unlock(&path, &text, passphrase) }
        };
        let der = match (opened(old), new) {
            (Err(Error::Passphrase(_)), Some(new)) => opened(Some(new)),
            (Err(Error::Locked(_)), Some(new)) if old.is_none() => opened(Some(new)).map_err(|_| Error::Locked(path.clone())),
            (opened, _) => opened,
        }?;
        let text = match new {
            Some(new) => locked(&path, &der, new)?,
            None if seed => Zeroizing::new(read_seed(&path, old)?.seed().to_vec()),
            None => plain(&der).map_err(|error| named(&path, error))?,
        };
        changed.push((path, text));
    }
    // The newest encryption key is the current one, so files stay as old as they are.
    changed.into_iter().map(|(path, text)| files::replace_in_time(&path, &text).map(|()| path)).collect()
}

/// The first key file of a profile that needs a passphrase.
///
/// # Errors
/// What is wrong with the profile or a file.
pub fn first_locked(dir: &Path) -> Result<Option<PathBuf>, Error> {
    Profile::server(dir)?;
    for path in key_files(dir)? {
        if is_locked(&files::read(&path)?) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A signer that asks the token at `uri`, whose key must be `public`.
#[cfg(feature = "pkcs11")]
pub(crate) fn token(uri: &str, pin: Option<&Secret>, public: PublicKey) -> Result<Box<dyn Signer>, Error> {
    Ok(Box::new(crate::pkcs11::Pkcs11Key::open(&TokenUri::parse(uri)?, pin, public)?))
}

/// Without PKCS#11 the URI is read, and that is all.
#[cfg(not(feature = "pkcs11"))]
pub(crate) fn token(uri: &str, _: Option<&Secret>, _: PublicKey) -> Result<Box<dyn Signer>, Error> {
    TokenUri::parse(uri)?;
    Err(TokenError::Unsupported.into())
}

/// The key files of a profile.
fn key_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = files::newest_first(&dir.join("keys"), "key")?;
    // With the identity in a token there is no such file.
    paths.extend(["identity.key", "tls.key"].map(|name| dir.join(name)).into_iter().filter(|path| path.exists()));
    Ok(paths)
}

fn locked(path: &Path, der: &[u8], passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, Error> {
    lock(der, passphrase).map(|text| Zeroizing::new(text.into_bytes())).map_err(|error| named(path, error))
}
