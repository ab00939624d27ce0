//! Each rule of admission by its name: what it lets through, what it stops, and which one speaks first.

mod stage;

use exchange::{Admission, Rules};
use expect_test::{Expect, expect};
use proto::v1::{Classification, Kind, ParticipantState, Priority};
use stage::{HOUR_MS, NP_IDENTITY_END, START, Stage, TLS_END, actor_of, address, told};

/// Plays `steps` on the network that `world` changes: `np suspended`, `th official_use_only`, `flash 1`.
fn check_in(world: &[&str], steps: &[&str], expected: Expect) {
    let mut stage = if world.is_empty() { Stage::new() } else { Stage::with(changed(world), Rules::default()) };
    stage.play(steps, &expected);
}

fn check(steps: &[&str], expected: Expect) {
    check_in(&[], steps, expected);
}

fn changed(world: &[&str]) -> proto::v1::Genesis {
    let mut genesis = stage::genesis();
    for line in world {
        let (who, what) = line.split_once(' ').expect("who and what");
        let policy = genesis.policy.as_mut().expect("a policy");
        if who == "flash" {
            policy.flash_per_day = what.parse().expect("a number");
            continue;
        }
        let participant = genesis.participants.iter_mut().find(|participant| participant.address == who).expect("one of the cast");
        let upper = what.to_uppercase();
        if let Some(state) = ParticipantState::from_str_name(&format!("PARTICIPANT_STATE_{upper}")) {
            participant.state = state.into();
        } else if let Some(clearance) = Classification::from_str_name(&format!("CLASSIFICATION_{upper}")) {
            participant.clearance = clearance.into();
        } else {
            participant.open_to_foreign = what == "open";
        }
    }
    genesis
}

#[test]
fn a_life_is_72_hours_to_30_days_and_exactly_72_hours_with_flash() {
    check(
        &[
            "ke>th life=72h",
            "ke>th life=30d",
            "ke>th life=72h-1ms",
            "ke>th life=30d+1ms",
            "ke>th flash life=72h",
            "ke>th flash life=72h-1ms",
            "ke>th flash life=72h+1ms",
        ],
        expect![[r#"
            ke>th life=72h: accepted, at th 1
            ke>th life=30d: accepted, at th 2
            ke>th life=72h-1ms: BAD_ENCODING
            ke>th life=30d+1ms: BAD_ENCODING
            ke>th flash life=72h: accepted, at th 3
            ke>th flash life=72h-1ms: BAD_ENCODING
            ke>th flash life=72h+1ms: BAD_ENCODING
        "#]],
    );
}

#[test]
fn the_sender_is_whoever_the_connection_and_the_first_signature_say() {
    check(
        &[
            "ke>th",
            "ke>th tls=th",
            "ke>th tls=ke/cus/kemba",
            "ke>th signed=th",
            "ke/cus/kemba>ke signed=ke",
            "ke/cus/kemba>ke tls=ke",
            "ke/cus/kemba>ke tls=ke signed=ke",
        ],
        expect![[r#"
            ke>th: accepted, at th 1
            ke>th tls=th: NOT_SENDER
            ke>th tls=ke/cus/kemba: NOT_SENDER
            ke>th signed=th: NOT_SENDER
            ke/cus/kemba>ke signed=ke: NOT_SENDER
            ke/cus/kemba>ke tls=ke: NOT_SENDER
            ke/cus/kemba>ke tls=ke signed=ke: NOT_SENDER
        "#]],
    );
}

#[test]
fn wraps_and_content_are_those_that_were_signed() {
    check(
        &[
            "ke>th,np wraps=missing",
            "ke>th,np wraps=swapped",
            "ke>th,np wraps=altered",
            "ke>th,np wraps=renumbered",
            "ke>th,np content=altered",
            "ke>th,np content=longer",
            "ke>th,np",
        ],
        expect![[r#"
            ke>th,np wraps=missing: BAD_COMMITMENT
            ke>th,np wraps=swapped: BAD_COMMITMENT
            ke>th,np wraps=altered: BAD_COMMITMENT
            ke>th,np wraps=renumbered: BAD_COMMITMENT
            ke>th,np content=altered: BAD_COMMITMENT
            ke>th,np content=longer: BAD_COMMITMENT
            ke>th,np: accepted, at th 1, np 1
        "#]],
    );
}

#[test]
fn every_signer_signs_once_and_nobody_else_does() {
    check(
        &["ke>th signature=altered", "ke>th signature=missing", "ke>th signature=twice", "ke>th signature=renamed", "ke>th"],
        expect![[r#"
            ke>th signature=altered: BAD_SIGNATURE
            ke>th signature=missing: BAD_SIGNATURE
            ke>th signature=twice: BAD_SIGNATURE
            ke>th signature=renamed: BAD_SIGNATURE
            ke>th: accepted, at th 1
        "#]],
    );
}

#[test]
fn a_known_message_gets_its_receipt_again_whatever_has_changed() {
    check(
        &["ke>th,np flash", "again 1", "keys th 2 alone", "revoke ke identity", "revoke ke tls", "wait 60d", "again 1", "ke>th"],
        expect![[r#"
            ke>th,np flash: accepted, at th 1, np 1
            again 1: receipt again, of entry 39
            again 1: receipt again, of entry 39
            ke>th: REVOKED address=ke what=TLS certificate
        "#]],
    );
}

#[test]
fn a_broken_copy_of_a_known_message_is_refused_by_its_own_fault() {
    check(
        &["ke>th", "ke>th number=1 signature=altered", "ke>th number=1 content=altered", "ke>th number=1 tls=th"],
        expect![[r#"
        ke>th: accepted, at th 1
        ke>th number=1 signature=altered: BAD_SIGNATURE
        ke>th number=1 content=altered: BAD_COMMITMENT
        ke>th number=1 tls=th: NOT_SENDER
    "#]],
    );
}

#[test]
fn a_number_stands_for_one_message() {
    check(
        &[
            "ke>th",
            "ke>th number=1 urgent",
            "ke>th number=5",
            "ke>th number=3",
            "ke>th number=3 urgent",
            "ke>th number=5 urgent",
            "th>ke number=1",
        ],
        expect![[r#"
            ke>th: accepted, at th 1
            ke>th number=1 urgent: REFERENCE_REUSED reference=KE/2026/000001
            ke>th number=5: accepted, at th 2
            ke>th number=3: accepted, at th 3
            ke>th number=3 urgent: REFERENCE_REUSED reference=KE/2026/000003
            ke>th number=5 urgent: REFERENCE_REUSED reference=KE/2026/000005
            th>ke number=1: accepted, at ke 1
        "#]],
    );
}

#[test]
fn a_refused_message_takes_no_number() {
    check(
        &["ke>th number=2 life=1h", "ke>th number=2"],
        expect![[r#"
        ke>th number=2 life=1h: BAD_ENCODING
        ke>th number=2: accepted, at th 1
    "#]],
    );
}

#[test]
fn a_number_leaps_at_most_1024() {
    check(
        &["ke>th number=1025", "ke>th number=1024", "ke>th number=2049", "ke>th number=2048", "ke>th number=1"],
        expect![[r#"
            ke>th number=1025: BAD_REFERENCE last_year=0 last_series=0 last_number=0
            ke>th number=1024: accepted, at th 1
            ke>th number=2049: BAD_REFERENCE last_year=2026 last_series=1 last_number=1024
            ke>th number=2048: accepted, at th 2
            ke>th number=1: accepted, at th 3
        "#]],
    );
}

#[test]
fn a_series_opens_by_naming_the_last_one() {
    check(
        &[
            "ke>th series=2",
            "ke>th series=2 after=2026.1.1",
            "ke>th after=2026.1.1",
            "ke>th",
            "ke>th after=2026.1.1",
            "ke>th series=2",
            "ke>th series=3 after=2026.1.1",
            "ke>th series=2 after=2026.2.1",
            "ke>th series=2 after=2025.1.1",
            "ke>th series=2 after=2026.1.1",
            "ke>th series=2 after=2026.1.1",
            "ke>th series=2 after=2026.1.1 number=3",
            "ke>th series=2",
            "ke>th",
            "ke>th series=3 after=2026.2.2",
        ],
        expect![[r#"
            ke>th series=2: BAD_REFERENCE last_year=0 last_series=0 last_number=0
            ke>th series=2 after=2026.1.1: BAD_REFERENCE last_year=0 last_series=0 last_number=0
            ke>th after=2026.1.1: BAD_REFERENCE last_year=0 last_series=0 last_number=0
            ke>th: accepted, at th 1
            ke>th after=2026.1.1: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th series=2: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th series=3 after=2026.1.1: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th series=2 after=2026.2.1: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th series=2 after=2025.1.1: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th series=2 after=2026.1.1: accepted, at th 2
            ke>th series=2 after=2026.1.1: BAD_REFERENCE last_year=2026 last_series=2 last_number=1
            ke>th series=2 after=2026.1.1 number=3: BAD_REFERENCE last_year=2026 last_series=2 last_number=1
            ke>th series=2: accepted, at th 3
            ke>th: accepted, at th 4
            ke>th series=3 after=2026.2.2: accepted, at th 5
        "#]],
    );
}

/// The links lose nothing of a series whose number 1 is late; what names the series before is number 1 itself.
#[test]
fn a_series_may_open_with_any_of_its_numbers() {
    check(
        &[
            "ke>th number=2",
            "ke>th number=1",
            "ke>th series=2 number=3",
            "ke>th series=2 number=2 after=2026.1.2",
            "ke>th series=2 number=2",
            "ke>th series=4 number=2",
            "ke>th series=3 number=1025",
            "ke>th series=3 number=1024",
            "ke>th series=2 number=1",
            "ke>th series=2 number=1 after=2026.2.3",
            "ke>th series=2 number=1 after=2026.3.1024",
            "ke>th series=2 number=1 after=2026.1.2",
            "ke>th series=3 number=1 after=2026.1.2",
            "ke>th number=3 after=2026.1.2",
        ],
        expect![[r#"
            ke>th number=2: accepted, at th 1
            ke>th number=1: accepted, at th 2
            ke>th series=2 number=3: accepted, at th 3
            ke>th series=2 number=2 after=2026.1.2: BAD_REFERENCE last_year=2026 last_series=2 last_number=3
            ke>th series=2 number=2: accepted, at th 4
            ke>th series=4 number=2: BAD_REFERENCE last_year=2026 last_series=2 last_number=3
            ke>th series=3 number=1025: BAD_REFERENCE last_year=2026 last_series=2 last_number=3
            ke>th series=3 number=1024: accepted, at th 5
            ke>th series=2 number=1: BAD_REFERENCE last_year=2026 last_series=3 last_number=1024
            ke>th series=2 number=1 after=2026.2.3: BAD_REFERENCE last_year=2026 last_series=3 last_number=1024
            ke>th series=2 number=1 after=2026.3.1024: BAD_REFERENCE last_year=2026 last_series=3 last_number=1024
            ke>th series=2 number=1 after=2026.1.2: accepted, at th 6
            ke>th series=3 number=1 after=2026.1.2: accepted, at th 7
            ke>th number=3 after=2026.1.2: BAD_REFERENCE last_year=2026 last_series=3 last_number=1024
        "#]],
    );
}

#[test]
fn a_year_opens_with_its_first_series_and_the_year_before_may_still_arrive() {
    check(
        &[
            "ke>th year=2025",
            "ke>th year=2024 number=9",
            "ke>th year=2027 after=2025.1.1",
            "ke>th",
            "ke>th after=2025.1.1",
            "wait 45d",
            "ke>th year=2027",
            "ke>th year=2027 series=2 after=2026.1.1",
            "ke>th year=2027 after=2026.1.1",
            "ke>th",
            "ke>th year=2025 number=2",
            "ke>th year=2028 after=2027.1.1",
        ],
        expect![[r#"
            ke>th year=2025: accepted, at th 1
            ke>th year=2024 number=9: BAD_REFERENCE last_year=2025 last_series=1 last_number=1
            ke>th year=2027 after=2025.1.1: BAD_REFERENCE last_year=2025 last_series=1 last_number=1
            ke>th: BAD_REFERENCE last_year=2025 last_series=1 last_number=1
            ke>th after=2025.1.1: accepted, at th 2
            ke>th year=2027: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th year=2027 series=2 after=2026.1.1: BAD_REFERENCE last_year=2026 last_series=1 last_number=1
            ke>th year=2027 after=2026.1.1: accepted, at th 3
            ke>th: accepted, at th 4
            ke>th year=2025 number=2: BAD_REFERENCE last_year=2027 last_series=1 last_number=1
            ke>th year=2028 after=2027.1.1: BAD_REFERENCE last_year=2027 last_series=1 last_number=1
        "#]],
    );
}

#[test]
fn a_message_ends_at_the_millisecond_that_it_names() {
    check(
        &["ke>th created=-72h+1ms", "ke>th created=-72h", "ke>th created=-40d", "ke>th created=-29d life=30d"],
        expect![[r#"
        ke>th created=-72h+1ms: accepted, at th 1
        ke>th created=-72h: EXPIRED
        ke>th created=-40d: EXPIRED
        ke>th created=-29d life=30d: accepted, at th 2
    "#]],
    );
}

#[test]
fn a_clock_may_be_five_minutes_fast() {
    check(
        &["ke>th created=5m", "ke>th created=5m+1ms"],
        expect![[r#"
        ke>th created=5m: accepted, at th 1
        ke>th created=5m+1ms: CLOCK_SKEW
    "#]],
    );
}

#[test]
fn wraps_are_to_current_keys_or_to_one_retired_within_a_day() {
    check(
        &[
            "ke>th,np key=th:1",
            "ke>th,np key=th:2",
            "ke>th,np key=np:th",
            "ke>th key=th:1:x25519",
            "keys th 2",
            "ke>th key=th:2",
            "wait 24h",
            "ke>th key=th:1",
            "wait 1ms",
            "ke>th key=th:1",
            "ke>th key=th:2",
            "keys th 3 alone",
            "ke>th key=th:3",
            "ke>th key=th:2",
        ],
        expect![[r#"
            ke>th,np key=th:1: accepted, at th 1, np 1
            ke>th,np key=th:2: STALE_KEY recipient=th
            ke>th,np key=np:th: STALE_KEY recipient=np
            ke>th key=th:1:x25519: STALE_KEY recipient=th
            ke>th key=th:2: accepted, at th 2
            ke>th key=th:1: accepted, at th 3
            ke>th key=th:1: STALE_KEY recipient=th
            ke>th key=th:2: accepted, at th 4
            ke>th key=th:3: accepted, at th 5
            ke>th key=th:2: STALE_KEY recipient=th
        "#]],
    );
}

#[test]
fn the_grace_of_a_retired_key_does_not_begin_anew_with_each_statement() {
    check(
        &["keys th 2", "wait 20h", "keys np 2", "keys th 2", "wait 5h", "ke>th key=th:1", "ke>np key=np:1"],
        expect![[r#"
        ke>th key=th:1: STALE_KEY recipient=th
        ke>np key=np:1: accepted, at np 1
    "#]],
    );
}

#[test]
fn who_is_not_active_sends_nothing() {
    let world = &["ke pending", "th suspended", "np withdrawn", "gb supervised"];
    check_in(
        world,
        &["ke>us", "th>us", "np>us", "gb>us", "us>gb"],
        expect![[r#"
        ke>us: SUSPENDED address=ke state=pending
        th>us: SUSPENDED address=th state=suspended
        np>us: SUSPENDED address=np state=withdrawn
        gb>us: accepted, at us 1
        us>gb: accepted, at gb 1
    "#]],
    );
}

#[test]
fn a_revoked_certificate_sends_nothing() {
    check(
        &[
            "ke>th",
            "revoke ke identity",
            "ke>th",
            "revoke th tls",
            "th>gb",
            "revoke cn ca",
            "cn>gb",
            "cn/hk>cn",
            "gb>cn,th",
            "ke/cus/kemba>ke",
        ],
        expect![[r#"
            ke>th: accepted, at th 1
            ke>th: REVOKED address=ke what=identity certificate
            th>gb: REVOKED address=th what=TLS certificate
            cn>gb: REVOKED address=cn what=TLS certificate
            cn/hk>cn: REVOKED address=cn/hk what=TLS certificate
            gb>cn,th: accepted, at cn 1, th 2
            ke/cus/kemba>ke: accepted, at ke 1
        "#]],
    );
}

#[test]
fn a_certificate_holds_through_its_last_second() {
    let identity_left = NP_IDENTITY_END.ms() - START.ms();
    let tls_left = TLS_END.ms() - NP_IDENTITY_END.ms();
    check(
        &[
            &format!("wait {identity_left}ms"),
            "np>gb",
            "wait 999ms",
            "np>gb",
            "wait 1ms",
            "np>gb",
            &format!("wait {}ms", tls_left - 1),
            "ke>gb",
            "wait 1ms",
            "ke>gb",
        ],
        expect![[r#"
            np>gb: accepted, at gb 1
            np>gb: accepted, at gb 2
            np>gb: REVOKED address=np what=identity certificate
            ke>gb: accepted, at gb 3
            ke>gb: REVOKED address=ke what=TLS certificate
        "#]],
    );
}

#[test]
fn what_no_grant_names_is_refused() {
    check(
        &[
            "ke>th,ipsg/ens notice",
            "ke>th query",
            "ke/cus/kemba>ke diffusion",
            "svc/imaf>gb query_result",
            "svc/imaf>gb",
            "org/latf>gb",
            "aud/network>gb",
            "aud/ke>ke",
            "ipsg/ccc>gb",
            "cn/hk>cn",
        ],
        expect![[r#"
            ke>th,ipsg/ens notice: NO_GRANT sender=ke what=the kind kind=KIND_NOTICE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th query: BAD_ENCODING
            ke/cus/kemba>ke diffusion: NO_GRANT sender=ke/cus/kemba what=the kind kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            svc/imaf>gb query_result: BAD_ENCODING
            svc/imaf>gb: NO_GRANT sender=svc/imaf what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            org/latf>gb: NO_GRANT sender=org/latf what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            aud/network>gb: NO_GRANT sender=aud/network what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            aud/ke>ke: NO_GRANT sender=aud/ke what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ipsg/ccc>gb: accepted, at gb 1
            cn/hk>cn: accepted, at cn 1
        "#]],
    );
}

/// The policy of the play grants them; the rules of this version cannot judge them.
#[test]
fn a_grant_covers_what_it_names_together() {
    check(
        &[
            "ke>ipsg/ens notice_request",
            "ke>th,ipsg/ens diffusion",
            "ke>th controlled_delivery confidential",
            "ke>th controlled_delivery",
            "ke>th confidential",
            "ke>th restricted",
        ],
        expect![[r#"
            ke>ipsg/ens notice_request: accepted, at ipsg/ens 1
            ke>th,ipsg/ens diffusion: accepted, at th 1, ipsg/ens 2
            ke>th controlled_delivery confidential: accepted, at th 2
            ke>th controlled_delivery: NO_GRANT sender=ke what=the message kind=KIND_CONTROLLED_DELIVERY priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th confidential: NO_GRANT sender=ke what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_CONFIDENTIAL
            ke>th restricted: accepted, at th 3
        "#]],
    );
}

#[test]
fn fields_stand_where_a_rule_reads_them() {
    check(
        &[
            "ke>th attachment",
            "ke>th group",
            "ke>th room",
            "ke>th target",
            "ke>th parent",
            "ke>th authority",
            "ke>th signer=ke/desk/duty-1",
            "ke>th",
        ],
        expect![[r#"
            ke>th attachment: NO_GRANT sender=ke what=attachments kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th group: NO_GRANT sender=ke what=the group kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th room: NO_GRANT sender=ke what=a room kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th target: NO_GRANT sender=ke what=a target kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th parent: NO_AUTHORITY
            ke>th authority: NO_AUTHORITY
            ke>th signer=ke/desk/duty-1: accepted, at th 1
            ke>th: accepted, at th 2
        "#]],
    );
}

#[test]
fn a_void_goes_to_the_own_bureau_and_nowhere_else() {
    check(
        &[
            "ke/cus/kemba>ke void",
            "ke>ke void",
            "ipsg/ens>ipsg/ens void",
            "cn/hk>cn void",
            "ke/cus/kemba>ke/cus/kemba void",
            "ke/cus/kemba>ke,ipsg/ens void",
            "ke/cus/kemba>th,ke void",
            "ke>ke/cus/kemba void",
            "ke>th void",
            "cn/hk>cn/hk void",
        ],
        expect![[r#"
            ke/cus/kemba>ke void: accepted, at ke 1
            ke>ke void: accepted, at ke 2
            ipsg/ens>ipsg/ens void: accepted, at ipsg/ens 1
            cn/hk>cn void: accepted, at cn 1
            ke/cus/kemba>ke/cus/kemba void: NO_GRANT sender=ke/cus/kemba what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke/cus/kemba>ke,ipsg/ens void: NO_GRANT sender=ke/cus/kemba what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke/cus/kemba>th,ke void: NO_GRANT sender=ke/cus/kemba what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>ke/cus/kemba void: NO_GRANT sender=ke what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th void: NO_GRANT sender=ke what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            cn/hk>cn/hk void: NO_GRANT sender=cn/hk what=a VOID to anybody but the own NCB, or oneself kind=KIND_VOID priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
}

#[test]
fn recipients_exist() {
    check(
        &["ke>gb,fr", "ke>node/dev-1", "ke>grp/wg/wildlife", "ke>fr,gb", "ke>gb,us"],
        expect![[r#"
            ke>gb,fr: UNKNOWN_RECIPIENT recipient=fr
            ke>node/dev-1: UNKNOWN_RECIPIENT recipient=node/dev-1
            ke>grp/wg/wildlife: NO_GRANT sender=ke what=a group kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>fr,gb: UNKNOWN_RECIPIENT recipient=fr
            ke>gb,us: accepted, at gb 1, us 1
        "#]],
    );
}

/// Its state was another when it published its keys; that entry is appended unjudged here, since no statement of this
/// version changes a state.
#[test]
fn recipients_are_active() {
    let states = [
        (ParticipantState::Pending, "UNKNOWN_RECIPIENT recipient=np"),
        (ParticipantState::Active, "accepted, at gb 1, np 1"),
        (ParticipantState::Supervised, "accepted, at gb 1, np 1"),
        (ParticipantState::Suspended, "UNKNOWN_RECIPIENT recipient=np"),
        (ParticipantState::Withdrawn, "UNKNOWN_RECIPIENT recipient=np"),
    ];
    for (state, expected) in states {
        let name = state.as_str_name().trim_start_matches("PARTICIPANT_STATE_").to_lowercase();
        let mut stage = Stage::with(changed(&[&format!("np {name}")]), Rules::default());
        if !stage::is_active(state) {
            let directory_index = stage.directory_size();
            let signed = stage.key_statement("np", &[(1, proto::v1::KeyState::Current)]);
            stage.append(envelope::entry::Entry::Directory { signed, directory_index });
        }
        assert_eq!(stage.act("ke>gb,np"), expected, "{name}");
    }
}

#[test]
fn recipients_are_cleared_for_the_classification() {
    check_in(
        &["th confidential", "gb official_use_only", "np restricted"],
        &[
            "ke>th,np restricted",
            "ke>th,gb restricted",
            "ke>org/latf restricted",
            "ke>gb official_use_only",
            "ke>org/latf,th official_use_only",
            "gb>th restricted",
        ],
        expect![[r#"
            ke>th,np restricted: accepted, at th 1, np 1
            ke>th,gb restricted: NOT_CLEARED recipient=gb classification=CLASSIFICATION_RESTRICTED
            ke>org/latf restricted: NOT_CLEARED recipient=org/latf classification=CLASSIFICATION_RESTRICTED
            ke>gb official_use_only: accepted, at gb 1
            ke>org/latf,th official_use_only: accepted, at org/latf 1, th 2
            gb>th restricted: accepted, at th 3
        "#]],
    );
}

#[test]
fn a_post_that_writes_abroad_copies_its_bureau() {
    check(
        &[
            "ke/cus/kemba>th",
            "ke/cus/kemba>th,ke",
            "ke/cus/kemba>ke",
            "ke/cus/kemba>ke/air/kenbo",
            "ke/cus/kemba>ke/air/kenbo,th",
            "ke/cus/kemba>ipsg/ens",
            "ke/cus/kemba>ipsg/ens,ke",
            "ke/cus/kemba>svc/imaf",
            "ke/cus/kemba>org/latf official_use_only",
            "ke/cus/kemba>org/latf,ke official_use_only",
            "ke/cus/kemba>aud/ke",
            "ke/desk/duty-1>th",
            "ke/desk/duty-1>th,ke",
            "cn/hk>gb",
            "cn/hk>gb,cn",
            "ke>th,ipsg/ens,svc/imaf",
        ],
        expect![[r#"
            ke/cus/kemba>th: OVERSIGHT_MISSING ncb=ke recipient=th
            ke/cus/kemba>th,ke: accepted, at th 1, ke 1
            ke/cus/kemba>ke: accepted, at ke 2
            ke/cus/kemba>ke/air/kenbo: accepted, at ke/air/kenbo 1
            ke/cus/kemba>ke/air/kenbo,th: OVERSIGHT_MISSING ncb=ke recipient=th
            ke/cus/kemba>ipsg/ens: OVERSIGHT_MISSING ncb=ke recipient=ipsg/ens
            ke/cus/kemba>ipsg/ens,ke: accepted, at ipsg/ens 1, ke 3
            ke/cus/kemba>svc/imaf: OVERSIGHT_MISSING ncb=ke recipient=svc/imaf
            ke/cus/kemba>org/latf official_use_only: OVERSIGHT_MISSING ncb=ke recipient=org/latf
            ke/cus/kemba>org/latf,ke official_use_only: accepted, at org/latf 1, ke 4
            ke/cus/kemba>aud/ke: OVERSIGHT_MISSING ncb=ke recipient=aud/ke
            ke/desk/duty-1>th: OVERSIGHT_MISSING ncb=ke recipient=th
            ke/desk/duty-1>th,ke: accepted, at th 2, ke 5
            cn/hk>gb: OVERSIGHT_MISSING ncb=cn recipient=gb
            cn/hk>gb,cn: accepted, at gb 1, cn 1
            ke>th,ipsg/ens,svc/imaf: accepted, at th 3, ipsg/ens 2, svc/imaf 1
        "#]],
    );
}

#[test]
fn a_post_abroad_is_reached_where_its_bureau_opened_it_and_gets_a_copy() {
    check(
        &[
            "ke>th/cus/thbkk",
            "ke>th/cus/thbkk,th",
            "ke>np/bor/x-birgunj,np",
            "ke>ke/desk/duty-1",
            "th>ke/desk/duty-1,ke",
            "gb>cn/hk",
            "gb>cn/hk,cn",
            "ipsg/ens>th/cus/thbkk",
            "ipsg/ens>th/cus/thbkk,th",
            "ipsg/ens>ipsg/ccc",
            "ke/cus/kemba>th/cus/thbkk",
            "ke/cus/kemba>th/cus/thbkk,th",
            "ke/cus/kemba>th/cus/thbkk,ke",
            "ke/cus/kemba>th/cus/thbkk,ke,th",
        ],
        expect![[r#"
            ke>th/cus/thbkk: OVERSIGHT_MISSING ncb=th recipient=th/cus/thbkk
            ke>th/cus/thbkk,th: accepted, at th/cus/thbkk 1, th 1
            ke>np/bor/x-birgunj,np: OVERSIGHT_MISSING ncb=np recipient=np/bor/x-birgunj
            ke>ke/desk/duty-1: accepted, at ke/desk/duty-1 1
            th>ke/desk/duty-1,ke: OVERSIGHT_MISSING ncb=ke recipient=ke/desk/duty-1
            gb>cn/hk: OVERSIGHT_MISSING ncb=cn recipient=cn/hk
            gb>cn/hk,cn: accepted, at cn/hk 1, cn 1
            ipsg/ens>th/cus/thbkk: OVERSIGHT_MISSING ncb=th recipient=th/cus/thbkk
            ipsg/ens>th/cus/thbkk,th: accepted, at th/cus/thbkk 2, th 2
            ipsg/ens>ipsg/ccc: accepted, at ipsg/ccc 1
            ke/cus/kemba>th/cus/thbkk: OVERSIGHT_MISSING ncb=ke recipient=th/cus/thbkk
            ke/cus/kemba>th/cus/thbkk,th: OVERSIGHT_MISSING ncb=ke recipient=th/cus/thbkk
            ke/cus/kemba>th/cus/thbkk,ke: OVERSIGHT_MISSING ncb=th recipient=th/cus/thbkk
            ke/cus/kemba>th/cus/thbkk,ke,th: accepted, at th/cus/thbkk 3, ke 1, th 3
        "#]],
    );
    check_in(
        &["np/bor/x-birgunj open", "th/cus/thbkk closed"],
        &["ke>np/bor/x-birgunj,np", "ke>th/cus/thbkk,th"],
        expect![[r#"
        ke>np/bor/x-birgunj,np: accepted, at np/bor/x-birgunj 1, np 1
        ke>th/cus/thbkk,th: OVERSIGHT_MISSING ncb=th recipient=th/cus/thbkk
    "#]],
    );
}

#[test]
fn the_general_secretariat_gets_its_copy_or_a_reason() {
    check(
        &[
            "ke>th ecomessage",
            "ke>th ecomessage opt-out",
            "ke>th,ipsg/ens ecomessage",
            "ke>th,ipsg/ccc ecomessage",
            "ke>th message",
            "ke>th request",
            "ke>th alert",
            "ke/cus/kemba>ke ecomessage",
        ],
        expect![[r#"
            ke>th ecomessage: IPSG_COPY_MISSING kind=KIND_ECOMESSAGE desk=ipsg/ens
            ke>th ecomessage opt-out: accepted, at th 1
            ke>th,ipsg/ens ecomessage: accepted, at th 2, ipsg/ens 1
            ke>th,ipsg/ccc ecomessage: IPSG_COPY_MISSING kind=KIND_ECOMESSAGE desk=ipsg/ens
            ke>th message: accepted, at th 3
            ke>th request: accepted, at th 4
            ke>th alert: accepted, at th 5
            ke/cus/kemba>ke ecomessage: IPSG_COPY_MISSING kind=KIND_ECOMESSAGE desk=ipsg/ens
        "#]],
    );
}

#[test]
fn flash_messages_of_a_day_are_counted() {
    check_in(
        &["flash 2"],
        &["ke>th flash", "ke>th urgent", "ke>th flash", "again 3", "ke>th flash", "ke>th urgent", "th>ke flash", "wait 5h", "ke>th flash"],
        expect![[r#"
            ke>th flash: accepted, at th 1
            ke>th urgent: accepted, at th 2
            ke>th flash: accepted, at th 3
            again 3: receipt again, of entry 41
            ke>th flash: QUOTA sender=ke what=FLASH messages used=2 max=2
            ke>th urgent: accepted, at th 4
            th>ke flash: accepted, at ke 1
            ke>th flash: accepted, at th 5
        "#]],
    );
    check_in(
        &["flash 0"],
        &["ke>th flash", "ke>th"],
        expect![[r#"
            ke>th flash: QUOTA sender=ke what=FLASH messages used=0 max=0
            ke>th: accepted, at th 1
        "#]],
    );
}

#[test]
fn the_directory_that_was_used_is_a_head_of_this_one() {
    check(
        &["ke>th size=19", "ke>th root=other", "ke>th size=20", "ke>th size=0", "keys np 2", "ke>th", "ke>th size=18"],
        expect![[r#"
            ke>th size=19: accepted, at th 1
            ke>th root=other: STALE_DIRECTORY size=19 newest=19
            ke>th size=20: STALE_DIRECTORY size=20 newest=19
            ke>th size=0: STALE_DIRECTORY size=0 newest=19
            ke>th: accepted, at th 2
            ke>th size=18: STALE_DIRECTORY size=18 newest=20
        "#]],
    );
    let mut stage = Stage::new();
    let old = stage.letter("ke>th", &[]);
    stage.act("keys np 2");
    let (size, before) = (stage.directory_size(), old.context.directory_size);
    assert_eq!((before, size), (19, 20));
    assert!(matches!(stage.submit(old.submission(), &old.peer), Ok(Admission::New(_))), "an older head will do");
    let mut newer = stage.letter("ke>th", &[]);
    newer.context.directory_root = old.context.directory_root.clone();
    let refusal = stage.submit(newer.submission(), &newer.peer).expect_err("a fork");
    assert_eq!(told(&refusal), "STALE_DIRECTORY size=20 newest=20");
}

/// Each line breaks its rule and the one of the line before.
#[test]
fn the_first_rule_that_fails_is_named() {
    let world = &["us suspended", "gb official_use_only", "flash 0"];
    let faults = [
        ("size=999", "STALE_DIRECTORY size=999 newest=18"),
        ("flash", "QUOTA sender=ke/cus/kemba what=FLASH messages used=0 max=0"),
        ("ecomessage", "IPSG_COPY_MISSING kind=KIND_ECOMESSAGE desk=ipsg/ens"),
    ];
    let mut stage = Stage::with(changed(world), Rules::default());
    let mut words = String::new();
    for (word, expected) in faults {
        words += &format!(" {word}");
        assert_eq!(stage.act(&format!("ke/cus/kemba>th,ke{words}")), expected);
    }
    let routes = [
        ("ke/cus/kemba>th", "OVERSIGHT_MISSING ncb=ke recipient=th"),
        ("ke/cus/kemba>th,gb", "NOT_CLEARED recipient=gb classification=CLASSIFICATION_RESTRICTED"),
        ("ke/cus/kemba>th,gb,fr", "UNKNOWN_RECIPIENT recipient=fr"),
    ];
    for (route, expected) in routes {
        assert_eq!(stage.act(&format!("{route}{words}")), expected);
    }
    let route = "ke/cus/kemba>th,gb,fr";
    words += " target";
    let no_grant =
        "NO_GRANT sender=ke/cus/kemba what=a target kind=KIND_ECOMESSAGE priority=PRIORITY_FLASH classification=CLASSIFICATION_RESTRICTED";
    assert_eq!(stage.act(&format!("{route}{words}")), no_grant);
    stage.act("revoke ke/cus/kemba identity");
    assert_eq!(stage.act(&format!("{route}{words}")), "REVOKED address=ke/cus/kemba what=identity certificate");
    stage.act("revoke ke/cus/kemba tls");
    assert_eq!(stage.act(&format!("{route}{words}")), "REVOKED address=ke/cus/kemba what=TLS certificate");
    stage.act("revoke us identity");
    assert_eq!(stage.act(&format!("us>th,gb,fr{words}")), "SUSPENDED address=us state=suspended");
    let faults = [
        ("key=th:2", "STALE_KEY recipient=th"),
        ("created=5m+1ms", "CLOCK_SKEW"),
        ("number=1025", "BAD_REFERENCE last_year=0 last_series=0 last_number=0"),
        ("life=1h", "BAD_ENCODING"),
        ("signature=altered", "BAD_SIGNATURE"),
        ("content=altered", "BAD_COMMITMENT"),
        ("tls=th", "NOT_SENDER"),
    ];
    for (word, expected) in faults {
        words += &format!(" {word}");
        assert_eq!(stage.act(&format!("us>th,gb,fr{words}")), expected);
    }
    stage.act("ke>th");
    assert_eq!(stage.act("ke>th number=1 created=-40d key=th:2"), "REFERENCE_REUSED reference=KE/2026/000001");
    assert_eq!(stage.act("ke>th number=1026 created=-40d key=th:2"), "BAD_REFERENCE last_year=2026 last_series=1 last_number=1");
    assert_eq!(stage.act("ke>th created=-40d key=th:2"), "EXPIRED");
}

/// Of two recipients, the first in the signed list is named, by the earliest rule.
#[test]
fn the_first_recipient_that_fails_is_named() {
    check(
        &["ke>th,np key=th:2 key=np:2", "ke>fr,de", "ke>org/latf,aud/ke", "ke/cus/kemba>th,gb"],
        expect![[r#"
        ke>th,np key=th:2 key=np:2: STALE_KEY recipient=th
        ke>fr,de: UNKNOWN_RECIPIENT recipient=fr
        ke>org/latf,aud/ke: NOT_CLEARED recipient=org/latf classification=CLASSIFICATION_RESTRICTED
        ke/cus/kemba>th,gb: OVERSIGHT_MISSING ncb=ke recipient=th
    "#]],
    );
}

#[test]
fn a_drill_is_judged_like_the_real_thing() {
    let steps = [
        "ke>th",
        "ke>th flash life=80h",
        "ke>th number=1",
        "ke>th number=2000",
        "ke>th created=6m",
        "ke>th created=-40d",
        "ke>th key=th:2",
        "gb>th",
        "aud/ke>ke alert",
        "ke>fr",
        "ke>org/latf",
        "ke/cus/kemba>th alert",
        "ke>np/bor/x-birgunj,np flash alert",
        "ke>th ecomessage",
        "ke>th flash",
        "ke>th flash",
        "ke>th size=99",
    ];
    let world = &["gb suspended", "flash 1"];
    let play = |drill: &str| {
        let mut stage = Stage::with(changed(world), Rules::default());
        let outcomes: Vec<String> = steps.iter().map(|step| stage.act(&format!("{step}{drill}"))).collect();
        outcomes
    };
    let real = play("");
    assert!(real.iter().filter(|outcome| outcome.starts_with("accepted")).count() >= 2 && real.len() == 17);
    assert_eq!(real, play(" exercise"));
}

/// Every kind, priority and class, whoever sends it: nothing passes that no single grant covers as a whole.
#[test]
fn grants_do_not_add_up() {
    let policy = stage::genesis().policy.expect("a policy");
    let mut stage = Stage::new();
    let mut accepted = 0;
    for (from, class) in
        [("ke", 1), ("cn/hk", 2), ("ke/cus/kemba", 3), ("ipsg/ens", 4), ("svc/imaf", 5), ("org/latf", 6), ("aud/network", 7)]
    {
        let to = address(from).own_ncb().map_or_else(|| "us,ipsg/ens".to_owned(), |own| format!("{own},ipsg/ens"));
        let to = if from == "ipsg/ens" { "us" } else { &to };
        for kind in (1..=25).filter_map(|kind| Kind::try_from(kind).ok()).filter(|kind| *kind != Kind::Void) {
            for priority in [Priority::Routine, Priority::Urgent] {
                for classification in 1..=3 {
                    let mut letter = stage.letter(&format!("{from}>{to}"), &["opt-out"]);
                    letter.context.kind = kind.into();
                    letter.context.priority = priority.into();
                    letter.context.classification = classification;
                    if matches!(kind, Kind::Query | Kind::QueryResult) {
                        letter.context.expires_ms = letter.context.created_ms + HOUR_MS;
                    }
                    // What else the policy grants goes to others than these.
                    let known = [Kind::Message, Kind::Request, Kind::Reply, Kind::Ecomessage, Kind::Alert, Kind::Diffusion].contains(&kind);
                    let granted = policy.grants.iter().any(|grant| {
                        known
                            && grant.class == class
                            && grant.kinds.contains(&kind.into())
                            && grant.priorities.contains(&priority.into())
                            && grant.classifications.contains(&classification)
                    });
                    let outcome = stage.submit(letter.submission(), &actor_of(from).peer).map_err(|refusal| refusal.name());
                    assert_eq!(outcome.as_ref().err(), if granted { None } else { Some(&"NO_GRANT") }, "{from} {kind:?} {classification}");
                    accepted += usize::from(granted);
                }
            }
        }
    }
    assert_eq!(accepted, 4 * 5 * 2 * 2 + 2 * 2, "four classes, without VOID and FLASH, and the bureaus' diffusions");
}

#[test]
fn a_series_full_of_holes_takes_no_further_hole() {
    let mut stage = Stage::new();
    for number in (1..=2049).step_by(2) {
        let told = stage.act(&format!("ke>th number={number}"));
        assert!(told.contains("accepted"), "{number}: {told}");
    }
    assert!(stage.act("ke>th number=2051").contains("BAD_REFERENCE"));
    assert!(stage.act("ke>th number=2050").contains("accepted"), "beside a used number it opens no hole");
    assert!(stage.act("ke>th number=2").contains("accepted"));
    assert!(stage.act("ke>th number=2052").contains("accepted"), "a hole was closed");
}
