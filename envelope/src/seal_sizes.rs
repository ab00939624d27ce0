//! Sizes of keys and wraps of each KEM, for those who check them without linking HPKE.

use proto::v1::KemId;

/// Bytes of a public key (RFC 9180 table 2; X-Wing draft 10).
#[must_use]
pub fn public_key_bytes(kem: KemId) -> usize {
    match kem {
        KemId::Unspecified => 0,
        KemId::P256 => 65,
        KemId::X25519 => 32,
        KemId::XWing => 1216,
    }
}

/// Bytes of an encapsulated key.
#[must_use]
pub fn enc_bytes(kem: KemId) -> usize {
    match kem {
        KemId::Unspecified => 0,
        KemId::P256 => 65,
        KemId::X25519 => 32,
        KemId::XWing => 1120,
    }
}

/// Bytes of the wrapped content key: 32 and the tag of AES-256-GCM.
pub const WRAPPED_KEY_BYTES: usize = 48;
