//! The code that two people compare by telephone before a bureau enrols a post: both compute it from the post's certificate and what
//! they trust already, so that a certificate that was exchanged on its way has another.
//!
//! It does not know how it is read out; whoever compares it compares all of it, once, within an hour of the request.

use std::path::Path;

use envelope::identity::{Anchors, Certified, NothingRevoked, Role};
use envelope::{Network, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::error::Error;

/// The chain of a PEM file, and whom it stands for.
///
/// # Errors
/// [`Error::Argument`] when there is none, or it does not hold.
pub fn certified(chain: &Path, anchors: &Anchors, now: Timestamp) -> Result<(Vec<CertificateDer<'static>>, Certified), Error> {
    let wrong = |why: &dyn std::fmt::Display| Error::Argument(format!("{}: {why}", chain.display()));
    let ders: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect);
    let ders = ders.map_err(|error| wrong(&error))?;
    if ders.is_empty() {
        return Err(wrong(&"there is no certificate in it"));
    }
    let judged = anchors.judge(Role::Identity, &ders, now, &NothingRevoked).map_err(|error| wrong(&error))?;
    Ok((ders, judged))
}

/// 80 bits of SHA-256("ecowire/1 enrolment code\0" || key id || issuing CA's key digest || network) in 16 letters and digits, in fours.
/// The letters are Crockford's: no I, L, O, U.
#[must_use]
pub fn code_of(certified: &Certified, network: &Network) -> String {
    let issuer = certified.links.first().map_or([0; 32], |link| link.issuer_key_sha256);
    let parts: [&[u8]; 4] = [b"ecowire/1 enrolment code\0", &certified.key_id, &issuer, network.as_str().as_bytes()];
    let digest = tlog::sha256_parts(&parts);
    let bit = |at: usize| usize::from(digest[at / 8] >> (7 - at % 8) & 1);
    let letter = |at: usize| (0..LETTER_BITS).fold(0, |value, next| value << 1 | bit(at * LETTER_BITS + next));
    let mut code = String::new();
    for at in 0..LETTERS {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[letter(at)]));
    }
    code
}

/// Whether somebody who heard or typed a code means this one: dashes, spaces and case do not count, nor do letters that sound or look
/// like a digit.
#[must_use]
pub fn is_same(code: &str, typed: &str) -> bool {
    let plain = |text: &str| -> Vec<u8> {
        let letters = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase());
        letters
            .map(|byte| match byte {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            })
            .collect()
    };
    plain(code) == plain(typed)
}

const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTER_BITS: usize = 5;
const LETTERS: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use envelope::identity::{Link, PublicKey};

    use super::*;

    fn of(key: u8, issuer: u8, network: &str) -> String {
        let link = Link { issuer_key_sha256: [issuer; 32], serial: vec![1] };
        let certified = Certified {
            address: "ke/cus/kemba".parse().unwrap(),
            role: Role::Identity,
            key_id: [key; 32],
            public: PublicKey::Ed25519([3; 32]),
            fingerprint: [4; 32],
            chain_sha256: [5; 32],
            not_before: Timestamp(1),
            not_after: Timestamp(2),
            links: vec![link],
        };
        code_of(&certified, &Network::parse(network).unwrap())
    }

    #[test]
    fn a_code_has_eighty_bits_and_hangs_on_key_issuer_and_network() {
        let code = of(1, 2, "ecowire.test");
        assert_eq!((code.len(), code.split('-').count()), (19, 4), "{code}");
        assert_eq!(code, of(1, 2, "ecowire.test"));
        let others = [of(2, 2, "ecowire.test"), of(1, 3, "ecowire.test"), of(1, 2, "ecowire.org")];
        assert!(others.iter().all(|other| *other != code));
        // Every letter stands for something: over many keys each is seen.
        let all: std::collections::BTreeSet<char> =
            (0..=255).flat_map(|key| of(key, 2, "ecowire.test").chars().collect::<Vec<_>>()).collect();
        assert_eq!(all.len(), 33);
    }

    #[test]
    fn what_was_heard_is_compared_as_people_say_it() {
        for (typed, same) in
            [("01AB-CDEF", true), ("o1ab cdef", true), ("OLABCDEF", true), ("01AB-CDEG", false), ("01AB-CDE", false), ("", false)]
        {
            assert_eq!(is_same("01AB-CDEF", typed), same, "{typed}");
        }
    }
}
