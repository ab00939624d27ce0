//! The folder that `mint` makes: what lies in it, who may read it, what it proves, and what `revoke` changes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use certs_dev::forge::{Ca, Spec};
use certs_dev::{Error, MintOptions, Minted, mint, read_chain, revoke_at};
use envelope::address::{Address, Network};
use envelope::crl::Crl;
use envelope::genesis::GenesisError;
use envelope::identity::{IdentityError, Link, NothingRevoked, Revoked, Role};
use envelope::keys::{AwsLc, Ring, SigningKey};
use envelope::statement;
use envelope::time::Timestamp;
use envelope::trust::{Trust, TrustError};
use prost::Message as _;
use proto::v1::{Genesis, Kind, OversightMode, SigAlg};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_795_374_960_000);
const ADDRESSES: [&str; 8] = ["th", "ke", "ke/cus/kemba", "ipsg/ens", "aud/network", "cn/hk", "ug/cus/malaba", "node/dev-1"];

fn at(address: &str) -> Address {
    Address::parse(address).unwrap()
}

fn options(out: &Path, addresses: &[&str]) -> MintOptions {
    let network = Network::parse("ecowire.test").unwrap();
    MintOptions { now: NOW, ..MintOptions::new(out, network, addresses.iter().map(|text| at(text)).collect()) }
}

fn fresh() -> (TempDir, PathBuf, Minted) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pki");
    let minted = mint(&options(&out, &ADDRESSES)).unwrap();
    (folder, out, minted)
}

/// One PKI for the tests that only read.
fn shared() -> &'static (TempDir, PathBuf, Minted) {
    static SHARED: OnceLock<(TempDir, PathBuf, Minted)> = OnceLock::new();
    SHARED.get_or_init(fresh)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn what_lies_where() {
    let (_, out, minted) = shared();
    let mut expected = vec!["genesis.bin".to_owned(), "trust.toml".to_owned(), "authority/authority.key".to_owned()];
    for ca in ["root", "cn", "ke", "node", "th", "ug"] {
        expected.extend([format!("authority/{ca}.key"), format!("authority/{ca}.pem"), format!("crl/{ca}.crl")]);
    }
    for address in ["th", "ke", "ke_cus_kemba", "ipsg_ens", "aud_network", "cn_hk", "ug_cus_malaba"] {
        expected.extend(["tls.pem", "tls.key", "identity.pem", "identity.key"].map(|file| format!("{address}/{file}")));
    }
    for address in ["th", "ke", "ke_cus_kemba", "ipsg_ens", "aud_network", "cn_hk", "ug_cus_malaba", "node_dev-1"] {
        expected.push(format!("authority/issued/{address}.txt"));
    }
    expected.extend(["tls.pem", "tls.key", "log.key", "directory.key"].map(|file| format!("node_dev-1/{file}")));
    expected.sort();
    let found: Vec<_> = files(out).iter().map(|path| path.strip_prefix(out).unwrap().display().to_string()).collect();
    assert_eq!(found, expected);
    assert_eq!(minted.cas, ["", "cn", "ke", "node", "th", "ug"]);
    assert_eq!(minted.node.folder, out.join("node_dev-1"));
    assert!(minted.participants.is_sorted_by(|a, b| a.address < b.address));
}

#[test]
fn keys_are_for_their_owner_only() {
    let (_, out, _) = shared();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&out.join("authority")), 0o700);
    for path in files(out) {
        let text = fs::read(&path).unwrap();
        let secret = text.windows(11).any(|bytes| bytes == b"PRIVATE KEY");
        assert_eq!(secret, path.extension().unwrap() == "key", "{}", path.display());
        assert_eq!(mode(&path) & 0o077 == 0, secret, "{}", path.display());
    }
}

#[test]
fn every_chain_is_judged_good_by_the_trust_file() {
    let (_, out, minted) = shared();
    let trust = Trust::parse_toml(&fs::read_to_string(out.join("trust.toml")).unwrap()).unwrap();
    assert_eq!(trust, minted.trust);
    let anchors = trust.anchors().unwrap();
    let judge = |folder: &Path, role, file| anchors.judge(role, &read_chain(&folder.join(file)).unwrap(), NOW, &NothingRevoked).unwrap();
    for participant in &minted.participants {
        for (role, file) in [(Role::Tls, "tls.pem"), (Role::Identity, "identity.pem")] {
            let judged = judge(&participant.folder, role, file);
            assert_eq!(judged.address, participant.address);
            assert_eq!(judged.links.len(), if judged.address.country().is_some() { 2 } else { 1 });
        }
        let key = SigningKey::from_pem(&fs::read(participant.folder.join("identity.key")).unwrap()).unwrap();
        assert_eq!(judge(&participant.folder, Role::Identity, "identity.pem").key_id, key.key_id());
    }
    assert_eq!(judge(&minted.node.folder, Role::NodeTls, "tls.pem").address, at("node/dev-1"));
    for (file, verifier) in [("log.key", trust.log_verifier()), ("directory.key", trust.directory_verifier())] {
        let key = SigningKey::from_pem(&fs::read(minted.node.folder.join(file)).unwrap()).unwrap();
        assert_eq!(verifier.unwrap().public, key.public().as_bytes());
    }
}

#[test]
fn the_genesis_names_everybody_but_the_node() {
    let (_, out, minted) = shared();
    let bytes = fs::read(out.join("genesis.bin")).unwrap();
    assert_eq!(tlog::sha256(&bytes), minted.trust.genesis_sha256);
    let signed = statement::decode_signed(&bytes).unwrap();
    let statement = minted.trust.to_statement();
    let genesis: Genesis = statement::open_by_authority(&Ring, &signed, &statement.authority, 1).unwrap();
    let named: Vec<_> = genesis.participants.iter().map(|participant| participant.address.as_str()).collect();
    assert_eq!(named, ["aud/network", "cn/hk", "ipsg/ens", "ke", "ke/cus/kemba", "th", "ug/cus/malaba"]);
    assert_eq!((genesis.node.as_str(), genesis.roots.len()), ("node/dev-1", 1));
    for participant in &genesis.participants {
        let open = ["cn/hk", "ke/cus/kemba", "ug/cus/malaba"].contains(&participant.address.as_str());
        assert_eq!(participant.open_to_foreign, open, "{}", participant.address);
        assert_eq!(participant.oversight(), OversightMode::Copy);
        let chain = read_chain(&out.join(at(&participant.address).file_name()).join("identity.pem")).unwrap();
        assert_eq!(participant.identity_chain, chain);
    }
}

#[test]
fn the_policy_says_what_two_seats_sign_and_how_many_broadcasts_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pki");
    let dual_control = vec![Kind::Diffusion, Kind::Deletion, Kind::Diffusion];
    mint(&MintOptions { dual_control, broadcasts_per_day: 3, ..options(&out, &ADDRESSES) }).unwrap();
    let genesis = envelope::genesis::Genesis::open(&fs::read(out.join("genesis.bin")).unwrap(), &AwsLc).unwrap();
    let policy = genesis.statement.policy.unwrap();
    let mut wanted = [Kind::Diffusion, Kind::Deletion].map(i32::from);
    wanted.sort_unstable();
    assert_eq!((&policy.dual_control[..], policy.broadcasts_per_day), (&wanted[..], 3));
}

#[test]
fn p256_identities_stand_where_the_policy_allows_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pki");
    let kemba = at("ke/cus/kemba");
    mint(&MintOptions { p256: vec![kemba.clone()], ..options(&out, &ADDRESSES) }).unwrap();
    let open = |bytes: &[u8]| envelope::genesis::Genesis::open(bytes, &AwsLc);
    let genesis = open(&fs::read(out.join("genesis.bin")).unwrap()).unwrap();
    for (participant, certified) in &genesis.participants {
        let wanted = if participant.address == kemba.as_str() { SigAlg::EcdsaP256Sha256 } else { SigAlg::Ed25519 };
        assert_eq!(certified.public.alg(), wanted, "{}", participant.address);
    }
    assert_eq!(genesis.statement.policy.as_ref().unwrap().identity_algs, [1, 2]);
    // Another policy, another participant's key, a CA's key, under the authority's own signature.
    let authority = SigningKey::from_pem(&fs::read(out.join("authority/authority.key")).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Genesis)| {
        let mut statement = genesis.statement.clone();
        change(&mut statement);
        open(&statement::sign(&statement, &[&authority]).unwrap().encode_to_vec()).map(drop)
    };
    let policy = |algs: &[i32]| changed(&|genesis| genesis.policy.as_mut().unwrap().identity_algs = algs.to_vec());
    assert_eq!(policy(&[1, 2]), Ok(()));
    assert_eq!(policy(&[]), Err(GenesisError::Algorithm(kemba.to_string())));
    assert_eq!(policy(&[1]), Err(GenesisError::Algorithm(kemba.to_string())));
    assert_eq!(policy(&[2]), Err(GenesisError::Algorithm("aud/network".to_owned())));
    for odd in [&[2, 1][..], &[1, 1], &[0], &[3], &[1, 2, 2]] {
        assert!(matches!(policy(odd), Err(GenesisError::Statement(_))), "{odd:?}");
    }
    let thai = Ca::load(&out, "th").unwrap();
    let kenya = Ca::load(&out, "ke").unwrap();
    let leaf = kenya.issue(&Spec::identity(&genesis.network, &kemba, NOW), &thai.pair).unwrap();
    let borrowed = changed(&|genesis| {
        let participant = genesis.participants.iter_mut().find(|one| one.address == kemba.as_str()).unwrap();
        participant.identity_chain[0] = leaf.clone().into();
    });
    assert_eq!(borrowed, Err(GenesisError::Mismatch(kemba.to_string())), "the key of another country's CA");
}

#[test]
fn nothing_is_overwritten() {
    let (folder, out, _) = fresh();
    let before: Vec<_> = files(&out).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let again = |out: &Path| mint(&options(out, &["ke", "node/dev-1"])).unwrap_err();
    assert!(matches!(again(&out), Error::Exists(path) if path == out.join("trust.toml")));
    assert!(before.iter().all(|(bytes, path)| fs::read(path).unwrap() == *bytes));
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("note"), "").unwrap();
    assert!(matches!(again(&other), Error::Exists(path) if path == other.join("note")));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(again(&file), Error::Exists(path) if path == file));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(mint(&options(&empty, &["ke", "node/dev-1"])).is_ok(), "an empty folder is no PKI");
    assert!(matches!(again(&folder.path().join("no/parent")), Error::File { .. }));
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["empty", "file", "other", "pki"], "no half-made folder stays");
}

#[test]
fn wrong_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |addresses: &[&str]| mint(&options(&folder.path().join("pki"), addresses)).unwrap_err();
    assert!(matches!(refused(&["ke"]), Error::Nodes(0)));
    assert!(matches!(refused(&["ke", "node/a", "node/b"]), Error::Nodes(2)));
    assert!(matches!(refused(&["ke", "ke", "node/a"]), Error::Twice(address) if address == at("ke")));
    assert!(matches!(refused(&["grp/wg", "node/a"]), Error::Group(address) if address == at("grp/wg")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn revoke_makes_the_next_list() {
    struct List(Crl);
    impl Revoked for List {
        fn is_revoked(&self, link: &Link) -> bool {
            link.issuer_key_sha256 == self.0.issuer_key_sha256 && self.0.serials.contains(&link.serial)
        }
    }
    let (_folder, out, minted) = fresh();
    let later = NOW.plus(60_000);
    let list = |ca: &str| {
        let issuer = read_chain(&out.join(format!("authority/{ca}.pem"))).unwrap().remove(0);
        let der = fs::read(out.join(format!("crl/{ca}.crl"))).unwrap();
        (Crl::open(&der, &issuer, later).unwrap(), der)
    };
    let (first, _) = list("ke");
    assert_eq!((first.number.as_slice(), first.serials.len()), (&[1][..], 0));
    let made = revoke_at(&out, &at("ke/cus/kemba"), NOW).unwrap();
    assert_eq!((made.number, made.serials.len(), &made.crl), (2, 2, &out.join("crl/ke.crl")));
    let (second, old) = list("ke");
    assert_eq!(second.serials, made.serials.iter().cloned().collect());
    // A second revocation keeps the first one's entries and dates; the same one again adds none.
    assert_eq!(revoke_at(&out, &at("ke"), later).unwrap().number, 3);
    assert_eq!(revoke_at(&out, &at("ke"), later).unwrap().number, 4);
    let (last, der) = list("ke");
    assert!(last.serials.len() == 4 && second.serials.is_subset(&last.serials) && second.is_older_than(&last.number));
    let entry = |der: &[u8]| der.windows(16).position(|bytes| bytes == made.serials[0]).map(|at| der[at..at + 31].to_vec());
    assert_eq!(entry(&old), entry(&der));
    let anchors = minted.trust.anchors().unwrap();
    let chain = read_chain(&out.join("ke_cus_kemba/identity.pem")).unwrap();
    let refused = anchors.judge(Role::Identity, &chain, later, &List(last)).unwrap_err();
    assert_eq!(refused, IdentityError::Revoked { at: 0 });
    // Root and operator's CA; nobody else's list moved.
    assert_eq!(revoke_at(&out, &at("ipsg/ens"), NOW).unwrap().crl, out.join("crl/root.crl"));
    assert_eq!(revoke_at(&out, &at("node/dev-1"), NOW).unwrap().serials.len(), 1);
    assert_eq!(list("th").0.number, [1]);
    assert!(matches!(revoke_at(&out, &at("ug"), NOW).unwrap_err(), Error::Absent(path) if path == out.join("ug/tls.pem")));
    assert!(files(&out.join("crl")).iter().all(|path| path.extension().unwrap() == "crl"), "no temporary file stays");
}

#[test]
fn a_changed_trust_file_is_refused() {
    let (_, out, _) = shared();
    let text = fs::read_to_string(out.join("trust.toml")).unwrap();
    let changed = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        Trust::parse_toml(&changed).unwrap_err()
    };
    // Comments and order are not signed, every field is.
    assert!(Trust::parse_toml(&format!("# A remark.\n{text}")).is_ok());
    for (from, to) in [
        ("seq = 1\n", "seq = 2\nprev_sha256 = \"bef07fc7ce4f9d01daace75688f3642b569a96a122b5fcec667ea43b2555bbf8\"\n"),
        ("created_ms = 1", "created_ms = 2"),
        ("expires_ms = 0", "expires_ms = 9795374960000"),
        ("nodes = [\"node/dev-1\"]", "nodes = [\"node/dev-2\"]"),
        ("nodes = [\"node/dev-1\"]", "nodes = [\"node/dev-1\", \"node/dev-2\"]"),
    ] {
        assert!(matches!(changed(from, to), TrustError::Signature(_)), "{from}");
    }
    assert!(matches!(changed("log/0/", "log/1/"), TrustError::Origin("log_origin")));
    assert!(matches!(changed("/directory/", "/Directory/"), TrustError::Origin("directory_origin")));
    assert!(matches!(changed("witnesses = []", "witnesses = [\"w\"]"), TrustError::Key { field: "witnesses", .. }));
    assert!(matches!(changed("witnesses_k = 0", "witnesses_k = 1"), TrustError::Encoding(_)));
    assert!(matches!(changed("authority_threshold = 1", "authority_threshold = 0"), TrustError::Encoding(_)));
    assert!(matches!(changed("version = 1", "version = 2"), TrustError::Encoding(_)));
    assert!(matches!(changed("network = \"ecowire.test\"", "network = \"ecowire.tes\""), TrustError::Origin(_)));
    assert!(matches!(changed("version = 1", "version = 1\nproxy = \"x\""), TrustError::Toml(_)));
    assert!(matches!(changed("key_id", "note = 1\nkey_id"), TrustError::Toml(_)));
    assert!(matches!(changed("log_key = \"", "log_key = \"0"), TrustError::Text { field: "log_key", .. }));
    assert!(matches!(changed("-----BEGIN", "-----BEG"), TrustError::Text { field: "roots", .. }));
    let unsigned = &text[..text.find("[[signature]]").unwrap()];
    assert!(matches!(Trust::parse_toml(unsigned).unwrap_err(), TrustError::Toml(_)));
    assert!(matches!(Trust::parse_toml(&format!("{unsigned}signature = []\n")).unwrap_err(), TrustError::Signature(_)));
    let twice = format!("{text}{}", &text[text.find("[[signature]]").unwrap()..]);
    assert!(matches!(Trust::parse_toml(&twice).unwrap_err(), TrustError::Signature(_)));
    assert!(matches!(Trust::parse_toml(&" ".repeat(65_537)).unwrap_err(), TrustError::Bytes(65_537)));
}

#[test]
fn two_of_three_sign_a_trust_file() {
    let (_, out, minted) = shared();
    let first = SigningKey::from_pem(&fs::read(out.join("authority/authority.key")).unwrap()).unwrap();
    let [second, third, stranger] = [0; 3].map(|_| SigningKey::generate().unwrap().0);
    let mut trust = minted.trust.clone();
    trust.authority = [&first, &second, &third].map(|key| key.public().ed25519().unwrap()).to_vec();
    trust.authority_threshold = 2;
    let read = |keys: &[&SigningKey]| Trust::parse_toml(&trust.to_toml(&trust.sign(keys).unwrap()));
    for good in [vec![&first, &second], vec![&third, &first], vec![&first, &second, &third]] {
        assert_eq!(read(&good).unwrap(), trust);
    }
    for bad in [vec![], vec![&first], vec![&first, &first], vec![&first, &stranger], vec![&first, &second, &stranger]] {
        assert!(read(&bad).is_err(), "{} signatures", bad.len());
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecowire-certs")).args(arguments).output().unwrap()
}

/// Runs the command; its exit code, output and errors.
fn check(arguments: &[&str], code: i32, says: &[&str]) {
    let output = run(arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for word in says {
        assert!(text.contains(word), "{arguments:?} does not say {word:?}: {text}");
    }
}

#[test]
fn the_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pki").display().to_string();
    let mint = |addresses: &[&'static str], code, says: &[&str]| {
        check(&[&["mint", "--out", &out, "--network", "ecowire.test"], addresses].concat(), code, says);
    };
    mint(&["ke", "KE/cus", "node/a"], 2, &["KE/cus", "lower-case letters"]);
    mint(&["ke"], 2, &["exactly one", "node"]);
    mint(&["ke", "ke", "node/a"], 2, &["ke is named twice"]);
    mint(&["all/ncb", "node/a"], 2, &["all/ncb"]);
    mint(&[], 2, &["<ADDRESS>"]);
    check(&["mint", "--out", &out, "--network", "UPPER", "ke", "node/a"], 2, &["UPPER"]);
    mint(&["--p256", "grp", "ke", "node/a"], 2, &["'grp'"]);
    mint(&["--p256", "all", "ke", "ke/cus/kemba", "node/a"], 0, &["ke/cus/kemba", "ke_cus_kemba", "Next:", "trust.toml"]);
    mint(&["ke", "node/a"], 1, &["trust.toml exists"]);
    check(&["revoke", "--out", &out, "ke/cus/kemba"], 0, &["ke.crl", "number 2"]);
    check(&["revoke", "--out", &out, "th"], 1, &["th/tls.pem"]);
    check(&["revoke", "--out", &out, "T"], 2, &["'T'"]);
    check(&["--version"], 0, &["ecowire-certs 0.1.0"]);
    for help in [vec!["--help"], vec!["mint", "--help"], vec!["revoke", "--help"]] {
        check(&help, 0, &["Examples:", "Exit codes: 0 done, 2 wrong usage, 1"]);
    }
    check(&[], 2, &["Usage"]);
}
