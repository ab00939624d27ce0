//! SHA-256 and the two domain-separated hashes of RFC 6962 2.1.
//!
//! This file knows bytes; it does not know what shape a tree has.

use std::fmt;

use ring::digest::{Context, SHA256, digest};

/// Length of a hash in bytes (SHA-256).
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash: a leaf, an inner node or a root of an RFC 6962 tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// A slice that was to become a [`Hash`](struct@Hash) has another length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are no hash, {HASH_BYTES} wanted")]
pub struct HashLengthError {
    /// Length of the slice in bytes.
    pub length: usize,
}

impl Hash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<[u8; HASH_BYTES]> for Hash {
    fn from(bytes: [u8; HASH_BYTES]) -> Self {
        Hash(bytes)
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = HashLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashLengthError> {
        bytes.try_into().map(Hash).map_err(|_| HashLengthError { length: bytes.len() })
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; HASH_BYTES] {
    bytes_of(&digest(&SHA256, data))
}

/// SHA-256 of the concatenation of `parts`, without copying them together.
///
/// The boundaries between the parts are not hashed: whoever needs them must put lengths in.
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    bytes_of(&context.finish())
}

/// The hash of one leaf: `SHA-256(0x00 || data)` (RFC 6962 2.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(sha256_parts(&[&[LEAF_PREFIX], data]))
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [NODE_PREFIX; 1 + 2 * HASH_BYTES];
    input[1..=HASH_BYTES].copy_from_slice(&left.0);
    input[1 + HASH_BYTES..].copy_from_slice(&right.0);
    Hash(sha256(&input))
}

/// The root of a tree without leaves: `SHA-256("")` (RFC 6962 2.1).
pub fn empty_root() -> Hash {
    Hash(sha256(&[]))
}

fn bytes_of(digest: &ring::digest::Digest) -> [u8; HASH_BYTES] {
    digest.as_ref().try_into().expect("SHA-256 yields 32 bytes")
}

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;
