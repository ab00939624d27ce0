//! Writes the test vectors of SPEC.md 12 that Rust makes, one file for each check and expectation.
//!
//! `cargo run -p envelope --features seal --example make_vectors -- tests/vectors`. Keys come from fixed seeds; a sealed
//! message is new with every run, since its content key is random. What Python makes is not touched.

#![allow(clippy::unwrap_used, missing_docs)]

mod entries;
mod headers;
mod messages;
mod names;
mod notes;
#[path = "../../tests/p256_cases/mod.rs"]
mod p256_cases;
mod signatures;
mod statements;
mod trees;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use envelope::canonical::Canonical;
use envelope::keys::SigningKey;
use serde_json::{Value, json};
use tlog::{Ed25519Signer, Hash, leaf_hash};

const NETWORK: &str = "ecowire.test";

const CREATED_MS: u64 = 1_795_374_960_000;

const DAY_MS: u64 = 86_400_000;

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of the vectors");
    let mut files = Files::default();
    names::names(&mut files);
    signatures::signatures(&mut files);
    statements::statements(&mut files);
    messages::messages(&mut files);
    entries::entries(&mut files);
    trees::trees(&mut files);
    notes::notes(&mut files);
    for (name, cases) in &files.0 {
        let text = serde_json::to_string_pretty(cases).unwrap() + "\n";
        std::fs::write(Path::new(&folder).join(format!("{name}.json")), text).unwrap();
        println!("{name}: {}", cases.len());
    }
}

/// Cases by the name of their file, which is check and expectation.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<Value>>);

impl Files {
    fn good(&mut self, check: &str, case: Value, gives: Value) {
        let mut case = case;
        case["gives"] = gives;
        self.0.entry(format!("{check}_good")).or_default().push(case);
    }

    fn bad(&mut self, check: &str, what: &str, case: Value) {
        let mut case = case;
        case["what"] = what.into();
        self.0.entry(format!("{check}_bad")).or_default().push(case);
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hexes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(hex).collect()
}

/// The P-256 key whose secret number is `secret`: PKCS#8 around an ECPrivateKey (RFC 5915) without its public key.
fn p256_key(secret: u8) -> SigningKey {
    let mut number = [0; 32];
    number[31] = secret;
    SigningKey::from_pkcs8(&[&unhex(P256_PKCS8_PREFIX)[..], &number].concat()).unwrap()
}

const P256_PKCS8_PREFIX: &str = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";

/// The Ed25519 key whose seed is one byte repeated.
fn signing_key(seed: u8) -> SigningKey {
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    SigningKey::from_pkcs8(&[&prefix[..], &[seed; 32]].concat()).unwrap()
}

fn signer(key: &SigningKey) -> Value {
    json!([hex(key.key_id()), hex(key.public().as_bytes())])
}

fn canonical_case<M: Canonical>(files: &mut Files, name: &str, bytes: &[u8]) {
    envelope::canonical::decode::<M>(bytes).unwrap();
    files.good("canonical", json!({"type": name, "bytes": hex(bytes)}), json!({}));
}

fn flip(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

fn log_signer() -> Ed25519Signer {
    Ed25519Signer::from_seed("ecowire.test/log/0/0a0b0c0d", &[11; 32]).unwrap()
}

/// Leaf i is the eight bytes of i, big endian.
fn numbered(size: usize) -> Vec<Hash> {
    (0..size as u64).map(|at| leaf_hash(&at.to_be_bytes())).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
