//! Encryption at rest under one key an entry, so that forgetting the key forgets the entry.
//!
//! It does not know where keys are kept; the ledger keeps them in files of their own.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::keys::{KeyFileError, random};

/// The key of one entry. Each slot number is used once with it.
pub struct EntryKey(Zeroizing<[u8; 32]>);

/// The bytes were not sealed under this key, slot and additional data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored bytes do not open under their key")]
pub struct VaultError;

impl EntryKey {
    /// A new key from the operating system.
    ///
    /// # Errors
    /// [`KeyFileError::Random`] when the system gives no random bytes.
    pub fn random() -> Result<Self, KeyFileError> {
        Ok(Self(Zeroizing::new(random()?)))
    }

    /// A key that was kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// AES-256-GCM with the slot number as nonce. **A slot is sealed once in the life of a key.**
    #[must_use]
    pub fn seal(&self, slot: u8, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        self.seal_onto(slot, aad, plain, &mut bytes);
        bytes
    }

    /// As [`EntryKey::seal`], appended to `out`.
    pub fn seal_onto(&self, slot: u8, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(plain);
        let tag = self.cipher().seal_in_place_separate_tag(nonce(slot), Aad::from(aad), &mut out[from..]);
        out.extend_from_slice(tag.expect("the plaintext is far below 64 GiB").as_ref());
    }

    /// Opens what [`EntryKey::seal`] made.
    ///
    /// # Errors
    /// [`VaultError`] when key, slot, additional data or a bit differ.
    pub fn open(&self, slot: u8, aad: &[u8], cipher: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut bytes = cipher.to_vec();
        let length = self.cipher().open_in_place(nonce(slot), Aad::from(aad), &mut bytes).map_err(|_| VaultError)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.0).expect("an AES-256 key has 32 bytes"))
    }
}

impl std::fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntryKey")
    }
}

fn nonce(slot: u8) -> Nonce {
    let mut bytes = [0; 12];
    bytes[11] = slot;
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_slot_and_place_open() {
        let key = EntryKey::from_bytes([7; 32]);
        let sealed = key.seal(1, b"place", b"secret");
        assert_eq!(key.open(1, b"place", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(key.open(2, b"place", &sealed), Err(VaultError));
        assert_eq!(key.open(1, b"other", &sealed), Err(VaultError));
        assert_eq!(EntryKey::from_bytes([8; 32]).open(1, b"place", &sealed), Err(VaultError));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(1, b"place", &bad), Err(VaultError), "bit {bit}");
        }
    }
}
