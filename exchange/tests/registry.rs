//! Who a participant is, where it stands and what it may send: statements of its bureau, and what the rules make of them.
//!
//! Each test ends with the judge's opinion of the whole log, who must agree with every decision.

mod stage;

use bytes::Bytes;
use envelope::keys::SigningKey;
use envelope::statement::{self, Statement};
use exchange::state::Rows as _;
use expect_test::expect;
use proto::v1::{
    self, Audience, Classification, GroupSenders, Kind, OversightMode, ParticipantState, Priority, StandingReason, StatementKind,
};
use stage::{DAY_MS, HOUR_MS, Stage, actor_of, address, is_ca_of, issued, renewed, told};

/// A network in which `ke/air/kenbo` is certified and not enrolled.
fn without_kenbo() -> Stage {
    network_of(|who| *who != "ke/air/kenbo")
}

fn with_compliance() -> Stage {
    network_of(|_| true)
}

fn network_of(wanted: impl Fn(&&str) -> bool) -> Stage {
    let mut cast: Vec<&str> = stage::CAST.into_iter().chain(stage::EXTRA).filter(wanted).collect();
    cast.sort_unstable_by_key(|who| address(who));
    Stage::with(stage::genesis_of(&cast), exchange::Rules::default())
}

fn publish<S: Statement>(stage: &mut Stage, who: &str, statement: &S) -> String {
    publish_signed(stage, who, statement, &actor_of(who).identity)
}

fn publish_signed<S: Statement>(stage: &mut Stage, who: &str, statement: &S, key: &SigningKey) -> String {
    let signed = statement::sign(statement, &[key]).expect("signed");
    let before = (stage.exchange.state().digest(), stage.log.len());
    let outcome = stage.publish(who, signed).map_or_else(|refusal| told(&refusal), |()| "accepted".to_owned());
    let changed = (stage.exchange.state().digest(), stage.log.len()) != before;
    assert_eq!(changed, outcome == "accepted", "{outcome}");
    outcome
}

fn participant(who: &str, chain: Vec<Vec<u8>>) -> v1::Participant {
    v1::Participant {
        address: who.to_owned(),
        state: ParticipantState::Active.into(),
        identity_chain: chain.into_iter().map(Bytes::from).collect(),
        clearance: Classification::Restricted.into(),
        open_to_foreign: false,
        oversight: OversightMode::Copy.into(),
    }
}

fn enrolment(stage: &Stage, issuer: &str, participant: v1::Participant) -> v1::Enrolment {
    let head = stage.next_head_about(issuer, StatementKind::Enrolment, &participant.address);
    v1::Enrolment { head: Some(head), participant: Some(participant) }
}

fn standing(stage: &mut Stage, issuer: &str, subject: &str, state: ParticipantState) -> String {
    let head = Some(stage.next_head_about(issuer, StatementKind::Standing, subject));
    let statement = v1::Standing { head, state: state.into(), reason: StandingReason::Compromise.into() };
    publish(stage, issuer, &statement)
}

fn grant(kinds: &[Kind], audience: Audience) -> v1::Grant {
    v1::Grant {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        priorities: [Priority::Routine, Priority::Urgent].map(Into::into).to_vec(),
        classifications: vec![Classification::Restricted.into()],
        audience: audience.into(),
        expires_ms: 0,
    }
}

fn grants(stage: &mut Stage, issuer: &str, subject: &str, grants: Vec<v1::Grant>) -> String {
    let head = Some(stage.next_head_about(issuer, StatementKind::Grants, subject));
    publish(stage, issuer, &v1::GrantStatement { head, grants })
}

/// Plays steps and tells each with its outcome; then the judge must have found nothing.
fn check(stage: &mut Stage, steps: &[&str], expected: &expect_test::Expect) {
    let told: String = steps.iter().map(|step| format!("{step:?}: {}\n", stage.act(step))).collect();
    expected.assert_eq(&told);
    assert_eq!(stage.judge().findings(), []);
}

#[test]
fn a_bureau_enrols_those_below_it_with_certificates_of_its_own_ca() {
    let mut stage = without_kenbo();
    let own = actor_of("ke/air/kenbo").chain.clone();
    let attempts = [
        ("another bureau", "th", participant("ke/air/kenbo", own.clone())),
        ("the post itself, for another", "ke/cus/kemba", participant("ke/air/kenbo", own.clone())),
        ("another address than the certificate's", "ke", participant("ke/air/x-other", own.clone())),
        ("a certificate of another country", "ke", participant("ke/air/kenbo", issued("ke/air/kenbo", is_ca_of("th")).1)),
        ("a certificate by the root", "ke", participant("ke/air/kenbo", issued("ke/air/kenbo", is_ca_of("")).1)),
        ("no CA in the chain", "ke", participant("ke/air/kenbo", own[..1].to_vec())),
        ("a tls certificate's place", "ke", participant("ke/air/kenbo", vec![own[1].clone()])),
        ("as it should be", "ke", participant("ke/air/kenbo", own)),
    ];
    let mut text = String::new();
    for (what, issuer, participant) in attempts {
        let statement = enrolment(&stage, issuer, participant);
        text += &format!("{what}: {}\n", publish(&mut stage, issuer, &statement));
    }
    expect![[r#"
        another bureau: NO_AUTHORITY
        the post itself, for another: NO_AUTHORITY
        another address than the certificate's: CERTIFICATE_REFUSED
        a certificate of another country: CERTIFICATE_REFUSED
        a certificate by the root: CERTIFICATE_REFUSED
        no CA in the chain: CERTIFICATE_REFUSED
        a tls certificate's place: CERTIFICATE_REFUSED
        as it should be: accepted
    "#]]
    .assert_eq(&text);
    let keys = stage.key_statement("ke/air/kenbo", &[(1, v1::KeyState::Current)]);
    stage.publish("ke/air/kenbo", keys).expect("its first keys");
    check(
        &mut stage,
        &["ke/air/kenbo>ke", "ke/air/kenbo>ke,th", "th>ke,ke/air/kenbo"],
        &expect![[r#"
        "ke/air/kenbo>ke": accepted, at ke 1
        "ke/air/kenbo>ke,th": accepted, at ke 2, th 1
        "th>ke,ke/air/kenbo": OVERSIGHT_MISSING ncb=ke recipient=ke/air/kenbo
    "#]],
    );
}

#[test]
fn a_new_certificate_ends_the_old_key_and_keeps_the_state() {
    let mut stage = Stage::new();
    assert!(stage.act("ke/cus/kemba>ke").starts_with("accepted"));
    assert_eq!(standing(&mut stage, "ke", "ke/cus/kemba", ParticipantState::Suspended), "accepted");
    let (key, chain) = renewed("ke/cus/kemba");
    let before = stage.exchange.state().participant(&address("ke/cus/kemba")).expect("enrolled").key_id.clone();
    let statement = enrolment(&stage, "ke", participant("ke/cus/kemba", chain));
    assert_eq!(publish(&mut stage, "ke", &statement), "accepted");
    let row = stage.exchange.state().participant(&address("ke/cus/kemba")).expect("enrolled").clone();
    assert_eq!(row.state(), ParticipantState::Suspended, "an enrolment does not let anybody back in");
    assert!(row.key_id != before && row.key_id == key.public().key_id()[..] && !row.open_to_foreign);
    assert_eq!(standing(&mut stage, "ke", "ke/cus/kemba", ParticipantState::Active), "accepted");
    // The stage's actor still signs with the old key.
    check(
        &mut stage,
        &["ke/cus/kemba>ke"],
        &expect![[r#"
        "ke/cus/kemba>ke": NOT_SENDER
    "#]],
    );
}

#[test]
fn nobody_takes_anothers_key() {
    let mut stage = without_kenbo();
    let (key, _) = renewed("ke/cus/kemba");
    let of = |text: &str| {
        let ca = is_ca_of("ke");
        stage::certified_as(text, &key, ca)
    };
    for (who, outcome) in [("ke/cus/kemba", "accepted"), ("ke/air/kenbo", "CERTIFICATE_REFUSED")] {
        let statement = enrolment(&stage, "ke", participant(who, of(who)));
        assert!(publish(&mut stage, "ke", &statement).starts_with(outcome), "{who}");
    }
    assert_eq!(stage.judge().findings(), []);
}

#[test]
fn only_a_bureau_and_for_countries_compliance_set_a_state() {
    use ParticipantState::{Active, Supervised, Suspended, Withdrawn};
    let mut stage = with_compliance();
    let mut text = String::new();
    for (issuer, subject, state) in [
        ("ke", "ke/cus/kemba", Suspended),
        ("ke", "ke/cus/kemba", Suspended),
        ("ke", "ke/cus/kemba", Active),
        ("th", "ke/cus/kemba", Suspended),
        ("ipsg/compliance", "ke/cus/kemba", Suspended),
        ("ke/cus/kemba", "ke/desk/duty-1", Suspended),
        ("ke", "th", Suspended),
        ("ipsg/ens", "th", Suspended),
        ("ipsg/compliance", "th", Supervised),
        ("ipsg/compliance", "th", Withdrawn),
        ("ipsg/compliance", "svc/imaf", Suspended),
        ("ke", "ke/bor/x-nobody", Suspended),
        ("ke", "ke/cus/kemba", Withdrawn),
        ("ke", "ke/cus/kemba", Active),
        ("ipsg/compliance", "ke", Suspended),
        ("ke", "ke/air/kenbo", Suspended),
    ] {
        text += &format!("{issuer} calls {subject} {state:?}: {}\n", standing(&mut stage, issuer, subject, state));
    }
    expect![[r#"
        ke calls ke/cus/kemba Suspended: accepted
        ke calls ke/cus/kemba Suspended: accepted
        ke calls ke/cus/kemba Active: accepted
        th calls ke/cus/kemba Suspended: NO_AUTHORITY
        ipsg/compliance calls ke/cus/kemba Suspended: NO_AUTHORITY
        ke/cus/kemba calls ke/desk/duty-1 Suspended: NO_AUTHORITY
        ke calls th Suspended: NO_AUTHORITY
        ipsg/ens calls th Suspended: NO_AUTHORITY
        ipsg/compliance calls th Supervised: accepted
        ipsg/compliance calls th Withdrawn: NO_AUTHORITY
        ipsg/compliance calls svc/imaf Suspended: NO_AUTHORITY
        ke calls ke/bor/x-nobody Suspended: NO_AUTHORITY
        ke calls ke/cus/kemba Withdrawn: accepted
        ke calls ke/cus/kemba Active: NO_AUTHORITY
        ipsg/compliance calls ke Suspended: accepted
        ke calls ke/air/kenbo Suspended: SUSPENDED address=ke state=not active
    "#]]
    .assert_eq(&text);
    check(
        &mut stage,
        &["ke/cus/kemba>ke", "ke>gb", "gb>ke", "th>gb", "gb>th"],
        &expect![[r#"
        "ke/cus/kemba>ke": SUSPENDED address=ke/cus/kemba state=withdrawn
        "ke>gb": SUSPENDED address=ke state=suspended
        "gb>ke": UNKNOWN_RECIPIENT recipient=ke
        "th>gb": accepted, at gb 1
        "gb>th": accepted, at th 1
    "#]],
    );
    // Who was withdrawn comes back by a new enrolment, and is active then.
    let chain = actor_of("ke/cus/kemba").chain.clone();
    assert_eq!(standing(&mut stage, "ipsg/compliance", "ke", Active), "accepted");
    let statement = enrolment(&stage, "ke", participant("ke/cus/kemba", chain));
    assert_eq!(publish(&mut stage, "ke", &statement), "accepted");
    check(
        &mut stage,
        &["ke/cus/kemba>ke"],
        &expect![[r#"
        "ke/cus/kemba>ke": accepted, at ke 1
    "#]],
    );
}

#[test]
fn grants_of_its_own_are_all_that_somebody_may_send() {
    let mut stage = Stage::new();
    check(
        &mut stage,
        &["ke/cus/kemba>ke message", "ke/cus/kemba>ke alert urgent"],
        &expect![[r#"
        "ke/cus/kemba>ke message": accepted, at ke 1
        "ke/cus/kemba>ke alert urgent": accepted, at ke 2
    "#]],
    );
    let lasting = grant(&[Kind::Alert], Audience::OwnCountry);
    let ending = v1::Grant { expires_ms: stage.now.ms() + DAY_MS, ..grant(&[Kind::Request], Audience::Bureaus) };
    let mut text = String::new();
    for (issuer, subject) in [("th", "ke/cus/kemba"), ("ke/cus/kemba", "ke/desk/duty-1"), ("ke", "th"), ("ke", "ke/bor/x-nobody")] {
        text += &format!("{issuer} grants {subject}: {}\n", grants(&mut stage, issuer, subject, vec![lasting.clone()]));
    }
    expect![[r#"
        th grants ke/cus/kemba: NO_AUTHORITY
        ke/cus/kemba grants ke/desk/duty-1: NO_AUTHORITY
        ke grants th: NO_AUTHORITY
        ke grants ke/bor/x-nobody: NO_AUTHORITY
    "#]]
    .assert_eq(&text);
    assert_eq!(grants(&mut stage, "ke", "ke/cus/kemba", vec![lasting, ending]), "accepted");
    check(
        &mut stage,
        &[
            "ke/cus/kemba>ke alert urgent",
            "ke/cus/kemba>ke alert urgent official_use_only",
            "ke/cus/kemba>ke alert flash life=72h",
            "ke/cus/kemba>ke,th alert",
            "ke/cus/kemba>ke message",
            "ke/cus/kemba>ke,th request",
            "ke/cus/kemba>ke,th/cus/thbkk,th request",
            "ke/cus/kemba>ke void",
            "ke/desk/duty-1>ke message",
            "wait 25h",
            "ke/cus/kemba>ke,th request",
        ],
        &expect![[r#"
            "ke/cus/kemba>ke alert urgent": accepted, at ke 3
            "ke/cus/kemba>ke alert urgent official_use_only": NO_GRANT sender=ke/cus/kemba what=the message kind=KIND_ALERT priority=PRIORITY_URGENT classification=CLASSIFICATION_OFFICIAL_USE_ONLY
            "ke/cus/kemba>ke alert flash life=72h": NO_GRANT sender=ke/cus/kemba what=the message kind=KIND_ALERT priority=PRIORITY_FLASH classification=CLASSIFICATION_RESTRICTED
            "ke/cus/kemba>ke,th alert": NO_GRANT sender=ke/cus/kemba what=all of these recipients kind=KIND_ALERT priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            "ke/cus/kemba>ke message": NO_GRANT sender=ke/cus/kemba what=the message kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            "ke/cus/kemba>ke,th request": accepted, at ke 4, th 1
            "ke/cus/kemba>ke,th/cus/thbkk,th request": NO_GRANT sender=ke/cus/kemba what=all of these recipients kind=KIND_REQUEST priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            "ke/cus/kemba>ke void": accepted, at ke 5
            "ke/desk/duty-1>ke message": accepted, at ke 6
            "wait 25h": 
            "ke/cus/kemba>ke,th request": NO_GRANT sender=ke/cus/kemba what=the message any longer kind=KIND_REQUEST priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
    assert_eq!(grants(&mut stage, "ke", "ke/cus/kemba", Vec::new()), "accepted");
    check(
        &mut stage,
        &["ke/cus/kemba>ke alert urgent", "ke/cus/kemba>ke void"],
        &expect![[r#"
        "ke/cus/kemba>ke alert urgent": NO_GRANT sender=ke/cus/kemba what=the message kind=KIND_ALERT priority=PRIORITY_URGENT classification=CLASSIFICATION_RESTRICTED
        "ke/cus/kemba>ke void": accepted, at ke 7
    "#]],
    );
}

#[test]
fn a_post_in_relay_mode_writes_to_its_own_country() {
    let mut stage = Stage::new();
    let mut relayed = participant("ke/cus/kemba", actor_of("ke/cus/kemba").chain.clone());
    relayed.oversight = OversightMode::Relay.into();
    let statement = enrolment(&stage, "ke", relayed);
    assert_eq!(publish(&mut stage, "ke", &statement), "accepted");
    check(
        &mut stage,
        &[
            "ke/cus/kemba>ke",
            "ke/cus/kemba>ke,ke/desk/duty-1",
            "ke/cus/kemba>ke,th",
            "ke/cus/kemba>ke,ipsg/ens ecomessage",
            "th>ke,ke/cus/kemba",
        ],
        &expect![[r#"
            "ke/cus/kemba>ke": accepted, at ke 1
            "ke/cus/kemba>ke,ke/desk/duty-1": accepted, at ke 2, ke/desk/duty-1 1
            "ke/cus/kemba>ke,th": OVERSIGHT_MISSING ncb=ke recipient=th
            "ke/cus/kemba>ke,ipsg/ens ecomessage": OVERSIGHT_MISSING ncb=ke recipient=ipsg/ens
            "th>ke,ke/cus/kemba": OVERSIGHT_MISSING ncb=ke recipient=ke/cus/kemba
        "#]],
    );
}

/// Last year's statement is somebody's past.
#[test]
fn an_old_statement_does_not_come_back() {
    let mut stage = Stage::new();
    let head = Some(stage.next_head_about("ke", StatementKind::Standing, "ke/cus/kemba"));
    let free = v1::Standing { head, state: ParticipantState::Active.into(), reason: StandingReason::Routine.into() };
    assert_eq!(publish(&mut stage, "ke", &free), "accepted");
    assert_eq!(standing(&mut stage, "ke", "ke/cus/kemba", ParticipantState::Suspended), "accepted");
    stage.now = stage.now.plus(HOUR_MS);
    assert_eq!(publish(&mut stage, "ke", &free), "BAD_SEQUENCE seq=3");
    assert_eq!(stage.judge().findings(), []);
}

fn group(stage: &mut Stage, owner: &str, name: &str, members: &[&str], change: impl FnOnce(&mut v1::Group)) -> String {
    let head = Some(stage.next_head_about(owner, StatementKind::Group, name));
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    let mut statement = v1::Group { head, members, senders: GroupSenders::Members.into(), ends_ms: 0 };
    change(&mut statement);
    publish(stage, owner, &statement)
}

#[test]
fn a_group_is_its_owners_and_its_name_says_who_may_found_it() {
    let mut stage = Stage::new();
    let mut text = String::new();
    for (owner, name, members) in [
        ("ke", "grp/nest/ke", &["ke", "ke/cus/kemba"][..]),
        ("th", "grp/nest/ke", &["th"]),
        ("th", "grp/nest/gb", &["th"]),
        ("ke/cus/kemba", "grp/nest/ke", &["ke/cus/kemba"]),
        ("ke", "grp/op/4f2a", &["ke", "th"]),
        ("th", "grp/op/4f2a", &["th"]),
        ("ke/cus/kemba", "grp/op/5b", &["ke/cus/kemba"]),
        ("ipsg/ens", "grp/wg/wildlife", &["gb", "ke", "th"]),
        ("ke", "grp/wg/forestry", &["ke"]),
        ("ke", "case/77", &["ke", "th"]),
        ("svc/imaf", "case/78", &["svc/imaf"]),
        ("ipsg/ens", "all/ncb", &["ke"]),
        ("ke", "grp/op/4f2a", &["ke", "th", "xx"]),
        ("ke", "grp/op/4f2a", &["gb", "ke"]),
    ] {
        text += &format!("{owner} says {name} is {}: {}\n", members.join(" "), group(&mut stage, owner, name, members, |_| {}));
    }
    expect![[r#"
        ke says grp/nest/ke is ke ke/cus/kemba: accepted
        th says grp/nest/ke is th: NO_AUTHORITY
        th says grp/nest/gb is th: NO_AUTHORITY
        ke/cus/kemba says grp/nest/ke is ke/cus/kemba: NO_AUTHORITY
        ke says grp/op/4f2a is ke th: accepted
        th says grp/op/4f2a is th: NO_AUTHORITY
        ke/cus/kemba says grp/op/5b is ke/cus/kemba: NO_AUTHORITY
        ipsg/ens says grp/wg/wildlife is gb ke th: accepted
        ke says grp/wg/forestry is ke: NO_AUTHORITY
        ke says case/77 is ke th: accepted
        svc/imaf says case/78 is svc/imaf: NO_AUTHORITY
        ipsg/ens says all/ncb is ke: NO_AUTHORITY
        ke says grp/op/4f2a is ke th xx: NO_AUTHORITY
        ke says grp/op/4f2a is gb ke: accepted
    "#]]
    .assert_eq(&text);
    assert_eq!(stage.judge().findings(), []);
}

#[test]
fn through_a_group_its_members_write_to_its_members() {
    let mut stage = Stage::new();
    let wildlife = ["gb", "ke", "ke/cus/kemba", "th", "th/cus/thbkk"];
    assert_eq!(group(&mut stage, "ipsg/ens", "grp/wg/wildlife", &wildlife, |_| {}), "accepted");
    check(
        &mut stage,
        &[
            "ke>gb,th group",
            "ke>gb group",
            "ke>gb,np group",
            "ke>gb,ipsg/ens ecomessage group",
            "ke/cus/kemba>gb,ke group",
            "ke>th/cus/thbkk,th group",
            "ipsg/ens>gb,ke group",
            "np>gb group",
        ],
        &expect![[r#"
            "ke>gb,th group": accepted, at gb 1, th 1
            "ke>gb group": accepted, at gb 2
            "ke>gb,np group": STALE_DIRECTORY size=19 newest=19
            "ke>gb,ipsg/ens ecomessage group": accepted, at gb 3, ipsg/ens 1
            "ke/cus/kemba>gb,ke group": accepted, at gb 4, ke 1
            "ke>th/cus/thbkk,th group": accepted, at th/cus/thbkk 1, th 2
            "ipsg/ens>gb,ke group": accepted, at gb 5, ke 2
            "np>gb group": NO_GRANT sender=np what=the group kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
    let owner_only = |statement: &mut v1::Group| statement.senders = GroupSenders::Owner.into();
    assert_eq!(group(&mut stage, "ipsg/ens", "grp/wg/wildlife", &["gb", "ke"], owner_only), "accepted");
    check(
        &mut stage,
        &["ke>gb group", "ipsg/ens>gb,ke group", "ipsg/ens>gb,th group"],
        &expect![[r#"
        "ke>gb group": NO_GRANT sender=ke what=the group kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "ipsg/ens>gb,ke group": accepted, at gb 6, ke 3
        "ipsg/ens>gb,th group": STALE_DIRECTORY size=19 newest=19
    "#]],
    );
    let end = stage.now.plus(HOUR_MS).ms();
    assert_eq!(group(&mut stage, "ipsg/ens", "grp/wg/wildlife", &["gb", "ke"], |statement| statement.ends_ms = end), "accepted");
    check(
        &mut stage,
        &["ke>gb group", "wait 2h", "ke>gb group"],
        &expect![[r#"
            "ke>gb group": accepted, at gb 7
            "wait 2h": 
            "ke>gb group": NO_GRANT sender=ke what=the group, which has ended kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
        "#]],
    );
    assert_eq!(group(&mut stage, "ipsg/ens", "grp/wg/wildlife", &[], |_| {}), "accepted");
    check(
        &mut stage,
        &["ke>gb group", "ipsg/ens>gb group"],
        &expect![[r#"
            "ke>gb group": NO_GRANT sender=ke what=the group, which has ended kind=KIND_MESSAGE priority=PRIORITY_ROUTINE classification=CLASSIFICATION_RESTRICTED
            "ipsg/ens>gb group": STALE_DIRECTORY size=19 newest=19
        "#]],
    );
}
