//! The derived state: the same entries lead to the same rows, whatever way they are read; nothing else leads there.

mod stage;

use std::collections::BTreeMap;

use envelope::entry::{Entry, MessageEntry};
use envelope::{Address, Timestamp};
use exchange::exchange::SnapshotError;
use exchange::rules::Rule;
use exchange::state::{Key, Overlay, Row, Rows as _, State};
use exchange::{Due, Exchange, Rules};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use proto::v1::{self, RecipientState, StatementKind};
use stage::{START, Stage, address};

/// Plays `steps` and shows what the steps say that say something.
fn check(steps: &[&str], expected: Expect) {
    let mut stage = Stage::new();
    let mut text = String::new();
    for step in steps {
        let outcome = stage.act(step);
        let quiet = outcome.is_empty() || outcome.starts_with("accepted");
        if !quiet {
            text += &format!("{step}: {outcome}\n");
        }
    }
    expected.assert_eq(&text);
    assert_eq!(stage.judge().findings(), []);
    assert_eq!(replayed(&entries(&stage)).state().digest(), stage.exchange.state().digest());
}

/// A day with something of everything.
fn a_day() -> Stage {
    let steps = [
        "ke>th",
        "ke/cus/kemba>th/cus/thbkk,ke,th,ipsg/ens ecomessage urgent",
        "wait 90m",
        "th>ke flash exercise",
        "keys th 2",
        "got th 1,2",
        "ke>np number=7",
        "revoke ke/air/kenbo tls",
        "seen th 1",
        "ke>np series=2 after=2026.1.7",
        "wait 80h",
        "tick",
        "got ipsg/ens 1",
        "gb>us,cn",
    ];
    let mut stage = Stage::new();
    for step in steps {
        let outcome = stage.act(step);
        assert!(outcome.is_empty() || outcome.starts_with("accepted"), "{step}: {outcome}");
    }
    stage
}

/// The entries of a log with their times, as a reader of the ledger finds them.
fn entries(stage: &Stage) -> Vec<(Timestamp, Entry)> {
    stage.log.iter().map(|logged| (logged.leaf.at, Entry::read(&logged.opening).expect("an entry"))).collect()
}

fn replayed(entries: &[(Timestamp, Entry)]) -> Exchange {
    let mut exchange = Exchange::default();
    for (index, (at, entry)) in entries.iter().enumerate() {
        exchange.replay(index as u64, *at, entry).expect("it makes sense");
    }
    exchange
}

fn digest_of(entries: &[(Timestamp, Entry)]) -> [u8; 32] {
    replayed(entries).state().digest()
}

#[test]
fn a_replay_gives_the_same_state() {
    let stage = a_day();
    let again = replayed(&entries(&stage));
    assert_eq!(again.state().digest(), stage.exchange.state().digest());
    assert_eq!(snapshot(&again, 9), snapshot(&stage.exchange, 9));
}

#[test]
fn a_batch_of_many_gives_the_state_of_many_batches() {
    let entries = entries(&a_day());
    let mut exchange = Exchange::default();
    let mut first = 0;
    for chunk in entries.chunk_by(|one, other| one.0 == other.0) {
        let mut batch = exchange.batch(first, chunk[0].0);
        for (_, entry) in chunk {
            batch.push(entry).expect("it makes sense");
        }
        first = batch.next();
        let (changes, _) = batch.finish();
        exchange.fold(changes);
    }
    assert_eq!(exchange.state().digest(), digest_of(&entries));
}

#[test]
fn another_entry_time_or_order_gives_another_state() {
    let stage = a_day();
    let log = entries(&stage);
    let digest = digest_of(&log);
    let messages: Vec<usize> = (0..log.len()).filter(|at| matches!(log[*at].1, Entry::Message(_))).collect();
    for at in &messages {
        let mut later = log.clone();
        later[*at].0 = later[*at].0.plus(1);
        assert_ne!(digest_of(&later), digest, "entry {at}, a millisecond later");
        for alter in [priority as fn(&mut MessageEntry), number, recipient, end] {
            let mut altered = log.clone();
            let Entry::Message(message) = &mut altered[*at].1 else { unreachable!("a message") };
            alter(message);
            assert_ne!(digest_of(&altered), digest, "entry {at}");
        }
        let mut without = log.clone();
        without.remove(*at);
        assert_ne!(digest_of(&without), digest, "without entry {at}");
    }
    for pair in messages.windows(2) {
        let mut swapped = log.clone();
        let (one, other) = (swapped[pair[0]].1.clone(), swapped[pair[1]].1.clone());
        (swapped[pair[0]].1, swapped[pair[1]].1) = (other, one);
        assert_ne!(digest_of(&swapped), digest, "entries {pair:?} swapped");
    }
}

fn priority(message: &mut MessageEntry) {
    message.stub.priority = v1::Priority::Flash as i32 + v1::Priority::Routine as i32 - message.stub.priority;
    message.stub.priority += i32::from(message.stub.priority == v1::Priority::Urgent as i32);
}

fn number(message: &mut MessageEntry) {
    message.stub.number += 100;
}

fn recipient(message: &mut MessageEntry) {
    message.places[0].address = "us".to_owned();
    message.places[0].mailbox_seq += 10;
}

fn end(message: &mut MessageEntry) {
    message.stub.expires_ms += 1;
}

#[test]
fn another_rule_gives_another_state() {
    let play = |rules: Rules| {
        let mut stage = Stage::with(stage::genesis(), rules);
        ["ke>th", "ke/cus/kemba>gb", "ke>np"].iter().for_each(|step| drop(stage.act(step)));
        stage.exchange.state().digest()
    };
    assert_eq!(play(Rules::default()), play(Rules::default()));
    assert_eq!(play(Rules::default()), play(Rules::without(Rule::Quota)));
    assert_ne!(play(Rules::default()), play(Rules::without(Rule::Oversight)));
}

/// All rows, as the first part of a snapshot has them.
fn snapshot(exchange: &Exchange, size: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut exchange = exchange.clone();
    exchange.begin_snapshot_anew();
    let part = exchange.take_snapshot(size);
    assert_eq!((part.from, part.to), (0, size));
    part.rows
}

fn from_rows(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(Exchange, u64), SnapshotError> {
    Exchange::from_snapshot(rows.iter().map(|(key, row)| (key.as_slice(), row.as_slice())), None, Rules::default())
}

#[test]
fn a_snapshot_is_the_state() {
    let mut stage = a_day();
    let rows = snapshot(&stage.exchange, stage.log.len() as u64);
    let (again, size) = from_rows(&rows).expect("a sound snapshot");
    assert_eq!((again.state().digest(), size), (stage.exchange.state().digest(), stage.log.len() as u64));
    assert_eq!(snapshot(&again, size), rows);
    let later = START.plus(100 * stage::DAY_MS);
    let due = |exchange: &Exchange| exchange.due(later, 100).iter().map(|due| format!("{due:?}")).collect::<Vec<_>>();
    assert_eq!(due(&again), due(&stage.exchange), "what follows from the rows is there again");
    assert!(!due(&again).is_empty());
    let mut twin = stage.clone();
    twin.exchange = again;
    for step in ["box th", "gb>th urgent", "box th", "got th 3", "wait 1h", "ke>th series=2", "box th"] {
        assert_eq!(twin.act(step), stage.act(step), "{step}");
    }
    assert_eq!(twin.exchange.state().digest(), stage.exchange.state().digest());
}

/// Parts of the rows that have changed, laid one over the other, are the rows of the whole.
#[test]
fn the_parts_of_a_snapshot_are_the_whole() {
    let log = entries(&a_day());
    let (mut exchange, mut rows, mut taken) = (Exchange::default(), BTreeMap::new(), 0);
    exchange.keep_snapshots();
    for (index, (at, entry)) in (0..).zip(&log) {
        exchange.replay(index, *at, entry).expect("it makes sense");
        if index % 7 == 3 {
            let part = exchange.take_snapshot(index + 1);
            assert_eq!((part.from, part.to), (taken, index + 1));
            assert!(part.rows.len() < 80, "{} rows for seven entries", part.rows.len());
            taken = index + 1;
            rows.extend(part.rows);
            let (again, size) = from_rows(&rows).expect("a sound snapshot");
            assert_eq!((again.state().digest(), size), (exchange.state().digest(), taken));
        }
    }
    let (mut again, _) = from_rows(&rows).expect("a sound snapshot");
    again.keep_snapshots();
    for (index, (at, entry)) in (0..).zip(&log).skip(taken as usize) {
        again.replay(index, *at, entry).expect("it makes sense");
    }
    let part = again.take_snapshot(log.len() as u64);
    assert_eq!(part.from, taken, "it lies over the one that it was made from");
    rows.extend(part.rows);
    assert_eq!(rows, snapshot(&exchange, log.len() as u64));
}

/// The size is not part of the state; whoever keeps snapshots under their sizes compares it.
#[test]
fn a_snapshot_with_a_flipped_bit_is_refused() {
    let stage = a_day();
    let size = stage.log.len() as u64;
    let rows = snapshot(&stage.exchange, size);
    for (key, row) in &rows {
        let refuse = |other: &BTreeMap<Vec<u8>, Vec<u8>>, what: &str| match from_rows(other) {
            Ok((_, named)) => assert_ne!(named, size, "{what} of {key:02x?}"),
            Err(error) => assert!(matches!(error, SnapshotError::Malformed | SnapshotError::Digest)),
        };
        for at in (0..row.len()).step_by(5) {
            let mut other = rows.clone();
            other.get_mut(key).expect("a row")[at] ^= 1 << (at % 8);
            refuse(&other, "a flipped row");
        }
        let mut other = rows.clone();
        other.remove(key);
        refuse(&other, "a lost row");
        for at in 0..key.len() {
            let (mut other, mut bad) = (rows.clone(), key.clone());
            other.remove(key);
            bad[at] ^= 1 << (at % 8);
            other.insert(bad, row.clone());
            refuse(&other, "a flipped key");
        }
    }
    let mut other = rows.clone();
    other.insert([&[12], 1u64.to_be_bytes().as_slice()].concat(), Vec::new());
    assert!(from_rows(&other).is_err(), "a message row, which is never kept");
}

#[test]
fn a_dropped_batch_leaves_no_trace() {
    let stage = a_day();
    let before = snapshot(&stage.exchange, 1);
    let log = entries(&stage);
    let message = log.iter().map(|(_, entry)| entry).find(|entry| matches!(entry, Entry::Message(_))).expect("a message");
    let mut batch = stage.exchange.batch(stage.log.len() as u64, stage.now.plus(1));
    batch.push(message).expect("it makes sense");
    assert_ne!(claim(&batch.state_claim()), stage.exchange.state().digest(), "the batch sees itself");
    drop(batch);
    assert_eq!(snapshot(&stage.exchange, 1), before);
}

#[test]
fn an_entry_that_makes_no_sense_leaves_no_trace() {
    let mut stage = a_day();
    let before = snapshot(&stage.exchange, 1);
    let log = entries(&stage);
    let size = log.len() as u64;
    assert!(stage.exchange.replay(size, stage.now, &log[0].1).is_err(), "a second genesis");
    let broken = log.iter().find_map(|(_, entry)| match entry {
        Entry::Message(message) => {
            let mut message = message.clone();
            message.places.push(v1::Place { address: "no address".to_owned(), mailbox_seq: 1 });
            Some(Entry::Message(message))
        }
        _ => None,
    });
    assert!(stage.exchange.replay(size, stage.now, &broken.expect("a message")).is_err(), "a place at no address");
    assert_eq!(snapshot(&stage.exchange, 1), before);
    assert!(Exchange::default().replay(0, START, &log[1].1).is_err(), "no genesis");
}

/// The claim of a batch is the digest of the state after it.
#[test]
fn a_claim_is_the_digest_after_the_fold() {
    let log = entries(&a_day());
    let mut exchange = Exchange::default();
    for (index, (at, entry)) in log.iter().enumerate() {
        let mut batch = exchange.batch(index as u64, *at);
        batch.push(entry).expect("it makes sense");
        let claimed = claim(&batch.state_claim());
        let (changes, _) = batch.finish();
        exchange.fold(changes);
        assert_eq!(claimed, exchange.state().digest(), "entry {index}");
    }
}

fn claim(entry: &Entry) -> [u8; 32] {
    let Entry::StateClaim(claim) = entry else { panic!("a claim") };
    claim.state_sha256_sum.as_ref().try_into().expect("32 bytes")
}

#[test]
fn the_urgent_comes_first_then_the_oldest() {
    check(
        &[
            "ke>th",
            "np>th urgent",
            "gb>th flash",
            "us>th",
            "cn>th urgent",
            "ipsg/ens>th flash",
            "box th",
            "got th 3,5",
            "box th",
            "got th 1,2,4,6",
            "box th",
            "box us",
        ],
        expect![[r#"
            box th: waiting 3 6 2 5 1 4; 1 Available, 2 Available, 3 Available, 4 Available, 5 Available, 6 Available
            box th: waiting 6 2 1 4; 1 Available, 2 Available, 3 Delivered, 4 Available, 5 Delivered, 6 Available
            box th: waiting ; 1 Delivered, 2 Delivered, 3 Delivered, 4 Delivered, 5 Delivered, 6 Delivered
            box us: waiting ; 
        "#]],
    );
}

#[test]
fn a_message_is_delivered_then_acknowledged_and_never_goes_back() {
    check(
        &[
            "ke>th,np",
            "ke>th",
            "box th",
            "got th 1",
            "box th",
            "got th 1",
            "seen th 1",
            "got th 1",
            "box th",
            "seen th 2",
            "got th 2",
            "box th",
            "box np",
        ],
        expect![[r#"
            box th: waiting 1 2; 1 Available, 2 Available
            box th: waiting 2; 1 Delivered, 2 Available
            box th: waiting 2; 1 Acknowledged, 2 Available
            box th: waiting ; 1 Acknowledged, 2 Acknowledged
            box np: waiting 1; 1 Available
        "#]],
    );
}

#[test]
fn what_is_not_in_the_mailbox_cannot_be_taken() {
    check(
        &["ke>th", "got th 2", "got th 1,2", "got np 1", "seen th 2", "box th", "got th 1", "box th"],
        expect![[r#"
        got th 2: UNKNOWN_MESSAGE mailbox_seq=2
        got th 1,2: UNKNOWN_MESSAGE mailbox_seq=2
        got np 1: UNKNOWN_MESSAGE mailbox_seq=1
        seen th 2: UNKNOWN_MESSAGE mailbox_seq=2
        box th: waiting 1; 1 Available
        box th: waiting ; 1 Delivered
    "#]],
    );
    let mut stage = Stage::new();
    ["ke>th", "gb>th"].iter().for_each(|step| drop(stage.act(step)));
    let mut statement = stage.mailbox_statement("th", StatementKind::Delivered, &[1]);
    statement.items[0].message_id = stage.item("th", 2).message_id;
    let refusal = stage.publish("th", stage::sign(&envelope::statement::Delivered(statement), "th")).expect_err("another message");
    assert_eq!(stage::told(&refusal), "UNKNOWN_MESSAGE mailbox_seq=1");
}

#[test]
fn what_nobody_takes_expires_and_may_be_taken_late() {
    check(
        &[
            "ke>th,np",
            "ke>th life=30d",
            "got np 1",
            "wait 72h-1ms",
            "tick",
            "box th",
            "wait 1ms",
            "tick",
            "box th",
            "box np",
            "tick",
            "got th 1",
            "box th",
            "seen th 1",
            "box th",
            "wait 30d",
            "tick",
            "seen th 2",
            "box th",
        ],
        expect![[r#"
            box th: waiting 1 2; 1 Available, 2 Available
            box th: waiting 2; 1 Expired, 2 Available
            box np: waiting ; 1 Delivered
            box th: waiting 2; 1 Delivered, 2 Available
            box th: waiting 2; 1 Acknowledged, 2 Available
            box th: waiting ; 1 Acknowledged, 2 Acknowledged
        "#]],
    );
}

#[test]
fn what_has_ended_comes_oldest_end_first_and_no_more_than_asked_for() {
    let mut stage = Stage::new();
    for step in ["ke>th,np,gb life=5d", "gb>th,np", "np>th life=4d"] {
        stage.act(step);
    }
    let first = stage.log.len() as u64 - 3;
    let due = |stage: &Stage, max| -> Vec<(u64, usize)> {
        let of = |due: &Due| match due {
            Due::Ended { index, places } => (index - first, places.len()),
            Due::NotAcknowledged { .. } => panic!("{due:?}"),
        };
        stage.exchange.due(START.plus(6 * stage::DAY_MS), max).iter().map(of).collect()
    };
    assert_eq!(due(&stage, 100), [(1, 2), (2, 1), (0, 3)]);
    assert_eq!(due(&stage, 4), [(1, 2), (2, 1), (0, 1)]);
    assert_eq!(due(&stage, 0), []);
    assert_eq!(stage.exchange.due(START.plus(3 * stage::DAY_MS - 1), 100).len(), 0);
}

/// Of a message the state knows stub, places and time; a purge leaves no less.
#[test]
fn a_purge_changes_nothing() {
    let log = entries(&a_day());
    let mut purged = log.clone();
    for (_, entry) in &mut purged {
        if let Entry::Message(message) = entry {
            let (stub, places) = (message.stub.clone(), message.places.clone());
            *entry = Entry::Message(Box::new(MessageEntry {
                header: bytes::Bytes::new(),
                signatures_sha256: [0; 32],
                judged: v1::Judged::default(),
                tls_fingerprint: [0; 32],
                decision: v1::Decision::default(),
                stub,
                places,
                sealed_sha256: [0; 32],
                wrap_keys: Vec::new(),
            }));
        }
    }
    assert_eq!(snapshot(&replayed(&purged), 3), snapshot(&replayed(&log), 3));
}

fn an_address() -> impl Strategy<Value = Address> {
    "[a-z]{2}(/[a-z0-9]{1,8}){0,3}".prop_filter_map("an address", |text| Address::parse(&text).ok())
}

fn a_key() -> impl Strategy<Value = Key> {
    let kind = (0..=13i32).prop_filter_map("a kind", |kind| StatementKind::try_from(kind).ok());
    let party = || prop::option::of(an_address());
    let id = any::<[u8; 32]>();
    prop_oneof![
        Just(Key::Network),
        Just(Key::Clock),
        an_address().prop_map(Key::Participant),
        id.prop_map(Key::Identity),
        an_address().prop_map(Key::Keys),
        id.prop_map(Key::KeyOwner),
        (party(), kind, party()).prop_map(|(issuer, kind, subject)| Key::Chain(issuer, kind, subject)),
        an_address().prop_map(Key::Sender),
        (an_address(), any::<u32>(), any::<u32>()).prop_map(|(sender, year, series)| Key::Series(sender, year, series)),
        an_address().prop_map(Key::Mailbox),
        (an_address(), any::<u64>()).prop_map(|(address, seq)| Key::Place(address, seq)),
        any::<u64>().prop_map(Key::Message),
        id.prop_map(Key::Crl),
        (id, prop::collection::vec(any::<u8>(), 0..21)).prop_map(|(issuer, serial)| Key::Revoked(issuer, serial)),
        Just(Key::Directory),
        any::<u64>().prop_map(Key::Head),
        an_address().prop_map(Key::Quota),
        an_address().prop_map(Key::Access),
        an_address().prop_map(Key::Grants),
        an_address().prop_map(Key::Group),
        any::<u64>().prop_map(Key::Held),
        id.prop_map(Key::Permission),
        (an_address(), any::<u64>()).prop_map(|(address, seq)| Key::Advice(address, seq)),
    ]
}

/// A row that may stand under `key`, made from one number. Priority and end of a message stay the same in its life.
fn row_of(key: &Key, value: u64) -> Row {
    let bytes = |n: u8| vec![n; 1 + (value % 3) as usize].into();
    match key {
        Key::Clock => Row::Clock(v1::ClockRow { last_ms: value }),
        Key::Message(_) => Row::Message(Box::new(v1::MessageRow { stub: None, at_ms: value, places: Vec::new() })),
        Key::Mailbox(_) => Row::Mailbox(v1::MailboxRow { last_seq: value, last_index: 1, last_advice: value % 3 }),
        Key::Place(_, seq) => Row::Place(v1::PlaceRow {
            index: *seq,
            message_id: bytes(1),
            priority: (seq % 3) as i32 + 1,
            state: (1 + value % 4) as i32,
            at_ms: value,
            expires_ms: *seq,
            release_index: 0,
            escalation: (seq % 3) as i32,
            available_ms: seq % 3,
            told: (value % 3) as u32,
        }),
        Key::Held(index) => Row::Held(Box::new(v1::HeldRow {
            held_by: "ke".to_owned(),
            state: if value.is_multiple_of(2) { RecipientState::Held } else { RecipientState::Refused }.into(),
            expires_ms: *index,
            ..v1::HeldRow::default()
        })),
        other => Row::decode(other, &[]).expect("every field is at its default"),
    }
}

proptest! {
    #[test]
    fn a_key_reads_as_it_was_written(key in a_key(), other in a_key()) {
        let bytes = key.encode();
        prop_assert_eq!(Key::decode(&bytes), Some(key.clone()));
        prop_assert_eq!(bytes == other.encode(), key == other);
        prop_assert!(bytes[0] <= other.encode()[0] || key > other, "variants stand in the order of their first byte");
        prop_assert_eq!(Key::decode(&[&bytes[..], &[0]].concat()), None, "longer");
        for cut in 0..bytes.len() {
            prop_assert_ne!(Key::decode(&bytes[..cut]), Some(key.clone()), "cut to {}", cut);
        }
    }

    #[test]
    fn no_bytes_make_a_key_that_is_written_otherwise(bytes in prop::collection::vec(0..24u8, 0..44)) {
        if let Some(key) = Key::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes);
        }
    }

    #[test]
    fn a_digest_is_that_of_the_rows_alone(writes in prop::collection::vec((0..13usize, any::<u64>()), 0..60), cut in 0..60usize) {
        let shelf = ["ke", "th"].map(address).into_iter();
        let mut keys: Vec<Key> = shelf.flat_map(|a| [Key::Place(a.clone(), 1), Key::Place(a.clone(), 2), Key::Mailbox(a.clone()), Key::Quota(a)]).collect();
        keys.extend([Key::Clock, Key::Network, Key::Head(1), Key::Head(2), Key::Held(7)]);
        let (mut state, mut model) = (State::default(), BTreeMap::new());
        // A message row is written once and not kept.
        let message = (Key::Message(3), row_of(&Key::Message(3), 3));
        state.set(message.0.clone(), message.1.clone());
        prop_assert_eq!(state.row(&message.0), None);
        prop_assert_eq!(state.digest(), state.messages_digest());
        let cut = cut.min(writes.len());
        for (at, value) in &writes[..cut] {
            state.set(keys[*at].clone(), row_of(&keys[*at], *value));
            model.insert(keys[*at].clone(), row_of(&keys[*at], *value));
        }
        let before = state.digest();
        let mut overlay = Overlay::new(&state);
        for (at, value) in &writes[cut..] {
            overlay.set(keys[*at].clone(), row_of(&keys[*at], *value));
            model.insert(keys[*at].clone(), row_of(&keys[*at], *value));
        }
        for key in &keys {
            prop_assert_eq!(overlay.row(key), model.get(key));
        }
        let (claimed, changes) = (overlay.digest(), overlay.into_changes());
        prop_assert_eq!(state.digest(), before, "an overlay changes nothing below it");
        state.fold(changes);
        let mut again = State::default();
        again.set(message.0, message.1);
        model.iter().rev().for_each(|(key, row)| again.set(key.clone(), row.clone()));
        prop_assert_eq!(state.digest(), claimed);
        prop_assert_eq!(state.digest(), again.digest());
        prop_assert!(state.expiring(START).eq(again.expiring(START)));
        prop_assert!(state.escalating(START).eq(again.escalating(START)));
        let ke = address("ke");
        prop_assert!(state.held_by(&ke).eq(again.held_by(&ke)));
        for who in ["ke", "th"].map(address) {
            let available = |seq: &u64| state.place(&who, *seq).is_some_and(|row| row.state() == RecipientState::Available);
            let mut waiting: Vec<u64> = [1, 2].into_iter().filter(available).collect();
            waiting.sort_by_key(|seq| std::cmp::Reverse(state.place(&who, *seq).map(|row| row.priority)));
            prop_assert_eq!(again.waiting(&who).collect::<Vec<_>>(), waiting.clone());
            prop_assert_eq!(state.waiting(&who).collect::<Vec<_>>(), waiting);
        }
    }
}
