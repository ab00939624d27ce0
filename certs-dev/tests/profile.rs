//! Attacks on the profile: names in other spellings, usages of another role, keys of other kinds, broken encodings.

#![allow(clippy::unwrap_used)]

mod stage;

use std::net::IpAddr;

use certs_dev::forge::{Ed25519Public, Name, Pair, Spec};
use envelope::address::Network;
use envelope::identity::{IdentityError, NothingRevoked, Role};
use rcgen::{
    BasicConstraints, DnType, ExtendedKeyUsagePurpose as Eku, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm,
};
use stage::{NOW, Stage, at};

const ROLES: [Role; 3] = [Role::Tls, Role::NodeTls, Role::Identity];

/// Other texts for `spiffe://ecowire.test/ke/cus/kemba`, or nearly so.
const SPELLINGS: [&[u8]; 44] = [
    b"",
    b"/",
    b"spiffe",
    b"spiffe:",
    b"spiffe://",
    b"spiffe:///ke/cus/kemba",
    b"spiffe://ecowire.test",
    b"spiffe://ecowire.test/",
    b"SPIFFE://ecowire.test/ke/cus/kemba",
    b"Spiffe://ecowire.test/ke/cus/kemba",
    b"spiffe:/ecowire.test/ke/cus/kemba",
    b"https://ecowire.test/ke/cus/kemba",
    b"spiffe://ECOWIRE.test/ke/cus/kemba",
    b"spiffe://ecowire.Test/ke/cus/kemba",
    b"spiffe://ecowire.test./ke/cus/kemba",
    b"spiffe://ecowire.test:443/ke/cus/kemba",
    b"spiffe://ecowire.test:/ke/cus/kemba",
    b"spiffe://user@ecowire.test/ke/cus/kemba",
    b"spiffe://ecowire.test@evil.test/ke/cus/kemba",
    b"spiffe://ecowire.test.evil/ke/cus/kemba",
    b"spiffe://ecowire.tes/ke/cus/kemba",
    b"spiffe://ecowire.testt/ke/cus/kemba",
    b"spiffe://other.test/ke/cus/kemba",
    b"spiffe://ecowire.test/KE/cus/kemba",
    b"spiffe://ecowire.test/ke/cus/Kemba",
    b"spiffe://ecowire.test/ke/cus/kemba/",
    b"spiffe://ecowire.test//ke/cus/kemba",
    b"spiffe://ecowire.test/ke//cus/kemba",
    b"spiffe://ecowire.test/./ke/cus/kemba",
    b"spiffe://ecowire.test/th/../ke/cus/kemba",
    b"spiffe://ecowire.test/ke/cus/kemba/..",
    b"spiffe://ecowire.test/ke/cus/kemba?",
    b"spiffe://ecowire.test/ke/cus/kemba?x=1",
    b"spiffe://ecowire.test/ke/cus/kemba#",
    b"spiffe://ecowire.test/ke/cus/kemba#x",
    b"spiffe://ecowire.test/ke/cus/%6bemba",
    b"spiffe://ecowire.test/ke%2fcus%2fkemba",
    b"spiffe://ecowire.test/ke/cus/kemba%00",
    b"spiffe://ecowire.test/ke/cus/kemba\0",
    b"spiffe://ecowire.test/ke/cus/kemba\0.evil",
    b" spiffe://ecowire.test/ke/cus/kemba",
    b"spiffe://ecowire.test/ke/cus/kemba\n",
    b"spiffe://ecowire.test/ke/cus/k\xc3\xa9mba",
    b"spiffe://ecowire.test/ke/cus/kemb\xff",
];

#[test]
fn one_spelling_of_a_name() {
    let s = Stage::new();
    for spelling in SPELLINGS {
        for role in [Role::Tls, Role::Identity] {
            let refused = s.changed(role, |spec| spec.names = vec![Name::uri(spelling)]).unwrap_err();
            assert_eq!(refused, IdentityError::NameSpelling { at: 0 }, "{}", spelling.escape_ascii());
        }
    }
    for wrong in ["/k", "/k/x", "/ken/x", "/gw1/x", "/ipsg", "/ke_/x", "/ke/a/b/c/d", "/ke\\cus", "/-ke"] {
        let name = Name::uri(format!("spiffe://ecowire.test{wrong}"));
        let refused = s.changed(Role::Tls, |spec| spec.names = vec![name]).unwrap_err();
        assert_eq!(refused, IdentityError::NameSpelling { at: 0 }, "{wrong}");
    }
}

#[test]
fn names_of_cas() {
    let s = Stage::new();
    for bad in ["/k", "/ke-x", "/KE", "/ke/", "/ke/cus/kemba", "/ipsg", "/ipsg/ens", "/node/x", "/", "/k/e", ".evil/ke", "?ke"] {
        let mut spec = s.ca_spec("ke", Some(0));
        spec.names = vec![Name::uri(format!("spiffe://ecowire.test{bad}"))];
        let ca = s.root.subordinate(&spec).unwrap();
        for address in ["ke", "ke/cus/kemba"] {
            let refused = s.refusal(Role::Tls, &[&s.leaf(&ca, Role::Tls, address), &ca.der]);
            assert_eq!(refused, IdentityError::NameSpelling { at: 1 }, "{bad}");
        }
    }
    let other = Network::parse("other.test").unwrap();
    let ca = s.root.subordinate(&Spec::ca(&other, "ke", Some(0), NOW)).unwrap();
    let refused = s.refusal(Role::Tls, &[&s.leaf(&ca, Role::Tls, "ke"), &ca.der]);
    assert_eq!(refused, IdentityError::NameSpelling { at: 1 });
}

/// Judges a leaf of ke by a CA `ke` that was made after `change`.
fn by_ca(s: &Stage, change: impl FnOnce(&mut Spec)) -> IdentityError {
    let mut spec = s.ca_spec("ke", Some(0));
    change(&mut spec);
    let ca = s.root.subordinate(&spec).unwrap();
    s.refusal(Role::Tls, &[&s.leaf(&ca, Role::Tls, "ke"), &ca.der])
}

#[test]
fn what_makes_a_ca() {
    let s = Stage::new();
    let uri = Name::uri("spiffe://ecowire.test/ke");
    let dns = Name::Dns("ecowire.test".into());
    let length = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    assert_eq!(by_ca(&s, |ca| ca.names.clear()), IdentityError::NoName { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.names.push(uri)), IdentityError::Names { at: 1, found: 2 });
    assert_eq!(by_ca(&s, |ca| ca.names.push(dns)), IdentityError::OtherName { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.is_ca = IsCa::NoCa), IdentityError::NotCa { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.is_ca = IsCa::ExplicitNoCa), IdentityError::NotCa { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.is_ca = length(2)), IdentityError::PathLength { at: 1 });
    let unlimited = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(by_ca(&s, |ca| ca.is_ca = unlimited), IdentityError::PathLength { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]), IdentityError::CaUsage { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.key_usages.clear()), IdentityError::CaUsage { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.usages = vec![Eku::ClientAuth]), IdentityError::CaUsage { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.identity_policy = true), IdentityError::CaUsage { at: 1 });
    let person = (DnType::OrganizationName, "A Person".to_owned());
    assert_eq!(by_ca(&s, |ca| ca.subject.push(person)), IdentityError::Subject { at: 1 });
    assert_eq!(by_ca(&s, |ca| ca.serial = Some(vec![0])), IdentityError::Serial { at: 1 });
    let mut spec = s.ca_spec("node", Some(1));
    let node = s.root.subordinate(&spec).unwrap();
    let leaf = s.leaf(&node, Role::NodeTls, "node/dev-1");
    assert_eq!(s.refusal(Role::NodeTls, &[&leaf, &node.der]), IdentityError::PathLength { at: 1 });
    spec = s.ca_spec("cn/hk", Some(1));
    let hk = s.cn.subordinate(&spec).unwrap();
    let leaf = s.leaf(&hk, Role::Tls, "cn/hk");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &hk.der, &s.cn.der]), IdentityError::PathLength { at: 1 });
}

#[test]
fn names_of_leaves() {
    let s = Stage::new();
    let uri = || Name::uri("spiffe://ecowire.test/ke/cus/kemba");
    let others = [
        Name::Dns("localhost".into()),
        Name::Dns("spiffe://ecowire.test/ke/cus/kemba".into()),
        Name::Ip(IpAddr::from([127, 0, 0, 1])),
        Name::Email("a@ecowire.test".into()),
    ];
    for role in [Role::Tls, Role::Identity] {
        let with = |names: Vec<Name>| s.changed(role, |spec| spec.names = names).unwrap_err();
        assert_eq!(with(vec![]), IdentityError::NoName { at: 0 });
        assert_eq!(with(vec![Name::Dns("localhost".into())]), IdentityError::NoName { at: 0 });
        assert_eq!(with(vec![uri(), uri()]), IdentityError::Names { at: 0, found: 2 });
        let second = Name::uri("spiffe://ecowire.test/ke");
        assert_eq!(with(vec![uri(), second.clone()]), IdentityError::Names { at: 0, found: 2 });
        assert_eq!(with(vec![uri(), Name::uri(b"\xff")]), IdentityError::Names { at: 0, found: 2 });
        for other in &others {
            assert_eq!(with(vec![uri(), other.clone()]), IdentityError::OtherName { at: 0 });
            assert_eq!(with(vec![other.clone(), uri()]), IdentityError::OtherName { at: 0 });
        }
        let many = |count: usize| vec![Name::uri("u:"); count];
        assert_eq!(with(many(1_000)), IdentityError::Names { at: 0, found: 1_000 });
        assert!(matches!(with(many(10_000)), IdentityError::CertificateBytes { at: 0, .. }));
    }
    let email = |spec: &mut Spec| spec.names.push(Name::Email("a@ecowire.test".into()));
    assert_eq!(s.changed(Role::NodeTls, email).unwrap_err(), IdentityError::OtherName { at: 0 });
    assert!(s.changed(Role::NodeTls, |spec| spec.names.truncate(1)).is_ok(), "host names may be absent");
    // The extension twice: in webpki and here, nobody may choose the one that suits.
    let twice = |spec: &mut Spec| spec.extensions.push((vec![2, 5, 29, 17], vec![0x30, 0x02, 0x86, 0x00], false));
    assert_eq!(s.changed(Role::Tls, twice).unwrap_err(), IdentityError::Malformed { at: 0 });
}

#[test]
fn a_certificate_has_one_role() {
    let s = Stage::new();
    for (made, address, ca) in
        [(Role::Tls, "ke/cus/kemba", &s.ke), (Role::Identity, "ke/cus/kemba", &s.ke), (Role::NodeTls, "node/dev-1", &s.node)]
    {
        let leaf = s.leaf(ca, made, address);
        for role in ROLES {
            let judged = s.judge(role, &[&leaf, &ca.der]);
            let expected = match (made, role) {
                (made, role) if made == role => None,
                (Role::NodeTls, _) | (_, Role::NodeTls) => Some(IdentityError::RoleClass { address: at(address), role }),
                _ => Some(IdentityError::ExtendedKeyUsage(role)),
            };
            assert_eq!(judged.err(), expected, "{made} as {role}");
        }
    }
    let usages = [vec![], vec![Eku::ClientAuth], vec![Eku::ServerAuth], vec![Eku::Any], vec![Eku::CodeSigning]];
    let pairs = [vec![Eku::ClientAuth, Eku::ServerAuth], vec![Eku::ClientAuth, Eku::Any]];
    let odd = [vec![Eku::ClientAuth, Eku::Other(vec![1, 2, 3])], vec![Eku::ServerAuth, Eku::OcspSigning]];
    for usage in usages.into_iter().chain(pairs).chain(odd) {
        for role in ROLES {
            let right = match role {
                Role::Tls => usage == [Eku::ClientAuth],
                Role::NodeTls => usage == [Eku::ServerAuth],
                Role::Identity => usage.is_empty(),
            };
            let judged = s.changed(role, |spec| spec.usages.clone_from(&usage)).err();
            assert_eq!(judged, (!right).then_some(IdentityError::ExtendedKeyUsage(role)), "{role} {usage:?}");
        }
    }
    assert_eq!(s.changed(Role::Tls, |spec| spec.identity_policy = true).unwrap_err(), IdentityError::PolicyOnTls);
    assert_eq!(s.changed(Role::NodeTls, |spec| spec.identity_policy = true).unwrap_err(), IdentityError::PolicyOnTls);
    assert_eq!(s.changed(Role::Identity, |spec| spec.identity_policy = false).unwrap_err(), IdentityError::PolicyMissing);
    for role in ROLES {
        for usages in [vec![], vec![KeyUsagePurpose::KeyAgreement], vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign]] {
            assert_eq!(s.changed(role, |spec| spec.key_usages = usages).unwrap_err(), IdentityError::KeyUsage);
        }
    }
}

#[test]
fn a_name_for_several_has_no_certificate() {
    let s = Stage::new();
    for address in ["grp/wg", "case/2026-1", "all/ncb"] {
        let leaf = s.leaf(&s.root, Role::Tls, address);
        assert_eq!(s.refusal(Role::Tls, &[&leaf]), IdentityError::Group(at(address)));
    }
}

#[test]
fn subjects_name_no_person() {
    let s = Stage::new();
    let cn = |text: &str| vec![(DnType::CommonName, text.to_owned())];
    assert!(s.changed(Role::Tls, |spec| spec.subject.clear()).is_ok(), "an empty subject is allowed");
    let two = [cn("ke/cus/kemba"), vec![(DnType::OrganizationName, "X".to_owned())]].concat();
    for subject in
        [cn("Inspector N."), cn("KE/CUS/KEMBA"), cn("ke"), cn(""), two, vec![(DnType::OrganizationName, "ke/cus/kemba".to_owned())]]
    {
        for role in [Role::Tls, Role::Identity] {
            let refused = s.changed(role, |spec| spec.subject.clone_from(&subject)).unwrap_err();
            assert_eq!(refused, IdentityError::Subject { at: 0 }, "{subject:?}");
        }
    }
}

/// Any bytes in the place of a public key.
struct Raw(&'static SignatureAlgorithm, Vec<u8>);

impl PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        &self.1
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0
    }
}

#[test]
fn other_keys() {
    let s = Stage::new();
    let with = |role: Role, key: &dyn Fn(&Spec) -> Vec<u8>| s.refusal(role, &[&key(&s.spec(role, "ke")), &s.ke.der]);
    let pair = |algorithm| Pair::generate_for(algorithm).unwrap();
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512] {
        let key = pair(algorithm);
        for role in [Role::Tls, Role::Identity] {
            assert_eq!(with(role, &|spec| s.ke.issue(spec, &key).unwrap()), IdentityError::Key { at: 0 });
        }
    }
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    assert_eq!(with(Role::Tls, &|spec| s.ke.issue(spec, &rsa).unwrap()), IdentityError::Key { at: 0 });
    // An allowed key, in the other's place; a P-256 key has none but its CA's.
    let (p256, ed25519) = (pair(&PKCS_ECDSA_P256_SHA256), pair(&PKCS_ED25519));
    assert_eq!(with(Role::Tls, &|spec| s.ke.issue(spec, &ed25519).unwrap()), IdentityError::KeyRole { at: 0 });
    // y = 1 with a constant signature verifies every message in most libraries; its other encoding does, too.
    let mut one = [0; 32];
    one[0] = 1;
    let mut second = [0xff; 32];
    (second[0], second[31]) = (0xee, 0x7f);
    for weak in [one, second, [0; 32]] {
        assert_eq!(with(Role::Identity, &|spec| s.ke.issue(spec, &Ed25519Public(weak)).unwrap()), IdentityError::WeakKey { at: 0 });
    }
    let good = p256.der_bytes().to_vec();
    let mut off = good.clone();
    off[64] ^= 1;
    let compressed = [&[0x02], &good[1..33]].concat();
    let hybrid = [&[0x06], &good[1..]].concat();
    for (point, error) in [
        (off, IdentityError::WeakKey { at: 0 }),
        (compressed, IdentityError::Key { at: 0 }),
        (hybrid, IdentityError::Key { at: 0 }),
        (vec![0x00], IdentityError::Key { at: 0 }),
        (vec![], IdentityError::Key { at: 0 }),
    ] {
        let key = Raw(&PKCS_ECDSA_P256_SHA256, point);
        for role in [Role::Tls, Role::Identity] {
            assert_eq!(with(role, &|spec| s.ke.issue(spec, &key).unwrap()), error);
        }
    }
}

#[test]
fn cas_with_other_keys() {
    let s = Stage::new();
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let ca = s.root.certify(&s.ca_spec("ke", Some(0)), Pair::generate_for(algorithm).unwrap()).unwrap();
        let leaf = s.leaf(&ca, Role::Tls, "ke");
        assert_eq!(s.refusal(Role::Tls, &[&leaf, &ca.der]), IdentityError::SignatureAlgorithm { at: 0 });
        let honest = s.leaf(&s.ke, Role::Tls, "ke");
        let refused = s.refusal(Role::Tls, &[&honest, &ca.der]);
        assert!(matches!(refused, IdentityError::Key { at: 1 } | IdentityError::KeyRole { at: 1 }), "{refused}");
    }
}

#[test]
fn serials_and_extensions() {
    let s = Stage::new();
    let serial = |bytes: Vec<u8>| s.changed(Role::Tls, |spec| spec.serial = Some(bytes));
    assert_eq!(serial(vec![0]).unwrap_err(), IdentityError::Serial { at: 0 });
    assert_eq!(serial(vec![0x7f; 21]).unwrap_err(), IdentityError::Serial { at: 0 });
    for good in [vec![1], vec![0x80], vec![0xff; 20], vec![0x7f; 20]] {
        assert_eq!(serial(good.clone()).unwrap().links[0].serial, good);
    }
    let extension = |oid: &[u64], content: &[u8], critical| {
        let extension = (oid.to_vec(), content.to_vec(), critical);
        s.changed(Role::Tls, |spec| spec.extensions.push(extension)).err()
    };
    assert_eq!(extension(&[1, 2, 3, 4], &[0x05, 0x00], false), None);
    assert_eq!(extension(&[1, 2, 3, 4], &[0x05, 0x00], true), Some(IdentityError::CriticalExtension { at: 0 }));
    // Certificate policies that cannot be read, and key usage twice.
    for (oid, content) in [(&[2, 5, 29, 32], &[0x30, 0x7f][..]), (&[2, 5, 29, 15], &[0x03, 0x02, 0x07, 0x80])] {
        assert_eq!(extension(oid, content, false), Some(IdentityError::Malformed { at: 0 }));
    }
}

#[test]
fn broken_bytes_never_pass() {
    let s = Stage::new();
    let anchors = s.anchors();
    for role in [Role::Tls, Role::Identity] {
        let leaf = s.leaf(&s.ke, role, "ke/cus/kemba");
        let judge = |leaf: &[u8], ca: &[u8]| anchors.judge(role, &[leaf, ca], NOW, &NothingRevoked);
        assert!(judge(&leaf, &s.ke.der).is_ok());
        for end in 0..leaf.len() {
            assert!(judge(&leaf[..end], &s.ke.der).is_err(), "cut at {end}");
        }
        let longer = [&leaf[..], &[0]].concat();
        assert_eq!(judge(&longer, &s.ke.der).unwrap_err(), IdentityError::Malformed { at: 0 });
        for place in 0..leaf.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut broken = leaf.clone();
                broken[place] ^= bit;
                assert!(judge(&broken, &s.ke.der).is_err(), "bit {bit:#x} of byte {place}");
            }
        }
        for place in 0..s.ke.der.len() {
            let mut broken = s.ke.der.clone();
            broken[place] ^= 0x04;
            assert!(judge(&leaf, &broken).is_err(), "byte {place} of the ca");
        }
    }
}
