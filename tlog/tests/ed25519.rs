//! The acceptance rule, each rule by itself and against another library's strict verification.

#![allow(clippy::unwrap_used)]

mod store;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use proptest::prelude::*;
use store::hex;
use tlog::ed25519::{KeyError, Ring, SignatureError, Verifier, check_public, verify};

/// Finds every equation true, so that what is refused is refused by the other rules.
struct Credulous;

impl Verifier for Credulous {
    fn verify_raw(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> bool {
        true
    }
}

fn point(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

fn signature(commitment: [u8; 32], scalar: [u8; 32]) -> [u8; 64] {
    [commitment, scalar].concat().try_into().unwrap()
}

/// The canonical encodings of the eight points whose order divides 8.
const TORSION: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];
/// p, p + 1 and 2^255 - 1 with either sign, and x = 0 with a sign.
const NON_CANONICAL: [&str; 8] = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];
/// The base point B, which is canonical and of large order.
const BASE: &str = "5866666666666666666666666666666666666666666666666666666666666666";
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
const GROUP_ORDER_LESS_ONE: &str = "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn no_point_of_small_order_is_a_key_or_a_commitment() {
    let good = signature(point(BASE), [0; 32]);
    for text in TORSION {
        let torsion = point(text);
        assert!(VerifyingKey::from_bytes(&torsion).unwrap().is_weak(), "{text}");
        assert_eq!(check_public(&torsion), Err(KeyError::SmallOrder), "{text}");
        let refused = verify(&Credulous, &torsion, b"", &good);
        assert_eq!(refused, Err(SignatureError::Public(KeyError::SmallOrder)), "{text}");
        let refused = verify(&Credulous, &point(BASE), b"", &signature(torsion, [0; 32]));
        assert_eq!(refused, Err(SignatureError::Commitment(KeyError::SmallOrder)), "{text}");
    }
    assert_eq!(check_public(&point(BASE)), Ok(()));
}

#[test]
fn no_other_encoding_is_a_key_or_a_commitment() {
    let good = signature(point(BASE), [0; 32]);
    for text in NON_CANONICAL {
        let encoding = point(text);
        assert_eq!(check_public(&encoding), Err(KeyError::NonCanonical), "{text}");
        let refused = verify(&Credulous, &encoding, b"", &good);
        assert_eq!(refused, Err(SignatureError::Public(KeyError::NonCanonical)), "{text}");
        let refused = verify(&Credulous, &point(BASE), b"", &signature(encoding, [0; 32]));
        assert_eq!(refused, Err(SignatureError::Commitment(KeyError::NonCanonical)), "{text}");
    }
    // The largest canonical y that is not -1, with either sign.
    for last in [0x7f, 0xff] {
        let mut largest = [0xff; 32];
        (largest[0], largest[31]) = (0xeb, last);
        assert_eq!(check_public(&largest), Ok(()));
    }
}

#[test]
fn the_scalar_is_below_the_group_order() {
    let check = |scalar: &str| verify(&Credulous, &point(BASE), b"", &signature(point(BASE), point(scalar)));
    assert_eq!(check(GROUP_ORDER_LESS_ONE), Ok(()));
    assert_eq!(check(GROUP_ORDER), Err(SignatureError::Scalar));
    assert_eq!(check(&"ff".repeat(32)), Err(SignatureError::Scalar));
}

#[test]
fn the_neutral_key_with_a_constant_signature_is_refused() {
    // With A = 0 the equation is S·B = R whatever the message says: R = B and S = 1 would sign everything.
    let neutral = point(TORSION[0]);
    let mut one = [0; 32];
    one[0] = 1;
    let constant = signature(point(BASE), one);
    for message in [b"pay one".as_slice(), b"pay a million"] {
        assert!(Ring.verify_raw(&neutral, message, &constant), "the library alone accepts it");
        assert!(verify(&Ring, &neutral, message, &constant).is_err());
    }
}

#[test]
fn the_same_signature_with_a_larger_scalar_is_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let good = key.sign(b"message").to_bytes();
    let public = key.verifying_key().to_bytes();
    assert_eq!(verify(&Ring, &public, b"message", &good), Ok(()));
    let mut malleated = good;
    let mut carry = 0;
    for (byte, order) in malleated[32..].iter_mut().zip(hex(GROUP_ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    assert_eq!(verify(&Ring, &public, b"message", &malleated), Err(SignatureError::Scalar));
}

#[test]
fn the_vectors_of_rfc_8032() {
    let vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ];
    for (public, message, signature) in vectors {
        let (public, mut message) = (point(public), hex(message));
        let signature = hex(signature).try_into().unwrap();
        assert_eq!(verify(&Ring, &public, &message, &signature), Ok(()));
        message.push(0);
        assert_eq!(verify(&Ring, &public, &message, &signature), Err(SignatureError::Mismatch));
    }
}

fn strict(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    VerifyingKey::from_bytes(public).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn two_libraries_agree(
        seed in any::<[u8; 32]>(),
        message in prop::collection::vec(any::<u8>(), 0..100),
        part in 0_u8..4,
        bit in 0_usize..512,
    ) {
        let key = SigningKey::from_bytes(&seed);
        let (mut public, mut message) = (key.verifying_key().to_bytes(), message);
        let mut signature = key.sign(&message).to_bytes();
        let flip = |bytes: &mut [u8]| {
            let bit = bit % (bytes.len() * 8).max(1);
            bytes.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
        };
        match part {
            0 => {}
            1 => flip(&mut public),
            2 => flip(&mut message),
            _ => flip(&mut signature),
        }
        let accepted = verify(&Ring, &public, &message, &signature).is_ok();
        prop_assert_eq!(accepted, strict(&public, &message, &signature));
        prop_assert_eq!(accepted, part == 0 || (part == 2 && message.is_empty()));
    }

    #[test]
    fn two_libraries_agree_on_noise(public in any::<[u8; 32]>(), a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let signature = signature(a, b);
        let accepted = verify(&Ring, &public, b"noise", &signature).is_ok();
        prop_assert_eq!(accepted, strict(&public, b"noise", &signature));
    }
}

#[test]
fn two_libraries_agree_on_every_special_point_and_scalar() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let good = key.sign(b"message").to_bytes();
    let points = TORSION.iter().chain(&NON_CANONICAL).map(|text| point(text));
    let points: Vec<[u8; 32]> = points.chain([point(BASE), key.verifying_key().to_bytes()]).collect();
    let commitments = points.iter().copied().chain([good[..32].try_into().unwrap()]);
    let scalars = [[0; 32], point(GROUP_ORDER_LESS_ONE), point(GROUP_ORDER), good[32..].try_into().unwrap()];
    let mut accepted = 0;
    for commitment in commitments {
        for scalar in scalars {
            for public in &points {
                let signature = signature(commitment, scalar);
                let ours = verify(&Ring, public, b"message", &signature).is_ok();
                // The other library decodes y above p; whatever it finds there, the encoding is refused here.
                assert!(!ours || strict(public, b"message", &signature));
                accepted += usize::from(ours);
            }
        }
    }
    assert_eq!(accepted, 1, "the good signature, and nothing else");
}
