//! Keys under a passphrase: ours opened by `openssl`, `openssl`'s opened by us, and everything that must not open.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use envelope::keys::{Signer as _, SigningKey};
use envelope::limits::PASSPHRASE_BYTES_MAX;
use envelope::locked::{LockError, Secret, is_locked, lock, unlock};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "correct horse battery staple";

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.to_owned())).unwrap()
}

/// Runs openssl in a folder of its own; `files` are there before.
fn openssl(files: &[(&str, &[u8])], arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let output = Command::new("openssl").args(arguments).current_dir(folder.path()).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A new key as openssl writes it: Ed25519, or P-256.
fn made_by_openssl(algorithm: &[&str]) -> Vec<u8> {
    openssl(&[], &[&["genpkey", "-algorithm"], algorithm].concat())
}

const KINDS: [&[&str]; 2] = [&["ed25519"], &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]];

#[test]
fn what_we_lock_opens_here_and_with_openssl() {
    for (_, der) in [SigningKey::generate_p256().unwrap(), SigningKey::generate().unwrap()] {
        let text = lock(&der, &secret(PASSPHRASE)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n") && is_locked(text.as_bytes()));
        assert_eq!(*unlock(text.as_bytes(), Some(&secret(PASSPHRASE))).unwrap(), *der);
        assert_ne!(lock(&der, &secret(PASSPHRASE)).unwrap(), text, "another salt");
    }
    for kind in KINDS {
        let plain = made_by_openssl(kind);
        let key = SigningKey::from_pem(&plain).unwrap();
        let text = lock(&unlock(&plain, None).unwrap(), &secret(PASSPHRASE)).unwrap();
        let pass = format!("pass:{PASSPHRASE}");
        let opened = openssl(&[("key", text.as_bytes())], &["pkey", "-in", "key", "-passin", &pass]);
        assert_eq!(SigningKey::from_pem(&opened).unwrap().public(), key.public(), "{kind:?}");
    }
}

#[test]
fn what_openssl_locks_opens_here() {
    let pass = format!("pass:{PASSPHRASE}");
    for kind in KINDS {
        let plain = made_by_openssl(kind);
        let key = SigningKey::from_pem(&plain).unwrap();
        key.sign(b"it signs").unwrap();
        for scheme in [&["-scrypt"][..], &["-v2", "aes-256-cbc"], &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"]] {
            let arguments = [&["pkcs8", "-topk8", "-in", "key", "-passout", &pass], scheme].concat();
            let text = openssl(&[("key", &plain)], &arguments);
            let der = unlock(&text, Some(&secret(PASSPHRASE))).unwrap();
            assert_eq!(SigningKey::from_pkcs8(&der).unwrap().public(), key.public(), "{kind:?} {scheme:?}");
            assert_eq!(unlock(&text, Some(&secret("another"))), Err(LockError::Wrong), "{scheme:?}");
        }
    }
}

#[test]
fn what_must_not_open() {
    let (_, der) = SigningKey::generate().unwrap();
    let text = lock(&der, &secret(PASSPHRASE)).unwrap().into_bytes();
    assert_eq!(unlock(&text, None), Err(LockError::Locked));
    for wrong in ["Correct horse battery staple", "correct horse battery staple ", "x"] {
        assert_eq!(unlock(&text, Some(&secret(wrong))), Err(LockError::Wrong));
    }
    let mut cut = text.clone();
    cut.truncate(text.len() / 2);
    assert_eq!(unlock(&cut, Some(&secret(PASSPHRASE))), Err(LockError::Pem));
    for junk in [&b""[..], b"junk", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"] {
        assert!(matches!(unlock(junk, Some(&secret(PASSPHRASE))), Err(LockError::Pem | LockError::Scheme)));
    }
    assert_eq!(lock(b"no key", &secret(PASSPHRASE)), Err(LockError::Pem));
    // PBES1 and triple DES are of another age.
    let pass = format!("pass:{PASSPHRASE}");
    let old = openssl(&[("key", &made_by_openssl(KINDS[1]))], &["pkcs8", "-topk8", "-in", "key", "-passout", &pass, "-v2", "des3"]);
    assert_eq!(unlock(&old, Some(&secret(PASSPHRASE))), Err(LockError::Scheme));
    let weak = ["pkcs8", "-topk8", "-in", "key", "-passout", &pass, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"];
    let weak = openssl(&[("key", &made_by_openssl(KINDS[1]))], &weak);
    assert_eq!(unlock(&weak, Some(&secret(PASSPHRASE))), Err(LockError::Scheme));
}

#[test]
fn a_cost_is_refused_before_it_is_paid() {
    // (N, r, p): what is written, and what openssl itself could be made to write.
    let at = |n: &str, r: &str, p: &str| {
        let pass = format!("pass:{PASSPHRASE}");
        let arguments = ["pkcs8", "-topk8", "-in", "key", "-passout", &pass, "-scrypt", "-scrypt_N", n, "-scrypt_r", r, "-scrypt_p", p];
        openssl(&[("key", &made_by_openssl(KINDS[0]))], &arguments)
    };
    let opened = |text: &[u8]| unlock(text, Some(&secret(PASSPHRASE))).map(drop);
    assert_eq!(opened(&at("1024", "8", "16")), Ok(()));
    // N·r·p above the bound of work, within openssl's own memory.
    assert_eq!(opened(&at("16384", "8", "8")), Ok(()));
    // Others' parameters, written over ours in the DER: N = 2^14 stands there as 02 02 40 00.
    let text = lock(&SigningKey::generate().unwrap().1, &secret(PASSPHRASE)).unwrap();
    let with = |change: &dyn Fn(&mut [u8])| {
        let (_, mut der) = pkcs8::der::pem::decode_vec(text.as_bytes()).unwrap();
        change(&mut der);
        pkcs8::der::pem::encode_string("ENCRYPTED PRIVATE KEY", pkcs8::der::pem::LineEnding::LF, &der).unwrap()
    };
    let params = |n: [u8; 2], r: u8, p: u8| {
        with(&|der: &mut [u8]| {
            let at = der.windows(10).position(|window| window == [2, 2, 0x40, 0, 2, 1, 8, 2, 1, 5]).unwrap();
            der[at..at + 10].copy_from_slice(&[2, 2, n[0], n[1], 2, 1, r, 2, 1, p]);
        })
    };
    assert_eq!(opened(params([0x40, 0], 8, 5).as_bytes()), Ok(()));
    assert_eq!(opened(params([0x40, 0], 8, 127).as_bytes()), Err(LockError::Cost), "work");
    assert_eq!(opened(params([0x40, 0], 127, 1).as_bytes()), Err(LockError::Wrong), "254 MiB are within the bound");
    assert_eq!(opened(params([0x40, 1], 8, 8).as_bytes()), Err(LockError::Scheme), "no power of two");
    assert_eq!(opened(params([0x40, 0], 0, 8).as_bytes()), Err(LockError::Scheme));
    assert_eq!(opened(params([0x40, 0], 8, 0).as_bytes()), Err(LockError::Scheme));
    let pass = format!("pass:{PASSPHRASE}");
    let rounds = ["pkcs8", "-topk8", "-in", "key", "-passout", &pass, "-v2", "aes-256-cbc", "-iter", "65537"];
    let text = openssl(&[("key", &made_by_openssl(KINDS[0]))], &rounds);
    assert_eq!(opened(&text), Ok(()));
    let (_, mut der) = pkcs8::der::pem::decode_vec(&text).unwrap();
    let at = der.windows(5).position(|window| window == [2, 3, 1, 0, 1]).unwrap();
    der[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    let slow = pkcs8::der::pem::encode_string("ENCRYPTED PRIVATE KEY", pkcs8::der::pem::LineEnding::LF, &der).unwrap();
    assert_eq!(opened(slow.as_bytes()), Err(LockError::Cost), "8 million rounds of PBKDF2");
}

#[test]
fn a_passphrase_is_one_line() {
    let taken = |text: &str| Secret::new(Zeroizing::new(text.to_owned())).map(|secret| secret.expose().to_owned());
    assert_eq!(taken("word\n").unwrap(), "word");
    assert_eq!(taken("word\r\n").unwrap(), "word");
    assert_eq!(taken(" two words ").unwrap(), " two words ");
    for bad in ["", "\n", "\r\n", "two\nlines", "a\0b", &"x".repeat(PASSPHRASE_BYTES_MAX + 1)] {
        assert_eq!(taken(bad), Err(LockError::Passphrase), "{bad:?}");
    }
    assert_eq!(format!("{:?}", secret("word")), "Secret");
}
