//! What each kind allows by itself, permissions that messages name, and messages that wait for somebody's word.
//!
//! Each test ends with the judge's opinion of the whole log, who must agree with every decision.

mod stage;

use exchange::Rules;
use exchange::rules::{Names, of_kind};
use expect_test::{Expect, expect};
use proto::v1::{self, Classification, Kind, OversightMode, ParticipantClass, ParticipantState, Priority};
use stage::Stage;

/// A network whose policy grants everything to everybody: what is refused here, a kind or a rule refuses.
fn generous(change: impl FnOnce(&mut v1::Genesis)) -> Stage {
    let mut cast: Vec<&str> = stage::CAST.into_iter().chain(stage::EXTRA).collect();
    cast.sort_unstable_by_key(|who| stage::address(who));
    let mut genesis = stage::genesis_of(&cast);
    let policy = genesis.policy.as_mut().expect("a policy");
    let all = |numbers: std::ops::RangeInclusive<i32>| numbers.collect::<Vec<i32>>();
    let grant = |class: i32| v1::ClassGrant {
        class,
        kinds: all(Kind::Message as i32..=Kind::Service as i32),
        priorities: all(Priority::Routine as i32..=Priority::Flash as i32),
        classifications: all(Classification::OfficialUseOnly as i32..=Classification::Confidential as i32),
    };
    policy.grants = (ParticipantClass::Ncb as i32..=ParticipantClass::Auditor as i32).map(grant).collect();
    change(&mut genesis);
    Stage::with(genesis, Rules::default())
}

fn set(genesis: &mut v1::Genesis, who: &str, change: impl FnOnce(&mut v1::Participant)) {
    change(genesis.participants.iter_mut().find(|participant| participant.address == who).expect("one of the cast"));
}

fn check(steps: &[&str], expected: Expect) {
    generous(|_| {}).play(steps, &expected);
}

#[test]
fn who_originates_a_kind() {
    check(
        &[
            "ke>ipsg/ens notice",
            "ipsg/ens>ke,th notice",
            "ke/cus/kemba>ke,ipsg/ens notice_request",
            "ke>ipsg/ens notice_request",
            "ke/cus/kemba>ke diffusion opt-out",
            "ke>th,ipsg/ens diffusion",
            "ke>th controlled_delivery confidential",
            "ke/cus/kemba>ke controlled_delivery confidential",
            "svc/imaf>ke hit",
            "ke>th hit",
            "org/latf>ke expert_request official_use_only",
            "ke/cus/kemba>ke expert_request",
            "ke/cus/kemba>ke service",
            "ipsg/ens>ke service",
        ],
        expect![[r#"
            ke>ipsg/ens notice: NO_GRANT sender=ke what=the kind kind=KIND_NOTICE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ipsg/ens>ke,th notice: accepted, at ke 1, th 1
            ke/cus/kemba>ke,ipsg/ens notice_request: NO_GRANT sender=ke/cus/kemba what=the kind kind=KIND_NOTICE_REQUEST priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>ipsg/ens notice_request: accepted, at ipsg/ens 1
            ke/cus/kemba>ke diffusion opt-out: NO_GRANT sender=ke/cus/kemba what=the kind kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,ipsg/ens diffusion: accepted, at th 2, ipsg/ens 2
            ke>th controlled_delivery confidential: accepted, at th 3
            ke/cus/kemba>ke controlled_delivery confidential: NO_GRANT sender=ke/cus/kemba what=the kind kind=KIND_CONTROLLED_DELIVERY priority=PRIORITY_ROUTINE classification=CLASSIFICATION_CONFIDENTIAL
            svc/imaf>ke hit: accepted, at ke 2
            ke>th hit: NO_GRANT sender=ke what=the kind kind=KIND_HIT priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            org/latf>ke expert_request official_use_only: NO_GRANT sender=org/latf what=the kind kind=KIND_EXPERT_REQUEST priority=PRIORITY_ROUTINE classification=CLASSIFICATION_OFFICIAL_USE_ONLY
            ke/cus/kemba>ke expert_request: accepted, at ke 3
            ke/cus/kemba>ke service: NO_GRANT sender=ke/cus/kemba what=the kind kind=KIND_SERVICE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ipsg/ens>ke service: accepted, at ke 4
        "#]],
    );
}

#[test]
fn whom_a_kind_reaches() {
    check(
        &[
            "ke/cus/kemba>ke alert",
            "ke/cus/kemba>ke/air/kenbo alert",
            "ke>th alert",
            "ke>ipsg/ens,th notice_request",
            "ke/cus/kemba>svc/imaf,ke query life=1h",
            "ke>svc/imaf query life=1h",
            "ke>svc/imaf,th query life=1h",
            "ke>th query life=1h",
            "ke>svc/imaf query",
            "svc/imaf>ke query_result answer life=1h",
            "svc/imaf>ke query_result life=1h",
            "ke>th,gb controlled_delivery confidential",
            "ke>th,ipsg/ens controlled_delivery confidential",
            "ke>th,gb controlled_delivery",
            "ke>th seizure",
            "found ke grp/op/x gb,ke,th",
            "ke>th,gb seizure via=grp/op/x",
            "found ipsg/ens grp/wg/wildlife gb,ke,th",
            "ke>th,gb seizure via=grp/wg/wildlife",
            "ke>th room",
            "ke>th attachment",
        ],
        expect![[r#"
            ke/cus/kemba>ke alert: accepted, at ke 1
            ke/cus/kemba>ke/air/kenbo alert: NO_GRANT sender=ke/cus/kemba what=it without the own bureau kind=KIND_ALERT priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th alert: accepted, at th 1
            ke>ipsg/ens,th notice_request: NO_GRANT sender=ke what=recipients but desks of the General Secretariat kind=KIND_NOTICE_REQUEST priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke/cus/kemba>svc/imaf,ke query life=1h: accepted, at svc/imaf 1, ke 2
            ke>svc/imaf query life=1h: accepted, at svc/imaf 2
            ke>svc/imaf,th query life=1h: NO_GRANT sender=ke what=recipients but services and the own bureau kind=KIND_QUERY priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th query life=1h: NO_GRANT sender=ke what=recipients but services and the own bureau kind=KIND_QUERY priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>svc/imaf query: BAD_ENCODING
            svc/imaf>ke query_result answer life=1h: accepted, at ke 3
            svc/imaf>ke query_result life=1h: NO_GRANT sender=svc/imaf what=it without the message that it answers kind=KIND_QUERY_RESULT priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,gb controlled_delivery confidential: accepted, at th 2, gb 1
            ke>th,ipsg/ens controlled_delivery confidential: NO_GRANT sender=ke what=recipients but bureaus by their names kind=KIND_CONTROLLED_DELIVERY priority=PRIORITY_ROUTINE classification=CLASSIFICATION_CONFIDENTIAL
            ke>th,gb controlled_delivery: CLASS_AUDIENCE classification=CLASSIFICATION_RESTRICTED
            ke>th seizure: NO_GRANT sender=ke what=it but through an operation's group kind=KIND_SEIZURE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,gb seizure via=grp/op/x: accepted, at th 3, gb 2
            ke>th,gb seizure via=grp/wg/wildlife: NO_GRANT sender=ke what=it but through an operation's group kind=KIND_SEIZURE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th room: NO_GRANT sender=ke what=a room kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th attachment: NO_GRANT sender=ke what=attachments kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
}

#[test]
fn a_notice_to_all_bureaus_leaves_out_whom_its_source_denies() {
    check(
        &[
            "ipsg/ens>cn,gb,ke,np,th,us notice via=all/ncb",
            "ipsg/ens>cn,gb,ke,np,us notice via=all/ncb",
            "ipsg/ens>cn,ke,ke/cus/kemba notice via=all/ncb",
            "ipsg/ens>cn,org/latf notice via=all/ncb official_use_only",
            "ke>cn,gb message via=all/ncb",
            "box th",
        ],
        expect![[r#"
            ipsg/ens>cn,gb,ke,np,th,us notice via=all/ncb: accepted, at cn 1, gb 1, ke 1, np 1, th 1, us 1
            ipsg/ens>cn,gb,ke,np,us notice via=all/ncb: accepted, at cn 2, gb 2, ke 2, np 2, us 2
            ipsg/ens>cn,ke,ke/cus/kemba notice via=all/ncb: STALE_DIRECTORY size=21 newest=21
            ipsg/ens>cn,org/latf notice via=all/ncb official_use_only: STALE_DIRECTORY size=21 newest=21
            ke>cn,gb message via=all/ncb: NO_GRANT sender=ke what=the group kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            box th: waiting 1; 1 Available
        "#]],
    );
}

#[test]
fn confidential_goes_to_bureaus_by_their_names_or_to_a_case_room() {
    check(
        &[
            "ke>th,gb confidential",
            "ke>th,ipsg/ens confidential",
            "found ke case/riacm-1 gb,ke,th",
            "ke>th,gb confidential via=case/riacm-1",
            "found ipsg/ens grp/wg/wildlife gb,ke,th",
            "ke>th,gb confidential via=grp/wg/wildlife",
            "ke>th,gb via=grp/wg/wildlife",
        ],
        expect![[r#"
            ke>th,gb confidential: accepted, at th 1, gb 1
            ke>th,ipsg/ens confidential: CLASS_AUDIENCE classification=CLASSIFICATION_CONFIDENTIAL
            ke>th,gb confidential via=case/riacm-1: accepted, at th 2, gb 2
            ke>th,gb confidential via=grp/wg/wildlife: CLASS_AUDIENCE classification=CLASSIFICATION_CONFIDENTIAL
            ke>th,gb via=grp/wg/wildlife: accepted, at th 3, gb 3
        "#]],
    );
}

#[test]
fn a_source_alone_corrects_and_deletes_and_reaches_everybody_who_got_it() {
    check(
        &[
            "ke>th,np",
            "ke>th,np correction target=1",
            "ke>th correction target=1",
            "th>ke,np deletion target=1",
            "ke>th,np deletion target=1",
            "ke>th,np deletion",
            "ke>th target=1",
            "th>ke deletion_attestation target=5",
            "th>gb deletion_attestation target=5",
            "gb>ke deletion_attestation target=5",
            "ke>th,np notice_cancel target=1",
            "ipsg/ens>ke,th notice",
            "ipsg/ens>ke,th notice_update target=12",
            "ipsg/ens>ke notice_cancel target=12",
        ],
        expect![[r#"
            ke>th,np: accepted, at th 1, np 1
            ke>th,np correction target=1: accepted, at th 2, np 2
            ke>th correction target=1: NO_AUTHORITY
            th>ke,np deletion target=1: NO_AUTHORITY
            ke>th,np deletion target=1: accepted, at th 3, np 3
            ke>th,np deletion: NO_GRANT sender=ke what=it without a target kind=KIND_DELETION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th target=1: NO_GRANT sender=ke what=a target kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            th>ke deletion_attestation target=5: accepted, at ke 1
            th>gb deletion_attestation target=5: NO_AUTHORITY
            gb>ke deletion_attestation target=5: NO_AUTHORITY
            ke>th,np notice_cancel target=1: NO_GRANT sender=ke what=the kind kind=KIND_NOTICE_CANCEL priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ipsg/ens>ke,th notice: accepted, at ke 2, th 4
            ipsg/ens>ke,th notice_update target=12: accepted, at ke 3, th 5
            ipsg/ens>ke notice_cancel target=12: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn a_post_deletes_with_its_bureaus_signature_on_it() {
    check(
        &[
            "ke/cus/kemba>ke,th",
            "ke/cus/kemba>ke,th deletion target=1",
            "permit th ke/cus/kemba countersignature 1",
            "permit ke ke/cus/kemba countersignature 1",
            "ke/cus/kemba>ke,th deletion target=1 authority=1",
            "ke/cus/kemba>ke,th deletion target=1 authority=2",
            "ke/cus/kemba>ke,gb",
            "ke/cus/kemba>ke,gb deletion target=5 authority=2",
        ],
        expect![[r#"
            ke/cus/kemba>ke,th: accepted, at ke 1, th 1
            ke/cus/kemba>ke,th deletion target=1: NO_AUTHORITY
            permit th ke/cus/kemba countersignature 1: NO_AUTHORITY
            ke/cus/kemba>ke,th deletion target=1 authority=1: NO_AUTHORITY
            ke/cus/kemba>ke,th deletion target=1 authority=2: accepted, at ke 2, th 2
            ke/cus/kemba>ke,gb: accepted, at ke 3, gb 1
            ke/cus/kemba>ke,gb deletion target=5 authority=2: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn what_is_bound_goes_on_with_its_senders_permission_and_stays_bound() {
    check(
        &[
            "ke>th h2",
            "th>np parent=1 h2",
            "permit ke th onward_grant 1 np",
            "th>np parent=1 h2 authority=1",
            "th>np parent=1 authority=1",
            "th>gb parent=1 h2 authority=1",
            "th>ke parent=1 h2",
            "gb>np parent=1 h2",
            "ke>gb parent=1 h2",
            "permit gb th onward_grant 1",
            "th>gb parent=1 h2 authority=2",
            "th>np",
            "np>gb parent=10",
            "ke>th parent=11",
        ],
        expect![[r#"
            ke>th h2: accepted, at th 1
            th>np parent=1 h2: NO_ONWARD_PERMISSION source=ke
            th>np parent=1 h2 authority=1: accepted, at np 1
            th>np parent=1 authority=1: NO_ONWARD_PERMISSION source=ke
            th>gb parent=1 h2 authority=1: NO_ONWARD_PERMISSION source=ke
            th>ke parent=1 h2: accepted, at ke 1
            gb>np parent=1 h2: NO_AUTHORITY
            ke>gb parent=1 h2: accepted, at gb 1
            th>gb parent=1 h2 authority=2: NO_ONWARD_PERMISSION source=ke
            th>np: accepted, at np 2
            np>gb parent=10: accepted, at gb 2
            ke>th parent=11: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn a_waiver_does_away_with_the_copy_until_it_ends() {
    check(
        &[
            "ke/cus/kemba>th",
            "permit ke ke/cus/kemba waiver 1d",
            "permit th ke/cus/kemba waiver 1d",
            "ke/cus/kemba>th authority=1",
            "ke/cus/kemba>th authority=2",
            "ke/air/kenbo>th authority=1",
            "wait 1d",
            "head",
            "ke/cus/kemba>th authority=1",
        ],
        expect![[r#"
            ke/cus/kemba>th: OVERSIGHT_MISSING ncb=ke recipient=th
            permit th ke/cus/kemba waiver 1d: NO_AUTHORITY
            ke/cus/kemba>th authority=1: accepted, at th 1
            ke/cus/kemba>th authority=2: NO_AUTHORITY
            ke/air/kenbo>th authority=1: NO_AUTHORITY
            ke/cus/kemba>th authority=1: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn in_release_mode_the_bureau_holds_what_goes_abroad() {
    let mut stage = generous(|genesis| set(genesis, "ke/cus/kemba", |post| post.oversight = OversightMode::Release.into()));
    stage.play(
        &[
            "ke/cus/kemba>ke",
            "ke/cus/kemba>th",
            "ke/cus/kemba>ke,th,ipsg/ens",
            "box th",
            "release th 3",
            "release ipsg/compliance 3",
            "th>ke",
            "ke>th",
            "release ke 3",
            "box th",
            "box ipsg/ens",
            "release ke 3",
            "ke/cus/kemba>ke,gb urgent",
            "refuse ke 6",
            "box gb",
            "release ke 6",
            "ke/cus/kemba>ke,us",
            "wait 73h",
            "release ke 7",
            "tick",
            "box us",
            "permit ke ke/cus/kemba waiver 30d",
            "head",
            "ke/cus/kemba>np authority=1",
        ],
        &expect![[r#"
            ke/cus/kemba>ke: accepted, at ke 1
            ke/cus/kemba>th: OVERSIGHT_MISSING ncb=ke recipient=th
            ke/cus/kemba>ke,th,ipsg/ens: accepted, at ke 2; held from th, ipsg/ens
            box th: waiting ; 
            release th 3: NO_AUTHORITY
            release ipsg/compliance 3: NO_AUTHORITY
            th>ke: accepted, at ke 3
            ke>th: accepted, at th 1
            box th: waiting 1 2; 1 Available, 2 Available
            box ipsg/ens: waiting 1; 1 Available
            release ke 3: NO_AUTHORITY
            ke/cus/kemba>ke,gb urgent: accepted, at ke 4; held from gb
            box gb: waiting ; 
            release ke 6: NO_AUTHORITY
            ke/cus/kemba>ke,us: accepted, at ke 5; held from us
            release ke 7: EXPIRED
            box us: waiting ; 
            ke/cus/kemba>np authority=1: accepted, at np 1
        "#]],
    );
}

#[test]
fn what_a_supervised_bureau_publishes_waits_for_the_compliance_desk() {
    let supervised = |genesis: &mut v1::Genesis| set(genesis, "np", |np| np.state = ParticipantState::Supervised.into());
    generous(supervised).play(
        &[
            "np>ke",
            "np>ke,ipsg/ens diffusion",
            "np>ke,ipsg/compliance,ipsg/ens diffusion",
            "box ke",
            "box ipsg/compliance",
            "refuse ipsg/compliance 3",
            "box ke",
            "np>ipsg/compliance,ipsg/ens notice_request",
            "release ipsg/compliance 4",
            "box ipsg/ens",
        ],
        &expect![[r#"
            np>ke: accepted, at ke 1
            np>ke,ipsg/ens diffusion: OVERSIGHT_MISSING ncb=ipsg/compliance recipient=ipsg/compliance
            np>ke,ipsg/compliance,ipsg/ens diffusion: accepted, at ipsg/compliance 1; held from ke, ipsg/ens
            box ke: waiting 1; 1 Available
            box ipsg/compliance: waiting 1; 1 Available
            box ke: waiting 1; 1 Available
            np>ipsg/compliance,ipsg/ens notice_request: accepted, at ipsg/compliance 2; held from ipsg/ens
            box ipsg/ens: waiting 1; 1 Available
        "#]],
    );
}

#[test]
fn two_seats_sign_where_the_network_asks_for_them() {
    let dual = |genesis: &mut v1::Genesis| {
        genesis.policy.as_mut().expect("a policy").dual_control = vec![Kind::Diffusion.into(), Kind::Deletion.into()];
    };
    generous(dual).play(
        &[
            "ke>th,ipsg/ens diffusion",
            "ke>th,ipsg/ens diffusion signer=ke/desk/duty-1",
            "ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=ke/desk/duty-2",
            "ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=ke/air/kenbo",
            "ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=th/cus/thbkk",
            "ke>th signer=ke/desk/duty-1",
            "ke/cus/kemba>ke signer=ke/desk/duty-1",
            "ke/cus/kemba>ke signer=ke",
        ],
        &expect![[r#"
            ke>th,ipsg/ens diffusion: NO_GRANT sender=ke what=the kind without the signatures of two officers' seats kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,ipsg/ens diffusion signer=ke/desk/duty-1: NO_GRANT sender=ke what=the kind without the signatures of two officers' seats kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=ke/desk/duty-2: accepted, at th 1, ipsg/ens 1
            ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=ke/air/kenbo: NO_GRANT sender=ke what=a signer that is no seat of the sender's bureau kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th,ipsg/ens diffusion signer=ke/desk/duty-1 signer=th/cus/thbkk: NO_GRANT sender=ke what=a signer that is no seat of the sender's bureau kind=KIND_DIFFUSION priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            ke>th signer=ke/desk/duty-1: accepted, at th 2
            ke/cus/kemba>ke signer=ke/desk/duty-1: accepted, at ke 1
            ke/cus/kemba>ke signer=ke: NO_GRANT sender=ke/cus/kemba what=a signer that is no seat of the sender's bureau kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
}

#[test]
fn every_kind_that_names_a_message_has_somebody_who_may_send_it() {
    for number in Kind::Message as i32..=Kind::Service as i32 {
        let kind = Kind::try_from(number).expect("a kind");
        let rules = of_kind(kind);
        assert!((1..=7).contains(&rules.retention), "{kind:?}");
        let by_id = matches!(rules.names, Names::OwnMessage | Names::GotMessage);
        assert_eq!(
            by_id,
            matches!(
                kind,
                Kind::NoticeUpdate
                    | Kind::NoticeCancel
                    | Kind::DiffusionCancel
                    | Kind::Correction
                    | Kind::Deletion
                    | Kind::DeletionAttestation
            ),
            "{kind:?}"
        );
    }
}

#[test]
fn a_post_says_nothing_abroad_by_a_permission() {
    let mut stage = generous(|genesis| set(genesis, "ke/cus/kemba", |post| post.oversight = OversightMode::Relay.into()));
    assert!(stage.act("ke/cus/kemba>ke,th").starts_with("OVERSIGHT_MISSING"));
    let mut head = stage.next_head_about("ke/cus/kemba", v1::StatementKind::Permission, "th");
    head.expires_ms = stage.now.plus(stage::DAY_MS).ms();
    let mut grant = v1::Permission {
        head: Some(head),
        kind: v1::AuthorityKind::OnwardGrant.into(),
        message_id: b"thirty-two bytes of my own text.".as_slice().into(),
        recipients: Vec::new(),
    };
    assert!(stage.publish("ke/cus/kemba", stage::sign(&grant, "ke/cus/kemba")).is_err(), "th is shown it, ke never");
    // Nor does a bureau name recipients that are none.
    let mut head = stage.next_head_about("ke", v1::StatementKind::Permission, "th");
    head.expires_ms = stage.now.plus(stage::DAY_MS).ms();
    (grant.head, grant.recipients) = (Some(head), vec!["xx/pol/the-lorry-leaves-at-nine".to_owned()]);
    assert!(stage.publish("ke", stage::sign(&grant, "ke")).is_err());
}

#[test]
fn what_is_bound_stays_its_first_senders() {
    check(
        &[
            "ke>th,np h2",
            "permit ke th onward_grant 1 gb",
            "th>ke parent=1 h2",
            "th>us parent=2",
            "th>us parent=2 h2",
            "th>gb parent=1 h2 authority=1",
            "permit th gb onward_grant 5 us",
            "gb>us parent=5 h2 authority=2",
            "th>us parent=5 h2",
            "th>gb parent=1 h3 authority=1",
            "gb>us parent=8",
            "gb>us parent=8 h2",
            "ke>us parent=5",
        ],
        expect![[r#"
            ke>th,np h2: accepted, at th 1, np 1
            th>ke parent=1 h2: accepted, at ke 1
            th>us parent=2: NO_ONWARD_PERMISSION source=ke
            th>us parent=2 h2: NO_ONWARD_PERMISSION source=ke
            th>gb parent=1 h2 authority=1: accepted, at gb 1
            gb>us parent=5 h2 authority=2: NO_ONWARD_PERMISSION source=ke
            th>us parent=5 h2: NO_ONWARD_PERMISSION source=ke
            th>gb parent=1 h3 authority=1: accepted, at gb 2
            gb>us parent=8: NO_ONWARD_PERMISSION source=ke
            gb>us parent=8 h2: NO_ONWARD_PERMISSION source=ke
            ke>us parent=5: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn who_was_refused_a_message_hears_nothing_of_it() {
    let supervised = |genesis: &mut v1::Genesis| set(genesis, "np", |np| np.state = ParticipantState::Supervised.into());
    generous(supervised).play(
        &[
            "np>ke,ipsg/compliance,ipsg/ens diffusion",
            "np>ke,ipsg/compliance,ipsg/ens correction target=1",
            "refuse ipsg/compliance 1",
            "np>ke,ipsg/compliance,ipsg/ens correction target=1",
            "np>ke,ipsg/compliance,ipsg/ens diffusion_cancel target=1",
            "np>ke,ipsg/compliance,ipsg/ens deletion target=1",
            "np>ipsg/compliance deletion target=1",
            "box ke",
            "np>ke,ipsg/compliance,ipsg/ens diffusion",
            "release ipsg/compliance 7",
            "np>ke,ipsg/compliance,ipsg/ens correction target=7",
            "box ke",
            "ke>th parent=1",
        ],
        &expect![[r#"
            np>ke,ipsg/compliance,ipsg/ens diffusion: accepted, at ipsg/compliance 1; held from ke, ipsg/ens
            np>ke,ipsg/compliance,ipsg/ens correction target=1: NO_AUTHORITY
            np>ke,ipsg/compliance,ipsg/ens correction target=1: NO_AUTHORITY
            np>ke,ipsg/compliance,ipsg/ens diffusion_cancel target=1: NO_AUTHORITY
            np>ke,ipsg/compliance,ipsg/ens deletion target=1: NO_AUTHORITY
            np>ipsg/compliance deletion target=1: accepted, at ipsg/compliance 2
            box ke: waiting ; 
            np>ke,ipsg/compliance,ipsg/ens diffusion: accepted, at ipsg/compliance 3; held from ke, ipsg/ens
            np>ke,ipsg/compliance,ipsg/ens correction target=7: accepted, at ipsg/compliance 4; held from ke, ipsg/ens
            box ke: waiting 1; 1 Available
            ke>th parent=1: NO_AUTHORITY
        "#]],
    );
}

#[test]
fn who_has_not_got_a_held_message_does_not_attest_to_it_nor_pass_it_on() {
    let release = |genesis: &mut v1::Genesis| set(genesis, "ke/cus/kemba", |post| post.oversight = OversightMode::Release.into());
    generous(release).play(
        &["ke/cus/kemba>ke,th,np", "th>np parent=1", "th>ke deletion_attestation target=1", "release ke 1", "th>np parent=1"],
        &expect![[r#"
            ke/cus/kemba>ke,th,np: accepted, at ke 1; held from th, np
            th>np parent=1: NO_AUTHORITY
            th>ke deletion_attestation target=1: NO_AUTHORITY
            th>np parent=1: accepted, at np 2
        "#]],
    );
}

#[test]
fn a_supervised_bureau_publishes_through_a_group_and_in_confidence() {
    let supervised = |genesis: &mut v1::Genesis| set(genesis, "np", |np| np.state = ParticipantState::Supervised.into());
    generous(supervised).play(
        &[
            "found ipsg/ens grp/wg/wildlife ke,np,th",
            "np>ke,th,ipsg/compliance,ipsg/ens diffusion via=grp/wg/wildlife",
            "np>ke,ipsg/compliance confidential diffusion opt-out",
            "ke>ipsg/ens confidential notice_request",
        ],
        &expect![[r#"
            np>ke,th,ipsg/compliance,ipsg/ens diffusion via=grp/wg/wildlife: accepted, at ipsg/compliance 1; held from ke, th, ipsg/ens
            np>ke,ipsg/compliance confidential diffusion opt-out: accepted, at ipsg/compliance 2; held from ke
            ke>ipsg/ens confidential notice_request: accepted, at ipsg/ens 1
        "#]],
    );
}

#[test]
fn a_relay_is_not_waived_and_desks_have_seats() {
    let world = |genesis: &mut v1::Genesis| {
        set(genesis, "ke/cus/kemba", |post| post.oversight = OversightMode::Relay.into());
        genesis.policy.as_mut().expect("a policy").dual_control = vec![Kind::Notice.into()];
    };
    generous(world).play(
        &[
            "permit ke ke/cus/kemba waiver 1d",
            "ke/cus/kemba>th authority=1",
            "ipsg/ens>ke,th notice signer=ke/desk/duty-1 signer=ke/desk/duty-2",
        ],
        &expect![[r#"
            ke/cus/kemba>th authority=1: OVERSIGHT_MISSING ncb=ke recipient=th
            ipsg/ens>ke,th notice signer=ke/desk/duty-1 signer=ke/desk/duty-2: NO_GRANT sender=ipsg/ens what=a signer that is no seat of the sender's bureau kind=KIND_NOTICE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
}
