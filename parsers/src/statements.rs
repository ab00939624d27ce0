//! Statements of every kind, the genesis and the trust file.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use envelope::canonical;
use envelope::genesis::Genesis;
use envelope::keys::{AwsLc, Ring};
use envelope::statement::{self, Acknowledged, Delivered, Statement};
use envelope::trust::Trust;
use prost::Message as _;
use proto::v1::{self, SignedStatement, StatementKind};

use crate::seeds::{GOLDEN, KEYS, cases, folder, raw};

/// Digests of all statements in the seeds, sound or not.
static STATEMENTS: LazyLock<BTreeSet<[u8; 32]>> = LazyLock::new(|| {
    let signed = |bytes: Vec<u8>| SignedStatement::decode(&bytes[..]).ok();
    statement_seeds().into_iter().chain(genesis_seeds()).filter_map(signed).map(|signed| statement::digest_of(&signed)).collect()
});

/// A signed statement: read as each kind, opened with the keys of the vectors, or with those that it names itself.
pub(crate) fn statement(bytes: &[u8]) -> bool {
    let Ok(signed) = statement::decode_signed(bytes) else { return false };
    assert_eq!(signed.encode_to_vec(), bytes, "two encodings of one signed statement");
    let kind = StatementKind::try_from(signed.kind).expect("a kind that was read");
    let opened = [
        (StatementKind::Genesis, by_authority::<v1::Genesis>(&signed, |one| (one.authority.clone(), one.authority_threshold))),
        (StatementKind::Trust, by_authority::<v1::Trust>(&signed, |one| (one.authority.clone(), one.authority_threshold))),
        (StatementKind::Keys, by_signers::<v1::KeyStatement>(&signed)),
        (StatementKind::Access, by_signers::<v1::AccessStatement>(&signed)),
        (StatementKind::Delivered, by_signers::<Delivered>(&signed)),
        (StatementKind::Acknowledged, by_signers::<Acknowledged>(&signed)),
        (StatementKind::ClockStep, by_signers::<v1::ClockStep>(&signed)),
        (StatementKind::Enrolment, by_signers::<v1::Enrolment>(&signed)),
        (StatementKind::Standing, by_signers::<v1::Standing>(&signed)),
        (StatementKind::Grants, by_signers::<v1::GrantStatement>(&signed)),
        (StatementKind::Group, by_signers::<v1::Group>(&signed)),
        (StatementKind::Release, by_signers::<v1::Release>(&signed)),
        (StatementKind::Permission, by_signers::<v1::Permission>(&signed)),
    ];
    assert!(opened.iter().all(|(as_kind, opened)| *as_kind == kind || !opened), "a statement opens as another kind");
    let believed = opened.iter().any(|(_, opened)| *opened);
    assert!(!believed || STATEMENTS.contains(&statement::digest_of(&signed)), "a statement that nobody signed is believed");
    believed
}

/// Whether keys of the vectors signed it, by both providers' opinion.
fn by_signers<S: Statement>(signed: &SignedStatement) -> bool {
    read::<S>(signed);
    let key = |signature: &v1::Signature| {
        let id: [u8; 32] = signature.key_id.as_ref().try_into().ok()?;
        Some((id, *KEYS.get(&id)?))
    };
    let Some(signers) = signed.signatures.iter().map(key).collect::<Option<Vec<_>>>() else { return false };
    let (one, other) = (statement::open::<S>(&Ring, signed, &signers), statement::open::<S>(&AwsLc, signed, &signers));
    assert_eq!(one.is_ok(), other.is_ok(), "the providers differ");
    one.is_ok()
}

fn by_authority<S: Statement>(signed: &SignedStatement, keys: impl Fn(&S) -> (Vec<v1::AuthorityKey>, u32)) -> bool {
    read::<S>(signed);
    let Ok(form) = statement::read::<S>(signed) else { return false };
    let (authority, threshold) = keys(&form);
    statement::open_by_authority::<S>(&Ring, signed, &authority, threshold).is_ok()
}

/// What is read as `S` is the one encoding of itself, and has a head.
fn read<S: Statement>(signed: &SignedStatement) {
    if let Ok(form) = statement::read::<S>(signed) {
        assert_eq!(form.encode_to_vec(), signed.statement, "two encodings of one statement");
        statement::read_head(form.head()).expect("a statement that was read has a head");
    }
}

pub(crate) fn statement_seeds() -> Vec<Vec<u8>> {
    let signed = cases("statement").into_iter().map(|case| raw(&case["signed"]));
    let canonical = cases("canonical").into_iter().filter(|case| case["type"] == "signed_statement").map(|case| raw(&case["bytes"]));
    let small = |bytes: &Vec<u8>| bytes.len() < 8192;
    let golden = GOLDEN.statements.iter().filter(|bytes| bytes.len() < 8192).cloned();
    signed.chain(canonical.filter(small)).chain(golden).collect()
}

/// `genesis.bin`, with every certificate in it.
pub(crate) fn genesis(bytes: &[u8]) -> bool {
    let Ok(genesis) = Genesis::open(bytes, &AwsLc) else { return false };
    assert_eq!(genesis.signed.encode_to_vec(), bytes, "two encodings of one genesis");
    assert!(STATEMENTS.contains(&statement::digest_of(&genesis.signed)), "a genesis that no authority signed is believed");
    genesis.anchors().expect("roots that were judged");
    genesis.node().expect("a node that was read");
    assert_eq!(genesis.log_verifier().name, genesis.log_origin());
    assert_eq!(genesis.directory_verifier().name, genesis.directory_origin());
    assert_eq!(genesis.participants.len(), genesis.statement.participants.len());
    true
}

pub(crate) fn genesis_seeds() -> Vec<Vec<u8>> {
    let genesis = cases("statement").into_iter().map(|case| raw(&case["signed"]));
    let of_kind = |bytes: &Vec<u8>| SignedStatement::decode(&bytes[..]).is_ok_and(|one| one.kind() == StatementKind::Genesis);
    genesis.filter(of_kind).chain([GOLDEN.genesis.clone()]).collect()
}

/// Digests of the statements in the trust files of the seeds.
static TRUSTS: LazyLock<BTreeSet<[u8; 32]>> = LazyLock::new(|| {
    let trust = |bytes: Vec<u8>| Trust::parse_toml(std::str::from_utf8(&bytes).ok()?).ok();
    trust_seeds().into_iter().filter_map(trust).map(|trust| tlog::sha256(&trust.to_statement().encode_to_vec())).collect()
});

/// `trust.toml`.
pub(crate) fn trust(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(trust) = Trust::parse_toml(text) else { return false };
    let statement = trust.to_statement().encode_to_vec();
    canonical::decode::<v1::Trust>(&statement).expect("the statement of a trust file that was read");
    assert!(TRUSTS.contains(&tlog::sha256(&statement)), "a trust file that nobody signed is believed");
    trust.anchors().expect("roots that were read");
    trust.log_verifier().expect("a key that was read");
    trust.directory_verifier().expect("a key that was read");
    assert_eq!(trust.witness_verifiers().expect("keys that were read").len(), trust.witnesses.len());
    true
}

pub(crate) fn trust_seeds() -> Vec<Vec<u8>> {
    let texts = cases("trust").into_iter().filter_map(|case| case["toml"].as_str().map(|text| text.as_bytes().to_vec()));
    texts.chain([std::fs::read(folder().join("ledger-v1/trust.toml")).expect("a file")]).collect()
}
