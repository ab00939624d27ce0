//! Questions to a service over real sockets: hit and no hit, what the officer's screen says until the owner has spoken, and that a query
//! is answered once whatever ends the service. Each ends with a full audit.

mod theatre;

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use client::hotlist::{COST, HOTLIST_TYPE, Pack, Plan};
use client::respond::List;
use client::store::{Table, Write};
use client::{Client, Compose, ReceiveOptions, Received};
use content::{Form, Payload, v1};
use envelope::Reference;
use prost::Message as _;
use proto::v1::{Kind, ParticipantState, StandingReason};
use theatre::{DAY_MS, Theatre, address, audit, now};

const CAST: [&str; 7] = ["ke", "th", "ke/cus/kemba", "svc/imaf", "ipsg/ens", "aud/network", "aud/ke"];
const ECOWIRE: &str = env!("CARGO_BIN_EXE_ecowire-all");
const SHIPS: &str = "owner,record,kind,imo,name,note\nth,TH-9,vessel,9074729,Océan Star,purple notice\n";

fn command(theatre: &Theatre, arguments: &[&str]) -> Command {
    let mut command = Command::new(ECOWIRE);
    command.arg("ecowire").args(arguments).current_dir(theatre.folder.path().join("profiles"));
    command
}

/// Runs a command, demands its exit code, gives stdout and stderr.
async fn run(theatre: &Theatre, code: i32, arguments: &[&str]) -> (String, String) {
    let mut command = command(theatre, arguments);
    let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let Output { status, stdout, stderr } = run.await.expect("it ends");
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert_eq!(status.code(), Some(code), "{arguments:?}: {out}{err}");
    (out, err)
}

async fn received(client: &mut Client, kind: Kind) -> Vec<Received> {
    let mail = client.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(mail.unsound, Vec::<String>::new());
    let all = client.inbox().expect("an inbox").into_iter();
    all.filter(|one| one.kind == kind && one.finding.is_none()).collect()
}

fn read<M: prost::Message + Default>(client: &Client, reference: &Reference, form: Form) -> M {
    let opened = client.open(reference).expect("it opens");
    assert_eq!(opened.media_type, form.media_type());
    Payload::decode(form, &opened.content).and_then(|payload| payload.message_as()).expect("the form")
}

fn ship(imo: &str) -> v1::Query {
    let imo = Some(v1::Identifier { raw: imo.to_owned(), ..v1::Identifier::default() });
    let subject =
        v1::Subject { kind: "vessel".to_owned(), vessel: Some(v1::Vessel { imo, ..v1::Vessel::default() }), ..v1::Subject::default() };
    v1::Query { subject: Some(subject), ..v1::Query::default() }
}

async fn ask(client: &mut Client, imo: &str) -> Reference {
    let (message, _) = client.query(&address("svc/imaf"), &ship(imo)).expect("a query");
    client.send(message).await.expect("sent").reference
}

async fn end(theatre: Theatre, running: gateway::Running) {
    for auditor in ["aud/network", "aud/ke"] {
        audit(&mut theatre.client(auditor).await).await;
    }
    running.stop().await;
    theatre.check();
}

/// A responder in a process of its own, killed when it goes.
struct Responder(Child);

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_asks_and_its_screen_says_confirm_until_the_owner_has_spoken() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in CAST {
        drop(theatre.client(member).await);
    }
    std::fs::write(theatre.folder.path().join("profiles/list.csv"), SHIPS).expect("written");
    run(&theatre, 2, &["respond", "--profile", "svc_imaf", "--service", "svc/vessels", "--data", "list.csv"]).await;
    run(&theatre, 2, &["respond", "--profile", "ke", "--data", "list.csv"]).await;
    let mut follow = command(&theatre, &["respond", "--profile", "svc_imaf", "--service", "svc/imaf", "--data", "list.csv", "--follow"]);
    let responder = Responder(follow.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs"));

    let query = ["query", "--profile", "ke_cus_kemba", "--service", "svc/imaf", "--wait", "120"];
    let (out, _) = run(&theatre, 0, &[&query[..], &["--imo", "9321483"]].concat()).await;
    assert_eq!(out, "no hit at svc/imaf\n");
    let (out, err) = run(&theatre, 8, &[&query[..], &["--name", "OCEAN STAR", "--subject", "vessel"]].concat()).await;
    assert!(out.contains("CONFIRM BEFORE ACTING: TH-9 of th, possible by name; th has not confirmed it"), "{out}");
    let (out, _) = run(&theatre, 8, &[&query[..], &["--imo", "IMO 9074729", "--json"]].concat()).await;
    let line: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(
        (&line["result"], &line["confirm_before_acting"], &line["hits"][0]["record"]),
        (&"hit".into(), &true.into(), &"TH-9".into())
    );
    assert!(line["text"].as_str().expect("a text").contains("TH-9: purple notice"), "{line}");
    assert!(err.contains("to svc/imaf, entry"), "{err}");
    drop(responder);

    // The owner and the bureau of who asked were told, the post was not.
    let hit = {
        let [mut owner, mut bureau] = [theatre.client("th").await, theatre.client("ke").await];
        let hits = received(&mut owner, Kind::Hit).await;
        let same = received(&mut bureau, Kind::Hit).await;
        assert_eq!(hits.iter().map(|one| &one.reference).collect::<Vec<_>>(), same.iter().map(|one| &one.reference).collect::<Vec<_>>());
        assert_eq!(
            (hits.len(), received(&mut bureau, Kind::QueryResult).await.len(), received(&mut bureau, Kind::Query).await.len()),
            (2, 3, 3)
        );
        let told: v1::Hit = read(&owner, &hits[1].reference, Form::Hit);
        assert_eq!(
            (told.record.as_str(), told.asked_by.as_str(), told.query.as_str()),
            ("TH-9", "ke/cus/kemba", line["query"].as_str().expect("one"))
        );
        hits[1].reference.to_string()
    };
    let asked = line["query"].as_str().expect("a reference");
    let status = ["query", "--profile", "ke_cus_kemba", "--status", asked];
    run(&theatre, 0, &["confirm", "--profile", "th", &hit, "--instructions", "observe"]).await;
    let (out, _) = run(&theatre, 8, &status).await;
    assert!(out.contains("CONFIRM BEFORE ACTING: TH-9 of th, exact by imo; th says") && out.contains("observe"), "{out}");
    let (out, _) = run(&theatre, 0, &["confirm", "--profile", "th", &hit, "--valid", "--hours", "48"]).await;
    assert!(out.contains("is valid, told to ke, ke/cus/kemba"), "{out}");
    let (out, _) = run(&theatre, 0, &status).await;
    assert!(out.contains("confirmed until ") && !out.contains("CONFIRM"), "{out}");
    let (_, err) = run(&theatre, 0, &["open", "--profile", "ke_cus_kemba", line["answer"].as_str().expect("a reference")]).await;
    assert!(err.contains("confirmed until "), "{err}");
    // The same record was found by another query, too: about that one nobody has said anything.
    let mut post = theatre.client("ke/cus/kemba").await;
    let answers = received(&mut post, Kind::QueryResult).await;
    let other = post.answer_of(&post.open(&answers[1].reference).expect("it opens")).expect("an answer");
    assert!(other.is_open() && other.lines().iter().any(|line| line.starts_with("CONFIRM BEFORE ACTING")), "{other:?}");
    drop(post);
    let (out, _) = run(&theatre, 0, &["confirm", "--profile", "th", &hit, "--invalid", "another ship"]).await;
    assert!(out.contains("is invalid"), "{out}");
    let (out, _) = run(&theatre, 8, &status).await;
    assert!(out.contains("DO NOT ACT: TH-9 of th"), "{out}");
    run(&theatre, 2, &["confirm", "--profile", "th", &hit]).await;
    // By the ledger's time each was answered within its 30 s.
    let reading = client::overdue::read(&mut theatre.client("aud/network").await, "deadlines", now()).await.expect("read");
    let counts = &reading.clocks.statistics(now())[&address("svc/imaf")];
    assert_eq!((counts.asked, counts.replied_in_time, counts.replied_late), (3, 3, 0));
    end(theatre, running).await;
}

/// A report to bureau, desk and analysis file.
async fn report(client: &mut Client, json: &str) -> Reference {
    let payload = Payload::from_json(Form::Ecomessage, json.as_bytes()).expect("a report");
    let to = ["ipsg/ens", "svc/imaf"].map(address).into();
    let media_type = Form::Ecomessage.media_type().to_owned();
    let message = Compose { kind: Kind::Ecomessage, media_type, ..Compose::new(to, payload.encode()) };
    client.send(message).await.expect("sent").reference
}

/// What the analysis file, which then ends, makes of a question of Thailand's: the lines that are shown, without the query's number.
async fn asked_of_reports(theatre: &Theatre, about: &[&str]) -> Vec<String> {
    let ask = ["query", "--profile", "th", "--service", "svc/imaf", "--wait", "0"];
    let (_, err) = run(theatre, 4, &[&ask[..], about].concat()).await;
    let query = err.split_whitespace().next().expect("a reference").to_owned();
    run(theatre, 0, &["respond", "--profile", "svc_imaf", "--reports"]).await;
    let mut command = command(theatre, &["query", "--profile", "th", "--status", &query]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_file_answers_for_the_reports_that_it_was_sent() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in CAST {
        drop(theatre.client(member).await);
    }
    let ship =
        r#"{"heading":{"reportType":"initial"},"transports":[{"mode":"sea","vessel":{"name":"Ocean Star","imo":{"raw":"IMO 9074729"}}}]}"#;
    let (post, bureau) = {
        let mut post = theatre.client("ke/cus/kemba").await;
        let mut bureau = theatre.client("ke").await;
        let first = report(&mut post, ship).await;
        let more = format!(
            r#"{{"heading":{{"reportType":"supplement","supersedes":"{first}"}},"transports":[{{"mode":"sea","container":{{"raw":"CSQU3054383"}}}}]}}"#
        );
        report(&mut post, &more).await;
        let car = r#"{"heading":{"reportType":"initial"},"transports":[{"mode":"road","plate":{"raw":"KAA 123X"}}]}"#;
        let payload = Payload::from_json(Form::Ecomessage, car.replace("KAA 123X", "KBB 1").as_bytes()).expect("a report");
        let (to, media_type) = (["ipsg/ens", "svc/imaf"].map(address).into(), Form::Ecomessage.media_type().to_owned());
        let drill = Compose { kind: Kind::Ecomessage, media_type, exercise: true, ..Compose::new(to, payload.encode()) };
        bureau.send(drill).await.expect("sent");
        (first, report(&mut bureau, car).await)
    };
    let hit = |record: &Reference, by: &str| {
        let line = format!("CONFIRM BEFORE ACTING: {record} of ke, {by}; ke has not confirmed it, and a hit is no permission to act");
        ["HIT at svc/imaf: 1 found".to_owned(), line]
    };
    assert_eq!(asked_of_reports(&theatre, &["--imo", "9321483"]).await, ["no hit at svc/imaf"]);
    assert_eq!(asked_of_reports(&theatre, &["--plate", "KBB 1"]).await, ["no hit at svc/imaf"], "a drill");
    for (about, by) in [(["--imo", "9074729"], "exact by imo"), (["--container", "CSQU 305438-3"], "exact by container")] {
        assert_eq!(asked_of_reports(&theatre, &about).await, hit(&post, by));
    }
    assert_eq!(asked_of_reports(&theatre, &["--plate", "kaa123x"]).await, hit(&bureau, "probable by plate"));
    // The owner was told of each hit; a name alone is a name.
    assert_eq!(received(&mut theatre.client("ke").await, Kind::Hit).await.len(), 3);
    // What is cancelled, and what is deleted, is found no more.
    {
        let mut client = theatre.client("ke/cus/kemba").await;
        report(&mut client, &format!(r#"{{"heading":{{"reportType":"cancellation","supersedes":"{post}"}}}}"#)).await;
        let reason = theatre.folder.path().join("profiles/reason.json");
        std::fs::write(&reason, format!(r#"{{"of":"{bureau}","reason":"unlawful"}}"#)).expect("written");
        let target = bureau.to_string();
        run(&theatre, 0, &["send", "--profile", "ke", "--kind", "deletion", "--target", &target, "--file", "reason.json"]).await;
    }
    for about in [["--imo", "9074729"], ["--container", "CSQU3054383"], ["--plate", "KAA123X"]] {
        assert_eq!(asked_of_reports(&theatre, &about).await, ["no hit at svc/imaf"], "{about:?}");
    }
    run(&theatre, 2, &["respond", "--profile", "svc_imaf"]).await;
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_answers_each_query_once_and_none_never() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    let list = List::parse(SHIPS.as_bytes()).expect("a list");
    for member in ["ke", "th"] {
        drop(theatre.client(member).await);
    }
    let mut service = theatre.client("svc/imaf").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    let first = ask(&mut post, "9074729").await;
    let second = ask(&mut post, "9074729").await;
    assert_eq!(received(&mut service, Kind::Query).await.len(), 2);
    running.stop().await;

    // It ends when the answer is durable and was never sent.
    let answered = service.respond(&list, 1, Duration::ZERO).await.expect("answered");
    assert_eq!(answered.iter().map(|one| (&one.query, one.result, one.hits.len())).collect::<Vec<_>>(), [(&first, "hit", 1)]);
    drop(service);
    let running = theatre.start().await;
    let mut service = theatre.client("svc/imaf").await;
    // Of the second query the answer was taken and the owner was not yet told.
    let seq = service.inbox().expect("an inbox")[1].mailbox_seq;
    let row = v1::HitRow { record: "TH-9".to_owned(), owner: "th".to_owned(), ..v1::HitRow::default() }.encode_to_vec();
    let row = serde_json::json!({"query": second.to_string(), "left": [row]}).to_string();
    service.profile().store().commit(&[Write::number(Table::Answered, seq, row)]).expect("written");
    let wait = Duration::from_secs(30);
    let answered = service.respond(&list, 8, wait).await.expect("answered");
    assert_eq!(answered.iter().map(|one| (&one.query, one.answer.is_some(), one.hits.len())).collect::<Vec<_>>(), [(&second, false, 1)]);
    assert!(service.outbox().is_empty());
    drop(service);
    let mut service = theatre.client("svc/imaf").await;
    service.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(service.respond(&list, 8, wait).await.expect("nothing").len(), 0, "a restart answers nothing twice");

    drop(post);
    let mut post = theatre.client("ke/cus/kemba").await;
    assert_eq!(received(&mut post, Kind::QueryResult).await.len(), 1);
    assert!(post.answer_to(&first).expect("an answer").expect("one").is_open());
    assert_eq!(post.answer_to(&second).expect("none"), None);
    assert_eq!(received(&mut theatre.client("th").await, Kind::Hit).await.len(), 2);
    drop((service, post));
    end(theatre, running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_told_so_and_what_has_ended_is_let_be() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    drop(theatre.client("ke").await);
    let mut service = theatre.client("svc/imaf").await;
    let mut post = theatre.client("ke/cus/kemba").await;
    let list = List::parse(SHIPS.replace("th,", "gb,").as_bytes()).expect("a list");
    let ended = theatre.letter(&post, &["svc/imaf", "ke"], 1, |context| {
        context.kind = Kind::Query.into();
        context.expires_ms = now().plus(4_000).ms();
    });
    post.submit_raw(ended).await.expect("admitted");
    let mut letters = Vec::new();
    for (media_type, content) in
        [("text/plain", b"9074729".to_vec()), (Form::Query.media_type(), vec![0xff; 40]), (Form::Query.media_type(), Vec::new())]
    {
        let to = vec![address("svc/imaf")];
        let message = Compose { kind: Kind::Query, media_type: media_type.to_owned(), ..Compose::new(to, content) };
        letters.push(post.send(message).await.expect("sent").reference);
    }
    letters.push(ask(&mut post, "9074729").await);
    while service.inbox().expect("an inbox").first().is_none_or(|one| one.expires > now()) {
        received(&mut service, Kind::Query).await;
    }
    let wait = Duration::from_secs(30);
    let answered = service.respond(&list, 64, wait).await.expect("answered");
    let said: Vec<_> = answered.iter().map(|one| (&one.query, one.result)).collect();
    let wanted: Vec<_> = letters.iter().zip(["refused", "refused", "refused", "hit"]).collect();
    assert_eq!(said, wanted);
    // Its owner is in no directory: the bureau of who asked is told.
    assert_eq!((answered[3].hits.len(), answered[3].refused.first().and_then(client::Error::name)), (1, Some("UNKNOWN_RECIPIENT")));
    assert_eq!(received(&mut theatre.client("ke").await, Kind::Hit).await.len(), 1);
    received(&mut post, Kind::QueryResult).await;
    let texts: Vec<String> =
        letters.iter().map(|query| post.answer_to(query).expect("an answer").expect("one").lines().join(" ")).collect();
    for (text, wanted) in
        texts.iter().zip(["it is no query: it is \"text/plain\"", "it is no query: ", "nothing that can be looked up", "CONFIRM"])
    {
        assert!(text.contains(wanted), "{text}");
    }
    drop((service, post));
    end(theatre, running).await;
}

/// A list of this version, made so many days ago for a week, sent by a bureau to a post.
async fn send_list(bureau: &mut Client, source: &str, version: u64, days_ago: u64) -> Reference {
    let created = envelope::Timestamp(now().ms() - days_ago * DAY_MS);
    let plan = Plan { name: "ships".to_owned(), version, source: address(source), created, days: 7, cost: COST };
    let pack = Pack::build(&plan, &List::parse(SHIPS.as_bytes()).expect("a list"), &|| ()).expect("a pack");
    let message = Compose {
        kind: Kind::Service,
        media_type: HOTLIST_TYPE.to_owned(),
        ..Compose::new(vec![address("ke/cus/kemba")], pack.to_json().expect("json"))
    };
    bureau.send(message).await.expect("sent").reference
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_list_answers_without_a_link_warns_when_it_is_over_and_is_erased() {
    let theatre = Theatre::new(&CAST);
    let running = theatre.start().await;
    for member in ["ke", "th", "svc/imaf", "ke/cus/kemba"] {
        drop(theatre.client(member).await);
    }
    std::fs::write(theatre.folder.path().join("profiles/list.csv"), SHIPS).expect("written");
    let profile = ["--profile", "ke_cus_kemba"];
    let check = [&["hotlist", "check"], &profile[..], &["--imo", "IMO 9074729"]].concat();
    let (_, err) = run(&theatre, 2, &check).await;
    assert!(err.contains("has no hot list"), "no list is not no hit: {err}");
    let make = ["hotlist", "make", "--profile", "ke", "--data", "list.csv", "--name", "ships", "--version", "3", "--out", "pack.json"];
    let (_, err) = run(&theatre, 0, &make).await;
    assert!(err.contains("ships, version 3: 2 hashes, until"), "{err}");
    run(&theatre, 1, &make).await;
    let send =
        ["send", "--profile", "ke", "--to", "ke/cus/kemba", "--kind", "service", "--media-type", HOTLIST_TYPE, "--file", "pack.json"];
    let (out, _) = run(&theatre, 0, &send).await;
    let third = out.split_whitespace().next().expect("a reference").to_owned();
    let take =
        |reference: &str| [&["hotlist", "take"], &profile[..], &[reference]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let run_take = async |code, reference: &str| {
        let words = take(reference);
        run(&theatre, code, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let (out, _) = run_take(0, &third).await;
    assert!(out.starts_with("ships of ke  version 3  2 hashes  until "), "{out}");

    // Without a link.
    running.stop().await;
    let (out, _) = run(&theatre, 8, &check).await;
    assert!(out.starts_with("CONFIRM BEFORE ACTING: imo agrees with a record of th, exact, in ships of ke, version 3"), "{out}");
    let (out, _) = run(&theatre, 0, &[&["hotlist", "check"], &profile[..], &["--imo", "9321483"]].concat()).await;
    assert_eq!(out, "no hit in ships of ke\n");
    {
        let post = theatre.profile("ke/cus/kemba");
        assert_eq!(post.store().rows(Table::ContentKeys).expect("rows"), [], "nothing but the profile's keys opens it");
        let rows: Vec<u8> = Table::ALL.iter().flat_map(|table| post.store().rows(*table).expect("rows")).flat_map(|(_, row)| row).collect();
        assert!(!rows.windows(7).any(|window| window == b"\"salt\":" || window == b"hashes\""), "the pack lies sealed");
    }

    let (_, err) = run(&theatre, 4, &["query", "--profile", "ke_cus_kemba", "--service", "svc/imaf", "--imo", "9074729"]).await;
    assert!(err.contains("/000001 is kept in the outbox"), "{err}");
    let asked = err.split_whitespace().find(|word| word.ends_with("/000001")).expect("a reference").to_owned();
    let (_, err) = run(&theatre, 4, &["query", "--profile", "ke_cus_kemba", "--status", &asked]).await;
    assert!(err.contains("no answer yet"), "{err}");
    let running = theatre.start().await;
    let mut bureau = theatre.client("ke").await;
    let mut stranger = theatre.client("th").await;
    let older = send_list(&mut bureau, "ke", 2, 0).await;
    let over = send_list(&mut bureau, "ke", 4, 8).await;
    let ancient = send_list(&mut bureau, "ke", 9, 15).await;
    let forged = send_list_as_message(&mut stranger, "ke").await;
    for (reference, why) in [(&older, "not newer than 3"), (&ancient, "ended at"), (&forged, "th has sent it")] {
        let (_, err) = run_take(2, &reference.to_string()).await;
        assert!(err.contains(why), "{err}");
    }
    let (_, err) = run_take(0, &over.to_string()).await;
    assert!(err.contains("EXPIRED: ships of ke, version 4, ended"), "{err}");
    let (out, err) = run(&theatre, 8, &check).await;
    assert!(out.contains("version 4") && err.contains("EXPIRED: ships of ke"), "{out}{err}");
    let (_, err) = run(&theatre, 2, &["open", "--profile", "ke_cus_kemba", &third]).await;
    assert!(err.contains("was a hot list, and was erased"), "its place was taken: {err}");

    let post = Client::offline(&theatre.profile("ke/cus/kemba")).expect("a client");
    assert_eq!(post.sweep_hotlists_at(envelope::Timestamp(now().ms() + 5 * DAY_MS)).expect("swept"), Vec::<String>::new());
    assert_eq!(post.sweep_hotlists_at(envelope::Timestamp(now().ms() + 6 * DAY_MS)).expect("swept"), ["ships"]);
    drop(post);
    // Who may no longer connect may no longer look up.
    let cut = send_list(&mut bureau, "ke", 10, 0).await;
    run_take(0, &cut.to_string()).await;
    let who = address("ke/cus/kemba");
    bureau.set_standing(&who, ParticipantState::Suspended, StandingReason::Compromise).await.expect("suspended");
    let refused = Client::connect(&theatre.profile("ke/cus/kemba")).await.map(drop).expect_err("it is cut off");
    assert_eq!(refused.name(), Some("CERTIFICATE_REFUSED"));
    run(&theatre, 2, &check).await;
    bureau.set_standing(&who, ParticipantState::Active, StandingReason::Routine).await.expect("restored");
    // The source takes a list back.
    let last = send_list(&mut bureau, "ke", 11, 0).await;
    run_take(0, &last.to_string()).await;
    let deletion = Compose {
        kind: Kind::Deletion,
        target: Some(last.clone()),
        ..Compose::new(bureau.concerned(&last).expect("the post"), b"a wrong ship".to_vec())
    };
    bureau.send(deletion).await.expect("sent");
    let mut post = theatre.client("ke/cus/kemba").await;
    post.receive(ReceiveOptions::default()).await.expect("mail");
    drop(post);
    let (out, _) = run(&theatre, 0, &["hotlist", "list", "--profile", "ke_cus_kemba"]).await;
    assert_eq!(out, "");
    run(&theatre, 2, &["open", "--profile", "ke_cus_kemba", &last.to_string()]).await;
    drop((bureau, stranger));
    end(theatre, running).await;
}

async fn send_list_as_message(stranger: &mut Client, source: &str) -> Reference {
    let plan = Plan { name: "ships".to_owned(), version: 99, source: address(source), created: now(), days: 7, cost: COST };
    let pack = Pack::build(&plan, &List::default(), &|| ()).expect("a pack");
    let message =
        Compose { media_type: HOTLIST_TYPE.to_owned(), ..Compose::new(vec![address("ke/cus/kemba")], pack.to_json().expect("json")) };
    stranger.send(message).await.expect("sent").reference
}
