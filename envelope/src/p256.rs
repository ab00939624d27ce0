//! The one rule by which an ECDSA signature over P-256 with SHA-256 is accepted (SPEC.md 1).
//!
//! Standards leave open what a ledger that many check must not: the encoding, and which of the two signatures `(r, s)`
//! and `(r, n - s)` counts, for anybody can turn one into the other without the key. A signature is accepted when, and
//! only when,
//!
//! 1. the public key Q is an uncompressed point, 65 bytes from 0x04, its coordinates below p, on the curve;
//! 2. the signature is r || s, 32 bytes each, big endian, and 1 <= r < n;
//! 3. 1 <= s <= (n - 1) / 2;
//! 4. with e = SHA-256(M), the point (e/s)·G + (r/s)·Q is not at infinity and its x, modulo n, is r.
//!
//! The form of the key and the bounds of r and s are checked here, whatever library computes the rest. That Q lies on
//! the curve is left to the library: a key that does not never verifies anything. This file holds no secret.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};

use crate::keys::Verifier;

/// Bytes of an uncompressed point.
pub const POINT_BYTES: usize = 65;

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key is not written as an uncompressed point (rule 1).
    #[error("the public key is no uncompressed point")]
    Public,
    /// r is not in [1, n - 1] (rule 2).
    #[error("the first half of the signature is 0 or not below the group order")]
    R,
    /// s is not in [1, (n - 1) / 2] (rule 3).
    #[error("the second half of the signature is 0 or above half the group order")]
    S,
    /// The equation does not hold, or the key is off the curve (rules 1 and 4).
    #[error("the signature is of another message or key")]
    Mismatch,
}

/// Whether `public` keeps rule 1, as at its enrolment.
#[must_use]
pub fn is_sound_public(public: &[u8; POINT_BYTES]) -> bool {
    public[0] == UNCOMPRESSED && ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).is_ok()
}

/// Accepts or refuses a signature by all four rules.
///
/// # Errors
/// [`SignatureError`] names the first rule broken, in the order: key, r, s, equation.
pub fn verify(verifier: &impl Verifier, public: &[u8; POINT_BYTES], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    if public[0] != UNCOMPRESSED {
        return Err(SignatureError::Public);
    }
    let (r, s) = signature.split_at(32);
    if r == ZERO || r >= &ORDER[..] {
        return Err(SignatureError::R);
    }
    if s == ZERO || s > &HALF_ORDER[..] {
        return Err(SignatureError::S);
    }
    if !verifier.verify_p256_raw(public, message, signature) {
        return Err(SignatureError::Mismatch);
    }
    Ok(())
}

/// Puts n - s in the place of an s above half the group order: what a signer does with what its library or token gives.
/// A signature whose s is 0 or not below n stays what it is, and is refused.
#[must_use]
pub fn with_low_s(mut signature: [u8; 64]) -> [u8; 64] {
    let s = &mut signature[32..];
    if *s > HALF_ORDER[..] && *s < ORDER[..] {
        let mut borrow = false;
        for (byte, order) in s.iter_mut().zip(ORDER).rev() {
            let (difference, below) = order.overflowing_sub(*byte);
            let (difference, below_again) = difference.overflowing_sub(u8::from(borrow));
            (*byte, borrow) = (difference, below || below_again);
        }
    }
    signature
}

/// SEC 1 2.3.3: what an uncompressed point begins with.
const UNCOMPRESSED: u8 = 0x04;
const ZERO: &[u8] = &[0; 32];
/// n, the order of the group (SEC 2 2.4.2).
const ORDER: [u8; 32] = big_endian([0xffff_ffff_0000_0000_ffff_ffff_ffff_ffff, 0xbce6_faad_a717_9e84_f3b9_cac2_fc63_2551]);
/// (n - 1) / 2.
const HALF_ORDER: [u8; 32] = big_endian([0x7fff_ffff_8000_0000_7fff_ffff_ffff_ffff, 0xde73_7d56_d38b_cf42_79dc_e561_7e31_92a8]);

const fn big_endian(halves: [u128; 2]) -> [u8; 32] {
    let (high, low) = (halves[0].to_be_bytes(), halves[1].to_be_bytes());
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 16 {
        bytes[at] = high[at];
        bytes[at + 16] = low[at];
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_s_becomes_the_low_one_and_nothing_else_changes() {
        let pair = |s: [u8; 32]| -> [u8; 64] { [[7; 32], s].concat().try_into().expect("two halves") };
        let (mut one, mut above, mut last) = ([0; 32], HALF_ORDER, ORDER);
        one[31] = 1;
        above[31] += 1;
        last[31] -= 1;
        assert_eq!(with_low_s(pair(last)), pair(one));
        assert_eq!(with_low_s(pair(above)), pair(HALF_ORDER));
        for s in [one, HALF_ORDER, [0; 32], ORDER, [0xff; 32]] {
            assert_eq!(with_low_s(pair(s)), pair(s));
        }
    }
}
