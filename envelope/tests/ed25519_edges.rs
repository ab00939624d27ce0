//! The edge cases of Ed25519 (the table of "Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko, SSR 2020, and some
//! more) through every verifier: one expected column for all of them.
//!
//! The cases are computed here from the equation, not copied, so each is what its name says.

use std::ops::{Add, Mul};

use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use envelope::keys::{AwsLc, Ring};
use ring::digest::{SHA512, digest};
use tlog::ed25519::{Verifier as _, verify};

struct Case {
    name: &'static str,
    public: [u8; 32],
    message: Vec<u8>,
    commitment: [u8; 32],
    scalar: [u8; 32],
}

/// The rule with ring, the rule with aws-lc-rs, and dalek's strict verification say the same; `expected` is why. `bare`
/// is what dalek's plain verification says: where it accepts and we refuse, a rule beside the equation did it.
fn check(case: &Case, bare: bool, expected: &str) {
    let Case { name, public, message, .. } = case;
    let signature: [u8; 64] = [case.commitment, case.scalar].concat().try_into().expect("two halves");
    let verdict = |result: Result<(), _>| result.map_or_else(|error| format!("{error:?}"), |()| "accepted".to_owned());
    assert_eq!(verdict(verify(&Ring, public, message, &signature)), expected, "{name}, ring");
    assert_eq!(verdict(verify(&AwsLc, public, message, &signature)), expected, "{name}, aws-lc-rs");
    let (key, signature) = (VerifyingKey::from_bytes(public), Signature::from_bytes(&signature));
    let plain = key.as_ref().is_ok_and(|key| key.verify(message, &signature).is_ok());
    assert_eq!(plain, bare, "{name}, dalek plain");
    let strict = key.and_then(|key| key.verify_strict(message, &signature));
    assert_eq!(strict.is_ok(), expected == "accepted", "{name}, dalek strict");
}

#[test]
fn every_verifier_has_one_opinion_of_every_edge() {
    for (case, bare, expected) in cases() {
        check(&case, bare, expected);
    }
}

#[test]
fn no_library_alone_has_the_rule() {
    // Key y = 1, R = B, S = 1: the equation holds for every message, so this "signature" proves nothing.
    let signature: [u8; 64] = [BASE, one()].concat().try_into().expect("two halves");
    let key = VerifyingKey::from_bytes(&IDENTITY).expect("a point");
    for message in [&b"transfer"[..], b"", b"anything else"] {
        assert!(Ring.verify_raw(&IDENTITY, message, &signature));
        assert!(AwsLc.verify_raw(&IDENTITY, message, &signature));
        assert!(key.verify(message, &Signature::from_bytes(&signature)).is_ok());
        let case = Case { name: "constant signature", public: IDENTITY, message: message.to_vec(), commitment: BASE, scalar: one() };
        check(&case, true, "Public(SmallOrder)");
    }
}

#[test]
fn no_bit_of_an_honest_signature_or_key_can_be_flipped() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = key.verifying_key().to_bytes();
    let signature = key.sign(b"message").to_bytes();
    for bit in 0..512 {
        let mut bad = signature;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verify(&Ring, &public, b"message", &bad).is_err() && verify(&AwsLc, &public, b"message", &bad).is_err(),
            "signature bit {bit}"
        );
    }
    for bit in 0..256 {
        let mut bad = public;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verify(&Ring, &bad, b"message", &signature).is_err() && verify(&AwsLc, &bad, b"message", &signature).is_err(),
            "key bit {bit}"
        );
    }
}

fn cases() -> Vec<(Case, bool, &'static str)> {
    let (key, nonce) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let (a, r) = (key.to_scalar(), nonce.to_scalar());
    let (large_a, large_r) = (key.verifying_key().to_edwards(), nonce.verifying_key().to_edwards());
    let torsion = VerifyingKey::from_bytes(&ORDER_8).expect("a point").to_edwards();
    let mixed_a = (large_a + torsion).compress().to_bytes();
    let mixed_r = (large_r + torsion).compress().to_bytes();
    let (large_a, large_r) = (large_a.compress().to_bytes(), large_r.compress().to_bytes());
    let zero = (r + -r).to_bytes();
    let honest = |message: &[u8]| (r + challenge(a, &large_r, &large_a, message) * a).to_bytes();
    // A case whose challenge h (over `hashed`, which may differ from what is sent) has the wanted remainder modulo 8;
    // S = r·(R has a large part) + h·a·(A has a large part).
    let grind = |name, sent: [[u8; 32]; 2], hashed: [[u8; 32]; 2], parts: [bool; 2], wanted: &dyn Fn(u8) -> bool| {
        let find = |at: u32| {
            let message = at.to_be_bytes().to_vec();
            let h = challenge(a, &hashed[0], &hashed[1], &message);
            let nothing = r + -r;
            let scalar = if parts[0] { r } else { nothing } + if parts[1] { h * a } else { nothing };
            // h is below the group order, so it is its own integer here.
            wanted(h.to_bytes()[0] & 7).then(|| Case { name, commitment: sent[0], public: sent[1], message, scalar: scalar.to_bytes() })
        };
        (0..).find_map(find).expect("one in eight fits")
    };
    let plain = |name, sent: [[u8; 32]; 2], parts, wanted: &dyn Fn(u8) -> bool| grind(name, sent, sent, parts, wanted);
    let sent = |name, commitment, public, scalar| Case { name, public, message: b"message".to_vec(), commitment, scalar };
    vec![
        (sent("honest", large_r, large_a, honest(b"message")), true, "accepted"),
        (sent("of another message", large_r, large_a, honest(b"massage")), false, "Mismatch"),
        // The paper's 12, in its order.
        (plain("0: A small, R small, S = 0", [ORDER_8, ORDER_8], [false, false], &|h| h == 7), true, "Public(SmallOrder)"),
        (plain("1: A small, R mixed", [mixed_r, ORDER_8], [true, false], &|h| h == 7), true, "Public(SmallOrder)"),
        (plain("2: A mixed, R small", [ORDER_8, mixed_a], [false, true], &|h| h == 7), true, "Commitment(SmallOrder)"),
        (plain("3: A and R mixed, the equation holds", [mixed_r, mixed_a], [true, true], &|h| h == 7), true, "accepted"),
        (plain("4: A and R mixed, it holds times the cofactor only", [mixed_r, mixed_a], [true, true], &|h| h != 7), false, "Mismatch"),
        (plain("5: A mixed, R large, it holds times the cofactor only", [large_r, mixed_a], [true, true], &|h| h != 0), false, "Mismatch"),
        (sent("6: S + L", large_r, large_a, plus_order(honest(b"message"), 1)), false, "Scalar"),
        (sent("7: S + 14 L", large_r, large_a, plus_order(honest(b"message"), 14)), false, "Scalar"),
        (plain("8: R not canonical and small", [IDENTITY_PLUS_P, mixed_a], [false, true], &|h| h == 0), false, "Commitment(NonCanonical)"),
        (
            grind("9: the same, hashed in its canonical form", [IDENTITY_PLUS_P, mixed_a], [IDENTITY, mixed_a], [false, true], &|h| h == 0),
            false,
            "Commitment(NonCanonical)",
        ),
        (plain("10: A not canonical and small", [large_r, P], [true, false], &|h| h % 4 == 0), true, "Public(NonCanonical)"),
        (
            grind("11: the same, hashed in its canonical form", [large_r, P], [large_r, [0; 32]], [true, false], &|h| h % 4 == 0),
            false,
            "Public(NonCanonical)",
        ),
        // Beyond the paper.
        (plain("A is the identity with a sign", [large_r, signed(IDENTITY)], [true, false], &|_| true), true, "Public(NonCanonical)"),
        (plain("R is the identity with a sign", [signed(IDENTITY), large_a], [false, true], &|_| true), false, "Commitment(NonCanonical)"),
        (plain("A has order 2", [large_r, MINUS_ONE], [true, false], &|h| h % 2 == 0), true, "Public(SmallOrder)"),
        (plain("A has order 2 and a sign", [large_r, signed(MINUS_ONE)], [true, false], &|h| h % 2 == 0), true, "Public(NonCanonical)"),
        (plain("A has order 4", [large_r, [0; 32]], [true, false], &|h| h % 4 == 0), true, "Public(SmallOrder)"),
        (plain("A is the identity, as p + 1", [large_r, IDENTITY_PLUS_P], [true, false], &|_| true), true, "Public(NonCanonical)"),
        (plain("R is the identity: the nonce was 0", [IDENTITY, large_a], [false, true], &|_| true), true, "Commitment(SmallOrder)"),
        (sent("A is no point", large_r, NO_POINT, honest(b"message")), false, "Mismatch"),
        (sent("R is no point", NO_POINT, large_a, honest(b"message")), false, "Mismatch"),
        (sent("S = 0", large_r, large_a, zero), false, "Mismatch"),
        (sent("S = L", large_r, large_a, plus_order(zero, 1)), false, "Scalar"),
        (sent("all bits set", [0xff; 32], [0xff; 32], [0xff; 32]), false, "Public(NonCanonical)"),
        (sent("all bits clear", [0; 32], [0; 32], [0; 32]), false, "Public(SmallOrder)"),
    ]
}

/// SHA-512(R || A || M) as a scalar of the type of `like`, whose crate is not a dependency.
fn challenge<S: Copy + From<u64> + Add<Output = S> + Mul<Output = S>>(
    _like: S,
    commitment: &[u8; 32],
    public: &[u8; 32],
    message: &[u8],
) -> S {
    let hash = digest(&SHA512, &[&commitment[..], public, message].concat());
    let (zero, base) = (S::from(0), S::from(256));
    hash.as_ref().iter().rev().fold(zero, |sum, byte| sum * base + S::from(u64::from(*byte)))
}

/// `scalar + times · L`, little endian.
fn plus_order(mut scalar: [u8; 32], times: usize) -> [u8; 32] {
    for _ in 0..times {
        let mut carry = 0;
        for (byte, order) in scalar.iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(carry, 0, "the sum fits 256 bits");
    }
    scalar
}

fn signed(mut point: [u8; 32]) -> [u8; 32] {
    point[31] |= 0x80;
    point
}

const fn one() -> [u8; 32] {
    with_ends(1, 0, 0)
}

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// The base point B (RFC 8032 5.1).
const BASE: [u8; 32] = with_ends(0x58, 0x66, 0x66);
/// y = 1.
const IDENTITY: [u8; 32] = with_ends(1, 0, 0);
/// y = p + 1, the same point.
const IDENTITY_PLUS_P: [u8; 32] = with_ends(0xee, 0xff, 0x7f);
/// y = p - 1, of order 2.
const MINUS_ONE: [u8; 32] = with_ends(0xec, 0xff, 0x7f);
/// y = p, which is 0, of order 4.
const P: [u8; 32] = with_ends(0xed, 0xff, 0x7f);
/// y = 2 is on no point of the curve.
const NO_POINT: [u8; 32] = with_ends(2, 0, 0);
/// One of the four points of order 8.
const ORDER_8: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
    0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];
/// L, little endian (RFC 8032 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0x10,
];
