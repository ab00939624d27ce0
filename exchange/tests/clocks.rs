//! What the clocks make of entries: who is late with what, who hears of it, and what the counts of a bureau are.
//!
//! The entries are made here; whether a gateway would have written them is a matter of the rules.

use std::collections::BTreeMap;

use bytes::Bytes;
use envelope::entry::{Entry, MessageEntry};
use envelope::header::message_id;
use envelope::{Address, Reference, Timestamp};
use exchange::clocks::{self, Clocks, Due, Part, Shown, Statistics};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::{self, Kind, Priority, RecipientState, StatementKind};

const MINUTE_MS: u64 = 60_000;
const START: Timestamp = Timestamp(1_795_000_000_000);

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn after(minutes: u64) -> Timestamp {
    START.plus(minutes * MINUTE_MS)
}

/// A log in words. A step begins with its minute: `0 ke>th,np request flash`, and `re=1`, `about=1`, `held`, `exercise` when it answers,
/// names, waits or is a drill; messages are numbered from 1. `5 th got 1`, `6 th seen 1`, `7 th,np released 1`, `8 th ended 1`, `9 ke silent 1` when nobody
/// released it in time.
#[derive(Default)]
struct Log {
    entries: Vec<(Timestamp, Entry)>,
    /// Id and entry of each message.
    messages: Vec<([u8; 32], u64)>,
    /// The last number of each mailbox.
    mailboxes: BTreeMap<String, u64>,
    /// Number in the mailbox, by message and recipient.
    places: BTreeMap<(usize, String), u64>,
}

impl Log {
    fn of(steps: &[&str]) -> Self {
        let mut log = Self::default();
        steps.iter().for_each(|step| log.step(step));
        log
    }

    fn step(&mut self, step: &str) {
        let mut words = step.split(' ');
        let at = after(words.next().and_then(|word| word.parse().ok()).expect("a minute"));
        let rest: Vec<&str> = words.collect();
        let entry = match rest[..] {
            [route, ref about @ ..] if route.contains('>') => self.message(route, about, at),
            [who, "got", which] => self.statement(who, StatementKind::Delivered, number(which)),
            [who, "seen", which] => self.statement(who, StatementKind::Acknowledged, number(which)),
            [to, "released", which] => {
                let entry_index = self.messages[number(which) - 1].1;
                let statement = v1::Release { entry_index, ..v1::Release::default() }.encode_to_vec().into();
                let signed = v1::SignedStatement { kind: StatementKind::Release.into(), statement, signatures: Vec::new() };
                Entry::Release { signed, places: to.split(',').map(|who| self.place(number(which), who)).collect() }
            }
            [who, "ended", which] => {
                let mailbox_seq = self.places[&(number(which), who.to_owned())];
                let places = vec![v1::Place { address: who.to_owned(), mailbox_seq }];
                Entry::Expired(v1::Expired { index: self.messages[number(which) - 1].1, places })
            }
            [desk, "silent", which] => {
                let places = vec![v1::Place { address: desk.to_owned(), mailbox_seq: 0 }];
                Entry::Expired(v1::Expired { index: self.messages[number(which) - 1].1, places })
            }
            _ => panic!("{step}"),
        };
        self.entries.push((at, entry));
    }

    fn message(&mut self, route: &str, about: &[&str], at: Timestamp) -> Entry {
        let (sender, to) = route.split_once('>').expect("a route");
        let named = |prefix: &str| about.iter().find_map(|word| word.strip_prefix(prefix)).map(|which| self.messages[number(which) - 1].0);
        let (number, held) = (self.messages.len() + 1, about.contains(&"held"));
        let name = |prefix: &str, word: &str| format!("{prefix}{}", word.to_ascii_uppercase());
        let id = |id: Option<[u8; 32]>| id.map_or_else(Bytes::new, |id| id.to_vec().into());
        let context = v1::Context {
            sender: sender.to_owned(),
            year: 2026,
            series: 1,
            number: number as u64,
            recipients: to.split(',').map(str::to_owned).collect(),
            kind: about.iter().find_map(|word| Kind::from_str_name(&name("KIND_", word))).expect("a kind").into(),
            priority: about.iter().find_map(|word| Priority::from_str_name(&name("PRIORITY_", word))).unwrap_or(Priority::Routine).into(),
            created_ms: at.ms(),
            expires_ms: at.plus(4_320 * MINUTE_MS).ms(),
            in_reply_to: id(named("re=")),
            target: id(named("about=")),
            exercise: about.contains(&"exercise"),
            ..v1::Context::default()
        };
        let header: Bytes = v1::Header { context: context.encode_to_vec().into(), ..v1::Header::default() }.encode_to_vec().into();
        self.messages.push((message_id(&header), self.entries.len() as u64));
        let unplaced = |who: &str| v1::Place { address: who.to_owned(), mailbox_seq: 0 };
        let places =
            to.split(',').map(|who| if held && who != "ipsg/compliance" { unplaced(who) } else { self.place(number, who) }).collect();
        Entry::Message(Box::new(MessageEntry {
            header,
            signatures_sha256: [0; 32],
            judged: v1::Judged::default(),
            tls_fingerprint: [0; 32],
            decision: v1::Decision::default(),
            stub: v1::Stub::default(),
            places,
            sealed_sha256: [0; 32],
            wrap_keys: Vec::new(),
        }))
    }

    fn place(&mut self, message: usize, who: &str) -> v1::Place {
        let last = self.mailboxes.entry(who.to_owned()).or_default();
        *last += 1;
        self.places.insert((message, who.to_owned()), *last);
        v1::Place { address: who.to_owned(), mailbox_seq: *last }
    }

    fn statement(&self, who: &str, kind: StatementKind, message: usize) -> Entry {
        let items = vec![v1::ReceiptItem { mailbox_seq: self.places[&(message, who.to_owned())], message_id: Bytes::new() }];
        let head = Some(v1::StatementHead { issuer: who.to_owned(), ..v1::StatementHead::default() });
        let statement = v1::MailboxStatement { head, items, ..v1::MailboxStatement::default() }.encode_to_vec().into();
        Entry::Mailbox { signed: v1::SignedStatement { kind: kind.into(), statement, signatures: Vec::new() }, chain_sha256: [0; 32] }
    }

    fn clocks(&self) -> Clocks {
        let mut clocks = Clocks::default();
        (0..).zip(&self.entries).for_each(|(index, (at, entry))| clocks.note(index, *at, entry));
        clocks
    }

    /// As somebody reads it who sees of messages their headers alone, and of places his own.
    fn shown_to(&self, who: &str) -> Clocks {
        let mut clocks = Clocks::default();
        for (index, (at, entry)) in (0..).zip(&self.entries) {
            let own = |places: &[v1::Place]| places.iter().filter(|place| place.address == who).cloned().collect::<Vec<_>>();
            match entry {
                Entry::Message(message) => {
                    let held = message.places.iter().any(|place| place.mailbox_seq == 0);
                    clocks.note_part(index, *at, &Part { header: message.header.clone(), held, places: own(&message.places) });
                }
                Entry::Release { signed, places } if !own(places).is_empty() => {
                    clocks.note(index, *at, &Entry::Release { signed: signed.clone(), places: own(places) });
                }
                _ => {}
            }
        }
        clocks
    }
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

fn reference(number: usize, sender: &str) -> Reference {
    Reference { sender: address(sender), year: 2026, series: 1, number: number as u64 }
}

/// What is overdue, a line each, with the minute since when.
fn told(clocks: &Clocks, minute: u64) -> String {
    let line = |one: clocks::Overdue| {
        let names = |all: &[Address]| all.iter().map(Address::as_str).collect::<Vec<_>>().join(",");
        let since = one.since.ms().saturating_sub(START.ms()) as f64 / MINUTE_MS as f64;
        let told_to = if one.told_to.is_empty() { String::new() } else { format!(", told to {}", names(&one.told_to)) };
        format!("{} {}: {:?} since {since}{told_to}\n", one.reference, names(&one.recipients), one.due)
    };
    clocks.overdue(after(minute)).into_iter().map(line).collect()
}

fn check(steps: &[&str], minute: u64, expected: Expect) {
    expected.assert_eq(&told(&Log::of(steps).clocks(), minute));
}

#[test]
fn a_flash_is_late_after_a_quarter_of_an_hour_and_the_command_centre_hears_after_half_an_hour() {
    let steps = ["0 ke>th/cus/thbkk,np message flash", "3 np seen 1", "4 th/cus/thbkk got 1"];
    check(&steps, 15, expect![""]);
    check(
        &steps,
        16,
        expect![[r#"
        KE/2026/000001 th/cus/thbkk: Acknowledgement since 15, told to th
    "#]],
    );
    check(
        &steps,
        30,
        expect![[r#"
        KE/2026/000001 th/cus/thbkk: Acknowledgement since 15, told to th,ipsg/ccc
    "#]],
    );
}

#[test]
fn deadlines_run_from_available_by_priority_and_kind() {
    for (message, late_after) in [
        ("message flash", 15),
        ("message urgent", 120),
        ("message routine", 1440),
        ("alert routine", 15),
        ("alert urgent", 15),
        ("ecomessage urgent", 120),
    ] {
        let log = Log::of(&[&format!("10 ke>th {message}")]);
        let late = |minute| log.clocks().overdue(after(minute)).iter().map(|one| (one.due, one.since)).collect::<Vec<_>>();
        assert_eq!(late(10 + late_after), [], "{message}");
        assert_eq!(late(11 + late_after), [(Due::Delivery, after(10 + late_after))], "{message}");
    }
    for (message, late_after) in [
        ("request flash", 480),
        ("request urgent", 3 * 1440),
        ("request routine", 7 * 1440),
        ("controlled_delivery urgent", 480),
        ("expert_request routine", 1440),
        ("warning flash", 1440),
        ("hit urgent", 60),
        ("deletion routine", 4320),
        ("correction routine", 4320),
    ] {
        let log = Log::of(&[&format!("10 ke>th {message}"), "10 th seen 1"]);
        let late = |minute| log.clocks().overdue(after(minute)).iter().map(|one| (one.due, one.since)).collect::<Vec<_>>();
        assert_eq!(late(10 + late_after), [], "{message}");
        assert_eq!(late(11 + late_after), [(Due::Reply, after(10 + late_after))], "{message}");
    }
}

#[test]
fn programs_answer_in_half_a_minute_and_acknowledge_nothing() {
    check(
        &["0 ke>svc/imaf query flash", "0 ke>svc/imaf query flash", "0 svc/imaf>ke query_result flash re=1"],
        10_000,
        expect![[r#"
        KE/2026/000002 svc/imaf: Reply since 0.5
    "#]],
    );
    let counted = Log::of(&["0 ke>svc/imaf query", "60 svc/imaf ended 1"]).clocks().statistics(after(100));
    assert_eq!(counted[&address("svc/imaf")], Statistics { received: 1, expired: 1, ..Statistics::default() });
}

#[test]
fn an_urgent_message_is_told_to_the_bureau_after_four_hours_and_a_routine_one_to_nobody() {
    let steps = ["0 ke>np/bor/x-birgunj message urgent", "0 ke>np message routine"];
    check(
        &steps,
        239,
        expect![[r#"
        KE/2026/000001 np/bor/x-birgunj: Delivery since 120
    "#]],
    );
    check(
        &steps,
        1441,
        expect![[r#"
        KE/2026/000001 np/bor/x-birgunj: Delivery since 120, told to np
        KE/2026/000002 np: Delivery since 1440
    "#]],
    );
}

#[test]
fn exercises_and_voids_have_no_clock() {
    check(&["0 ke>th request flash exercise", "0 ke>ke void", "1 th got 1"], 100_000, expect![""]);
}

#[test]
fn a_reply_counts_when_it_is_of_the_kind_asked_for_and_by_who_was_asked() {
    let asked = "0 ke/cus/kemba>th,np,ke request flash";
    let seen = ["1 th seen 1", "1 np seen 1", "1 ke seen 1"];
    let all = [&[asked][..], &seen, &["2 th>ke/cus/kemba,ke message re=1", "3 gb>ke/cus/kemba,ke reply re=1"]].concat();
    check(
        &all,
        481,
        expect![[r#"
        KE.CUS.KEMBA/2026/000001 np: Reply since 480
        KE.CUS.KEMBA/2026/000001 th: Reply since 480
    "#]],
    );
    let all = [&[asked][..], &seen, &["479 th>ke/cus/kemba,ke reply re=1", "482 np>ke/cus/kemba,ke reply re=1"]].concat();
    check(&all, 490, expect![""]);
    let times = Log::of(&all).clocks();
    let id = Log::of(&all).messages[0].0;
    assert_eq!(times.times(&id, &address("np")).and_then(|times| times.replied), Some(after(482)));
    assert_eq!(times.times(&id, &address("ke")).and_then(|times| times.replied), None);
}

#[test]
fn one_confirms_a_hit_for_all_and_everybody_attests_to_a_deletion() {
    check(
        &[
            "0 svc/imaf>ke,th hit urgent",
            "0 ke>th,np deletion urgent",
            "9 ke>svc/imaf,th hit_confirmation urgent re=1",
            "9 th>ke deletion_attestation urgent about=2",
            "9 ke seen 1",
            "9 th seen 1",
            "9 th seen 2",
            "9 np seen 2",
            "9 svc/imaf seen 3",
            "9 th seen 3",
            "9 ke seen 4",
        ],
        4321,
        expect![[r#"
            KE/2026/000002 np: Reply since 4320
        "#]],
    );
}

#[test]
fn what_is_held_has_no_clock_until_it_is_released() {
    let steps = ["0 np>th,ipsg/compliance diffusion flash held", "1 ipsg/compliance seen 1"];
    check(&steps, 10_000, expect![""]);
    let released = [&steps[..], &["100 th released 1"]].concat();
    check(&released, 115, expect![""]);
    check(
        &released,
        116,
        expect![[r#"
        NP/2026/000001 th: Delivery since 115, told to th
    "#]],
    );
    let unreleased = [&steps[..], &["4320 ipsg/compliance silent 1"]].concat();
    check(
        &unreleased,
        5000,
        expect![[r#"
        NP/2026/000001 th: Undelivered since 4320
    "#]],
    );
}

#[test]
fn what_expired_undelivered_is_said_once_a_message_and_nothing_else_is_due() {
    let steps = ["0 ke>th,np,gb request flash", "1 gb got 1", "4320 th ended 1", "4321 np ended 1", "4322 gb ended 1"];
    check(
        &steps,
        5000,
        expect![[r#"
        KE/2026/000001 gb: Acknowledgement since 15, told to gb,ipsg/ccc
        KE/2026/000001 gb: Reply since 480
        KE/2026/000001 np,th: Undelivered since 4320
    "#]],
    );
    // Whoever had it and says so late has got it all the same.
    let late = [&steps[..], &["4330 th seen 1", "4331 np got 1", "4332 np seen 1", "4333 gb seen 1"]].concat();
    check(
        &late,
        5000,
        expect![[r#"
        KE/2026/000001 gb: Reply since 480
        KE/2026/000001 np: Reply since 480
        KE/2026/000001 th: Reply since 480
    "#]],
    );
}

#[test]
fn who_sees_headers_alone_knows_of_replies_and_of_what_it_is_told() {
    let log = Log::of(&["0 ke>th,np request flash", "1 np>th request urgent held", "5 th seen 1", "9 th>ke reply flash re=1"]);
    let mut clocks = log.shown_to("ke");
    assert_eq!(told(&clocks, 500), "KE/2026/000001 np: Reply since 480\n");
    let untold: Vec<Reference> = clocks.untold(&address("ke")).into_iter().map(|(_, reference)| reference).collect();
    assert_eq!(untold, [reference(1, "ke")]);
    assert_eq!(clocks.untold_to(&address("ke")), [(log.messages[2].0, after(9 + 4320))]);
    let first = log.messages[0].0;
    clocks.tell(&first, &address("th"), RecipientState::Acknowledged, after(5));
    clocks.tell(&first, &address("np"), RecipientState::Available, after(0));
    assert_eq!(clocks.untold(&address("ke")), []);
    assert_eq!(told(&clocks, 20), "KE/2026/000001 np: Delivery since 15, told to np\n");
    clocks.tell(&first, &address("np"), RecipientState::Expired, after(4320));
    assert_eq!(told(&clocks, 5000), "KE/2026/000001 np: Undelivered since 4320\n");
    // Nobody tells when a held message was released: its clock starts with the first that one hears.
    clocks.tell(&log.messages[1].0, &address("th"), RecipientState::Held, after(1));
    assert_eq!(clocks.times(&log.messages[1].0, &address("th")), Some(clocks::Times::default()));
    clocks.tell(&log.messages[1].0, &address("th"), RecipientState::Delivered, after(90));
    assert_eq!(clocks.times(&log.messages[1].0, &address("th")).and_then(|times| times.available), Some(after(90)));
    clocks.narrow(|sender, _| if sender.as_str() == "np" { Shown::Answers } else { Shown::Nothing });
    assert_eq!(told(&clocks, 5000), "NP/2026/000002 th: Acknowledgement since 210, told to th\nNP/2026/000002 th: Reply since 4410\n");
    clocks.narrow(|_, _| Shown::Arrival);
    assert_eq!(told(&clocks, 5000), "NP/2026/000002 th: Acknowledgement since 210, told to th\n");
}

#[test]
fn a_bureau_answers_for_those_below_it() {
    let clocks = Log::of(&[
        "0 ke>th,th/cus/thbkk,np request flash",
        "10 th seen 1",
        "20 th/cus/thbkk got 1",
        "30 th/cus/thbkk seen 1",
        "40 th/cus/thbkk>ke,th reply re=1",
        "50 ke>th message urgent",
        "51 th got 3",
        "60 ke>np message",
        "4320 np ended 1",
    ])
    .clocks();
    let all = clocks.statistics(after(4320));
    let names: Vec<&str> = all.keys().map(Address::as_str).collect();
    assert_eq!(names, ["ke", "np", "th"]);
    let thailand = Statistics {
        // Its own copy, its post's, the reply's and Kenya's second one.
        received: 4,
        delivered: 3,
        acknowledged_in_time: 1,
        acknowledged_late: 1,
        not_acknowledged: 2,
        expired: 0,
        asked: 1,
        replied_in_time: 1,
        replied_late: 0,
        not_replied: 0,
        overdue: 2,
        acknowledgement_median_ms: Some(10 * MINUTE_MS),
        acknowledgement_p95_ms: Some(30 * MINUTE_MS),
    };
    assert_eq!(all[&address("th")], thailand);
    let nepal = Statistics { received: 2, not_acknowledged: 1, expired: 1, overdue: 1, ..Statistics::default() };
    assert_eq!(all[&address("np")], nepal);
}

#[test]
fn the_times_between_are_those_of_the_nearest_rank() {
    let times = |count: u64| {
        let mut steps = Vec::new();
        for n in 1..=count {
            steps.push("0 ke>th message".to_owned());
            steps.push(format!("{n} th seen {n}"));
        }
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let of = Log::of(&steps).clocks().statistics(after(5000)).get(&address("th")).copied().unwrap_or_default();
        let minutes = |ms: Option<u64>| ms.map(|ms| ms / MINUTE_MS);
        (minutes(of.acknowledgement_median_ms), minutes(of.acknowledgement_p95_ms))
    };
    for (count, median, p95) in [(1, 1, 1), (2, 1, 2), (3, 2, 3), (19, 10, 19), (20, 10, 19), (21, 11, 20), (100, 50, 95)] {
        assert_eq!(times(count), (Some(median), Some(p95)), "{count}");
    }
    assert_eq!(times(0), (None, None));
}

/// What happens to a message at Thailand's or Nepal's, by numbers.
fn events() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    prop::collection::vec((0..5u8, 0..2u8, 0..6000u16), 0..12)
}

fn steps_of(events: &[(u8, u8, u16)]) -> Vec<String> {
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|(_, _, minute)| *minute);
    let step = |(what, who, minute): &(u8, u8, u16)| {
        let who = if *who == 0 { "th" } else { "np" };
        match what {
            0 => format!("{minute} {who} got 1"),
            1 => format!("{minute} {who} seen 1"),
            2 => format!("{minute} {who} ended 1"),
            3 => format!("{minute} {who}>ke reply re=1"),
            _ => format!("{minute} ke>{who} message urgent"),
        }
    };
    std::iter::once("0 ke>th,np request flash".to_owned()).chain(sorted.iter().map(step)).collect()
}

proptest! {
    #[test]
    fn counts_add_up_and_no_time_is_before_available(events in events(), minute in 0..20_000u64) {
        let steps = steps_of(&events);
        let log = Log::of(&steps.iter().map(String::as_str).collect::<Vec<_>>());
        let clocks = log.clocks();
        for (bureau, of) in clocks.statistics(after(minute)) {
            prop_assert_eq!(of.received, of.acknowledged_in_time + of.acknowledged_late + of.not_acknowledged + of.expired, "{}", bureau);
            prop_assert_eq!(of.asked, of.replied_in_time + of.replied_late + of.not_replied);
            prop_assert!(of.delivered >= of.acknowledged_in_time + of.acknowledged_late && of.delivered <= of.received);
            prop_assert!(of.overdue <= of.not_acknowledged + of.not_replied);
            prop_assert!(of.acknowledgement_median_ms <= of.acknowledgement_p95_ms);
            let late = clocks.overdue(after(minute)).into_iter().filter(|one| one.due != Due::Undelivered && one.recipients == [bureau.clone()]);
            prop_assert_eq!(of.overdue, late.count() as u64, "one list, one count");
        }
        let overdue = clocks.overdue(after(minute));
        prop_assert!(overdue.is_sorted_by_key(|one| one.since), "oldest first");
        prop_assert!(overdue.iter().all(|one| one.due == Due::Undelivered || one.since < after(minute)));
        for who in ["th", "np"] {
            let times = clocks.times(&log.messages[0].0, &address(who)).expect("noted");
            let later = [times.delivered, times.acknowledged, times.replied, times.expired];
            prop_assert!(later.into_iter().flatten().all(|at| Some(at) >= times.available));
            prop_assert!(times.acknowledged.is_none_or(|at| times.delivered.is_some_and(|delivered| delivered <= at)));
        }
    }

    #[test]
    fn which_of_two_statements_comes_first_does_not_matter(events in events(), swaps in prop::collection::vec(any::<prop::sample::Index>(), 8)) {
        let steps = steps_of(&events);
        let mut log = Log::of(&steps.iter().map(String::as_str).collect::<Vec<_>>());
        let before = log.clocks();
        // Messages stay where they are; what is said of them may be heard in any order.
        let about: Vec<usize> = (0..log.entries.len()).filter(|at| !matches!(log.entries[*at].1, Entry::Message(_))).collect();
        let last = log.entries.len();
        for swap in swaps.iter().filter(|_| !about.is_empty()) {
            let (one, other) = (about[swap.index(about.len())], about[0]);
            log.entries.swap(one, other);
        }
        let after_swaps = log.clocks();
        prop_assert_eq!(log.entries.len(), last);
        for who in ["th", "np"] {
            prop_assert_eq!(before.times(&log.messages[0].0, &address(who)), after_swaps.times(&log.messages[0].0, &address(who)));
        }
        prop_assert_eq!(before.overdue(after(9000)), after_swaps.overdue(after(9000)));
    }
}
