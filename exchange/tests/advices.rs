//! Whom the gateway tells of a message that nobody took, or has seen, in time; and what a judge makes of one that tells otherwise.

mod stage;

use envelope::entry::Entry;
use expect_test::{Expect, expect};
use proto::v1;
use stage::{Logged, Stage};

/// Plays the steps, finds nothing, and shows every advice by its minute.
fn check(steps: &[&str], expected: Expect) {
    let stage = play(steps);
    assert_eq!(stage.judge().findings(), [], "the judge agrees");
    expected.assert_eq(&told(&stage.log));
}

fn play(steps: &[&str]) -> Stage {
    let mut stage = Stage::new();
    for step in steps {
        let outcome = stage.act(step);
        assert!(outcome.is_empty() || outcome.starts_with("accepted"), "{step}: {outcome}");
    }
    stage
}

fn told(log: &[Logged]) -> String {
    let line = |logged: &Logged| match Entry::read(&logged.opening).expect("an entry") {
        Entry::Advice { advice, places } => {
            let minutes = |ms: u64| (ms - stage::START.ms()) / 60_000;
            let what = match advice.kind() {
                v1::AdviceKind::NotDelivered => "not delivered",
                v1::AdviceKind::NotAcknowledged => "not acknowledged",
                v1::AdviceKind::Unspecified => "?",
            };
            let at: Vec<String> = places.iter().map(|place| format!("{}:{}", place.address, place.mailbox_seq)).collect();
            assert!(at.is_empty() || advice.recipients.iter().eq(places.iter().map(|place| &place.address)));
            let (told, seq, sender, number) = (&advice.told, advice.seq, &advice.sender, advice.number);
            let (recipients, since) = (advice.recipients.join(" "), minutes(advice.since_ms));
            Some(format!("{} to {told} {seq}: {sender} {number} {what} at {recipients} since {since}\n", minutes(logged.leaf.at.ms())))
        }
        _ => None,
    };
    log.iter().filter_map(line).collect()
}

#[test]
fn of_a_flash_the_bureau_hears_after_a_quarter_of_an_hour_and_the_centre_after_half_an_hour() {
    check(
        &[
            "ke>th,th/cus/thbkk,np flash",
            "got th 1",
            "seen np 1",
            "wait 14m",
            "tick",
            "wait 1m",
            "tick",
            "tick",
            "seen th 1",
            "wait 15m",
            "tick",
            "wait 71h",
            "tick",
        ],
        expect![[r#"
            15 to th 1: ke 1 not acknowledged at th th/cus/thbkk since 0
            30 to ipsg/ccc 1: ke 1 not acknowledged at th/cus/thbkk since 0
        "#]],
    );
}

#[test]
fn of_what_is_urgent_the_bureau_alone_hears_and_of_the_rest_nobody() {
    check(
        &[
            "ke>th,th/cus/thbkk urgent",
            "ke>np",
            "ke>np urgent exercise",
            "ke>gb flash exercise",
            "wait 239m",
            "tick",
            "wait 1m",
            "tick",
            "wait 60h",
            "tick",
        ],
        expect![[r#"
            240 to th 1: ke 1 not acknowledged at th th/cus/thbkk since 0
        "#]],
    );
}

#[test]
fn who_sent_it_hears_what_ended_unread_and_each_hears_in_one_row() {
    check(
        &["ke>th,np,gb life=72h", "ke>us flash", "got gb 1", "wait 15m", "tick", "wait 72h", "tick", "th>us flash", "wait 30m", "tick"],
        expect![[r#"
            15 to us 1: ke 2 not acknowledged at us since 0
            4335 to ipsg/ccc 1: ke 2 not acknowledged at us since 0
            4335 to ke 1: ke 1 not delivered at np th since 4320
            4335 to ke 2: ke 2 not delivered at us since 4320
            4365 to us 2: th 1 not acknowledged at us since 4335
            4365 to ipsg/ccc 2: th 1 not acknowledged at us since 4335
        "#]],
    );
}

#[test]
fn after_a_pause_both_are_told_at_once() {
    check(
        &["ke>th/cus/thbkk,th,ipsg/ccc flash", "wait 70h", "tick"],
        expect![[r#"
            4200 to ipsg/ccc 1: ke 1 not acknowledged at ipsg/ccc since 0
            4200 to th 1: ke 1 not acknowledged at th th/cus/thbkk since 0
            4200 to ipsg/ccc 2: ke 1 not acknowledged at ipsg/ccc th th/cus/thbkk since 0
        "#]],
    );
}

/// The newest entry in place of which another is written.
#[track_caller]
fn caught(stage: &Stage, entry: Entry, rule: Option<&str>) {
    let mut stage = stage.clone();
    let at = stage.log.len() as u64;
    stage.append(entry);
    let findings: Vec<_> = stage.judge().findings().iter().map(|finding| (finding.index, finding.rule)).collect();
    assert_eq!(findings, rule.map(|rule| (at, rule)).into_iter().collect::<Vec<_>>());
}

#[test]
fn a_gateway_that_tells_otherwise_is_caught() {
    let stage = play(&["ke>th,np flash", "seen np 1", "wait 15m"]);
    let mut honest = stage.clone();
    honest.act("tick");
    let Entry::Advice { advice, places } = honest.entry(stage.log.len() as u64) else { panic!("an advice") };
    caught(&stage, Entry::Advice { advice: advice.clone(), places: places.clone() }, None);
    let forged = |alter: &dyn Fn(&mut v1::Advice, &mut Vec<v1::Place>)| {
        let (mut advice, mut places) = (advice.clone(), places.clone());
        alter(&mut advice, &mut places);
        caught(&stage, Entry::Advice { advice, places }, Some("ADVICE"));
    };
    forged(&|advice, _| advice.kind = v1::AdviceKind::NotDelivered.into());
    forged(&|advice, _| advice.told = "gb".to_owned());
    forged(&|advice, _| advice.told = "ipsg/ccc".to_owned());
    forged(&|advice, _| advice.seq = 2);
    forged(&|advice, _| advice.seq = 0);
    forged(&|advice, _| advice.index += 1);
    forged(&|advice, _| advice.message_id = vec![1; 32].into());
    forged(&|advice, _| advice.sender = "gb".to_owned());
    forged(&|advice, _| advice.number = 2);
    forged(&|advice, _| advice.priority = 1);
    forged(&|advice, _| advice.since_ms += 1);
    forged(&|advice, _| advice.recipients.clear());
    forged(&|advice, places| {
        advice.recipients.push("np".to_owned());
        places.push(v1::Place { address: "np".to_owned(), mailbox_seq: 1 });
    });
    forged(&|advice, places| {
        advice.recipients = vec!["th".to_owned(); 2];
        places.push(places[0].clone());
    });
    forged(&|_, places| places[0].mailbox_seq = 9);
    forged(&|_, places| places.clear());
    // Too early, twice, after it was acknowledged, and as the step after.
    let early = play(&["ke>th,np flash", "seen np 1", "wait 899s"]);
    caught(&early, Entry::Advice { advice: advice.clone(), places: places.clone() }, Some("ADVICE"));
    let again = v1::Advice { seq: 2, ..advice.clone() };
    caught(&honest, Entry::Advice { advice: again, places: places.clone() }, Some("ADVICE"));
    let mut seen = stage.clone();
    assert_eq!(seen.act("seen th 1"), "");
    caught(&seen, Entry::Advice { advice, places }, Some("ADVICE"));
}

#[test]
fn a_gateway_that_tells_nobody_is_caught() {
    let findings = |stage: &Stage| -> Vec<String> {
        stage.judge().findings().iter().map(|finding| format!("{} {}", finding.rule, finding.text)).collect()
    };
    let silent = play(&["ke>th flash", "wait 76m", "gb>us", "wait 1m", "gb>us", "wait 1m", "us>gb"]);
    let found = findings(&silent);
    assert!(found.len() == 1 && found[0].starts_with("ADVICE message"), "{found:?}");
    let after_a_pause = play(&["ke>th flash", "wait 76m", "gb>us", "tick", "wait 1m", "us>gb"]);
    assert_eq!(findings(&after_a_pause), Vec::<String>::new());
    // The sender of what has ended is told in the very next entry, and of this message.
    let mut stage = play(&["ke>th", "gb>us", "wait 72h"]);
    let index = stage.log.len() as u64 - 2;
    let expired = Entry::Expired(v1::Expired { index, places: vec![v1::Place { address: "th".to_owned(), mailbox_seq: 1 }] });
    let mut honest = stage.clone();
    honest.act("tick");
    stage.append_together(vec![expired.clone(), expired_advice(&honest, index + 1)]);
    let found = findings(&stage);
    assert!(found.len() == 1 && found[0].starts_with("ADVICE it does not say"), "{found:?}");
    let mut stage = play(&["ke>th", "gb>us", "wait 72h"]);
    stage.append(expired);
    stage.act("gb>us");
    let found = findings(&stage);
    assert!(found.len() == 1 && found[0].starts_with("ADVICE the message"), "{found:?}");
}

/// The advice to the sender of the message at `index`.
fn expired_advice(stage: &Stage, index: u64) -> Entry {
    let all = (0..stage.log.len() as u64).map(|at| stage.entry(at));
    let mut of = all.filter(|entry| matches!(entry, Entry::Advice { advice, .. } if advice.index == index));
    of.next().expect("an advice")
}

/// What is held is told about from its release on, and ends without one for its sender's knowledge.
#[test]
fn of_what_is_held_the_clock_starts_with_the_release() {
    let mut stage = Stage::with(
        {
            let mut genesis = stage::genesis();
            let post = genesis.participants.iter_mut().find(|one| one.address == "ke/cus/kemba").expect("of the cast");
            post.oversight = v1::OversightMode::Release.into();
            genesis
        },
        exchange::Rules::default(),
    );
    for step in [
        "ke/cus/kemba>ke,gb urgent",
        "ke/cus/kemba>ke,th urgent",
        "seen ke 1,2",
        "wait 5h",
        "tick",
        "release ke 1",
        "wait 4h",
        "tick",
        "wait 72h",
        "tick",
    ] {
        stage.act(step);
    }
    assert_eq!(stage.judge().findings(), []);
    expect![[r#"
        540 to gb 1: ke/cus/kemba 1 not acknowledged at gb since 300
        4860 to ke/cus/kemba 1: ke/cus/kemba 1 not delivered at gb since 4320
        4860 to ke/cus/kemba 2: ke/cus/kemba 2 not delivered at th since 4320
    "#]]
    .assert_eq(&told(&stage.log));
}

/// A snapshot brings back what is still to be told.
#[test]
fn what_is_to_be_told_outlives_a_snapshot() {
    let mut stage = play(&["ke>th,np flash", "wait 15m", "tick", "wait 15m"]);
    let mut exchange = stage.exchange.clone();
    exchange.keep_snapshots();
    exchange.begin_snapshot_anew();
    let part = exchange.take_snapshot(stage.log.len() as u64);
    let rows = part.rows.iter().map(|(key, row)| (key.as_slice(), row.as_slice()));
    let (again, _) = exchange::Exchange::from_snapshot(rows, None, exchange::Rules::default()).expect("a snapshot");
    assert_eq!(again.due(stage.now, 9), stage.exchange.due(stage.now, 9));
    assert_eq!(again.due(stage.now, 9).len(), 1, "one entry for the centre");
    stage.act("tick");
    assert_eq!(stage.exchange.due(stage.now, 9), []);
}
