//! Attacks on the path: borrowed CAs, crossed signatures, keys in two places, revoked links, lists that are no path.

#![allow(clippy::unwrap_used)]

mod stage;

use certs_dev::forge::{Ca, Certifiable, Pair, Spec};
use envelope::identity::{Anchors, IdentityError, Link, NothingRevoked, Revoked, Role, chain_sha256, ed25519_key_id};
use envelope::identity::{PublicKey, ca_certificate};
use envelope::keys::SigningKey;
use envelope::time::Timestamp;
use stage::{DAY_MS, NOW, Stage, at};

fn outside(subject: &str, issuer: &str) -> IdentityError {
    IdentityError::OutsideSubtree { subject: subject.into(), issuer: issuer.into() }
}

#[test]
fn the_profile_is_accepted() {
    let s = Stage::new();
    for (role, address, cas) in [
        (Role::Tls, "ke", vec![&s.ke]),
        (Role::Identity, "ke", vec![&s.ke]),
        (Role::Tls, "ke/cus/kemba", vec![&s.ke]),
        (Role::Identity, "ke/cus/kemba", vec![&s.ke]),
        (Role::Identity, "aud/ke", vec![&s.ke]),
        (Role::Identity, "aud/ke", vec![]),
        (Role::Tls, "aud/network", vec![]),
        (Role::Identity, "ipsg/ens", vec![]),
        (Role::Tls, "svc/imaf", vec![]),
        (Role::Identity, "org/cites", vec![]),
        (Role::Identity, "cn/hk", vec![&s.cn]),
        (Role::Identity, "cn/hk", vec![&s.hk, &s.cn]),
        (Role::Tls, "cn/hk/cus/site-1", vec![&s.hk, &s.cn]),
        (Role::NodeTls, "node/dev-1", vec![&s.node]),
    ] {
        let leaf = s.leaf(cas.first().unwrap_or(&&s.root), role, address);
        let chain: Vec<&[u8]> = std::iter::once(&leaf).chain(cas.iter().map(|ca| &ca.der)).map(Vec::as_slice).collect();
        let judged = s.judge(role, &chain).unwrap();
        assert_eq!((judged.address, judged.role, judged.links.len()), (at(address), role, chain.len()), "{address}");
        assert_eq!(judged.chain_sha256, chain_sha256(&chain));
        assert_eq!(judged.fingerprint, tlog::sha256(&leaf));
        match (role, &judged.public) {
            (Role::Identity, PublicKey::Ed25519(key)) => assert_eq!(judged.key_id, ed25519_key_id(key)),
            (Role::Tls | Role::NodeTls, PublicKey::P256(point)) => assert_eq!((point.len(), point[0]), (65, 4)),
            other => panic!("{other:?}"),
        }
        let issuers: Vec<_> = chain[1..].iter().chain([&&s.root.der[..]]).map(|der| ca_certificate(der).unwrap()).collect();
        for (link, issuer) in judged.links.iter().zip(issuers) {
            assert_eq!(link.issuer_key_sha256, issuer.spki_sha256);
        }
    }
}

#[test]
fn an_identity_has_a_key_of_either_kind_and_none_of_its_issuers() {
    let s = Stage::new();
    let spec = s.spec(Role::Identity, "ke/cus/kemba");
    for (key, _) in [SigningKey::generate().unwrap(), SigningKey::generate_p256().unwrap()] {
        let leaf = s.ke.issue(&spec, &Certifiable(key.public())).unwrap();
        let judged = s.judge(Role::Identity, &[&leaf, &s.ke.der]).unwrap();
        assert_eq!((judged.public, judged.key_id), (key.public(), key.key_id()));
    }
    let borrowed = s.ke.issue(&spec, &s.ke.pair).unwrap();
    assert_eq!(s.refusal(Role::Identity, &[&borrowed, &s.ke.der]), IdentityError::RepeatedKey { at: 1 });
}

#[test]
fn the_narrowest_time_counts_with_the_root() {
    let s = Stage::new();
    let later = NOW.plus(10 * DAY_MS);
    let mut spec = s.ca_spec("", None);
    (spec.not_before, spec.not_after) = (NOW.minus(1000), later);
    let root = Ca::root(&spec).unwrap();
    let leaf = s.leaf(&root, Role::Tls, "ipsg/ens");
    let anchors = Anchors::new(s.network.clone(), &[&root.der]).unwrap();
    let judged = |now| anchors.judge(Role::Tls, &[&leaf], now, &NothingRevoked);
    let good = judged(NOW).unwrap();
    assert_eq!((good.not_before, good.not_after), (NOW.minus(1000), later));
    assert_eq!(judged(later).unwrap(), good);
    assert_eq!(judged(later.plus(1000)).unwrap_err(), IdentityError::Expired { at: 1 });
    assert_eq!(judged(NOW.minus(2000)).unwrap_err(), IdentityError::NotYetValid { at: 1 });
}

#[test]
fn expired_and_not_yet_valid() {
    let s = Stage::new();
    let early: fn(&mut Spec) = |spec| spec.not_before = NOW.plus(1000);
    let late: fn(&mut Spec) = |spec| spec.not_after = NOW.minus(1000);
    assert_eq!(s.changed(Role::Tls, early).unwrap_err(), IdentityError::NotYetValid { at: 0 });
    assert_eq!(s.changed(Role::Identity, late).unwrap_err(), IdentityError::Expired { at: 0 });
    for (change, error) in [(early, IdentityError::NotYetValid { at: 1 }), (late, IdentityError::Expired { at: 1 })] {
        let mut spec = s.ca_spec("ke", Some(0));
        change(&mut spec);
        let ca = s.root.subordinate(&spec).unwrap();
        assert_eq!(s.refusal(Role::Tls, &[&s.leaf(&ca, Role::Tls, "ke/cus/kemba"), &ca.der]), error);
    }
    let edges = s.changed(Role::Tls, |spec| (spec.not_before, spec.not_after) = (NOW, NOW)).unwrap();
    assert_eq!((edges.not_before, edges.not_after), (NOW, NOW));
    for at in [Timestamp(0), Timestamp(u64::MAX)] {
        let leaf = s.leaf(&s.ke, Role::Tls, "ke");
        let refused = s.anchors().judge(Role::Tls, &[&leaf, &s.ke.der], at, &NothingRevoked).unwrap_err();
        assert!(matches!(refused, IdentityError::NotYetValid { at: 0 } | IdentityError::Expired { at: 0 }), "{refused}");
    }
}

/// The attack that rustls' own verifier lets pass: th signs for a post of ke, and ke's public CA is sent along.
#[test]
fn spare_ca_in_the_list() {
    let s = Stage::new();
    for role in [Role::Tls, Role::Identity] {
        let leaf = s.leaf(&s.th, role, "ke/cus/kemba");
        let (ke, th, ug) = (&s.ke.der, &s.th.der, &s.ug.der);
        for spare in [[th, ke, ug], [th, ug, ke], [ke, th, ug], [ke, ug, th], [ug, th, ke], [ug, ke, th]] {
            let refused = s.refusal(role, &[&leaf, spare[0], spare[1], spare[2]]);
            assert_eq!(refused, outside("ke/cus/kemba", "th"));
            assert!(refused.to_string().contains("outside its issuer's subtree"), "{refused}");
        }
        for chain in [vec![&leaf[..], th], vec![&leaf, th, ke], vec![&leaf, ke, th]] {
            assert_eq!(s.refusal(role, &chain), outside("ke/cus/kemba", "th"));
        }
        for chain in [vec![&th[..], &leaf, ke], vec![ke, th, &leaf]] {
            assert_eq!(s.refusal(role, &chain), IdentityError::CaAuthenticates);
        }
    }
}

#[test]
fn the_list_is_exactly_the_path() {
    let s = Stage::new();
    let leaf = s.leaf(&s.ke, Role::Tls, "ke/cus/kemba");
    let deep = s.leaf(&s.hk, Role::Tls, "cn/hk/x");
    let (ke, th, cn, hk, root) = (&s.ke.der[..], &s.th.der[..], &s.cn.der[..], &s.hk.der[..], &s.root.der[..]);
    assert!(s.judge(Role::Tls, &[&leaf, ke]).is_ok() && s.judge(Role::Tls, &[&deep, hk, cn]).is_ok());
    for chain in [
        vec![&leaf[..], ke, th],
        vec![&leaf, th, ke],
        vec![&leaf, ke, root],
        vec![&leaf, root, ke],
        vec![&leaf, ke, ke],
        vec![&deep, cn, hk],
        vec![&deep, hk, cn, ke],
    ] {
        assert_eq!(s.refusal(Role::Tls, &chain), IdentityError::NotThePath);
    }
    assert_eq!(s.refusal(Role::Tls, &[&leaf]), IdentityError::UnknownIssuer);
    assert_eq!(s.refusal(Role::Tls, &[&leaf, th]), IdentityError::UnknownIssuer);
    assert_eq!(s.refusal(Role::Tls, &[&deep, hk]), IdentityError::UnknownIssuer);
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &leaf, ke]), IdentityError::NotCa { at: 1 });
}

#[test]
fn every_ca_stays_in_its_subtree() {
    let s = Stage::new();
    for (ca, role, address, issuer) in [
        (&s.ke, Role::Tls, "th", "ke"),
        (&s.ke, Role::Identity, "ipsg/ens", "ke"),
        (&s.ke, Role::Identity, "aud/th", "ke"),
        (&s.ke, Role::Identity, "aud/network", "ke"),
        (&s.ke, Role::Identity, "aud/ke/x", "ke"),
        (&s.ke, Role::NodeTls, "node/dev-1", "ke"),
        (&s.node, Role::Tls, "ke", "node"),
        (&s.node, Role::Identity, "ipsg/ens", "node"),
    ] {
        assert_eq!(s.refusal(role, &[&s.leaf(ca, role, address), &ca.der]), outside(address, issuer));
    }
    for (role, address) in [(Role::Tls, "ke"), (Role::Identity, "ke/cus/kemba"), (Role::NodeTls, "node/dev-1")] {
        assert_eq!(s.refusal(role, &[&s.leaf(&s.root, role, address)]), outside(address, "the network root"));
    }
    for address in ["cn/mo", "cn/mo/x", "cn", "cn/hk-x", "aud/cn"] {
        let leaf = s.leaf(&s.hk, Role::Tls, address);
        assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.hk.der, &s.cn.der]), outside(address, "cn/hk"));
    }
}

#[test]
fn cas_below_cas() {
    let s = Stage::new();
    let under = |issuer: &Ca, path: &str| issuer.subordinate(&s.ca_spec(path, Some(0))).unwrap();
    // A sub-bureau's CA has path length 0, and so have most countries'.
    let mo = under(&s.hk, "cn/mo");
    let leaf = s.leaf(&mo, Role::Tls, "cn/mo");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &mo.der, &s.hk.der, &s.cn.der]), IdentityError::PathTooLong);
    let bureau = under(&s.ke, "ke/nairobi");
    let leaf = s.leaf(&bureau, Role::Tls, "ke/nairobi");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &bureau.der, &s.ke.der]), IdentityError::PathTooLong);
    for (path, address) in [("ke/nairobi", "ke/nairobi"), ("ke", "ke"), ("cn", "cn"), ("node", "aud/ke")] {
        let ca = under(&s.cn, path);
        let role = if path == "node" { Role::NodeTls } else { Role::Tls };
        let address = if path == "node" { "node/dev-1" } else { address };
        let leaf = s.leaf(&ca, role, address);
        assert_eq!(s.refusal(role, &[&leaf, &ca.der, &s.cn.der]), outside(path, "cn"));
    }
    // A sub-bureau's CA directly below the root, and a second root below the root.
    let orphan = under(&s.root, "cn/mo");
    let leaf = s.leaf(&orphan, Role::Tls, "cn/mo");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &orphan.der]), outside("cn/mo", "the network root"));
    let second = under(&s.root, "");
    let leaf = s.leaf(&second, Role::Tls, "ipsg/ens");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &second.der]), IdentityError::NotThePath);
}

#[test]
fn cross_signed_cas() {
    let s = Stage::new();
    let th = s.root.subordinate(&s.ca_spec("th", Some(1))).unwrap();
    let leaf = s.leaf(&s.ke, Role::Tls, "ke/cus/kemba");
    // The same name and key, certified by th: the path through th is no better than th.
    let crossed = th.issue(&s.ca_spec("ke", Some(0)), &s.ke.pair).unwrap();
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &crossed, &th.der]), outside("ke", "th"));
    // Two paths in one list: whichever webpki builds, the list is not it, or it leads through th.
    for list in [[&leaf, &s.ke.der, &crossed, &th.der], [&leaf, &crossed, &s.ke.der, &th.der]] {
        let refused = s.refusal(Role::Tls, &list.map(Vec::as_slice));
        assert!(refused == IdentityError::NotThePath || refused == outside("ke", "th"), "{refused}");
    }
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.ke.der, &crossed]), IdentityError::NotThePath);
    // The root certifies ke's key again: either certificate will do, both will not.
    let renewed = s.root.issue(&s.ca_spec("ke", Some(0)), &s.ke.pair).unwrap();
    for good in [&renewed, &s.ke.der] {
        assert!(s.judge(Role::Tls, &[&leaf, good]).is_ok());
    }
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &renewed, &s.ke.der]), IdentityError::NotThePath);
    // A second root certifies it, too.
    let other = Ca::root(&s.ca_spec("", None)).unwrap();
    let by_other = other.issue(&s.ca_spec("ke", Some(0)), &s.ke.pair).unwrap();
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &by_other]), IdentityError::Signature);
    let both = Anchors::new(s.network.clone(), &[&s.root.der, &other.der]).unwrap();
    let judged = |ca: &[u8]| both.judge(Role::Tls, &[&leaf[..], ca], NOW, &NothingRevoked).unwrap();
    assert_eq!(judged(&by_other).links[1].issuer_key_sha256, ca_certificate(&other.der).unwrap().spki_sha256);
    assert_eq!(judged(&s.ke.der).links[1].issuer_key_sha256, ca_certificate(&s.root.der).unwrap().spki_sha256);
}

#[test]
fn a_leaf_cannot_issue_and_a_ca_cannot_authenticate() {
    let s = Stage::new();
    let post = s.ke.certify(&s.spec(Role::Tls, "ke/cus/kemba"), Pair::generate().unwrap()).unwrap();
    let leaf = s.leaf(&post, Role::Tls, "ke/cus/kemba");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &post.der, &s.ke.der]), IdentityError::NotCa { at: 1 });
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.ke.der]), IdentityError::UnknownIssuer);
    for ca in [&s.ke, &s.root, &s.node, &s.hk] {
        for role in [Role::Tls, Role::NodeTls, Role::Identity] {
            assert_eq!(s.refusal(role, &[&ca.der, &s.cn.der]), IdentityError::CaAuthenticates);
        }
    }
    let both = |spec: &mut Spec| spec.is_ca = s.ca_spec("ke", Some(0)).is_ca;
    assert_eq!(s.changed(Role::Tls, both).unwrap_err(), IdentityError::CaAuthenticates);
}

#[test]
fn a_forged_ca_of_the_same_name() {
    let s = Stage::new();
    let root = Ca::root(&s.ca_spec("", None)).unwrap();
    let ke = root.subordinate(&s.ca_spec("ke", Some(0))).unwrap();
    let leaf = s.leaf(&ke, Role::Tls, "ke/cus/kemba");
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &ke.der]), IdentityError::Signature);
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.ke.der]), IdentityError::Signature);
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &ke.der, &root.der]), IdentityError::Signature);
}

#[test]
fn one_key_in_two_places() {
    let s = Stage::new();
    let repeated = |at| IdentityError::RepeatedKey { at };
    let leaf = s.ke.issue(&s.spec(Role::Tls, "ke"), &s.ke.pair).unwrap();
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.ke.der]), repeated(1));
    let leaf = s.root.issue(&s.spec(Role::Tls, "ipsg/ens"), &s.root.pair).unwrap();
    assert_eq!(s.refusal(Role::Tls, &[&leaf]), repeated(1));
    let leaf = s.hk.issue(&s.spec(Role::Tls, "cn/hk"), &s.cn.pair).unwrap();
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &s.hk.der, &s.cn.der]), repeated(2));
    let leaf = s.leaf(&s.cn, Role::Tls, "cn/hk");
    let hk = s.cn.issue(&s.ca_spec("cn/hk", Some(0)), &s.cn.pair).unwrap();
    assert!(s.judge(Role::Tls, &[&leaf, &s.cn.der]).is_ok());
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &hk, &s.cn.der]), IdentityError::NotThePath);
    assert_eq!(Anchors::new(s.network.clone(), &[&s.root.der, &s.root.der]).unwrap_err(), repeated(1));
}

#[test]
fn revoked_anywhere_on_the_path() {
    struct One(Link);
    impl Revoked for One {
        fn is_revoked(&self, link: &Link) -> bool {
            *link == self.0
        }
    }
    let s = Stage::new();
    let leaf = s.leaf(&s.hk, Role::Identity, "cn/hk/x");
    let chain = [&leaf, &s.hk.der, &s.cn.der];
    let links = s.anchors().judge(Role::Identity, &chain, NOW, &NothingRevoked).unwrap().links;
    for (at, link) in links.iter().enumerate() {
        let refused = s.anchors().judge(Role::Identity, &chain, NOW, &One(link.clone()));
        assert_eq!(refused.unwrap_err(), IdentityError::Revoked { at });
        let elsewhere = Link { issuer_key_sha256: [7; 32], serial: link.serial.clone() };
        assert!(s.anchors().judge(Role::Identity, &chain, NOW, &One(elsewhere)).is_ok());
    }
}

#[test]
fn limits_come_first() {
    let s = Stage::new();
    let leaf = s.leaf(&s.ke, Role::Tls, "ke");
    for length in [0, 5, 100] {
        assert_eq!(s.refusal(Role::Tls, &vec![&leaf[..]; length]), IdentityError::ChainLength(length));
    }
    let bytes = |at, bytes| IdentityError::CertificateBytes { at, bytes };
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &[]]), bytes(1, 0));
    assert_eq!(s.refusal(Role::Tls, &[&leaf, &vec![0x30; 1 << 20]]), bytes(1, 1 << 20));
}

#[test]
fn roots() {
    let s = Stage::new();
    let new = |roots: &[&[u8]]| Anchors::new(s.network.clone(), roots).unwrap_err();
    assert_eq!(new(&[]), IdentityError::Roots(0));
    assert_eq!(new(&[&s.root.der[..]; 5]), IdentityError::Roots(5));
    for ca in [&s.ke, &s.node, &s.hk] {
        assert_eq!(new(&[&s.root.der, &ca.der]), IdentityError::NotRoot { at: 1 });
    }
    assert_eq!(new(&[&s.leaf(&s.root, Role::Tls, "ipsg/ens")]), IdentityError::NotCa { at: 0 });
    let other = envelope::address::Network::parse("ecowire.tes").unwrap();
    assert_eq!(Anchors::new(other.clone(), &[&s.root.der]).unwrap_err(), IdentityError::NotRoot { at: 0 });
    let root = Ca::root(&Spec::ca(&other, "", None, NOW)).unwrap();
    assert_eq!(new(&[&root.der]), IdentityError::NotRoot { at: 0 });
}

#[test]
fn facts_of_a_ca() {
    let s = Stage::new();
    for (ca, path) in [(&s.root, ""), (&s.ke, "ke"), (&s.hk, "cn/hk"), (&s.node, "node")] {
        let facts = ca_certificate(&ca.der).unwrap();
        assert_eq!((facts.network, facts.subject_path.as_str()), (s.network.clone(), path));
        assert_eq!(facts.not_after, NOW.minus(3_600_000).plus(1_826 * DAY_MS));
    }
    let leaf = s.leaf(&s.ke, Role::Tls, "ke");
    assert_eq!(ca_certificate(&leaf).unwrap_err(), IdentityError::NotCa { at: 0 });
}
