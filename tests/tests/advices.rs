//! The gateway tells who is to see to a message that nobody took, or has seen, in time: by the ledger's time, over real connections,
//! with a receipt that proves it to anybody.

mod theatre;

use client::advices::Advice;
use client::{Compose, ReceiveOptions};
use ledger::Engine;
use proto::v1::{self, AdviceKind, Priority};
use theatre::hands::Hands;
use theatre::{DAY_MS, Theatre, note, now};

const MINUTE_MS: u64 = 60_000;

fn flash(to: &[&str]) -> Compose {
    Compose { priority: Priority::Flash, ..note(to, "a vessel leaves within the hour") }
}

fn told(advices: &[Advice]) -> Vec<(u64, AdviceKind, String, Vec<String>)> {
    let names = |advice: &Advice| advice.recipients.iter().map(ToString::to_string).collect();
    advices.iter().map(|one| (one.seq, one.kind, one.reference.to_string(), names(one))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_that_nobody_sees_goes_to_the_bureau_and_then_to_the_centre() {
    let theatre = Theatre::new(&["ke", "ke/cus/kemba", "th", "ipsg/ccc", "aud/ke", "aud/network"]);
    let hands = Hands::at(now().plus(1000));
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    let mut kenya = theatre.client("ke").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    let mut centre = theatre.client("ipsg/ccc").await;
    let mut thailand = theatre.client("th").await;
    let drill = Compose { exercise: true, ..flash(&["ke/cus/kemba"]) };
    kenya.send(drill).await.expect("a drill");
    let sent = kenya.send(flash(&["ke/cus/kemba", "th"])).await.expect("sent");
    thailand.receive(ReceiveOptions::default()).await.expect("mail");
    thailand.acknowledge(&sent.reference).await.expect("seen");
    // The bureau's own stream: it is told without asking.
    let (requests, queue) = tokio::sync::mpsc::channel(1);
    let start = v1::ReceiveStart { after_seq: u64::MAX, ..v1::ReceiveStart::default() };
    requests.send(v1::ReceiveRequest { start: Some(start), ..v1::ReceiveRequest::default() }).await.expect("room");
    let queue = tokio_stream::wrappers::ReceiverStream::new(queue);
    let mut stream = theatre.messages("ke").await.receive(queue).await.expect("a stream").into_inner();
    assert!(stream.message().await.expect("a head").expect("open").head.is_some());
    assert!(stream.message().await.expect("caught up").expect("open").caught_up);
    hands.pass(14 * MINUTE_MS);
    thailand.send(note(&["ke"], "a batch, so that the ledger's time goes on")).await.expect("sent");
    post.receive(ReceiveOptions::default()).await.expect("mail");
    hands.pass(MINUTE_MS);
    let answer = stream.message().await.expect("an advice").expect("open");
    assert!(!answer.advice.is_empty(), "{answer:?}");
    kenya.receive(ReceiveOptions::default()).await.expect("mail");
    let wanted = |seq| (seq, AdviceKind::NotAcknowledged, sent.reference.to_string(), vec!["ke/cus/kemba".to_owned()]);
    let advices = kenya.advices().expect("a table");
    assert_eq!(told(&advices), [wanted(1)]);
    assert_eq!((advices[0].since, advices[0].priority), (sent.at, Priority::Flash));
    let (proven, shown) =
        client::receipt::verify_file(&advices[0].receipt_path, &theatre.pki().join("trust.toml")).expect("it proves itself");
    assert_eq!(shown.advice.map(|advice| advice.told), Some("ke".to_owned()));
    assert_eq!(proven.leaf.at, advices[0].at);
    // What was told is told once, to a person, too.
    assert_eq!(kenya.new_advices().expect("a table"), advices);
    kenya.told_advices(&advices).expect("a table");
    kenya.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!((kenya.new_advices().expect("a table").len(), kenya.advices().expect("a table").len()), (0, 1));
    centre.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(told(&centre.advices().expect("a table")), []);
    hands.pass(15 * MINUTE_MS);
    thailand.send(note(&["ke"], "the ledger's time goes on")).await.expect("sent");
    centre.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(told(&centre.advices().expect("a table")), [wanted(1)]);
    // Then it is seen, and nobody hears more of it; nor of the drill, ever.
    post.acknowledge(&sent.reference).await.expect("seen");
    hands.pass(10 * MINUTE_MS);
    thailand.send(note(&["ke"], "the ledger's time goes on")).await.expect("sent");
    for (client, count) in [(&mut kenya, 1), (&mut centre, 1), (&mut thailand, 0), (&mut post, 0)] {
        client.receive(ReceiveOptions::default()).await.expect("mail");
        assert_eq!(client.advices().expect("a table").len(), count, "{}", client.address());
    }
    // Everybody's replay shows the own, and the network's auditor finds nothing.
    for (who, count) in [("aud/network", 2), ("aud/ke", 1)] {
        let mut auditor = theatre.client(who).await;
        let mut lines = 0;
        let hear = |line: &client::audit::Line<'_>, _| lines += usize::from(line.kind == Some(v1::EntryKind::Advice));
        let verdict = client::audit::verify(&mut auditor, &client::audit::Options::default(), hear).await.expect("replayed");
        assert_eq!((verdict.findings.len(), lines), (0, count), "{who}: {:?}", verdict.findings);
    }
    drop((stream, requests, kenya, post, centre, thailand));
    running.stop().await;
    theatre.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_what_nobody_took_has_a_signed_notice_of_it() {
    let theatre = Theatre::new(&["ke", "th", "np"]);
    let hands = Hands::at(now().plus(1000));
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    for member in ["th", "np"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    let lost = kenya.send(flash(&["th", "np"])).await.expect("sent");
    let mut nepal = theatre.client("np").await;
    nepal.receive(ReceiveOptions::default()).await.expect("mail");
    hands.pass(3 * DAY_MS);
    nepal.send(note(&["ke"], "the ledger's time goes on")).await.expect("sent");
    kenya.receive(ReceiveOptions::default()).await.expect("mail");
    let advices = kenya.advices().expect("a table");
    assert_eq!(told(&advices), [(1, AdviceKind::NotDelivered, lost.reference.to_string(), vec!["th".to_owned()])]);
    assert_eq!(advices[0].message_id, nepal.inbox().expect("a table")[0].message_id);
    // Another copy of the receipt proves the same; one bit more proves nothing.
    let mut bytes = std::fs::read(&advices[0].receipt_path).expect("a file");
    let at = bytes.windows(2).position(|two| two == b"th").expect("the recipient");
    bytes[at] = b'u';
    let forged = theatre.pki().join("forged.receipt");
    std::fs::write(&forged, bytes).expect("written");
    client::receipt::verify_file(&forged, &theatre.pki().join("trust.toml")).expect_err("it is not what the log holds");
    drop((kenya, nepal));
    running.stop().await;
    theatre.check();
}

/// More than one batch says at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_told_to_its_end_and_each_once() {
    const LETTERS: u64 = 300;
    let theatre = Theatre::new(&["ke", "th"]);
    let hands = Hands::at(now().plus(1000));
    let running = theatre.start_with(hands.clone(), Engine::Redb).await;
    let mut thailand = theatre.client("th").await;
    let kenya = theatre.client("ke").await;
    let urgent = |context: &mut v1::Context| context.priority = Priority::Urgent.into();
    let letters = (1..=LETTERS).map(|number| v1::Submission { tag: number, ..theatre.letter(&kenya, &["th"], number, urgent) });
    bench::load::drive(theatre.link("ke").await, letters.collect(), 64).await;
    hands.pass(4 * 60 * MINUTE_MS);
    while thailand.advices().expect("a table").len() < LETTERS as usize {
        let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
        assert_eq!(mail.unsound, Vec::<String>::new());
    }
    let advices = thailand.advices().expect("a table");
    let numbers: std::collections::BTreeSet<u64> = advices.iter().map(|one| one.reference.number).collect();
    assert_eq!((advices.len() as u64, numbers.len() as u64), (LETTERS, LETTERS));
    assert!(advices.iter().zip(1..).all(|(one, seq)| one.seq == seq && one.at == advices[0].at));
    drop((kenya, thailand));
    running.stop().await;
    theatre.check();
}
