//! What each fact comes to: one table a check.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use certs_dev::forge::{Ca, Pair, Spec};
use envelope::identity::{Anchors, NothingRevoked, Role, describe};
use envelope::{Network, Timestamp};
use proto::v1::{ParticipantState, Priority, RecipientState};
use tlog::Hash;

use super::judge;
use super::look::{Arrived, CertificateFacts, Closed, DirectoryFacts, Disk, FileFact, KeyFact, Reach, Times, Waiting};
use super::{Check, Report, Verdict};
use crate::directory::Head;
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// The verdict, and words of the text or the advice.
#[track_caller]
fn check(check: &Check, verdict: Verdict, words: &[&str]) {
    let said = format!("{} -> {}", check.text, check.advice);
    assert_eq!(check.verdict, verdict, "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(check.advice.is_empty() == (verdict == Verdict::Ok), "{said}");
}

fn ago(ms: u64) -> Timestamp {
    Timestamp(NOW.ms() - ms)
}

#[test]
fn the_exit_code_is_the_worst() {
    for (verdicts, code) in [
        (&[][..], 0),
        (&[Verdict::Ok, Verdict::Warn], 0),
        (&[Verdict::Warn, Verdict::Unreachable], 4),
        (&[Verdict::Unreachable, Verdict::Bad], 1),
        (&[Verdict::Bad, Verdict::Ok], 1),
    ] {
        let checks = verdicts.iter().map(|verdict| Check::new("x", *verdict, "", "")).collect();
        assert_eq!(Report { checks }.exit(), code, "{verdicts:?}");
    }
}

#[test]
fn a_key_that_does_not_exist_is_named_with_the_nearest() {
    let whole = "version = 1\naddress = \"ke\"\ngateway = \"https://127.0.0.1:1\"\n";
    for (text, verdict, words) in [
        (whole.to_owned(), Verdict::Ok, &["is read"][..]),
        (format!("{whole}gatway = 1"), Verdict::Bad, &["the key gatway does not exist; gateway does", "version, address, gateway"]),
        (format!("{whole}colour = 1"), Verdict::Bad, &["the key colour does not exist ->"]),
        (whole.replace("= 1\n", "= 2\n"), Verdict::Bad, &["version 2"]),
        ("version = 1\naddress = \"ke\"".to_owned(), Verdict::Bad, &["gateway"]),
        ("address = ke".to_owned(), Verdict::Bad, &["mend profile.toml"]),
    ] {
        check(&judge::profile(Path::new("p"), Ok(&text)), verdict, words);
    }
    check(&judge::profile(Path::new("p"), Err("no such file")), Verdict::Bad, &["p is no profile: no such file", "ecowire init"]);
}

#[test]
fn files_are_there_and_their_owners() {
    let fact = |name: &str, mode, secret| FileFact { name: name.to_owned(), mode, secret };
    let key = |mode| fact("tls.key", Some(mode), true);
    check(&judge::files(&[key(0o600), fact("tls.pem", Some(0o600), false)]), Verdict::Ok, &["all 2"]);
    check(&judge::files(&[key(0o640), fact("tls.pem", Some(0o644), false)]), Verdict::Bad, &["open tls.key ->", "renewed"]);
    check(&judge::files(&[key(0o400), fact("tls.pem", Some(0o644), false)]), Verdict::Warn, &["open tls.pem"]);
    check(&judge::files(&[key(0o666), fact("tls.pem", None, false)]), Verdict::Bad, &["missing: tls.pem"]);
}

/// A leaf of Kenya that is valid for 100 days around now, as it is judged at `now` under the root of `network`.
fn tls(key: KeyFact, now: Timestamp, other_root: bool) -> CertificateFacts {
    let network = Network::parse("ecowire.test").unwrap();
    let began = Timestamp(NOW.ms() - 50 * DAY);
    let root = || Ca::root(&Spec::ca(&network, "", None, began)).unwrap();
    let (own, another) = (root(), root());
    let kenya = own.subordinate(&Spec::ca(&network, "ke", Some(0), began)).unwrap();
    let spec = Spec { not_after: Timestamp(NOW.ms() + 50 * DAY), ..Spec::tls(&network, &"ke".parse().unwrap(), began) };
    let leaf = kenya.certify(&spec, Pair::generate().unwrap()).unwrap();
    let root = if other_root { another } else { own };
    let chain = [leaf.der, kenya.der];
    let anchors = Anchors::new(network.clone(), std::slice::from_ref(&root.der)).unwrap();
    let described = chain.iter().chain([&root.der]).map(|der| describe(der).unwrap()).collect();
    let judged = anchors.judge(Role::Tls, &chain, now, &NothingRevoked);
    CertificateFacts { name: "tls", described, length: 2, judged, key, network }
}

#[test]
fn the_failing_certificate_is_named_with_issuer_and_days() {
    let at = |days: i64| Timestamp(NOW.ms().saturating_add_signed(days * DAY as i64));
    let judge = |key, days, other| judge::certificate(&tls(key, at(days), other), Some("ke"), at(days));
    check(&judge(KeyFact::Fits, 0, false), Verdict::Ok, &["ke's by DEV ke CA, 50 days left"]);
    check(&judge(KeyFact::Locked, 0, false), Verdict::Ok, &["its key was not compared"]);
    check(&judge(KeyFact::Fits, 20, false), Verdict::Ok, &["30 days left"]);
    check(&judge(KeyFact::Fits, 21, false), Verdict::Warn, &["29 days left: ke (by DEV ke CA) ends at", "ask DEV ke CA"]);
    check(&judge(KeyFact::Fits, 53, false), Verdict::Bad, &["tls.pem: ke (by DEV ke CA) ended 3 days ago", "ask DEV ke CA"]);
    check(&judge(KeyFact::Fits, -60, false), Verdict::Bad, &["ke (by DEV ke CA) begins in", "clock"]);
    check(&judge(KeyFact::Fits, 0, true), Verdict::Bad, &["tls.pem: ke (by DEV ke CA):", "(ecowire.test)", "must be a CA of this network"]);
    check(&judge(KeyFact::Other, 0, false), Verdict::Bad, &["tls.key is not the key of tls.pem (ke's by DEV ke CA)"]);
    check(&judge(KeyFact::Unread("no".to_owned()), 0, false), Verdict::Bad, &["no ->"]);
    check(
        &judge::certificate(&tls(KeyFact::Fits, NOW, false), Some("th"), NOW),
        Verdict::Bad,
        &["is ke's by DEV ke CA, the profile is th's"],
    );
    let empty =
        CertificateFacts { length: 0, judged: Err(envelope::identity::IdentityError::ChainLength(0)), ..tls(KeyFact::Fits, NOW, false) };
    check(&judge::certificate(&empty, Some("ke"), NOW), Verdict::Bad, &["tls.pem holds no certificates"]);
}

#[test]
fn a_trust_file_is_whole_and_not_over() {
    let folder = tempfile::tempdir().unwrap();
    let client = crate::tests::member(folder.path());
    let trust = client.profile().trust().clone();
    check(&judge::trust(&Ok(trust.clone()), NOW), Verdict::Ok, &["ecowire.test number 1", "node/dev-1"]);
    let over = envelope::trust::Trust { expires: ago(1), ..trust };
    check(&judge::trust(&Ok(over), NOW), Verdict::Bad, &["ended at"]);
    check(&judge::trust(&Err("not signed".to_owned()), NOW), Verdict::Bad, &["trust.toml: not signed", "network authority"]);
}

#[test]
fn a_full_disk_is_bad_before_it_is_full() {
    const MIB: u64 = 1024 * 1024;
    for (free_bytes, write, verdict, words) in [
        (Some(1000 * MIB), None, Verdict::Ok, "1000 MiB"),
        (Some(256 * MIB), None, Verdict::Ok, "256 MiB"),
        (Some(256 * MIB - 1), None, Verdict::Warn, "255 MiB"),
        (Some(16 * MIB - 1), None, Verdict::Bad, "15 MiB"),
        (None, None, Verdict::Ok, "unknown"),
        (Some(1000 * MIB), Some("no space left".to_owned()), Verdict::Bad, "no space left"),
    ] {
        check(&judge::disk(&Disk { free_bytes, write }), verdict, &[words]);
    }
}

#[test]
fn evidence_and_stores_are_told() {
    check(&judge::evidence(&[]), Verdict::Ok, &["no proof"]);
    check(&judge::evidence(&["evidence/7".into()]), Verdict::Bad, &["1 proofs", "evidence/7", "network authority"]);
    check(&judge::store(&Err(Closed::InUse)), Verdict::Warn, &["another command"]);
    check(&judge::store(&Err(Closed::Absent)), Verdict::Bad, &["no store.redb"]);
    check(&judge::store(&Err(Closed::Fault("torn".to_owned()))), Verdict::Bad, &["torn"]);
    check(&judge::unread("store", "row"), Verdict::Bad, &["row"]);
}

#[test]
fn each_step_of_the_way_has_its_own_word() {
    let text = || "why".to_owned();
    for (reach, sound, verdict, words) in [
        (Reach::NoPort(text()), true, Verdict::Unreachable, "https://x:1: why"),
        (Reach::NoAnswer(text()), true, Verdict::Unreachable, "port is open, but no gateway answers: why"),
        (Reach::Server(text()), true, Verdict::Bad, "certificate is not the node's: why"),
        (Reach::Refused(text()), true, Verdict::Bad, "unknown participant, suspended or revoked"),
        (Reach::Refused(text()), false, Verdict::Bad, "see tls"),
        (Reach::Unsound(text()), true, Verdict::Bad, "takes this certificate, but: why"),
        (Reach::NoCredentials(text()), true, Verdict::Bad, "nothing to knock with: why"),
        (Reach::Linked("node/dev-1".to_owned()), true, Verdict::Ok, "is node/dev-1"),
        (Reach::Met("node/dev-1".to_owned(), 9), true, Verdict::Ok, "9 entries extend"),
    ] {
        check(&judge::gateway("https://x:1", &reach, sound), verdict, &[words]);
    }
    check(&judge::gateway("http://x:1", &Reach::NoPort(text()), true), Verdict::Bad, &["is no url", "profile.toml"]);
}

#[test]
fn a_clock_is_compared_within_the_seconds_that_the_gateway_tells() {
    let gateway = Timestamp(NOW.ms() / 1000 * 1000);
    for (offset_ms, verdict, words) in [
        (0, Verdict::Ok, "to a second"),
        (999, Verdict::Ok, "to a second"),
        (-200, Verdict::Ok, "to a second"),
        (5_000, Verdict::Ok, "5 s ahead of"),
        (30_999, Verdict::Warn, "30 s ahead of"),
        (-30_200, Verdict::Warn, "30 s behind"),
        (300_999, Verdict::Bad, "300 s ahead of"),
        (-86_400_200, Verdict::Bad, "86400 s behind"),
    ] {
        let before = Timestamp(gateway.ms().saturating_add_signed(offset_ms));
        check(&judge::clock(&Times { before, gateway, after: before.plus(200) }), verdict, &[words]);
    }
}

fn head(age_ms: u64) -> Head {
    Head { size: 3, root: Hash([7; 32]), at: ago(age_ms) }
}

#[test]
fn a_head_ages_by_the_same_bounds_as_sealing() {
    check(&judge::head(None, NOW), Verdict::Bad, &["never fetched"]);
    check(&judge::head(Some(head(24 * HOUR)), NOW), Verdict::Ok, &["3 statements", "24 h"]);
    check(&judge::head(Some(head(24 * HOUR + 1)), NOW), Verdict::Warn, &["only messages to the own NCB"]);
    check(&judge::head(Some(head(14 * DAY + 1)), NOW), Verdict::Bad, &["nothing can be sealed"]);
}

fn directory(published: Option<u8>, own: &[u8], days: u64) -> DirectoryFacts {
    DirectoryFacts {
        address: "ke".to_owned(),
        head: Some(head(0)),
        state: Some(ParticipantState::Active),
        published: published.map(|byte| vec![byte]),
        published_at: Some(ago(days * DAY)),
        own: Ok(own.iter().map(|byte| vec![*byte]).collect()),
    }
}

#[test]
fn the_network_knows_its_member() {
    let state = |state| judge::enrolled(&DirectoryFacts { state, ..directory(None, &[], 0) });
    check(&state(Some(ParticipantState::Active)), Verdict::Ok, &["ke is enrolled"]);
    check(&state(Some(ParticipantState::Suspended)), Verdict::Bad, &["ke is suspended"]);
    check(&state(None), Verdict::Bad, &["ke is not enrolled"]);
    check(&judge::enrolled(&DirectoryFacts { head: None, ..directory(None, &[], 0) }), Verdict::Warn, &["without the directory"]);
}

#[test]
fn the_key_that_others_seal_to_is_here_and_young() {
    check(&judge::key(&directory(Some(1), &[1, 2], 89), NOW), Verdict::Ok, &["89 days old"]);
    check(&judge::key(&directory(Some(1), &[1], 90), NOW), Verdict::Warn, &["90 days old"]);
    check(&judge::key(&directory(Some(2), &[1, 2], 0), NOW), Verdict::Warn, &["not the newest"]);
    check(&judge::key(&directory(Some(3), &[1, 2], 0), NOW), Verdict::Bad, &["another profile of this member"]);
    check(&judge::key(&directory(None, &[1], 0), NOW), Verdict::Bad, &["nobody can send to this member"]);
    let unread = DirectoryFacts { own: Err("keys/a.key is short".to_owned()), ..directory(Some(1), &[], 0) };
    check(&judge::key(&unread, NOW), Verdict::Bad, &["keys/a.key is short"]);
}

#[test]
fn what_waits_says_why() {
    let whole = Waiting { reference: Some("KE/2026/000001".to_owned()), void: false, sealed: true, sent: false, expires: NOW.plus(1) };
    let why = |waiting: Waiting, reachable| judge::outbox(&[waiting], reachable, NOW);
    check(&judge::outbox(&[], true, NOW), Verdict::Ok, &["empty"]);
    check(&why(whole.clone(), true), Verdict::Warn, &["1 wait: KE/2026/000001 (sealed, not yet sent)"]);
    check(&why(whole.clone(), false), Verdict::Warn, &["the gateway was not reached", "nothing is lost"]);
    check(&why(Waiting { sent: true, ..whole.clone() }, false), Verdict::Warn, &["no answer yet"]);
    check(&why(Waiting { expires: NOW, ..whole.clone() }, true), Verdict::Warn, &["past its end"]);
    check(&why(Waiting { sealed: false, void: true, ..whole.clone() }, true), Verdict::Warn, &["closes its number"]);
    check(
        &why(Waiting { sealed: false, reference: None, ..whole.clone() }, true),
        Verdict::Warn,
        &["a message without number (not sealed"],
    );
    check(&judge::outbox(&vec![whole; 7], true, NOW), Verdict::Warn, &["7 wait", "and 2 more"]);
}

#[test]
fn what_has_come_waits_for_a_person() {
    let one = Arrived {
        reference: "TH/2026/000001".to_owned(),
        state: RecipientState::Delivered,
        priority: Priority::Routine,
        at: ago(HOUR),
        expires: NOW.plus(1),
    };
    let of = |arrived: Arrived| judge::inbox(&[arrived], NOW);
    check(&judge::inbox(&[], NOW), Verdict::Ok, &["0 messages"]);
    check(&of(one.clone()), Verdict::Ok, &["1 delivered but not acknowledged, the oldest is TH/2026/000001 of 1 h ago"]);
    check(&of(Arrived { at: ago(24 * HOUR), ..one.clone() }), Verdict::Warn, &["ecowire ack"]);
    check(&of(Arrived { priority: Priority::Flash, ..one.clone() }), Verdict::Warn, &["ecowire ack"]);
    check(&of(Arrived { state: RecipientState::Available, ..one.clone() }), Verdict::Warn, &["has not been told"]);
    check(&of(Arrived { state: RecipientState::Acknowledged, ..one.clone() }), Verdict::Ok, &["none waits"]);
    check(&of(Arrived { expires: NOW, ..one }), Verdict::Ok, &["none waits"]);
}

#[test]
fn a_store_that_is_in_use_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(super::look::open(folder.path(), &crate::Unlock::default()), Err(Closed::Absent)));
    let held = Store::open(folder.path()).unwrap();
    // Without certificates there is no profile, but the store is seen.
    assert!(matches!(super::look::open(folder.path(), &crate::Unlock::default()), Err(Closed::InUse)));
    drop(held);
    assert!(super::look::open(folder.path(), &crate::Unlock::default()).is_ok_and(|open| open.profile.is_none()));
}
