//! Every edge of ECDSA over P-256 through every verifier: the rule with ring, the rule with aws-lc-rs, and RustCrypto's
//! `p256` as a third opinion on the bare equation. One expected column for all of them.

#[path = "p256_cases/mod.rs"]
mod p256_cases;

use envelope::identity::PublicKey;
use envelope::keys::{AwsLc, Ring, Signer as _, SigningKey, Verifier as _};
use envelope::p256::{is_sound_public, verify};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256_cases::{Case, cases};

/// The rule as it is said by name; what has another length is no key or signature of ours.
fn verdict(case: &Case, rule: impl Fn(&[u8; 65], &[u8; 64]) -> Result<(), envelope::p256::SignatureError>) -> String {
    let (Ok(public), Ok(signature)) = (case.public[..].try_into(), case.signature[..].try_into()) else { return "Length".to_owned() };
    rule(public, signature).map_or_else(|error| format!("{error:?}"), |()| "accepted".to_owned())
}

fn oracle(case: &Case) -> bool {
    let (key, signature) = (VerifyingKey::from_sec1_bytes(&case.public), Signature::from_slice(&case.signature));
    key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify(case.message, &signature).is_ok()))
}

#[test]
fn every_verifier_has_one_opinion_of_every_edge() {
    for case in cases() {
        let ring = verdict(&case, |public, signature| verify(&Ring, public, case.message, signature));
        let aws = verdict(&case, |public, signature| verify(&AwsLc, public, case.message, signature));
        assert_eq!(ring, case.expected, "{}, ring", case.name);
        assert_eq!(aws, case.expected, "{}, aws-lc-rs", case.name);
        assert_eq!(oracle(&case), case.bare, "{}, p256", case.name);
    }
}

#[test]
fn the_rule_is_more_than_the_equation() {
    // A library alone takes the second signature that anybody can make from the first.
    let high = cases().into_iter().find(|case| case.expected == "S" && case.bare).expect("a case with a high s");
    let (public, signature) = (high.public[..].try_into().expect("65 bytes"), high.signature[..].try_into().expect("64 bytes"));
    assert!(Ring.verify_p256_raw(public, high.message, signature));
    assert!(AwsLc.verify_p256_raw(public, high.message, signature));
}

#[test]
fn a_key_is_sound_where_the_third_opinion_says_so() {
    for case in cases() {
        let Ok(public) = case.public[..].try_into() else { continue };
        assert_eq!(is_sound_public(public), p256::PublicKey::from_sec1_bytes(public).is_ok(), "{}", case.name);
    }
}

#[test]
fn no_bit_of_an_honest_signature_or_key_can_be_flipped() {
    let key = SigningKey::generate_p256().expect("random bytes").0;
    let PublicKey::P256(public) = key.public() else { panic!("another algorithm") };
    let signature = key.sign(b"message").expect("signed");
    for bit in 0..512 {
        let mut bad = signature;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&Ring, &public, b"message", &bad).is_err(), "signature bit {bit}, ring");
        assert!(verify(&AwsLc, &public, b"message", &bad).is_err(), "signature bit {bit}, aws-lc-rs");
    }
    for bit in 0..public.len() * 8 {
        let mut bad = public;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&Ring, &bad, b"message", &signature).is_err(), "key bit {bit}, ring");
        assert!(verify(&AwsLc, &bad, b"message", &signature).is_err(), "key bit {bit}, aws-lc-rs");
    }
}

#[test]
fn what_we_sign_has_a_low_s_and_holds_everywhere() {
    // Half of all signatures would have a high s: in 64, one is there but for one case in 2^64.
    for round in 0..64u8 {
        let (key, document) = SigningKey::generate_p256().expect("random bytes");
        assert_eq!(SigningKey::from_pkcs8(&document).expect("its own document").public(), key.public());
        let signature = key.sign(&[round]).expect("signed");
        for verified in [key.public().verify(&Ring, &[round], &signature), key.public().verify(&AwsLc, &[round], &signature)] {
            assert_eq!(verified, Ok(()));
        }
        let third = VerifyingKey::from_sec1_bytes(key.public().as_bytes()).expect("a key");
        assert!(third.verify(&[round], &Signature::from_slice(&signature).expect("a signature")).is_ok());
    }
}
