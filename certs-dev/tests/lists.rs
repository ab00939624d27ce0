//! Revocation lists: whose they are, what they must say, and what a tampered one is.

#![allow(clippy::unwrap_used)]

mod stage;

use certs_dev::forge::{Ca, Spec};
use envelope::crl::{Crl, CrlError};
use envelope::identity::{IdentityError, Link, Revoked, Role, ca_certificate};
use envelope::time::Timestamp;
use rcgen::KeyUsagePurpose;
use stage::{DAY_MS, NOW, Stage};

#[test]
fn a_list_is_opened_under_its_issuer() {
    let s = Stage::new();
    let revoked = [(vec![0x80, 1], NOW), (vec![7], NOW)];
    let der = s.ke.crl(258, &revoked, NOW).unwrap();
    let crl = Crl::open(&der, &s.ke.der, NOW).unwrap();
    assert_eq!(crl.issuer_key_sha256, ca_certificate(&s.ke.der).unwrap().spki_sha256);
    assert_eq!((crl.number.as_slice(), crl.sha256), (&[1, 2][..], tlog::sha256(&der)));
    assert_eq!((crl.this_update, crl.next_update), (NOW, NOW.plus(30 * DAY_MS)));
    assert_eq!(crl.serials.into_iter().collect::<Vec<_>>(), [vec![7], vec![0x80, 1]]);
    let empty = Crl::open(&s.root.crl(0, &[], NOW).unwrap(), &s.root.der, NOW).unwrap();
    assert_eq!((empty.number.len(), empty.serials.len()), (0, 0));
}

#[test]
fn an_expired_list_still_revokes() {
    let s = Stage::new();
    let der = s.ke.crl(1, &[(vec![7], NOW)], NOW).unwrap();
    let crl = Crl::open(&der, &s.ke.der, NOW.plus(31 * DAY_MS)).unwrap();
    assert!(crl.is_overdue(NOW.plus(31 * DAY_MS)) && !crl.is_overdue(NOW) && crl.serials.contains(&vec![7]));
}

#[test]
fn a_list_of_the_future() {
    let s = Stage::new();
    let minutes = |n: u64| NOW.plus(n * 60_000);
    let der = s.ke.crl(1, &[], minutes(5)).unwrap();
    assert!(Crl::open(&der, &s.ke.der, NOW).is_ok());
    let der = s.ke.crl(1, &[], minutes(6)).unwrap();
    let future = CrlError::Future { this_update: minutes(6), now: NOW };
    assert_eq!(Crl::open(&der, &s.ke.der, NOW).unwrap_err(), future);
    assert!(matches!(Crl::open(&der, &s.ke.der, Timestamp(0)).unwrap_err(), CrlError::Future { .. }));
}

#[test]
fn another_issuers_list() {
    let s = Stage::new();
    let der = s.ke.crl(1, &[], NOW).unwrap();
    assert_eq!(Crl::open(&der, &s.th.der, NOW).unwrap_err(), CrlError::OtherIssuer);
    assert_eq!(Crl::open(&der, &s.root.der, NOW).unwrap_err(), CrlError::OtherIssuer);
    // A CA of the same name with another key.
    let forged = Ca::root(&s.ca_spec("ke", Some(0))).unwrap();
    assert_eq!(Crl::open(&forged.crl(9, &[], NOW).unwrap(), &s.ke.der, NOW).unwrap_err(), CrlError::Signature);
    let leaf = s.leaf(&s.ke, Role::Tls, "ke");
    assert_eq!(Crl::open(&der, &leaf, NOW).unwrap_err(), CrlError::Issuer(IdentityError::NotCa { at: 0 }));
    let spec = Spec { key_usages: vec![KeyUsagePurpose::KeyCertSign], ..s.ca_spec("ke", Some(0)) };
    let mute = s.root.subordinate(&spec).unwrap();
    assert_eq!(Crl::open(&mute.crl(1, &[], NOW).unwrap(), &mute.der, NOW).unwrap_err(), CrlError::IssuerUsage);
}

#[test]
fn a_tampered_list() {
    let s = Stage::new();
    let der = s.ke.crl(1, &[(vec![7], NOW), (vec![0x55; 16], NOW)], NOW).unwrap();
    let open = |der: &[u8]| Crl::open(der, &s.ke.der, NOW);
    for end in 0..der.len() {
        assert!(open(&der[..end]).is_err(), "cut at {end}");
    }
    assert_eq!(open(&[&der[..], &[0]].concat()).unwrap_err(), CrlError::Malformed);
    for place in 0..der.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut broken = der.clone();
            broken[place] ^= bit;
            assert!(open(&broken).is_err(), "bit {bit:#x} of byte {place}");
        }
    }
    let place = der.windows(16).position(|bytes| bytes == [0x55; 16]).unwrap();
    let mut broken = der.clone();
    broken[place] = 0x56;
    assert_eq!(open(&broken).unwrap_err(), CrlError::Signature);
}

#[test]
fn serials_and_numbers_of_certificates_match() {
    struct List(Crl);
    impl Revoked for List {
        fn is_revoked(&self, link: &Link) -> bool {
            link.issuer_key_sha256 == self.0.issuer_key_sha256 && self.0.serials.contains(&link.serial)
        }
    }
    let s = Stage::new();
    for serial in [vec![1], vec![0x80], vec![0xff; 20], vec![0, 5]] {
        let mut spec = s.spec(Role::Identity, "ke");
        spec.serial = Some(serial.clone());
        let leaf = s.forge(&s.ke, Role::Identity, &spec);
        let der = s.ke.crl(1, &[(serial, NOW)], NOW).unwrap();
        let list = List(Crl::open(&der, &s.ke.der, NOW).unwrap());
        let refused = s.anchors().judge(Role::Identity, &[&leaf, &s.ke.der], NOW, &list).unwrap_err();
        assert_eq!(refused, IdentityError::Revoked { at: 0 });
    }
    let der = s.ke.crl(1, &[(vec![1], NOW), (vec![0], NOW)], NOW).unwrap();
    assert_eq!(Crl::open(&der, &s.ke.der, NOW).unwrap_err(), CrlError::Serial(1));
}
