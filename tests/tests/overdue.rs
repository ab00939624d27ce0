//! Deadlines over real sockets, with a gateway whose clock the test moves: what is overdue for whom, what is said once, and how the counts
//! of the bureaus add up.

mod theatre;

use std::process::Command;
use std::sync::Arc;

use client::bureau::Terms;
use client::overdue::{self, Reading};
use client::{Client, Compose, ReceiveOptions};
use envelope::entry::Entry;
use exchange::clocks::{Due, Statistics};
use gateway::clock::TimeSource as _;
use ledger::Engine;
use proto::v1::{self, Kind, Priority};
use theatre::hands::Hands;
use theatre::{Theatre, address, audit, note, now};

const ECOWIRE: &str = env!("CARGO_BIN_EXE_ecowire-all");
const MINUTE_MS: u64 = 60_000;
const CAST: [&str; 8] = ["ke", "th", "np", "ke/cus/kemba", "ipsg/ens", "svc/imaf", "aud/network", "aud/ke"];

/// What is overdue, as the member with this client sees it: reference, at whom, what, told to whom.
fn lines(reading: &Reading) -> Vec<String> {
    let names = |all: &[envelope::Address]| all.iter().map(envelope::Address::as_str).collect::<Vec<_>>().join(",");
    let line =
        |one: exchange::clocks::Overdue| format!("{} {} {:?} {}", one.reference, names(&one.recipients), one.due, names(&one.told_to));
    reading.overdue().into_iter().map(|one| line(one).trim_end().to_owned()).collect()
}

async fn looks(client: &mut Client, hands: &Hands) -> Reading {
    overdue::read(client, "deadlines", hands.wall()).await.expect("it is read")
}

async fn seen_by(theatre: &Theatre, member: &str, hands: &Hands) -> Vec<String> {
    let reading = looks(&mut theatre.client(member).await, hands).await;
    assert_eq!(reading.verdict.findings, []);
    lines(&reading)
}

/// Takes everything out of the mailbox, and acknowledges it.
async fn attends(theatre: &Theatre, member: &str) {
    let mut client = theatre.client(member).await;
    for message in client.receive(ReceiveOptions::default()).await.expect("mail").received {
        client.acknowledge(&message.reference).await.expect("acknowledged");
    }
}

/// Runs the command, which must end with this code; gives what it prints.
fn ecowire(theatre: &Theatre, member: &str, code: i32, arguments: &[&str]) -> String {
    let mut command = Command::new(ECOWIRE);
    command.arg("ecowire").args(arguments).arg("--profile").arg(theatre.profile_dir(member));
    let output = command.output().expect("it runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert_eq!(output.status.code(), Some(code), "{member} {arguments:?}: {out}{err}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_that_nobody_acknowledges_is_overdue_for_its_two_ends_and_the_auditor() {
    let theatre = Theatre::new(&CAST);
    let hands = Hands::at(now().plus(1000));
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    for member in CAST.into_iter().filter(|member| !member.starts_with("aud/")) {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    kenya.refresh_directory().await.expect("the directory");
    let flash = kenya.send(Compose { priority: Priority::Flash, ..note(&["th", "np"], "it sails at noon") }).await.expect("sent");
    let drill = Compose { priority: Priority::Flash, exercise: true, ..note(&["th"], "only a drill") };
    kenya.send(drill).await.expect("sent");
    // A question to a program that is away, and that lives ten minutes.
    let mut nepal = theatre.client("np").await;
    nepal.refresh_directory().await.expect("the directory");
    let question = theatre.letter(&nepal, &["svc/imaf"], 1, |context| {
        context.kind = Kind::Query.into();
        context.expires_ms = context.created_ms + 10 * MINUTE_MS;
    });
    let asked = v1::SubmitRequest { submission: Some(question) };
    theatre.messages("np").await.submit(asked).await.expect("taken");
    drop(nepal);

    hands.pass(5 * MINUTE_MS);
    attends(&theatre, "np").await;
    hands.pass(10 * MINUTE_MS);
    assert_eq!(lines(&looks(&mut kenya, &hands).await), Vec::<String>::new(), "a quarter of an hour is not over");
    hands.pass(1000);
    kenya.send(note(&["th"], "has it sailed?")).await.expect("sent");
    let late = looks(&mut kenya, &hands).await;
    assert_eq!(lines(&late), ["KE/2026/000001 th Delivery th"]);
    assert_eq!(late.overdue()[0].since, flash.at.plus(15 * MINUTE_MS));
    drop(kenya);
    for (member, wanted) in [
        ("th", &["KE/2026/000001 th Delivery th"][..]),
        ("np", &["NP/2026/000001 svc/imaf Undelivered"]),
        ("svc/imaf", &["NP/2026/000001 svc/imaf Undelivered"]),
        ("ke/cus/kemba", &[]),
        ("aud/network", &["NP/2026/000001 svc/imaf Undelivered", "KE/2026/000001 th Delivery th"]),
        // It is not shown who acknowledged.
        ("aud/ke", &[]),
    ] {
        let mut seen = seen_by(&theatre, member, &hands).await;
        let mut wanted = wanted.to_vec();
        seen.sort();
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "{member}");
    }
    commands(&theatre);

    attends(&theatre, "th").await;
    for member in ["ke", "th"] {
        assert_eq!(seen_by(&theatre, member, &hands).await, Vec::<String>::new(), "{member}");
    }
    let mut auditor = theatre.client("aud/network").await;
    let counts = looks(&mut auditor, &hands).await.clocks.statistics(hands.wall());
    let sum = |of: fn(&Statistics) -> u64| counts.values().map(of).sum::<u64>();
    assert_eq!([sum(|of| of.acknowledged_in_time), sum(|of| of.acknowledged_late), sum(|of| of.not_acknowledged)], [2, 1, 0]);
    let late = counts[&address("th")];
    assert_eq!((late.received, late.delivered, late.acknowledged_late, late.overdue), (2, 2, 1, 0));
    assert_eq!(counts[&address("np")].acknowledgement_median_ms, Some(5 * MINUTE_MS));
    let verdict = audit(&mut auditor).await;
    assert_eq!((verdict.judged, verdict.withheld), (verdict.size, 0));
    audit(&mut theatre.client("aud/ke").await).await;
    drop(auditor);
    running.stop().await;
    theatre.check();
    let entries = theatre.entries();
    let messages = entries.iter().filter_map(|(_, entry)| if let Entry::Message(message) = entry { Some(message) } else { None });
    // The drill waits for nobody's eyes.
    assert_eq!(messages.map(|message| message.places.len() as u64).sum::<u64>(), sum(|of| of.received) + 1);
    assert_eq!(sum(|of| of.expired), 1, "the question");
}

/// What the commands say of it, and how they end.
fn commands(theatre: &Theatre) {
    let line: serde_json::Value = serde_json::from_str(&ecowire(theatre, "ke", 7, &["overdue", "--json"])).expect("one line");
    assert_eq!(
        [&line["reference"], &line["recipients"], &line["due"], &line["told_to"]].map(ToString::to_string),
        [r#""KE/2026/000001""#, r#"["th"]"#, r#""delivery""#, r#"["th"]"#]
    );
    let said = ecowire(theatre, "th", 7, &["overdue"]);
    assert!(said.contains("delivery by th overdue since") && said.contains("told to th"), "{said}");
    let said = ecowire(theatre, "np", 7, &["overdue"]);
    assert!(said.contains("expired, not delivered to svc/imaf"), "{said}");
    assert_eq!(ecowire(theatre, "np", 0, &["overdue"]), "", "it is said once");
    assert_eq!(ecowire(theatre, "aud/network", 7, &["overdue", "--purpose", "weekly report"]).lines().count(), 2);
    let counted = ecowire(theatre, "aud/network", 0, &["audit", "statistics", "--json"]);
    let bureaus: Vec<serde_json::Value> = counted.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let nepal = bureaus.iter().find(|line| line["bureau"] == "np").expect("a line a bureau");
    assert_eq!((&nepal["acknowledged_in_time"], &nepal["not_acknowledged"]), (&1.into(), &0.into()), "{counted}");
    assert!(ecowire(theatre, "aud/network", 0, &["audit", "statistics"]).contains("acknowledged 1 in time, 0 late, 0 not yet"));
    ecowire(theatre, "ke", 3, &["audit", "statistics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_sees_that_what_its_post_asked_abroad_is_not_answered() {
    let theatre = Theatre::new(&CAST);
    let hands: Arc<Hands> = Hands::at(now().plus(1000));
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    for member in ["th", "np"] {
        drop(theatre.client(member).await);
    }
    let mut post = theatre.client("ke/cus/kemba").await;
    // Closed to foreign senders: answers go to the bureau, and the post cannot say that one is missing.
    let terms = Terms { open_to_foreign: false, ..Terms::default() };
    let mut kenya = theatre.client("ke").await;
    kenya.enrol(&theatre.identity("ke/cus/kemba").join("identity.pem"), terms).await.expect("new terms");
    drop(kenya);
    post.refresh_directory().await.expect("the directory");
    let request = Compose { kind: Kind::Request, priority: Priority::Flash, ..note(&["th", "np"], "whose is it?") };
    let request = post.send(request).await.expect("sent").reference;
    drop(post);
    for member in ["ke", "th", "np"] {
        attends(&theatre, member).await;
    }
    hands.pass(8 * 60 * MINUTE_MS - 1000);
    let mut thailand = theatre.client("th").await;
    let answer = Compose { kind: Kind::Reply, in_reply_to: Some(request), ..note(&["ke"], "nobody's") };
    thailand.send(answer).await.expect("sent");
    drop(thailand);
    for member in ["ke", "th", "np", "ke/cus/kemba"] {
        assert_eq!(seen_by(&theatre, member, &hands).await, Vec::<String>::new(), "{member}");
    }
    hands.pass(1001);
    let late = "KE.CUS.KEMBA/2026/000001 np Reply";
    for (member, wanted) in [("ke", &[late][..]), ("ke/cus/kemba", &[]), ("np", &[late]), ("th", &[])] {
        assert_eq!(seen_by(&theatre, member, &hands).await, wanted, "{member}");
    }
    let reading = looks(&mut theatre.client("ke").await, &hands).await;
    assert_eq!(reading.overdue()[0].due, Due::Reply);
    running.stop().await;
    // The auditors' access ends by their own clocks, which have not moved: the store itself is judged again.
    theatre.check();
}
