//! The Ed25519 rule, key ids, digests of chains, DSSE.

use envelope::header::HEADER_TYPE;
use envelope::identity::{chain_sha256, ed25519_key_id};
use envelope::key_id::encryption_key_id;
use envelope::keys::{Signer as _, SigningKey};
use envelope::seal::DecryptionKey;
use envelope::{dsse, seal_sizes};
use proto::v1::{self, KemId};
use serde_json::json;

use crate::{Files, hex, p256_cases, p256_key, signer, signing_key, unhex};

pub(crate) fn signatures(files: &mut Files) {
    let key = signing_key(7);
    let public = key.public().ed25519().unwrap();
    let case = |public: &[u8], message: &[u8], signature: &[u8]| json!({"public": hex(public), "message": hex(message), "signature": hex(signature)});
    for message in [&b""[..], b"message", &[0xff; 300]] {
        files.good("ed25519", case(&public, message, &key.sign(message).unwrap()), json!({}));
    }
    let good = key.sign(b"message").unwrap();
    files.bad("ed25519", "another message", case(&public, b"massage", &good));
    files.bad("ed25519", "another key", case(signing_key(8).public().as_bytes(), b"message", &good));
    for at in [0, 31, 32, 63] {
        let mut bad = good;
        bad[at] ^= 1;
        files.bad("ed25519", &format!("byte {at} changed"), case(&public, b"message", &bad));
    }
    let mut larger = good;
    let mut carry = 0u16;
    for (byte, order) in larger[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    files.bad("ed25519", "S + L", case(&public, b"message", &larger));
    let base = [&[0x58][..], &[0x66; 31]].concat();
    let mut one = [0; 32];
    one[0] = 1;
    for text in TORSION.iter().chain(&SECOND_SPELLINGS) {
        let constant = [&base[..], &one].concat();
        files.bad("ed25519", "A of small order or in a second encoding; R = B and S = 1", case(&unhex(text), b"anything", &constant));
        files.bad(
            "ed25519",
            "R of small order or in a second encoding",
            case(&public, b"message", &[&unhex(text)[..], &good[32..]].concat()),
        );
    }
    files.bad("ed25519", "A is no point of the curve", case(&unhex(&("02".to_owned() + &"00".repeat(31))), b"message", &good));
    for case in p256_cases::cases() {
        let inputs = json!({"public": hex(case.public), "message": hex(case.message), "signature": hex(case.signature)});
        if case.expected == "accepted" {
            files.good("p256", inputs, json!({}));
        } else {
            files.bad("p256", case.name, inputs);
        }
    }
    for kem in [KemId::XWing, KemId::X25519, KemId::P256] {
        let public = vec![kem as u16 as u8; seal_sizes::public_key_bytes(kem)];
        files.good("key_id", json!({"kem": kem as u16, "public": hex(&public)}), json!({"key_id": hex(encryption_key_id(kem, &public))}));
    }
    let seeded = DecryptionKey::from_seed(&[1; 32]).unwrap();
    files.good("key_id", json!({"kem": KemId::XWing as u16, "public": hex(seeded.public())}), json!({"key_id": hex(seeded.key_id())}));
    files.good("key_id", json!({"kem": 0, "public": hex(public)}), json!({"key_id": hex(ed25519_key_id(&public))}));
    let public = p256_key(7).public();
    files.good("key_id", json!({"kem": 0, "public": hex(public.as_bytes())}), json!({"key_id": hex(public.key_id())}));
    for chain in [vec![], vec!["aabb"], vec!["aa", "bb"], vec!["3082", "", "00"]] {
        let ders: Vec<_> = chain.iter().map(|text| unhex(text)).collect();
        files.good("chain_digest", json!({"chain": chain}), json!({"sha256": hex(chain_sha256(&ders))}));
    }
    envelopes(files);
}

fn envelopes(files: &mut Files) {
    let (one, two) = (signing_key(1), signing_key(2));
    let case = |kind: &str, payload: &[u8], signers: &[&SigningKey], signatures: &[v1::Signature]| {
        let signatures: Vec<_> = signatures.iter().map(|one| json!([hex(&one.key_id), hex(&one.signature)])).collect();
        let signers: Vec<_> = signers.iter().map(|key| signer(key)).collect();
        json!({"payload_type": kind, "payload": hex(payload), "signers": signers, "signatures": signatures})
    };
    for (kind, payload) in [(HEADER_TYPE, &b"payload"[..]), ("http://example.com/HelloWorld", b"hello world"), ("", b""), ("t", &[0; 1000])]
    {
        for keys in [vec![&one], vec![&one, &two]] {
            let signed = dsse::sign(kind, payload, &keys).unwrap();
            files.good("dsse", case(kind, payload, &keys, &signed), json!({"pae": hex(dsse::pae(kind, payload))}));
        }
    }
    let curve = p256_key(7);
    for keys in [vec![&curve], vec![&one, &curve], vec![&curve, &one]] {
        let signed = dsse::sign("t", b"payload", &keys).unwrap();
        files.good("dsse", case("t", b"payload", &keys, &signed), json!({"pae": hex(dsse::pae("t", b"payload"))}));
    }
    let by_curve = dsse::sign("t", b"payload", &[&curve]).unwrap();
    files.bad("dsse", "P-256, another payload", case("t", b"payloae", &[&curve], &by_curve));
    files.bad("dsse", "P-256, another type", case("u", b"payload", &[&curve], &by_curve));
    files.bad("dsse", "P-256, another key", case("t", b"payload", &[&p256_key(8)], &by_curve));
    let both = dsse::sign("t", b"payload", &[&one, &two]).unwrap();
    files.bad("dsse", "another type", case("u", b"payload", &[&one, &two], &both));
    files.bad("dsse", "another payload", case("t", b"payloae", &[&one, &two], &both));
    files.bad("dsse", "another order", case("t", b"payload", &[&two, &one], &both));
    files.bad("dsse", "one too few", case("t", b"payload", &[&one, &two], &both[..1]));
    files.bad("dsse", "one too many", case("t", b"payload", &[&one], &both));
    files.bad("dsse", "one key twice", case("t", b"payload", &[&one, &one], &[both[0].clone(), both[0].clone()]));
    files.bad("dsse", "nobody", case("t", b"payload", &[], &[]));
    let mut short = both[..1].to_vec();
    short[0].signature.truncate(63);
    files.bad("dsse", "63 bytes", case("t", b"payload", &[&one], &short));
}

/// L, little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0x10,
];

/// The eight points whose order divides 8.
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
const SECOND_SPELLINGS: [&str; 8] = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];
