//! The edges of ECDSA over P-256, each computed here from the equation, so that it is what its name says. One table for
//! the test of all verifiers and for the vectors.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::PrimeField as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::point::{AffineCoordinates as _, DecompressPoint as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use ring::digest::{SHA256, digest};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) public: Vec<u8>,
    pub(crate) message: &'static [u8],
    pub(crate) signature: Vec<u8>,
    /// What the equation alone says: where it holds and the rule refuses, a bound or a form did it. The vectors do not
    /// say it.
    #[allow(dead_code)]
    pub(crate) bare: bool,
    /// `accepted`, the rule that is broken, or `Length`.
    pub(crate) expected: &'static str,
}

pub(crate) const MESSAGE: &[u8] = b"message";

pub(crate) fn cases() -> Vec<Case> {
    let d = Scalar::from(0x5eed_u64);
    let (public, honest) = (encode(ProjectivePoint::GENERATOR * d), sign(d, MESSAGE));
    let (r, s) = honest.split_at(32);
    let n_minus_1 = bytes(-Scalar::ONE);
    let n = plus_one(&n_minus_1);
    let sent =
        |name, signature: Vec<u8>, bare, expected| Case { name, public: public.clone(), message: MESSAGE, signature, bare, expected };
    let keyed = |name, public: Vec<u8>, bare, expected| Case { name, public, message: MESSAGE, signature: honest.clone(), bare, expected };
    let mut table = vec![
        sent("honest", honest.clone(), true, "accepted"),
        Case { message: b"massage", ..sent("of another message", honest.clone(), false, "Mismatch") },
        sent("s above half the order: n - s", [r, &bytes(-scalar(s))].concat(), true, "S"),
        sent("r = 0", [&[0; 32], s].concat(), false, "R"),
        sent("r = n", [&n[..], s].concat(), false, "R"),
        sent("r = n - 1", [&n_minus_1[..], s].concat(), false, "Mismatch"),
        sent("r all ones", [&[0xff; 32], s].concat(), false, "R"),
        sent("s = 0", [r, &[0; 32]].concat(), false, "S"),
        sent("s = n", [r, &n[..]].concat(), false, "S"),
        sent("s all ones", [r, &[0xff; 32]].concat(), false, "S"),
        sent("r and s = 0", vec![0; 64], false, "R"),
        sent("r = s = 1", [one(), one()].concat(), false, "Mismatch"),
        sent("-r, s", [&bytes(-scalar(r))[..], s].concat(), false, "Mismatch"),
        sent("63 bytes", honest[..63].to_vec(), false, "Length"),
        sent("65 bytes", [&honest[..], &[0]].concat(), false, "Length"),
        sent("no bytes", Vec::new(), false, "Length"),
        sent("in DER", der(r, s, &[]), false, "Length"),
        sent("in DER with a leading zero", der(&[&[0], r].concat(), s, &[]), false, "Length"),
        sent("in DER with a byte behind", der(r, s, &[0]), false, "Length"),
        sent("of the digest instead of the message", sign(d, digest(&SHA256, MESSAGE).as_ref()), false, "Mismatch"),
        keyed("another key", encode(ProjectivePoint::GENERATOR * Scalar::from(2u64)), false, "Mismatch"),
        keyed("-Q", encode(-(ProjectivePoint::GENERATOR * d)), false, "Mismatch"),
        keyed("a compressed key", compressed(d), true, "Length"),
        keyed("a hybrid key", hybrid(&public), false, "Public"),
        keyed("the key's bytes without a form", [&[0], &public[1..]].concat(), false, "Public"),
        keyed("the point at infinity, 1 byte", vec![0], false, "Length"),
        keyed("the point at infinity, 65 bytes", vec![0; 65], false, "Public"),
        keyed("(0, 0)", [&[4][..], &[0; 64]].concat(), false, "Mismatch"),
        keyed("off the curve", [&public[..64], &[public[64] ^ 1]].concat(), false, "Mismatch"),
        keyed("x and y swapped", [&public[..1], &public[33..], &public[1..33]].concat(), false, "Mismatch"),
        keyed("the generator of secp256k1", unhex(SECP256K1), false, "Mismatch"),
        keyed("x + p: a second spelling", second_spelling(), false, "Mismatch"),
        keyed("a point of P-384's length", [&[4][..], &[1; 96]].concat(), false, "Length"),
    ];
    table.extend(made_keys());
    table
}

/// Cases whose key is computed from the signature that it should verify.
fn made_keys() -> Vec<Case> {
    let half = bytes(Scalar::from(2u64).invert().expect("odd order") - Scalar::ONE);
    let above_half = bytes(Scalar::from(2u64).invert().expect("odd order"));
    let at = |k: u64| (ProjectivePoint::GENERATOR * Scalar::from(k)).to_affine();
    let e = challenge(MESSAGE);
    let r_of = |point: &AffinePoint| Scalar::reduce(&point.x());
    let case = |name, public: ProjectivePoint, r: &[u8], s: &[u8], bare, expected| Case {
        name,
        public: encode(public),
        message: MESSAGE,
        signature: [r, s].concat(),
        bare,
        expected,
    };
    let (wide, wide_r) = wide_point();
    let seven = at(7);
    let r7 = r_of(&seven);
    // d = e/r makes both summands of the equation one point, so that adding them is a doubling: k = 2e/s.
    let doubled = e * r7.invert().expect("not zero");
    let k = Scalar::from(7u64);
    let s_doubled = (e + r7 * doubled) * k.invert().expect("not zero");
    // d = -e/r makes them opposite, so that their sum is at infinity.
    let opposite = -doubled;
    vec![
        case("s = (n - 1) / 2", recover(&seven, scalar(&half)), &bytes(r7), &half, true, "accepted"),
        case("s = (n + 1) / 2", recover(&seven, scalar(&above_half)), &bytes(r7), &above_half, true, "S"),
        case("s = 1", recover(&seven, Scalar::ONE), &bytes(r7), &one(), true, "accepted"),
        case("s = n - 1", recover(&seven, -Scalar::ONE), &bytes(r7), &bytes(-Scalar::ONE), true, "S"),
        case("x of R is n or above", recover(&wide, Scalar::ONE), &bytes(wide_r), &one(), true, "accepted"),
        case("x of R is n or above, and r is x", recover(&wide, Scalar::ONE), &wide.x(), &one(), false, "R"),
        case("both summands are one point", ProjectivePoint::GENERATOR * doubled, &bytes(r7), &low(s_doubled), true, "accepted"),
        case("the sum is at infinity", ProjectivePoint::GENERATOR * opposite, &bytes(r7), &one(), false, "Mismatch"),
        signed("Q = G", Scalar::ONE),
        signed("Q = -G", -Scalar::ONE),
    ]
}

fn signed(name: &'static str, d: Scalar) -> Case {
    let public = encode(ProjectivePoint::GENERATOR * d);
    Case { name, public, message: MESSAGE, signature: sign(d, MESSAGE), bare: true, expected: "accepted" }
}

/// The key by which (x(R) mod n, s) is a signature of the message: Q = (s·R - e·G) / r.
fn recover(point: &AffinePoint, s: Scalar) -> ProjectivePoint {
    let r = Scalar::reduce(&point.x());
    (ProjectivePoint::from(*point) * s - ProjectivePoint::GENERATOR * challenge(MESSAGE)) * r.invert().expect("not zero")
}

/// A point whose x is in [n, p), and that x modulo n.
fn wide_point() -> (AffinePoint, Scalar) {
    let mut x = plus_one(&bytes(-Scalar::ONE));
    loop {
        x = plus_one(&x);
        let found = AffinePoint::decompress(&x, 0.into()).into_option();
        if let Some(point) = found {
            return (point, Scalar::reduce(&x));
        }
    }
}

/// A point with a small x, written as x + p.
fn second_spelling() -> Vec<u8> {
    let point = |x: u64| AffinePoint::decompress(&bytes(Scalar::from(x)), 0.into()).into_option();
    let (x, point) = (1u64..).find_map(|x| Some((x, point(x)?))).expect("every second x is on the curve");
    let mut sum = FieldBytes::try_from(&unhex(FIELD)[..]).expect("32 bytes");
    for _ in 0..x {
        sum = plus_one(&sum);
    }
    [&[4][..], &sum, &encode(point.into())[33..]].concat()
}

fn sign(d: Scalar, message: &[u8]) -> Vec<u8> {
    let key = SigningKey::from_bytes(&bytes(d)).expect("a key");
    let signature: Signature = key.sign_prehash(digest(&SHA256, message).as_ref()).expect("signed");
    signature.normalize_s().to_bytes().to_vec()
}

fn low(s: Scalar) -> FieldBytes {
    let (one, other) = (bytes(s), bytes(-s));
    one.min(other)
}

fn challenge(message: &[u8]) -> Scalar {
    Scalar::reduce(&FieldBytes::try_from(digest(&SHA256, message).as_ref()).expect("32 bytes"))
}

fn encode(point: ProjectivePoint) -> Vec<u8> {
    point.to_affine().to_sec1_point(false).as_bytes().to_vec()
}

fn compressed(d: Scalar) -> Vec<u8> {
    (ProjectivePoint::GENERATOR * d).to_affine().to_sec1_point(true).as_bytes().to_vec()
}

/// X9.62's third form: the parity of y in the first byte of an uncompressed point.
fn hybrid(public: &[u8]) -> Vec<u8> {
    [&[6 | (public[64] & 1)], &public[1..]].concat()
}

fn der(r: &[u8], s: &[u8], behind: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let padded = if number[0] & 0x80 != 0 { [&[0], number].concat() } else { number.to_vec() };
        [&[2, padded.len() as u8], &padded[..]].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8], &both[..], behind].concat()
}

fn bytes(number: Scalar) -> FieldBytes {
    number.to_repr()
}

fn scalar(bytes: &[u8]) -> Scalar {
    Scalar::from_repr(FieldBytes::try_from(bytes).expect("32 bytes")).into_option().expect("below n")
}

fn one() -> FieldBytes {
    bytes(Scalar::ONE)
}

fn plus_one(number: &FieldBytes) -> FieldBytes {
    let mut sum = *number;
    for byte in sum.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    sum
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// p (SEC 2 2.4.2).
const FIELD: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
/// SEC 2 2.4.1.
const SECP256K1: &str =
    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
