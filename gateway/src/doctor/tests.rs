//! The doctor's judgements, a table each.

use std::net::SocketAddr;
use std::path::Path;

use envelope::Timestamp;
use envelope::identity::{Description, IdentityError};

use super::judge::{self, Answers, CertificateFacts, FileFact, ListFact, Refused, StoreFacts, Want};
use super::{Check, Report, Verdict};

const DAY: u64 = 86_400_000;
const NOW: Timestamp = Timestamp(20_000 * DAY);

fn data() -> &'static Path {
    Path::new("/x/data")
}

/// The check has this verdict, says each of these, and advises something unless all is well.
#[track_caller]
fn check(check: &Check, verdict: Verdict, words: &[&str]) {
    assert_eq!(check.verdict, verdict, "{check:?}");
    for word in words {
        assert!(check.text.contains(word), "{word}: {check:?}");
    }
    assert_eq!(check.advice.is_empty(), verdict == Verdict::Ok, "{check:?}");
}

#[test]
fn the_exit_code_tells_wrong_from_not_running() {
    let report = |verdicts: &[Verdict]| Report { checks: verdicts.iter().map(|verdict| Check::new("x", *verdict, "", "")).collect() };
    use Verdict::{Bad, Ok, Unreachable, Warn};
    for (verdicts, exit) in
        [(&[Ok, Warn][..], 0), (&[Ok, Unreachable], 4), (&[Warn, Unreachable, Unreachable], 4), (&[Unreachable, Bad], 1), (&[Bad], 1)]
    {
        assert_eq!(report(verdicts).exit(), exit, "{verdicts:?}");
    }
}

#[test]
fn secrets_are_their_owners() {
    let fact = |name: &str, mode, want| FileFact { path: name.into(), mode, want };
    let sound =
        [fact("tls.key", Some(0o100_600), Want::Secret), fact("tls.pem", Some(0o100_644), Want::Present), fact("d", None, Want::Private)];
    check(&judge::files(&sound), Verdict::Ok, &[]);
    for (changed, words) in [
        (fact("log.key", Some(0o100_640), Want::Secret), ["log.key (mode 640)"]),
        (fact("data", Some(0o40_750), Want::Private), ["data (mode 750)"]),
        (fact("log.key", None, Want::Secret), ["missing: log.key"]),
        (fact("crl", None, Want::Present), ["missing: crl"]),
    ] {
        check(&judge::files(&[sound[0].clone(), changed]), Verdict::Bad, &words);
    }
}

#[test]
fn the_certificate_that_fails_is_named_with_its_issuer_and_days() {
    let of = |subject: &str, issuer: &str, from: i64, to: i64| {
        let at = |days: i64| Timestamp(NOW.ms().wrapping_add_signed(days * DAY as i64));
        Description { subject: subject.to_owned(), issuer: issuer.to_owned(), not_before: at(from), not_after: at(to) }
    };
    let facts = |leaf: Description, ca: Description, refused| CertificateFacts { chain: vec![leaf, ca], ders: Vec::new(), refused };
    let ca = || of("DEV node", "DEV root", -400, 400);
    for (leaf, ca, refused, verdict, words) in [
        (of("n", "DEV node", -10, 80), ca(), None, Verdict::Ok, &["n, issued by DEV node, 80 days left"][..]),
        (of("n", "DEV node", -61, 29), ca(), None, Verdict::Warn, &["n, issued by DEV node, 29 days left"]),
        (
            of("n", "DEV node", -1, 80),
            of("DEV node", "DEV root", -90, 9),
            None,
            Verdict::Warn,
            &["DEV node, issued by DEV root, 9 days left"],
        ),
        (
            of("n", "DEV node", -90, -3),
            ca(),
            Some(Refused::Identity(IdentityError::Expired { at: 0 })),
            Verdict::Bad,
            &["certificate 0 has expired", "n, issued by DEV node, ended 3 days ago"],
        ),
        (
            of("n", "DEV node", -9, 30),
            of("DEV node", "DEV root", -90, 0),
            Some(Refused::Identity(IdentityError::Expired { at: 1 })),
            Verdict::Bad,
            &["certificate 1 is DEV node, issued by DEV root, ended 0 hours ago"],
        ),
        (of("n", "m", -9, 30), ca(), Some(Refused::Identity(IdentityError::UnknownIssuer)), Verdict::Bad, &["no path leads"]),
        (of("n", "m", -9, 30), ca(), Some(Refused::Unread("cannot read tls.key".to_owned())), Verdict::Bad, &["cannot read tls.key"]),
    ] {
        check(&judge::certificates(&facts(leaf, ca, refused), NOW), verdict, words);
    }
}

#[test]
fn a_list_that_is_missing_or_overdue_is_named_with_its_ca() {
    let list = |from: i64, to: i64| {
        let at = |days: i64| Timestamp(NOW.ms().wrapping_add_signed(days * DAY as i64));
        Ok(("07".to_owned(), at(from), at(to)))
    };
    for (second, verdict, words) in [
        (list(-1, 6), Verdict::Ok, &["2 CAs", "DEV ke (number 07, 6 days left)"][..]),
        (list(-6, 1), Verdict::Warn, &["DEV ke (number 07, 1 days left)"]),
        (list(-9, -2), Verdict::Bad, &["DEV ke (number 07, overdue by 2 days)"]),
        (Err("no sound list".to_owned()), Verdict::Bad, &["DEV ke: no sound list"]),
    ] {
        let facts = [ListFact { ca: "DEV root".to_owned(), list: list(-1, 30) }, ListFact { ca: "DEV ke".to_owned(), list: second }];
        check(&judge::lists(&facts, NOW), verdict, words);
    }
}

#[test]
fn a_store_is_absent_held_sound_or_damaged() {
    let held = StoreFacts { exists: true, holder: Some("process 7 ecowire-gateway".to_owned()), ..StoreFacts::default() };
    for (facts, verdict, words) in [
        (StoreFacts::default(), Verdict::Bad, ["there is no store in /x/data"]),
        (held.clone(), Verdict::Ok, ["held by process 7 ecowire-gateway"]),
        (StoreFacts { holder: None, opened: Some(Ok(12)), ..held.clone() }, Verdict::Unreachable, ["sound and holds 12 entries"]),
        (StoreFacts { holder: None, opened: Some(Err("damage".to_owned())), ..held }, Verdict::Bad, ["does not open: damage"]),
    ] {
        check(&judge::store(&facts, data()), verdict, &words);
    }
}

#[test]
fn a_full_disk_is_bad_before_it_is_full() {
    for (free, verdict, words) in [
        (Ok(50 << 30), Verdict::Ok, ["51200 MiB free at /x/data"]),
        (Ok(1 << 30), Verdict::Warn, ["1024 MiB"]),
        (Ok(0), Verdict::Bad, ["0 MiB"]),
        (Err("gone".to_owned()), Verdict::Bad, ["gone"]),
    ] {
        check(&judge::disk(free, data()), verdict, &words);
    }
}

#[test]
fn the_clock_is_judged_as_at_the_start() {
    let now = super::look::now();
    check(&judge::clock(None), Verdict::Ok, &["see ready"]);
    check(&judge::clock(Some(now.minus(1000))), Verdict::Ok, &["the last entry is of"]);
    check(&judge::clock(Some(now.plus(3_600_000))), Verdict::Bad, &["CLOCK_BEHIND"]);
    check(&judge::clock(Some(now.minus(2 * DAY))), Verdict::Bad, &["CLOCK_AHEAD"]);
}

#[test]
fn a_port_is_free_ours_or_somebody_elses() {
    let listen: SocketAddr = ([127, 0, 0, 1], 7247).into();
    let stranger = || Answers::Stranger("no TLS".to_owned());
    for (answers, running, verdict) in [
        (Answers::Nobody, false, Verdict::Ok),
        (Answers::Nobody, true, Verdict::Unreachable),
        (Answers::Ours, true, Verdict::Ok),
        (Answers::Another, true, Verdict::Warn),
        (Answers::Another, false, Verdict::Bad),
        (stranger(), true, Verdict::Bad),
        (stranger(), false, Verdict::Bad),
    ] {
        check(&judge::tcp(answers, listen, running), verdict, &["127.0.0.1:7247"]);
    }
    check(&judge::udp(Ok(()), listen, false), Verdict::Ok, &["free"]);
    check(&judge::udp(Err("in use".to_owned()), listen, true), Verdict::Ok, &["a gateway runs"]);
    check(&judge::udp(Err("in use".to_owned()), listen, false), Verdict::Bad, &["in use"]);
}

#[test]
fn readiness_is_asked_where_it_can_be() {
    let at: SocketAddr = ([127, 0, 0, 1], 9247).into();
    let said = |status, text: &str| Some(Ok((status, text.to_owned())));
    for (answer, running, verdict, words) in [
        (None, true, Verdict::Warn, "telemetry.metrics is off"),
        (said(200, "ready\n"), true, Verdict::Ok, "is ready"),
        (said(503, "not ready: CLOCK_JUMP\nnot ready: lists\n"), true, Verdict::Bad, "CLOCK_JUMP; lists"),
        (said(200, "hello"), true, Verdict::Bad, "not as a gateway does"),
        (Some(Err("refused".to_owned())), true, Verdict::Unreachable, "does not answer: refused"),
        (Some(Err("refused".to_owned())), false, Verdict::Unreachable, "no gateway runs"),
    ] {
        check(&judge::ready(answer.as_ref(), Some(at), running), verdict, &[words]);
    }
}
