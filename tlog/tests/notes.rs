//! Notes and keys: what is refused, known texts, and the `signed_note` crate in both directions.

#![allow(clippy::unwrap_used)]

mod store;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use store::hex;
use tlog::ed25519::{KeyError, SignatureError};
use tlog::{
    Ed25519Signer, Note, NoteError, NoteSignature, NoteSigner, SIGNATURES_MAX, SignError, SignerError, VerifierKey, VerifierKeyError,
    cosignature_message,
};

fn signer(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(name, &[seed; 32]).unwrap()
}

fn signed(text: &str, signers: &[&dyn NoteSigner]) -> Note {
    Note::sign(text, signers).unwrap()
}

/// The checkpoint and its two signatures with which C2SP tlog-cosignature shows the format.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
/// The verifier key of the Go checksum database.
const SUMDB_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

#[test]
fn the_example_of_the_standard_is_read_and_written_alike() {
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.to_bytes(), EXAMPLE.as_bytes());
    let [log, witness] = note.signatures.as_slice() else { panic!("two signatures") };
    assert_eq!((log.name.as_str(), log.id, log.signature.len()), ("example.com/behind-the-sofa", 0x033d_e0ae, 64));
    assert_eq!((witness.name.as_str(), witness.id), ("witness.example.com/w1", 0x8d66_cf3f));
    assert_eq!(witness.signature.len(), 72);
    assert_eq!(witness.signature[..8], 1_679_315_147_u64.to_be_bytes());
    assert!(matches!(note.verify(&[signer("other", 1).key().clone()]), Err(NoteError::UnknownKeys { keys: 1 })));
}

#[test]
fn keys_have_one_text() {
    let key = VerifierKey::parse(SUMDB_KEY).unwrap();
    assert_eq!((key.name.as_str(), key.id), ("sum.golang.org", 0x033d_e0ae));
    assert_eq!(key.to_string(), SUMDB_KEY);
    let key = signer("log.example/ü", 3).key().clone();
    assert_eq!(VerifierKey::parse(&key.to_string()).unwrap(), key);
    let witness = VerifierKey::cosignature_v1("log.example/ü", key.public).unwrap();
    assert_ne!(witness.id, key.id);
    assert_eq!(VerifierKey::parse(&witness.to_string()).unwrap(), witness);
}

#[test]
fn malformed_keys_are_refused() {
    use VerifierKeyError::{Algorithm, Format, Id, Name, Public};
    let base64 = "Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let refused = |text: &str| VerifierKey::parse(text).unwrap_err();
    for text in ["", "a", "a+033de0ae", "a+033de0ae+", "a+033de0ae+AQ==", "a+33de0ae+AQ==", "a++AQ=="] {
        assert_eq!(refused(text), Format, "{text}");
    }
    for id in ["033DE0AE", "+33de0ae", "0033de0ae"] {
        assert_eq!(refused(&format!("sum.golang.org+{id}+{base64}")), Format, "{id}");
    }
    assert_eq!(refused(&format!("{SUMDB_KEY}\n")), Format);
    assert_eq!(refused(&SUMDB_KEY.replace("AD8OuAn8", "AD8OuAn9A")), Format);
    let other_name = refused(&format!("sum.golang.com+033de0ae+{base64}"));
    let wanted = signed_note::key_id("sum.golang.com", &STANDARD.decode(base64).unwrap());
    assert_eq!(other_name, Id { id: 0x033d_e0ae, wanted });
    assert_eq!(refused(&format!("a+033de0ae+{}", base64.replacen("Ac", "Bc", 1))), Algorithm { algorithm: 5 });
    assert_eq!(refused(&format!("+033de0ae+{base64}")), Name { name: String::new() });
    for name in ["", " ", "a b", "a\u{a0}b", "a\u{2003}", "a+b", "a\nb", "a\u{1}"] {
        assert_eq!(VerifierKey::ed25519(name, [5; 32]), Err(Name { name: name.to_owned() }));
    }
    let weak = VerifierKey::ed25519("a", [0; 32]);
    assert_eq!(weak, Err(Public { name: "a".to_owned(), cause: KeyError::SmallOrder }));
}

#[test]
fn malformed_notes_are_refused() {
    let good = String::from_utf8(signed("text\n", &[&signer("a", 1)]).to_bytes()).unwrap();
    let line = &good["text\n\n".len()..];
    Note::parse(good.as_bytes()).unwrap();
    let table = [
        ("", "no signatures follow the text"),
        ("text\n", "no signatures follow the text"),
        ("text\n\n", "no signatures follow the text"),
        (&format!("text\n{line}"), "no signatures follow the text"),
        (&format!("\n{line}"), "no signatures follow the text"),
        (good.trim_end(), "no signatures follow the text"),
        (&format!("{good}\n"), "no signatures follow the text"),
        (&format!("{good}more\n"), "line 2 below the text is no signature line"),
        (&format!("{good}\n{line}\n"), "no signatures follow the text"),
        (&good.replace('—', "-"), "line 1 below the text is no signature line"),
        (&good.replace("— ", "—"), "line 1 below the text is no signature line"),
        (&good.replace("— a", "— "), "line 1 below the text is no signature line"),
        (&good.replace("— a ", "— a  "), "line 1 below the text is no signature line"),
        (&good.replace("— a", "— a+b"), "line 1 below the text is no signature line"),
        (&good.replace("— a", "— a\u{a0}b"), "line 1 below the text is no signature line"),
        (&good.replace("=\n", "\n"), "line 1 below the text is no signature line"),
        (&good.replace("=\n", "= \n"), "line 1 below the text is no signature line"),
        ("text\n\n— a AAAAAA==\n", "line 1 below the text is no signature line"),
        ("text\n\n— a AAAAAAB=\n", "line 1 below the text is no signature line"),
        ("text\n\n— a\n", "line 1 below the text is no signature line"),
        (&good.replace("text", "te\txt"), "the note has the control character 0x09 at byte 2"),
        (&good.replace("text\n", "text\r\n"), "the note has the control character 0x0d at byte 4"),
        (&good.replace("text", "\0text"), "the note has the control character 0x00 at byte 0"),
    ];
    for (note, error) in table {
        assert_eq!(Note::parse(note.as_bytes()).unwrap_err().to_string(), error, "{note:?}");
    }
    let mut bytes = good.clone().into_bytes();
    bytes[0] = 0xff;
    assert!(matches!(Note::parse(&bytes), Err(NoteError::Utf8)));
    // The shortest signature, of an unknown algorithm, is one byte.
    assert_eq!(Note::parse("text\n\n— a AAAAAAA=\n".as_bytes()).unwrap().signatures[0].signature, [0]);
}

#[test]
fn notes_have_limits() {
    let line = "— a AAAAAAA=\n";
    let lines = |count: usize| format!("text\n\n{}", line.repeat(count));
    assert_eq!(Note::parse(lines(SIGNATURES_MAX).as_bytes()).unwrap().signatures.len(), 16);
    assert!(matches!(Note::parse(lines(17).as_bytes()), Err(NoteError::SignatureCount { count: 17 })));
    let long = |length: usize| "x".repeat(length - line.len() - 2) + "\n\n" + line;
    assert!(Note::parse(long(65_536).as_bytes()).is_ok());
    assert!(matches!(Note::parse(long(65_537).as_bytes()), Err(NoteError::TooLong { length: 65_537 })));
    assert!(matches!(Note::sign(&("x".repeat(65_500) + "\n"), &[&signer("a", 1)]), Err(NoteError::TooLong { .. })));
}

#[test]
fn the_last_empty_line_ends_the_text() {
    for text in ["a\n\nb\n", "a\n\n", "\n", "a\n\n— b AAAAAAA=\n"] {
        let note = signed(text, &[&signer("a", 1)]);
        assert_eq!(Note::parse(&note.to_bytes()).unwrap(), note);
    }
}

#[test]
fn known_keys_count_and_unknown_keys_do_not() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let keys = [a.key().clone(), b.key().clone()];
    let names = |note: &Note| Ok::<_, NoteError>(note.verify(&keys)?.iter().map(|key| key.name.clone()).collect::<Vec<_>>());
    assert_eq!(names(&signed("text\n", &[&c, &b, &a])).unwrap(), ["b", "a"]);
    assert_eq!(names(&signed("text\n", &[&c, &b])).unwrap(), ["b"]);
    assert!(matches!(names(&signed("text\n", &[&c])), Err(NoteError::UnknownKeys { keys: 2 })));
    assert!(matches!(signed("text\n", &[&a]).verify(&[]), Err(NoteError::UnknownKeys { keys: 0 })));

    // A bad signature of a known key is not made good by another's.
    let mut forged = signed("text\n", &[&a, &b]);
    forged.text = "text!\n".to_owned();
    forged.signatures[1] = signed("text!\n", &[&b]).signatures.remove(0);
    let cause = SignatureError::Mismatch;
    assert!(matches!(names(&forged), Err(NoteError::BadSignature { name, cause: c }) if name == "a" && c == cause));
    // The same name or the same id alone is not the same key.
    forged.signatures[0].id ^= 1;
    assert_eq!(names(&forged).unwrap(), ["b"]);
    forged.signatures[0].id ^= 1;
    forged.signatures[0].name = "aa".to_owned();
    assert_eq!(names(&forged).unwrap(), ["b"]);

    let mut twice = signed("text\n", &[&a]);
    twice.signatures.push(twice.signatures[0].clone());
    assert!(matches!(names(&twice), Err(NoteError::Duplicate { name }) if name == "a"));
    let known_twice = [a.key().clone(), a.key().clone()];
    assert!(matches!(signed("text\n", &[&a]).verify(&known_twice), Err(NoteError::Duplicate { .. })));
    // A note's signature goes by the same acceptance rule as every other: here S is not below the group order.
    let mut large = signed("text\n", &[&a]);
    large.signatures[0].signature[63] |= 0x80;
    let cause = SignatureError::Scalar;
    assert!(matches!(names(&large), Err(NoteError::BadSignature { cause: c, .. }) if c == cause));
    let mut short = signed("text\n", &[&a]);
    short.signatures[0].signature.pop();
    assert!(matches!(names(&short), Err(NoteError::SignatureLength { length: 63, .. })));
}

#[test]
fn cosignatures_cover_their_time() {
    let (text, time) = ("log.example\n7\nroot\n", 1_679_315_147_u64);
    let secret = SigningKey::from_bytes(&[4; 32]);
    let key = VerifierKey::cosignature_v1("witness.example", secret.verifying_key().to_bytes()).unwrap();
    let cosigned = |signed_time: u64, time: u64| {
        let message = cosignature_message(signed_time, text);
        let signature = [time.to_be_bytes().as_slice(), &secret.sign(&message).to_bytes()].concat();
        Note { text: text.to_owned(), signatures: vec![NoteSignature { name: key.name.clone(), id: key.id, signature }] }
    };
    assert_eq!(cosignature_message(time, text), b"cosignature/v1\ntime 1679315147\nlog.example\n7\nroot\n");
    let keys = [key.clone()];
    let note = Note::parse(&cosigned(time, time).to_bytes()).unwrap();
    assert_eq!(note.verify(&keys).unwrap(), [&key]);
    assert!(matches!(cosigned(time, time + 1).verify(&keys), Err(NoteError::BadSignature { .. })));
    assert!(matches!(cosigned(1 << 63, 1 << 63).verify(&keys), Err(NoteError::Time { .. })));
    let max = i64::MAX as u64;
    assert!(cosigned(max, max).verify(&keys).is_ok());
    for length in [0, 7, 8, 71] {
        let mut short = cosigned(time, time);
        short.signatures[0].signature.truncate(length);
        assert!(matches!(short.verify(&keys), Err(NoteError::SignatureLength { .. })), "{length}");
    }
}

#[test]
fn what_cannot_be_signed() {
    struct Broken(VerifierKey);
    impl NoteSigner for Broken {
        fn key(&self) -> &VerifierKey {
            &self.0
        }
        fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
            Err(SignError { name: self.0.name.clone(), cause: "the device is gone".into() })
        }
    }
    let a = signer("a", 1);
    let refused = |text: &str, signers: &[&dyn NoteSigner]| Note::sign(text, signers).unwrap_err();
    assert!(matches!(refused("text", &[&a]), NoteError::Text));
    assert!(matches!(refused("", &[&a]), NoteError::Text));
    assert!(matches!(refused("te\rxt\n", &[&a]), NoteError::Control { code: 13, at: 2 }));
    assert!(matches!(refused("text\n", &[]), NoteError::SignatureCount { count: 0 }));
    assert!(matches!(refused("text\n", &[&a as &dyn NoteSigner; 17]), NoteError::SignatureCount { count: 17 }));
    assert!(matches!(refused("text\n", &[&a, &a]), NoteError::Duplicate { .. }));
    assert_eq!(refused("text\n", &[&Broken(a.key().clone())]).to_string(), "the key a cannot sign");
    let witness = VerifierKey::cosignature_v1("w", a.key().public).unwrap();
    assert!(matches!(refused("text\n", &[&Broken(witness)]), NoteError::Algorithm { .. }));
}

#[test]
fn signers_come_from_seeds_and_from_pkcs8() {
    // The key is that of RFC 8032 7.1, test 1; the two documents are laid out as in RFC 8410 10.3.
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let signer = Ed25519Signer::from_seed("a", hex(seed).as_slice().try_into().unwrap()).unwrap();
    assert_eq!(signer.key().public.as_slice(), hex(public));
    let signature =
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(signer.sign(b"").unwrap().as_slice(), hex(signature));

    let version_1 = format!("302e020100300506032b657004220420{seed}");
    let version_2 = format!("3051020101300506032b657004220420{seed}812100{public}");
    for der in [&version_1, &version_2] {
        assert_eq!(Ed25519Signer::from_pkcs8("a", &hex(der)).unwrap().key(), signer.key());
    }
    let other = version_2.replace("07511a", "07511b");
    for der in ["", "30", &version_1[..94], &other] {
        let length = der.len() / 2;
        assert_eq!(Ed25519Signer::from_pkcs8("a", &hex(der)).unwrap_err(), SignerError::Pkcs8 { length });
    }
    let refused = Ed25519Signer::from_seed("a b", &[1; 32]).unwrap_err();
    assert_eq!(refused, SignerError::Key(VerifierKeyError::Name { name: "a b".to_owned() }));
}

#[test]
fn a_signer_does_not_show_its_secret() {
    let shown = format!("{:?}", signer("a", 0xab));
    assert_eq!(shown, format!("Ed25519Signer {{ key: \"{}\", .. }}", signer("a", 0xab).key()));
}

fn their_signer(name: &str, seed: u8) -> StandardSigner {
    let secret = STANDARD.encode([&[1], [seed; 32].as_slice()].concat());
    StandardSigner::new(&format!("PRIVATE+KEY+{name}+{:08x}+{secret}", signer(name, seed).key().id)).unwrap()
}

fn they_verify(note: &[u8], key: &VerifierKey) -> bool {
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    signed_note::Note::from_bytes(note).is_ok_and(|note| note.verify(&known).is_ok())
}

proptest! {
    #[test]
    fn the_other_crate_signs_and_verifies_the_same_notes(text in "[^\\x00-\\x09\\x0b-\\x1f]{0,80}\n", name in "[a-z./ü]{1,20}", seed: u8) {
        let ours = signed(&text, &[&signer(&name, seed)]);
        let mut theirs = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&their_signer(&name, seed)]).unwrap();
        prop_assert_eq!(theirs.to_bytes(), ours.to_bytes());
        let key = signer(&name, seed).key().clone();
        prop_assert!(they_verify(&ours.to_bytes(), &key));
        let parsed = Note::parse(&theirs.to_bytes()).unwrap();
        prop_assert_eq!(parsed.verify(std::slice::from_ref(&key)).unwrap(), vec![&key]);
        let vkey = signed_note::new_ed25519_verifier_key(&name, &SigningKey::from_bytes(&[seed; 32]).verifying_key());
        prop_assert_eq!(VerifierKey::parse(&vkey).unwrap(), key);
    }

    #[test]
    fn a_changed_byte_is_refused_by_both_or_by_neither(at in any::<prop::sample::Index>(), byte: u8) {
        let key = signer("log.example", 1).key().clone();
        let mut note = signed("log.example\n7\n\nmore\n", &[&signer("log.example", 1)]).to_bytes();
        let at = at.index(note.len());
        let is_changed = note[at] != byte;
        note[at] = byte;
        let accepted = Note::parse(&note).is_ok_and(|note| note.verify(std::slice::from_ref(&key)).is_ok());
        prop_assert_eq!(accepted, they_verify(&note, &key));
        prop_assert_eq!(accepted, !is_changed);
    }

    #[test]
    fn noise_is_refused_without_panic(noise in "\\PC{0,40}(\n|\n\n|— | AAAAAAA=){0,6}\\PC{0,9}") {
        if let Ok(note) = Note::parse(noise.as_bytes()) {
            prop_assert_eq!(note.to_bytes(), noise.as_bytes());
        }
        let _ = VerifierKey::parse(&noise);
    }
}
