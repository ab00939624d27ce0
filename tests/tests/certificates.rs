//! Certificates that must not get in, over real TLS: each is refused with its own reason, by its stable name, in the
//! gateway's log, and a witness is served meanwhile.
//!
//! `door.rs` shows what the client makes of a refusal; here it shows what no client of ours would send. What rcgen does not
//! make lies in `tests/vectors/certs`.

mod stage;

use std::sync::Arc;

use certs_dev::forge::{Ca, Name, Pair, Spec};
use client::link::Link;
use envelope::identity::{NothingRevoked, Role};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use stage::{Gateway, Stage, ask, at, now, tls};

const POST: &str = "ke/cus/kemba";
const DAY_MS: u64 = 86_400_000;

/// The stagehand: a gateway that has some CAs of its network revoked, and a witness.
struct Door {
    stage: Stage,
    gateway: Gateway,
    witness: Link,
    ke: Ca,
    cn: Ca,
    root: Ca,
    cases: usize,
}

type Chain = Vec<Vec<u8>>;

impl Door {
    async fn open(prepare: impl FnOnce(&Stage)) -> Self {
        let stage = Stage::new();
        prepare(&stage);
        let gateway = stage.serve();
        let witness = stage.connect(&gateway.url, "ipsg/ens").await;
        let [ke, cn, root] = ["ke", "cn", ""].map(|name| stage.ca(name));
        Self { stage, gateway, witness, ke, cn, root, cases: 0 }
    }

    /// Shows a chain, whatever it is: nobody gets in, and the log has the reason's name and, in its detail, some words.
    async fn check(&mut self, what: &str, chain: Chain, reason: &str, detail: &str) {
        let key = Pair::generate().expect("a key");
        self.check_with(what, chain, &key, reason, detail).await;
    }

    async fn check_with(&mut self, what: &str, chain: Chain, key: &Pair, reason: &str, detail: &str) {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()));
        let mark = self.gateway.mark();
        let config = Arc::new(tls::showing((chain, key)));
        assert!(tls::knock(self.gateway.address(), &config).await.is_err(), "{what}: got in");
        let line = self.gateway.logs(mark, &format!("reason=\"{reason}\"")).await;
        assert!(line.contains("WARN") && line.contains(detail), "{what}: {line}");
        ask(&self.witness).await.expect("the witness is served");
        self.cases += 1;
    }

    fn spec(&self) -> Spec {
        Spec::tls(&self.stage.trust.network, &at(POST), now())
    }

    fn ca_spec(&self, path: &str, path_len: u8) -> Spec {
        Spec::ca(&self.stage.trust.network, path, Some(path_len), now())
    }

    /// A leaf by ke's CA and that CA, after a change of what the leaf says.
    fn leaf(&self, change: impl FnOnce(&mut Spec)) -> Chain {
        self.leaf_of(&Pair::generate().expect("a key"), change)
    }

    fn leaf_of(&self, key: &impl PublicKeyData, change: impl FnOnce(&mut Spec)) -> Chain {
        let mut spec = self.spec();
        change(&mut spec);
        vec![self.ke.issue(&spec, key).expect("a certificate"), self.ke.der.clone()]
    }

    /// A sound leaf by another CA of ke, after a change of what that CA says.
    fn below_ca(&self, change: impl FnOnce(&mut Spec)) -> Chain {
        let mut spec = self.ca_spec("ke", 0);
        change(&mut spec);
        let ca = self.root.subordinate(&spec).expect("a ca");
        self.below(&[&ca])
    }

    /// A sound leaf by the first of these CAs, and all of them.
    fn below(&self, cas: &[&Ca]) -> Chain {
        let leaf = cas[0].issue(&self.spec(), &Pair::generate().expect("a key")).expect("a certificate");
        std::iter::once(leaf).chain(cas.iter().map(|ca| ca.der.clone())).collect()
    }

    async fn end(self, at_least: usize) {
        assert!(self.cases >= at_least, "{} cases", self.cases);
        assert!(!self.witness.is_closed());
        self.gateway.kill().await;
        self.stage.audit();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leaf_says_is_refused_for_its_own_reason() {
    let mut door = Door::open(|_| ()).await;
    let network = door.stage.trust.network.clone();
    let uri = |text: &str| Name::uri(format!("spiffe://{network}/{text}"));
    let names = |names: Vec<Name>| move |spec: &mut Spec| spec.names = names;
    let usages = |usages: Vec<ExtendedKeyUsagePurpose>| move |spec: &mut Spec| spec.usages = usages;
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let many = |count: usize| (0..count).map(|n| uri(&format!("ke/cus/post-{n}"))).collect::<Vec<_>>();
    let huge = |bytes: usize| move |spec: &mut Spec| spec.extensions.push((vec![1, 2, 3, 4], vec![7; bytes], false));
    let critical = |spec: &mut Spec| spec.extensions.push((vec![1, 2, 3, 4], vec![5, 0], true));
    let twice = |spec: &mut Spec| spec.extensions.push((vec![2, 5, 29, 15], vec![3, 2, 7, 0x80], false));
    let cases: Vec<(&str, Chain, &str, &str)> = vec![
        ("expired", door.leaf(|spec| spec.not_after = now().minus(1000)), "EXPIRED", "certificate 0"),
        ("not yet valid", door.leaf(|spec| spec.not_before = now().plus(DAY_MS)), "NOT_YET_VALID", "certificate 0"),
        ("a server's usage", door.leaf(usages(vec![ExtendedKeyUsagePurpose::ServerAuth])), "EXTENDED_KEY_USAGE", "participant's tls"),
        ("a client's and a server's", door.leaf(usages(vec![client, ExtendedKeyUsagePurpose::ServerAuth])), "EXTENDED_KEY_USAGE", ""),
        ("no extended usage", door.leaf(usages(vec![])), "EXTENDED_KEY_USAGE", ""),
        ("another key usage", door.leaf(|spec| spec.key_usages = vec![KeyUsagePurpose::KeyAgreement]), "KEY_USAGE", "digitalSignature"),
        ("the identity policy", door.leaf(|spec| spec.identity_policy = true), "POLICY_ON_TLS", "identity policy"),
        ("no san", door.leaf(names(vec![])), "NO_NAME", "no uri san"),
        ("two sans", door.leaf(names(vec![uri(POST), uri("ke")])), "NAMES", "has 2 uri sans"),
        ("150 sans", door.leaf(names(many(150))), "NAMES", "has 150 uri sans"),
        ("10,000 sans", door.leaf(names(many(10_000))), "BAD_MESSAGE", ""),
        ("a host's name", door.leaf(names(vec![uri(POST), Name::Dns("localhost".to_owned())])), "OTHER_NAME", "besides its uri"),
        ("a mail address", door.leaf(names(vec![uri(POST), Name::Email("x@ecowire.test".to_owned())])), "OTHER_NAME", ""),
        ("NUL in a san", door.leaf(names(vec![uri("ke/cus/kemba\0/x")])), "NAME_SPELLING", "certificate 0"),
        ("not ascii", door.leaf(names(vec![Name::uri(b"spiffe://ecowire.test/k\xc3\xa9")])), "NAME_SPELLING", ""),
        ("not utf-8", door.leaf(names(vec![Name::uri(b"spiffe://ecowire.test/ke/\xff")])), "NAME_SPELLING", ""),
        ("upper case", door.leaf(names(vec![uri("KE/cus/kemba")])), "NAME_SPELLING", ""),
        ("another network", door.leaf(names(vec![Name::uri("spiffe://other.test/ke/cus/kemba")])), "NAME_SPELLING", ""),
        ("another subtree", door.leaf(|spec| *spec = Spec::tls(&network, &at("th"), now())), "OUTSIDE_SUBTREE", "th lies outside"),
        ("a person's subject", door.leaf(|spec| spec.subject[0].1 = "Inspector N.".to_owned()), "SUBJECT", "certificate 0"),
        ("a group", door.leaf(|spec| *spec = Spec::tls(&network, &at("grp/wg"), now())), "GROUP", "a name for several"),
        ("a node", door.leaf(|spec| *spec = Spec::tls(&network, &at("node/dev-1"), now())), "ROLE_CLASS", "node/dev-1 cannot"),
        ("nobody known", door.leaf(|spec| *spec = Spec::tls(&network, &at("ke/cus/unknown"), now())), "NOT_ENROLLED", "ke/cus/unknown"),
        ("the serial number 0", door.leaf(|spec| spec.serial = Some(vec![0])), "SERIAL", "certificate 0"),
        ("a serial number of 21 bytes", door.leaf(|spec| spec.serial = Some(vec![0x7f; 21])), "SERIAL", ""),
        ("an unknown critical extension", door.leaf(critical), "CRITICAL_EXTENSION", "certificate 0"),
        ("an extension twice", door.leaf(twice), "MALFORMED", "certificate 0"),
        ("9 KiB", door.leaf(huge(9 << 10)), "CERTIFICATE_BYTES", "1 to 8192 are allowed"),
        ("60 KiB", door.leaf(huge(60 << 10)), "CERTIFICATE_BYTES", ""),
        ("100 KiB", door.leaf(huge(100 << 10)), "BAD_MESSAGE", ""),
        ("no certificate at all", vec![b"\x30\x03\x02\x01\x01".to_vec()], "MALFORMED", "certificate 0"),
        (
            "a ca and a leaf at once",
            door.leaf(|spec| spec.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0))),
            "CA_AUTHENTICATES",
            "",
        ),
        ("a ca as leaf", vec![door.ke.der.clone()], "CA_AUTHENTICATES", "a ca never authenticates"),
    ];
    for (what, chain, reason, detail) in cases {
        door.check(what, chain, reason, detail).await;
    }
    door.end(33).await;
}

/// Any bytes in the place of a P-256 key.
struct Raw(Vec<u8>);

impl PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_signatures_and_encodings_are_refused_for_their_own_reason() {
    let mut door = Door::open(|_| ()).await;
    let pair = |algorithm| Pair::generate_for(algorithm).expect("a key");
    let (p384, ed25519, p256) = (pair(&PKCS_ECDSA_P384_SHA384), pair(&PKCS_ED25519), Pair::generate().expect("a key"));
    let mut off = p256.der_bytes().to_vec();
    off[64] ^= 1;
    let compressed = [&[2], &p256.der_bytes()[1..33]].concat();
    let by_p384 = door.root.certify(&door.ca_spec("ke", 0), pair(&PKCS_ECDSA_P384_SHA384)).expect("a ca");
    for (what, chain, reason) in [
        ("a p-384 key", door.leaf_of(&p384, |_| ()), "KEY"),
        ("an ed25519 key", door.leaf_of(&ed25519, |_| ()), "KEY_ROLE"),
        ("a point off the curve", door.leaf_of(&Raw(off), |_| ()), "WEAK_KEY"),
        ("a compressed point", door.leaf_of(&Raw(compressed), |_| ()), "KEY"),
        ("signed with p-384", door.below(&[&by_p384]), "SIGNATURE_ALGORITHM"),
    ] {
        door.check(what, chain, reason, "certificate 0").await;
    }
    // By OpenSSL: each is refused for what it is before its issuer is asked about.
    for (name, reason) in [
        ("md5_signature", "SIGNATURE_ALGORITHM"),
        ("sha1_signature", "SIGNATURE_ALGORITHM"),
        ("rsa_signature", "SIGNATURE_ALGORITHM"),
        ("rsa_pss_signature", "SIGNATURE_ALGORITHM"),
        ("sha512_signature", "SIGNATURE_ALGORITHM"),
        ("rsa_1024_key", "KEY"),
        ("secp256k1_key", "KEY"),
        ("ed448_key", "KEY"),
        ("version_1", "MALFORMED"),
        ("negative_serial", "SERIAL"),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/certs").join(name).with_extension("pem");
        let mut chain = certs_dev::read_chain(&path).expect("a certificate");
        chain.push(door.ke.der.clone());
        door.check(name, chain, reason, "certificate 0").await;
    }
    // A sound chain that lies open in every handshake, and no key to it.
    let stolen = door.stage.chain_of(POST, "tls.pem");
    door.check("somebody else's certificate", stolen, "KEY_NOT_PROVEN", "").await;
    door.end(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_refused_for_their_own_reason() {
    // Revoked before the start: ke's certificate for its post, and the CA of Thailand.
    let mut revoked = None;
    let mut door = Door::open(|stage| {
        let links = |address: &str| {
            let chain = stage.chain_of(address, "tls.pem");
            let judged = stage.trust.anchors().expect("roots").judge(Role::Tls, &chain, now(), &NothingRevoked).expect("sound");
            judged.links.into_iter().map(|link| link.serial).collect::<Vec<_>>()
        };
        let (post, thailand) = (links(POST), links("th"));
        for (ca, serial) in [("ke", &post[0]), ("", &thailand[1])] {
            let list = stage.ca(ca).crl(2, &[(serial.clone(), now())], now()).expect("a list");
            std::fs::write(stage.pki().join("crl").join(if ca.is_empty() { "root.crl" } else { "ke.crl" }), list).expect("written");
        }
        revoked = Some(["ke/cus/kemba", "th"].map(|address| stage.chain_of(address, "tls.pem")));
    })
    .await;
    let [post, thailand] = revoked.expect("prepared");
    let own_root = Ca::root(&Spec::ca(&door.stage.trust.network, "", None, now())).expect("a root");
    let own_ke = own_root.subordinate(&door.ca_spec("ke", 0)).expect("a ca");
    let th = door.stage.ca("th");
    let key_of = |name: &str| door.stage.ca(name).pair;
    // Each certifies the other: a path that goes round leads to no root.
    let ke_by_cn = door.cn.certify(&door.ca_spec("ke", 0), key_of("ke")).expect("a certificate");
    let cn_by_ke = door.ke.certify(&door.ca_spec("cn", 1), key_of("cn")).expect("a certificate");
    let post_as_ca = door.ke.certify(&door.spec(), Pair::generate().expect("a key")).expect("a certificate");
    let short = door.ke.subordinate(&door.ca_spec("ke/nairobi", 0)).expect("a ca");
    let same_key = vec![door.ke.issue(&door.spec(), &door.ke.pair).expect("a certificate"), door.ke.der.clone()];
    // Permitted: URIs of the host other.te (RFC 5280 4.2.1.10), which a path of ours never has.
    let uri_constraint = [&[0x30, 0x0e, 0xa0, 0x0c, 0x30, 0x0a, 0x86, 0x08][..], b"other.te"].concat();
    let constrained = |content: Vec<u8>| move |spec: &mut Spec| spec.extensions.push((vec![2, 5, 29, 30], content, true));
    let spare = [door.leaf(|_| ()), vec![th.der.clone()]].concat();
    let hundred = [door.leaf(|_| ()), vec![door.ke.der.clone(); 98]].concat();
    let cases: Vec<(&str, Chain, &str, &str)> = vec![
        ("a revoked leaf", post, "REVOKED", "certificate 0"),
        ("below a revoked ca", thailand, "REVOKED", "certificate 1"),
        ("the wrong ca", vec![door.leaf(|_| ())[0].clone(), th.der.clone()], "UNKNOWN_ISSUER", "no path"),
        ("no ca", door.leaf(|_| ())[..1].to_vec(), "UNKNOWN_ISSUER", ""),
        ("a ca of the same name", door.below(&[&own_ke]), "SIGNATURE", "does not verify"),
        ("another root's path", door.below(&[&own_ke, &own_root]), "SIGNATURE", ""),
        ("another country's ca", door.below(&[&th]), "OUTSIDE_SUBTREE", "issuer's subtree (th)"),
        ("a spare ca", spare, "NOT_THE_PATH", "not exactly the path"),
        ("a chain of 100", hundred, "CHAIN_LENGTH", "not 100"),
        ("no chain but 5", [door.leaf(|_| ()), vec![th.der.clone(); 3]].concat(), "CHAIN_LENGTH", "not 5"),
        ("a leaf as ca", door.below(&[&post_as_ca, &door.ke]), "NOT_CA", "certificate 1"),
        ("cross-signed", door.below(&[&ke_by_cn, &door.cn]), "OUTSIDE_SUBTREE", "ke lies outside"),
        ("a cross-signed loop", door.below(&[&ke_by_cn, &cn_by_ke, &ke_by_cn]), "UNKNOWN_ISSUER", ""),
        ("a ca below one that may have none", door.below(&[&short, &door.ke]), "PATH_TOO_LONG", ""),
        ("one key twice", same_key, "REPEATED_KEY", "certificate 1"),
        ("an expired ca", door.below_ca(|spec| spec.not_after = now().minus(1000)), "EXPIRED", "certificate 1"),
        ("a ca of tomorrow", door.below_ca(|spec| spec.not_before = now().plus(DAY_MS)), "NOT_YET_VALID", "certificate 1"),
        ("a ca that may sign no certificates", door.below_ca(|spec| spec.key_usages = vec![KeyUsagePurpose::CrlSign]), "CA_USAGE", ""),
        ("a ca for clients", door.below_ca(|spec| spec.usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), "CA_USAGE", ""),
        ("a ca with a long path", door.below_ca(|spec| spec.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(9))), "PATH_LENGTH", ""),
        (
            "a ca with a critical extension",
            door.below_ca(|spec| spec.extensions.push((vec![1, 2, 3, 4], vec![5, 0], true))),
            "CRITICAL_EXTENSION",
            "certificate 1",
        ),
        ("a ca for other names", door.below_ca(constrained(uri_constraint)), "PATH", "cannot be built"),
    ];
    for (what, chain, reason, detail) in cases {
        door.check(what, chain, reason, detail).await;
    }
    door.end(22).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_fills_no_log_and_hides_no_other_reason() {
    let stage = Stage::new();
    stage.limit(|limits| limits.refusals_logged_per_minute = 3);
    let gateway = stage.serve();
    let ke = stage.ca("ke");
    let refused = |spec: Spec| {
        let key = Pair::generate().expect("a key");
        let chain = vec![ke.issue(&spec, &key).expect("a certificate").into(), ke.der.clone().into()];
        Arc::new(tls::showing((chain, PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec())))))
    };
    let expired = refused(Spec { not_after: now().minus(1000), ..Spec::tls(&stage.trust.network, &at(POST), now()) });
    for _ in 0..20 {
        assert!(tls::knock(gateway.address(), &expired).await.is_err());
    }
    let unnamed = refused(Spec { names: Vec::new(), ..Spec::tls(&stage.trust.network, &at(POST), now()) });
    assert!(tls::knock(gateway.address(), &unnamed).await.is_err());
    gateway.logs(0, "reason=\"NO_NAME\"").await;
    let log = gateway.kill().await;
    assert_eq!(log.lines().filter(|line| line.contains("WARN") && line.contains("EXPIRED")).count(), 3, "{log}");
    stage.audit();
}
