//! One reading of every signed byte: what is decoded must encode to the same bytes again (SPEC.md 3).
//!
//! A protobuf library lets unknown fields, explicit zeros, unnamed enums and doubled fields pass; two languages would
//! then read one signed header differently. It does not know what a field means.

use prost::Message;

use crate::limits::{ADDRESS_BYTES_MAX, NETWORK_BYTES_MAX};

/// Why bytes are not the one encoding of a message that we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// More bytes than the format allows.
    #[error("{what} has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound, from `limits.rs`.
        max: usize,
    },
    /// Not protobuf of this type.
    #[error("{what} is not protobuf of its type")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// A version that this reader does not know.
    #[error("{what} has version {version}, this reader knows version 1")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version that it names.
        version: u32,
    },
    /// Another encoding of the same fields, or fields that we do not know.
    #[error("{what} is not in canonical form")]
    NotCanonical {
        /// What was read.
        what: &'static str,
    },
    /// A field is outside its bounds.
    #[error("field {field} {why}")]
    Field {
        /// The field's name in the proto file.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It belongs to another network.
    #[error("it belongs to another network")]
    Network,
}

/// A message type whose encoded bytes are signed or hashed.
pub trait Canonical: Message + Default {
    /// The word for it in errors.
    const WHAT: &'static str;
    /// Most bytes of an encoding.
    const BYTES_MAX: usize;

    /// The version, looked at before anything else; 1 where the type carries none.
    fn version(&self) -> u32 {
        1
    }

    /// Checks enums, grammars, lengths and counts.
    ///
    /// # Errors
    /// [`EncodingError`] names the first field outside its bounds.
    fn check(&self) -> Result<(), EncodingError>;
}

/// Decodes the one canonical encoding of `M`.
///
/// # Errors
/// [`EncodingError`] when the bytes are too many, malformed, of another version, not canonical, or a field is out of bounds.
pub fn decode<M: Canonical>(bytes: &[u8]) -> Result<M, EncodingError> {
    let message: M = decode_form(bytes)?;
    message.check()?;
    Ok(message)
}

/// As [`decode`], for a caller that checks the fields itself while it reads them.
pub(crate) fn decode_form<M: Canonical>(bytes: &[u8]) -> Result<M, EncodingError> {
    let what = M::WHAT;
    if bytes.len() > M::BYTES_MAX {
        return Err(EncodingError::TooLarge { what, bytes: bytes.len(), max: M::BYTES_MAX });
    }
    let message = M::decode(bytes).map_err(|_| EncodingError::Malformed { what })?;
    if message.version() != 1 {
        return Err(EncodingError::Version { what, version: message.version() });
    }
    if message.encoded_len() != bytes.len() || message.encode_to_vec() != bytes {
        return Err(EncodingError::NotCanonical { what });
    }
    Ok(message)
}

pub(crate) fn ensure(sound: bool, field: &'static str, why: &'static str) -> Result<(), EncodingError> {
    if sound { Ok(()) } else { Err(EncodingError::Field { field, why }) }
}

/// A named, non-zero value of a closed enum.
pub(crate) fn named<E: TryFrom<i32> + PartialEq + Default>(value: i32, field: &'static str) -> Result<E, EncodingError> {
    E::try_from(value)
        .ok()
        .filter(|named| *named != E::default())
        .ok_or(EncodingError::Field { field, why: "is absent or has no name in this version" })
}

/// Exactly 32 bytes.
pub(crate) fn digest(bytes: &[u8], field: &'static str) -> Result<[u8; 32], EncodingError> {
    bytes.try_into().map_err(|_| EncodingError::Field { field, why: "is not 32 bytes" })
}

/// 32 bytes, or none.
pub(crate) fn digest_or_empty(bytes: &[u8], field: &'static str) -> Result<Option<[u8; 32]>, EncodingError> {
    if bytes.is_empty() { Ok(None) } else { digest(bytes, field).map(Some) }
}

pub(crate) fn address(text: &str, field: &'static str) -> Result<crate::Address, EncodingError> {
    ensure(text.len() <= ADDRESS_BYTES_MAX, field, "is no address")?;
    crate::Address::parse(text).map_err(|_| EncodingError::Field { field, why: "is no address" })
}

pub(crate) fn network(text: &str, field: &'static str) -> Result<crate::Network, EncodingError> {
    ensure(text.len() <= NETWORK_BYTES_MAX, field, "is no network")?;
    crate::Network::parse(text).map_err(|_| EncodingError::Field { field, why: "is no network" })
}
