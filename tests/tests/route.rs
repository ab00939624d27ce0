//! The whole route over real sockets: from a border post to bureaus and the General Secretariat and back, every refusal by
//! its name, who is shown what, and a man in the middle who has the node's own key.

mod theatre;

use std::ops::ControlFlow;

use client::{Client, Compose, Error, ReceiveOptions};
use envelope::entry::Entry;
use envelope::statement::{Acknowledged, Delivered, sign};
use prost::Message as _;
use proto::v1::{self, Kind, Priority, ReceiveRequest, ReceiveStart, RecipientState};
use theatre::middle::{Middle, Twist};
use theatre::{CAST, DAY_MS, PATIENCE, Theatre, address, audit, note, now, proven};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

/// Ends a story: the gateway stops, and its store verifies.
async fn curtain(theatre: Theatre, running: gateway::Running) {
    running.stop().await;
    theatre.check();
}

fn report(to: &[&str]) -> Compose {
    Compose { kind: Kind::Ecomessage, priority: Priority::Urgent, ..note(to, "a container of ivory") }
}

async fn statuses(client: &mut Client, sent: &client::Sent) -> Vec<(String, RecipientState)> {
    let status = client.status(&sent.reference).await.expect("known");
    status.into_iter().map(|one| (one.recipient.clone(), one.state())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_the_whole_route_and_its_answer_comes_back() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in ["ke", "th", "ipsg/ens"] {
        drop(theatre.client(member).await);
    }
    let mut post = theatre.client("ke/cus/kemba").await;
    let sent = post.send(report(&["th", "ipsg/ens"])).await.expect("sent");
    let all = |state| ["th", "ipsg/ens", "ke"].map(|name| (name.to_owned(), state)).to_vec();
    assert_eq!(statuses(&mut post, &sent).await, all(RecipientState::Available), "the bureau's copy was added");
    let receipt = std::fs::read(&sent.receipt_path).expect("the receipt is kept");
    assert_eq!(proven(&theatre.trust(), &receipt).position, sent.position);

    for member in ["ke", "th", "ipsg/ens"] {
        let mut reader = theatre.client(member).await;
        let mail = reader.receive(ReceiveOptions::default()).await.expect("mail");
        assert_eq!((mail.received.len(), mail.unsound.len(), mail.missing.len()), (1, 0, 0), "{member}");
        let opened = reader.open(&sent.reference).expect("it opens");
        assert_eq!((opened.content.as_slice(), opened.message.from()), (b"a container of ivory".as_slice(), &address("ke/cus/kemba")));
    }
    assert_eq!(statuses(&mut post, &sent).await, all(RecipientState::Delivered));
    for member in ["ke", "th", "ipsg/ens"] {
        theatre.client(member).await.acknowledge(&sent.reference).await.expect("acknowledged");
    }
    assert_eq!(statuses(&mut post, &sent).await, all(RecipientState::Acknowledged));

    let mut thailand = theatre.client("th").await;
    let reply = Compose { kind: Kind::Reply, in_reply_to: Some(sent.reference.clone()), ..note(&["ke/cus/kemba"], "stopped in Bangkok") };
    let reply = thailand.send(reply).await.expect("sent");
    assert_eq!(statuses(&mut thailand, &reply).await.len(), 2, "the bureau of the foreign post gets its copy");
    drop(thailand);
    let mail = post.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| &one.reference).collect::<Vec<_>>(), [&reply.reference]);
    let opened = post.open(&reply.reference).expect("it opens");
    assert_eq!(opened.content, b"stopped in Bangkok");
    let submission = v1::Submission::decode(sent.bytes).expect("as sent");
    let asked = envelope::header::message_id(&submission.signed.expect("signed").header);
    assert_eq!(opened.header.context.in_reply_to, Some(asked), "it answers that very message");
    drop(post);

    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!((verdict.judged, verdict.withheld, verdict.gaps.len()), (verdict.size, 0, 0));
    assert_eq!(verdict.counts.into_iter().collect::<Vec<_>>(), [(address("ke/cus/kemba"), 1), (address("th"), 1)]);
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_and_gateway_opened_again_go_on_with_the_numbers() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    drop(theatre.client("th").await);
    let mut kenya = theatre.client("ke").await;
    let mut numbers = vec![kenya.send(note(&["th"], "1")).await.expect("sent").reference.number];
    drop(kenya);
    let mut kenya = theatre.client("ke").await;
    numbers.push(kenya.send(note(&["th"], "2")).await.expect("sent").reference.number);
    // Queued without a link, sent by the next process, after the gateway has been started anew.
    drop(kenya);
    running.stop().await;
    let mut offline = Client::offline(&theatre.profile("ke")).expect("a profile");
    let queued = offline.queue(&note(&["th"], "3")).await.expect("queued").expect("a number");
    drop(offline);
    let running = theatre.start().await;
    let mut kenya = theatre.client("ke").await;
    let flushed = kenya.flush_outbox(PATIENCE).await.expect("flushed");
    assert_eq!(flushed.sent.iter().map(|sent| &sent.reference).collect::<Vec<_>>(), [&queued]);
    numbers.extend([queued.number, kenya.send(note(&["th"], "4")).await.expect("sent").reference.number]);
    assert_eq!(numbers, [1, 2, 3, 4]);
    drop(kenya);
    let mut thailand = theatre.client("th").await;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("what was sent to an absent recipient has waited");
    assert_eq!(mail.received.iter().map(|one| one.reference.number).collect::<Vec<_>>(), numbers);
    drop(thailand);
    assert_eq!(audit(&mut theatre.client("aud/network").await).await.gaps, []);
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_twice_are_one_entry_and_one_receipt() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    drop(theatre.client("th").await);
    let mut kenya = theatre.client("ke").await;
    let sent = kenya.send(note(&["th"], "once")).await.expect("sent");
    let size = running.shared().ledger().size();
    let again = kenya.submit_raw(v1::Submission::decode(sent.bytes).expect("as sent")).await.expect("known");
    assert_eq!(proven(&theatre.trust(), &again.receipt).position, sent.position);
    assert_eq!(running.shared().ledger().size(), size);
    // Both in one batch.
    let letter = theatre.letter(&kenya, &["th"], 2, |_| ());
    let twice = [1, 2].map(|tag| v1::Submission { tag, ..letter.clone() }).to_vec();
    let answers = bench::load::drive(theatre.link("ke").await, twice, 2).await;
    let places: Vec<_> = answers.iter().map(|answer| proven(&theatre.trust(), &answer.receipt).position).collect();
    assert!(places.len() == 2 && places[0] == places[1], "{places:?}");
    drop(kenya);
    audit(&mut theatre.client("aud/network").await).await;
    curtain(theatre, running).await;
}

/// A bare Receive stream.
struct Stream {
    requests: mpsc::Sender<ReceiveRequest>,
    answers: Streaming<v1::ReceiveResponse>,
}

impl Stream {
    async fn open(theatre: &Theatre, member: &str, retained: bool, credit: u32) -> Self {
        let start = ReceiveStart { after_seq: 0, retained, until_caught_up: false, after_advice: 0 };
        let (requests, queue) = mpsc::channel(4);
        requests.send(ReceiveRequest { start: Some(start), credit, statement: None }).await.expect("room");
        let answers = theatre.messages(member).await.receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
        Self { requests, answers }
    }

    /// The next answer that is not the mailbox's head.
    async fn next(&mut self) -> Result<v1::ReceiveResponse, tonic::Status> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")?;
            let answer = next.expect("the stream goes on");
            if answer.head.is_none() {
                return Ok(answer);
            }
        }
    }

    async fn credit(&self, credit: u32) {
        self.requests.send(ReceiveRequest { credit, ..ReceiveRequest::default() }).await.expect("sent");
    }

    /// Says something, and gives the name of the refusal, or nothing when it is durable.
    async fn say(&mut self, statement: v1::SignedStatement) -> Option<String> {
        self.requests.send(ReceiveRequest { statement: Some(statement), ..ReceiveRequest::default() }).await.expect("sent");
        loop {
            let answer = self.next().await.expect("an answer");
            assert_eq!(answer.delivery, None, "no delivery beyond the credit");
            if let Some(result) = answer.statement {
                return result.problem.map(|problem| problem.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_comes_first_and_never_more_than_the_credit() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    drop(theatre.client("th").await);
    let mut kenya = theatre.client("ke").await;
    for priority in [Priority::Routine, Priority::Urgent, Priority::Flash] {
        kenya.send(Compose { priority, ..note(&["th"], "in the order of sending") }).await.expect("sent");
    }
    for retained in [false, true] {
        let mut stream = Stream::open(&theatre, "th", retained, 1).await;
        let seq = |answer: v1::ReceiveResponse| answer.delivery.expect("a delivery").mailbox_seq;
        assert_eq!(seq(stream.next().await.expect("an answer")), 3, "FLASH");
        // Only after its answer would another delivery have come, had there been credit.
        assert_eq!(stream.say(v1::SignedStatement::default()).await.as_deref(), Some("NO_AUTHORITY"));
        stream.credit(2).await;
        assert_eq!(seq(stream.next().await.expect("an answer")), 2);
        assert_eq!(seq(stream.next().await.expect("an answer")), 1);
        assert!(stream.next().await.expect("an answer").caught_up);
        stream.credit(1025).await;
        let status = stream.next().await.expect_err("more than 1,024");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let mut thailand = theatre.client("th").await;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| one.priority).collect::<Vec<_>>(), [Priority::Flash, Priority::Urgent, Priority::Routine]);
    drop((thailand, kenya));
    audit(&mut theatre.client("aud/network").await).await;
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_gets_what_arrives_later() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let mut thailand = theatre.client("th").await;
    let mut stream = Stream::open(&theatre, "th", false, 8).await;
    assert!(stream.next().await.expect("an answer").caught_up, "nothing waits yet");
    let mut kenya = theatre.client("ke").await;
    let following = tokio::spawn(async move {
        let mut seen = Vec::new();
        let each = |one: &client::Received| {
            seen.push(one.reference.number);
            if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        thailand.receive_each(ReceiveOptions { follow: true }, each).await.expect("mail");
        seen
    });
    for number in 1..=2 {
        kenya.send(note(&["th"], "later")).await.expect("sent");
        let delivery = loop {
            if let Some(delivery) = stream.next().await.expect("an answer").delivery {
                break delivery;
            }
        };
        assert_eq!(delivery.mailbox_seq, number);
    }
    assert_eq!(tokio::time::timeout(PATIENCE, following).await.expect("in time").expect("it ends"), [1, 2]);
    drop((stream, kenya));
    audit(&mut theatre.client("aud/network").await).await;
    curtain(theatre, running).await;
}

/// The name under which the gateway refuses a letter that skipped the client's own checks.
async fn refusal(client: &mut Client, letter: v1::Submission) -> String {
    match client.submit_raw(letter).await {
        Err(Error::Refused { name, .. }) => name,
        other => panic!("it must be refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_refuses_by_its_name() {
    let theatre = Theatre::with_genesis(&["ke", "th", "np", "cn", "ke/cus/kemba", "th/cus/thbkk", "ipsg/ens", "aud/network"], |genesis| {
        for participant in &mut genesis.participants {
            match participant.address.as_str() {
                "np" => participant.clearance = v1::Classification::OfficialUseOnly.into(),
                "cn" => participant.state = v1::ParticipantState::Suspended.into(),
                "th/cus/thbkk" => participant.open_to_foreign = false,
                _ => {}
            }
        }
        genesis.policy.as_mut().expect("a policy").flash_per_day = 1;
    });
    let running = theatre.start().await;
    for member in ["th", "np", "ke", "ipsg/ens", "th/cus/thbkk"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    kenya.submit_raw(theatre.letter(&kenya, &["th"], 1, |_| ())).await.expect("a sound one");
    let flash = |context: &mut v1::Context| {
        context.priority = Priority::Flash.into();
        context.expires_ms = context.created_ms + 3 * DAY_MS;
    };
    kenya.submit_raw(theatre.letter(&kenya, &["th"], 2, flash)).await.expect("the only FLASH of the day");
    let ecomessage = |context: &mut v1::Context| context.kind = Kind::Ecomessage.into();
    type Change<'a> = &'a dyn Fn(&mut v1::Context);
    let at = |days_ago: u64, days: u64| {
        move |context: &mut v1::Context| {
            let created = now().minus(days_ago * DAY_MS);
            (context.created_ms, context.expires_ms, context.year) = (created.ms(), created.plus(days * DAY_MS).ms(), created.year());
        }
    };
    let ahead = |context: &mut v1::Context| {
        context.created_ms += 6 * 60_000;
        context.expires_ms += 6 * 60_000;
    };
    let confidential = |context: &mut v1::Context| context.classification = v1::Classification::Confidential.into();
    let passes_on = |context: &mut v1::Context| context.parent = vec![7; 32].into();
    let cases: [(&str, &[&str], u64, Change<'_>); 16] = [
        ("BAD_ENCODING", &["th"], 3, &|context| context.expires_ms = context.created_ms + 31 * DAY_MS),
        ("REFERENCE_REUSED", &["th"], 1, &|_| ()),
        ("BAD_REFERENCE", &["th"], 2000, &|_| ()),
        ("BAD_REFERENCE", &["th"], 1, &|context| context.series = 3),
        ("EXPIRED", &["th"], 3, &at(4, 3)),
        ("CLOCK_SKEW", &["th"], 3, &ahead),
        ("NO_GRANT", &["th"], 3, &|context| context.kind = Kind::Hit.into()),
        ("NO_AUTHORITY", &["th"], 3, &passes_on),
        ("NO_GRANT", &["th"], 3, &|context| context.kind = Kind::Void.into()),
        ("UNKNOWN_RECIPIENT", &["fr"], 3, &|_| ()),
        ("NOT_CLEARED", &["np"], 3, &|context| context.classification = v1::Classification::Restricted.into()),
        ("OVERSIGHT_MISSING", &["th/cus/thbkk", "th"], 3, &|_| ()),
        ("IPSG_COPY_MISSING", &["th"], 3, &ecomessage),
        ("CLASS_AUDIENCE", &["ipsg/ens"], 3, &confidential),
        ("QUOTA", &["th"], 3, &flash),
        ("STALE_DIRECTORY", &["th"], 3, &|context| context.directory_root = vec![7; 32].into()),
    ];
    for (name, to, number, change) in &cases {
        let letter = theatre.letter(&kenya, to, *number, change);
        assert_eq!(refusal(&mut kenya, letter).await, *name, "{to:?} {number}");
    }
    let letter = theatre.letter(&post, &["th"], 1, |_| ());
    assert_eq!(refusal(&mut post, letter).await, "OVERSIGHT_MISSING", "a post abroad without its bureau");
    let letter = theatre.letter(&kenya, &["cn"], 3, |_| ());
    // Of its key rule 3 speaks first, for it never had one.
    assert_eq!(refusal(&mut kenya, letter).await, "STALE_KEY");
    let letter = theatre.letter_to_keys(&kenya, &["th"], 3, |_, _| None, |_| ());
    assert_eq!(refusal(&mut kenya, letter).await, "STALE_KEY", "a key that was never published");
    // With an opt-out the General Secretariat gets no copy, and the number is still free.
    let opted_out = theatre.letter(&kenya, &["th"], 3, |context| {
        ecomessage(context);
        context.ipsg_opt_out = v1::OptOut::NationalLaw.into();
    });
    kenya.submit_raw(opted_out).await.expect("taken");
    drop((kenya, post));
    audit(&mut theatre.client("aud/network").await).await;
    running.stop().await;
    theatre.check();
    let refused =
        theatre.entries().into_iter().filter_map(|(_, entry)| if let Entry::Refused(refused) = entry { Some(refused.name) } else { None });
    let mut names: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
    names.extend(["OVERSIGHT_MISSING", "STALE_KEY", "STALE_KEY"]);
    assert_eq!(refused.collect::<Vec<_>>(), names, "each refusal of a signed header is an entry");
}

/// A letter by keys that have been rotated since is refused; the client seals again under the same number.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found_and_the_number_stays() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let mut thailand = theatre.client("th").await;
    let mut kenya = theatre.client("ke").await;
    let by_the_old_key = theatre.letter(&kenya, &["th"], 1, |_| ());
    // The key of the profile is taken away, another one is put in its place: the old one counts as revoked.
    let keys = theatre.profile_dir("th").join("keys");
    for entry in std::fs::read_dir(&keys).expect("a folder").flatten() {
        std::fs::remove_file(entry.path()).expect("removed");
    }
    let next = envelope::seal::DecryptionKey::generate().expect("a key");
    std::fs::write(keys.join("next.key"), next.seed()).expect("written");
    thailand.publish_keys().await.expect("published");
    assert_eq!(refusal(&mut kenya, by_the_old_key).await, "STALE_KEY");
    let sent = kenya.send(note(&["th"], "to the new key")).await.expect("sealed again");
    assert_eq!(sent.reference.number, 1);
    thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(thailand.open(&sent.reference).expect("it opens").content, b"to the new key");
    drop((thailand, kenya));
    assert_eq!(audit(&mut theatre.client("aud/network").await).await.gaps, []);
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_closes_the_gap_of_a_number_that_was_given_up() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in ["th", "ke"] {
        drop(theatre.client(member).await);
    }
    let mut post = theatre.client("ke/cus/kemba").await;
    for number in [1, 3] {
        let letter = theatre.letter(&post, &["ke"], number, |_| ());
        post.submit_raw(letter).await.expect("taken");
    }
    let mut auditor = theatre.client("aud/network").await;
    let gaps = |verdict: client::audit::Verdict| verdict.gaps.iter().map(|gap| (gap.first, gap.last)).collect::<Vec<_>>();
    assert_eq!(gaps(audit(&mut auditor).await), [(2, 2)]);
    let void = |context: &mut v1::Context| context.kind = Kind::Void.into();
    let abroad = theatre.letter(&post, &["th", "ke"], 2, void);
    assert_eq!(refusal(&mut post, abroad).await, "NO_GRANT", "a VOID is the bureau's, and nobody else's");
    let letter = theatre.letter(&post, &["ke"], 2, void);
    post.submit_raw(letter).await.expect("taken");
    let letter = theatre.letter(&post, &["ke"], 2, |_| ());
    assert_eq!(refusal(&mut post, letter).await, "REFERENCE_REUSED", "a number that was closed stays closed");
    assert_eq!(gaps(audit(&mut auditor).await), []);
    drop((post, auditor));
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_delivered_for_another() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in ["th", "ipsg/ens"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    let sent = kenya.send(note(&["th", "ipsg/ens"], "for two")).await.expect("sent");
    let submission = v1::Submission::decode(sent.bytes.clone()).expect("as sent");
    let id = envelope::header::message_id(&submission.signed.expect("signed").header).to_vec();
    let body = |mailbox: &str, message_id: Vec<u8>| v1::MailboxStatement {
        head: Some(v1::StatementHead {
            version: 1,
            network: "story.test".to_owned(),
            issuer: mailbox.to_owned(),
            subject: mailbox.to_owned(),
            seq: 1,
            created_ms: now().ms(),
            ..v1::StatementHead::default()
        }),
        items: vec![v1::ReceiptItem { mailbox_seq: 1, message_id: message_id.into() }],
        at_ms: now().ms(),
        clock: v1::ClockQuality::Ntp.into(),
        checkpoint_size: 1,
    };
    let (thai, kenyan) = (theatre.key("th"), theatre.key("ke"));
    let mut at_thailand = Stream::open(&theatre, "th", false, 0).await;
    let mut at_kenya = Stream::open(&theatre, "ke", false, 0).await;
    let by_another_key = sign(&Delivered(body("th", id.clone())), &[&kenyan]).expect("signed");
    assert_eq!(at_thailand.say(by_another_key).await.as_deref(), Some("BAD_SIGNATURE"));
    let carried_by_another = sign(&Acknowledged(body("th", id.clone())), &[&thai]).expect("signed");
    assert_eq!(at_kenya.say(carried_by_another).await.as_deref(), Some("NOT_SENDER"));
    let of_anothers_mailbox = sign(&Acknowledged(body("ke", id.clone())), &[&kenyan]).expect("signed");
    assert_eq!(at_kenya.say(of_anothers_mailbox).await.as_deref(), Some("UNKNOWN_MESSAGE"));
    let of_another_message = sign(&Delivered(body("th", vec![7; 32])), &[&thai]).expect("signed");
    assert_eq!(at_thailand.say(of_another_message).await.as_deref(), Some("UNKNOWN_MESSAGE"));
    assert!(statuses(&mut kenya, &sent).await.iter().all(|(_, state)| *state == RecipientState::Available));
    assert_eq!(at_thailand.say(sign(&Delivered(body("th", id)), &[&thai]).expect("signed")).await, None);
    assert_eq!(statuses(&mut kenya, &sent).await[0], ("th".to_owned(), RecipientState::Delivered));
    drop((at_thailand, at_kenya, kenya));
    audit(&mut theatre.client("aud/network").await).await;
    curtain(theatre, running).await;
}

/// Everything that a replay shows: index, and whether an opening, a part, or only a hash.
async fn replayed(theatre: &Theatre, member: &str) -> Result<Vec<(u64, &'static str)>, Code> {
    let link = theatre.link(member).await;
    let mut audit = v1::audit_client::AuditClient::with_origin(link.clone(), link.origin());
    let mut entries = audit.replay(v1::ReplayRequest::default()).await.map_err(|status| status.code())?.into_inner();
    let mut seen = Vec::new();
    while let Some(entry) = entries.message().await.map_err(|status| status.code())? {
        if entry.leaf_hash.is_empty() {
            continue;
        }
        let shown = match (entry.opening.is_empty(), entry.part.is_empty()) {
            (false, _) => "opening",
            (true, false) => "part",
            (true, true) => {
                assert!(entry.leaf.is_empty() && entry.signatures.is_empty(), "a hash, and nothing else");
                "hash"
            }
        };
        seen.push((entry.index, shown));
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_shown_what_is_his_and_bare_hashes_of_the_rest() {
    let theatre = Theatre::new(&["ke", "th", "np", "ke/cus/kemba", "aud/network", "aud/ke"]);
    let running = theatre.start().await;
    for member in ["th", "np"] {
        drop(theatre.client(member).await);
    }
    let mut kenya = theatre.client("ke").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    let mut nepal = theatre.client("np").await;
    let by_post = post.send(note(&["ke"], "home")).await.expect("sent").position.index;
    let by_kenya = kenya.send(note(&["th"], "abroad")).await.expect("sent").position.index;
    let by_nepal = nepal.send(note(&["th"], "not Kenya's")).await.expect("sent").position.index;
    drop((kenya, post, nepal));
    assert_eq!(replayed(&theatre, "aud/network").await, Err(Code::PermissionDenied), "no access statement, no opening");
    assert_eq!(replayed(&theatre, "aud/ke").await, Err(Code::PermissionDenied));
    let parts = |seen: &[(u64, &'static str)]| {
        assert!(seen.iter().all(|(_, shown)| *shown != "opening"));
        seen.iter().filter(|(_, shown)| *shown == "part").map(|(index, _)| *index).collect::<Vec<_>>()
    };
    for (member, own) in
        [("ke", vec![by_post, by_kenya]), ("ke/cus/kemba", vec![by_post]), ("th", vec![by_kenya, by_nepal]), ("np", vec![by_nepal])]
    {
        assert_eq!(parts(&replayed(&theatre, member).await.expect("a replay")), own, "{member}");
        // A participant can check the whole tree, and its own parts in it.
        let verdict = audit(&mut theatre.client(member).await).await;
        assert_eq!((verdict.judged, verdict.withheld), (0, verdict.size), "{member}");
    }
    let verdict = audit(&mut theatre.client("aud/ke").await).await;
    assert_eq!((verdict.judged, verdict.withheld), (0, verdict.size));
    assert_eq!(parts(&replayed(&theatre, "aud/ke").await.expect("with its statement")), [by_post, by_kenya], "its country and no other");
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!((verdict.judged, verdict.withheld), (verdict.size, 0));
    assert!(replayed(&theatre, "aud/network").await.expect("with its statement").iter().all(|(_, shown)| *shown == "opening"));
    curtain(theatre, running).await;
}

/// Points a member's profile at another address.
fn redirect(theatre: &Theatre, member: &str, to: &str) {
    let path = theatre.profile_dir(member).join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("a profile");
    let line = |line: &str| if line.starts_with("gateway = ") { format!("gateway = \"{to}\"") } else { line.to_owned() };
    std::fs::write(&path, text.lines().map(line).collect::<Vec<_>>().join("\n")).expect("written");
}

/// Two letters of `ke` wait for `th`, who will fetch them through the man in the middle.
async fn intercepted() -> (Theatre, gateway::Running, Middle, [client::Sent; 2], v1::Delivery) {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    drop(theatre.client("th").await);
    let mut kenya = theatre.client("ke").await;
    let one = kenya.send(note(&["th"], "the first")).await.expect("sent");
    let two = kenya.send(note(&["th"], "the second")).await.expect("sent");
    drop(kenya);
    let mut stream = Stream::open(&theatre, "th", false, 2).await;
    stream.next().await.expect("an answer");
    let second = stream.next().await.expect("an answer").delivery.expect("the second delivery");
    drop(stream);
    let middle = Middle::between(&theatre, &running, "th").await;
    redirect(&theatre, "th", &format!("https://{}", middle.address));
    (theatre, running, middle, [one, two], second)
}

/// With this twist of the first delivery nothing of it is stored and nothing is said about it; the second is.
async fn refused_by_the_client(twist: Twist<v1::Delivery>, why: &str) {
    let (theatre, running, middle, [one, two], _) = intercepted().await;
    let only_the_first = move |delivery: &mut v1::Delivery| {
        if delivery.mailbox_seq == 1 {
            twist(delivery)
        }
    };
    *middle.tricks.delivery.lock().expect("no panic") = Some(Box::new(only_the_first));
    let mut thailand = theatre.client("th").await;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| &one.reference).collect::<Vec<_>>(), [&two.reference]);
    assert!(mail.unsound.len() == 1 && mail.unsound[0].contains(why), "{:?}", mail.unsound);
    assert!(matches!(thailand.open(&one.reference), Err(Error::NotHere(_))));
    let mut kenya = theatre.client("ke").await;
    assert_eq!(statuses(&mut kenya, &one).await[0].1, RecipientState::Available, "nobody has said delivered");
    assert_eq!(statuses(&mut kenya, &two).await[0].1, RecipientState::Delivered);
    // The honest delivery comes with the next visit.
    *middle.tricks.delivery.lock().expect("no panic") = None;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| &one.reference).collect::<Vec<_>>(), [&one.reference]);
    assert_eq!(thailand.open(&one.reference).expect("it opens").content, b"the first");
    drop((thailand, kenya));
    middle.leave().await;
    audit(&mut theatre.client("aud/network").await).await;
    curtain(theatre, running).await;
}

/// Another receipt in the place of a receipt, re-encoded.
fn change_receipt(receipt: &mut bytes::Bytes, change: impl FnOnce(&mut v1::Receipt)) {
    let mut fields = v1::Receipt::decode(receipt.clone()).expect("a receipt");
    change(&mut fields);
    *receipt = fields.encode_to_vec().into();
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_for_another_header_is_refused() {
    // The sound receipt of the second letter, with the first letter's header around it: for recipient and sender alike.
    let (theatre, running, middle, _, second) = intercepted().await;
    let (receipt, of_submission) = (second.receipt.clone(), second.receipt.clone());
    *middle.tricks.delivery.lock().expect("no panic") =
        Some(Box::new(move |delivery: &mut v1::Delivery| delivery.receipt = receipt.clone()));
    *middle.tricks.receipt.lock().expect("no panic") = Some(Box::new(move |receipt: &mut bytes::Bytes| *receipt = of_submission.clone()));
    let mut thailand = theatre.client("th").await;
    let mail = thailand.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.received.iter().map(|one| one.mailbox_seq).collect::<Vec<_>>(), [2]);
    assert!(mail.unsound.len() == 1 && mail.unsound[0].contains("another message"), "{:?}", mail.unsound);
    let error = thailand.send(note(&["th"], "to oneself")).await.expect_err("its receipt is another's");
    assert_eq!(error.name(), Some("VERIFICATION_FAILED"), "{error}");
    assert_eq!(thailand.outbox().items().len(), 1, "it stays in the outbox until its own receipt comes");
    drop(thailand);
    *middle.tricks.receipt.lock().expect("no panic") = None;
    let mut thailand = theatre.client("th").await;
    let flushed = thailand.flush_outbox(PATIENCE).await.expect("flushed");
    assert_eq!(flushed.sent.iter().map(|sent| sent.reference.number).collect::<Vec<_>>(), [1]);
    drop(thailand);
    middle.leave().await;
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!(verdict.counts.get(&address("th")), Some(&1), "the same bytes were one entry");
    curtain(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_without_opening_is_refused() {
    refused_by_the_client(Box::new(|delivery| delivery.receipt = bytes::Bytes::new()), "receipt").await;
    // The leaf is proven, but nothing of what it commits to is shown.
    let bare = |delivery: &mut v1::Delivery| change_receipt(&mut delivery.receipt, |receipt| receipt.slots.clear());
    refused_by_the_client(Box::new(bare), "").await;
    let no_header =
        |delivery: &mut v1::Delivery| change_receipt(&mut delivery.receipt, |receipt| receipt.slots.retain(|slot| slot.tag != 1));
    refused_by_the_client(Box::new(no_header), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_changed_anywhere_is_refused() {
    let flip = |bytes: &mut bytes::Bytes| {
        let mut changed = bytes.to_vec();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        *bytes = changed.into();
    };
    let twists: [(&str, Twist<v1::Delivery>); 7] = [
        ("content", Box::new(move |delivery| flip(&mut delivery.content))),
        ("", Box::new(move |delivery| flip(&mut delivery.wrap))),
        ("", Box::new(move |delivery| flip(&mut delivery.signed.as_mut().expect("signed").header))),
        ("", Box::new(move |delivery| flip(&mut delivery.signed.as_mut().expect("signed").signatures[0].signature))),
        ("position", Box::new(|delivery| delivery.position = Some(v1::Position { log: 0, index: 1 }))),
        ("place", Box::new(|delivery| delivery.mailbox_seq = 77)),
        (
            "",
            Box::new(|delivery| change_receipt(&mut delivery.receipt, |receipt| receipt.position.as_mut().expect("a position").index += 1)),
        ),
    ];
    for (why, twist) in twists {
        refused_by_the_client(twist, why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_added_later_does_not_open() {
    let more = |delivery: &mut v1::Delivery| {
        let signatures = &mut delivery.signed.as_mut().expect("signed").signatures;
        signatures.push(signatures[0].clone());
    };
    refused_by_the_client(Box::new(more), "signatures").await;
}
