//! Every vector in `tests/vectors`: those that Rust made, and `python_*.json` by the second implementation (SPEC.md 12).
//!
//! A file's name is check and expectation; a check maps a case to what it gives, or to the name of a refusal.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use envelope::attachment::open_chunks;
use envelope::canonical::{self, EncodingError};
use envelope::dsse::SignerKey;
use envelope::header::{Header, Wrap};
use envelope::identity::{Anchors, NothingRevoked, PublicKey, Role, chain_sha256};
use envelope::key_id::encryption_key_id;
use envelope::keys::{AwsLc, Ring};
use envelope::message::{Envelope, Identity, Keyring, Peer, VerifyError};
use envelope::seal::{DecryptionKey, OpenError, Sealed, open, padded_len};
use envelope::slots::Opening;
use envelope::statement::{self, Acknowledged, Delivered, Statement};
use envelope::trust::Trust;
use envelope::{Address, Class, Network, Receipt, Reference, Timestamp, dsse};
use prost::Message as _;
use proto::v1::{self, KemId, StatementKind};
use serde_json::{Value, json};
use tlog::{Checkpoint, Hash, Note, VerifierKey, leaf_hash, small};

/// What a case gives, or the name of its refusal (empty where the check has none).
type Outcome = Result<Value, String>;

#[test]
fn every_vector_is_read_as_its_file_says() {
    // Another implementation brings its own folder.
    let other = std::env::var_os("ECOWIRE_VECTORS");
    let folder = other.as_ref().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"), Into::into);
    let (mut passed, mut failures) = (0, Vec::new());
    let mut makers = BTreeMap::from([("python", 0), ("rust", 0)]);
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let name = stem.strip_prefix("python_");
        *makers.get_mut(if name.is_some() { "python" } else { "rust" }).unwrap() += 1;
        let (check, expectation) = name.unwrap_or(&stem).rsplit_once('_').unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in &cases {
            match judge(expectation, case, run(check, case)) {
                Ok(()) => passed += 1,
                Err(why) => failures.push(format!("{stem}: {}: {why}", case["what"])),
            }
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(other.is_some() || (makers.values().all(|files| *files > 0) && passed > 800), "{passed} cases in {makers:?}");
}

fn judge(expectation: &str, case: &Value, found: Outcome) -> Result<(), String> {
    match (expectation, found) {
        ("good", Ok(found)) if found == case["gives"] => Ok(()),
        ("good", Ok(found)) => Err(format!("gives {found}")),
        ("good", Err(refusal)) => Err(format!("was refused: {refusal}")),
        ("bad", Ok(_)) => Err("was accepted".to_owned()),
        ("bad", Err(refusal)) if case["refusal"].as_str().is_none_or(|wanted| wanted == refusal) => Ok(()),
        ("bad", Err(refusal)) => Err(format!("was refused as {refusal:?}")),
        (other, _) => Err(format!("{other} is no expectation")),
    }
}

fn run(check: &str, case: &Value) -> Outcome {
    match check {
        "address" => address(case),
        "network" => Network::parse(text(case, "text")).map(|_| json!({})).map_err(quiet),
        "reference" => reference(case),
        "canonical" => canonical_form(case),
        "ed25519" => ed25519(case),
        "p256" => p256(case),
        "key_id" => Ok(key_id(case)),
        "chain_digest" => Ok(json!({"sha256": hex(chain_sha256(&list(case, "chain")))})),
        "dsse" => dsse_envelope(case),
        "statement" => signed_statement(case),
        "padding" => Ok(json!({"padded": padded_len(number(case, "length") as usize)})),
        "message" => message(case),
        "delivery" => delivery(case),
        "opening" => opening(case),
        "receipt" => receipt(case),
        "root" => Ok(json!({"root": hex(small::root(&numbered(number(case, "size"))))})),
        "inclusion" => inclusion(case),
        "consistency" => consistency(case),
        "disclosure" => disclosure(case),
        "verifier_key" => verifier_key(case),
        "note" => note(case),
        "checkpoint" => checkpoint(case),
        "trust" => trust(case),
        "chain" => chain(case),
        other => panic!("no check is named {other}"),
    }
}

fn address(case: &Value) -> Outcome {
    let address = Address::parse(text(case, "text")).map_err(quiet)?;
    let class = match address.class() {
        Class::Ncb => "NCB",
        Class::SubBureau => "SUB_BUREAU",
        Class::Endpoint => "ENDPOINT",
        Class::Ipsg => "IPSG",
        Class::Service => "SERVICE",
        Class::Organisation => "ORGANISATION",
        Class::Auditor => "AUDITOR",
        Class::Node => "NODE",
        Class::Group => "GROUP",
    };
    let ncb = address.own_ncb().map_or(String::new(), |ncb| ncb.to_string());
    Ok(json!({"class": class, "own_ncb": ncb, "spiffe_id": address.spiffe_id(&network())}))
}

fn reference(case: &Value) -> Outcome {
    let one: Reference = text(case, "text").parse().map_err(quiet)?;
    Ok(json!({"sender": one.sender.as_str(), "year": one.year, "series": one.series, "number": one.number, "canonical": one.to_string()}))
}

fn canonical_form(case: &Value) -> Outcome {
    let bytes = raw(case, "bytes");
    let read = match text(case, "type") {
        "header" => Header::parse(&bytes, &network()).map(drop),
        "context" => canonical::decode::<v1::Context>(&bytes).map(drop),
        "wrap" => Wrap::parse(&bytes).map(drop),
        "signed_statement" => statement::decode_signed(&bytes).map(drop),
        "genesis" => canonical::decode::<v1::Genesis>(&bytes).map(drop),
        "trust" => canonical::decode::<v1::Trust>(&bytes).map(drop),
        "keys" => canonical::decode::<v1::KeyStatement>(&bytes).map(drop),
        "access" => canonical::decode::<v1::AccessStatement>(&bytes).map(drop),
        "delivered" => canonical::decode::<Delivered>(&bytes).map(drop),
        "acknowledged" => canonical::decode::<Acknowledged>(&bytes).map(drop),
        "clock-step" => canonical::decode::<v1::ClockStep>(&bytes).map(drop),
        other => panic!("no type is named {other}"),
    };
    read.map(|()| json!({})).map_err(|error| encoding_name(&error).to_owned())
}

fn encoding_name(error: &EncodingError) -> &'static str {
    if matches!(error, EncodingError::TooLarge { .. }) { "TOO_LARGE" } else { "BAD_ENCODING" }
}

/// Both providers must decide alike.
fn ed25519(case: &Value) -> Outcome {
    let message = raw(case, "message");
    let public: [u8; 32] = raw(case, "public")[..].try_into().map_err(quiet)?;
    let signature: [u8; 64] = raw(case, "signature")[..].try_into().map_err(quiet)?;
    let ring = tlog::ed25519::verify(&Ring, &public, &message, &signature);
    let aws = tlog::ed25519::verify(&AwsLc, &public, &message, &signature);
    assert_eq!(ring, aws, "the providers differ on {case}");
    ring.map(|()| json!({})).map_err(quiet)
}

/// As [`ed25519`]; a key or signature of another length is none.
fn p256(case: &Value) -> Outcome {
    let message = raw(case, "message");
    let public: [u8; 65] = raw(case, "public")[..].try_into().map_err(quiet)?;
    let signature: [u8; 64] = raw(case, "signature")[..].try_into().map_err(quiet)?;
    let ring = envelope::p256::verify(&Ring, &public, &message, &signature);
    let aws = envelope::p256::verify(&AwsLc, &public, &message, &signature);
    assert_eq!(ring, aws, "the providers differ on {case}");
    ring.map(|()| json!({})).map_err(quiet)
}

fn key_id(case: &Value) -> Value {
    let public = raw(case, "public");
    let id = match number(case, "kem") {
        0 => public_key(&public).key_id(),
        kem => encryption_key_id(KemId::try_from(kem as i32).unwrap(), &public),
    };
    json!({"key_id": hex(id)})
}

fn dsse_envelope(case: &Value) -> Outcome {
    let (kind, payload) = (text(case, "payload_type"), raw(case, "payload"));
    let signature = |pair: &Value| v1::Signature { key_id: unhex(&pair[0]), signature: unhex(&pair[1]) };
    let signatures: Vec<_> = array(case, "signatures").iter().map(signature).collect();
    dsse::verify(&Ring, kind, &payload, &signers(case), &signatures).map_err(quiet)?;
    Ok(json!({"pae": hex(dsse::pae(kind, &payload))}))
}

fn signed_statement(case: &Value) -> Outcome {
    let signed = statement::decode_signed(&raw(case, "signed")).map_err(quiet)?;
    let name = match StatementKind::try_from(signed.kind).unwrap() {
        StatementKind::Unspecified => unreachable!("it was read"),
        StatementKind::Genesis => by_authority::<v1::Genesis>(&signed, |one| (one.authority.clone(), one.authority_threshold)),
        StatementKind::Trust => by_authority::<v1::Trust>(&signed, |one| (one.authority.clone(), one.authority_threshold)),
        StatementKind::Keys => by_signers::<v1::KeyStatement>(&signed, case),
        StatementKind::Access => by_signers::<v1::AccessStatement>(&signed, case),
        StatementKind::Delivered => by_signers::<Delivered>(&signed, case),
        StatementKind::Acknowledged => by_signers::<Acknowledged>(&signed, case),
        StatementKind::ClockStep => by_signers::<v1::ClockStep>(&signed, case),
        StatementKind::Enrolment => by_signers::<v1::Enrolment>(&signed, case),
        StatementKind::Standing => by_signers::<v1::Standing>(&signed, case),
        StatementKind::Grants => by_signers::<v1::GrantStatement>(&signed, case),
        StatementKind::Group => by_signers::<v1::Group>(&signed, case),
        StatementKind::Release => by_signers::<v1::Release>(&signed, case),
        StatementKind::Permission => by_signers::<v1::Permission>(&signed, case),
    }?;
    let name = name.strip_prefix("application/vnd.ecowire.").unwrap().strip_suffix(".v1+protobuf").unwrap();
    Ok(json!({"name": name}))
}

fn by_signers<S: Statement>(signed: &v1::SignedStatement, case: &Value) -> Result<&'static str, String> {
    statement::open::<S>(&Ring, signed, &signers(case)).map_err(quiet)?;
    Ok(S::PAYLOAD_TYPE)
}

fn by_authority<S: Statement>(
    signed: &v1::SignedStatement,
    keys: impl Fn(&S) -> (Vec<v1::AuthorityKey>, u32),
) -> Result<&'static str, String> {
    let (authority, threshold) = keys(&statement::read::<S>(signed).map_err(quiet)?);
    statement::open_by_authority::<S>(&Ring, signed, &authority, threshold).map_err(quiet)?;
    Ok(S::PAYLOAD_TYPE)
}

struct Keys(BTreeMap<[u8; 32], Identity>);

impl Keyring for Keys {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        self.0.get(key_id).cloned()
    }
}

fn message(case: &Value) -> Outcome {
    let identity = |one: &Value| {
        let address = Address::parse(one[1].as_str().unwrap()).unwrap();
        (unhex(&one[0])[..].try_into().unwrap(), Identity { address, public: public_key(&unhex(&one[2])) })
    };
    let keys = Keys(array(case, "identities").iter().map(identity).collect());
    let address = Address::parse(text(case, "peer")).unwrap();
    let peer = Peer { address, fingerprint: [0; 32], chain_sha256: [0; 32], links: Vec::new(), not_after_ms: 0 };
    let network = Network::parse(text(case, "network")).unwrap();
    let submission = v1::Submission::decode(raw(case, "submission")).unwrap();
    let verified = Envelope::parse(submission, &network).and_then(|envelope| envelope.verify(&peer, &keys, &AwsLc));
    let verified = verified.map_err(|error| match error {
        VerifyError::Encoding(error) => encoding_name(&error).to_owned(),
        VerifyError::NotSender { .. } => "NOT_SENDER".to_owned(),
        VerifyError::BadCommitment(_) => "BAD_COMMITMENT".to_owned(),
        VerifyError::BadSignature(_) => "BAD_SIGNATURE".to_owned(),
    })?;
    let header = verified.header();
    Ok(json!({
        "message_id": hex(header.message_id),
        "context_hash": hex(header.context_hash),
        "reference": header.context.reference.to_string(),
        "signatures_sha256": hex(verified.signatures_sha256()),
        "sealed_sha256": hex(verified.sealed_sha256()),
    }))
}

fn delivery(case: &Value) -> Outcome {
    let network = Network::parse(text(case, "network")).unwrap();
    let header = Header::parse(&raw(case, "header"), &network).map_err(|error| encoding_name(&error).to_owned())?;
    let keys: Vec<_> = list(case, "seeds").iter().map(|seed| DecryptionKey::from_seed(seed).unwrap()).collect();
    let (wrap, path, content) = (raw(case, "wrap"), hashes(case, "wrap_path"), raw(case, "content"));
    let sealed = Sealed { header: &header, wrap: &wrap, wrap_path: &path, content: &content };
    let (body, cek) = open(&Address::parse(text(case, "me")).unwrap(), &keys, &sealed).map_err(|error| {
        let name = match error {
            OpenError::NotRecipient(_) => "NotRecipient",
            OpenError::Wrap => "Wrap",
            OpenError::Key => "Key",
            OpenError::Unwrap => "Unwrap",
            OpenError::Commitment => "Commitment",
            OpenError::Content => "Content",
            OpenError::Body => "Body",
        };
        name.to_owned()
    })?;
    let mut plain = Vec::new();
    for (at, (reference, chunks)) in header.attachments.iter().zip(array(case, "chunks")).enumerate() {
        let chunks: Vec<_> = chunks.as_array().unwrap().iter().map(|chunk| unhex(chunk).to_vec()).collect();
        let opened = open_chunks(&cek, &header.context_hash, at as u32, reference, &chunks);
        plain.push(hex(opened
            .map_err(|error| if matches!(error, envelope::attachment::AttachmentError::Root) { "Root" } else { "Chunk" }.to_owned())?));
    }
    Ok(json!({"media_type": body.media_type, "body": hex(&body.content), "cek": hex(cek.as_bytes()), "attachments": plain}))
}

fn opening(case: &Value) -> Outcome {
    let opening = Opening::decode(&raw(case, "opening")).map_err(quiet)?;
    let leaf = opening.leaf(Timestamp(number(case, "at_ms")));
    Ok(json!({"kind": opening.number(), "body": hex(leaf.body), "leaf": hex(leaf.encode()), "leaf_hash": hex(leaf.hash())}))
}

fn receipt(case: &Value) -> Outcome {
    let key = VerifierKey::parse(text(case, "log_key")).unwrap();
    let proven = Receipt::decode(&raw(case, "receipt")).and_then(|receipt| receipt.verify(&key)).map_err(quiet)?;
    let slots: BTreeMap<_, _> = proven.slots().iter().map(|slot| (format!("{}.{}", slot.tag, slot.sub), hex(&slot.value))).collect();
    Ok(json!({
        "index": proven.position.index, "kind": proven.kind as i32, "at_ms": proven.leaf.at.ms(),
        "size": proven.checkpoint.size, "root": hex(proven.checkpoint.root), "slots": slots,
    }))
}

fn inclusion(case: &Value) -> Outcome {
    let (leaf, root) = (Hash(digest(case, "leaf")), Hash(digest(case, "root")));
    let proof = tlog::verify_inclusion(&leaf, number(case, "index"), number(case, "size"), &hashes(case, "path"), &root);
    proof.map(|()| json!({})).map_err(quiet)
}

fn consistency(case: &Value) -> Outcome {
    let (old, new) = (Hash(digest(case, "old_root")), Hash(digest(case, "root")));
    let proof = tlog::verify_consistency(number(case, "old_size"), &old, number(case, "size"), &new, &hashes(case, "path"));
    proof.map(|()| json!({})).map_err(quiet)
}

fn disclosure(case: &Value) -> Outcome {
    let shown = |pair: &Value| (pair[0].as_u64().unwrap() as usize, Hash::try_from(&unhex(&pair[1])[..]).unwrap());
    let shown: Vec<_> = array(case, "shown").iter().map(shown).collect();
    let root = small::root_from_siblings(number(case, "count") as usize, &shown, &hashes(case, "siblings")).map_err(quiet)?;
    if root == Hash(digest(case, "root")) { Ok(json!({})) } else { Err(String::new()) }
}

fn verifier_key(case: &Value) -> Outcome {
    let key = VerifierKey::parse(text(case, "text")).map_err(quiet)?;
    let id = format!("{:08x}", key.id);
    Ok(json!({"name": key.name, "id": id, "algorithm": key.algorithm as u8, "public": hex(key.public), "again": key.to_string()}))
}

fn note(case: &Value) -> Outcome {
    let keys: Vec<_> = array(case, "keys").iter().map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap()).collect();
    let note = Note::parse(&raw(case, "note")).map_err(quiet)?;
    let signed: Vec<_> = note.verify(&keys).map_err(quiet)?.into_iter().map(|key| key.name.clone()).collect();
    Ok(json!({"text": note.text, "signed_by": signed}))
}

fn checkpoint(case: &Value) -> Outcome {
    let key = VerifierKey::parse(text(case, "key")).unwrap();
    let checkpoint = Checkpoint::open(&raw(case, "note"), &key).map_err(quiet)?;
    Ok(json!({"size": checkpoint.size, "root": hex(checkpoint.root)}))
}

fn trust(case: &Value) -> Outcome {
    let trust = Trust::parse_toml(text(case, "toml")).map_err(quiet)?;
    let key = trust.log_verifier().unwrap().to_string();
    Ok(json!({"log_key": key, "sha256": hex(tlog::sha256(&trust.to_statement().encode_to_vec()))}))
}

fn chain(case: &Value) -> Outcome {
    let role = match text(case, "role") {
        "Tls" => Role::Tls,
        "NodeTls" => Role::NodeTls,
        "Identity" => Role::Identity,
        other => panic!("no role is named {other}"),
    };
    let anchors = Anchors::new(Network::parse(text(case, "network")).unwrap(), &list(case, "roots")).map_err(quiet)?;
    let judged = anchors.judge(role, &list(case, "chain"), Timestamp(number(case, "now_ms")), &NothingRevoked).map_err(quiet)?;
    Ok(json!({"address": judged.address.as_str(), "key_id": hex(judged.key_id), "chain_sha256": hex(judged.chain_sha256)}))
}

/// A refusal that has no name on the wire.
fn quiet<E: std::fmt::Display>(_: E) -> String {
    String::new()
}

fn network() -> Network {
    Network::parse("ecowire.test").unwrap()
}

fn numbered(size: u64) -> Vec<Hash> {
    (0..size).map(|at| leaf_hash(&at.to_be_bytes())).collect()
}

/// The length tells the algorithm: 32 bytes of Ed25519, 65 of P-256.
fn public_key(bytes: &[u8]) -> PublicKey {
    bytes.try_into().map(PublicKey::Ed25519).unwrap_or_else(|_| PublicKey::P256(bytes.try_into().unwrap()))
}

fn signers(case: &Value) -> Vec<SignerKey> {
    let pair = |pair: &Value| (unhex(&pair[0])[..].try_into().unwrap(), public_key(&unhex(&pair[1])));
    array(case, "signers").iter().map(pair).collect()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {case}"))
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {case}"))
}

fn array<'a>(case: &'a Value, field: &str) -> &'a Vec<Value> {
    case[field].as_array().unwrap_or_else(|| panic!("{field} is no list in {case}"))
}

fn list(case: &Value, field: &str) -> Vec<Bytes> {
    array(case, field).iter().map(unhex).collect()
}

fn hashes(case: &Value, field: &str) -> Vec<Hash> {
    list(case, field).iter().map(|bytes| Hash::try_from(&bytes[..]).unwrap()).collect()
}

fn raw(case: &Value, field: &str) -> Bytes {
    unhex(&case[field])
}

fn digest(case: &Value, field: &str) -> [u8; 32] {
    raw(case, field)[..].try_into().unwrap()
}

fn unhex(value: &Value) -> Bytes {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
