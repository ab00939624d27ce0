//! At the edge, past the door: sizes, counts, silence, haste, unknown words, a stop in mid-flight, and what is never logged.

mod stage;

use std::collections::BTreeSet;
use std::path::Path;

use bench::load::drive;
use bytes::Bytes;
use client::link::{Credentials, Link};
use client::{Client, Compose, Error, ReceiveOptions, audit};
use envelope::entry::Entry;
use gateway::limits;
use http_body_util::{BodyExt as _, Full};
use proto::v1;
use proto::v1::directory_client::DirectoryClient;
use proto::v1::messages_client::MessagesClient;
use stage::{Stage, ask, at, connect_from, soon, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

fn messages(link: &Link) -> MessagesClient<Link> {
    MessagesClient::with_origin(link.clone(), link.origin())
}

fn directory(link: &Link) -> DirectoryClient<Link> {
    DirectoryClient::with_origin(link.clone(), link.origin())
}

/// What came back of a call below gRPC.
#[derive(Debug)]
struct Raw {
    http: http::StatusCode,
    grpc: Option<i32>,
    body: Bytes,
}

/// A call with headers and a body of the caller's.
async fn call(link: &Link, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Raw, Box<dyn std::error::Error>> {
    let mut uri = link.origin().into_parts();
    uri.path_and_query = Some(path.parse().expect("a path"));
    let mut request =
        http::Request::post(http::Uri::from_parts(uri).expect("a uri")).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(tonic::body::Body::new(Full::new(body))).expect("a request");
    let response = soon("a response", link.clone().oneshot(request)).await?;
    let (http, head) = (response.status(), response.headers().clone());
    let collected = soon("its body", response.into_body().collect()).await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let grpc = trailers.get("grpc-status").or_else(|| head.get("grpc-status"));
    let grpc = grpc.map(|code| code.to_str().expect("ascii").parse().expect("a number"));
    Ok(Raw { http, grpc, body: collected.to_bytes() })
}

/// gRPC's frame around a message (length-prefixed, not compressed).
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// Demands a refusal by name, with google.rpc.ErrorInfo, and gives its parameters.
fn refusal(status: &Status, code: Code, name: &str) -> std::collections::HashMap<String, String> {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!((status.code(), info.domain.as_str(), info.reason.as_str()), (code, "ecowire", name), "{status:?}");
    info.metadata
}

/// A message of `bytes`, whatever it says.
fn giant(bytes: usize) -> v1::Submission {
    v1::Submission { content: vec![7; bytes].into(), ..v1::Submission::default() }
}

/// Opens Receive with these requests and no more.
async fn receive(link: &Link, requests: Vec<v1::ReceiveRequest>) -> Streaming<v1::ReceiveResponse> {
    messages(link).receive(tokio_stream::iter(requests)).await.expect("a stream").into_inner()
}

/// How a stream ends.
async fn end(stream: &mut Streaming<v1::ReceiveResponse>) -> Status {
    loop {
        match soon("the end of a stream", stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok("the end"),
            Err(status) => return status,
        }
    }
}

fn started(credit: u32) -> v1::ReceiveRequest {
    v1::ReceiveRequest { start: Some(v1::ReceiveStart::default()), credit, statement: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_ends_the_call_and_not_the_connection() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    let request = |bytes| v1::SubmitRequest { submission: Some(giant(bytes)) };
    let refused = messages(&link).submit(request(limits::SUBMISSION_BYTES_MAX + 1)).await.expect_err("a giant");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
    // Below the bound of the wire, above that of the format: refused by name.
    let refused = messages(&link).submit(request(envelope::limits::CIPHERTEXT_BYTES_MAX + 1)).await.expect_err("no header");
    refusal(&refused, Code::InvalidArgument, "BAD_ENCODING");
    let on_stream = v1::SubmitStreamRequest { submission: Some(giant(limits::SUBMISSION_BYTES_MAX + 1)) };
    let mut answers = messages(&link).submit_stream(tokio_stream::iter([on_stream])).await.expect("a stream").into_inner();
    assert!(!matches!(soon("the end of the stream", answers.message()).await, Ok(Some(_))));
    let statement = v1::SignedStatement { statement: vec![7; limits::REQUEST_BYTES_MAX].into(), ..v1::SignedStatement::default() };
    let refused =
        directory(&link).publish_statement(v1::PublishStatementRequest { statement: Some(statement) }).await.expect_err("a giant");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");

    let header = "x".repeat(usize::try_from(limits::HEADER_LIST_BYTES_MAX).expect("small"));
    match call(&link, "/ecowire.v1.Audit/Checkpoint", &[("x-large", &header)], framed(&[])).await {
        Ok(raw) => assert_eq!(raw.http, http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(!link.is_closed(), "{error}"),
    }
    let small = call(&link, "/ecowire.v1.Audit/Checkpoint", &[("x-small", &header[..1024])], framed(&[])).await.expect("served");
    assert_eq!((small.http, small.grpc), (http::StatusCode::OK, Some(0)));
    assert!(!link.is_closed());
    ask(&link).await.expect("the connection lives");
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_not_spoken() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    let checkpoint = "/ecowire.v1.Audit/Checkpoint";
    for encoding in ["gzip", "deflate", "zstd", "br", "identity2"] {
        let raw = call(&link, checkpoint, &[("grpc-encoding", encoding)], framed(&[])).await.expect("an answer");
        assert_eq!((raw.grpc, raw.body.len()), (Some(Code::Unimplemented as i32), 0), "{encoding}");
    }
    // The flag without the word for it: gRPC calls this a broken message.
    let flagged = call(&link, checkpoint, &[], Bytes::from_static(&[1, 0, 0, 0, 0])).await.expect("an answer");
    assert!(flagged.grpc.is_some_and(|code| code != 0) && flagged.body.is_empty(), "{flagged:?}");
    let accepting = call(&link, checkpoint, &[("grpc-accept-encoding", "gzip")], framed(&[])).await.expect("an answer");
    assert_eq!((accepting.grpc, accepting.body[0]), (Some(0), 0), "the answer is not compressed");
    ask(&link).await.expect("the connection lives");
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_129th_stream_of_a_connection_waits() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let [ke, other] = [stage.connect(&gateway.url, "ke").await, stage.connect(&gateway.url, "ke").await];
    let mut watching = Vec::new();
    for _ in 0..limits::STREAMS_MAX {
        watching.push(directory(&ke).watch(v1::WatchRequest { from_size: u64::MAX }).await.expect("a stream"));
    }
    let waiting = tokio::spawn(async move { ask(&ke).await });
    for _ in 0..8 {
        ask(&other).await.expect("another connection is served");
    }
    assert!(!waiting.is_finished(), "no stream is free");
    watching.pop();
    waiting.await.expect("no panic").expect("served as soon as one is free");
    drop(watching);
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_65th_connection_of_a_participant_is_refused() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let mut links = Vec::new();
    for _ in 0..limits::CONNECTIONS_PER_PARTICIPANT_MAX {
        links.push(stage.connect(&gateway.url, "ke").await);
    }
    let mark = gateway.mark();
    let own = || Credentials::read(&stage.folder_of("ke")).expect("credentials");
    let refused = stage.knock(&gateway.url, own()).await.expect_err("one too many");
    // No refusal of the certificate: the client comes back later.
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    gateway.logs(mark, "too many connections of one participant peer=ke max=64").await;
    ask(&stage.connect(&gateway.url, "th").await).await.expect("others get in");
    for link in &links {
        ask(link).await.expect("those who are in are served");
    }
    let mark = gateway.mark();
    links.pop();
    gateway.logs(mark, "disconnected peer=ke").await;
    ask(&stage.connect(&gateway.url, "ke").await).await.expect("there is room again");
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_under_way_are_bounded_for_all_and_for_each_source() {
    let stage = Stage::new();
    let mut config = stage.config();
    (config.limits.handshakes, config.limits.handshakes_per_source, config.limits.handshake_timeout_s) = (32, 4, 2);
    let running = gateway::start(&config).await.expect("the gateway starts");
    let url = format!("https://{}", running.address);
    let inside = stage.connect(&url, "th").await;
    let mut silent = Vec::new();
    // Each source has its four; one more of the first is dropped at once, and takes nothing from anybody.
    for x in 2..=8 {
        for _ in 0..4 {
            silent.push(connect_from(x, running.address).await);
        }
    }
    let mut fifth = connect_from(2, running.address).await;
    let ended = soon("the end of a fifth", fifth.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    ask(&stage.connect(&url, "ke").await).await.expect("28 are under way, none of them from here");
    for _ in 0..4 {
        silent.push(TcpStream::connect(running.address).await.expect("connected"));
    }
    let own = || Credentials::read(&stage.folder_of("ke")).expect("credentials");
    let refused = stage.knock(&url, own()).await.expect_err("32 are under way");
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    ask(&inside).await.expect("who is in is served");
    // The gateway drops them when their time is over; then there is room.
    for stream in &mut silent {
        drop(soon("the end of a silent connection", stream.read(&mut [0; 1])).await);
    }
    ask(&stage.connect(&url, "ke").await).await.expect("there is room again");
    drop((inside, silent));
    soon("the stop", running.stop()).await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_asked_for_in_order_and_within_its_credit() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    let credit = |credit| v1::ReceiveRequest { credit, ..v1::ReceiveRequest::default() };
    let max = limits::MAILBOX_CREDIT_MAX;
    for requests in [vec![], vec![credit(1)], vec![credit(1), started(1)]] {
        let refused = end(&mut receive(&link, requests).await).await;
        assert_eq!(refusal(&refused, Code::InvalidArgument, "BAD_ENCODING")["detail"], "the first request of Receive is start");
    }
    for requests in [vec![started(max + 1)], vec![started(max), credit(1)], vec![started(1), credit(u32::MAX)]] {
        let refused = end(&mut receive(&link, requests).await).await;
        refusal(&refused, Code::InvalidArgument, "TOO_LARGE");
    }
    let whole = end(&mut receive(&link, vec![started(1), credit(max - 1)]).await).await;
    assert_eq!(whole.code(), Code::Ok, "{whole:?}");
    ask(&link).await.expect("the connection lives");
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_empty_words_are_refused_by_name() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    for submission in [None, Some(v1::Submission::default())] {
        let refused = messages(&link).submit(v1::SubmitRequest { submission }).await.expect_err("nothing");
        assert!(refusal(&refused, Code::InvalidArgument, "BAD_ENCODING")["detail"].contains("signed"), "{refused:?}");
    }
    let of_kind = |kind: i32| v1::SignedStatement { kind, statement: Bytes::from_static(b"\x0a\x00"), ..v1::SignedStatement::default() };
    let known = [v1::StatementKind::Genesis, v1::StatementKind::Trust].map(i32::from);
    for (kind, code, name) in [
        (0, Code::InvalidArgument, "BAD_ENCODING"),
        (99, Code::InvalidArgument, "BAD_ENCODING"),
        (-1, Code::InvalidArgument, "BAD_ENCODING"),
        (known[0], Code::PermissionDenied, "NO_AUTHORITY"),
        (known[1], Code::PermissionDenied, "NO_AUTHORITY"),
    ] {
        let request = v1::PublishStatementRequest { statement: Some(of_kind(kind)) };
        let refused = directory(&link).publish_statement(request).await.expect_err("no such statement");
        refusal(&refused, code, name);
    }
    let refused = directory(&link).publish_statement(v1::PublishStatementRequest { statement: None }).await.expect_err("nothing");
    refusal(&refused, Code::InvalidArgument, "BAD_ENCODING");
    // On a stream the statement has its problem, and the stream goes on.
    let said = |kind| v1::ReceiveRequest { statement: Some(of_kind(kind)), ..v1::ReceiveRequest::default() };
    let (requests, queue) = mpsc::channel(8);
    for request in [started(1), said(99), said(i32::from(v1::StatementKind::Keys)), said(i32::from(v1::StatementKind::Delivered))] {
        requests.send(request).await.expect("room");
    }
    let mut answers = messages(&link).receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
    let mut names = Vec::new();
    while names.len() < 3 {
        let answer = soon("an answer", answers.message()).await.expect("an answer").expect("more");
        names.extend(answer.statement.map(|result| result.problem.expect("a problem").name));
    }
    assert_eq!(names, ["NO_AUTHORITY", "NO_AUTHORITY", "BAD_ENCODING"]);
    let missing = call(&link, "/ecowire.v1.Messages/Nothing", &[], framed(&[])).await.expect("an answer");
    assert_eq!(missing.grpc, Some(Code::Unimplemented as i32));
    gateway.kill().await;
    let entries = stage.audit();
    assert!(entries.iter().all(|(_, entry)| !matches!(entry, Entry::Refused(_) | Entry::Mailbox { .. })), "garbage leaves no entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_much_in_flight_is_told_when_to_come_back() {
    let stage = Stage::new();
    let running = stage.run().await;
    let url = format!("https://{}", running.address);
    let thailand = stage.member(&url, "th").await;
    let [ke, post] = [stage.connect(&url, "ke").await, stage.connect(&url, "ke/cus/kemba").await];
    let message = |number| v1::SubmitRequest { submission: Some(stage.seal(thailand.directory(), "ke", number, |_| {})) };
    let gate = running.shared().gate.clone();
    let held: Vec<_> = (0..limits::IN_FLIGHT_MESSAGES_MAX).map(|_| gate.enter(&at("ke"), 1, false).expect("room")).collect();
    let busy = messages(&ke).submit(message(1)).await.expect_err("no room");
    refusal(&busy, Code::ResourceExhausted, "BUSY");
    let retry = busy.get_details_retry_info().and_then(|info| info.retry_delay).expect("RetryInfo");
    assert_eq!(retry.as_millis(), u128::from(limits::RETRY_AFTER_MS));
    let streamed = v1::SubmitStreamRequest { submission: message(1).submission };
    let mut answers = messages(&ke).submit_stream(tokio_stream::iter([streamed])).await.expect("a stream").into_inner();
    let problem = soon("an answer", answers.message()).await.expect("an answer").expect("one").problem.expect("a problem");
    assert_eq!((problem.fault(), problem.name.as_str(), problem.retry_after_ms), (v1::Fault::Busy, "BUSY", limits::RETRY_AFTER_MS));
    // Another participant has room of its own: its message gets as far as the rules.
    let others = stage.seal(thailand.directory(), "ke/cus/kemba", 1, |_| {});
    let refused = messages(&post).submit(v1::SubmitRequest { submission: Some(others) }).await.expect_err("ke is not named");
    refusal(&refused, Code::PermissionDenied, "OVERSIGHT_MISSING");
    drop(held);
    messages(&ke).submit(message(1)).await.expect("the very same number is taken now");
    drop((ke, post, thailand));
    soon("the stop", running.stop()).await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer_whoever_has_a_certificate_and_nobody_else() {
    let stage = Stage::new();
    let gateway = stage.serve();
    let link = stage.connect(&gateway.url, "ke").await;
    let health = call(&link, "/grpc.health.v1.Health/Check", &[], framed(&[])).await.expect("an answer");
    // HealthCheckResponse { status: SERVING }
    assert_eq!((health.grpc, &health.body[..]), (Some(0), &framed(&[8, 1])[..]));
    // ServerReflectionRequest { list_services: "*" }
    let list =
        call(&link, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[], framed(&[0x3a, 1, b'*'])).await.expect("an answer");
    assert_eq!(list.grpc, Some(0));
    for service in ["ecowire.v1.Messages", "ecowire.v1.Directory", "ecowire.v1.Audit"] {
        assert!(list.body.windows(service.len()).any(|window| window == service.as_bytes()), "{service} is not listed");
    }

    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut plain = TcpStream::connect(gateway.address()).await.expect("connected");
    plain.write_all(preface).await.expect("written");
    let mut answer = Vec::new();
    drop(soon("the end of a connection in the clear", plain.read_to_end(&mut answer)).await);
    // Nothing, or a TLS alert.
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    let nobody = std::sync::Arc::new(tls::client(None, &["h2"]));
    let name = rustls_pki_types::ServerName::try_from("localhost").expect("a name");
    let tcp = TcpStream::connect(gateway.address()).await.expect("connected");
    if let Ok(mut stream) = tokio_rustls::TlsConnector::from(nobody).connect(name, tcp).await {
        drop(stream.write_all(preface).await);
        let mut answer = Vec::new();
        let read = soon("the end of a connection without a certificate", stream.read_to_end(&mut answer)).await;
        assert!(read.is_err() && answer.is_empty(), "{answer:?}");
    }
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_read_holds_up_nobody() {
    const MESSAGES: u64 = 40;
    let stage = Stage::new();
    let gateway = stage.serve();
    let thailand = stage.member(&gateway.url, "th").await;
    let [ke, slow, quick] =
        [stage.connect(&gateway.url, "ke").await, stage.connect(&gateway.url, "th").await, stage.connect(&gateway.url, "th").await];
    // More than all windows and buffers on the way hold.
    let content = Bytes::from(vec![7; 200 << 10]);
    let sealed: Vec<_> = (1..=MESSAGES).map(|number| stage.seal_content(thailand.directory(), "ke", number, content.clone())).collect();
    let (requests, queue) = mpsc::channel(8);
    requests.send(started(limits::MAILBOX_CREDIT_MAX)).await.expect("room");
    let unread = messages(&slow).receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
    let answers = soon("answers", drive(ke.clone(), sealed, 8)).await;
    assert!(answers.len() == 40 && answers.iter().all(|answer| answer.problem.is_none()), "{} answers", answers.len());
    let mut read = receive(&quick, vec![started(limits::MAILBOX_CREDIT_MAX)]).await;
    let mut seen = BTreeSet::new();
    while let Some(answer) = soon("a delivery", read.message()).await.expect("an answer") {
        seen.extend(answer.delivery.map(|delivery| delivery.mailbox_seq));
        if seen.len() == 40 {
            break;
        }
    }
    assert_eq!(seen, (1..=MESSAGES).collect());
    ask(&ke).await.expect("others are served");
    drop((unread, requests));
    gateway.kill().await;
    stage.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_64_in_flight_loses_nothing_that_was_acknowledged() {
    const IN_FLIGHT: u64 = 64;
    let stage = Stage::new();
    let running = stage.run().await;
    let url = format!("https://{}", running.address);
    let thailand = stage.member(&url, "th").await;
    let sealed: Vec<_> = (1..=IN_FLIGHT).map(|number| stage.seal(thailand.directory(), "ke", number, |_| {})).collect();
    let [ke, th] = [stage.connect(&url, "ke").await, stage.connect(&url, "th").await];
    // One who follows its mailbox does not keep the gateway from stopping.
    let (requests, queue) = mpsc::channel(8);
    requests.send(started(limits::MAILBOX_CREDIT_MAX)).await.expect("room");
    let mut following = messages(&th).receive(ReceiverStream::new(queue)).await.expect("a stream").into_inner();
    let driven = tokio::spawn(drive(ke, sealed.clone(), usize::try_from(IN_FLIGHT).expect("small")));
    // Stopped as soon as the first of them has arrived.
    while soon("a delivery", following.message()).await.expect("an answer").expect("more").delivery.is_none() {}
    soon("the stop, with calls open", running.stop()).await;
    end(&mut following).await;
    let answers = driven.await.expect("no panic");
    assert!(answers.iter().all(|answer| answer.problem.as_ref().is_none_or(|problem| problem.fault() == v1::Fault::Busy)), "{answers:?}");
    let acknowledged: BTreeSet<u64> = answers.iter().filter(|answer| answer.problem.is_none()).map(|answer| answer.tag).collect();
    drop((thailand, th));

    let running = stage.run().await;
    let ke = stage.connect(&format!("https://{}", running.address), "ke").await;
    let year = stage::now().year();
    let mut known = BTreeSet::new();
    for number in 1..=IN_FLIGHT {
        let status = messages(&ke).status(v1::StatusRequest { year, series: 1, number }).await.expect("an answer").into_inner();
        known.extend(status.known.then_some(number));
    }
    assert!(known.is_superset(&acknowledged), "{acknowledged:?} were acknowledged, {known:?} are known");
    println!("{} acknowledged, {} known after the stop", acknowledged.len(), known.len());
    let again = soon("answers", drive(ke, sealed, 64)).await;
    assert!(again.len() == 64 && again.iter().all(|answer| answer.problem.is_none()), "the same bytes again: {again:?}");
    soon("the second stop", running.stop()).await;
    let count = stage.audit().iter().filter(|(_, entry)| matches!(entry, Entry::Message(_))).count();
    assert_eq!(count, 64, "each stands once");
}

/// Whether any file below a folder holds any of these words, and where.
fn find(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(find(&path, words));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let holds = |word: &&&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        found.extend(words.iter().filter(holds).map(|word| format!("{} holds {word}", path.display())));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_log_nor_store_holds_what_was_said() {
    const CONTENT: &str = "canary-content-7f3a91";
    const MEDIA: &str = "text/x-canary-media-5c02de";
    const PURPOSE: &str = "canary-purpose-e81b44";
    const FORGED: &str = "canary-forged-2299aa";
    let stage = Stage::new();
    let gateway = stage.serve_logging("trace");
    let mut thailand = stage.member(&gateway.url, "th").await;
    let mut kenya = stage.member(&gateway.url, "ke").await;
    let mut auditor = stage.member(&gateway.url, "aud/network").await;
    let message = Compose { media_type: MEDIA.to_owned(), ..Compose::new(vec![at("th")], CONTENT.as_bytes().to_vec()) };
    let sent = kenya.send(message).await.expect("sent");
    let mail = thailand.receive(ReceiveOptions { follow: false }).await.expect("received");
    assert_eq!((mail.received.len(), mail.unsound.len()), (1, 0));
    let opened = thailand.open(&sent.reference).expect("opened");
    assert_eq!((opened.media_type.as_str(), &opened.content[..]), (MEDIA, CONTENT.as_bytes()));
    thailand.acknowledge(&sent.reference).await.expect("acknowledged");
    let forged = stage.seal_content(thailand.directory(), "ke/cus/kemba", 1, Bytes::from_static(FORGED.as_bytes()));
    assert_eq!(kenya.submit_raw(forged).await.expect_err("another's header").name(), Some("NOT_SENDER"));
    let options = audit::Options { from: 0, purpose: PURPOSE.to_owned() };
    let verdict = audit::verify(&mut auditor, &options, |_, _| ()).await.expect("audited");
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    drop::<[Client; 3]>([thailand, kenya, auditor]);
    let log = gateway.kill().await;
    let words = [CONTENT, MEDIA, PURPOSE, FORGED];
    assert!(log.contains("TRACE") && log.len() > 10_000, "the log was written at its finest: {} bytes", log.len());
    let logged: Vec<_> = words.iter().filter(|word| log.contains(**word)).collect();
    assert!(logged.is_empty(), "{logged:?}");
    let stored = find(&stage.data(), &words);
    assert!(stored.is_empty(), "{stored:?}");
    // The search finds what is there: the purpose lies in the opening, which the audit reads.
    let entries = stage.audit();
    let purpose = entries.iter().any(|(_, entry)| matches!(entry, Entry::Access(signed) if signed.statement.windows(PURPOSE.len()).any(|window| window == PURPOSE.as_bytes())));
    assert!(purpose && !find(&stage.data(), &["redb"]).is_empty());
}
