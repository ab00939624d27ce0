//! The id of an encryption key: computed from the key, never taken from anybody.

use proto::v1::KemId;
use tlog::sha256_parts;

/// SHA-256("ecowire/1 key\0" || u16be kem || u32be length || key).
#[must_use]
pub fn encryption_key_id(kem: KemId, public: &[u8]) -> [u8; 32] {
    let length = (public.len() as u32).to_be_bytes();
    sha256_parts(&[b"ecowire/1 key\0", &(kem as u16).to_be_bytes(), &length, public])
}
