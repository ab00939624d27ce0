//! Where inputs begin: the vectors of `tests/vectors`, and a copy of the golden store in them.
//!
//! It does not know what a parser does with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use envelope::entry::Entry;
use envelope::identity::PublicKey;
use envelope::slots::Leaf;
use envelope::{Network, statement};
use exchange::{Exchange, Rules};
use proto::v1;
use serde_json::Value;

/// The folder of the vectors.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

/// The network of all vectors.
#[must_use]
pub fn network() -> Network {
    Network::parse("ecowire.test").expect("a network")
}

/// The cases of a check, good and bad, by both implementations.
///
/// # Panics
/// When there are none: a target without seeds is a name that was mistyped.
#[must_use]
pub fn cases(check: &str) -> Vec<Value> {
    let names = ["", "python_"].iter().flat_map(|maker| ["good", "bad"].map(|end| format!("{maker}{check}_{end}.json")));
    let texts = names.filter_map(|name| std::fs::read(folder().join(name)).ok());
    let cases: Vec<Value> = texts.flat_map(|text| serde_json::from_slice::<Vec<Value>>(&text).expect("a list of cases")).collect();
    assert!(!cases.is_empty(), "no vectors of {check}");
    cases
}

/// A field in hexadecimal digits.
#[must_use]
pub fn raw(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    text.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// A list of fields in hexadecimal digits.
#[must_use]
pub fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().map(|items| items.iter().map(raw).collect()).unwrap_or_default()
}

/// Inputs of several parts: each behind its length, two bytes, big endian.
#[must_use]
pub fn frame(parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(&(u16::try_from(part.len()).unwrap_or(u16::MAX)).to_be_bytes());
        bytes.extend_from_slice(&part[..part.len().min(usize::from(u16::MAX))]);
    }
    bytes
}

/// The parts of an input, as far as they go; the last one takes what is left.
#[must_use]
pub fn parts(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        parts.push(part);
        bytes = rest;
    }
    parts
}

/// Public keys by key id: of every identity, signer and authority in the vectors.
pub static KEYS: LazyLock<BTreeMap<[u8; 32], PublicKey>> = LazyLock::new(|| {
    let pairs = ["message", "statement", "dsse"].into_iter().flat_map(cases).flat_map(|case| {
        let identities = case["identities"].as_array().cloned().unwrap_or_default();
        let signers = case["signers"].as_array().cloned().unwrap_or_default();
        let identities = identities.into_iter().map(|one| (raw(&one[0]), raw(&one[2])));
        identities.chain(signers.into_iter().map(|one| (raw(&one[0]), raw(&one[1])))).collect::<Vec<_>>()
    });
    let alg = |public: &[u8]| if public.len() == 32 { v1::SigAlg::Ed25519 } else { v1::SigAlg::EcdsaP256Sha256 };
    pairs.filter_map(|(id, public)| Some((id.try_into().ok()?, PublicKey::read(alg(&public), &public)?))).collect()
});

/// What the golden store holds.
#[derive(Debug)]
pub struct Golden {
    /// Leaf and opening of each entry, in order.
    pub entries: Vec<(Leaf, Vec<u8>)>,
    /// The state after all of them.
    pub snapshot: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Revocation lists in DER.
    pub lists: Vec<Vec<u8>>,
    /// Certificates of CAs in DER: the issuers of the lists among them.
    pub cas: Vec<Vec<u8>>,
    /// Roots of its network in DER.
    pub roots: Vec<Vec<u8>>,
    /// Chains of its participants, leaf first.
    pub chains: Vec<Vec<Vec<u8>>>,
    /// `genesis.bin`.
    pub genesis: Vec<u8>,
    /// Signed statements in their entries.
    pub statements: Vec<Vec<u8>>,
}

/// Read once: opening the copy takes a while.
pub static GOLDEN: LazyLock<Golden> = LazyLock::new(golden);

fn golden() -> Golden {
    let from = folder().join("ledger-v1");
    let copy = tempfile::tempdir().expect("a folder");
    let data = copy.path().join("data");
    std::fs::create_dir_all(data.join("keys")).expect("a folder");
    for name in ["ledger.redb", "keys/00000000.keys"] {
        std::fs::copy(from.join("data").join(name), data.join(name)).expect("copied");
    }
    let quoted = |path: PathBuf| toml::Value::from(path.display().to_string()).to_string();
    let (genesis, node) = (quoted(from.join("genesis.bin")), quoted(from.join("node")));
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {}\ngenesis = {genesis}\nnode = {node}\ncrls = \"\"\n", quoted(data));
    let config: gateway::Config = toml::from_str(&text).expect("a configuration");
    let (opener, genesis) = gateway::gateway::opener(&config).expect("the golden store's configuration");
    let ledger = opener.open_ledger().expect("the golden store opens");
    let mut exchange = Exchange::new(Rules::default());
    let (mut entries, mut lists, mut statements) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..ledger.size() {
        let stored = ledger.read(index).expect("an entry");
        let opening = stored.opening.expect("an opening");
        let entry = Entry::read(&opening).expect("a sound entry");
        exchange.replay(index, stored.leaf.at, &entry).expect("it applies");
        entries.push((stored.leaf, opening.encode()));
        match entry {
            Entry::RevocationsSeen { list, .. } => lists.push(list.to_vec()),
            Entry::Genesis(signed) | Entry::Directory { signed, .. } | Entry::Mailbox { signed, .. } | Entry::Access(signed) => {
                statements.push(prost::Message::encode_to_vec(&signed));
            }
            _ => {}
        }
    }
    exchange.begin_snapshot_anew();
    let snapshot = exchange.take_snapshot(ledger.size()).rows;
    ledger.close();
    let form: v1::Genesis = statement::read(&genesis.signed).expect("a genesis");
    let der = |chain: &[Bytes]| chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>();
    let chains: Vec<Vec<Vec<u8>>> = form.participants.iter().map(|one| der(&one.identity_chain)).collect();
    let cas = chains.iter().flat_map(|chain| chain.iter().skip(1).cloned()).collect();
    let genesis = std::fs::read(from.join("genesis.bin")).expect("a file");
    Golden { entries, snapshot, lists, cas, roots: der(&form.roots), chains, genesis, statements }
}
