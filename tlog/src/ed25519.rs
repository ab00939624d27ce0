//! The one rule by which an Ed25519 signature is accepted.
//!
//! RFC 8032 leaves open what two verifiers may decide differently; a ledger that is checked by many must not. A
//! signature is accepted when, and only when,
//!
//! 1. the public key A and the point R are canonically encoded: the coordinate y is below p = 2^255 - 19, and the sign
//!    bit is clear when x = 0;
//! 2. neither A nor R is a point of small order (the eight torsion points), so no key accepts a signature that nobody
//!    made for it;
//! 3. the scalar S is below the group order L;
//! 4. the equation without cofactor holds: `S·B = R + SHA-512(R || A || M)·A` (RFC 8032 5.1.7).
//!
//! The first three are checked here, whatever library computes the fourth. That A lies on the curve is left to the
//! fourth: a key that does not never verifies anything. This file does not know notes, and holds no secret.

use ring::signature::{ED25519, UnparsedPublicKey};

/// Computes the equation of RFC 8032 5.1.7 without cofactor; rules 1 to 3 are checked outside.
pub trait Verifier {
    /// Whether the equation holds. A public key that is no point of the curve yields `false`.
    fn verify_raw(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
}

/// The equation as the `ring` library computes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ring;

impl Verifier for Ring {
    fn verify_raw(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
    }
}

/// Why 32 bytes are not accepted as an encoded point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The point has another encoding, which is the canonical one.
    #[error("the point is not canonically encoded")]
    NonCanonical,
    /// The order of the point is 1, 2, 4 or 8.
    #[error("the point is of small order")]
    SmallOrder,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key breaks rule 1 or 2.
    #[error("the public key is not acceptable")]
    Public(#[source] KeyError),
    /// The point R breaks rule 1 or 2.
    #[error("the first half of the signature is not acceptable")]
    Commitment(#[source] KeyError),
    /// S is not below the group order (rule 3).
    #[error("the second half of the signature is not below the group order")]
    Scalar,
    /// The equation does not hold (rule 4).
    #[error("the signature is of another message or key")]
    Mismatch,
}

/// Checks a public key by rules 1 and 2, as at its enrolment.
///
/// # Errors
/// [`KeyError`] names the rule.
pub fn check_public(public: &[u8; 32]) -> Result<(), KeyError> {
    check_point(public)
}

/// Accepts or refuses a signature by all four rules.
///
/// # Errors
/// [`SignatureError`] names the first rule broken, in the order: key, R, S, equation.
pub fn verify(verifier: &impl Verifier, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    let (commitment, scalar) = signature.split_at(32);
    let commitment = commitment.try_into().expect("half a signature is 32 bytes");
    let scalar = scalar.try_into().expect("half a signature is 32 bytes");
    check_point(public).map_err(SignatureError::Public)?;
    check_point(commitment).map_err(SignatureError::Commitment)?;
    if !is_below(scalar, &GROUP_ORDER) {
        return Err(SignatureError::Scalar);
    }
    if !verifier.verify_raw(public, message, signature) {
        return Err(SignatureError::Mismatch);
    }
    Ok(())
}

/// Rules 1 and 2 for an encoded point (RFC 8032 5.1.2: y in little-endian order, the top bit the sign of x).
fn check_point(point: &[u8; 32]) -> Result<(), KeyError> {
    let mut y = *point;
    let sign = y[31] >> 7;
    y[31] &= 0x7f;
    if !is_below(&y, &FIELD_PRIME) {
        return Err(KeyError::NonCanonical);
    }
    // x = 0 where y = 1 or -1, and zero has no sign.
    if sign == 1 && (y == ONE || y == MINUS_ONE) {
        return Err(KeyError::NonCanonical);
    }
    if SMALL_ORDER.contains(&y) {
        return Err(KeyError::SmallOrder);
    }
    Ok(())
}

/// Compares two little-endian numbers; none of them is secret.
fn is_below(number: &[u8; 32], bound: &[u8; 32]) -> bool {
    number.iter().rev().lt(bound.iter().rev())
}

const fn little_endian(big_endian: [u128; 2]) -> [u8; 32] {
    let (high, low) = (big_endian[0].to_le_bytes(), big_endian[1].to_le_bytes());
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 16 {
        bytes[at] = low[at];
        bytes[at + 16] = high[at];
        at += 1;
    }
    bytes
}

/// p = 2^255 - 19 (RFC 8032 5.1).
const FIELD_PRIME: [u8; 32] = little_endian([0x7fff_ffff_ffff_ffff_ffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffed]);
/// L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032 5.1).
const GROUP_ORDER: [u8; 32] = little_endian([0x1000_0000_0000_0000_0000_0000_0000_0000, 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed]);

const ONE: [u8; 32] = little_endian([0, 1]);
const MINUS_ONE: [u8; 32] = little_endian([0x7fff_ffff_ffff_ffff_ffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffec]);
/// The y of the eight torsion points: orders 1, 2 and 4 (two points), then 8 (two points each).
const SMALL_ORDER: [[u8; 32]; 5] = [
    ONE,
    MINUS_ONE,
    little_endian([0, 0]),
    little_endian([0x05fc_536d_8802_38b1_3933_c6d3_05ac_dfd5, 0xf098_eff2_89f4_c345_b027_b2c2_8f95_e826]),
    little_endian([0x7a03_ac92_77fd_c74e_c6cc_392c_fa53_202a, 0x0f67_100d_760b_3cba_4fd8_4d3d_706a_17c7]),
];
