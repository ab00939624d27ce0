//! The judge: an honest log has no finding, and whatever an honest gateway would not write is found at its index.

mod stage;

use bytes::Bytes;
use envelope::Timestamp;
use envelope::entry::{Entry, MessageEntry};
use envelope::keys::AwsLc;
use envelope::message::Envelope;
use envelope::seal::{DecryptionKey, seal};
use envelope::slots::Opening;
use envelope::statement::{self, Acknowledged, Delivered};
use exchange::Rows as _;
use exchange::rules::{Rule, all_rules};
use exchange::{Admission, Found, Identities, Judge, Prepared, Rules};
use proto::v1::{self, KemId, KeyState, SealedBody, StatementKind};
use stage::{HOUR_MS, Logged, START, Stage, actor_of, address, encryption_key, judge, pki};

/// What is found in `log`: entry and rule.
fn check(genesis_sha256: [u8; 32], log: &[Logged], expected: &[(u64, &str)]) {
    let judge = judge(genesis_sha256, log);
    let found: Vec<(u64, &str)> = judge.findings().iter().map(|finding| (finding.index, finding.rule)).collect();
    assert_eq!(found, expected, "{:#?}", judge.findings());
    assert_eq!(judge.size(), log.len() as u64);
    // The same entries, prepared ahead with the keys of an older state: the same findings, the same state.
    for late in [1, 7] {
        let ahead = judge_ahead(genesis_sha256, log, late);
        assert_eq!(ahead.findings(), judge.findings(), "pieces of {late}");
        assert_eq!(ahead.exchange().state().digest(), judge.exchange().state().digest());
    }
}

/// Judges a log in pieces of `late` entries, each prepared with the keys that were known before it.
fn judge_ahead(genesis_sha256: [u8; 32], log: &[Logged], late: usize) -> Judge<AwsLc> {
    let mut judge = Judge::new(genesis_sha256, AwsLc);
    let mut identities = Identities::default();
    for piece in log.chunks(late) {
        let prepare = |logged: &Logged| {
            let mut prepared = Prepared::new(logged.leaf, &logged.opening, logged.signatures.clone());
            prepared.check_signatures(&identities, &AwsLc);
            prepared
        };
        let prepared: Vec<Prepared> = piece.iter().map(prepare).collect();
        prepared.into_iter().for_each(|prepared| judge.feed_prepared(prepared));
        if !identities.is_of(judge.exchange().state()) {
            identities = Identities::of(judge.exchange().state());
        }
    }
    judge
}

/// What is found when the newest entry, and nothing else, is wrong.
fn check_newest(stage: &Stage, rule: &str) {
    check(stage.genesis_sha256, &stage.log, &[(stage.log.len() as u64 - 1, rule)]);
}

/// An honest day.
fn a_day() -> Stage {
    let mut stage = Stage::new();
    let steps = [
        "ke>th",
        "ke/cus/kemba>th/cus/thbkk,ke,th,ipsg/ens ecomessage urgent",
        "wait 50m",
        "th>ke flash exercise",
        "keys th 2",
        "ke>th key=th:1 number=9",
        "got th 1,2",
        "wait 30h",
        "tick",
        "ke>np series=2 after=2026.1.9",
        "revoke ke/air/kenbo tls",
        "seen th 1",
        "wait 60h",
        "tick",
        "got ipsg/ens 1",
        "ke>fr",
        "gb>us,cn",
    ];
    for step in steps {
        stage.act(step);
    }
    claim(&mut stage);
    stage.append(access(&stage, "aud/network"));
    stage.append(Entry::Refused(v1::Refused { sender: "ke".to_owned(), name: "UNKNOWN_RECIPIENT".to_owned(), ..v1::Refused::default() }));
    stage.append(clock_step(&stage, &pki().authority[..2]));
    stage.append(Entry::Started(v1::Started { random: vec![2; 16].into(), version: "1".to_owned() }));
    stage.act("us>gb");
    claim(&mut stage);
    let count = |kind| stage.log.iter().filter(|logged| logged.opening.kind() == kind).count();
    use v1::EntryKind::{Access, Advice, ClockStep, Expired, Mailbox, Message, RevocationsSeen, StateClaim};
    let kinds = [Message, Mailbox, Expired, Advice, RevocationsSeen, Access, ClockStep, StateClaim];
    assert_eq!(kinds.map(count), [7, 3, 3, 6, 1, 1, 1, 2], "the day has something of everything");
    stage
}

fn claim(stage: &mut Stage) {
    let claim = stage.exchange.batch(stage.log.len() as u64, stage.now).state_claim();
    stage.append(claim);
}

fn access(stage: &Stage, who: &str) -> Entry {
    let head = v1::StatementHead { expires_ms: stage.now.ms() + HOUR_MS, ..stage.next_head(who, StatementKind::Access) };
    let purpose = "audit".to_owned();
    Entry::Access(stage::sign(&v1::AccessStatement { head: Some(head), purpose, from_index: 0, to_index: 9 }, who))
}

fn clock_step(stage: &Stage, keys: &[envelope::keys::SigningKey]) -> Entry {
    let head = Some(stage.next_head("network", StatementKind::ClockStep));
    let statement = v1::ClockStep { head, now_ms: stage.now.ms() };
    Entry::ClockStep(statement::sign(&statement, &keys.iter().collect::<Vec<_>>()).expect("signed"))
}

fn entry(log: &[Logged], index: usize) -> Entry {
    Entry::read(&log[index].opening).expect("an entry")
}

/// The log with another entry in the place of one, as a dishonest writer would have written it.
fn forged(log: &[Logged], index: usize, entry: Entry) -> Vec<Logged> {
    let mut log = log.to_vec();
    let draft = entry.into_draft();
    let opening = Opening::new(draft.kind, [9; 32], draft.slots).expect("the slots of its kind");
    log[index].leaf = opening.leaf(log[index].leaf.at);
    log[index].opening = opening;
    log
}

fn with_message(log: &[Logged], index: usize, alter: impl Fn(&mut MessageEntry)) -> Vec<Logged> {
    let Entry::Message(mut message) = entry(log, index) else { panic!("entry {index} is a message") };
    alter(&mut message);
    forged(log, index, Entry::Message(message))
}

#[test]
fn an_honest_log_has_no_finding() {
    let stage = a_day();
    check(stage.genesis_sha256, &stage.log, &[]);
    assert_eq!(stage.judge().exchange().state().digest(), stage.exchange.state().digest());
    for size in 0..stage.log.len() {
        check(stage.genesis_sha256, &stage.log[..size], &[]);
    }
}

/// With keys that open and wraps that hold something, written in one batch after a pause.
#[test]
fn an_honest_batch_of_sealed_messages_has_no_finding() {
    let mut stage = Stage::new();
    let keys = [("th", DecryptionKey::generate()), ("np", DecryptionKey::generate())].map(|(who, key)| (who, key.expect("random bytes")));
    for (who, key) in &keys {
        let mut statement = stage.keys_of(who, &[(1, KeyState::DecryptOnly)]);
        statement.keys.push(v1::EncryptionKey { kem: KemId::XWing.into(), public: key.public().clone(), state: KeyState::Current.into() });
        stage.publish(who, stage::sign(&statement, who)).expect("new keys");
    }
    stage.now = stage.now.plus(9 * HOUR_MS);
    let mut batch = stage.exchange.batch(stage.log.len() as u64, stage.now);
    let mut log = stage.log.clone();
    let mut drafts = Vec::new();
    for from in ["ke", "gb", "ke"] {
        let mut letter = stage.letter(&format!("{from}>th,np"), &[]);
        letter.context.number = drafts.len() as u64 + 1;
        letter.context.signers = vec![v1::SignerRef { key_id: actor_of(from).identity.key_id().to_vec().into(), alg: 1 }];
        let body = SealedBody { media_type: "text/plain".to_owned(), content: Bytes::from_static(b"a truck, two crates") };
        let publics = keys.each_ref().map(|(_, key)| key.public().clone());
        let submission = seal(&letter.context, &body, &publics, &[&actor_of(from).identity]).expect("sound parts");
        let envelope = Envelope::parse(submission, &stage::network()).expect("a sound form");
        let verified = envelope.verify(&actor_of(from).peer, stage.exchange.state(), &AwsLc).expect("what was sealed");
        let Ok(Admission::New(admitted)) = batch.admit(Found::default(), verified) else { panic!("it is refused") };
        batch.push(&admitted.clone().into_entry().0).expect("it makes sense");
        drafts.push(admitted.into_draft());
    }
    let head = batch.head_due().expect("a head is due");
    batch.push(&head).expect("it makes sense");
    drafts.push(head.into_draft());
    drafts.push(batch.state_claim().into_draft());
    for draft in drafts {
        let opening = Opening::new(draft.kind, [5; 32], draft.slots).expect("the slots of its kind");
        let sealed: v1::SealedPayload = prost::Message::decode(draft.sealed.unwrap_or_default()).expect("what was encoded");
        log.push(Logged { leaf: opening.leaf(stage.now), opening, signatures: sealed.signatures });
    }
    check(stage.genesis_sha256, &log, &[]);
}

/// A gateway without a rule, and a message that breaks that rule only.
struct Lapse {
    rule: Rule,
    world: fn(&mut v1::Genesis),
    before: &'static [&'static str],
    letter: &'static str,
    name: &'static str,
}

const fn lapse(rule: Rule, before: &'static [&'static str], letter: &'static str, name: &'static str) -> Lapse {
    Lapse { rule, world: |_| {}, before, letter, name }
}

fn participant<'a>(genesis: &'a mut v1::Genesis, who: &str) -> &'a mut v1::Participant {
    genesis.participants.iter_mut().find(|participant| participant.address == who).expect("one of the cast")
}

const LAPSES: [Lapse; 34] = [
    lapse(Rule::Lifetime, &[], "ke>th life=72h-1ms", "BAD_ENCODING"),
    lapse(Rule::Lifetime, &[], "ke>th flash life=80h", "BAD_ENCODING"),
    lapse(Rule::Reference, &[], "ke>th number=1025", "BAD_REFERENCE"),
    lapse(Rule::Reference, &["ke>th"], "ke>th number=1 urgent", "REFERENCE_REUSED"),
    lapse(Rule::Reference, &["ke>th"], "ke>th series=2", "BAD_REFERENCE"),
    lapse(Rule::Expiry, &[], "ke>th created=-72h", "EXPIRED"),
    lapse(Rule::Skew, &[], "ke>th created=5m+1ms", "CLOCK_SKEW"),
    lapse(Rule::Keys, &["keys th 2 alone"], "ke>th key=th:1", "STALE_KEY"),
    lapse(Rule::Keys, &[], "ke>th key=th:np", "STALE_KEY"),
    Lapse {
        world: |genesis| participant(genesis, "ke").state = v1::ParticipantState::Suspended.into(),
        ..lapse(Rule::State, &[], "ke>th", "SUSPENDED")
    },
    lapse(Rule::Revocation, &["revoke ke identity"], "ke>th", "REVOKED"),
    lapse(Rule::Revocation, &["revoke ke tls"], "ke>th", "REVOKED"),
    lapse(Rule::Revocation, &["wait 30d"], "np>th", "REVOKED"),
    lapse(Rule::Kind, &[], "ke>th attachment", "NO_GRANT"),
    lapse(Rule::Kind, &[], "ke>th void", "NO_GRANT"),
    lapse(Rule::Kind, &[], "ke/cus/kemba>ke/air/kenbo alert", "NO_GRANT"),
    lapse(Rule::Grant, &[], "svc/imaf>th", "NO_GRANT"),
    lapse(Rule::Grant, &["found ipsg/ens grp/wg/wildlife gb,th"], "ke>th group", "NO_GRANT"),
    lapse(Rule::Permissions, &["permit ke ke/cus/kemba waiver 1d", "wait 1d", "head"], "ke/cus/kemba>ke authority=1", "NO_AUTHORITY"),
    lapse(Rule::Source, &["ke>np"], "gb>us parent=1", "NO_AUTHORITY"),
    lapse(Rule::Seats, &[], "ke>th signer=svc/imaf", "NO_GRANT"),
    Lapse {
        world: |genesis| genesis.policy.as_mut().expect("a policy").dual_control = vec![v1::Kind::Alert.into()],
        ..lapse(Rule::Seats, &[], "ke>th alert", "NO_GRANT")
    },
    Lapse {
        world: |genesis| participant(genesis, "np").state = v1::ParticipantState::Withdrawn.into(),
        ..lapse(Rule::Recipients, &["np publishes"], "ke>np", "UNKNOWN_RECIPIENT")
    },
    Lapse {
        world: |genesis| participant(genesis, "th").clearance = v1::Classification::OfficialUseOnly.into(),
        ..lapse(Rule::Clearance, &[], "ke>th", "NOT_CLEARED")
    },
    lapse(Rule::Oversight, &[], "ke/cus/kemba>th", "OVERSIGHT_MISSING"),
    lapse(Rule::Oversight, &[], "th>ke/desk/duty-1,ke", "OVERSIGHT_MISSING"),
    lapse(Rule::Oversight, &[], "th>ke/cus/kemba", "OVERSIGHT_MISSING"),
    lapse(Rule::IpsgCopy, &[], "ke>th ecomessage", "IPSG_COPY_MISSING"),
    lapse(Rule::Onward, &["ke>th h2"], "th>np parent=1 h2", "NO_ONWARD_PERMISSION"),
    Lapse {
        world: |genesis| {
            let grants = &mut genesis.policy.as_mut().expect("a policy").grants;
            grants.iter_mut().for_each(|grant| grant.classifications = vec![1, 2, 3]);
        },
        ..lapse(Rule::ClassAudience, &[], "ke>th,ipsg/ens confidential", "CLASS_AUDIENCE")
    },
    Lapse {
        world: |genesis| genesis.policy.as_mut().expect("a policy").flash_per_day = 1,
        ..lapse(Rule::Quota, &["ke>np flash"], "ke>th flash", "QUOTA")
    },
    lapse(Rule::Directory, &[], "ke>th size=99", "STALE_DIRECTORY"),
    lapse(Rule::Directory, &[], "ke>th root=other", "STALE_DIRECTORY"),
    lapse(Rule::Group, &["found ipsg/ens grp/wg/wildlife gb,ke"], "ke>gb,th group", "STALE_DIRECTORY"),
];

#[test]
fn a_gateway_without_a_rule_is_found_out_by_name() {
    for lapse in LAPSES {
        let mut stages = [Rules::default(), Rules::without(lapse.rule)].map(|rules| {
            let mut genesis = stage::genesis();
            (lapse.world)(&mut genesis);
            Stage::with(genesis, rules)
        });
        let mut expected = Vec::new();
        for step in lapse.before {
            for stage in &mut stages {
                if *step == "np publishes" {
                    // As when its state was another; no statement of this version changes one.
                    let directory_index = stage.directory_size();
                    let signed = stage.key_statement("np", &[(1, KeyState::Current)]);
                    expected = vec![(stage.log.len() as u64, "SUSPENDED")];
                    stage.append(Entry::Directory { signed, directory_index });
                    continue;
                }
                let outcome = stage.act(step);
                assert!(outcome.is_empty() || outcome.starts_with("accepted"), "{step}: {outcome}");
            }
        }
        let [honest, lax] = &mut stages;
        let what = format!("{:?}: {}", lapse.rule, lapse.letter);
        assert!(honest.act(lapse.letter).starts_with(lapse.name), "{what}");
        expected.push((lax.log.len() as u64, lapse.name));
        assert!(lax.act(lapse.letter).starts_with("accepted"), "{what} breaks another rule, too");
        lax.act("gb>us");
        check(lax.genesis_sha256, &lax.log, &expected);
    }
    let mut rules: Vec<Rule> = LAPSES.iter().map(|lapse| lapse.rule).collect();
    rules.dedup();
    assert_eq!(rules, all_rules(), "every rule has its lapse");
}

/// A post in RELEASE mode has written abroad.
fn held() -> Stage {
    let mut genesis = stage::genesis();
    participant(&mut genesis, "ke/cus/kemba").oversight = v1::OversightMode::Release.into();
    let mut stage = Stage::with(genesis, Rules::default());
    stage.act("ke/cus/kemba>ke,th");
    stage
}

#[test]
fn a_gateway_that_does_not_hold_what_is_to_be_held_is_found() {
    let stage = held();
    let index = stage.log.len() - 1;
    let let_go = with_message(&stage.log, index, |message| {
        message.places[1].mailbox_seq = 1;
        message.stub.held_by = String::new();
        message.decision.available = true;
    });
    check(stage.genesis_sha256, &let_go, &[(index as u64, "DECISION")]);
    let put_there = with_message(&stage.log, index, |message| message.places[1].mailbox_seq = 1);
    check(stage.genesis_sha256, &put_there, &[(index as u64, "DECISION")]);
}

#[test]
fn a_release_by_somebody_else_or_to_somebody_else_is_found() {
    let mut stage = held();
    stage.act("release ke 1");
    check(stage.genesis_sha256, &stage.log, &[]);
    let index = stage.log.len() - 1;
    let Entry::Release { signed, places } = entry(&stage.log, index) else { panic!("a release") };
    let elsewhere = vec![v1::Place { address: "np".to_owned(), mailbox_seq: 1 }];
    let other = forged(&stage.log, index, Entry::Release { signed: signed.clone(), places: elsewhere });
    check(stage.genesis_sha256, &other, &[(index as u64, "DECISION")]);
    let nowhere = forged(&stage.log, index, Entry::Release { signed: signed.clone(), places: Vec::new() });
    check(stage.genesis_sha256, &nowhere, &[(index as u64, "DECISION")]);
    // Signed by another bureau, about the same message.
    let read: v1::Release = statement::read(&signed).expect("a release");
    let head = v1::StatementHead { issuer: "th".to_owned(), ..read.head.clone().expect("a head") };
    let theirs = stage::sign(&v1::Release { head: Some(head), ..read }, "th");
    let usurped = forged(&stage.log, index, Entry::Release { signed: theirs, places });
    check(stage.genesis_sha256, &usurped, &[(index as u64, "NO_AUTHORITY")]);
}

#[test]
fn an_invented_acknowledgement_is_found() {
    let stage = {
        let mut stage = Stage::new();
        ["ke>th", "ke>th,np", "got th 1"].iter().for_each(|step| drop(stage.act(step)));
        stage
    };
    let invent = |who: &str, kind, seqs: &[u64], by: &str| {
        let statement = stage.mailbox_statement(who, kind, seqs);
        let signed = if kind == StatementKind::Delivered {
            stage::sign(&Delivered(statement), by)
        } else {
            stage::sign(&Acknowledged(statement), by)
        };
        Entry::Mailbox { signed, chain_sha256: actor_of(who).certified.chain_sha256 }
    };
    let found = |entry: Entry, rule: &str| {
        let mut stage = stage.clone();
        stage.append(entry);
        check_newest(&stage, rule);
    };
    found(invent("th", StatementKind::Acknowledged, &[1], "np"), "BAD_SIGNATURE");
    found(invent("np", StatementKind::Delivered, &[1], "th"), "BAD_SIGNATURE");
    found(invent("th", StatementKind::Delivered, &[3], "th"), "UNKNOWN_MESSAGE");
    found(invent("us", StatementKind::Delivered, &[1], "us"), "UNKNOWN_MESSAGE");
    let Entry::Mailbox { signed, chain_sha256 } = entry(&stage.log, stage.log.len() - 1) else { panic!("a delivery") };
    found(Entry::Mailbox { signed: signed.clone(), chain_sha256 }, "BAD_SEQUENCE");
    let relabelled = v1::SignedStatement { kind: StatementKind::Acknowledged.into(), ..signed.clone() };
    found(Entry::Mailbox { signed: relabelled, chain_sha256 }, "BAD_SIGNATURE");
    let other_chain = forged(&stage.log, stage.log.len() - 1, Entry::Mailbox { signed, chain_sha256: [1; 32] });
    check(stage.genesis_sha256, &other_chain, &[(stage.log.len() as u64 - 1, "DECISION")]);
}

#[test]
fn a_message_recorded_otherwise_than_the_rules_lead_to_is_found() {
    let mut stage = Stage::new();
    ["gb>th", "ke>th,np"].iter().for_each(|step| drop(stage.act(step)));
    let newest = stage.log.len() - 1;
    let found = |rule: &str, alter: fn(&mut MessageEntry)| {
        check(stage.genesis_sha256, &with_message(&stage.log, newest, alter), &[(newest as u64, rule)]);
    };
    found("DECISION", |message| message.places[0].mailbox_seq += 1);
    found("DECISION", |message| message.places[0].mailbox_seq -= 1);
    found("DECISION", |message| drop(message.places.pop()));
    found("DECISION", |message| message.places.swap(0, 1));
    found("DECISION", |message| message.places.push(v1::Place { address: "us".to_owned(), mailbox_seq: 1 }));
    found("DECISION", |message| message.places[1].address = "us".to_owned());
    found("DECISION", |message| message.stub.number += 1);
    found("DECISION", |message| message.stub.series += 1);
    found("DECISION", |message| message.stub.message_id = vec![1; 32].into());
    found("DECISION", |message| message.stub.priority = v1::Priority::Flash.into());
    found("DECISION", |message| message.stub.expires_ms -= 1);
    found("DECISION", |message| message.stub.retention_class = 6);
    found("DECISION", |message| message.decision.rules_version = 1);
    found("DECISION", |message| message.decision.policy_position = 2);
    found("DECISION", |message| message.decision.available = false);
    found("DECISION", |message| message.judged.directory_size += 1);
    found("DECISION", |message| message.judged.identity_chains_sha256.clear());
    found("NOT_SENDER", |message| message.stub.sender = "gb".to_owned());
    found("REVOKED", |message| message.judged.tls_not_after_ms = START.ms() - 1);
    found("BAD_COMMITMENT", |message| message.wrap_keys.truncate(1));
    found("STALE_KEY", |message| message.wrap_keys.swap(0, 1));
    found("STALE_KEY", |message| message.wrap_keys[0].1 = KemId::X25519);
    found("BAD_SIGNATURE", |message| message.signatures_sha256[0] ^= 1);
    found("BAD_ENCODING", |message| message.header = Bytes::from_static(&[1, 2, 3]));
}

/// The signatures are kept beside the opening; others than those of slot 2 are found, and so is a header of somebody else.
#[test]
fn signatures_and_header_belong_together() {
    let mut stage = Stage::new();
    ["gb>th", "gb>th urgent"].iter().for_each(|step| drop(stage.act(step)));
    let newest = stage.log.len() - 1;
    let (Entry::Message(first), Entry::Message(second)) = (entry(&stage.log, newest - 1), entry(&stage.log, newest)) else {
        panic!("messages")
    };
    let mut swapped = stage.log.clone();
    swapped[newest].signatures = swapped[newest - 1].signatures.clone();
    check(stage.genesis_sha256, &swapped, &[(newest as u64, "BAD_SIGNATURE")]);
    let mixed = MessageEntry { signatures_sha256: first.signatures_sha256, ..(*second).clone() };
    let mut mixed = forged(&stage.log, newest, Entry::Message(Box::new(mixed)));
    mixed[newest].signatures = mixed[newest - 1].signatures.clone();
    check(stage.genesis_sha256, &mixed, &[(newest as u64, "BAD_SIGNATURE")]);
    let mut bare = stage.log.clone();
    bare[newest].signatures.clear();
    check(stage.genesis_sha256, &bare, &[(newest as u64, "BAD_SIGNATURE")]);
}

#[test]
fn a_message_that_stands_twice_is_found() {
    let mut stage = Stage::new();
    stage.act("ke>th");
    let copy = stage.log[stage.log.len() - 1].clone();
    stage.log.push(copy);
    check_newest(&stage, "REFERENCE_REUSED");
}

/// A hidden message is missed by the next one of a mailbox, and leaves a gap in its sender's numbers.
#[test]
fn a_message_that_was_taken_out_is_found() {
    let mut stage = Stage::new();
    ["ke>th", "ke>th", "gb>th"].iter().for_each(|step| drop(stage.act(step)));
    let size = stage.log.len();
    let mut log = stage.log.clone();
    log.remove(size - 3);
    check(stage.genesis_sha256, &log, &[(size as u64 - 3, "DECISION")]);
    let (counts, gaps) = judge(stage.genesis_sha256, &log).references();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(address("gb"), 1), (address("ke"), 1)]);
    let gap = exchange::Gap { sender: address("ke"), year: 2026, series: 1, first: 1, last: 1 };
    assert_eq!(gaps, [gap]);
}

#[test]
fn references_are_counted_and_their_gaps_named() {
    let mut stage = Stage::new();
    for step in ["ke>th number=3", "ke>th number=7", "ke>th number=4", "ke>th series=2 after=2026.1.7", "gb>th", "gb>gb void"] {
        assert!(stage.act(step).starts_with("accepted"), "{step}");
    }
    let (counts, gaps) = stage.judge().references();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(address("gb"), 2), (address("ke"), 4)]);
    let gap = |first, last| exchange::Gap { sender: address("ke"), year: 2026, series: 1, first, last };
    assert_eq!(gaps, [gap(1, 2), gap(5, 6)]);
}

#[test]
fn a_wrong_head_is_found() {
    let mut stage = Stage::new();
    stage.act("wait 61m");
    stage.act("head");
    let newest = stage.log.len() - 1;
    let Entry::Head(head) = entry(&stage.log, newest) else { panic!("a head") };
    let wrong = [
        v1::Head { directory_root: vec![1; 32].into(), ..head.clone() },
        v1::Head { directory_size: head.directory_size - 1, ..head.clone() },
        v1::Head { directory_size: head.directory_size + 1, ..head },
    ];
    for head in wrong {
        check(stage.genesis_sha256, &forged(&stage.log, newest, Entry::Head(head)), &[(newest as u64, "HEAD")]);
    }
    // An old head repeated after the directory has grown.
    let old = entry(&stage.log, newest);
    stage.act("keys th 2");
    let newest = stage.log.len() - 1;
    check(stage.genesis_sha256, &forged(&stage.log, newest, old), &[(newest as u64, "HEAD")]);
}

#[test]
fn a_gateway_that_withholds_heads_is_found() {
    let mut stage = Stage::new();
    let quiet = |stage: &mut Stage, ms| {
        stage.now = stage.now.plus(ms);
        let now = stage.now;
        let mut batch = stage.exchange.batch(stage.log.len() as u64, now);
        let started = Entry::Started(v1::Started { random: vec![3; 16].into(), version: "1".to_owned() });
        batch.push(&started).expect("it makes sense");
        let (changes, _) = batch.finish();
        stage.exchange.fold(changes);
        let draft = started.into_draft();
        let opening = Opening::new(draft.kind, [4; 32], draft.slots).expect("the slots of its kind");
        stage.log.push(Logged { leaf: opening.leaf(now), opening, signatures: Vec::new() });
    };
    quiet(&mut stage, HOUR_MS);
    quiet(&mut stage, HOUR_MS);
    quiet(&mut stage, HOUR_MS);
    check(stage.genesis_sha256, &stage.log, &[]);
    quiet(&mut stage, 1);
    check_newest(&stage, "HEAD");
}

#[test]
fn a_wrong_claim_is_found() {
    let mut stage = a_day();
    let newest = stage.log.len() - 1;
    assert!(matches!(entry(&stage.log, newest), Entry::StateClaim(_)));
    let wrong = Entry::StateClaim(v1::StateClaim { state_sha256_sum: vec![7; 32].into() });
    check(stage.genesis_sha256, &forged(&stage.log, newest, wrong), &[(newest as u64, "STATE_CLAIM")]);
    // A claim that was right two entries ago.
    let late = entry(&stage.log, newest);
    stage.act("ke>th series=2");
    stage.append(late);
    check_newest(&stage, "STATE_CLAIM");
}

#[test]
fn a_message_that_is_never_called_expired_is_found_once() {
    let mut stage = Stage::new();
    ["ke>th", "wait 721h", "gb>us", "wait 1m", "us>gb", "wait 1m", "us>gb"].iter().for_each(|step| drop(stage.act(step)));
    let found = |stage: &Stage| -> Vec<String> {
        judge(stage.genesis_sha256, &stage.log).findings().iter().map(|finding| format!("{} {}", finding.rule, finding.text)).collect()
    };
    assert_eq!(found(&stage).len(), 1, "{:?}", found(&stage));
    assert!(found(&stage)[0].starts_with("EXPIRED message"), "{:?}", found(&stage));
    let mut stage = Stage::new();
    ["ke>th", "wait 721h", "gb>us", "tick", "wait 1m", "us>gb"].iter().for_each(|step| drop(stage.act(step)));
    assert_eq!(found(&stage), Vec::<String>::new(), "the first batch after a pause works through the backlog");
}

#[test]
fn an_invented_revocation_is_found() {
    let mut stage = Stage::new();
    stage.act("revoke ke tls");
    let honest = stage.log.last().map(|logged| Entry::read(&logged.opening).expect("readable")).expect("an entry");
    let Entry::RevocationsSeen { mut seen, list } = honest else { panic!("the newest entry is the list") };
    seen.added.push(v1::RevokedSerial { serial: vec![7].into() });
    stage.append(Entry::RevocationsSeen { seen: seen.clone(), list });
    check_newest(&stage, "REVOCATIONS");
    let mut stage = Stage::new();
    stage.append(Entry::RevocationsSeen { seen, list: Bytes::from_static(b"no list") });
    check_newest(&stage, "REVOCATIONS");
}

#[test]
fn a_message_that_expires_early_is_found() {
    let mut stage = Stage::new();
    ["ke>th,np", "gb>th"].iter().for_each(|step| drop(stage.act(step)));
    let index = stage.log.len() as u64 - 2;
    let found = |steps: &[&str], address: &str, mailbox_seq, rule: Option<&str>| {
        let mut stage = stage.clone();
        steps.iter().for_each(|step| drop(stage.act(step)));
        let at = stage.log.len() as u64;
        let expired = v1::Expired { index, places: vec![v1::Place { address: address.to_owned(), mailbox_seq }] };
        let Entry::Message(message) = stage.entry(index) else { panic!("a message") };
        let mut entries = vec![Entry::Expired(expired.clone())];
        entries.push(Entry::Advice {
            advice: v1::Advice {
                kind: v1::AdviceKind::NotDelivered.into(),
                told: "ke".to_owned(),
                seq: stage.exchange.state().mailbox(&stage::address("ke")).map_or(0, |row| row.last_advice) + 1,
                index,
                message_id: message.stub.message_id.clone(),
                sender: "ke".to_owned(),
                year: message.stub.year,
                series: 1,
                number: 1,
                priority: message.stub.priority,
                recipients: vec![address.to_owned()],
                since_ms: message.stub.expires_ms,
            },
            places: Vec::new(),
        });
        stage.append_together(entries);
        check(stage.genesis_sha256, &stage.log, &rule.map(|rule| (at, rule)).into_iter().collect::<Vec<_>>());
    };
    found(&["wait 72h"], "th", 1, None);
    found(&["wait 72h-1ms"], "th", 1, Some("EXPIRED"));
    found(&["wait 72h", "got th 1"], "th", 1, Some("EXPIRED"));
    found(&["wait 72h", "tick"], "th", 1, Some("EXPIRED"));
    found(&["wait 72h"], "th", 2, Some("EXPIRED"));
    found(&["wait 72h"], "us", 1, Some("EXPIRED"));
}

#[test]
fn time_that_goes_back_is_found() {
    let mut stage = Stage::new();
    stage.act("wait 1m");
    stage.act("ke>th");
    stage.now = Timestamp(stage.now.ms() - 1);
    stage.act("gb>us");
    check_newest(&stage, "TIME");
}

#[test]
fn another_genesis_is_found() {
    let stage = a_day();
    check([1; 32], &stage.log, &[(0, "GENESIS")]);
    let mut genesis = stage::genesis();
    genesis.random = vec![8; 16].into();
    let other = Stage::with(genesis, Rules::default());
    check(stage.genesis_sha256, &other.log, &[(0, "GENESIS")]);
    let mut twice = stage.log.clone();
    twice.push(stage.log[0].clone());
    twice[stage.log.len()].leaf.at = stage.now;
    check(stage.genesis_sha256, &twice, &[(stage.log.len() as u64, "APPLY")]);
}

#[test]
fn an_opening_of_another_leaf_is_found() {
    let mut stage = Stage::new();
    let start = Entry::Started(v1::Started { random: vec![2; 16].into(), version: "1".to_owned() });
    [start.clone(), start].into_iter().for_each(|entry| stage.append(entry));
    let newest = stage.log.len() - 1;
    let found = |alter: &dyn Fn(&mut [Logged])| {
        let mut log = stage.log.clone();
        alter(&mut log);
        check(stage.genesis_sha256, &log, &[(newest as u64, "OPENING")]);
    };
    found(&|log| log[newest].opening = log[newest - 1].opening.clone());
    found(&|log| log[newest].leaf.body = log[newest - 1].leaf.body);
    found(&|log| log[newest].leaf.class = envelope::slots::LeafClass::Message);
}

#[test]
fn statements_without_authority_are_found() {
    let stage = Stage::new();
    let by = |generations: &[(u32, KeyState)], who: &str| {
        let directory_index = stage.directory_size();
        Entry::Directory { signed: stage::sign(&stage.keys_of("th", generations), who), directory_index }
    };
    let current = [(2, KeyState::Current)];
    let wrong = [
        (access(&stage, "ke"), "NO_AUTHORITY"),
        (clock_step(&stage, &pki().authority[..1]), "BAD_SIGNATURE"),
        (by(&current, "np"), "BAD_SIGNATURE"),
        (entry(&stage.log, key_entry(&stage, "th")), "BAD_SEQUENCE"),
        (with_key_of("np", &stage), "KEY_REFUSED"),
    ];
    for (entry, rule) in wrong {
        let mut stage = stage.clone();
        let at = stage.log.len() as u64;
        let entry = match entry {
            Entry::Directory { signed, .. } => Entry::Directory { signed, directory_index: stage.directory_size() },
            entry => entry,
        };
        stage.append(entry);
        check(stage.genesis_sha256, &stage.log, &[(at, rule)]);
    }
}

/// The entry of somebody's first keys.
fn key_entry(stage: &Stage, who: &str) -> usize {
    let is = |at: &usize| match entry(&stage.log, *at) {
        Entry::Directory { signed, .. } => {
            statement::read::<v1::KeyStatement>(&signed).is_ok_and(|keys| keys.head.is_some_and(|head| head.issuer == who))
        }
        _ => false,
    };
    (0..stage.log.len()).find(is).expect("its keys")
}

/// `th` claims the key of another.
fn with_key_of(owner: &str, stage: &Stage) -> Entry {
    let mut statement = stage.keys_of("th", &[(2, KeyState::Current)]);
    statement.keys[0].public = encryption_key(owner, 1, KemId::XWing).0;
    Entry::Directory { signed: stage::sign(&statement, "th"), directory_index: 0 }
}

#[test]
fn a_place_in_the_directory_that_is_not_the_next_is_found() {
    let mut stage = Stage::new();
    stage.act("keys th 2");
    let at = key_entry(&stage, "us");
    for shift in [1, u64::MAX] {
        let Entry::Directory { signed, directory_index } = entry(&stage.log, at) else { panic!("keys") };
        let moved = Entry::Directory { signed, directory_index: directory_index.wrapping_add(shift) };
        check(stage.genesis_sha256, &forged(&stage.log, at, moved), &[(at as u64, "DIRECTORY")]);
    }
}

#[test]
fn a_statement_in_an_entry_of_another_kind_is_found() {
    let mut stage = Stage::new();
    stage.append(access(&stage, "aud/ke"));
    let newest = stage.log.len() - 1;
    let Entry::Access(signed) = entry(&stage.log, newest) else { panic!("an access") };
    let chain_sha256 = actor_of("aud/ke").certified.chain_sha256;
    // It cannot be applied as what it is not, either.
    let expected = [(newest as u64, "DECISION"), (newest as u64, "APPLY")];
    check(stage.genesis_sha256, &forged(&stage.log, newest, Entry::Mailbox { signed: signed.clone(), chain_sha256 }), &expected);
    check(stage.genesis_sha256, &forged(&stage.log, newest, Entry::ClockStep(signed)), &expected);
}

#[test]
fn without_its_genesis_nothing_in_a_log_holds() {
    let stage = Stage::new();
    let found = judge(stage.genesis_sha256, &stage.log[1..]);
    assert_eq!(found.size(), stage.log.len() as u64 - 1);
    let each: std::collections::BTreeSet<u64> = found.findings().iter().map(|finding| finding.index).collect();
    let silent = |index: &u64| matches!(entry(&stage.log, *index as usize + 1), Entry::Started(_));
    assert!((1..found.size()).all(|index| each.contains(&index) || silent(&index)), "{:?}", found.findings());
}
